#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two guests on two disks at once, then QEMU of one of them is killed under load:
# the other one does not notice, nothing is left of the first, its disk works
# with the next QEMU.
#
# lab: --cpus 4

set -euo pipefail
# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

boot_both() {
	vm_args=()
	vm_add one "$disk_one" num-queues=2
	GUEST_CPUS=2 guest_start one "${vm_args[@]}" || return
	vm_args=()
	vm_add two "$disk_two" num-queues=2
	GUEST_CPUS=2 guest_start two "${vm_args[@]}" &&
		vm_booted one && vm_booted two
}

# fills GUEST BYTE: 8 MiB of it, verified
fills() {
	vm_spawn "$1" fill "verify $1 --rw=randwrite --bssplit=4k/50:64k/50 \
		--size=8m --verify=pattern --verify_pattern=$2"
}

# holds DEVICE OCTAL: 8 MiB of this byte and nothing else
holds() {
	same "bytes that are different" \
		"$(dd if="$1" bs=1M count=8 iflag=direct status=none |
			tr -d "\\$2" | wc -c)" 0
}

both_fill() {
	fills one 0x5a && fills two 0xc3 &&
		guest_join one fill && guest_join two fill
}

both_load() {
	vm_spawn one load 'load one 10 --offset=8m' &&
		vm_spawn two load 'load two 10 --offset=8m' &&
		guest_join one load && guest_join two load
}

module_stays() {
	fails rmmod vhost_blk
}

kill_one() {
	local victim

	victim=$(guest_pid one) &&
		vm_spawn one load 'load one 120 --offset=8m' &&
		vm_spawn two load 'load two 10 --offset=8m' &&
		vm_sleep 3 && same "workers" "$(workers_now)" 4 &&
		guest_kill one && ! kill -0 "$victim" 2>/dev/null
}

rid_of_one() {
	wait_for two_workers &&
		wait_for "$selftests_dir/build/disk_is_free" "$disk_one"
}

two_workers() {
	[[ $(workers_now) == 2 ]]
}

reboot_one() {
	vm_args=()
	vm_add one "$disk_one" num-queues=2
	GUEST_CPUS=2 vm_boot one
}

# Killed while it starts, too: whatever it has set up by then must go.
kill_early() {
	local delay

	for delay in 0.2 0.5 1 1.5; do
		guest_start early -device \
			"vhost-blk-pci,path=$disk_one,num-queues=2" || return
		vm_sleep "$delay"
		guest_kill early && rid_of_one || return
	done
}

vm_begin
null_up t_one blocksize=512
disk_one=$device
null_up t_two blocksize=512
disk_two=$device

check "two guests boot" boot_both
check "each fills its disk with its own pattern and verifies" both_fill
check "host finds the first guest's pattern" holds "$disk_one" 132
check "host finds the second guest's pattern" holds "$disk_two" 303
check "both verify under load at once" both_load
check "module cannot be removed while guests use it" module_stays
check "QEMU of the first guest is killed under load" kill_one
check "its workers are gone and its disk is free" rid_of_one
check "the second guest did not notice" guest_join two load
check "QEMU is killed four times while it starts" kill_early
check "the next QEMU boots with the disk of the one killed" reboot_one
check "data from before the kill is still there" holds "$disk_one" 132
check "fio verifies on it" vm_run one 'verify one'
vm_stop one
vm_stop two
vm_end
