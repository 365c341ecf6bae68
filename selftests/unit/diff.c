// SPDX-License-Identifier: GPL-2.0-only
#include "diff.h"

#include <stdarg.h>
#include <stdio.h>

static void __attribute__((format(printf, 2, 3)))
differs(struct diff *d, const char *fmt, ...)
{
	va_list ap;

	if (d->failed)
		return;
	d->failed = true;
	va_start(ap, fmt);
	vsnprintf(d->why, sizeof(d->why), fmt, ap);
	va_end(ap);
}

static void same(struct diff *d, const char *what, u64 got, u64 want)
{
	if (got != want)
		differs(d, "%s: %#llx instead of %#llx", what, got, want);
}

const char *diff_outcome_name(enum diff_outcome outcome)
{
	static const char *const names[DIFF_OUTCOMES] = {
		[DIFF_EMPTY] = "empty",		[DIFF_DAMAGED] = "damaged",
		[DIFF_MALFORMED] = "malformed", [DIFF_NO_STATUS] = "no_status",
		[DIFF_INVALID] = "invalid",	[DIFF_REFUSED] = "refused",
		[DIFF_IN_PLACE] = "in_place",	[DIFF_BOUNCED] = "bounced",
		[DIFF_OTHER] = "other",
	};

	return names[outcome];
}

struct diff *diff_new(struct rig *rig)
{
	struct diff *d = calloc(1, sizeof(*d));

	if (!d) {
		perror("diff");
		exit(1);
	}
	d->rig = rig;
	d->model.rig = rig;
	d->model.event_idx = rig->ring.event_idx;
	d->model.indirect = rig->ring.indirect;
	return d;
}

int diff_start(struct diff *d, u16 base)
{
	unsigned int used = rig_used_idx(d->rig);
	unsigned int under_way = (0x10000 + base - used) % 0x10000;
	int ret = vhost_blk_ring_start(&d->rig->ring, base);

	same(d, "start", (u64)ret, under_way > d->rig->num ? -EINVAL : 0);
	if (ret)
		return ret;
	same(d, "used.flags", d->model.event_idx ? 0 : rig_used_flags(d->rig),
	     0);
	if (d->model.event_idx)
		same(d, "avail_event", rig_avail_event(d->rig), base);
	d->model.kicks_off = false;
	d->model.next_avail = base;
	d->model.seen_avail = base;
	d->model.next_used = used;
	d->model.shown_used = used;
	d->model.called = used;
	return 0;
}

static void same_chain(struct diff *d)
{
	const struct vhost_blk_chain *c = d->rig->chain;
	const struct model_chain *m = &d->chain;
	u64 out_len = 0, in_len = 0;
	unsigned int i, out = 0;

	for (i = 0; i < m->n; i++) {
		*(m->piece[i].writable ? &in_len : &out_len) += m->piece[i].len;
		out += !m->piece[i].writable;
	}
	same(d, "nr_out", c->nr_out, out);
	same(d, "nr_in", c->nr_in, m->n - out);
	same(d, "out_len", c->out_len, out_len);
	same(d, "in_len", c->in_len, in_len);
	for (i = 0; i < m->n && !d->failed; i++) {
		same(d, "seg.gpa", c->seg[i].gpa, m->piece[i].gpa);
		same(d, "seg.len", c->seg[i].len, m->piece[i].len);
	}
}

static void same_request(struct diff *d)
{
	const struct vhost_blk_cmd *c = &d->cmd;
	const struct model_request *m = &d->req;
	unsigned int i;

	same(d, "type", c->type, m->type);
	same(d, "sector", c->sector, m->sector);
	same(d, "data_len", c->data_len, m->data_len);
	same(d, "nr_spans", c->nr_spans, m->n);
	for (i = 0; i < m->n && !d->failed; i++) {
		same(d, "span.hva", c->span[i].hva, m->run[i].hva);
		same(d, "span.len", c->span[i].len, m->run[i].len);
	}
}

void diff_check_rw(struct diff *d, const struct vhost_blk_limits *limits,
		   enum diff_outcome *outcome)
{
	static const enum vhost_blk_fault faults[] = {
		[MODEL_MISALIGNED] = VHOST_BLK_FAULT_ALIGNMENT,
		[MODEL_BEYOND] = VHOST_BLK_FAULT_RANGE,
		[MODEL_PROTECTED] = VHOST_BLK_FAULT_READ_ONLY,
		[MODEL_GOOD] = VHOST_BLK_FAULT_NONE,
	};
	enum model_verdict want = model_check_rw(&d->req, limits);
	enum vhost_blk_fault got = vhost_blk_cmd_check_rw(&d->cmd, limits);
	enum model_bounce bounce;
	unsigned int pages;

	same(d, "check_rw", got, faults[want]);
	*outcome = DIFF_REFUSED;
	if (got != VHOST_BLK_FAULT_NONE)
		return;

	bounce = model_bounce(&d->req, limits, &pages);
	if (bounce == MODEL_MUST && !d->cmd.bounce)
		differs(d, "does not bounce");
	if (bounce == MODEL_NEVER && d->cmd.bounce)
		differs(d, "bounces without need");
	same(d, "nr_pages", d->cmd.nr_pages,
	     d->cmd.bounce ? (d->req.data_len + 4095) / 4096 : pages);
	*outcome = d->cmd.bounce ? DIFF_BOUNCED : DIFF_IN_PLACE;
}

