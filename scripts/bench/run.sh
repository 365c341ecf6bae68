#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only

set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/vm/progress.sh
. scripts/vm/progress.sh
# shellcheck source=scripts/vm/lib.sh
. scripts/vm/lib.sh
# shellcheck source=scripts/bench/in-use.sh
. scripts/bench/in-use.sh

usage() {
	cat <<'HELP'
usage: scripts/bench/run.sh [options]

Measures vhost-blk against everything else that gives a guest a disk, in the lab,
one way after the other and all of it again. What is compared is measured in one
boot. Results are results.md, results.json and figures.

  --quick            under 10 minutes: null_blk, depth 1 and 32, one job, runs of
                     one second, Debian 12's QEMU only
  --host             on this machine and not in the lab. As root, with KVM; loads
                     the module if it is not loaded. Without a device that is
                     named: on a null_blk of its own
    --device DEVICE  (with --host) on this disk. Only reads
    --write DEVICE   (with --host) on this disk. WRITES TO IT: what is on it is
                     lost
  --stages LIST      only these: race, poll, chardev, large, mixed, guests,
                     jobs (see stages.sh)
  --devices LIST     in the lab only, of null and nvme (default: both; with
                     --quick null). The second has less to do
  --only LIST        only these ways (see ways.sh), with patterns
  --depth LIST       only these queue depths
  --rw LIST          only these of fio's randread, randwrite, read, write, randrw
  --repeats N        of each measurement (default: 3)
  --seconds N        of each measurement (default: 2; with --host 10; with
                     --quick 1)
  --cpus N           CPUs of the lab's host (default: 2; 4 for the stages jobs
                     and guests)
  --module KO        a module of your own
  --module-args ARGS parameters for it (default in the lab, which is slow:
                     poll_ns_max=5000000 hold_us=8000)
  --out DIR          where the results go (default: bench-results)
  --add              to those that are there (samples.jsonl), instead of
                     replacing them. Ratios are always of what was measured in
                     the same boot

A LIST has commas or spaces between its members.
HELP
}

die() {
	echo "bench: $*" >&2
	exit 2
}

quick=""
add=""
on_host=""
device=""
readable=""		# not empty: it was named by --device
write=""		# not empty: it was named by --write
stages=""
devices=""
only=""
depths=""
rws=""
repeats=3
seconds=""
cpus=""
module=""
module_args=""
out=bench-results
newer_qemu=""
boots=0

parse() {
	while (($#)); do
		case $1 in
		--quick) quick=yes; shift; continue ;;
		--host) on_host=yes; shift; continue ;;
		--add) add=yes; shift; continue ;;
		-h | --help) usage; exit ;;
		esac
		(($# > 1)) || die "$1: unknown, or needs an argument (see --help)"
		case $1 in
		--device) device=$2 readable=yes ;;
		--write) device=$2 write=yes ;;
		--stages) stages=${2//,/ } ;;
		--devices) devices=${2//,/ } ;;
		--only) only=${2//,/ } ;;
		--depth) depths=${2//,/ } ;;
		--rw) rws=${2//,/ } ;;
		--repeats) repeats=$2 ;;
		--seconds) seconds=$2 ;;
		--cpus) cpus=$2 ;;
		--module) module=$(realpath -e "$2") ;;
		--module-args) module_args=$2 ;;
		--out) out=$2 ;;
		*) die "unknown argument $1 (see --help)" ;;
		esac
		shift 2
	done
	check_arguments
	[[ -z $quick ]] || : "${stages:=race poll chardev}" "${devices:=null}" \
		"${seconds:=1}"
	[[ -z $on_host ]] || : "${seconds:=10}" "${devices:=null}"
	: "${seconds:=2}" "${stages:=race poll chardev large mixed guests jobs}"
	: "${devices:=null nvme}"
}

# What may be written is said by --write alone: nothing else may name a disk.
check_arguments() {
	[[ -z $device || -n $on_host ]] || die "a device needs --host"
	[[ -z $readable || -z $write ]] ||
		die "--device and --write: one disk, to read or to write"
	[[ -z $devices || -z $on_host ]] ||
		die "--devices is for the lab; --device or --write names a disk"
	[[ -z $add || -s $out/samples.jsonl ]] ||
		die "--add: no $out/samples.jsonl to add to"
}

