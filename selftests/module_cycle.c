// SPDX-License-Identifier: GPL-2.0
/*
 * Loads a module, uses it, and unloads it, again and again; then the kernel must
 * not use more memory than after the first tenth of the cycles.
 *
 * usage: module_cycle [-r PATH]... CYCLES FILE CHANGE [PARAMETER=VALUE]...
 *
 * The modules that it needs are loaded already. Each cycle turns its arm to
 * "null" and back if it has one; each tenth cycle reads its verdict and PATH.
 */
#include "arm_util.h"

#define TEXT_MAX	16384
#define PATHS_MAX	8

/* What the kernel takes and gives back by itself: caches of a CPU, the log. */
#define NOISE_KIB	1024
#define LEAK_PER_CYCLE	128

static const char *paths[PATHS_MAX];
static int nr_paths;

/* Memory that the kernel keeps for itself, kB. */
static long kernel_kib(void)
{
	static const char *const keys[] = {
		"SUnreclaim:", "VmallocUsed:", "Percpu:", "KernelStack:", "PageTables:",
	};
	char text[8192], *at;
	unsigned int i;
	long sum = 0;

	read_text("/proc/meminfo", text, sizeof(text));
	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		at = strstr(text, keys[i]);
		sum += at ? strtol(at + strlen(keys[i]), NULL, 10) : 0;
	}
	return sum;
}

/* Off, where there is no arm, is what it is already. */
static int switch_there_and_back(const char *change)
{
	int err = arm_set(change, "null");

	return err == -ENOENT ? 0 : err ?: arm_set(change, "off");
}

static void look_at(const char *change)
{
	char text[TEXT_MAX];
	int i;

	arm_read(change, "verdict", text, sizeof(text));
	for (i = 0; i < nr_paths; i++)
		read_text(paths[i], text, sizeof(text));
}

static int cycle(const char *file, const char *args, const char *change, bool look)
{
	char name[64], path[128];
	int err;

	module_name(file, name, sizeof(name));
	err = module_load(file, args);
	if (err)
		return err;
	err = switch_there_and_back(change);
	if (!err && look)
		look_at(change);
	if (!loop_until(60, module_unload(name) != -EAGAIN))
		return -EBUSY;
	snprintf(path, sizeof(path), "/sys/module/%s", name);
	return err ?: access(path, F_OK) ? 0 : -EBUSY;
}

static int die_usage(void)
{
	fprintf(stderr,
		"usage: module_cycle [-r PATH]... CYCLES FILE CHANGE [PARAMETER=VALUE]...\n");
	return 2;
}

int main(int argc, char **argv)
{
	long cycles, i, before = 0, after, allowed;
	const char *file, *change;
	char args[1024];
	double start;
	int opt, err;

	while ((opt = getopt(argc, argv, "+r:")) != -1) {
		if (opt != 'r' || nr_paths == PATHS_MAX)
			return die_usage();
		paths[nr_paths++] = optarg;
	}
	argv += optind;
	cycles = argc - optind < 3 ? 0 : atol(argv[0]);
	if (cycles < 1 || !module_args(argv + 3, args, sizeof(args)))
		return die_usage();
	file = argv[1];
	change = argv[2];
	start = seconds_now();
	for (i = 0; i < cycles; i++) {
		if (i == cycles / 10)
			before = kernel_kib();
		err = cycle(file, args, change, i % 10 == 0);
		if (err) {
			printf("# %s: cycle %ld: %s\n", change, i, strerrorname_np(-err));
			return 1;
		}
		if (i && i % 1000 == 0) {
			printf("# %s: %ld cycles, %.0f s\n", change, i, seconds_now() - start);
			fflush(stdout);
		}
	}
	/* What is freed after a grace period is not a leak. */
	sleep(1);
	after = kernel_kib();
	allowed = NOISE_KIB + (cycles - cycles / 10) * LEAK_PER_CYCLE / 1024;
	printf("# %s: %ld cycles, %.0f s, the kernel's memory %+ld KiB\n", change, cycles,
	       seconds_now() - start, after - before);
	return after - before > allowed;
}
