#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<'HELP'
usage: scripts/vm/run.sh [options] [--] [command [arg...]]

Boots the lab's host (L1): a machine of its own, emulated if need be, with
Debian's kernel, in which the module can be loaded and QEMU has KVM. Its root
is this machine's root, read-only under a tmpfs: every tool is there, nothing
is written back. Runs the command in the repository's top directory and ends
with its status; without a command gives a shell (Ctrl-A X kills the machine).

  --kernel stock|debug  Debian's kernel, or the one scripts/vm/debug-kernel.sh
                        builds (default: stock)
  --accel tcg|kvm|auto  emulate, use KVM, or use KVM if booting with it works
                        here (default: VHOST_BLK_ACCEL, or tcg)
  --cpus N, --mem SIZE  default: 2, 4G
  --timeout SEC         time limit for boot and command (default: 600)
  --append ARGS         add to the kernel command line
  --qemu PROGRAM        the QEMU to run (default: the installed one)
  --qemu-arg ARG        add one argument to QEMU's command line (repeatable)
  --nvme SPEC           add an NVMe controller (repeatable). SPEC is a list of
                        size=SIZE,lbs=512|4096,queues=N,backend=file|null
                        (default: size=256M,lbs=512,queues=4,backend=file)
                        or latency=MS: backend=null, and each request takes
                        as long; its serial number begins with "slow"
  --one-thread          emulate the CPUs in turn, not at once: slower, but code
                        of the kernel may be replaced while it runs, which
                        QEMU 7.2 otherwise does not always notice
  --icount              one CPU, time counts instructions
  --out DIR             DIR of this machine, writable in L1 as /out
  --share-module KO     use this .ko (absolute path in VHOST_BLK_KO)
  --allow REGEX         console lines that are no failure although they look
                        like one (extended regular expression)
  --log FILE            keep the console log there, whatever happens

In L1: VHOST_BLK_KO names the module that fits the kernel (not inserted),
scripts/vm/guest.sh starts guests (L2), modprobe finds every module of the
kernel.

On a machine that is busy with other things set LAB_PATIENCE=N in the
environment: every time limit, also those of guest.sh, is N times as long.

Status: that of the command; 124 if the time limit was reached; 125 if the
machine crashed, printed a BUG, Oops or warning, or ended without its token;
123 if that is for the emulator to answer for: nested guests now and then take
the machine with them (see lab_lost in lib.sh), and it may be tried again.
A machine that gives no sign of life for LAB_STILL seconds (120), or has a CPU that
halts and takes no interrupts for ten, is asked what it does, and ended. A console
log of a run that failed is kept and named.
HELP
}

opt_kernel=stock
opt_accel=${VHOST_BLK_ACCEL:-tcg}
opt_cpus=2
opt_mem=4G
opt_timeout=600
opt_append=""
opt_icount=""
opt_thread=multi
opt_out=""
opt_module=""
opt_allow=""
opt_log=""
opt_nvme=()
opt_qemu="qemu-system-x86_64"
opt_qemu_args=()
command=()
patience=${LAB_PATIENCE:-1}
still_limit=${LAB_STILL:-120}

# Set by prepare_*
job=""
kernel=""
version=""
image=""
guest_image=""
guest_initramfs=""
l1_initramfs=""
qemu=()
qemu_pid=""

parse() {
	while (($#)); do
		case $1 in
		-h | --help)
			usage
			exit 0 ;;
		--kernel | --accel | --cpus | --mem | --timeout | --append | \
		--qemu | --qemu-arg | --nvme | --out | --share-module | --allow | --log)
			(($# > 1)) || lab_die "$1 needs an argument" ;;
		esac
		case $1 in
		--kernel) opt_kernel=$2; shift ;;
		--accel) opt_accel=$2; shift ;;
		--cpus) opt_cpus=$2; shift ;;
		--mem) opt_mem=$2; shift ;;
		--timeout) opt_timeout=$2; shift ;;
		--append) opt_append+=" $2"; shift ;;
		--qemu) opt_qemu=$2; shift ;;
		--qemu-arg) opt_qemu_args+=("$2"); shift ;;
		--nvme) opt_nvme+=("$2"); shift ;;
		--one-thread) opt_thread=single ;;
		--icount) opt_icount=1 ;;
		--out) opt_out=$2; shift ;;
		--share-module) opt_module=$2; shift ;;
		--allow) opt_allow=$2; shift ;;
		--log) opt_log=$2; shift ;;
		--)
			shift
			break ;;
		-*) lab_die "unknown option $1 (see --help)" ;;
		*) break ;;
		esac
		shift
	done
	command=("$@")
	[[ $opt_timeout =~ ^[0-9]+$ ]] || lab_die "bad --timeout $opt_timeout"
	[[ $opt_cpus =~ ^[0-9]+$ ]] || lab_die "bad --cpus $opt_cpus"
	[[ $patience =~ ^[0-9]+$ ]] || lab_die "bad LAB_PATIENCE $patience"
	[[ $still_limit =~ ^[0-9]+$ ]] || lab_die "bad LAB_STILL $still_limit"
	opt_timeout=$((opt_timeout * patience))
	still_limit=$((still_limit * patience))
	[[ -z $opt_icount ]] || opt_accel=tcg
}

