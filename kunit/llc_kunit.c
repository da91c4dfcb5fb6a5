// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of what in modules/llc/ is pure logic: cache domains of machines
 * that are made up here, CPUs being numbers and masks bitmaps of any length,
 * and the prediction of cache-aware scheduling.
 *
 * The second opinion on domains compares every CPU with every other. That on
 * the prediction halves all there is as soon as an epoch ends, where the code
 * under test does it when it is asked.
 */
#if !IS_ENABLED(CONFIG_KUNIT)
#error "this kernel has CONFIG_KUNIT off: the suite would load there and run nothing"
#endif

#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../modules/llc/llc_core.h"
#include "../modules/llc/llc_predict.h"
#include "../modules/llc/llc_show.h"
#include "../modules/llc/llc_spans.h"
#include "../modules/llc/llc_text.h"

static ulong seed;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "of the random machines and loads; 0 takes another one each time and prints it");

static struct rnd_state begin_random(struct kunit *test)
{
	u64 begin = seed ?: get_random_u32();
	struct rnd_state state;

	kunit_info(test, "seed=%llu", begin);
	prandom_seed_state(&state, begin);
	return state;
}

/* --- machines --- */

/**
 * struct machine - one that is made up
 * @nr: CPUs
 * @facts: what is known of it
 * @map: made from these
 * @possible: all CPUs
 * @masks: by CPU, of its cache
 * @spans: by CPU, of the scheduler
 * @text: for rendering
 */
struct machine {
	unsigned int nr;
	struct llc_facts facts;
	struct llc_map map;
	unsigned long *possible;
	unsigned long *masks;
	unsigned long *spans;
	struct llc_text text;
};

static unsigned long *mask_of(struct machine *machine, unsigned int cpu)
{
	return machine->masks + cpu * BITS_TO_LONGS(machine->nr);
}

static unsigned long *span_of(struct machine *machine, unsigned int cpu)
{
	return machine->spans + cpu * BITS_TO_LONGS(machine->nr);
}

static struct llc_fact *fact_of(struct machine *machine, unsigned int cpu)
{
	return &machine->facts.cpu[cpu];
}

static void machine_free(void *data)
{
	struct machine *machine = data;

	llc_map_free(&machine->map);
	llc_text_free(&machine->text);
	kvfree(machine->facts.cpu);
	kvfree(machine->possible);
	kvfree(machine->masks);
	kvfree(machine->spans);
	kfree(machine);
}

/* All CPUs online, none with a cache. */
static struct machine *machine_new(struct kunit *test, unsigned int nr)
{
	struct machine *machine = kzalloc(sizeof(*machine), GFP_KERNEL);
	size_t words = BITS_TO_LONGS(nr);
	unsigned int cpu;

	KUNIT_ASSERT_NOT_NULL(test, machine);
	machine->nr = nr;
	machine->possible = kvcalloc(words, sizeof(long), GFP_KERNEL);
	machine->masks = kvcalloc(nr, words * sizeof(long), GFP_KERNEL);
	machine->spans = kvcalloc(nr, words * sizeof(long), GFP_KERNEL);
	machine->facts = (struct llc_facts){
		.nr_cpus	= nr,
		.possible	= machine->possible,
		.sched		= true,
		.threads	= 1,
		.kernel		= "made-up",
		.cas		= "absent",
		.cpu		= kvcalloc(nr, sizeof(struct llc_fact), GFP_KERNEL),
	};
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, machine_free, machine), 0);
	KUNIT_ASSERT_NOT_NULL(test, machine->possible);
	KUNIT_ASSERT_NOT_NULL(test, machine->masks);
	KUNIT_ASSERT_NOT_NULL(test, machine->spans);
	KUNIT_ASSERT_NOT_NULL(test, machine->facts.cpu);
	KUNIT_ASSERT_EQ(test, llc_map_init(&machine->map, nr), 0);
	bitmap_fill(machine->possible, nr);
	for (cpu = 0; cpu < nr; cpu++) {
		*fact_of(machine, cpu) = (struct llc_fact){ .online = true };
		memset64((u64 *)fact_of(machine, cpu)->id, LLC_NONE, LLC_SOURCES);
		memset64((u64 *)fact_of(machine, cpu)->place, LLC_NONE, LLC_PLACES);
		fact_of(machine, cpu)->place[LLC_PACKAGE] = 0;
	}
	return machine;
}

/* CPUs @first to @first + @nr - 1 share a cache, and the scheduler knows. */
static void share(struct machine *machine, unsigned int first, unsigned int nr, s64 id)
{
	unsigned int cpu;

	for (cpu = first; cpu < first + nr; cpu++) {
		struct llc_fact *fact = fact_of(machine, cpu);

		bitmap_set(mask_of(machine, cpu), first, nr);
		bitmap_set(span_of(machine, cpu), first, nr);
		fact->cache_cpus = mask_of(machine, cpu);
		fact->sched_cpus = span_of(machine, cpu);
		fact->sched_more = nr < machine->nr;
		fact->id[LLC_CACHEINFO] = id;
		fact->id[LLC_TOPOLOGY] = first;
		fact->id[LLC_SCHED] = first;
		fact->place[LLC_NODE] = 0;
		fact->place[LLC_PACKAGE] = 0;
		fact->place[LLC_DIE] = id;
		fact->level = 3;
		fact->size_kib = 16384;
		fact->ways = 16;
		fact->line = 64;
	}
}

/* Domains of @each CPUs. */
static struct machine *machine_even(struct kunit *test, unsigned int nr, unsigned int each)
{
	struct machine *machine = machine_new(test, nr);
	unsigned int first;

	for (first = 0; first < nr; first += each)
		share(machine, first, min(each, nr - first), first / each);
	return machine;
}

/* As the kernel does it: out of all masks, too. */
static void offline(struct machine *machine, unsigned int gone)
{
	unsigned int cpu;

	for (cpu = 0; cpu < machine->nr; cpu++) {
		clear_bit(gone, mask_of(machine, cpu));
		clear_bit(gone, span_of(machine, cpu));
	}
	*fact_of(machine, gone) = (struct llc_fact){};
}

static void build(struct machine *machine)
{
	llc_map_build(&machine->map, &machine->facts);
}

/* The text as a table. */
static const char *table_of(struct machine *machine)
{
	llc_text_free(&machine->text);
	build(machine);
	llc_map_text(&machine->map, &machine->text);
	return machine->text.buf;
}

static const char *json_of(struct machine *machine)
{
	llc_text_free(&machine->text);
	build(machine);
	llc_map_json(&machine->map, &machine->text);
	return machine->text.buf;
}

static void expect_says(struct kunit *test, const char *text, const char *what)
{
	KUNIT_EXPECT_TRUE_MSG(test, !!strstr(text, what), "\"%s\" is not in:\n%s", what, text);
}

static void expect_silent(struct kunit *test, const char *text, const char *what)
{
	KUNIT_EXPECT_FALSE_MSG(test, !!strstr(text, what), "\"%s\" is in:\n%s", what, text);
}

/* --- text --- */

static void text_grows(struct kunit *test)
{
	struct llc_text text = {};
	unsigned int i;

	for (i = 0; i < 10000; i++)
		llc_text_put(&text, "%04u ", i);
	KUNIT_EXPECT_EQ(test, text.err, 0);
	KUNIT_EXPECT_EQ(test, text.len, 50000);
	KUNIT_EXPECT_EQ(test, strlen(text.buf), 50000);
	KUNIT_EXPECT_EQ(test, strncmp(text.buf + 5 * 9999, "9999 ", 6), 0);
	llc_text_free(&text);
	KUNIT_EXPECT_NULL(test, text.buf);
}

static void text_longer_than_its_room(struct kunit *test)
{
	struct llc_text text = {};

	llc_text_put(&text, "a");
	llc_text_put(&text, "%10000d", 7);
	llc_text_put(&text, "b");
	KUNIT_EXPECT_EQ(test, text.len, 10002);
	KUNIT_EXPECT_STREQ(test, text.buf + 10000, "7b");
	llc_text_free(&text);
}

static void text_quotes_any_byte(struct kunit *test)
{
	struct llc_text text = {};

	llc_text_quote(&text, "a\"b\\c\n\x01\x7f\xff z");
	KUNIT_EXPECT_STREQ(test, text.buf, "\"a\\\"b\\\\c\\u000a\\u0001\\u007f\\u00ff z\"");
	llc_text_free(&text);
}

static void text_lists_numbers(struct kunit *test)
{
	s64 values[] = { 7, 3, 1, 2, 3, 9, 8, 0 };
	struct llc_text text = {};
	unsigned int nr;

	nr = llc_text_unique(values, ARRAY_SIZE(values));
	KUNIT_EXPECT_EQ(test, nr, 7);
	llc_text_list(&text, values, nr, true);
	llc_text_put(&text, " ");
	llc_text_list(&text, values, nr, false);
	llc_text_put(&text, " ");
	llc_text_list(&text, values, 1, true);
	llc_text_list(&text, values, 0, true);
	KUNIT_EXPECT_STREQ(test, text.buf, "0-3,7-9 0,1,2,3,7,8,9 0");
	llc_text_free(&text);
}

/* --- domains --- */

static void map_one_cpu(struct kunit *test)
{
	struct machine *machine = machine_even(test, 1, 1);

	expect_says(test, table_of(machine),
		    "\n0\t0\t0\tL3 unified\t16384 KiB\t16\t64\t0\t0\t0\t0\t0\t0\t0\n");
	expect_silent(test, machine->text.buf, "disagreement");
	KUNIT_EXPECT_EQ(test, machine->map.nr_domains, 1);
}

static void map_uneven(struct kunit *test)
{
	struct machine *machine = machine_new(test, 7);

	share(machine, 0, 4, 0);
	share(machine, 4, 3, 1);
	expect_says(test, table_of(machine), "\n0\t0-3\t0-3\t");
	expect_says(test, machine->text.buf, "\n1\t4-6\t4-6\t");
	expect_silent(test, machine->text.buf, "disagreement");
}

