// SPDX-License-Identifier: GPL-2.0-only
#include "vq.h"
#include "backend.h"
#include "cmd.h"
#include "event.h"
#include "exact.h"
#include "mem.h"
#include "pool.h"
#include "sysfs_vq.h"
#include "trace.h"
#include "worker.h"

#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

/* The most pages that one request can need: each span on two pages' edges. */
#define VHOST_BLK_MAX_REQ_PAGES \
	(VHOST_BLK_MAX_BYTES / PAGE_SIZE + 2 * VHOST_BLK_MAX_SPANS)

/* Entries of the translation cache for each entry of the ring. */
#define VHOST_BLK_TLB_PER_DESC 4

static unsigned int vhost_blk_max_pinned_mb = 512;
module_param_named(max_pinned_mb, vhost_blk_max_pinned_mb, uint, 0644);
MODULE_PARM_DESC(max_pinned_mb, "MiB a disk may pin; a queue at least 12.5");

/**
 * vhost_blk_vq_wake() - bring the worker back from its sleep
 * @vq: the queue; kept from going away by RCU, by the device's mutex, by being
 * on the wait queue of the kick eventfd or on the list of the MMU notifier
 *
 * The caller has left its message for the worker in memory.
 *
 * Context: any, interrupts included.
 */
void vhost_blk_vq_wake(struct vhost_blk_vq *vq)
{
	/* Pairs with the barrier in vhost_blk_sleep(). */
	smp_mb();
	if (READ_ONCE(vq->sleeping))
		wake_up_process(vq->worker);
}

/**
 * vhost_blk_vq_alloc() - make an unconfigured queue
 * @dev_id: number of its device
 * @index: its number
 *
 * Return: the queue, not in sysfs yet, or NULL. vhost_blk_vq_free() frees it.
 */
struct vhost_blk_vq *vhost_blk_vq_alloc(unsigned int dev_id, unsigned int index)
{
	struct vhost_blk_vq *vq = kzalloc(sizeof(*vq), GFP_KERNEL_ACCOUNT);

	if (!vq)
		return NULL;
	vq->dev_id = dev_id;
	vq->index = index;
	vhost_blk_place_setup(&vq->place, dev_id, index, &vq->stats);
	vhost_blk_tune_init(&vq->tune);
	vhost_blk_stats_init(&vq->stats);
	vq->ring.damage = "none";
	vhost_blk_event_init(vq);
	init_llist_head(&vq->done);
	init_completion(&vq->drained);
	vhost_blk_sysfs_init_vq(vq);
	return vq;
}

/**
 * vhost_blk_vq_free() - free a queue and its eventfds
 * @vq: the queue, not running, or NULL
 *
 * Waits for those who are reading its files in sysfs.
 */
void vhost_blk_vq_free(struct vhost_blk_vq *vq)
{
	if (!vq)
		return;
	WARN_ON_ONCE(vhost_blk_vq_running(vq));
	vhost_blk_event_close(vq);
	vhost_blk_sysfs_put_vq(vq);
}

/* Rings lie in guest memory: the owner cannot point us anywhere else. */
static int vhost_blk_vq_map_part(struct vhost_blk_map *map,
				 const struct vhost_blk_mem *mem, u64 hva,
				 size_t len)
{
	if (!vhost_blk_mem_has_hva(mem, hva, len))
		return -EFAULT;
	return vhost_blk_map_create(map, hva, len);
}

static int vhost_blk_vq_map(struct vhost_blk_vq *vq,
			    const struct vhost_blk_mem *mem)
{
	int ret;

	ret = vhost_blk_vq_map_part(&vq->desc_map, mem, vq->desc_hva,
				    vhost_blk_ring_desc_size(vq->num));
	if (ret)
		return ret;
	ret = vhost_blk_vq_map_part(&vq->avail_map, mem, vq->avail_hva,
				    vhost_blk_ring_avail_size(vq->num));
	if (ret)
		goto unmap_desc;
	ret = vhost_blk_vq_map_part(&vq->used_map, mem, vq->used_hva,
				    vhost_blk_ring_used_size(vq->num));
	if (ret)
		goto unmap_avail;
	return 0;

unmap_avail:
	vhost_blk_map_destroy(&vq->avail_map);
unmap_desc:
	vhost_blk_map_destroy(&vq->desc_map);
	return ret;
}

static void vhost_blk_vq_unmap(struct vhost_blk_vq *vq)
{
	vhost_blk_map_destroy(&vq->used_map);
	vhost_blk_map_destroy(&vq->avail_map);
	vhost_blk_map_destroy(&vq->desc_map);
}

