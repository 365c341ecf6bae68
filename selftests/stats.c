// SPDX-License-Identifier: GPL-2.0-only
/* What is counted, in /sys/class/vhost-blk/vhost-blkN/queues/M/stats. */
#define _GNU_SOURCE
#include "shown.h"

#include <pthread.h>
#include <sys/stat.h>

/* Those of which a test knows the exact number. */
static const char * const exact[] = {
	"chains", "completed", "bad_chains", "lost_status",
	"read_requests", "read_bytes", "read_errors",
	"write_requests", "write_bytes", "write_errors",
	"flush_requests", "flush_errors", "get_id_requests", "get_id_errors",
	"unsupported_requests", "invalid_requests", "bounced",
	"fault_alignment", "fault_range", "fault_read_only", "fault_memory",
	"fault_device",
};

/* The others that only grow. */
static const char * const growing[] = {
	"kicks", "kicks_avoided", "interrupts_sent", "interrupts_suppressed",
	"requeued", "latency_ns", "device_latency_ns", "halt_attempted_poll",
	"halt_successful_poll", "halt_failed_poll", "halt_successful_wait",
	"lifetime_ns", "busy_ns", "halt_poll_success_ns", "halt_poll_fail_ns",
	"halt_wait_ns",
};

#define NR_EXACT	ARRAY_SIZE(exact)
#define NR_COUNTERS	(NR_EXACT + ARRAY_SIZE(growing))

struct counts {
	uint64_t value[NR_COUNTERS];
};

static const char *counter_name(unsigned int i)
{
	return i < NR_EXACT ? exact[i] : growing[i - NR_EXACT];
}

static void counts_take(struct counts *c, const struct shown *s, unsigned int q)
{
	unsigned int i;

	for (i = 0; i < NR_COUNTERS; i++)
		c->value[i] = shown_stat(s, q, counter_name(i));
}

static void expect_not_shrunk(const struct counts *before,
			      const struct counts *after)
{
	unsigned int i;

	for (i = 0; i < NR_COUNTERS; i++) {
		if (after->value[i] < before->value[i])
			ksft_log("%s shrinks", counter_name(i));
		EXPECT_GE(after->value[i], before->value[i]);
	}
}

struct added {
	const char *name;
	uint64_t by;
};

/* These counters have grown so, and no other of the exact ones. */
static void expect_added(const char *what, const struct counts *before,
			 const struct counts *after, const struct added *added)
{
	unsigned int i, known = 0, n = 0;
	const struct added *a;
	uint64_t want, got;

	for (i = 0; i < NR_EXACT; i++) {
		want = 0;
		for (a = added; a->name; a++) {
			if (strcmp(a->name, exact[i]))
				continue;
			want = a->by;
			known++;
		}
		got = after->value[i] - before->value[i];
		if (got != want)
			ksft_log("%s: %s + %llu instead of %llu", what, exact[i],
				 (unsigned long long)got,
				 (unsigned long long)want);
		EXPECT_EQ(want, got);
	}
	for (a = added; a->name; a++)
		n++;
	ASSERT_EQ(n, known);
}

/*
 * The values in a histogram add up to a number that is known. Values of batches
 * are never 0.
 */
static void expect_hist_sum(const struct shown *s, unsigned int q,
			    const char *name, uint64_t least, uint64_t sum)
{
	uint64_t bucket[SHOWN_BUCKETS], low = 0, high = 0;
	int i;

	shown_hist(s, q, name, bucket);
	for (i = 0; i < SHOWN_BUCKETS; i++) {
		low += bucket[i] * (i ? 1ULL << i : least);
		high += bucket[i] * ((2ULL << i) - 1);
	}
	if (sum < low || (sum > high && !bucket[SHOWN_BUCKETS - 1]))
		ksft_log("%s: %llu..%llu", name, (unsigned long long)low,
			 (unsigned long long)high);
	EXPECT_GE(sum, low);
	if (!bucket[SHOWN_BUCKETS - 1])
		EXPECT_LE(sum, high);
}

static uint64_t halt_ns(const struct shown *s, unsigned int q)
{
	return shown_stat(s, q, "halt_poll_success_ns") +
	       shown_stat(s, q, "halt_poll_fail_ns") +
	       shown_stat(s, q, "halt_wait_ns");
}

