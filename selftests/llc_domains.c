// SPDX-License-Identifier: GPL-2.0
/*
 * Are the domains of uplift_llc those of this machine? Compares them with sysfs,
 * read CPU by CPU and combined in another way: as it is, and right after each of
 * a number of CPU hotplug operations, under load.
 *
 * usage: llc_domains [-n OPERATIONS] [-s SEED] [-d none|some]
 *
 * -d: do hardware, ids and scheduler of this machine disagree?
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "kselftest.h"
#include "llc_util.h"

#define VERBOSE		"/sys/kernel/debug/sched/verbose"
#define MAX_SHOWN	12	/* complaints at most: the console is slow */

/* The last-level cache of a CPU in sysfs. */
struct cache {
	struct cpus shared;
	int level, size_kib, ways, line, id;
	const char *type;
};

struct place {
	int node, package, die;
};

static struct cpus possible, online;
static struct cache cache[MAX_CPUS];
static struct place place[MAX_CPUS];
static int shown;

static __printf(1, 2) bool wrong(const char *fmt, ...)
{
	char text[1024];
	va_list args;

	if (shown++ >= MAX_SHOWN)
		return false;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	ksft_print_msg("%s\n", text);
	return false;
}

/* The number in a small file of a CPU; -1 where there is none. */
static int number_of(int cpu, const char *name)
{
	char path[256], line[64];

	snprintf(path, sizeof(path), CPU_DIR "/cpu%d/%s", cpu, name);
	return read_line(path, line, sizeof(line)) && *line ? atoi(line) : -1;
}

static bool list_of(const char *path, struct cpus *cpus)
{
	char line[4096];

	return read_line(path, line, sizeof(line)) && cpus_parse(line, cpus);
}

static int cache_number(int cpu, int index, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "cache/index%d/%s", index, name);
	return number_of(cpu, path);
}

static void take_cpu(int cpu)
{
	struct cache *best = &cache[cpu];
	char path[256], line[256];
	int index, level;

	*best = (struct cache){ .id = -1, .type = "" };
	for (index = 0; index < 16; index++) {
		level = cache_number(cpu, index, "level");
		snprintf(path, sizeof(path), CPU_DIR "/cpu%d/cache/index%d/type", cpu, index);
		if (level <= best->level || !read_line(path, line, sizeof(line)) ||
		    !strcmp(line, "Instruction"))
			continue;
		best->level = level;
		best->type = strcmp(line, "Unified") ? "data" : "unified";
		best->size_kib = cache_number(cpu, index, "size");
		best->ways = cache_number(cpu, index, "ways_of_associativity");
		best->line = cache_number(cpu, index, "coherency_line_size");
		best->id = cache_number(cpu, index, "id");
		snprintf(path, sizeof(path), CPU_DIR "/cpu%d/cache/index%d/shared_cpu_list", cpu,
			 index);
		if (!list_of(path, &best->shared))
			wrong("CPU %d: no shared_cpu_list", cpu);
	}
	place[cpu].package = number_of(cpu, "topology/physical_package_id");
	place[cpu].die = number_of(cpu, "topology/die_id");
}

/* Reads all of it from sysfs. */
static bool take_sysfs(void)
{
	char path[256];
	struct cpus of;
	int cpu, node;

	if (!list_of(CPU_DIR "/possible", &possible) || !list_of(CPU_DIR "/online", &online))
		return wrong("no lists of CPUs in sysfs");
	for (cpu = 0; cpu < MAX_CPUS; cpu++) {
		if (!cpus_has(&online, cpu))
			continue;
		take_cpu(cpu);
		place[cpu].node = 0;
	}
	for (node = 0; node < 64; node++) {
		snprintf(path, sizeof(path), NODE_DIR "/node%d/cpulist", node);
		if (!list_of(path, &of))
			continue;
		for (cpu = 0; cpu < MAX_CPUS; cpu++)
			if (cpus_has(&of, cpu))
				place[cpu].node = node;
	}
	return true;
}

