/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of disks that are polled: a guest with two queues that writes, reads
 * and compares all over its disk, and threads that disturb it meanwhile.
 */
#ifndef LOAD_H
#define LOAD_H

#include "shown.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define LANES	2
#define SLOTS	16
#define SMALL	G_PAGE
#define LARGE	(1u << 20)	/* more than a disk takes in one request */
#define BULK	(12u << 20)

/* A request that so many others have overtaken is not being looked after. */
#define OVERTAKEN 3000

enum kind { KIND_SMALL, KIND_BOUNCED, KIND_LARGE, KIND_FLUSH, KINDS };

#define ALL_KINDS	((1u << KINDS) - 1)

/* A place on the disk: written to, then read and compared, over and over. */
struct slot {
	struct greq *r;
	enum kind kind;
	bool written;		/* what is read next was written by us */
	uint64_t sector, seed;
	uint64_t begun;		/* requests that had ended then */
};

struct lane {
	struct gvq *vq;
	struct slot slot[SLOTS];
};

struct load {
	struct attached a;
	struct shown s;
	struct lane lane[LANES];
	unsigned int kinds;
	uint64_t ended;
	int64_t last_ms;	/* when the last one ended */
	char *buf;
};

static const char * const frames[KINDS][2] = {
	[KIND_SMALL] = { "16 4096@0 / 1", "16 / 4096@0 1" },
	[KIND_BOUNCED] = { "16 100 3996 / 1", "16 / 100 3996 1" },
	[KIND_LARGE] = { "16 131072x8 / 1", "16 / 131072x8 1" },
	[KIND_FLUSH] = { "16 / 1", "16 / 1" },
};

static inline unsigned int kind_bytes(enum kind kind)
{
	return kind == KIND_FLUSH ? 0 : kind == KIND_LARGE ? LARGE : SMALL;
}

/* Small ones lie side by side: the block layer makes one request of several. */
static inline uint64_t slot_sector(unsigned int lane, unsigned int n, enum kind kind)
{
	n += lane * SLOTS;
	if (kind == KIND_LARGE)
		return (4ULL << 20) / G_SECTOR + n * (LARGE / G_SECTOR);
	return n * (SMALL / G_SECTOR);
}

static inline enum kind random_kind(struct load *l)
{
	enum kind kind;

	do {
		kind = guest_random(l->a.g) % KINDS;
		/* few of those that take long */
		if (kind == KIND_LARGE && guest_random(l->a.g) % 8)
			kind = KIND_SMALL;
	} while (!(l->kinds & 1u << kind));
	return kind;
}

static inline bool slot_begin(struct load *l, unsigned int lane, unsigned int n)
{
	struct slot *s = &l->lane[lane].slot[n];
	uint32_t type = VIRTIO_BLK_T_IN;

	if (!s->written) {
		s->kind = random_kind(l);
		s->sector = slot_sector(lane, n, s->kind);
		s->seed = guest_random(l->a.g);
		type = s->kind == KIND_FLUSH ? VIRTIO_BLK_T_FLUSH :
					       VIRTIO_BLK_T_OUT;
	}
	s->r = req_new(l->lane[lane].vq, type,
		       type == VIRTIO_BLK_T_FLUSH ? 0 : s->sector);
	s->r->indirect = true;
	if (req_frame(s->r, frames[s->kind][s->written])) {
		req_free(s->r);		/* no memory for it just now */
		s->r = NULL;
		return false;
	}
	if (type == VIRTIO_BLK_T_OUT) {
		pattern_fill(l->buf, kind_bytes(s->kind), s->sector, s->seed);
		req_put_data(s->r, l->buf, kind_bytes(s->kind));
	}
	if (req_make(s->r)) {
		req_free(s->r);
		s->r = NULL;
		return false;
	}
	req_queue(s->r);
	s->begun = l->ended;
	return true;
}

