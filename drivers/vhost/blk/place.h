/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which core a worker runs on, over all devices of the module.
 */
#ifndef VHOST_BLK_PLACE_H
#define VHOST_BLK_PLACE_H

int vhost_blk_place_init(const char *list);
int vhost_blk_place_get(void);
void vhost_blk_place_put(int cpu);

#endif /* VHOST_BLK_PLACE_H */
