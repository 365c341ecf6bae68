# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For scripts that take minutes: says how far they are. STARTED, in seconds since
# 1970, is when it all began; the lab's host gets it from the machine below.

: "${STARTED:=$EPOCHSECONDS}"

step() {
	local seconds=$((EPOCHSECONDS - STARTED))

	printf '[%d:%02d] %s\n' $((seconds / 60)) $((seconds % 60)) "$*"
}

# quietly COMMAND...: its output only if it fails
quietly() {
	local log status=0

	log=$(mktemp)
	"$@" > "$log" 2>&1 || status=$?
	((status == 0)) || cat "$log"
	rm -f "$log"
	return "$status"
}
