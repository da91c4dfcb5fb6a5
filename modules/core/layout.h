/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Typed bytes for C: which types may be made of any bytes, and turned into
 * bytes, is said once, at the type, and checked by the compiler; a cast of a
 * buffer is then a view that checks its length and alignment.
 *
 *	struct record {
 *		u32 kind;
 *		u32 length;
 *		struct layout_be64 when;
 *	};
 *	LAYOUT_FROM_BYTES(struct record, kind, length, when);
 *	LAYOUT_INTO_BYTES(struct record, kind, length, when);
 *
 *	const struct record *r = layout_view(struct record, buf, len);
 *
 * It includes nothing: for modules, programs and BPF alike, C11 with GNU's
 * extensions, gcc 12 or later and clang. docs/layout.md has the rules, and the
 * build step (layout.mk) that checks from the debugging data what the compiler
 * cannot see.
 *
 * Members are listed in order. One that is no number or array of numbers takes
 * a word: LAYOUT_TYPE(member, struct other) for a nested type that was declared
 * itself, LAYOUT_EITHER(a, b) for an anonymous union of numbers, LAYOUT_REST(m)
 * for a flexible array at the end.
 */
#ifndef _UPLIFT_LAYOUT_H
#define _UPLIFT_LAYOUT_H

/*
 * Integers of one byte order, made of bytes: they may lie anywhere, and nothing
 * takes one for a number by mistake.
 */
struct layout_be16 { unsigned char byte[2]; };
struct layout_be32 { unsigned char byte[4]; };
struct layout_be64 { unsigned char byte[8]; };
struct layout_le16 { unsigned char byte[2]; };
struct layout_le32 { unsigned char byte[4]; };
struct layout_le64 { unsigned char byte[8]; };

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define __layout_swap_be(bits, value)	(value)
#define __layout_swap_le(bits, value)	__builtin_bswap##bits(value)
#else
#define __layout_swap_be(bits, value)	__builtin_bswap##bits(value)
#define __layout_swap_le(bits, value)	(value)
#endif

/* layout_get_be32(x) is the number, layout_put_be32(n) the bytes. */
#define __LAYOUT_ORDERED(order, bits)							\
	static inline __attribute__((unused)) __UINT##bits##_TYPE__			\
	layout_get_##order##bits(struct layout_##order##bits from)			\
	{										\
		__UINT##bits##_TYPE__ value;						\
											\
		__builtin_memcpy(&value, &from, sizeof(value));				\
		return __layout_swap_##order(bits, value);				\
	}										\
											\
	static inline __attribute__((unused)) struct layout_##order##bits		\
	layout_put_##order##bits(__UINT##bits##_TYPE__ value)				\
	{										\
		struct layout_##order##bits to;						\
											\
		value = __layout_swap_##order(bits, value);				\
		__builtin_memcpy(&to, &value, sizeof(to));				\
		return to;								\
	}

__LAYOUT_ORDERED(be, 16)
__LAYOUT_ORDERED(be, 32)
__LAYOUT_ORDERED(be, 64)
__LAYOUT_ORDERED(le, 16)
__LAYOUT_ORDERED(le, 32)
__LAYOUT_ORDERED(le, 64)

#ifdef __CHECKER__
/* sparse has no __VA_OPT__; what it is asked is something else. */
#define LAYOUT_FROM_BYTES(T, ...)	_Static_assert(1, #T)
#define LAYOUT_INTO_BYTES(T, ...)	_Static_assert(1, #T)
#define LAYOUT_UNALIGNED(T)		_Static_assert(1, #T)
#define LAYOUT_BIG_ENDIAN(T)		_Static_assert(1, #T)
#define LAYOUT_LITTLE_ENDIAN(T)		_Static_assert(1, #T)
#define __layout_declared(rule, T)	1
#else

/*
 * An enum is compatible with an integer type, and never with another enum: what
 * is compatible with one of these is an integer, and no other enum.
 */
