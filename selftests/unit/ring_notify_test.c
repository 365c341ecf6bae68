// SPDX-License-Identifier: GPL-2.0-only
/* The module's ring.c: interrupts, kicks, and the order of accesses. */
#include "ring_fixture.h"

/* Interrupts */

/*
 * Reference: the driver wants to hear when the entry with the index it named
 * is among those that were added.
 */
static bool event_is_among(u16 event, u16 old, unsigned int added)
{
	while (added--) {
		if (event == old)
			return true;
		old++;
	}
	return false;
}

static bool publish_step(struct rig *rig, u16 old, u16 added)
{
	rig->ring.call_idx = old;
	rig->ring.used_idx = old;
	rig->ring.used_next = old + added;
	return publish(rig);
}

/* With EVENT_IDX the flag says nothing, without it the index. */
TEST_F(ring, interrupts_when_the_named_index_is_passed)
{
	static const u16 adds[] = { 1, 2, 3, 4, 7, 15, 16 };
	struct rig *rig = self->rig;
	unsigned int i;
	u32 old;

	rig_set_flags(rig, VRING_AVAIL_F_NO_INTERRUPT);
	/* Every old index, every event in its neighbourhood. */
	for (i = 0; i < ARRAY_SIZE(adds); i++) {
		for (old = 0; old <= U16_MAX; old++) {
			int d;

			for (d = -3; d <= adds[i] + 2; d++) {
				bool want = d >= 0 && d < adds[i];

				rig_set_used_event(rig, old + d);
				want = want && variant->event_idx;
				if (publish_step(rig, old, adds[i]) != want)
					ASSERT_EQ(-1, old * 0x10000 + d);
			}
		}
	}
	EXPECT_EQ(0, rig_used_flags(rig));
}

TEST_F(ring, interrupts_for_every_named_index)
{
	static const u16 olds[] = { 0, 1, 0x7ff0, 0x8000, 0xfc01, 0xffff };
	static const u16 adds[] = { 1, 2, 16, 255, 1023, 1024 };
	unsigned int i, j;
	u32 event;

	ring_resize(self, variant, 1024, false);
	for (i = 0; i < ARRAY_SIZE(olds); i++) {
		for (j = 0; j < ARRAY_SIZE(adds); j++) {
			unsigned int yes = 0;

			for (event = 0; event <= U16_MAX; event++) {
				struct rig *rig = self->rig;
				bool wants;

				rig_set_used_event(rig, event);
				wants = publish_step(rig, olds[i], adds[j]);
				yes += wants;
				if (variant->event_idx && wants)
					ASSERT_TRUE(event_is_among(
						event, olds[i], adds[j]));
			}
			EXPECT_EQ(variant->event_idx ? adds[j] : 0x10000, yes);
		}
	}
}

/* used_event = old + 3, one by one: the fourth update interrupts. */
TEST_F(ring, interrupts_once_for_a_named_index)
{
	struct rig *rig = self->rig;
	unsigned int i;

	rig_start(rig, 0xfffe);
	rig_set_used_event(rig, (u16)(0xfffe + 3));
	for (i = 0; i < 20; i++) {
		vhost_blk_ring_push(&rig->ring, i % 16, 1);
		EXPECT_EQ(!variant->event_idx || i == 3, publish(rig));
	}
}

/* Held back: the wish for any entry since the last interrupt counts. */
TEST_F(ring, interrupts_later_for_what_was_published_before)
{
	struct rig *rig = self->rig;
	unsigned int held, event, i;

	for (held = 1; held <= 16; held++) {
		for (event = 0; event < 20; event++) {
			bool want = !variant->event_idx || event < held;

			rig_start(rig, 0xfffc);
			rig_set_used_event(rig, 0xfffc + event);
			for (i = 0; i < held; i++) {
				vhost_blk_ring_push(&rig->ring, i, 1);
				ASSERT_EQ(1,
					  vhost_blk_ring_publish(&rig->ring));
				ASSERT_EQ(
					!variant->event_idx || event <= i,
					vhost_blk_ring_wants_call(&rig->ring));
			}
			ASSERT_EQ(want, vhost_blk_ring_wants_call(&rig->ring));
			vhost_blk_ring_called(&rig->ring);
			vhost_blk_ring_push(&rig->ring, i, 1);
			want = !variant->event_idx || event == held;
			ASSERT_EQ(want, publish(rig));
		}
	}
}

