#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest is stopped and continued under load, and reset under load. While it
# is stopped the disk has peace and no worker runs.

set -euo pipefail
# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

# An emulated guest that was stopped and continued may get its next timer interrupt half
# a minute late, all its CPUs idle. Its RCU complains, the disk has no part in it; what a
# disk does that does not answer is looked for as before.
vm_allow+='|rcu_preempt detected stalls'

stat_of() {
	cat "/sys/block/${device##*/}/stat" "/sys/block/${device##*/}/inflight"
}

in_flight() {
	local reads writes

	read -r reads writes < "/sys/block/${device##*/}/inflight"
	echo $((reads + writes))
}

boot() {
	GUEST_CPUS=2 vm_boot stops
}

# From 16 MiB on; the first 16 MiB are for what must not change.
start_load() { # SECONDS
	vm_spawn stops load "load sc $1 --numjobs=2 --offset=16m \
		--offset_increment=16m"
}

# Requests must be under way, else the test shows nothing.
is_busy() {
	local before

	before=$(stat_of)
	vm_sleep 0.5
	[[ $(stat_of) != "$before" ]]
}

peace_while_stopped() {
	local round before

	for ((round = 0; round < 6; round++)); do
		wait_for is_busy || { echo "no load in round $round"; return 1; }
		guest_qmp stops '{"execute":"stop"}' || return
		before=$(stat_of)
		same "requests in flight" "$(in_flight)" 0 &&
			same "workers" "$(workers_now)" 0 || return
		vm_sleep 1
		same "what the disk did" "$(stat_of)" "$before" &&
			guest_qmp stops '{"execute":"cont"}' || return
	done
}

# Short stops in a row, no time for anything to settle.
quick_stops() {
	local round

	for ((round = 0; round < 10; round++)); do
		guest_qmp stops '{"execute":"stop"}' &&
			guest_qmp stops '{"execute":"cont"}' || return
	done
	wait_for is_busy
}

reset_under_load() {
	start_load 60 && wait_for is_busy &&
		guest_qmp stops '{"execute":"system_reset"}' &&
		vm_booted stops
}

vm_begin
null_up t_stop blocksize=512
vm_add sc "$device" num-queues=2
check "guest boots" boot
check "load starts" start_load 60
check "stopped six times under load: nothing in flight, disk idle" \
	peace_while_stopped
check "stopped and continued ten times in a row under load" quick_stops
check "the load verified everything" guest_join stops load
check "guest's disk works on" vm_run stops 'verify sc'
kept=$(hash_of "$device" 4)
check "the guest is reset under load and boots again" reset_under_load
check "after the reset: other data is unharmed" \
	same "hash" "$(vm_run stops 'hash sc 4')" "$kept"
check "after the reset: fio verifies" vm_run stops 'verify sc'
vm_stop stops
vm_end
