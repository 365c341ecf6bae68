# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Functions for commands in a guest; vm.sh puts this there. Disks are known by
# their serial. For busybox, which has local.
#
# shellcheck disable=SC3043

# disk SERIAL: prints its name
disk() {
	local dir serial

	for dir in /sys/block/vd*; do
		read -r serial 2>/dev/null < "$dir/serial"
		[ "$serial" = "$1" ] || continue
		echo "${dir##*/}"
		return
	done
	echo "no disk with serial $1" >&2
	return 1
}

# wait_disk SERIAL SECONDS; gone_disk SERIAL SECONDS
wait_disk() {
	local i=0

	until disk "$1" 2>/dev/null >&2; do
		i=$((i + 1))
		[ $i -lt $(($2 * 5)) ] || { disk "$1"; return; }
		sleep 0.2
	done
}

gone_disk() {
	local i=0

	while disk "$1" 2>/dev/null >&2; do
		i=$((i + 1))
		[ $i -lt $(($2 * 5)) ] || { echo "$1 is still there"; return 1; }
		sleep 0.2
	done
}

# node SERIAL
node() {
	local name

	name=$(disk "$1") && echo "/dev/$name"
}

# pci SERIAL: the directory of the disk's PCI device
pci() {
	local name

	name=$(disk "$1") && readlink -f "/sys/block/$name/device/.."
}

# interrupts SERIAL: one line for each interrupt of the disk's queues: how
# often it came
interrupts() {
	local name virtio

	name=$(disk "$1") || return
	virtio=$(readlink -f "/sys/block/$name/device")
	virtio=${virtio##*/}
	awk -v virtio="$virtio" '
		NR == 1 { cpus = NF; next }
		$NF ~ ("^" virtio "(-(req\\.|virtqueues).*)?$") {
			n = 0
			for (i = 2; i <= cpus + 1; i++)
				n += $i
			print n
		}' /proc/interrupts
}

# verify SERIAL [FIO ARGUMENTS]: writes, reads and compares
verify() {
	local file out="/run/verify.$1.out"

	file=$(node "$1") || return
	shift
	fio --name=verify --filename="$file" --direct=1 --ioengine=libaio \
		--iodepth=16 --rw=randrw --bssplit=512/20:4k/40:20k/20:64k/20 \
		--size=4m --randrepeat=0 --verify=crc32c --verify_fatal=1 \
		--output="$out" "$@" || {
		# Errors come first, before statistics of any length.
		grep -aiE 'error|verify' "$out" | head -n 20
		tail -n 40 "$out"
		return 1
	}
}

# load SERIAL SECONDS [FIO ARGUMENTS]: keeps the disk busy, comparing
load() {
	local serial="$1" seconds="$2"
	shift 2

	verify "$serial" --iodepth=32 --size=16m --time_based \
		--runtime="$seconds" --verify_backlog=64 "$@"
}

# reads SERIAL SECONDS [FIO ARGUMENTS]: random reads; prints how many
reads() {
	local file seconds

	file=$(node "$1") || return
	seconds=$2
	shift 2
	fio --name=reads --filename="$file" --rw=randread --bs=4k --direct=1 \
		--time_based --runtime="$seconds" --norandommap --minimal \
		--output=/run/reads.out "$@" || { cat /run/reads.out; return 1; }
	# terse version 3: field 6 is KiB read
	awk -F ';' '{ print $6 / 4 }' /run/reads.out
}

# hash SERIAL MIB
hash() {
	local file

	file=$(node "$1") &&
		dd if="$file" bs=1M count="$2" iflag=direct status=none |
		md5sum | cut -d ' ' -f 1
}

# make_tree DIR: directories and files of many sizes
make_tree() {
	local i

	for i in 1 2 3 4 5 6 7 8; do
		mkdir -p "$1/d$i/e/f" || return
		dd if=/dev/urandom of="$1/d$i/large" bs=$((i * 37)) count=4k \
			status=none || return
		dd if=/dev/urandom of="$1/d$i/e/small" bs=$i count=17 \
			status=none || return
		ln -s ../large "$1/d$i/e/link" || return
		ln "$1/d$i/large" "$1/d$i/e/f/hard" || return
	done
}

# sums_of DIR: checksums of all files
sums_of() {
	(cd "$1" && find . -type f | sort | xargs md5sum)
}
