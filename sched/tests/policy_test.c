// SPDX-License-Identifier: GPL-2.0
/*
 * Tests what uplift_land decides, and how it reads the caches of a machine:
 * cases made up here, and streams that `uplift_land --record` wrote, in which
 * everything that was decided has to come out again.
 *
 * usage: policy_test DIRECTORY	the streams are its files
 *
 * KTAP on stdout; exit status 0 or 1.
 */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy.h"
#include "topology.h"

#define MS	NSEC_PER_MSEC

static struct policy policy;
static struct land_proc procs[8];
static int number, failed;
static char why[256];

static bool wrong(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	return false;
}

/* The first that does not hold is told; the case goes on. */
static void expect(int line, const char *what, long long is, long long want)
{
	if (is != want && !*why)
		wrong("line %d: %s is %lld, not %lld", line, what, is, want);
}

#define EXPECT(is, want) expect(__LINE__, #is, is, want)

static void result(const char *name, bool ok)
{
	ok = ok && !*why;
	printf("%sok %d %s\n", ok ? "" : "not ", ++number, name);
	if (!ok) {
		printf("# %s\n", why);
		failed++;
	}
	*why = '\0';
}

/* --- a machine of four caches of four CPUs --- */

static void machine(unsigned int tolerance)
{
	static const unsigned int cpus[] = { 4, 4, 4, 4 };
	struct policy_params params = POLICY_DEFAULTS;

	params.aggr_tolerance = tolerance;
	policy_init(&policy, &params, 4, cpus, 1);
	memset(procs, 0, sizeof(procs));
}

static void process(int at, int threads, int running)
{
	procs[at].tgid = 100 + at;
	procs[at].threads = threads;
	procs[at].running = running;
}

/* Each of the first @nr processes was accounted what the caller added to runtime[]. */
static void epoch(int nr)
{
	int at;

	policy_begin(&policy, 10 * MS);
	for (at = 0; at < nr; at++)
		policy_account(&policy, at, &procs[at]);
	policy_end(&policy);
}

static bool gathers_where_it_runs_most(void)
{
	machine(1);
	process(0, 3, 3);
	epoch(1);
	EXPECT(policy.procs[0].preferred, LAND_NONE);
	procs[0].runtime[1] += 10 * MS;
	procs[0].runtime[2] += 20 * MS;
	epoch(1);
	EXPECT(policy.procs[0].preferred, 2);
	return true;
}

static bool needs_twice_as_much_to_move(void)
{
	machine(1);
	process(0, 2, 2);
	epoch(1);
	procs[0].runtime[0] += 16 * MS;
	epoch(1);
	EXPECT(policy.procs[0].preferred, 0);
	/* 8 are left of the 16, 15 are not more than twice that */
	procs[0].runtime[3] += 15 * MS;
	epoch(1);
	EXPECT(policy.procs[0].preferred, 0);
	/* now 4 and 7.5 + 10 */
	procs[0].runtime[3] += 10 * MS;
	epoch(1);
	EXPECT(policy.procs[0].preferred, 3);
	return true;
}

static bool one_thread_is_not_gathered(void)
{
	machine(1);
	process(0, 1, 1);
	epoch(1);
	procs[0].runtime[0] += 10 * MS;
	epoch(1);
	EXPECT(policy.procs[0].preferred, LAND_NONE);
	procs[0].threads = 2;
	procs[0].runtime[0] += 10 * MS;
	epoch(1);
	EXPECT(policy.procs[0].preferred, 0);
	procs[0].threads = 1;
	procs[0].runtime[0] += 10 * MS;
	epoch(1);
	EXPECT(policy.procs[0].preferred, LAND_NONE);
	return true;
}

static bool room_is_four_fifths_strictly(void)
{
	machine(1);
	/* of four CPUs 3.2 threads, strictly less */
	EXPECT(policy_room(&policy, 0), 3276);
	machine(3);
	EXPECT(policy_room(&policy, 0), 9829);
	machine(0);
	EXPECT(policy_room(&policy, 0), -1);
	machine(100);
	EXPECT(policy_room(&policy, 0) > 1000000000, 1);
	machine(1);
	policy.smt = 2;
	EXPECT(policy_room(&policy, 0), 1638);
	return true;
}

