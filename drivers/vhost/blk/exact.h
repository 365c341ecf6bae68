/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory in whole pages, of no more of them than are asked for.
 */
#ifndef VHOST_BLK_EXACT_H
#define VHOST_BLK_EXACT_H

#include <linux/types.h>

void *vhost_blk_exact_alloc(size_t size);
void vhost_blk_exact_free(void *mem, size_t size);

#endif /* VHOST_BLK_EXACT_H */
