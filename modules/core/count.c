// SPDX-License-Identifier: GPL-2.0
/*
 * Counting tasks inside bodies. Pure logic: no hook.
 *
 * A body writes to its own CPU's counters only, one when it is entered and one
 * when it is left, maybe on another CPU. The number of tasks inside is the
 * difference of two sums, taken in an order in which it can be too large, never
 * too small.
 */
#include <linux/export.h>
#include <linux/percpu.h>

#include "body.h"
#include "count.h"

/**
 * uplift_count_calls - how often the bodies of an arm were entered
 * @count: the counters
 * @arm: the arm
 *
 * Context: any.
 * Return: calls since the counters were there.
 */
u64 uplift_count_calls(const struct uplift_count __percpu *count, unsigned int arm)
{
	u64 calls = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		calls += READ_ONCE(per_cpu_ptr(count, cpu)[arm].entered);
	return calls;
}
EXPORT_SYMBOL_GPL(uplift_count_calls);

/**
 * uplift_count_entered - how often any body was entered
 * @count: the counters
 * @arms: how many arms they are for
 *
 * Context: any.
 * Return: the sum of uplift_count_calls() over all arms.
 */
u64 uplift_count_entered(const struct uplift_count __percpu *count, unsigned int arms)
{
	unsigned int arm;
	u64 calls = 0;

	for (arm = 0; arm < arms; arm++)
		calls += uplift_count_calls(count, arm);
	return calls;
}
EXPORT_SYMBOL_GPL(uplift_count_entered);

/**
 * uplift_count_inside - how many tasks are in a body
 * @count: the counters
 * @arms: how many arms they are for
 *
 * Context: any.
 * Return: at least the number of tasks that were inside all the while; 0 means
 * that at one moment during the call no task was.
 */
u64 uplift_count_inside(const struct uplift_count __percpu *count, unsigned int arms)
{
	unsigned int arm;
	u64 left = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		for (arm = 0; arm < arms; arm++)
			left += READ_ONCE(per_cpu_ptr(count, cpu)[arm].left);
	/* A task that is seen to have left must be seen to have entered. */
	smp_rmb();
	return uplift_count_entered(count, arms) - left;
}
EXPORT_SYMBOL_GPL(uplift_count_inside);
