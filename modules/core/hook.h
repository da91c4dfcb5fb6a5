/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Functions of the kernel, or of one of its modules, in front of which a module
 * puts a function of its own, for as long as it is loaded. Unlike a redirect
 * (redirect.h) there are no arms, and the function that is put there calls the
 * kernel's own.
 */
#ifndef _UPLIFT_HOOK_H
#define _UPLIFT_HOOK_H

#include <linux/ftrace.h>
#include <linux/static_call.h>

#include "trampoline.h"

/**
 * struct uplift_hook - one function, and what is put in front of it
 * @module: the kernel's module that it is of; "" for the kernel's image. A module
 *	that is built in is looked for there, too
 * @name: its name
 * @entry: where its ftrace site goes if it calls, see UPLIFT_TRAMPOLINE()
 * @body: where it goes if it can jump
 * @bind: is told where the function goes on behind its ftrace site: a call there
 *	runs the function without the hook
 *
 * The rest is the core's.
 *
 * @site: its ftrace site
 * @ops: the hook
 * @on: it is hooked
 */
struct uplift_hook {
	const char *module;
	const char *name;
	void *entry;
	void *body;
	void (*bind)(unsigned long addr);

	unsigned long site;
	struct ftrace_ops ops;
	bool on;
};

/**
 * UPLIFT_HOOKED - declare what a hook on a function needs
 * @hook: what is put in front of it, of the same type; global, as assembly names it
 * @unbound: a function of that type that only fails, until the hook is bound
 *
 * static_call(hook##_original)() then runs the function itself.
 */
#define UPLIFT_HOOKED(hook, unbound)					\
	DEFINE_STATIC_CALL(hook##_original, unbound);			\
	static void hook##_bind(unsigned long addr)			\
	{								\
		static_call_update(hook##_original, (typeof(unbound) *)addr);	\
	}								\
	UPLIFT_TRAMPOLINE(hook##_trampoline, hook)

/* An initializer of struct uplift_hook, after UPLIFT_HOOKED(). */
#define UPLIFT_HOOK(_module, _function, _hook)	{			\
	.module	= _module,						\
	.name	= #_function,						\
	.entry	= _hook##_trampoline,					\
	.body	= _hook,						\
	.bind	= _hook##_bind,						\
}

int uplift_hooks_init(struct uplift_hook *hooks, unsigned int count);
int uplift_hooks_on(struct uplift_hook *hooks, unsigned int count);
void uplift_hooks_off(struct uplift_hook *hooks, unsigned int count);

#endif /* _UPLIFT_HOOK_H */
