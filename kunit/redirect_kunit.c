// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of modules/core/resolve.c, redirect.c, arms.c, conflict.c and
 * change.c, in the running kernel: functions of this file are redirected to
 * others of it. What must come out is what each body would have given if it had
 * been called.
 */
#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/ftrace.h>
#include <linux/fs.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/percpu.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include <asm/sections.h>

#include "../modules/compat/ftrace.h"
#include "../modules/core/body.h"
#include "../modules/core/bypass.h"
#include "../modules/core/change.h"
#include "../modules/core/conflict.h"
#include "../modules/core/count.h"
#include "../modules/core/redirect.h"
#include "../modules/core/trampoline.h"
#include "../modules/core/uplift.h"
#include "rounds.h"

#define SWITCHES	ROUNDS(1000, 60)

/* --- a function, and bodies for it --- */

/**
 * enum asked - what a call asks of the function, as its first argument
 * @ASK_SLEEP: sleep until the gate is open
 * @ASK_STACK: save the stack, once as it comes and once reliably
 * @ASK_RESULT: nothing else; this and all above
 */
enum asked {
	ASK_SLEEP,
	ASK_STACK,
	ASK_RESULT,
};

#define FRAMES		32

static DECLARE_WAIT_QUEUE_HEAD(gate);
static bool gate_open;
static unsigned long frames[FRAMES], reliable_frames[FRAMES];
static int frames_saved, reliable_frames_saved;

static __always_inline u64 answer(enum uplift_arm_id arm, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	/* No two arguments may change places, nor bits be lost. */
	return a * 3 + b * 5 + c * 7 + d * 11 + e * 13 + f * 17 +
	       ((u64)arm + 1) * 0x9e3779b97f4a7c15;
}

static __always_inline u64 work(enum uplift_arm_id arm, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	if (a == ASK_SLEEP)
		wait_event(gate, READ_ONCE(gate_open));
	if (a == ASK_STACK) {
		frames_saved = stack_trace_save(frames, FRAMES, 0);
		reliable_frames_saved = stack_trace_save_tsk_reliable(current, reliable_frames,
								      FRAMES);
	}
	return answer(arm, a, b, c, d, e, f);
}

/* An arm of the change's own, which not every table below offers. */
#define UPLIFT_ARM_MORE	UPLIFT_ARM_FIRST_OWN
#define ARMS		(UPLIFT_ARM_MORE + 1)

static DEFINE_PER_CPU(struct uplift_count[ARMS], uplift_tried_count);

static __always_inline u64 counted(unsigned int arm, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	u64 ret;

	this_cpu_inc(uplift_tried_count[arm].entered);
	ret = work(arm, a, b, c, d, e, f);
	this_cpu_inc(uplift_tried_count[arm].left);
	return ret;
}

static noinline __noclone __used u64 uplift_tried(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	return work(UPLIFT_ARM_OFF, a, b, c, d, e, f);
}

static notrace noinline __noclone __used
u64 uplift_tried_null(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	return counted(UPLIFT_ARM_NULL, a, b, c, d, e, f);
}

static notrace noinline __noclone __used
u64 uplift_tried_new(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	return counted(UPLIFT_ARM_NEW, a, b, c, d, e, f);
}

static notrace noinline __noclone __used
u64 uplift_tried_more(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	return counted(UPLIFT_ARM_MORE, a, b, c, d, e, f);
}

/* A second function, for changes of two: it answers the opposite. */
static noinline __noclone __used u64 uplift_tried_too(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	return ~work(UPLIFT_ARM_OFF, a, b, c, d, e, f);
}

static notrace noinline __noclone __used
u64 uplift_tried_too_null(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	return ~counted(UPLIFT_ARM_NULL, a, b, c, d, e, f);
}

static notrace noinline __noclone __used
u64 uplift_tried_too_new(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	return ~counted(UPLIFT_ARM_NEW, a, b, c, d, e, f);
}

UPLIFT_TRAMPOLINE(uplift_tried_null_trampoline, uplift_tried_null);
UPLIFT_TRAMPOLINE(uplift_tried_new_trampoline, uplift_tried_new);
UPLIFT_TRAMPOLINE(uplift_tried_more_trampoline, uplift_tried_more);
UPLIFT_TRAMPOLINE(uplift_tried_too_null_trampoline, uplift_tried_too_null);
UPLIFT_TRAMPOLINE(uplift_tried_too_new_trampoline, uplift_tried_too_new);

#define BODIES(...)	((const struct uplift_body[]) { __VA_ARGS__ })

static const struct uplift_arm tried_arms[ARMS] = {
	[UPLIFT_ARM_NULL]	= { .bodies = BODIES(UPLIFT_BODY(uplift_tried_null)) },
	[UPLIFT_ARM_NEW]	= { .bodies = BODIES(UPLIFT_BODY(uplift_tried_new)) },
	[UPLIFT_ARM_MORE]	= { .name = "more" },
};

/* Not DYNAMIC for ftrace, whose own grace periods would come between. */
static struct uplift_redirect redirect;
static struct uplift_function tried_function;

static void redirect_fill(struct uplift_redirect *fill, const struct uplift_arm *arms,
			  struct uplift_function *functions, unsigned int nr_functions)
{
	memset(fill, 0, sizeof(*fill));
	fill->name = "kunit";
	fill->owner = THIS_MODULE;
	fill->functions = functions;
	fill->nr_functions = nr_functions;
	fill->arms = arms;
	fill->nr_arms = ARMS;
	fill->count = uplift_tried_count;
}

static int redirect_set_up(struct uplift_redirect *set_up, struct uplift_function *function,
			   const char *name)
{
	memset(function, 0, sizeof(*function));
	function->name = name;
	redirect_fill(set_up, tried_arms, function, 1);
	return uplift_redirect_init(set_up);
}

/* The pins as they are between two changes of the arm. */
static unsigned int pins(void)
{
	unsigned int held;

	mutex_lock(&redirect.lock);
	held = redirect.pins;
	mutex_unlock(&redirect.lock);
	return held;
}

/* Wait, for long enough on any machine, until a condition holds. */
#define eventually(condition)					\
({								\
	unsigned long until = jiffies + 60 * HZ;		\
	bool holds;						\
								\
	while (!(holds = (condition)) && time_before(jiffies, until)) \
		msleep(20);					\
	holds;							\
})

/* --- resolving --- */

static void resolve_exactly_one(struct kunit *test)
{
	unsigned long addr = 0;

	KUNIT_ASSERT_EQ(test, uplift_resolve("uplift_tried", &addr), 0);
	KUNIT_EXPECT_EQ(test, addr, (unsigned long)uplift_tried);
	KUNIT_ASSERT_EQ(test, uplift_resolve("gate_open", &addr), 0);
	KUNIT_EXPECT_EQ(test, addr, (unsigned long)&gate_open);
	KUNIT_ASSERT_EQ(test, uplift_bind("tried", "schedule", &addr), 0);
	KUNIT_EXPECT_EQ(test, addr, (unsigned long)schedule);
}

