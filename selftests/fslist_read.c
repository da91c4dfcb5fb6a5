// SPDX-License-Identifier: GPL-2.0
/*
 * Reading the cached list of filesystems, call by call.
 *
 * The model is /proc/filesystems itself: every call on the file under test is made
 * on it as well, and result, errno and bytes must agree. So this states nothing
 * about how seq_file behaves, only that programs cannot tell the two apart.
 *
 * Environment: FSLIST_FILE, the file under test (/proc/filesystems_cached);
 * FSLIST_KO, a filesystem module to load and unload, without which the tests
 * that need a change of the list are skipped.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "fslist_util.h"
#include "patience.h"

#define FUZZ_OPS	20000

static const char *file_under_test(void)
{
	const char *file = getenv("FSLIST_FILE");

	return file ? file : FSLIST_CACHED;
}

FIXTURE(list) {
	int native;
	int cached;
	size_t len;
	char text[FSLIST_MAX];
	char name[64];		/* of the module to load, or empty */
	const char *ko;
	bool loaded;
};

FIXTURE_SETUP(list)
{
	ssize_t len;

	if (access(file_under_test(), R_OK))
		SKIP(return, "no %s: load uplift_fslist", file_under_test());
	self->native = open(FSLIST_NATIVE, O_RDONLY);
	self->cached = open(file_under_test(), O_RDONLY);
	ASSERT_GE(self->native, 0);
	ASSERT_GE(self->cached, 0);
	len = read_whole(FSLIST_NATIVE, self->text, sizeof(self->text));
	ASSERT_GT(len, 0);
	self->len = len;
	self->ko = getenv("FSLIST_KO");
	if (self->ko)
		module_name(self->ko, self->name, sizeof(self->name));
}

FIXTURE_TEARDOWN(list)
{
	if (self->loaded)
		module_unload(self->name);
	close(self->native);
	close(self->cached);
}

/* Changes the list by a line; false if it cannot. */
static bool change_list(struct _test_data_list *self)
{
	int ret;

	if (!self->loaded)
		ret = module_load(self->ko, "");
	else
		loop_until(5, (ret = module_unload(self->name)) != -EAGAIN);
	if (!ret)
		self->loaded = !self->loaded;
	return !ret;
}

/* Why the list cannot be changed here, or NULL. */
static const char *no_change(const struct _test_data_list *self)
{
	if (!self->ko)
		return "FSLIST_KO names no module";
	return geteuid() ? "loading a module needs root" : NULL;
}

TEST_F(list, whole_text)
{
	char buf[FSLIST_MAX];

	ASSERT_EQ(self->len, pread(self->cached, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, self->text, self->len));
	ASSERT_EQ(self->len, read(self->cached, buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, self->text, self->len));
	EXPECT_EQ(0, read(self->cached, buf, sizeof(buf)));
	EXPECT_EQ(0, read(self->cached, buf, sizeof(buf)));
}

TEST_F(list, pread_at_every_offset)
{
	size_t sizes[] = { 1, 2, 3, 7, 16, 63, 64, 65, 127, 4095, 4096, 4097,
			   self->len - 1, self->len, self->len + 1 };
	char buf[FSLIST_MAX];
	size_t off, want, i;
	ssize_t n;

	for (off = 0; off <= self->len + 2; off++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			want = off < self->len ? self->len - off : 0;
			if (want > sizes[i])
				want = sizes[i];
			memset(buf, 0x5a, sizeof(buf));
			n = pread(self->cached, buf, sizes[i], off);
			ASSERT_EQ(want, n) {
				TH_LOG("%zu bytes at %zu", sizes[i], off);
			}
			ASSERT_EQ(0, memcmp(buf, self->text + off, want)) {
				TH_LOG("%zu bytes at %zu", sizes[i], off);
			}
			ASSERT_EQ(0x5a, buf[want]) {
				TH_LOG("%zu bytes at %zu: wrote past the end", sizes[i], off);
			}
		}
	}
}

