/* SPDX-License-Identifier: GPL-2.0 */
/* Direct calls: a function's ftrace site calls, or jumps to, a trampoline of ours. */
#ifndef _UPLIFT_COMPAT_FTRACE_H
#define _UPLIFT_COMPAT_FTRACE_H

#include <linux/errno.h>
#include <linux/ftrace.h>
#include <linux/kconfig.h>

#ifndef CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS

static inline int compat_ftrace_direct_register(struct ftrace_ops *ops, unsigned long addr)
{
	return -EOPNOTSUPP;
}

static inline int compat_ftrace_direct_modify(struct ftrace_ops *ops, unsigned long addr)
{
	return -EOPNOTSUPP;
}

static inline int compat_ftrace_direct_unregister(struct ftrace_ops *ops, unsigned long addr)
{
	return -EOPNOTSUPP;
}

#elif defined(UPLIFT_HAVE_FTRACE_DIRECT_OPS)

static inline int compat_ftrace_direct_register(struct ftrace_ops *ops, unsigned long addr)
{
	return register_ftrace_direct(ops, addr);
}

static inline int compat_ftrace_direct_modify(struct ftrace_ops *ops, unsigned long addr)
{
	return modify_ftrace_direct(ops, addr);
}

static inline int compat_ftrace_direct_unregister(struct ftrace_ops *ops, unsigned long addr)
{
	return unregister_ftrace_direct(ops, addr, false);
}

#else

/*
 * Up to 6.2 these are named ..._multi, and the names without it take a single
 * address. Can go with 6.1.
 */
static inline int compat_ftrace_direct_register(struct ftrace_ops *ops, unsigned long addr)
{
	return register_ftrace_direct_multi(ops, addr);
}

static inline int compat_ftrace_direct_modify(struct ftrace_ops *ops, unsigned long addr)
{
	return modify_ftrace_direct_multi(ops, addr);
}

static inline int compat_ftrace_direct_unregister(struct ftrace_ops *ops, unsigned long addr)
{
	return unregister_ftrace_direct_multi(ops, addr);
}

#endif

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_JMP

/* Since 7.0 the site can jump: nothing is pushed, and no trampoline is needed. */
#define COMPAT_FTRACE_JMP	true

static inline unsigned long compat_ftrace_jmp(unsigned long addr)
{
	return ftrace_jmp_set(addr);
}

#else

#define COMPAT_FTRACE_JMP	false

static inline unsigned long compat_ftrace_jmp(unsigned long addr)
{
	return addr;
}

#endif

#endif /* _UPLIFT_COMPAT_FTRACE_H */
