// SPDX-License-Identifier: GPL-2.0
/*
 * Tests the arithmetic of fair.h: against what the kernel documents of nice levels,
 * against arithmetic of 128 bits, and by machines in which a CPU always runs the
 * task that had the least. What tasks get there is compared with the exact answer,
 * which is found without virtual time: CPUs are poured out over weights.
 *
 * KTAP on stdout; exit status 0 or 1.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fair.h"

#define MAX	24
#define TICK	4000000ULL

struct node {
	int parent;		/* a group's number, or -1 */
	u64 weight;
	bool task;
	u64 vtime, ran;
	double exact;
};

static struct node nodes[MAX];
static int nr_nodes, number, failed;

static void result(const char *name, const char *wrong)
{
	printf("%sok %d %s\n", *wrong ? "not " : "", ++number, name);
	if (*wrong) {
		printf("# %s\n", wrong);
		failed++;
	}
}

static int add(int parent, u64 weight, bool task)
{
	nodes[nr_nodes] = (struct node){ .parent = parent, .weight = weight, .task = task };
	return nr_nodes++;
}

/* --- the exact answer --- */

static int tasks_below(int group)
{
	int i, up, count = 0;

	for (i = 0; i < nr_nodes; i++) {
		for (up = i; up >= 0 && up != group; up = nodes[up].parent)
			;
		count += nodes[i].task && up == group;
	}
	return count;
}

static double flat(int at)
{
	double sum = 0;
	int i;

	if (nodes[at].parent < 0)
		return nodes[at].weight;
	for (i = 0; i < nr_nodes; i++)
		sum += nodes[i].parent == nodes[at].parent ? nodes[i].weight : 0;
	return flat(nodes[at].parent) * nodes[at].weight / sum;
}

/* No task can have more than a CPU: what is over goes to the others, by their weights. */
static void pour(int cpus)
{
	bool full[MAX] = {};
	double left = cpus, sum;
	int i, changed = 1;

	while (changed) {
		changed = 0;
		for (i = 0, sum = 0; i < nr_nodes; i++)
			sum += nodes[i].task && !full[i] ? flat(i) : 0;
		for (i = 0; i < nr_nodes; i++) {
			if (!nodes[i].task || full[i])
				continue;
			nodes[i].exact = left * flat(i) / sum;
			if (nodes[i].exact >= 1) {
				nodes[i].exact = 1;
				full[i] = true;
				left -= 1;
				changed = 1;
				break;
			}
		}
	}
}

/* --- the machine --- */

static u64 sum_in(int group)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < nr_nodes; i++)
		sum += nodes[i].parent == group ? nodes[i].weight : 0;
	return sum;
}

static u64 worth(int at)
{
	u64 weight = nodes[at].weight << FAIR_SHIFT;

	for (at = nodes[at].parent; at >= 0; at = nodes[at].parent)
		weight = fair_within(weight, nodes[at].weight, sum_in(at));
	return weight;
}

static void run(int cpus, int ticks)
{
	u64 clock = 1ULL << 63, load = 0;	/* times wrap in what is compared */
	int i, j, tick;

	for (i = 0; i < nr_nodes; i++) {
		nodes[i].vtime = clock;
		load += nodes[i].task ? worth(i) : 0;
	}
	for (tick = 0; tick < ticks; tick++) {
		bool runs[MAX] = {};

		for (j = 0; j < cpus; j++) {
			int best = -1;

			for (i = 0; i < nr_nodes; i++) {
				if (nodes[i].task && !runs[i] &&
				    (best < 0 || (s64)(nodes[i].vtime - nodes[best].vtime) < 0))
					best = i;
			}
			if (best < 0)
				break;
			runs[best] = true;
		}
		for (i = 0; i < nr_nodes; i++) {
			if (!runs[i])
				continue;
			nodes[i].ran += TICK;
			nodes[i].vtime += fair_charge(TICK, worth(i));
			clock += fair_charge(TICK, load);
			if ((s64)(nodes[i].vtime - clock) < 0)
				nodes[i].vtime = fair_clamp(nodes[i].vtime, clock, 10000000,
							    1ULL << 40);
		}
	}
}

