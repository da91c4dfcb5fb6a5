// SPDX-License-Identifier: GPL-2.0
/*
 * Delivery of epoll's events, in the arm that is on.
 *
 * However events are copied, these must stay as they are: which items are
 * delivered and in what order, where the rest stays when the copy faults at any
 * byte of any event, and what each kind of trigger leaves behind. Most tests
 * state that themselves. random_operations has a model of the ready list, order
 * included, and compares every wait with it: it finds reorderings that no other
 * test covers.
 *
 * Environment: EPOLL_OPS, operations of the random test (20000); EPOLL_SEED.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <linux/types.h>
#include <arpa/inet.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "arm_util.h"
#include "patience.h"

#define EVENT		sizeof(struct epoll_event)	/* 12 on x86-64, packed */
#define FAULT_ITEMS	32

#ifndef EPIOCSPARAMS
struct epoll_params {
	__u32 busy_poll_usecs;
	__u16 busy_poll_budget;
	__u8 prefer_busy_poll;
	__u8 __pad;
};

#define EPIOCSPARAMS	_IOW(0x8A, 0x01, struct epoll_params)
#define EPIOCGPARAMS	_IOR(0x8A, 0x02, struct epoll_params)
#endif

/* Ways into the kernel. All return the count or -errno, and do not wait. */

static int by_wait(int ep, void *events, int max)
{
	int n = epoll_wait(ep, events, max, 0);

	return n < 0 ? -errno : n;
}

static int by_pwait2(int ep, void *events, int max)
{
	struct timespec zero = {};
	int n = syscall(SYS_epoll_pwait2, ep, events, max, &zero, NULL, 8);

	return n < 0 ? -errno : n;
}

/* As a 32-bit task does it, with the same layout of the event. @events below 4 GiB. */
static int by_int80(int ep, void *events, int max)
{
#if defined(__x86_64__)
	int ret;

	asm volatile("int $0x80" : "=a" (ret)
		     : "a" (256), "b" (ep), "c" (events), "d" (max), "S" (0)
		     : "memory", "r8", "r9", "r10", "r11");
	return ret;
#else
	return -EOPNOTSUPP;
#endif
}

/* Where 32-bit system calls of this very program reach memory; others have none. */
#ifndef MAP_32BIT
#define MAP_32BIT	0
#endif

typedef int wait_fn(int ep, void *events, int max);

