// SPDX-License-Identifier: GPL-2.0
/*
 * The part of a user-space scheduler that runs in the kernel (sched_ext).
 *
 * A task that becomes ready while an idle CPU is near is put there at once:
 * the CPU that it ran on, that one's SMT sibling, one in the same last-level
 * cache, one elsewhere; "same" is the domain that the process is gathered in,
 * where it has one. All others are passed up through a ring buffer. Decisions
 * come down through another and are read when a CPU looks for work: into the
 * queue of a domain, in the order of deadlines, or on a CPU that is idle by
 * then. Neither way takes a system call.
 *
 * The user-space half is a task like others, and has a queue of its own. It
 * yields when it has nothing to do, and is held in that queue: a CPU runs it
 * when it would go idle and tasks wait for decisions, which is behind all that
 * are queued for that CPU. So it sees them in bursts, needs no wakeup under
 * load, and does not spin. Where there is nothing to wait for it sleeps.
 *
 * Two kfuncs that would help cannot be called on every kernel that has
 * sched_ext: their BTF lacks what the verifier looks for (7.1 and 7.2:
 * scx_bpf_kick_cpu). have.h is made of the target's BTF and says which can.
 */
#define BPF_NO_KFUNC_PROTOTYPES
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "have.h"
#include "shared.h"

char _license[] SEC("license") = "GPL";

#define PF_KTHREAD	0x00200000
#define E2BIG		7
#define ENOENT		2

#define OURS		0x100000000ULL	/* above the domains' numbers */
#define CPU_QUEUE(cpu)	(OURS | (cpu))	/* tasks bound to a CPU */
#define DAEMON_QUEUE	(2 * OURS)
#define SHARED_QUEUE	(2 * OURS + 1)	/* for schedulers that have one for all CPUs */

s32 scx_bpf_create_dsq(u64 dsq_id, s32 node) __ksym;
void scx_bpf_dsq_insert(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags) __ksym;
void scx_bpf_dsq_insert_vtime(struct task_struct *p, u64 dsq_id, u64 slice, u64 vtime,
			      u64 enq_flags) __ksym;
u32 scx_bpf_dispatch_nr_slots(void) __ksym;
bool scx_bpf_dsq_move_to_local(u64 dsq_id) __ksym;
s32 scx_bpf_dsq_nr_queued(u64 dsq_id) __ksym;
bool scx_bpf_test_and_clear_cpu_idle(s32 cpu) __ksym;
u32 scx_bpf_reenqueue_local(void) __ksym;
s32 scx_bpf_task_cpu(const struct task_struct *p) __ksym;
u64 scx_bpf_now(void) __ksym;
void scx_bpf_error_bstr(char *fmt, unsigned long long *data, u32 data_len) __ksym;
struct task_struct *bpf_task_from_pid(s32 pid) __ksym;
void bpf_task_release(struct task_struct *p) __ksym;
bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *cpumask) __ksym;
#ifdef HAVE_scx_bpf_kick_cpu
void scx_bpf_kick_cpu(s32 cpu, u64 flags) __ksym;
#endif
#ifdef HAVE_scx_bpf_dsq_reenq
void scx_bpf_dsq_reenq(u64 dsq_id, u64 reenq_flags) __ksym;
#else
int bpf_iter_scx_dsq_new(struct bpf_iter_scx_dsq *it, u64 dsq_id, u64 flags) __ksym;
struct task_struct *bpf_iter_scx_dsq_next(struct bpf_iter_scx_dsq *it) __ksym;
void bpf_iter_scx_dsq_destroy(struct bpf_iter_scx_dsq *it) __ksym;
bool scx_bpf_dsq_move(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
		      u64 enq_flags) __ksym;
#endif
#ifdef HAVE_scx_bpf_task_set_slice
bool scx_bpf_task_set_slice(struct task_struct *p, u64 slice) __ksym;
#endif

/* --- set before loading --- */

const volatile u32 nr_cpus = 1;
const volatile u32 nr_domains = 1;
const volatile u64 slice_ns = 5 * NSEC_PER_MSEC;
const volatile u64 stall_ns = 5000 * NSEC_PER_MSEC;
/* A CPU takes from another domain's queue when more than so many wait there. */
const volatile u32 imbalance = 1;
/* Without the user-space half; only to see what it adds. */
const volatile bool kernel_only;
/* Every task goes up, each wakes the user-space half: the naive way, to compare with. */
const volatile bool naive;
/* Account the time that CPUs are idle while tasks wait for decisions. */
const volatile bool measure_gaps;
/* Each switch takes so much longer; for the tests, which look what others do meanwhile. */
const volatile u64 linger_ns;

/* --- shared with the user-space half --- */

s32 daemon_pid;
/* It is about to sleep, or does: wake it. */
u32 daemon_sleeps;
/* It counts up as long as it lives. */
u64 daemon_beats;
/* A count of CPUs that came and went. */
u32 hotplugs;

s32 domain_of[LAND_MAX_CPUS];
s32 sibling_of[LAND_MAX_CPUS];
u32 domain_first[LAND_MAX_DOMAINS + 1];
/* CPUs by domain, so that those of one are together. */
s32 domain_cpus[LAND_MAX_CPUS];
u8 cpu_online[LAND_MAX_CPUS];
u8 cpu_idle[LAND_MAX_CPUS];
/* The same for the gaps' account: a CPU that was claimed is on its way. */
u32 gap_cpu[LAND_MAX_CPUS];
/* Entries of procs that are taken. */
u64 procs_used[LAND_MAX_PROCS / 64];

struct land_domain domains[LAND_MAX_DOMAINS];
u64 stats[LAND_NR_STATS];
/* Tasks that wait for a decision. */
s64 pending;
/* Tasks in the queue of a domain whose process is gathered nowhere: any CPU may take them. */
s64 loose_in[LAND_MAX_DOMAINS], loose;

