// SPDX-License-Identifier: GPL-2.0-only
/* The module's mem.c: the memory table. */
#include "mem_fixture.h"

static int create(const struct vhost_memory_region *region, unsigned int nr)
{
	struct vhost_blk_mem *mem = vhost_blk_mem_create(region, nr);

	if (IS_ERR(mem))
		return PTR_ERR(mem);
	vhost_blk_mem_free(mem);
	return 0;
}

TEST(refuses_bad_regions)
{
	static const struct {
		struct vhost_memory_region region;
		int ret;
	} cases[] = {
		{ R(0, 1, 0), 0 },
		{ R(0, 0, 0x1000), -EINVAL },
		{ R(U64_MAX, 0, 0x1000), -EINVAL },
		{ R(U64_MAX, 1, 0x1000), 0 },
		{ R(U64_MAX, 2, 0x1000), -EFAULT },
		{ R(U64_MAX - 4095, 4096, 0x1000), 0 },
		{ R(U64_MAX - 4095, 4097, 0x1000), -EFAULT },
		{ R(0, TASK_SIZE, 0), 0 },
		{ R(0, TASK_SIZE + 1, 0), -EFAULT },
		{ R(0, 4096, TASK_SIZE - 4096), 0 },
		{ R(0, 4097, TASK_SIZE - 4096), -EFAULT },
		{ R(0, 1, TASK_SIZE - 1), 0 },
		{ R(0, 1, TASK_SIZE), -EFAULT },
		{ R(0, 4096, 0xffff888000000000), -EFAULT },
		{ R(0, 4096, U64_MAX - 4095), -EFAULT },
		{ R(0, 4096, U64_MAX), -EFAULT },
		{ R(0, 4096, 0x0100000000001000), -EFAULT },
		{ R(0, 4096, 0xff00000000001000), -EFAULT },
		{ R(0, U64_MAX, 0), -EFAULT },
		{ R(0, U64_MAX, U64_MAX), -EFAULT },
		{ R(1, U64_MAX, 0x1000), -EFAULT },
	};
	struct vhost_memory_region two[2] = { R(0, 4096, 0x1000) };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (create(&cases[i].region, 1) != cases[i].ret)
			ksft_log("case %u", i);
		EXPECT_EQ(cases[i].ret, create(&cases[i].region, 1));
		/* Behind a good one. */
		two[0].guest_phys_addr = 1ULL << 62;
		two[1] = cases[i].region;
		if (cases[i].region.memory_size < 1ULL << 40)
			EXPECT_EQ(cases[i].ret, create(two, 2));
	}
}

TEST(refuses_overlaps)
{
	static const struct vhost_memory_region middle =
		R(0x10000, 0x1000, 0x5000000);
	struct {
		u64 gpa, size;
		bool ok;
	} cases[] = {
		{ 0xf000, 0x1000, true },   { 0xf000, 0x1001, false },
		{ 0xf000, 0x3000, false },  { 0x0, 0x10000, true },
		{ 0x10000, 1, false },	    { 0x10000, 0x1000, false },
		{ 0x10000, 0x2000, false }, { 0x10800, 1, false },
		{ 0x10fff, 1, false },	    { 0x10fff, 0x1000, false },
		{ 0x11000, 1, true },	    { 0x11000, 0x1000, true },
		{ U64_MAX, 1, true },
	};
	unsigned int i, order;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (order = 0; order < 2; order++) {
			struct vhost_memory_region two[2];

			two[order] = middle;
			two[!order].guest_phys_addr = cases[i].gpa;
			two[!order].memory_size = cases[i].size;
			/* The same memory twice in the guest is fine. */
			two[!order].userspace_addr = middle.userspace_addr;
			EXPECT_EQ(cases[i].ok ? 0 : -EINVAL, create(two, 2));
		}
	}
}

TEST(no_memory)
{
	struct vhost_memory_region region = R(0, 4096, 0x1000);

	unit_no_memory = true;
	EXPECT_EQ(-ENOMEM, create(&region, 1));
	EXPECT_EQ(0, create(&region, 1));
}

TEST(empty_table)
{
	struct vhost_blk_mem *mem = vhost_blk_mem_create(NULL, 0);

	ASSERT_FALSE(IS_ERR(mem));
	EXPECT_TRUE(vhost_blk_mem_find(mem, 0) == NULL);
	EXPECT_TRUE(vhost_blk_mem_find(mem, U64_MAX) == NULL);
	EXPECT_FALSE(vhost_blk_mem_has_hva(mem, 0, 1));
	EXPECT_FALSE(vhost_blk_mem_overlaps_hva(mem, 0, U64_MAX));
	vhost_blk_mem_free(mem);
	vhost_blk_mem_free(NULL);
}

