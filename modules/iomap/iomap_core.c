// SPDX-License-Identifier: GPL-2.0
/*
 * Random scripts for iomap_iter().
 *
 * A script is what a filesystem and an operation do with an iterator: which
 * extents ->iomap_begin() finds, where it and ->iomap_end() fail, how far the
 * body gets in each, and that a mapping goes stale meanwhile. All of it comes
 * from a seed, so that two functions can be led through the same script. What
 * they show on the way is logged: the arguments of every callback with the
 * whole iterator as it is then, and the iterator after every call.
 *
 * A script stays within what iomap_iter() demands of its callers: it warns
 * about mappings that do not cover the position.
 */
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "iomap.h"
#include "iomap_core.h"

#define ROUND_CALLS	12	/* of the function, then the script is given up */
#define ROUNDS		2	/* with one iterator */
#define LOG_EVENTS	(3 * ROUND_CALLS * ROUNDS)

enum iomap_event_kind {
	EVENT_BEGIN,
	EVENT_END,
	EVENT_RETURN,
};

/* Compared as memory: no padding. */
struct iomap_event {
	u32 kind;
	u32 elsewhere;		/* mappings that are not the iterator's were given */
	s64 pos;
	u64 length;
	s64 result;
	u32 flags;
	u32 folios;		/* references that the iterator's batch holds */
	struct iomap_iter iter;
};

struct iomap_log {
	unsigned int events;
	struct iomap_event event[LOG_EVENTS];
};

/*
 * What a script plays on. There is one, for all functions in turn, so that
 * pointers in the iterator are the same for all of them.
 */
struct iomap_stage {
	struct rnd_state random;
	unsigned int shift;	/* of lengths, so that some do not fit into 32 bits */
	unsigned int rounds;	/* that have begun */
	bool batched;
	struct iomap_iter iter;
	struct inode inode;
	struct super_block sb;
	struct folio_batch fbatch;
	struct folio *folio;
	struct iomap_log *log;
	struct iomap_log logs[2];
};

static u32 draw(struct iomap_stage *stage, u32 ceiling)
{
	return prandom_u32_state(&stage->random) % ceiling;
}

static bool one_in(struct iomap_stage *stage, u32 n)
{
	return !draw(stage, n);
}

static u64 draw_length(struct iomap_stage *stage, u32 ceiling)
{
	return (u64)draw(stage, ceiling) << stage->shift;
}

static void *draw_pointer(struct iomap_stage *stage)
{
	return (void *)(unsigned long)(1 + draw(stage, SZ_1G));
}

static void log_event(struct iomap_stage *stage, enum iomap_event_kind kind, bool elsewhere,
		      s64 pos, u64 length, s64 result, unsigned int flags)
{
	struct iomap_log *log = stage->log;
	struct iomap_event *event = &log->event[log->events];

	/* More than one of each per call: the function is out of its mind. */
	if (log->events == LOG_EVENTS)
		return;
	log->events++;
	event->kind = kind;
	event->elsewhere = elsewhere;
	event->pos = pos;
	event->length = length;
	event->result = result;
	event->flags = flags;
	event->folios = stage->folio ? folio_ref_count(stage->folio) - 1 : 0;
	event->iter = stage->iter;
}

/* A mapping that covers pos, as a filesystem would fill it in: not all of it. */
static void draw_mapping(struct iomap_stage *stage, struct iomap *iomap, loff_t pos)
{
	static const u16 flags[] = {
		0, IOMAP_F_NEW, IOMAP_F_DIRTY, IOMAP_F_SHARED, IOMAP_F_MERGED,
		IOMAP_F_SHARED | IOMAP_F_DIRTY,
	};

	iomap->offset = pos - min_t(u64, pos, draw_length(stage, SZ_64K + 1));
	iomap->length = pos - iomap->offset + 1 + draw_length(stage, SZ_64K);
	iomap->type = draw(stage, IOMAP_INLINE + 1);
	iomap->flags = flags[draw(stage, ARRAY_SIZE(flags))];
	iomap->addr = iomap->type == IOMAP_HOLE ? IOMAP_NULL_ADDR : draw(stage, SZ_1G);
	/* Not bdev: tracepoints look at it. */
	if (one_in(stage, 4))
		iomap->private = draw_pointer(stage);
	if (one_in(stage, 8))
		iomap->inline_data = draw_pointer(stage);
	if (one_in(stage, 8))
		iomap->dax_dev = draw_pointer(stage);
	if (one_in(stage, 4))
		iomap->validity_cookie = draw(stage, SZ_1G);
}

