// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that changes everything it shares while the device looks at it.
 * Whatever the device takes must agree with itself and stay inside the memory.
 *
 * UNIT_SECONDS is the time for each test (default 2).
 */
#include <pthread.h>

#include "budget.h"
#include "rig.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

#define NUM 32
#define TABLES 0x4000 /* four of up to 64 entries */
#define TABLE 0x400
#define CAPACITY 1000

static const u64 addrs[] = { 0x1000, 0x1000,	     0x2000, 0x8000,
			     0xfe00, RIG_HOLE - 512, 0x8001, U64_MAX };
static const u32 lens[] = { 16, 512, 513, 1, 1024, 4096, 0, U32_MAX };

static void set64(__virtio64 *p, u64 val)
{
	__atomic_store_n(p, val, __ATOMIC_RELAXED);
}

static void set32(__virtio32 *p, u32 val)
{
	__atomic_store_n(p, val, __ATOMIC_RELAXED);
}

static void set16(__virtio16 *p, u16 val)
{
	__atomic_store_n(p, val, __ATOMIC_RELAXED);
}

FIXTURE(race) {
	struct rig_mem *mem;
	struct rig *rig;
	union vhost_blk_scratch *scratch; /* in one place, as the module has it */
	bool stop;
};

FIXTURE_VARIANT(race) {
	bool event_idx, indirect, cached;
};

FIXTURE_VARIANT_ADD(race, direct) { .event_idx = false };
FIXTURE_VARIANT_ADD(race, event_idx_indirect) { true, true, false };
FIXTURE_VARIANT_ADD(race, direct_cached) { .cached = true };
FIXTURE_VARIANT_ADD(race, event_idx_indirect_cached) { true, true, true };

FIXTURE_SETUP(race)
{
	self->mem = rig_mem_new();
	if (variant->cached)
		rig_mem_cache(self->mem);
	self->rig = rig_new(self->mem, NUM, true, variant->event_idx,
			    variant->indirect);
	self->scratch = calloc(1, sizeof(*self->scratch));
	ASSERT_TRUE(self->scratch);
	ASSERT_EQ(0, rig_start(self->rig, 0));
}

FIXTURE_TEARDOWN(race)
{
	free(self->scratch);
	rig_delete(self->rig);
	rig_mem_delete(self->mem);
}

/* One field of one descriptor of a table with @num entries. */
static void change_desc(struct rng *rng, struct vring_desc *desc,
			unsigned int num)
{
	static const u16 flags[] = {
		NEXT,  NEXT, NEXT | WRITE, NEXT | WRITE, WRITE,
		WRITE, 0,    INDIRECT
	};

	switch (rng_below(rng, 4)) {
	case 0:
		if (rng_once(rng, 8))
			set64(&desc->addr, TABLES + TABLE * rng_below(rng, 4));
		else
			set64(&desc->addr,
			      addrs[rng_below(rng, ARRAY_SIZE(addrs))]);
		break;
	case 1:
		set32(&desc->len, lens[rng_below(rng, ARRAY_SIZE(lens))]);
		break;
	case 2:
		set16(&desc->flags, flags[rng_below(rng, ARRAY_SIZE(flags))]);
		break;
	case 3:
		set16(&desc->next,
		      rng_once(rng, 64) ? rng_next(rng) : rng_below(rng, num));
		break;
	}
}

static void change_header(struct rng *rng, struct virtio_blk_outhdr *hdr)
{
	static const u32 types[] = { 0, 1, 4, 8 };

	if (rng_once(rng, 2))
		set32(&hdr->type, types[rng_below(rng, 4)]);
	else
		set64(&hdr->sector, rng_once(rng, 4) ?
					    rng_next(rng) :
					    rng_below(rng, CAPACITY + 9));
}

/* A request as it should be, in the entries @i to @i + 2 of a table. */
static void good_request(struct rng *rng, struct vring_desc *table,
			 unsigned int i)
{
	struct vring_desc *desc = &table[i];

	set64(&desc->addr, 0x1000);
	set32(&desc->len, 16);
	set16(&desc->next, i + 1);
	set16(&desc->flags, NEXT);
	desc++;
	set64(&desc->addr, addrs[rng_below(rng, ARRAY_SIZE(addrs))]);
	set32(&desc->len, lens[rng_below(rng, ARRAY_SIZE(lens))]);
	set16(&desc->next, i + 2);
	set16(&desc->flags, NEXT | WRITE);
	desc++;
	set64(&desc->addr, 0x2000);
	set32(&desc->len, 1);
	set16(&desc->flags, WRITE);
}

