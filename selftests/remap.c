// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue keeps pages of the guest pinned that requests used lately. The owner
 * changes what is mapped there; the next request has to see what the owner sees
 * now, whichever part of it lies in the page: data, header, status, or the table
 * that describes it. Each test first makes sure that there are pages in the cache.
 */
#define _GNU_SOURCE
#include "owner.h"
#include "paged.h"

#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define SECTOR	64		/* what the tests read and write */
#define OTHER	128		/* another place on the disk */
#define PAGE	3		/* the page that is changed */
#define DATA	4		/* data, where that is not what is changed */
#define ROUNDS	2

/* A change of one page of the owner's memory. */
struct change {
	uint8_t *page;
	uint8_t *old;		/* what was there, if it can still be seen */
	int fd;			/* what is mapped there */
};

static void map_at(uint8_t *at, int flags, int fd, off_t offset)
{
	ASSERT_EQ((uintptr_t)at,
		  (uintptr_t)mmap(at, G_PAGE, PROT_READ | PROT_WRITE,
				  MAP_FIXED | flags, fd, offset));
}

static uint8_t *map_anywhere(int flags, int fd, off_t offset)
{
	void *at = mmap(NULL, G_PAGE, PROT_READ | PROT_WRITE, flags, fd, offset);

	ASSERT_TRUE(at != MAP_FAILED);
	return at;
}

static int new_file(unsigned int pages)
{
	int fd = memfd_create("page", MFD_CLOEXEC);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ftruncate(fd, pages * G_PAGE));
	return fd;
}

static void no_set_up(struct change *c)
{
	c->fd = -1;
}

/* Two pages of a file; the first one can be seen elsewhere too. */
static void set_up_file(struct change *c)
{
	c->fd = new_file(2);
	map_at(c->page, MAP_SHARED, c->fd, 0);
	c->old = map_anywhere(MAP_SHARED, c->fd, 0);
}

/* One page of a file, nowhere else. */
static void set_up_page(struct change *c)
{
	c->fd = new_file(1);
	map_at(c->page, MAP_SHARED, c->fd, 0);
}

static void map_over(struct change *c)
{
	map_at(c->page, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void unmap_and_map(struct change *c)
{
	ASSERT_EQ(0, munmap(c->page, G_PAGE));
	map_over(c);
}

static void map_file_over(struct change *c)
{
	c->fd = new_file(1);
	map_at(c->page, MAP_SHARED, c->fd, 0);
}

static void map_next_page_of_file(struct change *c)
{
	map_at(c->page, MAP_SHARED, c->fd, G_PAGE);
}

static void move(uint8_t *from, uint8_t *to)
{
	ASSERT_EQ((uintptr_t)to,
		  (uintptr_t)mremap(from, G_PAGE, G_PAGE,
				    MREMAP_MAYMOVE | MREMAP_FIXED, to));
}

static void move_over(struct change *c)
{
	uint8_t *from = map_anywhere(MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(from, 0x77, G_PAGE);
	move(from, c->page);
}

static void move_away(struct change *c)
{
	c->old = map_anywhere(MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	move(c->page, c->old);
	map_over(c);
}

static void dontneed(struct change *c)
{
	ASSERT_EQ(0, madvise(c->page, G_PAGE, MADV_DONTNEED));
}

static void punch(struct change *c)
{
	ASSERT_EQ(0, fallocate(c->fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, 0, G_PAGE));
}

static void cut_and_extend(struct change *c)
{
	ASSERT_EQ(0, ftruncate(c->fd, 0));
	ASSERT_EQ(0, ftruncate(c->fd, G_PAGE));
}

FIXTURE(changed) {
	struct paged p;
	struct change c;
};

FIXTURE_VARIANT(changed) {
	void (*set_up)(struct change *c);
	void (*apply)(struct change *c);
	bool huge;
};

#define CHANGE(name, prepare, change, is_huge)				\
	FIXTURE_VARIANT_ADD(changed, name) {				\
		.set_up = prepare, .apply = change, .huge = is_huge,	\
	}

CHANGE(mapped_over, no_set_up, map_over, false);
CHANGE(unmapped_and_mapped, no_set_up, unmap_and_map, false);
CHANGE(file_mapped_over, no_set_up, map_file_over, false);
CHANGE(other_page_of_file, set_up_file, map_next_page_of_file, false);
CHANGE(moved_over, no_set_up, move_over, false);
CHANGE(moved_away, no_set_up, move_away, false);
CHANGE(dontneed, no_set_up, dontneed, false);
CHANGE(punched, set_up_page, punch, false);
CHANGE(truncated, set_up_page, cut_and_extend, false);
CHANGE(mapped_over_in_huge_page, no_set_up, map_over, true);
CHANGE(moved_away_from_huge_page, no_set_up, move_away, true);
CHANGE(dontneed_in_huge_page, no_set_up, dontneed, true);

FIXTURE_SETUP(changed)
{
	paged_start(&self->p, (struct guest_opts){ .huge = variant->huge });
}

FIXTURE_TEARDOWN(changed)
{
	detach_checked(&self->p.a);
}

/* A page as it is before the change. */
static void set_up(struct change *c, uint8_t *page,
		   const struct changed_variant *variant)
{
	*c = (struct change){ .page = page, .fd = -1 };
	variant->set_up(c);
}

static void clean_up(struct change *c)
{
	if (c->old)
		munmap(c->old, G_PAGE);
	if (c->fd >= 0)
		close(c->fd);
}

/* What is in the page is written: also if nobody has touched it yet. */
TEST_F(changed, data_to_write)
{
	struct paged *p = &self->p;
	uint8_t *page = page_hva(p, PAGE);
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		char there[G_PAGE];

		set_up(&self->c, page, variant);
		paged_warm(p, PAGE, SECTOR, i);
		variant->apply(&self->c);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, false, SECTOR));
		EXPECT_FALSE(page_holds(page, SECTOR, i));
		ASSERT_EQ(0, disk_read(&p->a.d, SECTOR, there, G_PAGE));
		EXPECT_EQ(0, memcmp(page, there, G_PAGE));

		paged_warm(p, PAGE, SECTOR, 10 + i);
		clean_up(&self->c);
		set_up(&self->c, page, variant);
		paged_warm(p, PAGE, SECTOR, 20 + i);
		variant->apply(&self->c);
		pattern_fill(page, G_PAGE, SECTOR, 30 + i);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, false, SECTOR));
		EXPECT_TRUE(disk_holds(p, SECTOR, 30 + i));
		clean_up(&self->c);
	}
}

