// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what in modules/core/ needs no hook: counting who is inside a
 * body, and verdicts. The rest is in redirect_kunit.c.
 */
#if !IS_ENABLED(CONFIG_KUNIT)
#error "this kernel has CONFIG_KUNIT off: the suite would load there and run nothing"
#endif

#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "../modules/core/body.h"
#include "../modules/core/count.h"
#include "../modules/core/uplift.h"

/* --- counting --- */

/* As a change that has an arm of its own. */
#define UPLIFT_ARM_MORE	UPLIFT_ARM_FIRST_OWN
#define ARMS		(UPLIFT_ARM_MORE + 1)

static DEFINE_PER_CPU(struct uplift_count[ARMS], uplift_tried_count);

static u64 calls_of(unsigned int arm)
{
	return uplift_count_calls(uplift_tried_count, arm);
}

static u64 entered(void)
{
	return uplift_count_entered(uplift_tried_count, ARMS);
}

static u64 inside(void)
{
	return uplift_count_inside(uplift_tried_count, ARMS);
}

static struct uplift_count *count_on(unsigned int cpu)
{
	return per_cpu_ptr(&uplift_tried_count[0], cpu);
}

static void count_clear(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		memset(count_on(cpu), 0, ARMS * sizeof(struct uplift_count));
}

static void count_of_nothing_is_zero(struct kunit *test)
{
	int arm;

	KUNIT_EXPECT_EQ(test, inside(), 0);
	KUNIT_EXPECT_EQ(test, entered(), 0);
	for (arm = 0; arm < ARMS; arm++)
		KUNIT_EXPECT_EQ(test, calls_of(arm), 0);
}

static void count_enters_and_leaves(struct kunit *test)
{
	int i;

	for (i = 1; i <= 100; i++) {
		UPLIFT_BODY_ENTER(tried, NEW);
		KUNIT_EXPECT_EQ(test, inside(), 1);
		UPLIFT_BODY_ENTER(tried, MORE);
		KUNIT_EXPECT_EQ(test, inside(), 2);
		UPLIFT_BODY_LEAVE(tried, NEW);
		KUNIT_EXPECT_EQ(test, inside(), 1);
		UPLIFT_BODY_LEAVE(tried, MORE);
		KUNIT_EXPECT_EQ(test, inside(), 0);
		KUNIT_EXPECT_EQ(test, entered(), 2 * i);
	}
	KUNIT_EXPECT_EQ(test, calls_of(UPLIFT_ARM_NULL), 0);
	KUNIT_EXPECT_EQ(test, calls_of(UPLIFT_ARM_NEW), 100);
	KUNIT_EXPECT_EQ(test, calls_of(UPLIFT_ARM_MORE), 100);
}

/* Each CPU's own difference means nothing, and may be below zero. */
static void count_of_who_left_elsewhere(struct kunit *test)
{
	unsigned int first = cpumask_first(cpu_possible_mask), last = first, cpu;

	for_each_possible_cpu(cpu)
		last = cpu;
	count_on(first)[UPLIFT_ARM_NULL].entered = 7;
	count_on(last)[UPLIFT_ARM_NULL].left = 5;
	count_on(last)[UPLIFT_ARM_NEW].entered = 3;
	count_on(first)[UPLIFT_ARM_NEW].left = 3;
	KUNIT_EXPECT_EQ(test, inside(), 2);
	KUNIT_EXPECT_EQ(test, entered(), 10);
	KUNIT_EXPECT_EQ(test, calls_of(UPLIFT_ARM_NULL), 7);

	/* Beyond what 32 bits hold, and past the end of a counter. */
	count_on(first)[UPLIFT_ARM_NULL].entered = U64_MAX;
	count_on(last)[UPLIFT_ARM_NULL].left = U64_MAX - 9;
	KUNIT_EXPECT_EQ(test, inside(), 9);
	count_on(first)[UPLIFT_ARM_NULL].entered = 2;
	KUNIT_EXPECT_EQ(test, inside(), 12);
}

#define WANDERERS	4
#define HOLDERS		3
#define LOOKS		20000

