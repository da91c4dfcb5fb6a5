// SPDX-License-Identifier: GPL-2.0
/*
 * Load with a known shape for the scheduler, the same on every machine, and the
 * processes.json of uplift_llc meanwhile.
 *
 * usage: llc_load [-t MS] [-i MS] [-o FILE] [-k KIB] SHAPE...
 *
 * SHAPE: PxT	P processes of T threads that compute all the time
 *	  PxTp	the same, in pairs that pass a token through pipes
 *	  PxTs	that take some ticks in a system call, and then sleep in it
 *
 * -t MS	how long (1000)
 * -i MS	how often to read it (20), and -o FILE where to put it: a
 *		line "@ MS SIZE", and SIZE bytes of processes.json
 * -k KIB	memory that each process writes to again and again
 *
 * On stdout: a line of JSON per process: pid, shape, threads, rounds done.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "llc_util.h"

#define MAX_SHAPES	8
#define MAX_PROCESSES	64
#define MAX_THREADS	64
#define PAGE		4096
#define PIPE		(8 << 20)

struct shape {
	const char *name;
	int processes, threads;
	bool pairs, sleeps;
};

struct worker {
	int number, in, out;
	unsigned long long rounds;
};

/* Shared by the processes with their parent. */
struct board {
	atomic_int go;
	atomic_ullong rounds[MAX_PROCESSES];
};

static struct board *board;
static size_t memory_kib;
static char *memory;

/* A fixed amount of computing: about 20,000 instructions, 60 with memory. */
static void compute(struct worker *worker)
{
	static __thread unsigned int state;
	static __thread size_t at;
	int i;

	if (!state)
		state = worker->number + 1;
	for (i = 0; i < 2000; i++)
		next_random(&state);
	for (i = 0; memory && i < 64; i++) {
		at = (at + PAGE) % (memory_kib * 1024);
		memory[at] = state;
	}
	worker->rounds++;
}

static void *computing(void *arg)
{
	for (;;)
		compute(arg);
	return NULL;
}

/* Wait for the token, compute, pass it on. */
static void *passing(void *arg)
{
	struct worker *worker = arg;
	char token;

	while (read(worker->in, &token, 1) == 1) {
		compute(worker);
		if (write(worker->out, &token, 1) != 1)
			break;
	}
	return NULL;
}

/* Write more than the pipe takes, with one call. */
static void *sleeping(void *arg)
{
	char *data = calloc(1, PIPE + PAGE);
	int ends[2];

	if (!data || pipe(ends) || fcntl(ends[1], F_SETPIPE_SZ, PIPE) < PIPE)
		_exit(1);
	if (write(ends[1], data, PIPE + PAGE) >= 0)
		_exit(1);
	return NULL;
}

/* One process, which runs until it is killed. */
static void process(const struct shape *shape, int slot)
{
	static struct worker workers[MAX_THREADS];
	void *(*work)(void *) = shape->sleeps ? sleeping : shape->pairs ? passing : computing;
	unsigned long long rounds;
	int i, pipes[2][2];
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, shape->name);
	if (memory_kib) {
		memory = mmap(NULL, memory_kib * 1024, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (memory == MAP_FAILED)
			_exit(1);
	}
	while (!atomic_load(&board->go))
		usleep(1000);
	for (i = 0; i < shape->threads; i++) {
		workers[i].number = i;
		if (shape->pairs && i % 2 == 0) {
			if (pipe(pipes[0]) || pipe(pipes[1]) || write(pipes[0][1], "x", 1) != 1)
				_exit(1);
		}
		workers[i].in = pipes[i % 2][0];
		workers[i].out = pipes[!(i % 2)][1];
		/* The first thread works, too, so that no thread only waits. */
		if (i && pthread_create(&thread, NULL, work, &workers[i]))
			_exit(1);
	}
	if (shape->sleeps)
		sleeping(&workers[0]);
	if (shape->pairs) {
		char token;

		while (read(workers[0].in, &token, 1) == 1) {
			compute(&workers[0]);
			if (write(workers[0].out, &token, 1) != 1)
				break;
			atomic_store(&board->rounds[slot], workers[0].rounds);
		}
		_exit(1);
	}
	for (;;) {
		compute(&workers[0]);
		for (i = 0, rounds = 0; i < shape->threads; i++)
			rounds += workers[i].rounds;
		atomic_store(&board->rounds[slot], rounds);
	}
}

