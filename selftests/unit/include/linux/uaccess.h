/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Part of the stand-in for the kernel, see core_internal.h. What includes this
 * reads guest memory: its copies pass unit_hook.
 */
#ifndef UNIT_LINUX_UACCESS_H
#define UNIT_LINUX_UACCESS_H

#include "../../core_internal.h"

static inline void *unit_memcpy(void *dst, const void *src, size_t n)
{
	memcpy(dst, src, n);
	unit_note(UNIT_COPY, src, n);
	return dst;
}

#define memcpy(dst, src, n) unit_memcpy(dst, src, n)

#endif /* UNIT_LINUX_UACCESS_H */
