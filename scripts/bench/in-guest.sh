# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
#
# What the bench does in its guests (busybox), after scripts/vm/guest-disks.sh.
#
# shellcheck disable=SC3043 # busybox has local

# disk_of NAME: as node; vhost-user-blk and vhost-scsi give no serial of ours
disk_of() {
	case $1 in
	user) node vhost_user_blk ;;
	scsi) ls /dev/sda ;;
	*) node "$1" ;;
	esac
}

# bench_fio NAME FIO-ARGUMENT...: prints "interrupts N", then fio's JSON
bench_fio() {
	local file before

	file=$(disk_of "$1") || return
	shift
	before=$(interrupts "$file")
	fio --filename="$file" --output=/run/bench.json "$@" || return
	echo "interrupts $(($(interrupts "$file") - before))"
	cat /run/bench.json
}
