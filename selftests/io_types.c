// SPDX-License-Identifier: GPL-2.0-only
/* Request types other than reads and writes, and ill-formed ones. */
#define _GNU_SOURCE
#include "attached.h"

#ifndef VIRTIO_BLK_T_SECURE_ERASE
#define VIRTIO_BLK_T_SECURE_ERASE 14
#endif

FIXTURE(disk) {
	struct attached a;
	struct gvq *vq;
};

FIXTURE_SETUP(disk)
{
	attach(&self->a, NULL);
	self->vq = self->a.vq;
}

FIXTURE_TEARDOWN(disk)
{
	detach_checked(&self->a);
}

/* A request of @frame: its status, checked for rules U and C. */
static struct greq *request(struct gvq *vq, uint32_t type, uint64_t sector,
			    const char *frame)
{
	struct greq *r = req_new(vq, type, sector);

	ASSERT_EQ(0, req_frame(r, frame));
	ASSERT_EQ(0, req_submit(r));
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	return r;
}

static void expect_status(struct gvq *vq, uint32_t type, uint64_t sector,
			  const char *frame, uint8_t status)
{
	struct greq *r = request(vq, type, sector, frame);
	int bad = req_check(r, status);

	if (status != VIRTIO_BLK_S_OK)
		bad += req_check_untouched(r);
	if (bad)
		ksft_log("type %#x, sector %llu, \"%s\"", type,
			 (unsigned long long)sector, frame);
	EXPECT_EQ(0, bad);
	req_free(r);
}

#define FIRST	0	/* the part of the disk that is watched, in sectors */
#define WATCHED	(64 << 10)

static void watch(struct attached *a)
{
	ASSERT_EQ(0, disk_put_pattern(&a->d, FIRST, WATCHED, 11));
}

static void expect_unchanged(struct attached *a)
{
	EXPECT_TRUE(disk_has_pattern(&a->d, FIRST, WATCHED, 11));
}

TEST_F(disk, flush)
{
	expect_status(self->vq, VIRTIO_BLK_T_FLUSH, 0, "16 / 1", VIRTIO_BLK_S_OK);
	/* what a driver should not send, a device takes */
	expect_status(self->vq, VIRTIO_BLK_T_FLUSH, 2048, "16 / 1",
		      VIRTIO_BLK_S_OK);
	expect_status(self->vq, VIRTIO_BLK_T_FLUSH, ~0ULL, "16 / 1",
		      VIRTIO_BLK_S_OK);
	expect_status(self->vq, VIRTIO_BLK_T_FLUSH, 0, "16 512 / 1",
		      VIRTIO_BLK_S_OK);
	expect_status(self->vq, VIRTIO_BLK_T_FLUSH, 0, "16 / 512 1",
		      VIRTIO_BLK_S_OK);
}

TEST_F(disk, flush_among_writes)
{
	const uint32_t lbs = self->a.d.lbs;
	struct greq *r[48];
	char *data = malloc(lbs), frame[40];
	unsigned int i;

	ASSERT_TRUE(data);
	snprintf(frame, sizeof(frame), "16 %u / 1", lbs);
	for (i = 0; i < ARRAY_SIZE(r); i++) {
		bool flush = i % 3 == 2;

		r[i] = req_new(self->vq, flush ? VIRTIO_BLK_T_FLUSH :
			       VIRTIO_BLK_T_OUT, flush ? 0 : i * (lbs / 512));
		ASSERT_EQ(0, req_frame(r[i], flush ? "16 / 1" : frame));
		pattern_fill(data, lbs, i * (lbs / 512), 21);
		if (!flush)
			req_put_data(r[i], data, lbs);
		ASSERT_EQ(0, req_submit(r[i]));
	}
	ASSERT_TRUE(vq_wait_idle(self->vq, G_WAIT_MS));
	for (i = 0; i < ARRAY_SIZE(r); i++) {
		EXPECT_EQ(0, req_check(r[i], VIRTIO_BLK_S_OK));
		if (i % 3 == 2)
			continue;
		EXPECT_TRUE(disk_has_pattern(&self->a.d, i * (lbs / 512), lbs,
					     21));
	}
}

