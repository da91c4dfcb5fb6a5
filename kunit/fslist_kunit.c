// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the cached filesystem list, modules/fslist/fslist_core.c.
 *
 * The list under test is kept and rendered as fs/filesystems.c does it up to
 * Linux 7.1: singly linked, under a rwlock, entry by entry with seq_printf().
 * What must come out is decided by things that share no code with it: an
 * array of names rendered with snprintf(), and for what a read means (offsets,
 * ends, faults, what a file remembers) the kernel's own seq_file, opened on
 * that rendering and read with the same positions and sizes.
 *
 * Everything that the core allocates comes from slab caches of this suite, so
 * that after each case it can be seen that everything was given back.
 */
#if !IS_ENABLED(CONFIG_KUNIT)
#error "this kernel has CONFIG_KUNIT off: the suite would load there and run nothing"
#endif

#include <kunit/test.h>
#include <linux/bvec.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "../modules/fslist/fslist_core.h"
#include "rounds.h"

static ulong seed;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "of the random scripts; 0 takes another one each time and prints it");

#define TEXT_MAX	SZ_128K
#define NAME_MAX_LEN	(2 * PAGE_SIZE)
#define ENTRIES_MAX	1024
#define GUARD		0xa5

/* An entry of the list as the kernel keeps it. */
struct fs_entry {
	struct fs_entry *next;
	bool nodev;
	char name[];
};

/* An entry of the model. */
struct model_entry {
	const char *name;
	bool nodev;
	struct fs_entry *twin;
};

/**
 * struct world - a filesystem list, its cache, and what must come out
 * @test: the case that runs
 * @cache: what is tested
 * @ops: its surroundings
 * @lock: protects @first and what it leads to
 * @first: the list as the kernel keeps it
 * @model: the same list as an array
 * @entries: used elements of @model
 * @text: @model rendered
 * @len: length of @text
 * @buf: for reads, as large as @text can be
 * @shows: how often the list was rendered entry by entry
 * @allocs: how often the core allocated
 * @settles: how often the core asked for untracked changes to be waited out
 * @fail_alloc: make this allocation fail, counted from @allocs == 1; 0 for none
 * @show_error: what rendering returns
 * @before_show: called when rendering begins, before the list is looked at
 * @after_show: called when the list has been looked at
 */
struct world {
	struct kunit *test;
	struct fslist_cache cache;
	struct fslist_ops ops;
	rwlock_t lock;
	struct fs_entry *first;
	struct model_entry *model;
	unsigned int entries;
	char *text;
	size_t len;
	char *buf;
	unsigned int shows;
	unsigned int allocs;
	unsigned int settles;
	unsigned int fail_alloc;
	int show_error;
	void (*before_show)(struct world *world);
	void (*after_show)(struct world *world);
};

/* A file that has the list open. */
struct reader {
	void *state;
	loff_t pos;
};

/* fslist_ops.alloc takes no context; cases run one at a time. */
static struct world *the_world;

/* --- memory that is accounted for --- */

#define SLAB_SHIFT_MIN	6
#define SLAB_SHIFT_MAX	17
static struct kmem_cache *slabs[SLAB_SHIFT_MAX + 1];

static void *accounted_alloc(size_t size, gfp_t gfp)
{
	unsigned int shift = max(ilog2(roundup_pow_of_two(size)), SLAB_SHIFT_MIN);

	if (shift > SLAB_SHIFT_MAX)
		return kvmalloc(size, gfp);
	return kmem_cache_alloc(slabs[shift], gfp);
}

/* Are there objects that were not freed? */
static bool anything_leaked(void)
{
	bool leaked = false;
	int shift;

	kvfree_rcu_barrier();
	rcu_barrier();
	for (shift = SLAB_SHIFT_MIN; shift <= SLAB_SHIFT_MAX; shift++)
		leaked |= kmem_cache_shrink(slabs[shift]);
	return leaked;
}

static int fslist_suite_init(struct kunit_suite *suite)
{
	int shift;

	for (shift = SLAB_SHIFT_MIN; shift <= SLAB_SHIFT_MAX; shift++) {
		char *name = kasprintf(GFP_KERNEL, "uplift_fslist_kunit-%u", 1U << shift);

		if (!name)
			return -ENOMEM;
		/* Not merged with others' caches, or others' objects would count. */
		slabs[shift] = kmem_cache_create(name, 1U << shift, 0, SLAB_NO_MERGE, NULL);
		kfree_const(name);
		if (!slabs[shift])
			return -ENOMEM;
	}
	return 0;
}

static void fslist_suite_exit(struct kunit_suite *suite)
{
	int shift;

	for (shift = SLAB_SHIFT_MIN; shift <= SLAB_SHIFT_MAX; shift++) {
		kmem_cache_destroy(slabs[shift]);
		slabs[shift] = NULL;
	}
}

/* --- the list and its model --- */

static void *world_alloc(size_t size, gfp_t gfp)
{
	struct world *world = the_world;

	world->allocs++;
	if (world->allocs == world->fail_alloc)
		return NULL;
	return accounted_alloc(size, gfp);
}

static void world_settle(void *private)
{
	struct world *world = private;

	world->settles++;
}

/* filesystems_proc_show() of Linux 7.1, on our list */
static int world_show(struct seq_file *m, void *v)
{
	struct world *world = m->private;
	struct fs_entry *entry;

	world->shows++;
	if (world->before_show)
		world->before_show(world);
	read_lock(&world->lock);
	for (entry = world->first; entry; entry = entry->next)
		seq_printf(m, "%s\t%s\n", entry->nodev ? "nodev" : "", entry->name);
	read_unlock(&world->lock);
	if (world->after_show)
		world->after_show(world);
	return world->show_error;
}

static void model_render(struct world *world)
{
	unsigned int i;
	int len = 0;

	for (i = 0; i < world->entries; i++)
		len += snprintf(world->text + len, TEXT_MAX - len, "%s\t%s\n",
				world->model[i].nodev ? "nodev" : "", world->model[i].name);
	KUNIT_ASSERT_LT(world->test, len, TEXT_MAX);
	world->len = len;
}

/* What register_filesystem() does inside the lock: append. */
static void list_add_fs(struct world *world, const char *name, bool nodev)
{
	struct fs_entry **tail, *entry;
	size_t size = strlen(name) + 1;
	struct model_entry *model;

	KUNIT_ASSERT_LT(world->test, world->entries, ENTRIES_MAX);
	entry = kmalloc(struct_size(entry, name, size), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(world->test, entry);
	entry->next = NULL;
	entry->nodev = nodev;
	memcpy(entry->name, name, size);

	model = &world->model[world->entries++];
	model->name = kstrdup(name, GFP_KERNEL);
	model->nodev = nodev;
	model->twin = entry;
	KUNIT_ASSERT_NOT_NULL(world->test, model->name);
	model_render(world);

	write_lock(&world->lock);
	for (tail = &world->first; *tail; tail = &(*tail)->next)
		;
	*tail = entry;
	write_unlock(&world->lock);
}

/* What unregister_filesystem() does. */
static void list_del_fs(struct world *world, unsigned int index)
{
	struct model_entry gone = world->model[index];
	struct fs_entry **link;

	write_lock(&world->lock);
	for (link = &world->first; *link != gone.twin; link = &(*link)->next)
		;
	*link = gone.twin->next;
	write_unlock(&world->lock);
	kfree(gone.twin);
	kfree(gone.name);

	world->entries--;
	memmove(&world->model[index], &world->model[index + 1],
		(world->entries - index) * sizeof(gone));
	model_render(world);
}

static void list_clear(struct world *world)
{
	while (world->entries)
		list_del_fs(world, world->entries - 1);
}

static void fill_list(struct world *world, unsigned int entries)
{
	char name[32];

	while (world->entries < entries) {
		snprintf(name, sizeof(name), "fs%u", world->entries);
		list_add_fs(world, name, world->entries % 3);
	}
}

/* A change whose begin and end are both reported. */
static void register_fs(struct world *world, const char *name)
{
	fslist_change_begin(&world->cache);
	fslist_change_track(&world->cache);
	list_add_fs(world, name, true);
	fslist_change_end(&world->cache);
}

/* A change whose end is never reported. */
static void register_fs_untracked(struct world *world, const char *name)
{
	fslist_change_begin(&world->cache);
	list_add_fs(world, name, true);
}

static bool settle(struct world *world)
{
	return fslist_settle(&world->cache, fslist_settle_prepare(&world->cache));
}

static struct fslist_stats stats_of(struct world *world)
{
	struct fslist_stats stats;

	fslist_cache_stats(&world->cache, &stats);
	return stats;
}

/* --- reading --- */

static char __user *user_pages(struct kunit *test, unsigned int pages)
{
	unsigned long addr = kunit_vm_mmap(test, NULL, 0, pages * PAGE_SIZE,
					   PROT_READ | PROT_WRITE,
					   MAP_ANONYMOUS | MAP_PRIVATE, 0);

	KUNIT_ASSERT_NE_MSG(test, addr, 0, "no user memory");
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	return (char __user *)addr;
}

/* A page's address at which there is nothing. The process has memory otherwise. */
static char __user *user_nowhere(struct kunit *test)
{
	char __user *page = user_pages(test, 1);

	KUNIT_ASSERT_EQ(test, vm_munmap((unsigned long)page, PAGE_SIZE), 0);
	return page;
}

static void close_file(struct reader *reader)
{
	fslist_reader_release(&reader->state);
	*reader = (struct reader){};
}

static ssize_t read_kvec(struct world *world, struct reader *reader, void *to, size_t len)
{
	struct kvec vec = { .iov_base = to, .iov_len = len };
	struct iov_iter iter;

	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, len);
	return fslist_read(&world->cache, &reader->state, &iter, &reader->pos);
}

static ssize_t pread_kvec(struct world *world, struct reader *reader, void *to, size_t len,
			  loff_t pos)
{
	reader->pos = pos;
	return read_kvec(world, reader, to, len);
}

static ssize_t pread_user(struct world *world, struct reader *reader, char __user *to, size_t len,
			  loff_t pos)
{
	struct iov_iter iter;

	iov_iter_ubuf(&iter, ITER_DEST, to, len);
	reader->pos = pos;
	return fslist_read(&world->cache, &reader->state, &iter, &reader->pos);
}

/* A new file, read in one go, has the text of the list as it is, and an end. */
static void expect_current(struct world *world)
{
	struct kunit *test = world->test;
	struct reader reader = {};

	memset(world->buf, GUARD, world->len + 1);
	KUNIT_EXPECT_EQ(test, read_kvec(world, &reader, world->buf, TEXT_MAX), world->len);
	KUNIT_EXPECT_MEMEQ(test, world->buf, world->text, world->len);
	KUNIT_EXPECT_EQ(test, (u8)world->buf[world->len], GUARD);
	KUNIT_EXPECT_EQ(test, reader.pos, world->len);
	KUNIT_EXPECT_EQ(test, read_kvec(world, &reader, world->buf, TEXT_MAX), 0);
	KUNIT_EXPECT_EQ(test, reader.pos, world->len);
	close_file(&reader);
}

