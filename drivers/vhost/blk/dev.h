/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/vhost-blk: each open of it is one disk.
 */
#ifndef VHOST_BLK_DEV_H
#define VHOST_BLK_DEV_H

int vhost_blk_dev_register(void);
void vhost_blk_dev_unregister(void);

#endif /* VHOST_BLK_DEV_H */
