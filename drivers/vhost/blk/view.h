/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest memory as a queue's worker sees it: the device's memory table, with
 * what the worker remembers of its last looks.
 */
#ifndef VHOST_BLK_VIEW_H
#define VHOST_BLK_VIEW_H

#include "mem.h"

struct vhost_blk_tlb;

/**
 * struct vhost_blk_view - a queue's view of guest memory
 * @mem: the memory table in force
 * @last: the region of @mem that was found last, or NULL
 * @tlb: translation cache, or NULL without one
 *
 * The worker alone uses it; whoever replaces @mem does so while it is parked.
 */
struct vhost_blk_view {
	const struct vhost_blk_mem *mem;
	const struct vhost_blk_region *last;
	struct vhost_blk_tlb *tlb;
};

u64 vhost_blk_view_find(struct vhost_blk_view *view, u64 gpa, u64 len,
			u64 *hva);
int vhost_blk_view_read(struct vhost_blk_view *view, u64 gpa, void *dst,
			size_t len);

/**
 * vhost_blk_view_translate() - find the owner's address of guest memory
 * @view: view of guest memory
 * @gpa: guest physical address
 * @len: bytes wanted from there on, any value
 * @hva: set to the address of @gpa when the result is not 0
 *
 * Return: how many of the @len bytes lie in one piece at @hva; 0 when @gpa is
 * in no region. The caller comes again for the rest, at @gpa + result, after
 * seeing that this sum does not wrap.
 */
static inline u64 vhost_blk_view_translate(struct vhost_blk_view *view, u64 gpa,
					   u64 len, u64 *hva)
{
	const struct vhost_blk_region *r = view->last;

	if (likely(r && gpa - r->gpa < r->len)) {
		*hva = r->hva + (gpa - r->gpa);
		return min(len, r->len - (gpa - r->gpa));
	}
	return vhost_blk_view_find(view, gpa, len, hva);
}

#endif /* VHOST_BLK_VIEW_H */