cleanup() {
	local status=$?

	if [[ -n $qemu_pid ]]; then
		kill -KILL "$qemu_pid" 2>/dev/null || true
		wait "$qemu_pid" 2>/dev/null || true
	fi
	[[ -z $job ]] || rm -rf "$job"
	exit "$status"
}

# vermagic_of MODULE: the kernel version a module was built for.
vermagic_of() {
	modinfo -F vermagic "$1" | cut -d ' ' -f 1
}

prepare_kernel() {
	local stock module

	stock=$("$lab_dir/kernel.sh")
	case $opt_kernel in
	stock)
		kernel=$stock
		module=$lab_root/drivers/vhost/blk/vhost_blk.ko ;;
	debug)
		kernel=$("$lab_dir/debug-kernel.sh" --print-dir) ||
			lab_die "no debug kernel: run scripts/vm/debug-kernel.sh"
		module=$kernel/vhost_blk.ko ;;
	*)
		lab_die "unknown kernel '$opt_kernel'" ;;
	esac
	version=$(lab_version "$kernel")
	image=$(lab_image "$kernel")
	l1_initramfs=$("$lab_dir/initramfs.sh" l1 "$kernel")
	# Guests run the stock kernel, whatever runs below them.
	guest_image=$(lab_image "$stock")
	guest_initramfs=$("$lab_dir/initramfs.sh" l2 "$stock")

	opt_module=$(realpath -m "${opt_module:-$module}")
	if [[ -e $opt_module &&
	      $(vermagic_of "$opt_module") != "$version" ]]; then
		lab_say "warning: $opt_module is for" \
			"$(vermagic_of "$opt_module"), not for $version:" \
			"build with KDIR=/lib/modules/$version/build"
	fi
}

# KVM is of use if Debian's kernel boots with it and has KVM itself. Whether it
# does is found out by doing it, once per boot of this machine.
kvm_works() {
	local known=$lab_cache/kvm-works param boot answer=no

	[[ -r /dev/kvm && -w /dev/kvm ]] || return
	for param in /sys/module/kvm_{intel,amd}/parameters/nested; do
		[[ ! -e $param || $(cat "$param") == [1Yy] ]] || return
	done
	boot=$(cat /proc/sys/kernel/random/boot_id)
	if [[ $(cat "$known" 2>/dev/null) != "$boot $version "* ]]; then
		lab_say "trying whether KVM works here"
		if "$0" --accel kvm --timeout 30 -- sh -c \
			'{ modprobe kvm_intel || modprobe kvm_amd; } &&
			 test -c /dev/kvm' >/dev/null 2>&1; then
			answer=yes
		fi
		echo "$boot $version $answer" > "$known"
	fi
	[[ $(cat "$known") == *" yes" ]]
}

choose_accel() {
	[[ $opt_accel == auto ]] || return 0
	opt_accel=tcg
	if kvm_works; then
		opt_accel=kvm
	fi
}

