// SPDX-License-Identifier: GPL-2.0
/*
 * Prints the inode numbers of as many pipes as are asked for, one after the other:
 * all of a machine's are different until the kernel's counter has gone round.
 */
#include <sys/stat.h>

#include "test_util.h"

int main(int argc, char **argv)
{
	long left = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
	struct stat stat;
	int fds[2];

	if (left < 1) {
		fprintf(stderr, "usage: ino_seen COUNT\n");
		return 2;
	}
	while (left--) {
		if (pipe(fds) || fstat(fds[0], &stat)) {
			perror("ino_seen: pipe");
			return 1;
		}
		printf("%lu\n", (unsigned long)stat.st_ino);
		close(fds[0]);
		close(fds[1]);
	}
	return 0;
}
