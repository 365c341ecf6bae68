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
declare -A way_guest=()		# where it is not bench_guest
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
way qemu-native native libaio
way qemu-uring uring libaio
way vhost-scsi scsi libaio
way vhost-user user libaio
# The guest polls for completions: a guest with poll queues.
way vhost-kick-uring vhost uring
way vhost-guestpoll vhost polled
way vhost-bothpoll vhost polled
way qemu-native-guestpoll native polled
way qemu-uring-guestpoll uring polled

# Found by tune.sh: "DISK DEPTH" -> poll-max-ns of QEMU's iothread
declare -A tuned=()

# vhost_set DISK NAME=VALUE...: for all queues of a vhost-blk disk; an empty
# value is that of the module.
vhost_set() {
	local dir serial queue pair

	for dir in /sys/class/vhost-blk/vhost-blk*; do
		read -r serial < "$dir/serial"
		[[ $serial == "$1" ]] || continue
		for queue in "$dir"/queues/*; do
			for pair in "${@:2}"; do
				echo "${pair#*=}" > "$queue/${pair%%=*}"
			done
		done
	done
}

vhost_has() {
	compgen -G "/sys/class/vhost-blk/vhost-blk*/queues/0/$1" >/dev/null
}

# iothread_set ID POLL_NS
iothread_set() {
	guest_qmp "$bench_guest" '{"execute":"qom-set","arguments":{
"path":"/objects/'"$1"'","property":"poll-max-ns","value":'"$2"'}}' >/dev/null
}

# way_begin WAY DEPTH
way_begin() {
	local disk=${way_disk[$1]}

	case $1 in
	vhost-kick | vhost-kick-uring)
		vhost_set "$disk" poll_ns_max=0 ;;
	vhost-polling | vhost-bothpoll)
		vhost_set "$disk" poll_ns_max=1000000000 \
			poll_ns_grow_start=1000000000 poll_ns_shrink=1 ;;
	vhost-polldev)
		vhost_set "$disk" poll_device=1 ;;
	qemu-*)
		iothread_set "$disk" "${tuned[$disk $2]:-$BENCH_POLL_NS}" ;;
	esac
}

# way_end WAY: as it was
way_end() {
	local disk=${way_disk[$1]}

	case $1 in
	vhost-kick | vhost-kick-uring)
		vhost_set "$disk" poll_ns_max= ;;
	vhost-polling | vhost-bothpoll)
		vhost_set "$disk" poll_ns_max= poll_ns_grow_start= \
			poll_ns_shrink= ;;
	vhost-polldev)
		vhost_set "$disk" poll_device= ;;
	qemu-*)
		iothread_set "$disk" 0 ;;
	esac
}

# wanted WAYS...: prints those of them that --only lets through and that can be
# measured here
wanted() {
	local name pattern

	for name in "$@"; do
		[[ -z ${way_why_not[$name]:-} ]] || continue
		for pattern in ${BENCH_ONLY:-*}; do
			# shellcheck disable=SC2053 # a pattern it is
			if [[ $name == $pattern ]]; then
				echo "$name"
				break
			fi
		done
	done
}