static int vhost_blk_vq_alloc_scratch(struct vhost_blk_vq *vq,
				      const struct vhost_blk_start *start)
{
	int ret;

	vq->scratch = vhost_blk_exact_alloc(sizeof(*vq->scratch));
	if (!vq->scratch)
		return -ENOMEM;
	ret = vhost_blk_pool_init(vq);
	if (ret)
		goto free_scratch;
	ret = vhost_blk_tlb_create(&vq->tlb, VHOST_BLK_TLB_PER_DESC * vq->num,
				   start->changes);
	if (ret)
		goto free_pool;
	return 0;

free_pool:
	vhost_blk_pool_free(vq);
free_scratch:
	vhost_blk_exact_free(vq->scratch, sizeof(*vq->scratch));
	vq->scratch = NULL;
	return ret;
}

static void vhost_blk_vq_free_scratch(struct vhost_blk_vq *vq)
{
	vhost_blk_tlb_destroy(&vq->tlb);
	vhost_blk_pool_free(vq);
	vhost_blk_exact_free(vq->scratch, sizeof(*vq->scratch));
	vq->scratch = NULL;
}

/**
 * vhost_blk_vq_set_mem() - another memory table is in force
 * @vq: a queue whose worker is parked, or has not run yet
 * @mem: the table; stays until the next one
 *
 * What is cached of the old one is dropped.
 *
 * Context: the device's mutex is held; sleeps.
 */
void vhost_blk_vq_set_mem(struct vhost_blk_vq *vq,
			  const struct vhost_blk_mem *mem)
{
	vq->view.mem = mem;
	vq->view.last = NULL;
	vhost_blk_tlb_flush(&vq->tlb);
}

static int vhost_blk_vq_start_ring(struct vhost_blk_vq *vq,
				   const struct vhost_blk_start *start)
{
	struct vhost_blk_ring *ring = &vq->ring;
	u64 features = start->features;

	ring->desc = vq->desc_map.addr;
	ring->avail = vq->avail_map.addr;
	ring->used = vq->used_map.addr;
	ring->view = &vq->view;
	ring->num = vq->num;
	ring->little_endian = virtio_legacy_is_little_endian() ||
			      features & BIT_ULL(VIRTIO_F_VERSION_1);
	ring->event_idx = features & BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
	ring->indirect = features & BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	return vhost_blk_ring_start(ring, vq->base);
}

static void vhost_blk_vq_set_start(struct vhost_blk_vq *vq,
				   const struct vhost_blk_start *start)
{
	u64 pages = (u64)READ_ONCE(vhost_blk_max_pinned_mb)
		    << (20 - PAGE_SHIFT);
	u64 cached = BIT(vq->tlb.bits);

	pages = div_u64(pages, start->nr_queues);
	vq->mm = start->mm;
	vq->backend = start->backend;
	vq->serial = start->serial;
	vq->view.tlb = &vq->tlb;
	vhost_blk_vq_set_mem(vq, start->mem);
	vq->read_only = start->features & BIT_ULL(VIRTIO_BLK_F_RO);
	/* Without a way to flush, what is written is stable (5.2.6.2). */
	vq->write_through = !(start->features & BIT_ULL(VIRTIO_BLK_F_FLUSH));
	vq->max_pinned = clamp_t(u64, pages > cached ? pages - cached : 0,
				 VHOST_BLK_MAX_REQ_PAGES, UINT_MAX);
	vq->stopping = false;
	vq->refused = false;
	vq->stalled = NULL;
	WRITE_ONCE(vq->in_flight, 0);
	vq->nr_retry = 0;
	vq->nr_polled = 0;
	vq->settle = false;
	WRITE_ONCE(vq->pinned, 0);
	vq->room = false;
	WRITE_ONCE(vq->broken, false);
	WRITE_ONCE(vq->window_ns, 0);
}

/*
 * The node of the device's memory, where its interrupts and queues are, or else
 * that of the guest's memory; any on a machine that has only one.
 */
static int vhost_blk_vq_node(const struct vhost_blk_vq *vq)
{
	int node = vhost_blk_backend_node(vq->backend);

	if (nr_online_nodes == 1)
		return NUMA_NO_NODE;
	return node == NUMA_NO_NODE ? page_to_nid(vq->used_map.pages[0]) : node;
}

/**
 * vhost_blk_vq_prepare() - get everything a queue needs to run
 * @vq: a queue with size and addresses
 * @start: what it shares with the others
 *
 * Context: process of the owner, the device's mutex is held; sleeps.
 * Return: 0; -EFAULT when a ring is not in guest memory or not writable,
 * -EINVAL when the base does not fit the used index, -ENOMEM (also for the
 * limit on locked memory), -EINTR when killed meanwhile. Nothing is held on
 * error.
 */
