// SPDX-License-Identifier: GPL-2.0-only
/*
 * Polling pays when work comes soon after the ring has run empty, and is wasted
 * when it does not. Each time a worker has had nothing to do, for however long,
 * it learns:
 *
 *  - Work came inside the window: the window is right.
 *  - It came later, but a window of the longest allowed length would have
 *    caught it: the window grows.
 *  - It took longer than any window may be: the window shrinks.
 *
 * This is the rule by which KVM polls before it gives up a halted vCPU's core.
 */
#include "poll.h"

static u32 vhost_blk_poll_grow(u32 window_ns,
			       const struct vhost_blk_poll_params *params)
{
	u64 grown;

	if (!params->grow)
		return window_ns;
	grown = (u64)window_ns * params->grow;
	return min_t(u64, max_t(u64, grown, params->grow_start_ns),
		     params->max_ns);
}

/**
 * vhost_blk_poll_adapt() - the next window
 * @window_ns: the last one
 * @idle_ns: how long there was nothing to do, polling and sleeping together
 * @params: how to adapt, any values
 *
 * Return: the window in ns, never more than the longest allowed.
 */
u32 vhost_blk_poll_adapt(u32 window_ns, u64 idle_ns,
			 const struct vhost_blk_poll_params *params)
{
	if (idle_ns > params->max_ns)
		window_ns = params->shrink ? window_ns / params->shrink : 0;
	else if (idle_ns > window_ns)
		window_ns = vhost_blk_poll_grow(window_ns, params);
	return min(window_ns, params->max_ns);
}
