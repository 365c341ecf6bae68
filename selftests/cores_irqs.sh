#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/steer-irqs, with a disk whose interrupt may be moved (AHCI) and one of which
# the kernel keeps the interrupts (NVMe with fewer queues than there are CPUs). Run by
# cores.sh; arguments: an NVMe disk, then an ATA disk.

set -euo pipefail
# shellcheck source=selftests/lib/placed.sh
. "$(dirname "$0")/lib/placed.sh"

steer=$selftests_dir/../scripts/steer-irqs
nvme=$1
ata=$2

# reads DISK CPU: a guest that reads all the time, its worker on that CPU
reads() {
	disk=$1
	taskset -c 0 "$selftests_dir/build/ring_load" "$disk" 1000 depth=4 \
		wait=event > "$tmp/guest" 2>&1 &
	guest=$!
	find_guest && echo "$2" > "$queue/cpu"
}

killed() {
	kill -KILL "$guest"
	wait "$guest" 2>/dev/null
	guest=""
}

# irqs: the interrupts of the disk's controller
irqs() {
	local dir

	dir=$(readlink -f "/sys/class/block/${disk##*/}")
	until [[ -d $dir/msi_irqs ]]; do
		dir=${dir%/*}
		[[ $dir == */devices/* ]] || return
	done
	ls "$dir/msi_irqs"
}

# arrived: so many interrupts of the disk on each CPU so far
arrived() {
	awk -v irqs=" $(irqs | tr '\n' ' ')" '
		NR == 1 { cpus = NF; next }
		index(irqs, " " int($1) " ") && $1 ~ /^[0-9]+:$/ {
			for (i = 0; i < cpus; i++)
				n[i] += $(i + 2)
		}
		END { for (i = 0; i < cpus; i++) printf("%d ", n[i]) }' \
		/proc/interrupts
}

# arrive_on CPU: nine of ten that come now
arrive_on() {
	local -a before after
	local i sum=0 here

	read -ra before < <(arrived)
	sleep 1
	read -ra after < <(arrived)
	for i in "${!after[@]}"; do
		sum=$((sum + after[i] - before[i]))
	done
	here=$((after[$1] - before[$1]))
	echo "$here of $sum interrupts in a second on CPU $1" |
		tee -a "$tmp/seen"
	((sum > 20 && here * 10 >= sum * 9))
}

all_to_cpu_0() {
	local irq

	for irq in $(irqs); do
		echo 0 > "/proc/irq/$irq/smp_affinity_list" || return
	done
	arrive_on 0
}

dry_run() {
	"$steer" --dry-run && arrive_on 0
}

steered() {
	"$steer" && arrive_on 2
}

# kept_cpus: where the kernel keeps interrupts, as the script says
kept_cpus() {
	"$steer" > "$tmp/steer" || return
	sed -nE 's/.* keeps it on CPU ([0-9]+).*/\1/p' "$tmp/steer" | sort -nu
}

kept_and_said() {
	kept_cpus > "$tmp/kept"
	cat "$tmp/steer"
	[[ -s $tmp/kept ]]
}

# A worker on such a CPU gets the interrupts itself.
own_interrupts() {
	local cpu

	[[ -s $tmp/kept ]] || return
	while read -r cpu; do
		echo "$cpu" > "$queue/cpu" && arrive_on "$cpu" || return
	done < "$tmp/kept"
}

placed_begin "$ata"
check "a guest reads from an ATA disk" reads "$ata" 2
check "its interrupts go to another CPU" all_to_cpu_0
check "--dry-run changes nothing" dry_run
check "steered, they go to the worker's CPU" steered
check "that guest is killed" killed
check "a guest reads from an NVMe disk with fewer queues than CPUs" \
	reads "$nvme" 1
check "the script says where the kernel keeps its interrupts" kept_and_said
check "a worker there gets them itself" own_interrupts
check "that guest is killed, too" killed
sed 's/^/# /' "$tmp/seen"
tap_end
