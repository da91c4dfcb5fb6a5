/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What test programs share: time, files, CPUs, threads, kernel modules. No
 * change is named here; what the programs of one change share is in its own
 * header, as fslist_util.h.
 */
#ifndef _TEST_UTIL_H
#define _TEST_UTIL_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Not in older C libraries. */
#ifndef MODULE_INIT_COMPRESSED_FILE
#define MODULE_INIT_COMPRESSED_FILE 4
#endif

/* --- time --- */

static inline long long ns_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static inline double seconds_now(void)
{
	return ns_now() / 1e9;
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

/* --- files --- */

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

/* The same as a string, which is cut off where @buf ends; empty on an error. */
static inline ssize_t read_text(const char *path, char *buf, size_t size)
{
	ssize_t len = read_whole(path, buf, size - 1);

	buf[len < 0 ? 0 : len] = '\0';
	return len;
}

/* Its first line, without the newline; false if it cannot be read. */
static inline bool read_line(const char *path, char *line, size_t size)
{
	ssize_t len = read_text(path, line, size);

	line[strcspn(line, "\n")] = '\0';
	return len >= 0;
}

/* Writes @len bytes to @path in one call, which has to take all; 0 or -errno. */
static inline int write_bytes(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, len);
	if (n != (ssize_t)len)
		ret = n < 0 ? -errno : -EIO;
	close(fd);
	return ret;
}

static inline int write_text(const char *path, const char *text)
{
	return write_bytes(path, text, strlen(text));
}

/* What follows @key and @mark in the line of @text that begins so, without blanks; or NULL. */
static inline const char *value_of(const char *text, const char *key, char mark)
{
	size_t len = strlen(key);
	const char *line;

	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && line[len] == mark)
			return line + len + 1 + strspn(line + len + 1, " ");
	}
	return NULL;
}

/* --- CPUs and threads --- */

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

/* Does thread @tid of this process sleep? 0 is a thread that has not begun yet. */
static inline bool thread_sleeps(int tid)
{
	char path[64], text[256], *state;

	if (!tid)
		return false;
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	if (read_text(path, text, sizeof(text)) < 0)
		return false;
	state = strrchr(text, ')');
	return state && state[2] == 'S';
}

/* --- modules --- */

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

/* The module's name from its file's: "/x/some-module.ko.xz" is some_module. */
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

/* The words of @argv, each followed by a blank, for module_load(); false if they do not fit. */
static inline bool module_args(char *const *argv, char *args, size_t size)
{
	size_t len = 0;

	args[0] = '\0';
	for (; *argv && len < size; argv++)
		len += snprintf(args + len, size - len, "%s ", *argv);
	return len < size;
}

#endif /* _TEST_UTIL_H */
