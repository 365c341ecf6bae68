// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thread changes what is mapped in the guest's memory while requests are under
 * way there: in pages that no request uses at that moment, and then every byte
 * counts; or in those that are in use, and then nothing but a mess in the guest's
 * own data may come of it. And the kernel moves and merges pages of its own will.
 * KSFT_SOAK_S: how long (default 2 s).
 */
#define _GNU_SOURCE
#include "paged.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/uio.h>

#define QUEUES	2
#define BUFS	24		/* of all queues */
#define PAGES	2		/* of each: data; header and status */

/* Whose a buffer is. */
enum { TO_CHANGE, TO_SUBMIT, UNDER_WAY };

/* A place in memory and on the disk: written there, then read and compared. */
struct buf {
	atomic_int state;
	struct gvq *vq;
	int desc[3];
	unsigned int page;
	uint64_t sector, seed;
	bool in;
	struct greq *r;
};

static struct {
	struct paged p;
	struct buf buf[BUFS];
	uint64_t ended, most_cached;
	/* the thread's */
	pthread_t thread;
	atomic_bool stop;
	uint64_t random, changes;
	int fd, error;		/* errno */
	unsigned int error_line;
} s;

/* A thread may not end the test: the one that joins it does. */
#define THREAD_ASSERT(x) do {						\
	if (!(x) && !s.error) {						\
		s.error = errno ? errno : EIO;				\
		s.error_line = __LINE__;				\
	}								\
} while (0)

static uint64_t thread_random(void)
{
	s.random ^= s.random << 13;
	s.random ^= s.random >> 7;
	s.random ^= s.random << 17;
	return s.random;
}

