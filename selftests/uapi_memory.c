// SPDX-License-Identifier: GPL-2.0-only
/* The guest memory table. */
#define _GNU_SOURCE
#include "attached.h"

struct table {
	struct vhost_memory m;
	struct vhost_memory_region r[VHOST_BLK_MAX_REGIONS + 1];
};

FIXTURE(table) {
	struct attached a;
	struct table *t;	/* the current one, to be spoilt */
};

FIXTURE_VARIANT(table) {
	bool running;
};

FIXTURE_VARIANT_ADD(table, detached) { .running = false };
FIXTURE_VARIANT_ADD(table, running) { .running = true };

static void fill(struct table *t, const struct guest *g)
{
	unsigned int i;

	memset(t, 0, sizeof(*t));
	t->m.nregions = G_REGIONS;
	for (i = 0; i < G_REGIONS; i++) {
		t->r[i].guest_phys_addr = g->region[i].gpa;
		t->r[i].memory_size = g->region[i].size;
		t->r[i].userspace_addr = (uintptr_t)g->region[i].hva;
	}
}

static int set(struct guest *g, const void *t)
{
	return ioctl(g->fd, VHOST_SET_MEM_TABLE, t);
}

FIXTURE_SETUP(table)
{
	struct attached *a = &self->a;

	attach(a, NULL);
	self->t = malloc(sizeof(*self->t));
	fill(self->t, a->g);
	if (!variant->running)
		ASSERT_EQ(0, guest_set_backend(a->g, -1));
}

/* After each refusal the table that was there before serves I/O. */
static void expect_old_table(struct attached *a, bool running)
{
	if (!running)
		ASSERT_EQ(0, guest_set_backend(a->g, a->d.fd));
	EXPECT_EQ(0, still_serves(a, a->vq));
	if (!running)
		ASSERT_EQ(0, guest_set_backend(a->g, -1));
}

FIXTURE_TEARDOWN(table)
{
	detach_checked(&self->a);
}

TEST_F(table, padding_must_be_zero)
{
	self->t->m.padding = 1;
	EXPECT_ERRNO(EOPNOTSUPP, set(self->a.g, self->t));
	expect_old_table(&self->a, variant->running);
}

TEST_F(table, too_many_regions)
{
	self->t->m.nregions = VHOST_BLK_MAX_REGIONS + 1;
	EXPECT_ERRNO(E2BIG, set(self->a.g, self->t));
	self->t->m.nregions = ~0u;
	EXPECT_ERRNO(E2BIG, set(self->a.g, self->t));
	expect_old_table(&self->a, variant->running);
}

TEST_F(table, half_unreadable)
{
	char *page = mmap(NULL, 2 * G_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t size = sizeof(self->t->m) + G_REGIONS * sizeof(self->t->r[0]);

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, munmap(page + G_PAGE, G_PAGE));
	memcpy(page + G_PAGE - size, self->t, size);
	EXPECT_EQ(0, set(self->a.g, page + G_PAGE - size));
	memcpy(page + G_PAGE - size + 8, self->t, size - 8);
	EXPECT_ERRNO(EFAULT, set(self->a.g, page + G_PAGE - size + 8));
	expect_old_table(&self->a, variant->running);
}

TEST_F(table, region_wraps_guest_addresses)
{
	self->t->r[1].guest_phys_addr = -4096ULL;
	self->t->r[1].memory_size = 8192;
	EXPECT_ERRNO(EFAULT, set(self->a.g, self->t));
	self->t->r[1].guest_phys_addr = 1ULL << 40;
	self->t->r[1].memory_size = -4096ULL;
	EXPECT_ERRNO(EFAULT, set(self->a.g, self->t));
	expect_old_table(&self->a, variant->running);
}

TEST_F(table, region_wraps_our_addresses)
{
	self->t->r[1].userspace_addr = -4096ULL;
	self->t->r[1].memory_size = 8192;
	EXPECT_ERRNO(EFAULT, set(self->a.g, self->t));
	expect_old_table(&self->a, variant->running);
}

