// SPDX-License-Identifier: GPL-2.0
/*
 * Processes and migrations as text and as JSON. Pure logic.
 */
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/string_helpers.h>

#include "llc_show.h"

static u64 total_runtime(const struct llc_table *table, const struct llc_row *row)
{
	unsigned int i;
	u64 total = 0;

	for (i = 0; row->tracked && i < table->nr_parts; i++)
		total += row->runtime[i];
	return total;
}

static unsigned int permille(u64 part, u64 whole)
{
	return whole ? div64_u64(part * 1000 + whole / 2, whole) : 0;
}

static const char *source(const struct llc_table *table)
{
	if (table->cas)
		return "scheduler";
	return table->tracking ? "prediction" : "none";
}

/* --- processes as text --- */

static void text_opinion(const struct llc_table *table, struct llc_text *text,
			 const struct llc_opinion *opinion)
{
	if (!opinion->known) {
		llc_text_put(text, "\t-\t-\t-\t-");
		return;
	}
	llc_text_put(text, "\t");
	if (opinion->part >= 0) {
		llc_part_name(text, &table->parts[opinion->part]);
		llc_text_put(text, "\t-");
	} else {
		llc_text_put(text, "none\t%s", llc_reason_name(opinion->reason));
	}
	if (opinion->footprint_known)
		llc_text_put(text, "\t%llu",
			     (u64)opinion->footprint * (table->page_size >> 10));
	else
		llc_text_put(text, "\t-");
	llc_text_put(text, "\t%llu", opinion->running_avg);
}

/* A name in a column: nothing that ends a column or a line. */
static void text_comm(struct llc_text *text, const char *comm)
{
	for (; *comm; comm++)
		llc_text_put(text, "%c", *comm > ' ' && *comm < 0x7f ? *comm : '?');
}

static void text_row(const struct llc_table *table, struct llc_text *text,
		     const struct llc_row *row)
{
	u64 total = total_runtime(table, row);
	const struct llc_moves *moves = &row->moves;
	bool any = false;
	unsigned int i;

	llc_text_put(text, "%d\t", row->pid);
	text_comm(text, row->comm);
	llc_text_put(text, "\t%u\t", row->threads);
	for (i = 0; row->tracked && i < table->nr_parts; i++) {
		if (!row->runtime[i])
			continue;
		llc_text_put(text, any ? "," : "");
		llc_part_name(text, &table->parts[i]);
		llc_text_put(text, ":%u", permille(row->runtime[i], total));
		any = true;
	}
	if (!any)
		llc_text_put(text, "-");
	text_opinion(table, text, &row->scheduler);
	text_opinion(table, text, &row->predicted);
	if (row->tracked)
		llc_text_put(text, "\t%llu\t%llu\t%llu\t%llu\t%llu\n", moves->same,
			     moves->woke_within, moves->woke_across, moves->moved_within,
			     moves->moved_across);
	else
		llc_text_put(text, "\t-\t-\t-\t-\t-\n");
}

/**
 * llc_table_text - processes with several threads as a table
 * @table: the processes
 * @text: where to
 *
 * Context: process context, may sleep.
 */
void llc_table_text(const struct llc_table *table, struct llc_text *text)
{
	unsigned int i;

	llc_text_put(text, "source %s, tracking %s, %u tracked, %llu dropped", source(table),
		     str_on_off(table->tracking), table->tracked, table->dropped);
	llc_text_put(text, ", epoch %u.%03u ms, tolerance %u\n", table->epoch_us / 1000,
		     table->epoch_us % 1000, table->tolerance);
	llc_text_put(text, "pid\tcomm\tthreads\tshare\tscheduler\treason\tfootprint_kib\trunning");
	llc_text_put(text, "\tpredicted\treason\tfootprint_kib\trunning");
	llc_text_put(text, "\twoke_same\twoke_within\twoke_across\tmoved_within\tmoved_across\n");
	for (i = 0; i < table->nr; i++)
		if (table->row[i].threads > 1)
			text_row(table, text, &table->row[i]);
}

