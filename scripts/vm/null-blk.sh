# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For scripts on the host that measure: disks that cost nothing.
#
# shellcheck disable=SC2034 # disk is used by those who source this

# null_disk NAME ATTRIBUTE=VALUE...: makes a null_blk device that answers from
# the submitting CPU, sets disk to it.
null_disk() {
	local name=$1 dir=/sys/kernel/config/nullb/$1 pair
	shift

	[[ -d /sys/kernel/config/nullb ]] || modprobe null_blk nr_devices=0
	mkdir "$dir"
	for pair in blocksize=512 submit_queues=2 queue_mode=2 irqmode=0 "$@"; do
		echo "${pair#*=}" > "$dir/${pair%%=*}"
	done
	echo 1 > "$dir/power"
	# newer kernels call the disk as its directory, others count
	disk=/dev/$name
	[[ -b $disk ]] || disk=/dev/nullb$(< "$dir/index")
}

null_disk_remove() {
	rmdir "/sys/kernel/config/nullb/$1"
}
