#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds the lab's debug kernel from Debian's source package, and our module for
# it. The kernel is built once per source version, configuration and compiler;
# the module every time. All of it lives in the cache and can be deleted.
#
#   scripts/vm/debug-kernel.sh                 build; print the directory
#   scripts/vm/debug-kernel.sh --kernel-only   leave our module out
#   scripts/vm/debug-kernel.sh --print-dir     build nothing; fail if not built
#
# The directory holds:
#   bzImage, config        the kernel and its configuration
#   lib/modules/VERSION    its modules
#   vhost_blk.ko           our module, built for it
#   build                  the build tree, for other modules

set -euo pipefail
# shellcheck source=scripts/vm/lib.sh
. "$(dirname "$0")/lib.sh"

# Goes up when the recipe below changes what comes out of it.
recipe=1
package=linux-source-6.1
fragments=("$lab_dir/kernel.config" "$lab_dir/debug.config")
work=$lab_cache/debug-kernel

die() {
	lab_say "$*"
	exit 1
}

usage() {
	sed -n '8,10s/^# \{0,1\}//p' "$0"
}

# What apt would install; if it does not know, the newest package in the cache.
source_version() {
	local version deb

	version=$(LC_ALL=C apt-cache policy "$package" 2>/dev/null |
		sed -n 's/^ *Candidate: *//p') || true
	if [[ -z $version || $version == "(none)" ]]; then
		deb=$(find "$lab_cache/src" -name "${package}_*_all.deb" \
			2>/dev/null | sort -V | tail -n 1) || true
		version=${deb##*/"${package}_"}
		version=${version%_all.deb}
	fi
	echo "$version"
}

result_dir() {
	local version=$1 key

	key=$({
		echo "$recipe $version"
		gcc -dumpfullversion -dumpmachine 2>/dev/null || true
		cat "${fragments[@]}"
	} | sha256sum)
	echo "$work/$version-${key:0:12}"
}

fetch_source() {
	local version=$1 deb=$2 tmp

	[[ ! -s $deb ]] || return 0
	lab_say "downloading $package $version (about 140 MB)"
	mkdir -p "$(dirname "$deb")"
	tmp=$(mktemp -d "$work/download.XXXXXX")
	(
		cd "$tmp"
		opts=(-qq -o "APT::Sandbox::User=$(id -un)")
		apt-get "${opts[@]}" download "$package=$version" >&2
	) || {
		rm -rf "$tmp"
		die "cannot download $package $version"
	}
	mv "$tmp"/*.deb "$deb"
	rmdir "$tmp"
}

unpack_source() {
	local deb=$1 dir=$2

	[[ ! -d $dir ]] || return 0
	lab_say "unpacking $(basename "$deb")"
	rm -rf "$dir.tmp"
	mkdir -p "$dir.tmp"
	dpkg-deb --fsys-tarfile "$deb" |
		tar -xO "./usr/src/$package.tar.xz" |
		tar -xJ -C "$dir.tmp" --strip-components=1
	mv "$dir.tmp" "$dir"
}

# run_make LOG ARG...: make with its output in LOG and, now and then, a line
# that tells how far it is.
run_make() {
	local log=$1 line n=0 last=$SECONDS
	shift

	if ! nice -n 10 make -j"$(nproc)" \
		KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=vhost-blk "$@" 2>&1 |
	     tee "$log" |
	     while IFS= read -r line; do
		n=$((n + 1))
		if ((SECONDS - last >= 20)); then
			last=$SECONDS
			lab_say "step $n: ${line#"${line%%[![:space:]]*}"}"
		fi
	     done; then
		tail -n 40 "$log" >&2
		die "make failed; everything it said is in $log"
	fi
}

# Kconfig drops in silence what it cannot have.
check_config() {
	local config=$1 line symbol
	local -a missing=()

	while IFS= read -r line; do
		case $line in
		CONFIG_*=*)
			grep -qxF -- "$line" "$config" || missing+=("$line") ;;
		"# CONFIG_"*" is not set")
			symbol=${line#"# "}
			symbol=${symbol%" is not set"}
			! grep -q "^$symbol=" "$config" || missing+=("$line") ;;
		esac
	done < <(cat "${fragments[@]}")
	((${#missing[@]} == 0)) || {
		printf '  %s\n' "${missing[@]}" >&2
		die "the kernel's configuration did not take the lines above"
	}
}

configure_kernel() {
	local source=$1 build=$2

	mkdir -p "$build"
	(cd "$source" && ./scripts/kconfig/merge_config.sh -n -O "$build" \
		"${fragments[@]}") > "$build/config.log" 2>&1 || {
		cat "$build/config.log" >&2
		die "cannot configure the kernel"
	}
	check_config "$build/.config"
}

build_kernel() {
	local source=$1 dir=$2 build=$2/build start=$SECONDS

	lab_say "configuring"
	configure_kernel "$source" "$build"

	lab_say "building the kernel, once (log: $build/build.log)"
	run_make "$build/build.log" -C "$build" bzImage modules

	lab_say "installing its modules"
	rm -rf "${dir:?}/lib"
	run_make "$build/install.log" -C "$build" modules_install \
		INSTALL_MOD_PATH="$dir" INSTALL_MOD_STRIP=1
	cp "$build/arch/x86/boot/bzImage" "$dir/bzImage"
	cp "$build/.config" "$dir/config"
	touch "$dir/complete"
	lab_say "kernel built in $((SECONDS - start)) s"
}

sources_in() {
	find "$@" -type f ! -name '*.mod.c' \
		\( -name '*.[ch]' -o -name Kbuild -o -name Makefile \) -print0
}

# Built from a copy: what the tree has built for the stock kernel stays as it
# is. The objects of the copy stay too, so that only changes are compiled.
build_module() {
	local dir=$1 copy=$1/module version

	[[ -e $lab_root/Kbuild ]] ||
		die "no module sources in $lab_root (see --kernel-only)"
	mkdir -p "$copy"
	sources_in "$copy" | xargs -0 -r rm -f
	(cd "$lab_root" && sources_in Kbuild drivers include |
		xargs -0 cp -p --parents -t "$copy")

	lab_say "building vhost_blk.ko"
	version=$(sed -n 's/^VERSION = //p' "$lab_root/Makefile")
	run_make "$copy/build.log" -C "$dir/build" M="$copy" \
		VHOST_BLK_VERSION="$version" UBSAN_SANITIZE=y modules
	grep 'warning:' "$copy/build.log" >&2 || true
	cp "$copy/drivers/vhost/blk/vhost_blk.ko" "$dir/vhost_blk.ko"
}

print_dir() {
	local dir

	dir=$(result_dir "$(source_version)")
	[[ -e $dir/complete ]] ||
		die "the debug kernel is not built: scripts/vm/debug-kernel.sh"
	echo "$dir"
}

main() {
	local version dir deb source kernel_only=""

	case ${1:-} in
	-h | --help)
		usage
		return ;;
	--print-dir)
		print_dir
		return ;;
	--kernel-only)
		kernel_only=1 ;;
	"") ;;
	*)
		usage >&2
		die "unknown argument '$1'" ;;
	esac

	"$lab_root/scripts/deps.sh" debug-kernel >&2
	version=$(source_version)
	[[ -n $version ]] || {
		apt-get -qq update >&2 || true
		version=$(source_version)
	}
	[[ -n $version ]] || die "apt knows no $package"
	dir=$(result_dir "$version")

	mkdir -p "$dir"
	exec 9> "$work/lock"
	flock -n 9 || {
		lab_say "waiting for another build to end"
		flock 9
	}
	if [[ ! -e $dir/complete ]]; then
		deb=$lab_cache/src/${package}_${version}_all.deb
		source=$work/${package}_$version
		fetch_source "$version" "$deb"
		unpack_source "$deb" "$source"
		build_kernel "$source" "$dir"
	fi
	[[ -n $kernel_only ]] || build_module "$dir"
	echo "$dir"
}

main "$@"
