/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What /sys/class/vhost-blk shows of a device and its queues. A file is named as
 * it is below the device ("serial") or below a queue ("poll_ns",
 * "stats/chains"). What cannot be read ends the test.
 */
#ifndef SHOWN_H
#define SHOWN_H

#include "attached.h"

#include <dirent.h>

#define SHOWN_CLASS	"/sys/class/vhost-blk"
#define SHOWN_PARAMS	"/sys/module/vhost_blk/parameters"
#define SHOWN_BUCKETS	36

struct shown {
	char dir[300];		/* of the device */
};

/* Reads a whole file: its length, or -1 with errno. */
static inline int file_get(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	buf[0] = '\0';
	if (fd < 0)
		return -1;
	n = read(fd, buf, size - 1);
	if (n >= 0)
		buf[n] = '\0';
	close(fd);
	return n;
}

/* 0, or -1 with errno. */
static inline int file_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -1 : 0;
}

/* Like file_get(), but a line, without its end. */
static inline void file_line(const char *path, char *buf, size_t size)
{
	int n = file_get(path, buf, size);

	if (n <= 0)
		ksft_log("%s: %s", path, n ? strerror(errno) : "empty");
	ASSERT_GT(n, 0);
	ASSERT_EQ('\n', buf[n - 1]);
	buf[n - 1] = '\0';
}

static inline uint64_t file_number(const char *path)
{
	char text[64], *end;
	uint64_t value;

	file_line(path, text, sizeof(text));
	value = strtoull(text, &end, 10);
	ASSERT_TRUE(end != text && !*end);
	return value;
}

/* Finds the device of a guest by a serial that no other has. */
static inline void shown_find(struct shown *s, const struct guest *g)
{
	char serial[VHOST_BLK_SERIAL_LEN] = "", path[400], line[64];
	static unsigned int count;
	struct dirent *e;
	DIR *dir;

	snprintf(serial, sizeof(serial), "t%d-%u", getpid(), count++);
	ASSERT_EQ(0, ioctl(g->fd, VHOST_BLK_SET_SERIAL, serial));
	dir = opendir(SHOWN_CLASS);
	ASSERT_TRUE(dir);
	s->dir[0] = '\0';
	while ((e = readdir(dir))) {
		snprintf(path, sizeof(path), SHOWN_CLASS "/%s/serial", e->d_name);
		if (file_get(path, line, sizeof(line)) <= 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, serial))
			snprintf(s->dir, sizeof(s->dir), SHOWN_CLASS "/%s",
				 e->d_name);
	}
	closedir(dir);
	ASSERT_TRUE(s->dir[0]);
	snprintf(path, sizeof(path), "%s/owner", s->dir);
	ASSERT_EQ(getpid(), file_number(path));
}

/* Of the device. */
static inline void shown_device(const struct shown *s, const char *name,
				char *line, size_t size)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	file_line(path, line, size);
}

/* Of queue @q. */

static inline const char *shown_path(const struct shown *s, unsigned int q,
				     const char *name)
{
	static __thread char path[400];

	snprintf(path, sizeof(path), "%s/queues/%u/%s", s->dir, q, name);
	return path;
}

static inline uint64_t shown_number(const struct shown *s, unsigned int q,
				    const char *name)
{
	return file_number(shown_path(s, q, name));
}

static inline uint64_t shown_stat(const struct shown *s, unsigned int q,
				  const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "stats/%s", name);
	return shown_number(s, q, path);
}

static inline bool shown_is(const struct shown *s, unsigned int q,
			    const char *name, const char *word)
{
	char line[64];

	file_line(shown_path(s, q, name), line, sizeof(line));
	return !strcmp(line, word);
}

static inline bool shown_state_is(const struct shown *s, unsigned int q,
				  const char *state)
{
	return shown_is(s, q, "state", state);
}

/* Until the worker sleeps: it has counted all that it has done. */
static inline bool shown_wait_asleep(const struct shown *s, unsigned int q)
{
	int64_t end = now_ms() + scaled_ms(G_WAIT_MS);

	while (!shown_state_is(s, q, "wait")) {
		if (now_ms() > end)
			return false;
		usleep(1000);
	}
	return true;
}

/* Until the worker has @n requests that the disk has not answered; @ms at most. */
static inline bool shown_wait_in_flight(const struct shown *s, unsigned int q,
					unsigned int n, unsigned int ms)
{
	int64_t end = now_ms() + ms;

	while (shown_number(s, q, "in_flight") < n) {
		if (now_ms() > end)
			return false;
	}
	return true;
}

/*
 * Until the worker sleeps for good: after a second it wakes up once more, to let
 * the guest's pages go.
 */
static inline bool shown_wait_idle(const struct shown *s, unsigned int q)
{
	int64_t end = now_ms() + 1000 + scaled_ms(G_WAIT_MS);

	while (shown_number(s, q, "cached_pages")) {
		if (now_ms() > end)
			return false;
		usleep(1000);
	}
	return shown_wait_asleep(s, q);
}

/* A histogram; returns how many values it counts. */
static inline uint64_t shown_hist(const struct shown *s, unsigned int q,
				  const char *name, uint64_t *bucket)
{
	char path[64], text[1024], *at = text, *end;
	uint64_t sum = 0;
	int i;

	snprintf(path, sizeof(path), "stats/%s", name);
	file_line(shown_path(s, q, path), text, sizeof(text));
	for (i = 0; i < SHOWN_BUCKETS; i++, at = end) {
		bucket[i] = strtoull(at, &end, 10);
		ASSERT_TRUE(end != at);
		sum += bucket[i];
	}
	ASSERT_EQ('\0', *at);
	return sum;
}

static inline uint64_t shown_hist_count(const struct shown *s, unsigned int q,
					const char *name)
{
	uint64_t bucket[SHOWN_BUCKETS];

	return shown_hist(s, q, name, bucket);
}

/* Sets a tunable: 0, or -1 with errno. */
static inline int shown_tune(const struct shown *s, unsigned int q,
			     const char *name, const char *text)
{
	return file_put(shown_path(s, q, name), text);
}

static inline void shown_set(const struct shown *s, unsigned int q,
			     const char *name, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)value);
	ASSERT_EQ(0, shown_tune(s, q, name, text));
	ASSERT_EQ(value, shown_number(s, q, name));
}

static inline uint64_t shown_param(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), SHOWN_PARAMS "/%s", name);
	return file_number(path);
}

#endif /* SHOWN_H */
