// SPDX-License-Identifier: GPL-2.0
/*
 * The files that have trees: in a directory at the filesystem's root that is root's
 * alone, one for each file with verity.
 *
 * No reference to a mount, a dentry or a struct file is held for longer than a call,
 * so that none is in the way of unmounting; of an awake file's tree the inode is,
 * which goes with the file's own.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cred.h>
#include <linux/exportfs.h>
#include <linux/file.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "verity_fs.h"

/* XFS's file handle with a number of 64 bits. */
#define XFS_FILEID_INO64_GEN	(FILEID_INO32_GEN | 0x80)

struct xfs_fileid {
	u64 ino;
	u32 generation;
} __packed;

/**
 * verity_inode - an inode by its number
 * @sb: the superblock, which cannot go meanwhile
 * @id: the inode
 *
 * Context: process context, may sleep.
 * Return: the inode, for iput(); ERR_PTR(-ESTALE) if there is none such.
 */
struct inode *verity_inode(struct super_block *sb, const struct verity_id *id)
{
	struct xfs_fileid fileid = { .ino = id->ino, .generation = id->generation };
	struct dentry *dentry;
	struct inode *inode;

	dentry = sb->s_export_op->fh_to_dentry(sb, (struct fid *)&fileid,
					       sizeof(fileid) / sizeof(u32),
					       XFS_FILEID_INO64_GEN);
	if (IS_ERR_OR_NULL(dentry))
		return dentry ? ERR_CAST(dentry) : ERR_PTR(-ESTALE);
	inode = igrab(d_inode(dentry));
	dput(dentry);
	return inode ?: ERR_PTR(-ESTALE);
}

/* --- whoever it is that reads or enables a file: its tree is root's --- */

struct as_root {
	struct cred *root;
	const struct cred *old;
};

static int root_begin(struct as_root *as)
{
	as->root = prepare_kernel_cred(&init_task);
	if (!as->root)
		return -ENOMEM;
	as->old = override_creds(as->root);
	return 0;
}

static void root_end(struct as_root *as)
{
	revert_creds(as->old);
	put_cred(as->root);
}

/* --- the directory --- */

/* A directory that others can write to would let them choose trees. */
static int dir_check(const struct super_block *sb, const struct dentry *dir)
{
	const struct inode *inode;

	if (d_is_negative(dir))
		return -ENOENT;
	inode = d_inode(dir);
	if (S_ISDIR(inode->i_mode) && uid_eq(inode->i_uid, GLOBAL_ROOT_UID) &&
	    !(inode->i_mode & 0077))
		return 0;
	pr_err("%s: %s is not a directory of root's alone: chown root and chmod 700, or remove it\n",
	       sb->s_id, VERITY_DIR);
	return -EPERM;
}

static struct dentry *dir_get(struct super_block *sb)
{
	struct dentry *dir = compat_lookup_unlocked(VERITY_DIR, sb->s_root);
	int err;

	if (IS_ERR(dir))
		return dir;
	err = dir_check(sb, dir);
	if (err) {
		dput(dir);
		return ERR_PTR(err);
	}
	return dir;
}

static int dir_make(struct super_block *sb)
{
	struct inode *root = d_inode(sb->s_root);
	struct dentry *dir;
	int err;

	inode_lock_nested(root, I_MUTEX_PARENT);
	dir = compat_lookup(VERITY_DIR, sb->s_root);
	err = PTR_ERR_OR_ZERO(dir);
	if (!err) {
		if (d_is_negative(dir))
			err = compat_mkdir(root, dir, 0700);
		dput(dir);
	}
	inode_unlock(root);
	return err;
}

static struct dentry *dir_get_or_make(struct super_block *sb)
{
	struct dentry *dir = dir_get(sb);
	int err;

	if (PTR_ERR_OR_ZERO(dir) != -ENOENT)
		return dir;
	err = dir_make(sb);
	return err ? ERR_PTR(err) : dir_get(sb);
}

/**
 * verity_side_has - is a file one of those that have trees?
 * @sb: the superblock
 * @dentry: the file
 *
 * Context: process context, may sleep.
 * Return: true if it is in that directory, or cannot be told for want of memory.
 */
