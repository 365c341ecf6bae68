/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest memory: where a guest physical address (GPA) lies in the owner's
 * address space (HVA).
 */
#ifndef VHOST_BLK_MEM_H
#define VHOST_BLK_MEM_H

#include <linux/types.h>

struct vhost_memory_region;

/**
 * struct vhost_blk_region - one run of guest memory
 * @gpa: first guest physical address
 * @len: bytes, at least one; @gpa + @len - 1 does not wrap
 * @hva: owner's address of @gpa; the whole run lies below TASK_SIZE
 */
struct vhost_blk_region {
	u64 gpa;
	u64 len;
	u64 hva;
};

/**
 * struct vhost_blk_mem - a memory table
 * @nr: regions, 0 to VHOST_BLK_MAX_REGIONS
 * @region: sorted by @gpa, without overlap
 *
 * Never changed once built: VHOST_SET_MEM_TABLE replaces it while the workers
 * are parked.
 */
struct vhost_blk_mem {
	unsigned int nr;
	struct vhost_blk_region region[];
};

struct vhost_blk_mem *
vhost_blk_mem_create(const struct vhost_memory_region *regions,
		     unsigned int nr);
void vhost_blk_mem_free(struct vhost_blk_mem *mem);

const struct vhost_blk_region *
vhost_blk_mem_find(const struct vhost_blk_mem *mem, u64 gpa);
bool vhost_blk_mem_has_hva(const struct vhost_blk_mem *mem, u64 hva, u64 len);
bool vhost_blk_mem_overlaps_hva(const struct vhost_blk_mem *mem, u64 start,
				u64 end);

#endif /* VHOST_BLK_MEM_H */
