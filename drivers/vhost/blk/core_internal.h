/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that the files without threads, locks and devices (ring.c, hold.c,
 * poll.c, pack.c, cmd.c, mem.c, view.c, tlb.c) include beside their own
 * headers.
 * The unit tests include a file with the same guard before them, so that these
 * sources compile in user space unchanged. Includes only.
 */
#ifndef VHOST_BLK_CORE_INTERNAL_H
#define VHOST_BLK_CORE_INTERNAL_H

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/types.h>
#include <linux/virtio_byteorder.h>
#include <asm/barrier.h>
#include <uapi/linux/virtio_blk.h>
#include <uapi/linux/virtio_ring.h>
#include <uapi/linux/vhost_blk.h>

#endif /* VHOST_BLK_CORE_INTERNAL_H */