/* How the numbers belong together while the worker sleeps or there is none. */
static void expect_at_rest(const struct shown *s, unsigned int q)
{
	uint64_t chains = shown_stat(s, q, "chains");
	uint64_t completed = shown_stat(s, q, "completed");
	uint64_t answered = completed - shown_stat(s, q, "bad_chains");
	uint64_t hit = shown_stat(s, q, "halt_successful_poll");
	uint64_t missed = shown_stat(s, q, "halt_failed_poll");
	uint64_t sent = shown_stat(s, q, "interrupts_sent");
	uint64_t kicks = shown_stat(s, q, "kicks");
	uint64_t avoided = shown_stat(s, q, "kicks_avoided");

	EXPECT_EQ(0, shown_number(s, q, "in_flight"));
	EXPECT_EQ(0, shown_number(s, q, "pinned_pages"));
	EXPECT_EQ(0, shown_number(s, q, "oldest_request_ns"));
	EXPECT_EQ(chains, completed);
	EXPECT_EQ(answered, shown_stat(s, q, "read_requests") +
			    shown_stat(s, q, "write_requests") +
			    shown_stat(s, q, "flush_requests") +
			    shown_stat(s, q, "get_id_requests") +
			    shown_stat(s, q, "unsupported_requests") +
			    shown_stat(s, q, "invalid_requests"));
	EXPECT_LE(sent, completed);
	EXPECT_LE(sent + shown_stat(s, q, "interrupts_suppressed"),
		  shown_hist_count(s, q, "publish_hist"));
	EXPECT_LE(avoided, chains);
	EXPECT_GE(kicks + avoided, chains);

	EXPECT_EQ(shown_stat(s, q, "halt_attempted_poll"), hit + missed);
	EXPECT_EQ(hit, shown_hist_count(s, q, "halt_poll_success_hist"));
	EXPECT_EQ(missed, shown_hist_count(s, q, "halt_poll_fail_hist"));
	EXPECT_EQ(shown_stat(s, q, "halt_successful_wait"),
		  shown_hist_count(s, q, "halt_wait_hist"));
	expect_hist_sum(s, q, "halt_poll_success_hist", 0,
			shown_stat(s, q, "halt_poll_success_ns"));
	expect_hist_sum(s, q, "halt_poll_fail_hist", 0,
			shown_stat(s, q, "halt_poll_fail_ns"));

	EXPECT_EQ(answered, shown_hist_count(s, q, "latency_hist"));
	EXPECT_LE(shown_hist_count(s, q, "device_latency_hist"), answered);
	expect_hist_sum(s, q, "latency_hist", 0,
			shown_stat(s, q, "latency_ns"));
	expect_hist_sum(s, q, "device_latency_hist", 0,
			shown_stat(s, q, "device_latency_ns"));
	expect_hist_sum(s, q, "batch_hist", 1, chains);
	expect_hist_sum(s, q, "publish_hist", 1, completed);
}

/* Without a worker even the times are exact. */
static void expect_stopped(const struct shown *s, unsigned int q)
{
	EXPECT_TRUE(shown_state_is(s, q, "stopped"));
	EXPECT_EQ(0, shown_number(s, q, "worker"));
	expect_at_rest(s, q);
	EXPECT_EQ(shown_stat(s, q, "lifetime_ns"),
		  shown_stat(s, q, "busy_ns") + halt_ns(s, q));
	expect_hist_sum(s, q, "halt_wait_hist", 0,
			shown_stat(s, q, "halt_wait_ns"));
}

/* Each test ends so, whatever it did. */
static void finish(struct attached *a, const struct shown *s)
{
	unsigned int q;

	if (!a->g || !s->dir[0])
		return;
	for (q = 0; q < a->g->nvqs; q++) {
		EXPECT_TRUE(shown_wait_asleep(s, q));
		expect_at_rest(s, q);
	}
	detach_checked(a);
	for (q = 0; q < a->g->nvqs; q++)
		expect_stopped(s, q);
}

FIXTURE(disk) {
	struct attached a;
	struct gvq *vq;
	struct shown s;
};

FIXTURE_SETUP(disk)
{
	struct guest_opts opts = { .nvqs = 2 };

	attach(&self->a, &opts);
	self->vq = self->a.vq;
	shown_find(&self->s, self->a.g);
}

FIXTURE_TEARDOWN(disk)
{
	finish(&self->a, &self->s);
}

/*
 * Requests
 */

struct mix {
	unsigned int reads, writes, flushes, ids, discards, bounced;
	uint64_t read_bytes, write_bytes;
};

/* One to eight blocks, page by page in guest memory, or cut inside a block. */
static void mix_rw(struct attached *a, struct gvq *vq, struct mix *m,
		   uint32_t type, unsigned int i)
{
	static char data[8 * G_PAGE];
	size_t len = a->d.lbs * (1 + i % 8);
	char layout[64];

	if (i % 50 == 7) {
		snprintf(layout, sizeof(layout), "100@0 %zu@100", len - 100);
		m->bounced++;
	} else {
		snprintf(layout, sizeof(layout), "%zu@0", len);
	}
	ASSERT_EQ(VIRTIO_BLK_S_OK,
		  guest_io(vq, type, i % 64 * (a->d.lbs / G_SECTOR), data, len,
			   layout));
	if (type == VIRTIO_BLK_T_IN) {
		m->reads++;
		m->read_bytes += len;
	} else {
		m->writes++;
		m->write_bytes += len;
	}
}

/* Not offered, and so counted as what nobody knows. */
static void mix_discard(struct gvq *vq)
{
	struct greq *r = req_new(vq, VIRTIO_BLK_T_DISCARD, 0);

	ASSERT_EQ(0, req_frame(r, "16 16 / 1"));
	ASSERT_EQ(0, req_submit(r));
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	ASSERT_EQ(VIRTIO_BLK_S_UNSUPP, r->status);
	req_free(r);
}

static void mix_run(struct attached *a, struct gvq *vq, struct mix *m,
		    const struct mix *want)
{
	char id[VHOST_BLK_SERIAL_LEN];
	unsigned int i;

	for (i = 0; i < want->reads; i++)
		mix_rw(a, vq, m, VIRTIO_BLK_T_IN, i);
	for (i = 0; i < want->writes; i++)
		mix_rw(a, vq, m, VIRTIO_BLK_T_OUT, i);
	for (i = 0; i < want->flushes; i++, m->flushes++)
		ASSERT_EQ(VIRTIO_BLK_S_OK, guest_flush(vq));
	for (i = 0; i < want->ids; i++, m->ids++)
		ASSERT_EQ(VIRTIO_BLK_S_OK,
			  guest_io(vq, VIRTIO_BLK_T_GET_ID, 0, id, sizeof(id),
				   NULL));
	for (i = 0; i < want->discards; i++, m->discards++)
		mix_discard(vq);
}

