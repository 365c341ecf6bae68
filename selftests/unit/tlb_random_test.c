// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's tlb.c, all that can be done with it in random order.
 *
 * UNIT_SECONDS is the time it takes (default 2), UNIT_SEED starts other orders.
 */
#include "tlb_fixture.h"

static unsigned int looks; /* until the change, at the count */

struct use {
	struct vhost_blk_tlb_entry *entry;
	struct pin *pin;
};

FIXTURE(storm) {
	struct vhost_blk_tlb tlb;
	struct rng rng;
	struct use use[48];
	unsigned int nr_uses;
	/* changed in the page table, but not counted yet: page and before */
	bool uncounted;
	unsigned int changed, before;
	unsigned long finds, hits, none, failed, changes;
};

FIXTURE_SETUP(storm)
{
	self->rng.state = budget_seed();
	owner_start(&self->tlb);
}

FIXTURE_TEARDOWN(storm)
{
	unit_hook = NULL;
	free(self->tlb.entry);
}

static struct storm_data *now; /* for what happens meanwhile */

static void random_map(struct storm_data *self, unsigned int page)
{
	map(page, !rng_once(&self->rng, 8));
	if (rng_once(&self->rng, 16))
		owner.page[page].shows = 0;
}

static void random_change(void)
{
	random_map(now, now->changed);
	atomic64_add(VHOST_BLK_INVAL_ONE, &owner.changes);
	now->changes++;
}

static void random_look(enum unit_op op, const volatile void *p, size_t size)
{
	(void)size;
	if (op == UNIT_ATOMIC && p == &owner.changes && looks && !--looks)
		random_change();
}

/* A few in a row as a rule, and some that push each other out. */
static unsigned int random_page(struct storm_data *self)
{
	switch (rng_below(&self->rng, 4)) {
	case 0:
		return rng_below(&self->rng, NR_PAGES);
	case 1:
		return 3 + ROW * rng_below(&self->rng, NR_PAGES / ROW);
	default:
		return 10 + rng_below(&self->rng, 24);
	}
}

/* Something good in the cache, which has to be returned then. */
static bool has(const struct vhost_blk_tlb *tlb, unsigned int page, bool write)
{
	unsigned long key = vhost_blk_tlb_key(hva_of(page));
	unsigned int i, first = vhost_blk_tlb_place(tlb, key);

	for (i = 0; i < 2; i++) {
		const struct vhost_blk_tlb_entry *e = &tlb->entry[first ^ i];

		if (e->key == key && !e->stale && (e->write || !write))
			return true;
	}
	return false;
}

static bool both_in_use(const struct vhost_blk_tlb *tlb, unsigned int page)
{
	unsigned int first =
		vhost_blk_tlb_place(tlb, vhost_blk_tlb_key(hva_of(page)));

	return tlb->entry[first].users && tlb->entry[first ^ 1].users;
}

static const struct vhost_blk_tlb_entry *
twin_of(const struct vhost_blk_tlb *tlb,
	const struct vhost_blk_tlb_entry *entry)
{
	return &tlb->entry[(entry - tlb->entry) ^ 1];
}

static void start_use(struct storm_data *self,
		      struct vhost_blk_tlb_entry *entry, bool write)
{
	struct pin *pin = pin_of(entry->addr);

	if (write && rng_once(&self->rng, 4)) {
		/* As the status byte is written: at once. */
		entry->dirty = true;
		pin->written = true;
		return;
	}
	if (self->nr_uses == ARRAY_SIZE(self->use) || rng_once(&self->rng, 2))
		return;
	use(entry);
	self->use[self->nr_uses].entry = entry;
	self->use[self->nr_uses++].pin = pin;
}

