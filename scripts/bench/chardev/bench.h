/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What ring_bench and uring_bench have in common: options, a thread for each
 * queue, where the next request goes, when to stop, what is printed.
 */
#ifndef BENCH_H
#define BENCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "latency.h"

#define BENCH_MAX_QUEUES 128
#define SECTOR 512

struct bench_opts {
	const char *device, *vhost, *rw;
	unsigned int depth, queues, bs;
	double seconds;		/* 0: count requests */
	uint64_t requests;
	bool write, random;
	bool poll;		/* --wait poll */
	bool indirect, iopoll, latency;
	int cpu[BENCH_MAX_QUEUES], nr_cpus;

	int fd;			/* the disk */
	uint64_t blocks;	/* of bs bytes */
};

/* One queue and its thread. On cache lines of its own. */
struct bench_queue {
	const struct bench_opts *opts;
	unsigned int index;
	bool random;
	uint64_t seed, next, blocks;
	uint64_t issued, limit;
	struct latency *latency;	/* NULL: not wanted */
	uint64_t kicks, interrupts;
	uint64_t cpu_ns, begin_ns, end_ns;
	pthread_t thread;
} __attribute__((aligned(128)));

struct bench_program {
	const char *name, *about, *own_options;
	bool has_indirect, has_iopoll;
	unsigned int max_depth, max_depth_indirect;
	/* everything that comes before the first request */
	void (*setup)(const struct bench_opts *opts);
	/* in the thread of a queue: what only it can do; may be NULL */
	void (*prepare)(struct bench_queue *q);
	/* then: all requests of the queue */
	void (*loop)(struct bench_queue *q);
	/* CPU time of the threads that serve the queues */
	uint64_t (*worker_ns)(const struct bench_opts *opts);
};

extern bool bench_stop;

int bench_main(const struct bench_program *program, int argc, char **argv);

/* Memory that is there, on pages of its own. */
void *bench_alloc(size_t size);

static inline uint64_t bench_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* The block that the next request is for. */
static inline uint64_t bench_next(struct bench_queue *q)
{
	if (q->random) {
		q->seed = q->seed * 6364136223846793005 + 1442695040888963407;
		return (q->seed >> 32) * q->blocks >> 32;
	}
	if (++q->next >= q->blocks)
		q->next = 0;
	return q->next;
}

/* Of @nr requests that could follow now: how many shall? */
static inline unsigned int bench_budget(struct bench_queue *q, unsigned int nr)
{
	if (__atomic_load_n(&bench_stop, __ATOMIC_RELAXED))
		q->limit = q->issued;
	if (nr > q->limit - q->issued)
		nr = q->limit - q->issued;
	q->issued += nr;
	return nr;
}

#endif