static void expect_mix(const struct shown *s, unsigned int q,
		       const struct counts *before, const struct mix *m)
{
	uint64_t all = m->reads + m->writes + m->flushes + m->ids + m->discards;
	struct counts after;

	counts_take(&after, s, q);
	expect_added("mix", before, &after, (struct added[]){
		{ "chains", all },
		{ "completed", all },
		{ "read_requests", m->reads },
		{ "read_bytes", m->read_bytes },
		{ "write_requests", m->writes },
		{ "write_bytes", m->write_bytes },
		{ "flush_requests", m->flushes },
		{ "get_id_requests", m->ids },
		{ "unsupported_requests", m->discards },
		{ "bounced", m->bounced },
		{ NULL, 0 },
	});
	expect_not_shrunk(before, &after);
}

/* The second queue has less to do, and its own numbers. */
TEST_F_TIMEOUT(disk, known_mix_is_counted_exactly, 60)
{
	static const struct mix much = { 1000, 700, 50, 10, 20, 0, 0, 0 };
	static const struct mix little = { 7, 5, 3, 1, 2, 0, 0, 0 };
	static const struct counts none;
	struct gvq *other = &self->a.g->vq[1];
	struct mix m = { 0 }, n = { 0 };
	unsigned int q;

	mix_run(&self->a, self->vq, &m, &much);
	mix_run(&self->a, other, &n, &little);
	for (q = 0; q < 2; q++) {
		ASSERT_TRUE(shown_wait_asleep(&self->s, q));
		EXPECT_GE(shown_stat(&self->s, q, "kicks"), 1);
		EXPECT_LE(shown_stat(&self->s, q, "interrupts_sent"),
			  shown_stat(&self->s, q, "completed"));
	}
	EXPECT_LE(shown_stat(&self->s, 0, "kicks"), 1780);
	expect_mix(&self->s, 0, &none, &m);
	expect_mix(&self->s, 1, &none, &n);
}

/* One request at a time: together they cannot take longer than all. */
TEST_F(disk, latency_of_the_disk_is_part_of_the_whole)
{
	static const struct mix reads = { 100, 0, 0, 0, 0, 0, 0, 0 };
	struct mix m = { 0 };
	int64_t start = now_ms();
	uint64_t all, device;

	mix_run(&self->a, self->vq, &m, &reads);
	ASSERT_TRUE(shown_wait_asleep(&self->s, 0));
	all = shown_stat(&self->s, 0, "latency_ns");
	device = shown_stat(&self->s, 0, "device_latency_ns");
	EXPECT_EQ(100, shown_hist_count(&self->s, 0, "device_latency_hist"));
	EXPECT_GT(all, 0);
	EXPECT_GT(device, 0);
	/* the clocks of two CPUs may differ a little */
	EXPECT_LE(device, all + 100 * 10000);
	EXPECT_LE(all, (now_ms() - start + 10) * 1000000ULL);
}

/*
 * Errors
 */

struct mistake {
	const char *what, *frame;
	uint32_t type;
	uint64_t sector;
	int status;		/* -1: none can be given */
	struct added added[7];
};

#define TAKEN	{ "chains", 1 }, { "completed", 1 }

static const struct mistake mistakes[] = {
	{ "nothing writable", "16 4096", VIRTIO_BLK_T_OUT, 0, -1,
	  { TAKEN, { "bad_chains", 1 } } },
	{ "status outside memory", "16 / 1=0xb0000", VIRTIO_BLK_T_FLUSH, 0, -1,
	  { TAKEN, { "bad_chains", 1 } } },
	{ "read out of range", "16 / 4096 1", VIRTIO_BLK_T_IN, 1ULL << 50,
	  VIRTIO_BLK_S_IOERR,
	  { TAKEN, { "read_requests", 1 }, { "read_errors", 1 },
	    { "fault_range", 1 } } },
	{ "read of no sectors", "16 / 100 1", VIRTIO_BLK_T_IN, 0,
	  VIRTIO_BLK_S_IOERR,
	  { TAKEN, { "read_requests", 1 }, { "read_errors", 1 },
	    { "fault_alignment", 1 } } },
	{ "write to a read-only disk", "16 4096 / 1", VIRTIO_BLK_T_OUT, 0,
	  VIRTIO_BLK_S_IOERR,
	  { TAKEN, { "write_requests", 1 }, { "write_errors", 1 },
	    { "fault_read_only", 1 } } },
	{ "unknown type", "16 / 512 1", 77, 0, VIRTIO_BLK_S_UNSUPP,
	  { TAKEN, { "unsupported_requests", 1 } } },
	{ "type not offered", "16 16 / 1", VIRTIO_BLK_T_DISCARD, 0,
	  VIRTIO_BLK_S_UNSUPP, { TAKEN, { "unsupported_requests", 1 } } },
	{ "serial of another length", "16 / 19 1", VIRTIO_BLK_T_GET_ID, 0,
	  VIRTIO_BLK_S_IOERR,
	  { TAKEN, { "get_id_requests", 1 }, { "get_id_errors", 1 } } },
	{ "header too short", "8 / 1", VIRTIO_BLK_T_FLUSH, 0,
	  VIRTIO_BLK_S_IOERR, { TAKEN, { "invalid_requests", 1 } } },
	{ "header outside memory", "16=0xb0000 / 1", VIRTIO_BLK_T_FLUSH, 0,
	  VIRTIO_BLK_S_IOERR, { TAKEN, { "invalid_requests", 1 },
	    { "fault_memory", 1 } } },
	{ "data outside memory", "16 / 4096=0xb0000 1", VIRTIO_BLK_T_IN, 0,
	  VIRTIO_BLK_S_IOERR, { TAKEN, { "invalid_requests", 1 },
	    { "fault_memory", 1 } } },
};

FIXTURE(read_only) {
	struct attached a;
	struct shown s;
};

FIXTURE_SETUP(read_only)
{
	attach_path(&self->a, backend_path(0), O_RDONLY, NULL);
	shown_find(&self->s, self->a.g);
}

