// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ordering between this side and the driver. Every pair is a store of one's own
 * index followed by a load of the other's, or a load of the other's index
 * followed by accesses to what the index covers:
 *
 *   device                               driver
 *   ------                               ------
 *   A  load avail->idx                   store ring entry, descriptors
 *      rmb                               wmb
 *      load ring entry, descriptors      store avail->idx
 *
 *   B  store used entries                load used->idx
 *      wmb (store-release)               rmb
 *      store used->idx                   load used entries
 *
 *   C  store used->idx                   store used_event (or avail->flags)
 *      mb                                mb
 *      load used_event (or flags)        load used->idx
 *
 *   D  store avail_event (or used flags) store avail->idx
 *      mb                                mb
 *      load avail->idx                   load avail_event (or flags)
 *
 * C without its barrier loses an interrupt, D loses a kick.
 */
#include "ring.h"
#include "view.h"

static u16 vhost_blk_ring_16(const struct vhost_blk_ring *ring, __virtio16 val)
{
	return __virtio16_to_cpu(ring->little_endian, val);
}

static __virtio16 vhost_blk_ring_to16(const struct vhost_blk_ring *ring,
				      u16 val)
{
	return __cpu_to_virtio16(ring->little_endian, val);
}

/* The word behind the last used entry: "kick me when you pass this index". */
static __virtio16 *vhost_blk_ring_avail_event(struct vhost_blk_ring *ring)
{
	return (__virtio16 *)&ring->used->ring[ring->num];
}

/* The word behind the last available entry: "interrupt me past this index". */
static const __virtio16 *
vhost_blk_ring_used_event(const struct vhost_blk_ring *ring)
{
	return (const __virtio16 *)&ring->avail->ring[ring->num];
}

static u16 vhost_blk_ring_load_avail_idx(const struct vhost_blk_ring *ring)
{
	return vhost_blk_ring_16(ring, READ_ONCE(ring->avail->idx));
}

/**
 * vhost_blk_ring_start() - take over a ring
 * @ring: ring with its addresses, size and features set
 * @base: index of the first available entry to take
 *
 * The used index goes on from where the memory has it. Kicks are on.
 *
 * Return: 0, or -EINVAL when more entries lie between the used index and @base
 * than the ring has: no state of a stopped ring looks like that.
 */
int vhost_blk_ring_start(struct vhost_blk_ring *ring, u16 base)
{
	u16 used_idx = vhost_blk_ring_16(ring, READ_ONCE(ring->used->idx));

	if ((u16)(base - used_idx) > ring->num)
		return -EINVAL;

	ring->last_avail = base;
	ring->avail_idx = base;
	ring->used_idx = used_idx;
	ring->used_next = used_idx;
	ring->call_idx = used_idx;
	ring->kicks_off = true;
	ring->damage = "none";
	ring->damage_index = 0;
	vhost_blk_ring_kicks_on(ring);
	return 0;
}

static int vhost_blk_ring_damaged(struct vhost_blk_ring *ring,
				  const char *damage)
{
	ring->damage = damage;
	ring->damage_index = ring->last_avail;
	return -EPROTO;
}

static int vhost_blk_chain_add(struct vhost_blk_chain *chain, u64 gpa, u32 len,
			       bool writable)
{
	unsigned int nr = chain->nr_out + chain->nr_in;

	if (!len)
		return 0;
	if (nr == VHOST_BLK_MAX_DESC)
		return -EBADMSG;
	if (writable) {
		chain->nr_in++;
		chain->in_len += len;
	} else {
		if (chain->nr_in)
			return -EBADMSG;
		chain->nr_out++;
		chain->out_len += len;
	}
	chain->seg[nr].gpa = gpa;
	chain->seg[nr].len = len;
	return 0;
}

/* Copies an indirect table; returns its number of entries or -EBADMSG. */
static int vhost_blk_ring_fetch_table(const struct vhost_blk_ring *ring,
				      struct vhost_blk_chain *chain, u64 gpa,
				      u32 len)
{
	if (!len || len % sizeof(struct vring_desc) ||
	    len > sizeof(chain->table))
		return -EBADMSG;
	if (vhost_blk_view_read(ring->view, gpa, chain->table, len))
		return -EBADMSG;
	return len / sizeof(struct vring_desc);
}