static inline void slot_end(struct load *l, struct slot *s)
{
	unsigned int len = kind_bytes(s->kind);

	ASSERT_EQ(0, req_check(s->r, VIRTIO_BLK_S_OK));
	if (s->written) {
		req_get_data(s->r, l->buf, len);
		ASSERT_EQ(-1, pattern_check(l->buf, len, s->sector, s->seed));
	}
	s->written = s->r->hdr.type == VIRTIO_BLK_T_OUT;
	req_free(s->r);
	s->r = NULL;
	l->ended++;
	l->last_ms = now_ms();
}

/* Takes back what is done: how many of a lane are still under way. */
static inline unsigned int lane_reap(struct load *l, struct lane *lane)
{
	unsigned int n, left = 0;

	ASSERT_GE(vq_reap(lane->vq), 0);
	for (n = 0; n < SLOTS; n++) {
		struct slot *s = &lane->slot[n];

		if (s->r && s->r->done)
			slot_end(l, s);
		if (!s->r)
			continue;
		left++;
		ASSERT_LE(l->ended - s->begun, OVERTAKEN);
	}
	return left;
}

static inline unsigned int load_reap(struct load *l)
{
	unsigned int i, left = 0;

	for (i = 0; i < LANES; i++)
		left += lane_reap(l, &l->lane[i]);
	ASSERT_LT(now_ms() - l->last_ms, scaled_ms(G_WAIT_MS));
	return left;
}

static inline void load_turn(struct load *l)
{
	unsigned int i, n;

	for (i = 0; i < LANES; i++) {
		for (n = 0; n < SLOTS; n++)
			if (!l->lane[i].slot[n].r && !slot_begin(l, i, n))
				break;
		vq_publish_kick(l->lane[i].vq);
	}
	if (load_reap(l) == LANES * SLOTS)
		sched_yield();
}

static inline void load_settle(struct load *l)
{
	l->last_ms = now_ms();
	while (load_reap(l))
		sched_yield();
}

/* Until @ms have passed, but so many requests that it means something. */
static inline void load_run(struct load *l, int ms)
{
	int64_t end = now_ms() + ms;
	uint64_t enough = l->ended + 200;

	l->last_ms = now_ms();
	while (now_ms() < end || l->ended < enough)
		load_turn(l);
	load_settle(l);
	ksft_log("%llu requests", (unsigned long long)l->ended);
}

/* A thread that disturbs: calls @fn until the test has seen enough. */
struct disturber {
	pthread_t thread;
	atomic_bool stop;
	unsigned int times;
	void (*fn)(struct disturber *d, unsigned int n);
	const struct shown *s;
	char path[400];
	int error;
};

static inline void *disturber_main(void *arg)
{
	struct disturber *d = arg;

	while (!d->stop && !d->error)
		d->fn(d, d->times++);
	return NULL;
}

static inline void disturber_start(struct disturber *d)
{
	ASSERT_EQ(0, pthread_create(&d->thread, NULL, disturber_main, d));
}

static inline void disturber_end(struct disturber *d, unsigned int at_least)
{
	d->stop = true;
	ASSERT_EQ(0, pthread_join(d->thread, NULL));
	ksft_log("disturbed %u times", d->times);
	if (d->error)
		ksft_log("%s: %s", d->path, strerror(d->error));
	EXPECT_EQ(0, d->error);
	EXPECT_GE(d->times, at_least);
}

static inline void disturber_put(struct disturber *d, const char *text)
{
	if (file_put(d->path, text))
		d->error = errno;
}

/* Load under a disturber for as long as it takes it to do something. */
static inline void load_disturbed(struct load *l, struct disturber *d, int ms,
			   unsigned int at_least)
{
	disturber_start(d);
	l->last_ms = now_ms();
	do {
		load_run(l, ms);
	} while (d->times < at_least && !d->error);
	disturber_end(d, at_least);
	load_settle(l);
}

