// SPDX-License-Identifier: GPL-2.0
/*
 * Cache domains from what is known of every CPU. Pure logic.
 *
 * CPUs with the same mask are a domain. Numbers do not decide: cacheinfo, the
 * topology code and the scheduler number domains each in its own way, and some
 * machines number CPUs where they should number caches. What does not fit
 * together is said, not mended.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/stdarg.h>
#include <linux/string.h>

#include "llc_core.h"

static const char *const source_names[LLC_SOURCES] = {
	[LLC_CACHEINFO]	= "cacheinfo",
	[LLC_TOPOLOGY]	= "topology",
	[LLC_SCHED]	= "sched",
};

static const char *const place_names[LLC_PLACES] = {
	[LLC_NODE]	= "nodes",
	[LLC_PACKAGE]	= "packages",
	[LLC_DIE]	= "dies",
};

static const char *const type_names[] = {
	[LLC_UNIFIED]	= "unified",
	[LLC_DATA]	= "data",
};

/**
 * llc_map_init - make room for a map
 * @map: to be built
 * @nr_cpus: CPUs have numbers below that
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM. Either way llc_map_free() can be called.
 */
int llc_map_init(struct llc_map *map, unsigned int nr_cpus)
{
	*map = (struct llc_map){
		.domains	= kvcalloc(nr_cpus, sizeof(*map->domains), GFP_KERNEL),
		.domain_of	= kvcalloc(nr_cpus, sizeof(*map->domain_of), GFP_KERNEL),
		.cpus		= kvcalloc(nr_cpus, sizeof(*map->cpus), GFP_KERNEL),
		.parts		= kvcalloc(nr_cpus, sizeof(*map->parts), GFP_KERNEL),
		.part_of	= kvcalloc(nr_cpus, sizeof(*map->part_of), GFP_KERNEL),
		.head		= kvcalloc(nr_cpus, sizeof(*map->head), GFP_KERNEL),
		.values		= kvcalloc(nr_cpus, 2 * sizeof(*map->values), GFP_KERNEL),
		.bits		= kvcalloc(BITS_TO_LONGS(nr_cpus), sizeof(long), GFP_KERNEL),
	};
	if (map->domains && map->domain_of && map->cpus && map->parts && map->part_of &&
	    map->head && map->values && map->bits)
		return 0;
	return -ENOMEM;
}

/**
 * llc_map_free - free a map
 * @map: as given to llc_map_init()
 */
void llc_map_free(struct llc_map *map)
{
	kvfree(map->domains);
	kvfree(map->domain_of);
	kvfree(map->cpus);
	kvfree(map->parts);
	kvfree(map->part_of);
	kvfree(map->head);
	kvfree(map->values);
	kvfree(map->bits);
	*map = (struct llc_map){};
}

static const struct llc_fact *fact_of(const struct llc_map *map, unsigned int cpu)
{
	return &map->facts->cpu[cpu];
}

/* The mask that makes a domain. */
static const unsigned long *mask_of(const struct llc_map *map, const struct llc_domain *domain)
{
	return fact_of(map, domain->leader)->cache_cpus;
}

/* Is it the mask of a domain? Equal masks are mostly one and the same. */
static bool has_mask(const struct llc_map *map, int at, const unsigned long *mask)
{
	const unsigned long *other = mask_of(map, &map->domains[at]);

	return other == mask || bitmap_equal(other, mask, map->facts->nr_cpus);
}

/*
 * A domain of which @cpu is the first one. Others in the mask are taken to have
 * it, too, until they are looked at; those that are not online have none, and
 * belong to the first that has them.
 */
static int new_domain(struct llc_map *map, unsigned int cpu, unsigned int lowest)
{
	const unsigned long *mask = fact_of(map, cpu)->cache_cpus;
	unsigned int nr_cpus = map->facts->nr_cpus;
	int at = map->nr_domains++;
	unsigned int other;

	map->domains[at] = (struct llc_domain){ .leader = cpu, .next = map->head[lowest] };
	map->head[lowest] = at;
	for_each_set_bit(other, mask, nr_cpus)
		if (map->domain_of[other] < 0 && (other > cpu || !fact_of(map, other)->online))
			map->domain_of[other] = at;
	return at;
}

/* The domain of @cpu, which is online; a new one if its mask is new. */
static int find_domain(struct llc_map *map, unsigned int cpu)
{
	const unsigned long *mask = fact_of(map, cpu)->cache_cpus;
	unsigned int nr_cpus = map->facts->nr_cpus;
	unsigned int lowest;
	int at;

	if (!mask)
		return -1;
	at = map->domain_of[cpu];
	if (at >= 0 && has_mask(map, at, mask))
		return at;

	lowest = find_first_bit(mask, nr_cpus);
	if (lowest >= nr_cpus)
		return -1;
	for (at = map->head[lowest]; at >= 0; at = map->domains[at].next)
		if (has_mask(map, at, mask))
			return at;
	return new_domain(map, cpu, lowest);
}

