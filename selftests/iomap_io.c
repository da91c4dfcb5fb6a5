// SPDX-License-Identifier: GPL-2.0
/*
 * File contents, byte by byte, through the paths that iterate with iomap_iter().
 *
 * random_operations keeps the expected contents in memory and compares after
 * every read, and at the end with nothing cached. The other tests cover a case in
 * which some kernels use one iterator for two rounds: zeroing at unaligned
 * offsets over dirty page cache.
 *
 * Environment: IOMAP_DIR, a directory of the file system under test;
 * IOMAP_OPS (3000), IOMAP_SEED. With the argument "sequence" it does a fixed
 * sequence of operations instead, for a trace that is to be compared; with
 * "clone FROM TO" it makes a file that shares another's blocks.
 */
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "arm_util.h"
#include "patience.h"

#define BLOCK		4096
#define SIZE		(64 * BLOCK)	/* of a file at most */

static const char *directory(void)
{
	const char *dir = getenv("IOMAP_DIR");

	return dir ? dir : ".";
}

struct file {
	char path[PATH_MAX];
	int fd, direct;			/* the same file, one of them O_DIRECT */
	long size;
	unsigned char want[SIZE];
	unsigned char *buf;		/* aligned, SIZE */
	bool reflink;
};

static bool file_make(struct file *f, const char *name)
{
	snprintf(f->path, sizeof(f->path), "%s/%s", directory(), name);
	unlink(f->path);
	f->fd = open(f->path, O_RDWR | O_CREAT | O_EXCL, 0600);
	f->direct = open(f->path, O_RDWR | O_DIRECT);
	f->size = 0;
	memset(f->want, 0, sizeof(f->want));
	return f->fd >= 0 && f->direct >= 0 && !posix_memalign((void **)&f->buf, BLOCK, SIZE);
}

static void file_free(struct file *f)
{
	close(f->fd);
	close(f->direct);
	unlink(f->path);
	free(f->buf);
}

/* The file must hold the expected contents; prints where it does not. */
static bool file_is(struct file *f, int fd, long off, long len)
{
	long want = off >= f->size ? 0 : off + len > f->size ? f->size - off : len, i;
	ssize_t n;

	memset(f->buf, 0x77, len);
	n = pread(fd, f->buf, len, off);
	if (n != want) {
		printf("# read of %ld at %ld: %zd, should be %ld (errno %d)\n", len, off, n, want,
		       errno);
		return false;
	}
	for (i = 0; i < want; i++)
		if (f->buf[i] != f->want[off + i]) {
			printf("# byte %ld of %ld is %#x, should be %#x%s\n", off + i, f->size,
			       f->buf[i], f->want[off + i], fd == f->direct ? " (direct)" : "");
			return false;
		}
	return true;
}

/* The whole file, from the cache, then from the device. */
static bool file_all(struct file *f)
{
	struct stat st;

	if (fstat(f->fd, &st) || st.st_size != f->size) {
		printf("# size is %lld, should be %ld\n", (long long)st.st_size, f->size);
		return false;
	}
	return file_is(f, f->fd, 0, SIZE) && !fsync(f->fd) &&
	       !posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED) &&
	       file_is(f, f->fd, 0, SIZE) && file_is(f, f->direct, 0, SIZE);
}

static void fill(struct file *f, long off, long len, unsigned int salt)
{
	long i;

	for (i = 0; i < len; i++)
		f->buf[i] = (off + i) * 31 + salt * 17 + 1;
}

/* Each of these changes the file and the expected contents. */

static bool do_write(struct file *f, bool direct, long off, long len, unsigned int salt)
{
	fill(f, off, len, salt);
	if (pwrite(direct ? f->direct : f->fd, f->buf, len, off) != len)
		return false;
	memcpy(f->want + off, f->buf, len);
	if (off + len > f->size)
		f->size = off + len;
	return true;
}

static bool do_map_write(struct file *f, long off, long len, unsigned int salt)
{
	unsigned char *map;

	if (off >= f->size)
		return true;
	if (off + len > f->size)
		len = f->size - off;
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (map == MAP_FAILED)
		return false;
	fill(f, off, len, salt);
	memcpy(map + off, f->buf, len);
	memcpy(f->want + off, f->buf, len);
	return !munmap(map, SIZE);
}

static bool do_truncate(struct file *f, long size)
{
	if (ftruncate(f->fd, size))
		return false;
	if (size < f->size)
		memset(f->want + size, 0, f->size - size);
	f->size = size;
	return true;
}

/* @mode is 0, or FALLOC_FL_ZERO_RANGE or PUNCH_HOLE, with KEEP_SIZE or without. */
static bool do_fallocate(struct file *f, int mode, long off, long len)
{
	long end = off + len;

	if (fallocate(f->fd, mode, off, len))
		return false;
	if (mode & (FALLOC_FL_ZERO_RANGE | FALLOC_FL_PUNCH_HOLE) && off < f->size)
		memset(f->want + off, 0, (end < f->size ? end : f->size) - off);
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > f->size)
		f->size = end;
	return true;
}

