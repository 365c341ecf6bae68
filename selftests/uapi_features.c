// SPDX-License-Identifier: GPL-2.0-only
/* Feature negotiation. */
#define _GNU_SOURCE
#include "attached.h"

#define BIT(n)	(1ULL << (n))

/* All that is promised; a bit more is a new promise and belongs here. */
#define OFFERED	(BIT(VIRTIO_BLK_F_SIZE_MAX) | BIT(VIRTIO_BLK_F_SEG_MAX) | \
		 BIT(VIRTIO_BLK_F_GEOMETRY) | BIT(VIRTIO_BLK_F_RO) |	\
		 BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |	\
		 BIT(VIRTIO_BLK_F_TOPOLOGY) | BIT(VIRTIO_BLK_F_MQ) |	\
		 BIT(VIRTIO_F_ANY_LAYOUT) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | \
		 BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1))

TEST(offered_features_are_the_documented_ones)
{
	struct guest *g = guest_new(NULL);
	uint64_t features = 0;

	ASSERT_EQ(0, guest_open(g));
	ASSERT_EQ(0, ioctl(g->fd, VHOST_GET_FEATURES, &features));
	EXPECT_EQ(OFFERED, features);
}

TEST(no_backend_features)
{
	uint64_t features = ~0ULL, some = BIT(VHOST_BACKEND_F_IOTLB_MSG_V2);
	struct guest *g = guest_new(NULL);

	ASSERT_EQ(0, guest_open(g));
	ASSERT_EQ(0, ioctl(g->fd, VHOST_GET_BACKEND_FEATURES, &features));
	EXPECT_EQ(0, features);
	EXPECT_EQ(0, ioctl(g->fd, VHOST_SET_BACKEND_FEATURES, &features));
	EXPECT_ERRNO(EOPNOTSUPP, ioctl(g->fd, VHOST_SET_BACKEND_FEATURES, &some));
}

TEST(each_offered_bit_and_all_of_them_are_accepted)
{
	struct guest *g = guest_new(NULL);
	unsigned int i;

	ASSERT_EQ(0, guest_open(g));
	for (i = 0; i < 64; i++)
		if (OFFERED & BIT(i))
			EXPECT_EQ(0, guest_set_features(g, BIT(i)));
	EXPECT_EQ(0, guest_set_features(g, OFFERED));
	EXPECT_EQ(0, guest_set_features(g, 0));
}

TEST(each_bit_not_offered_is_refused)
{
	struct guest *g = guest_new(NULL);
	unsigned int i;

	ASSERT_EQ(0, guest_open(g));
	for (i = 0; i < 64; i++) {
		if (OFFERED & BIT(i))
			continue;
		EXPECT_ERRNO(EOPNOTSUPP, guest_set_features(g, BIT(i)));
		EXPECT_ERRNO(EOPNOTSUPP, guest_set_features(g, OFFERED | BIT(i)));
	}
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

/* EVENT_IDX was acked; if that changed, the avail_event would not be written. */
static void expect_event_idx_in_use(struct attached *a)
{
	uint16_t before = vq_avail_event(a->vq);

	EXPECT_EQ(0, still_serves(a, a->vq));
	ASSERT_TRUE(vq_wait_armed(a->vq, G_WAIT_MS));
	EXPECT_NE(before, vq_avail_event(a->vq));
}

TEST_F(running, refused_features_leave_the_old_ones)
{
	struct guest *g = self->a.g;

	EXPECT_ERRNO(EOPNOTSUPP, guest_set_features(g, BIT(VIRTIO_BLK_F_SCSI)));
	expect_event_idx_in_use(&self->a);
	/* also when they are used the next time */
	ASSERT_EQ(0, guest_set_backend(g, -1));
	EXPECT_ERRNO(EOPNOTSUPP, guest_set_features(g, BIT(63)));
	ASSERT_EQ(0, guest_set_backend(g, self->a.d.fd));
	expect_event_idx_in_use(&self->a);
}

TEST_F(running, features_cannot_change_while_attached)
{
	struct guest *g = self->a.g;

	EXPECT_EQ(0, guest_set_features(g, g->features));
	EXPECT_ERRNO(EBUSY, guest_set_features(g, g->features & ~G_EVENT_IDX));
	EXPECT_ERRNO(EBUSY, guest_set_features(g, 0));
	expect_event_idx_in_use(&self->a);
}

TEST_F(running, features_change_while_detached)
{
	struct guest *g = self->a.g;

	ASSERT_EQ(0, still_serves(&self->a, self->a.vq));
	ASSERT_EQ(0, guest_set_backend(g, -1));
	g->features &= ~G_EVENT_IDX;
	ASSERT_EQ(0, guest_set_features(g, g->features));
	ASSERT_EQ(0, guest_set_backend(g, self->a.d.fd));
	EXPECT_EQ(0, still_serves(&self->a, self->a.vq));
	/* without EVENT_IDX the flag is what is cleared when idle */
	EXPECT_TRUE(vq_wait_armed(self->a.vq, G_WAIT_MS));
}

FIXTURE(legacy) {
	struct attached a;
};

FIXTURE_SETUP(legacy)
{
	/* A driver from before virtio 1.0: no bit at all. */
	static const struct guest_opts opts = {
		.features = BIT(VIRTIO_BLK_F_BLK_SIZE),
	};

	attach(&self->a, &opts);
}

FIXTURE_TEARDOWN(legacy)
{
	detach_checked(&self->a);
}

TEST_F(legacy, driver_without_version_1_is_served)
{
	struct attached *a = &self->a;
	char *data = malloc(a->d.lbs);

	EXPECT_EQ(0, still_serves(a, a->vq));
	pattern_fill(data, a->d.lbs, 64, 9);
	EXPECT_EQ(0, guest_io_out(a->vq, 64, data, a->d.lbs, NULL));
	EXPECT_TRUE(disk_has_pattern(&a->d, 64, a->d.lbs, 9));
	EXPECT_EQ(0, guest_flush(a->vq));
}

TEST_HARNESS_MAIN
