// SPDX-License-Identifier: GPL-2.0-only
/* Attaching, replacing and detaching the block device. */
#define _GNU_SOURCE
#include "attached.h"

#include <sys/stat.h>

FIXTURE(backend) {
	struct attached a;
	struct guest *g;
};

FIXTURE_SETUP(backend)
{
	unsigned int i;

	ASSERT_EQ(0, disk_open(&self->a.d, backend_path(0), O_RDWR));
	self->a.g = self->g = guest_new(NULL);
	self->a.vq = self->g->vq;
	for (i = 0; i < guest_steps(); i++)
		ASSERT_EQ(0, guest_step(self->g, i));
}

FIXTURE_TEARDOWN(backend)
{
	detach_checked(&self->a);
}

/* Refused with @err; nobody keeps a reference to the file. */
static void expect_refused(struct guest *g, int err, const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		ksft_log("%s: %s", path, strerror(errno));
	ASSERT_GE(fd, 0);
	errno = 0;
	if (!guest_set_backend(g, fd) || errno != err)
		ksft_log("%s: %s", path, strerror(errno));
	EXPECT_EQ(err, errno);
	close(fd);
}

TEST_F(backend, only_block_devices_are_taken)
{
	int pipes[2];

	EXPECT_ERRNO(EBADF, guest_set_backend(self->g, 9999));
	EXPECT_ERRNO(EBADF, guest_set_backend(self->g, -2));
	expect_refused(self->g, ENOTBLK, "/proc/self/exe", O_RDONLY);
	expect_refused(self->g, ENOTBLK, "/dev/null", O_RDWR);
	expect_refused(self->g, ENOTBLK, "/dev/vhost-blk", O_RDWR);
	expect_refused(self->g, ENOTBLK, "/", O_RDONLY | O_DIRECTORY);
	expect_refused(self->g, EINVAL, self->a.d.path, O_PATH);
	expect_refused(self->g, EINVAL, "/", O_PATH);
	ASSERT_EQ(0, pipe(pipes));
	EXPECT_ERRNO(ENOTBLK, guest_set_backend(self->g, pipes[0]));
	EXPECT_ERRNO(ENOTBLK, guest_set_backend(self->g, self->g->fd));
	/* nothing of that was attached */
	EXPECT_ERRNO(EBADF, guest_set_backend(self->g, 9999));
	ASSERT_EQ(0, guest_set_backend(self->g, self->a.d.fd));
	EXPECT_EQ(0, still_serves(&self->a, self->a.vq));
}

TEST_F(backend, must_be_open_for_reading)
{
	expect_refused(self->g, EACCES, self->a.d.path, O_WRONLY);
}

TEST_F(backend, zoned_devices_are_refused)
{
	expect_refused(self->g, EOPNOTSUPP, special_path("KSFT_ZONED"), O_RDWR);
}

TEST_F(backend, refused_device_is_free_again)
{
	const char *path = special_path("KSFT_ZONED");

	expect_refused(self->g, EOPNOTSUPP, path, O_RDWR);
	EXPECT_TRUE(disk_is_free(path, 0));
}

/* The caller's own open decides; we only borrow it. */
TEST_F(backend, exclusive_open_of_the_caller_is_taken)
{
	int fd = open(self->a.d.path, O_RDWR | O_EXCL | O_CLOEXEC);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, guest_set_backend(self->g, fd));
	close(fd);
	EXPECT_EQ(0, still_serves(&self->a, self->a.vq));
	EXPECT_FALSE(disk_is_free(self->a.d.path, 0));
	ASSERT_EQ(0, guest_set_backend(self->g, -1));
	EXPECT_TRUE(disk_is_free(self->a.d.path, G_WAIT_MS));
}

TEST_F(backend, descriptor_can_be_closed_once_attached)
{
	struct disk *d = &self->a.d;

	ASSERT_EQ(0, guest_set_backend(self->g, d->fd));
	close(d->fd);
	d->fd = -1;
	EXPECT_EQ(0, still_serves(&self->a, self->a.vq));
}