static void resolve_none(struct kunit *test)
{
	unsigned long addr = 42;

	KUNIT_EXPECT_EQ(test, uplift_resolve("uplift_tried_", &addr), -ENOENT);
	KUNIT_EXPECT_EQ(test, uplift_resolve("uplift_trie", &addr), -ENOENT);
	KUNIT_EXPECT_EQ(test, uplift_resolve("", &addr), -ENOENT);
	KUNIT_EXPECT_EQ(test, uplift_bind("tried", "uplift_tried_not", &addr), -ENOEXEC);
	KUNIT_EXPECT_EQ(test, addr, 42);
}

/* The other one is in core_kunit.c. */
static noinline __used void uplift_kunit_twin(void)
{
	barrier();
}

static void resolve_several(struct kunit *test)
{
	unsigned long addr = 42;

	uplift_kunit_twin();
	KUNIT_EXPECT_EQ(test, uplift_resolve("uplift_kunit_twin", &addr), -ENOTUNIQ);
	KUNIT_EXPECT_EQ(test, uplift_bind("tried", "uplift_kunit_twin", &addr), -ENOEXEC);
	KUNIT_EXPECT_EQ(test, addr, 42);
}

static int called;

static noinline __noclone void uplift_kunit_callee(void)
{
	WRITE_ONCE(called, called + 1);
}

static noinline __noclone void uplift_kunit_other_callee(void)
{
	WRITE_ONCE(called, called + 100);
}

static noinline __noclone __used void uplift_kunit_caller(void)
{
	uplift_kunit_callee();
	uplift_kunit_other_callee();
	uplift_kunit_callee();
	uplift_kunit_callee();
	/* Or the last call would be a jump. */
	barrier();
}

static void calls_are_counted(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_X86_64))
		kunit_skip(test, "code is read on x86 only");
	called = 0;
	uplift_kunit_caller();
	KUNIT_EXPECT_EQ(test, called, 103);
	KUNIT_EXPECT_EQ(test, uplift_calls_in("uplift_kunit_caller", uplift_kunit_callee), 3);
	KUNIT_EXPECT_EQ(test, uplift_calls_in("uplift_kunit_caller", uplift_kunit_other_callee), 1);
	KUNIT_EXPECT_EQ(test, uplift_calls_in("uplift_kunit_caller", uplift_kunit_twin), 0);
	KUNIT_EXPECT_EQ(test, uplift_calls_in("uplift_kunit_callee", uplift_kunit_callee), 0);
	KUNIT_EXPECT_EQ(test, uplift_calls_in("uplift_kunit_calle", uplift_kunit_callee), -ENOENT);
	KUNIT_EXPECT_EQ(test, uplift_calls_in("uplift_kunit_twin", uplift_kunit_callee), -ENOTUNIQ);
}

/* --- arms --- */

static u64 ask(struct rnd_state *rnd, u64 *args)
{
	int i;

	for (i = 0; i < 6; i++)
		args[i] = (u64)prandom_u32_state(rnd) << 32 | prandom_u32_state(rnd);
	if (args[0] < ASK_RESULT)
		args[0] = ASK_RESULT;
	return uplift_tried(args[0], args[1], args[2], args[3], args[4], args[5]);
}

static u64 answer_to(enum uplift_arm_id arm, const u64 *args)
{
	return answer(arm, args[0], args[1], args[2], args[3], args[4], args[5]);
}

static void expect_reaches(struct kunit *test, struct rnd_state *rnd, enum uplift_arm_id arm)
{
	u64 calls = uplift_count_calls(uplift_tried_count, arm);
	u64 entered = uplift_count_entered(uplift_tried_count, ARMS);
	int i, wrong = 0;
	u64 args[6];

	for (i = 0; i < 1000; i++) {
		u64 ret = ask(rnd, args);

		wrong += ret != answer_to(arm, args);
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "in arm %d", arm);
	if (arm == UPLIFT_ARM_OFF)
		calls -= 1000;
	KUNIT_EXPECT_EQ(test, uplift_count_calls(uplift_tried_count, arm), calls + 1000);
	KUNIT_EXPECT_EQ(test, uplift_count_entered(uplift_tried_count, ARMS),
			entered + (arm == UPLIFT_ARM_OFF ? 0 : 1000));
	KUNIT_EXPECT_EQ(test, uplift_redirect_inside(&redirect), 0);
	KUNIT_EXPECT_EQ(test, redirect.arm, arm);
	KUNIT_EXPECT_EQ(test, pins(), arm == UPLIFT_ARM_OFF ? 0 : 1);
}

static void each_arm_reaches_its_body(struct kunit *test)
{
	static const enum uplift_arm_id order[] = {
		UPLIFT_ARM_OFF, UPLIFT_ARM_NULL, UPLIFT_ARM_NEW, UPLIFT_ARM_NULL,
		UPLIFT_ARM_NULL, UPLIFT_ARM_OFF, UPLIFT_ARM_NEW, UPLIFT_ARM_OFF,
	};
	struct rnd_state rnd;
	int i;

	prandom_seed_state(&rnd, 1);
	expect_reaches(test, &rnd, UPLIFT_ARM_OFF);
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		KUNIT_ASSERT_EQ(test, uplift_redirect_set(&redirect, order[i]), 0);
		expect_reaches(test, &rnd, order[i]);
	}
}

static void arm_that_is_not_offered(struct kunit *test)
{
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 2);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_MORE), -EINVAL);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, ARMS), -EINVAL);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UINT_MAX), -EINVAL);
	expect_reaches(test, &rnd, UPLIFT_ARM_OFF);
	KUNIT_ASSERT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NEW), 0);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_MORE), -EINVAL);
	expect_reaches(test, &rnd, UPLIFT_ARM_NEW);
}

static notrace noinline __used void uplift_kunit_notrace(void)
{
	barrier();
}

static void function_that_cannot_be_redirected(struct kunit *test)
{
	struct uplift_function *function = kunit_kzalloc(test, sizeof(*function), GFP_KERNEL);
	struct uplift_redirect *other = kunit_kzalloc(test, sizeof(*other), GFP_KERNEL);
	static const char * const functions[] = {
		"uplift_kunit_nobody", "uplift_kunit_twin", "uplift_kunit_notrace",
	};
	int i;

	KUNIT_ASSERT_NOT_NULL(test, function);
	KUNIT_ASSERT_NOT_NULL(test, other);
	uplift_kunit_notrace();
	for (i = 0; i < ARRAY_SIZE(functions); i++)
		KUNIT_EXPECT_EQ_MSG(test, redirect_set_up(other, function, functions[i]), -ENOEXEC,
				    "%s", functions[i]);
}

/**
 * struct caller - a thread that calls
 * @thread: the thread
 * @reached: results per arm
 * @wrong: results that no body could have given
 */
struct caller {
	struct task_struct *thread;
	u64 reached[ARMS];
	u64 wrong;
};

static int call_for_ever(void *data)
{
	struct caller *caller = data;
	struct rnd_state rnd;
	u64 args[6], calls;

	prandom_seed_state(&rnd, (unsigned long)caller);
	for (calls = 0; !kthread_should_stop(); calls++) {
		u64 ret = ask(&rnd, args);
		int arm;

		for (arm = UPLIFT_ARM_OFF; arm <= UPLIFT_ARM_NEW; arm++)
			if (ret == answer_to(arm, args))
				break;
		if (arm <= UPLIFT_ARM_NEW)
			caller->reached[arm]++;
		else
			caller->wrong++;
		/* In turn: in the middle of a call, or of a loop of them. */
		if (!(calls % 256))
			usleep_range(10, 100);
		else
			cond_resched_tasks_rcu_qs();
	}
	return 0;
}

