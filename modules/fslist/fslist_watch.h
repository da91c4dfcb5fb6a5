/* SPDX-License-Identifier: GPL-2.0 */
/* Watching the kernel's filesystem list from outside. */
#ifndef _UPLIFT_FSLIST_WATCH_H
#define _UPLIFT_FSLIST_WATCH_H

struct fslist_cache;
struct uplift_verdict;

int fslist_watch_start(struct fslist_cache *cache, struct uplift_verdict *verdict);
void fslist_watch_stop(void);
void fslist_watch_settle(void *private);

#endif /* _UPLIFT_FSLIST_WATCH_H */
