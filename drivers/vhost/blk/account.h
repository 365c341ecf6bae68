/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an answered request adds to the statistics of its queue.
 */
#ifndef VHOST_BLK_ACCOUNT_H
#define VHOST_BLK_ACCOUNT_H

#include "cmd.h"

#include <linux/types.h>

struct vhost_blk_req;
struct vhost_blk_stats;

void vhost_blk_account_fault(struct vhost_blk_stats *stats,
			     enum vhost_blk_fault fault);
void vhost_blk_account(const struct vhost_blk_req *req, u8 status, u32 len);

#endif /* VHOST_BLK_ACCOUNT_H */
