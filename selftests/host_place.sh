#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Where workers run: by hand, when CPUs come and go, when cpusets change, and in
# whose control groups. Run by host.sh with a disk as its argument.

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=selftests/lib/common.sh
. "$here/lib/common.sh"
# shellcheck source=selftests/lib/tap.sh
. "$here/lib/tap.sh"

disk=$1
tmp=$(mktemp -d)
groups=/sys/fs/cgroup
guest=""
queue=""

cleanup() {
	[[ -z $guest ]] || kill -KILL "$guest" 2>/dev/null || true
	wait
	echo 1 > /sys/devices/system/cpu/cpu1/online 2>/dev/null || true
	rmdir "$groups"/vb-* 2>/dev/null || true
	[[ $groups != "$tmp"* ]] || umount "$groups" 2>/dev/null || true
	rm -rf "$tmp"
}
trap cleanup EXIT

# check NAME COMMAND...
check() {
	local name=$1
	shift

	if "$@" > "$tmp/check" 2>&1; then
		tap_result ok "$name"
	else
		tap_result "not ok" "$name"
		sed 's/^/# /' "$tmp/check"
	fi
}

# start [CGROUP]: a busy guest, perhaps in a control group
start() {
	local run="exec $here/build/busy_guest $disk 600"

	[[ -z ${1:-} ]] || run="echo \$\$ > $1/cgroup.procs && $run"
	sh -c "$run" > "$tmp/guest" 2>&1 &
	guest=$!
	wait_for grep -q attached "$tmp/guest" || { cat "$tmp/guest"; return 1; }
	queue=$(dirname "$(grep -lx "$guest" \
		/sys/class/vhost-blk/vhost-blk*/owner)")/queues/0
}

# ends: the guest ends in order, every request answered in time
ends() {
	local status=0

	kill -TERM "$guest" || return
	wait "$guest" || status=$?
	guest=""
	cat "$tmp/guest"
	return $status
}

attr() {
	cat "$queue/$1"
}

# on CPU [WHY]: the worker is bound to this CPU, and sysfs says so
on() {
	local may

	may=$(sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$(attr worker)/status")
	[[ $(attr cpu) == "$1" && $may == "$1" &&
	   $(attr cpu_why) == "${2:-$(attr cpu_why)}" ]] || {
		echo "cpu $(attr cpu) why $(attr cpu_why) may run on $may"
		return 1
	}
}

# goes_on: requests are being served
goes_on() {
	local before

	before=$(attr stats/completed)
	wait_for more_than "$before"
}

more_than() {
	(($(attr stats/completed) > $1))
}

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

cpu_goes() {
	echo 1 > "$queue/cpu" && on 1 set || return
	echo 0 > /sys/devices/system/cpu/cpu1/online
	on 0 offline && goes_on
}

cpu_comes_back() {
	echo 1 > /sys/devices/system/cpu/cpu1/online
	wait_for on 1 online && goes_on && echo -1 > "$queue/cpu"
}

cpus_come_and_go() {
	local round

	for ((round = 0; round < 3; round++)); do
		echo 0 > /sys/devices/system/cpu/cpu1/online && goes_on || return
		echo 1 > /sys/devices/system/cpu/cpu1/online && goes_on || return
	done
}

groups_up() {
	if [[ ! -e $groups/cgroup.controllers ]]; then
		groups=$tmp/cgroup
		mkdir "$groups" && mount -t cgroup2 none "$groups" || return
	fi
	echo "+cpu +cpuset +io" > "$groups/cgroup.subtree_control" &&
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

# A fifth of a CPU for guest and worker together.
cpu_max() {
	local before after

	echo "20000 100000" > "$groups/vb-cpu/cpu.max"
	sleep 1
	before=$(usage_us)
	sleep 4
	after=$(usage_us)
	echo max > "$groups/vb-cpu/cpu.max"
	echo "used $((after - before)) us in 4 s"
	((after - before < 1100000 && after > before))
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
	local device before after

	device=$(lsblk -dno MAJ:MIN "$disk" | tr -d ' ')
	echo "$device wiops=20" > "$groups/vb-io/io.max" || return
	sleep 1
	before=$(attr stats/write_requests)
	sleep 4
	after=$(attr stats/write_requests)
	echo "$device wiops=max" > "$groups/vb-io/io.max"
	echo "$((after - before)) writes in 4 s, $(ios) charged to the group"
	((after > before && after - before <= 100)) && (($(ios) > 0))
}

gone() {
	rmdir "$groups/vb-cpu" "$groups/vb-io"
}

echo "KTAP version 1"
if (($(nproc) < 2)); then
	echo "1..0 # SKIP one CPU only"
	exit 4
fi
check "a guest is busy" start
check "moved by hand, six times" moved_by_hand
check "CPUs that are not there are refused" refused
check "its CPU goes offline: the worker goes elsewhere" cpu_goes
check "the CPU comes back: the worker, too" cpu_comes_back
check "CPUs come and go under load" cpus_come_and_go
check "no request was lost or took long" ends
check "control groups" groups_up
check "a guest in a group is busy" start "$groups/vb-cpu"
check "the worker is in the group" in_group "$groups/vb-cpu"
check "cpu.max holds for guest and worker together" cpu_max
check "a cpuset moves the worker" cpuset
check "no request was lost or took long in the group" ends
check "a guest in another group is busy" start "$groups/vb-io"
check "io.max holds for the worker's bios" io_max
check "no request was lost in that group" ends
check "nothing keeps the groups" wait_for gone
tap_end