/* The i-th CPU of a domain. */
#define domain_cpu(map, domain, i)	((map)->cpus[(domain)->first + (i)])

/* --- parts --- */

/* Does @cpu's span equal the one of the CPU that is @other? */
static bool same_span(const struct llc_map *map, unsigned int cpu, unsigned int other)
{
	const unsigned long *one = fact_of(map, cpu)->sched_cpus;
	const unsigned long *two = fact_of(map, other)->sched_cpus;

	if (!one || !two)
		return one == two;
	return one == two || bitmap_equal(one, two, map->facts->nr_cpus);
}

/* The part of @cpu, which is online: one that is there, or a new one. */
static int find_part(struct llc_map *map, struct llc_domain *domain, unsigned int cpu)
{
	struct llc_part *parts = map->parts + domain->first_part;
	unsigned int at;

	/* A few at most, and mostly the one of the CPU before. */
	for (at = domain->nr_parts; at-- > 0;)
		if (!map->facts->sched || same_span(map, cpu, parts[at].leader))
			return domain->first_part + at;
	at = domain->nr_parts++;
	parts[at] = (struct llc_part){
		.nr	= at,
		.leader	= cpu,
		.alone	= map->facts->sched && domain->online > 1 &&
			  !fact_of(map, cpu)->sched_cpus,
		.place	= { LLC_NONE, LLC_NONE },
	};
	return domain->first_part + at;
}

/* Where @cpu is, as far as it is known, is where its part is. */
static void place_part(const struct llc_map *map, struct llc_part *part, unsigned int cpu)
{
	const struct llc_fact *fact = fact_of(map, cpu);
	unsigned int i;

	for (i = 0; i < LLC_DIE; i++) {
		if (fact->place[i] == LLC_NONE)
			continue;
		if (part->place[i] == LLC_NONE)
			part->place[i] = fact->place[i];
		part->crosses[i] |= part->place[i] != fact->place[i];
	}
}

/* Those that are balanced with none come last. */
static void order_parts(struct llc_map *map, struct llc_domain *domain)
{
	struct llc_part *parts = map->parts + domain->first_part, alone;
	unsigned int last = domain->nr_parts - 1, at, i;
	int part;

	for (at = 0; at < last && !parts[at].alone; at++)
		;
	if (at == last)
		return;
	alone = parts[at];
	memmove(parts + at, parts + at + 1, (last - at) * sizeof(*parts));
	parts[last] = alone;
	for (i = 0; i < domain->nr; i++) {
		part = map->part_of[domain_cpu(map, domain, i)] - domain->first_part;
		if (part == at)
			part = last;
		else if (part > (int)at)
			part--;
		map->part_of[domain_cpu(map, domain, i)] = domain->first_part + part;
	}
}

static void build_parts(struct llc_map *map, unsigned int number)
{
	struct llc_domain *domain = &map->domains[number];
	unsigned int i, cpu;

	domain->first_part = map->nr_parts;
	for (i = 0; i < domain->nr; i++) {
		cpu = domain_cpu(map, domain, i);
		map->part_of[cpu] = domain->first_part;
		if (!fact_of(map, cpu)->online)
			continue;
		map->part_of[cpu] = find_part(map, domain, cpu);
		place_part(map, &map->parts[map->part_of[cpu]], cpu);
	}
	order_parts(map, domain);
	map->nr_parts += domain->nr_parts;
	domain->split = domain->nr_parts > 1 || map->parts[domain->first_part].alone;
	for (i = 0; i < domain->nr_parts; i++) {
		map->parts[domain->first_part + i].domain = number;
		map->parts[domain->first_part + i].nr = i;
		map->parts[domain->first_part + i].split = domain->split;
	}
}

/**
 * llc_part_name - add the name of a part, "0a"; of a domain that is whole, "0"
 * @text: the text
 * @part: the part
 *
 * Context: process context, may sleep.
 */
void llc_part_name(struct llc_text *text, const struct llc_part *part)
{
	char letters[8];
	unsigned int at = sizeof(letters) - 1, nr = part->nr + 1;

	letters[at] = '\0';
	for (; nr; nr = (nr - 1) / 26)
		letters[--at] = 'a' + (nr - 1) % 26;
	llc_text_put(text, "%u%s", part->domain, part->split ? letters + at : "");
}

/**
 * llc_map_build - find the domains
 * @map: with room for all CPUs
 * @facts: must stay while @map is used, and so must the masks
 *
 * Takes time in proportion to the number of CPUs, but for reading each mask
 * once that is at an address of its own.
 *
 * Context: any.
 */
