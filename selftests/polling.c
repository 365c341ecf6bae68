// SPDX-License-Identifier: GPL-2.0-only
/*
 * When a worker polls and when it sleeps. The bounds leave room for machines that
 * are slow or have other things to do.
 */
#define _GNU_SOURCE
#include "lean.h"
#include "shown.h"

#include <sched.h>

#define MS	1000000ULL

FIXTURE(ring) {
	struct attached a;
	struct gvq *vq;
	struct shown s;
};

FIXTURE_VARIANT(ring) {
	uint64_t features;
};

FIXTURE_VARIANT_ADD(ring, event_idx) { .features = G_FEATURES };
FIXTURE_VARIANT_ADD(ring, flags) { .features = G_FEATURES & ~G_EVENT_IDX };

/* No interrupts: what is measured is the way to the device. */
static void keep_quiet(struct gvq *vq)
{
	if (vq->g->features & G_EVENT_IDX)
		vq_set_used_event(vq, vq->last_used + 0x8000);
	else
		vq_set_avail_flags(vq, VRING_AVAIL_F_NO_INTERRUPT);
}

/*
 * A worker does not poll while another thread wants its CPU: not this one. It
 * stays where it is.
 */
static void keep_off_the_worker(const struct shown *s)
{
	char line[64];
	cpu_set_t set;
	int cpu;

	file_line(shown_path(s, 0, "cpu"), line, sizeof(line));
	cpu = atoi(line);
	ASSERT_EQ(0, shown_tune(s, 0, "cpu", line));
	ASSERT_EQ(0, sched_getaffinity(0, sizeof(set), &set));
	if (cpu >= 0)
		CPU_CLR(cpu, &set);
	if (CPU_COUNT(&set) < (cpu < 0 ? 2 : 1))
		SKIP(exit(KSFT_SKIP), "needs two CPUs");
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(set), &set));
}

static void ring_start(struct attached *a, struct shown *s, uint64_t features)
{
	struct guest_opts opts = { .features = features };

	attach(a, &opts);
	shown_find(s, a->g);
	keep_quiet(a->vq);
}

FIXTURE_SETUP(ring)
{
	ring_start(&self->a, &self->s, variant->features);
	self->vq = self->a.vq;
	keep_off_the_worker(&self->s);
}

FIXTURE_TEARDOWN(ring)
{
	detach_checked(&self->a);
}

/* One read, waited for in memory; true when it took a kick. */
static bool one(struct gvq *vq)
{
	struct greq *r = req_new(vq, VIRTIO_BLK_T_IN, 0);
	uint16_t old = vq->published;
	bool kick;

	ASSERT_EQ(0, req_frame(r, "16 / 4096@0 1"));
	ASSERT_EQ(0, req_make(r));
	req_queue(r);
	vq_publish(vq);
	kick = vq_wants_kick(vq, old);
	if (kick)
		vq_kick(vq);
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	req_free(r);
	return kick;
}

/* @n requests, a pause before each; how many took a kick. */
static unsigned int run(struct gvq *vq, unsigned int n, unsigned int pause_us)
{
	unsigned int i, kicks = 0;

	for (i = 0; i < n; i++) {
		if (pause_us)
			usleep(pause_us);
		kicks += one(vq);
	}
	return kicks;
}

static void set_window(const struct shown *s, uint64_t max, uint64_t start,
		       uint64_t grow, uint64_t shrink)
{
	shown_set(s, 0, "poll_ns_max", max);
	shown_set(s, 0, "poll_ns_grow_start", start);
	shown_set(s, 0, "poll_ns_grow", grow);
	shown_set(s, 0, "poll_ns_shrink", shrink);
}

/* So long, from the first time that there is no work. */
static void set_fixed_window(const struct shown *s, uint64_t ns)
{
	set_window(s, ns, ns, 1, 1);
}

/* 50 ms, more on a slow machine. */
static uint64_t long_window(void)
{
	uint64_t ns = scaled_ms(50) * MS;

	return ns < 1000 * MS ? ns : 1000 * MS;
}

