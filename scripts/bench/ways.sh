# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The ways to a disk that are compared. For host.sh.
#
# A way is a disk of the guest (its name is in way_disk, nothing: the device on
# the host), fio's engine, and a mode that is set before each measurement.
#
# shellcheck disable=SC2034,SC2154 # shared with measure.sh and host.sh

declare -A way_disk=() way_engine=()
declare -A way_guest=()		# where it is not "bench"
declare -A way_why_not=()	# way -> reason that it cannot be measured
way_names=()

# way NAME DISK ENGINE
way() {
	way_names+=("$1")
	way_disk[$1]=$2
	way_engine[$1]=$3
}

way bare-libaio "" libaio
way bare-uring "" uring
way bare-polled "" polled
way vhost-kick vhost libaio
way vhost-adaptive vhost libaio
way vhost-polling vhost libaio
way vhost-polldev vhost libaio
# What is lost without moderation: each pass that completes something interrupts.
way vhost-nohold vhost libaio
# With an iothread that polls as long as QEMU lets it by default, or as long as
# vhost-blk may: which of them is best depends on the work.
way qemu-native native libaio
way qemu-native-poll native libaio
way qemu-uring uring libaio
way qemu-uring-poll uring libaio
way vhost-scsi scsi libaio
way vhost-user user libaio
# A null_blk of the guest's own: what fio in this guest reaches without a host.
way guest-null own libaio
# The guest polls for completions: a guest with poll queues.
way vhost-kick-uring vhost uring
way vhost-guestpoll vhost polled
way vhost-bothpoll vhost polled
way qemu-native-guestpoll native polled
way qemu-native-bothpoll native polled
way qemu-uring-guestpoll uring polled
way qemu-uring-bothpoll uring polled

# More queues, one thread; and one core for all threads.
for way_count in 1 2 3 4; do
	way "qemu-native-q$way_count" "native-q$way_count" libaio
done
way vhost-kick-onecore vhost libaio
way vhost-adaptive-onecore vhost libaio
way vhost-polling-onecore vhost libaio
# In a guest of a newer QEMU, which can have several threads for a disk.
way newer-native new-native libaio
way newer-native-poll new-native libaio
way newer-uring new-uring libaio
way newer-uring-poll new-uring libaio
way newer-native-guestpoll new-native polled
way newer-native-bothpoll new-native polled
way newer-uring-guestpoll new-uring polled
way newer-uring-bothpoll new-uring polled
for way_count in 1 2 3 4; do
	way "newer-threads-$way_count" "new-threads-$way_count" libaio
done
# Programs on the host, without a guest.
way ring-call "" ""
way ring-poll "" ""
way twin-call "" ""
way twin-poll "" ""
for way_name in "${way_names[@]}"; do
	[[ $way_name != newer-* ]] || way_guest[$way_name]=newer
done

qemu_poll_ns=32768	# the default of poll-max-ns

# vhost_queues DISK: prints the directories of its queues
vhost_queues() {
	local dir serial

	for dir in /sys/class/vhost-blk/vhost-blk*; do
		read -r serial < "$dir/serial"
		[[ $serial != "$1" ]] || echo "$dir"/queues/*
	done
}

# vhost_set DISK NAME=VALUE...: for all queues of a vhost-blk disk; an empty
# value is that of the module.
vhost_set() {
	local queue pair

	for queue in $(vhost_queues "$1"); do
		for pair in "${@:2}"; do
			echo "${pair#*=}" > "$queue/${pair%%=*}"
		done
	done
}

# iothread_set GUEST ID POLL_NS
iothread_set() {
	guest_qmp "$1" '{"execute":"qom-set","arguments":{
"path":"/objects/'"$2"'","property":"poll-max-ns","value":'"$3"'}}' >/dev/null
}

# way_begin WAY: sets its mode
way_begin() {
	local disk=${way_disk[$1]} guest=${way_guest[$1]:-bench}

	case $1 in
	vhost-*-onecore)
		vhost_set "$disk" cpu=$(($(nproc) - 1)) ;;
	esac
	case $1 in
	vhost-kick*)
		vhost_set "$disk" poll_ns_max=0 ;;
	vhost-polling* | vhost-bothpoll)
		vhost_set "$disk" poll_ns_max=1000000000 \
			poll_ns_grow_start=1000000000 poll_ns_shrink=1 ;;
	vhost-polldev)
		vhost_set "$disk" poll_device=1 ;;
	vhost-nohold)
		vhost_set "$disk" hold_us=0 ;;
	*-threads-* | qemu-*-q*) ;;
	qemu-*-poll | newer-*-poll | qemu-*-bothpoll | newer-*-bothpoll)
		iothread_set "$guest" "$disk" "$BENCH_POLL_NS" ;;
	qemu-* | newer-*)
		iothread_set "$guest" "$disk" $qemu_poll_ns ;;
	esac
}

# way_end WAY: as it was
way_end() {
	local disk=${way_disk[$1]}

	case $1 in
	vhost-*-onecore)
		vhost_set "$disk" cpu=-1 ;;
	esac
	case $1 in
	vhost-kick*)
		vhost_set "$disk" poll_ns_max= ;;
	vhost-polling* | vhost-bothpoll)
		vhost_set "$disk" poll_ns_max= poll_ns_grow_start= \
			poll_ns_shrink= ;;
	vhost-polldev)
		vhost_set "$disk" poll_device= ;;
	vhost-nohold)
		vhost_set "$disk" hold_us= ;;
	esac
}

# cannot REASON WAY...
cannot() {
	local name

	for name in "${@:2}"; do
		way_why_not[$name]=$1
		echo "skipped=$name: $1" >> "$BENCH_OUT/environment"
		step "not measured: $name: $1"
	done
}

# probe_ways: what this host and this module can
probe_ways() {
	[[ -e /sys/module/vhost_blk/parameters/poll_device ]] ||
		cannot "this module cannot poll a device" vhost-polldev
	modprobe -a vhost_scsi target_core_iblock 2>/dev/null ||
		cannot "the kernel has no vhost_scsi" vhost-scsi
	command -v qemu-storage-daemon >/dev/null ||
		cannot "there is no qemu-storage-daemon" vhost-user
	[[ -n $BENCH_NEWER_QEMU ]] ||
		cannot "there is no QEMU >= 9 for this machine" \
			newer-{native,uring}{,-poll,-guestpoll,-bothpoll} \
			newer-threads-{1,2,3,4}
}

# wanted WAYS...: prints those of them that --only lets through and that can be
# measured here
wanted() {
	local name pattern
	local -a patterns

	read -ra patterns <<<"${BENCH_ONLY:-*}"
	for name in "$@"; do
		[[ -z ${way_why_not[$name]:-} ]] || continue
		for pattern in "${patterns[@]}"; do
			# shellcheck disable=SC2053 # a pattern it is
			if [[ $name == $pattern ]]; then
				echo "$name"
				break
			fi
		done
	done
}