static void map_anonymous(uint8_t *at)
{
	THREAD_ASSERT(mmap(at, G_PAGE, PROT_READ | PROT_WRITE,
			   MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == at);
}

static void move_over(uint8_t *at)
{
	uint8_t *from = mmap(NULL, G_PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	THREAD_ASSERT(from != MAP_FAILED);
	from[0] = 1;
	THREAD_ASSERT(mremap(from, G_PAGE, G_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     at) == at);
}

/* One of two pages of the file that are this page's. */
static void map_file(uint8_t *at, unsigned int which)
{
	off_t page = (at - s.p.hva) / G_PAGE * 2 + which % 2;

	THREAD_ASSERT(mmap(at, G_PAGE, PROT_READ | PROT_WRITE,
			   MAP_FIXED | MAP_SHARED, s.fd, page * G_PAGE) == at);
}

static void protect_and_allow(uint8_t *at, int protection)
{
	THREAD_ASSERT(!mprotect(at, G_PAGE, protection));
	THREAD_ASSERT(!mprotect(at, G_PAGE, PROT_READ | PROT_WRITE));
}

static void change_page(uint8_t *at)
{
	uint64_t dice = thread_random();

	s.changes++;
	switch (dice % 7) {
	case 0:
		map_anonymous(at);
		break;
	case 1:
		move_over(at);
		break;
	case 2:
		map_file(at, dice >> 32);
		break;
	case 3:
		protect_and_allow(at, PROT_READ);
		break;
	case 4:
		protect_and_allow(at, PROT_NONE);
		break;
	case 5:
		THREAD_ASSERT(!madvise(at, G_PAGE, MADV_DONTNEED));
		break;
	default:
		s.changes--;
		break;
	}
}

static uint8_t *buf_data(const struct buf *b)
{
	return page_hva(&s.p, b->page);
}

static uint8_t *buf_head(const struct buf *b)
{
	return page_hva(&s.p, b->page + 1);
}

/* What the guest has in the buffer before it submits the request. */
static void buf_fill(struct buf *b)
{
	if (b->in)
		memset(buf_data(b), G_POISON, G_PAGE);
	else
		pattern_fill(buf_data(b), G_PAGE, b->sector, b->seed);
	put_header(buf_head(b) + HEAD_AT, b->in, b->sector);
	buf_head(b)[STATUS_AT] = G_NO_STATUS;
}

/* Changes the pages of all buffers that are not in use, each before each use. */
static void *change_unused(void *arg)
{
	unsigned int i = 0, idle = 0;

	while (!s.stop && !s.error) {
		struct buf *b = &s.buf[i++ % BUFS];

		if (atomic_load(&b->state) != TO_CHANGE) {
			if (++idle > BUFS)
				sched_yield();
			continue;
		}
		idle = 0;
		change_page(buf_data(b));
		change_page(buf_head(b));
		buf_fill(b);
		atomic_store(&b->state, TO_SUBMIT);
	}
	return arg;
}

/* Changes pages without looking. */
static void *change_used(void *arg)
{
	while (!s.stop && !s.error) {
		change_page(page_hva(&s.p, thread_random() % (BUFS * PAGES)));
		if (thread_random() % 4 == 0)
			sched_yield();
	}
	return arg;
}

static void thread_start(void *(*fn)(void *))
{
	s.stop = false;
	ASSERT_EQ(0, pthread_create(&s.thread, NULL, fn, NULL));
}

static void thread_end(void)
{
	s.stop = true;
	ASSERT_EQ(0, pthread_join(s.thread, NULL));
	if (s.error)
		ksft_log("line %u: %s", s.error_line, strerror(s.error));
	ASSERT_EQ(0, s.error);
}

/* Moves pages together to make room for large ones. */
static void *compact(void *arg)
{
	while (!s.stop && !s.error) {
		THREAD_ASSERT(!file_put("/proc/sys/vm/compact_memory", "1"));
		s.changes++;
		usleep(1000);
	}
	return arg;
}

static void set_up(void)
{
	unsigned int i;

	paged_start(&s.p, (struct guest_opts){ .nvqs = QUEUES });
	s.random = 0x853c49e6748fea9b;
	s.fd = memfd_create("pages", MFD_CLOEXEC);
	ASSERT_GE(s.fd, 0);
	ASSERT_EQ(0, ftruncate(s.fd, BUFS * PAGES * 2 * G_PAGE));
	for (i = 0; i < BUFS; i++) {
		struct buf *b = &s.buf[i];

		b->vq = &s.p.a.g->vq[i % QUEUES];
		b->page = i * PAGES;
		b->sector = 64 + i * (G_PAGE / G_SECTOR);
		b->seed = i;
		paged_take_descs(b->vq, b->desc);
	}
}

static void buf_submit(struct buf *b)
{
	const struct chain c = {
		.head = page_gpa(&s.p, b->page + 1) + HEAD_AT,
		.data = page_gpa(&s.p, b->page),
		.status = page_gpa(&s.p, b->page + 1) + STATUS_AT,
		.len = G_PAGE,
		.in = b->in,
	};

	chain_describe(b->vq, b->desc, &c);
	b->r = req_raw(b->vq, b->desc[0]);
	atomic_store(&b->state, UNDER_WAY);
}

static void buf_check(const struct buf *b)
{
	ASSERT_EQ(b->in ? G_PAGE + 1 : 1, b->r->used_len);
	ASSERT_EQ(VIRTIO_BLK_S_OK, buf_head(b)[STATUS_AT]);
	if (b->in)
		ASSERT_EQ(-1, pattern_check(buf_data(b), G_PAGE, b->sector,
					    b->seed));
}

/* Takes back what is done; true when that was something. */
static bool reap(void (*check)(const struct buf *b))
{
	uint64_t before = s.ended;
	unsigned int i;

	for (i = 0; i < QUEUES; i++)
		ASSERT_GE(vq_reap(&s.p.a.g->vq[i]), 0);
	for (i = 0; i < BUFS; i++) {
		struct buf *b = &s.buf[i];

		if (b->state != UNDER_WAY || !b->r->done)
			continue;
		if (check)
			check(b);
		req_free(b->r);
		s.ended++;
		if (b->in)
			b->seed += BUFS;
		b->in = !b->in;
		atomic_store(&b->state, TO_CHANGE);
	}
	return s.ended != before;
}

static void submit(void)
{
	unsigned int i;

	for (i = 0; i < BUFS; i++)
		if (atomic_load(&s.buf[i].state) == TO_SUBMIT)
			buf_submit(&s.buf[i]);
	for (i = 0; i < QUEUES; i++)
		vq_publish_kick(&s.p.a.g->vq[i]);
}

static void settle(void (*check)(const struct buf *b))
{
	unsigned int i;

	for (i = 0; i < QUEUES; i++)
		ASSERT_TRUE(vq_wait_idle(&s.p.a.g->vq[i], G_WAIT_MS));
	reap(check);
}

/* @between: now and then, with requests under way */
static void run(void (*prepare)(void), void (*check)(const struct buf *b),
		void (*between)(void))
{
	const char *seconds = getenv("KSFT_SOAK_S");
	int64_t end = now_ms() + 1000 * (seconds ? atoi(seconds) : 2);
	int64_t next = now_ms() + 50, last = now_ms();
	uint64_t cached;

	while (now_ms() < end || s.ended < 500) {
		if (prepare)
			prepare();
		submit();
		if (reap(check))
			last = now_ms();
		else
			sched_yield();
		ASSERT_LT(now_ms() - last, scaled_ms(G_WAIT_MS));
		if (now_ms() < next)
			continue;
		cached = cached_pages(&s.p);
		if (cached > s.most_cached)
			s.most_cached = cached;
		if (between)
			between();
		next = now_ms() + 50;
	}
	thread_end();
	settle(check);
	ksft_log("%llu requests, %llu changes, %llu pages cached at most",
		 (unsigned long long)s.ended, (unsigned long long)s.changes,
		 (unsigned long long)s.most_cached);
	/* How many are cached is a matter of luck where changes never end. */
	EXPECT_GT(s.changes, 0);
}

static void set_table(void)
{
	ASSERT_EQ(0, guest_set_mem(s.p.a.g));
}

TEST_TIMEOUT(each_request_on_pages_changed_just_before, 120)
{
	set_up();
	thread_start(change_unused);
	run(NULL, buf_check, NULL);
	detach_checked(&s.p.a);
}

TEST_TIMEOUT(the_same_with_the_memory_table_set_again, 120)
{
	set_up();
	thread_start(change_unused);
	run(NULL, buf_check, set_table);
	detach_checked(&s.p.a);
}

/* The thread may take the page away again while it is filled. */
static void fill_all(void)
{
	unsigned int i;

	for (i = 0; i < BUFS; i++) {
		struct buf *b = &s.buf[i];
		struct virtio_blk_outhdr hdr = {
			.type = b->in ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
			.sector = b->sector,
		};
		struct iovec from = { &hdr, sizeof(hdr) };
		struct iovec to = { buf_head(b) + HEAD_AT, sizeof(hdr) };

		if (b->state != TO_CHANGE)
			continue;
		process_vm_writev(getpid(), &from, 1, &to, 1, 0);
		atomic_store(&b->state, TO_SUBMIT);
	}
}

TEST_TIMEOUT(pages_changed_under_requests_do_no_harm, 120)
{
	struct leaks before;
	unsigned int i;

	set_up();
	leaks_now(&before);
	thread_start(change_used);
	run(fill_all, NULL, set_table);
	/* every page that was pinned is given back, and all is well again */
	EXPECT_TRUE(leaks_wait(&before, 2000));
	for (i = 0; i < BUFS * PAGES; i++)
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(&s.p, i ? i : 1, i % 2, 64));
	EXPECT_EQ(0, still_serves(&s.p.a, &s.p.a.g->vq[1]));
	detach_checked(&s.p.a);
}

static void fill_quietly(void)
{
	unsigned int i;

	for (i = 0; i < BUFS; i++) {
		if (s.buf[i].state != TO_CHANGE)
			continue;
		buf_fill(&s.buf[i]);
		atomic_store(&s.buf[i].state, TO_SUBMIT);
	}
}

/* Pages that are alike, as those of all buffers to be read into, become one. */
static void ksm_start(void)
{
	size_t len = BUFS * PAGES * G_PAGE;

	if (madvise(s.p.hva, len, MADV_MERGEABLE) ||
	    file_put("/sys/kernel/mm/ksm/sleep_millisecs", "1") ||
	    file_put("/sys/kernel/mm/ksm/pages_to_scan", "1000") ||
	    file_put("/sys/kernel/mm/ksm/run", "1"))
		ksft_log("without merging: %s", strerror(errno));
}

static void ksm_end(void)
{
	char merged[64] = "none\n";

	file_get("/sys/kernel/mm/ksm/full_scans", merged, sizeof(merged));
	ksft_log("memory was scanned for pages to merge: %s", merged);
	file_put("/sys/kernel/mm/ksm/run", "2");
	file_put("/sys/kernel/mm/ksm/run", "0");
}

TEST_TIMEOUT(pages_moved_and_merged_by_the_kernel, 120)
{
	set_up();
	ksm_start();
	thread_start(compact);
	run(fill_quietly, buf_check, NULL);
	ksm_end();
	detach_checked(&s.p.a);
}

TEST_HARNESS_MAIN
