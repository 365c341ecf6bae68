#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Builds a small QEMU with vhost-blk in it, from Debian's source of a release.
#
#   qemu/build.sh 7.2|10.0 [OUTDIR]
#
# OUTDIR (default: in the cache folder) is the build directory; a second run
# builds only what changed. Binaries: qemu-system-x86_64, qemu-img, qemu-io
# and storage-daemon/qemu-storage-daemon. Some minutes on two cores; JOBS=1
# leaves the machine to others.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "$0")/lib.sh"

targets=(qemu-system-x86_64 qemu-img qemu-io
	 storage-daemon/qemu-storage-daemon)

# The newest source of that release that can be had.
get_source() {
	local release=$1 version

	if [[ ! -e $cache_dir/apt/sources.list ]]; then
		update_index
	fi
	while read -r version; do
		if fetch_source "$version" "$cache_dir/src/${version#*:}"; then
			echo "$cache_dir/src/${version#*:}"
			return 0
		fi
	done < <(source_versions | grep "^\([0-9]*:\)\?${release//./\\.}[.+]")
	die "Debian has no source of QEMU $release for this machine, only:" \
	    "$(source_versions | tr '\n' ' ')"
}

write_device_list() {
	local list=$1/configs/devices/x86_64-softmmu/vhost-blk.mak

	cat > "$list.new" <<-MAK
	CONFIG_PCI_DEVICES=n
	CONFIG_I440FX=y
	CONFIG_Q35=y
	CONFIG_PCIE_PORT=y
	CONFIG_VIRTIO_PCI=y
	CONFIG_VIRTIO_BLK=y
	CONFIG_VIRTIO_SCSI=y
	CONFIG_VIRTIO_NET=y
	CONFIG_VIRTIO_SERIAL=y
	CONFIG_VIRTIO_RNG=y
	CONFIG_VIRTIO_BALLOON=y
	CONFIG_VHOST_BLK=y
	CONFIG_VHOST_SCSI=y
	CONFIG_VHOST_USER_BLK=y
	CONFIG_NVME_PCI=y
	CONFIG_ISA_DEBUG=y
	CONFIG_PVPANIC_PCI=y
	MAK
	if cmp -s "$list.new" "$list"; then
		rm "$list.new"
	else
		mv "$list.new" "$list"
	fi
}

# Hard links: patch and install replace files, they do not write into them.
copy_tree() {
	[[ ! -e $2/.unpacked ]] || return 0
	rm -rf "$2"
	mkdir -p "$(dirname "$2")"
	cp -al "$1" "$2"
}

configure() {
	local src=$1 build=$2 cc="${CC:-cc}"

	[[ ! -e $build/build.ninja ]] || return 0
	if command -v ccache > /dev/null; then
		cc="ccache $cc"
	fi
	say "configuring (about 15 s)"
	configure_qemu "$src" "$build" --cc="$cc" \
		--without-default-features --without-default-devices \
		--with-devices-x86_64=vhost-blk --enable-kvm --enable-tcg \
		--enable-tools --enable-linux-io-uring --enable-linux-aio \
		--enable-vhost-kernel --enable-vhost-user \
		--enable-vhost-user-blk-server --enable-coroutine-pool \
		--enable-malloc-trim
}

compile() {
	local src=$1 build=$2

	say "compiling in $build"
	quietly "$build/ninja.log" nice -n 5 ninja -C "$build" \
		-j "${JOBS:-$(nproc)}" "${targets[@]}"
	if grep 'vhost-blk.*warning:' "$build/ninja.log" >&2; then
		touch "$src"/hw/*/vhost-blk*.c
		die "warnings in our files"
	fi
}

# Debian ships firmware in packages of its own.
link_firmware() {
	local share=$1/qemu-bundle/usr/share/qemu

	mkdir -p "$share"
	find /usr/share/qemu /usr/share/seabios -maxdepth 1 \
		\( -name '*.bin' -o -name '*.rom' \) \
		-exec ln -sf -t "$share" {} + 2> /dev/null || true
}

check() {
	local build=$1

	"$build/qemu-system-x86_64" -device help > "$build/devices.log" 2>&1 ||
		die "the new qemu-system-x86_64 does not run"
	grep -q '^name "vhost-blk-pci"' "$build/devices.log" ||
		die "the new qemu-system-x86_64 has no vhost-blk-pci"
	say "$("$build/qemu-system-x86_64" -version | head -n 1):" \
	    "$build/qemu-system-x86_64"
}

main() {
	local release=${1:-} src tree build

	[[ -n $release && -e $qemu_dir/patches/$release.patch ]] ||
		die "usage: build.sh 7.2|10.0 [OUTDIR]"
	build=$(realpath -m "${2:-$cache_dir/build-$release}")
	need "${source_packages[@]}"
	src=$(get_source "$release")
	tree=$cache_dir/patched/$(basename "$src")
	copy_tree "$src" "$tree"
	"$qemu_dir/apply.sh" "$tree"
	write_device_list "$tree"
	if grep -q disable-download "$tree/configure"; then
		use_meson 1.5 # also for ninja's own calls of it
	fi
	configure "$tree" "$build"
	compile "$tree" "$build"
	link_firmware "$build"
	check "$build"
}

main "$@"
