/* SPDX-License-Identifier: GPL-2.0 */
/*
 * arm64: counting. this_cpu_inc() turns preemption off, which is 16 instructions.
 * An atomic addition does without: a task that is moved in between counts on
 * the CPU that it came from, and the sums are right all the same. CPUs see each other's
 * writes in any order here: a count of leaving must not be seen before that of
 * entering.
 */
#ifndef _UPLIFT_ARCH_BODY_H
#define _UPLIFT_ARCH_BODY_H

#include <linux/atomic.h>
#include <linux/percpu.h>

#define uplift_count_enter(counter) \
	atomic64_inc((atomic64_t *)raw_cpu_ptr(&(counter)))
#define uplift_count_leave(counter) \
	((void)atomic64_fetch_add_release(1, (atomic64_t *)raw_cpu_ptr(&(counter))))

#endif /* _UPLIFT_ARCH_BODY_H */
