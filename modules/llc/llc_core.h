/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cache domains from what is known of every CPU: pure logic, which needs
 * neither cacheinfo nor scheduler. CPUs and masks are numbers and bitmaps of
 * any length, whatever NR_CPUS is.
 */
#ifndef _UPLIFT_LLC_CORE_H
#define _UPLIFT_LLC_CORE_H

#include <linux/types.h>

#include "llc_text.h"

/**
 * enum llc_source - who numbers cache domains
 * @LLC_CACHEINFO: the id of the cache in cacheinfo
 * @LLC_TOPOLOGY: the architecture's topology code
 * @LLC_SCHED: the scheduler (sd_llc_id)
 * @LLC_SOURCES: how many there are
 *
 * Each has numbers of its own: they say nothing without the mask.
 */
enum llc_source {
	LLC_CACHEINFO,
	LLC_TOPOLOGY,
	LLC_SCHED,
	LLC_SOURCES,
};

/**
 * enum llc_place - where a CPU is
 * @LLC_NODE: memory node
 * @LLC_PACKAGE: physical package
 * @LLC_DIE: die, a number within the package
 * @LLC_PLACES: how many there are
 */
enum llc_place {
	LLC_NODE,
	LLC_PACKAGE,
	LLC_DIE,
	LLC_PLACES,
};

/* No such number. */
#define LLC_NONE	(-1LL)

/**
 * enum llc_type - what a cache holds
 * @LLC_UNIFIED: data and instructions
 * @LLC_DATA: data
 */
enum llc_type {
	LLC_UNIFIED,
	LLC_DATA,
};

/**
 * struct llc_fact - what is known of one CPU
 * @cache_cpus: who shares its last-level cache; NULL if there is none. CPUs with
 *	equal masks should point to the same, or each is compared bit by bit.
 * @core_cpus: the SMT siblings, itself among them; NULL if there are none
 * @sched_cpus: whom the scheduler takes to share it; NULL if only itself
 * @sched_more: whether the scheduler balances with CPUs beyond these
 * @id: numbers of the domain, by enum llc_source, or LLC_NONE
 * @place: where it is, by enum llc_place, or LLC_NONE
 * @size_kib: of the cache
 * @ways: its associativity
 * @line: bytes of a cache line
 * @level: of the cache
 * @type: of the cache
 * @isolated: kept out of the scheduler's domains
 * @online: if not, nothing else counts
 */
struct llc_fact {
	const unsigned long *cache_cpus;
	const unsigned long *core_cpus;
	const unsigned long *sched_cpus;
	s64 id[LLC_SOURCES];
	s64 place[LLC_PLACES];
	unsigned int size_kib;
	unsigned int ways;
	unsigned int line;
	unsigned int level;
	enum llc_type type;
	bool sched_more;
	bool isolated;
	bool online;
};

/**
 * struct llc_facts - what is known of a machine
 * @nr_cpus: CPUs have numbers below that
 * @possible: which of these there can be
 * @sched: whether the scheduler's view is known at all
 * @smt: whether any core has two threads online
 * @threads: per core, at most
 * @numa: whether NUMA balancing is on
 * @kernel: its release
 * @cas: cache-aware scheduling: "absent", "off" or "on"
 * @cpu: by CPU
 * @spans: the memory behind sched_cpus, or NULL
 */
struct llc_facts {
	unsigned int nr_cpus;
	const unsigned long *possible;
	bool sched;
	bool smt;
	unsigned int threads;
	bool numa;
	const char *kernel;
	const char *cas;
	struct llc_fact *cpu;
	unsigned long *spans;
};

/**
 * struct llc_domain - CPUs with one and the same mask
 * @leader: the lowest one that is online
 * @first: where they begin in llc_map.cpus
 * @nr: how many there are; an offline CPU belongs to the first mask that has it
 * @online: how many are online
 * @first_part: in llc_map.parts
 * @nr_parts: what the scheduler splits it into; one if it does not
 * @split: whether it does, be it into CPUs that it balances with none
 * @next: with the same lowest CPU in their masks, or -1
 */
struct llc_domain {
	unsigned int leader;
	unsigned int first;
	unsigned int nr;
	unsigned int online;
	unsigned int first_part;
	unsigned int nr_parts;
	bool split;
	int next;
};

/**
 * struct llc_part - CPUs of a domain that the scheduler balances together
 * @domain: which one
 * @nr: its number there, 0 is shown as "a"
 * @leader: the lowest one
 * @alone: or that it balances with none: all of these are one part, the last
 * @split: whether the domain has others, or this one is @alone
 * @place: of its CPUs, LLC_NODE and LLC_PACKAGE, as far as known
 * @crosses: whether they have several
 */
struct llc_part {
	unsigned int domain;
	unsigned int nr;
	unsigned int leader;
	bool alone;
	bool split;
	s64 place[LLC_DIE];
	bool crosses[LLC_DIE];
};

/**
 * struct llc_map - the domains of a machine
 * @facts: they were made from
 * @nr_domains: how many there are
 * @domains: in the order of their leaders
 * @domain_of: by CPU; -1 if in none
 * @cpus: CPUs by domain, ascending
 * @nr_parts: how many parts all domains have
 * @parts: by domain
 * @part_of: by CPU; -1 if in no domain; the first of its domain for one that is offline
 * @head: by lowest CPU of a mask, or -1; for building
 * @values: to sort numbers in; two per CPU
 * @bits: a mask to work with
 */
struct llc_map {
	const struct llc_facts *facts;
	unsigned int nr_domains;
	struct llc_domain *domains;
	int *domain_of;
	unsigned int *cpus;
	unsigned int nr_parts;
	struct llc_part *parts;
	int *part_of;
	int *head;
	s64 *values;
	unsigned long *bits;
};

int llc_map_init(struct llc_map *map, unsigned int nr_cpus);
void llc_map_build(struct llc_map *map, const struct llc_facts *facts);
void llc_map_free(struct llc_map *map);

void llc_part_name(struct llc_text *text, const struct llc_part *part);
void llc_map_text(struct llc_map *map, struct llc_text *text);
void llc_map_json(struct llc_map *map, struct llc_text *text);
void llc_map_cpus(const struct llc_map *map, struct llc_text *text);

#endif /* _UPLIFT_LLC_CORE_H */