static bool more_threads_than_fit_are_refused(void)
{
	int i;

	machine(1);
	process(0, 6, 6);
	for (i = 0; i < 10; i++) {
		procs[0].runtime[0] += 10 * MS;
		epoch(1);
	}
	EXPECT(policy.procs[0].preferred, LAND_NONE);
	machine(3);
	process(0, 6, 6);
	for (i = 0; i < 10; i++) {
		procs[0].runtime[0] += 10 * MS;
		epoch(1);
	}
	EXPECT(policy.procs[0].preferred, 0);
	return true;
}

static bool a_preference_goes_stale(void)
{
	int i;

	machine(1);
	process(0, 2, 2);
	epoch(1);
	procs[0].runtime[1] += 10 * MS;
	epoch(1);
	procs[0].running = 0;
	for (i = 0; i < 5; i++) {
		epoch(1);
		EXPECT(policy.procs[0].preferred, 1);
	}
	epoch(1);
	EXPECT(policy.procs[0].preferred, LAND_NONE);
	return true;
}

/* Three processes of three threads that began in one cache of four CPUs. */
static bool a_crowded_domain_is_left(void)
{
	int i, at, used[4] = {};

	machine(1);
	for (at = 0; at < 3; at++)
		process(at, 3, 3);
	for (i = 0; i < 6; i++) {
		for (at = 0; at < 3; at++)
			procs[at].runtime[policy.procs[at].preferred < 0 ? 0 :
					  policy.procs[at].preferred] += 10 * MS;
		epoch(3);
	}
	for (at = 0; at < 3; at++) {
		EXPECT(policy.procs[at].preferred >= 0, 1);
		EXPECT(used[policy.procs[at].preferred]++, 0);
	}
	return true;
}

/* Two pairs fill a cache of four CPUs; the daemon's turn there made one of them move. */
static bool who_is_awake_for_a_moment_crowds_nobody(void)
{
	int i;

	machine(1);
	process(0, 2, 2);
	process(1, 2, 2);
	process(2, 1, 0);
	for (i = 0; i < 20; i++) {
		procs[0].runtime[1] += 20 * MS;
		procs[1].runtime[1] += 20 * MS;
		procs[2].runtime[1] += MS / 2;
		epoch(3);
	}
	EXPECT(policy.procs[0].preferred, 1);
	EXPECT(policy.procs[1].preferred, 1);
	return true;
}

/* Two pairs fit into one cache: nothing is to be gained by parting them. */
static bool two_that_fit_stay_together(void)
{
	int i;

	machine(1);
	process(0, 2, 2);
	process(1, 2, 2);
	for (i = 0; i < 20; i++) {
		procs[0].runtime[1] += 20 * MS;
		procs[1].runtime[1] += 20 * MS;
		epoch(2);
	}
	EXPECT(policy.procs[0].preferred, 1);
	EXPECT(policy.procs[1].preferred, 1);
	return true;
}

/* Twelve threads on each cache: crowded everywhere, so nobody is sent anywhere. */
static bool nothing_moves_where_all_is_full(void)
{
	int i, at, before[8];

	machine(3);
	for (at = 0; at < 8; at++)
		process(at, 6, 6);
	for (i = 0; i < 30; i++) {
		for (at = 0; at < 8; at++)
			procs[at].runtime[at % 4] += 20 * MS;
		epoch(8);
		for (at = 0; at < 8 && i > 10; at++)
			EXPECT(policy.procs[at].preferred, before[at]);
		for (at = 0; at < 8; at++)
			before[at] = policy.procs[at].preferred;
	}
	EXPECT(before[5], 1);
	return true;
}

static bool a_domain_without_cpus_is_none(void)
{
	machine(1);
	policy.cpus[2] = 0;
	process(0, 2, 2);
	epoch(1);
	procs[0].runtime[2] += 10 * MS;
	epoch(1);
	EXPECT(policy.procs[0].preferred, LAND_NONE);
	return true;
}

