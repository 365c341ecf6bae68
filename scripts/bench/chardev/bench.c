// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "bench.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/fs.h>

bool bench_stop;

static const struct bench_program *program;
static struct bench_queue queues[BENCH_MAX_QUEUES];
static pthread_barrier_t start;

static void usage(FILE *to)
{
	fprintf(to,
"usage: %s --device DISK [options]\n"
"\n"
"%s\n"
"\n"
"One thread for each queue. Each keeps --depth requests under way: it takes all\n"
"completions that are there and submits as many new requests in one go.\n"
"\n"
"  --device DISK     block device\n"
"  --depth N         requests under way in each queue (default 1)\n"
"  --queues N        default 1\n"
"  --rw HOW          randread, randwrite, read or write (default randread);\n"
"                    the places are the same in every run\n"
"  --bs BYTES        size of a request, a multiple of 512 (default 4096)\n"
"  --seconds S       how long (default 1), or\n"
"  --requests N      how many, all queues together\n"
"  --wait call|poll  block in the kernel, or spin (default call)\n"
"  --cpu LIST        CPUs for the threads, one each in turn, like 0-1,4\n"
"  --latency         read the clock once for each batch of completions\n"
"%s"
"\n"
"Prints one JSON object: requests, seconds and IOPS; kicks: system calls that\n"
"submit; interrupts: signals of completions that arrived; cpu_ns_driver: CPU\n"
"time of the threads here, cpu_ns_worker: of those in the kernel that serve\n"
"the queues; latency with --latency. A wrong status or length ends the program\n"
"with status 1 and no JSON.\n",
		program->name, program->about, program->own_options);
}

static uint64_t number(const char *option, const char *text, uint64_t min,
		       uint64_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || value < min || value > max)
		errx(2, "--%s %s: not a number from %llu to %llu", option, text,
		     (unsigned long long)min, (unsigned long long)max);
	return value;
}

static double parse_seconds(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (*end || !(value > 0 && value < 1e6))
		errx(2, "--seconds %s: not a positive number", text);
	return value;
}

static void parse_rw(struct bench_opts *o, const char *rw)
{
	o->rw = rw;
	o->random = !strncmp(rw, "rand", 4);
	if (o->random)
		rw += 4;
	o->write = !strcmp(rw, "write");
	if (!o->write && strcmp(rw, "read"))
		errx(2, "--rw %s: not randread, randwrite, read or write", o->rw);
}

static void parse_wait(struct bench_opts *o, const char *how)
{
	o->poll = !strcmp(how, "poll");
	if (!o->poll && strcmp(how, "call"))
		errx(2, "--wait %s: neither call nor poll", how);
}

static void parse_cpus(struct bench_opts *o, const char *list)
{
	char *copy = strdup(list), *save, *part;
	int first, last;
	char rest;

	for (part = strtok_r(copy, ",", &save); part;
	     part = strtok_r(NULL, ",", &save)) {
		if (sscanf(part, "%d-%d%c", &first, &last, &rest) != 2) {
			if (sscanf(part, "%d%c", &first, &rest) != 1)
				errx(2, "--cpu %s: not a list", list);
			last = first;
		}
		for (; first >= 0 && first <= last; first++)
			if (o->nr_cpus < BENCH_MAX_QUEUES)
				o->cpu[o->nr_cpus++] = first;
	}
	free(copy);
	if (!o->nr_cpus)
		errx(2, "--cpu %s: no CPU", list);
}

enum { DEVICE = 1, DEPTH, QUEUES, RW, BS, SECONDS, REQUESTS, WAIT, CPU, LATENCY,
       VHOST, INDIRECT, IOPOLL, HELP };