FIXTURE_TEARDOWN(read_only)
{
	finish(&self->a, &self->s);
}

/* Makes a mistake: its counters have grown by one, and no others. */
static void expect_counted(struct attached *a, const struct shown *s,
			   const struct mistake *m, bool indirect)
{
	struct counts before, after;
	struct greq *r;

	ASSERT_TRUE(shown_wait_asleep(s, 0));
	counts_take(&before, s, 0);
	r = req_new(a->vq, m->type, m->sector);
	ASSERT_EQ(0, req_frame(r, m->frame));
	r->indirect = indirect;
	ASSERT_EQ(0, req_submit(r));
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	if (m->status < 0)
		EXPECT_EQ(0, r->used_len);
	else
		EXPECT_EQ(m->status, r->status);
	req_free(r);
	ASSERT_TRUE(shown_wait_asleep(s, 0));
	counts_take(&after, s, 0);
	expect_added(m->what, &before, &after, m->added);
}

TEST_F(read_only, each_error_has_its_counter)
{
	unsigned int i, round;

	for (round = 0; round < 3; round++)
		for (i = 0; i < ARRAY_SIZE(mistakes); i++)
			expect_counted(&self->a, &self->s, &mistakes[i],
				       round == 1);
	EXPECT_EQ(0, shown_hist_count(&self->s, 0, "device_latency_hist"));
}

/* KSFT_ERROR answers all with an error. */
TEST(errors_of_the_disk_are_counted)
{
	static const struct mistake errors[] = {
		{ "read", "16 / 4096@0 1", VIRTIO_BLK_T_IN, 0,
		  VIRTIO_BLK_S_IOERR,
		  { TAKEN, { "read_requests", 1 }, { "read_errors", 1 },
		    { "fault_device", 1 } } },
		{ "write", "16 4096@0 / 1", VIRTIO_BLK_T_OUT, 8,
		  VIRTIO_BLK_S_IOERR,
		  { TAKEN, { "write_requests", 1 }, { "write_errors", 1 },
		    { "fault_device", 1 } } },
	};
	struct attached a = { 0 };
	unsigned int i;
	struct shown s;

	attach_path(&a, special_path("KSFT_ERROR"), O_RDWR, NULL);
	shown_find(&s, a.g);
	for (i = 0; i < ARRAY_SIZE(errors); i++)
		expect_counted(&a, &s, &errors[i], false);
	EXPECT_EQ(i, shown_hist_count(&s, 0, "device_latency_hist"));
	finish(&a, &s);
}

/* Makes a request part of which lies in a page that cannot be written. */
static void expect_protected(struct attached *a, const struct shown *s,
			     const struct mistake *m)
{
	struct guest *g = a->g;
	struct counts before, after;
	struct greq *r;
	char frame[64];
	uint64_t gpa;

	ASSERT_EQ(0, guest_alloc(g, G_BULK, G_PAGE, 0, 1, &gpa));
	snprintf(frame, sizeof(frame), m->frame, (unsigned long long)gpa);
	ASSERT_TRUE(shown_wait_asleep(s, 0));
	counts_take(&before, s, 0);
	r = req_new(a->vq, m->type, m->sector);
	ASSERT_EQ(0, req_frame(r, frame));
	ASSERT_EQ(0, mprotect(guest_hva(g, gpa), G_PAGE, PROT_READ));
	ASSERT_EQ(0, req_submit(r));
	ASSERT_TRUE(req_wait(r, G_WAIT_MS));
	ASSERT_EQ(0, mprotect(guest_hva(g, gpa), G_PAGE,
			      PROT_READ | PROT_WRITE));
	if (m->status < 0)
		EXPECT_EQ(0, r->used_len);
	else
		EXPECT_EQ(m->status, r->status);
	req_free(r);
	guest_free_range(g, gpa, G_PAGE);
	ASSERT_TRUE(shown_wait_asleep(s, 0));
	counts_take(&after, s, 0);
	expect_added(m->what, &before, &after, m->added);
}

/* A status that cannot be written is counted besides its request. */
TEST_F(disk, memory_that_cannot_be_written_is_counted)
{
	static const struct mistake mistakes[] = {
		{ "status", "16 / 1=%#llx", VIRTIO_BLK_T_FLUSH, 0, -1,
		  { TAKEN, { "flush_requests", 1 }, { "lost_status", 1 } } },
		{ "data", "16 / 4096=%#llx 1", VIRTIO_BLK_T_IN, 0,
		  VIRTIO_BLK_S_IOERR,
		  { TAKEN, { "read_requests", 1 }, { "read_errors", 1 },
		    { "fault_memory", 1 } } },
		{ "data that is copied", "16 / 100 3996=%#llx 1",
		  VIRTIO_BLK_T_IN, 0, VIRTIO_BLK_S_IOERR,
		  { TAKEN, { "read_requests", 1 }, { "read_errors", 1 },
		    { "bounced", 1 }, { "fault_memory", 1 } } },
		{ "serial", "16 / 20=%#llx 1", VIRTIO_BLK_T_GET_ID, 0,
		  VIRTIO_BLK_S_IOERR,
		  { TAKEN, { "get_id_requests", 1 }, { "get_id_errors", 1 },
		    { "fault_memory", 1 } } },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mistakes); i++)
		expect_protected(&self->a, &self->s, &mistakes[i]);
}

/* An entry that names no descriptor; returns where it is. */
static uint16_t damage_head(struct gvq *vq)
{
	vq_push(vq, vq->num);
	vq_publish(vq);
	return vq->avail_idx - 1;
}

/* More entries than there are. */
static uint16_t damage_index(struct gvq *vq)
{
	vq_set_avail_idx(vq, vq->avail_idx + vq->num + 1);
	return vq->avail_idx;
}

