// SPDX-License-Identifier: GPL-2.0
/*
 * What is known of processes and migrations at one moment: of the scheduler's
 * opinion and of ours.
 */
#include <linux/errno.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "llc_cas.h"
#include "llc_list.h"
#include "llc_show.h"
#include "llc_track.h"
#include "threads.h"

/* Processes that come while memory for them is got. */
#define LIST_SLACK	64

/* A thread that still has its address space; the leader may have gone already. */
static struct task_struct *thread_with_mm(struct task_struct *leader)
{
	struct task_struct *p;

	if (READ_ONCE(leader->mm))
		return leader;
	compat_for_each_thread(leader, p)
		if (READ_ONCE(p->mm))
			return p;
	return NULL;
}

static bool fill_row(struct llc_row *row, struct task_struct *leader, bool tracking,
		     const struct llc_spans *spans)
{
	struct task_struct *p;
	unsigned int slot;

	if (leader->flags & PF_KTHREAD)
		return false;
	p = thread_with_mm(leader);
	if (!p)
		return false;
	row->threads = get_nr_threads(leader);
	slot = tracking ? llc_track_find(READ_ONCE(p->mm)) : 0;
	if (row->threads < 2)
		slot = 0;

	llc_cas_opinion(&row->scheduler, p, row->threads, spans);
	if (!slot && (!row->scheduler.known ||
		      (row->threads < 2 && row->scheduler.part < 0)))
		return false;
	row->pid = task_pid_nr(leader);
	strscpy(row->comm, leader->comm, sizeof(row->comm));
	if (slot) {
		llc_track_row(row, slot, spans->part_of);
		llc_track_opinion(&row->predicted, slot, row->threads, task_cpu(p),
				  spans->part_of);
	}
	return true;
}

static unsigned int count_processes(void)
{
	struct task_struct *leader;
	unsigned int nr = 0;

	rcu_read_lock();
	for_each_process(leader)
		nr++;
	rcu_read_unlock();
	return nr;
}

/**
 * llc_list_processes - write the processes
 * @text: where to
 * @map: the domains
 * @spans: the same, as the scheduler has them
 * @tracking: whether it is on
 * @json: how
 *
 * Context: process context, may sleep; between llc_track_begin() and
 * llc_track_end().
 * Return: 0 or -ENOMEM.
 */
int llc_list_processes(struct llc_text *text, const struct llc_map *map,
		       const struct llc_spans *spans, bool tracking, bool json)
{
	unsigned int room = count_processes() + LIST_SLACK;
	unsigned int nr_parts = max(map->nr_parts, 1U);
	struct llc_params params;
	struct llc_table table;
	struct task_struct *leader;
	u64 *runtime;
	int err = -ENOMEM;

	llc_cas_params(&params);
	table = (struct llc_table){
		.kernel		= map->facts->kernel,
		.tracking	= tracking,
		.cas		= llc_cas_built_in(),
		.epoch_us	= jiffies_to_usecs(params.epoch_period),
		.tolerance	= params.aggr_tolerance,
		.page_size	= PAGE_SIZE,
		.nr_parts	= map->nr_parts,
		.parts		= map->parts,
		.row		= kvcalloc(room, sizeof(*table.row), GFP_KERNEL),
	};
	runtime = kvcalloc(room, array_size(nr_parts, sizeof(*runtime)), GFP_KERNEL);
	if (!table.row || !runtime)
		goto out;
	if (tracking)
		llc_track_table(&table);

	rcu_read_lock();
	for_each_process(leader) {
		struct llc_row *row = &table.row[table.nr];

		if (table.nr == room)
			break;
		row->runtime = runtime + table.nr * nr_parts;
		if (fill_row(row, leader, tracking, spans))
			table.nr++;
		else
			*row = (struct llc_row){};
	}
	rcu_read_unlock();

	if (json)
		llc_table_json(&table, text);
	else
		llc_table_text(&table, text);
	err = 0;
out:
	kvfree(runtime);
	kvfree(table.row);
	return err;
}

/* The CPUs of each part, as a list. */
static int fill_cpus(struct llc_text *cpus, const struct llc_map *map)
{
	unsigned int at, i, nr, err = 0;

	for (at = 0; at < map->nr_parts; at++) {
		const struct llc_domain *domain = &map->domains[map->parts[at].domain];

		for (i = 0, nr = 0; i < domain->nr; i++) {
			unsigned int cpu = map->cpus[domain->first + i];

			if (map->part_of[cpu] == at)
				map->values[nr++] = cpu;
		}
		llc_text_list(&cpus[at], map->values, nr, true);
		err |= cpus[at].err;
	}
	return err ? -ENOMEM : 0;
}

/**
 * llc_list_migrations - write the migrations
 * @text: where to
 * @map: the domains
 * @tracking: whether it is on
 * @json: how
 *
 * Context: process context, may sleep; between llc_track_begin() and
 * llc_track_end().
 * Return: 0 or -ENOMEM.
 */
int llc_list_migrations(struct llc_text *text, const struct llc_map *map, bool tracking,
			bool json)
{
	unsigned int at, nr = max(map->nr_parts, 1U);
	struct llc_traffic traffic = {
		.tracking	= tracking,
		.nr_parts	= map->nr_parts,
		.parts		= map->parts,
		.pairs		= kvcalloc(nr, array_size(nr, sizeof(*traffic.pairs)), GFP_KERNEL),
		.cpus		= kvcalloc(nr, sizeof(*traffic.cpus), GFP_KERNEL),
	};
	int err = -ENOMEM;

	if (!traffic.pairs || !traffic.cpus)
		goto out;
	err = fill_cpus(traffic.cpus, map);
	if (err)
		goto out_cpus;

	if (tracking)
		err = llc_track_traffic(&traffic, map->part_of);
	if (err)
		goto out_cpus;
	if (json)
		llc_traffic_json(&traffic, text);
	else
		llc_traffic_text(&traffic, text);
out_cpus:
	for (at = 0; at < map->nr_parts; at++)
		llc_text_free(&traffic.cpus[at]);
out:
	kvfree(traffic.cpus);
	kvfree(traffic.pairs);
	return err;
}
