// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls: copy the argument, check the copy, call what does the work.
 * Documentation/userspace-api/vhost-blk.rst has each with its errors.
 */
#include "ioctl.h"
#include "backend.h"
#include "dev.h"
#include "event.h"
#include "mem.h"

#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define VHOST_BLK_FEATURES                                                     \
	(BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) | BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |      \
	 BIT_ULL(VIRTIO_BLK_F_GEOMETRY) | BIT_ULL(VIRTIO_BLK_F_RO) |           \
	 BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) | BIT_ULL(VIRTIO_BLK_F_FLUSH) |        \
	 BIT_ULL(VIRTIO_BLK_F_TOPOLOGY) | BIT_ULL(VIRTIO_BLK_F_MQ) |           \
	 BIT_ULL(VIRTIO_F_ANY_LAYOUT) | BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | \
	 BIT_ULL(VIRTIO_RING_F_EVENT_IDX) | BIT_ULL(VIRTIO_F_VERSION_1))

static long vhost_blk_ioctl_set_features(struct vhost_blk_dev *dev,
					 const u64 __user *argp)
{
	u64 features;

	if (copy_from_user(&features, argp, sizeof(features)))
		return -EFAULT;
	if (features & ~VHOST_BLK_FEATURES)
		return -EOPNOTSUPP;
	if (dev->backend && features != dev->features)
		return -EBUSY;
	WRITE_ONCE(dev->features, features);
	return 0;
}

static long vhost_blk_ioctl_set_backend_features(const u64 __user *argp)
{
	u64 features;

	if (copy_from_user(&features, argp, sizeof(features)))
		return -EFAULT;
	return features ? -EOPNOTSUPP : 0;
}

static long
vhost_blk_ioctl_set_mem_table(struct vhost_blk_dev *dev,
			      const struct vhost_memory __user *argp)
{
	struct vhost_memory_region *regions;
	struct vhost_blk_mem *mem;
	struct vhost_memory head;

	if (copy_from_user(&head, argp, sizeof(head)))
		return -EFAULT;
	if (head.padding)
		return -EOPNOTSUPP;
	if (head.nregions > VHOST_BLK_MAX_REGIONS)
		return -E2BIG;

	regions = vmemdup_user(argp->regions,
			       array_size(head.nregions, sizeof(*regions)));
	if (IS_ERR(regions))
		return PTR_ERR(regions);
	mem = vhost_blk_mem_create(regions, head.nregions);
	kvfree(regions);
	if (IS_ERR(mem))
		return PTR_ERR(mem);

	vhost_blk_dev_set_mem(dev, mem);
	return 0;
}

static long vhost_blk_ioctl_set_backend(struct vhost_blk_dev *dev,
					const void __user *argp)
{
	struct vhost_blk_backend *backend;
	struct vhost_vring_file file;

	if (copy_from_user(&file, argp, sizeof(file)))
		return -EFAULT;
	if (file.fd == -1) {
		vhost_blk_dev_detach(dev);
		return 0;
	}

	backend = vhost_blk_backend_open(file.fd);
	if (IS_ERR(backend))
		return PTR_ERR(backend);

	return vhost_blk_dev_attach(dev, backend);
}

static long vhost_blk_ioctl_set_serial(struct vhost_blk_dev *dev,
				       const void __user *argp)
{
	char str[VHOST_BLK_SERIAL_LEN];
	size_t len;

	if (copy_from_user(str, argp, sizeof(str)))
		return -EFAULT;
	len = strnlen(str, sizeof(str));
	memset(str + len, 0, sizeof(str) - len);

	spin_lock(&dev->serial.lock);
	memcpy(dev->serial.str, str, sizeof(str));
	spin_unlock(&dev->serial.lock);
	return 0;
}

/*
 * Vring ioctls
 */

static long vhost_blk_ioctl_set_vring_num(struct vhost_blk_dev *dev,
					  struct vhost_blk_vq *vq, u32 num)
{
	if (dev->backend)
		return -EBUSY;
	if (!num || num > VHOST_BLK_MAX_DESC || num & (num - 1))
		return -EINVAL;
	WRITE_ONCE(vq->num, num);
	return 0;
}

static long vhost_blk_ioctl_set_vring_base(struct vhost_blk_dev *dev,
					   struct vhost_blk_vq *vq, u32 base)
{
	if (dev->backend)
		return -EBUSY;
	if (base > U16_MAX)
		return -EINVAL;
	vq->base = base;
	return 0;
}

static u32 vhost_blk_ioctl_get_vring_base(const struct vhost_blk_vq *vq)
{
	if (vhost_blk_vq_running(vq))
		return READ_ONCE(vq->ring.last_avail);
	return vq->base;
}

