// SPDX-License-Identifier: GPL-2.0-only
/*
 * kmalloc() rounds what is larger than two pages up to a power of two; the
 * requests of a queue would take 256 KiB instead of 140.
 */
#include "exact.h"

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

/**
 * vhost_blk_exact_alloc() - allocate zeroed memory, the owner pays
 * @size: bytes, not 0
 *
 * Where there are not enough pages in a row it is put together of single ones.
 *
 * Context: process, may sleep.
 * Return: the memory or NULL.
 */
void *vhost_blk_exact_alloc(size_t size)
{
	void *mem =
		alloc_pages_exact(size, GFP_KERNEL_ACCOUNT | __GFP_ZERO |
						__GFP_NORETRY | __GFP_NOWARN);

	return mem ? mem : __vmalloc(size, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
}

/**
 * vhost_blk_exact_free() - free what vhost_blk_exact_alloc() returned
 * @mem: the memory, or NULL
 * @size: as it was asked for
 *
 * Context: process, may sleep.
 */
void vhost_blk_exact_free(void *mem, size_t size)
{
	if (is_vmalloc_addr(mem))
		vfree(mem);
	else if (mem)
		free_pages_exact(mem, size);
}
