/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is counted per queue, from one list: the structure, the files in sysfs
 * and the check of their documentation are made from it.
 *
 * Everything only grows, from the queue's first start until the device is
 * closed or loses its owner. Only the worker writes it, or who has claimed the
 * queue while that sleeps (direct.c), but for the times. Others read single
 * words; the times are read with vhost_blk_stats_times().
 */
#ifndef VHOST_BLK_STATS_H
#define VHOST_BLK_STATS_H

#include <linux/compiler.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/sched/clock.h>
#include <linux/seqlock.h>
#include <linux/types.h>

/* clang-format off */

/* Plain counters. */
#define VHOST_BLK_STATS_COUNTERS(X)					\
	X(chains)		/* taken from the ring */		\
	X(completed)		/* used entries shown */		\
	X(completed_direct)	/* of these, while the worker slept */	\
	X(bad_chains)		/* of these, chains that did not parse */ \
	X(lost_status)		/* status bytes that could not be written */ \
	X(read_requests)						\
	X(read_bytes)							\
	X(read_errors)							\
	X(write_requests)						\
	X(write_bytes)							\
	X(write_errors)							\
	X(flush_requests)						\
	X(flush_errors)							\
	X(get_id_requests)						\
	X(get_id_errors)						\
	X(unsupported_requests)	/* of a type that is not known */	\
	X(invalid_requests)	/* that could not be understood */	\
	X(fault_alignment)	/* why requests failed: no whole blocks */ \
	X(fault_range)		/* beyond the end of the disk */	\
	X(fault_read_only)	/* a write where none is allowed */	\
	X(fault_memory)		/* guest memory not there, none to copy to */ \
	X(fault_device)		/* the disk said so */			\
	X(bounced)		/* requests whose data was copied */	\
	X(requeued)		/* submissions repeated for want of a tag */ \
	X(kicks_avoided)	/* chains taken that no kick told of */	\
	X(interrupts_sent)						\
	X(interrupts_suppressed) /* wanted none, or was held and not needed */ \
	X(latency_ns)		/* sum over requests, taken to shown */	\
	X(device_latency_ns)	/* sum over requests, submitted to ended */ \
	X(halt_attempted_poll)						\
	X(halt_successful_poll)						\
	X(halt_failed_poll)						\
	X(halt_successful_wait)

/* Where the time goes. Together they are the time a worker has existed. */
#define VHOST_BLK_STATS_TIMES(X)					\
	X(busy_ns)							\
	X(halt_poll_success_ns)						\
	X(halt_poll_fail_ns)						\
	X(halt_wait_ns)

/* Bucket 0 counts values below 2, bucket n those from 2^n to 2^(n+1) - 1. */
#define VHOST_BLK_STATS_HISTS(X)					\
	X(halt_poll_success_hist)	/* ns */			\
	X(halt_poll_fail_hist)		/* ns */			\
	X(halt_wait_hist)		/* ns */			\
	X(latency_hist)			/* ns */			\
	X(device_latency_hist)		/* ns */			\
	X(batch_hist)		/* chains taken in one pass */		\
	X(publish_hist)		/* used entries shown at once */

/* clang-format on */

/* The last bucket also counts what is beyond it: 2^35 ns are 34 s. */
#define VHOST_BLK_HIST_BUCKETS 36

/**
 * struct vhost_blk_hist - a histogram of powers of two
 */
struct vhost_blk_hist {
	/* private: */
	u64 bucket[VHOST_BLK_HIST_BUCKETS];
};

/**
 * enum vhost_blk_state - what a worker is doing
 * @VHOST_BLK_STATE_NONE: there is no worker
 * @VHOST_BLK_STATE_BUSY: work, or looking for it
 * @VHOST_BLK_STATE_POLL: waiting for work, awake
 * @VHOST_BLK_STATE_WAIT: waiting for work, asleep
 */
enum vhost_blk_state {
	VHOST_BLK_STATE_NONE,
	VHOST_BLK_STATE_BUSY,
	VHOST_BLK_STATE_POLL,
	VHOST_BLK_STATE_WAIT,
};

/**
 * struct vhost_blk_times - times of a queue's workers, in ns
 * @lifetime_ns: how long there has been one
 *
 * The others are those of VHOST_BLK_STATS_TIMES().
 */
