// SPDX-License-Identifier: GPL-2.0
/*
 * How the scheduler shares CPUs: tasks of several kinds compute side by side, and
 * what each kind got is read from their CPU clocks.
 *
 * usage: sched_share [-t MS] [-w MS] KIND...
 *
 * KIND: COUNTxNICE[,OPTION...]	COUNT tasks of a nice level, or of "idle" or "batch"
 *	mask=HEX	that may run on these CPUs only
 *	group=DIR	in this cgroup
 *	sleep=MS	that compute for a millisecond and sleep for so long, over and over
 *	merge=MB	that have so much memory for the kernel to look for equal pages in (ksmd)
 *
 * -t MS	how long (1000)
 * -w MS	before that, not counted (200)
 *
 * On stdout a line per kind: its share of what all got, in tenths of a percent; CPU
 * time in microseconds; the longest that one of its tasks that never sleep waited,
 * in microseconds; the kind.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "test_util.h"

#define MAX_KINDS	16
#define MAX_TASKS	1024

struct kind {
	const char *text;
	int count, nice, policy, sleep_ms, merge_mb;
	unsigned long mask;
	char group[256];
	long long ran, longest;
};

struct task {
	pid_t pid;
	struct kind *kind;
	long long before;
};

/* Shared by the tasks with their parent. */
struct board {
	atomic_int go, counting;
	atomic_llong longest[MAX_KINDS];
};

static struct board *board;
static struct kind kinds[MAX_KINDS];
static struct task tasks[MAX_TASKS];
static int nr_kinds, nr_tasks;

static bool parse_option(struct kind *kind, const char *option)
{
	char end;

	return sscanf(option, "mask=%lx%c", &kind->mask, &end) == 1 ||
	       sscanf(option, "sleep=%d%c", &kind->sleep_ms, &end) == 1 ||
	       sscanf(option, "merge=%d%c", &kind->merge_mb, &end) == 1 ||
	       sscanf(option, "group=%255s", kind->group) == 1;
}

static bool parse(struct kind *kind, const char *text)
{
	char copy[512], name[32], *option, *end = name;

	kind->text = text;
	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return false;
	option = strtok(copy, ",");
	if (!option || sscanf(option, "%dx%31s", &kind->count, name) != 2 || kind->count < 1)
		return false;
	if (!strcmp(name, "idle"))
		kind->policy = SCHED_IDLE;
	else if (!strcmp(name, "batch"))
		kind->policy = SCHED_BATCH;
	else
		kind->nice = strtol(name, &end, 10);
	if (kind->policy == SCHED_OTHER && (end == name || *end))
		return false;
	while ((option = strtok(NULL, ","))) {
		if (!parse_option(kind, option))
			return false;
	}
	return true;
}

static void must(bool held, const char *what)
{
	if (held)
		return;
	perror(what);
	_exit(1);
}

/* Pages of which no two are equal. */
static void have_memory(int mb)
{
	size_t i, size = (size_t)mb << 20;
	unsigned long *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(memory != MAP_FAILED && !madvise(memory, size, MADV_MERGEABLE), "memory");
	for (i = 0; i < size / sizeof(*memory); i += 512)
		memory[i] = i + 1;
}

static void become(const struct kind *kind)
{
	struct sched_param none = {};
	char path[300];
	FILE *procs;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (kind->merge_mb)
		have_memory(kind->merge_mb);
	if (kind->mask)
		must(!syscall(SYS_sched_setaffinity, 0, sizeof(kind->mask), &kind->mask),
		     "affinity");
	if (*kind->group) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", kind->group);
		procs = fopen(path, "w");
		must(procs && fprintf(procs, "0") > 0 && !fclose(procs), path);
	}
	if (kind->policy)
		must(!sched_setscheduler(0, kind->policy, &none), "policy");
	else
		must(!setpriority(PRIO_PROCESS, 0, kind->nice), "nice");
}

/* Not static, so that the compiler cannot know that it is never read. */
unsigned int compute_state = 1;