static void map_offline_cpu_0(struct kunit *test)
{
	struct machine *machine = machine_even(test, 8, 4);

	offline(machine, 0);
	expect_says(test, table_of(machine), "\n0\t1-3\t1-3\t");
	expect_silent(test, machine->text.buf, "disagreement");
	KUNIT_EXPECT_EQ(test, machine->map.domain_of[0], -1);
	KUNIT_EXPECT_EQ(test, machine->map.domain_of[1], 0);
	KUNIT_EXPECT_EQ(test, machine->map.domain_of[7], 1);
}

static void map_offline_cpu_in_a_mask(struct kunit *test)
{
	struct machine *machine = machine_even(test, 8, 4);

	offline(machine, 0);
	for (unsigned int cpu = 1; cpu < 4; cpu++)
		set_bit(0, mask_of(machine, cpu));
	expect_says(test, table_of(machine), "\n0\t0-3\t1-3\t");
	expect_says(test, machine->text.buf,
		    "disagreement: domain 0: the mask has offline CPUs: 0\n");
	KUNIT_EXPECT_EQ(test, machine->map.domain_of[0], 0);
	KUNIT_EXPECT_EQ(test, machine->map.domains[0].online, 3);
}

static void map_all_of_a_domain_offline(struct kunit *test)
{
	struct machine *machine = machine_even(test, 8, 4);

	for (unsigned int cpu = 0; cpu < 4; cpu++)
		offline(machine, cpu);
	expect_says(test, table_of(machine), "\n0\t4-7\t4-7\t");
	KUNIT_EXPECT_EQ(test, machine->map.nr_domains, 1);
}

static void map_smt_off(struct kunit *test)
{
	struct machine *machine = machine_even(test, 16, 8);

	for (unsigned int cpu = 1; cpu < 16; cpu += 2)
		offline(machine, cpu);
	expect_says(test, table_of(machine), "\n0\t0,2,4,6\t0,2,4,6\t");
	expect_says(test, machine->text.buf, "\n1\t8,10,12,14\t8,10,12,14\t");
	expect_silent(test, machine->text.buf, "disagreement");
}

static void map_across_nodes(struct kunit *test)
{
	struct machine *machine = machine_even(test, 8, 4);

	fact_of(machine, 2)->place[LLC_NODE] = 1;
	fact_of(machine, 3)->place[LLC_NODE] = 1;
	expect_says(test, table_of(machine),
		    "disagreement: domain 0: one mask across nodes: 0-1\n");
	expect_says(test, json_of(machine), "\"nodes\": \"0-1\"");
}

static void map_ids_that_clash(struct kunit *test)
{
	struct machine *machine = machine_even(test, 12, 4);
	unsigned int cpu;

	for (cpu = 8; cpu < 12; cpu++)
		fact_of(machine, cpu)->id[LLC_CACHEINFO] = 0;
	expect_says(test, table_of(machine),
		    "disagreement: machine: cacheinfo id 0 names several domains: 0,2\n");
	KUNIT_EXPECT_EQ(test, machine->map.nr_domains, 3);

	/* Caches of different levels are numbered each for themselves. */
	for (cpu = 8; cpu < 12; cpu++)
		fact_of(machine, cpu)->level = 2;
	expect_silent(test, table_of(machine), "cacheinfo id");
}

static void map_ids_of_cpus_not_caches(struct kunit *test)
{
	struct machine *machine = machine_even(test, 8, 8);
	unsigned int cpu;

	for (cpu = 0; cpu < 8; cpu++)
		fact_of(machine, cpu)->id[LLC_TOPOLOGY] = cpu;
	expect_says(test, table_of(machine),
		    "disagreement: domain 0: topology ids differ within one mask: 0,1,2,3,4,5,6,7\n");
	expect_says(test, json_of(machine), "\"topology\": \"0,1,2,3,4,5,6,7\"");
	KUNIT_EXPECT_EQ(test, machine->map.nr_domains, 1);
}

static void map_ids_that_lack(struct kunit *test)
{
	struct machine *machine = machine_even(test, 4, 4);
	unsigned int cpu;

	fact_of(machine, 2)->id[LLC_CACHEINFO] = LLC_NONE;
	for (cpu = 0; cpu < 4; cpu++)
		fact_of(machine, cpu)->id[LLC_TOPOLOGY] = LLC_NONE;
	expect_says(test, table_of(machine), "disagreement: domain 0: no cacheinfo id on CPUs 2\n");
	expect_silent(test, machine->text.buf, "topology id on");
	expect_says(test, json_of(machine), "\"topology\": null");
}

static void map_no_cache(struct kunit *test)
{
	struct machine *machine = machine_new(test, 4);

	expect_says(test, json_of(machine), "\"domains\": [],\n \"no_domain\": \"0-3\"");
	expect_says(test, table_of(machine), "\nnone\t0-3\n");
	expect_silent(test, machine->text.buf, "disagreement");
}

static void map_no_cache_on_one_cpu(struct kunit *test)
{
	struct machine *machine = machine_even(test, 8, 4);

	fact_of(machine, 5)->cache_cpus = NULL;
	expect_says(test, json_of(machine), "\"no_domain\": \"5\"");
	expect_says(test, machine->text.buf,
		    "the scheduler has cache domains for CPUs of which no cache is known: 5");
	expect_says(test, machine->text.buf, "the mask 4-7 has CPUs with other masks: 5");
}

static void map_level_2_per_core(struct kunit *test)
{
	struct machine *machine = machine_even(test, 4, 1);

	for (unsigned int cpu = 0; cpu < 4; cpu++) {
		fact_of(machine, cpu)->level = 2;
		/* A domain of one CPU is none to the scheduler. */
		fact_of(machine, cpu)->sched_cpus = NULL;
	}
	expect_says(test, json_of(machine),
		    "\"domain\": 3, \"cpus\": \"3\", \"online\": \"3\", \"level\": 2");
	expect_silent(test, table_of(machine), "disagreement");

	/* ... and if it takes them together, that is another thing. */
	for (unsigned int cpu = 0; cpu < 4; cpu++) {
		bitmap_set(span_of(machine, cpu), 0, 4);
		fact_of(machine, cpu)->sched_cpus = span_of(machine, cpu);
	}
	expect_says(test, table_of(machine),
		    "domain 1: the scheduler adds CPUs that are not in the mask: 0,2-3\n");
}

static void map_hybrid(struct kunit *test)
{
	struct machine *machine = machine_new(test, 12);

	share(machine, 0, 8, 0);
	share(machine, 8, 4, 1);
	for (unsigned int cpu = 8; cpu < 12; cpu++) {
		fact_of(machine, cpu)->level = 2;
		fact_of(machine, cpu)->size_kib = 2048;
		fact_of(machine, cpu)->type = LLC_DATA;
	}
	expect_says(test, table_of(machine), "\n0\t0-7\t0-7\tL3 unified\t16384 KiB\t");
	expect_says(test, machine->text.buf, "\n1\t8-11\t8-11\tL2 data\t2048 KiB\t");
	expect_says(test, machine->text.buf,
		    "disagreement: machine: last levels differ: L3 unified 16 MiB of CPUs 0-7; L2 data 2 MiB of CPUs 8-11\n");
}

static void map_two_sizes_under_one_mask(struct kunit *test)
{
	struct machine *machine = machine_even(test, 4, 4);

	fact_of(machine, 3)->size_kib = 8192;
	expect_says(test, table_of(machine),
		    "domain 0: caches differ within one mask: that of CPU 0 is another than those of CPUs 3\n");
}

static void map_masks_that_disagree(struct kunit *test)
{
	struct machine *machine = machine_even(test, 4, 4);

	/* CPU 3 says that it is alone, the others that it is with them. */
	bitmap_zero(mask_of(machine, 3), 4);
	set_bit(3, mask_of(machine, 3));
	expect_says(test, table_of(machine), "\n0\t0-2\t0-2\t");
	expect_says(test, machine->text.buf, "\n1\t3\t3\t");
	expect_says(test, machine->text.buf,
		    "domain 0: the mask 0-3 has CPUs with other masks: 3\n");

	/* ... and now that it is not with itself. */
	bitmap_zero(mask_of(machine, 3), 4);
	set_bit(0, mask_of(machine, 3));
	expect_says(test, table_of(machine), "domain 1: the mask 0 has CPUs with other masks: 0\n");
	expect_says(test, machine->text.buf, "domain 1: the mask 0 lacks CPUs that have it: 3\n");
}

static void map_partition(struct kunit *test)
{
	struct machine *machine = machine_even(test, 8, 4);
	unsigned int cpu;

	for (cpu = 0; cpu < 4; cpu++) {
		bitmap_zero(span_of(machine, cpu), 8);
		bitmap_set(span_of(machine, cpu), cpu & 2, 2);
	}
	expect_says(test, table_of(machine),
		    "domain 0: the scheduler splits the mask (partition): 0a 0-1, 0b 2-3\n");
	expect_silent(test, machine->text.buf, "domain 1:");
	expect_says(test, json_of(machine), "\"sched_cpus\": \"0-3\"");
	expect_says(test, machine->text.buf,
		    "\"parts\": [{\"part\": \"0a\", \"cpus\": \"0-1\", \"alone\": false}, {\"part\": \"0b\", \"cpus\": \"2-3\", \"alone\": false}],");

	/* CPU 3 by itself, then isolated. */
	for (cpu = 0; cpu < 3; cpu++) {
		bitmap_zero(span_of(machine, cpu), 8);
		bitmap_set(span_of(machine, cpu), 0, 3);
	}
	fact_of(machine, 3)->sched_cpus = NULL;
	expect_says(test, table_of(machine), "(CPUs without a domain): 0a 0-2, 0b 3\n");
	fact_of(machine, 3)->isolated = true;
	expect_says(test, table_of(machine), "(isolated CPUs): 0a 0-2, 0b 3\n");
}