#define CALLERS	4

static void switching_under_callers(struct kunit *test)
{
	struct caller *callers = kunit_kcalloc(test, CALLERS, sizeof(*callers), GFP_KERNEL);
	u64 start = ktime_get_ns(), reached[ARMS] = {}, wrong = 0;
	unsigned int cpu = cpumask_first(cpu_online_mask);
	int i, err = 0, misled = 0, arm;
	struct rnd_state rnd;
	u64 args[6];

	KUNIT_ASSERT_NOT_NULL(test, callers);
	prandom_seed_state(&rnd, 3);
	for (i = 0; i < CALLERS; i++) {
		struct task_struct *thread = kthread_create(call_for_ever, &callers[i],
							    "caller/%d", i);

		if (IS_ERR(thread))
			break;
		kthread_bind(thread, cpu);
		cpu = cpumask_next(cpu, cpu_online_mask);
		if (cpu >= nr_cpu_ids)
			cpu = cpumask_first(cpu_online_mask);
		callers[i].thread = thread;
		wake_up_process(thread);
	}
	KUNIT_EXPECT_EQ(test, i, CALLERS);

	for (i = 1; i <= SWITCHES && !err; i++) {
		/* Off takes grace periods: every 20th time. */
		arm = !(i % 20) ? UPLIFT_ARM_OFF : i % 2 ? UPLIFT_ARM_NEW : UPLIFT_ARM_NULL;
		err = uplift_redirect_set(&redirect, arm);
		misled += ask(&rnd, args) != answer_to(arm, args);
	}

	for (i = 0; i < CALLERS && callers[i].thread; i++) {
		kthread_stop(callers[i].thread);
		wrong += callers[i].wrong;
		for (arm = UPLIFT_ARM_OFF; arm <= UPLIFT_ARM_NEW; arm++)
			reached[arm] += callers[i].reached[arm];
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ_MSG(test, misled, 0, "went to another arm after the switch had returned");
	for (arm = UPLIFT_ARM_OFF; arm <= UPLIFT_ARM_NEW; arm++)
		KUNIT_EXPECT_GT(test, reached[arm], 0);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_OFF), 0);
	KUNIT_EXPECT_EQ(test, uplift_redirect_inside(&redirect), 0);
	KUNIT_EXPECT_EQ(test, pins(), 0);
	kunit_info(test, "%d switches in %llu ms under %d callers on %u CPUs: off %llu, null %llu, new %llu results, %llu wrong",
		   SWITCHES, div_u64(ktime_get_ns() - start, NSEC_PER_MSEC), CALLERS,
		   num_online_cpus(), reached[UPLIFT_ARM_OFF], reached[UPLIFT_ARM_NULL],
		   reached[UPLIFT_ARM_NEW], wrong);
}

/* --- tasks inside --- */

#define SLEEPERS	3

static atomic_t awake;

static int sleep_inside(void *data)
{
	u64 *ret = data;

	*ret = uplift_tried(ASK_SLEEP, 2, 3, 4, 5, 6);
	atomic_inc(&awake);
	return 0;
}

/* One task sleeps in null. @result: of its call, once it has left */
static void sleeper_in_null(struct kunit *test, u64 *result)
{
	gate_open = false;
	atomic_set(&awake, 0);
	KUNIT_ASSERT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NULL), 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(kthread_run(sleep_inside, result, "sleeper")));
	KUNIT_EXPECT_TRUE(test, eventually(uplift_redirect_inside(&redirect) == 1));
}

static void tasks_asleep_inside(struct kunit *test)
{
	u64 results[SLEEPERS] = {};
	struct rnd_state rnd;
	int i, started;

	prandom_seed_state(&rnd, 4);
	gate_open = false;
	atomic_set(&awake, 0);
	KUNIT_ASSERT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NULL), 0);
	for (started = 0; started < SLEEPERS; started++) {
		if (IS_ERR(kthread_run(sleep_inside, &results[started], "sleeper/%d", started)))
			break;
		/* One in new, the others in null. */
		KUNIT_EXPECT_TRUE(test,
				  eventually(uplift_redirect_inside(&redirect) == started + 1));
		KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, started ? UPLIFT_ARM_NULL :
							  UPLIFT_ARM_NEW), 0);
	}
	KUNIT_EXPECT_EQ(test, started, SLEEPERS);
	KUNIT_EXPECT_EQ(test, uplift_count_calls(uplift_tried_count, UPLIFT_ARM_NULL), 2);
	KUNIT_EXPECT_EQ(test, uplift_count_calls(uplift_tried_count, UPLIFT_ARM_NEW), 1);
	KUNIT_EXPECT_EQ(test, pins(), 1);

	/* Off: they sleep on, and each holds the module. */
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_OFF), 0);
	KUNIT_EXPECT_EQ(test, uplift_redirect_inside(&redirect), SLEEPERS);
	KUNIT_EXPECT_EQ(test, pins(), SLEEPERS);
	msleep(1000);
	KUNIT_EXPECT_EQ(test, pins(), SLEEPERS);
	KUNIT_EXPECT_EQ(test, atomic_read(&awake), 0);

	/* On and off again with them inside. */
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NEW), 0);
	for (i = 0; i < 100; i++) {
		u64 args[6], ret = ask(&rnd, args);

		KUNIT_EXPECT_EQ(test, ret, answer_to(UPLIFT_ARM_NEW, args));
	}
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_OFF), 0);
	KUNIT_EXPECT_EQ(test, pins(), SLEEPERS);
	KUNIT_EXPECT_EQ(test, atomic_read(&awake), 0);

	/* Each ends in the body that it began in, and then the module can go. */
	gate_open = true;
	wake_up_all(&gate);
	KUNIT_EXPECT_TRUE(test, eventually(atomic_read(&awake) == started));
	for (i = 0; i < started; i++)
		KUNIT_EXPECT_EQ(test, results[i], answer(i == 1 ? UPLIFT_ARM_NEW : UPLIFT_ARM_NULL,
							 ASK_SLEEP, 2, 3, 4, 5, 6));
	KUNIT_EXPECT_TRUE(test, eventually(!pins()));
	KUNIT_EXPECT_EQ(test, uplift_redirect_inside(&redirect), 0);
}

/* --- grace periods --- */

/**
 * struct holder - a thread that no grace period of RCU tasks gets past
 * @thread: the thread
 * @holds: it does so; ends by itself where a test would hang
 */
struct holder {
	struct task_struct *thread;
	bool holds;
};

static int hold_up(void *data)
{
	unsigned long until = jiffies + 120 * HZ;
	struct holder *holder = data;

	WRITE_ONCE(holder->holds, true);
	/* Preempted, but it never goes to sleep. */
	while (!kthread_should_stop() && time_before(jiffies, until))
		cond_resched();
	if (!kthread_should_stop())
		WRITE_ONCE(holder->holds, false);
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

static void holder_needs(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_TASKS_RCU))
		kunit_skip(test, "needs CONFIG_TASKS_RCU: else a running task holds up nothing");
}

