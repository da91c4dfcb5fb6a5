// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of modules/core/bind_core.c: what references of bodies are written
 * as, on tables that are made up.
 */
#if !IS_ENABLED(CONFIG_KUNIT)
#error "this kernel has CONFIG_KUNIT off: the suite would load there and run nothing"
#endif

#include <kunit/test.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/string.h>

#include "../modules/core/bind.h"

static const struct uplift_symbol symbols[] = {
	{ .name = "first", .value = 0x1000, .origin = UPLIFT_SYMBOL_IN_IMAGE },
	{ .name = NULL, .value = 0x2000, .origin = UPLIFT_SYMBOL_IN_IMAGE },
	{ .name = "offset", .value = 0x40, .origin = UPLIFT_SYMBOL_ABSOLUTE },
	{ .name = "pond:look", .value = -8, .origin = UPLIFT_SYMBOL_IN_MODULE },
};

static struct uplift_bodies tables(const struct uplift_fix *fixes, u32 count)
{
	return (struct uplift_bodies) {
		.symbols = symbols, .nr_symbols = ARRAY_SIZE(symbols),
		.fixes = fixes, .nr_fixes = count,
	};
}

static int check_one(struct uplift_fix fix)
{
	struct uplift_bodies bodies = tables(&fix, 1);

	return uplift_bodies_check(&bodies);
}

static void tables_that_make_sense(struct kunit *test)
{
	struct uplift_bodies none = tables(NULL, 0);
	int kind, origin;
	u32 symbol;

	KUNIT_EXPECT_EQ(test, uplift_bodies_check(&none), 0);
	for (kind = 0; kind < UPLIFT_FIX_KINDS; kind++)
		for (origin = 0; origin < UPLIFT_FIX_ORIGINS; origin++)
			for (symbol = 0; symbol < ARRAY_SIZE(symbols); symbol++)
				KUNIT_EXPECT_EQ(test, check_one((struct uplift_fix) {
					.kind = kind, .origin = origin, .symbol = symbol }), 0);
}

static void tables_that_do_not(struct kunit *test)
{
	static const struct uplift_symbol odd_origin = { .origin = UPLIFT_SYMBOL_ORIGINS };
	static const struct uplift_symbol no_letter = { .name = "" };
	static const struct uplift_symbol no_module = {
		.name = "look", .origin = UPLIFT_SYMBOL_IN_MODULE };
	static const struct uplift_symbol nothing = { .origin = UPLIFT_SYMBOL_IN_MODULE };
	static const struct uplift_symbol nameless = { .origin = UPLIFT_SYMBOL_BY_NAME };
	struct uplift_bodies bodies = { .symbols = &odd_origin, .nr_symbols = 1 };

	KUNIT_EXPECT_EQ(test, uplift_bodies_check(&bodies), -ENOEXEC);
	bodies.symbols = &no_letter;
	KUNIT_EXPECT_EQ(test, uplift_bodies_check(&bodies), -ENOEXEC);
	bodies.symbols = &no_module;
	KUNIT_EXPECT_EQ(test, uplift_bodies_check(&bodies), -ENOEXEC);
	bodies.symbols = &nothing;
	KUNIT_EXPECT_EQ(test, uplift_bodies_check(&bodies), -ENOEXEC);
	bodies.symbols = &nameless;
	KUNIT_EXPECT_EQ(test, uplift_bodies_check(&bodies), -ENOEXEC);
	KUNIT_EXPECT_EQ(test, check_one((struct uplift_fix) { .kind = UPLIFT_FIX_KINDS }),
			-ENOEXEC);
	KUNIT_EXPECT_EQ(test, check_one((struct uplift_fix) { .origin = UPLIFT_FIX_ORIGINS }),
			-ENOEXEC);
	KUNIT_EXPECT_EQ(test, check_one((struct uplift_fix) { .symbol = ARRAY_SIZE(symbols) }),
			-ENOEXEC);
	KUNIT_EXPECT_EQ(test, check_one((struct uplift_fix) { .symbol = U32_MAX }), -ENOEXEC);
}

/* A bad entry behind many good ones. */
static void the_last_fix_is_looked_at(struct kunit *test)
{
	struct uplift_fix fixes[64] = {};
	struct uplift_bodies bodies = tables(fixes, ARRAY_SIZE(fixes));

	KUNIT_EXPECT_EQ(test, uplift_bodies_check(&bodies), 0);
	fixes[63].kind = U8_MAX;
	KUNIT_EXPECT_EQ(test, uplift_bodies_check(&bodies), -ENOEXEC);
	bodies.nr_fixes = 63;
	KUNIT_EXPECT_EQ(test, uplift_bodies_check(&bodies), 0);
}