static void shares(const char *name, int cpus)
{
	char wrong[256] = "";
	int i, ticks = 50000;

	pour(cpus);
	run(cpus, ticks);
	for (i = 0; i < nr_nodes; i++) {
		double got = (double)nodes[i].ran / TICK / ticks;

		if (nodes[i].task && (got - nodes[i].exact > 0.01 || nodes[i].exact - got > 0.01) &&
		    !*wrong)
			snprintf(wrong, sizeof(wrong), "task %d of %d: %.4f of a CPU, not %.4f",
				 i, nr_nodes, got, nodes[i].exact);
	}
	result(name, wrong);
	nr_nodes = 0;
}

static void tasks(int count, int nice, int group)
{
	while (count--)
		add(group, fair_weight(FAIR_NICE0 + nice, false), true);
}

static void known_machines(void)
{
	int one, other;

	tasks(1, 0, -1);
	tasks(1, 19, -1);
	shares("nice_0_and_19", 1);
	tasks(1, -20, -1);
	tasks(1, 0, -1);
	shares("nice_minus_20_and_0", 1);
	tasks(2, 0, -1);
	tasks(8, 19, -1);
	shares("mixed_on_two_cpus", 2);
	tasks(1, -20, -1);
	tasks(5, 0, -1);
	shares("one_that_weighs_more_than_a_cpu", 2);
	one = add(-1, fair_group_weight(10), false);
	other = add(-1, fair_group_weight(1000), false);
	tasks(1, 0, one);
	tasks(3, 0, other);
	shares("groups_10_and_1000", 1);
	one = add(-1, fair_group_weight(100), false);
	other = add(add(-1, fair_group_weight(100), false), fair_group_weight(300), false);
	tasks(1, 0, one);
	tasks(7, 0, other);
	shares("nested_1_and_7", 1);
}

static void random_machines(void)
{
	unsigned int seed;

	for (seed = 1; seed <= 20; seed++) {
		int groups[4] = { -1 }, i, nr = 1;
		char name[32];

		srand(seed);
		for (i = 0; i < 3; i++) {
			int group = add(groups[rand() % nr], fair_group_weight(20 + rand() % 500),
					false);

			groups[nr++] = group;
		}
		/* one in each, so that none is empty */
		for (i = 0; i < 4; i++)
			tasks(1, rand() % 10 - 5, groups[i]);
		for (i = rand() % 10; i > 0; i--)
			tasks(1, rand() % 10 - 5, groups[rand() % 4]);
		snprintf(name, sizeof(name), "random_machine_%u", seed);
		for (i = 0; i < nr_nodes; i++) {
			if (!nodes[i].task && !tasks_below(i))
				exit(1);
		}
		shares(name, 1 + rand() % 3);
	}
}

/* "A nice level is 10% of CPU", said sched(7) and sched.c: a factor of 1.25. */
static void weights(void)
{
	char wrong[128] = "";
	double is, want = 1024;
	int nice;

	for (nice = 0; nice < 20; nice++, want /= 1.25) {
		is = fair_weight(FAIR_NICE0 + nice, false);
		if (is < want * 0.9 - 1 || is > want * 1.1 + 1)
			snprintf(wrong, sizeof(wrong), "nice %d: %g, not about %g", nice, is, want);
	}
	for (nice = 0, want = 1024; nice >= -20; nice--, want *= 1.25) {
		is = fair_weight(FAIR_NICE0 + nice, false);
		if (is < want * 0.9 || is > want * 1.1)
			snprintf(wrong, sizeof(wrong), "nice %d: %g, not about %g", nice, is, want);
	}
	if (fair_weight(FAIR_NICE0, true) >= fair_weight(FAIR_NICE0 + 19, false))
		snprintf(wrong, sizeof(wrong), "SCHED_IDLE weighs as much as nice 19");
	result("weights_are_levels_of_a_quarter", wrong);
}

