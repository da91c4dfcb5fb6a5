/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The arms that a redirected function has, and how often a test switches them:
 * for programs of kselftest's harness.
 *
 * Environment: SWITCHES (1000).
 */
#ifndef _ARM_TEST_H
#define _ARM_TEST_H

#include "kselftest_harness.h"
#include "arm_util.h"
#include "patience.h"

#define WITHIN		60	/* seconds until what has to come counts as lost */

static inline long switches(void)
{
	const char *n = getenv("SWITCHES");

	return n ? atol(n) : 1000;
}

/* The arms that @change offers, found by asking for them; leaves it off. */
static inline int arms_offered(const char *change, const char **arms)
{
	static const char * const all[] = { "off", "null", "new", "batch" };
	int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (!arm_write(change, all[i], strlen(all[i])))
			arms[n++] = all[i];
	if (n)
		arm_set(change, "off");
	return n;
}

#endif /* _ARM_TEST_H */
