// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the bodies of the epoll change, which scripts/generate-bodies made
 * of the object code of the fs/eventpoll.c of the very kernel that runs them.
 *
 * A real epoll instance watches files of this suite. Beside it is a model: an
 * array of what is ready, in order, and the rules for level-triggered,
 * edge-triggered and one-shot files written down anew. The kernel's own
 * function is held against it as well, or the model would prove nothing.
 */
#include <kunit/test.h>
#include <linux/anon_inodes.h>
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/eventpoll.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include <asm/ptrace.h>

#include "../modules/core/bind.h"
#include "../modules/core/body.h"
#include "../modules/core/count.h"
#include "../modules/core/redirect.h"
#include "../modules/core/uplift.h"
#include "rounds.h"
#include "epoll_gen.h"

static ulong seed;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "of the random scripts; 0 takes another one each time and prints it");

#define ITEMS		256
#define GUARD		0xa5
#define EVENT_SIZE	sizeof(struct epoll_event)

/* --- the kernel's own interface --- */

asmlinkage long __x64_sys_epoll_create1(const struct pt_regs *regs);
asmlinkage long __x64_sys_epoll_wait(const struct pt_regs *regs);
asmlinkage long __x64_sys_eventfd2(const struct pt_regs *regs);
asmlinkage long __x64_sys_read(const struct pt_regs *regs);
asmlinkage long __x64_sys_write(const struct pt_regs *regs);

#define SYSCALL(name, a, b, c, d)						\
	__x64_sys_##name(&(struct pt_regs){ .di = (unsigned long)(a),		\
					    .si = (unsigned long)(b),		\
					    .dx = (unsigned long)(c),		\
					    .r10 = (unsigned long)(d) })

static int epoll_wait_off(int epfd, struct epoll_event __user *events, int maxevents,
			  struct timespec64 *to)
{
	return SYSCALL(epoll_wait, epfd, (__force void *)events, maxevents, to ? 0 : -1);
}

/* --- the bodies --- */

DEFINE_PER_CPU(struct uplift_count[UPLIFT_EPOLL_ARMS], uplift_epoll_count);

typedef int wait_fn(int epfd, struct epoll_event __user *events, int maxevents,
		    struct timespec64 *to);

/* Of do_epoll_wait(): to be called as that is. */
#define WAIT(arm)	((wait_fn *)uplift_epoll_##arm##_jump_0)

/**
 * struct body - an implementation of epoll_wait()
 * @name: for messages
 * @arm: which counter counts its calls
 * @looks_ahead: it may poll a file that is not ready before it is its turn
 * @wait: the function
 */
struct body {
	const char *name;
	unsigned int arm;
	bool looks_ahead;
	wait_fn *wait;
};

static const struct body bodies[] = {
	{ "off", UPLIFT_ARM_OFF, false, epoll_wait_off },
	{ "null", UPLIFT_ARM_NULL, false, WAIT(null) },
	{ "new", UPLIFT_ARM_NEW, false, WAIT(new) },
	{ "batch", UPLIFT_ARM_BATCH, true, WAIT(batch) },
};

static u64 tasks_inside(void)
{
	return uplift_count_inside(uplift_epoll_count, UPLIFT_EPOLL_ARMS);
}

#define BODIES_END	(bodies + ARRAY_SIZE(bodies))

/* --- files, and the model --- */

/* The bits of a mask, without its type. */
#define BITS(mask)	((__force u32)(mask))
#define MODEL_PRIVATE	BITS(EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)

/**
 * struct item - a file that can be polled
 * @wq: who waits for it
 * @state: what it is ready for
 * @forgets: it says so once
 * @unmaps: user memory that goes away when it is asked, or NULL
 * @polls: how often it was asked
 * @fd: its descriptor
 * @added: model: is it watched?
 * @listed: model: is it on the ready list?
 * @interest: model: what for, and how
 * @data: model: the user's word
 * @polls_due: model: how often it has to be asked
 */
struct item {
	wait_queue_head_t wq;
	__poll_t state;
	bool forgets;
	char __user *unmaps;
	unsigned int polls;
	int fd;
	bool added;
	bool listed;
	u32 interest;
	u64 data;
	unsigned int polls_due;
};

/**
 * struct world - an epoll instance, what it watches, and the model of both
 * @test: the case that runs
 * @epfd: the instance
 * @items: the files
 * @nitems: how many of them are open
 * @ready: model: the ready list, by index into @items
 * @nready: model: its length
 * @queue: model: what of it is being looked at
 * @requeue: model: what was delivered, and is level-triggered
 * @page: a page of user memory that ends in front of one that is not there
 * @expected: what has to be delivered
 * @got: what was delivered, and what lies around it
 */
struct world {
	struct kunit *test;
	int epfd;
	struct item *items;
	unsigned int nitems;
	unsigned int ready[ITEMS];
	unsigned int nready;
	unsigned int queue[ITEMS];
	unsigned int requeue[ITEMS];
	char __user *page;
	struct epoll_event *expected;
	u8 *got;
};

/* Closing is left to a work item: wait for that. */
static atomic_t files_open;

static __poll_t item_poll(struct file *file, poll_table *wait)
{
	struct item *item = file->private_data;
	__poll_t state = READ_ONCE(item->state);

	item->polls++;
	poll_wait(file, &item->wq, wait);
	if (item->forgets)
		WRITE_ONCE(item->state, 0);
	if (item->unmaps)
		vm_munmap((__force unsigned long)item->unmaps, PAGE_SIZE);
	return state;
}

