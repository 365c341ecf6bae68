/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints. Each names the device (the N of vhost-blkN) and the queue; a
 * request is known by device, queue and the id of its first descriptor for as
 * long as it is under way. Documentation/virt/vhost-blk/tracing.rst has recipes.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vhost_blk

#if !defined(VHOST_BLK_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VHOST_BLK_TRACE_H

#include <linux/tracepoint.h>
#include <linux/types.h>
#include <uapi/linux/virtio_blk.h>

struct vhost_blk_req;
struct vhost_blk_ring;

#define vhost_blk_show_type(type)                                      \
	__print_symbolic(type, { VIRTIO_BLK_T_IN, "read" },            \
			 { VIRTIO_BLK_T_OUT, "write" },                \
			 { VIRTIO_BLK_T_FLUSH, "flush" },              \
			 { VIRTIO_BLK_T_GET_ID, "get_id" })

#define vhost_blk_show_status(status)                                  \
	__print_symbolic(status, { VIRTIO_BLK_S_OK, "ok" },            \
			 { VIRTIO_BLK_S_IOERR, "ioerr" },              \
			 { VIRTIO_BLK_S_UNSUPP, "unsupp" })

TRACE_EVENT(vhost_blk_request_start,
	TP_PROTO(const struct vhost_blk_req *req),
	TP_ARGS(req),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
		__field(u64, sector)
		__field(u32, bytes)
		__field(u32, type)
		__field(u16, id)
	),
	TP_fast_assign(
		__entry->dev = req->vq->dev_id;
		__entry->queue = req->vq->index;
		__entry->sector = req->sector;
		__entry->bytes = req->data_len;
		__entry->type = req->type;
		__entry->id = req->id;
	),
	TP_printk("dev=%u queue=%u id=%u op=%s sector=%llu bytes=%u",
		  __entry->dev, __entry->queue, __entry->id,
		  vhost_blk_show_type(__entry->type), __entry->sector,
		  __entry->bytes)
);

TRACE_EVENT(vhost_blk_request_submit,
	TP_PROTO(const struct vhost_blk_req *req, unsigned int bios),
	TP_ARGS(req, bios),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
		__field(u64, sector)
		__field(dev_t, backend)
		__field(unsigned int, bios)
		__field(u16, id)
	),
	TP_fast_assign(
		__entry->dev = req->vq->dev_id;
		__entry->queue = req->vq->index;
		__entry->sector = req->sector;
		__entry->backend = req->vq->backend->bdev->bd_dev;
		__entry->bios = bios;
		__entry->id = req->id;
	),
	TP_printk("dev=%u queue=%u id=%u backend=%u,%u sector=%llu bios=%u",
		  __entry->dev, __entry->queue, __entry->id,
		  MAJOR(__entry->backend), MINOR(__entry->backend),
		  __entry->sector, __entry->bios)
);

TRACE_EVENT(vhost_blk_request_complete,
	TP_PROTO(const struct vhost_blk_req *req, u8 status, u32 len,
		 u64 latency_ns, u64 device_ns),
	TP_ARGS(req, status, len, latency_ns, device_ns),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
		__field(u64, latency_ns)
		__field(u64, device_ns)
		__field(u32, type)
		__field(u32, len)
		__field(u16, id)
		__field(u8, status)
	),
	TP_fast_assign(
		__entry->dev = req->vq->dev_id;
		__entry->queue = req->vq->index;
		__entry->latency_ns = latency_ns;
		__entry->device_ns = device_ns;
		__entry->type = req->type;
		__entry->len = len;
		__entry->id = req->id;
		__entry->status = status;
	),
	TP_printk("dev=%u queue=%u id=%u op=%s status=%s len=%u latency=%llu ns device=%llu ns",
		  __entry->dev, __entry->queue, __entry->id,
		  vhost_blk_show_type(__entry->type),
		  vhost_blk_show_status(__entry->status), __entry->len,
		  __entry->latency_ns, __entry->device_ns)
);

DECLARE_EVENT_CLASS(vhost_blk_queue,
	TP_PROTO(unsigned int dev, unsigned int queue),
	TP_ARGS(dev, queue),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->queue = queue;
	),
	TP_printk("dev=%u queue=%u", __entry->dev, __entry->queue)
);

DEFINE_EVENT(vhost_blk_queue, vhost_blk_kick,
	TP_PROTO(unsigned int dev, unsigned int queue),
	TP_ARGS(dev, queue)
);

DEFINE_EVENT(vhost_blk_queue, vhost_blk_sleep,
	TP_PROTO(unsigned int dev, unsigned int queue),
	TP_ARGS(dev, queue)
);

