/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What uplift_land decides: in which order tasks run, and in which cache a
 * process is gathered. Pure logic: time and processes are what the caller says
 * they are; the unit tests replay what was recorded.
 *
 * Domains are chosen by the rules of Linux 7.2's cache-aware scheduling
 * (kernel/sched/fair.c): run time by domain is halved every epoch; another
 * domain is preferred only once the process has more than twice the run time
 * there; none is when the process has one thread, has more running threads than
 * fit, or was not seen for some epochs. What its load balancing does by task is
 * done by process here: where more was gathered in a domain than 117% of its CPUs,
 * one process goes to a domain that has room, if the difference exceeds imb_pct.
 */
#ifndef _UPLIFT_SCHED_POLICY_H
#define _UPLIFT_SCHED_POLICY_H

#include <stdbool.h>

#include "shared.h"

/**
 * struct policy_params - the tunables; those of the scheduler have its names
 * @aggr_tolerance: 0 never gathers, 1 (default) to 99 how much, 100 all
 * @imb_pct: percent by which domains may differ
 * @epoch_affinity_timeout: epochs without run time until a preference is dropped
 * @settle: epochs that a process is left where it was moved to
 * @slice_us: a turn at nice 0
 * @cap_us: the most that a long turn sets a task back
 * @queue_imbalance: tasks that one domain's queue may be longer than another's
 */
struct policy_params {
	unsigned int aggr_tolerance;
	unsigned int imb_pct;
	unsigned int epoch_affinity_timeout;
	unsigned int settle;
	unsigned int slice_us;
	unsigned int cap_us;
	unsigned int queue_imbalance;
};

#define POLICY_DEFAULTS {		\
	.aggr_tolerance		= 1,	\
	.imb_pct		= 20,	\
	.epoch_affinity_timeout	= 5,	\
	.settle			= 5,	\
	.slice_us		= 3000,	\
	.cap_us			= 30000,\
	.queue_imbalance	= 2,	\
}

#define POLICY_EPOCH_NS	(10 * NSEC_PER_MSEC)

/**
 * struct policy_proc - what is remembered of a process
 * @tgid: whose it is, 0 where it is free
 * @preferred: domain, or LAND_NONE
 * @running_avg: threads that run at once, smoothed, times 1024
 * @idle: epochs in which it did not run
 * @settling: epochs in which it is not to be moved again
 * @seen: run time up to the last epoch
 * @recent: run time, halved every epoch
 * @delta: run time of the last epoch
 */
struct policy_proc {
	u32 tgid;
	s32 preferred;
	s64 running_avg;
	unsigned int idle;
	unsigned int settling;
	u64 seen[LAND_MAX_DOMAINS];
	u64 recent[LAND_MAX_DOMAINS];
	u64 delta[LAND_MAX_DOMAINS];
};

/**
 * struct policy - all of it
 * @params: the tunables
 * @nr_domains: caches
 * @cpus: by domain: CPUs that are online
 * @smt: threads per core
 * @length: of the epoch, nanoseconds
 * @nr_active: how many entries were handed over in this epoch
 * @active: which
 * @procs: all entries
 * @leavers: of the epoch: entries that may be moved, by domain, the first to go first
 * @first_leaver: by domain: where its entries begin there; those before are used up
 * @last_leaver: by domain: where they end
 */
struct policy {
	struct policy_params params;
	unsigned int nr_domains;
	unsigned int cpus[LAND_MAX_DOMAINS];
	unsigned int smt;
	u64 length;
	unsigned int nr_active;
	u32 active[LAND_MAX_PROCS];
	struct policy_proc procs[LAND_MAX_PROCS];
	u32 leavers[LAND_MAX_PROCS];
	unsigned int first_leaver[LAND_MAX_DOMAINS];
	unsigned int last_leaver[LAND_MAX_DOMAINS];
};

void policy_init(struct policy *policy, const struct policy_params *params, unsigned int nr_domains,
		 const unsigned int *cpus, unsigned int smt);

/*
 * An epoch: policy_begin(), policy_account() for each process, policy_end();
 * then policy->procs[at].preferred of those in policy->active is the choice.
 */
void policy_begin(struct policy *policy, u64 length_ns);
void policy_account(struct policy *policy, u32 at, const struct land_proc *proc);
void policy_end(struct policy *policy);

/* Threads times 1024 that fit into a domain; -1 if none. */
s64 policy_room(const struct policy *policy, unsigned int domain);

u64 policy_slice(const struct policy_params *params, const struct land_task *task);
u64 policy_deadline(const struct policy_params *params, const struct land_task *task);

/* Sort tasks into the order in which they are to run. */
void policy_order(const struct policy_params *params, struct land_task *tasks, unsigned int nr);

/**
 * policy_domain - whose queue a task goes to
 * @policy: the policy
 * @task: the task
 * @queued: by domain: how many wait there; the caller counts this one in
 * @load: by domain: what its tasks weigh, the task included; the caller moves it
 *
 * Where its process is gathered, else where it ran; but the domain with the
 * shortest queue per CPU where that is shorter by more than queue_imbalance. A task
 * that is gathered nowhere goes where its share is larger, by more than imb_pct.
 *
 * Return: the domain.
 */
s32 policy_domain(const struct policy *policy, const struct land_task *task, const s64 *queued,
		  const s64 *load);

#endif /* _UPLIFT_SCHED_POLICY_H */
