// SPDX-License-Identifier: GPL-2.0
/*
 * Registering a change: the steps that every change goes through, from asking
 * the running kernel whether it applies to the files in debugfs.
 */
#include <linux/debugfs.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "change.h"
#include "core.h"
#include "redirect.h"
#include "uplift.h"

/* Lines of a change begin with its module's name, not the core's. */
#define change_err(change, fmt, ...) \
	pr_err("%s: " fmt, module_name((change)->owner), ##__VA_ARGS__)
#define change_info(change, fmt, ...) \
	pr_info("%s: " fmt, module_name((change)->owner), ##__VA_ARGS__)

static int verdict_show(struct seq_file *m, void *v)
{
	const struct uplift_verdict *verdict = m->private;

	seq_printf(m, "%s\n", uplift_verdict_name(verdict->kind));
	seq_write(m, verdict->evidence, verdict->len);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(verdict);

/* How is to be redirected? */
static int change_method(struct uplift_change *change)
{
	const char *method = change->method ? *change->method : "ftrace-direct";

	if (!strcmp(method, "ftrace-direct"))
		return 0;
	if (!strcmp(method, "livepatch")) {
		change->redirect->livepatch = true;
		return 0;
	}
	change_err(change, "method=%s: neither ftrace-direct nor livepatch\n", method);
	return -EINVAL;
}

/* Has it an arm for kernels that have the change? */
static bool change_goes_beyond(const struct uplift_change *change)
{
	const struct uplift_redirect *redirect = change->redirect;
	unsigned int arm;

	for (arm = 0; redirect && arm < redirect->nr_arms; arm++)
		if (redirect->arms[arm].bodies && redirect->arms[arm].beyond)
			return true;
	return false;
}

/* Does it apply to this kernel, and if not, why? */
static int change_judge(struct uplift_change *change)
{
	struct uplift_verdict *verdict = &change->verdict;
	unsigned int i;
	int err;

	for (i = 0; change->redirect && i < change->redirect->nr_functions; i++)
		uplift_verdict_add(verdict, "function", "%s", change->redirect->functions[i].name);
	err = change->probe(change);
	if (err)
		return err;
	if (change->identical)
		uplift_verdict_add(verdict, "identical", "%s", change->identical);
	if (change->unusable && verdict->kind == UPLIFT_APPLICABLE) {
		verdict->kind = UPLIFT_UNSUPPORTED;
		verdict->why = change->unusable;
		uplift_verdict_add(verdict, "code", "%s", verdict->why);
	}
	if (verdict->kind == UPLIFT_NATIVE && (change->native || change_goes_beyond(change)))
		return 0;
	err = uplift_verdict_errno(verdict->kind);
	if (err)
		change_err(change, "%s: %s\n", uplift_verdict_name(verdict->kind), verdict->why);
	return err;
}

/* Make what it redirects ready to be hooked; nothing is yet. */
static int change_arm(struct uplift_change *change)
{
	struct uplift_redirect *redirect = change->redirect;
	unsigned int arm;
	int err;

	redirect->name = change->name;
	redirect->owner = change->owner;
	redirect->native = change->verdict.kind == UPLIFT_NATIVE;
	if (!uplift_redirect_offers(redirect, UPLIFT_ARM_NULL)) {
		change_err(change, "unsupported: no bodies were made for this kernel\n");
		return -ENODEV;
	}
	for (arm = UPLIFT_ARM_NULL; arm < redirect->nr_arms; arm++) {
		if (!uplift_redirect_offers(redirect, arm) || !redirect->arms[arm].bind)
			continue;
		err = redirect->arms[arm].bind();
		if (err)
			return err;
	}
	err = change->check ? change->check(change) : 0;
	return err ?: uplift_redirect_init(redirect);
}

static void change_show(struct uplift_change *change)
{
	change->dir = debugfs_create_dir(change->name, uplift_debugfs);
	debugfs_create_file("verdict", 0400, change->dir, &change->verdict, &verdict_fops);
	if (change->redirect)
		uplift_redirect_show(change->redirect, change->dir);
	if (change->show)
		change->show(change->dir);
}

static void change_tell(const struct uplift_change *change)
{
	const char *verdict = uplift_verdict_name(change->verdict.kind);
	const struct uplift_redirect *redirect = change->redirect;

	if (!redirect)
		change_info(change, "%s: %s\n", verdict, change->ready);
	else if (redirect->nr_functions == 1)
		change_info(change, "%s: %s() can be redirected\n", verdict,
			    redirect->functions[0].name);
	else
		change_info(change, "%s: %u functions can be redirected\n", verdict,
			    redirect->nr_functions);
}

/**
 * uplift_change_register - find out whether a change applies, and offer it
 * @change: the change; must stay until uplift_change_unregister()
 *
 * Without debugfs a change that redirects nothing is not shown, and nothing
 * fails.
 *
 * Context: process context, may sleep.
 * Return: 0, or after one line in the log: -EEXIST if the kernel has the
 * change, -ENODEV if it never needed it, -EOPNOTSUPP or -ENOEXEC if it cannot be
 * tried here, -EINVAL for a parameter, -ENOMEM.
 */
int uplift_change_register(struct uplift_change *change)
{
	int err = 0;

	if (change->btf_size)
		err = uplift_btf_check(change->name, change->btf_size, change->btf_crc);
	if (!err && change->redirect)
		err = change_method(change);
	if (!err)
		err = change_judge(change);
	if (!err && change->redirect)
		err = change_arm(change);
	if (err)
		return err;
	err = change->start ? change->start(change) : 0;
	if (err) {
		if (change->redirect)
			uplift_redirect_exit(change->redirect);
		return err;
	}
	change_show(change);
	change_tell(change);
	return 0;
}
EXPORT_SYMBOL_GPL(uplift_change_register);

/**
 * uplift_change_unregister - withdraw a change
 * @change: as given to uplift_change_register(); its arm is off and no task
 *	is inside, as its module could not be unloaded otherwise
 *
 * Context: process context; waits for readers of its files.
 */
void uplift_change_unregister(struct uplift_change *change)
{
	debugfs_remove(change->dir);
	if (change->redirect)
		uplift_redirect_exit(change->redirect);
	if (change->stop)
		change->stop(change);
}
EXPORT_SYMBOL_GPL(uplift_change_unregister);
