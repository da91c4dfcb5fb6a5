/* SPDX-License-Identifier: GPL-2.0 */
/* x86: what bodies of object code, which are assembly, need of the kernel's headers. */
#ifndef _UPLIFT_BODY_ASM_H
#define _UPLIFT_BODY_ASM_H

#include <linux/linkage.h>
#include <asm/ibt.h>
#include <asm/nospec-branch.h>

/* The site's call was not accounted, and the return is: see UPLIFT_TRAMPOLINE(). */
#if defined(CONFIG_MITIGATION_CALL_DEPTH_TRACKING) || defined(CONFIG_CALL_DEPTH_TRACKING)
#define UPLIFT_CALL_DEPTH	CALL_DEPTH_ACCOUNT
#else
#define UPLIFT_CALL_DEPTH
#endif

/* Nothing is to be speculated on behind a jump that is always taken. */
#if defined(CONFIG_MITIGATION_SLS) || defined(CONFIG_SLS)
#define UPLIFT_SLS		int3
#else
#define UPLIFT_SLS
#endif

#endif /* _UPLIFT_BODY_ASM_H */
