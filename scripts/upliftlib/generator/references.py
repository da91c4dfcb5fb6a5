# SPDX-License-Identifier: GPL-2.0-only
"""What the code of an object refers to: one form for relocations and for branches that the assembler has resolved.

The kernel's files are compiled with -fdata-sections, which leaves the code as it is and gives each object a section of
its own: a reference that points in front of an array (`array - 8(,%rax,8)`) can still be told to be the array's.
"""

from __future__ import annotations

import dataclasses
import enum
import re

from .objects import (ALLOC, EXEC, FUNC, MERGE, OBJECT, R_PC32, RELATIVE, STRINGS, UNDEF, WRITE, Branch, Object, Refused,
                      Reloc, Symbol)


class Kind(enum.Enum):
    EXTERN = "a symbol that the file does not define"
    SYMBOL = "a function or an object of the file"
    CONSTANT = "a string or a constant that the linker may merge"
    ANONYMOUS = "data or code without a name"


@dataclasses.dataclass(frozen=True)
class Reference:
    """Where a piece of code or data refers to something.

    where, offset, width, type: section and bytes to be filled in; type is the relocation's
    delta: distance of the target from the symbol's first byte, or from the section's
    slack: what the relocation's addend has beyond the target, 0 or minus the bytes to the instruction's end
    branch: resolved by the assembler: no relocation tells of it
    """
    kind: Kind
    where: int
    offset: int
    width: int
    type: int
    section: int
    delta: int
    slack: int
    symbol: Symbol | None = None
    branch: bool = False

    @property
    def name(self) -> str:
        return self.symbol.name if self.symbol else ""


_NUMBER = re.compile(r"(?:\.\d+)+$")
_UNIQUE = re.compile(r"^(_*(?:UNIQUE_ID|ADDRESSABLE)_.*?)_?\d+(?:\.\d+)*$")
_CLONE = re.compile(r"\.(?:isra|constprop|part)\b")


def base_name(name: str) -> str:
    """A name without what the compiler numbers: "__flags.8" and "__flags.9" are both "__flags"."""
    if match := _UNIQUE.match(name):
        return match[1]
    return _NUMBER.sub("", name)


def is_numbered(name: str) -> bool:
    return base_name(name) != name


def is_clone(name: str) -> bool:
    """A form of a function that the compiler has made for some callers; how it is called is between it and them."""
    return bool(_CLONE.search(name))


def parent(name: str) -> str:
    """The function that a cold part belongs to; any other is its own."""
    return name[:-5] if name.endswith(".cold") else name


class Unit:
    """An object file, with its references resolved."""

    def __init__(self, obj: Object) -> None:
        self.obj = obj
        self.functions = obj.functions()
        self.tables = SideTables(self)

    # ------------------------------------------------------------------ one reference

    def _of(self, where: int, reloc: Reloc, branch: bool = False) -> Reference:
        obj = self.obj
        if reloc.symbol.section == UNDEF:
            end = obj.code.end(where, reloc.offset) - reloc.offset \
                if reloc.type in RELATIVE and obj.sections[where].flags & EXEC else 0
            return Reference(Kind.EXTERN, where, reloc.offset, reloc.width, reloc.type, UNDEF, reloc.addend + end, -end,
                             reloc.symbol)
        section, offset = obj.target(where, reloc)
        slack = reloc.symbol.value + reloc.addend - offset
        common = (where, reloc.offset, reloc.width, reloc.type, section)
        symbol = self._symbol(reloc, section, offset)
        if symbol:
            return Reference(Kind.SYMBOL, *common, offset - symbol.value, slack, symbol, branch)
        merged = obj.sections[section].flags & MERGE if 0 < section < len(obj.sections) else 0
        return Reference(Kind.CONSTANT if merged else Kind.ANONYMOUS, *common, offset, slack, None, branch)

    def _symbol(self, reloc: Reloc, section: int, offset: int) -> Symbol | None:
        if reloc.symbol.type in (FUNC, OBJECT):
            return reloc.symbol
        found = self.obj.at(section, offset)
        if found or section >= len(self.obj.sections) or self.obj.sections[section].flags & (EXEC | MERGE):
            return found
        named = self.obj.named.get(section, [])
        return named[0] if len(named) == 1 else None

    def references(self, section: int, start: int, size: int) -> list[Reference]:
        """All references from a range of a section, in order; branches inside of the range are none."""
        obj = self.obj
        found = [self._of(section, reloc) for reloc in obj.relocs_in(section, start, size)]
        if obj.sections[section].flags & EXEC:
            found += [self._branch(section, branch) for branch in obj.code.branches.get(section, ())
                      if start <= branch.offset < start + size and not start <= branch.to < start + size]
        return sorted(found, key=lambda r: r.offset)

    def _branch(self, section: int, branch: Branch) -> Reference:
        if branch.type:
            own = dataclasses.replace(self.obj.symbols[0], section=section, value=0)
            return self._of(section, Reloc(branch.offset, branch.type, own, branch.to), branch=True)
        width = 4 if branch.length >= 5 else 1
        own = dataclasses.replace(self.obj.symbols[0], section=section, value=0)
        place = branch.offset + branch.length - width
        found = self._of(section, Reloc(place, R_PC32, own, branch.to - width), branch=True)
        return dataclasses.replace(found, width=width)

    def of_function(self, function: Symbol) -> list[Reference]:
        return self.references(function.section, function.value, function.size)

    # ------------------------------------------------------------------ what is referred to

    def constant(self, reference: Reference) -> bytes:
        """The contents of a constant that may be merged: a string up to its end, or one entry."""
        section = self.obj.sections[reference.section]
        data = self.obj.bytes(section)
        if not 0 <= reference.delta < len(data):
            raise Refused(f"a reference beyond {section.name} (+{reference.delta:#x})")
        if section.flags & STRINGS:
            return data[reference.delta:data.index(b"\0", reference.delta) + 1]
        return data[reference.delta:reference.delta + max(section.entsize, 1)]

    def anonymous_end(self, section: int, start: int) -> int:
        """Where data without a name ends: at the next thing that has one or that is referred to."""
        edges = [s.value for s in self.obj.named.get(section, ()) if s.value > start]
        edges += [at for at in self._edges(section) if at > start]
        return min(edges, default=self.obj.sections[section].size)

    def _edges(self, section: int) -> set[int]:
        if not hasattr(self, "_referred"):
            self._referred: dict[int, set[int]] = {}
            for where, relocs in self.obj.relocs.items():
                if self.obj.sections[where].flags & ALLOC:
                    for reloc in relocs:
                        if reloc.symbol.defined:
                            index, offset = self.obj.target(where, reloc)
                            self._referred.setdefault(index, set()).add(offset)
        return self._referred.get(section, set())

    def writable(self, section: int) -> bool:
        return bool(self.obj.sections[section].flags & WRITE)


