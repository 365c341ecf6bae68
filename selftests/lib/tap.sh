# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One flat KTAP stream out of many programs: each result is printed the moment it
# arrives, renumbered, with the program's name before it.
#
# shellcheck disable=SC2034 # tap_bailed and tap_status are for those who source this

tap_passed=0
tap_failed=0
tap_skipped=0
tap_bailed=""
tap_status=""		# of the program that ran last
tap_through=" "		# programs of which "# NAME: N s" told that they had ended
tap_incomplete=""	# a status with which results may be missing: who called sees to it

tap_total() {
	echo $((tap_passed + tap_failed + tap_skipped))
}

# tap_result "ok"|"not ok" DESCRIPTION
tap_result() {
	if [[ $1 != ok ]]; then
		tap_failed=$((tap_failed + 1))
	elif [[ $2 =~ \#\ *[Ss][Kk][Ii][Pp] ]]; then
		tap_skipped=$((tap_skipped + 1))
	else
		tap_passed=$((tap_passed + 1))
	fi
	echo "$1 $(tap_total) $2"
}

# tap_run NAME COMMAND...: runs a program that prints (K)TAP. A NAME of "" leaves
# the descriptions as they are. Results that are missing, and a status that does
# not fit the results, are failures of their own.
tap_run() {
	local name=$1 plan="" seen=0 bad=$tap_failed status="" line re end
	shift

	re='^ *(not ok|ok) +([0-9]+ *)?(- )?(.*)$'
	end='^# ([a-z0-9_]+): [0-9]+ s$'
	while IFS= read -r line; do
		line=${line%$'\r'}
		case $line in
		KTAP\ version* | TAP\ version* | "")
			;;
		tap-status:*)
			status=${line#*:} ;;
		1..[0-9]*)
			line=${line#1..}
			plan=${line%%[!0-9]*} ;;
		Bail\ out!*)
			tap_bailed=1
			echo "# $name: $line" ;;
		*)
			if [[ $line =~ $re ]]; then
				seen=$((seen + 1))
				tap_result "${BASH_REMATCH[1]}" \
					"${name:+$name: }${BASH_REMATCH[4]}"
			elif [[ $line == "#"* ]]; then
				echo "$line"
				[[ ! $line =~ $end ]] ||
					tap_through+="${BASH_REMATCH[1]} "
			else
				echo "# $line"
			fi ;;
		esac
	done < <(rc=0; "$@" 2>&1 || rc=$?; echo "tap-status:$rc")

	tap_status=$status
	if [[ -n $tap_incomplete && $status == "$tap_incomplete" ]]; then
		return
	elif [[ -z $plan || $seen -ne $plan ]]; then
		tap_result "not ok" "${name:-output}: finished (${seen} of ${plan:-?} tests, status ${status:-?})"
	elif [[ $status != 0 && $status != 4 && $tap_failed -eq $bad ]]; then
		tap_result "not ok" "${name:-output}: status $status without a failed test"
	fi
}

# The plan and the totals; fails if a test did or if there was none.
tap_end() {
	echo "1..$(tap_total)"
	echo "# Totals: pass:$tap_passed fail:$tap_failed skip:$tap_skipped"
	[[ $tap_failed -eq 0 && $((tap_passed + tap_skipped)) -gt 0 ]]
}
