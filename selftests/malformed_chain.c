// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptor chains that do not parse. Each is given back with length 0,
 * nothing is written for it and nothing executed, and the next request is served.
 */
#define _GNU_SOURCE
#include "attached.h"

#define NEXT		VRING_DESC_F_NEXT
#define WRITE		VRING_DESC_F_WRITE
#define INDIRECT	VRING_DESC_F_INDIRECT

#define SECTOR 64

FIXTURE(chain) {
	struct attached a;
	struct gvq *vq;
	struct disk_stat before;
};

FIXTURE_SETUP(chain)
{
	attach(&self->a, NULL);
	self->vq = self->a.vq;
	ASSERT_EQ(0, disk_put_pattern(&self->a.d, SECTOR, 4096, 81));
}

/* After everything: the sectors that all these requests aim at are as before. */
FIXTURE_TEARDOWN(chain)
{
	EXPECT_EQ(0, still_serves(&self->a, self->vq));
	EXPECT_TRUE(disk_has_pattern(&self->a.d, SECTOR, 4096, 81));
	EXPECT_EQ(0, event_wait(self->vq->err, 0));
	detach_checked(&self->a);
}

/* A well-formed write or read, made but not yet queued: to be spoilt. */
static struct greq *good(struct gvq *vq, uint32_t type)
{
	struct greq *r = req_new(vq, type, SECTOR);

	ASSERT_EQ(0, req_frame(r, type == VIRTIO_BLK_T_IN ? "16 / 2048 2048 1" :
							    "16 2048 2048 / 1"));
	ASSERT_EQ(0, req_make(r));
	return r;
}

static void run(struct greq *r)
{
	req_queue(r);
	vq_publish_kick(r->vq);
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
}

static void expect_malformed(struct greq *r)
{
	run(r);
	EXPECT_EQ(0, req_check_malformed(r));
	EXPECT_EQ(0, vq_check(r->vq));
	req_free(r);
}

/* Rewrites the i-th descriptor of a direct chain. */
static void respecify(struct greq *r, unsigned int i, uint16_t flags,
		      uint16_t next)
{
	vq_desc(r->vq, r->desc[i], r->piece[i].gpa, r->piece[i].len, flags, next);
}

static uint16_t write_flag(const struct greq *r, unsigned int i)
{
	return r->piece[i].writable ? WRITE : 0;
}

TEST_F(chain, next_outside_the_table)
{
	const uint16_t next[] = {
		self->vq->num, self->vq->num + 5, 0x8000, 0xffff,
	};
	unsigned int i, at;
	struct greq *r;

	for (i = 0; i < ARRAY_SIZE(next); i++) {
		for (at = 0; at < 4; at++) {
			r = good(self->vq, at % 2 ? VIRTIO_BLK_T_OUT :
				 VIRTIO_BLK_T_IN);
			respecify(r, at, write_flag(r, at) | NEXT, next[i]);
			expect_malformed(r);
		}
	}
}

TEST_F(chain, loops)
{
	struct greq *r;

	r = good(self->vq, VIRTIO_BLK_T_OUT);		/* 0 -> 0 */
	respecify(r, 0, NEXT, r->desc[0]);
	expect_malformed(r);
	r = good(self->vq, VIRTIO_BLK_T_OUT);		/* 0 -> 1 -> 0 */
	respecify(r, 1, NEXT, r->desc[0]);
	expect_malformed(r);
	r = good(self->vq, VIRTIO_BLK_T_IN);		/* 3 -> 1 */
	respecify(r, 3, WRITE | NEXT, r->desc[1]);
	expect_malformed(r);
	r = good(self->vq, VIRTIO_BLK_T_IN);		/* 3 -> 3 */
	respecify(r, 3, WRITE | NEXT, r->desc[3]);
	expect_malformed(r);
}

/* A loop costs a bounded walk. The limit is one for emulated processors. */
TEST_F(chain, loops_take_no_long_time)
{
	uint64_t before = worker_cpu_us(), spent;
	unsigned int i;

	for (i = 0; i < 200; i++) {
		struct greq *r = good(self->vq, VIRTIO_BLK_T_IN);

		respecify(r, 3, WRITE | NEXT, r->desc[1]);
		expect_malformed(r);
	}
	spent = worker_cpu_us() - before;
	ksft_log("%llu us of processor time per loop",
		 (unsigned long long)spent / 200);
	EXPECT_LT(spent / 200, 5000 * ksft_scale());
}

