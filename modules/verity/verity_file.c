// SPDX-License-Identifier: GPL-2.0
/*
 * A file with verity, from the moment that its inode is used to that in which the
 * inode goes: it is woken when it is opened, that is, from then on what is read into
 * the page cache is checked.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/xattr.h>

#include "verity_fs.h"

/**
 * verity_file_new - make a struct verity_file
 * @id: its inode
 * @state: its state
 *
 * Context: process context, may sleep.
 * Return: the file, on no list; NULL without memory.
 */
struct verity_file *verity_file_new(const struct verity_id *id, enum verity_state state)
{
	struct verity_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return NULL;
	file->id = *id;
	file->state = state;
	mutex_init(&file->lock);
	INIT_LIST_HEAD(&file->removal);
	return file;
}

static struct verity_file *file_of(struct verity_fs *fs, const struct inode *inode,
				   enum verity_state state)
{
	struct verity_file *file;

	rcu_read_lock();
	file = xa_load(&fs->files, inode->i_ino);
	if (file && (file->id.generation != inode->i_generation ||
		     READ_ONCE(file->state) != state))
		file = NULL;
	rcu_read_unlock();
	return file;
}

/**
 * verity_file_find - has a file verity?
 * @fs: its filesystem
 * @inode: its inode
 *
 * Context: any, in a section of verity_srcu.
 * Return: what is known of it, which stays until the inode is destroyed; NULL if it
 * has not, or if the filesystem is being given up.
 */
struct verity_file *verity_file_find(struct verity_fs *fs, const struct inode *inode)
{
	if (READ_ONCE(fs->going))
		return NULL;
	return file_of(fs, inode, VERITY_ENABLED);
}

/**
 * verity_file_making - is a file being enabled by this task?
 * @fs: its filesystem
 * @inode: its inode
 *
 * Context: process context.
 * Return: what is known of it; NULL if not.
 */
struct verity_file *verity_file_making(struct verity_fs *fs, const struct inode *inode)
{
	struct verity_file *file = file_of(fs, inode, VERITY_ENABLING);

	return file && file->maker == current ? file : NULL;
}

/**
 * verity_file_record - read a file's attribute
 * @inode: its inode
 * @size: set to its size, bytes
 *
 * Context: process context, may sleep.
 * Return: the record, checked, for kfree(); an error pointer, -ENODATA if there is
 * none or it is another file's.
 */
struct verity_record *verity_file_record(struct inode *inode, size_t *size)
{
	struct verity_id id = verity_id_of(inode);
	struct verity_record *record;
	int found, err;

	/* XFS does not look at the dentry. */
	found = __vfs_getxattr(NULL, inode, VERITY_XATTR, NULL, 0);
	if (found < 0)
		return ERR_PTR(found);
	if (found > VERITY_RECORD_MAX)
		return ERR_PTR(-EBADMSG);
	record = kmalloc(max_t(size_t, found, sizeof(*record)), GFP_KERNEL);
	if (!record)
		return ERR_PTR(-ENOMEM);
	found = __vfs_getxattr(NULL, inode, VERITY_XATTR, record, found);
	err = found < 0 ? found : verity_record_check(record, found, &id);
	if (err) {
		kfree(record);
		return ERR_PTR(err);
	}
	*size = found;
	return record;
}

/* --- waking --- */

/**
 * verity_file_seen - a file's inode is in memory
 * @fs: its filesystem
 * @file: the file
 * @inode: its inode, to which the caller has a reference
 *
 * It gets the flag that tells others of it before it is opened: overlayfs looks.
 *
 * Context: process context; in a section of verity_srcu.
 */
void verity_file_seen(struct verity_fs *fs, struct verity_file *file, struct inode *inode)
{
	if (READ_ONCE(file->inode) == inode)
		return;
	spin_lock(&fs->lock);
	file->inode = inode;
	inode_set_flags(inode, S_VERITY, S_VERITY);
	spin_unlock(&fs->lock);
}

/* What fs/verity takes for opening a file: only that it is not for writing. */
static struct file reader = { .f_mode = FMODE_READ };

/**
 * verity_file_switch - check what is read of a file from now on
 * @fs: its filesystem
 * @file: the file, which no other task wakes
 * @inode: its inode, with fs/verity's information; nobody can write to it
 * @side: of its tree; NULL if reads are to fail
 *
 * What is in the page cache was not checked, and goes.
 *
 * Context: process context, may sleep.
 */
void verity_file_switch(struct verity_fs *fs, struct verity_file *file, struct inode *inode,
			struct inode *side)
{
	struct address_space *mapping = inode->i_mapping;
	int err;

	filemap_invalidate_lock(mapping);
	file->min_order = mapping_min_folio_order(mapping);
	file->max_order = mapping_max_folio_order(mapping);
	spin_lock(&fs->lock);
	file->side = side;
	file->inode = inode;
	file->awake = true;
	spin_unlock(&fs->lock);
	verity_read_checked(inode, true);
	/* A block that is wrong spoils its folio: none is to be larger than a page. */
	mapping_set_folio_order_range(mapping, 0, 0);
	err = invalidate_inode_pages2(mapping);
	filemap_invalidate_unlock(mapping);
	atomic_inc(&fs->nr_awake);
	/* Only what is dirty can stay, and nothing has been since writers were shut out. */
	WARN_ONCE(err, "%s: inode %lu: pages stay that were not checked (%pe)\n", fs->sb->s_id,
		  inode->i_ino, ERR_PTR(err));
}