static uint16_t damage_index_back(struct gvq *vq)
{
	vq_set_avail_idx(vq, vq->avail_idx - 1);
	return vq->avail_idx;
}

static const struct {
	const char *word;
	uint16_t (*damage)(struct gvq *vq);
} damages[] = {
	{ "head", damage_head },
	{ "index", damage_index },
	{ "index", damage_index_back },
};

static void expect_damage(const struct shown *s, const char *word,
			  uint16_t index)
{
	EXPECT_TRUE(shown_is(s, 0, "damage", word));
	EXPECT_EQ(index, shown_number(s, 0, "damage_index"));
	EXPECT_TRUE(shown_is(s, 1, "damage", "none"));
}

TEST_F(disk, damaged_ring_is_shown)
{
	static const struct mix some = { 3, 2, 1, 1, 1, 0, 0, 0 };
	static const struct counts none;
	struct attached *a = &self->a;
	struct gvq *vq = self->vq;
	struct mix m = { 0 };
	uint16_t base, index;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(damages); i++) {
		mix_run(a, vq, &m, &some);
		base = vq->avail_idx;
		ASSERT_TRUE(shown_wait_asleep(&self->s, 0));
		expect_damage(&self->s, "none", 0);
		index = damages[i].damage(vq);
		vq_kick(vq);
		ASSERT_EQ(1, event_wait(vq->err, G_WAIT_MS));
		EXPECT_TRUE(shown_state_is(&self->s, 0, "damaged"));
		expect_damage(&self->s, damages[i].word, index);
		EXPECT_TRUE(shown_wait_asleep(&self->s, 1));
		expect_mix(&self->s, 0, &none, &m);
		expect_at_rest(&self->s, 0);

		ASSERT_EQ(0, guest_set_backend(a->g, -1));
		EXPECT_TRUE(shown_state_is(&self->s, 0, "stopped"));
		expect_damage(&self->s, damages[i].word, index);
		vq->avail_idx = base;
		vq_publish(vq);
		ASSERT_EQ(0, guest_set_backend(a->g, a->d.fd));
		EXPECT_TRUE(shown_wait_asleep(&self->s, 0));
		expect_damage(&self->s, "none", 0);
	}
	EXPECT_EQ(0, still_serves(a, vq));
}

/*
 * Under load
 */

/* Keeps eight requests under way for a while, calling @look now and then. */
static void load(struct gvq *vq, int ms, void (*look)(const struct shown *s),
		 const struct shown *s)
{
	int64_t end = now_ms() + ms;
	struct greq *r[8];
	unsigned int i;

	do {
		for (i = 0; i < ARRAY_SIZE(r); i++) {
			r[i] = req_new(vq, VIRTIO_BLK_T_IN, i * 8);
			ASSERT_EQ(0, req_frame(r[i], "16 / 4096@0 1"));
			ASSERT_EQ(0, req_submit(r[i]));
		}
		if (look)
			look(s);
		ASSERT_TRUE(vq_wait_idle(vq, G_WAIT_MS));
		for (i = 0; i < ARRAY_SIZE(r); i++) {
			EXPECT_EQ(0, req_check(r[i], VIRTIO_BLK_S_OK));
			req_free(r[i]);
		}
	} while (now_ms() < end);
}

/* The files are read one after the other, and polling under way is in none. */
static bool times_add_up(const struct shown *s, unsigned int q)
{
	uint64_t before, after, sum;

	before = shown_stat(s, q, "lifetime_ns");
	sum = shown_stat(s, q, "busy_ns") + halt_ns(s, q);
	after = shown_stat(s, q, "lifetime_ns");
	if (sum <= after + after / 100 && sum >= before - before / 100)
		return true;
	ksft_log("%llu ns in all, of a life of %llu to %llu",
		 (unsigned long long)sum, (unsigned long long)before,
		 (unsigned long long)after);
	return false;
}

static unsigned int times_looked, times_wrong;

static void look_at_times(const struct shown *s)
{
	times_looked++;
	times_wrong += !times_add_up(s, 0);
}

TEST_F(disk, times_add_up_to_the_lifetime)
{
	uint64_t before = shown_stat(&self->s, 0, "lifetime_ns");
	int64_t start = now_ms(), ms;
	uint64_t lived;

	usleep(1000000);
	EXPECT_TRUE(times_add_up(&self->s, 0));
	EXPECT_TRUE(times_add_up(&self->s, 1));
	load(self->vq, 1000, look_at_times, &self->s);
	ksft_log("%u looks, %u off", times_looked, times_wrong);
	/* one may come when a worker's core has been taken away */
	EXPECT_LE(times_wrong, 1 + times_looked / 20);
	EXPECT_TRUE(times_add_up(&self->s, 1));

	lived = shown_stat(&self->s, 0, "lifetime_ns") - before;
	ms = now_ms() - start;
	EXPECT_GE(lived / 1000000, ms - ms / 20 - 20);
	EXPECT_LE(lived / 1000000, ms + ms / 20 + 20);

	/* A queue without a worker does not get older. */
	ASSERT_EQ(0, guest_set_backend(self->a.g, -1));
	lived = shown_stat(&self->s, 0, "lifetime_ns");
	EXPECT_EQ(lived, shown_stat(&self->s, 0, "busy_ns") +
			 halt_ns(&self->s, 0));
	usleep(20000);
	EXPECT_EQ(lived, shown_stat(&self->s, 0, "lifetime_ns"));
	ASSERT_EQ(0, guest_set_backend(self->a.g, self->a.d.fd));
}