/* As iomap_fill_dirty_folios() does for a filesystem. */
static void fill_batch(struct iomap_stage *stage, struct iomap *iomap)
{
	unsigned int folios = draw(stage, 4);

	while (folios-- && folio_batch_count(&stage->fbatch) < ARRAY_SIZE(stage->fbatch.folios)) {
		folio_get(stage->folio);
		folio_batch_add(&stage->fbatch, stage->folio);
	}
	iomap->flags |= COMPAT_IOMAP_F_FOLIO_BATCH;
}

/* Give back what the function has left in the batch. */
static void drop_batch(struct iomap_stage *stage)
{
	unsigned int i;

	for (i = 0; i < folio_batch_count(&stage->fbatch); i++)
		folio_put(stage->folio);
	folio_batch_init(&stage->fbatch);
}

static int stub_begin(struct inode *inode, loff_t pos, loff_t length, unsigned int flags,
		      struct iomap *iomap, struct iomap *srcmap)
{
	struct iomap_stage *stage = container_of(inode, struct iomap_stage, inode);

	log_event(stage, EVENT_BEGIN,
		  iomap != &stage->iter.iomap || srcmap != &stage->iter.srcmap,
		  pos, length, 0, flags);
	if (one_in(stage, 24))
		return -EIO;
	draw_mapping(stage, iomap, pos);
	if (one_in(stage, 24))
		return -ENOSPC;
	if (one_in(stage, 3))
		draw_mapping(stage, srcmap, pos);
	if (stage->batched && one_in(stage, 2))
		fill_batch(stage, iomap);
	return 0;
}

static int stub_end(struct inode *inode, loff_t pos, loff_t length, ssize_t written,
		    unsigned int flags, struct iomap *iomap)
{
	struct iomap_stage *stage = container_of(inode, struct iomap_stage, inode);

	log_event(stage, EVENT_END, iomap != &stage->iter.iomap, pos, length, written, flags);
	return one_in(stage, 8) ? -EAGAIN : 0;
}

static const struct iomap_ops stub_ops = {
	.iomap_begin	= stub_begin,
	.iomap_end	= stub_end,
};

static const struct iomap_ops stub_ops_no_end = {
	.iomap_begin	= stub_begin,
};

/* What an operation does with a mapping. */
static void stub_body(struct iomap_stage *stage)
{
	struct iomap_iter *iter = &stage->iter;
	u64 bytes = iomap_length(iter);
	u64 part = bytes;

	if (bytes)
		part -= min(bytes - 1, draw_length(stage, SZ_64K));
	if (one_in(stage, 6))
		iter->iomap.flags |= IOMAP_F_STALE;
	if (one_in(stage, 8))
		iter->iomap.flags |= IOMAP_F_SIZE_CHANGED;
	switch (draw(stage, 8)) {
	case 0:
		compat_iomap_iter_done(iter, 0, 0);
		break;
	case 1:
		compat_iomap_iter_done(iter, 0, -EIO);
		break;
	case 2:
		compat_iomap_iter_done(iter, part, -EFAULT);
		break;
	case 3:
	case 4:
		compat_iomap_iter_done(iter, part, 0);
		break;
	default:
		compat_iomap_iter_done(iter, bytes, 0);
		break;
	}
}

/* The loop that every operation has; returns what the last call returned. */
static int play_round(struct iomap_stage *stage, iomap_iter_fn *fn, const struct iomap_ops *ops)
{
	int calls, ret = 1;

	stage->rounds++;
	for (calls = 0; ret > 0 && calls < ROUND_CALLS; calls++) {
		ret = fn(&stage->iter, ops);
		log_event(stage, EVENT_RETURN, false, 0, 0, ret, 0);
		if (ret > 0)
			stub_body(stage);
	}
	return ret;
}

static void set_stage(struct iomap_stage *stage, struct iomap_log *log, u64 seed)
{
	static const unsigned int flags[] = {
		0, IOMAP_WRITE, IOMAP_ZERO, IOMAP_DIRECT, IOMAP_WRITE | IOMAP_DIRECT, IOMAP_REPORT,
	};
	struct iomap_iter *iter = &stage->iter;

	prandom_seed_state(&stage->random, seed);
	stage->log = log;
	log->events = 0;
	stage->rounds = 0;
	stage->shift = one_in(stage, 8) ? 20 : 0;
	stage->batched = stage->folio && one_in(stage, 2);

	memset(iter, 0, sizeof(*iter));
	/* Tracepoints look at the inode, but not at more of it than this. */
	stage->inode.i_sb = &stage->sb;
	iter->inode = &stage->inode;
	iter->pos = one_in(stage, 8) ? 0 : draw_length(stage, SZ_1M);
	/* The longest file, with room for both rounds. */
	if (one_in(stage, 32))
		iter->pos = LLONG_MAX - (2ULL * SZ_128K << stage->shift) -
			    draw_length(stage, SZ_64K);
	iter->len = one_in(stage, 16) ? 0 : 1 + draw_length(stage, SZ_128K);
	iter->flags = flags[draw(stage, ARRAY_SIZE(flags))];
	iter->private = one_in(stage, 2) ? draw_pointer(stage) : NULL;
	folio_batch_init(&stage->fbatch);
	compat_iomap_set_fbatch(iter, stage->batched ? &stage->fbatch : NULL);
}

