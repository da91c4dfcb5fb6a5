# SPDX-License-Identifier: GPL-2.0-only
"""What a patch changes, as the compiler sees it: an object before and after, compared symbol by symbol.

Functions are equal if their bytes are and all that they refer to corresponds. What the compiler numbers (static locals,
clones) shifts with the smallest change, so that names do not decide: two objects correspond if equal functions refer to
them at the same place, or else by name, owner and order. What remains ambiguous is refused.
"""

from __future__ import annotations

import collections
import dataclasses

from . import a64
from .objects import ALLOC, EXEC, FUNC, LOCAL, OBJECT, RELATIVE, Refused, Symbol, blank
from .references import Entry, Kind, Reference, Unit, base_name, is_clone, is_numbered, parent

Pairs = dict[Symbol, Symbol]		# of the changed object -> of the unchanged one

# What says that a warning or message has been given once, or may be given: a second one of these does no harm.
SPARE = {"__already_done", "__print_once", "__warned", "__UNIQUE_ID_ddebug", "descriptor", "_rs"}

# Data whose contents hold lines of the source, or that belongs to what a module has of its own.
_NOT_COMPARED = ("__dyndbg", ".data..Lubsan", ".data.Lubsan", "alloc_tags", ".init", ".exit", ".modinfo", "__ksymtab", ".discard",
                 "__patchable", "__mcount", ".export_symbol", ".note", "__syscalls_metadata", ".printk_index")


class Differs(Exception):
    """Two pieces of code or data are not the same; the text says in what."""


@dataclasses.dataclass
class Difference:
    """What is not the same.

    changed: functions that both objects have, without cold parts
    added: functions that only the changed object has
    values: objects of the kernel whose initial value, or size, changes
    """
    changed: list[str]
    added: list[str]
    values: list[str]

    def __bool__(self) -> bool:
        return bool(self.changed or self.added or self.values)


class Comparison:
    """An unchanged unit and a changed one."""

    def __init__(self, old: Unit, new: Unit) -> None:
        self.old, self.new = old, new
        self.pairs: Pairs = {}
        self._paired: dict[Symbol, Symbol] = {}		# the other way round
        self.equal: set[str] = set()
        self.why: dict[str, str] = {}
        if new.obj.machine == a64.MACHINE:
            _same_distances(old, new)
        self._pair_unique()
        self._pair_functions()
        self._pair_rest()
        self._values = self._changed_values()

    # ------------------------------------------------------------------ pairing

    def _pair(self, new: Symbol, old: Symbol) -> None:
        self.pairs[new] = old
        self._paired[old] = new

    def _pair_unique(self) -> None:
        """Symbols with a name of their own, which only one object has under it on each side."""
        for name, found in self.new.obj.by_name.items():
            others = self.old.obj.by_name.get(name, [])
            if len(found) == len(others) == 1 and found[0].type == others[0].type and \
               (not is_numbered(name) or found[0].type == FUNC):
                self._pair(found[0], others[0])

    def _pair_functions(self) -> None:
        """Compare functions; those that are equal tell which numbered objects correspond."""
        for name, function in self.new.functions.items():
            if name in self.old.functions:
                self._try(name, self.old.functions[name], function)
        # a cold part that differs is its function's difference
        for name in list(self.why):
            if parent(name) != name:
                self.equal.discard(parent(name))
                self.why.setdefault(parent(name), self.why[name])

    def _try(self, name: str, old: Symbol, new: Symbol) -> None:
        learnt: Pairs = {}
        try:
            _Code(self, learnt).functions(old, new)
        except Differs as why:
            self.why[name] = str(why)
            return
        for ours, theirs in learnt.items():
            self._pair(ours, theirs)
        self.equal.add(name)

    def _pair_rest(self) -> None:
        """Numbered objects that only changed functions refer to: by name, owner and order."""
        for name, function in self.new.functions.items():
            if name in self.why and name in self.old.functions:
                self._pair_owned(self.old.functions[name], function)

    def _numbered(self, unit: Unit, function: Symbol, known: dict[Symbol, Symbol]) -> dict[str, list[Symbol]]:
        found: dict[str, list[Symbol]] = collections.defaultdict(list)
        for reference in unit.of_function(function):
            symbol = reference.symbol
            if reference.kind is Kind.SYMBOL and symbol and symbol.type == OBJECT and is_numbered(symbol.name) and \
               symbol not in known and symbol not in found[base_name(symbol.name)]:
                found[base_name(symbol.name)].append(symbol)
        return {name: sorted(symbols, key=_number) for name, symbols in found.items()}

    def _pair_owned(self, old: Symbol, new: Symbol) -> None:
        before = self._numbered(self.old, old, self._paired)
        for name, symbols in self._numbered(self.new, new, self.pairs).items():
            others = before.get(name, [])
            if not others:
                continue	# new
            if not any(self.new.writable(symbol.section) for symbol in symbols):
                self._pair_constants(others, symbols)
                continue
            if len(others) != len(symbols):
                if name in SPARE:
                    continue
                raise Refused(f"{new.name}(): {len(others)} static objects {name} before and {len(symbols)} after: "
                              "which is which cannot be told")
            for ours, theirs in zip(symbols, others):
                if ours.size != theirs.size:
                    raise Refused(f"{new.name}(): the static object {name} changes its size")
                self._pair(ours, theirs)

    def _pair_constants(self, others: list[Symbol], symbols: list[Symbol]) -> None:
        """Constants by their contents. One that the kernel does not have is copied."""
        for ours in symbols:
            for theirs in others:
                if theirs not in self._paired and self._same_contents(theirs, ours):
                    self._pair(ours, theirs)
                    break

    def _same_contents(self, old: Symbol, new: Symbol) -> bool:
        try:
            _Code(self, {}, frozen=True).objects(old, new)
        except Differs:
            return False
        return True

    def pair_of(self, new: Symbol) -> Symbol | None:
        return self.pairs.get(new)

    def unpaired(self) -> list[Symbol]:
        """Symbols of the unchanged unit that nothing of the changed one corresponds to."""
        return [symbol for symbol in self.old.obj.symbols if symbol not in self._paired]

    # ------------------------------------------------------------------ what differs

    def _changed_values(self) -> list[str]:
        found = []
        for new, old in self.pairs.items():
            if new.type != OBJECT or self._skipped(new):
                continue
            try:
                _Code(self, {}, frozen=True).objects(old, new)
            except Differs as why:
                found.append(f"{base_name(new.name)} ({why})")
        return sorted(set(found))

    def _skipped(self, symbol: Symbol) -> bool:
        section = self.new.obj.sections[symbol.section]
        return not section.flags & ALLOC or section.name.startswith(_NOT_COMPARED) or \
            symbol.name.startswith(("__UNIQUE_ID", "__addressable", "___ksymtab", "__already_done", "__ksymtab"))

    def difference(self) -> Difference:
        """The functions and objects that are not the same, by name."""
        changed = sorted({parent(name) for name in self.why} & set(self.old.functions))
        added = sorted(name for name in self.new.functions if name not in self.old.functions and parent(name) == name)
        return Difference([name for name in changed if name in self.new.functions], added, self._values)


