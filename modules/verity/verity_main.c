// SPDX-License-Identifier: GPL-2.0
/*
 * uplift_verity.ko: fs-verity for mounted filesystems of a stock XFS, which has none.
 *
 * Upstream: XFS has no fs-verity in any released kernel; the series that would give it
 * one keeps trees elsewhere and is not what is here. The kernel's own fs/verity does
 * the hashing and the checking. docs/verity.md is the guide.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "change.h"
#include "verity_fs.h"

static char *mounts;
module_param(mounts, charp, 0444);
MODULE_PARM_DESC(mounts,
		 "filesystems to give verity at once: paths, with commas between (default: none)");

/* XFS, which cannot go while the module is there; NULL if it is built in. */
static struct module *xfs;

/* --- the file in debugfs --- */

static int verity_mounts_show(struct seq_file *m, void *v)
{
	verity_fs_show(m);
	return 0;
}

static int verity_mounts_open(struct inode *inode, struct file *file)
{
	return single_open(file, verity_mounts_show, NULL);
}

/* "PATH" names a filesystem, "-PATH" gives it up. */
static ssize_t verity_mounts_write(struct file *file, const char __user *from, size_t count,
				   loff_t *pos)
{
	char *text, *path;
	int err;

	if (count >= PATH_MAX)
		return -ENAMETOOLONG;
	text = memdup_user_nul(from, count);
	if (IS_ERR(text))
		return PTR_ERR(text);
	path = strim(text);
	if (*path == '-')
		err = verity_fs_detach(path + 1);
	else
		err = verity_fs_attach(path);
	kfree(text);
	return err ?: count;
}

static const struct file_operations verity_mounts_fops = {
	.owner		= THIS_MODULE,
	.open		= verity_mounts_open,
	.read		= seq_read,
	.write		= verity_mounts_write,
	.llseek		= seq_lseek,
	.release	= single_release,
};

/* --- getting hold of XFS --- */

static bool verity_hooked;

/* Operations of its own for fs/verity are what the series that gives XFS verity has. */
static bool verity_xfs_has(void)
{
	unsigned long addr;

	return !uplift_resolve("xfs:xfs_fsverity_ops", &addr) ||
	       !uplift_resolve("xfs_fsverity_ops", &addr);
}

static int verity_hook_functions(void)
{
	int err = verity_read_init();

	if (err)
		return err;
	err = verity_hooks_init() ?: verity_hooks_on();
	if (err)
		verity_read_exit();
	return err;
}

/**
 * verity_hook - hook XFS's functions, if they are not yet
 *
 * XFS is loaded, as there is a filesystem; from here on it cannot go. Until one is
 * named nothing of XFS is touched.
 *
 * Context: process context, sleeps; locked against itself.
 * Return: 0; after a line in the log -EEXIST if XFS has verity, -ENOEXEC if it is not
 * as is expected here, -EBUSY if something else hooks it.
 */
int verity_hook(void)
{
	int err;

	if (verity_hooked)
		return 0;
	if (verity_xfs_has()) {
		pr_err("native: XFS has its own verity in this kernel\n");
		return -EEXIST;
	}
	xfs = uplift_module_get("xfs");
	err = verity_hook_functions();
	if (err)
		module_put(xfs);
	else
		verity_hooked = true;
	return err;
}

static void verity_unhook(void)
{
	if (!verity_hooked)
		return;
	verity_hooks_off();
	verity_read_exit();
	module_put(xfs);
	verity_hooked = false;
}

/* --- the change --- */

/* Filesystems that cannot have it are refused when they are named. */
static int verity_probe(struct uplift_change *change)
{
	struct uplift_verdict *verdict = &change->verdict;

	if (PAGE_SIZE != SZ_4K) {
		pr_err("unsupported: pages of %lu bytes; 4096 is what it is made for\n",
		       PAGE_SIZE);
		return -EOPNOTSUPP;
	}
	verdict->kind = verity_xfs_has() ? UPLIFT_NATIVE : UPLIFT_APPLICABLE;
	verdict->why = "XFS has its own verity in this kernel";
	uplift_verdict_add(verdict, "xfs_fsverity_ops", "%s",
			   verdict->kind == UPLIFT_NATIVE ? "found" : "not found");
	uplift_verdict_add(verdict, "interface", "%s", COMPAT_VERITY_INTERFACE);
	return 0;
}

static int verity_name_all(void)
{
	char *all, *rest, *path;
	int err = 0;

	all = kstrdup(mounts ?: "", GFP_KERNEL);
	if (!all)
		return -ENOMEM;
	rest = all;
	while (!err && (path = strsep(&rest, ",")))
		if (*path)
			err = verity_fs_attach(path);
	kfree(all);
	return err;
}

static void verity_stop(struct uplift_change *change)
{
	verity_fs_detach_all();
	verity_unhook();
}

static int verity_start(struct uplift_change *change)
{
	int err = verity_name_all();

	if (err)
		verity_stop(change);
	return err;
}

static void verity_show(struct dentry *dir)
{
	debugfs_create_file("mounts", 0600, dir, NULL, &verity_mounts_fops);
}

static struct uplift_change verity_change = {
	.name	= "verity",
	.owner	= THIS_MODULE,
	.ready	= "filesystems can be named in debugfs",
	.probe	= verity_probe,
	.start	= verity_start,
	.show	= verity_show,
	.stop	= verity_stop,
};
module_uplift_change(verity_change);

MODULE_DESCRIPTION("uplift: fs-verity for a stock XFS");
MODULE_LICENSE("GPL");