TEST_F(changed, data_to_read)
{
	struct paged *p = &self->p;
	uint8_t *page = page_hva(p, PAGE);
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		set_up(&self->c, page, variant);
		paged_warm(p, PAGE, SECTOR, i);
		variant->apply(&self->c);
		disk_put(p, SECTOR, 10 + i);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, true, SECTOR));
		EXPECT_TRUE(page_holds(page, SECTOR, 10 + i));
		if (self->c.old)
			EXPECT_TRUE(page_holds(self->c.old, SECTOR, i));
		clean_up(&self->c);
	}
}

/* Header and status in the page that changes, data elsewhere. */
TEST_F(changed, header_and_status)
{
	struct paged *p = &self->p;
	uint8_t *page = page_hva(p, PAGE), *data = page_hva(p, DATA);
	struct chain c = paged_chain(p, DATA, true);
	unsigned int i;

	disk_put(p, SECTOR, 1);
	disk_put(p, OTHER, 2);
	c.head = page_gpa(p, PAGE) + 100;
	c.status = page_gpa(p, PAGE) + 3000;
	for (i = 0; i < ROUNDS; i++) {
		set_up(&self->c, page, variant);
		paged_warm(p, PAGE, OTHER + 8, i);
		put_header(page + 100, true, SECTOR);
		EXPECT_EQ(G_PAGE + 1, paged_run(p, &c));
		EXPECT_TRUE(page_holds(data, SECTOR, 1));
		EXPECT_EQ(VIRTIO_BLK_S_OK, page[3000]);

		page[3000] = 0x55;
		variant->apply(&self->c);
		put_header(page + 100, true, OTHER);
		page[3000] = G_NO_STATUS;
		EXPECT_EQ(G_PAGE + 1, paged_run(p, &c));
		EXPECT_TRUE(page_holds(data, OTHER, 2));
		EXPECT_EQ(VIRTIO_BLK_S_OK, page[3000]);
		if (self->c.old)
			EXPECT_EQ(0x55, self->c.old[3000]);
		clean_up(&self->c);
	}
}

/* The status alone, in a page that nobody has touched since. */
TEST_F(changed, status)
{
	struct paged *p = &self->p;
	struct chain c = paged_chain(p, DATA, false);
	uint8_t *page = page_hva(p, PAGE);
	unsigned int i;

	c.status = page_gpa(p, PAGE) + 7;
	/* of no request that there is: a status that is an error */
	put_header(page_hva(p, HEAD) + HEAD_AT, false, ~0ULL >> 9);
	for (i = 0; i < ROUNDS; i++) {
		set_up(&self->c, page, variant);
		paged_warm(p, PAGE, SECTOR, i);
		put_header(page_hva(p, HEAD) + HEAD_AT, false, ~0ULL >> 9);
		page[7] = 0x55;
		variant->apply(&self->c);
		EXPECT_EQ(1, paged_run(p, &c));
		EXPECT_EQ(VIRTIO_BLK_S_IOERR, page[7]);
		if (self->c.old)
			EXPECT_EQ(0x55, self->c.old[7]);
		clean_up(&self->c);
	}
}

