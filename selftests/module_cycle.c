// SPDX-License-Identifier: GPL-2.0
/*
 * Loads a module, uses it, and unloads it, again and again; then the kernel must
 * not use more memory than after the first tenth of that.
 *
 * usage: module_cycle CYCLES FILE CHANGE [PARAMETER=VALUE]...
 *
 * What it stands on is loaded already. Each cycle turns its arm to "null" and
 * back where it has one; each tenth, reads all of its verdict.
 */
#include <stdbool.h>

#include "fslist_util.h"

#define UPLIFT	"/sys/kernel/debug/uplift"

/* What may come and go without us: caches of a CPU, the log. */
#define NOISE_KIB	1024
#define LEAK_PER_CYCLE	128

/* Memory that the kernel keeps for itself, kB. */
static long kernel_kib(void)
{
	static const char *const keys[] = {
		"SUnreclaim:", "VmallocUsed:", "Percpu:", "KernelStack:", "PageTables:",
	};
	char text[8192], *at;
	unsigned int i;
	ssize_t len;
	long sum = 0;

	len = read_whole("/proc/meminfo", text, sizeof(text) - 1);
	text[len < 0 ? 0 : len] = '\0';
	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		at = strstr(text, keys[i]);
		sum += at ? strtol(at + strlen(keys[i]), NULL, 10) : 0;
	}
	return sum;
}

static int write_arm(const char *change, const char *arm)
{
	char path[128];
	int fd, err = 0;

	snprintf(path, sizeof(path), UPLIFT "/%s/arm", change);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (write(fd, arm, strlen(arm)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int cycle(const char *file, const char *args, const char *change, bool look)
{
	char name[64], path[128], text[FSLIST_MAX];
	int err;

	module_name(file, name, sizeof(name));
	err = module_load(file, args);
	if (err)
		return err;
	err = write_arm(change, "null");
	if (!err)
		err = write_arm(change, "off");
	if (!err && look) {
		snprintf(path, sizeof(path), UPLIFT "/%s/verdict", change);
		read_whole(path, text, sizeof(text));
		read_whole(FSLIST_CACHED, text, sizeof(text));
	}
	if (!loop_until(60, module_unload(name) != -EAGAIN))
		return -EBUSY;
	snprintf(path, sizeof(path), "/sys/module/%s", name);
	return err ?: access(path, F_OK) ? 0 : -EBUSY;
}

int main(int argc, char **argv)
{
	long cycles, i, before = 0, after, allowed;
	char args[1024] = "";
	double start;
	int err;

	cycles = argc < 4 ? 0 : atol(argv[1]);
	if (cycles < 1) {
		fprintf(stderr, "usage: module_cycle CYCLES FILE CHANGE [PARAMETER=VALUE]...\n");
		return 2;
	}
	for (i = 4; i < argc; i++) {
		strncat(args, argv[i], sizeof(args) - strlen(args) - 2);
		strcat(args, " ");
	}
	start = seconds_now();
	for (i = 0; i < cycles; i++) {
		if (i == cycles / 10)
			before = kernel_kib();
		err = cycle(argv[2], args, argv[3], i % 10 == 0);
		if (err) {
			printf("# %s: cycle %ld: %s\n", argv[3], i, strerrorname_np(-err));
			return 1;
		}
		if (i && i % 1000 == 0) {
			printf("# %s: %ld cycles, %.0f s\n", argv[3], i, seconds_now() - start);
			fflush(stdout);
		}
	}
	/* What is freed after a grace period is not a leak. */
	sleep(1);
	after = kernel_kib();
	allowed = NOISE_KIB + (cycles - cycles / 10) * LEAK_PER_CYCLE / 1024;
	printf("# %s: %ld cycles, %.0f s, the kernel's memory %+ld KiB\n", argv[3], cycles,
	       seconds_now() - start, after - before);
	return after - before > allowed;
}
