// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parse, execute, complete: cmd.c parses, a table here names the function that
 * executes, vhost_blk_req_complete() is the one way out.
 */
#include "req.h"
#include "account.h"
#include "backend.h"
#include "build.h"
#include "call.h"
#include "cmd.h"
#include "direct.h"
#include "span.h"
#include "trace.h"
#include "vq.h"

#include <linux/rcupdate.h>
#include <linux/uaccess.h>

/* What an operation returns instead of a status when bios are under way. */
#define VHOST_BLK_REQ_PENDING (-1)

/**
 * struct vhost_blk_op - how one request type is executed
 * @type: VIRTIO_BLK_T_*
 * @execute: returns VIRTIO_BLK_S_* or VHOST_BLK_REQ_PENDING
 */
struct vhost_blk_op {
	u32 type;
	int (*execute)(struct vhost_blk_req *req, struct vhost_blk_cmd *cmd);
};

static void vhost_blk_req_put(struct vhost_blk_req *req)
{
	struct vhost_blk_vq *vq = req->vq;

	WRITE_ONCE(vq->in_flight, vq->in_flight - 1);
	WRITE_ONCE(req->taken, 0);
	req->next = vq->free;
	vq->free = req;
}

/* Gives a chain back that has no place for an answer. */
static void vhost_blk_req_drop(struct vhost_blk_vq *vq, u16 id)
{
	trace_vhost_blk_bad_chain(vq->dev_id, vq->index, id);
	vhost_blk_stat_inc(&vq->stats, bad_chains);
	vhost_blk_ring_push(&vq->ring, id, 0);
}

static void vhost_blk_req_put_status(const struct vhost_blk_req *req, u8 status,
				     struct vhost_blk_tlb_entry *entry)
{
	u8 *byte = entry->addr + offset_in_page(req->status_hva);

	WRITE_ONCE(*byte, status);
	entry->dirty = true;
}

/* The driver sees the used entry when the ring is published. */
static void vhost_blk_req_push(struct vhost_blk_req *req, u8 status, u32 len)
{
	vhost_blk_account(req, status, len);
	vhost_blk_ring_push(&req->vq->ring, req->id, len);
	vhost_blk_req_put(req);
}

/* The status byte is in place: what length goes with it? */
static u32 vhost_blk_req_used_len(const struct vhost_blk_req *req, u8 status)
{
	bool in = req->type == VIRTIO_BLK_T_IN ||
		  req->type == VIRTIO_BLK_T_GET_ID;

	return 1 + (in && status == VIRTIO_BLK_S_OK ? req->data_len : 0);
}

/* Answers a request: the status byte, then the used entry. */
static void vhost_blk_req_complete(struct vhost_blk_req *req, u8 status)
{
	struct vhost_blk_vq *vq = req->vq;
	u32 len = vhost_blk_req_used_len(req, status);
	struct vhost_blk_tlb_entry *entry =
		vhost_blk_tlb_find(&vq->tlb, req->status_hva, true);

	if (likely(entry)) {
		vhost_blk_req_put_status(req, status, entry);
	} else if (put_user(status,
			    (u8 __user *)u64_to_user_ptr(req->status_hva))) {
		vhost_blk_stat_inc(&vq->stats, lost_status);
		len = 0;
	}
	vhost_blk_req_push(req, status, len);
}

/*
 * Requests whose bios are with the block layer. Only they bring the worker back
 * without its doing.
 */
static unsigned int vhost_blk_req_submitted(const struct vhost_blk_vq *vq)
{
	return vq->in_flight - vq->nr_retry - !!vq->stalled;
}

static void vhost_blk_req_limits(const struct vhost_blk_vq *vq,
				 struct vhost_blk_limits *limits)
{
	vhost_blk_backend_limits(vq->backend, limits);
	limits->read_only |= vq->read_only;
}

/**
 * vhost_blk_req_look() - see what the disk allows now
 * @vq: the queue
 *
 * Requests are checked against that until the next look.
 *
 * Context: worker.
 */
void vhost_blk_req_look(struct vhost_blk_vq *vq)
{
	vhost_blk_req_limits(vq, &vq->limits);
}

/*
 * Submits, waiting for a tag if need be. What is complete does not wait: the
 * driver is told before.
 */
