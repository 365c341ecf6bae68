/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes of the owner's address space: counts those that touch guest memory
 * and tells the queues, whose translation caches may then be wrong.
 */
#ifndef VHOST_BLK_INVAL_H
#define VHOST_BLK_INVAL_H

#include <linux/list.h>
#include <linux/mmu_notifier.h>

#include "tlb.h"

struct vhost_blk_mem;
struct vhost_blk_vq;

/**
 * struct vhost_blk_inval - a device's view of its owner's address space
 * @notifier: how the kernel tells us; registered while queues run
 * @count: changes under way, in the bits of VHOST_BLK_INVAL_ACTIVE, and above
 *         them the number of those that touched guest memory
 * @mem: the memory table in force
 * @queues: queues that run; changes only while @notifier is not registered
 */
struct vhost_blk_inval {
	struct mmu_notifier notifier;
	atomic64_t count;
	const struct vhost_blk_mem __rcu *mem;
	struct list_head queues;
};

void vhost_blk_inval_init(struct vhost_blk_inval *inval);
void vhost_blk_inval_add(struct vhost_blk_inval *inval,
			 struct vhost_blk_vq *vq);
int vhost_blk_inval_start(struct vhost_blk_inval *inval, struct mm_struct *mm,
			  const struct vhost_blk_mem *mem);
void vhost_blk_inval_set_mem(struct vhost_blk_inval *inval,
			     const struct vhost_blk_mem *mem);
void vhost_blk_inval_stop(struct vhost_blk_inval *inval);

#endif /* VHOST_BLK_INVAL_H */
