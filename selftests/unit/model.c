// SPDX-License-Identifier: GPL-2.0-only
#include "model.h"

typedef unsigned __int128 u128;

/* An unsigned number of @n bytes. */
static u64 number(const void *p, unsigned int n, bool le)
{
	const u8 *byte = p;
	u64 val = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		val = val << 8 | byte[le ? n - 1 - i : i];
	return val;
}

/* 0 where the guest has no memory; addresses beyond 64 bits are none. */
static u64 translate(const struct vhost_memory_region *region, unsigned int nr,
		     u128 gpa, u64 *left)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		u128 first = region[i].guest_phys_addr;
		u128 end = first + region[i].memory_size;

		if (gpa < first || gpa >= end)
			continue;
		if (left)
			*left = end - gpa;
		return region[i].userspace_addr + (u64)(gpa - first);
	}
	return 0;
}

static bool copy(const struct vhost_memory_region *region, unsigned int nr,
		 u128 gpa, u64 len, u8 *dst)
{
	for (; len; len--, gpa++, dst++) {
		u64 hva = translate(region, nr, gpa, NULL);

		if (!hva)
			return false;
		*dst = *(const u8 *)(uintptr_t)hva;
	}
	return true;
}

/* 2.7.5: the descriptors of one chain, in order, that have any bytes. */
static bool collect(const struct model_ring *m, struct model_chain *chain)
{
	const struct rig_mem *mem = m->rig->mem;
	static u8 indirect[16 * VHOST_BLK_MAX_DESC];
	const u8 *table = (const u8 *)m->rig->desc;
	bool visited[VHOST_BLK_MAX_DESC] = { false };
	bool le = m->rig->le, writable = false;
	unsigned int num = m->rig->num, i = chain->id;

	chain->n = 0;
	for (;;) {
		struct model_piece *p = &chain->piece[chain->n];
		const u8 *desc = table + 16 * i;
		unsigned int flags;
		u64 addr, len;

		if (i >= num || visited[i])
			return false;
		visited[i] = true;
		addr = number(desc, 8, le);
		len = number(desc + 8, 4, le);
		flags = number(desc + 12, 2, le);
		i = number(desc + 14, 2, le);

		/* 2.7.5.3: an indirect table, only from the ring's own. */
		if (flags & 4) {
			if (!m->indirect || table == indirect)
				return false;
			/* Choice: refused, 2.7.5.3.1 forbids it the driver. */
			if (flags & 1)
				return false;
			/* Choice: as many entries as the largest ring has. */
			if (!len || len % 16 || len > sizeof(indirect))
				return false;
			if (!copy(mem->region, RIG_REGIONS, addr, len,
				  indirect))
				return false;
			table = indirect;
			num = len / 16;
			memset(visited, 0, sizeof(visited));
			i = 0;
			continue;
		}

		/* Choice: as if descriptors of length 0 were not there. */
		if (len) {
			if (chain->n == VHOST_BLK_MAX_DESC)
				return false;
			p->gpa = addr;
			p->len = len;
			p->writable = flags & 2;
			/* 2.7.4.2: device-readable elements come first. */
			if (writable && !p->writable)
				return false;
			writable = p->writable;
			chain->n++;
		}
		if (!(flags & 1))
			return true;
	}
}

int model_fetch(struct model_ring *m)
{
	const u8 *avail = (const u8 *)m->rig->avail;
	unsigned int idx = m->seen_avail, n;

	/* Choice: no look for more before these have been taken. */
	if (m->next_avail == m->seen_avail)
		idx = number(avail + 2, 2, m->rig->le);
	n = (0x10000 + idx - m->next_avail) % 0x10000;
	/* 2.7.13.3: at most as many as there are entries. */
	if (n > m->rig->num)
		return -1;
	m->seen_avail = idx;
	return n;
}

enum model_verdict model_pop(struct model_ring *m, struct model_chain *chain)
{
	const u8 *avail = (const u8 *)m->rig->avail;
	unsigned int num = m->rig->num, head;
	int n = model_fetch(m);

	if (n <= 0)
		return n ? MODEL_DAMAGED : MODEL_EMPTY;
	head = number(avail + 4 + 2 * (m->next_avail % num), 2, m->rig->le);
	if (head >= num)
		return MODEL_DAMAGED;
	m->next_avail++;
	chain->id = head;
	return collect(m, chain) ? MODEL_GOOD : MODEL_MALFORMED;
}

/* Choice: a descriptor that wraps around the address space is bad as a whole. */
static bool wraps(const struct model_piece *p)
{
	return (u128)p->gpa + p->len > (u128)1 << 64;
}

static bool add_run(struct model_request *req, u64 hva, u64 len)
{
	if (req->n) {
		struct model_run *last = &req->run[req->n - 1];

		if (last->hva + last->len == hva) {
			last->len += len;
			return true;
		}
	}
	/* Choice: no more runs than that. */
	if (req->n == VHOST_BLK_MAX_SPANS)
		return false;
	req->run[req->n].hva = hva;
	req->run[req->n].len = len;
	req->n++;
	return true;
}

