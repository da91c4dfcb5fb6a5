/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How often a case repeats what it does.
 *
 * An emulated machine with KASAN and lockdep takes thirty times as long as UML,
 * which runs the same cases. There a case comes to each kind of what it tries,
 * and repeats it less often; CONFIG_UPLIFT_KUNIT_LONG (scripts/kunit.py --long)
 * makes it repeat all.
 */
#ifndef UPLIFT_KUNIT_ROUNDS_H
#define UPLIFT_KUNIT_ROUNDS_H

#include <linux/kconfig.h>

#define KUNIT_SHORT	(IS_ENABLED(CONFIG_KASAN) && !IS_ENABLED(CONFIG_UPLIFT_KUNIT_LONG))

/* ROUNDS(n, few): n times, or few where time is short */
#define ROUNDS(n, few)	(KUNIT_SHORT ? (few) : (n))

#endif /* UPLIFT_KUNIT_ROUNDS_H */