static void holder_start(struct kunit *test, struct holder *holder)
{
	holder->holds = false;
	holder->thread = kthread_run(hold_up, holder, "holder");
	KUNIT_ASSERT_FALSE(test, IS_ERR(holder->thread));
	KUNIT_EXPECT_TRUE(test, eventually(READ_ONCE(holder->holds)));
}

/* Has it held up what came since it was started? */
static bool holder_stop(struct holder *holder)
{
	bool held = READ_ONCE(holder->holds);

	kthread_stop(holder->thread);
	return held;
}

/* How often the drain has waited for grace periods, or begun to. */
static unsigned int settled(void)
{
	return READ_ONCE(redirect.settled);
}

/*
 * While a task sleeps inside a grace period could not tell anything. The drain
 * took one each time it looked.
 */
static void no_grace_period_while_a_task_is_inside(struct kunit *test)
{
	struct holder holder;
	unsigned int before;
	struct rnd_state rnd;
	u64 result = 0;

	holder_needs(test);
	prandom_seed_state(&rnd, 8);
	sleeper_in_null(test, &result);
	before = settled();

	/* Off at once, and looked at a few times. */
	holder_start(test, &holder);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_OFF), 0);
	KUNIT_EXPECT_EQ(test, pins(), 1);
	KUNIT_EXPECT_TRUE(test, eventually(READ_ONCE(redirect.interval) > HZ));
	KUNIT_EXPECT_EQ(test, settled(), before);

	/* It has left: the drain waits, and nothing else waits for the drain. */
	gate_open = true;
	wake_up_all(&gate);
	KUNIT_EXPECT_TRUE(test, eventually(settled() > before));
	KUNIT_EXPECT_EQ(test, pins(), 1);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NEW), 0);
	expect_reaches(test, &rnd, UPLIFT_ARM_NEW);
	KUNIT_EXPECT_TRUE_MSG(test, holder_stop(&holder), "waited for a grace period");

	/* What it found out is of before: an arm is on. */
	flush_delayed_work(&redirect.drain);
	expect_reaches(test, &rnd, UPLIFT_ARM_NEW);
	KUNIT_EXPECT_TRUE(test, eventually(atomic_read(&awake)));
	KUNIT_EXPECT_EQ(test, result, answer(UPLIFT_ARM_NULL, ASK_SLEEP, 2, 3, 4, 5, 6));
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_OFF), 0);
	KUNIT_EXPECT_EQ(test, pins(), 0);
}

/* Less and less often, but within seconds. */
static void looks_back_off(struct kunit *test)
{
	unsigned long interval = 0, longest = 0;
	u64 result = 0;

	sleeper_in_null(test, &result);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_OFF), 0);
	do {
		KUNIT_EXPECT_GE(test, READ_ONCE(redirect.interval), interval);
		interval = READ_ONCE(redirect.interval);
		longest = max(longest, interval);
		flush_delayed_work(&redirect.drain);
	} while (READ_ONCE(redirect.interval) != interval);
	KUNIT_EXPECT_GE(test, longest, HZ);
	KUNIT_EXPECT_LE(test, longest, 5 * HZ);

	/* The next time it starts over. */
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NULL), 0);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_OFF), 0);
	KUNIT_EXPECT_LT(test, READ_ONCE(redirect.interval), HZ);
	gate_open = true;
	wake_up_all(&gate);
	KUNIT_EXPECT_TRUE(test, eventually(!pins() && atomic_read(&awake)));
	KUNIT_EXPECT_EQ(test, result, answer(UPLIFT_ARM_NULL, ASK_SLEEP, 2, 3, 4, 5, 6));
}

static int switch_off(void *data)
{
	int *err = data;

	WRITE_ONCE(*err, uplift_redirect_set(&redirect, UPLIFT_ARM_OFF));
	return 0;
}

/* All of a seq_file in debugfs, as text. */
static void read_file(struct kunit *test, struct vfsmount *mnt, const char *name, char *text,
		      size_t size)
{
	struct path path = { .mnt = mnt, .dentry = mnt->mnt_root };
	struct kvec kvec = { .iov_base = text, .iov_len = size - 1 };
	struct iov_iter iter;
	struct kiocb iocb;
	struct file *file;
	ssize_t len = -1;

	file = file_open_root(&path, name, O_RDONLY, 0);
	if (!IS_ERR(file)) {
		init_sync_kiocb(&iocb, file);
		iov_iter_kvec(&iter, READ, &kvec, 1, size - 1);
		len = seq_read_iter(&iocb, &iter);
		fput(file);
	}
	KUNIT_EXPECT_GT_MSG(test, len, 0, "%s", name);
	text[max_t(ssize_t, len, 0)] = '\0';
}

/* Files are read, and arms written, while the writer of off waits. */
static void files_do_not_wait_for_a_grace_period(struct kunit *test)
{
	unsigned int before = settled();
	struct task_struct *writer;
	struct holder holder;
	struct rnd_state rnd;
	struct vfsmount *mnt;
	struct dentry *dir;
	char text[512];
	int off = 1;

	holder_needs(test);
	mnt = kern_mount(get_fs_type("debugfs"));
	KUNIT_ASSERT_FALSE(test, IS_ERR(mnt));
	prandom_seed_state(&rnd, 9);
	dir = debugfs_create_dir("uplift_kunit", NULL);
	uplift_redirect_show(&redirect, dir);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NULL), 0);
	expect_reaches(test, &rnd, UPLIFT_ARM_NULL);
	holder_start(test, &holder);
	writer = kthread_run(switch_off, &off, "writer");
	KUNIT_EXPECT_FALSE(test, IS_ERR(writer));
	KUNIT_EXPECT_TRUE(test, eventually(settled() > before));

	read_file(test, mnt, "uplift_kunit/arm", text, sizeof(text));
	KUNIT_EXPECT_STREQ(test, text, "off\n");
	read_file(test, mnt, "uplift_kunit/stats", text, sizeof(text));
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(text, "function: uplift_tried\n"), "%s", text);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(text, "arm: off\nstate: off\ncalls_null: 1000\n"),
				  "%s", text);
	KUNIT_EXPECT_NULL_MSG(test, strstr(text, "calls_more"), "%s", text);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NEW), 0);
	expect_reaches(test, &rnd, UPLIFT_ARM_NEW);
	read_file(test, mnt, "uplift_kunit/arm", text, sizeof(text));
	KUNIT_EXPECT_STREQ(test, text, "new\n");
	KUNIT_EXPECT_EQ_MSG(test, READ_ONCE(off), 1, "the writer of off did not wait");
	KUNIT_EXPECT_TRUE_MSG(test, holder_stop(&holder), "waited for a grace period");

	KUNIT_EXPECT_TRUE(test, eventually(!READ_ONCE(off)));
	expect_reaches(test, &rnd, UPLIFT_ARM_NEW);
	debugfs_remove(dir);
	flush_delayed_fput();
	kern_unmount(mnt);
}

/* --- several functions --- */

static const struct uplift_arm together_arms[ARMS] = {
	[UPLIFT_ARM_NULL]	= { .bodies = BODIES(UPLIFT_BODY(uplift_tried_null),
						     UPLIFT_BODY(uplift_tried_too_null)) },
	[UPLIFT_ARM_NEW]	= { .bodies = BODIES(UPLIFT_BODY(uplift_tried_new),
						     UPLIFT_BODY(uplift_tried_too_new)) },
};

