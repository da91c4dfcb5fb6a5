/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Arms of a redirected function, /sys/kernel/debug/uplift/CHANGE/, for test
 * programs. Where the module is not loaded there is one arm, off: the kernel
 * as it stands, which is what the others are compared with.
 */
#ifndef _ARM_UTIL_H
#define _ARM_UTIL_H

#include "test_util.h"

#define UPLIFT_DEBUG	"/sys/kernel/debug/uplift"

/* Where @change has a file of that name in debugfs. */
static inline const char *arm_path(const char *change, const char *file, char *path, size_t size)
{
	snprintf(path, size, UPLIFT_DEBUG "/%s/%s", change, file);
	return path;
}

/* Reads @change's @file into @buf as a string; returns its length or -errno. */
static inline ssize_t arm_read(const char *change, const char *file, char *buf, size_t size)
{
	char path[128];

	return read_text(arm_path(change, file, path, sizeof(path)), buf, size);
}

/* Writes @len bytes to @change's arm file in one call; returns 0 or -errno. */
static inline int arm_write(const char *change, const char *text, size_t len)
{
	char path[128];

	return write_bytes(arm_path(change, "arm", path, sizeof(path)), text, len);
}

/*
 * Switches @change to @arm: 0, -EINVAL where it is not offered, another error.
 * Off without a module is what it is already.
 */
static inline int arm_set(const char *change, const char *arm)
{
	int ret = arm_write(change, arm, strlen(arm));

	return ret == -ENOENT && !strcmp(arm, "off") ? 0 : ret;
}

/* The arm that @change is in: "off" without a module. */
static inline const char *arm_now(const char *change, char *buf, size_t size)
{
	if (arm_read(change, "arm", buf, size) < 0)
		return "off";
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

/* One number of @change's stats, or -1; its text in @buf if that is not NULL. */
static inline long long arm_stat(const char *change, const char *key, char *buf, size_t size)
{
	const char *value;
	char text[2048];

	arm_read(change, "stats", text, sizeof(text));
	value = value_of(text, key, ':');
	if (!value)
		return -1;
	if (buf)
		snprintf(buf, size, "%.*s", (int)strcspn(value, "\n"), value);
	return strtoll(value, NULL, 10);
}

#endif /* _ARM_UTIL_H */