void llc_map_build(struct llc_map *map, const struct llc_facts *facts)
{
	unsigned int cpu, at, next = 0;

	map->facts = facts;
	map->nr_domains = 0;
	map->nr_parts = 0;
	for (cpu = 0; cpu < facts->nr_cpus; cpu++) {
		map->head[cpu] = -1;
		map->domain_of[cpu] = -1;
		map->part_of[cpu] = -1;
	}
	for (cpu = 0; cpu < facts->nr_cpus; cpu++)
		if (facts->cpu[cpu].online)
			map->domain_of[cpu] = find_domain(map, cpu);

	for (cpu = 0; cpu < facts->nr_cpus; cpu++) {
		if (map->domain_of[cpu] < 0)
			continue;
		map->domains[map->domain_of[cpu]].nr++;
		map->domains[map->domain_of[cpu]].online += facts->cpu[cpu].online;
	}
	for (at = 0; at < map->nr_domains; at++) {
		map->domains[at].first = next;
		next += map->domains[at].nr;
		map->domains[at].nr = 0;
	}
	for (cpu = 0; cpu < facts->nr_cpus; cpu++) {
		struct llc_domain *domain;

		if (map->domain_of[cpu] < 0)
			continue;
		domain = &map->domains[map->domain_of[cpu]];
		map->cpus[domain->first + domain->nr++] = cpu;
	}
	for (at = 0; at < map->nr_domains; at++)
		build_parts(map, at);
}

/* --- lists of what a domain's CPUs say --- */

static unsigned int collect_cpus(const struct llc_map *map, const struct llc_domain *domain,
				 bool online)
{
	unsigned int i, nr = 0;

	for (i = 0; i < domain->nr; i++)
		if (!online || fact_of(map, domain_cpu(map, domain, i))->online)
			map->values[nr++] = domain_cpu(map, domain, i);
	return nr;
}

/* Of the CPUs that are online: what lies @offset bytes into their facts, but no LLC_NONE. */
static unsigned int llc_collect(const struct llc_map *map, const struct llc_domain *domain,
				size_t offset)
{
	unsigned int i, nr = 0;

	for (i = 0; i < domain->nr; i++) {
		const struct llc_fact *fact = fact_of(map, domain_cpu(map, domain, i));
		s64 value = *(const s64 *)((const char *)fact + offset);

		if (fact->online && value != LLC_NONE)
			map->values[nr++] = value;
	}
	return llc_text_unique(map->values, nr);
}

#define collect_ids(map, domain, source) \
	llc_collect(map, domain, offsetof(struct llc_fact, id) + (source) * sizeof(s64))
#define collect_places(map, domain, where) \
	llc_collect(map, domain, offsetof(struct llc_fact, place) + (where) * sizeof(s64))

static void put_bits(struct llc_map *map, struct llc_text *text, const unsigned long *bits)
{
	llc_text_put(text, "%*pbl", map->facts->nr_cpus, bits);
}

/* Whom the scheduler takes to share the cache with @cpu, in map->bits. */
static void or_sched(struct llc_map *map, unsigned int cpu)
{
	const unsigned long *span = fact_of(map, cpu)->sched_cpus;

	if (span)
		bitmap_or(map->bits, map->bits, span, map->facts->nr_cpus);
	else
		__set_bit(cpu, map->bits);
}

/* The union of the spans that the scheduler has for a domain's CPUs, in map->bits. */
static void union_sched(struct llc_map *map, const struct llc_domain *domain)
{
	const unsigned long *last = NULL;
	unsigned int i;

	bitmap_zero(map->bits, map->facts->nr_cpus);
	for (i = 0; i < domain->nr; i++) {
		const struct llc_fact *fact = fact_of(map, domain_cpu(map, domain, i));

		if (!fact->online || (last && fact->sched_cpus == last))
			continue;
		or_sched(map, domain_cpu(map, domain, i));
		last = fact->sched_cpus;
	}
}

/* --- disagreements --- */

/**
 * struct saying - how disagreements are written
 * @text: where to
 * @json: as a list of JSON strings, else as lines
 * @who: in lines, of whom
 * @nr: how many there were
 */
struct saying {
	struct llc_text *text;
	bool json;
	int who;
	unsigned int nr;
};

/* Begin one: what is put into the text until say_end() must need no quoting. */
static void say(struct saying *saying)
{
	if (saying->json)
		llc_text_put(saying->text, "%s\"", saying->nr ? ", " : "");
	else if (saying->who < 0)
		llc_text_put(saying->text, "disagreement: machine: ");
	else
		llc_text_put(saying->text, "disagreement: domain %d: ", saying->who);
	saying->nr++;
}

static void say_end(struct saying *saying)
{
	llc_text_put(saying->text, saying->json ? "\"" : "\n");
}

