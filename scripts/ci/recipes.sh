#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the recipes of Documentation/virt/vhost-blk/tracing.rst in the lab, next to a
# guest that reads and writes, and shows the first lines of what each prints. A recipe
# that fails, or that prints no event and no number, is a failure.
#
# usage: scripts/ci/recipes.sh [NUMBER...]	these only, counted from 1

set -euo pipefail
cd "$(dirname "$0")/../.."

page=Documentation/virt/vhost-blk/tracing.rst
tmp=/run/recipes
failed=0

boot() {
	scripts/deps.sh lab qemu selftests tracing
	make -s modules KDIR="$(scripts/vm/kernel.sh --kdir)"
	make -s qemu-plugin
	scripts/vm/run.sh --timeout 900 -- scripts/ci/recipes.sh "$@"
}

# extract: each literal block that begins with a program, as a file
extract() {
	awk -v dir="$tmp" '
		function finish() { if (file) close(file); file = "" }
		/::$/ { wanted = 1; finish(); next }
		/^[^ \t]/ { wanted = 0; finish() }
		wanted && /^   (perf|trace-cmd|bpftrace) / {
			file = sprintf("%s/recipe%d", dir, ++n)
			wanted = 0
		}
		file { sub(/^   /, ""); print > file }' "$page"
}

# load: a guest that keeps its disk busy, but not the host
load() {
	local device

	modprobe null_blk nr_devices=1 gb=1 irqmode=2 completion_nsec=100000
	device=/dev/nullb0
	insmod "$VHOST_BLK_KO"
	# shellcheck source=scripts/vm/guest.sh
	. scripts/vm/guest.sh
	trap guest_kill_all EXIT
	guest_start g -device "vhost-blk-pci,path=$device,num-queues=2"
	guest_wait_boot g
	guest_spawn g load 'fio --name=load --filename=/dev/vda --rw=randrw \
		--bs=4k --direct=1 --ioengine=libaio --iodepth=2 \
		--rate_iops=100 --time_based --runtime=10000'
}

# What runs until it is interrupted gets time to start: that is slow in emulation.
recipe() {
	local file=$1 status=0

	echo "==== ${file##*/recipe}"
	cat "$file"
	echo "----"
	(cd "$tmp" && timeout -s INT -k 60 40 bash "$file") > "$tmp/out" 2>&1 ||
		status=$?
	head -n 25 "$tmp/out" | cut -c 1-150
	if { ((status)) && ((status != 124)); } ||
	   ! grep -qE 'vhost_blk_[a-z_]+:|^@|^ +[1-9][0-9,]* +kvm:' "$tmp/out"; then
		echo "---- FAILED, status $status"
		failed=$((failed + 1))
	fi
}

main() {
	local number

	if [[ -z ${LAB_KERNEL:-} ]]; then
		boot "$@"
		return
	fi
	mkdir -p "$tmp"
	extract
	load
	mount -t tracefs none /sys/kernel/tracing 2>/dev/null || true
	mount -t debugfs none /sys/kernel/debug 2>/dev/null || true
	(($#)) || set -- $(seq "$(find "$tmp" -type f -name "recipe*" | wc -l)")
	for number; do
		recipe "$tmp/recipe$number"
	done
	echo "==== $failed failed"
	((failed == 0))
}

main "$@"