/* Types that are not there: nothing happens to the disk or the data. */
TEST_F(disk, unsupported_types)
{
	static const uint32_t types[] = {
		2, 3,			/* SCSI commands */
		5,			/* the flush of old, on its way out */
		6, 7, 9, 10, 12,
		VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
		VIRTIO_BLK_T_SECURE_ERASE,
		15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
		100, 0x100, 0x10000, 0x7fffffff,
		0x80000000, 0x80000001, 0x80000004, 0xffffffff,
	};
	unsigned int i;

	watch(&self->a);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		expect_status(self->vq, types[i], 0, "16 / 1",
			      VIRTIO_BLK_S_UNSUPP);
		expect_status(self->vq, types[i], 0, "16 4096 / 1",
			      VIRTIO_BLK_S_UNSUPP);
		expect_status(self->vq, types[i], 0, "16 / 4096 1",
			      VIRTIO_BLK_S_UNSUPP);
		expect_status(self->vq, types[i], 0, "16 16 / 1",
			      VIRTIO_BLK_S_UNSUPP);
	}
	expect_unchanged(&self->a);
}

static void set_serial(struct guest *g, const char *bytes, size_t len)
{
	char serial[VHOST_BLK_SERIAL_LEN] = { 0 };

	memcpy(serial, bytes, len);
	ASSERT_EQ(0, ioctl(g->fd, VHOST_BLK_SET_SERIAL, serial));
}

static void expect_serial(struct gvq *vq, const char *want, const char *frame)
{
	struct greq *r = request(vq, VIRTIO_BLK_T_GET_ID, 0, frame);
	char serial[VHOST_BLK_SERIAL_LEN + 1] = { 0 };
	char all[VHOST_BLK_SERIAL_LEN + 1] = { 0 };

	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	EXPECT_EQ(VHOST_BLK_SERIAL_LEN + 1, r->used_len);
	req_get_data(r, serial, VHOST_BLK_SERIAL_LEN);
	snprintf(all, sizeof(all), "%s", want);
	EXPECT_STREQ(want, serial);
	/* padded with NUL to its end, not with what was there before */
	memset(all + strlen(want), 0, sizeof(all) - strlen(want));
	EXPECT_EQ(0, memcmp(all, serial, VHOST_BLK_SERIAL_LEN));
	req_free(r);
}

TEST_F(disk, serial_of_any_length)
{
	static const char * const serials[] = {
		"abc", "0123456789abcdef012", "0123456789abcdef0123", "", "x",
	};
	unsigned int i;

	expect_serial(self->vq, "", "16 / 20 1");
	for (i = 0; i < ARRAY_SIZE(serials); i++) {
		set_serial(self->a.g, serials[i], strlen(serials[i]));
		expect_serial(self->vq, serials[i], "16 / 20 1");
		expect_serial(self->vq, serials[i], "16 / 21");
		expect_serial(self->vq, serials[i], "16 / 1 18@4095 1 1");
		expect_serial(self->vq, serials[i], "16 / 20^7 1");
	}
	/* what follows the first NUL is nobody's business */
	set_serial(self->a.g, "abc\0def\0\0\0\0\0\0\0\0\0\0\0\0z", 20);
	expect_serial(self->vq, "abc", "16 / 20 1");
}

TEST_F(disk, serial_into_a_buffer_of_another_size)
{
	static const char * const frames[] = {
		"16 / 1", "16 / 1 1", "16 / 10 1", "16 / 19 1", "16 / 21 1",
		"16 / 512 1", "16 / 4096 1", "16 20 / 1",
	};
	unsigned int i;

	set_serial(self->a.g, "0123456789abcdef0123", 20);
	for (i = 0; i < ARRAY_SIZE(frames); i++)
		expect_status(self->vq, VIRTIO_BLK_T_GET_ID, 0, frames[i],
			      VIRTIO_BLK_S_IOERR);
}

