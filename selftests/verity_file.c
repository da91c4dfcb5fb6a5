// SPDX-License-Identifier: GPL-2.0
/*
 * What verity.sh does with files that a shell cannot:
 *
 *	verity_file ways FILE REFERENCE [wait]
 *		reads each page of FILE by every way of reading, and compares it with
 *		REFERENCE's. One line for each way: the pages that gave EIO, and those
 *		that differ. With "wait" FILE is opened first, "ready" is printed and a
 *		line is waited for
 *	verity_file flip FILE OFFSET BIT DEVICE
 *		flips a bit of FILE's data on DEVICE
 *	verity_file where FILE OFFSET
 *		prints where that is on the device
 *	verity_file inode FILE DEVICE
 *		prints where on DEVICE, with XFS, the attributes of FILE's inode are, and
 *		how many bytes; what is written there is seen after unmounting only
 *	verity_file flip_at DEVICE OFFSET BIT
 *		flips a bit of DEVICE
 *	verity_file flip_value NAME BIT FILE
 *		flips a bit of an attribute's value; its number is taken modulo its bits
 *	verity_file attribute FILE
 *		prints what statx() says of verity: yes, no, unknown
 *	verity_file copy NAME FROM TO
 *		copies an attribute from one file to another
 *	verity_file set NAME VALUE FILE
 *		sets an attribute
 *	verity_file follow FILE REFERENCE SECONDS
 *		reads FILE again and again, from the disk, and compares; rests between
 *		bursts, so that others get their turn
 *	verity_file enable FILE [UID]
 *		enables verity as fsverity does, as that user
 *	verity_file read FILE UID
 *		reads all of it, as that user
 *	verity_file churn DIR SECONDS SEED
 *		creates, enables, writes to, renames, removes and reads files in DIR at
 *		random, beside others that do so; no file may have verity while it is
 *		open for writing, or be written to while it has
 *
 * Exit: 0, 1 if something cannot be done or follow or churn see what must not be,
 * 2 usage.
 */
#include <endian.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <linux/io_uring.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#include "test_util.h"

#ifndef STATX_ATTR_VERITY
#define STATX_ATTR_VERITY	0x00100000
#endif

#define PAGE	4096
#define BURST	32

static void die(const char *what)
{
	fprintf(stderr, "verity_file: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_or_die(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC);

	if (fd < 0)
		die(name);
	return fd;
}

static char *page_alloc(void)
{
	void *page;

	if (posix_memalign(&page, PAGE, PAGE))
		die("memory");
	return page;
}

/* --- ways of reading: bytes of the page, or -1 with errno --- */

struct file {
	int fd;
	int direct;
	off_t size;
	const char *map;
};

static ssize_t way_read(const struct file *file, char *page, off_t pos)
{
	return pread(file->fd, page, PAGE, pos);
}

static ssize_t way_readv(const struct file *file, char *page, off_t pos)
{
	struct iovec parts[2] = { { page, 100 }, { page + 100, PAGE - 100 } };

	return preadv(file->fd, parts, 2, pos);
}

static ssize_t way_direct(const struct file *file, char *page, off_t pos)
{
	return pread(file->direct, page, PAGE, pos);
}

static ssize_t way_readahead(const struct file *file, char *page, off_t pos)
{
	if (readahead(file->fd, pos, PAGE))
		return -1;
	return pread(file->fd, page, PAGE, pos);
}

static off_t least(off_t a, off_t b)
{
	return a < b ? a : b;
}

static sigjmp_buf bus;

static void on_bus(int signal)
{
	siglongjmp(bus, 1);
}

static ssize_t way_mmap(const struct file *file, char *page, off_t pos)
{
	if (sigsetjmp(bus, 1)) {
		errno = EIO;
		return -1;
	}
	memcpy(page, file->map + pos, least(file->size - pos, PAGE));
	return least(file->size - pos, PAGE);
}

static ssize_t drain(int from, char *page, ssize_t len)
{
	ssize_t done = 0, n;

	while (done < len) {
		n = read(from, page + done, len - done);
		if (n <= 0)
			return -1;
		done += n;
	}
	return done;
}

static ssize_t splice_from(int fd, char *page, off_t pos)
{
	int ends[2], saved;
	ssize_t len;

	if (pipe(ends))
		die("pipe");
	len = splice(fd, &pos, ends[1], NULL, PAGE, 0);
	saved = errno;
	if (len > 0)
		len = drain(ends[0], page, len);
	else
		errno = saved;
	close(ends[0]);
	close(ends[1]);
	return len;
}

static ssize_t way_splice(const struct file *file, char *page, off_t pos)
{
	return splice_from(file->fd, page, pos);
}

static ssize_t way_splice_direct(const struct file *file, char *page, off_t pos)
{
	return splice_from(file->direct, page, pos);
}

static ssize_t way_sendfile(const struct file *file, char *page, off_t pos)
{
	int fd = memfd_create("verity", MFD_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		die("memfd_create");
	len = sendfile(fd, file->fd, &pos, PAGE);
	if (len > 0 && pread(fd, page, len, 0) != len)
		die("memfd");
	close(fd);
	return len;
}

/* --- io_uring, without its library --- */

struct ring {
	int fd;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
	struct io_uring_params params;
};

static struct ring *ring_get(void)
{
	static struct ring ring;
	static bool tried;

	if (tried)
		return ring.fd < 0 ? NULL : &ring;
	tried = true;
	ring.fd = syscall(__NR_io_uring_setup, 1, &ring.params);
	if (ring.fd < 0)
		return NULL;
	ring.sq = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQ_RING);
	ring.cq = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_CQ_RING);
	ring.sqes = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd, IORING_OFF_SQES);
	if (ring.sq == MAP_FAILED || ring.cq == MAP_FAILED || ring.sqes == MAP_FAILED)
		die("io_uring");
	return &ring;
}

