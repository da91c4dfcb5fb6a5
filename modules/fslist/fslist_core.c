// SPDX-License-Identifier: GPL-2.0
/*
 * The cached text of the filesystem list: pure logic, see fslist_core.h.
 *
 * A change of the list (register_filesystem() or unregister_filesystem()) is
 * known from outside by its begin and, mostly, by its end. The text is dropped
 * when a change begins and a new one is published only if no change was under
 * way when its rendering began and none has begun since. A reader therefore
 * gets a published text or renders one of its own: it never gets an old one.
 *
 * The end of a change may go unreported (a return probe ran out of instances).
 * Such changes are counted by difference, begun less tracked, and caching
 * stops until a grace period after which all of them must be over: see
 * fslist_settle().
 */
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "fslist_core.h"

/* A stock list is 300 to 700 bytes; with the header this fills a 1 KiB object. */
#define FSLIST_TEXT_FIRST_SIZE	(SZ_1K - sizeof(struct fslist_text))
/* 1,000 times what any system has; beyond it the callback is at fault. */
#define FSLIST_TEXT_MAX_SIZE	SZ_4M

/**
 * struct fslist_partial - the state of a file that was not read in one go
 * @lock: serialises the reads of this file, as seq_file does
 * @text: what the read at @next continues; NULL when it is at its end
 * @next: the position at which this file continues; -1 for none
 */
struct fslist_partial {
	struct mutex lock;	/* the reads of one file */
	struct fslist_text *text;
	loff_t next;
};

static void *fslist_end_mark(loff_t pos)
{
	return (void *)(((unsigned long)pos << 1) | FSLIST_END_MARK);
}

static loff_t fslist_end_pos(void *reader)
{
	return (unsigned long)reader >> 1;
}

static void fslist_text_put(struct fslist_text *text)
{
	/* Readers of a published text hold no reference: wait for them. */
	if (text && refcount_dec_and_test(&text->refs))
		kvfree_rcu(text, rcu);
}

/**
 * fslist_cache_init - prepare an empty cache
 * @cache: to be initialised
 * @ops: its surroundings; must outlive it
 */
void fslist_cache_init(struct fslist_cache *cache, const struct fslist_ops *ops)
{
	memset(cache, 0, sizeof(*cache));
	cache->ops = ops;
	raw_spin_lock_init(&cache->lock);
}

/**
 * fslist_cache_destroy - drop the published text
 * @cache: no read of it and no report of a change may be under way or follow
 *
 * Files that stopped half-way keep their text until they are released.
 */
void fslist_cache_destroy(struct fslist_cache *cache)
{
	fslist_text_put(rcu_dereference_protected(cache->text, true));
	RCU_INIT_POINTER(cache->text, NULL);
}

/**
 * fslist_cache_stats - read the counters
 * @cache: the cache
 * @stats: filled with a consistent copy
 *
 * Context: any.
 */
void fslist_cache_stats(struct fslist_cache *cache, struct fslist_stats *stats)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&cache->lock, flags);
	*stats = cache->stats;
	stats->changes = cache->begun;
	raw_spin_unlock_irqrestore(&cache->lock, flags);
}

/**
 * fslist_change_begin - a change of the list may be made from now on
 * @cache: the cache
 *
 * Must be called before the change can be seen. From its return on
 * no read that starts serves the text from before.
 *
 * Context: any with preemption disabled or a sleepable one; takes a raw lock.
 */
void fslist_change_begin(struct fslist_cache *cache)
{
	struct fslist_text *old;
	unsigned long flags;

	raw_spin_lock_irqsave(&cache->lock, flags);
	cache->begun++;
	old = rcu_dereference_protected(cache->text, lockdep_is_held(&cache->lock));
	RCU_INIT_POINTER(cache->text, NULL);
	raw_spin_unlock_irqrestore(&cache->lock, flags);
	fslist_text_put(old);
}

/**
 * fslist_change_track - the end of a change that begins here will be reported
 * @cache: the cache
 *
 * Called once per change, in any order with fslist_change_begin(), and only
 * if fslist_change_end() is certain to follow.
 *
 * Context: as fslist_change_begin().
 */
