// SPDX-License-Identifier: GPL-2.0
/*
 * What an epoll_wait() costs with a number of ready descriptors.
 *
 * Eventfds that are ready and stay so, level-triggered, all of them delivered
 * by each call. See bench_util.h for what a sample is and how arms are taken.
 *
 * With --marked N each arm does N calls between markers, for the plugin that
 * counts stac, clac and calls (scripts/upliftlib/lab/plugin/insns.c).
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "kselftest.h"
#include "bench_util.h"

#define MAX_READY	4096

static struct epoll_event events[MAX_READY];
static int ep = -1, ready;

static long op_epoll_wait(void)
{
	return bench_epoll_wait(ep, events, ready, 0);
}

static long op_getppid(void)
{
	return bench_syscall(SYS_getppid, 0, 0, 0, 0) < 0;
}

/* An epoll of @op->want eventfds; their descriptors stay open until the end. */
static void set_up(const struct bench_op *op)
{
	struct epoll_event event = { .events = EPOLLIN };
	int i, fd;

	if (op->run != op_epoll_wait)
		return;
	if (ep >= 0)
		close(ep);
	ready = op->want;
	ep = epoll_create1(0);
	if (ep < 0)
		bench_die(op, "epoll_create1");
	for (i = 0; i < ready; i++) {
		static int fds[MAX_READY];

		if (!fds[i])
			fds[i] = eventfd(1, 0);
		fd = fds[i];
		event.data.u64 = i;
		if (fd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event))
			bench_die(op, "eventfd");
	}
}

static __noreturn void die_usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: epoll_bench [options]\n"
		"  --ready N,...    ready eventfds (1,16,256)\n"
		BENCH_USAGE
		"  --getppid        measure getppid(), too: what a system call costs\n");
	exit(status);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "ready", required_argument, NULL, 'e' },
		{ "getppid", no_argument, NULL, 'g' },
		{ }
	};
	struct bench_options opt = BENCH_OPTIONS;
	struct rlimit files = { MAX_READY + 64, MAX_READY + 64 };
	char list[128] = "1,16,256", *word, *rest;
	static char detail[16][32];
	struct bench_op ops[16] = {};
	bool getppid_too = false;
	size_t count = 0;
	int c;

	while ((c = bench_getopt(argc, argv, options)) != -1) {
		switch (c) {
		case 'e':
			snprintf(list, sizeof(list), "%s", optarg);
			break;
		case 'g':
			getppid_too = true;
			break;
		default:
			bench_option(&opt, c, die_usage);
		}
	}
	if (optind != argc)
		die_usage(2);
	for (word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		int n = bench_number(word, 1, MAX_READY, die_usage);

		if (count == ARRAY_SIZE(ops) - 1)
			die_usage(2);
		snprintf(detail[count], sizeof(detail[count]), ",\"ready\":%d", n);
		ops[count] = (struct bench_op){ "epoll", "epoll_wait", detail[count],
						op_epoll_wait, n };
		count++;
	}
	if (getppid_too)
		ops[count++] = (struct bench_op){ "epoll", "getppid", "", op_getppid, 0 };
	if (!count)
		die_usage(2);
	setrlimit(RLIMIT_NOFILE, &files);
	bench_prepare("epoll");
	bench_run("epoll", ops, count, &opt, set_up);
	return 0;
}
