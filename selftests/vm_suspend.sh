#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host is suspended while a guest keeps two disks busy: an NVMe disk, which goes
# to sleep, and one so slow that there always are requests the thread has not come to.
# As far as each level of the kernel's own test (pm_test) goes, and to idle for real.
# Not to memory: QEMU resets the machine when it wakes up, and that takes the lab's
# root away. "core" is everything but that.

set -euo pipefail
# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

tracing=/sys/kernel/tracing
disks=(fast slow)
declare -A queues=()

# Inserts the module that lets the lab's host sleep.
helper() {
	local dir pci awake=""

	for dir in /sys/bus/virtio/drivers/9pnet_virtio/virtio*; do
		pci=$(readlink -f "$dir/..")
		awake+=,${pci##*/}
	done
	insmod "$selftests_dir/modules/test_suspend.ko" awake="${awake#,}"
}

# Before there is a guest: this replaces code of the kernel.
traces() {
	echo 8192 > $tracing/buffer_size_kb &&
		echo 0 > $tracing/tracing_on &&
		echo power:suspend_resume block:block_bio_queue > \
			$tracing/set_event
}

boots() {
	local disk

	GUEST_CPUS=1 vm_boot g || return
	for disk in "${disks[@]}"; do
		queues[$disk]=$(dirname "$(grep -lx "$disk" \
			/sys/class/vhost-blk/vhost-blk*/serial)")/queues/0
	done
	# The CPU that a suspended host takes offline
	echo 1 > "${queues[fast]}/cpu"
}

# spawn DISK FIO-ARGUMENTS: writes and compares until told to end
spawn() {
	vm_spawn g "$1" "while [ ! -e /run/enough ]; do verify $* || exit; done"
}

load() {
	spawn fast && spawn slow --iodepth=64 --size=1m && all_go_on
}

completed() {
	cat "${queues[$1]}/stats/completed"
}

more_than() {
	(($(completed "$1") > $2))
}

all_go_on() {
	local disk

	for disk in "${disks[@]}"; do
		wait_for more_than "$disk" $(($(completed "$disk") + 20)) ||
			{ echo "no more requests on $disk"; return 1; }
	done
}

# quiet_between BEGIN END: in the trace there is one such span, as expressions for
# awk, requests before it and after it, and none in it
quiet_between() {
	awk -v from="suspend_resume: $1" -v to="suspend_resume: $2" '
		$0 ~ from { spans++; asleep = 1 }
		$0 ~ to { asleep = 0 }
		/block_bio_queue/ { n[spans + asleep]++ }
		/block_bio_queue/ && asleep { print }
		END {
			printf("%d requests before, %d while asleep, %d after\n",
			       n[0], n[2], n[1])
			exit !(spans == 1 && n[0] && n[1] && !n[2])
		}' $tracing/trace
}

# sleeps LEVEL STATE: from when all tasks are frozen there are no requests
sleeps() {
	echo > $tracing/trace &&
		echo 1 > $tracing/tracing_on &&
		all_go_on &&
		echo "$1" > /sys/power/pm_test &&
		echo "$2" > /sys/power/state &&
		all_go_on || return
	echo 0 > $tracing/tracing_on
	quiet_between 'freeze_processes.* end' 'thaw_processes.* begin'
}

always_awake() {
	local disk

	for disk in "${disks[@]}"; do
		echo 1 > "${queues[$disk]}/poll_ns_shrink" &&
			echo 1000000000 > "${queues[$disk]}/poll_ns_max" &&
			echo 1000000000 > "${queues[$disk]}/poll_ns_grow_start" ||
			return
	done
	sleeps devices freeze
}

# Its CPU went offline and came back
worker_is_back() {
	local worker

	worker=$(cat "${queues[fast]}/worker")
	same "CPU of the thread" "$(cat "${queues[fast]}/cpu")" 1 &&
		same "CPUs it may use" "$(sed -n \
			's/^Cpus_allowed_list:\t//p' "/proc/$worker/status")" 1
}

sleeps_for_real() {
	echo 1 > /sys/module/test_suspend/parameters/timer && sleeps none freeze
}

fio_is_content() {
	local disk

	vm_run g 'touch /run/enough' || return
	for disk in "${disks[@]}"; do
		guest_join g "$disk" || return
	done
}

has_no() {
	! grep -qw "$2" "/sys/power/$1"
}

if [[ ! -e $selftests_dir/modules/test_suspend.ko || ${LAB_KERNEL:-} == debug ]] ||
   has_no state mem || has_no mem_sleep deep; then
	echo "1..0 # SKIP this kernel is not suspended"
	exit 4
fi
vm_begin
modprobe nvme
wait_for nvme_find 512 || die "no NVMe disk"
vm_add fast "$device"
null_up t_slow irqmode=2 completion_nsec=20000000 hw_queue_depth=2 \
	submit_queues=1
vm_add slow "$device"
helper
undo+=("rmmod test_suspend" "echo > $tracing/set_event"
       "echo none > /sys/power/pm_test")
echo 1 > /sys/module/suspend/parameters/pm_test_delay
traces
check "guest boots" boots
check "both disks are busy" load
for level in freezer devices platform; do
	check "suspend to idle under load, as far as $level" sleeps $level freeze
done
check "suspend to memory under load, as far as core" sleeps core mem
check "a thread whose CPU was offline meanwhile is back there" worker_is_back
check "suspend to idle under load, threads always awake" always_awake
check "suspend to idle under load, really" sleeps_for_real
check "fio found no wrong data and no error" fio_is_content
vm_stop g
vm_end
