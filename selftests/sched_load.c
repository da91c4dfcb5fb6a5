// SPDX-License-Identifier: GPL-2.0
/*
 * Loads for comparing schedulers, and where in the machine they ran: a thread
 * asks for its CPU after each piece of work of a fixed size, under any scheduler.
 *
 * usage: sched_load [-t MS] [-w MS] LOAD
 *
 * LOAD: PxT	P processes of T threads that compute all the time
 *	 PxTp	the same, in pairs that pass a token through pipes
 *	 messages:MxW	M threads that each wake W workers, over and over: how
 *			long from the waking to the running (as schbench)
 *	 groups:G	G groups of 10 senders and 10 receivers, a process each,
 *			over sockets (as hackbench)
 *	 server:SxC	S threads that serve C clients' sockets, each request
 *			some work; C clients in processes of 4 threads
 *	 build:J	J jobs at a time: a process that starts another one that
 *			reads, computes and ends (as make -j)
 *	 storm:N	N processes at a time that are forked, compute briefly
 *			and end, beside one thread per CPU that computes: the
 *			longest that one of these waited
 *	 bound:N	on the last CPU only: a thread that computes, and N pairs
 *			that pass a token: the longest that the one waited
 *	 fifo:N		N real-time threads that compute for 300 ms and sleep as
 *			long, beside two threads per CPU that compute: the longest
 *			that one of these waited
 *
 * -t MS	how long (1000)
 * -w MS	before that, not counted (100)
 *
 * On stdout one line of JSON: per process the pieces of work by domain and how
 * often a thread had changed its domain; operations; latencies in nanoseconds.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "test_util.h"

#define MAX_CPUS	1024
#define MAX_DOMAINS	64
#define MAX_PROCESSES	256
#define MAX_THREADS	128
#define SUB		16		/* buckets per power of two */
#define BUCKETS		(48 * SUB)

struct slot {
	int pid, threads;
	atomic_ullong work[MAX_DOMAINS];
	atomic_ullong moves;
};

/* Shared by the processes with their parent. */
struct board {
	atomic_int go, counting;
	atomic_ullong ops;
	atomic_ullong longest;
	atomic_uint latency[BUCKETS];
	atomic_int slots;
	struct slot slot[MAX_PROCESSES];
};

static struct board *board;
static struct slot *mine;
static int domain_of[MAX_CPUS], domains, cpus;
static __thread int was = -1;

/* By the mask of the last level: the number of its first CPU makes the domain. */
static void read_domains(void)
{
	int cpu, leaf, first, of[MAX_CPUS];

	cpus = sysconf(_SC_NPROCESSORS_CONF);
	if (cpus > MAX_CPUS)
		cpus = MAX_CPUS;
	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		of[cpu] = -1;
	for (cpu = 0; cpu < cpus; cpu++) {
		first = 0;
		for (leaf = 0; leaf < 8; leaf++) {
			char path[128];
			FILE *file;

			snprintf(path, sizeof(path),
				 "/sys/devices/system/cpu/cpu%d/cache/index%d/shared_cpu_list", cpu,
				 leaf);
			file = fopen(path, "r");
			if (!file)
				break;
			if (fscanf(file, "%d", &first) != 1 || first < 0 || first >= MAX_CPUS)
				first = 0;
			fclose(file);
		}
		if (of[first] < 0)
			of[first] = domains < MAX_DOMAINS ? domains++ : 0;
		domain_of[cpu] = of[first];
	}
}

/* Not static, so that the compiler cannot know that it is never read. */
__thread unsigned int work_state = 1;

/* A fixed amount of computing: about 20,000 instructions. */
static void work(void)
{
	unsigned int x = work_state;
	int i, cpu, domain;

	for (i = 0; i < 3300; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
	}
	work_state = x;
	cpu = sched_getcpu();
	domain = cpu >= 0 && cpu < MAX_CPUS ? domain_of[cpu] : 0;
	if (mine && atomic_load_explicit(&board->counting, memory_order_relaxed)) {
		atomic_fetch_add_explicit(&mine->work[domain], 1, memory_order_relaxed);
		if (was >= 0 && was != domain)
			atomic_fetch_add_explicit(&mine->moves, 1, memory_order_relaxed);
	}
	was = domain;
}