void fslist_change_track(struct fslist_cache *cache)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&cache->lock, flags);
	cache->tracked++;
	raw_spin_unlock_irqrestore(&cache->lock, flags);
}

/**
 * fslist_change_end - a tracked change is over
 * @cache: the cache
 *
 * Context: as fslist_change_begin().
 */
void fslist_change_end(struct fslist_cache *cache)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&cache->lock, flags);
	cache->ended++;
	raw_spin_unlock_irqrestore(&cache->lock, flags);
}

static bool fslist_is_settled(const struct fslist_cache *cache)
{
	return cache->begun - cache->tracked == cache->settled;
}

static bool fslist_is_quiet(const struct fslist_cache *cache)
{
	return cache->tracked == cache->ended && fslist_is_settled(cache);
}

/**
 * fslist_settle_prepare - first half of waiting out untracked changes
 * @cache: the cache
 *
 * Return: what to hand to fslist_settle() after the wait.
 */
u64 fslist_settle_prepare(struct fslist_cache *cache)
{
	unsigned long flags;
	u64 begun;

	raw_spin_lock_irqsave(&cache->lock, flags);
	begun = cache->begun;
	raw_spin_unlock_irqrestore(&cache->lock, flags);
	return begun;
}

/**
 * fslist_settle - second half: untracked changes so far are over
 * @cache: the cache
 * @prepared: what fslist_settle_prepare() returned
 *
 * Between the two calls the caller waited until every change that had begun
 * by the first was either over or certain to report its end, and until every
 * probe handler then running was done. If another change began meanwhile the
 * difference of begun and tracked may be half-counted, so nothing is settled.
 *
 * Return: true if settled, false if the caller must prepare and wait again.
 */
bool fslist_settle(struct fslist_cache *cache, u64 prepared)
{
	unsigned long flags;
	u64 untracked;
	bool settled;

	raw_spin_lock_irqsave(&cache->lock, flags);
	untracked = cache->begun - cache->tracked;
	settled = cache->begun == prepared;
	if (settled) {
		/* Less, if a change is tracked whose begin is a moment away. */
		if ((s64)(untracked - cache->settled) > 0)
			cache->stats.untracked += untracked - cache->settled;
		cache->settled = untracked;
	}
	raw_spin_unlock_irqrestore(&cache->lock, flags);
	return settled;
}

/* Render the list as it is now; one reference, the caller's. */
static struct fslist_text *fslist_text_render(const struct fslist_ops *ops)
{
	size_t size = FSLIST_TEXT_FIRST_SIZE;

	while (size <= FSLIST_TEXT_MAX_SIZE) {
		struct seq_file seq = { .private = ops->private, .size = size };
		struct fslist_text *text;
		int err;

		text = ops->alloc(struct_size(text, data, size), GFP_KERNEL);
		if (!text)
			return ERR_PTR(-ENOMEM);
		seq.buf = text->data;
		err = ops->show(&seq, NULL);
		if (!err && !seq_has_overflowed(&seq)) {
			text->len = seq.count;
			refcount_set(&text->refs, 1);
			return text;
		}
		kvfree(text);
		if (err)
			return ERR_PTR(err < 0 ? err : -EIO);
		size = 2 * size;
	}
	return ERR_PTR(-EFBIG);
}

/* Render, and publish what was rendered if no change came near it. */
static struct fslist_text *fslist_text_renew(struct fslist_cache *cache)
{
	const struct fslist_ops *ops = cache->ops;
	struct fslist_text *text;
	bool quiet, settled;
	unsigned long flags;
	u64 begun;

	raw_spin_lock_irqsave(&cache->lock, flags);
	begun = cache->begun;
	quiet = fslist_is_quiet(cache);
	settled = fslist_is_settled(cache);
	raw_spin_unlock_irqrestore(&cache->lock, flags);

	if (!settled && ops->settle)
		ops->settle(ops->private);

	text = fslist_text_render(ops);

	raw_spin_lock_irqsave(&cache->lock, flags);
	if (IS_ERR(text)) {
		if (PTR_ERR(text) == -ENOMEM)
			cache->stats.enomem++;
	} else if (quiet && begun == cache->begun && !rcu_access_pointer(cache->text)) {
		refcount_inc(&text->refs);
		rcu_assign_pointer(cache->text, text);
		cache->stats.rebuilds++;
	} else {
		cache->stats.uncached++;
	}
	raw_spin_unlock_irqrestore(&cache->lock, flags);
	return text;
}

