// SPDX-License-Identifier: GPL-2.0-only
/* The module's cmd.c: from a chain to a checked command. */
#include "ksft.h"
#include "diff.h"

#define IN VIRTIO_BLK_T_IN
#define OUT VIRTIO_BLK_T_OUT
#define SECTOR 0x123456789abcULL
#define HDR 0x1000 /* where the header usually is */

FIXTURE(cmd) {
	struct rig_mem *mem;
	struct rig *rig;
	struct diff *d;
	struct vhost_blk_chain *chain;
	struct vhost_blk_cmd *cmd;
};

FIXTURE_SETUP(cmd)
{
	self->mem = rig_mem_new();
	self->rig = rig_new(self->mem, 1, true, false, false);
	self->d = diff_new(self->rig);
	self->chain = self->rig->chain;
	self->cmd = &self->d->cmd;
}

FIXTURE_TEARDOWN(cmd)
{
	unit_hook = NULL;
	unit_fault.len = 0;
	free(self->d);
	rig_delete(self->rig);
	rig_mem_delete(self->mem);
}

static void chain_clear(struct cmd_data *self)
{
	memset(self->chain, 0xee, sizeof(*self->chain));
	self->chain->nr_out = 0;
	self->chain->nr_in = 0;
	self->chain->out_len = 0;
	self->chain->in_len = 0;
	self->d->chain.n = 0;
}

/* Appends a segment for the module and a piece for the model. */
static void seg(struct cmd_data *self, bool writable, u64 gpa, u64 len)
{
	struct vhost_blk_chain *c = self->chain;
	struct model_chain *m = &self->d->chain;

	if (!len)
		return;
	ASSERT_LT(m->n, VHOST_BLK_MAX_DESC);
	c->seg[m->n].gpa = gpa;
	c->seg[m->n].len = len;
	m->piece[m->n].gpa = gpa;
	m->piece[m->n].len = len;
	m->piece[m->n].writable = writable;
	m->n++;
	if (writable) {
		c->nr_in++;
		c->in_len += len;
	} else {
		c->nr_out++;
		c->out_len += len;
	}
}

static void put_header(struct cmd_data *self, u64 gpa, u32 type, u64 sector)
{
	struct virtio_blk_outhdr hdr = {
		.type = __cpu_to_virtio32(self->rig->le, type),
		.ioprio = 0xffffffff,
		.sector = __cpu_to_virtio64(self->rig->le, sector),
	};

	rig_write(self->mem, gpa, &hdr, sizeof(hdr));
}

/* A chain with its header in a piece of its own; data and status to come. */
static void begin(struct cmd_data *self, u32 type, u64 sector)
{
	chain_clear(self);
	put_header(self, HDR, type, sector);
	seg(self, false, HDR, 16);
}

/* What the module makes of the chain; the model must agree. */
static int parse(struct cmd_data *self)
{
	static const struct vhost_blk_limits limits = { .read_only = true };

	memset(self->cmd, 0xdd, sizeof(*self->cmd));
	switch (diff_parse(self->d, &limits)) {
	case DIFF_NO_STATUS:
		return -EBADMSG;
	case DIFF_INVALID:
		return -EINVAL;
	default:
		return 0;
	}
}

static void expect_agreed(struct cmd_data *self)
{
	if (self->d->failed)
		ksft_log("%s", self->d->why);
	ASSERT_FALSE(self->d->failed);
}

#define EXPECT_PARSE(want)                    \
	do {                                  \
		EXPECT_EQ(want, parse(self)); \
		expect_agreed(self);          \
	} while (0)

static u64 hva(struct cmd_data *self, u64 gpa)
{
	return (uintptr_t)rig_at(self->mem, gpa);
}

static void expect_span(struct cmd_data *self, unsigned int i, u64 gpa, u32 len)
{
	ASSERT_LT(i, self->cmd->nr_spans);
	EXPECT_EQ(hva(self, gpa), self->cmd->span[i].hva);
	EXPECT_EQ(len, self->cmd->span[i].len);
}