/* Enters here, leaves there, for ever. */
static int wander(void *data)
{
	unsigned int cpu = raw_smp_processor_id(), trips = 0;

	while (!kthread_should_stop()) {
		UPLIFT_BODY_ENTER(tried, NULL);
		if (!(++trips % 8)) {
			cpu = cpumask_next(cpu, cpu_online_mask);
			if (cpu >= nr_cpu_ids)
				cpu = cpumask_first(cpu_online_mask);
			set_cpus_allowed_ptr(current, cpumask_of(cpu));
		}
		/* Where there is one CPU only, others have to run while it is inside. */
		if (!(trips % 64))
			usleep_range(10, 50);
		else
			cond_resched();
		UPLIFT_BODY_LEAVE(tried, NULL);
	}
	return trips;
}

static void inside_is_never_too_small(struct kunit *test)
{
	struct task_struct *wanderers[WANDERERS];
	u64 seen, most = 0, too_small = 0;
	int i, trips = 0, at = 0;

	for (i = 0; i < HOLDERS; i++)
		UPLIFT_BODY_ENTER(tried, NEW);
	for (i = 0; i < WANDERERS; i++) {
		wanderers[i] = kthread_run(wander, NULL, "wander/%d", i);
		if (IS_ERR(wanderers[i]))
			break;
	}
	KUNIT_EXPECT_EQ(test, i, WANDERERS);

	/* A task that is seen to leave and not to enter makes it too small. */
	for (at = 0; at < LOOKS; at++) {
		seen = inside();
		if ((s64)seen < HOLDERS)
			too_small++;
		else
			most = max(most, seen);
		if (!(at % 32))
			usleep_range(10, 50);
	}

	while (i--)
		trips += kthread_stop(wanderers[i]);
	KUNIT_EXPECT_EQ(test, too_small, 0);
	KUNIT_EXPECT_GT(test, trips, WANDERERS * 8);
	KUNIT_EXPECT_EQ(test, inside(), HOLDERS);
	KUNIT_EXPECT_EQ(test, calls_of(UPLIFT_ARM_NULL), trips);
	for (i = 0; i < HOLDERS; i++)
		UPLIFT_BODY_LEAVE(tried, NEW);
	KUNIT_EXPECT_EQ(test, inside(), 0);
	kunit_info(test, "%d looks at %d passing through %d times on %u CPUs, %d inside: at most %llu seen",
		   LOOKS, WANDERERS, trips, num_online_cpus(), HOLDERS, most);
}

/* Reported, never judged. */
static void speed_of_counting(struct kunit *test)
{
	u32 calls = IS_ENABLED(CONFIG_UML) ? 1000000 : 100000, i;
	u64 start = ktime_get_ns();

	for (i = 0; i < calls; i++) {
		UPLIFT_BODY_ENTER(tried, NULL);
		UPLIFT_BODY_LEAVE(tried, NULL);
	}
	start = ktime_get_ns() - start;
	KUNIT_EXPECT_EQ(test, calls_of(UPLIFT_ARM_NULL), calls);
	kunit_info(test, "enter and leave: %llu ps", div_u64(start * 1000, calls));
}

/* --- verdicts --- */

static void verdict_words(struct kunit *test)
{
	KUNIT_EXPECT_STREQ(test, uplift_verdict_name(UPLIFT_APPLICABLE), "applicable");
	KUNIT_EXPECT_STREQ(test, uplift_verdict_name(UPLIFT_NATIVE), "native");
	KUNIT_EXPECT_STREQ(test, uplift_verdict_name(UPLIFT_UNAFFECTED), "unaffected");
	KUNIT_EXPECT_STREQ(test, uplift_verdict_name(UPLIFT_UNSUPPORTED), "unsupported");
	/* No verdict has been reached: do not try it. */
	KUNIT_EXPECT_STREQ(test, uplift_verdict_name(0), "unsupported");
	KUNIT_EXPECT_STREQ(test, uplift_verdict_name(99), "unsupported");
}

