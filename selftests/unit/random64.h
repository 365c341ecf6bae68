/* SPDX-License-Identifier: GPL-2.0-only */
/* Random numbers that a seed repeats: xorshift. Set seed, not 0, before use. */
#ifndef RANDOM64_H
#define RANDOM64_H

#include <linux/types.h>

static u64 seed;

static u64 random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

#endif /* RANDOM64_H */
