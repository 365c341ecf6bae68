#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds the device for the installed QEMU: qemu/build/vhost-blk-pci.so
#
#   qemu/build-plugin.sh            build it if something changed
#   qemu/build-plugin.sh --force    build it in any case
#
# Loaded with
#   qemu-system-x86_64 -plugin .../vhost-blk-pci.so -device vhost-blk-pci,...
# The device needs the headers of exactly that QEMU: they come from Debian's
# source package and are kept in the cache folder.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "$0")/lib.sh"

binary=/usr/bin/qemu-system-x86_64
out=$qemu_dir/build/vhost-blk-pci.so
sources=(hw/block/vhost-blk.c hw/block/vhost-blk-backing.c
	 hw/virtio/vhost-blk-pci.c plugin/plugin.c)

# Everything that decides what the result is made of.
fingerprint() {
	"$binary" -version
	(cd "$root_dir" && sha256sum qemu/build-plugin.sh qemu/lib.sh \
		"${sources[@]/#/qemu/}" qemu/include/hw/virtio/*.h \
		include/uapi/linux/vhost_blk.h)
}

up_to_date() {
	[[ -e $out && -x $binary ]] &&
		fingerprint | cmp -s - "$out.built-from"
}

# "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)"
running_version() {
	"$binary" -version | sed -n 's/^QEMU emulator version \([0-9.]*\).*/\1/p'
}

running_package() {
	"$binary" -version | sed -n '1s/.*(\(.*\))$/\1/p'
}

prepare_headers() {
	local src=$1 build=$2

	[[ ! -e $build/.configured ]] || return 0
	say "configuring (about 20 s)"
	configure_qemu "$src" "$build" --without-default-features \
		--enable-kvm --enable-tcg --enable-vhost-kernel
	# Asking for one of the generated headers makes all of QAPI's.
	(cd "$build" && quietly "$build/generate.log" \
		ninja qapi/qapi-types-error.h)
	touch "$build/.configured"
}

# The compiler flags that QEMU uses for its own virtio code, one per line.
compiler_flags() {
	python3 - "$1/compile_commands.json" <<-'PY'
	import json, shlex, sys

	entry = next(e for e in json.load(open(sys.argv[1]))
	             if e["file"].endswith("hw/virtio/virtio.c"))
	args = shlex.split(entry["command"])
	while not args[0].startswith("-"):
	    args.pop(0)
	skip = 0
	for arg in args:
	    if skip:
	        skip -= 1
	    elif arg in ("-o", "-MF", "-MQ", "-c"):
	        skip = 1
	    elif arg not in ("-MD", "-fPIE"):
	        print(arg)
	PY
}

compile() {
	local build=$1 version=$2 pkg=$3
	local -a flags

	mapfile -t flags < <(compiler_flags "$build")
	((${#flags[@]} > 0)) || die "no compiler flags in $build"
	say "compiling $(basename "$out") for qemu $version ($pkg)"
	mkdir -p "$(dirname "$out")"
	(cd "$build" && "${CC:-cc}" "${flags[@]}" -Wall -Werror -fPIC -shared \
		-fvisibility=hidden -Wl,-z,lazy -DVHOST_BLK_PLUGIN \
		-DPLUGIN_TARGET='"x86_64"' -DPLUGIN_PACKAGE="\"$pkg\"" \
		-iquote "$qemu_dir/include" \
		-isystem "$root_dir/include/uapi" \
		"${sources[@]/#/$qemu_dir/}" -o "$out.new")
}

# Every function that the device wants must be in the binary.
check_symbols() {
	local missing

	missing=$(comm -23 <(nm -D --undefined-only "$out.new" |
			awk '$1 == "U" && $2 !~ /@/ { print $2 }' | sort -u) \
		<(nm -D --defined-only "$binary" |
			awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u))
	missing=$(grep -v '^g_' <<< "$missing" || true)
	[[ -z $missing ]] || die "$binary does not export:" "$missing"
}

check_loads() {
	local log=$out.log

	if ! echo quit | timeout 60 "$binary" -M none -accel tcg -nodefaults \
			-display none -monitor stdio -plugin "$out.new" \
			> "$log" 2>&1; then
		cat "$log" >&2
		die "$binary does not load $out.new"
	fi
	rm -f "$log"
}

main() {
	local source_version src build

	if [[ ${1:-} != --force ]] && up_to_date; then
		return 0
	fi
	need "${plugin_packages[@]}"
	[[ -x $binary ]] || die "no $binary (Debian package $package)"
	source_version=$(installed_source_version)
	[[ -n $(running_package) ]] ||
		die "$binary is not Debian's: build one with qemu/build.sh"
	src=$cache_dir/src/${source_version#*:}
	build=$cache_dir/plugin/${source_version#*:}

	get_source "$source_version" "$src"
	[[ $(< "$src/VERSION") == "$(running_version)" ]] ||
		die "source is $(< "$src/VERSION"), $binary is" \
		    "$(running_version): reinstall $package"
	prepare_headers "$src" "$build"
	compile "$build" "$(running_version)" "$(running_package)"
	check_symbols
	check_loads
	mv "$out.new" "$out"
	fingerprint > "$out.built-from"
	say "built ${out#"$root_dir"/} ($(stat -c %s "$out") bytes)"
}

main "$@"