static int item_release(struct inode *inode, struct file *file)
{
	atomic_dec(&files_open);
	return 0;
}

static const struct file_operations item_fops = {
	.owner = THIS_MODULE,
	.poll = item_poll,
	.release = item_release,
};

static void open_items(struct world *world, unsigned int nitems)
{
	struct kunit *test = world->test;

	while (world->nitems < nitems) {
		struct item *item = &world->items[world->nitems];

		init_waitqueue_head(&item->wq);
		item->data = 0x0123456789abcdefULL * (world->nitems + 1);
		item->fd = anon_inode_getfd("[uplift_item]", &item_fops, item, O_RDWR);
		KUNIT_ASSERT_GE(test, item->fd, 0);
		atomic_inc(&files_open);
		world->nitems++;
	}
}

static void model_append(struct world *world, unsigned int index)
{
	world->items[index].listed = true;
	world->ready[world->nready++] = index;
}

static void model_remove(struct world *world, unsigned int index)
{
	unsigned int from, to = 0;

	for (from = 0; from < world->nready; from++)
		if (world->ready[from] != index)
			world->ready[to++] = world->ready[from];
	world->nready = to;
	world->items[index].listed = false;
}

static bool model_is_ready(const struct item *item)
{
	return BITS(item->state) & item->interest;
}

static int control(struct world *world, int op, unsigned int index, u32 interest)
{
	struct item *item = &world->items[index];
	struct epoll_event event = { .events = (__force __poll_t)interest, .data = item->data };
	int err = do_epoll_ctl(world->epfd, op, item->fd, &event, false);

	if (err)
		return err;
	if (op == EPOLL_CTL_DEL) {
		item->added = false;
		model_remove(world, index);
		return 0;
	}
	item->added = true;
	item->interest = interest | BITS(EPOLLERR | EPOLLHUP);
	item->polls_due++;
	if (model_is_ready(item) && !item->listed)
		model_append(world, index);
	return 0;
}

/* The file becomes ready for something, and says so. */
static void set_ready(struct world *world, unsigned int index, __poll_t state)
{
	struct item *item = &world->items[index];

	item->state = state;
	wake_up_poll(&item->wq, state);
	if (item->added && model_is_ready(item) && !item->listed)
		model_append(world, index);
}

/* It is no longer, and says nothing: that is found out when it is polled. */
static void set_idle(struct world *world, unsigned int index)
{
	world->items[index].state = 0;
}

/* What epoll_wait() has to do. Room: how many events fit in front of the fault. */
static int model_wait(struct world *world, unsigned int max, unsigned int room)
{
	unsigned int n = world->nready, at, kept = 0, again = 0, res = 0;
	bool fault = false;

	memcpy(world->queue, world->ready, sizeof(world->ready));
	for (at = 0; at < n && res < max && !fault; at++) {
		struct item *item = &world->items[world->queue[at]];

		item->polls_due++;
		if (!model_is_ready(item)) {
			item->listed = false;
			continue;
		}
		if (res == room) {
			fault = true;
			break;
		}
		world->expected[res].events =
			(__force __poll_t)(BITS(item->state) & item->interest);
		world->expected[res++].data = item->data;
		if (item->interest & BITS(EPOLLONESHOT | EPOLLET))
			item->listed = false;
		else
			world->requeue[again++] = world->queue[at];
		if (item->interest & BITS(EPOLLONESHOT))
			item->interest &= MODEL_PRIVATE;
	}
	/* What it did not come to, or could not deliver, stays in front. */
	while (at < n)
		world->ready[kept++] = world->queue[at++];
	memcpy(world->ready + kept, world->requeue, again * sizeof(*world->requeue));
	world->nready = kept + again;
	return fault && !res ? -EFAULT : res;
}

/* Wait without sleeping, into memory that ends after a number of bytes. */
static int wait_into(struct world *world, const struct body *body, unsigned int max, size_t bytes)
{
	size_t size = min(max * EVENT_SIZE, bytes), from = PAGE_SIZE - size;
	char __user *to = world->page + from;
	size_t guard = min(from, 16), behind = 0;
	struct kunit *test = world->test;
	unsigned int i, wrong = 0;
	struct timespec64 zero = {};
	int expected, ret;
	u64 calls;

	/* With room for it, let there be something behind that must stay. */
	if (bytes >= (max + 2) * EVENT_SIZE) {
		to -= 2 * EVENT_SIZE;
		behind = 2 * EVENT_SIZE;
	}
	memset(world->got, GUARD, PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, copy_to_user(to - guard, world->got, guard + size + behind), 0);
	expected = model_wait(world, max, size / EVENT_SIZE);
	calls = uplift_count_calls(uplift_epoll_count, body->arm);

	ret = body->wait(world->epfd, (struct epoll_event __user *)to, max, &zero);

	KUNIT_EXPECT_EQ_MSG(test, ret, expected, "%s, max %u, %zu bytes", body->name, max, bytes);
	KUNIT_EXPECT_EQ(test, uplift_count_calls(uplift_epoll_count, body->arm),
			calls + (body->arm != UPLIFT_ARM_OFF));
	KUNIT_ASSERT_EQ(test, copy_from_user(world->got, to - guard, guard + size + behind), 0);
	wrong += !!memchr_inv(world->got, GUARD, guard);
	wrong += !!memchr_inv(world->got + guard + size, GUARD, behind);
	if (ret > 0 && ret == expected) {
		wrong += !!memcmp(world->got + guard, world->expected, ret * EVENT_SIZE);
		/* Nothing is written that is not delivered, but for what faulted. */
		if (size == max * EVENT_SIZE)
			wrong += !!memchr_inv(world->got + guard + ret * EVENT_SIZE, GUARD,
					      size - ret * EVENT_SIZE);
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "%s, max %u, %zu bytes: other events", body->name,
			    max, bytes);

	for (i = 0, wrong = 0; i < world->nitems; i++) {
		struct item *item = &world->items[i];

		if (body->looks_ahead && item->polls > item->polls_due && !model_is_ready(item))
			item->polls_due = item->polls;
		wrong += item->polls != item->polls_due;
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "%s, max %u, %zu bytes: polled too often, or not",
			    body->name, max, bytes);
	return ret;
}

