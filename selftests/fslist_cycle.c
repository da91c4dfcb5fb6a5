// SPDX-License-Identifier: GPL-2.0
/*
 * Loading and unloading a module with readers of its /proc file on every CPU.
 *
 * Each cycle loads the module, waits until every reader has read the whole
 * text, and unloads it while they go on and while one file is held open with
 * its text half read. Unloading must not wait for readers; afterwards the held
 * file answers like that of any removed /proc entry (EIO). Objects in use are
 * counted before and after, cache by cache: a leak of one per cycle shows.
 */
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kselftest.h"
#include "fslist_util.h"

#define MAX_READERS	256
#define MAX_SLABS	1024
/* With so many cycles a leak of one each stands out of the kernel's own noise. */
#define ENOUGH_CYCLES	200

struct shared {
	atomic_int stop;
	atomic_int wrong;
	atomic_ullong gone;		/* reads and opens of a removed file */
	struct {
		alignas(64) atomic_ullong reads;
	} reader[MAX_READERS];
	char base[FSLIST_MAX];
	ssize_t base_len;
};

struct slab {
	char name[64];
	long active;
	long size;
	long per_slab;
};

struct memory {
	struct slab slab[MAX_SLABS];
	int nr_slabs;
	long available_kb;	/* with what CPUs keep */
	long cpu_lists_kb;
	long vmalloc_kb;
};

static struct shared *sh;
static const char *file = FSLIST_CACHED;
static atomic_int interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

static void complain(const char *what, long ret, int err)
{
	if (atomic_fetch_add(&sh->wrong, 1) < 5)
		ksft_print_msg("reader: %s gave %ld (%s)\n", what, ret,
			       ret < 0 ? strerror(err) : "wrong text");
}

static void reader_loop(int index, int cpu)
{
	char *buf = malloc(FSLIST_MAX);
	int i, fd;

	if (!buf || pin_to_cpu(cpu))
		complain("start", -1, errno);
	if (nice(10) < 0)
		ksft_print_msg("reader %d runs at full priority\n", index);
	while (!atomic_load(&sh->stop)) {
		fd = open(file, O_RDONLY);
		if (fd < 0) {
			if (errno != ENOENT)
				complain("open", fd, errno);
			atomic_fetch_add(&sh->gone, 1);
			sched_yield();
			continue;
		}
		for (i = 0; i < 64; i++) {
			ssize_t n = i % 4 ? pread(fd, buf, FSLIST_MAX, 0) :
					    pread(fd, buf, 50, 0);
			ssize_t want = i % 4 ? sh->base_len : 50;

			if (n < 0 && errno == EIO) {
				atomic_fetch_add(&sh->gone, 1);
				break;
			}
			if (n != want || memcmp(buf, sh->base, n)) {
				complain("pread", n, errno);
				break;
			}
			atomic_fetch_add(&sh->reader[index].reads, 1);
		}
		close(fd);
	}
	free(buf);
}

static long meminfo_kb(const char *text, const char *key)
{
	const char *p = strstr(text, key);

	return p ? strtol(p + strlen(key), NULL, 10) : 0;
}

/*
 * Free pages that CPUs keep for themselves: MemAvailable leaves them out, and
 * since 6.7 there are as many as the last bursts made worth keeping.
 */
static long cpu_lists_kb(char *text)
{
	long pages = 0, count;
	char *line, *save = NULL;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, " count: %ld", &count) == 1)
			pages += count;
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void read_memory(struct memory *mem)
{
	static char text[1 << 18];
	char *line, *save = NULL;
	ssize_t len;

	memset(mem, 0, sizeof(*mem));
	len = read_whole("/proc/meminfo", text, sizeof(text) - 1);
	text[len > 0 ? len : 0] = '\0';
	mem->available_kb = meminfo_kb(text, "MemAvailable:");
	mem->vmalloc_kb = meminfo_kb(text, "VmallocUsed:");
	len = read_whole("/proc/zoneinfo", text, sizeof(text) - 1);
	text[len > 0 ? len : 0] = '\0';
	mem->cpu_lists_kb = cpu_lists_kb(text);
	mem->available_kb += mem->cpu_lists_kb;
	len = read_whole("/proc/slabinfo", text, sizeof(text) - 1);
	text[len > 0 ? len : 0] = '\0';
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct slab *s = &mem->slab[mem->nr_slabs];
		long total;

		if (mem->nr_slabs < MAX_SLABS &&
		    sscanf(line, "%63s %ld %ld %ld %ld", s->name, &s->active, &total, &s->size,
			   &s->per_slab) == 5)
			mem->nr_slabs++;
	}
}

