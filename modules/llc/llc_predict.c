// SPDX-License-Identifier: GPL-2.0
/*
 * What cache-aware scheduling would decide. Pure logic, see llc_predict.h.
 */
#include <linux/bitmap.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "llc_predict.h"

/* The share of a CPU that no other process uses. */
#define SHARE_ALL	BIT_ULL(20)

/* As the scheduler's INT_MAX: everything fits. */
#define SCALE_ALL	U32_MAX

/* --- what fits --- */

static u32 tolerance_scale(unsigned int tolerance, unsigned int factor)
{
	if (!tolerance)
		return 0;
	if (tolerance >= 100)
		return SCALE_ALL;
	return 1 + (tolerance - 1) * factor;
}

/**
 * llc_room_threads - how many running threads of a process fit into a domain
 * @room: the domain
 * @tolerance: llc_params.aggr_tolerance
 *
 * Four fifths of its CPUs, less a little so that it is strictly less: the
 * scheduler's usual idea of what fits.
 *
 * Return: the largest number that does; -1 if none; S64_MAX if all do.
 */
s64 llc_room_threads(const struct llc_room *room, unsigned int tolerance)
{
	u32 scale = tolerance_scale(tolerance, 1);
	u64 capacity;

	if (scale == SCALE_ALL)
		return S64_MAX;
	capacity = (u64)scale * room->cpus * 1024;
	return capacity ? (s64)div64_u64(capacity - 1, max(room->smt, 1U) * 1280ULL) : -1;
}

/**
 * llc_room_pages - how many pages of a process fit into a domain's cache
 * @room: the domain
 * @tolerance: llc_params.aggr_tolerance
 * @page_size: bytes
 *
 * Return: the largest number that does; ULONG_MAX if all do.
 */
unsigned long llc_room_pages(const struct llc_room *room, unsigned int tolerance,
			     unsigned long page_size)
{
	u32 scale = tolerance_scale(tolerance, 256);

	if (!room->numa || scale == SCALE_ALL)
		return ULONG_MAX;
	return div64_u64(room->bytes * scale, page_size);
}

/**
 * llc_reason_name - the word for a reason
 * @reason: the reason
 *
 * Return: a constant string, as in "processes".
 */
const char *llc_reason_name(enum llc_reason reason)
{
	switch (reason) {
	case LLC_PREFERS:
		return "-";
	case LLC_OFF:
		return "off";
	case LLC_SINGLE:
		return "single-thread";
	case LLC_THREADS:
		return "too-many-threads";
	case LLC_FOOTPRINT:
		return "footprint";
	case LLC_STALE:
		return "stale";
	case LLC_YOUNG:
		return "young";
	case LLC_NO_MAJORITY:
		return "no-majority";
	case LLC_UNKNOWN:
		break;
	}
	return "unknown";
}

/**
 * llc_reason - why a process prefers no domain
 * @state: of the process
 * @params: the tunables
 * @room: in the domain where it runs
 * @page_size: bytes
 *
 * Return: the first of the rules that keeps it from having one.
 */
enum llc_reason llc_reason(const struct llc_state *state, const struct llc_params *params,
			   const struct llc_room *room, unsigned long page_size)
{
	if (state->off)
		return LLC_OFF;
	if (state->cpu >= 0)
		return LLC_PREFERS;
	if (state->threads <= 1)
		return LLC_SINGLE;
	if ((s64)state->running_avg > llc_room_threads(room, params->aggr_tolerance))
		return LLC_THREADS;
	if (state->footprint > llc_room_pages(room, params->aggr_tolerance, page_size))
		return LLC_FOOTPRINT;
	if (!state->compared)
		return LLC_YOUNG;
	if (state->idle > (long)params->epoch_affinity_timeout)
		return LLC_STALE;
	return LLC_NO_MAJORITY;
}

/* --- the table of processes --- */

static void make_free(struct llc_predict *p, struct llc_process *process)
{
	WRITE_ONCE(process->key, NULL);
	process->next = p->free;
	p->free = process;
	WRITE_ONCE(p->nr_free, p->nr_free + 1);
}

