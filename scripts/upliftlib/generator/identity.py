# SPDX-License-Identifier: GPL-2.0-only
"""Is the code that was compiled from the unchanged source the kernel's own, byte for byte?

Every function of an object is held against the kernel's image: its bytes, and where each of its references leads there.
What comes of it is a verdict for each function, and the places of all that the object's code refers to, also of objects
whose names are not unique or that have none: a body is bound to these.
"""

from __future__ import annotations

import bisect
import collections
import dataclasses
import pathlib
from collections.abc import Iterable

from ..kernel import notes
from . import a64
from .objects import ALLOC, EXEC, LOCAL, NOBITS, OBJECT, RELATIVE, WEAK, Object, Refused, Symbol, blank
from .references import Entry, Kind, Reference, Unit, base_name, is_numbered, parent

_NOP5 = b"\x0f\x1f\x44\x00\x00"
_SHT_NOTE = 7
_ONCE = ("__already_done", "__warned")	# of WARN_ONCE(), and of RCU_LOCKDEP_WARN()
IMAGE = 0xffffffff80000000	# where the image is linked to; what lies below are the old per-CPU offsets


class Kernel:
    """A kernel's image and the addresses of its symbols, both without KASLR."""

    name = ""		# of a module, see modulecode.py

    def __init__(self, vmlinux: pathlib.Path, symbols: dict[str, list[int]]) -> None:
        self.image = Object(vmlinux)
        self.symbols = symbols
        self._loaded = sorted((s.address, s) for s in self.image.sections
                              if s.flags & ALLOC and s.type != NOBITS and s.address)
        self._starts = [address for address, _ in self._loaded]
        text = symbols.get("_text", [])
        if len(text) != 1:
            raise Refused("the kernel's list of symbols has no _text: was it read by root?")
        self.text = text[0]

    def read(self, address: int, size: int) -> bytes | None:
        """Bytes of the image, None where it has none (bss, for one)."""
        at = bisect.bisect_right(self._starts, address) - 1
        if at < 0:
            return None
        start, section = self._loaded[at]
        if address + size > start + section.size:
            return None
        offset = section.offset + address - start
        return self.image.data[offset:offset + size]

    def is_code(self, address: int) -> bool:
        """Is an address in one of the image's sections of code?"""
        at = bisect.bisect_right(self._starts, address) - 1
        if at < 0:
            return False
        start, section = self._loaded[at]
        return address < start + section.size and bool(section.flags & EXEC)

    def build_id(self) -> bytes:
        """The image's build id; empty where it has none."""
        for section in self.image.sections:
            if section.type == _SHT_NOTE and (found := notes.build_id(self.image.bytes(section))):
                return found
        return b""

    def anchor(self, address: int) -> tuple[str, int] | None:
        """For what lies in a module: ("module:symbol", distance)."""
        return None

    def only(self, name: str) -> int | None:
        """The address of a symbol that has no namesake."""
        found = self.symbols.get(name, [])
        return found[0] if len(found) == 1 else None


def read_symbols(lines: Iterable[str]) -> dict[str, list[int]]:
    """Symbols of the image out of /proc/kallsyms or System.map."""
    found: dict[str, list[int]] = collections.defaultdict(list)
    for line in lines:
        words = line.split()
        if len(words) == 3:
            found[words[2]].append(int(words[0], 16))
    return dict(found)


def _meant(reference: Reference) -> tuple[object, ...]:
    """What two instructions have in common that refer to one address."""
    return reference.kind, reference.section, reference.symbol, reference.delta


@dataclasses.dataclass
class Place:
    """Where something lies in the kernel: an address of the image, and its name in kallsyms if it has one there.

    by_name: there was no image to ask; kallsyms knows when the module is loaded
    linked: the linker knows, as the body becomes a part of the same kernel
    """
    address: int
    name: str = ""
    by_name: bool = False
    linked: bool = False


