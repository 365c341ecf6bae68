# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For tests with guests, run as root on a host with the module and KVM (in the
# lab: L1). A test script sources this, makes disks, starts guests with
# scripts/vm/guest.sh and tells with check() what it found:
#
#   vm_begin
#   null_up t_one; vm_add one "$device" num-queues=2
#   check "guest boots" vm_boot g
#   check "fio verifies" vm_run g 'verify one --rw=randrw'
#   vm_end
#
# vm_end looks into the kernel's log and for what was left behind. Functions
# that check() calls run without errexit: they say "|| return" themselves.
#
# shellcheck disable=SC2034 # much of this is used by those who source it

# shellcheck source=selftests/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=selftests/lib/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

if [[ ${LAB_KERNEL:-} == debug ]]; then
	export KSFT_TIME_SCALE=${KSFT_TIME_SCALE:-5}
fi
vm_scale=${KSFT_TIME_SCALE:-1}
GUEST_TIMEOUT=$((150 * vm_scale))
GUEST_BOOT_TIMEOUT=$((240 * vm_scale))
# shellcheck source=scripts/vm/guest.sh
. "$selftests_dir/../scripts/vm/guest.sh"

: "${VHOST_BLK_KO:=$selftests_dir/../drivers/vhost/blk/vhost_blk.ko}"

vm_tmp=/run/vm-selftests
# QEMU arguments of the disks, and the host's devices behind them
vm_args=()
vm_devices=()
# What may stand in a guest's kernel log although it looks bad; to start with,
# what the kernel thinks of an emulated CPU.
vm_allow='fpu/xstate\.c'

# check NAME COMMAND...: one result. If it fails, what the command printed is
# shown, and what QEMU has said by then.
check() {
	local name=$1 start=$SECONDS status=0
	shift

	"$@" > "$vm_tmp/check" 2>&1 || status=$?
	if ((status == 0)); then
		tap_result ok "$name"
	elif ((status == 126)) && vm_guest_lost; then
		echo "# $name: status 126: a guest was reset without a word"
		exit 123
	else
		tap_result "not ok" "$name"
		echo "# status $status: $*"
		tail -n 30 "$vm_tmp/check" | tr -d '\r' | sed 's/^/# /'
		{ tail -n 5 "$GUEST_DIR"/*/qemu.log "$GUEST_DIR"/*/status
		  tail -n 25 "$GUEST_DIR"/*/console.log | tr -d '\r'; } \
			2>/dev/null | sed 's/^/# /' || true
	fi
	[[ -z ${VM_TIMES:-} ]] || echo "# $((SECONDS - start)) s"
	return 0
}

# Emulated guests are reset now and then, as hosts with guests are lost (lab_lost in
# scripts/vm/lib.sh); whatever their disks are, and their kernels have said nothing. What
# a disk does to a guest is told by its kernel.
vm_guest_lost() {
	local console

	[[ ${LAB_ACCEL:-} == tcg ]] || return
	for console in "$GUEST_DIR"/*/console.log; do
		! grep -qaE "Kernel panic|$vm_complaints" "$console" || return
	done
}

# same WHAT ACTUAL EXPECTED
same() {
	[[ $2 == "$3" ]] && return
	echo "$1: $2, not $3"
	return 1
}

# fails COMMAND...: succeeds if the command does not; 124 and above are no
# failure of the command but of the way to it.
fails() {
	local status=0

	"$@" || status=$?
	((status > 0 && status < 124)) && return
	echo "status $status of: $*"
	return 1
}

vm_sleep() {
	guest_nap "$1"
}

module_insert() {
	[[ -c /dev/vhost-blk ]] && return
	insmod "$VHOST_BLK_KO" || die "insmod $VHOST_BLK_KO"
	wait_for test -c /dev/vhost-blk || die "no /dev/vhost-blk"
}

vm_cleanup() {
	guest_kill_all || true
	undo_all
}

vm_begin() {
	[[ $(id -u) -eq 0 ]] || die "needs root"
	[[ -e $GUEST_PLUGIN ]] || die "no $GUEST_PLUGIN: make qemu-plugin"
	mkdir -p "$vm_tmp"
	rm -rf "$GUEST_DIR"
	echo "KTAP version 1"
	trap vm_cleanup EXIT
	module_insert
	log_mark "${0##*/}"
	leak_mark
}

# vm_add SERIAL DEVICE [PROPERTIES [TYPE]]: a disk for the next guest
vm_add() {
	vm_args+=(-device "${4:-vhost-blk-pci},id=$1,path=$2,serial=$1${3:+,$3}")
	vm_devices+=("$2")
}

# vm_boot NAME [QEMU ARGS...]: a Linux guest with the disks of vm_add
vm_boot() {
	local name=$1
	shift

	guest_start "$name" "${vm_args[@]}" "$@" && vm_booted "$name"
}

# vm_booted NAME: waits until a guest is there and gives it its functions
vm_booted() {
	guest_wait_boot "$1" &&
		guest_put "$1" "$selftests_dir/lib/vm_guest.sh" /run/vm.sh
}

# vm_run NAME COMMAND [SECONDS]: the command may use lib/vm_guest.sh
vm_run() {
	guest_run "$1" ". /run/vm.sh
$2" "${@:3}"
}

# vm_spawn NAME TAG COMMAND: the same in the background, see guest_join
vm_spawn() {
	guest_spawn "$1" "$2" ". /run/vm.sh
$3"
}

vm_complaints='BUG|WARNING|Oops|general protection|blocked for more than|soft lockup'
vm_complaints+='|rcu.*stall|refcount_t|I/O error|EXT4-fs error|irq .*nobody cared'

# vm_log_check NAME: nothing bad in the guest's kernel log
vm_log_check() {
	! tr -d '\r' < "$GUEST_DIR/$1/console.log" | grep -aE "$vm_complaints" |
		grep -avE "$vm_allow"
}

# vm_stop NAME: ends a guest in order; one result for it and its log
vm_stop() {
	check "guest $1 ends in order" guest_stop "$1"
	check "guest $1: kernel log is silent" vm_log_check "$1"
	check "guest $1: QEMU is silent" vm_quiet "$1"
}

# vm_quiet NAME: QEMU had nothing to say, but that the host is small
vm_quiet() {
	! grep -vE 'exceeds the recommended cpus' "$GUEST_DIR/$1/qemu.log"
}

vm_end() {
	guest_kill_all || true
	check "nothing is left behind" leak_check "${vm_devices[@]}"
	undo_all
	check "kernel log is silent" log_check
	rm -rf "$vm_tmp"
	trap - EXIT
	tap_end
}

# hash_of DEVICE MIB: of what is on the disk, past the page cache
hash_of() {
	dd if="$1" bs=1M count="$2" iflag=direct status=none | md5sum |
		cut -d ' ' -f 1
}

# fill DEVICE MIB: with what does not repeat
fill() {
	dd if=/dev/urandom of="$1" bs=1M count="$2" oflag=direct status=none
}