/* Like good(), through a table with @extra unused entries. */
static struct greq *good_indirect(struct gvq *vq, uint32_t type)
{
	struct greq *r = req_new(vq, type, SECTOR);

	ASSERT_EQ(0, req_frame(r, type == VIRTIO_BLK_T_IN ? "16 / 2048 2048 1" :
							    "16 2048 2048 / 1"));
	r->indirect = true;
	ASSERT_EQ(0, req_make(r));
	return r;
}

/* Writes entry i of the table anew. */
static void respecify_entry(struct greq *r, unsigned int i, uint16_t flags,
			    uint16_t next)
{
	r->table_is[i].flags = flags;
	r->table_is[i].next = next;
	guest_write(r->vq->g, r->table, r->table_is,
		    r->table_n * sizeof(*r->table_is));
}

TEST_F(chain, next_outside_an_indirect_table)
{
	static const uint16_t next[] = { 4, 5, 255, 256, 0x8000, 0xffff };
	unsigned int i, at;
	struct greq *r;

	for (i = 0; i < ARRAY_SIZE(next); i++) {
		for (at = 0; at < 4; at++) {
			r = good_indirect(self->vq, VIRTIO_BLK_T_IN);
			respecify_entry(r, at, write_flag(r, at) | NEXT, next[i]);
			expect_malformed(r);
		}
	}
}

TEST_F(chain, loops_in_an_indirect_table)
{
	struct greq *r;
	unsigned int at;

	for (at = 0; at < 4; at++) {
		r = good_indirect(self->vq, VIRTIO_BLK_T_OUT);
		respecify_entry(r, at, write_flag(r, at) | NEXT, at);
		expect_malformed(r);
		r = good_indirect(self->vq, VIRTIO_BLK_T_IN);
		respecify_entry(r, at, write_flag(r, at) | NEXT, at ? at - 1 : 0);
		expect_malformed(r);
	}
}

TEST_F(chain, table_within_a_table)
{
	unsigned int at;
	struct greq *r;

	for (at = 0; at < 4; at++) {
		r = good_indirect(self->vq, VIRTIO_BLK_T_OUT);
		respecify_entry(r, at, INDIRECT | write_flag(r, at) |
				(at < 3 ? NEXT : 0), at + 1);
		expect_malformed(r);
		r = good_indirect(self->vq, VIRTIO_BLK_T_IN);
		respecify_entry(r, at, INDIRECT, 0);
		expect_malformed(r);
	}
}

TEST_F(chain, table_that_is_not_the_end)
{
	struct greq *r = good_indirect(self->vq, VIRTIO_BLK_T_IN);
	int more = vq_desc_get(self->vq);

	vq_desc(self->vq, more, r->piece[3].gpa, 1, WRITE, 0);
	vq_desc(self->vq, r->desc[0], r->table, r->table_n * 16, INDIRECT | NEXT,
		more);
	expect_malformed(r);
	vq_desc_put(self->vq, more);
	r = good_indirect(self->vq, VIRTIO_BLK_T_OUT);
	vq_desc(self->vq, r->desc[0], r->table, r->table_n * 16,
		INDIRECT | NEXT | WRITE, r->desc[0]);
	expect_malformed(r);
}

TEST_F(chain, table_of_no_whole_number_of_entries)
{
	static const uint32_t len[] = {
		0, 1, 8, 15, 17, 20, 63, 65, 16 * 65537, 0xffffffff, 0x80000000,
		0xfffffff0,
	};
	unsigned int i;
	struct greq *r;

	for (i = 0; i < ARRAY_SIZE(len); i++) {
		r = good_indirect(self->vq, VIRTIO_BLK_T_OUT);
		vq_desc(self->vq, r->desc[0], r->table, len[i], INDIRECT, 0);
		expect_malformed(r);
	}
}