TEST_F(changed, table)
{
	struct paged *p = &self->p;
	struct chain one = paged_chain(p, DATA, true), two = one;
	uint8_t *page = page_hva(p, PAGE), *head = page_hva(p, HEAD);
	struct vring_desc table[3];
	unsigned int i;

	disk_put(p, SECTOR, 1);
	disk_put(p, OTHER, 2);
	two.head += 32;
	two.data += G_PAGE;
	for (i = 0; i < ROUNDS; i++) {
		set_up(&self->c, page, variant);
		paged_warm(p, PAGE, OTHER + 8, i);
		put_header(head + HEAD_AT, true, SECTOR);
		put_header(head + HEAD_AT + 32, true, OTHER);
		vq_desc(p->vq, p->desc[0], page_gpa(p, PAGE) + 16, sizeof(table),
			VRING_DESC_F_INDIRECT, 0);
		chain_tabulate(table, &one);
		memcpy(page + 16, table, sizeof(table));
		EXPECT_EQ(G_PAGE + 1, paged_push(p->vq, p->desc[0]));
		EXPECT_TRUE(page_holds(page_hva(p, DATA), SECTOR, 1));

		memset(page_hva(p, DATA), 0, 2 * G_PAGE);
		variant->apply(&self->c);
		chain_tabulate(table, &two);
		memcpy(page + 16, table, sizeof(table));
		EXPECT_EQ(G_PAGE + 1, paged_push(p->vq, p->desc[0]));
		EXPECT_TRUE(page_holds(page_hva(p, DATA + 1), OTHER, 2));
		EXPECT_EQ(0, page_hva(p, DATA)[8]);
		clean_up(&self->c);
	}
}

FIXTURE(page) {
	struct paged p;
	uint8_t *page;
};

FIXTURE_VARIANT(page) {
	bool huge;
};

FIXTURE_VARIANT_ADD(page, small) { .huge = false };
FIXTURE_VARIANT_ADD(page, huge) { .huge = true };

FIXTURE_SETUP(page)
{
	paged_start(&self->p, (struct guest_opts){ .huge = variant->huge });
	self->page = page_hva(&self->p, PAGE);
}

FIXTURE_TEARDOWN(page)
{
	detach_checked(&self->p.a);
}

/* What may not be written is not, and is again when it may. */
TEST_F(page, made_read_only_and_back)
{
	struct paged *p = &self->p;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		paged_warm(p, PAGE, SECTOR, i);
		disk_put(p, SECTOR, 10 + i);
		ASSERT_EQ(0, mprotect(self->page, G_PAGE, PROT_READ));
		EXPECT_EQ(VIRTIO_BLK_S_IOERR, paged_io(p, PAGE, true, SECTOR));
		EXPECT_TRUE(page_holds(self->page, SECTOR, i));
		/* it can still be read, before and after another failure */
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, false, SECTOR));
		EXPECT_TRUE(disk_holds(p, SECTOR, i));
		EXPECT_EQ(VIRTIO_BLK_S_IOERR, paged_io(p, PAGE, true, OTHER));
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, false, SECTOR));
		ASSERT_EQ(0, mprotect(self->page, G_PAGE, PROT_READ | PROT_WRITE));
		disk_put(p, SECTOR, 20 + i);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, true, SECTOR));
		EXPECT_TRUE(page_holds(self->page, SECTOR, 20 + i));
	}
}

TEST_F(page, made_inaccessible_and_back)
{
	struct paged *p = &self->p;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		paged_warm(p, PAGE, SECTOR, i);
		ASSERT_EQ(0, mprotect(self->page, G_PAGE, PROT_NONE));
		EXPECT_EQ(VIRTIO_BLK_S_IOERR, paged_io(p, PAGE, false, OTHER));
		EXPECT_EQ(VIRTIO_BLK_S_IOERR, paged_io(p, PAGE, true, OTHER));
		ASSERT_EQ(0, mprotect(self->page, G_PAGE, PROT_READ | PROT_WRITE));
		EXPECT_TRUE(page_holds(self->page, SECTOR, i));
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, true, SECTOR));
		ASSERT_EQ(0, munmap(self->page, G_PAGE));
		EXPECT_EQ(VIRTIO_BLK_S_IOERR, paged_io(p, PAGE, false, OTHER));
		map_at(self->page, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	}
}

