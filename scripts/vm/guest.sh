# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Library for scripts that run in the lab's host (L1, see run.sh): starts and
# drives guests (L2) under KVM.
#
#   . scripts/vm/guest.sh
#   guest_start one -drive if=none,id=d,file=/dev/nullb0,format=raw \
#		-device virtio-blk-pci,drive=d
#   guest_wait_boot one
#   guest_run one 'mkfs.ext4 -q /dev/vda && mount /dev/vda /mnt'
#   guest_reboot one
#   guest_qmp one '{"execute":"query-status"}'
#   guest_stop one
#
# guest_start_raw starts one without a kernel: SeaBIOS boots from its disks.
# guest_wait_boot works again after every reboot, whoever causes it.
# guest_spawn, guest_join: a command in the background of the guest.
# guest_put: a file into the guest. guest_wait_event: an event of QMP.
# guest_kill: kill -9. guest_wait_exit: QEMU's status. guest_kill_all: for traps.
# guest_splats: what the guest's kernel complained about, if anything.
#
# A guest is Debian's kernel with everything in its initramfs: busybox, fio,
# e2fsprogs. Commands reach it over virtio-serial and never touch its disks.
# What belongs to a guest lies in $GUEST_DIR/NAME: console.log, qemu.log (what
# QEMU said), qemu.pid, qmp.sock (free for other users of QMP), events.
#
# LAB_PATIENCE (see run.sh) multiplies every limit that is given in seconds.
# Every function returns 0 if all went well. guest_run returns the command's
# status, or 124 (time limit), 125 (the guest is gone), 126 (it rebooted).
#
# Read from the environment, at every use:
GUEST_DIR=${GUEST_DIR:-/run/guest}	# state of the guests
: "${GUEST_CPUS:=2}"			# vCPUs
: "${GUEST_MEM:=512M}"			# memory
: "${GUEST_MEM_SHARED:=}"		# not empty: memfd, for vhost-user
: "${GUEST_MACHINE:=q35}"		# QEMU machine type
# QEMU CPU model. An emulated L1 does not let KVM see that its guest sets XCR0:
# the guest's kernel warns, with a long trace, and does without XSAVE anyway.
if [[ ${LAB_ACCEL:-tcg} == tcg ]]; then
	: "${GUEST_CPU:=host,xsave=off}"
fi
: "${GUEST_CPU:=host}"
: "${GUEST_APPEND:=}"			# added to the kernel command line
: "${GUEST_KERNEL:=${LAB_GUEST_KERNEL:-}}"
: "${GUEST_INITRAMFS:=${LAB_GUEST_INITRAMFS:-}}"
: "${GUEST_TIMEOUT:=120}"		# seconds for guest_run
: "${GUEST_BOOT_TIMEOUT:=180}"		# seconds for guest_wait_boot
: "${GUEST_QEMU:=/usr/bin/qemu-system-x86_64}"
# GUEST_PLUGIN (default: qemu/build/vhost-blk-pci.so of the tree) is loaded
# whenever an argument names vhost-blk-pci and none is -plugin; set it to nothing
# for a QEMU that has the device built in.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

GUEST_PLUGIN=${GUEST_PLUGIN-$lab_root/qemu/build/vhost-blk-pci.so}
guest_patience=${LAB_PATIENCE:-1}

guest_say() {
	echo "guest: $*" >&2
}

# Waits a moment without starting a program.
guest_nap() {
	local never

	exec {never}<> <(:)
	read -r -t "${1:-0.1}" -u "$never" || true
	exec {never}>&-
}

# guest_line FD: sets line to the next one; fails if it does not end within two
# seconds. What came of it by then is not lost but waits for the next call in
# guest_part, which the caller has, empty to begin with.
guest_line() {
	local part=""

	if ! IFS= read -r -t 2 -u "$1" part; then
		guest_part+=$part
		return 1
	fi
	line=$guest_part$part
	guest_part=""
}

