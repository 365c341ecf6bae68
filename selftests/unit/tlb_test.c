// SPDX-License-Identifier: GPL-2.0-only
/* The module's tlb.c: the translation cache of a queue, rule by rule. */
#include "tlb_fixture.h"

FIXTURE(tlb) {
	struct vhost_blk_tlb tlb;
};

FIXTURE_SETUP(tlb)
{
	owner_start(&self->tlb);
}

FIXTURE_TEARDOWN(tlb)
{
	unit_hook = NULL;
	free(self->tlb.entry);
}

#define EXPECT_TRAFFIC(pins, unpins)               \
	do {                                       \
		EXPECT_EQ(pins, owner.tried);      \
		EXPECT_EQ(unpins, owner.unpinned); \
		check(&self->tlb);                 \
	} while (0)

/* Life */

TEST(sizes)
{
	static const struct {
		unsigned int nr, entries;
	} cases[] = {
		{ 0, 64 },	{ 1, 64 },	{ 63, 64 },
		{ 64, 64 },	{ 65, 128 },	{ 128, 128 },
		{ 129, 256 },	{ 1023, 1024 }, { 1024, 1024 },
		{ 1025, 1024 }, { 4096, 1024 }, { 1U << 31, 1024 },
		{ ~0U, 1024 },
	};
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vhost_blk_tlb tlb = { .entry = NULL };
		atomic64_t changes = { 3 * VHOST_BLK_INVAL_ONE };

		ASSERT_EQ(0, vhost_blk_tlb_create(&tlb, cases[i].nr, &changes));
		ASSERT_EQ(cases[i].entries, BIT(tlb.bits));
		EXPECT_EQ(0, tlb.nr);
		EXPECT_FALSE(vhost_blk_tlb_is_stale(&tlb));
		for (k = 0; k < cases[i].entries; k++)
			ASSERT_EQ(0, tlb.entry[k].key);
		vhost_blk_tlb_destroy(&tlb);
		EXPECT_TRUE(tlb.entry == NULL);
	}
}

TEST(no_memory)
{
	struct vhost_blk_tlb tlb = { .entry = NULL };
	atomic64_t changes = { 0 };

	unit_no_memory = true;
	EXPECT_EQ(-ENOMEM, vhost_blk_tlb_create(&tlb, 64, &changes));
	EXPECT_TRUE(tlb.entry == NULL);
	EXPECT_EQ(0, vhost_blk_tlb_create(&tlb, 64, &changes));
	vhost_blk_tlb_destroy(&tlb);
}

TEST_F(tlb, serves_another_life)
{
	struct vhost_blk_tlb *tlb = &self->tlb;

	use(find(tlb, 0, true));
	put(tlb, find(tlb, 0, true), true);
	destroy(tlb);
	EXPECT_EQ(1, owner.unpinned);
	change(0, true);
	ASSERT_EQ(0, vhost_blk_tlb_create(tlb, 65, &owner.changes));
	EXPECT_EQ(owner.page[0].shows, shown(find(tlb, 0, true)));
	EXPECT_TRAFFIC(1, 0);
	destroy(tlb);
}

/* Places */

/* The first page of all has a key, too: an empty entry is not taken for it. */
TEST(every_page_has_a_key)
{
	EXPECT_NE(0, vhost_blk_tlb_key(0));
	EXPECT_NE(0, vhost_blk_tlb_key(TASK_SIZE - 1));
	EXPECT_EQ(vhost_blk_tlb_key(0x5000), vhost_blk_tlb_key(0x5fff));
	EXPECT_NE(vhost_blk_tlb_key(0x5000), vhost_blk_tlb_key(0x6000));
	EXPECT_NE(vhost_blk_tlb_key(0x5000), vhost_blk_tlb_key(0x4fff));
	EXPECT_NE(vhost_blk_tlb_key(1ULL << 46), vhost_blk_tlb_key(0));
}

