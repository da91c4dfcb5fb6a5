/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Add one to a counter of this CPU. Atomic, as a task can be moved to another CPU
 * between the instructions: then it counts on the CPU that it came from. By one instruction
 * where the CPU has it, else by a loop beside the code. Clobbers x10, x16, x17, which
 * nothing is in at the beginning or at the end of a function.
 *
 * @l: l for a release, which leaving needs: a count of leaving must not be seen
 * by another CPU before that of entering
 */
	.macro	uplift_count counter, l
	adrp	x17, \counter
	add	x17, x17, :lo12:\counter
	get_this_cpu_offset x16
	add	x17, x17, x16
alternative_if_not ARM64_HAS_LSE_ATOMICS
	b	.Luplift_loop\@
alternative_else
	mov	x16, #1
alternative_endif
	.arch_extension lse
	stadd\l	x16, [x17]
.Luplift_done\@:
	.subsection 1
.Luplift_loop\@:
	ldxr	x16, [x17]
	add	x16, x16, #1
	st\l\()xr	w10, x16, [x17]
	cbnz	w10, .Luplift_loop\@
	b	.Luplift_done\@
	.previous
	.endm

	.macro	uplift_count_enter counter
	uplift_count \counter,
	.endm

	.macro	uplift_count_leave counter
	uplift_count \counter, l
	.endm