TEST_F(disk, counters_survive_the_disk)
{
	static const struct mix some = { 20, 10, 3, 2, 0, 0, 0, 0 };
	static const struct counts none;
	struct counts before, after;
	struct mix m = { 0 };
	unsigned int round;

	counts_take(&before, &self->s, 0);
	for (round = 0; round < 4; round++) {
		mix_run(&self->a, self->vq, &m, &some);
		ASSERT_TRUE(shown_wait_asleep(&self->s, 0));
		expect_mix(&self->s, 0, &none, &m);
		counts_take(&after, &self->s, 0);
		expect_not_shrunk(&before, &after);

		ASSERT_EQ(0, guest_set_backend(self->a.g, -1));
		counts_take(&before, &self->s, 0);
		expect_not_shrunk(&after, &before);
		expect_stopped(&self->s, 0);
		if (round & 1)
			ASSERT_EQ(0, guest_set_mem(self->a.g));
		ASSERT_EQ(0, guest_set_backend(self->a.g, self->a.d.fd));
		counts_take(&after, &self->s, 0);
		expect_not_shrunk(&before, &after);
		expect_mix(&self->s, 0, &none, &m);
		before = after;
	}
}

/*
 * Readers
 */

struct reader {
	const char *dir;
	bool stop;
	unsigned int files, bad;	/* read, and not as they should be */
	int longest_ms;
};

static bool well_formed(const char *path, const char *text, int len)
{
	/* numbers everywhere but in three files: no pointers, no guest data */
	const char *allowed = "0123456789 -\n", *name = strrchr(path, '/') + 1;

	if (!strcmp(name, "state") || !strcmp(name, "cpu_why") ||
	    !strcmp(name, "damage"))
		allowed = "abcdefghijklmnopqrstuvwxyz\n";
	return len > 0 && text[len - 1] == '\n' &&
	       strspn(text, allowed) == (size_t)len;
}

/* Reads all files; those that vanish meanwhile are no mistake. */
static void walk(struct reader *rd, const char *dir, bool queue)
{
	DIR *d = opendir(dir);
	char path[600], text[4200];
	struct dirent *e;
	int64_t start;
	int n, ms;

	while (d && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%.340s/%s", dir, e->d_name);
		if (e->d_type == DT_DIR)
			walk(rd, path, queue || !strcmp(e->d_name, "queues"));
		if (e->d_type != DT_REG)
			continue;
		start = now_ms();
		n = file_get(path, text, sizeof(text));
		ms = now_ms() - start;
		if (ms > rd->longest_ms)
			rd->longest_ms = ms;
		if (n < 0)
			continue;
		rd->files++;
		if (queue && !well_formed(path, text, n))
			rd->bad++;
	}
	if (d)
		closedir(d);
}

static void *read_on(void *arg)
{
	struct reader *rd = arg;

	while (!__atomic_load_n(&rd->stop, __ATOMIC_RELAXED))
		walk(rd, rd->dir, false);
	return NULL;
}

#define READERS 8

static void read_through_a_life(bool detach)
{
	struct reader rd[READERS] = { 0 };
	struct attached a = { 0 };
	pthread_t thread[READERS];
	struct shown s;
	unsigned int i;

	attach(&a, NULL);
	shown_find(&s, a.g);
	for (i = 0; i < READERS; i++) {
		rd[i].dir = s.dir;
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, read_on, &rd[i]));
	}
	load(a.vq, 1000, NULL, NULL);
	/* A slow machine needs more until each has read enough. */
	for (i = 0; i < READERS; i++)
		while (__atomic_load_n(&rd[i].files, __ATOMIC_RELAXED) <= 50)
			load(a.vq, 100, NULL, NULL);
	if (detach)
		ASSERT_EQ(0, guest_set_backend(a.g, -1));
	ASSERT_EQ(0, close(a.g->fd));
	a.g->fd = -1;
	/* gone with close(), whoever reads */
	EXPECT_ERRNO(ENOENT, access(s.dir, F_OK));
	usleep(20000);
	for (i = 0; i < READERS; i++) {
		__atomic_store_n(&rd[i].stop, true, __ATOMIC_RELAXED);
		ASSERT_EQ(0, pthread_join(thread[i], NULL));
		EXPECT_GT(rd[i].files, 50);
		EXPECT_EQ(0, rd[i].bad);
	}
	ksft_log("%u files read by one of %d", rd[0].files, READERS);
	EXPECT_EQ(0, guest_check(a.g));
	guest_delete(a.g);
	disk_close(&a.d);
}

TEST(read_by_many_under_load_and_when_closed)
{
	unsigned int round;

	for (round = 0; round < 4; round++)
		read_through_a_life(round & 1);
}

static void *detach_now(void *arg)
{
	struct attached *a = arg;

	return guest_set_backend(a->g, -1) ? a : NULL;
}

/* Everything can be read at once, no matter what the device waits for. */
static void expect_readable(const struct shown *s)
{
	struct reader rd = { .dir = s->dir };

	walk(&rd, rd.dir, false);
	EXPECT_GT(rd.files, 50);
	EXPECT_EQ(0, rd.bad);
	EXPECT_LE(rd.longest_ms, scaled_ms(200));
}

