/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One ring and some guest memory, as the driver has them. All that the device
 * may touch is allocated to the byte, so that the address sanitizer sees a step
 * over any end.
 *
 *	RIG_LOW		0x0		64 KiB
 *	RIG_NEXT	0x10000		16 KiB	follows in the guest only
 *	RIG_TOUCH	0x14000		16 KiB	follows in the process, too
 *	(hole)		0x18000		4 KiB
 *	RIG_ODD		0x19000		28 KiB	at an odd address of the process
 *	RIG_BIG		0x100000000	6 MiB
 *	RIG_TOP		2^64 - 64 KiB	64 KiB	ends with the address space
 */
#ifndef RIG_H
#define RIG_H

#include <linux/vhost_types.h>

#include "ring.h"
#include "cmd.h"
#include "mem.h"
#include "tlb.h"
#include "view.h"

enum { RIG_LOW, RIG_NEXT, RIG_TOUCH, RIG_ODD, RIG_BIG, RIG_TOP, RIG_REGIONS };

#define RIG_HOLE 0x18000
#define RIG_HOLE_LEN 0x1000

struct rig_mem {
	struct vhost_memory_region region[RIG_REGIONS];
	void *buf[RIG_REGIONS];
	struct vhost_blk_mem *mem;
	struct vhost_blk_view view;
	struct vhost_blk_tlb tlb;
	atomic64_t changes;
	bool changing;
};

struct rig {
	struct vhost_blk_ring ring;
	struct rig_mem *mem;
	unsigned int num;
	bool le;
	u16 avail_idx; /* what has been added, shown to the device or not */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vhost_blk_chain *chain;
};

struct rig_mem *rig_mem_new(void);
/* Gives the view a translation cache; ->changes counts what it is to forget. */
void rig_mem_cache(struct rig_mem *mem);
void rig_mem_delete(struct rig_mem *mem);

/* What inval.c does when a change of the owner's memory begins, and ends. */
static inline void change_begins(atomic64_t *changes, bool concerns)
{
	atomic64_add(1 + (concerns ? VHOST_BLK_INVAL_ONE : 0), changes);
}

static inline void change_ends(atomic64_t *changes, bool concerns)
{
	atomic64_add(-1 + (concerns ? VHOST_BLK_INVAL_ONE : 0), changes);
}

/* The cache has to forget everything. */
static inline void rig_mem_change(struct rig_mem *mem)
{
	change_begins(&mem->changes, true);
	change_ends(&mem->changes, true);
}

struct rng;
/* Something happens to the cache, if there is one: a change, a user of a page. */
void rig_mem_shake(struct rig_mem *mem, struct rng *rng);
/* The address of a byte of guest memory, NULL where there is none. */
u8 *rig_at(const struct rig_mem *mem, u64 gpa);
/* As far as there is memory; addresses wrap. */
void rig_write(const struct rig_mem *mem, u64 gpa, const void *src, size_t len);

struct rig *rig_new(struct rig_mem *mem, unsigned int num, bool little_endian,
		    bool event_idx, bool indirect);
void rig_delete(struct rig *rig);
/* Both indexes at @base, nothing available; then vhost_blk_ring_start(). */
int rig_start(struct rig *rig, u16 base);

__virtio16 rig_16(const struct rig *rig, u16 val);
struct vring_desc rig_encode(const struct rig *rig, u64 addr, u32 len,
			     u16 flags, u16 next);
void rig_desc(struct rig *rig, unsigned int i, u64 addr, u32 len, u16 flags,
	      u16 next);
/* Entry @i of an indirect table at @table. */
void rig_entry(struct rig *rig, u64 table, unsigned int i, u64 addr, u32 len,
	       u16 flags, u16 next);
void rig_avail(struct rig *rig, u16 head); /* added, not shown */
void rig_show(struct rig *rig);		   /* all that was added */
void rig_set_idx(struct rig *rig, u16 idx);
void rig_set_flags(struct rig *rig, u16 flags);
void rig_set_used_event(struct rig *rig, u16 event);
void rig_set_used_idx(struct rig *rig, u16 idx);
u16 rig_used_idx(const struct rig *rig);
u16 rig_used_flags(const struct rig *rig);
u16 rig_avail_event(const struct rig *rig);
u32 rig_used_id(const struct rig *rig, unsigned int slot);
u32 rig_used_len(const struct rig *rig, unsigned int slot);

/* A generator of its own: the same numbers everywhere. */
struct rng {
	u64 state;
};

u64 rng_next(struct rng *rng);
/* 0 to n - 1 */
static inline u64 rng_below(struct rng *rng, u64 n)
{
	return rng_next(rng) % n;
}

/* true once in @n times */
static inline bool rng_once(struct rng *rng, u64 n)
{
	return !rng_below(rng, n);
}

#endif /* RIG_H */
