#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One Linux guest with a disk of each kind: 1, 2 and 4 queues, block sizes,
# read-only, without MSI-X, with too few vectors, legacy virtio, NVMe with a file
# system; masked interrupts; then the guest reboots and finds everything again.
#
# shellcheck disable=SC2016 # what stands in single quotes is for the guest
#
# lab: --cpus 4

set -euo pipefail
# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

disk_q1="" disk_q2="" disk_q4="" disk_ro="" disk_4k="" disk_irq="" disk_old=""
disk_few="" nvme512="" nvme4k=""
few="few-vectors-20-bytes"	# a serial can have that many

disks_up() {
	local fd_disk fd_vhost

	null_up t_q1 blocksize=512
	disk_q1=$device
	vm_add q1 "$device" num-queues=1
	null_up t_q4 blocksize=512
	disk_q4=$device
	vm_add q4 "$device" num-queues=4,queue-size=128
	null_up t_ro blocksize=512 size=16
	disk_ro=$device
	fill "$device" 4
	vm_add ro "$device" num-queues=1,read-only=on
	null_up t_4k blocksize=4096
	disk_4k=$device
	vm_add b4k "$device"
	null_up t_irq blocksize=512
	disk_irq=$device
	vm_add intx "$device" num-queues=2,vectors=0
	null_up t_few blocksize=512
	disk_few=$device
	vm_add $few "$device" num-queues=4,vectors=2
	null_up t_old blocksize=512
	disk_old=$device
	vm_add legacy "$device" \
		num-queues=2,disable-legacy=off,disable-modern=on
	if wait_for nvme_find 512; then
		nvme512=$device
		vm_add nvme512 "$device" num-queues=2
	fi
	if wait_for nvme_find 4096; then
		nvme4k=$device
		vm_add nvme4k "$device" num-queues=2
	fi

	# As libvirt does it: QEMU opens nothing itself.
	null_up t_q2 blocksize=512
	disk_q2=$device
	exec {fd_disk}<>"$device" {fd_vhost}<>/dev/vhost-blk
	vm_args+=(-device "vhost-blk-pci,id=q2,serial=q2,fd=$fd_disk,vhostfd=$fd_vhost,num-queues=2")
	vm_devices+=("$device")
	check "guest boots with ten disks" start_guest
	exec {fd_disk}>&- {fd_vhost}>&-
}

start_guest() {
	# iomem: for mask_vector
	GUEST_CPUS=4 GUEST_APPEND="iomem=relaxed" vm_boot disks
}