/* Values of counters now, or what has been added since. */
struct halts {
	uint64_t attempted, hit, waits, kicks, sent, chains;
};

static void halts_now(struct halts *h, const struct shown *s)
{
	h->attempted = shown_stat(s, 0, "halt_attempted_poll");
	h->hit = shown_stat(s, 0, "halt_successful_poll");
	h->waits = shown_stat(s, 0, "halt_successful_wait");
	h->kicks = shown_stat(s, 0, "kicks");
	h->sent = shown_stat(s, 0, "interrupts_sent");
	h->chains = shown_stat(s, 0, "chains");
}

static void halts_since(struct halts *h, const struct shown *s)
{
	struct halts now;

	halts_now(&now, s);
	h->attempted = now.attempted - h->attempted;
	h->hit = now.hit - h->hit;
	h->waits = now.waits - h->waits;
	h->kicks = now.kicks - h->kicks;
	h->sent = now.sent - h->sent;
	h->chains = now.chains - h->chains;
	ksft_log("polled %llu, caught %llu, slept %llu, kicks %llu, interrupts %llu, chains %llu",
		 (unsigned long long)h->attempted, (unsigned long long)h->hit,
		 (unsigned long long)h->waits, (unsigned long long)h->kicks,
		 (unsigned long long)h->sent, (unsigned long long)h->chains);
}

/* An interrupt that is held makes a worker poll too: there are none. */
TEST_F(ring, never_polls_with_a_window_of_0)
{
	struct halts h;
	unsigned int i;

	set_window(&self->s, 0, 10000, 2, 2);
	shown_set(&self->s, 0, "hold_us", 0);
	run(self->vq, 2, 0);
	ASSERT_TRUE(shown_wait_asleep(&self->s, 0));
	halts_now(&h, &self->s);
	for (i = 0; i < 50; i++) {
		EXPECT_TRUE(one(self->vq));
		ASSERT_TRUE(shown_wait_asleep(&self->s, 0));
		EXPECT_EQ(0, shown_number(&self->s, 0, "poll_ns"));
	}
	halts_since(&h, &self->s);
	EXPECT_EQ(0, h.attempted);
	EXPECT_EQ(50, h.kicks);
	EXPECT_GE(h.waits, 50);
}

TEST_F(ring, long_window_needs_no_kicks)
{
	const unsigned int n = 200;
	unsigned int kicks;
	struct halts h;

	set_fixed_window(&self->s, long_window());
	run(self->vq, 20, 2000);
	EXPECT_EQ(long_window(), shown_number(&self->s, 0, "poll_ns"));
	halts_now(&h, &self->s);
	kicks = run(self->vq, n, 2000);
	halts_since(&h, &self->s);
	EXPECT_EQ(kicks, h.kicks);
	EXPECT_LE(kicks, n / 20);
	EXPECT_GE(h.hit, n / 2);
	EXPECT_EQ(n, h.chains);
}

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

/*
 * From 0 to the start, then twice as long each time, until a request every 20 ms
 * is caught. A request under way is also something to wait for.
 */
TEST_F(ring, window_grows_until_requests_are_caught)
{
	const uint64_t max = 1000 * MS;
	uint64_t window, last = 0;
	struct halts h;
	unsigned int i;

	EXPECT_EQ(0, shown_number(&self->s, 0, "poll_ns"));
	set_window(&self->s, max, MS, 2, 2);
	for (i = 0; i < 15; i++) {
		run(self->vq, 1, 20000);
		window = shown_number(&self->s, 0, "poll_ns");
		ksft_log("%llu us", (unsigned long long)window / 1000);
		EXPECT_GE(window, last);
		EXPECT_LE(window, last * 4 > MS ? last * 4 : 2 * MS);
		EXPECT_TRUE(window == max ||
			    (!(window % MS) && is_power_of_two(window / MS)));
		last = window;
	}
	EXPECT_GE(window, 20 * MS);
	halts_now(&h, &self->s);
	run(self->vq, 20, 20000);
	halts_since(&h, &self->s);
	EXPECT_GE(h.hit, 10);
	EXPECT_LE(h.kicks, 10);
}

