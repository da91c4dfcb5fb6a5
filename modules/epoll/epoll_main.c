// SPDX-License-Identifier: GPL-2.0
/*
 * uplift_epoll.ko: epoll_wait() delivers events with fewer user-access scopes.
 *
 * Upstream: "epoll: use scoped user access in epoll_put_uevent()" (Linux 7.0):
 * one scope per event instead of two. The arm "batch" goes further: one for up
 * to 16 events.
 *
 * Redirected is the function that delivers events: ep_send_events() where it
 * stands by itself, else do_epoll_wait(), into which it was inlined. A task may
 * sleep in the latter for as long as it likes.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/percpu.h>

#include "change.h"
#include "epoll.h"
#include "gen/epoll_gen.h"

DEFINE_PER_CPU(struct uplift_count[UPLIFT_EPOLL_ARMS], uplift_epoll_count);

#ifdef UPLIFT_EPOLL_NEW

/* Why there is no such arm here; NULL if there is. */
static const char *const batch_left_out = UPLIFT_EPOLL_BATCH_LEFT_OUT;

static const struct uplift_arm epoll_arms[] = {
	[UPLIFT_ARM_NULL]	= { .bodies = UPLIFT_EPOLL_NULL },
	[UPLIFT_ARM_NEW]	= { .bodies = UPLIFT_EPOLL_NEW },
	[UPLIFT_ARM_BATCH]	= { .bodies = UPLIFT_EPOLL_BATCH, .name = "batch", .beyond = true },
};

#else

/* The source, as it is compiled here, is not the kernel's code. */
static const char *const batch_left_out;
static const struct uplift_arm epoll_arms[UPLIFT_EPOLL_ARMS];

#endif

static struct uplift_function epoll_functions[] = {
	UPLIFT_EPOLL_FUNCTIONS
};

static struct uplift_redirect epoll_redirect = {
	.functions	= epoll_functions,
	.nr_functions	= ARRAY_SIZE(epoll_functions),
	.arms		= epoll_arms,
	.nr_arms	= ARRAY_SIZE(epoll_arms),
	.count		= uplift_epoll_count,
};

static int epoll_probe(struct uplift_change *change)
{
	struct uplift_verdict *verdict = &change->verdict;
	unsigned long addr;
	int err, twice;

	err = uplift_bind(change->name, UPLIFT_EPOLL_FUNCTION, &addr);
	if (err)
		return err;
	twice = compat_epoll_delivers_twice(UPLIFT_EPOLL_FUNCTION);
	if (twice < 0) {
		pr_err("unsupported: cannot read the code of " UPLIFT_EPOLL_FUNCTION "() (%pe)\n",
		       ERR_PTR(twice));
		return -ENOEXEC;
	}
	verdict->kind = twice ? UPLIFT_APPLICABLE : UPLIFT_NATIVE;
	verdict->why = "this kernel delivers an event in one user access";
	uplift_verdict_add(verdict, "delivers", "%s",
			   twice ? COMPAT_EPOLL_TWO : "an event in one user access");
	if (batch_left_out)
		uplift_verdict_add(verdict, "batch", "left out: %s", batch_left_out);
	return 0;
}

static struct uplift_change epoll_change = {
	.name		= "epoll",
	.owner		= THIS_MODULE,
	.btf_size	= UPLIFT_EPOLL_BTF_SIZE,
	.btf_crc	= UPLIFT_EPOLL_BTF_CRC,
	.identical	= UPLIFT_EPOLL_IDENTICAL,
	.unusable	= UPLIFT_EPOLL_UNUSABLE,
	.redirect	= &epoll_redirect,
	.probe		= epoll_probe,
};
module_uplift_change(epoll_change);

MODULE_DESCRIPTION("uplift: fewer user-access scopes in epoll_wait(), as in Linux 7.0");
MODULE_LICENSE("GPL");