TEST_F(backend, detaching_twice_is_no_error)
{
	EXPECT_EQ(0, guest_set_backend(self->g, -1));
	ASSERT_EQ(0, guest_set_backend(self->g, self->a.d.fd));
	EXPECT_EQ(0, guest_set_backend(self->g, -1));
	EXPECT_EQ(0, guest_set_backend(self->g, -1));
}

TEST_F(backend, refused_device_leaves_the_old_one_attached)
{
	ASSERT_EQ(0, guest_set_backend(self->g, self->a.d.fd));
	expect_refused(self->g, ENOTBLK, "/dev/null", O_RDWR);
	EXPECT_ERRNO(EBADF, guest_set_backend(self->g, 9999));
	EXPECT_EQ(0, still_serves(&self->a, self->a.vq));
}

TEST_F(backend, index_is_not_looked_at)
{
	struct vhost_vring_file f = { .index = 77, .fd = self->a.d.fd };

	ASSERT_EQ(0, ioctl(self->g->fd, VHOST_BLK_SET_BACKEND, &f));
	EXPECT_EQ(0, still_serves(&self->a, self->a.vq));
}

TEST_F(backend, detach_and_attach_many_times)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, guest_set_backend(self->g, self->a.d.fd));
		ASSERT_EQ(0, still_serves(&self->a, self->a.vq));
		ASSERT_EQ(0, guest_set_backend(self->g, -1));
		ASSERT_EQ(i + 1, vq_get_base(self->a.vq));
	}
}

TEST(queues_must_have_been_configured)
{
	struct guest *g = guest_new(NULL);
	int fd = open(backend_path(0), O_RDWR);
	unsigned int i;

	/* After each of these steps no queue has both a size and addresses. */
	for (i = 0; i < guest_steps(); i++) {
		ASSERT_EQ(0, guest_step(g, i));
		if (i >= 1 && strcmp(guest_step_name(i), "addresses") &&
		    strcmp(guest_step_name(i), "eventfds"))
			EXPECT_ERRNO(EFAULT, guest_set_backend(g, fd));
	}
	EXPECT_EQ(0, guest_set_backend(g, fd));
}

/* The driver uses fewer queues than there are: the others stay out of it. */
TEST(unconfigured_queues_are_skipped)
{
	static const struct guest_opts opts = { .nvqs = 4 };
	struct attached a = { 0 };
	struct guest *g;
	unsigned int i;

	ASSERT_EQ(0, disk_open(&a.d, backend_path(0), O_RDWR));
	a.g = g = guest_new(&opts);
	a.vq = &g->vq[2];
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, guest_step(g, i));
	/* 0: nothing, 1: a size only, 2: all, 3: eventfds only */
	ASSERT_EQ(0, vq_set_num(&g->vq[1], 256));
	ASSERT_EQ(0, vq_set_num(a.vq, 256));
	ASSERT_EQ(0, vq_set_addr(a.vq));
	ASSERT_EQ(0, vq_set_fds(a.vq));
	ASSERT_EQ(0, vq_set_fds(&g->vq[3]));
	ASSERT_EQ(0, guest_set_backend(g, a.d.fd));
	EXPECT_EQ(0, still_serves(&a, a.vq));
	EXPECT_EQ(0, vq_used_idx(&g->vq[0]));
	EXPECT_EQ(0, vq_used_idx(&g->vq[1]));
	detach_checked(&a);
}

/* The next driver uses one queue only; what was the ring of the other is data. */
TEST(rings_of_the_last_driver_are_left_alone)
{
	static const struct guest_opts opts = { .nvqs = 2, .num = 256 };
	const size_t size = sizeof(struct vring_used) +
			    256 * sizeof(struct vring_used_elem) + 2;
	struct vhost_vring_file f = { 0 };
	struct attached a = { 0 };
	uint8_t *old, *data;
	struct gvq *gone;
	size_t i;

	attach(&a, &opts);
	gone = &a.g->vq[1];
	ASSERT_EQ(0, still_serves(&a, a.vq));
	ASSERT_EQ(0, still_serves(&a, gone));
	ASSERT_EQ(0, guest_set_backend(a.g, -1));

	data = (uint8_t *)gone->used;
	old = malloc(size);
	ASSERT_TRUE(old);
	memcpy(old, data, size);
	memset(data, 0x5a, size);
	ASSERT_EQ(0, vq_set_addr(a.vq));
	f.fd = a.d.fd;
	ASSERT_EQ(0, ioctl(a.g->fd, VHOST_BLK_SET_BACKEND, &f));
	EXPECT_EQ(0, still_serves(&a, a.vq));
	for (i = 0; i < size; i++)
		ASSERT_EQ(0x5a, data[i]);
	memcpy(data, old, size);
	free(old);
	detach_checked(&a);
}

