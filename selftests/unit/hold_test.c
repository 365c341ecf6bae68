// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's hold.c: interrupt moderation, with a small model of a driver.
 *
 * The driver keeps up to depth requests under way. It submits one after the other,
 * each taking submit_ns, and interrupts what it does for irq_ns to take back
 * what has been published. Once every stall_every_ns it stands still for
 * stall_ns, as a vCPU does whose core is wanted for something else. The device
 * completes one request after the other, each taking disk_ns; the worker looks at
 * everything once per STEP, but when it naps.
 */
#include "ksft.h"
#include "hold.h"

#define STEP 250ULL
#define MAX_NS 200000U
#define MAX_DEPTH 256

struct sim {
	struct vhost_blk_hold hold;
	unsigned int depth;
	u64 submit_ns, irq_ns, disk_ns, stall_ns, stall_every_ns, wake_ns;
	bool naps;
	/* the driver */
	unsigned int under_way;
	u64 busy_until, stalled_at;
	bool irq;
	/* the worker */
	unsigned int unseen;
	u64 awake_at;
	/* the device: when each request will be complete, oldest first */
	u64 ready[MAX_DEPTH];
	unsigned int first, in_flight, published;
	u64 disk_free;
	/* what came out */
	u64 done, interrupts, longest_hold, asleep_ns;
};

static void sim_driver(struct sim *s, u64 now)
{
	if (now < s->busy_until)
		return;
	if (s->stall_ns && now - s->stalled_at >= s->stall_every_ns) {
		s->stalled_at = now;
		s->busy_until = now + s->stall_ns;
	} else if (s->irq) {
		s->irq = false;
		s->under_way -= s->published;
		s->done += s->published;
		s->published = 0;
		s->busy_until = now + s->irq_ns;
	} else if (s->under_way < s->depth) {
		if (s->disk_free < now)
			s->disk_free = now;
		s->disk_free += s->disk_ns;
		s->ready[(s->first + s->in_flight++) % MAX_DEPTH] =
			s->disk_free;
		s->under_way++;
		s->busy_until = now + s->submit_ns;
		s->unseen++;
	}
}

static void sim_nap(struct sim *s, u64 now)
{
	u32 ns = vhost_blk_hold_nap(&s->hold, now);

	if (!ns)
		return;
	s->awake_at = now + ns + s->wake_ns;
	s->asleep_ns += ns;
	vhost_blk_hold_woke(&s->hold, s->awake_at);
}

static void sim_worker(struct sim *s, u64 now)
{
	unsigned int nr = 0;

	if (now < s->awake_at)
		return;
	if (s->unseen)
		vhost_blk_hold_arrived(&s->hold, s->unseen, now);
	s->unseen = 0;
	while (s->in_flight && s->ready[s->first] <= now) {
		s->first = (s->first + 1) % MAX_DEPTH;
		s->in_flight--;
		nr++;
	}
	s->published += nr;
	if (nr)
		vhost_blk_hold_add(&s->hold, nr, now);
	if (s->hold.held && vhost_blk_hold_over(&s->hold, now)) {
		if (now - s->hold.since > s->longest_hold)
			s->longest_hold = now - s->hold.since;
		vhost_blk_hold_release(&s->hold, now);
		s->irq = true;
		s->interrupts++;
	}
	if (s->naps)
		sim_nap(s, now);
}

static void sim_run(struct sim *s, u64 ns)
{
	u64 now, end = s->busy_until + ns;

	for (now = s->busy_until; now < end; now += STEP) {
		sim_driver(s, now);
		sim_worker(s, now);
	}
}

/* The same load with and without holding: done[0] without, done[1] with. */
static void sim_compare(struct sim *shape, u64 ns, u64 done[2])
{
	int i;

	for (i = 0; i < 2; i++) {
		struct sim s = *shape;

		vhost_blk_hold_init(&s.hold, i ? MAX_NS : 0);
		sim_run(&s, ns);
		done[i] = s.done;
		if (i)
			*shape = s;
	}
}

TEST(one_at_a_time_is_not_delayed)
{
	struct sim s = {
		.depth = 1, .submit_ns = 3000, .irq_ns = 10000,
	};
	u64 done[2];

	sim_compare(&s, 1000000000ULL, done);
	EXPECT_GE(done[1] * 100, done[0] * 98);
	EXPECT_LE(s.longest_hold, MAX_NS + STEP);
}