/* Framing */

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
			EXPECT_PARSE(i == 16 ? 0 : -EINVAL);
			EXPECT_EQ(hva(self, 0x8000), self->cmd->status_hva);
		}
		/* At the end of the address space: 0 does not follow. */
		chain_clear(self);
		put_header(self, -(u64)i, OUT, SECTOR);
		seg(self, false, -(u64)i, 16);
		seg(self, true, 0x8000, 1);
		EXPECT_PARSE(i == 0 || i == 16 ? 0 : -EINVAL);
	}
	/* A piece that wraps is bad even where only its start is needed. */
	chain_clear(self);
	put_header(self, -0x100ULL, IN, SECTOR);
	seg(self, false, -0x100ULL, 0x101);
	seg(self, true, 0x8000, 513);
	EXPECT_PARSE(-EINVAL);
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
		EXPECT_EQ(i == 0 || i == 17 ? 0 : -EINVAL,
			  vhost_blk_cmd_parse(self->chain, self->mem->mem, true,
					      self->cmd));
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
		EXPECT_EQ(0, vhost_blk_cmd_parse(self->chain, self->mem->mem,
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
		{ RIG_HOLE - 511, 512, -EINVAL, 0 },
		{ RIG_HOLE - 256, 512, -EINVAL, 0 },
		{ RIG_HOLE - 1, 512, -EINVAL, 0 },
		{ RIG_HOLE, 512, -EINVAL, 0 },
		{ RIG_HOLE + RIG_HOLE_LEN - 1, 512, -EINVAL, 0 },
		{ RIG_HOLE + RIG_HOLE_LEN, 512, 0, 1 },
		/* the end of one region, a hole, the start of the next */
		{ RIG_HOLE - 512, RIG_HOLE_LEN + 1024, -EINVAL, 0 },
		{ 0x20000 - 1, 1, 0, 1 },
		{ 0x20000, 1, -EINVAL, 0 },
		/* neighbours: apart in the process, or together */
		{ 0x10000 - 512, 1024, 0, 2 },
		{ 0x14000 - 512, 1024, 0, 1 },
		{ 0x10000 - 512, 0x4400, 0, 2 },
		{ 0, RIG_HOLE, 0, 2 },
		/* the end of the address space */
		{ -512ULL, 512, 0, 1 },
		{ -511ULL, 512, -EINVAL, 0 },
		{ -256ULL, 512, -EINVAL, 0 },
		{ U64_MAX, 512, -EINVAL, 0 },
		{ -0x10000ULL - 1, 512, -EINVAL, 0 },
		{ -0x10000ULL, 0x10000, 0, 1 },
		{ -0x10000ULL, 0x10001, -EINVAL, 0 },
		{ 1ULL << 63, 512, -EINVAL, 0 },
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
		want = 1022 + cross <= VHOST_BLK_MAX_SPANS ? 0 : -EINVAL;
		EXPECT_EQ(want, vhost_blk_cmd_parse(self->chain, mem, true,
						    self->cmd));
		EXPECT_EQ(want, model_parse(region, nr, true, &self->d->chain,
					    &self->d->req) == MODEL_GOOD ?
					0 :
					-EINVAL);
		if (!want)
			EXPECT_EQ(1022 + cross, self->cmd->nr_spans);
	}
	vhost_blk_mem_free(mem);
	free(region);
	free(buf);
}

/* May it be done? */

static u64 edges[256];
static unsigned int nr_edges;

static void edge(u64 val)
{
	static const int around[] = { -9, -8, -2, -1, 0, 1, 2, 7, 8, 9 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(around); i++)
		edges[nr_edges++] = val + around[i];
}