/* The bytes from @skip on of one side of the chain, all of them. */
static bool find_data(const struct vhost_memory_region *region, unsigned int nr,
		      const struct model_chain *chain, bool writable, u64 skip,
		      struct model_request *req)
{
	u64 want = req->data_len;
	unsigned int i;

	for (i = 0; i < chain->n && want; i++) {
		const struct model_piece *p = &chain->piece[i];
		u64 at, left, n;

		if (p->writable != writable)
			continue;
		if (skip >= p->len) {
			skip -= p->len;
			continue;
		}
		if (wraps(p))
			return false;
		for (at = skip; at < p->len && want; at += n, want -= n) {
			u64 hva =
				translate(region, nr, (u128)p->gpa + at, &left);

			n = min(want, p->len - at);
			n = min(n, left);
			if (!hva || !add_run(req, hva, n))
				return false;
		}
		skip = 0;
	}
	return true;
}

/* 5.2.6: 16 bytes of header, data, one byte of status. */
enum model_verdict model_parse(const struct vhost_memory_region *region,
			       unsigned int nr, bool le,
			       const struct model_chain *chain,
			       struct model_request *req)
{
	const struct model_piece *last;
	u64 out = 0, in = 0, skip;
	unsigned int i, got = 0;
	u8 header[16];

	if (!chain->n)
		return MODEL_MALFORMED;
	last = &chain->piece[chain->n - 1];
	if (!last->writable)
		return MODEL_MALFORMED;
	req->status =
		translate(region, nr, (u128)last->gpa + last->len - 1, NULL);
	if (!req->status)
		return MODEL_MALFORMED;

	for (i = 0; i < chain->n; i++)
		*(chain->piece[i].writable ? &in : &out) += chain->piece[i].len;
	if (out < sizeof(header))
		return MODEL_INVALID;
	for (i = 0; got < sizeof(header); i++) {
		const struct model_piece *p = &chain->piece[i];
		u64 n = min(p->len, (u64)(sizeof(header) - got));

		if (wraps(p) || !copy(region, nr, p->gpa, n, header + got))
			return MODEL_UNREACHABLE;
		got += n;
	}
	req->type = number(header, 4, le);
	req->sector = number(header + 8, 8, le);
	req->n = 0;

	switch (req->type) {
	case 0: /* IN */
	case 8: /* GET_ID */
		req->data_len = in - 1;
		skip = 0;
		break;
	case 1: /* OUT */
		req->data_len = out - 16;
		skip = 16;
		break;
	default:
		req->data_len = 0;
		skip = 0;
		break;
	}
	/* Choice: no more than that in one request. */
	if (req->data_len > 4 << 20)
		return MODEL_INVALID;
	if (!find_data(region, nr, chain, req->type != 1, skip, req))
		return MODEL_UNREACHABLE;
	return MODEL_GOOD;
}

enum model_verdict model_check_rw(const struct model_request *req,
				  const struct vhost_blk_limits *limits)
{
	u128 first = (u128)req->sector * 512;
	u128 end = first + req->data_len;
	u128 block = (u128)limits->block_mask + 1;

	if (!req->data_len || req->data_len % 512)
		return MODEL_MISALIGNED;
	if (first % block || end % block)
		return MODEL_MISALIGNED;
	if (end > (u128)limits->capacity * 512)
		return MODEL_BEYOND;
	if (req->type == 1 && limits->read_only)
		return MODEL_PROTECTED;
	return MODEL_GOOD;
}

/*
 * A driver gets the data as pieces of pages. Each must be whole blocks and start
 * where the device can start.
 */
enum model_bounce model_bounce(const struct model_request *req,
			       const struct vhost_blk_limits *limits,
			       unsigned int *pages)
{
	enum model_bounce verdict = MODEL_NEVER;
	unsigned int i;

	*pages = 0;
	for (i = 0; i < req->n; i++) {
		u64 at = req->run[i].hva;
		u64 end = at + req->run[i].len;

		while (at < end) {
			u64 next = min((at / 4096 + 1) * 4096, end);
			u64 n = next - at;

			if (at & limits->block_mask || n & limits->block_mask ||
			    at & limits->dma_mask)
				verdict = MODEL_MUST;
			/* Choice: lengths are held to the same mask. */
			else if (n & limits->dma_mask && verdict == MODEL_NEVER)
				verdict = MODEL_MAY;
			++*pages;
			at = next;
		}
	}
	return verdict;
}

/* 2.7.7: one flag for all, or the index of one entry. */
bool model_wants_call(const struct model_ring *m)
{
	const u8 *avail = (const u8 *)m->rig->avail;
	u16 event = number(avail + 4 + 2 * m->rig->num, 2, m->rig->le);
	u16 idx;

	if (!m->event_idx)
		return !(number(avail, 2, m->rig->le) & 1);
	for (idx = m->called; idx != m->shown_used; idx++)
		if (idx == event)
			return true;
	return false;
}
