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
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "have.h"
#include "fair.h"
#include "shared.h"

char _license[] SEC("license") = "GPL";

#define PF_KTHREAD	0x00200000
#define SCHED_IDLE	5
#define E2BIG		7
#define ENOENT		2
#define CLOCK_MONOTONIC	1

#define OURS		0x100000000ULL	/* above the domains' numbers */
#define CPU_QUEUE(cpu)	(OURS | (cpu))	/* tasks bound to a CPU */
#define DAEMON_QUEUE	(2 * OURS)
#define SHARED_QUEUE	(2 * OURS + 1)	/* for schedulers that have one for all CPUs */
#define GROUP_QUEUE(at)	(4 * OURS | (at))	/* tasks of a cgroup that has used up its cpu.max */

s32 scx_bpf_create_dsq(u64 dsq_id, s32 node) __ksym;
void scx_bpf_destroy_dsq(u64 dsq_id) __ksym;
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
bool bpf_cpumask_subset(const struct cpumask *inner, const struct cpumask *outer) __ksym;
const struct cpumask *scx_bpf_get_online_cpumask(void) __ksym;
void scx_bpf_put_cpumask(const struct cpumask *cpumask) __ksym;
#ifdef HAVE_scx_bpf_kick_cpu
void scx_bpf_kick_cpu(s32 cpu, u64 flags) __ksym;
#endif
#ifdef HAVE_scx_bpf_dsq_reenq
void scx_bpf_dsq_reenq(u64 dsq_id, u64 reenq_flags) __ksym;
#endif
#ifdef HAVE_scx_bpf_dsq_peek
struct task_struct *scx_bpf_dsq_peek(u64 dsq_id) __ksym;
#endif
int bpf_iter_scx_dsq_new(struct bpf_iter_scx_dsq *it, u64 dsq_id, u64 flags) __ksym;
struct task_struct *bpf_iter_scx_dsq_next(struct bpf_iter_scx_dsq *it) __ksym;
void bpf_iter_scx_dsq_destroy(struct bpf_iter_scx_dsq *it) __ksym;
bool scx_bpf_dsq_move(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
		      u64 enq_flags) __ksym;
void scx_bpf_dsq_move_set_vtime(struct bpf_iter_scx_dsq *it, u64 vtime) __ksym;
bool scx_bpf_dsq_move_vtime(struct bpf_iter_scx_dsq *it, struct task_struct *p, u64 dsq_id,
			    u64 enq_flags) __ksym;
#ifdef HAVE_scx_bpf_task_set_slice
bool scx_bpf_task_set_slice(struct task_struct *p, u64 slice) __ksym;
#endif

/* --- set before loading --- */

const volatile u32 nr_cpus = 1;
const volatile u32 nr_domains = 1;
const volatile u64 slice_ns = 3 * NSEC_PER_MSEC;
const volatile u64 stall_ns = 5000 * NSEC_PER_MSEC;
/* A CPU takes from another domain's queue when more than so many wait there. */
const volatile u32 imbalance = 1;
/* Deadlines are of the virtual time that tasks come with: queues are compared by them. */
const volatile bool fair;
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
/* Idle CPUs that are to look for work, where the user-space half has to make them. */
u32 kicks[LAND_MAX_CPUS];
s32 nr_kicks;

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
 * @claimed: the same, where it is on its way there
 * @domain: where it ran last
 * @loose: the domain in whose queue it is counted as gathered nowhere, or LAND_NONE
 * @gap: for the gaps' account: GAP_ANY it is ready and on its way nowhere, GAP_UP it went up
 * @ready_at: when it became ready, 0 once it runs
 * @run_at: since when it runs, 0 if it does not
 * @ran: what it had run when it was accounted last, as the kernel counts it
 * @burst: see struct land_task
 * @burst_now: of the one under way
 * @vtime: its virtual time, as fair.h has it
 * @key: its place in the queue that it is in, 0 in none
 * @load: its effective weight, as it is in its clock's load; 0 while it sleeps
 * @clock: whose clock @vtime is of, or LAND_NONE
 * @group: entry of its cgroup, 0 for the root
 * @in_group: the one that it is counted in as ready
 * @in_weight: by how much
 */
