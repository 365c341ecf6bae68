// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run, poll, arm, recheck, sleep. While the worker is awake the driver is asked
 * not to kick. Out of work it polls for its window, then asks for kicks, looks
 * once more and sleeps; from how long there was no work it learns how long to
 * poll the next time (poll.c).
 */
#include "worker.h"
#include "call.h"
#include "event.h"
#include "req.h"
#include "sleep.h"
#include "trace.h"
#include "vq.h"

#include <linux/blkdev.h>
#include <linux/cpumask.h>
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/livepatch.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

/* Chains taken before the completions among them are published. */
#define VHOST_BLK_PASS_BUDGET 64

/* A worker that is busy lets the pages of its translation cache go so often. */
#define VHOST_BLK_TLB_AGE_NS NSEC_PER_SEC

/*
 * Tags taken at a time, at most; the block layer gives back what is not used.
 * Its own users of this number stop at as many.
 */
#define VHOST_BLK_TAG_BATCH 32U

/* Chains taken between two looks at the clock and at what the disk allows. */
#define VHOST_BLK_LOOK_EVERY 8

/* The data of these chains, in bytes. */
#define VHOST_BLK_PASS_BYTES SZ_1M

/* Takes ended requests back. */
static void vhost_blk_worker_reap(struct vhost_blk_vq *vq)
{
	struct vhost_blk_req *req, *next;
	struct llist_node *list;

	if (llist_empty(&vq->done))
		return;
	list = llist_del_all(&vq->done);

	vq->refused = false;
	vq->now = vhost_blk_clock();
	list = llist_reverse_order(list);
	llist_for_each_entry_safe(req, next, list, done)
		vhost_blk_req_end(req);
}

/* May the worker take a further chain? */
static bool vhost_blk_worker_may_take(const struct vhost_blk_vq *vq)
{
	return !vq->broken && !vq->stalled && !vq->nr_retry && !vq->refused &&
	       !vq->settle && vq->free && !READ_ONCE(vq->stopping);
}

static void vhost_blk_worker_break(struct vhost_blk_vq *vq)
{
	WRITE_ONCE(vq->broken, true);
	trace_vhost_blk_ring_error(vq->dev_id, vq->index, &vq->ring);
	vhost_blk_event_signal_err(vq);
}

/* How many chains wait to be taken, if any may be taken. */
static unsigned int vhost_blk_worker_arrivals(struct vhost_blk_vq *vq)
{
	int ret;

	if (!vhost_blk_worker_may_take(vq))
		return 0;
	ret = vhost_blk_ring_fetch(&vq->ring);
	if (ret < 0) {
		vhost_blk_worker_break(vq);
		return 0;
	}
	return ret;
}

/* Takes chains up to @budget; returns how many. */
static unsigned int vhost_blk_worker_take(struct vhost_blk_vq *vq,
					  unsigned int budget)
{
	unsigned int nr = 0;
	int ret;

	vq->pass_bytes = 0;
	if (!vq->rested)
		vq->now = vhost_blk_clock();
	while (nr < budget && vq->pass_bytes < VHOST_BLK_PASS_BYTES &&
	       vhost_blk_worker_may_take(vq)) {
		if (nr && nr % VHOST_BLK_LOOK_EVERY == 0) {
			vq->now = vhost_blk_clock();
			vhost_blk_req_look(vq);
		}
		ret = vhost_blk_req_take(vq);
		if (ret < 0)
			vhost_blk_worker_break(vq);
		if (ret <= 0)
			break;
		nr++;
	}
	return nr;
}

/* Of a pass that took chains: did a kick tell of them? */
static void vhost_blk_worker_count(struct vhost_blk_vq *vq, unsigned int nr)
{
	u64 kicks = READ_ONCE(vq->kicks);

	vhost_blk_stat_add(&vq->stats, chains, nr);
	vhost_blk_hist_add(&vq->stats.batch_hist, nr);
	vhost_blk_stat_add(&vq->stats, kicks_avoided,
			   nr - (kicks != vq->kicks_seen));
	vq->kicks_seen = kicks;
}

/*
 * What the kernel wants of the thread may take time, or wait for all requests
 * of the disk, and nobody but the thread ends those that are polled.
 */
static bool vhost_blk_worker_must_settle(const struct vhost_blk_vq *vq)
{
	return vq->nr_polled &&
	       (freezing(current) || klp_patch_pending(current) ||
		vhost_blk_place_changed(&vq->place));
}

