// SPDX-License-Identifier: GPL-2.0-only
/* The module's ring.c: requests in, requests out, and damage to the ring. */
#include "ring_fixture.h"

TEST(sizes_of_the_areas)
{
	unsigned int num;

	for (num = 1; num <= 32768; num++) {
		ASSERT_EQ(16 * num, vhost_blk_ring_desc_size(num));
		ASSERT_EQ(6 + 2 * num, vhost_blk_ring_avail_size(num));
		ASSERT_EQ(6 + 8 * num, vhost_blk_ring_used_size(num));
	}
}

/* Batches of random size, used in another order, three times around and more. */
static void serve(struct rig *rig, u16 base, struct rng *rng)
{
	unsigned int left = 3 * rig->num + 20, num = rig->num;
	struct vring_used_elem *want = calloc(num, sizeof(*want));
	u16 *ids = calloc(num, sizeof(*ids));
	u16 idx = base;

	ASSERT_EQ(0, rig_start(rig, base));
	memset(rig->used->ring, 0x77, num * sizeof(*want));
	memset(want, 0x77, num * sizeof(*want));
	while (left) {
		unsigned int i, n = 1 + rng_below(rng, min(num, left));
		unsigned int step = rng_next(rng) | 1;
		unsigned int first = rng_next(rng);

		for (i = 0; i < n; i++) {
			unsigned int head = (first + i * step) % num;

			rig_desc(rig, head, head * 0x1000 + left, 1 + i, WRITE,
				 head);
			rig_avail(rig, head);
		}
		ASSERT_EQ(0, pop(rig));
		rig_show(rig);
		for (i = 0; i < n; i++) {
			unsigned int head = (first + i * step) % num;

			ASSERT_FALSE(vhost_blk_ring_empty(&rig->ring));
			ASSERT_EQ(1, pop(rig));
			ASSERT_EQ(head, rig->chain->id);
			ASSERT_EQ(1, rig->chain->nr_in);
			ASSERT_EQ(0, rig->chain->nr_out);
			ASSERT_EQ(head * 0x1000 + left, rig->chain->seg[0].gpa);
			ASSERT_EQ(1 + i, rig->chain->seg[0].len);
			ids[i] = head;
		}
		ASSERT_EQ(0, pop(rig));
		ASSERT_TRUE(vhost_blk_ring_empty(&rig->ring));
		for (i = n; i--; idx++) {
			struct vring_used_elem *e = &want[idx % num];
			u32 len = rng_next(rng);

			vhost_blk_ring_push(&rig->ring, ids[i], len);
			e->id = __cpu_to_virtio32(rig->le, ids[i]);
			e->len = __cpu_to_virtio32(rig->le, len);
		}
		ASSERT_EQ((u16)(idx - n), rig_used_idx(rig));
		ASSERT_EQ(n, vhost_blk_ring_publish(&rig->ring));
		ASSERT_EQ(idx, rig_used_idx(rig));
		ASSERT_FALSE(
			memcmp(want, rig->used->ring, num * sizeof(*want)));
		left -= n;
	}
	free(want);
	free(ids);
}

TEST_F(ring, serves_every_size_and_wraps)
{
	static const u16 bases[] = { 0, 1, 0x7ff0, 0xfc00, 0xfff0, 0xffff };
	struct rng rng = { .state = 1 };
	unsigned int num, i;

	for (num = 1; num <= VHOST_BLK_MAX_DESC; num *= 2) {
		ring_resize(self, variant, num, false);
		for (i = 0; i < ARRAY_SIZE(bases); i++)
			serve(self->rig, bases[i], &rng);
	}
}

