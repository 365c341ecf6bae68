#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Process 1 of the lab's host (L1) in its final root, after init-l1.sh: runs
# the command and reports how that ended. run.sh puts a copy of this file into
# the job's directory, next to
#   job.env   lab_* variables, and what the command finds in its environment
#   command   what to run (absent: interactive)
# shellcheck disable=SC2154 # lab_* come from job.env

here=${0%/*}
# shellcheck source=/dev/null
. "$here/job.env"

# lab_bin: programs that are quicker to start than those of the same name.
export PATH=$lab_bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 LC_ALL=C.UTF-8 DM_DISABLE_UDEV=1

lab_log() {
	echo "lab: $*" > /dev/kmsg
}

# Process 1 must not end, and no program can be started any more once the
# devices are being shut down.
power_off() {
	local never

	exec {never}<> <(:)
	echo o > /proc/sysrq-trigger
	while :; do
		read -r -t 60 -u "$never"
	done
}

trap power_off EXIT

# Sets port_device to the device of the virtio-serial port NAME.
find_port() {
	local dir name

	for dir in /sys/class/virtio-ports/*; do
		if read -r name < "$dir/name" && [[ $name == "$1" ]]; then
			port_device=/dev/${dir##*/}
			return 0
		fi
	done
	lab_log "no virtio-serial port $1"
	return 1
}

# Shortly before our time is up, put on the console what everybody waits for.
# The limit counts from the start of QEMU, some seconds before our clock does.
dump_before_limit() {
	local uptime rest

	read -r uptime rest < /proc/uptime
	rest=$((lab_limit - ${uptime%.*} - 20))
	((rest > 0)) || return 0
	(
		trap - EXIT
		sleep "$rest"
		lab_log "time is nearly up; blocked tasks and running CPUs:"
		echo w > /proc/sysrq-trigger
		echo l > /proc/sysrq-trigger
	) </dev/null >/dev/null 2>&1 &
}

# A sign of life every five seconds. Where time counts instructions it would count, too.
give_signs_of_life() {
	[[ -z $lab_icount ]] || return 0
	find_port lab.alive || return
	(
		trap - EXIT
		exec {never}<> <(:)
		while echo; do
			read -r -t 5 -u "$never" || true
		done
	) > "$port_device" </dev/null 2>/dev/null &
}

# A process left behind may keep the pipe to the copier open: wait for it, but
# not for ever.
wait_copier() {
	local never tries

	exec {never}<> <(:)
	for ((tries = 0; tries < 60; tries++)); do
		kill -0 "$1" 2>/dev/null || return
		read -r -t 0.05 -u "$never" || true
	done
	lab_log "a process that the command left holds its output open"
}

run_command() {
	local verdict status copier fd

	find_port lab.verdict || return
	verdict=$port_device
	give_signs_of_life || return
	find_port lab.out || return
	dump_before_limit
	# Through a pipe, so that the command can open /dev/stderr again.
	exec {fd}> >(trap - EXIT; exec cat > "$port_device")
	copier=$!
	lab_log "command starts"
	(
		trap - EXIT
		cd "$lab_tree" || exit 125
		exec >&"$fd" 2>&1 </dev/null {fd}>&-
		# shellcheck source=/dev/null
		. "$here/command"
	)
	status=$?
	exec {fd}>&-
	wait_copier "$copier"
	lab_log "command ended with status $status"
	echo "$lab_token $status" > "$verdict"
}

run_shell() {
	cd "$lab_tree" || return
	export TERM=$lab_term
	stty sane rows "$lab_rows" cols "$lab_cols"
	cat > /run/bashrc <<-'RC'
	[[ ! -r /etc/bash.bashrc ]] || . /etc/bash.bashrc
	PS1='\[\e[1;32m\]L1\[\e[0m\]:\w\$ '
	alias ll='ls -l'
	RC
	echo "This is L1, Linux $(uname -r), on a copy-on-write view of the" \
		"machine below."
	echo "The module: \$VHOST_BLK_KO. Leave with exit, kill with Ctrl-A X."
	setsid --ctty --wait bash --rcfile /run/bashrc -i
}

if [[ -e $here/command ]]; then
	run_command
else
	run_shell <>/dev/ttyS0 >&0 2>&1
fi
power_off
