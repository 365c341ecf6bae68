/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Part of the stand-in for the kernel, see core_internal.h: pages. A page is
 * known by its address. Unless a test brings its own, the page table maps each
 * page at its own address, but for those with a byte of unit_fault in them.
 */
#ifndef UNIT_LINUX_MM_H
#define UNIT_LINUX_MM_H

#include "../../core_internal.h"

#define FOLL_WRITE 0x01

#define offset_in_page(p) ((unsigned long)(p) & ~PAGE_MASK)

struct page; /* never defined: a pointer to it is the address of its bytes */

/* A test's own page table; 0: the page cannot be pinned. */
extern struct unit_pages {
	void *(*pin)(unsigned long hva, bool write);
	void (*unpin)(void *addr, bool dirty);
} unit_pages;

extern long unit_pinned;	/* pins without an unpin as yet */
extern unsigned long unit_pins; /* all so far */

static inline void *page_address(const struct page *page)
{
	return (void *)page;
}

static inline struct page *virt_to_page(const void *addr)
{
	return (struct page *)((uintptr_t)addr & PAGE_MASK);
}

int pin_user_pages_fast(unsigned long start, int nr, unsigned int flags,
			struct page **pages);
void unpin_user_pages_dirty_lock(struct page **pages, unsigned long nr,
				 bool dirty);

#endif /* UNIT_LINUX_MM_H */
