#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs the tests of cores on this host: as root, on a machine with four CPUs on two
# NUMA nodes, an NVMe disk with two queues and an ATA disk, whose kernel takes the
# module and that may crash (the lab: selftests/run.sh host). The module is inserted
# for each with other parameters.
#
# usage: cores.sh [PROGRAM[:BACKEND]...]	shell patterns; default: all
#
# VHOST_BLK_KO and KSFT_TIME_SCALE: as for host.sh.

set -euo pipefail

# shellcheck source=selftests/lib/programs.sh
. "$(dirname "$0")/lib/programs.sh"

wanted=("$@")
declare -a disks=()

# One that belongs to no node, then one of each.
disks_up() {
	local node

	modprobe brd rd_nr=2 rd_size=65536
	undo+=("rmmod_retry brd")
	disks=(/dev/ram0)
	for node in /sys/devices/system/node/node[0-9]*; do
		null_up "test_${node##*/}" "home_node=${node##*node}"
		disks+=("$device")
	done
}

# ata_find: sets $device
ata_find() {
	local dir

	for dir in /sys/block/sd*; do
		[[ $(readlink -f "$dir") == */ata*/* ]] || continue
		device=/dev/${dir##*/}
		return
	done
	return 1
}

irqs() {
	local nvme

	want cores_irqs.sh:nvme || return 0
	# The debug kernel has no such driver.
	if ! modinfo ahci > /dev/null 2>&1; then
		tap_result ok "cores_irqs.sh # SKIP no driver for ATA disks"
		return 0
	fi
	modprobe -a nvme ahci sd_mod
	wait_for nvme_find 512 || die "no NVMe disk"
	nvme=$device
	wait_for ata_find || die "no ATA disk"
	with "" cores_irqs.sh nvme "$nvme" "$device"
}

main() {
	[[ $(id -u) -eq 0 ]] || die "needs root"
	echo "KTAP version 1"
	trap undo_all EXIT
	echo "# $(uname -r), CPUs" /sys/devices/system/node/node*/cpu[0-9]*
	disks_up
	with "" cores_numa null "${disks[@]}"
	with "" cores_hotplug.sh null "${disks[1]}"
	irqs
	with "" cores_floods null "${disks[1]}"
	with "" cores_hot_path.sh null "${disks[1]}"
	with "cpus=1-3 cores=auto" cores_auto null "${disks[1]}"
	with "cpus=3" cores_fair.sh null "${disks[@]:1}"
	undo_all
	tap_end
}

main
