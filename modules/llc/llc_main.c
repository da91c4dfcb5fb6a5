// SPDX-License-Identifier: GPL-2.0
/*
 * uplift_llc.ko: the cache domains of this machine, the scheduler's view beside
 * the hardware's, and what cache-aware scheduling does or would do here.
 *
 * Upstream: cache-aware scheduling, CONFIG_SCHED_CACHE (Linux 7.2).
 *
 * Nothing of the kernel is changed. What is shown is found out when a file is
 * opened, and a file shows that moment however it is read.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "change.h"
#include "llc_cas.h"
#include "llc_core.h"
#include "llc_facts.h"
#include "llc_list.h"
#include "llc_spans.h"
#include "llc_track.h"

/* --- what is in them --- */

/* From LLC_PROCESSES on they need tracking. */
enum llc_view {
	LLC_DOMAINS,
	LLC_DOMAINS_JSON,
	LLC_CPUS,
	LLC_CAS,
	LLC_PROCESSES,
	LLC_PROCESSES_JSON,
	LLC_MIGRATIONS,
	LLC_MIGRATIONS_JSON,
};

static int render_view(struct llc_text *text, struct llc_map *map, enum llc_view view,
		       bool tracking)
{
	struct llc_spans *spans;
	int err = 0;

	switch (view) {
	case LLC_DOMAINS:
		llc_map_text(map, text);
		return 0;
	case LLC_DOMAINS_JSON:
		llc_map_json(map, text);
		return 0;
	case LLC_CPUS:
		llc_map_cpus(map, text);
		return 0;
	case LLC_MIGRATIONS:
	case LLC_MIGRATIONS_JSON:
		return llc_list_migrations(text, map, tracking, view == LLC_MIGRATIONS_JSON);
	default:
		break;
	}

	spans = llc_spans_make(map->facts, map);
	if (!spans)
		return -ENOMEM;
	if (view == LLC_CAS)
		llc_cas_text(text, map, spans);
	else
		err = llc_list_processes(text, map, spans, tracking,
					 view == LLC_PROCESSES_JSON);
	llc_spans_free(spans);
	return err;
}

/* All of a file is of one moment, in which no CPU comes or goes. */
static int llc_render(struct llc_text *text, enum llc_view view)
{
	struct llc_facts facts;
	bool tracking = false;
	struct llc_map map;
	int err;

	err = llc_map_init(&map, nr_cpu_ids);
	if (err)
		goto out;
	/* Before the CPUs are held, as tracking holds them itself. */
	if (view >= LLC_PROCESSES)
		tracking = llc_track_begin();
	err = llc_facts_take(&facts);
	if (!err) {
		llc_map_build(&map, &facts);
		err = render_view(text, &map, view, tracking);
	}
	llc_facts_release(&facts);
	if (view >= LLC_PROCESSES)
		llc_track_end();
out:
	llc_map_free(&map);
	return err;
}

/* --- files --- */

/**
 * struct llc_file - a file that shows the moment in which it was opened
 * @name: in the change's directory
 * @view: what is in it
 */
struct llc_file {
	const char *name;
	enum llc_view view;
};

static const struct llc_file llc_files[] = {
	{ "domains", LLC_DOMAINS },
	{ "domains.json", LLC_DOMAINS_JSON },
	{ "cpus", LLC_CPUS },
	{ "cas", LLC_CAS },
	{ "processes", LLC_PROCESSES },
	{ "processes.json", LLC_PROCESSES_JSON },
	{ "migrations", LLC_MIGRATIONS },
	{ "migrations.json", LLC_MIGRATIONS_JSON },
};

