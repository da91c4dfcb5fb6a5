// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of the filesystem list against readers on every CPU.
 *
 * One process, the controller, loads and unloads small filesystem modules by a
 * schedule that is known beforehand, so the text that the list has after each
 * step is known beforehand as well. It publishes two numbers in shared memory:
 * @begun, raised before a step begins, and @floor, raised after it returned. A
 * reader notes @floor before it reads and @begun after; what it read must be
 * one of the texts of those steps. An older text is stale, any other is torn.
 * A reader that saw a step's text raises @floor too: after one reader has seen it
 * no reader may see an older text.
 *
 * The same readers hold /proc/filesystems to the same rule, so that a fault of
 * the test would show there.
 */
#include <stdalign.h>
#include <stdatomic.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kselftest.h"
#include "fslist_util.h"

#define MAX_MODULES	32
#define MAX_READERS	256

struct text {
	unsigned int off;
	unsigned int len;
};

enum read_kind { WHOLE, OPENED, STEPPED, NATIVE, SLICE, KINDS };

static const char * const kind_name[KINDS] = {
	[WHOLE] = "pread of the whole list",
	[OPENED] = "open, read, close",
	[STEPPED] = "read in small steps",
	[NATIVE] = "/proc/filesystems",
	[SLICE] = "pread of a part on a shared file",
};

struct reader {
	alignas(64) atomic_ullong cached_whole;	/* whole reads of the file under test */
	unsigned long long reads[KINDS];		/* checked texts or parts */
	unsigned long long syscalls;		/* read calls on the file under test */
	unsigned int widest;		/* most steps that one read spanned */
};

struct shared {
	alignas(64) atomic_uint begun;
	alignas(64) atomic_uint floor;
	alignas(64) atomic_int stop;
	atomic_int stale;
	atomic_int torn;
	atomic_int broken;
	struct reader reader[MAX_READERS];
};

struct module {
	const char *path;
	char name[64];
	char line[128];
	bool loaded;
};

static struct module modules[MAX_MODULES];
static int nr_modules;
static struct shared *sh;
static struct text *texts;
static char *blob;
static const char *cached = FSLIST_CACHED;
static bool threads;
static int shared_fd = -1;
static atomic_int interrupted;

/* Ends the run early, with the modules unloaded as after a whole one. */
static void on_signal(int sig)
{
	interrupted = sig;
}

static const char *text_at(unsigned int step)
{
	return blob + texts[step].off;
}

static void raise_floor(unsigned int step)
{
	unsigned int old = atomic_load(&sh->floor);

	while (old < step && !atomic_compare_exchange_weak(&sh->floor, &old, step))
		;
}

static bool matches(unsigned int step, const char *buf, size_t len, size_t off, bool part)
{
	const struct text *t = &texts[step];

	if (!part)
		return len == t->len && !memcmp(buf, text_at(step), len);
	if (off >= t->len)
		return !len;
	return len <= t->len - off && !memcmp(buf, text_at(step) + off, len);
}

/* The first few faults are worth their detail, the rest only their count. */
static void complain(atomic_int *counter, enum read_kind kind, unsigned int lo, unsigned int hi,
		     long found, const char *buf, size_t len)
{
	if (atomic_fetch_add(counter, 1) >= 3)
		return;
	if (found >= 0)
		ksft_print_msg("%s: stale: text of step %ld, wanted %u to %u\n",
			       kind_name[kind], found, lo, hi);
	else
		ksft_print_msg("%s: torn: %zu bytes, wanted step %u to %u; ends '%.*s'\n",
			       kind_name[kind], len, lo, hi,
			       (int)(len < 24 ? len : 24), buf + (len < 24 ? 0 : len - 24));
}

