/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs of the filesystem list's tests share: whole reads, loading
 * and unloading of modules, the counters of uplift_fslist.
 */
#ifndef _FSLIST_UTIL_H
#define _FSLIST_UTIL_H

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

#define FSLIST_NATIVE	"/proc/filesystems"
#define FSLIST_CACHED	"/proc/filesystems_cached"
#define FSLIST_STATS	"/sys/kernel/debug/uplift/fslist/stats"

/* Larger than any list of filesystems: reads of this size are whole reads. */
#define FSLIST_MAX	16384

#ifndef MODULE_INIT_COMPRESSED_FILE
#define MODULE_INIT_COMPRESSED_FILE 4
#endif

/* Reads all of @path by its name; returns the length or -errno. */
static inline ssize_t read_whole(const char *path, char *buf, size_t size)
{
	ssize_t n, len = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while ((size_t)len < size) {
		n = read(fd, buf + len, size - len);
		if (n < 0) {
			n = -errno;
			close(fd);
			return n;
		}
		if (!n)
			break;
		len += n;
	}
	close(fd);
	return len;
}

/* Loads the module in file @path, packed or not; returns 0 or -errno. */
static inline int module_load(const char *path, const char *args)
{
	const char *dot = strrchr(path, '.');
	int packed = dot && strcmp(dot, ".ko");
	int fd, ret;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, args,
		      packed ? MODULE_INIT_COMPRESSED_FILE : 0);
	if (ret)
		ret = -errno;
	close(fd);
	return ret;
}

/* Unloads @name, which must have no user; returns 0 or -errno. */
static inline int module_unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

/* The module's name from its file's: "/x/uplift-fslist.ko.xz" is uplift_fslist. */
static inline void module_name(const char *path, char *name, size_t size)
{
	const char *base = strrchr(path, '/');
	char *p;

	snprintf(name, size, "%s", base ? base + 1 : path);
	p = strchr(name, '.');
	if (p)
		*p = '\0';
	for (p = name; *p; p++)
		if (*p == '-')
			*p = '_';
}

/* One counter of uplift_fslist, or -1 where there is none. */
static inline long long fslist_stat(const char *key)
{
	size_t keylen = strlen(key);
	char text[1024], *line;
	ssize_t len = read_whole(FSLIST_STATS, text, sizeof(text) - 1);

	if (len < 0)
		return -1;
	text[len] = '\0';
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, keylen) && line[keylen] == ' ')
			return strtoll(line + keylen, NULL, 10);
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

/* The CPUs this process may use, in @cpus; returns how many. */
static inline int usable_cpus(int *cpus, int max)
{
	cpu_set_t set;
	int cpu, n = 0;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 0;
	for (cpu = 0; cpu < CPU_SETSIZE && n < max; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[n++] = cpu;
	return n;
}

static inline int pin_to_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

#endif /* _FSLIST_UTIL_H */
