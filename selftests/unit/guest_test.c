// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the tests: lib/guest.c against a device in a thread of this process that
 * serves the ring correctly, or with one mistake. Each mistake must be found
 * and a correct device must not be accused.
 */
#define _GNU_SOURCE
#include "ksft.h"
#include "guest.h"

#include <pthread.h>
#include <stdatomic.h>

enum mistake {
	NONE, WRONG_LEN, BYTE_BEFORE, BYTE_AFTER, READABLE_BYTE, DESCRIPTOR,
	AVAIL_RING, INDIRECT_TABLE, USED_TWICE, FOREIGN_HEAD, UNPUBLISHED_SLOT,
	FREE_MEMORY, EARLY_STATUS, USED_FLAGS, NEVER_USED, WRONG_DATA,
	ERROR_WITH_DATA, STATUS_ON_MALFORMED,
};

#define DISK_SIZE	(256 << 10)
#define MAX_SEGS	600

struct segs {
	uint64_t gpa[MAX_SEGS];
	uint32_t len[MAX_SEGS];
	unsigned int n;
	size_t bytes;
};

struct device {
	struct guest *g;
	enum mistake mistake;
	pthread_t thread;
	atomic_bool stop;
	uint16_t next;
	uint8_t disk[DISK_SIZE];
};

static void segs_copy(struct guest *g, const struct segs *s, size_t off,
		      void *buf, size_t len, bool to_guest)
{
	uint8_t *at = buf;
	unsigned int i;

	for (i = 0; i < s->n && len; i++) {
		size_t n = s->len[i] - off;

		if (off >= s->len[i]) {
			off -= s->len[i];
			continue;
		}
		n = n < len ? n : len;
		if (to_guest)
			guest_write(g, s->gpa[i] + off, at, n);
		else
			guest_read(g, s->gpa[i] + off, at, n);
		at += n;
		len -= n;
		off = 0;
	}
}

static bool walk(struct guest *g, struct vring_desc *table, unsigned int num,
		 unsigned int i, struct segs *out, struct segs *in,
		 uint64_t *indirect)
{
	struct vring_desc inner[MAX_SEGS];
	unsigned int hops = 0;

	for (;;) {
		struct segs *s = table[i].flags & VRING_DESC_F_WRITE ? in : out;

		if (table[i].flags & VRING_DESC_F_INDIRECT) {
			*indirect = table[i].addr;
			guest_read(g, table[i].addr, inner, table[i].len);
			return walk(g, inner, table[i].len / sizeof(inner[0]), 0,
				    out, in, indirect);
		}
		s->gpa[s->n] = table[i].addr;
		s->len[s->n++] = table[i].len;
		s->bytes += table[i].len;
		if (!(table[i].flags & VRING_DESC_F_NEXT))
			return true;
		i = table[i].next;
		if (i >= num || ++hops >= num)
			return false;
	}
}

/* Returns what goes into used.len. */
static uint32_t execute(struct device *d, const struct segs *out,
			const struct segs *in)
{
	struct virtio_blk_outhdr hdr;
	struct guest *g = d->g;
	uint8_t status = VIRTIO_BLK_S_OK;
	size_t status_at = in->bytes - 1;
	uint32_t len = 1;
	uint8_t *data;

	segs_copy(g, out, 0, &hdr, sizeof(hdr), false);
	data = d->disk + hdr.sector % (DISK_SIZE / 512) * 512;
	if (hdr.sector >= DISK_SIZE / 512) {
		status = VIRTIO_BLK_S_IOERR;
		if (d->mistake == ERROR_WITH_DATA)
			segs_copy(g, in, 0, data, 8, true);
	} else if (hdr.type == VIRTIO_BLK_T_IN) {
		segs_copy(g, in, 0, data, in->bytes - 1, true);
		len = in->bytes;
	} else if (hdr.type == VIRTIO_BLK_T_OUT) {
		segs_copy(g, out, sizeof(hdr), data, out->bytes - sizeof(hdr),
			  false);
		if (d->mistake == WRONG_DATA)
			data[out->bytes - sizeof(hdr) - 1] ^= 1;
	} else {
		status = VIRTIO_BLK_S_UNSUPP;
	}
	if (d->mistake == EARLY_STATUS && status_at)
		status_at--;
	segs_copy(g, in, status_at, &status, 1, true);
	return len + (d->mistake == WRONG_LEN);
}

