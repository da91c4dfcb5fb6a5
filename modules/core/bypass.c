// SPDX-License-Identifier: GPL-2.0
/*
 * What has no effect while an arm is on. Bodies call the kernel's functions where
 * they are, so that live patches and probes of these work as ever. There are two
 * exceptions: a probe in the middle of a function that is redirected, and all
 * that is done to a function of which the bodies have a copy: one that changes,
 * too, and cannot be redirected, or one that the compiler has inlined.
 *
 * A live patch of such a function is a fix that would be lost: no arm is switched
 * to while there is one, and if it comes later the log and "stats" tell. The
 * functions that are redirected need nothing here: the kernel itself takes a live
 * patch or a hook for one at a time.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/seq_file.h>

#include "bypass.h"
#include "conflict.h"
#include "core.h"
#include "redirect.h"
#include "uplift.h"

#define BYPASS_NAME_SIZE	128

static DEFINE_MUTEX(bypass_lock);
static LIST_HEAD(bypass_redirects);

/* What the bodies of null have inlined the kernel has, too. */
static bool bypass_has_copies(unsigned int arm)
{
	return arm != UPLIFT_ARM_OFF && arm != UPLIFT_ARM_NULL;
}

/**
 * uplift_bypass_patched - is something live-patched of which there is a copy?
 * @redirect: the redirect
 * @arm: the arm that has the copy
 * @name: set to what it is
 * @size: bytes at @name
 *
 * Context: process context, may sleep.
 * Return: true if so.
 */
bool uplift_bypass_patched(const struct uplift_redirect *redirect, unsigned int arm,
			   char *name, size_t size)
{
	unsigned int i;
	size_t len;

	for (i = 0; bypass_has_copies(arm) && i < redirect->nr_copies; i++) {
		len = scnprintf(name, size, "%s, of which the bodies have a copy: ",
				redirect->copies[i]);
		if (uplift_live_patched(redirect->copies[i], name + len, size - len))
			return true;
	}
	return false;
}

static void bypass_show_probes(struct seq_file *m, const char *function, unsigned long start,
			       unsigned long end)
{
	unsigned long addr;

	for (addr = start; addr < end; addr++)
		if (uplift_probed(addr))
			seq_printf(m, "bypassed: %s, kprobe at %pS\n", function, (void *)addr);
}

/* A probe at the site itself is hit on the way to the body. */
static void bypass_show_function(struct seq_file *m, const struct uplift_function *function)
{
	unsigned long addr;

	if (uplift_resolve(function->name, &addr))
		return;
	bypass_show_probes(m, function->name, function->site + 1,
			   addr + uplift_function_size(addr));
}

static void bypass_show_copy(struct seq_file *m, const char *function)
{
	char name[BYPASS_NAME_SIZE];
	unsigned long addr;

	if (uplift_live_patched(function, name, sizeof(name)))
		seq_printf(m, "bypassed: %s, %s\n", function, name);
	if (!uplift_resolve(function, &addr))
		bypass_show_probes(m, function, addr, addr + uplift_function_size(addr));
}

/**
 * uplift_bypass_show - lines of "stats" for what has no effect
 * @m: the file
 * @redirect: the redirect
 * @arm: the arm that is on
 *
 * Context: process context, may sleep.
 */
void uplift_bypass_show(struct seq_file *m, const struct uplift_redirect *redirect,
			unsigned int arm)
{
	unsigned int i;

	if (arm == UPLIFT_ARM_OFF)
		return;
	for (i = 0; i < redirect->nr_functions; i++)
		bypass_show_function(m, &redirect->functions[i]);
	for (i = 0; bypass_has_copies(arm) && i < redirect->nr_copies; i++)
		bypass_show_copy(m, redirect->copies[i]);
}

/**
 * uplift_bypass_add - tell the log of live patches that come from now on
 * @redirect: the redirect
 *
 * Context: process context.
 */
void uplift_bypass_add(struct uplift_redirect *redirect)
{
	mutex_lock(&bypass_lock);
	list_add(&redirect->bypass, &bypass_redirects);
	mutex_unlock(&bypass_lock);
}

/**
 * uplift_bypass_remove - undo uplift_bypass_add()
 * @redirect: the redirect
 *
 * Context: process context.
 */
void uplift_bypass_remove(struct uplift_redirect *redirect)
{
	mutex_lock(&bypass_lock);
	list_del(&redirect->bypass);
	mutex_unlock(&bypass_lock);
}

static void bypass_tell(const struct uplift_redirect *redirect)
{
	unsigned int arm = READ_ONCE(redirect->arm);
	char name[BYPASS_NAME_SIZE];

	if (uplift_bypass_patched(redirect, arm, name, sizeof(name)))
		pr_warn("%s: without effect while the arm %s is on: %s\n", redirect->name,
			uplift_redirect_word(redirect, arm), name);
}

/* A live patch is in effect once its module has been initialised. */
static int bypass_notify(struct notifier_block *nb, unsigned long state, void *data)
{
	const struct uplift_redirect *redirect;

	if (state != MODULE_STATE_LIVE || !is_livepatch_module(data))
		return NOTIFY_DONE;
	mutex_lock(&bypass_lock);
	list_for_each_entry(redirect, &bypass_redirects, bypass)
		bypass_tell(redirect);
	mutex_unlock(&bypass_lock);
	return NOTIFY_DONE;
}

static struct notifier_block bypass_nb = {
	.notifier_call	= bypass_notify,
};

/**
 * uplift_bypass_init - look at live patches that come
 *
 * Return: 0 or a negative errno.
 */
int uplift_bypass_init(void)
{
	return register_module_notifier(&bypass_nb);
}

/**
 * uplift_bypass_exit - look no longer
 */
void uplift_bypass_exit(void)
{
	unregister_module_notifier(&bypass_nb);
}