u64 gap_ns, gap_any_ns, gap_last;
s64 gap_idle, gap_up, gap_any;
u32 exit_kind;
s64 exit_code;
char exit_reason[64];
char exit_message[128];

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} tasks_up SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 1 << 20);
} decisions_down SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LAND_MAX_PROCS);
	__type(key, u32);
	__type(value, struct land_proc);
} procs SEC(".maps");

/**
 * struct land_ctx - what is kept of a task
 * @seq: of its last trip up
 * @waits: it is up there now
 * @proc: entry of its process, or LAND_NONE
 * @move_to: an idle CPU that was claimed for it, or LAND_NONE
 * @domain: where it ran last
 * @loose: the domain in whose queue it is counted as gathered nowhere, or LAND_NONE
 * @gap: for the gaps' account: GAP_ANY it is ready and on its way nowhere, GAP_UP it went up
 * @ready_at: when it became ready, 0 once it runs
 * @run_at: up to when its run time is accounted
 * @burst: see struct land_task
 * @burst_now: of the one under way
 */
struct land_ctx {
	u32 seq;
	u32 waits;
	s32 proc;
	s32 move_to;
	s32 domain;
	s32 loose;
	u32 gap;
	u64 ready_at;
	u64 run_at;
	u64 burst;
	u64 burst_now;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct land_ctx);
} ctxs SEC(".maps");

/**
 * struct cpu_ctx - what is kept of a CPU
 * @turn: whose it is: those that are bound to it, or its domain's
 * @releasing: what a real-time task displaces is being enqueued, by a program in a program
 */
struct cpu_ctx {
	u32 turn;
	u32 releasing;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct cpu_ctx);
} cpu_ctxs SEC(".maps");

/* Tasks that wait for a decision, oldest first; more than fit are only up there. */
struct waiting {
	s32 pid;
	u32 seq;
};

#define MAX_WAITING	256

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, MAX_WAITING);
	__type(value, struct waiting);
} waiting SEC(".maps");

/*
 * So many times a program of ours disables migration for the task that is
 * current: once, or not at all (without CONFIG_PREEMPT_RCU).
 */
static u32 own_level = 1;
/* When the user-space half was put into its queue; 0 where it is not there. */
static u64 daemon_held;
/* What daemon_beats was, and since when. */
static u64 beats_seen, beat_at;

/* --- small things --- */

/*
 * An index that the verifier sees to be within an array whose length is a power
 * of two; the compiler would find the mask needless and drop it.
 */
#define WITHIN(index, length) ({		\
	u32 __index = (u32)(index);		\
						\
	barrier_var(__index);			\
	__index & ((length) - 1);		\
})
#define CPU(cpu)	WITHIN(cpu, LAND_MAX_CPUS)
#define DOMAIN(domain)	WITHIN(domain, LAND_MAX_DOMAINS)

static bool is_cpu(s32 cpu)
{
	return cpu >= 0 && cpu < LAND_MAX_CPUS;
}

static bool is_domain(s32 domain)
{
	return domain >= 0 && domain < nr_domains && domain < LAND_MAX_DOMAINS;
}

static struct land_ctx *ctx_of(struct task_struct *p)
{
	return bpf_task_storage_get(&ctxs, p, NULL, 0);
}

static struct land_proc *proc_of(struct land_ctx *t)
{
	u32 at = t->proc;

	return t->proc < 0 ? NULL : bpf_map_lookup_elem(&procs, &at);
}

static void count(enum land_stat what)
{
	if (what < LAND_NR_STATS)
		__sync_fetch_and_add(&stats[what], 1);
}

static s32 domain_at(s32 cpu)
{
	s32 domain;

	if (!is_cpu(cpu))
		return 0;
	domain = domain_of[CPU(cpu)];
	return !is_domain(domain) ? 0 : domain;
}

static bool is_daemon(const struct task_struct *p)
{
	return p->pid == daemon_pid;
}

/*
 * May it run on this CPU only: by its affinity, or because it has migration
 * disabled, which a domain's queue knows nothing of? What programs like this one
 * add to the task that is current does not count: it is about to be switched.
 */
static bool bound(const struct task_struct *p)
{
	struct cpu_ctx *c;
	u32 zero = 0;

	if (p->nr_cpus_allowed == 1)
		return true;
	if (!p->migration_disabled || bpf_get_current_task_btf() != p)
		return p->migration_disabled;
	c = bpf_map_lookup_elem(&cpu_ctxs, &zero);
	return p->migration_disabled > own_level * (c && c->releasing ? 2 : 1);
}

/*
 * Has its turn ended, and the CPU not switched yet? Programs that run there until
 * then, as running() of the next task, disable migration for it; and the kernel
 * ends a scheduler by which such a task is put into another CPU's own queue. In
 * any other queue it may be: whoever looks there leaves it for the time being.
 */
static bool switching(const struct task_struct *p)
{
	return p->on_cpu;
}

static void set_slice(struct task_struct *p, u64 slice)
{
#ifdef HAVE_scx_bpf_task_set_slice
	scx_bpf_task_set_slice(p, slice);
#else
	p->scx.slice = slice;
#endif
}

static u64 slice_of(const struct task_struct *p)
{
	u64 slice = slice_ns * p->scx.weight / 100;

	if (slice < slice_ns / 4)
		return slice_ns / 4;
	return slice > 4 * slice_ns ? 4 * slice_ns : slice;
}

/*
 * The gaps' account: CPUs that are idle, and claimed for nobody, while tasks are
 * ready and have no CPU: whichever are fewer, summed up over time. Once for the
 * tasks that went up, from then until they run or a CPU is claimed for them; and
 * once for all. Those that may not run everywhere are left out, as who is idle
 * may be of no use to them. Sums that change by turns of one lock.
 */