/* Buffers that lie together have all of the cache. */
TEST(run_of_pages_fills_the_cache)
{
	struct rng rng = { .state = 9 };
	unsigned int bits, round, i, n;

	for (bits = 6; bits <= 10; bits++) {
		struct vhost_blk_tlb tlb = { .entry = NULL };
		atomic64_t changes = { 0 };
		u64 hva;

		n = 1 << bits;
		ASSERT_EQ(0, vhost_blk_tlb_create(&tlb, n, &changes));
		for (round = 0; round < 100; round++) {
			/* Keys that have everything above the place alike. */
			hva = rng_below(&rng, TASK_SIZE / PAGE_SIZE / n - 1);
			hva = (hva * n + n - 1) * PAGE_SIZE;
			for (i = 0; i < n; i++)
				ASSERT_TRUE(vhost_blk_tlb_find(
						    &tlb, hva + i * PAGE_SIZE,
						    i & 1) != NULL);
			ASSERT_EQ(n, tlb.nr);
			ASSERT_EQ(n, unit_pinned);
		}
		vhost_blk_tlb_destroy(&tlb);
	}
}

/* And so have pages that lie as far from each other as the cache is large. */
TEST(pages_far_from_each_other_fill_the_cache)
{
	unsigned int bits, i, n;

	for (bits = 6; bits <= 10; bits++) {
		struct vhost_blk_tlb tlb = { .entry = NULL };
		atomic64_t changes = { 0 };
		u64 hva = BASE - PAGE_SIZE;

		n = 1 << bits;
		ASSERT_EQ(0, vhost_blk_tlb_create(&tlb, n, &changes));
		for (i = 0; i < n; i++)
			vhost_blk_tlb_find(&tlb, hva + i * n * PAGE_SIZE, true);
		EXPECT_EQ(n, tlb.nr);
		vhost_blk_tlb_destroy(&tlb);
	}
}

TEST(neighbours_do_not_push_each_other_out)
{
	struct vhost_blk_tlb tlb = { .entry = NULL };
	struct rng rng = { .state = 10 };
	atomic64_t changes = { 0 };
	unsigned int round;

	ASSERT_EQ(0, vhost_blk_tlb_create(&tlb, 64, &changes));
	for (round = 0; round < 100000; round++) {
		u64 hva =
			rng_below(&rng, TASK_SIZE / PAGE_SIZE - 1) * PAGE_SIZE;
		void *addr = (void *)hva;

		if (!hva)
			continue;
		vhost_blk_tlb_find(&tlb, hva, false)->users++;
		vhost_blk_tlb_find(&tlb, hva + PAGE_SIZE, true);
		ASSERT_TRUE(vhost_blk_tlb_find(&tlb, hva, false)->addr == addr);
		vhost_blk_tlb_put(&tlb, vhost_blk_tlb_find(&tlb, hva, false),
				  false);
	}
	vhost_blk_tlb_destroy(&tlb);
}

/* Finding */

TEST_F(tlb, pins_once)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	struct vhost_blk_tlb_entry *entry = find(tlb, 3, true);

	EXPECT_TRAFFIC(1, 0);
	EXPECT_EQ(owner.page[3].shows, shown(entry));
	EXPECT_TRUE(entry->write);
	EXPECT_TRUE(find(tlb, 3, true) == entry);
	EXPECT_TRAFFIC(0, 0);
	EXPECT_TRUE(find(tlb, 3, false) == entry);
	EXPECT_TRAFFIC(0, 0);
	EXPECT_EQ(1, tlb->nr);
	destroy(tlb);
	EXPECT_EQ(1, owner.unpinned);
}

TEST_F(tlb, write_wants_a_pin_for_writing)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	struct vhost_blk_tlb_entry *entry = find(tlb, 3, false);

	EXPECT_FALSE(entry->write);
	/* Read only until now: another pin takes its place. */
	entry = find(tlb, 3, true);
	EXPECT_TRAFFIC(1, 1);
	EXPECT_TRUE(entry->write);
	EXPECT_EQ(vhost_blk_tlb_place(tlb, entry->key), entry - tlb->entry);
	EXPECT_EQ(1, tlb->nr);
	EXPECT_TRUE(find(tlb, 3, false) == entry);
	EXPECT_TRAFFIC(0, 0);

	map(4, false);
	EXPECT_TRUE(find(tlb, 4, true) == NULL);
	EXPECT_TRAFFIC(1, 0);
	EXPECT_EQ(owner.page[4].shows, shown(find(tlb, 4, false)));
	EXPECT_TRAFFIC(1, 0);
	destroy(tlb);
}

