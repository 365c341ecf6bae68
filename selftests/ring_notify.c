// SPDX-License-Identifier: GPL-2.0-only
/* Kicks and calls: none lost, none that nobody asked for. */
#define _GNU_SOURCE
#include "attached.h"

FIXTURE(ring) {
	struct attached a;
	struct gvq *vq;
};

FIXTURE_VARIANT(ring) {
	uint64_t features;
};

FIXTURE_VARIANT_ADD(ring, event_idx) { .features = G_FEATURES };
FIXTURE_VARIANT_ADD(ring, flags) { .features = G_FEATURES & ~G_EVENT_IDX };

FIXTURE_SETUP(ring)
{
	struct guest_opts opts = { .features = variant->features };

	attach(&self->a, &opts);
	self->vq = self->a.vq;
}

FIXTURE_TEARDOWN(ring)
{
	detach_checked(&self->a);
}

static struct greq *flush_new(struct gvq *vq)
{
	struct greq *r = req_new(vq, VIRTIO_BLK_T_FLUSH, 0);

	ASSERT_EQ(0, req_frame(r, "16 / 1"));
	return r;
}

/* One request, waited for in memory; the call eventfd is left alone. */
static void one(struct gvq *vq)
{
	struct greq *r = flush_new(vq);

	ASSERT_EQ(0, req_submit(r));
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	req_free(r);
}

/* What the eventfd holds after all signals there will be: it was drained. */
static uint64_t calls_after_detach(struct attached *a)
{
	ASSERT_EQ(0, guest_set_backend(a->g, -1));
	return event_wait(a->vq->call, 0);
}

TEST_F(ring, spurious_kicks_change_nothing)
{
	struct gvq *vq = self->vq;
	unsigned int i;

	for (i = 0; i < 1000; i++)
		vq_kick(vq);
	one(vq);
	EXPECT_EQ(1, vq_used_idx(vq));
	for (i = 0; i < 1000; i++)
		vq_kick(vq);
	EXPECT_EQ(1, calls_after_detach(&self->a));
	EXPECT_EQ(1, vq_used_idx(vq));
}

TEST_F(ring, no_processor_time_when_idle)
{
	uint64_t before, spent;
	unsigned int i;

	for (i = 0; i < 100; i++)
		vq_kick(self->vq);
	one(self->vq);
	ASSERT_TRUE(vq_wait_armed(self->vq, G_WAIT_MS));
	/* It is about to sleep: what it used over 200 ms, most of it nothing. */
	before = worker_cpu_us();
	ASSERT_GT(before, 0);
	usleep(200000);
	spent = worker_cpu_us() - before;
	ksft_log("%llu us of 200 ms", (unsigned long long)spent);
	EXPECT_LT(spent, 20000);
}

TEST_F(ring, two_kicks_one_completion)
{
	struct gvq *vq = self->vq;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		struct greq *r = flush_new(vq);

		ASSERT_EQ(0, req_make(r));
		req_queue(r);
		vq_publish(vq);
		vq_kick(vq);
		vq_kick(vq);
		ASSERT_TRUE(req_wait(r, G_WAIT_MS));
		req_free(r);
	}
	ASSERT_EQ(0, guest_set_backend(self->a.g, -1));
	EXPECT_EQ(100, vq_used_idx(vq));
}

TEST_F(ring, kick_is_needed_once_idle)
{
	struct gvq *vq = self->vq;
	unsigned int i;

	for (i = 0; i < 50; i++) {
		one(vq);
		ASSERT_TRUE(vq_wait_armed(vq, G_WAIT_MS));
		/* what the driver will look at when it has published one */
		if (self->a.g->features & G_EVENT_IDX)
			ASSERT_TRUE(vring_need_event(vq_avail_event(vq),
						     vq->published + 1,
						     vq->published));
		else
			ASSERT_EQ(0, vq_used_flags(vq));
	}
}

