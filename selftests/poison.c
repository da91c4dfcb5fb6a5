// SPDX-License-Identifier: GPL-2.0
/*
 * Looks for memory of the kernel that nothing was written to in what it gives to
 * programs. The kernel has to be booted so that such memory has a pattern
 * (poison.sh); its stack is given one here, by a system call that copies to it.
 *
 * usage: poison files PATH...	what can be read of files with text in them
 *        poison events		what epoll_wait() writes, between its members too
 *
 * A line on standard error for each that is wrong. Exit: 0 none, 1 some, 2 usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OURS		0x11	/* in buffers before the kernel writes to them */
#define ON_STACK	0xa7	/* as a file descriptor it is negative, and so ignored */
#define GUARD		64
#define RUN		8	/* so many letters that are patterns of the slab's are no text */
#define MOST		(1024 * 1024)
#define ITEMS		40

static int bad;

/* What ppoll() is given, it copies to a buffer on its stack, up to 256 bytes. */
static void fill_stack(void)
{
	struct timespec zero = {};
	struct pollfd fds[28];

	memset(fds, ON_STACK, sizeof(fds));
	if (syscall(SYS_ppoll, fds, sizeof(fds) / sizeof(*fds), &zero, NULL, 8)) {
		perror("poison: ppoll");
		exit(1);
	}
}

/*
 * Where text ends to be text, or @len. 'k' and 'Z' are the slab's patterns for
 * freed and for new memory.
 */
static size_t text_ends(const unsigned char *text, size_t len)
{
	size_t i, run = 0;

	for (i = 0; i < len; i++) {
		if ((text[i] < ' ' && text[i] != '\n' && text[i] != '\t') || text[i] > '~')
			return i;
		if ((text[i] == 'k' || text[i] == 'Z') && i && text[i] == text[i - 1])
			run++;
		else
			run = 0;
		if (run == RUN - 1)
			return i;
	}
	return len;
}

static bool untouched(const unsigned char *buf, size_t len)
{
	size_t i;

	for (i = 0; i < len && buf[i] == OURS; i++)
		;
	return i == len;
}

/* Reads a file in pieces of @size; false where something is wrong, or it cannot be read. */
static bool look(const char *path, unsigned char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t ends, all = 0;
	bool fine = true;
	ssize_t n;

	if (fd < 0)
		return true;	/* its permissions are privilege.sh's to test */
	while (fine) {
		memset(buf, OURS, size + GUARD);
		fill_stack();
		n = read(fd, buf, size);
		if (n <= 0)
			break;
		ends = text_ends(buf, n);
		if (ends < n) {
			fprintf(stderr, "%s: byte %zu is %#x, read by %zu\n", path, all + ends,
				buf[ends], size);
			fine = false;
		} else if (!untouched(buf + n, size + GUARD - n)) {
			fprintf(stderr, "%s: more than %zd bytes written at %zu, read by %zu\n",
				path, n, all, size);
			fine = false;
		}
		all += n;
	}
	close(fd);
	return fine;
}

static void files(char *const *path)
{
	static const size_t sizes[] = { MOST, 4096, 61, 1 };
	unsigned char *buf = malloc(MOST + GUARD);
	size_t i;

	if (!buf)
		exit(1);
	for (; *path; path++)
		for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
			if (!look(*path, buf, sizes[i])) {
				bad = 1;
				break;
			}
	free(buf);
}

/* An event in memory that was OURS before: that is what stays between its members. */
static void event(unsigned char *want, uint32_t events, uint64_t data)
{
	memset(want, OURS, sizeof(struct epoll_event));
	memcpy(want + offsetof(struct epoll_event, events), &events, sizeof(events));
	memcpy(want + offsetof(struct epoll_event, data), &data, sizeof(data));
}

/* One wait for up to @max of ITEMS that are ready, of which @next is the first. */
static void wait_for(int ep, int max, int next)
{
	unsigned char buf[(ITEMS + 1) * sizeof(struct epoll_event)];
	unsigned char want[sizeof(struct epoll_event)];
	int i, n;

	memset(buf, OURS, sizeof(buf));
	fill_stack();
	n = epoll_wait(ep, (struct epoll_event *)buf, max, 0);
	if (n != max) {
		fprintf(stderr, "%d events of %d\n", n, max);
		bad = 1;
		return;
	}
	for (i = 0; i < n; i++) {
		event(want, EPOLLIN, ~(uint64_t)((next + i) % ITEMS));
		if (memcmp(want, buf + i * sizeof(want), sizeof(want))) {
			fprintf(stderr, "event %d of %d: not what was to be written\n", i, n);
			bad = 1;
		}
	}
	if (!untouched(buf + n * sizeof(want), sizeof(buf) - n * sizeof(want))) {
		fprintf(stderr, "more than %d events were written\n", n);
		bad = 1;
	}
}

static void events(void)
{
	int i, max, next = 0, ep = epoll_create1(EPOLL_CLOEXEC);

	for (i = 0; i < ITEMS; i++) {
		struct epoll_event item = { .events = EPOLLIN, .data.u64 = ~(uint64_t)i };

		if (epoll_ctl(ep, EPOLL_CTL_ADD, eventfd(1, EFD_CLOEXEC), &item)) {
			perror("poison: epoll_ctl");
			exit(1);
		}
	}
	/* what is level-triggered goes to the end of the list */
	for (max = 1; max <= ITEMS; max++) {
		wait_for(ep, max, next);
		next = (next + max) % ITEMS;
	}
	close(ep);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "files")) {
		files(argv + 2);
	} else if (argc == 2 && !strcmp(argv[1], "events")) {
		events();
	} else {
		fprintf(stderr, "usage: poison files PATH... | poison events\n");
		return 2;
	}
	return bad;
}