/**
 * llc_predict_init - begin
 * @p: all of it
 * @params: the tunables; must stay
 * @nr_cpus: CPUs have numbers below that
 * @possible: which of these there can be
 * @max_processes: how many there is room for
 * @now: the jiffy in which epochs begin
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM. Either way llc_predict_exit() can be called.
 */
int llc_predict_init(struct llc_predict *p, const struct llc_params *params,
		     unsigned int nr_cpus, const unsigned long *possible,
		     unsigned int max_processes, unsigned long now)
{
	unsigned int slot, nr;

	*p = (struct llc_predict){
		.params		= params,
		.page_size	= PAGE_SIZE,
		.begin		= now,
		.nr_cpus	= nr_cpus,
		.cpu		= kvcalloc(nr_cpus, sizeof(*p->cpu), GFP_KERNEL),
		.max_processes	= max_processes,
		.process	= kvcalloc(max_processes + 1, sizeof(*p->process), GFP_KERNEL),
	};
	raw_spin_lock_init(&p->lock);
	if (!p->cpu || !p->process)
		return -ENOMEM;
	for (slot = max_processes; slot; slot--) {
		p->process[slot].slot = slot;
		make_free(p, &p->process[slot]);
	}

	for_each_set_bit(nr, possible, nr_cpus) {
		struct llc_cpu *cpu = kvzalloc(sizeof(*cpu), GFP_KERNEL);

		p->cpu[nr] = cpu;
		p->last = cpu;
		if (!cpu)
			return -ENOMEM;
		cpu->nr = nr;
		seqcount_init(&cpu->seq);
		cpu->epoch_next = now;
		cpu->time = kvcalloc(max_processes + 1, sizeof(*cpu->time), GFP_KERNEL);
		if (!cpu->time)
			return -ENOMEM;
		cpu->runs = cpu->time;
	}
	return 0;
}

/**
 * llc_predict_exit - end
 * @p: as given to llc_predict_init(), no longer in use. The domains are
 *	the caller's.
 */
void llc_predict_exit(struct llc_predict *p)
{
	unsigned int nr;

	for (nr = 0; p->cpu && nr < p->nr_cpus; nr++) {
		if (p->cpu[nr])
			kvfree(p->cpu[nr]->time);
		kvfree(p->cpu[nr]);
	}
	kvfree(p->cpu);
	kvfree(p->process);
	*p = (struct llc_predict){};
}

/*
 * A new process has been met by a tick in the epoch that the last CPU is in: if
 * that has been idle for long, it can be met again at once. Comparing domains
 * brings a CPU up to date.
 */
static unsigned long first_epoch(const struct llc_predict *p)
{
	unsigned long own = READ_ONCE(p->last->epoch), found = READ_ONCE(p->last_epoch);

	return (long)(found - own) > 0 ? found : own;
}

/**
 * llc_predict_add - give a process a slot, unless it has one
 * @p: the prediction
 * @cpu: this CPU
 * @key: the process
 * @threaded: whether it has several threads
 * @now: jiffies
 * @added: set to whether it is a new one
 *
 * Context: any, without interrupts.
 * Return: the process; NULL if no slot is free.
 */
struct llc_process *llc_predict_add(struct llc_predict *p, struct llc_cpu *cpu, const void *key,
				    bool threaded, unsigned long now, bool *added)
{
	struct llc_process **head = &p->head[llc_predict_hash(key)];
	struct llc_process *process;

	*added = false;
	if (!llc_predict_has_room(p, threaded)) {
		cpu->dropped += threaded;
		return NULL;
	}
	raw_spin_lock(&p->lock);
	process = llc_predict_find(p, key);
	if (process)
		goto out;
	if (!llc_predict_has_room(p, threaded)) {
		cpu->dropped += threaded;
		goto out;
	}
	process = p->free;
	p->free = process->next;
	WRITE_ONCE(p->nr_free, p->nr_free - 1);
	process->next = *head;
	process->cpu = -1;
	process->epoch = first_epoch(p);
	process->next_scan = now;
	process->running_avg = 0;
	process->footprint = 0;
	process->compared = 0;
	WRITE_ONCE(process->key, key);
	/* A lookup that finds it must find all of it. */
	smp_store_release(head, process);
	*added = true;
out:
	raw_spin_unlock(&p->lock);
	return process;
}

