// SPDX-License-Identifier: GPL-2.0-only
#include "ioctl.h"
#include "place.h"

#include <linux/module.h>

#ifndef VHOST_BLK_VERSION
#define VHOST_BLK_VERSION "0"
#endif

static char *vhost_blk_cpus;
module_param_named(cpus, vhost_blk_cpus, charp, 0444);
MODULE_PARM_DESC(cpus, "CPUs for the workers, as 2-5,8 (default: the owner's)");

static int __init vhost_blk_init(void)
{
	int ret;

	ret = vhost_blk_place_init(vhost_blk_cpus);
	if (ret)
		return ret;
	return vhost_blk_ioctl_register();
}

static void __exit vhost_blk_exit(void)
{
	vhost_blk_ioctl_unregister();
}

module_init(vhost_blk_init);
module_exit(vhost_blk_exit);

MODULE_LICENSE("GPL");
MODULE_VERSION(VHOST_BLK_VERSION);
MODULE_DESCRIPTION("virtio-blk backend for KVM guests");
