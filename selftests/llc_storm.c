// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that start and exit while uplift_llc tracks them and its files are
 * read.
 *
 * usage: llc_storm [-p PROCESSES] [-s SECONDS] [-n SWITCHES] [-f]
 *
 * -f: tests the case of more processes than the table has room for.
 *
 * Always, a file can be read to its end and is whole; a living process with
 * several threads is listed once, with these, and a dead one is not; and the table
 * keeps within max_processes.
 */
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest.h"
#include "llc_util.h"

#define MAX_PROCESSES	2000
#define THREADS		3
#define NOBODY		65534

static const char * const files[] = {
	"verdict", "domains", "domains.json", "cpus", "cas", "processes", "processes.json",
	"migrations", "migrations.json", "track",
};

static pid_t pids[MAX_PROCESSES];
static int nr_pids;

static void spin(int turns)
{
	unsigned int state = 1;

	while (turns--)
		next_random(&state);
}

static int nr_twitching = 1;

/* Runs now and then: some hundred times a second, all of them together. */
static void *twitch(void *arg)
{
	for (;;) {
		spin(2000);
		usleep(nr_twitching * 2000);
	}
	return NULL;
}

/* Starts processes of THREADS threads that run now and then. */
static bool start(int n)
{
	pthread_t thread;
	pid_t pid;
	int i;

	nr_twitching = n * THREADS;
	for (; nr_pids < n; nr_pids++) {
		pid = fork();
		if (pid < 0)
			return false;
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			signal(SIGTERM, SIG_DFL);
			/* A name that has to be quoted, and one that is not UTF-8. */
			prctl(PR_SET_NAME, nr_pids % 2 ? "a \"b\\c\n\001<&>" : "storm\377\200");
			for (i = 1; i < THREADS; i++)
				if (pthread_create(&thread, NULL, twitch, NULL))
					_exit(1);
			twitch(NULL);
		}
		pids[nr_pids] = pid;
	}
	return true;
}

static void end(int first)
{
	int i;

	for (i = first; i < nr_pids; i++)
		kill(pids[i], SIGKILL);
	for (i = first; i < nr_pids; i++)
		waitpid(pids[i], NULL, 0);
	nr_pids = first;
}

/* The rows of a processes.json, by number of process. */
#define MAX_PID		4194304

static unsigned char times_listed[MAX_PID], threads_listed[MAX_PID];

/* Parses a processes.json; returns how many it lists, -1 if it is not whole. */
static int take(const char *json)
{
	const char *item;
	int n = 0;

	memset(times_listed, 0, sizeof(times_listed));
	if (!json_whole(json))
		return -1;
	for (item = json_first(json_get(json, "processes")); item; item = json_next(item), n++) {
		long long pid = json_number(json_get(item, "pid"));

		if (pid < 0 || pid >= MAX_PID)
			return -1;
		times_listed[pid]++;
		threads_listed[pid] = json_number(json_get(item, "threads"));
	}
	return n;
}

/* How many of our processes are listed once, with the right number of threads. */
static int well_listed(const char *json)
{
	int i, n = 0;

	if (take(json) < 0)
		return -1;
	for (i = 0; i < nr_pids; i++)
		n += times_listed[pids[i]] == 1 && threads_listed[pids[i]] == THREADS;
	return n;
}

static bool set_tracking(bool on)
{
	return !write_text(LLC_DIR "/track", on ? "1\n" : "0\n");
}

static long long parameter(const char *name)
{
	char path[128], line[32];

	snprintf(path, sizeof(path), "/sys/module/uplift_llc/parameters/%s", name);
	return read_line(path, line, sizeof(line)) ? atoll(line) : -1;
}

/* Every file is whole, in one read and byte by byte; all JSON is valid. */
static void all_whole(void)
{
	bool ok = true;
	size_t i, n;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		char path[128];
		char *text;

		snprintf(path, sizeof(path), LLC_DIR "/%s", files[i]);
		text = read_file_by(path, i % 2 ? 3 : 0, &n);
		if (!text || !n || text[n - 1] != '\n' ||
		    (strstr(files[i], ".json") && !json_whole(text))) {
			ksft_print_msg("%s: %s\n", files[i], text ? "not whole" : strerror(errno));
			ok = false;
		}
		free(text);
	}
	ksft_test_result(ok, "every file is whole\n");
}

/* Files for root only: other users are refused, even where they may enter debugfs. */
static void as_nobody(void)
{
	char path[128];
	int status;
	pid_t pid;
	size_t i;

	chmod("/sys/kernel/debug", 0755);
	chmod("/sys/kernel/debug/uplift", 0755);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int open_to = 0;

		if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
			_exit(2);
		for (i = 0; i < ARRAY_SIZE(files); i++) {
			int fd;

			snprintf(path, sizeof(path), LLC_DIR "/%s", files[i]);
			fd = open(path, O_RDONLY);
			open_to += fd >= 0 || errno != EACCES;
			fd = open(path, O_WRONLY);
			open_to += fd >= 0 || errno != EACCES;
			if (open_to)
				_exit(1);
		}
		_exit(0);
	}
	waitpid(pid, &status, 0);
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		struct stat st;

		snprintf(path, sizeof(path), LLC_DIR "/%s", files[i]);
		if (stat(path, &st) || (st.st_mode & 077) || st.st_uid) {
			ksft_print_msg("%s: mode %o\n", files[i], st.st_mode & 07777);
			status |= 0x100;
		}
	}
	chmod("/sys/kernel/debug/uplift", 0700);
	chmod("/sys/kernel/debug", 0700);
	ksft_test_result(!status, "unprivileged users are refused\n");
}

