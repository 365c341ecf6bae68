// SPDX-License-Identifier: GPL-2.0-only
/* The module's view.c: a queue's view of guest memory. */
#include "mem_fixture.h"

/* Translation */

TEST(empty_table)
{
	struct vhost_blk_mem *mem = vhost_blk_mem_create(NULL, 0);
	struct vhost_blk_view view = { .mem = mem };
	u64 hva = 5;
	u8 byte;

	ASSERT_FALSE(IS_ERR(mem));
	EXPECT_EQ(0, vhost_blk_view_translate(&view, 0, 1, &hva));
	EXPECT_EQ(0, vhost_blk_view_translate(&view, U64_MAX, U64_MAX, &hva));
	EXPECT_EQ(5, hva);
	EXPECT_EQ(-EFAULT, vhost_blk_view_read(&view, 0, &byte, 1));
	EXPECT_EQ(0, vhost_blk_view_read(&view, 0, &byte, 0));
	vhost_blk_mem_free(mem);
}

/* Whatever was found last: also when @at is below it, above it, or wraps. */
TEST(translates_as_a_linear_search_does)
{
	static struct vhost_memory_region region[VHOST_BLK_MAX_REGIONS];
	static const unsigned int sizes[] = { 1, 2, 3, 7, 64, 511, 512 };
	struct rng rng = { .state = 3 };
	unsigned int k, round;

	for (k = 0; k < ARRAY_SIZE(sizes); k++) {
		unsigned int nr = sizes[k];
		struct vhost_blk_view view = { .mem = NULL };
		struct vhost_blk_mem *mem;

		random_regions(&rng, region, nr);
		mem = vhost_blk_mem_create(region, nr);
		ASSERT_FALSE(IS_ERR(mem));
		view.mem = mem;
		for (round = 0; round < 100000; round++) {
			const struct vhost_blk_region *hint = NULL;
			u64 at = random_edge(&rng, region, nr);
			u64 len = rng_next(&rng) >> rng_below(&rng, 64);
			const struct vhost_memory_region *r =
				linear_search(region, nr, at);
			u64 off = r ? at - r->guest_phys_addr : 0;
			u64 left = r ? r->memory_size - off : 0, hva = 7;

			switch (rng_below(&rng, 4)) {
			case 0:
				hint = &mem->region[rng_below(&rng, nr)];
				break;
			case 1: /* a neighbour, or the right one */
				hint = vhost_blk_mem_find(
					mem, at - 1 + rng_below(&rng, 3));
				break;
			case 2: /* what the last round has left */
				hint = view.last;
				break;
			}
			view.last = hint;
			ASSERT_EQ(len < left ? len : left,
				  vhost_blk_view_translate(&view, at, len,
							   &hva));
			ASSERT_EQ(r ? r->userspace_addr + off : 7, hva);
			/* It is remembered; a miss forgets nothing. */
			ASSERT_TRUE(view.last ==
				    (r ? vhost_blk_mem_find(mem, at) : hint));
		}
		vhost_blk_mem_free(mem);
	}
}

/* The hint at each edge of the address space and of its region. */
TEST(hint_is_good_for_its_region_only)
{
	static const struct vhost_memory_region region[] = {
		R(0, 0x1000, 0x100000),
		R(0x8000, 0x1000, 0x200000),
		R(-0x1000ULL, 0x1000, 0x300000),
	};
	static const struct {
		u64 gpa, hva;
	} cases[] = {
		{ 0, 0x100000 },      { 0xfff, 0x100fff },
		{ 0x1000, 0 },	      { 0x7fff, 0 },
		{ 0x8000, 0x200000 }, { 0x8fff, 0x200fff },
		{ 0x9000, 0 },	      { -0x1001ULL, 0 },
		{ 1ULL << 63, 0 },    { -0x1000ULL, 0x300000 },
		{ -1ULL, 0x300fff },
	};
	struct vhost_blk_mem *mem = vhost_blk_mem_create(region, 3);
	struct vhost_blk_view view = { .mem = mem };
	unsigned int i, k;

	ASSERT_FALSE(IS_ERR(mem));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (k = 0; k < 4; k++) {
			u64 hva = 0;

			view.last = k < 3 ? &mem->region[k] : NULL;
			EXPECT_EQ(!!cases[i].hva,
				  vhost_blk_view_translate(&view, cases[i].gpa,
							   1, &hva));
			EXPECT_EQ(cases[i].hva, hva);
		}
	}
	vhost_blk_mem_free(mem);
}

