# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Guests with the disks of the ways, all of them on $bench_device. For host.sh.
#
# shellcheck disable=SC2034,SC2154 # shared with ways.sh and host.sh

bench_lost=0		# how many guests were
bench_guests=()		# those that run
declare -A bench_recipe=()	# what they were started with
bench_pin=""		# not empty: who serves the disks has a CPU of its own
scsi_target=/sys/kernel/config/target
scsi_wwn=naa.6001405bench0001

# add_vhost ID QUEUES: to args
add_vhost() {
	args+=(-device "vhost-blk-pci,path=$bench_device,num-queues=$2,serial=$1,read-only=$bench_read_only")
}

# add_qemu ID QUEUES AIO: the file is not locked, because others have it too
add_qemu() {
	args+=(-object "iothread,id=$1"
	       -blockdev "driver=host_device,node-name=$1,filename=$bench_device,cache.direct=on,aio=$3,locking=off,read-only=$bench_read_only"
	       -device "virtio-blk-pci,drive=$1,iothread=$1,num-queues=$2,serial=$1")
}

# add_threads ID QUEUES THREADS: each has its share of the queues
add_threads() {
	local i mapping=""

	for ((i = 0; i < $3; i++)); do
		args+=(-object "iothread,id=$1-$i")
		mapping+=",{\"iothread\":\"$1-$i\"}"
	done
	args+=(-blockdev "driver=host_device,node-name=$1,filename=$bench_device,cache.direct=on,aio=native,locking=off,read-only=$bench_read_only"
	       -device "{\"driver\":\"virtio-blk-pci\",\"drive\":\"$1\",\"num-queues\":$2,\"serial\":\"$1\",\"iothread-vq-mapping\":[${mapping#,}]}")
}

# add_user QUEUES: starts a qemu-storage-daemon
add_user() {
	local writable=${bench_writable:+on}

	qemu-storage-daemon \
		--object "iothread,id=io,poll-max-ns=$BENCH_POLL_NS" \
		--blockdev "driver=host_device,node-name=disk,filename=$bench_device,cache.direct=on,aio=io_uring,locking=off,read-only=$bench_read_only" \
		--export "type=vhost-user-blk,id=export,node-name=disk,iothread=io,num-queues=$1,writable=${writable:-off},addr.type=unix,addr.path=$tmp/user.sock" \
		--pidfile "$tmp/user.pid" --daemonize || return
	args+=(-chardev "socket,id=user,path=$tmp/user.sock"
	       -device "vhost-user-blk-pci,chardev=user,num-queues=$1,queue-size=256")
}

# add_scsi QUEUES: sets a target up
add_scsi() {
	local store=$scsi_target/core/iblock_0/bench
	local portal=$scsi_target/vhost/$scsi_wwn/tpgt_1

	modprobe -a vhost_scsi target_core_iblock || return
	mkdir -p "$store" "$portal/lun/lun_0"
	echo "udev_path=$bench_device,readonly=$((${#bench_writable} == 0))" \
		> "$store/control"
	echo 1 > "$store/enable"
	echo 0 > "$store/attrib/emulate_pr"
	ln -s "$store" "$portal/lun/lun_0/disk"
	echo "$scsi_wwn" > "$portal/nexus"
	args+=(-device "vhost-scsi-pci,wwpn=$scsi_wwn,num_queues=$1,virtqueue_size=256")
}

scsi_remove() {
	local store=$scsi_target/core/iblock_0/bench
	local portal=$scsi_target/vhost/$scsi_wwn/tpgt_1

	[[ -d $store ]] || return 0
	if [[ -d $portal ]]; then
		rm -f "$portal/lun/lun_0/disk"
		echo NULL > "$portal/nexus"
		rmdir "$portal/lun/lun_0" "$portal" "${portal%/*}"
	fi
	rmdir "$store" "${store%/*}"
}

# add_disk NAME QUEUES
add_disk() {
	case $1 in
	vhost) add_vhost "$1" "$2" ;;
	native-q*) add_qemu "$1" "${1##*q}" native ;;
	native | new-native) add_qemu "$1" "$2" native ;;
	uring | new-uring) add_qemu "$1" "$2" io_uring ;;
	new-threads-*) add_threads "$1" "$2" "${1##*-}" ;;
	scsi) add_scsi "$2" ;;
	user) add_user "$2" ;;
	own) ;;		# the guest makes it
	esac
}

