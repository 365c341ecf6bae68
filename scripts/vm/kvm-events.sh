# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For scripts that run as root on a host with KVM (in the lab: L1): how often guests
# kicked and were interrupted, as KVM itself saw it, whatever the device counts.
#
#   . scripts/vm/kvm-events.sh
#   kvm_events_begin
#   before=$(kvm_events kicks)
#   ...
#   echo "$(($(kvm_events kicks) - before)) kicks"
#   kvm_events_end
#
# kicks: writes to a device's memory, and words written to its ports; KVM has a
# shorter way for the first on some processors, with an event of its own. All guests
# and all their devices count, QEMU's own as well.
# interrupts: messages to a guest's interrupt controller, all devices again.

kvm_tracing=/sys/kernel/tracing

# kvm_events_watch KIND EVENT [FILTER]: the events of a kind have a buffer of
# their own, which says how many there were.
kvm_events_watch() {
	local dir=$kvm_tracing/instances/kvm-$1

	[[ -d $dir ]] || mkdir "$dir" || return
	echo 16 > "$dir/buffer_size_kb" &&
		echo "${3:-0}" > "$dir/events/kvm/$2/filter" &&
		echo 1 > "$dir/events/kvm/$2/enable"
}

kvm_events_begin() {
	# The local APIC is no device: its timer and the ends of interrupts.
	local not_apic='gpa < 0xfee00000 || gpa > 0xfeefffff'

	[[ -d $kvm_tracing/instances ]] ||
		mount -t tracefs none $kvm_tracing || return
	if [[ ! -d $kvm_tracing/events/kvm ]]; then
		echo "no events of KVM: is it loaded?" >&2
		return 1
	fi
	kvm_events_watch kicks kvm_fast_mmio &&
		kvm_events_watch kicks kvm_mmio "type == 2 && ($not_apic)" &&
		kvm_events_watch kicks kvm_pio "rw == 1 && size == 2" &&
		kvm_events_watch interrupts kvm_msi_set_irq
}

# kvm_events kicks|interrupts: so many so far
kvm_events() {
	cat "$kvm_tracing/instances/kvm-$1"/per_cpu/cpu*/stats |
		awk '/^(entries|overrun):/ { n += $2 } END { print n + 0 }'
}

kvm_events_end() {
	local dir

	for dir in "$kvm_tracing"/instances/kvm-{kicks,interrupts}; do
		[[ ! -d $dir ]] || rmdir "$dir"
	done
}