TEST_F(list, byte_steps_across_change)
{
	char buf[FSLIST_MAX], fresh[FSLIST_MAX];
	size_t len = 0;
	ssize_t n;

	if (no_change(self))
		SKIP(return, "%s", no_change(self));
	while ((n = read(self->cached, buf + len, 1)) == 1) {
		len++;
		if (len == self->len / 2)
			ASSERT_TRUE(change_list(self));
		ASSERT_LT(len, sizeof(buf));
	}
	ASSERT_EQ(0, n);
	ASSERT_TRUE(self->loaded);
	ASSERT_EQ(self->len, len);
	EXPECT_EQ(0, memcmp(buf, self->text, len));
	/* The end of the text that was begun is the end, also of a longer list. */
	EXPECT_EQ(0, read(self->cached, buf, sizeof(buf)));
	EXPECT_EQ(0, read(self->cached, buf, 1));

	/* From the start again: the list as it is now. */
	n = read_whole(FSLIST_NATIVE, fresh, sizeof(fresh));
	ASSERT_GT(n, self->len);
	ASSERT_EQ(0, lseek(self->cached, 0, SEEK_SET));
	ASSERT_EQ(n, read(self->cached, buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, fresh, n));
	ASSERT_EQ(n, pread(self->cached, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, fresh, n));
}

TEST_F(list, two_files_keep_their_texts)
{
	char buf[FSLIST_MAX];
	int other;

	if (no_change(self))
		SKIP(return, "%s", no_change(self));
	ASSERT_EQ(10, read(self->cached, buf, 10));
	ASSERT_TRUE(change_list(self));
	other = open(file_under_test(), O_RDONLY);
	ASSERT_GE(other, 0);
	ASSERT_LT(self->len, read(other, buf, sizeof(buf)));
	ASSERT_EQ(self->len - 10, read(self->cached, buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, self->text + 10, self->len - 10));
	close(other);
}

TEST_F(list, lseek)
{
	static const off_t offs[] = { 0, 1, 5, 100, 296, 5000, -1, -5, -5000, 1LL << 40 };
	static const int whences[] = { SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE, 77 };
	char a[64], b[64];
	size_t i, j;

	for (j = 0; j < ARRAY_SIZE(whences); j++) {
		for (i = 0; i < ARRAY_SIZE(offs); i++) {
			off_t want, got;
			int err;

			errno = 0;
			want = lseek(self->native, offs[i], whences[j]);
			err = errno;
			errno = 0;
			got = lseek(self->cached, offs[i], whences[j]);
			ASSERT_EQ(want, got) {
				TH_LOG("lseek(%lld, %d)", (long long)offs[i], whences[j]);
			}
			ASSERT_EQ(err, errno) {
				TH_LOG("lseek(%lld, %d)", (long long)offs[i], whences[j]);
			}
			want = read(self->native, a, sizeof(a));
			ASSERT_EQ(want, read(self->cached, b, sizeof(b))) {
				TH_LOG("after lseek(%lld, %d)", (long long)offs[i], whences[j]);
			}
			if (want > 0)
				ASSERT_EQ(0, memcmp(a, b, want));
		}
	}
}

TEST_F(list, odd_arguments)
{
	struct {
		int fd;
		ssize_t ret[10];
		int err[10];
	} file[2] = { { .fd = self->native }, { .fd = self->cached } };
	char buf[64];
	int i, k;

#define TRY(call)							\
	do {								\
		errno = 0;						\
		file[i].ret[k] = (call);				\
		file[i].err[k++] = errno;				\
	} while (0)
	for (i = 0; i < 2; i++) {
		struct iovec none = { .iov_base = buf, .iov_len = 0 };
		struct iovec one = { .iov_base = buf, .iov_len = 8 };
		int fd = file[i].fd;

		k = 0;
		TRY(read(fd, buf, 0));
		TRY(read(fd, NULL, 0));
		TRY(pread(fd, buf, 8, -1));
		TRY(pread(fd, buf, 8, (1ULL << 63) - 8));
		TRY(readv(fd, &none, 1));
		TRY(readv(fd, &none, 0));
		TRY(preadv2(fd, &one, 1, 0, RWF_NOWAIT));
		TRY(preadv2(fd, &one, 1, 0, RWF_HIPRI));
		TRY(ioctl(fd, FIONREAD, buf));
		TRY(fsync(fd));
		for (k = 0; k < 10 && i; k++) {
			EXPECT_EQ(file[0].ret[k], file[1].ret[k]) {
				TH_LOG("call %d", k);
			}
			EXPECT_EQ(file[0].err[k], file[1].err[k]) {
				TH_LOG("call %d", k);
			}
		}
	}
#undef TRY
}

