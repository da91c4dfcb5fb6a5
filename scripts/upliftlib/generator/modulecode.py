# SPDX-License-Identifier: GPL-2.0-only
"""A kernel module's own code, as if it were loaded: so that an object can be held against it as against the image.

Where its sections lie is only known when it is loaded. Here they get addresses behind the image's, and what a body refers to
is told by a symbol of the module's in the same section: the loader keeps sections whole.
"""

from __future__ import annotations

import collections
import pathlib

from ..kernel import notes
from .identity import Kernel
from .objects import ALLOC, EXEC, FUNC, GLOBAL, NOBITS, OBJECT, R_NONE, RELATIVE, UNDEF, Object, Reloc, Symbol

_SECTIONS, _ELSEWHERE, _END = 0xffffffffd0000000, 0xfffffffff0000000, 0xffffffffffff0000


class ModuleCode(Kernel):
    """A module of the kernel, linked behind the image. @exporters: {symbol: the module that exports it}"""

    def __init__(self, kernel: Kernel, ko: pathlib.Path, name: str, exporters: dict[str, str]) -> None:
        self.image, self.text, self.kernel, self.name = kernel.image, kernel.text, kernel, name
        self._ko, self._exporters = Object(ko), exporters
        self._at: dict[int, int] = {}
        self._others: dict[str, int] = {}
        at = _SECTIONS
        for section in self._ko.sections:
            if section.flags & ALLOC and section.size:
                at = at + max(section.align, 64) - 1 & -max(section.align, 64)
                self._at[section.index], at = at, at + section.size
        self._names = collections.Counter(s.name for s in self._ko.symbols if s.defined)
        self._lower = {start: index for index, start in self._at.items()}
        self.symbols = {name: list(found) for name, found in kernel.symbols.items()}
        for symbol in self._ko.symbols:
            if symbol.section in self._at and symbol.type in (FUNC, OBJECT):
                self.symbols.setdefault(symbol.name, []).append(self._at[symbol.section] + symbol.value)
        self._contents = {index: self._linked(index) for index in self._at}

    # ------------------------------------------------------------------ linking

    def _address(self, symbol: Symbol) -> int:
        if symbol.section in self._at:
            return self._at[symbol.section] + symbol.value
        if symbol.section != UNDEF:
            return symbol.value
        return self._elsewhere(symbol.name)

    def _elsewhere(self, name: str) -> int:
        """A symbol of the image's, or of another module's."""
        found = self.kernel.only(name)
        if found is not None and name not in self._exporters:
            return found
        if name not in self._others:
            self._others[name] = _ELSEWHERE + 64 * len(self._others)
            self.symbols[name] = [*self.symbols.get(name, ()), self._others[name]]
        return self._others[name]

    def _linked(self, index: int) -> bytes:
        section = self._ko.sections[index]
        if section.type == NOBITS:
            return b""
        data = bytearray(self._ko.bytes(section))
        for reloc in self._ko.relocs.get(index, ()):
            if reloc.type != R_NONE:
                data[reloc.offset:reloc.offset + reloc.width] = self._value(index, reloc)
        return bytes(data)

    def _value(self, index: int, reloc: Reloc) -> bytes:
        value = self._address(reloc.symbol) + reloc.addend
        if reloc.type in RELATIVE:
            value -= self._at[index] + reloc.offset
        return (value & (1 << 8 * reloc.width) - 1).to_bytes(reloc.width, "little")

    # ------------------------------------------------------------------ as a Kernel

    def _section_of(self, address: int) -> int | None:
        found = [start for start in self._lower if start <= address]
        if not found:
            return None
        index = self._lower[max(found)]
        return index if address < self._at[index] + self._ko.sections[index].size else None

    def read(self, address: int, size: int) -> bytes | None:
        index = self._section_of(address)
        if index is None:
            return self.kernel.read(address, size) if address < _SECTIONS else None
        start = address - self._at[index]
        found = self._contents[index][start:start + size]
        return found if len(found) == size else None

    def is_code(self, address: int) -> bool:
        index = self._section_of(address)
        return self.kernel.is_code(address) if index is None else bool(self._ko.sections[index].flags & EXEC)

    def only(self, name: str) -> int | None:
        """Of namesakes a global one of the module's is meant."""
        found = [self._at[s.section] + s.value for s in self._ko.by_name.get(name, ())
                 if s.bind == GLOBAL and s.section in self._at]
        return found[0] if len(found) == 1 else super().only(name) if name not in self._exporters else self._elsewhere(name)

    def build_id(self) -> bytes:
        return self.kernel.build_id()

    def module_build_id(self) -> bytes:
        """The module's own."""
        section = self._ko.section(".note.gnu.build-id")
        return notes.build_id(self._ko.bytes(section)) if section else b""

    def anchor(self, address: int) -> tuple[str, int] | None:
        """("module:symbol", distance) of what lies outside of the image; None for what lies in it."""
        if address < _SECTIONS or address >= _END:
            return None
        if address >= _ELSEWHERE:
            name = next(name for name, there in self._others.items() if there == address - address % 64)
            return f"{self._exporters.get(name, '')}:{name}", address % 64
        index = self._section_of(address)
        if index is None:
            return None
        inside = address - self._at[index]
        own = [s for s in self._ko.named.get(index, ()) if self._names[s.name] == 1]
        best = min(own, key=lambda s: abs(inside - s.value), default=None)
        return (f"{self.name}:{best.name}", inside - best.value) if best else None


def read_exporters(text: str) -> dict[str, str]:
    """Module.symvers: which module exports a symbol that the image does not."""
    found = {}
    for line in text.splitlines():
        words = line.split("\t")
        if len(words) >= 3 and words[2] != "vmlinux":
            found[words[1]] = words[2].rpartition("/")[2].replace("-", "_")
    return found
