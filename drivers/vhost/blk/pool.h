/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The requests of a queue: all there will ever be, from its start to its stop.
 */
#ifndef VHOST_BLK_POOL_H
#define VHOST_BLK_POOL_H

#include <linux/types.h>

struct vhost_blk_vq;

int vhost_blk_pool_init(struct vhost_blk_vq *vq);
void vhost_blk_pool_show(struct vhost_blk_vq *vq);
void vhost_blk_pool_hide(struct vhost_blk_vq *vq);
void vhost_blk_pool_free(struct vhost_blk_vq *vq);
u64 vhost_blk_pool_oldest(const struct vhost_blk_vq *vq);

#endif /* VHOST_BLK_POOL_H */
