// SPDX-License-Identifier: GPL-2.0-only
/* Header, data and status in any number of descriptors, shared or not. */
#define _GNU_SOURCE
#include "attached.h"

FIXTURE(disk) {
	struct attached a;
	struct gvq *vq;
};

FIXTURE_SETUP(disk)
{
	static const struct guest_opts opts = { .bulk = 8 << 20 };

	attach(&self->a, &opts);
	self->vq = self->a.vq;
}

FIXTURE_TEARDOWN(disk)
{
	detach_checked(&self->a);
}

/* Write through the ring, look from the host; write there, read here. */
static void round_trip(struct attached *a, uint64_t sector, size_t len,
		       uint64_t seed)
{
	char *data = malloc(len);

	ASSERT_TRUE(data);
	pattern_fill(data, len, sector, seed);
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_out(a->vq, sector, data, len, NULL));
	memset(data, 0, len);
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_in(a->vq, sector, data, len, NULL));
	EXPECT_EQ(-1, pattern_check(data, len, sector, seed));
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_flush(a->vq));
	EXPECT_TRUE(disk_has_pattern(&a->d, sector, len, seed));

	ASSERT_EQ(0, disk_put_pattern(&a->d, sector, len, seed + 1));
	memset(data, 0, len);
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_in(a->vq, sector, data, len, NULL));
	EXPECT_EQ(-1, pattern_check(data, len, sector, seed + 1));
	free(data);
}

TEST_F(disk, lengths_from_a_block_to_4_mib)
{
	size_t len;

	for (len = self->a.d.lbs; len <= VHOST_BLK_MAX_BYTES; len *= 4)
		round_trip(&self->a, 0, len, len);
	round_trip(&self->a, 8192, VHOST_BLK_MAX_BYTES, 3);
	round_trip(&self->a, self->a.d.lbs / 512 * 3, self->a.d.lbs * 7, 5);
	EXPECT_EQ(0, guest_check(self->a.g));
}

TEST_F(disk, every_block_of_the_first_64_is_itself)
{
	size_t lbs = self->a.d.lbs, i;
	char *data = malloc(lbs);

	ASSERT_TRUE(data);
	ASSERT_EQ(0, disk_put_pattern(&self->a.d, 0, 64 * lbs, 1));
	for (i = 0; i < 64; i++) {
		ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_in(self->vq, i * lbs / 512,
						       data, lbs, NULL));
		EXPECT_EQ(-1, pattern_check(data, lbs, i * lbs / 512, 1));
	}
	for (i = 0; i < 64; i++) {
		pattern_fill(data, lbs, i * lbs / 512, 2 + i);
		ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_out(self->vq, i * lbs / 512,
							data, lbs, NULL));
	}
	for (i = 0; i < 64; i++)
		EXPECT_TRUE(disk_has_pattern(&self->a.d, i * lbs / 512, lbs,
					     2 + i));
}

TEST_F(disk, longer_than_promised_is_refused)
{
	size_t len = VHOST_BLK_MAX_BYTES + self->a.d.lbs;
	char *data = calloc(1, len);

	ASSERT_TRUE(data);
	ASSERT_EQ(0, disk_put_pattern(&self->a.d, 0, len, 1));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, guest_io_in(self->vq, 0, NULL, len, NULL));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, guest_io_out(self->vq, 0, data, len, NULL));
	EXPECT_TRUE(disk_has_pattern(&self->a.d, 0, len, 1));
}

TEST(memory_in_huge_pages)
{
	static const struct guest_opts opts = { .bulk = 8 << 20, .huge = true };
	struct attached a = { 0 };

	attach(&a, &opts);
	round_trip(&a, 0, VHOST_BLK_MAX_BYTES, 7);
	round_trip(&a, 1024, a.d.lbs, 8);
	detach_checked(&a);
}

/* Frames of a request of 4096 bytes. */
static const char * const out_frames[] = {
	/* the header in pieces */
	"1x16 4096 / 1", "8 8 4096 / 1", "1 15 4096 / 1", "15 1 4096 / 1",
	"8@4088 8@0 4096 / 1",
	/* header and data share descriptors */
	"4112 / 1", "24 4088 / 1", "17 4095 / 1", "15 4097 / 1",
	"8 1000 3104 / 1", "528 3584 / 1", "4111 1 / 1",
};

static const char * const in_frames[] = {
	"1x16 / 4096 1", "8 8 / 4096 1", "1 15 / 4096 1", "15 1 / 4096 1",
	"8@4088 8@0 / 4096 1",
	/* data and status share descriptors */
	"16 / 4097", "16 / 1 4096", "16 / 4095 2", "16 / 4000 97",
	"16 / 1x16 4081", "16 / 513 3584", "16 / 4097@0", "16 / 4097@4095",
	/* the status alone, after uneven data */
	"16 / 4095 1 1", "16 / 1000 3096 1", "16 / 4096@1 1@0", "16 / 4096@0 1@4095",
};

