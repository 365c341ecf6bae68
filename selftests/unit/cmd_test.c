// SPDX-License-Identifier: GPL-2.0-only
/* The module's cmd.c: from a chain to a command. */
#include "cmd_fixture.h"

/* Cuts [gpa, gpa + len) where the bits of @cuts say: bit i before byte i + 1. */
static void seg_cut(struct cmd_data *self, bool writable, u64 gpa, u32 len,
		    u32 cuts)
{
	u32 i, from = 0;

	for (i = 1; i <= len; i++) {
		if (i < len && (i > 32 || !(cuts >> (i - 1) & 1)))
			continue;
		seg(self, writable, gpa + from, i - from);
		from = i;
	}
}

TEST_F(cmd, header_cut_in_every_way)
{
	u32 cuts;

	put_header(self, HDR, OUT, SECTOR);
	for (cuts = 0; cuts < 1 << 15; cuts++) {
		chain_clear(self);
		seg_cut(self, false, HDR, 16, cuts);
		seg(self, false, 0x4000, 512);
		seg(self, true, 0x8000, 1);
		ASSERT_EQ(0, parse(self));
		expect_agreed(self);
		ASSERT_EQ(OUT, self->cmd->type);
		ASSERT_EQ(SECTOR, self->cmd->sector);
		ASSERT_EQ(512, self->cmd->data_len);
		ASSERT_EQ(1, self->cmd->nr_spans);
		expect_span(self, 0, 0x4000, 512);
	}
}

/* The parts of the header lie anywhere, in any order. */
TEST_F(cmd, header_scattered)
{
	struct virtio_blk_outhdr hdr = { .type = OUT, .sector = SECTOR };
	unsigned int i;

	chain_clear(self);
	for (i = 0; i < 16; i++) {
		u64 gpa = 0x17ff0 - 0x777 * i;

		rig_write(self->mem, gpa, (u8 *)&hdr + i, 1);
		seg(self, false, gpa, 1);
	}
	seg(self, false, 0x4000, 512);
	seg(self, true, 0x8000, 1);
	EXPECT_PARSE(0);
	EXPECT_EQ(OUT, self->cmd->type);
	EXPECT_EQ(SECTOR, self->cmd->sector);
	EXPECT_EQ(512, self->cmd->data_len);
}

/* Header and data in one buffer, cut at every two places. */
TEST_F(cmd, header_and_data_cut_in_two_places)
{
	u32 total = 16 + 1024, a, b;

	put_header(self, HDR, OUT, SECTOR);
	for (a = 1; a < total; a += a < 20 ? 1 : 61) {
		for (b = a; b <= total; b += b < 20 ? 1 : 37) {
			chain_clear(self);
			seg(self, false, HDR, a);
			seg(self, false, HDR + a, b - a);
			seg(self, false, HDR + b, total - b);
			seg(self, true, 0x8000, 1);
			ASSERT_EQ(0, parse(self));
			expect_agreed(self);
			ASSERT_EQ(1024, self->cmd->data_len);
			ASSERT_EQ(1, self->cmd->nr_spans);
			expect_span(self, 0, HDR + 16, 1024);
		}
	}
}

/* Header with the first bytes of data, the rest of it elsewhere. */
TEST_F(cmd, data_begins_behind_the_header)
{
	chain_clear(self);
	put_header(self, HDR, OUT, SECTOR);
	seg(self, false, HDR, 16 + 8);
	seg(self, false, 0x4000, 504);
	seg(self, true, 0x8000, 1);
	EXPECT_PARSE(0);
	ASSERT_EQ(2, self->cmd->nr_spans);
	expect_span(self, 0, HDR + 16, 8);
	expect_span(self, 1, 0x4000, 504);
}

/* Data and status in one buffer of 513 bytes, cut at every two places. */
TEST_F(cmd, data_and_status_cut_in_two_places)
{
	u32 a, b;

	for (a = 1; a < 513; a += a < 10 || a > 500 ? 1 : 31) {
		for (b = a; b <= 513; b += b < 10 || b > 500 ? 1 : 17) {
			begin(self, IN, SECTOR);
			seg(self, true, 0x4000, a);
			seg(self, true, 0x4000 + a, b - a);
			seg(self, true, 0x4000 + b, 513 - b);
			ASSERT_EQ(0, parse(self));
			expect_agreed(self);
			ASSERT_EQ(512, self->cmd->data_len);
			ASSERT_EQ(1, self->cmd->nr_spans);
			expect_span(self, 0, 0x4000, 512);
			ASSERT_EQ(hva(self, 0x4000 + 512),
				  self->cmd->status_hva);
		}
	}
}

