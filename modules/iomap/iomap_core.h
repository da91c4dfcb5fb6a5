/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Driving iomap_iter() with stub operations: which form has it, and do two
 * implementations do the same? No hook: compiles into KUnit as well.
 */
#ifndef _UPLIFT_IOMAP_CORE_H
#define _UPLIFT_IOMAP_CORE_H

#include <linux/types.h>

struct iomap_iter;
struct iomap_ops;

typedef int iomap_iter_fn(struct iomap_iter *iter, const struct iomap_ops *ops);

/**
 * enum iomap_form - what is left in an iterator that is finished
 * @IOMAP_FORM_UNKNOWN: the function does not iterate
 * @IOMAP_FORM_CLEARS: cleared mappings, which are never read: the fault
 * @IOMAP_FORM_LEAVES: the last mapping
 */
enum iomap_form {
	IOMAP_FORM_UNKNOWN,
	IOMAP_FORM_CLEARS,
	IOMAP_FORM_LEAVES,
};

/**
 * struct iomap_compared - what a comparison came to
 * @scripts: scripts run through both, up to the one that differs
 * @calls: calls of each function
 * @begins: calls of ->iomap_begin()
 * @ends: calls of ->iomap_end()
 * @reuses: finished iterators used again
 * @seed: of the script that differs
 * @what: what differs in it, or NULL
 */
struct iomap_compared {
	unsigned int scripts;
	unsigned long calls;
	unsigned long begins;
	unsigned long ends;
	unsigned long reuses;
	u64 seed;
	const char *what;
};

/**
 * enum iomap_leniency - where two implementations need not be equal
 * @IOMAP_FINISHED: in the mappings that are left in an iterator by a call that
 *	returned 0 or less
 * @IOMAP_REUSE: in what becomes of a finished iterator that is used again
 */
enum iomap_leniency {
	IOMAP_FINISHED	= 1 << 0,
	IOMAP_REUSE	= 1 << 1,
};

enum iomap_form iomap_form_of(iomap_iter_fn *fn);
int iomap_compare(iomap_iter_fn *one, iomap_iter_fn *other, unsigned int leniency,
		  u64 seed, unsigned int scripts, struct iomap_compared *compared);

#endif /* _UPLIFT_IOMAP_CORE_H */
