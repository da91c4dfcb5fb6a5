/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Weighted virtual time, as EEVDF has it: a task's virtual time passes the slower
 * the more it weighs, and the queue's clock passes as that of a task that gets its
 * share would. Who is behind the clock was given too little. Pure arithmetic, for
 * the BPF part and for the unit tests, which hold it against an exact model.
 *
 * Units: nanoseconds of a task of nice 0. Virtual times are compared by their
 * difference, so that they may wrap.
 */
#ifndef _UPLIFT_SCHED_FAIR_H
#define _UPLIFT_SCHED_FAIR_H

#ifndef __VMLINUX_H__
#include <stdbool.h>
#endif

#include "shared.h"

#define FAIR_UNIT	1024ULL		/* the weight of nice 0 */
#define FAIR_SHIFT	10		/* binary digits behind the point, in effective weights */
#define FAIR_IDLE	3		/* the weight of SCHED_IDLE */
/* In how much of its watchdog's limit a task must have had a turn. */
#define FAIR_PATIENCE	4

#define FAIR_NICE0	120		/* static_prio of nice 0 */
#define FAIR_NICE_LEVELS	40

/* What EEVDF gives to nice -20 to 19: a level is 25%. */
static const u32 fair_weights[FAIR_NICE_LEVELS] = {
	88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
	9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
	1024, 820, 655, 526, 423, 335, 272, 215, 172, 137,
	110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
};

/* A task's weight, by its static priority; nothing else than 100 to 139 is a normal one's. */
static inline u64 fair_weight(u32 static_prio, bool idle_policy)
{
	u32 level = static_prio - (FAIR_NICE0 - 20);

	if (idle_policy)
		return FAIR_IDLE;
	return level < FAIR_NICE_LEVELS ? fair_weights[level] : FAIR_UNIT;
}

/* A cgroup's, from cpu.weight (1 to 10,000, 100 is a task of nice 0). */
static inline u64 fair_group_weight(u64 cpu_weight)
{
	u64 weight = cpu_weight * FAIR_UNIT / 100;

	return weight ? weight : 1;
}

/*
 * What a weight within a group is worth outside of it: the group's weight, divided
 * among those in it that are ready. Both weights are effective ones; @sum is not.
 */
static inline u64 fair_within(u64 weight, u64 group_weight, u64 sum)
{
	u64 worth;

	/* who counts itself in last is not in the sum yet */
	if (sum << FAIR_SHIFT < weight)
		sum = (weight >> FAIR_SHIFT) + 1;
	worth = weight * group_weight / sum;
	return worth ? worth : 1;
}

/* Virtual time that run time is: for a task with its effective weight. */
static inline u64 fair_charge(u64 ran, u64 weight)
{
	return ran * (FAIR_UNIT << FAIR_SHIFT) / (weight ? weight : 1);
}

/*
 * How far a task may get ahead of the clock: so far that it has its turn within
 * @patience where tasks of @load (effective weight) share @cpus.
 */
static inline u64 fair_ahead(u64 patience, u64 load, u32 cpus)
{
	u64 cap = patience, ahead;

	if (load <= FAIR_UNIT << FAIR_SHIFT)
		return cap;
	ahead = patience * (cpus ? cpus : 1) / (load >> FAIR_SHIFT) * FAIR_UNIT;
	return ahead > cap ? cap : ahead;
}

/*
 * How far behind others a task is placed whose bursts are of @burst: not so far
 * that it alone has it wait for more than @most where tasks of @load share @cpus.
 */
static inline u64 fair_late(u64 burst, u64 weight, u64 most, u64 load, u32 cpus)
{
	u64 late = fair_charge(burst, weight), cap = fair_ahead(most, load, cpus);

	return late > cap ? cap : late;
}

/* Keep a task within what may be behind and ahead of the clock. */
static inline u64 fair_clamp(u64 vtime, u64 clock, u64 behind, u64 ahead)
{
	s64 lag = (s64)(vtime - clock);

	if (lag < -(s64)behind)
		return clock - behind;
	return lag > (s64)ahead ? clock + ahead : vtime;
}

#endif /* _UPLIFT_SCHED_FAIR_H */
