/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Boot sector: copies 32 KiB from sector 64 to sector 1024 of the disk that it
 * came from, with int 13h, and says on COM1 how it went. Linked to 0x7c00.
 */
	.set	COM1, 0x3f8
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
	pushw	%dx
1:	lodsb
	testb	%al, %al
	jz	3f
	movb	%al, %bl
	movw	$(COM1 + 5), %dx
2:	inb	%dx, %al
	testb	$0x20, %al		/* room to send? */
	jz	2b
	movb	%bl, %al
	movw	$COM1, %dx
	outb	%al, %dx
	jmp	1b
3:	popw	%dx
	ret

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