TEST_F(ring, interrupts_unless_the_flag_is_set)
{
	struct rig *rig = self->rig;
	u32 flags;

	for (flags = 0; flags <= U16_MAX; flags++) {
		bool want = variant->event_idx || !(flags & 1);

		rig_set_flags(rig, flags);
		rig_set_used_event(rig, 5);
		ASSERT_EQ(want, publish_step(rig, 5, 1));
		rig_set_used_event(rig, 0x8000);
		want = !variant->event_idx && !(flags & 1);
		ASSERT_EQ(want, publish_step(rig, 5, 1));
	}
}

TEST_F(ring, publishing_nothing_does_nothing)
{
	struct rig *rig = self->rig;
	unsigned int event;

	rig_start(rig, 7);
	for (event = 0; event < 16; event++) {
		rig_set_used_event(rig, event);
		trace_start();
		EXPECT_EQ(0, vhost_blk_ring_publish(&rig->ring));
		trace_stop();
		EXPECT_EQ(0, nr_trace);
		if (variant->event_idx)
			EXPECT_FALSE(vhost_blk_ring_wants_call(&rig->ring));
	}
	EXPECT_EQ(7, rig_used_idx(rig));
}

/* Kicks */

TEST_F(ring, kicks_off_and_on)
{
	struct rig *rig = self->rig;
	struct vhost_blk_ring *ring = &rig->ring;
	unsigned int round;

	rig_start(rig, 0xfffd);
	put_pair(rig, 0, 0x1000, 1);
	for (round = 0; round < 40; round++) {
		u16 before = ring->last_avail;

		vhost_blk_ring_kicks_off(ring);
		if (variant->event_idx) {
			/* Left behind, where it means no kick for long. */
			EXPECT_EQ(before, rig_avail_event(rig));
			EXPECT_EQ(0, rig_used_flags(rig));
		} else {
			EXPECT_EQ(VRING_USED_F_NO_NOTIFY, rig_used_flags(rig));
			EXPECT_EQ(0, rig_avail_event(rig));
		}
		trace_start();
		vhost_blk_ring_kicks_off(ring);
		trace_stop();
		EXPECT_EQ(0, traced_stores());

		EXPECT_EQ(1, submit(rig, 0));
		finish(rig);
		EXPECT_FALSE(vhost_blk_ring_kicks_on(ring));
		EXPECT_EQ(0, rig_used_flags(rig));
		EXPECT_EQ(variant->event_idx ? (u16)(before + 1) : 0,
			  rig_avail_event(rig));
		trace_start();
		EXPECT_FALSE(vhost_blk_ring_kicks_on(ring));
		trace_stop();
		EXPECT_EQ(0, traced_stores());
	}
}

/* The value asked for is that of the next entry, not the driver's index. */
TEST_F(ring, kicks_on_tells_of_entries_not_taken)
{
	struct rig *rig = self->rig;
	struct vhost_blk_ring *ring = &rig->ring;
	unsigned int i;

	vhost_blk_ring_kicks_off(ring);
	for (i = 0; i < 3; i++) {
		put_pair(rig, 2 * i, 0x1000, 1);
		rig_avail(rig, 2 * i);
	}
	rig_show(rig);
	for (i = 0; i < 3; i++) {
		EXPECT_TRUE(vhost_blk_ring_kicks_on(ring));
		EXPECT_EQ(variant->event_idx ? i : 0, rig_avail_event(rig));
		vhost_blk_ring_kicks_off(ring);
		EXPECT_EQ(1, pop(rig));
	}
	EXPECT_FALSE(vhost_blk_ring_kicks_on(ring));

	/* A damaged index is something to look at, too. */
	rig_set_idx(rig, 100);
	EXPECT_TRUE(vhost_blk_ring_kicks_on(ring));
}

