// SPDX-License-Identifier: GPL-2.0
/*
 * What common system calls cost in the arms of a backport, and whether they
 * do the same in all of them.
 *
 * With --transcript a seed chooses a long sequence of calls on pipes, eventfds,
 * sockets and timers, epoll_wait() among them; all that can be seen of them,
 * results, errors, events and data, goes into a sum for each family. The same seed has to give
 * the same sums in every arm.
 *
 * See bench_util.h for what a sample is and how arms are taken.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "kselftest.h"
#include "bench_util.h"

static int fds[2] = { -1, -1 }, ep = -1;
static char buffer[4096];

static long write_one(int fd)
{
	return bench_syscall(SYS_write, fd, (long)buffer, 1, 0);
}

static long read_one(int fd)
{
	return bench_syscall(SYS_read, fd, (long)buffer, 1, 0);
}

/* One byte in and one out; one more stays in, so that no reader is waited for. */
static long op_pipe(void)
{
	return write_one(fds[1]) + read_one(fds[0]);
}

static long op_poll(void)
{
	return bench_poll(fds[0]);
}

static long op_eventfd(void)
{
	return bench_eventfd(fds[0]);
}

static long op_timerfd(void)
{
	struct itimerspec spec = { .it_value.tv_sec = 1000 };

	return bench_syscall(SYS_timerfd_settime, fds[0], 0, (long)&spec, 0);
}

static long op_open(void)
{
	long fd = bench_syscall(SYS_openat, AT_FDCWD, (long)"/dev/null", O_RDONLY, 0);

	return fd < 0 ? fd : bench_syscall(SYS_close, fd, 0, 0, 0);
}

static long op_stat(void)
{
	return bench_stat("/dev/null", buffer);
}

static long op_fstat(void)
{
	return bench_syscall(SYS_fstat, fds[0], (long)buffer, 0, 0);
}

static long op_getdents(void)
{
	long length = bench_syscall(SYS_getdents64, fds[0], (long)buffer, sizeof(buffer), 0);

	bench_syscall(SYS_lseek, fds[0], 0, SEEK_SET, 0);
	return length > 0;
}

static long op_dup(void)
{
	long fd = bench_syscall(SYS_dup, fds[0], 0, 0, 0);

	return fd < 0 ? fd : bench_syscall(SYS_close, fd, 0, 0, 0);
}

static long op_getppid(void)
{
	return bench_syscall(SYS_getppid, 0, 0, 0, 0) < 0;
}

static void need(bool ok, const struct bench_op *op, const char *what)
{
	if (!ok)
		bench_die(op, what);
}

static void anew(const struct bench_op *op, bool ok)
{
	need(ok, op, op->name);
}

static void close_all(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
	if (ep >= 0)
		close(ep);
	ep = -1;
}

/* A new pipe for every arm, so that no arm sees what another left in it. */
static void set_pipe(const struct bench_op *op)
{
	close_all();
	anew(op, !pipe(fds) && write_one(fds[1]) == 1);
}

static void set_pipe_polled(const struct bench_op *op)
{
	set_pipe(op);
	need(op_poll() == 1, op, "poll");
}

static void set_pipe_epoll(const struct bench_op *op)
{
	struct epoll_event event = { .events = EPOLLIN };

	set_pipe(op);
	ep = epoll_create1(0);
	need(ep >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &event), op, "epoll_ctl");
	need(epoll_wait(ep, &event, 1, 0) == 1, op, "epoll_wait");
}

static void set_socket(const struct bench_op *op)
{
	close_all();
	anew(op, !socketpair(AF_UNIX, SOCK_STREAM, 0, fds) && write_one(fds[1]) == 1);
}

static void set_eventfd(const struct bench_op *op)
{
	close_all();
	fds[0] = eventfd(0, 0);
	anew(op, fds[0] >= 0);
}

static void set_timerfd(const struct bench_op *op)
{
	close_all();
	fds[0] = timerfd_create(CLOCK_MONOTONIC, 0);
	anew(op, fds[0] >= 0);
}

static void set_file(const struct bench_op *op)
{
	close_all();
	fds[0] = open("/dev/null", O_RDONLY);
	anew(op, fds[0] >= 0);
}

static void set_directory(const struct bench_op *op)
{
	close_all();
	fds[0] = open("/dev", O_RDONLY | O_DIRECTORY);
	anew(op, fds[0] >= 0);
}

