// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests that do one thing as often as they can: the host, other disks and other
 * queues go on. Wants three CPUs or more.
 *
 * KSFT_FLOOD: how many bad chains and bad ioctls (default 1000000).
 */
#define _GNU_SOURCE
#include "lean.h"
#include "shown.h"

#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>

#define SAMPLES	200

static bool stop;

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

/* The calling thread is on this CPU from now on. */
static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(set), &set));
}

static int nr_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * A kick storm
 */

static void *storm(void *arg)
{
	const uint64_t one = 1;

	while (!stopped())
		if (write(*(int *)arg, &one, sizeof(one)) < 0)
			break;
	return NULL;
}

/* The median latency of reads while each CPU writes to @fd, in ns. */
static uint64_t latency_in_a_storm(struct attached *a, int fd)
{
	uint64_t ns[SAMPLES], start;
	pthread_t thread[64];
	int i, n = nr_cpus() < 64 ? nr_cpus() : 64;
	char buf[4096];

	stop = false;
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, storm, &fd));
	for (i = 0; i < SAMPLES; i++) {
		start = lean_now();
		EXPECT_EQ(0, guest_io_in(a->vq, 8 * i, buf, sizeof(buf), NULL));
		ns[i] = lean_now() - start;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	qsort(ns, SAMPLES, sizeof(*ns), compare);
	return ns[SAMPLES / 2];
}

/*
 * All CPUs are as busy when they write to an eventfd that nobody listens to: it is
 * no more than twice as long (three times, on a machine with other things to do)
 * with a worker that is kicked. Where the CPUs are emulated one of them may stand still
 * for a while, so it is measured again if it seems to be longer.
 */
TEST(kick_storm_does_not_hold_up_another_disk)
{
	struct attached a = { 0 }, other = { 0 };
	int tries = 5, nobody = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t calm, kicked, kicks;
	struct shown s;

	attach(&a, NULL);
	shown_find(&s, a.g);
	attach(&other, NULL);
	do {
		calm = latency_in_a_storm(&other, nobody);
		kicks = shown_stat(&s, 0, "kicks");
		kicked = latency_in_a_storm(&other, a.vq->kick);
		kicks = shown_stat(&s, 0, "kicks") - kicks;
		ksft_log("%llu us in a storm of kicks, %llu us in one of writes elsewhere; %llu kicks",
			 (unsigned long long)kicked / 1000,
			 (unsigned long long)calm / 1000,
			 (unsigned long long)kicks);
	} while (kicked > 3 * calm && --tries);
	EXPECT_GT(kicks, SAMPLES);
	EXPECT_LE(kicked, 3 * calm);
	EXPECT_TRUE(shown_wait_asleep(&s, 0));
	EXPECT_EQ(0, still_serves(&a, a.vq));
	detach_checked(&other);
	detach_checked(&a);
	close(nobody);
}

/*
 * A ring that never is empty
 */

struct flood {
	struct lean lean;
	int cpu;
	bool failed;
};

static void *flood(void *arg)
{
	struct flood *f = arg;
	struct lean *l = &f->lean;

	stay_on(f->cpu);
	while (!stopped()) {
		if (lean_reap(l) < 0)
			f->failed = true;
		while (l->nr_spare)
			lean_push(l, 1);
		lean_publish(l);
		lean_want_no_interrupt(l);
	}
	f->failed |= !lean_drain(l, G_WAIT_MS);
	return NULL;
}

/* Chains of @l in 700 ms. */
static uint64_t chains_of(struct lean *l)
{
	uint64_t before = l->chains;
	int64_t end = now_ms() + 700;

	while (now_ms() < end) {
		ASSERT_GE(lean_reap(l), 0);
		while (l->nr_spare)
			lean_push(l, 1);
		lean_publish(l);
		lean_want_no_interrupt(l);
		usleep(100);
	}
	EXPECT_TRUE(lean_drain(l, G_WAIT_MS));
	return l->chains - before;
}

