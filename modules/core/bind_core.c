// SPDX-License-Identifier: GPL-2.0
/*
 * References of bodies to the kernel: what has to be written where. Pure logic:
 * nothing is written and nothing is looked up.
 */
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/string.h>

#include "bind.h"

/**
 * uplift_bodies_check - do tables make sense?
 * @bodies: the tables
 *
 * Context: any.
 * Return: 0, or -ENOEXEC if something in them is unknown or out of range.
 */
int uplift_bodies_check(const struct uplift_bodies *bodies)
{
	const struct uplift_symbol *symbol;
	const struct uplift_fix *fix;
	u32 i;

	for (i = 0; i < bodies->nr_symbols; i++) {
		symbol = &bodies->symbols[i];
		if (symbol->origin >= UPLIFT_SYMBOL_ORIGINS || (symbol->name && !*symbol->name))
			return -ENOEXEC;
		if (symbol->origin == UPLIFT_SYMBOL_BY_NAME && !symbol->name)
			return -ENOEXEC;
		if (symbol->origin == UPLIFT_SYMBOL_IN_MODULE &&
		    (!symbol->name || !strchr(symbol->name, ':')))
			return -ENOEXEC;
	}
	for (i = 0; i < bodies->nr_fixes; i++) {
		fix = &bodies->fixes[i];
		if (fix->kind >= UPLIFT_FIX_KINDS || fix->origin >= UPLIFT_FIX_ORIGINS ||
		    fix->symbol >= bodies->nr_symbols)
			return -ENOEXEC;
	}
	return 0;
}

/**
 * uplift_fix_place - where a reference is to be written
 * @bodies: the tables that it is in
 * @fix: the reference
 *
 * Context: any.
 * Return: the address.
 */
unsigned long uplift_fix_place(const struct uplift_bodies *bodies, const struct uplift_fix *fix)
{
	const u8 *origin = fix->origin == UPLIFT_FIX_FROM_TEXT ? bodies->text : (const u8 *)fix;

	return (unsigned long)origin + (long)fix->place;
}

/**
 * uplift_fix_size - how many bytes a reference has
 * @fix: the reference
 *
 * Context: any.
 * Return: 1, 4 or 8.
 */
unsigned int uplift_fix_size(const struct uplift_fix *fix)
{
	switch (fix->kind) {
	case UPLIFT_FIX_64:
	case UPLIFT_FIX_PC64:
	case UPLIFT_FIX_POINTER:
		return 8;
	case UPLIFT_FIX_SHIFT:
		return 1;
	default:
		return 4;
	}
}

/* A field of an instruction of arm64. */
static void a64_field(u64 *insn, unsigned int low, unsigned int width, u64 value)
{
	u32 mask = GENMASK(width - 1, 0) << low;

	*insn = (*insn & ~mask) | ((value << low) & mask);
}

static int a64_adrp(u64 place, u64 address, u64 *insn)
{
	s64 pages = (s64)(address & ~0xfffULL) - (s64)(place & ~0xfffULL);

	pages /= 4096;
	if (pages < -(1 << 20) || pages >= 1 << 20)
		return -ERANGE;
	a64_field(insn, 29, 2, pages);
	a64_field(insn, 5, 19, pages >> 2);
	return 0;
}

/* The place in the page is counted in what is accessed: 1 << @scale bytes. */
static int a64_lo12(unsigned int scale, u64 address, u64 *insn)
{
	u64 offset = address & 0xfff;

	if (offset & ((1 << scale) - 1))
		return -ERANGE;
	a64_field(insn, 10, 12, offset >> scale);
	return 0;
}

static int a64_branch(s64 distance, u64 *insn)
{
	if (distance & 3)
		return -ERANGE;
	if (distance >= -(1 << 27) && distance < 1 << 27)
		a64_field(insn, 0, 26, distance >> 2);
	return 0;
}

