/* SPDX-License-Identifier: GPL-2.0-only */
/* How much memory the kernel has left, exactly. */
#ifndef FREE_MEMORY_H
#define FREE_MEMORY_H

#include "shown.h"

/* The value of a line of /proc/meminfo, as "MemFree:", in KiB. */
static inline long long meminfo_kib(const char *name)
{
	static char text[4096];
	const char *at;

	ASSERT_GT(file_get("/proc/meminfo", text, sizeof(text)), 0);
	at = strstr(text, name);
	ASSERT_TRUE(at);
	return atoll(at + strlen(name));
}

/* Free pages that CPUs keep for themselves: MemFree does not count them. */
static inline long long kept_by_cpus_kib(void)
{
	static char text[1 << 18];
	long long pages = 0;
	const char *at;

	ASSERT_GT(file_get("/proc/zoneinfo", text, sizeof(text)), 0);
	for (at = text; (at = strstr(at, " count: ")); at++)
		pages += atoll(at + strlen(" count: "));
	return pages * getpagesize() / 1024;
}

/* Each CPU counts by itself, and adds that to the sum when it has the time, or is told. */
static inline long long free_kib(void)
{
	file_put("/proc/sys/vm/stat_refresh", "1");
	return meminfo_kib("MemFree:") + kept_by_cpus_kib();
}

#endif
