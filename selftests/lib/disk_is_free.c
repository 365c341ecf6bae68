// SPDX-License-Identifier: GPL-2.0-only
/* For scripts: does a block device open exclusively? */
#include "guest.h"

int main(int argc, char **argv)
{
	return argc == 2 && disk_is_free(argv[1], 0) ? 0 : 1;
}