#define GAP_ANY	1
#define GAP_UP	2

struct gap_lock {
	struct bpf_spin_lock lock;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct gap_lock);
} gap_locks SEC(".maps");

static void gap_change(s64 any, s64 up, s64 idle)
{
	u64 now = scx_bpf_now();
	struct gap_lock *gap;
	s64 both, both_up;
	u32 zero = 0;

	gap = bpf_map_lookup_elem(&gap_locks, &zero);
	if (!gap)
		return;
	bpf_spin_lock(&gap->lock);
	both = gap_any < gap_idle ? gap_any : gap_idle;
	both_up = gap_up < gap_idle ? gap_up : gap_idle;
	if (now > gap_last) {
		if (both > 0 && gap_last)
			gap_any_ns += both * (now - gap_last);
		if (both_up > 0 && gap_last)
			gap_ns += both_up * (now - gap_last);
		gap_last = now;
	}
	gap_any += any;
	gap_up += up;
	gap_idle += idle;
	bpf_spin_unlock(&gap->lock);
}

static void gap_cpu_change(s32 cpu, bool idle)
{
	if (measure_gaps && is_cpu(cpu) &&
	    __sync_lock_test_and_set(&gap_cpu[CPU(cpu)], idle) != idle)
		gap_change(0, 0, idle ? 1 : -1);
}

static void gap_task_change(struct land_ctx *t, u32 gap)
{
	u32 was;

	if (!measure_gaps)
		return;
	was = __sync_lock_test_and_set(&t->gap, gap);
	if (was != gap)
		gap_change((s64)!!(gap & GAP_ANY) - !!(was & GAP_ANY),
			   (s64)!!(gap & GAP_UP) - !!(was & GAP_UP), 0);
}

static void waiting_change(s64 by)
{
	__sync_fetch_and_add(&pending, by);
}

/* --- idle CPUs --- */

/* Take an idle CPU for a task: true when it was idle and is ours now. */
static bool claim(const struct task_struct *p, s32 cpu)
{
	if (!is_cpu(cpu) || !cpu_idle[CPU(cpu)] || !cpu_online[CPU(cpu)])
		return false;
	if (!bpf_cpumask_test_cpu(cpu, p->cpus_ptr) || !scx_bpf_test_and_clear_cpu_idle(cpu))
		return false;
	gap_cpu_change(cpu, false);
	return true;
}

/* An idle CPU of a domain, whole cores first; or LAND_NONE. */
static s32 claim_in(const struct task_struct *p, s32 domain)
{
	u32 first, last, i, pass;

	if (!is_domain(domain) || domains[DOMAIN(domain)].idle <= 0)
		return LAND_NONE;
	first = domain_first[DOMAIN(domain)];
	last = domain_first[DOMAIN(domain) + 1];
	bpf_for(pass, 0, 2) {
		bpf_for(i, first, last) {
			s32 cpu, sibling;

			if (i >= LAND_MAX_CPUS)
				break;
			cpu = domain_cpus[CPU(i)];
			if (!is_cpu(cpu) || !cpu_idle[CPU(cpu)])
				continue;
			sibling = sibling_of[CPU(cpu)];
			if (!pass && is_cpu(sibling) && !cpu_idle[CPU(sibling)])
				continue;
			if (claim(p, cpu))
				return cpu;
		}
	}
	return LAND_NONE;
}

/* The domain other than this one with the most idle CPUs, or LAND_NONE. */
static s32 idlest_other(s32 domain)
{
	s32 best = LAND_NONE, most = 0;
	s32 i;

	bpf_for(i, 0, nr_domains) {
		if (i >= LAND_MAX_DOMAINS)
			break;
		if (i != domain && domains[DOMAIN(i)].idle > most) {
			most = domains[DOMAIN(i)].idle;
			best = i;
		}
	}
	return best;
}

/* Where the process of a task is gathered, else where the task was. */
static s32 home_of(struct land_ctx *t, s32 cpu)
{
	struct land_proc *proc = t ? proc_of(t) : NULL;
	s32 home = proc ? proc->preferred : LAND_NONE;

	return !is_domain(home) ? domain_at(cpu) : home;
}

static bool gathered(struct land_ctx *t)
{
	struct land_proc *proc = t ? proc_of(t) : NULL;

	return proc && is_domain(proc->preferred);
}

/* Is it to wait at home for room, rather than go where a CPU is idle? */
static bool stays(struct land_ctx *t, s32 home)
{
	return gathered(t) && scx_bpf_dsq_nr_queued(home) <= imbalance;
}

/*
 * An idle CPU, nearest first; or LAND_NONE. Whose process is gathered stays
 * there when its turn has ended, unless others wait there, too: elsewhere it
 * would only be until there is room again. Who wakes does not wait for that.
 */
static s32 pick_idle(const struct task_struct *p, struct land_ctx *t, s32 prev, bool turn_ended)
{
	s32 home = home_of(t, prev), cpu, other, i;

	if (domain_at(prev) == home && is_cpu(prev)) {
		if (claim(p, prev)) {
			count(LAND_SAME_CPU);
			return prev;
		}
		cpu = sibling_of[CPU(prev)];
		if (claim(p, cpu)) {
			count(LAND_SIBLING);
			return cpu;
		}
	}
	cpu = claim_in(p, home);
	if (cpu >= 0) {
		count(LAND_SAME_DOMAIN);
		return cpu;
	}
	if (turn_ended && stays(t, home))
		return LAND_NONE;
	other = idlest_other(home);
	cpu = claim_in(p, other);
	if (cpu < 0 && other >= 0 && p->nr_cpus_allowed < nr_cpus) {
		/* it may not run in that one: any other */
		bpf_for(i, 0, nr_domains) {
			cpu = claim_in(p, i);
			if (cpu >= 0)
				break;
		}
	}
	if (cpu >= 0)
		count(LAND_OTHER_DOMAIN);
	return cpu;
}

