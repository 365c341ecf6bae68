// SPDX-License-Identifier: GPL-2.0-only
/* Size, base, addresses and eventfds of a virtqueue. */
#define _GNU_SOURCE
#include "attached.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

FIXTURE(vring) {
	struct attached a;
	struct gvq *vq;
	int fd;
};

/* Everything is set, nothing attached. */
FIXTURE_SETUP(vring)
{
	attach(&self->a, NULL);
	self->vq = self->a.vq;
	self->fd = self->a.g->fd;
	ASSERT_EQ(0, guest_set_backend(self->a.g, -1));
}

FIXTURE_TEARDOWN(vring)
{
	detach_checked(&self->a);
}

static int state(int fd, unsigned long request, unsigned int index,
		 unsigned int num)
{
	struct vhost_vring_state s = { .index = index, .num = num };

	return ioctl(fd, request, &s);
}

TEST_F(vring, size_must_be_a_power_of_two_up_to_1024)
{
	static const uint32_t good[] = { 2, 4, 128, 256, 1024 };
	static const uint32_t bad[] = {
		0, 3, 100, 1023, 1025, 2048, 32768, 65536, 1u << 31, 0xffffffff
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++)
		EXPECT_EQ(0, vq_set_num(self->vq, good[i]));
	ASSERT_EQ(0, vq_set_num(self->vq, self->vq->num));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_ERRNO(EINVAL, vq_set_num(self->vq, bad[i]));
	/* the last good one is in force */
	ASSERT_EQ(0, guest_set_backend(self->a.g, self->a.d.fd));
	EXPECT_EQ(0, still_serves(&self->a, self->vq));
	EXPECT_ERRNO(EBUSY, vq_set_num(self->vq, self->vq->num));
	EXPECT_ERRNO(EBUSY, vq_set_num(self->vq, 128));
	EXPECT_EQ(0, still_serves(&self->a, self->vq));
}

TEST_F(vring, index_must_be_below_the_number_of_queues)
{
	static const uint32_t bad[] = { VHOST_BLK_MAX_QUEUES, 1000, 0xffffffff };
	static const unsigned long requests[] = {
		VHOST_SET_VRING_NUM, VHOST_SET_VRING_BASE, VHOST_GET_VRING_BASE,
		VHOST_SET_VRING_ADDR, VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL,
		VHOST_SET_VRING_ERR,
	};
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		for (k = 0; k < ARRAY_SIZE(requests); k++) {
			/* each argument begins with the index */
			struct vhost_vring_addr arg = { .index = bad[i] };

			EXPECT_ERRNO(ENOBUFS, ioctl(self->fd, requests[k], &arg));
		}
	}
	EXPECT_EQ(0, state(self->fd, VHOST_SET_VRING_NUM,
			   VHOST_BLK_MAX_QUEUES - 1, 64));
}

TEST_F(vring, base_must_fit_16_bits)
{
	EXPECT_EQ(0, vq_set_base(self->vq, 0xffff));
	EXPECT_EQ(0xffff, vq_get_base(self->vq));
	EXPECT_ERRNO(EINVAL, vq_set_base(self->vq, 0x10000));
	EXPECT_ERRNO(EINVAL, vq_set_base(self->vq, 0xffffffff));
	EXPECT_EQ(0xffff, vq_get_base(self->vq));
	EXPECT_EQ(0, vq_set_base(self->vq, 0));
	ASSERT_EQ(0, guest_set_backend(self->a.g, self->a.d.fd));
	EXPECT_ERRNO(EBUSY, vq_set_base(self->vq, 0));
	EXPECT_EQ(0, still_serves(&self->a, self->vq));
}

TEST_F(vring, base_survives_a_round_trip)
{
	struct gvq *vq = self->vq;
	unsigned int i;

	for (i = 0; i < 200; i++) {
		uint16_t base = guest_random(self->a.g);

		ASSERT_EQ(0, vq_set_base(vq, base));
		ASSERT_EQ(base, vq_get_base(vq));
	}
	ASSERT_EQ(0, vq_set_base(vq, 0));
}

