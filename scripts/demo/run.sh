#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# make demo: a guest formats, fills, verifies and re-reads a disk whose requests
# the module serves, the host finds the same data, and a small table compares
# speeds. Needs no KVM and loads nothing into this machine's kernel: a host of
# its own is emulated. What Debian packages are missing is installed.
#
# Results: demo-results/table.md and results.json. Ends with "demo: PASS" or
# "demo: FAIL".
#
#   DEMO_REPEATS=3 DEMO_SECONDS=3   of each measurement

set -euo pipefail
cd "$(dirname "$0")/../.."

# shellcheck source=scripts/vm/progress.sh
. scripts/vm/progress.sh
results=$PWD/demo-results
passed=""

verdict() {
	local status=$?

	# A signal also ends here, with whatever status there was.
	if [[ -n $passed ]]; then
		step "done; the table is in ${results##*/}/"
		echo "demo: PASS"
	else
		echo "demo: FAIL"
		((status)) || status=1
	fi
	exit "$status"
}

main() {
	local kdir

	trap verdict EXIT
	step "Debian packages"
	scripts/deps.sh build lab qemu

	kdir=$(scripts/vm/kernel.sh --kdir)
	step "module for $(scripts/vm/kernel.sh --version)"
	quietly make modules KDIR="$kdir"
	step "plugin for $(qemu-system-x86_64 --version | head -n 1)"
	quietly make qemu-plugin

	rm -rf "$results"
	mkdir "$results"
	step "booting a host in emulation (2 CPUs)"
	scripts/vm/run.sh --timeout 1200 --out "$results" -- \
		env STARTED="$STARTED" \
		DEMO_REPEATS="${DEMO_REPEATS:-3}" \
		DEMO_SECONDS="${DEMO_SECONDS:-3}" scripts/demo/host.sh
	[[ -s $results/results.json ]]
	passed=yes
}

main
