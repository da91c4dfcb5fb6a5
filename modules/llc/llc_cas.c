// SPDX-License-Identifier: GPL-2.0
/*
 * Cache-aware scheduling, where the kernel has it (since 7.2): is it on, and
 * what has it decided? It shows that nowhere itself.
 */
#include <linux/jump_label.h>

#include "llc_cas.h"
#include "uplift.h"

/* Whether it is on: hardware with several domains, and not switched off. */
static struct static_key *kernel_active;

/**
 * llc_cas_init - find what is not exported
 *
 * Context: process context, may sleep.
 */
void llc_cas_init(void)
{
	unsigned long addr;

	if (!uplift_resolve("sched_cache_active", &addr))
		kernel_active = (struct static_key *)addr;
}

/**
 * llc_cas_state - does the kernel have it, and is it on?
 *
 * Return: "absent", "off" or "on".
 */
const char *llc_cas_state(void)
{
	if (!kernel_active)
		return "absent";
	return static_key_count(kernel_active) > 0 ? "on" : "off";
}
