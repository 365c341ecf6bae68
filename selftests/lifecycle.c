// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a device: by close, exit, exec, SIGKILL or detach, at every stage
 * and under load. Nothing may be left behind.
 */
#define _GNU_SOURCE
#include "owner.h"

#include <sys/prctl.h>

#define LOAD	128

enum ending { BY_CLOSE, BY_EXIT, BY_EXEC, BY_KILL };

/* Runs the first @steps of the set-up (all and the backend if more), then ends. */
static void short_life(const char *path, unsigned int steps, enum ending ending)
{
	struct guest *g = guest_new(NULL);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	unsigned int i;

	for (i = 0; i < steps && i < guest_steps(); i++)
		if (guest_step(g, i))
			_exit(10 + i);
	if (steps > guest_steps() && guest_set_backend(g, fd))
		_exit(20);
	switch (ending) {
	case BY_EXEC:
		execl("/bin/true", "true", NULL);
		_exit(21);
	case BY_KILL:
		raise(SIGKILL);
		_exit(22);
	default:
		_exit(0);
	}
}

FIXTURE(set_up) {
	struct leaks before;
};

FIXTURE_VARIANT(set_up) {
	enum ending ending;
};

FIXTURE_VARIANT_ADD(set_up, then_exit) { .ending = BY_EXIT };
FIXTURE_VARIANT_ADD(set_up, then_exec) { .ending = BY_EXEC };
FIXTURE_VARIANT_ADD(set_up, then_killed) { .ending = BY_KILL };

FIXTURE_SETUP(set_up)
{
	leaks_now(&self->before);
}

FIXTURE_TEARDOWN(set_up)
{
}

TEST_F(set_up, leaves_nothing_after_any_step)
{
	const char *path = backend_path(0);
	unsigned int steps, round;
	int status;
	pid_t pid;

	for (round = 0; round < 2; round++) {
		for (steps = 0; steps <= guest_steps() + 1; steps++) {
			fflush(stdout);
			pid = fork();
			ASSERT_GE(pid, 0);
			if (!pid)
				short_life(path, steps, variant->ending);
			ASSERT_TRUE(ksft_wait(pid, scaled_ms(G_WAIT_MS), &status));
			if (variant->ending == BY_KILL)
				ASSERT_TRUE(WIFSIGNALED(status));
			else
				ASSERT_EQ(0, status);
		}
	}
	EXPECT_TRUE(leaks_wait(&self->before, 2000));
	EXPECT_TRUE(disk_is_free(path, 2000));
}

TEST(close_after_any_step_leaves_nothing)
{
	const char *path = backend_path(0);
	struct leaks before, after;
	struct guest *g = guest_new(NULL);
	unsigned int steps, round, i;
	int fd;

	leaks_now(&before);
	for (round = 0; round < 10; round++) {
		for (steps = 1; steps <= guest_steps() + 1; steps++) {
			fd = open(path, O_RDWR | O_CLOEXEC);
			for (i = 0; i < steps && i < guest_steps(); i++)
				ASSERT_EQ(0, guest_step(g, i));
			if (steps > guest_steps())
				ASSERT_EQ(0, guest_set_backend(g, fd));
			close(g->fd);
			close(fd);
		}
	}
	g->fd = -1;
	/* close() is the end, not the beginning of it */
	leaks_now(&after);
	EXPECT_EQ(before.threads, after.threads);
	EXPECT_EQ(before.pins, after.pins);
	EXPECT_TRUE(leaks_wait(&before, 1000));
	EXPECT_TRUE(disk_is_free(path, 0));
}

/* Memory and rings may go before the device does: munmap, then close. */
TEST(memory_unmapped_before_close)
{
	struct attached a = { 0 };
	struct leaks before;
	struct greq *r[32];
	unsigned int i;

	leaks_now(&before);
	attach(&a, NULL);
	for (i = 0; i < ARRAY_SIZE(r); i++) {
		r[i] = req_new(a.vq, VIRTIO_BLK_T_IN, i * 8);
		ASSERT_EQ(0, req_frame(r[i], "16 / 4096 1"));
		ASSERT_EQ(0, req_submit(r[i]));
	}
	for (i = 0; i < G_REGIONS; i++)
		munmap(a.g->region[i].hva, a.g->region[i].size);
	close(a.g->fd);
	EXPECT_TRUE(leaks_wait(&before, 2000));
	EXPECT_EQ(0, close(a.d.fd));
	EXPECT_EQ(0, close(a.d.host));
	EXPECT_TRUE(disk_is_free(backend_path(0), 2000));
}

/* The slow part of the KSFT_DELAY device: first MiB, 200 ms per request. */
static void load(struct attached *a, struct greq **r, uint32_t type)
{
	unsigned int i;

	for (i = 0; i < LOAD; i++) {
		r[i] = req_new(a->vq, type, i * 8);
		r[i]->indirect = true;
		ASSERT_EQ(0, req_frame(r[i], type == VIRTIO_BLK_T_IN ?
				       "16 / 4096 1" : "16 4096 / 1"));
		ASSERT_EQ(0, req_submit(r[i]));
	}
	/* All of them are with the device: it waits for more. */
	ASSERT_TRUE(vq_wait_armed(a->vq, G_WAIT_MS));
}

