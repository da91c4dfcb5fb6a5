/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The redirect engine: one function of the kernel is replaced by one of several
 * bodies, and given back, while the machine runs.
 */
#ifndef _UPLIFT_REDIRECT_H
#define _UPLIFT_REDIRECT_H

#include <linux/ftrace.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "body.h"

struct dentry;
struct module;

/**
 * struct uplift_body - a body as the engine sees it
 * @entry: where the function's ftrace site is to go, see UPLIFT_ENTRY(); 0 if
 *	there is no such arm
 * @body: the body itself
 */
struct uplift_body {
	unsigned long entry;
	unsigned long body;
};

/**
 * struct uplift_dispatch - how to redirect by livepatch
 * @body: the function that takes the place of the kernel's, and calls a body
 * @select: choose which; at any time
 */
struct uplift_dispatch {
	void *body;
	void (*select)(enum uplift_arm_id arm);
};

/**
 * struct uplift_redirect - a function of the kernel, and the bodies for it
 * @owner: the module that has the bodies; cannot go while it is needed
 * @function: name of the kernel's function
 * @count: the counters that the bodies write
 * @bodies: by arm; UPLIFT_ARM_OFF has none
 * @livepatch: NULL for ftrace-direct, else do it by livepatch
 *
 * The rest is the engine's.
 *
 * @lock: held while the arm is changed
 * @arm: the arm that is on
 * @pins: references to @owner held: at least one while an arm is on or a task
 *	may be in a body; as many as there were tasks inside when last looked
 * @addr: address of @function
 * @ops: the hook
 * @drain: waits for tasks to leave the bodies
 */
struct uplift_redirect {
	struct module *owner;
	const char *function;
	struct uplift_count __percpu *count;
	struct uplift_body bodies[UPLIFT_ARMS];
	const struct uplift_dispatch *livepatch;

	struct mutex lock;		/* arm, pins, addr, ops */
	enum uplift_arm_id arm;
	unsigned int pins;
	unsigned long addr;
	struct ftrace_ops ops;
	struct delayed_work drain;
};

int uplift_redirect_init(struct uplift_redirect *redirect);
void uplift_redirect_show(struct uplift_redirect *redirect, struct dentry *dir);
void uplift_redirect_exit(struct uplift_redirect *redirect);
u64 uplift_redirect_inside(const struct uplift_redirect *redirect);
int uplift_redirect_set(struct uplift_redirect *redirect, enum uplift_arm_id arm);

#endif /* _UPLIFT_REDIRECT_H */
