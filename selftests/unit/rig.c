// SPDX-License-Identifier: GPL-2.0-only
#include "rig.h"

#include <stdio.h>

static void *need(void *p)
{
	if (!p) {
		perror("rig");
		exit(1);
	}
	return p;
}

static void place(struct rig_mem *m, unsigned int i, u64 gpa, u64 len, u8 *hva)
{
	m->region[i].guest_phys_addr = gpa;
	m->region[i].memory_size = len;
	m->region[i].userspace_addr = (uintptr_t)hva;
}

struct rig_mem *rig_mem_new(void)
{
	static const struct {
		u64 gpa, len, buf, off;
	} regions[RIG_REGIONS] = {
		[RIG_LOW] = { 0, 0x10000, 0x10000, 0 },
		[RIG_NEXT] = { 0x10000, 0x4000, 0x8000, 0 },
		[RIG_TOUCH] = { 0x14000, 0x4000, 0, 0 },
		[RIG_ODD] = { 0x19000, 0x7000, 0x7001, 1 },
		[RIG_BIG] = { 1ULL << 32, 6 << 20, 6 << 20, 0 },
		[RIG_TOP] = { -0x10000ULL, 0x10000, 0x10000, 0 },
	};
	struct rig_mem *m = need(calloc(1, sizeof(*m)));
	unsigned int i;
	u8 *hva = NULL;

	for (i = 0; i < RIG_REGIONS; i++) {
		if (regions[i].buf) {
			if (posix_memalign(&m->buf[i], PAGE_SIZE,
					   regions[i].buf))
				need(NULL);
			if (i != RIG_BIG)
				memset(m->buf[i], 0, regions[i].buf);
			hva = (u8 *)m->buf[i] + regions[i].off;
		} else {
			hva += regions[i - 1].len;
		}
		place(m, i, regions[i].gpa, regions[i].len, hva);
	}
	m->mem = vhost_blk_mem_create(m->region, RIG_REGIONS);
	if (IS_ERR(m->mem)) {
		fprintf(stderr, "rig: memory table refused\n");
		exit(1);
	}
	m->view.mem = m->mem;
	return m;
}

void rig_mem_cache(struct rig_mem *m)
{
	if (vhost_blk_tlb_create(&m->tlb, VHOST_BLK_TLB_MIN, &m->changes))
		need(NULL);
	m->view.tlb = &m->tlb;
}

void rig_mem_shake(struct rig_mem *m, struct rng *rng)
{
	struct vhost_blk_tlb_entry *entry;

	if (!m->tlb.entry)
		return;
	if (m->changing ? rng_once(rng, 4) : rng_once(rng, 32)) {
		(m->changing ? change_ends : change_begins)(&m->changes, true);
		m->changing = !m->changing;
	}
	entry = &m->tlb.entry[rng_below(rng, BIT(m->tlb.bits))];
	if (entry->users)
		vhost_blk_tlb_put(&m->tlb, entry, false);
	else if (entry->key)
		entry->users = 1;
}

static void delete_tlb(struct vhost_blk_tlb *tlb)
{
	unsigned int i;

	if (!tlb->entry)
		return;
	for (i = 0; i < BIT(tlb->bits); i++)
		if (tlb->entry[i].users)
			vhost_blk_tlb_put(tlb, &tlb->entry[i], false);
	vhost_blk_tlb_destroy(tlb);
}

void rig_mem_delete(struct rig_mem *m)
{
	unsigned int i;

	delete_tlb(&m->tlb);
	if (unit_pinned) {
		fprintf(stderr, "rig: %ld pages stay pinned\n", unit_pinned);
		exit(1);
	}
	vhost_blk_mem_free(m->mem);
	for (i = 0; i < RIG_REGIONS; i++)
		free(m->buf[i]);
	free(m);
}

u8 *rig_at(const struct rig_mem *m, u64 gpa)
{
	unsigned int i;

	for (i = 0; i < RIG_REGIONS; i++) {
		const struct vhost_memory_region *r = &m->region[i];

		if (gpa >= r->guest_phys_addr &&
		    gpa - r->guest_phys_addr < r->memory_size)
			return (u8 *)(uintptr_t)(r->userspace_addr +
						 (gpa - r->guest_phys_addr));
	}
	return NULL;
}

