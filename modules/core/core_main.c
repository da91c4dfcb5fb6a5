// SPDX-License-Identifier: GPL-2.0
/*
 * uplift.ko: the small core under the modules that carry one change each.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/module.h>

#include "bypass.h"
#include "conflict.h"
#include "core.h"

/* Where each change has a directory. */
struct dentry *uplift_debugfs;

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
	err = uplift_bypass_init();
	if (err)
		return err;
	err = uplift_bind_init();
	if (err)
		pr_warn("bodies of object code cannot be bound in this kernel (%pe)\n",
			ERR_PTR(err));
	uplift_debugfs = debugfs_create_dir("uplift", NULL);
	return 0;
}

static void __exit uplift_exit(void)
{
	debugfs_remove(uplift_debugfs);
	uplift_bind_exit();
	uplift_bypass_exit();
}

module_init(uplift_init);
module_exit(uplift_exit);

MODULE_DESCRIPTION("uplift: core for trying upstream fast-path changes on a stock kernel");
MODULE_LICENSE("GPL");
MODULE_VERSION(UPLIFT_VERSION);
