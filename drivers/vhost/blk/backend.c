// SPDX-License-Identifier: GPL-2.0-only
#include "backend.h"
#include "cmd.h"

#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/slab.h>

static int vhost_blk_backend_check(struct file *file)
{
	struct block_device *bdev;

	if (file->f_mode & FMODE_PATH)
		return -EINVAL;
	if (!S_ISBLK(file_inode(file)->i_mode))
		return -ENOTBLK;
	if (!(file->f_mode & FMODE_READ))
		return -EACCES;

	bdev = I_BDEV(file->f_mapping->host);
	if (bdev_is_zoned(bdev))
		return -EOPNOTSUPP;
	/* A page then never holds a part of a logical block. */
	if (bdev_logical_block_size(bdev) > PAGE_SIZE)
		return -EOPNOTSUPP;
	return 0;
}

/**
 * vhost_blk_backend_open() - take a block device from a file descriptor
 * @fd: of the calling process
 *
 * What the host has cached of the device is written back and dropped: bios go
 * past the page cache.
 *
 * Context: process; sleeps for I/O.
 * Return: the backend; ERR_PTR of -EBADF for no open file, -EINVAL for an
 * O_PATH one, -ENOTBLK for anything but a block device, -EACCES for one not
 * open for reading, -EOPNOTSUPP for zoned devices and logical blocks larger
 * than a page, -ENOMEM, or what the write-back of the cache returned.
 */
struct vhost_blk_backend *vhost_blk_backend_open(int fd)
{
	struct vhost_blk_backend *be;
	struct file *file;
	int ret;

	file = fget_raw(fd);
	if (!file)
		return ERR_PTR(-EBADF);
	ret = vhost_blk_backend_check(file);
	if (ret)
		goto put_file;

	be = kzalloc(sizeof(*be), GFP_KERNEL_ACCOUNT);
	if (!be) {
		ret = -ENOMEM;
		goto put_file;
	}
	be->file = file;
	be->bdev = I_BDEV(file->f_mapping->host);
	be->writable = file->f_mode & FMODE_WRITE;

	ret = sync_blockdev(be->bdev);
	if (ret)
		goto free_backend;
	invalidate_bdev(be->bdev);
	return be;

free_backend:
	kfree(be);
put_file:
	fput(file);
	return ERR_PTR(ret);
}

/**
 * vhost_blk_backend_close() - let the block device go
 * @be: the backend or NULL; no request of it is in flight
 *
 * Pages that somebody read into the host's cache meanwhile are dropped.
 *
 * Context: process; sleeps.
 */
void vhost_blk_backend_close(struct vhost_blk_backend *be)
{
	if (!be)
		return;
	invalidate_bdev(be->bdev);
	fput(be->file);
	kfree(be);
}

/**
 * vhost_blk_backend_limits() - what the device allows right now
 * @be: the backend
 * @limits: filled in
 *
 * Size and read-only state may change while a disk is in use.
 *
 * Context: any.
 */
void vhost_blk_backend_limits(const struct vhost_blk_backend *be,
			      struct vhost_blk_limits *limits)
{
	limits->capacity = bdev_nr_sectors(be->bdev);
	limits->block_mask = bdev_logical_block_size(be->bdev) - 1;
	limits->dma_mask = bdev_dma_alignment(be->bdev);
	limits->read_only = !be->writable || bdev_read_only(be->bdev);
}

/**
 * vhost_blk_backend_node() - where the device is
 * @be: the backend
 *
 * Context: any.
 * Return: the NUMA node, NUMA_NO_NODE for a device that does not say.
 */
int vhost_blk_backend_node(const struct vhost_blk_backend *be)
{
	return be->bdev->bd_disk->node_id;
}
