// SPDX-License-Identifier: GPL-2.0
/*
 * Is a module that is loaded the one that bodies were made of? Few kernels keep a
 * module's build id at hand (CONFIG_STACKTRACE_BUILD_ID); its note is loaded with
 * the data that is only read, and is looked for there.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>

#include "core.h"
#include "module_id.h"
#include "uplift.h"

static bool module_has(const struct module *module, const u8 *build_id)
{
#ifdef UPLIFT_HAVE_MODULE_MEMORY
	const struct module_memory *memory = &module->mem[MOD_RODATA];

	return uplift_find_note(memory->base, memory->size, build_id);
#else
	const struct module_layout *layout = &module->core_layout;

	return uplift_find_note(layout->base + layout->text_size,
				layout->ro_size - layout->text_size, build_id);
#endif
}

/**
 * uplift_module_check - is a module the one that bodies were made of?
 * @id: its name and build id
 *
 * Context: process context, may sleep.
 * Return: 0; after a line in the log -ENOENT if it is not loaded, -ENOEXEC if it
 * is another build.
 */
int uplift_module_check(const struct uplift_module_id *id)
{
	struct module *module = uplift_module_get(id->name);
	bool same;

	if (!module) {
		pr_err("the module %s is not loaded\n", id->name);
		return -ENOENT;
	}
	same = module_has(module, id->build_id);
	module_put(module);
	if (same)
		return 0;
	pr_err("made for another module %s, with build id %*phN: make it for this one\n",
	       id->name, UPLIFT_BUILD_ID_SIZE, id->build_id);
	return -ENOEXEC;
}
