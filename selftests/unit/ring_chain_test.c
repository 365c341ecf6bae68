// SPDX-License-Identifier: GPL-2.0-only
/* The module's ring.c: descriptor chains, good and malformed. */
#include "ring_fixture.h"

/* The chain at descriptor 0 is refused; it is gone, and the ring works. */
static void expect_malformed(struct rig *rig)
{
	u16 last = rig->ring.last_avail;
	u16 used = rig->ring.used_idx;

	rig->chain->id = 0xaaaa;
	rig_avail(rig, 0);
	rig_show(rig);
	snapshot_take(rig);
	ASSERT_EQ(-EBADMSG, pop(rig));
	snapshot_check(rig);
	EXPECT_EQ(0, rig->chain->id);
	EXPECT_EQ((u16)(last + 1), rig->ring.last_avail);
	EXPECT_EQ(used, rig->ring.used_next);
	vhost_blk_ring_push(&rig->ring, rig->chain->id, 0);
	vhost_blk_ring_publish(&rig->ring);
	expect_served(rig);
}

/* The chain at descriptor 0 is taken. */
static void expect_good(struct rig *rig, unsigned int nr_out,
			unsigned int nr_in)
{
	const struct vhost_blk_chain *c = rig->chain;
	u64 out = 0, in = 0;
	unsigned int i;

	rig_avail(rig, 0);
	rig_show(rig);
	snapshot_take(rig);
	ASSERT_EQ(1, pop(rig));
	snapshot_check(rig);
	EXPECT_EQ(0, c->id);
	ASSERT_EQ(nr_out, c->nr_out);
	ASSERT_EQ(nr_in, c->nr_in);
	for (i = 0; i < nr_out + nr_in; i++)
		*(i < nr_out ? &out : &in) += c->seg[i].len;
	EXPECT_EQ(out, c->out_len);
	EXPECT_EQ(in, c->in_len);
	finish(rig);
}

TEST_F(ring, next_outside_the_table)
{
	static const u16 nexts[] = { 16, 21, 0x7fff, 0x8000, 0xffff };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nexts); i++) {
		rig_desc(self->rig, 0, 0x1000, 16, NEXT, nexts[i]);
		expect_malformed(self->rig);
		rig_desc(self->rig, 0, 0x1000, 16, NEXT, 1);
		rig_desc(self->rig, 1, 0x2000, 16, NEXT | WRITE, nexts[i]);
		expect_malformed(self->rig);
		/* Without the flag it says nothing. */
		rig_desc(self->rig, 1, 0x2000, 16, WRITE, nexts[i]);
		expect_good(self->rig, 1, 1);
	}
}

TEST_F(ring, chain_runs_in_a_circle)
{
	struct rig *rig = self->rig;
	unsigned int from, to, len;

	/* Chains of each length that lead back to each of their parts. */
	for (len = 0; len < 2; len++) {
		for (from = 0; from < 16; from++) {
			for (to = 0; to <= from; to++) {
				unsigned int i;

				for (i = 0; i < from; i++)
					rig_desc(rig, i, 0x1000, len, NEXT,
						 i + 1);
				rig_desc(rig, from, 0x1000, len, NEXT, to);
				rig_avail(rig, 0);
				rig_show(rig);
				ASSERT_EQ(-EBADMSG, pop(rig));
				finish(rig);
			}
		}
	}
	expect_served(rig);

	/* In the largest ring, in bounded steps. */
	ring_resize(self, variant, 1024, false);
	rig = self->rig;
	rig_desc(rig, 0, 0x1000, 0, NEXT, 1);
	rig_desc(rig, 1, 0x1000, 0, NEXT, 0);
	rig_avail(rig, 0);
	rig_show(rig);
	trace_start();
	ASSERT_EQ(-EBADMSG, pop(rig));
	trace_stop();
	EXPECT_LE(traced(UNIT_LOAD, &rig->desc[0].addr, NULL), 512);
}

TEST_F(ring, chain_as_long_as_the_ring)
{
	unsigned int num, i;

	for (num = 1; num <= VHOST_BLK_MAX_DESC; num *= 2) {
		struct rig *rig;

		ring_resize(self, variant, num, false);
		rig = self->rig;
		for (i = 0; i < num; i++) {
			/* 0, then from the end to 1 */
			unsigned int n = i ? num - i : 0;

			rig_desc(rig, n, 0x1000 * n, 1 + n,
				 (i < num / 2 ? 0 : WRITE) |
					 (i == num - 1 ? 0 : NEXT),
				 num - 1 - i);
		}
		expect_good(rig, num / 2, num - num / 2);
		for (i = 0; i < num; i++) {
			unsigned int n = i ? num - i : 0;

			ASSERT_EQ(0x1000 * n, rig->chain->seg[i].gpa);
			ASSERT_EQ(1 + n, rig->chain->seg[i].len);
		}
	}
}

