#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests the lab itself: that run.sh calls success only what succeeded, that the
# host it boots has what it promises, and that guests in it work. KTAP.
#
#   scripts/vm/selftest.sh [PATTERN]	only tests whose name holds PATTERN

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

pattern=${1:-}
number=0
passed=0
failed=0

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# lab ARGS...: run.sh; what it wrote in $tmp/out and $tmp/err, its status here.
lab() {
	local status=0

	"$lab_dir/run.sh" "$@" > "$tmp/out" 2> "$tmp/err" || status=$?
	echo "$status" > "$tmp/status"
	return "$status"
}

# status_is NUMBER, said TEXT: about the last run.
status_is() {
	[[ $(cat "$tmp/status") == "$1" ]] ||
		{ echo "status $(cat "$tmp/status") instead of $1"; return 1; }
}

said() {
	grep -q "$1" "$tmp/err" || { echo "did not say '$1'"; return 1; }
}

kept_log() {
	local log

	log=$(sed -n 's/^---- end of the console log //p' "$tmp/err")
	[[ -s $log ]] || { echo "no console log kept"; return 1; }
}

test_success() {
	lab true || true
	status_is 0
}

test_status_and_output() {
	lab -- sh -c 'seq 1 50000; echo "to stderr" >/dev/stderr; exit 3' || true
	status_is 3 && kept_log &&
		cmp "$tmp/out" <(seq 1 50000; echo "to stderr")
}

test_panic() {
	lab -- sh -c 'echo before; sleep 1; echo c > /proc/sysrq-trigger
		sleep 60' || true
	status_is 125 && kept_log && said 'without its token' &&
		said 'Kernel panic' && grep -qx before "$tmp/out"
}

test_hang() {
	lab --timeout 40 sleep 1000 || true
	status_is 124 && kept_log && said 'time limit'
}

# Without signs of life it is asked what it does, long before its time is up.
test_still() {
	# shellcheck disable=SC2016 # for L1
	LAB_STILL=15 lab -- sh -c 'for p in /proc/[0-9]*; do
			case $(readlink "$p/fd/1") in
			/dev/vport*) kill -STOP "${p#/proc/}" ;;
			esac
		done; sleep 500' || true
	status_is 123 && kept_log && said 'no sign of life' &&
		said 'outside the module' && said '^CPU#1' &&
		said 'NMI backtrace for cpu 1'
}

# crash COMM FUNCTION [LINE]: the machine complains like this, and panics
crash() {
	local line

	for line in 'BUG: TASK stack guard page was hit' "Comm: $1" \
			"RIP: 0010:$2+0x1e/0x170" "${@:3}"; do
		printf 'echo "%s" > /dev/kmsg; ' "$line"
	done
	echo 'echo c > /proc/sysrq-trigger'
}

# What only an emulator does to a host is told from what the module may have done.
test_lost() {
	lab -- sh -c "$(crash qemu-system-x86 exc_page_fault)" || true
	status_is 123 && said "its guest's registers" || return
	lab -- sh -c "$(crash 'CPU 0/KVM' error_entry)" || true
	status_is 123 && said "its guest's registers" || return
	lab -- sh -c "$(crash qemu-system-x86 exc_page_fault \
		'vhost_blk_ioctl+0x1/0x2 [vhost_blk]')" || true
	status_is 125
}

test_no_token() {
	lab -- sh -c 'echo o > /proc/sysrq-trigger; sleep 60' || true
	status_is 125 && kept_log && said 'without its token'
}

# A warning is a failure although the command succeeds, unless it is expected.
test_warning() {
	local fake='WARNING: CPU: 0 PID: 1 at a.c:1'

	lab -- sh -c "echo '$fake' > /dev/kmsg" || true
	status_is 125 && said 'the kernel complained' || return
	lab --allow 'at a\.c:1' -- sh -c "echo '$fake' > /dev/kmsg" || true
	status_is 0
}

# Nobody is left when run.sh is killed.
test_killed() {
	local pid qemu="" tries

	"$lab_dir/run.sh" sleep 1000 > "$tmp/out" 2> "$tmp/err" &
	pid=$!
	for ((tries = 0; tries < 200; tries++)); do
		qemu=$(pgrep -P "$pid" qemu-system || true)
		[[ -z $qemu ]] || break
		sleep 0.1
	done
	[[ -n $qemu ]] || { echo "no QEMU"; kill "$pid"; return 1; }
	sleep 1
	kill -9 "$pid"
	wait "$pid" 2>/dev/null || true
	for ((tries = 0; tries < 100; tries++)); do
		kill -0 "$qemu" 2>/dev/null || return 0
		sleep 0.1
	done
	echo "QEMU lives"
	return 1
}

test_host() {
	mkdir "$tmp/share"
	lab --out "$tmp/share" --nvme size=64M,lbs=4096,queues=2 \
		--nvme size=1G,backend=null \
		-- bash "$lab_dir/selftest-l1.sh" "$tmp/share" || true
	status_is 0 || { cat "$tmp/out"; return 1; }
	[[ $(cat "$tmp/share/answer") == "from L1" ]] ||
		{ echo "/out does not arrive"; return 1; }
	[[ ! -e $tmp/share/overlay ]] || { echo "L1 wrote to us"; return 1; }
}

# slow_agent DIR: plays a guest's agent, whose lines come in pieces
slow_agent() {
	local id in out

	exec {in}<>"$1/agent.in" {out}<>"$1/agent.out"
	read -r id _ <&"$in"
	printf '\nREA' >&"$out"
	sleep 2.5
	printf 'DY boot\nDONE ' >&"$out"
	sleep 2.5
	printf '%s 7 3 0\nhi\n' "$id" >&"$out"
	sleep 1
}

# A line that stands half in the pipe when guest_run looks at the clock is not lost.
test_half_lines() {
	local dir=$tmp/guests/one agent status=0

	mkdir -p "$dir"
	mkfifo "$dir"/agent.{in,out}
	echo $$ > "$dir/qemu.pid"
	slow_agent "$dir" &
	agent=$!
	# shellcheck disable=SC2016 # for that shell
	GUEST_DIR=$tmp/guests bash -c '. "$0"; guest_run one "exit 7" 8' \
		"$lab_dir/guest.sh" > "$tmp/out" 2> "$tmp/err" || status=$?
	wait "$agent"
	cat "$tmp/err"
	echo "status $status, said: $(cat "$tmp/out")"
	[[ $status == 7 && $(cat "$tmp/out") == hi &&
	   $(cat "$dir/boots") == boot ]]
}

test_guest() {
	lab -- bash "$lab_dir/selftest-l2.sh" || true
	status_is 0 || { cat "$tmp/out" "$tmp/err"; return 1; }
}

tests=(half_lines success status_and_output panic hang still lost no_token warning
       killed host guest)

chosen=()
for name in "${tests[@]}"; do
	[[ $name != *"$pattern"* ]] || chosen+=("$name")
done
echo "TAP version 13"
echo "1..${#chosen[@]}"
for name in "${chosen[@]}"; do
	number=$((number + 1))
	if why=$("test_$name" 2>&1); then
		echo "ok $number $name"
		passed=$((passed + 1))
	else
		[[ -z $why ]] || echo "# ${why//$'\n'/$'\n'# }"
		echo "not ok $number $name"
		failed=$((failed + 1))
	fi
done
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
