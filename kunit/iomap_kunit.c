// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the iomap change: of modules/iomap/iomap_core.c, which compares
 * implementations of iomap_iter(), and of the bodies that scripts/generate-bodies
 * made of the object code of this kernel's fs/iomap/iter.c.
 *
 * UML has no bodies: its code returns by plain instructions, so that what leaves
 * a body could not be counted, and its kernel cannot change its own text. There
 * the kernel's own function stands for "null", and what is of "new" is skipped.
 *
 * The third opinion is a model, made from what the comments in linux/iomap.h
 * and at iomap_iter() promise to filesystems and to operations. It shares no
 * code with the kernel and remembers by itself what it has asked for. The same
 * model with a mistake in it stands for the wrong bodies that the comparison
 * has to find.
 */
#include <kunit/test.h>
#include <linux/iomap.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "body.h"
#include "iomap.h"
#include "iomap_core.h"
#include "trace.h"

#ifdef CONFIG_UPLIFT_CORE
#include "bind.h"
#include "iomap_gen.h"
#else
#define UPLIFT_IOMAP_ARMS	UPLIFT_ARM_FIRST_OWN
#endif

static ulong seed;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "of the first random script; 0 takes another one each time and prints it");

/* As many as are run before the change is armed on a stock kernel. */
#define SCRIPTS	10000

/* Used by the bodies. */
DEFINE_PER_CPU(struct uplift_count[UPLIFT_IOMAP_ARMS], uplift_iomap_count);

#ifdef CONFIG_UPLIFT_CORE
#define HAS_BODIES	true
#define body_null	((iomap_iter_fn *)uplift_iomap_null_jump_0)
#define body_new	((iomap_iter_fn *)uplift_iomap_new_jump_0)

static int bodies_bind(void)
{
	return uplift_bind_builtin(&uplift_iomap_bodies, uplift_iomap_bodies_end);
}
#else
#define HAS_BODIES	false
#define body_null	iomap_iter
#define body_new	iomap_iter

static int bodies_bind(void)
{
	return 0;
}
#endif

#define NEEDS_BODIES(test) do {							\
	if (!HAS_BODIES)							\
		kunit_skip(test, "no bodies can be made for this architecture");	\
} while (0)

/* Where the new body may differ from the old one in this kernel. */
#ifdef UPLIFT_IOMAP_REUSE
#define NEW_LENIENCY	IOMAP_FINISHED
#else
#define NEW_LENIENCY	(IOMAP_FINISHED | IOMAP_REUSE)
#endif

/* --- the model --- */

/**
 * enum mistake - what a backport of the change might get wrong
 * @NO_MISTAKE: nothing: what the kernel does up to the change
 * @LEAVES_FINISHED: the change, plainly: fine, as long as no caller uses a
 *	finished iterator again
 * @LEAVES_MAPPINGS: mappings are not cleared when there is another one to come
 * @LEAVES_SRCMAP: nor is the source
 * @LEAVES_STATUS: the status of the last mapping stays
 * @LEAVES_BATCH: folios of the last mapping stay
 * @STALE_AFTER_CLEARING: staleness is looked at when it has been cleared
 * @STALE_FOREVER: a stale mapping is mapped again though nothing is left to do
 * @STOPS_SHORT: a mapping that was done in part ends the iteration
 * @GOES_ON_IDLE: a mapping of which nothing was done does not
 * @ERROR_AFTER_PROGRESS: the body's error is lost where something was done
 * @END_ERROR_AFTER_PROGRESS: an error of ->iomap_end() counts even so
 * @END_ERROR_LOST: it never counts
 * @END_SKIPPED: ->iomap_end() is not called where nothing was done
 * @END_NOTHING_WRITTEN: it is told 0 as the progress, as that is taken from
 *	where the iterator is by then
 * @END_LENGTH_LEFT: it is told the length that is left
 * @END_LENGTH_OF_MAPPING: it is told the mapping's length, source or not
 * @END_LENGTH_INT: that is cut to 32 bits
 * @END_AT_POSITION: it is told where the iterator is by then
 * @BEGIN_WHOLE_LENGTH: ->iomap_begin() is asked for what the last one was asked
 */
