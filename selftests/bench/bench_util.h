/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the measuring programs share.
 *
 * A sample is a number of batches of one operation between two readings of the
 * clock, under SCHED_FIFO; the best batch is the figure. In a guest that counts
 * instructions (QEMU, -icount shift=0, one vCPU) a nanosecond is an
 * instruction. Arms are taken in turn within a round, off first and last, so
 * that all of them see the same noise and the two offs show how much there is.
 *
 * One line of JSON per sample.
 */
#ifndef _BENCH_UTIL_H
#define _BENCH_UTIL_H

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "arm_util.h"
#include "bench_common.h"

/*
 * A system call without the C library's errno, cancellation and varargs, which
 * would be most of what surrounds the kernel in a short one; -errno in return.
 */
static inline long bench_syscall(long nr, long a, long b, long c, long d)
{
#if defined(__x86_64__)
	register long r10 asm("r10") = d;
	long ret;

	asm volatile("syscall" : "=a" (ret) : "a" (nr), "D" (a), "S" (b), "d" (c), "r" (r10)
		     : "rcx", "r11", "memory");
	return ret;
#elif defined(__aarch64__)
	register long x8 asm("x8") = nr;
	register long x0 asm("x0") = a;
	register long x1 asm("x1") = b;
	register long x2 asm("x2") = c;
	register long x3 asm("x3") = d;
	register long x4 asm("x4") = 0;
	register long x5 asm("x5") = 0;

	asm volatile("svc #0" : "+r" (x0)
		     : "r" (x8), "r" (x1), "r" (x2), "r" (x3), "r" (x4), "r" (x5) : "memory");
	return x0;
#else
	return syscall(nr, a, b, c, d);
#endif
}

/* System calls that newer architectures have in a later form only. */
#if defined(SYS_poll)

static inline long bench_epoll_wait(int ep, void *events, int max, int timeout)
{
	return bench_syscall(SYS_epoll_wait, ep, (long)events, max, timeout);
}

static inline long bench_poll_now(struct pollfd *poll)
{
	return bench_syscall(SYS_poll, (long)poll, 1, 0, 0);
}

static inline long bench_stat(const char *path, void *buffer)
{
	return bench_syscall(SYS_stat, (long)path, (long)buffer, 0, 0);
}

static inline long bench_unlink(const char *path)
{
	return bench_syscall(SYS_unlink, (long)path, 0, 0, 0);
}

#else

/* The mask of signals, which are the last two arguments, is none. */
static inline long bench_epoll_wait(int ep, void *events, int max, int timeout)
{
	return bench_syscall(SYS_epoll_pwait, ep, (long)events, max, timeout);
}

static inline long bench_poll_now(struct pollfd *poll)
{
	struct timespec zero = {};

	return bench_syscall(SYS_ppoll, (long)poll, 1, (long)&zero, 0);
}

static inline long bench_stat(const char *path, void *buffer)
{
	return bench_syscall(SYS_newfstatat, AT_FDCWD, (long)path, (long)buffer, 0);
}

static inline long bench_unlink(const char *path)
{
	return bench_syscall(SYS_unlinkat, AT_FDCWD, (long)path, 0, 0);
}

#endif

/* poll() of a descriptor that can be read: 1. */
static inline long bench_poll(int fd)
{
	struct pollfd poll = { .fd = fd, .events = POLLIN };

	return bench_poll_now(&poll);
}

/* One into an eventfd, and out of it again: 16. */
static inline long bench_eventfd(int fd)
{
	static unsigned long long one;

	one = 1;
	return bench_syscall(SYS_write, fd, (long)&one, 8, 0) +
	       bench_syscall(SYS_read, fd, (long)&one, 8, 0);
}

/* What is measured: run() must return @want. */
struct bench_op {
	const char *bench;	/* name of the program, without _bench */
	const char *name;
	const char *detail;	/* more JSON members, each with a comma before it */
	long (*run)(void);
	long want;
	/* Before each arm; NULL if an arm leaves nothing behind that the next would see. */
	void (*set_up)(const struct bench_op *op);
};

static long bench_nothing(void)
{
	asm volatile("" : : : "memory");
	return 0;
}

