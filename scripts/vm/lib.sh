# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the scripts of the lab share on the machine that starts it.

# shellcheck disable=SC2034 # used by those who source this
lab_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lab_root=$(cd "$lab_dir/../.." && pwd)
lab_cache="${VHOST_BLK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vhost-blk}"

lab_say() {
	echo "${0##*/}: $*" >&2
}

lab_die() {
	lab_say "$*"
	exit 125
}

# lab_lock NAME: one process at a time builds NAME in the cache; held until
# the shell that called this ends.
lab_lock() {
	local fd

	mkdir -p "$lab_cache"
	exec {fd}>"$lab_cache/.lock-$1"
	flock -w 600 "$fd" || lab_die "someone else holds $lab_cache/.lock-$1"
}
