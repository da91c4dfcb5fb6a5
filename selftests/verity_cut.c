// SPDX-License-Identifier: GPL-2.0
/*
 * Loses power, for verity.sh: records what is written to a device with dm-log-writes,
 * and makes another device into what the first one may have held at any moment of that.
 *
 *	verity_cut record DEVICE LOG
 *		makes a device that stands for DEVICE and records onto LOG, which is
 *		emptied first, what is written to it; prints its path
 *	verity_cut mark TEXT
 *		notes in the record that something has been acknowledged
 *	verity_cut stop
 *		removes that device
 *	verity_cut save DEVICE FILE
 *		keeps what DEVICE holds
 *	verity_cut count LOG
 *		prints how many entries were recorded
 *	verity_cut lose FILE LOG DEVICE ENTRY SEED
 *		makes DEVICE into what it may hold when power is lost while ENTRY is
 *		written: FILE, and all before the last flush, and what came after that
 *		each or not, as SEED has it; of ENTRY itself any pages. Prints the marks
 *		that come before it
 *
 * dm-log-writes records a write when it has been flushed, or at once if it is one that
 * goes past the disk's cache. So all entries between two flushes may have been lost,
 * but those.
 *
 * Exit: 0, 1 if something cannot be done, 2 usage.
 */
#include <endian.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "test_util.h"

#define NAME		"uplift-verity"
#define CONTROL		"/dev/mapper/control"
#define PAGE		4096
#define CHUNK		(256 * PAGE)
#define SECTOR		512

