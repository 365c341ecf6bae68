/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What can be tuned while a queue runs: a module parameter each, and a setting
 * per queue that takes precedence.
 */
#ifndef VHOST_BLK_TUNE_H
#define VHOST_BLK_TUNE_H

#include "poll.h"

/* clang-format off */

/* Name, default, largest value, description. */
#define VHOST_BLK_TUNABLES(X)						\
	X(poll_ns_max, 200000, VHOST_BLK_POLL_NS_MAX,			\
	  "longest time a worker polls before it sleeps, in ns; 0: never") \
	X(poll_ns_grow, 2, VHOST_BLK_POLL_FACTOR_MAX,			\
	  "factor by which the polling window grows; 0: never")		\
	X(poll_ns_grow_start, 10000, VHOST_BLK_POLL_NS_MAX,		\
	  "what a polling window of 0 grows to, in ns")			\
	X(poll_ns_shrink, 2, VHOST_BLK_POLL_FACTOR_MAX,			\
	  "divisor by which the polling window shrinks; 0: to 0 at once") \
	X(hold_us, 200, 10000,						\
	  "how long an interrupt waits for the next chain, in us; 0: never") \
	X(poll_device, 0, 1,						\
	  "1: take completions from the disk's poll queues, if it has any")

/* clang-format on */

/* Index of each. */
enum vhost_blk_tunable {
#define VHOST_BLK_TUNABLE(name, value, max, text) VHOST_BLK_TUNE_##name,
	VHOST_BLK_TUNABLES(VHOST_BLK_TUNABLE)
#undef VHOST_BLK_TUNABLE
		VHOST_BLK_NR_TUNABLES
};

/* Not set for this queue: the module parameter holds. */
#define VHOST_BLK_TUNE_UNSET U32_MAX

/**
 * struct vhost_blk_tune - settings of a queue
 * @own: by enum vhost_blk_tunable; VHOST_BLK_TUNE_UNSET where there is none
 *
 * Single words that anybody may write and the worker reads, no lock.
 */
struct vhost_blk_tune {
	u32 own[VHOST_BLK_NR_TUNABLES];
};

void vhost_blk_tune_init(struct vhost_blk_tune *tune);
int vhost_blk_tune_set(struct vhost_blk_tune *tune,
		       enum vhost_blk_tunable which, u32 value);
u32 vhost_blk_tune_get(const struct vhost_blk_tune *tune,
		       enum vhost_blk_tunable which);
void vhost_blk_tune_poll_params(const struct vhost_blk_tune *tune,
				struct vhost_blk_poll_params *params);

#endif /* VHOST_BLK_TUNE_H */