TEST_F(ring, copies_chains_exactly)
{
	static const struct vhost_blk_seg want[] = {
		{ U64_MAX, 1 },
		{ 0, U32_MAX },
		{ 0x0123456789abcdef, 0x13579bdf },
		{ 5, U32_MAX },
	};
	struct rig *rig = self->rig;
	struct vhost_blk_chain *c = rig->chain;
	unsigned int i;

	rig_desc(rig, 3, want[0].gpa, want[0].len, NEXT, 15);
	rig_desc(rig, 15, want[1].gpa, want[1].len, NEXT, 0);
	rig_desc(rig, 0, want[2].gpa, want[2].len, NEXT | WRITE, 7);
	rig_desc(rig, 7, want[3].gpa, want[3].len, WRITE, 9);
	ASSERT_EQ(1, submit(rig, 3));
	EXPECT_EQ(3, c->id);
	ASSERT_EQ(2, c->nr_out);
	ASSERT_EQ(2, c->nr_in);
	EXPECT_EQ(1 + (u64)U32_MAX, c->out_len);
	EXPECT_EQ(0x13579bdf + (u64)U32_MAX, c->in_len);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(want[i].gpa, c->seg[i].gpa);
		EXPECT_EQ(want[i].len, c->seg[i].len);
	}
}

TEST_F(ring, empty)
{
	struct rig *rig = self->rig;
	unsigned int i;

	trace_start();
	for (i = 0; i < 100; i++) {
		EXPECT_EQ(0, pop(rig));
		EXPECT_TRUE(vhost_blk_ring_empty(&rig->ring));
		EXPECT_FALSE(vhost_blk_ring_kicks_on(&rig->ring));
	}
	trace_stop();
	EXPECT_EQ(0, traced_stores());

	/* An entry that is not covered by the index yet. */
	put_pair(rig, 0, 0x1000, 1);
	rig_avail(rig, 0);
	EXPECT_EQ(0, pop(rig));
	EXPECT_TRUE(vhost_blk_ring_empty(&rig->ring));
	EXPECT_FALSE(vhost_blk_ring_kicks_on(&rig->ring));
	rig_show(rig);
	EXPECT_FALSE(vhost_blk_ring_empty(&rig->ring));
	EXPECT_TRUE(vhost_blk_ring_kicks_on(&rig->ring));
	EXPECT_EQ(1, pop(rig));
	EXPECT_TRUE(vhost_blk_ring_empty(&rig->ring));
}

/* Start */

/* How many chains there are, seen without taking any. */
TEST_F(ring, fetch_counts_what_is_available)
{
	struct rig *rig = self->rig;
	struct vhost_blk_ring *ring = &rig->ring;
	unsigned int base, n, i;
	int idx, rmb;

	for (base = 0xfff0; base <= 0x10010; base++) {
		ASSERT_EQ(0, rig_start(rig, base));
		EXPECT_EQ(0, vhost_blk_ring_fetch(ring));
		for (i = 0; i < 5; i++) {
			put_pair(rig, 2 * i, 0x1000, 1);
			rig_avail(rig, 2 * i);
		}
		EXPECT_EQ(0, vhost_blk_ring_fetch(ring));
		rig_show(rig);
		trace_start();
		EXPECT_EQ(5, vhost_blk_ring_fetch(ring));
		trace_stop();
		EXPECT_EQ(1, traced(UNIT_LOAD, &rig->avail->idx, &idx));
		EXPECT_EQ(1, traced(UNIT_RMB, NULL, &rmb));
		EXPECT_GT(rmb, idx);
		EXPECT_EQ(0, traced_stores());
		EXPECT_EQ((u16)base, ring->last_avail);

		/* Five are left, and no more are looked for until then. */
		rig_set_idx(rig, base + 7);
		trace_start();
		for (n = 5; n; n--) {
			EXPECT_EQ(n, vhost_blk_ring_fetch(ring));
			EXPECT_EQ(1, pop(rig));
			EXPECT_EQ(2 * (5 - n), rig->chain->id);
		}
		trace_stop();
		EXPECT_EQ(0, traced(UNIT_LOAD, &rig->avail->idx, NULL));
		EXPECT_EQ(2, vhost_blk_ring_fetch(ring));
	}
}

