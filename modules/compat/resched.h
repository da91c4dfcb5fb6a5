/* SPDX-License-Identifier: GPL-2.0 */
/* Whether a task goes on after an interrupt. */
#ifndef _UPLIFT_COMPAT_RESCHED_H
#define _UPLIFT_COMPAT_RESCHED_H

#include <linux/sched.h>
#include <linux/thread_info.h>

#ifdef TIF_NEED_RESCHED_LAZY

/* Since 6.13, where an architecture has it: to be switched, but on the way to user space only. */
static inline bool compat_will_resched(void)
{
	return need_resched() || test_thread_flag(TIF_NEED_RESCHED_LAZY);
}

#else

/* Before there is one flag. Can go when 6.18 is the oldest. */
static inline bool compat_will_resched(void)
{
	return need_resched();
}

#endif

#endif /* _UPLIFT_COMPAT_RESCHED_H */