/* Do the numbers that the module lists equal those of the CPUs of a domain? */
static bool same_numbers(const char *listed, const char *what, int number,
			 const struct cpus *cpus, const int *values, size_t stride)
{
	struct cpus want = {}, is;
	int cpu;

	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		if (cpus_has(cpus, cpu)) {
			int value = *(const int *)((const char *)values + cpu * stride);

			if (value >= 0)
				cpus_add(&want, value);
		}
	/* A source that knows nothing has null; ids are numbers, not lists. */
	if (listed && !strncmp(listed, "null", 4))
		memset(&is, 0, sizeof(is));
	else if (!json_cpus(listed, &is))
		return wrong("domain %d: no list of %s", number, what);
	if (!cpus_equal(&want, &is))
		return wrong("domain %d: %s are '%s', sysfs has '%s'", number, what,
			     cpus_text(&is), cpus_text(&want));
	return true;
}

static int id_of[MAX_CPUS];

/* One domain against sysfs's entries of each of its CPUs. */
static bool check_domain(const char *domain, int at, struct cpus *seen)
{
	int number = json_number(json_get(domain, "domain")), cpu;
	struct cpus cpus, on, both;
	char type[16] = "";
	bool ok = true;

	if (!json_cpus(json_get(domain, "cpus"), &cpus) ||
	    !json_cpus(json_get(domain, "online"), &on))
		return wrong("domain %d: no CPUs", number);
	if (number != at)
		ok = wrong("domain %d is the one at %d", number, at);
	both = cpus_and(&cpus, &online);
	if (!cpus_equal(&both, &on))
		ok = wrong("domain %d: '%s' of '%s' are online, sysfs has '%s'", number,
			   cpus_text(&on), cpus_text(&cpus), cpus_text(&online));
	if (cpus_empty(&on))
		ok = wrong("domain %d has no CPU online", number);
	json_text(json_get(domain, "type"), type, sizeof(type));
	for (cpu = 0; cpu < MAX_CPUS; cpu++) {
		struct cache *want = &cache[cpu];

		id_of[cpu] = want->id;
		if (!cpus_has(&on, cpu))
			continue;
		if (cpus_has(seen, cpu))
			ok = wrong("CPU %d is in two domains", cpu);
		cpus_add(seen, cpu);
		both = cpus_and(&want->shared, &online);
		if (!cpus_equal(&both, &on))
			ok = wrong("domain %d is '%s', CPU %d shares its cache with '%s'", number,
				   cpus_text(&on), cpu, cpus_text(&both));
		if (want->level != json_number(json_get(domain, "level")) ||
		    want->size_kib != json_number(json_get(domain, "size_kib")) ||
		    want->line != json_number(json_get(domain, "line")) ||
		    strcmp(want->type, type))
			ok = wrong("domain %d: CPU %d has L%d %s, %d KiB, lines of %d", number, cpu,
				   want->level, want->type, want->size_kib, want->line);
		if (want->ways >= 0 && want->ways != json_number(json_get(domain, "ways")))
			ok = wrong("domain %d: CPU %d has %d ways", number, cpu, want->ways);
	}
	ok &= same_numbers(json_get(domain, "nodes"), "nodes", number, &on, &place[0].node,
			   sizeof(place[0]));
	ok &= same_numbers(json_get(domain, "packages"), "packages", number, &on,
			   &place[0].package, sizeof(place[0]));
	ok &= same_numbers(json_get(domain, "dies"), "dies", number, &on, &place[0].die,
			   sizeof(place[0]));
	ok &= same_numbers(json_get(json_get(domain, "ids"), "cacheinfo"), "cacheinfo ids",
			   number, &on, id_of, sizeof(int));
	return ok;
}

