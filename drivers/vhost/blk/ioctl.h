/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/vhost-blk and its ioctls.
 */
#ifndef VHOST_BLK_IOCTL_H
#define VHOST_BLK_IOCTL_H

int vhost_blk_ioctl_register(void);
void vhost_blk_ioctl_unregister(void);

#endif /* VHOST_BLK_IOCTL_H */
