// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random requests that are mostly as a driver makes them, each property wrong once
 * in 64 times. The module's verdict must be the model's.
 *
 * UNIT_SECONDS is the time for each kind of ring (default 2), UNIT_SEED starts
 * other sequences. A sequence is the same every time, only its length depends
 * on the time: to see a failure again, give it the same seed and enough time.
 */
#include "budget.h"
#include "diff.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

#define MAX_NUM_LOG 10
#define MAX_PIECES 1100

struct piece {
	u64 gpa;
	u32 len;
	u16 flags;
};

struct maker {
	struct rng rng;
	struct rig_mem *mem;
	struct rig *rig;
	u16 order[VHOST_BLK_MAX_DESC]; /* of descriptors */
	unsigned int next;	       /* first one that is free */
	struct piece piece[MAX_PIECES];
	unsigned int n;
};

static u64 below(struct maker *m, u64 n)
{
	return rng_below(&m->rng, n);
}

/* Should something be wrong here? */
static bool bad(struct maker *m)
{
	return rng_once(&m->rng, 64);
}

static u64 any_number(struct maker *m)
{
	u64 val = rng_next(&m->rng) >> below(m, 64);

	return rng_once(&m->rng, 2) ? val : -val;
}

/* A place for @len bytes, at the start of a block more often than not. */
static u64 any_place(struct maker *m, u64 len)
{
	static const u64 borders[] = { 0x10000, 0x14000 };
	static const u64 edges[] = { 0, RIG_HOLE, RIG_HOLE + RIG_HOLE_LEN,
				     0x20000, 0x100000000 };
	const struct vhost_memory_region *r =
		&m->mem->region[below(m, RIG_REGIONS)];
	u64 off;

	if (bad(m))
		return any_number(m);
	if (bad(m))
		return edges[below(m, ARRAY_SIZE(edges))] - below(m, len + 2);
	if (rng_once(&m->rng, 8))
		return borders[below(m, 2)] -
		       below(m, min(len, (u64)0x3fff) + 1);
	if (len > r->memory_size)
		r = &m->mem->region[RIG_BIG];
	if (len > r->memory_size)
		return r->guest_phys_addr;
	off = below(m, r->memory_size - len + 1);
	if (!rng_once(&m->rng, 4))
		off &= ~511ULL;
	return r->guest_phys_addr + off;
}

static void add_piece(struct maker *m, u64 gpa, u32 len, u16 flags)
{
	struct piece *p = &m->piece[m->n];

	if (m->n == MAX_PIECES)
		return;
	if (bad(m))
		gpa = any_place(m, len);
	if (bad(m))
		len = any_number(m);
	if (rng_once(&m->rng, 512))
		flags ^= WRITE;
	if (bad(m))
		flags |= any_number(m) & ~7;
	p->gpa = gpa;
	p->len = len;
	p->flags = flags;
	m->n++;
}

/* A buffer in pieces; whole blocks mostly. */
static void add_buffer(struct maker *m, u64 len, u16 flags)
{
	unsigned int most = rng_once(&m->rng, 8) ? 1 + below(m, 64) : 4;
	bool together = rng_once(&m->rng, 2);
	u64 gpa = any_place(m, len);

	if (rng_once(&m->rng, 256))
		most = 1100;
	while (len) {
		u64 n = len;

		if (most > 1) {
			n = 1 + below(m, len);
			if (!rng_once(&m->rng, 4))
				n = min(len, (n + 511) & ~511ULL);
			most--;
		}
		if (rng_once(&m->rng, 32))
			add_piece(m, any_number(m), 0, flags);
		if (!together)
			gpa = any_place(m, n);
		add_piece(m, gpa, n, flags);
		gpa += n;
		len -= n;
	}
}