TEST_F(disk, reads_and_writes_without_data)
{
	struct disk_stat before, after;

	watch(&self->a);
	ASSERT_EQ(0, disk_stat(&self->a.d, &before));
	expect_status(self->vq, VIRTIO_BLK_T_IN, 0, "16 / 1", VIRTIO_BLK_S_IOERR);
	expect_status(self->vq, VIRTIO_BLK_T_OUT, 0, "16 / 1", VIRTIO_BLK_S_IOERR);
	/* data, but of the other direction */
	expect_status(self->vq, VIRTIO_BLK_T_IN, 0, "16 4096 / 1",
		      VIRTIO_BLK_S_IOERR);
	expect_status(self->vq, VIRTIO_BLK_T_OUT, 0, "16 / 4096 1",
		      VIRTIO_BLK_S_IOERR);
	ASSERT_EQ(0, disk_stat(&self->a.d, &after));
	EXPECT_EQ(before.reads, after.reads);
	EXPECT_EQ(before.writes, after.writes);
	expect_unchanged(&self->a);
}

TEST_F(disk, lengths_that_are_no_sectors)
{
	static const char * const lengths[] = {
		"1", "100", "511", "513", "1023", "4095", "4097", "4096 1", "8191",
	};
	char frame[64];
	unsigned int i;

	watch(&self->a);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		snprintf(frame, sizeof(frame), "16 / %s 1", lengths[i]);
		expect_status(self->vq, VIRTIO_BLK_T_IN, 0, frame,
			      VIRTIO_BLK_S_IOERR);
		snprintf(frame, sizeof(frame), "16 %s / 1", lengths[i]);
		expect_status(self->vq, VIRTIO_BLK_T_OUT, 0, frame,
			      VIRTIO_BLK_S_IOERR);
	}
	expect_unchanged(&self->a);
}

TEST_F(disk, ioprio_is_ignored)
{
	struct greq *r = req_new(self->vq, VIRTIO_BLK_T_IN, 0);
	char *data = malloc(WATCHED);

	ASSERT_TRUE(data);
	watch(&self->a);
	r->hdr.ioprio = 0xffffffff;
	ASSERT_EQ(0, req_frame(r, "16 / 4096 1"));
	ASSERT_EQ(0, req_submit(r));
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	req_get_data(r, data, 4096);
	EXPECT_EQ(-1, pattern_check(data, 4096, 0, 11));

	r = req_new(self->vq, VIRTIO_BLK_T_OUT, 8);
	r->hdr.ioprio = 0xffffffff;
	ASSERT_EQ(0, req_frame(r, "16 4096 / 1"));
	pattern_fill(data, 4096, 8, 11);
	req_put_data(r, data, 4096);
	ASSERT_EQ(0, req_submit(r));
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	expect_unchanged(&self->a);
}

/* Without F_FLUSH there is no flush, and every write is stable by itself. */
TEST(writes_without_flush_negotiated)
{
	static const struct guest_opts opts = {
		.features = G_FEATURES & ~(1ULL << VIRTIO_BLK_F_FLUSH),
	};
	struct attached a = { 0 };
	char data[4096];

	attach(&a, &opts);
	pattern_fill(data, sizeof(data), 64, 12);
	EXPECT_EQ(VIRTIO_BLK_S_OK, guest_io_out(a.vq, 64, data, sizeof(data),
						NULL));
	EXPECT_EQ(VIRTIO_BLK_S_OK, guest_io_out(a.vq, 64, data, sizeof(data),
						"448@3648 64@0 3584"));
	EXPECT_TRUE(disk_has_pattern(&a.d, 64, sizeof(data), 12));
	detach_checked(&a);
}

TEST_HARNESS_MAIN
