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
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "arch_poke.h"
#include "bind.h"
#include "core.h"
#include "uplift.h"

static struct module *find_unknown(const char *name)
{
	return NULL;
}

DEFINE_STATIC_CALL(uplift_find_module, find_unknown);

static unsigned long image_text;
static bool can_bind;

/* Tables of a module that is coming; or of the kernel itself, without a module. */
struct binding {
	const struct module *module;
	const struct uplift_bodies *bodies;
	unsigned long *address;		/* of each symbol */
};

/* Another module that a module's bodies refer to: it cannot go before them. */
struct pin {
	struct list_head list;
	const struct module *owner;
	struct module *held;
};

static const char *bind_whose(const struct module *module)
{
	return module ? module->name : "vmlinux";
}

static DEFINE_MUTEX(pins_lock);
static LIST_HEAD(pins);

static void bind_unpin(const struct module *owner)
{
	struct pin *pin, *next;

	mutex_lock(&pins_lock);
	list_for_each_entry_safe(pin, next, &pins, list) {
		if (pin->owner != owner)
			continue;
		module_put(pin->held);
		list_del(&pin->list);
		kfree(pin);
	}
	mutex_unlock(&pins_lock);
}

/* Modules are looked up with preemption off, or since 6.15 under RCU. */
static struct module *bind_get(const char *name)
{
	struct module *module;

	rcu_read_lock();
	preempt_disable();
	module = static_call(uplift_find_module)(name);
	if (module && !try_module_get(module))
		module = NULL;
	preempt_enable();
	rcu_read_unlock();
	return module;
}

static int bind_pin(const struct module *owner, const char *symbol)
{
	char name[MODULE_NAME_LEN];
	struct pin *pin;

	strscpy(name, symbol, min_t(size_t, strchr(symbol, ':') - symbol + 1, sizeof(name)));
	mutex_lock(&pins_lock);
	list_for_each_entry(pin, &pins, list) {
		if (pin->owner == owner && !strcmp(pin->held->name, name)) {
			mutex_unlock(&pins_lock);
			return 0;
		}
	}
	pin = kzalloc(sizeof(*pin), GFP_KERNEL);
	if (pin) {
		pin->owner = owner;
		pin->held = bind_get(name);
		if (pin->held)
			list_add(&pin->list, &pins);
	}
	mutex_unlock(&pins_lock);
	if (!pin)
		return -ENOMEM;
	if (pin->held)
		return 0;
	kfree(pin);
	pr_err("%s: the module %s is not loaded, whose functions it replaces or calls\n",
	       owner->name, name);
	return -ENOENT;
}

/* "module:symbol", and the distance from it. */
static int bind_of_module(struct binding *binding, u32 i)
{
	const struct uplift_symbol *symbol = &binding->bodies->symbols[i];
	int err = bind_pin(binding->module, symbol->name);
	unsigned long address;

	if (err)
		return err;
	address = uplift_module_symbol(symbol->name);
	if (!address) {
		pr_err("%s: no symbol %s\n", binding->module->name, symbol->name);
		return -ENOEXEC;
	}
	binding->address[i] = address + symbol->value;
	return 0;
}

/* Without the image nothing is known but its name. */
static int bind_by_name(struct binding *binding, u32 i)
{
	const char *name = binding->bodies->symbols[i].name;
	int err = uplift_resolve(name, &binding->address[i]);

	if (!err)
		return 0;
	pr_err("%s: the kernel has %s symbol %s: make the module with its image\n",
	       bind_whose(binding->module), err == -ENOTUNIQ ? "more than one" : "no", name);
	return -ENOEXEC;
}

static int bind_symbol(struct binding *binding, u32 i)
{
	const struct uplift_symbol *symbol = &binding->bodies->symbols[i];
	unsigned long address = symbol->value;

	if (symbol->origin == UPLIFT_SYMBOL_IN_MODULE)
		return bind_of_module(binding, i);
	if (symbol->origin == UPLIFT_SYMBOL_BY_NAME)
		return bind_by_name(binding, i);
	if (symbol->origin == UPLIFT_SYMBOL_IN_IMAGE)
		address += image_text;
	if (symbol->name && !uplift_is_symbol(symbol->name, address)) {
		pr_err("%s: %s is not where it was in the kernel that the bodies were made for\n",
		       bind_whose(binding->module), symbol->name);
		return -ENOEXEC;
	}
	binding->address[i] = address;
	return 0;
}