TEST_F(chain, table_too_long)
{
	static const unsigned int entries[] = {
		VHOST_BLK_MAX_DESC + 1, 2048, 65536,
	};
	struct guest *g = self->a.g;
	struct vring_desc *table = calloc(65536, sizeof(*table));
	uint64_t at, buf;
	unsigned int i, k;
	struct greq *r;
	int head;

	ASSERT_TRUE(table);
	ASSERT_EQ(0, guest_alloc(g, G_BULK, 1 << 20, -1, 16, &at));
	ASSERT_EQ(0, guest_alloc(g, G_LOW, 16, -1, 16, &buf));
	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		for (k = 0; k < entries[i]; k++) {
			table[k].addr = buf;
			table[k].len = 16;
			table[k].flags = k + 1 < entries[i] ? NEXT : 0;
			table[k].next = k + 1;
		}
		guest_write(g, at, table, entries[i] * sizeof(*table));
		head = vq_desc_get(self->vq);
		vq_desc(self->vq, head, at, entries[i] * sizeof(*table), INDIRECT,
			0);
		r = req_raw(self->vq, head);
		vq_publish_kick(self->vq);
		ASSERT_TRUE(req_wait(r, G_WAIT_MS));
		EXPECT_EQ(0, r->used_len);
		/* a short chain in a table that long is no better */
		table[0].flags = 0;
		guest_write(g, at, table, sizeof(*table));
		r = req_raw(self->vq, head);
		vq_publish_kick(self->vq);
		ASSERT_TRUE(req_wait(r, G_WAIT_MS));
		EXPECT_EQ(0, r->used_len);
		vq_desc_put(self->vq, head);
	}
	guest_free_range(g, at, 1 << 20);
	guest_free_range(g, buf, 16);
	free(table);
}

TEST_F(chain, table_outside_memory)
{
	const uint64_t addresses[] = {
		0xb0000, 1ULL << 40, -64ULL, -1ULL, 1ULL << 63, 0xaffff,
	};
	unsigned int i;
	struct greq *r;

	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		r = good_indirect(self->vq, VIRTIO_BLK_T_OUT);
		vq_desc(self->vq, r->desc[0], addresses[i], r->table_n * 16,
			INDIRECT, 0);
		expect_malformed(r);
	}
}

TEST_F(chain, readable_after_writable)
{
	struct greq *r;

	r = good(self->vq, VIRTIO_BLK_T_IN);
	respecify(r, 0, WRITE | NEXT, r->desc[1]);
	respecify(r, 1, NEXT, r->desc[2]);
	expect_malformed(r);
	r = good(self->vq, VIRTIO_BLK_T_OUT);
	respecify(r, 1, WRITE | NEXT, r->desc[2]);
	expect_malformed(r);
	r = good(self->vq, VIRTIO_BLK_T_IN);
	respecify(r, 3, 0, 0);
	expect_malformed(r);
	r = good_indirect(self->vq, VIRTIO_BLK_T_OUT);
	respecify_entry(r, 1, WRITE | NEXT, 2);
	expect_malformed(r);
}

/* Nowhere to put a status: not even executed. */
TEST_F(chain, nothing_writable)
{
	static const uint32_t types[] = {
		VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
		VIRTIO_BLK_T_GET_ID, 77,
	};
	unsigned int i, indirect;
	struct greq *r;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		for (indirect = 0; indirect < 2; indirect++) {
			r = req_new(self->vq, types[i], SECTOR);
			ASSERT_EQ(0, req_frame(r, "16 4096"));
			r->indirect = indirect;
			ASSERT_EQ(0, req_make(r));
			expect_malformed(r);
		}
	}
	r = req_new(self->vq, VIRTIO_BLK_T_OUT, SECTOR);
	ASSERT_EQ(0, req_frame(r, "16 4096 / 0"));
	ASSERT_EQ(0, req_make(r));
	expect_malformed(r);
}

/* Too little of a header to know what is asked for: an error, not executed. */
TEST_F(chain, header_too_short)
{
	static const char * const frames[] = {
		"/ 1", "/ 4097", "0 / 1", "1 / 1", "15 / 1", "8 7 / 1",
		"15 / 4096 1", "1x15 / 1",
	};
	unsigned int i, type;
	struct greq *r;

	for (i = 0; i < ARRAY_SIZE(frames); i++) {
		for (type = 0; type < 2; type++) {
			r = req_new(self->vq, type, SECTOR);
			ASSERT_EQ(0, req_frame(r, frames[i]));
			ASSERT_EQ(0, req_make(r));
			run(r);
			EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_IOERR));
			EXPECT_EQ(0, req_check_untouched(r));
			req_free(r);
		}
	}
}

