// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors that point where there is no memory, or not all of it, or not for
 * this use. A request whose status can be written gets an error and transfers
 * nothing that it should not.
 */
#define _GNU_SOURCE
#include "attached.h"

#define SECTOR	64
#define WATCHED	8192		/* bytes from there that nothing may change */

FIXTURE(disk) {
	struct attached a;
	struct gvq *vq;
	struct leaks before;
};

FIXTURE_SETUP(disk)
{
	attach(&self->a, NULL);
	self->vq = self->a.vq;
	ASSERT_EQ(0, disk_put_pattern(&self->a.d, SECTOR, WATCHED, 91));
	leaks_now(&self->before);
}

FIXTURE_TEARDOWN(disk)
{
	EXPECT_EQ(0, still_serves(&self->a, self->vq));
	EXPECT_TRUE(disk_has_pattern(&self->a.d, SECTOR, WATCHED, 91));
	/* whatever failed, no page stays pinned for it */
	EXPECT_TRUE(leaks_wait(&self->before, 1000));
	detach_checked(&self->a);
}

static struct greq *run(struct gvq *vq, uint32_t type, const char *frame)
{
	struct greq *r = req_new(vq, type, SECTOR);

	ASSERT_EQ(0, req_frame(r, frame));
	ASSERT_EQ(0, req_submit(r));
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	return r;
}

static void expect_error(struct gvq *vq, uint32_t type, const char *frame)
{
	struct greq *r = run(vq, type, frame);
	int bad = req_check(r, VIRTIO_BLK_S_IOERR);

	bad += req_check_untouched(r);
	if (bad)
		ksft_log("\"%s\"", frame);
	EXPECT_EQ(0, bad);
	req_free(r);
}

/* Both directions, data of the given tokens. */
static void expect_error_both(struct gvq *vq, const char *data)
{
	char frame[200];

	snprintf(frame, sizeof(frame), "16 / %s 1", data);
	expect_error(vq, VIRTIO_BLK_T_IN, frame);
	snprintf(frame, sizeof(frame), "16 %s / 1", data);
	expect_error(vq, VIRTIO_BLK_T_OUT, frame);
}

TEST_F(disk, data_outside_memory)
{
	expect_error_both(self->vq, "4096=0xb0000");
	expect_error_both(self->vq, "4096=0x10000000000");
	expect_error_both(self->vq, "4096=0x8000000000000000");
	expect_error_both(self->vq, "4096=0xffff888000000000");
	expect_error_both(self->vq, "2048 2048=0xb0000");
	expect_error_both(self->vq, "2048=0xb0000 2048");
}

TEST_F(disk, data_partly_outside_memory)
{
	expect_error_both(self->vq, "4096=0xaf800");	/* into the hole */
	expect_error_both(self->vq, "4096=0xaf001");	/* by one byte */
	expect_error_both(self->vq, "4096=0xb0800");	/* out of the hole */
	expect_error_both(self->vq, "4096=0xb0fff");
	expect_error_both(self->vq, "8192=0xbf000");	/* past the last */
}

/* One descriptor over memory, hole and memory. */
TEST_F(disk, data_across_a_hole)
{
	expect_error_both(self->vq, "8192=0xaf800");
	expect_error_both(self->vq, "12288=0xaf000");
}

TEST_F(disk, data_up_to_the_last_byte_of_memory)
{
	struct greq *r;
	char data[4096];
	const char *frames[] = {
		"16#5 / 4096=0xaf000 1#5",	/* before the hole */
		"16#5 / 4096=0xb1000 1#5",	/* after it */
		"16#5 / 4096=0xbf000 1#5",	/* the end of the isle */
		"16#5 / 4096=0x10010f000 1#5",	/* the end of all memory */
		"16#5 / 4096=0x7ffff 1#5",	/* last byte, then the next */
		"16#5 / 4096=0x7f001 1#5",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(frames); i++) {
		r = run(self->vq, VIRTIO_BLK_T_IN, frames[i]);
		EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
		req_get_data(r, data, sizeof(data));
		EXPECT_EQ(-1, pattern_check(data, sizeof(data), SECTOR, 91));
		req_free(r);
	}
}

/* Addresses whose end is below their start: nothing at address 0 changes. */
TEST_F(disk, data_that_wraps_around)
{
	expect_error_both(self->vq, "512=0xffffffffffffff00 3584");
	expect_error_both(self->vq, "4096=0xffffffffffffffff");
	expect_error_both(self->vq, "4096=0xfffffffffffff000");
	expect_error_both(self->vq, "4096=0xfffffffffffff001");
	EXPECT_EQ(0, guest_check(self->a.g));
}