static const struct known {
	struct bench_op op;
	const char *about;
} known[] = {
	{ { "syscall", "pipe_unpolled", "", op_pipe, 2, set_pipe },
	  "a byte into a pipe that is not empty, and one out" },
	{ { "syscall", "pipe_polled", "", op_pipe, 2, set_pipe_polled },
	  "the same after one poll() of it" },
	{ { "syscall", "pipe_epoll", "", op_pipe, 2, set_pipe_epoll },
	  "the same where epoll_wait() has reported it, level-triggered" },
	{ { "syscall", "poll_pipe", "", op_poll, 1, set_pipe }, "poll() of a pipe that is ready" },
	{ { "syscall", "socket", "", op_pipe, 2, set_socket },
	  "a byte into a Unix socket, and one out" },
	{ { "syscall", "poll_socket", "", op_poll, 1, set_socket }, "poll() of one that is ready" },
	{ { "syscall", "eventfd", "", op_eventfd, 16, set_eventfd },
	  "write and read of an eventfd" },
	{ { "syscall", "timerfd", "", op_timerfd, 0, set_timerfd }, "timerfd_settime()" },
	{ { "syscall", "open", "", op_open, 0, NULL }, "open and close of /dev/null" },
	{ { "syscall", "stat", "", op_stat, 0, NULL }, "stat() of it" },
	{ { "syscall", "fstat", "", op_fstat, 0, set_file }, "fstat() of it" },
	{ { "syscall", "getdents", "", op_getdents, 1, set_directory },
	  "getdents64() of /dev, and lseek()" },
	{ { "syscall", "dup", "", op_dup, 0, set_file }, "dup() and close()" },
	{ { "syscall", "getppid", "", op_getppid, 0, NULL }, "a system call that does nothing" },
};

/*
 * The transcript. All files are non-blocking and not shared, so that the results
 * depend on the seed alone.
 */

struct script {
	unsigned long long random, sum;
	unsigned long calls;
};

static unsigned int chance(struct script *script, unsigned int below)
{
	/* xorshift64* */
	script->random ^= script->random >> 12;
	script->random ^= script->random << 25;
	script->random ^= script->random >> 27;
	return (unsigned int)((script->random * 0x2545f4914f6cdd1dULL) >> 33) % below;
}

/* FNV-1a */
static void seen(struct script *script, const void *data, size_t length)
{
	const unsigned char *byte = data;

	while (length--)
		script->sum = (script->sum ^ *byte++) * 0x100000001b3ULL;
}

static long saw(struct script *script, long result)
{
	long value = result < 0 ? -errno : result;

	seen(script, &value, sizeof(value));
	script->calls++;
	return value;
}

static void saw_read(struct script *script, int fd)
{
	size_t want = 1 + chance(script, chance(script, 4) ? 64 : sizeof(buffer));
	long length = saw(script, read(fd, buffer, want));

	if (length > 0)
		seen(script, buffer, length);
}

static void saw_write(struct script *script, int fd)
{
	size_t length = 1 + chance(script, chance(script, 4) ? 64 : sizeof(buffer)), i;

	for (i = 0; i < length; i++)
		buffer[i] = (char)(script->calls + i);
	saw(script, write(fd, buffer, length));
}

static void saw_poll(struct script *script, const int *pair)
{
	struct pollfd poll_[2] = {
		{ .fd = pair[0], .events = POLLIN | (chance(script, 2) ? POLLOUT : 0) },
		{ .fd = pair[1], .events = POLLOUT | (chance(script, 2) ? POLLIN : 0) },
	};

	saw(script, poll(poll_, 2, 0));
	seen(script, &poll_[0].revents, sizeof(poll_[0].revents));
	seen(script, &poll_[1].revents, sizeof(poll_[1].revents));
}

static void saw_epoll(struct script *script, int ep)
{
	struct epoll_event events[8];
	long count = saw(script, epoll_wait(ep, events, 1 + chance(script, 8), 0));
	int i;

	for (i = 0; i < count; i++) {
		seen(script, &events[i].events, sizeof(events[i].events));
		seen(script, &events[i].data.u64, sizeof(events[i].data.u64));
	}
}

static void saw_ctl(struct script *script, int ep, int fd, unsigned long long data)
{
	static const int what[] = { EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL, EPOLL_CTL_ADD };
	struct epoll_event event = { .data.u64 = data };

	event.events = EPOLLIN;
	event.events |= chance(script, 2) ? EPOLLET : 0;
	event.events |= chance(script, 3) ? 0 : EPOLLOUT;
	event.events |= chance(script, 6) ? 0 : EPOLLONESHOT;
	saw(script, epoll_ctl(ep, what[chance(script, 4)], fd, &event));
}

#define PAIRS 4

static void open_pair(const char *family, int *pair)
{
	int failed;

	if (!strcmp(family, "pipe")) {
		failed = pipe2(pair, O_NONBLOCK);
	} else if (!strcmp(family, "packet")) {
		failed = pipe2(pair, O_NONBLOCK | O_DIRECT);
	} else if (!strcmp(family, "socket")) {
		failed = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
	} else {
		pair[0] = eventfd(0, EFD_NONBLOCK);
		pair[1] = pair[0] < 0 ? -1 : dup(pair[0]);
		failed = pair[1] < 0;
	}
	if (failed) {
		fprintf(stderr, "syscall_bench: %s: %s\n", family, strerror(errno));
		exit(1);
	}
}

