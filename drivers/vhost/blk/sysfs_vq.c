// SPDX-License-Identifier: GPL-2.0-only
#include "sysfs_vq.h"
#include "dev.h"
#include "pool.h"
#include "vq.h"

#include <linux/kobject.h>
#include <linux/sysfs.h>

/**
 * struct vhost_blk_attr - a file in the directory of a queue
 * @attr: its name and mode
 * @show: writes the value
 * @store: takes a value, or NULL
 * @arg: for these two: an offset or a number
 */
struct vhost_blk_attr {
	struct attribute attr;
	ssize_t (*show)(struct vhost_blk_vq *vq,
			const struct vhost_blk_attr *attr, char *buf);
	int (*store)(struct vhost_blk_vq *vq, const struct vhost_blk_attr *attr,
		     const char *buf);
	size_t arg;
};

static struct vhost_blk_vq *vhost_blk_to_vq(struct kobject *kobj)
{
	return container_of(kobj, struct vhost_blk_vq, kobj);
}

static ssize_t vhost_blk_attr_show(struct kobject *kobj, struct attribute *attr,
				   char *buf)
{
	const struct vhost_blk_attr *a =
		container_of(attr, struct vhost_blk_attr, attr);

	return a->show(vhost_blk_to_vq(kobj), a, buf);
}

static ssize_t vhost_blk_attr_store(struct kobject *kobj,
				    struct attribute *attr, const char *buf,
				    size_t len)
{
	const struct vhost_blk_attr *a =
		container_of(attr, struct vhost_blk_attr, attr);
	int ret;

	if (!a->store)
		return -EACCES;
	ret = a->store(vhost_blk_to_vq(kobj), a, buf);
	return ret ? ret : len;
}

static const struct sysfs_ops vhost_blk_queue_sysfs_ops = {
	.show = vhost_blk_attr_show,
	.store = vhost_blk_attr_store,
};

#define VHOST_BLK_ATTR(_name, _mode, _show, _store, _arg)                \
	static struct vhost_blk_attr vhost_blk_attr_##_name = {          \
		.attr = { .name = __stringify(_name), .mode = (_mode) }, \
		.show = (_show),                                         \
		.store = (_store),                                       \
		.arg = (_arg),                                           \
	}

/* Single words of the queue. */

static ssize_t vhost_blk_show_uint(struct vhost_blk_vq *vq,
				   const struct vhost_blk_attr *attr, char *buf)
{
	const unsigned int *word = (void *)vq + attr->arg;

	return sysfs_emit(buf, "%u\n", READ_ONCE(*word));
}

static ssize_t vhost_blk_show_int(struct vhost_blk_vq *vq,
				  const struct vhost_blk_attr *attr, char *buf)
{
	const int *word = (void *)vq + attr->arg;

	return sysfs_emit(buf, "%d\n", READ_ONCE(*word));
}

static ssize_t vhost_blk_show_u64(struct vhost_blk_vq *vq,
				  const struct vhost_blk_attr *attr, char *buf)
{
	const u64 *word = (void *)vq + attr->arg;

	return sysfs_emit(buf, "%llu\n", READ_ONCE(*word));
}

static ssize_t vhost_blk_show_word(struct vhost_blk_vq *vq,
				   const struct vhost_blk_attr *attr, char *buf)
{
	const char *const *word = (void *)vq + attr->arg;

	return sysfs_emit(buf, "%s\n", READ_ONCE(*word));
}

#define VHOST_BLK_ATTR_WORD(_name, _kind, _member)                \
	VHOST_BLK_ATTR(_name, 0444, vhost_blk_show_##_kind, NULL, \
		       offsetof(struct vhost_blk_vq, _member))

VHOST_BLK_ATTR_WORD(size, uint, num);
VHOST_BLK_ATTR_WORD(worker, int, worker_pid);
VHOST_BLK_ATTR_WORD(poll_ns, uint, window_ns);
VHOST_BLK_ATTR_WORD(in_flight, uint, in_flight);
VHOST_BLK_ATTR_WORD(pinned_pages, uint, pinned);
VHOST_BLK_ATTR_WORD(cached_pages, uint, tlb.nr);
VHOST_BLK_ATTR_WORD(cpu_why, word, place.why);
VHOST_BLK_ATTR_WORD(damage, word, ring.damage);
VHOST_BLK_ATTR_WORD(damage_index, uint, ring.damage_index);

