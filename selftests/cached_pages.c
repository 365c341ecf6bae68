// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many pages of the guest a queue keeps pinned between requests, which data
 * goes through them, and when the memory is given back.
 */
#define _GNU_SOURCE
#include "free_memory.h"
#include "paged.h"

#define SECTOR		64
#define PER_ENTRY	4	/* pages at most, for each entry of the ring */
#define FEWEST		64	/* or so many, if that is more */
#define MOST		1024	/* and never more than this */
#define IDLE_MS		1000	/* after so long they are let go */

static uint64_t sector_of(unsigned int page)
{
	return SECTOR + page * (G_PAGE / G_SECTOR);
}

FIXTURE(ring) {
	struct paged p;
	unsigned int most;
};

FIXTURE_VARIANT(ring) {
	unsigned int num;
};

FIXTURE_VARIANT_ADD(ring, of_4) { .num = 4 };
FIXTURE_VARIANT_ADD(ring, of_16) { .num = 16 };
FIXTURE_VARIANT_ADD(ring, of_64) { .num = 64 };
FIXTURE_VARIANT_ADD(ring, of_1024) { .num = 1024 };

FIXTURE_SETUP(ring)
{
	paged_start(&self->p, (struct guest_opts){ .num = variant->num });
	self->most = PER_ENTRY * variant->num;
	if (self->most < FEWEST)
		self->most = FEWEST;
	if (self->most > MOST)
		self->most = MOST;
}

FIXTURE_TEARDOWN(ring)
{
	detach_checked(&self->p.a);
}

/* More pages than there is room for, twice: each has its own data. */
TEST_F_TIMEOUT(ring, keeps_no_more_than_documented, 60)
{
	struct paged *p = &self->p;
	unsigned int n, round, used = self->most + self->most / 4 + 10;
	uint64_t now, highest = 0;

	ASSERT_LT(used + 1, AREA_PAGES);
	for (round = 0; round < 2; round++) {
		for (n = 1; n <= used; n++) {
			uint8_t *page = page_hva(p, n);

			pattern_fill(page, G_PAGE, sector_of(n), round);
			ASSERT_EQ(VIRTIO_BLK_S_OK,
				  paged_io(p, n, false, sector_of(n)));
			now = n % 8 ? 0 : cached_pages(p);
			if (now > highest)
				highest = now;
		}
		for (n = used; n; n--) {
			uint8_t *page = page_hva(p, n);

			memset(page, 0, G_PAGE);
			ASSERT_EQ(VIRTIO_BLK_S_OK,
				  paged_io(p, n, true, sector_of(n)));
			ASSERT_TRUE(page_holds(page, sector_of(n), round));
		}
	}
	ksft_log("%llu pages cached at most, %u allowed",
		 (unsigned long long)highest, self->most);
	EXPECT_GT(highest, 0);
	EXPECT_LE(highest, self->most);
}

FIXTURE(cache) {
	struct paged p;
	struct leaks before;
};

FIXTURE_SETUP(cache)
{
	paged_start(&self->p, (struct guest_opts){ .num = 16 });
	leaks_now(&self->before);
}

FIXTURE_TEARDOWN(cache)
{
	detach_checked(&self->p.a);
}

/* A request of several pages; returns its status. */
static uint8_t pages_io(struct paged *p, bool in, uint64_t sector,
			const unsigned int *page, unsigned int n)
{
	struct vring_desc *table = (void *)page_hva(p, HEAD);
	uint8_t *status = page_hva(p, HEAD) + 3000, *head = status + 8;
	unsigned int i;

	put_header(head, in, sector);
	*status = G_NO_STATUS;
	table[0] = (struct vring_desc){
		page_gpa(p, HEAD) + 3008, sizeof(struct virtio_blk_outhdr),
		VRING_DESC_F_NEXT, 1,
	};
	for (i = 0; i < n; i++)
		table[1 + i] = (struct vring_desc){
			page_gpa(p, page[i]), G_PAGE,
			VRING_DESC_F_NEXT | (in ? VRING_DESC_F_WRITE : 0), 2 + i,
		};
	table[1 + n] = (struct vring_desc){
		page_gpa(p, HEAD) + 3000, 1, VRING_DESC_F_WRITE, 0,
	};
	vq_desc(p->vq, p->desc[0], page_gpa(p, HEAD), (n + 2) * sizeof(*table),
		VRING_DESC_F_INDIRECT, 0);
	EXPECT_EQ(in ? n * G_PAGE + 1 : 1, paged_push(p->vq, p->desc[0]));
	return *status;
}

