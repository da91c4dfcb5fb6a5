// SPDX-License-Identifier: GPL-2.0
/*
 * The functions of XFS's that have to know of verity.
 *
 * All that is opened, whenever, keeps XFS's own operations; so nothing that is open
 * holds the module. What is of another filesystem goes on, by a jump, after a look at
 * its superblock, and so does most of what is of one that is given verity. What may
 * sleep here, or comes back here, is in a section of verity_srcu until it leaves; for
 * the rest verity_fs_stop() and verity_hooks_off() wait by synchronize_rcu_tasks().
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/pagemap.h>
#include <linux/stat.h>

#include "hook.h"
#include "verity_fs.h"
#include "verity_hooks.h"

/* --- finding --- */

static struct dentry *unbound_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	return ERR_PTR(-EIO);
}

UPLIFT_HOOKED(verity_lookup, unbound_lookup);

static void lookup_seen(struct inode *inode)
{
	struct verity_fs *fs = verity_fs_of(inode->i_sb);
	struct verity_file *file;

	if (!fs || !S_ISREG(inode->i_mode))
		return;
	file = verity_file_find(fs, inode);
	if (file)
		verity_file_seen(fs, file, inode);
}

/* What a lookup of @dentry gave. */
static void lookup_done(struct dentry *dentry, struct dentry *other)
{
	struct dentry *found = other ?: dentry;

	if (!IS_ERR(found) && d_is_positive(found))
		lookup_seen(d_inode(found));
}

static noinline struct dentry *lookup_here(struct inode *dir, struct dentry *dentry,
					   unsigned int flags)
{
	int section = srcu_read_lock(&verity_srcu);
	struct dentry *other = static_call(verity_lookup_original)(dir, dentry, flags);

	lookup_done(dentry, other);
	srcu_read_unlock(&verity_srcu, section);
	return other;
}

struct dentry *verity_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	if (likely(!verity_fs_of(dir->i_sb)))
		return static_call(verity_lookup_original)(dir, dentry, flags);
	return lookup_here(dir, dentry, flags);
}

/* The same where case does not matter in names: mkfs.xfs -n version=ci. */
UPLIFT_HOOKED(verity_ci_lookup, unbound_lookup);

static noinline struct dentry *ci_lookup_here(struct inode *dir, struct dentry *dentry,
					      unsigned int flags)
{
	int section = srcu_read_lock(&verity_srcu);
	struct dentry *other = static_call(verity_ci_lookup_original)(dir, dentry, flags);

	lookup_done(dentry, other);
	srcu_read_unlock(&verity_srcu, section);
	return other;
}

struct dentry *verity_ci_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	if (likely(!verity_fs_of(dir->i_sb)))
		return static_call(verity_ci_lookup_original)(dir, dentry, flags);
	return ci_lookup_here(dir, dentry, flags);
}

/* --- opening --- */

static bool inode_has_verity(const struct inode *inode)
{
	struct verity_fs *fs = verity_fs_of(inode->i_sb);

	return fs && S_ISREG(inode->i_mode) && (IS_VERITY(inode) || verity_file_find(fs, inode));
}

static int unbound_open(struct inode *inode, struct file *filp)
{
	return -EIO;
}

UPLIFT_HOOKED(verity_file_open, unbound_open);

/* May it be opened like this? If so what is read is checked from now on. */
static int open_admit(struct inode *inode, struct file *filp)
{
	struct verity_fs *fs = verity_fs_of(inode->i_sb);
	struct verity_file *file;
	int err;

	if (!fs)
		return 0;
	/* Before it is found among the files: it may just have been enabled. */
	if ((filp->f_mode & FMODE_WRITE) && IS_VERITY(inode))
		return -EPERM;
	file = verity_file_find(fs, inode);
	if (!file)
		return 0;
	if (filp->f_mode & FMODE_WRITE)
		return -EPERM;
	err = verity_file_wake(fs, file, inode);
	if (!err || err == -ETXTBSY || err == -ENOMEM)
		return err;
	pr_err_ratelimited("%s: inode %lu: cannot be checked, is not opened (%pe)\n",
			   inode->i_sb->s_id, inode->i_ino, ERR_PTR(err));
	return -EIO;
}

static noinline int file_open_here(struct inode *inode, struct file *filp)
{
	int section = srcu_read_lock(&verity_srcu);
	int err = open_admit(inode, filp);

	if (!err)
		err = static_call(verity_file_open_original)(inode, filp);
	srcu_read_unlock(&verity_srcu, section);
	return err;
}

int verity_file_open(struct inode *inode, struct file *filp)
{
	/* One that is just being enabled has no verity yet, and cannot be open for writing. */
	if (likely(!inode_has_verity(inode)))
		return static_call(verity_file_open_original)(inode, filp);
	return file_open_here(inode, filp);
}

/* --- ioctls --- */

static long unbound_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	return -EIO;
}

UPLIFT_HOOKED(verity_file_ioctl, unbound_ioctl);