# has SERIAL DEVICE QUEUES BLOCK-SIZE: what the guest sees of the disk
has() {
	local seen

	seen=$(vm_run disks "d=/sys/block/\$(disk $1) || exit
		echo \$(cat \$d/size \$d/queue/logical_block_size) \
			\$(ls \$d/mq | wc -l)") || return
	same "size, block and queues of $1" "$seen" \
		"$(blockdev --getsz "$2") $4 $3"
}

serials() {
	vm_run disks "for s in q1 q2 q4 ro b4k intx $few legacy; do
		disk \$s || exit; done"
}

# same_data SERIAL DEVICE MIB: the host finds what the guest does
same_data() {
	local there

	there=$(vm_run disks "hash $1 $3") || return
	same "hash of $1" "$(hash_of "$2" "$3")" "$there"
}

# every_queue SERIAL DEVICE JOBS: one job on each CPU, each with 4 MiB of its own;
# every interrupt of the disk comes.
every_queue() {
	local out

	out=$(vm_run disks "interrupts $1 > /run/before || exit
		verify $1 --numjobs=4 --offset_increment=4m --cpus_allowed=0-3 \
			--cpus_allowed_policy=split || exit
		interrupts $1 > /run/after
		paste /run/before /run/after | awk '{ print \$2 - \$1 }'") ||
		{ echo "$out"; return 1; }
	echo "interrupts of $1: ${out//$'\n'/ }"
	same "interrupts that came" "$(grep -c '^[1-9]' <<<"$out")" "$3" &&
		same_data "$1" "$2" 16
}

read_only() {
	local before after

	before=$(hash_of "$disk_ro" 16) &&
		vm_run disks 'd=$(disk ro) && [ "$(cat /sys/block/$d/ro)" = 1 ] &&
			[ "$(hash ro 16)" = '"$before"' ]' &&
		fails vm_run disks 'dd if=/dev/zero of=$(node ro) bs=4k count=1 \
			oflag=direct' &&
		fails vm_run disks 'blockdev --setrw $(node ro)
			dd if=/dev/zero of=$(node ro) bs=4k count=1 \
			oflag=direct' &&
		after=$(hash_of "$disk_ro" 16) && same "hash" "$after" "$before"
}

# Without a vector for each queue the driver takes one for all of them.
few_vectors() {
	vm_run disks "[ \$(interrupts $few | wc -l) = 1 ] &&
		ls \$(pci $few)/msi_irqs > /dev/null &&
		verify $few --numjobs=2 --offset_increment=4m" &&
		same_data $few "$disk_few" 8
}

no_vectors() {
	vm_run disks 'v=$(basename "$(readlink -f /sys/block/$(disk intx)/device)") &&
		grep -E "IO-APIC.*[ ,]$v(,|\$)" /proc/interrupts &&
		! grep -E "PCI-MSI.* $v-" /proc/interrupts &&
		verify intx --numjobs=2 --offset_increment=4m' &&
		same_data intx "$disk_irq" 8
}

# Bit 32 of the features is VERSION_1.
legacy() {
	vm_run disks 'f=$(cat /sys/block/$(disk legacy)/device/features) &&
		[ "$(echo $f | cut -c 33)" = 0 ] &&
		verify legacy --numjobs=2 --offset_increment=4m' &&
		same_data legacy "$disk_old" 8
}

big_blocks() {
	fails vm_run disks 'fio --name=small --filename=$(node b4k) --direct=1 \
		--rw=read --bs=512 --size=4k --output=/dev/null' &&
		vm_run disks 'verify b4k --bssplit=4k/50:24k/25:64k/25' &&
		same_data b4k "$disk_4k" 4
}

file_system() {
	vm_run disks 'mkfs.ext4 -q $(node nvme512) && mkdir -p /mnt/n &&
		mount $(node nvme512) /mnt/n && make_tree /mnt/n/tree &&
		fio --name=file --filename=/mnt/n/file --size=8m --rw=randrw \
			--ioengine=libaio --direct=1 --iodepth=8 --bs=4k \
			--verify=crc32c --verify_fatal=1 --output=/dev/null &&
		sums_of /mnt/n > /run/sums && umount /mnt/n && cat /run/sums' \
		> "$vm_tmp/sums" &&
		same "files" "$(wc -l < "$vm_tmp/sums")" 25
}

file_system_clean() {
	vm_run disks 'e2fsck -fn $(node nvme512)'
}

file_system_kept() {
	file_system_clean && vm_run disks 'mkdir -p /mnt/n &&
		mount -o ro $(node nvme512) /mnt/n && sums_of /mnt/n &&
		umount /mnt/n' | diff - "$vm_tmp/sums"
}

file_system_here() {
	require_module ext4
	mkdir -p "$vm_tmp/mnt"
	e2fsck -fn "$nvme512" && mount -o ro "$nvme512" "$vm_tmp/mnt" &&
		(cd "$vm_tmp/mnt" && find . -type f | LC_ALL=C sort |
			xargs md5sum) | diff - "$vm_tmp/sums"
	local status=$?
	umount "$vm_tmp/mnt" || status=1
	return $status
}

# CPUs go and come back under load: the guest masks and unmasks vectors.
cpus_come_and_go() {
	vm_spawn disks cpus 'load q4 8 --numjobs=2 --offset_increment=16m' &&
		vm_run disks 'for round in 1 2; do for cpu in 3 2 1; do
			echo 0 > /sys/devices/system/cpu/cpu$cpu/online || exit
		done; sleep 0.5; for cpu in 1 2 3; do
			echo 1 > /sys/devices/system/cpu/cpu$cpu/online || exit
		done; done' &&
		guest_join disks cpus
}

# The vector of q1's queue is masked by hand: what completes meanwhile waits
# for the interrupt, and gets it when the vector is unmasked. The table is at
# the start of BAR 1, the first vector is that of configuration changes.
masked_vector() {
	vm_run disks 'bar=$(sed -n 2p "$(pci q1)/resource" | cut -d " " -f 1)
		control=$(printf 0x%x $((bar + 16 + 12)))
		old=$(devmem $control 32) || exit
		[ $((old)) = 0 ] || { echo "already masked: $old"; exit 1; }
		devmem $control 32 1
		(dd if=$(node q1) of=/dev/null bs=4k count=1 iflag=direct
		 echo $? > /run/masked) & sleep 2
		[ ! -e /run/masked ] || early=1
		devmem $control 32 0
		i=0; while [ ! -e /run/masked ] && [ $i -lt 50 ]; do
			sleep 0.2; i=$((i + 1)); done
		[ -z "$early" ] || { echo "not masked"; exit 1; }
		[ "$(cat /run/masked)" = 0 ]'
}

reboots() {
	guest_reboot disks &&
		guest_put disks "$selftests_dir/lib/vm_guest.sh" /run/vm.sh
}

vm_begin
require_module nvme
disks_up
check "NVMe disks with blocks of 512 and 4096 bytes are there" \
	test -n "$nvme512" -a -n "$nvme4k"
check "every disk has its serial" serials
check "capacity, block size, queues: 1 queue" has q1 "$disk_q1" 1 512
check "capacity, block size, queues: 2 queues" has q2 "$disk_q2" 2 512
check "capacity, block size, queues: 4 queues" has q4 "$disk_q4" 4 512
check "capacity, block size, queues: 4096 bytes" has b4k "$disk_4k" 4 4096
check "1 queue: fio verifies, interrupts come, host reads the same" \
	every_queue q1 "$disk_q1" 1
check "2 queues by descriptors: fio verifies, interrupts come for each" \
	every_queue q2 "$disk_q2" 2
check "4 queues: fio verifies, interrupts come for each" \
	every_queue q4 "$disk_q4" 4
check "read-only: guest cannot write, data unchanged" read_only
check "blocks of 4096 bytes: fio verifies" big_blocks
check "without MSI-X (vectors=0): fio verifies" no_vectors
check "fewer vectors than queues: fio verifies" few_vectors
check "legacy virtio: fio verifies" legacy
if [[ -n $nvme4k ]]; then
	check "NVMe, 4096 bytes: fio verifies" vm_run disks \
		'verify nvme4k --bssplit=4k/50:24k/25:64k/25'
fi
if [[ -n $nvme512 ]]; then
	check "NVMe: ext4, files, fio in the file system" file_system
	check "NVMe: e2fsck finds nothing" file_system_clean
fi
check "a masked vector delays its interrupt, unmasking brings it" masked_vector
check "CPUs go offline and come back under load" cpus_come_and_go
kept=$(hash_of "$disk_q2" 16)
check "guest reboots" reboots
check "after the reboot: data is still there" \
	same "hash of q2" "$(vm_run disks 'hash q2 16')" "$kept"
if [[ -n $nvme512 ]]; then
	check "after the reboot: e2fsck finds nothing, checksums are the same" \
		file_system_kept
fi
check "after the reboot: 4 queues, fio verifies" every_queue q4 "$disk_q4" 4
vm_stop disks
if [[ -n $nvme512 ]]; then
	check "host mounts the guest's file system: checksums are the same" \
		file_system_here
fi
vm_end
