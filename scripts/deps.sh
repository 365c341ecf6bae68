#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Installs the Debian packages that a part of the project needs.
#
#   scripts/deps.sh GROUP...     install what is missing and say what
#   scripts/deps.sh --list       show the groups and their packages
#   scripts/deps.sh --check G... print what is missing, exit 1 if anything is
#
# Does nothing, quickly, when everything is there.

set -euo pipefail

group_packages() {
	case $1 in
	build)
		echo gcc libc6-dev make linux-headers-amd64 ;;
	lab)
		# linux-headers: the lab boots the kernel of the newest ones
		echo qemu-system-x86 seabios busybox-static cpio kmod xz-utils \
		     zstd linux-headers-amd64 fio e2fsprogs dmsetup nvme-cli \
		     iproute2 procps jq ;;
	qemu)
		echo qemu-system-x86 gcc libc6-dev make pkg-config python3 \
		     python3-venv ninja-build meson libglib2.0-dev \
		     libpixman-1-dev zlib1g-dev libfdt-dev binutils \
		     dpkg-dev ca-certificates wget xz-utils ;;
	qemu-src)
		# qemu/lib.sh keeps an index of the sources of its own
		echo dpkg-dev patch xz-utils libaio-dev liburing-dev ;;
	lint)
		echo shellcheck codespell sparse clang-format perl python3 \
		     python3-docutils gcc g++ libc6-dev xz-utils ;;
	selftests)
		# the last two: the bench is tested as well
		echo gcc libc6-dev make libaio-dev liburing-dev e2fsprogs fio \
		     dmsetup nvme-cli util-linux jq qemu-system-common \
		     gnuplot-nox ;;
	debug-kernel)
		echo gcc libc6-dev make bc bison flex libelf-dev libssl-dev \
		     xz-utils kmod cpio rsync dwarves ;;
	profile)
		echo gcc libc6-dev make binutils python3 qemu-system-x86 fio ;;
	bench)
		echo fio jq python3 qemu-system-common gnuplot-nox ;;
	tracing)
		echo linux-perf trace-cmd bpftrace ;;
	*)
		return 1 ;;
	esac
}

groups_all="build lab qemu qemu-src lint selftests debug-kernel profile
	    bench tracing"

die() {
	echo "deps: $*" >&2
	exit 1
}

usage() {
	sed -n '4,10s/^# \{0,1\}//p' "$0"
}

missing_of() {
	local have pkg
	have=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" \
		2>/dev/null | awk '/^ii/ { print $2 }') || true
	for pkg in "$@"; do
		grep -qxF "$pkg" <<<"$have" || echo "$pkg"
	done
}

install_missing() {
	local -a list=("$@")

	echo "deps: installing: ${list[*]}"
	if ! command -v apt-get >/dev/null; then
		die "no apt-get here; please install: ${list[*]}"
	fi
	if [[ $(id -u) -ne 0 ]]; then
		die "not root; please run:
  apt-get install --no-install-recommends ${list[*]}"
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq ||
		echo "deps: apt-get update failed, trying with old lists" >&2
	apt-get install -y -qq --no-install-recommends \
		-o Dpkg::Use-Pty=0 "${list[@]}" >/dev/null ||
		die "apt-get install failed for: ${list[*]}"
}

main() {
	local check="" group
	local -a want=() more=() missing=()

	case ${1:-} in
	-h | --help | "")
		usage
		[[ -n ${1:-} ]]
		exit ;;
	--list)
		for group in $groups_all; do
			echo "$group: $(group_packages "$group")"
		done
		exit ;;
	--check)
		check=1
		shift ;;
	esac

	for group in "$@"; do
		group_packages "$group" >/dev/null ||
			die "unknown group '$group' (known: $groups_all)"
		read -ra more < <(group_packages "$group")
		want+=("${more[@]}")
	done

	command -v dpkg-query >/dev/null ||
		die "not a Debian system; please install: ${want[*]}"
	mapfile -t missing < <(missing_of "${want[@]}" | sort -u)
	if [[ -n $check ]]; then
		((${#missing[@]} == 0)) || { echo "${missing[*]}"; exit 1; }
		exit 0
	fi
	((${#missing[@]} == 0)) || install_missing "${missing[@]}"
}

main "$@"
