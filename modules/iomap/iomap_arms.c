// SPDX-License-Identifier: GPL-2.0
/*
 * The bodies for iomap_iter(). Where the kernel never had the fault, or has it
 * no longer, none are generated: then there is nothing to be bound.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/percpu.h>
#include <linux/static_call.h>

#include "gen/iomap_gen.h"
#include "iomap_arms.h"
#include "redirect.h"

DEFINE_PER_CPU(struct uplift_count[UPLIFT_IOMAP_ARMS], uplift_iomap_count);

static int iomap_unbound(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	return -EIO;
}

/*
 * Bodies are assembly, which no indirect call may come to where the compiler
 * checks what those call.
 */
DEFINE_STATIC_CALL(iomap_null, iomap_unbound);
DEFINE_STATIC_CALL(iomap_new, iomap_unbound);
DEFINE_STATIC_CALL(iomap_patched, iomap_unbound);

static int iomap_call_null(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	return static_call(iomap_null)(iter, ops);
}

static int iomap_call_new(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	return static_call(iomap_new)(iter, ops);
}

/* Stays on the stack while a body runs, for the live patch to see. */
static int iomap_livepatched(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	int ret = static_call(iomap_patched)(iter, ops);

	barrier();
	return ret;
}

#ifdef UPLIFT_IOMAP_NEW

static const struct uplift_arm iomap_arms[] = {
	[UPLIFT_ARM_NULL]	= { .bodies = UPLIFT_IOMAP_NULL },
	[UPLIFT_ARM_NEW]	= { .bodies = UPLIFT_IOMAP_NEW },
};

static iomap_iter_fn *iomap_body(unsigned int arm)
{
	return (iomap_iter_fn *)iomap_arms[arm].bodies[0].body;
}

static void iomap_select(unsigned int arm)
{
	static_call_update(iomap_patched, iomap_body(arm));
}

/**
 * iomap_arms_bind - make the bodies ready to be called plainly
 */
void iomap_arms_bind(void)
{
	static_call_update(iomap_null, iomap_body(UPLIFT_ARM_NULL));
	static_call_update(iomap_new, iomap_body(UPLIFT_ARM_NEW));
}

#else

static const struct uplift_arm iomap_arms[UPLIFT_IOMAP_ARMS];

#define iomap_select		NULL

void iomap_arms_bind(void)
{
}

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
 * @arm: UPLIFT_ARM_NULL or UPLIFT_ARM_NEW; after iomap_arms_bind()
 *
 * Return: the body.
 */
iomap_iter_fn *iomap_arms_body(enum uplift_arm_id arm)
{
	return arm == UPLIFT_ARM_NEW ? iomap_call_new : iomap_call_null;
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
