#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two equal guests whose workers share one core get the same, and lose nothing by
# sharing. What is right: the same within 10 %, and 45 % of what one alone gets; a
# machine that has other things to do disturbs it, so the limits are wider, and medians
# that do not keep to them get more rounds. Run by cores.sh, with two disks as its
# arguments and the module inserted with one core in cpus=.

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=selftests/lib/common.sh
. "$here/lib/common.sh"
# shellcheck source=selftests/lib/tap.sh
. "$here/lib/tap.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rounds=3	# at least, and always an odd number of them
most=9
seconds=1.5
disks=("$@")
class=/sys/class/vhost-blk

# start N: a guest on disk N and CPU N
start() {
	taskset -c "$1" "$here/build/ring_load" "${disks[$1]}" 600 depth=32 \
		wait=event > "$tmp/guest$1" 2>&1 &
	guest[$1]=$!
	wait_for grep -q attached "$tmp/guest$1" || { cat "$tmp/guest$1"; return 1; }
	queue[$1]=$(dirname "$(grep -lx "${guest[$1]}" \
		$class/vhost-blk*/owner)")/queues/0
}

stop() {
	kill -KILL "${guest[$1]}"
	wait "${guest[$1]}" 2>/dev/null || true
}

# rate N: chains in a second
rate() {
	local before after from to

	read -r before < "${queue[$1]}/stats/completed"
	from=${EPOCHREALTIME/./}
	sleep $seconds
	read -r after < "${queue[$1]}/stats/completed"
	to=${EPOCHREALTIME/./}
	echo $(((after - before) * 1000000 / (to - from)))
}

# Each alone, then both at once; sets alone and both, a number for each guest.
round() {
	local i

	for i in 0 1; do
		start $i || return
		alone[i]=$(rate $i)
		stop $i
	done
	start 0 && start 1 || return
	rate 0 > "$tmp/rate0" &
	both[1]=$(rate 1)
	wait $!
	both[0]=$(< "$tmp/rate0")
	stop 0
	stop 1
	echo "# alone ${alone[*]}, both at once ${both[*]} chains per second"
}

# percent A B: of B is A
percent() {
	echo $(($1 * 100 / $2))
}

median() {
	printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"
}

# at_least WHAT PERCENT VALUES...: the median is
at_least() {
	local what=$1 least=$2 value
	shift 2

	value=$(median "$@")
	if ((value >= least)); then
		tap_result ok "$what"
	else
		tap_result "not ok" "$what"
	fi
	echo "# $what: $value %, in each round: $*"
}

# enough: is another round of no use?
enough() {
	((${#equal[@]} >= rounds && ${#equal[@]} % 2)) || return
	((${#equal[@]} < most)) || return 0
	(($(median "${equal[@]}") >= least_equal &&
	  $(median "${share0[@]}") >= least_share &&
	  $(median "${share1[@]}") >= least_share))
}

declare -a guest=() queue=() alone=() both=() equal=() share0=() share1=()
least_equal=80
least_share=38
echo "KTAP version 1"
until enough; do
	if ! round; then
		tap_result "not ok" "two guests run"
		break
	fi
	if ((both[0] < both[1])); then
		equal+=("$(percent "${both[0]}" "${both[1]}")")
	else
		equal+=("$(percent "${both[1]}" "${both[0]}")")
	fi
	share0+=("$(percent "${both[0]}" "${alone[0]}")")
	share1+=("$(percent "${both[1]}" "${alone[1]}")")
done
if enough; then
	at_least "the slower one gets what the other gets" $least_equal "${equal[@]}"
	at_least "the first gets its half" $least_share "${share0[@]}"
	at_least "the second gets its half" $least_share "${share1[@]}"
fi
tap_end
