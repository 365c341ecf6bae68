/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module and the model, step by step side by side. Where they differ,
 * diff->failed is set, with the first difference in diff->why.
 */
#ifndef DIFF_H
#define DIFF_H

#include "model.h"

enum diff_outcome {
	DIFF_EMPTY,
	DIFF_DAMAGED,
	DIFF_MALFORMED, /* the chain */
	DIFF_NO_STATUS, /* the chain is good, but has no place for an answer */
	DIFF_INVALID,	/* does not parse */
	DIFF_REFUSED,	/* parses, may not be done */
	DIFF_IN_PLACE,
	DIFF_BOUNCED,
	DIFF_OTHER, /* neither IN nor OUT */
	DIFF_OUTCOMES
};

struct diff {
	struct rig *rig;
	struct model_ring model;
	struct model_chain chain;
	struct model_request req;
	struct vhost_blk_cmd cmd;
	int parsed; /* what vhost_blk_cmd_parse() said last */
	unsigned long count[DIFF_OUTCOMES];
	bool failed;
	char why[200];
};

const char *diff_outcome_name(enum diff_outcome outcome);
struct diff *diff_new(struct rig *rig);
/* Returns what vhost_blk_ring_start() does. */
int diff_start(struct diff *d, u16 base);
void diff_fetch(struct diff *d);
enum diff_outcome diff_pop(struct diff *d,
			   const struct vhost_blk_limits *limits);
void diff_push(struct diff *d, u16 id, u32 len);
void diff_publish(struct diff *d);
void diff_call(struct diff *d);
void diff_kicks_off(struct diff *d);
void diff_kicks_on(struct diff *d);

/* For chains that come from no ring. */
void diff_check_rw(struct diff *d, const struct vhost_blk_limits *limits,
		   enum diff_outcome *outcome);
enum diff_outcome diff_parse(struct diff *d,
			     const struct vhost_blk_limits *limits);

#endif /* DIFF_H */
