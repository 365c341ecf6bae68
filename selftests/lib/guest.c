// SPDX-License-Identifier: GPL-2.0-only
/* The guest's memory, and the set-up of the device. */
#define _GNU_SOURCE
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct {
	uint64_t gpa;
	size_t size;
} layout[G_REGIONS] = {
	[G_LOW]  = { 0, 512 << 10 },
	[G_ADJ1] = { 0x80000, 64 << 10 },
	[G_ADJ2] = { 0x90000, 64 << 10 },
	[G_ADJ3] = { 0xa0000, 64 << 10 },
	[G_ISLE] = { 0xb1000, 60 << 10 },
	[G_BULK] = { 0x1000000, 3 << 20 },
	[G_HIGH] = { 0x100010000, 1 << 20 },
};

int guest_violation(struct guest *g, const char *fmt, ...)
{
	va_list ap;

	if (g->quiet)
		return 1;
	va_start(ap, fmt);
	printf("# rule ");
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
	return 1;
}

uint64_t guest_random(struct guest *g)
{
	g->random ^= g->random << 13;
	g->random ^= g->random >> 7;
	g->random ^= g->random << 17;
	return g->random;
}

static struct gregion *guest_region(struct guest *g, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < G_REGIONS; i++)
		if (gpa - g->region[i].gpa < g->region[i].size)
			return &g->region[i];
	return NULL;
}

uint8_t *guest_hva(struct guest *g, uint64_t gpa)
{
	struct gregion *r = guest_region(g, gpa);

	return r ? r->hva + (gpa - r->gpa) : NULL;
}

/* The part of [*gpa, *gpa + *len) that is in one region: moves both past it. */
static uint8_t *guest_next(struct guest *g, uint64_t *gpa, size_t *len,
			   size_t *part)
{
	struct gregion *r = guest_region(g, *gpa);
	uint8_t *hva;
	size_t room;

	if (!r)
		return NULL;
	hva = r->hva + (*gpa - r->gpa);
	room = r->gpa + r->size - *gpa;
	*part = *len < room ? *len : room;
	*gpa += *part;
	*len -= *part;
	return hva;
}

bool guest_is_memory(struct guest *g, uint64_t gpa, size_t len)
{
	size_t part;

	while (len)
		if (!guest_next(g, &gpa, &len, &part))
			return false;
	return true;
}

int guest_write(struct guest *g, uint64_t gpa, const void *src, size_t len)
{
	const uint8_t *from = src;
	uint8_t *hva;
	size_t part;

	while (len) {
		hva = guest_next(g, &gpa, &len, &part);
		if (!hva)
			return -1;
		memcpy(hva, from, part);
		from += part;
	}
	return 0;
}

int guest_read(struct guest *g, uint64_t gpa, void *dst, size_t len)
{
	uint8_t *to = dst, *hva;
	size_t part;

	while (len) {
		hva = guest_next(g, &gpa, &len, &part);
		if (!hva)
			return -1;
		memcpy(to, hva, part);
		to += part;
	}
	return 0;
}

int guest_fill(struct guest *g, uint64_t gpa, uint8_t byte, size_t len)
{
	uint8_t *hva;
	size_t part;

	while (len) {
		hva = guest_next(g, &gpa, &len, &part);
		if (!hva)
			return -1;
		memset(hva, byte, part);
	}
	return 0;
}

/* Pages come into being, full of canaries, when something in them is taken. */
static void region_touch(struct gregion *r, size_t from, size_t to)
{
	size_t page;

	for (page = from / G_PAGE; page <= to / G_PAGE; page++) {
		if (r->touched[page])
			continue;
		memset(r->hva + page * G_PAGE, G_CANARY, G_PAGE);
		r->touched[page] = 1;
	}
}

/* Adds @delta to the users of all units that the range touches. */
static void guest_count(struct guest *g, uint64_t gpa, size_t len, int delta)
{
	struct gregion *r;
	size_t part, first, last;

	while (len) {
		r = guest_region(g, gpa);
		if (!r)
			return;
		first = (gpa - r->gpa) / G_MARGIN;
		guest_next(g, &gpa, &len, &part);
		last = (gpa - 1 - r->gpa) / G_MARGIN;
		if (delta > 0)
			region_touch(r, first * G_MARGIN, last * G_MARGIN);
		while (first <= last)
			r->busy[first++] += delta;
	}
}

void guest_claim(struct guest *g, uint64_t gpa, size_t len)
{
	guest_count(g, gpa, len, 1);
}

