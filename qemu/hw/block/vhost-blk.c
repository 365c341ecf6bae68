/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vhost-blk: a virtio block device whose requests are served by the host kernel
 *
 * QEMU sets the device up, answers configuration reads and passes interrupts
 * that cannot be delivered by irqfd. From the moment the guest's driver is
 * ready until the device is stopped, the rings belong to /dev/vhost-blk.
 */
#include "qemu/osdep.h"

#include <sys/ioctl.h>
#include <linux/vhost_blk.h>

#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "qemu/main-loop.h"
#include "migration/vmstate.h"
#include "monitor/monitor.h"
#include "hw/virtio/virtio-access.h"
#include "hw/virtio/virtio-bus.h"
#include "hw/virtio/vhost-blk.h"
#include "hw/virtio/vhost-blk-compat.h"
#include "standard-headers/linux/virtio_blk.h"
#include "standard-headers/linux/virtio_ids.h"

#define SECTOR_SIZE 512
#define QUEUE_MIN 4
#define SEG_MAX_LIMIT 256
#define SEG_ALIGN 4096

/* Every bit that the guest must not see unless the kernel offers it. */
static const int feature_bits[] = {
    VIRTIO_BLK_F_SIZE_MAX,
    VIRTIO_BLK_F_SEG_MAX,
    VIRTIO_BLK_F_GEOMETRY,
    VIRTIO_BLK_F_RO,
    VIRTIO_BLK_F_BLK_SIZE,
    VIRTIO_BLK_F_FLUSH,
    VIRTIO_BLK_F_TOPOLOGY,
    VIRTIO_BLK_F_CONFIG_WCE,
    VIRTIO_BLK_F_MQ,
    VIRTIO_BLK_F_DISCARD,
    VIRTIO_BLK_F_WRITE_ZEROES,
    VIRTIO_F_NOTIFY_ON_EMPTY,
    VIRTIO_F_ANY_LAYOUT,
    VIRTIO_RING_F_INDIRECT_DESC,
    VIRTIO_RING_F_EVENT_IDX,
    VIRTIO_F_VERSION_1,
    VIRTIO_F_IOMMU_PLATFORM,
    VIRTIO_F_RING_PACKED,
#ifdef VIRTIO_F_IN_ORDER
    VIRTIO_F_IN_ORDER,
#endif
#ifdef VIRTIO_F_NOTIFICATION_DATA
    VIRTIO_F_NOTIFICATION_DATA,
#endif
    VIRTIO_F_RING_RESET,
    VHOST_INVALID_FEATURE_BIT,
};

/* ---- configuration space ---- */

/* A queue's descriptors less those of header and status, as virtio-blk does. */
static uint32_t seg_max(VHostBlk *s)
{
    return MIN(s->queue_size - 2, SEG_MAX_LIMIT);
}

/*
 * No request that keeps to size_max and seg_max is longer than the kernel
 * takes. With 256 entries per queue that means 254 segments of 16 KiB: a guest
 * that finds its 1 MiB buffer in large pages needs 64 of them, one that
 * has to collect single pages gets 1016 KiB into a request, and 1 MiB where
 * the queue has 512 entries.
 */
static uint32_t size_max(VHostBlk *s)
{
    return QEMU_ALIGN_DOWN(VHOST_BLK_MAX_BYTES / seg_max(s), SEG_ALIGN);
}

static uint32_t in_blocks(const VHostBlkLimits *l, uint32_t bytes, uint32_t max)
{
    return MIN(bytes / l->logical_block, max);
}

static void fill_geometry(VirtIODevice *vdev, struct virtio_blk_config *c,
                          uint64_t sectors)
{
    const unsigned int heads = 16, per_track = 63;
    uint64_t cylinders = sectors / (heads * per_track);

    virtio_stw_p(vdev, &c->geometry.cylinders, MIN(cylinders, 16383));
    c->geometry.heads = heads;
    c->geometry.sectors = per_track;
}

