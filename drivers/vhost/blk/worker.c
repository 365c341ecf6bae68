// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run, poll, arm, recheck, sleep. While the worker is awake the driver is asked
 * not to kick. Out of work it polls for its window, then asks for kicks, looks
 * once more and sleeps; from how long there was no work it learns how long to
 * poll the next time (poll.c).
 *
 * The kick eventfd and the end of a request wake it. Each first leaves its
 * message and then looks at vq->sleeping; the worker first sets vq->sleeping
 * and then looks for messages, with a full barrier between on both sides, so
 * one of the two sees the other. kthread_stop() and kthread_park() wake it
 * whatever it does.
 */
#include "worker.h"
#include "call.h"
#include "req.h"
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

/* The data of these chains, in bytes. */
#define VHOST_BLK_PASS_BYTES SZ_1M

/* Takes ended requests back; true when there were any. */
static bool vhost_blk_worker_reap(struct vhost_blk_vq *vq)
{
	struct llist_node *list = llist_del_all(&vq->done);
	struct vhost_blk_req *req, *next;

	if (!list)
		return false;

	vq->refused = false;
	vq->now = vhost_blk_clock();
	list = llist_reverse_order(list);
	llist_for_each_entry_safe(req, next, list, done)
		vhost_blk_req_end(req);
	return true;
}

/* May the worker take a further chain? */
static bool vhost_blk_worker_may_take(const struct vhost_blk_vq *vq)
{
	return !vq->broken && !vq->stalled && !vq->nr_retry && !vq->refused &&
	       !list_empty(&vq->free) && !READ_ONCE(vq->stopping);
}

static void vhost_blk_worker_break(struct vhost_blk_vq *vq)
{
	WRITE_ONCE(vq->broken, true);
	trace_vhost_blk_ring_error(vq->dev_id, vq->index, vq->ring.last_avail);
	vhost_blk_vq_signal_err(vq);
}