TEST(what_is_submitted_in_a_go_gets_one_interrupt)
{
	struct sim s = {
		.depth = 32, .submit_ns = 3000, .irq_ns = 10000,
	};
	u64 done[2];

	sim_compare(&s, 1000000000ULL, done);
	EXPECT_GE(done[1], done[0] * 2);
	EXPECT_LE(s.interrupts * 24, s.done);
}

/* A driver that is held up for a moment has not changed its habits. */
TEST(a_driver_that_is_held_up_keeps_its_batches)
{
	struct sim s = {
		.depth = 32, .submit_ns = 3000, .irq_ns = 10000,
		.stall_ns = 300000, .stall_every_ns = 500000,
	};

	vhost_blk_hold_init(&s.hold, MAX_NS);
	sim_run(&s, 1000000000ULL);
	ksft_log("%llu requests for one interrupt", s.done / s.interrupts);
	EXPECT_GE(s.done, 20 * s.interrupts);
}

/* A driver that keeps fewer requests under way than before is understood soon. */
TEST(a_smaller_depth_is_learnt)
{
	struct sim s = {
		.depth = 64, .submit_ns = 3000, .irq_ns = 10000,
	};
	u64 done, want;

	vhost_blk_hold_init(&s.hold, MAX_NS);
	sim_run(&s, 100000000ULL);
	s.depth = 1;
	sim_run(&s, 5000000ULL);
	done = s.done;
	sim_run(&s, 100000000ULL);
	want = 100000000ULL / (3000 + 10000 + STEP);
	EXPECT_GE((s.done - done) * 100, want * 90);
}

TEST(depth_two_gains_too)
{
	struct sim s = {
		.depth = 2, .submit_ns = 3000, .irq_ns = 20000,
	};
	u64 done[2];

	sim_compare(&s, 1000000000ULL, done);
	EXPECT_GE(done[1] * 10, done[0] * 11);
}

TEST(a_slow_disk_is_left_alone)
{
	struct sim s = {
		.submit_ns = 3000, .irq_ns = 10000, .disk_ns = 25000,
	};
	u64 done[2];

	for (s.depth = 1; s.depth <= 8; s.depth *= 2) {
		struct sim shape = s;

		sim_compare(&shape, 1000000000ULL, done);
		EXPECT_GE(done[1] * 100, done[0] * 95);
	}
}

TEST(a_driver_that_stops_submitting_gets_its_interrupt)
{
	struct sim s = {
		.depth = 32, .submit_ns = 3000, .irq_ns = 10000,
	};
	u64 before;

	vhost_blk_hold_init(&s.hold, MAX_NS);
	sim_run(&s, 10000000);
	EXPECT_GT(s.hold.target, 16);

	/* From 32 to 1: one interrupt late, then each at once. */
	s.depth = 0;
	sim_run(&s, 1000000);
	EXPECT_EQ(s.under_way, 0);
	s.depth = 1;
	s.longest_hold = 0;
	before = s.done;
	sim_run(&s, 10000000);
	EXPECT_GE(s.done - before, 10000000 / 13250 / 2);
	EXPECT_LE(s.longest_hold, MAX_NS + STEP);
}

/* A hold in which 20 chains arrive, 2 us apart. */
static void hold_twenty(struct vhost_blk_hold *h, u64 *now)
{
	int i;

	for (i = 0; i < 20; i++) {
		*now += 2000;
		vhost_blk_hold_arrived(h, 1, *now);
		vhost_blk_hold_add(h, 1, *now);
	}
}

TEST(a_late_arrival_ends_the_wait_and_lowers_the_target)
{
	struct vhost_blk_hold h;
	u64 now = 1000000;
	int i;

	vhost_blk_hold_init(&h, MAX_NS);
	h.gap_ns = 2000;
	h.probing = true;
	hold_twenty(&h, &now);
	vhost_blk_hold_release(&h, now);
	EXPECT_EQ(h.target, 20);

	/* Then only three come: four gaps later nobody waits any more. */
	for (i = 0; h.target > 3; i++) {
		h.probing = false;
		now += 2000;
		vhost_blk_hold_add(&h, 3, now);
		EXPECT_FALSE(vhost_blk_hold_over(&h, now + 7000));
		EXPECT_TRUE(vhost_blk_hold_over(&h, now + 9000));
		h.arrived = 2;
		vhost_blk_hold_release(&h, now);
		ASSERT_LT(i, 10);
	}
	EXPECT_EQ(h.target, 3);
	EXPECT_GT(i, 1);
	h.probing = false;
	vhost_blk_hold_add(&h, 3, now);
	EXPECT_TRUE(vhost_blk_hold_over(&h, now));
}

