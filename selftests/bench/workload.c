// SPDX-License-Identifier: GPL-2.0
/*
 * Small workloads whose share of each kernel function is looked at (uplift lab
 * find), between a start and an end marker: what sets them up is not counted.
 * With -- a command of the user's is run between the markers.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdalign.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_common.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define PAGE		4096
#define FILE_PAGES	256
#define CLIENTS		64

static alignas(PAGE) char page[PAGE];
static char file[PAGE], other[PAGE];
static const char *dir = "/tmp";
static int fds[2], clients[CLIENTS], epfd;
static unsigned int turn;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void all_of(ssize_t (*call)(int fd, void *buf, size_t len), int fd, size_t len)
{
	ssize_t n;

	for (; len; len -= n) {
		n = call(fd, page, len);
		must(n > 0, "transfer");
	}
}

static ssize_t writing(int fd, void *buf, size_t len)
{
	return write(fd, buf, len);
}

/* A server: each client asks, the server waits for all and takes what they have asked. */
static void set_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int i;

	epfd = epoll_create1(0);
	must(epfd >= 0, "epoll_create1");
	for (i = 0; i < CLIENTS; i++) {
		clients[i] = eventfd(0, 0);
		event.data.fd = clients[i];
		must(clients[i] >= 0 &&
		     !epoll_ctl(epfd, EPOLL_CTL_ADD, clients[i], &event), "epoll_ctl");
	}
}

static void do_epoll(void)
{
	struct epoll_event events[CLIENTS];
	unsigned long long one = 1;
	int i, n, left;

	for (i = 0; i < CLIENTS; i++)
		must(write(clients[i], &one, sizeof(one)) == sizeof(one), "write");
	for (left = CLIENTS; left > 0; left -= n) {
		n = epoll_wait(epfd, events, CLIENTS, -1);
		must(n > 0, "epoll_wait");
		for (i = 0; i < n; i++)
			must(read(events[i].data.fd, &one, sizeof(one)) == sizeof(one),
			     "read");
	}
}

static void set_file(void)
{
	int i, fd;

	snprintf(file, sizeof(file), "%s/workload-file", dir);
	snprintf(other, sizeof(other), "%s/workload-new", dir);
	fd = open(file, O_CREAT | O_TRUNC | O_RDWR, 0600);
	must(fd >= 0, file);
	for (i = 0; i < FILE_PAGES; i++)
		all_of(writing, fd, PAGE);
	must(!fsync(fd), "fsync");
	close(fd);
}

static void set_read(void)
{
	set_file();
	fds[0] = open(file, O_RDONLY);
	must(fds[0] >= 0, file);
}

static void set_direct(void)
{
	set_file();
	fds[0] = open(file, O_RDONLY | O_DIRECT);
	must(fds[0] >= 0, "O_DIRECT, which a file system has to have (--dir)");
}

static void do_read(void)
{
	turn = turn * 1664525u + 1013904223u;
	must(pread(fds[0], page, PAGE, (off_t)(turn >> 24) % FILE_PAGES * PAGE) == PAGE, "pread");
}

static void do_create(void)
{
	int fd = open(other, O_CREAT | O_EXCL | O_WRONLY, 0600);

	must(fd >= 0, other);
	all_of(writing, fd, PAGE);
	close(fd);
	must(!unlink(other), "unlink");
}

static void wait_for(pid_t pid)
{
	int status;

	must(pid > 0 && waitpid(pid, &status, 0) == pid && !status, "child");
}

static void nothing(void)
{
}

static void do_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	wait_for(pid);
}

static void do_exec(void)
{
	pid_t pid = vfork();

	if (!pid) {
		execl("/proc/self/exe", "workload", "nothing", NULL);
		_exit(1);
	}
	wait_for(pid);
}