/* Shares blocks of the file with another place in it. */
static bool do_reflink(struct file *f, long from, long to, long len)
{
	struct file_clone_range range = { .src_fd = f->fd, .src_offset = from,
					  .src_length = len, .dest_offset = to };

	if (from + len > f->size || (from < to ? from + len > to : to + len > from))
		return true;
	if (ioctl(f->fd, FICLONERANGE, &range))
		return false;
	memcpy(f->want + to, f->want + from, len);
	if (to + len > f->size)
		f->size = to + len;
	return true;
}

FIXTURE(file) {
	struct file *f;
};

FIXTURE_SETUP(file)
{
	struct file_clone_range range = { .src_length = BLOCK, .dest_offset = BLOCK };

	self->f = calloc(1, sizeof(*self->f));
	ASSERT_NE(NULL, self->f);
	ASSERT_TRUE(file_make(self->f, "iomap_io"));
	ASSERT_EQ(0, ftruncate(self->f->fd, BLOCK));
	range.src_fd = self->f->fd;
	self->f->reflink = !ioctl(self->f->fd, FICLONERANGE, &range);
	ASSERT_EQ(0, ftruncate(self->f->fd, 0));
}

FIXTURE_TEARDOWN(file)
{
	file_free(self->f);
	free(self->f);
}

/* Offsets about the borders of blocks and pages. */
static const int around[] = { 0, 1, 511, 512, 513, 2048, 4095 };

/*
 * Zeroes a part of preallocated blocks that are dirty in the page cache, from and
 * to every kind of offset, with clean and dirty blocks and holes beside them.
 */
TEST_F_TIMEOUT(file, zero_range_over_dirty, 120)
{
	struct file *f = self->f;
	int a, b, kind;

	for (kind = 0; kind < 4; kind++)
		for (a = 0; a < ARRAY_SIZE(around); a++)
			for (b = 0; b < ARRAY_SIZE(around); b++) {
				long off = 3 * BLOCK + around[a];
				long end = (b % 2 ? 4 : 9) * BLOCK + around[b];

				ASSERT_TRUE(do_truncate(f, 0));
				ASSERT_TRUE(kind & 1 ? do_fallocate(f, 0, 0, 16 * BLOCK) :
					    do_truncate(f, 16 * BLOCK));
				ASSERT_TRUE(do_write(f, false, 2 * BLOCK + 100, 2 * BLOCK, a));
				ASSERT_TRUE(do_write(f, false, 6 * BLOCK + 7, 5000, b));
				if (kind & 2) {
					ASSERT_EQ(0, fsync(f->fd));
					ASSERT_TRUE(do_write(f, false, 5 * BLOCK, 3 * BLOCK, 9));
				}
				ASSERT_TRUE(do_fallocate(f, FALLOC_FL_ZERO_RANGE, off, end - off));
				ASSERT_TRUE(file_all(f)) {
					TH_LOG("kind %d, zeroed from %ld to %ld", kind, off, end);
				}
			}
}

/* Beyond the end: a dirty last block that is used in part, and delayed ones. */
TEST_F_TIMEOUT(file, truncate_up_over_dirty, 120)
{
	struct file *f = self->f;
	int a, b, kind;

	for (kind = 0; kind < 3; kind++)
		for (a = 0; a < ARRAY_SIZE(around); a++)
			for (b = 0; b < ARRAY_SIZE(around); b++) {
				ASSERT_TRUE(do_truncate(f, 0));
				if (kind == 1)
					ASSERT_TRUE(do_fallocate(f, FALLOC_FL_KEEP_SIZE, 0, SIZE));
				ASSERT_TRUE(do_write(f, false, BLOCK, 6 * BLOCK, a));
				if (kind == 2)
					ASSERT_EQ(0, fsync(f->fd));
				/* Truncate in a block, dirty it, extend: no old bytes. */
				ASSERT_TRUE(do_truncate(f, 4 * BLOCK + around[a]));
				ASSERT_TRUE(do_map_write(f, 3 * BLOCK + 10, 2 * BLOCK, b));
				ASSERT_TRUE(do_truncate(f, 9 * BLOCK + around[b]));
				ASSERT_TRUE(do_write(f, false, 12 * BLOCK + around[b], 100, a));
				ASSERT_TRUE(file_all(f)) {
					TH_LOG("kind %d, offsets %d and %d", kind, a, b);
				}
			}
}

TEST_F_TIMEOUT(file, punch_unaligned, 120)
{
	struct file *f = self->f;
	int a, b;

	for (a = 0; a < ARRAY_SIZE(around); a++)
		for (b = 0; b < ARRAY_SIZE(around); b++) {
			long off = 2 * BLOCK + around[a], end = 7 * BLOCK + around[b];

			ASSERT_TRUE(do_truncate(f, 0));
			ASSERT_TRUE(do_write(f, false, 0, 10 * BLOCK + 77, a));
			if (a & 1)
				ASSERT_EQ(0, fsync(f->fd));
			ASSERT_TRUE(do_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off,
						 end - off));
			ASSERT_TRUE(file_all(f));
		}
}

