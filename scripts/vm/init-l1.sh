#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# First program of the lab's host (L1), run by busybox in its initramfs: makes
# the root of the machine below this one its own, read-only with a tmpfs on
# top, mounts what a host has, and hands over to host.sh there. As much as
# possible happens here, because programs start quickly here and slowly there.

export PATH=/bin

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
exec </dev/console >/dev/console 2>&1

fail() {
	echo "lab: $*" > /dev/kmsg
	poweroff -f
}

warn() {
	echo "lab: $*" > /dev/kmsg
}

# try_mount TYPE SOURCE DIR [OPTIONS]
try_mount() {
	mkdir -p "$3"
	mount -t "$1" ${4:+-o "$4"} "$2" "$3" || warn "cannot mount $3"
}

read -r modules < /modules
# shellcheck disable=SC2086 # a list
modprobe -a $modules || fail "cannot load $modules"

mkdir -p /lower /upper /new
mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro \
	host /lower || fail "cannot mount the root over 9p"
mount -t tmpfs -o size=75%,mode=755 tmpfs /upper || fail "no tmpfs"
mkdir /upper/data /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work \
	overlay /new || fail "no overlay"

try_mount tmpfs tmpfs /dev/shm mode=1777
try_mount devpts devpts /dev/pts gid=5,mode=620,ptmxmode=666
ln -sfn pts/ptmx /dev/ptmx
ln -sfn /proc/self/fd /dev/fd
ln -sfn /proc/self/fd/0 /dev/stdin
ln -sfn /proc/self/fd/1 /dev/stdout
ln -sfn /proc/self/fd/2 /dev/stderr
try_mount debugfs debugfs /sys/kernel/debug
try_mount tracefs tracefs /sys/kernel/tracing
try_mount configfs configfs /sys/kernel/config
try_mount securityfs securityfs /sys/kernel/security
try_mount bpf bpf /sys/fs/bpf
try_mount cgroup2 cgroup2 /sys/fs/cgroup
hostname vhost-blk-lab
ip link set lo up || warn "no loopback interface"

arg() {
	sed -n "s/.*\<lab\.$1=\([^ ]*\).*/\1/p" /proc/cmdline
}

job=$(arg job)
kernel=$(arg kernel)
version=$(uname -r)

# Modules of the kernel that runs, wherever they are kept.
mkdir -p "/new/lib/modules/$version"
mount -o bind "/lower$kernel/lib/modules/$version" "/new/lib/modules/$version" ||
	warn "no modules in $kernel"
try_mount tmpfs tmpfs /new/run mode=755
mkdir -p /new/run/lock /new/root /new/out
if [ -n "$(arg out)" ]; then
	try_mount 9p out /new/out \
		trans=virtio,version=9p2000.L,msize=262144,cache=none
fi
for dir in proc sys dev; do
	mkdir -p "/new/$dir"
	mount -o move "/$dir" "/new/$dir" || fail "cannot move /$dir"
done
dmesg -n 7

[ -r "/new$job/host.sh" ] || fail "no $job/host.sh"
exec switch_root /new /bin/bash "$job/host.sh"
