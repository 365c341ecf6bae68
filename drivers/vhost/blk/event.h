/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The eventfds of a queue: the driver's kicks arrive on one, interrupts leave
 * on another, a third tells the owner of a damaged ring.
 */
#ifndef VHOST_BLK_EVENT_H
#define VHOST_BLK_EVENT_H

struct vhost_blk_vq;

void vhost_blk_event_init(struct vhost_blk_vq *vq);
void vhost_blk_event_close(struct vhost_blk_vq *vq);

int vhost_blk_event_set_kick(struct vhost_blk_vq *vq, int fd);
int vhost_blk_event_set_call(struct vhost_blk_vq *vq, int fd);
int vhost_blk_event_set_err(struct vhost_blk_vq *vq, int fd);

void vhost_blk_event_listen(struct vhost_blk_vq *vq);
void vhost_blk_event_ignore(struct vhost_blk_vq *vq);
void vhost_blk_event_signal_call(struct vhost_blk_vq *vq);
void vhost_blk_event_signal_err(struct vhost_blk_vq *vq);

#endif /* VHOST_BLK_EVENT_H */