static struct rig *driver;
static enum unit_op driver_acts_at;

/* The driver adds an entry, sees no reason to kick, and goes to sleep. */
static void driver_adds(enum unit_op op, const volatile void *p, size_t size)
{
	(void)p;
	(void)size;
	if (op == driver_acts_at && !driver_acted++) {
		rig_avail(driver, 0);
		rig_show(driver);
	}
}

TEST_F(ring, kicks_on_sees_what_came_without_a_kick)
{
	static const enum unit_op moments[] = { UNIT_STORE, UNIT_MB };
	struct rig *rig = self->rig;
	unsigned int i;

	driver = rig;
	put_pair(rig, 0, 0x1000, 1);
	for (i = 0; i < ARRAY_SIZE(moments); i++) {
		vhost_blk_ring_kicks_off(&rig->ring);
		EXPECT_TRUE(vhost_blk_ring_empty(&rig->ring));
		driver_acts_at = moments[i];
		driver_acted = 0;
		unit_hook = driver_adds;
		EXPECT_TRUE(vhost_blk_ring_kicks_on(&rig->ring));
		unit_hook = NULL;
		EXPECT_EQ(1, driver_acted);
		EXPECT_EQ(1, pop(rig));
	}
}

/* The driver looks at the index and sleeps after naming the next one. */
static void driver_names_event(enum unit_op op, const volatile void *p,
			       size_t size)
{
	(void)p;
	(void)size;
	if (op == driver_acts_at) {
		driver_acted++;
		rig_set_flags(driver, 0);
		rig_set_used_event(driver, 0);
	}
}

TEST_F(ring, publish_sees_what_was_asked_for_late)
{
	struct rig *rig = self->rig;

	driver = rig;
	rig_set_flags(rig, VRING_AVAIL_F_NO_INTERRUPT);
	rig_set_used_event(rig, 0x8000);
	driver_acts_at = UNIT_MB;
	driver_acted = 0;
	vhost_blk_ring_push(&rig->ring, 0, 1);
	unit_hook = driver_names_event;
	EXPECT_TRUE(publish(rig));
	unit_hook = NULL;
	EXPECT_EQ(1, driver_acted);
}

/* Order of accesses: the letters are those in ring.c */

TEST_F(ring, reads_entries_after_the_index)
{
	struct rig *rig = self->rig;
	int idx, rmb, slot, desc;
	unsigned int i, field;

	for (i = 0; i < 4; i++) {
		rig_desc(rig, i, 0x1000 * i, 16, WRITE, 0);
		rig_avail(rig, i);
	}
	rig_show(rig);
	for (i = 0; i < 4; i++) {
		const struct vring_desc *d = &rig->desc[i];
		const void *fields[] = { &d->addr, &d->len, &d->flags,
					 &d->next };

		trace_start();
		EXPECT_EQ(1, pop(rig));
		trace_stop();
		/* A, once for all entries that the index covers. */
		EXPECT_EQ(!i, traced(UNIT_LOAD, &rig->avail->idx, &idx));
		EXPECT_EQ(!i, traced(UNIT_RMB, NULL, &rmb));
		EXPECT_EQ(1, traced(UNIT_LOAD, &rig->avail->ring[i], &slot));
		EXPECT_GE(rmb, idx);
		EXPECT_GT(slot, rmb);
		for (field = 0; field < ARRAY_SIZE(fields); field++) {
			EXPECT_EQ(1, traced(UNIT_LOAD, fields[field], &desc));
			EXPECT_GT(desc, slot);
		}
		EXPECT_EQ(0, traced(UNIT_STORE, &rig->used->idx, NULL));
	}
}

