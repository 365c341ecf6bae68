#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests lib/ksft.h: a program whose tests end in each possible way must say so.
#
# usage: ksft_test.sh [DIRECTORY OF THE TEST PROGRAMS]

set -euo pipefail

dir=${1:-$(dirname "$0")/../build/unit}
# shellcheck source=selftests/unit/result.sh
. "$(dirname "$0")/result.sh"

status() {
	local rc=0

	"$@" >/dev/null || rc=$?
	echo "$rc"
}

export KSFT_TIME_SCALE=1
echo "KTAP version 1"
echo "1..6"
result every_ending_is_told "$("$dir/ksft_sample" | sed 's/^# .*ksft_sample.c/# ksft_sample.c/')" \
'KTAP version 1
1..10
# reached
# teardown 1
ok 1 fixture.one.is_one
# ksft_sample.c:28: 1 (1, 0x1) == self->value (2, 0x2) is not true
# teardown 2
not ok 2 fixture.two.is_one
# ksft_sample.c:34: 1 (1, 0x1) == 2 (2, 0x2) is not true
# reached
not ok 3 goes_on_after_expect
ok 4 skips # SKIP because it can
# ksft_sample.c:46: close(-1): Bad file descriptor instead of Invalid argument
not ok 5 wrong_errno
# ksft_sample.c:51: "a" ("a") is not "b" ("b")
not ok 6 wrong_string
not ok 7 crashes # killed by signal 6 (Aborted)
not ok 8 hangs # not finished in 1 s
not ok 9 exits_early
ok 10 passes
# Totals: pass:2 fail:7 skip:1'
result failure_is_in_the_status "$(status "$dir/ksft_sample")" 1
result pass_is_in_the_status "$(status "$dir/ksft_sample" -t passes)" 0
result skip_is_in_the_status "$(status "$dir/ksft_sample" -t skips)" 4
result no_test_is_a_failure "$(status "$dir/ksft_sample" -t nonsense)" 1
result pattern_selects "$("$dir/ksft_sample" -l -t 'fixture.*')" \
'fixture.one.is_one
fixture.two.is_one'
exit $failed