int vhost_blk_vq_prepare(struct vhost_blk_vq *vq,
			 const struct vhost_blk_start *start)
{
	struct task_struct *worker;
	int ret;

	ret = vhost_blk_vq_map(vq, start->mem);
	if (ret)
		return ret;
	ret = vhost_blk_vq_start_ring(vq, start);
	if (ret)
		goto unmap;
	ret = vhost_blk_vq_alloc_scratch(vq, start);
	if (ret)
		goto unmap;

	vhost_blk_vq_set_start(vq, start);
	ret = vhost_blk_cgroup_get(&vq->cgroup);
	if (ret)
		goto free_scratch;
	/* The rings lie where the guest's memory is, or in front of it. */
	ret = vhost_blk_place_add(&vq->place, vhost_blk_vq_node(vq));
	if (ret)
		goto put_cgroup;
	worker = vhost_blk_worker_create(vq);
	if (IS_ERR(worker)) {
		ret = PTR_ERR(worker);
		goto put_cpu;
	}
	vq->worker = get_task_struct(worker);
	vhost_blk_place_start(&vq->place, worker);
	WRITE_ONCE(vq->worker_pid, task_pid_nr(worker));
	return 0;

put_cpu:
	vhost_blk_place_del(&vq->place);
put_cgroup:
	vhost_blk_cgroup_put(&vq->cgroup);
free_scratch:
	vhost_blk_vq_free_scratch(vq);
unmap:
	vhost_blk_vq_unmap(vq);
	return ret;
}

/**
 * vhost_blk_vq_run() - let a prepared queue run
 * @vq: the queue
 *
 * The worker looks at the ring at once. A driver that has used the ring before
 * gets an interrupt, as one may have been lost with the last owner of the ring;
 * an index that has just gone around is taken for that of a new ring.
 *
 * Context: the device's mutex is held.
 */
void vhost_blk_vq_run(struct vhost_blk_vq *vq)
{
	if (vq->ring.used_idx)
		vhost_blk_event_signal_call(vq);
	vq->started = true;
	vhost_blk_pool_show(vq);
	vhost_blk_event_listen(vq);
	wake_up_process(vq->worker);
}

/**
 * vhost_blk_vq_halt() - let a queue take no further chain
 * @vq: a prepared queue, running or not
 *
 * Context: the device's mutex is held.
 */
void vhost_blk_vq_halt(struct vhost_blk_vq *vq)
{
	reinit_completion(&vq->drained);
	vq->told = false;
	/* Pairs with the acquire in vhost_blk_worker_drained(). */
	smp_store_release(&vq->stopping, true);
	vhost_blk_vq_wake(vq);
}

/**
 * vhost_blk_vq_wait_drained() - wait until all in flight is answered
 * @vq: a halted queue
 *
 * A worker may wait for a page that only the owner can provide, by a
 * userfaultfd for one. When the caller is killed nobody is left to do that: the
 * worker is told to give such pages up.
 *
 * Context: the device's mutex is held; sleeps for I/O unless killed.
 */
void vhost_blk_vq_wait_drained(struct vhost_blk_vq *vq)
{
	if (vq->started && wait_for_completion_killable(&vq->drained))
		send_sig(SIGKILL, vq->worker, 1);
}

/**
 * vhost_blk_vq_stop() - end the worker of a queue
 * @vq: a prepared queue, running or not
 *
 * Returns when the last request in flight has been answered. The caller waits
 * for an RCU grace period before vhost_blk_vq_unprepare().
 *
 * Context: the device's mutex is held; sleeps for I/O.
 */
void vhost_blk_vq_stop(struct vhost_blk_vq *vq)
{
	vhost_blk_event_ignore(vq);
	kthread_stop(vq->worker);
	vhost_blk_pool_hide(vq);
}

/**
 * vhost_blk_vq_unprepare() - give back what vhost_blk_vq_prepare() got
 * @vq: a stopped queue
 *
 * Context: the device's mutex is held; sleeps.
 */
void vhost_blk_vq_unprepare(struct vhost_blk_vq *vq)
{
	vq->base = vq->ring.last_avail;
	vq->started = false;
	WRITE_ONCE(vq->worker_pid, 0);
	vhost_blk_place_del(&vq->place);
	put_task_struct(vq->worker);
	vq->worker = NULL;
	vhost_blk_cgroup_put(&vq->cgroup);
	vhost_blk_vq_free_scratch(vq);
	vhost_blk_vq_unmap(vq);
}
