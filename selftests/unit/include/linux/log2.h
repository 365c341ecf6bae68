/* SPDX-License-Identifier: GPL-2.0-only */
/* Part of the stand-in for the kernel, see core_internal.h. */
#ifndef UNIT_LINUX_LOG2_H
#define UNIT_LINUX_LOG2_H

#include "../../core_internal.h"

#define ilog2(n) (63 - __builtin_clzll(n))
#define order_base_2(n) ((n) > 1 ? ilog2((n)-1) + 1 : 0)

#endif /* UNIT_LINUX_LOG2_H */
