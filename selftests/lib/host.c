// SPDX-License-Identifier: GPL-2.0-only
/* The host's side: disks behind the guest's back, leaks, time. */
#define _GNU_SOURCE
#include "guest.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

int scaled_ms(int ms)
{
	const char *s = getenv("KSFT_TIME_SCALE");
	int scale = s ? atoi(s) : 1;

	return scale > 1 ? ms * scale : ms;
}

int disk_open(struct disk *d, const char *path, int flags)
{
	struct stat st;
	uint64_t bytes;
	int lbs;

	snprintf(d->path, sizeof(d->path), "%s", path);
	d->fd = open(path, flags | O_CLOEXEC);
	d->host = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (d->host < 0 && errno == EACCES)
		d->host = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (d->fd < 0 || d->host < 0 || fstat(d->fd, &st) ||
	    ioctl(d->host, BLKGETSIZE64, &bytes) ||
	    ioctl(d->host, BLKSSZGET, &lbs))
		return -1;
	d->sectors = bytes / G_SECTOR;
	d->lbs = lbs;
	snprintf(d->stat, sizeof(d->stat), "/sys/dev/block/%u:%u/stat",
		 major(st.st_rdev), minor(st.st_rdev));
	return 0;
}

void disk_close(struct disk *d)
{
	close(d->fd);
	close(d->host);
}

/* The blocks around [sector, + len): a buffer for them, where ours starts in it. */
static void *disk_span(const struct disk *d, uint64_t sector, size_t len,
		       off_t *start, size_t *size, size_t *skip)
{
	uint64_t from = sector * G_SECTOR, to = from + len;
	void *buf;

	*start = from / d->lbs * d->lbs;
	*skip = from - *start;
	*size = (to + d->lbs - 1) / d->lbs * d->lbs - *start;
	return posix_memalign(&buf, G_PAGE, *size) ? NULL : buf;
}

int disk_read(struct disk *d, uint64_t sector, void *buf, size_t len)
{
	size_t size, skip;
	off_t start;
	char *span = disk_span(d, sector, len, &start, &size, &skip);
	int ret = -1;

	if (span && pread(d->host, span, size, start) == (ssize_t)size) {
		memcpy(buf, span + skip, len);
		ret = 0;
	}
	free(span);
	return ret;
}

int disk_write(struct disk *d, uint64_t sector, const void *buf, size_t len)
{
	size_t size, skip;
	off_t start;
	char *span = disk_span(d, sector, len, &start, &size, &skip);
	int ret = -1;

	if (!span)
		return -1;
	if (size == len || pread(d->host, span, size, start) == (ssize_t)size) {
		memcpy(span + skip, buf, len);
		if (pwrite(d->host, span, size, start) == (ssize_t)size)
			ret = 0;
	}
	free(span);
	return ret;
}

/*
 * The block layer counts a request after it has told whoever waits for it, in the
 * same interrupt: wait until all that were under way are over.
 */
int disk_stat(struct disk *d, struct disk_stat *st)
{
	unsigned long long v[7];
	FILE *f;
	int n;

	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		return -1;
	f = fopen(d->stat, "re");
	if (!f)
		return -1;
	n = fscanf(f, "%llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2],
		   &v[3], &v[4], &v[5], &v[6]);
	fclose(f);
	if (n != 7)
		return -1;
	*st = (struct disk_stat){ v[0], v[2], v[4], v[6] };
	return 0;
}

static uint64_t mix(uint64_t x)
{
	x *= 0x9e3779b97f4a7c15;
	return x ^ x >> 32;
}

/* One multiplication per word: the processor may be emulated. */
void pattern_fill(void *buf, size_t len, uint64_t sector, uint64_t seed)
{
	uint64_t word = sector * (G_SECTOR / 8) + mix(~mix(~mix(seed + 1))), v;
	uint8_t *at = buf;
	size_t n;

	for (; len; len -= n, at += n, word++) {
		v = mix(word);
		n = len < 8 ? len : 8;
		memcpy(at, &v, n);
	}
}