static const struct option options[] = {
	{ "device", required_argument, NULL, DEVICE },
	{ "depth", required_argument, NULL, DEPTH },
	{ "queues", required_argument, NULL, QUEUES },
	{ "rw", required_argument, NULL, RW },
	{ "bs", required_argument, NULL, BS },
	{ "seconds", required_argument, NULL, SECONDS },
	{ "requests", required_argument, NULL, REQUESTS },
	{ "wait", required_argument, NULL, WAIT },
	{ "cpu", required_argument, NULL, CPU },
	{ "latency", no_argument, NULL, LATENCY },
	{ "vhost", required_argument, NULL, VHOST },
	{ "indirect", no_argument, NULL, INDIRECT },
	{ "iopoll", no_argument, NULL, IOPOLL },
	{ "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

static void parse(struct bench_opts *o, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case DEVICE: o->device = optarg; break;
		case DEPTH: o->depth = number("depth", optarg, 1, 1024); break;
		case QUEUES: o->queues = number("queues", optarg, 1,
						BENCH_MAX_QUEUES); break;
		case RW: parse_rw(o, optarg); break;
		case BS: o->bs = number("bs", optarg, SECTOR, 4 << 20); break;
		case SECONDS: o->seconds = parse_seconds(optarg); break;
		case REQUESTS: o->requests = number("requests", optarg, 1,
						    1ULL << 48); break;
		case WAIT: parse_wait(o, optarg); break;
		case CPU: parse_cpus(o, optarg); break;
		case LATENCY: o->latency = true; break;
		case VHOST: o->vhost = optarg; break;
		case INDIRECT: o->indirect = true; break;
		case IOPOLL: o->iopoll = true; break;
		case HELP:
		case 'h': usage(stdout); exit(0);
		default: usage(stderr); exit(2);
		}
	}
}

static void check(struct bench_opts *o, int left)
{
	unsigned int max = o->indirect ? program->max_depth_indirect :
					 program->max_depth;

	if (!o->device || left)
		errx(2, "usage: --device DISK is needed (see --help)");
	if ((o->indirect && !program->has_indirect) ||
	    (o->iopoll && !program->has_iopoll))
		errx(2, "no --indirect in uring_bench, no --iopoll in ring_bench");
	if (o->bs % SECTOR)
		errx(2, "--bs %u: not a multiple of %d", o->bs, SECTOR);
	if (o->depth > max)
		errx(2, "--depth: at most %u", max);
	if (o->seconds && o->requests)
		errx(2, "--seconds or --requests, not both");
	if (!o->seconds && !o->requests)
		o->seconds = 1;
}

static void open_disk(struct bench_opts *o)
{
	uint64_t bytes;

	o->fd = open(o->device, (o->write ? O_RDWR : O_RDONLY) | O_DIRECT |
				O_CLOEXEC);
	if (o->fd < 0 || ioctl(o->fd, BLKGETSIZE64, &bytes))
		err(1, "%s", o->device);
	o->blocks = bytes / o->bs;
	if (!o->blocks)
		errx(1, "%s is smaller than a request", o->device);
	/* bench_next() multiplies it by 32 random bits. */
	if (o->blocks > UINT32_MAX)
		o->blocks = UINT32_MAX;
}

void *bench_alloc(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (at == MAP_FAILED)
		err(1, "memory");
	return at;
}

static void pin(const struct bench_opts *o, unsigned int index)
{
	cpu_set_t set;

	if (!o->nr_cpus)
		return;
	CPU_ZERO(&set);
	CPU_SET(o->cpu[index % o->nr_cpus], &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "--cpu %d", o->cpu[index % o->nr_cpus]);
}

static void *queue_thread(void *arg)
{
	struct bench_queue *q = arg;
	uint64_t cpu;

	pin(q->opts, q->index);
	if (program->prepare)
		program->prepare(q);
	pthread_barrier_wait(&start);
	q->begin_ns = bench_ns(CLOCK_MONOTONIC);
	cpu = bench_ns(CLOCK_THREAD_CPUTIME_ID);
	program->loop(q);
	q->end_ns = bench_ns(CLOCK_MONOTONIC);
	q->cpu_ns = bench_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	return NULL;
}

