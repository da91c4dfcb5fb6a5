// SPDX-License-Identifier: GPL-2.0
/*
 * Binds bodies made of object code to the running kernel.
 *
 * The module loader leaves their references 0, as the symbols are weak. A module
 * notifier of the highest priority writes them when the module is coming: before
 * its jump labels, static calls and tracepoints are looked at, which may refer to
 * the kernel's in these tables, and before any of its code runs. Whatever cannot
 * be bound refuses the load.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "bind.h"
#include "core.h"
#include "uplift.h"

static void *poke_unknown(void *addr, const void *opcode, size_t len)
{
	return NULL;
}

static unsigned long lookup_unknown(const char *name)
{
	return 0;
}

DEFINE_STATIC_CALL(uplift_text_poke, poke_unknown);
DEFINE_STATIC_CALL(uplift_kallsyms_lookup, lookup_unknown);

static struct mutex *poke_mutex;
static unsigned long image_text;

/* Tables of a module that is coming. */
struct binding {
	const struct module *module;
	const struct uplift_bodies *bodies;
	unsigned long *address;		/* of each symbol */
};

static int bind_symbol(struct binding *binding, u32 i)
{
	const struct uplift_symbol *symbol = &binding->bodies->symbols[i];
	unsigned long address = symbol->value;

	if (symbol->origin == UPLIFT_SYMBOL_IN_IMAGE)
		address += image_text;
	if (symbol->name && !uplift_is_symbol(symbol->name, address)) {
		pr_err("%s: %s is not where it was in the kernel that the bodies were made for\n",
		       binding->module->name, symbol->name);
		return -ENOEXEC;
	}
	binding->address[i] = address;
	return 0;
}

static bool bind_inside(const struct module *module, unsigned long place, unsigned int size)
{
	return within_module(place, module) && within_module(place + size - 1, module);
}

static int bind_fix(const struct binding *binding, const struct uplift_fix *fix)
{
	unsigned long place = uplift_fix_place(binding->bodies, fix);
	const struct uplift_symbol *symbol = &binding->bodies->symbols[fix->symbol];
	const char *name = symbol->name ?: "a constant";
	unsigned int size = uplift_fix_size(fix);
	u64 value, written = 0;
	int err;

	if (!bind_inside(binding->module, place, size)) {
		pr_err("%s: a reference to %s would be outside of the module\n",
		       binding->module->name, name);
		return -ENOEXEC;
	}
	err = uplift_fix_value(fix, place, binding->address[fix->symbol], &value);
	if (err) {
		pr_err("%s: %s is out of reach\n", binding->module->name, name);
		return -ENOEXEC;
	}
	mutex_lock(poke_mutex);
	static_call(uplift_text_poke)((void *)place, &value, size);
	mutex_unlock(poke_mutex);
	if (copy_from_kernel_nofault(&written, (void *)place, size) ||
	    memcmp(&written, &value, size)) {
		pr_err("%s: a reference to %s could not be written\n",
		       binding->module->name, name);
		return -ENOEXEC;
	}
	return 0;
}

static int bind_tables(struct binding *binding)
{
	const struct uplift_bodies *bodies = binding->bodies;
	int err = uplift_bodies_check(bodies);
	u32 i;

	if (err) {
		pr_err("%s: tables of references that are not of this version of uplift\n",
		       binding->module->name);
		return err;
	}
	binding->address = kvcalloc(bodies->nr_symbols ?: 1, sizeof(*binding->address), GFP_KERNEL);
	if (!binding->address)
		return -ENOMEM;
	for (i = 0; !err && i < bodies->nr_symbols; i++)
		err = bind_symbol(binding, i);
	for (i = 0; !err && i < bodies->nr_fixes; i++)
		err = bind_fix(binding, &bodies->fixes[i]);
	kvfree(binding->address);
	return err;
}

/* Is the running kernel the one that the bodies were made for? */
static int bind_kernel(const struct module *module, const struct uplift_bodies_head *head)
{
	unsigned long start, stop;
	size_t length = 0;
	const u8 *id;

	if (uplift_resolve("__start_notes", &start) || uplift_resolve("__stop_notes", &stop)) {
		pr_err("%s: this kernel's build id cannot be found\n", module->name);
		return -ENOEXEC;
	}
	id = uplift_build_id((void *)start, stop - start, &length);
	if (!id || length != sizeof(head->build_id) ||
	    memcmp(id, head->build_id, sizeof(head->build_id))) {
		pr_err("%s: made for another kernel, with build id %*phN: make it for this one\n",
		       module->name, (int)sizeof(head->build_id), head->build_id);
		return -ENOEXEC;
	}
	return 0;
}

static unsigned long bind_lookup(const struct module *module, const char *symbol)
{
	char name[MODULE_NAME_LEN + 32];

	snprintf(name, sizeof(name), "%s:%s", module->name, symbol);
	return static_call(uplift_kallsyms_lookup)(name);
}

static int bind_module(const struct module *module)
{
	unsigned long start = bind_lookup(module, "uplift_bodies");
	unsigned long end = bind_lookup(module, "uplift_bodies_end");
	const struct uplift_bodies_head *head = (void *)start;
	struct binding binding = { .module = module };
	int err;

	if (!start || end < start + sizeof(*head))
		return 0;
	err = bind_kernel(module, head);
	for (binding.bodies = (void *)(head + 1);
	     !err && (unsigned long)(binding.bodies + 1) <= end; binding.bodies++)
		err = bind_tables(&binding);
	return err;
}

static int bind_notify(struct notifier_block *nb, unsigned long state, void *data)
{
	return state == MODULE_STATE_COMING ? notifier_from_errno(bind_module(data)) : NOTIFY_DONE;
}

/* Before jump labels (priority 1) and static calls (0). */
static struct notifier_block bind_nb = {
	.notifier_call	= bind_notify,
	.priority	= INT_MAX,
};

/**
 * uplift_bind_init - bind the bodies of modules that come from now on
 *
 * Return: 0; -EOPNOTSUPP where bodies of object code cannot be bound, which
 * leaves all else as it is.
 */
int uplift_bind_init(void)
{
	unsigned long poke, lookup, mutex;

	if (!IS_ENABLED(CONFIG_X86_64))
		return -EOPNOTSUPP;
	if (uplift_resolve("text_poke", &poke) || uplift_resolve("text_mutex", &mutex) ||
	    uplift_resolve("kallsyms_lookup_name", &lookup) || uplift_resolve("_text", &image_text))
		return -EOPNOTSUPP;
	static_call_update(uplift_text_poke, (typeof(poke_unknown) *)poke);
	static_call_update(uplift_kallsyms_lookup, (typeof(lookup_unknown) *)lookup);
	poke_mutex = (struct mutex *)mutex;
	return register_module_notifier(&bind_nb);
}

/**
 * uplift_bind_exit - bind no longer
 */
void uplift_bind_exit(void)
{
	if (poke_mutex)
		unregister_module_notifier(&bind_nb);
}
