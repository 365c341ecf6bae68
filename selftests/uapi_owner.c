// SPDX-License-Identifier: GPL-2.0-only
/* Who may configure the device, and which ioctls exist with which arguments. */
#define _GNU_SOURCE
#include "attached.h"

#include <sys/socket.h>
#include <sys/stat.h>

/* Everything that needs an owner. */
static const struct {
	const char *name;
	unsigned long request;
	size_t size;
} owner_only[] = {
	{ "RESET_OWNER", VHOST_RESET_OWNER, 0 },
	{ "SET_MEM_TABLE", VHOST_SET_MEM_TABLE, sizeof(struct vhost_memory) },
	{ "SET_LOG_BASE", VHOST_SET_LOG_BASE, sizeof(uint64_t) },
	{ "SET_LOG_FD", VHOST_SET_LOG_FD, sizeof(int) },
	{ "SET_VRING_NUM", VHOST_SET_VRING_NUM, sizeof(struct vhost_vring_state) },
	{ "SET_VRING_ADDR", VHOST_SET_VRING_ADDR, sizeof(struct vhost_vring_addr) },
	{ "SET_VRING_BASE", VHOST_SET_VRING_BASE, sizeof(struct vhost_vring_state) },
	{ "GET_VRING_BASE", VHOST_GET_VRING_BASE, sizeof(struct vhost_vring_state) },
	{ "SET_VRING_KICK", VHOST_SET_VRING_KICK, sizeof(struct vhost_vring_file) },
	{ "SET_VRING_CALL", VHOST_SET_VRING_CALL, sizeof(struct vhost_vring_file) },
	{ "SET_VRING_ERR", VHOST_SET_VRING_ERR, sizeof(struct vhost_vring_file) },
	{ "SET_VRING_BUSYLOOP_TIMEOUT", VHOST_SET_VRING_BUSYLOOP_TIMEOUT,
	  sizeof(struct vhost_vring_state) },
	{ "GET_VRING_BUSYLOOP_TIMEOUT", VHOST_GET_VRING_BUSYLOOP_TIMEOUT,
	  sizeof(struct vhost_vring_state) },
	{ "SET_BACKEND", VHOST_BLK_SET_BACKEND, sizeof(struct vhost_vring_file) },
	{ "SET_SERIAL", VHOST_BLK_SET_SERIAL, VHOST_BLK_SERIAL_LEN },
};

/* What anybody may do. */
static const struct {
	const char *name;
	unsigned long request;
	size_t size;
} for_all[] = {
	{ "GET_FEATURES", VHOST_GET_FEATURES, sizeof(uint64_t) },
	{ "SET_FEATURES", VHOST_SET_FEATURES, sizeof(uint64_t) },
	{ "GET_BACKEND_FEATURES", VHOST_GET_BACKEND_FEATURES, sizeof(uint64_t) },
	{ "SET_BACKEND_FEATURES", VHOST_SET_BACKEND_FEATURES, sizeof(uint64_t) },
};

/* A correct or at least harmless argument for each of them: all zero. */
static int call_zeroed(int fd, unsigned long request)
{
	char arg[64] = { 0 };

	return ioctl(fd, request, arg);
}

static int expect_eperm_everywhere(int fd)
{
	unsigned int i;
	int bad = 0;

	for (i = 0; i < ARRAY_SIZE(owner_only); i++) {
		errno = 0;
		if (call_zeroed(fd, owner_only[i].request) == -1 &&
		    errno == EPERM)
			continue;
		ksft_log("%s: %s instead of EPERM", owner_only[i].name,
			 strerror(errno));
		bad++;
	}
	return bad;
}