static bool an_entry_that_is_taken_again_is_new(void)
{
	machine(1);
	process(0, 2, 2);
	epoch(1);
	procs[0].runtime[1] += 10 * MS;
	epoch(1);
	EXPECT(policy.procs[0].preferred, 1);
	procs[0].tgid = 4711;
	memset(procs[0].runtime, 0, sizeof(procs[0].runtime));
	epoch(1);
	EXPECT(policy.procs[0].preferred, LAND_NONE);
	EXPECT(policy.procs[0].recent[1], 0);
	return true;
}

/* --- order --- */

static const struct policy_params defaults = POLICY_DEFAULTS;

static bool brief_ones_run_first(void)
{
	struct land_task tasks[] = {
		{ .pid = 1, .weight = 100, .burst = 20 * MS, .vtime = 1000 },
		{ .pid = 2, .weight = 100, .burst = 1 * MS, .vtime = 2000 },
		{ .pid = 3, .weight = 1000, .burst = 20 * MS, .vtime = 3000 },
	};

	policy_order(&defaults, tasks, 3);
	EXPECT(tasks[0].pid, 2);
	EXPECT(tasks[1].pid, 3);
	EXPECT(tasks[2].pid, 1);
	return true;
}

/* A task that had more, by more than the cap, is behind. */
static bool nobody_is_passed_for_ever(void)
{
	struct land_task old = { .pid = 1, .weight = 1, .burst = 10000 * MS, .vtime = 1000 * MS };
	struct land_task new = { .pid = 2, .weight = 10000, .burst = 0,
				 .vtime = 1000 * MS + defaults.cap_us * 1000ULL + 1 };

	EXPECT(policy_deadline(&defaults, &old) < policy_deadline(&defaults, &new), 1);
	return true;
}

static bool slices_follow_weight_within_bounds(void)
{
	struct land_task task = { .weight = 100 };

	EXPECT(policy_slice(&defaults, &task), 3 * MS);
	task.weight = 200;
	EXPECT(policy_slice(&defaults, &task), 6 * MS);
	task.weight = 1;
	EXPECT(policy_slice(&defaults, &task), 3 * MS / 4);
	task.weight = 10000;
	EXPECT(policy_slice(&defaults, &task), 12 * MS);
	return true;
}

static bool queues_differ_by_the_parameter_at_most(void)
{
	struct land_task task = { .pid = 1, .domain = 1, .proc = LAND_NONE, .weight = 100 };
	s64 queued[4] = { 0, 2, 1, 1 }, load[4] = {};

	machine(1);
	EXPECT(policy_domain(&policy, &task, queued, load), 1);
	queued[1] = 3;
	EXPECT(policy_domain(&policy, &task, queued, load), 0);
	/* where it may run is not known */
	task.restricted = 1;
	EXPECT(policy_domain(&policy, &task, queued, load), 1);
	task.restricted = 0;
	/* no CPU is left there */
	queued[1] = 0;
	policy.cpus[1] = 0;
	EXPECT(policy_domain(&policy, &task, queued, load), 0);
	return true;
}

/* Five of nice 0 on four CPUs, and three: the fifth has a CPU there, where it had four fifths. */
static bool tasks_go_where_they_get_more(void)
{
	struct land_task task = { .pid = 1, .domain = 0, .proc = LAND_NONE, .worth = 1024 };
	s64 queued[4] = {}, load[4] = { 5 * 1024, 4 * 1024, 3 * 1024, 4 * 1024 };

	machine(1);
	EXPECT(policy_domain(&policy, &task, queued, load), 2);
	/* who weighs more would only carry the load there */
	task.worth = 3 * 1024;
	EXPECT(policy_domain(&policy, &task, queued, load), 0);
	/* by CPU */
	task.worth = 1024;
	policy.cpus[2] = 2;
	EXPECT(policy_domain(&policy, &task, queued, load), 0);
	return true;
}