/* Wherever it is. */
TEST_F(tlb, page_that_was_read_is_pinned_once_when_written)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	struct vhost_blk_tlb_entry *first = find(tlb, 103, false), *second;

	use(first);
	second = find(tlb, 3, false);
	EXPECT_TRUE(first != second);
	put(tlb, first, false);
	EXPECT_TRUE(find(tlb, 3, true) == second);
	EXPECT_TRAFFIC(1, 1);
	EXPECT_TRUE(find(tlb, 103, false) == first);
	EXPECT_TRAFFIC(0, 0);
	destroy(tlb);
}

/* A page that is being read stays as it is while it is written to. */
TEST_F(tlb, reads_and_writes_at_the_same_time)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	struct vhost_blk_tlb_entry *reader = find(tlb, 3, false), *writer;

	use(reader);
	writer = find(tlb, 3, true);
	use(writer);
	EXPECT_TRUE(writer != reader);
	EXPECT_TRAFFIC(1, 0);
	EXPECT_TRUE(find(tlb, 3, true) == writer);
	EXPECT_TRAFFIC(0, 0);
	put(tlb, reader, false);
	/* The writer's will do, now that the reader has gone. */
	EXPECT_TRUE(find(tlb, 3, true) == writer);
	EXPECT_TRAFFIC(0, 0);
	put(tlb, writer, true);
	destroy(tlb);
}

TEST_F(tlb, failed_pin_leaves_nothing)
{
	struct vhost_blk_tlb *tlb = &self->tlb;

	owner.page[3].shows = 0;
	EXPECT_TRUE(find(tlb, 3, true) == NULL);
	EXPECT_TRAFFIC(1, 0);
	EXPECT_TRUE(find(tlb, 3, false) == NULL);
	EXPECT_TRAFFIC(1, 0);
	EXPECT_EQ(0, tlb->nr);
	/* No change has to be counted for what was not there. */
	map(3, true);
	EXPECT_EQ(owner.page[3].shows, shown(find(tlb, 3, true)));
	EXPECT_TRAFFIC(1, 0);
	/* Both places taken, and the one that is cleared stays empty. */
	find(tlb, 103, false);
	find(tlb, 3 + 32, false);
	unmap(303);
	find(tlb, 3, true);
	find(tlb, 103, false);
	EXPECT_EQ(2, tlb->nr);
	EXPECT_TRUE(find(tlb, 303, false) == NULL);
	EXPECT_TRAFFIC(1, 1);
	EXPECT_EQ(1, tlb->nr);
	destroy(tlb);
}

/* Pages 3, 103, 203 and so on want the same two places. */
TEST_F(tlb, an_empty_place_before_one_in_use_by_none)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	unsigned int page;

	for (page = 0; page < NR_PAGES; page += ROW) {
		ASSERT_EQ(vhost_blk_tlb_place(tlb,
					      vhost_blk_tlb_key(hva_of(3))) &
				  ~1,
			  vhost_blk_tlb_place(
				  tlb, vhost_blk_tlb_key(hva_of(3 + page))) &
				  ~1);
	}
	find(tlb, 3, true);
	find(tlb, 103, true);
	EXPECT_TRAFFIC(1, 0);
	EXPECT_EQ(2, tlb->nr);
	find(tlb, 3, true);
	EXPECT_TRAFFIC(0, 0);
	find(tlb, 103, true);
	EXPECT_TRAFFIC(0, 0);
	/* A third one pushes out one of them. */
	find(tlb, 203, true);
	EXPECT_TRAFFIC(1, 1);
	EXPECT_EQ(2, tlb->nr);
	/* An empty place behind one that is in use. */
	flush(tlb);
	EXPECT_TRAFFIC(1, 2);
	use(find(tlb, 3, true));
	find(tlb, 103, false);
	EXPECT_TRAFFIC(1, 0);
	put(tlb, find(tlb, 3, true), false);
	destroy(tlb);
}