/* Writes different pages in one request, and reads them in another order. */
static void pages_round_trip(struct paged *p, const unsigned int *page,
			     unsigned int n, uint64_t seed)
{
	unsigned int back[64], i;

	for (i = 0; i < n; i++) {
		pattern_fill(page_hva(p, page[i]), G_PAGE, sector_of(i), seed);
		back[i] = page[n - 1 - i];
	}
	ASSERT_EQ(VIRTIO_BLK_S_OK, pages_io(p, false, SECTOR, page, n));
	for (i = 0; i < n; i++)
		memset(page_hva(p, page[i]), 0, G_PAGE);
	ASSERT_EQ(VIRTIO_BLK_S_OK, pages_io(p, true, SECTOR, back, n));
	for (i = 0; i < n; i++)
		ASSERT_TRUE(page_holds(page_hva(p, back[i]), sector_of(i), seed));
}

/*
 * Of pages at all distances, some want the same place in the cache, whatever
 * rule it follows: more of them in one request than it has places.
 */
TEST_F(cache, pages_that_collide_in_one_request)
{
	unsigned int page[8], step, i;

	for (step = 1; step < (AREA_PAGES - 1) / 8; step++) {
		for (i = 0; i < 8; i++)
			page[i] = 1 + i * step;
		pages_round_trip(&self->p, page, 8, step);
		step += step > 70 ? 3 : 0;
	}
}

TEST_F(cache, requests_of_all_lengths)
{
	unsigned int page[40], n, i;

	for (n = 1; n <= ARRAY_SIZE(page); n++) {
		for (i = 0; i < n; i++)
			page[i] = 1 + (i * 7 + n) % 50;
		pages_round_trip(&self->p, page, n, n);
	}
}

/* The same page several times in a request. */
TEST_F(cache, one_page_many_times)
{
	static const unsigned int page[] = { 1, 1, 2, 1, 2, 2, 1, 1 };
	struct paged *p = &self->p;
	char data[ARRAY_SIZE(page) * G_PAGE];
	unsigned int i, round;

	for (round = 0; round < 3; round++) {
		pattern_fill(page_hva(p, 1), G_PAGE, SECTOR, 100 + round);
		pattern_fill(page_hva(p, 2), G_PAGE, SECTOR, 200 + round);
		ASSERT_EQ(VIRTIO_BLK_S_OK, pages_io(p, false, SECTOR, page,
						    ARRAY_SIZE(page)));
		ASSERT_EQ(0, disk_read(&p->a.d, SECTOR, data, sizeof(data)));
		for (i = 0; i < ARRAY_SIZE(page); i++)
			EXPECT_TRUE(page_holds((uint8_t *)data + i * G_PAGE, SECTOR,
					       page[i] * 100 + round));
	}
}

/* Header, table, data and status in one page. */
TEST_F(cache, all_parts_in_one_page)
{
	struct paged *p = &self->p;
	uint8_t *page = page_hva(p, 1);
	unsigned int i;
	struct chain c = {
		.head = page_gpa(p, 1) + 8, .data = page_gpa(p, 1) + 2048,
		.status = page_gpa(p, 1) + 24, .len = p->a.d.lbs,
	};

	if (c.len > 2048)
		SKIP(return, "blocks of %u bytes", c.len);
	for (i = 0; i < 20; i++) {
		c.in = i % 2;
		put_header(page + 8, c.in, SECTOR);
		page[24] = G_NO_STATUS;
		if (!c.in)
			pattern_fill(page + 2048, c.len, SECTOR, i);
		else
			memset(page + 2048, 0, c.len);
		EXPECT_EQ(c.in ? c.len + 1 : 1, paged_run(p, &c));
		EXPECT_EQ(VIRTIO_BLK_S_OK, page[24]);
		EXPECT_EQ(-1, pattern_check(page + 2048, c.len, SECTOR, i - c.in));
		EXPECT_TRUE(disk_has_pattern(&p->a.d, SECTOR, c.len,
					     i - c.in));
	}
}

