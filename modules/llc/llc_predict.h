/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What cache-aware scheduling would decide: its rules, on what switches and
 * ticks tell. Pure logic: time, CPUs and processes are what the caller says
 * they are. Nothing is allocated while it runs.
 *
 * The rules are those of Linux 7.2 (kernel/sched/fair.c). Run time of a process
 * on a CPU, and of all processes there, is halved every epoch. Once an epoch a
 * tick asks some thread of the process, which sums up for each domain the shares
 * that it has of its CPUs when it next goes to user space: at once, or when its
 * system call ends, or its next turn begins, maybe elsewhere. The process prefers
 * the best one if that has more than twice the sum of the one preferred so far. The
 * preference is dropped when no tick met the process for some epochs, when it
 * has one thread, when more threads run than the domain has room for, and when
 * its footprint exceeds the cache.
 */
#ifndef _UPLIFT_LLC_PREDICT_H
#define _UPLIFT_LLC_PREDICT_H

#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/hash.h>
#include <linux/limits.h>
#include <linux/seqlock.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/**
 * struct llc_params - the tunables, named as the scheduler's
 * @aggr_tolerance: 0 never, 1 (default) to 99 how much may be gathered, 100 all
 * @epoch_period: jiffies after which run time is halved
 * @epoch_affinity_timeout: epochs without a tick until a preference is dropped
 * @overaggr_pct: load of a domain, in percent, above which balancing stops
 * @imb_pct: imbalance, in percent, that balancing accepts
 *
 * The last two decide how tasks are moved, not what is preferred.
 */
struct llc_params {
	unsigned int aggr_tolerance;
	unsigned int epoch_period;
	unsigned int epoch_affinity_timeout;
	unsigned int overaggr_pct;
	unsigned int imb_pct;
};

/* The scheduler's defaults; @hz is HZ. */
#define LLC_PARAMS_DEFAULT(hz) {		\
	.aggr_tolerance		= 1,		\
	.epoch_period		= (hz) / 100,	\
	.epoch_affinity_timeout	= 5,		\
	.overaggr_pct		= 50,		\
	.imb_pct		= 20,		\
}

/**
 * enum llc_reason - why a process prefers no domain
 * @LLC_PREFERS: it does prefer one
 * @LLC_OFF: cache-aware scheduling is off, or has nothing to choose from
 * @LLC_SINGLE: one thread
 * @LLC_THREADS: more threads run than fit
 * @LLC_FOOTPRINT: it uses more memory than fits
 * @LLC_STALE: no tick has met it for some epochs
 * @LLC_YOUNG: its domains have not been compared yet
 * @LLC_NO_MAJORITY: they have, and none was better
 * @LLC_UNKNOWN: cannot be told
 */
enum llc_reason {
	LLC_PREFERS,
	LLC_OFF,
	LLC_SINGLE,
	LLC_THREADS,
	LLC_FOOTPRINT,
	LLC_STALE,
	LLC_YOUNG,
	LLC_NO_MAJORITY,
	LLC_UNKNOWN,
};

/**
 * struct llc_room - what fits into the domain of a CPU
 * @cpus: how many the scheduler says share the cache
 * @bytes: of the cache that these may use
 * @smt: threads per core
 * @numa: whether footprints are known, which takes NUMA balancing
 */
struct llc_room {
	unsigned int cpus;
	u64 bytes;
	unsigned int smt;
	bool numa;
};

/**
 * struct llc_state - what a preference, or the lack of one, follows from
 * @cpu: one in the preferred domain, or -1
 * @threads: of the process
 * @running_avg: how many run at once, smoothed
 * @footprint: in pages
 * @idle: epochs since a tick met it
 * @compared: whether its domains were ever compared
 * @off: cache-aware scheduling is off
 */
struct llc_state {
	int cpu;
	unsigned int threads;
	u64 running_avg;
	unsigned long footprint;
	long idle;
	bool compared;
	bool off;
};

const char *llc_reason_name(enum llc_reason reason);
enum llc_reason llc_reason(const struct llc_state *state, const struct llc_params *params,
			   const struct llc_room *room, unsigned long page_size);

s64 llc_room_threads(const struct llc_room *room, unsigned int tolerance);
unsigned long llc_room_pages(const struct llc_room *room, unsigned int tolerance,
			     unsigned long page_size);

