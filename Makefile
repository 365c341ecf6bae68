# SPDX-License-Identifier: GPL-2.0-only
#
# What people type; "make help" lists it. kbuild itself reads the file Kbuild.

VERSION = 0.1.0

# The kernel to build for: the running one if its headers are installed, else
# the newest headers there are. Expanded late: "make" may install them first.
KERNELRELEASE ?= $(shell uname -r)
headers = /lib/modules/$(KERNELRELEASE)/build
KDIR ?= $(shell ls -d $(headers) 2>/dev/null || \
	ls -d /lib/modules/*/build 2>/dev/null | sort -V | tail -n 1)
# What that kernel calls itself; KERNELRELEASE is only where to look for it.
release = $(shell sed -n 's/^.define UTS_RELEASE "\(.*\)"/\1/p' \
	$(KDIR)/include/generated/utsrelease.h)

# Where "make install" puts things.
INSTALL_MOD_PATH ?= $(DESTDIR)
INSTALL_MOD_DIR ?= updates
UDEV_RULES_DIR ?= /etc/udev/rules.d
MODULES_LOAD_DIR ?= /etc/modules-load.d
PREFIX ?= /usr/local
MAN_DIR ?= $(PREFIX)/share/man

udev_rule = $(DESTDIR)$(UDEV_RULES_DIR)/60-vhost-blk.rules
modules_load = $(DESTDIR)$(MODULES_LOAD_DIR)/vhost-blk.conf
stat_tool = $(DESTDIR)$(PREFIX)/sbin/vhost-blk-stat
stat_man = $(DESTDIR)$(MAN_DIR)/man8/vhost-blk-stat.8
modules_dir = $(INSTALL_MOD_PATH)/lib/modules/$(release)

# Options of "make bench", see scripts/bench/run.sh --help.
BENCH ?=

# Test groups of "make check": unit, qemu, host, vm; empty for all. Options of it, see
# selftests/run.sh --help.
GROUPS ?=
CHECK ?=

MAKEFLAGS += --no-print-directory
kbuild = $(MAKE) -C $(KDIR) M=$(CURDIR) VHOST_BLK_VERSION=$(VERSION)
# Scripts start builds of their own, which are none of this make's business.
run = env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL

# One after the other, because each may install packages; what they start runs
# in parallel under -j.
.NOTPARALLEL:

all: modules

help:
	@echo 'Build and install, version $(VERSION):'
	@echo '  all, modules     build vhost_blk.ko (default)'
	@echo '  install          install the module and vhost-blk-stat (root)'
	@echo '  uninstall        remove them again'
	@echo '  install-extra    install the udev rule (group kvm may use'
	@echo '                   /dev/vhost-blk) and load the module at boot'
	@echo '  uninstall-extra  remove them again'
	@echo '  qemu-plugin      build the QEMU device for the installed QEMU:'
	@echo '                   qemu/build/vhost-blk-pci.so'
	@echo '  clean            remove everything that was built'
	@echo
	@echo 'Try and test; no KVM and no loaded module needed:'
	@echo '  demo             a guest uses a vhost-blk disk, 3 to 6 minutes'
	@echo '  bench            the race against all other ways to a disk, 60'
	@echo '                   minutes; BENCH="--quick": 6'
	@echo '  check            all tests; GROUPS="unit qemu host vm" chooses'
	@echo '  check-debug      the same on a kernel with KASAN and lockdep,'
	@echo '                   built the first time'
	@echo '  check-lab        tests of the lab itself'
	@echo '  selftests        build the test programs'
	@echo '  bench-programs   build ring_bench and uring_bench, into'
	@echo '                   scripts/bench/chardev/build'
	@echo '  profile          instructions per request, by stage and function,'
	@echo '                   a minute'
	@echo '  check-profile    have they changed? against the reference'
	@echo '  lint             style and consistency of the sources'
	@echo
	@echo 'Debian packages that are missing are installed and named'
	@echo '(scripts/deps.sh). Variables:'
	@echo '  KDIR=            kernel headers or build tree; now:'
	@echo '                   $(or $(KDIR),none)'
	@echo '  KERNELRELEASE=   look for headers of this kernel first'
	@echo '  DESTDIR=, INSTALL_MOD_PATH=  install below this directory'
	@echo '  PREFIX=          where vhost-blk-stat goes; now: $(PREFIX)'
	@echo '  W=1 C=2 KCFLAGS= as for the kernel'

# Another distribution's packages are not ours to know: only ask for them where
# something is missing.
build-deps:
	@command -v $(CC) >/dev/null && [ -e "$(KDIR)/Makefile" ] || \
		scripts/deps.sh build

modules: build-deps
	@[ "$(origin KDIR)" != file ] || [ "$(KDIR)" -ef "$(headers)" ] || \
		echo "  no headers in $(headers): building for $(release)"
	+@$(kbuild) modules

install: modules
	+$(kbuild) modules_install INSTALL_MOD_PATH="$(INSTALL_MOD_PATH)" \
		INSTALL_MOD_DIR="$(INSTALL_MOD_DIR)" CONFIG_MODULE_SIG_ALL=
	@$(depmod)
	install -D -m 755 tools/vhost-blk-stat "$(stat_tool)"
	install -D -m 644 tools/vhost-blk-stat.8 "$(stat_man)"

uninstall:
	rm -f "$(modules_dir)/$(INSTALL_MOD_DIR)/drivers/vhost/blk/"vhost_blk.ko*
	@[ ! -d "$(modules_dir)/$(INSTALL_MOD_DIR)" ] || \
		find "$(modules_dir)/$(INSTALL_MOD_DIR)" -depth -type d \
			-empty -delete
	@$(depmod)
	rm -f "$(stat_tool)" "$(stat_man)"

# Nothing to index where the kernel itself is not installed (DESTDIR).
depmod = if [ -e "$(modules_dir)/modules.builtin" ]; then \
		echo "  DEPMOD  $(modules_dir)"; PATH="$$PATH:/usr/sbin:/sbin" \
			depmod -b "$(INSTALL_MOD_PATH)/" $(release); \
	else \
		echo "  no kernel in $(modules_dir): depmod not run"; \
	fi

install-extra:
	install -D -m 644 scripts/udev/60-vhost-blk.rules "$(udev_rule)"
	install -D -m 644 scripts/modules-load.d/vhost-blk.conf \
		"$(modules_load)"
	@$(udev_reload)

uninstall-extra:
	rm -f "$(udev_rule)" "$(modules_load)"
	@$(udev_reload)

# The rule also applies to a device that is there already.
udev_reload = [ -n "$(DESTDIR)" ] || ! command -v udevadm >/dev/null || { \
		udevadm control --reload && \
		udevadm trigger --subsystem-match=misc --sysname-match=vhost-blk; \
	} || echo "  udev is not running: nothing to reload"

qemu-plugin:
	@$(run) qemu/build-plugin.sh

selftests:
	@scripts/deps.sh selftests
	@$(MAKE) -C selftests

bench-programs:
	@scripts/deps.sh selftests
	@$(MAKE) -C scripts/bench/chardev

# The lab boots the kernel of the newest headers, whatever runs here.
check-modules:
	@scripts/deps.sh build lab
	@$(MAKE) modules KDIR="$$(scripts/vm/kernel.sh --kdir)"

check: check-modules qemu-plugin selftests
	@$(run) selftests/run.sh $(CHECK) $(GROUPS)

check-debug: qemu-plugin selftests
	@scripts/deps.sh build lab
	$(run) scripts/vm/debug-kernel.sh
	@$(run) selftests/run.sh --kernel debug $(CHECK) $(GROUPS)

check-lab:
	@scripts/deps.sh lab qemu selftests
	@$(run) scripts/vm/selftest.sh

demo:
	@$(run) scripts/demo/run.sh

bench:
	@$(run) scripts/bench/run.sh $(BENCH)

profile: check-modules
	@$(run) scripts/bench/profile/run.sh

check-profile: check-modules
	@$(run) scripts/bench/profile/check.sh

lint: build-deps
	@$(run) scripts/ci/lint.sh

clean:
	+@[ ! -e "$(KDIR)/Makefile" ] || $(kbuild) clean
	@$(MAKE) -C selftests clean
	@$(MAKE) -C scripts/bench/chardev clean
	@$(MAKE) -C scripts/bench/profile clean
	rm -rf qemu/build

.PHONY: all help build-deps modules install uninstall install-extra \
	uninstall-extra qemu-plugin selftests bench-programs check-modules \
	check check-debug check-lab demo bench profile check-profile lint clean
