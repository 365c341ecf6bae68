// SPDX-License-Identifier: GPL-2.0-only
#include "account.h"
#include "req.h"
#include "trace.h"
#include "vq.h"

#include <uapi/linux/virtio_blk.h>

static void vhost_blk_account_count_error(const struct vhost_blk_req *req)
{
	struct vhost_blk_stats *stats = &req->vq->stats;

	switch (req->type) {
	case VIRTIO_BLK_T_IN:
		vhost_blk_stat_inc(stats, read_errors);
		break;
	case VIRTIO_BLK_T_OUT:
		vhost_blk_stat_inc(stats, write_errors);
		break;
	case VIRTIO_BLK_T_FLUSH:
		vhost_blk_stat_inc(stats, flush_errors);
		break;
	case VIRTIO_BLK_T_GET_ID:
		vhost_blk_stat_inc(stats, get_id_errors);
		break;
	}
}

static void vhost_blk_account_count(const struct vhost_blk_req *req, u8 status)
{
	struct vhost_blk_stats *stats = &req->vq->stats;
	u32 bytes = req->data_len;

	if (unlikely(status != VIRTIO_BLK_S_OK)) {
		vhost_blk_account_count_error(req);
		bytes = 0;
	}
	switch (req->type) {
	case VIRTIO_BLK_T_IN:
		vhost_blk_stat_inc(stats, read_requests);
		vhost_blk_stat_add(stats, read_bytes, bytes);
		break;
	case VIRTIO_BLK_T_OUT:
		vhost_blk_stat_inc(stats, write_requests);
		vhost_blk_stat_add(stats, write_bytes, bytes);
		break;
	case VIRTIO_BLK_T_FLUSH:
		vhost_blk_stat_inc(stats, flush_requests);
		break;
	case VIRTIO_BLK_T_GET_ID:
		vhost_blk_stat_inc(stats, get_id_requests);
		break;
	case VHOST_BLK_REQ_NO_TYPE:
		vhost_blk_stat_inc(stats, invalid_requests);
		break;
	default:
		vhost_blk_stat_inc(stats, unsupported_requests);
		break;
	}
}

/**
 * vhost_blk_account_fault() - count why a request is refused
 * @stats: of its queue
 * @fault: the reason
 *
 * Context: worker.
 */
void vhost_blk_account_fault(struct vhost_blk_stats *stats,
			     enum vhost_blk_fault fault)
{
	switch (fault) {
	case VHOST_BLK_FAULT_NONE:
		break;
	case VHOST_BLK_FAULT_ALIGNMENT:
		vhost_blk_stat_inc(stats, fault_alignment);
		break;
	case VHOST_BLK_FAULT_RANGE:
		vhost_blk_stat_inc(stats, fault_range);
		break;
	case VHOST_BLK_FAULT_READ_ONLY:
		vhost_blk_stat_inc(stats, fault_read_only);
		break;
	}
}

/* How long it took, with the device and in all. */
static void vhost_blk_account_time(const struct vhost_blk_req *req, u8 status,
				   u32 len)
{
	struct vhost_blk_vq *vq = req->vq;
	struct vhost_blk_stats *stats = &vq->stats;
	u64 device_ns = 0, ns = vhost_blk_since(vq->now, req->taken);
	unsigned int bucket = vhost_blk_hist_bucket(ns);

	vhost_blk_stat_add(stats, latency_ns, ns);
	vhost_blk_hist_count(&stats->latency_hist, bucket);
	if (req->submitted) {
		/* Often both were between the same two looks at the clock. */
		device_ns = vhost_blk_since(req->ended ? req->ended : vq->now,
					    req->submitted);
		if (device_ns != ns)
			bucket = vhost_blk_hist_bucket(device_ns);
		vhost_blk_stat_add(stats, device_latency_ns, device_ns);
		vhost_blk_hist_count(&stats->device_latency_hist, bucket);
	}
	trace_vhost_blk_request_complete(req, status, len, ns, device_ns);
}

/**
 * vhost_blk_account() - count a request that has been answered
 * @req: the request
 * @status: VIRTIO_BLK_S_*
 * @len: length of its used entry
 *
 * Context: worker, or any that has claimed the queue; vq->now is when it was
 * taken back.
 */
void vhost_blk_account(const struct vhost_blk_req *req, u8 status, u32 len)
{
	vhost_blk_account_count(req, status);
	vhost_blk_account_time(req, status, len);
}
