// SPDX-License-Identifier: GPL-2.0
/*
 * One finit_module(), delete_module() or write(), and the errno by its name:
 * insmod programs translate it each in their own way, and busybox's tries twice.
 */
#include "fslist_util.h"

static int write_once(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = -errno;
	close(fd);
	return err;
}

int main(int argc, char **argv)
{
	char args[1024] = "", name[64];
	int i, err;

	if (argc == 4 && !strcmp(argv[1], "write")) {
		err = write_once(argv[2], argv[3]);
		goto out;
	}
	if (argc < 3 || (strcmp(argv[1], "load") && strcmp(argv[1], "unload"))) {
		fprintf(stderr,
			"usage: module_call load FILE [PARAMETER=VALUE]... | unload NAME | write FILE TEXT\n");
		return 2;
	}
	for (i = 3; i < argc; i++) {
		strncat(args, argv[i], sizeof(args) - strlen(args) - 2);
		strcat(args, " ");
	}
	module_name(argv[2], name, sizeof(name));
	err = strcmp(argv[1], "load") ? module_unload(name) : module_load(argv[2], args);
out:
	if (err)
		printf("%s\n", strerrorname_np(-err));
	return err ? 1 : 0;
}
