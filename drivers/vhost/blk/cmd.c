// SPDX-License-Identifier: GPL-2.0-only
#include "cmd.h"
#include "view.h"

#define VHOST_BLK_SECTOR_SHIFT 9
#define VHOST_BLK_SECTOR_MASK ((1U << VHOST_BLK_SECTOR_SHIFT) - 1)

/* A position in a list of segments. */
struct vhost_blk_cursor {
	const struct vhost_blk_seg *seg;
	unsigned int nr;
	u32 off;
};

/*
 * Takes up to @want bytes, no further than the end of the segment. The bytes do
 * not wrap around the end of the address space, or 0 is returned.
 */
static u32 vhost_blk_cursor_take(struct vhost_blk_cursor *cur, u64 want,
				 u64 *gpa)
{
	u32 n;

	if (!cur->nr || cur->seg->gpa > U64_MAX - (cur->seg->len - 1))
		return 0;

	n = min_t(u64, want, cur->seg->len - cur->off);
	*gpa = cur->seg->gpa + cur->off;
	cur->off += n;
	if (cur->off == cur->seg->len) {
		cur->seg++;
		cur->nr--;
		cur->off = 0;
	}
	return n;
}

static int vhost_blk_cursor_read(struct vhost_blk_cursor *cur,
				 struct vhost_blk_view *view, void *dst,
				 size_t len)
{
	while (len) {
		u64 gpa;
		u32 n = vhost_blk_cursor_take(cur, len, &gpa);

		if (!n || vhost_blk_view_read(view, gpa, dst, n))
			return -EFAULT;
		dst += n;
		len -= n;
	}
	return 0;
}

/* The first readable bytes; drivers put them into one descriptor. */
static int vhost_blk_cmd_read_header(struct vhost_blk_cursor *out,
				     struct vhost_blk_view *view,
				     struct virtio_blk_outhdr *hdr)
{
	if (likely(out->nr && out->seg->len == sizeof(*hdr))) {
		out->nr--;
		return vhost_blk_view_read(view, out->seg++->gpa, hdr,
					   sizeof(*hdr));
	}
	return vhost_blk_cursor_read(out, view, hdr, sizeof(*hdr));
}

/* The last writable byte, whatever comes before it. */
static int vhost_blk_cmd_find_status(const struct vhost_blk_chain *chain,
				     struct vhost_blk_view *view,
				     struct vhost_blk_cmd *cmd)
{
	const struct vhost_blk_seg *last;

	if (!chain->nr_in)
		return -EBADMSG;

	last = &chain->seg[chain->nr_out + chain->nr_in - 1];
	if (last->gpa > U64_MAX - (last->len - 1))
		return -EBADMSG;
	if (!vhost_blk_view_translate(view, last->gpa + (last->len - 1), 1,
				      &cmd->status_hva))
		return -EBADMSG;
	return 0;
}

/* Appends a run of the owner's memory; runs that touch become one. */
static int vhost_blk_cmd_add_span(struct vhost_blk_cmd *cmd, u64 hva, u32 len)
{
	struct vhost_blk_span *span = &cmd->span[cmd->nr_spans];

	if (cmd->nr_spans && span[-1].hva + span[-1].len == hva) {
		span[-1].len += len;
		return 0;
	}
	if (cmd->nr_spans == VHOST_BLK_MAX_SPANS)
		return -EFAULT;
	span->hva = hva;
	span->len = len;
	cmd->nr_spans++;
	return 0;
}

static int vhost_blk_cmd_translate(struct vhost_blk_cmd *cmd,
				   struct vhost_blk_view *view,
				   struct vhost_blk_cursor *cur)
{
	u64 left = cmd->data_len;

	while (left) {
		u64 gpa, hva, n;
		u64 piece = vhost_blk_cursor_take(cur, left, &gpa);

		if (!piece)
			return -EFAULT;
		left -= piece;
		for (; piece; piece -= n, gpa += n) {
			n = vhost_blk_view_translate(view, gpa, piece, &hva);
			if (!n || vhost_blk_cmd_add_span(cmd, hva, n))
				return -EFAULT;
		}
	}
	return 0;
}

/**
 * vhost_blk_cmd_parse() - frame a chain as a virtio-blk request
 * @chain: private copy of the chain
 * @view: view of guest memory
 * @little_endian: byte order of the request header
 * @cmd: filled in
 *
 * Header, data and status are told apart by byte counts alone, whatever
 * descriptors they share (virtio 1.2, 2.7.4.1): the first 16 readable bytes are
 * the header, the last writable byte is the status, the data is what is left of
 * the side the request's type uses.
 *
 * Context: worker with the owner's mm in use; may sleep on a page fault.
 * Return: 0, and @cmd's header and data are complete; -EBADMSG when the request
 * has no status byte to write to. When it is to be answered with
 * VIRTIO_BLK_S_IOERR, and only status_hva is valid: -EINVAL when the header is
 * short or the data too long, -EFAULT when one of them is not in guest memory
 * or could not be read, or the data lies in more than VHOST_BLK_MAX_SPANS
 * pieces.
 */
