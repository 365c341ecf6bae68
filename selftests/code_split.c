// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests of more than 64 KiB are made into bios that the block layer does not have to
 * split. A tracepoint tells of splits: to switch it on replaces code of the kernel.
 */
#define _GNU_SOURCE
#include "load.h"

#define MIB	(1u << 20)
#define TRACE	"/sys/kernel/tracing/instances/code_split"
#define AREA	4096	/* first sector of what is written */

FIXTURE(disk) {
	struct attached a;
	struct shown s;
	char was[32];
};

FIXTURE_VARIANT(disk) {
	const char *max_kb;	/* what the disk takes in one go */
};

FIXTURE_VARIANT_ADD(disk, as_it_is) { .max_kb = NULL };
FIXTURE_VARIANT_ADD(disk, max_127k) { .max_kb = "127" };

FIXTURE_SETUP(disk)
{
	static const struct guest_opts opts = { .num = 1024, .bulk = BULK };
	char path[300];

	attach(&self->a, &opts);
	shown_find(&self->s, self->a.g);
	queue_file(path, sizeof(path), &self->a.d, "max_sectors_kb");
	file_line(path, self->was, sizeof(self->was));
	if (variant->max_kb)
		queue_put(&self->a.d, "max_sectors_kb", variant->max_kb);
}

FIXTURE_TEARDOWN(disk)
{
	queue_put(&self->a.d, "max_sectors_kb", self->was);
	detach_checked(&self->a);
}

/* Bios of workers that are split are noted from here on. */
static void splits_start(void)
{
	rmdir(TRACE);
	if (mkdir(TRACE, 0700))
		SKIP(exit(KSFT_SKIP), "%s: %s", TRACE, strerror(errno));
	ASSERT_EQ(0, file_put(TRACE "/events/block/block_split/enable", "1"));
}

/* Returns how many were. */
static unsigned int splits_end(void)
{
	unsigned int n = 0;
	char line[512];
	FILE *f;

	f = fopen(TRACE "/trace", "re");
	ASSERT_TRUE(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strstr(line, "vblk-"))
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (n++ < 5)
			ksft_log("%s", line);
	}
	fclose(f);
	ASSERT_EQ(0, rmdir(TRACE));
	return n;
}

/*
 * Nor refused because it would have to be. Whole pages, for there are disks
 * that cannot go on at other places.
 */
TEST_F(disk, nothing_is_split)
{
	static const char * const whole[] = {
		"131072@0", "4096x32@0", "1048576@0", "4096x256@0", "69632@0",
	};
	const unsigned int block = self->a.d.lbs / G_SECTOR;
	uint64_t requeued = shown_stat(&self->s, 0, "requeued");
	char *data = malloc(MIB);
	unsigned int i, n;

	ASSERT_TRUE(data);
	pattern_fill(data, MIB, 0, 1);
	splits_start();
	for (i = 0; i < ARRAY_SIZE(whole); i++)
		for (n = 0; n < 20; n += 5)
			EXPECT_EQ(VIRTIO_BLK_S_OK,
				  guest_io_out(self->a.vq, AREA + n * block,
					       data, frame_total(whole[i]),
					       whole[i]));
	EXPECT_EQ(0, splits_end());
	EXPECT_EQ(requeued, shown_stat(&self->s, 0, "requeued"));
	free(data);
}

TEST_HARNESS_MAIN
