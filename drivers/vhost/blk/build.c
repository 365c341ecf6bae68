// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's pages are pinned for as long as a bio may touch them, and those
 * of small requests for longer (tlb.c). What cannot
 * be handed over in place (see vhost_blk_cmd_check_rw()) is copied through
 * pages of the kernel instead: the bios then own these.
 */
#include "build.h"
#include "backend.h"
#include "cmd.h"
#include "req.h"
#include "span.h"
#include "vq.h"

#include <linux/blkdev.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

/* Pages pinned at a time; the array is on the stack. */
#define VHOST_BLK_PIN_BATCH 32

/* Bios are not made shorter than this, whatever the disk takes at a time. */
#define VHOST_BLK_BIO_MIN_BYTES SZ_64K

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

/*
 * A request's bios while they are being built. None is longer than what the
 * disk takes at a time, for then the block layer would have to split it, and
 * what is split cannot be submitted with REQ_NOWAIT.
 */
struct vhost_blk_build {
	struct vhost_blk_req *req;
	struct vhost_blk_bio **tail;
	struct vhost_blk_bio *last;
	sector_t sector;
	blk_opf_t opf;
	unsigned int nr_pages;
	unsigned int max_bytes;
	unsigned int max_segs;
};

static void vhost_blk_build_init(struct vhost_blk_build *b,
				 struct vhost_blk_bio *vbio,
				 struct bio_vec *vecs, unsigned int nr_vecs)
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
static int vhost_blk_build_next(struct vhost_blk_build *b)
{
	struct vhost_blk_req *req = b->req;
	struct vhost_blk_big_bio *big;
	unsigned int nr_vecs;

	if (!req->bios && b->nr_pages <= VHOST_BLK_INLINE_VECS) {
		vhost_blk_build_init(b, &req->first, req->vecs,
				     VHOST_BLK_INLINE_VECS);
		return 0;
	}

	nr_vecs = min3(b->nr_pages, b->max_segs,
		       b->max_bytes / (unsigned int)PAGE_SIZE + 1);
	big = kmalloc(struct_size(big, vecs, nr_vecs), GFP_NOIO | __GFP_NOWARN);
	if (!big)
		return -ENOMEM;
	vhost_blk_build_init(b, &big->vbio, big->vecs, nr_vecs);
	return 0;
}

/* Does @page, from @off on, go on where @bio ends, inside the same page? */
static bool vhost_blk_build_ends_in(const struct bio *bio,
				    const struct page *page, unsigned int off)
{
	const struct bio_vec *bv = &bio->bi_io_vec[bio->bi_vcnt - 1];
	unsigned int end = bv->bv_offset + bv->bv_len;

	return off && offset_in_page(end) == off &&
	       bv->bv_page + (end >> PAGE_SHIFT) == page;
}

/* Would the disk not take @bio with @len bytes more? */
static bool vhost_blk_build_is_full(const struct vhost_blk_build *b,
				    const struct bio *bio, unsigned int len)
{
	return bio->bi_iter.bi_size + len > b->max_bytes ||
	       bio->bi_vcnt >= b->max_segs;
}

/*
 * Appends a piece of a page to the last bio, with the reference held on it. For
 * each bvec exactly one reference is kept for each page that it touches.
 */
static bool vhost_blk_build_append(struct vhost_blk_build *b, struct page *page,
				   unsigned int len, unsigned int off)
{
	struct bio *bio = &b->last->bio;
	unsigned short vcnt = bio->bi_vcnt;
	bool same = vcnt && vhost_blk_build_ends_in(bio, page, off);

	if (vhost_blk_build_is_full(b, bio, len))
		return false;
	if (bio_add_page(bio, page, len, off) != len)
		return false;
	if (same && bio->bi_vcnt == vcnt)
		unpin_user_page(page);
	b->sector += len >> SECTOR_SHIFT;
	b->nr_pages--;
	return true;
}

static int vhost_blk_build_add(struct vhost_blk_build *b, struct page *page,
			       unsigned int len, unsigned int off)
{
	int ret;

	if (b->last && vhost_blk_build_append(b, page, len, off))
		return 0;
	ret = vhost_blk_build_next(b);
	if (ret)
		return ret;
	return vhost_blk_build_append(b, page, len, off) ? 0 : -EIO;
}

