#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of the demo that runs in the lab's host (see run.sh).

set -euo pipefail

# An emulated host is ten to twenty times slower than silicon: so long may either
# side poll for work, in ns.
poll_ns=5000000
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/vm/guest.sh
. scripts/vm/guest.sh
# shellcheck source=scripts/vm/progress.sh
. scripts/vm/progress.sh
# shellcheck source=scripts/vm/null-blk.sh
. scripts/vm/null-blk.sh
# shellcheck source=scripts/demo/bench.sh
. scripts/demo/bench.sh

: "${DEMO_REPEATS:=3}"
: "${DEMO_SECONDS:=3}"
tmp=/run/demo
disk=""

# The disk of the demo keeps what is written; those to measure do not, and are
# one for each way to it, all alike.
make_disks() {
	local name

	null_disk demo size=256 memory_backed=1
	demo_disk=$disk
	for name in vhost native uring; do
		null_disk "bench-$name" size=4096
		bench_disk["$name"]=$disk
	done
	bench_disk["bare"]=${bench_disk["vhost"]}
}

start_guest() {
	local -a args

	# shellcheck disable=SC2054 # these commas are QEMU's
	args=(-device "vhost-blk-pci,path=$demo_disk,num-queues=2,serial=demo"
	      -device "vhost-blk-pci,path=${bench_disk[vhost]},num-queues=1,serial=vhost"
	      -object "iothread,id=native,poll-max-ns=$poll_ns"
	      -object "iothread,id=uring,poll-max-ns=$poll_ns"
	      -drive "if=none,id=native,format=raw,cache=none,aio=native,file=${bench_disk[native]}"
	      -device virtio-blk-pci,drive=native,iothread=native,num-queues=1,serial=native
	      -drive "if=none,id=uring,format=raw,cache=none,aio=io_uring,file=${bench_disk[uring]}"
	      -device virtio-blk-pci,drive=uring,iothread=uring,num-queues=1,serial=uring)
	GUEST_CPUS=2 guest_start demo "${args[@]}"
	guest_wait_boot demo
	put_functions
}

put_functions() {
	cat scripts/vm/guest-disks.sh scripts/demo/guest.sh > "$tmp/guest.sh"
	guest_put demo "$tmp/guest.sh" /run/demo.sh
}

# in_guest COMMAND: with these functions
in_guest() {
	guest_run demo ". /run/demo.sh
$1" 300
}

# compare_sums WHERE FILE: is the list of checksums the same as at first?
compare_sums() {
	if ! cmp -s "$tmp/sums" "$2"; then
		step "MISMATCH: $1"
		diff "$tmp/sums" "$2" | head -n 20
		return 1
	fi
	step "  $1: the same $(wc -l < "$2") checksums"
}

guest_fills_disk() {
	step "guest: mkfs.ext4, files in a tree"
	in_guest 'format_disk && make_tree'
	step "guest: fio writes at random into a file and verifies (crc32c)"
	in_guest 'verify_file'
	in_guest 'sums' > "$tmp/sums"
	step "  $(wc -l < "$tmp/sums") files, $(in_guest 'size_of_tree') MiB"
	in_guest 'release'
}

guest_reboots() {
	step "guest: reboot"
	guest_reboot demo
	put_functions
	step "guest: e2fsck -f, checksums"
	in_guest 'check_disk'
	in_guest 'mount_disk && sums' > "$tmp/sums.reboot"
	in_guest 'release'
	compare_sums "guest, after the reboot" "$tmp/sums.reboot"
}

host_reads_disk() {
	step "host: e2fsck -f and mount of the same block device"
	modprobe ext4
	e2fsck -fn "$demo_disk" > "$tmp/e2fsck" 2>&1 || {
		cat "$tmp/e2fsck"
		return 1
	}
	mkdir -p "$tmp/mnt"
	mount -o ro "$demo_disk" "$tmp/mnt"
	(cd "$tmp/mnt" && find . -type f | LC_ALL=C sort | xargs sha256sum) \
		> "$tmp/sums.host"
	umount "$tmp/mnt"
	compare_sums "host" "$tmp/sums.host"
}

main() {
	mkdir -p "$tmp"
	step "host: Linux $(uname -r), $(nproc) CPUs, in emulation"
	insmod "$VHOST_BLK_KO" poll_ns_max=$poll_ns hold_us=8000
	make_disks
	step "guest: booting, vhost-blk-pci with 2 queues on $demo_disk"
	trap guest_kill_all EXIT
	start_guest
	guest_fills_disk
	guest_reboots
	bench_run
	guest_stop demo
	host_reads_disk
	rmmod vhost_blk
	bench_report
}

main
