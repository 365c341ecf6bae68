/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The thread that serves a virtqueue.
 */
#ifndef VHOST_BLK_WORKER_H
#define VHOST_BLK_WORKER_H

struct task_struct;
struct vhost_blk_vq;

struct task_struct *vhost_blk_worker_create(struct vhost_blk_vq *vq);

#endif /* VHOST_BLK_WORKER_H */
