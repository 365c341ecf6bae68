/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Answers from the end of the I/O, while the worker sleeps. See design.rst.
 */
#ifndef VHOST_BLK_DIRECT_H
#define VHOST_BLK_DIRECT_H

#include <linux/types.h>

struct vhost_blk_req;

bool vhost_blk_direct_end(struct vhost_blk_req *req);

#endif /* VHOST_BLK_DIRECT_H */