/* What was polled meanwhile, not by way of wait_into(), is right. */
static void model_was_not_asked(struct world *world)
{
	unsigned int i;

	for (i = 0; i < world->nitems; i++)
		world->items[i].polls_due = world->items[i].polls;
}

static int wait_for(struct world *world, const struct body *body, unsigned int max)
{
	return wait_into(world, body, max, (max + 2) * EVENT_SIZE);
}

/* Until only what is level-triggered is left, which then comes again. */
static void drain(struct world *world, const struct body *body)
{
	wait_for(world, body, world->nitems);
	wait_for(world, body, world->nitems);
}

static void forget_items(struct world *world)
{
	unsigned int i;

	for (i = 0; i < world->nitems; i++) {
		if (world->items[i].added)
			KUNIT_EXPECT_EQ(world->test, control(world, EPOLL_CTL_DEL, i, 0), 0);
		set_idle(world, i);
	}
	KUNIT_EXPECT_EQ(world->test, world->nready, 0);
}

static const u32 modes[] = {
	0, BITS(EPOLLET), BITS(EPOLLONESHOT), BITS(EPOLLET | EPOLLONESHOT),
};

/* Watch files of each kind in turn, all of them ready. */
static void watch_mixed(struct world *world, unsigned int nitems)
{
	unsigned int i;

	forget_items(world);
	for (i = 0; i < nitems; i++) {
		KUNIT_ASSERT_EQ(world->test,
				control(world, EPOLL_CTL_ADD, i, BITS(EPOLLIN) |
					modes[i % ARRAY_SIZE(modes)]), 0);
		set_ready(world, i, EPOLLIN | EPOLLOUT);
	}
	KUNIT_EXPECT_EQ(world->test, world->nready, nitems);
}

/* --- cases --- */

static void nothing_ready(struct kunit *test)
{
	struct world *world = test->priv;
	const struct body *body;

	open_items(world, 3);
	KUNIT_EXPECT_EQ(test, control(world, EPOLL_CTL_ADD, 0, BITS(EPOLLIN)), 0);
	KUNIT_EXPECT_EQ(test, control(world, EPOLL_CTL_ADD, 1, BITS(EPOLLET)), 0);
	for (body = bodies; body < BODIES_END; body++) {
		KUNIT_EXPECT_EQ(test, wait_for(world, body, 1), 0);
		KUNIT_EXPECT_EQ(test, wait_for(world, body, 16), 0);
		/* Ready for events that were not asked for; ready, and no longer when polled. */
		set_ready(world, 0, EPOLLPRI);
		KUNIT_EXPECT_EQ(test, wait_for(world, body, 16), 0);
		set_ready(world, 0, EPOLLIN);
		set_idle(world, 0);
		KUNIT_EXPECT_EQ(test, world->nready, 1);
		KUNIT_EXPECT_EQ(test, wait_into(world, body, 16, 0), 0);
		KUNIT_EXPECT_EQ(test, world->nready, 0);
	}
}

static void each_mode_by_itself(struct kunit *test)
{
	static const int again[] = { 1, 0, 0, 0 }, after_signal[] = { 1, 1, 0, 0 };
	struct world *world = test->priv;
	const struct body *body;
	int mode;

	open_items(world, 1);
	for (body = bodies; body < BODIES_END; body++) {
		for (mode = 0; mode < ARRAY_SIZE(modes); mode++) {
			u32 interest = BITS(EPOLLIN) | modes[mode];

			set_idle(world, 0);
			KUNIT_EXPECT_EQ(test, control(world, EPOLL_CTL_ADD, 0, interest), 0);
			set_ready(world, 0, EPOLLIN | EPOLLRDNORM);
			KUNIT_EXPECT_EQ(test, wait_into(world, body, 1, EVENT_SIZE - 1), -EFAULT);
			KUNIT_EXPECT_EQ(test, wait_for(world, body, 5), 1);
			KUNIT_EXPECT_EQ(test, wait_for(world, body, 5), again[mode]);
			set_ready(world, 0, EPOLLIN | EPOLLHUP);
			KUNIT_EXPECT_EQ(test, wait_for(world, body, 1), after_signal[mode]);
			KUNIT_EXPECT_EQ(test, control(world, EPOLL_CTL_MOD, 0, interest), 0);
			KUNIT_EXPECT_EQ(test, wait_for(world, body, 1), 1);
			KUNIT_EXPECT_EQ(test, control(world, EPOLL_CTL_DEL, 0, 0), 0);
			KUNIT_EXPECT_EQ(test, wait_for(world, body, 1), 0);
		}
	}
}