static void expect_refused_somehow(struct gvq *vq, uint32_t type,
				   const char *frame)
{
	struct greq *r = run(vq, type, frame);

	/* an error where the status is, or given back unanswered */
	if (r->used_len)
		EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_IOERR));
	else
		EXPECT_EQ(0, req_check_malformed(r));
	EXPECT_EQ(0, req_check_untouched(r));
	req_free(r);
}

TEST_F(disk, enormous_lengths)
{
	struct gvq *vq = self->vq;

	expect_refused_somehow(vq, VIRTIO_BLK_T_IN, "16 / 0xffffffff=0x1000000 1");
	expect_refused_somehow(vq, VIRTIO_BLK_T_IN, "16 / 0xfffffe00=0x1000000 1");
	expect_refused_somehow(vq, VIRTIO_BLK_T_OUT, "16 0xffffffff=0x1000000 / 1");
	expect_refused_somehow(vq, VIRTIO_BLK_T_OUT, "16 0x80000000=0x1000000 / 1");
	expect_refused_somehow(vq, VIRTIO_BLK_T_IN,
			       "16 / 4096 0xffffffff=0x1000000");
	expect_refused_somehow(vq, VIRTIO_BLK_T_FLUSH,
			       "16 / 0xffffffff=0x1000000");
	/* together past 32 bits */
	expect_refused_somehow(vq, VIRTIO_BLK_T_IN,
			       "16 / 0xfffff000x200=0x1000000 1");
}

TEST_F(disk, header_outside_memory)
{
	expect_error(self->vq, VIRTIO_BLK_T_IN, "16=0xb0000 / 4096 1");
	expect_error(self->vq, VIRTIO_BLK_T_OUT, "16=0xaffff 4096 / 1");
	expect_error(self->vq, VIRTIO_BLK_T_OUT, "16=0xfffffffffffffff8 4096 / 1");
	expect_error(self->vq, VIRTIO_BLK_T_IN, "8 8=0xb0000 / 4096 1");
}

TEST_F(disk, enormous_header)
{
	struct virtio_blk_outhdr hdr = {
		.type = VIRTIO_BLK_T_OUT, .sector = SECTOR,
	};
	char frame[64];
	uint64_t gpa;

	ASSERT_EQ(0, guest_alloc(self->a.g, G_BULK, G_PAGE, 0, 1, &gpa));
	guest_write(self->a.g, gpa, &hdr, sizeof(hdr));
	snprintf(frame, sizeof(frame), "0xffffffff=%#llx / 1",
		 (unsigned long long)gpa);
	expect_refused_somehow(self->vq, VIRTIO_BLK_T_OUT, frame);
	guest_free_range(self->a.g, gpa, G_PAGE);
}

/* Nowhere to write it: given back unanswered, and not executed. */
TEST_F(disk, status_outside_memory)
{
	static const char * const frames[] = {
		"16 4096 / 1=0xb0000", "16 4096 / 1=0xffffffffffffffff",
		"16 4096 / 2=0xaffff", "16 4096 / 1 1=0x10000000000",
		"16 4096 / 4096=0xfffffffffffff800",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(frames); i++) {
		struct greq *r = run(self->vq, VIRTIO_BLK_T_OUT, frames[i]);

		EXPECT_EQ(0, req_check_malformed(r));
		req_free(r);
	}
}

/* A page of @region of the guest, the request "frame" that uses it. */
FIXTURE(page) {
	struct attached a;
	struct gvq *vq;
	struct leaks before;
	uint64_t gpa;
	uint8_t *hva;
	char in[64], out[64];
};

FIXTURE_SETUP(page)
{
	attach(&self->a, NULL);
	self->vq = self->a.vq;
	ASSERT_EQ(0, disk_put_pattern(&self->a.d, SECTOR, WATCHED, 91));
	ASSERT_EQ(0, guest_alloc(self->a.g, G_BULK, G_PAGE, 0, 1, &self->gpa));
	self->hva = guest_hva(self->a.g, self->gpa);
	snprintf(self->in, sizeof(self->in), "16 / 4096=%#llx 1",
		 (unsigned long long)self->gpa);
	snprintf(self->out, sizeof(self->out), "16 4096=%#llx / 1",
		 (unsigned long long)self->gpa);
	leaks_now(&self->before);
}

FIXTURE_TEARDOWN(page)
{
	EXPECT_EQ(0, still_serves(&self->a, self->vq));
	EXPECT_TRUE(disk_has_pattern(&self->a.d, SECTOR, WATCHED, 91));
	EXPECT_TRUE(leaks_wait(&self->before, 1000));
	guest_free_range(self->a.g, self->gpa, G_PAGE);
	detach_checked(&self->a);
}

