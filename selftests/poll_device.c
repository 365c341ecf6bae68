// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that go to the disk's poll queues and that nobody but the worker ends,
 * on any disk that has such queues. poll_disks.c has the disks that are special.
 */
#define _GNU_SOURCE
#include "load.h"

FIXTURE(disk) {
	struct load l;
};

FIXTURE_SETUP(disk)
{
	load_start(&self->l, backend_path(0));
}

FIXTURE_TEARDOWN(disk)
{
	EXPECT_EQ(0, still_serves(&self->l.a, self->l.a.vq));
	detach_checked(&self->l.a);
}

TEST_F(disk, one_after_the_other)
{
	unsigned int i;

	for (i = 0; i < 50; i++) {
		batch(&self->l.a, true, 1, i);
		batch(&self->l.a, false, 1, i);
	}
}

TEST_F(disk, batches)
{
	unsigned int n;

	for (n = 2; n <= 64; n *= 2) {
		batch(&self->l.a, true, n, 24);
		batch(&self->l.a, false, n, 24);
	}
}

/* The block layer makes one request of them. */
TEST_F(disk, batches_of_adjacent_requests)
{
	unsigned int n;

	for (n = 2; n <= 64; n += n / 2) {
		batch(&self->l.a, true, n, SMALL / G_SECTOR);
		batch(&self->l.a, false, n, SMALL / G_SECTOR);
	}
}

TEST_F(disk, small_ones_of_two_queues)
{
	self->l.kinds = 1u << KIND_SMALL;
	shown_set(&self->l.s, 0, "cpu", 0);
	load_run(&self->l, 1000);
	/* one poll queue for both workers, for sure */
	shown_set(&self->l.s, 1, "cpu", 0);
	load_run(&self->l, 500);
}

TEST_F(disk, polled_flushed_large_and_copied_ones)
{
	load_run(&self->l, 2000);
	EXPECT_GT(shown_stat(&self->l.s, 0, "bounced"), 0);
	EXPECT_GT(shown_stat(&self->l.s, 0, "flush_requests"), 0);
}

static void switch_polling(struct disturber *d, unsigned int n)
{
	const char *text = n % 2 ? "1\n" : "0\n";

	if (n % 16 < 12)
		snprintf(d->path, sizeof(d->path), "%s/queues/%u/poll_device",
			 d->s->dir, n / 2 % LANES);
	else
		snprintf(d->path, sizeof(d->path), SHOWN_PARAMS "/poll_device");
	disturber_put(d, text);
	/* a queue that has no setting of its own follows the parameter */
	if (n % 16 == 11)
		disturber_put(d, "\n");
	usleep(500 + n % 7 * 500);
}

TEST_F(disk, switched_on_and_off_under_load)
{
	struct disturber d = { .fn = switch_polling, .s = &self->l.s };
	const uint64_t was = shown_param("poll_device");

	load_disturbed(&self->l, &d, 2000, 50);
	EXPECT_EQ(0, file_put(SHOWN_PARAMS "/poll_device", was ? "1" : "0"));
}

/* Waits for all requests of the disk, the polled ones too. */
static void freeze_queue(struct disturber *d, unsigned int n)
{
	disturber_put(d, n % 2 ? "16" : "32");
	usleep(20000);
}

TEST_F(disk, queue_frozen_under_load)
{
	struct disturber d = { .fn = freeze_queue };
	char was[64];

	queue_file(d.path, sizeof(d.path), &self->l.a.d, "nr_requests");
	file_line(d.path, was, sizeof(was));
	load_disturbed(&self->l, &d, 1500, 10);
	EXPECT_EQ(0, file_put(d.path, was));
}

TEST_F(disk, elevator_changed_under_load)
{
	struct disturber d = { .fn = change_elevator };

	queue_file(d.path, sizeof(d.path), &self->l.a.d, "scheduler");
	load_disturbed(&self->l, &d, 1500, 6);
	queue_put(&self->l.a.d, "scheduler", "none");
}

static void switch_cpu(struct disturber *d, unsigned int n)
{
	disturber_put(d, n % 2 ? "1" : "0");
	usleep(50000);
}

/* The block layer waits for requests of a CPU's own poll queue. */
TEST_F_TIMEOUT(disk, cpu_goes_and_comes_under_load, 60)
{
	struct disturber d = { .fn = switch_cpu };
	char state[64];

	snprintf(d.path, sizeof(d.path), "/sys/devices/system/cpu/cpu1/online");
	if (access(d.path, W_OK))
		SKIP(return, "one CPU, or it cannot go");
	shown_set(&self->l.s, 0, "cpu", 0);
	shown_set(&self->l.s, 1, "cpu", 1);
	load_disturbed(&self->l, &d, 1500, 6);
	EXPECT_EQ(0, file_put(d.path, "1"));
	file_line(d.path, state, sizeof(state));
	EXPECT_STREQ("1", state);
	load_run(&self->l, 200);
}

static void freeze_all(struct disturber *d, unsigned int n)
{
	(void)n;
	disturber_put(d, "freeze");
	usleep(100000);
}

/*
 * All threads stop, but for the one that asked for it, as before a suspend; and a
 * second later go on.
 */
TEST_F_TIMEOUT(disk, frozen_as_for_suspend_under_load, 60)
{
	struct disturber d = { .fn = freeze_all, .path = "/sys/power/state" };
	const char *delay = "/sys/module/suspend/parameters/pm_test_delay";

	if (file_put("/sys/power/pm_test", "freezer") || file_put(delay, "1"))
		SKIP(return, "suspend cannot be tested");
	load_disturbed(&self->l, &d, 500, 2);
	EXPECT_EQ(0, file_put("/sys/power/pm_test", "none"));
	EXPECT_EQ(0, file_put(delay, "5"));
	load_run(&self->l, 200);
}