class Placement:
    """An unchanged object held against the kernel."""

    copies_data = False		# data without a name is the kernel's, as all else is
    linked = False			# the bodies are not linked into the kernel

    def __init__(self, unit: Unit, kernel: Kernel) -> None:
        self.unit, self.kernel = unit, kernel
        self.bases: dict[int, int] = {}			# section -> where its first byte lies
        self.constants: dict[bytes, int] = {}		# contents -> address
        self.externals: dict[str, int] = {}
        self.why: dict[str, str] = {}			# function -> why it is not the kernel's
        self._sections_of_code()
        for function in unit.functions.values():
            self._compare(function)

    # ------------------------------------------------------------------ sections

    def _sections_of_code(self) -> None:
        """Each section of code lies where most of its functions do; names that are not unique vote for all their places."""
        for section, found in self.unit.obj.named.items():
            if self.unit.obj.sections[section].flags & EXEC:
                votes = collections.Counter(address - symbol.value for symbol in found
                                            for address in self.kernel.symbols.get(symbol.name, ()))
                if votes:
                    self.bases[section] = votes.most_common(1)[0][0]

    def address(self, symbol: Symbol) -> int | None:
        """Where a function or object of the file lies in the kernel."""
        base = self.bases.get(symbol.section)
        if base is None:
            return self.kernel.only(symbol.name)
        return base + symbol.value

    # ------------------------------------------------------------------ functions

    def identical(self, name: str) -> bool:
        return name in self.unit.functions and name not in self.why

    def _compare(self, function: Symbol) -> None:
        try:
            self._check(function)
        except Refused as why:
            self.why[function.name] = str(why)

    def _check(self, function: Symbol) -> None:
        address = self.address(function)
        if address is None or address not in self.kernel.symbols.get(function.name, ()):
            raise Refused("the kernel has no such function standing by itself")
        there = self.kernel.read(address, function.size)
        if there is None:
            raise Refused("it is not in the image's file")
        section = self.unit.obj.sections[function.section]
        here = bytearray(self.unit.obj.bytes(section)[function.value:function.value + function.size])
        image = bytearray(there)
        sites = [entry for entry in self.unit.tables.about(function) if entry.table == "__jump_table"]
        masked = self._jump_labels(function, sites, here, image)
        found: list[tuple[Reference, int]] = []
        references = [r for r in self.unit.of_function(function) if r.offset - function.value not in masked]
        if self.unit.obj.machine == a64.MACHINE:
            found, references = self._a64(references, address - function.value, function.value, here, image), []
        for reference in references:
            at = reference.offset - function.value
            value = int.from_bytes(image[at:at + reference.width], "little", signed=True)
            if reference.name == "__fentry__" and image[at - 1:at + 4] == _NOP5:
                here[at - 1:at + 4] = image[at - 1:at + 4]
                continue
            if reference.type in RELATIVE:
                value += address + at
            found.append((reference, value - reference.slack & (1 << 64) - 1))
            here[at:at + reference.width] = image[at:at + reference.width]
        if here != image:
            at = next(i for i in range(len(here)) if here[i] != image[i])
            raise Refused(f"its code differs from the kernel's at +{at:#x}")
        for reference, target in found:
            self._leads_to(reference, target)

    def _a64(self, references: list[Reference], away: int, start: int, here: bytearray,
             image: bytearray) -> list[tuple[Reference, int]]:
        """Where the image's code leads for references of arm64, which are removed from both. away: from object to image

        Of an address that is in two instructions the page and the place in it are put together, by what they refer to.
        """
        values = {r: a64.value(bytes(image), r.offset - start, r.type, r.offset + away) for r in references}
        for reference in references:
            for data in (here, image):
                blank(data, reference.offset - start, reference.type, reference.width)
        pages: dict[object, int] = {}
        for reference in references:
            if reference.type in a64.PAGES and pages.setdefault(_meant(reference), values[reference]) != values[reference]:
                raise Refused(f"the kernel's code leads to two pages for {reference.name}")
        found = [(r, values[r]) for r in references if r.type not in a64.PAGES and r.type not in a64.LO12]
        for reference in references:
            if reference.type in a64.LO12:
                if (page := pages.get(_meant(reference))) is None:
                    raise Refused(f"half of an address: {reference.name or 'a constant'}")
                found.append((reference, page + values[reference]))
        whole = {_meant(reference) for reference in references if reference.type in a64.LO12}
        if pages.keys() - whole:
            raise Refused("half of an address")
        return sorted(found, key=lambda item: item[0].offset)

    def _jump_labels(self, function: Symbol, sites: list[Entry], here: bytearray, image: bytearray) -> set[int]:
        """The compiler writes a jump where the image may have a nop of the same length: not compared."""
        masked: set[int] = set()
        for entry in sites:
            length = self.unit.obj.code.end(entry.code, entry.offset) - entry.offset
            at = entry.offset - function.value
            if here[at:at + 1] not in (b"\xeb", b"\xe9"):
                continue
            here[at:at + length] = image[at:at + length]
            masked |= set(range(at, at + length))
        return masked

    # ------------------------------------------------------------------ references

    def _leads_to(self, reference: Reference, target: int) -> None:
        """Is `target`, where the image's code leads, what the object means? Learns places on the way."""
        weak = reference.symbol is not None and reference.symbol.bind == WEAK	# the kernel may have another
        if reference.kind is Kind.EXTERN or weak:
            self._external(reference.name, target - reference.delta & (1 << 64) - 1)
        elif reference.kind is Kind.CONSTANT:
            self._constant(reference, target)
        else:
            offset = reference.symbol.value + reference.delta if reference.symbol else reference.delta
            self._section(reference, target - offset)

    def _external(self, name: str, address: int) -> None:
        known = self.kernel.symbols.get(name)
        if known is not None and address not in known:
            raise Refused(f"it refers to {name}, and the kernel's code there to something else")
        if self.externals.setdefault(name, address) != address:
            raise Refused(f"the kernel's code leads to two places for {name}")

    def _constant(self, reference: Reference, address: int) -> None:
        contents = self.unit.constant(reference)
        if self.kernel.read(address, len(contents)) != contents:
            raise Refused("it refers to a constant that the kernel's code does not have")
        self.constants.setdefault(contents, address)

    def _section(self, reference: Reference, base: int) -> None:
        name = reference.name or self.unit.obj.sections[reference.section].name
        if self.bases.setdefault(reference.section, base) != base:
            raise Refused(f"the kernel's code leads to another place for {name}")
        symbol = reference.symbol
        known = self.kernel.symbols.get(symbol.name) if symbol else None
        if symbol and known is not None and base + symbol.value not in known:
            raise Refused(f"it refers to {name}, and the kernel's code there to something else")

    # ------------------------------------------------------------------ for bodies

    def place(self, reference: Reference) -> Place | None:
        """Where a reference of the unchanged object leads in the kernel; the delta is not in it."""
        if reference.kind is Kind.EXTERN:
            return self.external(reference.name)
        if reference.kind is Kind.CONSTANT:
            address = self.constants.get(self.unit.constant(reference))
            return None if address is None else Place(address - reference.delta)
        if reference.symbol:
            return self.of_symbol(reference.symbol)
        base = self.bases.get(reference.section)
        return None if base is None else Place(base)

    def is_copied(self, symbol: Symbol) -> bool:
        """Is it an object that the bodies may have once more? None of a kernel that was built already."""
        return False

    def of_symbol(self, symbol: Symbol) -> Place | None:
        if symbol.bind == WEAK:
            return self.external(symbol.name)
        address = self.address(symbol)
        if address is None:
            return None
        return Place(address, symbol.name if address in self.kernel.symbols.get(symbol.name, ()) else "")

    def external(self, name: str) -> Place | None:
        address = self.externals.get(name)
        if address is None:
            address = self.kernel.only(name)
        if address is None:
            return None
        return Place(address, name if address in self.kernel.symbols.get(name, ()) else "")


