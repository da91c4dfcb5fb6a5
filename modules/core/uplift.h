/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What uplift.ko gives to the modules that stand on it: addresses of symbols
 * that the kernel does not export, and verdicts. How a module registers its
 * change is in change.h.
 */
#ifndef _UPLIFT_H
#define _UPLIFT_H

#include <linux/compiler.h>
#include <linux/types.h>

struct module;

struct module *uplift_module_get(const char *name);
int uplift_resolve(const char *name, unsigned long *addr);
int uplift_bind(const char *change, const char *name, unsigned long *addr);
int uplift_calls_in(const char *function, const void *callee);
int uplift_btf_check(const char *change, size_t size, u32 crc);

/**
 * enum uplift_verdict_kind - does a change apply to the running kernel?
 * @UPLIFT_UNSUPPORTED: it would apply, but cannot be tried here
 * @UPLIFT_APPLICABLE: the kernel lacks it
 * @UPLIFT_NATIVE: the kernel has it
 * @UPLIFT_UNAFFECTED: the kernel never had the fault that it mends
 */
enum uplift_verdict_kind {
	UPLIFT_UNSUPPORTED,
	UPLIFT_APPLICABLE,
	UPLIFT_NATIVE,
	UPLIFT_UNAFFECTED,
};

#define UPLIFT_EVIDENCE_SIZE	1024

/**
 * struct uplift_verdict - a verdict and what it was concluded from
 * @kind: the verdict
 * @why: for the line in the log, where the verdict refuses
 * @len: bytes used of @evidence
 * @evidence: lines "key: value", cut at a line's end when full
 */
struct uplift_verdict {
	enum uplift_verdict_kind kind;
	const char *why;
	size_t len;
	char evidence[UPLIFT_EVIDENCE_SIZE];
};

const char *uplift_verdict_name(enum uplift_verdict_kind kind);
int uplift_verdict_errno(enum uplift_verdict_kind kind);
__printf(3, 4)
void uplift_verdict_add(struct uplift_verdict *verdict, const char *key, const char *fmt, ...);

#endif /* _UPLIFT_H */
