// SPDX-License-Identifier: GPL-2.0-only
#include "bio.h"
#include "backend.h"
#include "req.h"
#include "trace.h"
#include "vq.h"

#include <linux/blkdev.h>
#include <linux/rcupdate.h>

static void vhost_blk_bio_end_io(struct bio *bio)
{
	struct vhost_blk_req *req = bio->bi_private;

	if (atomic_dec_and_test(&req->pending))
		vhost_blk_req_ended(req);
}

/* The bytes of a bio, however far the block layer has come with it. */
static u32 vhost_blk_bio_bytes(const struct bio *bio)
{
	unsigned int i;
	u32 len = 0;

	for (i = 0; i < bio->bi_vcnt; i++)
		len += bio->bi_io_vec[i].bv_len;
	return len;
}

/* Where on the disk a bio begins. */
static sector_t vhost_blk_bio_sector(const struct vhost_blk_req *req,
				     const struct vhost_blk_bio *vbio)
{
	const struct vhost_blk_bio *before;
	sector_t sector = req->sector;

	/* That of a FLUSH means nothing. */
	if (!vbio->bio.bi_vcnt)
		return 0;
	for (before = req->bios; before != vbio; before = before->next)
		sector += vhost_blk_bio_bytes(&before->bio) >> SECTOR_SHIFT;
	return sector;
}

/* Makes a bio that was refused as good as new. */
static void vhost_blk_bio_rewind(const struct vhost_blk_req *req,
				 struct vhost_blk_bio *vbio)
{
	struct bio *bio = &vbio->bio;
	unsigned short vcnt = bio->bi_vcnt;

	bio_reset(bio, req->vq->backend->bdev, vbio->opf);
	bio->bi_vcnt = vcnt;
	bio->bi_iter.bi_sector = vhost_blk_bio_sector(req, vbio);
	bio->bi_iter.bi_size = vhost_blk_bio_bytes(bio);
}

/* Does a piece begin or end where the device can only continue? */
static bool vhost_blk_bio_has_gaps(const struct bio *bio,
				   unsigned long boundary)
{
	const struct bio_vec *bv = bio->bi_io_vec;
	unsigned int i;

	for (i = 1; i < bio->bi_vcnt; i++)
		if (((bv[i - 1].bv_offset + bv[i - 1].bv_len) |
		     bv[i].bv_offset) &
		    boundary)
			return true;
	return false;
}

/*
 * A bio that the block layer has to split cannot be submitted with REQ_NOWAIT:
 * it would be refused however idle the device is.
 */
static bool vhost_blk_bio_fits(const struct bio *bio)
{
	struct request_queue *q = bdev_get_queue(bio->bi_bdev);

	return bio_sectors(bio) <= queue_max_sectors(q) &&
	       bio->bi_vcnt <= queue_max_segments(q) &&
	       !q->limits.chunk_sectors &&
	       !vhost_blk_bio_has_gaps(bio, queue_virt_boundary(q));
}

/*
 * Drivers without requests of their own may wait with a flush: device mapper
 * for a tag of a disk below, for all segments but the first; md for another
 * flush.
 */
static bool vhost_blk_bio_flush_waits(const struct vhost_blk_bio *vbio)
{
	return vbio->opf & REQ_PREFLUSH &&
	       !queue_is_mq(bdev_get_queue(vbio->bio.bi_bdev));
}

/**
 * vhost_blk_bio_may_refuse() - would it help to submit with REQ_NOWAIT?
 * @req: a request whose bios are built
 *
 * Context: worker.
 * Return: true when the device, as it is now, refuses the request's bios only
 * for want of a tag.
 */
bool vhost_blk_bio_may_refuse(const struct vhost_blk_req *req)
{
	const struct vhost_blk_bio *vbio;

	if (!bdev_nowait(req->vq->backend->bdev) ||
	    vhost_blk_bio_flush_waits(req->bios))
		return false;
	for (vbio = req->bios; vbio; vbio = vbio->next)
		if (!vhost_blk_bio_fits(&vbio->bio))
			return false;
	return true;
}

/* Was this bio sent back, unexecuted, because it was not to wait? */
static bool vhost_blk_bio_refused(const struct bio *bio)
{
	/* A device whose table changes may no longer know REQ_NOWAIT. */
	return bio->bi_opf & REQ_NOWAIT && (bio->bi_status == BLK_STS_AGAIN ||
					    bio->bi_status == BLK_STS_NOTSUPP);
}

/*
 * To the disk's poll queues? Not what may have to wait for a tag, for the tags
 * are held by requests that end only when the worker looks; and not what goes
 * through the block layer's flush machinery.
 */
static bool vhost_blk_bio_may_poll(const struct vhost_blk_req *req, bool nowait)
{
	return req->vq->poll_device && nowait && !req->bios->next &&
	       !op_is_flush(req->bios->opf) &&
	       vhost_blk_compat_can_poll(req->bios->bio.bi_bdev);
}

