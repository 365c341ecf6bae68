#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Prints the folder with qemu-plugin.h, the header for plugins that look at what
# is emulated, of the installed QEMU. It comes with the source only, which is
# fetched and kept in the cache folder.

set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "$0")/lib.sh"

need "${plugin_packages[@]}"
version=$(installed_source_version)
src=$cache_dir/src/${version#*:}
get_source "$version" "$src"
echo "$src/include/qemu"