static void bench_die(const struct bench_op *op, const char *what)
{
	fprintf(stderr, "%s_bench: %s: %s\n", op->bench, what, strerror(errno));
	exit(1);
}

static int bench_compare(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;

	return x < y ? -1 : x > y;
}

/* Nanoseconds of each batch, sorted; two batches go before the first that counts. */
static void bench_batches(const struct bench_op *op, long (*run)(void), long want,
			  long long *ns, int batches, int size)
{
	long long start;
	int i, j;

	for (i = -2; i < batches; i++) {
		start = ns_now();
		for (j = 0; j < size; j++)
			if (run() != want)
				bench_die(op, op->name);
		if (i >= 0)
			ns[i] = ns_now() - start;
	}
	qsort(ns, batches, sizeof(*ns), bench_compare);
}

/* Nanoseconds of one operation, without those of an empty loop: @overhead. */
struct bench_figures {
	double best, median, worst, overhead;
};

static struct bench_figures bench_measure(const struct bench_op *op, int batches, int size)
{
	long long *empty = calloc(batches, sizeof(*empty));
	long long *ns = calloc(batches, sizeof(*ns));
	struct bench_figures figures;
	double n = size;

	if (!empty || !ns)
		bench_die(op, "memory");
	/* Touch these pages now, not in the middle of a batch. */
	memset(ns, 1, batches * sizeof(*ns));
	memset(empty, 1, batches * sizeof(*empty));
	bench_batches(op, bench_nothing, 0, empty, batches, size);
	bench_batches(op, op->run, op->want, ns, batches, size);
	figures.overhead = empty[0] / n;
	figures.best = ns[0] / n - figures.overhead;
	figures.median = ns[batches / 2] / n - figures.overhead;
	figures.worst = ns[batches - 1] / n - figures.overhead;
	free(empty);
	free(ns);
	return figures;
}

/* As members of a JSON object. */
static void bench_print(const struct bench_figures *figures, int batches, int size)
{
	printf("\"unit\":\"ns\",\"best\":%.2f,\"median\":%.2f,\"worst\":%.2f,\"overhead\":%.2f,",
	       figures->best, figures->median, figures->worst, figures->overhead);
	printf("\"batches\":%d,\"batch_size\":%d", batches, size);
}

static void bench_sample(const struct bench_op *op, const char *arm, int round, int batches,
			 int size)
{
	struct bench_figures figures = bench_measure(op, batches, size);

	printf("{\"bench\":\"%s\",\"arm\":\"%s\",\"round\":%d,\"op\":\"%s\"%s,",
	       op->bench, arm, round, op->name, op->detail);
	bench_print(&figures, batches, size);
	printf("}\n");
	fflush(stdout);
}

/* For the plugin that counts instructions of a kind: @count operations between markers. */
static void bench_marked(const struct bench_op *op, const char *arm, long count)
{
	long i, ret = op->want;

	for (i = 0; i < 200; i++)
		if (op->run() != op->want)
			bench_die(op, op->name);
	marker(MARK_START);
	for (i = 0; i < count && ret == op->want; i++) {
		marker(MARK_OP);
		ret = op->run();
	}
	marker(MARK_END);
	if (ret != op->want)
		bench_die(op, op->name);
	printf("{\"bench\":\"%s_marked\",\"arm\":\"%s\",\"op\":\"%s\"%s,\"ops\":%ld}\n",
	       op->bench, arm, op->name, op->detail, count);
	fflush(stdout);
}

/* No page faults while something is measured. */
static inline void bench_lock_memory(const char *bench)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		fprintf(stderr, "%s_bench: memory not locked: %s\n", bench, strerror(errno));
}

/* Nor other tasks on this CPU. */
static inline void bench_prepare(const char *bench)
{
	struct sched_param fifo = { .sched_priority = 50 };

	bench_lock_memory(bench);
	if (sched_setscheduler(0, SCHED_FIFO, &fifo))
		fprintf(stderr, "%s_bench: not SCHED_FIFO: %s\n", bench, strerror(errno));
}

struct bench_options {
	int batches, size, rounds;
	long marked;		/* operations between markers; 0: measure */
	const char *arms;	/* in this order, "off_again" for the second off */
};