/* All lengths at one place of one disk; true when any of them is allowed. */
static bool range_check(struct cmd_data *self, u64 capacity, u64 sector)
{
	static const u64 lens[] = { 0,	     1,	      100,    511,     512,
				    513,     1023,    1024,   1536,    4095,
				    4096,    4608,    8192,   1048576, 4190208,
				    4193792, 4194303, 4194304 };
	static const u32 blocks[] = { 512, 1024, 4096 };
	unsigned int l, b;
	bool any = false;

	self->d->req.type = IN;
	self->d->req.sector = sector;
	self->cmd->type = IN;
	self->cmd->sector = sector;
	self->cmd->nr_spans = 0;
	for (l = 0; l < ARRAY_SIZE(lens); l++) {
		self->d->req.data_len = lens[l];
		self->cmd->data_len = lens[l];
		for (b = 0; b < ARRAY_SIZE(blocks); b++) {
			struct vhost_blk_limits limits = {
				.capacity = capacity,
				.block_mask = blocks[b] - 1,
			};
			enum diff_outcome o;

			diff_check_rw(self->d, &limits, &o);
			if (self->d->failed)
				ksft_log("capacity %#llx sector %#llx: %llu/%u",
					 capacity, sector, lens[l], blocks[b]);
			expect_agreed(self);
			any |= o != DIFF_REFUSED;
		}
	}
	return any;
}

/* Against numbers of 128 bits: the sum in the module never overflows. */
TEST_F(cmd, range)
{
	unsigned int c, s, good = 0, bad = 0;

	edge(0);
	edge(16);
	edge(8192);
	edge(1ULL << 31);
	edge(1ULL << 32);
	edge(1ULL << 54);
	edge(1ULL << 55);
	edge(1ULL << 63);
	edge(U64_MAX - 8192);
	edge((1ULL << 20) - 8192);
	edge(1ULL << 20);
	ASSERT_LE(nr_edges, ARRAY_SIZE(edges));

	for (c = 0; c < nr_edges; c++) {
		for (s = 0; s < nr_edges; s++) {
			bool ok = range_check(self, edges[c], edges[s]);

			good += ok;
			bad += !ok;
		}
	}
	EXPECT_GT(good, 1000);
	EXPECT_GT(bad, 1000);
}

/* One by one, as the test catalogue has them. */
TEST_F(cmd, ends_of_the_disk)
{
	static const struct {
		u64 sector;
		u32 len;
		bool ok;
	} cases[] = {
		{ 0, 512, true },
		{ 99, 512, true },
		{ 0, 51200, true },
		{ 99, 1024, false },
		{ 98, 1024, true },
		{ 100, 512, false },
		{ 1100, 512, false },
		{ 0, 51712, false },
		{ U64_MAX, 512, false },
		{ U64_MAX, 1024, false },
		{ U64_MAX - 7, 4096, false },
		{ 1ULL << 55, 512, false },
		{ (1ULL << 55) + 1, 512, false },
		{ 1ULL << 63, 512, false },
		{ 99, 1023, false },
		{ 99, 1536, false },
		{ 99, 511, false },
		{ 99, 513, false },
		{ 0, 0, false },
	};
	static const struct vhost_blk_limits limits = {
		.capacity = 100,
		.block_mask = 511,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(self, IN, cases[i].sector);
		seg(self, true, 0x8000, cases[i].len + 1);
		EXPECT_PARSE(0);
		EXPECT_EQ(cases[i].ok ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR,
			  vhost_blk_cmd_check_rw(self->cmd, &limits));
	}
	/* Pieces of which each would be in range. */
	begin(self, OUT, 99);
	seg(self, false, 0x4000, 512);
	seg(self, false, 0x8000, 512);
	seg(self, true, 0x1000, 1);
	EXPECT_PARSE(0);
	EXPECT_EQ(VIRTIO_BLK_S_IOERR,
		  vhost_blk_cmd_check_rw(self->cmd, &limits));
}

TEST_F(cmd, logical_blocks_of_4096)
{
	static const struct {
		u64 sector;
		u32 sectors;
		bool ok;
	} cases[] = {
		{ 8, 8, true },	    { 9, 1, false },	{ 9, 9, false },
		{ 17, 9, false },   { 16, 4, false },	{ 16, 12, false },
		{ 9, 8, false },    { 15, 8, false },	{ 992, 8, true },
		{ 1000, 8, false }, { 992, 16, false }, { 0, 1000, true },
	};
	static const struct vhost_blk_limits limits = {
		.capacity = 1000,
		.block_mask = 4095,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(self, OUT, cases[i].sector);
		seg(self, false, 1ULL << 32, cases[i].sectors * 512);
		seg(self, true, 0x8000, 1);
		EXPECT_PARSE(0);
		EXPECT_EQ(cases[i].ok ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR,
			  vhost_blk_cmd_check_rw(self->cmd, &limits));
	}
}

