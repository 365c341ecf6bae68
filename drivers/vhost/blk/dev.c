// SPDX-License-Identifier: GPL-2.0-only
#include "dev.h"
#include "backend.h"
#include "mem.h"
#include "sysfs.h"
#include "sysfs_vq.h"

#include <linux/blkdev.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

static struct vhost_blk_vq *vhost_blk_dev_next(const struct vhost_blk_dev *dev,
					       const struct vhost_blk_vq *prev,
					       bool running)
{
	unsigned int i = prev ? prev->index + 1 : 0;

	for (; i < VHOST_BLK_MAX_QUEUES; i++) {
		struct vhost_blk_vq *vq = dev->vqs[i];

		if (vq && (!running || vhost_blk_vq_running(vq)))
			return vq;
	}
	return NULL;
}

#define vhost_blk_for_each_vq(dev, vq)                          \
	for ((vq) = vhost_blk_dev_next(dev, NULL, false); (vq); \
	     (vq) = vhost_blk_dev_next(dev, vq, false))

#define vhost_blk_for_each_running(dev, vq)                    \
	for ((vq) = vhost_blk_dev_next(dev, NULL, true); (vq); \
	     (vq) = vhost_blk_dev_next(dev, vq, true))

static bool vhost_blk_vq_configured(const struct vhost_blk_vq *vq)
{
	return vq->num && vq->has_addr;
}

/* All of them stop taking requests before the first is waited for. */
static void vhost_blk_dev_drain(struct vhost_blk_dev *dev)
{
	struct vhost_blk_vq *vq;

	lockdep_assert_held(&dev->mutex);

	vhost_blk_for_each_running(dev, vq)
		vhost_blk_vq_halt(vq);
	vhost_blk_for_each_running(dev, vq)
		vhost_blk_vq_wait_drained(vq);
}

static void vhost_blk_dev_stop_queues(struct vhost_blk_dev *dev)
{
	struct vhost_blk_vq *vq;

	lockdep_assert_held(&dev->mutex);

	vhost_blk_dev_drain(dev);
	vhost_blk_for_each_running(dev, vq)
		vhost_blk_vq_stop(vq);
	vhost_blk_inval_stop(&dev->inval);
	/*
	 * The workers are gone, and with them every request. What may still
	 * run is the tail of vhost_blk_req_ended() behind the last completion.
	 */
	synchronize_rcu();
	vhost_blk_for_each_running(dev, vq)
		vhost_blk_vq_unprepare(vq);
}

static int vhost_blk_dev_start_queues(struct vhost_blk_dev *dev,
				      const struct vhost_blk_backend *backend)
{
	struct vhost_blk_start start = {
		.backend = backend,
		.mem = dev->mem,
		.mm = dev->mm,
		.changes = &dev->inval.count,
		.serial = &dev->serial,
		.features = dev->features,
	};
	struct vhost_blk_vq *vq;
	int ret;

	lockdep_assert_held(&dev->mutex);

	vhost_blk_for_each_vq(dev, vq)
		start.nr_queues += vhost_blk_vq_configured(vq);
	if (!start.nr_queues)
		return -EFAULT;

	vhost_blk_for_each_vq(dev, vq) {
		if (!vhost_blk_vq_configured(vq))
			continue;
		ret = vhost_blk_vq_prepare(vq, &start);
		if (ret)
			goto stop;
		vhost_blk_inval_add(&dev->inval, vq);
	}
	ret = vhost_blk_inval_start(&dev->inval, dev->mm, dev->mem);
	if (ret)
		goto stop;
	vhost_blk_for_each_running(dev, vq)
		vhost_blk_vq_run(vq);
	return 0;

stop:
	vhost_blk_dev_stop_queues(dev);
	return ret;
}

/* Returns when the last request in flight has been answered. */
static void vhost_blk_dev_stop(struct vhost_blk_dev *dev)
{
	lockdep_assert_held(&dev->mutex);

	if (!dev->backend)
		return;
	vhost_blk_dev_stop_queues(dev);
	vhost_blk_backend_close(dev->backend);
	dev->backend = NULL;
	WRITE_ONCE(dev->backend_dev, 0);
}

