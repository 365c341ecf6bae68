// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the worker does while polled requests are under way, which end only when it
 * looks: on an NVMe disk that takes SLOW_MS for each request and has a poll queue
 * per CPU. Its driver looks by itself after 30 s, which is too late here.
 */
#define _GNU_SOURCE
#include "load.h"

#define SLOW_MS	100		/* see latency= in run.sh */
#define LATE_MS	2000
#define SOME	8
#define CPU1_ONLINE "/sys/devices/system/cpu/cpu1/online"

FIXTURE(slow) {
	struct load l;
	struct attached *a;
	struct shown *s;
};

FIXTURE_SETUP(slow)
{
	load_start(&self->l, backend_path(0));
	self->a = &self->l.a;
	self->s = &self->l.s;
	no_window(self->s);
}

FIXTURE_TEARDOWN(slow)
{
	detach_checked(&self->l.a);
	if (!access(CPU1_ONLINE, W_OK))
		EXPECT_EQ(0, file_put(CPU1_ONLINE, "1"));
}

static struct greq *begin(struct attached *a, enum kind kind)
{
	struct greq *r = req_new(a->vq, VIRTIO_BLK_T_IN, 0);

	r->indirect = true;
	ASSERT_EQ(0, req_frame(r, frames[kind][1]));
	ASSERT_EQ(0, req_submit(r));
	return r;
}

/* @n of them, which the worker has when this returns. */
static void begin_some(struct attached *a, const struct shown *s,
		       struct greq **r, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		r[i] = begin(a, KIND_SMALL);
	ASSERT_TRUE(shown_wait_in_flight(s, 0, n, scaled_ms(LATE_MS)));
}

static void end(struct greq *r)
{
	ASSERT_TRUE(req_wait(r, LATE_MS));
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	req_free(r);
}

static void end_some(struct greq **r, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		end(r[i]);
}

/* Once for each, when it has been answered; not before. */
TEST_F(slow, awake_until_the_disk_has_answered)
{
	const unsigned int n = 5;
	unsigned int i;
	uint64_t slept;
	int64_t ms;

	end(begin(self->a, KIND_SMALL));
	ASSERT_TRUE(shown_wait_asleep(self->s, 0));
	slept = sleeps(self->s);
	ms = now_ms();
	for (i = 0; i < n; i++) {
		end(begin(self->a, KIND_SMALL));
		ASSERT_TRUE(shown_wait_asleep(self->s, 0));
	}
	EXPECT_GE(now_ms() - ms, n * SLOW_MS);
	slept = sleeps(self->s) - slept;
	EXPECT_GE(slept, n);
	EXPECT_LE(slept, n + 1);
}

TEST_F(slow, detached_meanwhile)
{
	struct greq *r[SOME];
	int64_t start;

	begin_some(self->a, self->s, r, SOME);
	start = now_ms();
	ASSERT_EQ(0, guest_set_backend(self->a->g, -1));
	EXPECT_LT(now_ms() - start, scaled_ms(LATE_MS));
	end_some(r, SOME);
	ASSERT_EQ(0, guest_set_backend(self->a->g, self->a->d.fd));
	end(begin(self->a, KIND_SMALL));
}

static void freeze_queue_once(struct disturber *d, unsigned int n)
{
	disturber_put(d, n % 2 ? "16" : "32");
	d->stop = true;
}

/*
 * A change of the disk's queue waits for what is polled, and all that comes later
 * for that change. So a request that would wait must not, before the polled ones
 * have ended.
 */
TEST_F(slow, large_one_comes_while_the_queue_is_to_change)
{
	struct disturber d = { .fn = freeze_queue_once };
	struct greq *r[SOME], *large;
	unsigned int i;
	char was[64];

	queue_file(d.path, sizeof(d.path), &self->a->d, "nr_requests");
	file_line(d.path, was, sizeof(was));
	end(begin(self->a, KIND_SMALL));
	for (i = 0; i < 4; i++) {
		begin_some(self->a, self->s, r, SOME);
		d.stop = false;
		disturber_start(&d);
		usleep(SLOW_MS * 1000 / 4);
		large = begin(self->a, KIND_LARGE);
		end_some(r, SOME);
		end(large);
		disturber_end(&d, i + 1);
	}
	EXPECT_EQ(0, file_put(d.path, was));
}

