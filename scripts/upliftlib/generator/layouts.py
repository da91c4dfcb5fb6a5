# SPDX-License-Identifier: GPL-2.0-only
"""Do structs and unions keep their layout? Asked of the types that the compiler writes into an object (-gbtf).

A struct that changes is shared with code that does not: with all that was compiled before, and with the objects that are
in memory already. So a change of size, of a member's place or of its type is refused, whoever uses it.
"""

from __future__ import annotations

import struct

from .objects import Object, Refused

_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FWD, _TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _FUNC, _PROTO, _VAR, _DATASEC, \
    _FLOAT, _DECL_TAG, _TYPE_TAG, _ENUM64 = range(1, 20)
_FIXED = {_INT: 4, _ARRAY: 12, _VAR: 4, _DECL_TAG: 4}
_EACH = {_STRUCT: 12, _UNION: 12, _ENUM: 8, _PROTO: 8, _DATASEC: 12, _ENUM64: 12}
_THROUGH = (_TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _TYPE_TAG)

Member = tuple[str, int, str]		# name, bit, what it is
Layout = tuple[int, tuple[Member, ...]]


class Types:
    """The structs and unions with a name that an object's code knows."""

    def __init__(self, obj: Object) -> None:
        section = obj.section(".BTF")
        if section is None:
            raise Refused(f"{obj.path.name}: compiled without types (-gbtf)")
        self._data = obj.bytes(section)
        magic, _, _, header, types, length, strings, _ = struct.unpack_from("<HBBIIIII", self._data, 0)
        if magic != 0xeb9f:
            raise Refused(f"{obj.path.name}: types in a form that is not known here")
        self._strings = header + strings
        self._at: list[int] = [0]
        at, end = header + types, header + types + length
        while at < end:
            self._at.append(at)
            _, info, _ = struct.unpack_from("<III", self._data, at)
            kind = info >> 24 & 0x1f
            at += 12 + _FIXED.get(kind, 0) + _EACH.get(kind, 0) * (info & 0xffff)
        self.layouts: dict[str, Layout] = {}
        for index in range(1, len(self._at)):
            kind, name, _, _ = self._head(index)
            if kind in (_STRUCT, _UNION) and name:
                word = f"{'struct' if kind == _STRUCT else 'union'} {name}"
                self.layouts.setdefault(word, self._layout(index))

    def _text(self, offset: int) -> str:
        start = self._strings + offset
        return self._data[start:self._data.index(b"\0", start)].decode()

    def _head(self, index: int) -> tuple[int, str, int, int]:
        """(kind, name, size or type, info)"""
        name, info, size = struct.unpack_from("<III", self._data, self._at[index])
        return info >> 24 & 0x1f, self._text(name), size, info

    def _layout(self, index: int) -> Layout:
        _, _, size, info = self._head(index)
        members = []
        for number in range(info & 0xffff):
            name, kind, offset = struct.unpack_from("<III", self._data, self._at[index] + 12 + 12 * number)
            bits = ""
            if info >> 31:
                bits, offset = (f":{offset >> 24}" if offset >> 24 else ""), offset & 0xffffff
            members.append((self._text(name), offset, self._what(kind) + bits))
        return size, tuple(members)

    def _what(self, index: int, depth: int = 0) -> str:
        """A type as far as layouts are concerned: what a pointer points to is not."""
        if index == 0 or depth > 40:
            return "void"
        kind, name, size, _ = self._head(index)
        if kind in _THROUGH:
            return self._what(size, depth + 1)
        if kind == _PTR:
            return "pointer"
        if kind == _ARRAY:
            element, _, count = struct.unpack_from("<III", self._data, self._at[index] + 12)
            return f"{self._what(element, depth + 1)}[{count}]"
        if kind in (_STRUCT, _UNION):
            word = "struct" if kind == _STRUCT else "union"
            return f"{word} {name}" if name else f"{word} {self._layout(index)}"
        if kind in (_INT, _ENUM, _ENUM64, _FLOAT):
            return f"{'float' if kind == _FLOAT else 'integer'} of {size}"
        return "function"


def _difference(before: Layout, after: Layout) -> str:
    """The member in which two layouts differ."""
    for old, new in zip(before[1], after[1]):
        if old[1:] != new[1:]:
            return f"member {new[0] or old[0] or 'without a name'}"
    if len(before[1]) != len(after[1]):
        longer = max(before[1], after[1], key=len)
        return f"member {longer[min(len(before[1]), len(after[1]))][0]}"
    return f"its size, {before[0]} and {after[0]} bytes"


def check(before: Object, after: Object) -> None:
    """Refused if a struct or union that both know is not laid out alike. A member's new name is no change."""
    old, new = Types(before).layouts, Types(after).layouts
    for word in sorted(old.keys() & new.keys()):
        one, two = old[word], new[word]
        if (one[0], [m[1:] for m in one[1]]) != (two[0], [m[1:] for m in two[1]]):
            raise Refused(f"the layout of {word} changes ({_difference(one, two)})")