/* Moved away and back, a file gives the list of now, not the one it had begun. */
TEST_F(list, lseek_away_and_back_over_a_change)
{
	static const char * const was_read[] = { "half", "whole" };
	char a[FSLIST_MAX], b[FSLIST_MAX];
	size_t i;

	if (no_change(self))
		SKIP(return, "%s", no_change(self));
	for (i = 0; i < ARRAY_SIZE(was_read); i++) {
		size_t size = i ? sizeof(a) : 10;
		ssize_t want, got;

		ASSERT_EQ(0, lseek(self->native, 0, SEEK_SET));
		ASSERT_EQ(0, lseek(self->cached, 0, SEEK_SET));
		want = read(self->native, a, size);
		got = read(self->cached, b, size);
		ASSERT_EQ(want, got);
		ASSERT_EQ(0, lseek(self->native, 0, SEEK_SET));
		ASSERT_EQ(0, lseek(self->cached, 0, SEEK_SET));
		ASSERT_TRUE(change_list(self));
		ASSERT_EQ(want, lseek(self->native, want, SEEK_SET));
		ASSERT_EQ(want, lseek(self->cached, want, SEEK_SET));
		want = read(self->native, a, sizeof(a));
		got = read(self->cached, b, sizeof(b));
		ASSERT_EQ(want, got) {
			TH_LOG("the %s text was read before", was_read[i]);
		}
		if (want > 0)
			ASSERT_EQ(0, memcmp(a, b, want));
	}
}

TEST_F(list, readv)
{
	char buf[FSLIST_MAX] = {};
	struct iovec iov[] = {
		{ buf, 1 }, { buf + 1, 0 }, { buf + 1, 3 }, { buf + 4, 100 },
		{ buf + 104, 1 }, { buf + 105, sizeof(buf) - 105 },
	};

	ASSERT_EQ(self->len, readv(self->cached, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(0, memcmp(buf, self->text, self->len));
	EXPECT_EQ(0, readv(self->cached, iov, ARRAY_SIZE(iov)));

	/* Read fewer bytes than there are, then go on from there. */
	ASSERT_EQ(0, lseek(self->cached, 0, SEEK_SET));
	memset(buf, 0, sizeof(buf));
	ASSERT_EQ(104, readv(self->cached, iov, 4));
	ASSERT_EQ(self->len - 104, readv(self->cached, iov + 4, 2));
	EXPECT_EQ(0, memcmp(buf, self->text, self->len));

	ASSERT_EQ(self->len - 50, preadv(self->cached, iov, ARRAY_SIZE(iov), 50));
	EXPECT_EQ(0, memcmp(buf, self->text + 50, self->len - 50));
}

TEST_F(list, sendfile)
{
	char buf[FSLIST_MAX];
	int mem = memfd_create("list", 0);
	off_t off = 20;

	ASSERT_GE(mem, 0);
	ASSERT_EQ(self->len, sendfile(mem, self->cached, NULL, sizeof(buf)));
	ASSERT_EQ(self->len, pread(mem, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, self->text, self->len));
	EXPECT_EQ(0, sendfile(mem, self->cached, NULL, sizeof(buf)));

	ASSERT_EQ(self->len - 20, sendfile(mem, self->cached, &off, sizeof(buf)));
	EXPECT_EQ(self->len, off);
	ASSERT_EQ(self->len - 20, pread(mem, buf, sizeof(buf), self->len));
	EXPECT_EQ(0, memcmp(buf, self->text + 20, self->len - 20));
	close(mem);
}

TEST_F(list, splice)
{
	char a[FSLIST_MAX], b[FSLIST_MAX];
	int pa[2], pb[2];
	loff_t off;

	ASSERT_EQ(0, pipe(pa));
	ASSERT_EQ(0, pipe(pb));
	for (off = 0; off < (loff_t)self->len + 3; off += 37) {
		loff_t oa = off, ob = off;
		ssize_t n = splice(self->native, &oa, pa[1], NULL, 100, 0);

		ASSERT_EQ(n, splice(self->cached, &ob, pb[1], NULL, 100, 0));
		ASSERT_EQ(oa, ob);
		if (!n)
			continue;
		ASSERT_EQ(n, read(pa[0], a, sizeof(a)));
		ASSERT_EQ(n, read(pb[0], b, sizeof(b)));
		ASSERT_EQ(0, memcmp(a, b, n));
	}
	close(pa[0]);
	close(pa[1]);
	close(pb[0]);
	close(pb[1]);
}

TEST_F(list, mmap_refused)
{
	int err;

	ASSERT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->native, 0));
	err = errno;
	ASSERT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->cached, 0));
	EXPECT_EQ(err, errno);
}