static void places_from_text_and_from_here(struct kunit *test)
{
	static const u8 text[64];
	struct uplift_bodies bodies = { .text = text };
	struct uplift_fix fix = { .place = 24, .origin = UPLIFT_FIX_FROM_TEXT };

	KUNIT_EXPECT_EQ(test, uplift_fix_place(&bodies, &fix), (unsigned long)text + 24);
	fix.place = -16;
	KUNIT_EXPECT_EQ(test, uplift_fix_place(&bodies, &fix), (unsigned long)text - 16);
	fix.origin = UPLIFT_FIX_FROM_HERE;
	KUNIT_EXPECT_EQ(test, uplift_fix_place(&bodies, &fix), (unsigned long)&fix - 16);
	fix.place = 4096;
	KUNIT_EXPECT_EQ(test, uplift_fix_place(&bodies, &fix), (unsigned long)&fix + 4096);
}

#define IMAGE	0xffffffff81000000UL
#define MODULE	0xffffffffc0400000UL

struct written {
	u8 kind;
	unsigned long symbol;
	s64 addend;
	unsigned long place;
	int err;
	unsigned int size;
	u64 value;
};

/* As the ELF specification of x86-64 has S + A and S + A - P. */
static const struct written written[] = {
	{ UPLIFT_FIX_64, IMAGE, 8, MODULE, 0, 8, 0xffffffff81000008 },
	{ UPLIFT_FIX_64, 0x40, -0x80, MODULE, 0, 8, 0xffffffffffffffc0 },
	{ UPLIFT_FIX_PC64, IMAGE, -4, MODULE, 0, 8, 0xffffffffc0bffffc },
	{ UPLIFT_FIX_32S, IMAGE, 0x10, MODULE, 0, 4, 0xffffffff81000010 },
	{ UPLIFT_FIX_32S, 0x7fffffff, 0, MODULE, 0, 4, 0x7fffffff },
	{ UPLIFT_FIX_32S, 0x7fffffff, 1, MODULE, -ERANGE, 4, 0x80000000 },
	{ UPLIFT_FIX_32S, 0xffffffff80000000, -1, MODULE, -ERANGE, 4, 0xffffffff7fffffff },
	{ UPLIFT_FIX_32, 0xfffffffe, 1, MODULE, 0, 4, 0xffffffff },
	{ UPLIFT_FIX_32, 0xffffffff, 1, MODULE, -ERANGE, 4, 0x100000000 },
	{ UPLIFT_FIX_32, IMAGE, 0, MODULE, -ERANGE, 4, IMAGE },
	{ UPLIFT_FIX_PC32, IMAGE, -4, MODULE, 0, 4, 0xffffffffc0bffffc },
	{ UPLIFT_FIX_PC32, MODULE, 0, IMAGE, 0, 4, 0x3f400000 },
	{ UPLIFT_FIX_PC32, MODULE, -4, MODULE + 0x1000, 0, 4, -0x1004ULL },
	{ UPLIFT_FIX_PC32, MODULE + 0x80000000, -1, MODULE, 0, 4, 0x7fffffff },
	{ UPLIFT_FIX_PC32, MODULE + 0x80000000, 0, MODULE, -ERANGE, 4, 0x80000000 },
	{ UPLIFT_FIX_PC32, 0x100, 0, 0xffffffff80000100, -ERANGE, 4, 0x80000000 },
	{ UPLIFT_FIX_PC32, 0x100, 0, 0xffffffff80000101, 0, 4, 0x7fffffff },
};

static void values_of_references(struct kunit *test)
{
	size_t i;

	if (!IS_ENABLED(CONFIG_64BIT))
		kunit_skip(test, "addresses here have 32 bits");
	for (i = 0; i < ARRAY_SIZE(written); i++) {
		struct uplift_fix fix = { .kind = written[i].kind, .addend = written[i].addend };
		u64 value = 0;

		KUNIT_EXPECT_EQ_MSG(test, uplift_fix_value(&fix, written[i].place,
							   written[i].symbol, &value),
				    written[i].err, "row %zu", i);
		KUNIT_EXPECT_EQ_MSG(test, value, written[i].value, "row %zu", i);
		KUNIT_EXPECT_EQ_MSG(test, uplift_fix_size(&fix), written[i].size, "row %zu", i);
	}
}

#define A64_IMAGE	0xffff800080000000UL
#define A64_MODULE	0xffff80007af24000UL

/* What is there before, and what comes of it. */
struct instruction {
	u8 kind;
	unsigned long symbol;
	s64 addend;
	unsigned long place;
	int err;
	u32 before;
	u32 after;
};