/* A request that slips in while the device arms itself is seen without a kick. */
TEST_F(ring, request_published_while_arming_is_not_missed)
{
	struct gvq *vq = self->vq;
	unsigned int i, kicked = 0;
	int64_t end = now_ms() + 1000;

	for (i = 0; now_ms() < end; i++) {
		struct greq *r = flush_new(vq);
		uint16_t old = vq->published;

		ASSERT_EQ(0, req_make(r));
		req_queue(r);
		vq_publish(vq);
		if (vq_wants_kick(vq, old)) {
			vq_kick(vq);
			kicked++;
		}
		ASSERT_TRUE(req_wait(r, G_WAIT_MS));
		req_free(r);
	}
	ksft_log("%u of %u kicked", kicked, i);
}

TEST_F(ring, call_comes_after_entry_status_and_length)
{
	struct gvq *vq = self->vq;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		struct greq *r = req_new(vq, VIRTIO_BLK_T_IN, i);

		if (self->a.g->features & G_EVENT_IDX)
			vq_set_used_event(vq, vq->last_used);
		r->hdr.sector = 0;
		ASSERT_EQ(0, req_frame(r, "16 / 4096 1"));
		ASSERT_EQ(0, req_submit(r));
		ASSERT_EQ(1, event_wait(vq->call, G_WAIT_MS));
		/* No more waiting: all is there the moment the call is. */
		ASSERT_EQ(1, vq_reap(vq));
		ASSERT_TRUE(r->done);
		EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
		req_free(r);
	}
	EXPECT_EQ(0, calls_after_detach(&self->a));
}

/* One eventfd may stand for all queues. */
TEST_F(ring, call_eventfd_shared_by_queues)
{
	struct guest_opts opts = { .features = variant->features, .nvqs = 4 };
	struct attached b = { 0 };
	unsigned int i, q;
	int64_t end;

	ASSERT_EQ(0, disk_open(&b.d, self->a.d.path, O_RDWR));
	b.g = guest_new(&opts);
	for (i = 0; i < guest_steps(); i++)
		ASSERT_EQ(0, guest_step(b.g, i));
	for (q = 0; q < 4; q++)
		ASSERT_EQ(0, vq_set_fd(&b.g->vq[q], VHOST_SET_VRING_CALL,
				       b.g->vq[0].call));
	ASSERT_EQ(0, guest_set_backend(b.g, b.d.fd));

	end = now_ms() + 1000;
	for (i = 0; now_ms() < end; i++) {
		struct greq *r[4];
		unsigned int done = 0;

		for (q = 0; q < 4; q++) {
			vq_set_used_event(&b.g->vq[q], b.g->vq[q].last_used);
			r[q] = flush_new(&b.g->vq[q]);
			ASSERT_EQ(0, req_submit(r[q]));
		}
		while (done < 4) {
			ASSERT_GT(event_wait(b.g->vq[0].call, G_WAIT_MS), 0);
			for (done = 0, q = 0; q < 4; q++) {
				ASSERT_GE(vq_reap(&b.g->vq[q]), 0);
				done += r[q]->done;
			}
		}
		for (q = 0; q < 4; q++)
			req_free(r[q]);
	}
	ksft_log("%u rounds", i);
	b.vq = b.g->vq;
	detach_checked(&b);
}

/*
 * What a driver does, with nothing else to save it: kicks only when asked to,
 * sleeps on the call only. A wake-up lost on either side stops it.
 */
TEST_F_TIMEOUT(ring, no_wake_up_is_lost, 60)
{
	const char *seconds = getenv("KSFT_SOAK_S");
	int64_t end = now_ms() + 1000 * (seconds ? atoi(seconds) : 2);
	struct gvq *vq = self->vq;
	unsigned int n, slept = 0;

	for (n = 0; now_ms() < end; n++) {
		struct greq *r = flush_new(vq);

		ASSERT_EQ(0, req_submit(r));
		while (!r->done) {
			vq_set_used_event(vq, vq->last_used);
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			ASSERT_GE(vq_reap(vq), 0);
			if (r->done)
				break;
			slept++;
			if (!event_wait(vq->call, 2000)) {
				ksft_log("request %u: used %u, avail %u, event %u, flags %u, done %d",
					 n, vq_used_idx(vq), vq->published,
					 vq_avail_event(vq), vq_used_flags(vq),
					 vq_used_idx(vq) == vq->published);
				ASSERT_TRUE(r->done);
			}
			ASSERT_GE(vq_reap(vq), 0);
		}
		req_free(r);
	}
	ksft_log("%u requests, slept %u times", n, slept);
	EXPECT_GT(slept, 0);
}