/*
 * What waited and what is new goes to the device. Adjacent requests merge under
 * the plug and go as a list; for one alone a plug would be a detour.
 */
static void vhost_blk_worker_submit(struct vhost_blk_vq *vq)
{
	bool resume = vhost_blk_req_can_resume(vq);
	unsigned int nr = vhost_blk_worker_arrivals(vq);
	bool plugged = resume || nr > 1;
	struct blk_plug plug;

	if (!nr && !resume)
		return;

	vhost_blk_req_look(vq);
	if (plugged) {
		blk_start_plug(&plug);
		/* As blk_start_plug_nr_ios() does, which is not exported. */
		plug.nr_ios = clamp(nr, 1U, VHOST_BLK_TAG_BATCH);
	}
	vhost_blk_req_resume(vq);
	nr = vhost_blk_worker_take(vq, plugged ? VHOST_BLK_PASS_BUDGET : 1);
	if (plugged)
		blk_finish_plug(&plug);

	if (nr) {
		vhost_blk_worker_count(vq, nr);
		vhost_blk_hold_arrived(&vq->hold, nr, vq->now);
	}
}

/* Lets the pages of the translation cache go if they may be wrong, or old. */
static void vhost_blk_worker_forget(struct vhost_blk_vq *vq)
{
	if (!vhost_blk_tlb_is_stale(&vq->tlb) &&
	    vhost_blk_since(vq->now, vq->forgot) < VHOST_BLK_TLB_AGE_NS)
		return;
	vhost_blk_tlb_flush(&vq->tlb);
	vq->forgot = vq->now;
}

/*
 * One pass: what ended, what waited, what is new. What has ended is shown to
 * the driver before anything that can sleep.
 */
static void vhost_blk_worker_pass(struct vhost_blk_vq *vq)
{
	vhost_blk_req_poll(vq);
	vhost_blk_worker_reap(vq);
	vhost_blk_call_publish(vq);
	if (!vq->settle)
		vq->settle = vhost_blk_worker_must_settle(vq);
	/* What follows may give the core up. */
	if (need_resched())
		vhost_blk_call_release(vq);
	vhost_blk_worker_forget(vq);

	vhost_blk_worker_submit(vq);

	vhost_blk_worker_reap(vq);
	vhost_blk_call_publish(vq);
	/* Only arrivals are waited for, and none can be seen. */
	if (!vhost_blk_worker_may_take(vq))
		vhost_blk_call_release(vq);
	else
		vhost_blk_call_release_if_due(vq, vq->now);
	vq->rested = false;
}

/* Nothing is in flight any more, and somebody waits to be told. */
static bool vhost_blk_worker_drained(const struct vhost_blk_vq *vq)
{
	/* Pairs with the release in vhost_blk_vq_halt(). */
	return smp_load_acquire(&vq->stopping) && !READ_ONCE(vq->in_flight) &&
	       !vq->told;
}

/* All that was polled has ended, or is not polled any more. */
static bool vhost_blk_worker_settled(const struct vhost_blk_vq *vq)
{
	return vq->settle && !vq->nr_polled;
}

/* Is there anything to do? For the eyes of the worker only. */
static bool vhost_blk_worker_has_work(const struct vhost_blk_vq *vq)
{
	return !llist_empty(&vq->done) || vhost_blk_req_can_resume(vq) ||
	       vhost_blk_tlb_is_stale(&vq->tlb) ||
	       vhost_blk_worker_settled(vq) ||
	       (vhost_blk_worker_may_take(vq) &&
		!vhost_blk_ring_empty(&vq->ring)) ||
	       vhost_blk_worker_drained(vq) || kthread_should_stop() ||
	       kthread_should_park();
}

/*
 * Gives the core to whoever wants it. No interrupt waits for it to come back.
 */
static void vhost_blk_worker_yield(struct vhost_blk_vq *vq)
{
	if (need_resched())
		vhost_blk_call_release(vq);
	cond_resched_tasks_rcu_qs();
}

/*
 * Polling has to leave the thread to the kernel when that wants it, but for
 * requests that end only by it.
 */
static bool vhost_blk_worker_may_poll(const struct vhost_blk_vq *vq)
{
	return vq->nr_polled ||
	       (!freezing(current) && !klp_patch_pending(current));
}

/*
 * Looks for work until the window is over; true when some came. As long as an
 * interrupt is held or a request is polled the window does not end. The core
 * is given up when the scheduler wants it for somebody else, and the window
 * goes on meanwhile.
 */