static void maxevents_of_every_size(struct kunit *test)
{
	struct world *world = test->priv;
	const struct body *body;
	unsigned int max, ready;

	open_items(world, 40);
	for (body = bodies; body < BODIES_END; body++) {
		for (ready = 1; ready <= 40; ready += ready < 18 ? 1 : 7) {
			for (max = 1; max <= ready + 1; max += ready > 4 ? ROUNDS(1, 3) : 1) {
				watch_mixed(world, ready);
				KUNIT_ASSERT_EQ(test, wait_for(world, body, max), min(max, ready));
				drain(world, body);
			}
		}
	}
}

/* Not all that is on the list is ready: gaps at every place. */
static void unready_among_ready(struct kunit *test)
{
	struct world *world = test->priv;
	const struct body *body;
	unsigned int every, from, i;

	open_items(world, 40);
	for (body = bodies; body < BODIES_END; body++) {
		for (every = 2; every < 20; every += ROUNDS(1, 3)) {
			for (from = 0; from < every; from += 3) {
				watch_mixed(world, 40);
				for (i = from; i < 40; i += every)
					set_idle(world, i);
				wait_for(world, body, 17);
				wait_into(world, body, 40, 5 * EVENT_SIZE + from);
				drain(world, body);
			}
		}
	}
}

/* Events in front of the fault are delivered, it and what follows are pending, in order. */
static void fault_at_every_byte(struct kunit *test)
{
	static const unsigned int sizes[] = { 1, 2, 3, 15, 16, 17, 20, 33 };
	struct world *world = test->priv;
	const struct body *body;
	unsigned int i, n, pending;
	int faults = 0;
	size_t bytes;

	open_items(world, 33);
	for (body = bodies; body < BODIES_END; body++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			n = sizes[i];
			/* Strides of 5 and 17 come to every offset within an event as well. */
			for (bytes = 0; bytes < n * EVENT_SIZE;
			     bytes += n > 3 ? ROUNDS(1, n > 20 ? 17 : 5) : 1) {
				unsigned int whole = bytes / EVENT_SIZE;

				watch_mixed(world, n);
				KUNIT_ASSERT_EQ(test, wait_into(world, body, n, bytes),
						whole ?: -EFAULT);
				faults++;
				/* Twice at the same place: nothing is lost by it. */
				KUNIT_ASSERT_EQ(test, wait_into(world, body, n, 0), -EFAULT);
				/* Of what was delivered only each fourth stays. */
				pending = n - whole + DIV_ROUND_UP(whole, 4);
				KUNIT_ASSERT_EQ(test, world->nready, pending);
				KUNIT_ASSERT_EQ(test, wait_for(world, body, n), pending);
				drain(world, body);
			}
		}
	}
	kunit_info(test, "%d faults, each at its own byte", faults);
}

/*
 * Files that tell each change once, as /proc/mounts does: what one of them said
 * must be delivered, so none is asked for which there is no room.
 */
static void files_that_forget(struct kunit *test)
{
	struct world *world = test->priv;
	char __user *to = world->page + PAGE_SIZE - 2 * EVENT_SIZE - 3;
	struct timespec64 zero = {};
	struct epoll_event events[5];
	const struct body *body;
	unsigned int i;

	open_items(world, 5);
	for (body = bodies; body < BODIES_END; body++) {
		forget_items(world);
		for (i = 0; i < 5; i++) {
			KUNIT_ASSERT_EQ(test, control(world, EPOLL_CTL_ADD, i, BITS(EPOLLIN)), 0);
			world->items[i].forgets = true;
			set_ready(world, i, EPOLLIN);
			world->items[i].polls = 0;
		}
		KUNIT_EXPECT_EQ_MSG(test, body->wait(world->epfd, (void __user *)to, 5, &zero), 2,
				    "%s", body->name);
		/* The one that faulted was asked: the kernel's own loses that, too. */
		for (i = 0; i < 5; i++)
			KUNIT_EXPECT_EQ_MSG(test, world->items[i].polls, i < 3, "%s, item %u",
					    body->name, i);
		KUNIT_EXPECT_EQ_MSG(test, body->wait(world->epfd, (void __user *)world->page, 5,
						     &zero), 2, "%s", body->name);
		KUNIT_ASSERT_EQ(test, copy_from_user(events, world->page, sizeof(events)), 0);
		KUNIT_EXPECT_EQ(test, events[0].data, world->items[3].data);
		KUNIT_EXPECT_EQ(test, events[1].data, world->items[4].data);
		for (i = 0; i < 5; i++)
			world->items[i].forgets = false;
		model_was_not_asked(world);
	}
	forget_items(world);
}

