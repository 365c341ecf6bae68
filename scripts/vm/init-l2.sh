#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# First and only program of the lab's guests (L2): loads the drivers and then
# executes what arrives on the virtio-serial port "lab.agent". guest.sh is the
# other end. One line per request, one line plus raw output per answer:
#
#   guest:  READY BOOT-ID                          once per boot
#   host:   ID LIMIT-SECONDS COMMAND		newline as \n, backslash as \\
#   host:   ID LIMIT-SECONDS +BYTES COMMAND, then these bytes, its input
#   guest:  DONE ID STATUS BYTES-OF-STDOUT BYTES-OF-STDERR, then these bytes
#
# Little is started here and few programs per request: that is what costs time.

export PATH=/bin:/sbin:/usr/bin HOME=/root TERM=dumb

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
exec </dev/console >/dev/console 2>&1
mkdir -p /dev/shm /root /run/agent
ln -s /proc/self/fd /dev/fd

log() {
	echo "guest: $*" > /dev/kmsg
}

read -r modules < /modules
# shellcheck disable=SC2086 # a list
modprobe -a $modules || log "cannot load $modules"
for alias in /sys/bus/virtio/devices/*/modalias; do
	read -r alias < "$alias"
	case $alias in
	virtio:d00000008*) modprobe -a virtio_scsi sd_mod ;;
	esac
done

# Only now, so that the many lines of a boot cost nothing.
dmesg -n 7

find_port() {
	for dir in /sys/class/virtio-ports/*; do
		read -r name 2>/dev/null < "$dir/name" || continue
		[ "$name" = "$1" ] || continue
		port=/dev/${dir##*/}
		return
	done
}

# run LIMIT: runs /run/agent/command with all that it starts in a session of
# its own, so that all of it can be killed when the time is up.
run() {
	rm -f /run/agent/late
	setsid sh /run/agent/command </run/agent/in \
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
	read -r boot < /proc/sys/kernel/random/boot_id
	printf '\nREADY %s\n' "$boot" >&3
	while read -r id limit text <&3; do
		[ -n "$text" ] || continue
		: > /run/agent/in
		case $text in
		+[0-9]*)
			bytes=${text%% *}
			text=${text#* }
			head -c "${bytes#+}" <&3 > /run/agent/in ;;
		esac
		printf '%b\n' "$text" > /run/agent/command
		run "$limit"
		status=$?
		# shellcheck disable=SC2046 # two numbers
		set -- $(stat -c %s /run/agent/out /run/agent/err)
		echo "DONE $id $status $1 $2" >&3
		[ "$1$2" = 00 ] || cat /run/agent/out /run/agent/err >&3
	done
	exec 3>&-
}

port=""
find_port lab.agent
if [ -z "$port" ]; then
	log "no virtio-serial port lab.agent"
	sh
	poweroff -f
fi
while :; do
	serve "$port"
	log "the agent's port was closed"
	sleep 1
done
