#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# CPUs that go offline and come back under load, with workers that poll for short and
# for ever. Run by cores.sh with a disk as its argument.

set -euo pipefail
# shellcheck source=selftests/lib/placed.sh
. "$(dirname "$0")/lib/placed.sh"

cpus=/sys/devices/system/cpu

all_online() {
	local file

	for file in "$cpus"/cpu[1-9]*/online; do
		echo 1 > "$file"
	done
}
undo+=(all_online)

# is_not_on CPU
is_not_on() {
	[[ $(attr cpu) != "$1" ]] && on "$(attr cpu)" offline
}

# follows: the worker leaves each CPU that goes, and comes back with it
follows() {
	local file cpu

	for file in "$cpus"/cpu[1-9]*/online; do
		cpu=${file%/online}
		cpu=${cpu##*cpu}
		echo "$cpu" > "$queue/cpu" && on "$cpu" set || return
		echo 0 > "$file" && is_not_on "$cpu" && goes_on || return
		echo 1 > "$file" && wait_for on "$cpu" online && goes_on ||
			return
	done
	echo -1 > "$queue/cpu"
}

# All but CPU 0 go and come back, whoever is on them.
all_but_one() {
	local file round

	for ((round = 0; round < 2; round++)); do
		for file in "$cpus"/cpu[1-9]*/online; do
			echo 0 > "$file" && goes_on || return
		done
		on 0 && all_online && goes_on || return
	done
}

# polls_for_ever: from now on the worker never sleeps
polls_for_ever() {
	local before

	echo 1000000000 > "$queue/poll_ns_grow_start" &&
		echo 1000000000 > "$queue/poll_ns_max" &&
		echo 1 > "$queue/poll_ns_shrink" || return
	sleep 0.2
	before=$(attr stats/halt_successful_wait)
	goes_on
	(($(attr stats/halt_successful_wait) == before))
}

placed_begin "$1"
if (($(nproc) < 2)); then
	echo "1..0 # SKIP one CPU only"
	exit 4
fi
check "a guest is busy" start
check "the worker goes and comes back with each CPU" follows
check "all CPUs but one come and go under load" all_but_one
check "the worker polls for ever" polls_for_ever
check "it goes and comes back as before" follows
check "all CPUs but one come and go once more" all_but_one
check "no request was lost or took long" ends
tap_end
