# SPDX-License-Identifier: GPL-2.0-only
# What people type. kbuild itself reads the file Kbuild.

KERNELRELEASE ?= $(shell uname -r)
KDIR ?= $(or $(wildcard /lib/modules/$(KERNELRELEASE)/build),\
	$(lastword $(shell ls -d /lib/modules/*/build 2>/dev/null | sort -V)))

all: modules
modules:
	@$(MAKE) -C $(KDIR) M=$(CURDIR) modules
clean:
	@$(MAKE) -C $(KDIR) M=$(CURDIR) clean