/* Then there is nowhere to write it: nor may it be. */
TEST_F(page, status_in_a_page_made_read_only)
{
	struct paged *p = &self->p;
	struct chain c = paged_chain(p, DATA, true);

	paged_warm(p, PAGE, SECTOR, 1);
	put_header(page_hva(p, HEAD) + HEAD_AT, true, SECTOR);
	c.status = page_gpa(p, PAGE) + 7;
	EXPECT_EQ(G_PAGE + 1, paged_run(p, &c));
	self->page[7] = 0x55;
	ASSERT_EQ(0, mprotect(self->page, G_PAGE, PROT_READ));
	EXPECT_EQ(0, paged_run(p, &c));
	EXPECT_EQ(0x55, self->page[7]);
	ASSERT_EQ(0, mprotect(self->page, G_PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(G_PAGE + 1, paged_run(p, &c));
	EXPECT_EQ(VIRTIO_BLK_S_OK, self->page[7]);
}

/* A child that looks at or writes to its copy when told to. */
struct child {
	pid_t pid;
	int go[2], done[2];
};

static void child_wait(struct child *c)
{
	char byte;

	if (read(c->go[0], &byte, 1) != 1)
		_exit(2);
}

/* In the child: a line between two parts of its life. */
static void child_pause(struct child *c)
{
	if (write(c->done[1], "d", 1) != 1)
		_exit(2);
	child_wait(c);
}

static bool child_new(struct child *c)
{
	ASSERT_EQ(0, pipe(c->go));
	ASSERT_EQ(0, pipe(c->done));
	fflush(stdout);
	c->pid = fork();
	ASSERT_GE(c->pid, 0);
	return !c->pid;
}

static void child_go(struct child *c)
{
	ASSERT_EQ(1, write(c->go[1], "g", 1));
}

static void child_reached(struct child *c)
{
	char byte;

	ASSERT_EQ(1, read(c->done[0], &byte, 1));
}

static int child_end(struct child *c)
{
	int status;

	child_go(c);
	ASSERT_EQ(c->pid, waitpid(c->pid, &status, 0));
	close(c->go[0]);
	close(c->go[1]);
	close(c->done[0]);
	close(c->done[1]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Nobody writes after fork but the device: to the owner's page alone. */
TEST_F(page, read_after_fork_is_not_seen_by_the_child)
{
	struct paged *p = &self->p;
	struct chain c = paged_chain(p, PAGE, true);
	uint8_t *status = page_hva(p, HEAD) + STATUS_AT;
	struct child child;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		paged_warm(p, PAGE, SECTOR, i);
		disk_put(p, SECTOR, 10 + i);
		put_header(page_hva(p, HEAD) + HEAD_AT, true, SECTOR);
		*status = G_NO_STATUS;
		if (child_new(&child)) {
			child_wait(&child);
			_exit(!page_holds(self->page, SECTOR, i) ||
			      *status != G_NO_STATUS);
		}
		EXPECT_EQ(G_PAGE + 1, paged_run(p, &c));
		EXPECT_TRUE(page_holds(self->page, SECTOR, 10 + i));
		EXPECT_EQ(VIRTIO_BLK_S_OK, *status);
		EXPECT_EQ(0, child_end(&child));
	}
}

TEST_F(page, what_the_parent_writes_after_fork_is_written)
{
	struct paged *p = &self->p;
	struct child child;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		paged_warm(p, PAGE, SECTOR, i);
		if (child_new(&child)) {
			child_wait(&child);
			_exit(!page_holds(self->page, SECTOR, i));
		}
		/* once as it is, so that it is in the cache again */
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, false, SECTOR));
		pattern_fill(self->page, G_PAGE, SECTOR, 10 + i);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, false, SECTOR));
		EXPECT_TRUE(disk_holds(p, SECTOR, 10 + i));
		disk_put(p, SECTOR, 20 + i);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, true, SECTOR));
		EXPECT_TRUE(page_holds(self->page, SECTOR, 20 + i));
		EXPECT_EQ(0, child_end(&child));
	}
}

TEST_F(page, what_the_child_writes_after_fork_is_not_written)
{
	struct paged *p = &self->p;
	struct child child;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		paged_warm(p, PAGE, SECTOR, i);
		if (child_new(&child)) {
			child_wait(&child);
			pattern_fill(self->page, G_PAGE, SECTOR, 30);
			child_pause(&child);
			_exit(!page_holds(self->page, SECTOR, 30));
		}
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, false, SECTOR));
		child_go(&child);
		child_reached(&child);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, false, SECTOR));
		EXPECT_TRUE(disk_holds(p, SECTOR, i));
		disk_put(p, SECTOR, 10 + i);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, true, SECTOR));
		EXPECT_TRUE(page_holds(self->page, SECTOR, 10 + i));
		EXPECT_EQ(0, child_end(&child));
	}
}

/* Zeros that the whole system shares, until the guest writes to its page. */
TEST_F(page, first_write_to_a_page_of_zeros)
{
	struct paged *p = &self->p;
	unsigned int i, round;
	char there[G_PAGE];

	for (round = 0; round < 2; round++) {
		paged_warm(p, DATA, SECTOR, 1);
		ASSERT_EQ(0, madvise(page_hva(p, 0), AREA_PAGES * G_PAGE,
				     MADV_DONTNEED));
		for (i = 0; i < 3; i++)
			EXPECT_EQ(VIRTIO_BLK_S_OK,
				  paged_io(p, PAGE, false, SECTOR));
		EXPECT_GT(cached_pages(p), 0);
		ASSERT_EQ(0, disk_read(&p->a.d, SECTOR, there, G_PAGE));
		EXPECT_EQ(0, there[0]);
		EXPECT_EQ(0, memcmp(there, there + 1, G_PAGE - 1));

		if (round == 1) {
			/* the device writes first */
			disk_put(p, OTHER, 3);
			EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, true, OTHER));
			EXPECT_TRUE(page_holds(self->page, OTHER, 3));
		}
		pattern_fill(self->page, G_PAGE, SECTOR, 2);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, false, SECTOR));
		EXPECT_TRUE(disk_holds(p, SECTOR, 2));
	}
}

