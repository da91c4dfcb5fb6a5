/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _UPLIFT_LIVEPATCH_H
#define _UPLIFT_LIVEPATCH_H

int uplift_livepatch_enable(const char *function, void *body);
int uplift_livepatch_disable(void);

#endif /* _UPLIFT_LIVEPATCH_H */
