// SPDX-License-Identifier: GPL-2.0
/*
 * What reading a file costs, and opening it, whether it has fs-verity or not. Arms are
 * files here: the script that runs this names them.
 *
 * What is cold is dropped from the page cache before each read; dropping is part of
 * the figure, the same in all arms, and the pages of a tree stay. For read_tree all
 * that is in the page cache is dropped, trees too, which is no part of the figure.
 *
 * See bench_util.h. One line of JSON per sample.
 */
#include <stdalign.h>
#include <sys/stat.h>

#include "kselftest.h"
#include "bench_util.h"

#define BLOCK	4096
#define MUCH	(256 * BLOCK)
#define DROP	"/proc/sys/vm/drop_caches"

static alignas(BLOCK) char buf[MUCH];
static const char *file;
static int fd, direct, dropper;
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

static void drop(void)
{
	bench_syscall(SYS_fadvise64, fd, 0, size, POSIX_FADV_DONTNEED);
}

static long op_warm(void)
{
	return read_block(fd);
}

static long op_cold(void)
{
	drop();
	return read_block(fd);
}

static long op_much(void)
{
	drop();
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
	int opened = open(name, flags);

	if (opened < 0)
		die(name);
	return opened;
}

static void set_up(void)
{
	struct stat found;
	off_t pos;

	fd = open_or_die(file, O_RDONLY);
	direct = open_or_die(file, O_RDONLY | O_DIRECT);
	dropper = open_or_die(DROP, O_WRONLY);
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

static void drop_all(const char *what)
{
	if (pwrite(dropper, what, 1, 0) != 1)
		die(DROP);
}

/* Its pages of the tree are read from disk as well: each reading by itself. */
static long long tree_ns(const struct bench_op *op)
{
	long long start;

	drop_all("1");
	start = ns_now();
	if (read_block(fd) != BLOCK)
		bench_die(op, op->name);
	return ns_now() - start;
}

static void measure_tree(const char *arm, int round, int batches)
{
	static const struct bench_op op = { .bench = "verity", .name = "read_tree" };
	long long *ns = calloc(batches, sizeof(*ns));
	struct bench_figures figures;
	int i;

	if (!ns)
		die("memory");
	/* Without a line in the log each time. */
	drop_all("4");
	for (i = 0; i < batches; i++)
		ns[i] = tree_ns(&op);
	qsort(ns, batches, sizeof(*ns), bench_compare);
	figures = (struct bench_figures){ ns[0], ns[batches / 2], ns[batches - 1], 0 };
	free(ns);
	printf("{\"bench\":\"verity\",\"arm\":\"%s\",\"round\":%d,\"op\":\"%s\",", arm, round,
	       op.name);
	bench_print(&figures, batches, 1);
	printf("}\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "arm", required_argument, NULL, 'A' },
		{ "file", required_argument, NULL, 'f' },
		{ }
	};
	struct bench_options opt = BENCH_OPTIONS;
	const char *arm = NULL;
	size_t i;
	int c, round;

	while ((c = bench_getopt(argc, argv, options)) != -1) {
		if (c == 'A')
			arm = optarg;
		else if (c == 'f')
			file = optarg;
		else
			bench_option(&opt, c, die_usage);
	}
	if (!arm || !file || optind != argc)
		die_usage(2);
	bench_prepare("verity");
	set_up();
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		measure(&ops[i], arm, &opt);
	for (round = 0; round < opt.rounds; round++) {
		state = 1;
		measure_tree(arm, round, opt.batches);
	}
	return 0;
}