/**
 * vhost_blk_dev_detach() - stop the queues and let the disk go
 * @dev: the device, with or without a disk
 *
 * Returns when the last request in flight has been answered. The addresses of
 * the rings are forgotten: what a driver that is gone used as a ring may be
 * anything for the next one, which does not have to use all queues.
 *
 * Context: @dev->mutex is held; sleeps for I/O.
 */
void vhost_blk_dev_detach(struct vhost_blk_dev *dev)
{
	struct vhost_blk_vq *vq;

	lockdep_assert_held(&dev->mutex);

	vhost_blk_dev_stop(dev);
	vhost_blk_for_each_vq(dev, vq)
		vq->has_addr = false;
}

/**
 * vhost_blk_dev_attach() - attach a disk and start the configured queues
 * @dev: the device; a disk that is attached is let go first
 * @backend: the disk; @dev takes it over, it is closed on error
 *
 * Context: process of the owner, @dev->mutex is held; sleeps for I/O.
 * Return: 0; -EFAULT when no queue has size and addresses, or as
 * vhost_blk_vq_prepare() or vhost_blk_inval_start(). On error no disk is
 * attached.
 */
int vhost_blk_dev_attach(struct vhost_blk_dev *dev,
			 struct vhost_blk_backend *backend)
{
	int ret;

	lockdep_assert_held(&dev->mutex);

	vhost_blk_dev_stop(dev);
	ret = vhost_blk_dev_start_queues(dev, backend);
	if (ret) {
		vhost_blk_backend_close(backend);
		return ret;
	}
	dev->backend = backend;
	WRITE_ONCE(dev->backend_dev, backend->bdev->bd_dev);
	return 0;
}

/* Stops the workers between two requests, with nothing in flight. */
static void vhost_blk_dev_park(struct vhost_blk_dev *dev)
{
	struct vhost_blk_vq *vq;

	lockdep_assert_held(&dev->mutex);

	vhost_blk_dev_drain(dev);
	vhost_blk_for_each_running(dev, vq)
		kthread_park(vq->worker);
}

static void vhost_blk_dev_unpark(struct vhost_blk_dev *dev)
{
	struct vhost_blk_vq *vq;

	lockdep_assert_held(&dev->mutex);

	vhost_blk_for_each_running(dev, vq) {
		WRITE_ONCE(vq->stopping, false);
		kthread_unpark(vq->worker);
	}
}

/**
 * vhost_blk_dev_set_mem() - replace the memory table
 * @dev: the device
 * @mem: the new table; @dev takes it over
 *
 * When this returns nothing uses the old one any more.
 *
 * Context: @dev->mutex is held; sleeps for the I/O in flight.
 */
void vhost_blk_dev_set_mem(struct vhost_blk_dev *dev, struct vhost_blk_mem *mem)
{
	struct vhost_blk_mem *old = dev->mem;
	struct vhost_blk_vq *vq;

	lockdep_assert_held(&dev->mutex);

	vhost_blk_dev_park(dev);
	dev->mem = mem;
	vhost_blk_inval_set_mem(&dev->inval, mem);
	vhost_blk_for_each_running(dev, vq) {
		vhost_blk_vq_set_mem(vq, mem);
	}
	vhost_blk_dev_unpark(dev);
	vhost_blk_mem_free(old);
}

/**
 * vhost_blk_dev_get_vq() - find a queue, make it at its first use
 * @dev: the device
 * @i: number of the queue, any value
 *
 * Context: @dev->mutex is held.
 * Return: the queue; ERR_PTR of -ENOBUFS for a number out of range, -ENOMEM.
 */
struct vhost_blk_vq *vhost_blk_dev_get_vq(struct vhost_blk_dev *dev, u32 i)
{
	struct vhost_blk_vq *vq;

	lockdep_assert_held(&dev->mutex);

	if (i >= VHOST_BLK_MAX_QUEUES)
		return ERR_PTR(-ENOBUFS);
	i = array_index_nospec(i, VHOST_BLK_MAX_QUEUES);
	if (dev->vqs[i])
		return dev->vqs[i];
	vq = vhost_blk_vq_alloc(dev->id, i);
	if (!vq)
		return ERR_PTR(-ENOMEM);
	if (vhost_blk_sysfs_add_vq(dev, vq)) {
		vhost_blk_vq_free(vq);
		return ERR_PTR(-ENOMEM);
	}
	dev->vqs[i] = vq;
	return vq;
}

