/* SPDX-License-Identifier: GPL-2.0 */
/* procfs differences between kernels, and between modules and built-in code. */
#ifndef _UPLIFT_COMPAT_PROC_H
#define _UPLIFT_COMPAT_PROC_H

#include <linux/bits.h>

/*
 * PROC_ENTRY_PERMANENT is 0 when compiled for a module, so that no module
 * claims it by mistake: a permanent entry is never removed, and procfs counts
 * no users of it. A module that pins itself may: procfs, which is built in,
 * looks at bit 0 of proc_flags. The same in all trees from 5.7 to 7.3. It can
 * go when the kernel offers permanence to pinned modules.
 */
#define COMPAT_PROC_ENTRY_PERMANENT	BIT(0)

#endif /* _UPLIFT_COMPAT_PROC_H */