TEST_F(table, kernel_addresses)
{
	static const uint64_t addresses[] = {
		0xffff888000000000, 0xffffffff81000000, 1ULL << 47, 1ULL << 63,
		(1ULL << 47) - 4096,	/* begins in ours, ends beyond */
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		self->t->r[G_ISLE].userspace_addr = addresses[i];
		self->t->r[G_ISLE].memory_size = 1ULL << 57;
		self->t->r[G_ISLE].guest_phys_addr = 1ULL << 60;
		EXPECT_ERRNO(EFAULT, set(self->a.g, self->t));
	}
	expect_old_table(&self->a, variant->running);
}

TEST_F(table, empty_region)
{
	self->t->r[G_ISLE].memory_size = 0;
	EXPECT_ERRNO(EINVAL, set(self->a.g, self->t));
	/* "0 bytes at 0" must not become the whole address space */
	self->t->r[G_ISLE].guest_phys_addr = 0;
	EXPECT_ERRNO(EINVAL, set(self->a.g, self->t));
	expect_old_table(&self->a, variant->running);
}

TEST_F(table, overlapping_regions)
{
	struct vhost_memory_region *r = self->t->r;

	r[G_ADJ1].guest_phys_addr -= 1;		/* by a byte at its start */
	EXPECT_ERRNO(EINVAL, set(self->a.g, self->t));
	fill(self->t, self->a.g);
	r[G_ADJ1].memory_size += 1;		/* at its end */
	EXPECT_ERRNO(EINVAL, set(self->a.g, self->t));
	fill(self->t, self->a.g);
	r[G_ISLE] = r[G_LOW];			/* entirely */
	EXPECT_ERRNO(EINVAL, set(self->a.g, self->t));
	fill(self->t, self->a.g);
	r[G_ISLE] = r[G_LOW];			/* inside the other */
	r[G_ISLE].guest_phys_addr += 4096;
	r[G_ISLE].memory_size = 4096;
	EXPECT_ERRNO(EINVAL, set(self->a.g, self->t));
	expect_old_table(&self->a, variant->running);
}

TEST_F(table, one_mapping_may_appear_twice)
{
	self->t->m.nregions = G_REGIONS + 1;
	self->t->r[G_REGIONS] = self->t->r[G_BULK];
	self->t->r[G_REGIONS].guest_phys_addr = 1ULL << 40;
	EXPECT_EQ(0, set(self->a.g, self->t));
	expect_old_table(&self->a, variant->running);
}

TEST_F(table, as_many_regions_as_are_promised)
{
	const struct guest *g = self->a.g;
	const struct gregion *bulk = &g->region[G_BULK];
	unsigned int i, n = VHOST_BLK_MAX_REGIONS - G_REGIONS + 1;
	struct vhost_memory_region *r = &self->t->r[G_REGIONS];

	/* G_BULK in pages, in reverse order, then what is left of it. */
	for (i = 0; i + 1 < n; i++) {
		size_t at = (n - 2 - i) * G_PAGE;

		r[i].guest_phys_addr = bulk->gpa + at;
		r[i].userspace_addr = (uintptr_t)bulk->hva + at;
		r[i].memory_size = G_PAGE;
	}
	self->t->m.nregions = VHOST_BLK_MAX_REGIONS;
	self->t->r[G_BULK].guest_phys_addr += (n - 1) * G_PAGE;
	self->t->r[G_BULK].userspace_addr += (n - 1) * G_PAGE;
	self->t->r[G_BULK].memory_size -= (n - 1) * G_PAGE;
	EXPECT_EQ(0, set(self->a.g, self->t));
	expect_old_table(&self->a, variant->running);
}

/* Regions without memory behind them are nobody's business until they are used. */
TEST_F(table, unmapped_memory_is_accepted)
{
	self->t->m.nregions = G_REGIONS + 1;
	self->t->r[G_REGIONS].guest_phys_addr = 1ULL << 40;
	self->t->r[G_REGIONS].userspace_addr = 4096;
	self->t->r[G_REGIONS].memory_size = 4096;
	EXPECT_EQ(0, set(self->a.g, self->t));
	expect_old_table(&self->a, variant->running);
}

