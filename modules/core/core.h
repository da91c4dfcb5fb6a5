/* SPDX-License-Identifier: GPL-2.0 */
/* Between the files of uplift.ko. */
#ifndef _UPLIFT_CORE_H
#define _UPLIFT_CORE_H

#include <linux/types.h>

struct dentry;

extern struct dentry *uplift_debugfs;

int uplift_resolve_init(void);
bool uplift_is_symbol(const char *name, unsigned long addr);
unsigned long uplift_module_symbol(const char *name);
unsigned long uplift_function_size(unsigned long addr);
int uplift_bind_init(void);
void uplift_bind_exit(void);

#endif /* _UPLIFT_CORE_H */
