/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The way back to the driver: showing it what is complete, and interrupting it.
 */
#ifndef VHOST_BLK_CALL_H
#define VHOST_BLK_CALL_H

#include <linux/types.h>

struct vhost_blk_vq;

void vhost_blk_call_publish(struct vhost_blk_vq *vq);
bool vhost_blk_call_release(struct vhost_blk_vq *vq);
void vhost_blk_call_release_if_due(struct vhost_blk_vq *vq, u64 now);

#endif /* VHOST_BLK_CALL_H */
