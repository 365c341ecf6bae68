// SPDX-License-Identifier: GPL-2.0-only
/*
 * A worker that sleeps while its only request is with the disk would be woken
 * just to say that it is done. Where nothing of that can sleep, who ends the
 * request says it, in the worker's place: the ring is mapped and the pages of a
 * small request are pinned, so no page of the owner has to be looked for.
 *
 * What belongs to the worker belongs to whoever moves vq->sleeping away from
 * VHOST_BLK_ASLEEP. The worker, woken meanwhile, waits until it is back there,
 * so interrupts are off in between.
 */
#include "direct.h"
#include "call.h"
#include "req.h"
#include "vq.h"

#include <linux/irqflags.h>
#include <uapi/linux/virtio_blk.h>

/*
 * Nothing waits for a request of the queue to end but the driver: the worker
 * may take chains and sleeps for want of them, and not just until an interrupt
 * is due that it holds.
 */
static bool vhost_blk_direct_nobody_waits(const struct vhost_blk_vq *vq)
{
	return !vq->hold.held && !vq->nr_retry && !vq->stalled &&
	       !vq->refused && !vq->settle && !vq->broken && vq->free &&
	       !READ_ONCE(vq->stopping) && llist_empty(&vq->done);
}

/* Its data lies in the cache alone, and no page there is to be dropped. */
static bool vhost_blk_direct_is_small(const struct vhost_blk_req *req)
{
	const struct vhost_blk_tlb *tlb = &req->vq->tlb;
	unsigned int i;

	if (!req->nr_cached || req->first.bio.bi_status)
		return false;
	for (i = 0; i < req->nr_cached; i++)
		if (tlb->entry[req->cached[i]].stale)
			return false;
	return true;
}

/* With the queue claimed. @interrupted: whether the driver wanted to be. */
static bool vhost_blk_direct_answer(struct vhost_blk_req *req,
				    bool *interrupted)
{
	struct vhost_blk_vq *vq = req->vq;
	struct vhost_blk_tlb_entry *status;

	if (!vhost_blk_direct_nobody_waits(vq) ||
	    !vhost_blk_direct_is_small(req) ||
	    !vhost_blk_hold_sends_at_once(&vq->hold))
		return false;
	status = vhost_blk_tlb_peek(&vq->tlb, req->status_hva, true);
	if (!status)
		return false;

	vq->now = req->ended;
	vhost_blk_stat_inc(&vq->stats, completed_direct);
	vhost_blk_req_end_cached(req, status);
	vhost_blk_call_publish(vq);
	*interrupted = vhost_blk_call_release(vq);
	return true;
}

/**
 * vhost_blk_direct_end() - answer a request in the place of a sleeping worker
 * @req: a request all of whose bios have ended; its queue is kept by RCU
 *
 * Context: any, interrupts included; not the worker itself.
 * Return: true when it has been answered and the driver been told; false when
 * the worker has to do that.
 */
bool vhost_blk_direct_end(struct vhost_blk_req *req)
{
	struct vhost_blk_vq *vq = req->vq;
	bool answered, interrupted = true;
	unsigned long flags;

	/* There, signal_lock must not be taken with interrupts off. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT) ||
	    READ_ONCE(vq->sleeping) != VHOST_BLK_ASLEEP)
		return false;
	local_irq_save(flags);
	/* Pairs with the release in vhost_blk_sleep(). */
	answered = cmpxchg(&vq->sleeping, VHOST_BLK_ASLEEP,
			   VHOST_BLK_CLAIMED) == VHOST_BLK_ASLEEP;
	if (answered) {
		answered = vhost_blk_direct_answer(req, &interrupted);
		/* Pairs with the cmpxchg() in vhost_blk_sleep_rise(). */
		smp_store_release(&vq->sleeping, VHOST_BLK_ASLEEP);
	}
	local_irq_restore(flags);
	/* A driver that polls goes on at once: spare it the kick. */
	if (!interrupted)
		vhost_blk_vq_wake(vq);
	return answered;
}