TEST_F(list, poll)
{
	struct pollfd fds[] = {
		{ .fd = self->native, .events = POLLIN | POLLPRI | POLLOUT },
		{ .fd = self->cached, .events = POLLIN | POLLPRI | POLLOUT },
	};

	ASSERT_LE(1, poll(fds, 2, 0));
	EXPECT_EQ(fds[0].revents, fds[1].revents);
}

TEST_F(list, stat)
{
	struct stat a, b;

	ASSERT_EQ(0, fstat(self->native, &a));
	ASSERT_EQ(0, fstat(self->cached, &b));
	EXPECT_EQ(a.st_mode, b.st_mode);
	EXPECT_EQ(a.st_size, b.st_size);
	EXPECT_EQ(a.st_uid, b.st_uid);
	EXPECT_EQ(a.st_gid, b.st_gid);
	EXPECT_EQ(a.st_nlink, b.st_nlink);
}

TEST_F(list, write_refused)
{
	static const int flags[] = { O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC, O_RDWR | O_APPEND };
	char buf[FSLIST_MAX];
	size_t i;

	ASSERT_GT(0, write(self->cached, "x", 1));
	EXPECT_EQ(EBADF, errno);
	/* Root may open anything: the write has to fail. */
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		int a = open(FSLIST_NATIVE, flags[i]);
		int b = open(file_under_test(), flags[i]);

		ASSERT_EQ(a < 0, b < 0);
		if (b >= 0) {
			ssize_t want = write(a, "x", 1);
			int err = errno;

			ASSERT_GT(0, write(b, "x", 1));
			EXPECT_GT(0, want);
			EXPECT_EQ(err, errno);
		}
		close(a);
		close(b);
	}
	EXPECT_EQ(truncate(FSLIST_NATIVE, 0), truncate(file_under_test(), 0));
	ASSERT_EQ(self->len, pread(self->cached, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(buf, self->text, self->len));
}

TEST_F(list, open_for_write_refused_to_users)
{
	int status;
	pid_t pid;

	if (geteuid())
		SKIP(return, "becoming another user needs root");
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		char buf[FSLIST_MAX];
		int fd;

		if (setgid(65534) || setuid(65534))
			_exit(10);
		if (open(file_under_test(), O_WRONLY) >= 0 || errno != EACCES)
			_exit(11);
		if (open(file_under_test(), O_RDWR) >= 0 || errno != EACCES)
			_exit(12);
		fd = open(file_under_test(), O_RDONLY);
		if (fd < 0 || read(fd, buf, sizeof(buf)) != (ssize_t)self->len)
			_exit(13);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status) {
		TH_LOG("step %d", WEXITSTATUS(status));
	}
}

TEST_F(list, bad_buffer)
{
	char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char * const bad[] = {
		NULL, (char *)1, none, ro, (char *)-4096L, (char *)0xffff888000000000UL,
	};
	char buf[FSLIST_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_EQ(-1, pread(self->cached, bad[i], 4096, 0)) {
			TH_LOG("buffer %p", bad[i]);
		}
		ASSERT_EQ(EFAULT, errno);
		ASSERT_EQ(-1, read(self->cached, bad[i], 10)) {
			TH_LOG("buffer %p", bad[i]);
		}
		ASSERT_EQ(EFAULT, errno);
	}
	/* Nothing was read, nothing is lost. */
	ASSERT_EQ(self->len, read(self->cached, buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, self->text, self->len));
	munmap(none, 4096);
	munmap(ro, 4096);
}

/*
 * A buffer of which only the first @room bytes can be written, for every @room:
 * once with pages that are mapped, once with pages still to be faulted in.
 */
