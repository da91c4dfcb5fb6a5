// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU TCG plugin: which cache lines does a stretch of guest code touch?
 *
 * Between a start and an end marker each vCPU records its loads and stores by
 * 64-byte line of physical memory and by instruction. Markers are no-ops whose
 * address operand is a magic number (selftests/bench/fslist_bench.c), so that
 * the guest needs no device and real hardware runs the same program. A third
 * marker begins each operation. What an interrupt does in between is recorded
 * as well; it is told apart by how few of the operations it falls into, which
 * is why operations are counted beside accesses.
 *
 * Every start marker of a vCPU begins a new run. Written to the file named by
 * out=PATH when the machine ends, as text, PC 0 standing for all of them:
 *
 *	ops RUN VCPU OPERATIONS LOST
 *	line RUN VCPU LINE r|w PC ACCESSES OPERATIONS VADDR
 *	end
 *
 * QEMU must run a thread per vCPU (tcg,thread=multi): with one thread for all
 * it takes the vCPU that translates a block for the one that runs it.
 */
#include <stdlib.h>

#include "marks.h"

#define LINE_SHIFT	6
#define MAX_VCPUS	64
#define MAX_RUNS	64
#define SLOTS		0x100000	/* per vCPU, a power of two */

/* The key is all of line, pc, run and store. */
struct slot {
	unsigned long long line;		/* of physical memory */
	unsigned long long pc;		/* 0: any */
	unsigned long long vaddr;		/* of the last access */
	unsigned long long count;		/* accesses; 0: the slot is free */
	unsigned int ops;		/* operations in which there was one */
	unsigned int last_op;	/* the latest of them */
	unsigned short run;
	bool store;
};

static struct vcpu {
	struct slot *slots;
	unsigned long long used;
	unsigned int op;		/* of this run, from 1; 0 before the first */
	unsigned short run;		/* from 1 */
	bool on;
	struct {
		unsigned int ops;
		unsigned long long lost;	/* accesses for which no slot was left */
	} runs[MAX_RUNS];
} vcpus[MAX_VCPUS];

static void on_mark(unsigned int index, void *data)
{
	struct vcpu *v;

	if (index >= MAX_VCPUS)
		return;
	v = &vcpus[index];
	switch ((enum mark)(uintptr_t)data) {
	case MARK_START:
		if (!v->slots)
			v->slots = calloc(SLOTS, sizeof(*v->slots));
		v->on = v->slots && v->run + 1 < MAX_RUNS;
		v->run += v->on;
		v->op = 0;
		break;
	case MARK_OP:
		if (v->on)
			v->runs[v->run].ops = ++v->op;
		break;
	case MARK_END:
		v->on = false;
		break;
	}
}

static void count(struct vcpu *v, unsigned long long line, unsigned long long pc, bool store,
		  unsigned long long vaddr)
{
	unsigned long long hash = (line * 0x9e3779b97f4a7c15u) ^ (pc * 0xc2b2ae3d27d4eb4fu) ^
			(v->run * 0x165667b19e3779f9u) ^ store;
	struct slot *s;

	hash ^= hash >> 29;
	for (;; hash++) {
		s = &v->slots[hash & (SLOTS - 1)];
		if (!s->count)
			break;
		if (s->line == line && s->pc == pc && s->run == v->run && s->store == store)
			break;
	}
	if (!s->count) {
		if (v->used >= SLOTS / 4 * 3) {
			v->runs[v->run].lost++;
			return;
		}
		v->used++;
		*s = (struct slot){ .line = line, .pc = pc, .run = v->run, .store = store };
	}
	s->count++;
	s->vaddr = vaddr;
	if (s->last_op != v->op) {
		s->last_op = v->op;
		s->ops++;
	}
}

static void on_access(unsigned int index, unsigned int info, unsigned long long vaddr,
		      void *data)
{
	struct qemu_plugin_hwaddr *hw;
	struct vcpu *v;
	unsigned long long line;
	bool store;

	if (index >= MAX_VCPUS || !vcpus[index].on)
		return;
	v = &vcpus[index];
	hw = qemu_plugin_get_hwaddr(info, vaddr);
	if (!hw || qemu_plugin_hwaddr_is_io(hw))
		return;
	line = qemu_plugin_hwaddr_phys_addr(hw) >> LINE_SHIFT;
	store = qemu_plugin_mem_is_store(info);
	count(v, line, 0, store, vaddr);
	count(v, line, (uintptr_t)data, store, vaddr);
}

static void on_translate(unsigned long long id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);

	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		register_mark(insn);
		qemu_plugin_register_vcpu_mem_cb(insn, on_access, CB_NO_REGS, MEM_RW,
						 (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn));
	}
}

static void on_exit_machine(unsigned long long id, void *data)
{
	FILE *out = open_out("cachelines");
	unsigned int index;
	unsigned int i;

	if (!out)
		return;
	for (index = 0; index < MAX_VCPUS; index++) {
		const struct vcpu *v = &vcpus[index];

		if (!v->slots)
			continue;
		for (i = 1; i <= v->run; i++)
			fprintf(out, "ops %u %u %u %llu\n", i, index,
				v->runs[i].ops, v->runs[i].lost);
		for (i = 0; i < SLOTS; i++) {
			const struct slot *s = &v->slots[i];

			if (s->count)
				fprintf(out, "line %u %u %llx %c %llx %llu %u %llx\n", s->run,
					index, s->line << LINE_SHIFT, s->store ? 'w' : 'r', s->pc,
					s->count, s->ops, s->vaddr);
		}
	}
	fprintf(out, "end\n");
	fclose(out);
}

__attribute__((visibility("default")))
int qemu_plugin_install(unsigned long long id, const struct qemu_info *info, int argc, char **argv)
{
	if (!take_out("cachelines", info, argc, argv))
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_exit_machine, NULL);
	return 0;
}