TEST_F(ring, fetch_of_a_damaged_ring)
{
	struct rig *rig = self->rig;
	unsigned int ahead;

	for (ahead = 0; ahead < 0x10000; ahead += 1 + ahead / 64) {
		ASSERT_EQ(0, rig_start(rig, 0xfffa));
		rig_set_idx(rig, 0xfffa + ahead);
		EXPECT_EQ(ahead > rig->num ? -EPROTO : (int)ahead,
			  vhost_blk_ring_fetch(&rig->ring));
		EXPECT_EQ(0xfffa, rig->ring.last_avail);
		/* It is damaged until the index is good again. */
		if (ahead <= rig->num)
			continue;
		EXPECT_EQ(-EPROTO, vhost_blk_ring_fetch(&rig->ring));
		EXPECT_EQ(-EPROTO, pop(rig));
		rig_set_idx(rig, 0xfffa + 1);
		EXPECT_EQ(1, vhost_blk_ring_fetch(&rig->ring));
	}
}

TEST_F(ring, start_takes_what_a_stopped_ring_can_look_like)
{
	static const u16 used[] = { 0, 1, 0x7fff, 0x8000, 0xfff0, 0xffff };
	unsigned int num, i, ok;
	u32 base;

	for (num = 1; num <= VHOST_BLK_MAX_DESC; num *= 4) {
		ring_resize(self, variant, num, false);
		for (i = 0; i < ARRAY_SIZE(used); i++) {
			rig_set_used_idx(self->rig, used[i]);
			for (ok = 0, base = 0; base <= U16_MAX; base++) {
				struct vhost_blk_ring *r = &self->rig->ring;
				int ret = vhost_blk_ring_start(r, base);
				u32 ahead = base >= used[i] ?
						    base - used[i] :
						    base + 0x10000 - used[i];

				ASSERT_EQ(ahead <= num ? 0 : -EINVAL, ret);
				if (ret)
					continue;
				ok++;
				ASSERT_EQ(base, r->last_avail);
				ASSERT_EQ(base, r->avail_idx);
				ASSERT_EQ(used[i], r->used_idx);
				ASSERT_EQ(used[i], r->used_next);
				ASSERT_EQ(used[i], r->call_idx);
				ASSERT_EQ(used[i], rig_used_idx(self->rig));
			}
			EXPECT_EQ(num + 1, ok);
		}
	}
}

TEST_F(ring, start_asks_for_kicks)
{
	struct rig *rig = self->rig;

	rig->used->flags = rig_16(rig, VRING_USED_F_NO_NOTIFY);
	memset(&rig->used->ring[rig->num], 0x55, sizeof(__virtio16));
	rig_start(rig, 0xfff8);
	EXPECT_FALSE(rig->ring.kicks_off);
	if (variant->event_idx) {
		EXPECT_EQ(0xfff8, rig_avail_event(rig));
	} else {
		EXPECT_EQ(0, rig_used_flags(rig));
		EXPECT_EQ(0x5555, rig_avail_event(rig));
	}
}

/* Requests taken before a stop and not used come again after it. */
TEST_F(ring, start_goes_on_where_it_stopped)
{
	struct rig *rig = self->rig;
	unsigned int i;

	rig_start(rig, 0xfffe);
	for (i = 0; i < 6; i++) {
		put_pair(rig, 2 * i, 0x1000 * i, 1);
		rig_avail(rig, 2 * i);
	}
	rig_show(rig);
	for (i = 0; i < 4; i++)
		EXPECT_EQ(1, pop(rig));
	vhost_blk_ring_push(&rig->ring, 6, 9);
	vhost_blk_ring_push(&rig->ring, 2, 9);
	vhost_blk_ring_publish(&rig->ring);
	vhost_blk_ring_push(&rig->ring, 0, 9); /* never shown */

	EXPECT_EQ(0, vhost_blk_ring_start(&rig->ring, rig->ring.last_avail));
	for (i = 4; i < 6; i++) {
		EXPECT_EQ(1, pop(rig));
		EXPECT_EQ(2 * i, rig->chain->id);
	}
	EXPECT_EQ(0, pop(rig));
	vhost_blk_ring_push(&rig->ring, 8, 7);
	vhost_blk_ring_publish(&rig->ring);
	EXPECT_EQ(1, rig_used_idx(rig));
	EXPECT_EQ(8, rig_used_id(rig, 0));
	EXPECT_EQ(7, rig_used_len(rig, 0));
}

