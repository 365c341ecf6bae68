// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plays the guest on /dev/vhost-blk. All chains are there before the first
 * request, chain i begins with descriptor i; a request is a new sector in its
 * header, an entry in the available ring, and its share of the index, the look
 * at avail_event and the kick. So next to nothing of what is measured is this
 * program.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/vhost_blk.h>

#define PAGE	4096u
#define MIN_NUM	256u	/* entries of a ring, as QEMU has them */
#define CHAIN	3u	/* header, data, status */
#define LINE	64u	/* bytes of a cache line */

#define load(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)

/* What a request has besides its data; no two share a cache line. */
struct frame {
	struct virtio_blk_outhdr header;
	uint8_t status;
	/* with --indirect */
	struct vring_desc table[CHAIN] __attribute__((aligned(16)));
} __attribute__((aligned(LINE)));

struct ring {
	unsigned int num, mask;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	uint16_t *used_event;
	const uint16_t *avail_event;
	uint16_t avail_idx, published, last_used;
	struct frame *frame;
	uint8_t *data;
	uint32_t used_len, sectors;
	uint64_t *submitted;		/* times, for the latency */
	int kick, call;
} __attribute__((aligned(128)));

static struct ring rings[BENCH_MAX_QUEUES];
static int vhost;
static char sysfs[280];		/* directory of this device */

static void do_ioctl(unsigned long request, const char *name, const void *arg)
{
	if (ioctl(vhost, request, arg) < 0)
		err(1, "%s", name);
}

#define DO(request, ...) do_ioctl(request, #request, &(__VA_ARGS__))

static size_t round_up(size_t size)
{
	return (size + PAGE - 1) / PAGE * PAGE;
}

/* Takes @size bytes, on pages of their own. */
static void *carve(uint8_t **at, size_t size)
{
	void *taken = *at;

	*at += round_up(size);
	return taken;
}

static unsigned int ring_num(const struct bench_opts *o)
{
	unsigned int need = o->depth * (o->indirect ? 1 : CHAIN);
	unsigned int num = MIN_NUM;

	while (num < need)
		num *= 2;
	return num;
}

static size_t ring_bytes(const struct bench_opts *o, unsigned int num)
{
	return 3 * round_up(num * sizeof(struct vring_desc)) +
	       round_up(o->depth * sizeof(struct frame)) +
	       round_up((size_t)o->depth * o->bs);
}

/* The guest sees its memory where this program does. */
static void chain_init(struct ring *r, const struct bench_opts *o,
		       unsigned int tag)
{
	struct frame *f = &r->frame[tag];
	struct vring_desc chain[CHAIN] = {
		{ .addr = (uintptr_t)&f->header, .len = sizeof(f->header),
		  .flags = VRING_DESC_F_NEXT },
		{ .addr = (uintptr_t)r->data + (size_t)tag * o->bs, .len = o->bs,
		  .flags = VRING_DESC_F_NEXT |
			   (o->write ? 0 : VRING_DESC_F_WRITE) },
		{ .addr = (uintptr_t)&f->status, .len = 1,
		  .flags = VRING_DESC_F_WRITE },
	};
	unsigned int second = o->depth + tag * (CHAIN - 1);

	f->header.type = o->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
	if (o->indirect) {
		chain[0].next = 1;
		chain[1].next = 2;
		memcpy(f->table, chain, sizeof(chain));
		r->desc[tag] = (struct vring_desc){
			.addr = (uintptr_t)f->table, .len = sizeof(f->table),
			.flags = VRING_DESC_F_INDIRECT,
		};
		return;
	}
	chain[0].next = second;
	chain[1].next = second + 1;
	r->desc[tag] = chain[0];
	r->desc[second] = chain[1];
	r->desc[second + 1] = chain[2];
}

