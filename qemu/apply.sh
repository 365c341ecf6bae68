#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Puts vhost-blk into a QEMU source tree: copies its files and applies the
# hunks of meson.build and Kconfig that belong to that release.
#
#   qemu/apply.sh QEMU_SRC
#
# Does nothing where it was done before, but copies files that changed.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "$0")/lib.sh"

files=(hw/block/vhost-blk.c hw/block/vhost-blk-backing.c
       hw/virtio/vhost-blk-pci.c include/hw/virtio/vhost-blk.h
       include/hw/virtio/vhost-blk-compat.h)

# copy FROM TO: only what differs, so that ninja builds only that.
copy() {
	cmp -s "$1" "$2" || install -m 644 "$1" "$2"
}

find_patch() {
	local version=$1 release

	release=$(cut -d. -f1,2 <<< "$version")
	[[ -e $qemu_dir/patches/$release.patch ]] ||
		die "no patch for QEMU $version, there are some for:" \
		    "$(cd "$qemu_dir/patches" && echo ./*.patch |
		       sed 's|\./||g; s|\.patch||g')"
	echo "$qemu_dir/patches/$release.patch"
}

wire() {
	local src=$1 patch=$2

	if grep -qx "config VHOST_BLK" "$src/hw/block/Kconfig"; then
		return 0
	fi
	patch -d "$src" -p1 --dry-run -s -f < "$patch" ||
		die "$(basename "$patch") does not apply to $src"
	patch -d "$src" -p1 -s -f --no-backup-if-mismatch < "$patch"
}

main() {
	local src=${1:-} patch file

	[[ -n $src ]] || die "usage: apply.sh QEMU_SRC"
	[[ -e $src/VERSION && -e $src/hw/block/Kconfig ]] ||
		die "$src is not a QEMU source tree"
	patch=$(find_patch "$(< "$src/VERSION")")
	wire "$src" "$patch"
	for file in "${files[@]}"; do
		copy "$qemu_dir/$file" "$src/$file"
	done
	copy "$root_dir/include/uapi/linux/vhost_blk.h" \
		"$src/linux-headers/linux/vhost_blk.h"
}

main "$@"
