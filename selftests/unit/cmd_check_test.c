// SPDX-License-Identifier: GPL-2.0-only
/* The module's cmd.c: may the command be done, and how? */
#include "cmd_fixture.h"

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
	static const u64 lens[] = {
		0,	    1,
		100,	    511,
		512,	    513,
		1023,	    1024,
		1536,	    4095,
		4096,	    4608,
		8192,	    1048576,
		4190208,    4193792,
		4194303,    4194304,
		1ULL << 31, 1ULL << 32,
		1ULL << 40, 1ULL << 63,
		-4096ULL,   -512ULL,
		U64_MAX,    (1ULL << 32) + 512,
	};
	static const u32 blocks[] = { 512, 1024, 4096 };
	struct model_request *req = &self->d->req;
	struct vhost_blk_limits limits = { .capacity = capacity };
	unsigned int l, b;
	bool any = false;

	req->sector = sector;
	for (l = 0; l < ARRAY_SIZE(lens); l++) {
		req->type = l % 2 ? IN : OUT;
		req->data_len = lens[l];
		for (b = 0; b < ARRAY_SIZE(blocks); b++) {
			bool ok;

			limits.block_mask = blocks[b] - 1;
			ok = vhost_blk_limits_check(&limits, req->type, sector,
						    lens[l]) ==
			     VHOST_BLK_FAULT_NONE;
			any |= ok;
			if (ok == (model_check_rw(req, &limits) == MODEL_GOOD))
				continue;
			ksft_log("capacity %#llx sector %#llx: %llu/%u",
				 capacity, sector, lens[l], blocks[b]);
			ASSERT_FALSE(ok);
			ASSERT_TRUE(ok);
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
		enum vhost_blk_fault fault;
	} cases[] = {
		{ 0, 512, VHOST_BLK_FAULT_NONE },
		{ 99, 512, VHOST_BLK_FAULT_NONE },
		{ 0, 51200, VHOST_BLK_FAULT_NONE },
		{ 99, 1024, VHOST_BLK_FAULT_RANGE },
		{ 98, 1024, VHOST_BLK_FAULT_NONE },
		{ 100, 512, VHOST_BLK_FAULT_RANGE },
		{ 1100, 512, VHOST_BLK_FAULT_RANGE },
		{ 0, 51712, VHOST_BLK_FAULT_RANGE },
		{ U64_MAX, 512, VHOST_BLK_FAULT_RANGE },
		{ U64_MAX, 1024, VHOST_BLK_FAULT_RANGE },
		{ U64_MAX - 7, 4096, VHOST_BLK_FAULT_RANGE },
		{ 1ULL << 55, 512, VHOST_BLK_FAULT_RANGE },
		{ (1ULL << 55) + 1, 512, VHOST_BLK_FAULT_RANGE },
		{ 1ULL << 63, 512, VHOST_BLK_FAULT_RANGE },
		{ 99, 1023, VHOST_BLK_FAULT_ALIGNMENT },
		{ 99, 1536, VHOST_BLK_FAULT_RANGE },
		{ 99, 511, VHOST_BLK_FAULT_ALIGNMENT },
		{ 99, 513, VHOST_BLK_FAULT_ALIGNMENT },
		{ 0, 0, VHOST_BLK_FAULT_ALIGNMENT },
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
		EXPECT_EQ(cases[i].fault,
			  vhost_blk_cmd_check_rw(self->cmd, &limits));
	}
	/* Pieces of which each would be in range. */
	begin(self, OUT, 99);
	seg(self, false, 0x4000, 512);
	seg(self, false, 0x8000, 512);
	seg(self, true, 0x1000, 1);
	EXPECT_PARSE(0);
	EXPECT_EQ(VHOST_BLK_FAULT_RANGE,
		  vhost_blk_cmd_check_rw(self->cmd, &limits));
}

TEST_F(cmd, logical_blocks_of_4096)
{
	static const struct {
		u64 sector;
		u32 sectors;
		enum vhost_blk_fault fault;
	} cases[] = {
		{ 8, 8, VHOST_BLK_FAULT_NONE },	    { 9, 1, VHOST_BLK_FAULT_ALIGNMENT },	{ 9, 9, VHOST_BLK_FAULT_ALIGNMENT },
		{ 17, 9, VHOST_BLK_FAULT_ALIGNMENT },   { 16, 4, VHOST_BLK_FAULT_ALIGNMENT },	{ 16, 12, VHOST_BLK_FAULT_ALIGNMENT },
		{ 9, 8, VHOST_BLK_FAULT_ALIGNMENT },    { 15, 8, VHOST_BLK_FAULT_ALIGNMENT },	{ 992, 8, VHOST_BLK_FAULT_NONE },
		{ 1000, 8, VHOST_BLK_FAULT_RANGE }, { 992, 16, VHOST_BLK_FAULT_RANGE }, { 0, 1000, VHOST_BLK_FAULT_NONE },
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
		EXPECT_EQ(cases[i].fault,
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
	EXPECT_EQ(VHOST_BLK_FAULT_READ_ONLY,
		  vhost_blk_cmd_check_rw(self->cmd, &limits));
	begin(self, IN, 0);
	seg(self, true, 0x4000, 513);
	EXPECT_PARSE(0);
	EXPECT_EQ(VHOST_BLK_FAULT_NONE, vhost_blk_cmd_check_rw(self->cmd, &limits));
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
