#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# SeaBIOS boots from the disk: the boot sector (lib/boot_sector.S) reads other
# sectors and writes them elsewhere through int 13h. Modern and legacy virtio,
# on both machine types, and again after a reset.

set -euo pipefail
# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

assemble() {
	as --32 -o "$vm_tmp/boot.o" "$selftests_dir/lib/boot_sector.S" &&
		ld -m elf_i386 -Ttext 0x7c00 --oformat binary \
			-o "$vm_tmp/boot.bin" "$vm_tmp/boot.o"
}

# What the disk holds before ($vm_tmp/before) and after ($vm_tmp/after) a boot.
make_images() {
	local before=$vm_tmp/before after=$vm_tmp/after

	truncate -s 8M "$before"
	dd if=/dev/urandom of="$before" bs=64K count=4 conv=notrunc status=none
	dd if="$vm_tmp/boot.bin" of="$before" conv=notrunc status=none
	cp "$before" "$after"
	dd if="$before" of="$after" bs=512 skip=64 seek=1024 count=64 \
		conv=notrunc status=none
	! cmp -s "$before" "$after"
}

disk_is() {
	dd if="$device" bs=1M iflag=direct status=none | cmp - "$1"
}

# said NAME N TEXT: wait until the boot sector has said it N times
said() {
	local end=$((SECONDS + 60 * vm_scale)) file=$vm_tmp/$1.said

	until (($(grep -acF "$3" "$file") >= $2)); do
		if ((SECONDS >= end)) || grep -aq failed "$file"; then
			cat "$file" "$GUEST_DIR/$1/console.log"
			return 1
		fi
		vm_sleep 0.2
	done
}

# boots NAME MACHINE TYPE PROPERTIES
boots() {
	vm_args=()
	vm_add boot "$device" "bootindex=0$4" "$3"
	dd if="$vm_tmp/before" of="$device" bs=1M oflag=direct status=none &&
		GUEST_CPUS=1 GUEST_MEM=64M GUEST_MACHINE=$2 \
			guest_start_raw "$1" "${vm_args[@]}" \
			-chardev "file,id=said,path=$vm_tmp/$1.said" \
			-device isa-debugcon,iobase=0xe9,chardev=said &&
		said "$1" 1 "boot sector: copied" && disk_is "$vm_tmp/after"
}

boots_again() {
	dd if="$vm_tmp/before" of="$device" bs=1M oflag=direct status=none &&
		guest_qmp "$1" '{"execute":"system_reset"}' &&
		said "$1" 2 "boot sector: copied" && disk_is "$vm_tmp/after"
}

vm_begin
assemble
make_images
null_up t_bios blocksize=512 size=8

check "boots as a modern device" \
	boots modern q35 vhost-blk-pci-non-transitional ""
check "boots again after a reset" boots_again modern
check "guest modern ends in order" guest_stop modern
check "boots as a legacy device" \
	boots legacy pc vhost-blk-pci ,disable-legacy=off,disable-modern=on
check "boots again after a reset as a legacy device" boots_again legacy
check "guest legacy ends in order" guest_stop legacy
check "boots from a transitional device with four queues" \
	boots both q35 vhost-blk-pci-transitional ,num-queues=4
check "guest both ends in order" guest_stop both
vm_end
