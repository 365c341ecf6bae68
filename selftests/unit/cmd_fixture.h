/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of cmd.c have in common. */
#ifndef CMD_FIXTURE_H
#define CMD_FIXTURE_H

#include "ksft.h"
#include "diff.h"

#define IN VIRTIO_BLK_T_IN
#define OUT VIRTIO_BLK_T_OUT
#define SECTOR 0x123456789abcULL
#define HDR 0x1000 /* where the header usually is */

FIXTURE(cmd) {
	struct rig_mem *mem;
	struct rig *rig;
	struct diff *d;
	struct vhost_blk_chain *chain;
	struct vhost_blk_cmd *cmd;
};

FIXTURE_VARIANT(cmd) {
	bool cached;
};

FIXTURE_VARIANT_ADD(cmd, direct) { .cached = false };
FIXTURE_VARIANT_ADD(cmd, cached) { .cached = true };

FIXTURE_SETUP(cmd)
{
	self->mem = rig_mem_new();
	if (variant->cached)
		rig_mem_cache(self->mem);
	self->rig = rig_new(self->mem, 1, true, false, false);
	self->d = diff_new(self->rig);
	self->chain = self->rig->chain;
	self->cmd = &self->d->cmd;
}

FIXTURE_TEARDOWN(cmd)
{
	unit_hook = NULL;
	unit_fault.len = 0;
	free(self->d);
	rig_delete(self->rig);
	rig_mem_delete(self->mem);
}

static inline void chain_clear(struct cmd_data *self)
{
	memset(self->chain, 0xee, sizeof(*self->chain));
	self->chain->nr_out = 0;
	self->chain->nr_in = 0;
	self->chain->out_len = 0;
	self->chain->in_len = 0;
	self->d->chain.n = 0;
}

/* Appends a segment for the module and a piece for the model. */
static inline void seg(struct cmd_data *self, bool writable, u64 gpa, u64 len)
{
	struct vhost_blk_chain *c = self->chain;
	struct model_chain *m = &self->d->chain;

	if (!len)
		return;
	ASSERT_LT(m->n, VHOST_BLK_MAX_DESC);
	c->seg[m->n].gpa = gpa;
	c->seg[m->n].len = len;
	m->piece[m->n].gpa = gpa;
	m->piece[m->n].len = len;
	m->piece[m->n].writable = writable;
	m->n++;
	if (writable) {
		c->nr_in++;
		c->in_len += len;
	} else {
		c->nr_out++;
		c->out_len += len;
	}
}

static inline void put_header(struct cmd_data *self, u64 gpa, u32 type,
			      u64 sector)
{
	struct virtio_blk_outhdr hdr = {
		.type = __cpu_to_virtio32(self->rig->le, type),
		.ioprio = 0xffffffff,
		.sector = __cpu_to_virtio64(self->rig->le, sector),
	};

	rig_write(self->mem, gpa, &hdr, sizeof(hdr));
}

/* A chain with its header in a piece of its own; data and status to come. */
static inline void begin(struct cmd_data *self, u32 type, u64 sector)
{
	chain_clear(self);
	put_header(self, HDR, type, sector);
	seg(self, false, HDR, 16);
}

/* What the module makes of the chain; the model must agree. */
static inline int parse(struct cmd_data *self)
{
	static const struct vhost_blk_limits limits = { .read_only = true };

	memset(self->cmd, 0xdd, sizeof(*self->cmd));
	diff_parse(self->d, &limits);
	return self->d->parsed;
}

static inline void expect_agreed(struct cmd_data *self)
{
	if (self->d->failed)
		ksft_log("%s", self->d->why);
	ASSERT_FALSE(self->d->failed);
}

#define EXPECT_PARSE(want)                    \
	do {                                  \
		EXPECT_EQ(want, parse(self)); \
		expect_agreed(self);          \
	} while (0)

static inline u64 hva(struct cmd_data *self, u64 gpa)
{
	return (uintptr_t)rig_at(self->mem, gpa);
}

static inline void expect_span(struct cmd_data *self, unsigned int i, u64 gpa,
			       u32 len)
{
	ASSERT_LT(i, self->cmd->nr_spans);
	EXPECT_EQ(hva(self, gpa), self->cmd->span[i].hva);
	EXPECT_EQ(len, self->cmd->span[i].len);
}

#endif /* CMD_FIXTURE_H */