FIXTURE(running) {
	struct attached a;
};

FIXTURE_SETUP(running)
{
	attach(&self->a, NULL);
}

FIXTURE_TEARDOWN(running)
{
	detach_checked(&self->a);
}

TEST_F(running, no_memory_means_no_service_until_it_is_back)
{
	struct attached *a = &self->a;
	struct vhost_memory none = { .nregions = 0 };
	struct greq *r;
	uint64_t err;

	ASSERT_EQ(0, still_serves(a, a->vq));
	ASSERT_EQ(0, set(a->g, &none));
	r = req_new(a->vq, VIRTIO_BLK_T_IN, 0);
	ASSERT_EQ(0, req_frame(r, "16 / 4096 1"));
	ASSERT_EQ(0, req_submit(r));
	/* given back unanswered, or the queue says that it has stopped */
	while (!r->done) {
		err = event_wait(a->vq->err, 1);
		ASSERT_GE(vq_reap(a->vq), 0);
		if (err)
			break;
	}
	if (r->done)
		EXPECT_EQ(0, req_check_malformed(r));
	ASSERT_EQ(0, guest_set_mem(a->g));
	if (!r->done) {
		ASSERT_EQ(0, guest_set_backend(a->g, -1));
		ASSERT_EQ(0, guest_set_backend(a->g, a->d.fd));
		ASSERT_TRUE(req_wait(r, G_WAIT_MS));
		EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	}
	EXPECT_EQ(0, still_serves(a, a->vq));
}

TEST_F(running, table_changes_under_load)
{
	struct attached *a = &self->a;
	struct greq *r[32];
	unsigned int i, round;

	for (round = 0; round < 20; round++) {
		for (i = 0; i < ARRAY_SIZE(r); i++) {
			r[i] = req_new(a->vq, VIRTIO_BLK_T_IN, i * 8);
			ASSERT_EQ(0, req_frame(r[i], "16 / 4096 1"));
			ASSERT_EQ(0, req_submit(r[i]));
			if (i % 8 == round % 8)
				ASSERT_EQ(0, guest_set_mem(a->g));
		}
		ASSERT_TRUE(vq_wait_idle(a->vq, G_WAIT_MS));
		for (i = 0; i < ARRAY_SIZE(r); i++) {
			EXPECT_EQ(0, req_check(r[i], VIRTIO_BLK_S_OK));
			req_free(r[i]);
		}
	}
}

/* When the ioctl returns nothing goes through the old table any more. */
TEST_F(running, memory_taken_away_is_not_touched)
{
	struct attached *a = &self->a;
	struct table *t = malloc(sizeof(*t));
	struct gregion *isle = &a->g->region[G_ISLE];
	struct greq *r[32];
	unsigned int i;
	size_t at;

	ASSERT_TRUE(t);
	fill(t, a->g);
	t->r[G_ISLE] = t->r[--t->m.nregions];
	for (i = 0; i < ARRAY_SIZE(r); i++) {
		r[i] = req_new(a->vq, VIRTIO_BLK_T_IN, i * 8);
		/* 128 bytes in the region that goes, status elsewhere */
		ASSERT_EQ(0, req_frame(r[i], "16 / 128#4 3968 1#5"));
		ASSERT_EQ(0, req_submit(r[i]));
	}
	ASSERT_EQ(0, set(a->g, t));
	ASSERT_GE(vq_reap(a->vq), 0);
	/* The memory is somebody else's now. */
	memset(isle->hva, 0x11, isle->size);
	ASSERT_TRUE(vq_wait_idle(a->vq, G_WAIT_MS));
	for (at = 0; at < isle->size; at++)
		if (isle->hva[at] != 0x11)
			break;
	EXPECT_EQ(isle->size, at);
	memset(isle->hva, G_CANARY, isle->size);
	ASSERT_EQ(0, guest_set_mem(a->g));
	EXPECT_EQ(0, still_serves(a, a->vq));
}

TEST_HARNESS_MAIN
