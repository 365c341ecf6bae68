// SPDX-License-Identifier: GPL-2.0-only
/* The module's ring.c: split virtqueues. */
#include "ksft.h"
#include "rig.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

/* The accesses to shared memory since trace_start(), in order. */
static struct {
	enum unit_op op;
	const volatile void *p;
} trace[10000];
static unsigned int nr_trace;

static void trace_add(enum unit_op op, const volatile void *p, size_t size)
{
	(void)size;
	if (nr_trace < ARRAY_SIZE(trace)) {
		trace[nr_trace].op = op;
		trace[nr_trace].p = p;
	}
	nr_trace++;
}

static void trace_start(void)
{
	nr_trace = 0;
	unit_hook = trace_add;
}

static void trace_stop(void)
{
	unit_hook = NULL;
	ASSERT_LT(nr_trace, ARRAY_SIZE(trace));
}

/* How often, and where the last time (-1: never). */
static unsigned int traced(enum unit_op op, const volatile void *p, int *last)
{
	unsigned int i, n = 0;

	if (last)
		*last = -1;
	for (i = 0; i < nr_trace; i++) {
		if (trace[i].op != op || trace[i].p != p)
			continue;
		n++;
		if (last)
			*last = i;
	}
	return n;
}

static unsigned int traced_stores(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < nr_trace; i++)
		n += trace[i].op == UNIT_STORE || trace[i].op == UNIT_RELEASE;
	return n;
}

/* A copy of what the device must not write. */
static struct {
	u8 desc[16 * VHOST_BLK_MAX_DESC];
	u8 avail[6 + 2 * VHOST_BLK_MAX_DESC];
	u8 low[0x10000];
} snapshot;

static void snapshot_take(const struct rig *rig)
{
	memcpy(snapshot.desc, rig->desc, 16 * rig->num);
	memcpy(snapshot.avail, rig->avail, 6 + 2 * rig->num);
	memcpy(snapshot.low, rig_at(rig->mem, 0), sizeof(snapshot.low));
}

static void snapshot_check(const struct rig *rig)
{
	EXPECT_FALSE(memcmp(snapshot.desc, rig->desc, 16 * rig->num));
	EXPECT_FALSE(memcmp(snapshot.avail, rig->avail, 6 + 2 * rig->num));
	EXPECT_FALSE(memcmp(snapshot.low, rig_at(rig->mem, 0),
			    sizeof(snapshot.low)));
}

FIXTURE(ring) {
	struct rig_mem *mem;
	struct rig *rig;
};

FIXTURE_VARIANT(ring) {
	bool little_endian, event_idx;
};

FIXTURE_VARIANT_ADD(ring, flags){ .little_endian = true };
FIXTURE_VARIANT_ADD(ring, event_idx){ true, true };
FIXTURE_VARIANT_ADD(ring, big_endian){ .little_endian = false };
FIXTURE_VARIANT_ADD(ring, big_endian_event_idx){ false, true };

FIXTURE_SETUP(ring)
{
	self->mem = rig_mem_new();
	self->rig = rig_new(self->mem, 16, variant->little_endian,
			    variant->event_idx, true);
	ASSERT_EQ(0, rig_start(self->rig, 0));
}

FIXTURE_TEARDOWN(ring)
{
	unit_hook = NULL;
	rig_delete(self->rig);
	rig_mem_delete(self->mem);
}

/* Another ring for the fixture. */
static void ring_resize(struct ring_data *self,
			const struct ring_variant *variant, unsigned int num,
			bool indirect)
{
	rig_delete(self->rig);
	self->rig = rig_new(self->mem, num, variant->little_endian,
			    variant->event_idx, indirect);
	ASSERT_EQ(0, rig_start(self->rig, 0));
}

/* Descriptors that form one request: 16 bytes out, @len bytes in. */
static void put_pair(struct rig *rig, unsigned int head, u64 gpa, u32 len)
{
	unsigned int second = (head + 1) % rig->num;

	rig_desc(rig, head, gpa, 16, NEXT, second);
	rig_desc(rig, second, gpa + 16, len, WRITE, 0xdead);
}

static int pop(struct rig *rig)
{
	return vhost_blk_ring_pop(&rig->ring, rig->chain);
}

/* Makes @head available and takes it. */
static int submit(struct rig *rig, u16 head)
{
	rig_avail(rig, head);
	rig_show(rig);
	return pop(rig);
}

/* Shows what was pushed; does the driver want to hear of it? */
static bool publish(struct rig *rig)
{
	bool wants;

	if (!vhost_blk_ring_publish(&rig->ring))
		return false;
	wants = vhost_blk_ring_wants_call(&rig->ring);
	vhost_blk_ring_called(&rig->ring);
	return wants;
}

/* Gives the chain back and shows it. */
static void finish(struct rig *rig)
{
	vhost_blk_ring_push(&rig->ring, rig->chain->id, 1);
	EXPECT_EQ(1, vhost_blk_ring_publish(&rig->ring));
	vhost_blk_ring_called(&rig->ring);
}

/* After whatever came before: is a good request still served? */
static void expect_served(struct rig *rig)
{
	const struct vhost_blk_chain *c = rig->chain;
	u16 used = rig->ring.used_idx;
	unsigned int slot = used % rig->num;

	rig_desc(rig, rig->num - 1, 0x1234, 513, WRITE, 0);
	ASSERT_EQ(1, submit(rig, rig->num - 1));
	EXPECT_EQ(rig->num - 1, c->id);
	EXPECT_EQ(0, c->nr_out);
	EXPECT_EQ(0, c->out_len);
	ASSERT_EQ(1, c->nr_in);
	EXPECT_EQ(513, c->in_len);
	EXPECT_EQ(0x1234, c->seg[0].gpa);
	EXPECT_EQ(513, c->seg[0].len);
	finish(rig);
	EXPECT_EQ((u16)(used + 1), rig_used_idx(rig));
	EXPECT_EQ(rig->num - 1, rig_used_id(rig, slot));
}

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
static unsigned int driver_acted;

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

/* Damage to the ring itself */

static void expect_damaged(struct rig *rig, u16 at)
{
	unsigned int i;

	snapshot_take(rig);
	trace_start();
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(-EPROTO, pop(rig));
		ASSERT_EQ(at, rig->ring.last_avail);
	}
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
		expect_damaged(rig, 0);

		/* Repaired, it goes on at the same entry. */
		rig->avail->ring[0] = rig_16(rig, 0);
		EXPECT_EQ(0, vhost_blk_ring_start(&rig->ring, 0));
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
		expect_damaged(rig, 1);
	}
}

/* Chains that are not well formed */

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

/* Read once: the driver changes each thing right after the device read it. */

static void driver_changes_it(enum unit_op op, const volatile void *p,
			      size_t size)
{
	if (op == UNIT_LOAD || op == UNIT_COPY) {
		driver_acted++;
		memset((void *)p, 0xee, size);
	}
}

TEST_F(ring, reads_everything_once)
{
	struct rig *rig = self->rig;
	const struct vhost_blk_chain *c = rig->chain;

	driver = rig;
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

/* What the driver asks for is read once, too. */
TEST_F(ring, reads_wishes_once)
{
	struct rig *rig = self->rig;

	driver = rig;
	driver_acted = 0;
	rig_set_used_event(rig, 0);
	vhost_blk_ring_push(&rig->ring, 0, 0);
	unit_hook = driver_changes_it;
	EXPECT_TRUE(publish(rig));
	unit_hook = NULL;
	EXPECT_EQ(1, driver_acted);
}

TEST_HARNESS_MAIN
