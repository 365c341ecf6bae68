// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run, poll, arm, recheck, sleep. While the worker is awake the driver is asked
 * not to kick. Out of work it polls for its window, then asks for kicks, looks
 * once more and sleeps.
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
#include "vq.h"

#include <linux/blkdev.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>

/* Chains taken before the completions among them are published. */
#define VHOST_BLK_PASS_BUDGET 64

/* The data of these chains, in bytes. */
#define VHOST_BLK_PASS_BYTES SZ_1M

/* Upper bounds of the parameters. */
#define VHOST_BLK_MAX_POLL_US 1000000U
#define VHOST_BLK_MAX_HOLD_US 2500U

static unsigned int vhost_blk_poll_us = 50;
module_param_named(poll_us, vhost_blk_poll_us, uint, 0644);
MODULE_PARM_DESC(poll_us, "microseconds a worker polls before it sleeps");

static unsigned int vhost_blk_hold_us = 200;
module_param_named(hold_us, vhost_blk_hold_us, uint, 0644);
MODULE_PARM_DESC(hold_us, "microseconds an interrupt waits for the next chain");

/* Takes ended requests back; true when there were any. */
static bool vhost_blk_worker_reap(struct vhost_blk_vq *vq)
{
	struct llist_node *list = llist_del_all(&vq->done);
	struct vhost_blk_req *req, *next;

	if (!list)
		return false;

	vq->refused = false;
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
	vhost_blk_vq_signal_err(vq);
}

/* Takes chains up to the budget; returns how many. */
static unsigned int vhost_blk_worker_take(struct vhost_blk_vq *vq)
{
	unsigned int nr = 0;
	int ret;

	vq->pass_bytes = 0;
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

	if (nr)
		vhost_blk_hold_arrived(&vq->hold, nr, ktime_get_ns());
	if (vhost_blk_worker_reap(vq))
		any = true;
	vhost_blk_call_publish(vq);
	/* Only arrivals are waited for, and none can be seen. */
	if (!vhost_blk_worker_may_take(vq))
		vhost_blk_call_release(vq);
	else if (vq->hold.held)
		vhost_blk_call_release_if_due(vq, ktime_get_ns());
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

static u64 vhost_blk_worker_window(const struct vhost_blk_vq *vq)
{
	int us = READ_ONCE(vq->poll_us);

	if (vq->broken)
		return 0;
	if (us < 0)
		us = min(READ_ONCE(vhost_blk_poll_us), VHOST_BLK_MAX_POLL_US);
	return us * (u64)NSEC_PER_USEC;
}

/*
 * Looks for work until the window is over; true when some came. As long as an
 * interrupt is held the window does not end.
 */
static bool vhost_blk_worker_poll(struct vhost_blk_vq *vq)
{
	u64 window = vhost_blk_worker_window(vq);
	u64 start = ktime_get_ns(), now = start;

	while (vq->hold.held || now - start < window) {
		if (vhost_blk_worker_has_work(vq))
			return true;
		if (need_resched())
			break;
		cpu_relax();
		now = ktime_get_ns();
		vhost_blk_call_release_if_due(vq, now);
	}
	vhost_blk_call_release(vq);
	return false;
}

/* Gives the core to whoever wants it. No interrupt waits for it to come back.
 */
static void vhost_blk_worker_yield(struct vhost_blk_vq *vq)
{
	if (need_resched())
		vhost_blk_call_release(vq);
	cond_resched_tasks_rcu_qs();
}

/* Sleeps until woken, unless @ready says that there is a reason not to. */
static void vhost_blk_worker_sleep(struct vhost_blk_vq *vq,
				   bool (*ready)(const struct vhost_blk_vq *vq))
{
	set_current_state(TASK_IDLE);
	WRITE_ONCE(vq->sleeping, true);
	/* Pairs with the barrier in vhost_blk_vq_wake(). */
	smp_mb();
	if (!ready(vq))
		schedule();
	__set_current_state(TASK_RUNNING);
	WRITE_ONCE(vq->sleeping, false);
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
}

static int vhost_blk_worker_fn(void *data)
{
	struct vhost_blk_vq *vq = data;

	if (vq->cpu >= 0)
		set_cpus_allowed_ptr(current, cpumask_of(vq->cpu));
	/* Ends page faults that an owner who is being closed cannot serve. */
	allow_kernel_signal(SIGKILL);
	kthread_use_mm(vq->mm);
	vhost_blk_hold_init(&vq->hold, min(READ_ONCE(vhost_blk_hold_us),
					   VHOST_BLK_MAX_HOLD_US) *
					       NSEC_PER_USEC);
	while (!kthread_should_stop()) {
		if (kthread_should_park()) {
			vhost_blk_worker_drain(vq);
			kthread_parkme();
			continue;
		}

		vhost_blk_ring_kicks_off(&vq->ring);
		if (vhost_blk_worker_pass(vq)) {
			vhost_blk_worker_yield(vq);
			continue;
		}
		if (vhost_blk_worker_poll(vq))
			continue;
		if (vhost_blk_ring_kicks_on(&vq->ring) &&
		    vhost_blk_worker_may_take(vq)) {
			vhost_blk_worker_yield(vq);
			continue;
		}
		vhost_blk_worker_sleep(vq, vhost_blk_worker_has_work);
	}
	vhost_blk_worker_drain(vq);
	kthread_unuse_mm(vq->mm);
	return 0;
}

/**
 * vhost_blk_worker_create() - create the thread of a queue
 * @vq: the queue, ready but for its thread; its cpu chosen, or -1 for any
 *
 * Context: process of the owner. The thread does not run before it is woken.
 * Return: the thread or an ERR_PTR.
 */
struct task_struct *vhost_blk_worker_create(struct vhost_blk_vq *vq)
{
	int node = vq->cpu < 0 ? NUMA_NO_NODE : cpu_to_node(vq->cpu);

	return kthread_create_on_node(vhost_blk_worker_fn, vq, node,
				      "vblk-%d/%u", current->tgid, vq->index);
}
