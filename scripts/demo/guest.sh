# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
#
# What the demo does in its guest (busybox). host.sh puts this file there, after
# scripts/vm/guest-disks.sh.
#
# shellcheck disable=SC3043 # busybox has local

mnt=/mnt/demo

mount_disk() {
	mkdir -p $mnt && mount "$(node demo)" $mnt
}

release() {
	umount $mnt
}

format_disk() {
	mkfs.ext4 -q "$(node demo)" && mount_disk
}

check_disk() {
	e2fsck -f -n "$(node demo)"
}

# 120 files from 0 bytes to 1.1 MiB, two links
make_tree() {
	local i j dir

	for i in 1 2 3 4 5; do
		for j in 1 2 3 4 5 6; do
			dir=$mnt/tree/$i/$j
			mkdir -p "$dir/deep/er" || return
			head -c $((i * j * 37813)) /dev/urandom > "$dir/large" &&
			head -c $((i * 4096)) /dev/urandom > "$dir/deep/blocks" &&
			echo "$i $j" > "$dir/deep/er/line" &&
			: > "$dir/empty" || return
		done
	done
	ln -s ../1/1/large $mnt/tree/2/link && ln $mnt/tree/1/1/large $mnt/tree/hard
}

verify_file() {
	fio --name=verify --filename=$mnt/verified --size=24m --rw=randrw \
		--bssplit=4k/60:16k/30:64k/10 --ioengine=libaio --direct=1 \
		--iodepth=16 --verify=crc32c --verify_fatal=1 \
		--output=/run/verify.out || { cat /run/verify.out; return 1; }
}

sums() {
	(cd $mnt && find . -type f | sort | xargs sha256sum)
}

size_of_tree() {
	du -sm $mnt | cut -f 1
}

# bench SERIAL DEPTH SECONDS: prints IOPS, requests, interrupts
bench() {
	local file before

	file=$(node "$1") || return
	no_scheduler "$file" || return
	before=$(interrupts "$file")
	fio --name=bench --filename="$file" --rw=randread --bs=4k --direct=1 \
		--ioengine=libaio --iodepth="$2" --time_based --runtime="$3" \
		--norandommap --minimal --output=/run/bench.out || return
	# terse version 3: 6 is KiB read, 8 is IOPS
	awk -F ';' -v i=$(($(interrupts "$file") - before)) \
		'{ print $8, $6 / 4, i }' /run/bench.out
}