/* Always some under way: as long as there is load, the worker has no rest. */
static bool back_on_one_cpu(struct attached *a, pid_t worker)
{
	int64_t late = now_ms() + scaled_ms(LATE_MS);
	struct greq *r[SOME];
	unsigned int i;
	cpu_set_t set;
	bool back = false;

	for (i = 0; i < SOME; i++) {
		r[i] = begin(a, KIND_SMALL);
		usleep(SLOW_MS * 1000 / SOME);
	}
	CPU_ZERO(&set);
	CPU_SET(0, &set);
	CPU_SET(1, &set);
	ASSERT_EQ(0, sched_setaffinity(worker, sizeof(set), &set));
	while (!back && now_ms() < late) {
		ASSERT_GE(vq_reap(a->vq), 0);
		for (i = 0; i < SOME; i++) {
			if (!r[i]->done)
				continue;
			end(r[i]);
			r[i] = begin(a, KIND_SMALL);
		}
		ASSERT_EQ(0, sched_getaffinity(worker, sizeof(set), &set));
		back = CPU_COUNT(&set) == 1;
		sched_yield();
	}
	end_some(r, SOME);
	return back;
}

/* That may take time, so the worker takes no more until it has been done. */
TEST_F(slow, put_back_on_its_cpu_under_load)
{
	unsigned int i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "one CPU");
	for (i = 0; i < 4; i++) {
		shown_set(self->s, 0, "cpu", i % 2);
		EXPECT_TRUE(back_on_one_cpu(self->a, shown_number(self->s, 0,
								  "worker")));
		EXPECT_EQ(i % 2, shown_number(self->s, 0, "cpu"));
	}
}

static void cpu_goes(struct disturber *d, unsigned int n)
{
	(void)n;
	disturber_put(d, "0");
	d->stop = true;
}

/*
 * The block layer waits for what is in the poll queue of a CPU that goes. The worker
 * has left it, and if somebody changes its CPUs then, that has to wait.
 */
TEST_F(slow, placement_changes_while_a_cpu_goes)
{
	struct disturber d = { .fn = cpu_goes, .path = CPU1_ONLINE };
	struct greq *r[SOME];
	unsigned int i;
	cpu_set_t set;

	if (access(CPU1_ONLINE, W_OK))
		SKIP(return, "one CPU, or it cannot go");
	for (i = 0; i < 3; i++) {
		shown_set(self->s, 0, "cpu", 1);
		end(begin(self->a, KIND_SMALL));
		begin_some(self->a, self->s, r, SOME);
		d.stop = false;
		disturber_start(&d);
		while (shown_is(self->s, 0, "cpu", "1"))
			sched_yield();
		ksft_log("%s have ended", r[0]->done ? "some" : "none");
		CPU_ZERO(&set);
		CPU_SET(0, &set);
		CPU_SET(1, &set);
		EXPECT_EQ(0, sched_setaffinity(shown_number(self->s, 0, "worker"),
					       sizeof(set), &set));
		end_some(r, SOME);
		disturber_end(&d, i + 1);
		EXPECT_EQ(0, file_put(CPU1_ONLINE, "1"));
	}
}

/*
 * All threads stop for a second, as before a suspend: the worker not before the disk
 * has answered.
 */
TEST_F(slow, frozen_meanwhile)
{
	const char *delay = "/sys/module/suspend/parameters/pm_test_delay";
	const char *sync = "/sys/power/sync_on_suspend";
	struct greq *r[SOME];
	uint64_t ns;

	if (file_put("/sys/power/pm_test", "freezer") || file_put(delay, "1") ||
	    file_put(sync, "0"))
		SKIP(return, "suspend cannot be tested");
	end(begin(self->a, KIND_SMALL));
	ns = shown_stat(self->s, 0, "latency_ns");
	begin_some(self->a, self->s, r, SOME);
	EXPECT_EQ(0, file_put("/sys/power/state", "freeze"));
	end_some(r, SOME);
	ns = (shown_stat(self->s, 0, "latency_ns") - ns) / SOME;
	ksft_log("answered after %llu ms", (unsigned long long)ns / 1000000);
	EXPECT_LT(ns, 1000000000);
	EXPECT_EQ(0, file_put("/sys/power/pm_test", "none"));
	EXPECT_EQ(0, file_put(delay, "5"));
	EXPECT_EQ(0, file_put(sync, "1"));
}

TEST_HARNESS_MAIN
