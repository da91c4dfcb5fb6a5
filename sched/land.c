// SPDX-License-Identifier: GPL-2.0
/*
 * uplift_land: cache-aware scheduling from user space. Decides by policy.c;
 * the rest is the library's.
 *
 * usage: uplift_land [options]; --help lists them
 */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy.h"
#include "uplift_sched.h"

struct land {
	struct policy policy;
	struct policy_params params;
	bool ready, gather;
	u64 last;
	unsigned int cpus[LAND_MAX_DOMAINS];
	s64 queued[LAND_MAX_DOMAINS];
	s64 load[LAND_MAX_DOMAINS];
	FILE *record;
};

static void record_machine(struct land *land, unsigned int smt)
{
	unsigned int i;

	if (!land->record)
		return;
	fprintf(land->record, "machine %u", smt);
	for (i = 0; i < land->policy.nr_domains; i++)
		fprintf(land->record, " %u", land->cpus[i]);
	fprintf(land->record, "\nparams %u %u %u %u %u %u %u\n", land->params.aggr_tolerance,
		land->params.imb_pct, land->params.epoch_affinity_timeout, land->params.settle,
		land->params.slice_us, land->params.cap_us, land->params.queue_imbalance);
}

/* CPUs come and go: what fits changes, what was learnt stays. */
static void look_at_machine(struct usched *s, struct land *land)
{
	unsigned int i, nr = usched_domains(s);

	for (i = 0; i < nr; i++)
		land->cpus[i] = usched_cpus(s, i);
	if (land->ready && land->policy.nr_domains == nr) {
		memcpy(land->policy.cpus, land->cpus, sizeof(land->cpus));
		return;
	}
	policy_init(&land->policy, &land->params, nr, land->cpus, usched_smt(s));
	record_machine(land, usched_smt(s));
	land->ready = true;
}

static s32 land_pick_domain(struct usched *s, const struct land_task *task)
{
	struct land *land = usched_data(s);
	s32 domain = policy_domain(&land->policy, task, land->queued, land->load);

	land->queued[domain]++;
	land->load[task->domain] -= task->worth;
	land->load[domain] += task->worth;
	return domain;
}

static void land_enqueue(struct usched *s, struct land_task *tasks, unsigned int nr)
{
	struct land *land = usched_data(s);
	unsigned int i;

	if (!land->ready)
		look_at_machine(s, land);
	for (i = 0; i < land->policy.nr_domains; i++) {
		land->queued[i] = usched_domain(s, i)->queued;
		land->load[i] = usched_domain(s, i)->load;
	}
	if (land->record) {
		fprintf(land->record, "queued");
		for (i = 0; i < land->policy.nr_domains; i++)
			fprintf(land->record, " %lld", (long long)land->queued[i]);
		fprintf(land->record, "\nload");
		for (i = 0; i < land->policy.nr_domains; i++)
			fprintf(land->record, " %lld", (long long)land->load[i]);
		fputc('\n', land->record);
		for (i = 0; i < nr; i++)
			fprintf(land->record, "task %d %d %d %d %u %u %llu %llu %llu\n",
				tasks[i].pid, tasks[i].tgid, tasks[i].domain, tasks[i].proc,
				tasks[i].weight, tasks[i].restricted,
				(unsigned long long)tasks[i].burst,
				(unsigned long long)tasks[i].vtime,
				(unsigned long long)tasks[i].worth);
	}
	policy_order(&land->params, tasks, nr);
	for (i = 0; i < nr; i++) {
		u64 deadline = policy_deadline(&land->params, &tasks[i]);

		if (land->record) {
			s64 queued[LAND_MAX_DOMAINS];

			memcpy(queued, land->queued, sizeof(queued));
			fprintf(land->record, "run %d %d %llu\n", tasks[i].pid,
				policy_domain(&land->policy, &tasks[i], queued, land->load),
				(unsigned long long)deadline);
		}
		/* there is room for all that come at once */
		usched_dispatch(s, &tasks[i], deadline, policy_slice(&land->params, &tasks[i]));
	}
}

static void land_tick(struct usched *s, u64 now)
{
	struct land *land = usched_data(s);
	unsigned int i;
	int at;

	look_at_machine(s, land);
	if (!land->last)
		land->last = now - POLICY_EPOCH_NS;
	policy_begin(&land->policy, now - land->last);
	if (land->record)
		fprintf(land->record, "epoch %llu\n", (unsigned long long)(now - land->last));
	land->last = now;
	for (at = usched_next_proc(s, 0); at >= 0; at = usched_next_proc(s, at + 1)) {
		struct land_proc proc = *usched_proc(s, at);

		if (!proc.tgid)
			continue;
		if (land->record) {
			fprintf(land->record, "proc %d %u %d %d", at, proc.tgid, proc.threads,
				proc.running);
			for (i = 0; i < land->policy.nr_domains; i++)
				fprintf(land->record, " %llu", (unsigned long long)proc.runtime[i]);
			fputc('\n', land->record);
		}
		policy_account(&land->policy, at, &proc);
	}
	policy_end(&land->policy);
	for (i = 0; land->gather && i < land->policy.nr_active; i++) {
		u32 one = land->policy.active[i];
		s32 preferred = land->policy.procs[one].preferred;

		if (land->record && usched_proc(s, one)->preferred != preferred)
			fprintf(land->record, "prefer %u %d\n", one, preferred);
		usched_gather(s, one, preferred);
	}
}

static void land_exit(struct usched *s, const struct usched_exit *why)
{
	struct land *land = usched_data(s);

	if (land->record)
		fflush(land->record);
	land->ready = false;
}