enum mistake {
	NO_MISTAKE,
	LEAVES_FINISHED,
	LEAVES_MAPPINGS,
	LEAVES_SRCMAP,
	LEAVES_STATUS,
	LEAVES_BATCH,
	STALE_AFTER_CLEARING,
	STALE_FOREVER,
	STOPS_SHORT,
	GOES_ON_IDLE,
	ERROR_AFTER_PROGRESS,
	END_ERROR_AFTER_PROGRESS,
	END_ERROR_LOST,
	END_SKIPPED,
	END_NOTHING_WRITTEN,
	END_LENGTH_LEFT,
	END_LENGTH_OF_MAPPING,
	END_LENGTH_INT,
	END_AT_POSITION,
	BEGIN_WHOLE_LENGTH,
};

/**
 * struct model - what the model knows beside the iterator
 * @mistake: that it makes
 * @start: where the current mapping was asked for
 * @asked: for what length
 * @got: how much of that the mapping has, and its source, if there is one
 */
static struct model {
	enum mistake mistake;
	loff_t start;
	u64 asked;
	u64 got;
} model;

static int model_begin(struct iomap_iter *iter, const struct iomap_ops *ops, u64 length)
{
	const struct iomap *source = &iter->srcmap;
	int err;

	model.start = iter->pos;
	model.asked = length;
	err = ops->iomap_begin(iter->inode, model.start, length, iter->flags,
			       &iter->iomap, &iter->srcmap);
	if (err < 0)
		return err;
	model.got = iter->iomap.length - (model.start - iter->iomap.offset);
	if (source->type != IOMAP_HOLE && model.mistake != END_LENGTH_OF_MAPPING)
		model.got = min(model.got, source->length - (model.start - source->offset));
	model.got = min(model.got, model.asked);
	iter->iter_start_pos = model.start;
	return 1;
}

static int model_end(struct iomap_iter *iter, const struct iomap_ops *ops, ssize_t done)
{
	loff_t start = model.start;
	u64 length = model.got;

	if (!ops->iomap_end || (model.mistake == END_SKIPPED && !done))
		return 0;
	if (model.mistake == END_LENGTH_LEFT)
		length -= done;
	if (model.mistake == END_LENGTH_INT)
		length = (u32)length;
	if (model.mistake == END_NOTHING_WRITTEN)
		done = 0;
	if (model.mistake == END_AT_POSITION)
		start = iter->pos;
	return ops->iomap_end(iter->inode, start, length, done, iter->flags, &iter->iomap);
}

/* Is there another mapping to come? */
static int model_verdict(const struct iomap_iter *iter, ssize_t done, bool stale)
{
	bool progress = done || stale || model.mistake == GOES_ON_IDLE;

	if (iter->status && !(model.mistake == ERROR_AFTER_PROGRESS && done))
		return iter->status;
	if (model.mistake == STALE_FOREVER && stale)
		return 1;
	if (model.mistake == STOPS_SHORT && done < model.got)
		progress = stale;
	return iter->len && progress;
}

static void model_drop_batch(struct iomap_iter *iter)
{
	struct folio_batch *batch = compat_iomap_fbatch(iter);

	if (!(iter->iomap.flags & COMPAT_IOMAP_F_FOLIO_BATCH) || model.mistake == LEAVES_BATCH)
		return;
	while (folio_batch_count(batch))
		folio_put(batch->folios[--batch->nr]);
	folio_batch_init(batch);
}

static int model_finish(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	bool stale = (iter->iomap.flags & IOMAP_F_STALE) && model.mistake != STALE_AFTER_CLEARING;
	ssize_t done = iter->pos - model.start;
	int err, verdict;

	err = model_end(iter, ops, done);
	if (err < 0 && model.mistake != END_ERROR_LOST &&
	    (!done || model.mistake == END_ERROR_AFTER_PROGRESS))
		return err;
	verdict = model_verdict(iter, done, stale);
	model_drop_batch(iter);
	if (model.mistake != LEAVES_STATUS)
		iter->status = 0;
	if (verdict <= 0 && model.mistake == LEAVES_FINISHED)
		return verdict;
	if (verdict > 0 && model.mistake == LEAVES_MAPPINGS)
		return verdict;
	memset(&iter->iomap, 0, sizeof(iter->iomap));
	if (model.mistake != LEAVES_SRCMAP)
		memset(&iter->srcmap, 0, sizeof(iter->srcmap));
	return verdict;
}

static int model_iter(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	u64 length = iter->len;
	int verdict;

	/* A mapping is never empty, so an empty one is none. */
	if (iter->iomap.length) {
		verdict = model_finish(iter, ops);
		if (verdict <= 0)
			return verdict;
		if (model.mistake == BEGIN_WHOLE_LENGTH)
			length = model.asked;
	}
	return model_begin(iter, ops, length);
}