static void *driver(void *arg)
{
	struct race_data *self = arg;
	struct vring_avail *avail = self->rig->avail;
	struct rng rng = { .state = 5 };
	atomic64_t *changes = &self->mem->changes;
	u8 *low = rig_at(self->mem, 0);
	bool changing = false;
	u16 used, idx = 0;

	while (!__atomic_load_n(&self->stop, __ATOMIC_RELAXED)) {
		switch (rng_below(&rng, 11)) {
		case 0:
		case 1:
		case 2:
			change_desc(&rng,
				    &self->rig->desc[rng_below(&rng, NUM)],
				    NUM);
			break;
		case 3:
		case 4:
			change_desc(&rng,
				    (struct vring_desc *)(low + TABLES) +
					    rng_below(&rng, 4 * TABLE / 16),
				    64);
			break;
		case 5:
			change_header(&rng, (void *)(low + 0x1000));
			break;
		case 6:
			set16(&avail->ring[rng_below(&rng, NUM + 1)],
			      rng_once(&rng, 4096) ? rng_next(&rng) :
						     rng_below(&rng, NUM));
			break;
		case 7:
			used = __atomic_load_n(&self->rig->used->idx,
					       __ATOMIC_RELAXED);
			idx += rng_below(&rng, (u16)(used + NUM - idx) + 1);
			set16(&avail->flags, rng_next(&rng));
			set16(&avail->idx,
			      rng_once(&rng, 1024) ? rng_next(&rng) : idx);
			break;
		case 8:
			good_request(&rng, self->rig->desc,
				     rng_below(&rng, NUM - 2));
			break;
		case 9:
			good_request(&rng, (struct vring_desc *)(low + TABLES),
				     0);
			break;
		case 10:
			if (changing)
				change_ends(changes, true);
			else if (rng_once(&rng, 64))
				change_begins(changes, true);
			else
				break;
			changing = !changing;
			break;
		}
	}
	return NULL;
}

static bool is_addr(u64 gpa)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(addrs); i++)
		if (gpa == addrs[i])
			return true;
	return gpa == 0 || (gpa >= TABLES && gpa < TABLES + 4 * TABLE);
}

static bool is_len(u32 len)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lens); i++)
		if (len == lens[i])
			return true;
	return false;
}

static void check_chain(struct race_data *self, bool from_ring)
{
	const struct vhost_blk_chain *c = &self->scratch->chain;
	u64 out = 0, in = 0;
	unsigned int i;

	ASSERT_LT(c->id, NUM);
	ASSERT_LE(c->nr_out, VHOST_BLK_MAX_DESC);
	ASSERT_LE(c->nr_in, VHOST_BLK_MAX_DESC);
	ASSERT_LE(c->nr_out + c->nr_in, VHOST_BLK_MAX_DESC);
	for (i = 0; i < c->nr_out + c->nr_in; i++) {
		ASSERT_NE(0, c->seg[i].len);
		*(i < c->nr_out ? &out : &in) += c->seg[i].len;
		if (!from_ring)
			continue;
		/* Nothing but what the driver once wrote, and not halves of it. */
		ASSERT_TRUE(is_addr(c->seg[i].gpa));
		ASSERT_TRUE(is_len(c->seg[i].len));
	}
	ASSERT_EQ(out, c->out_len);
	ASSERT_EQ(in, c->in_len);
}

static bool in_memory(const struct race_data *self, u64 hva, u64 len)
{
	static const u64 sizes[RIG_REGIONS] = { 0x10000, 0x8000,  0,
						0x7001,	 6 << 20, 0x10000 };
	unsigned int i;

	for (i = 0; i < RIG_REGIONS; i++) {
		u64 start = (uintptr_t)self->mem->buf[i];

		if (start && hva >= start && hva + len <= start + sizes[i])
			return true;
	}
	return false;
}