static void err_in_memory(struct device *d, const struct segs *out,
			  const struct segs *in, uint64_t table)
{
	struct gvq *vq = d->g->vq;
	uint64_t free_page;

	switch (d->mistake) {
	case BYTE_BEFORE:
		guest_fill(d->g, in->gpa[0] - 1, 0, 1);
		break;
	case BYTE_AFTER:
		guest_fill(d->g, in->gpa[in->n - 1] + in->len[in->n - 1] + 20, 0,
			   1);
		break;
	case READABLE_BYTE:
		guest_fill(d->g, out->gpa[0] + 4, 7, 1);
		break;
	case DESCRIPTOR:
		vq->desc[vq->num - 1].len++;
		break;
	case AVAIL_RING:
		vq->avail->ring[vq->num - 1]++;
		break;
	case INDIRECT_TABLE:
		guest_fill(d->g, table + 15, 1, 1);
		break;
	case UNPUBLISHED_SLOT:
		vq->used->ring[(d->next + 5) % vq->num].len++;
		break;
	case FREE_MEMORY:
		guest_alloc(d->g, G_HIGH, 4096, -1, 1, &free_page);
		guest_free_range(d->g, free_page, 4096);
		guest_fill(d->g, free_page + 2048, 0, 1);
		break;
	case USED_FLAGS:
		vq->used->flags = 4;
		break;
	default:
		break;
	}
}

static void use(struct gvq *vq, uint32_t id, uint32_t len)
{
	uint16_t idx = vq->used->idx;

	vq->used->ring[idx % vq->num].id = id;
	vq->used->ring[idx % vq->num].len = len;
	__atomic_store_n(&vq->used->idx, idx + 1, __ATOMIC_RELEASE);
}

static void serve_one(struct device *d, uint16_t head)
{
	struct segs out = { .n = 0 }, in = { .n = 0 };
	struct gvq *vq = d->g->vq;
	uint64_t table = 0;
	uint32_t len = 0;

	if (walk(d->g, vq->desc, vq->num, head, &out, &in, &table) && in.bytes)
		len = execute(d, &out, &in);
	else if (d->mistake == STATUS_ON_MALFORMED && in.bytes)
		segs_copy(d->g, &in, in.bytes - 1, (uint8_t []){ 1 }, 1, true);
	err_in_memory(d, &out, &in, table);
	if (d->mistake == NEVER_USED)
		return;
	if (d->mistake == FOREIGN_HEAD)
		head = (head + 1) % vq->num;
	use(vq, head, len);
	if (d->mistake == USED_TWICE)
		use(vq, head, len);
}

static void *serve(void *arg)
{
	struct device *d = arg;
	struct gvq *vq = d->g->vq;
	struct pollfd p = { .fd = vq->kick, .events = POLLIN };
	uint64_t n;

	while (!d->stop) {
		if (poll(&p, 1, 100) <= 0)
			continue;
		if (read(vq->kick, &n, sizeof(n)) != sizeof(n))
			continue;
		while (d->next != __atomic_load_n(&vq->avail->idx,
						  __ATOMIC_ACQUIRE)) {
			serve_one(d, vq->avail->ring[d->next % vq->num]);
			d->next++;
			n = 1;
			if (write(vq->call, &n, sizeof(n)) < 0)
				break;
		}
	}
	return NULL;
}

static struct device *device_start(enum mistake mistake)
{
	static const struct guest_opts opts = {
		.features = G_FEATURES & ~G_EVENT_IDX, .num = 64,
		.no_device = true,
	};
	struct device *d = calloc(1, sizeof(*d));

	ASSERT_TRUE(d);
	d->mistake = mistake;
	d->g = guest_new(&opts);
	ASSERT_TRUE(d->g);
	d->g->quiet = mistake != NONE;
	ASSERT_EQ(0, pthread_create(&d->thread, NULL, serve, d));
	return d;
}