static void check(struct reader *r, enum read_kind kind, const char *buf, size_t len,
		  size_t off, unsigned int lo, unsigned int hi)
{
	bool part = kind == SLICE;
	unsigned int step;
	long found;

	r->reads[kind]++;
	if (hi - lo > r->widest)
		r->widest = hi - lo;
	if (part) {
		/* Reading on in a text begun earlier may serve that text. */
		for (found = hi; found >= 0; found--)
			if (matches(found, buf, len, off, true))
				return;
		complain(&sh->torn, kind, 0, hi, -1, buf, len);
		return;
	}
	for (step = lo; step <= hi; step++) {
		if (matches(step, buf, len, 0, false)) {
			/* The oldest that fits, so never too new. */
			raise_floor(step);
			return;
		}
	}
	for (found = (long)lo - 1; found >= 0; found--)
		if (matches(found, buf, len, 0, false))
			break;
	complain(found >= 0 ? &sh->stale : &sh->torn, kind, lo, hi, found, buf, len);
}

static void broken(const char *what, ssize_t ret)
{
	if (atomic_fetch_add(&sh->broken, 1) < 3)
		ksft_print_msg("%s returned %zd: %s\n", what, ret,
			       ret < 0 ? strerror(errno) : "not an error");
}

static void read_fd(struct reader *r, enum read_kind kind, int fd, char *buf)
{
	unsigned int lo = atomic_load(&sh->floor), hi;
	ssize_t n = pread(fd, buf, FSLIST_MAX, 0);

	hi = atomic_load(&sh->begun);
	if (n <= 0) {
		broken(kind_name[kind], n);
		return;
	}
	check(r, kind, buf, n, 0, lo, hi);
	if (kind == WHOLE) {
		r->syscalls++;
		atomic_fetch_add(&r->cached_whole, 1);
	}
}

static void read_opened(struct reader *r, char *buf)
{
	unsigned int lo = atomic_load(&sh->floor), hi;
	int fd = open(cached, O_RDONLY);
	ssize_t n;

	if (fd < 0) {
		broken(kind_name[OPENED], fd);
		return;
	}
	n = read(fd, buf, FSLIST_MAX);
	hi = atomic_load(&sh->begun);
	if (n <= 0)
		broken(kind_name[OPENED], n);
	else
		check(r, OPENED, buf, n, 0, lo, hi);
	r->syscalls++;
	close(fd);
}

/* The text is the one that the first step began, whatever happens meanwhile. */
static void read_stepped(struct reader *r, int fd, char *buf, size_t step)
{
	unsigned int lo = atomic_load(&sh->floor), hi = 0;
	size_t len = 0;
	ssize_t n;

	do {
		n = pread(fd, buf + len, step, len);
		if (!len)
			hi = atomic_load(&sh->begun);
		if (n < 0) {
			broken(kind_name[STEPPED], n);
			return;
		}
		len += n;
		r->syscalls++;
	} while (n && len < FSLIST_MAX - step);
	check(r, STEPPED, buf, len, 0, lo, hi);
}

static void read_slice(struct reader *r, char *buf, unsigned int *seed)
{
	size_t off = 1 + rand_r(seed) % 600, size = 1 + rand_r(seed) % 300;
	ssize_t n = pread(shared_fd, buf, size, off);

	if (n < 0)
		broken(kind_name[SLICE], n);
	else
		check(r, SLICE, buf, n, off, 0, atomic_load(&sh->begun));
	r->syscalls++;
}

static void reader_loop(int index, int cpu)
{
	static const size_t steps[] = { 61, 128, 1, 7, 300 };
	struct reader *r = &sh->reader[index];
	unsigned int seed = index + 1, i;
	int fd, native;
	char *buf;

	buf = malloc(FSLIST_MAX);
	fd = threads ? shared_fd : open(cached, O_RDONLY);
	native = open(FSLIST_NATIVE, O_RDONLY);
	if (!buf || fd < 0 || native < 0 || pin_to_cpu(cpu)) {
		broken("start of a reader", -1);
		return;
	}
	/* The controller shares a CPU with one of us and should not wait. */
	if (nice(10) < 0)
		ksft_print_msg("reader %d runs at full priority\n", index);
	for (i = 0; !atomic_load_explicit(&sh->stop, memory_order_relaxed); i++) {
		read_fd(r, WHOLE, fd, buf);
		read_fd(r, WHOLE, fd, buf);
		if (threads) {
			read_slice(r, buf, &seed);
			read_slice(r, buf, &seed);
		} else if (i % 8 == 3) {
			read_stepped(r, fd, buf, steps[(i / 8) % ARRAY_SIZE(steps)]);
		}
		if (i % 4 == 1)
			read_fd(r, NATIVE, native, buf);
		if (i % 4 == 2)
			read_opened(r, buf);
	}
	close(native);
	if (!threads)
		close(fd);
	free(buf);
}

