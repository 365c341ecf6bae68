/* SPDX-License-Identifier: GPL-2.0-only */
/* How long tests of random input run, and where their input starts. */
#ifndef BUDGET_H
#define BUDGET_H

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "ksft.h"

/* The harness knows only fixed limits; budget_start() sets one that fits. */
#define BUDGET_NO_LIMIT 1000000

static inline double budget_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static inline double budget_number(const char *name, double otherwise)
{
	const char *s = getenv(name);

	return s && *s ? atof(s) : otherwise;
}

/* Returns when it will be over: UNIT_SECONDS from now, default 2. */
static inline double budget_start(void)
{
	double seconds = budget_number("UNIT_SECONDS", 2);

	alarm(seconds + KSFT_TIMEOUT_S * ksft_scale());
	return budget_now() + seconds;
}

static inline unsigned long budget_seed(void)
{
	return budget_number("UNIT_SEED", 1);
}

#endif /* BUDGET_H */