/* As expect_current(), and say whether the list was rendered for it. */
static bool renders(struct world *world)
{
	unsigned int before = world->shows;

	expect_current(world);
	return world->shows != before;
}

/* The next read renders and publishes, the one after that need not. */
static void expect_publishes(struct world *world)
{
	KUNIT_EXPECT_TRUE(world->test, renders(world));
	KUNIT_EXPECT_FALSE(world->test, renders(world));
}

/* However often one reads, nothing is published. */
static void expect_uncached(struct world *world)
{
	KUNIT_EXPECT_TRUE(world->test, renders(world));
	KUNIT_EXPECT_TRUE(world->test, renders(world));
}

/* --- one world per case --- */

static int fslist_init(struct kunit *test)
{
	struct world *world = kunit_kzalloc(test, sizeof(*world), GFP_KERNEL);

	if (!world)
		return -ENOMEM;
	world->test = test;
	world->model = kunit_kcalloc(test, ENTRIES_MAX, sizeof(*world->model), GFP_KERNEL);
	world->text = kunit_kmalloc(test, TEXT_MAX, GFP_KERNEL);
	world->buf = kunit_kmalloc(test, TEXT_MAX, GFP_KERNEL);
	if (!world->model || !world->text || !world->buf)
		return -ENOMEM;
	rwlock_init(&world->lock);
	world->ops.show = world_show;
	world->ops.alloc = world_alloc;
	world->ops.settle = world_settle;
	world->ops.private = world;
	fslist_cache_init(&world->cache, &world->ops);
	test->priv = world;
	the_world = world;
	return 0;
}

static void fslist_exit(struct kunit *test)
{
	struct world *world = test->priv;

	if (!world)
		return;
	fslist_cache_destroy(&world->cache);
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(world->cache.text));
	list_clear(world);
	KUNIT_EXPECT_FALSE_MSG(test, anything_leaked(), "the core kept memory");
}

/* --- building the text --- */

static void leak_check_notices_a_leak(struct kunit *test)
{
	void *object = accounted_alloc(100, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, object);
	KUNIT_EXPECT_TRUE(test, anything_leaked());
	kvfree(object);
	KUNIT_EXPECT_FALSE(test, anything_leaked());
}

static void build_empty_list(struct kunit *test)
{
	struct world *world = test->priv;

	expect_publishes(world);
	KUNIT_EXPECT_EQ(test, world->len, 0);
	register_fs(world, "ext4");
	expect_publishes(world);
	fslist_change_begin(&world->cache);
	fslist_change_track(&world->cache);
	list_clear(world);
	fslist_change_end(&world->cache);
	expect_publishes(world);
}

static void build_one_entry(struct kunit *test)
{
	struct world *world = test->priv;

	list_add_fs(world, "sysfs", true);
	expect_publishes(world);
	KUNIT_EXPECT_EQ(test, world->len, strlen("nodev\tsysfs\n"));
	KUNIT_EXPECT_MEMEQ(test, world->buf, "nodev\tsysfs\n", world->len);
}

static void build_device_and_nodev(struct kunit *test)
{
	struct world *world = test->priv;
	static const char text[] = "nodev\tproc\n\text4\nnodev\ttmpfs\n\tvfat\n";

	list_add_fs(world, "proc", true);
	list_add_fs(world, "ext4", false);
	list_add_fs(world, "tmpfs", true);
	list_add_fs(world, "vfat", false);
	expect_publishes(world);
	KUNIT_EXPECT_EQ(test, world->len, strlen(text));
	KUNIT_EXPECT_MEMEQ(test, world->buf, text, strlen(text));
}

static bool near_a_power_of_two(size_t size)
{
	return size + 8 - rounddown_pow_of_two(size + 8) <= 16;
}

/* Every size around those at which the first buffers are full. */
static void build_text_of_every_size(struct kunit *test)
{
	struct world *world = test->priv;
	char *name = kunit_kzalloc(test, NAME_MAX_LEN, GFP_KERNEL);
	size_t len;

	KUNIT_ASSERT_NOT_NULL(test, name);
	for (len = 1; len < 4200; len++) {
		if (KUNIT_SHORT && !near_a_power_of_two(len + strlen("\t\n")))
			continue;
		name[len - 1] = 'x';
		fslist_change_begin(&world->cache);
		fslist_change_track(&world->cache);
		list_clear(world);
		list_add_fs(world, name, false);
		fslist_change_end(&world->cache);
		expect_publishes(world);
	}
}

static void build_thousand_entries(struct kunit *test)
{
	struct world *world = test->priv;

	fill_list(world, 1000);
	expect_publishes(world);
	register_fs(world, "one_more");
	expect_publishes(world);
}

static void build_with_name_of(struct world *world, size_t len)
{
	struct kunit *test = world->test;
	char *name = kunit_kzalloc(test, NAME_MAX_LEN + 1, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, name);
	memset(name, 'n', len);
	list_add_fs(world, "short", false);
	list_add_fs(world, name, true);
	list_add_fs(world, "after", false);
	expect_publishes(world);
}

static void build_name_of_255(struct kunit *test)
{
	build_with_name_of(test->priv, 255);
}

static void build_name_larger_than_page(struct kunit *test)
{
	build_with_name_of(test->priv, PAGE_SIZE + 1);
}

static void overflow_after_show(struct world *world)
{
	/* The only thing that a show callback may do that never fits. */
	list_add_fs(world, "more", true);
}

static int endless_show(struct seq_file *m, void *v)
{
	struct world *world = m->private;

	world->shows++;
	m->count = m->size;
	return 0;
}

static void build_gives_up_on_endless_text(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader reader = {};

	world->ops.show = endless_show;
	KUNIT_EXPECT_EQ(test, read_kvec(world, &reader, world->buf, TEXT_MAX), -EFBIG);
	KUNIT_EXPECT_EQ(test, reader.pos, 0);
	KUNIT_EXPECT_GT(test, world->shows, 5);
	world->ops.show = world_show;
	list_add_fs(world, "proc", true);
	KUNIT_EXPECT_EQ(test, read_kvec(world, &reader, world->buf, TEXT_MAX), world->len);
	close_file(&reader);
}

/* A list that grows while its size is being found out still comes out whole. */
static void build_list_that_grows_under_the_buffer(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader reader = {};
	ssize_t ret;

	fill_list(world, 200);
	world->after_show = overflow_after_show;
	ret = read_kvec(world, &reader, world->buf, TEXT_MAX);
	world->after_show = NULL;
	/* The last rendering was followed by one more entry. */
	KUNIT_EXPECT_EQ(test, ret, world->len - strlen("nodev\tmore\n"));
	KUNIT_EXPECT_MEMEQ(test, world->buf, world->text, ret);
	close_file(&reader);
}

static void build_failing_show(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader reader = {};

	fill_list(world, 10);
	world->show_error = -EIO;
	KUNIT_EXPECT_EQ(test, read_kvec(world, &reader, world->buf, TEXT_MAX), -EIO);
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &reader, world->buf, 3, 2), -EIO);
	KUNIT_EXPECT_EQ(test, reader.pos, 2);
	world->show_error = 0;
	/* It failed at 2; that is no place where anything was begun. */
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &reader, world->buf, 3, 2), 3);
	KUNIT_EXPECT_MEMEQ(test, world->buf, world->text + 2, 3);
	close_file(&reader);
	KUNIT_EXPECT_EQ(test, stats_of(world).enomem, 0);
}

/* --- changes whose end is reported --- */

static void change_before_first_read(struct kunit *test)
{
	struct world *world = test->priv;

	fill_list(world, 5);
	register_fs(world, "xfs");
	expect_publishes(world);
	KUNIT_EXPECT_EQ(test, stats_of(world).changes, 1);
	KUNIT_EXPECT_EQ(test, stats_of(world).rebuilds, 1);
	KUNIT_EXPECT_EQ(test, stats_of(world).uncached, 0);
}

static void change_drops_published_text(struct kunit *test)
{
	struct world *world = test->priv;

	fill_list(world, 5);
	expect_publishes(world);
	fslist_change_begin(&world->cache);
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(world->cache.text));
	fslist_change_track(&world->cache);
	/* The list is as it was. A reader may render it, but not publish it. */
	expect_uncached(world);
	list_add_fs(world, "xfs", false);
	expect_uncached(world);
	fslist_change_end(&world->cache);
	expect_publishes(world);
}

static void change_that_fails(struct kunit *test)
{
	struct world *world = test->priv;

	fill_list(world, 5);
	expect_publishes(world);
	fslist_change_begin(&world->cache);
	fslist_change_track(&world->cache);
	fslist_change_end(&world->cache);
	expect_publishes(world);
	KUNIT_EXPECT_EQ(test, stats_of(world).changes, 1);
	KUNIT_EXPECT_EQ(test, stats_of(world).rebuilds, 2);
}

static void change_tracked_before_begun(struct kunit *test)
{
	struct world *world = test->priv;

	fill_list(world, 5);
	expect_publishes(world);
	fslist_change_track(&world->cache);
	/* A text that is already there is right until the change begins. */
	KUNIT_EXPECT_FALSE(test, renders(world));
	fslist_change_begin(&world->cache);
	expect_uncached(world);
	list_add_fs(world, "xfs", false);
	expect_uncached(world);
	fslist_change_end(&world->cache);
	expect_publishes(world);
}

static void begin_in_show(struct world *world)
{
	world->before_show = NULL;
	world->after_show = NULL;
	fslist_change_begin(&world->cache);
	fslist_change_track(&world->cache);
}

static void change_in_show(struct world *world)
{
	world->before_show = NULL;
	world->after_show = NULL;
	register_fs(world, "within");
}

static void untracked_change_in_show(struct world *world)
{
	world->before_show = NULL;
	world->after_show = NULL;
	register_fs_untracked(world, "within");
}

static void end_in_show(struct world *world)
{
	world->before_show = NULL;
	world->after_show = NULL;
	list_add_fs(world, "within", false);
	fslist_change_end(&world->cache);
}

/* Read while the hooks that are set do their part; what comes may be either text. */
static void read_around_change(struct world *world)
{
	struct kunit *test = world->test;
	struct reader reader = {};
	size_t old_len = world->len;
	ssize_t ret;

	ret = read_kvec(world, &reader, world->buf, TEXT_MAX);
	KUNIT_EXPECT_TRUE(test, ret == old_len || ret == world->len);
	if (ret > 0)
		KUNIT_EXPECT_MEMEQ(test, world->buf, world->text, ret);
	close_file(&reader);
	KUNIT_EXPECT_NULL_MSG(test, rcu_access_pointer(world->cache.text),
			      "a text that a change came near was published");
}

