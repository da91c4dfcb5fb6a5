// SPDX-License-Identifier: GPL-2.0-only
// One user-access scope per event instead of two. As Linux 7.0 does.

@@
expression revents, data, uevent;
@@

- epoll_put_uevent(revents, data, uevent)
+ uplift_put_uevent(revents, data, uevent)