int vhost_blk_cmd_parse(const struct vhost_blk_chain *chain,
			struct vhost_blk_view *view, bool little_endian,
			struct vhost_blk_cmd *cmd)
{
	struct vhost_blk_cursor out = {
		.seg = chain->seg,
		.nr = chain->nr_out,
	};
	struct vhost_blk_cursor in = {
		.seg = chain->seg + chain->nr_out,
		.nr = chain->nr_in,
	};
	struct vhost_blk_cursor *data = &in;
	struct virtio_blk_outhdr hdr;
	int ret;

	ret = vhost_blk_cmd_find_status(chain, view, cmd);
	if (ret)
		return ret;
	if (chain->out_len < sizeof(hdr))
		return -EINVAL;
	if (vhost_blk_cmd_read_header(&out, view, &hdr))
		return -EFAULT;

	cmd->type = __virtio32_to_cpu(little_endian, hdr.type);
	cmd->sector = __virtio64_to_cpu(little_endian, hdr.sector);
	cmd->nr_spans = 0;

	switch (cmd->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_GET_ID:
		cmd->data_len = chain->in_len - 1;
		break;
	case VIRTIO_BLK_T_OUT:
		cmd->data_len = chain->out_len - sizeof(hdr);
		data = &out;
		break;
	default:
		/* A FLUSH has no data; of other types it means nothing. */
		cmd->data_len = 0;
		break;
	}

	if (cmd->data_len > VHOST_BLK_MAX_BYTES)
		return -EINVAL;
	return vhost_blk_cmd_translate(cmd, view, data);
}

/**
 * vhost_blk_limits_check() - does a device allow this access?
 * @limits: of the device
 * @type: VIRTIO_BLK_T_IN or VIRTIO_BLK_T_OUT
 * @sector: first sector, any value
 * @len: bytes, any value
 *
 * Return: VHOST_BLK_FAULT_NONE, or the first reason why not.
 */
enum vhost_blk_fault
vhost_blk_limits_check(const struct vhost_blk_limits *limits, u32 type,
		       u64 sector, u64 len)
{
	u64 sectors = len >> VHOST_BLK_SECTOR_SHIFT;
	u32 sector_mask = limits->block_mask >> VHOST_BLK_SECTOR_SHIFT;

	if (!len || len & VHOST_BLK_SECTOR_MASK || len & limits->block_mask)
		return VHOST_BLK_FAULT_ALIGNMENT;
	if (sector & sector_mask)
		return VHOST_BLK_FAULT_ALIGNMENT;
	if (sectors > limits->capacity || sector > limits->capacity - sectors)
		return VHOST_BLK_FAULT_RANGE;
	if (type == VIRTIO_BLK_T_OUT && limits->read_only)
		return VHOST_BLK_FAULT_READ_ONLY;
	return VHOST_BLK_FAULT_NONE;
}

/* Can all data go to the device in place? Counts the pages on the way. */
static void vhost_blk_cmd_plan(struct vhost_blk_cmd *cmd,
			       const struct vhost_blk_limits *limits)
{
	u64 mask = limits->block_mask | limits->dma_mask;
	u64 bits = 0;
	unsigned int i;

	cmd->nr_pages = 0;
	for (i = 0; i < cmd->nr_spans; i++) {
		const struct vhost_blk_span *span = &cmd->span[i];
		u64 first = span->hva >> PAGE_SHIFT;
		u64 last = (span->hva + span->len - 1) >> PAGE_SHIFT;

		bits |= span->hva | span->len;
		cmd->nr_pages += last - first + 1;
	}

	/*
	 * A driver sees the data page by page. When each span starts and ends
	 * on a logical block, so does each of its pages, and no driver or
	 * split is ever handed a part of a block.
	 */
	cmd->bounce = bits & mask;
	if (cmd->bounce)
		cmd->nr_pages = DIV_ROUND_UP(cmd->data_len, PAGE_SIZE);
}

/**
 * vhost_blk_cmd_check_rw() - may this IN or OUT be submitted?
 * @cmd: a parsed request of type VIRTIO_BLK_T_IN or VIRTIO_BLK_T_OUT
 * @limits: of the backing device, as of now
 *
 * The block layer of Linux 6.1 checks neither alignment nor read-only for bios
 * of the kernel and logs a line for each one beyond the end, so nothing that is
 * wrong may leave here. On success the way of the data is decided: bounce and
 * nr_pages are set.
 *
 * Return: VHOST_BLK_FAULT_NONE, or why it may not.
 */
enum vhost_blk_fault
vhost_blk_cmd_check_rw(struct vhost_blk_cmd *cmd,
		       const struct vhost_blk_limits *limits)
{
	enum vhost_blk_fault fault;

	fault = vhost_blk_limits_check(limits, cmd->type, cmd->sector,
				       cmd->data_len);
	if (fault == VHOST_BLK_FAULT_NONE)
		vhost_blk_cmd_plan(cmd, limits);
	return fault;
}
