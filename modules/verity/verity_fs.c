// SPDX-License-Identifier: GPL-2.0
/*
 * Filesystems that are given verity: named, and given up again. Nothing here is in
 * the way of unmounting one: no reference to it is held between calls.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/magic.h>
#include <linux/namei.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "verity_fs.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC	0x58465342
#endif

DEFINE_SRCU(verity_srcu);

static DEFINE_MUTEX(verity_mounts_lock);
static LIST_HEAD(verity_mounts);

/* --- trees of files that are gone --- */

static void removal_free(struct verity_fs *fs, struct verity_file *file)
{
	int err = verity_side_remove(fs->sb, &file->id);

	if (err)
		pr_warn_ratelimited("%s: inode %llu: its tree is left over (%pe)\n", fs->sb->s_id,
				    file->id.ino, ERR_PTR(err));
	kfree_rcu(file, rcu);
}

static void removals_drop(struct list_head *files)
{
	struct verity_file *file, *next;

	list_for_each_entry_safe(file, next, files, removal) {
		list_del(&file->removal);
		kfree_rcu(file, rcu);
	}
}

/* The superblock cannot go, and cannot be frozen. */
static void fs_remove_all(struct verity_fs *fs)
{
	struct verity_file *file, *next;
	LIST_HEAD(files);

	spin_lock(&fs->lock);
	list_splice_init(&fs->removals, &files);
	spin_unlock(&fs->lock);
	list_for_each_entry_safe(file, next, &files, removal) {
		list_del(&file->removal);
		removal_free(fs, file);
	}
}

/*
 * Only tried: who unmounts holds s_umount and waits for this, and who thaws waits for
 * it. What is not removed is left over, and removed when the filesystem is named again.
 */
static bool fs_try_remove(struct verity_fs *fs)
{
	struct super_block *sb = fs->sb;
	bool done = false;

	if (!down_read_trylock(&sb->s_umount))
		return false;
	if (!sb_rdonly(sb) && sb_start_write_trylock(sb)) {
		fs_remove_all(fs);
		sb_end_write(sb);
		done = true;
	}
	up_read(&sb->s_umount);
	return done;
}

static void fs_remove_work(struct work_struct *work)
{
	struct verity_fs *fs = container_of(to_delayed_work(work), struct verity_fs, remove);

	if (!fs_try_remove(fs))
		schedule_delayed_work(&fs->remove, HZ / 2);
}

/* --- a filesystem --- */

static struct verity_fs *fs_new(struct super_block *sb)
{
	struct verity_fs *fs = kzalloc(sizeof(*fs), GFP_KERNEL);

	if (!fs)
		return NULL;
	verity_ops_fill(&fs->vops);
	fs->sb = sb;
	xa_init(&fs->files);
	init_waitqueue_head(&fs->idle);
	spin_lock_init(&fs->lock);
	INIT_LIST_HEAD(&fs->removals);
	INIT_DELAYED_WORK(&fs->remove, fs_remove_work);
	return fs;
}

/* Nobody reads of it any more, and none of its files is awake. */
static void fs_free(struct verity_fs *fs)
{
	struct verity_file *file;
	unsigned long ino;

	removals_drop(&fs->removals);
	xa_for_each(&fs->files, ino, file)
		kfree(file);
	xa_destroy(&fs->files);
	kfree(fs);
}

/* --- may it have verity? --- */

/* The page that has a place on the device; filesystems are longer than that. */
static int read_disk(struct super_block *sb, u64 pos, struct page *page)
{
	struct bio_vec vec;
	struct bio bio;
	int err;

	bio_init(&bio, sb->s_bdev, &vec, 1, REQ_OP_READ);
	bio.bi_iter.bi_sector = (pos & PAGE_MASK) >> SECTOR_SHIFT;
	__bio_add_page(&bio, page, PAGE_SIZE, 0);
	err = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return err;
}

static const char *sb_refusal_on_disk(struct super_block *sb, struct page *page)
{
	if (read_disk(sb, 0, page))
		return "its superblock cannot be read";
	return verity_superblock_refusal(page_address(page), PAGE_SIZE, PAGE_SIZE);
}

static bool inode_damaged_on_disk(struct super_block *sb, u64 ino, struct page *page)
{
	u32 size;
	u64 pos;

	if (read_disk(sb, 0, page))
		return true;
	size = verity_inode_place(page_address(page), ino, &pos);
	if (!size)
		return false;
	return read_disk(sb, pos, page) ||
	       verity_inode_damaged(page_address(page) + offset_in_page(pos), size);
}

/* XFS says of one that is damaged that there is none such. If it cannot be told it is. */
static bool inode_damaged(struct super_block *sb, u64 ino)
{
	struct page *page = alloc_page(GFP_KERNEL);
	bool damaged;

	if (!page)
		return true;
	damaged = inode_damaged_on_disk(sb, ino, page);
	__free_page(page);
	return damaged;
}

