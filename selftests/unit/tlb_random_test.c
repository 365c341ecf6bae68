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
	/* under way */
	struct {
		unsigned int page;
		bool concerns;
	} change[3];
	unsigned int nr_changes;
	unsigned int wanted;
	unsigned long finds, hits, none, failed, meanwhile, changes;
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

static void begin_change(struct storm_data *self)
{
	unsigned int i = self->nr_changes;

	if (i == ARRAY_SIZE(self->change))
		return;
	self->change[i].page = random_page(self);
	self->change[i].concerns = !rng_once(&self->rng, 4);
	self->nr_changes++;
	self->changes++;
	change_begins(&owner.changes, self->change[i].concerns);
}

/* The page table, perhaps, or the end of a change. */
static void go_on_with_change(struct storm_data *self)
{
	unsigned int i;

	if (!self->nr_changes)
		return;
	i = rng_below(&self->rng, self->nr_changes);
	if (self->change[i].concerns && rng_once(&self->rng, 2)) {
		random_map(self, self->change[i].page);
		return;
	}
	change_ends(&owner.changes, self->change[i].concerns);
	self->change[i] = self->change[--self->nr_changes];
}

/* In the middle of a find: the page that is looked for, as often as not. */
static void change_meanwhile(void)
{
	unsigned int page = rng_once(&now->rng, 2) ? now->wanted :
						     random_page(now);

	if (rng_once(&now->rng, 2)) {
		begin_change(now);
		return;
	}
	change_begins(&owner.changes, true);
	random_map(now, page);
	change_ends(&owner.changes, true);
	now->changes++;
}

static void change_behind_a_look(enum unit_op op, const volatile void *p,
				 size_t size)
{
	(void)size;
	if (op == UNIT_ATOMIC && p == &owner.changes && looks && !--looks)
		change_meanwhile();
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

/* Sometimes a change in the middle of the next find; returns whether. */
static bool plan_change(struct storm_data *self, unsigned int page)
{
	if (!rng_once(&self->rng, 64))
		return false;
	self->wanted = page;
	if (rng_once(&self->rng, 2)) {
		owner.meanwhile = change_meanwhile;
	} else {
		looks = 1 + rng_below(&self->rng, 4);
		unit_hook = change_behind_a_look;
	}
	return true;
}

static void check_found(struct storm_data *self,
			const struct vhost_blk_tlb_entry *entry,
			unsigned int page, bool write)
{
	const struct vhost_blk_tlb_entry *twin = twin_of(&self->tlb, entry);

	ASSERT_EQ(owner.tried, owner.pinned);
	ASSERT_TRUE(pin_of(entry->addr)->live);
	ASSERT_EQ(page, pin_of(entry->addr)->page);
	ASSERT_TRUE(entry->write || !write);
	ASSERT_FALSE(entry->stale);
	/* It replaces what was too little. */
	if (owner.pinned)
		ASSERT_TRUE(twin->key != entry->key || twin->users);
}

static void random_find(struct storm_data *self)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	unsigned int page = random_page(self), before = owner.page[page].shows;
	bool write = rng_once(&self->rng, 2), full = both_in_use(tlb, page);
	bool stale = vhost_blk_tlb_is_stale(tlb), busy = self->nr_changes;
	bool had = !stale && !busy && has(tlb, page, write);
	bool moved = plan_change(self, page);
	struct vhost_blk_tlb_entry *entry = find(tlb, page, write);

	owner.meanwhile = NULL;
	unit_hook = NULL;

	self->finds++;
	self->hits += had;
	self->meanwhile += busy;
	ASSERT_LE(owner.tried, 1);
	if (busy)
		ASSERT_TRUE(!entry && !owner.tried);
	if (!stale && !moved)
		ASSERT_LE(owner.unpinned, 1);
	if (had && !moved)
		ASSERT_TRUE(entry && !owner.tried && !owner.unpinned);
	if (!entry) {
		/* Nor is there one when the count moves under its eyes. */
		if (owner.tried)
			ASSERT_EQ(0, owner.pinned);
		else
			ASSERT_TRUE(full || moved || busy);
		self->failed += owner.tried;
		self->none += full;
		return;
	}
	check_found(self, entry, page, write);
	/* What the page table says, or said when the call began. */
	if (!moved || shown(entry) != before)
		ASSERT_EQ(owner.page[page].shows, shown(entry));
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
	switch (rng_below(&self->rng, 128)) {
	case 0:
		begin_change(self);
		break;
	case 1 ... 8:
		go_on_with_change(self);
		break;
	case 9:
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
	ksft_log(
		"%lu finds: hits %lu, no place %lu, no page %lu, in a change %lu",
		self->finds, self->hits, self->none, self->failed,
		self->meanwhile);
	/* Each happens, and not all the time, or this tests nothing. */
	EXPECT_GT(self->hits * 20, self->finds);
	EXPECT_GT(self->none * 200, self->finds);
	EXPECT_GT(self->failed * 200, self->finds);
	EXPECT_GT(self->meanwhile * 200, self->finds);
	EXPECT_GT(self->finds, self->meanwhile * 2);
	EXPECT_GT(self->changes * 400, self->finds);
}

TEST_HARNESS_MAIN
