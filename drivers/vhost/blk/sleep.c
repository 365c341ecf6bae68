// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kick eventfd, the end of a request and a change of the owner's memory
 * wake a worker. Each first leaves its message and then looks at vq->sleeping;
 * the worker first sets vq->sleeping and then looks for messages, with a full
 * barrier between on both sides, so one of the two sees the other.
 * kthread_stop() and kthread_park() wake it whatever it does.
 */
#include "sleep.h"
#include "trace.h"
#include "vq.h"

#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/sched.h>

/* How long it sleeps before it lets the guest's pages go, in jiffies. */
#define VHOST_BLK_TLB_IDLE HZ

/* A short sleep may be shorter by this part, to save the kernel a timer. */
#define VHOST_BLK_NAP_SLACK 8

/* Takes what is the worker's back. */
static void vhost_blk_sleep_rise(struct vhost_blk_vq *vq)
{
	__set_current_state(TASK_RUNNING);
	/* Pairs with the release in vhost_blk_direct_end(), which is short. */
	while (cmpxchg(&vq->sleeping, VHOST_BLK_ASLEEP, VHOST_BLK_AWAKE) !=
	       VHOST_BLK_ASLEEP)
		cpu_relax();
}

static void vhost_blk_sleep_nap(u32 ns)
{
	u32 slack = ns / VHOST_BLK_NAP_SLACK;
	ktime_t time = ns_to_ktime(ns - slack);

	schedule_hrtimeout_range(&time, slack, HRTIMER_MODE_REL);
}

/* Until woken; after some time the guest's memory is let go. */
static void vhost_blk_sleep_schedule(struct vhost_blk_vq *vq, u32 ns)
{
	u64 start = vhost_blk_clock();
	bool cached = vq->tlb.nr;
	long left = 1;

	vhost_blk_stats_busy_end(&vq->stats, VHOST_BLK_STATE_WAIT, start);
	trace_vhost_blk_sleep(vq->dev_id, vq->index);
	if (ns)
		vhost_blk_sleep_nap(ns);
	else
		left = schedule_timeout(cached ? VHOST_BLK_TLB_IDLE :
						 MAX_SCHEDULE_TIMEOUT);
	vhost_blk_sleep_rise(vq);
	vq->now = vhost_blk_clock();
	vhost_blk_stats_wait_end(&vq->stats, vq->now);
	trace_vhost_blk_wake(vq->dev_id, vq->index,
			     vhost_blk_since(vq->now, start));
	if (!left)
		vhost_blk_tlb_flush(&vq->tlb);
}

/**
 * vhost_blk_sleep() - sleep until woken
 * @vq: the queue
 * @ns: at most for so long; 0: without limit
 * @ready: says that there is a reason not to
 *
 * Context: worker, with no polled request. While an interrupt is held, @ns ends
 * before it is due.
 */
void vhost_blk_sleep(struct vhost_blk_vq *vq, u32 ns,
		     bool (*ready)(const struct vhost_blk_vq *vq))
{
	set_current_state(TASK_IDLE | TASK_FREEZABLE);
	/*
	 * What is the worker's may be claimed from here on, see direct.c: it
	 * may still be looked at, but for the times, which nobody else touches.
	 */
	smp_store_release(&vq->sleeping, VHOST_BLK_ASLEEP);
	/* Pairs with the barrier in vhost_blk_vq_wake(). */
	smp_mb();
	if (ready(vq))
		vhost_blk_sleep_rise(vq);
	else
		vhost_blk_sleep_schedule(vq, ns);
}