static int pattern_file(uint64_t seed)
{
	char data[G_PAGE];
	int fd = new_file(1);

	pattern_fill(data, sizeof(data), SECTOR, seed);
	ASSERT_EQ(G_PAGE, pwrite(fd, data, sizeof(data), 0));
	return fd;
}

static bool file_holds(int fd, uint64_t seed)
{
	char data[G_PAGE];

	ASSERT_EQ(G_PAGE, pread(fd, data, sizeof(data), 0));
	return pattern_check(data, sizeof(data), SECTOR, seed) < 0;
}

/* The file's own page, until guest or device write to it. */
TEST_F(page, first_write_to_a_private_mapping_of_a_file)
{
	struct paged *p = &self->p;
	unsigned int i, n;

	for (i = 0; i < ROUNDS; i++) {
		int fd = pattern_file(1);

		map_at(self->page, MAP_PRIVATE, fd, 0);
		for (n = 0; n < 3; n++)
			EXPECT_EQ(VIRTIO_BLK_S_OK,
				  paged_io(p, PAGE, false, SECTOR));
		EXPECT_GT(cached_pages(p), 0);
		EXPECT_TRUE(disk_holds(p, SECTOR, 1));
		disk_put(p, OTHER, 3);
		if (i == 1) {
			EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, true, OTHER));
			EXPECT_TRUE(page_holds(self->page, OTHER, 3));
		}
		pattern_fill(self->page, G_PAGE, SECTOR, 2);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, false, SECTOR));
		EXPECT_TRUE(disk_holds(p, SECTOR, 2));
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, true, OTHER));
		EXPECT_TRUE(page_holds(self->page, OTHER, 3));
		EXPECT_TRUE(file_holds(fd, 1));
		close(fd);
	}
}

/*
 * Requests to the start of KSFT_DELAY take 200 ms, others do not. A slow one
 * uses page PAGE, and has header and status in a page of their own.
 */
#define SLOW_HEAD	1
#define FAST		4096	/* a sector that is not slow */

struct slow {
	struct paged p;
	int desc[3];
	struct greq *r;
};

static void slow_start(struct slow *s)
{
	paged_start_on(&s->p, special_path("KSFT_DELAY"),
		       (struct guest_opts){ 0 });
	paged_take_descs(s->p.vq, s->desc);
}

/* Returns with the request under way. */
static void slow_begin(struct slow *s, bool in, uint32_t len)
{
	struct paged *p = &s->p;
	struct chain c = paged_chain(p, PAGE, in);

	c.head = page_gpa(p, SLOW_HEAD) + HEAD_AT;
	c.status = page_gpa(p, SLOW_HEAD) + STATUS_AT;
	c.len = len;
	put_header(page_hva(p, SLOW_HEAD) + HEAD_AT, in, SECTOR);
	page_hva(p, SLOW_HEAD)[STATUS_AT] = G_NO_STATUS;
	chain_describe(p->vq, s->desc, &c);
	s->r = req_raw(p->vq, s->desc[0]);
	vq_publish_kick(p->vq);
	while (!shown_number(&p->s, 0, "pinned_pages"))
		ASSERT_EQ(0, vq_reap(p->vq));
}

static void slow_end(struct slow *s)
{
	ASSERT_TRUE(req_wait(s->r, G_WAIT_MS));
	req_free(s->r);
	EXPECT_EQ(VIRTIO_BLK_S_OK, page_hva(&s->p, SLOW_HEAD)[STATUS_AT]);
}

/* It keeps its page until it ends; the next one on that page gets the new one. */
TEST(changed_while_a_request_uses_the_page)
{
	struct slow s = { 0 };
	struct paged *p = &s.p;
	unsigned int i, in_time = 0;
	struct chain c;
	uint8_t *page;

	slow_start(&s);
	page = page_hva(p, PAGE);
	c = paged_chain(p, DATA, true);
	c.head = page_gpa(p, PAGE) + HEAD_AT;
	disk_put(p, SECTOR, 50);
	for (i = 0; i < 8; i++) {
		paged_warm(p, PAGE, FAST, i);
		slow_begin(&s, i % 2, G_PAGE);
		map_at(page, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		pattern_fill(page, G_PAGE, FAST, 10 + i);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, false, FAST));
		EXPECT_TRUE(disk_holds(p, FAST, 10 + i));
		disk_put(p, FAST, 20 + i);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(p, PAGE, true, FAST));
		EXPECT_TRUE(page_holds(page, FAST, 20 + i));
		put_header(page + HEAD_AT, true, FAST);
		EXPECT_EQ(G_PAGE + 1, paged_run(p, &c));
		EXPECT_TRUE(page_holds(page_hva(p, DATA), FAST, 20 + i));
		pattern_fill(page, G_PAGE, FAST, 20 + i);
		in_time += !s.r->done;
		slow_end(&s);
		EXPECT_TRUE(page_holds(page, FAST, 20 + i));
	}
	ksft_log("%u of %u in time", in_time, i);
	EXPECT_GT(in_time, 0);
	detach_checked(&p->a);
}

