/* SPDX-License-Identifier: GPL-2.0 */
/* How the kernel keeps its list of filesystems. */
#ifndef _UPLIFT_COMPAT_FILESYSTEMS_H
#define _UPLIFT_COMPAT_FILESYSTEMS_H

#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/rculist.h>
#include <linux/seq_file.h>

#ifdef UPLIFT_HAVE_FILE_SYSTEM_TYPE_HLIST

/*
 * Since 7.2 the list is an hlist under RCU, and the kernel's show function
 * serves a cached text: rendering entry by entry has to be done here. Can go
 * when kernels that have the change are not compared with any more.
 */
#define COMPAT_FILESYSTEMS_WALKABLE	true

static inline int compat_show_filesystems(struct seq_file *m, void *head)
{
	struct file_system_type *fs;

	rcu_read_lock();
	hlist_for_each_entry_rcu(fs, (struct hlist_head *)head, list)
		seq_printf(m, "%s\t%s\n", fs->fs_flags & FS_REQUIRES_DEV ? "" : "nodev",
			   fs->name);
	rcu_read_unlock();
	return 0;
}

#else

/*
 * Up to 7.1 it is a singly linked list under a static rwlock, and the kernel's
 * show function walks it: use that.
 */
#define COMPAT_FILESYSTEMS_WALKABLE	false

static inline int compat_show_filesystems(struct seq_file *m, void *head)
{
	return -EOPNOTSUPP;
}

#endif

#endif /* _UPLIFT_COMPAT_FILESYSTEMS_H */