guest_pid() {
	local pid

	read -r pid 2>/dev/null < "$GUEST_DIR/$1/qemu.pid" && echo "$pid"
}

# guest_alive NAME: is its QEMU running?
guest_alive() {
	local pid

	pid=$(guest_pid "$1") && [[ ! -e $GUEST_DIR/$1/status ]] &&
		kill -0 "$pid" 2>/dev/null
}

# guest_wait_exit NAME [SECONDS]: waits for QEMU to end; returns its status,
# or 124 if it did not end in time.
guest_wait_exit() {
	local end=$((SECONDS + ${2:-60} * guest_patience)) status

	while [[ ! -s $GUEST_DIR/$1/status ]]; do
		((SECONDS < end)) || return 124
		guest_nap
	done
	read -r status < "$GUEST_DIR/$1/status"
	return "$status"
}

guest_load_kvm() {
	if [[ ! -c /dev/kvm ]]; then
		modprobe kvm_amd 2>/dev/null || modprobe kvm_intel 2>/dev/null
	fi
	[[ -c /dev/kvm ]] || { guest_say "no /dev/kvm in L1"; return 1; }
	guest_keep_kvm
}

# guest_keep_kvm: KVM replaces code of the scheduler and of its own when the first
# guest comes and when the last one goes, and when guests switch their APICs on.
# QEMU 7.2, which emulates the host, may go on executing the code that was
# replaced, a breakpoint while that is done: then the host or a guest is lost. So
# there is always one more guest, that never runs.
guest_keep_kvm() {
	local pid=/run/guest-keep.pid

	[[ ${LAB_ACCEL:-} == tcg ]] || return 0
	if [[ -s $pid ]] && kill -0 "$(cat "$pid")" 2>/dev/null; then
		return 0
	fi
	# It must not keep what the caller has open. KVM_CREATE_VM, then
	# KVM_CREATE_IRQCHIP and KVM_CREATE_VCPU.
	perl -MPOSIX -e 'POSIX::close($_) for 3 .. 1023;
		open(my $kvm, "+<", "/dev/kvm") or die "/dev/kvm: $!";
		my $fd = ioctl($kvm, 0xae01, 0) or die "CREATE_VM: $!";
		open(my $vm, "+<&=", $fd) or die "fd $fd: $!";
		ioctl($vm, 0xae60, 0) or die "CREATE_IRQCHIP: $!";
		my $vcpu = ioctl($vm, 0xae41, 0) or die "CREATE_VCPU: $!";
		open(STDOUT, ">", "/dev/null");
		sleep' </dev/null >/dev/null &
	echo $! > "$pid"
	disown
}

