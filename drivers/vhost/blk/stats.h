/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters of a queue, from one list. They only grow, and only the worker
 * writes them.
 */
#ifndef VHOST_BLK_STATS_H
#define VHOST_BLK_STATS_H

#include <linux/compiler.h>
#include <linux/types.h>

/* clang-format off */
#define VHOST_BLK_STATS(X)						\
	X(taken)	/* chains taken from the ring */		\
	X(completed)	/* used entries written */			\
	X(bad_chains)	/* of these, chains that did not parse */	\
	X(errors)	/* of these, status IOERR or UNSUPP */		\
	X(bounced)	/* requests whose data was copied */		\
	X(lost_status)	/* requests whose status byte could not be written */ \
	X(requeued)	/* submissions repeated for want of a tag */	\
	X(signals)	/* interrupts sent */				\
	X(suppressed)	/* publications the driver wanted no interrupt for */
/* clang-format on */

/**
 * struct vhost_blk_stats - one member per entry of VHOST_BLK_STATS()
 */
struct vhost_blk_stats {
	/* private: */
#define VHOST_BLK_STATS_MEMBER(name) u64 name;
	VHOST_BLK_STATS(VHOST_BLK_STATS_MEMBER)
#undef VHOST_BLK_STATS_MEMBER
};

/* The only writer adds one; readers elsewhere use READ_ONCE(). */
#define vhost_blk_stat_inc(stats, name) \
	WRITE_ONCE((stats)->name, (stats)->name + 1)

#endif /* VHOST_BLK_STATS_H */