/* Runs @fn in a process with another address space: what it returned. */
static int in_child(int (*fn)(int fd), int fd)
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		status = fn(fd);
		fflush(stdout);
		_exit(status);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(node_is_not_for_everybody)
{
	struct stat st;

	ASSERT_EQ(0, stat("/dev/vhost-blk", &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0, st.st_mode & 077);
}

TEST(without_owner_configuration_is_refused)
{
	struct guest *g = guest_new(NULL);

	ASSERT_EQ(0, guest_open(g));
	EXPECT_EQ(0, expect_eperm_everywhere(g->fd));
	/* and none of it left a trace: the usual set-up works */
	ASSERT_EQ(0, guest_set_owner(g));
	EXPECT_EQ(0, vq_get_base(g->vq));
	EXPECT_ERRNO(EFAULT, guest_set_backend(g, open(backend_path(0), O_RDWR)));
}

TEST(without_owner_features_can_be_read)
{
	struct guest *g = guest_new(NULL);
	unsigned int i;

	ASSERT_EQ(0, guest_open(g));
	for (i = 0; i < ARRAY_SIZE(for_all); i++)
		if (call_zeroed(g->fd, for_all[i].request)) {
			ksft_log("%s", for_all[i].name);
			EXPECT_EQ(0, errno);
		}
}

static int own(int fd)
{
	return ioctl(fd, VHOST_SET_OWNER) ? errno : 0;
}

TEST(second_owner_is_refused)
{
	struct guest *g = guest_new(NULL);

	ASSERT_EQ(0, guest_open(g));
	ASSERT_EQ(0, guest_set_owner(g));
	EXPECT_ERRNO(EBUSY, guest_set_owner(g));
	EXPECT_EQ(EBUSY, in_child(own, g->fd));
}

TEST(other_process_may_own_another_open)
{
	struct guest *g = guest_new(NULL);
	int second = open("/dev/vhost-blk", O_RDWR);

	ASSERT_EQ(0, guest_open(g));
	ASSERT_EQ(0, guest_set_owner(g));
	EXPECT_EQ(0, in_child(own, second));
}

TEST(inherited_descriptor_is_refused)
{
	struct guest *g = guest_new(NULL);

	ASSERT_EQ(0, guest_open(g));
	ASSERT_EQ(0, guest_set_owner(g));
	EXPECT_EQ(0, in_child(expect_eperm_everywhere, g->fd));
}

static int receive_and_try(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(sock, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		return 100;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return expect_eperm_everywhere(fd);
}

TEST(passed_descriptor_is_refused)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct guest *g = guest_new(NULL);
	struct iovec iov = { &byte, 1 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int sock[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	ASSERT_EQ(0, guest_open(g));
	ASSERT_EQ(0, guest_set_owner(g));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &g->fd, sizeof(int));
	ASSERT_EQ(1, sendmsg(sock[0], &m, 0));
	EXPECT_EQ(0, in_child(receive_and_try, sock[1]));
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

TEST_F(running, refused_strangers_do_not_disturb)
{
	EXPECT_EQ(0, in_child(expect_eperm_everywhere, self->a.g->fd));
	EXPECT_EQ(0, still_serves(&self->a, self->a.vq));
}

/* Owner gone, as by RESET_OWNER: nothing is left of the old configuration. */
static void expect_blank(struct guest *g, int backend)
{
	EXPECT_EQ(0, guest_set_owner(g));
	EXPECT_EQ(0, vq_get_base(g->vq));
	EXPECT_ERRNO(EFAULT, guest_set_backend(g, backend));
}

TEST_F(running, reset_owner_drains_and_forgets)
{
	struct attached *a = &self->a;
	struct greq *r[64];
	struct leaks l;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(r); i++) {
		r[i] = req_new(a->vq, VIRTIO_BLK_T_IN, i * 8);
		ASSERT_EQ(0, req_frame(r[i], "16 / 4096 1"));
		ASSERT_EQ(0, req_submit(r[i]));
	}
	/* Even before all kicks are looked at, this must be safe. */
	ASSERT_EQ(0, ioctl(a->g->fd, VHOST_RESET_OWNER));
	ASSERT_GE(vq_reap(a->vq), 0);
	for (i = 0; i < ARRAY_SIZE(r); i++)
		if (r[i]->done)
			EXPECT_EQ(0, req_check(r[i], VIRTIO_BLK_S_OK));
	/* what was not taken stays in the ring, untouched */
	for (i = 0; i < ARRAY_SIZE(r); i++)
		if (!r[i]->done)
			EXPECT_EQ(0, req_check_untouched(r[i]));
	leaks_now(&l);
	EXPECT_EQ(0, l.threads);
	EXPECT_EQ(0, expect_eperm_everywhere(a->g->fd));
	expect_blank(a->g, a->d.fd);
	a->g->quiet = true;	/* the teardown's detach has no backend */
	a->g = NULL;
}

TEST_F(running, after_reset_owner_the_same_process_starts_again)
{
	struct attached *a = &self->a;
	unsigned int i;

	ASSERT_EQ(0, still_serves(a, a->vq));
	ASSERT_EQ(0, ioctl(a->g->fd, VHOST_RESET_OWNER));
	vq_reset(a->vq, 0);
	for (i = 1; i < guest_steps(); i++)
		ASSERT_EQ(0, guest_step(a->g, i));
	ASSERT_EQ(0, guest_set_backend(a->g, a->d.fd));
	EXPECT_EQ(0, still_serves(a, a->vq));
}

static int whole_life(int fd)
{
	struct attached a;
	unsigned int i;

	if (disk_open(&a.d, backend_path(0), O_RDWR))
		return 100;
	a.g = guest_new(NULL);
	a.g->fd = fd;
	a.vq = a.g->vq;
	for (i = 1; i < guest_steps(); i++)
		if (guest_step(a.g, i))
			return 10 + i;
	if (guest_set_backend(a.g, a.d.fd))
		return 20;
	return still_serves(&a, a.vq) ? 1 : 0;
}

TEST_F(running, after_reset_owner_another_process_starts)
{
	struct attached *a = &self->a;

	ASSERT_EQ(0, still_serves(a, a->vq));
	ASSERT_EQ(0, ioctl(a->g->fd, VHOST_RESET_OWNER));
	EXPECT_EQ(0, in_child(whole_life, a->g->fd));
	a->g = NULL;
}

TEST_F(running, unknown_ioctls_are_refused)
{
	static const unsigned long unknown[] = {
		_IO(VHOST_VIRTIO, 0x7f), _IO('x', 1), 0, ~0u,
		VHOST_NET_SET_BACKEND, VHOST_VSOCK_SET_RUNNING,
		/* right number, wrong size or direction */
		_IOW(VHOST_VIRTIO, 0x03, char[4096]),
		_IOR(VHOST_VIRTIO, 0xff, struct vhost_vring_file),
		_IOW(VHOST_VIRTIO, 0xff, int),
		_IOW(VHOST_VIRTIO, 0xfe, char[21]),
		_IOW(VHOST_VIRTIO, 0x10, struct vhost_vring_addr),
		_IO(VHOST_VIRTIO, 0x00),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		errno = 0;
		EXPECT_EQ(-1, call_zeroed(self->a.g->fd, unknown[i]));
		if (errno != ENOTTY)
			ksft_log("request %#lx", unknown[i]);
		EXPECT_EQ(ENOTTY, errno);
	}
	EXPECT_EQ(0, still_serves(&self->a, self->a.vq));
}

/* ioctl with a pointer, for both tables. */
static int call_at(int fd, unsigned long request, const void *arg)
{
	errno = 0;
	return ioctl(fd, request, arg) ? errno : 0;
}

static void expect_efault_at(int fd, const char *where, const void *arg,
			     bool only_readers)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(owner_only) + ARRAY_SIZE(for_all); i++) {
		bool own = i < ARRAY_SIZE(owner_only);
		unsigned int at = own ? i : i - ARRAY_SIZE(owner_only);
		unsigned long request = own ? owner_only[at].request :
					      for_all[at].request;

		/* no argument, or refused whatever it is */
		if (request == VHOST_RESET_OWNER ||
		    request == VHOST_SET_LOG_BASE || request == VHOST_SET_LOG_FD)
			continue;
		if (only_readers && !(_IOC_DIR(request) & _IOC_READ) &&
		    request != VHOST_GET_VRING_BUSYLOOP_TIMEOUT)
			continue;
		err = call_at(fd, request, arg);
		if (err != EFAULT)
			ksft_log("%s, argument %s: %s",
				 own ? owner_only[at].name : for_all[at].name,
				 where, strerror(err));
		EXPECT_EQ(EFAULT, err);
	}
}