TEST_F(cmd, big_endian_header)
{
	self->rig->le = false;
	begin(self, OUT, SECTOR);
	seg(self, false, 0x4000, 512);
	seg(self, true, 0x8000, 1);
	EXPECT_PARSE(0);
	EXPECT_EQ(OUT, self->cmd->type);
	EXPECT_EQ(SECTOR, self->cmd->sector);
}

TEST_F(cmd, types)
{
	static const struct {
		u32 type;
		u32 data_len; /* of 700 readable and 301 writable bytes */
	} types[] = {
		{ IN, 300 },
		{ OUT, 700 },
		{ VIRTIO_BLK_T_SCSI_CMD, 0 },
		{ 3, 0 },
		{ VIRTIO_BLK_T_FLUSH, 0 },
		{ 5, 0 },
		{ VIRTIO_BLK_T_GET_ID, 300 },
		{ 10, 0 },
		{ VIRTIO_BLK_T_DISCARD, 0 },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 0 },
		{ VIRTIO_BLK_T_SECURE_ERASE, 0 },
		{ 0x10000, 0 },
		{ 0x80000000, 0 },
		{ 0x80000001, 0 },
		{ 0xffffffff, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		begin(self, types[i].type, SECTOR);
		seg(self, false, 0x4000, 700);
		seg(self, true, 0x8000, 301);
		EXPECT_PARSE(0);
		EXPECT_EQ(types[i].type, self->cmd->type);
		EXPECT_EQ(SECTOR, self->cmd->sector);
		EXPECT_EQ(types[i].data_len, self->cmd->data_len);
		EXPECT_EQ(!!types[i].data_len, self->cmd->nr_spans);
		EXPECT_EQ(hva(self, 0x8000 + 300), self->cmd->status_hva);
		if (types[i].data_len)
			expect_span(self, 0,
				    types[i].type == OUT ? 0x4000 : 0x8000,
				    types[i].data_len);
	}
}

/* Data that the type does not use may be anything. */
TEST_F(cmd, unused_data_is_not_looked_at)
{
	begin(self, IN, SECTOR);
	seg(self, false, RIG_HOLE, U32_MAX);
	seg(self, false, U64_MAX, U32_MAX);
	seg(self, true, 0x8000, 513);
	EXPECT_PARSE(0);

	begin(self, OUT, SECTOR);
	seg(self, false, 0x4000, 512);
	seg(self, true, RIG_HOLE, U32_MAX);
	seg(self, true, U64_MAX, U32_MAX);
	seg(self, true, 0x8000, 1);
	EXPECT_PARSE(0);
	EXPECT_EQ(512, self->cmd->data_len);
	EXPECT_EQ(hva(self, 0x8000), self->cmd->status_hva);

	begin(self, VIRTIO_BLK_T_FLUSH, SECTOR);
	seg(self, false, RIG_HOLE, U32_MAX);
	seg(self, true, RIG_HOLE, U32_MAX);
	seg(self, true, 0x8000, 1);
	EXPECT_PARSE(0);
	EXPECT_EQ(0, self->cmd->nr_spans);
}

TEST_F(cmd, no_data)
{
	begin(self, IN, 0);
	seg(self, true, 0x8000, 1);
	EXPECT_PARSE(0);
	EXPECT_EQ(0, self->cmd->data_len);
	EXPECT_EQ(0, self->cmd->nr_spans);
	begin(self, OUT, 0);
	seg(self, true, 0x8000, 1);
	EXPECT_PARSE(0);
	EXPECT_EQ(0, self->cmd->data_len);
	EXPECT_EQ(0, self->cmd->nr_spans);
}

/* Status */