static void die(const char *what)
{
	fprintf(stderr, "verity_cut: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_or_die(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		die(name);
	return fd;
}

static char *pages_alloc(size_t size)
{
	void *pages;

	if (posix_memalign(&pages, PAGE, size))
		die("memory");
	return pages;
}

static __u64 device_size(int fd, const char *name)
{
	__u64 size;

	if (ioctl(fd, BLKGETSIZE64, &size))
		die(name);
	return size;
}

static void read_at(int fd, void *to, size_t size, __u64 pos, const char *name)
{
	if (pread(fd, to, size, pos) != (ssize_t)size)
		die(name);
}

static void write_at(int fd, const void *from, size_t size, __u64 pos, const char *name)
{
	if (pwrite(fd, from, size, pos) != (ssize_t)size)
		die(name);
}

/* --- the recording device --- */

struct request {
	struct dm_ioctl head;
	char data[1024];
};

static void request_begin(struct request *request)
{
	memset(request, 0, sizeof(*request));
	request->head.version[0] = DM_VERSION_MAJOR;
	request->head.data_size = sizeof(*request);
	request->head.data_start = offsetof(struct request, data);
	snprintf(request->head.name, sizeof(request->head.name), NAME);
}

static int try_request(struct request *request, unsigned long number)
{
	int fd = open_or_die(CONTROL, O_RDWR);
	int ret = ioctl(fd, number, request);

	close(fd);
	return ret;
}

static void do_request(struct request *request, unsigned long number, const char *what)
{
	if (try_request(request, number))
		die(what);
}

static void load_table(const char *device, const char *log, __u64 size)
{
	struct request request;
	struct dm_target_spec *spec = (void *)request.data;

	request_begin(&request);
	request.head.target_count = 1;
	spec->length = size / SECTOR;
	snprintf(spec->target_type, sizeof(spec->target_type), "log-writes");
	snprintf((char *)(spec + 1), sizeof(request.data) - sizeof(*spec), "%s %s", device, log);
	do_request(&request, DM_TABLE_LOAD, "DM_TABLE_LOAD");
}

static int main_record(char **argv)
{
	int device = open_or_die(argv[0], O_RDONLY), log = open_or_die(argv[1], O_RDWR);
	__u64 size = device_size(device, argv[0]);
	char *page = pages_alloc(PAGE);
	struct request request;

	memset(page, 0, PAGE);
	write_at(log, page, PAGE, 0, argv[1]);
	if (fsync(log))
		die(argv[1]);
	close(log);
	close(device);
	request_begin(&request);
	do_request(&request, DM_DEV_CREATE, "DM_DEV_CREATE");
	load_table(argv[0], argv[1], size);
	request_begin(&request);
	do_request(&request, DM_DEV_SUSPEND, "resuming");
	printf("/dev/dm-%u\n", minor(request.head.dev));
	return 0;
}

static int main_mark(char **argv)
{
	struct request request;
	struct dm_target_msg *message = (void *)request.data;

	request_begin(&request);
	message->sector = 0;
	snprintf(message->message, sizeof(request.data) - sizeof(*message), "mark %s", argv[0]);
	do_request(&request, DM_TARGET_MSG, "DM_TARGET_MSG");
	return 0;
}

static bool stopped(void)
{
	struct request request;

	request_begin(&request);
	if (!try_request(&request, DM_DEV_REMOVE))
		return true;
	if (errno != EBUSY)
		die("DM_DEV_REMOVE");
	return false;
}

/* What unmounts a filesystem may not have closed the device at once. */
static int main_stop(char **argv)
{
	if (!loop_until(10, stopped()))
		die("DM_DEV_REMOVE");
	return 0;
}

/* --- what a device holds: its pages that are not zero, each behind its place --- */

static bool is_zero(const char *bytes, size_t size)
{
	return !*bytes && !memcmp(bytes, bytes + 1, size - 1);
}

static void each_page(const char *name, void (*see)(const char *page, __u64 pos, int to),
		      int to)
{
	int fd = open_or_die(name, O_RDONLY | O_DIRECT);
	__u64 size = device_size(fd, name), pos, at;
	char *chunk = pages_alloc(CHUNK);

	for (pos = 0; pos < size; pos += CHUNK) {
		size_t part = size - pos < CHUNK ? size - pos : CHUNK;

		read_at(fd, chunk, part, pos, name);
		for (at = 0; at < part && !is_zero(chunk, part); at += PAGE)
			if (!is_zero(chunk + at, PAGE))
				see(chunk + at, pos + at, to);
	}
	free(chunk);
	close(fd);
}

static void keep_page(const char *page, __u64 pos, int to)
{
	if (write(to, &pos, sizeof(pos)) != sizeof(pos) || write(to, page, PAGE) != PAGE)
		die("what is kept");
}

static int main_save(char **argv)
{
	each_page(argv[0], keep_page, open_or_die(argv[1], O_WRONLY | O_CREAT | O_TRUNC));
	return 0;
}

static void refuse_page(const char *page, __u64 pos, int to)
{
	fprintf(stderr, "verity_cut: the device does not forget what is discarded, at %llu\n",
		(unsigned long long)pos);
	exit(1);
}

/* Looking at all of the device takes longer than all else here. */
static void restore(const char *file, const char *device, int fd, bool check)
{
	__u64 range[2] = { 0, device_size(fd, device) }, pos;
	int kept = open_or_die(file, O_RDONLY);
	char *page = pages_alloc(PAGE);

	if (ioctl(fd, BLKDISCARD, range))
		die("BLKDISCARD");
	if (check)
		each_page(device, refuse_page, -1);
	while (read(kept, &pos, sizeof(pos)) == sizeof(pos)) {
		if (read(kept, page, PAGE) != PAGE)
			die(file);
		write_at(fd, page, PAGE, pos, device);
	}
	free(page);
	close(kept);
}

/* --- the record: a super block, and entries with their data behind them --- */

/* See dm-log-writes.c. */

#define LOG_MAGIC	0x6a736677736872ULL
#define LOG_FLUSH	0x1
#define LOG_FUA		0x2
#define LOG_DISCARD	0x4
#define LOG_MARK	0x8

struct super {
	__u64 magic, version, entries;
	__u32 sector_size;
};

struct entry {
	__u64 sector, sectors, flags, length;
};

struct record {
	const char *name;
	int fd;
	__u64 entries, sector_size;
};

static void record_open(struct record *record, const char *name)
{
	int fd = open_or_die(name, O_RDONLY | O_DIRECT);
	char *page = pages_alloc(PAGE);
	struct super *super = (void *)page;

	read_at(fd, page, PAGE, 0, name);
	if (le64toh(super->magic) != LOG_MAGIC) {
		fprintf(stderr, "verity_cut: %s: nothing is recorded there\n", name);
		exit(1);
	}
	*record = (struct record){ name, fd, le64toh(super->entries), le32toh(super->sector_size) };
	free(page);
}

static int main_count(char **argv)
{
	struct record record;

	record_open(&record, argv[0]);
	printf("%llu\n", (unsigned long long)record.entries);
	return 0;
}

static void entry_read(const struct record *record, __u64 pos, struct entry *entry, char *mark)
{
	char *sector = pages_alloc(record->sector_size);
	const struct entry *found = (void *)sector;

	read_at(record->fd, sector, record->sector_size, pos, record->name);
	*entry = (struct entry){ le64toh(found->sector), le64toh(found->sectors),
				 le64toh(found->flags), le64toh(found->length) };
	mark[0] = '\0';
	if (entry->flags & LOG_MARK)
		snprintf(mark, SECTOR, "%.*s", (int)entry->length, sector + sizeof(*found));
	free(sector);
}

static __u64 entry_end(const struct record *record, __u64 pos, const struct entry *entry)
{
	pos += record->sector_size;
	if (!(entry->flags & LOG_DISCARD))
		pos += entry->sectors * record->sector_size;
	return pos;
}

/* A page of what is written at once may be on the disk, and another not. */
static void entry_write(const struct record *record, __u64 pos, const struct entry *entry,
			int device, bool torn)
{
	__u64 size = entry->sectors * record->sector_size, at, part;
	__u64 to = entry->sector * record->sector_size;
	char *page = pages_alloc(PAGE);

	memset(page, 0, PAGE);
	for (at = 0; at < size; at += part) {
		part = PAGE - (to + at) % PAGE;
		if (part > size - at)
			part = size - at;
		if (torn && random() % 2)
			continue;
		if (!(entry->flags & LOG_DISCARD))
			read_at(record->fd, page, part, pos + record->sector_size + at,
				record->name);
		write_at(device, page, part, to + at, "the device");
	}
	free(page);
}

/* The entry behind the last flush before @until. */
static __u64 durable_until(const struct record *record, __u64 until)
{
	__u64 pos = record->sector_size, durable = 0, i;
	char mark[SECTOR];
	struct entry entry;

	for (i = 0; i < until; i++) {
		entry_read(record, pos, &entry, mark);
		pos = entry_end(record, pos, &entry);
		if (entry.flags & LOG_FLUSH)
			durable = i + 1;
	}
	return durable;
}

static void replay(const struct record *record, int device, __u64 until)
{
	__u64 durable = durable_until(record, until), pos = record->sector_size, i;
	char mark[SECTOR];
	struct entry entry;

	for (i = 0; i <= until && i < record->entries; i++) {
		entry_read(record, pos, &entry, mark);
		if (i < durable ||
		    (i < until && ((entry.flags & LOG_FUA) || random() % 2)))
			entry_write(record, pos, &entry, device, false);
		else if (i == until)
			entry_write(record, pos, &entry, device, true);
		if (i < until && *mark)
			printf("%s\n", mark);
		pos = entry_end(record, pos, &entry);
	}
}

static int main_lose(char **argv)
{
	int device = open_or_die(argv[2], O_RDWR);
	struct record record;

	srandom(atol(argv[4]));
	record_open(&record, argv[1]);
	restore(argv[0], argv[2], device, atol(argv[4]) % 20 == 0);
	replay(&record, device, strtoull(argv[3], NULL, 0));
	if (fsync(device))
		die(argv[2]);
	close(device);
	return 0;
}

static const struct {
	const char *name;
	int arguments;
	int (*run)(char **argv);
} commands[] = {
	{ "record", 2, main_record },
	{ "mark", 1, main_mark },
	{ "stop", 0, main_stop },
	{ "save", 2, main_save },
	{ "count", 1, main_count },
	{ "lose", 5, main_lose },
};

int main(int argc, char **argv)
{
	unsigned int i;

	for (i = 0; argc > 1 && i < sizeof(commands) / sizeof(*commands); i++)
		if (!strcmp(argv[1], commands[i].name) && argc - 2 == commands[i].arguments)
			return commands[i].run(argv + 2);
	fprintf(stderr, "usage: verity_cut record|mark|stop|save|count|lose ...: see the source\n");
	return 2;
}