static void vhost_blk_get_config(VirtIODevice *vdev, uint8_t *config)
{
    VHostBlk *s = VHOST_BLK(vdev);
    const VHostBlkLimits *l = &s->backing.limits;
    struct virtio_blk_config c = { 0 };

    virtio_stq_p(vdev, &c.capacity, l->size / SECTOR_SIZE);
    virtio_stl_p(vdev, &c.size_max, size_max(s));
    virtio_stl_p(vdev, &c.seg_max, seg_max(s));
    fill_geometry(vdev, &c, l->size / SECTOR_SIZE);
    virtio_stl_p(vdev, &c.blk_size, l->logical_block);
    c.physical_block_exp = ctz32(l->physical_block / l->logical_block);
    c.alignment_offset = in_blocks(l, l->alignment_offset, UINT8_MAX);
    virtio_stw_p(vdev, &c.min_io_size, in_blocks(l, l->io_min, UINT16_MAX));
    virtio_stl_p(vdev, &c.opt_io_size, in_blocks(l, l->io_opt, UINT32_MAX));
    virtio_stw_p(vdev, &c.num_queues, s->num_queues);
    memcpy(config, &c, vdev->config_len);
}

static uint64_t vhost_blk_get_features(VirtIODevice *vdev, uint64_t features,
                                       Error **errp)
{
    VHostBlk *s = VHOST_BLK(vdev);

    virtio_add_feature(&features, VIRTIO_BLK_F_SIZE_MAX);
    virtio_add_feature(&features, VIRTIO_BLK_F_SEG_MAX);
    virtio_add_feature(&features, VIRTIO_BLK_F_GEOMETRY);
    virtio_add_feature(&features, VIRTIO_BLK_F_BLK_SIZE);
    virtio_add_feature(&features, VIRTIO_BLK_F_FLUSH);
    virtio_add_feature(&features, VIRTIO_BLK_F_TOPOLOGY);
    if (s->num_queues > 1) {
        virtio_add_feature(&features, VIRTIO_BLK_F_MQ);
    }
    if (s->read_only) {
        virtio_add_feature(&features, VIRTIO_BLK_F_RO);
    }
    return vhost_get_features(&s->hdev, feature_bits, features);
}

/* ---- start and stop ---- */

/*
 * Device wide: the kernel starts every queue that has been set up. A vCPU that
 * is kicked meanwhile has a signal pending, with which the kernel attaches
 * nothing; what was set up stays.
 */
static int set_backend(VHostBlk *s, int fd)
{
    struct vhost_vring_file backend = { .index = 0, .fd = fd };
    int vhostfd = (uintptr_t)s->hdev.opaque;
    int ret;

    do {
        ret = ioctl(vhostfd, VHOST_BLK_SET_BACKEND, &backend);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : 0;
}

static int set_guest_notifiers(VHostBlk *s, bool assign)
{
    BusState *qbus = qdev_get_parent_bus(DEVICE(s));
    VirtioBusClass *k = VIRTIO_BUS_GET_CLASS(qbus);

    if (!k->set_guest_notifiers) {
        return -ENOSYS;
    }
    return k->set_guest_notifiers(qbus->parent, s->hdev.nvqs, assign);
}

static int vhost_blk_start(VHostBlk *s, Error **errp)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    int ret;

    ret = vhost_dev_enable_notifiers(&s->hdev, vdev);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot bind host notifiers");
        return ret;
    }
    ret = set_guest_notifiers(s, true);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot bind guest notifiers");
        goto err_host_notifiers;
    }
    s->hdev.acked_features = 0;
    vhost_ack_features(&s->hdev, feature_bits, vdev->guest_features);
    ret = vhost_dev_start(&s->hdev, vdev, false);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot set up the rings");
        goto err_guest_notifiers;
    }
    ret = set_backend(s, s->backing.fd);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot attach '%s'", s->backing.name);
        goto err_dev;
    }
    s->running = true;
    return 0;

err_dev:
    vhost_dev_stop(&s->hdev, vdev, false);
err_guest_notifiers:
    set_guest_notifiers(s, false);
err_host_notifiers:
    vhost_dev_disable_notifiers(&s->hdev, vdev);
    return ret;
}

/*
 * QEMU flushes its block layer when the guest is stopped or moved away and
 * does not know about this device.
 */
static int flush_backing(VHostBlk *s)
{
    if (s->read_only || fdatasync(s->backing.fd) == 0) {
        return 0;
    }
    error_report("vhost-blk: cannot flush '%s': %s", s->backing.name,
                 strerror(errno));
    return -errno;
}

/* Waits for the requests in flight. Goes on whatever fails. */
static int vhost_blk_stop(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    int ret;

    s->running = false;
    ret = set_backend(s, -1);
    if (ret < 0) {
        error_report("vhost-blk: cannot detach '%s': %s", s->backing.name,
                     strerror(-ret));
    }
    vhost_dev_stop(&s->hdev, vdev, false);
    if (set_guest_notifiers(s, false) < 0) {
        error_report("vhost-blk: cannot release guest notifiers");
    }
    vhost_dev_disable_notifiers(&s->hdev, vdev);
    return flush_backing(s) ?: ret;
}

