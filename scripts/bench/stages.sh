# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What is measured, stage by stage; each has guests of its own. For host.sh.
#
# shellcheck disable=SC2154 # way_*, bench_*
# shellcheck disable=SC2034 # ways, disks, newer_disks: race() reads its caller's

bare=(bare-libaio bare-uring bare-polled)
vhost=(vhost-kick vhost-adaptive vhost-polling vhost-polldev)
qemu=(qemu-native qemu-native-poll qemu-uring qemu-uring-poll)
newer=(newer-native newer-native-poll newer-uring newer-uring-poll)
others=(vhost-scsi vhost-user guest-null)
# Where there is no time for all of QEMU's: those that win most of the race.
best=(qemu-native qemu-native-poll qemu-uring-poll newer-native-poll newer-uring-poll)

# works_of RWS BS DEPTHS JOBS: adds to works, but for what --rw and --depth do not
# let through and for writes where there must be none
works_of() {
	local rw depth jobs

	for rw in $1; do
		[[ " ${BENCH_RW:-$rw} " == *" $rw "* ]] || continue
		[[ -n $bench_writable || $rw == *read ]] || continue
		for depth in $3; do
			[[ " ${BENCH_DEPTHS:-$depth} " == *" $depth "* ]] ||
				continue
			for jobs in $4; do
				works+=("$rw $2 $depth $jobs")
			done
		done
	done
}

# ways_of WAYS...: sets ways, and the disks that they need in each of two guests
ways_of() {
	local name disk

	mapfile -t ways < <(wanted "$@")
	disks=() newer_disks=()
	for name in "${ways[@]}"; do
		disk=${way_disk[$name]}
		if [[ -z $disk ||
		      " ${disks[*]} ${newer_disks[*]} " == *" $disk "* ]]; then
			continue
		elif [[ -z ${way_guest[$name]:-} ]]; then
			disks+=("$disk")
		else
			newer_disks+=("$disk")
		fi
	done
}

# turn_of GUEST: sets turn, those of ways that are measured while it runs; those on
# the host are measured with the first
turn_of() {
	local name

	turn=()
	for name in "${ways[@]}"; do
		[[ ${way_guest[$name]:-bench} != "$1" ]] || turn+=("$name")
	done
}

