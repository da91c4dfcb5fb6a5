// SPDX-License-Identifier: GPL-2.0
/*
 * Switching the arms of epoll_wait() while everything uses it.
 *
 * Load on every CPU that notices one event too many or too few, and a task that
 * sleeps in epoll_wait() through all of it. Without the module the same load
 * runs in the one arm that there is: a failure then is one of the test. What can
 * be done wrong with the arm file is in arm_switch.c.
 *
 * Environment: SWITCHES (1000); SWITCH_SECONDS, after which the number of
 * switches that there were is enough (no limit).
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <linux/types.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "arm_test.h"

#define CHANGE		"epoll"
#define MODULE		"uplift_epoll"
#define MAX_CPUS	16
#define QUIT		0xffff	/* data of the item that ends a consumer */

static double switch_seconds(void)
{
	const char *n = getenv("SWITCH_SECONDS");

	return n ? atof(n) : 1e9;
}

/*
 * A stream: a producer, an epoll of some items, one consumer or two.
 *
 * Edge: each item is written once a round, and the round ends when each has
 * given one event; an event without anything to read is one too many. Level:
 * pipes with numbers in them, which must come in sequence; as there is no other
 * reader, an event without anything to read is wrong here, too. Oneshot: two
 * consumers; until one has armed an item again the other must not get it.
 */

enum kind { EDGE, LEVEL, ONESHOT, KINDS };

static const char * const kind_name[] = { "edge", "level", "oneshot" };

#define ITEMS	12

struct stream {
	enum kind kind;
	int ep, quit, ack;
	int in[ITEMS], out[ITEMS];	/* to write to, to read from */
	__u64 sent[ITEMS];
	__u64 seen[ITEMS];
	atomic_int busy[ITEMS];
	atomic_ullong produced, consumed;
	pthread_t producer, consumer[2];
	int cpu_in, cpu_out;
	const char *wrong;		/* the first fault */
};

static atomic_bool stop;
static atomic_ullong events_seen;

static void *wrong(struct stream *s, const char *what)
{
	if (!s->wrong)
		s->wrong = what;
	atomic_store(&stop, true);
	return NULL;
}

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, WITHIN * 1000) == 1;
}

static void *produce(void *arg)
{
	struct stream *s = arg;
	unsigned int seed = s->cpu_in * KINDS + s->kind;
	__u64 value;
	int i, n;

	pin_to_cpu(s->cpu_in);
	while (!atomic_load(&stop)) {
		n = 1 + rand_r(&seed) % ITEMS;
		for (i = 0; i < n; i++) {
			int k = s->kind == EDGE ? i : rand_r(&seed) % ITEMS;

			value = s->kind == LEVEL ? ++s->sent[k] : 1;
			/* Counted before it is sent: it might be consumed at once. */
			atomic_fetch_add(&s->produced, 1);
			if (write(s->in[k], &value, sizeof(value)) != sizeof(value))
				return wrong(s, "a write failed");
		}
		/* Writers of pipes are bounded by the space in them. */
		if (s->kind == LEVEL)
			continue;
		while (atomic_load(&s->consumed) != atomic_load(&s->produced)) {
			if (!readable(s->ack))
				return wrong(s, "an event was lost");
			if (read(s->ack, &value, sizeof(value)) != sizeof(value))
				return wrong(s, "the acknowledgment cannot be read");
		}
	}
	value = 1;
	if (write(s->quit, &value, sizeof(value)) != sizeof(value))
		return wrong(s, "a write failed");
	return NULL;
}

/* Reads all that is in item @k; returns how much, or -1. */
static long take(struct stream *s, int k)
{
	__u64 value[8];
	ssize_t n;
	int i;

	n = read(s->out[k], value, s->kind == LEVEL ? sizeof(value) : sizeof(*value));
	if (n < 0) {
		wrong(s, "an event came twice, or without reason: there is nothing to read");
		return -1;
	}
	if (s->kind != LEVEL) {
		if (s->kind == EDGE && *value != 1)
			wrong(s, "an eventfd was written twice in a round");
		return *value;
	}
	for (i = 0; i < n / (ssize_t)sizeof(*value); i++)
		if (value[i] != ++s->seen[k]) {
			wrong(s, "numbers are out of sequence");
			return -1;
		}
	return i;
}

