// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's poll.c: how long to poll. A table of what is promised, then
 * properties of random values, then sequences of arrivals.
 */
#include "budget.h"
#include "random64.h"
#include "poll.h"

#include <math.h>

#define US 1000U
#define MS 1000000U

/* The module's defaults. */
static const struct vhost_blk_poll_params usual = {
	.max_ns = 200 * US,
	.grow = 2,
	.grow_start_ns = 10 * US,
	.shrink = 2,
};

struct row {
	const char *what;
	u32 max, grow, start, shrink;
	u32 window;
	u64 idle;
	u32 want;
};

#define USUAL 200 * US, 2, 10 * US, 2

static const struct row rows[] = {
	/* inside the window: it is right */
	{ "at once", USUAL, 50 * US, 0, 50 * US },
	{ "inside", USUAL, 50 * US, 40 * US, 50 * US },
	{ "at its end", USUAL, 50 * US, 50 * US, 50 * US },
	{ "inside the longest", USUAL, 200 * US, 200 * US, 200 * US },
	{ "at once without one", USUAL, 0, 0, 0 },

	/* later, but a longer window would have caught it */
	{ "just after", USUAL, 50 * US, 50 * US + 1, 100 * US },
	{ "later", USUAL, 50 * US, 150 * US, 100 * US },
	{ "at the longest", USUAL, 50 * US, 200 * US, 100 * US },
	{ "no further than the longest", USUAL, 150 * US, 160 * US, 200 * US },
	{ "from nothing", USUAL, 0, 1, 10 * US },
	{ "from nothing, late", USUAL, 0, 200 * US, 10 * US },
	{ "a small one starts anew", USUAL, 4 * US, 5 * US, 10 * US },
	{ "a large one doubles", USUAL, 6 * US, 7 * US, 12 * US },
	{ "tenfold", 200 * US, 10, US, 2, 10 * US, 11 * US, 100 * US },

	/* too late for any window */
	{ "just too late", USUAL, 50 * US, 200 * US + 1, 25 * US },
	{ "much too late", USUAL, 50 * US, ~0ULL, 25 * US },
	{ "more than 32 bits", USUAL, 50 * US, 1ULL << 32, 25 * US },
	{ "without a window", USUAL, 0, 300 * US, 0 },

	/* grow */
	{ "grow 0 from nothing", 200 * US, 0, 10 * US, 2, 0, 5 * US, 0 },
	{ "grow 0", 200 * US, 0, 10 * US, 2, 50 * US, 60 * US, 50 * US },
	{ "grow 0 shrinks", 200 * US, 0, 10 * US, 2, 50 * US, MS, 25 * US },
	{ "grow 1", 200 * US, 1, 10 * US, 2, 50 * US, 60 * US, 50 * US },
	{ "grow 1 starts", 200 * US, 1, 10 * US, 2, 0, 60 * US, 10 * US },
	{ "start 0 stays nothing", 200 * US, 2, 0, 2, 0, 60 * US, 0 },

	/* shrink */
	{ "shrink 0", 200 * US, 2, 10 * US, 0, 200 * US, MS, 0 },
	{ "shrink 1", 200 * US, 2, 10 * US, 1, 50 * US, MS, 50 * US },
	{ "shrink 3", 200 * US, 2, 10 * US, 3, 10 * US, MS, 3333 },
	{ "the last ns", USUAL, 1, MS, 0 },
	{ "shrink 1 to the new longest", 20 * US, 2, 10 * US, 1, 50 * US, MS,
	  20 * US },

	/* the longest has been lowered below the window */
	{ "lowered, inside", 20 * US, 2, 10 * US, 2, 50 * US, 10 * US,
	  20 * US },
	{ "lowered, too late", 20 * US, 2, 10 * US, 2, 30 * US, 25 * US,
	  15 * US },
	{ "lowered, shrinks not enough", 20 * US, 2, 10 * US, 2, 100 * US, MS,
	  20 * US },
	{ "lowered to 0, at once", 0, 2, 10 * US, 2, 50 * US, 0, 0 },
	{ "lowered to 0", 0, 2, 10 * US, 2, 50 * US, 10 * US, 0 },
	{ "0, shrink 1", 0, 2, 10 * US, 1, 50 * US, 10 * US, 0 },
	{ "0 stays 0", 0, 2, 10 * US, 2, 0, 0, 0 },

	/* a start beyond the longest */
	{ "start beyond", 200 * US, 2, 300 * US, 2, 0, 5 * US, 200 * US },
	{ "start beyond, with one", 200 * US, 2, 300 * US, 2, 5 * US, 6 * US,
	  200 * US },

	/* nothing wraps */
	{ "doubles to 2^32", ~0U, 2, 0, 2, 1U << 31, ~0U, ~0U },
	{ "largest factor", ~0U, ~0U, ~0U, ~0U, ~0U - 1, ~0U, ~0U },
	{ "largest of all, inside", ~0U, ~0U, ~0U, ~0U, ~0U, ~0U, ~0U },
	{ "largest of all, too late", ~0U, ~0U, ~0U, ~0U, ~0U, ~0ULL, 1 },
	{ "largest that can be set", VHOST_BLK_POLL_NS_MAX,
	  VHOST_BLK_POLL_FACTOR_MAX, VHOST_BLK_POLL_NS_MAX,
	  VHOST_BLK_POLL_FACTOR_MAX, 999999999, 1000000000, 1000000000 },
	{ "a factor that wraps to little", ~0U, 1U << 20, 0, 2, 1U << 12,
	  1U << 13, ~0U },
};