/*
 * The flood's requests are answered without the disk, at once. Both workers are on
 * one core: half of it is fair, an eighth is the least (a quarter of that). What a
 * worker takes before it lets others have their turn is limited.
 */
TEST(ring_that_never_is_empty_leaves_the_core_to_others)
{
	struct guest_opts opts = { .nvqs = 2, .num = 1024, .bulk = 8 << 20 };
	uint64_t alone, flooded, batches[SHOWN_BUCKETS];
	struct attached a = { 0 };
	struct flood f = { .cpu = 1 };
	struct lean reads;
	pthread_t thread;
	struct shown s;
	unsigned int i;

	if (nr_cpus() < 3)
		SKIP(exit(KSFT_SKIP), "needs three CPUs");
	stay_on(0);
	attach(&a, &opts);
	shown_find(&s, a.g);
	shown_set(&s, 0, "cpu", 2);
	shown_set(&s, 1, "cpu", 2);
	shown_set(&s, 0, "poll_ns_max", 1000000000);
	shown_set(&s, 0, "poll_ns_grow_start", 1000000000);
	ASSERT_EQ(0, lean_init(&f.lean, &a.g->vq[0], 340, LEAN_NO_TYPE,
			       a.d.sectors));
	ASSERT_EQ(0, lean_init(&reads, &a.g->vq[1], 32, VIRTIO_BLK_T_IN,
			       a.d.sectors));

	alone = chains_of(&reads);
	stop = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, flood, &f));
	flooded = chains_of(&reads);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_FALSE(f.failed);

	ksft_log("%llu chains alone, %llu next to %llu of the flood",
		 (unsigned long long)alone, (unsigned long long)flooded,
		 (unsigned long long)f.lean.chains);
	EXPECT_GE(flooded * 8, alone);
	EXPECT_GT(f.lean.chains, flooded);
	shown_hist(&s, 0, "batch_hist", batches);
	EXPECT_GT(batches[6], 0);		/* 64 to 127 */
	for (i = 7; i < SHOWN_BUCKETS; i++)
		EXPECT_EQ(0, batches[i]);
	detach_checked(&a);
}

/*
 * What is wrong, again and again
 */

static unsigned int many(void)
{
	const char *s = getenv("KSFT_FLOOD");

	return s ? atoi(s) : 1000000;
}

/* The kernel's log from here on. */
static int log_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	ASSERT_GE(fd, 0);
	ASSERT_GE(lseek(fd, 0, SEEK_END), 0);
	return fd;
}

/* No more than ten lines in five seconds. */
static void log_expect_quiet(int fd, int64_t start)
{
	int64_t ms = now_ms() - start;
	unsigned int lines = 0;
	char text[2048];
	ssize_t n;

	for (;;) {
		n = read(fd, text, sizeof(text) - 1);
		if (n < 0 && errno == EAGAIN)
			break;
		if (n > 0 && !lines++)
			ksft_log("log: %.*s", (int)n, text);
	}
	close(fd);
	ksft_log("%u lines in the log in %lld ms", lines, (long long)ms);
	EXPECT_LE(lines, 10 * (ms / 5000 + 1));
}

#define BAD_CHAINS	4

/* Four chains that do not parse; the last one is a read far beyond the end. */
static void write_bad_chains(struct attached *a)
{
	struct virtio_blk_outhdr *hdr;
	uint64_t at;

	ASSERT_EQ(0, guest_alloc(a->g, G_BULK, 8192, -1, 4096, &at));
	hdr = (void *)guest_hva(a->g, at);
	*hdr = (struct virtio_blk_outhdr){
		.type = VIRTIO_BLK_T_IN, .sector = 1ULL << 40
	};
	vq_desc(a->vq, 0, at, 16, VRING_DESC_F_NEXT, 0);
	vq_desc(a->vq, 1, at, 16, VRING_DESC_F_NEXT, a->vq->num);
	vq_desc(a->vq, 2, at, 8, VRING_DESC_F_INDIRECT, 0);
	vq_desc(a->vq, 3, at, 16, 0, 0);
	vq_desc(a->vq, BAD_CHAINS, at, 16, VRING_DESC_F_NEXT, 5);
	vq_desc(a->vq, 5, at + 16, 1025, VRING_DESC_F_WRITE, 0);
}