void guest_unclaim(struct guest *g, uint64_t gpa, size_t len)
{
	guest_fill(g, gpa, G_CANARY, len);
	guest_count(g, gpa, len, -1);
}

/* Is [gpa - G_MARGIN, gpa + len + G_MARGIN) memory, and free? */
static bool guest_is_free(struct guest *g, uint64_t gpa, size_t len,
			  uint64_t *conflict)
{
	uint64_t at = gpa - G_MARGIN, end = gpa + len + G_MARGIN;
	struct gregion *r;

	for (at -= at % G_MARGIN; at < end; at += G_MARGIN) {
		r = guest_region(g, at);
		if (!r || r->busy[(at - r->gpa) / G_MARGIN]) {
			if (conflict)
				*conflict = at;
			return false;
		}
	}
	return true;
}

static void guest_take(struct guest *g, uint64_t gpa, size_t len)
{
	guest_count(g, gpa - G_MARGIN, len + 2 * G_MARGIN, 1);
}

void guest_free_range(struct guest *g, uint64_t gpa, size_t len)
{
	guest_fill(g, gpa, G_CANARY, len);
	guest_count(g, gpa - G_MARGIN, len + 2 * G_MARGIN, -1);
}

int guest_alloc(struct guest *g, int region, size_t len, int offset,
		size_t align, uint64_t *gpa)
{
	struct gregion *r = &g->region[region];
	size_t start = r->rover, at = start, from, next;
	bool wrapped = false;
	uint64_t conflict;

	for (;;) {
		from = at + G_MARGIN;
		if (offset >= 0) {
			from -= from % G_PAGE;
			from += offset;
			if (from < at + G_MARGIN)
				from += G_PAGE;
		} else if (align >= G_MARGIN) {
			from = (from + align - 1) / align * align;
		} else {
			from -= from % G_MARGIN;
			from += align * (guest_random(g) % (G_MARGIN / align));
		}
		if (from + len + G_MARGIN > r->size || (wrapped && at > start)) {
			if (wrapped)
				return -1;
			wrapped = true;
			at = 0;
			continue;
		}
		if (guest_is_free(g, r->gpa + from, len, &conflict))
			break;
		next = conflict - r->gpa + G_MARGIN;
		at = next > at ? next : at + G_MARGIN;
	}
	r->rover = from + len;
	*gpa = r->gpa + from;
	guest_take(g, *gpa, len);
	return 0;
}

int guest_alloc_any(struct guest *g, size_t len, int offset, uint64_t *gpa)
{
	static const int small[] = { G_BULK, G_LOW, G_HIGH, G_ISLE };
	size_t align = len && len % G_SECTOR == 0 ? G_SECTOR : 1;
	int region = G_BULK;

	if (len <= G_PAGE)
		region = small[guest_random(g) % 4];
	if (!guest_alloc(g, region, len, offset, align, gpa))
		return 0;
	if (!guest_alloc(g, G_BULK, len, offset, align, gpa))
		return 0;
	return guest_alloc(g, G_HIGH, len, offset, align, gpa);
}

int guest_alloc_straddling(struct guest *g, size_t len, size_t before,
			   uint64_t *gpa)
{
	static const int left[] = { G_LOW, G_ADJ1, G_ADJ2 };
	const struct gregion *r;
	int tries;

	for (tries = 0; tries < 3; tries++) {
		r = &g->region[left[g->straddle++ % 3]];
		*gpa = r->gpa + r->size - before;
		if (guest_is_free(g, *gpa, len, NULL)) {
			guest_take(g, *gpa, len);
			return 0;
		}
	}
	return -1;
}

int guest_check_margins(struct guest *g, const char *what, uint64_t gpa,
			size_t len)
{
	uint8_t margin[2 * G_MARGIN];
	unsigned int i;

	if (guest_read(g, gpa - G_MARGIN, margin, G_MARGIN) ||
	    guest_read(g, gpa + len, margin + G_MARGIN, G_MARGIN))
		return guest_violation(g, "C: %s at %#llx has no margin", what,
				       (unsigned long long)gpa);
	for (i = 0; i < 2 * G_MARGIN; i++)
		if (margin[i] != G_CANARY)
			return guest_violation(g,
				"C: %s at %#llx+%zu: byte %+d is %#x", what,
				(unsigned long long)gpa, len,
				(int)i < G_MARGIN ? (int)i - G_MARGIN :
				(int)(i - G_MARGIN + len), margin[i]);
	return 0;
}

