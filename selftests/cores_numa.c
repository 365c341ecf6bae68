// SPDX-License-Identifier: GPL-2.0-only
/*
 * On a host of several NUMA nodes workers run where the memory is that they work
 * with. Arguments: a disk that belongs to no node, then one of each node.
 */
#define _GNU_SOURCE
#include "shown.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>

static int nr_nodes(void)
{
	char path[64];
	int n = 0;

	do {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d",
			 n++);
	} while (!access(path, F_OK));
	if (n <= 2 || ksft.argc < n)
		SKIP(exit(KSFT_SKIP), "needs two nodes and a disk of each");
	return n - 1;
}

static bool cpu_is_of(int cpu, int node)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/cpu%d",
		 node, cpu);
	return !access(path, F_OK);
}

/* All memory from here on. */
static void use_memory_of(int node)
{
	unsigned long mask = 1UL << node;

	ASSERT_EQ(0, syscall(SYS_set_mempolicy, MPOL_BIND, &mask,
			     8 * sizeof(mask)));
}

/* Where the worker may run, as the scheduler knows it. */
static int scheduled_on(const struct shown *s, unsigned int q)
{
	char path[64], text[4096], *at;

	snprintf(path, sizeof(path), "/proc/%llu/status",
		 (unsigned long long)shown_number(s, q, "worker"));
	ASSERT_GT(file_get(path, text, sizeof(text)), 0);
	at = strstr(text, "\nCpus_allowed_list:");
	ASSERT_TRUE(at);
	return atoi(at + strlen("\nCpus_allowed_list:"));
}

/*
 * A guest with two queues and memory of node @memory on the disk at @path: both
 * workers on node @want, each on a CPU of its own.
 */
static void expect_node(const char *path, int memory, int want)
{
	struct guest_opts opts = { .nvqs = 2 };
	struct attached a = { 0 };
	struct shown s;
	char why[64];
	int q, cpu[2];

	use_memory_of(memory);
	attach_path(&a, path, O_RDWR, &opts);
	shown_find(&s, a.g);
	for (q = 0; q < 2; q++) {
		cpu[q] = shown_number(&s, q, "cpu");
		file_line(shown_path(&s, q, "cpu_why"), why, sizeof(why));
		ksft_log("memory of node %d: queue %d on CPU %d: %s", memory, q,
			 cpu[q], why);
		EXPECT_TRUE(cpu_is_of(cpu[q], want));
		EXPECT_STREQ("node", why);
		EXPECT_EQ(cpu[q], scheduled_on(&s, q));
		EXPECT_EQ(0, still_serves(&a, &a.g->vq[q]));
	}
	EXPECT_NE(cpu[0], cpu[1]);
	detach_checked(&a);
	guest_delete(a.g);
}

TEST(worker_is_on_the_node_of_the_disk)
{
	int node, memory, nodes = nr_nodes();

	for (node = 0; node < nodes; node++)
		for (memory = 0; memory < nodes; memory++)
			expect_node(ksft.argv[1 + node], memory, node);
}

TEST(disk_without_a_node_leaves_it_to_the_guests_memory)
{
	int node, nodes = nr_nodes();

	for (node = 0; node < nodes; node++)
		expect_node(ksft.argv[0], node, node);
}

TEST_HARNESS_MAIN