/* A part of another disk, as memory: @n pages at PAGE. */
#define PART_AT		(16u << 20)

static int map_disk(struct paged *p, const char *path, unsigned int n)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	ASSERT_GE(fd, 0);
	ASSERT_EQ((uintptr_t)page_hva(p, PAGE),
		  (uintptr_t)mmap(page_hva(p, PAGE), n * G_PAGE,
				  PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED,
				  fd, PART_AT));
	return fd;
}

/* The file's pages are written back, and then what has been read arrives. */
static void read_into_pages_written_back(unsigned int n)
{
	char *data = aligned_alloc(G_PAGE, n * G_PAGE);
	struct slow s = { 0 };
	unsigned int i, in_time = 0;
	struct disk d;
	int fd;

	ASSERT_TRUE(data);
	ASSERT_EQ(0, disk_open(&d, backend_path(0), O_RDONLY));
	slow_start(&s);
	fd = map_disk(&s.p, backend_path(0), n);
	for (i = 0; i < 4; i++) {
		pattern_fill(data, n * G_PAGE, SECTOR, i);
		ASSERT_EQ(0, disk_write(&s.p.a.d, SECTOR, data, n * G_PAGE));
		memset(page_hva(&s.p, PAGE), i, n * G_PAGE);
		slow_begin(&s, true, n * G_PAGE);
		ASSERT_EQ(0, fsync(fd));
		vq_reap(s.p.vq);
		in_time += !s.r->done;
		slow_end(&s);
		ASSERT_EQ(0, fsync(fd));
		ASSERT_EQ(0, disk_read(&d, PART_AT / G_SECTOR, data, n * G_PAGE));
		EXPECT_EQ(-1, pattern_check(data, n * G_PAGE, SECTOR, i));
	}
	ksft_log("%u of %u in time", in_time, i);
	EXPECT_GT(in_time, 0);
	detach_checked(&s.p.a);
	close(fd);
	disk_close(&d);
	free(data);
}

TEST(read_into_a_page_that_is_written_back)
{
	read_into_pages_written_back(1);
}

/* More than the cache is used for. */
TEST(read_into_many_pages_that_are_written_back)
{
	read_into_pages_written_back(64);
}

/*
 * The owner changes a lot of memory at once. Long before the end of that some of
 * it is new for the guest, and the last part is old for as long. Of so many pages
 * the kernel makes the first ones known to all CPUs before the end.
 */
#define LOT (80u << 20)

struct lot {
	struct paged p;
	struct chain c;
	uint8_t *at;
	atomic_bool done;
	pthread_t thread;
};

static void *give_lot_back(void *arg)
{
	struct lot *l = arg;
	int ret = madvise(l->at, LOT, MADV_DONTNEED);

	l->done = true;
	return ret ? arg : NULL;
}

/* Writes page PAGE, whatever it holds, with a header that does not change. */
static void lot_write(struct lot *l)
{
	uint8_t *head = guest_hva(l->p.a.g, l->c.head);

	put_header(head, false, SECTOR);
	l->c.data = page_gpa(&l->p, PAGE);
	EXPECT_EQ(1, paged_run(&l->p, &l->c));
}

static void lot_expect_new(struct lot *l, uint64_t seed)
{
	pattern_fill(page_hva(&l->p, PAGE), G_PAGE, SECTOR, seed);
	lot_write(l);
	EXPECT_TRUE(disk_holds(&l->p, SECTOR, seed));
}

/* Nobody has written to it since it came. */
static bool page_is_new(const volatile uint8_t *page)
{
	unsigned int i, sum = 0;

	for (i = 0; i < 64; i++)
		sum |= page[i];
	return !sum;
}

/*
 * Requests meanwhile; true if the guest saw the new page before the end. It looks
 * at the next one: writing to a page of zeros that it has read would be a change
 * for itself, of which the device is told.
 */
static bool lot_change(struct lot *l, uint64_t seed)
{
	const uint8_t *next = page_hva(&l->p, PAGE + 1);
	bool in_time = false;
	void *failed;

	pattern_fill(page_hva(&l->p, PAGE), G_PAGE, SECTOR, seed);
	lot_write(l);
	l->done = false;
	ASSERT_EQ(0, pthread_create(&l->thread, NULL, give_lot_back, l));
	while (!l->done && !page_is_new(next))
		lot_write(l);
	if (page_is_new(next)) {
		lot_expect_new(l, seed + 1);
		in_time = !l->done;
	}
	ASSERT_EQ(0, pthread_join(l->thread, &failed));
	ASSERT_FALSE(failed);
	lot_expect_new(l, seed + 2);
	return in_time;
}