/* The spans of domain 0's halves, whose CPUs are in two places. */
static void split_at(struct machine *machine, enum llc_place place)
{
	unsigned int cpu;

	for (cpu = 0; cpu < 4; cpu++) {
		bitmap_zero(span_of(machine, cpu), 8);
		bitmap_set(span_of(machine, cpu), cpu & 2, 2);
		fact_of(machine, cpu)->place[place] = cpu / 2;
	}
}

static void map_split_at_nodes(struct kunit *test)
{
	struct machine *machine = machine_even(test, 8, 4);

	split_at(machine, LLC_NODE);
	expect_says(test, table_of(machine),
		    "domain 0: the scheduler splits the mask (nodes): 0a 0-1, 0b 2-3\n");
	expect_says(test, machine->text.buf, "domain 0: one mask across nodes: 0-1\n");
	/* That it has an id for each part is as it should be. */
	fact_of(machine, 2)->id[LLC_SCHED] = 2;
	fact_of(machine, 3)->id[LLC_SCHED] = 2;
	expect_silent(test, table_of(machine), "sched ids differ");

	/* A partition within a node. */
	fact_of(machine, 1)->sched_cpus = NULL;
	fact_of(machine, 0)->sched_cpus = NULL;
	fact_of(machine, 0)->isolated = true;
	fact_of(machine, 1)->isolated = true;
	expect_says(test, table_of(machine), "(isolated CPUs): 0a 2-3, 0b 0-1\n");
}

static void map_split_at_packages(struct kunit *test)
{
	struct machine *machine = machine_even(test, 8, 4);

	split_at(machine, LLC_PACKAGE);
	expect_says(test, table_of(machine), "(packages): 0a 0-1, 0b 2-3\n");

	/* A part that crosses packages says that they are not the cause. */
	fact_of(machine, 0)->place[LLC_PACKAGE] = 1;
	expect_says(test, table_of(machine), "(partition): 0a 0-1, 0b 2-3\n");
}

static void map_many_parts(struct kunit *test)
{
	struct machine *machine = machine_even(test, 128, 128);
	unsigned int cpu;

	for (cpu = 0; cpu < 128; cpu++) {
		bitmap_zero(span_of(machine, cpu), 128);
		bitmap_set(span_of(machine, cpu), cpu & ~1, 2);
	}
	expect_says(test, json_of(machine),
		    "{\"part\": \"0z\", \"cpus\": \"50-51\", \"alone\": false}");
	expect_says(test, machine->text.buf,
		    "{\"part\": \"0bl\", \"cpus\": \"126-127\", \"alone\": false}]");
	expect_says(test, table_of(machine), ", 0h 14-15 and 56 more\n");
}

static void map_siblings_in_two_caches(struct kunit *test)
{
	struct machine *machine = machine_even(test, 8, 4);
	unsigned long *core = kunit_kzalloc(test, sizeof(*core), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, core);
	__set_bit(1, core);
	__set_bit(5, core);
	fact_of(machine, 1)->core_cpus = core;
	fact_of(machine, 5)->core_cpus = core;
	expect_says(test, table_of(machine),
		    "machine: SMT siblings in different last-level caches: CPUs 1,5\n");
	offline(machine, 5);
	expect_silent(test, table_of(machine), "SMT siblings");
}

static void map_what_is_not_known(struct kunit *test)
{
	struct machine *machine = machine_even(test, 4, 4);

	bitmap_zero(mask_of(machine, 2), 4);
	fact_of(machine, 2)->sched_cpus = NULL;
	fact_of(machine, 3)->place[LLC_PACKAGE] = LLC_NONE;
	expect_says(test, table_of(machine),
		    "machine: no list of the CPUs that share the last-level cache of CPUs 2\n");
	expect_says(test, machine->text.buf, "machine: package not known (id -1) of CPUs 3\n");
	expect_silent(test, machine->text.buf, "other masks");
	expect_says(test, machine->text.buf, "none\t2\n");
}

static void map_scheduler_not_known(struct kunit *test)
{
	struct machine *machine = machine_even(test, 8, 4);

	machine->facts.sched = false;
	for (unsigned int cpu = 0; cpu < 8; cpu++)
		fact_of(machine, cpu)->sched_cpus = NULL;
	expect_says(test, json_of(machine), "\"sched_cpus\": null");
	expect_silent(test, table_of(machine), "disagreement");
}

static void map_json_of_two_domains(struct kunit *test)
{
	struct machine *machine = machine_even(test, 4, 2);

	KUNIT_EXPECT_STREQ(test, json_of(machine),
			   "{\"format\": 1, \"kernel\": \"made-up\", \"possible\": \"0-3\", \"online\": \"0-3\", \"smt\": false, \"cas\": \"absent\",\n"
			   " \"domains\": [\n"
			   "  {\"domain\": 0, \"cpus\": \"0-1\", \"online\": \"0-1\", \"level\": 3, \"type\": \"unified\", \"size_kib\": 16384, \"ways\": 16, \"line\": 64,\n"
			   "   \"nodes\": \"0\", \"packages\": \"0\", \"dies\": \"0\",\n"
			   "   \"ids\": {\"cacheinfo\": \"0\", \"topology\": \"0\", \"sched\": \"0\"}, \"sched_cpus\": \"0-1\",\n"
			   "   \"parts\": [],\n"
			   "   \"disagreements\": []},\n"
			   "  {\"domain\": 1, \"cpus\": \"2-3\", \"online\": \"2-3\", \"level\": 3, \"type\": \"unified\", \"size_kib\": 16384, \"ways\": 16, \"line\": 64,\n"
			   "   \"nodes\": \"0\", \"packages\": \"0\", \"dies\": \"1\",\n"
			   "   \"ids\": {\"cacheinfo\": \"1\", \"topology\": \"2\", \"sched\": \"2\"}, \"sched_cpus\": \"2-3\",\n"
			   "   \"parts\": [],\n"
			   "   \"disagreements\": []}],\n"
			   " \"no_domain\": \"\",\n"
			   " \"disagreements\": []}\n");
}

static void map_lists_cpus(struct kunit *test)
{
	struct machine *machine = machine_even(test, 4, 2);

	offline(machine, 1);
	build(machine);
	llc_map_cpus(&machine->map, &machine->text);
	KUNIT_EXPECT_STREQ(test, machine->text.buf, "0 0\n1 -\n2 1\n3 1\n");
}

/* Every CPU against every other: in one domain if and only if the masks are equal. */
static void expect_partition(struct kunit *test, struct machine *machine)
{
	const struct llc_map *map = &machine->map;
	unsigned int one, other, at, wrong = 0, total = 0;

	for (one = 0; one < machine->nr; one++) {
		if (!fact_of(machine, one)->online)
			continue;
		wrong += map->domain_of[one] < 0;
		for (other = 0; other < one; other++) {
			bool same = fact_of(machine, other)->online &&
				    bitmap_equal(mask_of(machine, one), mask_of(machine, other),
						 machine->nr);

			wrong += fact_of(machine, other)->online &&
				 same != (map->domain_of[one] == map->domain_of[other]);
		}
	}
	for (at = 0; at < map->nr_domains; at++) {
		const struct llc_domain *domain = &map->domains[at];
		unsigned int i;

		total += domain->online;
		wrong += at && map->domains[at - 1].leader >= domain->leader;
		for (i = 0; i < domain->nr; i++) {
			wrong += map->domain_of[map->cpus[domain->first + i]] != at;
			wrong += i && map->cpus[domain->first + i - 1] >=
				      map->cpus[domain->first + i];
		}
	}
	for (one = 0; one < machine->nr; one++)
		total -= fact_of(machine, one)->online;
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, total, 0);
}

static void map_2_to_4096_cpus(struct kunit *test)
{
	struct rnd_state state = begin_random(test);
	unsigned int nr;

	for (nr = 2; nr <= 4096; nr *= 2) {
		struct machine *machine = machine_new(test, nr);
		unsigned int first, each, id = 0, i;

		for (first = 0; first < nr; first += each) {
			each = min(1 + prandom_u32_state(&state) % 16, nr - first);
			share(machine, first, each, id++);
		}
		for (i = 0; nr <= 1024 && i < nr / 8; i++)
			offline(machine, prandom_u32_state(&state) % nr);
		build(machine);
		expect_partition(test, machine);
		kunit_release_action(test, machine_free, machine);
	}
}

static void map_random_masks(struct kunit *test)
{
	struct rnd_state state = begin_random(test);
	unsigned int round, nr = 96;

	for (round = 0; round < 200; round++) {
		struct machine *machine = machine_new(test, nr);
		unsigned int cpu, bits = 1 + prandom_u32_state(&state) % 4;

		/* A few masks, interleaved at random, which need not contain whom they are of. */
		for (cpu = 0; cpu < nr; cpu++) {
			unsigned int kind = prandom_u32_state(&state) & ((1 << bits) - 1);

			set_bit(kind, mask_of(machine, cpu));
			set_bit(kind * 5 % nr, mask_of(machine, cpu));
			set_bit(nr - 1 - (kind >> 1), mask_of(machine, cpu));
			fact_of(machine, cpu)->cache_cpus = mask_of(machine, cpu);
			fact_of(machine, cpu)->online = prandom_u32_state(&state) % 8;
		}
		build(machine);
		expect_partition(test, machine);
		KUNIT_EXPECT_NOT_NULL(test, json_of(machine));
		KUNIT_EXPECT_EQ(test, machine->text.err, 0);
		kunit_release_action(test, machine_free, machine);
	}
}

static u64 time_to_build(struct kunit *test, unsigned int nr, unsigned int each, bool apart)
{
	struct machine *machine = machine_even(test, nr, each);
	u64 best = U64_MAX;
	unsigned int i;

	/* As the module has it: equal masks are one and the same. */
	for (i = 0; !apart && i < nr; i++) {
		fact_of(machine, i)->cache_cpus = mask_of(machine, i - i % each);
		fact_of(machine, i)->sched_cpus = span_of(machine, i - i % each);
	}
	for (i = 0; i < 50; i++) {
		u64 begin = ktime_get_ns();

		build(machine);
		best = min(best, ktime_get_ns() - begin);
	}
	KUNIT_EXPECT_EQ(test, machine->map.nr_domains, nr / each);
	kunit_release_action(test, machine_free, machine);
	return best;
}

