// SPDX-License-Identifier: GPL-2.0
/*
 * Watching the scheduler: which task runs where and for how long, and which is moved.
 *
 * On a switch a CPU accounts what has run to the process, and once per tick it
 * does so to the one that runs, as the scheduler's own accounting would. The
 * time is the scheduler's: sum_exec_runtime is up to date whenever a task is
 * switched away from, and after a tick. A tick is a high-resolution timer, and
 * a tracepoint tells that one has expired. Without them a timer per CPU stands
 * in, which is deferrable: it never wakes an idle CPU, and what runs in a busy
 * one's tick is what the tick has interrupted. But it is not run by a tick that
 * comes in the same jiffy as the one before.
 *
 * A process is an address space, as for cache-aware scheduling. It gets a slot
 * of the table when it first runs, and the table holds a reference to its struct
 * mm_struct (not to its memory), so that no other can be taken for it. Slots of
 * dead ones are collected every 50 ms.
 *
 * Domains are compared by the thread that a tick has met, when it goes to user
 * space: a task work, which is how the scheduler has it done.
 *
 * With tracking off no probe, no timer and no task work is there.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/hrtimer.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/task_work.h>
#include <linux/timer.h>
#include <linux/topology.h>
#include <linux/tracepoint.h>
#include <linux/workqueue.h>

#include "llc_core.h"
#include "llc_facts.h"
#include "llc_spans.h"
#include "llc_track.h"
#include "threads.h"
#include "uplift.h"

#define MAX_PROCESSES	16384
#define COLLECT_MS	50
/* Threads that are looked at in a tick. */
#define FEW_THREADS	64
/* Every how many collections the domains are looked at, if no CPU came or went. */
#define LOOK_EVERY	20

struct llc_params llc_params = LLC_PARAMS_DEFAULT(HZ);

module_param_named(llc_aggr_tolerance, llc_params.aggr_tolerance, uint, 0644);
MODULE_PARM_DESC(llc_aggr_tolerance,
		 "prediction: how much may be gathered in a domain: 0 nothing, 1 to 99, 100 anything (default: 1)");
module_param_named(llc_epoch_period, llc_params.epoch_period, uint, 0644);
MODULE_PARM_DESC(llc_epoch_period,
		 "prediction: jiffies after which run time is halved (default: HZ/100)");
module_param_named(llc_epoch_affinity_timeout, llc_params.epoch_affinity_timeout, uint, 0644);
MODULE_PARM_DESC(llc_epoch_affinity_timeout,
		 "prediction: epochs without a tick until a preference is dropped (default: 5)");
module_param_named(llc_overaggr_pct, llc_params.overaggr_pct, uint, 0644);
MODULE_PARM_DESC(llc_overaggr_pct,
		 "load of a domain in percent above which balancing stops to gather; shown only (default: 50)");
module_param_named(llc_imb_pct, llc_params.imb_pct, uint, 0644);
MODULE_PARM_DESC(llc_imb_pct,
		 "imbalance in percent that balancing accepts; shown only (default: 20)");

static unsigned int max_processes = 2048;
module_param(max_processes, uint, 0444);
MODULE_PARM_DESC(max_processes,
		 "processes that can be tracked at once, at most 16384; half of it is kept for those with several threads (default: 2048)");

/**
 * struct track_cpu - what a CPU's tick needs
 * @tick: its timer of high resolution; NULL until it has been seen
 * @timer: where there is none: in every tick, unless the CPU is idle
 * @nr: its number
 * @scan: for the nodes whose domains are compared
 */
struct track_cpu {
	struct hrtimer *tick;
	struct timer_list timer;
	unsigned int nr;
	cpumask_var_t scan;
};

static DEFINE_PER_CPU(struct track_cpu, track_cpus);
/* Of the prediction; only looked at while a probe is there. */
static DEFINE_PER_CPU(struct llc_cpu *, track_cpu);

/* Writers of what follows, and readers of more than one piece of it. */
static DEFINE_MUTEX(track_mutex);
static struct llc_predict predict;
static bool tracking;
static ktime_t track_since;
static int track_hotplug;
static bool track_look = true;
static unsigned long *track_dying;