static int guest_check_free(struct guest *g, struct gregion *r, size_t at,
			    size_t len, uint8_t byte)
{
	const uint8_t *p = r->hva + at;
	size_t i;

	if (p[0] == byte && !memcmp(p, p + 1, len - 1))
		return 0;
	for (i = 0; p[i] == byte; i++)
		;
	return guest_violation(g, "C: free memory at %#llx is %#x",
			       (unsigned long long)(r->gpa + at + i), p[i]);
}

/* A page never handed out: not there, or only looked at, or given back full. */
static int guest_check_untouched(struct guest *g, struct gregion *r, size_t page)
{
	uint8_t first = r->hva[page * G_PAGE];

	return guest_check_free(g, r, page * G_PAGE, G_PAGE,
				first == G_CANARY ? G_CANARY : 0);
}

#define PAGEMAP_THERE	(3ULL << 62)	/* present or swapped */

static int guest_check_region(struct guest *g, struct gregion *r, int pagemap)
{
	size_t pages = r->size / G_PAGE, page, unit;
	uint64_t *map = calloc(pages, sizeof(*map));
	size_t bytes = pages * sizeof(*map);
	int bad = 0;

	if (!map || pread(pagemap, map, bytes, (uintptr_t)r->hva / G_PAGE *
			  sizeof(*map)) != (ssize_t)bytes)
		abort();
	for (page = 0; page < pages && bad < 5; page++) {
		if (!r->touched[page]) {
			if (map[page] & PAGEMAP_THERE)
				bad += guest_check_untouched(g, r, page);
			continue;
		}
		for (unit = page * G_PAGE; unit < (page + 1) * G_PAGE;
		     unit += G_MARGIN)
			if (!r->busy[unit / G_MARGIN])
				bad += guest_check_free(g, r, unit, G_MARGIN,
							G_CANARY);
	}
	free(map);
	return bad;
}

int guest_check(struct guest *g)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned int i;
	int bad = 0;

	for (i = 0; i < G_REGIONS; i++)
		bad += guest_check_region(g, &g->region[i], pagemap);
	close(pagemap);
	for (i = 0; i < g->nvqs; i++)
		bad += vq_check(&g->vq[i]);
	return bad;
}

#define HUGE_PAGE	(2u << 20)

/*
 * Address space for @size bytes and an inaccessible page on either side. Huge
 * pages need an aligned place, which is taken out of a larger piece that stays.
 */
static uint8_t *region_reserve(size_t size, bool huge)
{
	size_t all = size + 2 * G_PAGE + (huge ? HUGE_PAGE : 0);
	uint8_t *at;

	at = mmap(NULL, all, PROT_NONE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return NULL;
	at += G_PAGE;
	if (huge)
		at += -(uintptr_t)at % HUGE_PAGE;
	return at;
}

static int region_map(struct gregion *r, bool memfd, bool huge)
{
	uint8_t *at = region_reserve(r->size, huge);
	int fd = -1;

	if (!at)
		return -1;
	if (memfd) {
		fd = memfd_create("guest", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, r->size))
			return -1;
	}
	r->hva = mmap(at, r->size, PROT_READ | PROT_WRITE,
		      MAP_FIXED | (memfd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS),
		      fd, 0);
	if (memfd)
		close(fd);
	if (r->hva == MAP_FAILED)
		return -1;
	/* By itself the kernel may make a huge page of what was to be small. */
	madvise(r->hva, r->size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	r->busy = calloc(r->size / G_MARGIN, 1);
	r->touched = calloc(r->size / G_PAGE, 1);
	return r->busy && r->touched ? 0 : -1;
}

static size_t desc_bytes(const struct gvq *vq)
{
	return vq->num * sizeof(struct vring_desc);
}

static size_t avail_bytes(const struct gvq *vq)
{
	return sizeof(uint16_t) * (3 + vq->num);
}

static size_t used_bytes(const struct gvq *vq)
{
	return sizeof(uint16_t) * 3 + sizeof(struct vring_used_elem) * vq->num;
}

static int ring_alloc(struct guest *g, int region, size_t len, size_t align,
		      uint64_t *gpa)
{
	if (!guest_alloc(g, region, len, -1, align, gpa))
		return 0;
	return guest_alloc(g, G_BULK, len, -1, align, gpa);
}

static int vq_place(struct gvq *vq, const struct gplace *place)
{
	static const struct gplace apart = { G_LOW, G_BULK, G_HIGH, false };
	struct guest *g = vq->g;

	if (!place)
		place = &apart;
	if (place->one_page) {
		size_t used = (desc_bytes(vq) + avail_bytes(vq) + 3) / 4 * 4;

		if (guest_alloc(g, place->desc, used + used_bytes(vq), 0, 1,
				&vq->desc_gpa))
			return -1;
		vq->avail_gpa = vq->desc_gpa + desc_bytes(vq);
		vq->used_gpa = vq->desc_gpa + used;
	} else if (ring_alloc(g, place->desc, desc_bytes(vq), 16, &vq->desc_gpa) ||
		   ring_alloc(g, place->avail, avail_bytes(vq), 2, &vq->avail_gpa) ||
		   ring_alloc(g, place->used, used_bytes(vq), 4, &vq->used_gpa)) {
		return -1;
	}
	vq->desc = (void *)guest_hva(g, vq->desc_gpa);
	vq->avail = (void *)guest_hva(g, vq->avail_gpa);
	vq->used = (void *)guest_hva(g, vq->used_gpa);
	return 0;
}

static int vq_init(struct gvq *vq, const struct guest_opts *opts)
{
	if (vq_place(vq, opts->place))
		return -1;
	vq->desc_is = calloc(1, desc_bytes(vq));
	vq->avail_is = calloc(1, avail_bytes(vq));
	vq->used_is = calloc(1, used_bytes(vq));
	vq->desc_busy = calloc(1, vq->num);
	vq->inflight = calloc(vq->num, sizeof(*vq->inflight));
	vq->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vq->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vq->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!vq->desc_is || !vq->avail_is || !vq->used_is || !vq->desc_busy ||
	    !vq->inflight || vq->kick < 0 || vq->call < 0 || vq->err < 0)
		return -1;
	vq_reset(vq, opts->base);
	return 0;
}

