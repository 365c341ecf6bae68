#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests tools/vhost-blk-stat on a tree that looks like /sys/class/vhost-blk: one
# file for each attribute that Documentation/ABI names. Its clock stands still
# but for the sleeps between two samples, in which the tree changes, so every
# number is exact.
#
# usage: stat_tool_test.sh [DIRECTORY OF THE TEST PROGRAMS]
#
# In the environment: STAT_TOOL=FILE tests that one.
#
# shellcheck disable=SC2317 # the functions that change the tree are exported

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
tool=${STAT_TOOL:-$here/../../tools/vhost-blk-stat}
abi=$here/../../Documentation/ABI/testing/sysfs-class-vhost-blk
# shellcheck source=selftests/unit/result.sh
. "$(dirname "$0")/result.sh"

echo "KTAP version 1"
if [[ ! -x /usr/bin/python3 ]]; then
	echo "1..1"
	echo "ok 1 stat_tool # SKIP no /usr/bin/python3"
	exit 4
fi
echo "1..29"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export LC_ALL=C LINES=1000 COLUMNS=80
export top=""

# Runs the tool with its time in our hands. STEP is called at each sleep, with
# the number of the sleep.
cat > "$tmp/driver.py" <<'END'
import os
import runpy
import signal
import subprocess
import sys
import time

clock = 1000.0
sleeps = 0


def sleep(seconds):
    global clock, sleeps
    clock += seconds
    sleeps += 1
    subprocess.run(['bash', '-c', f'{os.environ["STEP"]} {sleeps}'],
                   check=True)


time.sleep = sleep
time.monotonic = lambda: clock
time.time = lambda: 1700000000 + clock
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
END

# run STEP ARGUMENT...: on the tree $top; "status N" is added if it is not 0
run() {
	local step=$1 rc=0
	shift

	STEP=$step env --default-signal=INT /usr/bin/python3 "$tmp/driver.py" \
		"$tool" --sysfs "$top" "$@" 2>&1 | sed "s|$tmp|TMP|g" || rc=$?
	[[ $rc -eq 0 ]] || echo "status $rc"
}

tree() {
	top=$tmp/$1
	mkdir -p "$top/class/vhost-blk" "$top/devices/vhost-blk"
}

# device N OWNER BACKEND STATE: a link in the class, as in sysfs
device() {
	local dir=$top/devices/vhost-blk/vhost-blk$1

	mkdir -p "$dir/queues"
	echo "$2" > "$dir/owner"
	echo "$3" > "$dir/backend"
	echo "$4" > "$dir/state"
	echo 0x100000200 > "$dir/features"
	echo "serial$1" > "$dir/serial"
	ln -s "../../devices/vhost-blk/vhost-blk$1" "$top/class/vhost-blk/"
}

# The histogram with COUNT in bucket N for each N=COUNT.
hist() {
	local -a bucket=()
	local i pair

	for ((i = 0; i < 36; i++)); do
		bucket[i]=0
	done
	for pair in "$@"; do
		bucket[${pair%=*}]=${pair#*=}
	done
	echo "${bucket[*]}"
}

# queue DEVICE/QUEUE [NAME=VALUE...]: all else is 0
attributes=$(sed -n 's|^What:.*/queues/M/||p' "$abi" | grep -vx stats)
zeros=$(hist)
queue() {
	local dir=$top/devices/vhost-blk/vhost-blk${1%/*}/queues/${1#*/} name

	mkdir -p "$dir/stats"
	for name in $attributes; do
		case $name in
		*_hist) echo "$zeros" ;;
		state) echo wait ;;
		*) echo 0 ;;
		esac > "$dir/$name"
	done
	change "$@"
}

# change DEVICE/QUEUE NAME=VALUE...
change() {
	local dir=$top/devices/vhost-blk/vhost-blk${1%/*}/queues/${1#*/} pair
	shift

	for pair in "$@"; do
		echo "${pair#*=}" > "$dir/${pair%%=*}"
	done
}

# Removed first in the class, as by device_del().
forget() {
	rm -f "$top/class/vhost-blk/vhost-blk$1"
	rm -rf "$top/devices/vhost-blk/vhost-blk$1"
}

# fields FILTER: jq, of which not every version writes 1.0 as 1
fields() {
	jq -c "$1" | sed -E 's/\.0($|[],])/\1/g'
}

nothing() { :; }

