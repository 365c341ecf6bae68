// SPDX-License-Identifier: GPL-2.0-only
/* The module's mem.c: the memory table. */
#include "ksft.h"
#include "rig.h"

#define R(gpa, size, hva)         \
	{                         \
		gpa, size, hva, 0 \
	}

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
	u64 hva = 5;
	u8 byte;

	ASSERT_FALSE(IS_ERR(mem));
	EXPECT_EQ(0, vhost_blk_mem_translate(mem, 0, 1, &hva));
	EXPECT_EQ(0, vhost_blk_mem_translate(mem, U64_MAX, U64_MAX, &hva));
	EXPECT_EQ(5, hva);
	EXPECT_FALSE(vhost_blk_mem_has_hva(mem, 0, 1));
	EXPECT_EQ(-EFAULT, vhost_blk_mem_read(mem, 0, &byte, 1));
	EXPECT_EQ(0, vhost_blk_mem_read(mem, 0, &byte, 0));
	vhost_blk_mem_free(mem);
	vhost_blk_mem_free(NULL);
}

/* Tables of every size, in random order, with and without gaps. */
TEST(translates_as_a_linear_search_does)
{
	static struct vhost_memory_region region[VHOST_BLK_MAX_REGIONS];
	static const unsigned int sizes[] = { 1, 2, 3, 7, 64, 511, 512 };
	struct rng rng = { .state = 3 };
	unsigned int k, i, round;

	for (k = 0; k < ARRAY_SIZE(sizes); k++) {
		unsigned int nr = sizes[k];
		struct vhost_blk_mem *mem;
		u64 gpa = 0;

		for (i = 0; i < nr; i++) {
			u64 size = 1 + rng_below(&rng, 0x3000);

			if (rng_once(&rng, 3))
				gpa += rng_below(&rng, 0x2000);
			if (i == nr - 1) {
				gpa = U64_MAX;
				size = 1;
			}
			region[i] = (struct vhost_memory_region)R(
				gpa, size, rng_below(&rng, 1ULL << 40));
			gpa += size;
		}
		for (i = 0; i < nr; i++) {
			unsigned int other = rng_below(&rng, nr);
			struct vhost_memory_region tmp = region[i];

			region[i] = region[other];
			region[other] = tmp;
		}
		mem = vhost_blk_mem_create(region, nr);
		ASSERT_FALSE(IS_ERR(mem));
		for (round = 0; round < 100000; round++) {
			const struct vhost_memory_region *r =
				&region[rng_below(&rng, nr)];
			u64 at = r->guest_phys_addr - 2 + rng_below(&rng, 5) +
				 (rng_once(&rng, 2) ? r->memory_size : 0);
			u64 len = rng_next(&rng) >> rng_below(&rng, 64);
			u64 want = 0, want_hva = 7, hva = 7;

			for (i = 0; i < nr; i++) {
				u64 off = at - region[i].guest_phys_addr;

				if (off >= region[i].memory_size)
					continue;
				want = region[i].memory_size - off;
				want = len < want ? len : want;
				want_hva = region[i].userspace_addr + off;
			}
			ASSERT_EQ(want,
				  vhost_blk_mem_translate(mem, at, len, &hva));
			if (want)
				ASSERT_EQ(want_hva, hva);
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

TEST(reads_across_neighbours)
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
	struct rig_mem *mem = rig_mem_new();
	struct rng rng = { .state = 4 };
	unsigned int i;
	u64 at, n;

	for (at = 0; at < 0x20000; at++) {
		u8 byte = rng_next(&rng);

		rig_write(mem, at, &byte, 1);
		rig_write(mem, -at - 1, &byte, 1);
	}
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		/* To the byte: nothing behind the buffer is touched. */
		u8 *dst = malloc(cases[i].len);

		EXPECT_EQ(cases[i].ret,
			  vhost_blk_mem_read(mem->mem, cases[i].gpa, dst,
					     cases[i].len));
		for (n = 0; !cases[i].ret && n < cases[i].len; n++)
			ASSERT_EQ(*rig_at(mem, cases[i].gpa + n), dst[n]);
		free(dst);
	}
	rig_mem_delete(mem);
}

TEST(fails_where_memory_cannot_be_read)
{
	struct rig_mem *mem = rig_mem_new();
	u8 buf[64];
	unsigned int i;

	for (i = 0; i < 66; i++) {
		unit_fault.at = (uintptr_t)rig_at(mem, 0x1000 - 1 + i);
		unit_fault.len = 1;
		EXPECT_EQ(i == 0 || i == 65 ? 0 : -EFAULT,
			  vhost_blk_mem_read(mem->mem, 0x1000, buf, 64));
	}
	rig_mem_delete(mem);
}

TEST_HARNESS_MAIN