/* --- the kernel, the bodies and the model, two at a time --- */

static u64 first_seed(struct kunit *test)
{
	u64 first = seed ?: get_random_u32();

	kunit_info(test, "seed=%llu\n", first);
	return first;
}

static void expect_equal(struct kunit *test, iomap_iter_fn *one, iomap_iter_fn *other,
			 unsigned int leniency)
{
	struct iomap_compared compared;
	u64 first = first_seed(test);
	int err;

	err = iomap_compare(one, other, leniency, first, SCRIPTS, &compared);
	KUNIT_EXPECT_EQ_MSG(test, err, 0, "seed=%llu: %s differs", compared.seed,
			    compared.what ?: "nothing");
	KUNIT_EXPECT_EQ(test, compared.scripts, SCRIPTS);
	/* The scripts must be such that something happens in them. */
	KUNIT_EXPECT_GT(test, compared.begins, SCRIPTS);
	KUNIT_EXPECT_GT(test, compared.ends, SCRIPTS / 2);
	KUNIT_EXPECT_GT(test, compared.calls, compared.begins);
	if (leniency & IOMAP_REUSE)
		KUNIT_EXPECT_EQ(test, compared.reuses, 0);
	else
		KUNIT_EXPECT_GT(test, compared.reuses, SCRIPTS / 50);
	kunit_info(test, "%u scripts, %lu calls, %lu begins, %lu ends, %lu iterators used again\n",
		   compared.scripts, compared.calls, compared.begins, compared.ends,
		   compared.reuses);
}

static void kernel_and_null(struct kunit *test)
{
	NEEDS_BODIES(test);
	expect_equal(test, iomap_iter, body_null, 0);
}

static void kernel_and_model(struct kunit *test)
{
	expect_equal(test, iomap_iter, model_iter, 0);
}

static void null_and_model(struct kunit *test)
{
	expect_equal(test, body_null, model_iter, 0);
}

static void null_and_new(struct kunit *test)
{
	NEEDS_BODIES(test);
	expect_equal(test, body_null, body_new, NEW_LENIENCY);
}

static void kernel_and_new(struct kunit *test)
{
	NEEDS_BODIES(test);
	expect_equal(test, iomap_iter, body_new, NEW_LENIENCY);
}

static void new_and_model(struct kunit *test)
{
	NEEDS_BODIES(test);
	expect_equal(test, body_new, model_iter, NEW_LENIENCY);
}

/* It is a change, and that can be seen. */
static void new_differs_from_null(struct kunit *test)
{
	struct iomap_compared compared;

	NEEDS_BODIES(test);
	KUNIT_EXPECT_EQ(test, iomap_compare(body_null, body_new, IOMAP_REUSE,
					    1, SCRIPTS, &compared), -EILSEQ);
	KUNIT_EXPECT_STREQ(test, compared.what ?: "", "contents of the mappings");
}

/* The change as upstream made it, in a kernel where an iterator is used again. */
static void plain_backport_and_reuse(struct kunit *test)
{
	struct iomap_compared compared;

	model.mistake = LEAVES_FINISHED;
	KUNIT_EXPECT_EQ(test, iomap_compare(iomap_iter, model_iter, IOMAP_FINISHED, 1, SCRIPTS,
					    &compared), -EILSEQ);
	KUNIT_EXPECT_STREQ(test, compared.what ?: "", "which callbacks are called");
	kunit_info(test, "found by script %u\n", compared.scripts);
	KUNIT_EXPECT_EQ(test, iomap_compare(iomap_iter, model_iter, IOMAP_FINISHED | IOMAP_REUSE,
					    1, SCRIPTS, &compared), 0);
}

/* --- wrong bodies --- */

static const struct mistake_case {
	const char *name;
	enum mistake mistake;
} mistake_cases[] = {
	{ "leaves_finished", LEAVES_FINISHED },
	{ "leaves_mappings", LEAVES_MAPPINGS },
	{ "leaves_srcmap", LEAVES_SRCMAP },
	{ "leaves_status", LEAVES_STATUS },
	{ "leaves_batch", LEAVES_BATCH },
	{ "stale_after_clearing", STALE_AFTER_CLEARING },
	{ "stale_forever", STALE_FOREVER },
	{ "stops_short", STOPS_SHORT },
	{ "goes_on_idle", GOES_ON_IDLE },
	{ "error_after_progress", ERROR_AFTER_PROGRESS },
	{ "end_error_after_progress", END_ERROR_AFTER_PROGRESS },
	{ "end_error_lost", END_ERROR_LOST },
	{ "end_skipped", END_SKIPPED },
	{ "end_nothing_written", END_NOTHING_WRITTEN },
	{ "end_length_left", END_LENGTH_LEFT },
	{ "end_length_of_mapping", END_LENGTH_OF_MAPPING },
	{ "end_length_int", END_LENGTH_INT },
	{ "end_at_position", END_AT_POSITION },
	{ "begin_whole_length", BEGIN_WHOLE_LENGTH },
};

