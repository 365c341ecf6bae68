/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A driver that does as little as can be done for a request, for what measures or
 * has to keep workers busy. A chain is written once, used again and again, and only
 * its status is looked at. Several may run at once, each on a queue of its own, once
 * all are set up. It takes the first descriptors of the queue, where nothing else may
 * be under way meanwhile.
 */
#ifndef LEAN_H
#define LEAN_H

#include "guest.h"

#define LEAN_BYTES	4096
#define LEAN_DESCS	3		/* of a chain */
#define LEAN_NO_TYPE	0x4242		/* answered without the disk */

struct lean_slot {
	struct virtio_blk_outhdr *hdr;
	uint8_t *status;
	uint64_t since;			/* ns; 0: free */
};

struct lean {
	struct gvq *vq;
	unsigned int depth, nr_spare;
	struct lean_slot *slots;
	unsigned int *spare;		/* a stack of free slots */
	uint64_t sectors, random;
	uint8_t good;			/* status that is expected */
	uint64_t chains, kicks;
	void (*ended)(uint64_t ns);	/* latency of each, or NULL */
};

uint64_t lean_now(void);		/* CLOCK_MONOTONIC in ns */

/* @type: VIRTIO_BLK_T_IN or LEAN_NO_TYPE. 0 or -1. */
int lean_init(struct lean *l, struct gvq *vq, unsigned int depth, uint32_t type,
	      uint64_t sectors);
void lean_free(struct lean *l);
/* Puts one into the ring, of which there must be a spare one. */
void lean_push(struct lean *l, uint64_t since);
/* Publishes all that was put there, and kicks if that is wanted. */
void lean_publish(struct lean *l);
/* What is complete: how many, -1 for a wrong answer. */
int lean_reap(struct lean *l);
/* No interrupt for what was reaped or comes soon; to be repeated. */
void lean_want_no_interrupt(struct lean *l);
/* Nothing under way: false if that takes more than @ms. */
bool lean_drain(struct lean *l, int ms);

#endif /* LEAN_H */