/* Does this kernel take 32-bit system calls? Tried in a child, which may be killed. */
static bool has_int80(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		_exit(by_int80(-1, NULL, 1) == -EBADF ? 0 : 1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

/*
 * Memory for events that can be written up to @end, and not behind it. The hole
 * is made last, as a later mapping might fill it.
 */
enum { END_PROT_NONE, END_READ_ONLY, END_UNMAPPED, ENDS };

struct buffer {
	char *map, *end;
	size_t size;
};

static bool buffer_make(struct buffer *b, int kind)
{
	long page = sysconf(_SC_PAGESIZE);
	size_t size = 16384;

	b->size = size + page;
	b->map = mmap(NULL, b->size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (b->map == MAP_FAILED)
		return false;
	b->end = b->map + size;
	switch (kind) {
	case END_PROT_NONE:
		return !mprotect(b->end, page, PROT_NONE);
	case END_READ_ONLY:
		return !mprotect(b->end, page, PROT_READ);
	default:
		return !munmap(b->end, page);
	}
}

static void buffer_free(struct buffer *b)
{
	munmap(b->map, b->end - b->map);
	/* Another mapping may have filled the hole behind it. */
}

static struct epoll_event *event_at(void *events, int i)
{
	return (struct epoll_event *)((char *)events + i * EVENT);
}

static int ctl(int ep, int op, int fd, __u32 events, __u64 data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	return epoll_ctl(ep, op, fd, &event) ? -errno : 0;
}

static void more(int fd)
{
	__u64 one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void drain(int fd)
{
	__u64 count;

	if (read(fd, &count, sizeof(count)) != sizeof(count) && errno != EAGAIN)
		abort();
}

/* Data of item @i: all bytes differ, so that a torn copy shows. */
static __u64 data_of(int i)
{
	return 0xa5a5000000000000u | (__u64)i << 32 | (0xc3c30000u | i);
}

/* An epoll with @n eventfds in it, none ready. */

struct set {
	int ep, n;
	int fd[512];
};

static bool set_make(struct set *s, int n, __u32 events)
{
	int i;

	s->n = n;
	s->ep = epoll_create1(EPOLL_CLOEXEC);
	for (i = 0; i < n; i++) {
		s->fd[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (s->fd[i] < 0 || ctl(s->ep, EPOLL_CTL_ADD, s->fd[i], events, data_of(i)))
			return false;
	}
	return s->ep >= 0;
}

static void set_free(struct set *s)
{
	int i;

	for (i = 0; i < s->n; i++)
		close(s->fd[i]);
	close(s->ep);
}

static void set_ready(struct set *s)
{
	int i;

	for (i = 0; i < s->n; i++)
		more(s->fd[i]);
}

/* Are @events those of items @from, @from + 1, ... up to @n of them, modulo @mod? */
static bool in_order(const void *events, int n, int from, int mod)
{
	int i;

	for (i = 0; i < n; i++) {
		const struct epoll_event *e = event_at((void *)events, i);

		if (e->events != EPOLLIN || e->data.u64 != data_of((from + i) % mod)) {
			printf("# event %d of %d: %#x of item %#llx, item %d was expected\n", i, n,
			       e->events, (unsigned long long)e->data.u64, (from + i) % mod);
			return false;
		}
	}
	return true;
}

/*
 * A fault at each byte of an event.
 */

FIXTURE(fault) {
	struct set set;
	struct buffer buffer[ENDS];
};

FIXTURE_VARIANT(fault) {
	wait_fn *wait;
	__u32 trigger;
};

FIXTURE_VARIANT_ADD(fault, level) { .wait = by_wait, .trigger = 0 };
FIXTURE_VARIANT_ADD(fault, edge) { .wait = by_wait, .trigger = EPOLLET };
FIXTURE_VARIANT_ADD(fault, oneshot) { .wait = by_wait, .trigger = EPOLLONESHOT };
FIXTURE_VARIANT_ADD(fault, level_pwait2) { .wait = by_pwait2, .trigger = 0 };
FIXTURE_VARIANT_ADD(fault, edge_pwait2) { .wait = by_pwait2, .trigger = EPOLLET };
FIXTURE_VARIANT_ADD(fault, level_compat) { .wait = by_int80, .trigger = 0 };
FIXTURE_VARIANT_ADD(fault, edge_compat) { .wait = by_int80, .trigger = EPOLLET };
FIXTURE_VARIANT_ADD(fault, oneshot_compat) { .wait = by_int80, .trigger = EPOLLONESHOT };

FIXTURE_SETUP(fault)
{
	int i;

	if (variant->wait == by_int80 && !has_int80())
		SKIP(return, "this kernel takes no 32-bit system calls");
	for (i = 0; i < ENDS; i++)
		ASSERT_TRUE(buffer_make(&self->buffer[i], i));
	ASSERT_TRUE(set_make(&self->set, FAULT_ITEMS, EPOLLIN | variant->trigger));
}

FIXTURE_TEARDOWN(fault)
{
	int i;

	for (i = 0; i < ENDS; i++)
		buffer_free(&self->buffer[i]);
	set_free(&self->set);
}

/* All items pending in their order: as after set_make() and set_ready(). */
static bool start_over(struct set *s, __u32 trigger)
{
	char events[FAULT_ITEMS * EVENT];
	int i, n = 0;

	for (i = 0; i < s->n; i++) {
		drain(s->fd[i]);
		if (ctl(s->ep, EPOLL_CTL_MOD, s->fd[i], EPOLLIN | trigger, data_of(i)))
			return false;
	}
	n = by_wait(s->ep, events, FAULT_ITEMS);
	set_ready(s);
	return !n;
}

TEST_F(fault, every_byte)
{
	static const int at[] = { 0, 1, 6, 7, 8, 16 };
	struct set *s = &self->set;
	char events[FAULT_ITEMS * EVENT];
	int i, k, n, kind, rest;
	unsigned int byte;
	char *start;

	for (kind = 0; kind < ENDS; kind++)
		for (i = 0; i < ARRAY_SIZE(at); i++)
			for (byte = 0; byte < EVENT; byte++) {
				k = at[i];
				ASSERT_TRUE(start_over(s, variant->trigger));
				start = self->buffer[kind].end - k * EVENT - byte;
				memset(start, 0x5a, k * EVENT + byte);
				n = variant->wait(s->ep, start, FAULT_ITEMS);
				ASSERT_EQ(k ? k : -EFAULT, n) {
					TH_LOG("event %d, byte %u, kind %d", k, byte, kind);
				}
				ASSERT_TRUE(in_order(start, k, 0, FAULT_ITEMS));
				/* It and all after it, then the level-triggered ones. */
				rest = variant->trigger ? FAULT_ITEMS - k : FAULT_ITEMS;
				n = variant->wait(s->ep, self->buffer[kind].map, FAULT_ITEMS + 8);
				ASSERT_EQ(rest, n) {
					TH_LOG("event %d, byte %u, kind %d", k, byte, kind);
				}
				ASSERT_TRUE(in_order(self->buffer[kind].map, n, k, FAULT_ITEMS)) {
					TH_LOG("event %d, byte %u, kind %d", k, byte, kind);
				}
				n = by_wait(s->ep, events, FAULT_ITEMS);
				ASSERT_EQ(variant->trigger ? 0 : FAULT_ITEMS, n);
			}
}

/* Repeated faults: the same items each time, and in the end each of them once. */
TEST_F(fault, repeated)
{
	struct set *s = &self->set;
	int i, n, seen = 0;
	char *start;

	ASSERT_TRUE(start_over(s, variant->trigger));
	start = self->buffer[END_PROT_NONE].end;
	for (i = 0; i < 20; i++)
		ASSERT_EQ(-EFAULT, variant->wait(s->ep, start - i % EVENT, FAULT_ITEMS));
	/* One more event fits each time. */
	for (i = 1; seen < FAULT_ITEMS; i++) {
		start = self->buffer[END_PROT_NONE].end - i * EVENT - i % EVENT;
		n = variant->wait(s->ep, start, FAULT_ITEMS);
		ASSERT_EQ(variant->trigger && FAULT_ITEMS - seen < i ? FAULT_ITEMS - seen : i, n);
		ASSERT_TRUE(in_order(start, n, seen, FAULT_ITEMS));
		seen += n;
	}
	n = variant->wait(s->ep, self->buffer[0].map, FAULT_ITEMS);
	ASSERT_EQ(variant->trigger ? 0 : FAULT_ITEMS, n);
}

/* Pages that are not mapped yet, or shared with a child, are no fault. */
TEST_F(fault, none_on_fresh_pages)
{
	struct buffer *b = &self->buffer[END_PROT_NONE];
	struct set *s = &self->set;
	int status, i;
	pid_t pid;
	char *start;

	for (i = 0; i < 3 * EVENT; i++) {
		/* A border of pages at byte i of the first three events. */
		start = b->map + sysconf(_SC_PAGESIZE) - i;
		ASSERT_TRUE(start_over(s, variant->trigger));
		ASSERT_EQ(0, madvise(b->map, b->end - b->map, MADV_DONTNEED));
		ASSERT_EQ(FAULT_ITEMS, variant->wait(s->ep, start, FAULT_ITEMS));
		ASSERT_TRUE(in_order(start, FAULT_ITEMS, 0, FAULT_ITEMS));
	}
	ASSERT_TRUE(start_over(s, variant->trigger));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		pause();
		_exit(0);
	}
	EXPECT_EQ(FAULT_ITEMS, variant->wait(s->ep, start, FAULT_ITEMS));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	EXPECT_TRUE(in_order(start, FAULT_ITEMS, 0, FAULT_ITEMS));
}

/* A hole in the middle ends delivery, although memory beyond it could be written. */
TEST_F(fault, hole_in_the_middle)
{
	long page = sysconf(_SC_PAGESIZE);
	struct set *s = &self->set;
	char *map, *start;
	unsigned int byte;

	map = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	for (byte = 0; byte < EVENT; byte++) {
		ASSERT_TRUE(start_over(s, variant->trigger));
		ASSERT_EQ(0, mprotect(map, 3 * page, PROT_READ | PROT_WRITE));
		memset(map, 0x5a, 3 * page);
		ASSERT_EQ(0, mprotect(map + page, page, PROT_NONE));
		start = map + page - 5 * EVENT - byte;
		ASSERT_EQ(5, variant->wait(s->ep, start, FAULT_ITEMS));
		ASSERT_TRUE(in_order(start, 5, 0, FAULT_ITEMS));
		ASSERT_EQ(0x5a, map[2 * page]);
	}
	munmap(map, 3 * page);
}

/*
 * Triggers and order.
 */

TEST(maxevents_1_to_n)
{
	char events[80 * EVENT];
	struct set s;
	int max, at, n;

	ASSERT_TRUE(set_make(&s, 40, EPOLLIN));
	set_ready(&s);
	/* Level-triggered: the rest first, then those that were delivered. */
	for (at = 0, max = 1; max <= 2 * s.n; max++) {
		memset(events, 0x5a, sizeof(events));
		n = max < s.n ? max : s.n;
		ASSERT_EQ(n, by_wait(s.ep, events, max));
		ASSERT_TRUE(in_order(events, n, at, s.n));
		at = (at + n) % s.n;
		if (n < 80)
			ASSERT_EQ(0x5a, events[n * EVENT]);
	}
	set_free(&s);
}

TEST(maxevents_1_to_n_edge)
{
	char events[80 * EVENT];
	struct set s;
	int max, at, n;

	for (max = 1; max <= 41; max++) {
		ASSERT_TRUE(set_make(&s, 40, EPOLLIN | EPOLLET));
		set_ready(&s);
		for (at = 0; at < s.n; at += n) {
			n = max < s.n - at ? max : s.n - at;
			ASSERT_EQ(n, by_wait(s.ep, events, max));
			ASSERT_TRUE(in_order(events, n, at, s.n));
		}
		ASSERT_EQ(0, by_wait(s.ep, events, max));
		set_free(&s);
	}
}

TEST(arguments)
{
	char events[EVENT];
	struct timespec bad = { .tv_nsec = -1 };
	struct set s;
	int pair[2];

	ASSERT_TRUE(set_make(&s, 1, EPOLLIN));
	set_ready(&s);
	ASSERT_EQ(0, pipe(pair));
	EXPECT_EQ(-EINVAL, by_wait(s.ep, events, 0));
	EXPECT_EQ(-EINVAL, by_wait(s.ep, events, -1));
	EXPECT_EQ(-EINVAL, by_wait(s.ep, events, 0x7fffffff));
	EXPECT_EQ(-EBADF, by_wait(-1, events, 1));
	EXPECT_EQ(-EINVAL, by_wait(pair[0], events, 1));
	EXPECT_EQ(-EFAULT, by_wait(s.ep, NULL, 1));
	/* The kernel's half, and the border to it. */
	EXPECT_EQ(-EFAULT, by_wait(s.ep, (void *)0xffff888000000000ul, 1));
	EXPECT_EQ(-EFAULT, by_wait(s.ep, (void *)0x7ffffffffff8ul, 1));
	EXPECT_EQ(-1, syscall(SYS_epoll_pwait2, s.ep, events, 1, &bad, NULL, 8));
	EXPECT_EQ(EINVAL, errno);
	/* None of them lost it. */
	ASSERT_EQ(1, by_wait(s.ep, events, 1));
	EXPECT_TRUE(in_order(events, 1, 0, 1));
	close(pair[0]);
	close(pair[1]);
	set_free(&s);
}

TEST(oneshot_rearm)
{
	char events[16 * EVENT];
	struct set s;
	int i;

	ASSERT_TRUE(set_make(&s, 16, EPOLLIN | EPOLLONESHOT));
	set_ready(&s);
	ASSERT_EQ(10, by_wait(s.ep, events, 10));
	ASSERT_TRUE(in_order(events, 10, 0, 16));
	/* Delivered items are off, also when their files become ready again. */
	set_ready(&s);
	ASSERT_EQ(6, by_wait(s.ep, events, 16));
	ASSERT_TRUE(in_order(events, 6, 10, 16));
	set_ready(&s);
	ASSERT_EQ(0, by_wait(s.ep, events, 16));
	/* In the order of arming, as they are still ready. */
	for (i = 15; i >= 0; i--)
		ASSERT_EQ(0, ctl(s.ep, EPOLL_CTL_MOD, s.fd[i], EPOLLIN | EPOLLONESHOT,
				 data_of(15 - i)));
	ASSERT_EQ(16, by_wait(s.ep, events, 16));
	ASSERT_TRUE(in_order(events, 16, 0, 16));
	ASSERT_EQ(0, by_wait(s.ep, events, 16));
	set_free(&s);
}

TEST(edge_triggered)
{
	char events[16 * EVENT];
	struct set s;
	int i;

	ASSERT_TRUE(set_make(&s, 16, EPOLLIN | EPOLLET));
	set_ready(&s);
	set_ready(&s);
	ASSERT_EQ(16, by_wait(s.ep, events, 16));
	ASSERT_TRUE(in_order(events, 16, 0, 16));
	ASSERT_EQ(0, by_wait(s.ep, events, 16));
	/* A new edge each, in a new order. */
	for (i = 0; i < 16; i++)
		more(s.fd[(i + 5) % 16]);
	ASSERT_EQ(16, by_wait(s.ep, events, 16));
	ASSERT_TRUE(in_order(events, 16, 5, 16));
	ASSERT_EQ(0, by_wait(s.ep, events, 16));
	set_free(&s);
}

/* Queued, then not ready any more: passed over, without a gap or a place lost. */
TEST(unready_before_wait)
{
	char events[64 * EVENT];
	struct set s;
	unsigned int mask;
	int i, n;

	ASSERT_TRUE(set_make(&s, 12, EPOLLIN));
	for (mask = 0; mask < 1 << 12; mask += 37) {
		struct epoll_event *e = event_at(events, 0);

		for (i = 0; i < s.n; i++)
			drain(s.fd[i]);
		ASSERT_EQ(0, by_wait(s.ep, events, 64));
		set_ready(&s);
		for (i = 0; i < s.n; i++)
			if (mask & 1 << i)
				drain(s.fd[i]);
		n = by_wait(s.ep, events, 64);
		ASSERT_EQ(s.n - __builtin_popcount(mask), n);
		for (i = 0; i < s.n; i++)
			if (!(mask & 1 << i)) {
				ASSERT_EQ(data_of(i), e->data.u64);
				e = event_at(e, 1);
			}
	}
	set_free(&s);
}

/*
 * A fault leaves the items behind it untouched: one that is not ready keeps its
 * place, also if it is ready again before the next wait.
 */
TEST(unready_behind_fault)
{
	char events[16 * EVENT];
	struct buffer b;
	struct set s;
	int at, off;

	ASSERT_TRUE(buffer_make(&b, END_PROT_NONE));
	ASSERT_TRUE(set_make(&s, 12, EPOLLIN | EPOLLET));
	for (at = 0; at < s.n - 1; at++)
		for (off = at + 1; off < s.n; off++) {
			set_ready(&s);
			drain(s.fd[off]);
			ASSERT_EQ(at ? at : -EFAULT, by_wait(s.ep, b.end - at * EVENT - 5, 16));
			more(s.fd[off]);
			ASSERT_EQ(s.n - at, by_wait(s.ep, events, 16));
			ASSERT_TRUE(in_order(events, s.n - at, at, s.n)) {
				TH_LOG("fault at event %d, item %d was not ready then", at, off);
			}
		}
	buffer_free(&b);
	set_free(&s);
}

/*
 * A file that reports each change once: /proc/self/mounts. A report to a wait
 * that faults is lost, so the file must not be polled before its turn.
 */
TEST(told_once_behind_fault)
{
	char events[8 * EVENT], dir[] = "/tmp/epoll_events.XXXXXX";
	struct buffer b;
	struct set s;
	int mounts, i;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		SKIP(return, "needs a mount namespace of its own");
	mounts = open("/proc/self/mounts", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, mounts);
	ASSERT_TRUE(buffer_make(&b, END_PROT_NONE));
	/* A page that is mapped already: one that is not would be faulted in first. */
	memset(b.end - EVENT, 0, EVENT);
	ASSERT_TRUE(set_make(&s, 2, EPOLLIN));
	ASSERT_EQ(0, ctl(s.ep, EPOLL_CTL_ADD, mounts, EPOLLPRI, data_of(2)));
	ASSERT_EQ(0, by_wait(s.ep, events, 8));
	set_ready(&s);
	ASSERT_NE(NULL, mkdtemp(dir));
	EXPECT_EQ(0, mount("none", dir, "tmpfs", 0, NULL));
	EXPECT_EQ(1, by_wait(s.ep, b.end - EVENT, 8));
	EXPECT_EQ(3, by_wait(s.ep, events, 8));
	for (i = 0; i < 3 && event_at(events, i)->data.u64 != data_of(2); i++)
		;
	EXPECT_NE(3, i);
	EXPECT_EQ(EPOLLPRI | EPOLLERR, event_at(events, i % 3)->events);
	umount(dir);
	rmdir(dir);
	close(mounts);
	buffer_free(&b);
	set_free(&s);
}

/* Unready items do not count against maxevents. */
TEST(unready_and_maxevents)
{
	char events[4 * EVENT];
	struct set s;
	int i, at;

	ASSERT_TRUE(set_make(&s, 40, EPOLLIN | EPOLLET));
	set_ready(&s);
	for (i = 0; i < 40; i++)
		if (i % 5)
			drain(s.fd[i]);
	for (at = 0; at < 8; at += 4) {
		ASSERT_EQ(4, by_wait(s.ep, events, 4));
		for (i = 0; i < 4; i++)
			ASSERT_EQ(data_of((at + i) * 5), event_at(events, i)->data.u64);
	}
	ASSERT_EQ(0, by_wait(s.ep, events, 4));
	set_free(&s);
}

TEST(closed_while_pending)
{
	char events[20 * EVENT];
	struct set s;
	int copy;

	ASSERT_TRUE(set_make(&s, 20, EPOLLIN));
	set_ready(&s);
	copy = dup(s.fd[7]);
	ASSERT_GE(copy, 0);
	close(s.fd[3]);
	close(s.fd[19]);
	close(s.fd[7]);		/* not the last reference: stays */
	ASSERT_EQ(18, by_wait(s.ep, events, 20));
	ASSERT_TRUE(in_order(events, 3, 0, 20));
	ASSERT_TRUE(in_order(event_at(events, 3), 15, 4, 20));
	close(copy);
	ASSERT_EQ(17, by_wait(s.ep, events, 20));
	ASSERT_TRUE(in_order(event_at(events, 3), 3, 4, 20));
	ASSERT_TRUE(in_order(event_at(events, 6), 11, 8, 20));
	set_free(&s);
}

/* Items deleted or changed while pending: the rest keeps its order. */
TEST(changed_while_pending)
{
	char events[20 * EVENT];
	struct set s;

	ASSERT_TRUE(set_make(&s, 8, EPOLLIN));
	set_ready(&s);
	ASSERT_EQ(0, ctl(s.ep, EPOLL_CTL_DEL, s.fd[0], 0, 0));
	/* Keeps its place; passed over when none of its events is ready. */
	ASSERT_EQ(0, ctl(s.ep, EPOLL_CTL_MOD, s.fd[1], EPOLLIN, data_of(1)));
	ASSERT_EQ(0, ctl(s.ep, EPOLL_CTL_MOD, s.fd[2], EPOLLPRI, data_of(2)));
	ASSERT_EQ(6, by_wait(s.ep, events, 20));
	ASSERT_TRUE(in_order(events, 1, 1, 20));
	ASSERT_TRUE(in_order(event_at(events, 1), 5, 3, 20));
	ASSERT_EQ(0, ctl(s.ep, EPOLL_CTL_MOD, s.fd[2], EPOLLIN, data_of(8)));
	ASSERT_EQ(0, ctl(s.ep, EPOLL_CTL_ADD, s.fd[0], EPOLLIN, data_of(9)));
	ASSERT_EQ(8, by_wait(s.ep, events, 20));
	ASSERT_TRUE(in_order(event_at(events, 1), 7, 3, 20));
	set_free(&s);
}

/* Eventfds in the innermost of @depth epolls, one in each of the others beside it. */
TEST(nested)
{
	char events[8 * EVENT];
	int depth, i, fd, own[5], ep[5];

	for (depth = 2; depth <= 4; depth++) {
		for (i = 0; i < depth; i++) {
			ep[i] = epoll_create1(0);
			own[i] = eventfd(0, EFD_NONBLOCK);
			ASSERT_EQ(0, ctl(ep[i], EPOLL_CTL_ADD, own[i], EPOLLIN, data_of(i)));
		}
		for (i = depth - 1; i > 0; i--)
			ASSERT_EQ(0, ctl(ep[i - 1], EPOLL_CTL_ADD, ep[i], EPOLLIN,
					 data_of(100 + i)));
		ASSERT_EQ(0, by_wait(ep[0], events, 8));
		more(own[depth - 1]);
		more(own[0]);
		ASSERT_EQ(2, by_wait(ep[0], events, 8));
		ASSERT_TRUE(in_order(events, 1, 101, 1000));
		ASSERT_TRUE(in_order(event_at(events, 1), 1, 0, 1000));
		/* A wait on the outer one takes nothing from the inner ones. */
		for (i = 1; i < depth - 1; i++) {
			ASSERT_EQ(1, by_wait(ep[i], events, 8));
			ASSERT_TRUE(in_order(events, 1, 101 + i, 1000));
		}
		ASSERT_EQ(1, by_wait(ep[depth - 1], events, 8));
		ASSERT_TRUE(in_order(events, 1, depth - 1, 1000));
		/* Not ready at the bottom: not ready all the way up. */
		drain(own[depth - 1]);
		ASSERT_EQ(1, by_wait(ep[0], events, 8));
		ASSERT_TRUE(in_order(events, 1, 0, 1000));
		for (i = 0; i < depth; i++) {
			close(own[i]);
			close(ep[i]);
		}
	}
	/* Five levels of epolls are one too many. */
	fd = eventfd(0, 0);
	for (i = 0; i < 5; i++)
		ep[i] = epoll_create1(0);
	for (i = 4; i > 0 && !ctl(ep[i - 1], EPOLL_CTL_ADD, ep[i], EPOLLIN, 0); i--)
		;
	EXPECT_EQ(i, 0);
	EXPECT_NE(0, ctl(ep[0], EPOLL_CTL_ADD, ep[0], EPOLLIN, 0));
	EXPECT_EQ(-ELOOP, ctl(ep[4], EPOLL_CTL_ADD, ep[0], EPOLLIN, 0));
	for (i = 0; i < 5; i++)
		close(ep[i]);
	close(fd);
}

/*
 * EPOLLEXCLUSIVE: one write, several epolls that a thread sleeps in each.
 */

#define SLEEPERS	4

struct sleeper {
	pthread_t thread;
	int ep;
	atomic_int tid;
	atomic_int result;	/* of epoll_wait; -1000 while it sleeps */
	struct epoll_event event;
};

static void *sleep_in_epoll(void *arg)
{
	struct sleeper *s = arg;
	int n;

	atomic_store(&s->tid, (int)syscall(SYS_gettid));
	n = epoll_wait(s->ep, &s->event, 1, -1);
	atomic_store(&s->result, n < 0 ? -errno : n);
	return NULL;
}

/* Every sleeper has returned or sleeps: nothing is under way. */
static bool settled(struct sleeper *s)
{
	int i;

	for (i = 0; i < SLEEPERS; i++)
		if (atomic_load(&s[i].result) == -1000 &&
		    !thread_sleeps(atomic_load(&s[i].tid)))
			return false;
	return true;
}

static int awake(struct sleeper *s)
{
	int i, n = 0;

	for (i = 0; i < SLEEPERS; i++)
		n += atomic_load(&s[i].result) != -1000;
	return n;
}

TEST(exclusive_wakes_one)
{
	struct sleeper s[SLEEPERS] = {};
	int fd = eventfd(0, EFD_NONBLOCK), i, before, after;

	for (i = 0; i < SLEEPERS; i++) {
		s[i].ep = epoll_create1(0);
		s[i].result = -1000;
		ASSERT_EQ(0, ctl(s[i].ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE, data_of(i)));
		ASSERT_EQ(-EINVAL, ctl(s[i].ep, EPOLL_CTL_MOD, fd, EPOLLIN, 0));
		ASSERT_EQ(0, pthread_create(&s[i].thread, NULL, sleep_in_epoll, &s[i]));
	}
	ASSERT_TRUE(loop_until(20, settled(s)));
	ASSERT_EQ(0, awake(s));
	for (before = 0; before < SLEEPERS; before = after) {
		more(fd);
		ASSERT_TRUE(loop_until(20, settled(s) && awake(s) > before));
		after = awake(s);
		EXPECT_EQ(before + 1, after) {
			TH_LOG("one write woke %d", after - before);
		}
	}
	for (i = 0; i < SLEEPERS; i++) {
		pthread_join(s[i].thread, NULL);
		EXPECT_EQ(1, s[i].result);
		EXPECT_EQ(EPOLLIN, s[i].event.events);
		EXPECT_EQ(data_of(i), s[i].event.data.u64);
		close(s[i].ep);
	}
	close(fd);
}

/*
 * EPOLLWAKEUP: the item's wakeup source is active while it is pending.
 */

/* How many of the wakeup sources of that name are active? -1: unknown. */
static int active_sources(const char *name)
{
	char line[512], is[128];
	unsigned long long since;
	int n = 0;
	FILE *file;

	usleep(3000);	/* an active one has been so for more than a millisecond then */
	file = fopen("/sys/kernel/debug/wakeup_sources", "r");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%127s %*u %*u %*u %*u %llu", is, &since) == 2 &&
		    !strcmp(is, name) && since)
			n++;
	fclose(file);
	return n;
}

TEST(wakeup_sources)
{
	static const __u32 trigger[] = { 0, EPOLLET, EPOLLONESHOT };
	char events[16 * EVENT];
	struct buffer b;
	struct set s;
	int i, t, base;

	base = active_sources("[eventfd]");
	if (geteuid() || base < 0)
		SKIP(return, "needs CAP_BLOCK_SUSPEND and debugfs' wakeup_sources");
	ASSERT_EQ(0, base);
	ASSERT_TRUE(buffer_make(&b, END_PROT_NONE));
	for (t = 0; t < ARRAY_SIZE(trigger); t++) {
		ASSERT_TRUE(set_make(&s, 12, EPOLLIN | EPOLLWAKEUP | trigger[t]));
		ASSERT_EQ(0, active_sources("[eventfd]"));
		set_ready(&s);
		ASSERT_EQ(12, active_sources("[eventfd]"));
		/* Not delivered: kept awake. Level-triggered and delivered: pending again. */
		ASSERT_EQ(-EFAULT, by_wait(s.ep, b.end - 11, 12));
		ASSERT_EQ(12, active_sources("[eventfd]"));
		ASSERT_EQ(5, by_wait(s.ep, b.end - 5 * EVENT - 4, 12));
		ASSERT_EQ(trigger[t] ? 7 : 12, active_sources("[eventfd]"));
		ASSERT_EQ(trigger[t] ? 7 : 12, by_wait(s.ep, events, 16));
		ASSERT_EQ(trigger[t] ? 0 : 12, active_sources("[eventfd]"));
		/* A wait finds it unready: the source is released. */
		for (i = 0; i < s.n; i++)
			drain(s.fd[i]);
		ASSERT_EQ(0, by_wait(s.ep, events, 16));
		ASSERT_EQ(0, active_sources("[eventfd]"));
		ASSERT_EQ(0, active_sources("eventpoll"));
		set_free(&s);
	}
	buffer_free(&b);
}

/*
 * Signals and time.
 */

static atomic_int caught;

static void on_signal(int sig)
{
	atomic_fetch_add(&caught, 1);
}

TEST(signals)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct sleeper s = { .result = -1000 };
	struct timespec second = { .tv_sec = 20 }, little = { .tv_nsec = 2000000 };
	struct epoll_event event[2];
	sigset_t block, none, pending;
	struct set set;
	int status;
	pid_t pid;

	ASSERT_TRUE(set_make(&set, 1, EPOLLIN));
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	/* Asleep and interrupted. */
	s.ep = set.ep;
	ASSERT_EQ(0, pthread_create(&s.thread, NULL, sleep_in_epoll, &s));
	ASSERT_TRUE(loop_until(20, thread_sleeps(s.tid)));
	pthread_kill(s.thread, SIGUSR1);
	pthread_join(s.thread, NULL);
	EXPECT_EQ(-EINTR, s.result);
	EXPECT_EQ(1, caught);
	/* Let through for the time of the wait only. */
	ASSERT_EQ(0, pthread_sigmask(SIG_BLOCK, &block, NULL));
	ASSERT_EQ(0, raise(SIGUSR1));
	EXPECT_EQ(-1, syscall(SYS_epoll_pwait2, set.ep, event, 2, &second, &none, 8));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(2, caught);
	EXPECT_EQ(0, syscall(SYS_epoll_pwait2, set.ep, event, 2, &little, &none, 8));
	/* An event that is there goes first, and the signal stays pending. */
	ASSERT_EQ(0, raise(SIGUSR1));
	more(set.fd[0]);
	EXPECT_EQ(1, syscall(SYS_epoll_pwait2, set.ep, event, 2, &second, &none, 8));
	EXPECT_EQ(2, caught);
	sigpending(&pending);
	EXPECT_EQ(1, sigismember(&pending, SIGUSR1));
	drain(set.fd[0]);
	ASSERT_EQ(0, pthread_sigmask(SIG_UNBLOCK, &block, NULL));
	EXPECT_EQ(3, caught);
	/* A fatal signal interrupts. */
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		more(set.fd[0]);
		for (;;)
			epoll_wait(set.ep, event, 2, -1);
	}
	usleep(20000);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	set_free(&set);
}

/* Asleep when the first of several events comes; waker and sleeper may share a CPU. */
TEST(woken_from_sleep)
{
	struct sleeper s;
	struct set set;
	int i;

	ASSERT_TRUE(set_make(&set, 3, EPOLLIN | EPOLLET));
	for (i = 0; i < 50; i++) {
		s = (struct sleeper){ .ep = set.ep, .result = -1000 };
		ASSERT_EQ(0, pthread_create(&s.thread, NULL, sleep_in_epoll, &s));
		ASSERT_TRUE(loop_until(20, thread_sleeps(s.tid)));
		more(set.fd[i % 3]);
		pthread_join(s.thread, NULL);
		ASSERT_EQ(1, s.result);
		ASSERT_EQ(data_of(i % 3), s.event.data.u64);
	}
	set_free(&set);
}

/*
 * epoll_ctl() in parallel: waits return only registered items, none twice in one
 * wait, and nothing is lost at the end.
 */

#define PARALLEL_ITEMS	12
#define PARALLEL_CHANGES 3000

struct parallel {
	struct set set;
	atomic_int changers;
	atomic_int bad;
};

static void *change_items(void *arg)
{
	static atomic_int number;
	unsigned int seed = atomic_fetch_add(&number, 1);
	/* Items of its own, so that it knows which are in the epoll. */
	int first = seed % 2 * (PARALLEL_ITEMS / 2);
	struct parallel *p = arg;
	int i, k;

	for (i = 0; i < PARALLEL_CHANGES; i++) {
		k = first + rand_r(&seed) % (PARALLEL_ITEMS / 2);
		if (rand_r(&seed) % 4) {
			if (ctl(p->set.ep, EPOLL_CTL_MOD, p->set.fd[k], EPOLLIN,
				data_of(k + 1000 * (i % 30))))
				atomic_store(&p->bad, 1);
		} else if (ctl(p->set.ep, EPOLL_CTL_DEL, p->set.fd[k], 0, 0) ||
			   ctl(p->set.ep, EPOLL_CTL_ADD, p->set.fd[k], EPOLLIN,
			       data_of(k + 1000 * (i % 30)))) {
			atomic_store(&p->bad, 2);
		}
	}
	atomic_fetch_sub(&p->changers, 1);
	return NULL;
}

TEST(ctl_in_parallel)
{
	struct parallel p = { .changers = 2 };
	char events[16 * EVENT];
	pthread_t thread[2];
	unsigned int seen, waits = 0;
	int i, n, k;

	ASSERT_TRUE(set_make(&p.set, PARALLEL_ITEMS, EPOLLIN));
	set_ready(&p.set);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, change_items, &p));
	while (atomic_load(&p.changers)) {
		n = by_wait(p.set.ep, events, 1 + waits++ % 16);
		ASSERT_GE(n, 0);
		for (i = 0, seen = 0; i < n; i++) {
			struct epoll_event *e = event_at(events, i);

			k = e->data.u64 >> 32 & 0xffff;
			ASSERT_EQ(data_of(k), e->data.u64);
			ASSERT_EQ(EPOLLIN, e->events);
			ASSERT_LT(k % 1000, PARALLEL_ITEMS);
			ASSERT_FALSE(seen & 1 << k % 1000) {
				TH_LOG("item %d twice in one wait", k % 1000);
			}
			seen |= 1 << k % 1000;
		}
	}
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	ASSERT_EQ(0, p.bad);
	ASSERT_EQ(PARALLEL_ITEMS, by_wait(p.set.ep, events, 16));
	set_free(&p.set);
}

