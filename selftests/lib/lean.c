// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "lean.h"

#include <linux/virtio_blk.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t lean_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int lean_slot_init(struct lean *l, unsigned int i, uint32_t type)
{
	struct lean_slot *s = &l->slots[i];
	unsigned int at = i * LEAN_DESCS;
	struct guest *g = l->vq->g;
	uint64_t hdr, data, status;

	if (guest_alloc(g, G_BULK, sizeof(*s->hdr), -1, 16, &hdr) ||
	    guest_alloc(g, G_BULK, LEAN_BYTES, -1, LEAN_BYTES, &data) ||
	    guest_alloc(g, G_BULK, 1, -1, 1, &status))
		return -1;
	s->hdr = (void *)guest_hva(g, hdr);
	s->status = guest_hva(g, status);
	*s->hdr = (struct virtio_blk_outhdr){ .type = type };
	vq_desc(l->vq, at, hdr, sizeof(*s->hdr), VRING_DESC_F_NEXT, at + 1);
	vq_desc(l->vq, at + 1, data, LEAN_BYTES,
		VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, at + 2);
	vq_desc(l->vq, at + 2, status, 1, VRING_DESC_F_WRITE, 0);
	memset(l->vq->desc_busy + at, 1, LEAN_DESCS);
	l->spare[l->nr_spare++] = i;
	return 0;
}

int lean_init(struct lean *l, struct gvq *vq, unsigned int depth, uint32_t type,
	      uint64_t sectors)
{
	unsigned int i;

	*l = (struct lean){
		.vq = vq, .depth = depth, .sectors = sectors,
		.random = 0x9e3779b97f4a7c15 + vq->index,
		.good = type == VIRTIO_BLK_T_IN ? VIRTIO_BLK_S_OK :
						  VIRTIO_BLK_S_UNSUPP,
	};
	if (!depth || depth * LEAN_DESCS > vq->num)
		return -1;
	l->slots = calloc(depth, sizeof(*l->slots));
	l->spare = calloc(depth, sizeof(*l->spare));
	if (!l->slots || !l->spare)
		return -1;
	for (i = 0; i < depth; i++)
		if (lean_slot_init(l, i, type))
			return -1;
	return 0;
}

void lean_free(struct lean *l)
{
	free(l->slots);
	free(l->spare);
}

static uint64_t lean_sector(struct lean *l)
{
	const unsigned int sectors = LEAN_BYTES / G_SECTOR;

	l->random ^= l->random << 13;
	l->random ^= l->random >> 7;
	l->random ^= l->random << 17;
	return l->random % (l->sectors / sectors) * sectors;
}

void lean_push(struct lean *l, uint64_t since)
{
	unsigned int i = l->spare[--l->nr_spare];
	struct lean_slot *s = &l->slots[i];

	s->since = since;
	s->hdr->sector = lean_sector(l);
	*s->status = G_NO_STATUS;
	vq_push(l->vq, i * LEAN_DESCS);
}

void lean_publish(struct lean *l)
{
	uint16_t old = l->vq->published;

	if (old == l->vq->avail_idx)
		return;
	vq_publish(l->vq);
	if (!vq_wants_kick(l->vq, old))
		return;
	vq_kick(l->vq);
	l->kicks++;
}

/* Exactly once, and with the right status. */
static int lean_end(struct lean *l, uint32_t head, uint64_t now)
{
	unsigned int i = head / LEAN_DESCS;
	struct lean_slot *s;

	if (head % LEAN_DESCS || i >= l->depth || !l->slots[i].since) {
		printf("# head %u was used and is not under way\n", head);
		return -1;
	}
	s = &l->slots[i];
	if (*s->status != l->good) {
		printf("# status %u instead of %u\n", *s->status, l->good);
		return -1;
	}
	if (l->ended)
		l->ended(now > s->since ? now - s->since : 0);
	s->since = 0;
	l->spare[l->nr_spare++] = i;
	l->chains++;
	return 0;
}

int lean_reap(struct lean *l)
{
	struct vring_used *used_is = l->vq->used_is;
	uint16_t used = vq_used_idx(l->vq);
	struct gvq *vq = l->vq;
	unsigned int at;
	uint64_t now;
	int n;

	if (used == vq->last_used)
		return 0;
	now = l->ended ? lean_now() : 0;
	for (n = 0; vq->last_used != used; n++) {
		at = vq->last_used++ % vq->num;
		used_is->ring[at] = vq->used->ring[at];
		if (lean_end(l, used_is->ring[at].id, now))
			return -1;
	}
	used_is->idx = used;
	return n;
}

/* An index that has been passed comes again after 65535 others. */
void lean_want_no_interrupt(struct lean *l)
{
	vq_set_used_event(l->vq, l->vq->last_used - 1);
}

bool lean_drain(struct lean *l, int ms)
{
	int64_t end = now_ms() + scaled_ms(ms);

	while (l->nr_spare < l->depth) {
		if (lean_reap(l) < 0 || now_ms() > end)
			return false;
		sched_yield();
	}
	return true;
}
