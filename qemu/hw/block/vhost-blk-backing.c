/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block device behind vhost-blk: opening, locking, limits
 *
 * QEMU's block layer is not involved: requests go from the guest's rings to the
 * host kernel, which needs nothing but a file descriptor.
 */
#include "qemu/osdep.h"

#include <sys/ioctl.h>
#include <linux/blkzoned.h>
#include <linux/fs.h>

#include "qapi/error.h"
#include "monitor/monitor.h"
#include "block/block-common.h"
#include "hw/virtio/vhost-blk.h"

/*
 * The bytes that QEMU's file driver locks (block/file-posix.c): a read lock on
 * PERM_BASE + n says "I use permission n", on SHARED_BASE + n "others may
 * not".
 */
#define LOCK_PERM_BASE 100
#define LOCK_SHARED_BASE 200
#define LOCK_BITS 4

static const char *const lock_names[LOCK_BITS] = {
    "consistent read",
    "write",
    "write unchanged",
    "resize",
};

static bool lock_bytes(VHostBlkBacking *b, uint64_t perm, int base,
                       Error **errp)
{
    int i, ret;

    for (i = 0; i < LOCK_BITS; i++) {
        if (!(perm & (1ULL << i))) {
            continue;
        }
        ret = qemu_lock_fd(b->fd, base + i, 1, false);
        if (ret < 0) {
            error_setg_errno(errp, -ret,
                             "vhost-blk: cannot lock byte %d of '%s'", base + i,
                             b->name);
            return false;
        }
    }
    return true;
}

static bool lock_test(VHostBlkBacking *b, uint64_t perm, int base,
                      const char *what, Error **errp)
{
    int i;

    for (i = 0; i < LOCK_BITS; i++) {
        if (!(perm & (1ULL << i))) {
            continue;
        }
        if (qemu_lock_fd_test(b->fd, base + i, 1, true) < 0) {
            error_setg(errp,
                       "vhost-blk: '%s' is in use by another process, which "
                       "%s \"%s\"",
                       b->name, what, lock_names[i]);
            return false;
        }
    }
    return true;
}

/*
 * The permissions of a virtio-blk device without share-rw=on: other readers are
 * welcome, other writers are not, and nobody reads while we write. The locks
 * belong to the open file, which the kernel keeps until its last request.
 */
static bool lock_backing(VHostBlkBacking *b, bool read_only, Error **errp)
{
    uint64_t perm = BLK_PERM_CONSISTENT_READ;
    uint64_t unshared = BLK_PERM_WRITE;

    if (!read_only) {
        perm |= BLK_PERM_WRITE;
    }
    return lock_bytes(b, perm, LOCK_PERM_BASE, errp) &&
           lock_bytes(b, unshared, LOCK_SHARED_BASE, errp) &&
           lock_test(b, perm, LOCK_SHARED_BASE, "does not share", errp) &&
           lock_test(b, unshared, LOCK_PERM_BASE, "uses", errp);
}

static int open_path(const char *path, bool read_only, Error **errp)
{
    ERRP_GUARD();
    int fd = qemu_open(path, read_only ? O_RDONLY : O_RDWR, errp);

    if (fd >= 0) {
        return fd;
    }
    switch (errno) {
    case EROFS:
        error_prepend(errp, "vhost-blk: read-only device, add read-only=on: ");
        break;
    case EACCES:
    case EPERM:
        error_prepend(errp, "vhost-blk: no permission to open for %s: ",
                      read_only ? "reading" : "reading and writing");
        break;
    default:
        error_prepend(errp, "vhost-blk: ");
        break;
    }
    return -1;
}

/* The kernel takes the access mode of the fd for the one of the disk. */
static int restrict_to_reading(int fd, Error **errp)
{
    ERRP_GUARD();
    g_autofree char *self = g_strdup_printf("/proc/self/fd/%d", fd);
    int ro = qemu_open(self, O_RDONLY, errp);

    if (ro < 0) {
        error_prepend(errp, "vhost-blk: read-only=on needs a file descriptor "
                            "that is open for reading only: ");
    }
    close(fd);
    return ro;
}