/**
 * llc_predict_unlink - lookups no longer find a process
 * @p: the prediction
 * @slot: of the process
 *
 * Context: any; not together with itself.
 */
void llc_predict_unlink(struct llc_predict *p, unsigned int slot)
{
	struct llc_process *process = &p->process[slot];
	struct llc_process **link;
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	for (link = &p->head[llc_predict_hash(process->key)]; *link; link = &(*link)->next) {
		if (*link == process) {
			WRITE_ONCE(*link, process->next);
			break;
		}
	}
	raw_spin_unlock_irqrestore(&p->lock, flags);
}

/* Nothing of the process in @slot is left on @cpu but in its sums. */
static void forget(struct llc_cpu *cpu, unsigned int slot)
{
	struct llc_time *time = &cpu->time[slot];

	cpu->gone.blocked += time->blocked;
	cpu->gone.woke_within += time->woke_within;
	cpu->gone.woke_across += time->woke_across;
	cpu->gone.moved_within += time->moved_within;
	cpu->gone.moved_across += time->moved_across;
	*time = (struct llc_time){};
}

/**
 * llc_predict_recycle - make a slot free for others
 * @p: the prediction
 * @slot: unlinked, and a grace period has ended since
 *
 * Context: any; not together with itself.
 * Return: false if a CPU still runs the process, or a thread has yet to compare;
 * then it has to be tried again.
 */
bool llc_predict_recycle(struct llc_predict *p, unsigned int slot)
{
	unsigned long flags;
	unsigned int nr;

	for (nr = 0; nr < LLC_WAITERS; nr++)
		if (READ_ONCE(p->process[slot].waiter[nr]))
			return false;
	for (nr = 0; nr < p->nr_cpus; nr++)
		if (p->cpu[nr] && READ_ONCE(p->cpu[nr]->slot) == slot)
			return false;
	for (nr = 0; nr < p->nr_cpus; nr++)
		if (p->cpu[nr])
			forget(p->cpu[nr], slot);

	raw_spin_lock_irqsave(&p->lock, flags);
	make_free(p, &p->process[slot]);
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return true;
}

/* --- epochs --- */

static unsigned int period_of(const struct llc_predict *p)
{
	return max(READ_ONCE(p->params->epoch_period), 1U);
}

static u64 halved(u64 value, unsigned long times)
{
	return times < 64 ? value >> times : 0;
}

/* How many epochs have ended on a CPU that has last looked at @next. */
static unsigned long epochs_ended(const struct llc_predict *p, unsigned long next,
				  unsigned long now)
{
	long late = now - next;

	return late > 0 ? DIV_ROUND_UP(late, period_of(p)) : 0;
}

static unsigned long epoch_of(const struct llc_predict *p, const struct llc_cpu *cpu,
			      unsigned long now)
{
	unsigned long epoch, next;
	unsigned int seq;

	do {
		seq = raw_read_seqcount_begin(&cpu->seq);
		epoch = cpu->epoch;
		next = cpu->epoch_next;
	} while (read_seqcount_retry(&cpu->seq, seq));
	return epoch + epochs_ended(p, next, now);
}

/* Begin the epoch of now on a CPU. */
static void roll(struct llc_predict *p, struct llc_cpu *cpu, unsigned long now)
{
	const struct llc_spans *spans = rcu_dereference_sched(p->spans);
	unsigned int tolerance = READ_ONCE(p->params->aggr_tolerance);
	unsigned long epochs = epochs_ended(p, cpu->epoch_next, now);

	cpu->epoch += epochs;
	cpu->epoch_next += epochs * period_of(p);
	cpu->runtime = halved(cpu->runtime, epochs);
	if (spans) {
		const struct llc_room *room = &spans->room[cpu->nr];

		cpu->max_running = llc_room_threads(room, tolerance);
		cpu->max_pages = llc_room_pages(room, tolerance, p->page_size);
	}
}

