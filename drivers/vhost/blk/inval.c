// SPDX-License-Identifier: GPL-2.0-only
#include "inval.h"
#include "mem.h"
#include "vq.h"

#include <linux/rcupdate.h>

static bool vhost_blk_inval_concerns(const struct vhost_blk_inval *inval,
				     const struct mmu_notifier_range *range)
{
	const struct vhost_blk_mem *mem;
	bool ret;

	rcu_read_lock();
	mem = rcu_dereference(inval->mem);
	ret = mem && vhost_blk_mem_overlaps_hva(mem, range->start, range->end);
	rcu_read_unlock();
	return ret;
}

/*
 * Counts a change. @active is added to the number of those under way: all
 * count, for the memory table may be another one when a change ends.
 *
 * Context: whatever changes page tables, spinlocks perhaps held: no sleep.
 */
static void vhost_blk_inval_count(struct mmu_notifier *notifier,
				  const struct mmu_notifier_range *range,
				  s64 active)
{
	struct vhost_blk_inval *inval =
		container_of(notifier, struct vhost_blk_inval, notifier);
	bool concerns = vhost_blk_inval_concerns(inval, range);
	struct vhost_blk_vq *vq;

	/*
	 * A full barrier on both sides: at the start the count comes before the
	 * change of the page table, at the end after it, and always before the
	 * look at each cache. Pairs with the barriers in vhost_blk_tlb_flush()
	 * and vhost_blk_sleep().
	 */
	atomic64_add_return(active + (concerns ? VHOST_BLK_INVAL_ONE : 0),
			    &inval->count);
	if (!concerns)
		return;
	list_for_each_entry(vq, &inval->queues, inval_link)
		if (READ_ONCE(vq->tlb.nr))
			vhost_blk_vq_wake(vq);
}

static int vhost_blk_inval_range_start(struct mmu_notifier *notifier,
				       const struct mmu_notifier_range *range)
{
	vhost_blk_inval_count(notifier, range, 1);
	return 0;
}

static void vhost_blk_inval_range_end(struct mmu_notifier *notifier,
				      const struct mmu_notifier_range *range)
{
	vhost_blk_inval_count(notifier, range, -1);
}

static const struct mmu_notifier_ops vhost_blk_inval_ops = {
	.invalidate_range_start = vhost_blk_inval_range_start,
	.invalidate_range_end = vhost_blk_inval_range_end,
};

/**
 * vhost_blk_inval_init() - nothing is listened to yet
 * @inval: all zero
 */
void vhost_blk_inval_init(struct vhost_blk_inval *inval)
{
	inval->notifier.ops = &vhost_blk_inval_ops;
	INIT_LIST_HEAD(&inval->queues);
}

/**
 * vhost_blk_inval_add() - a queue is about to run
 * @inval: not started
 * @vq: the queue, prepared; stays until vhost_blk_inval_stop()
 *
 * Context: the device's mutex is held.
 */
void vhost_blk_inval_add(struct vhost_blk_inval *inval, struct vhost_blk_vq *vq)
{
	list_add_tail(&vq->inval_link, &inval->queues);
}

/**
 * vhost_blk_inval_start() - listen
 * @inval: not started, with its queues; none of them has run yet
 * @mm: the owner's address space
 * @mem: memory table
 *
 * Context: process, the device's mutex is held; sleeps.
 * Return: 0; -ENOMEM, -EINTR when the calling thread has a signal pending.
 */
int vhost_blk_inval_start(struct vhost_blk_inval *inval, struct mm_struct *mm,
			  const struct vhost_blk_mem *mem)
{
	int ret;

	RCU_INIT_POINTER(inval->mem, mem);
	atomic64_set(&inval->count, 0);
	ret = mmu_notifier_register(&inval->notifier, mm);
	if (ret)
		INIT_LIST_HEAD(&inval->queues);
	return ret;
}

/**
 * vhost_blk_inval_set_mem() - another memory table is in force
 * @inval: started or not
 * @mem: the new table
 *
 * Nobody looks at the old one when this returns. What the caches hold of it is
 * the caller's to drop.
 *
 * Context: the device's mutex is held; sleeps.
 */
void vhost_blk_inval_set_mem(struct vhost_blk_inval *inval,
			     const struct vhost_blk_mem *mem)
{
	rcu_assign_pointer(inval->mem, mem);
	synchronize_rcu();
}

/**
 * vhost_blk_inval_stop() - do not listen any more, forget the queues
 * @inval: started or not; none of its queues runs
 *
 * No queue is touched when this returns.
 *
 * Context: process, the device's mutex is held; sleeps.
 */
void vhost_blk_inval_stop(struct vhost_blk_inval *inval)
{
	if (inval->notifier.mm)
		mmu_notifier_unregister(&inval->notifier, inval->notifier.mm);
	inval->notifier.mm = NULL;
	RCU_INIT_POINTER(inval->mem, NULL);
	INIT_LIST_HEAD(&inval->queues);
}
