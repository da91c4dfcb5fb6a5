// SPDX-License-Identifier: GPL-2.0
/*
 * Walks files, and prints which users can read and write each: root, nobody, and
 * root of a user namespace that nobody made.
 *
 * usage: privilege PATH...
 *
 * A line for each file: PATH MODE UID:GID ROOT NOBODY NAMESPACE, the last three
 * of r, w, rw and -. What can be read is searched for addresses of the kernel
 * by whomever could read it; one is an error, and said on standard error.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY	65534

enum who { ROOT, NOBODY_AT_ALL, NAMESPACE, USERS };

static const char *const who_names[] = { "root", "nobody", "root of a namespace" };
static int bad;

/* Sixteen digits of which the upper half of the address space begins. */
static bool has_address(const char *text, size_t len)
{
	size_t i, digits;

	for (i = 0; i < len; i += digits ?: 1) {
		for (digits = 0; i + digits < len && isxdigit((unsigned char)text[i + digits]);)
			digits++;
		if (digits == 16 && !strncasecmp(text + i, "ffff", 4) &&
		    strncasecmp(text + i, "ffffffffffffffff", 16))
			return true;
	}
	return false;
}

static void become(enum who who)
{
	if (who == ROOT)
		return;
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		_exit(4);
	if (who == NAMESPACE && unshare(CLONE_NEWUSER))
		_exit(8);	/* not allowed here: nothing more than nobody */
}

/*
 * Returns bit 0 for reading, bit 1 for writing, bit 2 for an address. Root can
 * open anything; it can write where there is something that takes it.
 */
static int look(const char *path, bool meant_to_be_written)
{
	static char text[1 << 20];
	size_t len = 0;
	int can = 0, fd;
	ssize_t n;

	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		while (len < sizeof(text) && (n = read(fd, text + len, sizeof(text) - len)) > 0)
			len += n;
		can |= 1 | (has_address(text, len) ? 4 : 0);
		close(fd);
	}
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (meant_to_be_written || write(fd, "0", 1) >= 0)
			can |= 2;
		close(fd);
	}
	return can;
}

static int look_as(const char *path, mode_t mode, enum who who)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		become(who);
		_exit(0x10 | look(path, who != ROOT || mode & 0222));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
		perror("privilege");
		exit(1);
	}
	if (WEXITSTATUS(status) == 8)
		return 0;
	if (!(WEXITSTATUS(status) & 0x10)) {
		fprintf(stderr, "privilege: cannot become %s: needs root\n", who_names[who]);
		exit(1);
	}
	return WEXITSTATUS(status) & 0xf;
}

static void tell(const char *path, const struct stat *st)
{
	static const char *const words[] = { "-", "r", "w", "rw" };
	const char *can[USERS];
	enum who who;
	int found;

	for (who = ROOT; who < USERS; who++) {
		found = look_as(path, st->st_mode, who);
		can[who] = words[found & 3];
		if (found & 4) {
			fprintf(stderr, "%s: %s reads an address of the kernel\n", path,
				who_names[who]);
			bad = 1;
		}
	}
	printf("%s %04o %u:%u %s %s %s\n", path, st->st_mode & 07777, st->st_uid, st->st_gid,
	       can[ROOT], can[NOBODY_AT_ALL], can[NAMESPACE]);
}

static void walk(const char *path)
{
	char below[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	if (lstat(path, &st)) {
		fprintf(stderr, "privilege: %s: %s\n", path, strerror(errno));
		bad = 1;
		return;
	}
	if (S_ISREG(st.st_mode))
		tell(path, &st);
	dir = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
	while (dir && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		walk(below);
	}
	if (dir)
		closedir(dir);
}

int main(int argc, char **argv)
{
	int i;

	if (argc < 2) {
		fprintf(stderr, "usage: privilege PATH...\n");
		return 2;
	}
	for (i = 1; i < argc; i++) {
		walk(argv[i]);
		fflush(stdout);
	}
	return bad;
}