static void play(struct iomap_stage *stage, iomap_iter_fn *fn, struct iomap_log *log,
		 unsigned int leniency, u64 seed)
{
	const struct iomap_ops *ops;

	set_stage(stage, log, seed);
	ops = one_in(stage, 4) ? &stub_ops_no_end : &stub_ops;
	if (!play_round(stage, fn, ops) &&
	    (stage->iter.flags & IOMAP_ZERO) && !(leniency & IOMAP_REUSE)) {
		/* As iomap_zero_range() in 6.18: first the beginning, then the rest. */
		stage->iter.len = 1 + draw_length(stage, SZ_128K);
		play_round(stage, fn, ops);
	}
	drop_batch(stage);
}

/* Are iterators equal except for their mappings? */
static bool equal_around_mappings(const struct iomap_iter *one, const struct iomap_iter *other)
{
	size_t behind = offsetofend(struct iomap_iter, srcmap);

	return !memcmp(one, other, offsetof(struct iomap_iter, iomap)) &&
	       !memcmp((void *)one + behind, (void *)other + behind, sizeof(*one) - behind);
}

static const char *event_differs(const struct iomap_event *one, const struct iomap_event *other,
				 unsigned int leniency)
{
	static const char * const outside[] = {
		[EVENT_BEGIN]	= "the arguments of ->iomap_begin()",
		[EVENT_END]	= "the arguments of ->iomap_end()",
		[EVENT_RETURN]	= "the result",
	};
	static const char * const inside[] = {
		[EVENT_BEGIN]	= "the iterator in ->iomap_begin()",
		[EVENT_END]	= "the iterator in ->iomap_end()",
		[EVENT_RETURN]	= "the iterator after a call",
	};
	bool finished = one->kind == EVENT_RETURN && one->result <= 0;

	if (one->kind != other->kind)
		return "which callbacks are called";
	if (one->folios != other->folios)
		return "folios in the batch";
	if (memcmp(one, other, offsetof(struct iomap_event, iter)))
		return outside[one->kind];
	if (!equal_around_mappings(&one->iter, &other->iter))
		return inside[one->kind];
	if (finished && (leniency & IOMAP_FINISHED))
		return NULL;
	if (memcmp(&one->iter, &other->iter, sizeof(one->iter)))
		return "contents of the mappings";
	return NULL;
}

static const char *log_differs(const struct iomap_log *one, const struct iomap_log *other,
			       unsigned int leniency)
{
	const char *what = NULL;
	unsigned int i;

	for (i = 0; !what && i < min(one->events, other->events); i++)
		what = event_differs(&one->event[i], &other->event[i], leniency);
	if (!what && one->events != other->events)
		return "how many callbacks are called";
	return what;
}

static void count_events(const struct iomap_stage *stage, struct iomap_compared *compared)
{
	const struct iomap_log *log = &stage->logs[0];
	unsigned int i;

	for (i = 0; i < log->events; i++) {
		compared->begins += log->event[i].kind == EVENT_BEGIN;
		compared->ends += log->event[i].kind == EVENT_END;
		compared->calls += log->event[i].kind == EVENT_RETURN;
	}
	compared->scripts++;
}

static struct iomap_stage *stage_alloc(void)
{
	struct iomap_stage *stage = kvzalloc(sizeof(*stage), GFP_KERNEL);

	if (!stage || !COMPAT_IOMAP_F_FOLIO_BATCH)
		return stage;
	stage->folio = folio_alloc(GFP_KERNEL, 0);
	if (stage->folio)
		return stage;
	kvfree(stage);
	return NULL;
}

static void stage_free(struct iomap_stage *stage)
{
	if (stage->folio)
		folio_put(stage->folio);
	kvfree(stage);
}

