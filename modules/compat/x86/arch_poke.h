/* SPDX-License-Identifier: GPL-2.0 */
/* x86: writing to code and constants of a module that is coming, by text_poke(). */
#ifndef _UPLIFT_ARCH_POKE_H
#define _UPLIFT_ARCH_POKE_H

#include <linux/errno.h>
#include <linux/mutex.h>
#include <linux/static_call.h>

#include "core.h"
#include "uplift.h"

static void *arch_poke_unknown(void *addr, const void *opcode, size_t len)
{
	return NULL;
}

DEFINE_STATIC_CALL(uplift_text_poke, arch_poke_unknown);

static struct mutex *arch_poke_mutex;

/* Return: 0, or -EOPNOTSUPP where it cannot be done. */
static inline int arch_poke_init(void)
{
	unsigned long poke, mutex;

	if (uplift_resolve("text_poke", &poke) || uplift_resolve("text_mutex", &mutex))
		return -EOPNOTSUPP;
	static_call_update(uplift_text_poke, (typeof(arch_poke_unknown) *)poke);
	arch_poke_mutex = (struct mutex *)mutex;
	return 0;
}

/* Process context; whether it has been written is for the caller to look at. */
static inline void arch_poke(void *addr, const void *value, size_t size)
{
	mutex_lock(arch_poke_mutex);
	static_call(uplift_text_poke)(addr, value, size);
	mutex_unlock(arch_poke_mutex);
}

#endif /* _UPLIFT_ARCH_POKE_H */
