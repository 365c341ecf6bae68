#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of the bench that runs on the host with the module: in the lab's, or
# on a real one. run.sh starts it and sets BENCH_*, VHOST_BLK_KO, LAB_*.

set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/vm/guest.sh
. scripts/vm/guest.sh
# shellcheck source=scripts/vm/progress.sh
. scripts/vm/progress.sh
# shellcheck source=scripts/vm/null-blk.sh
. scripts/vm/null-blk.sh
# shellcheck source=scripts/vm/kvm-events.sh
. scripts/vm/kvm-events.sh
# shellcheck source=scripts/bench/ways.sh
. scripts/bench/ways.sh
# shellcheck source=scripts/bench/guests.sh
. scripts/bench/guests.sh
# shellcheck source=scripts/bench/measure.sh
. scripts/bench/measure.sh
# shellcheck source=scripts/bench/stages.sh
. scripts/bench/stages.sh

tmp=/run/vhost-blk-bench
null_name="vhost-bench"
loaded=""		# not empty: we have loaded the module
bench_device=""		# what is measured
bench_device_name=""	# what the report calls it
bench_writable=""	# not empty: may be written
bench_read_only=on	# the same for QEMU
bench_cpus=1		# vCPUs of guests with several jobs
bench_jobs=""		# how many jobs, as a list
bench_brief=""		# not empty: not the first device, less is measured

# use_device NAME DEVICE WRITABLE
use_device() {
	bench_device_name=$1
	bench_device=$2
	bench_writable=$3
	bench_read_only=on
	[[ -z $3 ]] || bench_read_only=off
}

# Waits for a disk that a driver finds in its own time.
nvme_up() {
	local tries

	modprobe nvme poll_queues=1
	for ((tries = 0; tries < 100; tries++)); do
		[[ ! -b /dev/nvme0n1 ]] || return 0
		guest_nap
	done
	step "no NVMe disk"
	return 1
}

# device_up DEVICE: one of BENCH_DEVICES. Only what belongs to the bench may be
# written, and what run.sh was told. The lab's NVMe disks belong to it, no others.
device_up() {
	case $1 in
	null)
		null_disk "$null_name" size=65536 \
			submit_queues="$(nproc)" poll_queues=1
		use_device null_blk "$disk" yes ;;
	nvme)
		[[ -n $BENCH_LAB ]] || { step "nvme: only in the lab"; return 1; }
		nvme_up
		use_device nvme /dev/nvme0n1 yes ;;
	*)
		use_device "${1##*/}" "$1" "${BENCH_WRITE:+yes}" ;;
	esac
}

device_down() {
	[[ $1 != null ]] || null_disk_remove "$null_name"
}

load_module() {
	[[ ! -e /sys/module/vhost_blk ]] || return 0
	# shellcheck disable=SC2086 # lists
	insmod "$VHOST_BLK_KO" $BENCH_MODULE_ARGS
	loaded=yes
}

cleanup() {
	guest_kill_all || true
	bench_guest_clean || true
	[[ -z $loaded ]] || rmmod vhost_blk || true
	kvm_events_end || true
	[[ ! -d /sys/kernel/config/nullb/$null_name ]] ||
		null_disk_remove "$null_name" || true
	rm -rf "$tmp"
}

newer_version() {
	[[ -z $BENCH_NEWER_QEMU ]] ||
		"$BENCH_NEWER_QEMU" --version | head -n 1
}

# What the report has to know.
describe() {
	cat >> "$BENCH_OUT/environment" <<-TEXT
	kernel=$(uname -r)
	cpus=$(nproc)
	cpu=$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)
	emulated=$([[ ${LAB_ACCEL:-} != tcg ]] || echo yes)
	qemu=$(qemu-system-x86_64 --version | head -n 1)
	newer_qemu=$(newer_version)
	fio=$(fio --version)
	vhost_blk=$(cat /sys/module/vhost_blk/version /sys/module/vhost_blk/srcversion | paste -s -d ' ')
	seconds=$BENCH_SECONDS
	repeats=$BENCH_REPEATS
	poll_ns=$BENCH_POLL_NS
	module_args=$BENCH_MODULE_ARGS
	TEXT
}

# Guests need CPUs, and so do those who serve them. An emulated host has too few
# for both.
choose_cpus() {
	bench_cpus=$(nproc)
	[[ -n ${LAB_ACCEL:-} && $LAB_ACCEL == tcg ]] ||
		bench_cpus=$((bench_cpus > 1 ? bench_cpus / 2 : 1))
	((bench_cpus <= 10)) || bench_cpus=10
	bench_jobs=$(seq -s ' ' 1 "$bench_cpus")
}

main() {
	local device stage

	mkdir -p "$tmp"
	step "host: Linux $(uname -r), $(nproc) CPUs"
	choose_cpus
	trap cleanup EXIT
	load_module
	describe
	probe_ways
	# Once for good: an emulated host does not stand code that changes often
	# (see guest_keep_kvm).
	guest_load_kvm
	kvm_events_begin
	meter_start
	for device in $BENCH_DEVICES; do
		device_up "$device"
		for stage in $BENCH_STAGES; do
			"stage_$stage"
		done
		device_down "$device"
		bench_brief=yes
	done
	meter_stop
	step "measured"
}

main
