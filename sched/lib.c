// SPDX-License-Identifier: GPL-2.0
/* The plumbing of a scheduler in user space; see uplift_sched.h. */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sched.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "have.h"
#include "uplift_sched.h"
#include "topology.h"
/* wants the types of the above */
#include "sched.skel.h"

#if LIBBPF_MAJOR_VERSION == 1 && LIBBPF_MINOR_VERSION < 3
#error "libbpf 1.3 or newer is needed, as Debian 13 has it"
#endif

#define BATCH		1024
#define EPOCH_NS	(10 * NSEC_PER_MSEC)
#define STATUS_NS	(500 * NSEC_PER_MSEC)
#define LAZY_MS		50	/* the longest sleep: it must stay well below stall_ms */
#define NAME_LEN	32	/* the kernel's SCX_OPS_NAME_LEN is 128 */
#define SCX_DIR		"/sys/kernel/sched_ext"
#define RESTART		0x1000000000000ULL	/* the kernel's SCX_ECODE_ACT_RESTART */

struct usched {
	const struct usched_ops *ops;
	struct usched_options options;
	void *data;
	struct topology topo;
	struct sched_bpf *skel;
	struct bpf_link *link;
	struct ring_buffer *up;
	struct user_ring_buffer *down;
	struct land_proc *procs;
	unsigned int nr;
	bool hotplugged;
	u32 hotplugs, hotplugs_seen;
	/* what reads and writes files: the thread that schedules must not wait for a disk */
	pthread_t clerk;
	pthread_mutex_t clerk_lock;
	pthread_cond_t clerk_ends;
	bool clerk_runs, clerk_stop;
	struct land_task batch[BATCH];
	/* decisions that found no room in the ring, oldest first */
	unsigned int nr_late;
	struct land_decision late[BATCH];
};

static sig_atomic_t stopping;
static char complaint[1024];

static void on_signal(int signal)
{
	__atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
}

static bool is_stopping(void)
{
	return __atomic_load_n(&stopping, __ATOMIC_RELAXED);
}

static u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static void say(const struct usched *s, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", s->ops->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* libbpf's last warning is kept for the one line that a failure gets. */
static bool verbose;

static int on_print(enum libbpf_print_level level, const char *format, va_list args)
{
	if (verbose)
		return vfprintf(stderr, format, args);
	if (level == LIBBPF_WARN && !*complaint)
		vsnprintf(complaint, sizeof(complaint), format, args);
	return 0;
}

/* --- is this the kernel that it was built for? --- */

struct wanted {
	const char *name;
	bool built_in, there;
};

#ifdef HAVE_scx_bpf_kick_cpu
#define BUILT_KICK true
#else
#define BUILT_KICK false
#endif
#ifdef HAVE_scx_bpf_dsq_reenq
#define BUILT_REENQ true
#else
#define BUILT_REENQ false
#endif
#ifdef HAVE_scx_bpf_task_set_slice
#define BUILT_SLICE true
#else
#define BUILT_SLICE false
#endif

/*
 * Says so if it was. A function that the kernel lists and programs cannot call
 * has no tag. It takes as long as loading: asked for where that failed.
 */
static bool built_for_another(struct usched *s)
{
	struct wanted wanted[] = {
		{ "scx_bpf_kick_cpu", BUILT_KICK, false },
		{ "scx_bpf_dsq_reenq", BUILT_REENQ, false },
		{ "scx_bpf_task_set_slice", BUILT_SLICE, false },
	};
	struct btf *btf = btf__load_vmlinux_btf();
	unsigned int i, id;

	if (!btf)
		return false;
	for (id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);
		const char *name;

		if (!btf_is_decl_tag(type) ||
		    strcmp(btf__name_by_offset(btf, type->name_off), "bpf_kfunc"))
			continue;
		type = btf__type_by_id(btf, type->type);
		name = btf__name_by_offset(btf, type->name_off);
		for (i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
			if (!strcmp(name, wanted[i].name))
				wanted[i].there = true;
		}
	}
	btf__free(btf);
	for (i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		if (wanted[i].built_in && !wanted[i].there) {
			say(s, "built for another kernel: %s() cannot be called here: build anew",
			    wanted[i].name);
			return true;
		}
	}
	return false;
}

/* --- loading --- */