/* Whose run time counts. */
static const struct sched_class *kernel_fair __read_mostly;
/* What the scheduler's tick is the function of. */
static unsigned long kernel_tick __read_mostly;

/* By slot, one for each that can wait: what it has to do. */
static struct callback_head *track_works;

static struct callback_head *cancel_unknown(struct task_struct *p,
					    bool (*match)(struct callback_head *, void *),
					    void *data)
{
	return NULL;
}

/* task_work_cancel_match(), which is not exported, as task_work_add() is. */
DEFINE_STATIC_CALL(llc_task_work_cancel, cancel_unknown);
static bool track_can_cancel __read_mostly;

/* Whether a tracepoint tells of ticks, so that there are no timers. */
static bool track_by_expiry;

/* --- probes --- */

static __always_inline bool is_fair(const struct task_struct *p)
{
	return p->sched_class == kernel_fair;
}

static struct llc_process *track_add(struct llc_cpu *cpu, struct mm_struct *mm, bool threaded)
{
	struct llc_process *process;
	bool added;

	process = llc_predict_add(&predict, cpu, mm, threaded, jiffies, &added);
	/* It runs here, so that it cannot be collected before this. */
	if (added)
		mmgrab(mm);
	return process;
}

/* @p, which has @mm, runs on this CPU from now on. */
static noinline void track_in(struct llc_cpu *cpu, struct task_struct *p, struct mm_struct *mm)
{
	struct llc_process *process = llc_predict_find(&predict, mm);

	if (!process)
		process = track_add(cpu, mm, get_nr_threads(p) > 1);
	llc_predict_run(cpu, process ? process->slot : 0, is_fair(p), p->se.sum_exec_runtime);
}

static __always_inline bool is_user(const struct task_struct *p, const struct mm_struct *mm)
{
	return mm && likely(!(p->flags & PF_KTHREAD));
}

/* What runs on this CPU up to now; it was settled. */
static __always_inline void track_out(struct llc_cpu *cpu, bool preempt,
				      const struct task_struct *prev, unsigned int prev_state)
{
	llc_predict_account(cpu, prev->se.sum_exec_runtime);
	if (!preempt && prev_state & TASK_NORMAL)
		cpu->runs->blocked++;
}

/* Once per epoch and process. */
static noinline void track_switch_settle(struct llc_cpu *cpu, bool preempt,
					 struct task_struct *prev, struct task_struct *next,
					 unsigned int prev_state)
{
	llc_predict_settle(&predict, cpu, get_nr_threads(prev), jiffies);
	track_out(cpu, preempt, prev, prev_state);
	if (is_user(next, next->mm))
		track_in(cpu, next, next->mm);
	else
		llc_predict_idle(cpu);
}

/* Calls other functions only as its last act, so that nothing has to be saved and restored. */
static void track_switch(void *data, bool preempt, struct task_struct *prev,
			 struct task_struct *next, unsigned int prev_state)
{
	struct llc_cpu *cpu = this_cpu_read(track_cpu);
	struct llc_process *process;
	struct mm_struct *mm = next->mm;

	if (cpu->counted) {
		if (unlikely(!llc_predict_is_current(cpu, jiffies)))
			return track_switch_settle(cpu, preempt, prev, next, prev_state);
		track_out(cpu, preempt, prev, prev_state);
	}
	if (!is_user(next, mm))
		return llc_predict_idle(cpu);
	process = llc_predict_find(&predict, mm);
	if (process)
		llc_predict_run(cpu, process->slot, is_fair(next), next->se.sum_exec_runtime);
	else if (llc_predict_has_room(&predict, get_nr_threads(next) > 1))
		track_in(cpu, next, mm);
	else
		llc_predict_run(cpu, 0, is_fair(next), next->se.sum_exec_runtime);
}

