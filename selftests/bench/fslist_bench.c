// SPDX-License-Identifier: GPL-2.0
/*
 * What reading a list of filesystems costs.
 *
 * A sample is that of bench_util.h; the median says how far to trust the best.
 *
 * With --readers N processes, one per CPU, do a fixed number of operations at
 * the same time; the figure is how that time compares with the time of one.
 * Between their start and end markers (see marker()) a QEMU plugin can watch
 * what memory they touch.
 *
 * One line of JSON per result.
 */
#include <stdalign.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kselftest.h"
#include "bench_util.h"
#include "fslist_util.h"

#define MAX_READERS	64

static const char *file = FSLIST_NATIVE;
static alignas(4096) char buf[8192];
static int fd = -1;

static void die(const char *what)
{
	fprintf(stderr, "fslist_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long op_getppid(void)
{
	return syscall(SYS_getppid) < 0 ? -1 : 0;
}

static long op_pread(void)
{
	return pread(fd, buf, sizeof(buf), 0);
}

static long op_open_read_close(void)
{
	int f = open(file, O_RDONLY);
	ssize_t n;

	if (f < 0)
		return -1;
	n = read(f, buf, sizeof(buf));
	close(f);
	return n;
}

static const struct op {
	const char *name;
	long (*run)(void);
	bool reads;
} ops[] = {
	{ "pread_open_fd", op_pread, true },
	{ "open_read_close", op_open_read_close, true },
	{ "getppid", op_getppid, false },
};

static void print_head(const char *name, const struct op *op)
{
	printf("{\"bench\":\"%s\",\"file\":\"%s\",\"op\":\"%s\",", name,
	       op->reads ? file : "", op->name);
}

/* Leaves the file open in @fd; what the kernel makes at the first read is not measured. */
static void open_file(void)
{
	if (op_open_read_close() < 0)
		die(file);
	fd = open(file, O_RDONLY);
	if (fd < 0)
		die(file);
}

static void measure_one(const struct op *op, int batches, int size)
{
	struct bench_op measured = { .bench = "fslist", .name = op->name, .run = op->run };
	struct bench_figures figures;

	if (op->reads)
		open_file();
	/* Every read has to give as much as the first. */
	measured.want = op->run();
	if (measured.want < op->reads)
		die(file);
	figures = bench_measure(&measured, batches, size);
	print_head("fslist", op);
	bench_print(&figures, batches, size);
	printf(",\"bytes\":%ld}\n", measured.want);
	fflush(stdout);
	if (fd >= 0)
		close(fd);
	fd = -1;
}

struct start_line {
	atomic_int ready;
	atomic_int go;
	struct {
		long long from;
		long long to;
		ssize_t bytes;
	} reader[MAX_READERS];
};

static void reader(struct start_line *line, int index, int cpu, const struct op *op, long count)
{
	ssize_t bytes = 0;
	long i;

	if (pin_to_cpu(cpu))
		die("sched_setaffinity");
	if (op->reads) {
		fd = open(file, O_RDONLY);
		if (fd < 0)
			die(file);
	}
	/* First uses and page faults come before anything counts. */
	memset(buf, 0, sizeof(buf));
	for (i = 0; i < 200; i++)
		bytes = op->run();
	atomic_fetch_add(&line->ready, 1);
	while (!atomic_load_explicit(&line->go, memory_order_relaxed))
		;
	line->reader[index].from = ns_now();
	marker(MARK_START);
	for (i = 0; i < count; i++) {
		marker(MARK_OP);
		if (op->run() < op->reads)
			die(file);
	}
	marker(MARK_END);
	line->reader[index].to = ns_now();
	line->reader[index].bytes = bytes;
}

/* Seconds from the first one's start to the last one's end. */
static double run_readers(const struct op *op, int readers, long count, ssize_t *bytes)
{
	struct start_line *line;
	int cpus[MAX_READERS], i, status;
	long long from, to;

	line = mmap(NULL, sizeof(*line), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (line == MAP_FAILED)
		die("mmap");
	if (op->reads && op_open_read_close() < 0)
		die(file);
	if (usable_cpus(cpus, MAX_READERS) < readers) {
		fprintf(stderr, "fslist_bench: %d readers need as many CPUs\n", readers);
		exit(4);
	}
	for (i = 0; i < readers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			reader(line, i, cpus[i], op, count);
			_exit(0);
		}
	}
	if (!loop_until(60, atomic_load(&line->ready) == readers)) {
		fprintf(stderr, "fslist_bench: the readers do not start\n");
		exit(1);
	}
	atomic_store(&line->go, 1);
	for (i = 0; i < readers; i++) {
		if (wait(&status) < 0 || status) {
			fprintf(stderr, "fslist_bench: a reader failed, status %#x\n", status);
			exit(1);
		}
	}
	from = line->reader[0].from;
	to = line->reader[0].to;
	for (i = 1; i < readers; i++) {
		if (line->reader[i].from < from)
			from = line->reader[i].from;
		if (line->reader[i].to > to)
			to = line->reader[i].to;
	}
	*bytes = line->reader[0].bytes;
	munmap(line, sizeof(*line));
	return (to - from) / 1e9;
}

/*
 * One reader and all of them in turn, so that both see the same noise. The last
 * line compares the best rounds: on a busy host only those had the CPUs that
 * they needed, so many short rounds say more than few long ones.
 */
static void measure_scale(const struct op *op, int readers, long count, int rounds)
{
	double one, all, best_one = 0, best_all = 0;
	ssize_t bytes;
	int i;

	for (i = 0; i < rounds; i++) {
		one = run_readers(op, 1, count, &bytes);
		all = readers > 1 ? run_readers(op, readers, count, &bytes) : one;
		print_head("fslist_scale", op);
		printf("\"readers\":%d,\"ops_per_reader\":%ld,\"round\":%d,", readers, count, i);
		printf("\"one_ns\":%.0f,\"all_ns\":%.0f,\"scale\":%.3f,\"bytes\":%zd}\n",
		       one * 1e9, all * 1e9, readers * one / all, bytes);
		fflush(stdout);
		if (!i || one < best_one)
			best_one = one;
		if (!i || all < best_all)
			best_all = all;
	}
	print_head("fslist_scale_best", op);
	printf("\"readers\":%d,\"ops_per_reader\":%ld,\"rounds\":%d,", readers, count, rounds);
	printf("\"one_ns\":%.0f,\"all_ns\":%.0f,\"scale\":%.3f,\"bytes\":%zd}\n",
	       best_one * 1e9, best_all * 1e9, readers * best_one / best_all, bytes);
}

static __noreturn void die_usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: fslist_bench [options]\n"
		"  --file PATH      what to read (%s)\n"
		"  --op OP          pread_open_fd, open_read_close or getppid (all of them)\n"
		"  --batches N      batches, of which the best counts (50)\n"
		"  --batch-size N   operations in a batch (20)\n"
		"  --readers N      N processes on N CPUs at once, against one\n"
		"  --ops N          operations of each of them (4000)\n"
		"  --rounds N       how often to compare one and all (40)\n"
		"  --only-all       only the N at once, in one round: for the plugin\n",
		FSLIST_NATIVE);
	exit(status);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "file", required_argument, NULL, 'f' },
		{ "op", required_argument, NULL, 'o' },
		{ "batches", required_argument, NULL, 'b' },
		{ "batch-size", required_argument, NULL, 's' },
		{ "readers", required_argument, NULL, 'r' },
		{ "ops", required_argument, NULL, 'n' },
		{ "rounds", required_argument, NULL, 'R' },
		{ "only-all", no_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int batches = 50, size = 20, readers = 0, rounds = 40, opt;
	const char *only = NULL;
	bool only_all = false, found = false;
	long count = 4000;
	ssize_t bytes;
	size_t i;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'f':
			file = optarg;
			break;
		case 'o':
			only = optarg;
			break;
		case 'b':
			batches = bench_number(optarg, 1, INT_MAX, die_usage);
			break;
		case 's':
			size = bench_number(optarg, 1, INT_MAX, die_usage);
			break;
		case 'r':
			readers = bench_number(optarg, 0, MAX_READERS, die_usage);
			break;
		case 'n':
			count = bench_number(optarg, 1, LONG_MAX, die_usage);
			break;
		case 'R':
			rounds = bench_number(optarg, 1, INT_MAX, die_usage);
			break;
		case 'a':
			only_all = true;
			break;
		case 'h':
			die_usage(0);
			break;
		default:
			die_usage(2);
		}
	}
	if (optind != argc)
		die_usage(2);
	if (access(file, R_OK)) {
		fprintf(stderr, "fslist_bench: no %s\n", file);
		return 4;
	}
	/* Readers share their CPUs with the process that started them: no real-time there. */
	if (readers)
		bench_lock_memory("fslist");
	else
		bench_prepare("fslist");

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		if (only && strcmp(only, ops[i].name))
			continue;
		found = true;
		if (only_all)
			run_readers(&ops[i], readers ? readers : 1, count, &bytes);
		else if (readers)
			measure_scale(&ops[i], readers, count, rounds);
		else
			measure_one(&ops[i], batches, size);
	}
	if (!found)
		die_usage(2);
	return 0;
}