#define BENCH_OPTIONS	{ .batches = 50, .size = 20, .rounds = 3, .marked = 0,	\
			  .arms = "off null new batch off_again" }

/* The options of struct bench_options in a usage. */
#define BENCH_USAGE								\
	"  --arms WORDS     arms, in this order (off null new batch off_again)\n"	\
	"  --rounds N       rounds through all arms (3)\n"			\
	"  --batches N      batches, of which the best counts (50)\n"		\
	"  --batch-size N   operations in a batch (20)\n"			\
	"  --marked N       no measuring: N operations between markers, for the plugin\n"

/* getopt_long() with @own options, ended by one without a name, and those of bench_option(). */
static inline int bench_getopt(int argc, char **argv, const struct option *own)
{
	static struct option all[24] = {
		{ "arms", required_argument, NULL, 'a' },
		{ "rounds", required_argument, NULL, 'R' },
		{ "batches", required_argument, NULL, 'b' },
		{ "batch-size", required_argument, NULL, 's' },
		{ "marked", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
	};
	size_t at = 6;

	for (; own->name && at < ARRAY_SIZE(all) - 1; own++)
		all[at++] = *own;
	return getopt_long(argc, argv, "", all, NULL);
}

/* Takes an option from bench_getopt() that is not an own one; a wrong one ends in the usage. */
static inline void bench_option(struct bench_options *opt, int c,
				void (*die_usage)(int status))
{
	switch (c) {
	case 'a':
		opt->arms = optarg;
		break;
	case 'R':
		opt->rounds = bench_number(optarg, 1, INT_MAX, die_usage);
		break;
	case 'b':
		opt->batches = bench_number(optarg, 1, INT_MAX, die_usage);
		break;
	case 's':
		opt->size = bench_number(optarg, 1, INT_MAX, die_usage);
		break;
	case 'm':
		opt->marked = bench_number(optarg, 1, LONG_MAX, die_usage);
		break;
	default:
		die_usage(c == 'h' ? 0 : 2);
	}
}

/*
 * Indexes of the operations in a list of names with commas between, of all
 * without a list; a name that is not known, none, or too many end in the usage.
 * @name: the name at an index below @known
 * @chosen: room for @known
 * Return: how many there are.
 */
static inline size_t bench_choose(char *list, const char *(*name)(size_t i), size_t known,
				  size_t *chosen, void (*die_usage)(int status))
{
	size_t count = 0, i;
	char *word, *rest;

	if (!list) {
		for (i = 0; i < known; i++)
			chosen[i] = i;
		return known;
	}
	for (word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		for (i = 0; i < known && strcmp(word, name(i)); i++)
			;
		if (i == known || count == known)
			die_usage(2);
		chosen[count++] = i;
	}
	if (!count)
		die_usage(2);
	return count;
}

/*
 * All operations in all arms that there are, in turn. An arm that @change does
 * not offer is left out; without its module there are the two offs.
 */
static inline void bench_run(const char *change, const struct bench_op *ops, size_t count,
			     const struct bench_options *opt,
			     void (*before)(const struct bench_op *op))
{
	char arms[128], *arm, *rest;
	size_t i;
	int round, ret;

	for (round = 0; round < (opt->marked ? 1 : opt->rounds); round++) {
		for (i = 0; i < count; i++) {
			if (before)
				before(&ops[i]);
			snprintf(arms, sizeof(arms), "%s", opt->arms);
			for (arm = strtok_r(arms, " ", &rest); arm;
			     arm = strtok_r(NULL, " ", &rest)) {
				ret = arm_set(change, !strncmp(arm, "off", 3) ? "off" : arm);
				if (ret == -EINVAL || ret == -ENOENT)
					continue;
				if (ret) {
					errno = -ret;
					bench_die(&ops[i], arm);
				}
				if (ops[i].set_up)
					ops[i].set_up(&ops[i]);
				if (opt->marked)
					bench_marked(&ops[i], arm, opt->marked);
				else
					bench_sample(&ops[i], arm, round, opt->batches, opt->size);
			}
		}
	}
	arm_set(change, "off");
}

#endif /* _BENCH_UTIL_H */