static void operation(void)
{
	if (atomic_load_explicit(&board->counting, memory_order_relaxed))
		atomic_fetch_add_explicit(&board->ops, 1, memory_order_relaxed);
}

static void latency(unsigned long long ns)
{
	int power, bucket;

	if (!atomic_load_explicit(&board->counting, memory_order_relaxed))
		return;
	power = ns < SUB ? 0 : 63 - __builtin_clzll(ns) - 3;
	bucket = ns < SUB ? (int)ns : power * SUB + (int)(ns >> (power - 1) & (SUB - 1));
	atomic_fetch_add_explicit(&board->latency[bucket < BUCKETS ? bucket : BUCKETS - 1], 1,
				  memory_order_relaxed);
}

/* The least that falls into a bucket. */
static unsigned long long bucket_ns(int bucket)
{
	int power = bucket / SUB;

	return power ? (unsigned long long)(SUB + bucket % SUB) << (power - 1) :
		       (unsigned long long)bucket;
}

static void longest(unsigned long long ns)
{
	unsigned long long was_longest = atomic_load(&board->longest);

	while (atomic_load_explicit(&board->counting, memory_order_relaxed) && ns > was_longest &&
	       !atomic_compare_exchange_weak(&board->longest, &was_longest, ns))
		;
}

/* Starts a process of the load; in the child the caller must not return. */
static pid_t start(int threads)
{
	int number = atomic_fetch_add(&board->slots, 1);
	pid_t pid;

	if (number >= MAX_PROCESSES) {
		fprintf(stderr, "sched_load: %d processes at most\n", MAX_PROCESSES);
		exit(2);
	}
	pid = fork();
	if (pid < 0) {
		perror("sched_load: fork");
		exit(1);
	}
	if (pid) {
		setpgid(pid, board->slot[0].pid ? board->slot[0].pid : pid);
		board->slot[number].pid = pid;
		return pid;
	}
	mine = &board->slot[number];
	mine->threads = threads;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!atomic_load(&board->go))
		usleep(1000);
	return 0;
}

static void start_thread(void *(*function)(void *), void *arg)
{
	pthread_t id;

	if (pthread_create(&id, NULL, function, arg)) {
		fprintf(stderr, "sched_load: pthread_create fails\n");
		_exit(1);
	}
}

/* --- computing, and passing a token --- */

static void *computing(void *unused)
{
	for (;;) {
		work();
		operation();
	}
	return NULL;
}

struct passing {
	int in, out;
};

static void *passing(void *arg)
{
	struct passing *passing = arg;
	char token;

	while (read(passing->in, &token, 1) == 1) {
		work();
		operation();
		if (write(passing->out, &token, 1) != 1)
			break;
	}
	return NULL;
}

/* Called by the threads of a shape before they begin, to bind them; or NULL. */
static void (*shape_on)(void);

static void shape(int processes, int threads, bool pairs)
{
	static struct passing passings[MAX_THREADS];
	int i, pipes[2][2];

	while (processes--) {
		if (start(threads))
			continue;
		if (shape_on)
			shape_on();
		for (i = 0; i < threads; i++) {
			if (pairs && i % 2 == 0 &&
			    (pipe(pipes[0]) || pipe(pipes[1]) || write(pipes[0][1], "x", 1) != 1))
				_exit(1);
			passings[i].in = pipes[i % 2][0];
			passings[i].out = pipes[!(i % 2)][1];
			/* The first thread works, too: no thread only waits. */
			if (i)
				start_thread(pairs ? passing : computing, &passings[i]);
		}
		pairs ? passing(&passings[0]) : computing(NULL);
		_exit(1);
	}
}

/* --- waking workers --- */

struct worker {
	int wake;
	atomic_ullong woken;
};

