// SPDX-License-Identifier: GPL-2.0
/*
 * Purpose: the smallest scheduler that libuplift_sched can make: one queue for
 * all CPUs, first come, first served.
 *
 * Usage: example_fifo; Ctrl-C brings the kernel's own scheduler back.
 *
 * A task that finds an idle CPU does not come here: the BPF part puts it there
 * at once. Those that do not come in bursts, in the order in which they became
 * ready, and each becomes a decision: a queue, a place in it, a turn's length.
 */
#include <stdio.h>

#include "uplift_sched.h"

/* One counter is the order: the earliest "deadline" runs first. */
static u64 next_turn;

static void fifo_enqueue(struct usched *s, struct land_task *tasks, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		/* 20 ms: with one queue, longer turns keep tasks where their cache is warm */
		if (!usched_dispatch(s, &tasks[i], ++next_turn, 20 * NSEC_PER_MSEC))
			break;
	}
}

/* Any CPU may take it. */
static s32 fifo_pick_domain(struct usched *s, const struct land_task *task)
{
	return LAND_ANY;
}

static void fifo_exit(struct usched *s, const struct usched_exit *why)
{
	printf("%llu decisions; ended: %s\n", (unsigned long long)next_turn,
	       *why->reason ? why->reason : "as asked");
}

static const struct usched_ops fifo = {
	.name = "example_fifo",
	.enqueue = fifo_enqueue,
	.pick_domain = fifo_pick_domain,
	.exit = fifo_exit,
};

int main(void)
{
	return usched_run(&fifo, NULL, NULL);
}
