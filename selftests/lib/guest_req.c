// SPDX-License-Identifier: GPL-2.0-only
/* virtio-blk requests: cut into descriptors as a frame says, and checked. */
#define _GNU_SOURCE
#include "guest.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_BYTES 1

struct token {
	uint64_t len, count, place;
	char how;		/* 0, '@', '^' or '=' */
	int region;		/* -1: any */
};

/* Parses one token: what follows it, NULL if it is not one. */
static const char *token_parse(const char *s, struct token *t)
{
	char *end;

	*t = (struct token){ .count = 1, .region = -1 };
	if (!isdigit((unsigned char)*s))
		return NULL;
	t->len = strtoull(s, &end, 0);
	if (*end == 'x')
		t->count = strtoull(end + 1, &end, 0);
	if (*end == '@' || *end == '^' || *end == '=') {
		t->how = *end;
		t->place = strtoull(end + 1, &end, 0);
	}
	if (*end == '#')
		t->region = strtoul(end + 1, &end, 0);
	return *end == ' ' || *end == '\0' || *end == '/' ? end : NULL;
}

size_t frame_total(const char *tokens)
{
	size_t total = 0;
	struct token t;

	while (*tokens) {
		if (*tokens == ' ') {
			tokens++;
			continue;
		}
		tokens = token_parse(tokens, &t);
		if (!tokens)
			abort();
		total += t.len * t.count;
	}
	return total;
}

struct greq *req_new(struct gvq *vq, uint32_t type, uint64_t sector)
{
	struct greq *r = calloc(1, sizeof(*r));

	if (!r)
		abort();
	r->vq = vq;
	r->hdr.type = type;
	r->hdr.sector = sector;
	r->status = G_NO_STATUS;
	r->table_offset = -1;
	r->table_region = -1;
	return r;
}

static int req_place(struct greq *r, const struct token *t, struct gpiece *p)
{
	struct guest *g = r->vq->g;
	int offset = t->how == '@' ? (int)t->place : -1;
	int ret;

	p->len = t->len;
	if (t->how == '=') {
		p->gpa = t->place;
		p->mapped = guest_is_memory(g, p->gpa, p->len);
		if (p->mapped)
			guest_claim(g, p->gpa, p->len);
		return 0;
	}
	if (t->how == '^')
		ret = guest_alloc_straddling(g, p->len, t->place, &p->gpa);
	else if (t->region >= 0)
		ret = guest_alloc(g, t->region, p->len, offset, 1, &p->gpa);
	else
		ret = guest_alloc_any(g, p->len, offset, &p->gpa);
	p->owned = p->mapped = !ret;
	return ret;
}

int req_frame(struct greq *r, const char *frame)
{
	bool writable = false;
	struct gpiece *p;
	struct token t;
	uint64_t i;

	while (*frame) {
		if (*frame == ' ' || *frame == '/') {
			writable |= *frame++ == '/';
			continue;
		}
		frame = token_parse(frame, &t);
		if (!frame)
			abort();
		p = realloc(r->piece, (r->n + t.count) * sizeof(*p));
		if (!p)
			abort();
		r->piece = p;
		for (i = 0; i < t.count; i++) {
			p = &r->piece[r->n];
			memset(p, 0, sizeof(*p));
			p->writable = writable;
			if (req_place(r, &t, p))
				return -1;
			r->n++;
			r->n_out += !writable;
			*(writable ? &r->in_len : &r->out_len) += p->len;
			if (p->mapped)
				guest_fill(r->vq->g, p->gpa, G_POISON, p->len);
		}
	}
	req_out_write(r, 0, &r->hdr, sizeof(r->hdr));
	if (r->in_len) {
		for (i = r->n; i-- > r->n_out;) {
			p = &r->piece[i];
			if (!p->len)
				continue;
			if (p->mapped)
				guest_fill(r->vq->g, p->gpa + p->len - 1,
					   G_NO_STATUS, 1);
			break;
		}
	}
	return 0;
}

/* Copies to or from the bytes [off, off + len) of the readable or writable part. */
static void req_copy(struct greq *r, bool writable, size_t off, void *buf,
		     size_t len, bool to_guest)
{
	struct guest *g = r->vq->g;
	uint8_t *at = buf;
	unsigned int i;
	size_t n;

	for (i = 0; i < r->n && len; i++) {
		struct gpiece *p = &r->piece[i];

		if (p->writable != writable)
			continue;
		if (off >= p->len) {
			off -= p->len;
			continue;
		}
		n = p->len - off;
		if (n > len)
			n = len;
		/* A piece that is not all memory is not ours to write. */
		if (to_guest && p->mapped)
			guest_write(g, p->gpa + off, at, n);
		else if (!to_guest)
			guest_read(g, p->gpa + off, at, n);
		at += n;
		len -= n;
		off = 0;
	}
}

void req_out_write(struct greq *r, size_t off, const void *src, size_t len)
{
	req_copy(r, false, off, (void *)(uintptr_t)src, len, true);
}

