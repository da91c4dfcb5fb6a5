/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _UPLIFT_LIVEPATCH_H
#define _UPLIFT_LIVEPATCH_H

#include <linux/types.h>

struct uplift_function;

int uplift_livepatch_enable(const struct uplift_function *functions, unsigned int nr);
int uplift_livepatch_disable(void);
bool uplift_livepatch_live(void);

#endif /* _UPLIFT_LIVEPATCH_H */