FIXTURE(lot) {
	struct lot l;
	uint8_t *was;
};

FIXTURE_VARIANT(lot) {
	unsigned int part;	/* where the page lies, in percent */
	bool late;		/* too late to be seen before the end */
};

FIXTURE_VARIANT_ADD(lot, first) { .part = 0 };
FIXTURE_VARIANT_ADD(lot, early) { .part = 40 };
FIXTURE_VARIANT_ADD(lot, last) { .part = 100, .late = true };

FIXTURE_SETUP(lot)
{
	struct lot *l = &self->l;
	struct paged *p = &l->p;
	const struct gregion *bulk;
	size_t room;

	paged_start(p, (struct guest_opts){ 0 });
	bulk = &p->a.g->region[G_BULK];
	self->was = bulk->hva;
	l->at = mmap(NULL, LOT, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(l->at != MAP_FAILED);
	ASSERT_EQ(0, madvise(l->at, LOT, MADV_NOHUGEPAGE));
	room = (LOT - bulk->size) / G_PAGE;
	paged_move(p, l->at + room * variant->part / 100 * G_PAGE);
	/* header and status stay */
	ASSERT_EQ(0, guest_alloc(p->a.g, G_LOW, 64, 0, 64, &l->c.head));
	l->c.status = l->c.head + 32;
	l->c.len = G_PAGE;
}

FIXTURE_TEARDOWN(lot)
{
	struct lot *l = &self->l;

	guest_free_range(l->p.a.g, l->c.head, 64);
	paged_move(&l->p, self->was);
	detach_checked(&l->p.a);
}

TEST_F_TIMEOUT(lot, new_before_the_change_is_over, 60)
{
	unsigned int i, in_time = 0;

	for (i = 0; i < ROUNDS; i++) {
		memset(self->l.at, 1, LOT);
		in_time += lot_change(&self->l, 1 + 8 * i);
	}
	ksft_log("%u of %u in time", in_time, i);
	if (!variant->late)
		EXPECT_GT(in_time, 0);
}

/* The owner puts a huge page where there were small ones. */
TEST(collapsed_into_a_huge_page)
{
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
	struct paged p = { 0 };
	unsigned int i, tries;
	uint8_t *page;
	int ret = -1;

	paged_start(&p, (struct guest_opts){ .huge = true });
	page = page_hva(&p, PAGE);
	ASSERT_EQ(0, madvise(p.hva, HUGE_BYTES, MADV_NOHUGEPAGE));
	memset(p.hva, 1, HUGE_BYTES);
	ASSERT_EQ(0, madvise(p.hva, HUGE_BYTES, MADV_HUGEPAGE));
	paged_warm(&p, PAGE, SECTOR, 1);
	/* not while there is a pin on one of them */
	for (tries = 0; tries < 200 && ret; tries++) {
		ret = madvise(p.hva, HUGE_BYTES, MADV_COLLAPSE);
		if (ret)
			usleep(10000);
	}
	if (ret)
		SKIP(return, "no huge page: %s", strerror(errno));
	for (i = 0; i < ROUNDS; i++) {
		pattern_fill(page, G_PAGE, SECTOR, 2 + i);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(&p, PAGE, false, SECTOR));
		EXPECT_TRUE(disk_holds(&p, SECTOR, 2 + i));
		disk_put(&p, SECTOR, 10 + i);
		EXPECT_EQ(VIRTIO_BLK_S_OK, paged_io(&p, PAGE, true, SECTOR));
		EXPECT_TRUE(page_holds(page, SECTOR, 10 + i));
	}
	detach_checked(&p.a);
}

static int uffd_open(uint8_t *page, uint64_t features, uint64_t mode)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register reg = {
		.range = { (uintptr_t)page, G_PAGE }, .mode = mode,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg))
		SKIP(exit(KSFT_SKIP), "userfaultfd: %s", strerror(errno));
	return fd;
}

/* Waits for a fault in the page: its flags. */
static uint64_t uffd_fault(int fd, const uint8_t *page)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct uffd_msg msg;

	ASSERT_EQ(1, poll(&poll_fd, 1, scaled_ms(G_WAIT_MS)));
	ASSERT_EQ(sizeof(msg), read(fd, &msg, sizeof(msg)));
	ASSERT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
	ASSERT_EQ((uintptr_t)page, msg.arg.pagefault.address & ~(G_PAGE - 1ULL));
	return msg.arg.pagefault.flags;
}

static void uffd_protect(int fd, uint8_t *page, bool protect)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)page, G_PAGE },
		.mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	ASSERT_EQ(0, ioctl(fd, UFFDIO_WRITEPROTECT, &wp));
}

