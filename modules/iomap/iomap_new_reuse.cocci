// SPDX-License-Identifier: GPL-2.0-only
// As iomap_new.cocci, for a kernel where iomap_zero_range() goes on with an
// iterator that is finished: it has to find it cleared.

@@
identifier iter;
@@

- memset(&iter->iomap, 0, sizeof(iter->iomap));
- memset(&iter->srcmap, 0, sizeof(iter->srcmap));

@@
identifier iter, ret;
@@

  iomap_iter_reset_iomap(iter);
+ if (ret <= 0 && !(iter->flags & IOMAP_ZERO))
+ 	return ret;
+ memset(&iter->iomap, 0, sizeof(iter->iomap));
+ memset(&iter->srcmap, 0, sizeof(iter->srcmap));
  if (ret <= 0)
  	return ret;
