/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sleep of a worker.
 */
#ifndef VHOST_BLK_SLEEP_H
#define VHOST_BLK_SLEEP_H

#include <linux/types.h>

struct vhost_blk_vq;

void vhost_blk_sleep(struct vhost_blk_vq *vq, u32 ns,
		     bool (*ready)(const struct vhost_blk_vq *vq));

#endif /* VHOST_BLK_SLEEP_H */