static struct worker workers[MAX_THREADS][MAX_THREADS];

static void *worker(void *arg)
{
	struct worker *self = arg;
	unsigned long long value, began;
	int i;

	while (read(self->wake, &value, 8) == 8) {
		/* woken again meanwhile, it would be later than now */
		began = atomic_load(&self->woken);
		latency(ns_now() - began);
		for (i = 0; i < 5; i++)
			work();
		operation();
	}
	return NULL;
}

struct messenger {
	int number, workers;
};

static void *messenger(void *arg)
{
	struct messenger *self = arg;
	unsigned long long one = 1;
	int i;

	for (;;) {
		for (i = 0; i < self->workers; i++) {
			struct worker *to = &workers[self->number][i];

			atomic_store(&to->woken, ns_now());
			if (write(to->wake, &one, 8) != 8)
				_exit(1);
		}
		work();
		usleep(1000);
	}
	return NULL;
}

static void messages(int messengers, int each)
{
	static struct messenger all[MAX_THREADS];
	int i, j;

	if (start(messengers * (each + 1)))
		return;
	for (i = 0; i < messengers; i++) {
		for (j = 0; j < each; j++) {
			workers[i][j].wake = eventfd(0, 0);
			start_thread(worker, &workers[i][j]);
		}
		all[i].number = i;
		all[i].workers = each;
		if (i)
			start_thread(messenger, &all[i]);
	}
	messenger(&all[0]);
}

/* --- groups that send --- */

#define GROUP	10

static void *receiver(void *arg)
{
	char data[100];

	while (read(*(int *)arg, data, sizeof(data)) == sizeof(data)) {
		operation();
		work();
	}
	return NULL;
}

static void *sender(void *arg)
{
	int *to = arg, i;
	char data[100] = "";

	for (;;) {
		for (i = 0; i < GROUP; i++) {
			if (write(to[i], data, sizeof(data)) != sizeof(data))
				return NULL;
		}
		work();
	}
}

static void groups(int number)
{
	static int in[GROUP], out[GROUP];
	int i, ends[2];

	while (number--) {
		if (start(2 * GROUP))
			continue;
		for (i = 0; i < GROUP; i++) {
			if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
				_exit(1);
			in[i] = ends[0];
			out[i] = ends[1];
			start_thread(receiver, &in[i]);
		}
		for (i = 1; i < GROUP; i++)
			start_thread(sender, out);
		sender(out);
		_exit(1);
	}
}

/* --- a server --- */

static int polled;

static void *serving(void *unused)
{
	struct epoll_event event;
	unsigned long long sent;

	while (epoll_wait(polled, &event, 1, -1) == 1) {
		if (read(event.data.fd, &sent, 8) != 8)
			break;
		work();
		work();
		if (write(event.data.fd, &sent, 8) != 8)
			break;
		event.events = EPOLLIN | EPOLLONESHOT;
		epoll_ctl(polled, EPOLL_CTL_MOD, event.data.fd, &event);
	}
	return NULL;
}

static void *client(void *arg)
{
	unsigned long long sent;
	int fd = *(int *)arg;

	for (;;) {
		sent = ns_now();
		if (write(fd, &sent, 8) != 8 || read(fd, &sent, 8) != 8)
			return NULL;
		latency(ns_now() - sent);
		operation();
		work();
	}
}

static void server(int threads, int clients)
{
	static int ends[MAX_THREADS][2];
	struct epoll_event event;
	int i, j;

	for (i = 0; i < clients; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i])) {
			perror("sched_load: socketpair");
			exit(1);
		}
	}
	if (!start(threads)) {
		polled = epoll_create1(0);
		for (i = 0; i < clients; i++) {
			event.events = EPOLLIN | EPOLLONESHOT;
			event.data.fd = ends[i][0];
			epoll_ctl(polled, EPOLL_CTL_ADD, ends[i][0], &event);
		}
		for (i = 1; i < threads; i++)
			start_thread(serving, NULL);
		serving(NULL);
		_exit(1);
	}
	for (i = 0; i < clients; i += 4) {
		if (start(4))
			continue;
		for (j = i + 1; j < clients && j < i + 4; j++)
			start_thread(client, &ends[j][1]);
		client(&ends[i][1]);
		_exit(1);
	}
}

