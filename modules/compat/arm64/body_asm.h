/* SPDX-License-Identifier: GPL-2.0 */
/* arm64: what bodies of object code, which are assembly, need of the kernel's headers. */
#ifndef _UPLIFT_BODY_ASM_H
#define _UPLIFT_BODY_ASM_H

#include <linux/linkage.h>
#include <asm/alternative.h>
#include <asm/assembler.h>

#include "count.S"

#endif /* _UPLIFT_BODY_ASM_H */