static bool check_json(const char *json)
{
	struct cpus is, seen = {}, lost = {};
	const char *domain;
	bool ok = true;
	int at = 0, cpu;

	if (!json_whole(json))
		return wrong("domains.json is not whole");
	if (json_number(json_get(json, "format")) != 1)
		ok = wrong("domains.json is not of format 1");
	if (!json_cpus(json_get(json, "possible"), &is) || !cpus_equal(&is, &possible))
		ok = wrong("possible is '%s', sysfs has '%s'", cpus_text(&is),
			   cpus_text(&possible));
	if (!json_cpus(json_get(json, "online"), &is) || !cpus_equal(&is, &online))
		ok = wrong("online is '%s', sysfs has '%s'", cpus_text(&is), cpus_text(&online));
	for (domain = json_first(json_get(json, "domains")); domain; domain = json_next(domain))
		ok &= check_domain(domain, at++, &seen);
	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		if (cpus_has(&online, cpu) && !cpus_has(&seen, cpu)) {
			cpus_add(&lost, cpu);
			if (cache[cpu].level)
				ok = wrong("CPU %d has a cache, and is in no domain", cpu);
		}
	if (!json_cpus(json_get(json, "no_domain"), &is) || !cpus_equal(&is, &lost))
		ok = wrong("no_domain is '%s', not '%s'", cpus_text(&is), cpus_text(&lost));
	return ok;
}

/* cpus: every possible CPU, with its domain in domains.json. */
static bool check_cpus(const char *text, const char *json)
{
	struct cpus seen = {}, cpus;
	const char *domain;
	bool ok = true;
	char word[16];
	int cpu, n;

	for (; *text; text += n) {
		char want[16] = "-";

		if (sscanf(text, "%d %15s\n%n", &cpu, word, &n) != 2)
			return wrong("cpus: '%.40s'", text);
		cpus_add(&seen, cpu);
		for (domain = json_first(json_get(json, "domains")); domain;
		     domain = json_next(domain))
			if (json_cpus(json_get(domain, "cpus"), &cpus) && cpus_has(&cpus, cpu))
				snprintf(want, sizeof(want), "%lld",
					 json_number(json_get(domain, "domain")));
		if (strcmp(word, want))
			ok = wrong("cpus: CPU %d is in %s, domains.json has %s", cpu, word, want);
	}
	if (!cpus_equal(&seen, &possible))
		ok = wrong("cpus has '%s', possible are '%s'", cpus_text(&seen),
			   cpus_text(&possible));
	return ok;
}

/* domains: a row for each domain of domains.json, then as many disagreements. */
static bool check_text(const char *text, const char *json)
{
	const char *domain = json_first(json_get(json, "domains")), *line, *said;
	char want[2200], cpus[1024], on[1024];
	int found = 0, listed = 0;
	bool ok = true;

	line = strchr(text, '\n');
	for (; domain && line; domain = json_next(domain), line = strchr(line, '\n')) {
		line++;
		json_text(json_get(domain, "cpus"), cpus, sizeof(cpus));
		json_text(json_get(domain, "online"), on, sizeof(on));
		snprintf(want, sizeof(want), "%lld\t%s\t%s\tL%lld ",
			 json_number(json_get(domain, "domain")), cpus, on,
			 json_number(json_get(domain, "level")));
		if (strncmp(line, want, strlen(want)))
			ok = wrong("domains has '%.40s', not '%s'", line, want);
		for (said = json_first(json_get(domain, "disagreements")); said;
		     said = json_next(said))
			listed++;
	}
	if (domain || !line)
		return wrong("domains has too few rows");
	for (said = json_first(json_get(json, "disagreements")); said; said = json_next(said))
		listed++;
	for (line = text; (line = strstr(line, "disagreement: ")); line++)
		found++;
	if (found != listed)
		ok = wrong("domains has %d disagreements, domains.json %d", found, listed);
	return ok;
}

/* All files of the map, against sysfs; nothing may change meanwhile. */
static bool check_all(void)
{
	char *json = read_file(LLC_DIR "/domains.json"), *cpus = read_file(LLC_DIR "/cpus");
	char *text = read_file(LLC_DIR "/domains");
	bool ok;

	if (!json || !cpus || !text)
		ok = wrong("cannot read: %s", strerror(errno));
	else
		ok = take_sysfs() && check_json(json) && check_cpus(cpus, json) &&
		     check_text(text, json);
	free(json);
	free(cpus);
	free(text);
	return ok;
}

