#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What QEMU says when the device cannot be had. No guest runs: device_add fails,
# or QEMU does not start.

set -euo pipefail
# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"

# start NAME [ARGS...]: QEMU that waits, with ports to plug into
start() {
	local name=$1
	shift

	GUEST_CPUS=1 GUEST_MEM=32M guest_start_raw "$name" -S \
		-plugin "$GUEST_PLUGIN" \
		-device pcie-root-port,id=port1,chassis=1,slot=1 \
		-device pcie-root-port,id=port2,chassis=2,slot=2 "$@"
}

# add NAME DRIVER MEMBERS [PORT]: device_add; MEMBERS are JSON
add() {
	guest_qmp "$1" '{"execute":"device_add","arguments":{"driver":"'"$2"'",
		"bus":"'"${4:-port1}"'",'"$3"'}}' | tr -d '\n'
}

# says NAME TEXT MEMBERS: a vhost-blk-pci is refused, with this text
says() {
	local answer

	answer=$(add "$1" vhost-blk-pci "$3") &&
		{ echo "accepted: $3"; return 1; }
	[[ $answer == *"$2"* ]] || { echo "$answer"; return 1; }
}

# ends_with TEXT PROPERTIES: QEMU does not start with this disk
ends_with() {
	local text

	text=$(timeout 60 "$GUEST_QEMU" -nodefaults -display none -machine q35 \
		-accel kvm -m 32M -plugin "$GUEST_PLUGIN" \
		-device "vhost-blk-pci,$2" 2>&1 </dev/null) &&
		{ echo "QEMU ran"; return 1; }
	[[ $text == *"$1"* ]] || { echo "$text"; return 1; }
}

no_module() {
	rmmod vhost_blk && says one "try modprobe vhost_blk" "$path" &&
		ends_with "try modprobe vhost_blk" "path=$device"
	local status=$?
	module_insert
	return $status
}

set_read_only() {
	blockdev --setro "$device" && says one "add read-only=on" "$path"
	local status=$?
	blockdev --setrw "$device"
	return $status
}

used_by_virtio_blk() {
	start two -blockdev "driver=host_device,node-name=n,filename=$device,cache.direct=on" \
		-device virtio-blk-pci,drive=n || return
	says one "in use by another process" "$path"
	local status=$?
	guest_stop two || status=1
	return $status
}

# A reader and a reader may share.
readers_share() {
	start two -device "vhost-blk-pci,path=$device,read-only=on" || return
	says one "in use by another process" "$path" &&
		add one vhost-blk-pci "$path"',"read-only":true'
	local status=$?
	guest_stop two || status=1
	return $status
}

refused_to_virtio_blk() {
	start two || return
	fails guest_qmp two '{"execute":"blockdev-add","arguments":{
		"driver":"host_device","node-name":"n","filename":"'"$device"'",
		"cache":{"direct":true}}}' > "$vm_tmp/answer" ||
		{ add two virtio-blk-pci '"drive":"n"' > "$vm_tmp/answer" &&
			{ echo "accepted"; return 1; }; }
	grep -F 'lock' "$vm_tmp/answer"
	local status=$?
	cat "$vm_tmp/answer"
	guest_stop two || status=1
	return $status
}

refused_to_vhost_blk() {
	ends_with "in use by another process" "path=$device"
}

accepted() {
	add one vhost-blk-pci "$path"
}

vm_begin
null_up t_zoned blocksize=512 zoned=1 zone_size=4
zoned=$device
null_up t_err blocksize=512
vm_devices+=("$device")
path="\"path\":\"$device\""
truncate -s 1M "$vm_tmp/file"

check "QEMU starts" start one
check "without the module: says modprobe" no_module
check "no path: says so" says one "path=DEVICE (or fd=) is missing" '"id":"x"'
check "path and fd: says so" says one "exclude each other" "$path"',"fd":"3"'
check "no such file: says so" says one "No such file" '"path":"/dev/nothing"'
check "a file: says not a block device" \
	says one "is not a block device" "\"path\":\"$vm_tmp/file\""
check "a file: QEMU does not start" \
	ends_with "is not a block device" "path=$vm_tmp/file"
check "a character device: says not a block device" \
	says one "is not a block device" '"path":"/dev/zero"'
check "a zoned device: says not supported" \
	says one "zoned" "\"path\":\"$zoned\""
check "a read-only device: says read-only=on" set_read_only
check "no queues: says how many there can be" \
	says one "num-queues must be 1 to 128" "$path"',"num-queues":0'
check "too many queues: says how many there can be" \
	says one "num-queues must be 1 to 128" "$path"',"num-queues":129'
check "odd queue size: says which there are" \
	says one "queue-size must be a power of two" "$path"',"queue-size":300'
check "long serial: says how long it may be" \
	says one "serial is longer than 20 bytes" \
	"$path"',"serial":"123456789012345678901"'
check "another vhost device: says so" \
	says one "cannot set up the vhost device" "$path"',"vhostdev":"/dev/null"'
check "no vhost device there: says modprobe" \
	says one "try modprobe vhost_blk" "$path"',"vhostdev":"/dev/nothing"'
check "in use by virtio-blk of another QEMU: says so" used_by_virtio_blk
check "nothing of all this is left behind" leak_check "$device" "$zoned"
check "in use by a reader: says so, another reader is welcome" readers_share
check "QEMU ends in order" guest_stop one
check "QEMU starts again" start one
check "after all this the disk can be had" accepted
check "virtio-blk of another QEMU is refused" refused_to_virtio_blk
check "vhost-blk of another QEMU is refused" refused_to_vhost_blk
check "QEMU ends in order" guest_stop one
vm_end
