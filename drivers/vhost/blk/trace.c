// SPDX-License-Identifier: GPL-2.0-only
#include "trace.h"
#include "backend.h"
#include "req.h"
#include "vq.h"

#include <linux/blkdev.h>

/* Once more, this time to create what it has declared. */
#define CREATE_TRACE_POINTS
#include "trace.h"