prepare_job() {
	job=$(mktemp -d "${TMPDIR:-/tmp}/vhost-blk-lab.XXXXXX")
	trap cleanup EXIT
	trap 'lab_say "interrupted"; exit 130' INT
	trap 'lab_say "told to end"; exit 143' TERM HUP
	[[ $job != *[[:space:]]* ]] || lab_die "TMPDIR must have no spaces"
	cp "$lab_dir/host.sh" "$job/host.sh"

	local rows=24 cols=80 size
	if size=$(stty size 2>/dev/null) && [[ $size != "0 0" ]]; then
		rows=${size% *} cols=${size#* }
	fi
	token=$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')
	{
		printf '%s=%q\n' lab_tree "$lab_root" lab_token "$token" \
			lab_bin "$lab_cache/bin" \
			lab_limit "$opt_timeout" lab_icount "$opt_icount" \
			lab_term "${TERM:-linux}" \
			lab_rows "$rows" lab_cols "$cols"
		printf 'export %s=%q\n' VHOST_BLK_KO "$opt_module" \
			LAB_KERNEL "$opt_kernel" LAB_ACCEL "$opt_accel" \
			LAB_PATIENCE "$patience" \
			LAB_GUEST_KERNEL "$guest_image" \
			LAB_GUEST_INITRAMFS "$guest_initramfs" \
			VHOST_BLK_CACHE "$lab_cache"
	} > "$job/job.env"
	if ((${#command[@]})); then
		printf '%q ' "${command[@]}" > "$job/command"
	fi
}

add_nvme() {
	local index=$1 spec=$2 size=256M lbs=512 queues=4 backend=file
	local key value node="nvme-node$1" serial=lab$1 latency=0

	while IFS="=" read -r key value; do
		case $key in
		size) size=$value ;;
		lbs) lbs=$value ;;
		queues) queues=$value ;;
		backend) backend=$value ;;
		latency) latency=$value backend=null serial=slow$index ;;
		"") ;;
		*) lab_die "unknown key '$key' in --nvme $spec" ;;
		esac
	done < <(tr ',' '\n' <<<"$spec")
	case $backend in
	file)
		truncate -s "$size" "$job/nvme$index.img" ||
			lab_die "bad size in --nvme $spec"
		qemu+=(-blockdev "driver=file,node-name=$node,filename=$job/nvme$index.img,cache.no-flush=on,discard=unmap") ;;
	null)
		qemu+=(-blockdev "driver=null-co,node-name=$node,size=$(numfmt --from=iec "$size"),read-zeroes=on,latency-ns=$((latency * 1000000))") ;;
	*)
		lab_die "unknown backend in --nvme $spec" ;;
	esac
	qemu+=(-device "nvme,serial=$serial,drive=$node,logical_block_size=$lbs,physical_block_size=$lbs,max_ioqpairs=$queues")
}

