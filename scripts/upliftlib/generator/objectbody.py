# SPDX-License-Identifier: GPL-2.0-only
"""Bodies made of object code: the compiler's own bytes, written as assembly, bound to the running kernel.

For each arm one file of assembly: the functions that are redirected with what the compiler has inlined into them, as
.byte and .reloc, their entries of the side tables, the trampolines that count, and the table of references that
uplift.ko applies when the module is loaded (modules/core/bind.h). What a body refers to is the kernel's own, where it
is; only what the kernel does not have is the module's: functions and objects that the change adds.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Mapping

from . import a64, ownership
from .compare import Comparison, is_call
from .identity import IMAGE, Kernel, Place, Placement
from .objects import (ALLOC, EXEC, FUNC, NOBITS, R_32, R_32S, R_64, R_PC32, R_PC64, R_PLT32, RELATIVE, Refused, Symbol,
                      blank)
from .references import Entry, Kind, Reference, parent

_RELOC = {R_64: "R_X86_64_64", R_PC32: "R_X86_64_PC32", R_PLT32: "R_X86_64_PLT32", R_32: "R_X86_64_32",
          R_32S: "R_X86_64_32S", R_PC64: "R_X86_64_PC64",
          a64.ABS64: "R_AARCH64_ABS64", a64.ABS32: "R_AARCH64_ABS32", a64.PREL64: "R_AARCH64_PREL64",
          a64.PREL32: "R_AARCH64_PREL32", a64.ADR_PAGE: "R_AARCH64_ADR_PREL_PG_HI21",
          a64.ADR_PAGE_NC: "R_AARCH64_ADR_PREL_PG_HI21_NC", a64.ADD_LO12: "R_AARCH64_ADD_ABS_LO12_NC",
          a64.LDST8_LO12: "R_AARCH64_LDST8_ABS_LO12_NC", a64.LDST16_LO12: "R_AARCH64_LDST16_ABS_LO12_NC",
          a64.LDST32_LO12: "R_AARCH64_LDST32_ABS_LO12_NC", a64.LDST64_LO12: "R_AARCH64_LDST64_ABS_LO12_NC",
          a64.LDST128_LO12: "R_AARCH64_LDST128_ABS_LO12_NC", a64.JUMP26: "R_AARCH64_JUMP26", a64.CALL26: "R_AARCH64_CALL26",
          a64.CONDBR19: "R_AARCH64_CONDBR19", a64.TSTBR14: "R_AARCH64_TSTBR14"}
# How a reference is written, as modules/core/bind.h has it.
_FIX = {R_64: 0, R_PC64: 1, R_32S: 2, R_32: 3, R_PC32: 4, R_PLT32: 4,
        a64.ABS64: 0, a64.PREL64: 1, a64.ABS32: 3, a64.PREL32: 4, a64.ADR_PAGE: 7, a64.ADR_PAGE_NC: 7,
        **{kind: 8 + scale for kind, scale in a64.LO12.items()}, a64.JUMP26: 13, a64.CALL26: 13}
_FIX_POINTER, _FIX_SHIFT = 5, 6
_FROM_TEXT, _FROM_HERE = 0, 1			# what a fix's place is counted from
_IN_IMAGE, _ABSOLUTE, _IN_MODULE, _BY_NAME = range(4)	# what a symbol's value is counted from

# The module loader knows these by name: it patches the calls and jumps to them.
_THUNKS = ("__x86_return_thunk", "__x86_indirect_")
# A weak symbol for all that is written when the module is loaded; objtool wants to see a symbol in a call.
_LATER = "uplift.later"
_OWN_DATA = (".data", ".bss", ".rodata", "__dyndbg")


@dataclasses.dataclass(frozen=True)
class Exports:
    """What modules may link to: Module.symvers."""
    plain: frozenset[str]
    namespaced: frozenset[str]


def read_exports(text: str) -> Exports:
    """Module.symvers: what the image exports to everybody, and what needs a namespace."""
    plain: set[str] = set()
    namespaced: set[str] = set()
    for line in text.splitlines():
        words = line.split("\t")
        if len(words) >= 4 and words[2] == "vmlinux":
            (namespaced if len(words) > 4 and words[4] else plain).add(words[1])
    return Exports(frozenset(plain), frozenset(namespaced))


_FRAME = (0x41b58ab3).to_bytes(4, "little")	# KASAN's mark of a frame, in which the function's address is the third word


# ---------------------------------------------------------------------- where references lead

class Old:
    """References of the unchanged object: all lead into the kernel."""

    def __init__(self, placement: Placement) -> None:
        self.unit, self.placement = placement.unit, placement

    def place(self, reference: Reference) -> Place | None:
        if reference.kind is Kind.ANONYMOUS and self.unit.obj.sections[reference.section].flags & EXEC:
            return None		# what is jumped to there jumps back into the kernel's function
        place = self.placement.place(reference)
        if place is None and (reference.kind is Kind.CONSTANT or self.placement.copies_data):
            return None		# a warning's file, to which no code refers
        if place is None:
            raise Refused(f"where {reference.name or 'a constant'} lies in this kernel cannot be told")
        return place

    def label(self, name: str) -> str | None:
        return None

    def is_function(self, name: str) -> bool:
        return False

    def bring(self, symbol: Symbol) -> None:
        """Refused: the unchanged source adds nothing."""
        if self.placement.is_copied(symbol):
            return
        raise Refused(f"where {symbol.name} lies in this kernel cannot be told")

    def of_function(self, symbol: Symbol) -> Place | None:
        return self.placement.of_symbol(symbol)


class New:
    """References of the changed object: to the kernel's where the unchanged one has a counterpart, else to our own."""

    def __init__(self, comparison: Comparison, placement: Placement, entries: set[str],
                 others: Mapping[str, tuple[str, Symbol]]) -> None:
        self.unit, self.placement, self._pairs = comparison.new, placement, comparison
        self._entries, self._others = entries, others

    def label(self, name: str) -> str | None:
        """Of what the same change adds in another file."""
        return self._others[name][0] if name in self._others else None

    def bring(self, symbol: Symbol) -> None:
        """Refused unless an object can be the module's own."""
        if not self.placement.is_copied(symbol):
            ownership.check(self._pairs, self.placement, symbol)

    def is_function(self, name: str) -> bool:
        return name in self._others and self._others[name][1].type == FUNC

    def place(self, reference: Reference) -> Place | None:
        if reference.kind is Kind.EXTERN:
            return self._extern(reference.name)
        if reference.kind is Kind.CONSTANT:
            address = self.placement.constants.get(self.unit.constant(reference))
            return None if address is None else Place(address - reference.delta)
        if reference.kind is Kind.ANONYMOUS or not reference.symbol:
            return None
        return self.of_function(reference.symbol)

    def of_function(self, symbol: Symbol) -> Place | None:
        old = self._pairs.pair_of(symbol)
        if old is None:
            return None
        if symbol.type == FUNC and symbol.name not in self._pairs.equal and symbol.name not in self._entries:
            return None		# a changed one that comes along
        place = self.placement.of_symbol(old)
        if place is None and not self.placement.is_copied(old) and (symbol.type == FUNC or self.unit.writable(symbol.section)):
            raise Refused(f"where {symbol.name} lies in this kernel cannot be told")
        return place		# a constant that is not found is copied

    def _extern(self, name: str) -> Place | None:
        if name in self._others:
            return None
        place = self.placement.external(name)
        if place is None:
            count = len(self.placement.kernel.symbols.get(name, ()))
            raise Refused(f"it needs {name}, of which this kernel has {count}" if count else
                          f"it needs {name}, which this kernel does not have")
        return place


