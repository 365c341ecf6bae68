/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk: an open /dev/vhost-blk, its owner, its queues, how it starts and
 * stops.
 *
 * One mutex per device is held over each ioctl, so that ioctls of one device
 * never run at the same time; nothing is shared with other devices. A device
 * whose disk hangs keeps its own owner waiting and nobody else.
 */
#ifndef VHOST_BLK_DEV_H
#define VHOST_BLK_DEV_H

#include <linux/device.h>
#include <linux/mutex.h>

#include "inval.h"
#include "vq.h"

struct file;
struct vhost_blk_backend;
struct vhost_blk_mem;

/**
 * struct vhost_blk_dev - an open /dev/vhost-blk
 * @device: vhost-blkN in sysfs; owns this structure
 * @id: the N
 * @queues: the directory of the queues in sysfs
 * @mutex: serialises ioctls; protects all that follows. sysfs reads single
 *         words without it
 * @mm: the owner's address space, NULL without an owner
 * @owner: the owner's process id
 * @features: acknowledged feature bits
 * @mem: memory table, never NULL
 * @inval: what happens to @mm
 * @backend: the disk; NULL while detached
 * @backend_dev: its device number; 0 while detached
 * @serial: what GET_ID answers
 * @vqs: queues, made when first configured
 */
struct vhost_blk_dev {
	struct device device;
	int id;
	struct kobject *queues;
	struct mutex mutex; /* serialises ioctls, see above */
	struct mm_struct *mm;
	pid_t owner;
	u64 features;
	struct vhost_blk_mem *mem;
	struct vhost_blk_inval inval;
	struct vhost_blk_backend *backend;
	dev_t backend_dev;
	struct vhost_blk_serial serial;
	struct vhost_blk_vq *vqs[VHOST_BLK_MAX_QUEUES];
};

struct vhost_blk_dev *vhost_blk_dev_create(void);
void vhost_blk_dev_destroy(struct vhost_blk_dev *dev);

struct vhost_blk_vq *vhost_blk_dev_get_vq(struct vhost_blk_dev *dev, u32 i);
int vhost_blk_dev_set_owner(struct vhost_blk_dev *dev);
int vhost_blk_dev_reset_owner(struct vhost_blk_dev *dev);
void vhost_blk_dev_set_mem(struct vhost_blk_dev *dev,
			   struct vhost_blk_mem *mem);
int vhost_blk_dev_attach(struct vhost_blk_dev *dev,
			 struct vhost_blk_backend *backend);
void vhost_blk_dev_detach(struct vhost_blk_dev *dev);

#endif /* VHOST_BLK_DEV_H */