static void say_ids(struct llc_map *map, const struct llc_domain *domain, struct saying *saying)
{
	unsigned int source, nr, i, lacking;

	for (source = 0; source < LLC_SOURCES; source++) {
		nr = collect_ids(map, domain, source);
		/* That it numbers the parts of what it splits is as it should be. */
		if (nr > 1 && !(source == LLC_SCHED && domain->split)) {
			say(saying);
			llc_text_put(saying->text, "%s ids differ within one mask: ",
				     source_names[source]);
			llc_text_list(saying->text, map->values, nr, false);
			say_end(saying);
		}
		if (!nr)
			continue;
		for (i = 0, lacking = 0; i < domain->nr; i++) {
			const struct llc_fact *fact = fact_of(map, domain_cpu(map, domain, i));

			if (fact->online && fact->id[source] == LLC_NONE)
				map->values[lacking++] = domain_cpu(map, domain, i);
		}
		if (lacking) {
			say(saying);
			llc_text_put(saying->text, "no %s id on CPUs ", source_names[source]);
			llc_text_list(saying->text, map->values, lacking, true);
			say_end(saying);
		}
	}
}

static void say_places(struct llc_map *map, const struct llc_domain *domain,
		       struct saying *saying)
{
	static const enum llc_place places[] = { LLC_NODE, LLC_PACKAGE };
	unsigned int i, nr;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		nr = collect_places(map, domain, places[i]);
		if (nr < 2)
			continue;
		say(saying);
		llc_text_put(saying->text, "one mask across %s: ", place_names[places[i]]);
		llc_text_list(saying->text, map->values, nr, true);
		say_end(saying);
	}
}

static bool same_cache(const struct llc_fact *one, const struct llc_fact *other)
{
	return one->size_kib == other->size_kib && one->ways == other->ways &&
	       one->line == other->line && one->level == other->level &&
	       one->type == other->type;
}

static void say_caches(struct llc_map *map, const struct llc_domain *domain,
		       struct saying *saying)
{
	const struct llc_fact *leader = fact_of(map, domain->leader);
	unsigned int i, nr = 0;

	for (i = 0; i < domain->nr; i++) {
		const struct llc_fact *fact = fact_of(map, domain_cpu(map, domain, i));

		if (fact->online && !same_cache(leader, fact))
			map->values[nr++] = domain_cpu(map, domain, i);
	}
	if (!nr)
		return;
	say(saying);
	llc_text_put(saying->text, "caches differ within one mask: that of CPU %u is another ",
		     domain->leader);
	llc_text_put(saying->text, "than those of CPUs ");
	llc_text_list(saying->text, map->values, nr, true);
	say_end(saying);
}

/* A cache with an empty mask: its sharing is unknown. */
static bool is_unknown(const struct llc_map *map, unsigned int cpu)
{
	const unsigned long *mask = fact_of(map, cpu)->cache_cpus;

	return mask && bitmap_empty(mask, map->facts->nr_cpus);
}

/* Are those in the mask exactly those who have it? */
static void say_mask(struct llc_map *map, const struct llc_domain *domain, struct saying *saying)
{
	const unsigned long *mask = mask_of(map, domain);
	unsigned int nr_cpus = map->facts->nr_cpus;
	unsigned int cpu, i, nr = 0;

	for_each_set_bit(cpu, mask, nr_cpus)
		if (fact_of(map, cpu)->online && !is_unknown(map, cpu) &&
		    map->domain_of[cpu] != map->domain_of[domain->leader])
			map->values[nr++] = cpu;
	if (nr) {
		say(saying);
		llc_text_put(saying->text, "the mask ");
		put_bits(map, saying->text, mask);
		llc_text_put(saying->text, " has CPUs with other masks: ");
		llc_text_list(saying->text, map->values, nr, true);
		say_end(saying);
	}

	for (i = 0, nr = 0; i < domain->nr; i++)
		if (!test_bit(domain_cpu(map, domain, i), mask))
			map->values[nr++] = domain_cpu(map, domain, i);
	if (nr) {
		say(saying);
		llc_text_put(saying->text, "the mask ");
		put_bits(map, saying->text, mask);
		llc_text_put(saying->text, " lacks CPUs that have it: ");
		llc_text_list(saying->text, map->values, nr, true);
		say_end(saying);
	}

	nr = 0;
	for_each_set_bit(cpu, mask, nr_cpus)
		if (!fact_of(map, cpu)->online)
			map->values[nr++] = cpu;
	if (nr) {
		say(saying);
		llc_text_put(saying->text, "the mask has offline CPUs: ");
		llc_text_list(saying->text, map->values, nr, true);
		say_end(saying);
	}
}

/* What is told apart in one line. */
#define SHOWN	8

static void say_cause(struct saying *saying, bool *any, const char *cause)
{
	llc_text_put(saying->text, "%s%s", *any ? ", " : "", cause);
	*any = true;
}

/*
 * Packages, where no part crosses them; nodes within a package, likewise; and
 * what both leave together a partition.
 */
static void say_places_split(struct llc_map *map, const struct llc_domain *domain,
			     struct saying *saying, bool *any)
{
	const struct llc_part *parts = map->parts + domain->first_part;
	unsigned int i, nr = 0, packages, places;
	bool crosses[LLC_DIE] = {};
	s64 package, node;