TEST(completions_alone_do_not_raise_the_target)
{
	struct vhost_blk_hold h;

	vhost_blk_hold_init(&h, MAX_NS);
	h.probing = true;
	vhost_blk_hold_add(&h, 1, 1000);
	vhost_blk_hold_add(&h, 1, 2000);
	vhost_blk_hold_add(&h, 1, 3000);
	vhost_blk_hold_release(&h, 3000);
	EXPECT_EQ(h.target, 1);
}

TEST(no_completion_waits_longer_than_promised)
{
	struct vhost_blk_hold h;
	u64 now = 1000000, since;

	/* Arrivals that never end, too far apart to reach the target. */
	vhost_blk_hold_init(&h, MAX_NS);
	h.probing = true;
	since = now;
	vhost_blk_hold_add(&h, 1, now);
	while (!vhost_blk_hold_over(&h, now)) {
		now += 150000;
		vhost_blk_hold_arrived(&h, 1, now);
		ASSERT_LE(now - since, 5ULL * MAX_NS);
	}
	EXPECT_GE(now - since, 4ULL * MAX_NS);
}

/* A guest that needs 300 us for a request, as an emulated one may. */
TEST(naps_between_requests_that_come_slowly)
{
	struct sim s[2] = { 0 };
	int i;

	for (i = 0; i < 2; i++) {
		s[i].depth = 32;
		s[i].submit_ns = 300000;
		s[i].irq_ns = 1000000;
		s[i].naps = i;
		vhost_blk_hold_init(&s[i].hold, 8000000);
		sim_run(&s[i], 500000000ULL);
		s[i].done = 0;
		s[i].interrupts = 0;
		s[i].asleep_ns = 0;
		sim_run(&s[i], 2000000000ULL);
		ksft_log("%llu requests, %llu interrupts, asleep %llu ms",
			 s[i].done, s[i].interrupts, s[i].asleep_ns / 1000000);
		EXPECT_GE(s[i].done, 16 * s[i].interrupts);
	}
	EXPECT_EQ(0, s[0].asleep_ns);
	EXPECT_GE(s[1].asleep_ns, 1500000000ULL);
	EXPECT_GE(s[1].done * 100, s[0].done * 95);
	/* as far apart as they are, not as they were found */
	EXPECT_LE(s[1].hold.gap_ns, 2 * s[0].hold.gap_ns);
}

TEST(no_nap_is_longer_than_the_interrupt_may_wait)
{
	struct vhost_blk_hold h;
	const u64 now = 1000000;
	u64 at;

	vhost_blk_hold_init(&h, 8000000);
	h.gap_ns = 300000;
	h.target = 32;
	h.last = now;
	vhost_blk_hold_add(&h, 1, now);
	EXPECT_EQ(300000, vhost_blk_hold_nap(&h, now));
	for (at = now; !vhost_blk_hold_over(&h, at); at += 10000) {
		u32 ns = vhost_blk_hold_nap(&h, at);

		EXPECT_FALSE(ns && vhost_blk_hold_over(&h, at + ns));
		EXPECT_FALSE(ns && ns < 50000);
	}
	EXPECT_EQ(0, vhost_blk_hold_nap(&h, at));
	/* a part of the longest wait at most, and not for next to nothing */
	h.gap_ns = 8000000;
	EXPECT_EQ(2000000, vhost_blk_hold_nap(&h, now));
	h.gap_ns = 49999;
	EXPECT_EQ(0, vhost_blk_hold_nap(&h, now));
	h.gap_ns = 50000;
	EXPECT_EQ(50000, vhost_blk_hold_nap(&h, now));
	h.max_ns = 0;
	EXPECT_EQ(0, vhost_blk_hold_nap(&h, now));
}