static void stamp(struct guest *g)
{
	unsigned int i;

	for (i = 0; i < G_REGIONS; i++)
		memset(g->region[i].hva, 0x33, g->region[i].size);
}

static bool stamped(struct guest *g)
{
	unsigned int i;
	size_t at;

	for (i = 0; i < G_REGIONS; i++) {
		for (at = 0; at < g->region[i].size; at++) {
			if (g->region[i].hva[at] == 0x33)
				continue;
			ksft_log("region %u byte %#zx is %#x", i, at,
				 g->region[i].hva[at]);
			return false;
		}
	}
	return true;
}

/* Detach waits for what is in flight; then the memory is ours alone. */
TEST(nothing_is_written_after_detach_returns)
{
	static const struct guest_opts opts = { .num = 256 };
	struct attached a = { 0 };
	struct greq *r[LOAD];
	int64_t end;

	attach_path(&a, special_path("KSFT_DELAY"), O_RDWR, &opts);
	load(&a, r, VIRTIO_BLK_T_IN);
	ASSERT_EQ(0, guest_set_backend(a.g, -1));
	EXPECT_EQ(LOAD, vq_used_idx(a.vq));
	EXPECT_EQ(LOAD, vq_get_base(a.vq));
	EXPECT_EQ(LOAD, vq_reap(a.vq));
	stamp(a.g);
	/* longer than any request could still be under way */
	for (end = now_ms() + 600; now_ms() < end;)
		ASSERT_TRUE(stamped(a.g));
	EXPECT_EQ(LOAD, vq_get_base(a.vq));
}

static void live_with_load(int ready, const void *path)
{
	static const struct guest_opts opts = { .num = 256 };
	struct attached a = { 0 };
	struct greq *r[LOAD];

	attach_path(&a, path, O_RDWR, &opts);
	load(&a, r, VIRTIO_BLK_T_OUT);
	owner_ready(ready);
}

static void kill_under_load(const char *path, int most_ms)
{
	struct owner o;

	ASSERT_TRUE(owner_start(&o, live_with_load, path));
	owner_kill(&o);
	owner_is_gone(&o, path, most_ms);
}

TEST(killed_owner_leaves_nothing)
{
	kill_under_load(special_path("KSFT_DELAY"), 3000);
}

/* Requests that take 3 s: waits for them, not much longer. */
TEST(killed_owner_of_a_very_slow_disk_leaves_nothing)
{
	kill_under_load(special_path("KSFT_DELAY_LONG"), 8000);
}

static int dmsetup(const char *what, const char *path)
{
	char command[300];

	snprintf(command, sizeof(command), "dmsetup %s %s", what, path);
	return system(command);
}

/* A disk that hangs holds up its own owner and nobody else. */
TEST_TIMEOUT(other_disks_work_while_a_killed_owner_waits_for_a_stuck_one, 60)
{
	const char *path = special_path("KSFT_DELAY");
	int64_t start, worst = 0;
	unsigned int i, step;
	struct owner o;
	struct guest *g;
	int fd;

	ASSERT_EQ(0, dmsetup("suspend --noflush --nolockfs", path));
	if (!owner_start(&o, live_with_load, path))
		dmsetup("resume", path);
	owner_kill(&o);

	for (i = 0; i < 5; i++) {
		fd = open(backend_path(0), O_RDWR | O_CLOEXEC);
		g = guest_new(NULL);
		start = now_ms();
		for (step = 0; step < guest_steps(); step++)
			EXPECT_EQ(0, guest_step(g, step));
		EXPECT_EQ(0, guest_set_backend(g, fd));
		EXPECT_EQ(0, guest_set_backend(g, -1));
		close(g->fd);
		g->fd = -1;
		if (now_ms() - start > worst)
			worst = now_ms() - start;
		guest_delete(g);
		close(fd);
	}
	/* it is still there, and still waiting */
	EXPECT_TRUE(owner_is_there(&o));
	EXPECT_EQ(0, dmsetup("resume", path));
	ksft_log("a whole life of another device: %lld ms at most",
		 (long long)worst);
	EXPECT_LT(worst, scaled_ms(2000));
	owner_is_gone(&o, path, G_WAIT_MS);
}

/* Completions while the owner's threads go away one after the other. */
TEST(exit_under_load_many_times)
{
	struct leaks before;
	unsigned int i;
	int status;
	pid_t pid;

	leaks_now(&before);
	for (i = 0; i < 20; i++) {
		fflush(stdout);
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			struct attached a = { 0 };
			struct greq *r[LOAD];

			attach(&a, NULL);
			load(&a, r, i % 2 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN);
			if (i % 3 == 0)
				close(a.g->fd);
			_exit(0);
		}
		ASSERT_TRUE(ksft_wait(pid, scaled_ms(G_WAIT_MS), &status));
		ASSERT_EQ(0, status);
	}
	EXPECT_TRUE(leaks_wait(&before, 2000));
	EXPECT_TRUE(disk_is_free(backend_path(0), 2000));
}

TEST_HARNESS_MAIN