	for (i = 0; i < domain->nr_parts && !parts[i].alone; i++) {
		crosses[LLC_NODE] |= parts[i].crosses[LLC_NODE];
		crosses[LLC_PACKAGE] |= parts[i].crosses[LLC_PACKAGE];
	}
	for (i = 0; i < domain->nr_parts && !parts[i].alone; i++) {
		package = crosses[LLC_PACKAGE] ? LLC_NONE : parts[i].place[LLC_PACKAGE];
		node = crosses[LLC_NODE] ? LLC_NONE : parts[i].place[LLC_NODE];
		map->values[nr++] = (package + 1) << 32 | (node + 1);
	}
	places = llc_text_unique(map->values, nr);
	for (i = 0, packages = 0; i < places; i++)
		packages += !i || map->values[i] >> 32 != map->values[i - 1] >> 32;
	if (packages > 1)
		say_cause(saying, any, "packages");
	if (places > packages)
		say_cause(saying, any, "nodes");
	if (nr > places)
		say_cause(saying, any, "partition");
}

static void say_causes(struct llc_map *map, const struct llc_domain *domain,
		       struct saying *saying)
{
	bool any = false, isolated = false, other = false;
	unsigned int i;

	say_places_split(map, domain, saying, &any);
	for (i = 0; i < domain->nr; i++) {
		unsigned int cpu = domain_cpu(map, domain, i);
		const struct llc_fact *fact = fact_of(map, cpu);

		if (!fact->online || !map->parts[map->part_of[cpu]].alone)
			continue;
		isolated |= fact->isolated;
		other |= !fact->isolated;
	}
	if (isolated)
		say_cause(saying, &any, "isolated CPUs");
	if (other)
		say_cause(saying, &any, "CPUs without a domain");
}

/* The CPUs of a part that are online, in map->values. */
static unsigned int collect_part(const struct llc_map *map, const struct llc_domain *domain,
				 unsigned int part)
{
	unsigned int i, nr = 0;

	for (i = 0; i < domain->nr; i++) {
		unsigned int cpu = domain_cpu(map, domain, i);

		if (fact_of(map, cpu)->online && map->part_of[cpu] == part)
			map->values[nr++] = cpu;
	}
	return nr;
}

static void say_split(struct llc_map *map, const struct llc_domain *domain, struct saying *saying)
{
	unsigned int i, at;

	say(saying);
	llc_text_put(saying->text, "the scheduler splits the mask (");
	say_causes(map, domain, saying);
	llc_text_put(saying->text, "): ");
	for (i = 0; i < min_t(unsigned int, domain->nr_parts, SHOWN); i++) {
		at = domain->first_part + i;
		llc_text_put(saying->text, i ? ", " : "");
		llc_part_name(saying->text, &map->parts[at]);
		llc_text_put(saying->text, " ");
		llc_text_list(saying->text, map->values, collect_part(map, domain, at), true);
	}
	if (domain->nr_parts > SHOWN)
		llc_text_put(saying->text, " and %u more", domain->nr_parts - SHOWN);
	say_end(saying);
}

static void say_sched(struct llc_map *map, const struct llc_domain *domain,
		      struct saying *saying)
{
	unsigned int i, cpu, beyond = 0;

	if (!map->facts->sched)
		return;
	if (domain->split)
		say_split(map, domain, saying);

	union_sched(map, domain);
	for (i = 0; i < domain->nr; i++)
		__clear_bit(domain_cpu(map, domain, i), map->bits);
	for_each_set_bit(cpu, map->bits, map->facts->nr_cpus)
		map->values[beyond++] = cpu;
	if (beyond) {
		say(saying);
		llc_text_put(saying->text, "the scheduler adds CPUs that are not in the mask: ");
		llc_text_list(saying->text, map->values, beyond, true);
		say_end(saying);
	}
}

static void say_domain(struct llc_map *map, unsigned int at, struct saying *saying)
{
	const struct llc_domain *domain = &map->domains[at];

	saying->who = at;
	say_ids(map, domain, saying);
	say_places(map, domain, saying);
	say_caches(map, domain, saying);
	say_mask(map, domain, saying);
	say_sched(map, domain, saying);
}

/* An id and what it names, to be sorted by id. */
struct naming {
	s64 id;
	s64 domain;
};

static int compare_namings(const void *a, const void *b)
{
	const struct naming *one = a, *other = b;

	if (one->id != other->id)
		return one->id < other->id ? -1 : 1;
	return one->domain < other->domain ? -1 : one->domain > other->domain;
}

