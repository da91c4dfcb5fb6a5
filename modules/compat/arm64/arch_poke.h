/* SPDX-License-Identifier: GPL-2.0 */
/*
 * arm64: writing to code and to constants of a module that is coming. The kernel's
 * aarch64_insn_patch_text_nosync() takes a lock of its own and sees to the caches;
 * it writes 4 bytes at an address that is a multiple of these, which is what all
 * that bodies refer with is made of.
 */
#ifndef _UPLIFT_ARCH_POKE_H
#define _UPLIFT_ARCH_POKE_H

#include <linux/errno.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/types.h>

#include "core.h"
#include "uplift.h"

static int arch_poke_unknown(void *addr, u32 insn)
{
	return -EOPNOTSUPP;
}

DEFINE_STATIC_CALL(uplift_patch_text, arch_poke_unknown);

/* Return: 0, or -EOPNOTSUPP where it cannot be done. */
static inline int arch_poke_init(void)
{
	unsigned long patch;

	if (uplift_resolve("aarch64_insn_patch_text_nosync", &patch))
		return -EOPNOTSUPP;
	static_call_update(uplift_patch_text, (typeof(arch_poke_unknown) *)patch);
	return 0;
}

/* Process context; whether it has been written is for the caller to look at. */
static inline void arch_poke(void *addr, const void *value, size_t size)
{
	size_t at;
	u32 word;

	for (at = 0; at < size; at += sizeof(word)) {
		memcpy(&word, value + at, sizeof(word));
		static_call(uplift_patch_text)(addr + at, word);
	}
}

#endif /* _UPLIFT_ARCH_POKE_H */
