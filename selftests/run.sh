#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: selftests/run.sh [--kernel stock|debug] [--within SECONDS]
#			  [--only PATTERN]... [GROUP...]
#
#   unit	programs that need neither root nor the module
#   qemu	the device in QEMU, with a library that plays the module
#   host	the chardev tests: three boots of the lab, host.sh in the first,
#		cores.sh on a machine with two NUMA nodes, code.sh on one that is
#		emulated by one thread
#   vm	guest tests: a boot of the lab for each number of CPUs that they
#		want, vm.sh in it
#
# Default: all groups. PATTERN (as for host.sh) selects among host tests
# "PROGRAM" or "PROGRAM:BACKEND", and among vm tests "vm_NAME".
#
# Prints KTAP while the tests run. The last line is "N passed, N failed, N
# skipped"; the status is not 0 if a test failed, if there was none, or if a
# machine ended without saying that it was through. A machine that the emulator loses
# (scripts/vm/run.sh: status 123) is booted again, and "# lab:" says so. Guest tests
# that it keeps from ending three times, or once more when SECONDS have passed, are
# skipped; if none of them could end, that is a failure.

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
# shellcheck source=selftests/lib/tap.sh
. "$here/lib/tap.sh"

kernel=stock
groups=()
only=()
within=""		# seconds, see usage

usage() {
	sed -n '4,24s/^# \{0,1\}//p' "$0"
}

while (($#)); do
	case $1 in
	--kernel) kernel=${2:?--kernel needs an argument}; shift ;;
	--within) within=${2:?--within needs an argument}; shift ;;
	--only) only+=("${2:?--only needs an argument}"); shift ;;
	-h | --help) usage; exit 0 ;;
	unit | qemu | host | vm) groups+=("$1") ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
[[ $within =~ ^[0-9]*$ ]] || { usage >&2; exit 2; }
((${#groups[@]})) || groups=(unit qemu host vm)
case $kernel in
stock) scale=3 ;;
debug) scale=5 ;;
*) usage >&2; exit 2 ;;
esac

# Output of builds is only of interest when they fail.
quietly() {
	local log status=0

	log=$(mktemp)
	"$@" > "$log" 2>&1 || status=$?
	[[ $status -eq 0 ]] || sed 's/^/# /' "$log"
	rm -f "$log"
	return $status
}

build() {
	local kdir

	if ! quietly "$root/scripts/deps.sh" selftests ||
	   ! quietly make -C "$here" ||
	   ! quietly make -C "$root/scripts/bench/chardev" ||
	   ! kdir=$("$root/scripts/vm/kernel.sh" --kdir) ||
	   ! quietly make -C "$here" modules KDIR="$kdir"; then
		tap_result "not ok" "selftests: built"
		return 1
	fi
}

