// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel lets a module attach a thread to groups of the old hierarchies
 * only (and kernels since 6.4 start vhost's threads as children of the owner
 * instead). For the unified hierarchy a worker does what an administrator
 * would: it writes to cgroup.procs, in a mount that nobody else sees.
 */
#include "cgroup.h"

#include <linux/cgroup.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mount.h>
#include <linux/slab.h>

#ifdef CONFIG_CGROUPS

static struct vfsmount *vhost_blk_cgroup_mnt;

/*
 * The options of the hierarchy, as they are: whoever mounts it sets them for
 * everybody.
 */
static void vhost_blk_cgroup_options(char *buf, size_t size)
{
	static const struct {
		unsigned int flag;
		const char *name;
	} options[] = {
		{ CGRP_ROOT_NS_DELEGATE, "nsdelegate," },
		{ CGRP_ROOT_FAVOR_DYNMODS, "favordynmods," },
		{ CGRP_ROOT_MEMORY_LOCAL_EVENTS, "memory_localevents," },
		{ CGRP_ROOT_MEMORY_RECURSIVE_PROT, "memory_recursiveprot," },
	};
	unsigned int i, flags = READ_ONCE(cgrp_dfl_root.flags);

	for (i = 0; i < ARRAY_SIZE(options); i++)
		if (flags & options[i].flag)
			strlcat(buf, options[i].name, size);
}

/**
 * vhost_blk_cgroup_init() - get a view of the unified hierarchy
 *
 * Without one, workers stay outside of it.
 *
 * Context: module init.
 */
void vhost_blk_cgroup_init(void)
{
	/* Never a module, so there is no reference to be given back. */
	struct file_system_type *type = get_fs_type("cgroup2");
	char options[128] = "";
	struct vfsmount *mnt;

	if (!type)
		return;
	vhost_blk_cgroup_options(options, sizeof(options));
	mnt = vfs_kern_mount(type, SB_KERNMOUNT, type->name, options);
	if (!IS_ERR(mnt))
		vhost_blk_cgroup_mnt = mnt;
}

/**
 * vhost_blk_cgroup_exit() - give the view back; no worker is left
 */
void vhost_blk_cgroup_exit(void)
{
	if (vhost_blk_cgroup_mnt)
		mntput(vhost_blk_cgroup_mnt);
	vhost_blk_cgroup_mnt = NULL;
}

/* The group of processes that the caller's group is part of, as a path. */
static int vhost_blk_cgroup_path(char *buf)
{
	int len;

	rcu_read_lock();
	len = cgroup_path(task_dfl_cgroup(current)->dom_cgrp, buf, PATH_MAX);
	rcu_read_unlock();
	return len;
}

/**
 * vhost_blk_cgroup_get() - note the groups of the calling process
 * @cgroup: filled in
 *
 * Context: process of the owner; sleeps.
 * Return: 0 or -ENOMEM. vhost_blk_cgroup_put() gives back what is held.
 */
int vhost_blk_cgroup_get(struct vhost_blk_cgroup *cgroup)
{
	char *buf = kmalloc(PATH_MAX, GFP_KERNEL_ACCOUNT);
	int len;

	if (!buf)
		return -ENOMEM;
	len = vhost_blk_cgroup_path(buf);
	cgroup->path = NULL;
	if (len > 1 && len < PATH_MAX)
		cgroup->path =
			kasprintf(GFP_KERNEL_ACCOUNT, "%s/cgroup.procs", buf);
	kfree(buf);
	if (len > 1 && len < PATH_MAX && !cgroup->path)
		return -ENOMEM;
#ifdef CONFIG_BLK_CGROUP
	cgroup->io = task_get_css(current, io_cgrp_id);
#endif
	return 0;
}

/**
 * vhost_blk_cgroup_put() - give back what vhost_blk_cgroup_get() noted
 * @cgroup: the groups
 */
void vhost_blk_cgroup_put(struct vhost_blk_cgroup *cgroup)
{
#ifdef CONFIG_BLK_CGROUP
	css_put(cgroup->io);
	cgroup->io = NULL;
#endif
	kfree(cgroup->path);
	cgroup->path = NULL;
}

static void vhost_blk_cgroup_enter(const char *path)
{
	struct file *file;
	loff_t pos = 0;

	file = file_open_root_mnt(vhost_blk_cgroup_mnt, path, O_WRONLY, 0);
	if (IS_ERR(file))
		return;
	/* 0 is who writes. A group that has gone meanwhile has no limits. */
	kernel_write(file, "0", 1, &pos);
	fput(file);
}

/**
 * vhost_blk_cgroup_join() - make the calling worker part of the owner's groups
 * @cgroup: the owner's groups
 *
 * Its bios are charged to the owner's group of the io controller in any case.
 *
 * Context: worker; sleeps.
 */
void vhost_blk_cgroup_join(const struct vhost_blk_cgroup *cgroup)
{
	if (cgroup->path && vhost_blk_cgroup_mnt)
		vhost_blk_cgroup_enter(cgroup->path);
	kthread_associate_blkcg(cgroup->io);
}

/**
 * vhost_blk_cgroup_leave() - the calling worker is about to end
 *
 * Context: worker.
 */
void vhost_blk_cgroup_leave(void)
{
	kthread_associate_blkcg(NULL);
}

#else /* CONFIG_CGROUPS */

void vhost_blk_cgroup_init(void)
{
}

void vhost_blk_cgroup_exit(void)
{
}

int vhost_blk_cgroup_get(struct vhost_blk_cgroup *cgroup)
{
	return 0;
}

void vhost_blk_cgroup_put(struct vhost_blk_cgroup *cgroup)
{
}

void vhost_blk_cgroup_join(const struct vhost_blk_cgroup *cgroup)
{
}

void vhost_blk_cgroup_leave(void)
{
}

#endif /* CONFIG_CGROUPS */
