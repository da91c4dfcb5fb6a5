// SPDX-License-Identifier: GPL-2.0
/*
 * Random scripts for iomap_iter().
 *
 * A script is what a filesystem and an operation do with an iterator: which
 * extents ->iomap_begin() finds, where it and ->iomap_end() fail, how far the
 * body gets in each, and that a mapping goes stale meanwhile. All of it comes
 * from a seed, so that two functions can be led through the same script. What
 * they show on the way is logged: the arguments of every callback with the
 * mappings as they are then, and the iterator after every call.
 *
 * A script stays within what iomap_iter() demands of its callers: it warns
 * about mappings that do not cover the position.
 */
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "iomap.h"
#include "iomap_core.h"

#define SCRIPT_CALLS	12	/* of the function, then it is given up */
#define SCRIPT_EVENTS	(2 * 3 * SCRIPT_CALLS)	/* of two rounds */

enum iomap_event_kind {
	EVENT_BEGIN,
	EVENT_END,
	EVENT_RETURN,
};

/* Compared as memory: no padding, and cleared before it is filled. */
struct iomap_event {
	u64 kind;
	s64 pos;
	u64 length;
	s64 result;
	u64 flags;
	s64 status;
	u64 fbatch_used;
	struct iomap iomap;
	struct iomap srcmap;
};

/* One run of one script through one function. */
struct iomap_run {
	struct rnd_state random;
	struct iomap_iter iter;
	struct inode inode;
	struct super_block sb;
	struct folio_batch fbatch;
	unsigned int nr_events;
	struct iomap_event events[SCRIPT_EVENTS];
	unsigned int reuses;
	bool may_reuse;
};

static u32 draw(struct iomap_run *run, u32 ceiling)
{
	return prandom_u32_state(&run->random) % ceiling;
}

static bool one_in(struct iomap_run *run, u32 n)
{
	return !draw(run, n);
}

static void log_event(struct iomap_run *run, enum iomap_event_kind kind, s64 pos, u64 length,
		      s64 result, unsigned int flags)
{
	struct iomap_event *event = &run->events[run->nr_events];

	if (run->nr_events == SCRIPT_EVENTS)
		return;
	run->nr_events++;
	memset(event, 0, sizeof(*event));
	event->kind = kind;
	event->pos = pos;
	event->length = length;
	event->result = result;
	event->flags = flags;
	event->status = compat_iomap_iter_status(&run->iter);
	event->fbatch_used = compat_iomap_fbatch_used(&run->fbatch);
	event->iomap = run->iter.iomap;
	event->srcmap = run->iter.srcmap;
}

/* A mapping that covers pos, as a filesystem would fill it in: not all of it. */
static void draw_mapping(struct iomap_run *run, struct iomap *iomap, loff_t pos)
{
	static const u16 flags[] = {
		IOMAP_F_NEW, IOMAP_F_DIRTY, IOMAP_F_SHARED, IOMAP_F_MERGED,
		COMPAT_IOMAP_F_FOLIO_BATCH,
	};

	iomap->offset = pos - draw(run, min_t(u64, pos, SZ_64K) + 1);
	iomap->length = pos - iomap->offset + 1 + draw(run, SZ_64K);
	iomap->type = one_in(run, 4) ? IOMAP_HOLE : IOMAP_MAPPED + draw(run, 3);
	iomap->flags = flags[draw(run, ARRAY_SIZE(flags))];
	iomap->addr = iomap->type == IOMAP_HOLE ? IOMAP_NULL_ADDR : draw(run, SZ_1G);
	if (one_in(run, 4))
		iomap->private = (void *)(unsigned long)(1 + draw(run, SZ_1G));
	if (one_in(run, 8))
		iomap->inline_data = (void *)(unsigned long)(1 + draw(run, SZ_1G));
}

static struct iomap_run *run_of(struct iomap *iomap)
{
	return container_of(iomap, struct iomap_run, iter.iomap);
}

