/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sources read as today's mainline; what older kernels spell differently is
 * here and nowhere else. Kbuild includes this file ahead of every source.
 */
#ifndef VHOST_BLK_COMPAT_H
#define VHOST_BLK_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "vhost-blk needs Linux 6.1 or newer"
#endif

#ifdef CONFIG_HIGHMEM
#error "vhost-blk needs all memory mapped into the kernel (no HIGHMEM)"
#endif
#ifndef CONFIG_MMU_NOTIFIER
#error "vhost-blk needs CONFIG_MMU_NOTIFIER, which KVM selects"
#endif

/* Headers that older kernels use without including them. */
#include <linux/fs.h>

/* 6.8, 3652117f8548: eventfd_signal() lost its count. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#include <linux/eventfd.h>

static inline void vhost_blk_compat_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx, 1);
}

#define eventfd_signal(ctx) vhost_blk_compat_eventfd_signal(ctx)
#endif

/* 6.10, 2c92ca849fcc: __assign_str() lost its source. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define vhost_blk_compat_assign_str(dst, src) __assign_str(dst, src)
#else
#define vhost_blk_compat_assign_str(dst, src) __assign_str(dst)
#endif

/* 6.11, 8023e144f9d6: what a queue can do became features of its limits. */
#include <linux/blkdev.h>

static inline bool vhost_blk_compat_can_poll(struct block_device *bdev)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
	return test_bit(QUEUE_FLAG_POLL, &bdev_get_queue(bdev)->queue_flags);
#else
	return bdev_get_queue(bdev)->limits.features & BLK_FEAT_POLL;
#endif
}

/* 6.4, 54bdd67d0f88: polling never sleeps. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#define BLK_POLL_NOSLEEP 0
#endif

#endif /* VHOST_BLK_COMPAT_H */
