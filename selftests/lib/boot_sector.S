/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Boot sector: copies 32 KiB from sector 64 to sector 1024 of the disk that it
 * came from, with int 13h, and says on port 0xe9 how it went. Linked to 0x7c00.
 */
	.set	DEBUG, 0xe9		/* isa-debugcon */
	.set	BUFFER, 0x1000		/* segment */
	.set	SECTORS, 64

	.code16
	.text
	.globl	_start
_start:
	ljmp	$0, $main
main:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	$0x7c00, %sp
	cld
	movw	$started, %si
	call	print

	movb	$0x42, %ah		/* %dl: the drive, from the BIOS */
	movw	$read, %si
	int	$0x13
	movw	$read_failed, %si
	jc	end
	movw	$0x4300, %ax
	movw	$write, %si
	int	$0x13
	movw	$write_failed, %si
	jc	end
	movw	$done, %si
end:
	call	print
halt:
	cli
	hlt
	jmp	halt

print:
	lodsb
	testb	%al, %al
	jz	1f
	outb	%al, $DEBUG
	jmp	print
1:	ret

/* disk address packets: size, sectors, offset, segment, first sector */
read:	.byte	16, 0
	.word	SECTORS, 0, BUFFER
	.quad	64
write:	.byte	16, 0
	.word	SECTORS, 0, BUFFER
	.quad	1024

started:	.asciz	"boot sector: started\n"
read_failed:	.asciz	"boot sector: read failed\n"
write_failed:	.asciz	"boot sector: write failed\n"
done:		.asciz	"boot sector: copied\n"

	.org	510
	.word	0xaa55
