/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Part of the stand-in for the kernel, see core_internal.h: sequence counters.
 * A write with preemption enabled is a mistake that ends the test.
 */
#ifndef UNIT_LINUX_SEQLOCK_H
#define UNIT_LINUX_SEQLOCK_H

#include "../../core_internal.h"

typedef struct {
	unsigned int sequence;
} seqcount_t;

extern int unit_preempt_off; /* depth of preempt_disable() */

static inline void preempt_disable(void)
{
	unit_preempt_off++;
}

static inline void preempt_enable(void)
{
	unit_preempt_off--;
}

static inline void seqcount_init(seqcount_t *s)
{
	s->sequence = 0;
}

static inline void write_seqcount_begin(seqcount_t *s)
{
	if (!unit_preempt_off || s->sequence & 1)
		abort();
	WRITE_ONCE(s->sequence, s->sequence + 1);
	smp_mb();
}

static inline void write_seqcount_end(seqcount_t *s)
{
	if (!unit_preempt_off || !(s->sequence & 1))
		abort();
	smp_mb();
	WRITE_ONCE(s->sequence, s->sequence + 1);
}

static inline unsigned int read_seqcount_begin(const seqcount_t *s)
{
	unsigned int seq;

	do {
		seq = READ_ONCE(s->sequence);
	} while (seq & 1);
	smp_rmb();
	return seq;
}

static inline bool read_seqcount_retry(const seqcount_t *s, unsigned int seq)
{
	smp_rmb();
	return READ_ONCE(s->sequence) != seq;
}

#endif /* UNIT_LINUX_SEQLOCK_H */