TEST_F(cmd, status_is_the_last_writable_byte)
{
	static const u64 ends[] = {
		/* the last byte of each region */
		0xffff,
		0x13fff,
		0x17fff,
		0x1ffff,
		(1ULL << 32) + (6 << 20) - 1,
		U64_MAX,
		/* the first */
		0,
		0x10000,
		0x14000,
		RIG_HOLE + RIG_HOLE_LEN,
		1ULL << 32,
		-0x10000ULL,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		begin(self, VIRTIO_BLK_T_FLUSH, 0);
		seg(self, true, 0x8000, 512);
		seg(self, true, ends[i], 1);
		EXPECT_PARSE(0);
		EXPECT_EQ(hva(self, ends[i]), self->cmd->status_hva);
		/* In a larger piece, whatever comes before it. */
		if (ends[i] < 0x10)
			continue;
		begin(self, VIRTIO_BLK_T_FLUSH, 0);
		seg(self, true, ends[i] - 9, 10);
		EXPECT_PARSE(0);
		EXPECT_EQ(hva(self, ends[i]), self->cmd->status_hva);
	}
}

TEST_F(cmd, no_place_for_the_status)
{
	static const struct {
		u64 gpa;
		u32 len;
	} bad[] = {
		{ RIG_HOLE, 1 },
		{ RIG_HOLE + RIG_HOLE_LEN - 1, 1 },
		{ RIG_HOLE - 1, 2 }, /* starts in memory */
		{ 0x20000, 1 },
		{ 1ULL << 63, 1 },
		{ (1ULL << 32) + (6 << 20), 1 },
		{ U64_MAX, 2 }, /* would end at 0 */
		{ U64_MAX - 255, 512 },
		{ U64_MAX, U32_MAX },
		{ 1ULL << 29, U32_MAX },
	};
	static const u32 types[] = { IN, OUT, VIRTIO_BLK_T_FLUSH, 77 };
	unsigned int i, t;

	for (t = 0; t < ARRAY_SIZE(types); t++) {
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			begin(self, types[t], 0);
			seg(self, true, 0x8000, 512);
			seg(self, true, bad[i].gpa, bad[i].len);
			EXPECT_PARSE(-EBADMSG);
		}
		begin(self, types[t], 0);
		seg(self, false, 0x4000, 512);
		EXPECT_PARSE(-EBADMSG);
		chain_clear(self);
		EXPECT_PARSE(-EBADMSG);
	}
}

/* Header */

TEST_F(cmd, header_too_short)
{
	unsigned int len;

	put_header(self, HDR, VIRTIO_BLK_T_FLUSH, 0);
	for (len = 0; len <= 16; len++) {
		chain_clear(self);
		seg(self, false, HDR, len / 2);
		seg(self, false, HDR + len / 2, len - len / 2);
		seg(self, true, 0x8000, 1);
		EXPECT_PARSE(len < 16 ? -EINVAL : 0);
		EXPECT_EQ(hva(self, 0x8000), self->cmd->status_hva);
	}
}

TEST_F(cmd, header_not_in_memory)
{
	unsigned int i;

	for (i = 0; i <= 16; i++) {
		static const u64 good[] = { 0x10000, 0x14000 };
		static const u64 ends[] = { RIG_HOLE, 0x20000 };
		unsigned int k;

		for (k = 0; k < ARRAY_SIZE(good); k++) {
			chain_clear(self);
			put_header(self, good[k] - i, OUT, SECTOR);
			seg(self, false, good[k] - i, 16);
			seg(self, true, 0x8000, 1);
			EXPECT_PARSE(0);
			EXPECT_EQ(SECTOR, self->cmd->sector);
		}
		for (k = 0; k < ARRAY_SIZE(ends); k++) {
			chain_clear(self);
			put_header(self, ends[k] - i, OUT, SECTOR);
			seg(self, false, ends[k] - i, 16);
			seg(self, true, 0x8000, 1);
			EXPECT_PARSE(i == 16 ? 0 : -EFAULT);
			EXPECT_EQ(hva(self, 0x8000), self->cmd->status_hva);
		}
		/* At the end of the address space: 0 does not follow. */
		chain_clear(self);
		put_header(self, -(u64)i, OUT, SECTOR);
		seg(self, false, -(u64)i, 16);
		seg(self, true, 0x8000, 1);
		EXPECT_PARSE(i == 0 || i == 16 ? 0 : -EFAULT);
	}
	/* A piece that wraps is bad even where only its start is needed. */
	chain_clear(self);
	put_header(self, -0x100ULL, IN, SECTOR);
	seg(self, false, -0x100ULL, 0x101);
	seg(self, true, 0x8000, 513);
	EXPECT_PARSE(-EFAULT);
	chain_clear(self);
	seg(self, false, -0x100ULL, 0x100);
	seg(self, true, 0x8000, 513);
	EXPECT_PARSE(0);
}

