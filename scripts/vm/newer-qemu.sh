#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Prints the path of a QEMU that can serve the queues of one disk by several threads
# (iothread-vq-mapping, since 9.0): that of the installed one if it can, or else of
# Debian's from backports, which is unpacked into the cache and not installed. Fails,
# with the reason, if there is none.

set -euo pipefail
# shellcheck source=qemu/lib.sh
. "$(dirname "$0")/../../qemu/lib.sh"

packages=(qemu-system-x86 qemu-system-data qemu-system-common)

version_of() {
	"$1" --version 2>/dev/null |
		sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p'
}

new_enough() {
	dpkg --compare-versions "$(version_of "$1")" ge 9.0
}

download() {
	local dir=$1

	[[ -s $cache_dir/apt/sources.list ]] || update_index
	say "fetching a newer QEMU from backports (13 MB)"
	mkdir -p "$dir.new"
	(cd "$dir.new" && private_apt apt-get download "${packages[@]}") \
		> "$dir.log" 2>&1 || die "cannot fetch ${packages[*]}"
	for deb in "$dir.new"/*.deb; do
		dpkg-deb -x "$deb" "$dir.new"
		rm "$deb"
	done
	mv "$dir.new" "$dir"
}

# start_script DIR PROGRAM: what tells it where its data are. Firmware that Debian has
# in packages of its own may be that of the installed QEMU.
start_script() {
	printf '#!/bin/sh\nexec %s -L %s -L %s -L %s "$@"\n' "$2" \
		"$1/usr/share/qemu" /usr/share/seabios /usr/share/qemu \
		> "$1/qemu-system-x86_64.new"
	chmod 755 "$1/qemu-system-x86_64.new"
	mv "$1/qemu-system-x86_64.new" "$1/qemu-system-x86_64"
}

main() {
	local dir=$cache_dir/newer program=/usr/bin/qemu-system-x86_64 missing

	if new_enough $program; then
		echo $program
		return
	fi
	program=$dir/usr/bin/qemu-system-x86_64
	[[ -x $program ]] || download "$dir"
	missing=$(ldd "$program" | awk '/not found/ { print $1 }')
	[[ -z $missing ]] || die "libraries are missing:" "${missing//$'\n'/ }"
	new_enough "$program" ||
		die "backports have QEMU $(version_of "$program"), no newer one"
	start_script "$dir" "$program"
	echo "$dir/qemu-system-x86_64"
}

main