ssize_t pattern_check(const void *buf, size_t len, uint64_t sector,
		      uint64_t seed)
{
	uint8_t want[G_SECTOR];
	const uint8_t *at = buf;
	size_t done, n, i;

	for (done = 0; done < len; done += n, sector++) {
		n = len - done < G_SECTOR ? len - done : G_SECTOR;
		pattern_fill(want, n, sector, seed);
		if (!memcmp(at + done, want, n))
			continue;
		for (i = 0; at[done + i] == want[i]; i++)
			;
		return done + i;
	}
	return -1;
}

int disk_put_pattern(struct disk *d, uint64_t sector, size_t len, uint64_t seed)
{
	char *buf = malloc(len);
	int ret = -1;

	if (buf) {
		pattern_fill(buf, len, sector, seed);
		ret = disk_write(d, sector, buf, len);
	}
	free(buf);
	return ret;
}

bool disk_has_pattern(struct disk *d, uint64_t sector, size_t len, uint64_t seed)
{
	char *buf = malloc(len);
	ssize_t bad = 0;
	bool is_read;

	is_read = buf && !disk_read(d, sector, buf, len);
	if (is_read)
		bad = pattern_check(buf, len, sector, seed);
	else
		perror("# disk");
	free(buf);
	if (is_read && bad >= 0)
		printf("# %s: wrong from byte %zd after sector %llu on\n", d->path,
		       bad, (unsigned long long)sector);
	return is_read && bad < 0;
}

/* Calls @fn for each worker thread, vblk-PID/QUEUE, with its own pid. */
static void workers(void (*fn)(const char *pid, void *arg), void *arg)
{
	DIR *dir = opendir("/proc");
	char path[300], comm[32];
	struct dirent *e;
	FILE *f;

	while (dir && (e = readdir(dir))) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(comm, sizeof(comm), f) &&
		    (!strncmp(comm, "vblk-", 5) ||
		     !strncmp(comm, "vhost_blk", 9)))
			fn(e->d_name, arg);
		fclose(f);
	}
	if (dir)
		closedir(dir);
}

static void count_thread(const char *pid, void *arg)
{
	(void)pid;
	++*(int *)arg;
}

static void add_cpu(const char *pid, void *arg)
{
	unsigned long long ns;
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/schedstat", pid);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fscanf(f, "%llu", &ns) == 1)
		*(uint64_t *)arg += ns / 1000;
	fclose(f);
}

uint64_t worker_cpu_us(void)
{
	uint64_t us = 0;

	workers(add_cpu, &us);
	return us;
}

void leaks_now(struct leaks *l)
{
	long long acquired = 0, released = 0, v;
	char name[64];
	FILE *f;
	int fd;

	*l = (struct leaks){ 0 };
	/* Counters are kept per processor: this folds them in. */
	fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "1", 1) < 0)
			perror("# stat_refresh");
		close(fd);
	}
	f = fopen("/proc/vmstat", "re");
	while (f && fscanf(f, "%63s %lld", name, &v) == 2) {
		if (!strcmp(name, "nr_foll_pin_acquired"))
			acquired = v;
		else if (!strcmp(name, "nr_foll_pin_released"))
			released = v;
	}
	if (f)
		fclose(f);
	l->pins = acquired - released;
	workers(count_thread, &l->threads);
	f = fopen("/sys/module/vhost_blk/refcnt", "re");
	if (f) {
		if (fscanf(f, "%d", &l->users) != 1)
			l->users = -1;
		fclose(f);
	}
}

bool leaks_wait(const struct leaks *before, int ms)
{
	int64_t end = now_ms() + scaled_ms(ms);
	struct leaks l;

	for (;;) {
		leaks_now(&l);
		if (l.pins == before->pins && l.threads <= before->threads &&
		    l.users == before->users)
			return true;
		if (now_ms() > end)
			break;
		usleep(10000);
	}
	printf("# rule L: pins %lld -> %lld, threads %d -> %d, module users %d -> %d\n",
	       before->pins, l.pins, before->threads, l.threads, before->users,
	       l.users);
	return false;
}

bool disk_is_free(const char *path, int ms)
{
	int64_t end = now_ms() + scaled_ms(ms);
	int fd;

	do {
		fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
		if (fd >= 0) {
			close(fd);
			return true;
		}
		usleep(10000);
	} while (now_ms() < end);
	return false;
}
