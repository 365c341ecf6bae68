// SPDX-License-Identifier: GPL-2.0-only
/*
 * For a partition and the disk it is on: block device 1 is the partition, 2 the
 * whole disk. Sectors count from the start of the partition and end at its end.
 */
#define _GNU_SOURCE
#include "attached.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

FIXTURE(partition) {
	struct attached a;
	struct disk whole;
	uint64_t start, cap;
};

static uint64_t partition_start(const char *path)
{
	unsigned long long start = 0;
	char name[100];
	struct stat st;
	FILE *f;

	ASSERT_EQ(0, stat(path, &st));
	snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/start",
		 major(st.st_rdev), minor(st.st_rdev));
	f = fopen(name, "r");
	if (!f)
		SKIP(exit(KSFT_SKIP), "%s is no partition", path);
	ASSERT_EQ(1, fscanf(f, "%llu", &start));
	fclose(f);
	return start;
}

#define WATCHED (32u << 10)

/* From the whole disk's side: what surrounds both ends of the partition. */
static void write_ends(struct disk *whole, uint64_t start, uint64_t cap,
		       uint64_t seed)
{
	uint64_t at[2] = { start - WATCHED / 512, start + cap - WATCHED / 512 };
	unsigned int i;

	for (i = 0; i < 2; i++) {
		size_t len = 2 * WATCHED;

		if (at[i] + len / 512 > whole->sectors)
			len = WATCHED;
		ASSERT_EQ(0, disk_put_pattern(whole, at[i], len, seed));
	}
}

static void expect_range(struct disk *whole, uint64_t sector, size_t len,
			 uint64_t seed)
{
	if (sector + len / 512 > whole->sectors)
		len = (whole->sectors - sector) * 512;
	EXPECT_TRUE(disk_has_pattern(whole, sector, len, seed));
}

FIXTURE_SETUP(partition)
{
	attach(&self->a, NULL);
	ASSERT_EQ(0, disk_open(&self->whole, backend_path(1), O_RDWR));
	self->start = partition_start(self->a.d.path);
	self->cap = self->a.d.sectors;
	ASSERT_GT(self->start, WATCHED / 512);
	write_ends(&self->whole, self->start, self->cap, 61);
}

FIXTURE_TEARDOWN(partition)
{
	detach_checked(&self->a);
}

TEST_F(partition, first_and_last_sectors_are_its_own)
{
	struct gvq *vq = self->a.vq;
	char data[4096];

	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_in(vq, 0, data, sizeof(data), NULL));
	EXPECT_EQ(-1, pattern_check(data, sizeof(data), self->start, 61));
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_in(vq, self->cap - 8, data,
					       sizeof(data), NULL));
	EXPECT_EQ(-1, pattern_check(data, sizeof(data),
				    self->start + self->cap - 8, 61));

	pattern_fill(data, sizeof(data), self->start, 62);
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_out(vq, 0, data, sizeof(data), NULL));
	pattern_fill(data, sizeof(data), self->start + self->cap - 8, 62);
	ASSERT_EQ(VIRTIO_BLK_S_OK, guest_io_out(vq, self->cap - 8, data,
						sizeof(data), NULL));
	expect_range(&self->whole, self->start - WATCHED / 512, WATCHED, 61);
	expect_range(&self->whole, self->start, 4096, 62);
	expect_range(&self->whole, self->start + 8, WATCHED - 4096, 61);
	expect_range(&self->whole, self->start + self->cap - 8, 4096, 62);
	expect_range(&self->whole, self->start + self->cap, WATCHED, 61);
}

TEST_F(partition, beyond_its_end_is_refused)
{
	struct gvq *vq = self->a.vq;
	char data[8192] = { 0 };

	EXPECT_EQ(VIRTIO_BLK_S_IOERR, guest_io_in(vq, self->cap, NULL, 4096,
						  NULL));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, guest_io_out(vq, self->cap, data, 4096,
						   NULL));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, guest_io_out(vq, self->cap - 8, data, 8192,
						   NULL));
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, guest_io_out(vq, -self->start, data, 4096,
						   NULL));
	expect_range(&self->whole, self->start - WATCHED / 512, 2 * WATCHED, 61);
	expect_range(&self->whole, self->start + self->cap - WATCHED / 512,
		     2 * WATCHED, 61);
}

TEST_HARNESS_MAIN
