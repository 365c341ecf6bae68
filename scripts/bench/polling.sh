#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What polling gains and what it costs, in the lab. Two tables:
#
#   load   a program plays a guest whose load comes and goes, or arrives at random:
#          how much gets through, how long it takes, what the queue's thread uses
#   guest  the latency of a Linux guest, one request at a time: kicks and
#          interrupts, or the host polls, or the guest, or both
#
# usage: scripts/bench/polling.sh [--repeats N] [--out DIR] [PART]...
#
# PART is load, one half of it, bursts or poisson, or guest; default: load and guest.
# One boot, everything again and again in turn, there and back; medians, and medians of
# the ratios of each repeat, with least and most in brackets. --out keeps the figures of
# each run. Needs a quiet machine with two cores. The longest window is 5 ms: an emulated
# host is ten to twenty times slower than silicon, which the default of 200 us is for.

set -euo pipefail
cd "$(dirname "$0")/../.."

repeats=5
out=""
parts=()
loads=()
window=5000000
limit=1000000000		# what the module takes at most

usage() {
	sed -n '4,21s/^# \{0,1\}//p' "$0"
}

parse() {
	while (($#)); do
		case $1 in
		--repeats) repeats=${2:?--repeats needs an argument}; shift ;;
		--out) out=${2:?--out needs an argument}; shift ;;
		-h | --help) usage; exit ;;
		load | guest) parts+=("$1") ;;
		bursts | poisson) loads+=("$1") ;;
		*) usage >&2; exit 2 ;;
		esac
		shift
	done
	((${#parts[@]} + ${#loads[@]})) || parts=(load guest)
}

# The machine at hand: builds, boots a host and runs this script in it.
boot() {
	local -a options=(--timeout 1800)
	local newer

	scripts/deps.sh lab selftests qemu
	make -s modules KDIR="$(scripts/vm/kernel.sh --kdir)"
	make -s qemu-plugin selftests
	# That of Debian 12 loses a host with guests more often.
	! newer=$(scripts/vm/newer-qemu.sh) || options+=(--qemu "$newer")
	[[ -z $out ]] || options+=(--out "$out")
	scripts/vm/run.sh "${options[@]}" -- \
		scripts/bench/polling.sh --repeats "$repeats" \
		${out:+--out /out} "${parts[@]}" "${loads[@]}"
}

#
# In the host
#

parameters=/sys/module/vhost_blk/parameters
tmp=/run/polling-bench

# polls WAY: sets the module's windows; adapt-Nus adapts, up to N microseconds
polls() {
	local start=10000 max=$window shrink=2

	case $1 in
	never) max=0 ;;
	fixed) start=$window shrink=1 ;;
	adaptive) ;;
	adapt-*us) max=${1//[^0-9]/}000 ;;
	always) start=$limit max=$limit shrink=1 ;;
	esac
	echo $shrink > $parameters/poll_ns_shrink
	echo $start > $parameters/poll_ns_grow_start
	echo "$max" > $parameters/poll_ns_max
}

# note TABLE ROW COLUMN=VALUE...: one run
note() {
	local table=$1 row=$2 pair
	shift 2

	for pair in "$@"; do
		echo "$table $row ${pair/=/ }" >> "$tmp/figures"
	done
}

# values TABLE ROW COLUMN: sorted
values() {
	awk -v key="$1 $2 $3" '$1 " " $2 " " $3 == key { print $4 }' \
		"$tmp/figures" | sort -g
}

