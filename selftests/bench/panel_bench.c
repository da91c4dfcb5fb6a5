// SPDX-License-Identifier: GPL-2.0
/*
 * A panel of common operations across the kernel, for a change of which nothing
 * is known but the functions that it replaces.
 *
 * With --reach each operation is run a few times in the arm that is on, and the
 * change's counters say how often its functions were called: those that reach
 * them are what is worth measuring, the others are a sample of what must not
 * change. See bench_util.h for what a measured sample is.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "kselftest.h"
#include "bench_util.h"

#define PAGE	4096
#define BIG	65536

static int fds[4] = { -1, -1, -1, -1 };
static pid_t child;
static char buffer[BIG];
static char file[256], deep[320], missing[256];
static char *map;
static const char *dir = "/tmp";

/* --- operations --- */

static long transfer(int to, int from, long size)
{
	long sent = bench_syscall(SYS_write, to, (long)buffer, size, 0), got = 0, n;

	while (sent > 0 && got < sent) {
		n = bench_syscall(SYS_read, from, (long)buffer, sent - got, 0);
		if (n <= 0)
			return n;
		got += n;
	}
	return sent;
}

static long op_getppid(void)
{
	return bench_syscall(SYS_getppid, 0, 0, 0, 0) < 0;
}

static long op_open(void)
{
	long fd = bench_syscall(SYS_openat, AT_FDCWD, (long)deep, O_RDONLY, 0);

	return fd < 0 ? fd : bench_syscall(SYS_close, fd, 0, 0, 0);
}

static long op_stat(void)
{
	return bench_stat(deep, buffer);
}

/* A name that nothing has been asked for before, so that the file system is. */
static long op_lookup(void)
{
	static unsigned long nr;

	snprintf(missing, sizeof(missing), "%s/no-%010d-%010lu", dir, getpid(), ++nr);
	return bench_stat(missing, buffer) < 0 ? 0 : -1;
}

static long op_create(void)
{
	long fd = bench_syscall(SYS_openat, AT_FDCWD, (long)file, O_CREAT | O_EXCL | O_RDWR, 0600);

	if (fd < 0)
		return fd;
	bench_syscall(SYS_close, fd, 0, 0, 0);
	return bench_unlink(file);
}

static long op_dup(void)
{
	long fd = bench_syscall(SYS_dup, fds[0], 0, 0, 0);

	return fd < 0 ? fd : bench_syscall(SYS_close, fd, 0, 0, 0);
}

static long op_getdents(void)
{
	long length = bench_syscall(SYS_getdents64, fds[0], (long)buffer, sizeof(buffer), 0);

	bench_syscall(SYS_lseek, fds[0], 0, SEEK_SET, 0);
	return length > 0;
}

static long op_file_read(void)
{
	return bench_syscall(SYS_pread64, fds[0], (long)buffer, PAGE, 0);
}

static long op_file_write(void)
{
	return bench_syscall(SYS_pwrite64, fds[0], (long)buffer, PAGE, PAGE);
}

static long op_byte(void)
{
	return transfer(fds[1], fds[0], 1);
}

static long op_page(void)
{
	return transfer(fds[1], fds[0], PAGE);
}

static long op_big(void)
{
	return transfer(fds[1], fds[0], BIG);
}

/* The other way, from the child that sends back what it gets. */
static long op_echo(void)
{
	return bench_syscall(SYS_write, fds[1], (long)buffer, 1, 0) +
	       bench_syscall(SYS_read, fds[2], (long)buffer, 1, 0);
}

static long op_poll(void)
{
	return bench_poll(fds[0]);
}

static long op_epoll(void)
{
	struct epoll_event events[4];

	return bench_epoll_wait(fds[2], events, 4, 0);
}

static long op_eventfd(void)
{
	return bench_eventfd(fds[0]);
}

