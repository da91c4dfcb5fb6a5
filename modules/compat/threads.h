/* SPDX-License-Identifier: GPL-2.0 */
/* The threads of a process. */
#ifndef _UPLIFT_COMPAT_THREADS_H
#define _UPLIFT_COMPAT_THREADS_H

#include <linux/rculist.h>
#include <linux/sched/signal.h>

/*
 * for_each_thread(), under rcu_read_lock(). The kernel's own names tasklist_lock
 * (6.12 does, 6.1 does not), which modules cannot where lockdep looks at RCU lists
 * (PROVE_RCU_LIST). Can go when it is exported.
 */
#define compat_for_each_thread(p, t) \
	list_for_each_entry_rcu(t, &(p)->signal->thread_head, thread_node)

#endif /* _UPLIFT_COMPAT_THREADS_H */