static void vhost_blk_req_submit_waiting(struct vhost_blk_req *req)
{
	vhost_blk_call_publish(req->vq);
	vhost_blk_call_release(req->vq);
	vhost_blk_bio_submit(req, false);
	vhost_blk_req_look(req->vq);
}

static void vhost_blk_req_put_aside(struct vhost_blk_req *req)
{
	req->vq->nr_retry++;
	list_add_tail(&req->link, &req->vq->retry);
}

static void vhost_blk_req_submit(struct vhost_blk_req *req)
{
	struct vhost_blk_vq *vq = req->vq;

	if (vhost_blk_bio_may_refuse(req)) {
		if (!vhost_blk_bio_submit(req, true))
			vq->refused = true;
	} else if (vq->nr_polled) {
		/* What it would wait for may be what only the worker ends. */
		vhost_blk_req_put_aside(req);
	} else {
		vhost_blk_req_submit_waiting(req);
	}
}

static int vhost_blk_req_execute_rw(struct vhost_blk_req *req,
				    struct vhost_blk_cmd *cmd)
{
	struct vhost_blk_vq *vq = req->vq;
	enum vhost_blk_fault fault;

	fault = vhost_blk_cmd_check_rw(cmd, &vq->limits);
	if (fault != VHOST_BLK_FAULT_NONE) {
		vhost_blk_account_fault(&vq->stats, fault);
		return VIRTIO_BLK_S_IOERR;
	}

	if (vq->pinned && cmd->nr_pages > vq->max_pinned - vq->pinned) {
		vq->stalled = req;
		return VHOST_BLK_REQ_PENDING;
	}

	if (vhost_blk_build_rw(req, cmd)) {
		vhost_blk_stat_inc(&vq->stats, fault_memory);
		return VIRTIO_BLK_S_IOERR;
	}
	req->mask = vq->limits.block_mask | vq->limits.dma_mask;
	req->nr_pages = cmd->nr_pages;
	WRITE_ONCE(vq->pinned, vq->pinned + req->nr_pages);
	vq->pass_bytes += req->data_len;
	if (cmd->bounce)
		vhost_blk_stat_inc(&vq->stats, bounced);
	vhost_blk_req_submit(req);
	return VHOST_BLK_REQ_PENDING;
}

static int vhost_blk_req_execute_flush(struct vhost_blk_req *req,
				       struct vhost_blk_cmd *cmd)
{
	vhost_blk_build_flush(req);
	vhost_blk_req_submit(req);
	return VHOST_BLK_REQ_PENDING;
}

static int vhost_blk_req_execute_get_id(struct vhost_blk_req *req,
					struct vhost_blk_cmd *cmd)
{
	struct vhost_blk_serial *serial = req->vq->serial;
	struct vhost_blk_span_cursor cur = { .span = cmd->span };
	char str[VHOST_BLK_SERIAL_LEN];

	if (cmd->data_len != sizeof(str))
		return VIRTIO_BLK_S_IOERR;

	spin_lock(&serial->lock);
	memcpy(str, serial->str, sizeof(str));
	spin_unlock(&serial->lock);

	if (vhost_blk_span_copy(&cur, str, sizeof(str), true)) {
		vhost_blk_stat_inc(&req->vq->stats, fault_memory);
		return VIRTIO_BLK_S_IOERR;
	}
	return VIRTIO_BLK_S_OK;
}

static const struct vhost_blk_op vhost_blk_ops[] = {
	{ VIRTIO_BLK_T_IN, vhost_blk_req_execute_rw },
	{ VIRTIO_BLK_T_OUT, vhost_blk_req_execute_rw },
	{ VIRTIO_BLK_T_FLUSH, vhost_blk_req_execute_flush },
	{ VIRTIO_BLK_T_GET_ID, vhost_blk_req_execute_get_id },
};

static void vhost_blk_req_execute(struct vhost_blk_req *req,
				  struct vhost_blk_cmd *cmd)
{
	int status = VIRTIO_BLK_S_UNSUPP;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vhost_blk_ops); i++) {
		if (vhost_blk_ops[i].type == cmd->type) {
			status = vhost_blk_ops[i].execute(req, cmd);
			break;
		}
	}
	if (status != VHOST_BLK_REQ_PENDING)
		vhost_blk_req_complete(req, status);
}

