/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Split virtqueues (virtio 1.2, section 2.7), device side. Algorithm only:
 * no allocation, no lock, no device, no thread. One at a time uses a ring.
 */
#ifndef VHOST_BLK_RING_H
#define VHOST_BLK_RING_H

#include "core_internal.h"

struct vhost_blk_view;

/**
 * struct vhost_blk_seg - the buffer of one descriptor
 * @gpa: guest physical address, as the guest gave it: not yet validated
 * @len: bytes, not 0
 *
 * Of 12 bytes, not 16: a queue has room for 1024 of them.
 */
struct vhost_blk_seg {
	u64 gpa;
	u32 len;
} __packed __aligned(4);

/**
 * struct vhost_blk_chain - private copy of one descriptor chain
 * @id: index of its first descriptor, below the ring's size
 * @nr_out: device-readable segments; they come first in @seg
 * @nr_in: device-writable segments; they follow
 * @out_len: sum of the readable lengths
 * @in_len: sum of the writable lengths
 * @seg: the segments in order; empty descriptors are left out
 * @table: private copy of the chain's indirect table; last, as others use the
 *         room when the chain has been taken (union vhost_blk_scratch)
 */
struct vhost_blk_chain {
	u16 id;
	unsigned int nr_out;
	unsigned int nr_in;
	u64 out_len;
	u64 in_len;
	struct vhost_blk_seg seg[VHOST_BLK_MAX_DESC];
	struct vring_desc table[VHOST_BLK_MAX_DESC];
};

/**
 * struct vhost_blk_ring - a split virtqueue seen from the device
 * @desc: descriptor table, guest-shared
 * @avail: driver area, guest-shared
 * @used: device area, guest-shared
 * @view: what indirect tables are read through
 * @num: entries, a power of two
 * @little_endian: byte order of all ring fields
 * @event_idx: VIRTIO_RING_F_EVENT_IDX was negotiated
 * @indirect: VIRTIO_RING_F_INDIRECT_DESC was negotiated
 * @last_avail: index of the next available entry to take
 * @avail_idx: last validated copy of the driver's index
 * @used_next: index of the next used entry to write
 * @used_idx: index the driver has been shown
 * @call_idx: index up to which an interrupt was sent or not wanted
 * @kicks_off: the driver has been told not to kick
 * @damage: a word for what is wrong with the ring, "none" if nothing is; others
 *          may read it
 * @damage_index: index of the available entry where that was found
 *
 * Everything the guest shares is read once, by READ_ONCE(), into the private
 * members or the caller's chain.
 */
struct vhost_blk_ring {
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vhost_blk_view *view;
	u32 num;
	bool little_endian;
	bool event_idx;
	bool indirect;

	u16 last_avail;
	u16 avail_idx;
	u16 used_next;
	u16 used_idx;
	u16 call_idx;
	bool kicks_off;
	const char *damage;
	unsigned int damage_index;
};

/**
 * vhost_blk_ring_desc_size() - bytes of a descriptor table
 * @num: entries
 *
 * Return: 16 per entry.
 */
static inline size_t vhost_blk_ring_desc_size(unsigned int num)
{
	return num * sizeof(struct vring_desc);
}

/**
 * vhost_blk_ring_avail_size() - bytes of a driver area
 * @num: entries
 *
 * Return: the size, with the used_event word.
 */
static inline size_t vhost_blk_ring_avail_size(unsigned int num)
{
	return sizeof(struct vring_avail) + (num + 1) * sizeof(__virtio16);
}

/**
 * vhost_blk_ring_used_size() - bytes of a device area
 * @num: entries
 *
 * Return: the size, with the avail_event word.
 */
static inline size_t vhost_blk_ring_used_size(unsigned int num)
{
	return sizeof(struct vring_used) +
	       num * sizeof(struct vring_used_elem) + sizeof(__virtio16);
}

int vhost_blk_ring_start(struct vhost_blk_ring *ring, u16 base);
int vhost_blk_ring_fetch(struct vhost_blk_ring *ring);
int vhost_blk_ring_pop(struct vhost_blk_ring *ring,
		       struct vhost_blk_chain *chain);
bool vhost_blk_ring_empty(const struct vhost_blk_ring *ring);
void vhost_blk_ring_push(struct vhost_blk_ring *ring, u16 id, u32 len);
unsigned int vhost_blk_ring_publish(struct vhost_blk_ring *ring);
bool vhost_blk_ring_wants_call(const struct vhost_blk_ring *ring);
void vhost_blk_ring_called(struct vhost_blk_ring *ring);
void vhost_blk_ring_kicks_off(struct vhost_blk_ring *ring);
bool vhost_blk_ring_kicks_on(struct vhost_blk_ring *ring);

#endif /* VHOST_BLK_RING_H */