static struct uplift_redirect together;
static struct uplift_function together_functions[2];

static void together_set_up(struct kunit *test)
{
	memset(together_functions, 0, sizeof(together_functions));
	together_functions[0].name = "uplift_tried";
	together_functions[1].name = "uplift_tried_too";
	redirect_fill(&together, together_arms, together_functions, 2);
	KUNIT_ASSERT_EQ(test, uplift_redirect_init(&together), 0);
}

/* Which arms the two functions go to, as they answer. */
static void expect_together(struct kunit *test, unsigned int first, unsigned int second)
{
	u64 entered = uplift_count_entered(uplift_tried_count, ARMS);

	KUNIT_EXPECT_EQ(test, uplift_tried(ASK_RESULT, 2, 3, 4, 5, 6),
			answer(first, ASK_RESULT, 2, 3, 4, 5, 6));
	KUNIT_EXPECT_EQ(test, uplift_tried_too(ASK_RESULT, 2, 3, 4, 5, 6),
			~answer(second, ASK_RESULT, 2, 3, 4, 5, 6));
	KUNIT_EXPECT_EQ(test, uplift_count_entered(uplift_tried_count, ARMS),
			entered + !!first + !!second);
}

static void functions_are_switched_together(struct kunit *test)
{
	static const enum uplift_arm_id order[] = {
		UPLIFT_ARM_NULL, UPLIFT_ARM_NEW, UPLIFT_ARM_OFF, UPLIFT_ARM_NEW, UPLIFT_ARM_NULL,
		UPLIFT_ARM_OFF,
	};
	int i;

	together_set_up(test);
	expect_together(test, UPLIFT_ARM_OFF, UPLIFT_ARM_OFF);
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		KUNIT_EXPECT_EQ(test, uplift_redirect_set(&together, order[i]), 0);
		expect_together(test, order[i], order[i]);
	}
	KUNIT_EXPECT_EQ(test, together.pins, 0);
	uplift_redirect_exit(&together);
}

static void let_through(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			struct ftrace_regs *regs)
{
}

/* Another hook that may change where the second function goes: the kernel allows one. */
static void hook_that_fails_is_rolled_back(struct kunit *test)
{
	struct ftrace_ops ops = {
		.func = let_through,
		.flags = FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED | FTRACE_OPS_FL_IPMODIFY,
	};

	together_set_up(test);
	KUNIT_ASSERT_EQ(test, ftrace_set_filter_ip(&ops, together_functions[1].site, 0, 1), 0);
	KUNIT_ASSERT_EQ(test, register_ftrace_function(&ops), 0);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&together, UPLIFT_ARM_NULL), -EBUSY);
	expect_together(test, UPLIFT_ARM_OFF, UPLIFT_ARM_OFF);
	KUNIT_EXPECT_EQ(test, together.arm, UPLIFT_ARM_OFF);
	KUNIT_EXPECT_EQ(test, together.pins, 0);
	KUNIT_EXPECT_EQ(test, unregister_ftrace_function(&ops), 0);
	ftrace_free_filter(&ops);

	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&together, UPLIFT_ARM_NULL), 0);
	expect_together(test, UPLIFT_ARM_NULL, UPLIFT_ARM_NULL);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&together, UPLIFT_ARM_OFF), 0);
	uplift_redirect_exit(&together);
}

/* The hook of the second function is gone, and the kernel does not change it, nor take it away. */
static void change_that_fails_is_rolled_back(struct kunit *test)
{
	const struct uplift_body *body = &together_arms[UPLIFT_ARM_NULL].bodies[1];
	struct uplift_function *second = &together_functions[1];
	unsigned long entry = COMPAT_FTRACE_JMP ? compat_ftrace_jmp((unsigned long)body->body) :
						  (unsigned long)body->entry;
	static const enum uplift_arm_id arms[] = { UPLIFT_ARM_NEW, UPLIFT_ARM_OFF };
	int i;

	together_set_up(test);
	KUNIT_ASSERT_EQ(test, uplift_redirect_set(&together, UPLIFT_ARM_NULL), 0);
	KUNIT_ASSERT_EQ(test, compat_ftrace_direct_unregister(&second->ops, entry), 0);
	for (i = 0; i < ARRAY_SIZE(arms); i++) {
		KUNIT_EXPECT_LT(test, uplift_redirect_set(&together, arms[i]), 0);
		expect_together(test, UPLIFT_ARM_NULL, UPLIFT_ARM_OFF);
		KUNIT_EXPECT_EQ(test, together.arm, UPLIFT_ARM_NULL);
		KUNIT_EXPECT_EQ(test, together.pins, 1);
	}

	KUNIT_EXPECT_EQ(test, compat_ftrace_direct_register(&second->ops, entry), 0);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&together, UPLIFT_ARM_NEW), 0);
	expect_together(test, UPLIFT_ARM_NEW, UPLIFT_ARM_NEW);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&together, UPLIFT_ARM_OFF), 0);
	expect_together(test, UPLIFT_ARM_OFF, UPLIFT_ARM_OFF);
	uplift_redirect_exit(&together);
}

/* --- changes --- */

static struct {
	enum uplift_verdict_kind kind;
	int probe_err, bind_err, check_err, start_err;
	char steps[32];
} asked;

static void step(const char *word)
{
	strlcat(asked.steps, word, sizeof(asked.steps));
}

static int asked_probe(struct uplift_change *change)
{
	step("p");
	change->verdict.kind = asked.kind;
	change->verdict.why = "as the test has it";
	return asked.probe_err;
}

static int asked_bind(void)
{
	step("b");
	return asked.bind_err;
}

static int asked_check(struct uplift_change *change)
{
	step("c");
	return asked.check_err;
}

static int asked_start(struct uplift_change *change)
{
	step("s");
	return asked.start_err;
}

static void asked_show(struct dentry *dir)
{
	step("d");
}

static void asked_stop(struct uplift_change *change)
{
	step("e");
}

static const struct uplift_arm asked_arms[ARMS] = {
	[UPLIFT_ARM_NULL]	= { .bind = asked_bind,
				    .bodies = BODIES(UPLIFT_BODY(uplift_tried_null)) },
	[UPLIFT_ARM_NEW]	= { .bind = asked_bind,
				    .bodies = BODIES(UPLIFT_BODY(uplift_tried_new)) },
	[UPLIFT_ARM_MORE]	= { .name = "more", .beyond = true, .bind = asked_bind,
				    .bodies = BODIES(UPLIFT_BODY(uplift_tried_more)) },
};

static const struct uplift_arm no_arms[ARMS];

static struct uplift_change change;

/* A change with such arms that has nothing but a probe, which gives this verdict. */
static void change_fill(const struct uplift_arm *arms, enum uplift_verdict_kind kind)
{
	redirect_fill(&redirect, arms, &tried_function, 1);
	memset(&change, 0, sizeof(change));
	change.name = "kunit";
	change.owner = THIS_MODULE;
	change.redirect = &redirect;
	change.probe = asked_probe;
	asked.kind = kind;
	asked.steps[0] = '\0';
}