KUNIT_ARRAY_PARAM_DESC(mistake, mistake_cases, name);

/* As lenient as with the new body of a kernel that uses iterators again. */
static void mistake_is_found(struct kunit *test)
{
	const struct mistake_case *wrong = test->param_value;
	struct iomap_compared compared;
	u64 first = first_seed(test);

	model.mistake = wrong->mistake;
	if (model.mistake == LEAVES_BATCH && !COMPAT_IOMAP_F_FOLIO_BATCH)
		kunit_skip(test, "iterators of this kernel have no batch of folios");
	KUNIT_EXPECT_EQ(test, iomap_compare(body_null, model_iter, IOMAP_FINISHED, first,
					    SCRIPTS, &compared), -EILSEQ);
	KUNIT_EXPECT_LT(test, compared.scripts, SCRIPTS / 10);
	kunit_info(test, "%s: script %u: %s\n", wrong->name, compared.scripts,
		   compared.what ?: "not found");
}

/* --- the comparison itself --- */

static void comparison_is_repeatable(struct kunit *test)
{
	struct iomap_compared once, again;

	model.mistake = END_LENGTH_INT;
	KUNIT_EXPECT_EQ(test, iomap_compare(iomap_iter, model_iter, 0, 7, SCRIPTS, &once), -EILSEQ);
	/* The seed that is named is all that is needed to see it again. */
	KUNIT_EXPECT_EQ(test, iomap_compare(iomap_iter, model_iter, 0, once.seed, 1, &again),
			-EILSEQ);
	KUNIT_EXPECT_EQ(test, once.seed, 7 + once.scripts - 1);
	KUNIT_EXPECT_EQ(test, again.seed, once.seed);
	KUNIT_EXPECT_PTR_EQ(test, again.what, once.what);
}

static void comparison_of_no_scripts(struct kunit *test)
{
	struct iomap_compared compared;

	KUNIT_EXPECT_EQ(test, iomap_compare(iomap_iter, model_iter, 0, 1, 0, &compared), 0);
	KUNIT_EXPECT_EQ(test, compared.scripts, 0);
	KUNIT_EXPECT_EQ(test, compared.calls, 0);
}

static int refusing_iter(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	return -EIO;
}

/* Never comes to an end, and calls back more often than can be logged. */
static int endless_iter(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	int i;

	for (i = 0; i < 100; i++)
		model_begin(iter, ops, iter->len);
	return 1;
}

/* What lies around the mappings must not change either. */
static int other_flags_iter(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	int ret = model_iter(iter, ops);

	iter->flags ^= IOMAP_NOWAIT;
	return ret;
}

static int other_private_iter(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	int ret = model_iter(iter, ops);

	iter->private = iter;
	return ret;
}

static void comparison_with_nonsense(struct kunit *test)
{
	struct iomap_compared compared;

	KUNIT_EXPECT_EQ(test, iomap_compare(iomap_iter, other_flags_iter, ~0U, 1, 100, &compared),
			-EILSEQ);
	KUNIT_EXPECT_EQ(test, iomap_compare(iomap_iter, other_private_iter, ~0U, 1, 100, &compared),
			-EILSEQ);
	KUNIT_EXPECT_EQ(test, iomap_compare(iomap_iter, refusing_iter, ~0U, 1, 1, &compared),
			-EILSEQ);
	KUNIT_EXPECT_EQ(test, iomap_compare(refusing_iter, iomap_iter, ~0U, 1, 1, &compared),
			-EILSEQ);
	KUNIT_EXPECT_EQ(test, iomap_compare(iomap_iter, endless_iter, ~0U, 1, 100, &compared),
			-EILSEQ);
	KUNIT_EXPECT_EQ(test, iomap_compare(endless_iter, iomap_iter, ~0U, 1, 100, &compared),
			-EILSEQ);
}

/* --- which form has a function? --- */

