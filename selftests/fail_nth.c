// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation on every path fails once, in turn: loading each module,
 * switching each arm, opening and reading each file.
 *
 * The kernel fails the n-th allocation (or copy from or to user space) that
 * this task makes, see Documentation/fault-injection; n grows until the
 * operation is over before the n-th. Whatever fails must fail with an error that
 * says so, leave nothing behind, and work when it is tried again.
 *
 * Wants /proc/self/fail-nth (CONFIG_FAULT_INJECTION) and the modules in
 * UPLIFT_KO_DIR. FAIL_STEP=N takes every N-th only; FAIL_ONLY=NAME one test.
 */
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "fslist_util.h"
#include "patience.h"

#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define DEBUG		"/sys/kernel/debug"
#define UPLIFT		DEBUG "/uplift"
/* More than any operation here takes; so that a test ends in any case. */
#define SITES_MAX	20000
#define TIMEOUT		3600

/**
 * struct operation - what is tried again and again
 * @run: do it; returns 0 or -errno
 * @undo: as if it had not been done
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

/* Says what was wrong, if anything was; returns at how many places there was a failure, or -1. */
static int each_failure(const char *what, const struct operation *operation)
{
	int step = getenv("FAIL_STEP") ? atoi(getenv("FAIL_STEP")) : 1;
	int n, ret, failed = 0, survived = 0;
	const char *wrong;
	bool left;

	for (n = 1; n < SITES_MAX; n += step > 0 ? step : 1) {
		if (!arm_fault(n))
			return -1;
		ret = operation->run(operation->arg);
		left = fault_is_left();
		if (ret) {
			wrong = left ? "failed although nothing was made to fail" :
				ret != -ENOMEM && ret != -EFAULT ? "the wrong error" :
				operation->wrong ? operation->wrong(operation->arg) : NULL;
			if (wrong) {
				ksft_print_msg("%s: failure %d: %s (%s)\n", what, n, wrong,
					       strerrorname_np(-ret));
				return -1;
			}
			failed++;
			continue;
		}
		ret = operation->undo ? operation->undo(operation->arg) : 0;
		if (ret) {
			ksft_print_msg("%s: failure %d: cannot be undone (%s)\n", what, n,
				       strerrorname_np(-ret));
			return -1;
		}
		if (left) {
			ksft_print_msg("%s: %d failures, %d of them without effect\n", what,
				       failed + survived, survived);
			return failed + survived;
		}
		survived++;
	}
	ksft_print_msg("%s: no end after %d\n", what, n);
	return -1;
}

/* --- modules --- */

struct module {
	char path[PATH_MAX];
	const char *name;
	const char *args;
	const char *shows;	/* a file that is there while it is loaded, and no longer */
};

static int module_run(const void *arg)
{
	const struct module *module = arg;

	return module_load(module->path, module->args);
}

static int unload_patiently(const char *name)
{
	int ret = 0;

	loop_until(30, (ret = module_unload(name)) != -EAGAIN && ret != -EWOULDBLOCK);
	return ret;
}

static int module_undo(const void *arg)
{
	return unload_patiently(((const struct module *)arg)->name);
}

static const char *module_wrong(const void *arg)
{
	const struct module *module = arg;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/module/%s", module->name);
	if (!access(path, F_OK))
		return "the module is there";
	return !access(module->shows, F_OK) ? "its files are there" : NULL;
}

/* Returns false if there is no such file, or if it cannot be used with this kernel. */
static bool module_init(struct module *module, const char *name, const char *args,
			const char *shows)
{
	const char *dir = getenv("UPLIFT_KO_DIR");

	module->name = name;
	module->args = args;
	module->shows = shows;
	snprintf(module->path, sizeof(module->path), "%s/%s.ko", dir ?: "/modules", name);
	return !access(module->path, R_OK);
}

/* With what a module refuses a kernel that has its change, cannot have it, or never needed it. */
static bool has_no_use(int err)
{
	return err == -EEXIST || err == -EOPNOTSUPP || err == -ENODEV;
}

static void unload_all(void)
{
	static const char *const names[] = { "uplift_llc", "uplift_pipepoll", "uplift_iomap",
					     "uplift_epoll", "uplift_fslist", "uplift_livepatch",
					     "uplift" };
	unsigned int i;

	write_text(UPLIFT "/epoll/arm", "off");
	write_text(UPLIFT "/iomap/arm", "off");
	write_text(UPLIFT "/pipepoll/arm", "off");
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		unload_patiently(names[i]);
}

FIXTURE(fail) {
	struct module core;
};

