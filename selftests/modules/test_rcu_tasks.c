// SPDX-License-Identifier: GPL-2.0-only
/* Inserted when each task has slept, or run in user space, or said that it may. */
#include <linux/module.h>
#include <linux/rcupdate.h>

static int __init test_rcu_tasks_init(void)
{
	synchronize_rcu_tasks();
	return 0;
}

static void __exit test_rcu_tasks_exit(void)
{
}

module_init(test_rcu_tasks_init);
module_exit(test_rcu_tasks_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("RCU tasks grace period for tests");
