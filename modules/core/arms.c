// SPDX-License-Identifier: GPL-2.0
/*
 * The files "arm" and "stats" of a redirect. Reading them takes no lock: a
 * writer may have to wait for tasks or grace periods.
 */
#include <linux/debugfs.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "bypass.h"
#include "count.h"
#include "ftrace.h"
#include "redirect.h"

static int arm_show(struct seq_file *m, void *v)
{
	const struct uplift_redirect *redirect = m->private;

	seq_printf(m, "%s\n", uplift_redirect_word(redirect, READ_ONCE(redirect->arm)));
	return 0;
}

static ssize_t arm_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	struct uplift_redirect *redirect = ((struct seq_file *)file->private_data)->private;
	unsigned int arm;
	char word[16];
	int err;

	if (*pos || len >= sizeof(word))
		return -EINVAL;
	if (copy_from_user(word, buf, len))
		return -EFAULT;
	word[len] = '\0';
	if (strlen(word) != len)
		return -EINVAL;

	/* The newline may be there or not. */
	for (arm = 0; arm < redirect->nr_arms; arm++)
		if (sysfs_streq(word, uplift_redirect_word(redirect, arm)))
			break;
	err = uplift_redirect_set(redirect, arm);
	return err ?: len;
}

static int arm_open(struct inode *inode, struct file *file)
{
	return single_open(file, arm_show, inode->i_private);
}

static const struct file_operations arm_fops = {
	.owner		= THIS_MODULE,
	.open		= arm_open,
	.read		= seq_read,
	.write		= arm_write,
	.llseek		= seq_lseek,
	.release	= single_release,
};

static const char *redirect_method(const struct uplift_redirect *redirect)
{
	if (redirect->livepatch)
		return "livepatch";
	return COMPAT_FTRACE_JMP ? "ftrace-direct-jmp" : "ftrace-direct";
}

static int redirect_stats_show(struct seq_file *m, void *v)
{
	struct uplift_redirect *redirect = m->private;
	unsigned int i, arm = READ_ONCE(redirect->arm);

	for (i = 0; i < redirect->nr_functions; i++)
		seq_printf(m, "function: %s\n", redirect->functions[i].name);
	seq_printf(m, "method: %s\n", redirect_method(redirect));
	seq_printf(m, "arm: %s\n", uplift_redirect_word(redirect, arm));
	seq_printf(m, "state: %s\n", uplift_redirect_state(redirect, arm));
	for (i = UPLIFT_ARM_OFF + 1; i < redirect->nr_arms; i++)
		if (uplift_redirect_offers(redirect, i))
			seq_printf(m, "calls_%s: %llu\n", uplift_redirect_word(redirect, i),
				   uplift_count_calls(redirect->count, i));
	seq_printf(m, "inside: %llu\n", uplift_redirect_inside(redirect));
	uplift_bypass_show(m, redirect, arm);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(redirect_stats);

/**
 * uplift_redirect_show - show a redirect in debugfs
 * @redirect: the redirect
 * @dir: the change's directory, which gets the files "arm" and "stats"
 *
 * Context: process context.
 */
void uplift_redirect_show(struct uplift_redirect *redirect, struct dentry *dir)
{
	debugfs_create_file("arm", 0600, dir, redirect, &arm_fops);
	debugfs_create_file("stats", 0400, dir, redirect, &redirect_stats_fops);
}
EXPORT_SYMBOL_GPL(uplift_redirect_show);
