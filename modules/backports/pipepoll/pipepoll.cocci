// SPDX-License-Identifier: GPL-2.0-only
// Only who polls to read, and edge-triggered, has every write wake him. As Linux 7.3 does.

@@
identifier pipe;
@@

- WRITE_ONCE(pipe->poll_usage, true);
+ if ((filp->f_mode & FMODE_READ) && wait && (wait->_key & EPOLLET) && unlikely(!READ_ONCE(pipe->poll_usage)))
+	WRITE_ONCE(pipe->poll_usage, true);
