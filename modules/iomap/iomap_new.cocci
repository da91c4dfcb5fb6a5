// SPDX-License-Identifier: GPL-2.0-only
// Clear the mappings only where there will be another: nobody reads those of an
// iterator that is finished. As Linux 7.2 does.

@@
identifier iter;
@@

- memset(&iter->iomap, 0, sizeof(iter->iomap));
- memset(&iter->srcmap, 0, sizeof(iter->srcmap));

@@
identifier iter, ret;
@@

  iomap_iter_reset_iomap(iter);
  if (ret <= 0)
  	return ret;
+ memset(&iter->iomap, 0, sizeof(iter->iomap));
+ memset(&iter->srcmap, 0, sizeof(iter->srcmap));