static bool tasks_go_where_their_process_is_gathered(void)
{
	struct land_task task = { .pid = 1, .tgid = 100, .domain = 1, .proc = 0, .weight = 100 };
	s64 queued[4] = {}, load[4] = {};

	machine(1);
	process(0, 2, 2);
	epoch(1);
	procs[0].runtime[3] += 10 * MS;
	epoch(1);
	EXPECT(policy_domain(&policy, &task, queued, load), 3);
	/* the entry is another's by now */
	task.tgid = 5;
	EXPECT(policy_domain(&policy, &task, queued, load), 1);
	return true;
}

/* --- caches, from files as sysfs has them --- */

static char tree[32];

static bool put(const char *path, const char *text)
{
	char full[512], *at;
	FILE *file;

	snprintf(full, sizeof(full), "%s/sys/devices/system/cpu/%s", tree, path);
	for (at = full + strlen(tree) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		if (mkdir(full, 0700) && errno != EEXIST)
			return wrong("%s: %s", full, strerror(errno));
		*at = '/';
	}
	file = fopen(full, "w");
	if (!file)
		return wrong("%s: %s", full, strerror(errno));
	fprintf(file, "%s\n", text);
	fclose(file);
	return true;
}

static bool put_cache(int cpu, int index, int level, const char *type, const char *shared)
{
	char path[64], text[16];

	snprintf(path, sizeof(path), "cpu%d/cache/index%d/level", cpu, index);
	snprintf(text, sizeof(text), "%d", level);
	if (!put(path, text))
		return false;
	snprintf(path, sizeof(path), "cpu%d/cache/index%d/type", cpu, index);
	if (!put(path, type))
		return false;
	snprintf(path, sizeof(path), "cpu%d/cache/index%d/shared_cpu_list", cpu, index);
	return put(path, shared);
}

/* Two caches of two CPUs that are no neighbours; the last CPU is offline. */
static bool domains_follow_masks(void)
{
	static const char *const shared[] = { "0,2", "1,3", "0,2", "1,3" };
	static struct topology topo;
	char path[64];
	int cpu;

	if (!put("online", "0-3"))
		return false;
	for (cpu = 0; cpu < 4; cpu++) {
		snprintf(path, sizeof(path), "cpu%d/topology/thread_siblings_list", cpu);
		if (!put(path, cpu % 2 ? "1,3" : "0,2") ||
		    !put_cache(cpu, 0, 1, "Data", shared[cpu]) ||
		    !put_cache(cpu, 1, 1, "Instruction", "0-3") ||
		    !put_cache(cpu, 2, 3, "Unified", shared[cpu]))
			return false;
	}
	EXPECT(topology_read(&topo, tree, 5), 0);
	EXPECT(topo.nr_domains, 2);
	EXPECT(topo.domain_of[0], 0);
	EXPECT(topo.domain_of[1], 1);
	EXPECT(topo.domain_of[2], 0);
	EXPECT(topo.domain_of[3], 1);
	EXPECT(topo.domain_of[4], LAND_NONE);
	EXPECT(topo.sibling_of[0], 2);
	EXPECT(topo.sibling_of[4], LAND_NONE);
	EXPECT(topo.cpus[0], 2);
	return true;
}

/* As with SMT off where the threads of a core are neighbours: no list is shortened. */
static bool every_other_cpu(void)
{
	static struct topology topo;
	char list[LAND_MAX_CPUS * 4], path[64];
	int cpu, at = 0;

	for (cpu = 0; cpu < LAND_MAX_CPUS; cpu += 2)
		at += snprintf(list + at, sizeof(list) - at, "%s%d", cpu ? "," : "", cpu);
	if (!put("online", list))
		return false;
	for (cpu = 0; cpu < LAND_MAX_CPUS; cpu += 2) {
		snprintf(path, sizeof(path), "%d", cpu);
		if (!put_cache(cpu, 0, 1, "Data", path) ||
		    !put_cache(cpu, 1, 1, "Instruction", path) ||
		    !put_cache(cpu, 2, 3, "Unified", list))
			return false;
	}
	EXPECT(topology_read(&topo, tree, LAND_MAX_CPUS), 0);
	EXPECT(topo.nr_domains, 1);
	EXPECT(topo.cpus[0], LAND_MAX_CPUS / 2);
	EXPECT(topo.online[LAND_MAX_CPUS - 2], 1);
	EXPECT(topo.domain_of[LAND_MAX_CPUS - 2], 0);
	EXPECT(topo.online[LAND_MAX_CPUS - 1], 0);
	return true;
}

