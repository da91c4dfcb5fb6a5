// SPDX-License-Identifier: GPL-2.0
/*
 * Enabling verity, and what fs/verity asks of a filesystem.
 *
 * The order is what makes it safe against losing power: the tree's file is made and
 * written, and waited for; then the attribute is set, in one transaction of XFS's. A
 * tree without an attribute is left over and is removed when the filesystem is named
 * the next time.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/file.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/xattr.h>

#include "verity_fs.h"

static struct verity_fs *fs_of(const struct inode *inode)
{
	return verity_fs_of(inode->i_sb);
}

/* --- what fs/verity calls --- */

static int verity_begin(struct file *filp)
{
	struct inode *inode = file_inode(filp);

	if (!verity_file_making(fs_of(inode), inode))
		return -EBUSY;
	if (IS_DAX(inode) || !verity_can_check(inode)) {
		pr_err_ratelimited("%s: inode %lu: no verity, as it is read past the page cache (DAX)\n",
				   inode->i_sb->s_id, inode->i_ino);
		return -EINVAL;
	}
	return filemap_write_and_wait(inode->i_mapping);
}

static int verity_write_tree(struct inode *inode, const void *buf, u64 pos, unsigned int size)
{
	struct verity_file *file = verity_file_making(fs_of(inode), inode);
	loff_t offset = pos;
	ssize_t written;

	if (READ_ONCE(fs_of(inode)->going))
		return -ENODEV;
	/* Not kernel_write(): the filesystem is held against freezing already. */
	written = __kernel_write(file->writer, buf, size, &offset);
	if (written < 0)
		return written;
	return written == size ? 0 : -EIO;
}

static struct verity_record *verity_make_record(const struct inode *inode, const void *desc,
						size_t size, u64 tree_size)
{
	struct verity_id id = verity_id_of(inode);
	struct verity_record *record;

	record = kmalloc(sizeof(*record) + size, GFP_KERNEL);
	if (!record)
		return NULL;
	memcpy(record + 1, desc, size);
	verity_record_fill(record, &id, tree_size, size);
	return record;
}

static int verity_end(struct file *filp, const void *desc, size_t desc_size, u64 tree_size)
{
	struct inode *inode = file_inode(filp);
	struct verity_fs *fs = fs_of(inode);
	struct verity_file *file = verity_file_making(fs, inode);
	struct verity_record *record;
	int err;

	/* It failed: verity_abandon() follows, without the inode's lock. */
	if (!desc)
		return 0;
	if (READ_ONCE(fs->going))
		return -ENODEV;
	err = vfs_fsync(file->writer, 0) ?: vfs_fsync(filp, 0);
	if (err)
		return err;
	record = verity_make_record(inode, desc, desc_size, tree_size);
	if (!record)
		return -ENOMEM;
	err = __vfs_setxattr(&nop_mnt_idmap, file_dentry(filp), inode, VERITY_XATTR, record,
			     sizeof(*record) + desc_size, 0);
	kfree(record);
	if (err)
		return err;
	/* Writers are shut out from here on; reads are checked once it is complete. */
	inode_set_flags(inode, S_VERITY, S_VERITY);
	return 0;
}

static int verity_descriptor(struct inode *inode, void *buf, size_t bufsize)
{
	struct verity_record *record;
	const void *desc;
	size_t size;
	int ret;

	record = verity_file_record(inode, &size);
	if (IS_ERR(record))
		return PTR_ERR(record);
	desc = verity_record_descriptor(record, &size);
	ret = size;
	if (bufsize && bufsize < size)
		ret = -ERANGE;
	else if (bufsize)
		memcpy(buf, desc, size);
	kfree(record);
	return ret;
}

/**
 * verity_ops_fill - set what fs/verity calls
 * @vops: the operations
 *
 * Context: any.
 */
void verity_ops_fill(struct fsverity_operations *vops)
{
	*vops = (struct fsverity_operations){
		COMPAT_VERITY_INFO
		.begin_enable_verity		= verity_begin,
		.end_enable_verity		= verity_end,
		.get_verity_descriptor		= verity_descriptor,
		.read_merkle_tree_page		= verity_read_tree,
		.write_merkle_tree_block	= verity_write_tree,
	};
}

/**
 * verity_ops_ours - are these operations those that verity_ops_fill() sets?
 * @vops: a superblock's
 *
 * Context: any.
 * Return: true if so.
 */
bool verity_ops_ours(const struct fsverity_operations *vops)
{
	return vops->begin_enable_verity == verity_begin;
}