static void change_begins_within_build(struct kunit *test)
{
	struct world *world = test->priv;

	fill_list(world, 5);
	world->before_show = begin_in_show;
	read_around_change(world);
	expect_uncached(world);
	list_add_fs(world, "xfs", false);
	fslist_change_end(&world->cache);
	expect_publishes(world);

	register_fs(world, "btrfs");
	world->after_show = begin_in_show;
	read_around_change(world);
	list_add_fs(world, "f2fs", false);
	fslist_change_end(&world->cache);
	expect_publishes(world);
}

static void change_begins_and_ends_within_build(struct kunit *test)
{
	struct world *world = test->priv;

	fill_list(world, 5);
	world->before_show = change_in_show;
	read_around_change(world);
	expect_publishes(world);

	register_fs(world, "btrfs");
	world->after_show = change_in_show;
	read_around_change(world);
	expect_publishes(world);
}

static void change_ends_within_build(struct kunit *test)
{
	struct world *world = test->priv;

	fill_list(world, 5);
	fslist_change_begin(&world->cache);
	fslist_change_track(&world->cache);
	world->before_show = end_in_show;
	read_around_change(world);
	expect_publishes(world);

	fslist_change_begin(&world->cache);
	fslist_change_track(&world->cache);
	world->after_show = end_in_show;
	read_around_change(world);
	expect_publishes(world);
}

static void untracked_change_within_build(struct kunit *test)
{
	struct world *world = test->priv;

	fill_list(world, 5);
	world->after_show = untracked_change_in_show;
	read_around_change(world);
	expect_uncached(world);
	KUNIT_EXPECT_TRUE(test, settle(world));
	expect_publishes(world);
}

static void changes_nested(struct kunit *test)
{
	struct world *world = test->priv;

	fill_list(world, 5);
	expect_publishes(world);
	fslist_change_begin(&world->cache);
	fslist_change_track(&world->cache);
	register_fs(world, "inner");
	expect_uncached(world);
	list_add_fs(world, "outer", true);
	fslist_change_end(&world->cache);
	expect_publishes(world);
}

static void changes_overlapping(struct kunit *test)
{
	struct world *world = test->priv;

	fill_list(world, 5);
	expect_publishes(world);
	fslist_change_begin(&world->cache);	/* A */
	fslist_change_begin(&world->cache);	/* B */
	fslist_change_track(&world->cache);
	fslist_change_track(&world->cache);
	list_add_fs(world, "a", true);
	fslist_change_end(&world->cache);	/* A */
	expect_uncached(world);
	fslist_change_begin(&world->cache);	/* C */
	fslist_change_track(&world->cache);
	list_add_fs(world, "b", true);
	fslist_change_end(&world->cache);	/* B */
	expect_uncached(world);
	list_add_fs(world, "c", true);
	fslist_change_end(&world->cache);	/* C */
	expect_publishes(world);
	KUNIT_EXPECT_EQ(test, stats_of(world).changes, 3);
}

/* --- changes whose end is not reported --- */

static void untracked_change_stops_caching(struct kunit *test)
{
	struct world *world = test->priv;

	fill_list(world, 5);
	expect_publishes(world);
	KUNIT_EXPECT_EQ(test, world->settles, 0);
	register_fs_untracked(world, "xfs");
	expect_uncached(world);
	KUNIT_EXPECT_GT(test, world->settles, 0);
	/* Tracked ones that come and go do not make up for it. */
	register_fs(world, "btrfs");
	register_fs(world, "f2fs");
	expect_uncached(world);
	KUNIT_EXPECT_TRUE(test, settle(world));
	expect_publishes(world);
	KUNIT_EXPECT_EQ(test, stats_of(world).untracked, 1);
	KUNIT_EXPECT_EQ(test, stats_of(world).changes, 3);
}

static void untracked_change_without_settle_callback(struct kunit *test)
{
	struct world *world = test->priv;

	world->ops.settle = NULL;
	register_fs_untracked(world, "xfs");
	expect_uncached(world);
	KUNIT_EXPECT_TRUE(test, settle(world));
	expect_publishes(world);
}

static void settle_with_nothing_to_settle(struct kunit *test)
{
	struct world *world = test->priv;

	fill_list(world, 5);
	expect_publishes(world);
	KUNIT_EXPECT_TRUE(test, settle(world));
	KUNIT_EXPECT_FALSE(test, renders(world));
	KUNIT_EXPECT_EQ(test, stats_of(world).untracked, 0);
}

static void settle_refused_after_untracked_change(struct kunit *test)
{
	struct world *world = test->priv;
	u64 prepared;

	register_fs_untracked(world, "xfs");
	prepared = fslist_settle_prepare(&world->cache);
	fslist_change_begin(&world->cache);	/* and still under way */
	KUNIT_EXPECT_FALSE(test, fslist_settle(&world->cache, prepared));
	expect_uncached(world);
	list_add_fs(world, "btrfs", false);
	KUNIT_EXPECT_TRUE(test, settle(world));
	expect_publishes(world);
	KUNIT_EXPECT_EQ(test, stats_of(world).untracked, 2);
}

static void settle_refused_after_tracked_change(struct kunit *test)
{
	struct world *world = test->priv;
	u64 prepared;

	register_fs_untracked(world, "xfs");
	prepared = fslist_settle_prepare(&world->cache);
	register_fs(world, "btrfs");
	KUNIT_EXPECT_FALSE(test, fslist_settle(&world->cache, prepared));
	expect_uncached(world);
	KUNIT_EXPECT_TRUE(test, settle(world));
	expect_publishes(world);
	KUNIT_EXPECT_EQ(test, stats_of(world).untracked, 1);
}

/* begin without track, yet: settling it then would hide a change for good. */
static void settle_refused_half_way_into_tracked_change(struct kunit *test)
{
	struct world *world = test->priv;
	u64 prepared;

	fill_list(world, 3);
	register_fs_untracked(world, "xfs");
	prepared = fslist_settle_prepare(&world->cache);
	fslist_change_begin(&world->cache);
	KUNIT_EXPECT_FALSE(test, fslist_settle(&world->cache, prepared));
	fslist_change_track(&world->cache);
	expect_uncached(world);
	list_add_fs(world, "btrfs", false);
	fslist_change_end(&world->cache);
	KUNIT_EXPECT_TRUE(test, settle(world));
	expect_publishes(world);
	KUNIT_EXPECT_EQ(test, stats_of(world).untracked, 1);
	/* Nothing is left over that could hide the next one. */
	fslist_change_begin(&world->cache);
	expect_uncached(world);
	list_add_fs(world, "f2fs", false);
	KUNIT_EXPECT_TRUE(test, settle(world));
	expect_publishes(world);
	KUNIT_EXPECT_EQ(test, stats_of(world).untracked, 2);
}

/* A change that looked untracked when the wait began and was tracked in it. */
static void settle_counts_what_became_tracked(struct kunit *test)
{
	struct world *world = test->priv;
	u64 prepared;

	fslist_change_begin(&world->cache);
	prepared = fslist_settle_prepare(&world->cache);
	fslist_change_track(&world->cache);
	KUNIT_EXPECT_TRUE(test, fslist_settle(&world->cache, prepared));
	KUNIT_EXPECT_EQ(test, stats_of(world).untracked, 0);
	expect_uncached(world);
	list_add_fs(world, "xfs", false);
	fslist_change_end(&world->cache);
	expect_publishes(world);
	/* Had it been counted, this one would go unnoticed. */
	fslist_change_begin(&world->cache);
	expect_uncached(world);
	KUNIT_EXPECT_TRUE(test, settle(world));
	expect_publishes(world);
}

static void settle_during_tracked_change(struct kunit *test)
{
	struct world *world = test->priv;

	fslist_change_begin(&world->cache);
	fslist_change_track(&world->cache);
	register_fs_untracked(world, "xfs");
	KUNIT_EXPECT_TRUE(test, settle(world));
	/* The tracked one is still under way. */
	expect_uncached(world);
	list_add_fs(world, "btrfs", false);
	fslist_change_end(&world->cache);
	expect_publishes(world);
	KUNIT_EXPECT_EQ(test, stats_of(world).untracked, 1);
}

/* --- what a file remembers --- */

static void whole_read_of_published_text_allocates_nothing(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader reader = {};
	unsigned int allocs;
	int i;

	fill_list(world, 20);
	expect_publishes(world);
	allocs = world->allocs;
	for (i = 0; i < 1000; i++) {
		KUNIT_EXPECT_EQ(test, pread_kvec(world, &reader, world->buf, TEXT_MAX, 0),
				world->len);
		KUNIT_EXPECT_EQ(test, read_kvec(world, &reader, world->buf, TEXT_MAX), 0);
		/* A buffer of just the size will do. */
		KUNIT_EXPECT_EQ(test, pread_kvec(world, &reader, world->buf, world->len, 0),
				world->len);
		if (i % 2)
			close_file(&reader);
	}
	close_file(&reader);
	KUNIT_EXPECT_EQ(test, world->shows, 1);
	KUNIT_EXPECT_EQ(test, world->allocs, allocs);
	KUNIT_EXPECT_EQ(test, stats_of(world).rebuilds, 1);
}

static void partial_read_keeps_text_across_change(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader reader = {};
	char *old = world->buf + TEXT_MAX / 2;
	size_t old_len, done = 0;
	ssize_t ret;

	fill_list(world, 50);
	old_len = world->len;
	memcpy(old, world->text, old_len);
	while ((ret = read_kvec(world, &reader, world->buf + done, 7)) > 0) {
		done += ret;
		/* Longer, shorter, and back to nothing: it must not matter. */
		fslist_change_begin(&world->cache);
		fslist_change_track(&world->cache);
		if (done < 100)
			list_add_fs(world, "xfs", false);
		else if (world->entries)
			list_del_fs(world, 0);
		fslist_change_end(&world->cache);
		KUNIT_ASSERT_LE(test, done, old_len);
	}
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, done, old_len);
	KUNIT_EXPECT_MEMEQ(test, world->buf, old, old_len);
	close_file(&reader);
	expect_publishes(world);
}