/* What lies above LAND_MAX_CPUS cannot be scheduled by us, and is refused. */
static bool too_many_cpus_are_refused(void)
{
	static struct topology topo;

	EXPECT(topology_read(&topo, tree, LAND_MAX_CPUS + 1), -1);
	EXPECT(errno, E2BIG);
	return true;
}

/* --- streams --- */

struct replay {
	struct land_task batch[4096];
	s64 queued[LAND_MAX_DOMAINS];
	s64 load[LAND_MAX_DOMAINS];
	s32 before[LAND_MAX_PROCS];
	unsigned int nr, next, smt, cpus[LAND_MAX_DOMAINS], nr_cpus;
	bool sorted, in_epoch;
};

static int compared;

/* An epoch is over with the next line that is not of it. */
static void close_epoch(struct replay *r)
{
	unsigned int i;

	if (!r->in_epoch)
		return;
	for (i = 0; i < LAND_MAX_PROCS; i++)
		r->before[i] = policy.procs[i].preferred;
	policy_end(&policy);
	r->in_epoch = false;
}

static bool replay_line(struct replay *r, char *line, int at)
{
	unsigned long long burst, now, length, worth = 0;
	struct land_proc proc = {};
	struct policy_params params;
	struct land_task task = {};
	unsigned int slot, restricted, i;
	char *word, *rest = line;
	int pid, domain, used;

	if (strncmp(line, "proc ", 5) && strncmp(line, "prefer ", 7))
		close_epoch(r);
	if (!strncmp(line, "machine ", 8)) {
		strtok_r(line, " ", &rest);
		r->smt = atoi(strtok_r(NULL, " ", &rest));
		for (r->nr_cpus = 0; (word = strtok_r(NULL, " ", &rest)); r->nr_cpus++)
			r->cpus[r->nr_cpus] = atoi(word);
		return true;
	}
	if (sscanf(line, "params %u %u %u %u %u %u %u", &params.aggr_tolerance, &params.imb_pct,
		   &params.epoch_affinity_timeout, &params.settle, &params.slice_us,
		   &params.cap_us, &params.queue_imbalance) == 7) {
		policy_init(&policy, &params, r->nr_cpus, r->cpus, r->smt);
		return true;
	}
	if (sscanf(line, "epoch %llu", &length) == 1) {
		policy_begin(&policy, length);
		r->in_epoch = true;
		return true;
	}
	if (sscanf(line, "proc %u %u %d %d%n", &slot, &proc.tgid, &proc.threads, &proc.running,
		   &used) == 4 && slot < LAND_MAX_PROCS) {
		for (i = 0, rest = line + used; i < r->nr_cpus; i++)
			proc.runtime[i] = strtoull(rest, &rest, 10);
		policy_account(&policy, slot, &proc);
		return true;
	}
	if (sscanf(line, "prefer %u %d", &slot, &domain) == 2 && slot < LAND_MAX_PROCS) {
		close_epoch(r);
		compared++;
		if (policy.procs[slot].preferred != domain)
			return wrong("line %d: process %u prefers %d, not %d", at, slot,
				     policy.procs[slot].preferred, domain);
		r->before[slot] = domain;
		return true;
	}
	if (!strncmp(line, "queued ", 7)) {
		for (i = 0, rest = line + 7; i < r->nr_cpus; i++)
			r->queued[i] = strtoll(rest, &rest, 10);
		r->nr = 0;
		r->next = 0;
		r->sorted = false;
		return true;
	}
	if (!strncmp(line, "load ", 5)) {
		for (i = 0, rest = line + 5; i < r->nr_cpus; i++)
			r->load[i] = strtoll(rest, &rest, 10);
		return true;
	}
	/* streams of before there was a load have no worth, either */
	if (sscanf(line, "task %d %d %d %d %u %u %llu %llu %llu",
		   &task.pid, &task.tgid, &task.domain,
		   &task.proc, &task.weight, &restricted, &burst, &now, &worth) >= 8 &&
	    r->nr < 4096) {
		task.restricted = restricted;
		task.burst = burst;
		task.vtime = now;
		task.worth = worth;
		r->batch[r->nr++] = task;
		return true;
	}
	if (sscanf(line, "run %d %d %llu", &pid, &domain, &now) == 3) {
		struct land_task *next = &r->batch[r->next++];
		s32 chosen;

		if (!r->sorted)
			policy_order(&policy.params, r->batch, r->nr);
		r->sorted = true;
		if (r->next > r->nr)
			return wrong("line %d: more decisions than tasks", at);
		chosen = policy_domain(&policy, next, r->queued, r->load);
		compared++;
		if (next->pid != pid || chosen != domain ||
		    policy_deadline(&policy.params, next) != now)
			return wrong("line %d: task %d in %d, not %d in %d", at, next->pid, chosen,
				     pid, domain);
		r->queued[chosen]++;
		r->load[next->domain] -= next->worth;
		r->load[chosen] += next->worth;
		return true;
	}
	return wrong("line %d is not understood", at);
}