static const struct usched_ops land_ops = {
	.name = "uplift_land",
	.enqueue = land_enqueue,
	.pick_domain = land_pick_domain,
	.tick = land_tick,
	.exit = land_exit,
	.fair = true,
};

static const char usage[] =
	"usage: uplift_land [options]\n"
	"\n"
	"Keeps each process in one last-level cache, by the rules of cache-aware\n"
	"scheduling, until it is ended by a signal; the kernel's scheduler is back then.\n"
	"\n"
	"  --tolerance N     0 never gathers, 1 to 99 how much, 100 all (1)\n"
	"  --imb-pct N       percent by which domains may differ (20)\n"
	"  --imbalance N     a CPU takes from another domain's queue when more wait (1)\n"
	"  --slice-us N      a turn at nice 0 (3000)\n"
	"  --stall-ms N      the kernel takes over when the daemon is not seen for so long (5000)\n"
	"  --ring-kb N       of the two rings, a power of two (1024)\n"
	"  --status FILE     keep live figures there, as JSON\n"
	"  --record FILE     write what was seen and decided, for the unit tests\n"
	"  --kernel-only     the BPF part decides alone\n"
	"  --naive           every task goes up and wakes the daemon: to compare with\n"
	"  --gaps            measure how long CPUs were idle while tasks were ready\n"
	"  --linger-us N     each switch takes so much longer, for the tests (0)\n"
	"  --no-gather       order only, no domains\n"
	"  --honours         say what of a cgroup's is honoured on this kernel, and end\n"
	"  --verbose         what libbpf and the verifier say\n"
	"\n"
	"exit status: 0 ended, 1 failed or the kernel ended it, 2 usage, 4 no sched_ext here\n";

enum {
	TOLERANCE = 256,
	IMB_PCT,
	IMBALANCE,
	SLICE_US,
	STALL_MS,
	RING_KB,
	STATUS,
	RECORD,
	KERNEL_ONLY,
	NAIVE,
	GAPS,
	LINGER_US,
	NO_GATHER,
	HONOURS,
	VERBOSE,
};

static const struct option words[] = {
	{ "tolerance", required_argument, NULL, TOLERANCE },
	{ "imb-pct", required_argument, NULL, IMB_PCT },
	{ "imbalance", required_argument, NULL, IMBALANCE },
	{ "slice-us", required_argument, NULL, SLICE_US },
	{ "stall-ms", required_argument, NULL, STALL_MS },
	{ "ring-kb", required_argument, NULL, RING_KB },
	{ "status", required_argument, NULL, STATUS },
	{ "record", required_argument, NULL, RECORD },
	{ "kernel-only", no_argument, NULL, KERNEL_ONLY },
	{ "naive", no_argument, NULL, NAIVE },
	{ "gaps", no_argument, NULL, GAPS },
	{ "linger-us", required_argument, NULL, LINGER_US },
	{ "no-gather", no_argument, NULL, NO_GATHER },
	{ "honours", no_argument, NULL, HONOURS },
	{ "verbose", no_argument, NULL, VERBOSE },
	{ "help", no_argument, NULL, 'h' },
	{}
};

/* A whole number within bounds, or the end with status 2. */
static unsigned int within(const char *what, const char *text, unsigned long low,
			   unsigned long high)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || *text == '-' || value < low || value > high) {
		fprintf(stderr, "uplift_land: --%s takes a number from %lu to %lu, not '%s'\n",
			what, low, high, text);
		exit(USCHED_USAGE);
	}
	return value;
}

int main(int argc, char **argv)
{
	static struct land land;
	struct usched_options options = {};
	int opt;

	land.params = (struct policy_params)POLICY_DEFAULTS;
	land.gather = true;
	while ((opt = getopt_long(argc, argv, "h", words, NULL)) != -1) {
		switch (opt) {
		case TOLERANCE:
			land.params.aggr_tolerance = within("tolerance", optarg, 0, 100);
			break;
		case IMB_PCT:
			land.params.imb_pct = within("imb-pct", optarg, 0, 1000);
			break;
		case IMBALANCE:
			options.imbalance = within("imbalance", optarg, 0, 1000) ?: UINT_MAX;
			break;
		case SLICE_US:
			options.slice_us = within("slice-us", optarg, 100, 100000);
			land.params.slice_us = options.slice_us;
			break;
		case STALL_MS:
			/* the kernel's watchdog takes no more than 30 s */
			options.stall_ms = within("stall-ms", optarg, 1000, 30000);
			break;
		case RING_KB:
			options.ring_kb = within("ring-kb", optarg, 4, 65536);
			if (options.ring_kb & (options.ring_kb - 1)) {
				fprintf(stderr, "uplift_land: --ring-kb takes a power of two\n");
				return USCHED_USAGE;
			}
			break;
		case STATUS:
			options.status = optarg;
			break;
		case RECORD:
			land.record = fopen(optarg, "w");
			if (!land.record) {
				fprintf(stderr, "uplift_land: %s cannot be written: %m\n", optarg);
				return USCHED_FAILED;
			}
			break;
		case KERNEL_ONLY:
			options.kernel_only = true;
			land.gather = false;
			break;
		case NAIVE:
			options.naive = true;
			break;
		case GAPS:
			options.gaps = true;
			break;
		case LINGER_US:
			options.linger_us = within("linger-us", optarg, 0, 1000);
			break;
		case NO_GATHER:
			land.gather = false;
			break;
		case HONOURS:
			puts(usched_honours());
			return 0;
		case VERBOSE:
			options.verbose = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fprintf(stderr, "uplift_land: --help lists the options\n");
			return USCHED_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "uplift_land: '%s' is no option: --help lists them\n",
			argv[optind]);
		return USCHED_USAGE;
	}
	return usched_run(&land_ops, &options, &land);
}