/* What a hostile or mistaken owner restores: any base against any used index. */
TEST_F(vring, base_that_does_not_fit_the_used_index_is_refused)
{
	struct gvq *vq = self->vq;
	unsigned int i;

	for (i = 0; i < 60; i++) {
		uint16_t used = guest_random(self->a.g);
		uint16_t ahead = guest_random(self->a.g);

		if (i % 3 == 0)
			ahead = i % 2 ? vq->num + 1 : 0xffff;
		vq_reset(vq, used);
		ASSERT_EQ(0, vq_set_base(vq, (uint16_t)(used + ahead)));
		if (ahead > vq->num) {
			EXPECT_ERRNO(EINVAL, guest_set_backend(self->a.g,
							       self->a.d.fd));
			continue;
		}
		/* that many may be in flight still: nothing is taken twice */
		vq_set_avail_idx(vq, used + ahead);
		ASSERT_EQ(0, guest_set_backend(self->a.g, self->a.d.fd));
		ASSERT_EQ(0, guest_set_backend(self->a.g, -1));
		EXPECT_EQ((uint16_t)(used + ahead), vq_get_base(vq));
		EXPECT_EQ(used, vq_used_idx(vq));
	}
	vq_reset(vq, 0);
	ASSERT_EQ(0, vq_set_base(vq, 0));
	ASSERT_EQ(0, guest_set_backend(self->a.g, self->a.d.fd));
	EXPECT_EQ(0, still_serves(&self->a, vq));
}

static int set_addr(struct gvq *vq, const struct vhost_vring_addr *addr)
{
	int ret = ioctl(vq->g->fd, VHOST_SET_VRING_ADDR, addr);

	if (!ret)
		vq->g->forgot = false;	/* these are the ones it shall have */
	return ret;
}

static void expect_bad_addresses(struct gvq *vq)
{
	struct vhost_vring_addr good, a;

	vq_addr(vq, &good);
	a = good;
	a.desc_user_addr += 8;
	EXPECT_ERRNO(EINVAL, set_addr(vq, &a));
	a = good;
	a.desc_user_addr += 1;
	EXPECT_ERRNO(EINVAL, set_addr(vq, &a));
	a = good;
	a.avail_user_addr += 1;
	EXPECT_ERRNO(EINVAL, set_addr(vq, &a));
	a = good;
	a.used_user_addr += 2;
	EXPECT_ERRNO(EINVAL, set_addr(vq, &a));
	a = good;
	a.log_guest_addr = 2;
	EXPECT_ERRNO(EINVAL, set_addr(vq, &a));
	a = good;
	a.flags = 2;
	EXPECT_ERRNO(EOPNOTSUPP, set_addr(vq, &a));
	a = good;
	a.flags = 0x80000000;
	EXPECT_ERRNO(EOPNOTSUPP, set_addr(vq, &a));
}

TEST_F(vring, misaligned_addresses_and_unknown_flags)
{
	expect_bad_addresses(self->vq);
	ASSERT_EQ(0, guest_set_backend(self->a.g, self->a.d.fd));
	expect_bad_addresses(self->vq);
	EXPECT_EQ(0, still_serves(&self->a, self->vq));
}

/* One of the three rings somewhere it must not be. */
static void spoil(struct vhost_vring_addr *a, int ring, uint64_t address)
{
	if (ring == 0)
		a->desc_user_addr = address;
	else if (ring == 1)
		a->avail_user_addr = address;
	else
		a->used_user_addr = address;
}

TEST_F(vring, addresses_outside_guest_memory)
{
	struct gregion *low = &self->a.g->region[G_LOW];
	const uint64_t bad[] = {
		0, 16, 0xffff888000000000, -16ULL, 1ULL << 47,
		(uintptr_t)low->hva - G_PAGE,		/* the guard page */
		(uintptr_t)low->hva + low->size - 16,	/* runs into the other */
		(uintptr_t)self & ~15ULL,		/* ours, not the guest's */
	};
	struct vhost_vring_addr a;
	unsigned int i;
	int ring;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		for (ring = 0; ring < 3; ring++) {
			vq_addr(self->vq, &a);
			spoil(&a, ring, bad[i]);
			ASSERT_EQ(0, set_addr(self->vq, &a));
			EXPECT_ERRNO(EFAULT, guest_set_backend(self->a.g,
							       self->a.d.fd));
		}
	}
	ASSERT_EQ(0, vq_set_addr(self->vq));
	ASSERT_EQ(0, guest_set_backend(self->a.g, self->a.d.fd));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		for (ring = 0; ring < 3; ring++) {
			vq_addr(self->vq, &a);
			spoil(&a, ring, bad[i]);
			EXPECT_ERRNO(EINVAL, set_addr(self->vq, &a));
		}
	}
	EXPECT_EQ(0, still_serves(&self->a, self->vq));
}