/*
 * A CPU looked for work, found none and goes idle, while something was being
 * queued: make it, or another, look again. Without scx_bpf_kick_cpu() what is
 * queued is enqueued anew, which finds the idle CPU.
 */
static void look_again(s32 cpu, u64 queue)
{
#ifdef HAVE_scx_bpf_kick_cpu
	scx_bpf_kick_cpu(cpu, 0);
#elif defined(HAVE_scx_bpf_dsq_reenq)
	scx_bpf_dsq_reenq(queue, 0);
#endif
}

/* --- queueing --- */

/*
 * Into the queue of a domain: who is gathered nowhere is counted, until it
 * leaves it; and who may not run everywhere, as that may be elsewhere only.
 */
static void into_queue(struct task_struct *p, struct land_ctx *t, s32 domain, u64 slice,
		       u64 deadline, u64 flags)
{
	if (!gathered(t) || p->nr_cpus_allowed < nr_cpus) {
		t->loose = domain;
		__sync_fetch_and_add(&loose_in[DOMAIN(domain)], 1);
		__sync_fetch_and_add(&loose, 1);
	}
	scx_bpf_dsq_insert_vtime(p, domain, slice, deadline, flags);
}

static void out_of_queue(struct land_ctx *t)
{
	s32 domain = t->loose;

	if (domain < 0)
		return;
	t->loose = LAND_NONE;
	__sync_fetch_and_add(&loose_in[DOMAIN(domain)], -1);
	__sync_fetch_and_add(&loose, -1);
}

/* Who computes briefly first; nobody is set back by more than 30 ms: everybody's turn comes. */
static u64 deadline_of(struct land_ctx *t)
{
	u64 late = t->burst;

	return scx_bpf_now() + (late > 30 * NSEC_PER_MSEC ? 30 * NSEC_PER_MSEC : late);
}

/* By the BPF part alone. */
static void queue_here(struct task_struct *p, struct land_ctx *t, s32 domain, u64 flags)
{
	if (p->nr_cpus_allowed >= nr_cpus)
		gap_task_change(t, GAP_ANY);
	into_queue(p, t, domain, slice_of(p), deadline_of(t), flags);
}

static bool pass_up(struct task_struct *p, struct land_ctx *t, u64 flags)
{
	struct land_task *task;
	u64 wake = BPF_RB_NO_WAKEUP;
	struct waiting entry;

	/*
	 * The last thing that a CPU does before it is dead is to wake who waits for
	 * that; it gets no interrupt any more, nor ever again one for the work that
	 * it queues for itself now: waking user space is such work.
	 */
	if (!cpu_online[CPU(bpf_get_smp_processor_id())])
		return false;
	task = bpf_ringbuf_reserve(&tasks_up, sizeof(*task), 0);
	if (!task) {
		count(LAND_NO_ROOM);
		return false;
	}
	task->pid = p->pid;
	task->tgid = p->tgid;
	task->seq = ++t->seq;
	entry.pid = task->pid;
	entry.seq = task->seq;
	task->cpu = scx_bpf_task_cpu(p);
	task->domain = domain_at(task->cpu);
	task->proc = t->proc;
	task->weight = p->scx.weight;
	task->wakeup = !!(flags & SCX_ENQ_WAKEUP);
	task->restricted = p->nr_cpus_allowed < nr_cpus;
	task->pad[0] = 0;
	task->pad[1] = 0;
	task->burst = t->burst;
	task->now = scx_bpf_now();
	if (!t->waits) {
		t->waits = 1;
		waiting_change(1);
	}
	if (!task->restricted)
		gap_task_change(t, GAP_ANY | GAP_UP);
	if (naive || daemon_sleeps) {
		wake = BPF_RB_FORCE_WAKEUP;
		count(LAND_WAKES);
	}
	count(LAND_PASSED_UP);
	bpf_ringbuf_submit(task, wake);
	if (!naive)
		bpf_map_push_elem(&waiting, &entry, BPF_EXIST);
	return true;
}

static void enqueue_daemon(struct task_struct *p, u64 flags)
{
	s32 cpu = LAND_NONE, domain = domain_at(scx_bpf_task_cpu(p));

	/* It sleeps no more, or was asked to look again: at once if there is a CPU. */
	if (pending > 0 || flags & SCX_ENQ_WAKEUP) {
		cpu = claim_in(p, domain);
		if (cpu < 0)
			cpu = claim_in(p, idlest_other(domain));
	}
	if (cpu >= 0) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | cpu, slice_ns, flags);
		return;
	}
	daemon_held = scx_bpf_now();
	scx_bpf_dsq_insert(p, DAEMON_QUEUE, slice_ns, flags);
}

SEC("struct_ops/land_select_cpu")
s32 BPF_PROG(land_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	struct land_ctx *t = ctx_of(p);
	s32 cpu;

	if (naive && !is_daemon(p) && !(p->flags & PF_KTHREAD))
		return prev_cpu;
	cpu = pick_idle(p, t, prev_cpu, false);
	if (cpu >= 0) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_of(p), 0);
		return cpu;
	}
	return prev_cpu;
}