# threads_of PID: prints "TID NAME" of each of its threads
threads_of() {
	local dir name

	for dir in /proc/"$1"/task/*; do
		read -r name < "$dir/comm"
		echo "${dir##*/} $name"
	done
}

# pin_vcpus GUEST FIRST: to CPUs of the host from FIRST on, one each. Not only
# for speed: the emulation of a host does not stand vCPUs that take turns.
pin_vcpus() {
	local tid name

	while read -r tid name; do
		[[ $name != CPU\ * ]] ||
			taskset -cp $(($2 + ${name//[^0-9]/})) "$tid"
	done < <(threads_of "$(guest_pid "$1")")
}

# pin_servers GUEST CPU: whoever serves its disks
pin_servers() {
	local pid tid name dir owner

	pid=$(guest_pid "$1")
	while read -r tid name; do
		[[ $name != IO\ * || $name == IO\ mon* ]] ||
			taskset -cp "$2" "$tid"
	done < <(threads_of "$pid")
	if [[ $1 == bench && -s $tmp/user.pid ]]; then
		taskset -acp "$2" "$(< "$tmp/user.pid")"
	fi
	while read -r tid; do
		taskset -cp "$2" "$tid"
	done < <(pgrep "^vhost-$pid\$")
	for dir in /sys/class/vhost-blk/*/queues/*; do
		[[ -e $dir/cpu ]] || continue
		read -r owner < "$dir/../../owner"
		[[ $owner != "$pid" ]] || echo "$2" > "$dir/cpu"
	done
}

# pin GUEST FIRST: as above. The server gets the last CPU, or the first if the
# guest has the last.
pin() {
	local last=$(($(nproc) - 1))

	pin_vcpus "$1" "$2"
	[[ -n $bench_pin ]] || return 0
	pin_servers "$1" $((last && $2 == last ? 0 : last))
}

# bench_guest_start NAME FIRST-CPU CPUS QUEUES DISKS...: and waits until it has
# booted
bench_guest_start() {
	local name=$1 first=$2 cpus=$3 queues=$4 id
	local -a args=(-name "$1,debug-threads=on")
	local GUEST_QEMU=$GUEST_QEMU
	shift 4

	bench_recipe[$name]="$first $cpus $queues $*"
	for id in "$@"; do
		add_disk "$id" "$queues"
	done
	step "guest $name with $cpus CPUs, $queues queues: $*"
	if [[ $name == newer ]]; then
		GUEST_QEMU=$BENCH_NEWER_QEMU
	fi
	bench_guests+=("$name")
	GUEST_CPUS=$cpus GUEST_MEM_SHARED=1 guest_start "$name" \
		"${args[@]}" || return
	guest_wait_boot "$name" || return
	cat scripts/vm/guest-disks.sh scripts/bench/in-guest.sh \
		> "$tmp/in-guest.sh"
	guest_put "$name" "$tmp/in-guest.sh" /run/bench.sh
	pin "$name" "$first" >/dev/null
}

# bench_guest_stop: all of them
bench_guest_stop() {
	local name

	for name in "${bench_guests[@]}"; do
		guest_stop "$name" || guest_kill "$name"
	done
	bench_guests=()
	bench_guest_clean
}

# bench_guests_lost WHAT: takes note of a guest that is lost; fails if that is no
# accident. The emulation of a host has defects that kill one now and then (see
# guest_fits and guest_keep_kvm in scripts/vm/guest.sh).
bench_guests_lost() {
	step "guest lost: $1"
	echo "lost=$1" >> "$BENCH_OUT/environment"
	[[ ${LAB_ACCEL:-} == tcg ]] && ((bench_lost++ < 10))
}

# bench_guest_again NAME: starts one of them again
bench_guest_again() {
	local other
	local -a others=() recipe

	guest_kill "$1"
	for other in "${bench_guests[@]}"; do
		[[ $other == "$1" ]] || others+=("$other")
	done
	bench_guests=("${others[@]}")
	[[ $1 != bench ]] || bench_guest_clean
	read -ra recipe <<<"${bench_recipe[$1]}"
	bench_guest_start "$1" "${recipe[@]}"
}

# What belongs to no QEMU of ours.
bench_guest_clean() {
	local pid

	if [[ -s $tmp/user.pid ]]; then
		read -r pid < "$tmp/user.pid"
		kill "$pid" 2>/dev/null || true
		while kill -0 "$pid" 2>/dev/null; do
			guest_nap
		done
		rm -f "$tmp"/user.{pid,sock}
	fi
	scsi_remove
}
