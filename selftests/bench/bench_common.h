/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What all measuring programs share: markers for a plugin, numbers of the command
 * line.
 */
#ifndef _BENCH_COMMON_H
#define _BENCH_COMMON_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * A no-op that says what it marks: on x86 one with an address, on arm64 two moves
 * into the register that is always zero. A plugin recognises the bytes when it
 * translates them.
 */
#define MARK_START	0x75706c01
#define MARK_OP		0x75706c02
#define MARK_END	0x75706c03
#if defined(__x86_64__)
#define marker(what)	({ asm volatile("nopl %c0(%%rax)" : : "i" (what) : "memory"); })
#elif defined(__aarch64__)
#define marker(what)	({ enum { mark_ = (what) };					\
	asm volatile("movz xzr, %0\n\tmovz xzr, %1, lsl #16" : :			\
		     "i" (mark_ & 0xffff), "i" (mark_ >> 16) : "memory"); })
#else
#define marker(what)	((void)(what))
#endif

/* All of @text as a number from @least to @most; anything else ends the program with its usage. */
static long bench_number(const char *text, long least, long most, void (*die_usage)(int status))
{
	char *end;
	long number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (errno || end == text || *end || number < least || number > most) {
		fprintf(stderr, "'%s' is no number from %ld to %ld\n", text, least, most);
		die_usage(2);
	}
	return number;
}

#endif /* _BENCH_COMMON_H */