static bool index_came_last;

/* At the release, everything that the new index covers must be in place. */
static void look_at_release(enum unit_op op, const volatile void *p,
			    size_t size)
{
	unsigned int i;

	trace_add(op, p, size);
	if (op != UNIT_RELEASE)
		return;
	index_came_last = p == &driver->used->idx &&
			  size == sizeof(driver->used->idx);
	for (i = 0; i < 5; i++)
		if (rig_used_id(driver, (14 + i) % 16) != i ||
		    rig_used_len(driver, (14 + i) % 16) != 100 + i)
			index_came_last = false;
}

TEST_F(ring, publishes_the_index_after_the_entries)
{
	struct rig *rig = self->rig;
	const void *wish = variant->event_idx ?
				   (const void *)&rig->avail->ring[rig->num] :
				   &rig->avail->flags;
	int last, idx, mb, look;
	unsigned int i;

	/* Entries on both sides of the end of the ring. */
	rig_start(rig, 0xfffe);
	memset(rig->used->ring, 0xff, 16 * sizeof(rig->used->ring[0]));
	driver = rig;
	trace_start();
	unit_hook = look_at_release;
	for (i = 0; i < 5; i++)
		vhost_blk_ring_push(&rig->ring, i, 100 + i);
	EXPECT_EQ(0xfffe, rig_used_idx(rig));
	vhost_blk_ring_publish(&rig->ring);
	vhost_blk_ring_wants_call(&rig->ring);
	trace_stop();
	EXPECT_TRUE(index_came_last);
	EXPECT_EQ(3, rig_used_idx(rig));

	/* B and C */
	EXPECT_EQ(1, traced(UNIT_RELEASE, &rig->used->idx, &idx));
	EXPECT_EQ(11, traced_stores());
	for (i = 0; i < 5; i++) {
		struct vring_used_elem *e = &rig->used->ring[(14 + i) % 16];

		EXPECT_EQ(1, traced(UNIT_STORE, &e->id, &last));
		EXPECT_LT(last, idx);
		EXPECT_EQ(1, traced(UNIT_STORE, &e->len, &last));
		EXPECT_LT(last, idx);
	}
	EXPECT_EQ(1, traced(UNIT_MB, NULL, &mb));
	EXPECT_EQ(1, traced(UNIT_LOAD, wish, &look));
	EXPECT_GT(mb, idx);
	EXPECT_GT(look, mb);
}

TEST_F(ring, looks_for_entries_after_asking_for_kicks)
{
	struct rig *rig = self->rig;
	const void *ask = variant->event_idx ?
				  (const void *)&rig->used->ring[rig->num] :
				  &rig->used->flags;
	int store, mb, look;

	vhost_blk_ring_kicks_off(&rig->ring);
	trace_start();
	vhost_blk_ring_kicks_on(&rig->ring);
	trace_stop();
	/* D */
	EXPECT_EQ(1, traced(UNIT_STORE, ask, &store));
	EXPECT_EQ(1, traced_stores());
	EXPECT_EQ(1, traced(UNIT_MB, NULL, &mb));
	EXPECT_EQ(1, traced(UNIT_LOAD, &rig->avail->idx, &look));
	EXPECT_GT(mb, store);
	EXPECT_GT(look, mb);
}

/* What the driver asks for is read once, too. */
TEST_F(ring, reads_wishes_once)
{
	struct rig *rig = self->rig;

	driver_acted = 0;
	rig_set_used_event(rig, 0);
	vhost_blk_ring_push(&rig->ring, 0, 0);
	unit_hook = driver_changes_it;
	EXPECT_TRUE(publish(rig));
	unit_hook = NULL;
	EXPECT_EQ(1, driver_acted);
}

TEST_HARNESS_MAIN
