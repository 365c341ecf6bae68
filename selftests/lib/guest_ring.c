// SPDX-License-Identifier: GPL-2.0-only
/* The driver's side of a split virtqueue. */
#define _GNU_SOURCE
#include "guest.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define load(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)

static bool vq_event_idx(const struct gvq *vq)
{
	return vq->g->features & G_EVENT_IDX;
}

void vq_reset(struct gvq *vq, uint16_t base)
{
	struct vring_avail *avail = vq->avail_is;
	struct vring_used *used = vq->used_is;
	unsigned int i;

	memset(vq->desc, 0, vq->num * sizeof(*vq->desc));
	memset(vq->desc_is, 0, vq->num * sizeof(*vq->desc));
	memset(avail, 0, sizeof(uint16_t) * (3 + vq->num));
	memset(used, 0, sizeof(uint16_t) * 3 +
			sizeof(struct vring_used_elem) * vq->num);
	memset(vq->desc_busy, 0, vq->num);
	for (i = 0; i < vq->num; i++) {
		avail->ring[i] = 0xdead;
		used->ring[i].id = 0xdeadbeef;
		used->ring[i].len = 0xdeadbeef;
	}
	avail->idx = base;
	used->idx = base;
	avail->ring[vq->num] = base;	/* used_event: signal the next one */
	memcpy(vq->avail, avail, sizeof(uint16_t) * (3 + vq->num));
	memcpy(vq->used, used, sizeof(uint16_t) * 3 +
			       sizeof(struct vring_used_elem) * vq->num);
	memset(vq->inflight, 0, vq->num * sizeof(*vq->inflight));
	vq->n_inflight = 0;
	vq->avail_idx = base;
	vq->published = base;
	vq->last_used = base;
}

void vq_desc(struct gvq *vq, unsigned int i, uint64_t addr, uint32_t len,
	     uint16_t flags, uint16_t next)
{
	struct vring_desc d = {
		.addr = addr, .len = len, .flags = flags, .next = next
	};

	vq->desc[i] = d;
	((struct vring_desc *)vq->desc_is)[i] = d;
}

int vq_desc_get(struct gvq *vq)
{
	unsigned int i, at;

	for (i = 0; i < vq->num; i++) {
		/* 7 is odd and num a power of two: all are visited, scattered */
		at = (vq->desc_rover + i * 7) % vq->num;
		if (!vq->desc_busy[at]) {
			vq->desc_busy[at] = 1;
			vq->desc_rover = at + 7;
			return at;
		}
	}
	return -1;
}

void vq_desc_put(struct gvq *vq, unsigned int i)
{
	vq->desc_busy[i] = 0;
}

void vq_push(struct gvq *vq, uint16_t head)
{
	struct vring_avail *avail = vq->avail_is;
	unsigned int slot = vq->avail_idx % vq->num;

	avail->ring[slot] = head;
	vq->avail->ring[slot] = head;
	vq->avail_idx++;
}

void vq_set_avail_idx(struct gvq *vq, uint16_t idx)
{
	((struct vring_avail *)vq->avail_is)->idx = idx;
	store(&vq->avail->idx, idx);
}

void vq_publish(struct gvq *vq)
{
	vq_set_avail_idx(vq, vq->avail_idx);
	vq->published = vq->avail_idx;
}

void vq_set_avail_flags(struct gvq *vq, uint16_t flags)
{
	((struct vring_avail *)vq->avail_is)->flags = flags;
	store(&vq->avail->flags, flags);
}

void vq_set_used_event(struct gvq *vq, uint16_t event)
{
	((struct vring_avail *)vq->avail_is)->ring[vq->num] = event;
	store(&vq->avail->ring[vq->num], event);
}

uint16_t vq_used_idx(const struct gvq *vq)
{
	return load(&vq->used->idx);
}

/* The 16 bits after the used ring. */
uint16_t vq_avail_event(const struct gvq *vq)
{
	const uint16_t *event = (const uint16_t *)&vq->used->ring[vq->num];

	return load(event);
}

uint16_t vq_used_flags(const struct gvq *vq)
{
	return load(&vq->used->flags);
}

/* After the index went from @old to vq->published. */
bool vq_wants_kick(struct gvq *vq, uint16_t old)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (vq_event_idx(vq))
		return vring_need_event(vq_avail_event(vq), vq->published, old);
	return !(vq_used_flags(vq) & VRING_USED_F_NO_NOTIFY);
}

void vq_kick(struct gvq *vq)
{
	uint64_t one = 1;
	ssize_t n = write(vq->kick, &one, sizeof(one));

	(void)n;
}

void vq_publish_kick(struct gvq *vq)
{
	uint16_t old = vq->published;

	vq_publish(vq);
	if (vq_wants_kick(vq, old))
		vq_kick(vq);
}

static int vq_take(struct gvq *vq)
{
	unsigned int slot = vq->last_used % vq->num;
	const struct vring_used_elem e = vq->used->ring[slot];
	struct guest *g = vq->g;
	struct greq *r;

	((struct vring_used *)vq->used_is)->ring[slot] = e;
	vq->last_used++;
	vq->completed++;
	if (e.id >= vq->num)
		return guest_violation(g, "X: queue %u: used entry for head %u",
				       vq->index, e.id);
	r = vq->inflight[e.id];
	if (!r)
		return guest_violation(g, "X: queue %u: head %u used, was not in flight",
				       vq->index, e.id);
	vq->inflight[e.id] = NULL;
	vq->n_inflight--;
	r->used_len = e.len;
	if (r->in_len)
		req_in_read(r, r->in_len - 1, &r->status, 1);
	r->done = true;
	return 0;
}

