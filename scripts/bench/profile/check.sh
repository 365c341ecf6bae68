#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Does a request still cost what it did? Measures the instructions per request
# and compares them to reference.json:
#
#   scripts/bench/profile/check.sh            fail if they changed by over 3 %
#   scripts/bench/profile/check.sh --update   take them as the new reference
#
# Other options go to run.sh. Looks at the totals and at stages of 200
# instructions or more. On another kernel, QEMU or compiler than that of the
# reference it says so, and totals may differ by 10 %. About a minute.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# Of uring-32x16, the threads that are started for it spoil some figures.
cases=(ring-{1x1,32x1,32x16} uring-{1x1,32x1})
update=()
options=()
out=""

cleanup() {
	[[ -z $out ]] || rm -rf "$out"
}

main() {
	local arg

	for arg in "$@"; do
		case $arg in
		-h | --help)
			sed -n '4,13s/^# \{0,1\}//p' "$0"
			exit ;;
		--update) update=(--update) ;;
		*) options+=("$arg") ;;
		esac
	done
	out=$(mktemp -d)
	trap cleanup EXIT
	"$here/run.sh" --out "$out" "${options[@]}" "${cases[@]}" > "$out/log"
	sed '/^The same by the clock/,$d' "$out/profile.md"
	"$here/compare.py" "${update[@]}" "$here/reference.json" \
		"$out/profile.json"
}

main "$@"