static int sb_check(struct super_block *sb)
{
	const char *refusal;
	struct page *page;

	if (sb->s_magic != XFS_SUPER_MAGIC || !sb->s_bdev) {
		pr_err("%s: not XFS\n", sb->s_id);
		return -EINVAL;
	}
	if (verity_fs_of(sb)) {
		pr_err("%s: has been named already\n", sb->s_id);
		return -EEXIST;
	}
	if (sb->s_vop) {
		pr_err("native: %s: XFS has its own verity\n", sb->s_id);
		return -EEXIST;
	}
	page = alloc_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	refusal = sb_refusal_on_disk(sb, page);
	__free_page(page);
	if (!refusal)
		return 0;
	pr_err("unsupported: %s: %s\n", sb->s_id, refusal);
	return -EOPNOTSUPP;
}

/* --- naming it --- */

/* Is a tree's file still there, and has it the attribute? Else the tree is left over. */
static bool tree_is_left_over(struct super_block *sb, const struct verity_file *file)
{
	struct verity_record *record;
	struct inode *inode;
	size_t size;

	inode = verity_inode(sb, &file->id);
	if (IS_ERR(inode))
		return PTR_ERR(inode) == -ESTALE && !inode_damaged(sb, file->id.ino);
	record = verity_file_record(inode, &size);
	iput(inode);
	if (IS_ERR(record))
		return PTR_ERR(record) == -ENODATA;
	kfree(record);
	return false;
}

static int fs_add(struct verity_fs *fs, struct verity_file *file)
{
	int err;

	list_del_init(&file->removal);
	err = xa_insert(&fs->files, file->id.ino, file, GFP_KERNEL);
	if (err)
		kfree(file);
	else
		atomic_inc(&fs->nr_files);
	return err;
}

/* Before anybody can find the files: those that are left over go. */
static int fs_fill(struct verity_fs *fs, const struct path *path)
{
	struct verity_file *file, *next;
	LIST_HEAD(files);
	int err;

	err = verity_side_list(path, &files);
	list_for_each_entry_safe(file, next, &files, removal) {
		if (!err && tree_is_left_over(fs->sb, file))
			list_move(&file->removal, &fs->removals);
		else if (!err)
			err = fs_add(fs, file);
	}
	removals_drop(&files);
	if (err)
		pr_err("%s: its files with verity cannot be listed (%pe)\n", fs->sb->s_id,
		       ERR_PTR(err));
	return err;
}

/* Those that are open already, and all others: which they are cannot be told. */
static void fs_wake_all(struct verity_fs *fs)
{
	int section = srcu_read_lock(&verity_srcu);
	struct verity_file *file;
	struct inode *inode;
	unsigned long ino;
	int err;

	xa_for_each(&fs->files, ino, file) {
		inode = verity_inode(fs->sb, &file->id);
		err = PTR_ERR_OR_ZERO(inode);
		if (!err) {
			err = verity_file_wake(fs, file, inode);
			iput(inode);
		}
		if (err)
			pr_err_ratelimited("%s: inode %llu: cannot be checked%s (%pe)\n",
					   fs->sb->s_id, file->id.ino,
					   err == -ETXTBSY ? ", it is open for writing" : "",
					   ERR_PTR(err));
	}
	srcu_read_unlock(&verity_srcu, section);
}

static int fs_attach(const struct path *path)
{
	struct super_block *sb = path->dentry->d_sb;
	struct path root = { .mnt = path->mnt, .dentry = sb->s_root };
	struct verity_fs *fs;
	int err;

	err = sb_check(sb) ?: verity_hook();
	if (err)
		return err;
	fs = fs_new(sb);
	if (!fs)
		return -ENOMEM;
	err = fs_fill(fs, &root);
	if (err) {
		fs_free(fs);
		return err;
	}
	list_add_tail(&fs->node, &verity_mounts);
	/* What it has is seen by all that see it. */
	smp_store_release(&sb->s_vop, &fs->vops);
	fs_wake_all(fs);
	if (!list_empty(&fs->removals) && !sb_rdonly(sb))
		fs_try_remove(fs);
	pr_info("%s: verity, %d files have it\n", sb->s_id, atomic_read(&fs->nr_files));
	return 0;
}

/**
 * verity_fs_attach - give a mounted filesystem verity
 * @name: a path in it
 *
 * Context: process context, sleeps.
 * Return: 0; after a line in the log -EINVAL if it is not XFS, -EEXIST if it has
 * verity, -EOPNOTSUPP if it cannot be given; a negative errno.
 */
int verity_fs_attach(const char *name)
{
	struct path path;
	int err;

	err = kern_path(name, LOOKUP_FOLLOW, &path);
	if (err) {
		pr_err("%s: no such path (%pe)\n", name, ERR_PTR(err));
		return err;
	}
	mutex_lock(&verity_mounts_lock);
	err = fs_attach(&path);
	mutex_unlock(&verity_mounts_lock);
	path_put(&path);
	return err;
}

