/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is put in front of functions of XFS's, and of iomap's. Trampolines go there,
 * so they are global.
 */
#ifndef _UPLIFT_VERITY_HOOKS_H
#define _UPLIFT_VERITY_HOOKS_H

#include <linux/fs.h>
#include <linux/iomap.h>

#include "verity.h"

struct dentry *verity_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags);
struct dentry *verity_ci_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags);
int verity_file_open(struct inode *inode, struct file *filp);
long verity_file_ioctl(struct file *filp, unsigned int cmd, unsigned long arg);
int verity_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat,
		   u32 request_mask, unsigned int query_flags);
int verity_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr);
int verity_fileattr_get(struct dentry *dentry, struct compat_fileattr *attr);
int verity_fileattr_set(struct mnt_idmap *idmap, struct dentry *dentry,
			struct compat_fileattr *attr);
void verity_destroy_inode(struct inode *inode);
void verity_put_super(struct super_block *sb);
ssize_t verity_dio_rw(struct kiocb *iocb, struct iov_iter *iter, const struct iomap_ops *ops,
		      const struct iomap_dio_ops *dops, unsigned int dio_flags, void *private,
		      size_t done_before);

#endif /* _UPLIFT_VERITY_HOOKS_H */
