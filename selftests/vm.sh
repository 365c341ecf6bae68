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

# run_script NAME: one that ended with 123 lost a guest (vm_guest_lost): it is run again,
# twice at most, and what it had said until then counts as well.
run_script() {
	local tries tap_incomplete=123

	for tries in 1 2 3; do
		((tries < 3)) || tap_incomplete=""
		tap_run "$1" timeout -k 10 $((300 * ${KSFT_TIME_SCALE:-1})) \
			"$here/$1.sh"
		[[ $tap_status == 123 ]] && ((tries < 3)) || return 0
		echo "# $1: again"
	done
}

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
		run_script "$name"
		echo "# $name: $((SECONDS - start)) s"
	done
	tap_end
}

main "$@"