static int vhost_blk_build_pin_span(struct vhost_blk_build *b,
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

			ret = vhost_blk_build_add(b, pages[i], len, off);
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

static int vhost_blk_build_pin(struct vhost_blk_build *b,
			       const struct vhost_blk_cmd *cmd)
{
	unsigned int i;
	int ret;

	for (i = 0; i < cmd->nr_spans; i++) {
		ret = vhost_blk_build_pin_span(b, &cmd->span[i]);
		if (ret)
			return ret;
	}
	return 0;
}

/* There is room: a piece more than the bio has vectors is not cached. */
static void vhost_blk_build_add_cached(struct bio *bio, void *addr, u32 len,
				       u32 off)
{
	if (likely(!bio->bi_vcnt))
		__bio_add_page(bio, virt_to_page(addr), len, off);
	else
		bio_add_page(bio, virt_to_page(addr), len, off);
}

/* Fills the request's own bio; false when a page cannot be cached. */
static bool vhost_blk_build_fill_cached(struct vhost_blk_build *b,
					const struct vhost_blk_span *span,
					const struct vhost_blk_span *end)
{
	struct vhost_blk_req *req = b->req;
	struct vhost_blk_tlb *tlb = &req->vq->tlb;
	bool write = !op_is_write(b->opf);

	for (; span < end; span++) {
		u64 hva = span->hva;
		u32 left = span->len;

		while (left) {
			u32 off = offset_in_page(hva);
			u32 len = min_t(u32, left, PAGE_SIZE - off);
			struct vhost_blk_tlb_entry *entry =
				vhost_blk_tlb_find(tlb, hva, write);

			if (!entry)
				return false;
			entry->users++;
			req->cached[req->nr_cached++] = entry - tlb->entry;
			vhost_blk_build_add_cached(&req->first.bio, entry->addr,
						   len, off);
			hva += len;
			left -= len;
		}
	}
	return true;
}

static void vhost_blk_build_put_cached(struct vhost_blk_req *req, bool dirty)
{
	struct vhost_blk_tlb *tlb = &req->vq->tlb;

	while (req->nr_cached) {
		u16 i = req->cached[--req->nr_cached];

		vhost_blk_tlb_put(tlb, &tlb->entry[i], dirty);
	}
}

/*
 * The way of small requests. Without a place in the cache, or when a page is
 * not there, false is returned and nothing is held.
 */
static bool vhost_blk_build_cached(struct vhost_blk_build *b,
				   const struct vhost_blk_cmd *cmd)
{
	struct vhost_blk_req *req = b->req;

	if (cmd->nr_pages > VHOST_BLK_INLINE_VECS)
		return false;
	vhost_blk_build_init(b, &req->first, req->vecs, VHOST_BLK_INLINE_VECS);
	if (vhost_blk_build_fill_cached(b, cmd->span,
					cmd->span + cmd->nr_spans))
		return true;
	vhost_blk_build_put_cached(req, false);
	bio_uninit(&req->first.bio);
	req->bios = NULL;
	b->tail = &req->bios;
	b->last = NULL;
	return false;
}

static int vhost_blk_build_bounce_page(struct vhost_blk_build *b,
				       struct vhost_blk_span_cursor *cur,
				       u32 len)
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
		ret = vhost_blk_build_add(b, page, len, 0);
	if (ret)
		__free_page(page);
	return ret;
}

static int vhost_blk_build_bounce(struct vhost_blk_build *b,
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

		ret = vhost_blk_build_bounce_page(b, &cur, len);
		if (ret)
			return ret;
		left -= len;
	}
	return 0;
}

/* The most that the disk takes at a time, as it is now. */
static void vhost_blk_build_limit(struct vhost_blk_build *b)
{
	struct request_queue *q = bdev_get_queue(b->req->vq->backend->bdev);

	b->max_bytes = max_t(unsigned int, queue_max_bytes(q),
			     VHOST_BLK_BIO_MIN_BYTES);
	b->max_segs = clamp_t(unsigned int, queue_max_segments(q),
			      VHOST_BLK_INLINE_VECS, BIO_MAX_VECS);
}

/**
 * vhost_blk_build_rw() - make the bios of an IN or OUT
 * @req: the request; no bio is built for it
 * @cmd: the command, passed by vhost_blk_cmd_check_rw()
 *
 * Context: worker with the owner's mm in use; sleeps.
 * Return: 0; -EFAULT when guest memory is not there or not writable, -ENOMEM,
 * -EIO when a bio takes no page.
 * On error nothing is held.
 */
int vhost_blk_build_rw(struct vhost_blk_req *req,
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

	if (!cmd->bounce && vhost_blk_build_cached(&b, cmd))
		return 0;
	vhost_blk_build_limit(&b);
	ret = cmd->bounce ? vhost_blk_build_bounce(&b, cmd) :
			    vhost_blk_build_pin(&b, cmd);
	if (ret)
		vhost_blk_build_release(req, false);
	return ret;
}

/**
 * vhost_blk_build_flush() - make the bio of a FLUSH
 * @req: the request; no bio is built for it
 *
 * Like what a guest writes it is no part of the host's writeback, which the
 * block layer may hold back, sleeping.
 */
void vhost_blk_build_flush(struct vhost_blk_req *req)
{
	struct vhost_blk_build b = {
		.req = req,
		.tail = &req->bios,
		.opf = REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC | REQ_IDLE,
	};

	vhost_blk_build_init(&b, &req->first, NULL, 0);
}

static void vhost_blk_build_put_pages(const struct vhost_blk_req *req,
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

static int vhost_blk_build_copy_out(const struct vhost_blk_req *req)
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
 * vhost_blk_build_release() - let go of a request's bios and pages
 * @req: a request none of whose bios is in flight
 * @copy_out: the data of an IN is good; copied data goes to the guest first
 *
 * Context: worker with the owner's mm in use; sleeps. Any that has claimed the
 * queue, when all of the data lies in the translation cache and no page there
 * is stale.
 * Return: 0, or -EFAULT when the guest's buffer could not be written.
 */
int vhost_blk_build_release(struct vhost_blk_req *req, bool copy_out)
{
	struct vhost_blk_bio *vbio, *next;
	int ret = 0;

	/* One bio, the request's own. */
	if (likely(req->nr_cached)) {
		vhost_blk_build_put_cached(req, !op_is_write(req->bios->opf));
		bio_uninit(&req->first.bio);
		req->bios = NULL;
		return 0;
	}
	if (copy_out && req->bounce && req->bounce->nr_spans)
		ret = vhost_blk_build_copy_out(req);

	for (vbio = req->bios; vbio; vbio = next) {
		next = vbio->next;
		vhost_blk_build_put_pages(req, &vbio->bio);
		bio_uninit(&vbio->bio);
		if (vbio != &req->first)
			kfree(container_of(vbio, struct vhost_blk_big_bio,
					   vbio));
	}
	req->bios = NULL;
	if (unlikely(req->bounce)) {
		kvfree(req->bounce);
		req->bounce = NULL;
	}
	return ret;
}