TEST_F(cmd, header_that_cannot_be_read)
{
	unsigned int i;

	begin(self, IN, 0);
	seg(self, true, 0x8000, 513);
	for (i = 0; i < 18; i++) {
		unit_fault.at = hva(self, HDR - 1 + i);
		unit_fault.len = 1;
		rig_mem_change(self->mem);
		EXPECT_EQ(i == 0 || i == 17 ? 0 : -EFAULT,
			  vhost_blk_cmd_parse(self->chain, &self->mem->view,
					      true, self->cmd));
		EXPECT_EQ(hva(self, 0x8000 + 512), self->cmd->status_hva);
	}
}

static u64 copied;

static void count_copies(enum unit_op op, const volatile void *p, size_t size)
{
	if (op == UNIT_COPY) {
		copied += size;
		/* Whatever is read twice is different then. */
		memset((void *)p, 0xee, size);
	}
}

TEST_F(cmd, reads_the_header_once_and_nothing_else)
{
	static const u32 types[] = { IN, OUT, VIRTIO_BLK_T_FLUSH,
				     VIRTIO_BLK_T_GET_ID };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		chain_clear(self);
		put_header(self, HDR, types[i], SECTOR);
		seg_cut(self, false, HDR, 16 + 512, 0x5a5a);
		seg(self, true, 0x8000, 513);
		copied = 0;
		unit_hook = count_copies;
		EXPECT_EQ(0, vhost_blk_cmd_parse(self->chain, &self->mem->view,
						 true, self->cmd));
		unit_hook = NULL;
		EXPECT_EQ(16, copied);
		EXPECT_EQ(types[i], self->cmd->type);
		EXPECT_EQ(SECTOR, self->cmd->sector);
	}
}

/* Data */