TEST_F(running, bad_argument_pointers_are_refused)
{
	int fd = self->a.g->fd;
	char *page = mmap(NULL, 2 * G_PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, munmap(page + G_PAGE, G_PAGE));
	expect_efault_at(fd, "NULL", NULL, false);
	expect_efault_at(fd, "unmapped", page + G_PAGE, false);
	expect_efault_at(fd, "across the end", page + G_PAGE - 3, false);
	expect_efault_at(fd, "of the kernel", (void *)(uintptr_t)-4096L, false);
	ASSERT_EQ(0, mprotect(page, G_PAGE, PROT_READ));
	expect_efault_at(fd, "read-only", page, true);
	EXPECT_EQ(0, still_serves(&self->a, self->a.vq));
}

#ifdef __x86_64__
/* The entry that a 32-bit process uses; arguments lie below 4 GiB. */
static int ioctl32(int fd, unsigned int request, void *arg)
{
	int ret;

	asm volatile("int $0x80"
		     : "=a"(ret)
		     : "a"(54), "b"(fd), "c"(request), "d"((uint32_t)(uintptr_t)arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

TEST(thirty_two_bit_callers_work)
{
	struct disk d;
	union {
		uint64_t u64;
		struct vhost_vring_state state;
		struct vhost_vring_addr addr;
		struct vhost_vring_file file;
		struct {
			struct vhost_memory m;
			struct vhost_memory_region r[G_REGIONS];
		} mem;
		char serial[VHOST_BLK_SERIAL_LEN];
	} *arg;
	struct attached a = { 0 };
	struct gvq *vq;
	unsigned int i;
	int fd;

	arg = mmap(NULL, G_PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, arg);
	ASSERT_EQ(0, disk_open(&d, backend_path(0), O_RDWR));
	a.d = d;
	a.g = guest_new(NULL);
	a.vq = vq = a.g->vq;
	ASSERT_EQ(0, guest_open(a.g));
	fd = a.g->fd;

	if (ioctl32(fd, VHOST_SET_OWNER, NULL) == -ENOSYS)
		SKIP(return, "kernel without 32-bit entry");
	ASSERT_EQ(0, ioctl32(fd, VHOST_GET_FEATURES, arg));
	EXPECT_EQ(G_FEATURES, arg->u64 & G_FEATURES);
	arg->u64 = G_FEATURES;
	ASSERT_EQ(0, ioctl32(fd, VHOST_SET_FEATURES, arg));
	ASSERT_EQ(0, ioctl32(fd, VHOST_GET_BACKEND_FEATURES, arg));
	ASSERT_EQ(0, ioctl32(fd, VHOST_SET_BACKEND_FEATURES, arg));
	memset(arg, 0, sizeof(*arg));
	arg->mem.m.nregions = G_REGIONS;
	for (i = 0; i < G_REGIONS; i++) {
		arg->mem.r[i].guest_phys_addr = a.g->region[i].gpa;
		arg->mem.r[i].memory_size = a.g->region[i].size;
		arg->mem.r[i].userspace_addr = (uintptr_t)a.g->region[i].hva;
	}
	ASSERT_EQ(0, ioctl32(fd, VHOST_SET_MEM_TABLE, arg));
	arg->state = (struct vhost_vring_state){ .num = vq->num };
	ASSERT_EQ(0, ioctl32(fd, VHOST_SET_VRING_NUM, arg));
	arg->state.num = 0;
	ASSERT_EQ(0, ioctl32(fd, VHOST_SET_VRING_BASE, arg));
	vq_addr(vq, &arg->addr);
	ASSERT_EQ(0, ioctl32(fd, VHOST_SET_VRING_ADDR, arg));
	arg->file = (struct vhost_vring_file){ .fd = vq->kick };
	ASSERT_EQ(0, ioctl32(fd, VHOST_SET_VRING_KICK, arg));
	arg->file.fd = vq->call;
	ASSERT_EQ(0, ioctl32(fd, VHOST_SET_VRING_CALL, arg));
	arg->file.fd = vq->err;
	ASSERT_EQ(0, ioctl32(fd, VHOST_SET_VRING_ERR, arg));
	memset(arg->serial, 0, sizeof(arg->serial));
	ASSERT_EQ(0, ioctl32(fd, VHOST_BLK_SET_SERIAL, arg));
	arg->file = (struct vhost_vring_file){ .fd = d.fd };
	ASSERT_EQ(0, ioctl32(fd, VHOST_BLK_SET_BACKEND, arg));
	EXPECT_EQ(0, still_serves(&a, vq));
	arg->file.fd = -1;
	ASSERT_EQ(0, ioctl32(fd, VHOST_BLK_SET_BACKEND, arg));
	arg->state = (struct vhost_vring_state){ .num = 7 };
	ASSERT_EQ(0, ioctl32(fd, VHOST_GET_VRING_BASE, arg));
	EXPECT_EQ(1, arg->state.num);
	ASSERT_EQ(0, ioctl32(fd, VHOST_RESET_OWNER, NULL));
}
#endif

TEST_HARNESS_MAIN
