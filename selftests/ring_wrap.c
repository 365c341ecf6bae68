// SPDX-License-Identifier: GPL-2.0-only
/* Full rings, and indices that pass the end of the ring or of 16 bits. */
#define _GNU_SOURCE
#include "attached.h"

static struct greq *read_new(struct attached *a, unsigned int i)
{
	struct greq *r = req_new(a->vq, VIRTIO_BLK_T_IN,
				 i * (a->d.lbs / G_SECTOR) % 1024);
	char frame[40];

	snprintf(frame, sizeof(frame), "16 / %u 1", a->d.lbs);
	ASSERT_EQ(0, req_frame(r, frame));
	r->indirect = true;
	return r;
}

/* @n at once: one index update, one kick. */
static void batch(struct attached *a, unsigned int n)
{
	uint16_t start = a->vq->last_used;
	struct greq *r[1024];
	unsigned int i;

	for (i = 0; i < n; i++) {
		r[i] = read_new(a, i);
		ASSERT_EQ(0, req_make(r[i]));
		req_queue(r[i]);
	}
	vq_publish(a->vq);
	vq_kick(a->vq);
	ASSERT_TRUE(vq_wait_idle(a->vq, G_WAIT_MS));
	for (i = 0; i < n; i++) {
		EXPECT_EQ(0, req_check(r[i], VIRTIO_BLK_S_OK));
		req_free(r[i]);
	}
	EXPECT_EQ((uint16_t)(start + n), vq_used_idx(a->vq));
}

FIXTURE(ring) {
	struct attached a;
};

FIXTURE_VARIANT(ring) {
	unsigned int num;
	uint16_t base;
};

FIXTURE_VARIANT_ADD(ring, of_4_from_0) { 4, 0 };
FIXTURE_VARIANT_ADD(ring, of_256_from_0) { 256, 0 };
FIXTURE_VARIANT_ADD(ring, of_256_from_0xfff0) { 256, 0xfff0 };
FIXTURE_VARIANT_ADD(ring, of_1024_from_0xffff) { 1024, 0xffff };
FIXTURE_VARIANT_ADD(ring, of_64_from_0x7fd0) { 64, 0x7fd0 };

FIXTURE_SETUP(ring)
{
	struct guest_opts opts = {
		.num = variant->num, .base = variant->base, .bulk = 8 << 20,
	};

	attach(&self->a, &opts);
}

FIXTURE_TEARDOWN(ring)
{
	detach_checked(&self->a);
}

TEST_F(ring, all_entries_at_once)
{
	batch(&self->a, variant->num);
	EXPECT_EQ(0, guest_check(self->a.g));
	batch(&self->a, variant->num);
}

TEST_F(ring, batches_across_the_end)
{
	unsigned int n = variant->num * 3 / 4, i;

	for (i = 0; i < 6; i++) {
		batch(&self->a, n);
		ASSERT_EQ(0, vq_check(self->a.vq));
	}
}

TEST_F(ring, base_follows_and_carries_on)
{
	struct attached *a = &self->a;
	unsigned int i;

	for (i = 0; i < 48; i++)
		batch(a, 1);
	ASSERT_EQ(0, guest_set_backend(a->g, -1));
	EXPECT_EQ((uint16_t)(variant->base + 48), vq_get_base(a->vq));
	EXPECT_EQ((uint16_t)(variant->base + 48), vq_used_idx(a->vq));
	/* as after a migration: the same base, the same ring, a new start */
	ASSERT_EQ(0, vq_set_base(a->vq, vq_get_base(a->vq)));
	ASSERT_EQ(0, guest_set_backend(a->g, a->d.fd));
	batch(a, variant->num);
}

/* Made available while nobody was attached: seen without a kick. */
TEST_F(ring, requests_waiting_at_start_are_served)
{
	struct attached *a = &self->a;
	struct greq *r[3];
	unsigned int i;

	ASSERT_EQ(0, guest_set_backend(a->g, -1));
	for (i = 0; i < ARRAY_SIZE(r); i++) {
		r[i] = read_new(a, i);
		ASSERT_EQ(0, req_make(r[i]));
		req_queue(r[i]);
	}
	vq_publish(a->vq);
	ASSERT_EQ(0, guest_set_backend(a->g, a->d.fd));
	ASSERT_TRUE(vq_wait_idle(a->vq, G_WAIT_MS));
	for (i = 0; i < ARRAY_SIZE(r); i++)
		EXPECT_EQ(0, req_check(r[i], VIRTIO_BLK_S_OK));
}

/* More kicks, more wraps: the index goes once around all 16 bits. */
TEST(used_index_goes_around)
{
	static const struct guest_opts opts = { .num = 1024, .bulk = 8 << 20 };
	struct attached a = { 0 };
	struct greq *r[1024];
	unsigned int i, n;

	attach(&a, &opts);
	vq_set_used_event(a.vq, 0x8000);	/* calls are not the subject */
	for (i = 0; i < ARRAY_SIZE(r); i++) {
		r[i] = req_new(a.vq, VIRTIO_BLK_T_GET_ID, 0);
		ASSERT_EQ(0, req_frame(r[i], "16 / 20 1"));
		r[i]->indirect = true;
		ASSERT_EQ(0, req_make(r[i]));
	}
	for (n = 0; n < 66; n++) {
		for (i = 0; i < ARRAY_SIZE(r); i++) {
			r[i]->done = false;
			a.vq->inflight[r[i]->head] = r[i];
			a.vq->n_inflight++;
			vq_push(a.vq, r[i]->head);
		}
		vq_publish_kick(a.vq);
		ASSERT_TRUE(vq_wait_idle(a.vq, G_WAIT_MS));
		for (i = 0; i < ARRAY_SIZE(r); i++)
			ASSERT_EQ(21, r[i]->used_len);
	}
	EXPECT_EQ((uint16_t)(66 * 1024), vq_used_idx(a.vq));
	for (i = 0; i < ARRAY_SIZE(r); i++)
		req_free(r[i]);
	detach_checked(&a);
}

TEST_HARNESS_MAIN
