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

/* The type of a request whose header could not be read. */
#define VHOST_BLK_REQ_NO_TYPE U32_MAX

struct vhost_blk_bounce;
struct vhost_blk_tlb_entry;
struct vhost_blk_vq;

/**
 * struct vhost_blk_req - a chain taken from the ring and not yet used
 * @vq: its queue
 * @next: on the queue's list of free requests, while it is free
 * @done: links the queue's completion list, while it is not
 * @link: on the queue's list of requests to submit again, or of those polled
 * @taken: when it was taken from the ring, in ns; 0: not under way. Others read
 *         it with READ_ONCE()
 * @submitted: when its bios were handed over, in ns; 0 for never
 * @ended: when the last of them ended, in ns; 0: in the worker's own hands, so
 *         when these are free
 * @status_hva: owner's address of the status byte
 * @sector: first sector
 * @type: VIRTIO_BLK_T_*, or VHOST_BLK_REQ_NO_TYPE
 * @data_len: bytes of data
 * @mask: address bits that are clear in all of the data in place
 * @pending: bios that have not ended, while submitted
 * @bounce: copied data and where it belongs, or NULL
 * @bios: the request's bios, @first among them; NULL while none is built
 * @id: first descriptor
 * @nr_pages: pages charged to the queue's limit
 * @polled: with the disk's poll queues: ends when vhost_blk_req_poll() looks
 * @nr_cached: entries of the translation cache that the data lies in
 * @cached: their indices
 * @first: the bio for small requests
 * @vecs: its data
 */
struct vhost_blk_req {
	struct vhost_blk_vq *vq;
	union {
		struct vhost_blk_req *next;
		struct llist_node done;
	};
	struct list_head link;
	u64 taken;
	u64 submitted;
	u64 ended;
	u64 status_hva;
	u64 sector;
	u32 type;
	u32 data_len;
	u32 mask;
	atomic_t pending;
	struct vhost_blk_bounce *bounce;
	struct vhost_blk_bio *bios;
	u16 id;
	u16 nr_pages;
	bool polled;
	u8 nr_cached;
	u16 cached[VHOST_BLK_INLINE_VECS];
	struct vhost_blk_bio first;
	struct bio_vec vecs[VHOST_BLK_INLINE_VECS];
};

int vhost_blk_req_take(struct vhost_blk_vq *vq);
bool vhost_blk_req_can_resume(const struct vhost_blk_vq *vq);
void vhost_blk_req_resume(struct vhost_blk_vq *vq);
void vhost_blk_req_ended(struct vhost_blk_req *req);
void vhost_blk_req_end(struct vhost_blk_req *req);
void vhost_blk_req_end_cached(struct vhost_blk_req *req,
			      struct vhost_blk_tlb_entry *status);
void vhost_blk_req_look(struct vhost_blk_vq *vq);
void vhost_blk_req_poll(struct vhost_blk_vq *vq);

#endif /* VHOST_BLK_REQ_H */
