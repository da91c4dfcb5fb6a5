/* SPDX-License-Identifier: GPL-2.0 */
/*
 * arm64: the way from a function's ftrace site to a body.
 */
#ifndef _UPLIFT_ARCH_TRAMPOLINE_H
#define _UPLIFT_ARCH_TRAMPOLINE_H

/**
 * UPLIFT_TRAMPOLINE - define and declare name(), which goes on in body() instead of returning
 * @name: the trampoline's name, a global symbol
 * @body: the function to go to, which finds arguments and stack as the
 *	function's caller left them
 *
 * The site has kept the caller's return address in x9 and has called, so that
 * x30 leads into the function, which must not be returned to. The caller's is put
 * back, and the body is entered by a return, so that the site's call has one.
 * ftrace_caller, by which calls go where the trampoline is out of a branch's
 * reach, leaves both registers the same.
 */
#define UPLIFT_TRAMPOLINE(name, body)				\
	asm(							\
	"	.pushsection .text, \"ax\", @progbits\n"	\
	"	.type	" #name ", %function\n"			\
	"	.globl	" #name "\n"				\
	#name ":\n"						\
	"	hint	34\n"		/* bti c */		\
	"	adrp	x16, " #body "\n"			\
	"	add	x16, x16, :lo12:" #body "\n"		\
	"	mov	x30, x9\n"				\
	"	ret	x16\n"					\
	"	.size	" #name ", .-" #name "\n"		\
	"	.popsection\n");				\
	void name(void)

#endif /* _UPLIFT_ARCH_TRAMPOLINE_H */