static void end_of_file_stays_after_growth(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader whole = {}, pieces = {}, beyond = {};
	size_t len;

	fill_list(world, 10);
	expect_publishes(world);
	len = world->len;
	KUNIT_EXPECT_EQ(test, read_kvec(world, &whole, world->buf, TEXT_MAX), len);
	KUNIT_EXPECT_EQ(test, read_kvec(world, &pieces, world->buf, 10), 10);
	KUNIT_EXPECT_EQ(test, read_kvec(world, &pieces, world->buf, TEXT_MAX), len - 10);
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &beyond, world->buf, 5, len + 3), 0);

	register_fs(world, "a_name_that_is_long_enough");
	KUNIT_EXPECT_EQ(test, read_kvec(world, &whole, world->buf, TEXT_MAX), 0);
	KUNIT_EXPECT_EQ(test, read_kvec(world, &pieces, world->buf, TEXT_MAX), 0);
	/* seq_file as well: this is where the last read ended, and it had ended. */
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &beyond, world->buf, 5, len + 3), 0);
	KUNIT_EXPECT_EQ(test, whole.pos, len);
	KUNIT_EXPECT_EQ(test, pieces.pos, len);

	/* Any other place is another matter. */
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &whole, world->buf, TEXT_MAX, len - 1),
			world->len - len + 1);
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &pieces, world->buf, 5, len + 1), 5);
	KUNIT_EXPECT_MEMEQ(test, world->buf, world->text + len + 1, 5);
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &beyond, world->buf, 5, len), 5);
	close_file(&whole);
	close_file(&pieces);
	close_file(&beyond);
}

static void read_at_zero_refreshes(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader reader = {};

	fill_list(world, 10);
	KUNIT_EXPECT_EQ(test, read_kvec(world, &reader, world->buf, 10), 10);
	fslist_change_begin(&world->cache);
	fslist_change_track(&world->cache);
	list_del_fs(world, 0);
	fslist_change_end(&world->cache);
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &reader, world->buf, 10, 0), 10);
	KUNIT_EXPECT_MEMEQ(test, world->buf, world->text, 10);
	register_fs(world, "xfs");
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &reader, world->buf, TEXT_MAX, 0), world->len);
	KUNIT_EXPECT_MEMEQ(test, world->buf, world->text, world->len);
	close_file(&reader);
}

/* The same text again, on which the file already has a reference. */
static void read_elsewhere_in_published_text(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader reader = {};
	loff_t pos;

	fill_list(world, 10);
	expect_publishes(world);
	for (pos = 5; pos < 50; pos += 7) {
		KUNIT_EXPECT_EQ(test, pread_kvec(world, &reader, world->buf, 3, pos), 3);
		KUNIT_EXPECT_MEMEQ(test, world->buf, world->text + pos, 3);
	}
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &reader, world->buf, 3, 0), 3);
	KUNIT_EXPECT_EQ(test, world->shows, 1);
	close_file(&reader);
}

static void seek_away_and_back_ends_what_was_begun(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader half = {}, whole = {}, still = {};
	loff_t old_len;

	fill_list(world, 10);
	expect_publishes(world);
	old_len = world->len;
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &half, world->buf, 3, 0), 3);
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &still, world->buf, 3, 0), 3);
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &whole, world->buf, TEXT_MAX / 2, 0), old_len);
	fslist_reader_seek(&half.state, 0);
	fslist_reader_seek(&whole.state, 0);
	/* To where it stands already: nothing is dropped. */
	fslist_reader_seek(&still.state, 3);

	register_fs(world, "xfs");
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &half, world->buf, TEXT_MAX / 2, 3),
			world->len - 3);
	KUNIT_EXPECT_MEMEQ(test, world->buf, world->text + 3, world->len - 3);
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &whole, world->buf, TEXT_MAX / 2, old_len),
			world->len - old_len);
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &still, world->buf, TEXT_MAX / 2, 3),
			old_len - 3);
	close_file(&half);
	close_file(&whole);
	close_file(&still);
}

static void read_of_nothing_changes_nothing(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader reader = {};

	fill_list(world, 10);
	KUNIT_EXPECT_EQ(test, read_kvec(world, &reader, world->buf, 0), 0);
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &reader, world->buf, 0, 17), 0);
	KUNIT_EXPECT_PTR_EQ(test, reader.state, NULL);
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &reader, world->buf, 5, 0), 5);
	register_fs(world, "xfs");
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &reader, world->buf, 0, 0), 0);
	/* Still the text that was begun. */
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &reader, world->buf, TEXT_MAX, 5),
			world->len - 5 - strlen("nodev\txfs\n"));
	close_file(&reader);
}

static void release_in_every_state(struct kunit *test)
{
	char __user *nowhere = user_nowhere(test);
	struct world *world = test->priv;
	struct reader reader = {};

	fill_list(world, 10);
	/* new */
	close_file(&reader);
	/* read in one go, uncached and cached */
	pread_kvec(world, &reader, world->buf, TEXT_MAX, 0);
	close_file(&reader);
	pread_kvec(world, &reader, world->buf, TEXT_MAX, 0);
	KUNIT_EXPECT_TRUE(test, fslist_is_end_mark(reader.state));
	close_file(&reader);
	/* half-way, with a text that is published, and with one that no longer is */
	pread_kvec(world, &reader, world->buf, 10, 0);
	KUNIT_EXPECT_TRUE(test, fslist_is_partial(reader.state));
	fslist_reader_release(&reader.state);
	KUNIT_EXPECT_PTR_EQ(test, reader.state, NULL);
	close_file(&reader);
	pread_kvec(world, &reader, world->buf, 10, 0);
	register_fs(world, "xfs");
	close_file(&reader);
	/* at the end by pieces */
	pread_kvec(world, &reader, world->buf, 10, 0);
	read_kvec(world, &reader, world->buf, TEXT_MAX);
	close_file(&reader);
	/* after a fault, at the begin and half-way */
	KUNIT_EXPECT_EQ(test, pread_user(world, &reader, nowhere, PAGE_SIZE, 0), -EFAULT);
	close_file(&reader);
	pread_kvec(world, &reader, world->buf, 10, 0);
	KUNIT_EXPECT_EQ(test, pread_user(world, &reader, nowhere, 3, 10), -EFAULT);
	close_file(&reader);
	/* after an error */
	register_fs(world, "btrfs");
	world->show_error = -EIO;
	KUNIT_EXPECT_EQ(test, pread_kvec(world, &reader, world->buf, 10, 0), -EIO);
	close_file(&reader);
	world->show_error = 0;
	expect_publishes(world);
}

static void destroy_with_files_half_read(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader published = {}, private = {}, ended = {};

	fill_list(world, 10);
	KUNIT_EXPECT_EQ(test, read_kvec(world, &private, world->buf, 10), 10);
	register_fs(world, "xfs");
	KUNIT_EXPECT_EQ(test, read_kvec(world, &published, world->buf, 10), 10);
	KUNIT_EXPECT_EQ(test, read_kvec(world, &ended, world->buf, TEXT_MAX), world->len);
	fslist_cache_destroy(&world->cache);
	kvfree_rcu_barrier();
	close_file(&published);
	close_file(&private);
	close_file(&ended);
	KUNIT_EXPECT_FALSE(test, anything_leaked());
}

/* --- where to: segments, pages, memory that faults --- */

static void read_into_segments(struct kunit *test)
{
	struct world *world = test->priv;
	size_t size, segment;

	fill_list(world, 12);
	expect_publishes(world);
	for (size = 1; size <= world->len + 2; size++) {
		for (segment = 1; segment <= 9; segment += 2) {
			size_t want = min(size, world->len);
			struct reader reader = {};
			struct kvec vec[8];
			struct iov_iter iter;
			size_t at = 0;
			int n = 0;

			/* Segments with a byte between each that must stay as it is. */
			memset(world->buf, GUARD, size + ARRAY_SIZE(vec));
			while (at < size) {
				size_t len = min(segment, size - at);

				if (n == ARRAY_SIZE(vec) - 1)
					len = size - at;
				vec[n].iov_base = world->buf + at + n;
				vec[n++].iov_len = len;
				at += len;
			}
			iov_iter_kvec(&iter, ITER_DEST, vec, n, size);
			KUNIT_ASSERT_EQ(test, fslist_read(&world->cache, &reader.state, &iter,
							  &reader.pos), want);
			KUNIT_EXPECT_EQ(test, iov_iter_count(&iter), size - want);
			for (at = 0, n = 0; at < want; at += vec[n++].iov_len) {
				size_t len = min(vec[n].iov_len, want - at);

				KUNIT_ASSERT_MEMEQ(test, vec[n].iov_base, world->text + at, len);
				KUNIT_ASSERT_EQ(test, ((u8 *)vec[n].iov_base)[vec[n].iov_len],
						GUARD);
			}
			close_file(&reader);
		}
	}
	KUNIT_EXPECT_EQ(test, world->shows, 1);
}

static void read_into_pages(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader reader = {};
	struct iov_iter iter;
	struct bio_vec vec[2];

	fill_list(world, 500);
	bvec_set_virt(&vec[0], world->buf, PAGE_SIZE);
	bvec_set_virt(&vec[1], world->buf + PAGE_SIZE, PAGE_SIZE);
	iov_iter_bvec(&iter, ITER_DEST, vec, 2, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, fslist_read(&world->cache, &reader.state, &iter, &reader.pos),
			min(world->len, 2 * PAGE_SIZE));
	KUNIT_EXPECT_MEMEQ(test, world->buf, world->text, reader.pos);
	close_file(&reader);
}

/* By words and the rest by bytes: all lengths, at all alignments. */
static void read_into_user_memory_of_every_size(struct kunit *test)
{
	struct world *world = test->priv;
	char __user *base = user_pages(test, 1);
	unsigned int allocs, shows, at;
	size_t len;

	for (len = 3; len < 300; len++) {
		char name[300] = {};

		memset(name, 'a' + len % 26, len - 2);
		name[(len - 2) / 2] = 'A' + len % 25;
		fslist_change_begin(&world->cache);
		fslist_change_track(&world->cache);
		list_clear(world);
		list_add_fs(world, name, false);
		fslist_change_end(&world->cache);
		expect_publishes(world);
		KUNIT_ASSERT_EQ(test, world->len, len);
		allocs = world->allocs;
		shows = world->shows;

		for (at = 0; at < 9; at++) {
			size_t room = len + (at % 3) * 10;
			struct reader reader = {};
			struct iov_iter iter;

			memset(world->buf, GUARD, len + 32);
			KUNIT_ASSERT_EQ(test, copy_to_user(base, world->buf, len + 32), 0);
			iov_iter_ubuf(&iter, ITER_DEST, base + at, room);
			KUNIT_ASSERT_EQ(test, fslist_read(&world->cache, &reader.state, &iter,
							  &reader.pos), len);
			KUNIT_EXPECT_EQ(test, reader.pos, len);
			KUNIT_EXPECT_EQ(test, iov_iter_count(&iter), room - len);
			KUNIT_ASSERT_EQ(test, copy_from_user(world->buf, base, len + 32), 0);
			KUNIT_ASSERT_MEMEQ(test, world->buf + at, world->text, len);
			KUNIT_ASSERT_NULL(test, memchr_inv(world->buf, GUARD, at));
			KUNIT_ASSERT_NULL(test, memchr_inv(world->buf + at + len, GUARD,
							   32 - at));
			/* An iterator that has come some way goes on from there. */
			iov_iter_ubuf(&iter, ITER_DEST, base, at + len);
			iov_iter_advance(&iter, at);
			KUNIT_ASSERT_EQ(test, clear_user(base, len + 32), 0);
			reader.pos = 0;
			KUNIT_ASSERT_EQ(test, fslist_read(&world->cache, &reader.state, &iter,
							  &reader.pos), len);
			KUNIT_ASSERT_EQ(test, copy_from_user(world->buf, base + at, len), 0);
			KUNIT_ASSERT_MEMEQ(test, world->buf, world->text, len);
			KUNIT_EXPECT_EQ(test, iov_iter_count(&iter), 0);
			close_file(&reader);
		}
		KUNIT_EXPECT_EQ(test, world->allocs, allocs);
		KUNIT_EXPECT_EQ(test, world->shows, shows);
	}
}

