#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Tests the plugin in the installed QEMU without a kernel module: SeaBIOS under
# TCG starts the device, a preloaded library plays /dev/vhost-blk and notes
# what it is asked. Prints KTAP. Needs make qemu-plugin before.

set -euo pipefail

here=$(cd -- "$(dirname -- "$0")" && pwd)
plugin=$here/../build/vhost-blk-pci.so
qemu=${QEMU:-qemu-system-x86_64}
tmp=$(mktemp -d)
pids=()
count=0 failed=0
as=() vars=() load=()

cleanup() {
	local pid

	for pid in "${pids[@]}"; do
		kill "$pid" 2> /dev/null || true
	done
	rm -rf "$tmp"
}
trap cleanup EXIT

result() { # STATUS NAME
	count=$((count + 1))
	if (($1 == 0)); then
		echo "ok $count $2"
	else
		echo "not ok $count $2"
		failed=$((failed + 1))
	fi
}

check() { # NAME COMMAND...
	local name=$1 status=0
	shift
	"$@" || status=1
	result $status "$name"
}

# with_fakes COMMAND...: run it with the fake kernel.
with_fakes() {
	FAKE_LOG=$tmp/log FAKE_DISK=$tmp/disk LD_PRELOAD=$tmp/fake_vhost.so "$@"
}

# boot [VAR=VALUE...] -- ARGS...: QEMU in the background, commands by fd 9.
boot() {
	local vars=()

	while [[ $1 != -- ]]; do
		vars+=("$1")
		shift
	done
	shift
	: > "$tmp/log"
	rm -f "$tmp/hmp"
	mkfifo "$tmp/hmp"
	with_fakes env "${vars[@]}" timeout 120 "$qemu" -accel tcg -nodefaults \
		-display none -serial none -monitor stdio \
		"${load[@]}" "$@" < "$tmp/hmp" > "$tmp/out" 2>&1 &
	pids+=($!)
	exec 9> "$tmp/hmp"
}

quit() {
	echo quit >&9
	exec 9>&-
	wait "${pids[-1]}"
}

seen() { # N PATTERN: wait until the pattern was noted or printed N times
	local i

	for ((i = 0; i < 300; i++)); do
		(($(cat "$tmp/log" "$tmp/out" | grep -c -e "$2") < $1)) ||
			return 0
		sleep 0.1
	done
	echo "# not seen $1 times: $2"
	sed 's/^/# /' "$tmp/log" "$tmp/out"
	return 1
}

await() { # N PATTERN: what follows shows if it was in vain
	seen "$@" || true
}

device=vhost-blk-pci,path=$tmp/disk,num-queues=2,bootindex=0

started="SET_VRING_CALL 0
SET_VRING_CALL 1
SET_FEATURES ok
SET_BACKEND_FEATURES 0
SET_MEM_TABLE
SET_VRING_NUM 0 256
SET_VRING_BASE 0
SET_VRING_ADDR 0
SET_VRING_KICK 0
SET_BACKEND disk"

stopped="SET_BACKEND -1
GET_VRING_BASE 0
SET_VRING_CALL 0
SET_VRING_CALL 1
FDATASYNC"

same() { # EXPECTED
	diff <(echo "$1") "$tmp/log" | sed 's/^/# /'
	diff -q <(echo "$1") "$tmp/log" > /dev/null
}

differs() { # EXPECTED
	! diff -q <(echo "$1") "$tmp/log" > /dev/null
}

test_lifecycle() {
	local all

	boot -- -device "$device,serial=abc"
	await 1 "SET_BACKEND disk"
	echo stop >&9
	await 1 FDATASYNC
	echo cont >&9
	await 2 "SET_BACKEND disk"
	echo system_reset >&9
	await 3 "SET_BACKEND disk"
	quit
	all="SET_OWNER
SET_VRING_CALL 0
SET_VRING_ERR 0
SET_VRING_CALL 1
SET_VRING_ERR 1
SET_SERIAL abc
$started
$stopped
$started
$stopped
$started
$stopped"
	check "start, stop, cont, reset and quit send what they should" \
		same "$all"
	check "a missing ioctl would be noticed" \
		differs "${all/SET_VRING_ADDR 0$'\n'/}"
}

