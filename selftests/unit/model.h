/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A second reading of the standard (virtio 1.2: 2.7 "Split Virtqueues", 5.2.6
 * "Block Device: Device Operation"), for comparison with the module's. It works
 * on the bytes of the ring and takes the simplest way: bytes one by one, lists
 * searched from the start, numbers of 128 bits. Where the standard leaves a
 * choice or the module has a limit, the choice is marked "Choice:" in model.c.
 */
#ifndef MODEL_H
#define MODEL_H

#include "rig.h"

enum model_verdict {
	MODEL_EMPTY,	 /* nothing available */
	MODEL_DAMAGED,	 /* the ring cannot be used any more */
	MODEL_MALFORMED, /* no request, or none that can be answered */
	MODEL_INVALID,	 /* to be answered with an I/O error */
	MODEL_UNREACHABLE, /* the same: not in guest memory */
	MODEL_MISALIGNED, /* the same: the disk has only whole blocks */
	MODEL_BEYOND,	 /* the same: the disk ends before */
	MODEL_PROTECTED, /* the same: the disk is not to be written to */
	MODEL_GOOD,
};

struct model_ring {
	const struct rig *rig;
	bool event_idx, indirect;
	u16 next_avail; /* entry to take next */
	u16 seen_avail; /* driver's index when it was last looked at */
	u16 next_used;	/* entry to fill next */
	u16 shown_used;
	u16 called; /* shown when it was last thought of an interrupt */
	bool kicks_off;
};

struct model_piece {
	u64 gpa, len;
	bool writable;
};

struct model_chain {
	u16 id;
	unsigned int n;
	struct model_piece piece[VHOST_BLK_MAX_DESC];
};

struct model_run {
	u64 hva, len;
};

struct model_request {
	u32 type;
	u64 sector;
	u64 status; /* address in this process */
	u64 data_len;
	unsigned int n;
	struct model_run run[VHOST_BLK_MAX_SPANS];
};

/* How many are available, -1 when the index is no good. */
int model_fetch(struct model_ring *m);
/* EMPTY, DAMAGED, MALFORMED with chain->id, or GOOD. */
enum model_verdict model_pop(struct model_ring *m, struct model_chain *chain);
/* MALFORMED, INVALID with request->status, or GOOD. */
enum model_verdict model_parse(const struct vhost_memory_region *region,
			       unsigned int nr, bool le,
			       const struct model_chain *chain,
			       struct model_request *req);
/* INVALID or GOOD, for requests of the types IN and OUT. */
enum model_verdict model_check_rw(const struct model_request *req,
				  const struct vhost_blk_limits *limits);

enum model_bounce { MODEL_NEVER, MODEL_MAY, MODEL_MUST };

/* Can the data go to the device in place? @pages: how many then. */
enum model_bounce model_bounce(const struct model_request *req,
			       const struct vhost_blk_limits *limits,
			       unsigned int *pages);
/* Does the driver want to hear of an entry between ->called and ->shown_used? */
bool model_wants_call(const struct model_ring *m);

#endif /* MODEL_H */