/* The text that is right now: the published one or a new one, referenced. */
static struct fslist_text *fslist_text_get(struct fslist_cache *cache)
{
	struct fslist_text *text;

	rcu_read_lock();
	text = rcu_dereference(cache->text);
	if (text && !refcount_inc_not_zero(&text->refs))
		text = NULL;
	rcu_read_unlock();
	return text ?: fslist_text_renew(cache);
}

/* The struct fslist_partial of a file, made and installed if it had none. */
static struct fslist_partial *fslist_partial_get(struct fslist_cache *cache,
						 void **reader)
{
	void *old = READ_ONCE(*reader);
	struct fslist_partial *partial;

	if (fslist_is_partial(old))
		return old;

	/* Charged to the reader's memory cgroup, as a seq_file is. */
	partial = cache->ops->alloc(sizeof(*partial), GFP_KERNEL_ACCOUNT);
	if (!partial)
		return NULL;
	mutex_init(&partial->lock);
	partial->text = NULL;

	for (;;) {
		void *seen;

		partial->next = old ? fslist_end_pos(old) : -1;
		seen = cmpxchg(reader, old, partial);
		if (seen == old)
			return partial;
		if (fslist_is_partial(seen)) {
			/* Another thread that shares the file was first. */
			kvfree(partial);
			return seen;
		}
		old = seen;
	}
}

static void fslist_partial_set(struct fslist_partial *partial,
			       struct fslist_text *text, loff_t next)
{
	if (partial->text != text) {
		fslist_text_put(partial->text);
		partial->text = text;
	}
	partial->next = next;
}

/*
 * Copy to a plain buffer in user space without sleeping: all or, for the
 * caller, nothing. This is copy_to_user() without what it spends on finding
 * out that @len bytes may be read at @data, which we know (188 of the 1,360
 * instructions of a pread() on 6.12), and with the loop unrolled, as compilers
 * do not where an instruction may fault.
 */
static bool fslist_copy_to_user(void __user *buf, const char *data, size_t len)
{
	const u64 *from = (const u64 *)data;	/* aligned, see struct fslist_text */
	u64 __user *to = buf;

	if (!user_write_access_begin(buf, len))
		return false;

	if (IS_ENABLED(CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS)) {
		for (; len >= 8 * sizeof(u64); len -= 8 * sizeof(u64)) {
			unsafe_put_user(from[0], to, fault);
			unsafe_put_user(from[1], to + 1, fault);
			unsafe_put_user(from[2], to + 2, fault);
			unsafe_put_user(from[3], to + 3, fault);
			unsafe_put_user(from[4], to + 4, fault);
			unsafe_put_user(from[5], to + 5, fault);
			unsafe_put_user(from[6], to + 6, fault);
			unsafe_put_user(from[7], to + 7, fault);
			from += 8;
			to += 8;
		}
		if (len >= 4 * sizeof(u64)) {
			unsafe_put_user(from[0], to, fault);
			unsafe_put_user(from[1], to + 1, fault);
			unsafe_put_user(from[2], to + 2, fault);
			unsafe_put_user(from[3], to + 3, fault);
			from += 4;
			to += 4;
			len -= 4 * sizeof(u64);
		}
	}
	unsafe_copy_to_user((char __user *)to, (const char *)from, len, fault);
	user_write_access_end();
	return true;
fault:
	user_write_access_end();
	return false;
}

/* Copy the whole text without sleeping: all or nothing. */
static bool fslist_copy_atomic(const struct fslist_text *text, struct iov_iter *to)
{
	size_t len = text->len, copied;

	if (likely(iter_is_ubuf(to))) {
		if (!fslist_copy_to_user(to->ubuf + to->iov_offset, text->data, len))
			return false;
		/* iov_iter_advance() for this kind of iterator. */
		to->iov_offset += len;
		to->count -= len;
		return true;
	}
	/* Other iterators, such as a pipe's, may sleep. */
	if (!user_backed_iter(to) && !iov_iter_is_kvec(to))
		return false;
	copied = copy_to_iter(text->data, len, to);
	if (copied == len)
		return true;
	iov_iter_revert(to, copied);
	return false;
}