enum __layout_s8 { __LAYOUT_S8_MIN = -128, __LAYOUT_S8_MAX = 127 } __attribute__((packed));
enum __layout_u8 { __LAYOUT_U8_MAX = 255 } __attribute__((packed));
enum __layout_s16 { __LAYOUT_S16_MIN = -32768, __LAYOUT_S16_MAX = 32767 } __attribute__((packed));
enum __layout_u16 { __LAYOUT_U16_MAX = 65535 } __attribute__((packed));
enum __layout_s32 { __LAYOUT_S32_MIN = -2147483647 - 1, __LAYOUT_S32_MAX = 2147483647 };
enum __layout_u32 { __LAYOUT_U32_MAX = 4294967295U };
enum __layout_s64 {
	__LAYOUT_S64_MIN = -9223372036854775807LL - 1,
	__LAYOUT_S64_MAX = 9223372036854775807LL
};
enum __layout_u64 { __LAYOUT_U64_MAX = 18446744073709551615ULL };

/* Integer types that no enum has: those of the same width as another one. */
#if __SIZEOF_LONG__ == 8
#define __LAYOUT_NO_ENUM	long long: 1, unsigned long long: 1
#else
#define __LAYOUT_NO_ENUM	long: 1, unsigned long: 1
#endif
#ifdef __SIZEOF_INT128__
__extension__ typedef __int128 __layout_s128;
__extension__ typedef unsigned __int128 __layout_u128;
#define __LAYOUT_WIDEST		__layout_s128: 1, __layout_u128: 1,
#else
#define __LAYOUT_WIDEST
#endif

/* Is every pattern of bits a value of its type? */
#define __layout_number(x)								\
	_Generic((x),									\
		 char: 1, enum __layout_s8: 1, enum __layout_u8: 1,			\
		 enum __layout_s16: 1, enum __layout_u16: 1,				\
		 enum __layout_s32: 1, enum __layout_u32: 1,				\
		 enum __layout_s64: 1, enum __layout_u64: 1,				\
		 __LAYOUT_NO_ENUM, __LAYOUT_WIDEST float: 1, double: 1,			\
		 struct layout_be16: 1, struct layout_be32: 1, struct layout_be64: 1,	\
		 struct layout_le16: 1, struct layout_le32: 1, struct layout_le64: 1,	\
		 default: 0)

#define __layout_bool(x)	_Generic((x), _Bool: 1, default: 0)

/* In gcc and clang: 5 a pointer or array, 12 a struct, 13 a union, below 5 integers. */
#define __layout_class(x)	__builtin_classify_type(x)
/* The branches of ?: decay. */
#define __layout_decays(x)								\
	(!__builtin_types_compatible_p(__typeof__(x), __typeof__(1 ? (x) : (x))))
#define __layout_array(x)	(__layout_class(x) == 5 && __layout_decays(x))
#define __layout_pointer(x)	(__layout_class(x) == 5 && !__layout_decays(x))
#define __layout_struct(x)	((__layout_class(x) == 12 || __layout_class(x) == 13) && \
				 !__layout_number(x))
#define __layout_enum(x)	(__layout_class(x) > 0 && __layout_class(x) < 5 &&	\
				 !__layout_number(x) && !__layout_bool(x))
/* An array's element; anything else itself. */
#define __layout_element(x)	(*__builtin_choose_expr(__layout_array(x), (x), &(x)))

#define __layout_member(T, m)	(((T *)0)->m)

/* --- lists of members: a name, or one of these --- */

#define LAYOUT_TYPE(member, type)	(TYPE, member, type)
#define LAYOUT_EITHER(one, other)	(EITHER, one, other)
#define LAYOUT_REST(member)		(REST, member)

#define __layout_second(a, b, ...)	b
#define __layout_pick(...)		__layout_second(__VA_ARGS__)
#define __layout_paste2(a, b)		a##b
#define __layout_paste(a, b)		__layout_paste2(a, b)
#define __layout_open(...)		__VA_ARGS__

