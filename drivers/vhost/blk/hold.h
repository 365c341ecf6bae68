/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interrupt moderation: when to hold a wanted interrupt back, in the hope of
 * sending one for several completions. Algorithm only, no clock of its own.
 */
#ifndef VHOST_BLK_HOLD_H
#define VHOST_BLK_HOLD_H

#include "core_internal.h"

/**
 * struct vhost_blk_hold - moderation state of a queue
 * @max_ns: longest wait for the next arrival; 0 switches holding off
 * @since: when the oldest completion was held, in ns
 * @last: when the last chain arrived, in ns
 * @sent: when the last interrupt went out, in ns; 0 once a chain has arrived,
 *        and when it was not for many
 * @looked: when the last nap began, in ns
 * @woke: when it ended, in ns
 * @gap_ns: running mean of the time between two arrivals
 * @reply_ns: running mean of the time from an interrupt to the next arrival
 * @held: completions that the driver has not been interrupted for
 * @arrived: chains that arrived since the oldest of them
 * @target: completions that one interrupt is sent for; 1 sends each at once
 * @countdown: interrupts until the target is tried to be raised
 * @interval: what @countdown starts from
 * @probing: this time the target is no limit
 * @napped: since the last arrival, or interrupt, nobody looked all the time
 */
struct vhost_blk_hold {
	u32 max_ns;
	u64 since;
	u64 last;
	u64 sent;
	u64 looked;
	u64 woke;
	u32 gap_ns;
	u32 reply_ns;
	unsigned int held;
	unsigned int arrived;
	u16 target;
	u16 countdown;
	u16 interval;
	bool probing;
	bool napped;
};

void vhost_blk_hold_init(struct vhost_blk_hold *hold, u32 max_ns);
void vhost_blk_hold_arrived(struct vhost_blk_hold *hold, unsigned int nr,
			    u64 now);
void vhost_blk_hold_add(struct vhost_blk_hold *hold, unsigned int nr, u64 now);
bool vhost_blk_hold_over(const struct vhost_blk_hold *hold, u64 now);
u32 vhost_blk_hold_nap(struct vhost_blk_hold *hold, u64 now);
void vhost_blk_hold_woke(struct vhost_blk_hold *hold, u64 now);
bool vhost_blk_hold_sends_at_once(const struct vhost_blk_hold *hold);
void vhost_blk_hold_release(struct vhost_blk_hold *hold, u64 now);

#endif /* VHOST_BLK_HOLD_H */