/**
 * vhost_blk_bio_submit() - submit what is to be submitted of a request
 * @req: the request: all of its bios, or those refused the last time
 * @nowait: rather be refused than wait for a tag
 *
 * vhost_blk_req_ended() is called when all have ended, before or after this
 * returns.
 *
 * Context: worker; sleeps unless @nowait, or if the driver does of its own.
 * Return: false when the request was refused and has ended already.
 */
bool vhost_blk_bio_submit(struct vhost_blk_req *req, bool nowait)
{
	blk_opf_t flags = nowait ? REQ_NOWAIT : 0;
	struct vhost_blk_bio *vbio;
	int nr = 0;

	/* What is merged would have to be polled as a whole, or not at all. */
	if (vhost_blk_bio_may_poll(req, nowait))
		flags |= REQ_POLLED | REQ_NOMERGE;
	for (vbio = req->bios; vbio; vbio = vbio->next) {
		struct bio *bio = &vbio->bio;

		if (!vbio->todo)
			continue;
		if (bio->bi_status)
			vhost_blk_bio_rewind(req, vbio);
		bio->bi_end_io = vhost_blk_bio_end_io;
		bio->bi_private = req;
		bio->bi_opf |= flags;
		nr++;
	}

	WARN_ON_ONCE(!nr);
	req->submitted = req->vq->now;
	trace_vhost_blk_request_submit(req, nr);
	atomic_set(&req->pending, nr);
	for (vbio = req->bios; vbio; vbio = vbio->next) {
		if (!vbio->todo)
			continue;
		vbio->todo = false;
		submit_bio(&vbio->bio);
	}
	/* The block layer takes the flag away where there is no poll queue. */
	if (flags & REQ_POLLED && req->bios->bio.bi_opf & REQ_POLLED) {
		req->polled = true;
		list_add_tail(&req->link, &req->vq->polled);
		req->vq->nr_polled++;
	}

	return !nowait || atomic_read(&req->pending) ||
	       !vhost_blk_bio_refused(&req->bios->bio);
}

/**
 * vhost_blk_bio_can_poll() - has the driver got a polled bio?
 * @req: a request whose only bio is polled, not taken back yet
 *
 * One that still waits to be given to the driver cannot be polled.
 *
 * Context: worker.
 * Return: true when vhost_blk_bio_poll() finds out about it.
 */
bool vhost_blk_bio_can_poll(const struct vhost_blk_req *req)
{
	return READ_ONCE(req->bios->bio.bi_cookie) != BLK_QC_T_NONE;
}

/**
 * vhost_blk_bio_is_polled() - does a bio still end only by polling?
 * @req: a request whose only bio was submitted to be polled
 *
 * A disk with several paths submits it to another one without the flag.
 *
 * Context: worker.
 * Return: false when it ends by an interrupt, or has ended.
 */
bool vhost_blk_bio_is_polled(const struct vhost_blk_req *req)
{
	return READ_ONCE(req->bios->bio.bi_opf) & REQ_POLLED;
}

/**
 * vhost_blk_bio_poll() - see whether a polled bio has ended, and others
 * @req: a request for which vhost_blk_bio_can_poll() holds
 *
 * Context: worker, without a plug; does not sleep.
 */
void vhost_blk_bio_poll(struct vhost_blk_req *req)
{
	DEFINE_IO_COMP_BATCH(batch);

	/* It may end meanwhile by another's polling, and its disk go away. */
	rcu_read_lock();
	bio_poll(&req->bios->bio, &batch, BLK_POLL_ONESHOT | BLK_POLL_NOSLEEP);
	rcu_read_unlock();
	if (batch.complete)
		batch.complete(&batch);
}

/**
 * vhost_blk_bio_result() - how the bios of a request ended
 * @req: a request that has ended
 *
 * Return: the first error in the order of the data; without one, BLK_STS_AGAIN
 * when bios were refused for want of a tag, marked to be submitted again; or
 * BLK_STS_OK.
 */
blk_status_t vhost_blk_bio_result(const struct vhost_blk_req *req)
{
	blk_status_t result = BLK_STS_OK;
	struct vhost_blk_bio *vbio;

	for (vbio = req->bios; vbio; vbio = vbio->next) {
		struct bio *bio = &vbio->bio;

		if (bio->bi_status == BLK_STS_OK)
			continue;
		if (vhost_blk_bio_refused(bio)) {
			vbio->todo = true;
			result = BLK_STS_AGAIN;
			continue;
		}
		/* BLK_STS_AGAIN is an error like others after waiting. */
		return bio->bi_status == BLK_STS_AGAIN ? BLK_STS_IOERR :
							 bio->bi_status;
	}
	return result;
}
