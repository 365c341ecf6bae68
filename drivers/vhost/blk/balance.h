/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cores=auto: the load of the workers decides how many cores they use.
 */
#ifndef VHOST_BLK_BALANCE_H
#define VHOST_BLK_BALANCE_H

#include <linux/types.h>

struct cpumask;
struct list_head;

bool vhost_blk_balance(struct list_head *placed, const struct cpumask *set,
		       u64 ns);

#endif /* VHOST_BLK_BALANCE_H */
