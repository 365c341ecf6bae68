// SPDX-License-Identifier: GPL-2.0-only
/*
 * Damage to the available ring itself. The queue stops, says so on its error
 * eventfd, GET_VRING_BASE tells where, other queues go on, and attaching again
 * after the repair carries on from there.
 */
#define _GNU_SOURCE
#include "attached.h"

FIXTURE(ring) {
	struct attached a;
	struct gvq *vq, *other;
	struct leaks before;
};

FIXTURE_VARIANT(ring) {
	uint16_t base;
	uint64_t features;
};

FIXTURE_VARIANT_ADD(ring, from_0) { 0, G_FEATURES };
FIXTURE_VARIANT_ADD(ring, from_0xfffe) { 0xfffe, G_FEATURES & ~G_EVENT_IDX };

FIXTURE_SETUP(ring)
{
	struct guest_opts opts = {
		.nvqs = 2, .base = variant->base, .features = variant->features,
	};

	leaks_now(&self->before);
	attach(&self->a, &opts);
	self->vq = self->a.vq;
	self->other = &self->a.g->vq[1];
	ASSERT_EQ(0, still_serves(&self->a, self->vq));
}

FIXTURE_TEARDOWN(ring)
{
	detach_checked(&self->a);
}

static struct greq *read_new(struct gvq *vq)
{
	struct greq *r = req_new(vq, VIRTIO_BLK_T_IN, 0);

	ASSERT_EQ(0, req_frame(r, "16 / 4096 1"));
	ASSERT_EQ(0, req_make(r));
	return r;
}

/* The queue has stopped at @base; the other one has not noticed. */
static void expect_stopped(struct attached *a, uint16_t base)
{
	struct gvq *other = &a->g->vq[1];

	ASSERT_GT(event_wait(a->vq->err, G_WAIT_MS), 0);
	EXPECT_EQ(base, vq_get_base(a->vq));
	EXPECT_EQ(0, still_serves(a, other));
	EXPECT_EQ(0, event_wait(other->err, 0));
	/* kicks do not bring it back, nor tell again and again */
	vq_kick(a->vq);
	EXPECT_EQ(0, still_serves(a, other));
	EXPECT_EQ(base, vq_get_base(a->vq));
	EXPECT_EQ(0, event_wait(a->vq->err, 0));
}

static void repair_and_attach(struct attached *a, uint16_t base)
{
	ASSERT_EQ(0, guest_set_backend(a->g, -1));
	EXPECT_EQ(base, vq_get_base(a->vq));
	ASSERT_GE(vq_reap(a->vq), 0);
	a->vq->avail_idx = base;
	vq_publish(a->vq);
	ASSERT_EQ(0, guest_set_backend(a->g, a->d.fd));
	EXPECT_EQ(0, still_serves(a, a->vq));
	EXPECT_EQ(0, still_serves(a, &a->g->vq[1]));
	EXPECT_EQ(0, event_wait(a->vq->err, 0));
}

static void bad_head(struct attached *a, uint16_t head)
{
	uint16_t base = a->vq->avail_idx;

	vq_push(a->vq, head);
	vq_publish(a->vq);
	vq_kick(a->vq);
	expect_stopped(a, base);
	EXPECT_EQ(base, vq_used_idx(a->vq));
	repair_and_attach(a, base);
}

TEST_F(ring, head_outside_the_table)
{
	bad_head(&self->a, self->vq->num);
	bad_head(&self->a, self->vq->num + 1);
	bad_head(&self->a, 0x8000);
	bad_head(&self->a, 0xffff);
}

/* What came before the bad entry is served, what follows is not taken. */
TEST_F(ring, bad_head_among_good_ones)
{
	struct attached *a = &self->a;
	struct greq *r[5];
	uint16_t base = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(r); i++) {
		r[i] = read_new(self->vq);
		if (i == 3) {
			base = self->vq->avail_idx;
			vq_push(self->vq, 0xffff);
		}
		req_queue(r[i]);
	}
	vq_publish(self->vq);
	vq_kick(self->vq);
	expect_stopped(a, base);
	/* those under way complete, here or when detaching */
	ASSERT_EQ(0, guest_set_backend(a->g, -1));
	EXPECT_EQ(base, vq_get_base(self->vq));
	ASSERT_GE(vq_reap(self->vq), 0);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, req_check(r[i], VIRTIO_BLK_S_OK));
	for (i = 3; i < 5; i++) {
		EXPECT_FALSE(r[i]->done);
		EXPECT_EQ(0, req_check_untouched(r[i]));
		self->vq->inflight[r[i]->head] = NULL;
		self->vq->n_inflight--;
	}
	repair_and_attach(a, base);
}

static void bad_index(struct attached *a, uint16_t by)
{
	uint16_t base = a->vq->avail_idx;
	uint16_t used = vq_used_idx(a->vq);

	vq_set_avail_idx(a->vq, base + by);
	vq_kick(a->vq);
	expect_stopped(a, base);
	/* no old entry of the ring was served again */
	EXPECT_EQ(used, vq_used_idx(a->vq));
	repair_and_attach(a, base);
}

TEST_F(ring, index_jumps_too_far)
{
	bad_index(&self->a, self->vq->num + 1);
	bad_index(&self->a, 0x8000);
	bad_index(&self->a, 0x7fff);
}

TEST_F(ring, index_goes_back)
{
	bad_index(&self->a, 0xffff);
	bad_index(&self->a, -2);
	bad_index(&self->a, -(int)self->vq->num);
}

/* Queues that are stopped can be given up like any other. */
TEST_F(ring, closed_while_stopped)
{
	struct attached *a = &self->a;

	vq_push(self->vq, 0xffff);
	vq_publish(self->vq);
	vq_kick(self->vq);
	ASSERT_GT(event_wait(self->vq->err, G_WAIT_MS), 0);
	close(a->g->fd);
	a->g->fd = -1;
	a->g = NULL;
	EXPECT_TRUE(leaks_wait(&self->before, 2000));
}

TEST_F(ring, damaged_again_and_again)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		uint16_t base = self->vq->avail_idx;

		if (i % 2)
			vq_push(self->vq, 0xffff);
		else
			self->vq->avail_idx += self->vq->num + 1 + i;
		vq_publish(self->vq);
		vq_kick(self->vq);
		ASSERT_GT(event_wait(self->vq->err, G_WAIT_MS), 0);
		repair_and_attach(&self->a, base);
	}
}

/* The same, present before the queue starts. */
TEST_F(ring, damaged_before_attaching)
{
	struct attached *a = &self->a;
	uint16_t base = self->vq->avail_idx;

	ASSERT_EQ(0, guest_set_backend(a->g, -1));
	vq_push(self->vq, 0xffff);
	vq_publish(self->vq);
	ASSERT_EQ(0, guest_set_backend(a->g, a->d.fd));
	expect_stopped(a, base);
	repair_and_attach(a, base);
}

TEST_HARNESS_MAIN
