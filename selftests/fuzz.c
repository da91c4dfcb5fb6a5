// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations on files and all files below directories: reads, writes,
 * seeks, sizes, offsets and buffers that are not mapped, from several threads
 * that share files.
 *
 * usage: fuzz [-s SEED] [-n OPERATIONS] [-t THREADS] [-u PATH]... [-v] PATH...
 *
 * Each thread's operations are a function of the seed, which is printed: with
 * -t 1 a run repeats itself exactly. -u PATH is a file whose text does not change
 * meanwhile. -v prints each operation before it is done.
 *
 * Every answer is checked: an error is one that such a file may give; no read is
 * longer than asked for; a file that does not change, read at any offset, gives
 * what a whole read has there.
 */
#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "test_util.h"

#define FILES_MAX	128
#define THREADS_MAX	64
#define SLOTS		16	/* open files, of all threads */
#define WHOLE_MAX	65536
#define BUF_MAX		(2 * WHOLE_MAX)

struct file {
	char path[PATH_MAX];
	bool writable;
	bool steady;		/* its text does not change meanwhile */
	bool takes_path;	/* what is written to it names a file */
	char *text;
	ssize_t len;
};

struct thread {
	pthread_t id;
	unsigned long long state;
	unsigned long done, failed;
};

static struct file files[FILES_MAX];
static unsigned int nr_files;
static int slots[SLOTS];
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long operations = 20000;
static bool verbose;
static const char *takes_path;	/* a file to which paths are written; NULL if there is none */
static int wrong;
static char *nowhere;		/* a page that can be used, before one that cannot */
static long page;