bool verity_side_has(struct super_block *sb, const struct dentry *dentry)
{
	struct dentry *dir;
	struct as_root as;
	bool has;

	if (root_begin(&as))
		return true;
	dir = dir_get(sb);
	root_end(&as);
	if (IS_ERR(dir))
		return false;
	has = dentry->d_parent == dir;
	dput(dir);
	return has;
}

/* --- making, removing --- */

/* A tree that is there already is left over: its file does not have verity. */
static struct dentry *side_make(struct dentry *dir, const char *name)
{
	struct inode *inode = d_inode(dir);
	struct dentry *dentry;
	int err = 0;

	inode_lock_nested(inode, I_MUTEX_PARENT);
	dentry = compat_lookup(name, dir);
	if (!IS_ERR(dentry) && d_is_positive(dentry)) {
		err = vfs_unlink(&nop_mnt_idmap, inode, dentry, NULL);
		dput(dentry);
		dentry = err ? ERR_PTR(err) : compat_lookup(name, dir);
	}
	if (!IS_ERR(dentry))
		err = vfs_create(&nop_mnt_idmap, inode, dentry, S_IFREG | 0400, true);
	inode_unlock(inode);
	if (err && !IS_ERR(dentry)) {
		dput(dentry);
		return ERR_PTR(err);
	}
	return dentry;
}

static struct file *side_open_new(struct super_block *sb, const struct path *path,
				  const char *name)
{
	struct path side = { .mnt = path->mnt };
	struct dentry *dir;
	struct file *file;

	dir = dir_get_or_make(sb);
	if (IS_ERR(dir))
		return ERR_CAST(dir);
	side.dentry = side_make(dir, name);
	dput(dir);
	if (IS_ERR(side.dentry))
		return ERR_CAST(side.dentry);
	file = kernel_file_open(&side, O_RDWR | O_LARGEFILE, current_cred());
	dput(side.dentry);
	return file;
}

/**
 * verity_side_create - make the file for a tree, empty
 * @fs: the filesystem
 * @path: of the file that it is for; a mount that can be written to
 * @id: the inode of that
 *
 * The caller may not be root, and yet the file is root's.
 *
 * Context: process context, may sleep; the caller has write access to the mount.
 * Return: the file, open for writing; an error pointer.
 */
struct file *verity_side_create(struct verity_fs *fs, const struct path *path,
				const struct verity_id *id)
{
	char name[VERITY_NAME_SIZE];
	struct as_root as;
	struct file *file;

	if (root_begin(&as))
		return ERR_PTR(-ENOMEM);
	verity_name(id, name);
	file = side_open_new(fs->sb, path, name);
	root_end(&as);
	return file;
}

static int side_unlink(struct super_block *sb, const char *name)
{
	struct dentry *dir = dir_get(sb), *dentry;
	struct inode *inode;
	int err;

	if (IS_ERR(dir))
		return PTR_ERR(dir);
	inode = d_inode(dir);
	inode_lock_nested(inode, I_MUTEX_PARENT);
	dentry = compat_lookup(name, dir);
	err = PTR_ERR_OR_ZERO(dentry);
	if (!err) {
		err = d_is_negative(dentry) ? 0 :
			vfs_unlink(&nop_mnt_idmap, inode, dentry, NULL);
		dput(dentry);
	}
	inode_unlock(inode);
	dput(dir);
	return err;
}

/**
 * verity_side_remove - remove a file's tree, if it has one
 * @sb: the superblock, which cannot go meanwhile
 * @id: the inode of the file that it is for
 *
 * Context: process context, may sleep; the caller has write access.
 * Return: 0 or a negative errno.
 */
int verity_side_remove(struct super_block *sb, const struct verity_id *id)
{
	char name[VERITY_NAME_SIZE];
	struct as_root as;
	int err = root_begin(&as);

	if (err)
		return err;
	verity_name(id, name);
	err = side_unlink(sb, name);
	root_end(&as);
	return err;
}

/* --- reading --- */

static struct inode *side_lookup_as_root(struct super_block *sb, const char *name)
{
	struct dentry *dir = dir_get(sb), *dentry;
	struct inode *inode = NULL;

	if (IS_ERR(dir))
		return ERR_CAST(dir);
	dentry = compat_lookup_unlocked(name, dir);
	dput(dir);
	if (IS_ERR(dentry))
		return ERR_CAST(dentry);
	if (d_is_reg(dentry))
		inode = igrab(d_inode(dentry));
	dput(dentry);
	return inode ?: ERR_PTR(-ENOENT);
}