static ssize_t ring_read(int fd, char *page, off_t pos)
{
	struct ring *ring = ring_get();
	unsigned int *tail, *head;
	struct io_uring_cqe *cqe;

	tail = (unsigned int *)(ring->sq + ring->params.sq_off.tail);
	memset(ring->sqes, 0, sizeof(*ring->sqes));
	ring->sqes->opcode = IORING_OP_READ;
	ring->sqes->fd = fd;
	ring->sqes->addr = (unsigned long)page;
	ring->sqes->len = PAGE;
	ring->sqes->off = pos;
	((unsigned int *)(ring->sq + ring->params.sq_off.array))[0] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		die("io_uring_enter");
	head = (unsigned int *)(ring->cq + ring->params.cq_off.head);
	cqe = (struct io_uring_cqe *)(ring->cq + ring->params.cq_off.cqes) +
	      (*head & (ring->params.cq_entries - 1));
	if (cqe->res < 0)
		errno = -cqe->res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return cqe->res < 0 ? -1 : cqe->res;
}

static ssize_t way_io_uring(const struct file *file, char *page, off_t pos)
{
	return ring_read(file->fd, page, pos);
}

static ssize_t way_io_uring_direct(const struct file *file, char *page, off_t pos)
{
	return ring_read(file->direct, page, pos);
}

static const struct way {
	const char *name;
	ssize_t (*read)(const struct file *file, char *page, off_t pos);
	bool ring;
} ways[] = {
	{ "read", way_read, false },
	{ "readv", way_readv, false },
	{ "direct", way_direct, false },
	{ "readahead", way_readahead, false },
	{ "mmap", way_mmap, false },
	{ "splice", way_splice, false },
	{ "splice_direct", way_splice_direct, false },
	{ "sendfile", way_sendfile, false },
	{ "io_uring", way_io_uring, true },
	{ "io_uring_direct", way_io_uring_direct, true },
};

/* --- comparing --- */

#define MOST	4096

static void print_pages(const char *word, const long *pages, long count)
{
	long i;

	printf(" %s:", word);
	for (i = 0; i < count; i++)
		printf(" %ld", pages[i]);
}

static void compare(const struct way *way, const struct file *file, int reference)
{
	static long eio[MOST], differs[MOST];
	char *page = page_alloc(), *right = page_alloc();
	long nr_eio = 0, nr_differs = 0;
	ssize_t len, want;
	off_t pos;

	for (pos = 0; pos < file->size; pos += PAGE) {
		want = pread(reference, right, PAGE, pos);
		len = way->read(file, page, pos);
		if (len < 0 && errno != EIO)
			die(way->name);
		if (nr_eio == MOST || nr_differs == MOST)
			break;
		if (len < 0)
			eio[nr_eio++] = pos / PAGE;
		else if (len != want || memcmp(page, right, len))
			differs[nr_differs++] = pos / PAGE;
	}
	printf("%s", way->name);
	print_pages("eio", eio, nr_eio);
	print_pages("differs", differs, nr_differs);
	printf("\n");
	free(page);
	free(right);
}