static void fill_topology(struct usched *s)
{
	struct sched_bpf__bss *bss = s->skel->bss;
	struct topology *topo = &s->topo;
	unsigned int domain, cpu, n = 0;

	memcpy(bss->domain_of, topo->domain_of, sizeof(bss->domain_of));
	memcpy(bss->sibling_of, topo->sibling_of, sizeof(bss->sibling_of));
	memcpy(bss->cpu_online, topo->online, sizeof(bss->cpu_online));
	/* As the kernel: all are taken for idle until they show that they are not. */
	memcpy(bss->cpu_idle, topo->online, sizeof(bss->cpu_idle));
	for (domain = 0; domain < topo->nr_domains; domain++) {
		bss->domain_first[domain] = n;
		bss->domains[domain].idle = topo->cpus[domain];
		bss->domains[domain].online = topo->cpus[domain];
		for (cpu = 0; cpu < topo->nr_cpus; cpu++) {
			if (topo->domain_of[cpu] == (s32)domain)
				bss->domain_cpus[n++] = cpu;
		}
	}
	bss->domain_first[topo->nr_domains] = n;
	bss->gap_idle = n;
	for (cpu = 0; cpu < topo->nr_cpus; cpu++)
		bss->gap_cpu[cpu] = topo->domain_of[cpu] != LAND_NONE;
}

static int on_task(void *arg, void *data, size_t size)
{
	const struct land_task *task = layout_view(struct land_task, data, size);
	struct usched *s = arg;

	if (!task)
		return 0;
	s->batch[s->nr++] = *task;
	return s->nr == BATCH ? -ENOSPC : 0;
}

/* The skeleton leaves arrays out of the operations' shape. */
static void set_name(struct usched *s)
{
	const struct btf *btf = bpf_object__btf(s->skel->obj);
	int i, id = btf__find_by_name_kind(btf, "sched_ext_ops", BTF_KIND_STRUCT);
	char *ops = bpf_map__initial_value(s->skel->maps.land_ops, &(size_t){ 0 });
	const struct btf_type *type = btf__type_by_id(btf, id);

	for (i = 0; ops && type && i < btf_vlen(type); i++) {
		const struct btf_member *member = btf_members(type) + i;

		if (!strcmp(btf__name_by_offset(btf, member->name_off), "name"))
			snprintf(ops + member->offset / 8, NAME_LEN, "%s", s->ops->name);
	}
}

/* What loading took: the verifier's work is nearly all of it. */
static void say_verified(struct usched *s)
{
	struct bpf_program *program;

	bpf_object__for_each_program(program, s->skel->obj) {
		struct bpf_prog_info info = {};
		u32 size = sizeof(info);

		if (!bpf_prog_get_info_by_fd(bpf_program__fd(program), &info, &size))
			say(s, "%s: %u instructions verified", bpf_program__name(program),
			    info.verified_insns);
	}
}