/**
 * uplift_fix_value - what is to be written for a reference
 * @fix: the reference
 * @place: where it is to be written
 * @symbol: the address of its symbol; of a constant of the boot, where that is
 * @value: what is there, if that is an instruction of arm64; set to the value,
 *	of which uplift_fix_size() bytes count
 *
 * Context: any; reads at @symbol for constants of the boot.
 * Return: 0, or -ERANGE if the value does not fit.
 */
int uplift_fix_value(const struct uplift_fix *fix, unsigned long place, unsigned long symbol,
		     u64 *value)
{
	u64 address = (u64)symbol + fix->addend, distance = address - place;

	switch (fix->kind) {
	case UPLIFT_FIX_64:
		*value = address;
		return 0;
	case UPLIFT_FIX_PC64:
		*value = distance;
		return 0;
	case UPLIFT_FIX_32S:
		*value = address;
		return (s64)address == (s32)address ? 0 : -ERANGE;
	case UPLIFT_FIX_32:
		*value = address;
		return address == (u32)address ? 0 : -ERANGE;
	case UPLIFT_FIX_PC32:
		*value = distance;
		return (s64)distance == (s32)distance ? 0 : -ERANGE;
	case UPLIFT_FIX_POINTER:
		*value = *(const u64 *)symbol;
		return 0;
	case UPLIFT_FIX_SHIFT:
		*value = *(const u8 *)symbol;
		return *value < 64 ? 0 : -ERANGE;
	case UPLIFT_FIX_ADRP:
		return a64_adrp(place, address, value);
	case UPLIFT_FIX_LO12:
	case UPLIFT_FIX_LO12_2:
	case UPLIFT_FIX_LO12_4:
	case UPLIFT_FIX_LO12_8:
	case UPLIFT_FIX_LO12_16:
		return a64_lo12(fix->kind - UPLIFT_FIX_LO12, address, value);
	case UPLIFT_FIX_BRANCH:
		return a64_branch(distance, value);
	}
	return -ERANGE;
}

struct note {
	u32 name_size;
	u32 desc_size;
	u32 type;
};

#define NOTE_BUILD_ID	3

/**
 * uplift_build_id - find the build id in ELF notes
 * @notes: the notes
 * @size: their length, bytes
 * @length: set to the build id's length
 *
 * Context: any.
 * Return: the build id; NULL if there is none.
 */
const u8 *uplift_build_id(const void *notes, size_t size, size_t *length)
{
	const struct note *note;
	size_t at, name, desc;

	for (at = 0; size - at >= sizeof(*note); at = desc + ALIGN((size_t)note->desc_size, 4)) {
		note = notes + at;
		name = at + sizeof(*note);
		desc = name + ALIGN((size_t)note->name_size, 4);
		if (desc > size || note->desc_size > size - desc)
			break;
		if (note->type == NOTE_BUILD_ID && note->name_size == 4 &&
		    !memcmp(notes + name, "GNU", 4)) {
			*length = note->desc_size;
			return notes + desc;
		}
		if (ALIGN((size_t)note->desc_size, 4) > size - desc)
			break;
	}
	return NULL;
}

/* Elf64_Nhdr, the owner, and what follows it. */
struct build_id_note {
	u32 owner_size, size, type;
	char owner[4];
	u8 build_id[UPLIFT_BUILD_ID_SIZE];
};

/**
 * uplift_find_note - find the note with a build id
 * @data: where to look, aligned as notes are, to 4 bytes
 * @size: bytes
 * @build_id: the build id
 *
 * Context: any.
 * Return: the note; NULL if there is none with this build id.
 */
const void *uplift_find_note(const void *data, size_t size, const u8 *build_id)
{
	struct build_id_note wanted = {
		.owner_size = sizeof(wanted.owner), .size = UPLIFT_BUILD_ID_SIZE,
		.type = NOTE_BUILD_ID, .owner = "GNU",
	};
	size_t at;

	memcpy(wanted.build_id, build_id, sizeof(wanted.build_id));
	for (at = 0; at + sizeof(wanted) <= size; at += sizeof(u32))
		if (!memcmp(data + at, &wanted, sizeof(wanted)))
			return data + at;
	return NULL;
}
