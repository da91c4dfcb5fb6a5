#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Header probes: what does the target kernel's API look like? One line per
# fact, found by looking at the header that declares it, never at a version
# number. Prints compiler flags (-DUPLIFT_HAVE_...).
#
# usage: probe.sh KERNEL_SOURCE_OR_HEADERS [ARCHITECTURE]
#
# ARCHITECTURE is a directory below arch/; those of others may lie beside it.

set -eu
include="$1/include"
x86=$([ "${2:-x86}" = x86 ] && echo x86 || echo none)

if [ ! -r "$include/linux/kallsyms.h" ]; then
	echo "probe.sh: $1 is no kernel source or header tree" >&2
	exit 1
fi

# have NAME HEADER EXTENDED-REGEXP
have()
{
	if grep -qE "$3" "$include/$2" 2>/dev/null; then
		printf ' -DUPLIFT_HAVE_%s' "$1"
	fi
}

# struct file_system_type links into an hlist, which readers walk under RCU, by
# its member list. Since 7.2; before, into a singly linked list by next.
have FILE_SYSTEM_TYPE_HLIST linux/fs.h '^[[:space:]]*struct hlist_node list;'

# register_ftrace_direct() takes an ftrace_ops, as the others do. Since 6.3.
have FTRACE_DIRECT_OPS linux/ftrace.h '^int register_ftrace_direct\(struct ftrace_ops \*ops'

# The body of an iteration moves an iomap_iter on itself and leaves a status in
# it. Since 6.15; before, it left the number of bytes processed.
have IOMAP_ITER_STATUS linux/iomap.h '^[[:space:]]*int status;'

# An iomap_iter can carry a batch of folios, which goes with its mapping. Since 6.19.
have IOMAP_ITER_FBATCH linux/iomap.h '^[[:space:]]*struct folio_batch \*fbatch;'

# struct folio_batch has a header of its own. Since 7.1; before, linux/pagevec.h.
have FOLIO_BATCH_HEADER linux/folio_batch.h '^struct folio_batch '

# epoll writes an event to user space in one scope. Since 7.0; code tells it on x86.
have EPOLL_SCOPED_PUT linux/eventpoll.h 'scoped_user_write_access|user_(write_)?access_begin'

# x86: the topology code's number of a last-level cache. Since 6.7 in cpu_info,
# with an inline function around it; before, an exported function.
have X86_PER_CPU_LLC_ID "../arch/$x86/include/asm/processor.h" '^static inline u32 per_cpu_llc_id\('
have X86_GET_LLC_ID "../arch/$x86/include/asm/processor.h" '^extern u16 get_llc_id\('

# Cache-aware scheduling keeps its state of a process in a group that tasks
# point to. Since 7.2.
have SCHED_CACHE_GROUP linux/sched.h '^struct sched_cache_group \{$'

# A module's memory is an array of kinds. Since 6.4; before, two layouts.
have MODULE_MEMORY linux/module.h '^struct module_memory \{$'

# fs/verity finds a file's verity by an offset in the filesystem's inode. In 6.18 and
# 6.19; before, by a member of struct inode, since, in a table.
have FSVERITY_INFO_OFFS linux/fsverity.h '^[[:space:]]*ptrdiff_t inode_info_offs;'
have INODE_VERITY_INFO linux/fs.h '^[[:space:]]*struct fsverity_info[[:space:]]*\*i_verity_info;'

# The end of reading a folio is one call. Since 6.7.
have FOLIO_END_READ linux/pagemap.h '^void folio_end_read\(struct folio '

# What looks up a name without asking for permission. Since 6.16.
have LOOKUP_NOPERM linux/namei.h 'lookup_noperm\(struct qstr '

# vfs_mkdir() gives a dentry. Since 6.15.
have VFS_MKDIR_DENTRY linux/fs.h '^struct dentry \*vfs_mkdir\('

# The kernel's form of a file's attributes. Since 6.17; before, struct fileattr.
have FILE_KATTR linux/fileattr.h '^struct file_kattr \{$'

echo
