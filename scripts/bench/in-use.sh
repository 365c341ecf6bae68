# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Does somebody use a disk? For run.sh, before anything is done to it.

# same_disk DEVICE: the device files of what shares its blocks: all of the disk and
# each of its partitions, for a partition only the disk and itself
same_disk() {
	local dir part

	dir=$(realpath "/sys/class/block/$(basename "$1")") || return
	echo "/dev/$(basename "$dir")"
	if [[ -e $dir/partition ]]; then
		echo "/dev/$(basename "$(dirname "$dir")")"
		return
	fi
	for part in "$dir"/*/partition; do
		[[ ! -e $part ]] || echo "/dev/$(basename "$(dirname "$part")")"
	done
}

# in_use DEVICE: says how. The kernel lets nobody open a disk exclusively that is
# mounted, or part of a volume, or has a partition that is; QEMU and others that
# just have it open, or the disk that it is a part of, or a part of it, are found by
# their files.
in_use() {
	local real path file
	local -a names=(-false)

	real=$(realpath "$1")
	while read -r path; do
		names+=(-o -lname "$path")
	done < <(same_disk "$real")
	file=$(find /proc/[0-9]*/fd \( "${names[@]}" \) 2>/dev/null | head -n 1)
	if ! /usr/bin/python3 -c 'import os, sys
os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL)' "$real" 2>/dev/null; then
		echo "mounted or otherwise in use"
	elif [[ -n $file ]]; then
		echo "open in another program ($file)"
	else
		return 1
	fi
}