DECLARE_EVENT_CLASS(vhost_blk_ns,
	TP_PROTO(unsigned int dev, unsigned int queue, u64 ns),
	TP_ARGS(dev, queue, ns),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
		__field(u64, ns)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->queue = queue;
		__entry->ns = ns;
	),
	TP_printk("dev=%u queue=%u ns=%llu", __entry->dev, __entry->queue,
		  __entry->ns)
);

/* The window about to be polled for. */
DEFINE_EVENT(vhost_blk_ns, vhost_blk_poll_begin,
	TP_PROTO(unsigned int dev, unsigned int queue, u64 ns),
	TP_ARGS(dev, queue, ns)
);

/* How long it slept. */
DEFINE_EVENT(vhost_blk_ns, vhost_blk_wake,
	TP_PROTO(unsigned int dev, unsigned int queue, u64 ns),
	TP_ARGS(dev, queue, ns)
);

TRACE_EVENT(vhost_blk_poll_end,
	TP_PROTO(unsigned int dev, unsigned int queue, bool hit, u64 ns),
	TP_ARGS(dev, queue, hit, ns),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
		__field(u64, ns)
		__field(bool, hit)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->queue = queue;
		__entry->ns = ns;
		__entry->hit = hit;
	),
	TP_printk("dev=%u queue=%u hit=%d ns=%llu", __entry->dev,
		  __entry->queue, __entry->hit, __entry->ns)
);

TRACE_EVENT(vhost_blk_window,
	TP_PROTO(unsigned int dev, unsigned int queue, u32 from_ns, u32 to_ns,
		 u64 idle_ns),
	TP_ARGS(dev, queue, from_ns, to_ns, idle_ns),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
		__field(u64, idle_ns)
		__field(u32, from_ns)
		__field(u32, to_ns)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->queue = queue;
		__entry->idle_ns = idle_ns;
		__entry->from_ns = from_ns;
		__entry->to_ns = to_ns;
	),
	TP_printk("dev=%u queue=%u %s from=%u ns to=%u ns idle=%llu ns",
		  __entry->dev, __entry->queue,
		  __entry->to_ns > __entry->from_ns ? "grow" : "shrink",
		  __entry->from_ns, __entry->to_ns, __entry->idle_ns)
);

TRACE_EVENT(vhost_blk_signal,
	TP_PROTO(unsigned int dev, unsigned int queue, bool sent,
		 unsigned int entries),
	TP_ARGS(dev, queue, sent, entries),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
		__field(unsigned int, entries)
		__field(bool, sent)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->queue = queue;
		__entry->entries = entries;
		__entry->sent = sent;
	),
	TP_printk("dev=%u queue=%u %s entries=%u", __entry->dev,
		  __entry->queue, __entry->sent ? "sent" : "suppressed",
		  __entry->entries)
);

/* A core was chosen; cpu is -1 for any. */
TRACE_EVENT(vhost_blk_place,
	TP_PROTO(unsigned int dev, unsigned int queue, int cpu,
		 const char *why),
	TP_ARGS(dev, queue, cpu, why),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
		__field(int, cpu)
		__string(why, why)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->queue = queue;
		__entry->cpu = cpu;
		vhost_blk_compat_assign_str(why, why);
	),
	TP_printk("dev=%u queue=%u cpu=%d why=%s", __entry->dev,
		  __entry->queue, __entry->cpu, __get_str(why))
);

/* The ring is damaged and served no longer; index names the bad entry. */
TRACE_EVENT(vhost_blk_ring_error,
	TP_PROTO(unsigned int dev, unsigned int queue,
		 const struct vhost_blk_ring *ring),
	TP_ARGS(dev, queue, ring),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
		__field(unsigned int, index)
		__string(damage, ring->damage)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->queue = queue;
		__entry->index = ring->damage_index;
		vhost_blk_compat_assign_str(damage, ring->damage);
	),
	TP_printk("dev=%u queue=%u index=%u damage=%s", __entry->dev,
		  __entry->queue, __entry->index, __get_str(damage))
);

/* A chain that did not parse was given back. */
TRACE_EVENT(vhost_blk_bad_chain,
	TP_PROTO(unsigned int dev, unsigned int queue, u16 id),
	TP_ARGS(dev, queue, id),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
		__field(u16, id)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->queue = queue;
		__entry->id = id;
	),
	TP_printk("dev=%u queue=%u id=%u", __entry->dev, __entry->queue,
		  __entry->id)
);

#endif /* VHOST_BLK_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