build() {
	local kdir

	step "Debian packages"
	scripts/deps.sh build lab qemu bench
	if [[ -z $module ]]; then
		kdir=$(scripts/vm/kernel.sh --kdir)
		[[ -z $on_host ]] || kdir=/lib/modules/$(uname -r)/build
		step "module for $kdir"
		quietly make modules KDIR="$kdir"
	fi
	step "plugin for $(qemu-system-x86_64 --version | head -n 1)"
	quietly make qemu-plugin
	quietly make bench-programs
	if ! newer_qemu=$(scripts/vm/newer-qemu.sh); then
		newer_qemu=""
	fi
}

# boot CPUS STAGE: it is measured, in one boot of the lab
boot() {
	local -a options=(--cpus "$1" --timeout 14400 --out "$out")

	[[ -z $module ]] || options+=(--share-module "$module")
	[[ " $devices " != *" nvme "* ]] ||
		options+=(--nvme "size=4G,queues=8,backend=null")
	# That of Debian 12 loses guests, or the host, more often.
	[[ -z $newer_qemu ]] || options+=(--qemu "$newer_qemu")
	boots=$((boots + 1))
	step "booting a host in emulation ($1 CPUs): $2"
	scripts/vm/run.sh "${options[@]}" -- env BENCH_OUT=/out BENCH_LAB=yes \
		BENCH_POLL_NS=5000000 "${settings[@]}" BENCH_STAGES="$2" \
		BENCH_RUN="$STARTED-$boots" \
		BENCH_MODULE_ARGS="$module_args" scripts/bench/host.sh
}

# forget_boot: what the last one had measured until it was lost does not count
forget_boot() {
	local samples=$out/samples.jsonl

	[[ -s $samples ]] || return 0
	jq -c --arg run "$STARTED-$boots" 'select(.run != $run)' "$samples" \
		> "$samples.kept"
	mv "$samples.kept" "$samples"
}

# A boot for each stage, with as few CPUs as its guests need: the machine below may have
# no more than two. One that fails does not keep the others from what they have to
# measure, and one that the emulator loses (status 123) is tried again, twice.
run_in_lab() {
	local stage count tries this status=0

	: "${module_args:=poll_ns_max=5000000 hold_us=8000}"
	for stage in $stages; do
		case $stage in
		jobs | guests) count=${cpus:-4} ;;
		*) count=${cpus:-2} ;;
		esac
		for tries in 1 2 3; do
			this=0
			boot "$count" "$stage" || this=$?
			((this == 123 && tries < 3)) || break
			step "the emulator lost the host: $stage again"
			forget_boot
		done
		((this == 0)) || status=$this
	done
	return "$status"
}

check_host() {
	local why

	((EUID == 0)) || die "--host needs root"
	[[ -n $device ]] || return 0
	[[ -b $device ]] || die "$device is no block device"
	! why=$(in_use "$device") || die "$device is $why"
}

run_on_host() {
	local stock

	stock=$(scripts/vm/kernel.sh) || return
	env BENCH_OUT="$(realpath "$out")" BENCH_LAB="" BENCH_POLL_NS=200000 \
		"${settings[@]}" BENCH_MODULE_ARGS="$module_args" \
		BENCH_STAGES="$stages" BENCH_RUN="$STARTED" \
		BENCH_WRITE="$write" LAB_ACCEL="${LAB_ACCEL:-kvm}" \
		VHOST_BLK_KO="${module:-$PWD/drivers/vhost/blk/vhost_blk.ko}" \
		LAB_GUEST_KERNEL="$(lab_image "$stock")" \
		LAB_GUEST_INITRAMFS="$(scripts/vm/initramfs.sh l2 "$stock")" \
		scripts/bench/host.sh
}

main() {
	local -a settings
	local status=0

	parse "$@"
	[[ -z $on_host ]] || check_host
	build
	mkdir -p "$out"
	[[ -n $add ]] || rm -f "$out"/{samples.jsonl,environment}
	settings=(STARTED="$STARTED" BENCH_QUICK="$quick"
		  BENCH_ONLY="$only"
		  BENCH_DEPTHS="$depths" BENCH_RW="$rws"
		  BENCH_REPEATS="$repeats" BENCH_SECONDS="$seconds"
		  BENCH_DEVICES="${device:-$devices}"
		  BENCH_NEWER_QEMU="$newer_qemu")
	if [[ -n $on_host ]]; then
		run_on_host || status=$?
	else
		run_in_lab || status=$?
	fi
	((status == 0)) || step "NOT ALL was measured"
	[[ ! -s $out/samples.jsonl ]] || scripts/bench/report.py "$out"
	step "results: $out/results.md, results.json, figures"
	return "$status"
}

main "$@"
