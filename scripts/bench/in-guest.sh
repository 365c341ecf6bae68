# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
#
# What the bench does in its guests (busybox), after scripts/vm/guest-disks.sh.
#
# shellcheck disable=SC3043 # busybox has local

# own_null: a disk of the guest's own that answers in the submitting context
own_null() {
	[ -b /dev/nullb0 ] ||
		modprobe null_blk nr_devices=1 gb=64 queue_mode=2 irqmode=0 \
			submit_queues="$(nproc)" || return
	ls /dev/nullb0
}

# disk_of NAME: as node; vhost-user-blk and vhost-scsi give no serial of ours
disk_of() {
	case $1 in
	user) node vhost_user_blk ;;
	scsi) ls /dev/sda ;;
	own) own_null ;;
	*) node "$1" ;;
	esac
}

# bench_fio NAME FIO-ARGUMENT...: prints "interrupts N", then fio's JSON
bench_fio() {
	local file before

	file=$(disk_of "$1") || return
	shift
	no_scheduler "$file" || return
	before=$(interrupts "$file")
	fio --filename="$file" --output=/run/bench.json "$@" || return
	echo "interrupts $(($(interrupts "$file") - before))"
	cat /run/bench.json
}
