# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The table of the demo: 4k random read on the bare device and from the guest.
# For host.sh, which has step, in_guest and $tmp, and makes the disks.
#
# shellcheck disable=SC2154 # tmp

declare -A bench_disk=()	# way -> device
declare -A bench_iops=()	# "way depth" -> IOPS of each repeat
declare -A bench_requests=() bench_interrupts=()	# sums of all repeats
bench_ways=(bare vhost native uring)
bench_depths=(1 32)

# bench_bare DEPTH: prints IOPS, requests, interrupts
bench_bare() {
	local -a field

	fio --name=bench --filename="${bench_disk[bare]}" --rw=randread --bs=4k \
		--direct=1 --ioengine=libaio --iodepth="$1" --time_based \
		--runtime="$DEMO_SECONDS" --norandommap --minimal \
		--output="$tmp/bench.out"
	IFS=';' read -r -a field < "$tmp/bench.out"
	echo "${field[7]} $((field[5] / 4)) 0"
}

bench_one() {
	local way=$1 depth=$2 result iops requests interrupts

	if [[ $way == bare ]]; then
		result=$(bench_bare "$depth")
	else
		result=$(in_guest "bench $way $depth $DEMO_SECONDS")
	fi
	read -r iops requests interrupts <<<"$result"
	iops=${iops%.*}
	bench_iops[$way $depth]+=" $iops"
	bench_requests[$way $depth]=$((${bench_requests[$way $depth]:-0} + requests))
	bench_interrupts[$way $depth]=$((${bench_interrupts[$way $depth]:-0} + interrupts))
	bench_line+=" $way $iops"
}

# One after the other, then all of them again: what drifts hits them alike.
bench_run() {
	local repeat depth way bench_line

	for ((repeat = 1; repeat <= DEMO_REPEATS; repeat++)); do
		for depth in "${bench_depths[@]}"; do
			bench_line=""
			for way in "${bench_ways[@]}"; do
				bench_one "$way" "$depth"
			done
			step "4k random read, depth $depth, $repeat of" \
				"$DEMO_REPEATS:$bench_line"
		done
	done
}

# bench_sorted "WAY DEPTH": sets sorted
bench_sorted() {
	mapfile -t sorted < <(tr ' ' '\n' <<<"${bench_iops[$1]# }" | sort -n)
}

bench_median() {
	local sorted n

	bench_sorted "$1"
	n=${#sorted[@]}
	echo $(((sorted[(n - 1) / 2] + sorted[n / 2]) / 2))
}

# bench_cell "WAY DEPTH": median and spread
bench_cell() {
	local sorted

	bench_sorted "$1"
	echo "$(bench_median "$1") (${sorted[0]}-${sorted[-1]})"
}

# hundredths NUMBER: 123 is 1.23
hundredths() {
	printf '%d.%02d' $(($1 / 100)) $(($1 % 100))
}

bench_ratio() {
	local best other

	best=$(bench_median "native $1")
	other=$(bench_median "uring $1")
	((other <= best)) || best=$other
	hundredths $(($(bench_median "vhost $1") * 100 / best))
}

# interrupts of the guest per request
bench_per_request() {
	hundredths $((${bench_interrupts[$1]} * 100 / ${bench_requests[$1]}))
}

# row CELL...: of equal width, so that the source reads as well
row() {
	printf '| %5s | %-21s | %-21s | %-21s | %-21s | %10s |\n' "$@"
}

bench_table() {
	local depth
	local -r line=---------------------

	echo "4k random read in IOPS, median of $DEMO_REPEATS (minimum-maximum)," \
		"fio libaio, direct I/O, null_blk:"
	echo
	row depth "bare device, host" "guest: vhost-blk" "guest: QEMU native" \
		"guest: QEMU io_uring" "vhost/QEMU"
	row ----: $line $line $line $line ---------:
	for depth in "${bench_depths[@]}"; do
		row "$depth" "$(bench_cell "bare $depth")" \
			"$(bench_cell "vhost $depth")" \
			"$(bench_cell "native $depth")" \
			"$(bench_cell "uring $depth")" "$(bench_ratio "$depth")"
	done
	echo
	echo "Interrupts per request in the guest:"
	echo
	for depth in "${bench_depths[@]}"; do
		echo "* depth $depth:" \
			"vhost-blk $(bench_per_request "vhost $depth")," \
			"QEMU native $(bench_per_request "native $depth")," \
			"QEMU io_uring $(bench_per_request "uring $depth")"
	done
	echo
	echo "QEMU: virtio-blk with an iothread, cache=none, poll-max-ns as long" \
		"as vhost-blk may poll; vhost/QEMU: with the better of the two." \
		"One queue each, 2 vCPUs, in an emulated host: only the ratios" \
		"mean something."
}

bench_json() {
	local depth way separator=""

	echo "{"
	echo "  \"what\": \"4k random read, fio libaio, direct I/O\","
	echo "  \"kernel\": \"$(uname -r)\","
	echo "  \"seconds\": $DEMO_SECONDS,"
	echo "  \"results\": ["
	for depth in "${bench_depths[@]}"; do
		for way in "${bench_ways[@]}"; do
			printf '%b    {"way": "%s", "depth": %d, "iops": [%s], ' \
				"$separator" "$way" "$depth" \
				"$(sed 's/^ //; s/ /, /g' <<<"${bench_iops[$way $depth]}")"
			printf '"requests": %d, "interrupts": %d}' \
				"${bench_requests[$way $depth]}" \
				"${bench_interrupts[$way $depth]}"
			separator=",\n"
		done
	done
	printf '\n  ],\n  "ratio": {'
	separator=""
	for depth in "${bench_depths[@]}"; do
		printf '%s"%d": %s' "$separator" "$depth" "$(bench_ratio "$depth")"
		separator=", "
	done
	printf '}\n}\n'
}

bench_report() {
	bench_table > /out/table.md
	bench_json > /out/results.json
	echo
	cat /out/table.md
	echo
}
