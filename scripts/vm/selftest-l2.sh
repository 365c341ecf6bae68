#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Part of selftest.sh that runs in the lab's host: do guests and the functions
# that drive them work? Uses QEMU's own virtio-blk on a null_blk.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=guest.sh
. "$(dirname "$0")/guest.sh"
trap guest_kill_all EXIT

begin=$EPOCHREALTIME
lap() {
	local now=$EPOCHREALTIME

	echo "$(((${now/./} - ${begin/./}) / 1000)) ms: $*"
	begin=$EPOCHREALTIME
}

# status NUMBER FUNCTION ARGS...
status() {
	local want=$1 got=0
	shift

	"$@" || got=$?
	((got == want)) || { echo "status $got not $want: $*"; exit 1; }
}

expect() {
	[[ $2 == "$3" ]] || { echo "$1 is '$2' instead of '$3'"; exit 1; }
}

modprobe null_blk nr_devices=1 gb=1 queue_mode=2 memory_backed=1
lap "modprobe null_blk"

# QEMU that does not start is an error at once, with its reason.
status 1 guest_start bad -device no-such-device > /run/said 2>&1
grep -q 'not a valid device model name' /run/said
lap "a QEMU that fails"

guest_start one -object iothread,id=io \
	-drive if=none,id=d,file=/dev/nullb0,format=raw,cache=none,aio=native \
	-device virtio-blk-pci,drive=d,iothread=io
lap "start of QEMU"
guest_wait_boot one
lap "boot of the guest"

status 0 guest_run one true
lap "guest_run true"
status 7 guest_run one 'exit 7'
expect "output" "$(guest_run one $'printf \'a\\\\b\\n\'\necho c >&2' 2>&1)" \
	$'a\\b\nc'
expect "bytes" "$(guest_run one 'seq 1 20000' | sha256sum)" \
	"$(seq 1 20000 | sha256sum)"
status 124 guest_run one 'sleep 100' 1
lap "more guest_run"

guest_run one 'mkfs.ext4 -q /dev/vda && mount /dev/vda /mnt &&
	dd if=/dev/urandom of=/mnt/file bs=1M count=4 2>/dev/null'
before=$(guest_run one 'sha256sum /mnt/file')
guest_run one 'fio --name=verify --directory=/mnt --size=4M --rw=randwrite \
	--bs=4k --direct=1 --ioengine=io_uring --iodepth=8 --verify=crc32c \
	--minimal' > /dev/null
lap "mkfs, dd, fio"

guest_put one /bin/bash /mnt/bash
expect "a copied file" "$(guest_run one 'test -x /mnt/bash &&
	sha256sum < /mnt/bash')" "$(sha256sum < /bin/bash)"
status 0 guest_run one 'umount /mnt'
lap "guest_put of a megabyte"
guest_reboot one
lap "reboot"
guest_run one 'e2fsck -fn /dev/vda && mount /dev/vda /mnt' > /dev/null
expect "checksum" "$(guest_run one 'sha256sum /mnt/file')" "$before"
guest_run one 'umount /mnt'
lap "e2fsck, sha256sum"

# shellcheck disable=SC2016 # for the guest's shell
guest_spawn one load 'for i in 1 2 3; do echo $i; sleep 1; done; exit 5'
guest_qmp one '{"execute":"stop"}' > /dev/null
guest_qmp one '{"execute":"cont"}' > /dev/null
guest_wait_event one RESUME 5 > /dev/null
status 1 guest_qmp one '{"execute":"no-such-command"}' > /dev/null
out=$(guest_join one load) && got=0 || got=$?
expect "status of the spawned command" "$got" 5
expect "its output" "$out" $'1\n2\n3'
status 1 guest_splats one
lap "qmp, spawn, join"

status 126 guest_run one 'echo c > /proc/sysrq-trigger; sleep 100'
[[ $(guest_splats one) == *"Kernel panic"* ]]
lap "panic of the guest and reboot"
pid=$(guest_pid one)
guest_kill one
status 125 guest_run one true
[[ ! -e /proc/$pid ]]
lap "guest_kill"

# A boot sector: mov dx,0x3f8; print "raw"; hlt. SeaBIOS has to run it.
printf '\xba\xf8\x03\xb0r\xee\xb0a\xee\xb0w\xee\xf4\xeb\xfd' > /run/boot
truncate -s 510 /run/boot
printf '\x55\xaa' >> /run/boot
dd if=/run/boot of=/dev/nullb0 status=none conv=fsync
guest_start_raw two -drive if=none,id=d,file=/dev/nullb0,format=raw \
	-device virtio-blk-pci,drive=d
for ((i = 0; i < 600 * guest_patience; i++)); do
	! grep -q raw "$GUEST_DIR/two/console.log" || break
	guest_nap
done
grep -q raw "$GUEST_DIR/two/console.log"
lap "boot from the disk"
guest_stop two
lap "guest_stop"
