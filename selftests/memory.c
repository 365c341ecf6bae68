// SPDX-License-Identifier: GPL-2.0-only
/*
 * What idle disks cost the host: many with four queues of 256 entries each, which have
 * served something and then have nothing to do.
 */
#define _GNU_SOURCE
#include "free_memory.h"

#define GUESTS		32
#define QUEUES		4
#define LIMIT_KB	1024	/* for a disk */
#define LIMIT_KB_DEBUG	2048	/* where KASAN surrounds and doubles what there is */

static const char * const shown_fields[] = {
	"SUnreclaim:", "VmallocUsed:", "KernelStack:", "PageTables:", "Percpu:",
};

#define NR_FIELDS	ARRAY_SIZE(shown_fields)

struct usage {
	long long kernel;		/* all that it cannot get back at will */
	long long field[NR_FIELDS];	/* parts of it; they overlap */
};

static void usage_now(struct usage *u)
{
	unsigned int i;

	u->kernel = meminfo_kib("MemTotal:") - free_kib() -
		    meminfo_kib("Buffers:") - meminfo_kib("\nCached:") -
		    meminfo_kib("AnonPages:") - meminfo_kib("SReclaimable:");
	for (i = 0; i < NR_FIELDS; i++)
		u->field[i] = meminfo_kib(shown_fields[i]);
}

/* What others have used may be given back late. */
static void usage_settled(struct usage *u)
{
	long long before;
	int tries = 100;

	usage_now(u);
	do {
		before = u->kernel;
		usleep(300000);
		usage_now(u);
	} while (llabs(u->kernel - before) > 64 && tries--);
}

/* The ring's pages and those of the data are the guest's: all touched before. */
static void guests_begin(struct guest **guests, int fd)
{
	struct guest_opts opts = { .nvqs = QUEUES, .num = 256 };
	unsigned int i, step;

	for (i = 0; i < GUESTS; i++) {
		guests[i] = guest_start(&opts, fd);
		ASSERT_TRUE(guests[i]);
		for (step = 0; step < QUEUES; step++) {
			char buf[G_PAGE];

			ASSERT_EQ(0, guest_io_in(&guests[i]->vq[step], 0, buf,
						 sizeof(buf), NULL));
		}
	}
}

static void guests_idle(struct guest **guests)
{
	struct shown s;
	unsigned int i, q;

	for (i = 0; i < GUESTS; i++) {
		shown_find(&s, guests[i]);
		for (q = 0; q < QUEUES; q++)
			ASSERT_TRUE(shown_wait_idle(&s, q));
	}
}

static long long limit_kb(void)
{
	const char *kernel = getenv("LAB_KERNEL");

	return kernel && !strcmp(kernel, "debug") ? LIMIT_KB_DEBUG : LIMIT_KB;
}

TEST(idle_disk_of_four_queues_takes_little)
{
	struct guest *guests[GUESTS];
	struct usage before, after;
	long long each;
	struct disk d;
	unsigned int i;

	ASSERT_EQ(0, disk_open(&d, backend_path(0), O_RDWR));
	usage_settled(&before);
	guests_begin(guests, d.fd);
	guests_idle(guests);
	usage_settled(&after);
	each = (after.kernel - before.kernel) / GUESTS;
	ksft_log("%d disks with %d queues of 256: %lld KiB each", GUESTS, QUEUES,
		 each);
	for (i = 0; i < NR_FIELDS; i++)
		ksft_log("%s %lld", shown_fields[i],
			 (after.field[i] - before.field[i]) / GUESTS);
	EXPECT_LE(each, limit_kb());
	/* four stacks alone are more than this: it was measured, indeed */
	EXPECT_GE(each, 64);
}

TEST_HARNESS_MAIN