/*
 * virtio_set_status() overwrites the status after its callback: NEEDS_RESET has
 * to wait until that is done.
 */
static void vhost_blk_broken_bh(void *opaque)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(opaque);

    if (vdev->broken) {
        virtio_error(vdev, "vhost-blk: stopped until the guest resets the "
                           "device");
    }
}

/* Some requests may be in the rings already: let the kernel look. */
static void kick_queues(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    int i;

    for (i = 0; i < s->num_queues; i++) {
        if (virtio_queue_get_desc_addr(vdev, i)) {
            VirtQueue *vq = virtio_get_queue(vdev, i);

            event_notifier_set(virtio_queue_get_host_notifier(vq));
        }
    }
}

static int try_start(VHostBlk *s)
{
    Error *err = NULL;
    int ret = vhost_blk_start(s, &err);

    if (ret < 0) {
        error_reportf_err(err, "vhost-blk: cannot start: ");
        VIRTIO_DEVICE(s)->broken = true;
        qemu_bh_schedule(s->broken_bh);
        return ret;
    }
    kick_queues(s);
    return 0;
}

/*
 * Not virtio_device_should_start(), which wants DRIVER_OK: a legacy guest that
 * kicked before setting it has to survive stop and cont, too.
 */
static bool should_run(VirtIODevice *vdev, uint8_t status)
{
    return vdev->vm_running && !vdev->broken && status &&
           virtio_device_started(vdev, status);
}

static VHostBlkStatusResult vhost_blk_set_status(VirtIODevice *vdev,
                                                 uint8_t status)
{
    VHostBlk *s = VHOST_BLK(vdev);
    bool run = should_run(vdev, status);
    int ret = 0;

    if (run && !s->running) {
        ret = try_start(s);
    } else if (!run && s->running) {
        ret = vhost_blk_stop(s);
    }
    return VHOST_BLK_STATUS_RESULT(ret);
}

/* A firmware or legacy driver may kick before it sets DRIVER_OK. */
static void vhost_blk_handle_output(VirtIODevice *vdev, VirtQueue *vq)
{
    VHostBlk *s = VHOST_BLK(vdev);

    if (vdev->start_on_kick && vdev->vm_running && !s->running) {
        try_start(s);
    }
}

/* The driver starts afresh and reads the capacity again. */
static void vhost_blk_reset(VirtIODevice *vdev)
{
    Error *err = NULL;

    if (!vhost_blk_backing_update(&VHOST_BLK(vdev)->backing, &err)) {
        warn_report_err(err);
    }
}

/* ---- events ---- */

/* The kernel gave up on a ring: that happens only if the guest damaged it. */
static void vhost_blk_queue_error(EventNotifier *n)
{
    struct vhost_virtqueue *vq =
        container_of(n, struct vhost_virtqueue, error_notifier);
    VHostBlk *s = container_of(vq->dev, VHostBlk, hdev);

    if (event_notifier_test_and_clear(n) && s->running) {
        virtio_error(VIRTIO_DEVICE(s),
                     "vhost-blk: queue %td is damaged: "
                     "stopped until the guest resets the device",
                     vq - s->vqs);
        vhost_blk_stop(s);
    }
}

static void vhost_blk_guest_notifier_mask(VirtIODevice *vdev, int idx,
                                          bool mask)
{
    if (!VHOST_BLK_IS_CONFIG_IRQ(idx)) {
        vhost_virtqueue_mask(&VHOST_BLK(vdev)->hdev, vdev, idx, mask);
    }
}

static bool vhost_blk_guest_notifier_pending(VirtIODevice *vdev, int idx)
{
    return !VHOST_BLK_IS_CONFIG_IRQ(idx) &&
           vhost_virtqueue_pending(&VHOST_BLK(vdev)->hdev, idx);
}

static struct vhost_dev *vhost_blk_get_vhost(VirtIODevice *vdev)
{
    return &VHOST_BLK(vdev)->hdev;
}

/* ---- realize ---- */