FIXTURE_SETUP(fail)
{
	const char *const settings[][2] = {
		{ DEBUG "/failslab/verbose", "0" },
		{ DEBUG "/failslab/ignore-gfp-wait", "N" },
		{ DEBUG "/fail_page_alloc/verbose", "0" },
		{ DEBUG "/fail_page_alloc/ignore-gfp-wait", "N" },
		{ DEBUG "/fail_page_alloc/ignore-gfp-highmem", "N" },
		{ DEBUG "/fail_page_alloc/min-order", "0" },
		{ DEBUG "/fail_usercopy/verbose", "0" },
	};
	unsigned int i;

	if (geteuid())
		SKIP(return, "needs root");
	fail_fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	if (fail_fd < 0)
		SKIP(return, "no " FAIL_NTH ": CONFIG_FAULT_INJECTION and CONFIG_FAILSLAB");
	if (!module_init(&self->core, "uplift", "", UPLIFT))
		SKIP(return, "no uplift.ko in %s: set UPLIFT_KO_DIR",
		     getenv("UPLIFT_KO_DIR") ?: "/modules");
	for (i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		write_text(settings[i][0], settings[i][1]);
	unload_all();
}

FIXTURE_TEARDOWN(fail)
{
	unload_all();
	close(fail_fd);
}

TEST_F_TIMEOUT(fail, load_core, TIMEOUT)
{
	struct operation operation = { module_run, module_undo, module_wrong, &self->core };

	EXPECT_LT(0, each_failure("uplift.ko", &operation));
}

/* A module other than uplift.ko, which it stands on. */
static void load_change(struct __test_metadata *_metadata, const struct module *core,
			const char *name, const char *args, const char *shows)
{
	struct module change;
	struct operation operation = { module_run, module_undo, module_wrong, &change };
	int ret;

	if (!module_init(&change, name, args, shows))
		SKIP(return, "no %s.ko", name);
	ASSERT_EQ(0, module_run(core));
	ret = module_run(&change);
	if (has_no_use(ret))
		SKIP(return, "%s.ko refuses: not applicable here", name);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, module_undo(&change));
	EXPECT_LT(0, each_failure(name, &operation));
}

TEST_F_TIMEOUT(fail, load_fslist, TIMEOUT)
{
	load_change(_metadata, &self->core, "uplift_fslist", "", FSLIST_CACHED);
}

TEST_F_TIMEOUT(fail, load_epoll, TIMEOUT)
{
	load_change(_metadata, &self->core, "uplift_epoll", "", UPLIFT "/epoll");
}

TEST_F_TIMEOUT(fail, load_iomap, TIMEOUT)
{
	load_change(_metadata, &self->core, "uplift_iomap", "scripts=3", UPLIFT "/iomap");
}

TEST_F_TIMEOUT(fail, load_llc, TIMEOUT)
{
	load_change(_metadata, &self->core, "uplift_llc", "", UPLIFT "/llc");
}

TEST_F_TIMEOUT(fail, load_pipepoll, TIMEOUT)
{
	load_change(_metadata, &self->core, "uplift_pipepoll", "", UPLIFT "/pipepoll");
}

/* --- arms --- */

struct change {
	char arm[128];		/* the file */
	char stats[128];
	const char *from;
	const char *to;
};