/* Reading */

FIXTURE(read) {
	struct rig_mem *mem;
};

FIXTURE_VARIANT(read) {
	bool cached;
};

FIXTURE_VARIANT_ADD(read, direct) { .cached = false };
FIXTURE_VARIANT_ADD(read, cached) { .cached = true };

FIXTURE_SETUP(read)
{
	struct rng rng = { .state = 4 };
	u64 at;

	self->mem = rig_mem_new();
	if (variant->cached)
		rig_mem_cache(self->mem);
	for (at = 0; at < 0x20000; at++) {
		u8 byte = rng_next(&rng);

		rig_write(self->mem, at, &byte, 1);
		rig_write(self->mem, -at - 1, &byte, 1);
	}
}

FIXTURE_TEARDOWN(read)
{
	unit_hook = NULL;
	unit_fault.len = 0;
	rig_mem_delete(self->mem);
}

TEST_F(read, across_neighbours)
{
	static const struct {
		u64 gpa;
		size_t len;
		int ret;
	} cases[] = {
		{ 0, 0x10000, 0 },
		{ 0, RIG_HOLE, 0 },
		{ 0, RIG_HOLE + 1, -EFAULT },
		{ 0xffff, 2, 0 },
		{ 0x13fff, 2, 0 },
		{ 0xfff0, 0x4020, 0 },
		{ RIG_HOLE - 1, 1, 0 },
		{ RIG_HOLE - 1, 2, -EFAULT },
		{ RIG_HOLE, 1, -EFAULT },
		{ RIG_HOLE + RIG_HOLE_LEN, 0x7000, 0 },
		{ RIG_HOLE + RIG_HOLE_LEN, 0x7001, -EFAULT },
		{ U64_MAX, 1, 0 },
		{ U64_MAX, 2, -EFAULT }, /* and not the byte at 0 */
		{ U64_MAX - 0xffff, 0x10000, 0 },
		{ U64_MAX - 0xffff, 0x10001, -EFAULT },
		{ 1ULL << 63, 1, -EFAULT },
		{ 1ULL << 63, 0, 0 },
	};
	unsigned int i;
	u64 n;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		/* To the byte: nothing behind the buffer is touched. */
		u8 *dst = malloc(cases[i].len);

		EXPECT_EQ(cases[i].ret,
			  vhost_blk_view_read(&self->mem->view, cases[i].gpa,
					      dst, cases[i].len));
		for (n = 0; !cases[i].ret && n < cases[i].len; n++)
			ASSERT_EQ(*rig_at(self->mem, cases[i].gpa + n), dst[n]);
		free(dst);
	}
}

/* Any place and length, whatever happens to the cache meanwhile. */
TEST_F(read, any_piece)
{
	struct rng rng = { .state = 6 };
	static u8 dst[0x3000];
	unsigned int round, i;

	for (round = 0; round < 20000; round++) {
		u64 gpa = rng_below(&rng, 0x20000);
		size_t len = rng_below(&rng, rng_once(&rng, 8) ? 0x3000 : 64);
		bool all = true;

		for (i = 0; i < len; i++)
			all &= !!rig_at(self->mem, gpa + i);
		if (rng_once(&rng, 8))
			rig_mem_shake(self->mem, &rng);
		ASSERT_EQ(all ? 0 : -EFAULT,
			  vhost_blk_view_read(&self->mem->view, gpa, dst, len));
		for (i = 0; all && i < len; i++)
			ASSERT_EQ(*rig_at(self->mem, gpa + i), dst[i]);
	}
	EXPECT_EQ(variant->cached, !!unit_pins);
}