static void device_stop(struct device *d)
{
	d->stop = true;
	pthread_join(d->thread, NULL);
}

FIXTURE(mistake) {
	struct device *d;
};

FIXTURE_VARIANT(mistake) {
	enum mistake mistake;
};

#define MISTAKE(name, what) \
	FIXTURE_VARIANT_ADD(mistake, name) { .mistake = what }

MISTAKE(used_len_off_by_one, WRONG_LEN);
MISTAKE(byte_before_buffer, BYTE_BEFORE);
MISTAKE(byte_after_buffer, BYTE_AFTER);
MISTAKE(readable_byte, READABLE_BYTE);
MISTAKE(descriptor, DESCRIPTOR);
MISTAKE(avail_ring, AVAIL_RING);
MISTAKE(indirect_table, INDIRECT_TABLE);
MISTAKE(used_twice, USED_TWICE);
MISTAKE(foreign_head, FOREIGN_HEAD);
MISTAKE(unpublished_used_slot, UNPUBLISHED_SLOT);
MISTAKE(free_memory, FREE_MEMORY);
MISTAKE(early_status, EARLY_STATUS);
MISTAKE(used_flags, USED_FLAGS);
MISTAKE(never_used, NEVER_USED);

FIXTURE_SETUP(mistake)
{
	self->d = device_start(variant->mistake);
}

FIXTURE_TEARDOWN(mistake)
{
	device_stop(self->d);
}

TEST_F(mistake, is_found)
{
	struct guest *g = self->d->g;
	struct greq *r = req_new(g->vq, VIRTIO_BLK_T_IN, 3);
	int bad = 0;

	r->indirect = true;
	ASSERT_EQ(0, req_frame(r, "16 / 500 13"));
	ASSERT_EQ(0, req_submit(r));
	if (req_wait(r, 500))
		bad += req_check(r, VIRTIO_BLK_S_OK);
	else
		bad++;
	/* A second entry may come a little later. */
	if (variant->mistake == USED_TWICE)
		bad += vq_wait_used(g->vq, 2, 500);
	bad += guest_check(g);
	EXPECT_GT(bad, 0);
}

TEST(wrong_data_is_found)
{
	struct device *d = device_start(WRONG_DATA);
	uint8_t data[1024];

	pattern_fill(data, sizeof(data), 4, 1);
	ASSERT_EQ(0, guest_io_out(d->g->vq, 4, data, sizeof(data), NULL));
	ASSERT_EQ(0, guest_io_in(d->g->vq, 4, data, sizeof(data), NULL));
	EXPECT_EQ(1023, pattern_check(data, sizeof(data), 4, 1));
	device_stop(d);
}

TEST(error_that_transferred_data_is_found)
{
	struct device *d = device_start(ERROR_WITH_DATA);

	EXPECT_EQ(-EPROTO, guest_io_in(d->g->vq, 1 << 20, NULL, 512, NULL));
	device_stop(d);
}

TEST(status_of_malformed_chain_is_found)
{
	struct device *d = device_start(STATUS_ON_MALFORMED);
	struct greq *r = req_new(d->g->vq, VIRTIO_BLK_T_IN, 0);

	ASSERT_EQ(0, req_frame(r, "16 / 512 1"));
	ASSERT_EQ(0, req_make(r));
	vq_desc(r->vq, r->desc[2], r->piece[2].gpa, 1,
		VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 64);
	req_queue(r);
	vq_publish_kick(r->vq);
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	EXPECT_GT(req_check_malformed(r), 0);
	device_stop(d);
}