# What the queue of most tests has before and after two seconds.
before() {
	queue "$1" cpu=3 worker=4711 poll_ns=20000 in_flight=1 \
		stats/lifetime_ns=10000000000 stats/busy_ns=2000000000 \
		stats/halt_poll_success_ns=300000000 \
		stats/halt_poll_fail_ns=200000000 \
		stats/chains=5000 stats/read_requests=4000 \
		stats/read_bytes=16384000 stats/write_requests=900 \
		stats/write_bytes=3686400 stats/flush_requests=100 \
		stats/kicks=1000 stats/kicks_avoided=4000 \
		stats/interrupts_sent=3000 stats/interrupts_suppressed=500 \
		stats/latency_ns=1000000000 \
		stats/device_latency_ns=400000000 \
		stats/halt_attempted_poll=1000 \
		stats/halt_successful_poll=900 \
		stats/latency_hist="$(hist 17=4900 20=100)" \
		stats/device_latency_hist="$(hist 16=5000)" \
		stats/batch_hist="$(hist 0=2000 1=500)"
}

after() {
	change "$1" state=busy in_flight=3 \
		stats/lifetime_ns=12000000000 stats/busy_ns=2500000000 \
		stats/halt_poll_success_ns=500000000 \
		stats/halt_poll_fail_ns=300000000 \
		stats/chains=6000 stats/read_requests=4600 \
		stats/read_bytes=18841600 stats/write_requests=1290 \
		stats/write_bytes=29245440 stats/flush_requests=110 \
		stats/kicks=1100 stats/kicks_avoided=4900 \
		stats/interrupts_sent=3240 stats/interrupts_suppressed=560 \
		stats/latency_ns=1100000000 \
		stats/device_latency_ns=449500000 \
		stats/halt_attempted_poll=1200 \
		stats/halt_successful_poll=1050 \
		stats/latency_hist="$(hist 16=980 17=4920 20=100)" \
		stats/device_latency_hist="$(hist 15=900 16=5090)" \
		stats/batch_hist="$(hist 0=2100 1=800)"
}

export tmp attributes zeros
export -f queue change forget device hist nothing before after

#
# One queue with traffic and one without
#

tree none
rmdir "$top/class/vhost-blk"
result module_is_not_loaded "$(run nothing)" \
"vhost-blk-stat: no TMP/none/class/vhost-blk: modprobe vhost_blk
status 1"
tree unloaded
unload() { rmdir "$top/class/vhost-blk"; }
export -f unload
result module_is_unloaded_meanwhile "$(run unload 1 2)" \
"vhost-blk-stat: no TMP/unloaded/class/vhost-blk: modprobe vhost_blk
status 1"

tree empty
result no_device "$(run nothing 1 1)" "no queue"
result no_device_json "$(run nothing 1 1 --json)" \
'{"time": 1700001001.0, "interval": 1.0, "devices": [], "devices_hidden": 0, "queues": [], "queues_hidden": 0}'

one() {
	tree one
	forget 3
	device 3 1234 259:0 attached
	before 3/0
	queue 3/1 state=stopped cpu=-1
}
step_one() { after 3/0; }
export -f step_one
header="device       queue S  cpu   r/s   w/s   f/s  rMB/s  wMB/s    lat    p99    dev batch  hit% kick/s avoid/s irq/s supp/s  busy%  poll% inflight"

one
result every_column "$(run step_one 2 1)" \
"$header
vhost-blk3       0 b    3   300   195  5.00   1.23   12.8  100us  197us 50.0us  2.50  75.0   50.0     450   120   30.0   25.0   15.0        3
vhost-blk3       1 s    -     0     0     0      0      0      -      -      -     -     -      0       0     0      0    0.0    0.0        0"

one
result total "$(run step_one -t 2 1)" \
"device       queues S   owner    disk   r/s   w/s   f/s  rMB/s  wMB/s    lat    p99    dev batch  hit% kick/s avoid/s irq/s supp/s  busy%  poll% inflight
vhost-blk3        2 a    1234   259:0   300   195  5.00   1.23   12.8  100us  197us 50.0us  2.50  75.0   50.0     450   120   30.0   25.0   15.0        3"

one
result json "$(run step_one 2 1 --json --idle hide)" \
'{"time": 1700001002.0, "interval": 2.0, "devices": [{"device": "vhost-blk3", "queues": 2, "owner": 1234, "backend": "259:0", "state": "attached", "features": "0x100000200", "serial": "serial3", "in_flight": 3, "read_s": 300.0, "write_s": 195.0, "flush_s": 5.0, "read_bytes_s": 1228800.0, "write_bytes_s": 12779520.0, "kicks_s": 50.0, "kicks_avoided_s": 450.0, "interrupts_sent_s": 120.0, "interrupts_suppressed_s": 30.0, "busy_pct": 25.0, "poll_pct": 15.0, "latency_ns": 100000.0, "latency_p99_ns": 196608.0, "device_latency_ns": 50000.0, "batch": 2.5, "poll_hit_pct": 75.0, "idle": false}], "devices_hidden": 0, "queues": [{"device": "vhost-blk3", "queue": 0, "state": "busy", "cpu": 3, "worker": 4711, "poll_ns": 20000, "in_flight": 3, "seconds": 2.0, "read_s": 300.0, "write_s": 195.0, "flush_s": 5.0, "read_bytes_s": 1228800.0, "write_bytes_s": 12779520.0, "kicks_s": 50.0, "kicks_avoided_s": 450.0, "interrupts_sent_s": 120.0, "interrupts_suppressed_s": 30.0, "busy_pct": 25.0, "poll_pct": 15.0, "latency_ns": 100000.0, "latency_p99_ns": 196608.0, "device_latency_ns": 50000.0, "batch": 2.5, "poll_hit_pct": 75.0, "idle": false}], "queues_hidden": 1}'