static long vhost_blk_ioctl_set_poll_us(struct vhost_blk_vq *vq, u32 us)
{
	if (us > VHOST_BLK_POLL_NS_MAX / NSEC_PER_USEC)
		return -EINVAL;
	return vhost_blk_tune_set(&vq->tune, VHOST_BLK_TUNE_poll_ns_max,
				  us * NSEC_PER_USEC);
}

/* 0 also when the module parameter holds. */
static u32 vhost_blk_ioctl_get_poll_us(const struct vhost_blk_vq *vq)
{
	u32 ns = READ_ONCE(vq->tune.own[VHOST_BLK_TUNE_poll_ns_max]);

	return ns == VHOST_BLK_TUNE_UNSET ? 0 : ns / NSEC_PER_USEC;
}

static long vhost_blk_ioctl_vring_state(struct vhost_blk_dev *dev,
					struct vhost_blk_vq *vq,
					unsigned int cmd, void __user *argp)
{
	struct vhost_vring_state s;

	if (copy_from_user(&s, argp, sizeof(s)))
		return -EFAULT;

	switch (cmd) {
	case VHOST_SET_VRING_NUM:
		return vhost_blk_ioctl_set_vring_num(dev, vq, s.num);
	case VHOST_SET_VRING_BASE:
		return vhost_blk_ioctl_set_vring_base(dev, vq, s.num);
	case VHOST_SET_VRING_BUSYLOOP_TIMEOUT:
		return vhost_blk_ioctl_set_poll_us(vq, s.num);
	case VHOST_GET_VRING_BASE:
		s.num = vhost_blk_ioctl_get_vring_base(vq);
		break;
	case VHOST_GET_VRING_BUSYLOOP_TIMEOUT:
		s.num = vhost_blk_ioctl_get_poll_us(vq);
		break;
	}
	s.index = vq->index;
	return copy_to_user(argp, &s, sizeof(s)) ? -EFAULT : 0;
}

static bool vhost_blk_ioctl_ring_in_mem(const struct vhost_blk_dev *dev,
					const struct vhost_blk_vq *vq,
					const struct vhost_vring_addr *a)
{
	return vhost_blk_mem_has_hva(dev->mem, a->desc_user_addr,
				     vhost_blk_ring_desc_size(vq->num)) &&
	       vhost_blk_mem_has_hva(dev->mem, a->avail_user_addr,
				     vhost_blk_ring_avail_size(vq->num)) &&
	       vhost_blk_mem_has_hva(dev->mem, a->used_user_addr,
				     vhost_blk_ring_used_size(vq->num));
}

static long vhost_blk_ioctl_set_vring_addr(struct vhost_blk_dev *dev,
					   struct vhost_blk_vq *vq,
					   const void __user *argp)
{
	struct vhost_vring_addr a;

	if (copy_from_user(&a, argp, sizeof(a)))
		return -EFAULT;
	if (a.flags & ~BIT(VHOST_VRING_F_LOG))
		return -EOPNOTSUPP;
	if (a.desc_user_addr % VRING_DESC_ALIGN_SIZE ||
	    a.avail_user_addr % VRING_AVAIL_ALIGN_SIZE ||
	    a.used_user_addr % VRING_USED_ALIGN_SIZE ||
	    a.log_guest_addr % VRING_USED_ALIGN_SIZE)
		return -EINVAL;

	if (dev->backend) {
		if (!vq->num || !vhost_blk_ioctl_ring_in_mem(dev, vq, &a))
			return -EINVAL;
		if (!vq->has_addr || a.desc_user_addr != vq->desc_hva ||
		    a.avail_user_addr != vq->avail_hva ||
		    a.used_user_addr != vq->used_hva)
			return -EBUSY;
	}

	vq->desc_hva = a.desc_user_addr;
	vq->avail_hva = a.avail_user_addr;
	vq->used_hva = a.used_user_addr;
	vq->has_addr = true;
	return 0;
}

static long vhost_blk_ioctl_vring_file(struct vhost_blk_vq *vq,
				       unsigned int cmd,
				       const void __user *argp)
{
	struct vhost_vring_file f;

	if (copy_from_user(&f, argp, sizeof(f)))
		return -EFAULT;
	switch (cmd) {
	case VHOST_SET_VRING_KICK:
		return vhost_blk_event_set_kick(vq, f.fd);
	case VHOST_SET_VRING_CALL:
		return vhost_blk_event_set_call(vq, f.fd);
	default:
		return vhost_blk_event_set_err(vq, f.fd);
	}
}