def _same_distances(old: Unit, new: Unit) -> None:
    """Refused where objects of a file do not lie as they did: arm64's code reaches those of a section from one of them, by
    distances that no reference tells."""
    names: list[dict[tuple[str, int], str]] = []
    for unit in (old, new):
        names.append({(section.name, symbol.value): base_name(symbol.name) for section in unit.obj.sections
                      if section.name.startswith((".data", ".bss")) and section.flags & ALLOC
                      for symbol in unit.obj.named.get(section.index, ()) if symbol.type == OBJECT})
    before, after = names
    for place in sorted(before.keys() | after.keys()):
        if before.get(place) != after.get(place):
            raise Refused(f"it moves or adds static objects ({after.get(place) or before[place]}), which this architecture's "
                          "code reaches by their distance from each other")


def _number(symbol: Symbol) -> tuple[int, ...]:
    return tuple(int(word) for word in symbol.name.split(".")[1:] if word.isdigit())


class _Code:
    """Compares two pieces of code or data; what is learnt on the way about pairs is kept aside."""

    def __init__(self, comparison: Comparison, learnt: Pairs, frozen: bool = False) -> None:
        self._all, self.old, self.new = comparison, comparison.old, comparison.new
        self._learnt, self._frozen = learnt, frozen
        self._seen: set[tuple[int, int, int, int]] = set()

    def functions(self, old: Symbol, new: Symbol) -> None:
        if old.bind != new.bind:
            raise Differs("static or not")
        self._bytes(old, new)
        self._tables(old, new)

    def objects(self, old: Symbol, new: Symbol) -> None:
        self._bytes(old, new)

    def _bytes(self, old: Symbol, new: Symbol) -> None:
        if old.size != new.size:
            raise Differs("its size")
        name = self.old.obj.sections[old.section].name, self.new.obj.sections[new.section].name
        if base_name(name[0]) != base_name(name[1]) and not is_numbered(old.name):
            raise Differs(f"its section, {name[0]} and {name[1]}")
        self._range(old.section, old.value, new.section, new.value, new.size)

    def _range(self, old: int, start: int, new: int, begin: int, size: int) -> None:
        """The same bytes and references in two ranges."""
        ours = self.old.references(old, start, size)
        theirs = self.new.references(new, begin, size)
        if [(r.offset - start, r.width, r.type) for r in ours] != [(r.offset - begin, r.width, r.type) for r in theirs]:
            raise Differs("what it refers to")
        data = bytearray(self.old.obj.bytes(self.old.obj.sections[old])[start:start + size])
        other = bytearray(self.new.obj.bytes(self.new.obj.sections[new])[begin:begin + size])
        for reference in ours:
            at = reference.offset - start
            blank(data, at, reference.type, reference.width)
            blank(other, at, reference.type, reference.width)
        if data != other:
            raise Differs("its code" if self.old.obj.sections[old].flags & EXEC else "its contents")
        for one, two in zip(ours, theirs):
            self._same(one, two)

    def _same(self, old: Reference, new: Reference) -> None:
        if old.kind is not new.kind:
            raise Differs(f"what it refers to ({old.name or old.kind.value}, {new.name or new.kind.value})")
        if old.kind is Kind.CONSTANT:
            if self.old.constant(old) != self.new.constant(new):
                raise Differs("a constant")
            return
        if old.kind is Kind.ANONYMOUS:
            return self._anonymous(old, new)
        if old.delta != new.delta:
            raise Differs(f"where in {old.name} it refers to")
        if old.kind is Kind.EXTERN:
            if old.name != new.name:
                raise Differs(f"what it refers to ({old.name}, {new.name})")
            return
        assert old.symbol and new.symbol
        self._symbols(old.symbol, new.symbol)

    def _symbols(self, old: Symbol, new: Symbol) -> None:
        known = self._learnt.get(new) or self._all.pairs.get(new)
        if known:
            if known != old:
                raise Differs(f"what it refers to ({old.name}, {new.name})")
            return
        if base_name(old.name) != base_name(new.name) or old.type != new.type or old.size != new.size or \
           old in self._all._paired or old in self._learnt.values() or self._frozen:
            raise Differs(f"what it refers to ({old.name}, {new.name})")
        self._learnt[new] = old

    def _anonymous(self, old: Reference, new: Reference) -> None:
        """Data without a name: by its contents. Lines of the source, which the sanitizer's data holds, do not count."""
        key = (old.section, old.delta, new.section, new.delta)
        if key in self._seen:
            return
        self._seen.add(key)
        if "Lubsan" in self.old.obj.sections[old.section].name or self.old.obj.sections[old.section].flags & EXEC:
            if base_name(self.old.obj.sections[old.section].name).rstrip("0123456789") != \
               base_name(self.new.obj.sections[new.section].name).rstrip("0123456789"):
                raise Differs("what it refers to")
            return
        end = self.old.anonymous_end(old.section, old.delta), self.new.anonymous_end(new.section, new.delta)
        if end[0] - old.delta != end[1] - new.delta:
            raise Differs("data without a name")
        self._range(old.section, old.delta, new.section, new.delta, end[0] - old.delta)

    # ------------------------------------------------------------------ side tables

    def _tables(self, old: Symbol, new: Symbol) -> None:
        ours = [e for e in self.old.tables.about(old) if not e.table.startswith(".discard")]
        theirs = [e for e in self.new.tables.about(new) if not e.table.startswith(".discard")]
        if [(e.table, e.offset - old.value) for e in ours] != [(e.table, e.offset - new.value) for e in theirs]:
            raise Differs("the tables that belong to it")
        for one, two in zip(ours, theirs):
            if one.table == "__bug_table":
                self._bug(one, two)
            else:
                self._entry(one, two)

    def _bug(self, old: Entry, new: Entry) -> None:
        """File and line do not count, the flags do: the last two bytes."""
        one = self.old.obj.bytes(self.old.obj.sections[old.section])[old.start:old.start + old.size]
        two = self.new.obj.bytes(self.new.obj.sections[new.section])[new.start:new.start + new.size]
        if one[-2:] != two[-2:]:
            raise Differs("a warning's flags")

    def _entry(self, old: Entry, new: Entry) -> None:
        if old.size != new.size:
            raise Differs("the tables that belong to it")
        self._range(old.section, old.start, new.section, new.start, old.size)
        if old.table == ".altinstructions":
            self._replacement(old, new)

    def _replacement(self, old: Entry, new: Entry) -> None:
        """What an alternative would put in the place."""
        one, two = (unit.references(entry.section, entry.start, entry.size)[1]
                    for unit, entry in ((self.old, old), (self.new, new)))
        length = self.old.obj.bytes(self.old.obj.sections[old.section])[old.start + old.size - 1]
        if length:
            self._range(one.section, one.delta, two.section, two.delta, length)


