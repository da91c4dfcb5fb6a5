/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Arms of a redirected function, /sys/kernel/debug/uplift/CHANGE/, for test
 * programs. Where the module is not loaded there is one arm, off: the kernel
 * as it stands, which is what the others are compared with.
 */
#ifndef _ARM_UTIL_H
#define _ARM_UTIL_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define UPLIFT_DEBUG	"/sys/kernel/debug/uplift"

/* Reads @change's @file into @buf as a string; returns its length or -errno. */
static inline ssize_t arm_read(const char *change, const char *file, char *buf, size_t size)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), UPLIFT_DEBUG "/%s/%s", change, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	if (n < 0)
		n = -errno;
	else
		buf[n] = '\0';
	close(fd);
	return n;
}

/* Writes @len bytes to @change's arm file in one call; returns 0 or -errno. */
static inline int arm_write(const char *change, const char *text, size_t len)
{
	char path[128];
	int fd, ret = 0;

	snprintf(path, sizeof(path), UPLIFT_DEBUG "/%s/arm", change);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		ret = errno ? -errno : -EIO;
	close(fd);
	return ret;
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
	size_t len = strlen(key);
	char text[2048], *line;

	if (arm_read(change, "stats", text, sizeof(text)) < 0)
		return -1;
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && line[len] == ':') {
			line += len + 1;
			line += strspn(line, " ");
			if (buf)
				snprintf(buf, size, "%.*s", (int)strcspn(line, "\n"), line);
			return strtoll(line, NULL, 10);
		}
	}
	return -1;
}

static inline double seconds_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Waits until @condition holds, @seconds at most; true if it came to hold. */
#define loop_until(seconds, condition) ({			\
	double __end = seconds_now() + (seconds);		\
	int __held;						\
								\
	while (!(__held = !!(condition)) && seconds_now() < __end)	\
		usleep(200);					\
	__held;							\
})

#endif /* _ARM_UTIL_H */
