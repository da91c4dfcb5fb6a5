// SPDX-License-Identifier: GPL-2.0
/*
 * What the running kernel knows of every CPU.
 *
 * The hardware's view is cacheinfo's, which modules reach through the devices
 * that sysfs shows: cpuN has a child "cache", and that one child per cache with
 * struct cacheinfo as its driver data. The scheduler's is the span of sd_llc,
 * the topmost domain that shares a last-level cache.
 */
#include <linux/bitmap.h>
#include <linux/cacheinfo.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/device.h>
#include <linux/errno.h>
#include <linux/jump_label.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/sched/isolation.h>
#include <linux/sched/topology.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/topology.h>
#include <linux/utsname.h>

#include "llc_cas.h"
#include "llc_facts.h"
#include "topology.h"
#include "uplift.h"

/* The scheduler's own, per CPU; NULL where they were not found. */
static struct sched_domain __rcu * __percpu *kernel_sd_llc;
static int __percpu *kernel_sd_llc_id;
/* Threads per core that are in use; NULL where siblings have to be counted. */
static const unsigned int *kernel_smt_threads;
static struct static_key *kernel_numa_balancing;

/**
 * llc_facts_init - find what is not exported
 *
 * Context: process context, may sleep.
 */
void llc_facts_init(void)
{
	unsigned long addr;

	if (!uplift_resolve("sd_llc", &addr))
		kernel_sd_llc = (struct sched_domain __rcu * __percpu *)addr;
	if (!uplift_resolve("sd_llc_id", &addr))
		kernel_sd_llc_id = (int __percpu *)addr;
	if (!uplift_resolve("cpu_smt_num_threads", &addr))
		kernel_smt_threads = (const unsigned int *)addr;
	if (!uplift_resolve("sched_numa_balancing", &addr))
		kernel_numa_balancing = (struct static_key *)addr;
}

/**
 * llc_facts_numa - is NUMA balancing on?
 *
 * Return: whether it is; then tasks have preferred nodes and footprints.
 */
bool llc_facts_numa(void)
{
	return kernel_numa_balancing && static_key_count(kernel_numa_balancing) > 0;
}

/**
 * llc_facts_sched - is the scheduler's view known?
 *
 * Return: whether its domains were found.
 */
bool llc_facts_sched(void)
{
	return kernel_sd_llc;
}

static int visit_index(struct device *dev, void *data)
{
	const struct cacheinfo **last = data;
	const struct cacheinfo *cache = dev_get_drvdata(dev);

	if (!cache || !strstarts(dev_name(dev), "index") || cache->type == CACHE_TYPE_INST)
		return 0;
	if (!*last || cache->level > (*last)->level)
		*last = cache;
	return 0;
}

static int visit_child(struct device *dev, void *data)
{
	return strcmp(dev_name(dev), "cache") ? 0 : device_for_each_child(dev, data, visit_index);
}

/* The highest level that holds data. */
static const struct cacheinfo *last_cache(unsigned int cpu)
{
	const struct cacheinfo *last = NULL;
	struct device *dev = get_cpu_device(cpu);

	if (dev)
		device_for_each_child(dev, &last, visit_child);
	return last;
}

/* The same bits, at one address for all CPUs that have them, if @cpu is not the first. */
static const unsigned long *known_mask(const struct llc_facts *facts, unsigned int cpu,
				       const unsigned long *mask)
{
	unsigned int lowest = find_first_bit(mask, facts->nr_cpus);
	const unsigned long *known = lowest < cpu ? facts->cpu[lowest].cache_cpus : NULL;

	return known && bitmap_equal(known, mask, facts->nr_cpus) ? known : mask;
}

static void take_cache(const struct llc_facts *facts, struct llc_fact *fact, unsigned int cpu)
{
	const struct cacheinfo *cache = last_cache(cpu);

	if (!cache)
		return;
	fact->cache_cpus = known_mask(facts, cpu, cpumask_bits(&cache->shared_cpu_map));
	fact->level = cache->level;
	fact->type = cache->type == CACHE_TYPE_DATA ? LLC_DATA : LLC_UNIFIED;
	fact->size_kib = cache->size >> 10;
	fact->ways = cache->ways_of_associativity;
	fact->line = cache->coherency_line_size;
	if (cache->attributes & CACHE_ID)
		fact->id[LLC_CACHEINFO] = cache->id;
}