SEC("struct_ops/land_enqueue")
void BPF_PROG(land_enqueue, struct task_struct *p, u64 flags)
{
	struct land_ctx *t = ctx_of(p);
	s32 cpu, at = scx_bpf_task_cpu(p);

	if (is_daemon(p)) {
		enqueue_daemon(p, flags);
		return;
	}
	if (t)
		out_of_queue(t);
	if (t && t->move_to >= 0) {
		cpu = t->move_to;
		t->move_to = LAND_NONE;
		/* The turn may have gone on since, and have come to where it must not move. */
		if (bpf_cpumask_test_cpu(cpu, p->cpus_ptr) && !bound(p)) {
			scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | cpu, slice_of(p), flags);
			return;
		}
	}
	/* Others wait for what kernel threads do; and so does the user-space half. */
	if (p->flags & PF_KTHREAD || !t) {
		count(LAND_KERNEL);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_of(p), flags);
		return;
	}
	if (bound(p)) {
		count(LAND_KERNEL);
		if (claim(p, at))
			scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_of(p), flags);
		else
			scx_bpf_dsq_insert_vtime(p, CPU_QUEUE(at), slice_of(p), deadline_of(t),
						 flags);
		return;
	}
	if (!naive) {
		cpu = pick_idle(p, t, at, !(flags & (SCX_ENQ_WAKEUP | SCX_ENQ_REENQ)));
		if (cpu >= 0) {
			gap_task_change(t, 0);
			scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | cpu, slice_of(p), flags);
			return;
		}
	}
	if (kernel_only || !daemon_pid || !pass_up(p, t, flags))
		queue_here(p, t, home_of(t, at), flags);
}

SEC("struct_ops/land_dequeue")
void BPF_PROG(land_dequeue, struct task_struct *p, u64 flags)
{
	struct land_ctx *t = ctx_of(p);

	if (is_daemon(p)) {
		daemon_held = 0;
	} else if (t) {
		if (__sync_lock_test_and_set(&t->waits, 0))
			waiting_change(-1);
		gap_task_change(t, 0);
		out_of_queue(t);
	}
}

/*
 * A decision: on an idle CPU of the domain; on one elsewhere that went idle
 * meanwhile, unless it is to wait; else into the domain's queue.
 */
static void place(struct task_struct *p, struct land_ctx *t, struct land_decision *what)
{
	s32 domain = what->domain, cpu;
	bool any = domain == LAND_ANY;
	/* Before a CPU is claimed, with what orders memory: then its migration is as it is. */
	bool leaving = switching(p);

	cpu = scx_bpf_task_cpu(p);
	if (is_cpu(cpu) && !cpu_online[CPU(cpu)]) {
		/* The kernel takes it away from there; to where it is allowed, or else anywhere. */
		gap_task_change(t, 0);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | cpu, what->slice, 0);
		return;
	}
	if (!is_domain(domain) ||
	    domains[DOMAIN(domain)].online <= 0)
		domain = domain_at(scx_bpf_task_cpu(p));
	cpu = claim_in(p, domain);
	if (cpu < 0 && (any || !stays(t, domain)))
		cpu = claim_in(p, idlest_other(domain));
	if (cpu >= 0)
		gap_task_change(t, 0);
	if (cpu >= 0 && leaving) {
		/* for that CPU to find as soon as it may have it */
		domain = domain_at(cpu);
		into_queue(p, t, domain, what->slice, what->deadline, 0);
		look_again(cpu, domain);
	} else if (cpu >= 0) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | cpu, what->slice, 0);
	} else if (any) {
		scx_bpf_dsq_insert_vtime(p, SHARED_QUEUE, what->slice, what->deadline, 0);
	} else {
		into_queue(p, t, domain, what->slice, what->deadline, 0);
	}
}

static long on_decision(struct bpf_dynptr *data, void *unused)
{
	struct land_decision what;
	struct task_struct *p;
	struct land_ctx *t;

	if (bpf_dynptr_read(&what, sizeof(what), data, 0, 0))
		return 0;
	p = bpf_task_from_pid(what.pid);
	if (!p) {
		count(LAND_STALE);
		return 0;
	}
	t = ctx_of(p);
	if (t && t->seq == what.seq && __sync_lock_test_and_set(&t->waits, 0)) {
		waiting_change(-1);
		count(LAND_DECIDED);
		place(p, t, &what);
	} else {
		count(LAND_STALE);
	}
	bpf_task_release(p);
	return !scx_bpf_dispatch_nr_slots();
}

/*
 * A CPU would go idle, and tasks wait for a decision: it does not wait for that.
 * Those that are gathered elsewhere are left alone.
 */
static bool take_waiting(s32 cpu, s32 domain)
{
	struct waiting entry;
	bool taken = false;
	u32 tries;

	bpf_for(tries, 0, MAX_WAITING) {
		struct task_struct *p;
		struct land_ctx *t;
		bool elsewhere;

		if (taken || pending <= 0 || bpf_map_pop_elem(&waiting, &entry))
			break;
		p = bpf_task_from_pid(entry.pid);
		if (!p)
			continue;
		t = ctx_of(p);
		if (t && t->seq == entry.seq && t->waits) {
			elsewhere = gathered(t) && home_of(t, cpu) != domain;
			if (elsewhere || !bpf_cpumask_test_cpu(cpu, p->cpus_ptr) ||
			    switching(p)) {
				/* for the next CPU; this one has looked at enough */
				bpf_map_push_elem(&waiting, &entry, BPF_EXIST);
				if (tries > 16) {
					bpf_task_release(p);
					break;
				}
			} else if (__sync_lock_test_and_set(&t->waits, 0)) {
				waiting_change(-1);
				gap_task_change(t, 0);
				count(LAND_TAKEN);
				scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_of(p), 0);
				taken = true;
			}
		}
		bpf_task_release(p);
	}
	return taken;
}

/* Not const: the verifier takes what a kfunc may write to. */
char stall_text[] = "the user-space half was not seen for %llu ms";

/* Say once that the user-space half does not answer; the kernel's own scheduler takes over. */
static void check_beat(u64 now)
{
	unsigned long long ms[1];

	if (kernel_only || !daemon_pid)
		return;
	if (beats_seen != daemon_beats || !beat_at) {
		beats_seen = daemon_beats;
		beat_at = now;
	}
	if (now < beat_at + stall_ns)
		return;
	ms[0] = (now - beat_at) / NSEC_PER_MSEC;
	scx_bpf_error_bstr(stall_text, ms, sizeof(ms));
}