static void open_file(struct file *file, const char *name)
{
	struct stat stat;

	file->fd = open_or_die(name, O_RDONLY);
	file->direct = open_or_die(name, O_RDONLY | O_DIRECT);
	if (fstat(file->fd, &stat))
		die(name);
	file->size = stat.st_size;
	file->map = mmap(NULL, file->size, PROT_READ, MAP_SHARED, file->fd, 0);
	if (file->map == MAP_FAILED)
		die("mmap");
}

static int main_ways(int argc, char **argv)
{
	int reference = open_or_die(argv[1], O_RDONLY);
	struct file file;
	unsigned int i;

	signal(SIGBUS, on_bus);
	open_file(&file, argv[0]);
	if (argc > 2) {
		printf("ready\n");
		fflush(stdout);
		getchar();
	}
	for (i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		if (ways[i].ring && !ring_get())
			continue;
		/* Each way finds nothing in the page cache. */
		madvise((void *)file.map, file.size, MADV_DONTNEED);
		posix_fadvise(file.fd, 0, 0, POSIX_FADV_DONTNEED);
		compare(&ways[i], &file, reference);
	}
	return 0;
}

/* --- flipping a bit --- */

static off_t physical(const char *name, off_t offset)
{
	union {
		struct fiemap map;
		char space[sizeof(struct fiemap) + sizeof(struct fiemap_extent)];
	} found = { .map = { .fm_start = offset, .fm_length = 1, .fm_extent_count = 1,
			     .fm_flags = FIEMAP_FLAG_SYNC } };
	const struct fiemap_extent *extent = found.map.fm_extents;
	int fd = open_or_die(name, O_RDONLY);

	if (ioctl(fd, FS_IOC_FIEMAP, &found.map))
		die("FIEMAP");
	close(fd);
	if (found.map.fm_mapped_extents != 1 || (extent->fe_flags & FIEMAP_EXTENT_DATA_INLINE)) {
		errno = ENXIO;
		die("FIEMAP");
	}
	return extent->fe_physical + offset - extent->fe_logical;
}

static void flip_at(const char *name, off_t at, int bit)
{
	off_t start = at & ~(off_t)(PAGE - 1);
	int device = open_or_die(name, O_RDWR | O_DIRECT);
	char *page = page_alloc();

	if (pread(device, page, PAGE, start) != PAGE)
		die(name);
	page[at - start] ^= 1 << (bit & 7);
	if (pwrite(device, page, PAGE, start) != PAGE || fsync(device))
		die(name);
	free(page);
	close(device);
}

static int main_flip(int argc, char **argv)
{
	flip_at(argv[3], physical(argv[0], strtoll(argv[1], NULL, 0)), atoi(argv[2]));
	return 0;
}

static int main_flip_at(int argc, char **argv)
{
	flip_at(argv[0], strtoll(argv[1], NULL, 0), atoi(argv[2]));
	return 0;
}

static int main_where(int argc, char **argv)
{
	printf("%lld\n", (long long)physical(argv[0], strtoll(argv[1], NULL, 0)));
	return 0;
}

static __u32 be32_at(const char *bytes)
{
	__u32 value;

	memcpy(&value, bytes, sizeof(value));
	return be32toh(value);
}

