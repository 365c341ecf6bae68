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

# fetch PACKAGE VERSION DIR: prints the name of the downloaded package.
fetch() {
	local pkg=$1=$2 deb=$3/$1_${2//:/%3a}_amd64.deb
	local -a download=(apt-get -qq -o "APT::Sandbox::User=$(id -un)"
			   download "$pkg")

	if [[ ! -s $deb ]]; then
		lab_say "downloading $1 $2 (about 70 MB)"
		mkdir -p "$3"
		(
			cd "$3"
			"${download[@]}" >&2 ||
				{ apt-get -qq update && "${download[@]}"; } >&2
		) || lab_die "cannot download $1 $2"
	fi
	[[ -s $deb ]] || lab_die "no $deb after the download"
	echo "$deb"
}

# unpack VERSION DEB DIR
unpack() {
	local tmp

	lab_say "unpacking $(basename "$2")"
	tmp=$(mktemp -d "$3.XXXXXX")
	dpkg-deb --fsys-tarfile "$2" |
		tar -x -C "$tmp" "./boot/vmlinuz-$1" ./lib/modules
	mv "$tmp/boot/vmlinuz-$1" "$tmp/bzImage"
	rmdir "$tmp/boot"
	depmod -b "$tmp" "$1"
	chmod 755 "$tmp"
	rm -rf "$3"
	mv "$tmp" "$3"
}

main() {
	local version pkgver dir ready deb

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

	pkgver=$(dpkg-query -W -f '${Version}' "linux-headers-$version") ||
		lab_die "linux-headers-$version is not installed"
	dir=$lab_cache/kernel/${version}_$pkgver
	ready=$dir/lib/modules/$version/modules.dep
	if [[ ! -e $ready ]]; then
		lab_lock kernel
	fi
	if [[ ! -e $ready ]]; then
		mkdir -p "$lab_cache/kernel"
		deb=$(fetch "linux-image-$version" "$pkgver" "$lab_cache/src")
		unpack "$version" "$deb" "$dir"
	fi
	echo "$dir"
}

main "$@"
