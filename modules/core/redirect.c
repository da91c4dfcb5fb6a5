// SPDX-License-Identifier: GPL-2.0
/*
 * The redirect engine.
 *
 * A function of the kernel is hooked at its ftrace site, by a direct call or,
 * where the kernel can, a jump. Nothing is between its caller and the body that
 * takes its place but a trampoline of two instructions; the body finds
 * registers and stack as the caller left them.
 *
 * Unlike a livepatch transition this never looks at, wakes or interrupts a
 * task: one that is in the old body when the arm is changed finishes there. So
 * bodies count the tasks inside, and the module that has them cannot be unloaded
 * before all have left.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "bypass.h"
#include "conflict.h"
#include "count.h"
#include "ftrace.h"
#include "livepatch.h"
#include "redirect.h"
#include "uplift.h"

/* How often it is looked whether the last task has left: less and less often. */
#define UPLIFT_DRAIN_FIRST	(HZ / 5)
#define UPLIFT_DRAIN_LAST	(16 * UPLIFT_DRAIN_FIRST)

/* --- what is asked of a redirect --- */

/**
 * uplift_redirect_offers - is there such an arm here?
 * @redirect: the redirect
 * @arm: any number
 *
 * Context: any.
 * Return: true if it can be switched to.
 */
bool uplift_redirect_offers(const struct uplift_redirect *redirect, unsigned int arm)
{
	if (arm == UPLIFT_ARM_OFF)
		return true;
	if (arm >= redirect->nr_arms || !redirect->arms[arm].bodies)
		return false;
	return !redirect->native || arm == UPLIFT_ARM_NULL || redirect->arms[arm].beyond;
}

/**
 * uplift_redirect_word - the word for an arm
 * @redirect: the redirect
 * @arm: one of its arms
 *
 * Context: any.
 * Return: a constant string, as in the file "arm".
 */
const char *uplift_redirect_word(const struct uplift_redirect *redirect, unsigned int arm)
{
	switch (arm) {
	case UPLIFT_ARM_OFF:
		return "off";
	case UPLIFT_ARM_NULL:
		return "null";
	case UPLIFT_ARM_NEW:
		return "new";
	default:
		/* One that is not there has none. */
		return redirect->arms[arm].name ?: "";
	}
}

/**
 * uplift_redirect_inside - how many tasks are in a body
 * @redirect: the redirect
 *
 * Context: any.
 * Return: the number; never too small.
 */
u64 uplift_redirect_inside(const struct uplift_redirect *redirect)
{
	return uplift_count_inside(redirect->count, redirect->nr_arms);
}
EXPORT_SYMBOL_GPL(uplift_redirect_inside);

/* Are all functions in an arm? Else the kernel did not let one go back. */
static bool redirect_in(const struct uplift_redirect *redirect, unsigned int arm)
{
	unsigned int i;

	for (i = 0; i < redirect->nr_functions; i++)
		if (redirect->functions[i].arm != arm)
			return false;
	return true;
}

static u64 redirect_entered(const struct uplift_redirect *redirect)
{
	return uplift_count_entered(redirect->count, redirect->nr_arms);
}

/* For a line in the log that is about all of its functions. */
static const char *redirect_name(const struct uplift_redirect *redirect)
{
	return redirect->nr_functions == 1 ? redirect->functions[0].name : redirect->name;
}

/* --- tasks inside --- */

/*
 * Hold as many references as given to the module that has the bodies. What
 * takes the first can fail: the module may be about to go.
 */
static int redirect_pin(struct uplift_redirect *redirect, unsigned int pins)
{
	if (pins && !redirect->pins) {
		if (!try_module_get(redirect->owner))
			return -ENODEV;
		redirect->pins++;
	}
	for (; redirect->pins < pins; redirect->pins++)
		__module_get(redirect->owner);
	for (; redirect->pins > pins; redirect->pins--)
		module_put(redirect->owner);
	return 0;
}

/*
 * Wait for all tasks that were on the way into a body, and not yet counted, or on
 * the way out and no longer counted. The first grace period is for tasks, the
 * second for interrupts in the idle task, which the first does not look at.
 */
static void redirect_settle(struct uplift_redirect *redirect)
{
	redirect->settled++;
	mutex_unlock(&redirect->lock);
	synchronize_rcu_tasks();
	synchronize_rcu();
	mutex_lock(&redirect->lock);
}

/* Tasks are inside: hold the module once for each, and look again later. */
static void redirect_hold(struct uplift_redirect *redirect, unsigned int inside)
{
	redirect_pin(redirect, inside);
	if (!redirect->told)
		pr_info("%s: tasks still inside: %u; until they have left %s cannot be unloaded\n",
			redirect_name(redirect), inside, module_name(redirect->owner));
	redirect->told = true;

	/* It may be waiting for longer, since before the arm was on again. */
	cancel_delayed_work(&redirect->drain);
	schedule_delayed_work(&redirect->drain, redirect->interval);
	redirect->interval = min(2 * redirect->interval, UPLIFT_DRAIN_LAST);
}

