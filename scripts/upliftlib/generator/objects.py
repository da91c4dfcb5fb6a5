# SPDX-License-Identifier: GPL-2.0-only
"""ELF64 little-endian files of x86-64 and arm64: sections, symbols, relocations, and where instructions begin and end.

Reads what the compiler made (.o), what was linked (vmlinux) and modules (.ko). Standard library only; instruction
boundaries of x86 come from objdump, which is where the assembler is; those of arm64 need none (a64.py).
"""

from __future__ import annotations

import bisect
import collections
import dataclasses
import pathlib
import re
import struct
import subprocess
from collections.abc import Callable, Iterator

from . import a64

NOTYPE, OBJECT, FUNC, SECTION = 0, 1, 2, 3		# types of symbols
LOCAL, GLOBAL, WEAK = 0, 1, 2
UNDEF, RESERVED = 0, 0xff00				# section numbers of symbols
PROGBITS, SYMTAB, RELA, NOBITS = 1, 2, 4, 8		# types of sections
WRITE, ALLOC, EXEC, MERGE, STRINGS = 1, 2, 4, 0x10, 0x20

R_NONE, R_64, R_PC32, R_PLT32, R_32, R_32S, R_PC64 = 0, 1, 2, 4, 10, 11, 24
WIDTH = {R_64: 8, R_PC64: 8, R_NONE: 0, **a64.DATA}	# bytes; 4 for the others
RELATIVE = (R_PC32, R_PLT32, R_PC64)
KNOWN = (R_NONE, R_64, R_PC32, R_PLT32, R_32, R_32S, R_PC64, *a64.KNOWN)


def blank(data: bytearray, at: int, kind: int, width: int) -> None:
    """Remove what a reference fills in."""
    if kind in a64.KNOWN:
        a64.blank(data, at, kind)
    else:
        data[at:at + width] = bytes(width)


class Refused(Exception):
    """A patch, or a function, that cannot be tried; the text is one line that names the symbol."""


@dataclasses.dataclass(frozen=True)
class Section:
    index: int
    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entsize: int


@dataclasses.dataclass(frozen=True)
class Symbol:
    index: int
    name: str
    value: int
    size: int
    type: int
    bind: int
    section: int

    @property
    def defined(self) -> bool:
        return UNDEF < self.section < RESERVED


@dataclasses.dataclass(frozen=True)
class Reloc:
    offset: int
    type: int
    symbol: Symbol
    addend: int

    @property
    def width(self) -> int:
        return WIDTH.get(self.type, 4)


@dataclasses.dataclass(frozen=True)
class Branch:
    """A jump or call inside a section that the assembler has resolved, so that no relocation tells of it.

    type: of the relocation that it would have, where the instruction tells (arm64)
    """
    offset: int
    length: int
    to: int
    type: int = 0


@dataclasses.dataclass
class Code:
    """What objdump says of a file's text, per section: instructions, resolved branches, and plain returns and indirect jumps."""
    begins: dict[int, list[int]] = dataclasses.field(default_factory=lambda: collections.defaultdict(list))
    lengths: dict[tuple[int, int], int] = dataclasses.field(default_factory=dict)
    branches: dict[int, list[Branch]] = dataclasses.field(default_factory=lambda: collections.defaultdict(list))
    leaves: dict[int, list[int]] = dataclasses.field(default_factory=lambda: collections.defaultdict(list))

    def end(self, section: int, offset: int) -> int:
        """The first byte behind the instruction that an offset is in; 4 bytes on where there is none."""
        begins = self.begins.get(section, [])
        at = bisect.bisect_right(begins, offset) - 1
        if at >= 0:
            end = begins[at] + self.lengths[section, begins[at]]
            if offset < end:
                return end
        return offset + 4

    def begin(self, section: int, offset: int) -> int:
        """The first byte of the instruction that an offset is in."""
        begins = self.begins.get(section, [])
        at = bisect.bisect_right(begins, offset) - 1
        return begins[at] if at >= 0 else offset


def objdump(path: pathlib.Path) -> str:
    """The file's disassembly as objdump prints it."""
    return subprocess.run(["objdump", "-dw", "--show-raw-insn", str(path)], capture_output=True, text=True,
                          check=True).stdout


