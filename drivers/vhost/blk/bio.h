/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A request in the block layer: submitted, refused, polled, ended.
 */
#ifndef VHOST_BLK_BIO_H
#define VHOST_BLK_BIO_H

#include <linux/bio.h>

struct vhost_blk_req;

/* Data up to 64 KiB goes into the bio that is part of the request. */
#define VHOST_BLK_INLINE_VECS 17

/**
 * struct vhost_blk_bio - one bio of a request
 * @next: next bio of the same request, in the order of the data
 * @opf: its operation and flags, to submit it again
 * @todo: to be submitted
 * @bio: the bio
 */
struct vhost_blk_bio {
	struct vhost_blk_bio *next;
	blk_opf_t opf;
	bool todo;
	struct bio bio;
};

bool vhost_blk_bio_may_refuse(const struct vhost_blk_req *req);
bool vhost_blk_bio_submit(struct vhost_blk_req *req, bool nowait);
bool vhost_blk_bio_can_poll(const struct vhost_blk_req *req);
bool vhost_blk_bio_is_polled(const struct vhost_blk_req *req);
void vhost_blk_bio_poll(struct vhost_blk_req *req);
blk_status_t vhost_blk_bio_result(const struct vhost_blk_req *req);

#endif /* VHOST_BLK_BIO_H */
