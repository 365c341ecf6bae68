// SPDX-License-Identifier: GPL-2.0-only
/* The program of Documentation/userspace-api/vhost-blk.rst, as it stands there. */
#define _GNU_SOURCE
#define main example_main
#include "../Documentation/userspace-api/vhost-blk-example.c"
#undef main
#include "attached.h"

TEST(documented_program_reads_the_disk)
{
	char got[sizeof(mem->data)];
	const char *path = backend_path(0);
	size_t done = 0;
	struct disk d;
	ssize_t n;
	int out[2], status;
	pid_t pid;

	ASSERT_EQ(0, disk_open(&d, path, O_RDWR));
	ASSERT_EQ(0, disk_put_pattern(&d, 0, sizeof(got), 0xd0c));
	ASSERT_EQ(0, pipe(out));

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		_exit(example_main(2, (char *[]){ "example", (char *)path }));
	}
	close(out[1]);
	while (done < sizeof(got) &&
	       (n = read(out[0], got + done, sizeof(got) - done)) > 0)
		done += n;
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(sizeof(got), done);
	EXPECT_EQ(-1, pattern_check(got, done, 0, 0xd0c));
	disk_close(&d);
}

TEST_HARNESS_MAIN
