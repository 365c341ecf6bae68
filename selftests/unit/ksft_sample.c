// SPDX-License-Identifier: GPL-2.0-only
/* Tests that end in each way a test can end, for ksft_test.sh. */
#include "ksft.h"

FIXTURE(fixture) {
	int value;
};

FIXTURE_VARIANT(fixture) {
	int value;
};

FIXTURE_VARIANT_ADD(fixture, one) { .value = 1 };
FIXTURE_VARIANT_ADD(fixture, two) { .value = 2 };

FIXTURE_SETUP(fixture)
{
	self->value = variant->value;
}

FIXTURE_TEARDOWN(fixture)
{
	ksft_log("teardown %d", self->value);
}

TEST_F(fixture, is_one)
{
	ASSERT_EQ(1, self->value);
	ksft_log("reached");
}

TEST(goes_on_after_expect)
{
	EXPECT_EQ(1, 2);
	ksft_log("reached");
}

TEST(skips)
{
	SKIP(return, "because %s", "it can");
}

TEST(wrong_errno)
{
	ASSERT_ERRNO(EBADF, close(-1));
	ASSERT_ERRNO(EINVAL, close(-1));
}

TEST(wrong_string)
{
	EXPECT_STREQ("a", "b");
}

TEST(crashes)
{
	raise(SIGABRT);
}

TEST_TIMEOUT(hangs, 1)
{
	for (;;)
		pause();
}

TEST(exits_early)
{
	exit(3);
}

TEST(passes)
{
	ASSERT_NE(1, 2);
	ASSERT_LT(-1, 0u);
	ASSERT_TRUE(true);
}

TEST_HARNESS_MAIN