static void uffd_fill(int fd, uint8_t *page, uint64_t seed)
{
	static char data[G_PAGE] __attribute__((aligned(4096)));
	struct uffdio_copy copy = {
		.dst = (uintptr_t)page, .src = (uintptr_t)data, .len = G_PAGE,
	};

	pattern_fill(data, sizeof(data), SECTOR, seed);
	ASSERT_EQ(0, ioctl(fd, UFFDIO_COPY, &copy));
}

/* Like paged_io(), but without waiting. */
static struct greq *paged_begin(struct paged *p, unsigned int n, bool in,
				uint64_t sector)
{
	const struct chain c = paged_chain(p, n, in);
	struct greq *r;

	put_header(page_hva(p, HEAD) + HEAD_AT, in, sector);
	page_hva(p, HEAD)[STATUS_AT] = G_NO_STATUS;
	chain_describe(p->vq, p->desc, &c);
	r = req_raw(p->vq, p->desc[0]);
	vq_publish_kick(p->vq);
	return r;
}

static void paged_end(struct paged *p, struct greq *r)
{
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	req_free(r);
	EXPECT_EQ(VIRTIO_BLK_S_OK, page_hva(p, HEAD)[STATUS_AT]);
}

/* How QEMU takes snapshots in the background: the write has to be seen. */
TEST_F(page, write_protected_by_userfaultfd)
{
	struct paged *p = &self->p;
	struct greq *r;
	unsigned int i;
	int fd;

	memset(self->page, 1, G_PAGE);
	fd = uffd_open(self->page, UFFD_FEATURE_PAGEFAULT_FLAG_WP,
		       UFFDIO_REGISTER_MODE_WP);
	for (i = 0; i < ROUNDS; i++) {
		paged_warm(p, PAGE, SECTOR, i);
		disk_put(p, SECTOR, 10 + i);
		uffd_protect(fd, self->page, true);
		r = paged_begin(p, PAGE, true, SECTOR);
		EXPECT_TRUE(uffd_fault(fd, self->page) & UFFD_PAGEFAULT_FLAG_WP);
		EXPECT_TRUE(page_holds(self->page, SECTOR, i));
		EXPECT_EQ(G_NO_STATUS, page_hva(p, HEAD)[STATUS_AT]);
		uffd_protect(fd, self->page, false);
		paged_end(p, r);
		EXPECT_TRUE(page_holds(self->page, SECTOR, 10 + i));
	}
	close(fd);
}

/* How QEMU migrates with postcopy: the page comes when it is asked for. */
TEST_F(page, missing_and_brought_by_userfaultfd)
{
	struct paged *p = &self->p;
	struct greq *r;
	unsigned int i;
	int fd;

	memset(self->page, 1, G_PAGE);
	fd = uffd_open(self->page, 0, UFFDIO_REGISTER_MODE_MISSING);
	for (i = 0; i < ROUNDS; i++) {
		paged_warm(p, PAGE, SECTOR, i);
		ASSERT_EQ(0, madvise(self->page, G_PAGE, MADV_DONTNEED));
		r = paged_begin(p, PAGE, false, SECTOR);
		uffd_fault(fd, self->page);
		EXPECT_EQ(G_NO_STATUS, page_hva(p, HEAD)[STATUS_AT]);
		uffd_fill(fd, self->page, 10 + i);
		paged_end(p, r);
		EXPECT_TRUE(disk_holds(p, SECTOR, 10 + i));
	}
	close(fd);
}

/* What a thread of the owner waits in while a page is missing. */
static void wait_for_worker(struct guest *g, bool detach)
{
	if (detach)
		guest_set_backend(g, -1);
	else
		guest_set_mem(g);
}

/* Lets the worker wait for a page, and waits for the worker. */
static void live_without_a_page(int ready, const void *detach)
{
	struct paged p = { 0 };
	uint8_t *page;
	int fd;

	paged_start(&p, (struct guest_opts){ .num = 256 });
	page = page_hva(&p, PAGE);
	fd = uffd_open(page, 0, UFFDIO_REGISTER_MODE_MISSING);
	paged_begin(&p, PAGE, false, SECTOR);
	uffd_fault(fd, page);
	owner_ready(ready);
	wait_for_worker(p.a.g, *(const bool *)detach);
	_exit(2);
}

/* Nobody else could bring the page; the owner must not wait for it for ever. */
static void kill_while_page_is_missing(bool detach)
{
	struct owner o;

	ASSERT_TRUE(owner_start(&o, live_without_a_page, &detach));
	usleep(300000);
	/* it does wait */
	EXPECT_TRUE(owner_is_there(&o));
	owner_kill(&o);
	owner_is_gone(&o, backend_path(0), G_WAIT_MS);
}

TEST(killed_while_it_detaches_and_a_page_is_missing)
{
	kill_while_page_is_missing(true);
}

TEST(killed_while_it_sets_memory_and_a_page_is_missing)
{
	kill_while_page_is_missing(false);
}

TEST_HARNESS_MAIN
