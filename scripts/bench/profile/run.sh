#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../../.." && pwd)

usage() {
	cat <<'HELP'
usage: scripts/bench/profile/run.sh [options] [CASE...]

Instructions per request, for each function and each stage of a request. Counted,
not sampled: the lab's host runs in emulation with one CPU on which time is the
number of instructions (run.sh --icount), and a plugin of QEMU's counts how often
each block of code runs. The figures do not depend on the machine or its load.

CASE is PROGRAM-DEPTHxQUEUES. PROGRAM is ring (ring_bench, a guest of the module),
uring (uring_bench, io_uring on the bare device) or fio (io_uring, registered
buffers and files). Default: ring, uring and fio at 1x1, 32x1 and 32x16. All read
4 KiB at random from a null_blk device (queue_mode=2 irqmode=0) and block in the
kernel while they wait. The depth is that of each queue.

Each case is run with N and with 2 N requests; the difference, divided by N, is
what a request costs, without start and end. It includes what the kernel does
besides: timer ticks, context switches between driver and worker. A string
instruction counts once for each repetition.

Two runs agree to 0.1 % with one queue, 1 % with 16 queues, 3 % with fio: the
machine does the same each time but for where the ticks fall, and which tag is
the first.

  --out DIR       where to put the results (default: profile-results)
  --requests N    default: 20000
  --module KO     another vhost_blk.ko, with debug information (default: the
                  one of this tree, which must be built)
  --keep-raw      keep the counts of every block in DIR as well

DIR/profile.md has the tables, DIR/profile.json all functions. The file "stages"
says which function belongs to which stage; functions that were inlined count
for themselves in the module, not in the kernel. Takes about a minute.
HELP
}

die() {
	echo "profile: $*" >&2
	exit 1
}

opt_out=profile-results
opt_requests=20000
opt_module=$top/drivers/vhost/blk/vhost_blk.ko
opt_keep=""
cases=()

parse() {
	while (($#)); do
		case $1 in
		-h | --help) usage; exit 0 ;;
		--out | --requests | --module)
			(($# > 1)) || die "$1 needs an argument" ;;
		esac
		case $1 in
		--out) opt_out=$2; shift ;;
		--requests) opt_requests=$2; shift ;;
		--module) opt_module=$2; shift ;;
		--keep-raw) opt_keep=1 ;;
		-*) die "unknown option $1 (see --help)" ;;
		*) cases+=("$1") ;;
		esac
		shift
	done
	[[ $opt_requests =~ ^[1-9][0-9]*$ ]] || die "bad --requests $opt_requests"
	((${#cases[@]})) ||
		cases=({ring,uring,fio}-{1x1,32x1,32x16})
	for name in "${cases[@]}"; do
		[[ $name =~ ^(ring|uring|fio)-[0-9]+x[0-9]+$ ]] ||
			die "bad case '$name' (see --help)"
	done
	[[ -e $opt_module ]] || die "no $opt_module: run make"
	opt_module=$(realpath "$opt_module")
	mkdir -p "$opt_out"
	opt_out=$(realpath "$opt_out")
}

build() {
	local include

	"$top/scripts/deps.sh" profile selftests
	include=$("$top/qemu/plugin-include.sh")
	make -s -C "$here" INCLUDE="$include"
	make -s -C "$top/scripts/bench/chardev"
}

# The programs do not read the clock, but what is random is the same every time.
boot() {
	local arg
	local -a args=()

	for arg in -seed 1 -plugin \
		"$here/build/count.so,out=$opt_out/raw/counts"; do
		args+=(--qemu-arg "$arg")
	done
	"$top/scripts/vm/run.sh" --icount --timeout 900 --out "$opt_out/raw" \
		--share-module "$opt_module" "${args[@]}" \
		--append "nokaslr norandmaps randomize_kstack_offset=off" -- \
		"${here#"$top"/}/host.sh" "$opt_requests" "${cases[@]}"
}

versions() {
	/usr/bin/qemu-system-x86_64 -version | sed -n '1s/.*version /qemu=/p'
	"${CC:-cc}" --version | sed -n '1s/^/compiler=/p'
	echo "requests=$opt_requests"
}

main() {
	parse "$@"
	build
	rm -rf "$opt_out/raw"
	mkdir -p "$opt_out/raw"
	boot
	versions >> "$opt_out/raw/system"
	PYTHONDONTWRITEBYTECODE=1 "$here/report.py" --raw "$opt_out/raw" --module "$opt_module" \
		--programs "$top/scripts/bench/chardev/build" \
		--stages "$here/stages" --out "$opt_out"
	[[ -n $opt_keep ]] || rm -rf "$opt_out/raw"
	cat "$opt_out/profile.md"
}

main "$@"