/* Memory that RCU and batches give back comes late: wait until the figure is stable. */
static void settled_memory(struct memory *mem)
{
	struct memory before;
	int quiet = 0, tries, i, fd;
	long moved;

	fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	if (fd >= 0) {
		if (write(fd, "3", 1) != 1)
			ksft_perror("drop_caches");
		close(fd);
	}
	read_memory(mem);
	for (tries = 0; tries < 40 && quiet < 4; tries++) {
		usleep(500000);
		before = *mem;
		read_memory(mem);
		moved = 0;
		for (i = 0; i < mem->nr_slabs && i < before.nr_slabs; i++)
			moved += labs(mem->slab[i].active - before.slab[i].active);
		quiet = moved < 64 ? quiet + 1 : 0;
	}
}

static bool memory_held(const struct memory *was, const struct memory *is, int cycles)
{
	long lost_kb = was->available_kb - is->available_kb;
	long vmalloc_kb = is->vmalloc_kb - was->vmalloc_kb, more;
	bool held = true;
	int i, j;

	for (i = 0; i < is->nr_slabs; i++) {
		for (j = 0; j < was->nr_slabs; j++)
			if (!strcmp(is->slab[i].name, was->slab[j].name))
				break;
		if (j == was->nr_slabs)
			continue;
		more = is->slab[i].active - was->slab[j].active;
		/* A slab in use by a CPU counts as used as a whole. */
		if (more < cycles / 2 || more <= is->slab[i].per_slab)
			continue;
		ksft_print_msg("%s: %ld more objects of %ld bytes after %d cycles\n",
			       is->slab[i].name, more, is->slab[i].size, cycles);
		held = false;
	}
	ksft_print_msg("available memory %+ld kB, %+ld of it in lists of CPUs, vmalloc %+ld kB\n",
		       -lost_kb, is->cpu_lists_kb - was->cpu_lists_kb, vmalloc_kb);
	/* Half a page per cycle. */
	return held && lost_kb < cycles * 2 && vmalloc_kb < cycles * 2;
}

/* Checks a half-read open file whose module was unloaded. */
static bool removed_file_answers(int fd)
{
	char buf[64];
	bool ok = true;

	if (read(fd, buf, sizeof(buf)) != -1 || errno != EIO)
		ok = false;
	if (pread(fd, buf, sizeof(buf), 0) != -1 || errno != EIO)
		ok = false;
	if (lseek(fd, 0, SEEK_SET) != -1)
		ok = false;
	if (close(fd))
		ok = false;
	return ok;
}

static void die_usage(const char *name)
{
	fprintf(stderr,
		"usage: %s [-n CYCLES] [-a ARGS] [-c FILE] MODULE.ko\n"
		"  -n CYCLES  how often to load and unload (20)\n"
		"  -a ARGS    parameters of the module\n"
		"  -c FILE    the module's file (%s)\n", name, FSLIST_CACHED);
	exit(2);
}

