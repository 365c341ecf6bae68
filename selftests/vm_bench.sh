#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The bench on a host (scripts/bench/run.sh --host) keeps off disks that somebody
# uses, and writes to none that it was not told to.

set -euo pipefail
# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

bench=$selftests_dir/../scripts/bench/run.sh
out=$vm_tmp/bench

# refuses REASON OPTION DEVICE
refuses() {
	local status=0

	"$bench" --host "$2" "$3" --out "$out" > "$vm_tmp/refused" 2>&1 ||
		status=$?
	cat "$vm_tmp/refused"
	same "status" "$status" 2 && grep -q "is $1" "$vm_tmp/refused"
}

# both_refused REASON: to read as well as to write
both_refused() {
	refuses "$1" --device "$disk" && refuses "$1" --write "$disk"
}

mounted() {
	local status=0

	modprobe ext4 && mke2fs -q -t ext4 "$disk" && mkdir -p "$vm_tmp/mnt" &&
		mount "$disk" "$vm_tmp/mnt" || return
	both_refused "mounted or otherwise in use" || status=$?
	umount "$vm_tmp/mnt" && return $status
}

in_a_volume() {
	local status=0

	dm_up t_bench_dm "0 1024 linear $disk 0" || return
	both_refused "mounted or otherwise in use" || status=$?
	dmsetup remove --noudevrules --noudevsync --retry t_bench_dm
	unset 'undo[-1]'
	return $status
}

open_elsewhere() {
	local fd status=0

	exec {fd}<"$disk"
	both_refused "open in another program" || status=$?
	exec {fd}<&-
	return $status
}

# bench_on OPTIONS...: two ways, very shortly
bench_on() {
	"$bench" --host --module "$VHOST_BLK_KO" --stages race --depth 32 \
		--only 'vhost-kick,qemu-native' --repeats 1 --seconds 1 \
		--out "$out" "$@"
}

only_reads() {
	local before

	before=$(hash_of "$disk" 64)
	bench_on --device "$disk" --rw randread,randwrite &&
		same "disk" "$(hash_of "$disk" 64)" "$before" || return
	same "measured" "$(jq -c '[.results[] | [.way, .rw]]' "$out/results.json")" \
		'[["vhost-kick","randread"],["qemu-native","randread"]]'
}

writes_if_told() {
	local before

	before=$(hash_of "$disk" 64)
	bench_on --write "$disk" --rw randwrite --only qemu-native || return
	[[ $(hash_of "$disk" 64) != "$before" ]]
}

leaves_nothing() {
	! compgen -G "/sys/kernel/config/nullb/vhost-bench" &&
		! compgen -G "/sys/kernel/tracing/instances/kvm-*" &&
		! pgrep qemu-storage-da && [[ -c /dev/vhost-blk ]]
}

vm_begin
null_up t_bench blocksize=512
disk=$device
vm_devices+=("$disk")

check "no block device" refuses "no block device" --device /dev/null
check "a mounted disk is refused" mounted
check "a disk with a volume on it is refused" in_a_volume
check "a disk that is open elsewhere is refused" open_elsewhere
fill "$disk" 64
check "reads only, and leaves the disk as it is" only_reads
check "writes to the disk that it is told to" writes_if_told
check "nothing of the bench is left" leaves_nothing
vm_end