/*
 * Busy polling: the same events when it is on.
 */

TEST(busy_poll)
{
	struct epoll_params params = { .busy_poll_usecs = 50, .busy_poll_budget = 8 };
	struct sockaddr_in to = { .sin_family = AF_INET };
	socklen_t len = sizeof(to);
	char events[16 * EVENT];
	int ep, fd[8], i, round;
	bool ioctls;

	ep = epoll_create1(0);
	ioctls = !ioctl(ep, EPIOCSPARAMS, &params);
	if (!ioctls) {
		FILE *file = fopen("/proc/sys/net/core/busy_poll", "w");

		if (!file || fprintf(file, "50") != 2 || fclose(file))
			SKIP(return, "no EPIOCSPARAMS, and net.core.busy_poll cannot be set");
	}
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (i = 0; i < 8; i++) {
		fd[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		to.sin_port = 0;
		ASSERT_EQ(0, bind(fd[i], (struct sockaddr *)&to, sizeof(to)));
		ASSERT_EQ(0, ctl(ep, EPOLL_CTL_ADD, fd[i], EPOLLIN | EPOLLET, data_of(i)));
	}
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 8; i++) {
			struct pollfd arrived = { .fd = fd[(i + round) % 8], .events = POLLIN };

			ASSERT_EQ(0, getsockname(arrived.fd, (struct sockaddr *)&to, &len));
			ASSERT_EQ(1, sendto(fd[0], "x", 1, 0, (struct sockaddr *)&to, sizeof(to)));
			/* A busy kernel leaves it to ksoftirqd; of two CPUs' either is first. */
			ASSERT_EQ(1, poll(&arrived, 1, 20000));
		}
		ASSERT_EQ(8, epoll_wait(ep, (void *)events, 16, 1));
		ASSERT_TRUE(in_order(events, 8, round % 8, 8));
		for (i = 0; i < 8; i++)
			ASSERT_EQ(1, recv(fd[i], events, 1, 0));
		ASSERT_EQ(0, epoll_wait(ep, (void *)events, 16, 1));
	}
	if (!ioctls) {
		FILE *file = fopen("/proc/sys/net/core/busy_poll", "w");

		if (file) {
			fprintf(file, "0");
			fclose(file);
		}
	}
	for (i = 0; i < 8; i++)
		close(fd[i]);
	close(ep);
}

