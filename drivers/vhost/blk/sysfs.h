/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /sys/class/vhost-blk: what can be seen and tuned while disks are in use.
 *
 * Nobody who reads or writes a file here takes the device's mutex: that may be
 * held for as long as a disk takes to answer. So what is shown is read a word
 * at a time, and files can be removed with the mutex held.
 */
#ifndef VHOST_BLK_SYSFS_H
#define VHOST_BLK_SYSFS_H

struct vhost_blk_dev;

int vhost_blk_sysfs_register(void);
void vhost_blk_sysfs_unregister(void);

int vhost_blk_sysfs_init_dev(struct vhost_blk_dev *dev);
int vhost_blk_sysfs_add_dev(struct vhost_blk_dev *dev);
void vhost_blk_sysfs_del_dev(struct vhost_blk_dev *dev);
void vhost_blk_sysfs_put_dev(struct vhost_blk_dev *dev);

#endif /* VHOST_BLK_SYSFS_H */