/* Memory that is there when it is tried, and is not when the events come. */
static void page_goes_while_polling(struct kunit *test)
{
	struct world *world = test->priv;
	unsigned long page = (__force unsigned long)world->page;
	struct timespec64 zero = {};
	const struct body *body;

	open_items(world, 20);
	for (body = bodies; body < BODIES_END; body++) {
		if (!body->looks_ahead)
			continue;
		watch_mixed(world, 20);
		KUNIT_ASSERT_EQ(test, clear_user(world->page, PAGE_SIZE), 0);
		world->items[2].unmaps = world->page;
		KUNIT_EXPECT_EQ(test, body->wait(world->epfd, (void __user *)world->page, 20,
						 &zero), -EFAULT);
		world->items[2].unmaps = NULL;
		KUNIT_EXPECT_GT(test, world->items[2].polls, world->items[2].polls_due);
		KUNIT_ASSERT_EQ(test, vm_mmap(NULL, page, PAGE_SIZE, PROT_READ | PROT_WRITE,
					      MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, 0), page);
		/* All is pending, in order. */
		model_was_not_asked(world);
		KUNIT_EXPECT_EQ(test, wait_for(world, body, 20), 20);
		drain(world, body);
	}
}

#define STEPS		ROUNDS(20000, 4000)
#define SCRIPT_ITEMS	48

static u32 random_mask(struct rnd_state *rnd)
{
	static const __poll_t bits[] = {
		EPOLLIN, EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, EPOLLERR, EPOLLHUP,
	};
	__poll_t mask = 0;
	int i;

	for (i = prandom_u32_state(rnd) % 3; i >= 0; i--)
		mask |= bits[prandom_u32_state(rnd) % ARRAY_SIZE(bits)];
	return BITS(mask);
}

static void random_step(struct world *world, const struct body *body, struct rnd_state *rnd)
{
	unsigned int index = prandom_u32_state(rnd) % SCRIPT_ITEMS, max;
	u32 mode = modes[prandom_u32_state(rnd) % ARRAY_SIZE(modes)];
	struct item *item = &world->items[index];
	struct kunit *test = world->test;

	switch (prandom_u32_state(rnd) % 16) {
	case 0 ... 5:
		set_ready(world, index, (__force __poll_t)random_mask(rnd));
		break;
	case 6 ... 7:
		set_idle(world, index);
		break;
	case 8:
		if (item->added)
			KUNIT_EXPECT_EQ(test, control(world, EPOLL_CTL_DEL, index, 0), 0);
		break;
	case 9 ... 11:
		if (!item->added && !(prandom_u32_state(rnd) % 4))
			KUNIT_EXPECT_EQ(test, control(world, EPOLL_CTL_ADD, index,
						      BITS(EPOLLIN | EPOLLEXCLUSIVE) |
						      (mode & BITS(EPOLLET))), 0);
		else if (!item->added)
			KUNIT_EXPECT_EQ(test, control(world, EPOLL_CTL_ADD, index,
						      random_mask(rnd) | mode), 0);
		else if (!(item->interest & BITS(EPOLLEXCLUSIVE)))
			KUNIT_EXPECT_EQ(test, control(world, EPOLL_CTL_MOD, index,
						      random_mask(rnd) | mode), 0);
		break;
	default:
		max = 1 + prandom_u32_state(rnd) % (SCRIPT_ITEMS + 2);
		if (prandom_u32_state(rnd) % 2)
			wait_for(world, body, max);
		else
			wait_into(world, body, max,
				  prandom_u32_state(rnd) % (max * EVENT_SIZE + 1));
	}
}

static void random_script_against_model(struct kunit *test)
{
	struct world *world = test->priv;
	u64 start_seed = seed ?: get_random_u32();
	const struct body *body;
	struct rnd_state rnd;
	int step;

	kunit_info(test, "%d steps in each arm, seed %llu", STEPS, start_seed);
	open_items(world, SCRIPT_ITEMS);
	for (body = bodies; body < BODIES_END; body++) {
		prandom_seed_state(&rnd, start_seed);
		forget_items(world);
		for (step = 0; step < STEPS; step++) {
			random_step(world, body, &rnd);
			if (test->status == KUNIT_FAILURE) {
				kunit_err(test, "%s: step %d\n", body->name, step);
				return;
			}
		}
	}
}

/* Files of the kernel's own, by its system calls. */
static void eventfds(struct kunit *test)
{
	struct world *world = test->priv;
	u64 __user *word = (u64 __user *)world->page;
	struct epoll_event __user *to = (void __user *)(world->page + 64);
	struct timespec64 zero = {};
	struct epoll_event event;
	const struct body *body;
	int fds[20], i, round;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = SYSCALL(eventfd2, 0, O_NONBLOCK, 0, 0);
		KUNIT_ASSERT_GE(test, fds[i], 0);
		event.events = EPOLLIN | (i % 2 ? EPOLLET : 0);
		event.data = i;
		KUNIT_EXPECT_EQ(test, do_epoll_ctl(world->epfd, EPOLL_CTL_ADD, fds[i], &event,
						   false), 0);
	}
	for (body = bodies; body < BODIES_END; body++) {
		KUNIT_EXPECT_EQ(test, body->wait(world->epfd, to, 32, &zero), 0);
		KUNIT_ASSERT_EQ(test, put_user(1ULL, word), 0);
		for (i = 0; i < ARRAY_SIZE(fds); i++)
			KUNIT_EXPECT_EQ(test, SYSCALL(write, fds[i], word, 8, 0), 8);
		/* All, in order; then those that are level-triggered, as before. */
		for (round = 0; round < 3; round++) {
			int n = round ? ARRAY_SIZE(fds) / 2 : ARRAY_SIZE(fds);

			KUNIT_EXPECT_EQ(test, body->wait(world->epfd, to, 32, &zero), n);
			for (i = 0; i < n; i++) {
				KUNIT_ASSERT_EQ(test, copy_from_user(&event, to + i, EVENT_SIZE),
						0);
				KUNIT_EXPECT_EQ(test, event.data, round ? 2 * i : i);
				KUNIT_EXPECT_EQ(test, BITS(event.events),
						BITS(EPOLLIN));
			}
		}
		for (i = 0; i < ARRAY_SIZE(fds); i++)
			KUNIT_EXPECT_EQ(test, SYSCALL(read, fds[i], word, 8, 0), 8);
		KUNIT_EXPECT_EQ(test, body->wait(world->epfd, to, 32, &zero), 0);
	}
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		close_fd(fds[i]);
}