static void set_tcp(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t size = sizeof(address);
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int listening = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(listening >= 0 && !ioctl(listening, SIOCSIFFLAGS, &lo), "loopback");
	must(!bind(listening, (struct sockaddr *)&address, sizeof(address)) &&
	     !listen(listening, 1) &&
	     !getsockname(listening, (struct sockaddr *)&address, &size), "listen");
	fds[1] = socket(AF_INET, SOCK_STREAM, 0);
	must(!connect(fds[1], (struct sockaddr *)&address, sizeof(address)), "connect");
	fds[0] = accept(listening, NULL, NULL);
	must(fds[0] >= 0, "accept");
}

static void set_pipe(void)
{
	must(!pipe(fds), "pipe");
}

/* A question and its answer of a page each, as in a database's connection. */
static void do_transfer(void)
{
	all_of(writing, fds[1], PAGE);
	all_of(read, fds[0], PAGE);
}

/* A shell's or a build's: a byte is written, the reader polls and reads. */
static void do_pipe(void)
{
	struct pollfd waiting = { .fd = fds[0], .events = POLLIN };

	all_of(writing, fds[1], 1);
	must(poll(&waiting, 1, -1) == 1, "poll");
	all_of(read, fds[0], 1);
}

static void do_list(void)
{
	int fd = open("/proc/filesystems", O_RDONLY);

	must(fd >= 0, "/proc/filesystems");
	while (read(fd, page, PAGE) > 0)
		;
	close(fd);
}

static const struct load {
	const char *name, *about;
	void (*set_up)(void);
	void (*once)(void);
} loads[] = {
	{ "server", "a server that waits for 64 descriptors", set_epoll, do_epoll },
	{ "direct", "direct reads of 4 KiB", set_direct, do_read },
	{ "buffered", "reads of 4 KiB out of the page cache", set_read, do_read },
	{ "create", "a file is made, written and removed", set_file, do_create },
	{ "fork", "fork, exit and wait", nothing, do_fork },
	{ "exec", "vfork, execve, exit and wait", nothing, do_exec },
	{ "tcp", "4 KiB through TCP over loopback", set_tcp, do_transfer },
	{ "pipe", "bytes through a pipe that is polled", set_pipe, do_pipe },
	{ "filesystems", "/proc/filesystems is read", nothing, do_list },
};

static int say_usage(int status)
{
	size_t i;

	fprintf(status ? stderr : stdout,
		"usage: workload [--dir DIR] LOAD TIMES\n       workload -- COMMAND...\nloads:\n");
	for (i = 0; i < ARRAY_SIZE(loads); i++)
		fprintf(status ? stderr : stdout, "  %-12s %s\n", loads[i].name, loads[i].about);
	return status;
}

/* Its status is the command's; 127 where it cannot be started. */
static int command(char **argv)
{
	int status;
	pid_t pid;

	marker(MARK_START);
	pid = fork();
	if (!pid) {
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	must(pid > 0 && waitpid(pid, &status, 0) == pid, "command");
	marker(MARK_END);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void die_usage(int status)
{
	exit(say_usage(status));
}

static void run(const struct load *load, long times)
{
	long i;

	load->set_up();
	load->once();	/* what is done once is done */
	marker(MARK_START);
	for (i = 0; i < times; i++)
		load->once();
	marker(MARK_END);
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc > 2 && !strcmp(argv[1], "--"))
		return command(argv + 2);
	if (argc > 3 && !strcmp(argv[1], "--dir")) {
		dir = argv[2];
		argv += 2;
		argc -= 2;
	}
	if (argc == 2 && !strcmp(argv[1], "nothing"))
		return 0;
	if (argc == 2 && !strcmp(argv[1], "--help"))
		return say_usage(0);
	for (i = 0; argc == 3 && i < ARRAY_SIZE(loads); i++) {
		if (!strcmp(loads[i].name, argv[1])) {
			run(&loads[i], bench_number(argv[2], 1, 100000000, die_usage));
			return 0;
		}
	}
	return say_usage(2);
}
