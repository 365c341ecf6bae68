# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What is measured, stage by stage; each has a guest of its own. For host.sh.
#
# shellcheck disable=SC2154 # way_*, bench_*
# shellcheck disable=SC2034 # arrays that race() takes by name

stages_all="race poll"

# works_of RWS BS DEPTHS JOBS: sets works, but for what --rw and --depth do not
# let through
works_of() {
	local rw depth jobs

	works=()
	for rw in $1; do
		[[ " ${BENCH_RW:-$rw} " == *" $rw "* ]] || continue
		for depth in $3; do
			[[ " ${BENCH_DEPTHS:-$depth} " == *" $depth "* ]] ||
				continue
			for jobs in $4; do
				works+=("$rw $2 $depth $jobs")
			done
		done
	done
}

# ways_of WAYS...: sets ways and the disks that they need
ways_of() {
	local name

	mapfile -t ways < <(wanted "$@")
	disks=()
	for name in "${ways[@]}"; do
		[[ -z ${way_disk[$name]} ||
		   " ${disks[*]} " == *" ${way_disk[$name]} "* ]] ||
			disks+=("${way_disk[$name]}")
	done
}

# with_guest CPUS QUEUES COMMAND...: while a guest with the disks runs, if any
with_guest() {
	local cpus=$1 queues=$2
	shift 2

	if ((${#disks[@]})); then
		bench_guest_start bench "$cpus" "$queues" "${disks[@]}"
		pin bench >/dev/null
	fi
	"$@"
	((${#disks[@]} == 0)) || bench_guest_stop bench
}

# One queue, one job, interrupts.
stage_race() {
	local -a works ways disks

	ways_of bare-libaio bare-uring bare-polled vhost-kick vhost-adaptive \
		vhost-polling vhost-polldev qemu-native qemu-native-poll \
		qemu-uring qemu-uring-poll vhost-scsi vhost-user
	works_of randread 4k "1 32" 1
	with_guest 1 1 race race works ways queues=1
}

# The guest has a queue that it polls.
stage_poll() {
	local -a works ways disks
	local GUEST_APPEND="virtio_blk.poll_queues=1 $GUEST_APPEND"
	local -a fio_more=(--cpus_allowed=0)

	ways_of vhost-kick-uring vhost-guestpoll vhost-bothpoll \
		qemu-native-guestpoll qemu-native-bothpoll \
		qemu-uring-guestpoll qemu-uring-bothpoll
	works_of randread 4k "1 32" 1
	with_guest 2 2 race poll works ways queues=2
}