static void nested_instances(struct kunit *test)
{
	struct world *world = test->priv;
	struct epoll_event __user *to = (void __user *)world->page;
	struct epoll_event event = { .events = EPOLLIN, .data = 77 };
	int outer = SYSCALL(epoll_create1, 0, 0, 0, 0);
	struct timespec64 zero = {};
	const struct body *body;

	KUNIT_ASSERT_GE(test, outer, 0);
	open_items(world, 2);
	KUNIT_EXPECT_EQ(test, do_epoll_ctl(outer, EPOLL_CTL_ADD, world->epfd, &event, false), 0);
	KUNIT_EXPECT_EQ(test, control(world, EPOLL_CTL_ADD, 0, BITS(EPOLLIN)), 0);
	KUNIT_EXPECT_EQ(test, control(world, EPOLL_CTL_ADD, 1, BITS(EPOLLIN)), 0);
	for (body = bodies; body < BODIES_END; body++) {
		KUNIT_EXPECT_EQ(test, body->wait(outer, to, 4, &zero), 0);
		set_ready(world, 0, EPOLLIN);
		KUNIT_EXPECT_EQ(test, body->wait(outer, to, 4, &zero), 1);
		set_ready(world, 1, EPOLLIN);
		/* One that can be delivered, one that cannot. */
		KUNIT_EXPECT_EQ(test, body->wait(outer, to, 4, &zero), 1);
		KUNIT_ASSERT_EQ(test, copy_from_user(&event, to, EVENT_SIZE), 0);
		KUNIT_EXPECT_EQ(test, event.data, 77);
		KUNIT_EXPECT_EQ(test, body->wait(outer, (void __user *)(world->page + PAGE_SIZE),
						 4, &zero), -EFAULT);
		KUNIT_EXPECT_EQ(test, body->wait(outer, to, 4, &zero), 1);
		/* The inner one's list is not touched but by looking at it. */
		model_was_not_asked(world);
		KUNIT_EXPECT_EQ(test, wait_for(world, body, 4), 2);
		set_idle(world, 0);
		set_idle(world, 1);
		KUNIT_EXPECT_EQ(test, body->wait(outer, to, 4, &zero), 0);
		model_was_not_asked(world);
		/* And there what is not ready is dropped, too. */
		world->nready = 0;
		world->items[0].listed = false;
		world->items[1].listed = false;
	}
	close_fd(outer);
}

static void arguments_that_are_wrong(struct kunit *test)
{
	struct world *world = test->priv;
	struct epoll_event __user *to = (void __user *)world->page;
	struct epoll_event __user *kernel = (void __user *)(unsigned long)world->got;
	struct timespec64 zero = {};
	const struct body *body;

	open_items(world, 1);
	for (body = bodies; body < BODIES_END; body++) {
		KUNIT_EXPECT_EQ(test, body->wait(world->epfd, to, 0, &zero), -EINVAL);
		KUNIT_EXPECT_EQ(test, body->wait(world->epfd, to, -1, &zero), -EINVAL);
		KUNIT_EXPECT_EQ(test, body->wait(world->epfd, to, INT_MAX, &zero), -EINVAL);
		KUNIT_EXPECT_EQ(test, body->wait(-1, to, 1, &zero), -EBADF);
		KUNIT_EXPECT_EQ(test, body->wait(1023, to, 1, &zero), -EBADF);
		KUNIT_EXPECT_EQ(test, body->wait(world->items[0].fd, to, 1, &zero), -EINVAL);
		KUNIT_EXPECT_EQ(test, body->wait(world->epfd, kernel, 1, &zero), -EFAULT);
		KUNIT_EXPECT_EQ(test, tasks_inside(), 0);
	}
}

/* It gives up at once, and what was pending still is. */
static void task_that_is_killed(struct kunit *test)
{
	struct world *world = test->priv;
	struct timespec64 zero = {};
	const struct body *body;
	int ret;

	open_items(world, 20);
	for (body = bodies; body < BODIES_END; body++) {
		watch_mixed(world, 20);
		allow_signal(SIGKILL);
		send_sig(SIGKILL, current, 1);
		ret = fatal_signal_pending(current) ?
			body->wait(world->epfd, (void __user *)world->page, 20, &zero) : -ESRCH;
		flush_signals(current);
		disallow_signal(SIGKILL);
		KUNIT_EXPECT_EQ_MSG(test, ret, -EINTR, "%s", body->name);
		KUNIT_EXPECT_EQ(test, wait_for(world, body, 20), 20);
	}
}

