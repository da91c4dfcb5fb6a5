// SPDX-License-Identifier: GPL-2.0
/*
 * A text that grows as it is written. Pure logic.
 *
 * A seq_file renders again from the beginning when its buffer turns out to be
 * too small; what is rendered here is gone when it has been looked at once.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/stdarg.h>
#include <linux/string.h>

#include "llc_text.h"

#define TEXT_FIRST	4096

/* Make room for @more bytes and the zero behind them. */
static bool text_room(struct llc_text *text, size_t more)
{
	size_t size = max_t(size_t, TEXT_FIRST, text->size);
	char *buf;

	if (text->err)
		return false;
	while (size <= text->len + more)
		size *= 2;
	if (size == text->size)
		return true;

	buf = kvmalloc(size, GFP_KERNEL);
	if (!buf) {
		text->err = -ENOMEM;
		return false;
	}
	if (text->buf)
		memcpy(buf, text->buf, text->len + 1);
	else
		buf[0] = '\0';
	kvfree(text->buf);
	text->buf = buf;
	text->size = size;
	return true;
}

/**
 * llc_text_put - add to a text
 * @text: the text
 * @fmt: what to add, printf-style
 *
 * Context: process context, may sleep.
 */
void llc_text_put(struct llc_text *text, const char *fmt, ...)
{
	size_t room;
	va_list args;
	int len;

	if (!text_room(text, 0))
		return;
	room = text->size - text->len;
	va_start(args, fmt);
	len = vsnprintf(text->buf + text->len, room, fmt, args);
	va_end(args);
	if (len >= room) {
		text->buf[text->len] = '\0';
		if (!text_room(text, len))
			return;
		va_start(args, fmt);
		len = vsnprintf(text->buf + text->len, text->size - text->len, fmt, args);
		va_end(args);
	}
	text->len += len;
}

/**
 * llc_text_quote - add a JSON string
 * @text: the text
 * @string: bytes of any kind, as a task's name can have; what is not ASCII is
 *	taken for Latin-1, so that the JSON is valid whatever they are
 *
 * Context: process context, may sleep.
 */
void llc_text_quote(struct llc_text *text, const char *string)
{
	const unsigned char *at;

	llc_text_put(text, "\"");
	for (at = (const unsigned char *)string; *at; at++) {
		if (*at == '"' || *at == '\\')
			llc_text_put(text, "\\%c", *at);
		else if (*at < 0x20 || *at >= 0x7f)
			llc_text_put(text, "\\u%04x", *at);
		else
			llc_text_put(text, "%c", *at);
	}
	llc_text_put(text, "\"");
}

static int compare_values(const void *a, const void *b)
{
	s64 one = *(const s64 *)a, other = *(const s64 *)b;

	return one < other ? -1 : one > other;
}

/**
 * llc_text_unique - sort numbers and drop those that are there twice
 * @values: the numbers
 * @nr: how many
 *
 * Return: how many are left.
 */
unsigned int llc_text_unique(s64 *values, unsigned int nr)
{
	unsigned int i, kept = 0;

	for (i = 1; i < nr; i++) {
		if (values[i - 1] > values[i]) {
			sort(values, nr, sizeof(*values), compare_values, NULL);
			break;
		}
	}
	for (i = 0; i < nr; i++)
		if (!kept || values[i] != values[kept - 1])
			values[kept++] = values[i];
	return kept;
}

/**
 * llc_text_list - add numbers as "0-3,7"
 * @text: the text
 * @values: the numbers, ascending
 * @nr: how many
 * @ranges: whether neighbours become a range, as in a list of CPUs
 *
 * Context: process context, may sleep.
 */
void llc_text_list(struct llc_text *text, const s64 *values, unsigned int nr, bool ranges)
{
	unsigned int i, next;

	for (i = 0; i < nr; i = next) {
		for (next = i + 1; next < nr; next++)
			if (!ranges || values[next] != values[next - 1] + 1)
				break;
		llc_text_put(text, "%s%lld", i ? "," : "", values[i]);
		if (next - i > 1)
			llc_text_put(text, "-%lld", values[next - 1]);
	}
}

/**
 * llc_text_free - free a text
 * @text: the text; empty afterwards
 */
void llc_text_free(struct llc_text *text)
{
	kvfree(text->buf);
	*text = (struct llc_text){};
}
