// SPDX-License-Identifier: GPL-2.0-only
/*
 * cores=auto: a guest of many queues, most of them idle. For a module that was
 * inserted with cores=auto and three or more CPUs in cpus=, without CPU 0.
 */
#define _GNU_SOURCE
#include "lean.h"
#include "shown.h"

#include <pthread.h>
#include <sched.h>

#define QUEUES	32
#define BUSY	3

/* What keeps one queue busy. */
struct driver {
	struct lean lean;
	pthread_t thread;
	bool stop, failed;
};

FIXTURE(guest) {
	struct attached a;
	struct shown s;
	struct driver driver[BUSY];
};

static void *drive(void *arg)
{
	struct driver *d = arg;
	struct lean *l = &d->lean;

	while (!__atomic_load_n(&d->stop, __ATOMIC_RELAXED)) {
		if (lean_reap(l) < 0)
			d->failed = true;
		while (l->nr_spare)
			lean_push(l, 1);
		lean_publish(l);
		lean_want_no_interrupt(l);
		usleep(200);
	}
	d->failed |= !lean_drain(l, G_WAIT_MS);
	return NULL;
}

static void driver_start(struct driver *d)
{
	d->stop = false;
	ASSERT_EQ(0, pthread_create(&d->thread, NULL, drive, d));
}

static void driver_stop(struct driver *d)
{
	__atomic_store_n(&d->stop, true, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(d->thread, NULL));
	EXPECT_FALSE(d->failed);
}

static int cpu_of(const struct shown *s, unsigned int q)
{
	return shown_number(s, q, "cpu");
}

/* How many cores the workers are on, and the first of them. */
static unsigned int cores(const struct shown *s, int *first)
{
	unsigned int q, n = 0;
	cpu_set_t set;
	int cpu;

	CPU_ZERO(&set);
	for (q = 0; q < QUEUES; q++)
		CPU_SET(cpu_of(s, q), &set);
	for (cpu = CPU_SETSIZE; cpu-- > 0;) {
		if (!CPU_ISSET(cpu, &set))
			continue;
		*first = cpu;
		n++;
	}
	return n;
}

/* Until all are together: how long that took, in ms. */
static int64_t wait_packed(const struct shown *s)
{
	int64_t start = now_ms();
	int first;

	while (cores(s, &first) > 1) {
		ASSERT_LT(now_ms(), start + scaled_ms(5000));
		usleep(10000);
	}
	ksft_log("all on CPU %d after %lld ms", first,
		 (long long)(now_ms() - start));
	return now_ms() - start;
}

/* Until queue @q is on no core of @others before it: how long that took. */
static int64_t wait_spread(const struct shown *s, unsigned int q,
			   unsigned int others)
{
	int64_t start = now_ms();
	unsigned int i;

	do {
		ASSERT_LT(now_ms(), start + scaled_ms(5000));
		usleep(1000);
		for (i = 0; i < others; i++)
			if (cpu_of(s, i) == cpu_of(s, q))
				break;
	} while (i < others);
	ksft_log("queue %u on CPU %d after %lld ms", q, cpu_of(s, q),
		 (long long)(now_ms() - start));
	return now_ms() - start;
}

/* A guest's own CPUs are others than the workers'. */
static void keep_off_the_cores(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(set), &set));
}

static void require_auto(void)
{
	char line[64];

	file_line(SHOWN_PARAMS "/cores", line, sizeof(line));
	if (strcmp(line, "auto"))
		SKIP(exit(KSFT_SKIP), "the module was inserted without cores=auto");
}

FIXTURE_SETUP(guest)
{
	struct guest_opts opts = { .nvqs = QUEUES };
	unsigned int i;

	require_auto();
	keep_off_the_cores();
	attach(&self->a, &opts);
	shown_find(&self->s, self->a.g);
	for (i = 0; i < BUSY; i++)
		ASSERT_EQ(0, lean_init(&self->driver[i].lean, &self->a.g->vq[i],
				       64, VIRTIO_BLK_T_IN, self->a.d.sectors));
	for (i = BUSY; i < QUEUES; i++)
		ASSERT_EQ(0, guest_flush(&self->a.g->vq[i]));
}

FIXTURE_TEARDOWN(guest)
{
	detach_checked(&self->a);
}

/* Less than a hundredth of one core for all of them, and nobody is woken. */
TEST_F(guest, idle_queues_share_a_core_and_cost_nothing)
{
	uint64_t waits = 0, us;
	unsigned int q;

	wait_packed(&self->s);
	for (q = 0; q < QUEUES; q++) {
		ASSERT_TRUE(shown_wait_idle(&self->s, q));
		waits += shown_stat(&self->s, q, "halt_successful_wait");
	}
	us = worker_cpu_us();
	sleep(3);
	us = worker_cpu_us() - us;
	ksft_log("%u idle workers used %llu us in 3 s", QUEUES,
		 (unsigned long long)us);
	EXPECT_LT(us, 30000);
	for (q = 0; q < QUEUES; q++)
		waits -= shown_stat(&self->s, q, "halt_successful_wait");
	EXPECT_EQ(0, waits);
}

/* Each gets a core of its own within a tenth of a second of waking up. */
TEST_F(guest, queues_that_wake_up_are_spread_out_and_packed_again)
{
	int first, i;

	wait_packed(&self->s);
	for (i = 0; i < BUSY; i++) {
		driver_start(&self->driver[i]);
		EXPECT_LE(wait_spread(&self->s, i, i), scaled_ms(100));
		usleep(300000);
	}
	EXPECT_EQ(BUSY, cores(&self->s, &first));
	for (i = 0; i < BUSY; i++)
		driver_stop(&self->driver[i]);
	wait_packed(&self->s);
}

TEST_HARNESS_MAIN