/* The header in pieces, with what may follow it in the last of them. */
static void add_header(struct maker *m, u32 type, u64 sector, u64 behind)
{
	struct virtio_blk_outhdr hdr = {
		.type = __cpu_to_virtio32(m->rig->le, type),
		.ioprio = rng_next(&m->rng),
		.sector = __cpu_to_virtio64(m->rig->le, sector),
	};
	unsigned int from = 0, end = bad(m) ? below(m, 17) : 16;

	while (from < end) {
		unsigned int n = end - from;
		u64 gpa;

		if (rng_once(&m->rng, 4))
			n = 1 + below(m, n);
		gpa = any_place(m, n);
		rig_write(m->mem, gpa, (u8 *)&hdr + from, n);
		from += n;
		add_piece(m, gpa, n + (from == end ? behind : 0), 0);
	}
}

static u32 any_type(struct maker *m)
{
	if (bad(m))
		return any_number(m);
	switch (below(m, 16)) {
	case 0:
		return VIRTIO_BLK_T_FLUSH;
	case 1:
		return VIRTIO_BLK_T_GET_ID;
	case 2:
		return below(m, 16);
	default:
		return below(m, 2) ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
	}
}

static u64 any_length(struct maker *m, u64 block)
{
	if (bad(m))
		return below(m, 10000);
	if (bad(m))
		return VHOST_BLK_MAX_BYTES + below(m, 3) * 512;
	if (bad(m))
		block = 512;
	if (rng_once(&m->rng, 8))
		return below(m, VHOST_BLK_MAX_BYTES / block + 1) * block;
	return (1 + below(m, 16)) * block;
}

static u64 any_sector(struct maker *m, const struct vhost_blk_limits *limits,
		      u64 len)
{
	u64 block = (limits->block_mask + 1) / 512;

	if (bad(m))
		return any_number(m);
	if (bad(m))
		return limits->capacity - len / 512 + below(m, 3);
	return below(m, limits->capacity / block) * block;
}

static void make_request(struct maker *m, const struct vhost_blk_limits *limits)
{
	u32 type = any_type(m);
	u64 len = any_length(m, limits->block_mask + 1);
	u64 sector = any_sector(m, limits, len);
	bool joined = rng_once(&m->rng, 4);

	m->n = 0;
	if (type == VIRTIO_BLK_T_GET_ID)
		len = 20;
	if (type == VIRTIO_BLK_T_OUT) {
		u64 n = joined ? below(m, len + 1) : 0;

		add_header(m, type, sector, n);
		add_buffer(m, len - n, 0);
		if (rng_once(&m->rng, 32))
			add_buffer(m, len, WRITE);
	} else {
		add_header(m, type, sector, 0);
		if (type == VIRTIO_BLK_T_FLUSH)
			len = 0;
		if (rng_once(&m->rng, 32))
			add_buffer(m, len, 0);
	}
	if (type != VIRTIO_BLK_T_OUT && joined) {
		add_buffer(m, len + 1, WRITE);
		return;
	}
	if (type != VIRTIO_BLK_T_OUT)
		add_buffer(m, len, WRITE);
	if (!bad(m))
		add_piece(m, any_place(m, 1), 1, WRITE);
	if (rng_once(&m->rng, 32))
		add_piece(m, any_number(m), 0, below(m, 2) ? WRITE : 0);
}

/* Pieces from @from on to a table. */
static u32 write_table(struct maker *m, unsigned int from, u64 *gpa)
{
	unsigned int n = m->n - from, room = n, i;
	u32 len;

	if (rng_once(&m->rng, 8))
		room += below(m, 8);
	*gpa = any_place(m, room * 16);
	for (i = 0; i < n; i++) {
		struct piece *p = &m->piece[from + i];
		u16 flags = p->flags | (i + 1 < n ? NEXT : 0);
		u16 next = i + 1;

		if (rng_once(&m->rng, 512))
			next = any_number(m);
		if (rng_once(&m->rng, 512))
			next = below(m, room + 1);
		if (rng_once(&m->rng, 512))
			flags ^= NEXT;
		if (rng_once(&m->rng, 512))
			flags |= INDIRECT;
		rig_entry(m->rig, *gpa, i, p->gpa, p->len, flags, next);
	}
	len = room * 16;
	if (bad(m))
		len = below(m, 2) ? any_number(m) : below(m, len + 40);
	return len;
}