test_start_failure() {
	boot FAKE_FAIL=1 -- -device "$device"
	check "a failed attach is reported" seen 1 \
		"vhost-blk: cannot start: cannot attach .*: Operation not supp"
	check "and marks the device" seen 1 "until the guest resets"
	echo system_reset >&9
	check "a reset tries again" seen 2 "SET_BACKEND disk"
	check "QEMU survives it" quit
}

silent() {
	! grep vhost-blk: "$tmp/out"
}

test_interrupted_start() {
	boot FAKE_INTR=1 -- -device "$device"
	check "an attach that a signal interrupts is repeated" \
		seen 3 "SET_BACKEND disk"
	quit
	check "and nothing is reported" silent
}

test_queue_error() {
	boot FAKE_BREAK=1 -- -device "$device"
	check "a damaged queue stops the device" seen 1 "SET_BACKEND -1"
	check "and is reported" seen 1 "queue 0 is damaged"
	echo stop >&9
	echo cont >&9
	echo info version >&9
	await 1 "^7\|^1[0-9]"
	check "cont does not start it again" \
		test "$(grep -c "SET_BACKEND disk" "$tmp/log")" = 1
	echo system_reset >&9
	check "a reset does" seen 2 "SET_BACKEND disk"
	quit
}

# once ARGS...: a QEMU that only creates its devices, its output in $tmp/once.
once() {
	echo quit | with_fakes "${as[@]}" env "${vars[@]}" timeout 30 "$qemu" \
		-accel tcg -nodefaults -S -display none -monitor stdio \
		"${load[@]}" "$@" > "$tmp/once" 2>&1
}

fails_with() { # PATTERN ARGS...
	local pattern=$1 status=0
	shift

	once "$@" || status=$?
	[[ $status != 1 ]] || ! grep -q -- "$pattern" "$tmp/once" || return 0
	echo "# status $status"
	sed 's/^/# /' "$tmp/once"
	return 1
}

# refused NAME PATTERN DEVICE-OPTIONS [VAR=VALUE...]: QEMU says why and exits.
refused() {
	local vars=("${@:4}")

	check "refused: $1" fails_with "$2" -device "vhost-blk-pci,$3"
}

test_messages() {
	local p=path=$tmp/disk

	refused "no path" "path=DEVICE (or fd=) is missing" num-queues=1
	refused "path and fd" "exclude each other" "$p,fd=3"
	refused "no such device" "No such file" path=/dev/nosuch
	refused "not a block device" "is not a block device" path=/dev/null
	refused "bad fd" "fd '77'.*Bad file descriptor" fd=77
	refused "no module" "modprobe vhost_blk" "$p,vhostdev=/dev/nosuch"
	refused "not a vhost device" "Inappropriate ioctl" \
		"$p,vhostdev=/dev/zero"
	refused "vhostdev and vhostfd" "exclude" "$p,vhostdev=x,vhostfd=3"
	refused "read-only device" "add read-only=on" "$p" FAKE_RO=1
	refused "zoned device" "zoned" "$p" FAKE_ZONED=1
	refused "too many queues" "1 to 128" "$p,num-queues=129"
	refused "no queue" "1 to 128" "$p,num-queues=0"
	refused "queue size" "power of two from 4 to 1024" "$p,queue-size=2048"
	refused "odd queue size" "power of two" "$p,queue-size=100"
	refused "long serial" "longer than 20" \
		"$p,serial=123456789012345678901"
}

