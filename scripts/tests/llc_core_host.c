// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's core as a program: reads machines, prints the domains.json of
 * each in a line. Built by llc_random_test.py, with llc_core.c and llc_text.c.
 *
 * A machine is "machine NR_CPUS SCHED", lines "cpu N PACKAGE NODE LEVEL TYPE
 * SIZE WAYS LINE ID ISOLATED MASK CORE SPAN" of those online, and "end". MASK is
 * a list with commas, "-" if it is empty, "none" if there is no cache; so are CORE
 * and SPAN, where "none" is NULL.
 */
#include "llc_core.h"

#undef vsnprintf

#define MOST	256

static size_t put_list(char *to, size_t size, const unsigned long *bits, unsigned int nr)
{
	unsigned int at, last;
	size_t len = 0;
	int add;

	for (at = find_first_bit(bits, nr); at < nr; at = find_next_bit(bits, nr, last + 1)) {
		for (last = at; last + 1 < nr && test_bit(last + 1, bits); last++)
			;
		add = snprintf(to + len, len < size ? size - len : 0, "%s%u", len ? "," : "", at);
		len += add;
		if (last > at)
			len += snprintf(to + len, len < size ? size - len : 0, "-%u", last);
	}
	return len;
}

int kernel_vsnprintf(char *to, size_t size, const char *fmt, va_list args)
{
	int nr;

	/* It is always the whole of a format. */
	if (strcmp(fmt, "%*pbl"))
		return vsnprintf(to, size, fmt, args);
	nr = va_arg(args, int);
	if (size)
		to[0] = '\0';
	return put_list(to, size, va_arg(args, const unsigned long *), nr);
}

static const unsigned long *bits_of(const char *text)
{
	unsigned long *bits;
	const char *at;
	char *end;

	if (!strcmp(text, "none"))
		return NULL;
	bits = calloc(BITS_TO_LONGS(MOST), sizeof(long));
	for (at = text; *at && *at != '-'; at = *end ? end + 1 : end)
		__set_bit(strtoul(at, &end, 10), bits);
	return bits;
}

static void take(struct llc_facts *facts)
{
	char mask[2048], core[2048], span[2048];
	struct llc_fact fact = { .online = true };
	unsigned int cpu, type, isolated, i;

	if (scanf("%u %lld %lld %u %u %u %u %u %lld %u %2047s %2047s %2047s", &cpu,
		  &fact.place[LLC_PACKAGE], &fact.place[LLC_NODE], &fact.level, &type,
		  &fact.size_kib, &fact.ways, &fact.line, &fact.id[LLC_CACHEINFO], &isolated,
		  mask, core, span) != 13 || cpu >= facts->nr_cpus)
		exit(2);
	fact.type = type;
	fact.isolated = isolated;
	fact.place[LLC_DIE] = LLC_NONE;
	for (i = LLC_TOPOLOGY; i < LLC_SOURCES; i++)
		fact.id[i] = LLC_NONE;
	fact.cache_cpus = bits_of(mask);
	fact.core_cpus = bits_of(core);
	fact.sched_cpus = bits_of(span);
	facts->cpu[cpu] = fact;
}

static void show(const struct llc_facts *facts)
{
	struct llc_text text = {};
	struct llc_map map;
	char *at;

	if (llc_map_init(&map, facts->nr_cpus))
		exit(3);
	llc_map_build(&map, facts);
	llc_map_json(&map, &text);
	for (at = text.buf; *at; at++)
		*at = *at == '\n' ? ' ' : *at;
	puts(text.buf);
	llc_text_free(&text);
	llc_map_free(&map);
}

static void forget(struct llc_facts *facts)
{
	unsigned int cpu;

	for (cpu = 0; cpu < facts->nr_cpus; cpu++) {
		free((void *)facts->cpu[cpu].cache_cpus);
		free((void *)facts->cpu[cpu].core_cpus);
		free((void *)facts->cpu[cpu].sched_cpus);
	}
	free(facts->cpu);
}

int main(void)
{
	static unsigned long possible[BITS_TO_LONGS(MOST)];
	struct llc_facts facts;
	unsigned int sched, cpu;
	char word[8];

	while (scanf(" machine %u %u", &facts.nr_cpus, &sched) == 2) {
		if (facts.nr_cpus > MOST)
			return 2;
		memset(possible, 0, sizeof(possible));
		for (cpu = 0; cpu < facts.nr_cpus; cpu++)
			__set_bit(cpu, possible);
		facts = (struct llc_facts){
			.nr_cpus = facts.nr_cpus, .possible = possible, .sched = sched,
			.kernel = "host", .cas = "absent",
			.cpu = calloc(facts.nr_cpus, sizeof(struct llc_fact)),
		};
		while (scanf("%7s", word) == 1 && !strcmp(word, "cpu"))
			take(&facts);
		if (strcmp(word, "end"))
			return 2;
		show(&facts);
		forget(&facts);
	}
	return 0;
}
