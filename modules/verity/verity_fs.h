/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between the files of uplift_verity.ko.
 *
 * Locks, in this order: verity_mounts_lock, struct verity_file.lock, the kernel's
 * own (i_rwsem, invalidate_lock), struct verity_fs.lock. What runs while an inode is
 * destroyed takes the last one only, as memory may be reclaimed under any other.
 *
 * What may sleep in the module's code is in a section of verity_srcu, or counted in
 * struct verity_fs.reads: see verity_fs_stop().
 */
#ifndef _UPLIFT_VERITY_FS_H
#define _UPLIFT_VERITY_FS_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "verity.h"
#include "verity_core.h"

/**
 * enum verity_state - of a file that has, or is to have, a tree
 * @VERITY_ENABLING: the tree is being made; for all others it is a plain file
 * @VERITY_ENABLED: it has verity. There is no way back but to remove the file
 */
enum verity_state {
	VERITY_ENABLING,
	VERITY_ENABLED,
};

/**
 * struct verity_file - a file with verity
 * @id: its inode
 * @state: see there
 * @lock: held while the file is enabled or woken
 * @maker: the task that enables it
 * @writer: its tree, while it is written
 * @inode: the inode in memory, if it has been seen: it has the flag. Not counted as a
 *	reference: goes when the inode is destroyed
 * @awake: what is read of it is checked
 * @side: the inode of the tree, while it is awake; NULL if it cannot be had, then every
 *	read fails
 * @min_order: what the orders of @inode's folios were
 * @max_order: likewise
 * @removal: on the list of those whose trees are to be removed
 * @rcu: for freeing
 */
struct verity_file {
	struct verity_id id;
	enum verity_state state;
	struct mutex lock;		/* enabling, waking */
	struct task_struct *maker;
	struct file *writer;
	struct inode *inode;
	bool awake;
	struct inode *side;
	unsigned int min_order;
	unsigned int max_order;
	struct list_head removal;
	struct rcu_head rcu;
};

/**
 * struct verity_fs - a filesystem that is given verity
 * @vops: what fs/verity calls; the superblock's s_vop points here
 * @sb: the superblock
 * @node: on the list of them
 * @files: all files with verity, by the inode's number
 * @nr_files: how many
 * @nr_awake: how many of them are awake
 * @going: none is woken any more
 * @reads: reads under way
 * @idle: woken when there are none
 * @lock: of @removals, and of struct verity_file.inode, .awake and .side
 * @removals: trees of files that are gone
 * @remove: removes them
 */
struct verity_fs {
	struct fsverity_operations vops;
	struct super_block *sb;
	struct list_head node;
	struct xarray files;
	atomic_t nr_files;
	atomic_t nr_awake;
	bool going;
	atomic_t reads;
	wait_queue_head_t idle;
	spinlock_t lock;		/* removals; inode, awake, side of files */
	struct list_head removals;
	struct delayed_work remove;
};

extern struct srcu_struct verity_srcu;

/* verity_main.c */
int verity_hook(void);

/* verity_fs.c */
int verity_fs_attach(const char *path);
int verity_fs_detach(const char *path);
void verity_fs_detach_all(void);
void verity_fs_unmounted(struct super_block *sb);
void verity_fs_show(struct seq_file *m);

/* verity_file.c */
struct verity_file *verity_file_new(const struct verity_id *id, enum verity_state state);
struct verity_file *verity_file_find(struct verity_fs *fs, const struct inode *inode);
struct verity_file *verity_file_making(struct verity_fs *fs, const struct inode *inode);
struct verity_record *verity_file_record(struct inode *inode, size_t *size);
void verity_file_seen(struct verity_fs *fs, struct verity_file *file, struct inode *inode);
int verity_file_wake(struct verity_fs *fs, struct verity_file *file, struct inode *inode);
void verity_file_switch(struct verity_fs *fs, struct verity_file *file, struct inode *inode,
			struct inode *side);
bool verity_file_sleep(struct verity_fs *fs, struct verity_file *file);
void verity_file_forget(struct verity_fs *fs, struct verity_file *file, struct inode *inode);
void verity_file_destroyed(struct verity_fs *fs, struct inode *inode);

/* verity_side.c */
struct inode *verity_inode(struct super_block *sb, const struct verity_id *id);
struct file *verity_side_create(struct verity_fs *fs, const struct path *path,
				const struct verity_id *id);
int verity_side_remove(struct super_block *sb, const struct verity_id *id);
struct inode *verity_side_get(struct super_block *sb, const struct verity_id *id, u64 size);
void verity_side_put(struct inode *side);
int verity_side_list(const struct path *path, struct list_head *files);
bool verity_side_has(struct super_block *sb, const struct dentry *dentry);

/* verity_enable.c */
void verity_ops_fill(struct fsverity_operations *vops);
bool verity_ops_ours(const struct fsverity_operations *vops);
long verity_enable(struct verity_fs *fs, struct file *file, const void __user *arg);

/* verity_read.c */
int verity_read_init(void);
void verity_read_exit(void);
bool verity_can_check(const struct inode *inode);
void verity_read_checked(struct inode *inode, bool checked);
struct page *verity_read_tree(struct inode *inode, pgoff_t index, unsigned long ahead);

/* verity_hooks.c */
int verity_hooks_init(void);
int verity_hooks_on(void);
void verity_hooks_off(void);

/**
 * verity_fs_of - the filesystem that is given verity
 * @sb: any superblock
 *
 * Context: in a section of verity_srcu, or for the comparison only.
 * Return: NULL if it is none.
 */
static inline struct verity_fs *verity_fs_of(const struct super_block *sb)
{
	const struct fsverity_operations *vops = READ_ONCE(sb->s_vop);

	if (likely(!vops) || !verity_ops_ours(vops))
		return NULL;
	return container_of(vops, struct verity_fs, vops);
}

static inline struct verity_id verity_id_of(const struct inode *inode)
{
	return (struct verity_id){ .ino = inode->i_ino, .generation = inode->i_generation };
}

#endif /* _UPLIFT_VERITY_FS_H */