/* As the assembler writes them: Arm ARM, C6.2. */
static const struct instruction instructions[] = {
	/* adrp x3, the page behind, in front, as far as it goes, and too far */
	{ UPLIFT_FIX_ADRP, 0x5123, 0, 0x4ffc, 0, 0x90000003, 0xb0000003 },
	{ UPLIFT_FIX_ADRP, 0x4000, -1, 0x4ffc, 0, 0x90000003, 0xf0ffffe3 },
	{ UPLIFT_FIX_ADRP, A64_IMAGE, 0x10, A64_MODULE, 0, 0x90000010, 0x900286f0 },
	{ UPLIFT_FIX_ADRP, 0x100001000, 0, 0x1000, -ERANGE, 0x90000003, 0x90000003 },
	{ UPLIFT_FIX_ADRP, 0xfffff000, 0, 0, 0, 0x90000003, 0xf07fffe3 },
	/* add x1, x2, #:lo12:; ldrb, ldrh, ldr of 4, 8 and 16 bytes */
	{ UPLIFT_FIX_LO12, A64_IMAGE, 0x12c, A64_MODULE, 0, 0x91000041, 0x9104b041 },
	{ UPLIFT_FIX_LO12, A64_IMAGE, 0xfff, A64_MODULE, 0, 0x39400041, 0x397ffc41 },
	{ UPLIFT_FIX_LO12_2, A64_IMAGE, 0x12c, A64_MODULE, 0, 0x79400041, 0x79425841 },
	{ UPLIFT_FIX_LO12_4, A64_IMAGE, 0x12c, A64_MODULE, 0, 0xb9400041, 0xb9412c41 },
	{ UPLIFT_FIX_LO12_8, A64_IMAGE, 0x128, A64_MODULE, 0, 0xf9400041, 0xf9409441 },
	{ UPLIFT_FIX_LO12_16, A64_IMAGE, 0x120, A64_MODULE, 0, 0x3dc00041, 0x3dc04841 },
	{ UPLIFT_FIX_LO12_8, A64_IMAGE, 0x12c, A64_MODULE, -ERANGE, 0xf9400041, 0xf9400041 },
	/* bl and b: near; out of reach they lead to their veneer as before */
	{ UPLIFT_FIX_BRANCH, 0xb88, 0, 0x1558, 0, 0x94000000, 0x97fffd8c },
	{ UPLIFT_FIX_BRANCH, A64_IMAGE, 0, A64_MODULE, 0, 0x94000002, 0x95437000 },
	{ UPLIFT_FIX_BRANCH, 0x8000000, 0, 0, 0, 0x14000007, 0x14000007 },
	{ UPLIFT_FIX_BRANCH, 0x7fffffc, 0, 0, 0, 0x14000007, 0x15ffffff },
	{ UPLIFT_FIX_BRANCH, 0x1002, 0, 0, -ERANGE, 0x14000007, 0x14000007 },
};

static void instructions_that_refer(struct kunit *test)
{
	size_t i;

	if (!IS_ENABLED(CONFIG_64BIT))
		kunit_skip(test, "addresses here have 32 bits");
	for (i = 0; i < ARRAY_SIZE(instructions); i++) {
		const struct instruction *row = &instructions[i];
		struct uplift_fix fix = { .kind = row->kind, .addend = row->addend };
		u64 value = row->before;

		KUNIT_EXPECT_EQ_MSG(test, uplift_fix_value(&fix, row->place, row->symbol, &value),
				    row->err, "row %zu", i);
		KUNIT_EXPECT_EQ_MSG(test, value, row->after, "row %zu", i);
		KUNIT_EXPECT_EQ_MSG(test, uplift_fix_size(&fix), 4, "row %zu", i);
	}
}

static void constants_of_the_boot(struct kunit *test)
{
	static const u64 pointer = 0x123456789abcdef0;
	static u8 shift[2] = { 63, 0xff };
	struct uplift_fix fix = { .kind = UPLIFT_FIX_POINTER };
	u64 value;

	KUNIT_EXPECT_EQ(test, uplift_fix_value(&fix, 0, (unsigned long)&pointer, &value), 0);
	KUNIT_EXPECT_EQ(test, value, pointer);
	KUNIT_EXPECT_EQ(test, uplift_fix_size(&fix), 8);
	fix.kind = UPLIFT_FIX_SHIFT;
	KUNIT_EXPECT_EQ(test, uplift_fix_value(&fix, 0, (unsigned long)shift, &value), 0);
	KUNIT_EXPECT_EQ(test, value, 63);
	KUNIT_EXPECT_EQ(test, uplift_fix_size(&fix), 1);
	shift[0] = 64;
	KUNIT_EXPECT_EQ(test, uplift_fix_value(&fix, 0, (unsigned long)shift, &value), -ERANGE);
}