/* Writes the descriptors; returns the head, or -1 when there is no room. */
static int write_chain(struct maker *m, bool indirect)
{
	unsigned int room = m->rig->num - m->next, direct = m->n, i;
	unsigned int head = m->next;
	u64 table = 0;
	u32 table_len = 0;

	if (!room || !m->n)
		return -1;
	if (indirect ? !rng_once(&m->rng, 4) : bad(m))
		direct = below(m, min(m->n, room));
	if (direct > room) {
		/* Something in the middle is left out, not the status. */
		m->piece[room - 1] = m->piece[m->n - 1];
		direct = m->n = room;
	}
	if (direct < m->n)
		table_len = write_table(m, direct, &table);

	for (i = 0; i < direct + !!table_len; i++) {
		bool last = i + 1 == direct + !!table_len;
		struct piece p = { table, table_len, INDIRECT };
		u16 next = last ? any_number(m) : m->order[m->next + i + 1];

		if (i < direct)
			p = m->piece[i];
		else if (below(m, 2))
			p.flags |= WRITE;
		if (!last)
			p.flags |= NEXT;
		if (rng_once(&m->rng, 512))
			p.flags ^= NEXT;
		if (rng_once(&m->rng, 512))
			p.flags ^= INDIRECT;
		if (rng_once(&m->rng, 512))
			next = any_number(m);
		if (rng_once(&m->rng, 512))
			next = below(m, m->rig->num + 1);
		rig_desc(m->rig, m->order[m->next + i], p.gpa, p.len, p.flags,
			 next);
	}
	m->next += i;
	return m->order[head];
}

static void any_limits(struct maker *m, struct vhost_blk_limits *limits)
{
	static const u32 blocks[] = { 512, 512, 512, 1024, 2048, 4096 };
	static const u32 dma[] = { 0, 1, 3, 3, 7, 511 };

	limits->block_mask = blocks[below(m, ARRAY_SIZE(blocks))] - 1;
	limits->dma_mask = dma[below(m, ARRAY_SIZE(dma))];
	limits->capacity = 16384 + 8 * below(m, 100000);
	if (bad(m))
		limits->capacity = any_number(m) | 64;
	limits->read_only = bad(m);
}

/* A ring that starts anywhere, a few requests, all that the device does then. */
static void one_case(struct maker *m, struct diff *d)
{
	unsigned int i, n = 1 + below(m, 4), num = d->rig->num;
	struct vhost_blk_limits limits;
	enum diff_outcome outcome;
	int head;

	m->rig = d->rig;
	m->next = 0;
	for (i = 0; i < num; i++) {
		unsigned int other = below(m, i + 1);

		m->order[i] = m->order[other];
		m->order[other] = i;
	}
	any_limits(m, &limits);

	rig_start(m->rig, any_number(m));
	rig_set_used_event(m->rig, m->rig->avail_idx + below(m, 6) - 1);
	rig_set_flags(m->rig, below(m, 2) | (bad(m) ? any_number(m) : 0));
	if (bad(m))
		rig_set_used_idx(m->rig, m->rig->avail_idx - below(m, num + 2));
	if (diff_start(d, m->rig->avail_idx))
		return;

	for (i = 0; i < n && i < num; i++) {
		make_request(m, &limits);
		head = write_chain(m, d->model.indirect);
		if (head < 0)
			break;
		rig_avail(m->rig,
			  rng_once(&m->rng, 128) ? any_number(m) : (u64)head);
	}
	rig_show(m->rig);
	if (rng_once(&m->rng, 128))
		rig_set_idx(m->rig, below(m, 2) ?
					    any_number(m) :
					    m->rig->avail_idx - below(m, 8));

	do {
		diff_kicks_off(d);
		rig_mem_shake(m->mem, &m->rng);
		if (below(m, 2))
			diff_fetch(d);
		outcome = diff_pop(d, &limits);
		if (outcome >= DIFF_MALFORMED)
			diff_push(d, d->chain.id, rng_next(&m->rng));
		if (below(m, 2))
			diff_publish(d);
		if (below(m, 2))
			diff_call(d);
		if (below(m, 2))
			diff_kicks_on(d);
	} while (!d->failed && outcome >= DIFF_MALFORMED);
	diff_publish(d);
	diff_call(d);
}

