// SPDX-License-Identifier: GPL-2.0-only
#include "call.h"
#include "event.h"
#include "trace.h"
#include "vq.h"

static void vhost_blk_call_suppressed(struct vhost_blk_vq *vq, unsigned int nr)
{
	vhost_blk_stat_inc(&vq->stats, interrupts_suppressed);
	trace_vhost_blk_signal(vq->dev_id, vq->index, false, nr);
}

/**
 * vhost_blk_call_publish() - show the driver what has been completed
 * @vq: the queue
 *
 * An interrupt that the driver wants for it is held until
 * vhost_blk_call_release().
 *
 * Context: worker, or any that has claimed the queue.
 */
void vhost_blk_call_publish(struct vhost_blk_vq *vq)
{
	unsigned int nr = vhost_blk_ring_publish(&vq->ring);

	if (!nr)
		return;
	vhost_blk_stat_add(&vq->stats, completed, nr);
	vhost_blk_hist_add(&vq->stats.publish_hist, nr);
	if (!vq->hold.held && !vhost_blk_ring_wants_call(&vq->ring)) {
		vhost_blk_call_suppressed(vq, nr);
		vhost_blk_ring_called(&vq->ring);
		return;
	}
	vhost_blk_hold_add(&vq->hold, nr, vq->now);
}

/**
 * vhost_blk_call_release() - send the interrupt that is held, if there is one
 * @vq: the queue
 *
 * A driver that has meanwhile found its completions without it gets none.
 *
 * Context: worker, or any that has claimed the queue.
 * Return: true when it was sent.
 */
bool vhost_blk_call_release(struct vhost_blk_vq *vq)
{
	unsigned int nr = vq->hold.held;
	bool wanted;

	if (!nr)
		return false;
	vhost_blk_hold_release(&vq->hold, vq->now);
	wanted = vhost_blk_ring_wants_call(&vq->ring);
	if (wanted) {
		trace_vhost_blk_signal(vq->dev_id, vq->index, true, nr);
		vhost_blk_stat_inc(&vq->stats, interrupts_sent);
		vhost_blk_event_signal_call(vq);
	} else {
		vhost_blk_call_suppressed(vq, nr);
		vq->hold.sent = 0;
	}
	vhost_blk_ring_called(&vq->ring);
	return wanted;
}

/**
 * vhost_blk_call_release_if_due() - send the interrupt if its time has come
 * @vq: the queue
 * @now: time in ns
 *
 * Context: worker.
 */
void vhost_blk_call_release_if_due(struct vhost_blk_vq *vq, u64 now)
{
	if (vq->hold.held && vhost_blk_hold_over(&vq->hold, now))
		vhost_blk_call_release(vq);
}
