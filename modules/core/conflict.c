// SPDX-License-Identifier: GPL-2.0
/*
 * What else hooks a function. The kernel refuses a second hook with a plain
 * -EBUSY; here the first one is named.
 *
 * The functions and objects used for it are not exported. Those that this
 * kernel lacks are skipped; then the kernel's own refusal has to do.
 */
#include <linux/errno.h>
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/mutex.h>
#include <linux/static_call.h>
#include <linux/string.h>

#include "conflict.h"
#include "uplift.h"

static unsigned long address_unknown(unsigned long ip)
{
	return 0;
}

static struct kprobe *kprobe_unknown(void *addr)
{
	return NULL;
}

DEFINE_STATIC_CALL(uplift_ftrace_location, address_unknown);
DEFINE_STATIC_CALL(uplift_ftrace_find_rec_direct, address_unknown);
DEFINE_STATIC_CALL(uplift_get_kprobe, kprobe_unknown);

/* Name the code at an address. Any user may read the log: addresses stay out of it. */
static void name_code(char *name, size_t size, const char *what, const void *addr)
{
	char symbol[KSYM_SYMBOL_LEN];

	snprintf(symbol, sizeof(symbol), "%ps", addr);
	snprintf(name, size, "%s (%s)", what,
		 strstarts(symbol, "0x") ? "code without a name" : symbol);
}

static const int *ftrace_switch;	/* the kernel's ftrace_enabled */
static struct list_head *live_patches;	/* klp_patches, under ... */
static struct mutex *live_patches_lock;	/* klp_mutex */

/**
 * uplift_conflict_init - find the kernel's functions that tell what hooks a function
 *
 * Context: process context, once, before the other functions here.
 */
void uplift_conflict_init(void)
{
	unsigned long addr;

	if (!uplift_resolve("ftrace_location", &addr))
		static_call_update(uplift_ftrace_location, (unsigned long (*)(unsigned long))addr);
	if (!uplift_resolve("ftrace_find_rec_direct", &addr))
		static_call_update(uplift_ftrace_find_rec_direct,
				   (unsigned long (*)(unsigned long))addr);
	if (!uplift_resolve("get_kprobe", &addr))
		static_call_update(uplift_get_kprobe, (struct kprobe *(*)(void *))addr);
	if (!uplift_resolve("ftrace_enabled", &addr))
		ftrace_switch = (const int *)addr;
	if (!uplift_resolve("klp_mutex", &addr))
		live_patches_lock = (struct mutex *)addr;
	if (!uplift_resolve("klp_patches", &addr))
		live_patches = (struct list_head *)addr;
}

/**
 * uplift_ftrace_site - where ftrace can hook a function
 * @addr: the function
 *
 * Return: the address of its ftrace site; 0 if it has none.
 */
unsigned long uplift_ftrace_site(unsigned long addr)
{
	return static_call(uplift_ftrace_location)(addr);
}

/**
 * uplift_ftrace_on - do ftrace's hooks work now?
 *
 * Return: false after sysctl kernel.ftrace_enabled=0.
 */
bool uplift_ftrace_on(void)
{
	return !ftrace_switch || READ_ONCE(*ftrace_switch);
}

#ifdef CONFIG_LIVEPATCH

/**
 * uplift_live_patched - is a function of the kernel's image live-patched?
 * @function: its name
 * @name: set to by whom
 * @size: bytes at @name
 *
 * Context: process context, may sleep.
 * Return: true if there is a patch of it, enabled or on its way.
 */
bool uplift_live_patched(const char *function, char *name, size_t size)
{
	const struct klp_object *object;
	const struct klp_patch *patch;
	const struct klp_func *func;
	bool found = false;

	if (!live_patches || !live_patches_lock)
		return false;

	mutex_lock(live_patches_lock);
	list_for_each_entry(patch, live_patches, list) {
		for (object = patch->objs; object->funcs || object->name; object++) {
			if (object->name)
				continue;
			for (func = object->funcs; func->old_name || func->new_func; func++)
				found |= func->old_name && !strcmp(func->old_name, function);
		}
		if (found) {
			snprintf(name, size, "live patch %s", patch->mod->name);
			break;
		}
	}
	mutex_unlock(live_patches_lock);
	return found;
}

#else

bool uplift_live_patched(const char *function, char *name, size_t size)
{
	return false;
}

#endif

/**
 * uplift_probed - is there a kprobe?
 * @addr: of an instruction, or of any byte
 *
 * Context: any.
 * Return: true if there is one, armed or not.
 */
bool uplift_probed(unsigned long addr)
{
	bool found;

	/* Probes are freed after a grace period. */
	rcu_read_lock();
	found = static_call(uplift_get_kprobe)((void *)addr);
	rcu_read_unlock();
	return found;
}

/* A probe with a post handler makes the kernel single-step the site itself. */
static bool probed(unsigned long site, char *name, size_t size)
{
	struct kprobe *probe;
	bool found = false;

	/* Probes are freed after a grace period. */
	rcu_read_lock();
	probe = static_call(uplift_get_kprobe)((void *)site);
	if (probe && probe->post_handler) {
		name_code(name, size, "kprobe with a post handler", probe->post_handler);
		found = true;
	}
	rcu_read_unlock();
	return found;
}

/**
 * uplift_conflict - what hooks a function in a way that excludes us?
 * @function: its name
 * @site: its ftrace site
 * @name: set to a description of that hook
 * @size: bytes at @name
 *
 * Context: process context, may sleep.
 * Return: true if a hook was found.
 */
bool uplift_conflict(const char *function, unsigned long site, char *name, size_t size)
{
	unsigned long direct = static_call(uplift_ftrace_find_rec_direct)(site);

	if (direct) {
		/* Bit 0 says that the site jumps there. */
		name_code(name, size, "ftrace-direct user", (void *)(direct & ~1UL));
		return true;
	}
	return uplift_live_patched(function, name, size) || probed(site, name, size);
}