/*
 * The whole of the published text, without a lock, a reference or a write to
 * anything that another CPU uses. Returns 0 if that is not possible; nothing
 * has been read then.
 *
 * Preemption is off for the time of a copy of some 300 bytes. That protects
 * the text as rcu_read_lock() would, and is inline in a module, which the
 * other is not.
 */
static size_t fslist_read_whole(struct fslist_cache *cache, struct iov_iter *to)
{
	const struct fslist_text *text;
	size_t len = 0;

	rcu_read_lock_sched();
	text = rcu_dereference_sched(cache->text);
	if (likely(text && text->len <= iov_iter_count(to))) {
		pagefault_disable();
		if (likely(fslist_copy_atomic(text, to)))
			len = text->len;
		pagefault_enable();
	}
	rcu_read_unlock_sched();
	return len;
}

/*
 * The file was read as a whole: what it remembers is the end mark. Another
 * thread that reads the same file may have changed that meanwhile: it wins.
 */
static void fslist_reader_at_end(void **reader, void *state, size_t len)
{
	void *end = fslist_end_mark(len);

	if (state != end)
		(void)cmpxchg(reader, state, end);
}

/*
 * A read that stops half-way or begins there: takes this file's lock. @text is
 * what a read at 0 has got already, with a reference that is used up here.
 */
static ssize_t fslist_read_partial(struct fslist_cache *cache, void **reader,
				   struct fslist_text *text, struct iov_iter *to,
				   loff_t *pos)
{
	struct fslist_partial *partial;
	size_t copied;
	ssize_t ret = 0;

	partial = fslist_partial_get(cache, reader);
	if (!partial) {
		fslist_text_put(text);
		return -ENOMEM;
	}

	mutex_lock(&partial->lock);
	if (!text && *pos && *pos == partial->next) {
		text = partial->text;
	} else {
		if (!text)
			text = fslist_text_get(cache);
		/* It may be the text that was begun: each has its reference. */
		fslist_partial_set(partial, NULL, -1);
		if (IS_ERR(text)) {
			ret = PTR_ERR(text);
			goto unlock;
		}
		fslist_partial_set(partial, text, *pos);
	}

	if (!text || *pos >= text->len) {
		fslist_partial_set(partial, NULL, *pos);
		goto unlock;
	}

	copied = copy_to_iter(text->data + *pos,
			      min_t(size_t, text->len - *pos, iov_iter_count(to)), to);
	if (!copied) {
		ret = -EFAULT;
		goto unlock;
	}
	*pos += copied;
	fslist_partial_set(partial, *pos < text->len ? text : NULL, *pos);
	ret = copied;
unlock:
	mutex_unlock(&partial->lock);
	return ret;
}

/*
 * Make sure that the whole of the published text can be copied without a page
 * fault: programs tend to read into memory that they have not touched yet.
 */
static bool fslist_fault_in(struct fslist_cache *cache, struct iov_iter *to)
{
	const struct fslist_text *text;
	size_t len;

	rcu_read_lock();
	text = rcu_dereference(cache->text);
	len = text ? text->len : 0;
	rcu_read_unlock();
	return len && len <= iov_iter_count(to) && user_backed_iter(to) &&
	       !fault_in_iov_iter_writeable(to, len);
}

/* Any read: may sleep, and may take a reference of the text. */
static noinline ssize_t fslist_read_slow(struct fslist_cache *cache, void **reader,
					 struct iov_iter *to, loff_t *pos)
{
	void *state = READ_ONCE(*reader);
	struct fslist_text *text = NULL;
	size_t len, copied;

	if (!iov_iter_count(to))
		return 0;

	if (*pos == 0 && !fslist_is_partial(state)) {
		len = fslist_fault_in(cache, to) ? fslist_read_whole(cache, to) : 0;
		if (len)
			goto whole;
		text = fslist_text_get(cache);
		if (IS_ERR(text))
			return PTR_ERR(text);
		len = text->len;
		if (len <= iov_iter_count(to)) {
			copied = copy_to_iter(text->data, len, to);
			if (copied == len) {
				fslist_text_put(text);
				goto whole;
			}
			iov_iter_revert(to, copied);
		}
	}
	return fslist_read_partial(cache, reader, text, to, pos);

whole:
	fslist_reader_at_end(reader, state, len);
	*pos = len;
	return len;
}