Resolver = Old | New


# ---------------------------------------------------------------------- one arm

class Arm:
    """The assembly of one arm of a change."""

    def __init__(self, change: str, arm: str, index: int, exports: Exports) -> None:
        self.change, self.arm, self.index, self.exports = change, arm, index, exports
        self.prefix = f"uplift_{change}_{arm}"
        self.out: list[str] = []
        self.fixes: list[tuple[str, int, int, int, int]] = []	# label, how, from, symbol, addend
        self.symbols: dict[tuple[int, str, int], int] = {}	# origin, name, value
        self.weak: set[str] = set()
        self.counted: collections.Counter[str] = collections.Counter()
        self.copied: list[str] = []		# functions that came along, objects of our own
        self._bodies: list[tuple[int, str]] = []
        self._units = 0
        self._machine = 0

    def add(self, resolver: Resolver, entries: dict[str, int], wanted: Iterable[Symbol] = ()) -> None:
        """The functions of one object, numbered as the change's functions are, and what other objects want of it."""
        self._units += 1
        self._machine = resolver.unit.obj.machine
        kind = _A64Body if self._machine == a64.MACHINE else _Body
        kind(self, resolver, entries, f"{self.prefix}_{self._units}").make(wanted)

    def label(self, unit: int, symbol: Symbol) -> str:
        """What the unit that is added as the first, second ... has for something of its own."""
        return f".L{self.prefix}_{unit}_{symbol.section}_{symbol.value:x}"

    def symbol(self, place: Place, kernel: Kernel) -> int:
        """The number of a symbol in the table."""
        if place.by_name:
            return self.symbols.setdefault((_BY_NAME, place.name, 0), len(self.symbols))
        anchor = kernel.anchor(place.address)
        if anchor:
            key = (_IN_MODULE, *anchor)
        elif place.address >= min(IMAGE, kernel.text):
            key = (_IN_IMAGE, place.name, place.address - kernel.text)
        else:
            key = (_ABSOLUTE, place.name, place.address)
        return self.symbols.setdefault(key, len(self.symbols))

    def count(self, what: int) -> str:
        return f"uplift_{self.change}_count+{self.index * 16 + what}"

    def entry(self, number: int, body: str) -> None:
        """The ways into a body: from a site that calls, and from one that jumps.

        The call has pushed an address, which must not be returned to: it is overwritten, and returned through, so that
        each call has its return (see modules/core/trampoline.h). Landing pad and ftrace site are not in the body: the
        kernel's function has been through them.
        """
        self._bodies.append((number, body))

    def _entries(self) -> None:
        if self._machine == a64.MACHINE:
            return self._a64_entries()
        for number, body in self._bodies:
            call, jump = f"{self.prefix}_call_{number}", f"{self.prefix}_jump_{number}"
            self.out.append(f"""	.section .text, "ax", @progbits
	.balign 16
	.globl {call}
	.type {call}, @function
{call}:
	ENDBR
	UPLIFT_CALL_DEPTH
	incq %gs:{self.count(0)}(%rip)
	movq ${body}, (%rsp)
	RET
	.size {call}, .-{call}
	.pushsection .discard.annotate_insn, "M", @progbits, 8
	.long {body} - ., 1
	.popsection
	.pushsection .discard.noendbr
	.long {body}
	.popsection
	.balign 16
	.globl {jump}
	.type {jump}, @function
{jump}:
	ENDBR
	incq %gs:{self.count(0)}(%rip)
	jmp {body}
	.size {jump}, .-{jump}""")

    def _a64_entries(self) -> None:
        """arm64: a site that calls has kept the caller's return address in x9. None jumps there, but checks do that."""
        for number, body in self._bodies:
            call, jump = f"{self.prefix}_call_{number}", f"{self.prefix}_jump_{number}"
            self.out.append(f"""	.section .text, "ax", @progbits
	.balign 16
	.globl {call}
	.type {call}, @function
{call}:
	hint 34
	uplift_count_enter {self.count(0)}
	adr x16, {body}
	mov x30, x9
	ret x16
	.size {call}, .-{call}
	.balign 16
	.globl {jump}
	.type {jump}, @function
{jump}:
	hint 34
	uplift_count_enter {self.count(0)}
	b {body}
	.size {jump}, .-{jump}""")

    def text(self) -> str:
        """The file of assembly."""
        base = f"{self.prefix}_base"
        self._entries()
        pad, leave = ("hint 34", "ret") if self._machine == a64.MACHINE else ("ENDBR", "RET")
        head = f"""/* Made by uplift from object code that the compiler has made of the kernel's source. Do not keep. */
#include "body_asm.h"
	.section .text, "ax", @progbits
	.balign 16
	.globl {base}
	.type {base}, @function
{base}:
	{pad}
	{leave}
	.size {base}, .-{base}"""
        return "\n".join([head, *self.out, *self._table(base)]) + "\n"

    def _table(self, base: str) -> list[str]:
        out = ['\t.section .rodata, "a", @progbits', "\t.balign 8", f".L{self.prefix}_symbols:"]
        names: dict[str, str] = {}
        for origin, name, value in self.symbols:
            label = names.setdefault(name, f".L{self.prefix}_name{len(names)}") if name else "0"
            out.append(f"\t.quad {label}, {value}\n\t.long {origin}, 0")
        out.append(f".L{self.prefix}_fixes:")
        for label, how, origin, symbol, addend in self.fixes:
            out.append(f"\t.long {label} - {base if origin == _FROM_TEXT else '.'}\n\t.byte {how}, {origin}, 0, 0\n"
                       f"\t.long {symbol}, 0\n\t.quad {addend}")
        out += [f'{label}: .asciz "{name}"' for name, label in names.items()]
        out += ['\t.section .uplift_bodies, "aw", @progbits',
                f"\t.quad {base}, .L{self.prefix}_symbols, .L{self.prefix}_fixes",
                f"\t.long {len(self.symbols)}, {len(self.fixes)}"]
        if self._machine == a64.MACHINE:
            return out		# its loader would have weak ones be near 0
        # 6.1's objtool takes no weak function for one that does not return; what is exported need not be weak
        out += [f"\t.weak {name}" for name in sorted((self.weak - self.exports.plain) | {_LATER})]
        return out