/* Up to 6.15 looking up takes permission to enter the directory. */
static struct inode *side_lookup(struct super_block *sb, const char *name)
{
	struct as_root as;
	struct inode *side;

	if (root_begin(&as))
		return ERR_PTR(-ENOMEM);
	side = side_lookup_as_root(sb, name);
	root_end(&as);
	return side;
}

/*
 * fs/verity marks pages of the tree that it has checked, and believes the marks. So
 * nobody may write to them while it does, and pages from before have to go. It marks
 * pages, not folios: they have to be the same.
 */
static int side_protect(struct inode *side)
{
	struct address_space *mapping = side->i_mapping;
	int err;

	if (!atomic_dec_unless_positive(&side->i_writecount))
		return -ETXTBSY;
	filemap_invalidate_lock(mapping);
	mapping_set_folio_order_range(mapping, 0, 0);
	err = filemap_write_and_wait(mapping) ?: invalidate_inode_pages2(mapping);
	filemap_invalidate_unlock(mapping);
	if (err)
		atomic_inc(&side->i_writecount);
	return err;
}

/**
 * verity_side_get - the inode of a file's tree
 * @sb: the superblock
 * @id: the inode of the file
 * @size: bytes of the tree
 *
 * Until verity_side_put() nobody can open it for writing.
 *
 * Context: process context, may sleep.
 * Return: the inode; an error pointer, after a line in the log.
 */
struct inode *verity_side_get(struct super_block *sb, const struct verity_id *id, u64 size)
{
	char name[VERITY_NAME_SIZE];
	struct inode *side;
	int err;

	verity_name(id, name);
	side = side_lookup(sb, name);
	err = PTR_ERR_OR_ZERO(side);
	if (!err) {
		err = i_size_read(side) == size ? side_protect(side) : -EBADMSG;
		if (err)
			iput(side);
	}
	if (!err)
		return side;
	pr_err_ratelimited("%s: inode %llu: its tree " VERITY_DIR "/%s cannot be used (%pe)\n",
			   sb->s_id, id->ino, name, ERR_PTR(err));
	return ERR_PTR(err);
}

/**
 * verity_side_put - undo verity_side_get()
 * @side: the inode; may be NULL
 *
 * Context: process context, may sleep.
 */
void verity_side_put(struct inode *side)
{
	if (!side)
		return;
	atomic_inc(&side->i_writecount);
	iput(side);
}

/* --- all of them --- */

struct side_list {
	struct dir_context ctx;
	struct list_head *files;
	int err;
};

static bool side_list_add(struct dir_context *ctx, const char *name, int len, loff_t pos,
			  u64 ino, unsigned int type)
{
	struct side_list *list = container_of(ctx, struct side_list, ctx);
	struct verity_file *file;
	struct verity_id id;

	if (!verity_name_parse(name, len, &id))
		return true;
	file = verity_file_new(&id, VERITY_ENABLED);
	if (!file) {
		list->err = -ENOMEM;
		return false;
	}
	list_add(&file->removal, list->files);
	return true;
}

static int side_list_read(const struct path *path, struct dentry *dir, struct list_head *files)
{
	struct side_list list = { .ctx.actor = side_list_add, .files = files };
	struct path side = { .mnt = path->mnt, .dentry = dir };
	struct file *file;
	int err;

	file = kernel_file_open(&side, O_RDONLY | O_DIRECTORY, current_cred());
	if (IS_ERR(file))
		return PTR_ERR(file);
	err = iterate_dir(file, &list.ctx);
	fput(file);
	return err ?: list.err;
}

/**
 * verity_side_list - what files have trees?
 * @path: of the filesystem
 * @files: what is found is added here, by struct verity_file.removal
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative errno; what was found until then is on the list.
 */
int verity_side_list(const struct path *path, struct list_head *files)
{
	struct dentry *dir = dir_get(path->dentry->d_sb);
	int err;

	if (PTR_ERR_OR_ZERO(dir) == -ENOENT)
		return 0;
	if (IS_ERR(dir))
		return PTR_ERR(dir);
	err = side_list_read(path, dir, files);
	dput(dir);
	return err;
}