static void *consume(void *arg)
{
	struct epoll_event events[ITEMS + 1];
	struct stream *s = arg;
	bool quit = false;
	__u64 one = 1;
	unsigned int waits = 0;
	int i, n;

	pin_to_cpu(s->cpu_out);
	while (!quit || atomic_load(&s->consumed) != atomic_load(&s->produced)) {
		n = epoll_wait(s->ep, events, 1 + waits++ % ITEMS, quit ? WITHIN * 1000 : -1);
		if (n < 0)
			return wrong(s, errno == EINTR ? "epoll_wait() was interrupted" :
				     "epoll_wait() failed");
		if (!n)
			return wrong(s, "an event was lost at the end");
		for (i = 0; i < n; i++) {
			int k = events[i].data.u64;
			long taken;

			if (events[i].events != EPOLLIN)
				return wrong(s, "events that were not asked for");
			if (events[i].data.u64 == QUIT) {
				quit = true;
				continue;
			}
			if (events[i].data.u64 >= ITEMS)
				return wrong(s, "data that no item has");
			if (s->kind == ONESHOT && atomic_exchange(&s->busy[k], 1))
				return wrong(s, "a oneshot item came twice");
			taken = take(s, k);
			if (taken < 0)
				return NULL;
			if (s->kind == ONESHOT) {
				struct epoll_event again = { EPOLLIN | EPOLLONESHOT, { .u64 = k } };

				atomic_store(&s->busy[k], 0);
				if (epoll_ctl(s->ep, EPOLL_CTL_MOD, s->out[k], &again))
					return wrong(s, "an item cannot be armed again");
			}
			atomic_fetch_add(&events_seen, 1);
			atomic_fetch_add(&s->consumed, taken);
			if (s->kind != LEVEL && write(s->ack, &one, sizeof(one)) != sizeof(one))
				return wrong(s, "a write failed");
		}
		if (quit && s->kind == ONESHOT)
			sched_yield();	/* the other consumer may hold the rest */
	}
	return NULL;
}

static bool stream_make(struct stream *s, int kind, int cpu_in, int cpu_out)
{
	static const __u32 trigger[] = { EPOLLET, 0, EPOLLONESHOT };
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = QUIT };
	int i, pair[2];

	memset(s, 0, sizeof(*s));
	s->kind = kind;
	s->cpu_in = cpu_in;
	s->cpu_out = cpu_out;
	s->ep = epoll_create1(0);
	s->quit = eventfd(0, EFD_NONBLOCK);
	s->ack = eventfd(0, 0);
	if (s->ep < 0 || s->quit < 0 || s->ack < 0 ||
	    epoll_ctl(s->ep, EPOLL_CTL_ADD, s->quit, &event))
		return false;
	for (i = 0; i < ITEMS; i++) {
		if (kind == LEVEL) {
			if (pipe(pair))
				return false;
			s->out[i] = pair[0];
			s->in[i] = pair[1];
			fcntl(pair[0], F_SETFL, O_NONBLOCK);
		} else {
			s->out[i] = eventfd(0, EFD_NONBLOCK);
			s->in[i] = s->out[i];
		}
		event.events = EPOLLIN | trigger[kind];
		event.data.u64 = i;
		if (epoll_ctl(s->ep, EPOLL_CTL_ADD, s->out[i], &event))
			return false;
	}
	return true;
}

static void stream_free(struct stream *s)
{
	int i;

	for (i = 0; i < ITEMS; i++) {
		close(s->out[i]);
		if (s->in[i] != s->out[i])
			close(s->in[i]);
	}
	close(s->ep);
	close(s->quit);
	close(s->ack);
}

/* A task that sleeps in epoll_wait(), which only an event may wake. */

struct sleeper {
	pthread_t thread;
	int ep, fd;
	atomic_int tid, result;		/* -1000: still there */
};

