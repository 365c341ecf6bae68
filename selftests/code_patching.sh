#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the kernel wants to do while a worker never sleeps: replace its own code (live
# patch, function tracer, kprobes, tracepoints), wait for each task to have been
# somewhere safe, change cpusets. Each is through in ten seconds. And what the
# tracepoints tell is complete.
#
# Run by code.sh with a disk as its argument.

set -euo pipefail
# shellcheck source=selftests/lib/placed.sh
. "$(dirname "$0")/lib/placed.sh"

limit=$((10 * ${KSFT_TIME_SCALE:-1}))
tracing=/sys/kernel/tracing
group=/sys/fs/cgroup/vb-patching
modules=$selftests_dir/modules
waited=0
lived_before=0

# in_time COMMAND...: no longer than the limit
in_time() {
	timeout -k 1 $limit "$@" || { echo "status $?: $*"; return 1; }
}

# until_true COMMAND...: for at most the limit
until_true() {
	local start=$SECONDS

	until "$@" 2>/dev/null; do
		if ((SECONDS - start > limit)); then
			echo "more than $limit s: $*"
			return 1
		fi
		sleep 0.2
	done
}

# timed NAME COMMAND...: check, and how long it took
timed() {
	local start=${EPOCHREALTIME/./}

	check "$@"
	echo "# $(((${EPOCHREALTIME/./} - start) / 1000)) ms"
}

# never_idle: a guest whose ring never is empty for long, on CPU 0, and a worker on
# CPU 1 that polls whenever it is
never_idle() {
	taskset -c 0 "$selftests_dir/build/ring_load" "$disk" 1000 depth=85 \
		type=none wait=poll > "$tmp/guest" 2>&1 &
	guest=$!
	find_guest && echo 1 > "$queue/cpu" &&
		echo 1000000000 > "$queue/poll_ns_grow_start" &&
		echo 1000000000 > "$queue/poll_ns_max" &&
		echo 1 > "$queue/poll_ns_shrink" || return
	sleep 1
	waited=$(attr stats/halt_wait_ns)
	lived_before=$(attr stats/lifetime_ns)
}

# Awake for 19 of 20 parts of the time: nothing here was so because it slept.
hardly_slept() {
	local wait lived

	wait=$(($(attr stats/halt_wait_ns) - waited))
	lived=$(($(attr stats/lifetime_ns) - lived_before))
	echo "asleep for $wait of $lived ns"
	((lived > 1000000000 && wait < lived / 20))
}

guest_killed() {
	kill -KILL "$guest"
	wait "$guest" 2>/dev/null
	guest=""
}

#
# Live patch
#

patch=/sys/kernel/livepatch/test_livepatch

transition_over() {
	[[ $(cat $patch/transition) == 0 ]]
}

patch_gone() {
	[[ ! -e $patch ]]
}

livepatch_on() {
	in_time insmod "$modules/test_livepatch.ko" &&
		until_true transition_over && [[ $(cat /proc/uptime) == patched ]]
}

livepatch_off() {
	echo 0 > $patch/enabled && until_true patch_gone &&
		until_true rmmod test_livepatch && [[ $(cat /proc/uptime) != patched ]]
}

#
# Tracing
#

trace_up() {
	[[ -d $tracing/events ]] || mount -t tracefs none $tracing
}

# put TEXT FILE of tracefs
put() {
	# shellcheck disable=SC2016 # for sh
	in_time sh -c 'echo "$1" > "$2"' sh "$1" "$tracing/$2"
}

function_tracer() {
	trace_up && put ':mod:vhost_blk' set_ftrace_filter &&
		put function current_tracer && sleep 0.5 &&
		grep -q vhost_blk_worker_pass $tracing/trace &&
		put nop current_tracer && put '' set_ftrace_filter
}

kprobe() {
	put 'p:vb_test vhost_blk_worker_pass' kprobe_events &&
		put 1 events/kprobes/vb_test/enable && sleep 0.5 &&
		grep -q vb_test: $tracing/trace &&
		put 0 events/kprobes/vb_test/enable && put '' kprobe_events
}

bpftrace_attaches() {
	timeout -k 1 $limit bpftrace -e 'kprobe:vhost_blk_worker_pass { @ = count(); }
		interval:s:1 { exit(); }' > "$tmp/bpftrace" 2>&1
	cat "$tmp/bpftrace"
	grep -qE '^@: [1-9]' "$tmp/bpftrace"
}

