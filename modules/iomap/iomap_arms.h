/* SPDX-License-Identifier: GPL-2.0 */
/* The bodies for iomap_iter(), where the kernel at hand is such that there are any. */
#ifndef _UPLIFT_IOMAP_ARMS_H
#define _UPLIFT_IOMAP_ARMS_H

#include "iomap_core.h"
#include "redirect.h"

/**
 * struct iomap_arms - the bodies
 * @null: the kernel's own
 * @new: the change
 * @livepatch: how to redirect to them by livepatch
 */
struct iomap_arms {
	iomap_iter_fn *null;
	iomap_iter_fn *new;
	const struct uplift_dispatch *livepatch;
};

const struct iomap_arms *iomap_arms(void);
int iomap_arms_bind(struct uplift_body *bodies);
const char *iomap_arms_reuse(void);

#endif /* _UPLIFT_IOMAP_ARMS_H */
