/* SPDX-License-Identifier: GPL-2.0-only */
/* Part of the stand-in for the kernel, see core_internal.h. */
#ifndef UNIT_LINUX_BITS_H
#define UNIT_LINUX_BITS_H

#define BIT(n) (1UL << (n))

#endif /* UNIT_LINUX_BITS_H */
