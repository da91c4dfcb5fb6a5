/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the BPF part and the user-space half tell each other: tasks that are
 * passed up (BPF ring buffer), decisions that come down (user ring buffer), and
 * memory that both have mapped (processes, domains, knobs). Two compilers lay
 * out the same structs, and neither half writes padding: layout.h checks that.
 */
#ifndef _UPLIFT_SCHED_SHARED_H
#define _UPLIFT_SCHED_SHARED_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
typedef __u8 u8;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;
#endif

#include "layout.h"

/* Powers of two. */
#define LAND_MAX_CPUS		512
#define LAND_MAX_DOMAINS	64
#define LAND_MAX_PROCS		4096
#define LAND_MAX_GROUPS		1024	/* cgroups */
#define LAND_BUCKETS		32	/* of latencies, by powers of two of a nanosecond */

#define LAND_NONE		(-1)
#define LAND_ANY		(-2)	/* as a domain: one queue for all */

#define NSEC_PER_MSEC		1000000ULL
#define NSEC_PER_USEC		1000ULL

/**
 * struct land_task - a task that became ready and found no idle CPU
 * @pid: of the thread
 * @tgid: of its process
 * @seq: comes back with the decision: one that is too late is not taken
 * @cpu: where it ran last
 * @domain: of that CPU
 * @proc: index of its process in the table, or LAND_NONE
 * @weight: 100 at nice 0
 * @wakeup: it slept; else its turn ended, or it is new
 * @restricted: it may not run on every CPU
 * @pad: zero
 * @burst: nanoseconds that it computes from waking until sleeping, smoothed
 * @now: when it became ready
 * @vtime: its virtual time, as fair.h has it, of the clock of @domain
 * @worth: its weight beside tasks in no cgroup: 1,024 at nice 0
 */
struct land_task {
	s32 pid;
	s32 tgid;
	u32 seq;
	s32 cpu;
	s32 domain;
	s32 proc;
	u32 weight;
	u8 wakeup;
	u8 restricted;
	u8 pad[2];
	u64 burst;
	u64 now;
	u64 vtime;
	u64 worth;
};

LAYOUT_BYTES(struct land_task, pid, tgid, seq, cpu, domain, proc, weight, wakeup, restricted, pad,
	     burst, now, vtime, worth);

/**
 * struct land_decision - what becomes of it
 * @pid: as it came
 * @seq: as it came
 * @domain: whose queue, or LAND_ANY
 * @pad: not used
 * @deadline: its place there: the earliest runs first; of the clock of the task's @now, or
 *	of its @vtime where the scheduler is a fair one
 * @slice: of its next turn, nanoseconds
 */
struct land_decision {
	s32 pid;
	u32 seq;
	s32 domain;
	u32 pad;
	u64 deadline;
	u64 slice;
};

LAYOUT_BYTES(struct land_decision, pid, seq, domain, pad, deadline, slice);

/**
 * struct land_proc - a process, as both halves see it
 * @tgid: 0 where the entry is free
 * @threads: that live
 * @running: that run or are ready now
 * @preferred: written from above: the domain to gather it in, or LAND_NONE
 * @moves: of its threads between domains
 * @runtime: by domain, nanoseconds
 */
struct land_proc {
	u32 tgid;
	s32 threads;
	s32 running;
	s32 preferred;
	u64 moves;
	u64 runtime[LAND_MAX_DOMAINS];
};

LAYOUT_BYTES(struct land_proc, tgid, threads, running, preferred, moves, runtime);

/**
 * struct land_domain - a last-level cache
 * @idle: CPUs that are in their idle task
 * @online: CPUs that take tasks
 * @queued: tasks in its queue, when a CPU last looked
 * @load: what its tasks that run or are ready weigh, bound ones left out; then, too
 * @in: threads that came from other domains
 * @out: threads that went there
 * @runs: turns that began here
 * @latency: of wakeups, from ready to running: counts by power of two
 */
struct land_domain {
	s32 idle;
	s32 online;
	s64 queued;
	s64 load;
	u64 in;
	u64 out;
	u64 runs;
	u64 latency[LAND_BUCKETS];
};

LAYOUT_BYTES(struct land_domain, idle, online, queued, load, in, out, runs, latency);

/* How tasks were placed; and what waiting for user space cost. */
enum land_stat {
	LAND_SAME_CPU,		/* an idle CPU was near: the same */
	LAND_SIBLING,		/* its SMT sibling */
	LAND_SAME_DOMAIN,	/* in the same cache */
	LAND_OTHER_DOMAIN,	/* elsewhere */
	LAND_PASSED_UP,
	LAND_DECIDED,
	LAND_STALE,		/* decisions that came too late: the task was gone or queued anew */
	LAND_TAKEN,		/* by a CPU that would have gone idle before a decision came */
	LAND_NO_ROOM,		/* the ring was full: queued by the BPF part */
	LAND_KERNEL,		/* kernel threads and tasks bound to a CPU */
	LAND_STOLEN,		/* taken from another domain's queue */
	LAND_GATHERED,		/* moved while running, to where its process is gathered */
	LAND_WAKES,		/* of the user-space half */
	LAND_PREEMPTED,		/* the task that ran on its CPU: that one was ahead of its share */
	LAND_HELD,		/* by their cgroup's cpu.max */
	LAND_NO_GROUP,		/* cgroups that found no entry: theirs count as tasks of none */
	LAND_NR_STATS
};

#endif /* _UPLIFT_SCHED_SHARED_H */