# 99 % of 5000 are 4950: half of the bucket from 2^20 on.
one
result once "$(run step_one --once)" \
"$header
vhost-blk3       0 w    3   400  90.0  10.0   1.64   0.37  200us 1.57ms 80.0us  2.00  90.0    100     400   300   50.0   20.0    5.0        1
vhost-blk3       1 s    -     -     -     -      -      -      -      -      -     -     -      -       -     -      -      -      -        0"
result once_json "$(run step_one --once --json |
	fields '[.interval, (.queues[] | .seconds, .latency_p99_ns, .read_s)]')" \
	"[null,10,1572864,400,0,null,null]"
result once_takes_no_interval "$(run step_one --once 1 | tail -n 2)" \
"vhost-blk-stat: error: --once takes no interval
status 2"

one
result json_is_one_line_each "$(run step_one 0.5 3 --json |
	fields '[.time, .interval, .queues[0].read_s]')" \
"[1700001000.5,0.5,1200]
[1700001001,0.5,0]
[1700001001.5,0.5,0]"

one
result several_reports "$(run step_one 2 2 | cut -c 1-30)" \
"device       queue S  cpu   r/
vhost-blk3       0 b    3   30
vhost-blk3       1 s    -     

device       queue S  cpu   r/
vhost-blk3       0 b    3     
vhost-blk3       1 s    -     "

#
# Where p99 is
#

p99() {
	local got

	tree p99
	forget 0
	device 0 1 8:0 attached
	queue 0/0 stats/latency_hist="$(hist "$@")" stats/lifetime_ns=1
	got=$(run nothing --once --json)
	fields '.queues[0].latency_p99_ns' <<< "$got"
}
# One alone is at 99 % of its bucket, in whatever bucket it is.
result p99_in_a_bucket "$(p99 10=1; p99 0=1; p99 1=1; p99 34=100; p99 5=99 9=1;
	p99 5=98 9=2)" \
"2037.76
1.98
3.98
34187939676.16
64
768"
result p99_of_what_has_no_end "$(p99 35=7)" 34359738368

#
# Queues that come and go
#

lifelike() {
	tree life
	for i in 0 1 2 3; do
		forget "$i"
	done
	device 0 10 8:0 attached
	device 1 11 8:16 attached
	before 0/0
	before 0/1
	before 0/2
	before 1/0
}
# 0/0 steps back in time by less than a clock. 0/1 goes. 0/2 is a new one under
# an old number, with more counted than the old one. Device 1 is a new one in
# which less is counted; 2 appears.
step_life() {
	case $1 in
	1)
		change 0/0 stats/busy_ns=1999999990 \
			stats/lifetime_ns=11999999990
		rm -r "$top/devices/vhost-blk/vhost-blk0/queues/1"
		mv "$top/devices/vhost-blk/vhost-blk0/queues/2" "$tmp/old"
		before 0/2
		change 0/2 stats/read_requests=8000
		change 1/0 stats/read_requests=100 stats/read_bytes=200000 \
			stats/chains=100
		device 2 12 8:32 attached
		queue 2/0 stats/read_requests=20 ;;
	2)
		forget 1
		rm -rf "$tmp/old" ;;
	esac
}
export -f step_life
lifelike
result come_and_go "$(run step_life --json 2 2 |
	fields '.queues[] | [.device, .queue, .read_s, .busy_pct]')" \
'["vhost-blk0",0,0,0]
["vhost-blk0",2,4000,100]
["vhost-blk1",0,50,100]
["vhost-blk2",0,10,0]
["vhost-blk0",0,0,0]
["vhost-blk0",2,0,0]
["vhost-blk2",0,0,0]'

lifelike
result one_device "$(run step_life --json -d 1 2 2 |
	fields '[.devices[], .queues[] | .device]')" \
'["vhost-blk1","vhost-blk1"]
[]'
lifelike
result two_devices "$(run nothing --json --device vhost-blk1 -d 0 2 1 |
	fields '[.devices[].device]')" '["vhost-blk0","vhost-blk1"]'