struct thread_arg {
	int index;
	int cpu;
};

static void *reader_thread(void *data)
{
	struct thread_arg *arg = data;

	reader_loop(arg->index, arg->cpu);
	return NULL;
}

static int toggle(struct module *m)
{
	int ret;

	if (!m->loaded) {
		ret = module_load(m->path, "");
	} else {
		/* udev or lsmod may be looking at it. */
		loop_until(5, (ret = module_unload(m->name)) != -EAGAIN);
	}
	if (ret) {
		errno = -ret;
		ksft_print_msg("cannot %s %s: %s\n", m->loaded ? "unload" : "load",
			       m->name, strerror(-ret));
		return ret;
	}
	m->loaded = !m->loaded;
	return 0;
}

static void unload_all(void)
{
	int i;

	for (i = 0; i < nr_modules; i++)
		if (modules[i].loaded)
			toggle(&modules[i]);
}

/* Learns the line that each module adds; leaves them unloaded. */
static void learn_lines(const char *base, ssize_t base_len)
{
	char buf[FSLIST_MAX];
	int i, kept = 0;
	ssize_t len;

	for (i = 0; i < nr_modules; i++) {
		struct module *m = &modules[i];
		const char *why = NULL;
		int ret = toggle(m);

		if (ret == -EEXIST) {
			ksft_print_msg("%s is in use already: left out\n", m->name);
			continue;
		}
		if (ret)
			continue;
		len = read_whole(FSLIST_NATIVE, buf, sizeof(buf) - 1);
		if (toggle(m))
			ksft_exit_fail_msg("%s stays loaded: stop what uses it\n", m->name);
		if (len <= base_len || memcmp(buf, base, base_len))
			why = "adds no line at the end";
		else if (len - base_len >= (ssize_t)sizeof(m->line))
			why = "adds too long a line";
		if (!why) {
			snprintf(m->line, sizeof(m->line), "%.*s",
				 (int)(len - base_len), buf + base_len);
			if (strchr(m->line, '\n') != m->line + strlen(m->line) - 1)
				why = "adds more than one line";
		}
		if (why) {
			ksft_print_msg("%s %s: left out\n", m->name, why);
			continue;
		}
		modules[kept++] = *m;
	}
	nr_modules = kept;
}