static void queue_init(struct bench_queue *q, const struct bench_opts *o,
		       unsigned int index)
{
	q->opts = o;
	q->index = index;
	q->random = o->random;
	q->blocks = o->blocks;
	q->seed = index;
	q->next = o->blocks * index / o->queues;
	q->limit = UINT64_MAX;
	if (o->requests)
		q->limit = o->requests / o->queues +
			   (index < o->requests % o->queues);
	if (o->latency)
		q->latency = bench_alloc(sizeof(*q->latency));
}

static void sleep_for(double seconds)
{
	struct timespec t = { .tv_sec = seconds };

	t.tv_nsec = (seconds - t.tv_sec) * 1e9;
	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* From the first that begins to the last that ends, in ns. */
static uint64_t run(const struct bench_opts *o)
{
	uint64_t begin = UINT64_MAX, end = 0;
	unsigned int i;

	pthread_barrier_init(&start, NULL, o->queues + 1);
	for (i = 0; i < o->queues; i++) {
		queue_init(&queues[i], o, i);
		errno = pthread_create(&queues[i].thread, NULL, queue_thread,
				       &queues[i]);
		if (errno)
			err(1, "thread");
	}
	pthread_barrier_wait(&start);
	if (o->seconds) {
		sleep_for(o->seconds);
		__atomic_store_n(&bench_stop, true, __ATOMIC_RELAXED);
	}
	for (i = 0; i < o->queues; i++) {
		pthread_join(queues[i].thread, NULL);
		if (queues[i].begin_ns < begin)
			begin = queues[i].begin_ns;
		if (queues[i].end_ns > end)
			end = queues[i].end_ns;
	}
	return end - begin;
}

static void print_latency(const struct latency *l)
{
	printf(", \"latency\": {\"mean_ns\": %.0f, \"p50_ns\": %llu, \"p99_ns\": %llu}",
	       l->nr ? (double)l->sum / l->nr : 0,
	       (unsigned long long)latency_percentile(l, 50),
	       (unsigned long long)latency_percentile(l, 99));
}

static void report(const struct bench_opts *o, uint64_t ns, uint64_t worker_ns)
{
	static struct latency latency;
	struct bench_queue sum = { 0 };
	unsigned int i;

	for (i = 0; i < o->queues; i++) {
		sum.issued += queues[i].issued;
		sum.kicks += queues[i].kicks;
		sum.interrupts += queues[i].interrupts;
		sum.cpu_ns += queues[i].cpu_ns;
		if (o->latency)
			latency_merge(&latency, queues[i].latency);
	}
	printf("{\"name\": \"%s\", \"rw\": \"%s\", \"bs\": %u, \"depth\": %u, \"queues\": %u, \"wait\": \"%s\", ",
	       program->name, o->rw, o->bs, o->depth, o->queues,
	       o->iopoll ? "iopoll" : o->poll ? "poll" : "call");
	printf("\"iops\": %.1f, \"requests\": %llu, \"seconds\": %.6f, \"kicks\": %llu, \"interrupts\": %llu, \"cpu_ns_driver\": %llu, \"cpu_ns_worker\": %llu",
	       sum.issued * 1e9 / ns, (unsigned long long)sum.issued, ns / 1e9,
	       (unsigned long long)sum.kicks, (unsigned long long)sum.interrupts,
	       (unsigned long long)sum.cpu_ns, (unsigned long long)worker_ns);
	if (o->latency)
		print_latency(&latency);
	printf("}\n");
}

int bench_main(const struct bench_program *p, int argc, char **argv)
{
	static struct bench_opts o = {
		.vhost = "/dev/vhost-blk", .depth = 1, .queues = 1, .bs = 4096,
		.rw = "randread", .random = true,
	};
	uint64_t worker, ns;

	program = p;
	parse(&o, argc, argv);
	check(&o, argc - optind);
	open_disk(&o);
	p->setup(&o);
	worker = p->worker_ns(&o);
	ns = run(&o);
	report(&o, ns, p->worker_ns(&o) - worker);
	return fflush(stdout) ? 1 : 0;
}
