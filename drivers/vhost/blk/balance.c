// SPDX-License-Identifier: GPL-2.0-only
#include "balance.h"
#include "pack.h"
#include "place.h"
#include "stats.h"

#include <linux/cpumask.h>
#include <linux/list.h>
#include <linux/math64.h>
#include <linux/slab.h>

/* Measures a worker's load since the last look; true while it is awake. */
static bool vhost_blk_balance_measure(struct vhost_blk_place *place, u64 ns)
{
	struct vhost_blk_times times;
	u64 busy, spent, last = place->busy_ns;

	vhost_blk_stats_times(place->stats, vhost_blk_clock(), &times);
	busy = times.busy_ns + times.halt_poll_success_ns;
	/* A reader may have seen more of a busy time than it came to. */
	spent = last ? vhost_blk_since(busy, last) : 0;
	place->pack.load = min_t(u64, div64_u64(spent * 1000, ns), 1000);
	place->busy_ns = busy;
	return vhost_blk_pack_look(&place->pack);
}

/**
 * struct vhost_blk_packing - what the packing works on
 * @nr_cpus: entries of @cpus and @core_load
 * @nr: entries of @workers
 * @cpus: the CPUs in the order of the dedicated set
 * @core_load: scratch
 * @workers: those that may be moved
 */
struct vhost_blk_packing {
	unsigned int nr_cpus;
	unsigned int nr;
	int *cpus;
	unsigned int *core_load;
	struct vhost_blk_pack_worker *workers[];
};

static struct vhost_blk_packing *
vhost_blk_packing_create(struct list_head *placed, const struct cpumask *set)
{
	unsigned int cpus = cpumask_weight(set), nr = 0;
	struct list_head *entry;
	struct vhost_blk_packing *p;
	size_t size;
	int cpu;

	list_for_each(entry, placed) nr++;
	size = struct_size(p, workers, nr) +
	       cpus * (sizeof(*p->cpus) + sizeof(*p->core_load));
	p = kzalloc(size, GFP_NOIO | __GFP_NOWARN);
	if (!p)
		return NULL;
	p->cpus = (void *)&p->workers[nr];
	p->core_load = (void *)&p->cpus[cpus];
	for_each_cpu(cpu, set)
		if (cpu_online(cpu))
			p->cpus[p->nr_cpus++] = cpu;
	return p;
}

/* Of a CPU outside of the set: the first core. */
static unsigned int vhost_blk_packing_core(const struct vhost_blk_packing *p,
					   int cpu)
{
	unsigned int i;

	for (i = 0; i < p->nr_cpus; i++)
		if (p->cpus[i] == cpu)
			return i;
	return 0;
}

/* Workers that are bound otherwise stay out of it. */
static bool vhost_blk_balance_movable(const struct vhost_blk_place *place)
{
	return place->task && place->wish < 0 && !place->bound;
}

static void vhost_blk_balance_apply(const struct vhost_blk_packing *p,
				    struct list_head *placed)
{
	struct vhost_blk_place *place;
	int cpu;

	list_for_each_entry(place, placed, link) {
		if (!vhost_blk_balance_movable(place))
			continue;
		cpu = p->cpus[place->pack.core];
		if (cpu == place->cpu)
			continue;
		place->home = cpu;
		vhost_blk_place_move(place, cpu, "load");
	}
}

/**
 * vhost_blk_balance() - look at the load and move workers accordingly
 * @placed: all placements
 * @set: the dedicated set
 * @ns: time since the last look, not 0
 *
 * Context: work item; the mutex of all placements and the lock of CPU hotplug
 * are held; sleeps.
 * Return: true while some worker is awake.
 */
bool vhost_blk_balance(struct list_head *placed, const struct cpumask *set,
		       u64 ns)
{
	struct vhost_blk_packing *p = vhost_blk_packing_create(placed, set);
	struct vhost_blk_place *place;
	bool awake = false;

	list_for_each_entry(place, placed, link) {
		awake |= vhost_blk_balance_measure(place, ns);
		if (!p || !vhost_blk_balance_movable(place))
			continue;
		place->pack.core = vhost_blk_packing_core(p, place->cpu);
		p->workers[p->nr++] = &place->pack;
	}
	if (p && p->nr_cpus) {
		vhost_blk_pack(p->workers, p->nr, p->core_load, p->nr_cpus);
		vhost_blk_balance_apply(p, placed);
	}
	kfree(p);
	return awake;
}
