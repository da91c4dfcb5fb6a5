/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Delivering events to user space with fewer user-access scopes.
 *
 * A scope opens user memory to the kernel (stac on x86) and closes it (clac).
 * The buffer's range was checked when epoll_wait() was entered, so that a scope
 * here needs neither the range check nor the speculation barrier that
 * user_access_begin() brings along on older x86 kernels: no more than
 * __put_user(), which it takes the place of, has.
 */
#ifndef _UPLIFT_EPOLL_PUT_H
#define _UPLIFT_EPOLL_PUT_H

#include <linux/eventpoll.h>
#include <linux/uaccess.h>

#include "../compat/user_write.h"

/**
 * uplift_put_uevent - deliver one event in one scope
 * @revents: what is ready
 * @data: the user's word for the file
 * @uevent: where to, checked by access_ok()
 *
 * As epoll_put_uevent() since 7.0.
 *
 * Context: process context; may fault and sleep.
 * Return: where the next event goes to, or NULL after a fault.
 */
static __always_inline struct epoll_event __user *
uplift_put_uevent(__poll_t revents, __u64 data, struct epoll_event __user *uevent)
{
	if (!compat_user_write_begin(uevent, sizeof(*uevent)))
		return NULL;
	unsafe_put_user((__force __u32)revents, (__u32 __user *)&uevent->events, efault);
	unsafe_put_user(data, &uevent->data, efault);
	compat_user_write_end();
	return uevent + 1;

efault:
	compat_user_write_end();
	return NULL;
}

#endif /* _UPLIFT_EPOLL_PUT_H */