TEST(finds_as_a_linear_search_does)
{
	static struct vhost_memory_region region[VHOST_BLK_MAX_REGIONS];
	static const unsigned int sizes[] = { 1, 2, 3, 7, 64, 511, 512 };
	struct rng rng = { .state = 3 };
	unsigned int k, round;

	for (k = 0; k < ARRAY_SIZE(sizes); k++) {
		unsigned int nr = sizes[k];
		struct vhost_blk_mem *mem;

		random_regions(&rng, region, nr);
		mem = vhost_blk_mem_create(region, nr);
		ASSERT_FALSE(IS_ERR(mem));
		for (round = 0; round < 100000; round++) {
			u64 at = random_edge(&rng, region, nr);
			const struct vhost_memory_region *want =
				linear_search(region, nr, at);
			const struct vhost_blk_region *got =
				vhost_blk_mem_find(mem, at);

			ASSERT_EQ(!want, !got);
			if (!got)
				continue;
			ASSERT_EQ(want->guest_phys_addr, got->gpa);
			ASSERT_EQ(want->memory_size, got->len);
			ASSERT_EQ(want->userspace_addr, got->hva);
		}
		vhost_blk_mem_free(mem);
	}
}

TEST(has_hva_within_one_region)
{
	static const struct vhost_memory_region region[] = {
		R(0x100000, 0x1000, 0x7000),
		R(0, 0x1000, 0x8000),
		R(0x200000, 1, TASK_SIZE - 1),
	};
	static const struct {
		u64 hva, len;
		bool in;
	} cases[] = {
		{ 0x7000, 0x1000, true },   { 0x7000, 1, true },
		{ 0x6fff, 1, false },	    { 0x6fff, 2, false },
		{ 0x7fff, 1, true },	    { 0x7fff, 2, false },
		{ 0x7000, 0x1001, false },  { 0x8000, 0x1000, true },
		{ 0x8001, 0x1000, false },  { 0x8fff, 1, true },
		{ 0x9000, 1, false },	    { 0x7001, U64_MAX, false },
		{ U64_MAX, 1, false },	    { U64_MAX, U64_MAX, false },
		{ TASK_SIZE - 1, 1, true }, { TASK_SIZE - 1, 2, false },
		{ 0x100000, 1, false },	    { 0, 1, false },
	};
	struct vhost_blk_mem *mem = vhost_blk_mem_create(region, 3);
	unsigned int i;

	ASSERT_FALSE(IS_ERR(mem));
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_EQ(cases[i].in, vhost_blk_mem_has_hva(mem, cases[i].hva,
							     cases[i].len));
	vhost_blk_mem_free(mem);
}

TEST(overlaps_hva_of_any_region)
{
	static const struct vhost_memory_region region[] = {
		R(0x100000, 0x1000, 0x7000),
		R(0, 0x1000, 0x8000),
		R(0x200000, 1, 0x10000),
		R(0x300000, 1, TASK_SIZE - 1),
	};
	static const struct {
		u64 start, end;
		bool overlaps;
	} cases[] = {
		{ 0, 1, false },
		{ 0, 0x7000, false },
		{ 0, 0x7001, true },
		{ 0x6fff, 0x7000, false },
		{ 0x7000, 0x7001, true },
		{ 0x7fff, 0x8000, true },
		{ 0x7fff, 0x8001, true },
		{ 0x7800, 0x7801, true },
		{ 0x6000, 0xa000, true },
		{ 0x8fff, 0x9000, true },
		{ 0x8fff, 0x10000, true },
		{ 0x9000, 0x10000, false },
		{ 0x9000, 0x10001, true },
		{ 0xffff, 0x10002, true },
		{ 0x10001, 0x10002, false },
		{ 0x10001, TASK_SIZE - 1, false },
		{ 0x10001, TASK_SIZE, true },
		{ TASK_SIZE - 1, TASK_SIZE, true },
		{ TASK_SIZE, U64_MAX, false },
		{ TASK_SIZE - 1, U64_MAX, true },
		{ 0, U64_MAX, true },
		/* as a guest's addresses they would be */
		{ 0x100000, 0x101000, false },
	};
	struct vhost_blk_mem *mem = vhost_blk_mem_create(region, 4);
	unsigned int i;

	ASSERT_FALSE(IS_ERR(mem));
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_EQ(cases[i].overlaps,
			  vhost_blk_mem_overlaps_hva(mem, cases[i].start,
						     cases[i].end));
	vhost_blk_mem_free(mem);
}

/* Small addresses, each of which a model can look at. */
TEST(overlaps_hva_byte_by_byte)
{
	struct rng rng = { .state = 5 };
	unsigned int round, i, at;

	for (round = 0; round < 20000; round++) {
		unsigned int nr = rng_below(&rng, 4), start, end;
		struct vhost_memory_region region[3];
		bool guest[64] = { false }, want = false;
		struct vhost_blk_mem *mem;

		for (i = 0; i < nr; i++) {
			u64 hva = rng_below(&rng, 48);
			u64 len = 1 + rng_below(&rng, 16);

			region[i] = (struct vhost_memory_region)R(i * 0x1000,
								  len, hva);
			memset(&guest[hva], true, len);
		}
		mem = vhost_blk_mem_create(region, nr);
		ASSERT_FALSE(IS_ERR(mem));
		start = rng_below(&rng, 64);
		end = start + 1 + rng_below(&rng, 64 - start);
		for (at = start; at < end; at++)
			want |= guest[at];
		ASSERT_EQ(want, vhost_blk_mem_overlaps_hva(mem, start, end));
		vhost_blk_mem_free(mem);
	}
}

TEST_HARNESS_MAIN
