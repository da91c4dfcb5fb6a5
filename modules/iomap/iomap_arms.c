// SPDX-License-Identifier: GPL-2.0
/*
 * The bodies for iomap_iter(). Where the kernel never had the fault, or has it
 * no longer, none are generated: then there is nothing to be bound.
 */
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/static_call.h>

#include "gen/iomap_gen.h"
#include "iomap_arms.h"
#include "redirect.h"
#include "trampoline.h"

DEFINE_PER_CPU(struct uplift_count[UPLIFT_IOMAP_ARMS], uplift_iomap_count);

#ifdef UPLIFT_IOMAP_NEW

UPLIFT_TRAMPOLINE(uplift_iomap_null_trampoline, uplift_iomap_null);
UPLIFT_TRAMPOLINE(uplift_iomap_new_trampoline, uplift_iomap_new);

static const struct uplift_arm iomap_arms[] = {
	[UPLIFT_ARM_NULL]	= UPLIFT_ARM(uplift_iomap_null),
	[UPLIFT_ARM_NEW]	= UPLIFT_ARM(uplift_iomap_new),
};

DEFINE_STATIC_CALL(iomap_patched, uplift_iomap_null);

/* Stays on the stack while a body runs, for the live patch to see. */
static int iomap_livepatched(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	int ret = static_call(iomap_patched)(iter, ops);

	barrier();
	return ret;
}

static void iomap_select(unsigned int arm)
{
	static_call_update(iomap_patched,
			   arm == UPLIFT_ARM_NEW ? uplift_iomap_new : uplift_iomap_null);
}

#else

static const struct uplift_arm iomap_arms[UPLIFT_IOMAP_ARMS];

#define iomap_livepatched	NULL
#define iomap_select		NULL

#endif

static struct uplift_function iomap_functions[] = {
	{ .name = UPLIFT_IOMAP_FUNCTION, .livepatch = iomap_livepatched },
};

struct uplift_redirect iomap_redirect = {
	.functions	= iomap_functions,
	.nr_functions	= ARRAY_SIZE(iomap_functions),
	.arms		= iomap_arms,
	.nr_arms	= ARRAY_SIZE(iomap_arms),
	.count		= uplift_iomap_count,
	.select		= iomap_select,
};

/**
 * iomap_arms_body - the body of an arm, to be called plainly
 * @arm: an arm that there is
 *
 * Return: the body.
 */
iomap_iter_fn *iomap_arms_body(enum uplift_arm_id arm)
{
	return iomap_arms[arm].bodies[0].body;
}

/**
 * iomap_arms_reuse - which function of this kernel uses a finished iterator again?
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