static long ioctl_verity(struct file *filp, unsigned int cmd, void __user *arg)
{
	struct verity_fs *fs = verity_fs_of(file_inode(filp)->i_sb);

	if (!fs || READ_ONCE(fs->going))
		return -ENOTTY;
	switch (cmd) {
	case FS_IOC_ENABLE_VERITY:
		return verity_enable(fs, filp, arg);
	case FS_IOC_MEASURE_VERITY:
		return fsverity_ioctl_measure(filp, arg);
	default:
		return fsverity_ioctl_read_metadata(filp, arg);
	}
}

static noinline long file_ioctl_here(struct file *filp, unsigned int cmd, unsigned long arg)
{
	int section = srcu_read_lock(&verity_srcu);
	long ret = ioctl_verity(filp, cmd, (void __user *)arg);

	srcu_read_unlock(&verity_srcu, section);
	return ret;
}

long verity_file_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	if (likely(!verity_fs_of(file_inode(filp)->i_sb)))
		goto original;
	switch (cmd) {
	case FS_IOC_ENABLE_VERITY:
	case FS_IOC_MEASURE_VERITY:
	case FS_IOC_READ_VERITY_METADATA:
		return file_ioctl_here(filp, cmd, arg);
	}
original:
	return static_call(verity_file_ioctl_original)(filp, cmd, arg);
}

/* --- attributes --- */

static int unbound_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat,
			   u32 request_mask, unsigned int query_flags)
{
	return -EIO;
}

UPLIFT_HOOKED(verity_getattr, unbound_getattr);

/*
 * An inode that was looked up by a name has the flag, and so has each that was in memory
 * when the filesystem was named. The root of a tree of dentries is one that was found
 * by its number.
 */
static bool dentry_has_verity(const struct dentry *dentry)
{
	return IS_VERITY(d_inode(dentry)) ||
	       (IS_ROOT(dentry) && inode_has_verity(d_inode(dentry)));
}

/* XFS adds to what is there already. */
static noinline int getattr_here(struct mnt_idmap *idmap, const struct path *path,
				 struct kstat *stat, u32 request_mask, unsigned int query_flags)
{
	if (dentry_has_verity(path->dentry))
		stat->attributes |= STATX_ATTR_VERITY;
	stat->attributes_mask |= STATX_ATTR_VERITY;
	return static_call(verity_getattr_original)(idmap, path, stat, request_mask, query_flags);
}

int verity_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat,
		   u32 request_mask, unsigned int query_flags)
{
	if (likely(!verity_fs_of(path->dentry->d_sb)))
		return static_call(verity_getattr_original)(idmap, path, stat, request_mask,
							    query_flags);
	return getattr_here(idmap, path, stat, request_mask, query_flags);
}

static int unbound_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	return -EIO;
}

UPLIFT_HOOKED(verity_setattr, unbound_setattr);

static noinline int setattr_here(struct mnt_idmap *idmap, struct dentry *dentry,
				 struct iattr *attr)
{
	if ((attr->ia_valid & ATTR_SIZE) && inode_has_verity(d_inode(dentry)))
		return -EPERM;
	return static_call(verity_setattr_original)(idmap, dentry, attr);
}

int verity_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	if (likely(!verity_fs_of(dentry->d_sb)))
		return static_call(verity_setattr_original)(idmap, dentry, attr);
	return setattr_here(idmap, dentry, attr);
}

static int unbound_fileattr_get(struct dentry *dentry, struct compat_fileattr *attr)
{
	return -EIO;
}

UPLIFT_HOOKED(verity_fileattr_get, unbound_fileattr_get);

static noinline int fileattr_get_here(struct dentry *dentry, struct compat_fileattr *attr)
{
	int section = srcu_read_lock(&verity_srcu);
	int err = static_call(verity_fileattr_get_original)(dentry, attr);

	if (!err && inode_has_verity(d_inode(dentry)))
		attr->flags |= FS_VERITY_FL;
	srcu_read_unlock(&verity_srcu, section);
	return err;
}

int verity_fileattr_get(struct dentry *dentry, struct compat_fileattr *attr)
{
	if (likely(!verity_fs_of(dentry->d_sb)))
		return static_call(verity_fileattr_get_original)(dentry, attr);
	return fileattr_get_here(dentry, attr);
}

static int unbound_fileattr_set(struct mnt_idmap *idmap, struct dentry *dentry,
				struct compat_fileattr *attr)
{
	return -EIO;
}

UPLIFT_HOOKED(verity_fileattr_set, unbound_fileattr_set);

/* chattr writes all flags that it has read, of which XFS does not know this one. */
static noinline int fileattr_set_here(struct mnt_idmap *idmap, struct dentry *dentry,
				      struct compat_fileattr *attr)
{
	if (inode_has_verity(d_inode(dentry))) {
		attr->flags &= ~FS_VERITY_FL;
		if (attr->fsx_xflags & FS_XFLAG_DAX)
			return -EINVAL;
	}
	return static_call(verity_fileattr_set_original)(idmap, dentry, attr);
}