TEST_F(tlb, no_place_when_both_are_in_use)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	struct vhost_blk_tlb_entry *a, *b;

	a = find(tlb, 3, true);
	use(a);
	b = find(tlb, 103, false);
	use(b);
	EXPECT_TRUE(find(tlb, 203, false) == NULL);
	EXPECT_TRAFFIC(0, 0);
	EXPECT_TRUE(find(tlb, 103, true) == NULL);
	EXPECT_TRAFFIC(0, 0);
	EXPECT_TRUE(find(tlb, 3, true) == a);
	EXPECT_TRUE(find(tlb, 103, false) == b);
	EXPECT_TRAFFIC(0, 0);
	/* The one that is free is taken, wherever it is. */
	put(tlb, b, false);
	EXPECT_TRUE(find(tlb, 203, false) == b);
	EXPECT_TRAFFIC(1, 1);
	use(b);
	put(tlb, a, false);
	EXPECT_TRUE(find(tlb, 303, false) == a);
	EXPECT_TRAFFIC(1, 1);
	put(tlb, b, false);
	destroy(tlb);
}

/* Changes */

TEST_F(tlb, next_find_sees_a_change)
{
	struct vhost_blk_tlb *tlb = &self->tlb;

	find(tlb, 3, true);
	find(tlb, 6, false);
	find(tlb, 106, false);
	change(3, true);
	EXPECT_TRUE(vhost_blk_tlb_is_stale(tlb));
	EXPECT_EQ(owner.page[3].shows, shown(find(tlb, 3, true)));
	EXPECT_TRAFFIC(1, 3);
	EXPECT_FALSE(vhost_blk_tlb_is_stale(tlb));
	find(tlb, 3, true);
	EXPECT_TRAFFIC(0, 0);
	change(106, false);
	find(tlb, 6, false);
	EXPECT_EQ(owner.page[106].shows, shown(find(tlb, 106, false)));
	unmap(106);
	EXPECT_TRUE(find(tlb, 106, false) == NULL);
	EXPECT_TRAFFIC(1, 2);
	destroy(tlb);
}

/* Others than those of guest memory are no reason to forget anything. */
TEST_F(tlb, change_elsewhere)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	struct vhost_blk_tlb_entry *entry = find(tlb, 3, true);

	change_begins(&owner.changes, false);
	EXPECT_FALSE(vhost_blk_tlb_is_stale(tlb));
	EXPECT_TRUE(find(tlb, 3, true) == NULL);
	EXPECT_TRUE(find(tlb, 4, true) == NULL);
	EXPECT_TRAFFIC(0, 0);
	change_ends(&owner.changes, false);
	EXPECT_FALSE(vhost_blk_tlb_is_stale(tlb));
	EXPECT_TRUE(find(tlb, 3, true) == entry);
	EXPECT_TRAFFIC(0, 0);
	destroy(tlb);
}

/* What is pinned from a page table that is changing must not be kept. */
TEST_F(tlb, finds_nothing_while_a_change_is_under_way)
{
	struct vhost_blk_tlb *tlb = &self->tlb;

	find(tlb, 3, true);
	change_begins(&owner.changes, true);
	change_begins(&owner.changes, true);
	EXPECT_TRUE(vhost_blk_tlb_is_stale(tlb));
	EXPECT_TRUE(find(tlb, 3, true) == NULL);
	EXPECT_TRAFFIC(0, 1);
	/* Nothing more to drop: the worker may sleep. */
	EXPECT_FALSE(vhost_blk_tlb_is_stale(tlb));
	map(3, true);
	change_ends(&owner.changes, true);
	EXPECT_TRUE(find(tlb, 3, true) == NULL);
	EXPECT_TRAFFIC(0, 0);
	change_ends(&owner.changes, true);
	EXPECT_EQ(owner.page[3].shows, shown(find(tlb, 3, true)));
	EXPECT_TRAFFIC(1, 0);
	destroy(tlb);
}

/* A cache made meanwhile. */
TEST_F(tlb, created_while_a_change_is_under_way)
{
	struct vhost_blk_tlb *tlb = &self->tlb;

	destroy(tlb);
	change_begins(&owner.changes, true);
	ASSERT_EQ(0, vhost_blk_tlb_create(tlb, 64, &owner.changes));
	EXPECT_FALSE(vhost_blk_tlb_is_stale(tlb));
	EXPECT_TRUE(find(tlb, 3, true) == NULL);
	EXPECT_TRAFFIC(0, 0);
	map(3, true);
	change_ends(&owner.changes, true);
	EXPECT_EQ(owner.page[3].shows, shown(find(tlb, 3, true)));
	EXPECT_TRAFFIC(1, 0);
	destroy(tlb);
}

