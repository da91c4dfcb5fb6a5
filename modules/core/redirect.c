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
 * task: one that is in the old body when the arm is changed goes on there. So
 * bodies count who is inside, and the module that has them cannot be unloaded
 * before all have left.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "conflict.h"
#include "count.h"
#include "ftrace.h"
#include "livepatch.h"
#include "redirect.h"
#include "uplift.h"

/* How often it is looked whether the last task has left. */
#define UPLIFT_DRAIN_INTERVAL	(HZ / 5)

static const char * const arm_names[UPLIFT_ARMS] = {
	[UPLIFT_ARM_OFF]	= "off",
	[UPLIFT_ARM_NULL]	= "null",
	[UPLIFT_ARM_NEW]	= "new",
	[UPLIFT_ARM_BATCH]	= "batch",
};

static bool redirect_offers(const struct uplift_redirect *redirect, int arm)
{
	return arm == UPLIFT_ARM_OFF || redirect->bodies[arm].entry;
}

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
 * Wait for everybody who was on the way into a body, and not yet counted, or on
 * the way out and no longer counted. The first grace period is for tasks, the
 * second for interrupts in the idle task, which the first does not look at.
 */
static void redirect_settle(void)
{
	synchronize_rcu_tasks();
	synchronize_rcu();
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
	return uplift_count_inside(redirect->count);
}
EXPORT_SYMBOL_GPL(uplift_redirect_inside);

/*
 * With the hook gone: release the module, or hold it once per task inside.
 * Return: the number of tasks inside.
 */
static unsigned int redirect_drain(struct uplift_redirect *redirect)
{
	/* In this order: who comes and goes between the two is noticed. */
	u64 entered = uplift_count_entered(redirect->count);
	u64 inside = uplift_redirect_inside(redirect);

	redirect_settle();
	if (inside || entered != uplift_count_entered(redirect->count)) {
		inside = uplift_redirect_inside(redirect);
		if (!inside)
			redirect_settle();
	}
	redirect_pin(redirect, min_t(u64, inside, INT_MAX / 2));
	if (inside)
		schedule_delayed_work(&redirect->drain, UPLIFT_DRAIN_INTERVAL);
	return inside;
}

static void redirect_drain_work(struct work_struct *work)
{
	struct uplift_redirect *redirect =
		container_of(to_delayed_work(work), struct uplift_redirect, drain);

	mutex_lock(&redirect->lock);
	if (redirect->arm == UPLIFT_ARM_OFF && redirect->pins && !redirect_drain(redirect))
		pr_info("%s: the last task has left, %s can be unloaded\n",
			redirect->function, module_name(redirect->owner));
	mutex_unlock(&redirect->lock);
}

static int redirect_refuse(struct uplift_redirect *redirect, int err)
{
	char name[128];

	if (!uplift_ftrace_on()) {
		pr_err("%s: ftrace is off: sysctl kernel.ftrace_enabled=1\n", redirect->function);
		return -EBUSY;
	}
	if (uplift_conflict(redirect->function, redirect->addr, name, sizeof(name))) {
		pr_err("%s: hooked by somebody else: %s\n", redirect->function, name);
		return -EBUSY;
	}
	if (err)
		pr_err("%s: the kernel refuses the hook (%pe)\n", redirect->function, ERR_PTR(err));
	return err;
}

/* The module that can live-patch is asked for when it is needed only. */
static int redirect_livepatch(struct uplift_redirect *redirect, enum uplift_arm_id arm)
{
	typeof(uplift_livepatch_enable) *enable = symbol_get(uplift_livepatch_enable);
	int err;

	if (!enable) {
		pr_err("%s: livepatch: load uplift_livepatch.ko first\n", redirect->function);
		return -EOPNOTSUPP;
	}
	redirect->livepatch->select(arm);
	err = enable(redirect->function, redirect->livepatch->body);
	if (err)
		symbol_put(uplift_livepatch_enable);
	return err;
}

/* Somebody else may have taken the livepatch away. */
static bool redirect_livepatch_live(void)
{
	typeof(uplift_livepatch_live) *live = symbol_get(uplift_livepatch_live);
	bool is_live = live();

	symbol_put(uplift_livepatch_live);
	return is_live;
}

