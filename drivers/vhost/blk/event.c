// SPDX-License-Identifier: GPL-2.0-only
#include "event.h"
#include "trace.h"
#include "vq.h"

#include <linux/eventfd.h>
#include <linux/file.h>

static void vhost_blk_event_signal(struct vhost_blk_vq *vq,
				   struct eventfd_ctx *const *slot)
{
	unsigned long flags;

	spin_lock_irqsave(&vq->signal_lock, flags);
	if (*slot)
		eventfd_signal(*slot);
	spin_unlock_irqrestore(&vq->signal_lock, flags);
}

/**
 * vhost_blk_event_signal_call() - interrupt the driver
 * @vq: the queue
 *
 * Context: worker, or any that has claimed the queue. Never from inside a wait
 * queue's callback: the kernel drops an eventfd's signal there.
 */
void vhost_blk_event_signal_call(struct vhost_blk_vq *vq)
{
	vhost_blk_event_signal(vq, &vq->call);
}

/**
 * vhost_blk_event_signal_err() - tell the owner that the queue has stopped
 * @vq: the queue
 *
 * Context: worker.
 */
void vhost_blk_event_signal_err(struct vhost_blk_vq *vq)
{
	vhost_blk_event_signal(vq, &vq->err);
}

static int vhost_blk_event_wake(wait_queue_entry_t *wait, unsigned int mode,
				int sync, void *key)
{
	struct vhost_blk_vq *vq =
		container_of(wait, struct vhost_blk_vq, kick.wait);

	if (key_to_poll(key) & EPOLLIN) {
		WRITE_ONCE(vq->kicks, vq->kicks + 1);
		trace_vhost_blk_kick(vq->dev_id, vq->index);
		vhost_blk_vq_wake(vq);
	}
	return 0;
}

static void vhost_blk_event_queue(struct file *file, wait_queue_head_t *head,
				  poll_table *table)
{
	struct vhost_blk_kick *kick =
		container_of(table, struct vhost_blk_kick, table);

	kick->head = head;
	add_wait_queue(head, &kick->wait);
}

/**
 * vhost_blk_event_listen() - from here on a kick wakes the worker
 * @vq: the queue, with a worker
 *
 * Context: the device's mutex is held.
 */
void vhost_blk_event_listen(struct vhost_blk_vq *vq)
{
	if (vq->kick.file)
		vfs_poll(vq->kick.file, &vq->kick.table);
}

/**
 * vhost_blk_event_ignore() - from here on no kick touches the worker
 * @vq: the queue
 *
 * None is in the callback either when this returns.
 *
 * Context: the device's mutex is held.
 */
void vhost_blk_event_ignore(struct vhost_blk_vq *vq)
{
	if (vq->kick.head)
		remove_wait_queue(vq->kick.head, &vq->kick.wait);
	vq->kick.head = NULL;
}

/**
 * vhost_blk_event_set_kick() - set the eventfd that kicks arrive on
 * @vq: the queue
 * @fd: an eventfd, or -1 for none
 *
 * A running worker looks at the ring once, so that no kick falls between two
 * eventfds.
 *
 * Context: the device's mutex is held, or the queue is out of reach.
 * Return: 0, -EBADF, or -EINVAL for another kind of file; the old eventfd stays
 * on error.
 */
int vhost_blk_event_set_kick(struct vhost_blk_vq *vq, int fd)
{
	struct file *file = NULL;

	if (fd != -1) {
		file = eventfd_fget(fd);
		if (IS_ERR(file))
			return PTR_ERR(file);
	}

	vhost_blk_event_ignore(vq);
	if (vq->kick.file)
		fput(vq->kick.file);
	vq->kick.file = file;
	if (vhost_blk_vq_running(vq)) {
		vhost_blk_event_listen(vq);
		vhost_blk_vq_wake(vq);
	}
	return 0;
}

static int vhost_blk_event_set(struct vhost_blk_vq *vq,
			       struct eventfd_ctx **slot, int fd)
{
	struct eventfd_ctx *ctx = NULL;

	if (fd != -1) {
		ctx = eventfd_ctx_fdget(fd);
		if (IS_ERR(ctx))
			return PTR_ERR(ctx);
	}

	spin_lock_irq(&vq->signal_lock);
	swap(*slot, ctx);
	spin_unlock_irq(&vq->signal_lock);
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}

/**
 * vhost_blk_event_set_call() - set the eventfd that interrupts the driver
 * @vq: the queue
 * @fd: an eventfd, or -1 for none
 *
 * When this returns the old eventfd is not signalled any more.
 *
 * Context: the device's mutex is held, or the queue is out of reach.
 * Return: 0, -EBADF, or -EINVAL for another kind of file; the old eventfd stays
 * on error.
 */
int vhost_blk_event_set_call(struct vhost_blk_vq *vq, int fd)
{
	return vhost_blk_event_set(vq, &vq->call, fd);
}

/**
 * vhost_blk_event_set_err() - set the eventfd that tells of a damaged ring
 * @vq: the queue
 * @fd: an eventfd, or -1 for none
 *
 * Context: the device's mutex is held, or the queue is out of reach.
 * Return: as vhost_blk_event_set_call()
 */
int vhost_blk_event_set_err(struct vhost_blk_vq *vq, int fd)
{
	return vhost_blk_event_set(vq, &vq->err, fd);
}

/**
 * vhost_blk_event_init() - a queue begins without eventfds
 * @vq: all zero
 */
void vhost_blk_event_init(struct vhost_blk_vq *vq)
{
	spin_lock_init(&vq->signal_lock);
	init_waitqueue_func_entry(&vq->kick.wait, vhost_blk_event_wake);
	init_poll_funcptr(&vq->kick.table, vhost_blk_event_queue);
}

/**
 * vhost_blk_event_close() - give a queue's eventfds back
 * @vq: the queue, not running
 */
void vhost_blk_event_close(struct vhost_blk_vq *vq)
{
	vhost_blk_event_set_kick(vq, -1);
	vhost_blk_event_set_call(vq, -1);
	vhost_blk_event_set_err(vq, -1);
}