TEST_F(cmd, data_at_the_edges_of_memory)
{
	static const struct {
		u64 gpa;
		u32 len;
		int ret;
		unsigned int spans;
	} cases[] = {
		{ RIG_HOLE - 512, 512, 0, 1 },
		{ RIG_HOLE - 511, 512, -EFAULT, 0 },
		{ RIG_HOLE - 256, 512, -EFAULT, 0 },
		{ RIG_HOLE - 1, 512, -EFAULT, 0 },
		{ RIG_HOLE, 512, -EFAULT, 0 },
		{ RIG_HOLE + RIG_HOLE_LEN - 1, 512, -EFAULT, 0 },
		{ RIG_HOLE + RIG_HOLE_LEN, 512, 0, 1 },
		/* the end of one region, a hole, the start of the next */
		{ RIG_HOLE - 512, RIG_HOLE_LEN + 1024, -EFAULT, 0 },
		{ 0x20000 - 1, 1, 0, 1 },
		{ 0x20000, 1, -EFAULT, 0 },
		/* neighbours: apart in the process, or together */
		{ 0x10000 - 512, 1024, 0, 2 },
		{ 0x14000 - 512, 1024, 0, 1 },
		{ 0x10000 - 512, 0x4400, 0, 2 },
		{ 0, RIG_HOLE, 0, 2 },
		/* the end of the address space */
		{ -512ULL, 512, 0, 1 },
		{ -511ULL, 512, -EFAULT, 0 },
		{ -256ULL, 512, -EFAULT, 0 },
		{ U64_MAX, 512, -EFAULT, 0 },
		{ -0x10000ULL - 1, 512, -EFAULT, 0 },
		{ -0x10000ULL, 0x10000, 0, 1 },
		{ -0x10000ULL, 0x10001, -EFAULT, 0 },
		{ 1ULL << 63, 512, -EFAULT, 0 },
		{ 0, U32_MAX, -EINVAL, 0 },
		{ U64_MAX, U32_MAX, -EINVAL, 0 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(self, IN, 0);
		seg(self, true, cases[i].gpa, cases[i].len);
		seg(self, true, 0x8000, 1);
		EXPECT_PARSE(cases[i].ret);
		if (!cases[i].ret)
			EXPECT_EQ(cases[i].spans, self->cmd->nr_spans);
		EXPECT_EQ(hva(self, 0x8000), self->cmd->status_hva);

		/* Behind good data; on the other side. */
		begin(self, OUT, 0);
		seg(self, false, 0x4000, 512);
		seg(self, false, cases[i].gpa, cases[i].len);
		seg(self, true, 0x8000, 1);
		EXPECT_PARSE(cases[i].ret);
	}
}

TEST_F(cmd, pieces_that_touch_become_one)
{
	unsigned int i;

	begin(self, IN, 0);
	for (i = 0; i < 100; i++)
		seg(self, true, 0x4000 + 7 * i, 7);
	for (i = 0; i < 100; i++)
		seg(self, true, 0xc000 - 7 * i, 7);
	seg(self, true, 0x8000, 1);
	EXPECT_PARSE(0);
	EXPECT_EQ(1 + 100, self->cmd->nr_spans);
	expect_span(self, 0, 0x4000, 700);
	expect_span(self, 1, 0xc000, 7);
	expect_span(self, 100, 0xc000 - 7 * 99, 7);
}

TEST_F(cmd, as_many_bytes_as_allowed)
{
	u64 big = self->mem->region[RIG_BIG].guest_phys_addr;
	const u32 max = VHOST_BLK_MAX_BYTES;
	unsigned int type, i;
	int over;

	for (type = IN; type <= OUT; type++) {
		for (over = -1; over <= 1; over++) {
			begin(self, type, 0);
			seg(self, type == IN, big, max + over);
			seg(self, true, 0x8000, 1);
			EXPECT_PARSE(over > 0 ? -EINVAL : 0);

			/* In pieces, each for itself small. */
			begin(self, type, 0);
			for (i = 0; i < 1020; i++)
				seg(self, type == IN, big, max / 1020);
			seg(self, type == IN, big + max,
			    max - max / 1020 * 1020 + over);
			seg(self, true, 0x8000, 1);
			EXPECT_PARSE(over > 0 ? -EINVAL : 0);
		}
		begin(self, type, 0);
		for (i = 0; i < 1022; i++)
			seg(self, type == IN, big, U32_MAX);
		seg(self, true, 0x8000, 1);
		EXPECT_PARSE(-EINVAL);
	}
	/* The status byte is not data: 4 MiB and one byte in one piece. */
	begin(self, IN, 0);
	seg(self, true, big, max + 1);
	EXPECT_PARSE(0);
	EXPECT_EQ(max, self->cmd->data_len);
	EXPECT_EQ(hva(self, big + max), self->cmd->status_hva);
}

/*
 * Regions of one page, which never follow each other in the process. A chain of
 * the longest kind may cross a certain number of borders, not one more.
 */
TEST_F(cmd, as_many_spans_as_allowed)
{
	struct vhost_memory_region *region;
	unsigned int i, cross, nr = VHOST_BLK_MAX_REGIONS;
	struct vhost_blk_view view = { .mem = NULL };
	struct vhost_blk_mem *mem;
	u8 *buf;
	int want;

	region = calloc(nr, sizeof(*region));
	buf = calloc(nr, 2 * PAGE_SIZE);
	for (i = 0; i < nr; i++) {
		region[i].guest_phys_addr = i * PAGE_SIZE;
		region[i].memory_size = PAGE_SIZE;
		region[i].userspace_addr = (uintptr_t)buf + 2 * i * PAGE_SIZE;
	}
	mem = vhost_blk_mem_create(region, nr);
	ASSERT_FALSE(IS_ERR(mem));
	view.mem = mem;

	for (cross = 0; cross < 140; cross++) {
		/* 1022 pieces of data, some of which cross a border. */
		chain_clear(self);
		seg(self, false, 0, 16);
		for (i = 0; i < 1022; i++)
			seg(self, true,
			    (i % 500 + 1) * PAGE_SIZE -
				    (i < cross ? 512 : 1024),
			    1024);
		seg(self, true, 0x8000, 1);
		want = 1022 + cross <= VHOST_BLK_MAX_SPANS ? 0 : -EFAULT;
		EXPECT_EQ(want, vhost_blk_cmd_parse(self->chain, &view, true,
						    self->cmd));
		EXPECT_EQ(want, model_parse(region, nr, true, &self->d->chain,
					    &self->d->req) == MODEL_GOOD ?
					0 :
					-EFAULT);
		if (!want)
			EXPECT_EQ(1022 + cross, self->cmd->nr_spans);
	}
	vhost_blk_mem_free(mem);
	free(region);
	free(buf);
}

TEST_HARNESS_MAIN