/**
 * iomap_compare - lead two implementations of iomap_iter() through random scripts
 * @one: the reference
 * @other: the other
 * @leniency: where they need not be equal: enum iomap_leniency
 * @seed: of the first script; the next has the next number
 * @scripts: how many
 * @compared: set to what it came to
 *
 * The functions are called indirectly. That of a kernel with sealed landing
 * pads (IBT) has to be wrapped in one that calls it through a static call.
 *
 * Context: process context, may sleep; some microseconds per script.
 * Return: 0 if they are equal; -EILSEQ if they differ, see @compared; -ENOMEM;
 * -EINTR if the task is being killed.
 */
int iomap_compare(iomap_iter_fn *one, iomap_iter_fn *other, unsigned int leniency,
		  u64 seed, unsigned int scripts, struct iomap_compared *compared)
{
	struct iomap_stage *stage = stage_alloc();
	int err = 0;

	memset(compared, 0, sizeof(*compared));
	if (!stage)
		return -ENOMEM;
	for (; scripts && !err; scripts--, seed++) {
		play(stage, other, &stage->logs[1], leniency, seed);
		play(stage, one, &stage->logs[0], leniency, seed);
		count_events(stage, compared);
		compared->reuses += stage->rounds - 1;
		compared->what = log_differs(&stage->logs[0], &stage->logs[1], leniency);
		if (compared->what) {
			compared->seed = seed;
			err = -EILSEQ;
		}
		if (!err && fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	stage_free(stage);
	return err;
}

/* A filesystem with one extent, which covers everything. */
static int whole_begin(struct inode *inode, loff_t pos, loff_t length, unsigned int flags,
		       struct iomap *iomap, struct iomap *srcmap)
{
	struct iomap_stage *stage = container_of(inode, struct iomap_stage, inode);

	log_event(stage, EVENT_BEGIN, false, pos, length, 0, flags);
	draw_mapping(stage, iomap, pos);
	iomap->offset = pos;
	iomap->length = length;
	*srcmap = *iomap;
	srcmap->type = IOMAP_MAPPED;
	return 0;
}

static int whole_end(struct inode *inode, loff_t pos, loff_t length, ssize_t written,
		     unsigned int flags, struct iomap *iomap)
{
	struct iomap_stage *stage = container_of(inode, struct iomap_stage, inode);

	log_event(stage, EVENT_END, false, pos, length, written, flags);
	return 0;
}

static const struct iomap_ops whole_ops = {
	.iomap_begin	= whole_begin,
	.iomap_end	= whole_end,
};

static bool is_clear(const struct iomap *iomap)
{
	return !memchr_inv(iomap, 0, sizeof(*iomap));
}

static enum iomap_form form_on_stage(struct iomap_stage *stage, iomap_iter_fn *fn)
{
	static const unsigned int expected[] = { EVENT_BEGIN, EVENT_END };
	struct iomap_iter *iter = &stage->iter;
	struct iomap_log *log = &stage->logs[0];
	struct iomap_iter body;
	int i;

	set_stage(stage, log, 1);
	iter->pos = SZ_64K;
	iter->len = SZ_4K;
	iter->flags = 0;
	if (fn(iter, &whole_ops) != 1 || iter->iomap.length != SZ_4K)
		return IOMAP_FORM_UNKNOWN;
	compat_iomap_iter_done(iter, SZ_4K, 0);
	body = *iter;
	if (fn(iter, &whole_ops) || iter->len || log->events != ARRAY_SIZE(expected))
		return IOMAP_FORM_UNKNOWN;
	for (i = 0; i < ARRAY_SIZE(expected); i++)
		if (log->event[i].kind != expected[i])
			return IOMAP_FORM_UNKNOWN;
	if (is_clear(&iter->iomap) && is_clear(&iter->srcmap))
		return IOMAP_FORM_CLEARS;
	if (!memcmp(&iter->iomap, &body.iomap, sizeof(body.iomap)) &&
	    !memcmp(&iter->srcmap, &body.srcmap, sizeof(body.srcmap)))
		return IOMAP_FORM_LEAVES;
	return IOMAP_FORM_UNKNOWN;
}

/**
 * iomap_form_of - does a function clear the mapping of a finished iterator?
 * @fn: an implementation of iomap_iter(), called indirectly as by
 *	iomap_compare()
 *
 * Context: process context, may sleep.
 * Return: its form.
 */
enum iomap_form iomap_form_of(iomap_iter_fn *fn)
{
	struct iomap_stage *stage = stage_alloc();
	enum iomap_form form = IOMAP_FORM_UNKNOWN;

	if (stage) {
		form = form_on_stage(stage, fn);
		stage_free(stage);
	}
	return form;
}
