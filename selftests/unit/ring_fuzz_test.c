// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random input for ring_fuzz.c, for UNIT_SECONDS (default 2). With names of files
 * it runs those instead, such as an input that libFuzzer found.
 */
#include "budget.h"
#include "ring_fuzz.h"

TEST_TIMEOUT(random_inputs, BUDGET_NO_LIMIT)
{
	struct rng rng = { .state = budget_seed() };
	double end = budget_start();
	unsigned long n = 0;
	unsigned int i;
	u8 data[512];

	while (n < 2000 || budget_now() < end) {
		size_t len = rng_below(&rng, sizeof(data));

		for (i = 0; i < len; i++)
			data[i] = rng_next(&rng);
		LLVMFuzzerTestOneInput(data, len);
		n++;
	}
	ksft_log("%lu inputs", n);
	for (i = 0; i < DIFF_OUTCOMES; i++) {
		ksft_log("%s %lu", diff_outcome_name(i), ring_fuzz_count[i]);
		EXPECT_GT(ring_fuzz_count[i], 0);
	}
}

static int run_file(const char *name)
{
	static u8 data[1 << 20];
	FILE *f = fopen(name, "rb");
	size_t len;

	if (!f) {
		perror(name);
		return 1;
	}
	len = fread(data, 1, sizeof(data), f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, len);
	return 0;
}

int main(int argc, char **argv)
{
	int i, ret = 0;

	if (argc < 2 || argv[1][0] == '-')
		return ksft_main(argc, argv);
	for (i = 1; i < argc; i++)
		ret |= run_file(argv[i]);
	return ret;
}
