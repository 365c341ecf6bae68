/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LD_PRELOAD: a /dev/vhost-blk that moves no data and a file that passes for a
 * block device, to see what QEMU does with them without a kernel module.
 *
 * FAKE_LOG    every call is appended here, one line each
 * FAKE_DISK   the file that is a block device of 4096-byte physical blocks
 * FAKE_FAIL   attaching the backend fails
 * FAKE_INTR   a signal interrupts the first two times that it is attached
 * FAKE_BREAK  the first attach is followed by an event on the error eventfd
 * FAKE_RO     the disk is read-only
 * FAKE_ZONED  the disk has zones
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/blkzoned.h>
#include <linux/fs.h>
#include <linux/vhost.h>
#include <linux/vhost_blk.h>

#define FEATURES 0x138001676ULL /* what vhost_blk.ko offers */
#define MAX_FD 4096

static char kind[MAX_FD]; /* 'v'host, 'd'isk */
static unsigned int base[VHOST_BLK_MAX_QUEUES];
static int err_fd = -1;

static void note(const char *fmt, ...)
{
    FILE *f = fopen(getenv("FAKE_LOG"), "a");
    va_list ap;

    va_start(ap, fmt);
    vfprintf(f, fmt, ap);
    va_end(ap);
    fputc('\n', f);
    fclose(f);
}

static int is(int fd, char k)
{
    return fd >= 0 && fd < MAX_FD && kind[fd] == k;
}

int open64(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
    const char *disk = getenv("FAKE_DISK");
    mode_t mode = 0;
    va_list ap;
    int fd;

    va_start(ap, flags);
    if (flags & (O_CREAT | O_TMPFILE)) {
        mode = va_arg(ap, mode_t);
    }
    va_end(ap);
    if (!strcmp(path, "/dev/vhost-blk")) {
        fd = real("/dev/null", flags);
        kind[fd] = 'v';
        return fd;
    }
    fd = real(path, flags, mode);
    if (fd >= 0 && fd < MAX_FD) {
        kind[fd] = disk && !strcmp(path, disk) ? 'd' : 0;
    }
    return fd;
}

int fstat64(int fd, struct stat64 *st)
{
    int (*real)(int, struct stat64 *) = dlsym(RTLD_NEXT, "fstat64");
    int ret = real(fd, st);

    if (ret == 0 && is(fd, 'd')) {
        st->st_mode = (st->st_mode & ~S_IFMT) | S_IFBLK;
    }
    return ret;
}

int fdatasync(int fd)
{
    if (is(fd, 'd')) {
        note("FDATASYNC");
        return 0;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

static int disk_ioctl(unsigned long cmd, void *arg)
{
    switch (cmd) {
    case BLKGETSIZE64:
        *(uint64_t *)arg = 16 << 20;
        return 0;
    case BLKSSZGET:
        *(int *)arg = 512;
        return 0;
    case BLKPBSZGET:
        *(unsigned int *)arg = 4096;
        return 0;
    case BLKALIGNOFF:
        *(int *)arg = 0;
        return 0;
    case BLKIOMIN:
        *(unsigned int *)arg = 4096;
        return 0;
    case BLKIOOPT:
        *(unsigned int *)arg = 65536;
        return 0;
    case BLKROGET:
        *(int *)arg = getenv("FAKE_RO") != NULL;
        return 0;
    case BLKGETZONESZ:
        *(uint32_t *)arg = getenv("FAKE_ZONED") ? 8 : 0;
        return 0;
    }
    errno = ENOTTY;
    return -1;
}

static int attach(int fd)
{
    static int broken, interrupted;

    note("SET_BACKEND %s", fd < 0 ? "-1" : "disk");
    if (fd < 0) {
        return 0;
    }
    if (getenv("FAKE_FAIL")) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if (getenv("FAKE_INTR") && interrupted++ < 2) {
        errno = EINTR;
        return -1;
    }
    if (getenv("FAKE_BREAK") && !broken++) {
        uint64_t one = 1;

        return write(err_fd, &one, sizeof(one)) == sizeof(one) ? 0 : -1;
    }
    return 0;
}

static int vhost_ioctl(unsigned long cmd, void *arg)
{
    struct vhost_vring_state *state = arg;
    struct vhost_vring_file *file = arg;

    switch (cmd) {
    case VHOST_SET_OWNER:
        note("SET_OWNER");
        return 0;
    case VHOST_GET_FEATURES:
        *(uint64_t *)arg = FEATURES;
        return 0;
    case VHOST_SET_FEATURES:
        note("SET_FEATURES %s", *(uint64_t *)arg & ~(FEATURES) ? "bad" : "ok");
        return 0;
    case VHOST_GET_BACKEND_FEATURES:
        *(uint64_t *)arg = 0;
        return 0;
    case VHOST_SET_BACKEND_FEATURES:
        note("SET_BACKEND_FEATURES %s", *(uint64_t *)arg ? "bad" : "0");
        return 0;
    case VHOST_SET_MEM_TABLE:
        note("SET_MEM_TABLE");
        return 0;
    case VHOST_SET_VRING_NUM:
        note("SET_VRING_NUM %u %u", state->index, state->num);
        return 0;
    case VHOST_SET_VRING_BASE:
        note("SET_VRING_BASE %u", state->index);
        base[state->index] = state->num;
        return 0;
    case VHOST_GET_VRING_BASE:
        note("GET_VRING_BASE %u", state->index);
        state->num = base[state->index];
        return 0;
    case VHOST_SET_VRING_ADDR:
        note("SET_VRING_ADDR %u", ((struct vhost_vring_addr *)arg)->index);
        return 0;
    case VHOST_SET_VRING_KICK:
        note("SET_VRING_KICK %u", file->index);
        return 0;
    case VHOST_SET_VRING_CALL:
        note("SET_VRING_CALL %u%s", file->index, file->fd < 0 ? " -1" : "");
        return 0;
    case VHOST_SET_VRING_ERR:
        note("SET_VRING_ERR %u", file->index);
        err_fd = file->index ? err_fd : file->fd;
        return 0;
    case VHOST_BLK_SET_SERIAL:
        note("SET_SERIAL %.20s", (char *)arg);
        return 0;
    case VHOST_BLK_SET_BACKEND:
        return attach(file->fd);
    }
    note("unexpected ioctl %#lx", cmd);
    errno = ENOTTY;
    return -1;
}

int ioctl(int fd, unsigned long cmd, ...)
{
    int (*real)(int, unsigned long, void *) = dlsym(RTLD_NEXT, "ioctl");
    va_list ap;
    void *arg;

    va_start(ap, cmd);
    arg = va_arg(ap, void *);
    va_end(ap);
    if (is(fd, 'v')) {
        return vhost_ioctl(cmd, arg);
    }
    return is(fd, 'd') ? disk_ioctl(cmd, arg) : real(fd, cmd, arg);
}