/* Walks the chain that starts at chain->id, each descriptor read once. */
static int vhost_blk_ring_walk(const struct vhost_blk_ring *ring,
			       struct vhost_blk_chain *chain)
{
	const struct vring_desc *table = ring->desc;
	unsigned int i = chain->id, num = ring->num, seen = 0;
	bool le = ring->little_endian;
	u16 flags;
	int ret;

	do {
		const struct vring_desc *desc;
		u64 gpa;
		u32 len;

		/* More steps than entries: the chain runs in a circle. */
		if (i >= num || seen++ >= num)
			return -EBADMSG;

		desc = &table[i];
		gpa = __virtio64_to_cpu(le, READ_ONCE(desc->addr));
		len = __virtio32_to_cpu(le, READ_ONCE(desc->len));
		flags = __virtio16_to_cpu(le, READ_ONCE(desc->flags));
		i = __virtio16_to_cpu(le, READ_ONCE(desc->next));

		if (flags & VRING_DESC_F_INDIRECT) {
			if (!ring->indirect || table == chain->table ||
			    flags & VRING_DESC_F_NEXT)
				return -EBADMSG;
			ret = vhost_blk_ring_fetch_table(ring, chain, gpa, len);
			if (ret < 0)
				return ret;
			table = chain->table;
			num = ret;
			seen = 0;
			i = 0;
			flags = VRING_DESC_F_NEXT;
			continue;
		}

		ret = vhost_blk_chain_add(chain, gpa, len,
					  flags & VRING_DESC_F_WRITE);
		if (ret)
			return ret;
	} while (flags & VRING_DESC_F_NEXT);

	return 0;
}

/**
 * vhost_blk_ring_fetch() - see how many chains the driver has made available
 * @ring: the ring
 *
 * Context: worker.
 * Return: their number; -EPROTO when the ring is damaged and none is left that
 * was made available before that.
 */
int vhost_blk_ring_fetch(struct vhost_blk_ring *ring)
{
	u16 idx;

	if (ring->avail_idx == ring->last_avail) {
		idx = vhost_blk_ring_load_avail_idx(ring);
		if ((u16)(idx - ring->last_avail) > ring->num)
			return vhost_blk_ring_damaged(ring, "index");
		ring->avail_idx = idx;
		/* Pairs with the driver's barrier before avail->idx (A). */
		smp_rmb();
	}
	return (u16)(ring->avail_idx - ring->last_avail);
}

/**
 * vhost_blk_ring_pop() - take the next available chain
 * @ring: the ring
 * @chain: filled with a private copy of the chain
 *
 * Context: worker; may sleep while an indirect table is paged in.
 * Return: 1 for a chain; 0 when there is none; -EBADMSG for a chain that is not
 * well formed, which has been taken (chain->id is valid and owes the driver a
 * used entry); -EPROTO when the ring itself is damaged: nothing has been
 * taken, last_avail names the bad entry and the ring must not be used further.
 */
int vhost_blk_ring_pop(struct vhost_blk_ring *ring,
		       struct vhost_blk_chain *chain)
{
	unsigned int slot = ring->last_avail & (ring->num - 1);
	u16 id;
	int ret;

	ret = vhost_blk_ring_fetch(ring);
	if (ret <= 0)
		return ret;

	id = vhost_blk_ring_16(ring, READ_ONCE(ring->avail->ring[slot]));
	if (id >= ring->num)
		return vhost_blk_ring_damaged(ring, "head");

	chain->id = id;
	chain->nr_out = 0;
	chain->nr_in = 0;
	chain->out_len = 0;
	chain->in_len = 0;
	WRITE_ONCE(ring->last_avail, ring->last_avail + 1);

	ret = vhost_blk_ring_walk(ring, chain);
	return ret ? ret : 1;
}