TEST_F_TIMEOUT(file, random_operations, 600)
{
	const char *env = getenv("IOMAP_OPS");
	long ops = env ? atol(env) : 3000, i, reads = 0;
	unsigned int seed = (env = getenv("IOMAP_SEED")) ? atol(env) : 1;
	unsigned int first_seed = seed;
	struct file *f = self->f;

	for (i = 0; i < ops; i++) {
		int op = rand_r(&seed) % 16;
		long off = rand_r(&seed) % SIZE, len = 1 + rand_r(&seed) % (5 * BLOCK);
		long block = off & -BLOCK, to = rand_r(&seed) % SIZE & -BLOCK;
		long blocks = (1 + rand_r(&seed) % 6) * BLOCK;
		int keep = rand_r(&seed) % 2 ? FALLOC_FL_KEEP_SIZE : 0;
		bool done = true;

		len = off + len > SIZE ? SIZE - off : len;
		blocks = block + blocks > SIZE ? SIZE - block : blocks;
		switch (op) {
		case 0 ... 2:
			done = do_write(f, false, off, len, i);
			break;
		case 3 ... 4:
			done = do_write(f, true, block, blocks, i);
			break;
		case 5:
			done = do_map_write(f, off, len, i);
			break;
		case 6:
			done = do_truncate(f, rand_r(&seed) % 2 ? off : f->size / 2 + off / 2);
			break;
		case 7:
			done = do_fallocate(f, keep, off, len);
			break;
		case 8 ... 9:
			done = do_fallocate(f, FALLOC_FL_ZERO_RANGE | keep, off, len);
			break;
		case 10:
			done = do_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					    off, len);
			break;
		case 11:
			if (f->reflink && to + blocks <= SIZE)
				done = do_reflink(f, block, to, blocks);
			break;
		case 12:
			done = !fdatasync(f->fd);
			if (rand_r(&seed) % 2)
				posix_fadvise(f->fd, 0, 0, POSIX_FADV_DONTNEED);
			break;
		case 13:
			done = file_is(f, f->direct, block, blocks);
			reads++;
			break;
		default:
			done = file_is(f, f->fd, off, len);
			reads++;
		}
		ASSERT_TRUE(done) {
			TH_LOG("operation %ld of seed %u: %d at %ld, %ld bytes, errno %d", i,
			       first_seed, op, off, len, errno);
		}
		if (i % 50 == 49)
			ASSERT_TRUE(file_all(f)) {
				TH_LOG("after operation %ld of seed %u", i, first_seed);
			}
	}
	ASSERT_TRUE(file_all(f));
	TH_LOG("%ld operations of seed %u, %ld reads, %s", ops, first_seed, reads,
	       f->reflink ? "with reflink" : "without reflink");
}

/* The same operations each time, for a trace. */
static int sequence(void)
{
	static struct file f;
	cpu_set_t allowed, one;
	int cpu = 0;
	bool ok;

	/*
	 * Which CPU has which pages cached decides which are allocated and dropped, and
	 * the trace clocks of two CPUs need not agree on the order.
	 */
	ok = !sched_getaffinity(0, sizeof(allowed), &allowed);
	while (ok && !CPU_ISSET(cpu, &allowed))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	ok = ok && !sched_setaffinity(0, sizeof(one), &one) && file_make(&f, "iomap_sequence");
	ok = ok && do_write(&f, false, 100, 3 * BLOCK, 1);
	ok = ok && !fsync(f.fd);
	ok = ok && do_fallocate(&f, 0, 4 * BLOCK, 8 * BLOCK);
	ok = ok && do_write(&f, true, 5 * BLOCK, 2 * BLOCK, 2);
	ok = ok && do_write(&f, false, 8 * BLOCK + 5, 100, 3);
	ok = ok && do_fallocate(&f, FALLOC_FL_ZERO_RANGE, 7 * BLOCK + 9, 2 * BLOCK);
	ok = ok && !fsync(f.fd);
	ok = ok && do_truncate(&f, 13 * BLOCK + 17);
	ok = ok && do_truncate(&f, 16 * BLOCK);
	ok = ok && do_fallocate(&f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, BLOCK + 3, BLOCK);
	ok = ok && !fsync(f.fd);
	ok = ok && file_is(&f, f.direct, 0, 16 * BLOCK);
	ok = ok && !posix_fadvise(f.fd, 0, 0, POSIX_FADV_DONTNEED);
	ok = ok && file_is(&f, f.fd, 0, SIZE);
	ok = ok && lseek(f.fd, 0, SEEK_HOLE) >= 0 && lseek(f.fd, 0, SEEK_DATA) >= 0;
	if (!ok)
		perror("iomap_io");
	close(f.fd);
	close(f.direct);
	return !ok;
}

/* cp --reflink=always, for systems whose cp cannot. */
static int clone_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out = open(to, O_RDWR | O_CREAT | O_TRUNC, 0600);

	return in < 0 || out < 0 || ioctl(out, FICLONE, in);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "sequence"))
		return sequence();
	if (argc == 4 && !strcmp(argv[1], "clone"))
		return clone_file(argv[2], argv[3]);
	return test_harness_run(argc, argv);
}