static void redirect_release(struct uplift_redirect *redirect)
{
	if (redirect->told)
		pr_info("%s: the last task has left, %s can be unloaded\n",
			redirect_name(redirect), module_name(redirect->owner));
	redirect->told = false;
	redirect_pin(redirect, 0);
}

/*
 * With the hook gone: release the module, or hold it for the tasks inside. Only
 * once no task is counted does it wait for grace periods, and without the lock.
 * If the functions were hooked meanwhile it starts over, or stops if they still
 * are.
 */
static void redirect_drain(struct uplift_redirect *redirect)
{
	mutex_lock(&redirect->lock);
	while (redirect_in(redirect, UPLIFT_ARM_OFF) && redirect->pins) {
		/* In this order: a task that comes and goes between the two is noticed. */
		u64 entered = redirect_entered(redirect);
		u64 inside = uplift_redirect_inside(redirect);
		unsigned int hooks = redirect->hooks;

		if (inside) {
			redirect_hold(redirect, min_t(u64, inside, INT_MAX / 2));
			break;
		}
		redirect_settle(redirect);
		if (hooks == redirect->hooks && entered == redirect_entered(redirect))
			redirect_release(redirect);
	}
	mutex_unlock(&redirect->lock);
}

static void redirect_drain_work(struct work_struct *work)
{
	redirect_drain(container_of(to_delayed_work(work), struct uplift_redirect, drain));
}

/* --- by ftrace-direct, one function after another --- */

static unsigned long function_entry(const struct uplift_redirect *redirect,
				    const struct uplift_function *function, unsigned int arm)
{
	const struct uplift_body *body =
		&redirect->arms[arm].bodies[function - redirect->functions];

	if (COMPAT_FTRACE_JMP)
		return compat_ftrace_jmp((unsigned long)body->body);
	return (unsigned long)body->entry;
}

static int function_hook(struct uplift_function *function, unsigned long entry)
{
	int err = compat_ftrace_direct_register(&function->ops, entry);

	/*
	 * As for a live patch: ftrace cannot be turned off beneath. Only now,
	 * as 6.1 sets the flags anew in registering.
	 */
	if (!err)
		function->ops.flags |= FTRACE_OPS_FL_PERMANENT;
	return err;
}

static int function_unhook(struct uplift_function *function, unsigned long entry)
{
	int err = compat_ftrace_direct_unregister(&function->ops, entry);

	if (!err)
		function->ops.flags &= ~FTRACE_OPS_FL_PERMANENT;
	return err;
}

static int function_set(const struct uplift_redirect *redirect,
			struct uplift_function *function, unsigned int arm)
{
	int err;

	if (arm == function->arm)
		return 0;
	if (arm == UPLIFT_ARM_OFF)
		err = function_unhook(function,
				      function_entry(redirect, function, function->arm));
	else if (function->arm == UPLIFT_ARM_OFF)
		err = function_hook(function, function_entry(redirect, function, arm));
	else
		err = compat_ftrace_direct_modify(&function->ops,
						  function_entry(redirect, function, arm));
	if (!err)
		function->arm = arm;
	return err;
}

/* Some functions have been switched, and one cannot be: back with them. */
static void redirect_roll_back(struct uplift_redirect *redirect,
			       const struct uplift_function *failed)
{
	struct uplift_function *function;

	for (function = redirect->functions; function < failed; function++) {
		int err = function_set(redirect, function, redirect->arm);

		if (err)
			pr_err("%s: stays in the arm %s (%pe): write off\n",
			       function->name, uplift_redirect_word(redirect, function->arm),
			       ERR_PTR(err));
	}
}

/* All functions, or none. With an error, the one that could not be switched. */
static int redirect_direct(struct uplift_redirect *redirect, unsigned int arm,
			   const struct uplift_function **failed)
{
	unsigned int i;

	for (i = 0; i < redirect->nr_functions; i++) {
		struct uplift_function *function = &redirect->functions[i];
		int err = function_set(redirect, function, arm);

		if (err) {
			redirect_roll_back(redirect, function);
			*failed = function;
			return err;
		}
	}
	return 0;
}

/* --- by livepatch --- */

/* The module that can live-patch is asked for when it is needed only. */
static int redirect_livepatch(struct uplift_redirect *redirect, unsigned int arm)
{
	typeof(uplift_livepatch_enable) *enable = symbol_get(uplift_livepatch_enable);
	int err;

	if (!enable) {
		pr_err("%s: livepatch: load uplift_livepatch.ko first\n", redirect_name(redirect));
		return -EOPNOTSUPP;
	}
	redirect->select(arm);
	err = enable(redirect->functions, redirect->nr_functions);
	if (err)
		symbol_put(uplift_livepatch_enable);
	return err;
}

