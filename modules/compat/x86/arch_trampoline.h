/* SPDX-License-Identifier: GPL-2.0 */
/*
 * x86: the way from a function's ftrace site to a body, where the site calls.
 */
#ifndef _UPLIFT_ARCH_TRAMPOLINE_H
#define _UPLIFT_ARCH_TRAMPOLINE_H

#include <asm/ibt.h>
#include <asm/linkage.h>
#include <asm/nospec-branch.h>

#ifndef CALL_DEPTH_ACCOUNT
#define CALL_DEPTH_ACCOUNT ""
#endif

/**
 * UPLIFT_TRAMPOLINE - define and declare name(), which goes on in body() instead of returning
 * @name: the trampoline's name, a global symbol
 * @body: the function to go to, which finds arguments and stack as the
 *	function's caller left them
 *
 * The site's call has pushed an address inside the function, which must not be
 * returned to. It is overwritten and returned through: dropping it would leave
 * one call without its return, and then every outer return is mispredicted
 * (measured: 205 cycles instead of 52 for a call 12 frames deep, on Zen 4).
 *
 * With call depth tracking the site's call was not accounted, and the return
 * is; hence CALL_DEPTH_ACCOUNT, which is nothing elsewhere.
 */
#define UPLIFT_TRAMPOLINE(name, body)				\
	asm(							\
	"	.pushsection .text, \"ax\", @progbits\n"	\
	"	.type	" #name ", @function\n"			\
	"	.globl	" #name "\n"				\
	#name ":\n"						\
	ASM_ENDBR						\
	CALL_DEPTH_ACCOUNT "\n"					\
	"	movq	$" #body ", (%rsp)\n"			\
	ASM_RET							\
	"	.size	" #name ", .-" #name "\n"		\
	"	.popsection\n");					\
	void name(void)

#endif /* _UPLIFT_ARCH_TRAMPOLINE_H */
