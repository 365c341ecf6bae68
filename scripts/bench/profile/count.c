// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plugin for QEMU's emulator: counts how often each block of instructions runs.
 *
 *	-plugin count.so,out=FILE
 *
 * Each time that a program executes the marker (mark.S) a section is added to
 * FILE: a line "mark", then a line for each block that has run since the last
 * one: address, how often, and the length of its instructions, a hexadecimal
 * digit each. For one vCPU: the counters are not atomic.
 *
 * A block that an exception leaves half way counts in full.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

#define BUCKETS (1u << 17)
#define LONGEST 512	/* instructions of a block, as QEMU limits it */

struct block {
	struct block *next;
	uint64_t addr, count, shown;
	char sizes[];
};

static struct block *bucket[BUCKETS];
static FILE *out;

/* nopl 0x6b72616d(%rax): nobody else has a use for it */
static const uint8_t marker[] = { 0x0f, 0x1f, 0x80, 'm', 'a', 'r', 'k' };

/* Code may change in place: a block is its address and its instructions. */
static struct block *block_get(uint64_t addr, const char *sizes)
{
	struct block **head = &bucket[(addr ^ addr >> 17) % BUCKETS], *b;

	for (b = *head; b; b = b->next)
		if (b->addr == addr && !strcmp(b->sizes, sizes))
			return b;
	b = calloc(1, sizeof(*b) + strlen(sizes) + 1);
	if (!b)
		abort();
	b->addr = addr;
	strcpy(b->sizes, sizes);
	b->next = *head;
	*head = b;
	return b;
}

static void on_mark(unsigned int vcpu, void *arg)
{
	struct block *b;
	unsigned int i;

	(void)vcpu;
	(void)arg;
	fprintf(out, "mark\n");
	for (i = 0; i < BUCKETS; i++) {
		for (b = bucket[i]; b; b = b->next) {
			if (b->count == b->shown)
				continue;
			fprintf(out, "%" PRIx64 " %" PRIu64 " %s\n", b->addr,
				b->count - b->shown, b->sizes);
			b->shown = b->count;
		}
	}
	fflush(out);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *insn;
	char sizes[LONGEST + 1];
	struct block *b;
	size_t size;

	(void)id;
	if (n > LONGEST)
		abort();
	for (i = 0; i < n; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		size = qemu_plugin_insn_size(insn);
		sizes[i] = "0123456789abcdef"[size & 15];
		if (size == sizeof(marker) &&
		    !memcmp(qemu_plugin_insn_data(insn), marker, size))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark,
				QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
	sizes[n] = 0;
	b = block_get(qemu_plugin_tb_vaddr(tb), sizes);
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64,
						 &b->count, 1);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
					   const qemu_info_t *info, int argc,
					   char **argv)
{
	if (argc != 1 || strncmp(argv[0], "out=", 4) || !info->system_emulation ||
	    info->system.smp_vcpus != 1) {
		fprintf(stderr, "count: out=FILE, and a machine with one vCPU\n");
		return -1;
	}
	out = fopen(argv[0] + 4, "we");
	if (!out) {
		perror(argv[0] + 4);
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
