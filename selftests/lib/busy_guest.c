// SPDX-License-Identifier: GPL-2.0-only
/*
 * For scripts: a guest that keeps a disk busy.
 *
 *	busy_guest DEVICE SECONDS
 *
 * One request after the other, writes and reads back what it wrote. Prints
 * "attached" when it begins and "N requests" at its end, after so many seconds
 * or SIGTERM; fails when a request
 * does, when data is wrong, or when one took longer than two seconds (times
 * KSFT_TIME_SCALE).
 */
#include "guest.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BYTES	4096
#define PLACES	64
#define LONGEST	2.0

static volatile sig_atomic_t stop;

static void on_term(int signal)
{
	(void)signal;
	stop = 1;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int round_trip(struct gvq *vq, unsigned int round)
{
	static char buf[BYTES];
	uint64_t sector = round % PLACES * (BYTES / 512);
	int ret;

	pattern_fill(buf, BYTES, sector, round);
	ret = guest_io_out(vq, sector, buf, BYTES, NULL);
	if (ret)
		return ret;
	memset(buf, 0, BYTES);
	ret = guest_io_in(vq, sector, buf, BYTES, NULL);
	if (!ret && pattern_check(buf, BYTES, sector, round) >= 0)
		ret = -1;
	return ret;
}

int main(int argc, char **argv)
{
	double end, before, now, longest = 0;
	unsigned int round = 0;
	const char *scale;
	struct guest *g;
	struct disk d;
	int ret = 0;

	if (argc != 3 || disk_open(&d, argv[1], O_RDWR))
		return 2;
	g = guest_start(NULL, d.fd);
	if (!g)
		return 2;
	signal(SIGTERM, on_term);
	printf("attached\n");
	fflush(stdout);
	now = seconds();
	end = now + atof(argv[2]);
	while (now < end && !ret && !stop) {
		before = now;
		ret = round_trip(&g->vq[0], round++);
		now = seconds();
		if (now - before > longest)
			longest = now - before;
	}
	guest_set_backend(g, -1);
	printf("%u requests, the slowest pair took %.3f s\n", 2 * round, longest);
	if (ret)
		printf("request failed: %d\n", ret);
	scale = getenv("KSFT_TIME_SCALE");
	return ret || longest > LONGEST * (scale ? atof(scale) : 1);
}