/* The best of many, so that it is not the load of the machine that is measured. */
static void map_4096_cpus_in_2_ms(struct kunit *test)
{
	u64 apart = time_to_build(test, 4096, 8, true);
	u64 quarter = time_to_build(test, 1024, 8, false);
	u64 half = time_to_build(test, 2048, 8, false);
	u64 whole = time_to_build(test, 4096, 8, false);

	kunit_info(test, "1024 CPUs %llu us, 2048 %llu us, 4096 in 512 domains %llu us; with a mask for each CPU %llu us",
		   quarter / 1000, half / 1000, whole / 1000, apart / 1000);
	/* UML runs at native speed. Under emulation and KASAN time says nothing. */
	if (!IS_ENABLED(CONFIG_UML))
		return;
	KUNIT_EXPECT_LT(test, whole, 2 * NSEC_PER_MSEC);
	KUNIT_EXPECT_LT(test, apart, 2 * NSEC_PER_MSEC);
	/* Linear, with room for reading longer masks and for a coarse clock. */
	KUNIT_EXPECT_LE(test, whole, 3 * half + 10000);
}

/* --- domains for the prediction --- */

static void spans_are_the_schedulers(struct kunit *test)
{
	struct machine *machine = machine_even(test, 8, 4);
	struct llc_spans *spans;
	unsigned int cpu;

	/* 0-1 and 2 in partitions, 3 isolated. */
	for (cpu = 0; cpu < 3; cpu++) {
		bitmap_zero(span_of(machine, cpu), 8);
		bitmap_set(span_of(machine, cpu), cpu & 2, cpu < 2 ? 2 : 1);
	}
	fact_of(machine, 3)->sched_cpus = NULL;
	build(machine);
	spans = llc_spans_make(&machine->facts, &machine->map);
	KUNIT_ASSERT_NOT_NULL(test, spans);

	KUNIT_EXPECT_EQ(test, spans->nr, 3);
	KUNIT_EXPECT_TRUE(test, spans->active);
	KUNIT_EXPECT_EQ(test, spans->span_of[0], 0);
	KUNIT_EXPECT_EQ(test, spans->span_of[1], 0);
	KUNIT_EXPECT_EQ(test, spans->span_of[2], 1);
	KUNIT_EXPECT_EQ(test, spans->span_of[3], -1);
	KUNIT_EXPECT_EQ(test, spans->span_of[4], 2);
	KUNIT_EXPECT_EQ(test, spans->nr_parts, 4);
	KUNIT_EXPECT_EQ(test, spans->part_of[0], 0);
	KUNIT_EXPECT_EQ(test, spans->part_of[2], 1);
	KUNIT_EXPECT_EQ(test, spans->part_of[3], 2);
	KUNIT_EXPECT_EQ(test, spans->part_of[4], 3);
	KUNIT_EXPECT_EQ(test, spans->room[0].cpus, 2);
	KUNIT_EXPECT_EQ(test, spans->room[0].bytes, 8192 * 1024);
	KUNIT_EXPECT_EQ(test, spans->room[3].cpus, 1);
	KUNIT_EXPECT_EQ(test, spans->room[7].cpus, 4);
	KUNIT_EXPECT_EQ(test, spans->room[7].bytes, 16384 * 1024);
	llc_spans_free(spans);
}

static void spans_nothing_to_choose_from(struct kunit *test)
{
	struct machine *one = machine_even(test, 4, 4), *cores = machine_even(test, 4, 1);
	struct llc_spans *spans;

	build(one);
	spans = llc_spans_make(&one->facts, &one->map);
	KUNIT_ASSERT_NOT_NULL(test, spans);
	KUNIT_EXPECT_FALSE(test, spans->active);
	llc_spans_free(spans);

	build(cores);
	spans = llc_spans_make(&cores->facts, &cores->map);
	KUNIT_ASSERT_NOT_NULL(test, spans);
	KUNIT_EXPECT_FALSE(test, spans->active);
	llc_spans_free(spans);
}

static void spans_carry_counts(struct kunit *test)
{
	struct machine *before = machine_even(test, 12, 4), *after = machine_even(test, 12, 4);
	struct llc_spans *old, *new;
	unsigned int cpu;

	build(before);
	old = llc_spans_make(&before->facts, &before->map);
	KUNIT_ASSERT_NOT_NULL(test, old);
	atomic64_set(&old->pairs[0 * 3 + 0], 1);
	atomic64_set(&old->pairs[0 * 3 + 2], 2);
	atomic64_set(&old->pairs[2 * 3 + 1], 4);

	/* The middle one goes offline, and the last one becomes the second. */
	for (cpu = 4; cpu < 8; cpu++)
		offline(after, cpu);
	build(after);
	new = llc_spans_make(&after->facts, &after->map);
	KUNIT_ASSERT_NOT_NULL(test, new);
	KUNIT_EXPECT_FALSE(test, llc_spans_same(old, new));
	KUNIT_EXPECT_TRUE(test, llc_spans_same(new, new));
	llc_spans_carry(new, old);
	KUNIT_EXPECT_EQ(test, atomic64_read(&new->pairs[0 * 2 + 0]), 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&new->pairs[0 * 2 + 1]), 2);
	KUNIT_EXPECT_EQ(test, atomic64_read(&new->pairs[1 * 2 + 0]), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&new->pairs[1 * 2 + 1]), 0);
	llc_spans_free(old);
	llc_spans_free(new);
}

/* --- prediction --- */

#define MS	1000000ULL

/**
 * struct scene - a machine on which something runs
 * @machine: which one
 * @params: the tunables
 * @predict: under test
 * @now: jiffies
 * @ran: run time of the thread on a CPU
 */
struct scene {
	struct machine *machine;
	struct llc_params params;
	struct llc_predict *predict;
	unsigned long now;
	u64 *ran;
};

static void scene_free(void *data)
{
	struct scene *scene = data;

	llc_spans_free(rcu_dereference_protected(scene->predict->spans, true));
	llc_predict_exit(scene->predict);
	kvfree(scene->predict);
	kvfree(scene->ran);
	kfree(scene);
}

/* Epochs of 2 jiffies, as with HZ=250. */
static struct scene *scene_new(struct kunit *test, unsigned int nr, unsigned int each,
			       unsigned int max_processes)
{
	struct scene *scene = kzalloc(sizeof(*scene), GFP_KERNEL);
	struct llc_spans *spans;

	KUNIT_ASSERT_NOT_NULL(test, scene);
	scene->machine = machine_even(test, nr, each);
	scene->params = (struct llc_params)LLC_PARAMS_DEFAULT(250);
	scene->ran = kvcalloc(nr, sizeof(*scene->ran), GFP_KERNEL);
	scene->predict = kvzalloc(sizeof(*scene->predict), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, scene->ran);
	KUNIT_ASSERT_NOT_NULL(test, scene->predict);
	KUNIT_ASSERT_EQ(test, llc_predict_init(scene->predict, &scene->params, nr,
					       scene->machine->possible, max_processes, 0), 0);
	build(scene->machine);
	spans = llc_spans_make(&scene->machine->facts, &scene->machine->map);
	KUNIT_ASSERT_NOT_NULL(test, spans);
	rcu_assign_pointer(scene->predict->spans, spans);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, scene_free, scene), 0);
	return scene;
}

/* A process that is its number. */
static const void *key_of(unsigned long number)
{
	return (const void *)(0x1000 * number);
}

static unsigned int enter(struct scene *scene, unsigned int cpu, unsigned long number)
{
	struct llc_process *process;
	bool added;

	preempt_disable();
	process = llc_predict_add(scene->predict, scene->predict->cpu[cpu], key_of(number), true,
				  scene->now, &added);
	preempt_enable();
	return process ? process->slot : 0;
}

/* As a switch to a thread of the process in @slot, of @threads; 0 is idle. */
static void put(struct scene *scene, unsigned int cpu, unsigned int slot, unsigned int threads)
{
	struct llc_cpu *here = scene->predict->cpu[cpu];

	preempt_disable();
	if (here->counted) {
		llc_predict_settle(scene->predict, here, threads, scene->now);
		llc_predict_account(here, scene->ran[cpu]);
	}
	scene->ran[cpu] = 0;
	if (slot)
		llc_predict_run(here, slot, true, 0);
	else
		llc_predict_idle(here);
	preempt_enable();
}

static void tick(struct scene *scene, unsigned int cpu, unsigned int threads)
{
	struct llc_cpu *here = scene->predict->cpu[cpu];

	if (!here->counted)
		return;
	preempt_disable();
	llc_predict_settle(scene->predict, here, threads, scene->now);
	llc_predict_account(here, scene->ran[cpu]);
	if (llc_predict_tick(scene->predict, here, key_of(100)))
		llc_predict_compare(scene->predict, here, threads, NULL, scene->now);
	preempt_enable();
}

/* A jiffy of 4 ms goes by, in which all that is on a CPU runs, and every CPU ticks. */
static void jiffy(struct scene *scene, unsigned int threads)
{
	unsigned int cpu;

	for (cpu = 0; cpu < scene->machine->nr; cpu++)
		scene->ran[cpu] += 4 * MS;
	scene->now++;
	for (cpu = 0; cpu < scene->machine->nr; cpu++)
		tick(scene, cpu, threads);
}

static struct llc_process *process_in(struct scene *scene, unsigned int slot)
{
	return &scene->predict->process[slot];
}

