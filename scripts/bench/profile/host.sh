#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of the profile that runs in the lab's host (see run.sh):
#
#   host.sh REQUESTS CASE...
#
# Each case runs three times: to warm up, with REQUESTS and with twice as many.
# What runs from one call of the marker to the next is a section of the counts;
# /out/sections names them in turn.

set -euo pipefail
here=$(dirname "$0")
disk=/dev/nullb0

prepare() {
	insmod "$VHOST_BLK_KO"
	# With fewer tags 16 queues would wait for each other.
	modprobe null_blk nr_devices=1 queue_mode=2 irqmode=0 gb=1 \
		hw_queue_depth=1024
	# Nothing is read from the machine below while it counts.
	cp "$here"/build/mark "$here"/../chardev/build/{ring,uring}_bench \
		/usr/bin/fio /run/
	cat /proc/kallsyms > /out/kallsyms
	for section in .text .text.unlikely; do
		echo "$section $(cat /sys/module/vhost_blk/sections/$section)"
	done > /out/module
	{
		echo "kernel=$(uname -r)"
		echo "kernel_version=$(uname -v)"
	} > /out/system
}

# run_fio DEPTH QUEUES REQUESTS
run_fio() {
	local each=$(($3 / $2))

	/run/fio --name=profile --filename="$disk" --rw=randread --bs=4k \
		--direct=1 --ioengine=io_uring --fixedbufs --registerfiles \
		--thread --norandommap --iodepth="$1" --numjobs="$2" \
		--io_size=$((each * 4096)) --size=1g --group_reporting \
		--output-format=json
}

# run_case CASE REQUESTS: CASE is PROGRAM-DEPTHxQUEUES
run_case() {
	local program=${1%%-*} depth queues

	IFS=x read -r depth queues <<<"${1#*-}"
	case $program in
	ring | uring)
		"/run/${program}_bench" --device "$disk" --depth "$depth" \
			--queues "$queues" --requests "$2" ;;
	fio)
		run_fio "$depth" "$queues" "$2" ;;
	*)
		echo "no case $1" >&2
		return 1 ;;
	esac
}

main() {
	local requests=$1 name n
	shift

	prepare
	cd /run
	echo boot > sections
	./mark
	for name in "$@"; do
		for n in warm 1 2; do
			run_case "$name" $((requests * ${n/warm/1})) \
				> "result.$name.$n"
			echo "$name $n" >> sections
			./mark
		done
	done
	cp sections result.* /out/
}

main "$@"
