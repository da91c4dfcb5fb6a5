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
		.head		= kvcalloc(nr_cpus, sizeof(*map->head), GFP_KERNEL),
		.values		= kvcalloc(nr_cpus, 2 * sizeof(*map->values), GFP_KERNEL),
		.bits		= kvcalloc(BITS_TO_LONGS(nr_cpus), sizeof(long), GFP_KERNEL),
	};
	if (map->domains && map->domain_of && map->cpus && map->head && map->values && map->bits)
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

/* The domain of @cpu, which is online; a new one if nobody before had its mask. */
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
	for (cpu = 0; cpu < facts->nr_cpus; cpu++) {
		map->head[cpu] = -1;
		map->domain_of[cpu] = -1;
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
}

/* The i-th CPU of a domain. */
#define domain_cpu(map, domain, i)	((map)->cpus[(domain)->first + (i)])

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
		if (nr > 1) {
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

/* Are those in the mask exactly those who have it? */
static void say_mask(struct llc_map *map, const struct llc_domain *domain, struct saying *saying)
{
	const unsigned long *mask = mask_of(map, domain);
	unsigned int nr_cpus = map->facts->nr_cpus;
	unsigned int cpu, i, nr = 0;

	for_each_set_bit(cpu, mask, nr_cpus)
		if (fact_of(map, cpu)->online &&
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
}

/* Does @cpu's span equal the one of the CPU that is @other? */
static bool same_span(const struct llc_map *map, unsigned int cpu, unsigned int other)
{
	const unsigned long *one = fact_of(map, cpu)->sched_cpus;
	const unsigned long *two = fact_of(map, other)->sched_cpus;

	if (!one || !two)
		return cpu == other;
	return one == two || bitmap_equal(one, two, map->facts->nr_cpus);
}

/* How many spans are told apart in one line. */
#define SPANS_SHOWN	8

static void say_split(struct llc_map *map, const struct llc_domain *domain,
		      const unsigned int *spans, unsigned int nr, struct saying *saying)
{
	unsigned int i, alone = 0, shown = 0;

	say(saying);
	llc_text_put(saying->text, "the scheduler splits the mask (partition or isolated CPUs):");
	for (i = 0; i < nr; i++) {
		if (!fact_of(map, spans[i])->sched_cpus)
			continue;
		if (shown++ < SPANS_SHOWN) {
			llc_text_put(saying->text, " ");
			put_bits(map, saying->text, fact_of(map, spans[i])->sched_cpus);
		}
	}
	if (shown > SPANS_SHOWN)
		llc_text_put(saying->text, " and %u more", shown - SPANS_SHOWN);
	for (i = 0; i < domain->nr; i++) {
		unsigned int cpu = domain_cpu(map, domain, i);

		if (fact_of(map, cpu)->online && !fact_of(map, cpu)->sched_cpus)
			map->values[alone++] = cpu;
	}
	if (alone) {
		llc_text_put(saying->text, " alone ");
		llc_text_list(saying->text, map->values, alone, true);
	}
	say_end(saying);
}

static void say_sched(struct llc_map *map, const struct llc_domain *domain,
		      struct saying *saying)
{
	/* One CPU of each span that is told apart; more are counted as one more. */
	unsigned int spans[SPANS_SHOWN + 1];
	unsigned int i, j, cpu, nr = 0, beyond = 0;
	unsigned int last = domain->leader;

	if (!map->facts->sched)
		return;
	for (i = 0; i < domain->nr; i++) {
		cpu = domain_cpu(map, domain, i);
		if (!fact_of(map, cpu)->online || (nr && same_span(map, cpu, last)))
			continue;
		last = cpu;
		for (j = 0; j < nr; j++)
			if (same_span(map, cpu, spans[j]))
				break;
		if (j == nr && nr < ARRAY_SIZE(spans))
			spans[nr++] = cpu;
	}
	if (nr > 1)
		say_split(map, domain, spans, nr, saying);

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

static void say_machine(struct llc_map *map, struct saying *saying)
{
	unsigned int source, cpu, nr = 0;

	saying->who = -1;
	for (source = 0; source < LLC_SOURCES; source++)
		say_clashes(map, source, saying);

	for (cpu = 0; cpu < map->facts->nr_cpus; cpu++)
		if (fact_of(map, cpu)->online && map->domain_of[cpu] < 0 &&
		    fact_of(map, cpu)->sched_cpus)
			map->values[nr++] = cpu;
	if (nr) {
		say(saying);
		llc_text_put(saying->text, "the scheduler has cache domains for CPUs ");
		llc_text_put(saying->text, "of which no cache is known: ");
		llc_text_list(saying->text, map->values, nr, true);
		say_end(saying);
	}
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
