/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _UPLIFT_LIVEPATCH_H
#define _UPLIFT_LIVEPATCH_H

#include <linux/types.h>

int uplift_livepatch_enable(const char *function, void *body);
int uplift_livepatch_disable(void);
bool uplift_livepatch_live(void);

#endif /* _UPLIFT_LIVEPATCH_H */
