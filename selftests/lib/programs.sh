# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For scripts that run many test programs, as root on a host that may crash: inserts
# the module, runs each program on the disks it is for, and looks after each into
# the kernel's log and for what was left behind.

# shellcheck source=selftests/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=selftests/lib/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

: "${VHOST_BLK_KO:=$selftests_dir/../drivers/vhost/blk/vhost_blk.ko}"
# patterns of what is to run, from the command line; none: everything
wanted=()
module_parameters=()

# want PROGRAM:BACKEND
want() {
	local pattern

	((${#wanted[@]})) || return 0
	for pattern in "${wanted[@]}"; do
		# shellcheck disable=SC2254 # a pattern it is
		case $1 in
		$pattern | $pattern:*) return 0 ;;
		esac
	done
	return 1
}

# run PROGRAM LABEL DEVICE [ARGUMENT...]
run() {
	local program=$1 label=$2 name="$1.$2"
	local limit=$((240 * ${KSFT_TIME_SCALE:-1}))
	shift 2

	want "$program:$label" || return 0
	log_mark "$name"
	leak_mark
	[[ $program == *.sh ]] || program=build/$program
	tap_run "$name" timeout -k 10 $limit "$selftests_dir/$program" "$@"
	if [[ -n $tap_bailed ]]; then
		echo "# a process that cannot be killed: no more tests"
		exit 1
	fi
	if log_check; then
		tap_result ok "$name: kernel log is silent"
	else
		tap_result "not ok" "$name: kernel log is silent"
	fi
	if leak_check "$1"; then
		tap_result ok "$name: nothing is left behind"
	else
		tap_result "not ok" "$name: nothing is left behind"
	fi
}

module_insert() {
	insmod "$VHOST_BLK_KO" "${module_parameters[@]}" ||
		die "insmod $VHOST_BLK_KO ${module_parameters[*]}"
	wait_for test -c /dev/vhost-blk || die "no /dev/vhost-blk"
}

# with "PARAMETERS" PROGRAM LABEL DEVICE [ARGUMENT...]: run, with a module of its own
with() {
	read -ra module_parameters <<<"$1"
	shift
	want "$1:$2" || return 0
	module_insert
	run "$@"
	rmmod_retry vhost_blk
}
