// SPDX-License-Identifier: GPL-2.0
/*
 * Has gcov's counts written when UML ends. Of a program that is linked as others
 * are gcc sees to that itself, in a section that UML's linker script does not
 * know.
 */
#include <init.h>

void __gcov_dump(void);

static void coverage_dump(void)
{
	__gcov_dump();
}

__uml_exitcall(coverage_dump);