TEST_F(ring, readable_after_writable)
{
	struct rig *rig = self->rig;

	rig_desc(rig, 0, 0x1000, 16, NEXT | WRITE, 1);
	rig_desc(rig, 1, 0x2000, 16, 0, 0);
	expect_malformed(rig);
	rig_desc(rig, 1, 0x2000, 16, NEXT, 2);
	rig_desc(rig, 2, 0x3000, 16, WRITE, 0);
	expect_malformed(rig);
	/* Across the border of a table. */
	rig_desc(rig, 1, 0x4000, 16, INDIRECT, 0);
	rig_entry(rig, 0x4000, 0, 0x2000, 16, 0, 0);
	expect_malformed(rig);
	rig_entry(rig, 0x4000, 0, 0x2000, 16, WRITE, 0);
	expect_good(rig, 0, 2);
}

TEST_F(ring, empty_descriptors_do_not_count)
{
	struct rig *rig = self->rig;

	rig_desc(rig, 0, 0xbad, 0, NEXT | WRITE, 1);
	rig_desc(rig, 1, 0x1000, 16, NEXT, 2);
	rig_desc(rig, 2, 0xbad, 0, NEXT, 3);
	rig_desc(rig, 3, 0x2000, 1, NEXT | WRITE, 4);
	rig_desc(rig, 4, 0xbad, 0, NEXT, 5);
	rig_desc(rig, 5, U64_MAX, 0, 0, 0);
	expect_good(rig, 1, 1);
	EXPECT_EQ(0x1000, rig->chain->seg[0].gpa);
	EXPECT_EQ(0x2000, rig->chain->seg[1].gpa);
	/* Nothing but empty ones: a chain without any byte. */
	rig_desc(rig, 0, 0xbad, 0, 0, 0);
	expect_good(rig, 0, 0);
}

TEST_F(ring, unknown_flags_are_ignored)
{
	struct rig *rig = self->rig;

	rig_desc(rig, 0, 0x1000, 16, 0xfff8 | NEXT, 1);
	rig_desc(rig, 1, 0x2000, 16, 0xfff8 | WRITE, 0);
	expect_good(rig, 1, 1);
}

/* Indirect tables */

TEST_F(ring, table_although_not_negotiated)
{
	ring_resize(self, variant, 16, false);
	rig_desc(self->rig, 0, 0x4000, 16, INDIRECT, 0);
	rig_entry(self->rig, 0x4000, 0, 0x2000, 16, WRITE, 0);
	expect_malformed(self->rig);
	rig_desc(self->rig, 0, 0x1000, 16, NEXT, 1);
	rig_desc(self->rig, 1, 0x4000, 16, INDIRECT, 0);
	expect_malformed(self->rig);
}

TEST_F(ring, table_in_each_position)
{
	struct rig *rig = self->rig;
	unsigned int direct, entries, i;

	for (direct = 0; direct < 15; direct++) {
		for (entries = 1; entries < 40; entries++) {
			for (i = 0; i < direct; i++)
				rig_desc(rig, i, i, 1, NEXT, i + 1);
			/* WRITE on the descriptor of a table is ignored. */
			rig_desc(rig, direct, 0x4001, entries * 16,
				 INDIRECT | (entries % 2 ? WRITE : 0), 0xffff);
			for (i = 0; i < entries; i++)
				rig_entry(rig, 0x4001, i, direct + i, 2,
					  (i + 1 < entries ? NEXT : 0) |
						  (i ? WRITE : 0),
					  i + 1);
			expect_good(rig, direct + 1, entries - 1);
			for (i = 0; i < direct + entries; i++) {
				ASSERT_EQ(i, rig->chain->seg[i].gpa);
				ASSERT_EQ(i < direct ? 1 : 2,
					  rig->chain->seg[i].len);
			}
		}
	}
}

/* The table starts with entry 0 and its chain need not use all of it. */
TEST_F(ring, table_larger_than_its_chain)
{
	struct rig *rig = self->rig;

	rig_desc(rig, 0, 0x4000, 8 * 16, INDIRECT, 0);
	rig_entry(rig, 0x4000, 0, 0x1000, 16, NEXT, 5);
	rig_entry(rig, 0x4000, 1, 0xbad, 16, INDIRECT, 0xffff);
	rig_entry(rig, 0x4000, 5, 0x2000, 16, WRITE | NEXT, 2);
	rig_entry(rig, 0x4000, 2, 0x3000, 1, WRITE, 7);
	expect_good(rig, 1, 2);
	EXPECT_EQ(0x1000, rig->chain->seg[0].gpa);
	EXPECT_EQ(0x2000, rig->chain->seg[1].gpa);
	EXPECT_EQ(0x3000, rig->chain->seg[2].gpa);
}