static void transcript(const char *family, unsigned long long seed, unsigned long calls)
{
	struct script script = { .random = seed * 2654435761u + 88172645463325252ULL,
				 .sum = 0xcbf29ce484222325ULL };
	int pairs[PAIRS][2], epolls[2], i, end, waiting;

	for (i = 0; i < PAIRS; i++)
		open_pair(family, pairs[i]);
	for (i = 0; i < 2; i++)
		epolls[i] = epoll_create1(0);
	while (script.calls < calls) {
		i = chance(&script, PAIRS);
		end = chance(&script, 2);
		switch (chance(&script, 32)) {
		case 0 ... 7:
			saw_write(&script, pairs[i][1]);
			break;
		case 8 ... 15:
			saw_read(&script, pairs[i][0]);
			break;
		case 16 ... 19:
			saw_poll(&script, pairs[i]);
			break;
		case 20 ... 25:
			saw_epoll(&script, epolls[end]);
			break;
		case 26 ... 28:
			saw_ctl(&script, epolls[end], pairs[i][0], 2 * i);
			break;
		case 29:
			saw_ctl(&script, epolls[end], pairs[i][1], 2 * i + 1);
			break;
		case 30:
			waiting = 0;
			saw(&script, ioctl(pairs[i][end], FIONREAD, &waiting));
			seen(&script, &waiting, sizeof(waiting));
			break;
		case 31:
			/* The other end sees it go; then both are new. */
			if (chance(&script, 4))
				break;
			close(pairs[i][end]);
			if (end)
				saw_read(&script, pairs[i][0]);
			saw_epoll(&script, epolls[0]);
			close(pairs[i][!end]);
			open_pair(family, pairs[i]);
			break;
		}
	}
	for (i = 0; i < PAIRS; i++) {
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
	close(epolls[0]);
	close(epolls[1]);
	printf("%s %lu calls %016llx\n", family, script.calls, (unsigned long long)script.sum);
}

static const char *name_of(size_t i)
{
	return known[i].op.name;
}

static __noreturn void die_usage(int status)
{
	FILE *to = status ? stderr : stdout;
	size_t i;

	fprintf(to,
		"usage: syscall_bench --change NAME [options]\n"
		"       syscall_bench --transcript SEED [--calls N]\n"
		"  --change NAME    whose arms are set\n"
		"  --op NAME,...    what is measured, see below (all)\n"
		BENCH_USAGE
		"  --transcript N   no measuring: do what the seed N says, and print sums of what\n"
		"                   was seen\n"
		"  --calls N        so many calls in each family (20000)\n"
		"operations:\n");
	for (i = 0; i < ARRAY_SIZE(known); i++)
		fprintf(to, "  %-16s %s\n", known[i].op.name, known[i].about);
	exit(status);
}

int main(int argc, char **argv)
{
	static const char * const families[] = { "pipe", "packet", "socket", "eventfd" };
	static const struct option options[] = {
		{ "change", required_argument, NULL, 'c' },
		{ "op", required_argument, NULL, 'o' },
		{ "transcript", required_argument, NULL, 't' },
		{ "calls", required_argument, NULL, 'n' },
		{ }
	};
	struct bench_options opt = BENCH_OPTIONS;
	struct bench_op ops[ARRAY_SIZE(known)];
	const char *change = NULL;
	size_t chosen[ARRAY_SIZE(known)], count, i;
	unsigned long calls = 20000;
	long long seed = -1;
	char *list = NULL;
	int c;

	while ((c = bench_getopt(argc, argv, options)) != -1) {
		switch (c) {
		case 'c':
			change = optarg;
			break;
		case 'o':
			list = optarg;
			break;
		case 't':
			seed = bench_number(optarg, 0, LONG_MAX, die_usage);
			break;
		case 'n':
			calls = bench_number(optarg, 1, LONG_MAX, die_usage);
			break;
		default:
			bench_option(&opt, c, die_usage);
		}
	}
	if (optind != argc)
		die_usage(2);
	if (seed >= 0) {
		for (i = 0; i < ARRAY_SIZE(families); i++)
			transcript(families[i], seed, calls);
		return 0;
	}
	if (!change)
		die_usage(2);
	count = bench_choose(list, name_of, ARRAY_SIZE(known), chosen, die_usage);
	for (i = 0; i < count; i++)
		ops[i] = known[chosen[i]].op;
	bench_prepare("syscall");
	bench_run(change, ops, count, &opt, NULL);
	return 0;
}