static int llc_file_open(struct inode *inode, struct file *file)
{
	const struct llc_file *what = inode->i_private;
	struct llc_text *text;
	int err;

	text = kzalloc(sizeof(*text), GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	err = llc_render(text, what->view) ?: text->err;
	if (err) {
		llc_text_free(text);
		kfree(text);
		return err;
	}
	file->private_data = text;
	return 0;
}

static ssize_t llc_file_read(struct file *file, char __user *to, size_t count, loff_t *pos)
{
	const struct llc_text *text = file->private_data;

	return simple_read_from_buffer(to, count, pos, text->buf, text->len);
}

static loff_t llc_file_llseek(struct file *file, loff_t offset, int whence)
{
	const struct llc_text *text = file->private_data;

	return fixed_size_llseek(file, offset, whence, text->len);
}

static int llc_file_release(struct inode *inode, struct file *file)
{
	llc_text_free(file->private_data);
	kfree(file->private_data);
	return 0;
}

static const struct file_operations llc_file_fops = {
	.owner		= THIS_MODULE,
	.open		= llc_file_open,
	.read		= llc_file_read,
	.llseek		= llc_file_llseek,
	.release	= llc_file_release,
};

/* --- tracking --- */

static ssize_t track_read(struct file *file, char __user *to, size_t count, loff_t *pos)
{
	const char *text = llc_track_begin() ? "1\n" : "0\n";

	llc_track_end();
	return simple_read_from_buffer(to, count, pos, text, 2);
}

static ssize_t track_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	bool on;
	int err;

	err = kstrtobool_from_user(from, count, &on) ?: llc_track_set(on);
	return err ?: count;
}

static const struct file_operations track_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.read	= track_read,
	.write	= track_write,
	.llseek	= default_llseek,
};

/* --- the module --- */

/* What was found, and where. */
static int llc_judge(struct uplift_verdict *verdict)
{
	const char *cas = llc_cas_state();
	struct llc_facts facts;
	struct llc_map map;
	int err;

	err = llc_map_init(&map, nr_cpu_ids);
	if (err)
		goto out_map;
	err = llc_facts_take(&facts);
	if (err)
		goto out_facts;

	llc_map_build(&map, &facts);
	verdict->kind = strcmp(cas, "absent") ? UPLIFT_NATIVE : UPLIFT_APPLICABLE;
	uplift_verdict_add(verdict, "cas", "%s", cas);
	if (map.nr_domains)
		uplift_verdict_add(verdict, "cacheinfo", "%u domains, the first of level %u",
				   map.nr_domains, facts.cpu[map.domains[0].leader].level);
	else
		uplift_verdict_add(verdict, "cacheinfo", "no cache of any CPU is known");
	uplift_verdict_add(verdict, "sched_domain", "%s", llc_facts_sched() ? "sd_llc" :
			   "not shown: no symbol sd_llc in this kernel (CONFIG_KALLSYMS_ALL)");
out_facts:
	llc_facts_release(&facts);
out_map:
	llc_map_free(&map);
	return err;
}

static int llc_probe(struct uplift_change *change)
{
	if (!debugfs_initialized()) {
		pr_err("unsupported: no debugfs (CONFIG_DEBUG_FS, or debugfs= on the command line), where there is nowhere to show anything\n");
		return -EOPNOTSUPP;
	}
	llc_facts_init();
	llc_cas_init();
	llc_track_init();
	return llc_judge(&change->verdict);
}

static void llc_show(struct dentry *dir)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(llc_files); i++)
		debugfs_create_file(llc_files[i].name, 0400, dir, (void *)&llc_files[i],
				    &llc_file_fops);
	debugfs_create_file("track", 0600, dir, NULL, &track_fops);
}

static void llc_stop(struct uplift_change *change)
{
	llc_track_exit();
}

static struct uplift_change llc_change = {
	.name	= "llc",
	.owner	= THIS_MODULE,
	.native	= true,
	.ready	= "cache domains are shown in debugfs",
	.probe	= llc_probe,
	.show	= llc_show,
	.stop	= llc_stop,
};
module_uplift_change(llc_change);

MODULE_DESCRIPTION("uplift: cache domains, and what cache-aware scheduling does or would do with them");
MODULE_LICENSE("GPL");