static int load(struct usched *s)
{
	const struct usched_options *options = &s->options;
	struct bpf_test_run_opts run = { .sz = sizeof(run) };
	u64 hotplug_seq = 0;
	char text[128];
	unsigned int i;
	int err, cpus;

	if (access(SCX_DIR, F_OK)) {
		say(s, "this kernel has no sched_ext (CONFIG_SCHED_CLASS_EXT)");
		return USCHED_SKIPPED;
	}
	if (access("/sys/kernel/btf/vmlinux", F_OK)) {
		say(s, "the kernel shows no type information: CONFIG_DEBUG_INFO_BTF is off");
		return USCHED_SKIPPED;
	}
	if (geteuid()) {
		say(s, "must run as root: it loads BPF programs");
		return USCHED_USAGE;
	}
	if (first_line(text, sizeof(text), SCX_DIR "/root/ops")) {
		say(s, "another scheduler is loaded: %s", text);
		return USCHED_FAILED;
	}
	/* A CPU that comes or goes while we load: the kernel sees that this is not what it was. */
	if (first_line(text, sizeof(text), SCX_DIR "/hotplug_seq"))
		hotplug_seq = strtoull(text, NULL, 10);
	cpus = libbpf_num_possible_cpus();
	if (cpus < 0 || topology_read(&s->topo, "", cpus)) {
		say(s, "the caches of this machine cannot be told: %s",
		    strerror(cpus < 0 ? -cpus : errno));
		return USCHED_FAILED;
	}
	s->skel = sched_bpf__open();
	if (!s->skel) {
		say(s, "the BPF part cannot be opened: %s",
		    *complaint ? complaint : strerror(errno));
		return USCHED_FAILED;
	}
	s->skel->rodata->nr_cpus = cpus;
	s->skel->rodata->nr_domains = s->topo.nr_domains;
	s->skel->rodata->slice_ns = options->slice_us * 1000ULL;
	s->skel->rodata->stall_ns = options->stall_ms * NSEC_PER_MSEC;
	s->skel->rodata->imbalance = options->imbalance;
	s->skel->rodata->kernel_only = options->kernel_only;
	s->skel->rodata->naive = options->naive;
	s->skel->rodata->fair = s->ops->fair;
	s->skel->rodata->measure_gaps = options->gaps;
	s->skel->rodata->linger_ns = options->linger_us * 1000ULL;
	s->skel->struct_ops.land_ops->timeout_ms = options->stall_ms;
	s->skel->struct_ops.land_ops->hotplug_seq = hotplug_seq;
	bpf_map__set_max_entries(s->skel->maps.tasks_up, options->ring_kb * 1024);
	bpf_map__set_max_entries(s->skel->maps.decisions_down, options->ring_kb * 1024);
	set_name(s);
	fill_topology(s);
	err = sched_bpf__load(s->skel);
	if (err) {
		complaint[strcspn(complaint, "\n")] = '\0';
		if (!built_for_another(s))
			say(s, "the kernel does not take the BPF part: %s%s%s; see --verbose",
			    strerror(-err), *complaint ? ": " : "", complaint);
		return USCHED_FAILED;
	}
	if (verbose)
		say_verified(s);
	err = bpf_prog_test_run_opts(bpf_program__fd(s->skel->progs.land_daemon), &run);
	if (err) {
		say(s, "the BPF part does not run: %s", strerror(-err));
		return USCHED_FAILED;
	}
	s->procs = mmap(NULL, sizeof(*s->procs) * LAND_MAX_PROCS, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_POPULATE, bpf_map__fd(s->skel->maps.procs), 0);
	if (s->procs == MAP_FAILED) {
		s->procs = NULL;
		say(s, "the table of processes cannot be mapped: %s", strerror(errno));
		return USCHED_FAILED;
	}
	for (i = 0; i < LAND_MAX_PROCS; i++)
		s->procs[i].preferred = LAND_NONE;
	s->up = ring_buffer__new(bpf_map__fd(s->skel->maps.tasks_up), on_task, s, NULL);
	s->down = user_ring_buffer__new(bpf_map__fd(s->skel->maps.decisions_down), NULL);
	if (!s->up || !s->down) {
		say(s, "the rings cannot be mapped: %s", strerror(errno));
		return USCHED_FAILED;
	}
	/* Who schedules must not wait for a page. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE)) {
		say(s, "memory cannot be locked: %s", strerror(errno));
		return USCHED_FAILED;
	}
	s->link = bpf_map__attach_struct_ops(s->skel->maps.land_ops);
	if (!s->link) {
		complaint[strcspn(complaint, "\n")] = '\0';
		say(s, "the kernel does not take the scheduler: %s", strerror(errno));
		return USCHED_FAILED;
	}
	return USCHED_STOPPED;
}

static void unload(struct usched *s)
{
	if (s->link)
		bpf_link__destroy(s->link);
	if (s->up)
		ring_buffer__free(s->up);
	if (s->down)
		user_ring_buffer__free(s->down);
	if (s->procs)
		munmap(s->procs, sizeof(*s->procs) * LAND_MAX_PROCS);
	munlockall();
}

/* --- status --- */

static const char *const stat_names[LAND_NR_STATS] = {
	[LAND_SAME_CPU] = "same_cpu",
	[LAND_SIBLING] = "sibling",
	[LAND_SAME_DOMAIN] = "same_domain",
	[LAND_OTHER_DOMAIN] = "other_domain",
	[LAND_PASSED_UP] = "passed_up",
	[LAND_DECIDED] = "decided",
	[LAND_STALE] = "stale",
	[LAND_TAKEN] = "taken",
	[LAND_NO_ROOM] = "no_room",
	[LAND_KERNEL] = "kernel",
	[LAND_STOLEN] = "stolen",
	[LAND_GATHERED] = "gathered",
	[LAND_WAKES] = "wakes",
	[LAND_PREEMPTED] = "preempted",
	[LAND_HELD] = "held",
	[LAND_NO_GROUP] = "no_group",
};

/* What is written first, and renamed. Says so if it cannot be written. */
static bool status_path(struct usched *s, char *path, size_t size)
{
	struct stat there;
	FILE *to;

	if (snprintf(path, size, "%s.new", s->options.status) >= (int)size) {
		say(s, "the name of the status file is too long");
		return false;
	}
	/* a device would be replaced, and a directory cannot be */
	if (!stat(s->options.status, &there) && !S_ISREG(there.st_mode)) {
		say(s, "%s is no file: it cannot be replaced by the status", s->options.status);
		return false;
	}
	to = fopen(path, "w");
	if (!to || fclose(to)) {
		say(s, "%s cannot be written: %s", s->options.status, strerror(errno));
		return false;
	}
	unlink(path);
	return true;
}

static void write_status(struct usched *s, bool ended)
{
	struct sched_bpf__bss *bss = s->skel->bss;
	char path[PATH_MAX];
	unsigned int i, j;
	FILE *to;

	if (!s->options.status ||
	    snprintf(path, sizeof(path), "%s.new", s->options.status) >= (int)sizeof(path))
		return;
	to = fopen(path, "w");
	if (!to)
		return;
	fprintf(to, "{\"format\": 1, \"name\": \"%s\", \"pid\": %d, \"running\": %s,", s->ops->name,
		getpid(), ended ? "false" : "true");
	fprintf(to, " \"pending\": %lld, \"gap_ns\": %llu, \"gap_any_ns\": %llu,\n",
		(long long)bss->pending, (unsigned long long)bss->gap_ns,
		(unsigned long long)bss->gap_any_ns);
	fprintf(to, " \"stats\": {");
	for (i = 0; i < LAND_NR_STATS; i++)
		fprintf(to, "%s\"%s\": %llu", i ? ", " : "", stat_names[i],
			(unsigned long long)bss->stats[i]);
	fprintf(to, "},\n \"domains\": [");
	for (i = 0; i < s->topo.nr_domains; i++) {
		struct land_domain *domain = &bss->domains[i];
		const char *comma = "";

		fprintf(to, "%s\n  {\"cpus\": [", i ? "," : "");
		for (j = 0; j < s->topo.nr_cpus; j++) {
			if (s->topo.domain_of[j] == (s32)i) {
				fprintf(to, "%s%u", comma, j);
				comma = ", ";
			}
		}
		fprintf(to, "], \"online\": %d, \"idle\": %d, \"queued\": %lld,", domain->online,
			domain->idle, (long long)domain->queued);
		fprintf(to, " \"in\": %llu, \"out\": %llu, \"runs\": %llu, \"latency\": [",
			(unsigned long long)domain->in, (unsigned long long)domain->out,
			(unsigned long long)domain->runs);
		for (j = 0; j < LAND_BUCKETS; j++)
			fprintf(to, "%s%llu", j ? ", " : "",
				(unsigned long long)domain->latency[j]);
		fprintf(to, "]}");
	}
	fprintf(to, "]}\n");
	if (fclose(to) || rename(path, s->options.status))
		unlink(path);
}

/* --- running --- */

/* A CPU that was offline when we looked at the caches has come: look again, by starting again. */
static bool unknown_cpu(struct usched *s)
{
	struct topology topo;
	unsigned int cpu;

	if (topology_read(&topo, "", s->topo.nr_cpus))
		return false;
	for (cpu = 0; cpu < topo.nr_cpus; cpu++) {
		if (topo.online[cpu] && s->topo.domain_of[cpu] == LAND_NONE)
			return true;
	}
	memcpy(s->topo.online, topo.online, sizeof(topo.online));
	return false;
}

static void look_at_cpus(struct usched *s)
{
	struct sched_bpf__bss *bss = s->skel->bss;
	unsigned int domain;

	if (s->hotplugs == bss->hotplugs)
		return;
	s->hotplugs = bss->hotplugs;
	for (domain = 0; domain < s->topo.nr_domains; domain++) {
		s32 online = bss->domains[domain].online;

		s->topo.cpus[domain] = online > 0 ? online : 0;
	}
}

static void keep_books(struct usched *s)
{
	u32 hotplugs = __atomic_load_n(&s->skel->bss->hotplugs, __ATOMIC_RELAXED);

	if (s->hotplugs_seen != hotplugs) {
		s->hotplugs_seen = hotplugs;
		if (unknown_cpu(s))
			__atomic_store_n(&s->hotplugged, true, __ATOMIC_RELAXED);
	}
	write_status(s, false);
}

static void *clerk(void *arg)
{
	struct usched *s = arg;
	struct timespec until;

	pthread_mutex_lock(&s->clerk_lock);
	while (!s->clerk_stop) {
		pthread_mutex_unlock(&s->clerk_lock);
		keep_books(s);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += STATUS_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_mutex_lock(&s->clerk_lock);
		if (!s->clerk_stop)
			pthread_cond_timedwait(&s->clerk_ends, &s->clerk_lock, &until);
	}
	pthread_mutex_unlock(&s->clerk_lock);
	return NULL;
}

/* Without it, as where no thread can be had, all goes on but for the status and CPUs that come. */
static void start_clerk(struct usched *s)
{
	pthread_mutex_init(&s->clerk_lock, NULL);
	pthread_cond_init(&s->clerk_ends, NULL);
	s->clerk_stop = false;
	s->clerk_runs = !pthread_create(&s->clerk, NULL, clerk, s);
	if (!s->clerk_runs)
		say(s, "no thread for the status: it is not written");
}

static void stop_clerk(struct usched *s)
{
	if (!s->clerk_runs)
		return;
	pthread_mutex_lock(&s->clerk_lock);
	s->clerk_stop = true;
	pthread_cond_signal(&s->clerk_ends);
	pthread_mutex_unlock(&s->clerk_lock);
	pthread_join(s->clerk, NULL);
	s->clerk_runs = false;
}

static bool send(struct usched *s, const struct land_decision *what)
{
	struct land_decision *slot = user_ring_buffer__reserve(s->down, sizeof(*slot));

	if (!slot)
		return false;
	*slot = *what;
	user_ring_buffer__submit(s->down, slot);
	return true;
}

/* True once nothing is left over; CPUs that look for work make room. */
static bool send_late(struct usched *s)
{
	unsigned int sent = 0;

	while (sent < s->nr_late && send(s, &s->late[sent]))
		sent++;
	s->nr_late -= sent;
	memmove(s->late, s->late + sent, s->nr_late * sizeof(*s->late));
	return !s->nr_late;
}

static void loop(struct usched *s)
{
	u64 now, tick_at = 0, ran = 0, before = 0;
	int fd = ring_buffer__epoll_fd(s->up), sleep_ms = 10;
	struct sched_bpf__bss *bss = s->skel->bss;
	struct ring *ring = ring_buffer__ring(s->up, 0);
	struct epoll_event event;
	unsigned int i;
	bool late;
	s64 busy;

	while (!is_stopping() && !__atomic_load_n(&s->hotplugged, __ATOMIC_RELAXED) &&
	       !bss->exit_kind) {
		__atomic_fetch_add(&bss->daemon_beats, 1, __ATOMIC_RELAXED);
		s->nr = 0;
		/* Tasks stay in their ring while decisions do not get into theirs. */
		late = !send_late(s);
		if (!late)
			ring_buffer__consume(s->up);
		if (s->nr)
			s->ops->enqueue(s, s->batch, s->nr);
		now = now_ns();
		if (now >= tick_at) {
			tick_at = now + EPOCH_NS;
			look_at_cpus(s);
			if (s->ops->tick)
				s->ops->tick(s, now);
			for (i = 0, ran = 0, busy = 0; i < s->topo.nr_domains; i++) {
				ran += bss->domains[i].runs;
				busy += bss->domains[i].online - bss->domains[i].idle;
			}
			/*
			 * Nothing but ourselves: look less often. A thread that computes
			 * all the time begins no turns, and is seen by its CPU.
			 */
			sleep_ms = busy > 1 || ran - before > 4 ? 10 : sleep_ms * 2;
			sleep_ms = sleep_ms > LAZY_MS ? LAZY_MS : sleep_ms;
			before = ran;
		}
		if (late || bss->nr_kicks > 0 || (s->nr && !s->options.naive)) {
			/* Held by the BPF part until a CPU has nothing else to do. */
			sched_yield();
			continue;
		}
		__atomic_store_n(&bss->daemon_sleeps, 1, __ATOMIC_SEQ_CST);
		/* a task that came before that wakes nobody */
		if (!ring__avail_data_size(ring) &&
		    __atomic_load_n(&bss->nr_kicks, __ATOMIC_SEQ_CST) <= 0)
			epoll_wait(fd, &event, 1, sleep_ms);
		__atomic_store_n(&bss->daemon_sleeps, 0, __ATOMIC_SEQ_CST);
	}
}

static int finish(struct usched *s)
{
	struct sched_bpf__bss *bss = s->skel->bss;
	struct usched_exit why = { USCHED_STOPPED, 0, "", "" };

	/* An unload by us ends with a kind of its own, and no message. */
	if (bss->exit_kind && !is_stopping() && bss->exit_code & RESTART) {
		s->hotplugged = true;
	} else if (bss->exit_kind && !is_stopping()) {
		why.end = USCHED_FAILED;
		why.code = bss->exit_code;
		why.reason = bss->exit_reason;
		why.message = bss->exit_message;
	}
	bpf_link__destroy(s->link);
	s->link = NULL;
	stop_clerk(s);
	write_status(s, true);
	if (why.end == USCHED_FAILED)
		say(s, "the kernel ended it: %s%s%s", why.reason, *why.message ? ": " : "",
		    why.message);
	if (s->ops->exit)
		s->ops->exit(s, &why);
	return why.end;
}

int usched_run(const struct usched_ops *ops, const struct usched_options *options, void *data)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct usched *s = calloc(1, sizeof(*s));
	char path[PATH_MAX];
	int end;

	if (!s) {
		fprintf(stderr, "%s: no memory\n", ops->name);
		return USCHED_FAILED;
	}
	s->ops = ops;
	s->data = data;
	if (options)
		s->options = *options;
	s->options.slice_us = s->options.slice_us ?: 3000;
	s->options.stall_ms = s->options.stall_ms ?: 5000;
	s->options.ring_kb = s->options.ring_kb ?: 1024;
	s->options.imbalance = s->options.imbalance == UINT_MAX ? 0 : s->options.imbalance ?: 1;
	verbose = s->options.verbose;
	libbpf_set_print(on_print);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	if (s->options.status && !status_path(s, path, sizeof(path))) {
		free(s);
		return USCHED_USAGE;
	}
	do {
		s->hotplugged = false;
		s->hotplugs = 0;
		s->hotplugs_seen = 0;
		s->nr_late = 0;
		end = load(s);
		if (end == USCHED_STOPPED) {
			start_clerk(s);
			loop(s);
			end = finish(s);
		}
		unload(s);
		sched_bpf__destroy(s->skel);
		s->skel = NULL;
		s->up = NULL;
		s->down = NULL;
		s->procs = NULL;
		s->link = NULL;
	} while (end == USCHED_STOPPED && s->hotplugged && !is_stopping());
	free(s);
	return end;
}