static bool parse_shape(const char *text, struct shape *shape)
{
	char end[2] = "";
	int n = sscanf(text, "%dx%d%1s", &shape->processes, &shape->threads, end);

	shape->name = text;
	shape->pairs = *end == 'p';
	shape->sleeps = *end == 's';
	return n >= 2 && (!*end || shape->pairs || shape->sleeps) && strlen(text) < 16 &&
	       shape->processes > 0 && shape->threads > 0 && shape->threads <= MAX_THREADS &&
	       !(shape->pairs && shape->threads % 2);
}

/* Reads processes.json, and writes it with the time before it. */
static void look(FILE *to, double ms)
{
	size_t size;
	char *text = read_file_by(LLC_DIR "/processes.json", 0, &size);

	if (!text)
		return;
	fprintf(to, "@ %.1f %zu\n", ms, size);
	fwrite(text, 1, size, to);
	free(text);
}

int main(int argc, char **argv)
{
	int opt, i, j, n = 0, nr = 0, interval = 20, length = 1000, status, code = 0;
	struct shape shapes[MAX_SHAPES], *of[MAX_PROCESSES];
	pid_t pid[MAX_PROCESSES];
	FILE *to = NULL;
	double began;

	while ((opt = getopt(argc, argv, "t:i:o:k:")) != -1) {
		switch (opt) {
		case 't':
			length = atoi(optarg);
			break;
		case 'i':
			interval = atoi(optarg);
			break;
		case 'o':
			to = fopen(optarg, "w");
			if (!to) {
				perror(optarg);
				return 1;
			}
			break;
		case 'k':
			memory_kib = strtoul(optarg, NULL, 10);
			break;
		default:
			goto usage;
		}
	}
	for (i = optind; i < argc; i++) {
		if (nr == MAX_SHAPES || !parse_shape(argv[i], &shapes[nr]) ||
		    n + shapes[nr].processes > MAX_PROCESSES)
			goto usage;
		for (j = 0; j < shapes[nr].processes; j++)
			of[n++] = &shapes[nr];
		nr++;
	}
	if (!nr || length <= 0 || interval <= 0)
		goto usage;

	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (board == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (i = 0; i < n; i++) {
		pid[i] = fork();
		if (pid[i] < 0) {
			perror("fork");
			return 1;
		}
		if (!pid[i])
			process(of[i], i);
	}
	atomic_store(&board->go, 1);
	began = seconds_now();
	while ((seconds_now() - began) * 1000 < length) {
		usleep(interval * 1000);
		if (to)
			look(to, (seconds_now() - began) * 1000);
	}
	if (to && fclose(to)) {
		perror("samples");
		code = 1;
	}
	for (i = 0; i < n; i++)
		kill(pid[i], SIGKILL);
	for (i = 0; i < n; i++) {
		waitpid(pid[i], &status, 0);
		if (!WIFSIGNALED(status)) {
			fprintf(stderr, "process %d ended by itself, status %#x\n", pid[i], status);
			code = 1;
		}
		printf("{\"pid\": %d, \"shape\": \"%s\", \"threads\": %d, \"rounds\": %llu}\n",
		       pid[i], of[i]->name, of[i]->threads,
		       (unsigned long long)atomic_load(&board->rounds[i]));
	}
	return code;
usage:
	fprintf(stderr,
		"usage: llc_load [-t MS] [-i MS] [-o FILE] [-k KIB] PxT[p|s]...\n");
	return 2;
}