static void *sleep_in_epoll(void *arg)
{
	struct epoll_event event = {};
	struct sleeper *s = arg;
	int n;

	atomic_store(&s->tid, (int)syscall(SYS_gettid));
	n = epoll_wait(s->ep, &event, 1, -1);
	atomic_store(&s->result, n < 0 ? -errno : n == 1 && event.data.u64 == 77 ? 1 : 0);
	return NULL;
}

static bool sleeper_start(struct sleeper *s)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 77 };

	s->ep = epoll_create1(0);
	s->fd = eventfd(0, 0);
	s->result = -1000;
	s->tid = 0;
	return !epoll_ctl(s->ep, EPOLL_CTL_ADD, s->fd, &event) &&
	       !pthread_create(&s->thread, NULL, sleep_in_epoll, s) &&
	       loop_until(WITHIN, thread_sleeps(atomic_load(&s->tid)));
}

/* Sends its one event; returns what epoll_wait() returned. */
static int sleeper_end(struct sleeper *s)
{
	__u64 one = 1;

	if (write(s->fd, &one, sizeof(one)) != sizeof(one))
		return -EIO;
	pthread_join(s->thread, NULL);
	close(s->ep);
	close(s->fd);
	return s->result;
}

FIXTURE(arm) {
	const char *arms[4];
	int count;
};

FIXTURE_SETUP(arm)
{
	self->count = arms_offered(CHANGE, self->arms);
}

FIXTURE_TEARDOWN(arm)
{
	arm_set(CHANGE, "off");
}

/* 10,000 switches take an hour of a CPU in a guest, and it may have less than one. */
TEST_F_TIMEOUT(arm, switched_under_load, 6 * 3600)
{
	static struct stream stream[MAX_CPUS * KINDS];
	int cpus[MAX_CPUS], n = usable_cpus(cpus, MAX_CPUS), i, k, ret = 0;
	unsigned long long before;
	struct sleeper sleeper[4];
	long done, want = switches();
	bool late = false;
	int per_arm;
	double start, end;

	ASSERT_GT(n, 0);
	/* One that went to sleep in each arm. */
	per_arm = self->count ? self->count : 1;
	for (i = 0; i < per_arm; i++) {
		if (self->count)
			ASSERT_EQ(0, arm_set(CHANGE, self->arms[i]));
		ASSERT_TRUE(sleeper_start(&sleeper[i]));
	}
	for (i = 0; i < n * KINDS; i++) {
		struct stream *s = &stream[i];

		ASSERT_TRUE(stream_make(s, i % KINDS, cpus[i / KINDS], cpus[(i / KINDS + 1) % n]));
		ASSERT_EQ(0, pthread_create(&s->producer, NULL, produce, s));
		for (k = 0; k < 1 + (s->kind == ONESHOT); k++)
			ASSERT_EQ(0, pthread_create(&s->consumer[k], NULL, consume, s));
	}
	/* A switch waits for every task that may be in the old body: make at least one. */
	start = seconds_now();
	end = start + switch_seconds();
	for (done = 0; done < want && !atomic_load(&stop); done++) {
		late = done && seconds_now() > end;
		if (late)
			break;
		if (done && done % 1000 == 0) {
			TH_LOG("%ld switches, %.0f s", done, seconds_now() - start);
			fflush(NULL);
		}
		if (self->count) {
			ret = arm_set(CHANGE, self->arms[done % self->count]);
			if (ret)
				break;
		}
		/* Each arm has delivered something before the next one comes. */
		before = atomic_load(&events_seen);
		if (!loop_until(WITHIN, atomic_load(&stop) ||
				atomic_load(&events_seen) > before + n))
			break;
	}
	atomic_store(&stop, true);
	for (i = 0; i < n * KINDS; i++) {
		struct stream *s = &stream[i];

		pthread_join(s->producer, NULL);
		for (k = 0; k < 1 + (s->kind == ONESHOT); k++)
			pthread_join(s->consumer[k], NULL);
		EXPECT_EQ(NULL, s->wrong) {
			TH_LOG("%s, CPU %d to %d: %s", kind_name[s->kind], s->cpu_in, s->cpu_out,
			       s->wrong);
		}
		EXPECT_EQ(s->produced, s->consumed);
		stream_free(s);
	}
	EXPECT_EQ(0, ret) {
		TH_LOG("switching to %s: %s", self->arms[done % self->count], strerror(-ret));
	}
	if (!late)
		EXPECT_EQ(want, done);
	EXPECT_LT(0, done);
	for (i = 0; i < per_arm; i++) {
		EXPECT_EQ(-1000, sleeper[i].result) {
			TH_LOG("a task asleep in epoll_wait() came back: %d", sleeper[i].result);
		}
		EXPECT_TRUE(thread_sleeps(sleeper[i].tid));
		EXPECT_EQ(1, sleeper_end(&sleeper[i]));
	}
	TH_LOG("%ld switches among %d arms, %llu events on %d CPUs", self->count ? done : 0L,
	       self->count, (unsigned long long)events_seen, n);
}

