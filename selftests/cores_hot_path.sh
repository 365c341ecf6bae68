#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What four queues under load do not do: get or give back memory, or wait for each
# other. Counted by the kernel's own tracepoints, of the four workers. Run by cores.sh,
# with a disk as its argument.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=selftests/lib/placed.sh
. "$here/lib/placed.sh"

bench=$here/../scripts/bench/chardev/build/ring_bench
tracing=/sys/kernel/tracing
trace=$tracing/instances/hot-path
queues=4
enough=$((20000 / ${KSFT_TIME_SCALE:-1}))	# requests of each queue
serves=""	# "common_pid == ..." of each worker
lock_events=()
requests=0	# that were watched
least=0
all=0
never=""	# nothing ever comes from there

undo+=(trace_down)

# note TEXT: shown whatever the result is
note() {
	echo "$*"
	echo "# $*" >> "$tmp/notes"
}

# The kernel's own balancing of NUMA nodes makes programs fault, and workers with them.
balancing=/proc/sys/kernel/numa_balancing

trace_up() {
	if [[ -e $balancing ]]; then
		undo+=("echo $(< $balancing) > $balancing")
		echo 0 > $balancing
	fi
	[[ -d $tracing/instances ]] || mount -t tracefs none $tracing || return
	mkdir $trace && echo 2048 > $trace/buffer_size_kb
}

trace_down() {
	[[ ! -d $trace ]] || rmdir $trace
}

# load_up ARGUMENT...: a guest with four busy queues, and who serves them
load_up() {
	local dir q

	"$bench" --device "$disk" --queues $queues --seconds 600 "$@" \
		> "$tmp/guest" 2>&1 &
	guest=$!
	wait_for find_device || { cat "$tmp/guest"; return 1; }
	serves=""
	for ((q = 0; q < queues; q++)); do
		serves+="${serves:+ || }common_pid == $(< "$device/queues/$q/worker")"
	done
	served 1000
}

find_device() {
	device=$(dirname "$(grep -lx "$guest" \
		/sys/class/vhost-blk/vhost-blk*/owner)") &&
		[[ -e $device/queues/$((queues - 1))/worker ]]
}

load_down() {
	kill -KILL $guest
	wait $guest 2>/dev/null || true
	guest=""
}

# completed: sets least, what the queue with the least has answered, and all. Starts no
# program: the memory of one that has ended is given back by whoever runs next.
completed() {
	local q n

	least="" all=0
	for ((q = 0; q < queues; q++)); do
		read -r n < "$device/queues/$q/stats/completed"
		all=$((all + n))
		((${least:-$n} < n)) || least=$n
	done
}

# served N: until each queue has answered so many more; sets requests
served() {
	local from all_from tries

	completed
	from=$least all_from=$all
	for ((tries = 0; tries < 3000; tries++)); do
		completed
		((least - from < $1)) || break
		read -r -t 0.1 -u "$never" || true
	done
	requests=$((all - all_from))
	((least - from >= $1)) || { echo "slow: $((least - from)) of $1"; return 1; }
}

nobody="common_pid == -1"	# a filter

# Events are switched on and off while nothing goes on, for the kernel replaces code of
# its own then, see group_code in run.sh. Under load only filters change.
memory_watched() { # 1 or 0
	echo "$nobody" > $trace/events/kmem/filter &&
		echo "$1" > $trace/events/kmem/enable
}

# Events of the workers themselves: what interrupts them is not theirs (16: in a soft
# interrupt, 8: in a hard one).
watch_memory() {
	echo "($serves) && !(common_flags & 24)" > $trace/events/kmem/filter &&
		served "$1" || return
	echo "$nobody" > $trace/events/kmem/filter
}

memory_events() {
	cat $trace/per_cpu/cpu*/stats |
		awk '/^(entries|overrun):/ { n += $2 } END { print n + 0 }'
}

no_memory() {
	memory_watched 1 && load_up --depth 32 && watch_memory $enough || return
	note "$requests requests, $(memory_events) events of memory"
	head -n 40 $trace/trace
	load_down
	memory_watched 0
	(($(memory_events) == 0))
}

