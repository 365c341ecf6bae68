#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests what scripts/bench makes of samples: the meter's record of fio's output,
# medians and spread, costs per request, ratios and what is reached; and when a profile
# is out of bounds.
#
# usage: bench_report_test.sh [DIRECTORY OF THE TEST PROGRAMS]

set -euo pipefail

bench=$(cd "$(dirname "$0")/../../scripts/bench" && pwd)
# shellcheck source=selftests/unit/result.sh
. "$(dirname "$0")/result.sh"

echo "KTAP version 1"
if [[ ! -x /usr/bin/python3 ]] || ! command -v jq >/dev/null; then
	echo "1..1"
	echo "ok 1 bench_report # SKIP no /usr/bin/python3 or no jq"
	exit 4
fi
echo "1..25"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C

# sample WAY REPEAT IOPS [JQ EXPRESSION]: to the samples; a window of 2 s in which
# 1000 requests of 4k cost 30 ms of the host, 50 ms of the vCPU and 7 of fio.
sample() {
	jq -nc --arg way "$1" --argjson repeat "$2" --argjson iops "$3" '
	{stage: "race", way: $way, rw: "randread", bs: "4k", depth: 32, jobs: 1,
	 queues: 1, repeat: $repeat, device: "null_blk", guest_interrupts: 500,
	 iops: $iops, bytes_per_second: ($iops * 4096), requests: 2000,
	 latency_ns: {mean: 5000, p50: 4000, p99: 9000},
	 window: {seconds: 2, disk: {requests: 1000, bytes: 4096000},
		  cpu_ns: {backend: 30000000, vcpu: 50000000,
			   driver: 7000000, bench: 1},
		  threads: [], kicks: 100, vhost: [],
		  kvm: {exits: 2500}}}'" ${4:-}" >> "$tmp/samples.jsonl"
}

fresh() {
	: > "$tmp/samples.jsonl"
	printf 'kernel=6.1\nseconds=3\nrepeats=3\nskipped=this: why\n' \
		> "$tmp/environment"
}

# report FILTER: of results.json
report() {
	"$bench/report.py" "$tmp" > "$tmp/printed" &&
		jq -c "$1" "$tmp/results.json"
}

# target TEXT: what is printed of the first one with this text
target() {
	grep -m 1 "$1" "$tmp/results.md" | sed 's/  */ /g'
}

fresh
sample vhost-kick 1 100
sample vhost-kick 2 400
sample vhost-kick 3 300
result median_and_spread \
	"$(report '.results[0].iops | [.median, .min, .max, .values]')" \
	"[300,100,400,[100,400,300]]"
result even_number "$(sample vhost-kick 4 200
	report '.results[0].iops.median')" 250
result cost_in_a_guest "$(report '.results[0] | [.cpu_us, .vcpu_us, .exits,
	.kicks, .interrupts] | map(.median)')" "[30,50,2.5,0.1,0.25]"
result latency "$(report '.results[0] | [.latency_mean_us, .latency_p50_us,
	.latency_p99_us] | map(.median)')" "[5,4,9]"
result environment "$(report '[.environment.kernel, .not_measured]')" \
	'["6.1",["this: why"]]'
printf 'cpus=2\ncpus=4\ncpus=2\n' >> "$tmp/environment"
result environment_of_boots "$(report .environment.cpus)" '"2, 4"'

fresh
sample bare-uring 1 100 '| .guest_interrupts = -1'
result cost_on_the_bare_device "$(report '.results[0] | [.cpu_us.median,
	.vcpu_us, .exits, .interrupts]')" "[37,null,null,null]"

fresh
sample vhost-kick 1 100 '| .bs = "128k" | .window.disk.bytes = 1310720'
result large_requests "$(report '.results[0] | [.cpu_us.median,
	.exits.median]')" "[3000,250]"

fresh
sample vhost-kick 1 100 '| .window = null'
result no_window "$(report '.results[0] | [.iops.median, .cpu_us, .exits,
	.interrupts.median]')" "[100,null,null,0.25]"

# The ratios are 10, 2 and 4; that of the medians is 5.
fresh
for sample in "1 1000 100" "2 400 200" "3 500 125"; do
	read -r repeat over under <<<"$sample"
	sample vhost-adaptive "$repeat" "$over"
	sample vhost-kick "$repeat" 90
	sample qemu-uring "$repeat" "$under"
	sample qemu-native "$repeat" 50
done
result median_of_ratios "$(report empty; target "depth 32, best of QEMU")" \
	"| 1 | depth 32, best of QEMU | >= 4.00 | 4.00 (2.00-10.00) | yes | vhost-adaptive / qemu-uring |"
result not_measured "$(target "depth 32, vhost-scsi")" \
	"| 1 | depth 32, vhost-scsi | >= 4.00 | - | not measured | |"

# The same repeat of another run is another one: 2 and 5, not 20 and 0.5.
fresh
for sample in "1 200 100" "2 50 10"; do
	read -r run over under <<<"$sample"
	sample vhost-kick 1 "$over" "| .run = $run"
	sample qemu-uring 1 "$under" "| .run = $run"
done
result runs_are_apart "$(report .runs; target "depth 32, best of QEMU")" \
"2
| 1 | depth 32, best of QEMU | >= 4.00 | 3.50 (2.00-5.00) | no | vhost-kick / qemu-uring |"

