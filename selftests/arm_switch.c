// SPDX-License-Identifier: GPL-2.0
/*
 * What can be done wrong with the arm file of a redirected function: words that
 * are no arm, other users, several writers, unloading while an arm is on.
 *
 * Environment: UPLIFT_CHANGE, the change whose arm it is; SWITCHES (1000).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "arm_test.h"

static const char *change(void)
{
	return getenv("UPLIFT_CHANGE") ?: "";
}

FIXTURE(arm) {
	const char *arms[4];
	int count;
};

FIXTURE_SETUP(arm)
{
	self->count = arms_offered(change(), self->arms);
	if (!self->count)
		SKIP(return, "no %s/%s/arm: the module is not loaded", UPLIFT_DEBUG, change());
}

FIXTURE_TEARDOWN(arm)
{
	arm_set(change(), "off");
}

/* A word that is not the name of an arm changes nothing. */
TEST_F(arm, bad_words)
{
	static const char * const words[] = {
		"", "\n", " ", "OFF", "Null", "newer", "ne", "batchh", "off null", "off\nnull", "0",
		"1", "%s%n", "\xff\xfe", "../off", "null\r\n",
	};
	const char *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static char text[70000];
	char is[64];
	int i, ret;

	ASSERT_EQ(0, arm_set(change(), "null"));
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		errno = 0;
		ret = arm_write(change(), words[i], strlen(words[i]));
		/* Nothing written may be nothing done. */
		if (*words[i])
			EXPECT_EQ(-EINVAL, ret) {
				TH_LOG("word %d", i);
			}
		EXPECT_STREQ("null", arm_now(change(), is, sizeof(is)));
	}
	memset(text, 'n', sizeof(text));
	EXPECT_NE(0, arm_write(change(), text, sizeof(text)));
	EXPECT_NE(0, arm_write(change(), text, 4096));
	EXPECT_STREQ("null", arm_now(change(), is, sizeof(is)));
	EXPECT_EQ(-EFAULT, arm_write(change(), nowhere, 4));
	/* As echo writes it. */
	EXPECT_EQ(0, arm_write(change(), "off\n", 4));
	EXPECT_STREQ("off", arm_now(change(), is, sizeof(is)));
}

/* Other users than root see none of it, and change nothing. */
TEST_F(arm, other_users)
{
	static const char * const files[] = { "arm", "stats", "verdict" };
	int status, i;
	pid_t pid;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		char text[64];

		if (setgid(65534) || setuid(65534))
			_exit(3);
		for (i = 0; i < ARRAY_SIZE(files); i++)
			if (arm_read(change(), files[i], text, sizeof(text)) != -EACCES)
				_exit(1);
		_exit(arm_write(change(), "null", 4) == -EACCES ? 0 : 2);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

struct writers {
	const char **arms;
	int count;
	atomic_int running, failed;
};

static void *write_arms(void *arg)
{
	static atomic_int number;
	unsigned int seed = atomic_fetch_add(&number, 1);
	struct writers *w = arg;
	int i;

	for (i = 0; i < switches() / 16 + 1; i++)
		if (arm_set(change(), w->arms[rand_r(&seed) % w->count]))
			atomic_fetch_add(&w->failed, 1);
	atomic_fetch_sub(&w->running, 1);
	return NULL;
}

/* Several writers: each is served, and what is read is an arm at every moment. */
TEST_F_TIMEOUT(arm, concurrent_writers, 300)
{
	struct writers w = { .arms = self->arms, .count = self->count, .running = 4 };
	char is[64], stat[64];
	pthread_t thread[4];
	int i, k;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, write_arms, &w));
	while (atomic_load(&w.running)) {
		arm_now(change(), is, sizeof(is));
		for (k = 0; k < self->count && strcmp(is, self->arms[k]); k++)
			;
		ASSERT_LT(k, self->count) {
			TH_LOG("arm reads '%s'", is);
		}
	}
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	EXPECT_EQ(0, w.failed);
	arm_now(change(), is, sizeof(is));
	EXPECT_LE(0, arm_stat(change(), "inside", NULL, 0));
	arm_stat(change(), "arm", stat, sizeof(stat));
	EXPECT_STREQ(is, stat);
}

/* While an arm is on the module stays. */
TEST_F_TIMEOUT(arm, unload_refused, 300)
{
	char name[64];
	int i, k;

	snprintf(name, sizeof(name), "uplift_%s", change());
	for (i = 1; i < self->count; i++) {
		ASSERT_EQ(0, arm_set(change(), self->arms[i]));
		for (k = 0; k < 5; k++)
			EXPECT_EQ(-EAGAIN, module_unload(name));
		ASSERT_EQ(0, arm_set(change(), "off"));
		EXPECT_TRUE(loop_until(WITHIN, !arm_stat(change(), "inside", NULL, 0)));
	}
	EXPECT_LT(1, self->count);
}

TEST_HARNESS_MAIN