/* The page is not there: the copy without faults fails, the other one must not. */
static void read_into_user_memory_not_yet_present(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader reader = {};
	struct iov_iter iter;
	char __user *to;

	fill_list(world, 20);
	expect_publishes(world);
	to = user_pages(test, 2) + PAGE_SIZE - 20;
	iov_iter_ubuf(&iter, ITER_DEST, to, PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, fslist_read(&world->cache, &reader.state, &iter, &reader.pos),
			world->len);
	KUNIT_EXPECT_EQ(test, iov_iter_count(&iter), PAGE_SIZE - world->len);
	KUNIT_ASSERT_EQ(test, copy_from_user(world->buf, to, world->len), 0);
	KUNIT_EXPECT_MEMEQ(test, world->buf, world->text, world->len);
	KUNIT_EXPECT_EQ(test, read_kvec(world, &reader, world->buf, TEXT_MAX), 0);
	KUNIT_EXPECT_EQ(test, world->shows, 1);
	close_file(&reader);
}

/* As every read: what fits is read, and the rest can be had later. */
static void read_into_user_memory_that_ends(struct kunit *test)
{
	struct world *world = test->priv;
	char __user *end = user_pages(test, 2) + PAGE_SIZE;
	size_t room, len;

	fill_list(world, 20);
	expect_publishes(world);
	len = world->len;
	KUNIT_ASSERT_EQ(test, vm_munmap((unsigned long)end, PAGE_SIZE), 0);
	for (room = 1; room < len; room++) {
		struct reader reader = {};
		struct iov_iter iter;
		ssize_t ret;

		/* Reading goes on byte by byte up to the fault, or by words. */
		iov_iter_ubuf(&iter, ITER_DEST, end - room, TEXT_MAX);
		ret = fslist_read(&world->cache, &reader.state, &iter, &reader.pos);
		if (room >= sizeof(u64) || ret != -EFAULT) {
			KUNIT_ASSERT_GT(test, ret, 0);
			KUNIT_ASSERT_GT(test, ret + sizeof(u64), room);
			KUNIT_ASSERT_LE(test, ret, room);
		} else {
			ret = 0;
		}
		KUNIT_ASSERT_EQ(test, reader.pos, ret);
		KUNIT_ASSERT_EQ(test, iov_iter_count(&iter), TEXT_MAX - ret);
		KUNIT_ASSERT_EQ(test, copy_from_user(world->buf, end - room, ret), 0);
		/* A fault costs nothing of what is to come. */
		iov_iter_ubuf(&iter, ITER_DEST, end, 20);
		KUNIT_ASSERT_EQ(test, fslist_read(&world->cache, &reader.state, &iter,
						  &reader.pos), -EFAULT);
		KUNIT_ASSERT_EQ(test, reader.pos, ret);
		KUNIT_ASSERT_EQ(test, read_kvec(world, &reader, world->buf + ret, TEXT_MAX - ret),
				len - ret);
		KUNIT_ASSERT_MEMEQ(test, world->buf, world->text, len);
		close_file(&reader);
	}
	KUNIT_EXPECT_EQ(test, world->shows, 1);
}

/* --- against the kernel's seq_file --- */

#define FILES	5
#define READS	ROUNDS(100000, 20000)

/* One file as the core has it and the same as seq_file has it. */
struct pair {
	struct reader reader;
	struct file *file;
	loff_t pos;
};

static int oracle_show(struct seq_file *m, void *v)
{
	struct world *world = m->private;

	seq_write(m, world->text, world->len);
	return 0;
}

static void pair_open(struct world *world, struct pair *pair)
{
	pair->pos = 0;
	memset(pair->file, 0, sizeof(*pair->file));
	KUNIT_ASSERT_EQ(world->test, single_open(pair->file, oracle_show, world), 0);
}

static void pair_close(struct world *world, struct pair *pair)
{
	close_file(&pair->reader);
	if (pair->file && pair->file->private_data)
		single_release(NULL, pair->file);
}

static u32 below(struct rnd_state *rnd, u32 bound)
{
	return prandom_u32_state(rnd) % bound;
}

/* One random read of both; false if they differ. */
static bool pair_read(struct world *world, struct pair *pair, struct rnd_state *rnd, char *other,
		      char __user *nowhere)
{
	struct iov_iter iter, oracle_iter;
	size_t size, shown, at = 0;
	struct kvec vec[4], oracle_vec;
	struct bio_vec bvec;
	struct kiocb iocb;
	bool sought = false;
	ssize_t got, want;
	loff_t pos;
	int n = 0;

	switch (below(rnd, 11)) {
	case 0: case 1:
		pos = 0;
		break;
	case 2: case 3:
		pos = below(rnd, world->len + 10);
		break;
	case 10:
		/* Away and, for the read, to a place that it may have stood at. */
		pos = below(rnd, 2) ? 0 : pair->pos;
		sought = true;
		fslist_reader_seek(&pair->reader.state, pos + 1);
		fslist_reader_seek(&pair->reader.state, pos);
		if (seq_lseek(pair->file, pos + 1, SEEK_SET) < 0 ||
		    seq_lseek(pair->file, pos, SEEK_SET) < 0)
			return false;
		break;
	case 4:
		pos = world->len;
		break;
	default:
		pos = pair->pos;
	}
	switch (below(rnd, 4)) {
	case 0:
		size = below(rnd, 40);
		break;
	case 1:
		size = below(rnd, world->len + 20);
		break;
	case 2:
		size = world->len;
		break;
	default:
		size = TEXT_MAX / 2;
	}
	/* seq_file renders when it is moved, we when it is read: do read. */
	if (sought && !size)
		size = 1;

	/* No more than the longest text can have been touched. */
	shown = min_t(size_t, size, SZ_8K) + 1;
	memset(world->buf, GUARD, shown);
	memset(other, GUARD, shown);

	oracle_vec.iov_base = other;
	oracle_vec.iov_len = size;
	iov_iter_kvec(&oracle_iter, ITER_DEST, &oracle_vec, 1, size);
	switch (below(rnd, 16)) {
	case 0:
		iov_iter_ubuf(&iter, ITER_DEST, nowhere, size);
		oracle_iter = iter;
		break;
	case 1: case 2:
		if (size) {
			bvec_set_virt(&bvec, world->buf, size);
			iov_iter_bvec(&iter, ITER_DEST, &bvec, 1, size);
			break;
		}
		fallthrough;
	default:
		while (n < ARRAY_SIZE(vec)) {
			size_t len = n == ARRAY_SIZE(vec) - 1 ? size - at :
				     below(rnd, min_t(size_t, size - at, world->len) + 1);

			vec[n].iov_base = world->buf + at;
			vec[n++].iov_len = len;
			at += len;
		}
		iov_iter_kvec(&iter, ITER_DEST, vec, n, size);
	}

	pair->reader.pos = pos;
	got = fslist_read(&world->cache, &pair->reader.state, &iter, &pair->reader.pos);
	iocb = (struct kiocb){ .ki_filp = pair->file, .ki_pos = pos };
	want = seq_read_iter(&iocb, &oracle_iter);
	pair->pos = iocb.ki_pos;

	if (got == want && pair->reader.pos == pair->pos &&
	    iov_iter_count(&iter) == iov_iter_count(&oracle_iter) &&
	    !memcmp(world->buf, other, shown))
		return true;
	KUNIT_FAIL(world->test, "read of %zu at %lld: %zd, now at %lld; seq_file: %zd, %lld",
		   size, pos, got, pair->reader.pos, want, pair->pos);
	return false;
}

static void change_list_randomly(struct world *world, struct rnd_state *rnd)
{
	char name[256];
	u32 len;

	if (world->entries > 24 || (world->entries && below(rnd, 5) < 2)) {
		list_del_fs(world, below(rnd, world->entries));
		return;
	}
	len = 1 + below(rnd, below(rnd, 16) ? 30 : sizeof(name) - 1);
	memset(name, 'a' + below(rnd, 26), len);
	name[len] = '\0';
	list_add_fs(world, name, below(rnd, 2));
}

static void random_script_against_seq_file(struct kunit *test)
{
	u32 reads = 0, changes = 0, untracked = 0, open = 0, i;
	char __user *nowhere = user_nowhere(test);
	struct world *world = test->priv;
	struct pair pairs[FILES] = {};
	struct rnd_state rnd;
	u64 start = seed ?: get_random_u32();
	char *other;

	prandom_seed_state(&rnd, start);
	kunit_info(test, "seed=%llu\n", start);
	other = kunit_kmalloc(test, TEXT_MAX, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, other);
	for (i = 0; i < FILES; i++) {
		pairs[i].file = kunit_kzalloc(test, sizeof(struct file), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, pairs[i].file);
		pair_open(world, &pairs[i]);
	}

	while (reads < READS) {
		switch (below(&rnd, 100)) {
		case 0: case 1: case 2:
			if (below(&rnd, 2)) {
				fslist_change_track(&world->cache);
				fslist_change_begin(&world->cache);
			} else {
				fslist_change_begin(&world->cache);
				fslist_change_track(&world->cache);
			}
			changes++;
			if (below(&rnd, 8))
				change_list_randomly(world, &rnd);
			fslist_change_end(&world->cache);
			break;
		case 3:
			if (open == 3)
				break;
			fslist_change_begin(&world->cache);
			fslist_change_track(&world->cache);
			changes++;
			open++;
			break;
		case 4: case 5:
			if (open)
				change_list_randomly(world, &rnd);
			break;
		case 6: case 7: case 8:
			if (open) {
				fslist_change_end(&world->cache);
				open--;
			}
			break;
		case 9:
			if (below(&rnd, 10))
				break;
			fslist_change_begin(&world->cache);
			changes++;
			untracked++;
			change_list_randomly(world, &rnd);
			break;
		case 10:
			KUNIT_EXPECT_TRUE(test, settle(world));
			KUNIT_EXPECT_EQ(test, stats_of(world).untracked, untracked);
			break;
		case 11:
			i = below(&rnd, FILES);
			pair_close(world, &pairs[i]);
			pair_open(world, &pairs[i]);
			break;
		default:
			reads++;
			if (!pair_read(world, &pairs[below(&rnd, FILES)], &rnd, other, nowhere)) {
				kunit_err(test, "at read %u; seed=%llu repeats it\n", reads, start);
				reads = READS;
			}
		}
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, stats_of(world).changes, changes);
	KUNIT_EXPECT_GT(test, stats_of(world).rebuilds, 100);
	KUNIT_EXPECT_GT(test, stats_of(world).uncached, 100);
	/* Else this was a test of the uncached path alone. */
	KUNIT_EXPECT_LT(test, world->shows, READS / 2);
	for (i = 0; i < FILES; i++)
		pair_close(world, &pairs[i]);
}

