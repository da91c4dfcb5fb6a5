/* SPDX-License-Identifier: GPL-2.0 */
/* Processes and migrations as text and as JSON: pure logic. */
#ifndef _UPLIFT_LLC_SHOW_H
#define _UPLIFT_LLC_SHOW_H

#include <linux/types.h>

#include "llc_core.h"
#include "llc_predict.h"
#include "llc_text.h"

/* As long as a task's name can be, with the zero. */
#define LLC_COMM	16

/**
 * struct llc_opinion - the domain that one source says a process prefers
 * @known: whether there is such an opinion
 * @part: the preferred one, or -1
 * @reason: why there is none
 * @footprint: in pages
 * @footprint_known: or it is not looked at
 * @running_avg: how many threads run at once, smoothed
 * @epoch: of the last tick that met the process
 */
struct llc_opinion {
	bool known;
	int part;
	enum llc_reason reason;
	unsigned long footprint;
	bool footprint_known;
	u64 running_avg;
	unsigned long epoch;
};

/**
 * struct llc_moves - how often threads changed CPUs
 * @same: woke where they slept
 * @woke_within: woke on another CPU of the domain, or part, that they slept in
 * @woke_across: woke in another domain
 * @moved_within: were moved to another CPU of the domain
 * @moved_across: were moved to another domain
 */
struct llc_moves {
	u64 same;
	u64 woke_within;
	u64 woke_across;
	u64 moved_within;
	u64 moved_across;
};

/**
 * struct llc_row - a process
 * @pid: its id
 * @comm: its name, zero-terminated
 * @threads: how many it has
 * @tracked: whether what follows from tracking is known: @runtime, @moves
 * @runtime: nanoseconds by part, halved each epoch; llc_table.nr_parts of them
 * @moves: of its threads
 * @scheduler: the scheduler's opinion
 * @predicted: ours
 */
struct llc_row {
	int pid;
	char comm[LLC_COMM];
	unsigned int threads;
	bool tracked;
	u64 *runtime;
	struct llc_moves moves;
	struct llc_opinion scheduler;
	struct llc_opinion predicted;
};

/**
 * struct llc_table - all processes
 * @kernel: its release
 * @tracking: whether it is on
 * @cas: whether the scheduler has opinions
 * @tracked: processes in the table
 * @dropped: how often one did not fit
 * @epoch_us: length of an epoch
 * @tolerance: llc_params.aggr_tolerance
 * @page_size: bytes
 * @nr_parts: how many parts all domains have
 * @parts: in the order of domains
 * @nr: of rows
 * @row: the processes
 */
struct llc_table {
	const char *kernel;
	bool tracking;
	bool cas;
	unsigned int tracked;
	u64 dropped;
	unsigned int epoch_us;
	unsigned int tolerance;
	unsigned long page_size;
	unsigned int nr_parts;
	const struct llc_part *parts;
	unsigned int nr;
	struct llc_row *row;
};

/**
 * struct llc_traffic - moves of all processes
 * @tracking: whether it is on
 * @since_ns: for how long
 * @moves: all of them
 * @nr_parts: how many parts all domains have
 * @parts: in the order of domains
 * @pairs: how often from one part to another; the square of @nr_parts
 * @cpus: of each, as a list
 */
struct llc_traffic {
	bool tracking;
	u64 since_ns;
	struct llc_moves moves;
	unsigned int nr_parts;
	const struct llc_part *parts;
	u64 *pairs;
	struct llc_text *cpus;
};

void llc_table_text(const struct llc_table *table, struct llc_text *text);
void llc_table_json(const struct llc_table *table, struct llc_text *text);
void llc_traffic_text(const struct llc_traffic *traffic, struct llc_text *text);
void llc_traffic_json(const struct llc_traffic *traffic, struct llc_text *text);

#endif /* _UPLIFT_LLC_SHOW_H */