void rig_write(const struct rig_mem *m, u64 gpa, const void *src, size_t len)
{
	const u8 *byte = src;

	for (; len; len--, gpa++, byte++) {
		u8 *p = rig_at(m, gpa);

		if (p)
			*p = *byte;
	}
}

struct rig *rig_new(struct rig_mem *mem, unsigned int num, bool little_endian,
		    bool event_idx, bool indirect)
{
	struct rig *rig = need(calloc(1, sizeof(*rig)));

	rig->mem = mem;
	rig->num = num;
	rig->le = little_endian;
	rig->desc = need(calloc(1, vhost_blk_ring_desc_size(num)));
	rig->avail = need(calloc(1, vhost_blk_ring_avail_size(num)));
	rig->used = need(calloc(1, vhost_blk_ring_used_size(num)));
	rig->chain = need(calloc(1, sizeof(*rig->chain)));
	rig->ring.desc = rig->desc;
	rig->ring.avail = rig->avail;
	rig->ring.used = rig->used;
	rig->ring.view = &mem->view;
	rig->ring.num = num;
	rig->ring.little_endian = little_endian;
	rig->ring.event_idx = event_idx;
	rig->ring.indirect = indirect;
	return rig;
}

void rig_delete(struct rig *rig)
{
	free(rig->desc);
	free(rig->avail);
	free(rig->used);
	free(rig->chain);
	free(rig);
}

int rig_start(struct rig *rig, u16 base)
{
	rig->avail_idx = base;
	rig_set_idx(rig, base);
	rig_set_used_idx(rig, base);
	return vhost_blk_ring_start(&rig->ring, base);
}

__virtio16 rig_16(const struct rig *rig, u16 val)
{
	return __cpu_to_virtio16(rig->le, val);
}

struct vring_desc rig_encode(const struct rig *rig, u64 addr, u32 len,
			     u16 flags, u16 next)
{
	return (struct vring_desc){
		.addr = __cpu_to_virtio64(rig->le, addr),
		.len = __cpu_to_virtio32(rig->le, len),
		.flags = __cpu_to_virtio16(rig->le, flags),
		.next = __cpu_to_virtio16(rig->le, next),
	};
}

void rig_desc(struct rig *rig, unsigned int i, u64 addr, u32 len, u16 flags,
	      u16 next)
{
	rig->desc[i] = rig_encode(rig, addr, len, flags, next);
}

void rig_entry(struct rig *rig, u64 table, unsigned int i, u64 addr, u32 len,
	       u16 flags, u16 next)
{
	struct vring_desc desc = rig_encode(rig, addr, len, flags, next);

	rig_write(rig->mem, table + i * sizeof(desc), &desc, sizeof(desc));
}

void rig_avail(struct rig *rig, u16 head)
{
	rig->avail->ring[rig->avail_idx++ % rig->num] = rig_16(rig, head);
}

void rig_show(struct rig *rig)
{
	rig_set_idx(rig, rig->avail_idx);
}

void rig_set_idx(struct rig *rig, u16 idx)
{
	rig->avail->idx = rig_16(rig, idx);
}

void rig_set_flags(struct rig *rig, u16 flags)
{
	rig->avail->flags = rig_16(rig, flags);
}

void rig_set_used_event(struct rig *rig, u16 event)
{
	rig->avail->ring[rig->num] = rig_16(rig, event);
}

void rig_set_used_idx(struct rig *rig, u16 idx)
{
	rig->used->idx = rig_16(rig, idx);
}

u16 rig_used_idx(const struct rig *rig)
{
	return __virtio16_to_cpu(rig->le, rig->used->idx);
}

u16 rig_used_flags(const struct rig *rig)
{
	return __virtio16_to_cpu(rig->le, rig->used->flags);
}

u16 rig_avail_event(const struct rig *rig)
{
	__virtio16 val;

	memcpy(&val, &rig->used->ring[rig->num], sizeof(val));
	return __virtio16_to_cpu(rig->le, val);
}

u32 rig_used_id(const struct rig *rig, unsigned int slot)
{
	return __virtio32_to_cpu(rig->le, rig->used->ring[slot].id);
}

u32 rig_used_len(const struct rig *rig, unsigned int slot)
{
	return __virtio32_to_cpu(rig->le, rig->used->ring[slot].len);
}

/* splitmix64 */
u64 rng_next(struct rng *rng)
{
	u64 z = rng->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}