/* Makes the request, changes the page under it, submits, changes it back. */
static struct greq *prepare(struct gvq *vq, uint32_t type, const char *frame)
{
	struct greq *r = req_new(vq, type, SECTOR);

	ASSERT_EQ(0, req_frame(r, frame));
	ASSERT_EQ(0, req_make(r));
	req_queue(r);
	return r;
}

static void submit(struct greq *r)
{
	vq_publish_kick(r->vq);
	/* not reaped yet: that would read a status that may not be there */
	ASSERT_TRUE(vq_wait_used(r->vq, r->vq->published, G_WAIT_MS));
}

static void reap(struct greq *r)
{
	ASSERT_EQ(1, vq_reap(r->vq));
	ASSERT_TRUE(r->done);
}

static void map_again(uint8_t *hva)
{
	ASSERT_EQ((uintptr_t)hva,
		  (uintptr_t)mmap(hva, G_PAGE, PROT_READ | PROT_WRITE,
				  MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	memset(hva, G_POISON, G_PAGE);
}

TEST_F(page, data_page_unmapped)
{
	struct greq *r = prepare(self->vq, VIRTIO_BLK_T_IN, self->in);

	ASSERT_EQ(0, munmap(self->hva, G_PAGE));
	submit(r);
	map_again(self->hva);
	reap(r);
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_IOERR));
	req_free(r);

	r = prepare(self->vq, VIRTIO_BLK_T_OUT, self->out);
	ASSERT_EQ(0, munmap(self->hva, G_PAGE));
	submit(r);
	map_again(self->hva);
	reap(r);
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_IOERR));
	req_free(r);
}

/* In the middle of a request: what was pinned before it is given back. */
TEST_F(page, one_data_page_of_many_unmapped)
{
	char frame[100];
	struct greq *r;
	unsigned int i;

	for (i = 0; i < 10; i++) {
		snprintf(frame, sizeof(frame), i % 2 ?
			 "16 / 4096x20@0 %s=%#llx 1" :
			 "16 / 4096x20@0 2048 %s=%#llx 2048 1", "4096",
			 (unsigned long long)self->gpa);
		r = prepare(self->vq, VIRTIO_BLK_T_IN, frame);
		ASSERT_EQ(0, munmap(self->hva, G_PAGE));
		submit(r);
		map_again(self->hva);
		reap(r);
		EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_IOERR));
		req_free(r);
	}
}

TEST_F(page, read_into_a_read_only_page)
{
	struct greq *r = prepare(self->vq, VIRTIO_BLK_T_IN, self->in);

	ASSERT_EQ(0, mprotect(self->hva, G_PAGE, PROT_READ));
	submit(r);
	reap(r);
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_IOERR));
	EXPECT_EQ(0, req_check_untouched(r));
	ASSERT_EQ(0, mprotect(self->hva, G_PAGE, PROT_READ | PROT_WRITE));
	req_free(r);
}

TEST_F(page, read_through_a_bounce_into_a_read_only_page)
{
	char frame[100];
	struct greq *r;

	snprintf(frame, sizeof(frame), "16 / 1000 2048=%#llx 1048 1",
		 (unsigned long long)self->gpa + 1001);
	r = prepare(self->vq, VIRTIO_BLK_T_IN, frame);
	ASSERT_EQ(0, mprotect(self->hva, G_PAGE, PROT_READ));
	submit(r);
	reap(r);
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_IOERR));
	ASSERT_EQ(0, mprotect(self->hva, G_PAGE, PROT_READ | PROT_WRITE));
	req_free(r);
}

TEST_F(page, read_into_a_private_mapping_of_a_file)
{
	char name[] = "/tmp/vhost-blk-test.XXXXXX", before[G_PAGE], after[G_PAGE];
	int fd = mkstemp(name);
	struct greq *r;

	ASSERT_GE(fd, 0);
	memset(before, G_POISON, sizeof(before));
	ASSERT_EQ(G_PAGE, write(fd, before, sizeof(before)));
	r = prepare(self->vq, VIRTIO_BLK_T_IN, self->in);
	ASSERT_EQ((uintptr_t)self->hva,
		  (uintptr_t)mmap(self->hva, G_PAGE, PROT_READ,
				  MAP_FIXED | MAP_PRIVATE, fd, 0));
	submit(r);
	reap(r);
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_IOERR));
	EXPECT_EQ(0, req_check_untouched(r));
	ASSERT_EQ(G_PAGE, pread(fd, after, sizeof(after), 0));
	EXPECT_EQ(0, memcmp(before, after, sizeof(before)));
	map_again(self->hva);
	req_free(r);
	close(fd);
	unlink(name);
}