/* Should a running task go to where its process is gathered? Claims a CPU there. */
static s32 claim_home(struct task_struct *p, struct land_ctx *t, s32 cpu)
{
	s32 home = home_of(t, cpu);

	return home == domain_at(cpu) ? LAND_NONE : claim_in(p, home);
}

static bool take_daemon(void)
{
	if (!scx_bpf_dsq_move_to_local(DAEMON_QUEUE))
		return false;
	daemon_held = 0;
	return true;
}

static bool queued(struct task_struct *p)
{
	return p && p->scx.flags & SCX_TASK_QUEUED;
}

SEC("struct_ops/land_dispatch")
void BPF_PROG(land_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 now = scx_bpf_now(), held = daemon_held;
	s32 domain = domain_at(cpu), other, allowed, i;
	struct cpu_ctx *c;
	struct land_ctx *t;
	u32 zero = 0;

	if (pending > 0)
		bpf_user_ringbuf_drain(&decisions_down, on_decision, NULL, BPF_RB_NO_WAKEUP);

	if (is_domain(domain))
		domains[DOMAIN(domain)].queued = scx_bpf_dsq_nr_queued(domain);
	/* However much is queued, decisions do not wait for ever; nor does the look at domains. */
	if (held && now > held + (pending > 0 ? 4 : 20) * NSEC_PER_MSEC && take_daemon())
		return;

	/* Tasks bound to this CPU and those of its domain, by turns. */
	c = bpf_map_lookup_elem(&cpu_ctxs, &zero);
	if (!c)
		return;
	if (c->turn++ % 2) {
		if (scx_bpf_dsq_move_to_local(CPU_QUEUE(cpu)) || scx_bpf_dsq_move_to_local(domain))
			return;
	} else {
		if (scx_bpf_dsq_move_to_local(domain) || scx_bpf_dsq_move_to_local(CPU_QUEUE(cpu)))
			return;
	}
	if (scx_bpf_dsq_move_to_local(SHARED_QUEUE))
		return;
	if (pending > 0 && take_daemon())
		return;
	bpf_for(i, 1, nr_domains) {
		other = (domain + i) % nr_domains;
		if (other >= LAND_MAX_DOMAINS)
			break;
		allowed = domains[DOMAIN(other)].online > 0 && loose_in[DOMAIN(other)] <= 0 ?
			  imbalance : 0;
		if (scx_bpf_dsq_nr_queued(other) > allowed && scx_bpf_dsq_move_to_local(other)) {
			count(LAND_STOLEN);
			return;
		}
	}
	if (queued(prev)) {
		if (is_daemon(prev)) {
			/* yields; what came meanwhile it does at once */
			if (pending > 0)
				set_slice(prev, slice_ns);
			return;
		}
		t = ctx_of(prev);
		if (t && !bound(prev)) {
			t->move_to = claim_home(prev, t, cpu);
			if (t->move_to >= 0) {
				count(LAND_GATHERED);
				return;
			}
		}
		set_slice(prev, slice_of(prev));
		return;
	}
	if (!naive && pending > 0 && take_waiting(cpu, domain))
		return;
	/* Nothing is left: let it see that, and sleep. */
	take_daemon();
}

/* --- accounting --- */

static void charge(struct land_ctx *t, s32 cpu, u64 now)
{
	struct land_proc *proc;
	u64 ran;

	if (!t->run_at || now <= t->run_at)
		return;
	ran = now - t->run_at;
	t->run_at = now;
	t->burst_now += ran;
	/* one that never sleeps is known by what it took already */
	if (t->burst_now > t->burst)
		t->burst = t->burst_now;
	proc = proc_of(t);
	if (proc)
		__sync_fetch_and_add(&proc->runtime[DOMAIN(domain_at(cpu))], ran);
}

SEC("struct_ops/land_runnable")
void BPF_PROG(land_runnable, struct task_struct *p, u64 flags)
{
	struct land_ctx *t = ctx_of(p);
	struct land_proc *proc;

	if (!t)
		return;
	if (flags & SCX_ENQ_WAKEUP) {
		t->ready_at = scx_bpf_now();
		t->burst = (3 * t->burst + t->burst_now) / 4;
		t->burst_now = 0;
	}
	proc = proc_of(t);
	if (proc)
		__sync_fetch_and_add(&proc->running, 1);
}

SEC("struct_ops/land_quiescent")
void BPF_PROG(land_quiescent, struct task_struct *p, u64 flags)
{
	struct land_ctx *t = ctx_of(p);
	struct land_proc *proc = t ? proc_of(t) : NULL;

	if (proc)
		__sync_fetch_and_add(&proc->running, -1);
}

/* The power of two below; loops make the verifier try every length. */
static u32 log2_of(u64 value)
{
	u32 low = value >= 1ULL << (LAND_BUCKETS - 1) ? (1U << (LAND_BUCKETS - 1)) : value;
	u32 bits, step;

	bits = (low > 0xffff) << 4;
	low >>= bits;
	step = (low > 0xff) << 3;
	low >>= step;
	bits |= step;
	step = (low > 0xf) << 2;
	low >>= step;
	bits |= step;
	step = (low > 3) << 1;
	low >>= step;
	return bits | step | low >> 1;
}

/* For the tests: the task that this CPU leaves is current for so much longer. */
static void linger(void)
{
	u64 begin;
	u32 i;

	if (!linger_ns)
		return;
	begin = bpf_ktime_get_ns();
	bpf_for(i, 0, 1 << 20) {
		if (bpf_ktime_get_ns() - begin >= linger_ns)
			break;
	}
}

