// SPDX-License-Identifier: GPL-2.0
/*
 * What a 4 KiB direct read of a file costs: pread() with O_DIRECT at random
 * blocks of it, the same ones in every batch and arm. See bench_util.h.
 */
#include <stdalign.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "kselftest.h"
#include "bench_util.h"

#define BLOCK		4096
#define MAX_FILES	8

static alignas(BLOCK) char buf[BLOCK];
static int fd = -1;
static long blocks;
static __u32 state;

static long op_pread(void)
{
	/* Numerical Recipes' generator: what is random here costs next to nothing. */
	state = state * 1664525u + 1013904223u;
	return bench_syscall(SYS_pread64, fd, (long)buf, BLOCK,
			     (long)((__u64)state * blocks >> 32) * BLOCK);
}

static const char *files[MAX_FILES];
static char details[MAX_FILES][256];

static void set_up(const struct bench_op *op)
{
	struct stat st;
	int i;

	for (i = 0; op->detail != details[i]; i++)
		;
	if (fd >= 0)
		close(fd);
	fd = open(files[i], O_RDONLY | O_DIRECT);
	if (fd < 0 || fstat(fd, &st))
		bench_die(op, files[i]);
	blocks = st.st_size / BLOCK;
	if (!blocks) {
		fprintf(stderr, "iomap_bench: %s is shorter than a block\n", files[i]);
		exit(1);
	}
	state = 1;
}

static const char *filesystem(const char *file)
{
	struct statfs fs;

	if (statfs(file, &fs))
		return "unknown";
	switch (fs.f_type) {
	case 0xef53:
		return "ext4";
	case 0x58465342:
		return "xfs";
	default:
		return "other";
	}
}

static __noreturn void die_usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: iomap_bench [options] FILE...\n"
		BENCH_USAGE);
	exit(status);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ }
	};
	struct bench_options opt = BENCH_OPTIONS;
	struct bench_op ops[MAX_FILES] = {};
	int c, count;

	while ((c = bench_getopt(argc, argv, options)) != -1)
		bench_option(&opt, c, die_usage);
	if (optind == argc || argc - optind > MAX_FILES)
		die_usage(2);
	for (count = 0; optind < argc; count++, optind++) {
		files[count] = argv[optind];
		if (access(files[count], R_OK)) {
			fprintf(stderr, "iomap_bench: %s: %s\n", files[count], strerror(errno));
			return 1;
		}
		snprintf(details[count], sizeof(details[count]), ",\"fs\":\"%s\",\"file\":\"%s\"",
			 filesystem(files[count]), files[count]);
		ops[count] = (struct bench_op){ "iomap", "pread_direct_4k", details[count],
						op_pread, BLOCK };
	}
	bench_prepare("iomap");
	bench_run("iomap", ops, count, &opt, set_up);
	return 0;
}
