/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of tlb.c have in common: the owner of the pages.
 *
 * Its page table is a list of what each page shows, a number that each change
 * takes anew. A pin has an address of its own, so that whatever the cache returns
 * or drops tells which pin it is and what the page showed then.
 */
#ifndef TLB_FIXTURE_H
#define TLB_FIXTURE_H

#include "budget.h"
#include "rig.h"

#define BASE 0x7f0000000000ULL
#define NR_PAGES 400
#define ROW 100 /* pages in a row; those of the next row want the same places */
#define NR_PINS 256

struct pin {
	bool live, write, written;
	unsigned int page, shows;
	unsigned int uses;
};

static struct {
	struct {
		unsigned int shows; /* 0: nothing is mapped */
		bool writable;
	} page[NR_PAGES];
	unsigned int last_shown;
	atomic64_t changes;

	struct pin pin[NR_PINS];
	unsigned int next_pin;
	/* since the last find began */
	unsigned int tried, pinned, unpinned;
	/* called once, from the middle of something */
	void (*meanwhile)(void);
} owner;

static inline u64 hva_of(unsigned int page)
{
	return BASE + (page % ROW + page / ROW * 64 * 64) * PAGE_SIZE;
}

static inline unsigned int page_of(u64 hva)
{
	unsigned int page;

	for (page = 0; page < NR_PAGES; page++)
		if (hva_of(page) == (hva & PAGE_MASK))
			return page;
	ASSERT_LT(page, NR_PAGES);
	return 0;
}

static inline struct pin *pin_of(const void *addr)
{
	uintptr_t n = (uintptr_t)addr / PAGE_SIZE - 1;

	ASSERT_EQ(0, offset_in_page(addr));
	ASSERT_LT(n, NR_PINS);
	return &owner.pin[n];
}

static inline void something_happens(void)
{
	void (*fn)(void) = owner.meanwhile;

	owner.meanwhile = NULL;
	if (fn)
		fn();
}

static inline void *owner_pin(unsigned long hva, bool write)
{
	unsigned int page = page_of(hva), n;
	struct pin *pin;

	owner.tried++;
	if (!owner.page[page].shows || (write && !owner.page[page].writable)) {
		something_happens();
		return NULL;
	}
	do {
		n = owner.next_pin++ % NR_PINS;
		pin = &owner.pin[n];
	} while (pin->live);
	*pin = (struct pin){
		.live = true,
		.write = write,
		.page = page,
		.shows = owner.page[page].shows,
	};
	owner.pinned++;
	something_happens();
	return (void *)((n + 1) * PAGE_SIZE);
}

static inline void owner_unpin(void *addr, bool dirty)
{
	struct pin *pin = pin_of(addr);

	ASSERT_TRUE(pin->live);
	ASSERT_EQ(0, pin->uses);
	ASSERT_EQ(pin->written, dirty);
	pin->live = false;
	owner.unpinned++;
	something_happens();
}

static inline void map(unsigned int page, bool writable)
{
	owner.page[page].shows = ++owner.last_shown;
	owner.page[page].writable = writable;
}

static inline void change(unsigned int page, bool writable)
{
	change_begins(&owner.changes, true);
	map(page, writable);
	change_ends(&owner.changes, true);
}

static inline void unmap(unsigned int page)
{
	change_begins(&owner.changes, true);
	owner.page[page].shows = 0;
	change_ends(&owner.changes, true);
}

/* All pages there, and an empty cache. */
static inline void owner_start(struct vhost_blk_tlb *tlb)
{
	unsigned int page;

	unit_pages.pin = owner_pin;
	unit_pages.unpin = owner_unpin;
	for (page = 0; page < NR_PAGES; page++)
		map(page, true);
	owner.changes.counter = 7 * VHOST_BLK_INVAL_ONE;
	ASSERT_EQ(0, vhost_blk_tlb_create(tlb, 64, &owner.changes));
}

/* What holds at any time. */
static inline void check(const struct vhost_blk_tlb *tlb)
{
	unsigned int i, n = 0, live = 0;

	for (i = 0; i < BIT(tlb->bits); i++) {
		const struct vhost_blk_tlb_entry *e = &tlb->entry[i];
		const struct vhost_blk_tlb_entry *twin = &tlb->entry[i ^ 1];
		static const struct vhost_blk_tlb_entry none;
		const struct pin *pin;

		if (!e->key) {
			ASSERT_EQ(0, memcmp(e, &none, sizeof(none)));
			continue;
		}
		n++;
		pin = pin_of(e->addr);
		ASSERT_TRUE(pin->live);
		ASSERT_EQ(vhost_blk_tlb_key(hva_of(pin->page)), e->key);
		ASSERT_EQ(vhost_blk_tlb_place(tlb, e->key) & ~1, i & ~1);
		ASSERT_EQ(pin->write, e->write);
		ASSERT_EQ(pin->written, e->dirty);
		ASSERT_EQ(pin->uses, e->users);
		ASSERT_TRUE(e->users || !e->stale);
		/* Once only, but for a page that is being read and written. */
		if (twin->key == e->key && !e->stale && !twin->stale)
			ASSERT_NE(e->write, twin->write);
		ASSERT_FALSE(twin->key && twin->addr == e->addr);
	}
	for (i = 0; i < NR_PINS; i++)
		live += owner.pin[i].live;
	ASSERT_EQ(n, tlb->nr);
	ASSERT_EQ(n, live);
	ASSERT_EQ(n, unit_pinned);
}

static inline struct vhost_blk_tlb_entry *find(struct vhost_blk_tlb *tlb,
					       unsigned int page, bool write)
{
	owner.tried = 0;
	owner.pinned = 0;
	owner.unpinned = 0;
	return vhost_blk_tlb_find(tlb, hva_of(page) + page % PAGE_SIZE, write);
}

static inline void use(struct vhost_blk_tlb_entry *entry)
{
	ASSERT_TRUE(entry != NULL);
	entry->users++;
	pin_of(entry->addr)->uses++;
}

static inline void put(struct vhost_blk_tlb *tlb,
		       struct vhost_blk_tlb_entry *entry, bool dirty)
{
	struct pin *pin = pin_of(entry->addr);

	pin->uses--;
	pin->written |= dirty;
	vhost_blk_tlb_put(tlb, entry, dirty);
}

static inline void flush(struct vhost_blk_tlb *tlb)
{
	owner.unpinned = 0;
	vhost_blk_tlb_flush(tlb);
}

static inline unsigned int shown(const struct vhost_blk_tlb_entry *entry)
{
	ASSERT_TRUE(entry != NULL);
	return pin_of(entry->addr)->shows;
}

static inline void destroy(struct vhost_blk_tlb *tlb)
{
	vhost_blk_tlb_destroy(tlb);
	ASSERT_TRUE(tlb->entry == NULL);
	ASSERT_EQ(0, tlb->nr);
	ASSERT_EQ(0, unit_pinned);
}

#endif /* TLB_FIXTURE_H */