TEST_F(cmd, read_only)
{
	static const struct vhost_blk_limits limits = {
		.capacity = 100,
		.block_mask = 511,
		.read_only = true,
	};

	begin(self, OUT, 0);
	seg(self, false, 0x4000, 512);
	seg(self, true, 0x8000, 1);
	EXPECT_PARSE(0);
	EXPECT_EQ(VIRTIO_BLK_S_IOERR,
		  vhost_blk_cmd_check_rw(self->cmd, &limits));
	begin(self, IN, 0);
	seg(self, true, 0x4000, 513);
	EXPECT_PARSE(0);
	EXPECT_EQ(VIRTIO_BLK_S_OK, vhost_blk_cmd_check_rw(self->cmd, &limits));
}

/* In place or copied */

static const struct vhost_blk_limits all_limits[] = {
	{ .capacity = U64_MAX, .block_mask = 511, .dma_mask = 0 },
	{ .capacity = U64_MAX, .block_mask = 511, .dma_mask = 3 },
	{ .capacity = U64_MAX, .block_mask = 511, .dma_mask = 511 },
	{ .capacity = U64_MAX, .block_mask = 511, .dma_mask = 4095 },
	{ .capacity = U64_MAX, .block_mask = 1023, .dma_mask = 3 },
	{ .capacity = U64_MAX, .block_mask = 4095, .dma_mask = 3 },
	{ .capacity = U64_MAX, .block_mask = 4095, .dma_mask = 4095 },
};

/* Data of @n spans, as parsing leaves it. */
static void set_spans(struct cmd_data *self, unsigned int n,
		      const struct model_run *run)
{
	struct model_request *req = &self->d->req;
	unsigned int i;

	req->type = IN;
	req->sector = 0;
	req->data_len = 0;
	req->n = n;
	for (i = 0; i < n; i++) {
		req->run[i] = run[i];
		req->data_len += run[i].len;
		self->cmd->span[i].hva = run[i].hva;
		self->cmd->span[i].len = run[i].len;
	}
	self->cmd->type = IN;
	self->cmd->sector = 0;
	self->cmd->data_len = req->data_len;
	self->cmd->nr_spans = n;
}

static enum diff_outcome check(struct cmd_data *self,
			       const struct vhost_blk_limits *limits)
{
	enum diff_outcome outcome;

	diff_check_rw(self->d, limits, &outcome);
	expect_agreed(self);
	return outcome;
}

/* Two spans cut in all ways that could matter, on all kinds of devices. */
static void cut_in_two(struct cmd_data *self, u32 off, u32 other_off,
		       unsigned long *count)
{
	static const u32 firsts[] = { 1,    4,	  64,	256,   448,  508,
				      511,  512,  513,	1024,  3584, 4096,
				      4097, 4608, 8192, 12288, 16380 };
	static const u32 totals[] = { 512, 1024, 4096, 8192, 16384, 20480 };
	unsigned int f, t, l;

	for (f = 0; f < ARRAY_SIZE(firsts); f++) {
		for (t = 0; t < ARRAY_SIZE(totals); t++) {
			struct model_run run[] = {
				{ 0x7f0000000000 + off, firsts[f] },
				{ 0x7f0000100000 + other_off,
				  totals[t] - firsts[f] },
			};

			if (firsts[f] > totals[t])
				continue;
			set_spans(self, 1 + (firsts[f] < totals[t]), run);
			for (l = 0; l < ARRAY_SIZE(all_limits); l++)
				count[check(self, &all_limits[l])]++;
		}
	}
}

