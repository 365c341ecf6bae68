// SPDX-License-Identifier: GPL-2.0-only
#include "span.h"

#include <linux/uaccess.h>

/**
 * vhost_blk_span_copy() - copy to or from the guest's buffer
 * @cur: where in the buffer; moves on
 * @buf: private memory
 * @len: bytes; the buffer has as many left
 * @to_guest: direction
 *
 * Context: worker with the owner's mm in use; sleeps on a page fault.
 * Return: 0, or -EFAULT when a byte could not be copied.
 */
int vhost_blk_span_copy(struct vhost_blk_span_cursor *cur, void *buf, u32 len,
			bool to_guest)
{
	while (len) {
		u32 n = min(len, cur->span->len - cur->off);
		void __user *ptr = u64_to_user_ptr(cur->span->hva + cur->off);

		if (to_guest ? copy_to_user(ptr, buf, n) :
			       copy_from_user(buf, ptr, n))
			return -EFAULT;
		buf += n;
		len -= n;
		cur->off += n;
		if (cur->off == cur->span->len) {
			cur->span++;
			cur->off = 0;
		}
	}
	return 0;
}
