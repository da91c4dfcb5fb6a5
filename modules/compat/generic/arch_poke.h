/* SPDX-License-Identifier: GPL-2.0 */
/* Other architectures: bodies of object code cannot be bound. */
#ifndef _UPLIFT_ARCH_POKE_H
#define _UPLIFT_ARCH_POKE_H

#include <linux/errno.h>
#include <linux/types.h>

static inline int arch_poke_init(void)
{
	return -EOPNOTSUPP;
}

static inline void arch_poke(void *addr, const void *value, size_t size)
{
}

#endif /* _UPLIFT_ARCH_POKE_H */
