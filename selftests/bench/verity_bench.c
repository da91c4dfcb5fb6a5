// SPDX-License-Identifier: GPL-2.0
/*
 * What reading a file costs, and opening it, whether it has fs-verity or not. Arms are
 * files here: the script that runs this names them.
 *
 * What is cold is dropped from the page cache before each read; dropping is part of
 * the figure, the same in all arms. The pages of a tree stay, but for read_tree: they
 * are behind the end of the file on ext4, and in a file of their own with
 * uplift_verity.ko, which --side names.
 *
 * See bench_util.h. One line of JSON per sample.
 */
#include <stdalign.h>
#include <sys/stat.h>

#include "kselftest.h"
#include "bench_util.h"

#define BLOCK	4096
#define MUCH	(256 * BLOCK)

static alignas(BLOCK) char buf[MUCH];
static const char *file, *side;
static int fd, direct, side_fd = -1;
static off_t size;
static __u32 state;

/* The same places in every batch and arm; Numerical Recipes' generator. */
static off_t place(size_t unit)
{
	state = state * 1664525u + 1013904223u;
	return (off_t)((__u64)state * (size / unit) >> 32) * unit;
}

static long read_block(int from)
{
	return bench_syscall(SYS_pread64, from, (long)buf, BLOCK, place(BLOCK));
}

static void drop(int of, off_t len)
{
	bench_syscall(SYS_fadvise64, of, 0, len, POSIX_FADV_DONTNEED);
}

static long op_warm(void)
{
	return read_block(fd);
}

static long op_cold(void)
{
	drop(fd, size);
	return read_block(fd);
}

static long op_tree(void)
{
	/* Up to any end: also what is behind the file's. */
	drop(fd, 0);
	if (side_fd >= 0)
		drop(side_fd, 0);
	return read_block(fd);
}

static long op_much(void)
{
	drop(fd, size);
	return bench_syscall(SYS_pread64, fd, (long)buf, MUCH, place(MUCH));
}

static long op_direct(void)
{
	return read_block(direct);
}

static long op_open(void)
{
	int opened = open(file, O_RDONLY);

	return opened < 0 ? opened : close(opened);
}

static long op_stat(void)
{
	static struct stat found;

	return bench_stat(file, &found);
}

static const struct bench_op ops[] = {
	{ .bench = "verity", .name = "read_warm", .detail = "", .run = op_warm, .want = BLOCK },
	{ .bench = "verity", .name = "read_cold", .detail = "", .run = op_cold, .want = BLOCK },
	{ .bench = "verity", .name = "read_tree", .detail = "", .run = op_tree, .want = BLOCK },
	{ .bench = "verity", .name = "read_1m", .detail = "", .run = op_much, .want = MUCH },
	{ .bench = "verity", .name = "read_direct", .detail = "", .run = op_direct, .want = BLOCK },
	{ .bench = "verity", .name = "open", .detail = "", .run = op_open, .want = 0 },
	{ .bench = "verity", .name = "stat", .detail = "", .run = op_stat, .want = 0 },
};

static __noreturn void die(const char *what)
{
	fprintf(stderr, "verity_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_or_die(const char *name, int flags)
{
	int opened = open(name, O_RDONLY | flags);

	if (opened < 0)
		die(name);
	return opened;
}

static void set_up(void)
{
	struct stat found;
	off_t pos;

	fd = open_or_die(file, 0);
	direct = open_or_die(file, O_DIRECT);
	if (side)
		side_fd = open_or_die(side, 0);
	if (fstat(fd, &found))
		die(file);
	if (found.st_size < MUCH) {
		fprintf(stderr, "verity_bench: %s is shorter than %d bytes\n", file, MUCH);
		exit(1);
	}
	size = found.st_size;
	/* What is read is what was asked for, and no more. */
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (pos = 0; pos < size; pos += MUCH)
		if (pread(fd, buf, MUCH, pos) < 0)
			die(file);
}

static __noreturn void die_usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: verity_bench [options] --arm NAME --file FILE\n"
		"  --side FILE      the file that has its tree\n"
		BENCH_USAGE);
	exit(status);
}

static void measure(const struct bench_op *op, const char *arm, const struct bench_options *opt)
{
	int round;

	for (round = 0; round < opt->rounds; round++) {
		state = 1;
		bench_sample(op, arm, round, opt->batches, opt->size);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "arm", required_argument, NULL, 'A' },
		{ "file", required_argument, NULL, 'f' },
		{ "side", required_argument, NULL, 'S' },
		{ }
	};
	struct bench_options opt = BENCH_OPTIONS;
	const char *arm = NULL;
	size_t i;
	int c;

	while ((c = bench_getopt(argc, argv, options)) != -1) {
		if (c == 'A')
			arm = optarg;
		else if (c == 'f')
			file = optarg;
		else if (c == 'S')
			side = optarg;
		else
			bench_option(&opt, c, die_usage);
	}
	if (!arm || !file || optind != argc)
		die_usage(2);
	bench_prepare("verity");
	set_up();
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		measure(&ops[i], arm, &opt);
	return 0;
}
