#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the tests in which the kernel replaces code of its own while it runs: as root, on
# a machine with two CPUs and an NVMe disk, whose kernel takes the module and that may crash.
# One that is emulated has to emulate its CPUs in turn (the lab: selftests/run.sh host).
#
# usage: code.sh [PROGRAM[:BACKEND]...]	shell patterns; default: all
#
# VHOST_BLK_KO and KSFT_TIME_SCALE: as for host.sh.

set -euo pipefail

# shellcheck source=selftests/lib/programs.sh
. "$(dirname "$0")/lib/programs.sh"

wanted=("$@")

main() {
	[[ $(id -u) -eq 0 ]] || die "needs root"
	echo "KTAP version 1"
	trap undo_all EXIT
	null_up test_code
	with "" code_place.sh null "$device"
	with "" code_patching.sh null "$device"
	with "" code_split null "$device"
	modprobe nvme
	wait_for nvme_find 512 || die "no NVMe disk"
	with "" code_split nvme "$device"
	undo_all
	tap_end
}

main
