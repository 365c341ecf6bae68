// SPDX-License-Identifier: GPL-2.0-only
#include "latency.h"

void latency_merge(struct latency *to, const struct latency *from)
{
	unsigned int i;

	to->sum += from->sum;
	to->nr += from->nr;
	for (i = 0; i < LATENCY_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
}

/* The largest time that goes into a bucket. */
static uint64_t latency_top(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 2 * LATENCY_STEPS)
		return bucket;
	shift = bucket / LATENCY_STEPS - 1;
	return ((bucket % LATENCY_STEPS + LATENCY_STEPS + 1ULL) << shift) - 1;
}

uint64_t latency_percentile(const struct latency *l, double percent)
{
	uint64_t seen = 0;
	unsigned int i;

	for (i = 0; i < LATENCY_BUCKETS; i++) {
		seen += l->bucket[i];
		if (seen && seen >= l->nr * percent / 100)
			return latency_top(i);
	}
	return 0;
}
