/* SPDX-License-Identifier: GPL-2.0 */
/* Counting where it is one instruction, which no interrupt and no migration can divide. */
#ifndef _UPLIFT_ARCH_BODY_H
#define _UPLIFT_ARCH_BODY_H

#include <linux/percpu.h>

#define uplift_count_enter(counter)	this_cpu_inc(counter)
#define uplift_count_leave(counter)	this_cpu_inc(counter)

#endif /* _UPLIFT_ARCH_BODY_H */