class _Body:
    """What one object gives to an arm."""

    def __init__(self, arm: Arm, resolver: Resolver, entries: dict[str, int], prefix: str) -> None:
        self.arm, self.resolver, self.unit = arm, resolver, resolver.unit
        self.entries, self.prefix = entries, prefix
        self.out = arm.out
        self.kept: list[Symbol] = []
        self._kept_names: set[str] = set()
        self.data: dict[tuple[int, int], int] = {}		# (section, start) -> size of what is copied
        self.stubs: dict[tuple[str, int, int], str] = {}
        self._written: set[tuple[int, int]] = set()
        self._empty: set[tuple[int, int]] = set()		# references to replacements of no bytes

    def keep(self, symbol: Symbol) -> None:
        if symbol.name in self._kept_names:
            return
        self._kept_names.add(symbol.name)
        self.kept.append(symbol)
        cold = self.unit.functions.get(symbol.name + ".cold")
        if cold:
            self.keep(cold)
        if symbol.name not in self.entries and parent(symbol.name) == symbol.name:
            self.arm.copied.append(f"{symbol.name}()")

    def make(self, wanted: Iterable[Symbol]) -> None:
        for name in self.entries:
            self.keep(self.unit.functions[name])
        for symbol in wanted:
            if symbol.type == FUNC:
                self.keep(symbol)
            else:
                self._own_datum(symbol)
        done = 0
        while done < len(self.kept):
            self._function(self.kept[done])
            done += 1
        for name, number in self.entries.items():
            function = self.unit.functions[name]
            self.arm.entry(number, self._name(function))
        self._stubs()
        self._data()

    # ------------------------------------------------------------------ names

    def _name(self, symbol: Symbol) -> str:
        return f"{self.prefix}_{symbol.name}"

    def _label(self, section: int, offset: int) -> str:
        return f".L{self.prefix}_{section}_{offset:x}"

    def _is_entry(self, symbol: Symbol) -> bool:
        return parent(symbol.name) in self.entries

    # ------------------------------------------------------------------ code

    def _function(self, function: Symbol) -> None:
        self._leaves_by_thunks(function)
        name, skip = self._name(function), self._skip(function) if function.name in self.entries else 0
        # as far from a cache line's begin as in the kernel; 16 bytes in front are the compiler's padding
        away = (self._address(function) + skip) % 64
        self.out.append(f'\t.section .text, "ax", @progbits\n\t.balign 64\n'
                        f"\t.fill {away if away >= 16 + skip else away + 64}, 1, 0x90\n\t.globl {name}\n"
                        f"\t.type {name}, @function\n{name}:")
        tables = self.unit.tables.about(function)
        self._emit(function.section, function.value, function.size, _FROM_TEXT, function, self._patched(tables), skip)
        self.out.append(f"\t.size {name}, .-{name}")
        self.arm.counted["code, bytes"] += function.size
        for entry in tables:
            self._entry(function, entry)

    def _address(self, function: Symbol) -> int:
        """Where the kernel has the function; anywhere for one that it does not have."""
        place = self.resolver.of_function(function)
        return place.address if place else function.value

    def _leaves_by_thunks(self, function: Symbol) -> None:
        """What is counted must leave by jumps that can be led elsewhere: a plain return has no room for that."""
        leaves = self.unit.obj.code.leaves.get(function.section, ())
        if self._is_entry(function) and any(function.value <= at < function.value + function.size for at in leaves):
            raise Refused(f"{function.name}() returns by a plain instruction: the kernel is built without rethunk "
                          "or retpoline, and who leaves could not be counted")

    def _skip(self, function: Symbol) -> int:
        """Bytes of the landing pad and the ftrace site."""
        site = next((r for r in self.unit.of_function(function) if r.name == "__fentry__"), None)
        if site is None or site.offset > function.value + 8:
            raise Refused(f"{function.name}() does not begin with an ftrace site")
        return site.offset + 4 - function.value

    def _patched(self, tables: list[Entry]) -> list[tuple[int, int]]:
        """The ranges of a function that alternatives may replace, which is done before references are written."""
        found = []
        for entry in tables:
            if entry.table == ".altinstructions":
                data = self.unit.obj.bytes(self.unit.obj.sections[entry.section])
                found.append((entry.offset, entry.offset + data[entry.start + entry.size - 2]))
            elif entry.table == ".parainstructions":
                data = self.unit.obj.bytes(self.unit.obj.sections[entry.section])
                found.append((entry.offset, entry.offset + data[entry.start + 9]))
        return found

    def _emit(self, section: int, start: int, size: int, origin: int, function: Symbol | None = None,
              patched: list[tuple[int, int]] | None = None, skip: int = 0) -> None:
        """The bytes of a range, with its references; but for the first `skip` ones."""
        data = bytearray(self.unit.obj.bytes(self.unit.obj.sections[section])[start:start + size])
        base = self._label(section, start)
        todo = []
        for reference in self.unit.references(section, start, size):
            at = reference.offset - start
            if reference.name == "__fentry__":
                data[at - 1:at + 4] = b"\x0f\x1f\x44\x00\x00"	# of a function that comes along: not to be traced
                continue
            data[at:at + reference.width] = bytes(reference.width)
            early = any(low <= reference.offset < high for low, high in patched or ())
            todo.append((f"{base}+{at}", reference, early))
        self.out.append(f"\t.set {base}, .-{skip}" if skip else f"{base}:")
        for at in range(skip, size, 16):
            self.out.append("\t.byte " + ",".join(f"{byte:#x}" for byte in data[at:at + 16]))
        for label, reference, early in todo:
            self._refer(label, reference, origin, function, early)

    # ------------------------------------------------------------------ references

    def _refer(self, label: str, reference: Reference, origin: int, function: Symbol | None, early: bool) -> None:
        if reference.type not in _RELOC:
            raise Refused(f"a relocation of type {reference.type}, which is not known here")
        if reference.name.startswith(_THUNKS):
            return self._thunk(label, reference, function)
        own = self._own(reference, function)
        if own is not None:
            return self._to_own(label, reference, own, function)
        place = self.resolver.place(reference)
        assert place is not None
        if early:
            return self._by_loader(label, reference, place, function)
        self._to_kernel(label, reference, place, origin, function)

    def _own(self, reference: Reference, function: Symbol | None) -> tuple[str, int] | None:
        """(label, distance) if the reference is to something of this module's."""
        symbol = reference.symbol
        if reference.kind is Kind.SYMBOL and symbol and symbol.type == FUNC:
            return self._own_function(reference, symbol, function)
        other = self.resolver.label(reference.name) if reference.kind is Kind.EXTERN else None
        if other:
            return self._of_another(other, reference, function)
        if self.resolver.place(reference) is not None:
            self._no_table_of_jumps(reference)
            return None
        if symbol:
            return self._own_object(reference, symbol)
        return self._own_constant(reference)

    def _own_function(self, reference: Reference, symbol: Symbol, function: Symbol | None) -> tuple[str, int] | None:
        kept = self._covering(symbol.section, symbol.value + reference.delta)
        if kept:
            delta = symbol.value + reference.delta - kept.value
            if delta == 0 and kept.name in self.entries:
                return None		# by way of the hook, where it is counted
            return self._kept(reference, kept, delta, function)
        if self.resolver.of_function(symbol) is not None:
            if reference.delta:
                raise Refused(f"a reference into the middle of {symbol.name}()")
            return None
        self.keep(symbol)
        return self._kept(reference, symbol, reference.delta, function)

    def _covering(self, section: int, offset: int) -> Symbol | None:
        """The function of ours that is there, under whatever name the reference has it: two may be one."""
        return next((kept for kept in self.kept if kept.section == section and
                     kept.value <= offset < kept.value + kept.size), None)

    def _in_code(self, reference: Reference, function: Symbol | None) -> bool:
        """Does the reference stand in the function's code, not in a table about it?"""
        return function is not None and reference.where == function.section and \
            function.value <= reference.offset < function.value + function.size

    def _kept(self, reference: Reference, symbol: Symbol, delta: int, function: Symbol | None) -> tuple[str, int]:
        """Of our own functions no address may be kept: it would outlive the module."""
        in_code = self._in_code(reference, function)
        own = function is not None and parent(function.name) == parent(symbol.name) and not (in_code and delta == 0)
        called = in_code and function is not None and is_call(self.unit, function, reference)
        beside = bool(delta) and bool(self.unit.obj.sections[reference.where].flags & EXEC)	# jumps back
        if not own and not called and not beside and not (in_code and self._in_frame(reference, symbol, function)):
            raise Refused(f"the address of {symbol.name}() would be kept, and could outlive the module")
        return self._label(symbol.section, symbol.value), delta

    def _in_frame(self, reference: Reference, symbol: Symbol, function: Symbol | None) -> bool:
        """Does a function write its own address where KASAN has it, in its frame on the stack, behind a mark? It is gone when
        the function returns."""
        code = self.unit.obj.bytes(self.unit.obj.sections[reference.where])
        return function is not None and parent(function.name) == parent(symbol.name) and \
            _FRAME in code[max(function.value, reference.offset - 128):reference.offset]

    def _of_another(self, label: str, reference: Reference, function: Symbol | None) -> tuple[str, int]:
        """Something that another file of the change adds: data, or a function, which may only be called."""
        called = self._in_code(reference, function) and function is not None and is_call(self.unit, function, reference)
        if not called and self.resolver.is_function(reference.name):
            raise Refused(f"the address of {reference.name}() would be kept, and could outlive the module")
        return label, reference.delta

    def _own_object(self, reference: Reference, symbol: Symbol) -> tuple[str, int]:
        return self._own_datum(symbol), reference.delta

    def _own_datum(self, symbol: Symbol) -> str:
        section = self.unit.obj.sections[symbol.section]
        if not section.name.startswith(_OWN_DATA) or not symbol.size:
            raise Refused(f"it adds {symbol.name} to {section.name or 'no section'}, which a module cannot bring")
        key = (symbol.section, symbol.value)
        if key not in self.data:
            self.resolver.bring(symbol)
            self.data[key] = symbol.size
            self.arm.copied.append(symbol.name)
        return self._label(*key)

    def _own_constant(self, reference: Reference) -> tuple[str, int]:
        """A constant that the kernel's code does not have, or data or code without a name."""
        if (reference.where, reference.offset) in self._empty:
            return f".L{self.prefix}_nothing", 0
        if reference.kind is Kind.CONSTANT:
            key, size = (reference.section, reference.delta), len(self.unit.constant(reference))
        else:
            key = (reference.section, reference.delta)
            size = self.unit.anonymous_end(*key) - reference.delta
            name = self.unit.obj.sections[reference.section].name
            if self.unit.writable(reference.section) and name.startswith((".data", ".bss")) and "Lubsan" not in name:
                raise Refused(f"data without a name in {name}, which would be there twice")
        self.data.setdefault(key, size)
        return self._label(*key), 0

    def _no_table_of_jumps(self, reference: Reference) -> None:
        """The kernel's table of places inside a function leads into the kernel's function."""
        symbol = reference.symbol
        if reference.kind is Kind.EXTERN or (symbol and symbol.type == FUNC):
            return
        section = self.unit.obj.sections[reference.section]
        if section.flags & EXEC:
            return
        start = symbol.value if symbol else reference.delta
        size = symbol.size if symbol else self.unit.anonymous_end(reference.section, reference.delta) - start
        for other in self.unit.references(reference.section, start, size):
            if other.symbol and other.symbol.type == FUNC and other.delta:
                raise Refused(f"{symbol.name if symbol else 'a table'} leads into the middle of {other.name}()")

    def _to_own(self, label: str, reference: Reference, own: tuple[str, int], function: Symbol | None) -> None:
        name, distance = own
        if reference.width == 1:
            raise Refused(f"a short jump from {function.name if function else 'data'} to {reference.name}")
        kept = self._covering(reference.section, reference.symbol.value + reference.delta) if reference.symbol else None
        interior = function is not None and kept is not None and parent(kept.name) == parent(function.name)
        if function is not None and self._leaves(function, reference) and not interior and not self._is_aux(reference):
            name, distance = self._stub(name, distance, -1), 0
            self.out.append(f"\t.reloc {label}, {_RELOC[reference.type]}, {name}-4")
            return
        self.out.append(f"\t.reloc {label}, {_RELOC[reference.type]}, {name}{distance + reference.slack:+d}")
        self.arm.counted["own"] += 1

    def _is_aux(self, reference: Reference) -> bool:
        """Code without a name, which jumps back."""
        return reference.kind is Kind.ANONYMOUS

    def _leaves(self, function: Symbol, reference: Reference) -> bool:
        """Does an entry's code leave here, by a jump?"""
        if not self._is_entry(function) or not self._in_code(reference, function):
            return False
        data = self.unit.obj.bytes(self.unit.obj.sections[function.section])
        at = reference.offset
        return reference.type in RELATIVE and \
            (data[at - 1] == 0xe9 or (data[at - 2] == 0x0f and data[at - 1] & 0xf0 == 0x80) or reference.width == 1)

    def _thunk(self, label: str, reference: Reference, function: Symbol | None) -> None:
        name = reference.name
        if function is not None and self._leaves(function, reference):
            name = self._stub(name, 0, -1)
        self.out.append(f"\t.reloc {label}, {_RELOC[reference.type]}, {name}{reference.delta + reference.slack:+d}")
        self.arm.counted["thunks"] += 1

    def _by_loader(self, label: str, reference: Reference, place: Place, function: Symbol | None) -> None:
        """What is needed before references are written: the loader can only bind what is exported."""
        name = reference.name
        data = self.unit.obj.bytes(self.unit.obj.sections[reference.where])
        if function and self._is_entry(function) and data[reference.offset - 1] == 0xe9:
            raise Refused(f"{function.name}(): an alternative leaves it by a jump")
        if name not in self.arm.exports.plain:
            raise Refused(f"{function.name if function else 'data'}(): an alternative refers to {name or 'a constant'}, "
                          "which is not exported")
        self.out.append(f"\t.reloc {label}, {_RELOC[reference.type]}, {name}{reference.delta + reference.slack:+d}")
        self.arm.counted["loader"] += 1

    def _to_kernel(self, label: str, reference: Reference, place: Place, origin: int, function: Symbol | None) -> None:
        if place.linked:
            return self._to_linked(label, reference, function)
        if self.resolver.placement.linked and origin == _FROM_HERE:
            raise Refused(f"a table refers to {place.name}, which the linker cannot find")
        symbol = self.arm.symbol(place, self.resolver.placement.kernel)
        addend = reference.delta + reference.slack
        if function is not None and self._leaves(function, reference):
            if reference.width == 1:
                raise Refused(f"a short jump from {function.name}() to its neighbour {reference.name}()")
            self.out.append(f"\t.reloc {label}, {_RELOC[reference.type]}, "
                            f"{self._stub(self._visible(reference), reference.delta, symbol)}-4")
            return
        if reference.width == 1:
            raise Refused(f"a short reference to {reference.name}")
        self.out.append(f"\t.reloc {label}, {_RELOC[reference.type]}, {self._visible(reference)}{addend:+d}")
        self.arm.fixes.append((label, _FIX[reference.type], origin, symbol, addend))
        self.arm.counted["table"] += 1

    def _to_linked(self, label: str, reference: Reference, function: Symbol | None) -> None:
        """What the linker finds, as the bodies become a part of the kernel itself."""
        to = f"{reference.name}{reference.delta + reference.slack:+d}"
        if function is not None and self._leaves(function, reference):
            to = f"{self._stub(reference.name, reference.delta, -1)}-4"
        self.out.append(f"\t.reloc {label}, {_RELOC[reference.type]}, {to}")
        self.arm.counted["linked"] += 1

    def _visible(self, reference: Reference) -> str:
        """The symbol that objtool sees: by their names it knows functions that do not return."""
        name = reference.name
        if reference.kind is not Kind.EXTERN or reference.type not in (R_PC32, R_PLT32) or \
           name.startswith("__SCT__") or name in self.arm.exports.namespaced:
            return _LATER
        self.arm.weak.add(name)
        return name

    def _stub(self, to: str, delta: int, symbol: int) -> str:
        """Where code that leaves goes to be counted, and on to where it went."""
        return self.stubs.setdefault((to, delta, symbol), f"{self.prefix}_leave{len(self.stubs)}")

    def _stubs(self) -> None:
        for (to, delta, symbol), stub in self.stubs.items():
            self.out.append(f'\t.section .text, "ax", @progbits\n\t.type {stub}, @function\n{stub}:\n'
                            f"\tincq %gs:{self.arm.count(8)}(%rip)\n.L{stub}:\n\t.byte 0xe9,0,0,0,0\n"
                            f"\t.reloc .L{stub}+1, R_X86_64_PLT32, {to}{delta - 4:+d}\n\tUPLIFT_SLS\n\t.size {stub}, .-{stub}")
            if symbol >= 0:
                self.arm.fixes.append((f".L{stub}+1", _FIX[R_PLT32], _FROM_TEXT, symbol, delta - 4))

    # ------------------------------------------------------------------ side tables

    def _entry(self, function: Symbol, entry: Entry) -> None:
        section = self.unit.obj.sections[entry.section]
        if entry.table.startswith("runtime_"):
            return self._runtime(entry)
        flags = "".join(letter for bit, letter in ((ALLOC, "a"), (1, "w")) if section.flags & bit)
        flags, size = (flags + "M", f", {section.entsize}") if section.flags & 0x10 and section.entsize else (flags, "")
        self.out.append(f'\t.pushsection {entry.table}, "{flags}", @progbits{size}')
        if entry.table == ".altinstructions":
            self._replacement(function, entry)
        self._emit(entry.section, entry.start, entry.size, _FROM_HERE, function)
        self.out.append("\t.popsection")
        self.arm.counted[entry.table] += 1

    def _runtime(self, entry: Entry) -> None:
        """A constant that the kernel has written into its own code at boot."""
        _, what, name = entry.table.split("_", 2)
        place = self.resolver.place(Reference(Kind.EXTERN, 0, 0, 8, R_64, 0, 0, 0, _named(name)))
        assert place is not None
        label = f"{self._label_of(entry)}"
        self.arm.fixes.append((label, _FIX_POINTER if what == "ptr" else _FIX_SHIFT, _FROM_TEXT,
                               self.arm.symbol(place, self.resolver.placement.kernel), 0))
        self.arm.counted["runtime constants"] += 1

    def _label_of(self, entry: Entry) -> str:
        function = self.unit.obj.at(entry.code, entry.offset)
        assert function is not None
        return f"{self._label(function.section, function.value)}+{entry.offset - function.value}"

    def _replacement(self, function: Symbol, entry: Entry) -> None:
        """The code that an alternative puts into the place."""
        reference = self.unit.references(entry.section, entry.start, entry.size)[1]
        length = self.unit.obj.bytes(self.unit.obj.sections[entry.section])[entry.start + entry.size - 1]
        key = (reference.section, reference.delta)
        if not length:
            return self._no_replacement(reference)
        if key in self._written:
            return
        self._written.add(key)
        self.out.append('\t.pushsection .altinstr_replacement, "ax", @progbits')
        self._emit(*key, length, _FROM_HERE, function, [(key[1], key[1] + length)])
        self.out.append("\t.popsection")

    def _no_replacement(self, reference: Reference) -> None:
        """Nothing is put into the place. It has a label of its own: where it stands the next replacement begins."""
        if not self._empty:
            self.out.append(f'\t.pushsection .altinstr_replacement, "ax", @progbits\n.L{self.prefix}_nothing:\n\t.popsection')
        self._empty.add((reference.where, reference.offset))

    # ------------------------------------------------------------------ data

    def _data(self) -> None:
        """Objects and constants of our own, and what these refer to."""
        while todo := [key for key in self.data if key not in self._written]:
            for key in todo:
                self._written.add(key)
                self._datum(*key, self.data[key])

    def _datum(self, index: int, start: int, size: int) -> None:
        section = self.unit.obj.sections[index]
        name, flags, kind = self._home(section.name, section.flags, bool(self.unit.references(index, start, size)))
        align = 1 if section.flags & EXEC else max(1, min(64, section.align))
        self.out.append(f'\t.section {name}, "{flags}", @{kind}\n\t.balign {align}')
        if section.type == NOBITS:
            self.out.append(f"{self._label(index, start)}:\n\t.zero {size}")
        else:
            self._emit(index, start, size, _FROM_HERE)
        self.arm.counted["data, bytes"] += size

    def _home(self, name: str, flags: int, refers: bool) -> tuple[str, str, str]:
        """The section of ours that data goes to."""
        if flags & EXEC:
            return ".altinstr_aux", "ax", "progbits"
        if name.startswith(".data..percpu"):
            return ".data..percpu", "aw", "progbits"
        if flags & 1 or refers:
            return ".data", "aw", "progbits"
        return ".rodata", "a", "progbits"


