// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ring and requests for a fuzzer: an input is a kind of ring and a list of
 * actions of driver and device. After each the module must agree with the model.
 * "make fuzz" builds it for libFuzzer.
 */
#include "ring_fuzz.h"

#include <stdio.h>

#define MAX_NUM_LOG 7

struct input {
	const u8 *data;
	size_t len;
};

static struct rig_mem *mem;
static struct diff *diffs[8][MAX_NUM_LOG + 1];

unsigned long ring_fuzz_count[DIFF_OUTCOMES];

/* A number of @n bytes; what follows the end is 0. */
static u64 take(struct input *in, unsigned int n)
{
	u64 val = 0;

	while (n--) {
		val <<= 8;
		if (in->len) {
			val |= *in->data++;
			in->len--;
		}
	}
	return val;
}

static u64 take_place(struct input *in)
{
	u8 mode = take(in, 1);
	u16 val = take(in, 2);

	switch (mode % 16) {
	default:
		return val & ~0x1ff;
	case 8:
		return val;
	case 9:
		return 0x10000 - val % 1024;
	case 10:
		return 0x14000 - val % 1024;
	case 11:
		return RIG_HOLE - val % 1024;
	case 12:
		return RIG_HOLE + RIG_HOLE_LEN + val % 0x7000;
	case 13:
		return (1ULL << 32) + val * 64;
	case 14:
		return -(u64)val - 1;
	case 15:
		return take(in, 8);
	}
}

static u32 take_len(struct input *in)
{
	u8 mode = take(in, 1), val = take(in, 1);

	switch (mode % 8) {
	default:
		return val % 32 * 512;
	case 3:
		return val;
	case 4:
		return val * 16;
	case 5:
		return val * 512 + 1;
	case 6:
		return val << 14;
	case 7:
		return take(in, 4);
	}
}

static u16 take_flags(struct input *in)
{
	u8 val = take(in, 1);

	return val < 0xf0 ? val % 8 : take(in, 2);
}

static u16 take_index(struct input *in, unsigned int num)
{
	u8 val = take(in, 1);

	return val < 0xf0 ? val % num : take(in, 2);
}

/* Not into the large region: the memory is cleared for every input. */
static void put(u64 gpa, const void *src, size_t len)
{
	if (gpa >> 32 != 1)
		rig_write(mem, gpa, src, len);
}

static void put_header(struct input *in, struct rig *rig, u64 gpa)
{
	u8 type = take(in, 1);
	struct virtio_blk_outhdr hdr = {
		.type = __cpu_to_virtio32(rig->le, type < 0xe0 ? type % 2 :
						   type < 0xf0 ? type % 16 :
								 take(in, 4)),
	};
	u16 sector = take(in, 2);

	hdr.sector = __cpu_to_virtio64(rig->le,
				       sector < 0xf000 ? sector : take(in, 8));
	put(gpa, &hdr, sizeof(hdr));
}

/* As a driver would do it; later actions spoil it, perhaps. */
static void good_request(struct input *in, struct rig *rig)
{
	u16 head = take(in, 1) % rig->num;
	u16 data = (head + 1) % rig->num, status = (head + 2) % rig->num;
	u64 header = take_place(in), place = take_place(in);
	u32 len = take_len(in);
	bool read = take(in, 1) & 1;

	put_header(in, rig, header);
	rig_desc(rig, head, header, 16, 1, data);
	rig_desc(rig, data, place, len, 1 | (read ? 2 : 0), status);
	rig_desc(rig, status, 0x8000, 1, 2, 0);
	rig_avail(rig, head);
}

static void table_entry(struct input *in, struct rig *rig, u64 table)
{
	unsigned int i = take(in, 1) % 32;
	u64 addr = take_place(in);
	u32 len = take_len(in);
	u16 flags = take_flags(in);
	struct vring_desc desc =
		rig_encode(rig, addr, len, flags, take_index(in, 32));

	put(table + i * sizeof(desc), &desc, sizeof(desc));
}

