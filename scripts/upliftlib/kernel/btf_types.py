# SPDX-License-Identifier: GPL-2.0-only
"""All types that BTF holds: a kernel's, a module's on top of its kernel's (split BTF), an object's.

Documentation/bpf/btf.rst has the format. Nothing is decoded before it is asked for: a kernel has 130,000 types.
"""

import array
import enum
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from ..base.errors import Problem


class Kind(enum.IntEnum):
    """BTF_KIND_*"""
    VOID, INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC, \
        FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = range(20)


# bytes behind the common part of 12: (fixed, per element)
_EXTRA = {Kind.INT: (4, 0), Kind.ARRAY: (12, 0), Kind.STRUCT: (0, 12), Kind.UNION: (0, 12), Kind.ENUM: (0, 8),
          Kind.FUNC_PROTO: (0, 8), Kind.VAR: (4, 0), Kind.DATASEC: (0, 12), Kind.DECL_TAG: (4, 0),
          Kind.ENUM64: (0, 12)}
_KNOWN = [_EXTRA.get(kind, (0, 0)) for kind in Kind]
# a type that is another one, under a name or with a qualifier
_SAME = frozenset(map(int, (Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG)))
_REFERS = _SAME | {Kind.PTR, Kind.FUNC, Kind.VAR, Kind.DECL_TAG, Kind.FUNC_PROTO}
_SIZED = frozenset((Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FLOAT, Kind.DATASEC))
# what a member, an element or a typedef can be
_VALUES = frozenset(Kind) - {Kind.FUNC, Kind.VAR, Kind.DATASEC, Kind.DECL_TAG}
_TAGGED = frozenset(map(int, (Kind.STRUCT, Kind.UNION, Kind.TYPEDEF)))
_BOOL = 4		# BTF_INT_BOOL
_SIGNED = 1
_DEEPEST = 200	# typedefs of typedefs
_CONTROL = re.compile(rb"[\x01-\x1f\x7f]")


class Member(NamedTuple):
    """A member of a struct or union; bits is 0 for all but bit-fields."""
    name: str
    type: int
    bit: int
    bits: int


def is_btf(data: bytes) -> bool:
    """Does a file that begins like this call itself BTF?"""
    return data[:2] in (b"\x9f\xeb", b"\xeb\x9f")


def is_split(data: bytes) -> bool:
    """Does BTF need a base? One that does not begins its strings with the empty one."""
    if not is_btf(data) or len(data) < 24:
        return False
    order = "<" if data[:2] == b"\x9f\xeb" else ">"
    header, _, types, at, length = struct.unpack_from(order + "IIIII", data, 4)
    return types > 0 and (not length or data[header + at:header + at + 1] not in (b"", b"\0"))


class _Raw:
    """The two sections of BTF, and where each type begins. Checked: nothing is beyond the end."""

    def __init__(self, data: bytes, where: str) -> None:
        if not is_btf(data):
            raise Problem(f"{where} is no BTF")
        self.order = "<" if data[:2] == b"\x9f\xeb" else ">"
        cut = Problem(f"{where}: BTF that is cut off")
        if len(data) < 24:
            raise cut
        header, types, types_length, strings, strings_length = struct.unpack_from(self.order + "IIIII", data, 4)
        if header < 24 or len(data) < header + max(types + types_length, strings + strings_length):
            raise cut
        self.data = data[header + types:header + types + types_length]
        self.strings = data[header + strings:header + strings + strings_length]
        if self.strings and self.strings[-1]:
            raise Problem(f"{where}: BTF whose strings do not end")
        if _CONTROL.search(self.strings):
            # a kernel refuses such, and a terminal would obey
            raise Problem(f"{where}: BTF with control characters in its names")
        self.kinds, self.at = bytearray(), array.array("L")
        self._find(_extras(data, self.order, header), where)

    def _find(self, extras: list[tuple[int, int]], where: str) -> None:
        at, end, unpack = 0, len(self.data), struct.Struct(self.order + "I").unpack_from
        data, kinds, ats, known = self.data, self.kinds, self.at, len(extras)
        while at + 12 <= end:
            info, = unpack(data, at + 4)
            kind = info >> 24 & 0x1f
            if not kind:
                raise Problem(f"{where}: BTF of a type that BTF has no kind for; gcc -gbtf writes such of vectors and _Float16: "
                              "-g instead, and pahole, does without")
            if kind >= known:
                raise Problem(f"{where}: BTF of a kind that is not known here: {kind}")
            kinds.append(kind)
            ats.append(at)
            fixed, each = extras[kind]
            at += 12 + fixed + each * (info & 0xffff)
        if at != end:
            raise Problem(f"{where}: BTF that does not add up")