void req_in_read(struct greq *r, size_t off, void *dst, size_t len)
{
	req_copy(r, true, off, dst, len, false);
}

void req_put_data(struct greq *r, const void *data, size_t len)
{
	req_out_write(r, sizeof(r->hdr), data, len);
}

void req_get_data(struct greq *r, void *data, size_t len)
{
	req_in_read(r, 0, data, len);
}

static int req_alloc_table(struct greq *r)
{
	size_t len = r->table_n * sizeof(struct vring_desc);
	struct guest *g = r->vq->g;

	r->table_is = calloc(r->table_n ? r->table_n : 1, sizeof(*r->table_is));
	if (!r->table_is)
		abort();
	if (r->table_straddles)
		return guest_alloc_straddling(g, len, len / 2 + 5, &r->table);
	if (r->table_region >= 0)
		return guest_alloc(g, r->table_region, len, r->table_offset, 16,
				   &r->table);
	if (r->table_offset >= 0)
		return guest_alloc(g, G_BULK, len, r->table_offset, 1, &r->table);
	return guest_alloc(g, G_BULK, len, -1, 16, &r->table);
}

int req_make(struct greq *r)
{
	unsigned int direct = r->indirect ? r->direct : r->n;
	struct gvq *vq = r->vq;
	unsigned int i, next;
	int d;

	r->ndesc = direct + r->indirect;
	r->desc = calloc(r->ndesc ? r->ndesc : 1, sizeof(*r->desc));
	if (!r->desc)
		abort();
	for (i = 0; i < r->ndesc; i++) {
		d = vq_desc_get(vq);
		if (d < 0)
			return -1;
		r->desc[i] = d;
	}
	for (i = 0; i < direct; i++) {
		const struct gpiece *p = &r->piece[i];
		bool last = i + 1 == r->ndesc;

		next = last ? 0 : r->desc[i + 1];
		vq_desc(vq, r->desc[i], p->gpa, p->len,
			(p->writable ? VRING_DESC_F_WRITE : 0) |
			(last ? 0 : VRING_DESC_F_NEXT), next);
	}
	r->head = r->ndesc ? r->desc[0] : 0;
	if (!r->indirect)
		return 0;

	r->table_n = r->n - direct;
	if (req_alloc_table(r))
		return -1;
	for (i = 0; i < r->table_n; i++) {
		const struct gpiece *p = &r->piece[direct + i];
		bool last = i + 1 == r->table_n;

		r->table_is[i] = (struct vring_desc){
			.addr = p->gpa,
			.len = p->len,
			.flags = (p->writable ? VRING_DESC_F_WRITE : 0) |
				 (last ? 0 : VRING_DESC_F_NEXT),
			.next = last ? 0 : i + 1,
		};
	}
	guest_write(vq->g, r->table, r->table_is,
		    r->table_n * sizeof(*r->table_is));
	vq_desc(vq, r->desc[direct], r->table, r->table_n * sizeof(*r->table_is),
		VRING_DESC_F_INDIRECT | r->table_flags, 0);
	return 0;
}

void req_queue(struct greq *r)
{
	struct guest *g = r->vq->g;
	unsigned int i;

	for (i = 0; i < r->n; i++) {
		struct gpiece *p = &r->piece[i];

		if (!p->mapped || !p->len)
			continue;
		p->was = malloc(p->len);
		if (!p->was)
			abort();
		guest_read(g, p->gpa, p->was, p->len);
	}
	r->vq->inflight[r->head] = r;
	r->vq->n_inflight++;
	vq_push(r->vq, r->head);
}

int req_submit(struct greq *r)
{
	if (req_make(r))
		return -1;
	req_queue(r);
	vq_publish_kick(r->vq);
	return 0;
}

struct greq *req_raw(struct gvq *vq, uint16_t head)
{
	struct greq *r = req_new(vq, ~0u, 0);

	r->head = head;
	req_queue(r);
	return r;
}

static int piece_changed(struct greq *r, unsigned int i, size_t len)
{
	struct gpiece *p = &r->piece[i];
	struct guest *g = r->vq->g;
	uint8_t *now;
	size_t at;

	if (!p->was || !len)
		return 0;
	now = malloc(len);
	if (!now)
		abort();
	guest_read(g, p->gpa, now, len);
	for (at = 0; at < len && now[at] == p->was[at]; at++)
		;
	free(now);
	if (at == len)
		return 0;
	return guest_violation(g, "C: %s descriptor %u changed at byte %zu",
			       p->writable ? "writable" : "readable", i, at);
}

/* Canaries, readable buffers and tables; not what may be written. */
static int req_check_memory(struct greq *r)
{
	size_t table = r->table_n * sizeof(*r->table_is);
	struct guest *g = r->vq->g;
	unsigned int i;
	void *now;
	int bad = 0;

	for (i = 0; i < r->n; i++) {
		if (r->piece[i].owned)
			bad += guest_check_margins(g, r->piece[i].writable ?
						   "writable" : "readable",
						   r->piece[i].gpa,
						   r->piece[i].len);
		if (!r->piece[i].writable)
			bad += piece_changed(r, i, r->piece[i].len);
	}
	if (!r->indirect || !r->table_n)
		return bad;
	now = malloc(table);
	if (!now)
		abort();
	guest_read(g, r->table, now, table);
	if (memcmp(now, r->table_is, table))
		bad += guest_violation(g, "C: indirect table changed");
	free(now);
	return bad + guest_check_margins(g, "indirect table", r->table, table);
}

