/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A change, as its module registers it: what is particular to it, which the
 * core drives.
 */
#ifndef _UPLIFT_CHANGE_H
#define _UPLIFT_CHANGE_H

#include <linux/device/driver.h>
#include <linux/types.h>

#include "redirect.h"
#include "uplift.h"

struct dentry;
struct module;

/**
 * struct uplift_change - one change
 * @name: its directory below /sys/kernel/debug/uplift/
 * @owner: its module, whose name begins its lines in the log
 * @btf_size: length of the BTF of the kernel that it was built for, bytes; 0 if
 *	it does not depend on private layouts
 * @btf_crc: its CRC-32
 * @identical: how many of the functions that it redirects were shown, when it was
 *	built, to be the kernel's own code in the arm "null"; may be NULL
 * @unusable: why no bodies were made although the kernel lacks the change: what the
 *	compiler makes of the source is not the kernel's own code; else NULL
 * @method: the word for the method of redirecting, "ftrace-direct" or
 *	"livepatch"; NULL if the former is all that there is
 * @redirect: what it redirects; NULL if nothing
 * @native: it loads where the kernel has the change, too; @probe may set it. A
 *	redirect with an arm that goes beyond the change does anyway
 * @ready: for the line in the log, once it is there; a redirect has its own
 * @probe: give the verdict: kind, evidence, and why if it refuses. Returns 0,
 *	or a negative errno after a line in the log
 * @check: hold the bodies, which are bound, against the kernel's functions; may
 *	be NULL. Returns as @probe
 * @start: set up what is not a redirect; may be NULL. Returns as @probe
 * @show: put further files into the change's directory; may be NULL
 * @stop: undo @start; may be NULL
 * @verdict: the verdict
 * @dir: the directory, set by the core; an error pointer without debugfs
 *
 * They are called in this order.
 */
struct uplift_change {
	const char *name;
	struct module *owner;
	size_t btf_size;
	u32 btf_crc;
	const char *identical;
	const char *unusable;
	char **method;
	struct uplift_redirect *redirect;
	bool native;
	const char *ready;

	int (*probe)(struct uplift_change *change);
	int (*check)(struct uplift_change *change);
	int (*start)(struct uplift_change *change);
	void (*show)(struct dentry *dir);
	void (*stop)(struct uplift_change *change);

	struct uplift_verdict verdict;
	struct dentry *dir;
};

int uplift_change_register(struct uplift_change *change);
void uplift_change_unregister(struct uplift_change *change);

/* Of a module that does nothing else when it is loaded and unloaded. */
#define module_uplift_change(change) \
	module_driver(change, uplift_change_register, uplift_change_unregister)

#endif /* _UPLIFT_CHANGE_H */
