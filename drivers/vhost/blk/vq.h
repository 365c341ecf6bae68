/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One virtqueue: its configuration, its eventfds, what its worker works with.
 *
 * Who may touch a member:
 *
 *  D: the device's mutex
 *  I: set before the worker runs or while it is parked, constant for it
 *  W: the worker, or who has claimed the queue while it sleeps (direct.c);
 *     others read single words with READ_ONCE()
 *  C: completion and wake-up contexts, interrupts included, without a lock
 *  S: the queue's signal_lock
 */
#ifndef VHOST_BLK_VQ_H
#define VHOST_BLK_VQ_H

#include <linux/cache.h>
#include <linux/completion.h>
#include <linux/kobject.h>
#include <linux/llist.h>
#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "cgroup.h"
#include "cmd.h"
#include "hold.h"
#include "map.h"
#include "place.h"
#include "ring.h"
#include "stats.h"
#include "tlb.h"
#include "view.h"
#include "tune.h"

struct eventfd_ctx;
struct file;
struct mm_struct;
struct task_struct;
struct vhost_blk_backend;
struct vhost_blk_mem;
struct vhost_blk_req;

/**
 * struct vhost_blk_serial - what GET_ID answers
 * @lock: of @str; leaf
 * @str: NUL padded, without NUL when full
 */
struct vhost_blk_serial {
	spinlock_t lock; /* of @str */
	char str[VHOST_BLK_SERIAL_LEN];
};

/**
 * struct vhost_blk_start - what the queues of a device share when they start
 * @backend: where requests go
 * @mem: memory table
 * @mm: the owner's address space
 * @changes: the device's count of changes of @mm
 * @serial: the device's serial
 * @features: acknowledged feature bits
 * @nr_queues: queues that are about to run, at least one
 */
struct vhost_blk_start {
	const struct vhost_blk_backend *backend;
	const struct vhost_blk_mem *mem;
	struct mm_struct *mm;
	const atomic64_t *changes;
	struct vhost_blk_serial *serial;
	u64 features;
	unsigned int nr_queues;
};

/**
 * enum vhost_blk_sleep - who has what belongs to the worker
 * @VHOST_BLK_AWAKE: the worker
 * @VHOST_BLK_ASLEEP: nobody; whoever has work for the worker wakes it
 * @VHOST_BLK_CLAIMED: whoever ends a request, see direct.c
 */
enum vhost_blk_sleep {
	VHOST_BLK_AWAKE,
	VHOST_BLK_ASLEEP,
	VHOST_BLK_CLAIMED,
};

/**
 * struct vhost_blk_kick - listens on a kick eventfd
 * @file: the eventfd; NULL for none
 * @table: makes vfs_poll() add @wait to the eventfd's wait queue
 * @wait: our entry there
 * @head: that wait queue; NULL while not listening
 */
struct vhost_blk_kick {
	struct file *file;
	poll_table table;
	wait_queue_entry_t wait;
	wait_queue_head_t *head;
};

/**
 * struct vhost_blk_vq - a virtqueue
 */
struct vhost_blk_vq {
	/* private: constant */
	struct kobject kobj; /* queues/M in sysfs; owns this structure */
	unsigned int dev_id;
	unsigned int index;

	/* Single words that anybody may write. */
	struct vhost_blk_tune tune;

	/* Under a mutex of its own. */
	struct vhost_blk_place place;

	/* D: as set by the vring ioctls */
	unsigned int num;
	u64 desc_hva;
	u64 avail_hva;
	u64 used_hva;
	bool has_addr;
	bool started; /* the worker has been woken */
	u16 base;
	struct vhost_blk_kick kick;

	/* S: where the worker signals */
	spinlock_t signal_lock; /* of @call and @err; leaf */
	struct eventfd_ctx *call;
	struct eventfd_ctx *err;

	/* I: */
	struct list_head inval_link;
	struct task_struct *worker;
	pid_t worker_pid; /* for sysfs: 0 without a worker */
	struct mm_struct *mm;
	const struct vhost_blk_backend *backend;
	struct vhost_blk_serial *serial;
	struct vhost_blk_map desc_map;
	struct vhost_blk_map avail_map;
	struct vhost_blk_map used_map;
	union vhost_blk_scratch *scratch;
	struct vhost_blk_req *reqs;
	struct vhost_blk_req __rcu *shown; /* @reqs while sysfs may look */
	unsigned int max_pinned;
	struct vhost_blk_cgroup cgroup;
	bool read_only;
	bool write_through;

	/* D, read by the worker at any time: take no further chain */
	bool stopping;
	bool told; /* @drained is complete; while @stopping the worker's */
	struct completion drained;

	/* W: */
	struct vhost_blk_ring ring ____cacheline_aligned_in_smp;
	struct vhost_blk_req *free; /* linked by their next */
	struct list_head polled;    /* with the disk's poll queues */
	struct list_head retry;
	struct vhost_blk_req *stalled;
	unsigned int in_flight;
	unsigned int nr_retry;
	unsigned int nr_polled; /* requests that end when the worker looks */
	unsigned int pinned;
	u32 pass_bytes;
	u32 window_ns;			/* how long to poll before it sleeps */
	u64 now;			/* last look at the clock, in ns */
	struct vhost_blk_limits limits; /* of the disk, as of this pass */
	u64 kicks_seen;
	u64 forgot; /* when the translation cache was last emptied, in ns */
	bool room;
	bool refused;
	bool poll_device; /* submit to the disk's poll queues */
	bool rested;	  /* @now was taken right before this pass */
	bool settle; /* take nothing before those that are polled are done */
	bool broken;
	struct vhost_blk_view view;
	struct vhost_blk_tlb tlb;
	struct vhost_blk_hold hold;
	struct vhost_blk_stats stats;

	/* C: */
	struct llist_head done ____cacheline_aligned_in_smp;
	int sleeping; /* enum vhost_blk_sleep */
	u64 kicks;
};

struct vhost_blk_vq *vhost_blk_vq_alloc(unsigned int dev_id,
					unsigned int index);
void vhost_blk_vq_free(struct vhost_blk_vq *vq);

void vhost_blk_vq_wake(struct vhost_blk_vq *vq);

void vhost_blk_vq_set_mem(struct vhost_blk_vq *vq,
			  const struct vhost_blk_mem *mem);
int vhost_blk_vq_prepare(struct vhost_blk_vq *vq,
			 const struct vhost_blk_start *start);
void vhost_blk_vq_run(struct vhost_blk_vq *vq);
void vhost_blk_vq_halt(struct vhost_blk_vq *vq);
void vhost_blk_vq_wait_drained(struct vhost_blk_vq *vq);
void vhost_blk_vq_stop(struct vhost_blk_vq *vq);
void vhost_blk_vq_unprepare(struct vhost_blk_vq *vq);

/**
 * vhost_blk_vq_running() - has the queue a worker?
 * @vq: the queue
 *
 * Context: the device's mutex is held.
 * Return: true from vhost_blk_vq_prepare() to vhost_blk_vq_unprepare().
 */
static inline bool vhost_blk_vq_running(const struct vhost_blk_vq *vq)
{
	return vq->worker;
}

#endif /* VHOST_BLK_VQ_H */