# guest_fits: are there CPUs for one more guest? QEMU's emulation of a host with
# KVM breaks when more vCPUs want to run than the host has CPUs: state of the
# guest ends up in the host's kernel, which then crashes, whatever the guest's
# disks are.
guest_fits() {
	local dir used=0

	[[ ${LAB_ACCEL:-} == tcg ]] || return 0
	for dir in "$GUEST_DIR"/*/; do
		if [[ -s $dir/cpus ]] && guest_alive "$(basename "$dir")"; then
			used=$((used + $(cat "$dir/cpus")))
		fi
	done
	((used + GUEST_CPUS > $(nproc))) || return 0
	guest_say "$((used + GUEST_CPUS)) vCPUs are too many for an emulated" \
		"host with $(nproc) CPUs: use run.sh --cpus"
	return 1
}

# guest_launch NAME ARGS...: common part of the starters.
guest_launch() {
	local name=$1 dir=$GUEST_DIR/$1 end
	local -a qemu
	shift

	if guest_alive "$name"; then
		guest_say "$name runs already"
		return 1
	fi
	guest_load_kvm && guest_fits || return
	rm -rf "$dir"
	mkdir -p "$dir"
	echo "$GUEST_CPUS" > "$dir/cpus"
	mkfifo "$dir"/{agent,qmp}.{in,out}
	: > "$dir/events"

	# shellcheck disable=SC2054 # these commas are QEMU's
	qemu=("$GUEST_QEMU" -nodefaults -no-user-config -display none
	      -machine "$GUEST_MACHINE,graphics=off" -accel kvm
	      -cpu "$GUEST_CPU" -smp "$GUEST_CPUS" -m "$GUEST_MEM"
	      -chardev "pipe,id=qmp,path=$dir/qmp"
	      -mon chardev=qmp,mode=control
	      -qmp "unix:$dir/qmp.sock,server=on,wait=off"
	      -chardev "file,id=console,path=$dir/console.log,append=on"
	      -serial chardev:console)
	if [[ -n $GUEST_MEM_SHARED ]]; then
		qemu+=(-object "memory-backend-memfd,id=ram,size=$GUEST_MEM,share=on"
		       -machine memory-backend=ram)
	fi
	if [[ -n $GUEST_PLUGIN && " $* " == *vhost-blk-pci* &&
	      " $* " != *" -plugin "* ]]; then
		qemu+=(-plugin "$GUEST_PLUGIN")
	fi
	qemu+=("$@")
	printf '%q ' "${qemu[@]}" > "$dir/command"
	(
		trap - EXIT INT TERM
		"${qemu[@]}" </dev/null &
		echo $! > "$dir/qemu.pid"
		status=0
		wait $! || status=$?
		echo "$status" > "$dir/status"
	) >"$dir/qemu.log" 2>&1 &
	disown

	# The monitor answers once all devices are there.
	end=$((SECONDS + 120 * guest_patience))
	until [[ -S $dir/qmp.sock || -s $dir/status ]] ||
	      ((SECONDS >= end)); do
		guest_nap
	done
	guest_qmp "$name" '{"execute":"qmp_capabilities"}' \
		>/dev/null 2>&1 && return
	guest_say "QEMU of $name did not start:"
	cat "$dir/qemu.log" >&2
	guest_kill "$name"
	return 1
}

# guest_start NAME [QEMU ARGS...]: starts a Linux guest in the background.
guest_start() {
	local name=$1 append
	shift

	append="console=ttyS0 loglevel=5 panic=-1 mitigations=off"
	append+=" no_timer_check random.trust_cpu=on audit=0 apparmor=0"
	# Without these the kernel reads every possible PCI address three times
	# over, at one exit each.
	append+=" pci=noearly,lastbus=0 cryptomgr.notests $GUEST_APPEND"
	# shellcheck disable=SC2054
	guest_launch "$name" \
		-kernel "$GUEST_KERNEL" -initrd "$GUEST_INITRAMFS" \
		-append "$append" -device virtio-serial-pci,id=lab-serial \
		-chardev "pipe,id=agent,path=$GUEST_DIR/$name/agent" \
		-device virtserialport,bus=lab-serial.0,chardev=agent,name=lab.agent \
		"$@"
}

# guest_start_raw NAME [QEMU ARGS...]: no kernel given: SeaBIOS boots from the
# disks, its messages and what the guest sends to COM1 are in console.log.
guest_start_raw() {
	guest_launch "$@"
}

# guest_qmp NAME JSON [SECONDS]: prints QEMU's answer; 1 if it is an error.
# Events that arrive are kept for guest_wait_event.
guest_qmp() {
	local dir=$GUEST_DIR/$1 line guest_part="" in out lock end id
	local status=124

	end=$((SECONDS + ${3:-60} * guest_patience))
	id=lab-$BASHPID-$RANDOM
	exec {lock}>"$dir/qmp.lock"
	flock "$lock"
	exec {in}<>"$dir/qmp.in" {out}<>"$dir/qmp.out"
	echo "{\"id\":\"$id\",${2#*\{}" >&"$in"
	while ((SECONDS < end)); do
		if ! guest_line "$out"; then
			guest_alive "$1" && continue
			status=125
			break
		fi
		case $line in
		*"\"$id\""*)
			echo "$line"
			status=0
			[[ $line != *'"error": {'* ]] || status=1
			break ;;
		*'"event":'*)
			echo "$line" >> "$dir/events" ;;
		esac
	done
	exec {in}>&- {out}>&- {lock}>&-
	((status < 124)) || guest_say "$1: no answer to $2"
	return "$status"
}

# guest_wait_event NAME EVENT [SECONDS] [PATTERN]: waits for an event that was
# not waited for before and whose line holds PATTERN; prints it.
guest_wait_event() {
	local dir=$GUEST_DIR/$1 end line rest found

	end=$((SECONDS + ${3:-60} * guest_patience))
	while :; do
		guest_qmp "$1" '{"execute":"query-name"}' >/dev/null || return
		rest="" found=""
		while read -r line; do
			if [[ -z $found && $line == *"\"event\": \"$2\""* &&
			      $line == *"${4:-}"* ]]; then
				found=$line
			else
				rest+=$line$'\n'
			fi
		done < "$dir/events"
		if [[ -n $found ]]; then
			printf %s "$rest" > "$dir/events"
			echo "$found"
			return 0
		fi
		if ((SECONDS >= end)); then
			guest_say "$1: no event $2"
			return 124
		fi
		guest_nap 0.3
	done
}

# guest_saw_boot NAME LINE: takes note of a READY line.
guest_saw_boot() {
	echo "${2#READY }" >> "$GUEST_DIR/$1/boots"
}

# guest_boots NAME: how often it has booted, as far as anybody has seen.
guest_boots() {
	local -a boots=()

	[[ ! -e $GUEST_DIR/$1/boots ]] ||
		mapfile -t boots < "$GUEST_DIR/$1/boots"
	echo "${#boots[@]}"
}

# guest_wait_boot NAME [SECONDS]: waits until the guest has booted, or booted
# again since the last call.
guest_wait_boot() {
	local dir=$GUEST_DIR/$1 end line guest_part="" out known=0
	local status=124

	end=$((SECONDS + ${2:-$GUEST_BOOT_TIMEOUT} * guest_patience))
	[[ ! -e $dir/waited ]] || read -r known < "$dir/waited"
	exec {out}<>"$dir/agent.out"
	while ((SECONDS < end)); do
		if (($(guest_boots "$1") > known)); then
			guest_boots "$1" > "$dir/waited"
			status=0
			break
		fi
		if guest_line "$out"; then
			[[ $line != "READY "* ]] || guest_saw_boot "$1" "$line"
		elif ! guest_alive "$1"; then
			status=125
			break
		fi
	done
	exec {out}>&-
	if ((status)); then
		guest_say "$1 did not boot, the end of its console:"
		tail -n 20 "$dir/console.log" "$dir/qemu.log" >&2
	fi
	return "$status"
}

# guest_run NAME COMMAND [SECONDS [FILE]]: runs a shell command in the guest,
# with FILE of L1 as its input.
guest_run() {
	local dir=$GUEST_DIR/$1
	local limit=$((${3:-$GUEST_TIMEOUT} * guest_patience))
	local lock in out end line id text done_status out_bytes err_bytes
	local status=124 guest_part=""

	id=$BASHPID.$RANDOM$RANDOM
	text=${2//\\/\\\\}
	text=${text//$'\n'/\\n}
	exec {lock}>"$dir/agent.lock"
	flock "$lock"
	exec {in}<>"$dir/agent.in" {out}<>"$dir/agent.out"
	if [[ -n ${4:-} ]]; then
		text="+$(stat -L -c %s "$4") $text"
	fi
	printf '%s\n' "$id $limit $text" >&"$in"
	[[ -z ${4:-} ]] || timeout "$limit" cat "$4" >&"$in" || true
	end=$((SECONDS + limit + 20))
	while ((SECONDS < end)); do
		if ! guest_line "$out"; then
			guest_alive "$1" && continue
			status=125
			break
		fi
		case $line in
		"DONE $id "*)
			read -r done_status out_bytes err_bytes \
				<<<"${line#"DONE $id "}"
			status=$done_status
			((out_bytes == 0)) ||
				timeout 60 head -c "$out_bytes" <&"$out" ||
				status=125
			((err_bytes == 0)) ||
				timeout 60 head -c "$err_bytes" <&"$out" >&2 ||
				status=125
			break ;;
		"READY "*)
			guest_saw_boot "$1" "$line"
			# It may be the first boot, if nobody waited for it.
			(($(guest_boots "$1") > 1)) || continue
			guest_say "$1 rebooted during: $2"
			status=126
			break ;;
		esac
	done
	exec {in}>&- {out}>&- {lock}>&-
	case $status in
	124) guest_say "$1: time limit reached by: $2" ;;
	125) guest_say "$1 is gone, during: $2" ;;
	esac
	return "$status"
}

# guest_spawn NAME TAG COMMAND: starts a command in the guest and returns.
guest_spawn() {
	local file=/run/spawn.$2

	guest_run "$1" "rm -f $file.status
cat > $file.sh <<'END-OF-SPAWN'
$3
END-OF-SPAWN
(sh $file.sh >$file.out 2>&1; echo \$? >$file.tmp
mv $file.tmp $file.status) </dev/null >/dev/null 2>&1 &"
}

# guest_join NAME TAG [SECONDS]: waits for a spawned command, prints what it
# wrote and returns its status.
guest_join() {
	local file=/run/spawn.$2

	guest_run "$1" "while [ ! -e $file.status ]; do sleep 0.2; done
cat $file.out; exit \$(cat $file.status)" "${3:-$GUEST_TIMEOUT}"
}

# guest_put NAME FILE PATH: copies a file of L1 into the guest (mode kept as
# far as "may be executed" goes).
guest_put() {
	local mode=644

	[[ ! -x $2 ]] || mode=755
	guest_run "$1" "cat > $3 && chmod $mode $3" "$GUEST_TIMEOUT" "$2"
}

# guest_reboot NAME: reboots the guest's kernel and waits until it is back.
guest_reboot() {
	local status=0

	guest_run "$1" "sync; reboot -f; sleep 1000" "$GUEST_BOOT_TIMEOUT" \
		2>/dev/null || status=$?
	if ((status != 126)); then
		guest_say "$1 did not reboot (status $status)"
		return 1
	fi
	guest_wait_boot "$1"
}

# guest_stop NAME: ends QEMU the ordered way.
guest_stop() {
	guest_alive "$1" || return 0
	guest_qmp "$1" '{"execute":"quit"}' 30 >/dev/null || true
	guest_wait_exit "$1" 30 && return
	guest_say "QEMU of $1 did not end in order (status $?)"
	cat "$GUEST_DIR/$1/qemu.log" >&2
	guest_kill "$1"
	return 1
}

# guest_kill NAME: kill -9, as when QEMU crashes.
guest_kill() {
	local pid

	pid=$(guest_pid "$1") || return 0
	kill -9 "$pid" 2>/dev/null || true
	guest_wait_exit "$1" 60 || [[ $? -ne 124 ]] || {
		guest_say "QEMU of $1 (pid $pid) survives kill -9"
		return 1
	}
}

# guest_splats NAME: prints what the guest's kernel complained about; fails if
# it did not.
guest_splats() {
	lab_splats "$GUEST_DIR/$1/console.log"
}

# guest_kill_all: ends whatever still runs; for exit traps.
guest_kill_all() {
	local dir

	for dir in "$GUEST_DIR"/*/; do
		[[ -d $dir ]] || continue
		guest_alive "$(basename "$dir")" || continue
		guest_kill "$(basename "$dir")"
	done
}