/*
 * A model of epoll, to compare random operations with.
 *
 * Files are eventfds with two descriptors each, so that one wakeup reaches
 * several items of an epoll, and epolls, each of which may hold those with higher
 * numbers. The rules of the model: a wait queue gets new waiters at its head,
 * exclusive ones at its tail; a wakeup queues an item at the tail of the ready
 * list if it wants the event and is not queued; a wait takes from the head,
 * passes over items that are not ready any more, puts back those it could not
 * copy, and level-triggered items follow at the tail; polling an inner epoll drops
 * unready items from the head of its list.
 */

#define FILES		24
#define FDS		(2 * FILES)
#define EPOLLS		4
#define ITEMS		(EPOLLS * (FDS + EPOLLS))
#define PRIVATE_BITS	(EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define FIRST_FD	200	/* fixed numbers, as the number is part of an item's key */
#define FULL		0xfffffffffffffffeull

struct list {
	int n;
	int item[ITEMS];
};

static struct model {
	struct item {
		bool used, linked;
		int ep;
		int fd;			/* below FDS: of file fd / 2; above: epoll fd - FDS */
		__u32 events;
		__u64 data;
	} item[ITEMS];
	unsigned long long count[FILES];
	bool open[FDS];
	struct list waiters[FILES];	/* of a file */
	struct list outer[EPOLLS];	/* items that hold this epoll */
	struct list ready[EPOLLS];
	int ep[EPOLLS];			/* descriptors */
} m;

