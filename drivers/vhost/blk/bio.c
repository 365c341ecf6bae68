// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's pages are pinned for as long as a bio may touch them. What cannot
 * be handed over in place (see vhost_blk_cmd_check_rw()) is copied through
 * pages of the kernel instead: the bios then own these.
 */
#include "bio.h"
#include "backend.h"
#include "cmd.h"
#include "req.h"
#include "span.h"
#include "trace.h"
#include "vq.h"

#include <linux/blkdev.h>
#include <linux/mm.h>
#include <linux/slab.h>

/* Pages pinned at a time; the array is on the stack. */
#define VHOST_BLK_PIN_BATCH 32

/* A bio for more data than a request has room for. */
struct vhost_blk_big_bio {
	struct vhost_blk_bio vbio;
	struct bio_vec vecs[];
};

/**
 * struct vhost_blk_bounce - where copied data belongs
 * @nr_spans: entries of @span; 0 when nothing is to be copied back
 * @span: the guest's buffer
 */
struct vhost_blk_bounce {
	unsigned int nr_spans;
	struct vhost_blk_span span[];
};

/* A request's bios while they are being built. */
struct vhost_blk_build {
	struct vhost_blk_req *req;
	struct vhost_blk_bio **tail;
	struct vhost_blk_bio *last;
	sector_t sector;
	blk_opf_t opf;
	unsigned int nr_pages;
};

static void vhost_blk_bio_end_io(struct bio *bio)
{
	struct vhost_blk_req *req = bio->bi_private;

	if (atomic_dec_and_test(&req->pending))
		vhost_blk_req_ended(req);
}

static void vhost_blk_bio_init(struct vhost_blk_build *b,
			       struct vhost_blk_bio *vbio, struct bio_vec *vecs,
			       unsigned int nr_vecs)
{
	struct vhost_blk_req *req = b->req;

	bio_init(&vbio->bio, req->vq->backend->bdev, vecs, nr_vecs, b->opf);
	vbio->bio.bi_iter.bi_sector = b->sector;
	vbio->next = NULL;
	vbio->opf = b->opf;
	vbio->todo = true;
	*b->tail = vbio;
	b->tail = &vbio->next;
	b->last = vbio;
}

/* The next bio of the request: its own while that suffices for all data. */
static int vhost_blk_bio_next(struct vhost_blk_build *b)
{
	struct vhost_blk_req *req = b->req;
	struct vhost_blk_big_bio *big;
	unsigned int nr_vecs;

	if (!req->bios && b->nr_pages <= VHOST_BLK_INLINE_VECS) {
		vhost_blk_bio_init(b, &req->first, req->vecs,
				   VHOST_BLK_INLINE_VECS);
		return 0;
	}

	nr_vecs = bio_max_segs(b->nr_pages);
	big = kmalloc(struct_size(big, vecs, nr_vecs), GFP_NOIO | __GFP_NOWARN);
	if (!big)
		return -ENOMEM;
	vhost_blk_bio_init(b, &big->vbio, big->vecs, nr_vecs);
	return 0;
}

/* Does @page, from @off on, go on where @bio ends, inside the same page? */
static bool vhost_blk_bio_ends_in(const struct bio *bio,
				  const struct page *page, unsigned int off)
{
	const struct bio_vec *bv = &bio->bi_io_vec[bio->bi_vcnt - 1];
	unsigned int end = bv->bv_offset + bv->bv_len;

	return off && offset_in_page(end) == off &&
	       bv->bv_page + (end >> PAGE_SHIFT) == page;
}

/*
 * Appends a piece of a page to the last bio, with the reference held on it. For
 * each bvec exactly one reference is kept for each page that it touches.
 */
static bool vhost_blk_bio_append(struct vhost_blk_build *b, struct page *page,
				 unsigned int len, unsigned int off)
{
	struct bio *bio = &b->last->bio;
	unsigned short vcnt = bio->bi_vcnt;
	bool same = vcnt && vhost_blk_bio_ends_in(bio, page, off);

	if (bio_add_page(bio, page, len, off) != len)
		return false;
	if (same && bio->bi_vcnt == vcnt)
		unpin_user_page(page);
	b->sector += len >> SECTOR_SHIFT;
	b->nr_pages--;
	return true;
}

static int vhost_blk_bio_add(struct vhost_blk_build *b, struct page *page,
			     unsigned int len, unsigned int off)
{
	int ret;

	if (b->last && vhost_blk_bio_append(b, page, len, off))
		return 0;
	ret = vhost_blk_bio_next(b);
	if (ret)
		return ret;
	return vhost_blk_bio_append(b, page, len, off) ? 0 : -EIO;
}

