#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Takes the uncompressed kernel (ELF, bootable by its PVH entry) out of a
# bzImage: an emulated machine needs seconds to do the same at every boot.
#
#   scripts/vm/extract-vmlinux.sh BZIMAGE VMLINUX
#
# Where the payload lies is told by the header that the x86 boot protocol
# describes (setup_sects, payload_offset and payload_length).

set -euo pipefail

image=$1 out=$2

# number OFFSET SIZE: a little-endian number in the image
number() {
	od -An -tu"$2" -j "$1" -N "$2" --endian=little "$image" | tr -d ' '
}

start=$((($(number 0x1f1 1) + 1) * 512 + $(number 0x248 4)))
length=$(number 0x24c 4)

payload() {
	tail -c +$((start + 1)) "$image" | head -c "$length"
}

case $(payload | od -An -tx1 -N 4 | tr -d ' ') in
fd377a58) unpack=(xz -dc --single-stream) ;;
1f8b08*) unpack=(gzip -dc) ;;
28b52ffd) unpack=(zstd -dcq) ;;
02214c18) unpack=(lz4 -dcq) ;;
7f454c46) unpack=(cat) ;;
*)
	echo "extract-vmlinux: unknown compression in $image" >&2
	exit 1 ;;
esac

# The size that follows the compressed data makes some of them complain.
payload 2>/dev/null | "${unpack[@]}" > "$out.tmp" 2>/dev/null || true
if [[ $(od -An -tx1 -N 4 "$out.tmp" | tr -d ' ') != 7f454c46 ]]; then
	rm -f "$out.tmp"
	echo "extract-vmlinux: no ELF image in $image" >&2
	exit 1
fi
mv "$out.tmp" "$out"