/* The livepatch may have been disabled in sysfs. */
static bool redirect_livepatch_live(void)
{
	typeof(uplift_livepatch_live) *live = symbol_get(uplift_livepatch_live);
	bool is_live;

	/* A reader may come when the arm has just been switched off. */
	if (!live)
		return false;
	is_live = live();
	symbol_put(uplift_livepatch_live);
	return is_live;
}

static int redirect_unlivepatch(void)
{
	typeof(uplift_livepatch_disable) *disable = symbol_get(uplift_livepatch_disable);
	int err = disable();

	symbol_put(uplift_livepatch_disable);
	if (!err)
		symbol_put(uplift_livepatch_enable);
	return err;
}

/**
 * uplift_redirect_state - is an arm in effect?
 * @redirect: the redirect
 * @arm: the arm that was seen to be on
 *
 * Context: process context.
 * Return: a constant string, as in the file "stats".
 */
const char *uplift_redirect_state(struct uplift_redirect *redirect, unsigned int arm)
{
	if (arm == UPLIFT_ARM_OFF)
		return "off";
	if (!uplift_ftrace_on())
		return "dead: ftrace is off";
	/* A holder of the lock is switching the arm: the patch may be gone for that reason. */
	if (redirect->livepatch && !redirect_livepatch_live() &&
	    !mutex_is_locked(&redirect->lock) && arm == READ_ONCE(redirect->arm))
		return "dead: the livepatch was disabled by hand";
	return "live";
}

/* --- switching --- */

/*
 * Say what is in the way of hooking: ftrace that is off, another user of a
 * function. With an error for which neither accounts: which function failed.
 */
static int redirect_refuse(const struct uplift_redirect *redirect,
			   const struct uplift_function *failed, int err)
{
	char name[128];
	unsigned int i;

	if (!uplift_ftrace_on()) {
		pr_err("%s: ftrace is off: sysctl kernel.ftrace_enabled=1\n",
		       redirect_name(redirect));
		return -EBUSY;
	}
	for (i = 0; i < redirect->nr_functions; i++) {
		const struct uplift_function *function = &redirect->functions[i];

		if (!uplift_conflict(function->name, function->site, name, sizeof(name)))
			continue;
		pr_err("%s: hooked already: %s\n", function->name, name);
		return -EBUSY;
	}
	if (err)
		pr_err("%s: the kernel refuses the hook (%pe)\n",
		       failed ? failed->name : redirect_name(redirect), ERR_PTR(err));
	return err;
}

/* A live patch of what a body has a copy of would be lost. */
static int redirect_refuse_copies(const struct uplift_redirect *redirect, unsigned int arm)
{
	char name[128];

	if (!uplift_bypass_patched(redirect, arm, name, sizeof(name)))
		return 0;
	pr_err("%s: patched already: %s\n", redirect_name(redirect), name);
	return -EBUSY;
}

/* From off to an arm. */
static int redirect_hook(struct uplift_redirect *redirect, unsigned int arm)
{
	const struct uplift_function *failed = NULL;
	int err;

	err = redirect_refuse(redirect, NULL, 0);
	if (err)
		return err;
	err = redirect_pin(redirect, 1);
	if (err)
		return err;
	redirect->hooks++;
	redirect->told = false;
	redirect->interval = UPLIFT_DRAIN_FIRST;
	if (!redirect->livepatch) {
		err = redirect_direct(redirect, arm, &failed);
	} else {
		err = redirect_livepatch(redirect, arm);
		/* Said already. */
		if (err == -EOPNOTSUPP)
			return err;
	}
	return err ? redirect_refuse(redirect, failed, err) : 0;
}

/* From an arm to off. */
static int redirect_unhook(struct uplift_redirect *redirect)
{
	const struct uplift_function *failed = NULL;
	int err;

	err = redirect->livepatch ? redirect_unlivepatch() :
				    redirect_direct(redirect, UPLIFT_ARM_OFF, &failed);
	if (err)
		pr_err("%s: the kernel does not take the hook away (%pe)\n",
		       failed ? failed->name : redirect_name(redirect), ERR_PTR(err));
	return err;
}

/* From an arm to another one. */
static int redirect_change(struct uplift_redirect *redirect, unsigned int arm)
{
	const struct uplift_function *failed;
	int err;

	if (redirect->livepatch) {
		if (!redirect_livepatch_live()) {
			pr_err("%s: the livepatch was disabled by hand: write off first\n",
			       redirect_name(redirect));
			return -EBUSY;
		}
		redirect->select(arm);
		return 0;
	}
	err = redirect_direct(redirect, arm, &failed);
	if (err)
		pr_err("%s: the kernel does not change the hook (%pe)\n", failed->name,
		       ERR_PTR(err));
	return err;
}

