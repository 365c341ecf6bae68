#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds the initramfs of the lab's host (l1) or guest (l2) for a kernel and
# prints the file's name. Kept in the cache until anything in it changes.
#
#   scripts/vm/initramfs.sh l1|l2 KERNELDIR VERSION

set -euo pipefail
# shellcheck source=scripts/vm/lib.sh
. "$(dirname "$0")/lib.sh"

# What each machine needs before it can reach anything else.
modules_l1=(virtio_pci virtio_console 9pnet_virtio 9p overlay configfs)
modules_l2=(virtio_pci virtio_console virtio_blk virtio_scsi sd_mod ext4)
# Modules an ext4 or a SCSI disk may want that no dependency names.
optional_l2=(crc32c_generic crc32c_intel crc32_pclmul crct10dif_pclmul
	     crct10dif_generic sr_mod)
programs_l2=(/usr/bin/fio /sbin/mke2fs /sbin/e2fsck /sbin/tune2fs
	     /sbin/resize2fs /sbin/dumpe2fs)

which=$1 kernel=$2 version=$3

# Paths, in order of loading, of the modules named and what they depend on.
# A module built into the kernel gives nothing; one that is missing is an
# error unless it is optional.
module_files() {
	local must=$1 name
	shift

	for name in "$@"; do
		modprobe -d "$kernel" -S "$version" -C /dev/null \
			--show-depends "$name" 2>/dev/null ||
			[[ $must == optional ]] ||
			lab_die "kernel $version has no module $name"
	done | awk '$1 == "insmod" { print $2 }'
}

libraries_of() {
	ldd "$@" | awk '
		$2 == "=>" && $3 ~ /^\// { print $3; next }
		$1 ~ /^\// && $1 !~ /:$/ { print $1 }' | sort -u
}

add_modules() {
	local dir=$1 file
	shift

	mkdir -p "$dir/modules"
	for file in "$@"; do
		case $file in
		*.xz) xz -dc "$file" > "$dir/modules/$(basename "$file" .xz)" ;;
		*) cp "$file" "$dir/modules/" ;;
		esac
		basename "$file" .xz
	done > "$dir/modules/order"
}

add_programs() {
	local dir=$1 file

	for file in "${programs_l2[@]}" $(libraries_of "${programs_l2[@]}"); do
		mkdir -p "$dir/$(dirname "$file")"
		cp -L "$file" "$dir/$file"
	done
	ln -s mke2fs "$dir/sbin/mkfs.ext4"
	cp /etc/mke2fs.conf "$dir/etc/"
}

main() {
	local name out stamp tmp tree
	local -a files

	case $which in
	l1)
		mapfile -t files < <(
			module_files must "${modules_l1[@]}" |
			awk '!seen[$0]++') ;;
	l2)
		mapfile -t files < <({
			module_files must "${modules_l2[@]}"
			module_files optional "${optional_l2[@]}"
		} | awk '!seen[$0]++') ;;
	*)
		lab_die "unknown initramfs '$which'" ;;
	esac

	name=$(basename "$kernel")
	out=$lab_cache/initramfs/$name-$which.cpio
	stamp=$(
		stat -L -c '%n %s %Y' /usr/bin/busybox \
			"$lab_dir"/{initramfs,lib}.sh "$lab_dir/init-$which.sh" "${files[@]}"
		if [[ $which == l2 ]]; then
			stat -L -c '%n %s %Y' "${programs_l2[@]}"
		fi
	)
	if [[ -e $out && $(cat "$out.stamp" 2>/dev/null) == "$stamp" ]]; then
		echo "$out"
		return
	fi

	lab_lock initramfs
	mkdir -p "$lab_cache/initramfs"
	tmp=$(mktemp -d "$lab_cache/initramfs/tmp.XXXXXX")
	# shellcheck disable=SC2064 # expanded now on purpose
	trap "rm -rf '$tmp'" EXIT
	tree=$tmp/tree
	mkdir -p "$tree"/{bin,sbin,dev,etc,mnt,proc,run,sys,tmp,usr/bin}
	cp /usr/bin/busybox "$tree/bin/busybox"
	ln -s busybox "$tree/bin/sh"
	install -m 755 "$lab_dir/init-$which.sh" "$tree/init"
	add_modules "$tree" "${files[@]}"
	[[ $which != l2 ]] || add_programs "$tree"
	(cd "$tree" && find . -print0 | sort -z |
		cpio --quiet -0 -o -H newc -R 0:0) > "$tmp/cpio"
	mv "$tmp/cpio" "$out"
	echo "$stamp" > "$out.stamp"
	echo "$out"
}

main
