// SPDX-License-Identifier: GPL-2.0
/*
 * One finit_module(), delete_module() or write(), and the errno by its name:
 * each insmod program words an error differently, and busybox's tries twice.
 */
#include "test_util.h"

int main(int argc, char **argv)
{
	char args[1024] = "", name[64];
	int err;

	if (argc == 4 && !strcmp(argv[1], "write")) {
		err = write_text(argv[2], argv[3]);
		goto out;
	}
	if (argc < 3 || (strcmp(argv[1], "load") && strcmp(argv[1], "unload"))) {
		fprintf(stderr,
			"usage: module_call load FILE [PARAMETER=VALUE]... | unload NAME | write FILE TEXT\n");
		return 2;
	}
	if (!module_args(argv + 3, args, sizeof(args))) {
		fprintf(stderr, "module_call: more than %zu bytes of parameters\n", sizeof(args));
		return 2;
	}
	module_name(argv[2], name, sizeof(name));
	err = strcmp(argv[1], "load") ? module_unload(name) : module_load(argv[2], args);
out:
	if (err)
		printf("%s\n", strerrorname_np(-err));
	return err ? 1 : 0;
}