static void form_of_kernel_and_bodies(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, iomap_form_of(iomap_iter), IOMAP_FORM_CLEARS);
	KUNIT_EXPECT_EQ(test, iomap_form_of(body_null), IOMAP_FORM_CLEARS);
	if (HAS_BODIES)
		KUNIT_EXPECT_EQ(test, iomap_form_of(body_new), IOMAP_FORM_LEAVES);
}

static void form_of_model(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, iomap_form_of(model_iter), IOMAP_FORM_CLEARS);
	model.mistake = LEAVES_FINISHED;
	KUNIT_EXPECT_EQ(test, iomap_form_of(model_iter), IOMAP_FORM_LEAVES);
}

/* Each is wrong in one thing that the form depends on. */

static int half_iter(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	int ret = model_iter(iter, ops);

	iter->iomap.length /= 2;
	return ret;
}

static int more_iter(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	int ret = model_iter(iter, ops);

	if (!ret)
		iter->len = 1;
	return ret;
}

static int silent_iter(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	if (!iter->iomap.length)
		return model_iter(iter, ops);
	iter->len = 0;
	return 0;
}

static int beginning_iter(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	if (!iter->iomap.length)
		return model_iter(iter, ops);
	ops->iomap_begin(iter->inode, iter->pos, SZ_4K, iter->flags, &iter->iomap, &iter->srcmap);
	iter->len = 0;
	return 0;
}

static int spoiling_iter(struct iomap_iter *iter, const struct iomap_ops *ops)
{
	int ret = model_iter(iter, ops);

	if (!ret)
		iter->srcmap.length = 1;
	return ret;
}

static void form_of_nonsense(struct kunit *test)
{
	static iomap_iter_fn * const wrong[] = {
		half_iter, more_iter, silent_iter, beginning_iter, spoiling_iter,
	};
	int i;

	for (i = 0; i < 2 * ARRAY_SIZE(wrong); i++) {
		model = (struct model){ .mistake = i & 1 ? LEAVES_FINISHED : 0 };
		KUNIT_EXPECT_EQ_MSG(test, iomap_form_of(wrong[i / 2]), IOMAP_FORM_UNKNOWN, "%ps",
				    wrong[i / 2]);
	}
	model = (struct model){};
	KUNIT_EXPECT_EQ(test, iomap_form_of(refusing_iter), IOMAP_FORM_UNKNOWN);
	KUNIT_EXPECT_EQ(test, iomap_form_of(endless_iter), IOMAP_FORM_UNKNOWN);
	model.mistake = LEAVES_SRCMAP;
	KUNIT_EXPECT_EQ(test, iomap_form_of(model_iter), IOMAP_FORM_UNKNOWN);
	/* A mistake that has nothing to do with the question. */
	model.mistake = GOES_ON_IDLE;
	KUNIT_EXPECT_EQ(test, iomap_form_of(model_iter), IOMAP_FORM_CLEARS);
}

/* --- tracepoints --- */

/* What probes on them see, as one number each; pointers and caller included. */
struct traced {
	u64 iter;
	u64 dstmap;
	u64 srcmap;
	unsigned long events;
};

static u64 mixed(u64 so_far, const void *data, size_t size)
{
	const u8 *byte = data;

	for (; size; size--, byte++)
		so_far = (so_far ^ *byte) * 0x100000001b3;
	return so_far;
}

static void traced_iter(void *data, struct iomap_iter *iter, const void *ops, unsigned long caller)
{
	struct traced *traced = data;

	/* Not the inode: each comparison has one of its own. */
	traced->iter = mixed(traced->iter, &iter->pos, offsetofend(struct iomap_iter, srcmap) -
			     offsetof(struct iomap_iter, pos));
	traced->iter = mixed(traced->iter, &ops, sizeof(ops));
	traced->iter = mixed(traced->iter, &caller, sizeof(caller));
	traced->events++;
}

static void traced_dstmap(void *data, struct inode *inode, struct iomap *iomap)
{
	struct traced *traced = data;

	traced->dstmap = mixed(traced->dstmap, iomap, sizeof(*iomap));
	traced->events++;
}

static void traced_srcmap(void *data, struct inode *inode, struct iomap *iomap)
{
	struct traced *traced = data;

	traced->srcmap = mixed(traced->srcmap, iomap, sizeof(*iomap));
	traced->events++;
}

