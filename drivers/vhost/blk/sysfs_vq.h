/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a queue shows of itself in /sys/class/vhost-blk, and lets be tuned; the
 * rules of sysfs.h hold.
 */
#ifndef VHOST_BLK_SYSFS_VQ_H
#define VHOST_BLK_SYSFS_VQ_H

struct vhost_blk_dev;
struct vhost_blk_vq;

void vhost_blk_sysfs_init_vq(struct vhost_blk_vq *vq);
int vhost_blk_sysfs_add_vq(struct vhost_blk_dev *dev, struct vhost_blk_vq *vq);
void vhost_blk_sysfs_put_vq(struct vhost_blk_vq *vq);

#endif /* VHOST_BLK_SYSFS_VQ_H */