/* xfs_format.h: struct xfs_dsb, and struct xfs_dinode of 176 bytes, with di_forkoff at 82. */
static int main_inode(int argc, char **argv)
{
	int device = open_or_die(argv[1], O_RDONLY | O_DIRECT);
	unsigned long long number, group, block, at;
	int group_log, per_block_log, inode_size;
	char *page = page_alloc();
	struct stat stat;

	if (lstat(argv[0], &stat))
		die(argv[0]);
	if (pread(device, page, PAGE, 0) != PAGE)
		die(argv[1]);
	number = stat.st_ino;
	per_block_log = page[123];
	group_log = page[124] + per_block_log;
	inode_size = 1 << page[122];
	group = number >> group_log;
	block = group * be32_at(page + 84);
	block += (number & ((1ULL << group_log) - 1)) >> per_block_log;
	at = (block << page[120]) + (number & ((1 << per_block_log) - 1)) * inode_size;
	if (pread(device, page, PAGE, at & ~(PAGE - 1ULL)) != PAGE)
		die(argv[1]);
	at += 176 + (unsigned char)page[at % PAGE + 82] * 8;
	printf("%llu %llu\n", at, inode_size - at % inode_size);
	return 0;
}

/* --- the rest --- */

static int main_attribute(int argc, char **argv)
{
	struct statx found;

	if (statx(AT_FDCWD, argv[0], 0, STATX_BASIC_STATS, &found))
		die(argv[0]);
	if (!(found.stx_attributes_mask & STATX_ATTR_VERITY))
		puts("unknown");
	else
		puts(found.stx_attributes & STATX_ATTR_VERITY ? "yes" : "no");
	return 0;
}

static int main_copy(int argc, char **argv)
{
	static char value[65536];
	ssize_t size = getxattr(argv[1], argv[0], value, sizeof(value));

	if (size < 0)
		die(argv[1]);
	if (setxattr(argv[2], argv[0], value, size, 0))
		die(argv[2]);
	return 0;
}

static int main_flip_value(int argc, char **argv)
{
	static char value[65536];
	ssize_t size = getxattr(argv[2], argv[0], value, sizeof(value));
	long bit = atol(argv[1]);

	if (size <= 0)
		die(argv[2]);
	value[bit / 8 % size] ^= 1 << bit % 8;
	if (setxattr(argv[2], argv[0], value, size, 0))
		die(argv[2]);
	return 0;
}

static int main_set(int argc, char **argv)
{
	if (setxattr(argv[2], argv[0], argv[1], strlen(argv[1]), 0))
		die(argv[2]);
	return 0;
}

static int main_follow(int argc, char **argv)
{
	int fd = open_or_die(argv[0], O_RDONLY), reference = open_or_die(argv[1], O_RDONLY);
	double end = seconds_now() + atof(argv[2]);
	char *page = page_alloc(), *right = page_alloc();
	struct stat stat;
	long reads = 0;

	if (fstat(fd, &stat))
		die(argv[0]);
	while (seconds_now() < end) {
		off_t pos = (rand() % (stat.st_size / PAGE)) * (off_t)PAGE;

		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		if (pread(fd, page, PAGE, pos) != PAGE ||
		    pread(reference, right, PAGE, pos) != PAGE)
			die(argv[0]);
		if (memcmp(page, right, PAGE)) {
			printf("page %lld differs\n", (long long)pos / PAGE);
			return 1;
		}
		if (!(++reads % BURST))
			usleep(20000);
	}
	printf("%ld\n", reads);
	return !reads;
}

static int enable(int fd)
{
	struct fsverity_enable_arg arg = {
		.version = 1, .hash_algorithm = FS_VERITY_HASH_ALG_SHA256, .block_size = PAGE,
	};

	return ioctl(fd, FS_IOC_ENABLE_VERITY, &arg);
}

static bool has_verity(int fd)
{
	union {
		struct fsverity_digest digest;
		char space[sizeof(struct fsverity_digest) + 64];
	} found = { .digest = { .digest_size = 64 } };

	return !ioctl(fd, FS_IOC_MEASURE_VERITY, &found);
}

static int open_as(const char *name, const char *uid)
{
	if (uid && (setgid(atoi(uid)) || setuid(atoi(uid))))
		die(uid);
	return open_or_die(name, O_RDONLY);
}

static int main_enable(int argc, char **argv)
{
	if (enable(open_as(argv[0], argc > 1 ? argv[1] : NULL)))
		die(argv[0]);
	return 0;
}

static int main_read(int argc, char **argv)
{
	int fd = open_as(argv[0], argv[1]);
	char *page = page_alloc();
	ssize_t len;

	while ((len = read(fd, page, PAGE)) > 0)
		;
	if (len)
		die(argv[0]);
	return 0;
}

/* --- many at once --- */

