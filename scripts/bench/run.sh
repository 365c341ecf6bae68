#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only

set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/vm/progress.sh
. scripts/vm/progress.sh

usage() {
	cat <<'HELP'
usage: scripts/bench/run.sh [options]

Measures vhost-blk against everything else that gives a guest a disk, in one boot
of the lab, one way after the other and all of it again. Results: results.md,
results.json and figures.

  --quick            null_blk, depth 1 and 32, one queue, the main ways
  --stages LIST      only these (see stages.sh)
  --only LIST        only these ways (see ways.sh), with patterns
  --depth LIST       only these queue depths
  --rw LIST          only these of fio's randread, randwrite, read, ...
  --repeats N        of each measurement (default: 3)
  --seconds N        of each measurement (default: 3; with --quick 2)
  --cpus N           CPUs of the lab's host (default: 2)
  --module KO        a module of your own
  --module-args ARGS parameters for it
  --out DIR          where the results go (default: bench-results)

A LIST has commas or spaces between its members.
HELP
}

die() {
	echo "bench: $*" >&2
	exit 2
}

quick=""
stages=""
only=""
depths=""
rws=""
repeats=3
seconds=""
cpus=2
module=""
module_args=""
out=bench-results

parse() {
	while (($#)); do
		case $1 in
		--quick) quick=1 ;;
		-h | --help) usage; exit ;;
		--*)
			(($# > 1)) || die "$1 needs an argument (see --help)" ;;
		esac
		case $1 in
		--quick) ;;
		--stages) stages=${2//,/ }; shift ;;
		--only) only=${2//,/ }; shift ;;
		--depth) depths=${2//,/ }; shift ;;
		--rw) rws=${2//,/ }; shift ;;
		--repeats) repeats=$2; shift ;;
		--seconds) seconds=$2; shift ;;
		--cpus) cpus=$2; shift ;;
		--module) module=$(realpath "$2"); shift ;;
		--module-args) module_args=$2; shift ;;
		--out) out=$2; shift ;;
		*) die "unknown argument $1 (see --help)" ;;
		esac
		shift
	done
	: "${seconds:=$((${#quick} ? 2 : 3))}"
	: "${stages:=race poll}"
}

build() {
	local kdir

	step "Debian packages"
	scripts/deps.sh build lab qemu bench
	kdir=$(scripts/vm/kernel.sh --kdir)
	if [[ -z $module ]]; then
		step "module for $(scripts/vm/kernel.sh --version)"
		quietly make modules KDIR="$kdir"
	fi
	step "plugin for $(qemu-system-x86_64 --version | head -n 1)"
	quietly make qemu-plugin
}

run_in_lab() {
	local -a options=(--cpus "$cpus" --timeout 14400 --out "$out")

	[[ -z $module ]] || options+=(--share-module "$module")
	step "booting a host in emulation ($cpus CPUs)"
	scripts/vm/run.sh "${options[@]}" -- env STARTED="$STARTED" \
		BENCH_OUT=/out BENCH_STAGES="$stages" BENCH_ONLY="$only" \
		BENCH_DEPTHS="$depths" BENCH_RW="$rws" \
		BENCH_REPEATS="$repeats" BENCH_SECONDS="$seconds" \
		BENCH_QUICK="$quick" BENCH_POLL_NS=5000000 \
		BENCH_HOLD_US=2000 BENCH_MODULE_ARGS="$module_args" \
		scripts/bench/host.sh
}

main() {
	parse "$@"
	build
	mkdir -p "$out"
	rm -f "$out"/{samples.jsonl,environment}
	run_in_lab
	scripts/bench/report.py "$out"
	step "results: $out/results.md, results.json"
}

main "$@"