/* --- memory shortage --- */

/* Reads whole and in pieces, as long as memory suffices; -ENOMEM when it did not. */
static int read_with_shortage(struct world *world)
{
	struct kunit *test = world->test;
	struct reader whole = {}, pieces = {};
	ssize_t ret = 0;
	int err = 0;

	register_fs(world, "xfs");
	ret = read_kvec(world, &whole, world->buf, TEXT_MAX);
	if (ret < 0) {
		KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		KUNIT_EXPECT_EQ(test, whole.pos, 0);
		err = ret;
		/* The shortage is over: the same file can be read. */
		ret = read_kvec(world, &whole, world->buf, TEXT_MAX);
	}
	KUNIT_EXPECT_EQ(test, ret, world->len);
	KUNIT_EXPECT_MEMEQ(test, world->buf, world->text, world->len);

	while (pieces.pos < world->len) {
		loff_t pos = pieces.pos;

		ret = read_kvec(world, &pieces, world->buf + pos, 50);
		if (ret < 0) {
			KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
			KUNIT_EXPECT_EQ(test, pieces.pos, pos);
			KUNIT_ASSERT_EQ(test, err, 0);
			err = ret;
			continue;
		}
		KUNIT_ASSERT_EQ(test, ret, min_t(size_t, 50, world->len - pos));
	}
	KUNIT_EXPECT_MEMEQ(test, world->buf, world->text, world->len);
	/* A file that was at its end goes back to the middle. */
	ret = pread_kvec(world, &whole, world->buf, 5, 5);
	if (ret < 0) {
		KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		KUNIT_ASSERT_EQ(test, err, 0);
		err = ret;
		ret = pread_kvec(world, &whole, world->buf, 5, 5);
	}
	KUNIT_EXPECT_EQ(test, ret, 5);
	KUNIT_EXPECT_MEMEQ(test, world->buf, world->text + 5, 5);
	close_file(&whole);
	close_file(&pieces);
	return err;
}

static void allocation_failure_of_each_in_turn(struct kunit *test)
{
	struct world *world = test->priv;
	u32 nth;

	/* Long enough to take several sizes of buffer. */
	fill_list(world, 300);
	for (nth = 1; nth < 100; nth++) {
		world->allocs = 0;
		world->fail_alloc = nth;
		if (!read_with_shortage(world))
			break;
		world->fail_alloc = 0;
		KUNIT_EXPECT_FALSE(test, renders(world));
	}
	world->fail_alloc = 0;
	/* Three sizes of text and a struct for each of two files. */
	KUNIT_EXPECT_GE(test, nth, 5);
	KUNIT_EXPECT_LT(test, nth, 100);
	KUNIT_EXPECT_GT(test, world->allocs, 0);
	KUNIT_EXPECT_GE(test, stats_of(world).enomem, 3);
	/* Failing to get a text counts, failing to get a file's own state does not. */
	KUNIT_EXPECT_LT(test, stats_of(world).enomem, nth - 1);
}

static void allocation_failure_during_change(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader reader = {};

	fill_list(world, 10);
	expect_publishes(world);
	fslist_change_begin(&world->cache);
	fslist_change_track(&world->cache);
	/* An old text must not serve as a way out. */
	world->fail_alloc = world->allocs + 1;
	KUNIT_EXPECT_LT(test, read_kvec(world, &reader, world->buf, TEXT_MAX), 0);
	list_add_fs(world, "xfs", true);
	fslist_change_end(&world->cache);
	expect_publishes(world);
	close_file(&reader);
}

static void allocation_failure_with_published_text(struct kunit *test)
{
	struct world *world = test->priv;
	struct reader reader = {};

	fill_list(world, 10);
	expect_publishes(world);
	/* Whole reads need no memory at all; a first piece needs some. */
	world->fail_alloc = world->allocs + 1;
	KUNIT_EXPECT_FALSE(test, renders(world));
	KUNIT_EXPECT_EQ(test, read_kvec(world, &reader, world->buf, 10), -ENOMEM);
	KUNIT_EXPECT_EQ(test, reader.pos, 0);
	KUNIT_EXPECT_EQ(test, read_kvec(world, &reader, world->buf, 10), 10);
	close_file(&reader);
	KUNIT_EXPECT_EQ(test, world->shows, 1);
}

/* --- at once --- */

#define STRESS_CHANGES	ROUNDS(10000, 4000)
#define STRESS_WRITERS	2
#define STRESS_THREADS	16
#define STRESS_LEN	512

/**
 * struct stress - writers and readers of one list
 * @test: the case that runs
 * @cache: what is tested
 * @ops: its surroundings
 * @lock: protects @generation, and so the list: its entries are named after it
 * @generation: counts the changes that were made
 * @returned: newest generation whose change has returned to its caller; what a
 *	read that begins afterwards must at least show
 * @srcu: read side held by changes, so that those without end can be waited out
 * @untracked_one_in: how many changes have no end that is reported; 0 for none
 * @settle_wanted: the cache asked for it
 * @hold: writers are to pause, or nothing would ever settle
 * @started: by each thread
 * @reads: whole texts checked
 * @bad: of them, torn or older than they may be or from the future
 * @errors: reads that failed
 * @refused: how often settling had to be tried again
 * @expected: per reader, what it may see, rendered by the model
 * @got: per reader, what it saw
 */
struct stress {
	struct kunit *test;
	struct fslist_cache cache;
	struct fslist_ops ops;
	rwlock_t lock;
	u64 generation;
	atomic64_t returned;
	struct srcu_struct srcu;
	u32 untracked_one_in;
	atomic_t settle_wanted;
	atomic_t hold;
	struct completion started;
	atomic_t reads;
	atomic_t bad;
	atomic_t errors;
	atomic_t refused;
	char expected[STRESS_THREADS][STRESS_LEN];
	char got[STRESS_THREADS][STRESS_LEN];
};

struct stress_thread {
	struct stress *stress;
	struct task_struct *task;
	int index;
};

/* Let others run, here of all places. */
static void stress_pause(void)
{
	u32 random = get_random_u32();

	if (random % 64 == 0)
		usleep_range(1, 20);
	else if (random % 2)
		schedule();
}

static u32 stress_entries(u64 generation)
{
	return 1 + (u32)generation % 9;
}

static int stress_show(struct seq_file *m, void *v)
{
	struct stress *stress = m->private;
	u32 i;

	stress_pause();
	read_lock(&stress->lock);
	for (i = 0; i < stress_entries(stress->generation); i++)
		seq_printf(m, "%s\tfs%llu.%u\n", i % 2 ? "" : "nodev", stress->generation, i);
	read_unlock(&stress->lock);
	stress_pause();
	return 0;
}

static void *stress_alloc(size_t size, gfp_t gfp)
{
	return accounted_alloc(size, gfp);
}

static void stress_settle(void *private)
{
	struct stress *stress = private;

	atomic_set(&stress->settle_wanted, 1);
}

static int stress_writer(void *arg)
{
	struct stress_thread *thread = arg;
	struct stress *stress = thread->stress;
	struct fslist_cache *cache = &stress->cache;
	int i;

	complete(&stress->started);
	for (i = 0; i < STRESS_CHANGES / STRESS_WRITERS; i++) {
		u32 random = get_random_u32();
		bool tracked = !stress->untracked_one_in || random % stress->untracked_one_in;
		bool early = random & BIT(20);
		bool fails = !(random >> 29);
		u64 generation = 0;
		int srcu;

		while (atomic_read(&stress->hold))
			usleep_range(50, 200);
		srcu = srcu_read_lock(&stress->srcu);
		if (tracked && early)
			fslist_change_track(cache);
		fslist_change_begin(cache);
		stress_pause();
		if (tracked && !early)
			fslist_change_track(cache);
		if (!fails) {
			write_lock(&stress->lock);
			generation = ++stress->generation;
			write_unlock(&stress->lock);
		}
		stress_pause();
		if (tracked)
			fslist_change_end(cache);
		/* Returned: from now on no read may be served the old text. */
		if (!fails) {
			s64 old = atomic64_read(&stress->returned);

			while (old < (s64)generation &&
			       !atomic64_try_cmpxchg(&stress->returned, &old, generation))
				;
		}
		srcu_read_unlock(&stress->srcu, srcu);
		/* Longer than within, or hardly a text would be published. */
		if (random & BIT(21))
			usleep_range(1, 100);
	}
	return 0;
}

static int stress_settler(void *arg)
{
	struct stress_thread *thread = arg;
	struct stress *stress = thread->stress;

	complete(&stress->started);
	while (!kthread_should_stop()) {
		int tries;

		if (!atomic_xchg(&stress->settle_wanted, 0)) {
			usleep_range(100, 200);
			continue;
		}
		for (tries = 0; ; tries++) {
			u64 prepared = fslist_settle_prepare(&stress->cache);

			synchronize_srcu(&stress->srcu);
			if (fslist_settle(&stress->cache, prepared))
				break;
			atomic_inc(&stress->refused);
			if (tries == 2)
				atomic_set(&stress->hold, 1);
		}
		atomic_set(&stress->hold, 0);
	}
	return 0;
}

/* A whole text that was begun when @floor had returned; returns its generation. */
static u64 stress_check(struct stress_thread *thread, size_t len, u64 floor, u64 last)
{
	struct stress *stress = thread->stress;
	char *expected = stress->expected[thread->index];
	char *got = stress->got[thread->index];
	u64 generation = 0, newest;
	size_t want = 0;
	u32 i;

	read_lock(&stress->lock);
	newest = stress->generation;
	read_unlock(&stress->lock);
	got[len] = '\0';
	if (sscanf(got, "nodev\tfs%llu.", &generation) == 1)
		for (i = 0; i < stress_entries(generation); i++)
			want += snprintf(expected + want, STRESS_LEN - want, "%s\tfs%llu.%u\n",
					 i % 2 ? "" : "nodev", generation, i);
	atomic_inc(&stress->reads);
	if (len != want || memcmp(got, expected, len) || generation < floor ||
	    generation < last || generation > newest) {
		if (atomic_inc_return(&stress->bad) == 1)
			kunit_err(stress->test,
				  "generation %llu; at least %llu had to be seen, %llu was seen before, %llu is the newest; text '%s'\n",
				  generation, floor, last, newest, got);
	}
	return generation;
}

