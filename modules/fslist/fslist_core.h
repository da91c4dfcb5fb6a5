/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The cached text of the filesystem list: pure logic.
 *
 * Nothing here knows procfs, ftrace or kprobes; the glue in fslist_main.c and
 * the KUnit suite both drive it through these calls. The idea is that of
 * Linux 7.2's fs/filesystems.c (an RCU-protected string, dropped whenever the
 * list changes and made anew by the next reader). What differs is that a
 * module watches the list from outside, so it must know when a change begins
 * and when it is over.
 */
#ifndef _UPLIFT_FSLIST_CORE_H
#define _UPLIFT_FSLIST_CORE_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/compiler.h>
#include <linux/gfp.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct iov_iter;
struct seq_file;

/**
 * struct fslist_text - one immutable rendering of the list
 * @rcu: defers the freeing past readers that copy without a reference
 * @refs: one for the cache while published, one per file that stopped half-way
 * @len: length of @data in bytes
 * @data: the text, not terminated; aligned, as it is copied by words
 */
struct fslist_text {
	struct rcu_head rcu;
	refcount_t refs;
	size_t len;
	char data[] __aligned(sizeof(u64));
};

/**
 * struct fslist_ops - what a cache needs from its surroundings
 * @show: render the current list, as a seq_file show callback; may sleep;
 *	returns 0 or a negative errno. It is called with a seq_file whose
 *	buf, size, count and private are set and must use nothing else of it.
 * @alloc: allocate @size bytes or return NULL; kvmalloc() in the module
 * @settle: called, in process context, when a change began whose end will
 *	not be reported; the callee arranges for fslist_settle() to be called.
 *	May be NULL.
 * @private: for the callbacks; passed as seq_file.private to @show
 */
struct fslist_ops {
	int (*show)(struct seq_file *m, void *v);
	void *(*alloc)(size_t size, gfp_t gfp);
	void (*settle)(void *private);
	void *private;
};

/**
 * struct fslist_stats - counters of a cache, none of them on the fast path
 * @changes: changes of the list that began
 * @untracked: changes whose end had to be waited out
 * @rebuilds: texts published
 * @uncached: reads that rendered a text of their own
 * @enomem: renderings that failed for lack of memory
 */
struct fslist_stats {
	u64 changes;
	u64 untracked;
	u64 rebuilds;
	u64 uncached;
	u64 enomem;
};

/**
 * struct fslist_cache - the published text and the account of changes
 * @text: what readers serve, or NULL while the list changes or after it did;
 *	read under RCU, written under @lock
 * @ops: the surroundings, constant
 * @lock: protects everything below; taken with interrupts off, as changes are
 *	reported from probe handlers
 * @begun: changes reported by fslist_change_begin()
 * @tracked: those of them whose end will be reported
 * @ended: ends reported by fslist_change_end()
 * @settled: untracked changes known to be over
 * @stats: see there
 */
struct fslist_cache {
	struct fslist_text __rcu *text;
	const struct fslist_ops *ops;

	raw_spinlock_t lock ____cacheline_aligned_in_smp;
	u64 begun;
	u64 tracked;
	u64 ended;
	u64 settled;
	struct fslist_stats stats;
};

void fslist_cache_init(struct fslist_cache *cache, const struct fslist_ops *ops);
void fslist_cache_destroy(struct fslist_cache *cache);
void fslist_cache_stats(struct fslist_cache *cache, struct fslist_stats *stats);

void fslist_change_begin(struct fslist_cache *cache);
void fslist_change_track(struct fslist_cache *cache);
void fslist_change_end(struct fslist_cache *cache);
u64 fslist_settle_prepare(struct fslist_cache *cache);
bool fslist_settle(struct fslist_cache *cache, u64 prepared);

/*
 * What one open file remembers between reads is held in a pointer, such as
 * file->private_data. It is one of
 *  - NULL: a new file,
 *  - an end mark: the file was read up to this position and had no more; the
 *    position is held in the pointer itself, with bit 0 set,
 *  - a pointer to a struct fslist_partial: the file stopped half-way once.
 *
 * The first two need no memory: they are all that whole-file readers use.
 */
#define FSLIST_END_MARK		1UL

static inline bool fslist_is_end_mark(const void *reader)
{
	return (unsigned long)reader & FSLIST_END_MARK;
}

static inline bool fslist_is_partial(const void *reader)
{
	return reader && !fslist_is_end_mark(reader);
}

ssize_t fslist_read(struct fslist_cache *cache, void **reader,
		    struct iov_iter *to, loff_t *pos);
void fslist_reader_seek(void **reader, loff_t pos);
void fslist_reader_free(void **reader);

/**
 * fslist_reader_release - forget what a file remembered
 * @reader: of a file that is being closed
 */
static inline void fslist_reader_release(void **reader)
{
	if (unlikely(fslist_is_partial(*reader)))
		fslist_reader_free(reader);
}

int fslist_renders_in_one_piece(const struct fslist_ops *ops);

#endif /* _UPLIFT_FSLIST_CORE_H */