TEST(correct_device_is_not_accused)
{
	static const char * const layouts[] = {
		NULL, "512x2", "1 1023", "256x4", "2x512", "448@3648 64@0 512",
		"100^30 924^600", "1000^10#1 24", "512@512#6 512#0", "0 1024 0",
	};
	struct device *d = device_start(NONE);
	struct greq *r, *batch[8];
	uint8_t data[1024];
	unsigned int i, n;

	for (i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		pattern_fill(data, sizeof(data), i, i);
		ASSERT_EQ(0, guest_io_out(d->g->vq, i * 2, data, sizeof(data),
					  layouts[i]));
		memset(data, 0, sizeof(data));
		ASSERT_EQ(0, guest_io_in(d->g->vq, i * 2, data, sizeof(data),
					 layouts[i]));
		EXPECT_EQ(-1, pattern_check(data, sizeof(data), i, i));
		EXPECT_EQ(0, guest_check(d->g));
	}
	EXPECT_EQ(VIRTIO_BLK_S_IOERR, guest_io_in(d->g->vq, 1 << 20, NULL, 512,
						  "256x2"));
	EXPECT_EQ(VIRTIO_BLK_S_UNSUPP, guest_io(d->g->vq, 77, 0, NULL, 20, NULL));

	/* Rings that wrap, several in flight, direct and indirect mixed. */
	for (i = 0; i < 200; i++) {
		r = req_new(d->g->vq, VIRTIO_BLK_T_IN, i);
		ASSERT_EQ(0, req_frame(r, "8 8 / 100 412 1"));
		r->indirect = i & 1;
		r->direct = i % 3;
		r->table_straddles = i % 16 == 1;
		ASSERT_EQ(0, req_submit(r));
		batch[i % 8] = r;
		if (i % 8 != 7)
			continue;
		ASSERT_TRUE(vq_wait_idle(d->g->vq, G_WAIT_MS));
		for (n = 0; n < 8; n++) {
			EXPECT_EQ(0, req_check(batch[n], VIRTIO_BLK_S_OK));
			req_free(batch[n]);
		}
	}
	EXPECT_EQ(0, guest_check(d->g));
	device_stop(d);
}

TEST(memory_is_given_back)
{
	static const struct guest_opts opts = { .no_device = true };
	struct guest *g = guest_new(&opts);
	unsigned int i, n;
	struct greq *r;

	for (i = 0; i < 50; i++) {
		r = req_new(g->vq, VIRTIO_BLK_T_IN, 0);
		ASSERT_EQ(0, req_frame(r, "16 / 1747x600 1@4095 65536^300"));
		req_free(r);
	}
	EXPECT_EQ(0, guest_check(g));
	for (n = 0; n < G_REGIONS; n++) {
		struct gregion *reg = &g->region[n];

		/* Only the rings are still there. */
		for (i = 0; i < reg->size / G_MARGIN; i++)
			if (reg->busy[i])
				break;
		EXPECT_EQ(n == G_LOW || n == G_BULK || n == G_HIGH,
			  i < reg->size / G_MARGIN);
	}
	guest_delete(g);
}

TEST(placement_is_as_asked)
{
	static const struct guest_opts opts = { .no_device = true };
	struct guest *g = guest_new(&opts);
	struct greq *r = req_new(g->vq, VIRTIO_BLK_T_IN, 0);

	ASSERT_EQ(0, req_frame(r, "16 / 448@3648 64@0 100^7 8=0xffff000000000000 512#6"));
	ASSERT_EQ(6, r->n);
	EXPECT_EQ(3648, r->piece[1].gpa % 4096);
	EXPECT_EQ(0, r->piece[2].gpa % 4096);
	EXPECT_EQ(0xfff9, r->piece[3].gpa & 0xffff);
	EXPECT_FALSE(r->piece[4].mapped);
	EXPECT_EQ(0xffff000000000000, r->piece[4].gpa);
	EXPECT_TRUE(r->piece[5].gpa >= 0x100010000);
	EXPECT_EQ(1, r->n_out);
	EXPECT_EQ(448 + 64 + 100 + 8 + 512, r->in_len);
	/* Neighbours in guest memory, not in ours. */
	EXPECT_NE(guest_hva(g, 0x7ffff) + 1, guest_hva(g, 0x80000));
	EXPECT_TRUE(guest_hva(g, 0));
	EXPECT_FALSE(guest_hva(g, 0xb0000));
	guest_delete(g);
}

/* What a test leaves goes with its process. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

TEST_HARNESS_MAIN
