/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Plays the guest on /dev/vhost-blk: owns the memory, the rings and the
 * requests, and sees every byte the device touches.
 *
 * Memory. Guest-physical addresses differ from host-virtual ones everywhere:
 *
 *	G_LOW	0x0		512 KiB		a region at address 0
 *	G_ADJ1	0x80000		64 KiB		these three follow it without a
 *	G_ADJ2	0x90000		64 KiB		gap, each somewhere else in the
 *	G_ADJ3	0xa0000		64 KiB		process
 *	(hole)	0xb0000		4 KiB
 *	G_ISLE	0xb1000		60 KiB
 *	G_BULK	0x1000000	opts.bulk	most of the data
 *	G_HIGH	0x100010000	1 MiB		above 4 GiB, a memfd
 *
 * Every mapping has an inaccessible page before and after it. At least G_MARGIN
 * bytes on both sides of whatever is handed out hold G_CANARY, and so does the
 * rest of its pages; pages of which nothing was ever handed out do not exist.
 *
 * Rules. Three things are checked about every request and every ring (names as
 * in the test catalogue):
 *
 *	U  used.len is exact
 *	C  nothing outside the writable descriptors changes: no canary, no
 *	   readable buffer, descriptor table, available ring or indirect table
 *	X  each request made available is used exactly once
 *
 * The functions that check return the number of violations and print
 * "# rule ..." for each.
 *
 * A frame says how a request is cut into descriptors, in a string:
 *
 *	"16 / 448@3648 64@0 1"
 *
 * is a 16-byte readable descriptor and three writable ones; the first starts at
 * offset 3648 of a page, the second at the start of one. What is written
 * before the slash is device-readable (header, then data of a write), what
 * follows it device-writable (data of a read, then the status byte). A token is
 *
 *	LENGTH ['x' COUNT] ['@' PAGE_OFFSET | '^' BYTES | '=' ADDRESS] ['#' REGION]
 *
 * where '^' places the buffer BYTES before the end of one of the regions that
 * another one follows (a different pair each time), and '=' takes the
 * address as it is: nothing is allocated, it may be anything. LENGTH may be 0.
 * Numbers are as in C (so 0x20 is 32, not twenty times nothing). Without a place, lengths that are multiples of 512
 * are 512-aligned and others anywhere.
 */
#ifndef GUEST_H
#define GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/vhost.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include <linux/vhost_blk.h>

#define G_CANARY	0xa5	/* memory nobody owns */
#define G_POISON	0x5a	/* writable data before the device wrote it */
#define G_NO_STATUS	0xff	/* the last writable byte before that */
#define G_MARGIN	64

#define G_SECTOR	512u
#define G_PAGE		4096u

enum {
	G_LOW, G_ADJ1, G_ADJ2, G_ADJ3, G_ISLE, G_BULK, G_HIGH, G_REGIONS
};

/* All that the tests ask for unless they say otherwise. */
#define G_FEATURES	(1ULL << VIRTIO_F_VERSION_1 | \
			 1ULL << VIRTIO_RING_F_INDIRECT_DESC | \
			 1ULL << VIRTIO_RING_F_EVENT_IDX | \
			 1ULL << VIRTIO_BLK_F_FLUSH | \
			 1ULL << VIRTIO_BLK_F_BLK_SIZE | \
			 1ULL << VIRTIO_BLK_F_SEG_MAX)
#define G_EVENT_IDX	(1ULL << VIRTIO_RING_F_EVENT_IDX)
#define G_INDIRECT	(1ULL << VIRTIO_RING_F_INDIRECT_DESC)

struct gregion {
	uint64_t gpa;
	size_t size;
	uint8_t *hva;
	uint8_t *busy;		/* users, for each G_MARGIN bytes */
	uint8_t *touched;	/* filled with canaries, for each page */
	size_t rover;		/* where the next search starts */
};

struct guest;
struct greq;