TEST_F(ring, window_shrinks_when_requests_get_rare)
{
	const uint64_t max = 400 * MS;
	uint64_t window = max;
	unsigned int i;

	set_fixed_window(&self->s, max);
	run(self->vq, 3, 2000);
	EXPECT_EQ(max, shown_number(&self->s, 0, "poll_ns"));

	/* From here on it cannot grow: not for a request under way either. */
	set_window(&self->s, max, MS, 0, 2);
	for (i = 0; i < 2; i++) {
		run(self->vq, 1, 600000);
		window /= 2;
		EXPECT_EQ(window, shown_number(&self->s, 0, "poll_ns"));
	}
	run(self->vq, 10, 2000);
	EXPECT_EQ(window, shown_number(&self->s, 0, "poll_ns"));

	/* The longest is a limit for what there is already. */
	shown_set(&self->s, 0, "poll_ns_max", window - 1);
	run(self->vq, 2, 2000);
	EXPECT_EQ(window - 1, shown_number(&self->s, 0, "poll_ns"));

	shown_set(&self->s, 0, "poll_ns_shrink", 0);
	run(self->vq, 1, 600000);
	EXPECT_EQ(0, shown_number(&self->s, 0, "poll_ns"));
}

/*
 * One request every 300 us, up to 16 under way, taken back when an interrupt
 * comes.
 */
static void submit_slowly(struct gvq *vq, struct lean *l, unsigned int ms)
{
	int64_t end = now_ms() + ms;

	while (now_ms() < end) {
		if (l->nr_spare) {
			lean_push(l, 1);
			lean_publish(l);
		}
		usleep(300);
		if (!event_wait(vq->call, 0))
			continue;
		ASSERT_GE(lean_reap(l), 0);
		if (vq->g->features & G_EVENT_IDX)
			vq_set_used_event(vq, vq->last_used);
	}
}

/*
 * While an interrupt is held for requests that come slowly the worker sleeps,
 * without a kick for each.
 */
TEST_F(ring, naps_while_an_interrupt_is_held)
{
	uint64_t waited, lived;
	struct halts h;
	struct lean l;

	set_window(&self->s, 0, 10000, 2, 2);
	shown_set(&self->s, 0, "hold_us", 10000);
	if (variant->features & G_EVENT_IDX)
		vq_set_used_event(self->vq, self->vq->last_used);
	else
		vq_set_avail_flags(self->vq, 0);
	ASSERT_EQ(0, lean_init(&l, self->vq, 16, VIRTIO_BLK_T_IN, 64));
	submit_slowly(self->vq, &l, scaled_ms(300));
	halts_now(&h, &self->s);
	waited = shown_stat(&self->s, 0, "halt_wait_ns");
	lived = shown_stat(&self->s, 0, "lifetime_ns");
	submit_slowly(self->vq, &l, scaled_ms(500));
	waited = shown_stat(&self->s, 0, "halt_wait_ns") - waited;
	lived = shown_stat(&self->s, 0, "lifetime_ns") - lived;
	halts_since(&h, &self->s);
	ksft_log("asleep for %llu of %llu us", (unsigned long long)waited / 1000,
		 (unsigned long long)lived / 1000);
	EXPECT_GE(h.chains, 100);
	EXPECT_LE(4 * h.sent, h.chains);
	EXPECT_LE(4 * h.kicks, h.chains);
	EXPECT_GE(2 * waited, lived);
	keep_quiet(self->vq);
	ASSERT_TRUE(lean_drain(&l, G_WAIT_MS));
	lean_free(&l);
}

/* Always @depth chains under way, @n in all. */
static void keep_going(struct attached *a, unsigned int depth, unsigned int n)
{
	struct lean l;

	ASSERT_EQ(0, lean_init(&l, a->vq, depth, VIRTIO_BLK_T_IN,
			       a->d.sectors));
	while (l.chains < n) {
		ASSERT_GE(lean_reap(&l), 0);
		while (l.nr_spare)
			lean_push(&l, 1);
		lean_publish(&l);
		sched_yield();
	}
	ASSERT_TRUE(lean_drain(&l, G_WAIT_MS));
	lean_free(&l);
}