/* 1 where there is something, 0 where not. */
#define __layout_given(...)		__layout_pick(__VA_OPT__(~, 1,) ~, 0, ~)
/* 1 of what is in parentheses. */
#define __layout_probe(...)		~, 1
#define __layout_in_parens(x)		__layout_pick(__layout_probe x, 0, ~)

/* Calls what##kind(T, member, ...) for an entry of a list. */
#define __layout_do(what, T, x)								\
	__layout_do2(what, T,								\
		     __layout_paste(__layout_entry_, __layout_given(x))			\
			(x, __layout_in_parens(x)))
#define __layout_entry_0(x, p)		NONE, ~
#define __layout_entry_1(x, p)		__layout_paste(__layout_entry_1, p)(x)
#define __layout_entry_10(x)		PLAIN, x
#define __layout_entry_11(x)		__layout_open x
#define __layout_do2(...)		__layout_do3(__VA_ARGS__)
#define __layout_do3(what, T, kind, ...)	what##kind(T, __VA_ARGS__)

/* f(T, member before, member, member behind) for each; what is not there is empty. */
#define __layout_each(f, T, ...)							\
	__layout_each2(f, T, , __VA_ARGS__						\
		       , , , , , , , , , , , , , , , , , , , , , , , , , , , , , ,	\
		       , , , , , , , , , , , , , , , , , , , , , , , , , , , , , ,	\
		       , , , , ,							\
		       ~)
