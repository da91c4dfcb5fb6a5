/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Include after kselftest_harness.h: its limit of half a minute for a test is too
 * short with KASAN and lockdep in an emulator that shares its CPU.
 */
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 600	/* seconds */
#endif