SEC("struct_ops/land_running")
void BPF_PROG(land_running, struct task_struct *p)
{
	struct land_ctx *t = ctx_of(p);
	s32 cpu = scx_bpf_task_cpu(p), domain = domain_at(cpu);
	struct land_proc *proc;
	u64 now = scx_bpf_now();
	u32 bucket;

	linger();
	if (!t)
		return;
	t->run_at = now;
	gap_task_change(t, 0);
	out_of_queue(t);
	if (!is_domain(domain))
		return;
	__sync_fetch_and_add(&domains[DOMAIN(domain)].runs, 1);
	if (t->ready_at) {
		bucket = WITHIN(log2_of(now - t->ready_at), LAND_BUCKETS);
		__sync_fetch_and_add(&domains[DOMAIN(domain)].latency[bucket], 1);
		t->ready_at = 0;
	}
	if (t->domain != domain) {
		if (is_domain(t->domain) && !(p->flags & PF_KTHREAD)) {
			__sync_fetch_and_add(&domains[DOMAIN(t->domain)].out, 1);
			__sync_fetch_and_add(&domains[DOMAIN(domain)].in, 1);
			proc = proc_of(t);
			if (proc)
				__sync_fetch_and_add(&proc->moves, 1);
		}
		t->domain = domain;
	}
}

SEC("struct_ops/land_stopping")
void BPF_PROG(land_stopping, struct task_struct *p, bool runnable)
{
	struct land_ctx *t = ctx_of(p);

	/* which has it enabled, all else being equal */
	if (is_daemon(p) && bpf_get_current_task_btf() == p)
		own_level = p->migration_disabled ? 1 : 0;
	if (!t)
		return;
	charge(t, scx_bpf_task_cpu(p), scx_bpf_now());
	t->run_at = 0;
}

SEC("struct_ops/land_tick")
void BPF_PROG(land_tick, struct task_struct *p)
{
	struct land_ctx *t = ctx_of(p);
	s32 cpu = scx_bpf_task_cpu(p), home;
	u64 now = scx_bpf_now();

	check_beat(now);
	if (!t)
		return;
	charge(t, cpu, now);
	home = home_of(t, cpu);
	/* Its process is gathered elsewhere, and there is room: end its turn, dispatch moves it. */
	if (home != domain_at(cpu) && !bound(p) && is_domain(home) &&
	    domains[DOMAIN(home)].idle > 0)
		set_slice(p, 0);
}

/* A real-time task takes the CPU: what waits for this CPU goes where another is. */
SEC("struct_ops/land_cpu_release")
void BPF_PROG(land_cpu_release, s32 cpu, struct scx_cpu_release_args *args)
{
	struct cpu_ctx *c;
	u32 zero = 0;

	c = bpf_map_lookup_elem(&cpu_ctxs, &zero);
	if (!c)
		return;
	c->releasing = 1;
	scx_bpf_reenqueue_local();
	c->releasing = 0;
}

SEC("struct_ops/land_update_idle")
void BPF_PROG(land_update_idle, s32 cpu, bool idle)
{
	s32 domain = domain_at(cpu);
	u32 i;

	if (!is_cpu(cpu) || !is_domain(domain))
		return;
	if (cpu_idle[CPU(cpu)] != idle) {
		cpu_idle[CPU(cpu)] = idle;
		__sync_fetch_and_add(&domains[DOMAIN(domain)].idle, idle ? 1 : -1);
	}
	gap_cpu_change(cpu, idle);
	if (!idle)
		return;
	/*
	 * A turn that ends on a CPU that goes offline, with nobody to follow: the
	 * kernel puts the task back into that CPU's own queue, asks nobody (as
	 * SCX_OPS_ENQ_LAST would have it), and lets the CPU halt.
	 */
	if (queued(bpf_get_current_task_btf()) && scx_bpf_dsq_nr_queued(SCX_DSQ_LOCAL_ON | cpu) > 0)
		look_again(cpu, SCX_DSQ_LOCAL_ON | cpu);
	/* one that goes offline is idle, too, and must not be made to look */
	if (!cpu_online[CPU(cpu)])
		return;
	/* What was queued since this CPU looked was queued by an enqueue that saw no idle CPU. */
	if (scx_bpf_dsq_nr_queued(domain) > 0) {
		look_again(cpu, domain);
	} else if (scx_bpf_dsq_nr_queued(CPU_QUEUE(cpu)) > 0) {
		look_again(cpu, CPU_QUEUE(cpu));
	} else if (scx_bpf_dsq_nr_queued(SHARED_QUEUE) > 0) {
		look_again(cpu, SHARED_QUEUE);
	} else if (pending > 0 && !naive) {
		look_again(cpu, DAEMON_QUEUE);
	} else if (loose > 0) {
		bpf_for(i, 0, nr_domains) {
			if (i >= LAND_MAX_DOMAINS ||
			    (loose_in[DOMAIN(i)] > 0 && scx_bpf_dsq_nr_queued(i) > 0))
				break;
		}
		if (i < nr_domains)
			look_again(cpu, i);
	}
}

/* --- tasks, CPUs and the whole coming and going --- */

/*
 * A thread joins the entry of its process, wherever that is: one that is nearer
 * may have become free since, and a process must not have two.
 */
static void attach(struct task_struct *p, struct land_ctx *t)
{
	u32 i, at, tgid = p->tgid;
	struct land_proc *proc;

	bpf_for(i, 0, 64) {
		at = (tgid * 2654435761U + i % 32) % LAND_MAX_PROCS;
		proc = bpf_map_lookup_elem(&procs, &at);
		if (!proc)
			return;
		if (proc->tgid == tgid ||
		    (i >= 32 && !__sync_val_compare_and_swap(&proc->tgid, 0, tgid))) {
			__sync_fetch_and_add(&proc->threads, 1);
			__sync_fetch_and_or(&procs_used[WITHIN(at / 64, LAND_MAX_PROCS / 64)],
					    1ULL << at % 64);
			t->proc = at;
			return;
		}
	}
}

