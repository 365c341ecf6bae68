#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of the bench that runs on the host with the module: in the lab's, or
# on a real one (see run.sh, which sets BENCH_*).

set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/vm/guest.sh
. scripts/vm/guest.sh
# shellcheck source=scripts/vm/progress.sh
. scripts/vm/progress.sh
# shellcheck source=scripts/vm/null-blk.sh
. scripts/vm/null-blk.sh
# shellcheck source=scripts/bench/ways.sh
. scripts/bench/ways.sh
# shellcheck source=scripts/bench/guests.sh
. scripts/bench/guests.sh
# shellcheck source=scripts/bench/measure.sh
. scripts/bench/measure.sh
# shellcheck source=scripts/bench/stages.sh
. scripts/bench/stages.sh

tmp=/run/vhost-blk-bench
bench_device=""		# what is measured
bench_device_name=""	# what the report calls it
bench_guest=""		# where ways with a disk are measured
bench_writable=""	# not empty: may be written

# use_device NAME DEVICE WRITABLE
use_device() {
	bench_device_name=$1
	bench_device=$2
	bench_writable=$3
	bench_read_only=on
	bench_read_only_digit=1
	bench_writable_onoff=off
	if [[ -n $3 ]]; then
		bench_read_only=off
		bench_read_only_digit=0
		bench_writable_onoff=on
	fi
}

cleanup() {
	guest_kill_all || true
	bench_guest_clean || true
}

load_module() {
	# shellcheck disable=SC2086 # a list
	insmod "$VHOST_BLK_KO" poll_ns_max="$BENCH_POLL_NS" \
		hold_us="$BENCH_HOLD_US" $BENCH_MODULE_ARGS
}

# What the report has to know.
describe() {
	cat > "$BENCH_OUT/environment" <<-TEXT
	kernel=$(uname -r)
	cpus=$(nproc)
	cpu=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)
	accel=${LAB_ACCEL:-none}
	qemu=$(qemu-system-x86_64 --version | head -n 1)
	fio=$(fio --version)
	seconds=$BENCH_SECONDS
	repeats=$BENCH_REPEATS
	poll_ns=$BENCH_POLL_NS
	hold_us=$BENCH_HOLD_US
	module_args=$BENCH_MODULE_ARGS
	TEXT
}

main() {
	local stage

	mkdir -p "$tmp"
	step "host: Linux $(uname -r), $(nproc) CPUs"
	describe
	trap cleanup EXIT
	load_module
	probe_ways
	trace_kicks
	null_disk bench size=65536 submit_queues="$(nproc)" poll_queues=1
	use_device null_blk "$disk" yes
	meter_start
	for stage in $BENCH_STAGES; do
		"stage_$stage"
	done
	meter_stop
	step "measured"
}

main