class _A64Body(_Body):
    """What one object of arm64 gives to an arm.

    Weak symbols that stay 0 are out of an instruction's reach, which the loader refuses: references to the kernel are in the
    table only. A call leads to a veneer, which reaches everywhere, until the table is applied: then it leads to the function
    itself if that is near enough.
    """

    def __init__(self, arm: Arm, resolver: Resolver, entries: dict[str, int], prefix: str) -> None:
        super().__init__(arm, resolver, entries, prefix)
        self._veneers: dict[tuple[int, int], str] = {}
        self._loaded_first = False		# a table that is applied before references are written

    # ------------------------------------------------------------------ code

    def _function(self, function: Symbol) -> None:
        self._leaves_by_thunks(function)
        name, skip = self._name(function), self._skip(function) if function.name in self.entries else 0
        away = (self._address(function) + skip) % 64
        self.out.append(f'\t.section .text, "ax", @progbits\n\t.balign 64\n\t.fill {away // 4}, 4, {a64.NOP:#x}\n'
                        f"\t.globl {name}\n\t.type {name}, @function\n{name}:")
        tables = self.unit.tables.about(function)
        self._emit(function.section, function.value, function.size, _FROM_TEXT, function, self._patched(tables), skip)
        self.out.append(f"\t.size {name}, .-{name}")
        self.arm.counted["code, bytes"] += function.size
        for entry in tables:
            self._entry(function, entry)

    def _leaves_by_thunks(self, function: Symbol) -> None:
        """Each return is led elsewhere; a jump by a register must be one of a switch, which begins at a place in the function."""
        data = self.unit.obj.bytes(self.unit.obj.sections[function.section])
        jumps = places = 0
        for at, word in a64.words(data, [(function.value, function.value + function.size)]):
            jumps += a64.goes_by_register(word)
            distance = a64.near(word)
            if distance is None:
                continue
            if not function.value <= at + distance < function.value + function.size:
                raise Refused(f"{function.name}() refers to a place beside it")
            places += 1
        if self._is_entry(function) and jumps > places:
            raise Refused(f"{function.name}() may leave by a jump to an address in a register, which could not be counted")

    def _skip(self, function: Symbol) -> int:
        site = self.unit.obj.site(function)
        if site is None:
            raise Refused(f"{function.name}() does not begin with an ftrace site")
        return site

    def _emit(self, section: int, start: int, size: int, origin: int, function: Symbol | None = None,
              patched: list[tuple[int, int]] | None = None, skip: int = 0) -> None:
        here = self.unit.obj.sections[section]
        data = bytearray(self.unit.obj.bytes(here)[start:start + size])
        base = self._label(section, start)
        todo = []
        for reference in self.unit.references(section, start, size):
            blank(data, reference.offset - start, reference.type, reference.width)
            early = any(low <= reference.offset < high for low, high in patched or ())
            todo.append((f"{base}+{reference.offset - start}", reference, early))
        self.out.append(f"\t.set {base}, .-{skip}" if skip else f"{base}:")
        if here.flags & EXEC:
            self._code(data, skip, function, section == (function.section if function else -1), start)
        else:
            for at in range(skip, size, 16):
                self.out.append("\t.byte " + ",".join(f"{byte:#x}" for byte in data[at:at + 16]))
        for label, reference, early in todo:
            self._refer(label, reference, origin, function, early)

    def _code(self, data: bytearray, skip: int, function: Symbol | None, counted: bool, start: int) -> None:
        """Instructions; what returns from an entry goes on in a stub that counts."""
        lead = function is not None and counted and self._is_entry(function) and start == function.value
        for at, word in a64.words(bytes(data), [(skip, len(data))]):
            if lead and a64.returns(word):
                if word != a64._RET | 30 << 5:
                    raise Refused("it returns to an address that is not in x30")
                self.out.append(f"\tb {self._stub('', 0, -1)}")
            else:
                self.out.append(f"\t.inst {word:#x}")

    # ------------------------------------------------------------------ references

    def _refer(self, label: str, reference: Reference, origin: int, function: Symbol | None, early: bool) -> None:
        super()._refer(label, reference, origin, function, early or self._loaded_first)

    def _leaves(self, function: Symbol, reference: Reference) -> bool:
        if not self._is_entry(function) or not self._in_code(reference, function):
            return False
        return reference.type in a64.BRANCHES and reference.type != a64.CALL26

    def _to_own(self, label: str, reference: Reference, own: tuple[str, int], function: Symbol | None) -> None:
        name, distance = own
        kept = self._covering(reference.section, reference.symbol.value + reference.delta) if reference.symbol else None
        interior = function is not None and kept is not None and parent(kept.name) == parent(function.name)
        if function is not None and self._leaves(function, reference) and not interior and not self._is_aux(reference):
            name, distance = self._stub(name, distance, -1), 0
        self.out.append(f"\t.reloc {label}, {_RELOC[reference.type]}, {name}{distance:+d}")
        self.arm.counted["own"] += 1

    def _by_loader(self, label: str, reference: Reference, place: Place, function: Symbol | None) -> None:
        if function and self._leaves(function, reference):
            raise Refused(f"{function.name}(): an alternative leaves it by a jump")
        super()._by_loader(label, reference, place, function)

    def _to_kernel(self, label: str, reference: Reference, place: Place, origin: int, function: Symbol | None) -> None:
        if place.linked:
            return self._to_linked(label, reference, function)
        if self.resolver.placement.linked and origin == _FROM_HERE:
            raise Refused(f"a table refers to {place.name}, which the linker cannot find")
        symbol = self.arm.symbol(place, self.resolver.placement.kernel)
        if function is not None and self._leaves(function, reference):
            if reference.type != a64.JUMP26:
                raise Refused(f"a conditional branch from {function.name}() to its neighbour {reference.name}()")
            stub = self._stub(reference.name, reference.delta, symbol)
            self.out.append(f"\t.reloc {label}, R_AARCH64_JUMP26, {stub}")
            return
        if reference.type not in _FIX:
            raise Refused(f"a reference to {reference.name} of type {reference.type}, which is not known here")
        if reference.type in a64.BRANCHES:
            self.out.append(f"\t.reloc {label}, {_RELOC[reference.type]}, {self._veneer(symbol, reference.delta)}")
        self.arm.fixes.append((label, _FIX[reference.type], origin, symbol, reference.delta))
        self.arm.counted["table"] += 1

    def _to_linked(self, label: str, reference: Reference, function: Symbol | None) -> None:
        to = f"{reference.name}{reference.delta:+d}"
        if function is not None and self._leaves(function, reference):
            to = self._stub(reference.name, reference.delta, -1)
        self.out.append(f"\t.reloc {label}, {_RELOC[reference.type]}, {to}")
        self.arm.counted["linked"] += 1

    def _veneer(self, symbol: int, delta: int) -> str:
        return self._veneers.setdefault((symbol, delta), f".L{self.prefix}_veneer{len(self._veneers)}")

    def _stubs(self) -> None:
        for (to, delta, symbol), stub in self.stubs.items():
            self.out.append(f'\t.section .text, "ax", @progbits\n\t.balign 4\n\t.type {stub}, @function\n{stub}:\n'
                            f"\tuplift_count_leave {self.arm.count(8)}")
            if not to:
                self.out.append("\tret")
            elif symbol >= 0:
                self.out.append(f".L{stub}:\n\tb {self._veneer(symbol, delta)}")
                self.arm.fixes.append((f".L{stub}", _FIX[a64.JUMP26], _FROM_TEXT, symbol, delta))
            else:
                self.out.append(f"\tb {to}{delta:+d}" if delta else f"\tb {to}")
            self.out.append(f"\t.size {stub}, .-{stub}")
        for (symbol, delta), veneer in self._veneers.items():
            self.out.append(f'\t.section .text, "ax", @progbits\n\t.balign 4\n{veneer}:\n\t.inst 0x90000010\n'
                            "\t.inst 0x91000210\n\tbr x16")	# adrp x16, 0; add x16, x16, 0
            for at, kind in ((0, a64.ADR_PAGE), (4, a64.ADD_LO12)):
                self.arm.fixes.append((f"{veneer}+{at}", _FIX[kind], _FROM_TEXT, symbol, delta))

    # ------------------------------------------------------------------ side tables

    def _entry(self, function: Symbol, entry: Entry) -> None:
        self._loaded_first = entry.table == ".altinstructions"
        try:
            super()._entry(function, entry)
        finally:
            self._loaded_first = False

    def _runtime(self, entry: Entry) -> None:
        raise Refused(f"a constant that the kernel writes into its code at boot ({entry.table})")

    def _replacement(self, function: Symbol, entry: Entry) -> None:
        """One that calls back has a function of the kernel's in the place of its replacement."""
        data = self.unit.obj.bytes(self.unit.obj.sections[entry.section])
        if not data[entry.start + 9] & 0x80:
            super()._replacement(function, entry)


def _named(name: str) -> Symbol:
    return Symbol(0, name, 0, 0, 0, 1, 0)