static bool bind_inside(const struct module *module, unsigned long place, unsigned int size)
{
	if (!module)
		return true;	/* the linker has seen to it */
	return within_module(place, module) && within_module(place + size - 1, module);
}

static int bind_fix(const struct binding *binding, const struct uplift_fix *fix)
{
	unsigned long place = uplift_fix_place(binding->bodies, fix);
	const struct uplift_symbol *symbol = &binding->bodies->symbols[fix->symbol];
	const char *name = symbol->name ?: "a constant";
	unsigned int size = uplift_fix_size(fix);
	u64 value = 0, written = 0;
	int err;

	if (!bind_inside(binding->module, place, size)) {
		pr_err("%s: a reference to %s would be outside of the module\n",
		       bind_whose(binding->module), name);
		return -ENOEXEC;
	}
	err = copy_from_kernel_nofault(&value, (void *)place, size) ?:
	      uplift_fix_value(fix, place, binding->address[fix->symbol], &value);
	if (err) {
		pr_err("%s: %s is out of reach\n", bind_whose(binding->module), name);
		return -ENOEXEC;
	}
	arch_poke((void *)place, &value, size);
	if (copy_from_kernel_nofault(&written, (void *)place, size) ||
	    memcmp(&written, &value, size)) {
		pr_err("%s: a reference to %s could not be written\n",
		       bind_whose(binding->module), name);
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
		       bind_whose(binding->module));
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

	if (!memchr_inv(head->build_id, 0, sizeof(head->build_id)))
		return 0;
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
	return uplift_module_symbol(name);
}

static int bind_all(struct binding *binding, const struct uplift_bodies_head *head,
		    const void *end)
{
	int err = 0;

	for (binding->bodies = (void *)(head + 1);
	     !err && (void *)(binding->bodies + 1) <= end; binding->bodies++)
		err = bind_tables(binding);
	return err;
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
	err = bind_kernel(module, head) ?: bind_all(&binding, head, (void *)end);
	if (err)
		bind_unpin(module);
	return err;
}

static int bind_notify(struct notifier_block *nb, unsigned long state, void *data)
{
	if (state == MODULE_STATE_COMING)
		return notifier_from_errno(bind_module(data));
	if (state == MODULE_STATE_GOING)
		bind_unpin(data);
	return NOTIFY_DONE;
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
	unsigned long find;
	int err;

	if (uplift_resolve("find_module", &find) || uplift_resolve("_text", &image_text))
		return -EOPNOTSUPP;
	err = arch_poke_init();
	if (err)
		return err;
	static_call_update(uplift_find_module, (typeof(find_unknown) *)find);
	err = register_module_notifier(&bind_nb);
	can_bind = !err;
	return err;
}

/**
 * uplift_module_get - find a module, and hold it
 * @name: its name
 *
 * Context: process context.
 * Return: the module, for module_put(); NULL if it is not loaded, or going.
 */
struct module *uplift_module_get(const char *name)
{
	return bind_get(name);
}
EXPORT_SYMBOL_GPL(uplift_module_get);

/**
 * uplift_bind_builtin - bind bodies that are a part of the kernel itself
 * @head: what is in front of their tables
 * @end: where these end
 *
 * Context: process context, may sleep; before any of the bodies runs.
 * Return: 0, or a negative errno after a line in the log.
 */
int uplift_bind_builtin(const struct uplift_bodies_head *head, const void *end)
{
	struct binding binding = {};

	return can_bind ? bind_all(&binding, head, end) : -EOPNOTSUPP;
}

/**
 * uplift_bind_exit - bind no longer
 */
void uplift_bind_exit(void)
{
	if (can_bind)
		unregister_module_notifier(&bind_nb);
}