static int redirect_unlivepatch(struct uplift_redirect *redirect)
{
	typeof(uplift_livepatch_disable) *disable = symbol_get(uplift_livepatch_disable);
	int err = disable();

	symbol_put(uplift_livepatch_disable);
	if (!err)
		symbol_put(uplift_livepatch_enable);
	return err;
}

static int redirect_direct(struct uplift_redirect *redirect, enum uplift_arm_id arm)
{
	int err = compat_ftrace_direct_register(&redirect->ops, redirect->bodies[arm].entry);

	/*
	 * As for a live patch: ftrace cannot be turned off beneath. Only now,
	 * as 6.1 sets the flags anew in registering.
	 */
	if (!err)
		redirect->ops.flags |= FTRACE_OPS_FL_PERMANENT;
	return err;
}

static int redirect_undirect(struct uplift_redirect *redirect)
{
	int err = compat_ftrace_direct_unregister(&redirect->ops,
						  redirect->bodies[redirect->arm].entry);

	if (!err)
		redirect->ops.flags &= ~FTRACE_OPS_FL_PERMANENT;
	return err;
}

/* From off to an arm. */
static int redirect_hook(struct uplift_redirect *redirect, enum uplift_arm_id arm)
{
	int err;

	err = redirect_refuse(redirect, 0);
	if (err)
		return err;
	err = redirect_pin(redirect, 1);
	if (err)
		return err;
	err = redirect->livepatch ? redirect_livepatch(redirect, arm) :
				    redirect_direct(redirect, arm);
	if (err) {
		/* Said already. */
		if (err != -EOPNOTSUPP)
			err = redirect_refuse(redirect, err);
		redirect_drain(redirect);
	}
	return err;
}

/* From an arm to off. */
static int redirect_unhook(struct uplift_redirect *redirect)
{
	unsigned int inside;
	int err;

	err = redirect->livepatch ? redirect_unlivepatch(redirect) : redirect_undirect(redirect);
	if (err) {
		pr_err("%s: the kernel does not take the hook away (%pe)\n",
		       redirect->function, ERR_PTR(err));
		return err;
	}
	inside = redirect_drain(redirect);
	if (inside)
		pr_info("%s: tasks still inside: %u; until they have left %s cannot be unloaded\n",
			redirect->function, inside, module_name(redirect->owner));
	return 0;
}

static int redirect_switch(struct uplift_redirect *redirect, enum uplift_arm_id arm)
{
	int err;

	if (arm == UPLIFT_ARM_OFF)
		return redirect_unhook(redirect);
	if (redirect->arm == UPLIFT_ARM_OFF)
		return redirect_hook(redirect, arm);

	if (redirect->livepatch) {
		if (!redirect_livepatch_live()) {
			pr_err("%s: somebody has disabled the livepatch: write off first\n",
			       redirect->function);
			return -EBUSY;
		}
		redirect->livepatch->select(arm);
		return 0;
	}
	err = compat_ftrace_direct_modify(&redirect->ops, redirect->bodies[arm].entry);
	if (err)
		pr_err("%s: the kernel does not change the hook (%pe)\n", redirect->function,
		       ERR_PTR(err));
	return err;
}

/**
 * uplift_redirect_set - switch to an arm
 * @redirect: the redirect
 * @arm: the arm
 *
 * Safe under any load. Calls that are under way end in the body that they began
 * in; calls that begin after this has returned go to the new one.
 *
 * Context: process context, sleeps; switching off takes a grace period of RCU
 * tasks.
 * Return: 0; -EINVAL if there is no such arm, -EBUSY if somebody else hooks the
 * function or ftrace is off, -ENODEV if the module is being unloaded.
 */
int uplift_redirect_set(struct uplift_redirect *redirect, enum uplift_arm_id arm)
{
	int err = 0;

	if (!redirect_offers(redirect, arm))
		return -EINVAL;

	mutex_lock(&redirect->lock);
	if (arm != redirect->arm) {
		err = redirect_switch(redirect, arm);
		if (!err)
			WRITE_ONCE(redirect->arm, arm);
	}
	mutex_unlock(&redirect->lock);
	return err;
}
EXPORT_SYMBOL_GPL(uplift_redirect_set);

