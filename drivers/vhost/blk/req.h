/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A request in progress: execute and complete.
 */
#ifndef VHOST_BLK_REQ_H
#define VHOST_BLK_REQ_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/types.h>

#include "bio.h"

struct vhost_blk_bounce;
struct vhost_blk_vq;

/**
 * struct vhost_blk_req - a chain taken from the ring and not yet used
 * @vq: its queue
 * @link: on the queue's free list, or its list of requests to submit again
 * @age: on the queue's list of requests under way, from old to young
 * @taken: when it was taken from the ring, in ns
 * @submitted: when its bios were handed over, in ns; 0 for never
 * @ended: when the last of them ended, in ns
 * @status_hva: owner's address of the status byte
 * @id: first descriptor
 * @type: VIRTIO_BLK_T_*
 * @sector: first sector
 * @data_len: bytes of data
 * @mask: address bits that are clear in all of the data in place
 * @nr_pages: pages charged to the queue's limit
 * @bounce: copied data and where it belongs, or NULL
 * @done: links the queue's completion list
 * @pending: bios that have not ended, while submitted
 * @bios: the request's bios, @first among them; NULL while none is built
 * @first: the bio for small requests
 * @vecs: its data
 */
struct vhost_blk_req {
	struct vhost_blk_vq *vq;
	struct list_head link;
	struct list_head age;
	u64 taken;
	u64 submitted;
	u64 ended;
	u64 status_hva;
	u16 id;
	u32 type;
	u32 mask;
	u64 sector;
	u32 data_len;
	unsigned int nr_pages;
	struct vhost_blk_bounce *bounce;

	struct llist_node done;
	atomic_t pending;

	struct vhost_blk_bio *bios;
	struct vhost_blk_bio first;
	struct bio_vec vecs[VHOST_BLK_INLINE_VECS];
};

int vhost_blk_req_pool_init(struct vhost_blk_vq *vq);
void vhost_blk_req_pool_free(struct vhost_blk_vq *vq);

int vhost_blk_req_take(struct vhost_blk_vq *vq);
bool vhost_blk_req_can_resume(const struct vhost_blk_vq *vq);
void vhost_blk_req_resume(struct vhost_blk_vq *vq);
void vhost_blk_req_ended(struct vhost_blk_req *req);
void vhost_blk_req_end(struct vhost_blk_req *req);
void vhost_blk_req_note_oldest(struct vhost_blk_vq *vq);

#endif /* VHOST_BLK_REQ_H */