/* Descriptors without bytes are no descriptors. */
TEST_F(chain, empty_descriptors_are_ignored)
{
	static const char * const frames[] = {
		"0 16 / 4096 1", "16 0 / 4096 1", "16 / 0 4096 1",
		"16 / 4096 0 1", "16 / 4096 1 0", "0 0 8 0 8 / 0 4096 0 1 0 0",
		"16 / 4096 1 0=0xffffffffffffffff", "0=0xb0000 16 / 4096 1",
		"16 / 4097 0 0 0 0 0 0 0 0",
	};
	unsigned int i, indirect;
	char data[4096];
	struct greq *r;

	for (i = 0; i < ARRAY_SIZE(frames); i++) {
		for (indirect = 0; indirect < 2; indirect++) {
			r = req_new(self->vq, VIRTIO_BLK_T_IN, SECTOR);
			ASSERT_EQ(0, req_frame(r, frames[i]));
			r->indirect = indirect;
			ASSERT_EQ(0, req_make(r));
			run(r);
			if (req_check(r, VIRTIO_BLK_S_OK)) {
				ksft_log("\"%s\"", frames[i]);
				EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
			}
			req_get_data(r, data, sizeof(data));
			EXPECT_EQ(-1, pattern_check(data, sizeof(data), SECTOR,
						    81));
			req_free(r);
		}
	}
}

/* All of the ring in bad chains at once, and good ones between them. */
TEST_F(chain, good_requests_among_bad_ones)
{
	struct greq *r[30];
	unsigned int i, round;

	for (round = 0; round < 10; round++) {
		for (i = 0; i < ARRAY_SIZE(r); i++) {
			r[i] = good(self->vq, VIRTIO_BLK_T_IN);
			if (i % 3 == 1)
				respecify(r[i], 2, WRITE | NEXT, 0xffff);
			else if (i % 3 == 2)
				respecify(r[i], 1, WRITE | NEXT, r[i]->desc[1]);
			req_queue(r[i]);
		}
		vq_publish_kick(self->vq);
		ASSERT_TRUE(vq_wait_idle(self->vq, G_WAIT_MS));
		for (i = 0; i < ARRAY_SIZE(r); i++) {
			if (i % 3)
				EXPECT_EQ(0, req_check_malformed(r[i]));
			else
				EXPECT_EQ(0, req_check(r[i], VIRTIO_BLK_S_OK));
			req_free(r[i]);
		}
	}
}

/* Whatever the flags, next and len of three descriptors: no crash, no leak. */
TEST_F(chain, random_descriptors)
{
	struct guest *g = self->a.g;
	struct gvq *vq = self->vq;
	unsigned int round, i;
	uint64_t buf[4];

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, guest_alloc(g, G_BULK, 8192, 0, 1, &buf[i]));
	for (round = 0; round < 3000; round++) {
		struct virtio_blk_outhdr hdr = {
			.type = round & 1 ? VIRTIO_BLK_T_IN : 200 + round % 7,
			.sector = SECTOR,
		};
		struct greq *r;

		guest_write(g, buf[0], &hdr, sizeof(hdr));
		for (i = 0; i < 6; i++) {
			uint64_t dice = guest_random(g);
			uint64_t addr = buf[dice % 4];
			uint32_t len = (dice >> 8) % 4097;
			uint16_t next = (dice >> 24) % 6;

			if ((dice >> 32) % 16 == 0)
				addr = guest_random(g);
			if ((dice >> 36) % 16 == 0)
				len = guest_random(g) % (1 << 30) + (1 << 30);
			if ((dice >> 40) % 16 == 0)
				next = guest_random(g);
			if (i == 0 && (dice >> 44) % 4)
				addr = buf[0], len = 16;
			vq_desc(vq, i, addr, len, (dice >> 52) % 8, next);
		}
		r = req_raw(vq, round % 6);
		vq_publish_kick(vq);
		ASSERT_TRUE(req_wait(r, G_WAIT_MS));
		ASSERT_LE(r->used_len, 4097 * 6);
		req_free(r);
	}
	for (i = 0; i < 4; i++)
		guest_free_range(g, buf[i], 8192);
}

FIXTURE(without_indirect) {
	struct attached a;
};

FIXTURE_SETUP(without_indirect)
{
	static const struct guest_opts opts = {
		.features = G_FEATURES & ~G_INDIRECT,
	};

	attach(&self->a, &opts);
}

FIXTURE_TEARDOWN(without_indirect)
{
	EXPECT_EQ(0, still_serves(&self->a, self->a.vq));
	detach_checked(&self->a);
}

TEST_F(without_indirect, tables_not_negotiated_are_malformed)
{
	expect_malformed(good_indirect(self->a.vq, VIRTIO_BLK_T_IN));
	expect_malformed(good_indirect(self->a.vq, VIRTIO_BLK_T_OUT));
}

TEST_HARNESS_MAIN