static int stress_reader(void *arg)
{
	struct stress_thread *thread = arg;
	struct stress *stress = thread->stress;
	char *got = stress->got[thread->index];
	struct reader reader = {};
	u64 last = 0;

	complete(&stress->started);
	while (!kthread_should_stop()) {
		u32 random = get_random_u32();
		u64 floor = atomic64_read_acquire(&stress->returned);
		size_t piece = STRESS_LEN - 1, len = 0;

		if (random % 4 == 0)
			piece = 1 + (random >> 8) % 40;
		reader.pos = 0;
		for (;;) {
			struct kvec vec = { got + len, min(piece, STRESS_LEN - 1 - len) };
			struct iov_iter iter;
			ssize_t ret;

			iov_iter_kvec(&iter, ITER_DEST, &vec, 1, vec.iov_len);
			ret = fslist_read(&stress->cache, &reader.state, &iter, &reader.pos);
			if (ret < 0)
				atomic_inc(&stress->errors);
			if (ret <= 0)
				break;
			len += ret;
			/* The second half in one go, or byte by byte as begun. */
			if (random & BIT(30))
				piece = STRESS_LEN - 1;
			stress_pause();
		}
		last = stress_check(thread, len, floor, last);
		if (random & BIT(31))
			close_file(&reader);
		cond_resched();
	}
	close_file(&reader);
	return 0;
}

static void stress_start(struct stress *stress, struct stress_thread *thread,
			 int (*fn)(void *), int index, int cpu)
{
	thread->stress = stress;
	thread->index = index;
	thread->task = kthread_create(fn, thread, "fslist_kunit/%d", index);
	KUNIT_ASSERT_FALSE(stress->test, IS_ERR(thread->task));
	if (cpu >= 0)
		kthread_bind(thread->task, cpu);
	get_task_struct(thread->task);
	wake_up_process(thread->task);
	/* A thread that is stopped before it ran never runs. */
	wait_for_completion(&stress->started);
}

/* Waits for a writer to be done; tells a reader that it is. */
static void stress_stop(struct stress_thread *thread)
{
	kthread_stop(thread->task);
	put_task_struct(thread->task);
}

static void run_stress(struct kunit *test, u32 untracked_one_in)
{
	struct stress *stress = kunit_kzalloc(test, sizeof(*stress), GFP_KERNEL);
	struct stress_thread writers[STRESS_WRITERS] = {}, settler = {};
	struct stress_thread readers[STRESS_THREADS] = {};
	struct fslist_stats stats;
	int i, cpu, nreaders = 0;

	KUNIT_ASSERT_NOT_NULL(test, stress);
	stress->test = test;
	stress->ops.show = stress_show;
	stress->ops.alloc = stress_alloc;
	stress->ops.settle = stress_settle;
	stress->ops.private = stress;
	stress->untracked_one_in = untracked_one_in;
	rwlock_init(&stress->lock);
	init_completion(&stress->started);
	KUNIT_ASSERT_EQ(test, init_srcu_struct(&stress->srcu), 0);
	fslist_cache_init(&stress->cache, &stress->ops);

	/* Two on each CPU, so that readers meet on one as well. */
	for_each_online_cpu(cpu)
		for (i = 0; i < 2 && nreaders < STRESS_THREADS; i++, nreaders++)
			stress_start(stress, &readers[nreaders], stress_reader, nreaders, cpu);
	stress_start(stress, &settler, stress_settler, 0, -1);
	for (i = 0; i < STRESS_WRITERS; i++)
		stress_start(stress, &writers[i], stress_writer, i, -1);

	for (i = 0; i < STRESS_WRITERS; i++)
		stress_stop(&writers[i]);
	for (i = 0; i < nreaders; i++)
		stress_stop(&readers[i]);
	stress_stop(&settler);

	fslist_cache_stats(&stress->cache, &stats);
	kunit_info(test, "%llu changes (%llu untracked, settling refused %d times), %d reads by %d readers on %d CPUs, %llu published, %llu uncached\n",
		   stats.changes, stats.untracked, atomic_read(&stress->refused),
		   atomic_read(&stress->reads), nreaders, num_online_cpus(),
		   stats.rebuilds, stats.uncached);
	KUNIT_EXPECT_EQ(test, atomic_read(&stress->bad), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&stress->errors), 0);
	KUNIT_EXPECT_EQ(test, stats.changes, STRESS_CHANGES);
	KUNIT_EXPECT_GT(test, atomic_read(&stress->reads), 1000);
	KUNIT_EXPECT_GT(test, stats.rebuilds, 10);
	KUNIT_EXPECT_GT(test, stats.uncached, 10);

	/* And when all is quiet it caches again. */
	fslist_settle(&stress->cache, fslist_settle_prepare(&stress->cache));
	KUNIT_EXPECT_EQ(test, stress->cache.begun - stress->cache.tracked, stress->cache.settled);
	KUNIT_EXPECT_EQ(test, stress->cache.tracked, stress->cache.ended);
	fslist_cache_destroy(&stress->cache);
	cleanup_srcu_struct(&stress->srcu);
}

static void readers_and_writers_at_once(struct kunit *test)
{
	run_stress(test, 0);
}

static void readers_and_untracked_writers_at_once(struct kunit *test)
{
	run_stress(test, 200);
}

/* Threads that share one file: the reads are preads, each gets its slice. */
struct shared_file {
	struct world *world;
	void *state;
	struct completion started;
	atomic_t bad;
};

static int shared_file_reader(void *arg)
{
	struct shared_file *shared = arg;
	struct world *world = shared->world;
	char *buf = kmalloc(PAGE_SIZE, GFP_KERNEL);
	int i;

	complete(&shared->started);
	if (!buf)
		return -ENOMEM;
	for (i = 0; i < ROUNDS(20000, 4000); i++) {
		u32 random = get_random_u32();
		loff_t begin = random % 4 ? (random >> 8) % world->len : 0, pos = begin;
		size_t size = (random & BIT(30)) ? PAGE_SIZE : 1 + (random >> 20) % 50;
		size_t want = min_t(size_t, size, world->len - begin);
		struct kvec vec = { buf, size };
		struct iov_iter iter;
		ssize_t ret;

		iov_iter_kvec(&iter, ITER_DEST, &vec, 1, size);
		ret = fslist_read(&world->cache, &shared->state, &iter, &pos);
		if (ret != want || memcmp(buf, world->text + begin, want) ||
		    pos != begin + ret)
			atomic_inc(&shared->bad);
		if (random & BIT(31))
			stress_pause();
	}
	kfree(buf);
	return 0;
}

static void threads_that_share_a_file(struct kunit *test)
{
	struct world *world = test->priv;
	struct shared_file shared = { .world = world };
	struct task_struct *tasks[4];
	int i, round;

	fill_list(world, 30);
	init_completion(&shared.started);
	for (round = 0; round < 5; round++) {
		/* From a new file each time: its first readers race to set it up. */
		for (i = 0; i < ARRAY_SIZE(tasks); i++) {
			tasks[i] = kthread_create(shared_file_reader, &shared, "fslist_file/%d", i);
			KUNIT_ASSERT_FALSE(test, IS_ERR(tasks[i]));
			get_task_struct(tasks[i]);
		}
		for (i = 0; i < ARRAY_SIZE(tasks); i++)
			wake_up_process(tasks[i]);
		for (i = 0; i < ARRAY_SIZE(tasks); i++)
			wait_for_completion(&shared.started);
		for (i = 0; i < ARRAY_SIZE(tasks); i++) {
			KUNIT_EXPECT_EQ(test, kthread_stop(tasks[i]), 0);
			put_task_struct(tasks[i]);
		}
		fslist_reader_release(&shared.state);
		shared.state = NULL;
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&shared.bad), 0);
}

/* --- is the kernel's own list cached already? --- */

static int one_piece_show(struct seq_file *m, void *v)
{
	struct world *world = m->private;

	world->shows++;
	seq_write(m, world->text, world->len);
	return world->show_error;
}

static void one_piece_recognised(struct kunit *test)
{
	struct world *world = test->priv;
	int size;

	world->ops.show = one_piece_show;
	for (size = 2; size < 200; size++) {
		fill_list(world, size);
		KUNIT_EXPECT_EQ(test, fslist_renders_in_one_piece(&world->ops), 1);
	}
}

static void entries_recognised(struct kunit *test)
{
	struct world *world = test->priv;
	int size;

	for (size = 2; size < 200; size++) {
		fill_list(world, size);
		KUNIT_EXPECT_EQ(test, fslist_renders_in_one_piece(&world->ops), 0);
	}
}

static void pieces_of_too_short_a_list(struct kunit *test)
{
	struct world *world = test->priv;

	KUNIT_EXPECT_EQ(test, fslist_renders_in_one_piece(&world->ops), -ENODATA);
	fill_list(world, 1);
	KUNIT_EXPECT_EQ(test, fslist_renders_in_one_piece(&world->ops), -ENODATA);
	world->ops.show = one_piece_show;
	KUNIT_EXPECT_EQ(test, fslist_renders_in_one_piece(&world->ops), -ENODATA);
}

static void pieces_with_failures(struct kunit *test)
{
	struct world *world = test->priv;

	fill_list(world, 10);
	world->fail_alloc = 1;
	KUNIT_EXPECT_EQ(test, fslist_renders_in_one_piece(&world->ops), -ENOMEM);
	world->show_error = -EIO;
	KUNIT_EXPECT_EQ(test, fslist_renders_in_one_piece(&world->ops), -EIO);
	world->show_error = 0;
	KUNIT_EXPECT_EQ(test, fslist_renders_in_one_piece(&world->ops), 0);
}

/* The list is shorter each time it is asked for the second time. */
static void shrink_every_other_show(struct world *world)
{
	if (world->shows % 2)
		return;
	if (world->entries > 3)
		list_del_fs(world, world->entries - 1);
}

static void pieces_of_a_list_that_changes(struct kunit *test)
{
	struct world *world = test->priv;

	/* Room for some changes: it is found out in the end. */
	fill_list(world, 6);
	world->before_show = shrink_every_other_show;
	KUNIT_EXPECT_EQ(test, fslist_renders_in_one_piece(&world->ops), 0);
	/* For ever: it is not. */
	fill_list(world, 100);
	world->shows = 0;
	KUNIT_EXPECT_EQ(test, fslist_renders_in_one_piece(&world->ops), -EAGAIN);
}

