// SPDX-License-Identifier: GPL-2.0
/*
 * Domains as prediction and counting need them. Pure logic.
 *
 * Moves are counted between cache domains, or their parts where the scheduler
 * splits them. A preference is found among the domains that the scheduler has;
 * where its view is not known they are taken to be the same.
 */
#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "llc_spans.h"

static struct llc_spans *spans_alloc(unsigned int nr_cpus, unsigned int nr_parts)
{
	struct llc_spans *spans = kzalloc(sizeof(*spans), GFP_KERNEL);

	if (!spans)
		return NULL;
	spans->nr_cpus = nr_cpus;
	spans->nr_parts = nr_parts;
	spans->part_of = kvcalloc(nr_cpus, sizeof(*spans->part_of), GFP_KERNEL);
	spans->span_of = kvcalloc(nr_cpus, sizeof(*spans->span_of), GFP_KERNEL);
	spans->first = kvcalloc(nr_cpus + 1, sizeof(*spans->first), GFP_KERNEL);
	spans->cpus = kvcalloc(nr_cpus, sizeof(*spans->cpus), GFP_KERNEL);
	spans->room = kvcalloc(nr_cpus, sizeof(*spans->room), GFP_KERNEL);
	spans->pairs = kvcalloc(max(nr_parts, 1U), array_size(max(nr_parts, 1U),
							      sizeof(*spans->pairs)),
				GFP_KERNEL);
	if (spans->part_of && spans->span_of && spans->first && spans->cpus && spans->room &&
	    spans->pairs)
		return spans;
	llc_spans_free(spans);
	return NULL;
}

/**
 * llc_spans_free - free them
 * @spans: the domains, or NULL
 */
void llc_spans_free(struct llc_spans *spans)
{
	if (!spans)
		return;
	kvfree(spans->part_of);
	kvfree(spans->span_of);
	kvfree(spans->first);
	kvfree(spans->cpus);
	kvfree(spans->room);
	kvfree(spans->pairs);
	kfree(spans);
}

/* The share of the cache that the CPUs in @cpu's scheduling domain have. */
static void make_room(struct llc_spans *spans, const struct llc_facts *facts,
		      const struct llc_map *map, unsigned int cpu)
{
	const struct llc_fact *fact = &facts->cpu[cpu];
	struct llc_room *room = &spans->room[cpu];
	int at = spans->span_of[cpu];
	unsigned int sharing;

	room->cpus = at >= 0 ? spans->first[at + 1] - spans->first[at] : 1;
	room->smt = facts->threads;
	room->numa = facts->numa;
	if (map->domain_of[cpu] < 0)
		return;
	sharing = map->domains[map->domain_of[cpu]].online;
	room->bytes = div_u64((u64)fact->size_kib * 1024 * room->cpus, max(sharing, 1U));
}

static void make_spans(struct llc_spans *spans, const struct llc_facts *view,
		       const struct llc_map *map)
{
	unsigned int at, i, nr = 0;

	spans->nr = map->nr_domains;
	for (at = 0; at < map->nr_domains; at++) {
		const struct llc_domain *domain = &map->domains[at];

		spans->first[at] = nr;
		for (i = 0; i < domain->nr; i++) {
			unsigned int cpu = map->cpus[domain->first + i];

			if (!view->cpu[cpu].online)
				continue;
			spans->cpus[nr++] = cpu;
			spans->span_of[cpu] = at;
		}
		/* It does not make sense to gather on one CPU. */
		if (nr - spans->first[at] > 1 && view->cpu[domain->leader].sched_more)
			spans->active = true;
	}
	spans->first[at] = nr;
}

/**
 * llc_spans_make - derive them
 * @facts: what is known of the machine
 * @map: the cache domains, made from @facts
 *
 * Context: process context, may sleep.
 * Return: the domains, or NULL if there is no memory.
 */
struct llc_spans *llc_spans_make(const struct llc_facts *facts, const struct llc_map *map)
{
	struct llc_facts view = *facts;
	struct llc_spans *spans;
	struct llc_map by_sched;
	unsigned int cpu;

	spans = spans_alloc(facts->nr_cpus, map->nr_parts);
	if (!spans)
		return NULL;
	memcpy(spans->part_of, map->part_of, facts->nr_cpus * sizeof(*map->part_of));

	/* Group by the scheduler's masks as by the hardware's. */
	view.cpu = kvmalloc_array(facts->nr_cpus, sizeof(*view.cpu), GFP_KERNEL);
	if (llc_map_init(&by_sched, facts->nr_cpus) || !view.cpu) {
		llc_spans_free(spans);
		spans = NULL;
		goto out;
	}
	for (cpu = 0; cpu < facts->nr_cpus; cpu++) {
		view.cpu[cpu] = facts->cpu[cpu];
		if (facts->sched)
			view.cpu[cpu].cache_cpus = facts->cpu[cpu].sched_cpus;
		else
			view.cpu[cpu].sched_more = map->nr_domains > 1;
		spans->span_of[cpu] = -1;
	}
	llc_map_build(&by_sched, &view);
	make_spans(spans, &view, &by_sched);
	for (cpu = 0; cpu < facts->nr_cpus; cpu++)
		make_room(spans, facts, map, cpu);
out:
	llc_map_free(&by_sched);
	kvfree(view.cpu);
	return spans;
}

/**
 * llc_spans_same - are they equal?
 * @one: domains
 * @other: of the same machine, later
 *
 * Return: whether they are, whatever was counted.
 */
bool llc_spans_same(const struct llc_spans *one, const struct llc_spans *other)
{
	unsigned int cpu;

	if (one->nr != other->nr || one->active != other->active ||
	    one->nr_parts != other->nr_parts)
		return false;
	for (cpu = 0; cpu < one->nr_cpus; cpu++) {
		const struct llc_room *room = &one->room[cpu], *same = &other->room[cpu];

		if (one->part_of[cpu] != other->part_of[cpu] ||
		    one->span_of[cpu] != other->span_of[cpu] ||
		    room->cpus != same->cpus || room->bytes != same->bytes ||
		    room->smt != same->smt || room->numa != same->numa)
			return false;
	}
	return true;
}

/* What a part has become: where the first of its CPUs that is in one is now. */
static int became(const struct llc_spans *to, const struct llc_spans *from, int part)
{
	unsigned int cpu;

	for (cpu = 0; cpu < from->nr_cpus; cpu++)
		if (from->part_of[cpu] == part && to->part_of[cpu] >= 0)
			return to->part_of[cpu];
	return -1;
}

/**
 * llc_spans_carry - take counts over
 * @to: the domains as they are now
 * @from: as they were; counts of a part that is gone are lost
 */
void llc_spans_carry(struct llc_spans *to, const struct llc_spans *from)
{
	unsigned int one, other;

	for (one = 0; one < from->nr_parts; one++) {
		int now = became(to, from, one);

		for (other = 0; now >= 0 && other < from->nr_parts; other++) {
			s64 count = atomic64_read(&from->pairs[one * from->nr_parts + other]);
			int then = count ? became(to, from, other) : -1;

			if (then >= 0)
				atomic64_add(count, &to->pairs[now * to->nr_parts + then]);
		}
	}
}