struct land_ctx {
	u32 seq;
	u32 waits;
	s32 proc;
	s32 move_to;
	s32 claimed;
	s32 domain;
	s32 loose;
	u32 gap;
	u64 ready_at;
	u64 run_at;
	u64 ran;
	u64 burst;
	u64 burst_now;
	u64 vtime;
	u64 key;
	u64 load;
	s32 clock;
	u32 group;
	u32 in_group;
	u32 in_weight;
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
/* Tasks in a queue, from which on turns are short. */
#define LAND_MANY	64

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

/* May it not run on all CPUs that are online? With empty sockets cpusets name those only. */
static bool restricted(const struct task_struct *p)
{
	const struct cpumask *online;
	bool all;

	if (p->nr_cpus_allowed >= nr_cpus)
		return false;
	online = scx_bpf_get_online_cpumask();
	all = bpf_cpumask_subset(online, p->cpus_ptr);
	scx_bpf_put_cpumask(online);
	return !all;
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

/* The more wait, the shorter: 4 ms, a tick, is the least that the kernel counts. */
static u64 slice_of(const struct task_struct *p)
{
	u64 slice = slice_ns * p->scx.weight / 100;
	s64 queued = domains[DOMAIN(domain_at(scx_bpf_task_cpu(p)))].queued;

	if (slice < slice_ns / 4 || queued > LAND_MANY)
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
	if (cpu < 0 && other >= 0 && restricted(p)) {
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
 * queued: make it look again. Where scx_bpf_kick_cpu() cannot be called, the
 * user-space half is sent there: whoever ends a turn on a CPU makes it look.
 */
static void look_again(s32 cpu, u64 queue)
{
#ifdef HAVE_scx_bpf_kick_cpu
	scx_bpf_kick_cpu(cpu, 0);
#elif defined(HAVE_scx_bpf_dsq_reenq)
	void *nothing;

	if (kernel_only || !daemon_pid || !is_cpu(cpu) || queue == (SCX_DSQ_LOCAL_ON | cpu)) {
		scx_bpf_dsq_reenq(queue, 0);
		return;
	}
	if (!__sync_lock_test_and_set(&kicks[CPU(cpu)], 1))
		__sync_fetch_and_add(&nr_kicks, 1);
	if (daemon_held) {
		scx_bpf_dsq_reenq(DAEMON_QUEUE, 0);
	} else if (daemon_sleeps) {
		nothing = bpf_ringbuf_reserve(&tasks_up, 8, 0);
		if (nothing)
			bpf_ringbuf_discard(nothing, BPF_RB_FORCE_WAKEUP);
	}
	/* else it runs, and looks before it sleeps */
#endif
}

/* A CPU that the user-space half is to make look again, or LAND_NONE. */
static s32 take_kick(const struct task_struct *p)
{
	s32 cpu;

	if (nr_kicks <= 0)
		return LAND_NONE;
	bpf_for(cpu, 0, nr_cpus) {
		if (!is_cpu(cpu) || !kicks[CPU(cpu)] ||
		    !__sync_lock_test_and_set(&kicks[CPU(cpu)], 0))
			continue;
		__sync_fetch_and_add(&nr_kicks, -1);
		if (!cpu_idle[CPU(cpu)] || !cpu_online[CPU(cpu)] ||
		    !bpf_cpumask_test_cpu(cpu, p->cpus_ptr))
			continue;
		scx_bpf_test_and_clear_cpu_idle(cpu);
		gap_cpu_change(cpu, false);
		return cpu;
	}
	return LAND_NONE;
}

/* A CPU was claimed for a task that does not come: it is idle again once it has looked. */
static void release(s32 *claimed)
{
	s32 cpu = *claimed;

	*claimed = LAND_NONE;
	if (is_cpu(cpu))
		look_again(cpu, DAEMON_QUEUE);
}

/* --- cgroups --- */

/**
 * struct land_group - a cgroup with the cpu controller
 * @id: the kernel's, 0 where the entry is free
 * @parent: entry of the one above, 0 for the root
 * @weight: of cpu.weight, as a task's
 * @sum: weights of the tasks and groups in it that are ready
 * @nr: how many these are
 * @added: what it is in its parent's sum with
 * @quota: nanoseconds a period that it may run, 0 without a limit
 * @period: nanoseconds
 * @burst: that it may save up
 * @period_at: when the period began
 * @used: run time of this period, and what was too much before
 * @armed: the timer runs
 * @timer: ends the time that it is held
 *
 * The cgroup at the root needs no entry: what is directly below it has its own weight.
 */
struct land_group {
	u64 id;
	u32 parent;
	s32 nr;
	s64 sum;
	u64 weight;
	u64 added;
	u64 quota;
	u64 period;
	u64 burst;
	u64 period_at;
	s64 used;
	u32 armed;
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LAND_MAX_GROUPS);
	__type(key, u32);
	__type(value, struct land_group);
} groups SEC(".maps");

/* How deep cgroups are looked at; below that they count as the one above. */
#define MAX_DEPTH	16
/* How many cgroups have a limit. */
static s32 nr_limits;

static struct land_group *group_at(u32 at)
{
	return at ? bpf_map_lookup_elem(&groups, &at) : NULL;
}

/* Something in a group became ready: it counts in the group, and the first in that above. */
static void group_enter(u32 at, u32 weight)
{
	u64 more = weight, was;
	u32 i;

	bpf_for(i, 0, MAX_DEPTH) {
		struct land_group *group = group_at(at);

		if (!group)
			break;
		__sync_fetch_and_add(&group->sum, more);
		if (__sync_fetch_and_add(&group->nr, 1))
			break;
		was = __sync_lock_test_and_set(&group->added, group->weight);
		more = group->weight - was;
		at = group->parent;
	}
}

static void group_leave(u32 at, u32 weight)
{
	u64 less = weight;
	u32 i;

	bpf_for(i, 0, MAX_DEPTH) {
		struct land_group *group = group_at(at);

		if (!group)
			break;
		__sync_fetch_and_add(&group->sum, -less);
		if (__sync_fetch_and_add(&group->nr, -1) != 1)
			break;
		less = __sync_lock_test_and_set(&group->added, 0);
		at = group->parent;
	}
}

static void ready(struct task_struct *p, struct land_ctx *t)
{
	if (t->in_group || !t->group)
		return;
	t->in_group = t->group;
	t->in_weight = fair_weight(p->static_prio, p->policy == SCHED_IDLE);
	group_enter(t->in_group, t->in_weight);
}

static void not_ready(struct land_ctx *t)
{
	if (!t->in_group)
		return;
	group_leave(t->in_group, t->in_weight);
	t->in_group = 0;
}

/* A task's effective weight: what it is worth beside one that is in no cgroup. */
static u64 worth_of(struct task_struct *p, struct land_ctx *t)
{
	u64 worth = fair_weight(p->static_prio, p->policy == SCHED_IDLE) << FAIR_SHIFT;
	u32 i, at = t->group;

	bpf_for(i, 0, MAX_DEPTH) {
		struct land_group *group = group_at(at);

		if (!group)
			break;
		worth = fair_within(worth, group->weight, group->sum > 0 ? group->sum : 0);
		at = group->parent;
	}
	return worth;
}

/* A new period, or several, if they have begun. What was used too much is still owed. */
static void refill(struct land_group *group, u64 now)
{
	u64 at = group->period_at, periods;
	s64 used, back, most;

	if (!group->period || now < at + group->period)
		return;
	periods = (now - at) / group->period;
	if (__sync_val_compare_and_swap(&group->period_at, at, at + periods * group->period) != at)
		return;
	used = group->used;
	back = periods * group->quota;
	/* no debt for which tasks would be held so long that the watchdog bites */
	most = group->quota * (stall_ns / FAIR_PATIENCE) / group->period;
	if (used - back < -(s64)group->burst)
		back = used + group->burst;
	else if (used - back > most)
		back = used - most;
	__sync_fetch_and_add(&group->used, -back);
}

static void spend(struct land_ctx *t, u64 ran, u64 now)
{
	u32 i, at = t->group;

	if (!nr_limits)
		return;
	bpf_for(i, 0, MAX_DEPTH) {
		struct land_group *group = group_at(at);

		if (!group)
			break;
		if (group->quota) {
			refill(group, now);
			__sync_fetch_and_add(&group->used, ran);
		}
		at = group->parent;
	}
}

/* The cgroup that has used up its cpu.max, of a task's and those above; 0 if none. */
static u32 held_by(const struct task_struct *p, struct land_ctx *t)
{
	u32 i, at = t->group;
	u64 now;

	if (!nr_limits || p->flags & PF_KTHREAD)
		return 0;
	now = scx_bpf_now();
	bpf_for(i, 0, MAX_DEPTH) {
		struct land_group *group = group_at(at);

		if (!group)
			break;
		if (group->quota) {
			refill(group, now);
			if (group->used >= (s64)group->quota)
				return at;
		}
		at = group->parent;
	}
	return 0;
}

/* Have the timer end it when the period begins in which something is left. */
static void arm(struct land_group *group)
{
	u64 now = scx_bpf_now(), until;
	s64 over = group->used - group->quota;

	if (!group->quota || __sync_lock_test_and_set(&group->armed, 1))
		return;
	until = group->period_at + group->period * ((over > 0 ? over : 0) / group->quota + 1);
	bpf_timer_start(&group->timer, until > now ? until - now : 1, 0);
}

/* --- queueing --- */

/*
 * Into the queue of a domain: who is gathered nowhere is counted, until it
 * leaves it; and who may not run everywhere, as that may be elsewhere only.
 */
/* Inline: BPF functions take five arguments. */
static __always_inline void into_queue(struct task_struct *p, struct land_ctx *t, s32 domain,
				       u64 slice, u64 deadline, u64 flags)
{
	if (!gathered(t) || restricted(p)) {
		t->loose = domain;
		__sync_fetch_and_add(&loose_in[DOMAIN(domain)], 1);
		__sync_fetch_and_add(&loose, 1);
	}
	t->key = fair ? deadline : 0;
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

/* --- virtual time --- */

/*
 * A clock per domain, one for the shared queue, one per CPU for tasks that are
 * bound to it. A CPU's is compared with its domain's by adding what it is off.
 */
#define MAX_CLOCKS	(2 * LAND_MAX_CPUS)
#define SHARED_CLOCK	LAND_MAX_DOMAINS
#define CPU_CLOCK(cpu)	(LAND_MAX_DOMAINS + 1 + (cpu))
#define CLOCK(clock)	WITHIN(clock, MAX_CLOCKS)

_Static_assert(CPU_CLOCK(LAND_MAX_CPUS) <= MAX_CLOCKS, "a clock for each");

struct land_clock {
	u64 now;
	s64 load;
	u64 off;
	u64 unused[5];		/* a cache line each */
};

static struct land_clock clocks[MAX_CLOCKS];

/* What sets a task back at most, who computes for long. */
#define MOST_LATE	(30 * NSEC_PER_MSEC)

static s32 domain_of_clock(s32 clock)
{
	if (clock >= CPU_CLOCK(0))
		return domain_at(clock - CPU_CLOCK(0));
	return clock;
}

/* Put a task's virtual time into that of another clock, and within bounds there. */
static void to_clock(struct land_ctx *t, s32 clock)
{
	struct land_clock *from = &clocks[CLOCK(t->clock)], *to = &clocks[CLOCK(clock)];
	s32 domain = domain_of_clock(clock);
	u32 cpus = 1;

	if (t->clock < 0) {
		t->vtime = to->now;
		t->clock = clock;
		__sync_fetch_and_add(&to->load, t->load);
	} else if (t->clock != clock) {
		if (domain == domain_of_clock(t->clock))
			t->vtime += from->off - to->off;
		else
			t->vtime += to->now - from->now;
		__sync_fetch_and_add(&from->load, -t->load);
		__sync_fetch_and_add(&to->load, t->load);
		t->clock = clock;
	}
	if (clock == SHARED_CLOCK)
		cpus = nr_cpus;
	else if (domain == clock)
		cpus = domains[DOMAIN(domain)].online;
	t->vtime = fair_clamp(t->vtime, to->now, 2 * slice_ns,
			      fair_ahead(stall_ns / FAIR_PATIENCE, to->load, cpus));
}

/* How far a CPU's clock is off its domain's: neither gets far ahead of the other. */
static u64 off_of(s32 cpu, s32 domain)
{
	struct land_clock *own = &clocks[CLOCK(CPU_CLOCK(cpu))], *other = &clocks[CLOCK(domain)];
	s64 lag = own->now + own->off - other->now, most = 2 * slice_ns;

	if (lag < -most)
		own->off -= lag + most;
	else if (lag > most)
		own->off -= lag - most;
	return own->off;
}

/*
 * Short bursts go first, and nobody is set back by more than 30 ms: everybody's turn
 * comes. A CPU's clock passes the slower the more tasks are bound to it.
 */
static u64 late_of(struct task_struct *p, struct land_ctx *t)
{
	u64 weight = fair_weight(p->static_prio, p->policy == SCHED_IDLE) << FAIR_SHIFT;
	bool own = fair && t->clock >= CPU_CLOCK(0);

	return fair_late(t->burst, weight, MOST_LATE, own ? clocks[CLOCK(t->clock)].load : 0, 1);
}

/* A task's place in a queue of tasks that the BPF part orders. */
static u64 key_of(struct task_struct *p, struct land_ctx *t)
{
	u64 key = t->vtime + late_of(p, t);

	return key ? key : 1;
}

/* All that are in a queue come after this one: its clock is not behind that. */
static void advance(struct land_ctx *t)
{
	struct land_clock *clock = &clocks[CLOCK(t->clock)];
	u64 now = clock->now, least = t->key - MOST_LATE;

	if (t->key && t->clock >= 0 && (s64)(least - now) > 0)
		__sync_val_compare_and_swap(&clock->now, now, least);
	t->key = 0;
}

/**
 * struct land_turn - what a CPU runs, for tasks that wake up
 * @key: its place when its turn began, in the domain's time
 * @at: when that was
 * @worth: its effective weight; 0 where it is not to be preempted
 */
struct land_turn {
	u64 key;
	u64 at;
	u64 worth;
};

static struct land_turn turns[LAND_MAX_CPUS];

/* Another that waits a tick is no reason to switch. */
#define MARGIN	NSEC_PER_MSEC

/* Did it have so much less than the task that its CPU runs, that it goes first? */
static bool preempts(struct task_struct *p, struct land_ctx *t, s32 cpu, u64 flags)
{
	struct land_turn *turn = &turns[CPU(cpu)];
	u64 now = scx_bpf_now(), key, other;

	if (!fair || p->policy || !(flags & SCX_ENQ_WAKEUP) || !is_cpu(cpu) || !turn->worth ||
	    !cpu_online[CPU(cpu)] || now < turn->at)
		return false;
	if (t->clock < 0 || domain_of_clock(t->clock) != domain_at(cpu))
		return false;
	key = key_of(p, t) + clocks[CLOCK(t->clock)].off;
	other = turn->key + fair_charge(now - turn->at, turn->worth);
	return (s64)(key + MARGIN - other) < 0;
}

static u64 deadline_of(struct task_struct *p, struct land_ctx *t)
{
	return fair ? key_of(p, t) : scx_bpf_now() + late_of(p, t);
}

/* By the BPF part alone. */
static void queue_here(struct task_struct *p, struct land_ctx *t, s32 domain, u64 flags)
{
	if (!restricted(p))
		gap_task_change(t, GAP_ANY);
	to_clock(t, domain);
	into_queue(p, t, domain, slice_of(p), deadline_of(p, t), flags);
}

static void queue_bound(struct task_struct *p, struct land_ctx *t, s32 cpu, u64 flags)
{
	to_clock(t, CPU_CLOCK(cpu));
	t->key = key_of(p, t);
	scx_bpf_dsq_insert_vtime(p, CPU_QUEUE(cpu), slice_of(p), t->key, flags);
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
	to_clock(t, task->domain);
	task->vtime = t->vtime;
	task->worth = t->load >> FAIR_SHIFT;
	task->wakeup = !!(flags & SCX_ENQ_WAKEUP);
	task->restricted = restricted(p);
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
	s32 cpu = take_kick(p), domain = domain_at(scx_bpf_task_cpu(p));

	/* It sleeps no more, or was asked to look again: at once if there is a CPU. */
	if (cpu < 0 && (pending > 0 || flags & SCX_ENQ_WAKEUP)) {
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
	if (t && held_by(p, t))
		return prev_cpu;
	cpu = is_daemon(p) ? take_kick(p) : LAND_NONE;
	if (cpu < 0)
		cpu = pick_idle(p, t, prev_cpu, false);
	if (cpu >= 0) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_of(p), 0);
		return cpu;
	}
	return prev_cpu;
}

/* Its cgroup has used up what it may: it waits until more is there. */
static void park(struct task_struct *p, struct land_ctx *t, u32 at, u64 flags)
{
	struct land_group *group = group_at(at);

	count(LAND_HELD);
	if (t->move_to >= 0)
		release(&t->move_to);
	scx_bpf_dsq_insert_vtime(p, GROUP_QUEUE(at), slice_of(p), t->vtime, flags);
	if (group)
		arm(group);
}

SEC("struct_ops/land_enqueue")
void BPF_PROG(land_enqueue, struct task_struct *p, u64 flags)
{
	struct land_ctx *t = ctx_of(p);
	s32 cpu, at = scx_bpf_task_cpu(p);
	u32 group;

	if (is_daemon(p)) {
		enqueue_daemon(p, flags);
		return;
	}
	if (t)
		out_of_queue(t);
	if (!t) {
		count(LAND_KERNEL);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_of(p), flags);
		return;
	}
	t->key = 0;
	if (t->claimed >= 0)
		release(&t->claimed);
	group = held_by(p, t);
	if (group) {
		park(p, t, group, flags);
		return;
	}
	if (t->move_to >= 0) {
		/* The turn may have gone on since, and have come to where it must not move. */
		if (is_cpu(t->move_to) && bpf_cpumask_test_cpu(t->move_to, p->cpus_ptr) &&
		    !bound(p)) {
			t->claimed = t->move_to;
			t->move_to = LAND_NONE;
			scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | t->claimed, slice_of(p), flags);
			return;
		}
		release(&t->move_to);
	}
	if (bound(p)) {
		count(LAND_KERNEL);
		to_clock(t, CPU_CLOCK(at));
		/*
		 * Others wait for what kernel threads do: these go first, while they do
		 * not take more than their share.
		 */
		if (claim(p, at) || (p->flags & PF_KTHREAD &&
				     (s64)(t->vtime - clocks[CLOCK(CPU_CLOCK(at))].now) <= 0))
			scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_of(p), flags);
		else if (preempts(p, t, at, flags))
			scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_of(p), flags | SCX_ENQ_PREEMPT);
		else
			queue_bound(p, t, at, flags);
		return;
	}
	if (!naive) {
		cpu = pick_idle(p, t, at, !(flags & (SCX_ENQ_WAKEUP | SCX_ENQ_REENQ)));
		if (cpu >= 0) {
			gap_task_change(t, 0);
			t->claimed = cpu;
			scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | cpu, slice_of(p), flags);
			return;
		}
	}
	if (fair && home_of(t, at) == domain_at(at)) {
		to_clock(t, domain_at(at));
		if (preempts(p, t, at, flags)) {
			count(LAND_PREEMPTED);
			scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_of(p), flags | SCX_ENQ_PREEMPT);
			return;
		}
	}
	/* The user-space half may have to wait for a kernel thread. */
	if (kernel_only || !daemon_pid || p->flags & PF_KTHREAD || !pass_up(p, t, flags))
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
	u64 deadline = what->deadline, vtime = t->vtime;

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
	if (cpu >= 0) {
		gap_task_change(t, 0);
		domain = domain_at(cpu);
	}
	to_clock(t, cpu < 0 && any ? SHARED_CLOCK : domain);
	/* a deadline of virtual time is of the clock that it came up with */
	if (fair)
		deadline += t->vtime - vtime;
	if (cpu >= 0 && leaving) {
		/* for that CPU to find as soon as it may have it */
		into_queue(p, t, domain, what->slice, deadline, 0);
		look_again(cpu, domain);
	} else if (cpu >= 0) {
		t->claimed = cpu;
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | cpu, what->slice, 0);
	} else if (any) {
		scx_bpf_dsq_insert_vtime(p, SHARED_QUEUE, what->slice, deadline, 0);
	} else {
		into_queue(p, t, domain, what->slice, deadline, 0);
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

/* Account what a task has run since it was last accounted. */
static void charge(struct task_struct *p, struct land_ctx *t, s32 cpu, u64 now)
{
	struct land_clock *clock;
	struct land_proc *proc;
	u64 ran, worth;
	s64 load;

	worth = p->se.sum_exec_runtime;
	if (!t->run_at || worth <= t->ran)
		return;
	ran = worth - t->ran;
	t->ran = worth;
	t->burst_now += ran;
	/* one that never sleeps is known by what it took already */
	if (t->burst_now > t->burst)
		t->burst = t->burst_now;
	worth = worth_of(p, t);
	t->vtime += fair_charge(ran, worth);
	if (t->clock >= 0) {
		/* The clock passes as that of a task that gets its share. */
		clock = &clocks[CLOCK(t->clock)];
		load = clock->load;
		__sync_fetch_and_add(&clock->now,
				     fair_charge(ran, load > (s64)worth ? load : worth));
	}
	spend(t, ran, now);
	proc = proc_of(t);
	if (proc)
		__sync_fetch_and_add(&proc->runtime[DOMAIN(domain_at(cpu))], ran);
}

/* The place of the first task of a queue. */
static bool first_key(u64 queue, u64 *key)
{
	struct task_struct *p;

#ifdef HAVE_scx_bpf_dsq_peek
	p = scx_bpf_dsq_peek(queue);
	if (!p)
		return false;
	*key = p->scx.dsq_vtime;
	return true;
#else
	if (scx_bpf_dsq_nr_queued(queue) <= 0)
		return false;
	bpf_for_each(scx_dsq, p, queue, 0) {
		*key = p->scx.dsq_vtime;
		return true;
	}
	return false;
#endif
}

/* Queues that a CPU takes from, by turns or by virtual time. */
enum { FROM_BOUND, FROM_DOMAIN, FROM_SHARED, NR_SOURCES };

static bool take(u32 source, s32 cpu, s32 domain)
{
	if (source == FROM_BOUND)
		return scx_bpf_dsq_move_to_local(CPU_QUEUE(cpu));
	return scx_bpf_dsq_move_to_local(source == FROM_DOMAIN ? domain : SHARED_QUEUE);
}

/*
 * Whose turn it is, as virtual time has it: NR_SOURCES where it still is the
 * turn of the task that runs, as those that wait have had more.
 */
static u32 next_source(s32 cpu, s32 domain, struct task_struct *prev, struct land_ctx *t)
{
	bool one, two;
	u64 own = 0, bound = 0, key, off = off_of(cpu, domain);
	u32 first = FROM_DOMAIN;

	one = first_key(domain, &own);
	two = first_key(CPU_QUEUE(cpu), &bound);
	bound += off;
	if (!one && !two)
		return FROM_DOMAIN;
	if (two && (!one || (s64)(bound - own) < 0)) {
		first = FROM_BOUND;
		own = bound;
	}
	if (!t || t->clock < 0 || domain_of_clock(t->clock) != domain)
		return first;
	key = key_of(prev, t) + clocks[CLOCK(t->clock)].off;
	return (s64)(key - own) <= 0 ? NR_SOURCES : first;
}

SEC("struct_ops/land_dispatch")
void BPF_PROG(land_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 now = scx_bpf_now(), held = daemon_held;
	s32 domain = domain_at(cpu), other, allowed, i;
	struct land_ctx *t = NULL;
	struct cpu_ctx *c;
	u32 zero = 0, first;

	if (pending > 0)
		bpf_user_ringbuf_drain(&decisions_down, on_decision, NULL, BPF_RB_NO_WAKEUP);

	if (is_domain(domain)) {
		domains[DOMAIN(domain)].queued = scx_bpf_dsq_nr_queued(domain);
		domains[DOMAIN(domain)].load = clocks[CLOCK(domain)].load >> FAIR_SHIFT;
	}
	/* However much is queued, decisions do not wait for ever; nor does the look at domains. */
	if (held && now > held + (pending > 0 ? 4 : 20) * NSEC_PER_MSEC && take_daemon())
		return;

	c = bpf_map_lookup_elem(&cpu_ctxs, &zero);
	if (!c)
		return;
	/* Whose turn ended goes on, unless its cgroup may not. */
	if (queued(prev) && !is_daemon(prev)) {
		t = ctx_of(prev);
		if (t) {
			charge(prev, t, cpu, now);
			if (held_by(prev, t)) {
				set_slice(prev, 0);
				prev = NULL;
				t = NULL;
			}
		}
	}
	first = fair ? next_source(cpu, domain, prev, t) : c->turn++ % NR_SOURCES;
	if (first == NR_SOURCES) {
		set_slice(prev, slice_of(prev));
		return;
	}
	bpf_for(i, 0, NR_SOURCES) {
		if (take((first + i) % NR_SOURCES, cpu, domain))
			return;
	}
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

SEC("struct_ops/land_runnable")
void BPF_PROG(land_runnable, struct task_struct *p, u64 flags)
{
	struct land_ctx *t = ctx_of(p);
	struct land_proc *proc;

	if (!t)
		return;
	ready(p, t);
	t->load = worth_of(p, t);
	if (t->clock >= 0)
		__sync_fetch_and_add(&clocks[CLOCK(t->clock)].load, t->load);
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
	if (!t)
		return;
	if (t->clock >= 0)
		__sync_fetch_and_add(&clocks[CLOCK(t->clock)].load, -t->load);
	t->load = 0;
	not_ready(t);
	/* put to sleep, or changed, on its way there */
	if (t->claimed >= 0)
		release(&t->claimed);
	if (t->move_to >= 0)
		release(&t->move_to);
}

/* Its nice level has changed. */
SEC("struct_ops/land_set_weight")
void BPF_PROG(land_set_weight, struct task_struct *p, u32 weight)
{
	struct land_ctx *t = ctx_of(p);

	if (!t || !t->in_group)
		return;
	not_ready(t);
	ready(p, t);
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
	t->ran = p->se.sum_exec_runtime;
	t->claimed = LAND_NONE;
	gap_task_change(t, 0);
	out_of_queue(t);
	advance(t);
	if (!is_domain(domain))
		return;
	/* It may have come from another domain's queue, or from none. */
	if (t->clock != CPU_CLOCK(cpu) && t->clock != domain)
		to_clock(t, domain);
	turns[CPU(cpu)].key = key_of(p, t) + clocks[CLOCK(t->clock)].off;
	turns[CPU(cpu)].at = now;
	turns[CPU(cpu)].worth = is_daemon(p) ? 0 : t->load;
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
	charge(p, t, scx_bpf_task_cpu(p), scx_bpf_now());
	turns[CPU(scx_bpf_task_cpu(p))].worth = 0;
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
	charge(p, t, cpu, now);
	if (held_by(p, t)) {
		set_slice(p, 0);
		return;
	}
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

/* Something was queued for a CPU, or one near: wake one that is idle. */
static void wake_for(struct task_struct *p, s32 cpu, bool only)
{
	s32 other = only ? (claim(p, cpu) ? cpu : LAND_NONE) : claim_in(p, domain_at(cpu));

	if (other >= 0)
		look_again(other, domain_at(other));
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

/* The entry of a cgroup, or of the one that it counts as; 0 for the root. */
static u32 find_group(struct cgroup *cgrp)
{
	u64 id = cgrp->kn->id;
	u32 i, at;

	bpf_for(i, 0, 32) {
		struct land_group *group;

		at = (id * 2654435761U + i) % LAND_MAX_GROUPS;
		group = group_at(at);
		if (group && group->id == id)
			return at;
	}
	return 0;
}

static u32 parent_group(struct cgroup *cgrp)
{
	struct cgroup_subsys_state *css = cgrp->self.parent;

	return css ? find_group(css->cgroup) : 0;
}

/*
 * Run by a group's timer: what was held may run again. By moving it: after a
 * scx_bpf_dsq_reenq() 7.2 charged the first turn for all the time that its CPU had
 * been idle, and cpu.max held nothing.
 */
static int group_free(void *map, u32 *key, struct land_group *group)
{
	u32 at = *key;
	struct task_struct *p;

	group->armed = 0;
	refill(group, scx_bpf_now());
	if (group->quota && group->used >= (s64)group->quota) {
		arm(group);
		return 0;
	}
	bpf_for_each(scx_dsq, p, GROUP_QUEUE(at), 0) {
		s32 cpu = scx_bpf_task_cpu(p);
		struct land_ctx *t = ctx_of(p);
		u64 queue = p->nr_cpus_allowed == 1 || p->migration_disabled ?
			    CPU_QUEUE(cpu) : domain_at(cpu);

		if (!t || held_by(p, t))
			continue;
		/* an idle CPU takes it at once, and the nearest busy one when it looks */
		to_clock(t, queue & OURS ? CPU_CLOCK(cpu) : domain_at(cpu));
		t->key = key_of(p, t);
		scx_bpf_dsq_move_set_vtime(&___it, t->key);
		if (scx_bpf_dsq_move_vtime(&___it, p, queue, 0))
			wake_for(p, cpu, queue & OURS);
	}
	return 0;
}

static void set_limit(struct land_group *group, u64 period_us, u64 quota_us, u64 burst_us)
{
	/* "max" is more than there is time */
	bool limited = quota_us && quota_us < 1ULL << 43;

	if (limited != !!group->quota)
		__sync_fetch_and_add(&nr_limits, limited ? 1 : -1);
	group->period = period_us * NSEC_PER_USEC;
	group->burst = burst_us < 1ULL << 43 ? burst_us * NSEC_PER_USEC : 0;
	group->period_at = scx_bpf_now();
	group->used = 0;
	group->quota = limited ? quota_us * NSEC_PER_USEC : 0;
}

#ifdef HAVE_OPS_cgroup_init
SEC("struct_ops.s/land_cgroup_init")
s32 BPF_PROG(land_cgroup_init, struct cgroup *cgrp, struct scx_cgroup_init_args *args)
{
	u64 id = cgrp->kn->id;
	u32 i, at;

	if (!cgrp->self.parent)
		return 0;
	bpf_for(i, 0, 32) {
		struct land_group *group;

		at = (id * 2654435761U + i) % LAND_MAX_GROUPS;
		group = group_at(at);
		if (!group || __sync_val_compare_and_swap(&group->id, 0, id))
			continue;
		if (scx_bpf_create_dsq(GROUP_QUEUE(at), -1)) {
			group->id = 0;
			break;
		}
		group->parent = parent_group(cgrp);
		group->weight = fair_group_weight(args->weight);
		group->armed = 0;
		bpf_timer_init(&group->timer, &groups, CLOCK_MONOTONIC);
		bpf_timer_set_callback(&group->timer, group_free);
#ifdef HAVE_OPS_cgroup_set_bandwidth
		set_limit(group, args->bw_period_us, args->bw_quota_us, args->bw_burst_us);
#endif
		return 0;
	}
	/* its tasks count as those of no cgroup */
	count(LAND_NO_GROUP);
	return 0;
}

SEC("struct_ops.s/land_cgroup_exit")
void BPF_PROG(land_cgroup_exit, struct cgroup *cgrp)
{
	u32 at = find_group(cgrp);
	struct land_group *group = group_at(at);
	u64 left;

	if (!group)
		return;
	bpf_timer_cancel(&group->timer);
	set_limit(group, 0, 0, 0);
	left = __sync_lock_test_and_set(&group->added, 0);
	if (left) {
		struct land_group *parent = group_at(group->parent);

		if (parent)
			__sync_fetch_and_add(&parent->sum, -left);
	}
	group->sum = 0;
	group->nr = 0;
	scx_bpf_destroy_dsq(GROUP_QUEUE(at));
	__sync_lock_test_and_set(&group->id, 0);
}

SEC("struct_ops/land_cgroup_move")
void BPF_PROG(land_cgroup_move, struct task_struct *p, struct cgroup *from, struct cgroup *to)
{
	struct land_ctx *t = ctx_of(p);

	if (t)
		t->group = find_group(to);
}

SEC("struct_ops/land_cgroup_set_weight")
void BPF_PROG(land_cgroup_set_weight, struct cgroup *cgrp, u32 weight)
{
	struct land_group *group = group_at(find_group(cgrp)), *parent;
	u64 was;

	if (!group)
		return;
	group->weight = fair_group_weight(weight);
	if (!group->nr)
		return;
	was = __sync_lock_test_and_set(&group->added, group->weight);
	parent = group_at(group->parent);
	if (parent)
		__sync_fetch_and_add(&parent->sum, group->weight - was);
}
#endif

#ifdef HAVE_OPS_cgroup_set_bandwidth
SEC("struct_ops/land_cgroup_set_bandwidth")
void BPF_PROG(land_cgroup_set_bandwidth, struct cgroup *cgrp, u64 period_us, u64 quota_us,
	      u64 burst_us)
{
	struct land_group *group = group_at(find_group(cgrp));

	if (!group)
		return;
	set_limit(group, period_us, quota_us, burst_us);
	/* what was held by the limit that was */
	bpf_timer_start(&group->timer, 1, 0);
}
#endif

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
	t->claimed = LAND_NONE;
	t->clock = LAND_NONE;
#ifdef HAVE_OPS_cgroup_init
	t->group = find_group(args->cgroup);
#endif
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
	if (t->load && t->clock >= 0)
		__sync_fetch_and_add(&clocks[CLOCK(t->clock)].load, -t->load);
	t->load = 0;
	not_ready(t);
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
	.set_weight	= (void *)land_set_weight,
#ifdef HAVE_OPS_cgroup_init
	.cgroup_init	= (void *)land_cgroup_init,
	.cgroup_exit	= (void *)land_cgroup_exit,
	.cgroup_move	= (void *)land_cgroup_move,
	.cgroup_set_weight	= (void *)land_cgroup_set_weight,
#endif
#ifdef HAVE_OPS_cgroup_set_bandwidth
	.cgroup_set_bandwidth	= (void *)land_cgroup_set_bandwidth,
#endif
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