static void pop(struct diff *d, const struct vhost_blk_limits *limits)
{
	enum diff_outcome outcome = diff_pop(d, limits);

	ring_fuzz_count[outcome]++;
	if (outcome != DIFF_DAMAGED || d->failed)
		return;
	/* The driver takes back what it made available. */
	d->rig->avail_idx = d->model.next_avail;
	rig_show(d->rig);
}

static void action(struct input *in, struct diff *d,
		   const struct vhost_blk_limits *limits)
{
	struct rig *rig = d->rig;
	u64 addr;
	u32 len;
	u16 i, flags;

	switch (take(in, 1) % 20) {
	case 0:
		i = take(in, 1) % rig->num;
		addr = take_place(in);
		len = take_len(in);
		flags = take_flags(in);
		rig_desc(rig, i, addr, len, flags, take_index(in, rig->num));
		break;
	case 1:
	case 2:
		table_entry(in, rig, take_place(in));
		break;
	case 3:
		/* a table, in the place of a descriptor */
		i = take(in, 1) % rig->num;
		addr = take_place(in);
		rig_desc(rig, i, addr, take(in, 1) % 64 * 16, 4, 0);
		break;
	case 4:
		put_header(in, rig, take_place(in));
		break;
	case 5:
		rig_avail(rig, take_index(in, rig->num));
		break;
	case 6:
		rig_set_idx(rig,
			    rig->ring.last_avail + take_index(in, rig->num));
		break;
	case 7:
		rig_set_used_event(rig, rig->ring.call_idx + take(in, 1) - 8);
		rig_set_flags(rig, take(in, 1));
		break;
	case 8:
		i = rig->ring.used_idx + take_index(in, rig->num) - 1;
		if (!diff_start(d, i)) {
			rig->avail_idx = i;
			rig_show(rig);
		}
		break;
	case 9:
		len = take(in, 4);
		diff_push(d, take(in, 1), len);
		break;
	case 10:
		diff_publish(d);
		break;
	case 11:
		diff_call(d);
		break;
	case 12:
		diff_kicks_off(d);
		break;
	case 13:
		diff_kicks_on(d);
		break;
	case 14:
	case 15:
		rig_show(rig);
		pop(d, limits);
		break;
	case 16:
		pop(d, limits);
		break;
	case 17:
		diff_fetch(d);
		break;
	default:
		good_request(in, rig);
		break;
	}
}

static void clear(struct diff *d)
{
	unsigned int i;

	for (i = 0; i < RIG_REGIONS; i++)
		if (i != RIG_BIG)
			memset(rig_at(mem, mem->region[i].guest_phys_addr), 0,
			       mem->region[i].memory_size);
	memset(d->rig->desc, 0, vhost_blk_ring_desc_size(d->rig->num));
	memset(d->rig->avail, 0, vhost_blk_ring_avail_size(d->rig->num));
	memset(d->rig->used, 0, vhost_blk_ring_used_size(d->rig->num));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	u8 flags = take(&in, 1);
	unsigned int mask = flags % 8;
	unsigned int log = take(&in, 1) % (MAX_NUM_LOG + 1);
	u16 base = take(&in, 2);
	u8 kind = take(&in, 1);
	struct vhost_blk_limits limits = {
		.capacity = 0x8000,
		.block_mask = (512 << kind % 4) - 1,
		.dma_mask = (1 << kind / 4 % 4) - 1,
		.read_only = kind >= 0xf0,
	};
	struct rng rng = { .state = base };
	struct diff *d;

	if (!mem) {
		mem = rig_mem_new();
		rig_mem_cache(mem);
	}
	mem->view.tlb = flags & 8 ? &mem->tlb : NULL;
	rig_mem_shake(mem, &rng);
	d = diffs[mask][log];
	if (!d)
		d = diff_new(rig_new(mem, 1 << log, !(mask & 1), mask & 2,
				     mask & 4));
	diffs[mask][log] = d;

	clear(d);
	rig_set_idx(d->rig, base);
	rig_set_used_idx(d->rig, base);
	d->rig->avail_idx = base;
	diff_start(d, base);
	while (in.len && !d->failed)
		action(&in, d, &limits);
	if (d->failed) {
		fprintf(stderr, "ring_fuzz: %s\n", d->why);
		abort();
	}
	return 0;
}