static bool check_properties(VHostBlk *s, Error **errp)
{
    if (s->num_queues == VHOST_BLK_AUTO_NUM_QUEUES) {
        s->num_queues = 1;
    }
    if (!s->num_queues || s->num_queues > VHOST_BLK_MAX_QUEUES) {
        error_setg(errp, "vhost-blk: num-queues must be 1 to %d",
                   VHOST_BLK_MAX_QUEUES);
        return false;
    }
    if (s->queue_size < QUEUE_MIN || s->queue_size > VHOST_BLK_MAX_DESC ||
        !is_power_of_2(s->queue_size)) {
        error_setg(errp,
                   "vhost-blk: queue-size must be a power of two from "
                   "%d to %d",
                   QUEUE_MIN, VHOST_BLK_MAX_DESC);
        return false;
    }
    if (s->serial && strlen(s->serial) > VHOST_BLK_SERIAL_LEN) {
        error_setg(errp, "vhost-blk: serial is longer than %d bytes",
                   VHOST_BLK_SERIAL_LEN);
        return false;
    }
    return true;
}

static int open_vhostdev(VHostBlk *s, Error **errp)
{
    ERRP_GUARD();
    const char *path = s->vhostdev ?: "/dev/vhost-blk";
    int fd = qemu_open(path, O_RDWR, errp);

    if (fd >= 0) {
        return fd;
    }
    switch (errno) {
    case ENOENT:
    case ENODEV:
    case ENXIO:
        error_prepend(errp, "vhost-blk: the host kernel has no vhost-blk, try "
                            "modprobe vhost_blk: ");
        break;
    case EACCES:
    case EPERM:
        error_prepend(errp, "vhost-blk: no permission for the vhost device: ");
        break;
    default:
        error_prepend(errp, "vhost-blk: ");
        break;
    }
    return -1;
}

static int get_vhost_fd(VHostBlk *s, Error **errp)
{
    ERRP_GUARD();
    int fd;

    if (!s->vhostfd) {
        return open_vhostdev(s, errp);
    }
    if (s->vhostdev) {
        error_setg(errp, "vhost-blk: vhostdev and vhostfd exclude each other");
        return -1;
    }
    fd = monitor_fd_param(monitor_cur(), s->vhostfd, errp);
    if (fd < 0) {
        error_prepend(errp, "vhost-blk: vhostfd '%s': ", s->vhostfd);
    }
    return fd;
}

static bool set_serial(VHostBlk *s, Error **errp)
{
    char serial[VHOST_BLK_SERIAL_LEN] = "";
    int vhostfd = (uintptr_t)s->hdev.opaque;

    if (s->serial) {
        memcpy(serial, s->serial, strlen(s->serial));
    }
    if (ioctl(vhostfd, VHOST_BLK_SET_SERIAL, serial) < 0) {
        error_setg_errno(errp, errno,
                         "vhost-blk: this vhost device is not "
                         "vhost-blk, it takes no serial");
        return false;
    }
    return true;
}

static void add_queues(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    int i;

    virtio_init(vdev, VIRTIO_ID_BLOCK,
                offsetof(struct virtio_blk_config, max_discard_sectors));
    for (i = 0; i < s->num_queues; i++) {
        virtio_add_queue(vdev, s->queue_size, vhost_blk_handle_output);
    }
    s->vqs = g_new0(struct vhost_virtqueue, s->num_queues);
}

static void delete_queues(VHostBlk *s)
{
    VirtIODevice *vdev = VIRTIO_DEVICE(s);
    int i;

    for (i = 0; i < s->num_queues; i++) {
        virtio_del_queue(vdev, i);
    }
    g_free(s->vqs);
    s->vqs = NULL;
    virtio_cleanup(vdev);
}

/* Takes @fd over, also on failure: vhost closes it. */
static bool init_vhost(VHostBlk *s, int fd, Error **errp)
{
    ERRP_GUARD();
    int i, ret;

    s->hdev.nvqs = s->num_queues;
    s->hdev.vqs = s->vqs;
    s->hdev.vq_index = 0;
    s->hdev.backend_features = 0;
    ret = vhost_dev_init(&s->hdev, (void *)(uintptr_t)fd,
                         VHOST_BACKEND_TYPE_KERNEL, 0, errp);
    if (ret < 0) {
        error_prepend(errp, "vhost-blk: cannot set up the vhost device: ");
        return false;
    }
    if (!set_serial(s, errp)) {
        vhost_dev_cleanup(&s->hdev);
        return false;
    }
    for (i = 0; i < s->num_queues; i++) {
        event_notifier_set_handler(&s->vqs[i].error_notifier,
                                   vhost_blk_queue_error);
    }
    return true;
}