# A cheaper QEMU is what counts, not a faster one.
fresh
sample vhost-kick 1 100 '| .window.cpu_ns.backend = 8000000'
sample qemu-uring 1 300
sample qemu-native 1 200 '| .window.cpu_ns.backend = 20000000'
result cheapest_of_qemu "$(report empty; target "CPU, depth 32, vhost-kick")" \
	"| 5 | host CPU, depth 32, vhost-kick, cheapest of QEMU | <= 0.33 | 0.40 | no | vhost-kick / qemu-native |"

fresh
sample vhost-1-guests 1 500 '| .stage = "guests" |
	.window.vhost = [{read_requests: 200}]'
sample vhost-2-guests 1 200 '| .stage = "guests" |
	.window.vhost = [{read_requests: 100}, {read_requests: 60}]'
result shares_of_guests "$(report empty; target "2 guests, total"
	target "2 guests, the least")" \
"| 7 | 2 guests, total to one alone | >= 0.90 | 0.80 | no | |
| 7 | 2 guests, the least of equal shares | >= 0.80 | 0.75 | no | |"
result guests_in_the_window "$(report '.results[1] | [.window_iops, .least_share,
	.exits] | map(.median)')" "[80,0.75,2.5]"

fresh
jq -nc '{stage: "chardev", way: "ring-poll", rw: "randread", bs: "4k", depth: 1,
	jobs: 1, queues: 1, repeat: 1, device: "null_blk",
	guest_interrupts: -1, iops: 50, requests: 1000,
	latency_ns: {mean: 30000, p50: 20000, p99: 90000},
	program: {requests: 1000, kicks: 10, interrupts: 20,
		  cpu_ns_driver: 4000000, cpu_ns_worker: 6000000}}' \
	>> "$tmp/samples.jsonl"
result program "$(report '.results[0] | [.iops, .cpu_us, .driver_us, .kicks,
	.interrupts, .latency_p99_us] | map(.median)')" "[50,10,4,0.01,0.02,90]"

#
# The meter, without a window
#

cat > "$tmp/fio.json" <<'END'
interrupts 7
{"jobs": [{"mixed": {"iops": 10.5, "bw_bytes": 43008, "total_ios": 30,
	"lat_ns": {"mean": 200, "percentile": {"50.000000": 150,
						"99.000000": 900}}}}]}
END
sed 's/10.5/2/; s/"total_ios": 30/"total_ios": 10/; s/200/600/; s/900/1900/' \
	"$tmp/fio.json" > "$tmp/fio2.json"

record() {
	fresh
	echo "record fio=$1 way=x depth=32 bs=4k" |
		"$bench/meter.py" "$tmp/samples.jsonl"
	jq -c '[.way, .depth, .bs, .iops, .bytes_per_second, .requests,
		.latency_ns.mean, .latency_ns.p50, .latency_ns.p99, .window]' \
		"$tmp/samples.jsonl"
}
result meter_records_fio "$(record "$tmp/fio.json")" \
'10
["x",32,"4k",10.5,43008,30,200,150,900,null]'

cat > "$tmp/program" <<'END'
{"iops": 5.5, "requests": 11}
END
cat > "$tmp/latency" <<'END'
{"iops": 5, "requests": 10, "latency": {"mean_ns": 3, "p50_ns": 2, "p99_ns": 9}}
END
fresh
result meter_notes_a_program "$(echo "note program=$tmp/program \
timed=$tmp/latency way=x" | "$bench/meter.py" "$tmp/samples.jsonl"
	jq -c '[.way, .iops, .requests, .latency_ns]' "$tmp/samples.jsonl")" \
'6
["x",5.5,11,{"mean":3,"p50":2,"p99":9}]'
result meter_adds_guests "$(record "$tmp/fio.json,$tmp/fio2.json")" \
'12
["x",32,"4k",12.5,86016,40,300,150,1900,null]'

#
# The profile's gate
#

# profile KERNEL TOTAL [POP]
profile() {
	jq -n --arg kernel "$1" --argjson total "$2" --argjson pop "${3:-300}" '
	{system: {kernel_version: $kernel, qemu: "7", compiler: "12"},
	 cases: {case: {total: $total,
			stages: {pop: $pop, sign: ($total - $pop), end: 6}}}}'
}

# bounds KERNEL TOTAL [POP]: what it says of them in the end, and its status
bounds() {
	local status=0

	profile "$@" > "$tmp/new.json"
	"$bench/profile/compare.py" "$tmp/old.json" "$tmp/new.json" \
		> "$tmp/compared" || status=$?
	echo "$(tail -n 1 "$tmp/compared"), $status"
}

profile 6.1 1000 > "$tmp/old.json"
result profile_within_bounds "$(bounds 6.1 1020)" "as before, 0"
result profile_out_of_bounds "$(bounds 6.1 1040)" \
	"2 missing or out of bounds, 1"
profile 6.1 10000 100 > "$tmp/old.json"
result profile_small_stage_within_bounds "$(bounds 6.1 10000 110)" "as before, 0"
result profile_small_stage_out_of_bounds "$(bounds 6.1 10000 111)" \
	"1 missing or out of bounds, 1"
profile 6.1 1000 > "$tmp/old.json"
result profile_of_another_kernel "$(bounds 6.2 1080)" "as before, 0"
result profile_far_off_on_another_kernel "$(bounds 6.2 1120)" \
	"1 missing or out of bounds, 1"

exit $failed
