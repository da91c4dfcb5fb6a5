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
#include <linux/init.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "llc_cas.h"
#include "llc_core.h"
#include "llc_facts.h"
#include "uplift.h"

static struct uplift_change llc_change = { .name = "llc" };

/**
 * struct llc_file - a file that shows the moment in which it was opened
 * @name: in the change's directory
 * @render: writes the text; returns 0 or a negative errno
 */
struct llc_file {
	const char *name;
	int (*render)(struct llc_text *text);
};

static int llc_file_open(struct inode *inode, struct file *file)
{
	const struct llc_file *what = inode->i_private;
	struct llc_text *text;
	int err;

	text = kzalloc(sizeof(*text), GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	err = what->render(text) ?: text->err;
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

/* --- domains --- */

enum llc_view {
	LLC_VIEW_TEXT,
	LLC_VIEW_JSON,
	LLC_VIEW_CPUS,
};

static int render_domains(struct llc_text *text, enum llc_view view)
{
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
	switch (view) {
	case LLC_VIEW_TEXT:
		llc_map_text(&map, text);
		break;
	case LLC_VIEW_JSON:
		llc_map_json(&map, text);
		break;
	case LLC_VIEW_CPUS:
		llc_map_cpus(&map, text);
		break;
	}
out_facts:
	llc_facts_release(&facts);
out_map:
	llc_map_free(&map);
	return err;
}

static int render_domains_text(struct llc_text *text)
{
	return render_domains(text, LLC_VIEW_TEXT);
}

static int render_domains_json(struct llc_text *text)
{
	return render_domains(text, LLC_VIEW_JSON);
}

static int render_cpus(struct llc_text *text)
{
	return render_domains(text, LLC_VIEW_CPUS);
}

static const struct llc_file llc_files[] = {
	{ "domains", render_domains_text },
	{ "domains.json", render_domains_json },
	{ "cpus", render_cpus },
};

/* --- the module --- */

/* What was found, and where. */
static int __init llc_probe(struct uplift_verdict *verdict)
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

static int __init llc_init(void)
{
	unsigned int i;
	int err;

	if (!IS_ENABLED(CONFIG_DEBUG_FS)) {
		pr_err("unsupported: a kernel without debugfs, where there is nowhere to show anything\n");
		return -EOPNOTSUPP;
	}
	llc_facts_init();
	llc_cas_init();
	err = llc_probe(&llc_change.verdict);
	if (err)
		return err;

	uplift_change_add(&llc_change);
	for (i = 0; i < ARRAY_SIZE(llc_files); i++)
		debugfs_create_file(llc_files[i].name, 0400, llc_change.dir,
				    (void *)&llc_files[i], &llc_file_fops);
	pr_info("%s: cache domains are shown in debugfs\n",
		uplift_verdict_name(llc_change.verdict.kind));
	return 0;
}

static void __exit llc_exit(void)
{
	uplift_change_remove(&llc_change);
}

module_init(llc_init);
module_exit(llc_exit);

MODULE_DESCRIPTION("uplift: cache domains, and what cache-aware scheduling does or would do with them");
MODULE_LICENSE("GPL");
