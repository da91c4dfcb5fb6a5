// SPDX-License-Identifier: GPL-2.0
/*
 * Verdicts: does a change apply to the running kernel, and how do we know?
 */
#include <linux/bug.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/stdarg.h>

#include "uplift.h"

/**
 * uplift_verdict_name - the word for a verdict
 * @kind: the verdict
 *
 * Return: a constant string, as in the file "verdict" and in reports.
 */
const char *uplift_verdict_name(enum uplift_verdict_kind kind)
{
	switch (kind) {
	case UPLIFT_APPLICABLE:
		return "applicable";
	case UPLIFT_NATIVE:
		return "native";
	case UPLIFT_UNAFFECTED:
		return "unaffected";
	case UPLIFT_UNSUPPORTED:
		break;
	}
	return "unsupported";
}
EXPORT_SYMBOL_GPL(uplift_verdict_name);

/**
 * uplift_verdict_errno - with what a module refuses to load
 * @kind: the verdict
 *
 * Return: 0 if the change can be tried, else a negative errno.
 */
int uplift_verdict_errno(enum uplift_verdict_kind kind)
{
	switch (kind) {
	case UPLIFT_APPLICABLE:
		return 0;
	case UPLIFT_NATIVE:
		return -EEXIST;
	case UPLIFT_UNAFFECTED:
		return -ENODEV;
	case UPLIFT_UNSUPPORTED:
		break;
	}
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL_GPL(uplift_verdict_errno);

/**
 * uplift_verdict_add - add a line of evidence
 * @verdict: the verdict, not shown yet
 * @key: what was looked at
 * @fmt: what was seen, printf-style, without a newline
 *
 * A line that no longer fits is left out.
 */
void uplift_verdict_add(struct uplift_verdict *verdict, const char *key, const char *fmt, ...)
{
	char *line = verdict->evidence + verdict->len;
	size_t room = sizeof(verdict->evidence) - verdict->len;
	struct va_format vaf = { .fmt = fmt };
	va_list args;
	size_t len;

	va_start(args, fmt);
	vaf.va = &args;
	len = snprintf(line, room, "%s: %pV\n", key, &vaf);
	va_end(args);

	if (len < room)
		verdict->len += len;
	else
		*line = '\0';
}
EXPORT_SYMBOL_GPL(uplift_verdict_add);
