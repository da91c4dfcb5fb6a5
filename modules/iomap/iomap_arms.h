/* SPDX-License-Identifier: GPL-2.0 */
/* The bodies for iomap_iter(), where the kernel at hand is such that there are any. */
#ifndef _UPLIFT_IOMAP_ARMS_H
#define _UPLIFT_IOMAP_ARMS_H

#include "iomap_core.h"
#include "redirect.h"

extern struct uplift_redirect iomap_redirect;

void iomap_arms_bind(void);
iomap_iter_fn *iomap_arms_body(enum uplift_arm_id arm);
const char *iomap_arms_reuse(void);

#endif /* _UPLIFT_IOMAP_ARMS_H */