group_unit() {
	local program

	for program in "$here"/build/unit/*_test; do
		[[ -x $program ]] || continue
		tap_run "${program##*/}" timeout 300 "$program"
	done
	for program in "$here"/unit/*_test.sh; do
		tap_run "$(basename "$program" .sh)" timeout 300 "$program" \
			"$here/build/unit"
	done
}

group_qemu() {
	tap_run qemu_device timeout 300 "$root/qemu/tests/run.sh"
}

# lab NAME SECONDS OPTIONS -- COMMAND: boots one, its results become ours
lab() {
	local name=$1 limit=$(($2 * scale))
	shift 2

	echo "# lab: $name"
	tap_run "" "$root/scripts/vm/run.sh" --kernel "$kernel" \
		--timeout "$limit" "$@"
}

# lab_again ...: as lab; one that the emulator loses is booted again, once.
lab_again() {
	local tap_incomplete=123

	lab "$@"
	[[ $tap_status == "$tap_incomplete" ]] || return 0
	echo "# lab: the emulator lost it; again: $1"
	tap_incomplete=""
	lab "$@"
}

# chosen NAME...: does --only ask for one of them?
chosen() {
	local name pattern

	for name in "$@"; do
		for pattern in "${only[@]:-*}"; do
			# shellcheck disable=SC2053 # a pattern it is
			[[ ${name%.c} != ${pattern%%:*} ]] || return 0
		done
	done
	return 1
}

group_host() {
	local -a cores code programs

	cd "$here"
	cores=(cores_*.c cores_*.sh)
	code=(code_*.c code_*.sh)
	mapfile -t programs < <(printf '%s\n' *.c host_*.sh | grep -Ev '^(cores|code)_')
	cd "$root"
	! chosen "${programs[@]}" module_life || group_one
	! chosen "${cores[@]}" || group_cores
	! chosen "${code[@]}" || group_code
}

# Emulation translates a page of code again for each address it is mapped at, and
# keeps all that for as long as it can. When such a page is freed and cleared, each
# byte costs a walk over the whole list: a machine that had run thousands of programs
# stood still for minutes in clear_page(). With guests it is the other way round: they,
# or their host, were lost more often without randomization.
same_addresses=(--append norandmaps)

group_one() {
	local -a allow=()

	# Of polled null_blk, see log_without_known: other tests look at all of it.
	[[ $kernel != debug ]] ||
		allow=(--allow 'sleeping function called .* at include/linux/sched/mm.h')
	lab_again host 900 "${same_addresses[@]}" "${allow[@]}" --nvme size=64M,lbs=512,queues=2 \
		--nvme size=64M,lbs=4096,queues=2 \
		--nvme size=64M,lbs=512,queues=4,latency=100 \
		-- env KSFT_TIME_SCALE=$scale selftests/host.sh "${only[@]}"
}

# Two nodes with two CPUs and half of the memory each, disks with few interrupts.
group_cores() {
	local node
	local -a numa=()

	for node in 0 1; do
		numa+=(--qemu-arg -object
		       --qemu-arg "memory-backend-ram,id=node$node,size=2G"
		       --qemu-arg -numa
		       --qemu-arg "node,nodeid=$node,cpus=$((2 * node))-$((2 * node + 1)),memdev=node$node")
	done
	lab_again "host, two NUMA nodes" 400 "${same_addresses[@]}" --mem 4G --cpus 4 \
		--qemu-arg -smp --qemu-arg 4,sockets=2 "${numa[@]}" \
		--nvme size=64M,lbs=512,queues=2 \
		--qemu-arg -blockdev \
		--qemu-arg driver=null-co,node-name=ata,size=67108864,read-zeroes=on \
		--qemu-arg -device --qemu-arg ide-hd,drive=ata,bus=ide.0 \
		-- env KSFT_TIME_SCALE=$scale selftests/cores.sh "${only[@]}"
}

# QEMU 7.2 does not always notice in one thread of its own that another has replaced
# code: the machine may then stand still.
group_code() {
	lab_again "host, code is replaced" 300 "${same_addresses[@]}" --one-thread \
		--nvme size=64M,lbs=512 \
		-- env KSFT_TIME_SCALE=$scale selftests/code.sh "${only[@]}"
}

# cpus_of SCRIPT: as many as its guests have in all, see guest_fits in guest.sh
cpus_of() {
	local cpus

	cpus=$(sed -n 's/^# lab: --cpus //p' "$1")
	echo "${cpus:-2}"
}

# boot_vm CPUS NAME...: one boot for all of them. Those that had not ended when the
# emulator lost the host are run again, and what they had said until then counts as well.
boot_vm() {
	local cpus=$1 name tap_incomplete=123 lost=0
	local -a left=("${@:2}") now newer=()

	# QEMU 7.2 loses it more often than 10.
	if name=$("$root/scripts/vm/newer-qemu.sh" 2>/dev/null); then
		newer=(--qemu "$name")
	fi
	while ((${#left[@]})); do
		if ((lost == 3 || lost && SECONDS > ${within:-SECONDS})); then
			for name in "${left[@]}"; do
				tap_result ok "$name # SKIP the emulator lost its host, $lost times in all"
			done
			return
		fi
		now=("${left[@]}")
		left=()
		lab "vm, $cpus CPUs" 500 "${newer[@]}" --mem 4G --cpus "$cpus" \
			--nvme size=64M,lbs=512 --nvme size=64M,lbs=4096 \
			-- env KSFT_TIME_SCALE=$scale selftests/vm.sh "${now[@]}"
		[[ $tap_status == "$tap_incomplete" ]] || return 0
		lost=$((lost + 1))
		for name in "${now[@]}"; do
			[[ $tap_through == *" $name "* ]] || left+=("$name")
		done
		echo "# lab: the emulator lost it; left: ${left[*]:-none}"
	done
}

group_vm() {
	local script name cpus
	local -A names=()

	for script in "$here"/vm_*.sh; do
		name=$(basename "$script" .sh)
		chosen "$name" || continue
		cpus=$(cpus_of "$script")
		names[$cpus]+=" $name"
	done
	((${#names[@]})) || return 0
	for cpus in $(printf '%s\n' "${!names[@]}" | sort -n); do
		# shellcheck disable=SC2086 # a list it is
		boot_vm "$cpus" ${names[$cpus]}
	done
	[[ $tap_through == *" vm_"* ]] ||
		tap_result "not ok" "vm: a guest test could end"
}

trap 'echo "# interrupted"; exit 130' INT TERM

echo "KTAP version 1"
if build; then
	for group in "${groups[@]}"; do
		case $group in
		unit) group_unit ;;
		qemu) group_qemu ;;
		host) group_host ;;
		vm) group_vm ;;
		esac
	done
fi
status=0
tap_end || status=1
echo "$tap_passed passed, $tap_failed failed, $tap_skipped skipped"
exit $status