/* Calls are counted in the arm that is on. */
TEST_F(arm, calls_counted)
{
	struct epoll_event event = { .events = EPOLLIN };
	char key[32];
	long long before;
	int i, k, ep = epoll_create1(0), fd = eventfd(1, 0);

	if (!self->count)
		SKIP(return, "no %s/%s/arm: the module is not loaded", UPLIFT_DEBUG, CHANGE);
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
	for (i = 1; i < self->count; i++) {
		snprintf(key, sizeof(key), "calls_%s", self->arms[i]);
		ASSERT_EQ(0, arm_set(CHANGE, self->arms[i]));
		before = arm_stat(CHANGE, key, NULL, 0);
		ASSERT_LE(0, before);
		for (k = 0; k < 100; k++)
			ASSERT_EQ(1, epoll_wait(ep, &event, 1, 0));
		EXPECT_LE(before + 100, arm_stat(CHANGE, key, NULL, 0));
		ASSERT_EQ(0, arm_set(CHANGE, "off"));
		before = arm_stat(CHANGE, key, NULL, 0);
		for (k = 0; k < 100; k++)
			ASSERT_EQ(1, epoll_wait(ep, &event, 1, 0));
		EXPECT_EQ(before, arm_stat(CHANGE, key, NULL, 0));
	}
	close(ep);
	close(fd);
}

/*
 * While an arm is on, or a task inside, the module stays, and no task is woken by
 * the refusal. Where the redirected function itself sleeps, a task stays inside
 * after the arm is off.
 */
TEST_F_TIMEOUT(arm, unload_refused, 300)
{
	char function[64] = "";
	struct sleeper sleeper;
	bool sleeps;
	int i, k;

	if (!self->count)
		SKIP(return, "no %s/%s/arm: the module is not loaded", UPLIFT_DEBUG, CHANGE);
	arm_stat(CHANGE, "function", function, sizeof(function));
	sleeps = !strcmp(function, "do_epoll_wait");
	for (i = 1; i < self->count; i++) {
		ASSERT_EQ(0, arm_set(CHANGE, self->arms[i]));
		ASSERT_TRUE(sleeper_start(&sleeper));
		for (k = 0; k < 5; k++)
			EXPECT_EQ(-EAGAIN, module_unload(MODULE));
		if (sleeps)
			EXPECT_LE(1, arm_stat(CHANGE, "inside", NULL, 0));
		ASSERT_EQ(0, arm_set(CHANGE, "off"));
		if (sleeps) {
			EXPECT_LE(1, arm_stat(CHANGE, "inside", NULL, 0));
			EXPECT_EQ(-EAGAIN, module_unload(MODULE));
		}
		EXPECT_EQ(-1000, sleeper.result);
		EXPECT_TRUE(thread_sleeps(sleeper.tid));
		EXPECT_EQ(1, sleeper_end(&sleeper));
		EXPECT_TRUE(loop_until(WITHIN, !arm_stat(CHANGE, "inside", NULL, 0)));
	}
	TH_LOG("%s, arms: %d", function, self->count);
}

TEST_HARNESS_MAIN
