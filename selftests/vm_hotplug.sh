#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A disk is plugged into a running guest, unplugged under load, and plugged
# again. The host is rid of it while QEMU still runs.

set -euo pipefail
# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

boot() {
	GUEST_CPUS=2 vm_boot plug \
		-device pcie-root-port,id=port1,chassis=1,slot=1 \
		-device pcie-root-port,id=port2,chassis=2,slot=2
}

# plug PORT ID DEVICE
plug() {
	guest_qmp plug '{"execute":"device_add","arguments":{
		"driver":"vhost-blk-pci","id":"'"$2"'","bus":"'"$1"'",
		"path":"'"$3"'","serial":"'"$2"'","num-queues":2}}' |
		tr -d '\n' && vm_run plug "wait_disk $2 $((20 * vm_scale))"
}

# The guest must give it up first.
unplug() {
	guest_qmp plug '{"execute":"device_del","arguments":{"id":"'"$1"'"}}' &&
		guest_wait_event plug DEVICE_DELETED $((60 * vm_scale)) \
			"\"device\": \"$1\"" &&
		vm_run plug "gone_disk $1 20"
}

load_runs() {
	vm_spawn plug load 'load hp 120 --numjobs=2 --offset_increment=16m' &&
		vm_sleep 3 && vm_run plug '[ ! -e /run/spawn.load.status ]'
}

# ENOSPC is what a write gets from a disk that has lost its size already.
load_failed() {
	fails guest_join plug load $((30 * vm_scale)) > "$vm_tmp/load" &&
		grep -E 'Input/output error|No such device|No space left|error=' \
			"$vm_tmp/load" && return
	cat "$vm_tmp/load"
	return 1
}

# Nothing of the disk is left in the host although QEMU runs.
host_is_rid() {
	same "workers" "$(workers_now)" "$1" &&
		wait_for "$selftests_dir/build/disk_is_free" "$2"
}

vm_begin
# What the guest's block layer says when a disk goes away under load.
vm_allow+='|I/O error, dev vd|Buffer I/O error on dev vd'
null_up t_plug blocksize=512
vm_add fixed "$device" num-queues=2
null_up t_hot blocksize=512
hot=$device
vm_devices+=("$hot")

check "guest boots" boot
for round in 1 2; do
	check "round $round: disk is plugged" plug port1 hp "$hot"
	check "round $round: fio verifies" vm_run plug 'verify hp'
	kept=$(hash_of "$hot" 4)
	check "round $round: idle disk is unplugged" unplug hp
	check "round $round: host is rid of it" host_is_rid 2 "$hot"
	check "round $round: disk is plugged into another port" \
		plug port2 hp "$hot"
	check "round $round: data is still there" \
		same "hash" "$(vm_run plug 'hash hp 4')" "$kept"
	check "round $round: load runs" load_runs
	check "round $round: disk is unplugged under load" unplug hp
	check "round $round: the load sees errors and ends" load_failed
	check "round $round: host is rid of it" host_is_rid 2 "$hot"
	check "round $round: the other disk works" vm_run plug 'verify fixed'
done
vm_stop plug
vm_end