/* With the window that the worker finds for itself. */
static void expect_steady(struct attached *a, const struct shown *s,
			  unsigned int depth)
{
	struct halts h;

	set_window(s, long_window(), MS, 2, 2);
	keep_going(a, depth, 500);
	halts_now(&h, s);
	keep_going(a, depth, 3000);
	halts_since(&h, s);
	EXPECT_GE(h.chains, 3000);
	EXPECT_LE(h.kicks, h.chains / 100);
}

TEST_F_TIMEOUT(ring, steady_load_needs_no_kicks, 60)
{
	expect_steady(&self->a, &self->s, 1);
	expect_steady(&self->a, &self->s, 32);
}

/* Load for which the worker polls, with the parameters of the module. */
static void burst(struct attached *a, const struct shown *s)
{
	struct halts h;

	EXPECT_GT(shown_number(s, 0, "poll_ns_max"), 0);
	halts_now(&h, s);
	keep_going(a, 1, 500);
	keep_going(a, 32, 3000);
	halts_since(&h, s);
	EXPECT_GT(h.attempted, 0);
}

/* Two workers: of a driver with event indices, and of one without. */
struct idle {
	struct attached a;
	struct shown s;
	struct halts h;
};

static void idle_begin(struct idle *idle)
{
	EXPECT_TRUE(shown_state_is(&idle->s, 0, "wait"));
	halts_now(&idle->h, &idle->s);
}

/* It has woken up once at most, to let the guest's pages go. */
static void idle_end(struct idle *idle)
{
	EXPECT_TRUE(shown_state_is(&idle->s, 0, "wait"));
	EXPECT_EQ(0, shown_number(&idle->s, 0, "cached_pages"));
	halts_since(&idle->h, &idle->s);
	EXPECT_LE(idle->h.attempted, 1);
	EXPECT_LE(idle->h.waits, 1);
	EXPECT_TRUE(one(idle->a.vq));
}

/* Less than a thousandth of a core for both. */
TEST_TIMEOUT(sleeps_when_idle, 60)
{
	struct idle idle[2] = { 0 };
	const unsigned int seconds = 10;
	unsigned int i;
	uint64_t us;

	for (i = 0; i < 2; i++) {
		ring_start(&idle[i].a, &idle[i].s,
			   i ? G_FEATURES & ~G_EVENT_IDX : G_FEATURES);
		shown_set(&idle[i].s, 0, "cpu", 0);
		keep_off_the_worker(&idle[i].s);
	}
	for (i = 0; i < 2; i++)
		burst(&idle[i].a, &idle[i].s);
	usleep(scaled_ms(100) * 1000);
	for (i = 0; i < 2; i++)
		idle_begin(&idle[i]);
	us = worker_cpu_us();
	sleep(seconds);
	us = worker_cpu_us() - us;
	ksft_log("%llu us of %u s", (unsigned long long)us, seconds);
	EXPECT_LT(us, seconds * 1000);
	for (i = 0; i < 2; i++) {
		idle_end(&idle[i]);
		detach_checked(&idle[i].a);
	}
}

/* Both sides poll: no exits in either direction. */
TEST_F_TIMEOUT(ring, no_kicks_and_no_interrupts_when_both_poll, 60)
{
	unsigned int kicks;
	struct halts h;

	set_fixed_window(&self->s, long_window());
	run(self->vq, 20, 0);
	halts_now(&h, &self->s);
	kicks = run(self->vq, 1000, 0);
	ASSERT_TRUE(shown_wait_asleep(&self->s, 0));
	halts_since(&h, &self->s);
	EXPECT_LE(kicks, 10);
	EXPECT_EQ(kicks, h.kicks);
	EXPECT_EQ(1000, h.chains);
	EXPECT_EQ(0, h.sent);
	EXPECT_EQ(0, shown_stat(&self->s, 0, "interrupts_sent"));
	EXPECT_EQ(0, event_wait(self->vq->call, 0));
}

