/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio-blk requests (virtio 1.2, section 5.2.6): from a descriptor chain to a
 * checked command. Reads guest memory once, executes nothing.
 */
#ifndef VHOST_BLK_CMD_H
#define VHOST_BLK_CMD_H

#include "ring.h"

/* As many as a chain has segments, and 64 more cuts at regions' ends. */
#define VHOST_BLK_MAX_SPANS (VHOST_BLK_MAX_DESC + 64)

/**
 * struct vhost_blk_span - a piece of the data buffer in the owner's memory
 * @hva: owner's address, inside a region of the memory table
 * @len: bytes, not 0
 */
struct vhost_blk_span {
	u64 hva;
	u32 len;
};

/**
 * struct vhost_blk_limits - what the backing device allows
 * @capacity: size in 512-byte sectors
 * @block_mask: logical block size - 1, in bytes
 * @dma_mask: bits that must be clear in buffer addresses
 * @read_only: writes are refused
 */
struct vhost_blk_limits {
	u64 capacity;
	u32 block_mask;
	u32 dma_mask;
	bool read_only;
};

/**
 * enum vhost_blk_fault - why a device does not allow an access
 * @VHOST_BLK_FAULT_NONE: it does
 * @VHOST_BLK_FAULT_ALIGNMENT: not whole logical blocks, or none
 * @VHOST_BLK_FAULT_RANGE: not inside the device
 * @VHOST_BLK_FAULT_READ_ONLY: a write to a device that is read-only
 */
enum vhost_blk_fault {
	VHOST_BLK_FAULT_NONE,
	VHOST_BLK_FAULT_ALIGNMENT,
	VHOST_BLK_FAULT_RANGE,
	VHOST_BLK_FAULT_READ_ONLY,
};

/**
 * struct vhost_blk_cmd - a request, parsed and checked
 * @type: VIRTIO_BLK_T_* as the guest gave it
 * @sector: first sector, as the guest gave it
 * @status_hva: owner's address of the status byte
 * @data_len: bytes of the data buffer
 * @nr_spans: entries of @span in use
 * @nr_pages: pages that the spans touch, counted per span
 * @bounce: the data cannot be handed to the block layer in place
 * @span: the data buffer
 */
struct vhost_blk_cmd {
	u32 type;
	u64 sector;
	u64 status_hva;
	u64 data_len;
	unsigned int nr_spans;
	unsigned int nr_pages;
	bool bounce;
	struct vhost_blk_span span[VHOST_BLK_MAX_SPANS];
};

/**
 * union vhost_blk_scratch - room for a chain and for the command that it is
 * @chain: the chain
 * @cmd: the command; lies where the chain's indirect table was, which nobody
 *       looks at once the chain has been taken from the ring
 */
union vhost_blk_scratch {
	struct vhost_blk_chain chain;
	struct {
		/* private: what vhost_blk_cmd_parse() reads */
		u8 keep[offsetof(struct vhost_blk_chain, table)];
		/* public: */
		struct vhost_blk_cmd cmd;
	};
};

int vhost_blk_cmd_parse(const struct vhost_blk_chain *chain,
			struct vhost_blk_view *view, bool little_endian,
			struct vhost_blk_cmd *cmd);
enum vhost_blk_fault
vhost_blk_limits_check(const struct vhost_blk_limits *limits, u32 type,
		       u64 sector, u64 len);
enum vhost_blk_fault
vhost_blk_cmd_check_rw(struct vhost_blk_cmd *cmd,
		       const struct vhost_blk_limits *limits);

#endif /* VHOST_BLK_CMD_H */