static long vhost_blk_ioctl_vring(struct vhost_blk_dev *dev, unsigned int cmd,
				  void __user *argp)
{
	struct vhost_blk_vq *vq;
	u32 i;

	/* The argument of each begins with the number of the queue. */
	if (get_user(i, (u32 __user *)argp))
		return -EFAULT;
	vq = vhost_blk_dev_get_vq(dev, i);
	if (IS_ERR(vq))
		return PTR_ERR(vq);

	switch (cmd) {
	case VHOST_SET_VRING_ADDR:
		return vhost_blk_ioctl_set_vring_addr(dev, vq, argp);
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
		return vhost_blk_ioctl_vring_file(vq, cmd, argp);
	default:
		return vhost_blk_ioctl_vring_state(dev, vq, cmd, argp);
	}
}

/*
 * Dispatch
 */

static long vhost_blk_ioctl_owned(struct vhost_blk_dev *dev, unsigned int cmd,
				  void __user *argp)
{
	switch (cmd) {
	case VHOST_RESET_OWNER:
		return vhost_blk_dev_reset_owner(dev);
	case VHOST_SET_MEM_TABLE:
		return vhost_blk_ioctl_set_mem_table(dev, argp);
	case VHOST_SET_LOG_BASE:
	case VHOST_SET_LOG_FD:
		/* VHOST_F_LOG_ALL is not offered: there is nothing to log. */
		return -EOPNOTSUPP;
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
	case VHOST_GET_VRING_BASE:
	case VHOST_SET_VRING_ADDR:
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR:
	case VHOST_SET_VRING_BUSYLOOP_TIMEOUT:
	case VHOST_GET_VRING_BUSYLOOP_TIMEOUT:
		return vhost_blk_ioctl_vring(dev, cmd, argp);
	case VHOST_BLK_SET_BACKEND:
		return vhost_blk_ioctl_set_backend(dev, argp);
	case VHOST_BLK_SET_SERIAL:
		return vhost_blk_ioctl_set_serial(dev, argp);
	default:
		return -ENOTTY;
	}
}

static long vhost_blk_ioctl_locked(struct vhost_blk_dev *dev, unsigned int cmd,
				   void __user *argp)
{
	const u64 features = VHOST_BLK_FEATURES, none = 0;

	lockdep_assert_held(&dev->mutex);

	switch (cmd) {
	case VHOST_GET_FEATURES:
		return copy_to_user(argp, &features, sizeof(features)) ?
			       -EFAULT :
			       0;
	case VHOST_SET_FEATURES:
		return vhost_blk_ioctl_set_features(dev, argp);
	case VHOST_GET_BACKEND_FEATURES:
		return copy_to_user(argp, &none, sizeof(none)) ? -EFAULT : 0;
	case VHOST_SET_BACKEND_FEATURES:
		return vhost_blk_ioctl_set_backend_features(argp);
	case VHOST_SET_OWNER:
		return vhost_blk_dev_set_owner(dev);
	default:
		if (dev->mm != current->mm)
			return -EPERM;
		return vhost_blk_ioctl_owned(dev, cmd, argp);
	}
}

static long vhost_blk_ioctl(struct file *file, unsigned int cmd,
			    unsigned long arg)
{
	struct vhost_blk_dev *dev = file->private_data;
	long ret;

	if (mutex_lock_killable(&dev->mutex))
		return -EINTR;
	ret = vhost_blk_ioctl_locked(dev, cmd, (void __user *)arg);
	mutex_unlock(&dev->mutex);
	return ret;
}

static int vhost_blk_ioctl_open(struct inode *inode, struct file *file)
{
	struct vhost_blk_dev *dev = vhost_blk_dev_create();

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	file->private_data = dev;
	return nonseekable_open(inode, file);
}

static int vhost_blk_ioctl_release(struct inode *inode, struct file *file)
{
	vhost_blk_dev_destroy(file->private_data);
	return 0;
}

static const struct file_operations vhost_blk_fops = {
	.owner = THIS_MODULE,
	.open = vhost_blk_ioctl_open,
	.release = vhost_blk_ioctl_release,
	.unlocked_ioctl = vhost_blk_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice vhost_blk_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vhost-blk",
	.fops = &vhost_blk_fops,
};

/**
 * vhost_blk_ioctl_register() - make /dev/vhost-blk appear
 *
 * Return: 0 or a negative errno.
 */
int vhost_blk_ioctl_register(void)
{
	return misc_register(&vhost_blk_misc);
}

/**
 * vhost_blk_ioctl_unregister() - take /dev/vhost-blk away
 *
 * No file of it is open: each holds a reference on the module.
 */
void vhost_blk_ioctl_unregister(void)
{
	misc_deregister(&vhost_blk_misc);
}