static int vhost_blk_bio_pin_span(struct vhost_blk_build *b,
				  const struct vhost_blk_span *span)
{
	unsigned int gup = op_is_write(b->opf) ? 0 : FOLL_WRITE;
	struct page *pages[VHOST_BLK_PIN_BATCH];
	unsigned long hva = span->hva;
	u32 left = span->len;

	while (left) {
		unsigned int off = offset_in_page(hva);
		int i, ret, n;

		n = min_t(u32, VHOST_BLK_PIN_BATCH,
			  DIV_ROUND_UP(off + left, PAGE_SIZE));
		n = pin_user_pages_fast(hva - off, n, gup, pages);
		if (n <= 0)
			return -EFAULT;

		for (i = 0; i < n; i++) {
			u32 len = min_t(u32, left, PAGE_SIZE - off);

			ret = vhost_blk_bio_add(b, pages[i], len, off);
			if (ret) {
				unpin_user_pages(pages + i, n - i);
				return ret;
			}
			left -= len;
			hva += len;
			off = 0;
		}
	}
	return 0;
}

static int vhost_blk_bio_pin(struct vhost_blk_build *b,
			     const struct vhost_blk_cmd *cmd)
{
	unsigned int i;
	int ret;

	for (i = 0; i < cmd->nr_spans; i++) {
		ret = vhost_blk_bio_pin_span(b, &cmd->span[i]);
		if (ret)
			return ret;
	}
	return 0;
}

static int vhost_blk_bio_bounce_page(struct vhost_blk_build *b,
				     struct vhost_blk_span_cursor *cur, u32 len)
{
	bool out = op_is_write(b->opf);
	struct page *page;
	int ret;

	page = alloc_page(GFP_NOIO | __GFP_NOWARN | (out ? 0 : __GFP_ZERO));
	if (!page)
		return -ENOMEM;

	ret = out ? vhost_blk_span_copy(cur, page_address(page), len, false) :
		    0;
	if (!ret)
		ret = vhost_blk_bio_add(b, page, len, 0);
	if (ret)
		__free_page(page);
	return ret;
}

static int vhost_blk_bio_bounce(struct vhost_blk_build *b,
				const struct vhost_blk_cmd *cmd)
{
	unsigned int nr_spans = op_is_write(b->opf) ? 0 : cmd->nr_spans;
	struct vhost_blk_span_cursor cur = { .span = cmd->span };
	struct vhost_blk_bounce *bounce;
	u32 left = cmd->data_len;
	int ret;

	bounce = kvmalloc(struct_size(bounce, span, nr_spans),
			  GFP_NOIO | __GFP_NOWARN);
	if (!bounce)
		return -ENOMEM;
	bounce->nr_spans = nr_spans;
	memcpy(bounce->span, cmd->span, nr_spans * sizeof(cmd->span[0]));
	b->req->bounce = bounce;

	while (left) {
		u32 len = min_t(u32, left, PAGE_SIZE);

		ret = vhost_blk_bio_bounce_page(b, &cur, len);
		if (ret)
			return ret;
		left -= len;
	}
	return 0;
}

/**
 * vhost_blk_bio_build_rw() - make the bios of an IN or OUT
 * @req: the request; no bio is built for it
 * @cmd: the command, passed by vhost_blk_cmd_check_rw()
 *
 * Context: worker with the owner's mm in use; sleeps.
 * Return: 0; -EFAULT when guest memory is not there or not writable, -ENOMEM.
 * On error nothing is held.
 */
int vhost_blk_bio_build_rw(struct vhost_blk_req *req,
			   const struct vhost_blk_cmd *cmd)
{
	struct vhost_blk_build b = {
		.req = req,
		.tail = &req->bios,
		.sector = cmd->sector,
		.opf = REQ_OP_READ,
		.nr_pages = cmd->nr_pages,
	};
	int ret;

	if (cmd->type == VIRTIO_BLK_T_OUT) {
		b.opf = REQ_OP_WRITE | REQ_SYNC | REQ_IDLE;
		if (req->vq->write_through)
			b.opf |= REQ_FUA;
	}

	ret = cmd->bounce ? vhost_blk_bio_bounce(&b, cmd) :
			    vhost_blk_bio_pin(&b, cmd);
	if (ret)
		vhost_blk_bio_release(req, false);
	return ret;
}

/**
 * vhost_blk_bio_build_flush() - make the bio of a FLUSH
 * @req: the request; no bio is built for it
 */
void vhost_blk_bio_build_flush(struct vhost_blk_req *req)
{
	struct vhost_blk_build b = {
		.req = req,
		.tail = &req->bios,
		.opf = REQ_OP_WRITE | REQ_PREFLUSH,
	};

	vhost_blk_bio_init(&b, &req->first, NULL, 0);
}