static void predict_halves_each_epoch(struct kunit *test)
{
	struct scene *scene = scene_new(test, 2, 1, 4);
	unsigned int slot = enter(scene, 0, 1);
	u64 all;

	/* Epochs end with jiffies 0, 2, 4: three jiffies of 4 ms, then one more epoch. */
	put(scene, 0, slot, 2);
	jiffy(scene, 2);
	KUNIT_EXPECT_EQ(test, llc_predict_runtime(scene->predict, 0, slot, 1, &all), 4 * MS);
	jiffy(scene, 2);
	KUNIT_EXPECT_EQ(test, llc_predict_runtime(scene->predict, 0, slot, 2, &all), 8 * MS);
	jiffy(scene, 2);
	KUNIT_EXPECT_EQ(test, llc_predict_runtime(scene->predict, 0, slot, 3, &all), 8 * MS);
	KUNIT_EXPECT_EQ(test, all, 8 * MS);
	put(scene, 0, 0, 2);
	KUNIT_EXPECT_EQ(test, llc_predict_runtime(scene->predict, 0, slot, 4, &all), 8 * MS);
	KUNIT_EXPECT_EQ(test, llc_predict_runtime(scene->predict, 0, slot, 5, &all), 4 * MS);
	KUNIT_EXPECT_EQ(test, llc_predict_runtime(scene->predict, 0, slot, 5 + 2 * 10, &all),
			4 * MS >> 10);
	KUNIT_EXPECT_EQ(test, all, 4 * MS >> 10);
	KUNIT_EXPECT_EQ(test, llc_predict_runtime(scene->predict, 0, slot, 1000, &all), 0);
	KUNIT_EXPECT_EQ(test, llc_predict_runtime(scene->predict, 1, slot, 5, &all), 0);
}

static void predict_prefers_where_it_runs(struct kunit *test)
{
	struct scene *scene = scene_new(test, 8, 4, 4);
	unsigned int slot = enter(scene, 5, 1);

	put(scene, 5, slot, 2);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, -1);
	jiffy(scene, 2);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 5);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->compared, 1);
	/* One scan per epoch. */
	jiffy(scene, 2);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->compared, 1);
	jiffy(scene, 2);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->compared, 2);
}

/* Two CPUs against one are not more than twice as much; three are. */
static void predict_moves_above_twice(struct kunit *test)
{
	struct scene *scene = scene_new(test, 8, 4, 4);
	unsigned int slot = enter(scene, 0, 1), i;

	put(scene, 0, slot, 4);
	for (i = 0; i < 10; i++)
		jiffy(scene, 4);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 0);
	put(scene, 4, slot, 4);
	put(scene, 5, slot, 4);
	for (i = 0; i < 40; i++)
		jiffy(scene, 4);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 0);

	/* Half of the fourth CPU belongs to other processes: 2.5 CPUs are left. */
	put(scene, 6, slot, 4);
	i = enter(scene, 6, 2);
	for (unsigned int round = 0; round < 40; round++) {
		jiffy(scene, 4);
		put(scene, 6, round & 1 ? slot : i, 4);
	}
	KUNIT_EXPECT_GE(test, process_in(scene, slot)->cpu, 4);
}

static void predict_ties_go_to_the_first(struct kunit *test)
{
	struct scene *scene = scene_new(test, 8, 4, 4);
	unsigned int slot = enter(scene, 6, 1);

	/* Both have run when the one in the second domain ticks first. */
	put(scene, 1, slot, 2);
	put(scene, 6, slot, 2);
	scene->now = 2;
	scene->ran[1] = 8 * MS;
	scene->ran[6] = 8 * MS;
	put(scene, 1, slot, 2);
	scene->now = 3;
	tick(scene, 6, 2);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 1);
}

static void predict_drops_the_single_thread(struct kunit *test)
{
	struct scene *scene = scene_new(test, 8, 4, 4);
	unsigned int slot = enter(scene, 0, 1), i;

	put(scene, 0, slot, 2);
	for (i = 0; i < 5; i++)
		jiffy(scene, 2);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 0);
	jiffy(scene, 1);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, -1);
	jiffy(scene, 1);
	jiffy(scene, 1);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, -1);
	jiffy(scene, 2);
	jiffy(scene, 2);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 0);
}

/*
 * Four of four CPUs do not fit, as 4 x 1280 is not less than 4 x 1024; three
 * do. The average follows by half of the difference, cut off: 0 2 3 3 ...
 */
static void predict_drops_too_many_threads(struct kunit *test)
{
	struct scene *scene = scene_new(test, 16, 4, 4);
	unsigned int slot = enter(scene, 0, 1), cpu;
	static const u64 averages[] = { 2, 3, 3, 3 };

	for (cpu = 0; cpu < 4; cpu++)
		put(scene, cpu, slot, 5);
	for (cpu = 0; cpu < 4; cpu++) {
		jiffy(scene, 5);
		KUNIT_EXPECT_EQ(test, process_in(scene, slot)->running_avg, averages[cpu]);
		jiffy(scene, 5);
	}
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 0);

	/* Six: 3 + 3 / 2 = 4, and that is one too many. */
	put(scene, 4, slot, 6);
	put(scene, 5, slot, 6);
	jiffy(scene, 6);
	jiffy(scene, 6);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->running_avg, 4);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, -1);
	/* The average does not follow any more, as the scheduler's does not. */
	for (cpu = 0; cpu < 16; cpu++)
		jiffy(scene, 6);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->running_avg, 4);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, -1);

	/* Tolerance 2 makes room for twice as many. */
	scene->params.aggr_tolerance = 2;
	jiffy(scene, 6);
	jiffy(scene, 6);
	jiffy(scene, 6);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 0);
}

static void predict_drops_the_large(struct kunit *test)
{
	struct scene *scene = scene_new(test, 8, 4, 4);
	struct llc_spans *spans = rcu_dereference_protected(scene->predict->spans, true);
	unsigned int slot = enter(scene, 0, 1), cpu;

	put(scene, 0, slot, 2);
	for (cpu = 0; cpu < 8; cpu++)
		spans->room[cpu].numa = true;
	process_in(scene, slot)->footprint = (16384 * 1024) / PAGE_SIZE;
	jiffy(scene, 2);
	jiffy(scene, 2);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 0);
	process_in(scene, slot)->footprint++;
	jiffy(scene, 2);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, -1);
	/* Tolerance 2 is 257 times as much. */
	scene->params.aggr_tolerance = 2;
	process_in(scene, slot)->footprint = 257UL * (16384 * 1024) / PAGE_SIZE;
	for (cpu = 0; cpu < 4; cpu++)
		jiffy(scene, 2);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 0);
	/* Without NUMA balancing it is unknown. */
	scene->params.aggr_tolerance = 1;
	for (cpu = 0; cpu < 8; cpu++)
		spans->room[cpu].numa = false;
	for (cpu = 0; cpu < 4; cpu++)
		jiffy(scene, 2);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 0);
}

/* Runs, but never when there is a tick. */
static void predict_drops_the_stale(struct kunit *test)
{
	struct scene *scene = scene_new(test, 8, 4, 4);
	unsigned int slot = enter(scene, 0, 1), i;

	put(scene, 0, slot, 2);
	jiffy(scene, 2);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 0);
	/* Epoch 1 now; up to epoch 6 that is not too long ago. */
	for (i = 2; i <= 6; i++) {
		put(scene, 0, 0, 2);
		scene->now += 2;
		put(scene, 0, slot, 2);
		scene->ran[0] = MS;
		put(scene, 0, 0, 2);
		KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 0);
	}
	scene->now += 2;
	put(scene, 0, slot, 2);
	scene->ran[0] = MS;
	put(scene, 0, 0, 2);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, -1);
}

/* A sleeping process keeps the preference: it is not evaluated. */
static void predict_keeps_while_asleep(struct kunit *test)
{
	struct scene *scene = scene_new(test, 8, 4, 4);
	unsigned int slot = enter(scene, 0, 1);

	put(scene, 0, slot, 2);
	jiffy(scene, 2);
	put(scene, 0, 0, 2);
	scene->now += 1000;
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 0);
}

static void predict_nothing_to_choose_from(struct kunit *test)
{
	struct scene *scene = scene_new(test, 4, 4, 4);
	unsigned int slot = enter(scene, 0, 1), i;

	put(scene, 0, slot, 2);
	for (i = 0; i < 10; i++)
		jiffy(scene, 2);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, -1);
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->compared, 0);
}

/* Was a thread on a CPU, after a jiffy in which it ran, asked to compare? */
static bool asked_after_jiffy(struct scene *scene, unsigned int cpu, unsigned long thread)
{
	struct llc_cpu *here = scene->predict->cpu[cpu];
	bool asked;

	scene->ran[cpu] += 4 * MS;
	scene->now++;
	preempt_disable();
	llc_predict_settle(scene->predict, here, 4, scene->now);
	llc_predict_account(here, scene->ran[cpu]);
	asked = llc_predict_tick(scene->predict, here, key_of(thread));
	preempt_enable();
	return asked;
}

/* A tick in a system call: the thread compares when that is over, wherever it then runs. */
static void predict_waits_for_user_space(struct kunit *test)
{
	struct scene *scene = scene_new(test, 8, 4, 4);
	unsigned int slot = enter(scene, 1, 1);
	struct llc_process *process = process_in(scene, slot);
	int nr;

	put(scene, 1, slot, 4);
	KUNIT_EXPECT_TRUE(test, asked_after_jiffy(scene, 1, 100));
	nr = llc_predict_wait(process, key_of(100));
	KUNIT_ASSERT_GE(test, nr, 0);
	/* Once per epoch, be it compared or not. */
	KUNIT_EXPECT_FALSE(test, asked_after_jiffy(scene, 1, 101));
	KUNIT_EXPECT_EQ(test, process->cpu, -1);

	/* It waits already: no thread was asked in this epoch, so another one is. */
	KUNIT_EXPECT_FALSE(test, asked_after_jiffy(scene, 1, 100));
	KUNIT_EXPECT_TRUE(test, asked_after_jiffy(scene, 1, 101));

	put(scene, 1, 0, 4);
	put(scene, 6, slot, 4);
	preempt_disable();
	llc_predict_compare(scene->predict, scene->predict->cpu[6], 4, NULL, scene->now);
	preempt_enable();
	llc_predict_waited(process, nr);
	KUNIT_EXPECT_EQ(test, process->cpu, 1);
	KUNIT_EXPECT_EQ(test, process->compared, 1);

	/* And is asked again. */
	scene->now += 2;
	KUNIT_EXPECT_TRUE(test, asked_after_jiffy(scene, 6, 100));
}

