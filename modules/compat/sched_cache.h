/* SPDX-License-Identifier: GPL-2.0 */
/* Cache-aware scheduling's state of a process. */
#ifndef _UPLIFT_COMPAT_SCHED_CACHE_H
#define _UPLIFT_COMPAT_SCHED_CACHE_H

#include <linux/compiler.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/types.h>

/**
 * struct compat_sched_cache - the state, copied
 * @cpu: one in the preferred domain, or -1
 * @preferred: the domain that the task itself prefers, by the scheduler's id, or -1
 * @running_avg: how many threads run at once, smoothed
 * @footprint: in pages
 * @epoch: of the last tick that met the process
 * @next_scan: the jiffy from which its domains may be compared again
 */
struct compat_sched_cache {
	int cpu;
	int preferred;
	u64 running_avg;
	unsigned long footprint;
	unsigned long epoch;
	unsigned long next_scan;
};

#if defined(UPLIFT_HAVE_SCHED_CACHE_GROUP) && defined(CONFIG_SCHED_CACHE)

/* Since 7.2: a group that all tasks of an address space point to, freed under RCU. */
static inline bool compat_sched_cache_read(struct task_struct *p,
					   struct compat_sched_cache *state)
{
	struct sched_cache_group *group = rcu_dereference(p->sched_cache_grp);

	if (!group)
		return false;
	state->cpu = READ_ONCE(group->cpu);
	state->preferred = READ_ONCE(p->preferred_llc);
	state->running_avg = READ_ONCE(group->nr_running_avg);
	state->footprint = READ_ONCE(group->footprint);
	state->epoch = READ_ONCE(group->epoch);
	state->next_scan = READ_ONCE(group->next_scan);
	return true;
}

#else

/* Before there is none. Can go when 7.2 is the oldest. */
static inline bool compat_sched_cache_read(struct task_struct *p,
					   struct compat_sched_cache *state)
{
	return false;
}

#endif

#endif /* _UPLIFT_COMPAT_SCHED_CACHE_H */
