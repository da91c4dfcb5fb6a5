/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libuplift_sched: a scheduler in user space is a few callbacks. What loads the
 * BPF part, moves tasks up and decisions down, sleeps, wakes and cleans up is
 * in here; docs/sched.md tells how it works and has two examples.
 *
 *	static void enqueue(struct usched *s, struct land_task *tasks, unsigned int nr)
 *	{
 *		for (unsigned int i = 0; i < nr; i++)
 *			usched_dispatch(s, &tasks[i], tasks[i].now, 0);
 *	}
 *
 *	static const struct usched_ops ops = { .name = "mine", .enqueue = enqueue };
 *
 *	int main(void)
 *	{
 *		return usched_run(&ops, NULL, NULL);
 *	}
 *
 * Everything runs on one thread, the caller's, whose memory is locked: callbacks
 * must not block, and nothing else on that thread may.
 */
#ifndef _UPLIFT_SCHED_H
#define _UPLIFT_SCHED_H

#include <stdbool.h>

#include "shared.h"

struct usched;

/* Why it ended; exit codes as the command's. */
enum usched_end {
	USCHED_STOPPED = 0,	/* a signal, or usched_stop() */
	USCHED_FAILED = 1,	/* the kernel ended it, or would not load it */
	USCHED_USAGE = 2,
	USCHED_SKIPPED = 4,	/* this kernel has no sched_ext */
};

/**
 * struct usched_exit - why it ended
 * @end: in short
 * @code: of the kernel's, 0 otherwise
 * @reason: the kernel's words; "" where it was not the kernel
 * @message: more of them
 */
struct usched_exit {
	enum usched_end end;
	s64 code;
	const char *reason;
	const char *message;
};

/**
 * struct usched_ops - a scheduler
 * @name: for people: letters, digits, _ and .; the kernel shows it as root/ops
 * @enqueue: tasks that found no idle CPU, in the order in which they became
 *	ready. For each, now or later, usched_dispatch(). The array may be sorted.
 * @pick_domain: whose queue a task goes to, or LAND_ANY; the domain that it ran
 *	in where this is NULL
 * @tick: every epoch of 10 ms while something runs, and less often otherwise
 * @exit: the kernel's own scheduler is back
 * @fair: deadlines are of the clock of task->vtime, which is each task's run time by its
 *	weight: those of different queues are compared, and a task goes on when its turn
 *	has ended where those that wait come later. Without that queues take turns.
 *
 * All but @name and @enqueue may be NULL.
 */
struct usched_ops {
	const char *name;
	void (*enqueue)(struct usched *s, struct land_task *tasks, unsigned int nr);
	s32 (*pick_domain)(struct usched *s, const struct land_task *task);
	void (*tick)(struct usched *s, u64 now_ns);
	void (*exit)(struct usched *s, const struct usched_exit *why);
	bool fair;
};

/**
 * struct usched_options - how it is loaded; 0 is the default of each
 * @slice_us: a task's turn, where the callbacks do not say (3,000)
 * @stall_ms: without a sign of life from us the kernel takes over (5,000)
 * @imbalance: a CPU takes from another domain's queue when more wait there (1);
 *	UINT_MAX for 0
 * @ring_kb: of the rings to us and back, each, a power of two, 4 at least (1,024)
 * @linger_us: each switch takes so many microseconds longer: for tests
 * @status: a file to keep the live figures in, as JSON; NULL for none
 * @kernel_only: the BPF part decides all; we only look
 * @naive: every task goes up and wakes us: to compare with
 * @gaps: measure the time that CPUs were idle while tasks waited for us
 * @verbose: what libbpf and the verifier say
 */
struct usched_options {
	unsigned int slice_us;
	unsigned int stall_ms;
	unsigned int imbalance;
	unsigned int ring_kb;
	unsigned int linger_us;
	const char *status;
	bool kernel_only;
	bool naive;
	bool gaps;
	bool verbose;
};

/* Load, schedule until it ends, unload. Says on stderr what went wrong. */
int usched_run(const struct usched_ops *ops, const struct usched_options *options, void *data);

/* What of a cgroup's is honoured on this kernel: "cpu.weight cpu.max", or less. */
const char *usched_honours(void);

/* From a callback or a signal handler: end it. */
void usched_stop(struct usched *s);

/* What was given to usched_run(). */
void *usched_data(struct usched *s);

/**
 * usched_dispatch - decide
 * @s: the scheduler
 * @task: as it came
 * @deadline: the earliest of a queue runs first; of the clock of task->now, or of
 *	task->vtime for a fair scheduler
 * @slice: nanoseconds, 0 for the default
 *
 * A decision for which the ring has no room goes there later, and no more tasks
 * come until then.
 *
 * Return: false where that are 1,024 already, as can be if tasks of earlier
 * bursts are decided about, too: try again in the next callback.
 */
bool usched_dispatch(struct usched *s, const struct land_task *task, u64 deadline, u64 slice);

/* The machine, and what runs on it. CPUs that are online count. */
unsigned int usched_domains(struct usched *s);
unsigned int usched_cpus(struct usched *s, unsigned int domain);
unsigned int usched_smt(struct usched *s);
const struct land_domain *usched_domain(struct usched *s, unsigned int domain);

/* The next entry of the table of processes that is taken, from @at on; -1 at the end. */
int usched_next_proc(struct usched *s, unsigned int at);
struct land_proc *usched_proc(struct usched *s, unsigned int at);

/* Gather a process in a domain, or LAND_NONE: its threads go there while there are idle CPUs. */
void usched_gather(struct usched *s, unsigned int at, s32 domain);

#endif /* _UPLIFT_SCHED_H */