struct guest *guest_new(const struct guest_opts *opts)
{
	static const struct guest_opts none;
	struct guest *g = calloc(1, sizeof(*g));
	const char *seed = getenv("KSFT_SEED");
	unsigned int i;

	if (!g)
		return NULL;
	if (!opts)
		opts = &none;
	g->fd = -1;
	g->features = opts->features ? opts->features : G_FEATURES;
	g->nvqs = opts->nvqs ? opts->nvqs : 1;
	g->random = 0x9e3779b97f4a7c15;
	if (seed)
		g->random ^= strtoull(seed, NULL, 0);
	for (i = 0; i < G_REGIONS; i++) {
		g->region[i].gpa = layout[i].gpa;
		g->region[i].size = layout[i].size;
		if (i == G_BULK && opts->bulk)
			g->region[i].size = opts->bulk;
		if (region_map(&g->region[i], i == G_HIGH,
			       i == G_BULK && opts->huge))
			return NULL;
	}
	g->vq = calloc(g->nvqs, sizeof(*g->vq));
	if (!g->vq)
		return NULL;
	for (i = 0; i < g->nvqs; i++) {
		g->vq[i].g = g;
		g->vq[i].index = i;
		g->vq[i].num = opts->num ? opts->num : 256;
		if (vq_init(&g->vq[i], opts))
			return NULL;
	}
	return g;
}

/* Ends with the process otherwise: only for who needs many guests. */
void guest_delete(struct guest *g)
{
	unsigned int i;

	if (!g)
		return;
	if (g->fd >= 0)
		close(g->fd);
	for (i = 0; i < g->nvqs; i++) {
		struct gvq *vq = &g->vq[i];

		close(vq->kick);
		close(vq->call);
		close(vq->err);
		free(vq->desc_is);
		free(vq->avail_is);
		free(vq->used_is);
		free(vq->desc_busy);
		free(vq->inflight);
	}
	for (i = 0; i < G_REGIONS; i++) {
		munmap(g->region[i].hva - G_PAGE, g->region[i].size + 2 * G_PAGE);
		free(g->region[i].busy);
		free(g->region[i].touched);
	}
	free(g->vq);
	free(g);
}

int guest_open(struct guest *g)
{
	g->fd = open("/dev/vhost-blk", O_RDWR | O_CLOEXEC);
	return g->fd < 0 ? -1 : 0;
}

int guest_set_owner(struct guest *g)
{
	return ioctl(g->fd, VHOST_SET_OWNER);
}

int guest_set_features(struct guest *g, uint64_t features)
{
	return ioctl(g->fd, VHOST_SET_FEATURES, &features);
}