/* splitmix64: the same everywhere. */
static unsigned long long rnd(struct thread *t)
{
	unsigned long long z = t->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static unsigned long below(struct thread *t, unsigned long n)
{
	return rnd(t) % n;
}

/* Mostly small, and now and then what overflows. */
static off_t rnd_offset(struct thread *t)
{
	static const off_t odd[] = {
		0, 1, 4095, 4096, 4097, INT_MAX, (off_t)INT_MAX + 1, UINT_MAX, -1, -4096,
		LONG_MAX, LONG_MAX - 1, LONG_MAX - 4096, LONG_MIN,
	};

	switch (below(t, 4)) {
	case 0:
		return odd[below(t, sizeof(odd) / sizeof(*odd))];
	case 1:
		return below(t, 64);
	default:
		return below(t, 4096);
	}
}

static size_t rnd_size(struct thread *t)
{
	static const size_t odd[] = { 0, 1, 2, 4095, 4096, 4097, WHOLE_MAX };

	switch (below(t, 3)) {
	case 0:
		return odd[below(t, sizeof(odd) / sizeof(*odd))];
	case 1:
		return below(t, 32);
	default:
		return below(t, 8192);
	}
}

/* Words that the files take, words close to them, and noise. */
static size_t rnd_words(struct thread *t, char *buf)
{
	static const char * const words[] = {
		"off", "null", "new", "batch", "0", "1", "2", "-1", "y", "N", "on", "of",
		"off\n", "null\n", "new\n", "1\n", "0\n", "off\n\n", " off", "OFF", "offf", "o",
		"4294967295", "4294967296", "18446744073709551616", "0x10", "010", "1e3",
		"null\0new", "", "\n", "%s%n",
	};
	size_t len, i;

	if (below(t, 3)) {
		const char *word = words[below(t, sizeof(words) / sizeof(*words))];

		len = strlen(word) + !below(t, 8);
		memcpy(buf, word, len);
	} else {
		len = below(t, 8) ? below(t, 40) : below(t, WHOLE_MAX);
		for (i = 0; i < len; i++)
			buf[i] = rnd(t);
	}
	if (len && !below(t, 8))
		buf[below(t, len)] ^= 1 << below(t, 8);
	return len;
}

static void complain(const struct file *file, const char *what, long long a, long long b)
{
	printf("# %s: %s (%lld, %lld)\n", file->path, what, a, b);
	fflush(stdout);
	__atomic_store_n(&wrong, 1, __ATOMIC_RELAXED);
}

/* Errors that a file of ours may give. EIO: a write to a file in /proc that takes none. */
static bool may_fail(const struct file *file, int err)
{
	switch (err) {
	case ENOENT: case ENOTDIR: case ENAMETOOLONG: case ELOOP:
		return file->takes_path;
	case EINVAL: case EFAULT: case EBUSY: case EBADF: case ESPIPE: case EOPNOTSUPP:
	case ENOTTY: case ENODEV: case ENOMEM: case EIO: case EAGAIN: case EOVERFLOW:
	case ERANGE: case ENXIO: case EPERM: case EACCES: case EINTR: case ENOSPC: case EFBIG:
		return true;
	}
	return false;
}

static void read_at(struct thread *t, const struct file *file, int fd, char *buf)
{
	off_t offset = rnd_offset(t);
	size_t size = rnd_size(t);
	ssize_t n = pread(fd, buf, size, offset);

	if (n < 0) {
		if (!may_fail(file, errno))
			complain(file, "an error that makes no sense", errno, offset);
		t->failed++;
		return;
	}
	if ((size_t)n > size)
		complain(file, "more was read than asked for", n, size);
	if (offset < 0)
		complain(file, "a negative offset was read", n, offset);
	else if (file->steady && offset > file->len && n)
		complain(file, "something behind the end", n, offset);
	else if (file->steady && offset <= file->len && memcmp(buf, file->text + offset, n))
		complain(file, "another text than a whole read has there", n, offset);
	else if (file->steady && size && offset < file->len && !n)
		complain(file, "an end where there is none", file->len, offset);
}

static void check(struct thread *t, const struct file *file, long ret)
{
	if (ret >= 0)
		return;
	t->failed++;
	if (!may_fail(file, errno))
		complain(file, "an error that makes no sense", errno, 0);
}

static void operate(struct thread *t, const struct file *file, int fd, unsigned int what, char *buf)
{
	struct iovec iov[4];
	struct pollfd poller;
	struct stat st;
	int pipes[2];
	void *map;
	size_t len;
	off_t at;
	int i;

	switch (what) {
	case 0: case 1: case 2: case 3:
		read_at(t, file, fd, buf);
		break;
	case 4:
		check(t, file, read(fd, buf, rnd_size(t)));
		break;
	case 5:
		check(t, file, lseek(fd, rnd_offset(t), below(t, 6)));
		break;
	case 6:	/* into memory that is not mapped, wholly or in part */
		at = below(t, 2) ? page - 1 - below(t, 64) : page;
		check(t, file, read(fd, nowhere + at, rnd_size(t)));
		break;
	case 7:
		for (i = 0; i < 4; i++) {
			iov[i].iov_base = below(t, 8) ? buf + i * 8192 : nowhere + page;
			iov[i].iov_len = below(t, 4) ? below(t, 64) : rnd_size(t) % 8192;
		}
		check(t, file, preadv(fd, iov, below(t, 5), rnd_offset(t)));
		break;
	case 8: case 9: case 10:
		len = rnd_words(t, buf);
		if (file->writable)
			check(t, file, write(fd, buf, len));
		break;
	case 11:
		len = rnd_words(t, buf);
		if (file->writable)
			check(t, file, pwrite(fd, buf, len, rnd_offset(t)));
		break;
	case 12:
		if (file->writable)
			check(t, file, write(fd, nowhere + page - below(t, 4), 1 + below(t, 20)));
		break;
	case 13:
		check(t, file, ioctl(fd, rnd(t), buf));
		break;
	case 14:
		poller = (struct pollfd){ .fd = fd, .events = rnd(t) };
		check(t, file, poll(&poller, 1, 0));
		break;
	case 15:
		map = mmap(NULL, page, below(t, 2) ? PROT_READ : PROT_READ | PROT_WRITE,
			   below(t, 2) ? MAP_SHARED : MAP_PRIVATE, fd, 0);
		if (map != MAP_FAILED)
			munmap(map, page);
		break;
	case 16:
		check(t, file, fstat(fd, &st));
		break;
	case 17:
		if (pipe2(pipes, O_NONBLOCK | O_CLOEXEC))
			break;
		at = below(t, 8192);
		if (below(t, 2))
			len = sendfile(pipes[1], fd, below(t, 2) ? &at : NULL, rnd_size(t));
		else
			len = splice(fd, NULL, pipes[1], NULL, rnd_size(t),
				     SPLICE_F_NONBLOCK);
		check(t, file, (ssize_t)len);
		close(pipes[0]);
		close(pipes[1]);
		break;
	case 18:
		if (file->writable)
			check(t, file, ftruncate(fd, below(t, 64)));
		break;
	case 19:
		check(t, file, fcntl(fd, F_SETFL, below(t, 2) ? O_NONBLOCK | O_APPEND : 0));
		break;
	}
}

#define OPERATIONS	20

static int open_somehow(struct thread *t, const struct file *file)
{
	static const int modes[] = { O_RDONLY, O_RDONLY, O_RDONLY, O_RDWR, O_WRONLY };
	int mode = modes[below(t, file->writable ? 5 : 3)];

	if (!below(t, 8))
		mode |= O_NONBLOCK;
	if (!below(t, 8))
		mode |= O_APPEND;
	if (!below(t, 8))
		mode |= O_TRUNC & (file->writable ? ~0 : 0);
	return open(file->path, mode | O_CLOEXEC);
}

static void *run(void *arg)
{
	struct thread *t = arg;
	char *buf = malloc(BUF_MAX);
	unsigned long op;

	for (op = 0; buf && op < operations; op++) {
		unsigned int which = below(t, nr_files), what = below(t, OPERATIONS);
		unsigned int slot = below(t, SLOTS), shared = below(t, 4);
		const struct file *file = &files[which];
		int fd, old = -1;

		if (verbose)
			fprintf(stderr, "%lu: %s operation %u%s\n", op, file->path, what,
				shared ? "" : ", a shared file");
		if (shared) {
			fd = open_somehow(t, file);
			if (fd < 0) {
				t->failed++;
				continue;
			}
			operate(t, file, fd, what, buf);
			/* Kept for other threads, which do not know whose it is. */
			pthread_mutex_lock(&slots_lock);
			if (!below(t, 4)) {
				old = slots[slot];
				slots[slot] = fd;
			} else {
				old = fd;
			}
			pthread_mutex_unlock(&slots_lock);
			if (old >= 0)
				close(old);
		} else {
			struct file any = { .path = "a shared file", .writable = true,
					    .takes_path = !!takes_path };

			pthread_mutex_lock(&slots_lock);
			fd = slots[slot] >= 0 ? fcntl(slots[slot], F_DUPFD_CLOEXEC, 3) : -1;
			pthread_mutex_unlock(&slots_lock);
			if (fd < 0)
				continue;
			operate(t, &any, fd, what, buf);
			close(fd);
		}
		t->done++;
	}
	free(buf);
	return NULL;
}

static void add_file(const char *path, bool writable, bool steady)
{
	struct file *file;

	if (nr_files == FILES_MAX)
		return;
	file = &files[nr_files++];
	snprintf(file->path, sizeof(file->path), "%s", path);
	file->writable = writable;
	file->steady = steady;
	file->takes_path = takes_path && !strcmp(path, takes_path);
	if (steady) {
		file->text = calloc(1, WHOLE_MAX);
		file->len = read_whole(path, file->text, WHOLE_MAX);
	}
}

static void add(const char *path, bool steady)
{
	char below_it[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	if (lstat(path, &st)) {
		fprintf(stderr, "fuzz: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	if (S_ISREG(st.st_mode))
		add_file(path, st.st_mode & 0222, steady);
	dir = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(below_it, sizeof(below_it), "%s/%s", path, entry->d_name);
		add(below_it, steady);
	}
	if (dir)
		closedir(dir);
}

static unsigned long to_count(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 0);

	if (!*text || *end) {
		fprintf(stderr, "fuzz: no number: '%s'\n", text);
		exit(2);
	}
	return value;
}

int main(int argc, char **argv)
{
	static struct thread threads[THREADS_MAX];
	unsigned long nr_threads = 4, done = 0, failed = 0;
	unsigned long long seed = time(NULL) * 1000003ull + getpid();
	unsigned int i;
	int opt;

	while ((opt = getopt(argc, argv, "s:n:t:u:p:v")) != -1) {
		switch (opt) {
		case 's':
			seed = to_count(optarg);
			break;
		case 'n':
			operations = to_count(optarg);
			break;
		case 't':
			nr_threads = to_count(optarg);
			break;
		case 'u':
			add(optarg, true);
			break;
		case 'p':
			takes_path = optarg;
			break;
		case 'v':
			verbose = true;
			break;
		default:
			nr_threads = 0;
		}
	}
	if ((optind == argc && !nr_files) || !nr_threads || nr_threads > THREADS_MAX) {
		fprintf(stderr,
			"usage: fuzz [-s SEED] [-n OPERATIONS] [-t THREADS] [-u PATH]... [-p PATH] [-v] PATH...\n");
		return 2;
	}
	page = sysconf(_SC_PAGESIZE);
	nowhere = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (nowhere == MAP_FAILED || mprotect(nowhere + page, page, PROT_NONE)) {
		perror("fuzz: mmap");
		return 1;
	}
	memset(slots, 0xff, sizeof(slots));
	for (; optind < argc; optind++)
		add(argv[optind], false);
	printf("# seed %llu, %lu threads, %lu operations each, %u files\n", seed, nr_threads,
	       operations, nr_files);
	fflush(stdout);

	for (i = 0; i < nr_threads; i++) {
		threads[i].state = seed + i * 0x1000003ull;
		if (pthread_create(&threads[i].id, NULL, run, &threads[i])) {
			perror("fuzz: pthread_create");
			return 1;
		}
	}
	for (i = 0; i < nr_threads; i++) {
		pthread_join(threads[i].id, NULL);
		done += threads[i].done;
		failed += threads[i].failed;
	}
	printf("# %lu operations, %lu of them answered with an error\n", done, failed);
	return wrong || !done;
}