TEST_F(vring, unmapped_or_read_only_rings)
{
	struct gregion *isle = &self->a.g->region[G_ISLE];
	struct vhost_vring_addr a;

	vq_addr(self->vq, &a);
	a.used_user_addr = (uintptr_t)isle->hva;
	ASSERT_EQ(0, set_addr(self->vq, &a));
	ASSERT_EQ(0, mprotect(isle->hva, G_PAGE, PROT_READ));
	EXPECT_ERRNO(EFAULT, guest_set_backend(self->a.g, self->a.d.fd));
	ASSERT_EQ(0, munmap(isle->hva, G_PAGE));
	EXPECT_ERRNO(EFAULT, guest_set_backend(self->a.g, self->a.d.fd));
	ASSERT_NE(MAP_FAILED, mmap(isle->hva, G_PAGE, PROT_READ | PROT_WRITE,
				   MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memset(isle->hva, G_CANARY, G_PAGE);
	ASSERT_EQ(0, vq_set_addr(self->vq));
	ASSERT_EQ(0, guest_set_backend(self->a.g, self->a.d.fd));
	EXPECT_EQ(0, still_serves(&self->a, self->vq));
}

TEST_F(vring, addresses_cannot_change_while_attached)
{
	struct guest *g = self->a.g;
	struct vhost_vring_addr a;
	uint64_t other;

	ASSERT_EQ(0, guest_alloc(g, G_BULK, 16384, 0, 1, &other));
	ASSERT_EQ(0, guest_set_backend(g, self->a.d.fd));
	EXPECT_EQ(0, vq_set_addr(self->vq));
	vq_addr(self->vq, &a);
	a.desc_user_addr = (uintptr_t)guest_hva(g, other);
	EXPECT_ERRNO(EBUSY, set_addr(self->vq, &a));
	vq_addr(self->vq, &a);
	a.used_user_addr = (uintptr_t)guest_hva(g, other);
	EXPECT_ERRNO(EBUSY, set_addr(self->vq, &a));
	vq_addr(self->vq, &a);
	a.avail_user_addr = (uintptr_t)guest_hva(g, other);
	EXPECT_ERRNO(EBUSY, set_addr(self->vq, &a));
	EXPECT_EQ(0, still_serves(&self->a, self->vq));
	guest_free_range(g, other, 16384);
}

static const unsigned long file_requests[] = {
	VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR,
};

TEST_F(vring, only_eventfds_are_taken_and_the_old_one_stays)
{
	struct attached *a = &self->a;
	int bad[6], pipes[2];
	unsigned int i, k;
	struct greq *r;

	ASSERT_EQ(0, pipe(pipes));
	bad[0] = open("/proc/self/exe", O_RDONLY);
	bad[1] = pipes[0];
	bad[2] = pipes[1];
	bad[3] = epoll_create1(0);
	bad[4] = self->fd;
	bad[5] = a->d.fd;
	ASSERT_EQ(0, guest_set_backend(a->g, a->d.fd));
	for (k = 0; k < ARRAY_SIZE(file_requests); k++) {
		EXPECT_ERRNO(EBADF, vq_set_fd(self->vq, file_requests[k], 9999));
		EXPECT_ERRNO(EBADF, vq_set_fd(self->vq, file_requests[k], -2));
		for (i = 0; i < ARRAY_SIZE(bad); i++)
			EXPECT_ERRNO(EINVAL, vq_set_fd(self->vq, file_requests[k],
						       bad[i]));
	}

	/* kick and call work ... */
	r = req_new(self->vq, VIRTIO_BLK_T_FLUSH, 0);
	ASSERT_EQ(0, req_frame(r, "16 / 1"));
	ASSERT_TRUE(vq_wait_armed(self->vq, G_WAIT_MS));
	ASSERT_EQ(0, req_submit(r));
	EXPECT_GT(event_wait(self->vq->call, G_WAIT_MS), 0);
	ASSERT_TRUE(req_wait(r, 0));
	/* ... and so does err: a head that does not exist */
	vq_push(self->vq, 0xffff);
	vq_publish(self->vq);
	vq_kick(self->vq);
	EXPECT_GT(event_wait(self->vq->err, G_WAIT_MS), 0);
}

TEST_F(vring, eventfds_can_be_unbound)
{
	struct attached *a = &self->a;
	struct gvq *vq = self->vq;
	struct greq *r;

	ASSERT_EQ(0, vq_set_fd(vq, VHOST_SET_VRING_CALL, -1));
	ASSERT_EQ(0, guest_set_backend(a->g, a->d.fd));
	EXPECT_EQ(0, still_serves(a, vq));
	EXPECT_EQ(0, vq_set_fd(vq, VHOST_SET_VRING_ERR, -1));
	EXPECT_EQ(0, still_serves(a, vq));
	EXPECT_EQ(0, event_wait(vq->call, 0));

	/* Without a kick nothing wakes it; binding one again must look. */
	ASSERT_TRUE(vq_wait_armed(vq, G_WAIT_MS));
	EXPECT_EQ(0, vq_set_fd(vq, VHOST_SET_VRING_KICK, -1));
	r = req_new(vq, VIRTIO_BLK_T_FLUSH, 0);
	ASSERT_EQ(0, req_frame(r, "16 / 1"));
	ASSERT_EQ(0, req_submit(r));
	EXPECT_EQ(0, vq_set_fd(vq, VHOST_SET_VRING_KICK, vq->kick));
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));

	/* M2 with nobody to tell: no crash, and detach says where. */
	vq_push(vq, 0xffff);
	vq_publish(vq);
	vq_kick(vq);
	EXPECT_EQ(0, guest_set_backend(a->g, -1));
	EXPECT_EQ((uint16_t)(vq->avail_idx - 1), vq_get_base(vq));
}