/* Makes a bio that was refused as good as new. */
static void vhost_blk_bio_rewind(const struct vhost_blk_req *req,
				 struct vhost_blk_bio *vbio)
{
	struct bio *bio = &vbio->bio;
	unsigned short vcnt = bio->bi_vcnt;

	bio_reset(bio, req->vq->backend->bdev, vbio->opf);
	bio->bi_vcnt = vcnt;
	bio->bi_iter = vbio->iter;
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
	       (bio->bi_vcnt <= 1 || !queue_virt_boundary(q));
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

	if (!bdev_nowait(req->vq->backend->bdev))
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

/**
 * vhost_blk_bio_submit() - submit what is to be submitted of a request
 * @req: the request: all of its bios, or those refused the last time
 * @nowait: rather be refused than wait for a tag
 *
 * vhost_blk_req_ended() is called when all have ended, before or after this
 * returns.
 *
 * Context: worker; sleeps unless @nowait.
 * Return: false when the request was refused and has ended already.
 */
bool vhost_blk_bio_submit(struct vhost_blk_req *req, bool nowait)
{
	struct vhost_blk_bio *vbio;
	int nr = 0;

	for (vbio = req->bios; vbio; vbio = vbio->next) {
		struct bio *bio = &vbio->bio;

		if (!vbio->todo)
			continue;
		if (bio->bi_status)
			vhost_blk_bio_rewind(req, vbio);
		bio->bi_end_io = vhost_blk_bio_end_io;
		bio->bi_private = req;
		vbio->iter = bio->bi_iter;
		if (nowait)
			bio->bi_opf |= REQ_NOWAIT;
		nr++;
	}

	WARN_ON_ONCE(!nr);
	/* The next chain of this pass is taken from here on. */
	req->vq->now = vhost_blk_clock();
	req->submitted = req->vq->now;
	trace_vhost_blk_request_submit(req->vq->dev_id, req->vq->index, req->id,
				       req->vq->backend->bdev->bd_dev,
				       req->sector, nr);
	atomic_set(&req->pending, nr);
	for (vbio = req->bios; vbio; vbio = vbio->next) {
		if (!vbio->todo)
			continue;
		vbio->todo = false;
		submit_bio(&vbio->bio);
	}

	return !nowait || atomic_read(&req->pending) ||
	       !vhost_blk_bio_refused(&req->bios->bio);
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

static void vhost_blk_bio_put_pages(const struct vhost_blk_req *req,
				    struct bio *bio)
{
	bool dirty = !op_is_write(bio->bi_opf);
	unsigned int i, n;

	for (i = 0; i < bio->bi_vcnt; i++) {
		struct bio_vec *bv = &bio->bi_io_vec[i];
		unsigned int nr =
			DIV_ROUND_UP(bv->bv_offset + bv->bv_len, PAGE_SIZE);

		if (req->bounce) {
			for (n = 0; n < nr; n++)
				__free_page(bv->bv_page + n);
		} else {
			unpin_user_page_range_dirty_lock(bv->bv_page, nr,
							 dirty);
		}
	}
}

static int vhost_blk_bio_copy_out(const struct vhost_blk_req *req)
{
	struct vhost_blk_span_cursor cur = { .span = req->bounce->span };
	struct vhost_blk_bio *vbio;
	unsigned int i;

	for (vbio = req->bios; vbio; vbio = vbio->next) {
		for (i = 0; i < vbio->bio.bi_vcnt; i++) {
			struct bio_vec *bv = &vbio->bio.bi_io_vec[i];

			/* Kernel pages that touch do so in the linear map. */
			if (vhost_blk_span_copy(&cur, bvec_virt(bv), bv->bv_len,
						true))
				return -EFAULT;
		}
	}
	return 0;
}

/**
 * vhost_blk_bio_release() - let go of a request's bios and pages
 * @req: a request none of whose bios is in flight
 * @copy_out: the data of an IN is good; copied data goes to the guest first
 *
 * Context: worker with the owner's mm in use; sleeps.
 * Return: 0, or -EFAULT when the guest's buffer could not be written.
 */
int vhost_blk_bio_release(struct vhost_blk_req *req, bool copy_out)
{
	struct vhost_blk_bio *vbio, *next;
	int ret = 0;

	if (copy_out && req->bounce && req->bounce->nr_spans)
		ret = vhost_blk_bio_copy_out(req);

	for (vbio = req->bios; vbio; vbio = next) {
		next = vbio->next;
		vhost_blk_bio_put_pages(req, &vbio->bio);
		bio_uninit(&vbio->bio);
		if (vbio != &req->first)
			kfree(container_of(vbio, struct vhost_blk_big_bio,
					   vbio));
	}
	req->bios = NULL;
	kvfree(req->bounce);
	req->bounce = NULL;
	return ret;
}
