// SPDX-License-Identifier: GPL-2.0
/*
 * uplift_livepatch.ko: redirects by livepatch, for its consistency model. A
 * module of its own, because the kernel taints itself as live-patched when one
 * that is marked as this one is loads.
 *
 * The kernel knows one patch per module: one change can be patched in at a time.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "livepatch.h"
#include "redirect.h"

#define LIVEPATCH_POLL_MS	20

/**
 * struct uplift_livepatch - a patch of the functions of one change
 * @list: on @livepatches: the kernel works on a patch for some time after it
 *	has been disabled, but has let go of all when this module can be unloaded
 * @objects: the kernel's image, and an end
 * @patch: what the kernel is given
 * @nr_funcs: how many functions
 * @funcs: the functions, and an end
 */
struct uplift_livepatch {
	struct list_head list;
	struct klp_object objects[2];
	struct klp_patch patch;
	unsigned int nr_funcs;
	struct klp_func funcs[];
};

static LIST_HEAD(livepatches);
static DEFINE_MUTEX(livepatch_lock);
/* The one that is enabled. Read without the lock, whose holder may wait for tasks. */
static struct uplift_livepatch *livepatch_enabled;

/* The kernel's attribute of a patch that has this name; NULL if it has none. */
static struct attribute *livepatch_attribute(struct klp_patch *patch, const char *name)
{
	const struct kobj_type *type = get_ktype(&patch->kobj);
	const struct attribute_group **group;
	struct attribute **attr;

	for (group = type ? type->default_groups : NULL; group && *group; group++)
		for (attr = (*group)->attrs; attr && *attr; attr++)
			if (!strcmp((*attr)->name, name))
				return *attr;
	return NULL;
}

/*
 * Have the kernel remove the patch the way a write to its sysfs file does: there
 * is no other interface. Called, not written to by a path, which leads elsewhere
 * or nowhere in some mount namespaces. What the file has locked for it is that
 * the patch stays, and ours stays until this module goes.
 * Return: 0; -EINVAL if it has begun with that, or has done it.
 */
static int livepatch_write_off(struct klp_patch *patch)
{
	struct attribute *enabled = livepatch_attribute(patch, "enabled");
	ssize_t ret;

	if (!enabled)
		return -EOPNOTSUPP;
	ret = get_ktype(&patch->kobj)->sysfs_ops->store(&patch->kobj, enabled, "0", 1);
	return ret < 0 ? ret : 0;
}

static bool livepatch_in_transition(const struct uplift_livepatch *livepatch)
{
	unsigned int i;

	for (i = 0; i < livepatch->nr_funcs; i++)
		if (READ_ONCE(livepatch->funcs[i].transition))
			return true;
	return false;
}

/*
 * Does the kernel still work on the patch, or with @gone, know it? It takes it
 * out of sysfs last, when it knows of no task that is still in a body.
 */
static bool livepatch_pending(const struct uplift_livepatch *livepatch, bool gone)
{
	if (!gone)
		return livepatch_in_transition(livepatch);
	/* Slept between two looks: a bit field cannot be read once. Old or new will do. */
	return data_race(!!livepatch->patch.kobj.state_in_sysfs);
}

/* Wait for the transition to end, or with @gone for the patch to go. */
static int livepatch_wait(const struct uplift_livepatch *livepatch, bool gone)
{
	while (livepatch_pending(livepatch, gone)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		/* Reversed by an administrator: it would not go, however long we wait. */
		if (gone && READ_ONCE(livepatch->patch.enabled))
			return -EBUSY;
		msleep(LIVEPATCH_POLL_MS);
	}
	return 0;
}

