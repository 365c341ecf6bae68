// SPDX-License-Identifier: GPL-2.0-only
/*
 * For disks with logical blocks of 4096 bytes: requests that are whole sectors
 * but not whole blocks. Handed on as they are, NVMe of Linux 6.1 truncates
 * block numbers and counts: other sectors are read or overwritten, with success.
 */
#define _GNU_SOURCE
#include "attached.h"

#define SECTORS 64

FIXTURE(disk) {
	struct attached a;
	struct gvq *vq;
	struct disk_stat before;
};

FIXTURE_SETUP(disk)
{
	attach(&self->a, NULL);
	self->vq = self->a.vq;
	if (self->a.d.lbs != 4096)
		SKIP(return, "logical blocks of %u bytes", self->a.d.lbs);
	ASSERT_EQ(0, disk_put_pattern(&self->a.d, 0, SECTORS * 512, 41));
	ASSERT_EQ(0, disk_stat(&self->a.d, &self->before));
}

FIXTURE_TEARDOWN(disk)
{
	detach_checked(&self->a);
}

/* Nothing went to the disk, not even a command that did no harm. */
static void expect_no_command(struct attached *a, const struct disk_stat *before)
{
	struct disk_stat after;

	ASSERT_EQ(0, disk_stat(&a->d, &after));
	EXPECT_EQ(before->reads, after.reads);
	EXPECT_EQ(before->read_sectors, after.read_sectors);
	EXPECT_EQ(before->writes, after.writes);
	EXPECT_EQ(before->written_sectors, after.written_sectors);
	EXPECT_TRUE(disk_has_pattern(&a->d, 0, SECTORS * 512, 41));
}

static const struct {
	uint64_t sector;
	unsigned int n;
} misaligned[] = {
	{ 9, 1 }, { 9, 9 }, { 17, 9 }, { 16, 4 }, { 8, 7 }, { 8, 9 }, { 15, 1 },
	{ 1, 8 }, { 4, 8 }, { 7, 16 }, { 0, 1 }, { 0, 12 }, { 12, 4 }, { 63, 1 },
};

TEST_F(disk, reads_are_refused)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(misaligned); i++)
		EXPECT_EQ(VIRTIO_BLK_S_IOERR,
			  guest_io_in(self->vq, misaligned[i].sector, NULL,
				      misaligned[i].n * 512, NULL));
	expect_no_command(&self->a, &self->before);
}

TEST_F(disk, writes_are_refused)
{
	char data[16 * 512] = { 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(misaligned); i++)
		EXPECT_EQ(VIRTIO_BLK_S_IOERR,
			  guest_io_out(self->vq, misaligned[i].sector, data,
				       misaligned[i].n * 512, NULL));
	expect_no_command(&self->a, &self->before);
}

TEST_F(disk, whole_blocks_are_written_and_nothing_else)
{
	struct disk_stat after;
	char data[4096];

	pattern_fill(data, 4096, 8, 42);
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_out(self->vq, 8, data, 4096, NULL));
	ASSERT_EQ(0, disk_stat(&self->a.d, &after));
	if (after.writes != self->before.writes)	/* where it is counted */
		EXPECT_EQ(8, after.written_sectors -
			     self->before.written_sectors);
	EXPECT_TRUE(disk_has_pattern(&self->a.d, 0, 4096, 41));
	EXPECT_TRUE(disk_has_pattern(&self->a.d, 8, 4096, 42));
	EXPECT_TRUE(disk_has_pattern(&self->a.d, 16, SECTORS * 512 - 8192, 41));
}

TEST_HARNESS_MAIN
