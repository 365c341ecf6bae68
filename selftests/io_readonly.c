// SPDX-License-Identifier: GPL-2.0-only
/*
 * Three ways in which a disk is read-only: opened so by the owner, made so by
 * the host's administrator, negotiated so by the driver. Linux 6.1 lets bios of
 * the kernel through to a read-only device with a line in the log.
 */
#define _GNU_SOURCE
#include "attached.h"

#include <linux/fs.h>

enum way { BY_OPEN, BY_FEATURE, BY_HOST, BY_HOST_LATER, BY_HOST_AND_OPEN };

FIXTURE(disk) {
	struct attached a;
	struct gvq *vq;
	struct disk_stat before;
};

FIXTURE_VARIANT(disk) {
	enum way way;
};

FIXTURE_VARIANT_ADD(disk, opened_for_reading) { BY_OPEN };
FIXTURE_VARIANT_ADD(disk, negotiated) { BY_FEATURE };
FIXTURE_VARIANT_ADD(disk, set_before_attaching) { BY_HOST };
FIXTURE_VARIANT_ADD(disk, set_after_attaching) { BY_HOST_LATER };
FIXTURE_VARIANT_ADD(disk, set_and_opened_for_reading) { BY_HOST_AND_OPEN };

#define WATCHED (64u << 10)

static void set_ro(struct disk *d, int ro)
{
	ASSERT_EQ(0, ioctl(d->host, BLKROSET, &ro));
}

FIXTURE_SETUP(disk)
{
	struct guest_opts opts = { .features = G_FEATURES };
	struct attached *a = &self->a;
	enum way way = variant->way;
	int flags = O_RDWR;

	if (way == BY_OPEN || way == BY_HOST_AND_OPEN)
		flags = O_RDONLY;
	if (way == BY_FEATURE)
		opts.features |= 1ULL << VIRTIO_BLK_F_RO;
	ASSERT_EQ(0, disk_open(&a->d, backend_path(0), flags));
	set_ro(&a->d, 0);
	ASSERT_EQ(0, disk_put_pattern(&a->d, 0, WATCHED, 51));
	if (way == BY_HOST || way == BY_HOST_AND_OPEN)
		set_ro(&a->d, 1);
	a->g = guest_start(&opts, a->d.fd);
	ASSERT_TRUE(a->g);
	self->vq = a->vq = a->g->vq;
	if (way == BY_HOST_LATER)
		set_ro(&a->d, 1);
	ASSERT_EQ(0, disk_stat(&a->d, &self->before));
}

FIXTURE_TEARDOWN(disk)
{
	set_ro(&self->a.d, 0);
	detach_checked(&self->a);
}

static void expect_unchanged(struct attached *a, const struct disk_stat *before)
{
	struct disk_stat after;

	ASSERT_EQ(0, disk_stat(&a->d, &after));
	EXPECT_EQ(before->writes, after.writes);
	EXPECT_TRUE(disk_has_pattern(&a->d, 0, WATCHED, 51));
}

TEST_F(disk, writes_are_refused)
{
	static const char * const layouts[] = {
		NULL, "256x16", "2048@0 2048@0", "4096@1",
	};
	char data[4096] = { 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(layouts); i++) {
		EXPECT_EQ(VIRTIO_BLK_S_IOERR,
			  guest_io_out(self->vq, 8 * i, data, sizeof(data),
				       layouts[i]));
	}
	expect_unchanged(&self->a, &self->before);
}

TEST_F(disk, reads_are_served)
{
	char data[4096];

	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_in(self->vq, 16, data, sizeof(data),
					       NULL));
	EXPECT_EQ(-1, pattern_check(data, sizeof(data), 16, 51));
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_in(self->vq, 24, data, sizeof(data),
					       "448@3648 64@0 3584@64"));
	EXPECT_EQ(-1, pattern_check(data, sizeof(data), 24, 51));
}

/* A flush changes nothing; firmware fails to boot when it is an error. */
TEST_F(disk, flush_is_no_error)
{
	EXPECT_EQ(VIRTIO_BLK_S_OK, guest_flush(self->vq));
}

TEST_F(disk, discard_and_write_zeroes_change_nothing)
{
	static const uint32_t types[] = {
		VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
	};
	struct virtio_blk_discard_write_zeroes range = {
		.sector = 0, .num_sectors = 64,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		struct greq *r = req_new(self->vq, types[i], 0);

		ASSERT_EQ(0, req_frame(r, "16 16 / 1"));
		req_put_data(r, &range, sizeof(range));
		ASSERT_EQ(0, req_submit(r));
		ASSERT_TRUE(req_wait(r, G_WAIT_MS));
		EXPECT_NE(VIRTIO_BLK_S_OK, r->status);
		EXPECT_EQ(0, req_check(r, r->status));
	}
	expect_unchanged(&self->a, &self->before);
}

/* And back again, for the way that can be undone while the disk is in use. */
TEST(writable_again_when_the_host_says_so)
{
	struct attached a = { 0 };
	char data[4096];

	attach(&a, NULL);
	pattern_fill(data, sizeof(data), 0, 52);
	set_ro(&a.d, 1);
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, guest_io_out(a.vq, 0, data, sizeof(data),
						   NULL));
	set_ro(&a.d, 0);
	EXPECT_EQ(VIRTIO_BLK_S_OK, guest_io_out(a.vq, 0, data, sizeof(data),
						NULL));
	EXPECT_TRUE(disk_has_pattern(&a.d, 0, sizeof(data), 52));
	detach_checked(&a);
}

TEST_HARNESS_MAIN
