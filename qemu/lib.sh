# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the scripts of this folder share: the cache and Debian's QEMU sources.
# Sourced, not run.

qemu_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root_dir=$(dirname -- "$qemu_dir")
cache_dir=${VHOST_BLK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vhost-blk}/qemu

package=qemu-system-x86

# What the groups qemu and qemu-src of scripts/deps.sh have to contain.
plugin_packages=(binutils dpkg-dev gcc libc6-dev libfdt-dev libglib2.0-dev
	libpixman-1-dev make meson ninja-build pkg-config python3 python3-venv
	xz-utils zlib1g-dev)
# shellcheck disable=SC2034 # used by build.sh
source_packages=("${plugin_packages[@]}" libaio-dev liburing-dev patch)

say() {
	echo "qemu: $*" >&2
}

die() {
	say "$*"
	exit 1
}

# need PACKAGE...: install them, or say what is missing.
need() {
	local package missing=()

	"$root_dir/scripts/deps.sh" qemu qemu-src >&2
	for package in "$@"; do
		dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2> /dev/null |
			grep -q '^ii' || missing+=("$package")
	done
	((${#missing[@]} == 0)) ||
		die "please install: apt-get install ${missing[*]}"
}

# quietly LOG COMMAND...: keep the output, show its end if the command fails.
quietly() {
	local log=$1
	shift

	mkdir -p "$(dirname "$log")"
	if ! "$@" > "$log" 2>&1; then
		tail -n 30 "$log" >&2
		die "failed: $* (all of it: $log)"
	fi
}

# Runs a program of apt with an index of our own, so that neither /etc/apt nor
# the machine's lists change.
private_apt() {
	local dir=$cache_dir/apt tool=$1
	shift

	"$tool" -q -o "Dir::Etc::sourcelist=$dir/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null \
		-o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir/cache" \
		-o "APT::Sandbox::User=$(id -un)" "$@"
}

# shellcheck disable=SC2016 # apt expands these
debian_archives() {
	apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' | sort -u
}

# The sources of the releases that have a QEMU we build, from the archives that
# this machine uses for its own release, and the backports of the latter.
write_source_list() {
	local codename key uri suite component other main=""

	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	key="signed-by=/usr/share/keyrings/debian-archive-keyring.gpg"
	while read -r uri suite component; do
		[[ $suite == "$codename"* && $component == main ]] || continue
		for other in "$codename" bookworm trixie; do
			echo "deb-src [$key] $uri $other${suite#"$codename"} main"
		done
		[[ $suite != "$codename" ]] || main=$uri
	done < <(debian_archives)
	[[ -n $main ]] || return 0
	echo "deb [$key] $main $codename-backports main"
	echo "deb-src [$key] $main $codename-backports main"
}

update_index() {
	local dir=$cache_dir/apt

	command -v apt-get > /dev/null || die "needs Debian's apt-get"
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
	write_source_list | sort -u > "$dir/sources.list"
	[[ -s $dir/sources.list ]] ||
		die "apt knows no Debian archive of this release"
	say "fetching the index of Debian's sources"
	quietly "$dir/update.log" private_apt apt-get update
}

# source_versions: all versions of QEMU's source in the index, newest first.
source_versions() {
	private_apt apt-cache showsrc qemu 2> /dev/null |
		sed -n 's/^Version: //p' | sort -u | sort -rV
}

# fetch_source VERSION DIR: unpack Debian's source of exactly that version
# into DIR, once. Fails if the archive lists it but no longer has it.
fetch_source() {
	local version=$1 dir=$2 download=$cache_dir/download

	[[ ! -e $dir/.unpacked ]] || return 0
	say "fetching the source of qemu $version"
	mkdir -p "$download" "$(dirname "$dir")"
	if ! (cd "$download" && private_apt apt-get source --download-only \
			"qemu=$version") > "$download/download.log" 2>&1; then
		grep '^E:' "$download/download.log" >&2 || true
		return 1
	fi
	rm -rf "$dir"
	quietly "$download/unpack.log" dpkg-source --no-check -x \
		"$download/qemu_${version#*:}.dsc" "$dir"
	touch "$dir/.unpacked"
}

# installed_source_version: of the source that the installed QEMU is made of.
# shellcheck disable=SC2016 # dpkg expands it
installed_source_version() {
	dpkg-query -W -f '${source:Version}' "$package"
}

has_source() {
	grep -qxF -- "$1" <<< "$(source_versions)"
}

# get_source VERSION DIR: that version and no other, its headers must fit.
get_source() {
	[[ ! -e $2/.unpacked ]] || return 0
	if ! has_source "$1"; then
		update_index
	fi
	if ! has_source "$1" || ! fetch_source "$1" "$2"; then
		die "Debian's archive does not have the source of the installed" \
		    "QEMU, $1 (any more): upgrade QEMU, or build one with" \
		    "qemu/build.sh. The archive lists:" \
		    "$(source_versions | tr '\n' ' ')"
	fi
}

# use_meson VERSION: take meson from backports, unpacked into the cache, where
# the installed one is older than that.
use_meson() {
	local dir=$cache_dir/meson have

	have=$(meson --version 2> /dev/null || echo 0)
	if dpkg --compare-versions "$have" ge "$1"; then
		return 0
	fi
	if [[ ! -e $dir/.unpacked ]]; then
		[[ -e $cache_dir/apt/sources.list ]] || update_index
		say "fetching meson from backports (installed: $have)"
		mkdir -p "$cache_dir/download"
		(cd "$cache_dir/download" && rm -f meson_*.deb &&
			private_apt apt-get download meson) > /dev/null ||
			die "cannot fetch meson >= $1"
		rm -rf "$dir"
		dpkg-deb -x "$cache_dir"/download/meson_*.deb "$dir"
		touch "$dir/.unpacked"
	fi
	PATH=$dir/usr/bin:$PATH
	PYTHONPATH=$dir/usr/lib/python3/dist-packages
	export PATH PYTHONPATH
}

# configure_qemu SRC BUILD ARGS...: QEMU's configure, with what every build
# of ours wants. Debian's tarballs contain no firmware.
configure_qemu() {
	local src=$1 build=$2 extra=()
	shift 2

	if grep -q disable-download "$src/configure"; then
		use_meson 1.5
		extra+=(--disable-download)
	fi
	rm -rf "$build"
	mkdir -p "$build"
	(cd "$build" && quietly "$build/configure.log" nice -n 5 \
		"$src/configure" --prefix=/usr --target-list=x86_64-softmmu \
		--disable-docs --disable-install-blobs --disable-werror \
		--disable-debug-info --audio-drv-list= "${extra[@]}" "$@")
}
