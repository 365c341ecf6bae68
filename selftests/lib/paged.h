/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests whose every page is the test's to choose, to map anew and to look at:
 * nothing here touches a page that it is not told to. The guest has AREA_PAGES
 * pages of anonymous memory that nobody else uses and that have not been touched
 * yet; page N of them is called N.
 */
#ifndef PAGED_H
#define PAGED_H

#include "shown.h"

#include <sys/mman.h>

#define AREA_PAGES	1536
#define HUGE_BYTES	(2u << 20)

/* In page HEAD unless a test says otherwise. */
#define HEAD		0
#define HEAD_AT		64
#define STATUS_AT	256

struct paged {
	struct attached a;
	struct gvq *vq;
	struct shown s;
	uint64_t gpa;		/* of page 0 */
	uint8_t *hva;
	int desc[3];		/* of the chain that paged_run() uses */
};

/* A request of one piece of data: where its parts are in the guest. */
struct chain {
	uint64_t head, data, status;
	uint32_t len;
	bool in;
};

static inline uint8_t *page_hva(const struct paged *p, unsigned int n)
{
	return p->hva + (size_t)n * G_PAGE;
}

static inline uint64_t page_gpa(const struct paged *p, unsigned int n)
{
	return p->gpa + (uint64_t)n * G_PAGE;
}

/* Three descriptors of a queue that no other request gets. */
static inline void paged_take_descs(struct gvq *vq, int *desc)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		desc[i] = vq_desc_get(vq);
		ASSERT_GE(desc[i], 0);
	}
}

/* @opts: .bulk and .place are set here: no ring lies in G_BULK */
static inline void paged_start_on(struct paged *p, const char *disk,
				  struct guest_opts opts)
{
	static const struct gplace place = { G_LOW, G_LOW, G_HIGH, false };

	opts.place = &place;
	opts.bulk = HUGE_BYTES + AREA_PAGES * G_PAGE + G_PAGE;
	attach_path(&p->a, disk, O_RDWR, &opts);
	p->vq = p->a.vq;
	shown_find(&p->s, p->a.g);
	/* G_BULK begins where a huge page may */
	p->gpa = p->a.g->region[G_BULK].gpa + HUGE_BYTES;
	p->hva = guest_hva(p->a.g, p->gpa);
	guest_claim(p->a.g, p->gpa, AREA_PAGES * G_PAGE);
	ASSERT_EQ(0, madvise(p->hva, AREA_PAGES * G_PAGE, MADV_DONTNEED));
	paged_take_descs(p->vq, p->desc);
}

static inline void paged_start(struct paged *p, struct guest_opts opts)
{
	paged_start_on(p, backend_path(0), opts);
}

/*
 * All of G_BULK, and the pages, lie somewhere else from now on. The rings stay
 * where they are mapped.
 */
static inline void paged_move(struct paged *p, uint8_t *bulk_hva)
{
	struct gregion *bulk = &p->a.g->region[G_BULK];

	bulk->hva = bulk_hva;
	p->hva = bulk_hva + (p->gpa - bulk->gpa);
	ASSERT_EQ(0, guest_set_mem(p->a.g));
}

static inline void put_header(uint8_t *at, bool in, uint64_t sector)
{
	struct virtio_blk_outhdr hdr = {
		.type = in ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
		.sector = sector,
	};

	memcpy(at, &hdr, sizeof(hdr));
}

static inline void chain_describe(struct gvq *vq, const int *desc,
				  const struct chain *c)
{
	vq_desc(vq, desc[0], c->head, sizeof(struct virtio_blk_outhdr),
		VRING_DESC_F_NEXT, desc[1]);
	vq_desc(vq, desc[1], c->data, c->len,
		VRING_DESC_F_NEXT | (c->in ? VRING_DESC_F_WRITE : 0), desc[2]);
	vq_desc(vq, desc[2], c->status, 1, VRING_DESC_F_WRITE, 0);
}

/* The same in an indirect table at @at. */
static inline void chain_tabulate(struct vring_desc *at, const struct chain *c)
{
	at[0] = (struct vring_desc){
		c->head, sizeof(struct virtio_blk_outhdr), VRING_DESC_F_NEXT, 1,
	};
	at[1] = (struct vring_desc){
		c->data, c->len,
		VRING_DESC_F_NEXT | (c->in ? VRING_DESC_F_WRITE : 0), 2,
	};
	at[2] = (struct vring_desc){ c->status, 1, VRING_DESC_F_WRITE, 0 };
}

/* Makes what has been described at @head available and waits: used.len. */
static inline uint32_t paged_push(struct gvq *vq, int head)
{
	struct greq *r = req_raw(vq, head);
	uint32_t len;

	vq_publish_kick(vq);
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	len = r->used_len;
	req_free(r);
	return len;
}

static inline uint32_t paged_run(struct paged *p, const struct chain *c)
{
	chain_describe(p->vq, p->desc, c);
	return paged_push(p->vq, p->desc[0]);
}

/* The usual chain: header and status in HEAD, the whole of page @n is data. */
static inline struct chain paged_chain(const struct paged *p, unsigned int n,
				       bool in)
{
	return (struct chain){
		.head = page_gpa(p, HEAD) + HEAD_AT,
		.data = page_gpa(p, n),
		.status = page_gpa(p, HEAD) + STATUS_AT,
		.len = G_PAGE,
		.in = in,
	};
}

/* Runs it: the status byte. */
static inline uint8_t paged_io(struct paged *p, unsigned int n, bool in,
			       uint64_t sector)
{
	const struct chain c = paged_chain(p, n, in);
	uint8_t *status = page_hva(p, HEAD) + STATUS_AT;
	uint32_t len;

	put_header(page_hva(p, HEAD) + HEAD_AT, in, sector);
	*status = G_NO_STATUS;
	len = paged_run(p, &c);
	EXPECT_EQ(in && *status == VIRTIO_BLK_S_OK ? G_PAGE + 1 : 1, len);
	return *status;
}

/* What the disk has at @sector, and what the owner sees in a page. */
static inline bool disk_holds(struct paged *p, uint64_t sector, uint64_t seed)
{
	return disk_has_pattern(&p->a.d, sector, G_PAGE, seed);
}

static inline void disk_put(struct paged *p, uint64_t sector, uint64_t seed)
{
	ASSERT_EQ(0, disk_put_pattern(&p->a.d, sector, G_PAGE, seed));
}

static inline bool page_holds(const uint8_t *page, uint64_t sector,
			      uint64_t seed)
{
	return pattern_check(page, G_PAGE, sector, seed) < 0;
}

static inline uint64_t cached_pages(const struct paged *p)
{
	return shown_number(&p->s, 0, "cached_pages");
}

/*
 * Uses page @n in both directions until the queue has pages in its cache: without
 * that a test of the cache shows nothing.
 */
static inline void paged_warm(struct paged *p, unsigned int n, uint64_t sector,
			      uint64_t seed)
{
	unsigned int i;

	disk_put(p, sector, seed);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(VIRTIO_BLK_S_OK, paged_io(p, n, true, sector));
		ASSERT_EQ(VIRTIO_BLK_S_OK, paged_io(p, n, false, sector));
		if (i > 1 && cached_pages(p))
			break;
	}
	ASSERT_GT(cached_pages(p), 0);
	ASSERT_TRUE(page_holds(page_hva(p, n), sector, seed));
}

#endif /* PAGED_H */