static void list_push(struct list *l, int item, bool head)
{
	if (head)
		memmove(l->item + 1, l->item, l->n * sizeof(*l->item));
	l->item[head ? 0 : l->n] = item;
	l->n++;
}

static bool list_drop(struct list *l, int item)
{
	int i;

	for (i = 0; i < l->n && l->item[i] != item; i++)
		;
	if (i == l->n)
		return false;
	l->n--;
	memmove(l->item + i, l->item + i + 1, (l->n - i) * sizeof(*l->item));
	return true;
}

static struct list *model_queue(const struct item *item)
{
	return item->fd < FDS ? &m.waiters[item->fd / 2] : &m.outer[item->fd - FDS];
}

static __u32 model_poll(int i)
{
	const struct item *item = &m.item[i];
	__u32 events = 0;

	if (item->fd < FDS) {
		if (m.count[item->fd / 2])
			events |= EPOLLIN;
		if (m.count[item->fd / 2] < FULL)
			events |= EPOLLOUT;
	} else {
		struct list *ready = &m.ready[item->fd - FDS];

		while (ready->n) {
			if (model_poll(ready->item[0])) {
				events = EPOLLIN | EPOLLRDNORM;
				break;
			}
			m.item[ready->item[0]].linked = false;
			list_drop(ready, ready->item[0]);
		}
	}
	return events & item->events;
}

