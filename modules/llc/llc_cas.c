// SPDX-License-Identifier: GPL-2.0
/*
 * Cache-aware scheduling, where the kernel has it (since 7.2): is it on, and
 * what has it decided? It shows that nowhere itself.
 */
#include <linux/jiffies.h>
#include <linux/jump_label.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/string_helpers.h>

#include "llc_cas.h"
#include "llc_track.h"
#include "sched_cache.h"
#include "uplift.h"

/* Whether there is anything to choose from, and whether it is on. */
static struct static_key *kernel_present;
static struct static_key *kernel_active;

/* The scheduler's own tunables, by where they go. */
static struct {
	const char *name;
	size_t offset;
	const unsigned int *value;
} kernel_params[] = {
	{ "llc_aggr_tolerance", offsetof(struct llc_params, aggr_tolerance) },
	{ "llc_epoch_period", offsetof(struct llc_params, epoch_period) },
	{ "llc_epoch_affinity_timeout", offsetof(struct llc_params, epoch_affinity_timeout) },
	{ "llc_overaggr_pct", offsetof(struct llc_params, overaggr_pct) },
	{ "llc_imb_pct", offsetof(struct llc_params, imb_pct) },
};

/**
 * llc_cas_init - find what is not exported
 *
 * Context: process context, may sleep.
 */
void llc_cas_init(void)
{
	unsigned long addr;
	unsigned int i;

	if (!uplift_resolve("sched_cache_present", &addr))
		kernel_present = (struct static_key *)addr;
	if (!uplift_resolve("sched_cache_active", &addr))
		kernel_active = (struct static_key *)addr;
	for (i = 0; kernel_active && i < ARRAY_SIZE(kernel_params); i++)
		if (!uplift_resolve(kernel_params[i].name, &addr))
			kernel_params[i].value = (const unsigned int *)addr;
}

/**
 * llc_cas_built_in - does the kernel have it?
 *
 * Return: whether it does.
 */
bool llc_cas_built_in(void)
{
	return kernel_active;
}

/**
 * llc_cas_state - does the kernel have it, and is it on?
 *
 * Return: "absent", "off" or "on".
 */
const char *llc_cas_state(void)
{
	if (!kernel_active)
		return "absent";
	return str_on_off(static_key_count(kernel_active) > 0);
}

/**
 * llc_cas_params - the tunables that count
 * @params: set to the scheduler's, and to ours where it has none
 */
void llc_cas_params(struct llc_params *params)
{
	unsigned int i;

	*params = llc_params;
	for (i = 0; i < ARRAY_SIZE(kernel_params); i++)
		if (kernel_params[i].value)
			*(unsigned int *)((char *)params + kernel_params[i].offset) =
				READ_ONCE(*kernel_params[i].value);
}

/*
 * The scheduler's epochs are counted from boot. Not all CPUs have come as far,
 * but a period that was changed meanwhile leads them apart for good.
 */
static long epochs_since(const struct compat_sched_cache *state, unsigned int period)
{
	return DIV_ROUND_UP(jiffies - INITIAL_JIFFIES, max(period, 1U)) - state->epoch;
}

/* A comparison sets the next one behind the end of the epoch that it happened in. */
static bool was_compared(const struct compat_sched_cache *state, unsigned int period)
{
	return (long)(state->next_scan - INITIAL_JIFFIES - state->epoch * period) > 0 ||
	       state->running_avg;
}

/**
 * llc_cas_opinion - what the scheduler says that a process prefers
 * @opinion: to be filled
 * @p: a thread of the process
 * @threads: how many it has
 * @spans: the domains
 *
 * Context: an RCU read section.
 * Return: false if the scheduler has no opinion of it.
 */
bool llc_cas_opinion(struct llc_opinion *opinion, struct task_struct *p, unsigned int threads,
		     const struct llc_spans *spans)
{
	struct compat_sched_cache cas;
	const struct llc_room *room = &spans->room[task_cpu(p)];
	struct llc_params params;
	struct llc_state state;

	if (!kernel_active || !compat_sched_cache_read(p, &cas))
		return false;
	llc_cas_params(&params);
	state = (struct llc_state){
		.cpu		= cas.cpu,
		.threads	= threads,
		.running_avg	= cas.running_avg,
		.footprint	= cas.footprint,
		.idle		= epochs_since(&cas, params.epoch_period),
		.compared	= was_compared(&cas, params.epoch_period),
		.off		= !static_key_count(kernel_active),
	};

	opinion->known = true;
	opinion->part = !state.off && cas.cpu >= 0 ? spans->part_of[cas.cpu] : -1;
	if (opinion->part < 0)
		state.cpu = -1;
	opinion->reason = llc_reason(&state, &params, room, PAGE_SIZE);
	opinion->footprint = cas.footprint;
	opinion->footprint_known = room->numa;
	opinion->running_avg = cas.running_avg;
	opinion->epoch = cas.epoch;
	return true;
}

static void cas_limits(struct llc_text *text, const struct llc_params *params,
		       const struct llc_room *room)
{
	s64 threads = llc_room_threads(room, params->aggr_tolerance);
	struct llc_room known = *room;
	unsigned long pages;

	if (threads == S64_MAX)
		llc_text_put(text, " running_max any");
	else
		llc_text_put(text, " running_max %lld", max_t(s64, threads, 0));

	/* Shown as it would be with NUMA balancing, without which it does not count. */
	known.numa = true;
	pages = llc_room_pages(&known, params->aggr_tolerance, PAGE_SIZE);
	if (pages == ULONG_MAX)
		llc_text_put(text, " footprint_max_kib any");
	else
		llc_text_put(text, " footprint_max_kib %llu", (u64)pages * (PAGE_SIZE >> 10));
}

/**
 * llc_cas_text - the state, the tunables, and what fits into each domain
 * @text: where to
 * @map: the domains
 * @spans: the same, as the scheduler has them
 *
 * Context: process context, may sleep.
 */
void llc_cas_text(struct llc_text *text, const struct llc_map *map,
		  const struct llc_spans *spans)
{
	struct llc_params params;
	unsigned int at;

	llc_cas_params(&params);
	llc_text_put(text, "built_in %s\n", str_yes_no(kernel_active));
	llc_text_put(text, "present %s\n", !kernel_present ? "-" :
		     str_yes_no(static_key_count(kernel_present) > 0));
	llc_text_put(text, "state %s\n", llc_cas_state());
	llc_text_put(text, "domains_to_choose_from %s\n", str_yes_no(spans->active));
	llc_text_put(text, "tunables %s\n", kernel_active ? "scheduler" : "parameters");
	llc_text_put(text, "aggr_tolerance %u\n", params.aggr_tolerance);
	llc_text_put(text, "epoch_period %u\n", params.epoch_period);
	llc_text_put(text, "epoch_period_ms %u\n", jiffies_to_msecs(params.epoch_period));
	llc_text_put(text, "epoch_affinity_timeout %u\n", params.epoch_affinity_timeout);
	llc_text_put(text, "overaggr_pct %u\n", params.overaggr_pct);
	llc_text_put(text, "imb_pct %u\n", params.imb_pct);
	llc_text_put(text, "threads_per_core %u\n", map->facts->threads);
	llc_text_put(text, "numa_balancing %s\n", str_on_off(map->facts->numa));
	for (at = 0; at < map->nr_parts; at++) {
		llc_text_put(text, "domain ");
		llc_part_name(text, &map->parts[at]);
		cas_limits(text, &params, &spans->room[map->parts[at].leader]);
		llc_text_put(text, "\n");
	}
}
