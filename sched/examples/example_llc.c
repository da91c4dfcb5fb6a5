// SPDX-License-Identifier: GPL-2.0
/*
 * Purpose: per-LLC queues with libuplift_sched. Each process is gathered in the
 * cache where it ran most in the last epoch, if it has several threads; tasks
 * wait in the queue of that cache, first come, first served.
 *
 * Usage: example_llc; Ctrl-C brings the kernel's own scheduler back.
 *
 * uplift_land does the same with rules that keep processes from changing their
 * cache too often, and from crowding one: see policy.c.
 */
#include <stdio.h>

#include "uplift_sched.h"

/* By process: what it had run when we last looked. */
static u64 before[LAND_MAX_PROCS][LAND_MAX_DOMAINS];

static void llc_enqueue(struct usched *s, struct land_task *tasks, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		/* the time at which it became ready is its place */
		if (!usched_dispatch(s, &tasks[i], tasks[i].now, 0))
			break;
	}
}

static s32 llc_pick_domain(struct usched *s, const struct land_task *task)
{
	s32 preferred = task->proc < 0 ? LAND_NONE : usched_proc(s, task->proc)->preferred;

	return preferred < 0 ? task->domain : preferred;
}

static void llc_tick(struct usched *s, u64 now)
{
	int at;

	for (at = usched_next_proc(s, 0); at >= 0; at = usched_next_proc(s, at + 1)) {
		struct land_proc *proc = usched_proc(s, at);
		s32 i, best = LAND_NONE;
		u64 most = 0;

		for (i = 0; i < (s32)usched_domains(s); i++) {
			u64 ran = proc->runtime[i] - before[at][i];

			before[at][i] = proc->runtime[i];
			if (ran > most && usched_cpus(s, i)) {
				most = ran;
				best = i;
			}
		}
		usched_gather(s, at, proc->threads > 1 ? best : LAND_NONE);
	}
}

static void llc_exit(struct usched *s, const struct usched_exit *why)
{
	unsigned int i;

	for (i = 0; i < usched_domains(s); i++)
		printf("domain %u: %llu turns, %llu threads came, %llu went\n", i,
		       (unsigned long long)usched_domain(s, i)->runs,
		       (unsigned long long)usched_domain(s, i)->in,
		       (unsigned long long)usched_domain(s, i)->out);
}

static const struct usched_ops llc = {
	.name = "example_llc",
	.enqueue = llc_enqueue,
	.pick_domain = llc_pick_domain,
	.tick = llc_tick,
	.exit = llc_exit,
};

int main(void)
{
	return usched_run(&llc, NULL, NULL);
}
