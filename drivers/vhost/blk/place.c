// SPDX-License-Identifier: GPL-2.0-only
/*
 * A core is chosen when a queue starts: of the dedicated set, or else of what
 * the owner may use; on the node of the memory that the queue works with, if
 * that has any; where the fewest workers are. It changes when the administrator
 * says so, when the CPU goes offline (and back when it returns), when a cpuset
 * changes, and, with cores=auto, with the load (pack.c).
 */
#include "place.h"
#include "balance.h"
#include "stats.h"
#include "trace.h"

#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/workqueue.h>

/* How often the load is looked at with cores=auto, in milliseconds. */
#define VHOST_BLK_PLACE_LOOK_MS 40

static DEFINE_MUTEX(vhost_blk_place_mutex); /* of all that follows */
static LIST_HEAD(vhost_blk_placed);

/* The dedicated set; empty: whatever the owner may use. Set at load. */
static struct cpumask vhost_blk_place_set;
static bool vhost_blk_place_auto;
static enum cpuhp_state vhost_blk_place_hotplug;

/* With cores=auto. Somebody is awake: the load is looked at. */
static void vhost_blk_place_look(struct work_struct *work);
static DECLARE_DELAYED_WORK(vhost_blk_place_work, vhost_blk_place_look);
static bool vhost_blk_place_looking;
static u64 vhost_blk_place_looked;

/* Has the dedicated set a CPU for this worker? */
static bool vhost_blk_place_has_set(const struct vhost_blk_place *place)
{
	int cpu;

	for_each_cpu(cpu, &vhost_blk_place_set) {
		if (cpu_online(cpu) &&
		    (!place->bound || cpumask_test_cpu(cpu, place->allowed)))
			return true;
	}
	return false;
}

static bool vhost_blk_place_usable(const struct vhost_blk_place *place, int cpu)
{
	bool allowed = cpumask_test_cpu(cpu, place->allowed);

	if (vhost_blk_place_has_set(place))
		return cpumask_test_cpu(cpu, &vhost_blk_place_set) &&
		       (allowed || !place->bound);
	return allowed;
}

static unsigned int vhost_blk_place_load(int cpu)
{
	const struct vhost_blk_place *place;
	unsigned int nr = 0;

	list_for_each_entry(place, &vhost_blk_placed, link)
		nr += place->cpu == cpu;
	return nr;
}

/* The usable CPU with the fewest workers, on @node or, with -1, anywhere. */
static int vhost_blk_place_least(const struct vhost_blk_place *place, int node,
				 int without)
{
	unsigned int least = UINT_MAX;
	int cpu, best = -1;

	for_each_cpu(cpu, cpu_online_mask) {
		unsigned int load;

		if (cpu == without || !vhost_blk_place_usable(place, cpu) ||
		    (node >= 0 && cpu_to_node(cpu) != node))
			continue;
		load = vhost_blk_place_load(cpu);
		if (load < least) {
			least = load;
			best = cpu;
		}
	}
	return best;
}

/* Chooses by the rules; @without is about to go offline, or -1. */
static int vhost_blk_place_choose(const struct vhost_blk_place *place,
				  int without, const char **why)
{
	int cpu;

	lockdep_assert_held(&vhost_blk_place_mutex);

	cpu = place->wish;
	if (cpu >= 0 && cpu != without && cpu_online(cpu)) {
		*why = "set";
		return cpu;
	}
	if (place->node >= 0) {
		cpu = vhost_blk_place_least(place, place->node, without);
		if (cpu >= 0) {
			*why = "node";
			return cpu;
		}
	}
	cpu = vhost_blk_place_least(place, -1, without);
	*why = cpu >= 0 ? "least" : "any";
	return cpu;
}

/* The same for one that has a core: it does not count against itself. */
static int vhost_blk_place_again(struct vhost_blk_place *place, int without,
				 const char **why)
{
	int cpu;

	list_del(&place->link);
	cpu = vhost_blk_place_choose(place, without, why);
	list_add_tail(&place->link, &vhost_blk_placed);
	return cpu;
}

/**
 * vhost_blk_place_move() - put a worker on a core
 * @place: a placement
 * @cpu: the core, or -1 for any that the owner may use
 * @why: for people
 *
 * Context: the mutex of all placements is held.
 */
void vhost_blk_place_move(struct vhost_blk_place *place, int cpu,
			  const char *why)
{
	const struct cpumask *mask;

	lockdep_assert_held(&vhost_blk_place_mutex);

	mask = cpu < 0 ? place->allowed : cpumask_of(cpu);
	WRITE_ONCE(place->cpu, cpu);
	WRITE_ONCE(place->why, why);
	if (place->task)
		set_cpus_allowed_ptr(place->task, mask);
	trace_vhost_blk_place(place->dev_id, place->queue, cpu, why);
}

