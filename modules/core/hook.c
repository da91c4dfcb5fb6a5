// SPDX-License-Identifier: GPL-2.0
/*
 * Hooks that stay for as long as a module is loaded, see hook.h. They are made
 * as redirects are, by ftrace-direct; the kernel's own function is called where
 * it goes on behind its ftrace site, and so is not hooked again.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "conflict.h"
#include "ftrace.h"
#include "hook.h"
#include "uplift.h"

static int hook_resolve(const struct uplift_hook *hook, unsigned long *addr)
{
	char name[KSYM_NAME_LEN];

	if (*hook->module) {
		snprintf(name, sizeof(name), "%s:%s", hook->module, hook->name);
		if (!uplift_resolve(name, addr))
			return 0;
	}
	return uplift_resolve(hook->name, addr);
}

static int hook_init(struct uplift_hook *hook)
{
	unsigned long addr;
	int err;

	err = hook_resolve(hook, &addr);
	if (err) {
		pr_err("unsupported: %s function %s() in this kernel (%pe)\n",
		       err == -ENOTUNIQ ? "more than one" : "no", hook->name, ERR_PTR(err));
		return -ENOEXEC;
	}
	hook->site = uplift_ftrace_site(addr);
	err = hook->site ? ftrace_set_filter_ip(&hook->ops, hook->site, 0, 1) : -ENOENT;
	if (err == -ENOMEM)
		return err;
	if (err) {
		pr_err("unsupported: %s() cannot be traced in this kernel (%pe)\n", hook->name,
		       ERR_PTR(err));
		return -ENOEXEC;
	}
	hook->bind(hook->site + MCOUNT_INSN_SIZE);
	return 0;
}

static unsigned long hook_entry(const struct uplift_hook *hook)
{
	if (COMPAT_FTRACE_JMP)
		return compat_ftrace_jmp((unsigned long)hook->body);
	return (unsigned long)hook->entry;
}

static int hook_refuse(const struct uplift_hook *hook, int err)
{
	char name[128];

	if (!uplift_ftrace_on()) {
		pr_err("%s: ftrace is off: sysctl kernel.ftrace_enabled=1\n", hook->name);
		return -EBUSY;
	}
	if (uplift_conflict(hook->name, hook->site, name, sizeof(name))) {
		pr_err("%s: hooked already: %s\n", hook->name, name);
		return -EBUSY;
	}
	if (err)
		pr_err("%s: the kernel refuses the hook (%pe)\n", hook->name, ERR_PTR(err));
	return err;
}

static int hook_on(struct uplift_hook *hook)
{
	int err;

	err = hook_refuse(hook, 0);
	if (err)
		return err;
	err = compat_ftrace_direct_register(&hook->ops, hook_entry(hook));
	if (err)
		return hook_refuse(hook, err);
	/* As for a live patch: ftrace cannot be turned off beneath. */
	hook->ops.flags |= FTRACE_OPS_FL_PERMANENT;
	hook->on = true;
	return 0;
}

static void hook_off(struct uplift_hook *hook)
{
	int err;

	if (!hook->on)
		return;
	err = compat_ftrace_direct_unregister(&hook->ops, hook_entry(hook));
	/* It is not refused to a hook that is there and alone. */
	WARN_ONCE(err, "%s: the kernel does not take the hook away (%pe)\n", hook->name,
		  ERR_PTR(err));
	hook->ops.flags &= ~FTRACE_OPS_FL_PERMANENT;
	hook->on = false;
}

static void hooks_free(struct uplift_hook *hooks, unsigned int count)
{
	while (count--)
		ftrace_free_filter(&hooks[count].ops);
}

/**
 * uplift_hooks_init - find functions, and bind what calls them
 * @hooks: the hooks; what is not the core's set, the rest zero
 * @count: how many
 *
 * Nothing is hooked yet.
 *
 * Context: process context, may sleep.
 * Return: 0; -ENOMEM; after a line in the log -ENOEXEC if there is no such
 * function, or several, or it cannot be traced.
 */
int uplift_hooks_init(struct uplift_hook *hooks, unsigned int count)
{
	unsigned int i;
	int err;

	for (i = 0; i < count; i++) {
		err = hook_init(&hooks[i]);
		if (err) {
			hooks_free(hooks, i + 1);
			return err;
		}
	}
	return 0;
}
EXPORT_SYMBOL_GPL(uplift_hooks_init);

/**
 * uplift_hooks_on - hook functions, in their order: all of them, or none
 * @hooks: after uplift_hooks_init()
 * @count: how many
 *
 * Context: process context, sleeps.
 * Return: 0; after a line in the log -EBUSY if something else hooks a function
 * or ftrace is off, or a negative errno of ftrace's. With an error the hooks are
 * as after uplift_hooks_off().
 */
int uplift_hooks_on(struct uplift_hook *hooks, unsigned int count)
{
	unsigned int i;
	int err;

	for (i = 0; i < count; i++) {
		err = hook_on(&hooks[i]);
		if (err) {
			uplift_hooks_off(hooks, count);
			return err;
		}
	}
	return 0;
}
EXPORT_SYMBOL_GPL(uplift_hooks_on);

/**
 * uplift_hooks_off - take hooks away
 * @hooks: after uplift_hooks_init(); they have to be initialised anew
 * @count: how many
 *
 * When this returns no task is on the way into a hook. One that sleeps in a hook
 * may still be there: the hooks themselves have to know of those.
 *
 * Context: process context; waits for a grace period of RCU tasks.
 */
void uplift_hooks_off(struct uplift_hook *hooks, unsigned int count)
{
	unsigned int i;

	for (i = count; i--;)
		hook_off(&hooks[i]);
	hooks_free(hooks, count);
	synchronize_rcu_tasks();
	synchronize_rcu();
}
EXPORT_SYMBOL_GPL(uplift_hooks_off);
