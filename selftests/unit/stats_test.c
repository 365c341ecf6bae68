// SPDX-License-Identifier: GPL-2.0-only
/* The module's stats.c: where a worker's time goes, to the nanosecond. */
#include "budget.h"
#include "random64.h"
#include "stats.h"

#include <pthread.h>

static u64 hist_sum(const struct vhost_blk_hist *hist)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < VHOST_BLK_HIST_BUCKETS; i++)
		sum += hist->bucket[i];
	return sum;
}

static u64 spent(const struct vhost_blk_times *t)
{
	return t->busy_ns + t->halt_poll_success_ns + t->halt_poll_fail_ns +
	       t->halt_wait_ns;
}

FIXTURE(stats) {
	struct vhost_blk_stats s;
	struct vhost_blk_times t;
};

FIXTURE_SETUP(stats)
{
	vhost_blk_stats_init(&self->s);
}

FIXTURE_TEARDOWN(stats)
{
	EXPECT_EQ(0, unit_preempt_off);
	EXPECT_EQ(0, self->s.seq.sequence & 1);
}

#define NR_TIMES 5

static void expect_times(struct stats_data *self, u64 now,
			 enum vhost_blk_state state, const u64 *want)
{
	EXPECT_EQ(state, vhost_blk_stats_times(&self->s, now, &self->t));
	EXPECT_EQ(want[0], self->t.lifetime_ns);
	EXPECT_EQ(want[1], self->t.busy_ns);
	EXPECT_EQ(want[2], self->t.halt_poll_success_ns);
	EXPECT_EQ(want[3], self->t.halt_poll_fail_ns);
	EXPECT_EQ(want[4], self->t.halt_wait_ns);
}

/* Lifetime, then busy, polled with and without a hit, slept. */
#define EXPECT_TIMES(now, state, ...)                    \
	expect_times(self, now, VHOST_BLK_STATE_##state, \
		     (const u64[NR_TIMES]){ __VA_ARGS__ })

TEST_F(stats, no_time_passes_without_a_worker)
{
	EXPECT_TIMES(0, NONE, 0, 0, 0, 0, 0);
	EXPECT_TIMES(1000000, NONE, 0, 0, 0, 0, 0);
}

TEST_F(stats, each_state_has_its_counter)
{
	struct vhost_blk_stats *s = &self->s;

	vhost_blk_stats_born(s, 1000);
	EXPECT_TIMES(1000, BUSY, 0, 0, 0, 0, 0);
	vhost_blk_stats_busy_end(s, VHOST_BLK_STATE_POLL, 1007);
	EXPECT_TIMES(1007, POLL, 7, 7, 0, 0, 0);
	vhost_blk_stats_poll_end(s, true, 1020);
	EXPECT_TIMES(1020, BUSY, 20, 7, 13, 0, 0);
	vhost_blk_stats_busy_end(s, VHOST_BLK_STATE_POLL, 1050);
	vhost_blk_stats_poll_end(s, false, 1250);
	EXPECT_TIMES(1250, BUSY, 250, 37, 13, 200, 0);
	vhost_blk_stats_busy_end(s, VHOST_BLK_STATE_WAIT, 1251);
	EXPECT_TIMES(1251, WAIT, 251, 38, 13, 200, 0);
	vhost_blk_stats_wait_end(s, 11251);
	EXPECT_TIMES(11251, BUSY, 10251, 38, 13, 200, 10000);
	vhost_blk_stats_died(s, 11253);
	EXPECT_TIMES(11253, NONE, 10253, 40, 13, 200, 10000);
	EXPECT_TIMES(99999, NONE, 10253, 40, 13, 200, 10000);

	EXPECT_EQ(2, s->halt_attempted_poll);
	EXPECT_EQ(1, s->halt_successful_poll);
	EXPECT_EQ(1, s->halt_failed_poll);
	EXPECT_EQ(1, s->halt_successful_wait);
	EXPECT_EQ(1, s->halt_poll_success_hist.bucket[3]);
	EXPECT_EQ(1, s->halt_poll_fail_hist.bucket[7]);
	EXPECT_EQ(1, s->halt_wait_hist.bucket[13]);
	EXPECT_EQ(1, hist_sum(&s->halt_poll_success_hist));
	EXPECT_EQ(1, hist_sum(&s->halt_poll_fail_hist));
	EXPECT_EQ(1, hist_sum(&s->halt_wait_hist));
}