TEST_F(read, fails_where_memory_cannot_be_read)
{
	unsigned int i;
	u8 buf[64];

	for (i = 0; i < 66; i++) {
		unit_fault.at = (uintptr_t)rig_at(self->mem, 0x1000 - 1 + i);
		unit_fault.len = 1;
		/* What is unmapped is a change. */
		rig_mem_change(self->mem);
		EXPECT_EQ(i == 0 || i == 65 ? 0 : -EFAULT,
			  vhost_blk_view_read(&self->mem->view, 0x1000, buf,
					      64));
	}
}

/* Copies so far, and those of them that are followed by a barrier. */
static unsigned int copies, fenced;
static u64 copied;

static void driver_changes_it(enum unit_op op, const volatile void *p,
			      size_t size)
{
	static const volatile void *last;

	if (op == UNIT_COPY) {
		copies++;
		copied += size;
		memset((void *)p, 0xee, size);
	}
	if (op == UNIT_BARRIER && last)
		fenced++;
	last = op == UNIT_COPY ? p : NULL;
}

TEST_F(read, once_although_the_driver_changes_it)
{
	static const struct {
		u64 gpa;
		size_t len;
		unsigned int copies;
		bool one_page;
	} cases[] = {
		{ 0x1000, 16, 1, true },
		{ 0x1ff0, 16, 1, true },
		{ 0x2ff1, 16, 1, false },
		{ 0x4000, 4096, 1, true },
		{ 0x5fff, 1, 1, true },
		{ 0x6fff, 2, 1, false },
		{ 0x8001, 4096, 1, false },
		{ 0xa000, 4097, 1, false },
		/* two regions, a page of each */
		{ 0xfff8, 16, 2, true },
		/* inside a page of the guest, not of the process */
		{ RIG_HOLE + RIG_HOLE_LEN + 0xff8, 8, 1, false },
		{ U64_MAX - 15, 16, 1, true },
	};
	static u8 want[4097], got[4097];
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		bool cached = variant->cached && cases[i].one_page;

		for (n = 0; n < cases[i].len; n++)
			want[n] = *rig_at(self->mem, cases[i].gpa + n);
		copies = 0;
		fenced = 0;
		copied = 0;
		unit_hook = driver_changes_it;
		EXPECT_EQ(0, vhost_blk_view_read(&self->mem->view, cases[i].gpa,
						 got, cases[i].len));
		unit_hook = NULL;
		EXPECT_EQ(0, memcmp(want, got, cases[i].len));
		EXPECT_EQ(cases[i].copies, copies);
		EXPECT_EQ(cases[i].len, copied);
		EXPECT_EQ(cached ? copies : 0, fenced);
		EXPECT_EQ(0xee, *rig_at(self->mem, cases[i].gpa));
	}
}

/* A page table that has one page everywhere, to read only. */

static u8 other_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static unsigned int pins;

static void *pin_other_page(unsigned long hva, bool write)
{
	(void)hva;
	pins++;
	return write ? NULL : other_page;
}

static void unpin_other_page(void *addr, bool dirty)
{
	(void)addr;
	EXPECT_FALSE(dirty);
}

static struct rig_mem *new_mem_elsewhere(void)
{
	struct rig_mem *mem = rig_mem_new();
	unsigned int i;

	rig_mem_cache(mem);
	for (i = 0; i < PAGE_SIZE; i++)
		other_page[i] = i * 7 + i / 256;
	unit_pages.pin = pin_other_page;
	unit_pages.unpin = unpin_other_page;
	return mem;
}

TEST(reads_through_the_cache)
{
	struct rig_mem *mem = new_mem_elsewhere();
	struct vhost_blk_view *view = &mem->view;
	unsigned int i;
	u8 buf[16];

	for (i = 0; i <= PAGE_SIZE - 16; i++) {
		ASSERT_EQ(0, vhost_blk_view_read(view, 0x3000 + i, buf, 16));
		ASSERT_EQ(0, memcmp(other_page + i, buf, 16));
	}
	EXPECT_EQ(1, pins);
	EXPECT_EQ(1, mem->tlb.nr);

	/* Two pages: not from the cache, and nothing is pinned for it. */
	memset(rig_at(mem, 0x4000 - 8), 0xaa, 16);
	EXPECT_EQ(0, vhost_blk_view_read(view, 0x4000 - 8, buf, 16));
	EXPECT_EQ(0xaa, buf[0]);
	EXPECT_EQ(1, pins);

	/* Without a cache. */
	view->tlb = NULL;
	memset(rig_at(mem, 0x3000), 0xcc, 16);
	EXPECT_EQ(0, vhost_blk_view_read(view, 0x3000, buf, 16));
	EXPECT_EQ(0xcc, buf[0]);
	rig_mem_delete(mem);
}