FIXTURE(with_flags) {
	struct attached a;
	struct gvq *vq;
};

FIXTURE_SETUP(with_flags)
{
	static const struct guest_opts opts = {
		.features = G_FEATURES & ~G_EVENT_IDX,
	};

	attach(&self->a, &opts);
	self->vq = self->a.vq;
}

FIXTURE_TEARDOWN(with_flags)
{
	detach_checked(&self->a);
}

TEST_F(with_flags, no_interrupt_means_no_call)
{
	unsigned int i;

	vq_set_avail_flags(self->vq, VRING_AVAIL_F_NO_INTERRUPT);
	for (i = 0; i < 100; i++)
		one(self->vq);
	EXPECT_EQ(0, calls_after_detach(&self->a));
}

TEST_F(with_flags, call_comes_again_when_allowed_again)
{
	vq_set_avail_flags(self->vq, VRING_AVAIL_F_NO_INTERRUPT);
	one(self->vq);
	vq_set_avail_flags(self->vq, 0);
	one(self->vq);
	EXPECT_EQ(1, event_wait(self->vq->call, G_WAIT_MS));
	EXPECT_EQ(0, calls_after_detach(&self->a));
}

/* While it is awake it may ask not to be kicked; asleep it may not. */
TEST_F(with_flags, no_notify_is_withdrawn_when_idle)
{
	unsigned int i, k;

	for (i = 0; i < 20; i++) {
		struct greq *r[16];

		for (k = 0; k < ARRAY_SIZE(r); k++) {
			r[k] = flush_new(self->vq);
			ASSERT_EQ(0, req_submit(r[k]));
		}
		ASSERT_TRUE(vq_wait_idle(self->vq, G_WAIT_MS));
		ASSERT_TRUE(vq_wait_armed(self->vq, 1000));
		for (k = 0; k < ARRAY_SIZE(r); k++)
			req_free(r[k]);
	}
}

FIXTURE(with_event_idx) {
	struct attached a;
	struct gvq *vq;
};

FIXTURE_SETUP(with_event_idx)
{
	attach(&self->a, NULL);
	self->vq = self->a.vq;
}

FIXTURE_TEARDOWN(with_event_idx)
{
	detach_checked(&self->a);
}

TEST_F(with_event_idx, call_comes_exactly_at_used_event)
{
	struct gvq *vq = self->vq;
	unsigned int i, round;

	for (round = 0; round < 10; round++) {
		vq_set_used_event(vq, vq->last_used + 3);
		for (i = 0; i < 3; i++) {
			one(vq);
			EXPECT_EQ(0, event_wait(vq->call, 0));
		}
		one(vq);
		ASSERT_EQ(1, event_wait(vq->call, G_WAIT_MS));
	}
	/* and none came late */
	EXPECT_EQ(0, calls_after_detach(&self->a));
}

TEST_F(with_event_idx, used_event_far_away_means_no_call)
{
	unsigned int i;

	vq_set_used_event(self->vq, self->vq->last_used + 0x8000);
	for (i = 0; i < 300; i++)
		one(self->vq);
	EXPECT_EQ(0, calls_after_detach(&self->a));
}

TEST_F(with_event_idx, no_interrupt_flag_is_ignored)
{
	struct gvq *vq = self->vq;
	unsigned int i;

	vq_set_avail_flags(vq, VRING_AVAIL_F_NO_INTERRUPT);
	for (i = 0; i < 20; i++) {
		vq_set_used_event(vq, vq->last_used);
		one(vq);
		ASSERT_EQ(1, event_wait(vq->call, G_WAIT_MS));
		EXPECT_EQ(0, vq_used_flags(vq));
	}
	EXPECT_EQ(0, calls_after_detach(&self->a));
}

TEST_F(with_event_idx, avail_event_follows_when_idle)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		one(self->vq);
		ASSERT_TRUE(vq_wait_armed(self->vq, 1000));
		EXPECT_EQ(self->vq->published, vq_avail_event(self->vq));
	}
}

TEST_HARNESS_MAIN
