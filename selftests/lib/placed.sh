# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For scripts about where workers run: a guest that is busy, and what sysfs says of
# its worker.
#
# shellcheck disable=SC2034 # much of this is used by those who source it

# shellcheck source=selftests/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=selftests/lib/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

tmp=$(mktemp -d)
disk=""
guest=""
queue=""

placed_cleanup() {
	[[ -z $guest ]] || kill -KILL "$guest" 2>/dev/null || true
	wait
	undo_all
	rm -rf "$tmp"
}

# placed_begin DISK
placed_begin() {
	disk=$1
	trap placed_cleanup EXIT
	echo "KTAP version 1"
}

# check NAME COMMAND...
check() {
	local name=$1
	shift

	if "$@" > "$tmp/check" 2>&1; then
		tap_result ok "$name"
	else
		tap_result "not ok" "$name"
		sed 's/^/# /' "$tmp/check"
	fi
}

# start [CGROUP]: a busy guest, perhaps in a control group
start() {
	local run="exec $selftests_dir/build/busy_guest $disk 600"

	[[ -z ${1:-} ]] || run="echo \$\$ > $1/cgroup.procs && $run"
	sh -c "$run" > "$tmp/guest" 2>&1 &
	guest=$!
	find_guest
}

# find_guest: once it has attached its disk
find_guest() {
	wait_for grep -q attached "$tmp/guest" || { cat "$tmp/guest"; return 1; }
	queue=$(dirname "$(grep -lx "$guest" \
		/sys/class/vhost-blk/vhost-blk*/owner)")/queues/0
}

# ends: the guest ends in order, every request answered in time
ends() {
	local status=0

	kill -TERM "$guest" || return
	wait "$guest" || status=$?
	guest=""
	cat "$tmp/guest"
	return $status
}

attr() {
	cat "$queue/$1"
}

# on CPU [WHY]: the worker is bound to this CPU, and sysfs says so
on() {
	local may

	may=$(sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$(attr worker)/status")
	[[ $(attr cpu) == "$1" && $may == "$1" &&
	   $(attr cpu_why) == "${2:-$(attr cpu_why)}" ]] || {
		echo "cpu $(attr cpu) why $(attr cpu_why) may run on $may"
		return 1
	}
}

# goes_on: requests are being served
goes_on() {
	local before

	before=$(attr stats/completed)
	wait_for more_than "$before"
}

more_than() {
	(($(attr stats/completed) > $1))
}