#define FILES		6
#define LENGTH		(8 * PAGE)

static char names[FILES][128];

static const char *any_name(void)
{
	return names[rand() % FILES];
}

static void wrong(const char *what)
{
	printf("%s\n", what);
	exit(1);
}

/* A write that is let through to a file with verity would show in what is read of it. */
static void churn_create(const char *name)
{
	char *page = page_alloc();
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600), i;

	if (fd < 0 && errno != EPERM && errno != ETXTBSY)
		die(name);
	memset(page, rand(), PAGE);
	for (i = 0; fd >= 0 && i < LENGTH / PAGE; i++)
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			die(name);
	if (fd >= 0 && has_verity(fd))
		wrong("it is open for writing, and has verity");
	if (fd >= 0)
		close(fd);
	free(page);
}

static void churn_map(const char *name)
{
	int fd = open(name, O_RDWR | O_CLOEXEC);
	struct stat stat;
	char *map;

	if (fd < 0)
		return;
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* The mapping holds the file. */
	if (map != MAP_FAILED && !fstat(fd, &stat) && stat.st_size >= LENGTH &&
	    !sigsetjmp(bus, 1)) {
		map[rand() % PAGE]++;
		if (!enable(fd) || has_verity(fd))
			wrong("it is mapped for writing, and has verity");
		map[rand() % PAGE]++;
	}
	if (map != MAP_FAILED)
		munmap(map, PAGE);
	close(fd);
}

static void churn_truncate(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	bool had = fd >= 0 && has_verity(fd);
	char path[64];

	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!truncate(path, rand() % LENGTH) && had)
		wrong("it has verity, and is truncated");
	close(fd);
}

static void churn_enable(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (enable(fd) && errno != EEXIST && errno != EBUSY && errno != ETXTBSY)
		die("FS_IOC_ENABLE_VERITY");
	close(fd);
}

/* Of one that has verity each read gives the same, whatever others try. */
static void churn_read(const char *name)
{
	static char first[LENGTH], again[LENGTH];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t len;

	if (fd < 0)
		return;
	if (has_verity(fd)) {
		len = pread(fd, first, LENGTH, 0);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		if (len < 0 || pread(fd, again, LENGTH, 0) != len || memcmp(first, again, len))
			wrong("it has verity, and changes or cannot be read");
	}
	close(fd);
}

static void churn_remove(const char *name)
{
	unlink(name);
}

static void churn_rename(const char *name)
{
	rename(name, any_name());
}

static void churn_one(void)
{
	static void (*const changes[])(const char *name) = {
		churn_create, churn_map, churn_truncate, churn_read, churn_remove, churn_rename,
		churn_enable, churn_enable,
	};

	changes[rand() % (sizeof(changes) / sizeof(*changes))](any_name());
}

static int main_churn(int argc, char **argv)
{
	double end = seconds_now() + atof(argv[1]);
	long rounds = 0, i;

	srand(atoi(argv[2]));
	signal(SIGBUS, on_bus);
	for (i = 0; i < FILES; i++)
		snprintf(names[i], sizeof(names[i]), "%s/%ld", argv[0], i);
	while (seconds_now() < end) {
		churn_one();
		rounds++;
	}
	printf("%ld\n", rounds);
	return 0;
}

static const struct {
	const char *name;
	int least, most;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "ways", 2, 3, main_ways },
	{ "flip", 4, 4, main_flip },
	{ "flip_at", 3, 3, main_flip_at },
	{ "flip_value", 3, 3, main_flip_value },
	{ "where", 2, 2, main_where },
	{ "inode", 2, 2, main_inode },
	{ "attribute", 1, 1, main_attribute },
	{ "copy", 3, 3, main_copy },
	{ "set", 3, 3, main_set },
	{ "follow", 3, 3, main_follow },
	{ "enable", 1, 2, main_enable },
	{ "read", 2, 2, main_read },
	{ "churn", 3, 3, main_churn },
};

int main(int argc, char **argv)
{
	unsigned int i;

	for (i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name) && argc - 2 >= commands[i].least &&
		    argc - 2 <= commands[i].most)
			return commands[i].run(argc - 2, argv + 2);
	fprintf(stderr, "usage: verity_file COMMAND ...: see the source\n");
	return 2;
}
