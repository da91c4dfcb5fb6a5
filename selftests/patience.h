/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Included after kselftest_harness.h: half a minute, which it gives a test, is
 * not enough with KASAN and lockdep in an emulator that shares its CPU.
 */
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 600	/* seconds */
#endif
