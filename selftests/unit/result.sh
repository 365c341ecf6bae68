# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For tests in bash that know their number beforehand: result WHAT GOT WANT tells
# of one, with the difference if there is any; failed is 1 after that.

n=0
failed=0

result() {
	local what=$1 got=$2 want=$3

	n=$((n + 1))
	if [[ $got == "$want" ]]; then
		echo "ok $n $what"
		return
	fi
	diff <(echo "$want") <(echo "$got") | sed 's/^/# /' || true
	echo "not ok $n $what"
	# shellcheck disable=SC2034 # for those who source this
	failed=1
}
