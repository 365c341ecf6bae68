// SPDX-License-Identifier: GPL-2.0-only
/* Completion out of order, and queues that do not disturb each other. */
#define _GNU_SOURCE
#include "attached.h"
#include "shown.h"

static struct greq *read_new(struct gvq *vq, uint64_t sector)
{
	struct greq *r = req_new(vq, VIRTIO_BLK_T_IN, sector);

	ASSERT_EQ(0, req_frame(r, "16 / 4096 1"));
	return r;
}

/* KSFT_DELAY: the first MiB takes 200 ms, the rest does not. */
#define SLOW	0
#define FAST	4096

TEST(fast_requests_overtake_a_slow_one)
{
	struct attached a = { 0 };
	struct greq *slow, *fast[8];
	char data[4096];
	unsigned int i;

	attach_path(&a, special_path("KSFT_DELAY"), O_RDWR, NULL);
	for (i = 0; i < 9; i++)
		ASSERT_EQ(0, disk_put_pattern(&a.d, i ? FAST + i * 8 : SLOW,
					      sizeof(data), 5));
	slow = read_new(a.vq, SLOW);
	ASSERT_EQ(0, req_submit(slow));
	for (i = 0; i < 8; i++) {
		fast[i] = read_new(a.vq, FAST + (i + 1) * 8);
		ASSERT_EQ(0, req_submit(fast[i]));
	}
	for (i = 0; i < 8; i++) {
		ASSERT_TRUE(req_wait(fast[i], G_WAIT_MS));
		EXPECT_EQ(0, req_check(fast[i], VIRTIO_BLK_S_OK));
		req_get_data(fast[i], data, sizeof(data));
		EXPECT_EQ(-1, pattern_check(data, sizeof(data),
					    FAST + (i + 1) * 8, 5));
	}
	EXPECT_FALSE(slow->done);
	ASSERT_TRUE(req_wait(slow, G_WAIT_MS));
	EXPECT_EQ(0, req_check(slow, VIRTIO_BLK_S_OK));
	req_get_data(slow, data, sizeof(data));
	EXPECT_EQ(-1, pattern_check(data, sizeof(data), SLOW, 5));
	detach_checked(&a);
}

static struct greq *queue_new(struct gvq *vq, uint32_t type, const char *frame)
{
	struct greq *r = req_new(vq, type, 0);

	ASSERT_EQ(0, req_frame(r, frame));
	ASSERT_EQ(0, req_make(r));
	req_queue(r);
	return r;
}

/*
 * KSFT_STACKED: a volume on a disk that takes 500 ms for a request, one at a time. The
 * volume's driver waits with the thread that flushes it until the disk takes its flush.
 */
TEST(answers_do_not_wait_with_a_flush)
{
	struct greq *slow, *id, *flush;
	struct attached a = { 0 };
	struct shown s;

	attach_path(&a, special_path("KSFT_STACKED"), O_RDWR, NULL);
	shown_find(&s, a.g);
	slow = read_new(a.vq, 0);
	ASSERT_EQ(0, req_submit(slow));
	ASSERT_TRUE(shown_wait_in_flight(&s, 0, 1, G_WAIT_MS));

	id = queue_new(a.vq, VIRTIO_BLK_T_GET_ID, "16 / 20 1");
	flush = queue_new(a.vq, VIRTIO_BLK_T_FLUSH, "16 / 1");
	vq_publish_kick(a.vq);
	ASSERT_TRUE(req_wait(id, G_WAIT_MS));
	EXPECT_FALSE(slow->done);
	EXPECT_FALSE(flush->done);
	ASSERT_TRUE(req_wait(flush, G_WAIT_MS));
	EXPECT_TRUE(slow->done);
	EXPECT_EQ(0, req_check(slow, VIRTIO_BLK_S_OK));
	EXPECT_EQ(0, req_check(id, VIRTIO_BLK_S_OK));
	EXPECT_EQ(0, req_check(flush, VIRTIO_BLK_S_OK));
	detach_checked(&a);
}

FIXTURE(queues) {
	struct attached a;
};

FIXTURE_SETUP(queues)
{
	static const struct guest_opts opts = { .nvqs = 4 };

	attach(&self->a, &opts);
}

FIXTURE_TEARDOWN(queues)
{
	detach_checked(&self->a);
}

/* Each queue its own area and pattern. */
static void all_write_and_read(struct attached *a, unsigned int without)
{
	struct greq *r[4][16];
	unsigned int q, i, out;
	char data[4096];

	for (out = 0; out < 2; out++) {
		for (i = 0; i < 16; i++) {
			for (q = 0; q < 4; q++) {
				uint64_t sector = q * 1024 + i * 8;

				if (q == without)
					continue;
				r[q][i] = req_new(&a->g->vq[q], out ?
						  VIRTIO_BLK_T_IN :
						  VIRTIO_BLK_T_OUT, sector);
				ASSERT_EQ(0, req_frame(r[q][i], out ?
						       "16 / 4096 1" :
						       "16 4096 / 1"));
				pattern_fill(data, sizeof(data), sector, q);
				if (!out)
					req_put_data(r[q][i], data, sizeof(data));
				ASSERT_EQ(0, req_submit(r[q][i]));
			}
		}
		for (q = 0; q < 4; q++) {
			if (q == without)
				continue;
			ASSERT_TRUE(vq_wait_idle(&a->g->vq[q], G_WAIT_MS));
			for (i = 0; i < 16; i++) {
				EXPECT_EQ(0, req_check(r[q][i], VIRTIO_BLK_S_OK));
				req_get_data(r[q][i], data, sizeof(data));
				if (out)
					EXPECT_EQ(-1, pattern_check(data,
						  sizeof(data),
						  q * 1024 + i * 8, q));
				req_free(r[q][i]);
			}
		}
	}
}

TEST_F(queues, work_side_by_side)
{
	all_write_and_read(&self->a, 4);
}

TEST_F(queues, a_broken_one_does_not_stop_the_others)
{
	struct guest *g = self->a.g;
	unsigned int q;

	all_write_and_read(&self->a, 4);
	vq_push(&g->vq[1], 0xffff);
	vq_publish(&g->vq[1]);
	vq_kick(&g->vq[1]);
	ASSERT_GT(event_wait(g->vq[1].err, G_WAIT_MS), 0);
	all_write_and_read(&self->a, 1);
	for (q = 0; q < 4; q++)
		if (q != 1)
			EXPECT_EQ(0, event_wait(g->vq[q].err, 0));
	EXPECT_EQ(vq_used_idx(&g->vq[1]), vq_get_base(&g->vq[1]));
}

TEST_HARNESS_MAIN
