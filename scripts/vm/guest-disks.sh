# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
#
# For commands in a guest (busybox): finds disks, counts their interrupts.
#
# shellcheck disable=SC3043 # busybox has local

# node SERIAL: the disk with this serial
node() {
	local dir serial

	for dir in /sys/block/vd*; do
		read -r serial 2>/dev/null < "$dir/serial"
		[ "$serial" != "$1" ] || { echo "/dev/${dir##*/}"; return; }
	done
	echo "no disk $1" >&2
	return 1
}

# no_scheduler NODE: a disk with one queue has mq-deadline otherwise, which gives
# each request to a thread of the kernel
no_scheduler() {
	echo none > "/sys/block/${1##*/}/queue/scheduler"
}

# interrupts NODE: all of the disk's queues. The name of a virtio device is in
# the path of its disk, be it of virtio_blk or of virtio_scsi.
interrupts() {
	local virtio

	virtio=$(readlink -f "/sys/block/${1##*/}" |
		sed 's,.*/\(virtio[0-9]*\)/.*,\1,')
	awk -v virtio="$virtio" '
		NR == 1 { cpus = NF; next }
		$NF ~ ("^" virtio "-req") {
			for (i = 2; i <= cpus + 1; i++)
				n += $i
		}
		END { print n + 0 }' /proc/interrupts
}