/* How many disagreements there are, of domains and of the machine. */
static int disagreements(bool show)
{
	char *json = read_file(LLC_DIR "/domains.json");
	const char *domain, *said;
	int n = 0;

	if (!json)
		return -1;
	for (domain = json_first(json_get(json, "domains")); domain; domain = json_next(domain))
		for (said = json_first(json_get(domain, "disagreements")); said;
		     said = json_next(said), n++)
			if (show)
				ksft_print_msg("domain %lld: %.*s\n",
					       json_number(json_get(domain, "domain")),
					       (int)(json_string(said) - said), said);
	for (said = json_first(json_get(json, "disagreements")); said; said = json_next(said), n++)
		if (show)
			ksft_print_msg("machine: %.*s\n", (int)(json_string(said) - said), said);
	free(json);
	return n;
}

/*
 * The scheduler's view: masks of its domains are in /proc/schedstat, their flags
 * in debugfs once "verbose" is set. sched_cpus has to be the topmost domain that
 * shares a last-level cache; where none does, the CPU is alone.
 */
static bool sched_span(int cpu, const char *schedstat, struct cpus *span)
{
	char want[32], path[256], flags[512], *end;
	const char *line;
	int level;

	memset(span, 0, sizeof(*span));
	cpus_add(span, cpu);
	snprintf(want, sizeof(want), "cpu%d ", cpu);
	line = strstr(schedstat, want);
	if (!line)
		return false;
	line = strchr(line + 1, '\n');
	for (level = 0; line && !strncmp(line + 1, "domain", 6); level++) {
		struct cpus mask = {};
		const char *p = strchr(line + 1, ' ') + 1;
		int base = 0, i, len;

		/* Version 17 has the name of the level before the mask. */
		len = strcspn(p, "\n ");
		if (p[strspn(p, "0123456789abcdef,")] != ' ') {
			p += len + 1;
			len = strcspn(p, "\n ");
		}
		for (i = len - 1; i >= 0; i--) {
			char digit[2] = { p[i], '\0' };
			long value;

			if (p[i] == ',')
				continue;
			value = strtol(digit, &end, 16);
			for (int bit = 0; bit < 4; bit++)
				if (value >> bit & 1 && base + bit < MAX_CPUS)
					cpus_add(&mask, base + bit);
			base += 4;
		}
		snprintf(path, sizeof(path),
			 "/sys/kernel/debug/sched/domains/cpu%d/domain%d/flags", cpu, level);
		if (!read_line(path, flags, sizeof(flags)))
			return false;
		if (strstr(flags, "SD_SHARE_LLC") || strstr(flags, "SD_SHARE_PKG_RESOURCES"))
			*span = mask;
		line = strchr(line + 1, '\n');
	}
	return true;
}

/* Are sched_cpus those of the scheduler? -1: unknown here. */
static int check_sched(void)
{
	char *json = read_file(LLC_DIR "/domains.json"), *stat = read_file("/proc/schedstat");
	struct cpus span, all, cpus, is;
	const char *domain;
	int ok = 1, cpu;
	size_t i;

	if (!json || !stat) {
		free(json);
		free(stat);
		return -1;
	}
	for (domain = json_first(json_get(json, "domains")); domain; domain = json_next(domain)) {
		if (!json_cpus(json_get(domain, "online"), &cpus) ||
		    !json_cpus(json_get(domain, "sched_cpus"), &is)) {
			ksft_print_msg("the module does not know the scheduler's view\n");
			ok = 0;
			break;
		}
		memset(&all, 0, sizeof(all));
		for (cpu = 0; cpu < MAX_CPUS; cpu++) {
			if (!cpus_has(&cpus, cpu))
				continue;
			if (!sched_span(cpu, stat, &span)) {
				ok = -1;
				goto out;
			}
			for (i = 0; i < MAX_CPUS / LONG_BITS; i++)
				all.bits[i] |= span.bits[i];
		}
		if (!cpus_equal(&all, &is))
			ok = wrong("domain %lld: sched_cpus is '%s', the scheduler has '%s'",
				   json_number(json_get(domain, "domain")), cpus_text(&is),
				   cpus_text(&all));
	}
out:
	free(json);
	free(stat);
	return ok;
}