int guest_set_mem(struct guest *g)
{
	struct {
		struct vhost_memory m;
		struct vhost_memory_region r[G_REGIONS];
	} table = { .m = { .nregions = G_REGIONS } };
	unsigned int i;

	for (i = 0; i < G_REGIONS; i++) {
		/* not in the order of their addresses */
		const struct gregion *r = &g->region[(i * 3 + 5) % G_REGIONS];

		table.r[i].guest_phys_addr = r->gpa;
		table.r[i].memory_size = r->size;
		table.r[i].userspace_addr = (uintptr_t)r->hva;
	}
	return ioctl(g->fd, VHOST_SET_MEM_TABLE, &table);
}

int vq_set_num(struct gvq *vq, uint32_t num)
{
	struct vhost_vring_state s = { .index = vq->index, .num = num };

	return ioctl(vq->g->fd, VHOST_SET_VRING_NUM, &s);
}

int vq_set_base(struct gvq *vq, uint32_t base)
{
	struct vhost_vring_state s = { .index = vq->index, .num = base };

	return ioctl(vq->g->fd, VHOST_SET_VRING_BASE, &s);
}

int vq_get_base(struct gvq *vq)
{
	struct vhost_vring_state s = { .index = vq->index, .num = ~0u };

	if (ioctl(vq->g->fd, VHOST_GET_VRING_BASE, &s))
		return -1;
	return s.num;
}

void vq_addr(struct gvq *vq, struct vhost_vring_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	addr->index = vq->index;
	addr->desc_user_addr = (uintptr_t)vq->desc;
	addr->avail_user_addr = (uintptr_t)vq->avail;
	addr->used_user_addr = (uintptr_t)vq->used;
}

int vq_set_addr(struct gvq *vq)
{
	struct vhost_vring_addr addr;

	vq_addr(vq, &addr);
	return ioctl(vq->g->fd, VHOST_SET_VRING_ADDR, &addr);
}

int vq_set_fd(struct gvq *vq, unsigned long request, int fd)
{
	struct vhost_vring_file f = { .index = vq->index, .fd = fd };

	return ioctl(vq->g->fd, request, &f);
}

int vq_set_fds(struct gvq *vq)
{
	if (vq_set_fd(vq, VHOST_SET_VRING_KICK, vq->kick) ||
	    vq_set_fd(vq, VHOST_SET_VRING_CALL, vq->call))
		return -1;
	return vq_set_fd(vq, VHOST_SET_VRING_ERR, vq->err);
}

int guest_set_backend(struct guest *g, int fd)
{
	struct vhost_vring_file f = { .index = 0, .fd = fd };
	unsigned int i;
	int ret;

	if (fd >= 0 && g->forgot) {
		for (i = 0; i < g->nvqs; i++)
			if (vq_set_addr(&g->vq[i]))
				return -1;
		g->forgot = false;
	}
	ret = ioctl(g->fd, VHOST_BLK_SET_BACKEND, &f);
	if (fd == -1 && !ret)
		g->forgot = true;
	return ret;
}

static const char * const step_names[] = {
	"open", "owner", "features", "memory", "num", "base", "addresses",
	"eventfds",
};

unsigned int guest_steps(void)
{
	return sizeof(step_names) / sizeof(step_names[0]);
}

const char *guest_step_name(unsigned int step)
{
	return step_names[step];
}

int guest_step(struct guest *g, unsigned int step)
{
	unsigned int i;
	int ret = 0;

	switch (step) {
	case 0:
		return guest_open(g);
	case 1:
		return guest_set_owner(g);
	case 2:
		return guest_set_features(g, g->features);
	case 3:
		return guest_set_mem(g);
	}
	for (i = 0; i < g->nvqs && !ret; i++) {
		struct gvq *vq = &g->vq[i];

		switch (step) {
		case 4:
			ret = vq_set_num(vq, vq->num);
			break;
		case 5:
			ret = vq_set_base(vq, vq->last_used);
			break;
		case 6:
			ret = vq_set_addr(vq);
			break;
		case 7:
			ret = vq_set_fds(vq);
			break;
		}
	}
	return ret;
}

struct guest *guest_start(const struct guest_opts *opts, int fd)
{
	struct guest *g = guest_new(opts);
	unsigned int i;

	if (!g)
		return NULL;
	for (i = 0; i < guest_steps(); i++) {
		if (guest_step(g, i)) {
			printf("# set-up step \"%s\": %s\n", guest_step_name(i),
			       strerror(errno));
			return NULL;
		}
	}
	if (guest_set_backend(g, fd)) {
		printf("# attaching the backend: %s\n", strerror(errno));
		return NULL;
	}
	return g;
}