static void verdict_errnos(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, uplift_verdict_errno(UPLIFT_APPLICABLE), 0);
	KUNIT_EXPECT_EQ(test, uplift_verdict_errno(UPLIFT_NATIVE), -EEXIST);
	KUNIT_EXPECT_EQ(test, uplift_verdict_errno(UPLIFT_UNAFFECTED), -ENODEV);
	KUNIT_EXPECT_EQ(test, uplift_verdict_errno(UPLIFT_UNSUPPORTED), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, uplift_verdict_errno(99), -EOPNOTSUPP);
}

static struct uplift_verdict *verdict_new(struct kunit *test)
{
	struct uplift_verdict *verdict = kunit_kzalloc(test, sizeof(*verdict), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, verdict);
	return verdict;
}

static void evidence_is_lines(struct kunit *test)
{
	static const char text[] = "function: ep_send_events\nseen: 2 of 0x10\nlast: x\n";
	struct uplift_verdict *verdict = verdict_new(test);

	uplift_verdict_add(verdict, "function", "%s", "ep_send_events");
	uplift_verdict_add(verdict, "seen", "%d of %#x", 2, 16);
	uplift_verdict_add(verdict, "last", "%c", 'x');
	KUNIT_EXPECT_STREQ(test, verdict->evidence, text);
	KUNIT_EXPECT_EQ(test, verdict->len, strlen(text));
}

/* A line of every length, with every room left: all of it or nothing. */
static void evidence_is_cut_at_a_lines_end(struct kunit *test)
{
	struct uplift_verdict *verdict = verdict_new(test);
	char *line = kunit_kzalloc(test, UPLIFT_EVIDENCE_SIZE + 16, GFP_KERNEL);
	int room, len, wrong = 0;

	KUNIT_ASSERT_NOT_NULL(test, line);
	for (room = 0; room < 40; room++) {
		for (len = 4; len < 44; len++) {
			size_t before = UPLIFT_EVIDENCE_SIZE - 1 - room;

			/* "k: ...\n", of before and then of len bytes. */
			memset(verdict, 0, sizeof(*verdict));
			memset(line, 'x', before);
			line[before - 4] = '\0';
			uplift_verdict_add(verdict, "k", "%s", line);
			KUNIT_ASSERT_EQ(test, verdict->len, before);
			line[len - 4] = '\0';
			uplift_verdict_add(verdict, "k", "%s", line);

			wrong += verdict->len != before + (len <= room ? len : 0);
			wrong += verdict->len != strlen(verdict->evidence);
			wrong += verdict->evidence[verdict->len - 1] != '\n';
		}
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);

	/* A shorter one that comes later still fits. */
	memset(verdict, 0, sizeof(*verdict));
	memset(line, 'x', UPLIFT_EVIDENCE_SIZE);
	uplift_verdict_add(verdict, "long", "%s", line);
	KUNIT_EXPECT_EQ(test, verdict->len, 0);
	uplift_verdict_add(verdict, "short", "%d", 1);
	KUNIT_EXPECT_STREQ(test, verdict->evidence, "short: 1\n");
}

/*
 * One of two functions of this name in the kernel, the other is in
 * redirect_kunit.c: looking it up finds both.
 */
static noinline __used void uplift_kunit_twin(void)
{
	barrier();
}

static int core_init(struct kunit *test)
{
	count_clear();
	uplift_kunit_twin();
	return 0;
}

static struct kunit_case core_cases[] = {
	KUNIT_CASE(count_of_nothing_is_zero),
	KUNIT_CASE(count_enters_and_leaves),
	KUNIT_CASE(count_of_who_left_elsewhere),
	KUNIT_CASE_SLOW(inside_is_never_too_small),
	KUNIT_CASE(speed_of_counting),
	KUNIT_CASE(verdict_words),
	KUNIT_CASE(verdict_errnos),
	KUNIT_CASE(evidence_is_lines),
	KUNIT_CASE(evidence_is_cut_at_a_lines_end),
	{}
};

static struct kunit_suite core_suite = {
	.name = "uplift_core",
	.init = core_init,
	.test_cases = core_cases,
};

kunit_test_suite(core_suite);

MODULE_DESCRIPTION("KUnit tests of counting and verdicts");
MODULE_LICENSE("GPL");
