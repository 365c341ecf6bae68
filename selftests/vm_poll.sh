#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest with a queue that it polls, and a host that polls or does not: who polls
# is not kicked, or not interrupted. Three count: fio in the guest the requests,
# the module, and KVM.

set -euo pipefail
# shellcheck source=selftests/lib/vm.sh
. "$(dirname "$0")/lib/vm.sh"
# shellcheck source=scripts/vm/kvm-events.sh
. "$selftests_dir/../scripts/vm/kvm-events.sh"

# Interrupts and kicks of other devices: QEMU's serial port, by which the guest is
# told what to do.
others=30
queues=""

boots() {
	GUEST_APPEND="virtio_blk.poll_queues=1" vm_boot g || return
	queues=$(dirname "$(grep -lx poll \
		/sys/class/vhost-blk/vhost-blk*/serial)")/queues
	[[ -d $queues/1 ]]
}

# Before there is a guest: the kernel replaces code for that, see guest_keep_kvm.
count_events() {
	guest_load_kvm && kvm_events_begin
}

has_poll_queue() {
	same "io_poll" \
		"$(vm_run g "cat /sys/block/\$(disk poll)/queue/io_poll")" 1
}

# host_polls NS LEAST: windows of at most NS, and LEAST from the beginning; each
# interrupt at once
host_polls() {
	local queue

	for queue in "$queues"/*; do
		echo 0 > "$queue/hold_us"
		echo 2 > "$queue/poll_ns_shrink"
		echo "$2" > "$queue/poll_ns_grow_start"
		echo "$1" > "$queue/poll_ns_max"
	done
}

# counted NAME: the module's, of both queues
counted() {
	cat "$queues"/*/stats/"$1" | awk '{ n += $1 } END { print n }'
}

# run ARGS...: reads for some seconds; sets requests, and kicks, interrupts,
# kvm_kicks and kvm_interrupts to how many there were meanwhile
run() {
	local answer

	kicks=$(counted kicks)
	interrupts=$(counted interrupts_sent)
	kvm_kicks=$(kvm_events kicks)
	kvm_interrupts=$(kvm_events interrupts)
	answer=$(vm_run g "reads poll 2 $*") || { echo "$answer"; return 1; }
	requests=${answer%.*}
	kicks=$(($(counted kicks) - kicks))
	interrupts=$(($(counted interrupts_sent) - interrupts))
	kvm_kicks=$(($(kvm_events kicks) - kvm_kicks))
	kvm_interrupts=$(($(kvm_events interrupts) - kvm_interrupts))
	echo "# $*: $requests requests, $kicks kicks, $interrupts interrupts;" \
		"KVM: $kvm_kicks kicks, $kvm_interrupts interrupts" |
		tee -a "$vm_tmp/figures"
	((requests > 50)) || { echo "$requests requests"; return 1; }
}

# few WORD N: no more than one of a hundred requests
few() {
	(($2 <= requests / 100 + others)) && return
	echo "$2 $1 for $requests requests"
	return 1
}

# many WORD N: three of four requests or more
many() {
	(($2 >= requests * 3 / 4)) && return
	echo "only $2 $1 for $requests requests"
	return 1
}

# The same by the module's count and by KVM's.
few_kicks() {
	few kicks "$kicks" && few "kicks (KVM)" "$kvm_kicks"
}

few_interrupts() {
	few interrupts "$interrupts" &&
		few "interrupts (KVM)" "$kvm_interrupts"
}

many_kicks() {
	many kicks "$kicks" && many "kicks (KVM)" "$kvm_kicks"
}

many_interrupts() {
	many interrupts "$interrupts" &&
		many "interrupts (KVM)" "$kvm_interrupts"
}

nobody_polls() {
	host_polls 0 0
	run --ioengine=libaio --iodepth=1 && many_kicks && many_interrupts
}

only_host_polls() {
	host_polls $long $long
	run --ioengine=libaio --iodepth=1 && few_kicks && many_interrupts
}

only_guest_polls() {
	host_polls 0 0
	run --ioengine=io_uring --hipri --iodepth=1 && many_kicks &&
		few_interrupts
}

# both_poll DEPTH
both_poll() {
	host_polls $long $long
	run --ioengine=io_uring --hipri --iodepth="$1" && few_kicks &&
		few_interrupts
}

# adapts DEPTH: interrupts as ever, and a window that is found. It grows in ten
# steps, a kick each.
adapts() {
	host_polls $long 1000000
	run --ioengine=libaio --iodepth="$1" && few_kicks
}

sleeps() {
	local queue before

	sleep $((long / 1000000000 + 1))
	before=$(counted halt_successful_wait)
	for queue in "$queues"/*; do
		same "${queue##*/} is" "$(cat "$queue/state")" wait || return
	done
	sleep 1
	same "wake-ups" "$(counted halt_successful_wait)" "$before"
}

vm_begin
long=1000000000
: > "$vm_tmp/figures"
null_up t_poll blocksize=512
vm_add poll "$device" num-queues=2

check "KVM counts kicks and interrupts" count_events
check "guest boots" boots
check "it has a queue that it polls" has_poll_queue
check "nobody polls: a kick and an interrupt for each request" nobody_polls
check "the host polls: no kicks" only_host_polls
check "the guest polls: no interrupts" only_guest_polls
check "both poll, depth 1: neither kicks nor interrupts" both_poll 1
check "both poll, depth 32: neither kicks nor interrupts" both_poll 32
check "both poll: fio verifies" \
	vm_run g 'verify poll --ioengine=io_uring --hipri'
check "the host's window adapts, depth 1: no kicks" adapts 1
check "the host's window adapts, depth 32: no kicks" adapts 32
check "afterwards the workers sleep" sleeps
cat "$vm_tmp/figures"
vm_stop g
kvm_events_end
vm_end
