// SPDX-License-Identifier: GPL-2.0-only
/*
 * For scripts: a guest that does little but keep a ring going, so that what is
 * measured is the worker.
 *
 *	ring_load DEVICE SECONDS [KEY=VALUE...]
 *
 *	depth=N		chains under way at most (1)
 *	load=steady	as many as that all the time
 *	load=bursts	the same for on_ms=N (1000), then nothing for off_ms=N (1000)
 *	load=poisson	chains arrive at random, rate=N in a second on average;
 *			those that find no place wait
 *	wait=poll	looks for completions and wants no interrupt
 *	wait=event	sleeps until it is interrupted
 *	type=read	4 KiB, somewhere on the disk
 *	type=none	no such type: answered without the disk
 *
 * Prints "attached" when it begins and then one line of KEY=VALUE: chains, seconds
 * and chains in a second (iops; only the time of bursts counts), the median and the
 * 99th percentile of their latency, kicks, and the processor time that all workers
 * of the host have used meanwhile.
 */
#define _GNU_SOURCE
#include "lean.h"

#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_SAMPLES	(1u << 21)
#define NSEC		1000000000ULL

enum load { STEADY, BURSTS, POISSON };

static struct {
	unsigned long depth, on_ms, off_ms, rate;
	enum load load;
	bool sleeps, reads;
} opt = { .depth = 1, .on_ms = 1000, .off_ms = 1000, .rate = 100, .reads = true };

static struct guest *g;
static struct lean l;
static uint32_t *samples;	/* of latency, in ns */
static unsigned int nr_samples;

/* Lets the other hardware thread, or in emulation the other CPU, go on. */
static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

static void die(const char *what)
{
	fprintf(stderr, "ring_load: %s\n", what);
	exit(2);
}

static void parse(const char *arg)
{
	if (sscanf(arg, "depth=%lu", &opt.depth) == 1 ||
	    sscanf(arg, "on_ms=%lu", &opt.on_ms) == 1 ||
	    sscanf(arg, "off_ms=%lu", &opt.off_ms) == 1 ||
	    sscanf(arg, "rate=%lu", &opt.rate) == 1)
		return;
	if (!strcmp(arg, "load=steady"))
		opt.load = STEADY;
	else if (!strcmp(arg, "load=bursts"))
		opt.load = BURSTS;
	else if (!strcmp(arg, "load=poisson"))
		opt.load = POISSON;
	else if (!strcmp(arg, "wait=poll"))
		opt.sleeps = false;
	else if (!strcmp(arg, "wait=event"))
		opt.sleeps = true;
	else if (!strcmp(arg, "type=read"))
		opt.reads = true;
	else if (!strcmp(arg, "type=none"))
		opt.reads = false;
	else
		die(arg);
}

static void sample(uint64_t ns)
{
	if (nr_samples < MAX_SAMPLES)
		samples[nr_samples++] = ns < UINT32_MAX ? ns : UINT32_MAX;
}

static void start(const char *path)
{
	struct disk d;

	if (!opt.rate)
		die("rate=0");
	if (disk_open(&d, path, O_RDWR))
		die(path);
	g = guest_start(NULL, d.fd);
	samples = malloc(MAX_SAMPLES * sizeof(*samples));
	if (!g || !samples ||
	    lean_init(&l, &g->vq[0], opt.depth,
		      opt.reads ? VIRTIO_BLK_T_IN : LEAN_NO_TYPE, d.sectors))
		die("cannot attach");
	l.ended = sample;
	if (!opt.sleeps)
		lean_want_no_interrupt(&l);
}

static void reap(void)
{
	int n = lean_reap(&l);

	if (n < 0)
		die("a wrong answer");
	if (n && !opt.sleeps)
		lean_want_no_interrupt(&l);
}

static void sleep_until(uint64_t then)
{
	struct timespec t = { then / NSEC, then % NSEC };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* Until something is complete, or until then. */
static void wait_for_used(uint64_t then)
{
	struct gvq *vq = l.vq;
	struct pollfd p = { .fd = vq->call, .events = POLLIN };
	struct timespec t = { 0 };
	uint64_t now;

	if (!opt.sleeps) {
		relax();
		return;
	}
	vq_set_used_event(vq, vq->last_used);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	now = lean_now();
	if (vq_used_idx(vq) != vq->last_used || now >= then)
		return;
	t.tv_sec = (then - now) / NSEC;
	t.tv_nsec = (then - now) % NSEC;
	if (ppoll(&p, 1, &t, NULL) > 0)
		event_wait(vq->call, 0);
}

static void drain(void)
{
	reap();
	while (l.nr_spare < l.depth) {
		wait_for_used(lean_now() + NSEC);
		reap();
	}
}

/* As many as may be, up to @end. */
static void steady(uint64_t end)
{
	uint64_t now;

	while ((now = lean_now()) < end) {
		reap();
		if (!l.nr_spare) {
			wait_for_used(end);
			continue;
		}
		while (l.nr_spare)
			lean_push(&l, now);
		lean_publish(&l);
	}
	drain();
}

/* Returns how long the bursts were, together. */
static uint64_t bursts(uint64_t end)
{
	uint64_t begin, sum = 0;

	while ((begin = lean_now()) < end) {
		steady(begin + opt.on_ms * (NSEC / 1000));
		sum += lean_now() - begin;
		sleep_until(lean_now() + opt.off_ms * (NSEC / 1000));
	}
	return sum;
}

static uint64_t gap_ns(void)
{
	double u = (guest_random(g) >> 11) * 0x1p-53;

	return -log(1 - u) * NSEC / opt.rate;
}

static void poisson(uint64_t end)
{
	uint64_t now, next = lean_now() + gap_ns();

	while ((now = lean_now()) < end) {
		reap();
		if (now < next || !l.nr_spare) {
			wait_for_used(next > now ? next : end);
			continue;
		}
		for (; l.nr_spare && next <= now; next += gap_ns())
			lean_push(&l, next);
		lean_publish(&l);
	}
	drain();
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile_us(double p)
{
	return nr_samples ? samples[(size_t)(p * (nr_samples - 1))] / 1e3 : 0;
}

int main(int argc, char **argv)
{
	uint64_t begin, active, cpu_us;
	double seconds;
	int i;

	if (argc < 3)
		die("usage: ring_load DEVICE SECONDS [KEY=VALUE...]");
	for (i = 3; i < argc; i++)
		parse(argv[i]);
	seconds = atof(argv[2]);
	start(argv[1]);
	printf("attached\n");
	fflush(stdout);

	cpu_us = worker_cpu_us();
	begin = lean_now();
	active = 0;
	if (opt.load == STEADY)
		steady(begin + seconds * NSEC);
	else if (opt.load == BURSTS)
		active = bursts(begin + seconds * NSEC);
	else
		poisson(begin + seconds * NSEC);
	seconds = (lean_now() - begin) / 1e9;
	cpu_us = worker_cpu_us() - cpu_us;
	guest_set_backend(g, -1);

	qsort(samples, nr_samples, sizeof(*samples), compare);
	printf("chains=%llu seconds=%.3f iops=%.0f median_us=%.1f p99_us=%.1f kicks=%llu worker_us=%llu\n",
	       (unsigned long long)l.chains, seconds,
	       l.chains / (active ? active / 1e9 : seconds), percentile_us(0.5),
	       percentile_us(0.99), (unsigned long long)l.kicks,
	       (unsigned long long)cpu_us);
	return 0;
}
