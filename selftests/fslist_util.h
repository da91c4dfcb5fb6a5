/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs of the filesystem list's tests share: its files, and the
 * counters of uplift_fslist.
 */
#ifndef _FSLIST_UTIL_H
#define _FSLIST_UTIL_H

#include "test_util.h"

#define FSLIST_NATIVE	"/proc/filesystems"
#define FSLIST_CACHED	"/proc/filesystems_cached"
#define FSLIST_STATS	"/sys/kernel/debug/uplift/fslist/stats"

/* Larger than any list of filesystems: reads of this size are whole reads. */
#define FSLIST_MAX	16384

/* One counter of uplift_fslist, or -1 where there is none. */
static inline long long fslist_stat(const char *key)
{
	const char *value;
	char text[1024];

	read_text(FSLIST_STATS, text, sizeof(text));
	value = value_of(text, key, ' ');
	return value ? strtoll(value, NULL, 10) : -1;
}

#endif /* _FSLIST_UTIL_H */
