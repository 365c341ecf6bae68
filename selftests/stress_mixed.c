// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random well-formed requests on several queues, many in flight, cut at random,
 * against a model of the disk in memory; now and then the memory table is set
 * again, the disk detached and attached. KSFT_STRESS_S: how long (default 1 s).
 */
#define _GNU_SOURCE
#include "attached.h"

#define QUEUES	4
#define DEPTH	32
#define AREA	(512u << 10)	/* of each queue, in bytes */
#define MAX_LEN	(32u << 10)

struct op {
	struct greq *r;
	uint32_t off, len;	/* in the queue's area */
	bool out;
};

struct lane {
	struct gvq *vq;
	unsigned int index;
	char *model;		/* what the area holds */
	struct op op[DEPTH];
	unsigned int n;
};

static struct {
	struct attached a;
	struct lane lane[QUEUES];
	char *buf;
	uint64_t ops, bytes;
} s;

static uint64_t area_sector(const struct lane *l, uint32_t off)
{
	return (l->index * AREA + off) / G_SECTOR;
}

/* Tokens that add up to @len. */
static void random_cut(char *cut, size_t size, uint32_t len)
{
	static const uint32_t offsets[] = { 0, 512, 1, 4095, 3648, 2048 };
	size_t used = 0;
	unsigned int pieces = 0;

	cut[0] = '\0';
	while (len) {
		uint64_t dice = guest_random(s.a.g);
		uint32_t n = len;

		if (dice % 4 && len > 1 && ++pieces < 12) {
			n = 1 + (dice >> 8) % len;
			if (dice & 16 && n > 512)
				n -= n % 512;
		}
		used += snprintf(cut + used, size - used, "%u", n);
		if ((dice >> 40) % 2 == 0)
			used += snprintf(cut + used, size - used, "@%u",
					 offsets[(dice >> 48) % 6]);
		else if ((dice >> 40) % 64 == 1 && n > 1 && n < 40000)
			used += snprintf(cut + used, size - used, "^%u", n / 2);
		used += snprintf(cut + used, size - used, " ");
		len -= n;
	}
}

static bool overlaps(const struct lane *l, uint32_t off, uint32_t len)
{
	unsigned int i;

	for (i = 0; i < l->n; i++)
		if (off < l->op[i].off + l->op[i].len &&
		    l->op[i].off < off + len)
			return true;
	return false;
}

static struct greq *framed(struct lane *l, uint32_t type, uint64_t sector,
			   const char *readable, const char *writable)
{
	struct greq *r = req_new(l->vq, type, sector);
	char frame[1000];

	snprintf(frame, sizeof(frame), "%s %s / %s 1",
		 guest_random(s.a.g) % 4 ? "16" : "9 7", readable, writable);
	if (req_frame(r, frame)) {
		req_free(r);	/* no place for it just now */
		return NULL;
	}
	r->indirect = guest_random(s.a.g) % 3;
	r->direct = r->indirect ? guest_random(s.a.g) % 3 : 0;
	r->table_offset = guest_random(s.a.g) % 4 ? -1 : 4090;
	return r;
}

static bool start(struct lane *l)
{
	const uint32_t lbs = s.a.d.lbs;
	uint64_t dice = guest_random(s.a.g);
	struct op *op = &l->op[l->n];
	char cut[800];

	op->len = (1 + dice % (MAX_LEN / lbs)) * lbs;
	if (dice >> 32 & 3)
		op->len = lbs;
	op->off = (dice >> 16) % ((AREA - op->len) / lbs) * lbs;
	op->out = dice >> 40 & 1;
	if (overlaps(l, op->off, op->len))
		return true;
	random_cut(cut, sizeof(cut), op->len);
	op->r = framed(l, op->out ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
		       area_sector(l, op->off), op->out ? cut : "",
		       op->out ? "" : cut);
	if (!op->r)
		return false;
	if (op->out) {
		char *at = l->model + op->off;

		pattern_fill(at, op->len, area_sector(l, op->off), dice);
		req_put_data(op->r, at, op->len);
	}
	if (req_make(op->r)) {
		req_free(op->r);
		return false;
	}
	req_queue(op->r);
	l->n++;
	s.ops++;
	s.bytes += op->len;
	return true;
}

