// SPDX-License-Identifier: GPL-2.0-only
#include "stats.h"

/**
 * vhost_blk_stats_init() - all zero, without a worker
 * @stats: zeroed memory
 */
void vhost_blk_stats_init(struct vhost_blk_stats *stats)
{
	seqcount_init(&stats->seq);
}

/*
 * The writer is the worker, or the control path while there is none. Preemption
 * off: a reader must not wait for a worker that has been put aside.
 */
static void vhost_blk_stats_begin(struct vhost_blk_stats *stats)
{
	preempt_disable();
	write_seqcount_begin(&stats->seq);
}

static void vhost_blk_stats_end(struct vhost_blk_stats *stats)
{
	write_seqcount_end(&stats->seq);
	preempt_enable();
}

/* Ends a state: its time goes to @counter. */
static u64 vhost_blk_stats_switch(struct vhost_blk_stats *stats, u64 *counter,
				  enum vhost_blk_state next, u64 now)
{
	u64 spent = vhost_blk_since(now, stats->since);

	vhost_blk_stats_begin(stats);
	*counter += spent;
	stats->since += spent;
	stats->state = next;
	vhost_blk_stats_end(stats);
	return spent;
}

/**
 * vhost_blk_stats_born() - a worker begins its life, busy
 * @stats: the statistics
 * @now: time in ns
 *
 * Context: worker, as for all that follow.
 */
void vhost_blk_stats_born(struct vhost_blk_stats *stats, u64 now)
{
	vhost_blk_stats_begin(stats);
	stats->born = now;
	stats->since = now;
	stats->state = VHOST_BLK_STATE_BUSY;
	vhost_blk_stats_end(stats);
}

/**
 * vhost_blk_stats_died() - the worker ends, out of the busy state
 * @stats: the statistics
 * @now: time in ns
 */
void vhost_blk_stats_died(struct vhost_blk_stats *stats, u64 now)
{
	vhost_blk_stats_busy_end(stats, VHOST_BLK_STATE_NONE, now);
	vhost_blk_stats_begin(stats);
	stats->times.lifetime_ns += stats->since - stats->born;
	stats->born = stats->since;
	vhost_blk_stats_end(stats);
}

/**
 * vhost_blk_stats_busy_end() - the worker is out of work
 * @stats: the statistics
 * @next: what it does about that
 * @now: time in ns
 */
void vhost_blk_stats_busy_end(struct vhost_blk_stats *stats,
			      enum vhost_blk_state next, u64 now)
{
	vhost_blk_stats_switch(stats, &stats->times.busy_ns, next, now);
}

/**
 * vhost_blk_stats_poll_end() - polling has ended; the worker is busy again
 * @stats: the statistics
 * @success: work came
 * @now: time in ns
 */
void vhost_blk_stats_poll_end(struct vhost_blk_stats *stats, bool success,
			      u64 now)
{
	struct vhost_blk_times *times = &stats->times;
	u64 spent, *counter = success ? &times->halt_poll_success_ns :
					&times->halt_poll_fail_ns;

	spent = vhost_blk_stats_switch(stats, counter, VHOST_BLK_STATE_BUSY,
				       now);
	vhost_blk_stat_inc(stats, halt_attempted_poll);
	if (success) {
		vhost_blk_stat_inc(stats, halt_successful_poll);
		vhost_blk_hist_add(&stats->halt_poll_success_hist, spent);
	} else {
		vhost_blk_stat_inc(stats, halt_failed_poll);
		vhost_blk_hist_add(&stats->halt_poll_fail_hist, spent);
	}
}

/**
 * vhost_blk_stats_wait_end() - the worker has been woken
 * @stats: the statistics
 * @now: time in ns
 */
void vhost_blk_stats_wait_end(struct vhost_blk_stats *stats, u64 now)
{
	u64 spent = vhost_blk_stats_switch(stats, &stats->times.halt_wait_ns,
					   VHOST_BLK_STATE_BUSY, now);

	vhost_blk_stat_inc(stats, halt_successful_wait);
	vhost_blk_hist_add(&stats->halt_wait_hist, spent);
}

/**
 * vhost_blk_stats_times() - read the times as of now
 * @stats: the statistics
 * @now: time in ns
 * @times: filled in
 *
 * What the worker is in the middle of is counted up to now. Polling is not, as
 * it is not known how it will end.
 *
 * Context: any.
 * Return: what the worker is doing.
 */
enum vhost_blk_state vhost_blk_stats_times(const struct vhost_blk_stats *stats,
					   u64 now,
					   struct vhost_blk_times *times)
{
	enum vhost_blk_state state;
	u64 since, born;
	unsigned int seq;

	do {
		seq = read_seqcount_begin(&stats->seq);
		*times = stats->times;
		state = stats->state;
		since = stats->since;
		born = stats->born;
	} while (read_seqcount_retry(&stats->seq, seq));

	if (state == VHOST_BLK_STATE_NONE)
		return state;
	/* This CPU's clock may be behind that of the worker's CPU. */
	now = max(now, since);
	times->lifetime_ns += vhost_blk_since(now, born);
	if (state == VHOST_BLK_STATE_BUSY)
		times->busy_ns += vhost_blk_since(now, since);
	else if (state == VHOST_BLK_STATE_WAIT)
		times->halt_wait_ns += vhost_blk_since(now, since);
	return state;
}