/* A file of the disk's queue; @path of a partition is not looked for. */
static inline void queue_file(char *path, size_t size, const struct disk *disk,
		       const char *name)
{
	struct stat st;

	ASSERT_EQ(0, fstat(disk->fd, &st));
	snprintf(path, size, "/sys/dev/block/%u:%u/queue/%s",
		 major(st.st_rdev), minor(st.st_rdev), name);
}

static inline void queue_put(const struct disk *disk, const char *name,
		      const char *text)
{
	char path[300];

	queue_file(path, sizeof(path), disk, name);
	ASSERT_EQ(0, file_put(path, text));
}

static inline void poll_device(const struct shown *s, unsigned int on)
{
	unsigned int i;

	for (i = 0; i < LANES; i++)
		shown_set(s, i, "poll_device", on);
}

/* Attaches @path with polling switched on. */
static inline void load_start(struct load *l, const char *path)
{
	struct guest_opts opts = { .nvqs = LANES, .bulk = BULK };
	unsigned int i;

	memset(l, 0, sizeof(*l));
	attach_path(&l->a, path, O_RDWR, &opts);
	shown_find(&l->s, l->a.g);
	poll_device(&l->s, 1);
	l->kinds = ALL_KINDS;
	l->buf = malloc(LARGE);
	ASSERT_TRUE(l->buf);
	for (i = 0; i < LANES; i++)
		l->lane[i].vq = &l->a.g->vq[i];
}

/* @n requests made available at once, @step sectors apart. */
static inline void batch(struct attached *a, bool out, unsigned int n,
		  unsigned int step)
{
	struct gvq *vq = a->vq;
	struct greq *r[64];
	char data[SMALL];
	unsigned int i;

	for (i = 0; i < n; i++) {
		r[i] = req_new(vq, out ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
			       i * step);
		r[i]->indirect = true;
		ASSERT_EQ(0, req_frame(r[i], frames[KIND_SMALL][!out]));
		pattern_fill(data, sizeof(data), i * step, n + step);
		if (out)
			req_put_data(r[i], data, sizeof(data));
		ASSERT_EQ(0, req_make(r[i]));
		req_queue(r[i]);
	}
	vq_publish_kick(vq);
	ASSERT_TRUE(vq_wait_idle(vq, G_WAIT_MS));
	for (i = 0; i < n; i++) {
		EXPECT_EQ(0, req_check(r[i], VIRTIO_BLK_S_OK));
		req_get_data(r[i], data, sizeof(data));
		if (!out)
			EXPECT_EQ(-1, pattern_check(data, sizeof(data), i * step,
						    n + step));
		req_free(r[i]);
	}
}

static inline void change_elevator(struct disturber *d, unsigned int n)
{
	disturber_put(d, n % 2 ? "mq-deadline" : "none");
	usleep(50000);
}

/* Sleeps of the worker of queue 0 so far. */
static inline uint64_t sleeps(const struct shown *s)
{
	return shown_stat(s, 0, "halt_successful_wait");
}

/* How often the worker sleeps for each of @n requests, times @n. */
static inline uint64_t sleeps_for(struct attached *a, const struct shown *s,
			   unsigned int n)
{
	char buf[SMALL];
	uint64_t before;
	unsigned int i;

	ASSERT_TRUE(shown_wait_asleep(s, 0));
	before = sleeps(s);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, guest_io_in(a->vq, 0, buf, sizeof(buf), NULL));
		ASSERT_TRUE(shown_wait_asleep(s, 0));
	}
	return sleeps(s) - before;
}

/*
 * Without a window to poll in it sleeps until the kick and then, if the disk is
 * not polled, until the disk's interrupt.
 */
static inline void no_window(const struct shown *s)
{
	shown_set(s, 0, "poll_ns_max", 0);
	shown_set(s, 0, "hold_us", 0);
}

#endif /* LOAD_H */
