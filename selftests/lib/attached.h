/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What most test programs begin with: a guest attached to the block device that
 * the command line names.
 */
#ifndef ATTACHED_H
#define ATTACHED_H

#include "ksft.h"
#include "guest.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

struct attached {
	struct disk d;
	struct guest *g;
	struct gvq *vq;		/* the first queue */
};

/* The n-th block device of the command line; the test is skipped without it. */
static inline const char *backend_path(int n)
{
	if (ksft.argc > n)
		return ksft.argv[n];
	SKIP(exit(KSFT_SKIP), "block device %d not given", n + 1);
	return NULL;
}

/* A device that only some tests need, from the environment. */
static inline const char *special_path(const char *variable)
{
	const char *path = getenv(variable);

	if (!path || !*path)
		SKIP(exit(KSFT_SKIP), "%s not given", variable);
	return path;
}

static inline void attach_path(struct attached *a, const char *path, int flags,
			       const struct guest_opts *opts)
{
	ASSERT_EQ(0, disk_open(&a->d, path, flags));
	a->g = guest_start(opts, a->d.fd);
	ASSERT_TRUE(a->g);
	a->vq = a->g->vq;
}

static inline void attach(struct attached *a, const struct guest_opts *opts)
{
	attach_path(a, backend_path(0), O_RDWR, opts);
}

/* Whatever the test did: rules C and X, and the device lets go. */
static inline void detach_checked(struct attached *a)
{
	unsigned int i;

	if (!a->g)
		return;
	EXPECT_EQ(0, guest_set_backend(a->g, -1));
	for (i = 0; i < a->g->nvqs; i++)
		EXPECT_GE(vq_reap(&a->g->vq[i]), 0);
	EXPECT_EQ(0, guest_check(a->g));
}

/* A request like any other is served: 0, or -1 with a line that says why not. */
static inline int still_serves(struct attached *a, struct gvq *vq)
{
	size_t len = a->d.lbs;
	char *buf = malloc(len);
	int ret;

	pattern_fill(buf, len, 0, 0x57);
	if (disk_write(&a->d, 0, buf, len)) {
		ksft_log("host write: %s", strerror(errno));
		return -1;
	}
	memset(buf, 0, len);
	ret = guest_io_in(vq, 0, buf, len, NULL);
	if (!ret && pattern_check(buf, len, 0, 0x57) >= 0)
		ret = -EILSEQ;
	free(buf);
	if (!ret)
		return 0;
	ksft_log("queue %u does not serve a good read: %d", vq->index, ret);
	return -1;
}

#endif /* ATTACHED_H */