/* --- enabling --- */

/* Is it worth the making of a tree's file? If not fs/verity says why. */
static bool verity_worthwhile(struct file *filp)
{
	const struct inode *inode = file_inode(filp);

	return S_ISREG(inode->i_mode) && !IS_VERITY(inode) && !IS_APPEND(inode) &&
	       (filp->f_mode & FMODE_READ) && !(filp->f_mode & FMODE_WRITE) &&
	       !file_permission(filp, MAY_WRITE);
}

static void verity_drop(struct verity_fs *fs, struct verity_file *file)
{
	xa_erase(&fs->files, file->id.ino);
	kfree_rcu(file, rcu);
}

static struct file *verity_side_create_at(struct verity_fs *fs, struct file *filp,
					  const struct verity_id *id)
{
	struct file *writer;
	int err;

	err = mnt_want_write_file(filp);
	if (err)
		return ERR_PTR(err);
	writer = verity_side_create(fs, &filp->f_path, id);
	mnt_drop_write_file(filp);
	return writer;
}

/* Among the files, with an empty tree to write to; -EBUSY if another task does that. */
static struct verity_file *verity_prepare(struct verity_fs *fs, struct file *filp)
{
	struct verity_id id = verity_id_of(file_inode(filp));
	struct verity_file *file;
	int err;

	file = verity_file_new(&id, VERITY_ENABLING);
	if (!file)
		return ERR_PTR(-ENOMEM);
	file->maker = current;
	err = xa_insert(&fs->files, id.ino, file, GFP_KERNEL);
	if (err) {
		kfree(file);
		return ERR_PTR(err);
	}
	file->writer = verity_side_create_at(fs, filp, &id);
	if (IS_ERR(file->writer)) {
		err = PTR_ERR(file->writer);
		verity_drop(fs, file);
		return ERR_PTR(err);
	}
	return file;
}

static void verity_close(struct verity_file *file)
{
	/* At once, as the tree must not be open for writing when it is read. */
	__fput_sync(file->writer);
	file->writer = NULL;
	file->maker = NULL;
}

static void verity_abandon(struct verity_fs *fs, struct verity_file *file, struct file *filp)
{
	int err;

	verity_close(file);
	err = mnt_want_write_file(filp);
	if (!err) {
		err = verity_side_remove(fs->sb, &file->id);
		mnt_drop_write_file(filp);
	}
	if (err)
		pr_warn_ratelimited("%s: inode %llu: its tree is left over (%pe)\n", fs->sb->s_id,
				    file->id.ino, ERR_PTR(err));
	verity_drop(fs, file);
}

static int verity_complete(struct verity_fs *fs, struct verity_file *file, struct file *filp)
{
	struct inode *inode = file_inode(filp), *side;
	u64 size = i_size_read(file_inode(file->writer));
	int err;

	verity_close(file);
	side = verity_side_get(fs->sb, &file->id, size);
	/* Without a tree all reads fail: nothing is taken for checked that is not. */
	verity_file_switch(fs, file, inode, IS_ERR(side) ? NULL : side);
	atomic_inc(&fs->nr_files);
	WRITE_ONCE(file->state, VERITY_ENABLED);
	err = PTR_ERR_OR_ZERO(side);
	/* The attribute is to be on disk when the caller is told so. */
	return err ?: vfs_fsync(filp, 0);
}

/**
 * verity_enable - FS_IOC_ENABLE_VERITY
 * @fs: the filesystem
 * @filp: the file
 * @arg: the ioctl's argument
 *
 * The tree's file is made and removed here, as fs/verity calls with the inode's lock
 * held, which comes after a directory's.
 *
 * Context: process context, may sleep; in a section of verity_srcu.
 * Return: as the ioctl.
 */
long verity_enable(struct verity_fs *fs, struct file *filp, const void __user *arg)
{
	struct verity_file *file;
	long err;

	if (READ_ONCE(fs->going))
		return -ENOTTY;
	if (!verity_worthwhile(filp))
		return fsverity_ioctl_enable(filp, arg);
	if (verity_side_has(fs->sb, file_dentry(filp)))
		return -EPERM;
	file = verity_prepare(fs, filp);
	if (IS_ERR(file))
		return PTR_ERR(file);
	err = fsverity_ioctl_enable(filp, arg);
	if (!err)
		return verity_complete(fs, file, filp);
	verity_abandon(fs, file, filp);
	return err;
}
