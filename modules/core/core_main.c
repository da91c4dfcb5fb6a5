// SPDX-License-Identifier: GPL-2.0
/*
 * uplift.ko: the small core under the modules that carry one change each.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "conflict.h"
#include "core.h"
#include "uplift.h"

static struct dentry *uplift_debugfs;

static int verdict_show(struct seq_file *m, void *v)
{
	const struct uplift_verdict *verdict = m->private;

	seq_printf(m, "%s\n", uplift_verdict_name(verdict->kind));
	seq_write(m, verdict->evidence, verdict->len);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(verdict);

/**
 * uplift_change_add - show a change in debugfs
 * @change: name and verdict set; must stay until uplift_change_remove()
 *
 * Without debugfs nothing is shown and nothing fails: @change->dir is then an
 * error pointer, which the debugfs functions accept.
 *
 * Context: process context.
 */
void uplift_change_add(struct uplift_change *change)
{
	change->dir = debugfs_create_dir(change->name, uplift_debugfs);
	debugfs_create_file("verdict", 0400, change->dir, &change->verdict, &verdict_fops);
}
EXPORT_SYMBOL_GPL(uplift_change_add);

/**
 * uplift_change_remove - take a change out of debugfs again
 * @change: as given to uplift_change_add()
 *
 * Context: process context; waits for readers.
 */
void uplift_change_remove(struct uplift_change *change)
{
	debugfs_remove(change->dir);
}
EXPORT_SYMBOL_GPL(uplift_change_remove);

static int __init uplift_init(void)
{
	int err;

	err = uplift_resolve_init();
	if (err == -ENOMEM)
		return err;
	if (err) {
		pr_err("cannot look up kernel symbols (%pe): CONFIG_KPROBES and CONFIG_KALLSYMS are needed, and a kernel with kallsyms_on_each_match_symbol()\n",
		       ERR_PTR(err));
		return -EOPNOTSUPP;
	}
	uplift_conflict_init();
	uplift_debugfs = debugfs_create_dir("uplift", NULL);
	return 0;
}

static void __exit uplift_exit(void)
{
	debugfs_remove(uplift_debugfs);
}

module_init(uplift_init);
module_exit(uplift_exit);

MODULE_DESCRIPTION("uplift: core for trying upstream fast-path changes on a stock kernel");
MODULE_LICENSE("GPL");
