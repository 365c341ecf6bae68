/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copies between the kernel and a request's data buffer.
 */
#ifndef VHOST_BLK_SPAN_H
#define VHOST_BLK_SPAN_H

#include "cmd.h"

/**
 * struct vhost_blk_span_cursor - a position in a list of spans
 * @span: the current span
 * @off: bytes of it that are done
 */
struct vhost_blk_span_cursor {
	const struct vhost_blk_span *span;
	u32 off;
};

int vhost_blk_span_copy(struct vhost_blk_span_cursor *cur, void *buf, u32 len,
			bool to_guest);

#endif /* VHOST_BLK_SPAN_H */