static void vhost_blk_realize(DeviceState *dev, Error **errp)
{
    VHostBlk *s = VHOST_BLK(dev);
    int fd;

    if (!check_properties(s, errp)) {
        return;
    }
    if (!vhost_blk_backing_open(s, errp)) {
        return;
    }
    fd = get_vhost_fd(s, errp);
    if (fd < 0) {
        goto err_backing;
    }
    add_queues(s);
    if (!init_vhost(s, fd, errp)) {
        goto err_queues;
    }
    s->broken_bh = qemu_bh_new(vhost_blk_broken_bh, s);
    return;

err_queues:
    delete_queues(s);
err_backing:
    vhost_blk_backing_close(&s->backing);
}

static void vhost_blk_unrealize(DeviceState *dev)
{
    VHostBlk *s = VHOST_BLK(dev);

    virtio_set_status(VIRTIO_DEVICE(s), 0); /* stops it */
    qemu_bh_delete(s->broken_bh);
    s->broken_bh = NULL;
    vhost_dev_cleanup(&s->hdev);
    delete_queues(s);
    vhost_blk_backing_close(&s->backing);
}

static void vhost_blk_instance_init(Object *obj)
{
    VHostBlk *s = VHOST_BLK(obj);

    s->backing.fd = -1;
    device_add_bootindex_property(obj, &s->bootindex, "bootindex", "/disk@0,0",
                                  DEVICE(obj));
}

/* ---- migration and type ---- */

static int vhost_blk_pre_save(void *opaque)
{
    VHostBlk *s = opaque;

    assert(!s->running);
    return 0;
}

static const VMStateField vmstate_fields[] = {
    VMSTATE_VIRTIO_DEVICE,
    VMSTATE_END_OF_LIST(),
};

/*
 * The state is complete once the kernel is stopped. Moving a running guest
 * needs dirty logging: as long as the kernel does not offer it,
 * vhost_dev_init() blocks migration.
 */
static const VMStateDescription vmstate_vhost_blk = {
    .name = "vhost-blk",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = vhost_blk_pre_save,
    .fields = vmstate_fields,
};

static VHOST_BLK_PROPERTY vhost_blk_properties[] = {
    DEFINE_PROP_STRING("path", VHostBlk, path),
    DEFINE_PROP_STRING("fd", VHostBlk, fd),
    DEFINE_PROP_STRING("vhostdev", VHostBlk, vhostdev),
    DEFINE_PROP_STRING("vhostfd", VHostBlk, vhostfd),
    DEFINE_PROP_STRING("serial", VHostBlk, serial),
    DEFINE_PROP_UINT16("num-queues", VHostBlk, num_queues,
                       VHOST_BLK_AUTO_NUM_QUEUES),
    DEFINE_PROP_UINT16("queue-size", VHostBlk, queue_size, 256),
    DEFINE_PROP_BOOL("read-only", VHostBlk, read_only, false),
    VHOST_BLK_PROPERTY_END
};

static void vhost_blk_class_init(ObjectClass *klass, VHostBlkClassData *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    VirtioDeviceClass *vdc = VIRTIO_DEVICE_CLASS(klass);

    device_class_set_props(dc, vhost_blk_properties);
    dc->vmsd = &vmstate_vhost_blk;
    dc->desc = "virtio block device served by the host kernel";
    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);
    vdc->realize = vhost_blk_realize;
    vdc->unrealize = vhost_blk_unrealize;
    vdc->get_config = vhost_blk_get_config;
    vdc->get_features = vhost_blk_get_features;
    vdc->set_status = vhost_blk_set_status;
    vdc->reset = vhost_blk_reset;
    vdc->guest_notifier_mask = vhost_blk_guest_notifier_mask;
    vdc->guest_notifier_pending = vhost_blk_guest_notifier_pending;
    vdc->get_vhost = vhost_blk_get_vhost;
}

static const TypeInfo vhost_blk_info = {
    .name = TYPE_VHOST_BLK,
    .parent = TYPE_VIRTIO_DEVICE,
    .instance_size = sizeof(VHostBlk),
    .instance_init = vhost_blk_instance_init,
    .class_init = vhost_blk_class_init,
};

VHOST_BLK_TYPE_INIT void vhost_blk_register_types(void)
{
    type_register_static(&vhost_blk_info);
}

vhost_blk_type_init(vhost_blk_register_types)