/**
 * vhost_blk_place_setup() - prepare the placement of a queue's worker
 * @place: all zero
 * @dev_id: number of the device
 * @queue: number of the queue
 * @stats: the queue's statistics
 */
void vhost_blk_place_setup(struct vhost_blk_place *place, unsigned int dev_id,
			   unsigned int queue,
			   const struct vhost_blk_stats *stats)
{
	INIT_LIST_HEAD(&place->link);
	place->dev_id = dev_id;
	place->queue = queue;
	place->stats = stats;
	place->wish = -1;
	place->cpu = -1;
	place->home = -1;
	place->why = "none";
}

/**
 * vhost_blk_place_add() - choose a core for a worker of the calling process
 * @place: the placement
 * @node: node of the memory it works with, or NUMA_NO_NODE
 *
 * Context: process of the owner; sleeps.
 * Return: 0 or -ENOMEM.
 */
int vhost_blk_place_add(struct vhost_blk_place *place, int node)
{
	const char *why;
	int cpu;

	if (!alloc_cpumask_var(&place->allowed, GFP_KERNEL_ACCOUNT))
		return -ENOMEM;
	cpus_read_lock();
	mutex_lock(&vhost_blk_place_mutex);
	cpumask_copy(place->allowed, current->cpus_ptr);
	place->bound = false;
	place->node = node;
	cpu = vhost_blk_place_choose(place, -1, &why);
	place->home = cpu;
	place->busy_ns = 0;
	place->pack.quiet = 0;
	list_add_tail(&place->link, &vhost_blk_placed);
	vhost_blk_place_move(place, cpu, why);
	mutex_unlock(&vhost_blk_place_mutex);
	cpus_read_unlock();
	return 0;
}

/**
 * vhost_blk_place_start() - bind a worker to the core that was chosen
 * @place: a placement
 * @task: the worker; stays until vhost_blk_place_del()
 *
 * Context: process; sleeps.
 */
void vhost_blk_place_start(struct vhost_blk_place *place,
			   struct task_struct *task)
{
	mutex_lock(&vhost_blk_place_mutex);
	place->task = task;
	if (place->cpu >= 0)
		set_cpus_allowed_ptr(task, cpumask_of(place->cpu));
	mutex_unlock(&vhost_blk_place_mutex);
}

/**
 * vhost_blk_place_del() - give a core back
 * @place: a placement
 *
 * Context: process; sleeps.
 */
void vhost_blk_place_del(struct vhost_blk_place *place)
{
	mutex_lock(&vhost_blk_place_mutex);
	list_del_init(&place->link);
	place->task = NULL;
	WRITE_ONCE(place->cpu, -1);
	WRITE_ONCE(place->why, "none");
	free_cpumask_var(place->allowed);
	mutex_unlock(&vhost_blk_place_mutex);
}

/**
 * vhost_blk_place_set_wish() - bind a worker to a CPU of the caller's choice
 * @place: a placement, in use or not
 * @cpu: the CPU, or -1 to leave it to the module again
 *
 * A worker that runs moves at once. The choice holds for later workers of the
 * queue, too, and is come back to when the CPU has been offline meanwhile.
 *
 * Context: process; sleeps.
 * Return: 0, or -EINVAL for a CPU that is not online.
 */
int vhost_blk_place_set_wish(struct vhost_blk_place *place, int cpu)
{
	const char *why;
	int ret = 0;

	cpus_read_lock();
	mutex_lock(&vhost_blk_place_mutex);
	if (cpu < -1 || cpu >= (int)nr_cpu_ids ||
	    (cpu >= 0 && !cpu_online(cpu))) {
		ret = -EINVAL;
		goto unlock;
	}
	place->wish = cpu;
	if (!list_empty(&place->link)) {
		cpu = vhost_blk_place_again(place, -1, &why);
		place->home = cpu;
		vhost_blk_place_move(place, cpu, why);
	}
unlock:
	mutex_unlock(&vhost_blk_place_mutex);
	cpus_read_unlock();
	return ret;
}

/**
 * vhost_blk_place_changed() - has somebody changed the worker's CPUs?
 * @place: the calling worker's placement
 *
 * Context: worker; does not sleep.
 * Return: true when vhost_blk_place_check() has something to do.
 */
bool vhost_blk_place_changed(const struct vhost_blk_place *place)
{
	int cpu = READ_ONCE(place->cpu);

	return cpu >= 0 && !cpumask_equal(current->cpus_ptr, cpumask_of(cpu));
}

/**
 * vhost_blk_place_check() - take a change of the worker's CPUs into account
 * @place: the calling worker's placement
 *
 * That is how a change of a cpuset shows. The worker moves if its core is no
 * longer among its CPUs, and is bound again.
 *
 * Context: worker; sleeps if so.
 */
