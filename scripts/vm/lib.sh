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

# lab_version DIR: the version of the kernel in DIR.
lab_version() {
	(cd "$1/lib/modules" && echo *)
}

# lab_image DIR: prints the file to boot of the kernel in DIR: the one in its
# bzImage, unpacked, if it has the entry point for that.
lab_image() {
	local image=$1/vmlinux-boot

	if [[ ! $image -nt $1/bzImage ]]; then
		lab_lock image
	fi
	if [[ ! $image -nt $1/bzImage ]]; then
		"$lab_dir/extract-vmlinux.sh" "$1/bzImage" "$image.full" &&
			"$lab_dir/lean-elf.pl" kernel "$image.full" \
				"$image.new" || return
		rm -f "$image.full"
		# The note: sizes 4 and 8, type 18 (entry point), owner Xen.
		if ! LC_ALL=C grep -qaP \
			'\x04\0\0\0\x08\0\0\0\x12\0\0\0Xen\0' "$image.new"; then
			cp "$1/bzImage" "$image.new"
		fi
		mv "$image.new" "$image"
	fi
	echo "$image"
}

# lab_splats LOG [ALLOWED]: prints the lines of a console log that tell of a
# broken kernel, but for those that match ALLOWED; fails if there is none.
lab_splats() {
	local stamp='^(\[[^]]*\] ?)*'
	local what='(BUG: |WARNING: |Oops|Kernel panic|general protection'
	what+='|kernel BUG at|kernel tried to|Unable to handle|Internal error'
	what+='|INFO: task .* blocked for more|INFO: rcu|rcu: INFO'
	what+='|watchdog: BUG|KASAN|UBSAN|KCSAN|kmemleak: [0-9]+'
	what+='|refcount_t:|list_(add|del) corruption|DMA-API: )'

	grep -aE "$stamp$what" "$1" |
		if [[ -n ${2:-} ]]; then
			grep -avE "$2"
		else
			cat
		fi
}

# lab_lost LOG: says why the end of this machine is the emulator's doing; fails if it is
# not. Either all its CPUs stopped and none of them is in the module; or one of them took
# an interrupt between VMRUN and VMLOAD, where hardware has its global interrupt flag
# off: the host then runs with what the guest had in GS, and faults until its stack ends.
lab_lost() {
	local module='[+]0x[0-9a-f]+/0x[0-9a-f]+ \[vhost_blk\]' crash

	if grep -qax 'lab: stood still' "$1"; then
		! grep -qaE "$module" "$1" || return
		echo "it stood still outside the module"
		return
	fi
	# After this line comes what the other CPUs were doing, workers among them.
	crash=$(sed '/Kernel panic/q' "$1" | tr -d '\0')
	! grep -qE "$module" <<<"$crash" &&
		grep -q 'BUG: TASK stack guard page was hit' <<<"$crash" &&
		grep -qE 'RIP: 0010:(asm_)?(exc_page_fault|error_entry)[+]' \
			<<<"$crash" &&
		grep -qE 'Comm: (qemu-system-|CPU [0-9]+/KVM)' <<<"$crash" &&
		echo "it was interrupted with its guest's registers"
}