static void take_place(struct llc_fact *fact, unsigned int cpu)
{
	fact->id[LLC_TOPOLOGY] = compat_topology_llc_id(cpu);
	fact->place[LLC_NODE] = cpu_to_node(cpu);
	fact->place[LLC_PACKAGE] = topology_physical_package_id(cpu);
	fact->place[LLC_DIE] = topology_die_id(cpu);
	if (cpumask_weight(topology_sibling_cpumask(cpu)) > 1)
		fact->core_cpus = cpumask_bits(topology_sibling_cpumask(cpu));
	fact->isolated = !housekeeping_test_cpu(cpu, HK_TYPE_DOMAIN);
}

/*
 * Copy the span that the scheduler has for @cpu into @spans, a mask for each
 * CPU, unless it is there already.
 */
static void take_span(struct llc_facts *facts, unsigned long *spans, unsigned int cpu)
{
	size_t words = BITS_TO_LONGS(facts->nr_cpus);
	struct llc_fact *fact = &facts->cpu[cpu];
	const unsigned long *span, *known;
	struct sched_domain *sd, *more;
	unsigned int lowest;

	if (kernel_sd_llc_id)
		fact->id[LLC_SCHED] = READ_ONCE(*per_cpu_ptr(kernel_sd_llc_id, cpu));
	sd = rcu_dereference(*per_cpu_ptr(kernel_sd_llc, cpu));
	if (!sd)
		return;

	span = cpumask_bits(sched_domain_span(sd));
	lowest = find_first_bit(span, facts->nr_cpus);
	known = lowest < cpu ? facts->cpu[lowest].sched_cpus : NULL;
	if (!known || !bitmap_equal(known, span, facts->nr_cpus)) {
		known = spans + cpu * words;
		bitmap_copy(spans + cpu * words, span, facts->nr_cpus);
	}
	fact->sched_cpus = known;

	for (more = rcu_dereference(sd->parent); more; more = rcu_dereference(more->parent))
		if (more->span_weight > sd->span_weight)
			fact->sched_more = true;
}

/**
 * llc_facts_take - look at every CPU
 * @facts: to be filled; to be released in any case
 *
 * CPUs come and go no more until llc_facts_release(), as masks are not copied.
 *
 * Context: process context, may sleep; takes the CPU hotplug lock.
 * Return: 0 or -ENOMEM.
 */
int llc_facts_take(struct llc_facts *facts)
{
	unsigned int cpu;

	*facts = (struct llc_facts){
		.nr_cpus	= nr_cpu_ids,
		.possible	= cpumask_bits(cpu_possible_mask),
		.sched		= kernel_sd_llc,
		.numa		= llc_facts_numa(),
		.kernel		= init_utsname()->release,
		.cas		= llc_cas_state(),
		.cpu		= kvcalloc(nr_cpu_ids, sizeof(*facts->cpu), GFP_KERNEL),
		.spans		= kvcalloc(array_size(nr_cpu_ids, BITS_TO_LONGS(nr_cpu_ids)),
					   sizeof(long), GFP_KERNEL),
	};
	cpus_read_lock();
	if (!facts->cpu || !facts->spans)
		return -ENOMEM;

	for (cpu = 0; cpu < nr_cpu_ids; cpu++) {
		struct llc_fact *fact = &facts->cpu[cpu];

		memset64((u64 *)fact->id, LLC_NONE, LLC_SOURCES);
		memset64((u64 *)fact->place, LLC_NONE, LLC_PLACES);
		fact->online = cpu_online(cpu);
		if (!fact->online)
			continue;
		take_cache(facts, fact, cpu);
		take_place(fact, cpu);
		facts->threads = max(facts->threads,
				     cpumask_weight(topology_sibling_cpumask(cpu)));
	}
	facts->smt = facts->threads > 1;
	if (kernel_smt_threads)
		facts->threads = READ_ONCE(*kernel_smt_threads);
	if (!facts->sched)
		return 0;

	/* All in one section, so that they are of one moment as nearly as can be. */
	rcu_read_lock();
	for_each_online_cpu(cpu)
		take_span(facts, facts->spans, cpu);
	rcu_read_unlock();
	return 0;
}

/**
 * llc_facts_release - let CPUs come and go again
 * @facts: as filled by llc_facts_take()
 */
void llc_facts_release(struct llc_facts *facts)
{
	cpus_read_unlock();
	kvfree(facts->cpu);
	kvfree(facts->spans);
	*facts = (struct llc_facts){};
}