static void ring_init(struct ring *r, const struct bench_opts *o, uint8_t **at)
{
	unsigned int tag;

	r->num = ring_num(o);
	r->mask = r->num - 1;
	r->desc = carve(at, r->num * sizeof(*r->desc));
	r->avail = carve(at, r->num * sizeof(*r->desc));
	r->used = carve(at, r->num * sizeof(*r->desc));
	r->frame = carve(at, o->depth * sizeof(*r->frame));
	r->data = carve(at, (size_t)o->depth * o->bs);
	r->used_event = &r->avail->ring[r->num];
	r->avail_event = (const uint16_t *)&r->used->ring[r->num];
	/* behind every index that comes: no interrupt before it is wanted */
	*r->used_event = -1;
	r->used_len = 1 + (o->write ? 0 : o->bs);
	r->sectors = o->bs / SECTOR;
	for (tag = 0; tag < o->depth; tag++)
		chain_init(r, o, tag);
	if (o->latency)
		r->submitted = calloc(o->depth, sizeof(*r->submitted));
	r->kick = eventfd(0, EFD_CLOEXEC);
	r->call = eventfd(0, EFD_CLOEXEC);
	if (r->kick < 0 || r->call < 0 || (o->latency && !r->submitted))
		err(1, "queue");
}

static void ring_configure(const struct ring *r, unsigned int index)
{
	const struct vhost_vring_addr addr = {
		.index = index,
		.desc_user_addr = (uintptr_t)r->desc,
		.avail_user_addr = (uintptr_t)r->avail,
		.used_user_addr = (uintptr_t)r->used,
	};

	DO(VHOST_SET_VRING_NUM, (struct vhost_vring_state){ index, r->num });
	DO(VHOST_SET_VRING_BASE, (struct vhost_vring_state){ index, 0 });
	DO(VHOST_SET_VRING_ADDR, addr);
	DO(VHOST_SET_VRING_KICK, (struct vhost_vring_file){ index, r->kick });
	DO(VHOST_SET_VRING_CALL, (struct vhost_vring_file){ index, r->call });
}

static long long read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	long long value;

	if (!f)
		return -1;
	if (fscanf(f, "%lld", &value) != 1)
		value = -1;
	fclose(f);
	return value;
}

/* Ours is the device that we own. */
static void find_sysfs(void)
{
	const char *top = "/sys/class/vhost-blk";
	DIR *dir = opendir(top);
	struct dirent *entry;
	char path[300];

	while (dir && (entry = readdir(dir))) {
		snprintf(sysfs, sizeof(sysfs), "%s/%s", top, entry->d_name);
		snprintf(path, sizeof(path), "%s/owner", sysfs);
		if (read_number(path) == getpid()) {
			closedir(dir);
			return;
		}
	}
	errx(1, "no device of ours in %s", top);
}

static void setup(const struct bench_opts *o)
{
	uint64_t features = 1ULL << VIRTIO_F_VERSION_1 |
			    1ULL << VIRTIO_RING_F_EVENT_IDX |
			    1ULL << VIRTIO_BLK_F_FLUSH |
			    (uint64_t)o->indirect << VIRTIO_RING_F_INDIRECT_DESC;
	size_t size = ring_bytes(o, ring_num(o)) * o->queues;
	uint8_t *memory = bench_alloc(size), *at = memory;
	struct {
		struct vhost_memory table;
		struct vhost_memory_region region;
	} regions = {
		.table.nregions = 1,
		.region = { (uintptr_t)memory, size, (uintptr_t)memory, 0 },
	};
	unsigned int i;

	vhost = open(o->vhost, O_RDWR | O_CLOEXEC);
	if (vhost < 0)
		err(1, "%s", o->vhost);
	do_ioctl(VHOST_SET_OWNER, "VHOST_SET_OWNER", NULL);
	DO(VHOST_SET_FEATURES, features);
	DO(VHOST_SET_MEM_TABLE, regions);
	for (i = 0; i < o->queues; i++) {
		ring_init(&rings[i], o, &at);
		ring_configure(&rings[i], i);
	}
	DO(VHOST_BLK_SET_BACKEND, (struct vhost_vring_file){ 0, o->fd });
	find_sysfs();
}

/* As of the last tick or switch of the worker. */
static uint64_t worker_ns(const struct bench_opts *o)
{
	char path[sizeof(sysfs) + 40];
	long long pid, ns, sum = 0;
	unsigned int i;

	for (i = 0; i < o->queues; i++) {
		snprintf(path, sizeof(path), "%s/queues/%u/worker", sysfs, i);
		pid = read_number(path);
		snprintf(path, sizeof(path), "/proc/%lld/schedstat", pid);
		ns = read_number(path);
		if (pid <= 0 || ns < 0)
			errx(1, "no worker of queue %u", i);
		sum += ns;
	}
	return sum;
}

