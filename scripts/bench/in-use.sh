# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Does somebody use a disk? For run.sh, before anything is done to it.

# in_use DEVICE: says how. The kernel lets nobody open a disk exclusively that is
# mounted, or part of a volume, or has a partition that is; QEMU and others that
# just have it open are found by their files.
in_use() {
	local real file

	real=$(realpath "$1")
	file=$(find /proc/[0-9]*/fd -lname "$real" 2>/dev/null | head -n 1)
	if ! /usr/bin/python3 -c 'import os, sys
os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL)' "$real" 2>/dev/null; then
		echo "mounted or otherwise in use"
	elif [[ -n $file ]]; then
		echo "open in another program ($file)"
	else
		return 1
	fi
}