/* All but the memory table is as it was when the device was opened. */
static void vhost_blk_dev_forget(struct vhost_blk_dev *dev)
{
	unsigned int i;

	lockdep_assert_held(&dev->mutex);

	vhost_blk_dev_detach(dev);
	for (i = 0; i < VHOST_BLK_MAX_QUEUES; i++) {
		vhost_blk_vq_free(dev->vqs[i]);
		dev->vqs[i] = NULL;
	}
	if (dev->mm)
		mmput(dev->mm);
	dev->mm = NULL;
	WRITE_ONCE(dev->owner, 0);
	WRITE_ONCE(dev->features, 0);
	spin_lock(&dev->serial.lock);
	memset(dev->serial.str, 0, sizeof(dev->serial.str));
	spin_unlock(&dev->serial.lock);
}

/**
 * vhost_blk_dev_set_owner() - give the device to the calling process
 * @dev: the device
 *
 * Context: process, @dev->mutex is held.
 * Return: 0, -EBUSY when it has an owner, -EINVAL for a kernel thread.
 */
int vhost_blk_dev_set_owner(struct vhost_blk_dev *dev)
{
	lockdep_assert_held(&dev->mutex);

	if (dev->mm)
		return -EBUSY;
	dev->mm = get_task_mm(current);
	if (!dev->mm)
		return -EINVAL;
	WRITE_ONCE(dev->owner, task_tgid_nr(current));
	return 0;
}

/**
 * vhost_blk_dev_reset_owner() - stop everything and leave the device to anybody
 * @dev: the device
 *
 * Context: @dev->mutex is held; sleeps for the I/O in flight.
 * Return: 0, or -ENOMEM with nothing changed.
 */
int vhost_blk_dev_reset_owner(struct vhost_blk_dev *dev)
{
	struct vhost_blk_mem *none = vhost_blk_mem_create(NULL, 0);

	lockdep_assert_held(&dev->mutex);

	if (IS_ERR(none))
		return PTR_ERR(none);
	vhost_blk_dev_forget(dev);
	vhost_blk_mem_free(dev->mem);
	dev->mem = none;
	return 0;
}

/**
 * vhost_blk_dev_create() - make a device without owner, memory and queues
 *
 * Return: the device, an ERR_PTR otherwise.
 */
struct vhost_blk_dev *vhost_blk_dev_create(void)
{
	struct vhost_blk_dev *dev;
	int ret;

	dev = kvzalloc(sizeof(*dev), GFP_KERNEL_ACCOUNT);
	if (!dev)
		return ERR_PTR(-ENOMEM);
	mutex_init(&dev->mutex);
	spin_lock_init(&dev->serial.lock);
	vhost_blk_inval_init(&dev->inval);
	ret = vhost_blk_sysfs_init_dev(dev);
	if (ret) {
		kvfree(dev);
		return ERR_PTR(ret);
	}
	dev->mem = vhost_blk_mem_create(NULL, 0);
	if (IS_ERR(dev->mem)) {
		ret = PTR_ERR(dev->mem);
		goto put_dev;
	}
	ret = vhost_blk_sysfs_add_dev(dev);
	if (ret)
		goto free_mem;
	return dev;

free_mem:
	vhost_blk_mem_free(dev->mem);
put_dev:
	vhost_blk_sysfs_put_dev(dev);
	return ERR_PTR(ret);
}

/**
 * vhost_blk_dev_destroy() - stop and free a device
 * @dev: the device; nobody else can reach it any more
 *
 * Context: process; sleeps for the I/O in flight.
 */
void vhost_blk_dev_destroy(struct vhost_blk_dev *dev)
{
	struct vhost_blk_vq *vq;

	mutex_lock(&dev->mutex);
	/*
	 * A worker may wait for a page that only the dying owner can provide,
	 * by a userfaultfd for one.
	 */
	vhost_blk_for_each_running(dev, vq)
		send_sig(SIGKILL, vq->worker, 1);
	vhost_blk_dev_forget(dev);
	mutex_unlock(&dev->mutex);
	vhost_blk_sysfs_del_dev(dev);
	vhost_blk_mem_free(dev->mem);
	vhost_blk_sysfs_put_dev(dev);
}
