#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests what selftests/run.sh makes of machines that the emulator loses. The lab is
# played: each boot does what the next line of "$tmp/boots" says.
#
# shellcheck disable=SC2317 # the tests are called by their names

set -euo pipefail

tests=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=selftests/unit/result.sh
. "$(dirname "$0")/result.sh"

echo "KTAP version 1"
echo "1..10"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp"/{selftests/lib,scripts/vm,bin}
cp "$tests/run.sh" "$tmp/selftests"
cp "$tests/lib/tap.sh" "$tmp/selftests/lib"
touch "$tmp"/selftests/{lifecycle.c,vm_one.sh,vm_two.sh}

play() {
	printf '#!/bin/bash\n%s\n' "$2" > "$tmp/$1"
	chmod 755 "$tmp/$1"
}

play bin/make true
play scripts/deps.sh true
play scripts/vm/kernel.sh 'echo /lib'
play scripts/vm/newer-qemu.sh false
# shellcheck disable=SC2016 # it is for the script
play scripts/vm/run.sh 'cd "${0%/scripts/*}"
	echo "$*" >> asked
	read -r line < boots
	sed -i 1d boots
	eval "$line"'

one='echo "ok 1 vm_one: works"; echo "# vm_one: 1 s"'
two='echo "ok 2 vm_two: works"; echo "# vm_two: 1 s"'
plan='echo 1..2'
lost='echo "ok 1 begins"; exit 123'

# boots ARGUMENTS LINE...: what run.sh says if the boots go like this
boots() {
	local arguments=$1
	shift

	printf '%s\n' "$@" > "$tmp/boots"
	: > "$tmp/asked"
	# shellcheck disable=SC2086 # a list
	PATH=$tmp/bin:$PATH "$tmp/selftests/run.sh" $arguments > "$tmp/said" || true
}

ends_with() {
	grep -qx "$1 passed, $2 failed, $3 skipped" "$tmp/said" && return
	sed 's/^/# /' "$tmp/said"
	return 1
}

# asked N PATTERN: the Nth boot, if it was asked for what PATTERN says
asked() {
	sed -n "$1p" "$tmp/asked" | grep -qE "$2"
}

nothing_lost() {
	boots vm "$one; $two; $plan"
	ends_with 2 0 0 && [[ ! -s $tmp/boots ]]
}

what_had_ended_is_not_run_again() {
	boots vm "$one; $lost" "$two; echo 1..1"
	ends_with 3 0 0 && asked 1 'vm_one vm_two' && asked 2 'vm.sh vm_two$'
}

three_lost_are_enough() {
	boots vm "$one; $lost" "$lost" "$lost" "$two; echo 1..1"
	ends_with 4 0 1 && grep -q 'ok .* vm_two # SKIP' "$tmp/said" &&
		[[ $(wc -l < "$tmp/asked") == 3 ]]
}

one_lost_is_enough_when_time_is_up() {
	boots "--within 1 vm" "$one; sleep 2; $lost" "$two; echo 1..1"
	ends_with 2 0 1 && [[ $(wc -l < "$tmp/asked") == 1 ]]
}

time_is_not_up_before_it_is() {
	boots "--within 60 vm" "$one; $lost" "$two; echo 1..1"
	ends_with 3 0 0
}

none_that_ends_is_a_failure() {
	boots vm "$lost" "$lost" "$lost"
	ends_with 3 1 2 && grep -q '^not ok .* a guest test could end' "$tmp/said"
}

other_ends_are_failures() {
	boots vm "$one; exit 125" "$two; echo 1..1"
	ends_with 1 1 0 && [[ $(wc -l < "$tmp/asked") == 1 ]]
}

failure_before_the_loss_counts() {
	boots vm "echo 'not ok 1 vm_one: works'; echo '# vm_one: 1 s'; $lost" \
		"$two; echo 1..1"
	ends_with 2 1 0
}

without_guests_once_more() {
	boots "--only lifecycle host" "$lost" "echo 'ok 1 lifecycle'; echo 1..1"
	ends_with 2 0 0
}

without_guests_not_for_ever() {
	boots "--only lifecycle host" "$lost" "$lost" "echo 'ok 1 lifecycle'; echo 1..1"
	ends_with 2 1 0 && [[ $(wc -l < "$tmp/asked") == 2 ]]
}

for name in nothing_lost what_had_ended_is_not_run_again three_lost_are_enough \
		one_lost_is_enough_when_time_is_up time_is_not_up_before_it_is \
		none_that_ends_is_a_failure other_ends_are_failures \
		failure_before_the_loss_counts without_guests_once_more \
		without_guests_not_for_ever; do
	status=0
	"$name" || status=$?
	result "$name" "$status" 0
done
# shellcheck disable=SC2154 # result.sh has it
exit "$failed"
