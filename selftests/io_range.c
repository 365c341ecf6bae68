// SPDX-License-Identifier: GPL-2.0-only
/* The end of the disk, and beyond it by any arithmetic. */
#define _GNU_SOURCE
#include "attached.h"

FIXTURE(disk) {
	struct attached a;
	struct gvq *vq;
	uint64_t cap;		/* in sectors */
	unsigned int block;	/* sectors per logical block */
	char *tail, *head;	/* 64 KiB at the end and at the start */
};

#define WATCHED (64u << 10)

FIXTURE_SETUP(disk)
{
	static const struct guest_opts opts = { .bulk = 8 << 20 };

	attach(&self->a, &opts);
	self->vq = self->a.vq;
	self->block = self->a.d.lbs / G_SECTOR;
	self->cap = self->a.d.sectors / self->block * self->block;
	self->tail = malloc(WATCHED);
	self->head = malloc(WATCHED);
	ASSERT_TRUE(self->tail && self->head);
	pattern_fill(self->head, WATCHED, 0, 31);
	pattern_fill(self->tail, WATCHED, self->cap - WATCHED / 512, 31);
	ASSERT_EQ(0, disk_write(&self->a.d, 0, self->head, WATCHED));
	ASSERT_EQ(0, disk_write(&self->a.d, self->cap - WATCHED / 512, self->tail,
				WATCHED));
}

/* Whatever a test asked for, unless it says otherwise: nothing was written. */
static void expect_unchanged(struct attached *a, uint64_t cap)
{
	EXPECT_TRUE(disk_has_pattern(&a->d, 0, WATCHED, 31));
	EXPECT_TRUE(disk_has_pattern(&a->d, cap - WATCHED / 512, WATCHED, 31));
}

FIXTURE_TEARDOWN(disk)
{
	detach_checked(&self->a);
}

/* Both directions, with data of the given layout. */
static void expect_refused(struct gvq *vq, uint64_t sector, const char *layout)
{
	size_t len = frame_total(layout);
	char *data = calloc(1, len);
	int in, out;

	ASSERT_TRUE(data);
	in = guest_io_in(vq, sector, NULL, len, layout);
	out = guest_io_out(vq, sector, data, len, layout);
	if (in != VIRTIO_BLK_S_IOERR || out != VIRTIO_BLK_S_IOERR)
		ksft_log("sector %#llx, \"%s\": in %d, out %d",
			 (unsigned long long)sector, layout, in, out);
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, in);
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, out);
	free(data);
}

static void refused_blocks(struct gvq *vq, uint64_t sector, unsigned int blocks,
			   unsigned int lbs)
{
	char layout[64];

	snprintf(layout, sizeof(layout), "%u", blocks * lbs);
	expect_refused(vq, sector, layout);
}

TEST_F(disk, last_block_can_be_read_and_written)
{
	const uint32_t lbs = self->a.d.lbs;
	uint64_t last = self->cap - self->block;
	char *data = malloc(2 * lbs);

	ASSERT_TRUE(data);
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_in(self->vq, last, data, lbs, NULL));
	EXPECT_EQ(-1, pattern_check(data, lbs, last, 31));
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_in(self->vq, last - self->block, data,
					       2 * lbs, NULL));
	EXPECT_EQ(-1, pattern_check(data, 2 * lbs, last - self->block, 31));
	pattern_fill(data, lbs, last, 32);
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_out(self->vq, last, data, lbs, NULL));
	EXPECT_TRUE(disk_has_pattern(&self->a.d, last - self->block, lbs, 31));
	EXPECT_TRUE(disk_has_pattern(&self->a.d, last, lbs, 32));
}