static int open_fd(const char *name, bool read_only, Error **errp)
{
    ERRP_GUARD();
    int fd = monitor_fd_param(monitor_cur(), name, errp);
    int mode;

    if (fd < 0) {
        error_prepend(errp, "vhost-blk: fd '%s': ", name);
        return -1;
    }
    mode = fcntl(fd, F_GETFL);
    if (mode < 0) {
        error_setg_errno(errp, errno, "vhost-blk: fd '%s'", name);
        return -1;
    }
    mode &= O_ACCMODE;
    if (read_only) {
        return mode == O_RDONLY ? fd : restrict_to_reading(fd, errp);
    }
    if (mode != O_RDWR) {
        error_setg(errp,
                   "vhost-blk: fd '%s' is not open for reading and "
                   "writing: use another one or add read-only=on",
                   name);
        close(fd);
        return -1;
    }
    return fd;
}

static bool check_block_device(VHostBlkBacking *b, Error **errp)
{
    uint32_t zone_sectors = 0;
    struct stat st;

    if (fstat(b->fd, &st) < 0) {
        error_setg_errno(errp, errno, "vhost-blk: '%s'", b->name);
        return false;
    }
    if (!S_ISBLK(st.st_mode)) {
        error_setg(errp,
                   "vhost-blk: '%s' is not a block device (losetup makes "
                   "one of an image file)",
                   b->name);
        return false;
    }
    if (ioctl(b->fd, BLKGETZONESZ, &zone_sectors) == 0 && zone_sectors) {
        error_setg(errp,
                   "vhost-blk: '%s' is a zoned block device, which is "
                   "not supported",
                   b->name);
        return false;
    }
    return true;
}

static bool check_writable(VHostBlkBacking *b, bool read_only, Error **errp)
{
    int ro = 0;

    if (!read_only && ioctl(b->fd, BLKROGET, &ro) == 0 && ro) {
        error_setg(errp,
                   "vhost-blk: '%s' is a read-only device: add read-only=on",
                   b->name);
        return false;
    }
    return true;
}

bool vhost_blk_backing_update(VHostBlkBacking *b, Error **errp)
{
    unsigned int physical, io_min, io_opt;
    int logical, offset;
    uint64_t size;

    if (ioctl(b->fd, BLKGETSIZE64, &size) < 0 ||
        ioctl(b->fd, BLKSSZGET, &logical) < 0 ||
        ioctl(b->fd, BLKPBSZGET, &physical) < 0 ||
        ioctl(b->fd, BLKALIGNOFF, &offset) < 0 ||
        ioctl(b->fd, BLKIOMIN, &io_min) < 0 ||
        ioctl(b->fd, BLKIOOPT, &io_opt) < 0) {
        error_setg_errno(errp, errno,
                         "vhost-blk: cannot read the limits of '%s'", b->name);
        return false;
    }
    if (!size) {
        error_setg(errp, "vhost-blk: '%s' has no capacity", b->name);
        return false;
    }
    b->limits = (VHostBlkLimits){
        .size = size,
        .logical_block = logical,
        .physical_block = physical,
        .alignment_offset = MAX(offset, 0), /* -1: misaligned */
        .io_min = io_min,
        .io_opt = io_opt,
    };
    return true;
}

bool vhost_blk_backing_open(VHostBlk *s, Error **errp)
{
    VHostBlkBacking *b = &s->backing;

    if (s->path && s->fd) {
        error_setg(errp, "vhost-blk: path and fd exclude each other");
        return false;
    }
    if (!s->path && !s->fd) {
        error_setg(errp, "vhost-blk: path=DEVICE (or fd=) is missing");
        return false;
    }
    b->fd = s->path ? open_path(s->path, s->read_only, errp)
                    : open_fd(s->fd, s->read_only, errp);
    if (b->fd < 0) {
        return false;
    }
    b->name = s->path ? g_strdup(s->path) : g_strdup_printf("fd %s", s->fd);
    if (check_block_device(b, errp) && check_writable(b, s->read_only, errp) &&
        lock_backing(b, s->read_only, errp) &&
        vhost_blk_backing_update(b, errp)) {
        return true;
    }
    vhost_blk_backing_close(b);
    return false;
}

void vhost_blk_backing_close(VHostBlkBacking *b)
{
    qemu_close(b->fd);
    b->fd = -1;
    g_free(b->name);
    b->name = NULL;
}