# ---------------------------------------------------------------------- what to redirect

MOST = 48		# functions of one change


@dataclasses.dataclass
class Plan:
    """The functions to redirect, and for each the reason why it is one of them."""
    entries: dict[str, str]


def traceable(unit: Unit, function: Symbol) -> bool:
    """Does the function begin with a site of ftrace's?"""
    if unit.obj.machine == a64.MACHINE:
        return unit.obj.site(function) is not None
    return any(r.name == "__fentry__" and r.offset < function.value + 16 for r in unit.of_function(function))


def callers(unit: Unit, name: str) -> dict[str, bool]:
    """{function: True if it calls, False if it takes the address} of those that refer to a function of the file."""
    found: dict[str, bool] = {}
    wanted = unit.functions[name]
    for other in unit.functions.values():
        for reference in unit.of_function(other):
            if reference.symbol == wanted and parent(other.name) != name:
                called = is_call(unit, other, reference)
                found[parent(other.name)] = found.get(parent(other.name), True) and called
    return found


def is_call(unit: Unit, function: Symbol, reference: Reference) -> bool:
    """Is the reference a call's or a jump's, so that no address is kept?"""
    if reference.branch or reference.type in a64.BRANCHES:
        return True
    if reference.type not in RELATIVE:
        return False
    data = unit.obj.bytes(unit.obj.sections[function.section])
    at = reference.offset
    return data[at - 1] in (0xe8, 0xe9) or (data[at - 2] == 0x0f and data[at - 1] & 0xf0 == 0x80)