/* Which module each step toggles, and the text after it. */
static void plan(unsigned char *step_module, unsigned int steps, const char *base, size_t base_len)
{
	int order[MAX_MODULES], nr_on = 0, i, j;
	size_t used = 0, room = 0;
	unsigned int seed = 1;
	unsigned int step;

	for (i = 0; i < nr_modules; i++)
		room += strlen(modules[i].line);
	room = (room + base_len) * (steps + 1);
	blob = mmap(NULL, room, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (blob == MAP_FAILED)
		ksft_exit_fail_perror("memory for the texts");

	for (step = 0; step <= steps; step++) {
		if (step) {
			i = rand_r(&seed) % nr_modules;
			step_module[step] = i;
			for (j = 0; j < nr_on && order[j] != i; j++)
				;
			if (j < nr_on) {
				memmove(order + j, order + j + 1, (nr_on - j - 1) * sizeof(*order));
				nr_on--;
			} else {
				order[nr_on++] = i;
			}
		}
		texts[step].off = used;
		memcpy(blob + used, base, base_len);
		used += base_len;
		for (j = 0; j < nr_on; j++) {
			size_t n = strlen(modules[order[j]].line);

			memcpy(blob + used, modules[order[j]].line, n);
			used += n;
		}
		texts[step].len = used - texts[step].off;
	}
}

static bool read_on(int index, unsigned long long count)
{
	return atomic_load(&sh->reader[index].cached_whole) >= count ||
	       atomic_load(&sh->broken) || interrupted;
}

/*
 * Waits until every reader has made four more whole reads: one that was under
 * way, one that makes the text, and at least two that find it made.
 */
static bool all_read_on(int readers)
{
	unsigned long long was[MAX_READERS];
	int i;

	for (i = 0; i < readers; i++)
		was[i] = atomic_load(&sh->reader[i].cached_whole);
	for (i = 0; i < readers; i++)
		if (!loop_until(60, read_on(i, was[i] + 4)))
			return false;
	return !atomic_load(&sh->broken);
}

static void die_usage(const char *name)
{
	fprintf(stderr,
		"usage: %s [-c FILE] [-n CHANGES] [-q EVERY] [-t] [-x] MODULE.ko...\n"
		"  -c FILE     the file under test (%s)\n"
		"  -n CHANGES  changes of the list (100)\n"
		"  -q EVERY    let every reader catch up each EVERY changes (1)\n"
		"  -t          readers are threads that share one open file\n"
		"  -x          the file has no cache: do not ask for cached reads\n",
		name, FSLIST_CACHED);
	exit(2);
}

int main(int argc, char **argv)
{
	long long rebuilds, uncached, enomem, reads[KINDS] = {}, syscalls = 0, hits;
	struct thread_arg arg[MAX_READERS];
	pthread_t thread[MAX_READERS];
	unsigned int steps = 100, every = 1, step, widest = 0, quiet = 0, wrong = 0;
	int cpus[MAX_READERS], readers, opt, i, k, status;
	char base[FSLIST_MAX], now[FSLIST_MAX];
	bool has_cache = true, ok = true;
	pid_t pid[MAX_READERS];
	unsigned char *step_module;
	ssize_t base_len, len;
	double began;

	while ((opt = getopt(argc, argv, "c:n:q:tx")) != -1) {
		switch (opt) {
		case 'c':
			cached = optarg;
			break;
		case 'n':
			steps = strtoul(optarg, NULL, 0);
			break;
		case 'q':
			every = strtoul(optarg, NULL, 0);
			break;
		case 't':
			threads = true;
			break;
		case 'x':
			has_cache = false;
			break;
		default:
			die_usage(argv[0]);
		}
	}
	if (!steps || !every || optind == argc || argc - optind > MAX_MODULES)
		die_usage(argv[0]);

	ksft_print_header();
	if (geteuid())
		ksft_exit_skip("loading modules needs root\n");
	if (access(cached, R_OK))
		ksft_exit_skip("no %s: load uplift_fslist\n", cached);
	if (has_cache && fslist_stat("rebuilds") < 0)
		ksft_exit_skip("no " FSLIST_STATS ": mount debugfs\n");
	for (i = optind; i < argc; i++) {
		modules[nr_modules].path = argv[i];
		module_name(argv[i], modules[nr_modules].name, sizeof(modules[0].name));
		nr_modules++;
	}
	base_len = read_whole(FSLIST_NATIVE, base, sizeof(base));
	if (base_len <= 0)
		ksft_exit_fail_msg("cannot read " FSLIST_NATIVE "\n");
	learn_lines(base, base_len);
	if (nr_modules < 2)
		ksft_exit_skip("fewer than two filesystem modules that load and unload\n");
	ksft_set_plan(4);

	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	texts = mmap(NULL, (steps + 1) * sizeof(*texts), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	step_module = calloc(steps + 1, 1);
	if (sh == MAP_FAILED || texts == MAP_FAILED || !step_module)
		ksft_exit_fail_msg("out of memory\n");
	plan(step_module, steps, base, base_len);

	readers = usable_cpus(cpus, MAX_READERS);
	if (threads) {
		shared_fd = open(cached, O_RDONLY);
		if (shared_fd < 0)
			ksft_exit_fail_perror(cached);
	}
	rebuilds = fslist_stat("rebuilds");
	uncached = fslist_stat("uncached");
	enomem = fslist_stat("enomem");
	began = seconds_now();
	fflush(stdout);
	for (i = 0; i < readers; i++) {
		if (threads) {
			arg[i] = (struct thread_arg){ i, cpus[i] };
			if (pthread_create(&thread[i], NULL, reader_thread, &arg[i]))
				ksft_exit_fail_msg("cannot start a reader\n");
			continue;
		}
		pid[i] = fork();
		if (pid[i] < 0)
			ksft_exit_fail_perror("cannot start a reader");
		if (!pid[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			reader_loop(i, cpus[i]);
			fflush(stdout);
			_exit(0);
		}
	}
	ok = all_read_on(readers);

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	for (step = 1; ok && step <= steps && !interrupted; step++) {
		atomic_store(&sh->begun, step);
		ok = !toggle(&modules[step_module[step]]);
		if (!ok)
			break;
		raise_floor(step);
		/* The plan itself: is this the list that the kernel has? */
		len = read_whole(FSLIST_NATIVE, now, sizeof(now));
		if (len != texts[step].len || memcmp(now, text_at(step), len)) {
			ksft_print_msg("step %u: another process changed the list\n", step);
			wrong++;
			break;
		}
		if (step % every == 0) {
			ok = all_read_on(readers);
			quiet++;
		}
		if (step % 1000 == 0)
			ksft_print_msg("%u of %u changes, %.0f s\n", step, steps,
				       seconds_now() - began);
	}
	step--;
	atomic_store(&sh->stop, 1);
	for (i = 0; i < readers; i++) {
		if (threads) {
			pthread_join(thread[i], NULL);
		} else if (waitpid(pid[i], &status, 0) < 0 || status) {
			ksft_print_msg("the reader on CPU %d died, status %#x\n", cpus[i], status);
			ok = false;
		}
		for (k = 0; k < KINDS; k++)
			reads[k] += sh->reader[i].reads[k];
		syscalls += sh->reader[i].syscalls;
		if (sh->reader[i].widest > widest)
			widest = sh->reader[i].widest;
	}
	rebuilds = fslist_stat("rebuilds") - rebuilds;
	uncached = fslist_stat("uncached") - uncached;
	enomem = fslist_stat("enomem") - enomem;
	/* A lower bound: parts are served uncached as well. */
	hits = reads[WHOLE] + reads[OPENED] - uncached - rebuilds;
	unload_all();
	len = read_whole(FSLIST_NATIVE, now, sizeof(now));

	ksft_print_msg("%u changes of %d modules in %.1f s, %d readers\n", step, nr_modules,
		       seconds_now() - began, readers);
	for (k = 0; k < KINDS; k++)
		if (reads[k])
			ksft_print_msg("%lld checked: %s\n", reads[k], kind_name[k]);
	ksft_print_msg("at most %u changes during one read\n", widest);
	if (has_cache)
		ksft_print_msg("%lld texts made, %lld reads uncached, %lld cached, %lld failed\n",
			       rebuilds, uncached, hits, enomem);

	ksft_test_result(ok && !wrong && step == steps && !atomic_load(&sh->broken),
			 "every change done, every read answered\n");
	ksft_test_result(!atomic_load(&sh->stale), "no stale text in %lld reads (%d)\n",
			 syscalls + reads[NATIVE], atomic_load(&sh->stale));
	ksft_test_result(!atomic_load(&sh->torn), "no torn text in %lld reads (%d)\n",
			 syscalls + reads[NATIVE], atomic_load(&sh->torn));
	/*
	 * After a change to which all readers caught up the text was made at
	 * least once, and each reader found it made twice.
	 */
	if (has_cache)
		ksft_test_result(quiet && rebuilds >= quiet &&
				 hits >= 2LL * quiet * readers,
				 "cached texts were checked after %u changes\n", quiet);
	else
		ksft_test_result_skip("cached texts were checked: %s has no cache\n", cached);
	if (len != base_len || memcmp(now, base, len))
		ksft_print_msg("the list is not what it was at the start\n");
	ksft_finished();
}
