# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For scripts that run as root on the host with the module (in the lab: L1):
# backends, the kernel's log, what was left behind.
#
# shellcheck disable=SC2034 # much of this is used by those who source it

selftests_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
selftests_tmp=${TMPDIR:-/tmp}/vhost-blk-selftests.$$
configfs=/sys/kernel/config

# name -> device; what the tests know as backends
declare -A backend=()
backend_order=()
# what must be undone, last first
undo=()

die() {
	echo "# ${0##*/}: $*"
	exit 1
}

# A missing kernel feature is a reason, not a mystery.
require_module() {
	modprobe "$@" || die "modprobe $*"
}

backend_add() {
	backend[$1]=$2
	backend_order+=("$1")
}

# null_make NAME ATTRIBUTE=VALUE...: a null_blk device that keeps what is
# written; prints its node.
null_make() {
	local dir=$configfs/nullb/$1 pair index
	shift

	[[ -d $configfs/nullb ]] || require_module null_blk nr_devices=0
	mkdir "$dir" || die "null_blk has no configfs"
	for pair in size=64 memory_backed=1 "$@"; do
		echo "${pair#*=}" > "$dir/${pair%%=*}" || die "null_blk $pair"
	done
	echo 1 > "$dir/power"
	# newer kernels call the disk as its directory, others count
	if [[ -b /dev/${dir##*/} ]]; then
		echo "/dev/${dir##*/}"
	else
		read -r index < "$dir/index"
		echo "/dev/nullb$index"
	fi
}

null_remove() {
	rmdir "$configfs/nullb/$1"
}

# null_up NAME ATTRIBUTE=VALUE...: sets $device
null_up() {
	device=$(null_make "$@") || exit 1
	undo+=("null_remove $1")
}

# loop_up SIZE [losetup options]: sets $device and $file
loop_up() {
	local size=$1
	shift

	mkdir -p "$selftests_tmp"
	file=$(mktemp "$selftests_tmp/loop.XXXXXX")
	truncate -s "$size" "$file"
	device=$(losetup --show "$@" -f "$file") || die "losetup $*"
	undo+=("rm -f $file" "losetup -d $device")
}

# dm_up NAME TABLE: sets $device
dm_up() {
	dmsetup create "$1" --noudevrules --noudevsync <<<"$2" ||
		die "dmsetup create $1"
	device=/dev/mapper/$1
	undo+=("dmsetup remove --noudevrules --noudevsync --retry $1")
}

sectors_of() {
	blockdev --getsz "$1"
}

# Sets $device to the disk that scsi_debug made, once it is there.
scsi_find() {
	local dir

	for dir in /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block/*; do
		[[ -e $dir ]] || return 1
		device=/dev/${dir##*/}
	done
	[[ -b ${device}2 ]]
}

# scsi_up SECTOR_SIZE: sets $device; two partitions on it
scsi_up() {
	require_module scsi_debug dev_size_mb=64 "sector_size=$1" num_parts=2 \
		delay=0 max_luns=1
	undo+=("rmmod_retry scsi_debug")
	wait_for scsi_find || die "no scsi_debug disk with partitions"
}

# wait_for COMMAND...: up to 5 s (times KSFT_TIME_SCALE)
wait_for() {
	local tries=$((100 * ${KSFT_TIME_SCALE:-1})) never

	exec {never}<> <(:)
	while ! "$@" 2>/dev/null; do
		((tries-- > 0)) || { exec {never}>&-; return 1; }
		read -r -t 0.05 -u "$never" || true
	done
	exec {never}>&-
}

# Something may still hold a device for a moment: a partition scan, say.
rmmod_retry() {
	wait_for rmmod "$1" || rmmod "$1"
}

undo_all() {
	local i

	for ((i = ${#undo[@]} - 1; i >= 0; i--)); do
		eval "${undo[i]}" || echo "# undoing failed: ${undo[i]}"
	done
	undo=()
	rm -rf "$selftests_tmp"
}

# nvme_find BYTES [SERIAL]: the first NVMe namespace with such logical blocks and a
# serial number that begins so; without SERIAL none that is slow. Sets $device
nvme_find() {
	local dir serial

	for dir in /sys/block/nvme*n1; do
		[[ -e $dir ]] || continue
		serial=$(< "$dir/device/serial")
		[[ $serial == "${2:-}"* && ($serial != slow* || -n ${2:-}) ]] ||
			continue
		if [[ $(< "$dir/queue/logical_block_size") == "$1" ]]; then
			device=/dev/${dir##*/}
			return
		fi
	done
	return 1
}

# All disks with logical blocks of 512 bytes (or no choice).
backends_up_512() {
	local a b n

	null_up test_null_512 blocksize=512
	backend_add null512 "$device"
	null_up test_null_vb blocksize=512 virt_boundary=1
	backend_add nullvb "$device"
	modprobe -a loop sd_mod dm_mod dm_delay nvme || die "modprobe"
	require_module brd rd_nr=1 rd_size=65536
	undo+=("rmmod_retry brd")
	backend_add brd /dev/ram0
	loop_up 64M
	backend_add loop "$device"
	scsi_up 512
	backend_add scsi512 "$device"
	backend_add part "${device}2"
	part_whole=$device

	null_up test_null_a blocksize=512 size=32
	a=$device
	null_up test_null_b blocksize=512 size=32 virt_boundary=1
	b=$device
	n=$(sectors_of "$a")
	dm_up tlinear "0 $n linear $a 0
$n $n linear $b 0"
	backend_add dmlinear "$device"

	if wait_for nvme_find 512; then
		backend_add nvme512 "$device"
	fi
}

backends_up_4096() {
	null_up test_null_4k blocksize=4096
	backend_add null4k "$device"
	scsi_up 4096
	backend_add scsi4k "$device"
	if wait_for nvme_find 4096; then
		backend_add nvme4k "$device"
	fi
}

# nvme_reload [OPTION...]: the driver again, with other options
nvme_reload() {
	rmmod_retry nvme || die "rmmod nvme"
	require_module nvme "$@"
}

# Disks with poll queues, two of them on null_blk; what poll_disks wants; and as
# nvme-slow what poll_slow wants.
backends_up_polled() {
	local n disk

	modprobe -a dm_mod nvme || die "modprobe"
	[[ ! -d /sys/module/null_blk ]] || rmmod_retry null_blk ||
		die "rmmod null_blk"
	require_module null_blk nr_devices=0 poll_queues=2
	undo+=("rmmod_retry null_blk")
	null_up test_poll_512 blocksize=512 submit_queues=2
	backend_add null512-polled "$device"
	null_up test_poll_vb blocksize=512 virt_boundary=1 cache_size=4
	backend_add nullvb-polled "$device"
	null_up test_poll_4k blocksize=4096
	backend_add null4k-polled "$device"

	null_up test_poll_timer blocksize=512 irqmode=2 cache_size=4 \
		completion_nsec=300000000
	export KSFT_POLL_TIMER=$device
	null_up test_poll_tags blocksize=512 hw_queue_depth=2 poll_queues=1
	export KSFT_POLL_TAGS=$device
	null_up test_poll_below blocksize=512
	disk=$device
	n=$(sectors_of "$disk")
	dm_up tpoll "0 $n linear $disk 0"
	export KSFT_POLL_DM=$device
	null_up test_poll_never blocksize=512 poll_queues=0 irqmode=2 \
		completion_nsec=20000000
	export KSFT_NO_POLL=$device

	nvme_reload "poll_queues=$(($(nproc) > 1 ? 2 : 1))"
	undo+=(nvme_reload)
	if wait_for nvme_find 512 slow; then
		backend[nvme-slow]=$device
	fi
	if wait_for nvme_find 512; then
		backend_add nvme512-polled "$device"
	fi
	if wait_for nvme_find 4096; then
		backend_add nvme4k-polled "$device"
	fi
}

# What only single tests want, in the environment of all.
specials_up() {
	local n

	null_up test_null_z blocksize=512 zoned=1 zone_size=4
	export KSFT_ZONED=$device
	null_up test_null_d blocksize=512
	n=$(sectors_of "$device")
	local disk=$device
	dm_up tdelay "0 2048 delay $disk 0 200
2048 $((n - 2048)) linear $disk 2048"
	export KSFT_DELAY=$device
	null_up test_null_e blocksize=512
	n=$(sectors_of "$device")
	dm_up tdelaylong "0 $n delay $device 0 3000"
	export KSFT_DELAY_LONG=$device
	null_up test_null_tag blocksize=512 submit_queues=1 hw_queue_depth=1 \
		irqmode=2 completion_nsec=300000000
	export KSFT_ONE_TAG=$device
	null_up test_null_below blocksize=512 submit_queues=1 hw_queue_depth=1 \
		irqmode=2 completion_nsec=500000000 cache_size=4
	# Else there is room for two in its scheduler.
	echo none > "/sys/block/${device##*/}/queue/scheduler"
	disk=$device
	# Its driver hands REQ_NOWAIT on with the flush of the first segment only.
	dm_up tstacked "0 2048 linear $disk 0
2048 2048 linear $disk 2048"
	export KSFT_STACKED=$device
	dm_up terror "0 2048 error"
	export KSFT_ERROR=$device
	loop_up $((4 * 1024 * 1024 - 1000))
	short512=("$device" "$file")
	loop_up $((4 * 1024 * 1024 - 1000)) -b 4096
	short4k=("$device" "$file")
}

#
# The kernel's log
#

log_pattern='BUG|WARNING|Oops|KASAN|KCSAN|UBSAN|KFENCE|general protection'
log_pattern+='|circular locking|suspicious RCU|sleeping function'
log_pattern+='|scheduling while atomic|soft lockup|hard LOCKUP|hung task'
log_pattern+='|blocked for more than|rcu.*stall|refcount_t|unreferenced object'
log_pattern+='|list_add corruption|list_del corruption|Trying to write to read-only'
log_pattern+='|beyond end of device|not aligned to the logical block size'
log_pattern+='|I/O error|inconsistent lock state|possible recursive locking'

# log_mark WORD: what follows in the log is what comes after this
log_mark() {
	log_marker="selftests: $1 $RANDOM$RANDOM"
	echo "$log_marker" > /dev/kmsg
}

# Leaves out what is not ours: null_blk looks for memory while it is polled, and whoever
# calls bio_poll() holds RCU, io_uring as well. A debug kernel complains once in a while.
log_without_known() {
	awk '/BUG: sleeping function called from invalid context/ { holds = 1 }
	     !holds { print; next }
	     { held = held $0 "\n"; known = known || /null_insert_page/ }
	     /<\/TASK>/ {
		if (!known)
			printf "%s", held
		holds = known = 0
		held = ""
	     }
	     END { printf "%s", held }'
}

# Lines since the mark that no test may cause, and any that name the module: it
# has nothing to say, whatever guest and owner do.
log_check() {
	dmesg | log_without_known | awk -v mark="$log_marker" -v pattern="$log_pattern" '
		index($0, mark) { seen = 1; next }
		!seen { next }
		$0 ~ pattern { print "# log: " $0; bad = 1 }
		/vhost[-_]blk/ && own++ < 10 { print "# log: " $0; bad = 1 }
		END {
			if (!seen) {
				print "# log: mark not found"
				bad = 1
			}
			exit bad
		}'
}

#
# What was left behind
#

workers_now() {
	local file comm n=0

	for file in /proc/[0-9]*/comm; do
		if read -r comm < "$file" && [[ $comm == vblk-* ]]; then
			n=$((n + 1))
		fi
	done 2>/dev/null
	echo "$n"
}

leak_mark() {
	pins_before=$("$selftests_dir/build/leaks" now)
}

# leak_check DEVICE...: nothing of the module runs, no page is pinned, nobody
# holds the devices.
leak_check() {
	"$selftests_dir/build/leaks" wait "$pins_before" "$@"
}

# kmemleak's findings, where the kernel has it; twice, as it asks for.
kmemleak_check() {
	local file=/sys/kernel/debug/kmemleak

	[[ -e $file ]] || return 0
	echo scan > $file
	echo scan > $file
	if grep -q . $file; then
		sed 's/^/# kmemleak: /' $file
		return 1
	fi
}
