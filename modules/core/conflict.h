/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _UPLIFT_CONFLICT_H
#define _UPLIFT_CONFLICT_H

#include <linux/types.h>

void uplift_conflict_init(void);
unsigned long uplift_ftrace_site(unsigned long addr);
bool uplift_ftrace_on(void);
bool uplift_live_patched(const char *function, char *name, size_t size);
bool uplift_probed(unsigned long addr);
bool uplift_conflict(const char *function, unsigned long site, char *name, size_t size);

#endif /* _UPLIFT_CONFLICT_H */
