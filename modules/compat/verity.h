/* SPDX-License-Identifier: GPL-2.0 */
/*
 * fs/verity as filesystems see it, and what else differs between the kernels that
 * the module supports. There are three interfaces:
 *
 *  up to 6.17	struct inode has the pointer to a file's verity
 *  6.18, 6.19	the filesystem says where in its inode the pointer is
 *  since 7.0	a table has it, and the functions that check want it
 *
 * The module is made for the first, from 6.12 on, and the second. 6.1 writes trees
 * block by block and lacks folio_end_read(); with the third a file's verity goes
 * with its page cache, before the filesystem hears of it.
 */
#ifndef _UPLIFT_COMPAT_VERITY_H
#define _UPLIFT_COMPAT_VERITY_H

#include <linux/dcache.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <linux/namei.h>
#include <linux/string.h>

/* Needs linux/fs.h. */
#include <linux/fileattr.h>

#ifdef UPLIFT_HAVE_FSVERITY_INFO_OFFS

/* XFS uses i_private of regular files on zoned devices only. */
#define COMPAT_VERITY_INTERFACE	"of 6.18: an offset in the inode"
#define COMPAT_VERITY_INFO	.inode_info_offs = offsetof(struct inode, i_private),

#else

#define COMPAT_VERITY_INTERFACE	"of up to 6.17: a member of the inode"
#define COMPAT_VERITY_INFO

#endif

/* Free a file's verity, whatever its flags say by now. */
static inline void compat_verity_free(struct inode *inode)
{
	__fsverity_cleanup_inode(inode);
}

#ifdef UPLIFT_HAVE_LOOKUP_NOPERM

/* Since 6.16: names are struct qstr, and say that no permission is looked at. */
static inline struct dentry *compat_lookup(const char *name, struct dentry *dir)
{
	return lookup_noperm(&QSTR(name), dir);
}

static inline struct dentry *compat_lookup_unlocked(const char *name, struct dentry *dir)
{
	return lookup_noperm_unlocked(&QSTR(name), dir);
}

#else

/* Can go with 6.12. */
static inline struct dentry *compat_lookup(const char *name, struct dentry *dir)
{
	return lookup_one_len(name, dir, strlen(name));
}

static inline struct dentry *compat_lookup_unlocked(const char *name, struct dentry *dir)
{
	return lookup_one_len_unlocked(name, dir, strlen(name));
}

#endif

#ifdef UPLIFT_HAVE_VFS_MKDIR_DENTRY

/* Since 6.15: gives the dentry of the directory, which may be another one. */
static inline int compat_mkdir(struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct dentry *made = vfs_mkdir(&nop_mnt_idmap, dir, dget(dentry), mode);

	if (IS_ERR(made))
		return PTR_ERR(made);
	dput(made);
	return 0;
}

#else

/* Can go with 6.12. */
static inline int compat_mkdir(struct inode *dir, struct dentry *dentry, umode_t mode)
{
	return vfs_mkdir(&nop_mnt_idmap, dir, dentry, mode);
}

#endif

#ifdef UPLIFT_HAVE_FILE_KATTR

/* Since 6.17; before, struct fileattr. */
#define compat_fileattr		file_kattr

#else

#define compat_fileattr		fileattr

#endif

#endif /* _UPLIFT_COMPAT_VERITY_H */