# ---------------------------------------------------------------------- side tables

# Tables that say something about places in the code. The size of an entry differs between kernels: it is the section's,
# divided by the places.
TABLES = (".altinstructions", "__jump_table", "__ex_table", "__bug_table", ".smp_locks", ".parainstructions")
_OF_CODE = (".discard.", "runtime_ptr_", "runtime_shift_")
# Said of functions as wholes, or made anew by objtool and the loader for the module.
_DROPPED = re.compile(r"\.discard\.addressable|__patchable_function_entries|__mcount_loc|\.(?:init|exit|rela|modinfo|note|"
                      r"debug|comment|BTF|eh_frame|orc|static_call|return_sites|call_sites|retpoline|ibt|cfi|export).*|"
                      r"_kprobe_blacklist|_error_injection.*|__ksymtab.*|___ksymtab.*|\.printk_index")


@dataclasses.dataclass(frozen=True)
class Entry:
    """An entry of a side table: where it stands, and the place in the code that it is about."""
    table: str
    section: int
    start: int
    size: int
    code: int		# section
    offset: int


class SideTables:
    """The side tables of a file by the code that they are about."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._found: dict[int, list[Entry]] | None = None

    def about(self, function: Symbol) -> list[Entry]:
        """The entries about a function, in the order of their places."""
        if self._found is None:
            self._found = {}
            for section in self._unit.obj.sections:
                if section.flags & ALLOC or section.name.startswith(".discard."):
                    self._read(section.index)
            for found in self._found.values():
                found.sort(key=lambda e: (e.offset, e.section, e.start))
        return [entry for entry in self._found.get(function.section, ())
                if function.value <= entry.offset < function.value + function.size]

    def _read(self, index: int) -> None:
        section = self._unit.obj.sections[index]
        known = section.name in TABLES or section.name.startswith(_OF_CODE)
        if not known or _DROPPED.fullmatch(section.name) or not section.size:
            return
        assert self._found is not None
        for start, size, code, offset in self._places(index):
            self._found.setdefault(code, []).append(Entry(section.name, index, start, size, code, offset))

    def _places(self, index: int) -> list[tuple[int, int, int, int]]:
        """(start, size, section of the code, offset there) of each entry; the first field is the place."""
        obj = self._unit.obj
        section = obj.sections[index]
        relocs = obj.relocs_in(index, 0, section.size)
        targets = {reloc.offset: obj.target(index, reloc) for reloc in relocs if reloc.symbol.defined}
        per_entry = {".altinstructions": 2, "__jump_table": 3, "__ex_table": 2}.get(section.name)
        if per_entry:
            count = len(relocs) / per_entry
        elif section.name == "__bug_table":
            count = sum(1 for where, _ in targets.values() if obj.sections[where].flags & EXEC)
        else:
            count = len(relocs)
        if not count or section.size % count or count != int(count):
            raise Refused(f"{section.name}: {section.size} bytes for {count} places")
        size = section.size // int(count)
        found = []
        for start in range(0, section.size, size):
            if start not in targets:
                raise Refused(f"{section.name}+{start:#x}: an entry without a place")
            found.append((start, size, *targets[start]))
        return found