TEST_F(ring, table_with_next)
{
	struct rig *rig = self->rig;

	rig_entry(rig, 0x4000, 0, 0x2000, 16, WRITE, 0);
	rig_desc(rig, 0, 0x4000, 16, INDIRECT | NEXT, 1);
	rig_desc(rig, 1, 0x4000, 16, WRITE, 0);
	expect_malformed(rig);
	rig_desc(rig, 1, 0x4000, 16, INDIRECT, 0);
	expect_malformed(rig);
	rig_desc(rig, 0, 0x4000, 16, INDIRECT | NEXT | WRITE, 0);
	expect_malformed(rig);
}

TEST_F(ring, table_inside_a_table)
{
	struct rig *rig = self->rig;
	unsigned int at, i;

	rig_entry(rig, 0x6000, 0, 0x2000, 16, WRITE, 0);
	for (at = 0; at < 3; at++) {
		rig_desc(rig, 0, 0x4000, 3 * 16, INDIRECT, 0);
		for (i = 0; i < 3; i++)
			rig_entry(rig, 0x4000, i, 0x1000, 16, i < 2 ? NEXT : 0,
				  i + 1);
		rig_entry(rig, 0x4000, at, 0x6000, 16, INDIRECT, 0);
		expect_malformed(rig);
		rig_entry(rig, 0x4000, at, 0x6000, 16, INDIRECT | NEXT, 2);
		expect_malformed(rig);
		rig_entry(rig, 0x4000, at, 0x4000, 3 * 16, INDIRECT | WRITE, 0);
		expect_malformed(rig);
	}
}

TEST_F(ring, table_of_a_wrong_length)
{
	static const u32 lens[] = { 0,		1,	    8,
				    15,		17,	    20,
				    24,		16 * 1025,  16 * 32768,
				    16 * 65536, 16 * 65537, 0x7ffffff0,
				    0x80000000, 0xfffffff0, 0xffffffff };
	struct rig *rig = self->rig;
	u64 big = rig->mem->region[RIG_BIG].guest_phys_addr;
	unsigned int i;

	rig_entry(rig, big, 0, 0x1000, 16, WRITE, 0);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		rig_desc(rig, 0, big, lens[i], INDIRECT, 0);
		expect_malformed(rig);
	}
	/* What comes before it makes no difference. */
	rig_desc(rig, 0, 0x1000, 16, NEXT, 1);
	rig_desc(rig, 1, big, 8, INDIRECT, 0);
	expect_malformed(rig);
	rig_desc(rig, 1, big, 16 * 1024, INDIRECT, 0);
	expect_good(rig, 1, 1);
}

TEST_F(ring, table_with_a_bad_chain)
{
	struct rig *rig = self->rig;

	rig_desc(rig, 0, 0x4000, 3 * 16, INDIRECT, 0);
	/* Next outside the table, though inside the ring. */
	rig_entry(rig, 0x4000, 0, 0x1000, 16, NEXT, 3);
	rig_entry(rig, 0x4000, 1, 0x1000, 16, NEXT, 0);
	rig_entry(rig, 0x4000, 2, 0x1000, 16, WRITE, 0);
	rig_entry(rig, 0x4000, 3, 0x1000, 16, WRITE, 0);
	expect_malformed(rig);
	rig_entry(rig, 0x4000, 0, 0x1000, 16, NEXT, 0xffff);
	expect_malformed(rig);
	/* Circles. */
	rig_entry(rig, 0x4000, 0, 0x1000, 16, NEXT, 0);
	expect_malformed(rig);
	rig_entry(rig, 0x4000, 0, 0x1000, 0, NEXT, 1);
	expect_malformed(rig);
	rig_entry(rig, 0x4000, 0, 0x1000, 16, NEXT, 1);
	expect_malformed(rig);
	rig_entry(rig, 0x4000, 0, 0x1000, 16, NEXT, 2);
	expect_good(rig, 1, 1);
}

/* Where the table may lie: five entries at @gpa. */
static void table_at(struct rig *rig, u64 gpa, bool good)
{
	unsigned int i;

	for (i = 0; i < 5; i++)
		rig_entry(rig, gpa, i, 0x100 * i, 16,
			  (i < 4 ? NEXT : 0) | (i > 2 ? WRITE : 0), i + 1);
	rig_desc(rig, 0, gpa, 5 * 16, INDIRECT, 0);
	if (!good) {
		expect_malformed(rig);
		return;
	}
	expect_good(rig, 3, 2);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(0x100 * i, rig->chain->seg[i].gpa);
}

