/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which workers share which cores, by load. Algorithm only, no lock, no clock.
 */
#ifndef VHOST_BLK_PACK_H
#define VHOST_BLK_PACK_H

#include "core_internal.h"

/**
 * struct vhost_blk_pack_worker - a worker to be packed
 * @load: share of a core that it used lately, in per mille
 * @quiet: looks in a row that found it idle; kept by vhost_blk_pack_look()
 * @core: where it is, and where it shall be: index of a core
 */
struct vhost_blk_pack_worker {
	unsigned int load;
	unsigned int quiet;
	unsigned int core;
};

/* Looks in a row before a worker counts as idle, or cores are given up. */
#define VHOST_BLK_PACK_QUIET 10U

bool vhost_blk_pack_look(struct vhost_blk_pack_worker *worker);
void vhost_blk_pack(struct vhost_blk_pack_worker **workers, unsigned int nr,
		    unsigned int *core_load, unsigned int nr_cores);

#endif /* VHOST_BLK_PACK_H */