/* A number that two caches of one level have. */
static void say_clashes(struct llc_map *map, enum llc_source source, struct saying *saying)
{
	struct naming *namings = (struct naming *)map->values;
	unsigned int cpu, i, next, nr = 0;

	for (cpu = 0; cpu < map->facts->nr_cpus; cpu++) {
		const struct llc_fact *fact = fact_of(map, cpu);

		if (fact->online && map->domain_of[cpu] >= 0 && fact->id[source] != LLC_NONE)
			namings[nr++] = (struct naming){
				.id = fact->id[source] * 16 + fact->level,
				.domain = map->domain_of[cpu],
			};
	}
	for (i = 1; i < nr; i++) {
		if (compare_namings(&namings[i - 1], &namings[i]) > 0) {
			sort(namings, nr, sizeof(*namings), compare_namings, NULL);
			break;
		}
	}
	for (i = 0; i < nr; i = next) {
		s64 last = namings[i].domain;

		for (next = i + 1; next < nr && namings[next].id == namings[i].id; next++)
			;
		if (namings[next - 1].domain == last)
			continue;
		say(saying);
		llc_text_put(saying->text, "%s id %lld names several domains: %lld",
			     source_names[source], namings[i].id >> 4, last);
		for (; i < next; i++) {
			if (namings[i].domain != last)
				llc_text_put(saying->text, ",%lld", namings[i].domain);
			last = namings[i].domain;
		}
		say_end(saying);
	}
}

static unsigned int collect_no_domain(const struct llc_map *map)
{
	unsigned int cpu, nr = 0;

	for (cpu = 0; cpu < map->facts->nr_cpus; cpu++)
		if (fact_of(map, cpu)->online && map->domain_of[cpu] < 0)
			map->values[nr++] = cpu;
	return nr;
}

/* Of @cpu, which has siblings: those online, in map->values. 0 if all have one last level. */
static unsigned int collect_apart(const struct llc_map *map, unsigned int cpu)
{
	unsigned int sibling, nr = 0;
	bool apart = false;

	for_each_set_bit(sibling, fact_of(map, cpu)->core_cpus, map->facts->nr_cpus) {
		if (!fact_of(map, sibling)->online)
			continue;
		apart |= map->domain_of[sibling] != map->domain_of[cpu];
		map->values[nr++] = sibling;
	}
	return apart ? nr : 0;
}

static void say_siblings(struct llc_map *map, struct saying *saying)
{
	unsigned int cpu, nr, said = 0;

	for (cpu = 0; cpu < map->facts->nr_cpus; cpu++) {
		if (!fact_of(map, cpu)->online || !fact_of(map, cpu)->core_cpus)
			continue;
		nr = collect_apart(map, cpu);
		if (!nr || map->values[0] != cpu || said++ >= SHOWN)
			continue;
		if (said == 1) {
			say(saying);
			llc_text_put(saying->text,
				     "SMT siblings in different last-level caches: CPUs ");
		}
		llc_text_put(saying->text, said > 1 ? "; " : "");
		llc_text_list(saying->text, map->values, nr, true);
	}
	if (said > SHOWN)
		llc_text_put(saying->text, " and %u more", said - SHOWN);
	if (said)
		say_end(saying);
}

/* Level, type and size of a domain's cache in one number. */
static s64 shape_of(const struct llc_map *map, unsigned int at)
{
	const struct llc_fact *leader = fact_of(map, map->domains[at].leader);

	return (s64)leader->level << 40 | (s64)leader->type << 36 | leader->size_kib;
}

/* The first of the domains with its shape? */
static bool is_first(const struct llc_map *map, unsigned int at)
{
	unsigned int before;

	for (before = 0; before < at; before++)
		if (shape_of(map, before) == shape_of(map, at))
			return false;
	return true;
}

static void say_shape(struct llc_map *map, struct saying *saying, unsigned int at)
{
	const struct llc_fact *leader = fact_of(map, map->domains[at].leader);
	unsigned int cpu, nr = 0;

	llc_text_put(saying->text, "L%u %s ", leader->level, type_names[leader->type]);
	if (!leader->size_kib)
		llc_text_put(saying->text, "size unknown");
	else if (leader->size_kib % 1024)
		llc_text_put(saying->text, "%u KiB", leader->size_kib);
	else
		llc_text_put(saying->text, "%u MiB", leader->size_kib / 1024);
	for (cpu = 0; cpu < map->facts->nr_cpus; cpu++)
		if (fact_of(map, cpu)->online && map->domain_of[cpu] >= 0 &&
		    shape_of(map, map->domain_of[cpu]) == shape_of(map, at))
			map->values[nr++] = cpu;
	llc_text_put(saying->text, " of CPUs ");
	llc_text_list(saying->text, map->values, nr, true);
}