TEST(table)
{
	struct vhost_blk_poll_params p;
	unsigned int i;
	u32 got;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		p.max_ns = r->max;
		p.grow = r->grow;
		p.grow_start_ns = r->start;
		p.shrink = r->shrink;
		got = vhost_blk_poll_adapt(r->window, r->idle, &p);
		if (got != r->want)
			ksft_log("%s: %u instead of %u", r->what, got, r->want);
		EXPECT_EQ(got, r->want);
	}
}

/*
 * Properties
 */

/* Of any size: as many small ones as large ones. */
static u64 random_size(unsigned int bits)
{
	return random64() >> (63 - random64() % bits);
}

/* Near what the rule looks at, or anything. */
static u64 random_idle(u32 window, u32 max)
{
	u64 near = random64() % 2 ? window : max;

	switch (random64() % 4) {
	case 0:
		return near + random64() % 3 - (near ? 1 : 0);
	case 1:
		return random64() % (max + 1ULL);
	case 2:
		return random64();
	default:
		return random_size(40);
	}
}

static void random_case(struct vhost_blk_poll_params *p, u32 *window)
{
	p->max_ns = random_size(32);
	p->grow = random64() % 2 ? random64() % 4 : random_size(32);
	p->grow_start_ns = random_size(32);
	p->shrink = random64() % 2 ? random64() % 4 : random_size(32);
	*window = random64() % 4 ? random64() % (p->max_ns + 1ULL) :
				   random_size(32);
}

/* The rule in other words, with numbers that cannot overflow. */
static u32 expected(u32 window, u64 idle, const struct vhost_blk_poll_params *p)
{
	unsigned __int128 next = window;

	if (idle > p->max_ns) {
		next = p->shrink ? next / p->shrink : 0;
	} else if (idle > window && p->grow) {
		next *= p->grow;
		if (next < p->grow_start_ns)
			next = p->grow_start_ns;
	}
	return next < p->max_ns ? next : p->max_ns;
}

TEST_TIMEOUT(random_values, BUDGET_NO_LIMIT)
{
	struct vhost_blk_poll_params p;
	double end = budget_start();
	u32 window, next, other;
	u64 idle, longer;
	unsigned int i;

	seed = budget_seed() * 0x9e3779b97f4a7c15ULL | 1;
	do {
		for (i = 0; i < 10000; i++) {
			random_case(&p, &window);
			idle = random_idle(window, p.max_ns);
			next = vhost_blk_poll_adapt(window, idle, &p);
			ASSERT_EQ(next, expected(window, idle, &p));
			ASSERT_LE(next, p.max_ns);
			if (idle > p.max_ns) {
				ASSERT_LE(next, window);
				continue;
			}
			ASSERT_GE(next, min(window, p.max_ns));
			if (idle <= window)
				ASSERT_EQ(next, min(window, p.max_ns));
			/* the longer it took the longer the window */
			longer = idle + random64() % (p.max_ns - idle + 1);
			other = vhost_blk_poll_adapt(window, longer, &p);
			ASSERT_LE(next, other);
		}
	} while (budget_now() < end);
}

/*
 * Sequences of arrivals
 */

TEST(steady_arrivals_converge)
{
	u32 idle, window, next;
	unsigned int steps;

	for (idle = 1; idle <= usual.max_ns; idle += 97) {
		window = 0;
		for (steps = 0; window < idle; steps++) {
			next = vhost_blk_poll_adapt(window, idle, &usual);
			ASSERT_GT(next, window);
			window = next;
		}
		ASSERT_LE(steps, 6);
		ASSERT_LE(window, max(2 * idle, usual.grow_start_ns));
		for (steps = 0; steps < 100; steps++)
			ASSERT_EQ(window,
				  vhost_blk_poll_adapt(window, idle, &usual));
	}
}

TEST(rare_arrivals_are_given_up)
{
	u32 window = usual.max_ns;
	unsigned int steps;

	for (steps = 0; window; steps++)
		window = vhost_blk_poll_adapt(window, usual.max_ns + 1, &usual);
	EXPECT_LE(steps, 18);
	for (steps = 0; steps < 100; steps++)
		ASSERT_EQ(0, vhost_blk_poll_adapt(0, usual.max_ns + 1, &usual));
}

/* What came of polling for arrivals at random, of this mean distance. */
struct outcome {
	double hits;	/* share of the arrivals that were caught */
	double wasted;	/* share of the time that was polled for nothing */
};

static struct outcome poisson(double mean_ns)
{
	double idle, time = 0, wasted = 0;
	unsigned int i, hits = 0, n = 200000;
	u32 window = 0;

	seed = 12345;
	for (i = 0; i < n; i++) {
		idle = -log((random64() % 1000000 + 1) / 1e6) * mean_ns;
		time += idle;
		if (idle <= window)
			hits++;
		else
			wasted += window;
		window = vhost_blk_poll_adapt(window, idle, &usual);
		ASSERT_LE(window, usual.max_ns);
	}
	return (struct outcome){ (double)hits / n, wasted / time };
}

TEST(random_arrivals)
{
	static const struct {
		double mean_ns;
		int most_wasted, fewest_hits;	/* % */
	} cases[] = {
		{ 5 * US, 1, 99 },
		{ 20 * US, 1, 99 },
		{ 50 * US, 15, 90 },
		{ 200 * US, 25, 0 },
		{ 1 * MS, 2, 0 },
		{ 10 * MS, 1, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct outcome o = poisson(cases[i].mean_ns);

		ksft_log("mean %.0f us: %.1f %% caught, %.1f %% of the time wasted",
			 cases[i].mean_ns / US, o.hits * 100, o.wasted * 100);
		EXPECT_GE(o.hits * 100, cases[i].fewest_hits);
		EXPECT_LE(o.wasted * 100, cases[i].most_wasted);
	}
}

TEST_HARNESS_MAIN