static void one_frame(struct attached *a, uint32_t type, const char *frame,
		      bool indirect)
{
	const uint64_t sector = 512;
	char data[4096];
	struct greq *r;

	pattern_fill(data, sizeof(data), sector, type + indirect);
	r = req_new(a->vq, type, sector);
	ASSERT_EQ(0, req_frame(r, frame));
	r->indirect = indirect;
	if (type == VIRTIO_BLK_T_OUT)
		req_put_data(r, data, sizeof(data));
	else
		ASSERT_EQ(0, disk_write(&a->d, sector, data, sizeof(data)));
	ASSERT_EQ(0, req_submit(r));
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	if (req_check(r, VIRTIO_BLK_S_OK)) {
		ksft_log("frame \"%s\"", frame);
		EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	}
	memset(data, 0, sizeof(data));
	if (type == VIRTIO_BLK_T_OUT)
		ASSERT_EQ(0, disk_read(&a->d, sector, data, sizeof(data)));
	else
		req_get_data(r, data, sizeof(data));
	if (pattern_check(data, sizeof(data), sector, type + indirect) != -1) {
		ksft_log("frame \"%s\"", frame);
		EXPECT_EQ(-1, pattern_check(data, sizeof(data), sector,
					    type + indirect));
	}
	req_free(r);
}

TEST_F(disk, header_and_data_of_a_write_cut_anywhere)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(out_frames); i++) {
		one_frame(&self->a, VIRTIO_BLK_T_OUT, out_frames[i], false);
		one_frame(&self->a, VIRTIO_BLK_T_OUT, out_frames[i], true);
	}
	EXPECT_EQ(0, guest_check(self->a.g));
}

TEST_F(disk, data_and_status_of_a_read_cut_anywhere)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(in_frames); i++) {
		one_frame(&self->a, VIRTIO_BLK_T_IN, in_frames[i], false);
		one_frame(&self->a, VIRTIO_BLK_T_IN, in_frames[i], true);
	}
	EXPECT_EQ(0, guest_check(self->a.g));
}

/* In no descriptor at all of its own: what surrounds it is left alone. */
TEST_F(disk, extra_writable_bytes_of_a_write_are_left_alone)
{
	struct greq *r = req_new(self->vq, VIRTIO_BLK_T_OUT, 512);
	char data[4096];

	pattern_fill(data, sizeof(data), 512, 4);
	ASSERT_EQ(0, req_frame(r, "16 4096 / 100 200 1"));
	req_put_data(r, data, sizeof(data));
	ASSERT_EQ(0, req_submit(r));
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	EXPECT_EQ(0, req_check_untouched(r));
	EXPECT_TRUE(disk_has_pattern(&self->a.d, 512, sizeof(data), 4));
}

TEST_F(disk, extra_readable_bytes_of_a_read_are_left_alone)
{
	struct greq *r = req_new(self->vq, VIRTIO_BLK_T_IN, 512);
	char data[4096];

	ASSERT_EQ(0, disk_put_pattern(&self->a.d, 512, sizeof(data), 4));
	ASSERT_EQ(0, req_frame(r, "16 100 / 4096 1"));
	ASSERT_EQ(0, req_submit(r));
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	/* ignored, or refused as a whole */
	if (r->status == VIRTIO_BLK_S_IOERR) {
		EXPECT_EQ(0, req_check_untouched(r));
		EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_IOERR));
	} else {
		EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
		req_get_data(r, data, sizeof(data));
		EXPECT_EQ(-1, pattern_check(data, sizeof(data), 512, 4));
	}
}

/* Many at once, in order and not, adjacent and not: each its own data. */
TEST_F(disk, a_batch_of_requests_keeps_its_data_apart)
{
	const uint32_t lbs = self->a.d.lbs;
	struct greq *r[64];
	char *data = malloc(lbs), frame[40];
	unsigned int i, round;

	ASSERT_TRUE(data);
	for (round = 0; round < 4; round++) {
		bool out = round % 2 == 0;

		for (i = 0; i < ARRAY_SIZE(r); i++) {
			/* forwards, then backwards with gaps */
			uint64_t block = round < 2 ? i : 500 - i * 3;
			uint64_t sector = block * (lbs / 512);

			r[i] = req_new(self->vq, out ? VIRTIO_BLK_T_OUT :
				       VIRTIO_BLK_T_IN, sector);
			snprintf(frame, sizeof(frame), out ? "16 %u / 1" :
				 "16 / %u 1", lbs);
			ASSERT_EQ(0, req_frame(r[i], frame));
			r[i]->indirect = true;
			pattern_fill(data, lbs, sector, i + 10);
			if (out)
				req_put_data(r[i], data, lbs);
			ASSERT_EQ(0, req_make(r[i]));
			req_queue(r[i]);
		}
		vq_publish_kick(self->vq);
		ASSERT_TRUE(vq_wait_idle(self->vq, G_WAIT_MS));
		for (i = 0; i < ARRAY_SIZE(r); i++) {
			EXPECT_EQ(0, req_check(r[i], VIRTIO_BLK_S_OK));
			if (!out) {
				req_get_data(r[i], data, lbs);
				EXPECT_EQ(-1, pattern_check(data, lbs,
							    r[i]->hdr.sector,
							    i + 10));
			}
			req_free(r[i]);
		}
	}
}

TEST_HARNESS_MAIN