enum diff_outcome diff_parse(struct diff *d,
			     const struct vhost_blk_limits *limits)
{
	struct rig_mem *mem = d->rig->mem;
	enum diff_outcome outcome;
	static const int results[] = {
		[MODEL_MALFORMED] = -EBADMSG,
		[MODEL_INVALID] = -EINVAL,
		[MODEL_UNREACHABLE] = -EFAULT,
		[MODEL_GOOD] = 0,
	};
	enum model_verdict want;
	int got;

	want = model_parse(mem->region, RIG_REGIONS, d->rig->le, &d->chain,
			   &d->req);
	got = vhost_blk_cmd_parse(d->rig->chain, &mem->view, d->rig->le,
				  &d->cmd);
	d->parsed = got;
	same(d, "parse", (u64)got, (u64)results[want]);
	if (got == -EBADMSG || d->failed)
		return DIFF_NO_STATUS;
	same(d, "status_hva", d->cmd.status_hva, d->req.status);
	if (got)
		return DIFF_INVALID;
	same_request(d);
	if (d->cmd.type > 1 || d->failed)
		return DIFF_OTHER;
	diff_check_rw(d, limits, &outcome);
	return outcome;
}

void diff_fetch(struct diff *d)
{
	int want = model_fetch(&d->model);

	same(d, "fetch", (u64)vhost_blk_ring_fetch(&d->rig->ring),
	     (u64)(want < 0 ? -EPROTO : want));
	same(d, "last_avail", d->rig->ring.last_avail, d->model.next_avail);
}

static enum diff_outcome diff_pop_one(struct diff *d,
				      const struct vhost_blk_limits *limits)
{
	static const int rets[] = {
		[MODEL_EMPTY] = 0,
		[MODEL_DAMAGED] = -EPROTO,
		[MODEL_MALFORMED] = -EBADMSG,
		[MODEL_GOOD] = 1,
	};
	enum model_verdict want = model_pop(&d->model, &d->chain);
	bool empty = vhost_blk_ring_empty(&d->rig->ring);
	int got = vhost_blk_ring_pop(&d->rig->ring, d->rig->chain);

	same(d, "empty", empty, want == MODEL_EMPTY);
	same(d, "pop", got, rets[want]);
	same(d, "last_avail", d->rig->ring.last_avail, d->model.next_avail);
	if (d->failed || want == MODEL_EMPTY)
		return DIFF_EMPTY;
	if (want == MODEL_DAMAGED)
		return DIFF_DAMAGED;
	same(d, "id", d->rig->chain->id, d->chain.id);
	if (want == MODEL_MALFORMED)
		return DIFF_MALFORMED;
	same_chain(d);
	return diff_parse(d, limits);
}

enum diff_outcome diff_pop(struct diff *d,
			   const struct vhost_blk_limits *limits)
{
	enum diff_outcome outcome = diff_pop_one(d, limits);

	d->count[outcome]++;
	return outcome;
}

void diff_push(struct diff *d, u16 id, u32 len)
{
	unsigned int slot = d->model.next_used++ % d->rig->num;

	vhost_blk_ring_push(&d->rig->ring, id, len);
	same(d, "used.id", rig_used_id(d->rig, slot), id);
	same(d, "used.len", rig_used_len(d->rig, slot), len);
	same(d, "used.idx", rig_used_idx(d->rig), d->model.shown_used);
}

void diff_publish(struct diff *d)
{
	u16 nr = d->model.next_used - d->model.shown_used;

	same(d, "published", vhost_blk_ring_publish(&d->rig->ring), nr);
	d->model.shown_used = d->model.next_used;
	same(d, "used.idx", rig_used_idx(d->rig), d->model.shown_used);
}

void diff_call(struct diff *d)
{
	if (d->model.shown_used == d->model.called)
		return;
	same(d, "call", vhost_blk_ring_wants_call(&d->rig->ring),
	     model_wants_call(&d->model));
	vhost_blk_ring_called(&d->rig->ring);
	d->model.called = d->model.shown_used;
}

void diff_kicks_off(struct diff *d)
{
	vhost_blk_ring_kicks_off(&d->rig->ring);
	d->model.kicks_off = true;
	/* 2.7.10.2: with EVENT_IDX the flags are 0. */
	same(d, "used.flags", rig_used_flags(d->rig), !d->model.event_idx);
}

void diff_kicks_on(struct diff *d)
{
	struct model_ring look = d->model;
	struct model_chain chain;

	same(d, "kicks_on", vhost_blk_ring_kicks_on(&d->rig->ring),
	     model_pop(&look, &chain) != MODEL_EMPTY);
	same(d, "used.flags", rig_used_flags(d->rig), 0);
	/* 2.7.10.2: the next entry is the one to tell of. */
	if (d->model.event_idx && d->model.kicks_off)
		same(d, "avail_event", rig_avail_event(d->rig),
		     d->model.next_avail);
	d->model.kicks_off = false;
}