TEST(reads_past_a_cache_without_room)
{
	struct rig_mem *mem = new_mem_elsewhere();
	struct vhost_blk_tlb *tlb = &mem->tlb;
	u64 hva = (uintptr_t)rig_at(mem, 0x8000);
	struct vhost_blk_tlb_entry *entry[2];
	unsigned int n = 0, first;
	u8 buf[16];
	u64 at;

	/* Others that have one of its two places. */
	first = vhost_blk_tlb_place(tlb, vhost_blk_tlb_key(hva)) & ~1;
	for (at = hva + PAGE_SIZE; n < 2; at += PAGE_SIZE) {
		if ((vhost_blk_tlb_place(tlb, vhost_blk_tlb_key(at)) & ~1) !=
		    first)
			continue;
		entry[n] = vhost_blk_tlb_find(tlb, at, false);
		ASSERT_TRUE(entry[n] != NULL);
		entry[n++]->users++;
	}
	memset(rig_at(mem, 0x8000), 0xbb, 16);
	EXPECT_EQ(0, vhost_blk_view_read(&mem->view, 0x8000, buf, 16));
	EXPECT_EQ(0xbb, buf[15]);
	EXPECT_EQ(2, pins);

	vhost_blk_tlb_put(tlb, entry[0], false);
	EXPECT_EQ(0, vhost_blk_view_read(&mem->view, 0x8000, buf, 16));
	EXPECT_EQ(0, memcmp(other_page, buf, 16));
	EXPECT_EQ(3, pins);
	vhost_blk_tlb_put(tlb, entry[1], false);
	rig_mem_delete(mem);
}

TEST(reads_past_the_cache_while_something_changes)
{
	struct rig_mem *mem = new_mem_elsewhere();
	u8 buf[16];

	EXPECT_EQ(0, vhost_blk_view_read(&mem->view, 0x3000, buf, 16));
	EXPECT_EQ(0, memcmp(other_page, buf, 16));
	change_begins(&mem->changes, false);
	memset(rig_at(mem, 0x3000), 0xdd, 16);
	EXPECT_EQ(0, vhost_blk_view_read(&mem->view, 0x3000, buf, 16));
	EXPECT_EQ(0xdd, buf[15]);
	change_ends(&mem->changes, false);
	EXPECT_EQ(0, vhost_blk_view_read(&mem->view, 0x3000, buf, 16));
	EXPECT_EQ(0, memcmp(other_page, buf, 16));
	EXPECT_EQ(1, pins);
	rig_mem_delete(mem);
}

/* The next read after a change has what the page table says then. */
TEST(reads_what_a_change_has_left)
{
	struct rig_mem *mem = new_mem_elsewhere();
	u8 *low = rig_at(mem, 0x3000);
	u8 buf[16];

	unit_pages.pin = NULL;
	memset(low, 0x22, PAGE_SIZE);
	EXPECT_EQ(0, vhost_blk_view_read(&mem->view, 0x3000, buf, 16));
	EXPECT_EQ(0, memcmp(low, buf, 16));
	unit_pages.pin = pin_other_page;
	EXPECT_EQ(0, vhost_blk_view_read(&mem->view, 0x3000, buf, 16));
	EXPECT_EQ(0, memcmp(low, buf, 16));
	rig_mem_change(mem);
	EXPECT_EQ(0, vhost_blk_view_read(&mem->view, 0x3000, buf, 16));
	EXPECT_EQ(0, memcmp(other_page, buf, 16));
	rig_mem_delete(mem);
}

TEST_HARNESS_MAIN