static void model_wake(struct list *queue, __u32 key);

static void model_link(int i)
{
	if (!m.item[i].linked) {
		m.item[i].linked = true;
		list_push(&m.ready[m.item[i].ep], i, false);
	}
}

static void model_wake(struct list *queue, __u32 key)
{
	int n;

	for (n = 0; n < queue->n; n++) {
		const struct item *item = &m.item[queue->item[n]];

		if (!(item->events & ~PRIVATE_BITS) || !(key & item->events))
			continue;
		model_link(queue->item[n]);
		model_wake(&m.outer[item->ep], EPOLLIN);
	}
}

static int model_find(int ep, int fd)
{
	int i;

	for (i = 0; i < ITEMS; i++)
		if (m.item[i].used && m.item[i].ep == ep && m.item[i].fd == fd)
			return i;
	return -1;
}

/* If it is ready: queued, and the epolls that hold its epoll are woken. */
static void model_arm(int i)
{
	if (model_poll(i) && !m.item[i].linked) {
		model_link(i);
		model_wake(&m.outer[m.item[i].ep], EPOLLIN);
	}
}

static int model_add(int ep, int fd, __u32 events, __u64 data)
{
	int i;

	if (model_find(ep, fd) >= 0)
		return -EEXIST;
	for (i = 0; m.item[i].used; i++)
		;
	m.item[i] = (struct item){ .used = true, .ep = ep, .fd = fd, .data = data,
				   .events = events | EPOLLERR | EPOLLHUP };
	list_push(model_queue(&m.item[i]), i, !(events & EPOLLEXCLUSIVE));
	model_arm(i);
	return 0;
}