static void compute(void)
{
	int i;

	for (i = 0; i < 2000; i++) {
		compute_state ^= compute_state << 13;
		compute_state ^= compute_state >> 17;
		compute_state ^= compute_state << 5;
	}
}

static void waited(int number, long long ns)
{
	long long most = atomic_load(&board->longest[number]);

	while (atomic_load(&board->counting) && ns > most &&
	       !atomic_compare_exchange_weak(&board->longest[number], &most, ns))
		;
}

static void task(const struct kind *kind)
{
	long long now, before, awake;

	become(kind);
	while (!atomic_load(&board->go))
		usleep(1000);
	for (before = ns_now(), awake = before;; before = now) {
		compute();
		now = ns_now();
		if (!kind->sleep_ms) {
			waited(kind - kinds, now - before);
		} else if (now - awake >= 1000000) {
			usleep(kind->sleep_ms * 1000);
			now = ns_now();
			awake = now;
		}
	}
}

static void start(void)
{
	int i, j;

	for (i = 0; i < nr_kinds; i++) {
		for (j = 0; j < kinds[i].count; j++) {
			struct task *one = &tasks[nr_tasks];

			if (nr_tasks == MAX_TASKS)
				return;
			one->kind = &kinds[i];
			one->pid = fork();
			must(one->pid >= 0, "fork");
			if (!one->pid)
				task(&kinds[i]);
			nr_tasks++;
		}
	}
}

static long long cpu_ns(pid_t pid)
{
	struct timespec ran;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ran))
		return -1;
	return ran.tv_sec * 1000000000LL + ran.tv_nsec;
}

/* Tasks that end themselves could not be as wanted. */
static bool measure(int length)
{
	bool all = true;
	int i;

	for (i = 0; i < nr_tasks; i++)
		tasks[i].before = cpu_ns(tasks[i].pid);
	atomic_store(&board->counting, 1);
	usleep(length * 1000);
	atomic_store(&board->counting, 0);
	for (i = 0; i < nr_tasks; i++) {
		long long after = cpu_ns(tasks[i].pid);

		all = all && tasks[i].before >= 0 && after >= 0 &&
		      !waitpid(tasks[i].pid, NULL, WNOHANG);
		tasks[i].kind->ran += after - tasks[i].before;
	}
	return all;
}

static void print(void)
{
	long long total = 0;
	int i;

	for (i = 0; i < nr_kinds; i++)
		total += kinds[i].ran;
	for (i = 0; i < nr_kinds; i++)
		printf("%lld %lld %lld %s\n", total ? (kinds[i].ran * 1000 + total / 2) / total : 0,
		       kinds[i].ran / 1000, (long long)board->longest[i] / 1000, kinds[i].text);
}

int main(int argc, char **argv)
{
	int opt, length = 1000, warm = 200, i;
	struct sched_param high = { .sched_priority = 1 };
	bool all;

	while ((opt = getopt(argc, argv, "t:w:")) != -1) {
		if (opt == 't')
			length = atoi(optarg);
		else if (opt == 'w')
			warm = atoi(optarg);
		else
			goto usage;
	}
	if (length <= 0 || warm < 0 || optind == argc || argc - optind > MAX_KINDS)
		goto usage;
	for (; optind < argc; optind++) {
		if (!parse(&kinds[nr_kinds++], argv[optind]))
			goto usage;
	}
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(board != MAP_FAILED, "mmap");
	start();
	/* who measures does not wait for who is measured */
	sched_setscheduler(0, SCHED_FIFO, &high);
	atomic_store(&board->go, 1);
	usleep(warm * 1000);
	all = measure(length);
	for (i = 0; i < nr_tasks; i++)
		kill(tasks[i].pid, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	if (!all) {
		fputs("sched_share: a task ended\n", stderr);
		return 1;
	}
	print();
	return 0;
usage:
	fputs("usage: sched_share [-t MS] [-w MS] COUNTxNICE|idle|batch[,OPTION]...\n"
	      "OPTION: mask=HEX group=DIR sleep=MS merge=MB\n", stderr);
	return 2;
}