prepare_qemu() {
	local append i

	append="console=ttyS0 panic=-1 oops=panic mitigations=off"
	append+=" no_timer_check random.trust_cpu=on audit=0 apparmor=0"
	append+=" pci=noearly cryptomgr.notests"
	# Newer QEMUs say that an NVMe disk may have several paths: it then has
	# another name, and counts no requests.
	append+=" nvme_core.multipath=N"
	# How it answers when it stands still: with what all CPUs do.
	append+=" unknown_nmi_panic panic_print=0x40"
	append+=" lab.job=$job lab.kernel=$kernel${opt_out:+ lab.out=1}"

	# shellcheck disable=SC2054 # these commas are QEMU's
	qemu=("$opt_qemu" -nodefaults -no-user-config -display none
	      -machine q35 -no-reboot -m "$opt_mem"
	      -kernel "$image" -initrd "$l1_initramfs"
	      -fsdev "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"
	      -device virtio-9p-pci,fsdev=host,mount_tag=host
	      -device virtio-serial-pci,ioeventfd=off)
	case $opt_accel in
	kvm)
		qemu+=(-accel kvm -cpu host -smp "$opt_cpus") ;;
	tcg)
		if [[ -n $opt_icount ]]; then
			qemu+=(-accel tcg -smp 1 -icount "shift=0,sleep=off")
		else
			qemu+=(-accel "tcg,thread=$opt_thread" -smp "$opt_cpus")
			# The emulated TSC is one for all CPUs. Without this
			# word the kernel finds it out of step, takes the HPET
			# instead, and spends its time there: the host is then
			# slow, and its guests have no good clock either.
			append+=" tsc=reliable"
		fi
		# MPX: KVM does not hand it on, but counts the space it takes,
		# and every guest's kernel complains about that.
		qemu+=(-cpu "max,mpx=off") ;;
	*)
		lab_die "unknown accelerator '$opt_accel'" ;;
	esac
	if [[ -n $opt_out ]]; then
		mkdir -p "$opt_out"
		qemu+=(-fsdev "local,id=out,path=$(realpath "$opt_out"),security_model=none,multidevs=remap"
		       -device "virtio-9p-pci,fsdev=out,mount_tag=out")
	fi
	for i in "${!opt_nvme[@]}"; do
		add_nvme "$i" "${opt_nvme[i]}"
	done
	if ((${#command[@]})); then
		qemu+=(-chardev "file,id=console,path=$job/console.log"
		       -serial chardev:console
		       -chardev "file,id=out,path=$job/out"
		       -device "virtserialport,chardev=out,name=lab.out"
		       -chardev "file,id=verdict,path=$job/verdict"
		       -device "virtserialport,chardev=verdict,name=lab.verdict"
		       -chardev "file,id=alive,path=$job/alive"
		       -device "virtserialport,chardev=alive,name=lab.alive"
		       -chardev "pipe,id=qmp,path=$job/qmp"
		       -mon "chardev=qmp,mode=control")
	else
		qemu+=(-serial mon:stdio)
	fi
	qemu+=(-append "$append$opt_append" "${opt_qemu_args[@]}")
}

# monitor_open: sets ask and answer, for monitor
monitor_open() {
	exec {ask}<>"$job/qmp.in" {answer}<>"$job/qmp.out"
	echo '{"execute":"qmp_capabilities"}' >&"$ask"
}

# monitor COMMAND: sets reply to the line in which QEMU's monitor answers, if it does.
monitor() {
	# What came too late for the last question is no answer to this one.
	while read -r -t 0.01 -u "$answer" reply; do
		:
	done
	printf '{"execute":"human-monitor-command","arguments":{"command-line":"%s"}}\n' \
		"$1" >&"$ask"
	while read -r -t 2 -u "$answer" reply; do
		[[ $reply != '{"return": "'* ]] || return 0
	done
	return 1
}

# deaf CPU: does it halt with interrupts enabled, and yet takes none of those that wait
# for it, its timer's among them, which has not been set anew at the last three looks? No
# kernel can do that.
deaf() {
	local cpu=$1 reply rest
	local waits='for CPU '$cpu' .*initial_count = ([0-9]+) .*'
	local halts='RFL=[0-9a-f]*([0-9a-f])[0-9a-f]{2} .*HLT=1'

	waits+='ISR\\t \(none\)\\r\\nIRR\\t [0-9 ]*236 '
	if ! monitor "info lapic $cpu" || [[ ! $reply =~ $waits ]]; then
		timers[cpu]="" looks[cpu]=0
		return 1
	fi
	[[ ${BASH_REMATCH[1]} == "${timers[cpu]:-}" ]] || looks[cpu]=0
	timers[cpu]=${BASH_REMATCH[1]}
	looks[cpu]=$((looks[cpu] + 1))
	((looks[cpu] >= 3)) && monitor "info registers -a" || return
	rest=${reply#*"CPU#$cpu"}
	[[ ${rest%%CPU#*} =~ $halts ]] && ((0x${BASH_REMATCH[1]} & 2))
}

# Until the machine's time is up (status 124), or it has stopped to give signs of life, or
# a CPU of it is deaf (status 123). Starts no program that outlives it.
watch() {
	local end=$((SECONDS + opt_timeout)) last=$SECONDS size=0 now never
	local ask answer cpu cpus=0
	local -a timers=() looks=()

	# The monitor is not asked where time counts instructions.
	if [[ $opt_accel == tcg && -z $opt_icount ]]; then
		cpus=$opt_cpus
		monitor_open
	fi
	exec {never}<> <(:)
	while ((SECONDS < end)); do
		read -r -t 5 -u "$never" || true
		now=$(stat -c %s "$job/alive" 2>/dev/null) || now=0
		if ((now != size)); then
			size=$now last=$SECONDS
		elif ((size && SECONDS - last >= still_limit)); then
			return 123
		fi
		for ((cpu = 0; cpu < cpus; cpu++)); do
			! deaf "$cpu" || return 123
		done
	done
	return 124
}

# What does a machine do that stands still? QEMU knows its registers, and on an NMI its
# kernel says so on the console.
ask_machine() {
	local ask answer reply cpu

	monitor_open
	{
		monitor "info registers -a" && jq -r .return <<<"$reply"
		for ((cpu = 0; cpu < opt_cpus; cpu++)); do
			monitor "info lapic $cpu" && jq -r .return <<<"$reply"
		done
	} | tr -d '\r' |
		grep -E '^(CPU#|RIP=|RSP=|[A-Z0-9]+=.*RIP=|dumping|LVTT|Timer|ISR|IRR|ICR)' \
		> "$job/registers" || true
	echo '{"execute":"inject-nmi"}' >&"$ask"
	# Time to say it on the console.
	while read -r -t 15 -u "$answer" reply; do
		:
	done
	exec {ask}>&- {answer}>&-
}

# Runs QEMU at most for the time limit; returns 124 if that was needed, 123 if the
# machine stood still.
run_qemu() {
	local timer copier writer reader status=0

	: > "$job/console.log"
	mkfifo "$job/out" "$job"/qmp.{in,out}
	# Our own writer keeps the copier from waiting for one that never comes,
	# as when QEMU refuses its command line; it ends when both have closed.
	exec {writer}<>"$job/out"
	exec {reader}<"$job/out"
	cat <&"$reader" {reader}<&- {writer}>&- &
	copier=$!
	setpriv --pdeathsig KILL "${qemu[@]}" </dev/null \
		{reader}<&- {writer}>&- &
	qemu_pid=$!
	watch {reader}<&- {writer}>&- &
	timer=$!
	wait -n -p first "$qemu_pid" "$timer" || status=$?
	if [[ $first == "$timer" ]]; then
		((status != 123)) || ask_machine
		kill -KILL "$qemu_pid" 2>/dev/null || true
	else
		status=0
	fi
	kill "$timer" 2>/dev/null || true
	exec {reader}<&- {writer}>&-
	wait "$qemu_pid" "$timer" 2>/dev/null || true
	wait "$copier" || true
	qemu_pid=""
	return "$status"
}

# The console is the terminal: nothing is judged.
run_terminal() {
	local saved

	saved=$(stty -g 2>/dev/null) || saved=""
	"${qemu[@]}" || true
	[[ -z $saved ]] || stty "$saved"
}

# Keeps the console log of a run that failed, and those of some before it, and
# shows the end of it, or only what came after the start of the command if the
# machine itself did well.
keep_log() {
	local kept logs=$lab_cache/logs

	mkdir -p "$logs"
	find "$logs" -name 'console.*' -printf '%T@ %p\n' | sort -rn |
		tail -n +30 | cut -d ' ' -f 2- | xargs -r rm -f
	kept=$(mktemp "$logs/console.XXXXXX.log")
	cp "$job/console.log" "$kept"
	chmod 644 "$kept"
	{
		echo "---- end of the console log $kept"
		if [[ -n $1 ]]; then
			sed -n '/lab: command starts/,$p' "$kept"
		else
			cat "$kept"
		fi | tail -n 40 | tr -d '\r'
		echo "----"
	} >&2
}

verdict() {
	local timed_out=$1 status seen="" found why machine_ok=""

	if [[ -s $job/verdict ]]; then
		read -r seen status < "$job/verdict" || true
	fi
	if [[ $timed_out -eq 123 ]]; then
		lab_say "the machine stood still: no sign of life for" \
			"$still_limit s, or a CPU that takes no interrupts"
		{
			echo "lab: stood still"
			cat "$job/registers"
		} >> "$job/console.log"
		status=124
	elif [[ $timed_out -ne 0 ]]; then
		lab_say "time limit of $opt_timeout s reached"
		status=124
	elif [[ $seen != "$token" || ! $status =~ ^[0-9]+$ ]]; then
		lab_say "the machine ended without its token"
		status=125
	else
		machine_ok=1
	fi
	if found=$(lab_splats "$job/console.log" "$opt_allow"); then
		lab_say "the kernel complained:"
		head -n 5 <<<"$found" >&2
		((status)) || status=125
		machine_ok=""
	fi
	if [[ $opt_accel == tcg && -z $machine_ok ]] &&
	   why=$(lab_lost "$job/console.log"); then
		lab_say "the emulator lost the machine: $why"
		status=123
	fi
	[[ -z $opt_log ]] || cp "$job/console.log" "$opt_log"
	((status == 0)) || keep_log "$machine_ok"
	return "$status"
}

main() {
	local timed_out=0

	parse "$@"
	"$lab_root/scripts/deps.sh" lab >&2
	prepare_kernel
	choose_accel
	prepare_job
	prepare_qemu
	if ((${#command[@]})); then
		run_qemu || timed_out=$?
		verdict "$timed_out"
	else
		run_terminal
	fi
}

main "$@"