/* Its first tick counts, unless the last CPU is in the same epoch already. */
static void predict_meets_the_new_at_once(struct kunit *test)
{
	struct scene *scene = scene_new(test, 8, 4, 4);
	unsigned int one, two;

	scene->now = 101;
	put(scene, 1, enter(scene, 1, 1), 4);
	scene->ran[1] = MS;
	tick(scene, 1, 4);

	/* CPU 7 was always idle. But the comparison has looked at it, too. */
	KUNIT_EXPECT_EQ(test, process_in(scene, 1)->compared, 1);
	one = enter(scene, 1, 2);
	put(scene, 1, one, 4);
	tick(scene, 1, 4);
	KUNIT_EXPECT_EQ(test, process_in(scene, one)->compared, 0);

	/* Two epochs later no thread has. */
	scene->now = 105;
	two = enter(scene, 1, 3);
	put(scene, 1, two, 4);
	scene->ran[1] = MS;
	tick(scene, 1, 4);
	KUNIT_EXPECT_EQ(test, process_in(scene, two)->compared, 1);
}

/* Threads that sleep in system calls for as long as they like. */
static void predict_many_wait(struct kunit *test)
{
	struct scene *scene = scene_new(test, 8, 4, 4);
	unsigned int slot = enter(scene, 1, 1);
	struct llc_process *process = process_in(scene, slot);
	unsigned int i;

	put(scene, 1, slot, 4);
	for (i = 0; i < LLC_WAITERS; i++) {
		scene->now++;
		KUNIT_EXPECT_TRUE(test, asked_after_jiffy(scene, 1, 100 + i));
		KUNIT_EXPECT_EQ(test, llc_predict_wait(process, key_of(100 + i)), i);
	}
	/* The next one is asked, and finds no room to wait. */
	scene->now++;
	KUNIT_EXPECT_TRUE(test, asked_after_jiffy(scene, 1, 99));
	KUNIT_EXPECT_EQ(test, llc_predict_wait(process, key_of(99)), -1);
	llc_predict_waited(process, 3);
	KUNIT_EXPECT_EQ(test, llc_predict_wait(process, key_of(99)), 3);

	/* Their work lies in the slot, which is not reused before. */
	put(scene, 1, 0, 4);
	llc_predict_unlink(scene->predict, slot);
	for (i = 0; i < LLC_WAITERS; i++) {
		KUNIT_EXPECT_FALSE(test, llc_predict_recycle(scene->predict, slot));
		llc_predict_waited(process, i);
	}
	KUNIT_EXPECT_TRUE(test, llc_predict_recycle(scene->predict, slot));
}

static void predict_scans_some_nodes_only(struct kunit *test)
{
	struct scene *scene = scene_new(test, 8, 4, 4);
	struct llc_cpu *here = scene->predict->cpu[1];
	unsigned int slot = enter(scene, 1, 1);
	unsigned long first = 0x0f;

	put(scene, 1, slot, 4);
	put(scene, 5, slot, 4);
	put(scene, 6, slot, 4);
	scene->now = 1;
	scene->ran[1] = MS;
	scene->ran[5] = 4 * MS;
	scene->ran[6] = 4 * MS;
	put(scene, 5, slot, 4);
	put(scene, 6, slot, 4);
	preempt_disable();
	llc_predict_settle(scene->predict, here, 4, 1);
	llc_predict_account(here, MS);
	KUNIT_EXPECT_TRUE(test, llc_predict_tick(scene->predict, here, key_of(100)));
	llc_predict_compare(scene->predict, here, 4, &first, 1);
	preempt_enable();
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 1);
	/* Only the one in the first domain was counted: 1 / 2 is 0. */
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->running_avg, 0);
}

static void predict_room(struct kunit *test)
{
	struct llc_room room = { .cpus = 4, .bytes = 1 << 20, .smt = 1, .numa = true };

	KUNIT_EXPECT_EQ(test, llc_room_threads(&room, 0), -1);
	KUNIT_EXPECT_EQ(test, llc_room_threads(&room, 1), 3);
	KUNIT_EXPECT_EQ(test, llc_room_threads(&room, 3), 9);
	KUNIT_EXPECT_EQ(test, llc_room_threads(&room, 100), S64_MAX);
	KUNIT_EXPECT_EQ(test, llc_room_pages(&room, 0, 4096), 0);
	KUNIT_EXPECT_EQ(test, llc_room_pages(&room, 1, 4096), 256);
	KUNIT_EXPECT_EQ(test, llc_room_pages(&room, 2, 4096), 257 * 256);
	KUNIT_EXPECT_EQ(test, llc_room_pages(&room, 100, 4096), ULONG_MAX);
	room.smt = 2;
	KUNIT_EXPECT_EQ(test, llc_room_threads(&room, 1), 1);
	/* 5 x 1280 is not less than 5 x 1024; 4 x 1280 is not, being equal. */
	room.smt = 1;
	room.cpus = 5;
	KUNIT_EXPECT_EQ(test, llc_room_threads(&room, 1), 3);
	room.cpus = 6;
	KUNIT_EXPECT_EQ(test, llc_room_threads(&room, 1), 4);
	room.numa = false;
	KUNIT_EXPECT_EQ(test, llc_room_pages(&room, 1, 4096), ULONG_MAX);
}

static void predict_reasons(struct kunit *test)
{
	struct llc_params params = LLC_PARAMS_DEFAULT(250);
	struct llc_room room = { .cpus = 4, .bytes = 1 << 20, .smt = 1, .numa = true };
	struct llc_state state = { .cpu = 3, .threads = 1, .running_avg = 4, .footprint = 257,
				   .idle = 6, .off = true };

#define expect_reason(which)								\
	KUNIT_EXPECT_STREQ(test, llc_reason_name(llc_reason(&state, &params, &room, 4096)), which)
	expect_reason("off");
	state.off = false;
	expect_reason("-");
	state.cpu = -1;
	expect_reason("single-thread");
	state.threads = 2;
	expect_reason("too-many-threads");
	state.running_avg = 3;
	expect_reason("footprint");
	state.footprint = 256;
	expect_reason("young");
	state.compared = true;
	expect_reason("stale");
	state.idle = 5;
	expect_reason("no-majority");
	KUNIT_EXPECT_STREQ(test, llc_reason_name(LLC_UNKNOWN), "unknown");
}

/* --- the table --- */

static void table_finds_and_forgets(struct kunit *test)
{
	struct scene *scene = scene_new(test, 2, 1, 8);
	unsigned int one = enter(scene, 0, 1), two = enter(scene, 0, 2);

	KUNIT_EXPECT_NE(test, one, 0);
	KUNIT_EXPECT_NE(test, two, 0);
	KUNIT_EXPECT_NE(test, one, two);
	KUNIT_EXPECT_EQ(test, enter(scene, 1, 1), one);
	KUNIT_EXPECT_PTR_EQ(test, llc_predict_find(scene->predict, key_of(1)),
			    process_in(scene, one));
	KUNIT_EXPECT_NULL(test, llc_predict_find(scene->predict, key_of(3)));

	llc_predict_unlink(scene->predict, one);
	KUNIT_EXPECT_NULL(test, llc_predict_find(scene->predict, key_of(1)));
	KUNIT_EXPECT_PTR_EQ(test, llc_predict_find(scene->predict, key_of(2)),
			    process_in(scene, two));
	KUNIT_EXPECT_TRUE(test, llc_predict_recycle(scene->predict, one));
	KUNIT_EXPECT_EQ(test, scene->predict->nr_free, 7);
}

/* Another process under the same key has nothing of the one before. */
/* A thread that blocks 100000 times a second fills 32 bits in half a day. */
static void table_counts_beyond_32_bits(struct kunit *test)
{
	struct scene *scene = scene_new(test, 2, 1, 8);
	struct llc_cpu *here = scene->predict->cpu[1];
	unsigned int round, slot;

	for (round = 1; round <= 2; round++) {
		slot = enter(scene, 1, round);
		here->time[slot].blocked = U32_MAX;
		here->time[slot].moved_across = U32_MAX;
		put(scene, 1, slot, 2);
		here->runs->blocked++;
		KUNIT_EXPECT_EQ(test, here->time[slot].blocked, 1ULL << 32);
		put(scene, 1, 0, 2);
		llc_predict_unlink(scene->predict, slot);
		KUNIT_EXPECT_TRUE(test, llc_predict_recycle(scene->predict, slot));
	}
	KUNIT_EXPECT_EQ(test, here->gone.blocked, 2ULL << 32);
	KUNIT_EXPECT_EQ(test, here->gone.moved_across, 2ULL * U32_MAX);
}

