// SPDX-License-Identifier: GPL-2.0
/* Last-level caches of this machine, as sysfs shows them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "topology.h"

#define CPU_DIR	"%s/sys/devices/system/cpu"
#define LEAVES	8
/* The longest list of CPUs: each by its number, with a comma. */
#define LIST	(LAND_MAX_CPUS * 4)

bool first_line(char *text, size_t size, const char *path)
{
	FILE *file = fopen(path, "r");
	bool ok = file && fgets(text, size, file);

	if (file)
		fclose(file);
	if (ok)
		text[strcspn(text, "\n")] = '\0';
	return ok;
}

/* A list as "0-3,8": calls back for each number below LAND_MAX_CPUS. */
static void each_cpu(const char *list, void (*one)(void *arg, unsigned int cpu), void *arg)
{
	while (*list) {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (end == list)
			return;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (; first <= last && first < LAND_MAX_CPUS; first++)
			one(arg, first);
		list = *end == ',' ? end + 1 : end;
	}
}

static void set_online(void *arg, unsigned int cpu)
{
	struct topology *topo = arg;

	if (cpu < topo->nr_cpus)
		topo->online[cpu] = 1;
}

/* The CPUs that share the last level with this one, as text; "" where nothing tells. */
static void last_level(char *list, size_t size, const char *root, unsigned int cpu)
{
	char path[512], text[LIST];
	long best = 0;
	int leaf;

	*list = '\0';
	for (leaf = 0; leaf < LEAVES; leaf++) {
		long level;

		snprintf(path, sizeof(path), CPU_DIR "/cpu%u/cache/index%d/level", root, cpu, leaf);
		if (!first_line(text, sizeof(text), path))
			return;
		level = strtol(text, NULL, 10);
		snprintf(path, sizeof(path), CPU_DIR "/cpu%u/cache/index%d/type", root, cpu, leaf);
		if (level <= best || !first_line(text, sizeof(text), path) ||
		    !strcmp(text, "Instruction"))
			continue;
		snprintf(path, sizeof(path), CPU_DIR "/cpu%u/cache/index%d/shared_cpu_list", root,
			 cpu, leaf);
		if (first_line(text, sizeof(text), path)) {
			best = level;
			snprintf(list, size, "%s", text);
		}
	}
}

struct member {
	struct topology *topo;
	s32 domain;
};

static void join(void *arg, unsigned int cpu)
{
	struct member *member = arg;
	struct topology *topo = member->topo;

	if (cpu >= topo->nr_cpus || topo->domain_of[cpu] != LAND_NONE)
		return;
	topo->domain_of[cpu] = member->domain;
	if (topo->online[cpu])
		topo->cpus[member->domain]++;
}

struct pair {
	struct topology *topo;
	unsigned int cpu;
};

static void sibling(void *arg, unsigned int cpu)
{
	struct pair *pair = arg;

	if (cpu != pair->cpu)
		pair->topo->sibling_of[pair->cpu] = cpu;
}

int topology_read(struct topology *topo, const char *root, unsigned int nr_cpus)
{
	char path[512], list[LIST], alone[16];
	s32 without = LAND_NONE;
	unsigned int cpu;

	if (nr_cpus > LAND_MAX_CPUS) {
		errno = E2BIG;
		return -1;
	}
	memset(topo, 0, sizeof(*topo));
	topo->nr_cpus = nr_cpus;
	for (cpu = 0; cpu < LAND_MAX_CPUS; cpu++) {
		topo->domain_of[cpu] = LAND_NONE;
		topo->sibling_of[cpu] = LAND_NONE;
	}
	snprintf(path, sizeof(path), CPU_DIR "/online", root);
	if (!first_line(list, sizeof(list), path))
		return -1;
	each_cpu(list, set_online, topo);
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		struct member member = { topo, topo->nr_domains };
		struct pair pair = { topo, cpu };

		if (!topo->online[cpu])
			continue;
		snprintf(path, sizeof(path), CPU_DIR "/cpu%u/topology/thread_siblings_list", root,
			 cpu);
		if (first_line(list, sizeof(list), path))
			each_cpu(list, sibling, &pair);
		if (topo->domain_of[cpu] != LAND_NONE)
			continue;
		last_level(list, sizeof(list), root, cpu);
		if (!*list) {
			if (without == LAND_NONE)
				without = topo->nr_domains++;
			member.domain = without;
			snprintf(alone, sizeof(alone), "%u", cpu);
		} else {
			topo->nr_domains++;
		}
		if (topo->nr_domains > LAND_MAX_DOMAINS) {
			errno = E2BIG;
			return -1;
		}
		each_cpu(*list ? list : alone, join, &member);
	}
	if (!topo->nr_domains) {
		errno = ENODEV;
		return -1;
	}
	return 0;
}