static int model_mod(int ep, int fd, __u32 events, __u64 data)
{
	int i = model_find(ep, fd);

	if (i < 0)
		return -ENOENT;
	if (m.item[i].events & EPOLLEXCLUSIVE)
		return -EINVAL;
	m.item[i].events = events | EPOLLERR | EPOLLHUP;
	m.item[i].data = data;
	model_arm(i);
	return 0;
}

static void model_remove(int i)
{
	list_drop(model_queue(&m.item[i]), i);
	list_drop(&m.ready[m.item[i].ep], i);
	m.item[i].used = false;
}

static int model_del(int ep, int fd)
{
	int i = model_find(ep, fd);

	if (i < 0)
		return -ENOENT;
	model_remove(i);
	return 0;
}

/* The events that a wait returns which can write @room events. */
static int model_wait(int ep, int max, int room, struct epoll_event *events)
{
	struct list *ready = &m.ready[ep];
	struct list taken = *ready, again = {};
	int res = 0, i, at;

	for (at = 0; at < taken.n && res < max; at++) {
		struct item *item = &m.item[i = taken.item[at]];
		__u32 revents = model_poll(i);

		if (!revents) {
			item->linked = false;
			continue;
		}
		if (res == room) {
			if (!res)
				res = -EFAULT;
			break;
		}
		events[res].events = revents;
		events[res++].data.u64 = item->data;
		item->linked = false;
		if (item->events & EPOLLONESHOT) {
			item->events &= PRIVATE_BITS;
		} else if (!(item->events & EPOLLET)) {
			item->linked = true;
			list_push(&again, i, false);
		}
	}
	ready->n = 0;
	for (; at < taken.n; at++)
		list_push(ready, taken.item[at], false);
	for (at = 0; at < again.n; at++)
		list_push(ready, again.item[at], false);
	return res;
}

static bool file_open(int file)
{
	int fd = eventfd(0, EFD_NONBLOCK), n = FIRST_FD + 2 * file;

	if (fd < 0 || dup2(fd, n) != n || dup2(fd, n + 1) != n + 1 || close(fd))
		return false;
	m.count[file] = 0;
	m.open[2 * file] = true;
	m.open[2 * file + 1] = true;
	return true;
}

/* The last reference is gone, and so are its items, also those of a closed descriptor. */
static void file_close(int file)
{
	int i;

	for (i = 0; i < 2; i++)
		if (m.open[2 * file + i])
			close(FIRST_FD + 2 * file + i);
	for (i = 0; i < ITEMS; i++)
		if (m.item[i].used && m.item[i].fd < FDS && m.item[i].fd / 2 == file)
			model_remove(i);
}

static int fd_number(int fd)
{
	return fd < FDS ? FIRST_FD + fd : m.ep[fd - FDS];
}

FIXTURE(model) {
	struct buffer buffer;
};

