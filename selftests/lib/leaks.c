// SPDX-License-Identifier: GPL-2.0-only
/*
 * For scripts: what is left of the module.
 *
 * leaks now			prints the number of pages that are pinned
 * leaks wait PINS DEVICE...	waits until no more than that are, no worker runs,
 *				nobody uses the module or holds the devices; if
 *				that does not come, says why and fails
 */
#include "guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct leaks l = { 0 };
	int i, bad = 0;

	if (argc == 2 && !strcmp(argv[1], "now")) {
		leaks_now(&l);
		printf("%lld\n", l.pins);
		return 0;
	}
	if (argc < 3 || strcmp(argv[1], "wait")) {
		fprintf(stderr, "usage: leaks now | wait PINS [DEVICE...]\n");
		return 2;
	}
	l.pins = atoll(argv[2]);
	bad += !leaks_wait(&l, 3000);
	for (i = 3; i < argc; i++) {
		if (disk_is_free(argv[i], 1000))
			continue;
		printf("# rule L: somebody holds %s\n", argv[i]);
		bad++;
	}
	return bad ? 1 : 0;
}
