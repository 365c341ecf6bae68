/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost-blk: a virtio block device whose requests are served by the host kernel
 */
#ifndef HW_VIRTIO_VHOST_BLK_H
#define HW_VIRTIO_VHOST_BLK_H

#include "hw/virtio/vhost.h"
#include "hw/virtio/virtio.h"
#include "qom/object.h"

#define TYPE_VHOST_BLK "vhost-blk"
OBJECT_DECLARE_SIMPLE_TYPE(VHostBlk, VHOST_BLK)

#define VHOST_BLK_AUTO_NUM_QUEUES UINT16_MAX

/* What the guest is told about the backing device; sizes in bytes. */
typedef struct VHostBlkLimits {
    uint64_t size;
    uint32_t logical_block;
    uint32_t physical_block;
    uint32_t alignment_offset;
    uint32_t io_min;
    uint32_t io_opt;
} VHostBlkLimits;

typedef struct VHostBlkBacking {
    int fd;
    char *name; /* for messages */
    VHostBlkLimits limits;
} VHostBlkBacking;

struct VHostBlk {
    VirtIODevice parent_obj;

    /* properties */
    char *path;
    char *fd;
    char *vhostdev;
    char *vhostfd;
    char *serial;
    uint16_t num_queues;
    uint16_t queue_size;
    bool read_only;
    int32_t bootindex;

    VHostBlkBacking backing;
    struct vhost_dev hdev;
    struct vhost_virtqueue *vqs;
    QEMUBH *broken_bh;
    bool running; /* the kernel serves the rings */
};

/*
 * Open the block device that @s names, lock it as QEMU's file driver would and
 * read its limits.
 */
bool vhost_blk_backing_open(VHostBlk *s, Error **errp);
void vhost_blk_backing_close(VHostBlkBacking *b);

/* Read size and block sizes again; on failure the old values stay. */
bool vhost_blk_backing_update(VHostBlkBacking *b, Error **errp);

#endif
