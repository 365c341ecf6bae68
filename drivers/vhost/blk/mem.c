// SPDX-License-Identifier: GPL-2.0-only
#include "mem.h"

#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>
#include <linux/vhost_types.h>

static int vhost_blk_mem_cmp(const void *a, const void *b)
{
	const struct vhost_blk_region *x = a;
	const struct vhost_blk_region *y = b;

	if (x->gpa == y->gpa)
		return 0;
	return x->gpa < y->gpa ? -1 : 1;
}

static int vhost_blk_mem_check_region(const struct vhost_blk_region *r)
{
	u64 last;

	if (!r->len)
		return -EINVAL;
	if (check_add_overflow(r->gpa, r->len - 1, &last) ||
	    check_add_overflow(r->hva, r->len - 1, &last))
		return -EFAULT;
	/* An MMU notifier speaks of addresses without tags. */
	if (r->hva != untagged_addr((unsigned long)r->hva) ||
	    r->len != (unsigned long)r->len ||
	    !access_ok(u64_to_user_ptr(r->hva), r->len))
		return -EFAULT;
	return 0;
}

/**
 * vhost_blk_mem_create() - check a list of regions and make a table of it
 * @regions: private copy of what the owner passed
 * @nr: how many, at most VHOST_BLK_MAX_REGIONS
 *
 * Context: process, may sleep.
 * Return: the table; ERR_PTR of -EFAULT for a region that wraps or leaves user
 * space, -EINVAL for an empty region or two that overlap, -ENOMEM.
 */
struct vhost_blk_mem *
vhost_blk_mem_create(const struct vhost_memory_region *regions, unsigned int nr)
{
	struct vhost_blk_mem *mem;
	unsigned int i;
	int ret;

	mem = kvzalloc(struct_size(mem, region, nr), GFP_KERNEL_ACCOUNT);
	if (!mem)
		return ERR_PTR(-ENOMEM);

	mem->nr = nr;
	for (i = 0; i < nr; i++) {
		mem->region[i].gpa = regions[i].guest_phys_addr;
		mem->region[i].len = regions[i].memory_size;
		mem->region[i].hva = regions[i].userspace_addr;
		ret = vhost_blk_mem_check_region(&mem->region[i]);
		if (ret)
			goto free_mem;
	}

	sort(mem->region, nr, sizeof(mem->region[0]), vhost_blk_mem_cmp, NULL);
	for (i = 1; i < nr; i++) {
		struct vhost_blk_region *prev = &mem->region[i - 1];

		if (mem->region[i].gpa - prev->gpa < prev->len) {
			ret = -EINVAL;
			goto free_mem;
		}
	}
	return mem;

free_mem:
	kvfree(mem);
	return ERR_PTR(ret);
}

/**
 * vhost_blk_mem_free() - free a table
 * @mem: the table or NULL; no worker may be using it any more
 */
void vhost_blk_mem_free(struct vhost_blk_mem *mem)
{
	kvfree(mem);
}

/**
 * vhost_blk_mem_find() - find the region that guest memory lies in
 * @mem: memory table
 * @gpa: guest physical address
 *
 * Return: the region, NULL when @gpa is in none.
 */
const struct vhost_blk_region *
vhost_blk_mem_find(const struct vhost_blk_mem *mem, u64 gpa)
{
	unsigned int lo = 0, hi = mem->nr;

	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;
		const struct vhost_blk_region *r = &mem->region[mid];

		if (gpa < r->gpa)
			hi = mid;
		else if (gpa - r->gpa >= r->len)
			lo = mid + 1;
		else
			return r;
	}
	return NULL;
}

/**
 * vhost_blk_mem_has_hva() - is a range of the owner's memory guest memory?
 * @mem: memory table
 * @hva: owner's address
 * @len: bytes, not 0
 *
 * Return: true when one region holds all of it.
 */
bool vhost_blk_mem_has_hva(const struct vhost_blk_mem *mem, u64 hva, u64 len)
{
	unsigned int i;

	for (i = 0; i < mem->nr; i++) {
		const struct vhost_blk_region *r = &mem->region[i];

		if (hva >= r->hva && hva - r->hva < r->len &&
		    len <= r->len - (hva - r->hva))
			return true;
	}
	return false;
}

/**
 * vhost_blk_mem_overlaps_hva() - has a range of addresses guest memory in it?
 * @mem: memory table
 * @start: owner's address
 * @end: the first one behind the range; above @start
 *
 * Return: true when a byte of it belongs to a region.
 */
bool vhost_blk_mem_overlaps_hva(const struct vhost_blk_mem *mem, u64 start,
				u64 end)
{
	unsigned int i;

	for (i = 0; i < mem->nr; i++) {
		const struct vhost_blk_region *r = &mem->region[i];

		if (start < r->hva + r->len && end > r->hva)
			return true;
	}
	return false;
}
