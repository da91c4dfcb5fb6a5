/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a body needs: a body is a function that takes the place of one of the
 * kernel's. Most are generated at build time from the kernel's own source.
 */
#ifndef _UPLIFT_BODY_H
#define _UPLIFT_BODY_H

#include <linux/jump_label.h>
#include <linux/percpu.h>
#include <linux/types.h>

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

/* One instruction each. ARM is NULL, NEW or one of the change's own: UPLIFT_ARM_<ARM>. */
#define UPLIFT_BODY_ENTER(change, ARM) \
	this_cpu_inc(uplift_##change##_count[UPLIFT_ARM_##ARM].entered)
#define UPLIFT_BODY_LEAVE(change, ARM) \
	this_cpu_inc(uplift_##change##_count[UPLIFT_ARM_##ARM].left)

/**
 * uplift_key_enabled - is a static key on?
 * @key: a key of the kernel's that modules cannot link to, so that there is no
 *	branch of ours to be patched: it is read
 *
 * Context: any. Two instructions.
 * Return: true if it is.
 */
static __always_inline bool uplift_key_enabled(const struct static_key *key)
{
#ifdef CONFIG_X86
	asm goto("cmpl $0, %0\n\tjne %l[enabled]" : : "m" (key->enabled) : "cc" : enabled);
	return false;
enabled:
	return true;
#else
	return unlikely(atomic_read(&key->enabled));
#endif
}

/*
 * For an array on the stack that is written before it is read: not cleared
 * where the kernel's configuration has all of them cleared.
 */
#if __has_attribute(__uninitialized__)
#define UPLIFT_UNINITIALIZED	__attribute__((__uninitialized__))
#else
#define UPLIFT_UNINITIALIZED
#endif

#endif /* _UPLIFT_BODY_H */