static int vhost_blk_store_cpu(struct vhost_blk_vq *vq,
			       const struct vhost_blk_attr *attr,
			       const char *buf)
{
	int cpu, ret;

	ret = kstrtoint(buf, 0, &cpu);
	return ret ? ret : vhost_blk_place_set_wish(&vq->place, cpu);
}
VHOST_BLK_ATTR(cpu, 0644, vhost_blk_show_int, vhost_blk_store_cpu,
	       offsetof(struct vhost_blk_vq, place.cpu));

static ssize_t vhost_blk_show_oldest(struct vhost_blk_vq *vq,
				     const struct vhost_blk_attr *attr,
				     char *buf)
{
	u64 taken = vhost_blk_pool_oldest(vq);
	u64 age = taken ? vhost_blk_since(vhost_blk_clock(), taken) : 0;

	return sysfs_emit(buf, "%llu\n", age);
}
VHOST_BLK_ATTR(oldest_request_ns, 0444, vhost_blk_show_oldest, NULL, 0);

static ssize_t vhost_blk_show_state(struct vhost_blk_vq *vq,
				    const struct vhost_blk_attr *attr,
				    char *buf)
{
	static const char *const names[] = {
		[VHOST_BLK_STATE_NONE] = "stopped",
		[VHOST_BLK_STATE_BUSY] = "busy",
		[VHOST_BLK_STATE_POLL] = "poll",
		[VHOST_BLK_STATE_WAIT] = "wait",
	};
	struct vhost_blk_times times;
	enum vhost_blk_state state;

	state = vhost_blk_stats_times(&vq->stats, vhost_blk_clock(), &times);
	if (state != VHOST_BLK_STATE_NONE && READ_ONCE(vq->broken))
		return sysfs_emit(buf, "damaged\n");
	return sysfs_emit(buf, "%s\n", names[state]);
}
VHOST_BLK_ATTR(state, 0444, vhost_blk_show_state, NULL, 0);

/* What can be tuned; an empty line goes back to the module parameter. */

static ssize_t vhost_blk_show_tune(struct vhost_blk_vq *vq,
				   const struct vhost_blk_attr *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  vhost_blk_tune_get(&vq->tune, attr->arg));
}

static int vhost_blk_store_tune(struct vhost_blk_vq *vq,
				const struct vhost_blk_attr *attr,
				const char *buf)
{
	u32 value = VHOST_BLK_TUNE_UNSET;
	int ret;

	if (!sysfs_streq(buf, "")) {
		ret = kstrtou32(buf, 0, &value);
		if (ret)
			return ret;
		if (value == VHOST_BLK_TUNE_UNSET)
			return -EINVAL;
	}
	return vhost_blk_tune_set(&vq->tune, attr->arg, value);
}