/* Interrupt masking replaces the call eventfd while requests complete. */
TEST_F(vring, call_moves_without_losing_one)
{
	struct attached *a = &self->a;
	struct gvq *vq = self->vq;
	int other = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	unsigned int i;

	ASSERT_EQ(0, guest_set_backend(a->g, a->d.fd));
	for (i = 0; i < 100; i++) {
		struct greq *r = req_new(vq, VIRTIO_BLK_T_IN, 0);

		vq_set_used_event(vq, vq->last_used);
		ASSERT_EQ(0, req_frame(r, "16 / 4096 1"));
		ASSERT_EQ(0, req_submit(r));
		ASSERT_EQ(0, vq_set_fd(vq, VHOST_SET_VRING_CALL,
				       i & 1 ? vq->call : other));
		ASSERT_TRUE(req_wait(r, G_WAIT_MS));
		/* it came on the one or on the other */
		ASSERT_TRUE(event_wait(vq->call, 0) || event_wait(other, 0) ||
			    event_wait(vq->call, 500) || event_wait(other, 500));
		req_free(r);
	}
	/* neither is left signalled by an old request */
	ASSERT_EQ(0, guest_set_backend(a->g, -1));
	event_wait(vq->call, 0);
	event_wait(other, 0);
}

TEST_F(vring, eventfds_are_given_back)
{
	struct attached *a = &self->a;
	struct leaks before, after;
	unsigned int i;

	leaks_now(&before);
	for (i = 0; i < 50; i++) {
		int fd = eventfd(0, EFD_CLOEXEC);

		ASSERT_GE(fd, 0);
		ASSERT_EQ(0, vq_set_fd(self->vq, VHOST_SET_VRING_KICK, fd));
		ASSERT_EQ(0, vq_set_fd(self->vq, VHOST_SET_VRING_CALL, fd));
		ASSERT_EQ(0, vq_set_fd(self->vq, VHOST_SET_VRING_ERR, fd));
		close(fd);
	}
	leaks_now(&after);
	EXPECT_EQ(before.users, after.users);
	ASSERT_EQ(0, vq_set_fds(self->vq));
	ASSERT_EQ(0, guest_set_backend(a->g, a->d.fd));
	EXPECT_EQ(0, still_serves(a, self->vq));
}

TEST_HARNESS_MAIN