/* Does a process fit into the domain of a CPU that it runs on? */
static bool fits(const struct llc_cpu *cpu, const struct llc_process *process,
		 unsigned int threads)
{
	return threads > 1 && (s64)READ_ONCE(process->running_avg) <= cpu->max_running &&
	       READ_ONCE(process->footprint) <= cpu->max_pages;
}

/**
 * llc_predict_settle - see which epoch it is, and who prefers a domain no more
 * @p: the prediction
 * @cpu: the CPU, this one, without interrupts
 * @threads: of the process that runs there
 * @now: jiffies
 *
 * The scheduler looks whether the preference has to be dropped whenever it
 * accounts run time; what it looks at changes once per epoch.
 */
void llc_predict_settle(struct llc_predict *p, struct llc_cpu *cpu, unsigned int threads,
			unsigned long now)
{
	struct llc_process *process = &p->process[cpu->slot];
	struct llc_time *time = cpu->runs;

	raw_write_seqcount_begin(&cpu->seq);
	if ((long)(now - cpu->epoch_next) > 0)
		roll(p, cpu, now);
	time->runtime = halved(time->runtime, (u32)cpu->epoch - time->epoch);
	time->epoch = cpu->epoch;
	raw_write_seqcount_end(&cpu->seq);

	if (!cpu->slot || READ_ONCE(process->cpu) < 0)
		return;
	if ((long)(cpu->epoch - READ_ONCE(process->epoch)) >
	    (long)READ_ONCE(p->params->epoch_affinity_timeout) || !fits(cpu, process, threads))
		WRITE_ONCE(process->cpu, -1);
}

/**
 * llc_predict_runtime - run time of a process on a CPU
 * @p: the prediction
 * @nr: the CPU
 * @slot: of the process
 * @now: jiffies
 * @all: set to the run time of all processes there
 *
 * Context: any.
 * Return: nanoseconds, halved as of now.
 */
u64 llc_predict_runtime(const struct llc_predict *p, unsigned int nr, unsigned int slot,
			unsigned long now, u64 *all)
{
	const struct llc_cpu *cpu = p->cpu[nr];
	const struct llc_time *time = &cpu->time[slot];
	unsigned long ended;
	unsigned int seq;
	u64 runtime;

	do {
		seq = raw_read_seqcount_begin(&cpu->seq);
		ended = epochs_ended(p, cpu->epoch_next, now);
		*all = halved(cpu->runtime, ended);
		runtime = halved(time->runtime, (u32)(cpu->epoch + ended) - time->epoch);
	} while (read_seqcount_retry(&cpu->seq, seq));
	return runtime;
}

/* --- comparing --- */

/* Make a domain the preferred one if it is better by far. */
static void compare_domains(struct llc_predict *p, const struct llc_spans *spans,
			    const struct llc_cpu *here, const unsigned long *scan,
			    unsigned long now)
{
	unsigned int slot = here->slot;
	struct llc_process *process = &p->process[slot];
	u64 best = 0, current_sum = 0;
	int preferred = READ_ONCE(process->cpu);
	int best_cpu = -1, divisor;
	unsigned int at, i, running = 0;
	s64 diff;

	for (at = 0; at < spans->nr; at++) {
		u64 sum = 0, highest = 0;
		int highest_cpu = -1;

		if (scan) {
			for (i = spans->first[at]; i < spans->first[at + 1]; i++)
				if (test_bit(spans->cpus[i], scan))
					break;
			if (i == spans->first[at + 1])
				continue;
		}
		for (i = spans->first[at]; i < spans->first[at + 1]; i++) {
			unsigned int other = spans->cpus[i];
			u64 runtime, all, share;

			if (!p->cpu[other])
				continue;
			if (p->cpu[other] == p->last)
				WRITE_ONCE(p->last_epoch, epoch_of(p, p->last, now));
			runtime = llc_predict_runtime(p, other, slot, now, &all);
			share = div64_u64(SHARE_ALL * runtime, all + 1);
			sum += share;
			if (share > highest) {
				highest = share;
				highest_cpu = other;
			}
			if (READ_ONCE(p->cpu[other]->slot) == slot)
				running++;
		}
		if (sum > best) {
			best = sum;
			best_cpu = highest_cpu;
		}
		if (preferred >= 0 && spans->span_of[preferred] == at)
			current_sum = sum;
	}
	if (best > 2 * current_sum)
		WRITE_ONCE(process->cpu, best_cpu);

	/* The fewer CPUs there are, the faster it follows. */
	divisor = clamp(spans->room[here->nr].cpus >> 2, 2U, 8U);
	diff = running - process->running_avg;
	WRITE_ONCE(process->running_avg, process->running_avg + div_s64(diff, divisor));
	process->compared++;
}