static long op_accept(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int client = socket(AF_INET, SOCK_STREAM, 0), server;
	struct linger now = { .l_onoff = 1 };

	if (client < 0 || getsockname(fds[0], (struct sockaddr *)&addr, &len) ||
	    connect(client, (struct sockaddr *)&addr, sizeof(addr)))
		return -1;
	server = accept(fds[0], NULL, NULL);
	/* No TIME_WAIT: there are ports for thousands only. */
	setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(client);
	close(server);
	return server < 0;
}

static long op_filter(void)
{
	static struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, 0);
	static struct sock_fprog program = { .len = 1, .filter = &code };

	return setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) +
	       setsockopt(fds[0], SOL_SOCKET, SO_DETACH_FILTER, &program, sizeof(program));
}

static long touch(void *area, long size)
{
	long i;

	if (area == MAP_FAILED)
		return -1;
	for (i = 0; i < size; i += PAGE)
		asm volatile("" : : "r" (((char *)area)[i]));
	return munmap(area, size);
}

static long op_anonymous(void)
{
	char *area = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i;

	if (area == MAP_FAILED)
		return -1;
	for (i = 0; i < BIG; i += PAGE)
		area[i] = 1;
	return munmap(area, BIG);
}

static long op_map_file(void)
{
	return touch(mmap(NULL, BIG, PROT_READ, MAP_SHARED, fds[0], 0), BIG);
}

static long op_mincore(void)
{
	return bench_syscall(SYS_mincore, (long)map, BIG, (long)buffer, 0);
}

static long op_mprotect(void)
{
	return bench_syscall(SYS_mprotect, (long)map, PAGE, PROT_READ, 0) +
	       bench_syscall(SYS_mprotect, (long)map, PAGE, PROT_READ | PROT_WRITE, 0);
}

static long finished(long pid)
{
	int status = -1;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

static long op_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	return finished(pid);
}

static long op_exec(void)
{
	static char * const argv[] = { "panel_bench", "--nothing", NULL };
	pid_t pid = vfork();

	if (!pid) {
		execv("/proc/self/exe", argv);
		_exit(1);
	}
	return finished(pid);
}

static long op_futex(void)
{
	static int word;

	return bench_syscall(SYS_futex, (long)&word, FUTEX_WAKE_PRIVATE, 1, 0);
}

static long op_yield(void)
{
	return bench_syscall(SYS_sched_yield, 0, 0, 0, 0);
}

static long op_sleep(void)
{
	static struct timespec least = { .tv_nsec = 1 };

	return bench_syscall(SYS_nanosleep, (long)&least, 0, 0, 0);
}

static long op_timerfd(void)
{
	struct itimerspec spec = { .it_value.tv_sec = 1000 };

	return bench_syscall(SYS_timerfd_settime, fds[0], 0, (long)&spec, 0);
}

static long op_signal(void)
{
	return bench_syscall(SYS_kill, getpid(), SIGUSR1, 0, 0);
}

/* --- what they need --- */

static void close_all(void)
{
	size_t i;

	if (child) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		child = 0;
	}
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
	if (map)
		munmap(map, BIG);
	map = NULL;
}

static bool set_file(void)
{
	fds[0] = open(deep, O_RDWR | O_CREAT, 0600);
	if (fds[0] < 0)
		return false;
	return pwrite(fds[0], buffer, BIG, 0) == BIG;
}

static bool set_directory(void)
{
	fds[0] = open(dir, O_RDONLY | O_DIRECTORY);
	return fds[0] >= 0;
}

static bool set_pipe(void)
{
	return !pipe(fds);
}

static bool set_ready_pipe(void)
{
	return set_pipe() && write(fds[1], "x", 1) == 1;
}

