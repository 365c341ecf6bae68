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
contention=$trace/events/lock/contention_begin
queues=4
enough=$((20000 / ${KSFT_TIME_SCALE:-1}))	# requests of each queue
serves=""	# "common_pid == ..." of each worker
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

trace_up() {
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

# Events of the workers themselves: what interrupts them is not theirs (16: in a soft
# interrupt, 8: in a hard one).
watch_memory() {
	echo "($serves) && !(common_flags & 24)" > $trace/events/kmem/filter &&
		echo 1 > $trace/events/kmem/enable || return
	served "$1" || return
	echo 0 > $trace/events/kmem/enable
}

memory_events() {
	cat $trace/per_cpu/cpu*/stats |
		awk '/^(entries|overrun):/ { n += $2 } END { print n + 0 }'
}

no_memory() {
	load_up --depth 32 && watch_memory $enough || return
	note "$requests requests, $(memory_events) events of memory"
	head -n 40 $trace/trace
	load_down
	(($(memory_events) == 0))
}

# Were they seen, if there were any? A mebibyte is more than what is kept for a bio.
memory_is_seen() {
	load_up --depth 2 --bs 1048576 && watch_memory 100 || return
	note "$requests requests of 1 MiB, $(memory_events) events of memory"
	load_down
	(($(memory_events) >= requests))
}

# locks: prints "ADDRESS PID TAKER" for each that a worker waited for. The taker is
# the first function that is not the lock's own.
locks() {
	awk '
		/^{ lock_addr:/ {
			gsub(/[,\[\]]/, " ")
			addr = $3
			pid = ""
			for (i = 4; i < NF; i++)
				if ($i == "common_pid:")
					pid = $(i + 2)
			taker = ""
			next
		}
		/^} hitcount/ { print addr, pid, taker; next }
		/^ +[a-z_]/ && !taker &&
		    $1 !~ /^(_*raw_|native_|queued_|__traceiter_|trace_|__mutex_|mutex_|rwsem_|down_|osq_|rt_|percpu_down|__percpu_|pv_)/ {
			taker = $1 " " $2
		}' $contention/hist
}

# shared: of those "ADDRESS PID TAKER" that are the module's, the ones that two workers
# waited for
shared() {
	awk '/\[vhost_blk\]/ && !seen[$1, $2]++ { pids[$1]++; line[$1] = $0 }
	     END { for (addr in pids) if (pids[addr] > 1) print line[addr] }'
}

waits_for_none() {
	load_up "$@" || return
	echo "hist:keys=lock_addr,common_pid,stacktrace:size=4096 if $serves" \
		> $contention/trigger && served $enough || return
	load_down
	locks > "$tmp/locks"
	note "$requests requests, workers waited for $(cut -d ' ' -f 1 "$tmp/locks" | sort -u | wc -l) locks; who took them:"
	cut -d ' ' -f 3- "$tmp/locks" | sort | uniq -c | sort -rn >> "$tmp/takers"
	sed 's/^/# /' "$tmp/takers" >> "$tmp/notes"
	cat "$tmp/takers" $contention/hist
	echo '!hist:keys=lock_addr,common_pid,stacktrace' > $contention/trigger
	shared < "$tmp/locks" > "$tmp/shared"
	[[ ! -s $tmp/shared ]]
}

placed_begin "$1"
[[ -x $bench ]] || { echo "Bail out! no $bench: make bench-programs"; exit 1; }
exec {never}<> <(:)
check "tracing" trace_up
check "no memory is got or given back in 4 queues under load" no_memory
check "where it is, it is seen" memory_is_seen
check "no lock of the module's is shared by queues" waits_for_none --depth 32
cat "$tmp/notes"
tap_end