int verity_fileattr_set(struct mnt_idmap *idmap, struct dentry *dentry,
			struct compat_fileattr *attr)
{
	if (likely(!verity_fs_of(dentry->d_sb)))
		return static_call(verity_fileattr_set_original)(idmap, dentry, attr);
	return fileattr_set_here(idmap, dentry, attr);
}

/* --- going --- */

static void unbound_destroy_inode(struct inode *inode)
{
}

UPLIFT_HOOKED(verity_destroy_inode, unbound_destroy_inode);

static noinline void destroy_inode_here(struct inode *inode)
{
	int section = srcu_read_lock(&verity_srcu);
	struct verity_fs *fs = verity_fs_of(inode->i_sb);

	if (fs)
		verity_file_destroyed(fs, inode);
	srcu_read_unlock(&verity_srcu, section);
}

void verity_destroy_inode(struct inode *inode)
{
	if (unlikely(verity_fs_of(inode->i_sb)))
		destroy_inode_here(inode);
	static_call(verity_destroy_inode_original)(inode);
}

static void unbound_put_super(struct super_block *sb)
{
}

UPLIFT_HOOKED(verity_put_super, unbound_put_super);

/*
 * In no section: this waits for the lock under which sections are waited for. The
 * filesystem is on the list until it is done, and so the module stays; after that
 * nothing sleeps on the way out.
 */
void verity_put_super(struct super_block *sb)
{
	if (unlikely(verity_fs_of(sb)))
		verity_fs_unmounted(sb);
	static_call(verity_put_super_original)(sb);
}

/* --- direct I/O --- */

static ssize_t unbound_dio_rw(struct kiocb *iocb, struct iov_iter *iter,
			      const struct iomap_ops *ops, const struct iomap_dio_ops *dops,
			      unsigned int dio_flags, void *private, size_t done_before)
{
	return -EIO;
}

UPLIFT_HOOKED(verity_dio_rw, unbound_dio_rw);

/*
 * Direct reads would not be checked. XFS holds the lock here that it holds for reads
 * through the page cache.
 */
static noinline ssize_t dio_buffered(struct kiocb *iocb, struct iov_iter *iter)
{
	int section = srcu_read_lock(&verity_srcu);
	ssize_t ret;

	iocb->ki_flags &= ~IOCB_DIRECT;
	ret = generic_file_read_iter(iocb, iter);
	srcu_read_unlock(&verity_srcu, section);
	return ret;
}

ssize_t verity_dio_rw(struct kiocb *iocb, struct iov_iter *iter, const struct iomap_ops *ops,
		      const struct iomap_dio_ops *dops, unsigned int dio_flags, void *private,
		      size_t done_before)
{
	const struct inode *inode = file_inode(iocb->ki_filp);

	if (unlikely(IS_VERITY(inode)) && verity_fs_of(inode->i_sb) &&
	    iov_iter_rw(iter) == READ)
		return dio_buffered(iocb, iter);
	return static_call(verity_dio_rw_original)(iocb, iter, ops, dops, dio_flags, private,
						   done_before);
}

/* --- all of them --- */

/* Unhooked the other way round: reading and opening come last, inodes go until then. */
static struct uplift_hook verity_hooks[] = {
	UPLIFT_HOOK("xfs", xfs_fs_put_super, verity_put_super),
	UPLIFT_HOOK("xfs", xfs_fs_destroy_inode, verity_destroy_inode),
	UPLIFT_HOOK("xfs", xfs_vn_setattr, verity_setattr),
	UPLIFT_HOOK("xfs", xfs_file_open, verity_file_open),
	UPLIFT_HOOK("xfs", xfs_vn_lookup, verity_lookup),
	UPLIFT_HOOK("xfs", xfs_vn_ci_lookup, verity_ci_lookup),
	UPLIFT_HOOK("xfs", xfs_vn_getattr, verity_getattr),
	UPLIFT_HOOK("xfs", xfs_fileattr_get, verity_fileattr_get),
	UPLIFT_HOOK("xfs", xfs_fileattr_set, verity_fileattr_set),
	UPLIFT_HOOK("xfs", xfs_file_ioctl, verity_file_ioctl),
	UPLIFT_HOOK("", iomap_dio_rw, verity_dio_rw),
};

/**
 * verity_hooks_init - find the functions
 *
 * Context: process context, may sleep; XFS cannot go.
 * Return: as uplift_hooks_init().
 */
int verity_hooks_init(void)
{
	return uplift_hooks_init(verity_hooks, ARRAY_SIZE(verity_hooks));
}

/**
 * verity_hooks_on - hook the functions
 *
 * Context: process context, may sleep.
 * Return: as uplift_hooks_on().
 */
int verity_hooks_on(void)
{
	return uplift_hooks_on(verity_hooks, ARRAY_SIZE(verity_hooks));
}

/**
 * verity_hooks_off - take the hooks away, and wait for all who are in one
 *
 * Context: process context, sleeps; no filesystem is given verity any more.
 */
void verity_hooks_off(void)
{
	uplift_hooks_off(verity_hooks, ARRAY_SIZE(verity_hooks));
	synchronize_srcu(&verity_srcu);
	/* For the way from the end of a section out of the module. */
	synchronize_rcu_tasks();
}