/**
 * vhost_blk_req_take() - take one chain from the ring and start it
 * @vq: the queue; it has a free request and none stalled
 *
 * Context: worker with the owner's mm in use; sleeps.
 * Return: 1 when a chain was taken, 0 when there is none, -EPROTO when the ring
 * is damaged.
 */
int vhost_blk_req_take(struct vhost_blk_vq *vq)
{
	struct vhost_blk_chain *chain = &vq->scratch->chain;
	struct vhost_blk_cmd *cmd = &vq->scratch->cmd;
	struct vhost_blk_req *req;
	int ret;

	ret = vhost_blk_ring_pop(&vq->ring, chain);
	if (!ret || ret == -EPROTO)
		return ret;

	if (ret > 0)
		ret = vhost_blk_cmd_parse(chain, &vq->view,
					  vq->ring.little_endian, cmd);
	if (ret == -EBADMSG) {
		vhost_blk_req_drop(vq, chain->id);
		return 1;
	}

	req = vq->free;
	vq->free = req->next;
	WRITE_ONCE(vq->in_flight, vq->in_flight + 1);
	req->id = chain->id;
	req->status_hva = cmd->status_hva;
	req->nr_pages = 0;
	WRITE_ONCE(req->taken, vq->now);
	req->submitted = 0;
	req->type = ret ? VHOST_BLK_REQ_NO_TYPE : cmd->type;
	req->sector = ret ? 0 : cmd->sector;
	req->data_len = ret ? 0 : cmd->data_len;
	trace_vhost_blk_request_start(req);

	if (ret == -EFAULT)
		vhost_blk_stat_inc(&vq->stats, fault_memory);
	if (ret)
		vhost_blk_req_complete(req, VIRTIO_BLK_S_IOERR);
	else
		vhost_blk_req_execute(req, cmd);
	return 1;
}

/* Drops what a request holds and answers it. */
static void vhost_blk_req_finish(struct vhost_blk_req *req, u8 status)
{
	struct vhost_blk_vq *vq = req->vq;

	if (vhost_blk_build_release(req, status == VIRTIO_BLK_S_OK)) {
		vhost_blk_stat_inc(&vq->stats, fault_memory);
		status = VIRTIO_BLK_S_IOERR;
	}
	WRITE_ONCE(vq->pinned, vq->pinned - req->nr_pages);
	vq->room = true;
	vhost_blk_req_complete(req, status);
}

/**
 * vhost_blk_req_end_cached() - take a request back that has all in the cache
 * @req: a request whose data lies in the translation cache, ended without error
 * @status: where its status byte lies
 *
 * Context: any, with the queue claimed (direct.c); does not sleep.
 */
void vhost_blk_req_end_cached(struct vhost_blk_req *req,
			      struct vhost_blk_tlb_entry *status)
{
	struct vhost_blk_vq *vq = req->vq;

	vhost_blk_build_release(req, true);
	WRITE_ONCE(vq->pinned, vq->pinned - req->nr_pages);
	vhost_blk_req_put_status(req, VIRTIO_BLK_S_OK, status);
	vhost_blk_req_push(req, VIRTIO_BLK_S_OK,
			   vhost_blk_req_used_len(req, VIRTIO_BLK_S_OK));
}

/* The device may have changed since the request was checked. */
static bool vhost_blk_req_still_allowed(const struct vhost_blk_req *req)
{
	struct vhost_blk_limits limits;
	enum vhost_blk_fault fault = VHOST_BLK_FAULT_ALIGNMENT;

	if (req->type == VIRTIO_BLK_T_FLUSH)
		return true;
	vhost_blk_req_limits(req->vq, &limits);
	if (!((limits.block_mask | limits.dma_mask) & ~req->mask))
		fault = vhost_blk_limits_check(&limits, req->type, req->sector,
					       req->data_len);
	vhost_blk_account_fault(&req->vq->stats, fault);
	return fault == VHOST_BLK_FAULT_NONE;
}

/**
 * vhost_blk_req_can_resume() - has a request that had to wait a chance now?
 * @vq: the queue
 *
 * Tags and the limit on pages come free with completions. When the block layer
 * has nothing of this queue, no completion is to be waited for. Requests that
 * are polled come first: what is resumed may sleep, and nobody would end them.
 *
 * Context: worker.
 * Return: true when vhost_blk_req_resume() would do something.
 */
bool vhost_blk_req_can_resume(const struct vhost_blk_vq *vq)
{
	return (vq->nr_retry || vq->stalled) && !vq->nr_polled &&
	       (vq->room || !vhost_blk_req_submitted(vq));
}