/* Last levels that are not all alike, as on hybrids. */
static void say_levels(struct llc_map *map, struct saying *saying)
{
	unsigned int at, nr, said = 0;

	for (at = 0; at < map->nr_domains; at++)
		map->values[at] = shape_of(map, at);
	nr = llc_text_unique(map->values, map->nr_domains);
	if (nr < 2)
		return;
	say(saying);
	llc_text_put(saying->text, "last levels differ: ");
	for (at = 0; at < map->nr_domains && said < SHOWN; at++) {
		if (!is_first(map, at))
			continue;
		llc_text_put(saying->text, said++ ? "; " : "");
		say_shape(map, saying, at);
	}
	if (nr > SHOWN)
		llc_text_put(saying->text, " and %u more", nr - SHOWN);
	say_end(saying);
}

static void say_cpus(struct llc_map *map, struct saying *saying, const char *what,
		     unsigned int nr)
{
	if (!nr)
		return;
	say(saying);
	llc_text_put(saying->text, "%s", what);
	llc_text_list(saying->text, map->values, nr, true);
	say_end(saying);
}

/* What is not known of CPUs. */
static void say_unknown(struct llc_map *map, struct saying *saying)
{
	unsigned int cpu, nr = 0;

	for (cpu = 0; cpu < map->facts->nr_cpus; cpu++)
		if (fact_of(map, cpu)->online && is_unknown(map, cpu))
			map->values[nr++] = cpu;
	say_cpus(map, saying, "no list of the CPUs that share the last-level cache of CPUs ", nr);
	say_levels(map, saying);
	for (cpu = 0, nr = 0; cpu < map->facts->nr_cpus; cpu++)
		if (fact_of(map, cpu)->online && fact_of(map, cpu)->place[LLC_PACKAGE] == LLC_NONE)
			map->values[nr++] = cpu;
	say_cpus(map, saying, "package not known (id -1) of CPUs ", nr);
}

static void say_machine(struct llc_map *map, struct saying *saying)
{
	unsigned int source, cpu, nr = 0;

	saying->who = -1;
	for (source = 0; source < LLC_SOURCES; source++)
		say_clashes(map, source, saying);
	say_siblings(map, saying);
	say_unknown(map, saying);

	for (cpu = 0; cpu < map->facts->nr_cpus; cpu++)
		if (fact_of(map, cpu)->online && map->domain_of[cpu] < 0 &&
		    fact_of(map, cpu)->sched_cpus)
			map->values[nr++] = cpu;
	say_cpus(map, saying,
		 "the scheduler has cache domains for CPUs of which no cache is known: ", nr);
}

/* --- rendering --- */

static void put_online(const struct llc_map *map, struct llc_text *text)
{
	unsigned int cpu, nr = 0;

	for (cpu = 0; cpu < map->facts->nr_cpus; cpu++)
		if (fact_of(map, cpu)->online)
			map->values[nr++] = cpu;
	llc_text_list(text, map->values, nr, true);
}

/* A list, or "-" if there is nothing in it. */
static void put_column(const struct llc_map *map, struct llc_text *text, unsigned int nr,
		       bool ranges)
{
	llc_text_put(text, "\t");
	if (nr)
		llc_text_list(text, map->values, nr, ranges);
	else
		llc_text_put(text, "-");
}

static void text_domain(struct llc_map *map, struct llc_text *text, unsigned int at)
{
	const struct llc_domain *domain = &map->domains[at];
	const struct llc_fact *leader = fact_of(map, domain->leader);
	unsigned int i;

	llc_text_put(text, "%u", at);
	put_column(map, text, collect_cpus(map, domain, false), true);
	put_column(map, text, collect_cpus(map, domain, true), true);
	llc_text_put(text, "\tL%u %s\t%u KiB\t%u\t%u", leader->level, type_names[leader->type],
		     leader->size_kib, leader->ways, leader->line);
	for (i = 0; i < LLC_PLACES; i++)
		put_column(map, text, collect_places(map, domain, i), true);
	for (i = 0; i < LLC_SOURCES; i++)
		put_column(map, text, collect_ids(map, domain, i), false);
	llc_text_put(text, "\t");
	if (map->facts->sched) {
		union_sched(map, domain);
		put_bits(map, text, map->bits);
	} else {
		llc_text_put(text, "-");
	}
	llc_text_put(text, "\n");
}

/**
 * llc_map_text - the domains as a table, then what disagrees
 * @map: the domains
 * @text: where to
 *
 * Context: process context, may sleep.
 */
void llc_map_text(struct llc_map *map, struct llc_text *text)
{
	struct saying saying = { .text = text };
	unsigned int at, nr;

	llc_text_put(text, "domain\tcpus\tonline\tcache\tsize\tways\tline\tnodes\tpackages\tdies");
	llc_text_put(text, "\tcacheinfo_id\ttopology_id\tsched_id\tsched_cpus\n");
	for (at = 0; at < map->nr_domains; at++)
		text_domain(map, text, at);
	nr = collect_no_domain(map);
	if (nr) {
		llc_text_put(text, "none");
		put_column(map, text, nr, true);
		llc_text_put(text, "\n");
	}
	for (at = 0; at < map->nr_domains; at++)
		say_domain(map, at, &saying);
	say_machine(map, &saying);
}

