// SPDX-License-Identifier: GPL-2.0
/*
 * Watching the kernel's filesystem list from outside.
 *
 * The begin of a change must never be missed: an ftrace callback on
 * register_filesystem() and unregister_filesystem() sees it. It is permanent:
 * while it is there, the kernel refuses to turn ftrace off (with -EBUSY, as
 * for live patches), and turning kprobes off does not reach it.
 *
 * The end only decides how soon caching resumes. Return probes see it, except
 * when all their instances are in use or kprobes are off; a grace period of
 * RCU tasks then stands in for them: neither function sleeps before the list
 * is changed, so each call that had entered is past that point.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/ftrace.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "fslist_core.h"
#include "fslist_watch.h"
#include "uplift.h"

/*
 * Changes in flight at once whose end is seen. unregister_filesystem() waits
 * for RCU before it returns, so several can be.
 */
#define FSLIST_RETURNS_IN_FLIGHT	64

static struct fslist_cache *watched;

static void notrace fslist_change_entry(unsigned long ip, unsigned long parent_ip,
					struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	fslist_change_begin(watched);
}

static struct ftrace_ops change_ops = {
	.func	= fslist_change_entry,
	.flags	= FTRACE_OPS_FL_PERMANENT,
};

static int fslist_return_entry(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	fslist_change_track(watched);
	return 0;
}

NOKPROBE_SYMBOL(fslist_return_entry);

static int fslist_return(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	fslist_change_end(watched);
	return 0;
}

NOKPROBE_SYMBOL(fslist_return);

#define FSLIST_RETURN_PROBE(function) {				\
	.kp.symbol_name	= function,				\
	.entry_handler	= fslist_return_entry,			\
	.handler	= fslist_return,			\
	.maxactive	= FSLIST_RETURNS_IN_FLIGHT,		\
}

static struct kretprobe return_probes[] = {
	FSLIST_RETURN_PROBE("register_filesystem"),
	FSLIST_RETURN_PROBE("unregister_filesystem"),
};

static unsigned int return_probes_set;

/* Wait until changes that are not tracked are over, then say so. */
static bool fslist_wait_settled(void)
{
	u64 prepared = fslist_settle_prepare(watched);

	/* For the functions themselves, then for the probe handlers. */
	synchronize_rcu_tasks();
	synchronize_rcu();
	return fslist_settle(watched, prepared);
}

static void fslist_settle_work(struct work_struct *work)
{
	/* If changes went on, the next uncached reader asks again. */
	fslist_wait_settled();
}

static DECLARE_WORK(settle_work, fslist_settle_work);

/**
 * fslist_watch_settle - have untracked changes waited out, in the background
 * @private: unused
 *
 * Context: any; a &fslist_ops.settle callback.
 */
void fslist_watch_settle(void *private)
{
	schedule_work(&settle_work);
}

static int fslist_watch_entries(void)
{
	size_t i;
	int err;

	for (i = 0; i < ARRAY_SIZE(return_probes); i++) {
		const char *name = return_probes[i].kp.symbol_name;
		unsigned long addr;

		err = uplift_resolve(name, &addr);
		if (!err)
			err = ftrace_set_filter_ip(&change_ops, addr, 0, 0);
		if (err == -ENOMEM)
			return err;
		if (err) {
			pr_err("cannot watch %s() (%pe): not one traceable function of that name\n",
			       name, ERR_PTR(err));
			return -ENOEXEC;
		}
	}

	err = register_ftrace_function(&change_ops);
	if (err)
		pr_err("cannot watch the list (%pe)%s\n", ERR_PTR(err),
		       err == -EBUSY ? ": sysctl kernel.ftrace_enabled=1 is needed" : "");
	return err;
}

static int fslist_watch_returns(void)
{
	int err = 0;

	for (; return_probes_set < ARRAY_SIZE(return_probes); return_probes_set++) {
		err = register_kretprobe(&return_probes[return_probes_set]);
		if (err)
			break;
	}
	return err;
}

/**
 * fslist_watch_start - report every change of the list to a cache from now on
 * @cache: the cache, nothing published yet
 * @verdict: how the list is watched is added to it as evidence
 *
 * Context: process context; waits for a grace period of RCU tasks, some 100 ms.
 * Return: 0 or a negative errno, with the reason logged.
 */
int fslist_watch_start(struct fslist_cache *cache, struct uplift_verdict *verdict)
{
	int err;

	watched = cache;
	err = fslist_watch_entries();
	if (err) {
		ftrace_free_filter(&change_ops);
		return err;
	}

	err = fslist_watch_returns();
	if (err)
		uplift_verdict_add(verdict, "watch",
				   "ftrace; no return probes (%pe): caching resumes a grace period after each change",
				   ERR_PTR(err));
	else
		uplift_verdict_add(verdict, "watch",
				   "ftrace; return probes, while kprobes are enabled");

	/* Calls that were inside when the probes came count as one more change. */
	fslist_change_begin(cache);
	if (!fslist_wait_settled())
		fslist_watch_settle(NULL);
	return 0;
}

/**
 * fslist_watch_stop - report no more changes
 *
 * The cache must have no readers any more: it would go stale.
 *
 * Context: process context, sleeps.
 */
void fslist_watch_stop(void)
{
	while (return_probes_set)
		unregister_kretprobe(&return_probes[--return_probes_set]);
	unregister_ftrace_function(&change_ops);
	ftrace_free_filter(&change_ops);
	cancel_work_sync(&settle_work);
}