static int file_wake_locked(struct verity_fs *fs, struct verity_file *file, struct inode *inode)
{
	struct verity_record *record;
	struct inode *side;
	size_t size;
	int err;

	if (!verity_can_check(inode))
		return -EIO;
	record = verity_file_record(inode, &size);
	if (IS_ERR(record))
		return PTR_ERR(record);
	err = filemap_write_and_wait(inode->i_mapping);
	if (err)
		goto out;
	side = verity_side_get(fs->sb, &file->id, le64_to_cpu(record->tree_size));
	err = PTR_ERR_OR_ZERO(side);
	if (err)
		goto out;
	err = fsverity_file_open(inode, &reader);
	if (err)
		verity_side_put(side);
	else
		verity_file_switch(fs, file, inode, side);
out:
	kfree(record);
	return err;
}

/* While nobody writes to it, and nobody can begin to. */
static int file_wake_unwritten(struct verity_fs *fs, struct verity_file *file,
			       struct inode *inode)
{
	int err;

	if (!atomic_dec_unless_positive(&inode->i_writecount))
		return -ETXTBSY;
	err = file_wake_locked(fs, file, inode);
	atomic_inc(&inode->i_writecount);
	return err;
}

/* One that was enabled, and whose tree could not be had then. */
static int file_find_side(struct verity_fs *fs, struct verity_file *file, struct inode *inode)
{
	struct verity_record *record;
	struct inode *side;
	size_t size;

	record = verity_file_record(inode, &size);
	if (IS_ERR(record))
		return PTR_ERR(record);
	side = verity_side_get(fs->sb, &file->id, le64_to_cpu(record->tree_size));
	kfree(record);
	if (IS_ERR(side))
		return PTR_ERR(side);
	spin_lock(&fs->lock);
	file->side = side;
	spin_unlock(&fs->lock);
	return 0;
}

/**
 * verity_file_wake - see to it that reads of a file are checked
 * @fs: its filesystem
 * @file: the file
 * @inode: its inode, to which the caller has a reference
 *
 * Context: process context, may sleep; in a section of verity_srcu.
 * Return: 0; -ETXTBSY if it is written to, as it can be when it was opened before the
 * filesystem was named; a negative errno if it cannot be checked.
 */
int verity_file_wake(struct verity_fs *fs, struct verity_file *file, struct inode *inode)
{
	int err = 0;

	verity_file_seen(fs, file, inode);
	/* Set once and for all of the inode's life, but by those who wait for us. */
	if (READ_ONCE(file->awake) && READ_ONCE(file->side))
		return 0;
	mutex_lock(&file->lock);
	if (READ_ONCE(fs->going))
		err = 0;
	else if (!file->awake)
		err = file_wake_unwritten(fs, file, inode);
	else if (!file->side)
		err = file_find_side(fs, file, inode);
	mutex_unlock(&file->lock);
	return err;
}

/* --- going to sleep --- */

/**
 * verity_file_sleep - check no longer what is read of a file
 * @fs: its filesystem, going
 * @file: the file
 *
 * One that is in memory is held, for verity_file_forget(), which has to come after a
 * grace period.
 *
 * Context: process context, may sleep.
 * Return: false if its inode is just being destroyed: try again.
 */
bool verity_file_sleep(struct verity_fs *fs, struct verity_file *file)
{
	struct address_space *mapping;
	struct inode *inode;
	bool destroyed;

	spin_lock(&fs->lock);
	inode = file->inode ? igrab(file->inode) : NULL;
	destroyed = file->inode && !inode;
	spin_unlock(&fs->lock);
	if (!inode)
		return !destroyed;
	mapping = inode->i_mapping;
	filemap_invalidate_lock(mapping);
	if (file->awake) {
		verity_read_checked(inode, false);
		mapping_set_folio_order_range(mapping, file->min_order, file->max_order);
	}
	inode_set_flags(inode, 0, S_VERITY);
	filemap_invalidate_unlock(mapping);
	return true;
}

static struct inode *file_let_go(struct verity_fs *fs, struct verity_file *file)
{
	struct inode *side;

	spin_lock(&fs->lock);
	side = file->side;
	if (file->awake)
		atomic_dec(&fs->nr_awake);
	file->inode = NULL;
	file->awake = false;
	file->side = NULL;
	spin_unlock(&fs->lock);
	return side;
}

/**
 * verity_file_forget - free what a file took in memory
 * @fs: its filesystem
 * @file: the file
 * @inode: its inode; no read of it is under way
 *
 * Context: process context, may sleep.
 */
void verity_file_forget(struct verity_fs *fs, struct verity_file *file, struct inode *inode)
{
	struct inode *side = file_let_go(fs, file);

	compat_verity_free(inode);
	verity_side_put(side);
}

/* Its tree goes with it, later: this may be the reclaim of memory. */
static void file_remove(struct verity_fs *fs, struct verity_file *file)
{
	xa_erase(&fs->files, file->id.ino);
	atomic_dec(&fs->nr_files);
	spin_lock(&fs->lock);
	list_add_tail(&file->removal, &fs->removals);
	spin_unlock(&fs->lock);
	schedule_delayed_work(&fs->remove, 0);
}

/**
 * verity_file_destroyed - an inode goes from memory
 * @fs: its filesystem
 * @inode: the inode, which nobody has a reference to any more
 *
 * Context: process context, may be the reclaim of memory; in a section of
 * verity_srcu.
 */
void verity_file_destroyed(struct verity_fs *fs, struct inode *inode)
{
	struct verity_file *file = file_of(fs, inode, VERITY_ENABLED);

	if (!file)
		return;
	if (READ_ONCE(file->inode) == inode) {
		if (file->awake)
			verity_read_checked(inode, false);
		verity_file_forget(fs, file, inode);
		inode_set_flags(inode, 0, S_VERITY);
	}
	if (!inode->i_nlink && !READ_ONCE(fs->going))
		file_remove(fs, file);
}