/* The count is a number that wraps. */
TEST_F(tlb, count_of_changes_wraps)
{
	struct vhost_blk_tlb *tlb = &self->tlb;

	owner.changes.counter = S64_MAX & ~VHOST_BLK_INVAL_ACTIVE;
	find(tlb, 3, true);
	EXPECT_FALSE(vhost_blk_tlb_is_stale(tlb));
	change(3, true);
	EXPECT_TRUE(vhost_blk_tlb_is_stale(tlb));
	EXPECT_EQ(owner.page[3].shows, shown(find(tlb, 3, true)));
	owner.changes.counter = -VHOST_BLK_INVAL_ONE;
	find(tlb, 3, true);
	EXPECT_FALSE(vhost_blk_tlb_is_stale(tlb));
	change(3, true);
	EXPECT_EQ(owner.page[3].shows, shown(find(tlb, 3, true)));
	destroy(tlb);
}

static void change_3(void)
{
	change(3, true);
}

/* Whatever the cache was just doing. */
TEST_F(tlb, change_while_a_page_is_pinned)
{
	struct vhost_blk_tlb *tlb = &self->tlb;

	owner.meanwhile = change_3;
	find(tlb, 3, true);
	EXPECT_EQ(owner.page[3].shows, shown(find(tlb, 3, true)));
	EXPECT_TRAFFIC(1, 1);
	destroy(tlb);
}

TEST_F(tlb, change_while_a_page_is_dropped)
{
	struct vhost_blk_tlb *tlb = &self->tlb;

	find(tlb, 3, true);
	find(tlb, 4, true);
	change(5, true);
	owner.meanwhile = change_3;
	find(tlb, 4, true);
	EXPECT_TRUE(vhost_blk_tlb_is_stale(tlb));
	EXPECT_EQ(owner.page[3].shows, shown(find(tlb, 3, true)));
	check(tlb);
	destroy(tlb);
}

static unsigned int looks; /* until the change, at the count */

static void change_behind_a_look(enum unit_op op, const volatile void *p,
				 size_t size)
{
	(void)size;
	if (op == UNIT_ATOMIC && p == &owner.changes && looks && !--looks)
		change(3, true);
}

/* At each look at the count, the change comes right behind it. */
TEST_F(tlb, change_behind_a_look_at_the_count)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	unsigned int k;

	for (k = 1; k <= 4; k++) {
		find(tlb, 3, true);
		change(3, true);
		looks = k;
		unit_hook = change_behind_a_look;
		find(tlb, 3, true);
		unit_hook = NULL;
		EXPECT_EQ(0, looks);
		EXPECT_EQ(owner.page[3].shows, shown(find(tlb, 3, true)));
		check(tlb);
	}
	destroy(tlb);
}

static int order[5];
static unsigned int nr_order;

static void note_order(enum unit_op op, const volatile void *p, size_t size)
{
	(void)p;
	(void)size;
	if ((op == UNIT_ATOMIC || op == UNIT_RMB) && nr_order < 5)
		order[nr_order++] = op;
}

static void note_pin(void)
{
	if (nr_order < 5)
		order[nr_order++] = -1;
}

/* The count before the page table, and nothing in between them the other way. */
TEST_F(tlb, looks_at_the_count_before_the_page_table)
{
	struct vhost_blk_tlb *tlb = &self->tlb;

	change(3, true);
	owner.meanwhile = note_pin;
	unit_hook = note_order;
	find(tlb, 3, true);
	unit_hook = NULL;
	/* It differs; what it is; nothing is under way; then the pin. */
	ASSERT_EQ(5, nr_order);
	EXPECT_EQ(UNIT_ATOMIC, order[0]);
	EXPECT_EQ(UNIT_ATOMIC, order[1]);
	EXPECT_EQ(UNIT_RMB, order[2]);
	EXPECT_EQ(UNIT_ATOMIC, order[3]);
	EXPECT_EQ(-1, order[4]);
	destroy(tlb);
}

/* Pages in use */

