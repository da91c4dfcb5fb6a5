// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation of one operation fails once, in turn: loading a module,
 * switching a file, or reading files.
 *
 * usage: fail_nth load FILE PARAMETERS PATH...
 *	  fail_nth switch PATH FROM TO
 *	  fail_nth read PATH...
 *
 * load: PATH is there while the module is loaded, and at no other time. switch:
 * writes TO to PATH, which holds FROM; where a file stats beside it has a state,
 * that follows. read: a directory stands for all files below it.
 *
 * The kernel fails the n-th allocation (or copy from or to user space) that
 * this task makes, see Documentation/fault-injection; n grows until the
 * operation ends before the n-th. An operation that fails must fail with an
 * error that says so, leave nothing behind, and work when it is tried again.
 *
 * Needs /proc/self/fail-nth (CONFIG_FAULT_INJECTION). FAIL_STEP=N takes every
 * N-th only.
 *
 * Exit: 0 pass, 1 fail, 2 usage.
 */
#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>

#include "test_util.h"

#define FAIL_NTH	"/proc/thread-self/fail-nth"
/* More than any operation here makes; so that a test ends in any case. */
#define SITES_MAX	20000
#define TEXT_MAX	16384

/**
 * struct operation - what is tried again and again
 * @run: do it; returns 0 or -errno
 * @undo: as if it had not been done; NULL if there is nothing to undo
 * @wrong: called after a failure: what was left behind, or NULL
 * @arg: for all of them
 */
struct operation {
	int (*run)(const void *arg);
	int (*undo)(const void *arg);
	const char *(*wrong)(const void *arg);
	const void *arg;
};

static int fail_fd = -1;

static bool arm_fault(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	return pwrite(fail_fd, text, len, 0) == len;
}

/* Did the operation end before its n-th? Disarms. To ask takes a copy to user space. */
static bool fault_is_left(void)
{
	char text[16] = "";
	ssize_t len = pread(fail_fd, text, sizeof(text) - 1, 0);
	bool left = len < 0 || atoi(text);

	while (!arm_fault(0))
		;
	return left;
}

static int complain(const char *what, int n, const char *wrong, int err)
{
	printf("# %s: failure %d: %s (%s)\n", what, n, wrong, err ? strerrorname_np(-err) : "0");
	return -1;
}

/* What is wrong with an operation that failed with @err, or NULL. */
static const char *failed_wrongly(const struct operation *operation, int err, bool left)
{
	if (left)
		return "failed although nothing was made to fail";
	if (err != -ENOMEM && err != -EFAULT)
		return "the wrong error";
	return operation->wrong ? operation->wrong(operation->arg) : NULL;
}

/* Returns at how many places there was a failure; -1 after a line that says what was wrong. */
static int each_failure(const char *what, const struct operation *operation)
{
	int step = getenv("FAIL_STEP") ? atoi(getenv("FAIL_STEP")) : 1;
	int n, ret, failed = 0, survived = 0;
	const char *wrong;
	bool left;

	for (n = 1; n < SITES_MAX; n += step > 0 ? step : 1) {
		if (!arm_fault(n))
			return complain(what, n, "cannot be armed", -errno);
		ret = operation->run(operation->arg);
		left = fault_is_left();
		if (ret) {
			wrong = failed_wrongly(operation, ret, left);
			if (wrong)
				return complain(what, n, wrong, ret);
			failed++;
			continue;
		}
		ret = operation->undo ? operation->undo(operation->arg) : 0;
		if (ret)
			return complain(what, n, "cannot be undone", ret);
		if (left) {
			printf("# %s: %d failures, %d of them without effect\n", what,
			       failed + survived, survived);
			return failed + survived;
		}
		survived++;
	}
	return complain(what, n, "no end", 0);
}

/* --- loading a module --- */

struct module {
	char name[64];
	const char *path;
	const char *args;
	char **shows;		/* paths that are there while it is loaded */
};

static int module_run(const void *arg)
{
	const struct module *module = arg;

	return module_load(module->path, module->args);
}

static int module_undo(const void *arg)
{
	const struct module *module = arg;
	int ret = 0;

	loop_until(30, (ret = module_unload(module->name)) != -EAGAIN);
	return ret;
}

static const char *module_wrong(const void *arg)
{
	const struct module *module = arg;
	char path[PATH_MAX], **shows;

	snprintf(path, sizeof(path), "/sys/module/%s", module->name);
	if (!access(path, F_OK))
		return "the module is there";
	for (shows = module->shows; *shows; shows++)
		if (!access(*shows, F_OK))
			return "its files are there";
	return NULL;
}

/* Does what was said of the module's paths hold while it is loaded? */
static bool module_shows(const struct module *module)
{
	char **shows;
	bool good;

	if (module_run(module))
		return false;
	for (shows = module->shows; *shows && !access(*shows, F_OK); shows++)
		;
	good = !*shows;
	return !module_undo(module) && good && !module_wrong(module);
}