/* Registering a change with such arms, or none: the result, and the steps that were taken. */
static int change_asked(const struct uplift_arm *arms, enum uplift_verdict_kind kind)
{
	uplift_redirect_exit(&redirect);
	memset(&tried_function, 0, sizeof(tried_function));
	tried_function.name = "uplift_tried";
	change_fill(arms, kind);
	if (!arms)
		change.redirect = NULL;
	change.ready = "ready";
	change.check = asked_check;
	change.start = asked_start;
	change.show = asked_show;
	change.stop = asked_stop;
	return uplift_change_register(&change);
}

/* For the suite, which takes it down. */
static void redirect_again(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, redirect_set_up(&redirect, &tried_function, "uplift_tried"), 0);
}

static void change_goes_through_its_steps(struct kunit *test)
{
	struct rnd_state rnd;

	memset(&asked, 0, sizeof(asked));
	prandom_seed_state(&rnd, 10);
	KUNIT_ASSERT_EQ(test, change_asked(asked_arms, UPLIFT_APPLICABLE), 0);
	KUNIT_EXPECT_STREQ(test, asked.steps, "pbbbcsd");
	KUNIT_EXPECT_STREQ(test, change.verdict.evidence, "function: uplift_tried\n");
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_MORE), 0);
	expect_reaches(test, &rnd, UPLIFT_ARM_MORE);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NEW), 0);
	expect_reaches(test, &rnd, UPLIFT_ARM_NEW);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_OFF), 0);
	uplift_change_unregister(&change);
	KUNIT_EXPECT_STREQ(test, asked.steps, "pbbbcsde");

	/* Without a redirect there is less of it. */
	redirect_again(test);
	KUNIT_ASSERT_EQ(test, change_asked(NULL, UPLIFT_APPLICABLE), 0);
	KUNIT_EXPECT_STREQ(test, asked.steps, "psd");
	uplift_change_unregister(&change);
	redirect_again(test);
}

/* Where the kernel has the change only what goes beyond it is of use. */
static void change_that_the_kernel_has(struct kunit *test)
{
	struct rnd_state rnd;

	memset(&asked, 0, sizeof(asked));
	prandom_seed_state(&rnd, 11);
	KUNIT_ASSERT_EQ(test, change_asked(asked_arms, UPLIFT_NATIVE), 0);
	KUNIT_EXPECT_STREQ(test, asked.steps, "pbbcsd");
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NEW), -EINVAL);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NULL), 0);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_MORE), 0);
	expect_reaches(test, &rnd, UPLIFT_ARM_MORE);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_OFF), 0);
	uplift_change_unregister(&change);
	redirect_again(test);
	KUNIT_EXPECT_EQ(test, change_asked(tried_arms, UPLIFT_NATIVE), -EEXIST);
	KUNIT_EXPECT_STREQ(test, asked.steps, "p");
	redirect_again(test);
}

/* Refused: with what, and after which step. */
static void change_that_is_refused(struct kunit *test)
{
	static const struct {
		const struct uplift_arm *arms;
		enum uplift_verdict_kind kind;
		int probe, bind, check, start, err;
		const char *steps;
	} cases[] = {
		{ asked_arms, UPLIFT_UNAFFECTED, 0, 0, 0, 0, -ENODEV, "p" },
		{ asked_arms, UPLIFT_UNSUPPORTED, 0, 0, 0, 0, -EOPNOTSUPP, "p" },
		{ NULL, UPLIFT_NATIVE, 0, 0, 0, 0, -EEXIST, "p" },
		{ asked_arms, UPLIFT_APPLICABLE, -ENOEXEC, 0, 0, 0, -ENOEXEC, "p" },
		{ no_arms, UPLIFT_APPLICABLE, 0, 0, 0, 0, -ENODEV, "p" },
		{ asked_arms, UPLIFT_APPLICABLE, 0, -ENOEXEC, 0, 0, -ENOEXEC, "pb" },
		{ asked_arms, UPLIFT_APPLICABLE, 0, 0, -EILSEQ, 0, -EILSEQ, "pbbbc" },
		{ asked_arms, UPLIFT_APPLICABLE, 0, 0, 0, -ENOMEM, -ENOMEM, "pbbbcs" },
		{ NULL, UPLIFT_APPLICABLE, 0, 0, 0, -ENOMEM, -ENOMEM, "ps" },
	};
	struct rnd_state rnd;
	int i;

	prandom_seed_state(&rnd, 12);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		asked.probe_err = cases[i].probe;
		asked.bind_err = cases[i].bind;
		asked.check_err = cases[i].check;
		asked.start_err = cases[i].start;
		KUNIT_EXPECT_EQ_MSG(test, change_asked(cases[i].arms, cases[i].kind), cases[i].err,
				    "case %d", i);
		KUNIT_EXPECT_STREQ_MSG(test, asked.steps, cases[i].steps, "case %d", i);
		redirect_again(test);
		expect_reaches(test, &rnd, UPLIFT_ARM_OFF);
	}
}

/*
 * What the compiler makes of the source is not the kernel's code: told where the
 * change is lacking, and only there.
 */
static void change_whose_bodies_were_not_made(struct kunit *test)
{
	static const struct {
		enum uplift_verdict_kind kind, is;
		int err;
	} cases[] = {
		{ UPLIFT_APPLICABLE, UPLIFT_UNSUPPORTED, -EOPNOTSUPP },
		{ UPLIFT_NATIVE, UPLIFT_NATIVE, -EEXIST },
		{ UPLIFT_UNAFFECTED, UPLIFT_UNAFFECTED, -ENODEV },
	};
	bool told;
	int i;

	memset(&asked, 0, sizeof(asked));
	uplift_redirect_exit(&redirect);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		change_fill(no_arms, cases[i].kind);
		change.unusable = "it is another compiler's";
		KUNIT_EXPECT_EQ_MSG(test, uplift_change_register(&change), cases[i].err,
				    "case %d", i);
		KUNIT_EXPECT_EQ_MSG(test, change.verdict.kind, cases[i].is, "case %d", i);
		told = strstr(change.verdict.evidence, "code: it is another compiler's\n");
		KUNIT_EXPECT_EQ_MSG(test, told, cases[i].is == UPLIFT_UNSUPPORTED, "case %d", i);
	}
	redirect_again(test);
}

static void change_by_a_method(struct kunit *test)
{
	static const struct {
		const char *word;
		int err;
	} methods[] = {
		{ "ftrace-direct" }, { "livepatch" }, { "kprobe", -EINVAL }, { "", -EINVAL },
	};
	char word[16], *method = word;
	int i;

	memset(&asked, 0, sizeof(asked));
	uplift_redirect_exit(&redirect);
	for (i = 0; i < ARRAY_SIZE(methods); i++) {
		strscpy(word, methods[i].word, sizeof(word));
		change_fill(asked_arms, UPLIFT_UNAFFECTED);
		change.method = &method;
		KUNIT_EXPECT_EQ_MSG(test, uplift_change_register(&change),
				    methods[i].err ?: -ENODEV, "%s", word);
		KUNIT_EXPECT_STREQ(test, asked.steps, methods[i].err ? "" : "p");
		KUNIT_EXPECT_EQ(test, redirect.livepatch, !strcmp(word, "livepatch"));
	}
	redirect_again(test);
}

/* --- who else is there --- */

