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

#include <linux/init.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/uaccess.h>

#include "gen/epoll_gen.h"
#include "redirect.h"
#include "trampoline.h"
#include "uplift.h"

DEFINE_PER_CPU(struct uplift_count, uplift_epoll_count);

UPLIFT_TRAMPOLINE(uplift_epoll_null_trampoline, uplift_epoll_null);
UPLIFT_TRAMPOLINE(uplift_epoll_new_trampoline, uplift_epoll_new);
UPLIFT_TRAMPOLINE(uplift_epoll_batch_trampoline, uplift_epoll_batch);

static struct uplift_change epoll_change = { .name = "epoll" };
static struct uplift_redirect epoll_redirect = {
	.owner		= THIS_MODULE,
	.function	= UPLIFT_EPOLL_FUNCTION,
	.count		= &uplift_epoll_count,
};

/*
 * Does the kernel write the two words of an event with a call each? Those are
 * the old form; scopes are inlined.
 */
static int __init epoll_probe(struct uplift_verdict *verdict)
{
	int words, pointers, err;
	unsigned long addr;

	err = uplift_bind("epoll", UPLIFT_EPOLL_FUNCTION, &addr);
	if (err)
		return err;
	words = uplift_calls_in(UPLIFT_EPOLL_FUNCTION, __put_user_nocheck_4);
	pointers = uplift_calls_in(UPLIFT_EPOLL_FUNCTION, __put_user_nocheck_8);
	if (words < 0 || pointers < 0) {
		pr_err("unsupported: cannot read the code of " UPLIFT_EPOLL_FUNCTION "() (%pe)\n",
		       ERR_PTR(min(words, pointers)));
		return -ENOEXEC;
	}
	verdict->kind = words && pointers ? UPLIFT_APPLICABLE : UPLIFT_NATIVE;
	uplift_verdict_add(verdict, "function", UPLIFT_EPOLL_FUNCTION);
	uplift_verdict_add(verdict, "delivers", "%s", words && pointers ?
			   "an event in two user accesses, a call each" :
			   "an event in one user access");
	return 0;
}

static int __init epoll_bind(void)
{
	struct uplift_body *bodies = epoll_redirect.bodies;
	int err;

	err = uplift_epoll_null_bind() ?: uplift_epoll_batch_bind();
	if (err)
		return err;
	bodies[UPLIFT_ARM_NULL].entry = UPLIFT_ENTRY(uplift_epoll_null_trampoline,
						     uplift_epoll_null);
	bodies[UPLIFT_ARM_BATCH].entry = UPLIFT_ENTRY(uplift_epoll_batch_trampoline,
						      uplift_epoll_batch);
	if (epoll_change.verdict.kind != UPLIFT_APPLICABLE)
		return 0;

	err = uplift_epoll_new_bind();
	if (err)
		return err;
	bodies[UPLIFT_ARM_NEW].entry = UPLIFT_ENTRY(uplift_epoll_new_trampoline,
						    uplift_epoll_new);
	return 0;
}

static int __init epoll_init(void)
{
	int err;

	err = uplift_btf_check("epoll", UPLIFT_EPOLL_BTF_SIZE, UPLIFT_EPOLL_BTF_CRC);
	if (err)
		return err;
	err = epoll_probe(&epoll_change.verdict);
	if (err)
		return err;
	err = epoll_bind();
	if (err)
		return err;
	err = uplift_redirect_init(&epoll_redirect);
	if (err)
		return err;

	uplift_change_add(&epoll_change);
	uplift_redirect_show(&epoll_redirect, epoll_change.dir);
	pr_info("%s: %s() can be redirected\n", uplift_verdict_name(epoll_change.verdict.kind),
		UPLIFT_EPOLL_FUNCTION);
	return 0;
}

static void __exit epoll_exit(void)
{
	uplift_change_remove(&epoll_change);
	uplift_redirect_exit(&epoll_redirect);
}

module_init(epoll_init);
module_exit(epoll_exit);

MODULE_DESCRIPTION("uplift: fewer user-access scopes in epoll_wait(), as in Linux 7.0");
MODULE_LICENSE("GPL");
