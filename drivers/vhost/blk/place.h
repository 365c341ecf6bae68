/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which core a worker runs on, over all devices of the module.
 *
 * One mutex for all placements, never held for longer than it takes to look at
 * every worker once. Order: a device's mutex, then this one.
 */
#ifndef VHOST_BLK_PLACE_H
#define VHOST_BLK_PLACE_H

#include <linux/cpumask.h>
#include <linux/list.h>

#include "pack.h"

struct task_struct;
struct vhost_blk_stats;

/**
 * struct vhost_blk_place - where a worker runs
 * @link: among all placed workers; empty while the worker is not placed
 * @task: the worker; NULL before there is one
 * @stats: its queue's statistics
 * @dev_id: number of its device
 * @queue: number of its queue
 * @node: node of its memory, or NUMA_NO_NODE
 * @wish: CPU that the administrator has set, or -1
 * @cpu: CPU that was chosen, or -1 for any
 * @home: CPU that was chosen before a CPU went offline
 * @why: why this one, for people
 * @allowed: CPUs that the owner may use, while the worker is placed
 * @bound: @allowed has come from a cpuset and binds the dedicated set, too
 * @busy_ns: for the load: the last look at its busy time
 * @pack: for cores=auto
 *
 * @wish outlives placements and is set at any time; all is under the mutex
 * except that @cpu and @why are read without.
 */
struct vhost_blk_place {
	struct list_head link;
	struct task_struct *task;
	const struct vhost_blk_stats *stats;
	unsigned int dev_id;
	unsigned int queue;
	int node;
	int wish;
	int cpu;
	int home;
	const char *why;
	cpumask_var_t allowed;
	bool bound;
	u64 busy_ns;
	struct vhost_blk_pack_worker pack;
};

int vhost_blk_place_init(const char *cpus, const char *cores);
void vhost_blk_place_exit(void);

void vhost_blk_place_setup(struct vhost_blk_place *place, unsigned int dev_id,
			   unsigned int queue,
			   const struct vhost_blk_stats *stats);
int vhost_blk_place_add(struct vhost_blk_place *place, int node);
void vhost_blk_place_start(struct vhost_blk_place *place,
			   struct task_struct *task);
void vhost_blk_place_del(struct vhost_blk_place *place);
int vhost_blk_place_set_wish(struct vhost_blk_place *place, int cpu);
bool vhost_blk_place_changed(const struct vhost_blk_place *place);
void vhost_blk_place_check(struct vhost_blk_place *place);
void vhost_blk_place_move(struct vhost_blk_place *place, int cpu,
			  const char *why);
void vhost_blk_place_awake(struct vhost_blk_place *place);

#endif /* VHOST_BLK_PLACE_H */
