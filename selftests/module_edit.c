// SPDX-License-Identifier: GPL-2.0
/*
 * Makes a module for another kernel than this one, by writing other words into a
 * copy: another version magic, a symbol that this kernel lacks or has twice. This
 * kernel then refuses it as the other would refuse the original.
 *
 * NEW is not longer than OLD. With -w, and if NEW is shorter, only whole strings
 * are replaced. -c changes the checksum of a symbol (CONFIG_MODVERSIONS): 8 bytes
 * before its name, of which the upper half is zero.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODULE_MAX	(64 << 20)

int main(int argc, char **argv)
{
	size_t size, old_len, new_len, at;
	unsigned int found = 0;
	char *data;
	FILE *file;
	bool whole, only_whole = false, checksum = false;

	if (argc > 1 && !strcmp(argv[1], "-w")) {
		only_whole = true;
		argv++;
		argc--;
	}
	if (argc == 5 && !strcmp(argv[1], "-c")) {
		checksum = true;
		only_whole = true;
		argv++;
	} else if (argc != 5) {
		fprintf(stderr, "usage: module_edit [-w] FROM TO OLD NEW\n"
				"       module_edit -c FROM TO SYMBOL\n");
		return 2;
	}
	old_len = strlen(argv[3]);
	new_len = strlen(argv[checksum ? 3 : 4]);
	if (!old_len || new_len > old_len) {
		fprintf(stderr, "module_edit: '%s' is longer than '%s'\n", argv[4], argv[3]);
		return 2;
	}
	only_whole |= new_len < old_len;
	file = fopen(argv[1], "rb");
	data = malloc(MODULE_MAX);
	size = file && data ? fread(data, 1, MODULE_MAX, file) : 0;
	if (!size || size == MODULE_MAX || fclose(file)) {
		fprintf(stderr, "module_edit: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	for (at = 8; at + old_len < size; at++) {
		whole = !data[at - 1] && !data[at + old_len];
		if (memcmp(data + at, argv[3], old_len) || (only_whole && !whole))
			continue;
		if (checksum) {
			if (!memcmp(data + at - 4, "\0\0\0", 4) &&
			    memcmp(data + at - 8, "\0\0\0", 4)) {
				data[at - 8] ^= 1;
				found++;
			}
			continue;
		}
		memset(data + at, 0, old_len);
		memcpy(data + at, argv[4], new_len);
		found++;
	}
	if (!found) {
		fprintf(stderr, "module_edit: no '%s' in %s\n", argv[3], argv[1]);
		return 1;
	}
	file = fopen(argv[2], "wb");
	if (!file || fwrite(data, 1, size, file) != size || fclose(file)) {
		fprintf(stderr, "module_edit: %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	free(data);
	return 0;
}