static void track_migrate(void *data, struct task_struct *p, int to)
{
	struct llc_cpu *cpu = this_cpu_read(track_cpu);
	bool woken = READ_ONCE(p->__state) == TASK_WAKING;
	struct mm_struct *mm = READ_ONCE(p->mm);
	const struct llc_spans *spans;
	const struct llc_process *process;
	struct llc_time *time;
	int from_part, to_part;

	if (!mm || p->flags & PF_KTHREAD || !is_fair(p))
		return;
	spans = rcu_dereference_sched(predict.spans);
	from_part = spans->part_of[task_cpu(p)];
	to_part = spans->part_of[to];
	process = llc_predict_find(&predict, mm);
	time = &cpu->time[process ? process->slot : 0];

	if (from_part == to_part && from_part >= 0)
		*(woken ? &time->woke_within : &time->moved_within) += 1;
	else
		*(woken ? &time->woke_across : &time->moved_across) += 1;
	if (from_part >= 0 && to_part >= 0)
		atomic64_inc(&spans->pairs[from_part * spans->nr_parts + to_part]);
}

/* --- ticks --- */

#ifdef CONFIG_NUMA_BALANCING

/*
 * The nodes whose domains are compared: the one that NUMA balancing prefers for
 * the thread, that of the domain preferred so far, and where it runs.
 */
static const unsigned long *track_scan(struct track_cpu *here, unsigned int slot)
{
	int preferred = READ_ONCE(predict.process[slot].cpu);
	int node = READ_ONCE(current->numa_preferred_nid);

	if (!llc_facts_numa() || node == NUMA_NO_NODE)
		return NULL;
	cpumask_copy(here->scan, cpumask_of_node(node));
	if (preferred >= 0)
		cpumask_or(here->scan, here->scan, cpumask_of_node(cpu_to_node(preferred)));
	cpumask_or(here->scan, here->scan, cpumask_of_node(cpu_to_node(here->nr)));
	return cpumask_bits(here->scan);
}

static unsigned long track_pages(const struct task_struct *p)
{
	return READ_ONCE(p->total_numa_faults);
}

/* Of few threads at once, so that it is not behind; track_footprints() does the rest. */
static void track_footprint(struct llc_process *process, struct task_struct *p)
{
	unsigned long pages = 0;
	struct task_struct *thread;

	if (!llc_facts_numa() || get_nr_threads(p) > FEW_THREADS)
		return;
	compat_for_each_thread(p, thread)
		pages += track_pages(thread);
	WRITE_ONCE(process->footprint, pages);
}

#else

static const unsigned long *track_scan(struct track_cpu *here, unsigned int slot)
{
	return NULL;
}

static unsigned long track_pages(const struct task_struct *p)
{
	return 0;
}

static void track_footprint(struct llc_process *process, struct task_struct *p)
{
}

#endif

/* @p runs on this CPU, whose @here and @cpu are, without interrupts. */
static void track_compare(struct track_cpu *here, struct llc_cpu *cpu, struct task_struct *p)
{
	track_footprint(&predict.process[cpu->slot], p);
	llc_predict_compare(&predict, cpu, get_nr_threads(p), track_scan(here, cpu->slot), jiffies);
}

/* On the way to user space, or to its end; interrupts are on. */
static void track_asked(struct callback_head *work)
{
	unsigned int nr = work - track_works;
	struct mm_struct *mm = current->mm;
	unsigned long flags;
	struct llc_cpu *cpu;

	local_irq_save(flags);
	cpu = this_cpu_read(track_cpu);
	/* It may be another process by now, which has not been met here yet. */
	if (mm && cpu->counted && predict.process[cpu->slot].key == mm)
		track_compare(this_cpu_ptr(&track_cpus), cpu, current);
	llc_predict_waited(&predict.process[nr / LLC_WAITERS], nr % LLC_WAITERS);
	local_irq_restore(flags);
}

/* Ask @p, which runs here, to compare when it goes to user space, as the scheduler asks it. */
static bool track_ask(struct llc_process *process, struct task_struct *p)
{
	struct callback_head *work;
	int nr;

	if (!track_can_cancel)
		return false;
	nr = llc_predict_wait(process, p);
	if (nr < 0)
		return false;
	work = &track_works[process->slot * LLC_WAITERS + nr];
	init_task_work(work, track_asked);
	/* Of no use any more if it exits. */
	if (task_work_add(p, work, TWA_RESUME))
		llc_predict_waited(process, nr);
	return true;
}

