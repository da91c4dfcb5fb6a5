// SPDX-License-Identifier: GPL-2.0
/* What uplift_land decides; see policy.h. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"

#define ONE	1024	/* a running thread, in averages */
/* Percent of its CPUs, as imbalance_pct: who is awake for a moment crowds nobody. */
#define CROWDED	117

void policy_init(struct policy *policy, const struct policy_params *params, unsigned int nr_domains,
		 const unsigned int *cpus, unsigned int smt)
{
	unsigned int i;

	memset(policy, 0, sizeof(*policy));
	policy->params = *params;
	policy->nr_domains = nr_domains;
	policy->smt = smt ? smt : 1;
	memcpy(policy->cpus, cpus, nr_domains * sizeof(*cpus));
	for (i = 0; i < LAND_MAX_PROCS; i++)
		policy->procs[i].preferred = LAND_NONE;
}

/* --- where a process is gathered --- */

s64 policy_room(const struct policy *policy, unsigned int domain)
{
	unsigned int tolerance = policy->params.aggr_tolerance;
	u64 capacity = (u64)tolerance * policy->cpus[domain] * ONE;

	if (tolerance >= 100)
		return INT64_MAX;
	/* four fifths, strictly less: what the scheduler says fits */
	return capacity ? (s64)((capacity - 1) * 4 / (5 * policy->smt)) : -1;
}

void policy_begin(struct policy *policy, u64 length_ns)
{
	policy->nr_active = 0;
	policy->length = length_ns ? length_ns : 1;
}

void policy_account(struct policy *policy, u32 at, const struct land_proc *proc)
{
	struct policy_proc *own = &policy->procs[at];
	unsigned int i, divisor, domain;
	u64 total = 0;

	if (own->tgid != proc->tgid) {
		memset(own, 0, sizeof(*own));
		own->tgid = proc->tgid;
		own->preferred = LAND_NONE;
		memcpy(own->seen, proc->runtime, sizeof(own->seen));
	}
	policy->active[policy->nr_active++] = at;
	for (i = 0; i < policy->nr_domains; i++) {
		u64 now = proc->runtime[i];

		/* the entry was emptied and taken again within an epoch */
		own->delta[i] = now >= own->seen[i] ? now - own->seen[i] : 0;
		own->seen[i] = now;
		own->recent[i] = own->recent[i] / 2 + own->delta[i];
		total += own->delta[i];
	}
	own->idle = total ? 0 : own->idle + 1;
	domain = own->preferred >= 0 ? own->preferred : 0;
	divisor = policy->cpus[domain] / 4;
	divisor = divisor < 2 ? 2 : divisor > 8 ? 8 : divisor;
	own->running_avg += ((s64)(proc->running > 0 ? proc->running : 0) * ONE - own->running_avg)
			    / divisor;
	if (own->settling)
		own->settling--;
	if (proc->threads <= 1 || own->idle > policy->params.epoch_affinity_timeout ||
	    own->running_avg > policy_room(policy, domain)) {
		own->preferred = LAND_NONE;
		return;
	}
	if (!total || own->settling)
		return;
	for (i = 0, domain = 0; i < policy->nr_domains; i++) {
		if (own->recent[i] > own->recent[domain])
			domain = i;
	}
	if (!policy->cpus[domain] || own->running_avg > policy_room(policy, domain))
		return;
	if (own->preferred < 0 || own->recent[domain] > 2 * own->recent[own->preferred])
		own->preferred = domain;
}

/* What runs in the domains, times 1024: gathered processes where they belong. */
static void loads(const struct policy *policy, s64 *load)
{
	unsigned int i, domain;

	memset(load, 0, policy->nr_domains * sizeof(*load));
	for (i = 0; i < policy->nr_active; i++) {
		const struct policy_proc *own = &policy->procs[policy->active[i]];

		if (own->preferred >= 0) {
			load[own->preferred] += own->running_avg;
			continue;
		}
		for (domain = 0; domain < policy->nr_domains; domain++)
			load[domain] += own->delta[domain] * ONE / policy->length;
	}
}

static const struct policy *leavers_of;

/* By domain; of a domain the one with the least run time there is first, then as they came. */
static int leaves_earlier(const void *a, const void *b)
{
	u32 first = *(const u32 *)a, second = *(const u32 *)b;
	const struct policy_proc *one = &leavers_of->procs[leavers_of->active[first]];
	const struct policy_proc *two = &leavers_of->procs[leavers_of->active[second]];

	if (one->preferred != two->preferred)
		return one->preferred - two->preferred;
	if (one->recent[one->preferred] != two->recent[one->preferred])
		return one->recent[one->preferred] < two->recent[one->preferred] ? -1 : 1;
	return first < second ? -1 : first > second;
}

/*
 * Who may be moved is known when the epoch ends: who was moved, or found no room,
 * is left alone for some epochs. So each is looked at once.
 */
static void find_leavers(struct policy *policy)
{
	unsigned int i, nr = 0, domain = 0;

	for (i = 0; i < policy->nr_active; i++) {
		const struct policy_proc *own = &policy->procs[policy->active[i]];

		if (own->preferred >= 0 && !own->settling && own->running_avg >= ONE)
			policy->leavers[nr++] = i;
	}
	leavers_of = policy;
	qsort(policy->leavers, nr, sizeof(*policy->leavers), leaves_earlier);
	for (i = 0; domain < policy->nr_domains; domain++) {
		policy->first_leaver[domain] = i;
		while (i < nr && policy->procs[policy->active[policy->leavers[i]]].preferred ==
				 (s32)domain)
			i++;
		policy->last_leaver[domain] = i;
	}
}