static void trace_scripts(struct kunit *test, iomap_iter_fn *fn, struct traced *traced)
{
	struct iomap_compared compared;

	memset(traced, 0, sizeof(*traced));
	KUNIT_ASSERT_EQ(test, register_trace_iomap_iter(traced_iter, traced), 0);
	KUNIT_ASSERT_EQ(test, register_trace_iomap_iter_dstmap(traced_dstmap, traced), 0);
	KUNIT_ASSERT_EQ(test, register_trace_iomap_iter_srcmap(traced_srcmap, traced), 0);
	/* With itself: what matters is what it shows on the way. */
	KUNIT_EXPECT_EQ(test, iomap_compare(fn, fn, NEW_LENIENCY, 1, SCRIPTS / 10, &compared), 0);
	unregister_trace_iomap_iter(traced_iter, traced);
	unregister_trace_iomap_iter_dstmap(traced_dstmap, traced);
	unregister_trace_iomap_iter_srcmap(traced_srcmap, traced);
	tracepoint_synchronize_unregister();
	KUNIT_EXPECT_GT(test, traced->events, 2 * compared.begins);
}

static void tracepoints_show_the_same(struct kunit *test)
{
	struct traced kernel, null, new;

	NEEDS_BODIES(test);
	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "this kernel has no tracepoints");
	trace_scripts(test, iomap_iter, &kernel);
	trace_scripts(test, body_null, &null);
	trace_scripts(test, body_new, &new);
	kunit_info(test, "%lu events\n", kernel.events);
	KUNIT_EXPECT_MEMEQ(test, &kernel, &null, sizeof(kernel));
	KUNIT_EXPECT_MEMEQ(test, &kernel, &new, sizeof(kernel));
}

/* --- counting --- */

static void calls_are_counted(struct kunit *test)
{
	struct uplift_count sum[UPLIFT_IOMAP_ARMS] = {};
	struct iomap_compared compared;
	int arm, cpu;

	NEEDS_BODIES(test);
	for_each_possible_cpu(cpu)
		memset(per_cpu_ptr(&uplift_iomap_count, cpu), 0, sizeof(sum));
	KUNIT_EXPECT_EQ(test, iomap_compare(body_null, body_new, NEW_LENIENCY, 1,
					    100, &compared), 0);
	for_each_possible_cpu(cpu)
		for (arm = 0; arm < UPLIFT_IOMAP_ARMS; arm++) {
			sum[arm].entered += per_cpu(uplift_iomap_count, cpu)[arm].entered;
			sum[arm].left += per_cpu(uplift_iomap_count, cpu)[arm].left;
		}
	for (arm = 0; arm < UPLIFT_IOMAP_ARMS; arm++) {
		bool ran = arm == UPLIFT_ARM_NULL || arm == UPLIFT_ARM_NEW;

		KUNIT_EXPECT_EQ(test, sum[arm].entered, ran ? compared.calls : 0);
		KUNIT_EXPECT_EQ(test, sum[arm].left, ran ? compared.calls : 0);
	}
}

static int iomap_suite_init(struct kunit_suite *suite)
{
	return bodies_bind();
}

static int iomap_init(struct kunit *test)
{
	model = (struct model){};
	return 0;
}

static struct kunit_case iomap_cases[] = {
	KUNIT_CASE(kernel_and_null),
	KUNIT_CASE(kernel_and_model),
	KUNIT_CASE(kernel_and_new),
	KUNIT_CASE(null_and_model),
	KUNIT_CASE(null_and_new),
	KUNIT_CASE(new_and_model),
	KUNIT_CASE(new_differs_from_null),
	KUNIT_CASE(plain_backport_and_reuse),
	KUNIT_CASE_PARAM(mistake_is_found, mistake_gen_params),
	KUNIT_CASE(comparison_is_repeatable),
	KUNIT_CASE(comparison_of_no_scripts),
	KUNIT_CASE(comparison_with_nonsense),
	KUNIT_CASE(form_of_kernel_and_bodies),
	KUNIT_CASE(form_of_model),
	KUNIT_CASE(form_of_nonsense),
	KUNIT_CASE(tracepoints_show_the_same),
	KUNIT_CASE(calls_are_counted),
	{}
};

static struct kunit_suite iomap_suite = {
	.name = "uplift_iomap",
	.suite_init = iomap_suite_init,
	.init = iomap_init,
	.test_cases = iomap_cases,
};

kunit_test_suite(iomap_suite);

MODULE_DESCRIPTION("KUnit tests of the iomap change");
MODULE_LICENSE("GPL");
