/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The owner's memory mapped into the kernel, for rings: pinned for as long as
 * the queue runs, so that ring code works on plain pointers in any context.
 */
#ifndef VHOST_BLK_MAP_H
#define VHOST_BLK_MAP_H

#include <linux/types.h>

struct mm_struct;
struct page;

/**
 * struct vhost_blk_map - a mapped range
 * @addr: kernel address of its first byte; NULL when nothing is mapped
 * @mm: whose locked memory the pages are charged to
 * @pages: pinned pages
 * @nr_pages: how many
 */
struct vhost_blk_map {
	void *addr;
	struct mm_struct *mm;
	struct page **pages;
	unsigned int nr_pages;
};

int vhost_blk_map_create(struct vhost_blk_map *map, u64 hva, size_t len);
void vhost_blk_map_destroy(struct vhost_blk_map *map);

#endif /* VHOST_BLK_MAP_H */
