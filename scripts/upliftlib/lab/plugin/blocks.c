// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU TCG plugin: how many instructions does each block of the kernel's code
 * execute?
 *
 * Counted is between start and end markers (selftests/bench/bench_common.h),
 * which may nest: a program that marks itself can run under one that marks the
 * whole of a command. A taken branch is a block that does not begin where the
 * one before it on the same vCPU ended. Written to the file named by out=PATH
 * when the machine ends, a line per block that ran, in order of addresses:
 *
 *	block ADDRESS INSTRUCTIONS TIMES TAKEN
 *	end
 *
 * TIMES: executions of the block; TAKEN: how many of these were jumped to.
 * QEMU may translate a block anew, which is added to the former one's line. One
 * vCPU: programs of several would mix.
 */
#include <stdlib.h>

#include "marks.h"

#define KERNEL(address)	((address) >> 63)
#define BUCKETS		0x10000

static struct block {
	unsigned long long address, end, times, taken;
	unsigned int insns;
	struct block *next;
} *buckets[BUCKETS];

static unsigned long long expected;	/* where the block before ended */
static unsigned int depth;
static size_t used;

static void on_mark(unsigned int index, void *data)
{
	switch ((enum mark)(uintptr_t)data) {
	case MARK_START:
		depth++;
		expected = 0;
		break;
	case MARK_OP:
		break;
	case MARK_END:
		if (depth)
			depth--;
		break;
	}
}

static void on_block(unsigned int index, void *data)
{
	struct block *block = data;

	if (!depth)
		return;
	block->times++;
	block->taken += block->address != expected;
	expected = block->end;
}

/* What the user runs in between is not counted, but ends a run of blocks. */
static void on_user_block(unsigned int index, void *data)
{
	expected = 0;
}

static struct block *block_of(unsigned long long address, unsigned long long end,
			      unsigned int insns)
{
	struct block **at = &buckets[address / 4 % BUCKETS];
	struct block *block;

	for (; *at; at = &(*at)->next)
		if ((*at)->address == address && (*at)->end == end && (*at)->insns == insns)
			return *at;
	block = calloc(1, sizeof(*block));
	if (!block)
		abort();
	*block = (struct block){ .address = address, .end = end, .insns = insns };
	used++;
	return *at = block;
}

static void on_translate(unsigned long long id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *first = qemu_plugin_tb_get_insn(tb, 0);
	struct qemu_plugin_insn *last = qemu_plugin_tb_get_insn(tb, n - 1);
	unsigned long long address = qemu_plugin_insn_vaddr(first);
	unsigned long long end = qemu_plugin_insn_vaddr(last) + qemu_plugin_insn_size(last);

	if (KERNEL(address))
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, CB_NO_REGS,
						     block_of(address, end, n));
	else
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_user_block, CB_NO_REGS, NULL);
	for (i = 0; i < n; i++)
		register_mark(qemu_plugin_tb_get_insn(tb, i));
}

static int compare(const void *one, const void *two)
{
	const struct block *a = *(const struct block *const *)one;
	const struct block *b = *(const struct block *const *)two;

	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return a->end < b->end ? -1 : a->end > b->end;
}

static void on_exit_machine(unsigned long long id, void *data)
{
	struct block **all = calloc(used + 1, sizeof(*all)), *block;
	FILE *out = open_out("blocks");
	size_t i, n = 0;

	if (!all || !out)
		return;
	for (i = 0; i < BUCKETS; i++)
		for (block = buckets[i]; block; block = block->next)
			if (block->times)
				all[n++] = block;
	qsort(all, n, sizeof(*all), compare);
	for (i = 0; i < n; i++)
		fprintf(out, "block %llx %u %llu %llu\n", all[i]->address, all[i]->insns,
			all[i]->times, all[i]->taken);
	fprintf(out, "end\n");
	fclose(out);
	free(all);
}

__attribute__((visibility("default")))
int qemu_plugin_install(unsigned long long id, const struct qemu_info *info, int argc, char **argv)
{
	if (!take_out("blocks", info, argc, argv))
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_exit_machine, NULL);
	return 0;
}
