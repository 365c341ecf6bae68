// SPDX-License-Identifier: GPL-2.0-only
#include "pool.h"
#include "exact.h"
#include "req.h"
#include "vq.h"

#include <linux/overflow.h>
#include <linux/rcupdate.h>

/**
 * vhost_blk_pool_init() - allocate the requests of a queue
 * @vq: the queue, its size set
 *
 * One for each entry of the ring; a driver that keeps to the rules never has
 * more under way.
 *
 * Context: process, may sleep.
 * Return: 0 or -ENOMEM.
 */
int vhost_blk_pool_init(struct vhost_blk_vq *vq)
{
	unsigned int i;

	vq->reqs =
		vhost_blk_exact_alloc(array_size(vq->num, sizeof(*vq->reqs)));
	if (!vq->reqs)
		return -ENOMEM;

	INIT_LIST_HEAD(&vq->retry);
	INIT_LIST_HEAD(&vq->polled);
	vq->free = NULL;
	for (i = vq->num; i--;) {
		vq->reqs[i].vq = vq;
		vq->reqs[i].next = vq->free;
		vq->free = &vq->reqs[i];
	}
	return 0;
}

/**
 * vhost_blk_pool_show() - let sysfs look at the requests
 * @vq: the queue, about to run
 */
void vhost_blk_pool_show(struct vhost_blk_vq *vq)
{
	rcu_assign_pointer(vq->shown, vq->reqs);
}

/**
 * vhost_blk_pool_hide() - let nobody but the worker look at the requests
 * @vq: the queue
 *
 * Who is looking is done after an RCU grace period.
 */
void vhost_blk_pool_hide(struct vhost_blk_vq *vq)
{
	RCU_INIT_POINTER(vq->shown, NULL);
}

/**
 * vhost_blk_pool_free() - free the requests of a queue
 * @vq: the queue; nothing is in flight, and nobody looks at it
 */
void vhost_blk_pool_free(struct vhost_blk_vq *vq)
{
	vhost_blk_exact_free(vq->reqs, array_size(vq->num, sizeof(*vq->reqs)));
	vq->reqs = NULL;
}

/**
 * vhost_blk_pool_oldest() - when was the oldest request under way taken?
 * @vq: the queue
 *
 * Context: any.
 * Return: the time in ns, 0 when none is under way.
 */
u64 vhost_blk_pool_oldest(const struct vhost_blk_vq *vq)
{
	const struct vhost_blk_req *reqs;
	u64 taken, oldest = 0;
	unsigned int i;

	rcu_read_lock();
	reqs = rcu_dereference(vq->shown);
	for (i = 0; reqs && i < vq->num; i++) {
		taken = READ_ONCE(reqs[i].taken);
		if (taken && (!oldest || taken < oldest))
			oldest = taken;
	}
	rcu_read_unlock();
	return oldest;
}