/* Late wake-ups are not the driver's. */
TEST(does_not_nap_because_it_wakes_up_late)
{
	struct sim s = {
		.depth = 32, .submit_ns = 3000, .irq_ns = 10000,
		.wake_ns = 100000, .naps = true,
	};

	vhost_blk_hold_init(&s.hold, 8000000);
	sim_run(&s, 200000000ULL);
	/* after a pause, and not for good */
	s.hold.reply_ns = 1000000;
	sim_run(&s, 200000000ULL);
	s.asleep_ns = 0;
	sim_run(&s, 200000000ULL);
	EXPECT_EQ(0, s.asleep_ns);
	EXPECT_LE(s.hold.reply_ns, 100000);
}

/* Eight at once, a millisecond apart: patience is for the millisecond. */
TEST(what_is_submitted_at_once_is_not_taken_for_one_by_one)
{
	struct vhost_blk_hold h;
	u64 now = 1000000;
	int i;

	vhost_blk_hold_init(&h, 8000000);
	h.gap_ns = 250000;
	for (i = 0; i < 100; i++) {
		u64 next = now + 1000000;

		vhost_blk_hold_add(&h, 8, now);
		while (now < next) {
			u32 ns = vhost_blk_hold_nap(&h, now);

			now = ns ? now + ns : next;
			vhost_blk_hold_woke(&h, now);
		}
		vhost_blk_hold_arrived(&h, 8, now);
	}
	EXPECT_GE(h.gap_ns, 500000);
}

/* What takes 600 us every time is not looked for during the first 300. */
TEST(one_nap_follows_an_interrupt_for_many)
{
	struct vhost_blk_hold h;
	u64 now = 1000000;
	int i;

	vhost_blk_hold_init(&h, 8000000);
	EXPECT_EQ(0, vhost_blk_hold_nap(&h, now));
	for (i = 0; i < 100; i++) {
		h.target = 4;
		vhost_blk_hold_add(&h, 4, now);
		vhost_blk_hold_release(&h, now);
		if (i < 99)
			vhost_blk_hold_arrived(&h, 1, now += 600000);
	}
	EXPECT_GE(300000, h.reply_ns / 2);
	EXPECT_LE(299000, h.reply_ns / 2);
	EXPECT_EQ(h.reply_ns / 2, vhost_blk_hold_nap(&h, now));
	EXPECT_EQ(0, vhost_blk_hold_nap(&h, now + 300000));
	/* nor where each completion gets its own */
	vhost_blk_hold_add(&h, 4, now);
	vhost_blk_hold_release(&h, now);
	h.target = 3;
	EXPECT_EQ(0, vhost_blk_hold_nap(&h, now));
	h.target = 4;
	EXPECT_NE(0, vhost_blk_hold_nap(&h, now));
	/* nor when it has come */
	vhost_blk_hold_add(&h, 4, now);
	vhost_blk_hold_release(&h, now);
	vhost_blk_hold_arrived(&h, 1, now);
	EXPECT_EQ(0, vhost_blk_hold_nap(&h, now));
}

TEST(zero_holds_nothing)
{
	struct vhost_blk_hold h;
	int i;

	vhost_blk_hold_init(&h, 0);
	for (i = 0; i < 100000; i++) {
		vhost_blk_hold_arrived(&h, 32, i);
		vhost_blk_hold_add(&h, 1, i);
		ASSERT_TRUE(vhost_blk_hold_over(&h, i));
		vhost_blk_hold_release(&h, i);
	}
}

/* Only what holds nothing back, and does not try to, may be gone around. */
TEST(sends_at_once_as_long_as_a_completion_is_worth_an_interrupt)
{
	struct vhost_blk_hold h;
	int i;

	vhost_blk_hold_init(&h, MAX_NS);
	for (i = 0; i < 100000; i++) {
		bool at_once = vhost_blk_hold_sends_at_once(&h);

		vhost_blk_hold_arrived(&h, 1, i * 1000);
		vhost_blk_hold_add(&h, 1, i * 1000);
		ASSERT_EQ(at_once, vhost_blk_hold_over(&h, i * 1000));
		vhost_blk_hold_release(&h, i * 1000);
	}
	h.target = 2;
	h.probing = false;
	EXPECT_FALSE(vhost_blk_hold_sends_at_once(&h));
	h.target = 1;
	h.probing = true;
	EXPECT_FALSE(vhost_blk_hold_sends_at_once(&h));
	h.max_ns = 0;
	EXPECT_TRUE(vhost_blk_hold_sends_at_once(&h));
}

TEST_HARNESS_MAIN