static int stub_begin(struct inode *inode, loff_t pos, loff_t length, unsigned int flags,
		      struct iomap *iomap, struct iomap *srcmap)
{
	struct iomap_run *run = run_of(iomap);

	log_event(run, EVENT_BEGIN, pos, length, 0, flags);
	if (one_in(run, 24))
		return -EIO;
	draw_mapping(run, iomap, pos);
	if (one_in(run, 24))
		return -ENOSPC;
	if (one_in(run, 3))
		draw_mapping(run, srcmap, pos);
	if (iomap->flags & COMPAT_IOMAP_F_FOLIO_BATCH)
		compat_iomap_fbatch_use(&run->fbatch);
	return 0;
}

static int stub_end(struct inode *inode, loff_t pos, loff_t length, ssize_t written,
		    unsigned int flags, struct iomap *iomap)
{
	struct iomap_run *run = run_of(iomap);

	log_event(run, EVENT_END, pos, length, written, flags);
	return one_in(run, 16) ? -EAGAIN : 0;
}

static const struct iomap_ops stub_ops = {
	.iomap_begin	= stub_begin,
	.iomap_end	= stub_end,
};

static const struct iomap_ops stub_ops_no_end = {
	.iomap_begin	= stub_begin,
};

/* What an operation does with a mapping. */
static void stub_body(struct iomap_run *run)
{
	struct iomap_iter *iter = &run->iter;
	u64 bytes = iomap_length(iter);
	u64 part = bytes ? 1 + draw(run, min_t(u64, bytes, SZ_1G)) : 0;

	if (one_in(run, 6))
		iter->iomap.flags |= IOMAP_F_STALE;
	switch (draw(run, 8)) {
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

static void run_round(struct iomap_run *run, iomap_iter_fn *fn, const struct iomap_ops *ops)
{
	int calls, ret = 1;

	for (calls = 0; ret > 0 && calls < SCRIPT_CALLS; calls++) {
		ret = fn(&run->iter, ops);
		log_event(run, EVENT_RETURN, run->iter.pos, run->iter.len, ret, run->iter.flags);
		if (ret > 0)
			stub_body(run);
	}

	/* As iomap_zero_range() did up to 6.18: first the beginning, then the rest. */
	if (!ret && run->iter.flags & IOMAP_ZERO && run->may_reuse && !run->reuses) {
		run->reuses++;
		run->iter.len = 1 + draw(run, SZ_128K);
		run_round(run, fn, ops);
	}
}

static void run_script(struct iomap_run *run, iomap_iter_fn *fn, unsigned int leniency, u64 seed)
{
	static const unsigned int flags[] = {
		0, IOMAP_WRITE, IOMAP_ZERO, IOMAP_DIRECT, IOMAP_WRITE | IOMAP_DIRECT, IOMAP_REPORT,
	};

	memset(run, 0, offsetof(struct iomap_run, events));
	run->reuses = 0;
	run->may_reuse = !(leniency & IOMAP_REUSE);
	prandom_seed_state(&run->random, seed);
	/* Tracepoints look at the inode, but not at more of it than this. */
	run->inode.i_sb = &run->sb;
	run->iter.inode = &run->inode;
	run->iter.pos = draw(run, SZ_1M);
	run->iter.len = one_in(run, 16) ? 0 : 1 + draw(run, SZ_128K);
	run->iter.flags = flags[draw(run, ARRAY_SIZE(flags))];
	compat_iomap_set_fbatch(&run->iter, &run->fbatch);
	run_round(run, fn, one_in(run, 4) ? &stub_ops_no_end : &stub_ops);
}

static const char *event_differs(const struct iomap_event *one, const struct iomap_event *other,
				 unsigned int leniency)
{
	static const char * const callback[] = {
		[EVENT_BEGIN]	= "arguments of ->iomap_begin()",
		[EVENT_END]	= "arguments of ->iomap_end()",
		[EVENT_RETURN]	= "the result, or where the iterator is",
	};
	bool mappings = one->kind != EVENT_RETURN || one->result > 0 || !(leniency & IOMAP_FINISHED);

	if (one->kind != other->kind)
		return "which callbacks are called";
	if (memcmp(one, other, offsetof(struct iomap_event, iomap)))
		return callback[one->kind];
	if (mappings && memcmp(&one->iomap, &other->iomap, 2 * sizeof(one->iomap)))
		return "contents of the mappings";
	return NULL;
}

static const char *run_differs(const struct iomap_run *one, const struct iomap_run *other,
			       unsigned int leniency)
{
	const char *what = NULL;
	unsigned int i;

	for (i = 0; !what && i < min(one->nr_events, other->nr_events); i++)
		what = event_differs(&one->events[i], &other->events[i], leniency);
	if (!what && one->nr_events != other->nr_events)
		return "how many callbacks are called";
	return what;
}

static void count_events(const struct iomap_run *run, struct iomap_compared *compared)
{
	unsigned int i;

	for (i = 0; i < run->nr_events; i++) {
		compared->begins += run->events[i].kind == EVENT_BEGIN;
		compared->ends += run->events[i].kind == EVENT_END;
		compared->calls += run->events[i].kind == EVENT_RETURN;
	}
	compared->reuses += run->reuses;
	compared->scripts++;
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
 * Context: process context, may sleep; some microseconds per script.
 * Return: 0 if they are equal; -EILSEQ if they differ, see @compared; -ENOMEM.
 */
int iomap_compare(iomap_iter_fn *one, iomap_iter_fn *other, unsigned int leniency,
		  u64 seed, unsigned int scripts, struct iomap_compared *compared)
{
	struct iomap_run *runs = kvcalloc(2, sizeof(*runs), GFP_KERNEL);
	int err = 0;

	memset(compared, 0, sizeof(*compared));
	if (!runs)
		return -ENOMEM;
	for (; scripts; scripts--, seed++) {
		run_script(&runs[0], one, leniency, seed);
		run_script(&runs[1], other, leniency, seed);
		count_events(&runs[0], compared);
		compared->what = run_differs(&runs[0], &runs[1], leniency);
		if (compared->what) {
			compared->seed = seed;
			err = -EILSEQ;
			break;
		}
		cond_resched();
	}
	kvfree(runs);
	return err;
}

static int whole_begin(struct inode *inode, loff_t pos, loff_t length, unsigned int flags,
		       struct iomap *iomap, struct iomap *srcmap)
{
	iomap->offset = pos;
	iomap->length = length;
	iomap->type = IOMAP_MAPPED;
	return 0;
}

/**
 * iomap_form_of - does a function clear the mapping of a finished iterator?
 * @fn: an implementation of iomap_iter()
 *
 * Context: process context, may sleep.
 * Return: its form.
 */
enum iomap_form iomap_form_of(iomap_iter_fn *fn)
{
	static const struct iomap_ops whole_ops = { .iomap_begin = whole_begin };
	struct iomap_run *run = kvzalloc(sizeof(*run), GFP_KERNEL);
	enum iomap_form form = IOMAP_FORM_UNKNOWN;

	if (!run)
		return form;
	run->inode.i_sb = &run->sb;
	run->iter.inode = &run->inode;
	run->iter.len = PAGE_SIZE;
	if (fn(&run->iter, &whole_ops) == 1 && run->iter.iomap.length == PAGE_SIZE) {
		compat_iomap_iter_done(&run->iter, PAGE_SIZE, 0);
		if (!fn(&run->iter, &whole_ops) && !run->iter.len)
			form = run->iter.iomap.length ? IOMAP_FORM_LEAVES : IOMAP_FORM_CLEARS;
	}
	kvfree(run);
	return form;
}
