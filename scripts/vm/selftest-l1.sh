#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Part of selftest.sh that runs in the lab's host: is everything there? $1 is
# a directory below that is also given as /out.

set -euo pipefail

expect() {
	[[ $2 == "$3" ]] || { echo "$1 is '$2' instead of '$3'"; exit 1; }
}

expect "directory" "$PWD" "$(cd "$(dirname "$0")/../.." && pwd)"
expect "user" "$(id -u)" 0
expect "CPUs" "$(nproc)" 2

for dir in /proc /sys /dev /dev/pts /dev/shm /run /sys/kernel/debug \
	   /sys/kernel/tracing /sys/kernel/config /sys/fs/cgroup; do
	mountpoint -q "$dir" || { echo "$dir is not mounted"; exit 1; }
done
# The command line must be ours, not that of the machine below.
grep -q lab.job= /proc/cmdline
ping_ok=$(cat /sys/class/net/lo/flags)
(((ping_ok & 1) == 1)) || { echo "lo is down"; exit 1; }

for module in null_blk brd loop scsi_debug dm-mod dm-delay dm-flakey \
	      dm-log-writes nvme nvmet nvme-tcp vhost_scsi target_core_iblock \
	      kvm_amd; do
	modprobe "$module" || { echo "modprobe $module fails"; exit 1; }
done
[[ -c /dev/kvm ]]
dmsetup create -n try
dmsetup remove try

expect "block size" "$(cat /sys/block/nvme0n1/queue/logical_block_size)" 4096
expect "sectors" "$(cat /sys/block/nvme0n1/size)" $((64 * 2048))
expect "sectors" "$(cat /sys/block/nvme1n1/size)" $((1024 * 2048))
dd if=/dev/urandom of=/run/a bs=1M count=8 status=none
dd if=/run/a of=/dev/nvme0n1 bs=1M oflag=direct status=none
dd if=/dev/nvme0n1 of=/run/b bs=1M count=8 iflag=direct status=none
cmp /run/a /run/b

touch "$1/overlay"
echo "from L1" > /out/answer
