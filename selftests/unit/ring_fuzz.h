/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RING_FUZZ_H
#define RING_FUZZ_H

#include "diff.h"

/* What came of the chains so far. */
extern unsigned long ring_fuzz_count[DIFF_OUTCOMES];

/* Runs one input; aborts when module and model differ. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif /* RING_FUZZ_H */
