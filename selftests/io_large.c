// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that the disk takes only in pieces. Those of more than 64 KiB are cut where
 * the block layer would have to split them, so that they can be submitted like small
 * ones: without waiting for the disk, and without sending an interrupt first. That none
 * is split is seen by code_split.c.
 */
#define _GNU_SOURCE
#include "load.h"

#define KIB		1024u
#define MIB		(1024u * KIB)
#define MEMORY		(12 * MIB)
#define AREA		4096	/* first sector of what is written */
#define NEIGHBOUR	(8 * KIB)

FIXTURE(disk) {
	struct attached a;
	struct shown s;
	char was[32];
};

FIXTURE_VARIANT(disk) {
	unsigned int max_kb;	/* what the disk takes in one go; 0: as it is */
};

FIXTURE_VARIANT_ADD(disk, as_it_is) { .max_kb = 0 };
FIXTURE_VARIANT_ADD(disk, max_20k) { .max_kb = 20 };
FIXTURE_VARIANT_ADD(disk, max_127k) { .max_kb = 127 };

static unsigned int queue_number(const struct disk *d, const char *name)
{
	char path[300];

	queue_file(path, sizeof(path), d, name);
	return file_number(path);
}

static void set_max_kb(const struct disk *d, unsigned int kb)
{
	char text[32];

	snprintf(text, sizeof(text), "%u", kb);
	queue_put(d, "max_sectors_kb", text);
}

FIXTURE_SETUP(disk)
{
	static const struct guest_opts opts = { .num = 1024, .bulk = MEMORY };
	char path[300];

	attach(&self->a, &opts);
	shown_find(&self->s, self->a.g);
	queue_file(path, sizeof(path), &self->a.d, "max_sectors_kb");
	file_line(path, self->was, sizeof(self->was));
	if (variant->max_kb > queue_number(&self->a.d, "max_hw_sectors_kb"))
		SKIP(exit(KSFT_SKIP), "takes less than that");
	if (variant->max_kb)
		set_max_kb(&self->a.d, variant->max_kb);
}

FIXTURE_TEARDOWN(disk)
{
	queue_put(&self->a.d, "max_sectors_kb", self->was);
	detach_checked(&self->a);
}

/*
 * The data
 */

/* The disk around the range is as it was written with seed @around. */
static void disk_is(struct disk *d, uint64_t sector, size_t len,
		    uint64_t around, uint64_t seed)
{
	uint64_t end = sector + len / G_SECTOR;

	EXPECT_TRUE(disk_has_pattern(d, sector - NEIGHBOUR / G_SECTOR,
				     NEIGHBOUR, around));
	EXPECT_TRUE(disk_has_pattern(d, sector, len, seed));
	EXPECT_TRUE(disk_has_pattern(d, end, NEIGHBOUR, around));
}

/* The range and what is around it. */
static void disk_put(struct disk *d, uint64_t sector, size_t len, uint64_t seed)
{
	ASSERT_EQ(0, disk_put_pattern(d, sector - NEIGHBOUR / G_SECTOR,
				      NEIGHBOUR + len + NEIGHBOUR, seed));
}

static void is_exact(struct attached *a, uint64_t sector, const char *layout)
{
	size_t len = frame_total(layout);
	char *data = malloc(len);

	ASSERT_TRUE(data);
	disk_put(&a->d, sector, len, 1);
	pattern_fill(data, len, sector, 2);
	EXPECT_EQ(VIRTIO_BLK_S_OK,
		  guest_io_out(a->vq, sector, data, len, layout));
	disk_is(&a->d, sector, len, 1, 2);

	disk_put(&a->d, sector, len, 3);
	memset(data, 0, len);
	EXPECT_EQ(VIRTIO_BLK_S_OK,
		  guest_io_in(a->vq, sector, data, len, layout));
	EXPECT_EQ(-1, pattern_check(data, len, sector, 3));
	disk_is(&a->d, sector, len, 3, 3);
	free(data);
}

static const char * const layouts[] = {
	"131072@0", "131072@512", "4096x32@0", "512x256@512", "100 130972",
	"1048576@0", "1048576@3584", "4096x256@0", "65536x16@1024",
	"448@3648 1048128@0", "2048@2048 65536x15@0 63488@0",
	"24576@0", "8192@2048 12288@1024",
};

TEST_F(disk, data_is_exact)
{
	const unsigned int block = self->a.d.lbs / G_SECTOR;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(layouts); i++)
		is_exact(&self->a, AREA + i % 3 * block, layouts[i]);
}

TEST_F(disk, data_is_exact_when_written_through)
{
	const struct guest_opts opts = {
		.num = 1024, .bulk = MEMORY,
		.features = G_FEATURES & ~(1ULL << VIRTIO_BLK_F_FLUSH),
	};
	struct attached a;

	attach(&a, &opts);
	is_exact(&a, AREA, "131072@0");
	is_exact(&a, AREA, "1048576@0");
	detach_checked(&a);
}

/*
 * On a disk that takes long for each request and takes one at a time: the thread is there
 * for others meanwhile, and comes back when the disk has answered.
 */
TEST(thread_does_not_wait_for_a_tag)
{
	const struct guest_opts opts = { .num = 256, .bulk = MEMORY };
	struct greq *r[3];
	struct attached a;
	struct shown s;
	unsigned int i;

	attach_path(&a, special_path("KSFT_ONE_TAG"), O_RDWR, &opts);
	shown_find(&s, a.g);
	for (i = 0; i < ARRAY_SIZE(r); i++) {
		r[i] = req_new(a.vq, VIRTIO_BLK_T_IN, AREA + i * 256);
		ASSERT_EQ(0, req_frame(r[i], "16 / 131072@0 1"));
		ASSERT_EQ(0, req_submit(r[i]));
	}
	EXPECT_TRUE(shown_wait_asleep(&s, 0));
	EXPECT_FALSE(req_wait(r[1], 0));
	for (i = 0; i < ARRAY_SIZE(r); i++) {
		ASSERT_TRUE(req_wait(r[i], G_WAIT_MS));
		EXPECT_EQ(0, req_check(r[i], VIRTIO_BLK_S_OK));
		req_free(r[i]);
	}
	detach_checked(&a);
}

/*
 * Disturbed
 */

static void change_max(struct disturber *d, unsigned int n)
{
	static const char * const kb[] = { "4", "64", "20", "127", "8" };

	disturber_put(d, kb[n % ARRAY_SIZE(kb)]);
	usleep(1000);
}

TEST(limit_changes_under_load)
{
	struct disturber d = { .fn = change_max };
	struct load l;
	char was[32];

	load_start(&l, backend_path(0));
	l.kinds = 1u << KIND_LARGE | 1u << KIND_SMALL | 1u << KIND_BOUNCED;
	queue_file(d.path, sizeof(d.path), &l.a.d, "max_sectors_kb");
	file_line(d.path, was, sizeof(was));
	if (queue_number(&l.a.d, "max_hw_sectors_kb") < 127)
		SKIP(return, "takes less than that");
	load_disturbed(&l, &d, 1500, 20);
	EXPECT_EQ(0, file_put(d.path, was));
	detach_checked(&l.a);
}

TEST_HARNESS_MAIN