/* Guest memory is a file, and somebody cuts it off. */
TEST_F(page, memory_file_truncated)
{
	char name[] = "/dev/shm/vhost-blk-test.XXXXXX";
	int fd = mkstemp(name);
	unsigned int i;

	ASSERT_GE(fd, 0);
	unlink(name);
	for (i = 0; i < 4; i++) {
		bool out = i % 2;
		struct greq *r;

		ASSERT_EQ(0, ftruncate(fd, G_PAGE));
		ASSERT_EQ((uintptr_t)self->hva,
			  (uintptr_t)mmap(self->hva, G_PAGE,
					  PROT_READ | PROT_WRITE,
					  MAP_FIXED | MAP_SHARED, fd, 0));
		r = prepare(self->vq, out ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
			    out ? self->out : self->in);
		ASSERT_EQ(0, ftruncate(fd, 0));
		submit(r);
		map_again(self->hva);
		reap(r);
		EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_IOERR));
		req_free(r);
	}
	close(fd);
}

/* Reading from it is all right: it is the disk that is written. */
TEST_F(page, write_from_a_read_only_page)
{
	struct greq *r = prepare(self->vq, VIRTIO_BLK_T_OUT, self->out);

	pattern_fill(self->hva, G_PAGE, SECTOR, 91);
	memcpy(r->piece[1].was, self->hva, G_PAGE);
	ASSERT_EQ(0, mprotect(self->hva, G_PAGE, PROT_READ));
	submit(r);
	reap(r);
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	ASSERT_EQ(0, mprotect(self->hva, G_PAGE, PROT_READ | PROT_WRITE));
	req_free(r);
}

TEST_F(page, status_page_read_only_or_gone)
{
	char frame[64];
	struct greq *r;
	int i;

	snprintf(frame, sizeof(frame), "16 / 4096 1=%#llx",
		 (unsigned long long)self->gpa + 8);
	for (i = 0; i < 2; i++) {
		r = prepare(self->vq, VIRTIO_BLK_T_IN, frame);
		if (i)
			ASSERT_EQ(0, munmap(self->hva, G_PAGE));
		else
			ASSERT_EQ(0, mprotect(self->hva, G_PAGE, PROT_READ));
		submit(r);
		if (i)
			map_again(self->hva);
		else
			ASSERT_EQ(0, mprotect(self->hva, G_PAGE,
					      PROT_READ | PROT_WRITE));
		reap(r);
		EXPECT_EQ(0, r->used_len);
		req_free(r);
	}
}

/* Two writable descriptors in one place, the status inside the data. */
TEST_F(page, overlapping_buffers)
{
	unsigned long long gpa = self->gpa;
	char frame[200];
	struct greq *r;

	/* the status byte is written last: it wins */
	snprintf(frame, sizeof(frame), "16 / 4096=%#llx 1=%#llx", gpa, gpa + 100);
	r = run(self->vq, VIRTIO_BLK_T_IN, frame);
	EXPECT_EQ(VIRTIO_BLK_S_OK, self->hva[100]);
	EXPECT_EQ(4097, r->used_len);
	req_free(r);

	snprintf(frame, sizeof(frame), "16 / 2048=%#llx 2048=%#llx 1", gpa,
		 gpa + 1024);
	r = run(self->vq, VIRTIO_BLK_T_IN, frame);
	EXPECT_TRUE(r->status == VIRTIO_BLK_S_OK ||
		    r->status == VIRTIO_BLK_S_IOERR);
	req_free(r);

	/* header, data and status in one page, side by side */
	snprintf(frame, sizeof(frame), "16=%#llx / 2048=%#llx 2048 1=%#llx", gpa,
		 gpa + 512, gpa + 16);
	r = run(self->vq, VIRTIO_BLK_T_IN, frame);
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	req_free(r);
}

/* Data read over its own header. */
TEST_F(page, data_over_the_header)
{
	unsigned long long gpa = self->gpa;
	char frame[100];
	struct greq *r;

	snprintf(frame, sizeof(frame), "16=%#llx / 4096=%#llx 1", gpa, gpa);
	r = req_new(self->vq, VIRTIO_BLK_T_IN, SECTOR);
	ASSERT_EQ(0, req_frame(r, frame));
	/* poison of the data went over it */
	req_out_write(r, 0, &r->hdr, sizeof(r->hdr));
	ASSERT_EQ(0, req_submit(r));
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	EXPECT_EQ(VIRTIO_BLK_S_OK, r->status);
	EXPECT_EQ(4097, r->used_len);
	EXPECT_EQ(-1, pattern_check(self->hva, G_PAGE, SECTOR, 91));
	req_free(r);
}

TEST_HARNESS_MAIN
