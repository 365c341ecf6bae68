/* SPDX-License-Identifier: GPL-2.0-only */
/* Histogram of times, log-linear: 16 steps for each power of two. */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdint.h>

#define LATENCY_STEP_BITS 4
#define LATENCY_STEPS (1u << LATENCY_STEP_BITS)
#define LATENCY_BUCKETS ((64 - LATENCY_STEP_BITS + 1) * LATENCY_STEPS)

struct latency {
	uint64_t sum, nr;
	uint64_t bucket[LATENCY_BUCKETS];
};

static inline unsigned int latency_bucket(uint64_t ns)
{
	unsigned int shift;

	if (ns < LATENCY_STEPS)
		return ns;
	shift = 63 - LATENCY_STEP_BITS - __builtin_clzll(ns);
	return shift * LATENCY_STEPS + (ns >> shift);
}

static inline void latency_add(struct latency *l, uint64_t ns)
{
	l->sum += ns;
	l->nr++;
	l->bucket[latency_bucket(ns)]++;
}

void latency_merge(struct latency *to, const struct latency *from);

/* The time that @percent of all are not above, to the next step. */
uint64_t latency_percentile(const struct latency *l, double percent);

#endif