TEST_F(tlb, users_keep_a_stale_page)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	struct vhost_blk_tlb_entry *entry = find(tlb, 3, true), *other;
	unsigned int before = owner.page[3].shows;

	use(entry);
	use(entry);
	find(tlb, 4, true);
	find(tlb, 5, true);
	change(3, true);
	other = find(tlb, 3, true);
	EXPECT_TRAFFIC(1, 2);
	EXPECT_TRUE(other != entry);
	EXPECT_EQ(owner.page[3].shows, shown(other));
	EXPECT_EQ(before, shown(entry));
	EXPECT_EQ(2, tlb->nr);

	put(tlb, entry, true);
	EXPECT_EQ(before, shown(entry));
	EXPECT_EQ(2, tlb->nr);
	owner.unpinned = 0;
	put(tlb, entry, false);
	EXPECT_TRAFFIC(1, 1);
	EXPECT_EQ(1, tlb->nr);
	EXPECT_TRUE(find(tlb, 3, true) == other);
	EXPECT_TRAFFIC(0, 0);
	destroy(tlb);
}

/* It goes although nobody asks for it, and not before. */
TEST_F(tlb, flush_leaves_what_is_in_use)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	struct vhost_blk_tlb_entry *in_use[8];
	unsigned int i;

	for (i = 0; i < 16; i++) {
		struct vhost_blk_tlb_entry *entry = find(tlb, i, i & 1);

		if (i % 2)
			continue;
		use(entry);
		in_use[i / 2] = entry;
	}
	flush(tlb);
	EXPECT_EQ(8, tlb->nr);
	EXPECT_EQ(8, owner.unpinned);
	flush(tlb);
	EXPECT_EQ(8, owner.unpinned + tlb->nr);
	check(tlb);
	for (i = 0; i < 8; i++) {
		put(tlb, in_use[i], false);
		EXPECT_EQ(7 - i, tlb->nr);
		check(tlb);
	}
	destroy(tlb);
}

/* A place is not free before its page is, stale or not. */
TEST_F(tlb, stale_pages_keep_their_places)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	struct vhost_blk_tlb_entry *a = find(tlb, 3, true), *b;

	use(a);
	flush(tlb);
	b = find(tlb, 3, true);
	EXPECT_TRUE(b != a);
	use(b);
	flush(tlb);
	EXPECT_TRUE(find(tlb, 3, true) == NULL);
	EXPECT_TRAFFIC(0, 0);
	put(tlb, a, false);
	EXPECT_TRUE(find(tlb, 3, true) == a);
	EXPECT_TRAFFIC(1, 0);
	put(tlb, b, true);
	destroy(tlb);
}

TEST_F(tlb, a_use_that_ends_in_time_drops_nothing)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	struct vhost_blk_tlb_entry *entry = find(tlb, 3, true);

	use(entry);
	owner.unpinned = 0;
	put(tlb, entry, true);
	EXPECT_EQ(0, owner.unpinned);
	EXPECT_TRUE(find(tlb, 3, true) == entry);
	EXPECT_TRAFFIC(0, 0);
	/* What was written before stays written. */
	use(entry);
	put(tlb, entry, false);
	check(tlb);
	destroy(tlb);
}

/* A look that pins nothing finds what is there, and only when it is right. */
TEST_F(tlb, peek)
{
	struct vhost_blk_tlb *tlb = &self->tlb;
	struct vhost_blk_tlb_entry *entry, *second;

	EXPECT_TRUE(vhost_blk_tlb_peek(tlb, hva_of(3), false) == NULL);
	EXPECT_TRAFFIC(0, 0);
	entry = find(tlb, 3, false);
	EXPECT_TRUE(vhost_blk_tlb_peek(tlb, hva_of(3), false) == entry);
	EXPECT_TRUE(vhost_blk_tlb_peek(tlb, hva_of(3), true) == NULL);
	/* both places of a page are looked at */
	use(entry);
	second = find(tlb, 3, true);
	EXPECT_TRUE(second != entry);
	EXPECT_TRUE(vhost_blk_tlb_peek(tlb, hva_of(3), true) == second);
	put(tlb, entry, false);

	change(3, true);
	EXPECT_TRUE(vhost_blk_tlb_peek(tlb, hva_of(3), true) == NULL);
	use(second);
	flush(tlb);
	EXPECT_TRUE(vhost_blk_tlb_peek(tlb, hva_of(3), true) == NULL);
	put(tlb, second, false);
	destroy(tlb);
}

TEST_HARNESS_MAIN