/* --- jobs --- */

/* A compiler: it reads what another one writes, and computes. */
static void job(void)
{
	int ends[2], i;
	char data[4096] = "";
	pid_t pid;

	if (pipe(ends))
		_exit(1);
	pid = fork();
	if (!pid) {
		close(ends[0]);
		for (i = 0; i < 8; i++) {
			work();
			if (write(ends[1], data, sizeof(data)) != sizeof(data))
				break;
		}
		_exit(0);
	}
	close(ends[1]);
	while (read(ends[0], data, sizeof(data)) > 0)
		work();
	for (i = 0; i < 40; i++)
		work();
	waitpid(pid, NULL, 0);
	_exit(0);
}

static void build(int jobs)
{
	int running = 0;

	if (start(1))
		return;
	for (;;) {
		if (running < jobs) {
			pid_t pid = fork();

			if (!pid)
				job();
			running += pid > 0;
			continue;
		}
		if (wait(NULL) > 0) {
			running--;
			operation();
		}
	}
}

/* --- a storm --- */

/* Time between two short pieces of work is time that the thread waited. */
static void *watched(void *unused)
{
	unsigned long long before = ns_now(), now;

	for (;;) {
		work();
		now = ns_now();
		longest(now - before);
		latency(now - before);
		before = now;
	}
	return NULL;
}

static void storm(int forks)
{
	int i, running = 0;

	if (!start(cpus)) {
		for (i = 1; i < cpus; i++)
			start_thread(watched, NULL);
		watched(NULL);
	}
	if (start(1))
		return;
	mine = NULL;
	for (;;) {
		if (running < forks) {
			unsigned long long began = ns_now();
			pid_t pid = fork();

			if (!pid) {
				longest(ns_now() - began);
				for (i = 0; i < 5; i++)
					work();
				_exit(0);
			}
			running += pid > 0;
			continue;
		}
		if (wait(NULL) > 0) {
			running--;
			operation();
		}
	}
}

/* --- in the way of others --- */

static void to_last_cpu(void)
{
	if (pin_to_cpu(cpus - 1)) {
		perror("sched_load: sched_setaffinity");
		_exit(1);
	}
}

static void bound(int pairs)
{
	shape_on = to_last_cpu;
	if (!start(1)) {
		to_last_cpu();
		watched(NULL);
	}
	shape(1, 2 * pairs, true);
}

static void *commanding(void *unused)
{
	static const struct sched_param param = { .sched_priority = 10 };
	unsigned long long until;

	if (pthread_setschedparam(pthread_self(), SCHED_FIFO, &param)) {
		fprintf(stderr, "sched_load: SCHED_FIFO is not allowed\n");
		_exit(1);
	}
	for (;;) {
		usleep(300000);
		until = ns_now() + 300000000;
		while (ns_now() < until)
			work();
	}
	return NULL;
}

static void fifo(int threads)
{
	int i;

	if (!start(2 * cpus)) {
		for (i = 1; i < 2 * cpus; i++)
			start_thread(watched, NULL);
		watched(NULL);
	}
	if (start(threads))
		return;
	mine = NULL;
	for (i = 1; i < threads; i++)
		start_thread(commanding, NULL);
	commanding(NULL);
}

/* --- the whole --- */