static int fail_load(char **argv)
{
	struct module module = { .path = argv[0], .args = argv[1], .shows = argv + 2 };
	struct operation operation = { module_run, module_undo, module_wrong, &module };
	int ret;

	module_name(module.path, module.name, sizeof(module.name));
	if (!module_shows(&module)) {
		printf("# %s: does not load and unload as it should without any failure\n",
		       module.name);
		return -1;
	}
	ret = each_failure(module.name, &operation);
	return ret ?: complain(module.name, 0, "loads without an allocation", 0);
}

/* --- switching a file --- */

struct file {
	const char *path, *from, *to;
	char stats[PATH_MAX];
};

static bool file_holds(const char *path, const char *word)
{
	char line[64];

	return read_line(path, line, sizeof(line)) && !strcmp(line, word);
}

static int switch_run(const void *arg)
{
	const struct file *file = arg;

	return write_text(file->path, file->to);
}

static int switch_undo(const void *arg)
{
	const struct file *file = arg;
	int ret;

	if (!file_holds(file->path, file->to))
		return -EILSEQ;
	ret = write_text(file->path, file->from);
	return ret ?: file_holds(file->path, file->from) ? 0 : -EILSEQ;
}

/* A switch that fails leaves what was there before at work. */
static const char *switch_wrong(const void *arg)
{
	const struct file *file = arg;
	const char *state, *want = strcmp(file->from, "off") ? "live" : "off";
	char text[2048];

	if (!file_holds(file->path, file->from))
		return "the file does not hold what it did";
	read_text(file->stats, text, sizeof(text));
	state = value_of(text, "state", ':');
	return state && strncmp(state, want, strlen(want)) ? "the hook is not what it was" : NULL;
}

static int fail_switch(char **argv)
{
	struct file file = { .path = argv[0], .from = argv[1], .to = argv[2] };
	struct operation operation = { switch_run, switch_undo, switch_wrong, &file };
	const char *slash = strrchr(file.path, '/');
	char what[PATH_MAX];

	snprintf(file.stats, sizeof(file.stats), "%.*sstats",
		 slash ? (int)(slash - file.path) + 1 : 0, file.path);
	snprintf(what, sizeof(what), "%s: %s to %s", file.path, file.from, file.to);
	return each_failure(what, &operation);
}

/* --- reading files --- */

static int read_run(const void *path)
{
	char buf[TEXT_MAX];
	ssize_t len = read_whole(path, buf, sizeof(buf));

	return len < 0 ? len : 0;
}

static int read_below(const char *path);

static int read_directory(const char *dir)
{
	struct dirent *entry;
	char path[PATH_MAX];
	int files = 0, more = 0;
	DIR *d = opendir(dir);

	while (d && more >= 0 && (entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		more = read_below(path);
		files += more;
	}
	if (d)
		closedir(d);
	return more < 0 ? more : files;
}

/* A file, or every file below a directory; returns how many were read, or -1. */
static int read_below(const char *path)
{
	struct operation operation = { .run = read_run, .arg = path };
	struct stat st;

	if (lstat(path, &st))
		return complain(path, 0, "is not there", -errno);
	if (S_ISDIR(st.st_mode))
		return read_directory(path);
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0400))
		return 0;
	return each_failure(path, &operation) < 0 ? -1 : 1;
}

static int fail_read(char **argv)
{
	int files = 0, more = 0;

	for (; *argv && more >= 0; argv++) {
		more = read_below(*argv);
		files += more;
	}
	if (more < 0)
		return more;
	return files ?: complain("read", 0, "there is no file", 0);
}

/* --- */

/* Failures that the kernel leaves out by itself, and lines in the log about each. */
static void set_up_injection(void)
{
	static const char *const settings[][2] = {
		{ "failslab/verbose", "0" },
		{ "failslab/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_usercopy/verbose", "0" },
	};
	char path[128];
	unsigned int i;

	for (i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s", settings[i][0]);
		write_text(path, settings[i][1]);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int least;		/* arguments that it takes */
		int (*run)(char **argv);
	} operations[] = {
		{ "load", 3, fail_load }, { "switch", 3, fail_switch }, { "read", 1, fail_read },
	};
	unsigned int i;

	for (i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
		if (argc < 2 + operations[i].least || strcmp(argv[1], operations[i].name))
			continue;
		fail_fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
		if (fail_fd < 0) {
			fprintf(stderr, "fail_nth: %s: %s\n", FAIL_NTH, strerror(errno));
			return 1;
		}
		set_up_injection();
		return operations[i].run(argv + 2) < 0 ? 1 : 0;
	}
	fprintf(stderr, "usage: fail_nth load FILE PARAMETERS PATH...\n"
			"       fail_nth switch PATH FROM TO\n"
			"       fail_nth read PATH...\n");
	return 2;
}
