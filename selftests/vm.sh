#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the guest tests (vm_*.sh) on this host: as root, on a machine with KVM
# whose kernel takes the module (the lab: selftests/run.sh vm). They want two
# NVMe disks, with blocks of 512 and of 4096 bytes, 4 GiB of memory, and what
# "make", "make qemu-plugin" and "make selftests" build.
#
# usage: vm.sh [SCRIPT...]	as vm_bios; default: all

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=selftests/lib/tap.sh
. "$here/lib/tap.sh"

main() {
	local script name start
	local -a scripts=("$@")

	if ((${#scripts[@]} == 0)); then
		scripts=("$here"/vm_*.sh)
	fi
	echo "KTAP version 1"
	for script in "${scripts[@]}"; do
		name=${script##*/}
		name=${name%.sh}
		start=$SECONDS
		tap_run "$name" timeout -k 10 $((300 * ${KSFT_TIME_SCALE:-1})) \
			"$here/$name.sh"
		echo "# $name: $((SECONDS - start)) s"
	done
	tap_end
}

main "$@"