static const char *arm_is(const struct change *change, char *buf, size_t size)
{
	ssize_t len = read_whole(change->arm, buf, size - 1);

	buf[len < 0 ? 0 : len] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

static int arm_run(const void *arg)
{
	const struct change *change = arg;

	return write_text(change->arm, change->to);
}

static int arm_undo(const void *arg)
{
	const struct change *change = arg;
	char now[16];
	int ret;

	if (strcmp(arm_is(change, now, sizeof(now)), change->to))
		return -EILSEQ;
	ret = write_text(change->arm, change->from);
	if (ret)
		return ret;
	return strcmp(arm_is(change, now, sizeof(now)), change->from) ? -EILSEQ : 0;
}

/* An arm that cannot be switched to leaves the one before it at work. */
static const char *arm_wrong(const void *arg)
{
	const struct change *change = arg;
	char now[16], text[2048];
	ssize_t len;

	if (strcmp(arm_is(change, now, sizeof(now)), change->from))
		return "not the arm that it was";
	len = read_whole(change->stats, text, sizeof(text) - 1);
	text[len < 0 ? 0 : len] = '\0';
	return strstr(text, strcmp(change->from, "off") ? "state: live" : "state: off") ?
		NULL : "the hook is not what it was";
}

static void switch_arms(struct __test_metadata *_metadata, const struct module *core,
			const char *name, const char *args)
{
	static const char *const arms[] = { "off", "null", "new", "batch" };
	struct change change;
	struct module module;
	struct operation operation = { arm_run, arm_undo, arm_wrong, &change };
	unsigned int i, j, tried = 0;
	char file[32], what[64];
	int ret;

	snprintf(file, sizeof(file), "uplift_%s", name);
	snprintf(change.arm, sizeof(change.arm), UPLIFT "/%s/arm", name);
	snprintf(change.stats, sizeof(change.stats), UPLIFT "/%s/stats", name);
	if (!module_init(&module, file, args, change.arm))
		SKIP(return, "no %s.ko", file);
	ASSERT_EQ(0, module_run(core));
	ret = module_run(&module);
	if (has_no_use(ret))
		SKIP(return, "%s.ko refuses: not applicable here", file);
	ASSERT_EQ(0, ret);
	for (i = 0; i < 4; i++) {
		for (j = 0; j < 4; j++) {
			change.from = arms[i];
			change.to = arms[j];
			if (i == j || write_text(change.arm, change.to) == -EINVAL ||
			    write_text(change.arm, change.from) == -EINVAL)
				continue;
			snprintf(what, sizeof(what), "%s: %s to %s", name, change.from, change.to);
			EXPECT_LE(0, each_failure(what, &operation));
			tried++;
		}
	}
	EXPECT_EQ(0, write_text(change.arm, "off"));
	EXPECT_LT(1, tried);
}

TEST_F_TIMEOUT(fail, switch_epoll, TIMEOUT)
{
	switch_arms(_metadata, &self->core, "epoll", "");
}

TEST_F_TIMEOUT(fail, switch_iomap, TIMEOUT)
{
	switch_arms(_metadata, &self->core, "iomap", "scripts=3");
}

TEST_F_TIMEOUT(fail, switch_livepatch, TIMEOUT)
{
	struct module livepatch;
	int ret;

	if (!module_init(&livepatch, "uplift_livepatch", "", UPLIFT))
		SKIP(return, "no uplift_livepatch.ko");
	ret = module_run(&livepatch);
	if (ret)
		SKIP(return, "uplift_livepatch.ko refuses: %s", strerrorname_np(-ret));
	switch_arms(_metadata, &self->core, "iomap", "scripts=3 method=livepatch");
}

TEST_F_TIMEOUT(fail, switch_pipepoll, TIMEOUT)
{
	switch_arms(_metadata, &self->core, "pipepoll", "");
}

/* --- files --- */

static int read_run(const void *path)
{
	char buf[FSLIST_MAX];
	ssize_t len = read_whole(path, buf, sizeof(buf));

	return len < 0 ? len : 0;
}

/* Every file below a directory; returns how many were read, or -1. */
static int read_below(const char *dir)
{
	struct operation operation = { .run = read_run };
	char path[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	int files = 0, below;
	DIR *d = opendir(dir);

	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (lstat(path, &st))
			continue;
		if (S_ISDIR(st.st_mode)) {
			below = read_below(path);
			if (below < 0) {
				closedir(d);
				return -1;
			}
			files += below;
		} else if (S_ISREG(st.st_mode) && st.st_mode & 0400) {
			operation.arg = path;
			if (each_failure(path, &operation) < 0) {
				closedir(d);
				return -1;
			}
			files++;
		}
	}
	if (d)
		closedir(d);
	return files;
}

TEST_F_TIMEOUT(fail, read_files, TIMEOUT)
{
	static const char *const names[][2] = {
		{ "uplift_fslist", "" }, { "uplift_epoll", "" }, { "uplift_iomap", "scripts=3" },
		{ "uplift_pipepoll", "" }, { "uplift_llc", "" },
	};
	struct operation cached = { .run = read_run, .arg = FSLIST_CACHED };
	struct module module;
	unsigned int i;

	ASSERT_EQ(0, module_run(&self->core));
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (module_init(&module, names[i][0], names[i][1], ""))
			module_run(&module);
	/* Those of llc that need tracking do more with it. */
	write_text(UPLIFT "/llc/track", "1");
	EXPECT_LT(2, read_below(UPLIFT));
	if (!access(FSLIST_CACHED, F_OK))
		EXPECT_LE(0, each_failure(FSLIST_CACHED, &cached));
	write_text(UPLIFT "/llc/track", "0");
}

/* --- tracking --- */

static int track_run(const void *arg)
{
	return write_text(UPLIFT "/llc/track", "1");
}

static int track_undo(const void *arg)
{
	return write_text(UPLIFT "/llc/track", "0");
}

static const char *track_wrong(const void *arg)
{
	char text[4] = "";

	read_whole(UPLIFT "/llc/track", text, sizeof(text) - 1);
	return text[0] == '0' ? NULL : "tracking is on";
}

TEST_F_TIMEOUT(fail, track_llc, TIMEOUT)
{
	struct operation operation = {
		.run = track_run, .undo = track_undo, .wrong = track_wrong,
	};
	struct module module;

	if (!module_init(&module, "uplift_llc", "max_processes=64", UPLIFT "/llc"))
		SKIP(return, "no uplift_llc.ko");
	ASSERT_EQ(0, module_run(&self->core));
	ASSERT_EQ(0, module_run(&module));
	EXPECT_LT(0, each_failure("tracking", &operation));
}

TEST_HARNESS_MAIN