/* Nothing starts before somebody has said where the rings are. */
TEST_F(backend, detaching_forgets_the_rings)
{
	struct vhost_vring_file f = { .fd = self->a.d.fd };

	ASSERT_EQ(0, guest_set_backend(self->g, self->a.d.fd));
	ASSERT_EQ(0, guest_set_backend(self->g, -1));
	EXPECT_ERRNO(EFAULT, ioctl(self->g->fd, VHOST_BLK_SET_BACKEND, &f));
	ASSERT_EQ(0, guest_set_backend(self->g, self->a.d.fd));
	EXPECT_EQ(0, still_serves(&self->a, self->a.vq));
}

TEST(all_128_queues_of_1024_entries_serve)
{
	static const struct guest_opts opts = {
		.nvqs = VHOST_BLK_MAX_QUEUES, .num = 1024, .bulk = 16 << 20,
	};
	struct attached a = { 0 };
	unsigned int i;

	attach(&a, &opts);
	for (i = 0; i < a.g->nvqs; i++)
		ASSERT_EQ(0, still_serves(&a, &a.g->vq[i]));
	detach_checked(&a);
}

/* Switching to a second disk with writes to a slow first one under way. */
TEST(switching_disks_keeps_old_and_new_writes_apart)
{
	static const struct guest_opts opts = { .num = 256 };
	const unsigned int n = 128;
	struct attached a = { 0 };
	struct disk second;
	struct greq *r[128];
	char *buf = malloc(G_PAGE);
	unsigned int i;

	/* writes to the first MiB of KSFT_DELAY take a while */
	attach_path(&a, special_path("KSFT_DELAY"), O_RDWR, &opts);
	ASSERT_EQ(0, disk_open(&second, backend_path(0), O_RDWR));
	ASSERT_EQ(0, disk_put_pattern(&second, 0, n * G_PAGE, 100));
	for (i = 0; i < n; i++) {
		pattern_fill(buf, G_PAGE, i * 8, 101);
		r[i] = req_new(a.vq, VIRTIO_BLK_T_OUT, i * 8);
		ASSERT_EQ(0, req_frame(r[i], "4112 / 1"));
		req_put_data(r[i], buf, G_PAGE);
		r[i]->indirect = true;
		ASSERT_EQ(0, req_submit(r[i]));
	}
	/* Let it take them: the last avail index it asks a kick for. */
	ASSERT_TRUE(vq_wait_armed(a.vq, G_WAIT_MS));
	ASSERT_EQ(0, guest_set_backend(a.g, second.fd));
	/* All that it took has been answered. */
	ASSERT_GE(vq_reap(a.vq), 0);
	EXPECT_EQ(0, a.vq->n_inflight);
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, req_check(r[i], VIRTIO_BLK_S_OK));
	for (i = 0; i < n; i++) {
		pattern_fill(buf, G_PAGE, i * 8, 102);
		if (i % 2)
			ASSERT_EQ(VIRTIO_BLK_S_OK,
				  guest_io_out(a.vq, i * 8, buf, G_PAGE, NULL));
	}
	EXPECT_TRUE(disk_has_pattern(&a.d, 0, n * G_PAGE, 101));
	for (i = 0; i < n; i++)
		EXPECT_TRUE(disk_has_pattern(&second, i * 8, G_PAGE,
					     i % 2 ? 102 : 100));
	detach_checked(&a);
}

TEST_HARNESS_MAIN
