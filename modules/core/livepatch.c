// SPDX-License-Identifier: GPL-2.0
/*
 * uplift_livepatch.ko: redirects by livepatch, for those who want its
 * consistency model. A module of its own, because the kernel taints itself as
 * live-patched when one that is marked as this one is loads.
 *
 * The kernel knows one patch per module: one function can be patched at a time.
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

#define LIVEPATCH_POLL_MS	20

/**
 * struct uplift_livepatch - a patch of one function
 * @list: on @livepatches: the kernel works on a patch for some time after it
 *	has been disabled, but has let go of all when this module can be unloaded
 * @funcs: the function, and an end
 * @objects: the kernel's image, and an end
 * @patch: what the kernel is given
 */
struct uplift_livepatch {
	struct list_head list;
	struct klp_func funcs[2];
	struct klp_object objects[2];
	struct klp_patch patch;
};

static LIST_HEAD(livepatches);
static DEFINE_MUTEX(livepatch_lock);
static bool livepatch_enabled;

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
 * Have the kernel take the patch away, as who writes to its file in sysfs: there
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

/*
 * Does the kernel still work on the patch, or with @gone, know it? It takes it
 * out of sysfs last, when nobody is in the body any more that it knows of.
 */
static bool livepatch_pending(const struct uplift_livepatch *livepatch, bool gone)
{
	if (!gone)
		return READ_ONCE(livepatch->funcs[0].transition);
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

/**
 * uplift_livepatch_enable - patch a function, and wait until all tasks see it
 * @function: name of a function of the kernel's image
 * @body: what takes its place; must stay until uplift_livepatch_disable()
 *
 * The kernel may send fake signals to tasks that hold up the transition.
 *
 * Context: process context, sleeps for as long as a task sleeps in @function.
 * Return: 0; -EBUSY if a function is patched already or somebody else hooks
 * this one.
 */
int uplift_livepatch_enable(const char *function, void *body)
{
	struct uplift_livepatch *livepatch;
	int err = -EBUSY;

	mutex_lock(&livepatch_lock);
	if (livepatch_enabled) {
		pr_err("a function is patched already, and there can be one only\n");
		goto unlock;
	}
	err = -ENOMEM;
	livepatch = kzalloc(sizeof(*livepatch), GFP_KERNEL);
	if (!livepatch)
		goto unlock;
	livepatch->funcs[0].old_name = function;
	livepatch->funcs[0].new_func = body;
	livepatch->objects[0].funcs = livepatch->funcs;
	livepatch->patch.mod = THIS_MODULE;
	livepatch->patch.objs = livepatch->objects;

	/* Stays, even if it fails: the kernel may have begun to work on it. */
	list_add(&livepatch->list, &livepatches);
	err = klp_enable_patch(&livepatch->patch);
	if (err)
		goto unlock;
	livepatch_enabled = true;
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
 * call again); -EBUSY if another patch is in transition, or somebody has turned
 * this one round.
 */
int uplift_livepatch_disable(void)
{
	struct uplift_livepatch *livepatch;
	int err = 0;

	mutex_lock(&livepatch_lock);
	if (!livepatch_enabled)
		goto unlock;
	livepatch = list_first_entry(&livepatches, struct uplift_livepatch, list);
	err = livepatch_write_off(&livepatch->patch);
	/* Already being disabled, or gone: by an administrator, perhaps. */
	if (!err || err == -EINVAL)
		err = livepatch_wait(livepatch, true);
	if (!err)
		livepatch_enabled = false;
unlock:
	mutex_unlock(&livepatch_lock);
	return err;
}
EXPORT_SYMBOL_GPL(uplift_livepatch_disable);

/**
 * uplift_livepatch_live - is the function still patched?
 *
 * Anybody may disable a patch in sysfs, or put a cumulative one in its place.
 *
 * Context: process context, may sleep.
 * Return: false if the kernel has been told to take the patch away.
 */
bool uplift_livepatch_live(void)
{
	struct uplift_livepatch *livepatch;
	bool live = false;

	mutex_lock(&livepatch_lock);
	livepatch = list_first_entry_or_null(&livepatches, struct uplift_livepatch, list);
	if (livepatch && livepatch_enabled)
		live = READ_ONCE(livepatch->patch.enabled);
	mutex_unlock(&livepatch_lock);
	return live;
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