_SECTION = re.compile(r"Disassembly of section (\S+):")
_INSN = re.compile(r"\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*(.*)")
_LEAVE = re.compile(r"(?:[\w,]+ )*?(?:ret\b|jmp\s+\*)")
_BRANCH = re.compile(r"(?:[\w,]+ )*?(?:call|jmp|j\w+|loop\w*)\s+([0-9a-f]+) <")


class Object:
    """One ELF file."""

    def __init__(self, path: pathlib.Path, disassemble: Callable[[pathlib.Path], str] = objdump) -> None:
        self.path = pathlib.Path(path)
        self._disassemble = disassemble
        self._code: Code | None = None
        self._patchable_places: dict[int, set[int]] | None = None
        self.data = self.path.read_bytes()
        if self.data[:6] != b"\x7fELF\x02\x01" or len(self.data) < 64:
            raise Refused(f"{self.path.name}: not a 64-bit little-endian ELF file")
        try:
            self._read()
        except (struct.error, ValueError, IndexError) as why:
            raise Refused(f"{self.path.name}: a damaged ELF file ({why})") from None

    def _read(self) -> None:
        data = self.data
        self.machine, = struct.unpack_from("<H", data, 18)
        start, = struct.unpack_from("<Q", data, 0x28)
        count, names = struct.unpack_from("<HH", data, 0x3c)
        raw = [struct.unpack_from("<IIQQQQIIQQ", data, start + 64 * index) for index in range(count)]
        strings = raw[names][4]
        self.sections = [Section(index, self._text(strings + name), *rest) for index, (name, *rest) in enumerate(raw)]
        self.symbols: list[Symbol] = []
        for section in self.sections:
            if section.type == SYMTAB:
                self._read_symbols(section)
        self.relocs: dict[int, list[Reloc]] = collections.defaultdict(list)
        for section in self.sections:
            if section.type == RELA and self.symbols:
                self._read_relocs(section)
        self.named: dict[int, list[Symbol]] = collections.defaultdict(list)
        self.by_name: dict[str, list[Symbol]] = collections.defaultdict(list)
        for symbol in self.symbols:
            if symbol.defined and symbol.type in (FUNC, OBJECT) and not symbol.name.startswith("__pfx_"):
                self.named[symbol.section].append(symbol)
                self.by_name[symbol.name].append(symbol)
        self._starts: dict[int, list[int]] = {}
        for section_index, found in self.named.items():
            found.sort(key=lambda s: (s.value, s.size))
            self._starts[section_index] = [s.value for s in found]

    def _text(self, at: int) -> str:
        return self.data[at:self.data.index(b"\0", at)].decode()

    def _read_symbols(self, table: Section) -> None:
        strings = self.sections[table.link].offset
        for index in range(table.size // 24):
            name, info, _, section, value, size = struct.unpack_from("<IBBHQQ", self.data, table.offset + 24 * index)
            self.symbols.append(Symbol(index, self._text(strings + name), value, size, info & 15, info >> 4, section))

    def _read_relocs(self, table: Section) -> None:
        found = self.relocs[table.info]
        for index in range(table.size // 24):
            where, info, addend = struct.unpack_from("<QQq", self.data, table.offset + 24 * index)
            found.append(Reloc(where, info & 0xffffffff, self.symbols[info >> 32], addend))
        found.sort(key=lambda r: r.offset)

    # ------------------------------------------------------------------ contents

    def bytes(self, section: Section) -> bytes:
        """A section's contents; zeros where the file has none."""
        if section.type == NOBITS:
            return bytes(section.size)
        return self.data[section.offset:section.offset + section.size]

    def section(self, name: str) -> Section | None:
        """The first section of a name."""
        return next((section for section in self.sections if section.name == name), None)

    def at(self, section: int, offset: int) -> Symbol | None:
        """The function or object that covers an offset of a section; one without a size covers its first byte."""
        found = self.named.get(section)
        if not found:
            return None
        index = bisect.bisect_right(self._starts[section], offset)
        while index > 0:
            index -= 1
            symbol = found[index]
            if symbol.value <= offset < symbol.value + max(symbol.size, 1):
                return symbol
            if symbol.size:
                break
        return None

    def relocs_in(self, section: int, start: int, size: int) -> list[Reloc]:
        """The relocations in a range of a section, in order."""
        found = self.relocs.get(section, [])
        low = bisect.bisect_left(found, start, key=lambda r: r.offset)
        high = bisect.bisect_left(found, start + size, key=lambda r: r.offset)
        return [r for r in found[low:high] if r.type != R_NONE]

    def functions(self) -> dict[str, Symbol]:
        """Functions by name, cold parts included."""
        return {s.name: s for found in self.named.values() for s in found if s.type == FUNC and s.size}

    # ------------------------------------------------------------------ code

    @property
    def code(self) -> Code:
        """Instruction boundaries, found when first asked for."""
        if self._code is None:
            self._code = self._read_a64() if self.machine == a64.MACHINE else self._read_code(self._disassemble(self.path))
        return self._code

    def _read_a64(self) -> Code:
        code = Code()
        for section in self.sections:
            if section.flags & EXEC and section.size and section.type != NOBITS:
                data = self.bytes(section)
                for at, word in a64.words(data, self._instructions(section)):
                    code.begins[section.index].append(at)
                    code.lengths[section.index, at] = 4
                    if branch := a64.branch(word):
                        code.branches[section.index].append(Branch(at, 4, at + branch[1], branch[0]))
                    elif a64.returns(word) or a64.goes_by_register(word):
                        code.leaves[section.index].append(at)
        self._only_resolved(code)
        return code

    def _instructions(self, section: Section) -> Iterator[tuple[int, int]]:
        """The ranges of a section that are instructions, as the mapping symbols $x and $d say."""
        marks = sorted((symbol.value, symbol.name[1]) for symbol in self.symbols
                       if symbol.section == section.index and symbol.name[:2] in ("$x", "$d"))
        edges = [(0, "x"), *marks, (section.size, "")]
        for (start, kind), (end, _) in zip(edges, edges[1:]):
            if kind == "x" and start < end:
                yield start, end

    def _read_code(self, text: str) -> Code:
        code = Code()
        by_name = {section.name: section.index for section in self.sections}
        section = 0
        for line in text.splitlines():
            if match := _SECTION.match(line):
                section = by_name[match[1]]
            elif match := _INSN.match(line):
                at, length = int(match[1], 16), len(match[2].split())
                code.begins[section].append(at)
                code.lengths[section, at] = length
                if branch := _BRANCH.match(match[3]):
                    code.branches[section].append(Branch(at, length, int(branch[1], 16)))
                elif _LEAVE.match(match[3]):
                    code.leaves[section].append(at)
        self._only_resolved(code)
        return code

    def _only_resolved(self, code: Code) -> None:
        """Of the branches, those that no relocation tells of."""
        for section, found in code.branches.items():
            relocated = [r.offset for r in self.relocs.get(section, []) if r.type != R_NONE]

            def is_resolved(branch: Branch, relocated: list[int] = relocated) -> bool:
                at = bisect.bisect_left(relocated, branch.offset)
                return at == len(relocated) or relocated[at] >= branch.offset + branch.length

            code.branches[section] = [branch for branch in found if is_resolved(branch)]

    def site(self, function: Symbol) -> int | None:
        """Bytes from a function's beginning to the end of its ftrace site, on arm64; None where it has none."""
        data = self.bytes(self.sections[function.section])
        for begin in (function.value, function.value + 4):
            # the nops of which the compiler notes the first, two of them in front of the function where ops have a place there
            if {begin, begin - 8} & self._patchable().get(function.section, set()):
                first = begin if data[begin:begin + 4] == a64.NOP.to_bytes(4, "little") else begin + 4
                return first + 8 - function.value
        return None

    def _patchable(self) -> dict[int, set[int]]:
        if self._patchable_places is None:
            self._patchable_places = collections.defaultdict(set)
            for section in self.sections:
                if section.name == "__patchable_function_entries":
                    for reloc in self.relocs.get(section.index, ()):
                        self._patchable_places[reloc.symbol.section].add(reloc.symbol.value + reloc.addend)
        return self._patchable_places

    def target(self, where: int, reloc: Reloc) -> tuple[int, int]:
        """(section, offset) that a relocation against a symbol of this file means.

        What counts is the end of the instruction: an immediate may lie behind the four bytes.
        """
        offset = reloc.symbol.value + reloc.addend
        if reloc.type in RELATIVE and self.sections[where].flags & EXEC:
            offset += self.code.end(where, reloc.offset) - reloc.offset
        return reloc.symbol.section, offset