static int redirect_switch(struct uplift_redirect *redirect, unsigned int arm)
{
	int err;

	if (redirect_in(redirect, arm))
		return 0;
	if (arm == UPLIFT_ARM_OFF)
		return redirect_unhook(redirect);
	err = redirect_refuse_copies(redirect, arm);
	if (err)
		return err;
	if (redirect->arm == UPLIFT_ARM_OFF)
		return redirect_hook(redirect, arm);
	return redirect_change(redirect, arm);
}

/**
 * uplift_redirect_set - switch to an arm
 * @redirect: the redirect
 * @arm: the arm
 *
 * Safe under any load. Calls that are under way end in the body that they began
 * in; calls that begin after this has returned go to the new one. Of several
 * functions all are switched, one after another, or with an error none.
 *
 * Context: process context, sleeps; switching off takes a grace period of RCU
 * tasks if no task is inside.
 * Return: 0; -EINVAL if there is no such arm, -EBUSY if something else hooks the
 * function or ftrace is off, -ENODEV if the module is being unloaded.
 */
int uplift_redirect_set(struct uplift_redirect *redirect, unsigned int arm)
{
	unsigned int i;
	int err;

	if (!uplift_redirect_offers(redirect, arm))
		return -EINVAL;

	mutex_lock(&redirect->lock);
	err = redirect_switch(redirect, arm);
	if (!err) {
		for (i = 0; i < redirect->nr_functions; i++)
			redirect->functions[i].arm = arm;
		WRITE_ONCE(redirect->arm, arm);
	}
	mutex_unlock(&redirect->lock);

	/* Does nothing while an arm is on. */
	redirect_drain(redirect);
	return err;
}
EXPORT_SYMBOL_GPL(uplift_redirect_set);

/* --- its life --- */

static int function_init(struct uplift_function *function)
{
	unsigned long addr;
	int err;

	err = uplift_resolve(function->name, &addr);
	if (err) {
		pr_err("unsupported: %s function %s() in this kernel (%pe)\n",
		       err == -ENOTUNIQ ? "more than one" : "no", function->name, ERR_PTR(err));
		return -ENOEXEC;
	}
	function->site = uplift_ftrace_site(addr);
	err = function->site ? ftrace_set_filter_ip(&function->ops, function->site, 0, 1) : -ENOENT;
	if (err == -ENOMEM)
		return err;
	if (err) {
		pr_err("unsupported: %s() cannot be traced in this kernel (%pe)\n",
		       function->name, ERR_PTR(err));
		return -ENOEXEC;
	}
	return 0;
}

static void redirect_free(struct uplift_redirect *redirect)
{
	unsigned int i;

	for (i = 0; i < redirect->nr_functions; i++)
		ftrace_free_filter(&redirect->functions[i].ops);
	mutex_destroy(&redirect->lock);
}

/**
 * uplift_redirect_init - prepare to redirect functions
 * @redirect: what is not the engine's set, the rest zero
 *
 * Nothing is hooked yet.
 *
 * Context: process context, may sleep.
 * Return: 0; -ENOMEM; -EOPNOTSUPP without debugfs; -ENOEXEC if there is no such
 * function, or several, or it cannot be traced. One line in the log says which.
 */
int uplift_redirect_init(struct uplift_redirect *redirect)
{
	unsigned int i;
	int err;

	if (!debugfs_initialized()) {
		pr_err("unsupported: %s(): no debugfs (CONFIG_DEBUG_FS, or debugfs= on the command line), where arms are switched\n",
		       redirect->functions[0].name);
		return -EOPNOTSUPP;
	}
	for (i = 0; i < redirect->nr_modules; i++) {
		err = uplift_module_check(&redirect->modules[i]);
		if (err)
			return err;
	}
	mutex_init(&redirect->lock);
	INIT_DELAYED_WORK(&redirect->drain, redirect_drain_work);
	for (i = 0; i < redirect->nr_functions; i++) {
		err = function_init(&redirect->functions[i]);
		if (err) {
			redirect_free(redirect);
			return err;
		}
	}
	uplift_bypass_add(redirect);
	return 0;
}
EXPORT_SYMBOL_GPL(uplift_redirect_init);

/**
 * uplift_redirect_exit - forget a redirect
 * @redirect: the redirect, off and no longer shown; no task is inside, as the
 *	module that has the bodies could not be unloaded otherwise
 *
 * Context: process context, may sleep.
 */
void uplift_redirect_exit(struct uplift_redirect *redirect)
{
	uplift_bypass_remove(redirect);
	cancel_delayed_work_sync(&redirect->drain);
	redirect_free(redirect);
}
EXPORT_SYMBOL_GPL(uplift_redirect_exit);
