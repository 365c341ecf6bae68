/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The block device behind a disk.
 */
#ifndef VHOST_BLK_BACKEND_H
#define VHOST_BLK_BACKEND_H

#include <linux/types.h>

struct block_device;
struct file;
struct vhost_blk_limits;

/**
 * struct vhost_blk_backend - an attached block device
 * @file: the owner's open file; keeps @bdev open
 * @bdev: the block device or partition
 * @writable: @file was opened for writing
 */
struct vhost_blk_backend {
	struct file *file;
	struct block_device *bdev;
	bool writable;
};

struct vhost_blk_backend *vhost_blk_backend_open(int fd);
void vhost_blk_backend_close(struct vhost_blk_backend *be);
int vhost_blk_backend_node(const struct vhost_blk_backend *be);
void vhost_blk_backend_limits(const struct vhost_blk_backend *be,
			      struct vhost_blk_limits *limits);

#endif /* VHOST_BLK_BACKEND_H */
