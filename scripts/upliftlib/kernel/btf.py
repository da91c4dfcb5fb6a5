# SPDX-License-Identifier: GPL-2.0-only
"""Read what is needed of a kernel's BTF: where the members of a struct lie, and which functions stand by themselves.

The format is small and stable (Documentation/bpf/btf.rst); reading it here spares the engineer a tool that has to be
new enough for the kernel under test.
"""

import pathlib
import re
import struct
import zlib
from collections.abc import Iterator, KeysView

from ..base.errors import Problem
from . import elf, image

_INT, _ARRAY, _STRUCT, _UNION, _ENUM, _FUNC, _FUNC_PROTO = 1, 3, 4, 5, 6, 12, 13
_VAR, _DATASEC, _DECL_TAG, _ENUM64 = 14, 15, 17, 19
# bytes behind the common part: (fixed, per element)
_EXTRA = {_INT: (4, 0), _ARRAY: (12, 0), _STRUCT: (0, 12), _UNION: (0, 12), _ENUM: (0, 8), _FUNC_PROTO: (0, 8),
          _VAR: (4, 0), _DATASEC: (0, 12), _DECL_TAG: (4, 0), _ENUM64: (0, 12)}
# PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
_NO_EXTRA = {2, 7, 8, 9, 10, 11, _FUNC, 16, 18}


class Btf:
    """The BTF of a kernel's image."""

    def __init__(self, path: pathlib.Path) -> None:
        data = path.read_bytes()
        if image.is_image(data):
            try:
                data = image.unpack(data)
            except ValueError as problem:
                raise Problem(f"{path} {problem}") from None
        if data[:4] == b"\x7fELF":
            data = elf.section(data, b".BTF") or b""
        if data[:2] != b"\x9f\xeb":
            raise Problem(f"{path} has no BTF: it takes a vmlinux built with CONFIG_DEBUG_INFO_BTF, or its .BTF "
                          "section (of the running kernel: /sys/kernel/btf/vmlinux)")
        self.path, self.size, self.crc = path, len(data), zlib.crc32(data)
        self.functions: set[str] = set()
        self._structs: dict[str, list[int]] = {}	# name -> where its types begin
        self._types: list[tuple[int, int] | None] = [None]	# (kind, where it begins), by number; 0 is void
        if len(data) < 24:
            raise Problem(f"{path}: BTF that is cut off")
        header, type_offset, type_length, string_offset, string_length = struct.unpack_from("<IIIII", data, 4)
        if len(data) < header + max(type_offset + type_length, string_offset + string_length):
            raise Problem(f"{path}: BTF that is cut off")
        self._data, self._strings = data, header + string_offset
        at, end = header + type_offset, header + type_offset + type_length
        while at < end:
            name, info, size = struct.unpack_from("<III", data, at)
            kind, count = info >> 24 & 0x1f, info & 0xffff
            self._types.append((kind, at))
            if kind == _FUNC:
                self.functions.add(self._string(name))
            elif kind == _STRUCT and name:
                self._structs.setdefault(self._string(name), []).append(at)
            if kind not in _EXTRA and kind not in _NO_EXTRA:
                raise Problem(f"{path}: BTF of a kind that is not known here: {kind}")
            fixed, each = _EXTRA.get(kind, (0, 0))
            at += 12 + fixed + each * count
        if at != end:
            raise Problem(f"{path}: BTF that does not add up")

    def _string(self, offset: int) -> str:
        start = self._strings + offset
        return self._data[start:self._data.index(b"\0", start)].decode()

    def _members(self, at: int, base: int = 0) -> Iterator[tuple[str, int]]:
        _, info, _ = struct.unpack_from("<III", self._data, at)
        for index in range(info & 0xffff):
            name, kind, offset = struct.unpack_from("<III", self._data, at + 12 + 12 * index)
            bits = 0
            if info >> 31:
                bits, offset = offset >> 24, offset & 0xffffff
            if name and not bits:
                yield self._string(name), base + offset // 8
                continue
            inner = self._types[kind]
            if not name and inner and inner[0] in (_STRUCT, _UNION):
                yield from self._members(inner[1], base + offset // 8)

    def structs(self) -> KeysView[str]:
        """The names of all structs."""
        return self._structs.keys()

    def layout(self, tag: str) -> tuple[int, tuple[tuple[str, int], ...]]:
        """(size, ((member, offset), ...)) of struct tag, bit fields left out."""
        found = self._structs.get(tag, [])
        layouts = {(struct.unpack_from("<I", self._data, at + 8)[0], tuple(self._members(at))) for at in found}
        if len(layouts) != 1:
            raise Problem(f"{self.path}: {'no' if not layouts else 'more than one'} struct {tag} in the kernel's BTF")
        return layouts.pop()

    def has(self, what: str) -> bool:
        """Is there "function NAME", "struct NAME" or "struct NAME.MEMBER"? ValueError for what is none of them."""
        match = re.fullmatch(r"(function|struct) (\w+)(?:\.(\w+))?", what)
        if not match or (match[1] == "function" and match[3]):
            raise ValueError(f"'{what}' is neither 'function NAME' nor 'struct NAME[.MEMBER]'")
        if match[1] == "function":
            return match[2] in self.functions
        if not match[3]:
            return match[2] in self.structs()
        try:
            return match[3] in (member for member, _ in self.layout(match[2])[1])
        except Problem:
            return False