/**
 * struct llc_spans - domains as the scheduler balances over them
 * @nr_cpus: CPUs have numbers below that
 * @nr: of domains
 * @active: whether there is anything to choose from
 * @part_of: by CPU: the part of a cache domain, for counting, or -1
 * @nr_parts: of those
 * @span_of: by CPU: the scheduler's domain, or -1
 * @first: by scheduler's domain, where its CPUs begin; and one more, the end
 * @cpus: CPUs by scheduler's domain
 * @room: by CPU
 * @pairs: moves, from part times @nr_parts plus to part
 */
struct llc_spans {
	unsigned int nr_cpus;
	unsigned int nr;
	bool active;
	int *part_of;
	unsigned int nr_parts;
	int *span_of;
	unsigned int *first;
	unsigned int *cpus;
	struct llc_room *room;
	atomic64_t *pairs;
};

/**
 * struct llc_time - a process on a CPU
 * @runtime: nanoseconds, halved each epoch
 * @epoch: up to which that was done
 * @blocked: how often one of its threads went to sleep here
 * @woke_within: of the wakeups that happened here: to another CPU of the domain
 *	that the thread had slept in
 * @woke_across: to another domain
 * @moved_within: other moves that were made here
 * @moved_across: to another domain
 */
struct llc_time {
	u64 runtime;
	u32 epoch;
	u64 blocked;
	u64 woke_within;
	u64 woke_across;
	u64 moved_within;
	u64 moved_across;
} __aligned(64);

/**
 * struct llc_cpu - a CPU; written by itself only, without interrupts
 * @nr: its number
 * @seq: so that others can read what belongs together
 * @slot: of the process that runs, or 0
 * @counted: whether its run time counts: a process under the fair scheduler
 * @since: its run time, as the caller counts it, up to which it was accounted
 * @runs: it on this CPU; that of slot 0 for all that have none
 * @runtime: nanoseconds of all processes, halved each epoch
 * @epoch: up to which that was done
 * @epoch_next: the jiffy in which it ends
 * @max_running: most running threads that fit here, -1 if none ever do
 * @max_pages: most pages that fit here
 * @time: by slot
 * @gone: counts of the processes that have gone, whose slots are used again
 * @dropped: how often a process with several threads found no slot
 */
struct llc_cpu {
	unsigned int nr;
	seqcount_t seq;
	unsigned int slot;
	bool counted;
	u64 since;
	struct llc_time *runs;
	u64 runtime;
	unsigned long epoch;
	unsigned long epoch_next;
	s64 max_running;
	unsigned long max_pages;
	struct llc_time *time;
	struct llc_time gone;
	u64 dropped;
} ____cacheline_aligned;

#define LLC_WAITERS	8

/**
 * struct llc_process - a process, that is an address space
 * @key: which one; NULL if the slot is free
 * @next: in its hash chain, or in the list of free slots
 * @slot: its index in the table
 * @cpu: one in the preferred domain, or -1
 * @epoch: of the last tick that met it
 * @next_scan: the jiffy from which its domains may be compared again
 * @running_avg: how many of its threads run at once, smoothed
 * @footprint: pages it uses, as NUMA balancing sees it
 * @compared: how often its domains were compared
 * @waiter: threads that were asked to compare its domains and have not yet
 */
struct llc_process {
	const void *key;
	struct llc_process *next;
	unsigned int slot;
	int cpu;
	unsigned long epoch;
	unsigned long next_scan;
	u64 running_avg;
	unsigned long footprint;
	unsigned int compared;
	const void *waiter[LLC_WAITERS];
} ____cacheline_aligned;

#define LLC_HASH_BITS	12

/**
 * struct llc_predict - all of it
 * @params: may change at any time
 * @spans: the domains; read under RCU where it can change
 * @page_size: bytes
 * @begin: the jiffy in which epochs begin
 * @nr_cpus: CPUs have numbers below that
 * @cpu: by CPU; NULL for those that cannot be
 * @last: the last of these
 * @last_epoch: that of @last, as the latest comparison has found it
 * @max_processes: slots are 1 to this
 * @process: by slot
 * @free: slots that are
 * @nr_free: how many
 * @lock: of @free and of changes to chains
 * @head: of hash chains
 */
struct llc_predict {
	const struct llc_params *params;
	struct llc_spans __rcu *spans;
	unsigned long page_size;
	unsigned long begin;
	unsigned int nr_cpus;
	struct llc_cpu **cpu;
	struct llc_cpu *last;
	unsigned long last_epoch;
	unsigned int max_processes;
	struct llc_process *process;
	struct llc_process *free;
	unsigned int nr_free;
	raw_spinlock_t lock;
	struct llc_process *head[1 << LLC_HASH_BITS];
};

