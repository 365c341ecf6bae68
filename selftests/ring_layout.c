// SPDX-License-Identifier: GPL-2.0-only
/* Legal but unusual: where rings and tables lie and how chains are made. */
#define _GNU_SOURCE
#include "attached.h"

FIXTURE(chain) {
	struct attached a;
	struct gvq *vq;
};

FIXTURE_SETUP(chain)
{
	attach(&self->a, NULL);
	self->vq = self->a.vq;
}

FIXTURE_TEARDOWN(chain)
{
	detach_checked(&self->a);
}

static void shape_direct(struct greq *r, unsigned int i)
{
	(void)i;
	r->indirect = false;
}

/* Header direct, then the table; header and i pieces direct, then the table. */
static void shape_mixed(struct greq *r, unsigned int i)
{
	r->indirect = true;
	r->direct = 1 + i % (r->n - 1);
}

static void shape_indirect(struct greq *r, unsigned int i)
{
	(void)i;
	r->indirect = true;
}

static void shape_write_flag(struct greq *r, unsigned int i)
{
	r->indirect = true;
	r->direct = i % 3;
	r->table_flags = VRING_DESC_F_WRITE;
}

/* Any byte address will do for a table. */
static void shape_odd_table(struct greq *r, unsigned int i)
{
	static const int offsets[] = { 1, 8, 15, 4095, 4090, 17 };

	r->indirect = true;
	r->table_offset = offsets[i % ARRAY_SIZE(offsets)];
}

static void shape_straddling_table(struct greq *r, unsigned int i)
{
	r->indirect = true;
	r->direct = i % 3;
	r->table_straddles = true;
}

static void shape_high_table(struct greq *r, unsigned int i)
{
	(void)i;
	r->indirect = true;
	r->table_region = G_HIGH;
}

/* Writes and reads back in pieces, with the chain made by @shape. */
static void write_and_read(struct attached *a, const char *layout,
			   void (*shape)(struct greq *r, unsigned int i))
{
	size_t len = frame_total(layout);
	char *data = malloc(len), frame[300];
	unsigned int i;

	ASSERT_TRUE(data);
	for (i = 0; i < 12; i++) {
		bool out = i % 2 == 0;
		uint64_t sector = i / 2 * 64;
		struct greq *r = req_new(a->vq, out ? VIRTIO_BLK_T_OUT :
					 VIRTIO_BLK_T_IN, sector);

		snprintf(frame, sizeof(frame), out ? "16 %s / 1" : "16 / %s 1",
			 layout);
		ASSERT_EQ(0, req_frame(r, frame));
		pattern_fill(data, len, sector, 7);
		if (out)
			req_put_data(r, data, len);
		shape(r, i);
		ASSERT_EQ(0, req_submit(r));
		ASSERT_TRUE(req_wait(r, G_WAIT_MS));
		ASSERT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
		memset(data, 0, len);
		if (out)
			ASSERT_EQ(0, disk_read(&a->d, sector, data, len));
		else
			req_get_data(r, data, len);
		EXPECT_EQ(-1, pattern_check(data, len, sector, 7));
		req_free(r);
	}
	free(data);
	EXPECT_EQ(0, guest_check(a->g));
}

#define PIECES "100 3904 92 4096"	/* 8192 bytes */

TEST_F(chain, direct)
{
	write_and_read(&self->a, PIECES, shape_direct);
}

TEST_F(chain, indirect)
{
	write_and_read(&self->a, PIECES, shape_indirect);
}

TEST_F(chain, direct_descriptors_before_the_table)
{
	write_and_read(&self->a, PIECES, shape_mixed);
}

TEST_F(chain, write_flag_on_the_table_is_ignored)
{
	write_and_read(&self->a, PIECES, shape_write_flag);
}

TEST_F(chain, table_at_any_address)
{
	write_and_read(&self->a, PIECES, shape_odd_table);
}

TEST_F(chain, table_above_4_gib)
{
	write_and_read(&self->a, PIECES, shape_high_table);
}

