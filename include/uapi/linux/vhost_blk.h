/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Userspace interface of vhost-blk, the in-kernel virtio-blk backend.
 *
 * A process opens /dev/vhost-blk, becomes its owner (VHOST_SET_OWNER),
 * describes guest memory and virtqueues with the ioctls of <linux/vhost.h> and
 * attaches a block device with VHOST_BLK_SET_BACKEND.
 * Documentation/userspace-api/vhost-blk.rst lists every ioctl with its errors.
 */
#ifndef _UAPI_LINUX_VHOST_BLK_H
#define _UAPI_LINUX_VHOST_BLK_H

#include <linux/types.h>
#include <linux/ioctl.h>
#include <linux/vhost.h>

/* Virtqueues per device: vring ioctls take an index below this. */
#define VHOST_BLK_MAX_QUEUES 128

/* Descriptors per ring, and per chain with its indirect table expanded. */
#define VHOST_BLK_MAX_DESC 1024

/* Data bytes of one request; a longer one completes with IOERR. */
#define VHOST_BLK_MAX_BYTES (4U << 20)

/* Regions of one VHOST_SET_MEM_TABLE. */
#define VHOST_BLK_MAX_REGIONS 512

/* Bytes of the string that VIRTIO_BLK_T_GET_ID returns, NUL padded. */
#define VHOST_BLK_SERIAL_LEN 20

/**
 * VHOST_BLK_SET_SERIAL - set the string returned by VIRTIO_BLK_T_GET_ID
 *
 * Argument: VHOST_BLK_SERIAL_LEN bytes. What follows the first NUL is replaced
 * by NULs; a serial of exactly 20 bytes has none. Allowed at any time.
 */
#define VHOST_BLK_SET_SERIAL \
	_IOW(VHOST_VIRTIO, 0xFE, char[VHOST_BLK_SERIAL_LEN])

/**
 * VHOST_BLK_SET_BACKEND - attach a block device and start the queues, or stop
 * them
 *
 * Argument: struct vhost_vring_file. @fd is an open block device; the index is
 * ignored: one call starts every queue that has been given a size and
 * addresses. Read-only file descriptors make a read-only disk. @fd = -1 waits
 * for the requests in flight, stops the queues and lets the device go.
 */
#define VHOST_BLK_SET_BACKEND _IOW(VHOST_VIRTIO, 0xFF, struct vhost_vring_file)

#endif /* _UAPI_LINUX_VHOST_BLK_H */
