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
 * enum uplift_arm_id - which body runs
 * @UPLIFT_ARM_OFF: the kernel's own function, no hook
 * @UPLIFT_ARM_NULL: the kernel's own body behind the hook: the control
 * @UPLIFT_ARM_NEW: the change
 * @UPLIFT_ARM_BATCH: a further one, where a change has it
 * @UPLIFT_ARMS: how many there are
 */
enum uplift_arm_id {
	UPLIFT_ARM_OFF,
	UPLIFT_ARM_NULL,
	UPLIFT_ARM_NEW,
	UPLIFT_ARM_BATCH,
	UPLIFT_ARMS,
};

/**
 * struct uplift_count - calls of the bodies of one change, on one CPU
 * @arm: per body, how often it was entered and left; a task that sleeps in a
 *	body may leave on another CPU than it entered on
 */
struct uplift_count {
	struct {
		u64 entered;
		u64 left;
	} arm[UPLIFT_ARMS];
};

/* One instruction each. ARM is NULL, NEW or BATCH. */
#define UPLIFT_BODY_ENTER(change, ARM) \
	this_cpu_inc(uplift_##change##_count.arm[UPLIFT_ARM_##ARM].entered)
#define UPLIFT_BODY_LEAVE(change, ARM) \
	this_cpu_inc(uplift_##change##_count.arm[UPLIFT_ARM_##ARM].left)

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