/* --- processes as JSON --- */

static void json_preferred(struct llc_text *text, const struct llc_part *part)
{
	llc_text_put(text, "{\"preferred\": %u, ", part->domain);
	if (part->split) {
		llc_text_put(text, "\"part\": \"");
		llc_part_name(text, part);
		llc_text_put(text, "\", ");
	}
	llc_text_put(text, "\"reason\": null");
}

static void json_opinion(const struct llc_table *table, struct llc_text *text, const char *key,
			 const struct llc_opinion *opinion)
{
	llc_text_put(text, ",\n   \"%s\": ", key);
	if (!opinion->known) {
		llc_text_put(text, "null");
		return;
	}
	if (opinion->part >= 0)
		json_preferred(text, &table->parts[opinion->part]);
	else
		llc_text_put(text, "{\"preferred\": null, \"reason\": \"%s\"",
			     llc_reason_name(opinion->reason));
	if (opinion->footprint_known)
		llc_text_put(text, ", \"footprint_kib\": %llu",
			     (u64)opinion->footprint * (table->page_size >> 10));
	else
		llc_text_put(text, ", \"footprint_kib\": null");
	llc_text_put(text, ", \"running_avg\": %llu.0, \"epoch\": %lu}", opinion->running_avg,
		     opinion->epoch);
}

static void json_moves(struct llc_text *text, const struct llc_moves *moves)
{
	llc_text_put(text, "\"wakeups\": {\"same_cpu\": %llu, \"within\": %llu, \"across\": %llu}",
		     moves->same, moves->woke_within, moves->woke_across);
	llc_text_put(text, ", \"moves\": {\"within\": %llu, \"across\": %llu}",
		     moves->moved_within, moves->moved_across);
}

static void json_shares_by_domain(const struct llc_table *table, struct llc_text *text,
				  const struct llc_row *row, u64 total)
{
	unsigned int i, next;
	bool any = false;
	u64 runtime;

	for (i = 0; row->tracked && i < table->nr_parts; i = next) {
		runtime = 0;
		for (next = i; next < table->nr_parts; next++) {
			if (table->parts[next].domain != table->parts[i].domain)
				break;
			runtime += row->runtime[next];
		}
		if (!runtime)
			continue;
		llc_text_put(text, "%s{\"domain\": %u, \"permille\": %u}", any ? ", " : "",
			     table->parts[i].domain, permille(runtime, total));
		any = true;
	}
}

/* Is any domain split? Then shares are told by part, too. */
static bool is_split(const struct llc_table *table)
{
	unsigned int i;

	for (i = 0; i < table->nr_parts; i++)
		if (table->parts[i].split)
			return true;
	return false;
}

static void json_shares(const struct llc_table *table, struct llc_text *text,
			const struct llc_row *row, u64 total)
{
	bool any = false;
	unsigned int i;

	llc_text_put(text, ", \"parts\": [");
	for (i = 0; row->tracked && i < table->nr_parts; i++) {
		if (!row->runtime[i])
			continue;
		llc_text_put(text, "%s{\"part\": \"", any ? ", " : "");
		llc_part_name(text, &table->parts[i]);
		llc_text_put(text, "\", \"permille\": %u}", permille(row->runtime[i], total));
		any = true;
	}
	llc_text_put(text, "]");
}

static void json_row(const struct llc_table *table, struct llc_text *text,
		     const struct llc_row *row)
{
	u64 total = total_runtime(table, row);

	llc_text_put(text, "{\"pid\": %d, \"comm\": ", row->pid);
	llc_text_quote(text, row->comm);
	llc_text_put(text, ", \"threads\": %u,\n   \"runtime_ns\": %llu, \"share\": [",
		     row->threads, total);
	json_shares_by_domain(table, text, row, total);
	llc_text_put(text, "]");
	if (is_split(table))
		json_shares(table, text, row, total);
	json_opinion(table, text, "scheduler", &row->scheduler);
	json_opinion(table, text, "predicted", &row->predicted);
	llc_text_put(text, ",\n   ");
	json_moves(text, &row->moves);
	llc_text_put(text, "}");
}