TEST_F(chain, table_across_regions)
{
	write_and_read(&self->a, PIECES, shape_straddling_table);
}

TEST_F(chain, data_across_regions)
{
	/* ends and begins on odd addresses, and on whole blocks */
	write_and_read(&self->a, "8192^4096", shape_direct);
	write_and_read(&self->a, "8192^100 4096^512 4096", shape_indirect);
	/* across a whole region: ends in the one after next */
	write_and_read(&self->a, "69632^512", shape_direct);
	write_and_read(&self->a, "69632^2047", shape_mixed);
}

TEST_F(chain, header_and_status_across_regions)
{
	struct gvq *vq = self->vq;
	struct greq *r;
	unsigned int i;

	ASSERT_EQ(0, still_serves(&self->a, vq));
	for (i = 1; i < 16; i += 2) {
		char frame[64];

		/* last data byte before the border, the status after it */
		snprintf(frame, sizeof(frame), "16^%u / 4097^4096", i);
		r = req_new(vq, VIRTIO_BLK_T_IN, 0);
		ASSERT_EQ(0, req_frame(r, frame));
		r->indirect = i & 2;
		r->table_straddles = true;
		ASSERT_EQ(0, req_submit(r));
		ASSERT_TRUE(req_wait(r, G_WAIT_MS));
		EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
		req_free(r);
	}
}

TEST_F(chain, tables_and_rings_are_never_written)
{
	static const char * const frames[] = {
		"16 / 4096 1", "16 4096 / 1", "8 8 / 4000 97", "16 / 1", "16 / 20 1",
	};
	static const uint32_t types[] = {
		VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
		VIRTIO_BLK_T_GET_ID, 99,
	};
	struct greq *r[32];
	unsigned int i, round;

	/* guest_check() compares the rings, req_check() tables and buffers. */
	for (round = 0; round < 100; round++) {
		for (i = 0; i < ARRAY_SIZE(r); i++) {
			uint64_t dice = guest_random(self->a.g);

			r[i] = req_new(self->vq, types[dice % 5], dice % 32 * 8);
			ASSERT_EQ(0, req_frame(r[i], frames[dice / 8 % 5]));
			r[i]->indirect = dice & 256;
			r[i]->direct = r[i]->indirect && dice & 512;
			ASSERT_EQ(0, req_submit(r[i]));
		}
		ASSERT_TRUE(vq_wait_idle(self->vq, G_WAIT_MS));
		for (i = 0; i < ARRAY_SIZE(r); i++) {
			EXPECT_EQ(0, req_check(r[i], r[i]->status));
			req_free(r[i]);
		}
		ASSERT_EQ(0, vq_check(self->vq));
	}
}

/* A chain of @direct descriptors, and @table more in a table if not 0. */
static struct greq *long_chain(struct attached *a, unsigned int direct,
			       unsigned int table)
{
	unsigned int total = direct + (table ? table - 1 : 0);
	struct greq *r = req_new(a->vq, VIRTIO_BLK_T_IN, 0);
	char frame[100];

	/* total pieces: header, one-byte pieces, the rest, the status */
	snprintf(frame, sizeof(frame), "16 / 1x%u %u 1", total - 3,
		 4096 - (total - 3));
	ASSERT_EQ(0, req_frame(r, frame));
	ASSERT_EQ(total, r->n);
	if (table) {
		r->indirect = true;
		r->direct = direct - 1;
	}
	ASSERT_EQ(0, req_submit(r));
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	return r;
}

static void expect_long_chain_served(struct attached *a, unsigned int direct,
				     unsigned int table)
{
	char data[4096];
	struct greq *r;

	ASSERT_EQ(0, disk_put_pattern(&a->d, 0, sizeof(data), 3));
	r = long_chain(a, direct, table);
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	req_get_data(r, data, sizeof(data));
	EXPECT_EQ(-1, pattern_check(data, sizeof(data), 0, 3));
	req_free(r);
}