struct gvq {
	struct guest *g;
	unsigned int index;
	unsigned int num;
	uint64_t desc_gpa, avail_gpa, used_gpa;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	void *desc_is, *avail_is, *used_is;	/* what they must look like */
	uint16_t avail_idx;	/* what was pushed, published or not */
	uint16_t last_used;	/* what was reaped */
	uint16_t published;
	uint8_t *desc_busy;
	unsigned int desc_rover;
	struct greq **inflight;	/* by head */
	unsigned int n_inflight;
	int kick, call, err;	/* eventfds */
	uint64_t completed;
};

/* Which region each ring goes to; all in one page of .desc if .one_page. */
struct gplace {
	int desc, avail, used;
	bool one_page;
};

struct guest_opts {
	uint64_t features;	/* 0: G_FEATURES */
	unsigned int nvqs;	/* 0: 1 */
	unsigned int num;	/* 0: 256 */
	size_t bulk;		/* 0: 3 MiB */
	uint16_t base;		/* where the rings start */
	const struct gplace *place;
	bool huge;		/* G_BULK in huge pages */
	bool no_device;		/* rings and memory only: no /dev/vhost-blk */
};

struct guest {
	int fd;			/* /dev/vhost-blk, -1 if not opened */
	uint64_t features;
	struct gregion region[G_REGIONS];
	struct gvq *vq;
	unsigned int nvqs;
	unsigned int straddle;	/* boundaries given out, for '^' */
	uint64_t random;
	bool quiet;		/* do not print violations */
	bool forgot;		/* the device has forgotten the addresses */
};

/* Memory */

/* The memory of guest address @gpa, NULL if there is none. */
uint8_t *guest_hva(struct guest *g, uint64_t gpa);
bool guest_is_memory(struct guest *g, uint64_t gpa, size_t len);
/* 0, or -1 where part of the range is not memory; what is, is done. */
int guest_write(struct guest *g, uint64_t gpa, const void *src, size_t len);
int guest_read(struct guest *g, uint64_t gpa, void *dst, size_t len);
int guest_fill(struct guest *g, uint64_t gpa, uint8_t byte, size_t len);
/* @offset: of the page, -1 for any. Returns 0 with *gpa set or -1. */
int guest_alloc(struct guest *g, int region, size_t len, int offset,
		size_t align, uint64_t *gpa);
void guest_free_range(struct guest *g, uint64_t gpa, size_t len);
/* Of any region, for a buffer of @len bytes, at a random place for its size. */
int guest_alloc_any(struct guest *g, size_t len, int offset, uint64_t *gpa);
/* @before bytes before the border between two regions. */
int guest_alloc_straddling(struct guest *g, size_t len, size_t before,
			   uint64_t *gpa);
