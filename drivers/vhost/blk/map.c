// SPDX-License-Identifier: GPL-2.0-only
#include "map.h"

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

static int vhost_blk_map_pin(struct vhost_blk_map *map, unsigned long start,
			     unsigned int nr)
{
	while (map->nr_pages < nr) {
		int n = pin_user_pages_fast(start + map->nr_pages * PAGE_SIZE,
					    nr - map->nr_pages,
					    FOLL_WRITE | FOLL_LONGTERM,
					    map->pages + map->nr_pages);

		if (n <= 0)
			return n ? n : -EFAULT;
		map->nr_pages += n;
	}
	return 0;
}

/**
 * vhost_blk_map_create() - pin and map a range of the caller's memory
 * @map: filled in; all zero before
 * @hva: address in current->mm, any alignment
 * @len: bytes, not 0
 *
 * The pages count as locked memory of current->mm (RLIMIT_MEMLOCK).
 *
 * Context: process of the owner; sleeps.
 * Return: 0, -EFAULT when a page is not writable memory, -ENOMEM also when the
 * limit on locked memory is reached. Nothing is held on error.
 */
int vhost_blk_map_create(struct vhost_blk_map *map, u64 hva, size_t len)
{
	unsigned long start = hva & PAGE_MASK;
	unsigned int nr = DIV_ROUND_UP(hva - start + len, PAGE_SIZE);
	void *addr;
	int ret;

	if (!access_ok(u64_to_user_ptr(hva), len))
		return -EFAULT;

	ret = account_locked_vm(current->mm, nr, true);
	if (ret)
		return ret;

	map->pages = kvcalloc(nr, sizeof(*map->pages), GFP_KERNEL_ACCOUNT);
	if (!map->pages) {
		ret = -ENOMEM;
		goto unaccount;
	}

	ret = vhost_blk_map_pin(map, start, nr);
	if (ret)
		goto unpin;

	addr = vmap(map->pages, nr, VM_MAP, PAGE_KERNEL);
	if (!addr) {
		ret = -ENOMEM;
		goto unpin;
	}

	mmgrab(current->mm);
	map->mm = current->mm;
	map->addr = addr + (hva - start);
	return 0;

unpin:
	unpin_user_pages(map->pages, map->nr_pages);
	kvfree(map->pages);
unaccount:
	account_locked_vm(current->mm, nr, false);
	memset(map, 0, sizeof(*map));
	return ret;
}

/**
 * vhost_blk_map_destroy() - undo vhost_blk_map_create()
 * @map: a map, or all zero
 *
 * Context: any process; sleeps. Nobody uses the address any more.
 */
void vhost_blk_map_destroy(struct vhost_blk_map *map)
{
	if (!map->addr)
		return;

	vunmap((void *)((unsigned long)map->addr & PAGE_MASK));
	unpin_user_pages_dirty_lock(map->pages, map->nr_pages, true);
	kvfree(map->pages);
	account_locked_vm(map->mm, map->nr_pages, false);
	mmdrop(map->mm);
	memset(map, 0, sizeof(*map));
}