/**
 * fslist_read - read the list as a file
 * @cache: the cache
 * @reader: what this file remembers, see fslist_core.h
 * @to: where to
 * @pos: position in bytes, advanced by what was read
 *
 * Positions mean what they mean in a seq_file of a single record, which is
 * what /proc/filesystems is: at 0 the list as it is now; where the last read
 * of this file ended, the text that was begun, to its end; anywhere else, the
 * list as it is now from there on.
 *
 * Context: process context, may sleep.
 * Return: bytes read; 0 at the end; -EFAULT if nothing could be copied;
 * -ENOMEM; or what the show callback returned.
 */
ssize_t fslist_read(struct fslist_cache *cache, void **reader,
		    struct iov_iter *to, loff_t *pos)
{
	void *state = READ_ONCE(*reader);
	size_t len;

	if (likely(*pos == 0 && !fslist_is_partial(state))) {
		len = fslist_read_whole(cache, to);
		if (likely(len)) {
			fslist_reader_at_end(reader, state, len);
			*pos = len;
			return len;
		}
	} else if (fslist_is_end_mark(state) && *pos == fslist_end_pos(state)) {
		return 0;
	}
	return fslist_read_slow(cache, reader, to, pos);
}

/**
 * fslist_reader_seek - a file is positioned elsewhere
 * @reader: what it remembers
 * @pos: where to
 *
 * Positioning a file anywhere but where it stands ends what it had begun, as
 * in a seq_file: moved back there later, it gets the list of then. (A seq_file
 * renders at once; here the read that follows does.)
 *
 * Context: process context, may sleep.
 */
void fslist_reader_seek(void **reader, loff_t pos)
{
	void *state = READ_ONCE(*reader);

	if (fslist_is_partial(state)) {
		struct fslist_partial *partial = state;

		mutex_lock(&partial->lock);
		if (pos != partial->next)
			fslist_partial_set(partial, NULL, -1);
		mutex_unlock(&partial->lock);
	} else if (state && pos != fslist_end_pos(state)) {
		/* A thread that reads the same file may be faster: it wins. */
		(void)cmpxchg(reader, state, NULL);
	}
}

/**
 * fslist_reader_free - forget what a file that stopped half-way remembered
 * @reader: see fslist_reader_release(), which is what to call
 */
void fslist_reader_free(void **reader)
{
	struct fslist_partial *partial = *reader;

	*reader = NULL;
	fslist_text_put(partial->text);
	mutex_destroy(&partial->lock);
	kvfree(partial);
}

/**
 * fslist_renders_in_one_piece - does a show callback emit a ready-made text?
 * @ops: with the callback in question
 *
 * Linux 7.2 emits its cached text with one write; kernels without the change
 * emit entry by entry. Given a buffer that is one byte short, one write leaves
 * no trace in it, while entries leave all but the last.
 *
 * Return: 1 if so, 0 if not, a negative errno if it could not be found out
 * (-EAGAIN: the list kept changing; -ENODATA: fewer than two entries).
 */
int fslist_renders_in_one_piece(const struct fslist_ops *ops)
{
	static const u8 untouched = 0xff;	/* in no name */
	int tries, verdict = -EAGAIN;

	for (tries = 0; tries < 8 && verdict == -EAGAIN; tries++) {
		struct seq_file seq = { .private = ops->private };
		struct fslist_text *text;
		const char *newline;
		int err;

		text = fslist_text_render(ops);
		if (IS_ERR(text))
			return PTR_ERR(text);

		seq.buf = text->data;
		seq.size = text->len;
		newline = strnchr(text->data, text->len, '\n');
		if (!newline || newline == text->data + text->len - 1) {
			verdict = -ENODATA;
		} else {
			memset(text->data, untouched, text->len);
			err = ops->show(&seq, NULL);
			if (err)
				verdict = err;
			else if (seq_has_overflowed(&seq))
				verdict = (u8)text->data[0] == untouched;
		}
		kvfree(text);
	}
	return verdict;
}
