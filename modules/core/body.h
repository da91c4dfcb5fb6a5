/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a body needs: a body is a function that takes the place of one of the
 * kernel's. Most are the object code of the kernel's own source, see bind.h.
 */
#ifndef _UPLIFT_BODY_H
#define _UPLIFT_BODY_H

#include <linux/percpu.h>
#include <linux/types.h>

#include "arch_body.h"

/**
 * enum uplift_arm_id - the arms that every change has
 * @UPLIFT_ARM_OFF: the kernel's own function, no hook
 * @UPLIFT_ARM_NULL: the kernel's own body behind the hook: the control
 * @UPLIFT_ARM_NEW: the change
 * @UPLIFT_ARM_FIRST_OWN: from here on those that a change has beside them: it
 *	numbers and names them itself
 */
enum uplift_arm_id {
	UPLIFT_ARM_OFF,
	UPLIFT_ARM_NULL,
	UPLIFT_ARM_NEW,
	UPLIFT_ARM_FIRST_OWN,
};

/**
 * struct uplift_count - calls of the bodies of one arm, on one CPU
 * @entered: how often one was entered
 * @left: how often one was left; a task that sleeps in a body may leave on
 *	another CPU than it entered on
 *
 * A change has an array of them, one for each arm.
 */
struct uplift_count {
	u64 entered;
	u64 left;
};

/* ARM is NULL, NEW or one of the change's own: UPLIFT_ARM_<ARM>. */
#define UPLIFT_BODY_ENTER(change, ARM) \
	uplift_count_enter(uplift_##change##_count[UPLIFT_ARM_##ARM].entered)
#define UPLIFT_BODY_LEAVE(change, ARM) \
	uplift_count_leave(uplift_##change##_count[UPLIFT_ARM_##ARM].left)

#endif /* _UPLIFT_BODY_H */