/* Memory at an address of the test's choice is (no longer) somebody's. */
void guest_claim(struct guest *g, uint64_t gpa, size_t len);
void guest_unclaim(struct guest *g, uint64_t gpa, size_t len);
/* All memory that nobody owns, all rings: rule C. */
int guest_check(struct guest *g);
uint64_t guest_random(struct guest *g);
/* Counts (and prints) a violation of a rule: returns 1. */
int guest_violation(struct guest *g, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Margins of G_MARGIN bytes around a range that was allocated: 0 or 1. */
int guest_check_margins(struct guest *g, const char *what, uint64_t gpa,
			size_t len);

/* Set-up: 0 or -1 with errno, as the ioctls */

struct guest *guest_new(const struct guest_opts *opts);
void guest_delete(struct guest *g);
int guest_open(struct guest *g);
int guest_set_owner(struct guest *g);
int guest_set_features(struct guest *g, uint64_t features);
int guest_set_mem(struct guest *g);
int vq_set_num(struct gvq *vq, uint32_t num);
int vq_set_base(struct gvq *vq, uint32_t base);
int vq_get_base(struct gvq *vq);	/* the base or -1 */
int vq_set_addr(struct gvq *vq);
void vq_addr(struct gvq *vq, struct vhost_vring_addr *addr);
int vq_set_fd(struct gvq *vq, unsigned long request, int fd);
int vq_set_fds(struct gvq *vq);
int guest_set_backend(struct guest *g, int fd);

/* The steps of the usual sequence, up to but without the backend. */
unsigned int guest_steps(void);
const char *guest_step_name(unsigned int step);
int guest_step(struct guest *g, unsigned int step);
/* guest_new(), all steps, attach @fd: NULL with errno if any fails. */
struct guest *guest_start(const struct guest_opts *opts, int fd);
/* Empties the rings (at @base), as a driver does when it starts again. */
void vq_reset(struct gvq *vq, uint16_t base);

/* Rings */

void vq_desc(struct gvq *vq, unsigned int i, uint64_t addr, uint32_t len,
	     uint16_t flags, uint16_t next);
int vq_desc_get(struct gvq *vq);	/* a free descriptor's index or -1 */
void vq_desc_put(struct gvq *vq, unsigned int i);
void vq_push(struct gvq *vq, uint16_t head);	/* into the ring, index kept */
void vq_publish(struct gvq *vq);		/* index := all that was pushed */
void vq_set_avail_idx(struct gvq *vq, uint16_t idx);
void vq_set_avail_flags(struct gvq *vq, uint16_t flags);
void vq_set_used_event(struct gvq *vq, uint16_t event);
uint16_t vq_used_idx(const struct gvq *vq);
uint16_t vq_avail_event(const struct gvq *vq);
uint16_t vq_used_flags(const struct gvq *vq);
bool vq_wants_kick(struct gvq *vq, uint16_t old);
void vq_kick(struct gvq *vq);
void vq_publish_kick(struct gvq *vq);	/* kicks only if the device wants it */
/* Takes new used entries: their number, or -1 after a violation of rule X. */
int vq_reap(struct gvq *vq);
/* Waits until @idx is in the used index: false if not within @ms. */
bool vq_wait_used(struct gvq *vq, uint16_t idx, int ms);
/* Waits until nothing is in flight. */
bool vq_wait_idle(struct gvq *vq, int ms);
/* Waits until the device has left notifications switched on. */
bool vq_wait_armed(struct gvq *vq, int ms);
int vq_check(struct gvq *vq);
/* Value of an eventfd, waiting up to @ms for one; 0 if none came. */
uint64_t event_wait(int fd, int ms);

/* Requests */

struct gpiece {
	uint64_t gpa;
	uint32_t len;
	bool writable;
	bool mapped;		/* all of it is memory */
	bool owned;		/* to be given back */
	uint8_t *was;		/* what it held when made available */
};

struct greq {
	struct gvq *vq;
	struct virtio_blk_outhdr hdr;
	struct gpiece *piece;
	unsigned int n, n_out;	/* pieces, of them readable */
	size_t out_len, in_len;
	/* Before req_make(): direct descriptors first, a table for the rest. */
	bool indirect;
	unsigned int direct;	/* how many before the table */
	uint16_t table_flags;	/* added to the INDIRECT descriptor's flags */
	int table_offset;	/* page offset of the table, -1 any */
	int table_region;
	bool table_straddles;	/* table across two regions */
	/* After it */
	uint64_t table;
	unsigned int table_n;
	struct vring_desc *table_is;
	uint16_t head;
	uint16_t *desc;		/* descriptors used, in order */
	unsigned int ndesc;
	/* After completion */
	bool done;
	uint32_t used_len;
	uint8_t status;
	void *cookie;
};

struct greq *req_new(struct gvq *vq, uint32_t type, uint64_t sector);
/* Cuts it as @frame says; writes the header, poisons the rest. 0 or -1. */
int req_frame(struct greq *r, const char *frame);
/* The readable bytes that follow the header; the writable bytes. */
void req_put_data(struct greq *r, const void *data, size_t len);
void req_get_data(struct greq *r, void *data, size_t len);
/* @off within all readable (writable) bytes */
void req_out_write(struct greq *r, size_t off, const void *src, size_t len);
void req_in_read(struct greq *r, size_t off, void *dst, size_t len);
int req_make(struct greq *r);	/* fills descriptors; 0 or -1: no room */
void req_queue(struct greq *r);	/* made available, not published */
int req_submit(struct greq *r);	/* make, queue, publish, kick if wanted */
/* A chain of hand-written descriptors at @head: made available, not published. */
struct greq *req_raw(struct gvq *vq, uint16_t head);
bool req_wait(struct greq *r, int ms);
/* Rules U and C; the status must be @status. */
int req_check(struct greq *r, uint8_t status);
/* A used entry of length 0, nothing written anywhere: rule M1. */
int req_check_malformed(struct greq *r);
/* A request that was refused has not transferred anything. */
int req_check_untouched(struct greq *r);
void req_free(struct greq *r);
size_t frame_total(const char *tokens);	/* bytes of a list of tokens */

/*
 * Submit, wait, check, copy, free. @layout: tokens of the data only, NULL for
 * one piece. Returns the status byte, -ETIMEDOUT, or -EPROTO after a violation.
 */
int guest_io(struct gvq *vq, uint32_t type, uint64_t sector, void *data,
	     size_t len, const char *layout);
int guest_io_in(struct gvq *vq, uint64_t sector, void *data, size_t len,
		const char *layout);
int guest_io_out(struct gvq *vq, uint64_t sector, const void *data, size_t len,
		 const char *layout);
int guest_flush(struct gvq *vq);

/* Disks, as the host sees them: always O_DIRECT. Sectors of 512 bytes. */

struct disk {
	char path[256];
	int fd;			/* what is given to SET_BACKEND */
	int host;		/* O_DIRECT, for looking behind the guest's back */
	uint64_t sectors;
	unsigned int lbs;	/* logical block, bytes */
	bool has_stat;
	char stat[256];		/* its stat file in sysfs */
};

int disk_open(struct disk *d, const char *path, int flags);
void disk_close(struct disk *d);
int disk_read(struct disk *d, uint64_t sector, void *buf, size_t len);
int disk_write(struct disk *d, uint64_t sector, const void *buf, size_t len);
/* I/Os and sectors, read and written, since boot. */
struct disk_stat {
	uint64_t reads, read_sectors, writes, written_sectors;
};
int disk_stat(struct disk *d, struct disk_stat *st);

/* Bytes that depend on where they belong and on @seed. */
void pattern_fill(void *buf, size_t len, uint64_t sector, uint64_t seed);
/* Offset of the first byte that is wrong, -1 if none is. */
ssize_t pattern_check(const void *buf, size_t len, uint64_t sector,
		      uint64_t seed);
/* The same behind the guest's back: 0 or -1; true, or false with a line. */
int disk_put_pattern(struct disk *d, uint64_t sector, size_t len, uint64_t seed);
bool disk_has_pattern(struct disk *d, uint64_t sector, size_t len, uint64_t seed);

/* What the device may have left behind (rule L) */

struct leaks {
	long long pins;		/* pages pinned, system wide */
	int threads;		/* workers of the module */
	int users;		/* of the module */
};

void leaks_now(struct leaks *l);
/* Waits up to @ms for all to be as at @before; prints what is not. */
bool leaks_wait(const struct leaks *before, int ms);
/* Processor time used so far by all workers, in microseconds. */
uint64_t worker_cpu_us(void);
bool disk_is_free(const char *path, int ms);	/* nobody holds it: O_EXCL opens */

/* Milliseconds since some point; @ms times KSFT_TIME_SCALE. */
int64_t now_ms(void);
int scaled_ms(int ms);

#define G_WAIT_MS	10000	/* what takes longer is lost */

#endif /* GUEST_H */
