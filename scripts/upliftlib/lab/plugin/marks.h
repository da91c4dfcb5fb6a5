/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What QEMU TCG plugins for measuring programs share: markers in the guest's
 * code, and the file that the result goes to.
 *
 * A marker is a no-op with a magic number in it (selftests/bench/bench_common.h),
 * so that the guest needs no device and real hardware runs the same program. For
 * each marker that a vCPU executes, on_mark() of the plugin is called with an enum
 * mark as its data.
 */
#ifndef _MARKS_H
#define _MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "qemu_api.h"

/* Interface versions run from 1 (2019); 4 is QEMU 9.2's and 10's. */
__attribute__((visibility("default"))) int qemu_plugin_version = 4;

#define MARK		0x75706c00u
enum mark { MARK_START = 1, MARK_OP, MARK_END };

static char out_path[4096];
static bool arm64;		/* the guest: else it is x86-64 */

static void on_mark(unsigned int index, void *data);

/* An instruction's magic number, or 0. nopl disp32(%rax) is 0f 1f 80 and the displacement. */
static unsigned int magic_x86_64(const unsigned char *code, size_t n)
{
	unsigned int what;

	if (n != 7 || code[0] != 0x0f || code[1] != 0x1f || code[2] != 0x80)
		return 0;
	memcpy(&what, code + 3, sizeof(what));
	return what;
}

/*
 * The same of movz xzr, #LOW. The high half is moved by another instruction, which
 * says nothing by itself; compilers move nothing into that register.
 */
static unsigned int magic_arm64(const unsigned char *code, size_t n)
{
	unsigned int insn;

	if (n != sizeof(insn))
		return 0;
	memcpy(&insn, code, sizeof(insn));
	return (insn & 0xffe0001f) == 0xd280001f ? (MARK & 0xffff0000) | (insn >> 5 & 0xffff) : 0;
}

/* Is an instruction a marker? Then on_mark() is called for it. */
static bool register_mark(struct qemu_plugin_insn *insn)
{
	unsigned char code[8] = {};
	size_t n = qemu_plugin_insn_size(insn);
	unsigned int what;

	if (n > sizeof(code) || qemu_plugin_insn_data(insn, code, n) != n)
		return false;
	what = (arm64 ? magic_arm64(code, n) : magic_x86_64(code, n)) - MARK;
	if (what < MARK_START || what > MARK_END)
		return false;
	qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, CB_NO_REGS, (void *)(uintptr_t)what);
	return true;
}

/* The result's file, to be closed; NULL where it cannot be written, which is said. */
static FILE *open_out(const char *plugin)
{
	FILE *out = fopen(out_path, "w");
	char text[64];

	if (!out) {
		snprintf(text, sizeof(text), "%s: cannot write the result\n", plugin);
		qemu_plugin_outs(text);
	}
	return out;
}

/* Takes out=PATH; false, and a line that says so, without it or in another machine. */
static bool take_out(const char *plugin, const struct qemu_info *info, int argc, char **argv)
{
	char text[80];
	int i;

	for (i = 0; i < argc; i++)
		if (!strncmp(argv[i], "out=", 4))
			snprintf(out_path, sizeof(out_path), "%s", argv[i] + 4);
	arm64 = !strcmp(info->target_name, "aarch64");
	if (*out_path && (arm64 || !strcmp(info->target_name, "x86_64")))
		return true;
	snprintf(text, sizeof(text), "%s: wants out=PATH and an x86_64 or aarch64 guest\n", plugin);
	qemu_plugin_outs(text);
	return false;
}

#endif /* _MARKS_H */
