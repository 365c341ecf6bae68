// SPDX-License-Identifier: GPL-2.0-only
/* What the stand-in core_internal.h and include/linux/ declare. */

#include <linux/sched/clock.h>
#include <linux/seqlock.h>

unit_hook_fn *unit_hook;
struct unit_fault unit_fault;
bool unit_no_memory;
int unit_preempt_off;
u64 unit_clock;

unsigned long copy_from_user(void *dst, const void *src, unsigned long n)
{
	u64 from = (uintptr_t)src;

	if (unit_fault.len && from < unit_fault.at + unit_fault.len &&
	    unit_fault.at < from + n)
		return n;
	memcpy(dst, src, n);
	unit_note(UNIT_COPY, src, n);
	return 0;
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