TEST_F(disk, requests_across_or_past_the_end)
{
	const uint32_t lbs = self->a.d.lbs, block = self->block;
	struct disk_stat before, after;

	ASSERT_EQ(0, disk_stat(&self->a.d, &before));
	refused_blocks(self->vq, self->cap - block, 2, lbs);
	refused_blocks(self->vq, self->cap - 4 * block, 5, lbs);
	refused_blocks(self->vq, self->cap - block, 64, lbs);
	refused_blocks(self->vq, self->cap, 1, lbs);
	refused_blocks(self->vq, self->cap, 2, lbs);
	refused_blocks(self->vq, self->cap + 1000 * block, 1, lbs);
	refused_blocks(self->vq, 1ULL << 32, 1, lbs);
	ASSERT_EQ(0, disk_stat(&self->a.d, &after));
	EXPECT_EQ(before.reads, after.reads);
	EXPECT_EQ(before.writes, after.writes);
	expect_unchanged(&self->a, self->cap);
}

/* Values that overflow when multiplied by 512, or when a length is added. */
TEST_F(disk, sectors_that_overflow)
{
	const uint64_t sectors[] = {
		~0ULL, ~0ULL - 1, ~0ULL - 7, -(uint64_t)self->block,
		1ULL << 63, (1ULL << 63) + self->cap - 8,
		1ULL << 55, (1ULL << 55) + 1, (1ULL << 55) + 8,
		(1ULL << 55) - 8, 1ULL << 54, 1ULL << 56,
		(1ULL << 52) + 8, 1ULL << 51,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sectors); i++) {
		refused_blocks(self->vq, sectors[i], 1, self->a.d.lbs);
		refused_blocks(self->vq, sectors[i], 2, self->a.d.lbs);
		refused_blocks(self->vq, sectors[i], 16, self->a.d.lbs);
	}
	expect_unchanged(&self->a, self->cap);
}

/* Each piece alone would be inside; all together they are not. */
TEST_F(disk, pieces_count_together)
{
	const uint64_t last = self->cap - self->block;
	char layout[64];

	snprintf(layout, sizeof(layout), "%ux2", self->a.d.lbs);
	expect_refused(self->vq, last, layout);
	snprintf(layout, sizeof(layout), "%ux16", self->a.d.lbs);
	expect_refused(self->vq, last, layout);
	snprintf(layout, sizeof(layout), "%u@256 %u@0", self->a.d.lbs,
		 self->a.d.lbs * 2);
	expect_refused(self->vq, last, layout);
	snprintf(layout, sizeof(layout), "256x%u", self->a.d.lbs / 256 + 2);
	expect_refused(self->vq, last, layout);
	expect_unchanged(&self->a, self->cap);
}

/* Lengths that are no blocks, where rounding either way would be wrong. */
TEST_F(disk, odd_lengths_at_the_end)
{
	const uint64_t last = self->cap - self->block;
	const uint32_t lbs = self->a.d.lbs;
	char layout[64];

	expect_refused(self->vq, self->cap - 1, "1023");
	expect_refused(self->vq, self->cap - 1, "512 1024");
	expect_refused(self->vq, self->cap - 1, "1536");
	snprintf(layout, sizeof(layout), "%u", 2 * lbs - 1);
	expect_refused(self->vq, last, layout);
	snprintf(layout, sizeof(layout), "%u", lbs - 1);
	expect_refused(self->vq, last, layout);
	snprintf(layout, sizeof(layout), "%u", lbs + 1);
	expect_refused(self->vq, last, layout);
	snprintf(layout, sizeof(layout), "%u %u", lbs, 2 * lbs);
	expect_refused(self->vq, last, layout);
	expect_unchanged(&self->a, self->cap);
}

/* Must not let a guest fill the host's log either: the caller scans it. */
TEST_F(disk, a_flood_of_bad_requests_is_answered)
{
	unsigned int i;

	for (i = 0; i < 300; i++)
		ASSERT_EQ(VIRTIO_BLK_S_IOERR,
			  guest_io_in(self->vq, self->cap + i * self->block, NULL,
				      self->a.d.lbs, NULL));
	EXPECT_EQ(0, still_serves(&self->a, self->vq));
}

TEST_HARNESS_MAIN