#define __layout_each2(f, T,								\
		       _0, _1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13,	\
		       _14, _15, _16, _17, _18, _19, _20, _21, _22, _23, _24, _25,	\
		       _26, _27, _28, _29, _30, _31, _32, _33, _34, _35, _36, _37,	\
		       _38, _39, _40, _41, _42, _43, _44, _45, _46, _47, _48, _49,	\
		       _50, _51, _52, _53, _54, _55, _56, _57, _58, _59, _60, _61,	\
		       _62, _63, _64, _65,						\
		       ...)								\
	f(T, _0, _1, _2) f(T, _1, _2, _3) f(T, _2, _3, _4) f(T, _3, _4, _5)		\
	f(T, _4, _5, _6) f(T, _5, _6, _7) f(T, _6, _7, _8) f(T, _7, _8, _9)		\
	f(T, _8, _9, _10) f(T, _9, _10, _11) f(T, _10, _11, _12)			\
	f(T, _11, _12, _13) f(T, _12, _13, _14) f(T, _13, _14, _15)			\
	f(T, _14, _15, _16) f(T, _15, _16, _17) f(T, _16, _17, _18)			\
	f(T, _17, _18, _19) f(T, _18, _19, _20) f(T, _19, _20, _21)			\
	f(T, _20, _21, _22) f(T, _21, _22, _23) f(T, _22, _23, _24)			\
	f(T, _23, _24, _25) f(T, _24, _25, _26) f(T, _25, _26, _27)			\
	f(T, _26, _27, _28) f(T, _27, _28, _29) f(T, _28, _29, _30)			\
	f(T, _29, _30, _31) f(T, _30, _31, _32) f(T, _31, _32, _33)			\
	f(T, _32, _33, _34) f(T, _33, _34, _35) f(T, _34, _35, _36)			\
	f(T, _35, _36, _37) f(T, _36, _37, _38) f(T, _37, _38, _39)			\
	f(T, _38, _39, _40) f(T, _39, _40, _41) f(T, _40, _41, _42)			\
	f(T, _41, _42, _43) f(T, _42, _43, _44) f(T, _43, _44, _45)			\
	f(T, _44, _45, _46) f(T, _45, _46, _47) f(T, _46, _47, _48)			\
	f(T, _47, _48, _49) f(T, _48, _49, _50) f(T, _49, _50, _51)			\
	f(T, _50, _51, _52) f(T, _51, _52, _53) f(T, _52, _53, _54)			\
	f(T, _53, _54, _55) f(T, _54, _55, _56) f(T, _55, _56, _57)			\
	f(T, _56, _57, _58) f(T, _57, _58, _59) f(T, _58, _59, _60)			\
	f(T, _59, _60, _61) f(T, _60, _61, _62) f(T, _61, _62, _63)			\
	f(T, _62, _63, _64) f(T, _63, _64, _65)						\
	_Static_assert(!__layout_given(_65), #T ": more than 64 members are listed");

/* LAYOUT_FROM_BYTES_struct_foo of struct foo, LAYOUT_FROM_BYTES_foo_t of foo_t. */
#define __layout_tag_struct		~, struct_,
#define __layout_tag_union		~, union_,
#define __layout_marker(rule, T)	__layout_marker2(rule, T, __layout_tag_##T, , ~)
#define __layout_marker2(...)		__layout_marker3(__VA_ARGS__)
#define __layout_marker3(rule, T, x, kind, tag, ...)					\
	__layout_paste(__layout_marker_, __layout_given(kind))(rule, T, kind, tag)
#define __layout_marker_0(rule, T, kind, tag)	rule##T
#define __layout_marker_1(rule, T, kind, tag)	rule##kind##tag

#define __layout_union_union		~, 1,
#define __layout_is_union(T)		__layout_pick(__layout_union_##T, 0, ~)

/*
 * Three types for a member: its own, the element's of an array, and the
 * element's of that. A bit-field has none: the compiler says so, once.
 */
#define __layout_type(n, T, m)								\
	__layout_paste(__layout_paste(__layout_marker(__layout_type##n##_, T), __), m)
#define __layout_types(T, m)								\
	typedef __typeof__(__layout_member(T, m)) __layout_type(0, T, m);		\
	typedef __typeof__(__layout_element(*(__layout_type(0, T, m) *)0))		\
		__layout_type(1, T, m);							\
	typedef __typeof__(__layout_element(*(__layout_type(1, T, m) *)0))		\
		__layout_type(2, T, m);
#define __layout_leaf(T, m)	(*(__layout_type(2, T, m) *)0)
#define __layout_is_array(T, m)	__layout_array(*(__layout_type(0, T, m) *)0)

/* Offset, size, alignment and name of an entry. */
#define __layout_off_NONE(T, ...)	0
#define __layout_off_PLAIN(T, m)	__builtin_offsetof(T, m)
#define __layout_off_TYPE(T, m, U)	__builtin_offsetof(T, m)
#define __layout_off_EITHER(T, a, b)	__builtin_offsetof(T, a)
#define __layout_off_REST(T, m)		__builtin_offsetof(T, m)
#define __layout_size_NONE(T, ...)	0
#define __layout_size_PLAIN(T, m)	sizeof(__layout_member(T, m))
#define __layout_size_TYPE(T, m, U)	sizeof(__layout_member(T, m))
#define __layout_size_EITHER(T, a, b)							\
	(sizeof(__layout_member(T, a)) > sizeof(__layout_member(T, b)) ?		\
	 sizeof(__layout_member(T, a)) : sizeof(__layout_member(T, b)))
#define __layout_size_REST(T, m)	0
#define __layout_align_PLAIN(T, m)	__alignof__(__layout_member(T, m))
#define __layout_align_TYPE(T, m, U)	__alignof__(__layout_member(T, m))
#define __layout_align_EITHER(T, a, b)							\
	(__alignof__(__layout_member(T, a)) > __alignof__(__layout_member(T, b)) ?	\
	 __alignof__(__layout_member(T, a)) : __alignof__(__layout_member(T, b)))
#define __layout_align_REST(T, m)	__alignof__(__layout_member(T, m))
#define __layout_name_PLAIN(T, m)	#m
#define __layout_name_TYPE(T, m, U)	#m
#define __layout_name_EITHER(T, a, b)	#a
#define __layout_name_REST(T, m)	#m

#define __layout_off(T, x)	__layout_do(__layout_off_, T, x)
#define __layout_end(T, x)								\
	(__layout_do(__layout_off_, T, x) + __layout_do(__layout_size_, T, x))
#define __layout_align(T, x)	__layout_do(__layout_align_, T, x)
#define __layout_name(T, x)	__layout_do(__layout_name_, T, x)

/* clang shows what failed, unless it is a mere 0. */
#define __layout_rule(ok, rule, T, name, words)						\
	_Static_assert(__builtin_choose_expr(ok, 1, 0), rule ": " #T "." name ": " words);

/* --- made of any bytes --- */

#define __layout_from_PLAIN(T, m)							\
	__layout_types(T, m)								\
	__layout_values(T, #m, __layout_leaf(T, m))
#define __layout_from_EITHER(T, a, b)							\
	__layout_from_PLAIN(T, a)							\
	__layout_from_PLAIN(T, b)
#define __layout_from_REST(T, m)							\
	__layout_from_PLAIN(T, m)							\
	__layout_rule(__layout_is_array(T, m), "LAYOUT_FROM_BYTES", T, #m,		\
		      "LAYOUT_REST is for arrays")
#define __layout_from_TYPE(T, m, U)							\
	__layout_types(T, m)								\
	__layout_nested("LAYOUT_FROM_BYTES", LAYOUT_FROM_BYTES_, T, m, U)

#define __layout_values(T, name, x)							\
	__layout_rule(!__layout_bool(x), "LAYOUT_FROM_BYTES", T, name,			\
		      "bool: only 0 and 1 are values")					\
	__layout_rule(!__layout_enum(x), "LAYOUT_FROM_BYTES", T, name,			\
		      "enum: not all numbers are values")				\
	__layout_numbers("LAYOUT_FROM_BYTES", T, name, x)

/* What goes neither way. */
#define __layout_numbers(words, T, name, x)						\
	__layout_rule(!__layout_pointer(x), words, T, name,				\
		      "pointer: bytes are no address")					\
	__layout_rule(!__layout_struct(x), words, T, name,				\
		      "nested type: LAYOUT_TYPE(member, type)")				\
	__layout_rule(__layout_number(x) || __layout_bool(x) || __layout_enum(x) ||	\
		      __layout_pointer(x) || __layout_struct(x), words, T, name,	\
		      "no number, nor an array of numbers in up to two dimensions")

#define __layout_nested(words, rule, T, m, U)						\
	__layout_rule(_Generic(__layout_leaf(T, m), U: 1, default: 0), words, T, #m,	\
		      "is no " #U)							\
	__layout_rule(!sizeof(__layout_marker(rule, U)), words, T, #m,			\
		      #U " is not declared so")

#define __layout_from(T, before, x, behind)						\
	__layout_paste(__layout_from_, __layout_given(x))(T, before, x, behind)
#define __layout_from_0(T, before, x, behind)
#define __layout_from_1(T, before, x, behind)						\
	__layout_do(__layout_from_, T, x)						\
	__layout_rule(__layout_is_union(T) ? !__layout_off(T, x) :			\
		      __layout_off(T, x) >= __layout_end(T, before) &&			\
		      __layout_off(T, x) - __layout_end(T, before) < __layout_align(T, x),	\
		      "LAYOUT_FROM_BYTES", T, __layout_name(T, x),			\
		      "a member in front of it is not listed")				\
	__layout_rule(__layout_given(behind) || __layout_is_union(T) ||			\
		      sizeof(T) - __layout_end(T, x) < __alignof__(T),			\
		      "LAYOUT_FROM_BYTES", T, __layout_name(T, x),			\
		      "a member behind it is not listed")

/* --- turned into bytes --- */

#define __layout_into_PLAIN(T, m)							\
	__layout_types(T, m)								\
	__layout_numbers("LAYOUT_INTO_BYTES", T, #m, __layout_leaf(T, m))
#define __layout_into_EITHER(T, a, b)							\
	__layout_into_PLAIN(T, a)							\
	__layout_into_PLAIN(T, b)							\
	__layout_rule(sizeof(__layout_member(T, a)) == sizeof(__layout_member(T, b)),	\
		      "LAYOUT_INTO_BYTES", T, #a, "uneven union with " #b)		\
	__layout_rule(__builtin_offsetof(T, a) == __builtin_offsetof(T, b),		\
		      "LAYOUT_INTO_BYTES", T, #a, "no union with " #b)
#define __layout_into_REST(T, m)							\
	__layout_into_PLAIN(T, m)							\
	__layout_rule(__layout_is_array(T, m), "LAYOUT_INTO_BYTES", T, #m,		\
		      "LAYOUT_REST is for arrays")
#define __layout_into_TYPE(T, m, U)							\
	__layout_types(T, m)								\
	__layout_nested("LAYOUT_INTO_BYTES", LAYOUT_INTO_BYTES_, T, m, U)

#define __layout_into(T, before, x, behind)						\
	__layout_paste(__layout_into_, __layout_given(x))(T, before, x, behind)
#define __layout_into_0(T, before, x, behind)
#define __layout_into_1(T, before, x, behind)						\
	__layout_do(__layout_into_, T, x)						\
	__layout_rule(__layout_is_union(T) ?						\
		      !__layout_off(T, x) && __layout_end(T, x) == sizeof(T) : 1,	\
		      "LAYOUT_INTO_BYTES", T, __layout_name(T, x), "uneven union")	\
	__layout_rule(__layout_is_union(T) ||						\
		      __layout_off(T, x) == __layout_end(T, before),			\
		      "LAYOUT_INTO_BYTES", T, __layout_name(T, x),			\
		      "hole in front of it, or a member that is not listed")		\
	__layout_rule(__layout_given(behind) || __layout_is_union(T) ||			\
		      sizeof(T) == __layout_end(T, x),					\
		      "LAYOUT_INTO_BYTES", T, __layout_name(T, x),			\
		      "tail padding behind it, or a member that is not listed")

/* --- declarations --- */

/*
 * A marker has no size: it makes the compiler describe the type in its debugging
 * data, and tells the build step that it was declared. libbpf knows no such.
 */
#ifdef __bpf__
#define __layout_mark(rule, T)								\
	extern T __layout_marker(rule, T)[0] __attribute__((unused))
#else
#define __layout_mark(rule, T)								\
	static T __layout_marker(rule, T)[0] __attribute__((used))
#endif

/**
 * LAYOUT_FROM_BYTES - declare that any bytes make a value of a type
 * @T: "struct foo", "union foo" or a typedef's name
 * @...: all its members, in order, 64 at most
 *
 * Refused: pointer, bool, enum, bit-field, a nested type that is not declared so,
 * a member that is not listed. At file scope, behind the type.
 */
#define LAYOUT_FROM_BYTES(T, ...)							\
	_Static_assert(__layout_given(__VA_ARGS__), "LAYOUT_FROM_BYTES: " #T ": list its members");\
	__layout_each(__layout_from, T, __VA_ARGS__)					\
	__layout_mark(LAYOUT_FROM_BYTES_, T)

/**
 * LAYOUT_INTO_BYTES - declare that a value of a type is its bytes, all of them
 * @T: "struct foo", "union foo" or a typedef's name
 * @...: all its members, in order, 64 at most
 *
 * Refused: hole, tail padding, uneven union, bit-field, pointer, a nested type
 * that is not declared so, a member that is not listed.
 */
#define LAYOUT_INTO_BYTES(T, ...)							\
	_Static_assert(__layout_given(__VA_ARGS__), "LAYOUT_INTO_BYTES: " #T ": list its members");\
	__layout_each(__layout_into, T, __VA_ARGS__)					\
	__layout_mark(LAYOUT_INTO_BYTES_, T)

/**
 * LAYOUT_UNALIGNED - declare that a type may lie anywhere
 * @T: a type
 */
#define LAYOUT_UNALIGNED(T)								\
	_Static_assert(__alignof__(T) == 1, "LAYOUT_UNALIGNED: " #T ": wants to be aligned");\
	__layout_mark(LAYOUT_UNALIGNED_, T)

/*
 * Fields that are wider than a byte name one byte order: struct layout_be32, or
 * sparse's __be32, which only the build step sees.
 */
#define LAYOUT_BIG_ENDIAN(T)	__layout_mark(LAYOUT_BIG_ENDIAN_, T)
#define LAYOUT_LITTLE_ENDIAN(T)	__layout_mark(LAYOUT_LITTLE_ENDIAN_, T)

/* Does a declaration say so? Else the compiler does not know the marker's name. */
#define __layout_declared(rule, T)	(sizeof(__layout_marker(rule, T)) == 0)

#endif /* __CHECKER__ */

/**
 * LAYOUT_BYTES - both: a record of a file, or of what is copied both ways
 * @T: "struct foo", "union foo" or a typedef's name
 * @...: all its members, in order, 64 at most
 */
#define LAYOUT_BYTES(T, ...)								\
	LAYOUT_FROM_BYTES(T, __VA_ARGS__);						\
	LAYOUT_INTO_BYTES(T, __VA_ARGS__)

/* --- views --- */

static inline __attribute__((unused)) void *
__layout_view(const void *buf, __SIZE_TYPE__ len, __SIZE_TYPE__ count, __SIZE_TYPE__ size,
	      __SIZE_TYPE__ align)
{
	if (!buf || (__UINTPTR_TYPE__)buf % align || (size && len / size < count))
		return (void *)0;
	/* What read() returns for an error: no buffer is as large. */
	if ((__PTRDIFF_TYPE__)len < 0)
		return (void *)0;
	return (void *)buf;
}

/**
 * layout_view - see a buffer as a type
 * @T: declared with LAYOUT_FROM_BYTES()
 * @buf: const void *
 * @len: bytes in it
 *
 * Return: a const T *, or NULL where the buffer is too short for one or not
 * aligned as T wants it
 */
#define layout_view(T, buf, len)	layout_view_array(T, buf, len, 1)

/**
 * layout_view_array - see a buffer as an array of a type
 * @T: declared with LAYOUT_FROM_BYTES()
 * @buf: const void *
 * @len: bytes in it
 * @count: elements
 *
 * Return: a const T *, or NULL where the buffer is too short or not aligned
 */
#define layout_view_array(T, buf, len, count)						\
	((const T *)__layout_view((buf), (len), (count), sizeof(T),			\
				  __layout_declared(LAYOUT_FROM_BYTES_, T) ? __alignof__(T) : 0))

/**
 * layout_view_mut - see a buffer as a type, to write to it
 * @T: declared with LAYOUT_FROM_BYTES() and LAYOUT_INTO_BYTES()
 * @buf: void *
 * @len: bytes in it
 *
 * Return: a T *, or NULL where the buffer is too short or not aligned
 */
#define layout_view_mut(T, buf, len)							\
	((T *)__layout_view((void *){ (buf) }, (len), 1, sizeof(T),			\
			    __layout_declared(LAYOUT_FROM_BYTES_, T) &&			\
			    __layout_declared(LAYOUT_INTO_BYTES_, T) ? __alignof__(T) : 0))

/**
 * layout_bytes - the bytes of a value, sizeof(T) of them
 * @T: declared with LAYOUT_INTO_BYTES()
 * @value: const T *
 *
 * Return: a const unsigned char *
 */
#define layout_bytes(T, value)								\
	((const unsigned char *)(const T *){ (value) } +				\
	 !__layout_declared(LAYOUT_INTO_BYTES_, T))

#endif /* _UPLIFT_LAYOUT_H */