/* Is @cpu balanced with exactly @cpus, of those of its domain; or @alone with none? */
static bool check_cpu_of_part(int cpu, const char *stat, const struct cpus *domain,
			      const struct cpus *cpus, bool alone)
{
	struct cpus span, is, only = {};

	if (!sched_span(cpu, stat, &span))
		return true;
	is = cpus_and(&span, domain);
	cpus_add(&only, cpu);
	if (cpus_equal(&is, alone ? &only : cpus))
		return true;
	return wrong("CPU %d is balanced with '%s', its part is%s '%s'", cpu, cpus_text(&is),
		     alone ? ", alone," : "", cpus_text(cpus));
}

/* Are parts what the scheduler splits domains into, and are there none where it does not? */
static bool check_parts(void)
{
	char *json = read_file(LLC_DIR "/domains.json"), *stat = read_file("/proc/schedstat");
	const char *domain, *part;
	struct cpus online, cpus;
	bool ok = json && stat;
	int cpu;

	domain = ok ? json_first(json_get(json, "domains")) : NULL;
	for (; domain; domain = json_next(domain)) {
		struct cpus all = {};

		json_cpus(json_get(domain, "online"), &online);
		part = json_first(json_get(domain, "parts"));
		for (cpu = 0; !part && cpu < MAX_CPUS; cpu++)
			if (cpus_has(&online, cpu))
				ok &= check_cpu_of_part(cpu, stat, &online, &online, false);
		if (!part)
			continue;
		for (; part; part = json_next(part)) {
			const char *alone = json_get(part, "alone");

			if (!alone || !json_cpus(json_get(part, "cpus"), &cpus))
				ok = wrong("a part without CPUs");
			for (cpu = 0; ok && cpu < MAX_CPUS; cpu++) {
				if (!cpus_has(&cpus, cpu))
					continue;
				if (cpus_has(&all, cpu))
					ok = wrong("CPU %d is in two parts", cpu);
				cpus_add(&all, cpu);
				ok &= check_cpu_of_part(cpu, stat, &online, &cpus, *alone == 't');
			}
		}
		if (!cpus_equal(&all, &online))
			ok = wrong("parts have '%s', the domain '%s'", cpus_text(&all),
				   cpus_text(&online));
	}
	free(json);
	free(stat);
	return ok;
}

/* Load: threads that compute, wake each other and sleep, on all CPUs. */
static atomic_int stop;

static void *busy(void *arg)
{
	unsigned int state = (long)arg * 2654435761u + 1;
	char *text;
	int i;

	while (!atomic_load(&stop)) {
		for (i = 0; i < 20000; i++)
			next_random(&state);
		if (state % 4 == 0)
			usleep(500);
		else
			sched_yield();
		if (state % 64 == 0) {
			/* a reader during hotplug: its text has to be whole */
			text = read_file(LLC_DIR "/domains.json");
			if (!json_whole(text))
				wrong("a reader under load: domains.json is not whole");
			free(text);
		}
	}
	return NULL;
}

static atomic_int interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