/*
 * Uses pages 1 to @n, until half of them are cached: once a second all are let go,
 * also in the middle of this.
 */
static void use_pages(struct paged *p, unsigned int n)
{
	unsigned int page[16], done, i, tries;

	for (tries = 0; tries < 10; tries++) {
		for (done = 0; done < n; done += i) {
			for (i = 0; i < ARRAY_SIZE(page) && done + i < n; i++)
				page[i] = 1 + done + i;
			ASSERT_EQ(VIRTIO_BLK_S_OK,
				  pages_io(p, true, SECTOR, page, i));
		}
		if (cached_pages(p) >= n / 2)
			return;
	}
	ASSERT_GE(cached_pages(p), n / 2);
}

/* Milliseconds until none is cached any more, and nothing is pinned. */
static int64_t until_let_go(struct paged *p, const struct leaks *before)
{
	int64_t start = now_ms(), ms;

	while (cached_pages(p)) {
		ASSERT_LT(now_ms() - start, scaled_ms(G_WAIT_MS));
		usleep(2000);
	}
	ms = now_ms() - start;
	EXPECT_TRUE(leaks_wait(before, 0));
	return ms;
}

TEST_F(cache, let_go_when_idle_for_a_second)
{
	struct paged *p = &self->p;
	int64_t ms, shortest = INT64_MAX;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		use_pages(p, 40);
		ms = until_let_go(p, &self->before);
		ksft_log("%lld ms", (long long)ms);
		if (ms < shortest)
			shortest = ms;
	}
	EXPECT_GE(shortest, IDLE_MS / 2);
	EXPECT_LE(shortest, 2 * IDLE_MS);
}

/* A worker that is never idle for so long lets go of them all the same. */
TEST_F(cache, let_go_once_a_second_under_load)
{
	struct paged *p = &self->p;
	uint64_t now, fewest = UINT64_MAX;
	int64_t end;

	use_pages(p, 40);
	end = now_ms() + 2 * IDLE_MS;
	while (now_ms() < end) {
		ASSERT_EQ(VIRTIO_BLK_S_OK, paged_io(p, 1, false, SECTOR));
		now = cached_pages(p);
		if (now < fewest)
			fewest = now;
		usleep(20000);
	}
	ksft_log("%llu pages cached at least", (unsigned long long)fewest);
	EXPECT_LE(fewest, 5);
}

static void change_dontneed(struct paged *p)
{
	ASSERT_EQ(0, madvise(page_hva(p, 5), G_PAGE, MADV_DONTNEED));
}

static void change_protection(struct paged *p)
{
	ASSERT_EQ(0, mprotect(page_hva(p, 5), G_PAGE, PROT_READ));
	ASSERT_EQ(0, mprotect(page_hva(p, 5), G_PAGE, PROT_READ | PROT_WRITE));
}

