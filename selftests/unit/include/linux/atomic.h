/* SPDX-License-Identifier: GPL-2.0-only */
/* Part of the stand-in for the kernel, see core_internal.h. */
#ifndef UNIT_LINUX_ATOMIC_H
#define UNIT_LINUX_ATOMIC_H

#include "../../core_internal.h"

typedef struct {
	s64 counter;
} atomic64_t;

static inline s64 atomic64_read(const atomic64_t *v)
{
	s64 val = __atomic_load_n(&v->counter, __ATOMIC_RELAXED);

	unit_note(UNIT_ATOMIC, v, sizeof(*v));
	return val;
}

static inline void atomic64_add(s64 n, atomic64_t *v)
{
	__atomic_fetch_add(&v->counter, n, __ATOMIC_SEQ_CST);
}

#endif /* UNIT_LINUX_ATOMIC_H */