static void json_list(const struct llc_map *map, struct llc_text *text, const char *key,
		      unsigned int nr)
{
	llc_text_put(text, "\"%s\": \"", key);
	llc_text_list(text, map->values, nr, true);
	llc_text_put(text, "\"");
}

/* What the scheduler splits a domain into; an empty list if it does not. */
static void json_parts(const struct llc_map *map, struct llc_text *text,
		       const struct llc_domain *domain)
{
	unsigned int i, at;

	llc_text_put(text, "\"parts\": [");
	for (i = 0; domain->split && i < domain->nr_parts; i++) {
		at = domain->first_part + i;
		llc_text_put(text, "%s{\"part\": \"", i ? ", " : "");
		llc_part_name(text, &map->parts[at]);
		llc_text_put(text, "\", ");
		json_list(map, text, "cpus", collect_part(map, domain, at));
		llc_text_put(text, ", \"alone\": %s}", llc_text_bool(map->parts[at].alone));
	}
	llc_text_put(text, "]");
}

static void json_domain(struct llc_map *map, struct llc_text *text, unsigned int at)
{
	const struct llc_domain *domain = &map->domains[at];
	const struct llc_fact *leader = fact_of(map, domain->leader);
	struct saying saying = { .text = text, .json = true };
	unsigned int i, nr;

	llc_text_put(text, "%s\n  {\"domain\": %u, ", at ? "," : "", at);
	json_list(map, text, "cpus", collect_cpus(map, domain, false));
	llc_text_put(text, ", ");
	json_list(map, text, "online", collect_cpus(map, domain, true));
	llc_text_put(text, ", \"level\": %u, \"type\": \"%s\", \"size_kib\": %u", leader->level,
		     type_names[leader->type], leader->size_kib);
	llc_text_put(text, ", \"ways\": %u, \"line\": %u,\n   ", leader->ways, leader->line);
	for (i = 0; i < LLC_PLACES; i++) {
		json_list(map, text, place_names[i], collect_places(map, domain, i));
		llc_text_put(text, i < LLC_PLACES - 1 ? ", " : ",\n   ");
	}
	llc_text_put(text, "\"ids\": {");
	for (i = 0; i < LLC_SOURCES; i++) {
		nr = collect_ids(map, domain, i);
		llc_text_put(text, "%s\"%s\": %s", i ? ", " : "", source_names[i],
			     nr ? "\"" : "null");
		llc_text_list(text, map->values, nr, false);
		if (nr)
			llc_text_put(text, "\"");
	}
	llc_text_put(text, "}, \"sched_cpus\": ");
	if (map->facts->sched) {
		union_sched(map, domain);
		llc_text_put(text, "\"");
		put_bits(map, text, map->bits);
		llc_text_put(text, "\"");
	} else {
		llc_text_put(text, "null");
	}
	llc_text_put(text, ",\n   ");
	json_parts(map, text, domain);
	llc_text_put(text, ",\n   \"disagreements\": [");
	say_domain(map, at, &saying);
	llc_text_put(text, "]}");
}

/**
 * llc_map_json - the domains as JSON
 * @map: the domains
 * @text: where to
 *
 * Context: process context, may sleep.
 */
void llc_map_json(struct llc_map *map, struct llc_text *text)
{
	struct saying saying = { .text = text, .json = true };
	const struct llc_facts *facts = map->facts;
	unsigned int at;

	llc_text_put(text, "{\"format\": 1, \"kernel\": ");
	llc_text_quote(text, facts->kernel);
	llc_text_put(text, ", \"possible\": \"");
	put_bits(map, text, facts->possible);
	llc_text_put(text, "\", \"online\": \"");
	put_online(map, text);
	llc_text_put(text, "\", \"smt\": %s, \"cas\": \"%s\",\n \"domains\": [",
		     llc_text_bool(facts->smt), facts->cas);
	for (at = 0; at < map->nr_domains; at++)
		json_domain(map, text, at);
	llc_text_put(text, "],\n ");
	json_list(map, text, "no_domain", collect_no_domain(map));
	llc_text_put(text, ",\n \"disagreements\": [");
	say_machine(map, &saying);
	llc_text_put(text, "]}\n");
}

/**
 * llc_map_cpus - which CPU is in which domain
 * @map: the domains
 * @text: where to; a line for each possible CPU, "-" for none
 *
 * Context: process context, may sleep.
 */
void llc_map_cpus(const struct llc_map *map, struct llc_text *text)
{
	unsigned int cpu;

	for_each_set_bit(cpu, map->facts->possible, map->facts->nr_cpus) {
		if (map->domain_of[cpu] >= 0)
			llc_text_put(text, "%u %d\n", cpu, map->domain_of[cpu]);
		else
			llc_text_put(text, "%u -\n", cpu);
	}
}