/**
 * llc_table_json - processes as JSON
 * @table: the processes
 * @text: where to
 *
 * Context: process context, may sleep.
 */
void llc_table_json(const struct llc_table *table, struct llc_text *text)
{
	unsigned int i;

	llc_text_put(text, "{\"format\": 1, \"kernel\": ");
	llc_text_quote(text, table->kernel);
	llc_text_put(text, ", \"tracking\": %s, \"source\": \"%s\"",
		     llc_text_bool(table->tracking), source(table));
	llc_text_put(text, ", \"tracked\": %u, \"dropped\": %llu", table->tracked,
		     table->dropped);
	llc_text_put(text, ", \"epoch_ms\": %u.%03u, \"tolerance\": %u,\n \"processes\": [",
		     table->epoch_us / 1000, table->epoch_us % 1000, table->tolerance);
	for (i = 0; i < table->nr; i++) {
		llc_text_put(text, i ? ",\n  " : "\n  ");
		json_row(table, text, &table->row[i]);
	}
	llc_text_put(text, "]}\n");
}

/* --- migrations --- */

/**
 * llc_traffic_text - moves of all processes as lines and a table
 * @traffic: the moves
 * @text: where to
 *
 * Context: process context, may sleep.
 */
void llc_traffic_text(const struct llc_traffic *traffic, struct llc_text *text)
{
	const struct llc_moves *moves = &traffic->moves;
	unsigned int from, to;

	llc_text_put(text, "tracking %s\nsince_ns %llu\n", str_on_off(traffic->tracking),
		     traffic->since_ns);
	llc_text_put(text, "woke_same %llu\nwoke_within %llu\nwoke_across %llu\n", moves->same,
		     moves->woke_within, moves->woke_across);
	llc_text_put(text, "moved_within %llu\nmoved_across %llu\n", moves->moved_within,
		     moves->moved_across);
	llc_text_put(text, "from\\to");
	for (to = 0; to < traffic->nr_parts; to++)
		llc_text_put(text, "\t%s", traffic->cpus[to].buf ?: "");
	llc_text_put(text, "\n");
	for (from = 0; from < traffic->nr_parts; from++) {
		llc_text_put(text, "%s", traffic->cpus[from].buf ?: "");
		for (to = 0; to < traffic->nr_parts; to++)
			llc_text_put(text, "\t%llu",
				     traffic->pairs[from * traffic->nr_parts + to]);
		llc_text_put(text, "\n");
	}
}

/**
 * llc_traffic_json - moves of all processes as JSON
 * @traffic: the moves
 * @text: where to
 *
 * Context: process context, may sleep.
 */
void llc_traffic_json(const struct llc_traffic *traffic, struct llc_text *text)
{
	unsigned int from, to;

	llc_text_put(text, "{\"format\": 1, \"tracking\": %s, \"since_ns\": %llu,\n ",
		     llc_text_bool(traffic->tracking), traffic->since_ns);
	json_moves(text, &traffic->moves);
	llc_text_put(text, ",\n \"domains\": [");
	for (to = 0; to < traffic->nr_parts; to++) {
		llc_text_put(text, to ? ", " : "");
		llc_text_quote(text, traffic->cpus[to].buf ?: "");
	}
	llc_text_put(text, "],\n \"parts\": [");
	for (to = 0; to < traffic->nr_parts; to++) {
		llc_text_put(text, to ? ", \"" : "\"");
		llc_part_name(text, &traffic->parts[to]);
		llc_text_put(text, "\"");
	}
	llc_text_put(text, "],\n \"pairs\": [");
	for (from = 0; from < traffic->nr_parts; from++) {
		llc_text_put(text, from ? ",\n  [" : "\n  [");
		for (to = 0; to < traffic->nr_parts; to++)
			llc_text_put(text, "%s%llu", to ? ", " : "",
				     traffic->pairs[from * traffic->nr_parts + to]);
		llc_text_put(text, "]");
	}
	llc_text_put(text, "]}\n");
}
