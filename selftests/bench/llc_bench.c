// SPDX-License-Identifier: GPL-2.0
/*
 * What tracking adds to a context switch.
 *
 * A token goes through pipes, to a peer and back: two switches, on the only CPU.
 * The peer is another process, or a thread of this one. Tracking is off, on, and
 * off again; then, to compare, the sched_switch event of tracefs is on. See
 * bench_util.h for what a sample is. Unlike in the other programs all tasks are of
 * the fair class, as only these are tracked.
 *
 * usage: llc_bench [--no-event] [ROUNDS]
 */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kselftest.h"
#include "bench_util.h"

#define TRACK	"/sys/kernel/debug/uplift/llc/track"
#define EVENT	"/sys/kernel/tracing/events/sched/sched_switch/enable"
/* Much longer than the occasional slow switch (7.1), much shorter than a tick. */
#define SIZE	100
#define BATCHES	60
#define WARM_UP	5000

static int to_peer[2], from_peer[2];

static long op_round_trip(void)
{
	char token = 'x';

	bench_syscall(SYS_write, to_peer[1], (long)&token, 1, 0);
	return bench_syscall(SYS_read, from_peer[0], (long)&token, 1, 0);
}

static void *peer(void *arg)
{
	char token;

	while (bench_syscall(SYS_read, to_peer[0], (long)&token, 1, 0) == 1)
		bench_syscall(SYS_write, from_peer[1], (long)&token, 1, 0);
	return NULL;
}

static void measure(const struct bench_op *op, int rounds, bool event)
{
	static const struct {
		const char *arm, *path;
	} arms[] = {
		{ "off" }, { "track", TRACK }, { "off_again" }, { "event", EVENT },
	};
	int round, i;

	/* On 6.1 it takes some thousand switches until each is like the last. */
	for (i = 0; i < WARM_UP; i++)
		if (op->run() != op->want)
			bench_die(op, op->name);
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < (event ? 4 : 3); i++) {
			if (arms[i].path && access(arms[i].path, W_OK))
				continue;
			if (arms[i].path && write_text(arms[i].path, "1"))
				bench_die(op, arms[i].path);
			bench_sample(op, arms[i].arm, round, BATCHES, SIZE);
			if (arms[i].path && write_text(arms[i].path, "0"))
				bench_die(op, arms[i].path);
		}
	}
}

static void die_usage(int status)
{
	fprintf(status ? stderr : stdout, "usage: llc_bench [--no-event] [ROUNDS]\n");
	exit(status);
}

int main(int argc, char **argv)
{
	struct bench_op op = {
		.bench = "llc", .name = "processes", .detail = "", .run = op_round_trip, .want = 1,
	};
	bool event = argc < 2 || strcmp(argv[1], "--no-event");
	int at = event ? 1 : 2;
	int rounds = argc > at ? bench_number(argv[at], 1, INT_MAX, die_usage) : 3;
	pthread_t thread;
	pid_t child;

	if (argc > at + 1)
		die_usage(2);
	/*
	 * Of the fair class, as only that is tracked, but not preempted by a wakeup of the
	 * other task: the lag of both decides which of them is, and a switch then takes
	 * another path thousands of times (7.2, 7.3).
	 */
	if (sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ }))
		bench_die(&op, "SCHED_BATCH");
	if (pipe(to_peer) || pipe(from_peer))
		bench_die(&op, "pipe");
	child = fork();
	if (child < 0)
		bench_die(&op, "fork");
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		mlockall(MCL_CURRENT | MCL_FUTURE);
		peer(NULL);
		_exit(0);
	}
	mlockall(MCL_CURRENT | MCL_FUTURE);
	measure(&op, rounds, event);
	kill(child, SIGKILL);
	/* Until it is gone it may still take the next token. */
	if (waitpid(child, NULL, 0) != child)
		bench_die(&op, "waitpid");

	op.name = "threads";
	if (pthread_create(&thread, NULL, peer, NULL))
		bench_die(&op, "pthread_create");
	measure(&op, rounds, event);
	return 0;
}