/* Damage to the ring itself */

static void expect_damaged(struct rig *rig, u16 at, const char *how)
{
	unsigned int i;

	snapshot_take(rig);
	trace_start();
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(-EPROTO, pop(rig));
		ASSERT_EQ(at, rig->ring.last_avail);
	}
	EXPECT_STREQ(how, rig->ring.damage);
	EXPECT_EQ(at, rig->ring.damage_index);
	trace_stop();
	EXPECT_EQ(0, traced_stores());
	snapshot_check(rig);
}

TEST_F(ring, head_outside_the_ring)
{
	static const u16 heads[] = { 16, 17, 31, 32, 0x7fff, 0x8000, 0xffff };
	struct rig *rig = self->rig;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		rig_start(rig, 0xfffe);
		put_pair(rig, 0, 0x1000, 1);
		rig_avail(rig, 0);
		rig_avail(rig, 0);
		rig_avail(rig, heads[i]);
		rig_avail(rig, 0);
		rig_show(rig);
		EXPECT_EQ(1, pop(rig));
		EXPECT_EQ(1, pop(rig));
		expect_damaged(rig, 0, "head");

		/* Repaired, it goes on at the same entry. */
		rig->avail->ring[0] = rig_16(rig, 0);
		EXPECT_EQ(0, vhost_blk_ring_start(&rig->ring, 0));
		EXPECT_STREQ("none", rig->ring.damage);
		EXPECT_EQ(1, pop(rig));
		EXPECT_EQ(1, pop(rig));
		EXPECT_EQ(0, pop(rig));
	}
}

TEST_F(ring, index_jumps)
{
	static const u16 bases[] = { 0, 0x7ffd, 0xfff5 };
	unsigned int num, i;
	u32 ahead;

	for (num = 1; num <= VHOST_BLK_MAX_DESC; num *= 4) {
		ring_resize(self, variant, num, false);
		for (i = 0; i < ARRAY_SIZE(bases); i++) {
			for (ahead = 0; ahead <= U16_MAX; ahead++) {
				struct rig *rig = self->rig;
				u16 idx = bases[i] + ahead;
				int want = !ahead      ? 0 :
					   ahead > num ? -EPROTO :
							 1;

				rig_start(rig, bases[i]);
				rig_set_idx(rig, idx);
				ASSERT_EQ(!ahead,
					  vhost_blk_ring_empty(&rig->ring));
				ASSERT_EQ(want, pop(rig));
				ASSERT_EQ((u16)(bases[i] + (want > 0)),
					  rig->ring.last_avail);
			}
		}
	}
}

TEST_F(ring, index_goes_back)
{
	struct rig *rig = self->rig;
	unsigned int i;

	for (i = 0; i < 16; i++)
		rig_desc(rig, i, 0x1000, 1, WRITE, 0);
	for (i = 1; i < 0x8000; i = 2 * i + 1) {
		rig_start(rig, 0xfffd);
		rig_avail(rig, 1);
		rig_avail(rig, 2);
		rig_avail(rig, 3);
		rig_avail(rig, 4);
		rig_show(rig);
		EXPECT_EQ(1, pop(rig));
		EXPECT_EQ(1, pop(rig));
		/* What has been seen to be available stays so. */
		rig_set_idx(rig, 1 - i);
		EXPECT_EQ(1, pop(rig));
		EXPECT_EQ(1, pop(rig));
		EXPECT_EQ(4, rig->chain->id);
		expect_damaged(rig, 1, "index");
	}
}

TEST_HARNESS_MAIN