static bool set_echo(void)
{
	int back[2];
	char byte;

	if (pipe(fds) || pipe(back))
		return false;
	fds[2] = back[0];
	child = fork();
	if (child) {
		close(back[1]);
		return child > 0;
	}
	while (read(fds[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
		;
	_exit(0);
}

static bool set_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (!set_ready_pipe())
		return false;
	fds[2] = epoll_create1(0);
	return fds[2] >= 0 && !epoll_ctl(fds[2], EPOLL_CTL_ADD, fds[0], &event);
}

static bool set_eventfd(void)
{
	fds[0] = eventfd(0, 0);
	return fds[0] >= 0;
}

static bool set_timerfd(void)
{
	fds[0] = timerfd_create(CLOCK_MONOTONIC, 0);
	return fds[0] >= 0;
}

static bool set_unix(void)
{
	return !socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
}

static bool loopback_up(void)
{
	struct ifreq lo = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool up = fd >= 0 && !ioctl(fd, SIOCGIFFLAGS, &lo);

	if (up && !(lo.ifr_flags & IFF_UP)) {
		lo.ifr_flags |= IFF_UP;
		up = !ioctl(fd, SIOCSIFFLAGS, &lo);
	}
	if (fd >= 0)
		close(fd);
	return up;
}

static struct sockaddr_in loopback(void)
{
	return (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static bool set_listen(void)
{
	struct sockaddr_in addr = loopback();

	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	return loopback_up() && fds[0] >= 0 &&
	       !bind(fds[0], (struct sockaddr *)&addr, sizeof(addr)) && !listen(fds[0], 16);
}

static bool set_tcp(void)
{
	struct sockaddr_in addr = { };
	socklen_t len = sizeof(addr);
	int one = 1;

	if (!set_listen() || getsockname(fds[0], (struct sockaddr *)&addr, &len))
		return false;
	fds[2] = fds[0];
	fds[1] = socket(AF_INET, SOCK_STREAM, 0);
	if (fds[1] < 0 || connect(fds[1], (struct sockaddr *)&addr, sizeof(addr)))
		return false;
	setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fds[0] = accept(fds[2], NULL, NULL);
	return fds[0] >= 0;
}

static bool set_udp(void)
{
	struct sockaddr_in addr = loopback();
	socklen_t len = sizeof(addr);

	fds[0] = socket(AF_INET, SOCK_DGRAM, 0);
	fds[1] = socket(AF_INET, SOCK_DGRAM, 0);
	return loopback_up() && fds[0] >= 0 && fds[1] >= 0 &&
	       !bind(fds[0], (struct sockaddr *)&addr, sizeof(addr)) &&
	       !getsockname(fds[0], (struct sockaddr *)&addr, &len) &&
	       !connect(fds[1], (struct sockaddr *)&addr, sizeof(addr));
}

/* With a gap on either side: nothing is there that it could be merged with. */
static bool set_map(void)
{
	char *area = mmap(NULL, 3 * BIG, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		return false;
	munmap(area, BIG);
	munmap(area + 2 * BIG, BIG);
	map = area + BIG;
	return !mprotect(map, BIG, PROT_READ | PROT_WRITE);
}

static void handled(int number)
{
}

static bool set_signal(void)
{
	return signal(SIGUSR1, handled) != SIG_ERR;
}

/* @heavy: hundreds of thousands of instructions */
static const struct known {
	const char *name;
	long (*run)(void);
	long want;
	bool (*set_up)(void);
	bool heavy;
	const char *about;
} known[] = {
	{ "getppid", op_getppid, 0, NULL, false, "a system call that does nothing" },
	{ "open", op_open, 0, set_file, false, "open and close of a file" },
	{ "stat", op_stat, 0, set_file, false, "stat() of it" },
	{ "lookup", op_lookup, 0, NULL, false, "stat() of a file that is not there" },
	{ "create", op_create, 0, NULL, false, "a file is created and removed" },
	{ "dup", op_dup, 0, set_file, false, "dup() and close()" },
	{ "getdents", op_getdents, 1, set_directory, false, "a directory is read" },
	{ "file_read", op_file_read, PAGE, set_file, false, "4 KiB out of the page cache" },
	{ "file_write", op_file_write, PAGE, set_file, false, "4 KiB into it" },
	{ "pipe_1", op_byte, 1, set_pipe, false, "a byte through a pipe" },
	{ "pipe_4k", op_page, PAGE, set_pipe, false, "4 KiB through a pipe" },
	{ "pipe_64k", op_big, BIG, set_pipe, false, "64 KiB through a pipe" },
	{ "wakeup", op_echo, 2, set_echo, false, "a byte to another process and back, by pipes" },
	{ "poll", op_poll, 1, set_ready_pipe, false, "poll() of a pipe that is ready" },
	{ "epoll", op_epoll, 1, set_epoll, false, "epoll_wait() for it" },
	{ "eventfd", op_eventfd, 16, set_eventfd, false, "write and read of an eventfd" },
	{ "unix_1", op_byte, 1, set_unix, false, "a byte through a Unix socket" },
	{ "unix_4k", op_page, PAGE, set_unix, false, "4 KiB through it" },
	{ "tcp_1", op_byte, 1, set_tcp, false, "a byte through TCP" },
	{ "tcp_4k", op_page, PAGE, set_tcp, false, "4 KiB through TCP" },
	{ "udp_1", op_byte, 1, set_udp, false, "a byte through UDP" },
	{ "accept", op_accept, 0, set_listen, true, "a TCP connection is made and closed" },
	{ "filter", op_filter, 0, set_udp, true, "a socket filter is attached and detached" },
	{ "fault", op_anonymous, 0, NULL, true, "16 anonymous pages are touched" },
	{ "fault_file", op_map_file, 0, set_file, true,
	  "16 pages of a file are mapped and touched" },
	{ "mincore", op_mincore, 0, set_map, false, "mincore() of 16 pages" },
	{ "mprotect", op_mprotect, 0, set_map, false, "mprotect() there and back" },
	{ "fork", op_fork, 0, NULL, true, "fork, exit and wait" },
	{ "exec", op_exec, 0, NULL, true, "vfork, execve, exit and wait" },
	{ "futex", op_futex, 0, NULL, false, "a futex is woken that no task waits for" },
	{ "yield", op_yield, 0, NULL, false, "sched_yield()" },
	{ "sleep", op_sleep, 0, NULL, false, "the shortest nanosleep()" },
	{ "timerfd", op_timerfd, 0, set_timerfd, false, "timerfd_settime()" },
	{ "signal", op_signal, 0, set_signal, false, "a signal to oneself" },
};

static const struct known *find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(name, known[i].name))
			return &known[i];
	return NULL;
}

/* Set up anew, so that what one arm leaves is not seen by the next. */
static bool prepare(const struct known *op)
{
	close_all();
	return !op->set_up || op->set_up();
}

static void set_any(const struct bench_op *op)
{
	if (!prepare(find(op->name)))
		bench_die(op, op->name);
}

/* Can it be done here at all? */
static bool works(const struct known *op)
{
	return prepare(op) && op->run() == op->want;
}

static size_t only_those_that_work(const struct known **ops, size_t count)
{
	size_t i, left = 0;

	for (i = 0; i < count; i++)
		if (works(ops[i]))
			ops[left++] = ops[i];
	return left;
}

#define REACH	8

static void reach(const char *change, const struct known *op)
{
	char arm[32], key[48];
	long long before, after;
	int i;

	if (!works(op)) {
		printf("{\"bench\":\"panel_reach\",\"op\":\"%s\",\"skipped\":\"%s\"}\n", op->name,
		       strerror(errno));
		return;
	}
	snprintf(key, sizeof(key), "calls_%s", arm_now(change, arm, sizeof(arm)));
	before = arm_stat(change, key, NULL, 0);
	for (i = 0; i < REACH; i++)
		op->run();
	after = arm_stat(change, key, NULL, 0);
	printf("{\"bench\":\"panel_reach\",\"op\":\"%s\",\"calls\":%lld,\"runs\":%d}\n", op->name,
	       after - before, REACH);
	fflush(stdout);
}

static void sample(const struct known *op, const char *arm, int round,
		   const struct bench_options *opt)
{
	struct bench_op one = { "panel", op->name, "", op->run, op->want, set_any };
	int share = op->heavy ? 5 : 1;

	set_any(&one);
	if (opt->marked)
		bench_marked(&one, arm, opt->marked);
	else
		bench_sample(&one, arm, round, opt->batches / share ?: 1,
			     opt->size / share ?: 1);
}

/*
 * All operations in one arm, and then in the next: a change of many functions
 * takes seconds to switch.
 */
static void measure(const char *change, const struct known **ops, size_t count,
		    const struct bench_options *opt)
{
	char arms[128], *arm, *rest;
	int round, ret;
	size_t i;

	for (round = 0; round < (opt->marked ? 1 : opt->rounds); round++) {
		snprintf(arms, sizeof(arms), "%s", opt->arms);
		for (arm = strtok_r(arms, " ", &rest); arm; arm = strtok_r(NULL, " ", &rest)) {
			ret = arm_set(change, !strncmp(arm, "off", 3) ? "off" : arm);
			if (ret == -EINVAL || ret == -ENOENT)
				continue;
			if (ret) {
				fprintf(stderr, "panel_bench: %s: %s\n", arm, strerror(-ret));
				exit(1);
			}
			for (i = 0; i < count; i++)
				sample(ops[i], arm, round, opt);
		}
	}
	arm_set(change, "off");
}

static const char *name_of(size_t i)
{
	return known[i].name;
}

static void die_usage(int status)
{
	FILE *to = status ? stderr : stdout;
	size_t i;

	fprintf(to, "usage: panel_bench --change NAME [OPTIONS]\n"
		"  --op NAME,...    what is measured, see below (all)\n"
		"  --dir DIR        where files are made (/tmp)\n"
		"  --reach          no measuring: how often each reaches the change in its arm\n"
		BENCH_USAGE
		"operations:\n");
	for (i = 0; i < ARRAY_SIZE(known); i++)
		fprintf(to, "  %-16s %s\n", known[i].name, known[i].about);
	exit(status);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "change", required_argument, NULL, 'c' },
		{ "op", required_argument, NULL, 'o' },
		{ "dir", required_argument, NULL, 'd' },
		{ "reach", no_argument, NULL, 'r' },
		{ "nothing", no_argument, NULL, 'n' },
		{ }
	};
	struct bench_options opt = BENCH_OPTIONS;
	const struct known *ops[ARRAY_SIZE(known)];
	size_t chosen[ARRAY_SIZE(known)], count, i;
	const char *change = NULL;
	char *list = NULL;
	bool reaching = false;
	int c;

	while ((c = bench_getopt(argc, argv, options)) != -1) {
		switch (c) {
		case 'c':
			change = optarg;
			break;
		case 'o':
			list = optarg;
			break;
		case 'd':
			dir = optarg;
			break;
		case 'r':
			reaching = true;
			break;
		case 'n':
			return 0;
		default:
			bench_option(&opt, c, die_usage);
		}
	}
	if (optind != argc || !change)
		die_usage(2);
	snprintf(file, sizeof(file), "%s/panel_new", dir);
	snprintf(deep, sizeof(deep), "%s/panel_file", dir);
	count = bench_choose(list, name_of, ARRAY_SIZE(known), chosen, die_usage);
	if (!reaching)
		bench_prepare("panel");
	for (i = 0; i < count; i++)
		ops[i] = &known[chosen[i]];
	for (i = 0; reaching && i < count; i++)
		reach(change, ops[i]);
	if (!reaching)
		measure(change, ops, only_those_that_work(ops, count), &opt);
	close_all();
	unlink(deep);
	return 0;
}
