/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Translation cache of a queue: pages of the guest that small requests used
 * lately stay pinned, so that the next request there costs no page-table walk.
 */
#ifndef VHOST_BLK_TLB_H
#define VHOST_BLK_TLB_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/mm.h>
#include <linux/types.h>

/* Entries of a queue's cache, at least and at most; powers of two. */
#define VHOST_BLK_TLB_MIN 64U
#define VHOST_BLK_TLB_MAX 1024U

/*
 * The device's count of changes of the owner's memory (inval.c): those that are
 * under way in the low bits, above them the number of all that there were.
 */
#define VHOST_BLK_INVAL_ACTIVE 0xffffLL
#define VHOST_BLK_INVAL_ONE (VHOST_BLK_INVAL_ACTIVE + 1)

/**
 * struct vhost_blk_tlb_entry - a pinned page
 * @key: vhost_blk_tlb_key() of the owner's address; 0: empty
 * @addr: the page as the kernel has it mapped
 * @users: requests under way that use it; it stays until they are done
 * @write: pinned for writing
 * @dirty: has been written to
 * @stale: is not to be found again, and dropped when its users are done
 */
struct vhost_blk_tlb_entry {
	unsigned long key;
	void *addr;
	u32 users;
	bool write;
	bool dirty;
	bool stale;
};

/**
 * struct vhost_blk_tlb - a queue's translation cache
 * @entry: the entries; NULL without a cache
 * @bits: their number is 2 to the power of this
 * @nr: entries that hold a page; others read it with READ_ONCE()
 * @seen: the count of changes when the cache was last emptied, without those
 *        that were under way
 * @changes: the device's count
 *
 * The worker alone uses it, or who has claimed the queue in its place.
 */
struct vhost_blk_tlb {
	struct vhost_blk_tlb_entry *entry;
	unsigned int bits;
	unsigned int nr;
	s64 seen;
	const atomic64_t *changes;
};

int vhost_blk_tlb_create(struct vhost_blk_tlb *tlb, unsigned int nr,
			 const atomic64_t *changes);
void vhost_blk_tlb_destroy(struct vhost_blk_tlb *tlb);
void vhost_blk_tlb_flush(struct vhost_blk_tlb *tlb);
struct vhost_blk_tlb_entry *vhost_blk_tlb_peek(struct vhost_blk_tlb *tlb,
					       u64 hva, bool write);
struct vhost_blk_tlb_entry *vhost_blk_tlb_miss(struct vhost_blk_tlb *tlb,
					       u64 hva, bool write);
void vhost_blk_tlb_drop(struct vhost_blk_tlb *tlb,
			struct vhost_blk_tlb_entry *entry);

/**
 * vhost_blk_tlb_is_stale() - has the owner's memory changed since?
 * @tlb: the cache
 *
 * Context: any.
 * Return: true when what is in the cache may be wrong.
 */
static inline bool vhost_blk_tlb_is_stale(const struct vhost_blk_tlb *tlb)
{
	return (atomic64_read(tlb->changes) & ~VHOST_BLK_INVAL_ACTIVE) !=
	       tlb->seen;
}

/**
 * vhost_blk_tlb_key() - what a page is found by
 * @hva: owner's address of a byte in it
 *
 * Return: the number, never 0.
 */
static inline unsigned long vhost_blk_tlb_key(u64 hva)
{
	return (hva >> PAGE_SHIFT) + 1;
}

/**
 * vhost_blk_tlb_place() - where a page is looked for first
 * @tlb: the cache
 * @key: from vhost_blk_tlb_key()
 *
 * Neighbours nearly always have different places, so a driver's buffers, which
 * tend to lie together, do not push each other out.
 *
 * Return: index of an entry.
 */
static inline unsigned int vhost_blk_tlb_place(const struct vhost_blk_tlb *tlb,
					       unsigned long key)
{
	return (key ^ key >> tlb->bits) & (BIT(tlb->bits) - 1);
}

/**
 * vhost_blk_tlb_find() - find or pin a page of the owner's memory
 * @tlb: the cache
 * @hva: an address in the page
 * @write: the page is going to be written to
 *
 * A page has two places; the second one is for vhost_blk_tlb_miss() to look at.
 *
 * Context: worker with the owner's mm in use; sleeps when it has to pin.
 * Return: the page's entry, good until the next call for this cache; NULL when
 * the page cannot be pinned, when both places are in use, or while the owner's
 * memory is being changed.
 */
static inline struct vhost_blk_tlb_entry *
vhost_blk_tlb_find(struct vhost_blk_tlb *tlb, u64 hva, bool write)
{
	unsigned long key = vhost_blk_tlb_key(hva);
	struct vhost_blk_tlb_entry *entry =
		&tlb->entry[vhost_blk_tlb_place(tlb, key)];

	if (likely(entry->key == key && (entry->write || !write) &&
		   !entry->stale && atomic64_read(tlb->changes) == tlb->seen))
		return entry;
	return vhost_blk_tlb_miss(tlb, hva, write);
}

/**
 * vhost_blk_tlb_put() - end a use
 * @tlb: the cache
 * @entry: an entry whose users count the use
 * @dirty: the page may have been written to
 *
 * Context: worker; sleeps when the page is to be dropped. Any that has claimed
 * the queue, when @entry is not stale.
 */
static inline void vhost_blk_tlb_put(struct vhost_blk_tlb *tlb,
				     struct vhost_blk_tlb_entry *entry,
				     bool dirty)
{
	entry->dirty |= dirty;
	if (!--entry->users && unlikely(entry->stale))
		vhost_blk_tlb_drop(tlb, entry);
}

#endif /* VHOST_BLK_TLB_H */