#define VHOST_BLK_TUNABLE(_name, _value, _max, _text)                          \
	VHOST_BLK_ATTR(_name, 0644, vhost_blk_show_tune, vhost_blk_store_tune, \
		       VHOST_BLK_TUNE_##_name);
VHOST_BLK_TUNABLES(VHOST_BLK_TUNABLE)
#undef VHOST_BLK_TUNABLE

static struct attribute *vhost_blk_queue_attrs[] = {
	&vhost_blk_attr_size.attr,
	&vhost_blk_attr_state.attr,
	&vhost_blk_attr_cpu.attr,
	&vhost_blk_attr_cpu_why.attr,
	&vhost_blk_attr_worker.attr,
	&vhost_blk_attr_poll_ns.attr,
	&vhost_blk_attr_in_flight.attr,
	&vhost_blk_attr_pinned_pages.attr,
	&vhost_blk_attr_cached_pages.attr,
	&vhost_blk_attr_oldest_request_ns.attr,
	&vhost_blk_attr_damage.attr,
	&vhost_blk_attr_damage_index.attr,
#define VHOST_BLK_TUNABLE(_name, _value, _max, _text) \
	&vhost_blk_attr_##_name.attr,
	VHOST_BLK_TUNABLES(VHOST_BLK_TUNABLE)
#undef VHOST_BLK_TUNABLE
		NULL,
};

static const struct attribute_group vhost_blk_queue_group = {
	.attrs = vhost_blk_queue_attrs,
};

/* The statistics. */

VHOST_BLK_ATTR_WORD(kicks, u64, kicks);

#define VHOST_BLK_STAT(_name) VHOST_BLK_ATTR_WORD(_name, u64, stats._name);
VHOST_BLK_STATS_COUNTERS(VHOST_BLK_STAT)
#undef VHOST_BLK_STAT

static ssize_t vhost_blk_show_time(struct vhost_blk_vq *vq,
				   const struct vhost_blk_attr *attr, char *buf)
{
	struct vhost_blk_times times;

	vhost_blk_stats_times(&vq->stats, vhost_blk_clock(), &times);
	return sysfs_emit(buf, "%llu\n", *(u64 *)((void *)&times + attr->arg));
}

#define VHOST_BLK_TIME(_name)                                  \
	VHOST_BLK_ATTR(_name, 0444, vhost_blk_show_time, NULL, \
		       offsetof(struct vhost_blk_times, _name));
VHOST_BLK_TIME(lifetime_ns)
VHOST_BLK_STATS_TIMES(VHOST_BLK_TIME)
#undef VHOST_BLK_TIME

static ssize_t vhost_blk_show_hist(struct vhost_blk_vq *vq,
				   const struct vhost_blk_attr *attr, char *buf)
{
	const struct vhost_blk_hist *hist = (void *)vq + attr->arg;
	unsigned int i;
	int len = 0;

	for (i = 0; i < VHOST_BLK_HIST_BUCKETS; i++)
		len += sysfs_emit_at(buf, len, i ? " %llu" : "%llu",
				     READ_ONCE(hist->bucket[i]));
	return len + sysfs_emit_at(buf, len, "\n");
}

#define VHOST_BLK_HIST(_name)                                  \
	VHOST_BLK_ATTR(_name, 0444, vhost_blk_show_hist, NULL, \
		       offsetof(struct vhost_blk_vq, stats._name));
VHOST_BLK_STATS_HISTS(VHOST_BLK_HIST)
#undef VHOST_BLK_HIST

/* clang-format off */
static struct attribute *vhost_blk_stats_attrs[] = {
	&vhost_blk_attr_kicks.attr,
	&vhost_blk_attr_lifetime_ns.attr,
#define VHOST_BLK_STAT(_name) \
	&vhost_blk_attr_##_name.attr,
	VHOST_BLK_STATS_COUNTERS(VHOST_BLK_STAT)
	VHOST_BLK_STATS_TIMES(VHOST_BLK_STAT)
	VHOST_BLK_STATS_HISTS(VHOST_BLK_STAT)
#undef VHOST_BLK_STAT
	NULL,
};

/* clang-format on */

static const struct attribute_group vhost_blk_stats_group = {
	.name = "stats",
	.attrs = vhost_blk_stats_attrs,
};

static const struct attribute_group *vhost_blk_queue_groups[] = {
	&vhost_blk_queue_group,
	&vhost_blk_stats_group,
	NULL,
};

static void vhost_blk_queue_release(struct kobject *kobj)
{
	kfree(vhost_blk_to_vq(kobj));
}

static struct kobj_type vhost_blk_queue_type = {
	.release = vhost_blk_queue_release,
	.sysfs_ops = &vhost_blk_queue_sysfs_ops,
	.default_groups = vhost_blk_queue_groups,
};

/**
 * vhost_blk_sysfs_init_vq() - from here on sysfs owns the queue
 * @vq: zeroed memory from kmalloc()
 */
void vhost_blk_sysfs_init_vq(struct vhost_blk_vq *vq)
{
	kobject_init(&vq->kobj, &vhost_blk_queue_type);
}

/**
 * vhost_blk_sysfs_add_vq() - show a queue
 * @dev: its device, shown
 * @vq: the queue
 *
 * Return: 0 or a negative errno.
 */
int vhost_blk_sysfs_add_vq(struct vhost_blk_dev *dev, struct vhost_blk_vq *vq)
{
	return kobject_add(&vq->kobj, dev->queues, "%u", vq->index);
}

/**
 * vhost_blk_sysfs_put_vq() - take a queue away and free it
 * @vq: the queue, shown or not
 *
 * Waits for those who are reading its files.
 */
void vhost_blk_sysfs_put_vq(struct vhost_blk_vq *vq)
{
	if (vq->kobj.state_in_sysfs)
		kobject_del(&vq->kobj);
	kobject_put(&vq->kobj);
}
