/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process that owns a device until it is killed, whatever it is doing then:
 * nothing may be left behind.
 */
#ifndef OWNER_H
#define OWNER_H

#include "attached.h"

struct owner {
	pid_t pid;
	struct leaks before;
	int64_t killed_ms;
};

/* In the owner: it is where it is to be killed. */
static inline void owner_ready(int ready)
{
	if (write(ready, "r", 1) != 1)
		_exit(1);
}

/*
 * Starts one that runs @live(@ready, @arg), which calls owner_ready(). Returns
 * then; false when it ended before.
 */
static inline bool owner_start(struct owner *o,
			       void (*live)(int ready, const void *arg),
			       const void *arg)
{
	int ready[2];
	bool is_ready;
	char byte;

	leaks_now(&o->before);
	ASSERT_EQ(0, pipe(ready));
	fflush(stdout);
	o->pid = fork();
	ASSERT_GE(o->pid, 0);
	if (!o->pid) {
		live(ready[1], arg);
		for (;;)
			pause();
	}
	close(ready[1]);
	is_ready = read(ready[0], &byte, 1) == 1;
	close(ready[0]);
	return is_ready;
}

static inline bool owner_is_there(const struct owner *o)
{
	int status;

	return waitpid(o->pid, &status, WNOHANG) == 0;
}

static inline void owner_kill(struct owner *o)
{
	o->killed_ms = now_ms();
	ASSERT_EQ(0, kill(o->pid, SIGKILL));
}

/* It ends in at most @ms, and all that it had of the module and @path is free. */
static inline void owner_is_gone(const struct owner *o, const char *path, int ms)
{
	int status;

	ASSERT_TRUE(ksft_wait(o->pid, scaled_ms(ms), &status));
	EXPECT_TRUE(WIFSIGNALED(status));
	ksft_log("gone %lld ms after it was killed",
		 (long long)(now_ms() - o->killed_ms));
	EXPECT_TRUE(leaks_wait(&o->before, 2000));
	EXPECT_TRUE(disk_is_free(path, 2000));
}

#endif /* OWNER_H */
