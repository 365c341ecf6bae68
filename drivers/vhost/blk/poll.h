/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The window of time for which a worker polls before it sleeps, and how it
 * adapts. Algorithm only, no clock of its own.
 */
#ifndef VHOST_BLK_POLL_H
#define VHOST_BLK_POLL_H

#include "core_internal.h"

/* Longest window that can be set, in ns. */
#define VHOST_BLK_POLL_NS_MAX 1000000000U

/* Largest factor and divisor that can be set. */
#define VHOST_BLK_POLL_FACTOR_MAX 1024U

/**
 * struct vhost_blk_poll_params - how a window adapts
 * @max_ns: the longest window; 0 to never poll
 * @grow: factor that a window grows by, 0 to never grow
 * @grow_start_ns: what a window of 0 grows to
 * @shrink: divisor that a window shrinks by; 0 makes it 0 at once
 */
struct vhost_blk_poll_params {
	u32 max_ns;
	u32 grow;
	u32 grow_start_ns;
	u32 shrink;
};

u32 vhost_blk_poll_adapt(u32 window_ns, u64 idle_ns,
			 const struct vhost_blk_poll_params *params);

#endif /* VHOST_BLK_POLL_H */