/* Without interrupts, on the CPU that @here is of. */
static void track_tick_here(struct track_cpu *here)
{
	struct llc_cpu *cpu = this_cpu_read(track_cpu);
	struct task_struct *p = current;
	unsigned int threads = get_nr_threads(p);
	unsigned long now = jiffies;

	if (!p->mm || p->flags & PF_KTHREAD)
		return;
	if (cpu->counted) {
		llc_predict_settle(&predict, cpu, threads, now);
		llc_predict_account(cpu, p->se.sum_exec_runtime);
	}
	/* It may have run since before the probes were there, or have got threads or a new mm. */
	if (!cpu->counted || predict.process[cpu->slot].key != p->mm)
		track_in(cpu, p, p->mm);
	if (!cpu->counted || !llc_predict_tick(&predict, cpu, p))
		return;
	if (!track_ask(&predict.process[cpu->slot], p))
		track_compare(here, cpu, p);
}

/* A timer of high resolution expires here, and has: a tick's does without interrupts. */
static void track_expire(void *data, struct hrtimer *timer, ktime_t *now)
{
	if ((unsigned long)ACCESS_PRIVATE(timer, function) == kernel_tick)
		this_cpu_write(track_cpus.tick, timer);
}

/* By then it may have been freed, by its own function: only compared. A tick's stays. */
static void track_expired(void *data, struct hrtimer *timer)
{
	if (timer == this_cpu_read(track_cpus.tick))
		track_tick_here(this_cpu_ptr(&track_cpus));
}

static void track_tick(struct timer_list *timer)
{
	struct track_cpu *here = container_of(timer, struct track_cpu, timer);
	unsigned long flags;

	local_irq_save(flags);
	if (likely(smp_processor_id() == here->nr))
		track_tick_here(here);
	local_irq_restore(flags);
	/* The past is the next tick; one jiffy from now would be the one after. */
	mod_timer(timer, jiffies);
}

static int track_cpu_online(unsigned int nr)
{
	struct track_cpu *here = per_cpu_ptr(&track_cpus, nr);

	if (!track_by_expiry) {
		timer_setup(&here->timer, track_tick, TIMER_DEFERRABLE | TIMER_PINNED);
		here->timer.expires = jiffies;
		add_timer_on(&here->timer, nr);
	}
	WRITE_ONCE(track_look, true);
	return 0;
}

static int track_cpu_offline(unsigned int nr)
{
	if (!track_by_expiry)
		timer_delete_sync(&per_cpu_ptr(&track_cpus, nr)->timer);
	WRITE_ONCE(track_look, true);
	return 0;
}

/* --- from time to time --- */

static bool is_dead(const struct mm_struct *mm)
{
	return !atomic_read(&mm->mm_users);
}

/* Free the slots of processes that are gone. */
static void track_collect(void)
{
	unsigned int slot;

	for (slot = 1; slot <= predict.max_processes; slot++) {
		const struct mm_struct *mm = READ_ONCE(predict.process[slot].key);

		if (!mm || !is_dead(mm) || test_bit(slot, track_dying))
			continue;
		llc_predict_unlink(&predict, slot);
		__set_bit(slot, track_dying);
	}
	if (bitmap_empty(track_dying, predict.max_processes + 1))
		return;
	/* Probes and ticks run without preemption. */
	synchronize_rcu();
	for_each_set_bit(slot, track_dying, predict.max_processes + 1) {
		struct mm_struct *mm = (struct mm_struct *)predict.process[slot].key;

		if (!llc_predict_recycle(&predict, slot))
			continue;
		__clear_bit(slot, track_dying);
		mmdrop(mm);
	}
}

/* The domains as they are now; NULL if there is no memory. */
static struct llc_spans *track_spans(void)
{
	struct llc_spans *spans = NULL;
	struct llc_facts facts;
	struct llc_map map;

	if (!llc_map_init(&map, nr_cpu_ids)) {
		if (!llc_facts_take(&facts)) {
			llc_map_build(&map, &facts);
			spans = llc_spans_make(&facts, &map);
		}
		llc_facts_release(&facts);
	}
	llc_map_free(&map);
	return spans;
}