/* No run time of a minute, and no weight, overflows. */
static void charges(void)
{
	u64 ran = 60000000000ULL / 4, heaviest = (u64)88761 << FAIR_SHIFT, weight;
	char wrong[128] = "";

	for (weight = 1; weight <= heaviest; weight = weight * 3 + 1) {
		unsigned __int128 exact = (unsigned __int128)ran * 1024 * 1024 / weight;

		if (fair_charge(ran, weight) != (u64)exact)
			snprintf(wrong, sizeof(wrong), "weight %llu", (unsigned long long)weight);
	}
	result("charge_is_exact", wrong);
}

static void bounds(void)
{
	char wrong[128] = "";
	u64 clock, ahead;

	for (clock = -3ULL; clock != 3; clock++) {
		if (fair_clamp(clock - 5, clock, 2, 4) != clock - 2 ||
		    fair_clamp(clock + 5, clock, 2, 4) != clock + 4 ||
		    fair_clamp(clock + 3, clock, 2, 4) != clock + 3)
			snprintf(wrong, sizeof(wrong), "at %llu", (unsigned long long)clock);
	}
	/* 100 of nice 0 on a CPU: whoever is that far ahead waits for a second */
	ahead = fair_ahead(1000000000, 100ULL * 1024 << FAIR_SHIFT, 1);
	if (ahead != 1000000000 / 100 / 1024 * 1024 && ahead / 1000 != 9999 &&
	    ahead / 1000 != 10000)
		snprintf(wrong, sizeof(wrong), "100 tasks: %llu ns ahead",
			 (unsigned long long)ahead);
	result("bounds_hold_where_time_wraps", wrong);
}

/*
 * One CPU, a task that always computes, and pairs of which one computes for 50 us and
 * wakes the other: one of each pair is always ready. How long does the first wait?
 */
static u64 longest_wait(int pairs)
{
	u64 load = (u64)(pairs + 1) * FAIR_UNIT << FAIR_SHIFT, each = FAIR_UNIT << FAIR_SHIFT;
	u64 clock = 1ULL << 63, hog = clock, pair[16][2], now = 0, since = 0, longest = 0;
	int turn[16] = {}, i, best;

	for (i = 0; i < 2 * pairs; i++)
		pair[i / 2][i % 2] = clock;
	while (now < 3000000000ULL) {
		u64 ran = 50000, key = hog + fair_late(3000000000ULL, each, 30000000, load, 1);

		for (i = 0, best = -1; i < pairs; i++) {
			u64 other = pair[i][turn[i]] + 50000;

			if ((s64)(other - key) < 0) {
				best = i;
				key = other;
			}
		}
		if (best < 0) {
			longest = now - since > longest ? now - since : longest;
			ran = 4000000;
			hog += ran;
			since = now + ran;
		} else {
			pair[best][turn[best]] += ran;
			turn[best] ^= 1;
		}
		now += ran;
		clock += fair_charge(ran, load);
		if (best >= 0)
			pair[best][turn[best]] = fair_clamp(pair[best][turn[best]], clock, 6000000,
							    1ULL << 40);
	}
	return longest;
}

static void hog_beside_pairs(void)
{
	char wrong[128] = "";
	int pairs;

	for (pairs = 1; pairs <= 16; pairs++) {
		/* 30 ms, and twice what its share of 4 ms turns makes it wait */
		u64 limit = 30000000 + 8000000ULL * (pairs + 1), longest = longest_wait(pairs);

		if (longest > limit)
			snprintf(wrong, sizeof(wrong), "%d pairs: it waits for %llu us", pairs,
				 (unsigned long long)longest / 1000);
	}
	result("who_always_computes_waits_30_ms", wrong);
}

int main(void)
{
	printf("TAP version 13\n1..%d\n", 30);
	weights();
	charges();
	bounds();
	known_machines();
	random_machines();
	hog_beside_pairs();
	return failed || number != 30;
}