static void table_does_not_mix(struct kunit *test)
{
	struct scene *scene = scene_new(test, 8, 4, 1);
	unsigned int slot = enter(scene, 0, 1), again;
	u64 all;

	put(scene, 0, slot, 2);
	jiffy(scene, 2);
	jiffy(scene, 2);
	scene->predict->cpu[0]->time[slot].blocked = 5;
	KUNIT_EXPECT_EQ(test, process_in(scene, slot)->cpu, 0);

	/* Not while it runs. */
	llc_predict_unlink(scene->predict, slot);
	KUNIT_EXPECT_FALSE(test, llc_predict_recycle(scene->predict, slot));
	KUNIT_EXPECT_EQ(test, enter(scene, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, scene->predict->cpu[0]->dropped, 1);
	put(scene, 0, 0, 2);
	KUNIT_EXPECT_TRUE(test, llc_predict_recycle(scene->predict, slot));

	again = enter(scene, 0, 1);
	KUNIT_EXPECT_EQ(test, again, slot);
	KUNIT_EXPECT_EQ(test, process_in(scene, again)->cpu, -1);
	KUNIT_EXPECT_EQ(test, process_in(scene, again)->compared, 0);
	KUNIT_EXPECT_EQ(test, llc_predict_runtime(scene->predict, 0, again, scene->now, &all), 0);
	KUNIT_EXPECT_EQ(test, scene->predict->cpu[0]->time[again].blocked, 0);
	KUNIT_EXPECT_EQ(test, scene->predict->cpu[0]->gone.blocked, 5);
}

static void table_keeps_half_for_threads(struct kunit *test)
{
	struct scene *scene = scene_new(test, 2, 1, 8);
	struct llc_cpu *here = scene->predict->cpu[0];
	unsigned int i, single = 0, threaded = 0;
	bool added;

	preempt_disable();
	for (i = 1; i <= 8; i++)
		single += !!llc_predict_add(scene->predict, here, key_of(i), false, 0, &added);
	for (i = 11; i <= 18; i++)
		threaded += !!llc_predict_add(scene->predict, here, key_of(i), true, 0, &added);
	preempt_enable();
	KUNIT_EXPECT_EQ(test, single, 4);
	KUNIT_EXPECT_EQ(test, threaded, 4);
	KUNIT_EXPECT_EQ(test, here->dropped, 4);
}

#define MANY	1000

static void table_of_many_comes_and_goes(struct kunit *test)
{
	struct scene *scene = scene_new(test, 2, 1, 300);
	struct rnd_state state = begin_random(test);
	unsigned int *slots = kunit_kcalloc(test, MANY, sizeof(*slots), GFP_KERNEL);
	unsigned int round, used = 0, wrong = 0, i;

	KUNIT_ASSERT_NOT_NULL(test, slots);
	for (round = 0; round < 20000; round++) {
		unsigned int which = prandom_u32_state(&state) % MANY;

		if (slots[which]) {
			wrong += llc_predict_find(scene->predict, key_of(which + 1)) !=
				 process_in(scene, slots[which]);
			llc_predict_unlink(scene->predict, slots[which]);
			wrong += !llc_predict_recycle(scene->predict, slots[which]);
			slots[which] = 0;
			used--;
		} else {
			wrong += !!llc_predict_find(scene->predict, key_of(which + 1));
			slots[which] = enter(scene, 0, which + 1);
			wrong += !slots[which] != (used == 300);
			used += !!slots[which];
		}
		wrong += scene->predict->nr_free != 300 - used;
	}
	for (i = 0; i < MANY; i++)
		wrong += slots[i] && llc_predict_find(scene->predict, key_of(i + 1))->slot !=
				     slots[i];
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

/* --- against a model --- */

#define MODEL_CPUS	12
#define MODEL_EACH	4
#define MODEL_SLOTS	5
#define MODEL_THREADS	6

/**
 * struct model - the rules, with everything done at once
 * @epoch: the same everywhere
 * @epoch_end: the jiffy in which it ends
 * @total: run time by CPU
 * @runtime: by process and CPU
 * @running: by CPU: the process, or 0
 * @preferred: by process: a CPU, or -1
 * @met: by process: the epoch of the last tick that met it
 * @next_scan: by process
 * @average: by process
 */
struct model {
	unsigned long epoch;
	unsigned long epoch_end;
	u64 total[MODEL_CPUS];
	u64 runtime[MODEL_SLOTS + 1][MODEL_CPUS];
	unsigned int running[MODEL_CPUS];
	int preferred[MODEL_SLOTS + 1];
	unsigned long met[MODEL_SLOTS + 1];
	unsigned long next_scan[MODEL_SLOTS + 1];
	s64 average[MODEL_SLOTS + 1];
};

static void model_jiffy(struct model *model, unsigned long now, unsigned int period)
{
	unsigned int cpu, slot;

	if (now <= model->epoch_end)
		return;
	model->epoch++;
	model->epoch_end += period;
	for (cpu = 0; cpu < MODEL_CPUS; cpu++) {
		model->total[cpu] /= 2;
		for (slot = 1; slot <= MODEL_SLOTS; slot++)
			model->runtime[slot][cpu] /= 2;
	}
}

static bool model_fits(const struct model *model, unsigned int slot, unsigned int tolerance)
{
	return model->average[slot] * 1280 < tolerance * MODEL_EACH * 1024;
}

static void model_account(struct model *model, unsigned int cpu, u64 delta,
			  const struct llc_params *params)
{
	unsigned int slot = model->running[cpu];

	if (!slot)
		return;
	model->total[cpu] += delta;
	model->runtime[slot][cpu] += delta;
	if ((long)(model->epoch - model->met[slot]) > params->epoch_affinity_timeout ||
	    !model_fits(model, slot, params->aggr_tolerance))
		model->preferred[slot] = -1;
}

static void model_tick(struct model *model, unsigned int cpu, unsigned long now,
		       const struct llc_params *params)
{
	unsigned int slot = model->running[cpu], domain, i, running = 0;
	u64 best = 0, current_sum = 0;
	int best_cpu = -1;

	if (!slot || model->met[slot] >= model->epoch)
		return;
	model->met[slot] = model->epoch;
	if (now < model->next_scan[slot])
		return;
	model->next_scan[slot] = now + params->epoch_period;
	if (!model_fits(model, slot, params->aggr_tolerance))
		return;
	for (domain = 0; domain < MODEL_CPUS / MODEL_EACH; domain++) {
		u64 sum = 0, most = 0;
		int most_cpu = -1;

		for (i = domain * MODEL_EACH; i < (domain + 1) * MODEL_EACH; i++) {
			u64 part = div64_u64(model->runtime[slot][i] << 20, model->total[i] + 1);

			sum += part;
			if (part > most) {
				most = part;
				most_cpu = i;
			}
			running += model->running[i] == slot;
		}
		if (sum > best) {
			best = sum;
			best_cpu = most_cpu;
		}
		if (model->preferred[slot] >= 0 &&
		    model->preferred[slot] / MODEL_EACH == domain)
			current_sum = sum;
	}
	if (best > 2 * current_sum)
		model->preferred[slot] = best_cpu;
	model->average[slot] += ((s64)running - model->average[slot]) / 2;
	if (!model_fits(model, slot, params->aggr_tolerance))
		model->preferred[slot] = -1;
}

/*
 * Processes that wander about at random, stay for a while, and sleep. What is
 * looked at only when an epoch begins is compared after ticks, not in between.
 */
static void predict_as_the_model(struct kunit *test)
{
	struct scene *scene = scene_new(test, MODEL_CPUS, MODEL_EACH, MODEL_SLOTS);
	struct rnd_state state = begin_random(test);
	unsigned int slots[MODEL_SLOTS + 1] = {}, i, cpu, differ = 0, preferred = 0, moved = 0;
	struct model *model = kunit_kzalloc(test, sizeof(*model), GFP_KERNEL);
	int last[MODEL_SLOTS + 1] = {};

	KUNIT_ASSERT_NOT_NULL(test, model);
	for (i = 1; i <= MODEL_SLOTS; i++) {
		slots[i] = enter(scene, 0, i);
		model->preferred[i] = -1;
	}
	for (i = 0; i < 20000; i++) {
		unsigned int wander = i / 500 % 4, share_of[MODEL_CPUS];

		if (i % 2500 == 0)
			scene->params.aggr_tolerance = 1 + prandom_u32_state(&state) % 3;
		/* Another process on some CPUs in the middle of the jiffy. */
		for (cpu = 0; cpu < MODEL_CPUS; cpu++) {
			share_of[cpu] = 0;
			if (prandom_u32_state(&state) % 16 >= 1 + 4 * wander)
				continue;
			share_of[cpu] = prandom_u32_state(&state) % 4000000;
			scene->ran[cpu] += share_of[cpu];
			model_account(model, cpu, share_of[cpu], &scene->params);
			model->running[cpu] = prandom_u32_state(&state) % 3 ? 0 :
				1 + (cpu / MODEL_EACH + wander + prandom_u32_state(&state) % 2) %
				MODEL_SLOTS;
			put(scene, cpu, slots[model->running[cpu]], MODEL_THREADS);
		}
		scene->now++;
		model_jiffy(model, scene->now, scene->params.epoch_period);
		for (cpu = 0; cpu < MODEL_CPUS; cpu++) {
			scene->ran[cpu] += 4000000 - share_of[cpu];
			model_account(model, cpu, 4000000 - share_of[cpu], &scene->params);
			model_tick(model, cpu, scene->now, &scene->params);
			tick(scene, cpu, MODEL_THREADS);
		}
		for (cpu = 1; cpu <= MODEL_SLOTS; cpu++) {
			const struct llc_process *process = process_in(scene, slots[cpu]);

			differ += process->cpu != model->preferred[cpu];
			differ += process->running_avg != model->average[cpu];
			preferred += process->cpu >= 0;
			moved += process->cpu != last[cpu];
			last[cpu] = process->cpu;
		}
		KUNIT_ASSERT_EQ_MSG(test, differ, 0, "in jiffy %lu", scene->now);
	}
	kunit_info(test, "equal in 20000 jiffies: 5 processes, %u times one had a preference, %u changes",
		   preferred, moved);
	KUNIT_EXPECT_GT(test, moved, 100);
	KUNIT_EXPECT_GT(test, preferred, 1000);
}

/* --- what is shown --- */

static const struct llc_part whole_parts[] = { { .domain = 0 }, { .domain = 1 } };
static const struct llc_part split_parts[] = {
	{ .domain = 0, .split = true }, { .domain = 0, .nr = 1, .split = true }, { .domain = 1 },
};

/* In both halves of a domain that the scheduler splits: domain 0 alone would not show it. */
static void show_processes_by_part(struct kunit *test)
{
	u64 runtime[] = { 1000, 2000, 1000 };
	struct llc_row row = {
		.pid = 12, .comm = "c", .threads = 3, .tracked = true, .runtime = runtime,
		.scheduler = { .known = true, .part = 2 },
		.predicted = { .known = true, .part = 1, .running_avg = 2, .epoch = 7 },
	};
	struct llc_table table = {
		.kernel = "made-up", .tracking = true, .page_size = 4096, .nr_parts = 3,
		.parts = split_parts, .nr = 1, .row = &row,
	};
	struct llc_text text = {};

	llc_table_json(&table, &text);
	expect_says(test, text.buf,
		    "\"share\": [{\"domain\": 0, \"permille\": 750}, {\"domain\": 1, \"permille\": 250}], \"parts\": [{\"part\": \"0a\", \"permille\": 250}, {\"part\": \"0b\", \"permille\": 500}, {\"part\": \"1\", \"permille\": 250}],\n");
	expect_says(test, text.buf, "\"scheduler\": {\"preferred\": 1, \"reason\": null,");
	expect_says(test, text.buf,
		    "\"predicted\": {\"preferred\": 0, \"part\": \"0b\", \"reason\": null,");
	llc_text_free(&text);
	llc_table_text(&table, &text);
	expect_says(test, text.buf, "\n12\tc\t3\t0a:250,0b:500,1:250\t1\t-\t-\t0\t0b\t-\t");
	llc_text_free(&text);
}

static void show_processes(struct kunit *test)
{
	u64 runtime[2][2] = { { 1000, 3000 }, {} };
	struct llc_row rows[] = {
		{
			.pid = 12, .comm = "a \"b\"", .threads = 3, .tracked = true,
			.runtime = runtime[0],
			.moves = { 1, 2, 3, 4, 5 },
			.predicted = { .known = true, .part = 1, .running_avg = 2, .epoch = 7 },
		}, {
			.pid = 13, .comm = "c", .threads = 1, .runtime = runtime[1],
			.scheduler = { .known = true, .part = -1, .reason = LLC_SINGLE,
				       .footprint = 3, .footprint_known = true },
		},
	};
	struct llc_table table = {
		.kernel = "made-up", .tracking = true, .tracked = 1, .epoch_us = 8004,
		.tolerance = 1, .page_size = 4096, .nr_parts = 2, .parts = whole_parts, .nr = 2,
		.row = rows,
	};
	struct llc_text text = {};

	llc_table_json(&table, &text);
	KUNIT_EXPECT_STREQ(test, text.buf,
			   "{\"format\": 1, \"kernel\": \"made-up\", \"tracking\": true, \"source\": \"prediction\", \"tracked\": 1, \"dropped\": 0, \"epoch_ms\": 8.004, \"tolerance\": 1,\n"
			   " \"processes\": [\n"
			   "  {\"pid\": 12, \"comm\": \"a \\\"b\\\"\", \"threads\": 3,\n"
			   "   \"runtime_ns\": 4000, \"share\": [{\"domain\": 0, \"permille\": 250}, {\"domain\": 1, \"permille\": 750}],\n"
			   "   \"scheduler\": null,\n"
			   "   \"predicted\": {\"preferred\": 1, \"reason\": null, \"footprint_kib\": null, \"running_avg\": 2.0, \"epoch\": 7},\n"
			   "   \"wakeups\": {\"same_cpu\": 1, \"within\": 2, \"across\": 3}, \"moves\": {\"within\": 4, \"across\": 5}},\n"
			   "  {\"pid\": 13, \"comm\": \"c\", \"threads\": 1,\n"
			   "   \"runtime_ns\": 0, \"share\": [],\n"
			   "   \"scheduler\": {\"preferred\": null, \"reason\": \"single-thread\", \"footprint_kib\": 12, \"running_avg\": 0.0, \"epoch\": 0},\n"
			   "   \"predicted\": null,\n"
			   "   \"wakeups\": {\"same_cpu\": 0, \"within\": 0, \"across\": 0}, \"moves\": {\"within\": 0, \"across\": 0}}]}\n");
	llc_text_free(&text);

	llc_table_text(&table, &text);
	expect_says(test, text.buf,
		    "\n12\ta?\"b\"\t3\t0:250,1:750\t-\t-\t-\t-\t1\t-\t-\t2\t1\t2\t3\t4\t5\n");
	expect_silent(test, text.buf, "\n13\t");
	llc_text_free(&text);
}

static void show_no_processes(struct kunit *test)
{
	struct llc_table table = { .kernel = "k", .epoch_us = 10000, .tolerance = 1 };
	struct llc_text text = {};

	llc_table_json(&table, &text);
	expect_says(test, text.buf, "\"tracking\": false, \"source\": \"none\"");
	expect_says(test, text.buf,
		    "\"epoch_ms\": 10.000, \"tolerance\": 1,\n \"processes\": []}\n");
	llc_text_free(&text);
}

static void show_migrations(struct kunit *test)
{
	u64 pairs[] = { 1, 2, 3, 4 };
	struct llc_text domains[2] = {}, text = {};
	struct llc_traffic traffic = {
		.tracking = true, .since_ns = 9, .moves = { 5, 6, 7, 8, 9 }, .nr_parts = 2,
		.parts = split_parts, .pairs = pairs, .cpus = domains,
	};

	llc_text_put(&domains[0], "0-3");
	llc_text_put(&domains[1], "4-7");
	llc_traffic_json(&traffic, &text);
	KUNIT_EXPECT_STREQ(test, text.buf,
			   "{\"format\": 1, \"tracking\": true, \"since_ns\": 9,\n"
			   " \"wakeups\": {\"same_cpu\": 5, \"within\": 6, \"across\": 7}, \"moves\": {\"within\": 8, \"across\": 9},\n"
			   " \"domains\": [\"0-3\", \"4-7\"],\n"
			   " \"parts\": [\"0a\", \"0b\"],\n"
			   " \"pairs\": [\n  [1, 2],\n  [3, 4]]}\n");
	llc_text_free(&text);
	llc_traffic_text(&traffic, &text);
	expect_says(test, text.buf, "\nfrom\\to\t0-3\t4-7\n0-3\t1\t2\n4-7\t3\t4\n");
	llc_text_free(&text);
	llc_text_free(&domains[0]);
	llc_text_free(&domains[1]);
}

static struct kunit_case llc_cases[] = {
	KUNIT_CASE(text_grows),
	KUNIT_CASE(text_longer_than_its_room),
	KUNIT_CASE(text_quotes_any_byte),
	KUNIT_CASE(text_lists_numbers),
	KUNIT_CASE(map_one_cpu),
	KUNIT_CASE(map_uneven),
	KUNIT_CASE(map_offline_cpu_0),
	KUNIT_CASE(map_offline_cpu_in_a_mask),
	KUNIT_CASE(map_all_of_a_domain_offline),
	KUNIT_CASE(map_smt_off),
	KUNIT_CASE(map_across_nodes),
	KUNIT_CASE(map_ids_that_clash),
	KUNIT_CASE(map_ids_of_cpus_not_caches),
	KUNIT_CASE(map_ids_that_lack),
	KUNIT_CASE(map_no_cache),
	KUNIT_CASE(map_no_cache_on_one_cpu),
	KUNIT_CASE(map_level_2_per_core),
	KUNIT_CASE(map_hybrid),
	KUNIT_CASE(map_two_sizes_under_one_mask),
	KUNIT_CASE(map_masks_that_disagree),
	KUNIT_CASE(map_partition),
	KUNIT_CASE(map_split_at_nodes),
	KUNIT_CASE(map_split_at_packages),
	KUNIT_CASE(map_many_parts),
	KUNIT_CASE(map_siblings_in_two_caches),
	KUNIT_CASE(map_what_is_not_known),
	KUNIT_CASE(map_scheduler_not_known),
	KUNIT_CASE(map_json_of_two_domains),
	KUNIT_CASE(map_lists_cpus),
	KUNIT_CASE(map_2_to_4096_cpus),
	KUNIT_CASE(map_random_masks),
	KUNIT_CASE(map_4096_cpus_in_2_ms),
	KUNIT_CASE(spans_are_the_schedulers),
	KUNIT_CASE(spans_nothing_to_choose_from),
	KUNIT_CASE(spans_carry_counts),
	KUNIT_CASE(predict_halves_each_epoch),
	KUNIT_CASE(predict_prefers_where_it_runs),
	KUNIT_CASE(predict_moves_above_twice),
	KUNIT_CASE(predict_ties_go_to_the_first),
	KUNIT_CASE(predict_drops_the_single_thread),
	KUNIT_CASE(predict_drops_too_many_threads),
	KUNIT_CASE(predict_drops_the_large),
	KUNIT_CASE(predict_drops_the_stale),
	KUNIT_CASE(predict_keeps_while_asleep),
	KUNIT_CASE(predict_nothing_to_choose_from),
	KUNIT_CASE(predict_waits_for_user_space),
	KUNIT_CASE(predict_meets_the_new_at_once),
	KUNIT_CASE(predict_many_wait),
	KUNIT_CASE(predict_scans_some_nodes_only),
	KUNIT_CASE(predict_room),
	KUNIT_CASE(predict_reasons),
	KUNIT_CASE(table_finds_and_forgets),
	KUNIT_CASE(table_counts_beyond_32_bits),
	KUNIT_CASE(table_does_not_mix),
	KUNIT_CASE(table_keeps_half_for_threads),
	KUNIT_CASE(table_of_many_comes_and_goes),
	KUNIT_CASE(predict_as_the_model),
	KUNIT_CASE(show_processes),
	KUNIT_CASE(show_processes_by_part),
	KUNIT_CASE(show_no_processes),
	KUNIT_CASE(show_migrations),
	{}
};

static struct kunit_suite llc_suite = {
	.name = "uplift_llc",
	.test_cases = llc_cases,
};

kunit_test_suite(llc_suite);

MODULE_DESCRIPTION("KUnit tests of cache domains and of the prediction of cache-aware scheduling");
MODULE_LICENSE("GPL");
