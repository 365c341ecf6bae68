// SPDX-License-Identifier: GPL-2.0-only
#include "tune.h"

#include <linux/module.h>

/**
 * struct vhost_blk_param - a module parameter
 * @value: its value
 * @max: the largest allowed
 */
struct vhost_blk_param {
	u32 value;
	u32 max;
};

/* clang-format off */
static struct vhost_blk_param vhost_blk_params[] = {
#define VHOST_BLK_TUNABLE(name, def, limit, text) \
	[VHOST_BLK_TUNE_##name] = { .value = (def), .max = (limit) },
	VHOST_BLK_TUNABLES(VHOST_BLK_TUNABLE)
#undef VHOST_BLK_TUNABLE
};

/* clang-format on */

static int vhost_blk_param_set(const char *str, const struct kernel_param *kp)
{
	struct vhost_blk_param *param = kp->arg;
	u32 value;
	int ret;

	ret = kstrtou32(str, 0, &value);
	if (ret)
		return ret;
	if (value > param->max)
		return -EINVAL;
	WRITE_ONCE(param->value, value);
	return 0;
}

static int vhost_blk_param_get(char *buf, const struct kernel_param *kp)
{
	const struct vhost_blk_param *param = kp->arg;

	return sysfs_emit(buf, "%u\n", READ_ONCE(param->value));
}

static const struct kernel_param_ops vhost_blk_param_ops = {
	.set = vhost_blk_param_set,
	.get = vhost_blk_param_get,
};

#define VHOST_BLK_TUNABLE(name, def, limit, text)                        \
	module_param_cb(name, &vhost_blk_param_ops,                      \
			&vhost_blk_params[VHOST_BLK_TUNE_##name], 0644); \
	MODULE_PARM_DESC(name, text);
VHOST_BLK_TUNABLES(VHOST_BLK_TUNABLE)
#undef VHOST_BLK_TUNABLE

/**
 * vhost_blk_tune_init() - no settings of its own
 * @tune: the settings
 */
void vhost_blk_tune_init(struct vhost_blk_tune *tune)
{
	unsigned int i;

	for (i = 0; i < VHOST_BLK_NR_TUNABLES; i++)
		tune->own[i] = VHOST_BLK_TUNE_UNSET;
}

/**
 * vhost_blk_tune_set() - set one for a queue
 * @tune: the queue's settings
 * @which: which one
 * @value: its value, or VHOST_BLK_TUNE_UNSET to follow the module parameter
 *
 * Context: any; a running worker takes it over when it next looks.
 * Return: 0, or -EINVAL for a value that is too large.
 */
int vhost_blk_tune_set(struct vhost_blk_tune *tune,
		       enum vhost_blk_tunable which, u32 value)
{
	if (value != VHOST_BLK_TUNE_UNSET &&
	    value > vhost_blk_params[which].max)
		return -EINVAL;
	WRITE_ONCE(tune->own[which], value);
	return 0;
}

/**
 * vhost_blk_tune_get() - what holds for a queue
 * @tune: the queue's settings
 * @which: which one
 *
 * Context: any.
 * Return: the queue's own setting, or else the module parameter.
 */
u32 vhost_blk_tune_get(const struct vhost_blk_tune *tune,
		       enum vhost_blk_tunable which)
{
	u32 value = READ_ONCE(tune->own[which]);

	if (value == VHOST_BLK_TUNE_UNSET)
		value = READ_ONCE(vhost_blk_params[which].value);
	return value;
}

/**
 * vhost_blk_tune_poll_params() - how a queue's window adapts
 * @tune: the queue's settings
 * @params: filled in
 *
 * Context: any.
 */
void vhost_blk_tune_poll_params(const struct vhost_blk_tune *tune,
				struct vhost_blk_poll_params *params)
{
	params->max_ns = vhost_blk_tune_get(tune, VHOST_BLK_TUNE_poll_ns_max);
	params->grow = vhost_blk_tune_get(tune, VHOST_BLK_TUNE_poll_ns_grow);
	params->grow_start_ns =
		vhost_blk_tune_get(tune, VHOST_BLK_TUNE_poll_ns_grow_start);
	params->shrink =
		vhost_blk_tune_get(tune, VHOST_BLK_TUNE_poll_ns_shrink);
}
