// SPDX-License-Identifier: GPL-2.0-only
/*
 * Disks on which it matters whether and when a request is polled. Each has poll
 * queues, except where it says otherwise; see backends_up_polled in common.sh.
 */
#define _GNU_SOURCE
#include "load.h"

#define TIMER_MS 300		/* of KSFT_POLL_TIMER */

/* A disk that ends each request by a timer, TIMER_MS late, unless it is polled. */
FIXTURE(timer) {
	struct load l;
};

FIXTURE_SETUP(timer)
{
	load_start(&self->l, special_path("KSFT_POLL_TIMER"));
}

FIXTURE_TEARDOWN(timer)
{
	detach_checked(&self->l.a);
}

/* The shortest of some: what else the machine does only makes them longer. */
static int64_t shortest_ms(struct attached *a, enum kind kind, uint32_t type,
			   unsigned int tries)
{
	int64_t shortest = INT64_MAX, ms;
	unsigned int i;

	for (i = 0; i < tries; i++) {
		struct greq *r = req_new(a->vq, type, 0);

		r->indirect = true;
		ASSERT_EQ(0, req_frame(r, frames[kind][type != VIRTIO_BLK_T_OUT]));
		ms = now_ms();
		ASSERT_EQ(0, req_submit(r));
		ASSERT_TRUE(req_wait(r, G_WAIT_MS));
		ms = now_ms() - ms;
		EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
		req_free(r);
		if (ms < shortest)
			shortest = ms;
	}
	ksft_log("%lld ms", (long long)shortest);
	return shortest;
}

#define EXPECT_POLLED(a, kind, type) \
	EXPECT_LT(shortest_ms(a, kind, type, 5), TIMER_MS / 2)
#define EXPECT_NOT_POLLED(a, kind, type) \
	EXPECT_GE(shortest_ms(a, kind, type, 2), TIMER_MS - 1)

TEST_F(timer, polled_requests_do_not_wait_for_it)
{
	struct attached *a = &self->l.a;

	EXPECT_POLLED(a, KIND_SMALL, VIRTIO_BLK_T_IN);
	EXPECT_POLLED(a, KIND_SMALL, VIRTIO_BLK_T_OUT);
	EXPECT_POLLED(a, KIND_BOUNCED, VIRTIO_BLK_T_IN);
	poll_device(&self->l.s, 0);
	EXPECT_NOT_POLLED(a, KIND_SMALL, VIRTIO_BLK_T_IN);
	poll_device(&self->l.s, 1);
	EXPECT_POLLED(a, KIND_SMALL, VIRTIO_BLK_T_IN);
}

TEST_F(timer, module_parameter_holds_for_queues_without_a_setting)
{
	const uint64_t was = shown_param("poll_device");

	ASSERT_EQ(0, shown_tune(&self->l.s, 0, "poll_device", "\n"));
	EXPECT_EQ(0, file_put(SHOWN_PARAMS "/poll_device", "0"));
	EXPECT_NOT_POLLED(&self->l.a, KIND_SMALL, VIRTIO_BLK_T_IN);
	EXPECT_EQ(0, file_put(SHOWN_PARAMS "/poll_device", "1"));
	EXPECT_POLLED(&self->l.a, KIND_SMALL, VIRTIO_BLK_T_IN);
	EXPECT_EQ(0, file_put(SHOWN_PARAMS "/poll_device", was ? "1" : "0"));
	EXPECT_ERRNO(EINVAL, shown_tune(&self->l.s, 0, "poll_device", "2\n"));
}

/* One that nobody polls comes by its interrupt. */
TEST_F(timer, split_and_flushed_requests_are_not_polled)
{
	EXPECT_NOT_POLLED(&self->l.a, KIND_LARGE, VIRTIO_BLK_T_IN);
	EXPECT_NOT_POLLED(&self->l.a, KIND_FLUSH, VIRTIO_BLK_T_FLUSH);
}