/* --- giving it up --- */

static void fs_sleep_all(struct verity_fs *fs)
{
	struct verity_file *file;
	unsigned long ino;

	xa_for_each(&fs->files, ino, file)
		while (!verity_file_sleep(fs, file))
			msleep(20);
}

static void fs_forget_all(struct verity_fs *fs)
{
	struct verity_file *file;
	unsigned long ino;

	xa_for_each(&fs->files, ino, file) {
		struct inode *inode = file->inode;

		if (!inode)
			continue;
		verity_file_forget(fs, file, inode);
		iput(inode);
	}
}

/*
 * The order is: nobody wakes or enables a file any more; no inode has operations or a
 * flag of ours; nobody is in these operations, or between the flag and what it stands
 * for; no bio is under way; what they used is freed; nobody looks at the superblock.
 */
static void verity_fs_stop(struct verity_fs *fs)
{
	WRITE_ONCE(fs->going, true);
	synchronize_srcu(&verity_srcu);
	cancel_delayed_work_sync(&fs->remove);
	fs_sleep_all(fs);
	synchronize_rcu_tasks();
	synchronize_srcu(&verity_srcu);
	wait_event(fs->idle, !atomic_read(&fs->reads));
	/* Who has just ended the last one, and who looks at a file's digest. */
	synchronize_rcu_tasks();
	synchronize_rcu();
	fs_forget_all(fs);
	WRITE_ONCE(fs->sb->s_vop, NULL);
	synchronize_srcu(&verity_srcu);
	synchronize_rcu_tasks();
	if (!list_empty(&fs->removals))
		fs_try_remove(fs);
}

/*
 * Locked: verity_mounts_lock; the caller holds the superblock. Not s_umount, which
 * thawing takes: this may wait for a task that enables a file of a frozen filesystem.
 */
static void fs_detach(struct verity_fs *fs)
{
	list_del(&fs->node);
	verity_fs_stop(fs);
	pr_info("%s: no verity any more, %d files have it and are not checked\n", fs->sb->s_id,
		atomic_read(&fs->nr_files));
	fs_free(fs);
}

/**
 * verity_fs_detach - give up a filesystem
 * @name: a path in it
 *
 * Context: process context, sleeps.
 * Return: 0; -ENOENT if it was not named; a negative errno.
 */
int verity_fs_detach(const char *name)
{
	struct verity_fs *fs;
	struct path path;
	int err;

	err = kern_path(name, LOOKUP_FOLLOW, &path);
	if (err)
		return err;
	mutex_lock(&verity_mounts_lock);
	fs = verity_fs_of(path.dentry->d_sb);
	if (fs)
		fs_detach(fs);
	mutex_unlock(&verity_mounts_lock);
	path_put(&path);
	return fs ? 0 : -ENOENT;
}

/* One that is being unmounted is tried again, and goes from the list by itself. */
static bool fs_detach_one(void)
{
	struct super_block *sb = NULL;
	struct verity_fs *fs;

	mutex_lock(&verity_mounts_lock);
	fs = list_first_entry_or_null(&verity_mounts, struct verity_fs, node);
	if (fs && atomic_inc_not_zero(&fs->sb->s_active)) {
		sb = fs->sb;
		fs_detach(fs);
	}
	mutex_unlock(&verity_mounts_lock);
	/* It may be unmounted here and now, which takes the lock. */
	if (sb)
		deactivate_super(sb);
	else if (fs)
		msleep(20);
	return fs;
}

/**
 * verity_fs_detach_all - give up all filesystems
 *
 * Context: process context, sleeps; none is named meanwhile.
 */
void verity_fs_detach_all(void)
{
	while (fs_detach_one())
		;
}

/**
 * verity_fs_unmounted - a filesystem is unmounted
 * @sb: its superblock; all inodes are gone
 *
 * Context: process context, sleeps.
 */
void verity_fs_unmounted(struct super_block *sb)
{
	struct verity_fs *fs;

	mutex_lock(&verity_mounts_lock);
	fs = verity_fs_of(sb);
	if (fs) {
		list_del(&fs->node);
		cancel_delayed_work_sync(&fs->remove);
		WRITE_ONCE(sb->s_vop, NULL);
		wait_event(fs->idle, !atomic_read(&fs->reads));
		synchronize_rcu();
		fs_free(fs);
	}
	mutex_unlock(&verity_mounts_lock);
}

/**
 * verity_fs_show - list the filesystems that are given verity
 * @m: the file
 *
 * Context: process context, may sleep.
 */
void verity_fs_show(struct seq_file *m)
{
	struct verity_fs *fs;

	mutex_lock(&verity_mounts_lock);
	list_for_each_entry(fs, &verity_mounts, node)
		seq_printf(m, "%s files %d awake %d\n", fs->sb->s_id, atomic_read(&fs->nr_files),
			   atomic_read(&fs->nr_awake));
	mutex_unlock(&verity_mounts_lock);
}