static void random_find(struct storm_data *self)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	unsigned int page = random_page(self), before = owner.page[page].shows;
	bool write = rng_once(&self->rng, 2), full = both_in_use(tlb, page);
	bool counted = vhost_blk_tlb_is_stale(tlb);
	bool had = !counted && has(tlb, page, write), moved = false;
	struct vhost_blk_tlb_entry *entry;

	if (!self->uncounted && rng_once(&self->rng, 64)) {
		/* In the middle of it. */
		moved = true;
		self->changed = rng_once(&self->rng, 2) ? page :
							  random_page(self);
		if (rng_once(&self->rng, 2)) {
			owner.meanwhile = random_change;
		} else {
			looks = 1 + rng_below(&self->rng, 3);
			unit_hook = random_look;
		}
	}
	entry = find(tlb, page, write);
	owner.meanwhile = NULL;
	unit_hook = NULL;

	self->finds++;
	ASSERT_LE(owner.tried, 1);
	if (!counted && !moved)
		ASSERT_LE(owner.unpinned, 1);
	if (had && !moved)
		ASSERT_EQ(0, owner.tried + owner.unpinned);
	if (!entry) {
		/* Nor is there one when the count moves under its eyes. */
		ASSERT_TRUE(owner.tried ? !owner.pinned : full || moved);
		self->failed += owner.tried;
		self->none += !owner.tried;
		return;
	}
	self->hits += had;
	ASSERT_EQ(owner.tried, owner.pinned);
	ASSERT_TRUE(pin_of(entry->addr)->live);
	ASSERT_EQ(page, pin_of(entry->addr)->page);
	ASSERT_TRUE(entry->write || !write);
	ASSERT_FALSE(entry->stale);
	/* What the page table says, or said when the call began. */
	if (shown(entry) != owner.page[page].shows &&
	    !(moved && shown(entry) == before))
		ASSERT_TRUE(self->uncounted && self->changed == page &&
			    shown(entry) == self->before);
	/* It replaces what was too little. */
	if (owner.pinned)
		ASSERT_TRUE(twin_of(tlb, entry)->key != entry->key ||
			    twin_of(tlb, entry)->users);
	start_use(self, entry, write);
}

static void random_put(struct storm_data *self)
{
	unsigned int i;
	struct use *u;

	if (!self->nr_uses)
		return;
	i = rng_below(&self->rng, self->nr_uses);
	u = &self->use[i];
	put(&self->tlb, u->entry, u->entry->write && rng_once(&self->rng, 2));
	*u = self->use[--self->nr_uses];
}

static void random_step(struct storm_data *self)
{
	switch (rng_below(&self->rng, 256)) {
	case 0:
		if (self->uncounted)
			break;
		self->changed = random_page(self);
		random_change();
		break;
	case 1: /* elsewhere */
		atomic64_add(VHOST_BLK_INVAL_ONE, &owner.changes);
		self->uncounted = false;
		break;
	case 2:
		if (self->uncounted)
			break;
		self->uncounted = true;
		self->changed = random_page(self);
		self->before = owner.page[self->changed].shows;
		random_map(self, self->changed);
		break;
	case 3:
		if (!self->uncounted)
			vhost_blk_tlb_flush(&self->tlb);
		break;
	default:
		if (rng_once(&self->rng, 3))
			random_put(self);
		else
			random_find(self);
		break;
	}
}

TEST_F_TIMEOUT(storm, finds_what_the_page_table_says, BUDGET_NO_LIMIT)
{
	double end = budget_start();
	unsigned int i;

	now = self;
	do {
		random_step(self);
		check(&self->tlb);
		for (i = 0; i < self->nr_uses; i++)
			ASSERT_TRUE(pin_of(self->use[i].entry->addr) ==
				    self->use[i].pin);
	} while (self->finds < 20000 || budget_now() < end);

	while (self->nr_uses)
		random_put(self);
	destroy(&self->tlb);
	for (i = 0; i < NR_PINS; i++)
		ASSERT_FALSE(owner.pin[i].live);
	ksft_log("%lu finds: hits %lu, no place %lu, no page %lu; changes %lu",
		 self->finds, self->hits, self->none, self->failed,
		 self->changes);
	EXPECT_GT(self->hits * 20, self->finds);
	EXPECT_GT(self->none * 200, self->finds);
	EXPECT_GT(self->failed * 200, self->finds);
	EXPECT_GT(self->changes * 200, self->finds);
}

TEST_HARNESS_MAIN
