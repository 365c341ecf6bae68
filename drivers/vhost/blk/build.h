/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a checked command to bios with its data, and back.
 */
#ifndef VHOST_BLK_BUILD_H
#define VHOST_BLK_BUILD_H

#include <linux/types.h>

struct vhost_blk_cmd;
struct vhost_blk_req;

int vhost_blk_build_rw(struct vhost_blk_req *req,
		       const struct vhost_blk_cmd *cmd);
void vhost_blk_build_flush(struct vhost_blk_req *req);
int vhost_blk_build_release(struct vhost_blk_req *req, bool copy_out);

#endif /* VHOST_BLK_BUILD_H */
