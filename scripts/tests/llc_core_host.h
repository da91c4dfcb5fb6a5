/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of the kernel as llc_core.c and llc_text.c need, in user space: what
 * is included as <linux/...> there is this file. With llc_core_host.c.
 */
#ifndef _LLC_CORE_HOST_H
#define _LLC_CORE_HOST_H

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned char u8;
typedef int s32;
typedef unsigned int u32;
typedef long long s64;
typedef unsigned long long u64;

#define BITS_PER_LONG		(CHAR_BIT * sizeof(long))
#define BITS_TO_LONGS(nr)	(((nr) + BITS_PER_LONG - 1) / BITS_PER_LONG)
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define GFP_KERNEL		0

static inline void *kvcalloc(size_t nr, size_t size, int flags)
{
	return calloc(nr, size);
}

static inline void *kvmalloc(size_t size, int flags)
{
	return malloc(size);
}

static inline void kvfree(void *memory)
{
	free(memory);
}

static inline void sort(void *base, size_t nr, size_t size,
			int (*compare)(const void *a, const void *b), void *swap)
{
	qsort(base, nr, size, compare);
}

static inline bool test_bit(unsigned int nr, const unsigned long *bits)
{
	return bits[nr / BITS_PER_LONG] >> (nr % BITS_PER_LONG) & 1;
}

static inline void __set_bit(unsigned int nr, unsigned long *bits)
{
	bits[nr / BITS_PER_LONG] |= 1UL << (nr % BITS_PER_LONG);
}

static inline void __clear_bit(unsigned int nr, unsigned long *bits)
{
	bits[nr / BITS_PER_LONG] &= ~(1UL << (nr % BITS_PER_LONG));
}

static inline void bitmap_zero(unsigned long *bits, unsigned int nr)
{
	memset(bits, 0, BITS_TO_LONGS(nr) * sizeof(long));
}

static inline bool bitmap_equal(const unsigned long *a, const unsigned long *b, unsigned int nr)
{
	return !memcmp(a, b, BITS_TO_LONGS(nr) * sizeof(long));
}

static inline void bitmap_or(unsigned long *to, const unsigned long *a, const unsigned long *b,
			     unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < BITS_TO_LONGS(nr); i++)
		to[i] = a[i] | b[i];
}

static inline unsigned int find_next_bit(const unsigned long *bits, unsigned int nr,
					 unsigned int at)
{
	while (at < nr && !test_bit(at, bits))
		at += at % BITS_PER_LONG || bits[at / BITS_PER_LONG] ? 1 : BITS_PER_LONG;
	return at < nr ? at : nr;
}

static inline unsigned int find_first_bit(const unsigned long *bits, unsigned int nr)
{
	return find_next_bit(bits, nr, 0);
}

static inline bool bitmap_empty(const unsigned long *bits, unsigned int nr)
{
	return find_first_bit(bits, nr) >= nr;
}

/* With the kernel's %*pbl, which takes a width and a bitmap. */
int kernel_vsnprintf(char *to, size_t size, const char *fmt, va_list args);
#define vsnprintf kernel_vsnprintf

#endif /* _LLC_CORE_HOST_H */