result device_that_is_not_there "$(run nothing -d 7 1 1)" \
"vhost-blk-stat: no vhost-blk7 in TMP/life/class/vhost-blk
status 1"
result device_that_is_no_number "$(run nothing -d sda 1 1 | tail -n 2)" \
"vhost-blk-stat: error: argument -d/--device: sda is no number of a device
status 2"

lifelike
rm "$top/devices/vhost-blk/vhost-blk0/queues/1/stats/kicks"
result attribute_that_is_missing "$(run nothing 1 2 -d 0 | cut -c 1-25)" \
"vhost-blk-stat: TMP/life/
device       queue S  cpu
vhost-blk0       0 w    3
vhost-blk0       2 w    3

device       queue S  cpu
vhost-blk0       0 w    3
vhost-blk0       2 w    3"

#
# A hundred queues
#

tree hundred
device 9 20 8:0 attached
device 10 21 8:16 attached
device 11 22 8:32 detached
# cp: a hundred times faster than queue
queue 9/0
for ((i = 1; i < 50; i++)); do
	cp -r "$top/class/vhost-blk/vhost-blk9/queues/0" \
		"$top/class/vhost-blk/vhost-blk9/queues/$i"
done
cp -r "$top/class/vhost-blk/vhost-blk9/queues/." \
	"$top/class/vhost-blk/vhost-blk10/queues/"

# Two queues with traffic, one that waits for its disk, one that is damaged.
step_hundred() {
	local k=$1

	change 9/7 stats/chains=$((k * 30)) stats/read_requests=$((k * 30))
	change 10/2 stats/chains=$((k * 50)) stats/read_requests=$((k * 10)) \
		stats/write_requests=$((k * 40))
	change 10/3 in_flight=1
	change 9/49 state=damaged
}
export -f step_hundred
reset_hundred() {
	step_hundred 0
	change 10/3 in_flight=0
	change 9/49 state=wait
}

result idle_ones_are_hidden "$(run step_hundred 1 1 | cut -c 1-37 | sed "s/ *$//")" \
"device       queue S  cpu   r/s   w/s
vhost-blk9       7 w    0  30.0     0
vhost-blk9      49 D    0     0     0
vhost-blk10      2 w    0  10.0  40.0
vhost-blk10      3 w    0     0     0
96 idle queues not shown (--idle show"
reset_hundred
result idle_ones_are_shown "$(LINES=42 run step_hundred 1 1 --idle show |
	awk '{ print $1 }' | uniq -c | awk '{ print $1, $2 }')" \
"1 device
40 vhost-blk9
1 device
10 vhost-blk9
30 vhost-blk10
1 device
20 vhost-blk10"
reset_hundred
result json_hides_nothing "$(run step_hundred 1 1 --json |
	fields '[(.queues | length), .queues_hidden, (.devices | length)]')" \
	"[100,0,3]"
reset_hundred
result idle_devices "$(run step_hundred 1 1 -t --idle hide |
	cut -c 1-48)" \
"device       queues S   owner    disk   r/s   w/
vhost-blk9       50 a      20     8:0  30.0     
vhost-blk10      50 a      21    8:16  10.0  40.
1 idle device not shown (--idle show shows all)"
reset_hundred
result sort_by_rate "$(run step_hundred 1 1 --sort w/s,r/s |
	cut -c 1-37 | sed "s/ *$//")" \
"device       queue S  cpu   r/s   w/s
vhost-blk10      2 w    0  10.0  40.0
vhost-blk9       7 w    0  30.0     0
vhost-blk9      49 D    0     0     0
vhost-blk10      3 w    0     0     0
96 idle queues not shown (--idle show"
reset_hundred
result sort_by_name "$(run step_hundred 1 1 --sort queue,device --json |
	fields '[.queues[0, 1, 2, 99] | .device, .queue]')" \
	'["vhost-blk9",0,"vhost-blk10",0,"vhost-blk9",1,"vhost-blk10",49]'
result sort_by_nothing "$(run nothing --sort size | tail -n 2 |
	cut -c 1-46)" \
"vhost-blk-stat: error: no column size; there a
status 2"

#
# How it ends
#

interrupt() { [[ $1 -lt 3 ]] || kill -INT "$PPID"; }
export -f interrupt
tree empty
result interrupt_ends_it "$(run interrupt 1 | grep -v '^$')" \
"no queue
no queue"

pipe_status() {
	set +e
	STEP=nothing /usr/bin/python3 "$tmp/driver.py" "$tool" \
		--sysfs "$top" 1 500 2>"$tmp/err" | head -n 1
	echo "${PIPESTATUS[0]}"
	cat "$tmp/err"
}
result reader_that_leaves_ends_it "$(pipe_status)" \
"no queue
0"

exit $failed
