# SPDX-License-Identifier: GPL-2.0-only
"""Read what is needed of a kernel's BTF: where the members of a struct lie, and which functions stand by themselves.

The format is small and stable (Documentation/bpf/btf.rst); reading it here spares the engineer a tool that has to be
new enough for the kernel under test.
"""

import re
import struct
import zlib


from ..base.errors import Problem
from . import bzimage

_INT, _ARRAY, _STRUCT, _UNION, _ENUM, _FUNC, _FUNC_PROTO = 1, 3, 4, 5, 6, 12, 13
_VAR, _DATASEC, _DECL_TAG, _ENUM64 = 14, 15, 17, 19
# bytes behind the common part: (fixed, per element)
_EXTRA = {_INT: (4, 0), _ARRAY: (12, 0), _STRUCT: (0, 12), _UNION: (0, 12), _ENUM: (0, 8), _FUNC_PROTO: (0, 8),
          _VAR: (4, 0), _DATASEC: (0, 12), _DECL_TAG: (4, 0), _ENUM64: (0, 12)}
# PTR, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FLOAT, TYPE_TAG
_NO_EXTRA = {2, 7, 8, 9, 10, 11, _FUNC, 16, 18}


def section(elf, wanted=b".BTF"):
    """A section of a 64-bit little-endian ELF file; None if it has none of the name."""
    if len(elf) < 0x40:
        return None
    offset, = struct.unpack_from("<Q", elf, 0x28)
    size, count, names = struct.unpack_from("<HHH", elf, 0x3a)
    if len(elf) < offset + size * count or names >= count:
        return None		# cut off, as the headers stand at the end
    headers = [struct.unpack_from("<IIQQQQ", elf, offset + index * size) for index in range(count)]
    strings = headers[names][4]
    for name, _, _, _, start, length in headers:
        if elf[strings + name:elf.index(b"\0", strings + name)] == wanted:
            return elf[start:start + length]
    return None


class Btf:
    """The BTF of a kernel's image."""

    def __init__(self, path):
        data = path.read_bytes()
        if bzimage.is_image(data):
            try:
                data = bzimage.unpack(data)
            except ValueError as problem:
                raise Problem(f"{path} {problem}") from None
        if data[:4] == b"\x7fELF":
            data = section(data) or b""
        if data[:2] != b"\x9f\xeb":
            raise Problem(f"{path} has no BTF: it takes a vmlinux built with CONFIG_DEBUG_INFO_BTF, or its .BTF "
                          "section (of the running kernel: /sys/kernel/btf/vmlinux)")
        self.path, self.size, self.crc = path, len(data), zlib.crc32(data)
        self.functions, self._structs, self._types = set(), {}, [None]
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

    def _string(self, offset):
        start = self._strings + offset
        return self._data[start:self._data.index(b"\0", start)].decode()

    def _members(self, at, base=0):
        _, info, _ = struct.unpack_from("<III", self._data, at)
        for index in range(info & 0xffff):
            name, kind, offset = struct.unpack_from("<III", self._data, at + 12 + 12 * index)
            bits = 0
            if info >> 31:
                bits, offset = offset >> 24, offset & 0xffffff
            if name and not bits:
                yield self._string(name), base + offset // 8
            elif not name and self._types[kind][0] in (_STRUCT, _UNION):
                yield from self._members(self._types[kind][1], base + offset // 8)

    def structs(self):
        """The names of all structs."""
        return self._structs.keys()

    def layout(self, tag):
        """(size, [(member, offset), ...]) of struct tag, bit fields left out."""
        found = self._structs.get(tag, [])
        layouts = {(struct.unpack_from("<I", self._data, at + 8)[0], tuple(self._members(at))) for at in found}
        if len(layouts) != 1:
            raise Problem(f"{self.path}: {'no' if not layouts else 'more than one'} struct {tag} in the kernel's BTF")
        return layouts.pop()

    def has(self, what):
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