def plan(comparison: Comparison, difference: Difference) -> Plan:
    """Which functions have to be redirected for a difference. Refused, with the symbol, where that cannot be."""
    if difference.values:
        raise Refused(f"it changes the initial value of {difference.values[0]}: the kernel's object has its value already")
    entries: dict[str, str] = {}
    todo = [(name, "its code changes") for name in difference.changed]
    todo += [(name, "") for name in difference.added if name.endswith(tuple("0123456789")) and is_clone(name)]
    done = set()
    while todo:
        name, why = todo.pop()
        if name in done:
            continue
        done.add(name)
        if is_clone(name) or _inline(comparison, name):
            todo += [(caller, f"it calls {name}, which cannot be redirected") for caller in _callers(comparison, name)]
            continue
        if name in comparison.old.functions:
            _redirectable(comparison, name)
            entries[name] = why or "its code changes"
    for name in list(entries):
        if any(other in entries and other < name for other in _aliases(comparison, name)):
            del entries[name]		# one function of two names
    if len(entries) > MOST:
        raise Refused(f"{len(entries)} functions change, more than the {MOST} that one change may have")
    return Plan(dict(sorted(entries.items())))


def _inline(comparison: Comparison, name: str) -> bool:
    """An inline function that the compiler has left standing: it has no ftrace site, and its callers are in the file."""
    unit = comparison.new if name in comparison.new.functions else comparison.old
    function = unit.functions[name]
    return function.bind == LOCAL and not traceable(unit, function) and \
        not unit.obj.sections[function.section].name.startswith((".init", ".exit", ".noinstr"))


def _callers(comparison: Comparison, name: str) -> list[str]:
    """Who calls it in the changed file. Refused where its address is taken: who has that cannot be told."""
    found = callers(comparison.new, name)
    for caller, called in found.items():
        if not called:
            raise Refused(f"{name}() changes, whose address {caller}() takes and which cannot be redirected")
    return list(found)


def _aliases(comparison: Comparison, name: str) -> list[str]:
    """Other names of a function's code. Refused where they would no longer be one: the site is the same."""
    found = _at_same_place(comparison.old, name)
    for other in found:
        if other not in _at_same_place(comparison.new, name):
            raise Refused(f"{name}() changes, which is one with {other}() in this kernel")
    return found


def _at_same_place(unit: Unit, name: str) -> list[str]:
    wanted = unit.functions[name]
    return sorted(other.name for other in unit.functions.values()
                  if (other.section, other.value) == (wanted.section, wanted.value) and other.name != name)


def _redirectable(comparison: Comparison, name: str) -> None:
    old, new = comparison.old, comparison.new
    function = old.functions[name]
    section = old.obj.sections[function.section].name
    if section.startswith((".init", ".exit", ".meminit", ".ref")):
        raise Refused(f"{name}() changes, which is init code and has run already")
    if not traceable(old, function):
        raise Refused(f"{name}() changes, which cannot be traced (notrace, or too early)")
    if not traceable(new, new.functions[name]):
        raise Refused(f"{name}() becomes one that cannot be traced")
