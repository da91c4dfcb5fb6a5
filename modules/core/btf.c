// SPDX-License-Identifier: GPL-2.0
/*
 * Is the running kernel the one that a module's private layouts were checked
 * against? Its BTF tells: types, names and functions of the whole image.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/crc32.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/kernel.h>

#include "uplift.h"

/**
 * uplift_btf_check - compare the running kernel's BTF with that of the build
 * @change: the change's name, for the log
 * @size: the length of the build's BTF, bytes
 * @crc: its CRC-32, as zlib has it
 *
 * Context: process context, takes milliseconds.
 * Return: 0; -ENOEXEC if it is another, or if the kernel has none.
 */
int uplift_btf_check(const char *change, size_t size, u32 crc)
{
	unsigned long start, stop;

	if (uplift_resolve("__start_BTF", &start) || uplift_resolve("__stop_BTF", &stop)) {
		pr_err("%s: unsupported: this kernel has no BTF to check layouts against (CONFIG_DEBUG_INFO_BTF)\n",
		       change);
		return -ENOEXEC;
	}
	if (stop - start != size || ~crc32_le(~0, (const u8 *)start, size) != crc) {
		pr_err("%s: unsupported: built for another kernel, whose BTF differs: build with this one's KDIR, KSRC and BTF\n",
		       change);
		return -ENOEXEC;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(uplift_btf_check);