/* All requests to KSFT_DELAY_LONG take 3 s. */
TEST(stuck_request_has_an_age)
{
	struct attached a = { 0 };
	uint64_t age, later;
	int64_t start, ms;
	pthread_t thread;
	struct greq *r;
	struct shown s;
	void *failed;

	attach_path(&a, special_path("KSFT_DELAY_LONG"), O_RDWR, NULL);
	shown_find(&s, a.g);
	r = req_new(a.vq, VIRTIO_BLK_T_IN, 0);
	ASSERT_EQ(0, req_frame(r, "16 / 4096@0 1"));
	start = now_ms();
	ASSERT_EQ(0, req_submit(r));
	while (!shown_number(&s, 0, "oldest_request_ns")) {
		ASSERT_LE(now_ms() - start, 2000);
		usleep(1000);
	}
	EXPECT_EQ(1, shown_number(&s, 0, "in_flight"));
	EXPECT_EQ(1, shown_number(&s, 0, "pinned_pages"));
	age = shown_number(&s, 0, "oldest_request_ns");
	usleep(300000);
	later = shown_number(&s, 0, "oldest_request_ns");
	ms = now_ms() - start;
	EXPECT_GE(later, age + 290000000);
	EXPECT_LE(later / 1000000, ms + ms / 20 + 10);
	EXPECT_TRUE(shown_state_is(&s, 0, "wait"));
	expect_readable(&s);

	/* Detaching waits for it and holds what the control path holds. */
	ASSERT_EQ(0, pthread_create(&thread, NULL, detach_now, &a));
	usleep(200000);
	expect_readable(&s);
	age = later;
	later = shown_number(&s, 0, "oldest_request_ns");
	EXPECT_GT(later, age);
	EXPECT_FALSE(vq_reap(a.vq));
	ASSERT_EQ(0, pthread_join(thread, &failed));
	EXPECT_FALSE(failed);
	EXPECT_EQ(1, vq_reap(a.vq));
	EXPECT_EQ(0, req_check(r, VIRTIO_BLK_S_OK));
	expect_stopped(&s, 0);
	EXPECT_GE(shown_stat(&s, 0, "device_latency_ns"), 2900000000);
	detach_checked(&a);
}

/*
 * What else is shown
 */

static const struct {
	const char *name;
	uint64_t max;
} tunables[] = {
	{ "poll_ns_max", 1000000000 },
	{ "poll_ns_grow", 1024 },
	{ "poll_ns_grow_start", 1000000000 },
	{ "poll_ns_shrink", 1024 },
	{ "hold_us", 10000 },
	{ "poll_device", 1 },
};

static void expect_refused(const struct shown *s, const char *name,
			   uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	EXPECT_ERRNO(EINVAL, shown_tune(s, 0, name, text));
}

TEST_F(disk, tunables_can_be_written_and_read_back)
{
	static const char * const garbage[] = {
		"abc", "-1", "1.5", "7x", "12 13", " ", "0x", "1\n2\n",
	};
	const struct shown *s = &self->s;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(tunables); i++) {
		const char *name = tunables[i].name;
		uint64_t max = tunables[i].max, param = shown_param(name);

		EXPECT_EQ(param, shown_number(s, 0, name));
		shown_set(s, 0, name, max > 17 ? 17 : max);
		shown_set(s, 0, name, 0);
		ASSERT_EQ(0, shown_tune(s, 0, name, "0x01"));
		EXPECT_EQ(1, shown_number(s, 0, name));
		shown_set(s, 0, name, max);

		expect_refused(s, name, max + 1);
		expect_refused(s, name, ~0U);
		EXPECT_TRUE(shown_tune(s, 0, name, "4294967296") < 0);
		EXPECT_TRUE(shown_tune(s, 0, name, "18446744073709551617") < 0);
		for (k = 0; k < ARRAY_SIZE(garbage); k++)
			EXPECT_ERRNO(EINVAL,
				     shown_tune(s, 0, name, garbage[k]));
		EXPECT_EQ(max, shown_number(s, 0, name));

		/* its own, and no other queue's */
		EXPECT_EQ(param, shown_number(s, 1, name));
		EXPECT_EQ(param, shown_param(name));
		ASSERT_EQ(0, guest_set_backend(self->a.g, -1));
		EXPECT_EQ(max, shown_number(s, 0, name));
		ASSERT_EQ(0, guest_set_backend(self->a.g, self->a.d.fd));
		EXPECT_EQ(max, shown_number(s, 0, name));

		ASSERT_EQ(0, shown_tune(s, 0, name, "\n"));
		EXPECT_EQ(param, shown_number(s, 0, name));
	}
}

TEST_F(disk, module_parameter_holds_where_nothing_is_set)
{
	const char *param = SHOWN_PARAMS "/hold_us";
	uint64_t was = shown_param("hold_us");
	char text[32];

	ASSERT_EQ(0, file_put(param, "123\n"));
	EXPECT_EQ(123, shown_number(&self->s, 0, "hold_us"));
	shown_set(&self->s, 0, "hold_us", 7);
	ASSERT_EQ(0, file_put(param, "124\n"));
	EXPECT_EQ(7, shown_number(&self->s, 0, "hold_us"));
	EXPECT_EQ(124, shown_number(&self->s, 1, "hold_us"));
	EXPECT_ERRNO(EINVAL, file_put(param, "10001\n"));
	EXPECT_ERRNO(EINVAL, file_put(param, "many\n"));
	EXPECT_EQ(124, shown_param("hold_us"));
	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)was);
	ASSERT_EQ(0, file_put(param, text));
	ASSERT_EQ(0, shown_tune(&self->s, 0, "hold_us", "\n"));
	EXPECT_EQ(was, shown_number(&self->s, 0, "hold_us"));
}

