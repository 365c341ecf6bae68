// SPDX-License-Identifier: GPL-2.0-only
#include "place.h"

#include <linux/cpumask.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

/* The dedicated set; empty: whatever the owner may use. Set at load. */
static struct cpumask vhost_blk_place_set;

/* Workers placed on each CPU. Leaf lock, control path only. */
static DEFINE_PER_CPU(unsigned int, vhost_blk_place_load);
static DEFINE_SPINLOCK(vhost_blk_place_lock);

/**
 * vhost_blk_place_init() - set the dedicated cores
 * @list: CPU list as in cpuset.cpus, or NULL for none
 *
 * Return: 0, or -EINVAL for what is no list of possible CPUs.
 */
int vhost_blk_place_init(const char *list)
{
	if (!list || !*list)
		return 0;
	if (cpulist_parse(list, &vhost_blk_place_set) ||
	    !cpumask_subset(&vhost_blk_place_set, cpu_possible_mask))
		return -EINVAL;
	return 0;
}

/* May a worker of the calling process be placed on this CPU? */
static bool vhost_blk_place_allowed(int cpu)
{
	if (!cpu_online(cpu))
		return false;
	if (cpumask_intersects(&vhost_blk_place_set, cpu_online_mask))
		return cpumask_test_cpu(cpu, &vhost_blk_place_set);
	return cpumask_test_cpu(cpu, current->cpus_ptr);
}

/**
 * vhost_blk_place_get() - choose a core for a worker of the calling process
 *
 * The core of the dedicated set with the fewest workers; without a dedicated
 * set, of the CPUs that the caller may use. To be given back with
 * vhost_blk_place_put().
 *
 * Context: process.
 * Return: CPU number, or -1 when no CPU qualifies: the worker then runs
 * anywhere.
 */
int vhost_blk_place_get(void)
{
	unsigned int least = UINT_MAX;
	int cpu, best = -1;

	spin_lock(&vhost_blk_place_lock);
	for_each_possible_cpu(cpu) {
		unsigned int load = per_cpu(vhost_blk_place_load, cpu);

		if (load < least && vhost_blk_place_allowed(cpu)) {
			least = load;
			best = cpu;
		}
	}
	if (best >= 0)
		per_cpu(vhost_blk_place_load, best)++;
	spin_unlock(&vhost_blk_place_lock);
	return best;
}

/**
 * vhost_blk_place_put() - give a core back
 * @cpu: what vhost_blk_place_get() returned
 */
void vhost_blk_place_put(int cpu)
{
	if (cpu < 0)
		return;
	spin_lock(&vhost_blk_place_lock);
	per_cpu(vhost_blk_place_load, cpu)--;
	spin_unlock(&vhost_blk_place_lock);
}
