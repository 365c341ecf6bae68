// SPDX-License-Identifier: GPL-2.0-only
/* Plays the guest: reads the first 4 KiB of a disk, to standard output. */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/vhost_blk.h>

#define NUM		4		/* entries of the ring */
#define GPA		0x100000	/* where the guest sees its memory */

static struct memory {
	char data[4096], rings[4096];
	struct virtio_blk_outhdr header;
	__u8 status;
} *mem;

static int dev;

static void do_ioctl(unsigned long request, const char *name, void *arg)
{
	if (ioctl(dev, request, arg) < 0)
		err(1, "%s", name);
}

#define DO(request, ...) do_ioctl(request, #request, &(__VA_ARGS__))

static struct vring_desc desc(void *p, __u32 len, __u16 flags, __u16 next)
{
	return (struct vring_desc){ GPA + ((char *)p - (char *)mem), len, flags,
				    next };
}

int main(int argc, char **argv)
{
	int disk = argc > 1 ? open(argv[1], O_RDONLY) : -1;
	int kick = eventfd(0, 0), call = eventfd(0, 0);
	unsigned long long one = 1, features = 1ULL << VIRTIO_F_VERSION_1;
	struct vring ring;

	dev = open("/dev/vhost-blk", O_RDWR);
	mem = mmap(NULL, sizeof(*mem), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (disk < 0 || kick < 0 || call < 0 || dev < 0 || mem == MAP_FAILED)
		err(1, "usage: vhost-blk-example BLOCK-DEVICE");
	vring_init(&ring, NUM, mem->rings, 64);

	/* Owner, features, guest memory: one region. */
	struct {
		struct vhost_memory table;
		struct vhost_memory_region region;
	} regions = {
		.table.nregions = 1,
		.region = { GPA, sizeof(*mem), (uintptr_t)mem, 0 },
	};

	do_ioctl(VHOST_SET_OWNER, "VHOST_SET_OWNER", NULL);
	DO(VHOST_SET_FEATURES, features);
	DO(VHOST_SET_MEM_TABLE, regions);

	/* Queue 0: size, position, addresses, eventfds. */
	struct vhost_vring_addr addr = {
		.desc_user_addr = (uintptr_t)ring.desc,
		.avail_user_addr = (uintptr_t)ring.avail,
		.used_user_addr = (uintptr_t)ring.used,
	};

	DO(VHOST_SET_VRING_NUM, (struct vhost_vring_state){ 0, NUM });
	DO(VHOST_SET_VRING_BASE, (struct vhost_vring_state){ 0, 0 });
	DO(VHOST_SET_VRING_ADDR, addr);
	DO(VHOST_SET_VRING_KICK, (struct vhost_vring_file){ 0, kick });
	DO(VHOST_SET_VRING_CALL, (struct vhost_vring_file){ 0, call });

	/* The disk. From here on the queue is served. */
	DO(VHOST_BLK_SET_BACKEND, (struct vhost_vring_file){ 0, disk });

	/* A request: what to do, room for the data, room for the status. */
	mem->header.type = VIRTIO_BLK_T_IN;
	ring.desc[0] = desc(&mem->header, sizeof(mem->header),
			    VRING_DESC_F_NEXT, 1);
	ring.desc[1] = desc(mem->data, sizeof(mem->data),
			    VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	ring.desc[2] = desc(&mem->status, 1, VRING_DESC_F_WRITE, 0);
	ring.avail->ring[0] = 0;
	__atomic_store_n(&ring.avail->idx, 1, __ATOMIC_SEQ_CST);
	if (write(kick, &one, sizeof(one)) < 0)
		err(1, "kick");

	/* The answer. */
	while (__atomic_load_n(&ring.used->idx, __ATOMIC_ACQUIRE) != 1)
		if (read(call, &one, sizeof(one)) < 0)
			err(1, "call");
	if (mem->status != VIRTIO_BLK_S_OK)
		errx(1, "the request failed with status %u", mem->status);

	/* Detach; closing /dev/vhost-blk would do that as well. */
	DO(VHOST_BLK_SET_BACKEND, (struct vhost_vring_file){ 0, -1 });
	return write(STDOUT_FILENO, mem->data, sizeof(mem->data)) < 0;
}