static void finish(struct lane *l, unsigned int i)
{
	struct op *op = &l->op[i];

	ASSERT_EQ(0, req_check(op->r, VIRTIO_BLK_S_OK));
	if (!op->out) {
		req_get_data(op->r, s.buf, op->len);
		if (memcmp(s.buf, l->model + op->off, op->len))
			ksft_log("queue %u: %u bytes at %u of its area",
				 l->index, op->len, op->off);
		ASSERT_EQ(0, memcmp(s.buf, l->model + op->off, op->len));
	}
	req_free(op->r);
	l->op[i] = l->op[--l->n];
}

static void turn(struct lane *l)
{
	unsigned int want = guest_random(s.a.g) % DEPTH, i;

	while (l->n < want && start(l))
		;
	vq_publish_kick(l->vq);
	ASSERT_GE(vq_reap(l->vq), 0);
	for (i = l->n; i-- > 0;)
		if (l->op[i].r->done)
			finish(l, i);
}

static void settle(void)
{
	struct lane *l;

	for (l = s.lane; l < s.lane + QUEUES; l++) {
		ASSERT_TRUE(vq_wait_idle(l->vq, G_WAIT_MS));
		while (l->n)
			finish(l, 0);
	}
}

static void disturb(void)
{
	struct guest *g = s.a.g;

	switch (guest_random(g) % 3) {
	case 0:
		ASSERT_EQ(0, guest_set_mem(g));
		break;
	case 1:
		ASSERT_EQ(0, guest_set_backend(g, -1));
		ASSERT_EQ(0, guest_set_backend(g, s.a.d.fd));
		break;
	default:
		settle();
		ASSERT_EQ(0, guest_check(g));
		break;
	}
}

static void run(uint64_t features)
{
	struct guest_opts opts = {
		.nvqs = QUEUES, .bulk = 16 << 20, .features = features,
	};
	const char *seconds = getenv("KSFT_STRESS_S");
	int64_t end, next;
	unsigned int i;

	attach(&s.a, &opts);
	s.buf = malloc(AREA);
	for (i = 0; i < QUEUES; i++) {
		struct lane *l = &s.lane[i];

		l->index = i;
		l->vq = &s.a.g->vq[i];
		l->model = malloc(AREA);
		ASSERT_TRUE(l->model && s.buf);
		pattern_fill(l->model, AREA, area_sector(l, 0), 1);
		ASSERT_EQ(0, disk_write(&s.a.d, area_sector(l, 0), l->model, AREA));
	}
	end = now_ms() + 1000 * (seconds ? atoi(seconds) : 1);
	next = now_ms() + 100;
	while (now_ms() < end) {
		for (i = 0; i < QUEUES; i++)
			turn(&s.lane[i]);
		if (now_ms() < next)
			continue;
		disturb();
		next = now_ms() + 100;
	}
	settle();
	ksft_log("%llu requests, %llu KiB", (unsigned long long)s.ops,
		 (unsigned long long)s.bytes >> 10);
	ASSERT_GT(s.ops, 20);
	for (i = 0; i < QUEUES; i++) {
		ASSERT_EQ(0, disk_read(&s.a.d, area_sector(&s.lane[i], 0), s.buf,
				       AREA));
		EXPECT_EQ(0, memcmp(s.buf, s.lane[i].model, AREA));
	}
	detach_checked(&s.a);
}

TEST_TIMEOUT(mixed_requests_match_the_model, 120)
{
	run(G_FEATURES);
}

TEST_TIMEOUT(mixed_requests_match_the_model_without_event_idx, 120)
{
	run(G_FEATURES & ~G_EVENT_IDX);
}

TEST_HARNESS_MAIN
