/* SPDX-License-Identifier: GPL-2.0 */
/* The number that the architecture's topology code has for a last-level cache. */
#ifndef _UPLIFT_COMPAT_TOPOLOGY_H
#define _UPLIFT_COMPAT_TOPOLOGY_H

#include <linux/types.h>

#include <asm/processor.h>

#if defined(UPLIFT_HAVE_X86_PER_CPU_LLC_ID)

/* Since 6.7, a field of cpu_info; all ones where it was not found out. */
static inline s64 compat_topology_llc_id(unsigned int cpu)
{
	u32 id = per_cpu_llc_id(cpu);

	return id == U32_MAX || id == BAD_APICID ? -1 : id;
}

#elif defined(UPLIFT_HAVE_X86_GET_LLC_ID)

/* Before, a variable of its own behind a function. Can go with 6.1. */
static inline s64 compat_topology_llc_id(unsigned int cpu)
{
	u16 id = get_llc_id(cpu);

	return id == U16_MAX ? -1 : id;
}

#else

/* Other architectures have none. */
static inline s64 compat_topology_llc_id(unsigned int cpu)
{
	return -1;
}

#endif

#endif /* _UPLIFT_COMPAT_TOPOLOGY_H */
