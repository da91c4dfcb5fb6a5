/* SPDX-License-Identifier: GPL-2.0 */
/* A text that grows as it is written, and pieces of JSON. */
#ifndef _UPLIFT_LLC_TEXT_H
#define _UPLIFT_LLC_TEXT_H

#include <linux/compiler.h>
#include <linux/types.h>

/**
 * struct llc_text - a text that grows
 * @buf: the text, zero-terminated; NULL while empty
 * @len: its length
 * @size: bytes allocated
 * @err: 0, or -ENOMEM once there was no memory; then nothing is added
 *
 * Begins as zeroes.
 */
struct llc_text {
	char *buf;
	size_t len;
	size_t size;
	int err;
};

__printf(2, 3)
void llc_text_put(struct llc_text *text, const char *fmt, ...);
void llc_text_quote(struct llc_text *text, const char *string);
void llc_text_list(struct llc_text *text, const s64 *values, unsigned int nr, bool ranges);
unsigned int llc_text_unique(s64 *values, unsigned int nr);
void llc_text_free(struct llc_text *text);

/* As JSON has it. The kernel's str_true_false() is not in 6.1. */
static inline const char *llc_text_bool(bool value)
{
	static const char * const words[] = { "false", "true" };

	return words[value];
}

#endif /* _UPLIFT_LLC_TEXT_H */