/**
 * vhost_blk_ring_empty() - look whether the driver has made anything available
 * @ring: the ring
 *
 * Return: true when vhost_blk_ring_pop() would return 0 right now.
 */
bool vhost_blk_ring_empty(const struct vhost_blk_ring *ring)
{
	return ring->avail_idx == ring->last_avail &&
	       vhost_blk_ring_load_avail_idx(ring) == ring->last_avail;
}

/**
 * vhost_blk_ring_push() - write a used entry; the driver does not see it yet
 * @ring: the ring
 * @id: first descriptor of the chain
 * @len: bytes written into the chain's writable part, from its start
 */
void vhost_blk_ring_push(struct vhost_blk_ring *ring, u16 id, u32 len)
{
	struct vring_used_elem *elem =
		&ring->used->ring[ring->used_next & (ring->num - 1)];
	bool le = ring->little_endian;

	WRITE_ONCE(elem->id, __cpu_to_virtio32(le, id));
	WRITE_ONCE(elem->len, __cpu_to_virtio32(le, len));
	ring->used_next++;
}

/**
 * vhost_blk_ring_publish() - show the driver all entries pushed so far
 * @ring: the ring
 *
 * Return: how many entries there were.
 */
unsigned int vhost_blk_ring_publish(struct vhost_blk_ring *ring)
{
	u16 nr = ring->used_next - ring->used_idx;

	if (!nr)
		return 0;

	ring->used_idx = ring->used_next;
	/* The entries first, then the index that covers them (B). */
	smp_store_release(&ring->used->idx,
			  vhost_blk_ring_to16(ring, ring->used_idx));
	return nr;
}

/**
 * vhost_blk_ring_wants_call() - does the driver ask to be interrupted?
 * @ring: the ring
 *
 * Return: true when it does for an entry published since
 * vhost_blk_ring_called().
 */
bool vhost_blk_ring_wants_call(const struct vhost_blk_ring *ring)
{
	u16 event;

	/* The used index first, then the look at what is asked for (C). */
	smp_mb();
	if (!ring->event_idx) {
		event = vhost_blk_ring_16(ring, READ_ONCE(ring->avail->flags));
		return !(event & VRING_AVAIL_F_NO_INTERRUPT);
	}

	event = vhost_blk_ring_16(ring,
				  READ_ONCE(*vhost_blk_ring_used_event(ring)));
	return vring_need_event(event, ring->used_idx, ring->call_idx);
}

/**
 * vhost_blk_ring_called() - the driver has been interrupted, or did not want it
 * @ring: the ring
 */
void vhost_blk_ring_called(struct vhost_blk_ring *ring)
{
	ring->call_idx = ring->used_idx;
}

/**
 * vhost_blk_ring_kicks_off() - ask the driver not to kick
 * @ring: the ring
 *
 * A hint: with EVENT_IDX the old avail_event stays, which the driver passes
 * once in 65536 entries.
 */
void vhost_blk_ring_kicks_off(struct vhost_blk_ring *ring)
{
	if (ring->kicks_off)
		return;
	ring->kicks_off = true;
	if (!ring->event_idx)
		WRITE_ONCE(ring->used->flags,
			   vhost_blk_ring_to16(ring, VRING_USED_F_NO_NOTIFY));
}

/**
 * vhost_blk_ring_kicks_on() - ask the driver to kick for the next entry
 * @ring: the ring
 *
 * Return: true when the ring is not empty: the driver may have added entries
 * before it saw this and will not kick for them.
 */
bool vhost_blk_ring_kicks_on(struct vhost_blk_ring *ring)
{
	if (ring->kicks_off) {
		ring->kicks_off = false;
		if (ring->event_idx)
			WRITE_ONCE(*vhost_blk_ring_avail_event(ring),
				   vhost_blk_ring_to16(ring, ring->last_avail));
		else
			WRITE_ONCE(ring->used->flags, 0);
		/* What is asked for first, then the look for entries (D). */
		smp_mb();
	}
	return !vhost_blk_ring_empty(ring);
}