def _extras(data: bytes, order: str, header: int) -> list[tuple[int, int]]:
    """Sizes by kind. From 7.x on BTF tells those of kinds that are newer than its readers."""
    known = list(_KNOWN)
    if header >= 32:
        at, length = struct.unpack_from(order + "II", data, 24)
        if length % 4 == 0 and header + at + length <= len(data):
            for kind in range(len(known), min(length // 4, 32)):
                fixed, each = struct.unpack_from("BB", data, header + at + 4 * kind)
                known.append((fixed, each))
    return known


class Types:
    """The types of a file, numbered from 1; 0 is void. Those of its base come first."""

    def __init__(self, data: bytes, where: str, base: "Types | None" = None, stripped: bytes | None = None,
                 names_only: bool = False) -> None:
        """stripped: the .BTF.base that a module carries: stands for the types of a base it was not built with.

        names_only: this is such a .BTF.base, whose structs have a size and no members.
        """
        self._names_only = names_only
        raw = _Raw(data, where)
        self.where, self.order, self.base = where, raw.order, base
        self._unpack = struct.Struct(raw.order + "I").unpack_from
        self.first = 1		# of the types that are not the base's
        self._kinds, self._at, self._data, self._strings = bytearray(1) + raw.kinds, array.array("L", [0]), raw.data, raw.strings
        self._at.extend(raw.at)
        self._stripped: dict[int, int] | None = None
        self._stripped_count = self._stripped_names = 0
        self._own_names = 0
        self._members: dict[int, tuple[Member, ...]] = {}
        self._stripped_types: dict[int, tuple[int, tuple[str, ...]]] = {}
        self._sizes: dict[int, int] = {}
        self._structs: dict[str, list[int]] | None = None
        self.pointer_size = 0
        if base is not None:
            self._put_on(base, raw, stripped)
        self.count = len(self._kinds)
        self.pointer_size = base.pointer_size if base else self._pointer_size()
        if base is not None:
            self._verify()

    # --- split BTF ---

    def _put_on(self, base: "Types", raw: _Raw, stripped: bytes | None) -> None:
        if base.order != raw.order:
            raise Problem(f"{self.where} and {base.where} are of different byte orders")
        self.first, shift = base.count, len(base._data)
        self._kinds = base._kinds + raw.kinds
        self._at = base._at[:]
        self._at.extend(shift + at for at in raw.at)
        self._data = base._data + raw.data
        self._strings = base._strings + raw.strings
        if stripped is not None:
            self._stand_for(Types(stripped, f"{self.where} (.BTF.base)"), base)

    def _stand_for(self, small: "Types", base: "Types") -> None:
        """Types of .BTF.base are the base's of the same kind, name and size."""
        self._stripped_count, self._stripped_names = small.count, len(small._strings)
        # names of the module's follow those of its .BTF.base, and stand behind the base's here
        self._own_names = len(self._strings)
        self._strings += small._strings
        found: dict[tuple[int, str], list[int]] = {}
        wanted = {(_family(small.kind(index)), small.name(index)) for index in range(1, small.count)}
        for index in range(1, base.count):
            key = (_family(base.kind(index)), base.name(index))
            if key in wanted:
                found.setdefault(key, []).append(index)
        self._stripped = {0: 0}
        for index in range(1, small.count):
            candidates = [other for other in found.get((_family(small.kind(index)), small.name(index)), ())
                          if small.kind(index) == Kind.FWD or base.kind(other) == Kind.FWD
                          or base.size_field(other) == small.size_field(index)]
            if not candidates:
                raise Problem(f"{self.where} was built for a kernel whose {small.spell(index)} is another than in {base.where}: "
                              "--base FILE names the kernel that it is for")
            self._stripped[index] = candidates[0]

    def _type(self, index: int, owner: int) -> int:
        """A reference in type owner, as a number here."""
        if self._stripped is not None and owner >= self.first:
            index = self._stripped[index] if index < self._stripped_count else index - self._stripped_count + self.first
        if index >= self.count:
            raise self._broken(f"type {owner} refers to type {index}, and there are {self.count}")
        return index

    def _broken(self, what: str) -> Problem:
        if self.base is not None:
            return Problem(f"{self.where} does not fit the types of {self.base.where} ({what}): that is another kernel than "
                           "the one it was built for, which is to be --base FILE, or OLD of diff")
        return Problem(f"{self.where}: BTF that contradicts itself: {what}")

    def _verify(self) -> None:
        """What is on top of a base shows that it fits: wrong bases give names that begin in the middle of a word."""
        for index in range(self.first, self.count):
            self.name(index)
            kind = self._kinds[index]
            referred = []
            if kind in (Kind.STRUCT, Kind.UNION):
                referred = [member.type for member in self.members(index)]
            elif kind == Kind.ARRAY:
                referred = [self.array(index)[0]]
                if self._kinds[self.strip(self.array_index(index))[0]] != Kind.INT:
                    raise self._broken(f"type {index} is an array that is not indexed by integers")
            elif kind == Kind.FUNC_PROTO:
                referred = [self.ref(index), *(param for _, param in self.params(index))]
            elif kind in _REFERS and kind != Kind.DECL_TAG:
                referred = [self.ref(index)] if kind != Kind.FUNC else []
            if kind == Kind.FUNC and self._kinds[self.ref(index)] != Kind.FUNC_PROTO:
                raise self._broken(f"the function {self.name(index)} has no prototype")
            for other in referred:
                if self._kinds[other] not in _VALUES:
                    raise self._broken(f"type {index} refers to type {other}, which is no type of a value")

    def _pointer_size(self) -> int:
        """As libbpf has it: BTF does not tell, but a long is as wide in every ABI of Linux."""
        for index in range(1, min(self.count, 2000)):
            if self._kinds[index] == Kind.INT and self.name(index) in ("long unsigned int", "unsigned long", "long int", "long"):
                return self.size_field(index)
        return 8

    # --- a type ---

    def kind(self, index: int) -> int:
        """Its Kind."""
        return self._kinds[index]

    def _word(self, at: int) -> int:
        word: int = self._unpack(self._data, at)[0]
        return word

    def _count(self, index: int) -> int:
        return self._word(self._at[index] + 4) & 0xffff

    def _flag(self, index: int) -> bool:
        return bool(self._word(self._at[index] + 4) >> 31)

    def string(self, offset: int, owner: int = 0) -> str:
        """A name."""
        if not offset:
            return ""
        own = self.base is not None and owner >= self.first
        if own and self._stripped is not None:
            offset += self._own_names if offset < self._stripped_names else \
                len(self.base._strings if self.base else b"") - self._stripped_names
        end = self._strings.find(b"\0", offset)
        if end < 0:
            raise self._broken(f"a name at {offset}, and names end at {len(self._strings)}")
        if own and self._strings[offset - 1]:
            raise self._broken(f"the name '{self._strings[offset:end][:40].decode(errors='replace')}' begins in the middle of one")
        return self._strings[offset:end].decode(errors="replace")

    def name(self, index: int) -> str:
        """Its name, "" for those without."""
        return self.string(self._word(self._at[index]), index) if index else "void"

    def ref(self, index: int) -> int:
        """What a pointer, typedef, qualifier, function or variable refers to; a prototype's result."""
        return self._type(self._word(self._at[index] + 8), index)

    def size_field(self, index: int) -> int:
        """The size that stands in the type itself; 0 for kinds that have none."""
        return self._word(self._at[index] + 8) if self._kinds[index] in _SIZED else 0

    def members(self, index: int) -> tuple[Member, ...]:
        """Of a struct or union."""
        found = self._members.get(index)
        if found is None:
            found = self._members[index] = tuple(self._decode_members(index))
        return found

    def _decode_members(self, index: int) -> Iterator[Member]:
        at, count, flag = self._at[index] + 12, self._count(index), self._flag(index)
        words = struct.unpack_from(f"{self.order}{3 * count}I", self._data, at)
        for name, kind, bit in zip(words[::3], words[1::3], words[2::3]):
            kind = self._type(kind, index)
            bits = bit >> 24 if flag else 0
            bit = bit & 0xffffff if flag else bit
            if not flag:
                # before 4.20 it stood in the integer
                base = self.strip(kind)[0]
                if self._kinds[base] == Kind.INT and 0 < self.int_bits(base) < 8 * self.size_field(base) and not self.is_bool(base):
                    bits = self.int_bits(base)
                    bit += self._word(self._at[base] + 12) >> 16 & 0xff
            yield Member(self.string(name, index), kind, bit, bits)

    def array(self, index: int) -> tuple[int, int]:
        """(type of an element, how many)"""
        return self._type(self._word(self._at[index] + 12), index), self._word(self._at[index] + 20)

    def array_index(self, index: int) -> int:
        """The type that an array is indexed by."""
        return self._type(self._word(self._at[index] + 16), index)

    def int_bits(self, index: int) -> int:
        """Of an integer."""
        return self._word(self._at[index] + 12) & 0xff

    def is_bool(self, index: int) -> bool:
        """Is an integer _Bool?"""
        return bool(self._word(self._at[index] + 12) >> 24 & _BOOL)

    def is_signed(self, index: int) -> bool:
        """Of an integer or an enum."""
        if self._kinds[index] == Kind.INT:
            return bool(self._word(self._at[index] + 12) >> 24 & _SIGNED)
        return self._flag(index)

    def enumerators(self, index: int) -> dict[str, int]:
        """Of an enum: name and value, as unsigned numbers of its size."""
        at, count, mask = self._at[index] + 12, self._count(index), (1 << 8 * self.size_field(index)) - 1
        wide = self._kinds[index] == Kind.ENUM64
        words = struct.unpack_from(f"{self.order}{(3 if wide else 2) * count}I", self._data, at)
        if wide:
            return {self.string(name, index): (high << 32 | low) & mask
                    for name, low, high in zip(words[::3], words[1::3], words[2::3])}
        # 32 bits, of which a negative number has the sign in all
        return {self.string(name, index): ((value ^ 1 << 31) - (1 << 31)) & mask for name, value in zip(words[::2], words[1::2])}

    def params(self, index: int) -> list[tuple[str, int]]:
        """Of a prototype: name and type; the type 0 at the end is "..."."""
        words = struct.unpack_from(f"{self.order}{2 * self._count(index)}I", self._data, self._at[index] + 12)
        return [(self.string(name, index), self._type(kind, index)) for name, kind in zip(words[::2], words[1::2])]

    # --- what follows from types ---

    def strip(self, index: int) -> tuple[int, tuple[str, ...]]:
        """(the type behind typedefs and qualifiers, the typedefs' names from the outermost on)"""
        if self._kinds[index] not in _SAME:
            return index, ()
        found = self._stripped_types.get(index)
        if found is None:
            found = self._stripped_types[index] = self._strip(index)
        return found

    def _strip(self, index: int) -> tuple[int, tuple[str, ...]]:
        names: list[str] = []
        for _ in range(_DEEPEST):
            kind = self._kinds[index]
            if kind not in _SAME:
                return index, tuple(names)
            if kind == Kind.TYPEDEF:
                names.append(self.name(index))
            index = self.ref(index)
        raise self._broken(f"type {index} is a typedef of itself")

    def size(self, index: int) -> int:
        """In bytes; 0 of what has none."""
        found = self._sizes.get(index)
        if found is None:
            found = self._sizes[index] = self._size(index)
        return found

    def _size(self, index: int) -> int:
        count = 1
        for _ in range(_DEEPEST):
            index = self.strip(index)[0]
            kind = self._kinds[index]
            if kind != Kind.ARRAY:
                return count * (self.pointer_size if kind == Kind.PTR else self.size_field(index))
            index, length = self.array(index)
            count *= length
        raise self._broken(f"type {index} is an array of itself")

    def structs(self) -> dict[str, list[int]]:
        """{"struct foo": [types]}: all structs and unions with a name, their own or a typedef's ("foo_t")."""
        if self._structs is None:
            self._structs = {}
            for index, kind in enumerate(self._kinds):
                name = self.tag(index) if kind in _TAGGED else ""
                if name:
                    self._structs.setdefault(name, []).append(self.strip(index)[0])
        return self._structs

    def tag(self, index: int) -> str:
        """How C names it, "struct foo" or "foo_t"; "" of what is no struct or union, or one without a name."""
        kind = self._kinds[index]
        if kind in (Kind.STRUCT, Kind.UNION):
            name = self.name(index)
            return name and f"{'struct' if kind == Kind.STRUCT else 'union'} {name}"
        if kind == Kind.TYPEDEF:
            other = self.ref(index)
            if self._kinds[other] in (Kind.STRUCT, Kind.UNION) and not self.name(other):
                return self.name(index)
        return ""

    def spell(self, index: int, what: str = "") -> str:
        """A declaration in C of `what` with this type; bodies of structs without a name are left out."""
        try:
            return self._spell(index, what)
        except RecursionError:
            raise self._broken(f"type {index} is made of itself") from None

    def _spell(self, index: int, what: str = "") -> str:
        kind = self._kinds[index]
        if kind == Kind.PTR:
            other = self.ref(index)
            inner = self._kinds[other] in (Kind.ARRAY, Kind.FUNC_PROTO)
            return self._spell(other, f"(*{what})" if inner else f"*{what}")
        if kind == Kind.ARRAY:
            other, count = self.array(index)
            return self._spell(other, f"{what}[{count or ''}]")
        if kind == Kind.FUNC_PROTO:
            params = ", ".join(self._spell(param) if param else "..." for _, param in self.params(index)) or "void"
            return self._spell(self.ref(index), f"{what}({params})")
        if kind in (Kind.CONST, Kind.VOLATILE, Kind.RESTRICT):
            word, other = Kind(kind).name.lower(), self.ref(index)
            if self._kinds[other] == Kind.PTR:
                return self._spell(other, f"{word} {what}".rstrip())
            return f"{word} {self._spell(other, what)}"
        if kind in (Kind.TYPE_TAG, Kind.FUNC, Kind.VAR):
            return self._spell(self.ref(index), what)
        return f"{self._word_of(index)} {what}".rstrip()

    def is_name_only(self, index: int) -> bool:
        """Is it a struct of which a module has kept the size alone?"""
        owner = self.base if self.base is not None and index < self.first else self
        return owner._names_only and self._kinds[index] in (Kind.STRUCT, Kind.UNION) and not self.members(index)

    def _word_of(self, index: int) -> str:
        kind, name = self._kinds[index], self.name(index)
        word = {Kind.STRUCT: "struct", Kind.UNION: "union", Kind.ENUM: "enum", Kind.ENUM64: "enum",
                Kind.FWD: "union" if index and self._flag(index) else "struct"}.get(Kind(kind), "")
        if word:
            return f"{word} {name or '{...}'}"
        return name


def _family(kind: int) -> int:
    """A declaration without a body stands for a struct or a union, an enum for a wide one."""
    return {Kind.FWD: Kind.STRUCT, Kind.UNION: Kind.STRUCT, Kind.ENUM64: Kind.ENUM}.get(Kind(kind), Kind(kind))
