/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of mem.c and view.c have in common: tables of regions. */
#ifndef MEM_FIXTURE_H
#define MEM_FIXTURE_H

#include "ksft.h"
#include "rig.h"

#define R(gpa, size, hva)         \
	{                         \
		gpa, size, hva, 0 \
	}

/* @nr regions in random order, with and without gaps; one ends the space. */
static inline void random_regions(struct rng *rng,
				  struct vhost_memory_region *region,
				  unsigned int nr)
{
	unsigned int i;
	u64 gpa = 0;

	for (i = 0; i < nr; i++) {
		u64 size = 1 + rng_below(rng, 0x3000);

		if (rng_once(rng, 3))
			gpa += rng_below(rng, 0x2000);
		if (i == nr - 1) {
			gpa = U64_MAX;
			size = 1;
		}
		region[i] = (struct vhost_memory_region)R(
			gpa, size, rng_below(rng, 1ULL << 40));
		gpa += size;
	}
	for (i = 0; i < nr; i++) {
		unsigned int other = rng_below(rng, nr);
		struct vhost_memory_region tmp = region[i];

		region[i] = region[other];
		region[other] = tmp;
	}
}

/* An address around either end of a region. */
static inline u64 random_edge(struct rng *rng,
			      const struct vhost_memory_region *region,
			      unsigned int nr)
{
	const struct vhost_memory_region *r = &region[rng_below(rng, nr)];

	return r->guest_phys_addr - 2 + rng_below(rng, 5) +
	       (rng_once(rng, 2) ? r->memory_size : 0);
}

/* The region with @gpa, the simplest way; NULL when there is none. */
static inline const struct vhost_memory_region *
linear_search(const struct vhost_memory_region *region, unsigned int nr,
	      u64 gpa)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (gpa >= region[i].guest_phys_addr &&
		    gpa - region[i].guest_phys_addr < region[i].memory_size)
			return &region[i];
	return NULL;
}

#endif /* MEM_FIXTURE_H */