# Were they seen, if there were any? A mebibyte is more than what is kept for a bio.
memory_is_seen() {
	memory_watched 1 && load_up --depth 2 --bs 1048576 &&
		watch_memory 100 || return
	note "$requests requests of 1 MiB, $(memory_events) events of memory"
	load_down
	memory_watched 0
	(($(memory_events) >= requests))
}

# watch_locks: sets lock_events to "EVENT FIELD" of all that tell of locks. A kernel with
# lockdep tells of each that is taken; others of those that somebody has to wait for, but
# not of a spinlock that only one waits for.
watch_locks() {
	local spin=native_queued_spin_lock_slowpath

	lock_events=()
	if [[ -d $trace/events/lock/lock_acquire ]]; then
		lock_events=("lock/lock_acquire lockdep_addr")
		return
	fi
	[[ ! -d $trace/events/lock/contention_begin ]] ||
		lock_events+=("lock/contention_begin lock_addr")
	if echo "p:hot_path/spin $spin lock=\$arg1:x64" \
			>> $tracing/kprobe_events; then
		lock_events+=("hot_path/spin lock")
		undo+=("echo -:hot_path/spin >> $tracing/kprobe_events")
	fi
	((${#lock_events[@]}))
}

# locks_watched ON: that they happen; they are not recorded
locks_watched() { # 1 or 0
	local event

	echo $((1 - $1)) > $trace/tracing_on || return
	for event in "${lock_events[@]}"; do
		echo "$1" > "$trace/events/${event% *}/enable" || return
	done
}

# watch CHARACTER: adds a histogram for the workers to each event, "!" removes it
watch() {
	local event field

	for event in "${lock_events[@]}"; do
		read -r event field <<<"$event"
		echo "$1hist:keys=$field.hex,common_pid,stacktrace:size=8192 if $serves" \
			> "$trace/events/$event/trigger" || return
	done
}

histograms() {
	local event

	for event in "${lock_events[@]}"; do
		cat "$trace/events/${event% *}/hist"
	done
}

# locks: from histograms, "ADDRESS PID TAKER" for each. The taker is the first function
# that is no lock's own; what RCU tells lockdep is no lock.
locks() {
	awk -v own="^(lock_|_*raw_|native_|queued_|__traceiter_|trace_|kprobe_|__mutex_|mutex_|rwsem_|down_|osq_|rt_|percpu_|__percpu_|do_raw)" '
		/^{ lock/ {
			gsub(/,/, " ")
			addr = $3
			for (i = 4; i < NF; i++)
				if ($i == "common_pid:")
					pid = $(i + 1)
			taker = ""
			rcu = 0
			next
		}
		/^} hitcount/ && !rcu { print addr, pid, taker }
		/^ +[a-z_]/ && !taker && $1 ~ /rcu_/ { rcu = 1 }
		/^ +[a-z_]/ && !taker && $1 !~ own { taker = $1 " " $2 }'
}

# shared: of those the module's that two workers had to do with
shared() {
	awk '/\[vhost_blk\]/ && !seen[$1, $2]++ { pids[$1]++; line[$1] = $0 }
	     END { for (addr in pids) if (pids[addr] > 1) print line[addr] }'
}

none_shared() {
	watch_locks && locks_watched 1 && load_up --depth 32 && watch "" &&
		served $enough || return
	load_down
	histograms > "$tmp/histograms"
	watch "!"
	locks_watched 0
	locks < "$tmp/histograms" > "$tmp/locks"
	note "$requests requests, ${lock_events[*]%% *}: $(cut -d ' ' -f 1 "$tmp/locks" | sort -u | wc -l) locks; taken by:"
	cut -d ' ' -f 3- "$tmp/locks" | sed 's/+0x[^ ]*//' | sort | uniq -c |
		sort -rn | sed 's/^/# /' >> "$tmp/notes"
	head -n 60 "$tmp/histograms"
	shared < "$tmp/locks" > "$tmp/shared"
	cat "$tmp/shared"
	[[ ! -s $tmp/shared ]]
}

placed_begin "$1"
[[ -x $bench ]] || { echo "Bail out! no $bench: make bench-programs"; exit 1; }
exec {never}<> <(:)
check "tracing" trace_up
check "no memory is got or given back in 4 queues under load" no_memory
check "where it is, it is seen" memory_is_seen
check "no lock of the module's is shared by queues" none_shared
cat "$tmp/notes"
tap_end
