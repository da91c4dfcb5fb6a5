// SPDX-License-Identifier: GPL-2.0
/*
 * What verity.sh does with files that a shell cannot:
 *
 *	verity_file ways FILE REFERENCE [wait]
 *		reads each page of FILE by every way of reading, and compares it with
 *		REFERENCE's. One line for each way: the pages that gave EIO, and those
 *		that differ. With "wait" FILE is opened first, "ready" is printed and a
 *		line is waited for
 *	verity_file flip FILE OFFSET BIT DEVICE [attribute]
 *		flips a bit of FILE's data, or of its attributes, on DEVICE
 *	verity_file attribute FILE
 *		prints what statx() says of verity: yes, no, unknown
 *	verity_file copy NAME FROM TO
 *		copies an attribute from one file to another
 *	verity_file follow FILE REFERENCE SECONDS
 *		reads FILE again and again, from the disk, and compares
 *
 * Exit: 0, 1 if something cannot be done or follow sees a difference, 2 usage.
 */
#include <linux/fiemap.h>
#include <linux/fs.h>
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

static off_t physical(const char *name, off_t offset, unsigned int flags)
{
	union {
		struct fiemap map;
		char space[sizeof(struct fiemap) + sizeof(struct fiemap_extent)];
	} found = { .map = { .fm_start = offset, .fm_length = 1, .fm_extent_count = 1,
			     .fm_flags = FIEMAP_FLAG_SYNC | flags } };
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

static int main_flip(int argc, char **argv)
{
	off_t offset = strtoll(argv[1], NULL, 0);
	off_t at = physical(argv[0], offset, argc > 4 ? FIEMAP_FLAG_XATTR : 0);
	int device = open_or_die(argv[3], O_RDWR | O_DIRECT);
	char *page = page_alloc();
	off_t start = at & ~(off_t)(PAGE - 1);

	if (pread(device, page, PAGE, start) != PAGE)
		die(argv[3]);
	page[at - start] ^= 1 << (atoi(argv[2]) & 7);
	if (pwrite(device, page, PAGE, start) != PAGE || fsync(device))
		die(argv[3]);
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
		reads++;
	}
	printf("%ld\n", reads);
	return !reads;
}

static const struct {
	const char *name;
	int least, most;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "ways", 2, 3, main_ways },
	{ "flip", 4, 5, main_flip },
	{ "attribute", 1, 1, main_attribute },
	{ "copy", 3, 3, main_copy },
	{ "follow", 3, 3, main_follow },
};

int main(int argc, char **argv)
{
	unsigned int i;

	for (i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name) && argc - 2 >= commands[i].least &&
		    argc - 2 <= commands[i].most)
			return commands[i].run(argc - 2, argv + 2);
	fprintf(stderr, "usage: verity_file ways|flip|attribute|copy|follow ...: see the source\n");
	return 2;
}