FIXTURE_SETUP(model)
{
	int i;

	ASSERT_TRUE(buffer_make(&self->buffer, END_PROT_NONE));
	for (i = 0; i < EPOLLS; i++)
		m.ep[i] = epoll_create1(0);
	for (i = 0; i < FILES; i++)
		ASSERT_TRUE(file_open(i));
}

FIXTURE_TEARDOWN(model)
{
	buffer_free(&self->buffer);
}

TEST_F_TIMEOUT(model, random_operations, 300)
{
	static const char * const ways[] = { "epoll_wait", "epoll_pwait2", "int $0x80" };
	static struct epoll_event want[ITEMS];
	const char *env = getenv("EPOLL_OPS");
	long ops = env ? atol(env) : 20000, i, delivered = 0, faults = 0, longest = 0;
	unsigned int seed = (env = getenv("EPOLL_SEED")) ? atol(env) : 1;
	unsigned int first_seed = seed;
	wait_fn *wait[] = { by_wait, by_pwait2, has_int80() ? by_int80 : by_wait };
	int f, k;

	for (i = 0; i < ops; i++) {
		int op = rand_r(&seed) % 100, ep = rand_r(&seed) % EPOLLS;
		int fd = rand_r(&seed) % FDS, room, max, n, got, way;
		__u32 events = 0;
		__u64 value, data = (__u64)rand_r(&seed) << 32 | i;
		char *start;

		f = fd / 2;
		if (op < 30) {				/* more in a file, or all it takes */
			value = op ? 1 : FULL - m.count[f];
			for (k = 0; k < 2 && !m.open[2 * f + k]; k++)
				;
			if (m.count[f] + value > FULL || !value)
				continue;
			ASSERT_EQ(8, write(FIRST_FD + 2 * f + k, &value, 8));
			m.count[f] += value;
			model_wake(&m.waiters[f], EPOLLIN);
		} else if (op < 40) {			/* nothing in it */
			for (k = 0; k < 2 && !m.open[2 * f + k]; k++)
				;
			if (!m.count[f])
				continue;
			ASSERT_EQ(8, read(FIRST_FD + 2 * f + k, &value, 8));
			ASSERT_EQ(m.count[f], value);
			m.count[f] = 0;
			model_wake(&m.waiters[f], EPOLLOUT);
		} else if (op < 62) {			/* an item, new or other */
			bool add = op < 52;

			if (rand_r(&seed) % 8 == 0 && ep < EPOLLS - 1)
				fd = FDS + ep + 1 + rand_r(&seed) % (EPOLLS - 1 - ep);
			if (fd < FDS && !m.open[fd])
				continue;
			events |= rand_r(&seed) % 6 ? EPOLLIN : 0;
			events |= rand_r(&seed) % 12 ? 0 : EPOLLOUT;
			events |= rand_r(&seed) % 3 ? 0 : EPOLLET;
			events |= rand_r(&seed) % 8 ? 0 : EPOLLWAKEUP;
			if (add && fd < FDS && rand_r(&seed) % 6 == 0)
				events |= EPOLLEXCLUSIVE;
			else if (rand_r(&seed) % 4 == 0)
				events |= EPOLLONESHOT;
			if (add) {
				k = model_add(ep, fd, events, data);
				n = ctl(m.ep[ep], EPOLL_CTL_ADD, fd_number(fd), events, data);
			} else {
				k = model_mod(ep, fd, events, data);
				n = ctl(m.ep[ep], EPOLL_CTL_MOD, fd_number(fd), events, data);
			}
			ASSERT_EQ(k, n) {
				TH_LOG("operation %ld of seed %u: %s of %d in %d", i, first_seed,
				       add ? "ADD" : "MOD", fd, ep);
			}
		} else if (op < 64) {			/* an item less */
			if (rand_r(&seed) % 8 == 0 && ep < EPOLLS - 1)
				fd = FDS + ep + 1 + rand_r(&seed) % (EPOLLS - 1 - ep);
			if (fd < FDS && !m.open[fd])
				continue;
			ASSERT_EQ(model_del(ep, fd),
				  ctl(m.ep[ep], EPOLL_CTL_DEL, fd_number(fd), 0, 0));
		} else if (op < 65) {			/* a descriptor less, or again */
			if (m.open[fd] && m.open[fd ^ 1]) {
				close(FIRST_FD + fd);
				m.open[fd] = false;
			} else {
				if (m.open[fd])
					fd ^= 1;
				ASSERT_EQ(FIRST_FD + fd, dup2(FIRST_FD + (fd ^ 1), FIRST_FD + fd));
				m.open[fd] = true;
			}
		} else if (op < 66) {			/* a file goes, another comes */
			file_close(f);
			ASSERT_TRUE(file_open(f));
		} else {				/* a wait, with memory that may end */
			max = 1 + rand_r(&seed) % (rand_r(&seed) % 2 ? 4 : 2 * FDS);
			room = rand_r(&seed) % 3 ? max * EVENT : rand_r(&seed) % (max * EVENT);
			way = rand_r(&seed) % 3;
			if (m.ready[ep].n > longest)
				longest = m.ready[ep].n;
			start = self->buffer.end - room;
			memset(start, 0x5a, room);
			/* What pads an event stays as it was. */
			memset(want, 0x5a, sizeof(want));
			n = model_wait(ep, max, room / EVENT, want);
			got = wait[way](m.ep[ep], start, max);
			ASSERT_EQ(n, got) {
				TH_LOG("%ld of seed %u: %s of %d, %d at most, %d bytes",
				       i, first_seed, ways[way], ep, max, room);
			}
			for (k = 0; k < n; k++) {
				ASSERT_EQ(0, memcmp(event_at(start, k), &want[k], EVENT)) {
					TH_LOG("%ld of seed %u: %s %d: %d/%d %#x %llx not %#x %llx",
					       i, first_seed, ways[way], ep, k, n,
					       event_at(start, k)->events,
					       (unsigned long long)event_at(start, k)->data.u64,
					       want[k].events,
					       (unsigned long long)want[k].data.u64);
				}
			}
			/* A part of the event that did not fit may have been written. */
			for (k = ((n < 0 ? 0 : n) + (room < max * EVENT)) * EVENT; k < room; k++) {
				ASSERT_EQ(0x5a, start[k]) {
					TH_LOG("%ld of seed %u: byte %d written, %d delivered",
					       i, first_seed, k, n);
				}
			}
			delivered += n > 0 ? n : 0;
			faults += n < 0 || (n == room / EVENT && n < max);
		}
	}
	TH_LOG("%ld operations of seed %u: %ld events, %ld faults, longest list %ld",
	       i, first_seed, delivered, faults, longest);
	/* Events and faults did occur. */
	EXPECT_GT(delivered, ops / 4);
	EXPECT_GT(faults, ops / 100);
	EXPECT_GT(longest, 16);
}

int main(int argc, char **argv)
{
	struct rlimit files = { 4096, 4096 };

	setrlimit(RLIMIT_NOFILE, &files);
	return test_harness_run(argc, argv);
}
