// SPDX-License-Identifier: GPL-2.0
/*
 * The bodies for iomap_iter(). Where the kernel never had the fault, or has it
 * no longer, none are generated: then there is nothing to be bound.
 */
#include <linux/errno.h>
#include <linux/static_call.h>

#include "gen/iomap_gen.h"
#include "iomap_arms.h"
#include "trampoline.h"

#ifdef UPLIFT_IOMAP_NEW

UPLIFT_TRAMPOLINE(uplift_iomap_null_trampoline, uplift_iomap_null);
UPLIFT_TRAMPOLINE(uplift_iomap_new_trampoline, uplift_iomap_new);
void uplift_iomap_null_trampoline(void);
void uplift_iomap_new_trampoline(void);

DEFINE_STATIC_CALL(iomap_patched, uplift_iomap_null);

/* Stays on the stack while a body runs, for the live patch to see. */
static int iomap_livepatched(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	int ret = static_call(iomap_patched)(iter, ops);

	barrier();
	return ret;
}

static void iomap_select(enum uplift_arm_id arm)
{
	static_call_update(iomap_patched,
			   arm == UPLIFT_ARM_NEW ? uplift_iomap_new : uplift_iomap_null);
}

static const struct uplift_dispatch iomap_dispatch = {
	.body	= iomap_livepatched,
	.select	= iomap_select,
};

static const struct iomap_arms generated = {
	.null		= uplift_iomap_null,
	.new		= uplift_iomap_new,
	.livepatch	= &iomap_dispatch,
};

/**
 * iomap_arms_bind - make the bodies ready to run
 * @bodies: set to them, by arm
 *
 * Context: process context, may sleep.
 * Return: 0, or a negative errno after a line in the log.
 */
int iomap_arms_bind(struct uplift_body *bodies)
{
	bodies[UPLIFT_ARM_NULL].entry =
		UPLIFT_ENTRY(uplift_iomap_null_trampoline, uplift_iomap_null);
	bodies[UPLIFT_ARM_NEW].entry =
		UPLIFT_ENTRY(uplift_iomap_new_trampoline, uplift_iomap_new);
	return uplift_iomap_null_bind() ?: uplift_iomap_new_bind();
}

#else

static const struct iomap_arms generated;

int iomap_arms_bind(struct uplift_body *bodies)
{
	return -ENODEV;
}

#endif

/**
 * iomap_arms - the bodies
 *
 * Return: those that there are.
 */
const struct iomap_arms *iomap_arms(void)
{
	return &generated;
}

/**
 * iomap_arms_reuse - who uses a finished iterator again in this kernel?
 *
 * Return: the name of the function, as found in the source, or NULL.
 */
const char *iomap_arms_reuse(void)
{
#ifdef UPLIFT_IOMAP_REUSE
	return UPLIFT_IOMAP_REUSE;
#else
	return NULL;
#endif
}