/* All of them have been answered: what the ring must look like from here. */
static void accept_used(struct gvq *vq)
{
	struct vring_used *is = vq->used_is;

	memcpy(is->ring, vq->used->ring, vq->num * sizeof(*is->ring));
	is->idx = vq->published;
	vq->last_used = vq->published;
}

TEST_TIMEOUT(bad_chains_fill_no_log, 120)
{
	const unsigned int kinds = BAD_CHAINS + 1, n = many() / kinds;
	struct attached a = { 0 };
	int64_t start = now_ms();
	struct shown s;
	unsigned int i, done;
	int log;

	attach(&a, NULL);
	shown_find(&s, a.g);
	write_bad_chains(&a);
	log = log_open();
	for (done = 0; done < n * kinds;) {
		for (i = 0; i < a.vq->num && done < n * kinds; i++)
			vq_push(a.vq, done++ % kinds);
		vq_publish_kick(a.vq);
		ASSERT_TRUE(vq_wait_used(a.vq, a.vq->published, G_WAIT_MS));
		accept_used(a.vq);
	}
	log_expect_quiet(log, start);
	EXPECT_EQ(n * BAD_CHAINS, shown_stat(&s, 0, "bad_chains"));
	EXPECT_EQ(n, shown_stat(&s, 0, "read_errors"));
	detach_checked(&a);
}

static void bad_ioctl(struct guest *g, unsigned int which)
{
	struct vhost_vring_state state = { .index = 0, .num = 3 };
	struct vhost_vring_file file = { .index = 0, .fd = 9999 };
	struct vhost_vring_addr addr = { .index = 0, .desc_user_addr = 1 };
	struct vhost_memory *mem = (void *)&state;
	uint64_t features = ~0ULL;
	int ret;

	switch (which % 10) {
	case 0: ret = ioctl(g->fd, VHOST_SET_OWNER); break;
	case 1: ret = ioctl(g->fd, VHOST_SET_FEATURES, &features); break;
	case 2: ret = ioctl(g->fd, VHOST_SET_VRING_NUM, &state); break;
	case 3: ret = ioctl(g->fd, VHOST_SET_VRING_ADDR, &addr); break;
	case 4: ret = ioctl(g->fd, VHOST_SET_VRING_KICK, &file); break;
	case 5: ret = ioctl(g->fd, VHOST_SET_VRING_CALL, &file); break;
	case 6: ret = ioctl(g->fd, VHOST_BLK_SET_BACKEND, &file); break;
	case 7: ret = ioctl(g->fd, VHOST_SET_MEM_TABLE, 1); break;
	case 8: mem->nregions = 1u << 20;
		ret = ioctl(g->fd, VHOST_SET_MEM_TABLE, mem); break;
	default: ret = ioctl(g->fd, _IO(VHOST_VIRTIO, 0xf0)); break;
	}
	EXPECT_EQ(-1, ret);
}

TEST_TIMEOUT(bad_ioctls_fill_no_log, 120)
{
	struct attached a = { 0 };
	int64_t start = now_ms();
	unsigned int i, n = many();
	int log;

	attach(&a, NULL);
	log = log_open();
	for (i = 0; i < n; i++)
		bad_ioctl(a.g, i);
	log_expect_quiet(log, start);
	EXPECT_EQ(0, still_serves(&a, a.vq));
	detach_checked(&a);
}

TEST_HARNESS_MAIN