static void second_redirect_is_refused(struct kunit *test)
{
	struct uplift_function *function = kunit_kzalloc(test, sizeof(*function), GFP_KERNEL);
	struct uplift_redirect *other = kunit_kzalloc(test, sizeof(*other), GFP_KERNEL);
	struct rnd_state rnd;
	char name[128] = "";

	KUNIT_ASSERT_NOT_NULL(test, function);
	KUNIT_ASSERT_NOT_NULL(test, other);
	prandom_seed_state(&rnd, 5);
	KUNIT_EXPECT_FALSE(test, uplift_conflict("uplift_tried", tried_function.site, name,
						 sizeof(name)));
	KUNIT_ASSERT_EQ(test, redirect_set_up(other, function, "uplift_tried"), 0);
	KUNIT_ASSERT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NULL), 0);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(other, UPLIFT_ARM_NEW), -EBUSY);
	KUNIT_EXPECT_EQ(test, other->arm, UPLIFT_ARM_OFF);
	KUNIT_EXPECT_EQ(test, other->pins, 0);
	KUNIT_EXPECT_TRUE(test, uplift_conflict("uplift_tried", function->site, name,
						sizeof(name)));
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(name, "uplift_tried_null"), "%s", name);
	expect_reaches(test, &rnd, UPLIFT_ARM_NULL);

	/* The other way round, once the first is off. */
	KUNIT_ASSERT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_OFF), 0);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(other, UPLIFT_ARM_NEW), 0);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NULL), -EBUSY);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(other, UPLIFT_ARM_OFF), 0);
	expect_reaches(test, &rnd, UPLIFT_ARM_OFF);
	uplift_redirect_exit(other);
}

/*
 * A trampoline of BPF's may be unknown to kallsyms. The log, which any user may
 * read, then had its address.
 */
static void hooker_without_a_name_told_an_address(struct kunit *test)
{
	/* Never called. In the reach of a call, and behind all that has a name. */
	unsigned long nowhere = PAGE_ALIGN((unsigned long)_end) + PAGE_SIZE;
	struct ftrace_ops ops = {};
	char name[128] = "";

	KUNIT_ASSERT_EQ(test, ftrace_set_filter_ip(&ops, tried_function.site, 0, 1), 0);
	KUNIT_ASSERT_EQ(test, compat_ftrace_direct_register(&ops, nowhere), 0);
	KUNIT_EXPECT_TRUE(test, uplift_conflict("uplift_tried", tried_function.site, name,
						sizeof(name)));
	KUNIT_EXPECT_STREQ(test, name, "ftrace-direct user (code without a name)");
	KUNIT_EXPECT_EQ(test, compat_ftrace_direct_unregister(&ops, nowhere), 0);
	ftrace_free_filter(&ops);
}

static int probe_hits;

static int probe_before(struct kprobe *probe, struct pt_regs *regs)
{
	probe_hits++;
	return 0;
}

static void uplift_kunit_probe_after(struct kprobe *probe, struct pt_regs *regs,
				     unsigned long flags)
{
	probe_hits++;
}

static void probe_with_post_handler_is_refused(struct kunit *test)
{
	struct kprobe probe = {
		.symbol_name = "uplift_tried",
		.post_handler = uplift_kunit_probe_after,
	};
	char name[128] = "";

	if (!IS_ENABLED(CONFIG_KPROBES_ON_FTRACE))
		kunit_skip(test, "probes do not use ftrace here, and are in nobody's way");
	KUNIT_ASSERT_EQ(test, register_kprobe(&probe), 0);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NULL), -EBUSY);
	KUNIT_EXPECT_EQ(test, redirect.arm, UPLIFT_ARM_OFF);
	KUNIT_EXPECT_TRUE(test, uplift_conflict("uplift_tried", tried_function.site, name,
						sizeof(name)));
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(name, "uplift_kunit_probe_after"), "%s", name);
	KUNIT_EXPECT_EQ(test, pins(), 0);
	unregister_kprobe(&probe);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NULL), 0);
}

/* One that does not change the way is no conflict, and sees every call. */
static void probe_without_post_handler_goes_along(struct kunit *test)
{
	struct kprobe probe = { .symbol_name = "uplift_tried", .pre_handler = probe_before };
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 6);
	probe_hits = 0;
	KUNIT_ASSERT_EQ(test, register_kprobe(&probe), 0);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NULL), 0);
	expect_reaches(test, &rnd, UPLIFT_ARM_NULL);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NEW), 0);
	expect_reaches(test, &rnd, UPLIFT_ARM_NEW);
	KUNIT_EXPECT_EQ(test, probe_hits, 2000);
	unregister_kprobe(&probe);
	expect_reaches(test, &rnd, UPLIFT_ARM_NEW);
}

/* What "stats" says of what has no effect in an arm. */
static const char *bypassed(unsigned int arm)
{
	static char text[512];
	struct seq_file m = { .buf = text, .size = sizeof(text) - 1 };

	memset(text, 0, sizeof(text));
	uplift_bypass_show(&m, &redirect, arm);
	return text;
}

/* Probes of a function of which the bodies have a copy. */
static void probes_that_are_bypassed(struct kunit *test)
{
	static const char expected[] = "bypassed: uplift_tried_too, kprobe at uplift_tried_";
	static const char * const copies[] = { "uplift_tried_too" };
	struct kprobe copy = { .symbol_name = "uplift_tried_too", .pre_handler = probe_before };
	struct kprobe entry = { .symbol_name = "uplift_tried", .pre_handler = probe_before };
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 10);
	redirect.copies = copies;
	redirect.nr_copies = ARRAY_SIZE(copies);
	KUNIT_EXPECT_STREQ(test, bypassed(UPLIFT_ARM_NEW), "");
	KUNIT_ASSERT_EQ(test, register_kprobe(&copy), 0);
	KUNIT_EXPECT_TRUE_MSG(test, strstarts(bypassed(UPLIFT_ARM_NEW), expected), "%s",
			      bypassed(UPLIFT_ARM_NEW));
	KUNIT_EXPECT_STREQ(test, bypassed(UPLIFT_ARM_NULL), "");
	KUNIT_EXPECT_STREQ(test, bypassed(UPLIFT_ARM_OFF), "");
	unregister_kprobe(&copy);
	KUNIT_EXPECT_STREQ(test, bypassed(UPLIFT_ARM_NEW), "");

	/* At the site it is hit on the way. */
	KUNIT_ASSERT_EQ(test, register_kprobe(&entry), 0);
	KUNIT_EXPECT_STREQ(test, bypassed(UPLIFT_ARM_NULL), "");
	unregister_kprobe(&entry);
	expect_reaches(test, &rnd, UPLIFT_ARM_OFF);
}

static ssize_t write_sysctl(struct file *file, const char *text)
{
	loff_t pos = 0;

	return kernel_write(file, text, strlen(text), &pos);
}