static int req_not_done(struct greq *r)
{
	if (r->done)
		return 0;
	return guest_violation(r->vq->g, "X: request %u not completed", r->head);
}

int req_check(struct greq *r, uint8_t status)
{
	struct guest *g = r->vq->g;
	uint32_t len = STATUS_BYTES;
	int bad = req_not_done(r);

	if (bad)
		return bad;
	if (r->status != status)
		bad += guest_violation(g, "status: %u instead of %u", r->status,
				       status);
	if (r->status == VIRTIO_BLK_S_OK &&
	    (r->hdr.type == VIRTIO_BLK_T_IN || r->hdr.type == VIRTIO_BLK_T_GET_ID))
		len = r->in_len;
	if (r->used_len != len)
		bad += guest_violation(g, "U: type %u, status %u: used.len is %u instead of %u",
				       r->hdr.type, r->status, r->used_len, len);
	return bad + req_check_memory(r);
}

int req_check_untouched(struct greq *r)
{
	unsigned int i, last = r->n;
	int bad = 0;

	/* The status is the last writable byte, not the last descriptor. */
	while (last && !(r->piece[last - 1].writable && r->piece[last - 1].len))
		last--;
	for (i = r->n_out; i < r->n; i++) {
		if (i + 1 == last)
			bad += piece_changed(r, i, r->piece[i].len - STATUS_BYTES);
		else if (r->piece[i].writable)
			bad += piece_changed(r, i, r->piece[i].len);
	}
	return bad;
}

int req_check_malformed(struct greq *r)
{
	unsigned int i;
	int bad = req_not_done(r);

	if (bad)
		return bad;
	if (r->used_len)
		bad += guest_violation(r->vq->g, "M: used.len is %u, not 0",
				       r->used_len);
	for (i = 0; i < r->n; i++)
		if (r->piece[i].writable)
			bad += piece_changed(r, i, r->piece[i].len);
	return bad + req_check_memory(r);
}

/* What is still in flight is left alone: the device may write to it. */
void req_free(struct greq *r)
{
	struct guest *g = r->vq->g;
	unsigned int i;

	if (r->vq->inflight[r->head] == r)
		return;
	for (i = 0; i < r->n; i++) {
		struct gpiece *p = &r->piece[i];

		if (p->owned)
			guest_free_range(g, p->gpa, p->len);
		else if (p->mapped)
			guest_unclaim(g, p->gpa, p->len);
		free(p->was);
	}
	if (r->table)
		guest_free_range(g, r->table, r->table_n * sizeof(*r->table_is));
	for (i = 0; i < r->ndesc; i++)
		vq_desc_put(r->vq, r->desc[i]);
	free(r->table_is);
	free(r->desc);
	free(r->piece);
	free(r);
}

int guest_io(struct gvq *vq, uint32_t type, uint64_t sector, void *data,
	     size_t len, const char *layout)
{
	bool out = type == VIRTIO_BLK_T_OUT;
	struct greq *r = req_new(vq, type, sector);
	char frame[4096], whole[32];
	int ret;

	if (!layout) {
		snprintf(whole, sizeof(whole), "%zu", len);
		layout = len ? whole : "";
	}
	ret = snprintf(frame, sizeof(frame), out ? "16 %s / 1" : "16 / %s 1",
		       layout);
	if (ret >= (int)sizeof(frame))
		abort();
	/* A frame of many pieces goes where descriptors are plenty. */
	ret = req_frame(r, frame);
	r->indirect = (vq->g->features & G_INDIRECT) &&
		      (r->n > 8 || r->n > vq->num);
	if (!ret && out)
		req_put_data(r, data, len);
	if (ret || req_submit(r)) {
		req_free(r);
		return -ENOMEM;
	}
	if (!req_wait(r, G_WAIT_MS))
		return -ETIMEDOUT;
	ret = req_check(r, r->status) ? -EPROTO : r->status;
	if (!ret && !out && data)
		req_get_data(r, data, len);
	if (ret > 0 && req_check_untouched(r))
		ret = -EPROTO;
	req_free(r);
	return ret;
}

int guest_io_in(struct gvq *vq, uint64_t sector, void *data, size_t len,
		const char *layout)
{
	return guest_io(vq, VIRTIO_BLK_T_IN, sector, data, len, layout);
}

int guest_io_out(struct gvq *vq, uint64_t sector, const void *data, size_t len,
		 const char *layout)
{
	return guest_io(vq, VIRTIO_BLK_T_OUT, sector, (void *)(uintptr_t)data,
			len, layout);
}

int guest_flush(struct gvq *vq)
{
	return guest_io(vq, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, NULL);
}
