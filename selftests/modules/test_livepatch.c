// SPDX-License-Identifier: GPL-2.0-only
/*
 * A live patch of a function that nothing here depends on: what a kernel with
 * workers under load has to get through. While it is in force /proc/uptime reads
 * "patched".
 */
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>

static int test_uptime_proc_show(struct seq_file *m, void *v)
{
	seq_puts(m, "patched\n");
	return 0;
}

static struct klp_func test_funcs[] = {
	{
		.old_name = "uptime_proc_show",
		.new_func = test_uptime_proc_show,
	}, { }
};

static struct klp_object test_objs[] = {
	{
		.funcs = test_funcs,	/* no name: the kernel itself */
	}, { }
};

static struct klp_patch test_patch = {
	.mod = THIS_MODULE,
	.objs = test_objs,
};

static int __init test_livepatch_init(void)
{
	return klp_enable_patch(&test_patch);
}

static void __exit test_livepatch_exit(void)
{
}

module_init(test_livepatch_init);
module_exit(test_livepatch_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("live patch for tests");
