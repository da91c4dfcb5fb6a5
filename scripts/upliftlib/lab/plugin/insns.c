// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU TCG plugin: how often does the kernel access user memory, and how often
 * does it call, per operation?
 *
 * Between a start and an end marker (selftests/bench/bench_common.h) executions
 * of some instructions at kernel addresses are counted for each operation, which
 * begins with a marker of its own. Interrupts are counted with the operation that
 * they fall into: the least of many is the operation.
 *
 * x86-64: stac and clac, which open user memory and close it, lfence, calls. The
 * guest's CPU model must have SMAP, or stac and clac are patched to nothing.
 * arm64, where nothing is opened: stores and loads as the user has them (sttr,
 * ldtr), csdb, calls.
 *
 * Every start marker begins a new run. Written to the file named by out=PATH
 * when the machine ends, a line per operation:
 *
 *	op RUN stac clac lfence call
 *	op RUN sttr ldtr csdb call
 *	end
 *
 * One vCPU: operations of several would mix.
 */
#include "marks.h"

#define MAX_OPS		0x100000

/* What the columns are: of x86-64, and of arm64. */
enum kind { STAC, CLAC, LFENCE, CALL, KINDS, STTR = 0, LDTR, CSDB };

static struct op {
	unsigned int run;
	unsigned int count[KINDS];
} ops[MAX_OPS];

static unsigned int used, run;
static struct op *now;		/* the operation under way */
static bool on, lost;

static void on_mark(unsigned int index, void *data)
{
	switch ((enum mark)(uintptr_t)data) {
	case MARK_START:
		run++;
		on = true;
		now = NULL;
		break;
	case MARK_OP:
		if (!on)
			break;
		lost |= used == MAX_OPS;
		now = used < MAX_OPS ? &ops[used++] : NULL;
		if (now)
			now->run = run;
		break;
	case MARK_END:
		on = false;
		now = NULL;
		break;
	}
}

static void on_insn(unsigned int index, void *data)
{
	if (now)
		now->count[(uintptr_t)data]++;
}

/* The kind of an instruction, KINDS if it is none of them. */
static enum kind kind_x86_64(const unsigned char *code, size_t n)
{
	/* cs and bnd prefixes stand before calls that the kernel patches */
	while (n > 1 && (*code == 0x2e || *code == 0xf2)) {
		code++;
		n--;
	}
	if (n == 3 && code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xcb)
		return STAC;
	if (n == 3 && code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xca)
		return CLAC;
	if (n == 3 && code[0] == 0x0f && code[1] == 0xae && code[2] == 0xe8)
		return LFENCE;
	if (n == 5 && code[0] == 0xe8)
		return CALL;
	if (n > 2 && (code[0] & 0xf0) == 0x40) {	/* rex */
		code++;
		n--;
	}
	if (n >= 2 && code[0] == 0xff && (code[1] >> 3 & 7) == 2)
		return CALL;
	return KINDS;
}

/* The same. Loads and stores of all sizes, with and without a sign, are of one form. */
static enum kind kind_arm64(const unsigned char *code, size_t n)
{
	unsigned int insn;

	if (n != sizeof(insn))
		return KINDS;
	memcpy(&insn, code, sizeof(insn));
	if ((insn & 0x3f200c00) == 0x38000800)
		return insn & 0xc00000 ? LDTR : STTR;
	if (insn == 0xd503229f)
		return CSDB;
	/* bl, blr */
	if ((insn & 0xfc000000) == 0x94000000 || (insn & 0xfffffc1f) == 0xd63f0000)
		return CALL;
	return KINDS;
}

static void on_translate(unsigned long long id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);

	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		size_t size = qemu_plugin_insn_size(insn);
		unsigned char code[16] = {};
		enum kind kind;

		if (register_mark(insn))
			continue;
		if (size > sizeof(code) || qemu_plugin_insn_data(insn, code, size) != size)
			continue;
		if (!(qemu_plugin_insn_vaddr(insn) >> 63))
			continue;
		kind = arm64 ? kind_arm64(code, size) : kind_x86_64(code, size);
		if (kind != KINDS)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, CB_NO_REGS,
							       (void *)(uintptr_t)kind);
	}
}

static void on_exit_machine(unsigned long long id, void *data)
{
	FILE *out = open_out("insns");
	unsigned int i;

	if (!out)
		return;
	for (i = 0; i < used; i++)
		fprintf(out, "op %u %u %u %u %u\n", ops[i].run, ops[i].count[STAC],
			ops[i].count[CLAC], ops[i].count[LFENCE], ops[i].count[CALL]);
	fprintf(out, lost ? "lost\n" : "end\n");
	fclose(out);
}

__attribute__((visibility("default")))
int qemu_plugin_install(unsigned long long id, const struct qemu_info *info, int argc, char **argv)
{
	if (!take_out("insns", info, argc, argv))
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_exit_machine, NULL);
	return 0;
}