static void track_look_again(void)
{
	struct llc_spans *old = rcu_dereference_protected(predict.spans,
							  lockdep_is_held(&track_mutex));
	struct llc_spans *spans = track_spans();

	if (!spans || llc_spans_same(old, spans)) {
		llc_spans_free(spans);
		return;
	}
	llc_spans_carry(spans, old);
	rcu_assign_pointer(predict.spans, spans);
	synchronize_rcu();
	llc_spans_free(old);
}

/* What NUMA balancing has seen of a process's memory, which is what the scheduler takes. */
static void track_footprints(void)
{
	struct task_struct *leader, *p;

	rcu_read_lock();
	for_each_process(leader) {
		struct mm_struct *mm = READ_ONCE(leader->mm);
		struct llc_process *process = mm ? llc_predict_find(&predict, mm) : NULL;
		unsigned long pages = 0;

		if (!process)
			continue;
		compat_for_each_thread(leader, p)
			pages += track_pages(p);
		WRITE_ONCE(process->footprint, pages);
	}
	rcu_read_unlock();
}

static void track_work_fn(struct work_struct *work);
static DECLARE_DELAYED_WORK(track_work, track_work_fn);

static void track_work_fn(struct work_struct *work)
{
	static unsigned int round;

	/* Its holder may be waiting for us to end. */
	if (mutex_trylock(&track_mutex)) {
		if (tracking) {
			track_collect();
			if (xchg(&track_look, false) || ++round % LOOK_EVERY == 0)
				track_look_again();
			if (llc_facts_numa())
				track_footprints();
		}
		mutex_unlock(&track_mutex);
	}
	schedule_delayed_work(&track_work, msecs_to_jiffies(COLLECT_MS));
}

/* --- on and off --- */

/**
 * struct track_probe - something attached to a tracepoint
 * @name: of the tracepoint
 * @fn: what it calls
 * @tp: the tracepoint; NULL if there is none of that name
 * @attached: whether it does
 */
struct track_probe {
	const char *name;
	void *fn;
	struct tracepoint *tp;
	bool attached;
};

enum { PROBE_MIGRATE, PROBE_SWITCH, PROBE_EXPIRE, PROBE_EXPIRED };

static struct track_probe track_probes[] = {
	[PROBE_MIGRATE]	= { "sched_migrate_task", track_migrate },
	[PROBE_SWITCH]	= { "sched_switch", track_switch },
	/* Left out where there is no high resolution. */
	[PROBE_EXPIRE]	= { "hrtimer_expire_entry", track_expire },
	[PROBE_EXPIRED]	= { "hrtimer_expire_exit", track_expired },
};

static void visit_tracepoint(struct tracepoint *tp, void *data)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(track_probes); i++)
		if (!strcmp(tp->name, track_probes[i].name))
			track_probes[i].tp = tp;
}

/**
 * llc_track_init - find what is not exported
 *
 * Context: process context, may sleep.
 */
void llc_track_init(void)
{
	unsigned long addr;

	if (!uplift_resolve("fair_sched_class", &addr))
		kernel_fair = (const struct sched_class *)addr;
	/* Since 6.9; before, the other one. */
	if (!uplift_resolve("tick_nohz_handler", &addr) ||
	    !uplift_resolve("tick_sched_timer", &addr))
		kernel_tick = addr;
	if (!uplift_resolve("task_work_cancel_match", &addr)) {
		static_call_update(llc_task_work_cancel, (typeof(task_work_cancel_match) *)addr);
		track_can_cancel = true;
	}
	for_each_kernel_tracepoint(visit_tracepoint, NULL);
}

static void track_free(void)
{
	unsigned int slot;
	int cpu;

	for (slot = 1; predict.process && slot <= predict.max_processes; slot++)
		if (predict.process[slot].key)
			mmdrop((struct mm_struct *)predict.process[slot].key);
	llc_spans_free(rcu_dereference_protected(predict.spans, lockdep_is_held(&track_mutex)));
	llc_predict_exit(&predict);
	bitmap_free(track_dying);
	track_dying = NULL;
	kvfree(track_works);
	track_works = NULL;
	for_each_possible_cpu(cpu) {
		free_cpumask_var(per_cpu_ptr(&track_cpus, cpu)->scan);
		per_cpu(track_cpu, cpu) = NULL;
	}
}