# cell TABLE ROW COLUMN FORMAT: median (least-most)
cell() {
	values "$1" "$2" "$3" | awk -v format="$4" '{ v[NR] = $1 }
		END { printf(format " (" format "-" format ")",
			     (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2,
			     v[1], v[NR]) }'
}

# ratio TABLE ROW BASE COLUMN: median (least-most) of those of each repeat
ratio() {
	awk -v table="$1" -v row="$2" -v base="$3" -v column="$4" '
		$1 == table && $3 == column && $2 == row { a[++n] = $4 }
		$1 == table && $3 == column && $2 == base { b[++m] = $4 }
		END { for (i = 1; i <= n; i++) print a[i] / b[i] }' \
		"$tmp/figures" | sort -g | awk '{ v[NR] = $1 }
		END { printf("%.2f (%.2f-%.2f)",
			     (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2,
			     v[1], v[NR]) }'
}

# order REPEAT WAY...: the other way round every other time, as the machine changes
order() {
	local repeat=$1
	shift

	if ((repeat % 2)); then
		printf '%s\n' "$@"
	else
		printf '%s\n' "$@" | tac
	fi
}

#
# Load that comes and goes. Guest on CPU 0, worker on CPU 1.
#

declare -A ways=(
	[bursts]="never fixed adaptive always"
	[poisson]="never adapt-20us adapt-50us adapt-100us adapt-1000us adaptive
		   fixed always"
)
declare -A load=()

# ring_load ARGUMENT...: sets what it prints as variables r_iops, r_median_us...
ring_load() {
	local pair

	taskset -c 0 selftests/build/ring_load "$disk" "$@" > "$tmp/load"
	for pair in $(tail -n 1 "$tmp/load"); do
		printf -v "r_${pair%%=*}" %s "${pair#*=}"
	done
}

load_one() {
	# shellcheck disable=SC2086 # words they are
	polls "$2" && ring_load ${load[$1]}
	# shellcheck disable=SC2154 # set by ring_load
	note "$1" "$2" "iops=$r_iops" "median_us=$r_median_us" \
		"p99_us=$r_p99_us" \
		"cpu=$(awk "BEGIN { print $r_worker_us / $r_seconds / 1e4 }")" \
		"kicks=$(awk "BEGIN { print 100 * $r_kicks / $r_chains }")"
}

load_table() {
	local way

	echo
	echo "$1: ${load[$1]}"
	echo
	printf '%-12s %-24s %-24s %-24s %-20s %s\n' polls "requests per second" \
		"median latency, us" "p99 latency, us" "worker, % of a core" \
		"kicks, %"
	for way in ${ways[$1]}; do
		printf '%-12s %-24s %-24s %-24s %-20s %s\n' "$way" \
			"$(cell "$1" "$way" iops %.0f)" \
			"$(cell "$1" "$way" median_us %.1f)" \
			"$(cell "$1" "$way" p99_us %.0f)" \
			"$(cell "$1" "$way" cpu %.1f)" \
			"$(cell "$1" "$way" kicks %.1f)"
	done
	echo "adaptive to always: requests" \
		"$(ratio "$1" adaptive always iops), latency" \
		"$(ratio "$1" adaptive always median_us), processor time" \
		"$(ratio "$1" adaptive always cpu)"
}

run_load() {
	local i way name

	insmod "$VHOST_BLK_KO" cpus=1
	polls always
	ring_load 2 depth=32
	echo "capacity: $r_iops requests per second"
	load[bursts]="4 load=bursts on_ms=1000 off_ms=1000"
	load[poisson]="2 load=poisson depth=64 rate=$((${r_iops%.*} / 10))"
	for ((i = 1; i <= repeats; i++)); do
		for name in "$@"; do
			# shellcheck disable=SC2086 # words they are
			for way in $(order $i ${ways[$name]}); do
				load_one "$name" "$way"
			done
		done
	done
	rmmod vhost_blk
	for name in "$@"; do
		load_table "$name"
	done
}

#
# A Linux guest, on CPU 0; the worker is on CPU 1.
#

declare -A engine=(
	[neither]="--ioengine=libaio" [host]="--ioengine=libaio"
	[guest]="--ioengine=io_uring --hipri" [both]="--ioengine=io_uring --hipri"
)
guest_ways=(neither host guest both)

guest_up() {
	GUEST_APPEND="virtio_blk.poll_queues=1" guest_start g -device \
		"vhost-blk-pci,path=$disk,num-queues=2,serial=bench"
	guest_wait_boot g
	taskset -a -p -c 0 "$(guest_pid g)" > "$tmp/taskset"
	kvm_events_begin
}

guest_one() {
	local kicks interrupts

	case $1 in
	host | both) polls adaptive ;;
	*) polls never ;;
	esac
	kicks=$(kvm_events kicks)
	interrupts=$(kvm_events interrupts)
	guest_run g "fio --name=b --filename=/dev/vda --rw=randread --bs=4k \
		--direct=1 --iodepth=1 --time_based --runtime=2 --norandommap \
		--cpus_allowed=0 --lat_percentiles=1 --output-format=json \
		${engine[$1]}" > "$tmp/fio"
	kicks=$(($(kvm_events kicks) - kicks))
	interrupts=$(($(kvm_events interrupts) - interrupts))
	jq -r --arg way "$1" --arg kicks $kicks --arg interrupts $interrupts '
		.jobs[0].read |
		"\($way) us \(.lat_ns.percentile["50.000000"] / 1000)",
		"\($way) iops \(.iops)",
		"\($way) kicks \(($kicks | tonumber) / .total_ios)",
		"\($way) interrupts \(($interrupts | tonumber) / .total_ios)"' \
		"$tmp/fio" | sed 's/^/guest /' >> "$tmp/figures"
}

guest_table() {
	local way

	echo
	echo "guest: one 4k random read at a time, fio"
	echo
	printf '%-9s %-28s %-17s %-20s %s\n' polls "median latency, us" ratio \
		"kicks per request" "interrupts per request"
	for way in "${guest_ways[@]}"; do
		printf '%-9s %-28s %-17s %-20s %s\n' "$way" \
			"$(cell guest "$way" us %.0f)" \
			"$(ratio guest "$way" neither us)" \
			"$(cell guest "$way" kicks %.2f)" \
			"$(cell guest "$way" interrupts %.2f)"
	done
}

run_guest() {
	local i way

	# shellcheck source=scripts/vm/guest.sh
	. scripts/vm/guest.sh
	# shellcheck source=scripts/vm/kvm-events.sh
	. scripts/vm/kvm-events.sh
	insmod "$VHOST_BLK_KO" cpus=1 hold_us=0
	trap guest_kill_all EXIT
	guest_up
	for ((i = 1; i <= repeats; i++)); do
		for way in $(order $i "${guest_ways[@]}"); do
			guest_one "$way"
		done
	done
	guest_stop g
	rmmod vhost_blk
	guest_table
}

main() {
	local part

	parse "$@"
	if [[ -z ${LAB_KERNEL:-} ]]; then
		boot
		return
	fi
	mkdir -p "$tmp"
	# shellcheck source=scripts/vm/null-blk.sh
	. scripts/vm/null-blk.sh
	null_disk polling size=1024
	for part in "${parts[@]}"; do
		case $part in
		load) run_load bursts poisson ;;
		guest) run_guest ;;
		esac
	done
	((${#loads[@]} == 0)) || run_load "${loads[@]}"
	[[ -z $out ]] || cp "$tmp/figures" "$out/polling"
}

main "$@"
