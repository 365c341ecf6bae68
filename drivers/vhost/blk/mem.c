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
	if (r->hva != (unsigned long)r->hva ||
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
 * vhost_blk_mem_translate() - find the owner's address of guest memory
 * @mem: memory table
 * @gpa: guest physical address
 * @len: bytes wanted from there on, any value
 * @hva: set to the address of @gpa when the result is not 0
 *
 * Return: how many of the @len bytes lie in one piece at @hva; 0 when @gpa is
 * in no region. The caller comes again for the rest, at @gpa + result, after
 * seeing that this sum does not wrap.
 */
u64 vhost_blk_mem_translate(const struct vhost_blk_mem *mem, u64 gpa, u64 len,
			    u64 *hva)
{
	unsigned int lo = 0, hi = mem->nr;

	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;
		const struct vhost_blk_region *r = &mem->region[mid];

		if (gpa < r->gpa) {
			hi = mid;
		} else if (gpa - r->gpa >= r->len) {
			lo = mid + 1;
		} else {
			*hva = r->hva + (gpa - r->gpa);
			return min(len, r->len - (gpa - r->gpa));
		}
	}
	return 0;
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
 * vhost_blk_mem_read() - copy guest memory
 * @mem: memory table
 * @gpa: guest physical address
 * @dst: private buffer
 * @len: bytes; may cross regions that are neighbours in the guest
 *
 * Context: worker, with the owner's mm in use; may sleep on a page fault.
 * Return: 0, or -EFAULT when a byte is in no region or not readable (@dst then
 * holds a part).
 */
int vhost_blk_mem_read(const struct vhost_blk_mem *mem, u64 gpa, void *dst,
		       size_t len)
{
	while (len) {
		u64 hva;
		u64 n = vhost_blk_mem_translate(mem, gpa, len, &hva);

		if (!n || copy_from_user(dst, u64_to_user_ptr(hva), n))
			return -EFAULT;
		dst += n;
		len -= n;
		if (len && check_add_overflow(gpa, n, &gpa))
			return -EFAULT;
	}
	return 0;
}