/* Not on the stack: what a failed test leaves behind is no leak then. */
FIXTURE(requests) {
	struct maker maker;
	struct diff *diff[2][MAX_NUM_LOG + 1]; /* big endian, little endian */
};

FIXTURE_VARIANT(requests) {
	bool event_idx, indirect, cached;
};

FIXTURE_VARIANT_ADD(requests, plain) { .event_idx = false };
FIXTURE_VARIANT_ADD(requests, event_idx) { .event_idx = true };
FIXTURE_VARIANT_ADD(requests, indirect) { .indirect = true };
FIXTURE_VARIANT_ADD(requests, event_idx_indirect) { true, true, false };
FIXTURE_VARIANT_ADD(requests, cached) { .cached = true };
FIXTURE_VARIANT_ADD(requests, event_idx_indirect_cached) { true, true, true };

FIXTURE_SETUP(requests)
{
	struct maker *m = &self->maker;
	unsigned int i, le;

	m->rng.state =
		4 * budget_seed() + 2 * variant->event_idx + variant->indirect;
	m->mem = rig_mem_new();
	if (variant->cached)
		rig_mem_cache(m->mem);
	for (le = 0; le < 2; le++)
		for (i = 0; i <= MAX_NUM_LOG; i++)
			self->diff[le][i] = diff_new(
				rig_new(m->mem, 1 << i, le, variant->event_idx,
					variant->indirect));
}

FIXTURE_TEARDOWN(requests)
{
	unsigned int i, le;

	for (le = 0; le < 2; le++) {
		for (i = 0; i <= MAX_NUM_LOG; i++) {
			rig_delete(self->diff[le][i]->rig);
			free(self->diff[le][i]);
		}
	}
	rig_mem_delete(self->maker.mem);
}

TEST_F_TIMEOUT(requests, get_the_verdict_of_the_model, BUDGET_NO_LIMIT)
{
	unsigned long count[DIFF_OUTCOMES] = { 0 }, cases = 0, all = 0, good;
	double end = budget_start();
	struct maker *m = &self->maker;
	unsigned int i, o;
	char text[200];
	int n = 0;

	/* A good number of cases even where the machine is slow. */
	while (cases < 2000 || budget_now() < end) {
		unsigned int log = rng_once(&m->rng, 32) ?
					   below(m, MAX_NUM_LOG + 1) :
					   2 + below(m, 6);
		struct diff *d = self->diff[!rng_once(&m->rng, 4)][log];

		one_case(m, d);
		if (d->failed) {
			ksft_log("case %lu, ring of %u: %s", cases, 1 << log,
				 d->why);
			ASSERT_FALSE(d->failed);
		}
		cases++;
	}

	for (i = 0; i <= MAX_NUM_LOG; i++)
		for (o = 0; o < DIFF_OUTCOMES; o++)
			count[o] += self->diff[0][i]->count[o] +
				    self->diff[1][i]->count[o];
	for (o = DIFF_DAMAGED; o < DIFF_OUTCOMES; o++) {
		n += snprintf(text + n, sizeof(text) - n, " %s %lu",
			      diff_outcome_name(o), count[o]);
		all += count[o];
	}
	ksft_log("%lu cases:%s", cases, text);
	/* Each happens, and good ones are common, or this tests nothing. */
	for (o = DIFF_DAMAGED; o < DIFF_OUTCOMES; o++)
		EXPECT_GT(count[o] * 200, all);
	good = count[DIFF_IN_PLACE] + count[DIFF_BOUNCED] + count[DIFF_OTHER];
	EXPECT_GT(good * 3, all);
	EXPECT_EQ(variant->cached, !!unit_pins);
}

TEST_HARNESS_MAIN