TEST_F(disk, busyloop_timeout_sets_the_longest_window)
{
	struct vhost_vring_state st = { .index = 0, .num = 333 };
	int fd = self->a.g->fd;

	ASSERT_EQ(0, ioctl(fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &st));
	EXPECT_EQ(333000, shown_number(&self->s, 0, "poll_ns_max"));
	EXPECT_EQ(shown_param("poll_ns_max"),
		  shown_number(&self->s, 1, "poll_ns_max"));

	shown_set(&self->s, 0, "poll_ns_max", 44000);
	st.num = 0;
	ASSERT_EQ(0, ioctl(fd, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, &st));
	EXPECT_EQ(44, st.num);

	st.num = 1000001;
	EXPECT_ERRNO(EINVAL, ioctl(fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &st));
	st.num = ~0U;
	EXPECT_ERRNO(EINVAL, ioctl(fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &st));
	EXPECT_EQ(44000, shown_number(&self->s, 0, "poll_ns_max"));
	st.num = 1000000;
	EXPECT_EQ(0, ioctl(fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &st));
	EXPECT_EQ(1000000000, shown_number(&self->s, 0, "poll_ns_max"));
	st.num = 0;
	EXPECT_EQ(0, ioctl(fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &st));
	EXPECT_EQ(0, shown_number(&self->s, 0, "poll_ns_max"));
}

static bool is_tunable(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tunables); i++)
		if (!strcmp(name, tunables[i].name))
			return true;
	return false;
}

/* The mode of each file in a directory; the number of tunables. */
static unsigned int expect_modes(const char *dir, unsigned int *files)
{
	DIR *d = opendir(dir);
	unsigned int n = 0;
	struct dirent *e;
	struct stat st;

	ASSERT_TRUE(d);
	while ((e = readdir(d))) {
		unsigned int mode = 0444;

		if (is_tunable(e->d_name) || !strcmp(e->d_name, "cpu"))
			mode = 0644;
		if (e->d_type != DT_REG || !strcmp(e->d_name, "uevent"))
			continue;
		ASSERT_EQ(0, fstatat(dirfd(d), e->d_name, &st, 0));
		if ((st.st_mode & 07777) != mode || st.st_uid)
			ksft_log("%s", e->d_name);
		EXPECT_EQ(mode, st.st_mode & 07777);
		EXPECT_EQ(0, st.st_uid);
		n += is_tunable(e->d_name);
		++*files;
	}
	closedir(d);
	return n;
}

TEST_F(disk, all_may_read_and_only_root_may_tune)
{
	char line[64], dir[400];
	unsigned int files = 0;

	EXPECT_EQ(0, expect_modes(self->s.dir, &files));
	EXPECT_EQ(5, files);
	snprintf(dir, sizeof(dir), "%s", shown_path(&self->s, 0, ""));
	EXPECT_EQ(ARRAY_SIZE(tunables), expect_modes(dir, &files));
	snprintf(dir, sizeof(dir), "%s", shown_path(&self->s, 0, "stats"));
	EXPECT_EQ(0, expect_modes(dir, &files));
	expect_readable(&self->s);

	ASSERT_EQ(0, seteuid(65534));
	shown_device(&self->s, "serial", line, sizeof(line));
	shown_stat(&self->s, 0, "chains");
	EXPECT_ERRNO(EACCES, shown_tune(&self->s, 0, "hold_us", "1"));
	EXPECT_ERRNO(EACCES, shown_tune(&self->s, 0, "stats/chains", "1"));
	ASSERT_EQ(0, seteuid(0));
	EXPECT_EQ(shown_param("hold_us"),
		  shown_number(&self->s, 0, "hold_us"));
}

TEST_F(disk, device_and_worker_can_be_told_from_others)
{
	char line[64], want[64], path[64];
	const struct shown *s = &self->s;
	unsigned int major, minor, q;
	struct stat st;

	shown_device(s, "state", line, sizeof(line));
	EXPECT_STREQ("attached", line);
	ASSERT_EQ(0, fstat(self->a.d.fd, &st));
	shown_device(s, "backend", line, sizeof(line));
	ASSERT_EQ(2, sscanf(line, "%u:%u", &major, &minor));
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major, minor);
	EXPECT_STREQ(self->a.d.stat, path);
	shown_device(s, "features", line, sizeof(line));
	snprintf(want, sizeof(want), "%#llx",
		 (unsigned long long)self->a.g->features);
	EXPECT_STREQ(want, line);

	for (q = 0; q < 2; q++) {
		EXPECT_EQ(256, shown_number(s, q, "size"));
		snprintf(path, sizeof(path), "/proc/%llu/comm",
			 (unsigned long long)shown_number(s, q, "worker"));
		file_line(path, line, sizeof(line));
		snprintf(want, sizeof(want), "vblk-%d/%u", getpid(), q);
		EXPECT_STREQ(want, line);
	}

	ASSERT_EQ(0, guest_set_backend(self->a.g, -1));
	shown_device(s, "state", line, sizeof(line));
	EXPECT_STREQ("detached", line);
	shown_device(s, "backend", line, sizeof(line));
	EXPECT_STREQ("none", line);
	EXPECT_EQ(0, shown_number(s, 0, "worker"));
	ASSERT_EQ(0, guest_set_backend(self->a.g, self->a.d.fd));
}

/* The next owner sees nothing of the last one's queues. */
TEST(reset_owner_takes_the_queues_away)
{
	struct attached a = { 0 };
	char line[64];
	struct shown s;

	attach(&a, NULL);
	shown_find(&s, a.g);
	EXPECT_EQ(0, still_serves(&a, a.vq));
	ASSERT_EQ(0, ioctl(a.g->fd, VHOST_RESET_OWNER));
	EXPECT_ERRNO(ENOENT, access(shown_path(&s, 0, "state"), F_OK));
	shown_device(&s, "state", line, sizeof(line));
	EXPECT_STREQ("unowned", line);
	shown_device(&s, "owner", line, sizeof(line));
	EXPECT_STREQ("0", line);
	shown_device(&s, "features", line, sizeof(line));
	EXPECT_STREQ("0x0", line);
	EXPECT_GE(vq_reap(a.vq), 0);
	EXPECT_EQ(0, guest_check(a.g));
}

TEST_HARNESS_MAIN