static void change_mapping(struct paged *p)
{
	ASSERT_EQ((uintptr_t)page_hva(p, 5),
		  (uintptr_t)mmap(page_hva(p, 5), G_PAGE, PROT_READ | PROT_WRITE,
				  MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void change_table(struct paged *p)
{
	ASSERT_EQ(0, guest_set_mem(p->a.g));
}

/* The worker sleeps: it is woken for this. */
TEST_F(cache, let_go_at_once_when_the_owner_changes_memory)
{
	static void (*const change[])(struct paged *p) = {
		change_dontneed, change_protection, change_mapping, change_table,
	};
	struct paged *p = &self->p;
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(change); i++) {
		int64_t ms, shortest = INT64_MAX;

		for (n = 0; n < 5; n++) {
			use_pages(p, 40);
			ASSERT_TRUE(shown_wait_asleep(&p->s, 0));
			change[i](p);
			ms = until_let_go(p, &self->before);
			if (ms < shortest)
				shortest = ms;
		}
		ksft_log("change %u: %lld ms", i, (long long)shortest);
		EXPECT_LT(shortest, IDLE_MS / 4);
	}
}

/* What the owner does elsewhere is no reason to let go. */
TEST_F(cache, kept_when_the_owner_changes_other_memory)
{
	struct paged *p = &self->p;
	unsigned int i, kept = 0;

	for (i = 0; i < 5; i++) {
		uint8_t *other = mmap(NULL, G_PAGE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		ASSERT_TRUE(other != MAP_FAILED);
		other[0] = 1;
		use_pages(p, 40);
		ASSERT_EQ(0, madvise(other, G_PAGE, MADV_DONTNEED));
		ASSERT_EQ(0, munmap(other, G_PAGE));
		usleep(20000);
		kept += cached_pages(p) >= 20;
	}
	/* a slow machine may take a second for this, but not each time */
	EXPECT_GT(kept, 0);
}

/* A large cache, and the balloon takes all of it back. */
TEST(memory_is_free_after_the_owner_gave_it_back)
{
	const unsigned int n = 1000;
	long long before, after, freed = 0;
	struct paged p = { 0 };
	unsigned int tries;
	int fd;

	paged_start(&p, (struct guest_opts){ .num = 256 });
	fd = memfd_create("guest", MFD_CLOEXEC);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ftruncate(fd, (n + 1) * G_PAGE));
	ASSERT_EQ((uintptr_t)p.hva,
		  (uintptr_t)mmap(p.hva, (n + 1) * G_PAGE, PROT_READ | PROT_WRITE,
				  MAP_FIXED | MAP_SHARED, fd, 0));
	/* what else frees and takes memory makes it less, not each time */
	for (tries = 0; tries < 5 && freed < n * 4 * 3 / 4; tries++) {
		use_pages(&p, n);
		before = free_kib();
		ASSERT_EQ(0, fallocate(fd, FALLOC_FL_PUNCH_HOLE |
				       FALLOC_FL_KEEP_SIZE, 0, (n + 1) * G_PAGE));
		usleep(scaled_ms(200) * 1000);
		after = free_kib();
		freed = after - before;
		ksft_log("%lld KiB of %u are free again", freed, n * 4);
	}
	EXPECT_GE(freed, n * 4 * 3 / 4);
	detach_checked(&p.a);
	close(fd);
}

TEST_F(cache, let_go_when_the_disk_is_detached)
{
	struct paged *p = &self->p;
	struct leaks now;

	use_pages(p, 40);
	ASSERT_EQ(0, guest_set_backend(p->a.g, -1));
	EXPECT_EQ(0, cached_pages(p));
	leaks_now(&now);
	EXPECT_LE(now.pins, self->before.pins);
	ASSERT_EQ(0, guest_set_backend(p->a.g, p->a.d.fd));
	use_pages(p, 40);
}

/* The same guest addresses, but the guest's memory is somewhere else. */
TEST_F(cache, memory_table_that_moves_guest_memory)
{
	struct paged *p = &self->p;
	const struct gregion *bulk = &p->a.g->region[G_BULK];
	uint8_t *first = bulk->hva, *second;
	unsigned int i;

	second = mmap(NULL, bulk->size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(second != MAP_FAILED);
	for (i = 0; i < 6; i++) {
		uint8_t *was = page_hva(p, 1);

		paged_warm(p, 1, SECTOR, i);
		paged_move(p, i % 2 ? first : second);
		pattern_fill(page_hva(p, 1), G_PAGE, SECTOR, 10 + i);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, 1, false, SECTOR));
		EXPECT_TRUE(disk_holds(p, SECTOR, 10 + i));
		disk_put(p, SECTOR, 20 + i);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, 1, true, SECTOR));
		EXPECT_TRUE(page_holds(page_hva(p, 1), SECTOR, 20 + i));
		EXPECT_TRUE(page_holds(was, SECTOR, i));
		/* nobody is told of this: it is the guest's memory later */
		ASSERT_EQ(0, madvise(was, G_PAGE, MADV_DONTNEED));
	}
	paged_move(p, first);
}

TEST_HARNESS_MAIN