static void bad_words(void)
{
	static const char * const words[] = {
		"2", "-1", "maybe", "", " ", "\1", "2111111111111111111111111111111111111111111111",
	};
	bool ok = set_tracking(false);
	char line[16], path[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		int ret = write_text(LLC_DIR "/track", words[i]);

		/* Writing no bytes does nothing. */
		if (ret != -EINVAL && !(ret == 0 && !*words[i])) {
			ksft_print_msg("track takes '%s': %s\n", words[i], strerror(-ret));
			ok = false;
		}
	}
	if (!read_line(LLC_DIR "/track", line, sizeof(line)) || strcmp(line, "0")) {
		ksft_print_msg("track is '%s' afterwards\n", line);
		ok = false;
	}
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), LLC_DIR "/%s", files[i]);
		if (strcmp(files[i], "track") && write_text(path, "1") >= 0) {
			ksft_print_msg("%s can be written\n", files[i]);
			ok = false;
		}
	}
	ksft_test_result(ok, "what makes no sense is refused\n");
}

static void hundreds(int n)
{
	int want = n, found = 0, tries;
	long long max = parameter("max_processes");
	double began = seconds_now();
	char *json = NULL;

	if (!set_tracking(true) || !start(n)) {
		ksft_test_result_fail("%d processes: %s\n", n, strerror(errno));
		return;
	}
	if (max > 0 && want > max / 2)
		want = max / 2;
	for (tries = 0; tries < 300; tries++) {
		free(json);
		json = read_file(LLC_DIR "/processes.json");
		found = well_listed(json);
		if (found < 0 || found >= want)
			break;
		usleep(100000);
	}
	if (json)
		ksft_print_msg("%d of %d listed after %.1f s, %lld tracked, %lld dropped\n",
			       found, n, seconds_now() - began,
			       json_number(json_get(json, "tracked")),
			       json_number(json_get(json, "dropped")));
	ksft_test_result(found >= want && max > 0 &&
			 json_number(json_get(json, "tracked")) <= max,
			 "%d processes are listed\n", n);
	free(json);
}

/* Read the beginning, let the listed processes end, read on. */
static void exit_while_listed(void)
{
	static const char * const which[] = { "processes.json", "processes" };
	int before = nr_pids, i, round;
	bool ok = true;
	char *json;

	for (round = 0; round < 6; round++) {
		char path[128], text[65536 * 16];
		size_t len = 0;
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path), LLC_DIR "/%s", which[round % 2]);
		fd = open(path, O_RDONLY);
		n = read(fd, text, 100);
		len = n > 0 ? n : 0;
		end(nr_pids - before / 8);
		while (n > 0 && len < sizeof(text) - 1) {
			n = read(fd, text + len, sizeof(text) - 1 - len > 500 ? 500 :
				 sizeof(text) - 1 - len);
			len += n > 0 ? n : 0;
		}
		text[len] = '\0';
		if (n || len < 100 || (round % 2 == 0 && !json_whole(text))) {
			ksft_print_msg("%s is not whole: %zu bytes, %zd\n", which[round % 2], len,
				       n);
			ok = false;
		}
		close(fd);
	}
	/* Dead processes are not listed again. */
	json = read_file(LLC_DIR "/processes.json");
	ok &= take(json) >= 0;
	for (i = nr_pids; i < before; i++)
		if (times_listed[pids[i]]) {
			ksft_print_msg("%d is gone and still listed\n", pids[i]);
			ok = false;
			break;
		}
	free(json);
	ksft_test_result(ok, "processes exit while they are listed\n");
}

/* More processes than the table has room for: counted, not tracked, and no harm done. */
static void too_many(int n)
{
	long long max = parameter("max_processes"), tracked = -1, dropped = -1;
	char *json = NULL;
	int tries;

	if (!set_tracking(true) || !start(n)) {
		ksft_test_result_fail("%d processes: %s\n", n, strerror(errno));
		return;
	}
	for (tries = 0; tries < 100 && dropped <= 0; tries++) {
		usleep(100000);
		free(json);
		json = read_file(LLC_DIR "/processes.json");
		if (take(json) < 0)
			break;
		tracked = json_number(json_get(json, "tracked"));
		dropped = json_number(json_get(json, "dropped"));
	}
	ksft_print_msg("%d processes, room for %lld: %lld tracked, %lld dropped\n", n, max, tracked,
		       dropped);
	ksft_test_result(max > 0 && max < n && tracked > 0 && tracked <= max && dropped > 0,
			 "more than there is room for\n");
	free(json);
	end(0);
	set_tracking(false);
}