/* A note of @type by @owner, its description of @size bytes that count from 1. */
static size_t note_add(u8 *notes, size_t at, u32 type, const char *owner, u32 size)
{
	u32 head[3] = { strlen(owner) + 1, size, type }, i;

	memcpy(notes + at, head, sizeof(head));
	at += sizeof(head);
	memset(notes + at, 0, ALIGN(head[0], 4));
	memcpy(notes + at, owner, head[0]);
	at += ALIGN(head[0], 4);
	for (i = 0; i < ALIGN(size, 4); i++)
		notes[at + i] = i < size ? i + 1 : 0;
	return at + ALIGN(size, 4);
}

static void build_id_among_notes(struct kunit *test)
{
	u8 *notes = kunit_kzalloc(test, 512, GFP_KERNEL);
	size_t size, id, length = 0;
	const u8 *found;

	KUNIT_ASSERT_NOT_NULL(test, notes);
	KUNIT_EXPECT_NULL(test, uplift_build_id(notes, 0, &length));
	size = note_add(notes, 0, 6, "Xen", 5);
	size = note_add(notes, size, 3, "Go", 20);
	size = note_add(notes, size, 1, "GNU", 7);
	KUNIT_EXPECT_NULL(test, uplift_build_id(notes, size, &length));
	id = size;
	size = note_add(notes, size, 3, "GNU", 20);
	size = note_add(notes, size, 3, "GNU", 8);
	found = uplift_build_id(notes, size, &length);
	KUNIT_EXPECT_PTR_EQ(test, found, (const u8 *)notes + id + 16);
	KUNIT_EXPECT_EQ(test, length, 20);
}

/* Whatever the lengths in a note say, nothing behind the notes is looked at. */
static void build_id_of_notes_that_are_cut_off(struct kunit *test)
{
	size_t size, length = 0, cut;
	u8 notes[64];
	u32 odd;

	size = note_add(notes, 0, 3, "GNU", 20);
	for (cut = 0; cut < size; cut++) {
		u8 *part = kunit_kmalloc(test, cut ?: 1, GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, part);
		memcpy(part, notes, cut);
		KUNIT_EXPECT_NULL_MSG(test, uplift_build_id(part, cut, &length), "%zu bytes", cut);
	}
	for (odd = 0; odd < 2; odd++) {
		size = note_add(notes, 0, 3, "GNU", 20);
		memset(notes + 4 * odd, 0xff, 4);
		KUNIT_EXPECT_NULL(test, uplift_build_id(notes, size, &length));
	}
}

/* Wherever it is: the note itself, not what looks like it. */
static void note_of_a_build_id(struct kunit *test)
{
	size_t size = 512, at, length;
	u8 *data = kunit_kzalloc(test, size, GFP_KERNEL);
	u8 build_id[UPLIFT_BUILD_ID_SIZE], other[UPLIFT_BUILD_ID_SIZE];
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, data);
	for (i = 0; i < sizeof(build_id); i++)
		build_id[i] = i + 1;
	memcpy(other, build_id, sizeof(other));
	other[19] ^= 1;
	KUNIT_EXPECT_NULL(test, uplift_find_note(data, size, build_id));
	for (at = 0; at + 36 <= size; at += 4) {
		memset(data, 0xff, size);
		length = note_add(data, at, 3, "GNU", UPLIFT_BUILD_ID_SIZE) - at;
		KUNIT_ASSERT_EQ(test, length, 36);
		KUNIT_EXPECT_PTR_EQ(test, uplift_find_note(data, size, build_id),
				    (const void *)data + at);
		KUNIT_EXPECT_NULL(test, uplift_find_note(data, size, other));
		KUNIT_EXPECT_NULL(test, uplift_find_note(data, at + 35, build_id));
	}
	note_add(data, 0, 1, "GNU", UPLIFT_BUILD_ID_SIZE);
	KUNIT_EXPECT_NULL(test, uplift_find_note(data, 36, build_id));
	note_add(data, 0, 3, "GNX", UPLIFT_BUILD_ID_SIZE);
	KUNIT_EXPECT_NULL(test, uplift_find_note(data, 36, build_id));
}

static struct kunit_case bind_cases[] = {
	KUNIT_CASE(tables_that_make_sense),
	KUNIT_CASE(tables_that_do_not),
	KUNIT_CASE(the_last_fix_is_looked_at),
	KUNIT_CASE(places_from_text_and_from_here),
	KUNIT_CASE(values_of_references),
	KUNIT_CASE(instructions_that_refer),
	KUNIT_CASE(constants_of_the_boot),
	KUNIT_CASE(build_id_among_notes),
	KUNIT_CASE(build_id_of_notes_that_are_cut_off),
	KUNIT_CASE(note_of_a_build_id),
	{}
};

static struct kunit_suite bind_suite = {
	.name = "uplift_bind",
	.test_cases = bind_cases,
};

kunit_test_suite(bind_suite);

MODULE_DESCRIPTION("KUnit tests of uplift's binding of bodies");
MODULE_LICENSE("GPL");
