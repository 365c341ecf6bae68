// SPDX-License-Identifier: GPL-2.0-only
#include "cgroup.h"
#include "ioctl.h"
#include "place.h"
#include "sysfs.h"

#include <linux/module.h>

#ifndef VHOST_BLK_VERSION
#define VHOST_BLK_VERSION "0"
#endif

static char *vhost_blk_cpus;
module_param_named(cpus, vhost_blk_cpus, charp, 0444);
MODULE_PARM_DESC(cpus, "CPUs for the workers, as 2-5,8 (default: the owner's)");

static char *vhost_blk_cores;
module_param_named(cores, vhost_blk_cores, charp, 0444);
MODULE_PARM_DESC(cores,
		 "all: use all of cpus=; auto: as many as the load needs");

static int __init vhost_blk_init(void)
{
	int ret;

	ret = vhost_blk_place_init(vhost_blk_cpus, vhost_blk_cores);
	if (ret)
		return ret;
	vhost_blk_cgroup_init();
	ret = vhost_blk_sysfs_register();
	if (ret)
		goto exit_cgroup;
	ret = vhost_blk_ioctl_register();
	if (ret)
		goto unregister_sysfs;
	return 0;

unregister_sysfs:
	vhost_blk_sysfs_unregister();
exit_cgroup:
	vhost_blk_cgroup_exit();
	vhost_blk_place_exit();
	return ret;
}

static void __exit vhost_blk_exit(void)
{
	vhost_blk_ioctl_unregister();
	vhost_blk_sysfs_unregister();
	vhost_blk_cgroup_exit();
	vhost_blk_place_exit();
}

module_init(vhost_blk_init);
module_exit(vhost_blk_exit);

MODULE_LICENSE("GPL");
MODULE_VERSION(VHOST_BLK_VERSION);
MODULE_DESCRIPTION("virtio-blk backend for KVM guests");
