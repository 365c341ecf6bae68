#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# First and only program of the lab's guests (L2): loads the drivers and then
# executes what arrives on the virtio-serial port "lab.agent". guest.sh is the
# other end. One line per request, one line plus raw output per answer:
#
#   guest:  READY BOOT-ID                          once per boot
#   host:   ID LIMIT-SECONDS BASE64-OF-SHELL-COMMAND
#   guest:  DONE ID STATUS BYTES-OF-STDOUT BYTES-OF-STDERR, then these bytes

export PATH=/bin:/sbin:/usr/bin HOME=/root TERM=dumb
/bin/busybox --install -s /bin

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
exec </dev/console >/dev/console 2>&1
mkdir -p /dev/pts /dev/shm /root /run/agent
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t debugfs debugfs /sys/kernel/debug
ln -sfn /proc/self/fd /dev/fd
ln -sfn /proc/mounts /etc/mtab

log() {
	echo "guest: $*" > /dev/kmsg
}

while read -r module; do
	insmod "/modules/$module" || log "cannot load $module"
done < /modules/order

# Modules first, so that what they say about the disks is said above.
dmesg -n 7

find_port() {
	for dir in /sys/class/virtio-ports/*; do
		[ "$(cat "$dir/name" 2>/dev/null)" = "$1" ] || continue
		echo "/dev/${dir##*/}"
		return
	done
}

# run LIMIT: runs /run/agent/command with all that it starts in a session of
# its own, so that all of it can be killed when the time is up.
run() {
	rm -f /run/agent/late
	setsid sh /run/agent/command </dev/null \
		>/run/agent/out 2>/run/agent/err 3>&- &
	pid=$!
	(
		sleep "$1" &
		sleeper=$!
		trap 'kill $sleeper; exit' TERM
		wait $sleeper
		echo "guest: killed after $1 s" >>/run/agent/err
		: > /run/agent/late
		kill -9 -- -$pid
	) </dev/null >/dev/null 2>&1 3>&- &
	killer=$!
	wait $pid
	status=$?
	kill $killer 2>/dev/null
	wait $killer
	[ ! -e /run/agent/late ] || status=124
	return $status
}

serve() {
	exec 3<>"$1"
	printf '\nREADY %s\n' "$(cat /proc/sys/kernel/random/boot_id)" >&3
	while read -r id limit text <&3; do
		[ -n "$text" ] || continue
		echo "$text" | base64 -d > /run/agent/command
		run "$limit"
		status=$?
		echo "DONE $id $status $(stat -c %s /run/agent/out)" \
			"$(stat -c %s /run/agent/err)" >&3
		cat /run/agent/out /run/agent/err >&3
	done
	exec 3>&-
}

port=$(find_port lab.agent)
if [ -z "$port" ]; then
	log "no virtio-serial port lab.agent"
	setsid cttyhack sh
	poweroff -f
fi
while :; do
	serve "$port"
	log "the agent's port was closed"
	sleep 1
done