SEC("struct_ops.s/land_init_task")
s32 BPF_PROG(land_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct land_ctx *t = bpf_task_storage_get(&ctxs, p, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!t)
		return -E2BIG;
	t->proc = LAND_NONE;
	t->move_to = LAND_NONE;
	t->domain = LAND_NONE;
	t->loose = LAND_NONE;
	/* it is not known yet: behind those that are known to compute briefly */
	t->burst = 2 * NSEC_PER_MSEC;
	if (!(p->flags & PF_KTHREAD))
		attach(p, t);
	return 0;
}

SEC("struct_ops/land_exit_task")
void BPF_PROG(land_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	struct land_ctx *t = ctx_of(p);
	struct land_proc *proc = t ? proc_of(t) : NULL;
	u32 i;

	if (!t)
		return;
	if (__sync_lock_test_and_set(&t->waits, 0))
		waiting_change(-1);
	gap_task_change(t, 0);
	out_of_queue(t);
	if (proc && __sync_fetch_and_add(&proc->threads, -1) == 1) {
		proc->running = 0;
		proc->preferred = LAND_NONE;
		proc->moves = 0;
		bpf_for(i, 0, LAND_MAX_DOMAINS)
			proc->runtime[DOMAIN(i)] = 0;
		i = t->proc;
		__sync_fetch_and_and(&procs_used[WITHIN(i / 64, LAND_MAX_PROCS / 64)],
				     ~(1ULL << i % 64));
		__sync_lock_test_and_set(&proc->tgid, 0);
	}
	t->proc = LAND_NONE;
}

static void cpu_change(s32 cpu, bool online)
{
	s32 domain = domain_at(cpu);

	if (!is_cpu(cpu) || !is_domain(domain))
		return;
	if (cpu_online[CPU(cpu)] != online) {
		cpu_online[CPU(cpu)] = online;
		__sync_fetch_and_add(&domains[DOMAIN(domain)].online, online ? 1 : -1);
	}
	__sync_fetch_and_add(&hotplugs, 1);
}

/*
 * A CPU that goes offline is not asked for work any more, and waits until it has
 * no task. Those that are in its own queue, or wait in another one and may run
 * nowhere else, it has to run for the kernel to take them away.
 */
static void give_up(u64 queue, s32 cpu)
{
#ifdef HAVE_scx_bpf_dsq_reenq
	scx_bpf_dsq_reenq(queue, 0);
#else
	struct task_struct *p;

	bpf_for_each(scx_dsq, p, queue, 0) {
		if (scx_bpf_task_cpu(p) == cpu)
			scx_bpf_dsq_move(&___it, p, SCX_DSQ_LOCAL_ON | cpu, 0);
	}
#endif
}

/* Having these keeps the scheduler loaded when CPUs come and go. */
SEC("struct_ops/land_cpu_online")
void BPF_PROG(land_cpu_online, s32 cpu)
{
	cpu_change(cpu, true);
}

SEC("struct_ops/land_cpu_offline")
void BPF_PROG(land_cpu_offline, s32 cpu)
{
	cpu_change(cpu, false);
	give_up(CPU_QUEUE(cpu), cpu);
	give_up(domain_at(cpu), cpu);
}

SEC("struct_ops.s/land_init")
s32 BPF_PROG(land_init)
{
	s32 err;
	u32 i;

	bpf_for(i, 0, nr_domains) {
		err = scx_bpf_create_dsq(i, -1);
		if (err)
			return err;
	}
	bpf_for(i, 0, nr_cpus) {
		err = scx_bpf_create_dsq(CPU_QUEUE(i), -1);
		if (err)
			return err;
	}
	err = scx_bpf_create_dsq(DAEMON_QUEUE, -1);
	return err ? err : scx_bpf_create_dsq(SHARED_QUEUE, -1);
}

SEC("struct_ops/land_exit")
void BPF_PROG(land_exit, struct scx_exit_info *info)
{
	exit_code = info->exit_code;
	bpf_probe_read_kernel_str(exit_reason, sizeof(exit_reason), info->reason);
	bpf_probe_read_kernel_str(exit_message, sizeof(exit_message), info->msg);
	exit_kind = info->kind;
}

/* Run by the user-space half: in a container it does not know its number. */
SEC("syscall")
int land_daemon(void *unused)
{
	daemon_pid = bpf_get_current_pid_tgid();
	return 0;
}

SEC(".struct_ops.link")
struct sched_ext_ops land_ops = {
	.select_cpu	= (void *)land_select_cpu,
	.enqueue	= (void *)land_enqueue,
	.dequeue	= (void *)land_dequeue,
	.dispatch	= (void *)land_dispatch,
	.runnable	= (void *)land_runnable,
	.quiescent	= (void *)land_quiescent,
	.running	= (void *)land_running,
	.stopping	= (void *)land_stopping,
	.tick		= (void *)land_tick,
	.cpu_release	= (void *)land_cpu_release,
	.update_idle	= (void *)land_update_idle,
	.init_task	= (void *)land_init_task,
	.exit_task	= (void *)land_exit_task,
	.cpu_online	= (void *)land_cpu_online,
	.cpu_offline	= (void *)land_cpu_offline,
	.init		= (void *)land_init,
	.exit		= (void *)land_exit,
	/*
	 * A task that a real-time one preempts is current while cpu_release()
	 * has it enqueued anew, and has migration disabled by that program: the
	 * kernel would leave it where it is without asking. See bound().
	 */
	.flags		= SCX_OPS_KEEP_BUILTIN_IDLE | SCX_OPS_ENQ_LAST |
			  SCX_OPS_ENQ_MIGRATION_DISABLED,
	.name		= "uplift_land",
};
