/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bodies made of object code: what they refer to in the kernel is in tables,
 * which are applied when the module that has them is loaded. The generator
 * (scripts/upliftlib/generator/objectbody.py) writes them as they are here.
 */
#ifndef _UPLIFT_BIND_H
#define _UPLIFT_BIND_H

#include <linux/types.h>

/**
 * enum uplift_fix_kind - how a reference is written
 * @UPLIFT_FIX_64: the address, 8 bytes
 * @UPLIFT_FIX_PC64: its distance from the place, 8 bytes
 * @UPLIFT_FIX_32S: the address, 4 bytes that are extended with their sign
 * @UPLIFT_FIX_32: the address, 4 bytes that are extended with zeros
 * @UPLIFT_FIX_PC32: its distance from the place, 4 bytes
 * @UPLIFT_FIX_POINTER: the 8 bytes that are at the address: a constant that the
 *	kernel has written into its own code at boot
 * @UPLIFT_FIX_SHIFT: the byte that is at the address, likewise
 * @UPLIFT_FIX_ADRP: arm64: the distance of the address's page from the place's,
 *	in an adrp instruction
 * @UPLIFT_FIX_LO12: arm64: the address's place in its page, in an instruction
 *	that adds it or that accesses single bytes there
 * @UPLIFT_FIX_LO12_2: the same where two bytes are accessed
 * @UPLIFT_FIX_LO12_4: four
 * @UPLIFT_FIX_LO12_8: eight
 * @UPLIFT_FIX_LO12_16: sixteen
 * @UPLIFT_FIX_BRANCH: arm64: the distance, in a branch or call, which leads to a
 *	veneer until then: what is out of reach is left so
 * @UPLIFT_FIX_KINDS: how many there are
 */
enum uplift_fix_kind {
	UPLIFT_FIX_64,
	UPLIFT_FIX_PC64,
	UPLIFT_FIX_32S,
	UPLIFT_FIX_32,
	UPLIFT_FIX_PC32,
	UPLIFT_FIX_POINTER,
	UPLIFT_FIX_SHIFT,
	UPLIFT_FIX_ADRP,
	UPLIFT_FIX_LO12,
	UPLIFT_FIX_LO12_2,
	UPLIFT_FIX_LO12_4,
	UPLIFT_FIX_LO12_8,
	UPLIFT_FIX_LO12_16,
	UPLIFT_FIX_BRANCH,
	UPLIFT_FIX_KINDS,
};

/**
 * enum uplift_fix_origin - what a fix's place is counted from
 * @UPLIFT_FIX_FROM_TEXT: the first byte of the bodies' text
 * @UPLIFT_FIX_FROM_HERE: the fix itself
 * @UPLIFT_FIX_ORIGINS: how many there are
 */
enum uplift_fix_origin {
	UPLIFT_FIX_FROM_TEXT,
	UPLIFT_FIX_FROM_HERE,
	UPLIFT_FIX_ORIGINS,
};

/**
 * enum uplift_symbol_origin - what a symbol's value is counted from
 * @UPLIFT_SYMBOL_IN_IMAGE: _text, wherever the kernel has been moved to
 * @UPLIFT_SYMBOL_ABSOLUTE: nothing: an offset of per-CPU data
 * @UPLIFT_SYMBOL_IN_MODULE: a symbol of another module, which is named as
 *	"module:symbol"
 * @UPLIFT_SYMBOL_BY_NAME: the one symbol of its name: the bodies were made
 *	without the kernel's image
 * @UPLIFT_SYMBOL_ORIGINS: how many there are
 */
enum uplift_symbol_origin {
	UPLIFT_SYMBOL_IN_IMAGE,
	UPLIFT_SYMBOL_ABSOLUTE,
	UPLIFT_SYMBOL_IN_MODULE,
	UPLIFT_SYMBOL_BY_NAME,
	UPLIFT_SYMBOL_ORIGINS,
};

/**
 * struct uplift_symbol - something of the kernel that bodies refer to
 * @name: its name, by which kallsyms has to know it at that address; NULL for
 *	what has no name, as a string. Of another module, what @value is counted
 *	from
 * @value: where it is, as in the image that the bodies were made for
 * @origin: what @value is counted from
 * @reserved: 0
 */
struct uplift_symbol {
	const char *name;
	s64 value;
	u32 origin;
	u32 reserved;
};

/**
 * struct uplift_fix - one reference
 * @place: where it is to be written
 * @kind: how
 * @origin: what @place is counted from
 * @reserved: 0
 * @symbol: which symbol of the table
 * @reserved_too: 0
 * @addend: to be added to its address
 */
struct uplift_fix {
	s32 place;
	u8 kind;
	u8 origin;
	u16 reserved;
	u32 symbol;
	u32 reserved_too;
	s64 addend;
};

/**
 * struct uplift_bodies - the tables of one arm
 * @text: the first byte of its text
 * @symbols: what it refers to
 * @fixes: the references
 * @nr_symbols: how many symbols
 * @nr_fixes: how many references
 */
struct uplift_bodies {
	const u8 *text;
	const struct uplift_symbol *symbols;
	const struct uplift_fix *fixes;
	u32 nr_symbols;
	u32 nr_fixes;
};

/* As in include/linux/buildid.h, which few kernels have had from the beginning. */
#define UPLIFT_BUILD_ID_SIZE	20

/**
 * struct uplift_bodies_head - in front of the tables
 * @build_id: of the kernel that the bodies were made for; no other is right.
 *	Zeros if they were made without its image
 * @reserved: 0
 */
struct uplift_bodies_head {
	u8 build_id[UPLIFT_BUILD_ID_SIZE];
	u32 reserved;
};

int uplift_bodies_check(const struct uplift_bodies *bodies);
unsigned long uplift_fix_place(const struct uplift_bodies *bodies, const struct uplift_fix *fix);
unsigned int uplift_fix_size(const struct uplift_fix *fix);
int uplift_fix_value(const struct uplift_fix *fix, unsigned long place, unsigned long symbol,
		     u64 *value);
const void *uplift_find_note(const void *data, size_t size, const u8 *build_id);
const u8 *uplift_build_id(const void *notes, size_t size, size_t *length);
int uplift_bind_builtin(const struct uplift_bodies_head *head, const void *end);

#endif /* _UPLIFT_BIND_H */