static void move_worker(struct disturber *d, unsigned int n)
{
	snprintf(d->path, sizeof(d->path), "%s/queues/%u/cpu", d->s->dir,
		 n % LANES);
	disturber_put(d, n / LANES % 2 ? "1\n" : "0\n");
	usleep(3000);
}

/* From one poll queue to the other, with requests in both. */
TEST_F(disk, workers_moved_under_load)
{
	struct disturber d = { .fn = move_worker, .s = &self->l.s };

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "one CPU");
	load_disturbed(&self->l, &d, 1500, 20);
}

TEST_F(disk, detached_and_attached_under_load)
{
	struct attached *a = &self->l.a;
	struct load *l = &self->l;
	unsigned int i, n;

	for (i = 0; i < 20; i++) {
		l->last_ms = now_ms();
		for (n = 0; n <= i % 4; n++)
			load_turn(l);
		ASSERT_EQ(0, guest_set_backend(a->g, -1));
		load_reap(l);
		ASSERT_EQ(0, guest_set_backend(a->g, a->d.fd));
		/* what was not taken before is taken now */
		load_settle(l);
	}
}

TEST_F(disk, memory_table_set_again_under_load)
{
	struct load *l = &self->l;
	unsigned int i, n;

	for (i = 0; i < 30; i++) {
		l->last_ms = now_ms();
		for (n = 0; n <= i % 4; n++)
			load_turn(l);
		ASSERT_EQ(0, guest_set_mem(self->l.a.g));
	}
	load_settle(l);
}

enum ending { BY_CLOSE, BY_EXIT, BY_KILL, ENDINGS };

/* A process with requests under way, until it ends or is ended. */
static void busy_child(enum ending ending, unsigned int turns)
{
	struct load l;
	unsigned int i;

	load_start(&l, backend_path(0));
	l.last_ms = now_ms();
	for (i = 0; i < turns || ending == BY_KILL; i++)
		load_turn(&l);
	if (ending == BY_CLOSE)
		close(l.a.g->fd);
	_exit(0);
}

TEST_TIMEOUT(owner_ends_under_load, 60)
{
	struct leaks before;
	unsigned int i;
	int status;
	pid_t pid;

	leaks_now(&before);
	for (i = 0; i < 4 * ENDINGS; i++) {
		enum ending ending = i % ENDINGS;

		fflush(stdout);
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid)
			busy_child(ending, 1 + i);
		if (ending == BY_KILL) {
			usleep(scaled_ms(100) * 1000 + i * 7000);
			ASSERT_EQ(0, kill(pid, SIGKILL));
		}
		ASSERT_TRUE(ksft_wait(pid, scaled_ms(G_WAIT_MS), &status));
		EXPECT_EQ(ending == BY_KILL, WIFSIGNALED(status));
		if (ending != BY_KILL)
			EXPECT_EQ(0, status);
	}
	EXPECT_TRUE(leaks_wait(&before, 2000));
	EXPECT_TRUE(disk_is_free(backend_path(0), 2000));
}

TEST_F(disk, awake_while_polled_asleep_when_idle)
{
	const unsigned int n = 30;
	uint64_t polled, us;

	no_window(&self->l.s);
	sleeps_for(&self->l.a, &self->l.s, 3);
	polled = sleeps_for(&self->l.a, &self->l.s, n);
	ksft_log("slept %llu times for %u requests",
		 (unsigned long long)polled, n);
	EXPECT_GE(polled, n);
	/* some more, as the timer that lets pages go may have woken it */
	EXPECT_LE(polled, n + n / 3);

	usleep(scaled_ms(1500) * 1000);
	us = worker_cpu_us();
	usleep(1000000);
	us = worker_cpu_us() - us;
	EXPECT_LE(us, 10000);
	EXPECT_TRUE(shown_state_is(&self->l.s, 0, "wait"));
}

/* Interrupts of the I/O queues of the NVMe controller that a disk is on. */
static uint64_t nvme_interrupts(const char *path)
{
	char line[4096], name[32], *at;
	unsigned int controller;
	uint64_t sum = 0;
	FILE *f;

	if (sscanf(path, "/dev/nvme%u", &controller) != 1)
		SKIP(exit(KSFT_SKIP), "no NVMe disk");
	snprintf(name, sizeof(name), "nvme%uq", controller);
	f = fopen("/proc/interrupts", "re");
	ASSERT_TRUE(f);
	while (fgets(line, sizeof(line), f)) {
		at = strstr(line, name);
		if (!at || at[strlen(name)] == '0')
			continue;
		for (at = strchr(line, ':') + 1; ; ) {
			char *end;

			sum += strtoull(at, &end, 10);
			if (end == at)
				break;
			at = end;
		}
	}
	fclose(f);
	return sum;
}

static uint64_t interrupts_for(struct attached *a, unsigned int n)
{
	uint64_t before = nvme_interrupts(a->d.path);
	char buf[SMALL];
	unsigned int i;

	for (i = 0; i < n; i++)
		ASSERT_EQ(0, guest_io_in(a->vq, 8 * i, buf, sizeof(buf), NULL));
	return nvme_interrupts(a->d.path) - before;
}

TEST_F(disk, polled_nvme_disk_does_not_interrupt)
{
	const unsigned int n = 50;

	EXPECT_EQ(0, interrupts_for(&self->l.a, n));
	poll_device(&self->l.s, 0);
	EXPECT_GE(interrupts_for(&self->l.a, n), n / 2);
	poll_device(&self->l.s, 1);
	EXPECT_EQ(0, interrupts_for(&self->l.a, n));
}

TEST_HARNESS_MAIN