static void ftrace_that_is_off(struct kunit *test)
{
	struct file_system_type *type = get_fs_type("proc");
	struct vfsmount *mnt;
	struct rnd_state rnd;
	struct file *file;
	struct path path;

	if (!type || !IS_ENABLED(CONFIG_SYSCTL))
		kunit_skip(test, "needs CONFIG_PROC_FS and CONFIG_SYSCTL");
	prandom_seed_state(&rnd, 7);
	mnt = kern_mount(type);
	KUNIT_ASSERT_FALSE(test, IS_ERR(mnt));
	path.mnt = mnt;
	path.dentry = mnt->mnt_root;
	file = file_open_root(&path, "sys/kernel/ftrace_enabled", O_RDWR, 0);
	if (IS_ERR(file)) {
		kern_unmount(mnt);
		KUNIT_FAIL(test, "no sysctl kernel.ftrace_enabled (%pe)", file);
		return;
	}

	KUNIT_EXPECT_EQ(test, write_sysctl(file, "0"), 1);
	KUNIT_EXPECT_FALSE(test, uplift_ftrace_on());
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NULL), -EBUSY);
	expect_reaches(test, &rnd, UPLIFT_ARM_OFF);
	KUNIT_EXPECT_EQ(test, write_sysctl(file, "1"), 1);
	KUNIT_EXPECT_TRUE(test, uplift_ftrace_on());

	/* Once there is a redirect the kernel does not let it be turned off. */
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NULL), 0);
	KUNIT_EXPECT_EQ(test, write_sysctl(file, "0"), -EBUSY);
	expect_reaches(test, &rnd, UPLIFT_ARM_NULL);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_NEW), 0);
	KUNIT_EXPECT_EQ(test, write_sysctl(file, "0"), -EBUSY);
	expect_reaches(test, &rnd, UPLIFT_ARM_NEW);
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_OFF), 0);
	KUNIT_EXPECT_EQ(test, write_sysctl(file, "0"), 1);
	KUNIT_EXPECT_EQ(test, write_sysctl(file, "1"), 1);

	fput(file);
	flush_delayed_fput();
	kern_unmount(mnt);
}

/* --- the stack --- */

static noinline __noclone u64 uplift_kunit_asks_for_stack(void)
{
	u64 ret = uplift_tried(ASK_STACK, 2, 3, 4, 5, 6);

	/* Or the call would be a jump. */
	barrier();
	return ret;
}

/* Where a function is in a stack; -1 if it is not. */
static int frame_of(const unsigned long *stack, int saved, const char *function)
{
	char name[KSYM_SYMBOL_LEN];
	int i;

	for (i = 0; i < saved; i++) {
		snprintf(name, sizeof(name), "%ps", (void *)stack[i]);
		if (!strcmp(name, function))
			return i;
	}
	return -1;
}

static void stack_inside_a_body(struct kunit *test)
{
	static const struct {
		enum uplift_arm_id arm;
		const char *body;
	} arms[] = {
		{ UPLIFT_ARM_OFF, "uplift_tried" },
		{ UPLIFT_ARM_NULL, "uplift_tried_null" },
		{ UPLIFT_ARM_NEW, "uplift_tried_new" },
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(arms); i++) {
		int at;

		frames_saved = 0;
		reliable_frames_saved = 0;
		KUNIT_ASSERT_EQ(test, uplift_redirect_set(&redirect, arms[i].arm), 0);
		KUNIT_EXPECT_EQ(test, uplift_kunit_asks_for_stack(),
				answer(arms[i].arm, ASK_STACK, 2, 3, 4, 5, 6));

		/* Nothing is between the body and the caller. */
		at = frame_of(frames, frames_saved, arms[i].body);
		KUNIT_EXPECT_GE_MSG(test, at, 0, "%s", arms[i].body);
		KUNIT_EXPECT_EQ_MSG(test, frame_of(frames, frames_saved,
						   "uplift_kunit_asks_for_stack"), at + 1,
				    "%s", arms[i].body);

		KUNIT_EXPECT_GT_MSG(test, reliable_frames_saved, 0, "%s: not reliable",
				    arms[i].body);
		at = frame_of(reliable_frames, reliable_frames_saved, arms[i].body);
		KUNIT_EXPECT_GE_MSG(test, at, 0, "%s", arms[i].body);
		KUNIT_EXPECT_EQ_MSG(test, frame_of(reliable_frames, reliable_frames_saved,
						   "uplift_kunit_asks_for_stack"), at + 1,
				    "%s", arms[i].body);
	}
}

/* --- speed: reported, never judged --- */

static void speed_of_arms(struct kunit *test)
{
	static const char * const names[] = { "off", "null", "new" };
	int arm, i, calls = 100000;

	for (arm = UPLIFT_ARM_OFF; arm <= UPLIFT_ARM_NEW; arm++) {
		u64 start, sum = 0;

		KUNIT_ASSERT_EQ(test, uplift_redirect_set(&redirect, arm), 0);
		start = ktime_get_ns();
		for (i = 0; i < calls; i++)
			sum += uplift_tried(ASK_RESULT, i, 3, 4, 5, 6);
		start = ktime_get_ns() - start;
		KUNIT_EXPECT_NE(test, sum, 0);
		kunit_info(test, "%s: %llu ps per call", names[arm], div_u64(start * 1000, calls));
	}
}

static int redirect_init(struct kunit *test)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		memset(per_cpu_ptr(&uplift_tried_count[0], cpu), 0, sizeof(uplift_tried_count));
	gate_open = true;
	return redirect_set_up(&redirect, &tried_function, "uplift_tried");
}

static void redirect_exit(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_OFF), 0);
	KUNIT_EXPECT_TRUE(test, eventually(!pins()));
	uplift_redirect_exit(&redirect);
}

static struct kunit_case redirect_cases[] = {
	KUNIT_CASE(resolve_exactly_one),
	KUNIT_CASE(resolve_none),
	KUNIT_CASE(resolve_several),
	KUNIT_CASE(calls_are_counted),
	KUNIT_CASE(each_arm_reaches_its_body),
	KUNIT_CASE(arm_that_is_not_offered),
	KUNIT_CASE(function_that_cannot_be_redirected),
	KUNIT_CASE_SLOW(switching_under_callers),
	KUNIT_CASE_SLOW(tasks_asleep_inside),
	KUNIT_CASE_SLOW(no_grace_period_while_a_task_is_inside),
	KUNIT_CASE_SLOW(looks_back_off),
	KUNIT_CASE_SLOW(files_do_not_wait_for_a_grace_period),
	KUNIT_CASE(functions_are_switched_together),
	KUNIT_CASE(hook_that_fails_is_rolled_back),
	KUNIT_CASE(change_that_fails_is_rolled_back),
	KUNIT_CASE(change_goes_through_its_steps),
	KUNIT_CASE(change_that_the_kernel_has),
	KUNIT_CASE(change_that_is_refused),
	KUNIT_CASE(change_whose_bodies_were_not_made),
	KUNIT_CASE(change_by_a_method),
	KUNIT_CASE(second_redirect_is_refused),
	KUNIT_CASE(hooker_without_a_name_told_an_address),
	KUNIT_CASE(probe_with_post_handler_is_refused),
	KUNIT_CASE(probe_without_post_handler_goes_along),
	KUNIT_CASE(probes_that_are_bypassed),
	KUNIT_CASE(ftrace_that_is_off),
	KUNIT_CASE(stack_inside_a_body),
	KUNIT_CASE(speed_of_arms),
	{}
};

static struct kunit_suite redirect_suite = {
	.name = "uplift_redirect",
	.init = redirect_init,
	.exit = redirect_exit,
	.test_cases = redirect_cases,
};

kunit_test_suite(redirect_suite);

MODULE_DESCRIPTION("KUnit tests of the redirect engine");
MODULE_LICENSE("GPL");
