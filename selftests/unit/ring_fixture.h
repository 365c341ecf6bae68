/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of ring.c have in common. */
#ifndef RING_FIXTURE_H
#define RING_FIXTURE_H

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

static inline void trace_add(enum unit_op op, const volatile void *p,
			     size_t size)
{
	(void)size;
	if (nr_trace < ARRAY_SIZE(trace)) {
		trace[nr_trace].op = op;
		trace[nr_trace].p = p;
	}
	nr_trace++;
}

static inline void trace_start(void)
{
	nr_trace = 0;
	unit_hook = trace_add;
}

static inline void trace_stop(void)
{
	unit_hook = NULL;
	ASSERT_LT(nr_trace, ARRAY_SIZE(trace));
}

/* How often, and where the last time (-1: never). */
static inline unsigned int traced(enum unit_op op, const volatile void *p,
				  int *last)
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

static inline unsigned int traced_stores(void)
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

static inline void snapshot_take(const struct rig *rig)
{
	memcpy(snapshot.desc, rig->desc, 16 * rig->num);
	memcpy(snapshot.avail, rig->avail, 6 + 2 * rig->num);
	memcpy(snapshot.low, rig_at(rig->mem, 0), sizeof(snapshot.low));
}

static inline void snapshot_check(const struct rig *rig)
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
	bool little_endian, event_idx, cached;
};

FIXTURE_VARIANT_ADD(ring, flags) { .little_endian = true };
FIXTURE_VARIANT_ADD(ring, event_idx) { true, true, false };
FIXTURE_VARIANT_ADD(ring, big_endian) { .little_endian = false };
FIXTURE_VARIANT_ADD(ring, big_endian_event_idx) { .event_idx = true };
FIXTURE_VARIANT_ADD(ring, cached) { true, true, true };

FIXTURE_SETUP(ring)
{
	self->mem = rig_mem_new();
	if (variant->cached)
		rig_mem_cache(self->mem);
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
static inline void ring_resize(struct ring_data *self,
			       const struct ring_variant *variant,
			       unsigned int num, bool indirect)
{
	rig_delete(self->rig);
	self->rig = rig_new(self->mem, num, variant->little_endian,
			    variant->event_idx, indirect);
	ASSERT_EQ(0, rig_start(self->rig, 0));
}

/* Descriptors that form one request: 16 bytes out, @len bytes in. */
static inline void put_pair(struct rig *rig, unsigned int head, u64 gpa,
			    u32 len)
{
	unsigned int second = (head + 1) % rig->num;

	rig_desc(rig, head, gpa, 16, NEXT, second);
	rig_desc(rig, second, gpa + 16, len, WRITE, 0xdead);
}

static inline int pop(struct rig *rig)
{
	return vhost_blk_ring_pop(&rig->ring, rig->chain);
}

/* Makes @head available and takes it. */
static inline int submit(struct rig *rig, u16 head)
{
	rig_avail(rig, head);
	rig_show(rig);
	return pop(rig);
}

/* Shows what was pushed; does the driver want to hear of it? */
static inline bool publish(struct rig *rig)
{
	bool wants;

	if (!vhost_blk_ring_publish(&rig->ring))
		return false;
	wants = vhost_blk_ring_wants_call(&rig->ring);
	vhost_blk_ring_called(&rig->ring);
	return wants;
}

/* Gives the chain back and shows it. */
static inline void finish(struct rig *rig)
{
	vhost_blk_ring_push(&rig->ring, rig->chain->id, 1);
	EXPECT_EQ(1, vhost_blk_ring_publish(&rig->ring));
	vhost_blk_ring_called(&rig->ring);
}

/* After whatever came before: is a good request still served? */
static inline void expect_served(struct rig *rig)
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

/* For tests in which the driver acts while the device runs: how often it did. */
static unsigned int driver_acted;

/* The driver changes each thing right after the device has read it. */
static inline void driver_changes_it(enum unit_op op, const volatile void *p,
				     size_t size)
{
	if (op == UNIT_LOAD || op == UNIT_COPY) {
		driver_acted++;
		memset((void *)p, 0xee, size);
	}
}

#endif /* RING_FIXTURE_H */