TEST_F(list, buffer_ends_at_every_offset)
{
	long page = sysconf(_SC_PAGESIZE);
	size_t area = FSLIST_MAX + page, room;
	int touched;

	for (touched = 0; touched < 2; touched++) {
		for (room = 0; room <= self->len; room++) {
			char *a = mmap(NULL, area, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			char *b = mmap(NULL, area, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			ssize_t want, got;
			int err;

			ASSERT_NE(MAP_FAILED, a);
			ASSERT_NE(MAP_FAILED, b);
			if (touched) {
				memset(a, 1, FSLIST_MAX);
				memset(b, 1, FSLIST_MAX);
			}
			ASSERT_EQ(0, mprotect(a + FSLIST_MAX, page, PROT_NONE));
			ASSERT_EQ(0, mprotect(b + FSLIST_MAX, page, PROT_NONE));
			errno = 0;
			want = pread(self->native, a + FSLIST_MAX - room, FSLIST_MAX, 0);
			err = errno;
			errno = 0;
			got = pread(self->cached, b + FSLIST_MAX - room, FSLIST_MAX, 0);
			ASSERT_EQ(want, got) {
				TH_LOG("%zu bytes of room, pages %s", room,
				       touched ? "present" : "absent");
			}
			ASSERT_EQ(err, errno);
			if (got > 0)
				ASSERT_EQ(0, memcmp(a + FSLIST_MAX - room,
						    b + FSLIST_MAX - room, got));
			/* What the next read of the same file gives. */
			if (got > 0) {
				char x[256], y[256];

				want = pread(self->native, x, sizeof(x), got);
				ASSERT_EQ(want, pread(self->cached, y, sizeof(y), got)) {
					TH_LOG("after %zd bytes", got);
				}
				ASSERT_EQ(0, memcmp(x, y, want));
			}
			munmap(a, area);
			munmap(b, area);
		}
	}
}

/* A page boundary, both pages still to be faulted in, anywhere inside the text. */
TEST_F(list, buffer_across_absent_pages)
{
	long page = sysconf(_SC_PAGESIZE);
	size_t split;

	for (split = 1; split < self->len; split += 3) {
		char *a = mmap(NULL, 2 * page + FSLIST_MAX, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		ASSERT_NE(MAP_FAILED, a);
		ASSERT_EQ(self->len, pread(self->cached, a + page - split % page,
					   self->len, 0)) {
			TH_LOG("split at %zu", split);
		}
		ASSERT_EQ(0, memcmp(a + page - split % page, self->text, self->len));
		munmap(a, 2 * page + FSLIST_MAX);
	}
}

struct sharer {
	pthread_t thread;
	int fd;
	unsigned int seed;
	const char *text;
	size_t len;
	size_t got;		/* bytes that came by read() */
	int wrong;
};

static void *share_pread(void *data)
{
	struct sharer *s = data;
	char buf[FSLIST_MAX];
	size_t off, size, want;
	int i;

	for (i = 0; i < 2000; i++) {
		off = i % 3 ? rand_r(&s->seed) % (s->len + 8) : 0;
		size = i % 5 ? 1 + rand_r(&s->seed) % 400 : sizeof(buf);
		want = off < s->len ? s->len - off : 0;
		if (want > size)
			want = size;
		if (pread(s->fd, buf, size, off) != (ssize_t)want ||
		    memcmp(buf, s->text + off, want))
			s->wrong++;
	}
	return NULL;
}

static void *share_read(void *data)
{
	struct sharer *s = data;
	char buf[7];
	ssize_t n;

	while ((n = read(s->fd, buf, sizeof(buf))) > 0)
		s->got += n;
	s->wrong += n < 0;
	return NULL;
}

TEST_F(list, threads_share_a_file)
{
	struct sharer s[8];
	size_t got = 0, i;
	int round;

	for (i = 0; i < ARRAY_SIZE(s); i++) {
		s[i] = (struct sharer){ .fd = self->cached, .seed = i + 1,
					.text = self->text, .len = self->len };
		ASSERT_EQ(0, pthread_create(&s[i].thread, NULL, share_pread, &s[i]));
	}
	for (i = 0; i < ARRAY_SIZE(s); i++) {
		pthread_join(s[i].thread, NULL);
		EXPECT_EQ(0, s[i].wrong);
	}
	/* With the position shared as well, each byte goes to one thread. */
	for (round = 0; round < 20; round++) {
		ASSERT_EQ(0, lseek(self->cached, 0, SEEK_SET));
		for (i = 0, got = 0; i < ARRAY_SIZE(s); i++) {
			s[i].got = 0;
			ASSERT_EQ(0, pthread_create(&s[i].thread, NULL, share_read, &s[i]));
		}
		for (i = 0; i < ARRAY_SIZE(s); i++) {
			pthread_join(s[i].thread, NULL);
			EXPECT_EQ(0, s[i].wrong);
			got += s[i].got;
		}
		ASSERT_EQ(self->len, got);
	}
}

TEST_F(list, many_open_files)
{
	struct rlimit lim;
	char buf[FSLIST_MAX];
	int fds[512], i, n;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &lim));
	n = lim.rlim_cur < 600 ? lim.rlim_cur - 32 : 512;
	for (i = 0; i < n; i++) {
		fds[i] = open(file_under_test(), O_RDONLY);
		ASSERT_GE(fds[i], 0);
		ASSERT_EQ(5, read(fds[i], buf, 5));
	}
	for (i = 0; i < n; i++) {
		ASSERT_EQ(self->len - 5, read(fds[i], buf, sizeof(buf)));
		ASSERT_EQ(0, memcmp(buf, self->text + 5, self->len - 5));
		close(fds[i]);
	}
}

/*
 * Random calls on both files, with the list changing under them. A change
 * does not fall between an lseek() and the read after it, nor after a read
 * that gave nothing: seq_file renders the text in lseek() already and remembers
 * the end of the file, on which no program should rely.
 */
TEST_F_TIMEOUT(list, random_calls, 600)
{
	static const char * const op_name[] = {
		"read", "pread", "pread at the end of the last", "lseek", "readv", "pread at 0",
	};
	char a[FSLIST_MAX], b[FSLIST_MAX];
	unsigned int seed = 42;
	off_t last = 0, off;
	bool calm = true;
	long i, changes = 0;

	for (i = 0; i < FUZZ_OPS; i++) {
		int op = rand_r(&seed) % ARRAY_SIZE(op_name), ea, eb;
		size_t size = rand_r(&seed) % 8 ? rand_r(&seed) % 200 : 4096;
		struct iovec va[2] = { { a, size / 3 }, { a + size / 3, size - size / 3 } };
		struct iovec vb[2] = { { b, size / 3 }, { b + size / 3, size - size / 3 } };
		ssize_t na = 0, nb = 0;

		if (!no_change(self) && calm && !(rand_r(&seed) % 100)) {
			ASSERT_TRUE(change_list(self));
			changes++;
		}
		off = rand_r(&seed) % (self->len + 40);
		errno = 0;
		switch (op) {
		case 0:
			na = read(self->native, a, size);
			ea = errno;
			nb = read(self->cached, b, size);
			break;
		case 1:
		case 2:
		case 5:
			off = op == 1 ? off : op == 2 ? last : 0;
			na = pread(self->native, a, size, off);
			ea = errno;
			nb = pread(self->cached, b, size, off);
			break;
		case 3:
			na = lseek(self->native, off, SEEK_SET);
			ea = errno;
			nb = lseek(self->cached, off, SEEK_SET);
			break;
		default:
			na = readv(self->native, va, 2);
			ea = errno;
			nb = readv(self->cached, vb, 2);
			break;
		}
		eb = errno;
		ASSERT_EQ(na, nb) {
			TH_LOG("call %ld, %s of %zu at %lld, after %ld changes", i, op_name[op],
			       size, (long long)off, changes);
		}
		ASSERT_EQ(ea, eb);
		if (op == 3) {
			calm = false;
			last = off;
			continue;
		}
		calm = na > 0;
		ASSERT_EQ(0, na > 0 ? memcmp(a, b, na) : 0) {
			TH_LOG("call %ld, %s of %zu at %lld, after %ld changes", i, op_name[op],
			       size, (long long)off, changes);
		}
		if (op == 1 || op == 2 || op == 5)
			last = off + (na > 0 ? na : 0);
	}
	TH_LOG("%ld calls, %ld changes of the list", i, changes);
}

TEST_HARNESS_MAIN
