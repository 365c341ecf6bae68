# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One measurement: fio on the host or in a guest, while meter.py counts what the
# host spends on it. For host.sh, which has step and $tmp.
#
# A work is "RW BS DEPTH JOBS", in fio's words.
#
# shellcheck disable=SC2154 # tmp, way_*, bench_*

fio_more=()

meter_start() {
	mkfifo "$tmp/meter.in" "$tmp/meter.out"
	scripts/bench/meter.py "$BENCH_OUT/samples.jsonl" \
		<"$tmp/meter.in" >"$tmp/meter.out" &
	meter_pid=$!
	exec {meter_in}>"$tmp/meter.in" {meter_out}<"$tmp/meter.out"
}

meter_stop() {
	exec {meter_in}>&- {meter_out}<&-
	wait "$meter_pid"
	rm "$tmp"/meter.{in,out}
}

# engine_args ENGINE: sets engine to fio's arguments
engine_args() {
	case $1 in
	libaio) engine=(--ioengine=libaio) ;;
	uring | polled)
		engine=(--ioengine=io_uring --fixedbufs --registerfiles)
		[[ $1 == uring ]] || engine+=(--hipri) ;;
	esac
}

# fio_args WORK ENGINE: sets fio_line; fio_more is added to it. Where nothing may
# be written fio is told so.
fio_args() {
	local rw bs depth jobs
	local -a engine

	read -r rw bs depth jobs <<<"$1"
	engine_args "$2"
	fio_line=(--name=bench "--rw=$rw" "--bs=$bs" "--iodepth=$depth"
		  "--numjobs=$jobs" "${engine[@]}" --direct=1 --thread
		  --time_based "--runtime=$BENCH_SECONDS" --norandommap
		  --randrepeat=0 --group_reporting
		  --unified_rw_reporting=mixed --lat_percentiles=1
		  --clat_percentiles=0 --percentile_list=50:99
		  --output-format=json "${fio_more[@]}")
	[[ $rw != randrw ]] || fio_line+=(--rwmixread=70)
	[[ -n $bench_writable ]] || fio_line+=(--readonly)
}

# in_guest GUEST COMMAND: with the functions of scripts/vm/guest-disks.sh and
# in-guest.sh
in_guest() {
	guest_run "$1" ". /run/bench.sh
$2" $((BENCH_SECONDS + 30))
}

# run_fio WAY: with fio_line; what it prints is in $tmp/fio
run_fio() {
	if [[ -z ${way_disk[$1]} ]]; then
		fio --filename="$bench_device" "${fio_line[@]}" > "$tmp/fio"
	else
		in_guest "${way_guest[$1]:-bench}" \
			"bench_fio ${way_disk[$1]} ${fio_line[*]}" > "$tmp/fio"
	fi
}

# show_failure WHAT GUEST
show_failure() {
	step "fio failed: $1"
	cat "$tmp/fio"
	[[ -z $2 ]] ||
		tail -n 40 "$GUEST_DIR/$2/console.log" | tr -d '\r' |
			grep -aE 'Comm:|RIP:|panic|BUG|fault' | head -n 8 || true
}

# labels STAGE WAY WORK REPEAT: what a sample is called by
labels() {
	local rw bs depth jobs

	read -r rw bs depth jobs <<<"$3"
	echo "stage=$1 way=$2 rw=$rw bs=$bs depth=$depth jobs=$jobs" \
		"repeat=$4 run=$BENCH_RUN device=$bench_device_name"
}

# measure STAGE WAY WORK REPEAT [LABEL=VALUE...]: adds to bench_line
measure() {
	local stage=$1 way=$2 work=$3 repeat=$4
	local iops interrupts guest pid status
	local -a fio_line
	shift 4

	fio_args "$work" "${way_engine[$way]}"
	guest=""
	[[ -z ${way_disk[$way]} ]] || guest=${way_guest[$way]:-bench}
	while :; do
		pid="" interrupts=-1 status=0
		[[ -z $guest ]] || pid=$(guest_pid "$guest")
		way_begin "$way"
		echo "begin device=${bench_device##*/}" \
			"seconds=$BENCH_SECONDS pid=$pid" >&"$meter_in"
		run_fio "$way" || status=$?
		((status)) || break
		show_failure "$stage, $way, $work" "$guest"
		# 124, 125, 126: the guest hangs, is gone, or starts again
		((status >= 124)) || return
		bench_guests_lost "$stage, $way, $work" || return
		bench_guest_again "$guest" || return
	done
	[[ -z $pid ]] || read -r _ interrupts < "$tmp/fio"
	echo "record fio=$tmp/fio $(labels "$stage" "$way" "$work" "$repeat")" \
		"guest_interrupts=$interrupts $*" >&"$meter_in"
	read -r iops <&"$meter_out"
	way_end "$way"
	bench_line+=" $way $iops"
}

# measure_program WAY WORK REPEAT: the same with a program of chardev/ in the place
# of fio and of the guest, on the last CPU: the first is where the module puts its
# only worker. Latencies are of a second run: to take the time costs some. Way bare-uring
# is fio.
measure_program() {
	local way=$1 repeat=$3 rw bs depth iops program
	local -a line

	read -r rw bs depth _ <<<"$2"
	case $way in
	ring-*) program=ring_bench ;;
	twin-*) program=uring_bench ;;
	*)
		measure chardev "$way" "$2" "$repeat" queues=1
		return ;;
	esac
	line=("scripts/bench/chardev/build/$program" --device "$bench_device"
	      --rw "$rw" --bs "$((${bs%k} * 1024))" --depth "$depth" --queues 1
	      --cpu $(($(nproc) - 1)) --wait "${way#*-}"
	      --seconds "$BENCH_SECONDS")
	"${line[@]}" > "$tmp/program"
	"${line[@]}" --latency > "$tmp/latency"
	echo "note program=$tmp/program timed=$tmp/latency" \
		"$(labels chardev "$way" "$2" "$repeat")" \
		"queues=1 guest_interrupts=-1" >&"$meter_in"
	read -r iops <&"$meter_out"
	bench_line+=" $way $iops"
}

# measure_guests COUNT WORK REPEAT: the same in several guests at once, guest1 and
# so on. The window opens when all of them are sure to be busy. Fails with the
# status of a guest that failed.
measure_guests() {
	local count=$1 repeat=$3 i iops status=0
	local BENCH_SECONDS=$((BENCH_SECONDS + 2))
	local -a fio_line pids=() files=() runs=()

	fio_args "$2" libaio
	for ((i = 1; i <= count; i++)); do
		pids+=("$(guest_pid "guest$i")")
		files+=("$tmp/fio.$i")
	done
	echo "begin device=${bench_device##*/} seconds=$BENCH_SECONDS lead=1.5" \
		"pid=$(IFS=,; echo "${pids[*]}")" >&"$meter_in"
	for ((i = 1; i <= count; i++)); do
		in_guest "guest$i" "bench_fio vhost ${fio_line[*]}" \
			> "$tmp/fio.$i" &
		runs+=($!)
	done
	for i in "${runs[@]}"; do
		wait "$i" || status=$?
	done
	((status == 0)) || return "$status"
	echo "record fio=$(IFS=,; echo "${files[*]}")" \
		"$(labels guests "vhost-$count-guests" "$2" "$repeat")" \
		"queues=1 guest_interrupts=-1" >&"$meter_in"
	read -r iops <&"$meter_out"
	bench_line+=" $count: $iops"
}
