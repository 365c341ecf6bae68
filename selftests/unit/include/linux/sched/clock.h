/* SPDX-License-Identifier: GPL-2.0-only */
/* Part of the stand-in for the kernel, see core_internal.h. */
#ifndef UNIT_LINUX_SCHED_CLOCK_H
#define UNIT_LINUX_SCHED_CLOCK_H

#include "../../../core_internal.h"

extern u64 unit_clock; /* what the clock shows */

static inline u64 local_clock(void)
{
	return unit_clock;
}

#endif /* UNIT_LINUX_SCHED_CLOCK_H */