static void come_and_go(int operations, unsigned int seed)
{
	struct cpus can = {}, before;
	int cpu, i, n = 0, cpus[MAX_CPUS], failed = 0, refused = 0, done = 0, off = 0;
	pthread_t thread[4];
	char path[64], line[8];
	double began = seconds_now();

	take_sysfs();
	before = online;
	for (cpu = 0; cpu < MAX_CPUS; cpu++) {
		snprintf(path, sizeof(path), CPU_DIR "/cpu%d/online", cpu);
		/* The last CPU must stay; CPU 0 has no such file on most machines. */
		if (cpus_has(&possible, cpu) && cpu && !access(path, W_OK)) {
			cpus_add(&can, cpu);
			cpus[n++] = cpu;
		}
	}
	if (!n) {
		ksft_test_result_skip("hotplug: no CPU can go offline here\n");
		return;
	}
	for (i = 0; i < 4; i++)
		if (pthread_create(&thread[i], NULL, busy, (void *)(long)(i + 1)))
			ksft_exit_fail_perror("pthread_create");
	for (done = 0; done < operations && !interrupted; done++) {
		cpu = cpus[next_random(&seed) % n];
		snprintf(path, sizeof(path), CPU_DIR "/cpu%d/online", cpu);
		if (!read_line(path, line, sizeof(line)))
			continue;
		if (write_text(path, *line == '1' ? "0" : "1")) {
			refused++;
			continue;
		}
		off += *line == '1';
		if (!check_all()) {
			failed++;
			wrong("after operation %d, CPU %d %s", done, cpu,
			      *line == '1' ? "off" : "on");
		}
	}
	atomic_store(&stop, 1);
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), CPU_DIR "/cpu%d/online", cpus[i]);
		if (read_line(path, line, sizeof(line)) &&
		    (*line == '1') != cpus_has(&before, cpus[i]))
			write_text(path, *line == '1' ? "0" : "1");
	}
	ksft_print_msg("%d operations (%d off), %d refused, %.1f s\n", done, off, refused,
		       seconds_now() - began);
	ksft_test_result(!failed && !shown && done == operations && refused < operations,
			 "hotplug: right after each of %d operations\n", operations);
	ksft_test_result(check_all(), "hotplug: right when all are back\n");
}

int main(int argc, char **argv)
{
	int operations = 0, opt, n, sched;
	const char *expected = NULL;
	unsigned int seed = 1;
	char verbose[8];

	while ((opt = getopt(argc, argv, "n:s:d:")) != -1) {
		switch (opt) {
		case 'n':
			operations = atoi(optarg);
			break;
		case 's':
			seed = atoi(optarg) ?: 1;
			break;
		case 'd':
			expected = optarg;
			break;
		default:
			fprintf(stderr,
				"usage: llc_domains [-n OPERATIONS] [-s SEED] [-d none|some]\n");
			return 2;
		}
	}
	ksft_print_header();
	if (access(LLC_DIR "/domains.json", R_OK))
		ksft_exit_skip("no " LLC_DIR ": uplift_llc is not loaded\n");
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (operations) {
		ksft_set_plan(2);
		come_and_go(operations, seed);
		ksft_finished();
	}
	ksft_set_plan(4);
	ksft_test_result(check_all(), "domains, domains.json and cpus equal sysfs\n");
	if (!read_line(VERBOSE, verbose, sizeof(verbose)))
		snprintf(verbose, sizeof(verbose), "N");
	write_text(VERBOSE, "Y");
	sched = check_sched();
	if (sched > 0)
		sched = check_parts();
	write_text(VERBOSE, verbose);
	if (sched < 0)
		ksft_test_result_skip("sched_cpus: this kernel does not show its domains\n");
	else
		ksft_test_result(sched, "sched_cpus and parts are the scheduler's own\n");
	n = disagreements(true);
	ksft_test_result(n >= 0 && (!expected || !strcmp(expected, n ? "some" : "none")),
			 "disagreements: %d, %s expected\n", n, expected ?: "no number");
	/* Two reads give one text, whatever the size of the reads. */
	{
		size_t whole = 0, bytes = 0;
		char *a = read_file_by(LLC_DIR "/domains.json", 0, &whole);
		char *b = read_file_by(LLC_DIR "/domains.json", 7, &bytes);

		ksft_test_result(a && b && whole == bytes && !memcmp(a, b, whole),
				 "read 7 bytes at a time: the same\n");
		free(a);
		free(b);
	}
	ksft_finished();
}