int llc_predict_init(struct llc_predict *p, const struct llc_params *params,
		     unsigned int nr_cpus, const unsigned long *possible,
		     unsigned int max_processes, unsigned long now);
void llc_predict_exit(struct llc_predict *p);

struct llc_process *llc_predict_add(struct llc_predict *p, struct llc_cpu *cpu, const void *key,
				    bool threaded, unsigned long now, bool *added);
void llc_predict_unlink(struct llc_predict *p, unsigned int slot);
bool llc_predict_recycle(struct llc_predict *p, unsigned int slot);

void llc_predict_settle(struct llc_predict *p, struct llc_cpu *cpu, unsigned int threads,
			unsigned long now);
bool llc_predict_tick(struct llc_predict *p, struct llc_cpu *cpu, const void *who);
int llc_predict_wait(struct llc_process *process, const void *who);
void llc_predict_waited(struct llc_process *process, unsigned int nr);
void llc_predict_compare(struct llc_predict *p, struct llc_cpu *cpu, unsigned int threads,
			 const unsigned long *scan, unsigned long now);
u64 llc_predict_runtime(const struct llc_predict *p, unsigned int nr, unsigned int slot,
			unsigned long now, u64 *all);

/* hash_ptr(), without a call. */
static __always_inline unsigned int llc_predict_hash(const void *key)
{
	return ((unsigned long)key * GOLDEN_RATIO_64) >> (64 - LLC_HASH_BITS);
}

/**
 * llc_predict_find - find a process
 * @p: the prediction
 * @key: which one
 *
 * Context: any, in an RCU read section; a slot that is removed is not used
 * again before that ends.
 * Return: the process, or NULL.
 */
static __always_inline struct llc_process *llc_predict_find(const struct llc_predict *p,
							    const void *key)
{
	struct llc_process *process = READ_ONCE(p->head[llc_predict_hash(key)]);

	while (process && READ_ONCE(process->key) != key)
		process = READ_ONCE(process->next);
	return process;
}

/**
 * llc_predict_has_room - is there a slot for a process?
 * @p: the prediction
 * @threaded: whether it has several threads
 *
 * What a process has run while it had one thread counts when it gets more, but
 * half of the slots are kept for those that have.
 *
 * Return: whether there is.
 */
static __always_inline bool llc_predict_has_room(const struct llc_predict *p, bool threaded)
{
	return READ_ONCE(p->nr_free) > (threaded ? 0 : p->max_processes / 2);
}

/**
 * llc_predict_is_current - has what runs on a CPU run in this epoch before?
 * @cpu: the CPU, this one, without interrupts
 * @now: jiffies
 *
 * Return: whether; if not, llc_predict_settle() has to come before
 * llc_predict_account().
 */
static __always_inline bool llc_predict_is_current(const struct llc_cpu *cpu, unsigned long now)
{
	return (long)(now - cpu->epoch_next) <= 0 && cpu->runs->epoch == (u32)cpu->epoch;
}

/**
 * llc_predict_account - the process that runs on a CPU has run
 * @cpu: the CPU, this one, without interrupts; llc_predict_is_current()
 * @total: run time of the thread that runs, on the same scale as llc_cpu.since
 */
static __always_inline void llc_predict_account(struct llc_cpu *cpu, u64 total)
{
	u64 delta = total - cpu->since;

	/* A reader that sees one sum without the other is wrong by no more than a delta. */
	cpu->since = total;
	cpu->runtime += delta;
	cpu->runs->runtime += delta;
}

/**
 * llc_predict_run - another thread runs on a CPU
 * @cpu: the CPU, this one, without interrupts; what ran was accounted
 * @slot: of its process, or 0
 * @counted: whether its run time counts
 * @total: its run time up to now
 */
static __always_inline void llc_predict_run(struct llc_cpu *cpu, unsigned int slot,
					    bool counted, u64 total)
{
	WRITE_ONCE(cpu->slot, slot);
	cpu->runs = &cpu->time[slot];
	cpu->counted = counted;
	cpu->since = total;
}

/**
 * llc_predict_idle - no task that counts runs on a CPU
 * @cpu: the CPU, this one, without interrupts; what ran was accounted
 */
static __always_inline void llc_predict_idle(struct llc_cpu *cpu)
{
	WRITE_ONCE(cpu->slot, 0);
	cpu->counted = false;
}

#endif /* _UPLIFT_LLC_PREDICT_H */
