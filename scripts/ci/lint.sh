#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Checks style and consistency of the sources: one function for each rule.
#
#   scripts/ci/lint.sh           all rules
#   scripts/ci/lint.sh RULE...   these
#   scripts/ci/lint.sh --list    their names
#
# All rules run; those that failed are named at the end. Looks at files that git
# knows and at new ones that it would not ignore.

set -euo pipefail
cd "$(dirname "$0")/../.."

rules=(clang_format checkpatch kernel_doc versions includes length messages
       parameters abi uapi_header example spdx spelling shell rst workplace
       leftovers)

# files PATTERN...: what git lists and what is there (not deleted).
files() {
	git ls-files -co --exclude-standard -- "$@" |
		while IFS= read -r file; do
			[[ ! -f $file ]] || echo "$file"
		done
}

# none PATTERN FILE...: prints the lines that match and fails if any does.
none() {
	! grep -nHE -- "$@" /dev/null
}

# Shell scripts, by name or by first line.
scripts() {
	local file first

	while IFS= read -r file; do
		first=""
		IFS= read -r first < "$file" || true
		if [[ $file == *.sh || $first =~ ^#!.*[/\ ](ba)?sh$ ]]; then
			echo "$file"
		fi
	done < <(files .)
}

# Tracepoint headers have a layout of their own.
rule_clang_format() {
	local -a list

	mapfile -t list < <(files 'drivers/*.[ch]' 'include/*.[ch]' \
		':!*/trace.h')
	clang-format --dry-run -Werror "${list[@]}"
}

rule_checkpatch() {
	local dir
	local -a list

	dir=$(scripts/linux-source.sh --scripts) || return
	mapfile -t list < <(files 'drivers/*.[ch]' 'include/*.[ch]' \
		':!*/trace.h')
	"$dir/checkpatch.pl" --terse --show-types --no-summary -f "${list[@]}"
}

rule_kernel_doc() {
	local dir
	local -a list

	dir=$(scripts/linux-source.sh --scripts) || return
	mapfile -t list < <(files 'drivers/*.[ch]' 'include/*.[ch]')
	"$dir/kernel-doc" -none -Werror "${list[@]}"
}

# What differs between kernels is in compat.h.
rule_versions() {
	local -a list

	mapfile -t list < <(files 'drivers/*.[ch]' 'include/*.[ch]' \
		':!*/compat.h')
	none 'LINUX_VERSION_CODE|KERNEL_VERSION\(|<linux/version\.h>' \
		"${list[@]}"
}

rule_includes() {
	/usr/bin/python3 scripts/ci/check-includes.py drivers/vhost/blk
}

# A file of more than 500 lines has a second subject.
rule_length() {
	local file lines status=0

	while IFS= read -r file; do
		lines=$(wc -l < "$file")
		if ((lines > 500)); then
			echo "$file: $lines lines"
			status=1
		fi
	done < <(files 'drivers/*.[ch]')
	return "$status"
}

# A guest must not be able to fill the host's log.
rule_messages() {
	local -a list

	mapfile -t list < <(files \
		drivers/vhost/blk/{ring,hold,cmd,req,bio,worker}.c)
	none '\b(pr_[a-z_]+|printk[a-z_]*|dev_(emerg|crit|err|warn|notice|info|dbg))[[:space:]]*\(' \
		"${list[@]}"
}

rule_parameters() {
	local name status=0

	while IFS= read -r name; do
		if ! grep -qF -- "\`\`$name\`\`" \
			Documentation/virt/vhost-blk/*.rst; then
			echo "module parameter $name is not in" \
				"Documentation/virt/vhost-blk"
			status=1
		fi
	done < <(files 'drivers/*.c' | xargs grep -hoE \
		'^module_param(_named|_cb|_array|_string)?\([a-z_0-9]+' |
		sed 's/.*(//')
	return "$status"
}

# sysfs and its documentation.
rule_abi() {
	/usr/bin/python3 scripts/ci/check-abi.py
}

# For C and C++ programs, without any other header before it. The macro keeps
# functions out of <linux/virtio_ring.h> that are no C++.
rule_uapi_header() {
	local header

	while IFS= read -r header; do
		gcc -x c -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only \
			-Iinclude/uapi "$header" &&
		g++ -x c++ -std=c++11 -Wall -Wextra -Werror -fsyntax-only \
			-DVIRTIO_RING_NO_LEGACY -Iinclude/uapi "$header" ||
			return
	done < <(files 'include/uapi/*.h')
}

# The programs in the documentation.
rule_example() {
	local file

	while IFS= read -r file; do
		gcc -std=gnu11 -Wall -Wextra -Werror -fsyntax-only \
			-Iinclude/uapi "$file" || return
	done < <(files 'Documentation/*.c')
}

rule_spdx() {
	local file status=0

	while IFS= read -r file; do
		if ! head -n 3 "$file" | grep -q 'SPDX-License-Identifier: '; then
			echo "$file: no SPDX line"
			status=1
		fi
	done < <(files . ':!COPYING')
	return "$status"
}

rule_spelling() {
	local -a list

	mapfile -t list < <(files . ':!COPYING')
	codespell --ignore-words-list inflight,creat,nd "${list[@]}"
}

rule_shell() {
	local -a list

	mapfile -t list < <(scripts)
	shellcheck -x "${list[@]}"
}

rule_rst() {
	local -a list

	mapfile -t list < <(files '*.rst')
	/usr/bin/python3 scripts/ci/check-rst.py "${list[@]}"
}

# Paths of the machine that somebody happened to work on.
rule_workplace() {
	local -a list

	mapfile -t list < <(files . ':!COPYING')
	none '(^|[^A-Za-z0-9_.$})*-])/(home|Users|root|work|workspace|builds)/' \
		"${list[@]}"
}

rule_leftovers() {
	local -a list

	mapfile -t list < <(files . ':!COPYING' ':!*.png' ':!scripts/ci/lint.sh')
	none '\b(TODO|FIXME|XXX|HACK)\b|^(<<<<<<<|>>>>>>>)' "${list[@]}"
}

main() {
	local rule output
	local -a failed=()

	case ${1:-} in
	--list)
		printf '%s\n' "${rules[@]}"
		exit ;;
	-h | --help)
		sed -n '4,11s/^# \{0,1\}//p' "$0"
		exit ;;
	esac
	scripts/deps.sh lint

	for rule in "${@:-${rules[@]}}"; do
		if [[ " ${rules[*]} " != *" $rule "* ]]; then
			echo "lint: no rule $rule" >&2
			exit 2
		fi
		if output=$("rule_$rule" 2>&1); then
			echo "  ok      $rule"
		else
			echo "  FAILED  $rule"
			printf '%s\n' "$output" | sed 's/^/    /'
			failed+=("$rule")
		fi
	done
	if ((${#failed[@]})); then
		echo "lint: failed: ${failed[*]}"
		exit 1
	fi
	echo "lint: clean"
}

main "$@"
