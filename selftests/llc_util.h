/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs of the inspector's tests share: whole files, lists of CPUs,
 * and a JSON parser that finds a value and checks that a text is whole.
 */
#ifndef _LLC_UTIL_H
#define _LLC_UTIL_H

#include "test_util.h"

#define LLC_DIR		"/sys/kernel/debug/uplift/llc"
#define CPU_DIR		"/sys/devices/system/cpu"
#define NODE_DIR	"/sys/devices/system/node"

#define MAX_CPUS	1024
#define LONG_BITS	(8 * sizeof(unsigned long))

struct cpus {
	unsigned long bits[MAX_CPUS / LONG_BITS];
};

static inline bool cpus_has(const struct cpus *cpus, int cpu)
{
	return cpu >= 0 && cpu < MAX_CPUS && cpus->bits[cpu / LONG_BITS] >> cpu % LONG_BITS & 1;
}

static inline void cpus_add(struct cpus *cpus, int cpu)
{
	cpus->bits[cpu / LONG_BITS] |= 1UL << cpu % LONG_BITS;
}

static inline bool cpus_equal(const struct cpus *a, const struct cpus *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static inline bool cpus_empty(const struct cpus *cpus)
{
	static const struct cpus none;

	return cpus_equal(cpus, &none);
}

static inline struct cpus cpus_and(const struct cpus *a, const struct cpus *b)
{
	struct cpus both;
	size_t i;

	for (i = 0; i < MAX_CPUS / LONG_BITS; i++)
		both.bits[i] = a->bits[i] & b->bits[i];
	return both;
}

/* Parses a list of CPUs as the kernel prints it; false if it is not valid. */
static inline bool cpus_parse(const char *text, struct cpus *cpus)
{
	memset(cpus, 0, sizeof(*cpus));
	while (*text && *text != '\n') {
		char *end;
		long first = strtol(text, &end, 10), last = first;

		if (end == text)
			return false;
		if (*end == '-') {
			text = end + 1;
			last = strtol(text, &end, 10);
			if (end == text)
				return false;
		}
		if (first < 0 || last < first || last >= MAX_CPUS)
			return false;
		for (; first <= last; first++)
			cpus_add(cpus, first);
		if (*end == ',')
			end++;
		else if (*end && *end != '\n')
			return false;
		text = end;
	}
	return true;
}

/* A list as text; up to 8 texts may be in use at a time. */
static inline const char *cpus_text(const struct cpus *cpus)
{
	static char texts[8][512];
	static int next;
	char *text = texts[next++ % 8];
	size_t len = 0;
	int cpu, last;

	text[0] = '\0';
	for (cpu = 0; cpu < MAX_CPUS && len < 480; cpu = last + 1) {
		last = cpu;
		if (!cpus_has(cpus, cpu))
			continue;
		while (cpus_has(cpus, last + 1))
			last++;
		len += snprintf(text + len, 512 - len, "%s%d", len ? "," : "", cpu);
		if (last > cpu)
			len += snprintf(text + len, 512 - len, "-%d", last);
	}
	return text;
}

/* All of a file, @step bytes a read, ended by a NUL; NULL and errno. Free it. */
static inline char *read_file_by(const char *path, size_t step, size_t *lenp)
{
	size_t len = 0, size = 65536;
	char *text = malloc(size + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	ssize_t n = 0;

	while (text && fd >= 0) {
		if (len == size) {
			char *more = realloc(text, 2 * size + 1);

			if (!more)
				break;
			text = more;
			size *= 2;
		}
		n = read(fd, text + len, step && step < size - len ? step : size - len);
		if (n <= 0)
			break;
		len += n;
	}
	err = errno;
	if (fd >= 0)
		close(fd);
	if (!text || fd < 0 || n) {
		free(text);
		errno = err;
		return NULL;
	}
	text[len] = '\0';
	if (lenp)
		*lenp = len;
	return text;
}

static inline char *read_file(const char *path)
{
	return read_file_by(path, 0, NULL);
}

/* The same numbers on every machine. */
static inline unsigned int next_random(unsigned int *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static inline const char *json_blank(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static inline const char *json_string(const char *p)
{
	if (*p++ != '"')
		return NULL;
	for (; *p != '"'; p++) {
		if ((unsigned char)*p < ' ')
			return NULL;
		if (*p != '\\')
			continue;
		p++;
		if (*p == 'u') {
			if (strspn(p + 1, "0123456789abcdefABCDEF") < 4)
				return NULL;
			p += 4;
		} else if (!*p || !strchr("\"\\/bfnrt", *p)) {
			return NULL;
		}
	}
	return p + 1;
}

/* The end of the value at @p; NULL if the value is not whole. */
static inline const char *json_skip(const char *p)
{
	char *end;
	char close;

	p = json_blank(p);
	if (*p == '"')
		return json_string(p);
	if (*p != '{' && *p != '[') {
		static const char * const words[] = { "true", "false", "null" };

		for (size_t i = 0; i < 3; i++)
			if (!strncmp(p, words[i], strlen(words[i])))
				return p + strlen(words[i]);
		strtod(p, &end);
		return end == p || strchr("+.iInN", *p) ? NULL : end;
	}
	close = *p == '{' ? '}' : ']';
	p = json_blank(p + 1);
	if (*p == close)
		return p + 1;
	for (;;) {
		if (close == '}') {
			p = json_string(json_blank(p));
			if (!p)
				return NULL;
			p = json_blank(p);
			if (*p++ != ':')
				return NULL;
		}
		p = json_skip(p);
		if (!p)
			return NULL;
		p = json_blank(p);
		if (*p == close)
			return p + 1;
		if (*p++ != ',')
			return NULL;
	}
}

/* Is @text one JSON value and nothing else? */
static inline bool json_whole(const char *text)
{
	const char *end = text ? json_skip(text) : NULL;

	return end && !*json_blank(end);
}

/* The value of @key in the object at @p, which has to be whole; or NULL. */
static inline const char *json_get(const char *p, const char *key)
{
	size_t len = strlen(key);

	p = json_blank(p);
	if (*p != '{')
		return NULL;
	p = json_blank(p + 1);
	while (*p == '"') {
		const char *end = json_string(p), *value = json_blank(json_blank(end) + 1);

		if ((size_t)(end - p) == len + 2 && !strncmp(p + 1, key, len))
			return value;
		p = json_blank(json_skip(value));
		if (*p == ',')
			p = json_blank(p + 1);
	}
	return NULL;
}

/* The first value of the array at @p, and the one after @p in it; or NULL. */
static inline const char *json_first(const char *p)
{
	if (!p || *p != '[')
		return NULL;
	p = json_blank(p + 1);
	return *p == ']' ? NULL : p;
}

static inline const char *json_next(const char *p)
{
	p = json_blank(json_skip(p));
	return *p == ',' ? json_blank(p + 1) : NULL;
}

/* A text without escapes, copied; false where it is none, or null. */
static inline bool json_text(const char *p, char *text, size_t size)
{
	const char *end = p && *p == '"' ? json_string(p) : NULL;

	if (!end || (size_t)(end - p) - 2 >= size)
		return false;
	memcpy(text, p + 1, end - p - 2);
	text[end - p - 2] = '\0';
	return true;
}

static inline bool json_cpus(const char *p, struct cpus *cpus)
{
	char text[4096];

	return json_text(p, text, sizeof(text)) && cpus_parse(text, cpus);
}

/* A number, or -1 where it is none, or null. */
static inline long long json_number(const char *p)
{
	return p && strchr("0123456789-", *p) ? strtoll(p, NULL, 10) : -1;
}

#endif /* _LLC_UTIL_H */
