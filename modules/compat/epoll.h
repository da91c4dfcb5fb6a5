/* SPDX-License-Identifier: GPL-2.0 */
/* Does the kernel deliver an event of epoll's by two user accesses, or by one? */
#ifndef _UPLIFT_COMPAT_EPOLL_H
#define _UPLIFT_COMPAT_EPOLL_H

#include <linux/kernel.h>
#include <linux/uaccess.h>

#include "uplift.h"

#ifdef CONFIG_X86_64

#define COMPAT_EPOLL_TWO	"an event in two user accesses, a call each"

/*
 * Does @function write the two words of an event with a call each? Those are the
 * old form; scopes are inlined. Or a negative errno.
 */
static inline int compat_epoll_delivers_twice(const char *function)
{
	int words = uplift_calls_in(function, __put_user_nocheck_4);
	int pointers = uplift_calls_in(function, __put_user_nocheck_8);

	if (words < 0 || pointers < 0)
		return min(words, pointers);
	return words && pointers;
}

#else

#define COMPAT_EPOLL_TWO	"an event in two user accesses, as its header has it"

/* Both forms are inlined, so that code does not tell: the kernel's header does. */
#ifdef UPLIFT_HAVE_EPOLL_SCOPED_PUT
#define COMPAT_EPOLL_SCOPED	true
#else
#define COMPAT_EPOLL_SCOPED	false
#endif

static inline int compat_epoll_delivers_twice(const char *function)
{
	return !COMPAT_EPOLL_SCOPED;
}

#endif

#endif /* _UPLIFT_COMPAT_EPOLL_H */
