// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data cut into pieces that are not logical blocks. The block layer of Linux 6.1
 * does not check bios of the kernel: some of these cuts panic the host when
 * handed on as they are (bio_split), some corrupt data silently on drivers that
 * take each piece for whole sectors (brd, null_blk). Legal for a guest all of
 * them, and Windows sends some.
 *
 * Exact data is compared in both directions, with what the host reads from and
 * writes to the same disk, and so are the neighbours of the range. A request
 * that is not made of whole logical blocks is refused and transfers nothing.
 */
#define _GNU_SOURCE
#include "attached.h"

#define SECTOR		2048	/* well inside any disk, aligned to anything */
#define NEIGHBOUR	4096	/* bytes watched on both sides */

FIXTURE(data_in) {
	struct attached a;
};

FIXTURE_VARIANT(data_in) {
	const char *layout;
};

#define CUT(name, string) \
	FIXTURE_VARIANT_ADD(data_in, name) { .layout = string }

/* One sector: these two panicked the host. */
CUT(two_halves_in_different_pages, "256@0 256@0");
CUT(two_byte_segments, "2x256");
/* 512 and 4096 in gapped halves */
CUT(two_halves_with_a_gap, "256@100 256@1000");
CUT(gapped_halves_of_a_page, "2048@0 2048@0");
CUT(sixteen_byte_segments, "16x256");
/* What Windows sends, and the same with a gap. */
CUT(windows_448_64_across_a_page, "448@3648 64@0");
CUT(windows_448_64_with_a_gap, "448@100 64@100");
CUT(windows_3952_2704, "3952@144 2704@0");
CUT(windows_3952_2704_1536, "3952@144 2704@0 1536");
CUT(windows_448_64_3584, "448@3648 64@0 3584@64");
/* Extremes of one sector, at odd addresses. */
CUT(one_then_the_rest, "1@4095 511@0");
CUT(the_rest_then_one, "511@1 1@77");
CUT(eighths_at_odd_addresses, "64@1 64@3 64@4033 64@4095 64@5 64@7 64@9 64@11");
CUT(quarters, "128x4");
CUT(single_bytes, "1x512");
/* Whole blocks, but not where they would like to be. */
CUT(sector_at_odd_address, "512@1");
CUT(sector_across_pages, "512@3841");
CUT(sector_aligned_to_4, "512@4");
CUT(page_at_odd_address, "4096@1001");
CUT(page_aligned_to_8, "4096@8");
CUT(pages_at_sector_offsets, "4096@512 4096@1024 4096@3584");
CUT(sectors_with_gaps, "512@512 512@512 512@2048 512@3584 512@0 1536@512");
CUT(last_byte_alone, "4095@0 1@4095");
/* Two blocks and more, cut anywhere. */
CUT(cut_inside_the_second_block, "6000@0 2192@0");
CUT(uneven_pieces, "100@5 1000@9 3000@11 92@13 4000@17");
CUT(odd_head_then_pages, "100@3996 4096x3@0 3996@0");
CUT(odd_head_then_64_pages, "24@4072 4096x63@0 4072@0");
CUT(mixed_whole_and_cut, "4096@0 256@0 3840@256 4096@0");
CUT(across_regions, "8192^1001 100 3996");
CUT(six_hundred_segments_of_1_mib, "1747x599 2123");
CUT(pages_of_1_mib, "4096x256@0");
CUT(gapped_sectors_of_256_kib, "512x512@512");
/* not whole sectors at all */
CUT(one_byte, "1");
CUT(one_byte_short_of_a_sector, "255@0 256@0");
CUT(one_byte_over_a_sector, "257@0 256@0");

FIXTURE_SETUP(data_in)
{
	static const struct guest_opts opts = { .num = 1024 };

	attach(&self->a, &opts);
}

FIXTURE_TEARDOWN(data_in)
{
	detach_checked(&self->a);
}

/* What the disk must hold: @old around the range, @new in it. */
static void expect_disk(struct attached *a, size_t len, uint64_t old,
			uint64_t new)
{
	size_t all = NEIGHBOUR + (len + 511) / 512 * 512 + NEIGHBOUR;
	uint64_t first = SECTOR - NEIGHBOUR / 512;
	char *buf = malloc(all);

	ASSERT_TRUE(buf);
	ASSERT_EQ(0, disk_read(&a->d, first, buf, all));
	EXPECT_EQ(-1, pattern_check(buf, NEIGHBOUR, first, old));
	EXPECT_EQ(-1, pattern_check(buf + NEIGHBOUR, len, SECTOR, new));
	len = (len + 511) / 512 * 512;
	EXPECT_EQ(-1, pattern_check(buf + NEIGHBOUR + len, NEIGHBOUR,
				    SECTOR + len / 512, old));
	free(buf);
}

static void write_disk(struct attached *a, size_t len, uint64_t seed)
{
	size_t all = NEIGHBOUR + (len + 511) / 512 * 512 + NEIGHBOUR;
	uint64_t first = SECTOR - NEIGHBOUR / 512;

	ASSERT_EQ(0, disk_put_pattern(&a->d, first, all, seed));
}

static void write_it(struct attached *a, const char *layout, char *data,
		     size_t len, bool whole)
{
	write_disk(a, len, 1);
	pattern_fill(data, len, SECTOR, 2);
	EXPECT_EQ(whole ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR,
		  guest_io_out(a->vq, SECTOR, data, len, layout));
	expect_disk(a, len, 1, whole ? 2 : 1);
}

/* guest_io_in() also finds data that a refused request transferred. */
static void read_it(struct attached *a, const char *layout, char *data,
		    size_t len, bool whole)
{
	write_disk(a, len, 3);
	memset(data, 0, len);
	EXPECT_EQ(whole ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR,
		  guest_io_in(a->vq, SECTOR, data, len, layout));
	if (whole)
		EXPECT_EQ(-1, pattern_check(data, len, SECTOR, 3));
	expect_disk(a, len, 3, 3);
}

TEST_F(data_in, is_written_and_read_exactly)
{
	struct attached *a = &self->a;
	size_t len = frame_total(variant->layout);
	bool whole = len % a->d.lbs == 0;
	char *data = malloc(len);

	ASSERT_TRUE(data);
	write_it(a, variant->layout, data, len, whole);
	read_it(a, variant->layout, data, len, whole);
}

TEST_HARNESS_MAIN