static bool replay(const char *path)
{
	static struct replay state;
	char line[4096];
	FILE *file = fopen(path, "r");
	bool ok = true;
	int at = 0;

	compared = 0;
	memset(&state, 0, sizeof(state));
	if (!file)
		return wrong("%s: %s", path, strerror(errno));
	while (ok && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		ok = replay_line(&state, line, ++at);
	}
	fclose(file);
	return ok && !compared ? wrong("nothing was decided in it") : ok;
}

static int is_stream(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && !strcmp(dot, ".stream");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		bool (*run)(void);
	} cases[] = {
#define CASE(name) { #name, name }
		CASE(gathers_where_it_runs_most),
		CASE(needs_twice_as_much_to_move),
		CASE(one_thread_is_not_gathered),
		CASE(room_is_four_fifths_strictly),
		CASE(more_threads_than_fit_are_refused),
		CASE(a_preference_goes_stale),
		CASE(a_crowded_domain_is_left),
		CASE(who_is_awake_for_a_moment_crowds_nobody),
		CASE(two_that_fit_stay_together),
		CASE(nothing_moves_where_all_is_full),
		CASE(a_domain_without_cpus_is_none),
		CASE(an_entry_that_is_taken_again_is_new),
		CASE(brief_ones_run_first),
		CASE(nobody_is_passed_for_ever),
		CASE(slices_follow_weight_within_bounds),
		CASE(queues_differ_by_the_parameter_at_most),
		CASE(tasks_go_where_they_get_more),
		CASE(tasks_go_where_their_process_is_gathered),
		CASE(domains_follow_masks),
		CASE(every_other_cpu),
		CASE(too_many_cpus_are_refused),
	};
	int i, nr, count = sizeof(cases) / sizeof(*cases);
	struct dirent **names;
	char path[512];

	if (argc != 2) {
		fprintf(stderr, "usage: policy_test DIRECTORY\n");
		return 2;
	}
	nr = scandir(argv[1], &names, is_stream, alphasort);
	snprintf(tree, sizeof(tree), "/tmp/policy_test.XXXXXX");
	if (nr <= 0 || !mkdtemp(tree)) {
		fprintf(stderr, "policy_test: no streams in %s\n", argv[1]);
		return 2;
	}
	printf("TAP version 13\n1..%d\n", count + nr);
	for (i = 0; i < count; i++)
		result(cases[i].name, cases[i].run());
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "%s/%s", argv[1], names[i]->d_name);
		result(names[i]->d_name, replay(path));
		free(names[i]);
	}
	free(names);
	snprintf(path, sizeof(path), "rm -rf %s", tree);
	if (system(path))
		perror(tree);
	return failed ? 1 : 0;
}