# only_guest GUEST CPUS QUEUES DISKS...: it runs, and no other: one that is idle
# still takes time from who serves the disks, and QEMU then collects completions.
only_guest() {
	[[ ${bench_guests[*]} != "$1" ]] || return 0
	bench_guest_stop
	(($# == 3)) || bench_guest_start "$1" 0 "${@:2}"
}

# backwards NAME...: sets turn
backwards() {
	local name

	turn=()
	for name in "$@"; do
		turn=("$name" "${turn[@]}")
	done
}

# race_turn STAGE REPEAT [LABEL=VALUE...]: every way of turn with every work; every
# second time from the last to the first, so that none always follows the same.
race_turn() {
	local stage=$1 repeat=$2 work way bench_line
	shift 2

	((repeat % 2)) || backwards "${turn[@]}"
	for work in "${works[@]}"; do
		bench_line=""
		for way in "${turn[@]}"; do
			measure "$stage" "$way" "$work" "$repeat" "$@"
		done
		step "$stage $bench_device_name $work," \
			"$repeat of $BENCH_REPEATS:$bench_line"
	done
}

# race CPUS QUEUES STAGE [LABEL=VALUE...]: every one of ways with every one of works,
# then all of it again: what drifts hits them alike. In guests of that size.
race() {
	local cpus=$1 queues=$2 stage=$3 repeat guest
	local -a turn guest_disks
	shift 3

	((${#works[@]})) || return 0
	for ((repeat = 1; repeat <= BENCH_REPEATS; repeat++)); do
		for guest in bench newer; do
			turn_of "$guest"
			((${#turn[@]})) || continue
			guest_disks=("${disks[@]}")
			[[ $guest != newer ]] ||
				guest_disks=("${newer_disks[@]}")
			only_guest "$guest" "$cpus" "$queues" \
				"${guest_disks[@]}"
			race_turn "$stage" "$repeat" "$@"
		done
	done
	bench_guest_stop
}

# One queue, one job, interrupts.
stage_race() {
	local -a works=() ways disks newer_disks

	works_of randread 4k "1 32" 1
	if [[ -n $BENCH_QUICK ]]; then
		ways_of "${bare[@]}" "${vhost[@]}" "${qemu[@]}" "${others[@]}"
	elif [[ -n $bench_brief ]]; then
		ways_of "${bare[@]}" "${vhost[@]}" "${best[@]}"
	else
		ways_of "${bare[@]}" "${vhost[@]}" vhost-nohold "${qemu[@]}" \
			"${newer[@]}" "${others[@]}"
	fi
	bench_pin=yes race 1 1 race queues=1
}

# The guest has a queue that it polls; io_uring, so that what interrupts is
# measured in the same way.
stage_poll() {
	local -a works=() ways disks newer_disks fio_more=(--cpus_allowed=0)
	local GUEST_APPEND="virtio_blk.poll_queues=1 $GUEST_APPEND"
	local -a polled=(vhost-kick-uring vhost-guestpoll vhost-bothpoll
			 qemu-{native,uring}-{guestpoll,bothpoll})

	[[ -z $bench_brief ]] || return 0
	works_of randread 4k "1 32" 1
	if [[ -z $BENCH_QUICK ]]; then
		polled+=(newer-{native,uring}-{guestpoll,bothpoll})
	fi
	ways_of "${polled[@]}"
	bench_pin=yes race 2 2 poll queues=2
}

# Large requests, one after the other.
stage_large() {
	local -a works=() ways disks newer_disks

	works_of "read write" 128k 8 1
	works_of "read write" 1m 8 1
	if [[ -n $bench_brief ]]; then
		ways_of bare-libaio vhost-{adaptive,polling} "${best[@]}"
	else
		ways_of bare-{libaio,uring} vhost-{adaptive,polling} \
			"${qemu[@]}" "${newer[@]}" "${others[@]}"
	fi
	bench_pin=yes race 1 1 large queues=1
}

# What else fio may do with small ones.
stage_mixed() {
	local -a works=() ways disks newer_disks

	if [[ -z $bench_brief ]]; then
		works_of randread 4k 8 1
		works_of randwrite 4k "1 8" 1
	fi
	works_of randwrite 4k 32 1
	works_of randrw 4k 32 1
	ways_of bare-libaio vhost-{adaptive,polling} "${best[@]}"
	bench_pin=yes race 1 1 mixed queues=1
}

# jobs_race QUEUES WAYS...: with works
jobs_race() {
	local -a ways disks newer_disks
	local queues=$1
	shift

	ways_of "$@"
	race "$bench_cpus" "$queues" jobs queues="$queues"
}

# What the paper's figures show: more jobs, queues and threads.
stage_jobs() {
	local -a works=()
	local baseline=(bare-libaio qemu-native-q1 vhost-adaptive)

	works_of randread 4k 32 "$bench_jobs"
	if [[ -n $bench_brief ]]; then
		works_of randwrite 4k 32 "$bench_jobs"
		jobs_race "$bench_cpus" "${baseline[@]}"
		return
	fi
	jobs_race "$bench_cpus" bare-libaio qemu-native-q{1,2,3,4} \
		vhost-{kick,adaptive,polling}{,-onecore} newer-threads-{1,2,3,4}
	works=()
	works_of randwrite 4k 32 "$bench_jobs"
	jobs_race "$bench_cpus" "${baseline[@]}"
}

# The module and an io_uring loop, both driven by programs that spend next to
# nothing themselves; and fio.
stage_chardev() {
	local repeat work name bench_line
	local -a works=() ways disks newer_disks

	[[ -z $bench_brief ]] || return 0
	works_of randread 4k "1 32" 1
	ways_of ring-call ring-poll twin-call twin-poll bare-uring
	((${#works[@]} && ${#ways[@]})) || return 0
	for ((repeat = 1; repeat <= BENCH_REPEATS; repeat++)); do
		for work in "${works[@]}"; do
			bench_line=""
			for name in "${ways[@]}"; do
				measure_program "$name" "$work" "$repeat"
			done
			step "chardev $bench_device_name $work," \
				"$repeat of $BENCH_REPEATS:$bench_line"
		done
	done
}

# guests_up COUNT: guest1 and so on, as far as they do not run yet, on one disk.
# Several may have it only if none of them writes.
guests_up() {
	local i

	for ((i = ${#bench_guests[@]} + 1; i <= $1; i++)); do
		bench_read_only=on \
			bench_guest_start "guest$i" $((i - 1)) 1 1 vhost
	done
}

# One, two and four guests on one disk, each with a CPU; no guest is there but those.
stage_guests() {
	local -a works=() ways disks newer_disks
	local repeat count bench_line last=4

	[[ -z $bench_brief ]] || return 0
	works_of randread 4k 32 1
	ways_of vhost-adaptive
	((${#works[@]} && ${#ways[@]})) || return 0
	((last <= $(nproc))) || last=$(nproc)
	for ((repeat = 1; repeat <= BENCH_REPEATS; repeat++)); do
		bench_line=""
		for count in 1 2 4; do
			((count <= last)) || continue
			guests_up "$count"
			until measure_guests "$count" "${works[0]}" \
					"$repeat"; do
				bench_guests_lost "guests, $count of $last"
				bench_guest_stop
				guests_up "$count"
			done
		done
		bench_guest_stop
		step "guests $bench_device_name ${works[0]}," \
			"$repeat of $BENCH_REPEATS:$bench_line"
	done
}
