// SPDX-License-Identifier: GPL-2.0
/*
 * Addresses of kernel symbols that are not exported.
 *
 * kallsyms_on_each_match_symbol() knows them all, duplicates included, but is
 * not exported either: a kprobe, set and removed at once, tells where it is.
 * It is called through a static call, that is directly: on IBT hardware an
 * indirect call would fault, as the kernel seals the landing pads of functions
 * whose address it never takes.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/export.h>
#include <linux/kallsyms.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "core.h"
#include "uplift.h"

typedef int kallsyms_walk_t(int (*fn)(void *data, unsigned long addr),
			    const char *name, void *data);

static int kallsyms_walk_unknown(int (*fn)(void *data, unsigned long addr),
				 const char *name, void *data)
{
	return -EOPNOTSUPP;
}

DEFINE_STATIC_CALL(uplift_kallsyms_walk, kallsyms_walk_unknown);

static unsigned long kallsyms_lookup_unknown(const char *name)
{
	return 0;
}

DEFINE_STATIC_CALL(uplift_kallsyms_lookup, kallsyms_lookup_unknown);

/**
 * uplift_module_symbol - the address of a symbol of a module
 * @name: the symbol, as "module:symbol"
 *
 * Context: process context, may sleep.
 * Return: the address of the first of that name; 0 if there is none, or if the
 * module is not loaded.
 */
unsigned long uplift_module_symbol(const char *name)
{
	return static_call(uplift_kallsyms_lookup)(name);
}

/**
 * uplift_resolve_init - find out how to look up symbols
 *
 * Return: 0 or the negative errno that the kprobe failed with: -ENOENT if the
 * kernel has no kallsyms_on_each_match_symbol().
 */
int uplift_resolve_init(void)
{
	/*
	 * Disabled: only its address is wanted. An armed one patches the kernel's
	 * text, and taking it out again fails, with a warning, for lack of memory.
	 */
	struct kprobe probe = {
		.symbol_name	= "kallsyms_on_each_match_symbol",
		.flags		= KPROBE_FLAG_DISABLED,
	};
	unsigned long lookup;
	int err;

	err = register_kprobe(&probe);
	if (err)
		return err;
	/* Possibly just behind the landing pad, which a direct call may skip. */
	static_call_update(uplift_kallsyms_walk, (kallsyms_walk_t *)probe.addr);
	unregister_kprobe(&probe);
	if (!uplift_resolve("kallsyms_lookup_name", &lookup))
		static_call_update(uplift_kallsyms_lookup,
				   (typeof(kallsyms_lookup_unknown) *)lookup);
	return 0;
}

struct matches {
	unsigned int count;
	unsigned long addr;
};

static int matches_add(void *data, unsigned long addr)
{
	struct matches *matches = data;

	matches->count++;
	matches->addr = addr;
	return 0;
}

/**
 * uplift_resolve - the address of a symbol
 * @name: the symbol; functions and data alike. Of the kernel's own image, or
 *	"module:symbol"
 * @addr: set to its address
 *
 * Context: process context, may sleep.
 * Return: 0; -ENOENT if there is no such symbol, -ENOTUNIQ if there are
 * several, of which none can be told to be the right one.
 */
int uplift_resolve(const char *name, unsigned long *addr)
{
	struct matches matches = {};
	int err;

	if (strchr(name, ':')) {
		*addr = uplift_module_symbol(name);
		return *addr ? 0 : -ENOENT;
	}
	err = static_call(uplift_kallsyms_walk)(matches_add, name, &matches);
	if (err)
		return err;
	if (!matches.count)
		return -ENOENT;
	if (matches.count > 1)
		return -ENOTUNIQ;
	*addr = matches.addr;
	return 0;
}
EXPORT_SYMBOL_GPL(uplift_resolve);

struct wanted {
	unsigned long addr;
	bool found;
};

static int wanted_compare(void *data, unsigned long addr)
{
	struct wanted *wanted = data;

	wanted->found |= addr == wanted->addr;
	return 0;
}

/**
 * uplift_is_symbol - does kallsyms know an address by a name?
 * @name: the symbol, which may have namesakes
 * @addr: the address
 *
 * Context: process context, may sleep.
 * Return: true if it does.
 */
bool uplift_is_symbol(const char *name, unsigned long addr)
{
	struct wanted wanted = { .addr = addr };

	return !static_call(uplift_kallsyms_walk)(wanted_compare, name, &wanted) && wanted.found;
}

/**
 * uplift_bind - the address of a symbol that a body refers to
 * @change: the change's name, for the log
 * @name: the symbol
 * @addr: set to its address
 *
 * Context: process context, may sleep.
 * Return: 0, or -ENOEXEC after a line in the log.
 */
int uplift_bind(const char *change, const char *name, unsigned long *addr)
{
	int err = uplift_resolve(name, addr);

	if (!err)
		return 0;
	pr_err("%s: unsupported: %s symbol %s in this kernel (%pe)\n", change,
	       err == -ENOTUNIQ ? "more than one" : "no", name, ERR_PTR(err));
	return -ENOEXEC;
}
EXPORT_SYMBOL_GPL(uplift_bind);

/**
 * uplift_function_size - the size of a function
 * @addr: where it begins
 *
 * kallsyms tells in words only: name+0x0/0x120.
 *
 * Context: any.
 * Return: bytes; 0 if kallsyms knows no function there.
 */
unsigned long uplift_function_size(unsigned long addr)
{
	char text[KSYM_SYMBOL_LEN];
	unsigned long size;
	char *slash;

	sprint_symbol(text, addr);
	slash = strrchr(text, '/');
	if (!slash)
		return 0;
	slash[1 + strcspn(slash + 1, " ")] = '\0';
	return kstrtoul(slash + 1, 16, &size) ? 0 : size;
}

/* With call depth tracking calls go to a thunk in the padding before. */
#define CALL_PADDING	16

/**
 * uplift_calls_in - count the direct calls that a function makes to another
 * @function: name of a function of the kernel's image
 * @callee: the function called
 *
 * Looks at the code, byte by byte, as it runs. x86 only.
 *
 * Context: process context.
 * Return: the number; -ENOENT, -ENOTUNIQ as uplift_resolve(), -EOPNOTSUPP if
 * the code cannot be read.
 */
int uplift_calls_in(const char *function, const void *callee)
{
	unsigned long addr, size, at, target;
	int err, calls = 0;
	s32 displacement;
	u8 code[5];

	if (!IS_ENABLED(CONFIG_X86_64))
		return -EOPNOTSUPP;
	err = uplift_resolve(function, &addr);
	if (err)
		return err;
	size = uplift_function_size(addr);
	if (size < sizeof(code))
		return -EOPNOTSUPP;

	for (at = addr; at <= addr + size - sizeof(code); at++) {
		if (copy_from_kernel_nofault(code, (void *)at, sizeof(code)))
			return -EOPNOTSUPP;
		memcpy(&displacement, code + 1, sizeof(displacement));
		target = at + sizeof(code) + displacement;
		if (code[0] == 0xe8 && (unsigned long)callee - target <= CALL_PADDING)
			calls++;
	}
	return calls;
}
EXPORT_SYMBOL_GPL(uplift_calls_in);