TEST_F(stats, what_is_under_way_is_counted)
{
	struct vhost_blk_stats *s = &self->s;

	vhost_blk_stats_born(s, 1000);
	EXPECT_TIMES(1500, BUSY, 500, 500, 0, 0, 0);
	EXPECT_TIMES(1600, BUSY, 600, 600, 0, 0, 0);
	vhost_blk_stats_busy_end(s, VHOST_BLK_STATE_WAIT, 2000);
	EXPECT_TIMES(2300, WAIT, 1300, 1000, 0, 0, 300);
	vhost_blk_stats_wait_end(s, 3000);
	vhost_blk_stats_busy_end(s, VHOST_BLK_STATE_POLL, 3000);
	/* but polling: nobody knows how it will end */
	EXPECT_TIMES(3100, POLL, 2100, 1000, 0, 0, 1000);
	vhost_blk_stats_poll_end(s, false, 3200);
	EXPECT_TIMES(3200, BUSY, 2200, 1000, 0, 200, 1000);
}

/* The time between two workers is nobody's. */
TEST_F(stats, lives_add_up)
{
	struct vhost_blk_stats *s = &self->s;

	vhost_blk_stats_born(s, 1000);
	vhost_blk_stats_died(s, 1100);
	vhost_blk_stats_born(s, 5000);
	EXPECT_TIMES(5010, BUSY, 110, 110, 0, 0, 0);
	vhost_blk_stats_busy_end(s, VHOST_BLK_STATE_WAIT, 5020);
	EXPECT_TIMES(5050, WAIT, 150, 120, 0, 0, 30);
	vhost_blk_stats_wait_end(s, 5060);
	vhost_blk_stats_died(s, 5070);
	EXPECT_TIMES(9999, NONE, 170, 130, 0, 0, 40);
}

/* One of a worker's steps, by chance; true when it is busy afterwards. */
static bool random_step(struct vhost_blk_stats *s, u64 now)
{
	switch (s->state) {
	case VHOST_BLK_STATE_BUSY:
		vhost_blk_stats_busy_end(s,
					 random64() % 2 ? VHOST_BLK_STATE_POLL :
							  VHOST_BLK_STATE_WAIT,
					 now);
		return false;
	case VHOST_BLK_STATE_POLL:
		vhost_blk_stats_poll_end(s, random64() % 2, now);
		return true;
	case VHOST_BLK_STATE_WAIT:
		vhost_blk_stats_wait_end(s, now);
		return true;
	default:
		vhost_blk_stats_born(s, now);
		return true;
	}
}

/* The sum is the lifetime, exactly; nothing shrinks; each count has its time. */
static void random_life(struct stats_data *self, bool steps_back)
{
	struct vhost_blk_times *t = &self->t;
	struct vhost_blk_stats *s = &self->s;
	double end = budget_start();
	u64 now = 1000000, last = 0, born_at = 0, lived = 0;
	unsigned int i;
	bool busy;

	seed = budget_seed() * 0x9e3779b97f4a7c15ULL | 1;
	do {
		for (i = 0; i < 10000; i++) {
			now += random64() >> (28 + random64() % 35);
			if (steps_back && !(random64() % 8))
				now -= min_t(u64, now, random64() % 100000);
			if (s->state == VHOST_BLK_STATE_NONE)
				born_at = now;
			busy = random_step(s, now);
			if (busy && !(random64() % 16)) {
				vhost_blk_stats_died(s, now);
				lived += s->since - born_at;
			}
			vhost_blk_stats_times(s, max(now, s->since), t);
			ASSERT_EQ(t->lifetime_ns, spent(t));
			if (s->state == VHOST_BLK_STATE_NONE)
				ASSERT_EQ(t->lifetime_ns, lived);
			ASSERT_GE(t->lifetime_ns, last);
			last = t->lifetime_ns;
			/* a reader on a CPU whose clock is behind */
			vhost_blk_stats_times(s, now - now / 8, t);
			ASSERT_LE(t->lifetime_ns, last);
			ASSERT_LE(spent(t), last);
		}
	} while (budget_now() < end);
	EXPECT_EQ(s->halt_attempted_poll,
		  s->halt_successful_poll + s->halt_failed_poll);
	EXPECT_EQ(s->halt_successful_poll,
		  hist_sum(&s->halt_poll_success_hist));
	EXPECT_EQ(s->halt_failed_poll, hist_sum(&s->halt_poll_fail_hist));
	EXPECT_EQ(s->halt_successful_wait, hist_sum(&s->halt_wait_hist));
}

TEST_F_TIMEOUT(stats, times_add_up_to_the_lifetime, BUDGET_NO_LIMIT)
{
	random_life(self, false);
}

TEST_F_TIMEOUT(stats, clock_that_steps_back, BUDGET_NO_LIMIT)
{
	random_life(self, true);
}