/**
 * struct sleeper - a thread that waits without a time limit
 * @thread: the thread
 * @mm: whose memory it writes to
 * @body: how
 * @epfd: for what
 * @to: where to
 * @ret: what came of it
 * @done: it has
 */
struct sleeper {
	struct task_struct *thread;
	struct mm_struct *mm;
	const struct body *body;
	int epfd;
	struct epoll_event __user *to;
	int ret;
	struct completion done;
};

static int sleep_in_epoll_wait(void *data)
{
	struct sleeper *sleeper = data;

	kthread_use_mm(sleeper->mm);
	sleeper->ret = sleeper->body->wait(sleeper->epfd, sleeper->to, 4, NULL);
	kthread_unuse_mm(sleeper->mm);
	complete(&sleeper->done);
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

static bool sleeper_start(struct sleeper *sleeper, struct world *world, const struct body *body)
{
	*sleeper = (struct sleeper){
		.mm = current->mm, .body = body, .epfd = world->epfd,
		.to = (void __user *)world->page,
	};
	init_completion(&sleeper->done);
	sleeper->thread = kthread_run(sleep_in_epoll_wait, sleeper, "epoll-sleeper");
	return !IS_ERR(sleeper->thread);
}

/* Wait, for long enough on any machine, until a condition holds. */
#define eventually(condition)					\
({								\
	unsigned long until = jiffies + 60 * HZ;		\
	bool holds;						\
								\
	while (!(holds = (condition)) && time_before(jiffies, until)) \
		msleep(20);					\
	holds;							\
})

static void sleeps_and_is_woken(struct kunit *test)
{
	struct world *world = test->priv;
	struct sleeper sleeper;
	const struct body *body;

	open_items(world, 1);
	KUNIT_EXPECT_EQ(test, control(world, EPOLL_CTL_ADD, 0, BITS(EPOLLIN | EPOLLET)), 0);
	for (body = bodies; body < BODIES_END; body++) {
		u64 inside = body->arm != UPLIFT_ARM_OFF;

		KUNIT_ASSERT_TRUE(test, sleeper_start(&sleeper, world, body));
		KUNIT_EXPECT_TRUE(test,
				  eventually(tasks_inside() == inside));
		msleep(100);
		KUNIT_EXPECT_FALSE(test, completion_done(&sleeper.done));
		set_ready(world, 0, EPOLLIN);
		KUNIT_EXPECT_TRUE(test, eventually(completion_done(&sleeper.done)));
		KUNIT_EXPECT_EQ_MSG(test, sleeper.ret, 1, "%s", body->name);
		kthread_stop(sleeper.thread);
		KUNIT_EXPECT_EQ(test, tasks_inside(), 0);
		model_was_not_asked(world);
		model_remove(world, 0);
		set_idle(world, 0);
	}
}

/* --- in place of the kernel's function --- */

static const struct uplift_arm arms[] = {
	[UPLIFT_ARM_NULL]	= { .bodies = UPLIFT_EPOLL_NULL },
	[UPLIFT_ARM_NEW]	= { .bodies = UPLIFT_EPOLL_NEW },
	[UPLIFT_ARM_BATCH]	= { .bodies = UPLIFT_EPOLL_BATCH, .name = "batch" },
};

static struct uplift_function functions[] = {
	UPLIFT_EPOLL_FUNCTIONS
};

static struct uplift_redirect redirect = {
	.owner = THIS_MODULE,
	.functions = functions,
	.nr_functions = ARRAY_SIZE(functions),
	.arms = arms,
	.nr_arms = ARRAY_SIZE(arms),
	.count = uplift_epoll_count,
};

static void redirected_under_a_sleeper(struct kunit *test)
{
	struct world *world = test->priv;
	struct sleeper sleeper;
	struct body through;
	unsigned long addr;
	int round, arm;

	if (uplift_resolve(UPLIFT_EPOLL_FUNCTION, &addr))
		kunit_skip(test, "the compiler left no " UPLIFT_EPOLL_FUNCTION "()");
	KUNIT_ASSERT_EQ(test, uplift_redirect_init(&redirect), 0);
	open_items(world, 40);

	for (round = 0; round < 8; round++) {
		int begin = round % ARRAY_SIZE(arms);

		KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, begin), 0);
		forget_items(world);
		KUNIT_EXPECT_EQ(test, control(world, EPOLL_CTL_ADD, 0,
					      BITS(EPOLLIN | EPOLLET)), 0);
		if (!sleeper_start(&sleeper, world, &bodies[0]))
			break;
		KUNIT_EXPECT_TRUE(test, eventually(uplift_redirect_inside(&redirect) == !!begin));
		msleep(50);
		for (arm = 0; arm <= ARRAY_SIZE(arms); arm++)
			KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect,
								  arm % ARRAY_SIZE(arms)), 0);
		KUNIT_EXPECT_FALSE(test, completion_done(&sleeper.done));
		set_ready(world, 0, EPOLLIN);
		KUNIT_EXPECT_TRUE(test, eventually(completion_done(&sleeper.done)));
		KUNIT_EXPECT_EQ(test, sleeper.ret, 1);
		kthread_stop(sleeper.thread);
		model_was_not_asked(world);
		model_remove(world, 0);

		/* No task sleeps: deliver through the hook. */
		KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, begin), 0);
		through = bodies[begin];
		through.wait = epoll_wait_off;
		watch_mixed(world, 40);
		wait_into(world, &through, 40, 100);
		wait_for(world, &through, 40);
		drain(world, &through);
	}
	KUNIT_EXPECT_EQ(test, uplift_redirect_set(&redirect, UPLIFT_ARM_OFF), 0);
	KUNIT_EXPECT_TRUE(test, eventually(!READ_ONCE(redirect.pins)));
	uplift_redirect_exit(&redirect);
}

