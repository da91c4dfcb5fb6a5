/* SPDX-License-Identifier: GPL-2.0 */
/* Between the files of uplift.ko. */
#ifndef _UPLIFT_CORE_H
#define _UPLIFT_CORE_H

struct dentry;

extern struct dentry *uplift_debugfs;

int uplift_resolve_init(void);

#endif /* _UPLIFT_CORE_H */
