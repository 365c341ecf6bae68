// SPDX-License-Identifier: GPL-2.0-only
/*
 * For a loop device over a file that does not end on a block: argument 1 is the
 * device, 2 the file. The partial block at the end does not exist.
 */
#define _GNU_SOURCE
#include "attached.h"

#include <sys/stat.h>

FIXTURE(disk) {
	struct attached a;
	struct gvq *vq;
	uint64_t cap;
	off_t size;
	char *file;
};

FIXTURE_SETUP(disk)
{
	struct stat st;

	attach(&self->a, NULL);
	self->vq = self->a.vq;
	if (ksft.argc < 2)
		SKIP(return, "file not given");
	self->file = ksft.argv[1];
	ASSERT_EQ(0, stat(self->file, &st));
	self->size = st.st_size;
	ASSERT_NE(0, self->size % self->a.d.lbs);
	self->cap = self->size / self->a.d.lbs * (self->a.d.lbs / 512);
}

FIXTURE_TEARDOWN(disk)
{
	detach_checked(&self->a);
}

static void expect_file_length(const char *file, off_t size)
{
	struct stat st;

	ASSERT_EQ(0, stat(file, &st));
	EXPECT_EQ(size, st.st_size);
}

TEST_F(disk, every_whole_block_can_be_written)
{
	const uint32_t lbs = self->a.d.lbs;
	const size_t chunk = 64 << 10;
	char *data = malloc(chunk);
	uint64_t sector;

	ASSERT_TRUE(data);
	for (sector = 0; sector < self->cap; sector += chunk / 512) {
		size_t len = (self->cap - sector) * 512;

		if (len > chunk)
			len = chunk;
		pattern_fill(data, len, sector, 71);
		ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_out(self->vq, sector, data,
							len, NULL));
	}
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_flush(self->vq));
	expect_file_length(self->file, self->size);
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_in(self->vq, self->cap - lbs / 512,
					       data, lbs, NULL));
	EXPECT_EQ(-1, pattern_check(data, lbs, self->cap - lbs / 512, 71));
}

TEST_F(disk, partial_block_does_not_exist)
{
	const uint32_t lbs = self->a.d.lbs;
	char *data = calloc(2, lbs);

	ASSERT_TRUE(data);
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, guest_io_in(self->vq, self->cap, NULL, lbs,
						  NULL));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, guest_io_out(self->vq, self->cap, data, lbs,
						   NULL));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, guest_io_out(self->vq, self->cap, data, 512,
						   NULL));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, guest_io_out(self->vq,
						   self->cap - lbs / 512, data,
						   2 * lbs, NULL));
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_flush(self->vq));
	expect_file_length(self->file, self->size);
}

TEST_HARNESS_MAIN