static bool vhost_blk_worker_poll(struct vhost_blk_vq *vq, u64 start)
{
	u32 window = vq->broken ? 0 : vq->window_ns;
	u64 now = start;
	bool hit = false;

	if (!window && !vq->hold.held && !vq->nr_polled)
		return false;

	vhost_blk_stats_busy_end(&vq->stats, VHOST_BLK_STATE_POLL, now);
	trace_vhost_blk_poll_begin(vq->dev_id, vq->index, window);
	do {
		vhost_blk_req_poll(vq);
		hit = vhost_blk_worker_has_work(vq);
		if (hit || !vhost_blk_worker_may_poll(vq))
			break;
		vhost_blk_worker_yield(vq);
		cpu_relax();
		now = vhost_blk_clock();
		vq->now = now;
		vhost_blk_call_release_if_due(vq, now);
	} while (vq->hold.held || vq->nr_polled ||
		 vhost_blk_since(now, start) < window);

	if (hit)
		now = vhost_blk_clock();
	vhost_blk_stats_poll_end(&vq->stats, hit, now);
	trace_vhost_blk_poll_end(vq->dev_id, vq->index, hit,
				 vhost_blk_since(now, start));
	vq->now = now;
	return hit;
}

/* There was no work from @start until vq->now: learn from it. */
static void vhost_blk_worker_adapt(struct vhost_blk_vq *vq, u64 start)
{
	u64 idle = vhost_blk_since(vq->now, start);
	struct vhost_blk_poll_params params;
	u32 window = vq->window_ns;

	vhost_blk_tune_poll_params(&vq->tune, &params);
	window = vhost_blk_poll_adapt(window, idle, &params);
	if (window == vq->window_ns)
		return;
	trace_vhost_blk_window(vq->dev_id, vq->index, vq->window_ns, window,
			       idle);
	WRITE_ONCE(vq->window_ns, window);
}

/* May wait for CPU hotplug. */
static void vhost_blk_worker_check_place(struct vhost_blk_vq *vq)
{
	if (unlikely(vhost_blk_place_changed(&vq->place))) {
		vhost_blk_call_release(vq);
		vhost_blk_place_check(&vq->place);
	}
	vhost_blk_place_awake(&vq->place);
}

/*
 * While requests come slowly, or the driver is busy with the answers to many,
 * the thread is not needed all the time. It looks again by itself: no kick is
 * asked for, as none is while it polls.
 */
static bool vhost_blk_worker_nap(struct vhost_blk_vq *vq)
{
	u32 ns;

	if (need_resched())
		vhost_blk_call_release(vq);
	if (vq->nr_polled ||
	    (!vq->hold.held &&
	     (!vq->window_ns ||
	      !vhost_blk_tune_get(&vq->tune, VHOST_BLK_TUNE_poll_ns_max))))
		return false;
	ns = vhost_blk_hold_nap(&vq->hold, vq->now);
	if (!ns)
		return false;
	vhost_blk_sleep(vq, ns, vhost_blk_worker_has_work);
	vhost_blk_hold_woke(&vq->hold, vq->now);
	return true;
}

/* Out of work: polls, arms, looks again, sleeps. */
static void vhost_blk_worker_idle(struct vhost_blk_vq *vq)
{
	u64 start = vhost_blk_clock();

	vq->now = start;
	if (vhost_blk_worker_nap(vq)) {
		vq->rested = true;
		return;
	}
	if (!vhost_blk_worker_poll(vq, start)) {
		vhost_blk_call_release(vq);
		if (vhost_blk_ring_kicks_on(&vq->ring) &&
		    vhost_blk_worker_may_take(vq))
			vhost_blk_worker_yield(vq);
		else
			vhost_blk_sleep(vq, 0, vhost_blk_worker_has_work);
	}
	vq->rested = true;
	vhost_blk_worker_adapt(vq, start);
	if (!vq->nr_polled)
		vhost_blk_worker_check_place(vq);
}

static bool vhost_blk_worker_can_drain(const struct vhost_blk_vq *vq)
{
	return !llist_empty(&vq->done) || vhost_blk_req_can_resume(vq) ||
	       vhost_blk_tlb_is_stale(&vq->tlb);
}