static struct uplift_livepatch *livepatch_new(const struct uplift_function *functions,
					      unsigned int nr)
{
	struct uplift_livepatch *livepatch;
	unsigned int i;

	livepatch = kzalloc(struct_size(livepatch, funcs, nr + 1), GFP_KERNEL);
	if (!livepatch)
		return NULL;
	livepatch->nr_funcs = nr;
	for (i = 0; i < nr; i++) {
		livepatch->funcs[i].old_name = functions[i].name;
		livepatch->funcs[i].new_func = functions[i].livepatch;
	}
	livepatch->objects[0].funcs = livepatch->funcs;
	livepatch->patch.mod = THIS_MODULE;
	livepatch->patch.objs = livepatch->objects;
	return livepatch;
}

/**
 * uplift_livepatch_enable - patch functions, and wait until all tasks see it
 * @functions: functions of the kernel's image, and what takes their place; must
 *	stay until uplift_livepatch_disable()
 * @nr: how many
 *
 * The kernel may send fake signals to tasks that hold up the transition.
 *
 * Context: process context, sleeps for as long as a task sleeps in one of them.
 * Return: 0; -EBUSY if a change is patched in already or something else hooks
 * one of these functions.
 */
int uplift_livepatch_enable(const struct uplift_function *functions, unsigned int nr)
{
	struct uplift_livepatch *livepatch;
	int err = -EBUSY;

	mutex_lock(&livepatch_lock);
	if (livepatch_enabled) {
		pr_err("a function is patched already, and there can be one only\n");
		goto unlock;
	}
	err = -ENOMEM;
	livepatch = livepatch_new(functions, nr);
	if (!livepatch)
		goto unlock;

	/* Stays, even if it fails: the kernel may have begun to work on it. */
	list_add(&livepatch->list, &livepatches);
	err = klp_enable_patch(&livepatch->patch);
	if (err)
		goto unlock;
	WRITE_ONCE(livepatch_enabled, livepatch);
	/* If killed meanwhile: the kernel completes the transition by itself. */
	livepatch_wait(livepatch, false);
unlock:
	mutex_unlock(&livepatch_lock);
	return err;
}
EXPORT_SYMBOL_GPL(uplift_livepatch_enable);

/**
 * uplift_livepatch_disable - take the patch away, and wait until it is gone
 *
 * Context: process context, sleeps for as long as a task sleeps in the body.
 * Return: 0; -EINTR if killed while waiting (the patch is then on its way out:
 * call again); -EBUSY if another patch is in transition, or this one was
 * reversed.
 */
int uplift_livepatch_disable(void)
{
	struct uplift_livepatch *livepatch;
	int err = 0;

	mutex_lock(&livepatch_lock);
	livepatch = livepatch_enabled;
	if (!livepatch)
		goto unlock;
	err = livepatch_write_off(&livepatch->patch);
	/* Already being disabled, or gone: by an administrator, perhaps. */
	if (!err || err == -EINVAL)
		err = livepatch_wait(livepatch, true);
	if (!err)
		WRITE_ONCE(livepatch_enabled, NULL);
unlock:
	mutex_unlock(&livepatch_lock);
	return err;
}
EXPORT_SYMBOL_GPL(uplift_livepatch_disable);

/**
 * uplift_livepatch_live - are the functions still patched?
 *
 * An administrator may disable a patch in sysfs, or replace it by a cumulative one.
 *
 * Context: any.
 * Return: false if the kernel has been told to take the patch away.
 */
bool uplift_livepatch_live(void)
{
	/* Stays until this module goes, enabled or not. */
	const struct uplift_livepatch *livepatch = READ_ONCE(livepatch_enabled);

	return livepatch && READ_ONCE(livepatch->patch.enabled);
}
EXPORT_SYMBOL_GPL(uplift_livepatch_live);

static int __init livepatch_init(void)
{
	return 0;
}

static void __exit livepatch_exit(void)
{
	struct uplift_livepatch *livepatch, *next;

	list_for_each_entry_safe(livepatch, next, &livepatches, list)
		kfree(livepatch);
}

module_init(livepatch_init);
module_exit(livepatch_exit);

MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("uplift: redirects by livepatch");
MODULE_LICENSE("GPL");
