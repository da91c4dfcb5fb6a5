/* SPDX-License-Identifier: GPL-2.0 */
/* Last-level caches of this machine, as sysfs shows them. */
#ifndef _UPLIFT_SCHED_TOPOLOGY_H
#define _UPLIFT_SCHED_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>

#include "shared.h"

/**
 * struct topology - which CPUs share a cache
 * @nr_cpus: CPUs have numbers below that
 * @nr_domains: of caches
 * @domain_of: by CPU; LAND_NONE for one that is offline, whose caches nobody tells
 * @sibling_of: by CPU: another thread of its core, or LAND_NONE
 * @online: by CPU
 * @cpus: by domain: how many CPUs of it are online
 */
struct topology {
	unsigned int nr_cpus;
	unsigned int nr_domains;
	s32 domain_of[LAND_MAX_CPUS];
	s32 sibling_of[LAND_MAX_CPUS];
	u8 online[LAND_MAX_CPUS];
	unsigned int cpus[LAND_MAX_DOMAINS];
};

/**
 * topology_read - read it
 * @topo: where to
 * @root: of the tree with sys/devices/system in it: "" on a machine
 * @nr_cpus: possible CPUs
 *
 * CPUs belong together where the mask of the last level of data cache says so:
 * ids differ between sources. Those without a cache form one domain.
 *
 * Return: 0, or -1 with errno set: E2BIG where there are more than we know.
 */
int topology_read(struct topology *topo, const char *root, unsigned int nr_cpus);

/**
 * first_line - read the first line of a file, without its end
 * @text: where to
 * @size: of @text
 * @path: of the file
 *
 * Return: whether it could be read.
 */
bool first_line(char *text, size_t size, const char *path);

#endif /* _UPLIFT_SCHED_TOPOLOGY_H */
