// SPDX-License-Identifier: GPL-2.0-only
/*
 * Idle workers all belong on the first core: together they cost next to
 * nothing there. Each of the others wants room on its core. From the first core
 * on, a core takes workers until it is two thirds full; a worker that finds no
 * such core goes to the emptiest one. So the cores in use are the first few, as
 * many as the load needs.
 *
 * A worker that has found its place stays, so that nothing keeps moving: it
 * leaves a core that is full and not its own, and it moves down to an earlier
 * core when the last core in use could be given up.
 */
#include "pack.h"

/* In per mille of a core. */
#define VHOST_BLK_PACK_IDLE 10U
#define VHOST_BLK_PACK_ROOM 660U
#define VHOST_BLK_PACK_FULL 900U

/* A core is given up when its load fits below this elsewhere. */
#define VHOST_BLK_PACK_GIVE_UP 500U

/**
 * vhost_blk_pack_look() - take a worker's load into account
 * @worker: the worker, its load measured
 *
 * It is awake with the first look that finds work, and idle after
 * VHOST_BLK_PACK_QUIET looks without.
 *
 * Return: true while it counts as awake.
 */
bool vhost_blk_pack_look(struct vhost_blk_pack_worker *worker)
{
	if (worker->load >= VHOST_BLK_PACK_IDLE)
		worker->quiet = 0;
	else if (worker->quiet < VHOST_BLK_PACK_QUIET)
		worker->quiet++;
	return worker->quiet < VHOST_BLK_PACK_QUIET;
}

static bool vhost_blk_pack_idle(const struct vhost_blk_pack_worker *worker)
{
	return worker->quiet >= VHOST_BLK_PACK_QUIET;
}

static void vhost_blk_pack_move(struct vhost_blk_pack_worker *worker,
				unsigned int *core_load, unsigned int core)
{
	core_load[worker->core] -= worker->load;
	core_load[core] += worker->load;
	worker->core = core;
}

/* The first core below @end with room, or else the emptiest one. */
static unsigned int
vhost_blk_pack_find(const struct vhost_blk_pack_worker *worker,
		    const unsigned int *core_load, unsigned int end)
{
	unsigned int i, best = 0, least = UINT_MAX;

	for (i = 0; i < end; i++) {
		unsigned int load = core_load[i];

		if (i == worker->core)
			load -= worker->load;
		if (!load || load + worker->load <= VHOST_BLK_PACK_ROOM)
			return i;
		if (load < least) {
			least = load;
			best = i;
		}
	}
	return best;
}

/* The last core that has a worker which is awake. */
static unsigned int vhost_blk_pack_last(struct vhost_blk_pack_worker **workers,
					unsigned int nr)
{
	unsigned int i, last = 0;

	for (i = 0; i < nr; i++)
		if (!vhost_blk_pack_idle(workers[i]))
			last = max(last, workers[i]->core);
	return last;
}

/*
 * The workers of the last core in use go elsewhere if all of it fits on one
 * core, with some room to spare.
 */
static void vhost_blk_pack_give_up(struct vhost_blk_pack_worker **workers,
				   unsigned int nr, unsigned int *core_load)
{
	unsigned int i, to, last = vhost_blk_pack_last(workers, nr);

	for (to = 0; to < last; to++)
		if (core_load[to] + core_load[last] <= VHOST_BLK_PACK_GIVE_UP)
			break;
	if (to >= last)
		return;
	for (i = 0; i < nr; i++)
		if (workers[i]->core == last)
			vhost_blk_pack_move(workers[i], core_load, to);
}

/**
 * vhost_blk_pack() - say which worker belongs on which core
 * @workers: the workers, seen by vhost_blk_pack_look(); their cores are changed
 * @nr: their number
 * @core_load: room for a number per core
 * @nr_cores: cores, at least one; no worker is on a core beyond
 */
void vhost_blk_pack(struct vhost_blk_pack_worker **workers, unsigned int nr,
		    unsigned int *core_load, unsigned int nr_cores)
{
	unsigned int i;

	memset(core_load, 0, nr_cores * sizeof(*core_load));
	for (i = 0; i < nr; i++) {
		if (vhost_blk_pack_idle(workers[i]))
			workers[i]->core = 0;
		core_load[workers[i]->core] += workers[i]->load;
	}

	for (i = 0; i < nr; i++) {
		struct vhost_blk_pack_worker *worker = workers[i];
		unsigned int load = core_load[worker->core];

		if (load > VHOST_BLK_PACK_FULL && load > worker->load)
			vhost_blk_pack_move(worker, core_load,
					    vhost_blk_pack_find(worker,
								core_load,
								nr_cores));
	}
	vhost_blk_pack_give_up(workers, nr, core_load);
}