int vq_reap(struct gvq *vq)
{
	uint16_t idx = vq_used_idx(vq);
	uint16_t fresh = idx - vq->last_used;
	unsigned int i;
	int bad = 0;

	if (fresh > vq->n_inflight) {
		guest_violation(vq->g, "X: queue %u: %u used entries, %u in flight",
				vq->index, fresh, vq->n_inflight);
		return -1;
	}
	for (i = 0; i < fresh; i++)
		bad += vq_take(vq);
	((struct vring_used *)vq->used_is)->idx = vq->last_used;
	return bad ? -1 : (int)fresh;
}

/*
 * Waits for @done without believing the call eventfd, which tests may have
 * switched off: looks at memory, a millisecond apart at most, sooner if a call
 * arrives. The eventfd's value is left alone.
 */
static bool vq_wait(struct gvq *vq, bool (*done)(struct gvq *vq, void *arg),
		    void *arg, int ms)
{
	struct pollfd p = { .fd = vq->call, .events = POLLIN };
	int64_t end = now_ms() + scaled_ms(ms);
	unsigned int spins = 0;

	for (;;) {
		if (done(vq, arg))
			return true;
		if (now_ms() > end)
			return done(vq, arg);
		if (spins++ < 20 || poll(&p, 1, 1) > 0)
			sched_yield();
	}
}

static bool used_reached(struct gvq *vq, void *arg)
{
	return vq_used_idx(vq) == *(uint16_t *)arg;
}

bool vq_wait_used(struct gvq *vq, uint16_t idx, int ms)
{
	return vq_wait(vq, used_reached, &idx, ms);
}

static bool is_idle(struct gvq *vq, void *arg)
{
	(void)arg;
	return vq_reap(vq) < 0 || !vq->n_inflight;
}

bool vq_wait_idle(struct gvq *vq, int ms)
{
	return vq_wait(vq, is_idle, NULL, ms) && !vq->n_inflight;
}

static bool is_armed(struct gvq *vq, void *arg)
{
	(void)arg;
	if (vq_event_idx(vq))
		return vq_avail_event(vq) == vq->published;
	return !(vq_used_flags(vq) & VRING_USED_F_NO_NOTIFY);
}

bool vq_wait_armed(struct gvq *vq, int ms)
{
	return vq_wait(vq, is_armed, NULL, ms);
}

static bool is_done(struct gvq *vq, void *arg)
{
	struct greq *r = arg;

	return vq_reap(vq) < 0 || r->done;
}

bool req_wait(struct greq *r, int ms)
{
	return vq_wait(r->vq, is_done, r, ms) && r->done;
}

static int vq_check_part(struct gvq *vq, const char *what, const void *is,
			 const void *should, size_t len)
{
	const uint8_t *a = is, *b = should;
	size_t i;

	for (i = 0; i < len; i++)
		if (a[i] != b[i])
			return guest_violation(vq->g,
				"C: queue %u: %s: byte %zu is %#x, was %#x",
				vq->index, what, i, a[i], b[i]);
	return 0;
}

int vq_check(struct gvq *vq)
{
	size_t desc = vq->num * sizeof(struct vring_desc);
	size_t avail = sizeof(uint16_t) * (3 + vq->num);
	size_t used = sizeof(struct vring_used_elem) * vq->num;
	const struct vring_used *used_is = vq->used_is;
	uint16_t flags = vq_used_flags(vq);
	int bad = 0;

	bad += vq_check_part(vq, "descriptor table", vq->desc, vq->desc_is, desc);
	bad += vq_check_part(vq, "available ring", vq->avail, vq->avail_is, avail);
	if (flags & ~VRING_USED_F_NO_NOTIFY)
		bad += guest_violation(vq->g, "C: queue %u: used.flags is %#x",
				       vq->index, flags);
	/* While requests are in flight slots may be written, the index not yet. */
	if (!vq->n_inflight)
		bad += vq_check_part(vq, "used ring", vq->used->ring,
				     used_is->ring, used);
	if (!vq->n_inflight && vq_used_idx(vq) != vq->last_used)
		bad += guest_violation(vq->g, "X: queue %u: used.idx is %u, %u reaped",
				       vq->index, vq_used_idx(vq), vq->last_used);
	if (vq->avail_gpa == vq->desc_gpa + desc) {	/* all in one page */
		size_t all = vq->used_gpa - vq->desc_gpa + 6 + used;

		return bad + guest_check_margins(vq->g, "rings", vq->desc_gpa, all);
	}
	bad += guest_check_margins(vq->g, "descriptor table", vq->desc_gpa, desc);
	bad += guest_check_margins(vq->g, "available ring", vq->avail_gpa, avail);
	bad += guest_check_margins(vq->g, "used ring", vq->used_gpa, 6 + used);
	return bad;
}

uint64_t event_wait(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t value = 0;

	if (poll(&p, 1, scaled_ms(ms)) <= 0 ||
	    read(fd, &value, sizeof(value)) != sizeof(value))
		return 0;
	return value;
}