static inline void ring_put(struct ring *r, struct bench_queue *q,
			    unsigned int tag)
{
	r->frame[tag].header.sector = bench_next(q) * r->sectors;
	/* whatever is not written then shows */
	r->frame[tag].status = 0xff;
	r->avail->ring[r->avail_idx++ & r->mask] = tag;
}

static inline void ring_publish(struct ring *r, struct bench_queue *q)
{
	static const uint64_t one = 1;
	uint16_t old = r->published;

	r->published = r->avail_idx;
	store(&r->avail->idx, r->published);
	/* The index first, then the look at what the device asks for. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!vring_need_event(load(r->avail_event), r->published, old))
		return;
	if (write(r->kick, &one, sizeof(one)) != sizeof(one))
		err(1, "kick");
	q->kicks++;
}

static inline unsigned int ring_take(struct ring *r)
{
	const struct vring_used_elem *e = &r->used->ring[r->last_used & r->mask];
	unsigned int tag = e->id;

	if (e->len != r->used_len || r->frame[tag].status != VIRTIO_BLK_S_OK)
		errx(1, "request failed: head %u, status %u, length %u instead of %u",
		     tag, r->frame[tag].status, e->len, r->used_len);
	r->last_used++;
	return tag;
}

static void ring_wait(struct ring *r, struct bench_queue *q)
{
	uint64_t value;

	if (q->opts->poll) {
		__builtin_ia32_pause();
		return;
	}
	store(r->used_event, r->last_used);
	/* What is asked for first, then the look whether it is there. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (load(&r->used->idx) != r->last_used)
		return;
	if (read(r->call, &value, sizeof(value)) != sizeof(value))
		err(1, "call");
	q->interrupts += value;
}

/* Signals that nobody waited for. */
static void count_rest(const struct ring *r, struct bench_queue *q)
{
	uint64_t value;

	fcntl(r->call, F_SETFL, O_NONBLOCK);
	if (read(r->call, &value, sizeof(value)) == sizeof(value))
		q->interrupts += value;
}

static void loop(struct bench_queue *q)
{
	struct ring *r = &rings[q->index];
	unsigned int in_flight = bench_budget(q, q->opts->depth);
	uint64_t now = q->latency ? bench_ns(CLOCK_MONOTONIC) : 0;
	unsigned int nr, more, i, tag;

	for (tag = 0; tag < in_flight; tag++) {
		ring_put(r, q, tag);
		if (q->latency)
			r->submitted[tag] = now;
	}
	ring_publish(r, q);

	while (in_flight) {
		nr = (uint16_t)(load(&r->used->idx) - r->last_used);
		if (!nr) {
			ring_wait(r, q);
			continue;
		}
		if (q->latency)
			now = bench_ns(CLOCK_MONOTONIC);
		more = bench_budget(q, nr);
		for (i = 0; i < nr; i++) {
			tag = ring_take(r);
			if (q->latency) {
				latency_add(q->latency, now - r->submitted[tag]);
				r->submitted[tag] = now;
			}
			if (i < more)
				ring_put(r, q, tag);
		}
		in_flight -= nr - more;
		/* Lest the index comes round to what was asked for long ago. */
		if (q->opts->poll)
			store(r->used_event, r->last_used - 1);
		if (more)
			ring_publish(r, q);
	}
	count_rest(r, q);
}

int main(int argc, char **argv)
{
	static const struct bench_program program = {
		.name = "ring_bench",
		.about =
"Plays the guest on /dev/vhost-blk, with as few instructions for each request as\n"
"possible. Waits for the call eventfd, or looks at the used ring.",
		.own_options =
"  --indirect        put each request into an indirect table\n"
"  --vhost FILE      default /dev/vhost-blk\n",
		.has_indirect = true,
		.max_depth = VHOST_BLK_MAX_DESC / CHAIN,
		.max_depth_indirect = VHOST_BLK_MAX_DESC,
		.setup = setup,
		.loop = loop,
		.worker_ns = worker_ns,
	};

	return bench_main(&program, argc, argv);
}