/* What is polled overtakes what is not, and is not held up by it. */
TEST_F(timer, polled_requests_overtake_others)
{
	struct greq *slow = req_new(self->l.a.vq, VIRTIO_BLK_T_IN, 0);
	unsigned int i;

	slow->indirect = true;
	ASSERT_EQ(0, req_frame(slow, frames[KIND_LARGE][1]));
	ASSERT_EQ(0, req_submit(slow));
	for (i = 0; i < 3; i++)
		EXPECT_POLLED(&self->l.a, KIND_SMALL, VIRTIO_BLK_T_IN);
	ASSERT_TRUE(req_wait(slow, G_WAIT_MS));
	EXPECT_EQ(0, req_check(slow, VIRTIO_BLK_S_OK));
	req_free(slow);
}

/* With a sleep for the timer too, so that the other test means something. */
TEST_F(timer, asleep_until_the_timer_when_not_polled)
{
	no_window(&self->l.s);
	poll_device(&self->l.s, 0);
	sleeps_for(&self->l.a, &self->l.s, 1);
	EXPECT_GE(sleeps_for(&self->l.a, &self->l.s, 5), 10);
	poll_device(&self->l.s, 1);
	EXPECT_LE(sleeps_for(&self->l.a, &self->l.s, 5), 7);
}

/* A disk of two tags: most requests have to wait, and for polled ones. */
FIXTURE(few_tags) {
	struct load l;
};

FIXTURE_VARIANT(few_tags) {
	const char *elevator;
};

FIXTURE_VARIANT_ADD(few_tags, none) { .elevator = "none" };
FIXTURE_VARIANT_ADD(few_tags, deadline) { .elevator = "mq-deadline" };

FIXTURE_SETUP(few_tags)
{
	load_start(&self->l, special_path("KSFT_POLL_TAGS"));
	queue_put(&self->l.a.d, "scheduler", variant->elevator);
}

FIXTURE_TEARDOWN(few_tags)
{
	detach_checked(&self->l.a);
	queue_put(&self->l.a.d, "scheduler", "none");
}

TEST_F(few_tags, more_requests_at_once)
{
	uint64_t refused = shown_stat(&self->l.s, 0, "requeued");

	batch(&self->l.a, true, 16, 24);
	batch(&self->l.a, false, 16, 24);
	batch(&self->l.a, true, 16, 8);
	batch(&self->l.a, false, 16, 8);
	EXPECT_GT(shown_stat(&self->l.s, 0, "requeued"), refused);
}

TEST_F(few_tags, load_of_small_requests)
{
	self->l.kinds = 1u << KIND_SMALL;
	load_run(&self->l, 1000);
}

TEST_F(few_tags, load_of_all_kinds)
{
	load_run(&self->l, 1500);
}

/* Each change waits for all requests of the disk. */
TEST_F(few_tags, elevator_changed_under_load)
{
	struct disturber d = { .fn = change_elevator };

	queue_file(d.path, sizeof(d.path), &self->l.a.d, "scheduler");
	load_disturbed(&self->l, &d, 1000, 6);
}

/* A device-mapper disk polls what lies below each request of its own. */
FIXTURE(mapped) {
	struct load l;
};

FIXTURE_SETUP(mapped)
{
	load_start(&self->l, special_path("KSFT_POLL_DM"));
}

FIXTURE_TEARDOWN(mapped)
{
	detach_checked(&self->l.a);
}

TEST_F(mapped, batches_of_adjacent_and_other_requests)
{
	batch(&self->l.a, true, 32, 8);
	batch(&self->l.a, false, 32, 8);
	batch(&self->l.a, true, 32, 24);
	batch(&self->l.a, false, 32, 24);
}

TEST_F(mapped, no_request_is_forgotten_under_load)
{
	self->l.kinds = 1u << KIND_SMALL;
	load_run(&self->l, 2000);
	self->l.kinds = ALL_KINDS;
	load_run(&self->l, 1000);
}

/* A disk without poll queues: as if it were off. */
FIXTURE(unpolled) {
	struct load l;
};

FIXTURE_SETUP(unpolled)
{
	load_start(&self->l, special_path("KSFT_NO_POLL"));
}

FIXTURE_TEARDOWN(unpolled)
{
	detach_checked(&self->l.a);
}

TEST_F(unpolled, load_of_all_kinds)
{
	load_run(&self->l, 1000);
}

TEST_F(unpolled, asleep_until_the_interrupt)
{
	no_window(&self->l.s);
	sleeps_for(&self->l.a, &self->l.s, 1);
	EXPECT_GE(sleeps_for(&self->l.a, &self->l.s, 5), 10);
}

TEST_HARNESS_MAIN
