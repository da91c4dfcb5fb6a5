/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The redirect engine: functions of the kernel are replaced by one of several
 * sets of bodies, and given back, while the machine runs. The functions of one
 * redirect are switched together: all of them, or none.
 */
#ifndef _UPLIFT_REDIRECT_H
#define _UPLIFT_REDIRECT_H

#include <linux/ftrace.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "body.h"
#include "module_id.h"

struct dentry;
struct module;

/**
 * struct uplift_body - what takes the place of one function in one arm
 * @entry: where the function's ftrace site goes if it calls, see
 *	UPLIFT_TRAMPOLINE()
 * @body: where it goes if it can jump: the body itself
 */
struct uplift_body {
	void *entry;
	void *body;
};

/**
 * struct uplift_arm - one arm of a change
 * @name: the word for it; UPLIFT_ARM_NULL and UPLIFT_ARM_NEW need none
 * @beyond: it goes beyond the change, so that a kernel which has the change is
 *	offered it, too
 * @bind: make the bodies ready to run, once, before they are; may be NULL.
 *	Returns 0, or a negative errno after a line in the log
 * @bodies: one for each function of the change, in their order; NULL if there
 *	is no such arm here
 */
struct uplift_arm {
	const char *name;
	bool beyond;
	int (*bind)(void);
	const struct uplift_body *bodies;
};

/* A body of this name, whose trampoline is name_trampoline(). */
#define UPLIFT_BODY(name)	{ .entry = name##_trampoline, .body = name }

/**
 * struct uplift_function - a function of the kernel that is redirected
 * @name: its name
 * @livepatch: what takes its place in a live patch, and calls the body that
 *	&uplift_redirect.select has chosen; NULL if that is not offered
 *
 * The rest is the engine's.
 *
 * @site: its ftrace site
 * @arm: the arm that is hooked there
 * @ops: the hook
 */
struct uplift_function {
	const char *name;
	void *livepatch;

	unsigned long site;
	unsigned int arm;
	struct ftrace_ops ops;
};

/**
 * struct uplift_redirect - functions of the kernel, and the bodies for them
 * @name: for the log, where there are several functions
 * @owner: the module that has the bodies; cannot go while it is needed
 * @functions: the functions
 * @nr_functions: how many
 * @arms: the arms; that of UPLIFT_ARM_OFF is not used
 * @nr_arms: how many, with UPLIFT_ARM_OFF
 * @copies: functions of the kernel's of which bodies have a copy, in whole or
 *	inlined, beside @functions
 * @nr_copies: how many
 * @modules: modules of the kernel that @functions are of
 * @nr_modules: how many
 * @count: the counters that the bodies write, @nr_arms of them
 * @select: for a live patch: choose the arm whose bodies are called; at any time
 * @livepatch: do it by livepatch, not by ftrace-direct
 * @native: the kernel has the change: offered are UPLIFT_ARM_NULL and what goes
 *	beyond it
 *
 * The rest is the engine's.
 *
 * @lock: held while functions are hooked, and never while a grace period of the
 *	drain is waited for
 * @arm: the arm that is on
 * @hooks: how often it was begun to hook the functions
 * @pins: references to @owner held: at least one while an arm is on or a task
 *	may be in a body; as many as there were tasks inside when last looked
 * @told: the log has that tasks are inside
 * @settled: how often grace periods were waited for
 * @interval: until tasks inside are counted again, jiffies
 * @drain: waits for tasks to leave the bodies
 * @bypass: on the list of those that the log is told of
 */
struct uplift_redirect {
	const char *name;
	struct module *owner;
	struct uplift_function *functions;
	unsigned int nr_functions;
	const struct uplift_arm *arms;
	unsigned int nr_arms;
	const char * const *copies;
	unsigned int nr_copies;
	const struct uplift_module_id *modules;
	unsigned int nr_modules;
	struct uplift_count __percpu *count;
	void (*select)(unsigned int arm);
	bool livepatch;
	bool native;

	struct mutex lock;		/* all below, and functions */
	unsigned int arm;
	unsigned int hooks;
	unsigned int pins;
	bool told;
	unsigned int settled;
	unsigned long interval;
	struct delayed_work drain;
	struct list_head bypass;
};

int uplift_redirect_init(struct uplift_redirect *redirect);
void uplift_redirect_show(struct uplift_redirect *redirect, struct dentry *dir);
void uplift_redirect_exit(struct uplift_redirect *redirect);
bool uplift_redirect_offers(const struct uplift_redirect *redirect, unsigned int arm);
const char *uplift_redirect_word(const struct uplift_redirect *redirect, unsigned int arm);
const char *uplift_redirect_state(struct uplift_redirect *redirect, unsigned int arm);
u64 uplift_redirect_inside(const struct uplift_redirect *redirect);
int uplift_redirect_set(struct uplift_redirect *redirect, unsigned int arm);

#endif /* _UPLIFT_REDIRECT_H */