static int arm_show(struct seq_file *m, void *v)
{
	struct uplift_redirect *redirect = m->private;

	seq_printf(m, "%s\n", arm_names[READ_ONCE(redirect->arm)]);
	return 0;
}

static ssize_t arm_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	struct uplift_redirect *redirect = ((struct seq_file *)file->private_data)->private;
	char word[16];
	int arm, err;

	if (*pos || len >= sizeof(word))
		return -EINVAL;
	if (copy_from_user(word, buf, len))
		return -EFAULT;
	word[len] = '\0';
	if (strlen(word) != len)
		return -EINVAL;

	/* As match_string(), but for the newline, with or without. */
	arm = __sysfs_match_string(arm_names, ARRAY_SIZE(arm_names), word);
	if (arm < 0)
		return arm;
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

static const char *redirect_state(const struct uplift_redirect *redirect)
{
	if (redirect->arm == UPLIFT_ARM_OFF)
		return "off";
	if (!uplift_ftrace_on())
		return "dead: ftrace is off";
	if (redirect->livepatch && !redirect_livepatch_live())
		return "dead: somebody has disabled the livepatch";
	return "live";
}

static int stats_show(struct seq_file *m, void *v)
{
	struct uplift_redirect *redirect = m->private;
	int arm;

	mutex_lock(&redirect->lock);
	seq_printf(m, "function: %s\n", redirect->function);
	seq_printf(m, "method: %s\n", redirect_method(redirect));
	seq_printf(m, "arm: %s\n", arm_names[redirect->arm]);
	seq_printf(m, "state: %s\n", redirect_state(redirect));
	for (arm = UPLIFT_ARM_OFF + 1; arm < UPLIFT_ARMS; arm++)
		if (redirect_offers(redirect, arm))
			seq_printf(m, "calls_%s: %llu\n", arm_names[arm],
				   uplift_count_calls(redirect->count, arm));
	seq_printf(m, "inside: %llu\n", uplift_redirect_inside(redirect));
	mutex_unlock(&redirect->lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

/**
 * uplift_redirect_init - prepare to redirect a function
 * @redirect: owner, function, count and bodies set
 *
 * Nothing is hooked yet.
 *
 * Context: process context, may sleep.
 * Return: 0; -ENOMEM; -EOPNOTSUPP without debugfs; -ENOEXEC if there is no such
 * function, or several, or it cannot be traced. One line in the log says which.
 */
int uplift_redirect_init(struct uplift_redirect *redirect)
{
	int err;

	if (!debugfs_initialized()) {
		pr_err("unsupported: %s(): no debugfs (CONFIG_DEBUG_FS, or debugfs= on the command line), where arms are switched\n",
		       redirect->function);
		return -EOPNOTSUPP;
	}
	mutex_init(&redirect->lock);
	INIT_DELAYED_WORK(&redirect->drain, redirect_drain_work);

	err = uplift_resolve(redirect->function, &redirect->addr);
	if (err) {
		pr_err("unsupported: %s function %s() in this kernel (%pe)\n",
		       err == -ENOTUNIQ ? "more than one" : "no", redirect->function, ERR_PTR(err));
		return -ENOEXEC;
	}
	redirect->addr = uplift_ftrace_site(redirect->addr);
	err = redirect->addr ? ftrace_set_filter_ip(&redirect->ops, redirect->addr, 0, 1) : -ENOENT;
	if (err == -ENOMEM)
		return err;
	if (err) {
		pr_err("unsupported: %s() cannot be traced in this kernel (%pe)\n",
		       redirect->function, ERR_PTR(err));
		return -ENOEXEC;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(uplift_redirect_init);

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
	debugfs_create_file("stats", 0400, dir, redirect, &stats_fops);
}
EXPORT_SYMBOL_GPL(uplift_redirect_show);

/**
 * uplift_redirect_exit - forget a redirect
 * @redirect: the redirect, off and no longer shown; nobody is inside, as the
 *	module that has the bodies could not be unloaded otherwise
 *
 * Context: process context, may sleep.
 */
void uplift_redirect_exit(struct uplift_redirect *redirect)
{
	cancel_delayed_work_sync(&redirect->drain);
	ftrace_free_filter(&redirect->ops);
	mutex_destroy(&redirect->lock);
}
EXPORT_SYMBOL_GPL(uplift_redirect_exit);