static int track_alloc(void)
{
	struct llc_spans *spans;
	int cpu, err;

	/* Epochs begin when the scheduler's do: at boot. */
	err = llc_predict_init(&predict, &llc_params, nr_cpu_ids, cpumask_bits(cpu_possible_mask),
			       clamp(max_processes, 1U, MAX_PROCESSES), INITIAL_JIFFIES);
	if (err)
		return err;
	spans = track_spans();
	track_dying = bitmap_zalloc(predict.max_processes + 1, GFP_KERNEL);
	track_works = kvcalloc((predict.max_processes + 1) * LLC_WAITERS, sizeof(*track_works),
			       GFP_KERNEL);
	if (!spans || !track_dying || !track_works) {
		llc_spans_free(spans);
		return -ENOMEM;
	}
	rcu_assign_pointer(predict.spans, spans);
	for_each_possible_cpu(cpu) {
		per_cpu_ptr(&track_cpus, cpu)->nr = cpu;
		if (!zalloc_cpumask_var(&per_cpu_ptr(&track_cpus, cpu)->scan, GFP_KERNEL))
			return -ENOMEM;
		per_cpu(track_cpu, cpu) = predict.cpu[cpu];
	}
	return 0;
}

/* Nothing of ours runs in a tracepoint when this returns. */
static void track_detach(void)
{
	struct track_probe *probe;

	for (probe = track_probes; probe < track_probes + ARRAY_SIZE(track_probes); probe++) {
		if (probe->attached)
			tracepoint_probe_unregister(probe->tp, probe->fn, NULL);
		probe->attached = false;
	}
	tracepoint_synchronize_unregister();
}

static int track_attach(void)
{
	struct track_probe *probe;
	int err = 0;

	for (probe = track_probes; probe < track_probes + ARRAY_SIZE(track_probes); probe++) {
		if (probe == &track_probes[PROBE_EXPIRE] && !track_by_expiry)
			break;
		err = tracepoint_probe_register(probe->tp, probe->fn, NULL);
		if (err)
			break;
		probe->attached = true;
	}
	if (err)
		track_detach();
	return err;
}

static bool track_is_work(struct callback_head *work, void *data)
{
	return work == data;
}

/*
 * No probe is left that could ask. Who was asked may sleep in a system call for
 * long, and is told to forget it. A task that has yet to run such a work is
 * freed a grace period after that at the earliest.
 */
static void track_forget(void)
{
	unsigned int nr, slots = predict.process ? predict.max_processes + 1 : 0;

	for (nr = 0; nr < slots * LLC_WAITERS; nr++) {
		struct llc_process *process = &predict.process[nr / LLC_WAITERS];
		const void **waiter = &process->waiter[nr % LLC_WAITERS];
		struct task_struct *p;

		if (!READ_ONCE(*waiter))
			continue;
		rcu_read_lock();
		p = (struct task_struct *)READ_ONCE(*waiter);
		if (p && static_call(llc_task_work_cancel)(p, track_is_work, &track_works[nr]))
			llc_predict_waited(process, nr % LLC_WAITERS);
		rcu_read_unlock();
		/* What could not be cancelled runs now; pairs with llc_predict_waited(). */
		while (smp_load_acquire(waiter))
			schedule_timeout_uninterruptible(1);
	}
}

static void track_off(void)
{
	track_detach();
	cpuhp_remove_state(track_hotplug);
	track_forget();
	cancel_delayed_work_sync(&track_work);
	tracking = false;
	track_free();
}