/* Takes everything in flight back. The control path has set vq->stopping. */
static void vhost_blk_worker_drain(struct vhost_blk_vq *vq)
{
	vhost_blk_worker_pass(vq);
	while (vq->in_flight) {
		vhost_blk_call_release(vq);
		if (vq->nr_polled)
			vhost_blk_worker_yield(vq);
		else
			vhost_blk_sleep(vq, 0, vhost_blk_worker_can_drain);
		vhost_blk_worker_pass(vq);
	}
	vhost_blk_call_release(vq);
	/* Whoever serves the ring next, the driver has to kick for it. */
	vhost_blk_ring_kicks_on(&vq->ring);
	/* Changes of memory do not wake a thread that is parked. */
	vhost_blk_tlb_flush(&vq->tlb);
}

static void vhost_blk_worker_park(struct vhost_blk_vq *vq)
{
	vhost_blk_worker_drain(vq);
	vhost_blk_stats_busy_end(&vq->stats, VHOST_BLK_STATE_WAIT,
				 vhost_blk_clock());
	/*
	 * A killed caller's SIGKILL, sent before it parked the thread, was to
	 * drain the queue. One that comes later is for the end of the device.
	 */
	flush_signals(current);
	kthread_parkme();
	vhost_blk_stats_wait_end(&vq->stats, vhost_blk_clock());
}

/*
 * Once per pass: what the kernel may want of a thread that is never without
 * work. A live patch can only be put under a thread that sleeps.
 */
static void vhost_blk_worker_breathe(struct vhost_blk_vq *vq)
{
	if (vq->nr_polled) {
		vhost_blk_worker_yield(vq);
		return;
	}
	if (unlikely(klp_patch_pending(current))) {
		vhost_blk_call_release(vq);
		schedule_timeout_idle(1);
	}
	if (unlikely(freezing(current))) {
		vhost_blk_call_release(vq);
		try_to_freeze();
	}
	vhost_blk_worker_check_place(vq);
	vq->settle = false;
	vhost_blk_worker_yield(vq);
}

static u32 vhost_blk_worker_hold_ns(const struct vhost_blk_vq *vq)
{
	return vhost_blk_tune_get(&vq->tune, VHOST_BLK_TUNE_hold_us) *
	       NSEC_PER_USEC;
}

/* What may be set at any time holds from the next pass on. */
static void vhost_blk_worker_tune(struct vhost_blk_vq *vq)
{
	vq->hold.max_ns = vhost_blk_worker_hold_ns(vq);
	vq->poll_device =
		vhost_blk_tune_get(&vq->tune, VHOST_BLK_TUNE_poll_device);
}

static void vhost_blk_worker_init(struct vhost_blk_vq *vq)
{
	/* Ends page faults that an owner who is being closed cannot serve. */
	allow_kernel_signal(SIGKILL);
	set_freezable();
	vhost_blk_cgroup_join(&vq->cgroup);
	kthread_use_mm(vq->mm);
	vhost_blk_hold_init(&vq->hold, vhost_blk_worker_hold_ns(vq));
	vhost_blk_stats_born(&vq->stats, vhost_blk_clock());
}

static int vhost_blk_worker_fn(void *data)
{
	struct vhost_blk_vq *vq = data;

	vhost_blk_worker_init(vq);
	while (!kthread_should_stop()) {
		if (kthread_should_park()) {
			vhost_blk_worker_park(vq);
			continue;
		}

		vhost_blk_worker_tune(vq);
		vhost_blk_ring_kicks_off(&vq->ring);
		vhost_blk_worker_pass(vq);
		if (unlikely(vhost_blk_worker_drained(vq))) {
			vq->told = true;
			complete_all(&vq->drained);
		}
		vhost_blk_worker_breathe(vq);
		if (!vhost_blk_worker_has_work(vq))
			vhost_blk_worker_idle(vq);
	}
	vhost_blk_worker_drain(vq);
	vhost_blk_stats_died(&vq->stats, vhost_blk_clock());
	kthread_unuse_mm(vq->mm);
	vhost_blk_cgroup_leave();
	return 0;
}

/**
 * vhost_blk_worker_create() - create the thread of a queue
 * @vq: the queue, ready but for its thread; its core chosen
 *
 * Context: process of the owner. The thread does not run before it is woken.
 * Return: the thread or an ERR_PTR.
 */
struct task_struct *vhost_blk_worker_create(struct vhost_blk_vq *vq)
{
	int cpu = vq->place.cpu;
	int node = cpu < 0 ? NUMA_NO_NODE : cpu_to_node(cpu);

	return kthread_create_on_node(vhost_blk_worker_fn, vq, node,
				      "vblk-%d/%u", current->tgid, vq->index);
}