struct vhost_blk_times {
	u64 lifetime_ns;
	/* private: */
#define VHOST_BLK_STATS_MEMBER(name) u64 name;
	VHOST_BLK_STATS_TIMES(VHOST_BLK_STATS_MEMBER)
#undef VHOST_BLK_STATS_MEMBER
};

/**
 * struct vhost_blk_stats - statistics of a queue
 */
struct vhost_blk_stats {
	/* private: */
#define VHOST_BLK_STATS_MEMBER(name) u64 name;
	VHOST_BLK_STATS_COUNTERS(VHOST_BLK_STATS_MEMBER)
#undef VHOST_BLK_STATS_MEMBER
#define VHOST_BLK_STATS_MEMBER(name) struct vhost_blk_hist name;
	VHOST_BLK_STATS_HISTS(VHOST_BLK_STATS_MEMBER)
#undef VHOST_BLK_STATS_MEMBER

	seqcount_t seq; /* of all that follows; never but the worker writes */
	enum vhost_blk_state state;
	u64 born;
	u64 since;
	struct vhost_blk_times times;
};

/*
 * The only writer adds; readers elsewhere use READ_ONCE(). A plain addition to
 * an aligned word is one instruction, READ_ONCE() and WRITE_ONCE() are three,
 * and this happens ten times per request. A module without counters, histograms
 * and tracepoints is only built to measure what they cost.
 */
#ifdef VHOST_BLK_NO_STATS
#define vhost_blk_stat_add(stats, name, n) ((void)(stats), (void)(n))
#else
#define vhost_blk_stat_add(stats, name, n) ((stats)->name += (n))
#endif
#define vhost_blk_stat_inc(stats, name) vhost_blk_stat_add(stats, name, 1)

/**
 * vhost_blk_hist_bucket() - where a value is counted
 * @value: the value
 *
 * Return: index of the bucket: floor(log2(@value)), 0 for 0; what is too large
 * for the last is counted there.
 */
static inline unsigned int vhost_blk_hist_bucket(u64 value)
{
	return min(ilog2(value | 1), VHOST_BLK_HIST_BUCKETS - 1);
}

/**
 * vhost_blk_hist_count() - count a value whose bucket is known
 * @hist: the histogram
 * @bucket: from vhost_blk_hist_bucket()
 *
 * Context: the only writer.
 */
static inline void vhost_blk_hist_count(struct vhost_blk_hist *hist,
					unsigned int bucket)
{
#ifndef VHOST_BLK_NO_STATS
	hist->bucket[bucket]++;
#endif
}

/**
 * vhost_blk_hist_add() - count a value
 * @hist: the histogram
 * @value: the value
 *
 * Context: the only writer.
 */
static inline void vhost_blk_hist_add(struct vhost_blk_hist *hist, u64 value)
{
	vhost_blk_hist_count(hist, vhost_blk_hist_bucket(value));
}

/**
 * vhost_blk_clock() - the clock of the data path
 *
 * Cheap enough to look at it several times per request.
 *
 * Context: any.
 * Return: time in ns; monotonic on each CPU, nearly the same on all of them.
 */
static inline u64 vhost_blk_clock(void)
{
	return local_clock();
}

/**
 * vhost_blk_since() - time between two looks at the clock
 * @now: the later one, in ns
 * @then: the earlier one
 *
 * The clocks of two CPUs may differ by a little.
 *
 * Return: the difference, 0 when it is negative.
 */
static inline u64 vhost_blk_since(u64 now, u64 then)
{
	return now > then ? now - then : 0;
}

void vhost_blk_stats_init(struct vhost_blk_stats *stats);
void vhost_blk_stats_born(struct vhost_blk_stats *stats, u64 now);
void vhost_blk_stats_died(struct vhost_blk_stats *stats, u64 now);
void vhost_blk_stats_busy_end(struct vhost_blk_stats *stats,
			      enum vhost_blk_state next, u64 now);
void vhost_blk_stats_poll_end(struct vhost_blk_stats *stats, bool success,
			      u64 now);
void vhost_blk_stats_wait_end(struct vhost_blk_stats *stats, u64 now);
enum vhost_blk_state vhost_blk_stats_times(const struct vhost_blk_stats *stats,
					   u64 now,
					   struct vhost_blk_times *times);

#endif /* VHOST_BLK_STATS_H */