static int track_on(void)
{
	int err;

	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		pr_err("track: unsupported: PREEMPT_RT, where timers do not run in the tick\n");
		return -EOPNOTSUPP;
	}
	if (!track_probes[PROBE_SWITCH].tp || !track_probes[PROBE_MIGRATE].tp) {
		pr_err("track: unsupported: no tracepoint sched_switch or sched_migrate_task (CONFIG_TRACEPOINTS)\n");
		return -EOPNOTSUPP;
	}
	if (!kernel_fair) {
		pr_err("track: unsupported: no symbol fair_sched_class in this kernel (CONFIG_KALLSYMS_ALL)\n");
		return -EOPNOTSUPP;
	}
	err = track_alloc();
	if (err)
		goto out_free;
	/* Without high resolution the tick is no such timer. */
	track_by_expiry = track_probes[PROBE_EXPIRE].tp && track_probes[PROBE_EXPIRED].tp &&
			  kernel_tick && hrtimer_resolution == 1;
	err = track_attach();
	if (err)
		goto out_free;
	err = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "uplift/llc:online", track_cpu_online,
				track_cpu_offline);
	if (err < 0)
		goto out_detach;
	track_hotplug = err;
	track_since = ktime_get();
	tracking = true;
	schedule_delayed_work(&track_work, msecs_to_jiffies(COLLECT_MS));
	return 0;

out_detach:
	track_detach();
	track_forget();
out_free:
	track_free();
	return err;
}

/**
 * llc_track_set - turn tracking on or off
 * @on: which; what is so already stays as it is
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative errno.
 */
int llc_track_set(bool on)
{
	int err = 0;

	mutex_lock(&track_mutex);
	if (on && !tracking)
		err = track_on();
	else if (!on && tracking)
		track_off();
	mutex_unlock(&track_mutex);
	return err;
}

/**
 * llc_track_exit - tracking is off when this returns
 */
void llc_track_exit(void)
{
	llc_track_set(false);
	/* A task that has compared may have been preempted on its last steps in our code. */
	synchronize_rcu_tasks();
}

/* --- reading --- */

/**
 * llc_track_begin - look at what is tracked
 *
 * No slot is freed until llc_track_end(), which has to be called in any case.
 *
 * Context: process context, may sleep.
 * Return: whether tracking is on; else nothing can be looked at.
 */
bool llc_track_begin(void)
{
	mutex_lock(&track_mutex);
	return tracking;
}

/**
 * llc_track_end - stop looking
 */
void llc_track_end(void)
{
	mutex_unlock(&track_mutex);
}

/**
 * llc_track_find - the slot of a process
 * @mm: its address space; only compared
 *
 * Context: an RCU read section.
 * Return: the slot, or 0.
 */
unsigned int llc_track_find(const struct mm_struct *mm)
{
	const struct llc_process *process = llc_predict_find(&predict, mm);

	return process ? process->slot : 0;
}

static void add_moves(struct llc_moves *moves, const struct llc_time *time)
{
	/* Counted as blocked for now, see fix_moves(). */
	moves->same += READ_ONCE(time->blocked);
	moves->woke_within += READ_ONCE(time->woke_within);
	moves->woke_across += READ_ONCE(time->woke_across);
	moves->moved_within += READ_ONCE(time->moved_within);
	moves->moved_across += READ_ONCE(time->moved_across);
}

/* A task that was not moved on wakeup wakes where it had gone to sleep. */
static void fix_moves(struct llc_moves *moves)
{
	u64 moved = moves->woke_within + moves->woke_across;

	moves->same -= min(moves->same, moved);
}

/**
 * llc_track_row - what is known of a process
 * @row: whose runtime has room for every part
 * @slot: of the process
 * @part_of: the parts of domains, by CPU
 *
 * Context: between llc_track_begin() and llc_track_end().
 */
void llc_track_row(struct llc_row *row, unsigned int slot, const int *part_of)
{
	unsigned long now = jiffies;
	int cpu;
	u64 all;

	row->tracked = true;
	for_each_possible_cpu(cpu) {
		u64 runtime = llc_predict_runtime(&predict, cpu, slot, now, &all);

		if (part_of[cpu] >= 0)
			row->runtime[part_of[cpu]] += runtime;
		add_moves(&row->moves, &predict.cpu[cpu]->time[slot]);
	}
	fix_moves(&row->moves);
}