int main(int argc, char **argv)
{
	int cpus[MAX_READERS], readers, cycles = 20, done, warm, opt, ret, i, status, fd;
	int held_wrong = 0, refused = 0, unread = 0;
	static struct memory was, is;
	char name[64], buf[FSLIST_MAX];
	const char *args = "";
	pid_t pid[MAX_READERS];
	unsigned long long reads = 0;
	double began, slowest = 0;
	ssize_t n;

	while ((opt = getopt(argc, argv, "n:a:c:")) != -1) {
		switch (opt) {
		case 'n':
			cycles = atoi(optarg);
			break;
		case 'a':
			args = optarg;
			break;
		case 'c':
			file = optarg;
			break;
		default:
			die_usage(argv[0]);
		}
	}
	if (optind + 1 != argc || cycles < 1)
		die_usage(argv[0]);
	module_name(argv[optind], name, sizeof(name));

	ksft_print_header();
	if (geteuid())
		ksft_exit_skip("loading modules needs root\n");
	if (!access(file, F_OK))
		ksft_exit_skip("%s is there already: unload %s\n", file, name);
	ksft_set_plan(5);

	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED)
		ksft_exit_fail_perror("mmap");
	sh->base_len = read_whole(FSLIST_NATIVE, sh->base, sizeof(sh->base));
	if (sh->base_len <= 50)
		ksft_exit_fail_msg("cannot read " FSLIST_NATIVE "\n");

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	readers = usable_cpus(cpus, MAX_READERS);
	fflush(stdout);
	for (i = 0; i < readers; i++) {
		pid[i] = fork();
		if (pid[i] < 0)
			ksft_exit_fail_perror("fork");
		if (!pid[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			signal(SIGINT, SIG_IGN);
			reader_loop(i, cpus[i]);
			fflush(stdout);
			_exit(0);
		}
	}

	/* The first loads fill caches of the kernel that stay filled. */
	warm = cycles >= ENOUGH_CYCLES ? cycles / 10 : 0;
	began = seconds_now();
	for (done = -warm; done < cycles && !interrupted; done++) {
		unsigned long long before[MAX_READERS];
		double t;

		if (!done && cycles >= ENOUGH_CYCLES)
			settled_memory(&was);
		for (i = 0; i < readers; i++)
			before[i] = atomic_load(&sh->reader[i].reads);
		ret = module_load(argv[optind], args);
		if (ret) {
			ksft_print_msg("cycle %d: cannot load %s: %s\n", done, name,
				       strerror(-ret));
			break;
		}
		fd = open(file, O_RDONLY);
		n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
		if (n != sh->base_len || memcmp(buf, sh->base, n) ||
		    lseek(fd, 0, SEEK_SET) || read(fd, buf, 17) != 17 ||
		    pread(fd, buf, 9, 30) != 9 || pread(fd, buf, 9, 5) != 9)
			held_wrong++;
		for (i = 0; i < readers; i++)
			if (!loop_until(60, atomic_load(&sh->reader[i].reads) >= before[i] + 8))
				unread++;
		t = seconds_now();
		ret = module_unload(name);
		t = seconds_now() - t;
		if (t > slowest)
			slowest = t;
		if (ret) {
			ksft_print_msg("cycle %d: unloading %s: %s\n", done, name, strerror(-ret));
			refused++;
			close(fd);
			loop_until(5, !module_unload(name));
			break;
		}
		if (fd >= 0 && !removed_file_answers(fd))
			held_wrong++;
		if (done > 0 && done % 100 == 0)
			ksft_print_msg("%d of %d cycles, %.0f s\n", done, cycles,
				       seconds_now() - began);
	}
	atomic_store(&sh->stop, 1);
	for (i = 0; i < readers; i++) {
		if (waitpid(pid[i], &status, 0) < 0 || status) {
			ksft_print_msg("the reader on CPU %d died, status %#x\n", cpus[i], status);
			atomic_fetch_add(&sh->wrong, 1);
		}
		reads += atomic_load(&sh->reader[i].reads);
	}
	ksft_print_msg("%d cycles in %.1f s, slowest unload %.3f s\n", done,
		       seconds_now() - began, slowest);
	ksft_print_msg("%llu reads by %d readers, %llu of a removed file\n", reads, readers,
		       atomic_load(&sh->gone));

	ksft_test_result(done == cycles && !refused, "%s loads and unloads %d times\n",
			 name, cycles);
	ksft_test_result(!atomic_load(&sh->wrong), "readers see the list, EIO or ENOENT\n");
	ksft_test_result(!unread && reads, "every reader read in every cycle\n");
	ksft_test_result(!held_wrong, "a file held open answers EIO after unloading\n");
	if (cycles >= ENOUGH_CYCLES) {
		settled_memory(&is);
		ksft_test_result(was.nr_slabs && memory_held(&was, &is, cycles),
				 "no memory lost in %d cycles\n", cycles);
	} else {
		ksft_test_result_skip("no memory lost: tells nothing below %d cycles\n",
				      ENOUGH_CYCLES);
	}
	ksft_finished();
}