static atomic_int stop;
static atomic_int bad;
static atomic_llong reads;

static void *reader(void *arg)
{
	char path[128];
	size_t i = (long)arg, n;

	while (!atomic_load(&stop)) {
		const char *name = files[i++ % ARRAY_SIZE(files)];
		char *text;

		snprintf(path, sizeof(path), LLC_DIR "/%s", name);
		text = read_file_by(path, i % 3 ? 0 : 113, &n);
		if (!text || (strstr(name, ".json") && !json_whole(text))) {
			if (!atomic_fetch_add(&bad, 1))
				ksft_print_msg("%s: %s\n", name,
					       text ? "not whole" : strerror(errno));
		}
		free(text);
		atomic_fetch_add(&reads, 1);
	}
	return NULL;
}

/* Processes of two threads that live for a few milliseconds, one after another. */
static void *nap(void *arg)
{
	usleep(2000);
	spin(20000);
	return NULL;
}

static void churn(void)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		pid_t pid = fork();

		if (!pid) {
			if (pthread_create(&thread, NULL, nap, NULL))
				_exit(1);
			spin(20000);
			pthread_join(thread, NULL);
			_exit(0);
		}
		if (pid < 0)
			usleep(1000);
		else
			waitpid(pid, NULL, 0);
	}
}

/* All at once: processes start and exit, readers read, tracking is turned on and off. */
static void storm(double seconds, int switches)
{
	pthread_t thread[3];
	pid_t churns[3];
	double until;
	int i, n = 0, refused = 0;
	long long max = parameter("max_processes");
	char *json;

	fflush(stdout);
	for (i = 0; i < 3; i++) {
		churns[i] = fork();
		if (!churns[i])
			churn();
	}
	for (i = 0; i < 3; i++)
		if (pthread_create(&thread[i], NULL, reader, (void *)(long)i))
			ksft_exit_fail_perror("pthread_create");
	set_tracking(true);
	until = seconds_now() + seconds;
	while (seconds_now() < until)
		usleep(10000);
	ksft_test_result(!atomic_load(&bad), "processes come and go, %lld reads\n",
			 atomic_load(&reads));
	json = read_file(LLC_DIR "/processes.json");
	ksft_test_result(json && json_number(json_get(json, "tracked")) <= max,
			 "the table keeps within %lld\n", max);
	free(json);

	atomic_store(&bad, 0);
	for (n = 0; n < switches; n++)
		refused += !set_tracking(n % 2);
	atomic_store(&stop, 1);
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < 3; i++) {
		kill(churns[i], SIGKILL);
		waitpid(churns[i], NULL, 0);
	}
	ksft_test_result(!refused && !atomic_load(&bad), "switched %d times\n", switches);
}

/* With tracking off no process is counted, and the files say so. */
static void turned_off(void)
{
	char *one, *two;
	bool ok;

	set_tracking(true);
	usleep(50000);
	ok = set_tracking(false);
	one = read_file(LLC_DIR "/migrations.json");
	usleep(100000);
	two = read_file(LLC_DIR "/migrations.json");
	if (!one || !two || !json_get(one, "tracking") ||
	    strncmp(json_get(one, "tracking"), "false", 5)) {
		ksft_print_msg("migrations.json does not say that tracking is off\n");
		ok = false;
	} else if (json_get(one, "wakeups") && json_get(two, "wakeups")) {
		const char *a = json_get(one, "wakeups"), *b = json_get(two, "wakeups");

		ok &= json_skip(a) - a == json_skip(b) - b && !strncmp(a, b, json_skip(a) - a);
	}
	free(one);
	free(two);
	ksft_test_result(ok, "off is off\n");
}

int main(int argc, char **argv)
{
	int opt, processes = 300, switches = 200;
	bool full = false;
	double seconds = 2;

	while ((opt = getopt(argc, argv, "p:s:n:f")) != -1) {
		switch (opt) {
		case 'p':
			processes = atoi(optarg);
			break;
		case 's':
			seconds = atof(optarg);
			break;
		case 'n':
			switches = atoi(optarg);
			break;
		case 'f':
			full = true;
			break;
		default:
			fprintf(stderr,
				"usage: llc_storm [-p PROCESSES] [-s SECONDS] [-n SWITCHES] [-f]\n");
			return 2;
		}
	}
	if (processes < 8 || processes > MAX_PROCESSES)
		return 2;
	ksft_print_header();
	if (access(LLC_DIR "/track", W_OK))
		ksft_exit_skip("no " LLC_DIR "/track: uplift_llc is not loaded\n");
	if (full) {
		ksft_set_plan(1);
		too_many(processes);
		ksft_finished();
	}
	ksft_set_plan(10);
	all_whole();
	as_nobody();
	bad_words();
	hundreds(processes);
	exit_while_listed();
	end(0);
	storm(seconds, switches);
	turned_off();
	all_whole();
	ksft_finished();
}