# A user without rights, where we are root and can become one.
test_permissions() {
	local what="no permission"

	as=(setpriv --reuid 65534 --clear-groups)
	if ! "${as[@]}" "$qemu" -version > /dev/null 2>&1; then
		as=()
		count=$((count + 1))
		echo "ok $count refused: $what # SKIP no other user can run $qemu"
		return
	fi
	chmod 600 "$tmp/disk"
	refused "$what" "no permission to open for reading and writing" \
		"path=$tmp/disk"
	refused "$what to read" "no permission to open for reading:" \
		"path=$tmp/disk,read-only=on"
	as=()
}

drive=file=$tmp/disk,format=raw,if=none,id=d

# Like QEMU's own disks: one writer or many readers.
test_locks() {
	boot -- -S -device "vhost-blk-pci,path=$tmp/disk"
	await 1 SET_SERIAL
	refused "in use by vhost-blk" "in use by another" "path=$tmp/disk"
	refused "a reader while it is written" "in use by another" \
		"path=$tmp/disk,read-only=on"
	vars=(FAKE_DISK=/)
	check "refused: virtio-blk on a disk of vhost-blk" \
		fails_with "Failed to get .* lock" -drive "$drive" \
		-device virtio-blk-pci,drive=d
	quit
	vars=()
	boot FAKE_DISK=/ -- -S -drive "$drive" -device virtio-blk-pci,drive=d
	echo info version >&9
	await 1 "^[0-9]*\.[0-9]*\.[0-9]"
	refused "in use by virtio-blk" "in use by another" "path=$tmp/disk"
	quit
	boot -- -S -device "vhost-blk-pci,path=$tmp/disk,read-only=on"
	await 1 SET_SERIAL
	check "readers share with vhost-blk" once \
		-device "vhost-blk-pci,path=$tmp/disk,read-only=on"
	vars=(FAKE_DISK=/)
	check "readers share with virtio-blk" once \
		-drive "$drive,read-only=on" -device virtio-blk-pci,drive=d
	vars=()
	refused "a writer while it is read" "in use by another" \
		"path=$tmp/disk"
	quit
}

test_file_descriptors() {
	# shellcheck disable=SC2094 # nothing is read or written
	exec 7<> "$tmp/disk" 8< "$tmp/disk"
	refused "a file by descriptor" "fd 7' is not a block device" fd=7
	refused "a read-only descriptor" "add read-only=on" fd=8
	exec 7>&- 8>&-
	check "an fd set is opened" fails_with "'/dev/fdset/1' is not a block" \
		-add-fd "fd=6,set=1" \
		-device "vhost-blk-pci,path=/dev/fdset/1" 6<> "$tmp/disk"
}

# The device must not enter a QEMU that it was not built for.
test_other_binary() {
	LC_ALL=C sed 's/Debian 1:/Debian 9:/' "$plugin" > "$tmp/plugin.so"
	check "another build of QEMU is refused" fails_with \
		"built for .*(Debian 9:.*this is .*(Debian 1:" -device vhost-blk-pci
	cp "$plugin" "$tmp/plugin.so"
}

main() {
	chmod 755 "$tmp"
	truncate -s 16M "$tmp/disk"
	if [[ -z ${QEMU:-} ]]; then
		[[ -e $plugin ]] ||
			{ echo "Bail out! make qemu-plugin first"; exit 1; }
		cp "$plugin" "$tmp/plugin.so"
		load=(-plugin "$tmp/plugin.so")
	fi
	: > "$tmp/log"
	chmod 666 "$tmp/log"
	"${CC:-cc}" -Wall -Wextra -Werror -O2 -fPIC -shared \
		-isystem "$here/../../include/uapi" "$here/fake_vhost.c" \
		-o "$tmp/fake_vhost.so" -ldl
	echo "KTAP version 1"
	test_lifecycle
	test_start_failure
	test_interrupted_start
	test_queue_error
	test_messages
	test_permissions
	test_locks
	test_file_descriptors
	[[ -n ${QEMU:-} ]] || test_other_binary
	echo "1..$count"
	((failed == 0))
}

main
