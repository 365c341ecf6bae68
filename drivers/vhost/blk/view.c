// SPDX-License-Identifier: GPL-2.0-only
#include "view.h"
#include "tlb.h"

#include <linux/overflow.h>
#include <linux/uaccess.h>

/**
 * vhost_blk_view_find() - vhost_blk_view_translate(), out of line
 * @view: view of guest memory
 * @gpa: guest physical address
 * @len: bytes wanted
 * @hva: set to the address of @gpa when the result is not 0
 *
 * Return: as vhost_blk_view_translate().
 */
u64 vhost_blk_view_find(struct vhost_blk_view *view, u64 gpa, u64 len, u64 *hva)
{
	const struct vhost_blk_region *r = vhost_blk_mem_find(view->mem, gpa);

	if (!r)
		return 0;
	view->last = r;
	*hva = r->hva + (gpa - r->gpa);
	return min(len, r->len - (gpa - r->gpa));
}

static bool vhost_blk_view_read_cached(struct vhost_blk_view *view, u64 hva,
				       void *dst, size_t len)
{
	const struct vhost_blk_tlb_entry *entry;

	if (!view->tlb || offset_in_page(hva) + len > PAGE_SIZE)
		return false;
	entry = vhost_blk_tlb_find(view->tlb, hva, false);
	if (!entry)
		return false;
	memcpy(dst, entry->addr + offset_in_page(hva), len);
	/* The guest may change it meanwhile: the copy is what counts. */
	barrier();
	return true;
}

/**
 * vhost_blk_view_read() - copy guest memory
 * @view: view of guest memory
 * @gpa: guest physical address
 * @dst: private buffer
 * @len: bytes; may cross regions that are neighbours in the guest
 *
 * Context: worker, with the owner's mm in use; may sleep on a page fault.
 * Return: 0, or -EFAULT when a byte is in no region or not readable (@dst then
 * holds a part).
 */
int vhost_blk_view_read(struct vhost_blk_view *view, u64 gpa, void *dst,
			size_t len)
{
	while (len) {
		u64 hva;
		u64 n = vhost_blk_view_translate(view, gpa, len, &hva);

		if (!n)
			return -EFAULT;
		if (!vhost_blk_view_read_cached(view, hva, dst, n) &&
		    copy_from_user(dst, u64_to_user_ptr(hva), n))
			return -EFAULT;
		dst += n;
		len -= n;
		if (len && check_add_overflow(gpa, n, &gpa))
			return -EFAULT;
	}
	return 0;
}