TEST_F(chain, as_long_as_the_ring)
{
	expect_long_chain_served(&self->a, 255, 0);
	expect_long_chain_served(&self->a, 256, 0);
}

TEST_F(chain, longer_than_the_ring_in_a_table)
{
	expect_long_chain_served(&self->a, 1, 257);
	expect_long_chain_served(&self->a, 1, VHOST_BLK_MAX_DESC);
	expect_long_chain_served(&self->a, 25, 1000);
}

TEST_F(chain, longer_than_promised_is_refused_not_cut)
{
	struct greq *r;

	r = long_chain(&self->a, 1, VHOST_BLK_MAX_DESC + 1);
	EXPECT_EQ(0, req_check_malformed(r));
	req_free(r);
	r = long_chain(&self->a, 100, VHOST_BLK_MAX_DESC - 50);
	EXPECT_EQ(0, req_check_malformed(r));
	req_free(r);
	EXPECT_EQ(0, still_serves(&self->a, self->vq));
}

TEST(chain_of_1024_direct_descriptors)
{
	static const struct guest_opts opts = { .num = 1024 };
	struct attached a = { 0 };

	attach(&a, &opts);
	expect_long_chain_served(&a, 1024, 0);
	detach_checked(&a);
}

FIXTURE(place) {
	struct attached a;
};

FIXTURE_VARIANT(place) {
	struct gplace place;
	unsigned int num;
};

FIXTURE_VARIANT_ADD(place, rings_in_three_regions) {
	{ G_HIGH, G_LOW, G_ISLE, false }, 256
};
FIXTURE_VARIANT_ADD(place, rings_in_one_page) {
	{ G_BULK, G_BULK, G_BULK, true }, 64
};
FIXTURE_VARIANT_ADD(place, rings_in_the_page_at_address_0) {
	{ G_LOW, G_LOW, G_LOW, false }, 16
};
FIXTURE_VARIANT_ADD(place, two_entries) {
	{ G_LOW, G_BULK, G_HIGH, false }, 2
};
FIXTURE_VARIANT_ADD(place, largest_above_4_gib) {
	{ G_HIGH, G_HIGH, G_HIGH, false }, 1024
};

FIXTURE_SETUP(place)
{
	struct guest_opts opts = {
		.num = variant->num, .place = &variant->place
	};

	attach(&self->a, &opts);
}

FIXTURE_TEARDOWN(place)
{
	detach_checked(&self->a);
}

TEST_F(place, serves_past_the_end_of_the_ring)
{
	unsigned int i;

	for (i = 0; i < 40; i++) {
		struct greq *r = req_new(self->a.vq, VIRTIO_BLK_T_IN, i * 8);

		ASSERT_EQ(0, req_frame(r, "16 / 4096 1"));
		r->indirect = true;
		ASSERT_EQ(0, req_submit(r));
		ASSERT_TRUE(req_wait(r, G_WAIT_MS));
		EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
		req_free(r);
	}
	EXPECT_EQ(0, still_serves(&self->a, self->a.vq));
}

/* Memory that comes and goes between requests: nothing stays pinned. */
TEST_F(place, data_pages_may_be_replaced_between_requests)
{
	struct gregion *bulk = &self->a.g->region[G_BULK];
	uint8_t *page = bulk->hva + (1 << 20);
	char frame[64];
	unsigned int i;
	struct greq *r;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, madvise(page, 64 << 10, MADV_DONTNEED));
		memset(page, G_CANARY, 64 << 10);
		snprintf(frame, sizeof(frame), "16 / 4096=%#llx 1",
			 (unsigned long long)(bulk->gpa + (1 << 20)));
		r = req_new(self->a.vq, VIRTIO_BLK_T_IN, 0);
		ASSERT_EQ(0, req_frame(r, frame));
		r->indirect = true;
		ASSERT_EQ(0, req_submit(r));
		ASSERT_TRUE(req_wait(r, G_WAIT_MS));
		EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
		req_free(r);
	}
}

TEST_HARNESS_MAIN
