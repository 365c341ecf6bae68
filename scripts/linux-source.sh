#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Prints the path of Debian's linux-source-6.1 package, fetched into the cache
# (140 MB) unless the newest version that apt knows is there already.
#
#   scripts/linux-source.sh            the package file
#   scripts/linux-source.sh --scripts  a directory with the kernel's
#                                      checkpatch.pl and kernel-doc out of it

set -euo pipefail

package=linux-source-6.1
cache="${VHOST_BLK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vhost-blk}"
debs=$cache/src
scripts=(checkpatch.pl spelling.txt const_structs.checkpatch kernel-doc)

say() {
	echo "linux-source: $*" >&2
}

die() {
	say "$*"
	exit 1
}

# The version that apt would install; without one, the newest in the cache.
version() {
	local deb found

	found=$(LC_ALL=C apt-cache policy "$package" 2>/dev/null |
		sed -n 's/^ *Candidate: *//p')
	if [[ -z $found || $found == "(none)" ]]; then
		deb=$(find "$debs" -name "${package}_*_all.deb" 2>/dev/null |
			sort -V | tail -n 1)
		found=${deb##*/"${package}_"}
		found=${found%_all.deb}
	fi
	echo "$found"
}

fetch() {
	local deb=$1 tmp
	local -a apt=(apt-get -qq -o "APT::Sandbox::User=$(id -un)")

	say "fetching ${deb##*/} (140 MB)"
	tmp=$(mktemp -d "$debs/download.XXXXXX")
	if ! (cd "$tmp" && "${apt[@]}" download "$package=$2" >&2); then
		rm -rf "$tmp"
		die "cannot fetch $package $2"
	fi
	mv "$tmp"/*.deb "$deb"
	rmdir "$tmp"
}

find_deb() {
	local found deb

	found=$(version)
	if [[ -z $found && $(id -u) -eq 0 ]]; then
		apt-get -qq update >&2 || true
		found=$(version)
	fi
	[[ -n $found ]] || die "apt knows no $package (apt-get update?)"
	deb=$debs/${package}_${found//:/%3a}_all.deb
	[[ -s $deb ]] || fetch "$deb" "$found"
	echo "$deb"
}

unpack_scripts() {
	local deb=$1 dir=$2 top=$package

	if [[ ! -d $dir ]]; then
		say "unpacking checkpatch.pl and kernel-doc (20 s)"
		rm -rf "$dir.new"
		mkdir -p "$dir.new"
		dpkg-deb --fsys-tarfile "$deb" |
			tar -xO "./usr/src/$top.tar.xz" |
			tar -xJ -C "$dir.new" --strip-components=2 \
				"${scripts[@]/#/$top/scripts/}"
		mv "$dir.new" "$dir"
	fi
	echo "$dir"
}

mkdir -p "$debs"
exec {lock}>"$cache/.lock-linux-source"
flock "$lock"
deb=$(find_deb)
case ${1:-} in
--scripts)
	name=${deb##*/}
	unpack_scripts "$deb" "$cache/kernel-scripts/${name%_all.deb}" ;;
"")
	echo "$deb" ;;
*)
	sed -n '4,9s/^# \{0,1\}//p' "$0" >&2
	exit 2 ;;
esac
