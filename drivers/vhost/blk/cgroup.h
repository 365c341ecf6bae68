/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Workers belong to the control groups of the owner, so that its limits hold
 * for what is done on its behalf.
 */
#ifndef VHOST_BLK_CGROUP_H
#define VHOST_BLK_CGROUP_H

struct cgroup_subsys_state;

/**
 * struct vhost_blk_cgroup - the owner's groups when a queue starts
 * @path: of its group in the unified hierarchy, NULL for the root
 * @io: its group of the io controller, NULL for none
 */
struct vhost_blk_cgroup {
	char *path;
	struct cgroup_subsys_state *io;
};

void vhost_blk_cgroup_init(void);
void vhost_blk_cgroup_exit(void);

int vhost_blk_cgroup_get(struct vhost_blk_cgroup *cgroup);
void vhost_blk_cgroup_put(struct vhost_blk_cgroup *cgroup);
void vhost_blk_cgroup_join(const struct vhost_blk_cgroup *cgroup);
void vhost_blk_cgroup_leave(void);

#endif /* VHOST_BLK_CGROUP_H */