/**
 * llc_track_opinion - what we say that a process prefers
 * @opinion: to be filled
 * @slot: of the process
 * @threads: of the process
 * @cpu: where one of them is
 * @part_of: the parts of domains, by CPU
 *
 * Context: between llc_track_begin() and llc_track_end().
 */
void llc_track_opinion(struct llc_opinion *opinion, unsigned int slot, unsigned int threads,
		       unsigned int cpu, const int *part_of)
{
	const struct llc_spans *spans = rcu_dereference_protected(predict.spans,
								  lockdep_is_held(&track_mutex));
	const struct llc_process *process = &predict.process[slot];
	unsigned int period = max(READ_ONCE(llc_params.epoch_period), 1U);
	struct llc_state state = {
		.cpu		= spans->active ? READ_ONCE(process->cpu) : -1,
		.threads	= threads,
		.running_avg	= READ_ONCE(process->running_avg),
		.footprint	= READ_ONCE(process->footprint),
		.idle		= DIV_ROUND_UP(jiffies - INITIAL_JIFFIES, period) -
				  READ_ONCE(process->epoch),
		.compared	= READ_ONCE(process->compared),
		.off		= !spans->active,
	};

	opinion->known = true;
	opinion->part = state.cpu >= 0 && threads > 1 ? part_of[state.cpu] : -1;
	if (opinion->part < 0)
		state.cpu = -1;
	opinion->reason = llc_reason(&state, &llc_params, &spans->room[cpu], PAGE_SIZE);
	opinion->footprint = state.footprint;
	opinion->footprint_known = spans->room[cpu].numa;
	opinion->running_avg = state.running_avg;
	opinion->epoch = READ_ONCE(process->epoch);
}

/**
 * llc_track_table - what is known of all processes together
 * @table: to be filled in parts
 *
 * Context: between llc_track_begin() and llc_track_end(), if tracking is on.
 */
void llc_track_table(struct llc_table *table)
{
	int cpu;

	table->tracked = predict.max_processes - READ_ONCE(predict.nr_free);
	for_each_possible_cpu(cpu)
		table->dropped += READ_ONCE(predict.cpu[cpu]->dropped);
}

/**
 * llc_track_traffic - moves of all processes
 * @traffic: to be filled; pairs has room for the parts
 * @part_of: the parts of domains, by CPU
 *
 * Context: between llc_track_begin() and llc_track_end(), if tracking is on.
 * Return: 0 or -ENOMEM.
 */
int llc_track_traffic(struct llc_traffic *traffic, const int *part_of)
{
	struct llc_spans *spans = rcu_dereference_protected(predict.spans,
							    lockdep_is_held(&track_mutex));
	int *now_of;
	unsigned int i, j;
	int cpu;

	traffic->since_ns = ktime_to_ns(ktime_sub(ktime_get(), track_since));
	for_each_possible_cpu(cpu) {
		add_moves(&traffic->moves, &predict.cpu[cpu]->gone);
		for (i = 0; i <= predict.max_processes; i++)
			if (!i || READ_ONCE(predict.process[i].key))
				add_moves(&traffic->moves, &predict.cpu[cpu]->time[i]);
	}
	fix_moves(&traffic->moves);

	/* Parts are numbered as of now, counts as of when they were last looked at. */
	now_of = kvmalloc_array(max(spans->nr_parts, 1U), sizeof(*now_of), GFP_KERNEL);
	if (!now_of)
		return -ENOMEM;
	for (i = 0; i < spans->nr_parts; i++)
		now_of[i] = -1;
	for_each_possible_cpu(cpu)
		if (spans->part_of[cpu] >= 0 && part_of[cpu] >= 0)
			now_of[spans->part_of[cpu]] = part_of[cpu];
	for (i = 0; i < spans->nr_parts; i++)
		for (j = 0; j < spans->nr_parts; j++)
			if (now_of[i] >= 0 && now_of[j] >= 0)
				traffic->pairs[now_of[i] * traffic->nr_parts + now_of[j]] +=
					atomic64_read(&spans->pairs[i * spans->nr_parts + j]);
	kvfree(now_of);
	return 0;
}
