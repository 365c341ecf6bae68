// SPDX-License-Identifier: GPL-2.0-only
/*
 * The twin of ring_bench on the block device itself: io_uring with a registered
 * file and registered memory, as lean. Entry i of the submission queue is
 * request i for good, as chain i is there; a request is a new offset in it, an
 * entry in the index array, and its share of the tail and the system call.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <err.h>
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define load(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)

struct ring {
	struct io_uring_sqe *sqes;
	unsigned int *sq_array, *sq_tail, sq_mask, tail;
	struct io_uring_cqe *cqes;
	unsigned int *cq_head, *cq_tail, cq_mask, head;
	unsigned int pending;		/* in the queue, not yet submitted */
	int fd;
	unsigned int enter_flags;
	uint64_t *submitted;		/* times, for the latency */
} __attribute__((aligned(128)));

static struct ring rings[BENCH_MAX_QUEUES];
static uint8_t *memory;

static size_t queue_bytes(const struct bench_opts *o)
{
	return (size_t)o->depth * o->bs;
}

static void setup(const struct bench_opts *o)
{
	memory = bench_alloc(queue_bytes(o) * o->queues);
}

static uint64_t worker_ns(const struct bench_opts *o)
{
	(void)o;
	return 0;
}

static void check(int ret, const char *what)
{
	if (ret < 0) {
		errno = -ret;
		err(1, "%s", what);
	}
}

/* Everything is registered, the ring itself included: nothing is looked up. */
static void ring_register(struct io_uring *u, struct bench_queue *q,
			  struct iovec *buffer)
{
	check(io_uring_register_buffers(u, buffer, 1), "register memory");
	check(io_uring_register_files(u, &q->opts->fd, 1), "register file");
	check(io_uring_register_ring_fd(u), "register ring");
}

static void sqe_init(struct io_uring_sqe *sqe, const struct bench_opts *o,
		     const struct iovec *buffer, unsigned int tag)
{
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = o->write ? IORING_OP_WRITE_FIXED : IORING_OP_READ_FIXED;
	sqe->flags = IOSQE_FIXED_FILE;
	sqe->addr = (uintptr_t)buffer->iov_base + (size_t)tag * o->bs;
	sqe->len = o->bs;
	sqe->user_data = tag;
}

/* Made by the thread that uses it: the kernel then knows of one user only. */
static void prepare(struct bench_queue *q)
{
	const struct bench_opts *o = q->opts;
	struct ring *r = &rings[q->index];
	struct iovec buffer = {
		.iov_base = memory + queue_bytes(o) * q->index,
		.iov_len = queue_bytes(o),
	};
	/* Completions come when the thread asks for them: the cheapest way. */
	struct io_uring_params p = { .flags = IORING_SETUP_SINGLE_ISSUER |
					      IORING_SETUP_DEFER_TASKRUN };
	struct io_uring u;
	unsigned int tag;

	if (o->iopoll)
		p.flags |= IORING_SETUP_IOPOLL;
	check(io_uring_queue_init_params(o->depth, &u, &p), "io_uring");
	ring_register(&u, q, &buffer);
	r->fd = u.enter_ring_fd;
	r->enter_flags = IORING_ENTER_REGISTERED_RING;
	r->sqes = u.sq.sqes;
	r->sq_array = u.sq.array;
	r->sq_tail = u.sq.ktail;
	r->sq_mask = *u.sq.kring_mask;
	r->cqes = u.cq.cqes;
	r->cq_head = u.cq.khead;
	r->cq_tail = u.cq.ktail;
	r->cq_mask = *u.cq.kring_mask;
	for (tag = 0; tag < o->depth; tag++)
		sqe_init(&r->sqes[tag], o, &buffer, tag);
	if (o->latency) {
		r->submitted = calloc(o->depth, sizeof(*r->submitted));
		if (!r->submitted)
			err(1, "queue");
	}
}

static inline void ring_put(struct ring *r, struct bench_queue *q,
			    unsigned int tag, uint32_t bs)
{
	r->sqes[tag].off = bench_next(q) * bs;
	r->sq_array[r->tail++ & r->sq_mask] = tag;
	r->pending++;
}

/* Submits what is pending and asks for completions; with @wait, waits for one. */
static inline void ring_enter(struct ring *r, struct bench_queue *q, bool wait)
{
	int ret;

	store(r->sq_tail, r->tail);
	do {
		ret = syscall(__NR_io_uring_enter, r->fd, r->pending, wait,
			      r->enter_flags | IORING_ENTER_GETEVENTS, NULL, 0);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0 || (unsigned int)ret != r->pending)
		err(1, "io_uring_enter: %d of %u", ret, r->pending);
	q->kicks += ret > 0;
	r->pending = 0;
}

static inline unsigned int ring_take(struct ring *r, int bs)
{
	const struct io_uring_cqe *cqe = &r->cqes[r->head++ & r->cq_mask];

	if (cqe->res != bs)
		errx(1, "request failed: %d instead of %d", cqe->res, bs);
	return cqe->user_data;
}

static void loop(struct bench_queue *q)
{
	const uint32_t bs = q->opts->bs;
	const bool wait = !q->opts->poll;
	unsigned int in_flight, nr, more, i, tag;
	struct ring *r = &rings[q->index];
	uint64_t now = q->latency ? bench_ns(CLOCK_MONOTONIC) : 0;

	in_flight = bench_budget(q, q->opts->depth);
	for (tag = 0; tag < in_flight; tag++) {
		ring_put(r, q, tag, bs);
		if (q->latency)
			r->submitted[tag] = now;
	}
	ring_enter(r, q, wait);

	while (in_flight) {
		nr = load(r->cq_tail) - r->head;
		if (!nr) {
			ring_enter(r, q, wait);
			continue;
		}
		if (q->latency)
			now = bench_ns(CLOCK_MONOTONIC);
		more = bench_budget(q, nr);
		for (i = 0; i < nr; i++) {
			tag = ring_take(r, bs);
			if (q->latency) {
				latency_add(q->latency, now - r->submitted[tag]);
				r->submitted[tag] = now;
			}
			if (i < more)
				ring_put(r, q, tag, bs);
		}
		store(r->cq_head, r->head);
		in_flight -= nr - more;
		if (more)
			ring_enter(r, q, wait);
	}
}

int main(int argc, char **argv)
{
	static const struct bench_program program = {
		.name = "uring_bench",
		.about =
"Reads and writes a block device through io_uring with everything registered,\n"
"with as few instructions for each request as possible: what ring_bench is to be\n"
"compared with. --wait poll spins on the completion queue.",
		.own_options =
"  --iopoll          poll the device in the kernel (IORING_SETUP_IOPOLL)\n",
		.has_iopoll = true,
		.max_depth = 1024,
		.setup = setup,
		.prepare = prepare,
		.loop = loop,
		.worker_ns = worker_ns,
	};

	return bench_main(&program, argc, argv);
}