/**
 * vhost_blk_req_resume() - try one request again that had to wait
 * @vq: the queue
 *
 * One that was refused is submitted and this time waits for its tag; one that
 * found too many pages pinned is executed.
 *
 * Context: worker with the owner's mm in use; sleeps.
 */
void vhost_blk_req_resume(struct vhost_blk_vq *vq)
{
	struct vhost_blk_req *req;

	if (!vhost_blk_req_can_resume(vq))
		return;
	vq->room = false;

	if (vq->nr_retry) {
		req = list_first_entry(&vq->retry, struct vhost_blk_req, link);
		list_del(&req->link);
		vq->nr_retry--;
		if (vhost_blk_req_still_allowed(req))
			vhost_blk_req_submit_waiting(req);
		else
			vhost_blk_req_finish(req, VIRTIO_BLK_S_IOERR);
		return;
	}

	req = vq->stalled;
	if (req) {
		vq->stalled = NULL;
		vhost_blk_req_execute(req, &vq->scratch->cmd);
	}
}

/**
 * vhost_blk_req_ended() - all bios of a request have ended
 * @req: the request
 *
 * The worker may take the request as soon as it is on the list, find that it
 * was the last, and end; the queue then lives until the RCU grace period is
 * over.
 *
 * Context: any, interrupts included.
 */
void vhost_blk_req_ended(struct vhost_blk_req *req)
{
	struct vhost_blk_vq *vq = req->vq;

	/* The worker's own doing: it takes the request back right away. */
	if (in_task() && current == vq->worker) {
		req->ended = 0;
		llist_add(&req->done, &vq->done);
		return;
	}
	req->ended = vhost_blk_clock();
	rcu_read_lock();
	if (!vhost_blk_direct_end(req) && llist_add(&req->done, &vq->done))
		vhost_blk_vq_wake(vq);
	rcu_read_unlock();
}

static u8 vhost_blk_req_status(blk_status_t result)
{
	switch (result) {
	case BLK_STS_OK:
		return VIRTIO_BLK_S_OK;
	case BLK_STS_NOTSUPP:
		return VIRTIO_BLK_S_UNSUPP;
	default:
		return VIRTIO_BLK_S_IOERR;
	}
}

static void vhost_blk_req_unpoll(struct vhost_blk_req *req)
{
	req->polled = false;
	list_del(&req->link);
	req->vq->nr_polled--;
}

/**
 * vhost_blk_req_end() - take a request back from the block layer
 * @req: a request from the queue's completion list
 *
 * It is answered, or put aside for vhost_blk_req_resume() if the device had no
 * tag for it.
 *
 * Context: worker with the owner's mm in use; sleeps.
 */
void vhost_blk_req_end(struct vhost_blk_req *req)
{
	blk_status_t result = vhost_blk_bio_result(req);
	struct vhost_blk_vq *vq = req->vq;
	u8 status = vhost_blk_req_status(result);

	if (req->polled)
		vhost_blk_req_unpoll(req);
	if (result == BLK_STS_AGAIN) {
		vhost_blk_stat_inc(&vq->stats, requeued);
		vhost_blk_req_put_aside(req);
		return;
	}

	if (unlikely(status != VIRTIO_BLK_S_OK))
		vhost_blk_stat_inc(&vq->stats, fault_device);
	vhost_blk_req_finish(req, status);
}

/**
 * vhost_blk_req_poll() - see whether the disk's poll queues have ended any
 * @vq: the queue
 *
 * Those that have are on the queue's completion list when this returns. One
 * request finds out about all in the same hardware queue, but not about others
 * elsewhere; so each that the driver has got has its turn.
 *
 * Context: worker, without a plug; does not sleep.
 */
void vhost_blk_req_poll(struct vhost_blk_vq *vq)
{
	struct vhost_blk_req *req, *next;

	if (!vq->nr_polled || !llist_empty(&vq->done))
		return;
	list_for_each_entry_safe(req, next, &vq->polled, link) {
		if (!vhost_blk_bio_is_polled(req)) {
			vhost_blk_req_unpoll(req);
		} else if (vhost_blk_bio_can_poll(req)) {
			list_move_tail(&req->link, &vq->polled);
			vhost_blk_bio_poll(req);
			return;
		}
	}
}