/* Takes chains up to the budget; returns how many. */
static unsigned int vhost_blk_worker_take(struct vhost_blk_vq *vq)
{
	unsigned int nr = 0;
	int ret;

	vq->pass_bytes = 0;
	vq->now = vhost_blk_clock();
	while (nr < VHOST_BLK_PASS_BUDGET &&
	       vq->pass_bytes < VHOST_BLK_PASS_BYTES &&
	       vhost_blk_worker_may_take(vq)) {
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

	vhost_blk_hist_add(&vq->stats.batch_hist, nr);
	vhost_blk_stat_add(&vq->stats, kicks_avoided,
			   nr - (kicks != vq->kicks_seen));
	vq->kicks_seen = kicks;
}

/*
 * One pass: what ended, what waited, what is new. Adjacent requests of the pass
 * merge under the plug and go to the device as a list. What has ended is shown
 * to the driver before anything that can sleep. Returns true when the pass
 * found something to do; false says only that the next one would not, right
 * now.
 */
static bool vhost_blk_worker_pass(struct vhost_blk_vq *vq)
{
	struct blk_plug plug;
	unsigned int nr;
	bool any;

	any = vhost_blk_worker_reap(vq);
	vhost_blk_call_publish(vq);

	blk_start_plug(&plug);
	if (vhost_blk_req_can_resume(vq)) {
		vhost_blk_req_resume(vq);
		any = true;
	}
	nr = vhost_blk_worker_take(vq);
	blk_finish_plug(&plug);

	if (nr) {
		vhost_blk_worker_count(vq, nr);
		vhost_blk_hold_arrived(&vq->hold, nr, vq->now);
	}
	if (vhost_blk_worker_reap(vq))
		any = true;
	vhost_blk_call_publish(vq);
	vhost_blk_req_note_oldest(vq);
	/* Only arrivals are waited for, and none can be seen. */
	if (!vhost_blk_worker_may_take(vq))
		vhost_blk_call_release(vq);
	else if (vq->hold.held)
		vhost_blk_call_release_if_due(vq, vhost_blk_clock());
	return any || nr;
}

/* Is there anything to do? For the eyes of the worker only. */
static bool vhost_blk_worker_has_work(const struct vhost_blk_vq *vq)
{
	return !llist_empty(&vq->done) || vhost_blk_req_can_resume(vq) ||
	       (vhost_blk_worker_may_take(vq) &&
		!vhost_blk_ring_empty(&vq->ring)) ||
	       kthread_should_stop() || kthread_should_park();
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

/* Polling has to leave the thread to the kernel when that wants it. */
static bool vhost_blk_worker_may_poll(void)
{
	return !freezing(current) && !klp_patch_pending(current);
}

/*
 * Looks for work until the window is over; true when some came. As long as an
 * interrupt is held the window does not end. The core is given up when the
 * scheduler wants it for somebody else, and the window goes on meanwhile.
 */
static bool vhost_blk_worker_poll(struct vhost_blk_vq *vq, u64 start)
{
	u32 window = vq->broken ? 0 : vq->window_ns;
	u64 now = start;
	bool hit = false;

	if (!window && !vq->hold.held)
		return false;

	vhost_blk_stats_busy_end(&vq->stats, VHOST_BLK_STATE_POLL, now);
	trace_vhost_blk_poll_begin(vq->dev_id, vq->index, window);
	do {
		hit = vhost_blk_worker_has_work(vq);
		if (hit || !vhost_blk_worker_may_poll())
			break;
		vhost_blk_worker_yield(vq);
		cpu_relax();
		now = vhost_blk_clock();
		vhost_blk_call_release_if_due(vq, now);
	} while (vq->hold.held || vhost_blk_since(now, start) < window);

	now = vhost_blk_clock();
	vhost_blk_stats_poll_end(&vq->stats, hit, now);
	trace_vhost_blk_poll_end(vq->dev_id, vq->index, hit,
				 vhost_blk_since(now, start));
	return hit;
}

/* Sleeps until woken, unless @ready says that there is a reason not to. */
static void vhost_blk_worker_sleep(struct vhost_blk_vq *vq,
				   bool (*ready)(const struct vhost_blk_vq *vq))
{
	set_current_state(TASK_IDLE | TASK_FREEZABLE);
	WRITE_ONCE(vq->sleeping, true);
	/* Pairs with the barrier in vhost_blk_vq_wake(). */
	smp_mb();
	if (!ready(vq)) {
		u64 start = vhost_blk_clock(), now;

		vhost_blk_stats_busy_end(&vq->stats, VHOST_BLK_STATE_WAIT,
					 start);
		trace_vhost_blk_sleep(vq->dev_id, vq->index);
		schedule();
		now = vhost_blk_clock();
		vhost_blk_stats_wait_end(&vq->stats, now);
		trace_vhost_blk_wake(vq->dev_id, vq->index,
				     vhost_blk_since(now, start));
	}
	__set_current_state(TASK_RUNNING);
	WRITE_ONCE(vq->sleeping, false);
}

/* There was no work from @start until now: learn from it. */
static void vhost_blk_worker_adapt(struct vhost_blk_vq *vq, u64 start)
{
	u64 idle = vhost_blk_since(vhost_blk_clock(), start);
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

/* Out of work: polls, arms, looks again, sleeps. */
static void vhost_blk_worker_idle(struct vhost_blk_vq *vq)
{
	u64 start = vhost_blk_clock();

	if (!vhost_blk_worker_poll(vq, start)) {
		vhost_blk_call_release(vq);
		if (vhost_blk_ring_kicks_on(&vq->ring) &&
		    vhost_blk_worker_may_take(vq))
			vhost_blk_worker_yield(vq);
		else
			vhost_blk_worker_sleep(vq, vhost_blk_worker_has_work);
	}
	vhost_blk_worker_adapt(vq, start);
	vhost_blk_place_check(&vq->place);
	vhost_blk_place_awake(&vq->place);
}

static bool vhost_blk_worker_can_drain(const struct vhost_blk_vq *vq)
{
	return !llist_empty(&vq->done) || vhost_blk_req_can_resume(vq);
}

/* Takes everything in flight back. The control path has set vq->stopping. */
static void vhost_blk_worker_drain(struct vhost_blk_vq *vq)
{
	do {
		if (vhost_blk_worker_pass(vq))
			continue;
		vhost_blk_call_release(vq);
		if (vq->in_flight)
			vhost_blk_worker_sleep(vq, vhost_blk_worker_can_drain);
	} while (vq->in_flight);
	vhost_blk_call_release(vq);
	/* Whoever serves the ring next, the driver has to kick for it. */
	vhost_blk_ring_kicks_on(&vq->ring);
}

static void vhost_blk_worker_park(struct vhost_blk_vq *vq)
{
	vhost_blk_worker_drain(vq);
	vhost_blk_stats_busy_end(&vq->stats, VHOST_BLK_STATE_WAIT,
				 vhost_blk_clock());
	kthread_parkme();
	vhost_blk_stats_wait_end(&vq->stats, vhost_blk_clock());
}

/*
 * Once per pass: what the kernel may want of a thread that is never without
 * work. A live patch can only be put under a thread that sleeps.
 */
static void vhost_blk_worker_breathe(struct vhost_blk_vq *vq)
{
	if (unlikely(klp_patch_pending(current))) {
		vhost_blk_call_release(vq);
		schedule_timeout_idle(1);
	}
	if (unlikely(freezing(current))) {
		vhost_blk_call_release(vq);
		try_to_freeze();
	}
	if (unlikely(vhost_blk_place_changed(&vq->place))) {
		vhost_blk_call_release(vq);
		vhost_blk_place_check(&vq->place);
	}
	vhost_blk_place_awake(&vq->place);
	vhost_blk_worker_yield(vq);
}

static u32 vhost_blk_worker_hold_ns(const struct vhost_blk_vq *vq)
{
	return vhost_blk_tune_get(&vq->tune, VHOST_BLK_TUNE_hold_us) *
	       NSEC_PER_USEC;
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

		vq->hold.max_ns = vhost_blk_worker_hold_ns(vq);
		vhost_blk_ring_kicks_off(&vq->ring);
		if (vhost_blk_worker_pass(vq))
			vhost_blk_worker_breathe(vq);
		else
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
