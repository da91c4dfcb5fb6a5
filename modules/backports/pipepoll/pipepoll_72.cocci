// SPDX-License-Identifier: GPL-2.0-only
// The same for the form of Linux 7.2, which writes to the pipe the first time only.

@@
identifier pipe;
@@

- if (unlikely(!READ_ONCE(pipe->poll_usage)))
+ if ((filp->f_mode & FMODE_READ) && wait && (wait->_key & EPOLLET) && unlikely(!READ_ONCE(pipe->poll_usage)))
	WRITE_ONCE(pipe->poll_usage, true);