static bool waits(const struct llc_process *process, const void *who)
{
	unsigned int nr;

	for (nr = 0; nr < LLC_WAITERS; nr++)
		if (READ_ONCE(process->waiter[nr]) == who)
			return true;
	return false;
}

/**
 * llc_predict_tick - a tick has met a process
 * @p: the prediction
 * @cpu: the CPU, this one, without interrupts; what ran there was settled and
 *	accounted
 * @who: the thread that it has met; only compared
 *
 * A thread that was asked and has not come to it is not asked again. Another one
 * is, by its own tick.
 *
 * Return: whether the domains are to be compared, by that thread and when it
 * next goes to user space: llc_predict_wait() until then, llc_predict_compare().
 */
bool llc_predict_tick(struct llc_predict *p, struct llc_cpu *cpu, const void *who)
{
	const struct llc_spans *spans = rcu_dereference_sched(p->spans);
	struct llc_process *process = &p->process[cpu->slot];

	if (!cpu->slot || !spans || !spans->active)
		return false;
	if ((long)(READ_ONCE(process->epoch) - cpu->epoch) >= 0 || waits(process, who))
		return false;
	WRITE_ONCE(process->epoch, cpu->epoch);
	return true;
}

/**
 * llc_predict_wait - a thread is to compare the domains later
 * @process: its process, of which it does not wait yet
 * @who: the thread; only compared
 *
 * Context: any.
 * Return: its number there, or -1 if too many wait already.
 */
int llc_predict_wait(struct llc_process *process, const void *who)
{
	int nr;

	for (nr = 0; nr < LLC_WAITERS; nr++)
		if (!READ_ONCE(process->waiter[nr]) && !cmpxchg(&process->waiter[nr], NULL, who))
			return nr;
	return -1;
}

/**
 * llc_predict_waited - a thread waits no more
 * @process: its process
 * @nr: what llc_predict_wait() returned
 *
 * Context: any.
 */
void llc_predict_waited(struct llc_process *process, unsigned int nr)
{
	/* After all that it has done here: no task waits for it any more. */
	smp_store_release(&process->waiter[nr], NULL);
}

/**
 * llc_predict_compare - see which domain a process prefers
 * @p: the prediction
 * @cpu: the CPU, this one, without interrupts, where a thread of it runs
 * @threads: of the process
 * @scan: whose domains are to be compared; NULL for all
 * @now: jiffies
 */
void llc_predict_compare(struct llc_predict *p, struct llc_cpu *cpu, unsigned int threads,
			 const unsigned long *scan, unsigned long now)
{
	const struct llc_spans *spans = rcu_dereference_sched(p->spans);
	struct llc_process *process = &p->process[cpu->slot];
	unsigned long next_scan;

	if (!cpu->slot || !spans || !spans->active)
		return;

	/* One CPU per epoch. */
	next_scan = READ_ONCE(process->next_scan);
	if ((long)(now - next_scan) < 0 ||
	    cmpxchg(&process->next_scan, next_scan, now + period_of(p)) != next_scan)
		return;

	if (fits(cpu, process, threads))
		compare_domains(p, spans, cpu, scan, now);
	if (!fits(cpu, process, threads))
		WRITE_ONCE(process->cpu, -1);
}