def doubtful_callers(placement: Placement, name: str) -> list[str]:
    """Functions of the file that call one in the source, and are not the kernel's own code: there the compiler may have
    inlined it, so that what replaces the function would be missed by this caller."""
    unit, wanted = placement.unit, placement.unit.functions[name]
    found = {parent(other.name) for other in unit.functions.values() if not placement.identical(other.name)
             and not unit.obj.sections[other.section].name.startswith((".init", ".exit"))
             and any(reference.symbol == wanted for reference in unit.of_function(other))}
    return sorted(caller for caller in found - {name} if caller in placement.kernel.symbols)


class NoImage(Placement):
    """In place of that where no image can be read: all is bound by its name, and nothing is shown.

    What has no name of its own is copied if it is constant; what the compiler numbers cannot be told from its namesakes.
    linked: the bodies are linked into the kernel itself, by whose global names it goes then
    """

    copies_data = True

    def __init__(self, unit: Unit, linked: bool = False) -> None:
        self.unit, self.kernel, self.linked = unit, _Nowhere(), linked
        self.bases, self.constants, self.externals = {}, {}, {}
        self.why = {name: "there is no image to hold it against" for name in unit.functions}

    def place(self, reference: Reference) -> Place | None:
        if reference.kind is Kind.EXTERN:
            return self.external(reference.name)
        return self.of_symbol(reference.symbol) if reference.symbol else None

    def of_symbol(self, symbol: Symbol) -> Place | None:
        if symbol.bind != LOCAL:
            return self.external(symbol.name)
        if self.is_copied(symbol):
            return None
        if symbol.type == OBJECT and is_numbered(symbol.name):
            raise Refused(f"{symbol.name} is one of several of its name: the kernel's image is needed to tell them apart")
        return Place(0, symbol.name, by_name=True)

    def is_copied(self, symbol: Symbol) -> bool:
        """Whether a warning was given: a kernel that is built for tests may give it once more."""
        return self.linked and symbol.type == OBJECT and base_name(symbol.name) in _ONCE

    def external(self, name: str) -> Place | None:
        return Place(0, name, by_name=not self.linked, linked=self.linked)


class _Nowhere(Kernel):
    """A kernel of which nothing is known."""

    def __init__(self) -> None:
        self.symbols, self.text = {}, 0


def summary(placements: Iterable[Placement], names: Iterable[str]) -> tuple[int, int]:
    """(identical, all) of functions by name."""
    wanted = set(names)
    same = {name for placement in placements for name in wanted if placement.identical(name)}
    return len(same), len(wanted)