/* --- speed: reported, never judged --- */

#define SPEED_ROUNDS	5
#define SPEED_EVENTS	(IS_ENABLED(CONFIG_KASAN) ? 512 : 4096)

static void speed_per_event(struct kunit *test)
{
	static const unsigned int sizes[] = { 1, 16, 256 };
	struct world *world = test->priv;
	struct epoll_event __user *to = (void __user *)world->page;
	u64 best[ARRAY_SIZE(bodies)], start;
	struct timespec64 zero = {};
	unsigned int round, i, n, b, wrong = 0;

	open_items(world, ITEMS);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		forget_items(world);
		for (n = 0; n < sizes[i]; n++) {
			KUNIT_ASSERT_EQ(test, control(world, EPOLL_CTL_ADD, n,
						      BITS(EPOLLIN)), 0);
			set_ready(world, n, EPOLLIN);
		}
		memset(best, 0xff, sizeof(best));
		/* Interleaved, so that a busy machine is busy for all of them. */
		for (round = 0; round < SPEED_ROUNDS; round++) {
			for (b = 0; b < ARRAY_SIZE(bodies); b++) {
				start = ktime_get_ns();
				for (n = 0; n < SPEED_EVENTS; n += sizes[i])
					wrong += bodies[b].wait(world->epfd, to, ITEMS, &zero) !=
						 sizes[i];
				best[b] = min(best[b], ktime_get_ns() - start);
			}
		}
		kunit_info(test, "%u ready: off %llu, null %llu, new %llu, batch %llu ns per event",
			   sizes[i], div_u64(best[0], SPEED_EVENTS),
			   div_u64(best[1], SPEED_EVENTS), div_u64(best[2], SPEED_EVENTS),
			   div_u64(best[3], SPEED_EVENTS));
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

/* --- one world per case --- */

static int epoll_suite_init(struct kunit_suite *suite)
{
	return uplift_bind_builtin(&uplift_epoll_bodies, uplift_epoll_bodies_end);
}

static int epoll_init(struct kunit *test)
{
	struct world *world = kunit_kzalloc(test, sizeof(*world), GFP_KERNEL);
	unsigned long page;

	if (!world)
		return -ENOMEM;
	world->test = test;
	world->items = kunit_kcalloc(test, ITEMS, sizeof(*world->items), GFP_KERNEL);
	world->expected = kunit_kcalloc(test, ITEMS, EVENT_SIZE, GFP_KERNEL);
	world->got = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	if (!world->items || !world->expected || !world->got)
		return -ENOMEM;
	page = kunit_vm_mmap(test, NULL, 0, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	if (!page || IS_ERR_VALUE(page))
		return -ENOMEM;
	if (vm_munmap(page + PAGE_SIZE, PAGE_SIZE))
		return -ENOMEM;
	world->page = (char __user *)page;
	world->epfd = SYSCALL(epoll_create1, 0, 0, 0, 0);
	if (world->epfd < 0)
		return world->epfd;
	test->priv = world;
	return 0;
}

static void epoll_exit(struct kunit *test)
{
	struct world *world = test->priv;
	unsigned int i;

	if (!world)
		return;
	for (i = 0; i < world->nitems; i++)
		close_fd(world->items[i].fd);
	close_fd(world->epfd);
	flush_delayed_fput();
	KUNIT_EXPECT_TRUE(test, eventually(!atomic_read(&files_open)));
	KUNIT_EXPECT_EQ(test, tasks_inside(), 0);
}

static struct kunit_case epoll_cases[] = {
	KUNIT_CASE(nothing_ready),
	KUNIT_CASE(each_mode_by_itself),
	KUNIT_CASE_SLOW(maxevents_of_every_size),
	KUNIT_CASE_SLOW(unready_among_ready),
	KUNIT_CASE_SLOW(fault_at_every_byte),
	KUNIT_CASE(files_that_forget),
	KUNIT_CASE(page_goes_while_polling),
	KUNIT_CASE_SLOW(random_script_against_model),
	KUNIT_CASE(eventfds),
	KUNIT_CASE(nested_instances),
	KUNIT_CASE(arguments_that_are_wrong),
	KUNIT_CASE(task_that_is_killed),
	KUNIT_CASE(sleeps_and_is_woken),
	KUNIT_CASE_SLOW(redirected_under_a_sleeper),
	KUNIT_CASE_SLOW(speed_per_event),
	{}
};

static struct kunit_suite epoll_suite = {
	.name = "uplift_epoll",
	.suite_init = epoll_suite_init,
	.init = epoll_init,
	.exit = epoll_exit,
	.test_cases = epoll_cases,
};

kunit_test_suite(epoll_suite);

MODULE_DESCRIPTION("KUnit tests of the bodies of the epoll change");
MODULE_LICENSE("GPL");