TEST_F(ring, table_anywhere_in_memory)
{
	struct rig *rig = self->rig;
	unsigned int i;

	for (i = 0; i < 16; i++)
		table_at(rig, 0x4000 + i, true);
	/* Every cut by a border of regions. */
	for (i = 0; i <= 5 * 16; i++) {
		table_at(rig, 0x10000 - i, true);
		table_at(rig, 0x14000 - i, true);
		table_at(rig, RIG_HOLE - i, i == 5 * 16);
		table_at(rig, RIG_HOLE + RIG_HOLE_LEN - i, i == 0);
		/* The end of the address space: 0 does not come next. */
		table_at(rig, -(u64)i, i == 0 || i == 5 * 16);
	}
	table_at(rig, 0, true);
	table_at(rig, RIG_HOLE + 0x100, false);
	table_at(rig, 0x20000, false);
	table_at(rig, 1ULL << 63, false);
}

TEST_F(ring, table_that_cannot_be_read)
{
	struct rig *rig = self->rig;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		unit_fault.at = (uintptr_t)rig_at(rig->mem, 0x4000 + 20 * i);
		unit_fault.len = 1;
		rig_mem_change(rig->mem);
		table_at(rig, 0x4000, i == 4);
	}
}

TEST_F(ring, chain_of_too_many)
{
	unsigned int direct, entries, i, at;

	for (direct = 0; direct < 1024; direct += 341) {
		struct rig *rig;

		ring_resize(self, variant, 1024, true);
		rig = self->rig;
		for (at = 1; at <= 3; at++) {
			entries = 1022 - direct + at;
			if (!entries || entries > 1024)
				continue;
			for (i = 0; i < direct; i++)
				rig_desc(rig, i, i, U32_MAX, NEXT, i + 1);
			rig_desc(rig, direct, 0x4000, 16 * entries, INDIRECT,
				 0);
			for (i = 0; i < entries; i++)
				rig_entry(rig, 0x4000, i, i, U32_MAX,
					  i + 1 < entries ? NEXT : 0, i + 1);
			if (at <= 2)
				expect_good(rig, direct + entries, 0);
			else
				expect_malformed(rig);
			/* An empty one among them is not counted. */
			if (at == 3) {
				rig_entry(rig, 0x4000, 0, 0, 0, NEXT, 1);
				rig_desc(rig, direct, 0x4000, 16 * entries,
					 INDIRECT, 0);
				expect_good(rig, 1024, 0);
				EXPECT_EQ(1024 * (u64)U32_MAX,
					  rig->chain->out_len);
			}
		}
	}
}

TEST_F(ring, reads_everything_once)
{
	struct rig *rig = self->rig;
	const struct vhost_blk_chain *c = rig->chain;

	driver_acted = 0;
	rig_desc(rig, 4, 0x1000, 16, NEXT, 5);
	rig_desc(rig, 5, 0x4000, 3 * 16, INDIRECT, 0);
	rig_entry(rig, 0x4000, 0, 0x2000, 100, NEXT, 2);
	rig_entry(rig, 0x4000, 2, 0x3000, 200, NEXT | WRITE, 1);
	rig_entry(rig, 0x4000, 1, 0x5000, 1, WRITE, 0);
	rig_avail(rig, 4);
	rig_show(rig);
	unit_hook = driver_changes_it;
	ASSERT_EQ(1, pop(rig));
	unit_hook = NULL;
	/* index, entry, 2 descriptors, table; then its private copy */
	EXPECT_EQ(1 + 1 + 8 + 1 + 12, driver_acted);
	EXPECT_EQ(4, c->id);
	ASSERT_EQ(2, c->nr_out);
	ASSERT_EQ(2, c->nr_in);
	EXPECT_EQ(116, c->out_len);
	EXPECT_EQ(201, c->in_len);
	EXPECT_EQ(0x1000, c->seg[0].gpa);
	EXPECT_EQ(16, c->seg[0].len);
	EXPECT_EQ(0x2000, c->seg[1].gpa);
	EXPECT_EQ(100, c->seg[1].len);
	EXPECT_EQ(0x3000, c->seg[2].gpa);
	EXPECT_EQ(200, c->seg[2].len);
	EXPECT_EQ(0x5000, c->seg[3].gpa);
	EXPECT_EQ(1, c->seg[3].len);
}

TEST_HARNESS_MAIN