TEST_F(cmd, decides_whether_to_copy)
{
	static const u32 offs[] = { 0,	  1,	2,    3,    4,	 8,    16,
				    256,  448,	511,  512,  513, 1024, 2048,
				    3584, 3648, 3952, 4092, 4095 };
	unsigned long count[DIFF_OUTCOMES] = { 0 };
	unsigned int a, b;

	for (a = 0; a < ARRAY_SIZE(offs); a++)
		for (b = 0; b < ARRAY_SIZE(offs); b++)
			cut_in_two(self, offs[a], offs[b], count);
	EXPECT_GT(count[DIFF_IN_PLACE], 100);
	EXPECT_GT(count[DIFF_BOUNCED], 1000);
	EXPECT_GT(count[DIFF_REFUSED], 100);
}

/* The shapes that broke others, on a disk with blocks of 512 bytes. */
TEST_F(cmd, copies_what_is_not_whole_blocks)
{
	static const struct {
		struct model_run run[4];
		unsigned int n, pages;
		bool bounce;
	} cases[] = {
		{ { { 0x10000, 256 }, { 0x20100, 256 } }, 2, 1, true },
		{ { { 0x10000, 448 }, { 0x20000, 64 } }, 2, 1, true },
		{ { { 0x10e40, 448 }, { 0x20000, 64 } }, 2, 1, true },
		{ { { 0x10090, 3952 }, { 0x20000, 2704 } }, 2, 2, true },
		{ { { 0x10000, 1 }, { 0x20000, 511 } }, 2, 1, true },
		{ { { 0x10000, 511 }, { 0x20000, 1 } }, 2, 1, true },
		{ { { 0x10001, 512 } }, 1, 1, true },
		{ { { 0x10f00, 512 } }, 1, 1, true },
		{ { { 0x10e00, 512 } }, 1, 1, false },
		{ { { 0x10e00, 1024 } }, 1, 2, false },
		{ { { 0x10000, 512 }, { 0x20200, 512 } }, 2, 2, false },
		{ { { 0x10000, 8192 } }, 1, 2, false },
		{ { { 0x10e00, 8192 } }, 1, 3, false },
		/* the same page several times is counted each time */
		{ { { 0x10000, 512 },
		    { 0x10000, 512 },
		    { 0x10000, 512 },
		    { 0x10800, 512 } },
		  4,
		  4,
		  false },
	};
	static const struct vhost_blk_limits limits = {
		.capacity = 1000,
		.block_mask = 511,
		.dma_mask = 3,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		set_spans(self, cases[i].n, cases[i].run);
		EXPECT_EQ(cases[i].bounce ? DIFF_BOUNCED : DIFF_IN_PLACE,
			  check(self, &limits));
		EXPECT_EQ(cases[i].bounce, self->cmd->bounce);
		EXPECT_EQ(cases[i].pages, self->cmd->nr_pages);
	}
}

/* The greatest number of pages that a request can ask for. */
TEST_F(cmd, counts_pages_of_the_largest_request)
{
	static struct model_run run[VHOST_BLK_MAX_SPANS];
	static const struct vhost_blk_limits limits = {
		.capacity = U64_MAX,
		.block_mask = 511,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(run); i++) {
		run[i].hva = (2 * i + 1) * PAGE_SIZE - 512;
		run[i].len = 1024;
	}
	set_spans(self, ARRAY_SIZE(run), run);
	EXPECT_EQ(DIFF_IN_PLACE, check(self, &limits));
	EXPECT_EQ(2 * ARRAY_SIZE(run), self->cmd->nr_pages);

	run[0].hva = TASK_SIZE - VHOST_BLK_MAX_BYTES;
	run[0].len = VHOST_BLK_MAX_BYTES;
	set_spans(self, 1, run);
	EXPECT_EQ(DIFF_IN_PLACE, check(self, &limits));
	EXPECT_EQ(1024, self->cmd->nr_pages);
	run[0].hva -= 512;
	set_spans(self, 1, run);
	EXPECT_EQ(DIFF_IN_PLACE, check(self, &limits));
	EXPECT_EQ(1025, self->cmd->nr_pages);
	run[0].hva -= 1;
	set_spans(self, 1, run);
	EXPECT_EQ(DIFF_BOUNCED, check(self, &limits));
	EXPECT_EQ(1024, self->cmd->nr_pages);
}

TEST_HARNESS_MAIN