/* Requests to a disk that takes its time, by a worker that never polls. */
FIXTURE(slow) {
	struct attached a;
	struct gvq *vq;
	struct shown s;
};

FIXTURE_SETUP(slow)
{
	const struct guest_opts opts = { .num = 256 };

	attach_path(&self->a, special_path("KSFT_DELAY"), O_RDWR, &opts);
	self->vq = self->a.vq;
	shown_find(&self->s, self->a.g);
	set_fixed_window(&self->s, 0);
	shown_set(&self->s, 0, "hold_us", 0);
	run(self->vq, 1, 0);
	/* of a new ring it is the only one */
	ASSERT_EQ(1, event_wait(self->vq->call, G_WAIT_MS));
}

FIXTURE_TEARDOWN(slow)
{
	detach_checked(&self->a);
}

static struct greq *slow_begin(struct gvq *vq, uint32_t type, const char *frame)
{
	struct greq *r = req_new(vq, type, 0);

	ASSERT_EQ(0, req_frame(r, frame));
	ASSERT_EQ(0, req_make(r));
	req_queue(r);
	vq_publish_kick(vq);
	return r;
}

static void slow_end(struct greq *r)
{
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	req_free(r);
}

/* Like a driver of today: the same header and status byte again and again. */
static void slow_lean(struct lean *l, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		vq_set_used_event(l->vq, l->vq->last_used);
		lean_push(l, 1);
		lean_publish(l);
		ASSERT_EQ(1, event_wait(l->vq->call, G_WAIT_MS));
		ASSERT_EQ(1, lean_reap(l));
	}
}

/* The worker is woken by the kick, and not by the end of the request. */
TEST_F(slow, small_requests_are_answered_while_the_worker_sleeps)
{
	const unsigned int n = 8;
	uint64_t direct, sent, waits;
	struct lean l;

	ASSERT_EQ(0, lean_init(&l, self->vq, 1, VIRTIO_BLK_T_IN, 64));
	slow_lean(&l, 1);
	ASSERT_TRUE(shown_wait_asleep(&self->s, 0));
	direct = shown_stat(&self->s, 0, "completed_direct");
	sent = shown_stat(&self->s, 0, "interrupts_sent");
	waits = shown_stat(&self->s, 0, "halt_successful_wait");
	slow_lean(&l, n);
	ASSERT_TRUE(shown_wait_asleep(&self->s, 0));
	direct = shown_stat(&self->s, 0, "completed_direct") - direct;
	waits = shown_stat(&self->s, 0, "halt_successful_wait") - waits;
	ksft_log("%llu of %u, slept %llu times", (unsigned long long)direct, n,
		 (unsigned long long)waits);
	/* once a second pages are let go, the one with the status among them */
	EXPECT_GE(direct, n - 3);
	EXPECT_LE(direct, n);
	EXPECT_EQ(sent + n, shown_stat(&self->s, 0, "interrupts_sent"));
	EXPECT_GE(waits, n);
	EXPECT_LE(waits, n + n / 2);
	lean_free(&l);
}

/* Whose pages have to be unpinned one by one. */
TEST_F(slow, large_requests_wake_the_worker)
{
	uint64_t direct = shown_stat(&self->s, 0, "completed_direct");
	unsigned int i;

	for (i = 0; i < 3; i++)
		slow_end(slow_begin(self->vq, VIRTIO_BLK_T_IN,
				    "16 / 131072@0 1"));
	EXPECT_EQ(direct, shown_stat(&self->s, 0, "completed_direct"));
}

/* A worker that is to go has to know when the last request is done. */
TEST_F(slow, last_request_before_detaching)
{
	struct greq *r = slow_begin(self->vq, VIRTIO_BLK_T_IN,
				    "16 / 4096@0 1");

	usleep(20000);
	ASSERT_EQ(0, guest_set_backend(self->a.g, -1));
	EXPECT_TRUE(req_wait(r, 0));
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	req_free(r);
}

TEST_HARNESS_MAIN