events_on_and_off() {
	local round

	for ((round = 0; round < 50; round++)); do
		echo 1 > $tracing/events/vhost_blk/enable &&
			echo 0 > $tracing/events/vhost_blk/enable || return
	done
	goes_on
}

#
# Others
#

rcu_tasks() {
	in_time insmod "$modules/test_rcu_tasks.ko" && rmmod test_rcu_tasks
}

group_up() {
	mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null || true
	echo +cpuset > /sys/fs/cgroup/cgroup.subtree_control && mkdir $group
}

undo_group() {
	! [[ -d $group ]] || wait_for rmdir $group
}

# The worker itself is in the group: it is bound like any task there.
cpuset() {
	group_up && attr worker > $group/cgroup.procs &&
		in_time sh -c "echo 0 > $group/cpuset.cpus" &&
		until_true on 0 cpuset &&
		in_time sh -c "echo 1 > $group/cpuset.cpus" &&
		until_true on 1 cpuset && goes_on
}

#
# Each request has one event of its start, and one of its end
#

# The whole life of a guest is recorded: nothing is cut off.
pairs() {
	local file="$tracing/instances/vb-pairs" status=0

	mkdir "$file" && echo 16384 > "$file/buffer_size_kb" || return
	for event in request_start request_submit request_complete; do
		echo 1 > "$file/events/vhost_blk/vhost_blk_$event/enable"
	done
	"$selftests_dir/build/ring_load" "$disk" 1 depth=8 > "$tmp/load" ||
		status=$?
	echo 0 > "$file/tracing_on"
	cat "$file/trace" > "$tmp/trace"
	rmdir "$file"
	((status == 0)) && paired "$(sed -n 's/^chains=\([0-9]*\) .*/\1/p' \
		"$tmp/load")"
}

# paired N: so many requests, in order and complete
paired() {
	awk -v n="$1" '
		/vhost_blk_request_/ {
			id = $0
			sub(/.*dev=/, "dev=", id)
			sub(/ (op|backend)=.*/, "", id)
		}
		/vhost_blk_request_start:/ { wrong += state[id] != ""; state[id] = "started"; starts++ }
		/vhost_blk_request_submit:/ { wrong += state[id] != "started"; state[id] = "submitted"; submits++ }
		/vhost_blk_request_complete:/ { wrong += state[id] != "submitted"; state[id] = ""; ends++ }
		END {
			print n " chains: " starts " starts, " submits " submits, " \
				ends " ends, " wrong + 0 " out of order"
			exit !(n > 0 && starts == n && submits == n && ends == n && !wrong)
		}' "$tmp/trace"
}

# module_for_us NAME: was it built, and for this kernel?
module_for_us() {
	[[ -e $modules/$1.ko &&
	   $(modinfo -F vermagic "$modules/$1.ko") == "$(uname -r) "* ]]
}

# skip NAME REASON
skip() {
	tap_result ok "$1 # SKIP $2"
}

checks() {
	local name

	check "a guest's ring never is empty" never_idle
	name="live patch, on"
	if [[ ! -d /sys/kernel/livepatch ]] || ! module_for_us test_livepatch; then
		skip "$name" "this kernel has none, or no module was built for it"
	else
		timed "$name" livepatch_on
		timed "live patch, off" livepatch_off
	fi
	timed "function tracer on the module" function_tracer
	timed "kprobe" kprobe
	if command -v bpftrace > /dev/null; then
		timed "bpftrace attaches" bpftrace_attaches
	else
		skip "bpftrace attaches" "there is none"
	fi
	timed "tracepoints on and off, 50 times" events_on_and_off
	if module_for_us test_rcu_tasks; then
		timed "RCU tasks grace period" rcu_tasks
	else
		skip "RCU tasks grace period" "no module was built for this kernel"
	fi
	check "the worker hardly slept" hardly_slept
	timed "cpuset moves it" cpuset
	check "the guest is killed" guest_killed
	check "a start and an end for each request" pairs
}

placed_begin "$1"
undo+=(undo_group)
# A task that keeps a CPU for twice as long is reported.
echo 5 > /proc/sys/kernel/watchdog_thresh
checks
tap_end