/* A step back is no time; the time until the clock is there again is none. */
TEST_F(stats, time_is_not_counted_twice)
{
	struct vhost_blk_stats *s = &self->s;

	vhost_blk_stats_born(s, 1000);
	vhost_blk_stats_busy_end(s, VHOST_BLK_STATE_POLL, 2000);
	vhost_blk_stats_poll_end(s, true, 1500);
	EXPECT_EQ(0, s->times.halt_poll_success_ns);
	EXPECT_EQ(1, s->halt_poll_success_hist.bucket[0]);
	vhost_blk_stats_busy_end(s, VHOST_BLK_STATE_WAIT, 1600);
	vhost_blk_stats_wait_end(s, 2300);
	EXPECT_TIMES(2300, BUSY, 1300, 1000, 0, 0, 300);
	vhost_blk_stats_died(s, 100);
	EXPECT_TIMES(100, NONE, 1300, 1000, 0, 0, 300);
}

/*
 * A reader while the worker runs. To the reader it is always later than to the
 * worker, so what it sees adds up, or it saw half of a change.
 */

#define LATER (1ULL << 62)

struct changer {
	struct vhost_blk_stats *s;
	bool stop;
	u64 steps;
};

static void *change_on(void *arg)
{
	struct changer *c = arg;
	u64 now = 1000;

	vhost_blk_stats_born(c->s, now);
	while (!__atomic_load_n(&c->stop, __ATOMIC_RELAXED)) {
		vhost_blk_stats_busy_end(c->s, VHOST_BLK_STATE_WAIT, now += 3);
		vhost_blk_stats_wait_end(c->s, now += 70000);
		c->steps++;
	}
	return NULL;
}

TEST_F_TIMEOUT(stats, reader_sees_no_half_of_a_change, BUDGET_NO_LIMIT)
{
	struct changer c = { .s = &self->s };
	double end = budget_start();
	enum vhost_blk_state state;
	u64 reads = 0, wrong = 0;
	pthread_t thread;
	unsigned int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, change_on, &c));
	do {
		for (i = 0; i < 1000; i++, reads++) {
			state = vhost_blk_stats_times(&self->s, LATER,
						      &self->t);
			wrong += state != VHOST_BLK_STATE_NONE &&
				 self->t.lifetime_ns != spent(&self->t);
		}
	} while (budget_now() < end);
	__atomic_store_n(&c.stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ksft_log("%llu reads, %llu changes", reads, 2 * c.steps);
	EXPECT_EQ(0, wrong);
}

TEST(bucket_edges)
{
	static const struct {
		u64 value;
		int bucket;
	} edges[] = {
		{ 0, 0 },
		{ 1, 0 },
		{ 2, 1 },
		{ 3, 1 },
		{ 4, 2 },
		{ 7, 2 },
		{ 8, 3 },
		{ (1ULL << 35) - 1, 34 },
		{ 1ULL << 35, 35 },
		{ (1ULL << 36) - 1, 35 },
		{ 1ULL << 36, 35 },
		{ 1ULL << 63, 35 },
		{ ~0ULL, 35 },
	};
	struct vhost_blk_hist hist;
	unsigned int i;
	int n;

	for (i = 0; i < ARRAY_SIZE(edges); i++) {
		memset(&hist, 0, sizeof(hist));
		vhost_blk_hist_add(&hist, edges[i].value);
		EXPECT_EQ(1, hist.bucket[edges[i].bucket]);
		EXPECT_EQ(1, hist_sum(&hist));
	}
	memset(&hist, 0, sizeof(hist));
	for (n = 1; n < VHOST_BLK_HIST_BUCKETS; n++) {
		vhost_blk_hist_add(&hist, 1ULL << n);
		vhost_blk_hist_add(&hist, (2ULL << n) - 1);
	}
	EXPECT_EQ(0, hist.bucket[0]);
	for (n = 1; n < VHOST_BLK_HIST_BUCKETS; n++)
		EXPECT_EQ(2, hist.bucket[n]);
}

TEST(since_is_never_negative)
{
	EXPECT_EQ(5, vhost_blk_since(105, 100));
	EXPECT_EQ(0, vhost_blk_since(100, 100));
	EXPECT_EQ(0, vhost_blk_since(100, 101));
	EXPECT_EQ(0, vhost_blk_since(0, ~0ULL));
	EXPECT_EQ(~0ULL, vhost_blk_since(~0ULL, 0));
	unit_clock = 42;
	EXPECT_EQ(42, vhost_blk_clock());
}

TEST_HARNESS_MAIN
