// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page in the cache holds one pin. It is used as if it had just been pinned,
 * which is right as long as the owner's page table says the same. An MMU
 * notifier (inval.c) counts each change, at its start and at its end, and
 * those under way. Each look into the cache compares the count: nothing is
 * found while a change is under way, and everything is dropped when there was
 * one. The worker looks after it has read the ring. So a chain that was made
 * available after a page table was changed never sees what was before, and one
 * that was made available earlier races with the change, as it would with a
 * page-table walk of its own.
 *
 * A pinned page is neither swapped out nor migrated. So that the cache is no
 * obstacle to that, its size is limited, a change wakes a sleeping worker, and
 * everything is dropped once a second and when the worker has slept for one.
 */
#include "tlb.h"
#include "exact.h"

#include <linux/log2.h>
#include <linux/minmax.h>

static size_t vhost_blk_tlb_size(const struct vhost_blk_tlb *tlb)
{
	return sizeof(*tlb->entry) << tlb->bits;
}

/**
 * vhost_blk_tlb_create() - make an empty cache
 * @tlb: all zero
 * @nr: entries wanted, any value
 * @changes: the device's count of changes; outlives the cache
 *
 * Return: 0 or -ENOMEM.
 */
int vhost_blk_tlb_create(struct vhost_blk_tlb *tlb, unsigned int nr,
			 const atomic64_t *changes)
{
	nr = clamp(nr, VHOST_BLK_TLB_MIN, VHOST_BLK_TLB_MAX);
	tlb->bits = order_base_2(nr);
	tlb->entry = vhost_blk_exact_alloc(vhost_blk_tlb_size(tlb));
	if (!tlb->entry)
		return -ENOMEM;
	tlb->changes = changes;
	tlb->seen = atomic64_read(changes) & ~VHOST_BLK_INVAL_ACTIVE;
	return 0;
}

/**
 * vhost_blk_tlb_destroy() - drop all pages and the cache
 * @tlb: a cache without users
 */
void vhost_blk_tlb_destroy(struct vhost_blk_tlb *tlb)
{
	vhost_blk_tlb_flush(tlb);
	WARN_ON_ONCE(tlb->nr);
	vhost_blk_exact_free(tlb->entry, vhost_blk_tlb_size(tlb));
	tlb->entry = NULL;
}

/**
 * vhost_blk_tlb_drop() - let a page go
 * @tlb: the cache
 * @entry: an entry with a page and without users
 *
 * Context: worker, or the control path while there is none; sleeps.
 */
void vhost_blk_tlb_drop(struct vhost_blk_tlb *tlb,
			struct vhost_blk_tlb_entry *entry)
{
	struct page *page = virt_to_page(entry->addr);

	unpin_user_pages_dirty_lock(&page, 1, entry->dirty);
	memset(entry, 0, sizeof(*entry));
	WRITE_ONCE(tlb->nr, tlb->nr - 1);
}

/**
 * vhost_blk_tlb_flush() - drop all pages
 * @tlb: the cache
 *
 * Pages of requests under way follow when these are done, and are not found
 * again meanwhile.
 *
 * Context: worker, or the control path while there is none; sleeps.
 */
void vhost_blk_tlb_flush(struct vhost_blk_tlb *tlb)
{
	unsigned int i;

	/* A change during the walk is for the next one. */
	tlb->seen = atomic64_read(tlb->changes) & ~VHOST_BLK_INVAL_ACTIVE;
	/* Pairs with the barrier in vhost_blk_inval_count(). */
	smp_rmb();
	for (i = 0; tlb->nr && i < BIT(tlb->bits); i++) {
		struct vhost_blk_tlb_entry *entry = &tlb->entry[i];

		if (entry->users)
			entry->stale = true;
		else if (entry->key)
			vhost_blk_tlb_drop(tlb, entry);
	}
}

static bool vhost_blk_tlb_pin(struct vhost_blk_tlb *tlb,
			      struct vhost_blk_tlb_entry *entry, u64 hva,
			      bool write)
{
	struct page *page;

	if (entry->key)
		vhost_blk_tlb_drop(tlb, entry);
	if (pin_user_pages_fast(hva & PAGE_MASK, 1, write ? FOLL_WRITE : 0,
				&page) != 1)
		return false;
	entry->key = vhost_blk_tlb_key(hva);
	entry->addr = page_address(page);
	entry->write = write;
	WRITE_ONCE(tlb->nr, tlb->nr + 1);
	return true;
}

/**
 * vhost_blk_tlb_miss() - vhost_blk_tlb_find() beyond the first place
 * @tlb: the cache
 * @hva: an address in the page
 * @write: the page is going to be written to
 *
 * Context: worker with the owner's mm in use; sleeps.
 * Return: as vhost_blk_tlb_find().
 */
struct vhost_blk_tlb_entry *vhost_blk_tlb_miss(struct vhost_blk_tlb *tlb,
					       u64 hva, bool write)
{
	unsigned long key = vhost_blk_tlb_key(hva);
	struct vhost_blk_tlb_entry *entry, *place = NULL;
	unsigned int i;
	unsigned int first = vhost_blk_tlb_place(tlb, key);

	if (vhost_blk_tlb_is_stale(tlb))
		vhost_blk_tlb_flush(tlb);
	/* Nothing is found or pinned for longer while something changes. */
	if (atomic64_read(tlb->changes) != tlb->seen)
		return NULL;
	for (i = 0; i < 2; i++) {
		entry = &tlb->entry[first ^ i];
		if (entry->key == key && !entry->stale &&
		    (entry->write || !write))
			return entry;
		if (entry->users)
			continue;
		/*
		 * The page itself, pinned for reading only; or an empty one; or
		 * the first that is not in use.
		 */
		if (!place || entry->key == key ||
		    (place->key && place->key != key && !entry->key))
			place = entry;
	}
	if (!place || !vhost_blk_tlb_pin(tlb, place, hva, write))
		return NULL;
	return place;
}

/**
 * vhost_blk_tlb_peek() - vhost_blk_tlb_find() without pinning anything
 * @tlb: the cache
 * @hva: an address in the page
 * @write: the page is going to be written to
 *
 * Context: worker, or any that has claimed the queue; does not sleep.
 * Return: the entry; NULL when the page is not in the cache or may be wrong.
 */
struct vhost_blk_tlb_entry *vhost_blk_tlb_peek(struct vhost_blk_tlb *tlb,
					       u64 hva, bool write)
{
	unsigned long key = vhost_blk_tlb_key(hva);
	unsigned int i, first = vhost_blk_tlb_place(tlb, key);

	if (atomic64_read(tlb->changes) != tlb->seen)
		return NULL;
	for (i = 0; i < 2; i++) {
		struct vhost_blk_tlb_entry *entry = &tlb->entry[first ^ i];

		if (entry->key == key && !entry->stale &&
		    (entry->write || !write))
			return entry;
	}
	return NULL;
}
