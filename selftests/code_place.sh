#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Where workers run: by hand, when cpusets change, and in whose control groups. Run by
# code.sh with a disk as its argument: the first cpu.max makes the kernel replace code.

set -euo pipefail
# shellcheck source=selftests/lib/placed.sh
. "$(dirname "$0")/lib/placed.sh"

groups=/sys/fs/cgroup

undo_groups() {
	rmdir "$groups"/vb-* 2>/dev/null || true
	[[ $groups != "$tmp"* ]] || umount "$groups" 2>/dev/null || true
}
undo+=(undo_groups)

moved_by_hand() {
	local round cpu

	for ((round = 0; round < 6; round++)); do
		cpu=$((round % 2))
		echo $cpu > "$queue/cpu" && on $cpu set || return
	done
	goes_on && echo -1 > "$queue/cpu" && [[ $(attr cpu_why) == least ]]
}

refused() {
	! echo 9999 > "$queue/cpu" && ! echo x > "$queue/cpu" &&
		! echo -2 > "$queue/cpu"
}

groups_up() {
	if [[ ! -e $groups/cgroup.controllers ]]; then
		groups=$tmp/cgroup
		mkdir "$groups" && mount -t cgroup2 none "$groups" || return
	fi
	echo "+cpu +cpuset +io +memory" > "$groups/cgroup.subtree_control" &&
		mkdir "$groups/vb-cpu" "$groups/vb-io"
}

in_group() {
	grep -qx "$(attr worker)" "$1/cgroup.procs" || {
		cat "/proc/$(attr worker)/cgroup"
		return 1
	}
}

usage_us() {
	sed -n 's/^usage_usec //p' "$groups/vb-cpu/cpu.stat"
}

# In microseconds; a machine that is busy sleeps for longer than it was told.
now_us() {
	echo "${EPOCHREALTIME/./}"
}

# A fifth of a CPU for guest and worker together, and two periods of it.
cpu_max() {
	local before after start passed

	echo "20000 100000" > "$groups/vb-cpu/cpu.max"
	sleep 1
	start=$(now_us)
	before=$(usage_us)
	sleep 4
	after=$(usage_us)
	passed=$(($(now_us) - start))
	echo max > "$groups/vb-cpu/cpu.max"
	echo "used $((after - before)) us of $passed"
	((after - before < passed / 5 + 2 * 20000 && after > before))
}

cpuset() {
	echo 0 > "$groups/vb-cpu/cpuset.cpus" && wait_for on 0 && goes_on &&
		echo 1 > "$groups/vb-cpu/cpuset.cpus" && wait_for on 1 cpuset &&
		goes_on && echo 0-1 > "$groups/vb-cpu/cpuset.cpus"
}

# ios: requests that the disk has served for the group
ios() {
	sed -nE "s/^$(lsblk -dno MAJ:MIN "$disk" | tr -d ' ').* wios=([0-9]+).*/\1/p" \
		"$groups/vb-io/io.stat"
}

io_max() {
	local device before after start passed

	device=$(lsblk -dno MAJ:MIN "$disk" | tr -d ' ')
	echo "$device wiops=20" > "$groups/vb-io/io.max" || return
	sleep 1
	start=$(now_us)
	before=$(attr stats/write_requests)
	sleep 4
	after=$(attr stats/write_requests)
	passed=$(($(now_us) - start))
	echo "$device wiops=max" > "$groups/vb-io/io.max"
	echo "$((after - before)) writes in $passed us, $(ios) charged to the group"
	((after > before && (after - before - 20) * 1000000 <= 20 * passed)) &&
		(($(ios) > 0))
}

# A worker stays in the group in which its disk was attached, and keeps that.
owner_moves() {
	echo "$guest" > "$groups/vb-io/cgroup.procs" && goes_on &&
		in_group "$groups/vb-cpu" && ! rmdir "$groups/vb-cpu"
}

gone() {
	rmdir "$groups/vb-cpu" "$groups/vb-io"
}

placed_begin "$1"
if (($(nproc) < 2)); then
	echo "1..0 # SKIP one CPU only"
	exit 4
fi
check "a guest is busy" start
check "moved by hand, six times" moved_by_hand
check "CPUs that are not there are refused" refused
check "no request was lost or took long" ends
check "control groups" groups_up
check "a guest in a group is busy" start "$groups/vb-cpu"
check "the worker is in the group" in_group "$groups/vb-cpu"
check "cpu.max holds for guest and worker together" cpu_max
check "a cpuset moves the worker" cpuset
check "the owner moves to another group, the worker stays" owner_moves
check "no request was lost or took long in the group" ends
check "a guest in another group is busy" start "$groups/vb-io"
check "io.max holds for the worker's bios" io_max
check "no request was lost in that group" ends
check "nothing keeps the groups" wait_for gone
tap_end
