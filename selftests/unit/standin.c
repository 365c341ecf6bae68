// SPDX-License-Identifier: GPL-2.0-only
/* What the stand-in core_internal.h and include/linux/ declare. */

#include <linux/mm.h>
#include <linux/sched/clock.h>
#include <linux/seqlock.h>

#include "exact.h"

unit_hook_fn *unit_hook;
struct unit_fault unit_fault;
struct unit_pages unit_pages;
long unit_pinned;
unsigned long unit_pins;
bool unit_no_memory;
int unit_preempt_off;
u64 unit_clock;

static bool faults(u64 from, u64 n)
{
	return unit_fault.len && from < unit_fault.at + unit_fault.len &&
	       unit_fault.at < from + n;
}

unsigned long copy_from_user(void *dst, const void *src, unsigned long n)
{
	if (faults((uintptr_t)src, n))
		return n;
	memcpy(dst, src, n);
	unit_note(UNIT_COPY, src, n);
	return 0;
}

int pin_user_pages_fast(unsigned long start, int nr, unsigned int flags,
			struct page **pages)
{
	void *addr = (void *)start;

	if (nr != 1 || offset_in_page(start) || flags & ~FOLL_WRITE)
		abort();
	if (unit_pages.pin)
		addr = unit_pages.pin(start, flags & FOLL_WRITE);
	else if (faults(start, PAGE_SIZE))
		addr = NULL;
	if (!addr)
		return -EFAULT;
	*pages = virt_to_page(addr);
	unit_pinned++;
	unit_pins++;
	return 1;
}

void unpin_user_pages_dirty_lock(struct page **pages, unsigned long nr,
				 bool dirty)
{
	if (nr != 1 || !unit_pinned)
		abort();
	unit_pinned--;
	if (unit_pages.unpin)
		unit_pages.unpin(page_address(*pages), dirty);
}

void *kvzalloc(size_t size, int gfp)
{
	(void)gfp;
	if (unit_no_memory) {
		unit_no_memory = false;
		return NULL;
	}
	return calloc(1, size);
}

void *vhost_blk_exact_alloc(size_t size)
{
	return kvzalloc(size, 0);
}

void vhost_blk_exact_free(void *mem, size_t size)
{
	(void)size;
	free(mem);
}

void kvfree(void *p)
{
	free(p);
}

void sort(void *base, size_t n, size_t size,
	  int (*cmp)(const void *, const void *), void *swap)
{
	(void)swap;
	if (n)
		qsort(base, n, size, cmp);
}