const char *usched_honours(void)
{
#ifdef HAVE_OPS_cgroup_set_bandwidth
	return "cpu.weight cpu.max";
#elif defined(HAVE_OPS_cgroup_init)
	return "cpu.weight";
#else
	return "";
#endif
}

void usched_stop(struct usched *s)
{
	__atomic_store_n(&stopping, 1, __ATOMIC_RELAXED);
}

void *usched_data(struct usched *s)
{
	return s->data;
}

bool usched_dispatch(struct usched *s, const struct land_task *task, u64 deadline, u64 slice)
{
	struct land_decision what = {
		.pid = task->pid,
		.seq = task->seq,
		.deadline = deadline,
		.slice = slice ?: s->options.slice_us * 1000ULL,
	};

	if (s->nr_late == BATCH)
		return false;
	what.domain = s->ops->pick_domain ? s->ops->pick_domain(s, task) : task->domain;
	if (s->nr_late || !send(s, &what))
		s->late[s->nr_late++] = what;
	return true;
}

unsigned int usched_domains(struct usched *s)
{
	return s->topo.nr_domains;
}

unsigned int usched_cpus(struct usched *s, unsigned int domain)
{
	return s->topo.cpus[domain];
}

unsigned int usched_smt(struct usched *s)
{
	unsigned int cpu;

	for (cpu = 0; cpu < s->topo.nr_cpus; cpu++) {
		if (s->topo.sibling_of[cpu] != LAND_NONE)
			return 2;
	}
	return 1;
}

const struct land_domain *usched_domain(struct usched *s, unsigned int domain)
{
	return &s->skel->bss->domains[domain];
}

int usched_next_proc(struct usched *s, unsigned int at)
{
	while (at < LAND_MAX_PROCS) {
		u64 word = s->skel->bss->procs_used[at / 64] >> at % 64;

		if (word)
			return at + __builtin_ctzll(word);
		at = (at / 64 + 1) * 64;
	}
	return -1;
}

struct land_proc *usched_proc(struct usched *s, unsigned int at)
{
	return &s->procs[at];
}

void usched_gather(struct usched *s, unsigned int at, s32 domain)
{
	__atomic_store_n(&s->procs[at].preferred, domain, __ATOMIC_RELAXED);
}
