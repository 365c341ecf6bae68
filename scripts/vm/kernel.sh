#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The lab's stock kernel: Debian's own, of the version that the newest
# installed header package belongs to, so that the module built against these
# headers fits it. The package is unpacked into the cache, not installed.
#
#   scripts/vm/kernel.sh             make it available; print its directory,
#                                    which holds bzImage and lib/modules/VERSION
#   scripts/vm/kernel.sh --version   print VERSION
#   scripts/vm/kernel.sh --kdir      print the headers' build directory
#
# VHOST_BLK_KERNEL=VERSION in the environment chooses another installed one.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

newest_headers() {
	dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' \
		'linux-headers-[0-9]*-amd64' 2>/dev/null |
		sed -n 's/^ii *linux-headers-\(.*\)$/\1/p' |
		grep -vE -- '-(rt|cloud)-amd64$' | sort -V | tail -n 1
}

fetch() {
	local version=$1 dest=$2 deb pkgver
	local pkg=linux-image-$version

	pkgver=$(dpkg-query -W -f '${Version}' "linux-headers-$version")
	deb=$dest/${pkg}_${pkgver//:/%3a}_amd64.deb
	if [[ ! -s $deb ]]; then
		lab_say "downloading $pkg $pkgver (about 70 MB)"
		mkdir -p "$dest"
		(
			cd "$dest"
			opts=(-qq -o "APT::Sandbox::User=$(id -un)")
			apt-get "${opts[@]}" download "$pkg=$pkgver" >&2 ||
			{
				apt-get -qq update >&2 &&
				apt-get "${opts[@]}" download \
					"$pkg=$pkgver" >&2
			}
		) || lab_die "cannot download $pkg $pkgver"
	fi
	[[ -s $deb ]] || lab_die "no $deb after the download"
	echo "$deb"
}

unpack() {
	local version=$1 dir=$2 deb tmp

	deb=$(fetch "$version" "$lab_cache/src")
	lab_say "unpacking $(basename "$deb")"
	tmp=$(mktemp -d "$dir.XXXXXX")
	dpkg-deb --fsys-tarfile "$deb" |
		tar -x -C "$tmp" ./boot ./lib/modules
	mv "$tmp/boot/vmlinuz-$version" "$tmp/bzImage"
	depmod -b "$tmp" "$version"
	chmod 755 "$tmp"
	rm -rf "$dir"
	mv "$tmp" "$dir"
}

main() {
	local version dir

	version=${VHOST_BLK_KERNEL:-$(newest_headers)}
	[[ -n $version ]] ||
		lab_die "no linux-headers-*-amd64 installed: scripts/deps.sh lab"
	case ${1:-} in
	--version)
		echo "$version"
		return ;;
	--kdir)
		echo "/lib/modules/$version/build"
		return ;;
	"") ;;
	*)
		lab_die "unknown argument '$1'" ;;
	esac

	dir=$lab_cache/kernel/$version
	if [[ ! -e $dir/lib/modules/$version/modules.dep ]]; then
		mkdir -p "$lab_cache/kernel"
		lab_lock kernel
		[[ -e $dir/lib/modules/$version/modules.dep ]] ||
			unpack "$version" "$dir"
	fi
	echo "$dir"
}

main "$@"
