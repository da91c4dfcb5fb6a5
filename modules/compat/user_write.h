/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A scope in which user memory is written whose range was checked already, with
 * nothing that __put_user() does not have. Included by copies of the kernel's sources.
 */
#ifndef _UPLIFT_COMPAT_USER_WRITE_H
#define _UPLIFT_COMPAT_USER_WRITE_H

#include <linux/types.h>
#include <linux/uaccess.h>

#if defined(__uaccess_begin)

/* x86: user_access_begin() would check the range, and older ones have a speculation barrier. */
static __always_inline bool compat_user_write_begin(void __user *to, size_t size)
{
	__uaccess_begin();
	return true;
}

static __always_inline void compat_user_write_end(void)
{
	__uaccess_end();
}

#else

/* Elsewhere __put_user() may check the range as well, as arm64's does: so must this. */
static __always_inline bool compat_user_write_begin(void __user *to, size_t size)
{
	return user_write_access_begin(to, size);
}

static __always_inline void compat_user_write_end(void)
{
	user_write_access_end();
}

#endif

#endif /* _UPLIFT_COMPAT_USER_WRITE_H */