static void check_cmd(struct race_data *self)
{
	static const struct vhost_blk_limits limits = {
		.capacity = CAPACITY,
		.block_mask = 511,
		.read_only = true,
	};
	const struct vhost_blk_chain *chain = &self->scratch->chain;
	struct vhost_blk_cmd *c = &self->scratch->cmd;
	u64 sum = 0, pages = 0;
	unsigned int i;

	/* One look at the header: the length is that of the type. */
	switch (c->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_GET_ID:
		ASSERT_EQ(chain->in_len - 1, c->data_len);
		break;
	case VIRTIO_BLK_T_OUT:
		ASSERT_EQ(chain->out_len - 16, c->data_len);
		break;
	default:
		ASSERT_EQ(0, c->data_len);
		break;
	}
	ASSERT_LE(c->data_len, VHOST_BLK_MAX_BYTES);
	ASSERT_LE(c->nr_spans, VHOST_BLK_MAX_SPANS);
	for (i = 0; i < c->nr_spans; i++) {
		const struct vhost_blk_span *s = &c->span[i];

		ASSERT_NE(0, s->len);
		ASSERT_TRUE(in_memory(self, s->hva, s->len));
		sum += s->len;
		pages += (s->hva + s->len - 1) / PAGE_SIZE -
			 s->hva / PAGE_SIZE + 1;
	}
	ASSERT_EQ(c->data_len, sum);
	if (c->type > VIRTIO_BLK_T_OUT)
		return;
	if (vhost_blk_cmd_check_rw(c, &limits) != VHOST_BLK_FAULT_NONE)
		return;
	ASSERT_EQ(VIRTIO_BLK_T_IN, c->type);
	ASSERT_LT(c->sector, CAPACITY);
	ASSERT_LE(c->sector * 512 + c->data_len, CAPACITY * 512);
	ASSERT_EQ(c->bounce ? DIV_ROUND_UP(c->data_len, PAGE_SIZE) : pages,
		  c->nr_pages);
}

TEST_F_TIMEOUT(race, takes_only_what_agrees_with_itself, BUDGET_NO_LIMIT)
{
	unsigned long taken = 0, malformed = 0, damaged = 0, parsed = 0;
	double end = budget_start();
	struct rng rng = { .state = 6 };
	struct vhost_blk_chain *chain = &self->scratch->chain;
	struct vhost_blk_cmd *cmd = &self->scratch->cmd;
	struct rig *rig = self->rig;
	pthread_t thread;
	int ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, driver, self));
	while (budget_now() < end || taken + malformed < 1000) {
		vhost_blk_ring_kicks_off(&rig->ring);
		ret = vhost_blk_ring_pop(&rig->ring, chain);
		switch (ret) {
		case 1:
			taken++;
			check_chain(self, !variant->indirect);
			ret = vhost_blk_cmd_parse(chain, &self->mem->view, true,
						  cmd);
			check_chain(self, !variant->indirect);
			if (ret != -EBADMSG)
				ASSERT_TRUE(
					in_memory(self, cmd->status_hva, 1));
			if (!ret) {
				parsed++;
				check_cmd(self);
			}
			break;
		case -EBADMSG:
			malformed++;
			ASSERT_LT(chain->id, NUM);
			break;
		case -EPROTO:
			damaged++;
			ASSERT_EQ(0, vhost_blk_ring_start(&rig->ring,
							  rig->ring.used_idx));
			sched_yield();
			continue;
		case 0:
			vhost_blk_ring_kicks_on(&rig->ring);
			sched_yield();
			continue;
		default:
			ASSERT_EQ(0, ret);
		}
		if (rng_once(&rng, 16))
			rig_mem_shake(self->mem, &rng);
		vhost_blk_ring_push(&rig->ring, chain->id, 1);
		vhost_blk_ring_publish(&rig->ring);
		vhost_blk_ring_wants_call(&rig->ring);
		vhost_blk_ring_called(&rig->ring);
	}
	__atomic_store_n(&self->stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ksft_log("taken %lu (parsed %lu) malformed %lu damaged %lu", taken,
		 parsed, malformed, damaged);
	EXPECT_GT(taken, 0);
	EXPECT_GT(malformed, 0);
	EXPECT_EQ(variant->cached, !!unit_pins);
}

TEST_HARNESS_MAIN
