#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds the initramfs of the lab's host (l1) or guest (l2) for a kernel and
# prints the file's name. Kept in the cache until anything in it changes.
#
#   scripts/vm/initramfs.sh l1|l2 KERNELDIR

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# What each machine loads when it starts; what these depend on comes along.
modules_l1=(virtio_pci virtio_console 9pnet_virtio 9p overlay configfs)
modules_l2=(virtio_pci virtio_console virtio_blk)
# What the guest loads when it meets such a disk or file system.
more_l2=(virtio_scsi sd_mod ext4 crc32c_generic)
# Good to have where the kernel has it; null_blk is for the bench.
optional_l2=(crc32c_intel null_blk)
programs_l2=(/sbin/mke2fs /sbin/e2fsck /sbin/tune2fs
	     /sbin/resize2fs /sbin/dumpe2fs)

# Where lean_fio puts a fio that starts without the libraries of remote storage
# (80 MB, and half a second of linking in an emulated machine).
fio=$lab_cache/bin/fio
fio_drops=(libgfapi.so.0 libnbd.so.0 libibverbs.so.1 librdmacm.so.1
	   librados.so.2 librbd.so.1 libpmemblk.so.1 libpmem.so.1)

which=$1 kernel=$2
version=$(lab_version "$kernel")

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

# add_modules DIR FILE...: in a tree of their own, so that modprobe finds them.
add_modules() {
	local dir=$1 file name
	shift

	mkdir -p "$dir/lib/modules/$version"
	for file in "$@"; do
		name=$dir/lib/modules/$version/$(basename "$file")
		case $file in
		*.xz) xz -dc "$file" > "${name%.xz}" ;;
		*) cp "$file" "$name" ;;
		esac
	done
	cp "$kernel/lib/modules/$version"/modules.{builtin*,order} \
		"$dir/lib/modules/$version/"
	depmod -b "$dir" "$version"
	rm -f "$dir/lib/modules/$version"/*.bin \
		"$dir/lib/modules/$version"/modules.builtin*
}

# Busybox under all its names.
add_busybox() {
	local dir=$1 name

	cp /usr/bin/busybox "$dir/bin/busybox"
	for name in $(busybox --list); do
		[[ $name == busybox ]] || ln -s busybox "$dir/bin/$name"
	done
	ln -s ../bin/busybox "$dir/sbin/modprobe"
}

lean_fio() {
	local stamp

	stamp=$(stat -L -c '%s %Y' /usr/bin/fio "$lab_dir/lean-elf.pl")
	[[ ! -x $fio || $(cat "$fio.stamp" 2>/dev/null) != "$stamp" ]] ||
		return 0
	mkdir -p "${fio%/*}"
	if "$lab_dir/lean-elf.pl" program /usr/bin/fio "$fio.new" \
			"${fio_drops[@]}" &&
	   "$fio.new" --name=try --ioengine=null --size=64k --minimal \
			>/dev/null &&
	   "$fio.new" --enghelp=libaio >/dev/null; then
		mv "$fio.new" "$fio"
	else
		lab_say "this fio cannot be made lean, using it as it is"
		cp /usr/bin/fio "$fio"
	fi
	echo "$stamp" > "$fio.stamp"
}

add_programs() {
	local dir=$1 file

	for file in "${programs_l2[@]}" \
			$(libraries_of "$fio" "${programs_l2[@]}"); do
		mkdir -p "$dir/$(dirname "$file")"
		cp -L "$file" "$dir/$file"
	done
	cp "$fio" "$dir/usr/bin/fio"
	ln -s mke2fs "$dir/sbin/mkfs.ext4"
	cp /etc/mke2fs.conf "$dir/etc/"
	# What a mount without a type tries; the kernel loads the module then.
	echo ext4 > "$dir/etc/filesystems"
}

# Everything that the result is made of.
inputs() {
	stat -L -c '%n %s %Y' /usr/bin/busybox "$@" \
		"$lab_dir"/{initramfs,lib}.sh "$lab_dir/init-$which.sh"
	if [[ $which == l2 ]]; then
		stat -L -c '%n %s %Y' "$fio" "${programs_l2[@]}"
	fi
}

# build OUT FILE...: puts the tree together, with these modules.
build() {
	local out=$1 tree=$tmp/tree
	shift

	mkdir -p "$tree"/{bin,sbin,dev,etc,mnt,proc,run,sys,tmp,usr/bin}
	add_busybox "$tree"
	install -m 755 "$lab_dir/init-$which.sh" "$tree/init"
	add_modules "$tree" "$@"
	if [[ $which == l1 ]]; then
		echo "${modules_l1[@]}" > "$tree/modules"
	else
		echo "${modules_l2[@]}" > "$tree/modules"
		add_programs "$tree"
	fi
	(cd "$tree" && find . -print0 | sort -z |
		cpio --quiet -0 -o -H newc -R 0:0) > "$tmp/cpio"
	mv "$tmp/cpio" "$out"
}

main() {
	local out stamp
	local -a files

	mkdir -p "$lab_cache/initramfs"
	lab_lock initramfs
	case $which in
	l1)
		mapfile -t files < <(
			module_files must "${modules_l1[@]}" |
			awk '!seen[$0]++') ;;
	l2)
		lean_fio
		mapfile -t files < <({
			module_files must "${modules_l2[@]}" "${more_l2[@]}"
			module_files optional "${optional_l2[@]}"
		} | awk '!seen[$0]++') ;;
	*)
		lab_die "unknown initramfs '$which'" ;;
	esac

	out=$lab_cache/initramfs/$(basename "$kernel")-$which.cpio
	stamp=$(inputs "${files[@]}")
	if [[ ! -e $out || $(cat "$out.stamp" 2>/dev/null) != "$stamp" ]]; then
		tmp=$(mktemp -d "$lab_cache/initramfs/tmp.XXXXXX")
		trap 'rm -rf "$tmp"' EXIT
		build "$out" "${files[@]}"
		echo "$stamp" > "$out.stamp"
	fi
	echo "$out"
}

main