static bool start_load(const char *load)
{
	int a, b;
	char end[2] = "";

	if (sscanf(load, "messages:%dx%d%1s", &a, &b, end) == 2 && a > 0 && b > 0 &&
	    a < MAX_THREADS && b < MAX_THREADS)
		messages(a, b);
	else if (sscanf(load, "groups:%d%1s", &a, end) == 1 && a > 0)
		groups(a);
	else if (sscanf(load, "server:%dx%d%1s", &a, &b, end) == 2 && a > 0 && b > 0 &&
		 b <= MAX_THREADS)
		server(a, b);
	else if (sscanf(load, "build:%d%1s", &a, end) == 1 && a > 0)
		build(a);
	else if (sscanf(load, "storm:%d%1s", &a, end) == 1 && a > 0)
		storm(a);
	else if (sscanf(load, "bound:%d%1s", &a, end) == 1 && a > 0 && a <= MAX_THREADS / 2)
		bound(a);
	else if (sscanf(load, "fifo:%d%1s", &a, end) == 1 && a > 0 && a < MAX_THREADS)
		fifo(a);
	else if (sscanf(load, "%dx%d%1s", &a, &b, end) >= 2 && a > 0 && b > 0 &&
		 b <= MAX_THREADS && (!*end || (*end == 'p' && b % 2 == 0)))
		shape(a, b, *end);
	else
		return false;
	return true;
}

/* The processes hold nothing that outlives them. */
static void stop_load(void)
{
	int i;

	for (i = 0; i < board->slots; i++) {
		kill(-board->slot[i].pid, SIGKILL);
		kill(board->slot[i].pid, SIGKILL);
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void print(const char *load, unsigned long long length)
{
	static const int percent[] = { 500, 900, 990, 999 };
	unsigned long long total = 0, below;
	unsigned int n;
	int i, j;

	printf("{\"load\": \"%s\", \"ns\": %llu, \"ops\": %llu, ", load, length,
	       (unsigned long long)board->ops);
	printf("\"longest_ns\": %llu, \"processes\": [", (unsigned long long)board->longest);
	for (i = 0; i < board->slots; i++) {
		struct slot *slot = &board->slot[i];

		printf("%s{\"pid\": %d, \"threads\": %d, ", i ? ", " : "", slot->pid,
		       slot->threads);
		printf("\"moves\": %llu, \"work\": [", (unsigned long long)slot->moves);
		for (j = 0; j < domains; j++)
			printf("%s%llu", j ? ", " : "", (unsigned long long)slot->work[j]);
		printf("]}");
	}
	printf("], \"latency_ns\": {");
	for (i = 0; i < BUCKETS; i++)
		total += board->latency[i];
	printf("\"count\": %llu", total);
	for (n = 0; total && n < sizeof(percent) / sizeof(*percent); n++) {
		for (i = 0, below = 0; i < BUCKETS; i++) {
			below += board->latency[i];
			if (below * 1000 >= total * percent[n])
				break;
		}
		printf(", \"p%g\": %llu", percent[n] / 10.0, bucket_ns(i));
	}
	for (i = BUCKETS - 1; total && i >= 0; i--) {
		if (board->latency[i]) {
			printf(", \"max\": %llu", bucket_ns(i));
			break;
		}
	}
	printf("}}\n");
}

int main(int argc, char **argv)
{
	int opt, length = 1000, warm = 100;
	unsigned long long began;

	while ((opt = getopt(argc, argv, "t:w:")) != -1) {
		switch (opt) {
		case 't':
			length = atoi(optarg);
			break;
		case 'w':
			warm = atoi(optarg);
			break;
		default:
			goto usage;
		}
	}
	if (optind != argc - 1 || length <= 0 || warm < 0)
		goto usage;
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (board == MAP_FAILED) {
		perror("sched_load: mmap");
		return 1;
	}
	read_domains();
	if (!start_load(argv[optind])) {
		stop_load();
		goto usage;
	}
	atomic_store(&board->go, 1);
	usleep(warm * 1000);
	atomic_store(&board->counting, 1);
	began = ns_now();
	usleep(length * 1000);
	atomic_store(&board->counting, 0);
	began = ns_now() - began;
	stop_load();
	print(argv[optind], began);
	return 0;
usage:
	fputs("usage: sched_load [-t MS] [-w MS] LOAD\n"
	      "LOAD: PxT PxTp messages:MxW groups:G server:SxC build:J storm:N bound:N fifo:N\n",
	      stderr);
	return 2;
}
