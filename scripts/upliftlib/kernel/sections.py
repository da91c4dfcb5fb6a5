# SPDX-License-Identifier: GPL-2.0-only
"""Sections and symbols of an ELF file: 32 or 64 bits, either byte order."""

import dataclasses
import mmap
import struct
from collections.abc import Iterator

from ..base.errors import Problem

Data = bytes | mmap.mmap

_SHN_XINDEX = 0xffff
_SHT_NOBITS = 8


@dataclasses.dataclass(frozen=True)
class Section:
    """A section's header, as far as it is needed here."""
    name: str
    type: int
    offset: int
    size: int
    link: int
    entry: int


@dataclasses.dataclass(frozen=True)
class Symbol:
    """An entry of the symbol table; section 0 is where undefined symbols are."""
    name: str
    section: int


def is_elf(data: Data) -> bool:
    """Does a file that begins like this call itself ELF?"""
    return data[:4] == b"\x7fELF"


class Elf:
    """An ELF file in memory; a Problem where it is cut off or no ELF at all."""

    def __init__(self, data: Data, where: str) -> None:
        self._data, self._where = data, where
        if not is_elf(data) or len(data) < 52 or data[4] not in (1, 2) or data[5] not in (1, 2):
            raise Problem(f"{where} is no ELF file")
        self.bits = 32 * data[4]
        self.order = "<" if data[5] == 1 else ">"
        self.sections = self._headers()

    def _cut(self) -> Problem:
        return Problem(f"{self._where}: an ELF file that is cut off")

    def _unpack(self, form: str, at: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self.order + form, self._data, at)
        except (struct.error, OverflowError, ValueError):
            raise self._cut() from None

    def _header(self, at: int) -> tuple[int, ...]:
        """name, type, offset, size, link, entry size"""
        form = "IIQQQQIIQQ" if self.bits == 64 else "IIIIIIIIII"
        name, kind, _, _, offset, size, link, _, _, entry = self._unpack(form, at)
        return name, kind, offset, size, link, entry

    def _headers(self) -> list[Section]:
        start, = self._unpack("Q" if self.bits == 64 else "I", 40 if self.bits == 64 else 32)
        size, count, names = self._unpack("HHH", 58 if self.bits == 64 else 46)
        if not start:
            return []
        if size < (64 if self.bits == 64 else 40):
            raise self._cut()
        first = self._header(start)
        # more sections than 16 bits count are told by the first one
        count = count or first[3]
        names = first[4] if names == _SHN_XINDEX else names
        if start + size * count > len(self._data) or names >= count:
            raise self._cut()
        headers = [self._header(start + size * index) for index in range(count)]
        strings = headers[names][2]
        return [Section(self._string(strings + header[0]), *header[1:]) for header in headers]

    def _string(self, at: int) -> str:
        end = self._data.find(b"\0", at)
        if at > len(self._data) or end < 0:
            raise self._cut()
        return self._data[at:end].decode(errors="replace")

    def _bytes(self, section: Section) -> bytes:
        if section.type == _SHT_NOBITS:
            return b""
        if section.offset + section.size > len(self._data):
            raise self._cut()
        return self._data[section.offset:section.offset + section.size]

    def section(self, name: str) -> bytes | None:
        """What a section holds; None where there is none of the name."""
        for section in self.sections:
            if section.name == name:
                return self._bytes(section)
        return None

    def symbols(self) -> Iterator[Symbol]:
        """The symbol table, without its nameless entries."""
        form, name_at, index_at = ("IBBHQQ", 0, 3) if self.bits == 64 else ("IIIBBH", 0, 5)
        length = struct.calcsize(self.order + form)
        for section in self.sections:
            if section.name != ".symtab" or section.link >= len(self.sections):
                continue
            strings, table = self._bytes(self.sections[section.link]), self._bytes(section)
            for entry in struct.iter_unpack(self.order + form, table[:len(table) // length * length]):
                start = entry[name_at]
                end = strings.find(b"\0", start)
                if start and end > start:
                    yield Symbol(strings[start:end].decode(errors="replace"), entry[index_at])