/* The process of a crowded domain that is to leave: the one with the least run time there. */
static struct policy_proc *leaver(struct policy *policy, s32 domain)
{
	unsigned int next = policy->first_leaver[domain];

	if (next == policy->last_leaver[domain])
		return NULL;
	return &policy->procs[policy->active[policy->leavers[next]]];
}

void policy_end(struct policy *policy)
{
	s64 load[LAND_MAX_DOMAINS];
	unsigned int i, round;

	loads(policy, load);
	find_leavers(policy);
	for (round = 0; round < policy->nr_active; round++) {
		struct policy_proc *own = NULL;
		s32 to = LAND_NONE, from = LAND_NONE;

		for (i = 0; i < policy->nr_domains; i++) {
			if (load[i] * 100 <= (s64)policy->cpus[i] * ONE * CROWDED ||
			    !leaver(policy, i))
				continue;
			if (from < 0 ||
			    load[i] * policy->cpus[from] > load[from] * policy->cpus[i])
				from = i;
		}
		if (from < 0)
			return;
		own = leaver(policy, from);
		policy->first_leaver[from]++;
		for (i = 0; i < policy->nr_domains; i++) {
			if ((s32)i != from && policy->cpus[i] &&
			    (to < 0 || load[i] * policy->cpus[to] < load[to] * policy->cpus[i]))
				to = i;
		}
		/* there must be room, and a difference that is worth it */
		if (to < 0 || load[to] + own->running_avg > (s64)policy->cpus[to] * ONE ||
		    load[from] * 100 <= (load[to] + own->running_avg) *
				(100 + (s64)policy->params.imb_pct)) {
			own->settling = policy->params.settle;
			continue;
		}
		load[from] -= own->running_avg;
		load[to] += own->running_avg;
		own->preferred = to;
		own->settling = policy->params.settle;
	}
}

/* --- in which order tasks run --- */

static u64 weighted(u64 ns, const struct land_task *task)
{
	return ns * 100 / (task->weight ? task->weight : 1);
}

u64 policy_slice(const struct policy_params *params, const struct land_task *task)
{
	u64 normal = params->slice_us * 1000ULL, slice = normal * task->weight / 100;

	/* so that who weighs little still gets something done, and who weighs much lets go */
	if (slice < normal / 4)
		return normal / 4;
	return slice > 4 * normal ? 4 * normal : slice;
}

/*
 * Who has had the least for its weight runs first; of those who had the same, who
 * computes briefly and sleeps. Nobody is set back by more than the cap.
 */
u64 policy_deadline(const struct policy_params *params, const struct land_task *task)
{
	u64 cap = params->cap_us * 1000ULL, late = weighted(task->burst, task);

	return task->vtime + (late > cap ? cap : late);
}

static const struct policy_params *sort_by;

static int earlier(const void *a, const void *b)
{
	const struct land_task *one = a, *two = b;
	u64 first = policy_deadline(sort_by, one), second = policy_deadline(sort_by, two);

	if (first != second)
		return first < second ? -1 : 1;
	return one->pid < two->pid ? -1 : one->pid > two->pid;
}

void policy_order(const struct policy_params *params, struct land_task *tasks, unsigned int nr)
{
	sort_by = params;
	qsort(tasks, nr, sizeof(*tasks), earlier);
}

/* The domain where tasks weigh the least per CPU, if a task has more there than at home. */
static s32 lighter(const struct policy *policy, const struct land_task *task, const s64 *load,
		   s32 home)
{
	s32 i, best = home;

	for (i = 0; i < (s32)policy->nr_domains; i++) {
		if (policy->cpus[i] && load[i] * policy->cpus[best] < load[best] * policy->cpus[i])
			best = i;
	}
	if ((load[best] + (s64)task->worth) * policy->cpus[home] * (100 + policy->params.imb_pct) <=
	    load[home] * policy->cpus[best] * 100)
		return best;
	return home;
}

s32 policy_domain(const struct policy *policy, const struct land_task *task, const s64 *queued,
		  const s64 *load)
{
	s32 home = task->domain, best, i;
	bool gathered = false;

	if (task->proc >= 0 && task->proc < LAND_MAX_PROCS &&
	    policy->procs[task->proc].tgid == (u32)task->tgid &&
	    policy->procs[task->proc].preferred >= 0) {
		home = policy->procs[task->proc].preferred;
		gathered = true;
	}
	if (home < 0 || home >= (s32)policy->nr_domains)
		home = 0;
	/* which of the others it may run in is not known here */
	if (task->restricted)
		return task->domain;
	for (i = 0, best = home; i < (s32)policy->nr_domains; i++) {
		if (policy->cpus[i] &&
		    (!policy->cpus[best] ||
		     queued[i] * policy->cpus[best] < queued[best] * policy->cpus[i]))
			best = i;
	}
	if (!policy->cpus[home] || queued[home] - queued[best] > policy->params.queue_imbalance)
		return best;
	return gathered ? home : lighter(policy, task, load, home);
}