/* --- speed: reported, never judged; what is judged is counted --- */

#define SPEED_ROUNDS	9

static int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static u64 median(u64 *values)
{
	sort(values, SPEED_ROUNDS, sizeof(*values), compare_u64, NULL);
	return values[SPEED_ROUNDS / 2];
}

static int seq_entries_show(struct seq_file *m, void *v)
{
	return world_show(m, v);
}

static void speed_cached_against_uncached(struct kunit *test)
{
	static const char * const names[] = {
		"sysfs", "tmpfs", "bdev", "proc", "cgroup", "cgroup2", "cpuset", "devtmpfs",
		"configfs", "debugfs", "tracefs", "securityfs", "sockfs", "bpf", "pipefs",
		"ramfs", "hugetlbfs", "devpts", "autofs", "efivarfs", "mqueue", "pstore",
	};
	/* Emulated time means nothing: there, only count. */
	u32 reads = IS_ENABLED(CONFIG_UML) ? 100000 : 1000;
	u64 cached[SPEED_ROUNDS], opened[SPEED_ROUNDS], uncached[SPEED_ROUNDS];
	u64 stock[SPEED_ROUNDS];
	struct world *world = test->priv;
	struct reader reader = {};
	struct file *file;
	u32 i, round, shows, allocs;
	u64 start;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		list_add_fs(world, names[i], true);
	list_add_fs(world, "ext3", false);
	list_add_fs(world, "ext2", false);
	list_add_fs(world, "ext4", false);
	file = kunit_kzalloc(test, sizeof(*file), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, file);
	KUNIT_ASSERT_EQ(test, single_open(file, seq_entries_show, world), 0);

	/* Interleaved, so that a busy machine is busy for all of them. */
	for (round = 0; round < SPEED_ROUNDS; round++) {
		register_fs(world, "x");
		expect_publishes(world);

		shows = world->shows;
		allocs = world->allocs;
		start = ktime_get_ns();
		for (i = 0; i < reads; i++)
			pread_kvec(world, &reader, world->buf, SZ_4K, 0);
		cached[round] = ktime_get_ns() - start;

		start = ktime_get_ns();
		for (i = 0; i < reads; i++) {
			struct reader once = {};

			read_kvec(world, &once, world->buf, SZ_4K);
			close_file(&once);
		}
		opened[round] = ktime_get_ns() - start;
		KUNIT_EXPECT_EQ(test, world->shows, shows);
		KUNIT_EXPECT_EQ(test, world->allocs, allocs);

		fslist_change_begin(&world->cache);
		fslist_change_track(&world->cache);
		start = ktime_get_ns();
		for (i = 0; i < reads; i++)
			pread_kvec(world, &reader, world->buf, SZ_4K, 0);
		uncached[round] = ktime_get_ns() - start;
		fslist_change_end(&world->cache);
		KUNIT_EXPECT_EQ(test, world->shows, shows + reads);
		close_file(&reader);

		start = ktime_get_ns();
		for (i = 0; i < reads; i++) {
			struct kvec vec = { world->buf, SZ_4K };
			struct kiocb iocb = { .ki_filp = file };
			struct iov_iter iter;

			iov_iter_kvec(&iter, ITER_DEST, &vec, 1, vec.iov_len);
			seq_read_iter(&iocb, &iter);
		}
		stock[round] = ktime_get_ns() - start;
		KUNIT_EXPECT_EQ(test, world->shows, shows + 2 * reads);

		fslist_change_begin(&world->cache);
		fslist_change_track(&world->cache);
		list_del_fs(world, world->entries - 1);
		fslist_change_end(&world->cache);
	}
	single_release(NULL, file);
	if (IS_ENABLED(CONFIG_UML))
		kunit_info(test, "%zu bytes, ns per read, medians of %u x %u: cached %llu, cached with open and release %llu, uncached %llu, seq_file entry by entry %llu\n",
			   world->len + strlen("nodev\tx\n"), SPEED_ROUNDS, reads,
			   div_u64(median(cached), reads), div_u64(median(opened), reads),
			   div_u64(median(uncached), reads), div_u64(median(stock), reads));
}

/* --- kmemleak's opinion, last, on everything above --- */

#define LEAK_DISGUISE	0x5a5a5a5aUL

static struct file *open_kmemleak(struct vfsmount **mnt)
{
	struct file_system_type *type = get_fs_type("debugfs");
	struct path path;

	if (!type)
		return ERR_PTR(-ENOENT);
	*mnt = kern_mount(type);
	if (IS_ERR(*mnt))
		return ERR_CAST(*mnt);
	path.mnt = *mnt;
	path.dentry = (*mnt)->mnt_root;
	return file_open_root(&path, "kmemleak", O_RDWR, 0);
}

static noinline unsigned long fslist_kunit_leak_one(void)
{
	return (unsigned long)kmalloc(96, GFP_KERNEL) ^ LEAK_DISGUISE;
}

static void kmemleak_finds_the_decoy_only(struct kunit *test)
{
	struct world *world = test->priv;
	struct vfsmount *mnt;
	unsigned long leak;
	struct file *file;
	char __user *user;
	char decoy[32], *at;
	ssize_t len = 0;
	loff_t pos = 0;
	int found = 0;

	if (!IS_ENABLED(CONFIG_DEBUG_KMEMLEAK))
		kunit_skip(test, "needs CONFIG_DEBUG_KMEMLEAK, which --debug has");
	file = open_kmemleak(&mnt);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	user = user_pages(test, 1);
	KUNIT_ASSERT_EQ(test, copy_to_user(user, "scan", 5), 0);

	/* Proof that the scan would have found something. */
	leak = fslist_kunit_leak_one();
	/* It only reports what is older than five seconds, and on second sight. */
	msleep(5500);
	KUNIT_EXPECT_EQ(test, file->f_op->write(file, user, 4, &pos), 4);
	KUNIT_EXPECT_EQ(test, file->f_op->write(file, user, 4, &pos), 4);

	pos = 0;
	while (len < TEXT_MAX - PAGE_SIZE) {
		ssize_t ret = file->f_op->read(file, user, PAGE_SIZE - 1, &pos);

		KUNIT_EXPECT_GE(test, ret, 0);
		if (ret <= 0)
			break;
		KUNIT_ASSERT_EQ(test, copy_from_user(world->buf + len, user, ret), 0);
		len += ret;
	}
	world->buf[len] = '\0';
	snprintf(decoy, sizeof(decoy), "object 0x%lx", leak ^ LEAK_DISGUISE);
	KUNIT_EXPECT_NOT_NULL(test, strstr(world->buf, decoy));
	for (at = world->buf; (at = strstr(at, "unreferenced object")); at++)
		found++;
	KUNIT_EXPECT_EQ_MSG(test, found, 1, "%s", world->buf);
	kfree((void *)(leak ^ LEAK_DISGUISE));
	fput(file);
	kern_unmount(mnt);
}

static struct kunit_case fslist_cases[] = {
	KUNIT_CASE(leak_check_notices_a_leak),
	KUNIT_CASE(build_empty_list),
	KUNIT_CASE(build_one_entry),
	KUNIT_CASE(build_device_and_nodev),
	KUNIT_CASE(build_text_of_every_size),
	KUNIT_CASE(build_thousand_entries),
	KUNIT_CASE(build_name_of_255),
	KUNIT_CASE(build_name_larger_than_page),
	KUNIT_CASE(build_gives_up_on_endless_text),
	KUNIT_CASE(build_list_that_grows_under_the_buffer),
	KUNIT_CASE(build_failing_show),
	KUNIT_CASE(change_before_first_read),
	KUNIT_CASE(change_drops_published_text),
	KUNIT_CASE(change_that_fails),
	KUNIT_CASE(change_tracked_before_begun),
	KUNIT_CASE(change_begins_within_build),
	KUNIT_CASE(change_begins_and_ends_within_build),
	KUNIT_CASE(change_ends_within_build),
	KUNIT_CASE(changes_nested),
	KUNIT_CASE(changes_overlapping),
	KUNIT_CASE(untracked_change_stops_caching),
	KUNIT_CASE(untracked_change_within_build),
	KUNIT_CASE(untracked_change_without_settle_callback),
	KUNIT_CASE(settle_with_nothing_to_settle),
	KUNIT_CASE(settle_refused_after_untracked_change),
	KUNIT_CASE(settle_refused_after_tracked_change),
	KUNIT_CASE(settle_refused_half_way_into_tracked_change),
	KUNIT_CASE(settle_counts_what_became_tracked),
	KUNIT_CASE(settle_during_tracked_change),
	KUNIT_CASE(whole_read_of_published_text_allocates_nothing),
	KUNIT_CASE(partial_read_keeps_text_across_change),
	KUNIT_CASE(end_of_file_stays_after_growth),
	KUNIT_CASE(read_at_zero_refreshes),
	KUNIT_CASE(read_elsewhere_in_published_text),
	KUNIT_CASE(seek_away_and_back_ends_what_was_begun),
	KUNIT_CASE(read_of_nothing_changes_nothing),
	KUNIT_CASE(release_in_every_state),
	KUNIT_CASE(destroy_with_files_half_read),
	KUNIT_CASE(read_into_segments),
	KUNIT_CASE(read_into_pages),
	KUNIT_CASE(read_into_user_memory_of_every_size),
	KUNIT_CASE(read_into_user_memory_not_yet_present),
	KUNIT_CASE(read_into_user_memory_that_ends),
	KUNIT_CASE_SLOW(random_script_against_seq_file),
	KUNIT_CASE(allocation_failure_of_each_in_turn),
	KUNIT_CASE(allocation_failure_during_change),
	KUNIT_CASE(allocation_failure_with_published_text),
	KUNIT_CASE_SLOW(readers_and_writers_at_once),
	KUNIT_CASE_SLOW(readers_and_untracked_writers_at_once),
	KUNIT_CASE_SLOW(threads_that_share_a_file),
	KUNIT_CASE(one_piece_recognised),
	KUNIT_CASE(entries_recognised),
	KUNIT_CASE(pieces_of_too_short_a_list),
	KUNIT_CASE(pieces_with_failures),
	KUNIT_CASE(pieces_of_a_list_that_changes),
	KUNIT_CASE_SLOW(speed_cached_against_uncached),
	KUNIT_CASE_SLOW(kmemleak_finds_the_decoy_only),
	{}
};

static struct kunit_suite fslist_suite = {
	.name = "uplift_fslist",
	.suite_init = fslist_suite_init,
	.suite_exit = fslist_suite_exit,
	.init = fslist_init,
	.exit = fslist_exit,
	.test_cases = fslist_cases,
};

kunit_test_suite(fslist_suite);

MODULE_DESCRIPTION("KUnit tests of the cached filesystem list");
MODULE_LICENSE("GPL");
