#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The bench on a host (scripts/bench/run.sh --host) keeps off disks that somebody uses,
# and what it starts cannot write to a disk that it may only read. Run by host.sh with a
# disk as its argument.
#
# shellcheck disable=SC2034 # shared with the scripts of the bench

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=selftests/lib/placed.sh
. "$here/lib/placed.sh"

bench=$(cd "$here/../scripts/bench" && pwd)

# refuses REASON ARGUMENT...: before it does anything else
refuses() {
	local reason=$1 status=0
	shift

	"$bench/run.sh" --out "$tmp/out" "$@" > "$tmp/refused" 2>&1 || status=$?
	cat "$tmp/refused"
	((status == 2)) && grep -q "$reason" "$tmp/refused" &&
		[[ ! -e $tmp/out ]]
}

# both_refused REASON [DEVICE]: to read as well as to write
both_refused() {
	refuses "$1" --host --device "${2:-$disk}" &&
		refuses "$1" --host --write "${2:-$disk}"
}

# while_used BEGIN END REASON: BEGIN and END are commands
while_used() {
	local status=0

	$1 || return
	both_refused "$3" || status=$?
	$2 && return $status
}

mount_it() {
	modprobe ext4 && mke2fs -q -F -t ext4 "$disk" && mkdir -p "$tmp/mnt" &&
		mount "$disk" "$tmp/mnt"
}

volume_up() {
	dmsetup create bench_volume --noudevrules --noudevsync \
		<<<"0 1024 linear $disk 0"
}

volume_down() {
	dmsetup remove --noudevrules --noudevsync --retry bench_volume
}

open_it() {
	exec {open_fd}<"$disk"
}

close_it() {
	exec {open_fd}<&-
}

# part_is_open: somebody has a part of the disk open, not exclusively
part_is_open() {
	addpart "$disk" 1 8 1024 && wait_for test -b "${disk}p1" &&
		exec {open_fd}<"${disk}p1"
}

close_part() {
	exec {open_fd}<&-
	delpart "$disk" 1
}

# The disk is open, and the bench is told to take a part of it.
disk_of_part_is_open() {
	local status=0

	addpart "$disk" 1 8 1024 && wait_for test -b "${disk}p1" || return
	open_it
	both_refused "open in another program" "${disk}p1" || status=$?
	close_part
	return $status
}

# Two parts of a disk have nothing to do with each other.
other_part_is_open() {
	local status=0 other

	part_is_open && addpart "$disk" 2 2048 1024 &&
		wait_for test -b "${disk}p2" || return
	# shellcheck source=scripts/bench/in-use.sh
	. "$bench/in-use.sh"
	! other=$(in_use "${disk}p2") || status=1
	echo "$other"
	delpart "$disk" 2
	close_part
	return $status
}

is_free() {
	# shellcheck source=scripts/bench/in-use.sh
	. "$bench/in-use.sh"
	! in_use "$disk"
}

# The library of the bench, with a disk that may only be read.
read_only() {
	bench_device=$disk bench_writable="" bench_read_only=on
	BENCH_SECONDS=1 BENCH_RW="" BENCH_DEPTHS=""
	# shellcheck source=scripts/bench/stages.sh
	. "$bench/stages.sh"
	# shellcheck source=scripts/bench/guests.sh
	. "$bench/guests.sh"
	# shellcheck source=scripts/bench/measure.sh
	. "$bench/measure.sh"
}

reads_are_left() {
	local -a works=()

	read_only
	works_of "randread randwrite read write randrw" 4k 1 1
	echo "${works[*]}"
	[[ "${works[*]}" == "randread 4k 1 1 read 4k 1 1" ]]
}

fio_is_told() {
	local -a fio_line

	read_only
	fio_args "randread 4k 1 1" libaio
	echo "${fio_line[*]}"
	[[ " ${fio_line[*]} " == *" --readonly "* ]]
}

# Each disk that QEMU gets is named in one argument.
qemu_is_told() {
	local -a args=()
	local arg named=0

	read_only
	add_disk vhost 1
	add_disk native 1
	add_disk new-threads-2 2
	for arg in "${args[@]}"; do
		[[ $arg == *"$disk"* ]] || continue
		echo "$arg"
		[[ $arg == *read-only=on* ]] || return
		named=$((named + 1))
	done
	((named == 3))
}

placed_begin "$1"
check "a device needs --host" refuses "needs --host" --device "$disk"
check "a list of the lab's disks names none of the host's" \
	refuses "is for the lab" --host --devices nvme
check "a disk to read does not become one to write" \
	refuses "to read or to write" --host --write /dev/null --device "$disk"
check "nothing is added to results that are not there" refuses "to add to" --add
check "what is no block device is refused" \
	both_refused "no block device" /dev/null
check "a mounted disk is refused" \
	while_used mount_it "umount $tmp/mnt" "mounted or otherwise in use"
check "a disk with a volume on it is refused" \
	while_used volume_up volume_down "mounted or otherwise in use"
check "a disk that is open elsewhere is refused" \
	while_used open_it close_it "open in another program"
check "so is a disk of which a part is" \
	while_used part_is_open close_part "open in another program"
check "so is a part of a disk that is" disk_of_part_is_open
check "a part of which another is open is not" other_part_is_open
check "a disk that nobody uses is not" is_free
check "no work that writes, unless told to" reads_are_left
check "fio is told not to write" fio_is_told
check "so is QEMU" qemu_is_told
tap_end
