#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the chardev tests on this host: as root, on a machine whose kernel takes
# the module and that may crash (the lab: selftests/run.sh host). Inserts the
# module, makes block devices, runs each program on those it is for, and looks
# after each into the kernel's log and for what was left behind.
#
# usage: host.sh [PROGRAM[:BACKEND]...]	shell patterns; default: all
#
# VHOST_BLK_KO names the module (default: the one of this tree). KSFT_TIME_SCALE is
# how many times slower than usual the machine is (a debug kernel: 5).

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=selftests/lib/programs.sh
. "$here/lib/programs.sh"

wanted=("$@")

# Programs that need any one disk: the interface, life and death.
on_one=(uapi_owner uapi_features uapi_memory uapi_vring uapi_backend uapi_example
	ring_layout ring_wrap ring_order malformed_ring memory)
# Those for which it matters that requests complete from an interrupt.
on_two=(lifecycle ring_notify malformed_chain bad_memory stats polling remap
	stress_remap cached_pages io_large)
# Those about data: on each kind of disk.
on_all=(io_framing io_types io_range io_segments io_readonly stress_mixed)
# What is run once more with disks that are polled: on each, and on one of them.
on_polled=(io_types io_framing io_range io_large stress_mixed stress_remap)
on_one_polled=(lifecycle malformed_chain)

parameters=/sys/module/vhost_blk/parameters
declare -A poll_saved=()

poll_save() {
	local name

	for name in poll_ns_max poll_ns_grow_start poll_ns_shrink; do
		poll_saved[$name]=$(< "$parameters/$name")
	done
}

poll_restore() {
	local name

	for name in "${!poll_saved[@]}"; do
		echo "${poll_saved[$name]}" > "$parameters/$name"
	done
}

# poll_us N: a window of always N microseconds, 0: never poll
poll_us() {
	echo $(($1 * 1000)) > $parameters/poll_ns_max
	echo $(($1 * 1000)) > $parameters/poll_ns_grow_start
	echo 1 > $parameters/poll_ns_shrink
}

# Phase one: all that has sectors of 512 bytes, and everything that is not
# about data.
phase_512() {
	local program name poll

	backends_up_512
	specials_up

	for program in "${on_one[@]}"; do
		run "$program" null512 "${backend[null512]}"
	done
	for program in "${on_two[@]}"; do
		run "$program" null512 "${backend[null512]}"
		[[ -z ${backend[nvme512]:-} ]] ||
			run "$program" nvme512 "${backend[nvme512]}"
	done
	for program in "${on_all[@]}"; do
		for name in "${backend_order[@]}"; do
			run "$program" "$name" "${backend[$name]}"
		done
	done
	run io_partition part "${backend[part]}" "$part_whole"
	run io_short loop512 "${short512[@]}"
	run io_short loop4k "${short4k[@]}"

	poll_save
	run host_bench.sh null512 "${backend[null512]}"
	for poll in 0 5000; do
		poll_us $poll
		run ring_notify "null512-poll$poll" "${backend[null512]}"
		run stress_mixed "null512-poll$poll" "${backend[null512]}"
	done
	poll_restore
}

# Disks with poll queues: null_blk's, and those of the NVMe disks, whose driver
# makes some when it is loaded and told to.
phase_polled() {
	local program name

	backend_order=()
	backends_up_polled
	for name in "${backend_order[@]}"; do
		run poll_device "$name" "${backend[$name]}"
	done

	run poll_disks special "${backend[null512-polled]}"
	[[ -z ${backend[nvme-slow]:-} ]] ||
		run poll_slow nvme-slow "${backend[nvme-slow]}"

	# The slow disks of the first phase are gone: tests that want one skip.
	unset KSFT_DELAY KSFT_DELAY_LONG KSFT_ONE_TAG KSFT_STACKED
	parameter_set poll_device 1
	for program in "${on_polled[@]}"; do
		for name in "${backend_order[@]}"; do
			run "$program" "$name" "${backend[$name]}"
		done
	done
	# better one on which a request takes its time
	name=nvme512-polled
	[[ -n ${backend[$name]:-} ]] || name=null512-polled
	for program in "${on_one_polled[@]}"; do
		run "$program" "$name" "${backend[$name]}"
	done
	parameter_set poll_device 0
}

phase_4096() {
	local program name

	backend_order=()
	backends_up_4096
	for name in "${backend_order[@]}"; do
		for program in "${on_all[@]}" io_misaligned; do
			run "$program" "$name" "${backend[$name]}"
		done
	done
}

# parameter_set NAME VALUE, of the module
parameter_set() {
	echo "$2" > "$parameters/$1"
}

# A missing NVMe disk would silently take away the most important tests.
require_backends() {
	local test

	for test in io_segments:nvme512 io_segments:nvme4k poll_slow:nvme-slow; do
		if want "$test" && [[ -z ${backend[${test#*:}]:-} ]]; then
			tap_result "not ok" "backend ${test#*:} is there"
		fi
	done
}

# The module goes only when nobody uses it, and comes back.
module_life() {
	local i fd busy=ok clean=ok

	want module_life || return 0
	log_mark module_life
	exec {fd}<>/dev/vhost-blk
	if rmmod vhost_blk 2>/dev/null; then
		busy="not ok"
		module_insert
	fi
	exec {fd}>&-
	tap_result "$busy" "module_life: not removed while a descriptor is open"

	for ((i = 0; i < 15; i++)); do
		if ! rmmod vhost_blk; then
			clean="not ok"
			break
		fi
		insmod "$VHOST_BLK_KO" || { clean="not ok"; break; }
		wait_for test -c /dev/vhost-blk || clean="not ok"
		"$here/build/uapi_features" -t 'running.features_can*' \
			"${backend[null512]}" > /dev/null || clean="not ok"
	done
	tap_result "$clean" "module_life: inserted, used and removed 15 times"
	if log_check; then
		tap_result ok "module_life: kernel log is silent"
	else
		tap_result "not ok" "module_life: kernel log is silent"
	fi
}

module_end() {
	log_mark module_end
	if rmmod vhost_blk; then
		tap_result ok "module can be removed at the end"
	else
		tap_result "not ok" "module can be removed at the end"
	fi
	if kmemleak_check && log_check; then
		tap_result ok "module leaves no memory behind"
	else
		tap_result "not ok" "module leaves no memory behind"
	fi
}

main() {
	[[ $(id -u) -eq 0 ]] || die "needs root"
	echo "KTAP version 1"
	trap undo_all EXIT
	module_insert
	echo "# $(uname -r), $(nproc) CPUs"

	phase_512
	module_life
	undo_all
	phase_4096
	undo_all
	phase_polled
	undo_all
	require_backends
	module_end
	tap_end
}

main