void vhost_blk_place_check(struct vhost_blk_place *place)
{
	const char *why;
	int cpu;

	if (likely(!vhost_blk_place_changed(place)))
		return;

	cpus_read_lock();
	mutex_lock(&vhost_blk_place_mutex);
	cpu = place->cpu;
	if (cpu >= 0 && !cpumask_equal(current->cpus_ptr, cpumask_of(cpu))) {
		cpumask_copy(place->allowed, current->cpus_ptr);
		why = place->why;
		if (!cpumask_test_cpu(cpu, place->allowed)) {
			/* A cpuset outweighs what was asked for here. */
			place->bound = true;
			place->wish = -1;
			cpu = vhost_blk_place_again(place, -1, &why);
			place->home = cpu;
			why = "cpuset";
		}
		vhost_blk_place_move(place, cpu, why);
	}
	mutex_unlock(&vhost_blk_place_mutex);
	cpus_read_unlock();
}

/*
 * CPU hotplug
 */

static int vhost_blk_place_offline(unsigned int cpu)
{
	struct vhost_blk_place *place, *next;
	const char *why;
	int other;

	mutex_lock(&vhost_blk_place_mutex);
	list_for_each_entry_safe(place, next, &vhost_blk_placed, link) {
		if (place->cpu != cpu)
			continue;
		other = vhost_blk_place_again(place, cpu, &why);
		vhost_blk_place_move(place, other, "offline");
	}
	mutex_unlock(&vhost_blk_place_mutex);
	return 0;
}

static int vhost_blk_place_online(unsigned int cpu)
{
	struct vhost_blk_place *place;

	mutex_lock(&vhost_blk_place_mutex);
	list_for_each_entry(place, &vhost_blk_placed, link)
		if (place->cpu != cpu &&
		    (place->wish == cpu ||
		     (place->wish < 0 && place->home == cpu)))
			vhost_blk_place_move(place, cpu, "online");
	mutex_unlock(&vhost_blk_place_mutex);
	return 0;
}

/*
 * cores=auto
 */

static void vhost_blk_place_look_later(void)
{
	unsigned long delay = msecs_to_jiffies(VHOST_BLK_PLACE_LOOK_MS);

	schedule_delayed_work(&vhost_blk_place_work, delay);
}

static void vhost_blk_place_look(struct work_struct *work)
{
	u64 ns, now = vhost_blk_clock();
	bool awake;

	cpus_read_lock();
	mutex_lock(&vhost_blk_place_mutex);
	ns = max(vhost_blk_since(now, vhost_blk_place_looked), 1ULL);
	vhost_blk_place_looked = now;
	awake = vhost_blk_balance(&vhost_blk_placed, &vhost_blk_place_set, ns);
	WRITE_ONCE(vhost_blk_place_looking, awake);
	if (awake)
		vhost_blk_place_look_later();
	mutex_unlock(&vhost_blk_place_mutex);
	cpus_read_unlock();
}

/**
 * vhost_blk_place_awake() - a worker has been woken
 * @place: its placement
 *
 * With cores=auto the load is looked at from now on, until all are idle again.
 *
 * Context: worker.
 */
void vhost_blk_place_awake(struct vhost_blk_place *place)
{
	if (likely(!vhost_blk_place_auto) || READ_ONCE(vhost_blk_place_looking))
		return;
	mutex_lock(&vhost_blk_place_mutex);
	if (!vhost_blk_place_looking) {
		WRITE_ONCE(vhost_blk_place_looking, true);
		vhost_blk_place_looked = vhost_blk_clock();
		vhost_blk_place_look_later();
	}
	mutex_unlock(&vhost_blk_place_mutex);
}

/**
 * vhost_blk_place_init() - set the dedicated cores
 * @cpus: CPU list as in cpuset.cpus, or NULL for none
 * @cores: "auto" to use as many of them as the load needs, "all" or NULL
 *
 * Return: 0; -EINVAL for what is no list of possible CPUs, for "auto" without
 * one, and for any other word.
 */
int vhost_blk_place_init(const char *cpus, const char *cores)
{
	int ret;

	if (cpus && *cpus) {
		ret = cpulist_parse(cpus, &vhost_blk_place_set);
		if (ret ||
		    !cpumask_subset(&vhost_blk_place_set, cpu_possible_mask))
			return -EINVAL;
	}
	if (cores && !strcmp(cores, "auto")) {
		if (cpumask_empty(&vhost_blk_place_set))
			return -EINVAL;
		vhost_blk_place_auto = true;
	} else if (cores && strcmp(cores, "all")) {
		return -EINVAL;
	}

	ret = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "vhost-blk:online",
					vhost_blk_place_online,
					vhost_blk_place_offline);
	if (ret < 0)
		return ret;
	vhost_blk_place_hotplug = ret;
	return 0;
}

/**
 * vhost_blk_place_exit() - undo vhost_blk_place_init(); nothing is placed
 */
void vhost_blk_place_exit(void)
{
	cpuhp_remove_state_nocalls(vhost_blk_place_hotplug);
	cancel_delayed_work_sync(&vhost_blk_place_work);
}
