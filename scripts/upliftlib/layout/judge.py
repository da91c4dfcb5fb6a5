# SPDX-License-Identifier: GPL-2.0-only
"""Which types may be made of any bytes, and turned into bytes; and if not, which field stands in the way.

from		every pattern of bits is a value: no pointer, bool or enum, and no bit-field with forbidden values
into		every bit belongs to a member, whichever members of unions were written: no hole, no tail padding, no
		uneven union
unaligned	its alignment is 1
order		fields of one byte order, where it has any that name one (__be32, __le32, struct layout_be32)

All of it is said of nested types as well. Padding of a struct that was copied out is not a leak until something is in it:
nothing here looks for leaks.
"""

import dataclasses
import re
from collections.abc import Iterator
from typing import NamedTuple

from ..base.errors import Problem
from ..kernel.btf_types import Kind, Member, Types

_ORDER = re.compile(r"__(be|le)(?:16|32|64)")
_OURS = re.compile(r"layout_(be|le)(?:16|32|64)")
_WORDS = {"be": "big", "le": "little"}
# of the internet's: the same in either order
_CHECKSUMS = frozenset(("__sum16", "__wsum"))
_SCALARS = (Kind.INT, Kind.PTR, Kind.ENUM, Kind.ENUM64, Kind.FLOAT)
_MOST = 1 << 17		# members of members: no struct has as many, BTF that doubles them 40 times over would


@dataclasses.dataclass(frozen=True)
class Fault:
    """Why a type is not what it would be good for it to be."""
    of: str		# from, into, unaligned, order
    rule: str		# pointer, bool, enum, bit-field, hole, tail, union, unknown, float, alignment, order
    path: str		# of the member; of a hole, the one that it follows; "" for the type itself
    bit: int		# from the start of the outermost struct
    bits: int
    text: str

    def moved(self, prefix: str, bit: int) -> "Fault":
        """As it is seen in a struct that has this one as its member `prefix`."""
        path = f"{prefix}.{self.path}".strip(".") if not self.path.startswith("[") else prefix + self.path
        return dataclasses.replace(self, path=path, bit=self.bit + bit)


class Gap(NamedTuple):
    """Bits of a struct that are no member's, or of a union that are not this one's."""
    rule: str			# hole, tail, union
    behind: Member | None	# None at the very start
    bit: int
    bits: int


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The checker's word on one type."""
    name: str
    size: int
    from_bytes: bool
    into_bytes: bool
    unaligned: str	# yes; likely: unless declared __aligned, which BTF does not keep; unknown: either is as likely; no
    order: str		# big, little, native, bytes (nothing is wider than one), mixed
    faults: tuple[Fault, ...]


class _Facts(NamedTuple):
    """What of a type is needed to judge those that have it as a member."""
    from_bytes: bool
    into_bytes: bool
    align: int			# at most, if nothing is declared __aligned
    least: int			# its alignment is not below this, if nothing is declared __packed but what shows it
    orders: frozenset[str]	# of fields wider than a byte
    fields: int = 1		# that it has in all


_UNKNOWN = _Facts(False, False, 1 << 30, 1, frozenset(("native",)))


class Judge:
    """Judges the types of one file; each is looked at once."""

    def __init__(self, types: Types) -> None:
        self.types = types
        self._facts: dict[int, _Facts | None] = {}

    # --- facts: what can be told without a path ---

    def _of(self, index: int) -> _Facts:
        """Facts of a type by number."""
        if index in self._facts:
            found = self._facts[index]
            if found is None:
                raise Problem(f"{self.types.where}: BTF that contradicts itself: {self.types.spell(index)} contains itself")
            return found
        self._facts[index] = None
        try:
            found = self._facts[index] = self._look(index)
        except RecursionError:
            raise Problem(f"{self.types.where}: BTF that contradicts itself: types nested too deep") from None
        return found

    def _look(self, index: int) -> _Facts:
        types = self.types
        stripped, names = types.strip(index)
        order = named_order(names)
        kind = types.kind(stripped)
        if kind == Kind.ARRAY:
            element, count = types.array(stripped)
            facts = self._of(element)
            # no element, no field: what it is made of still tells what is behind the end of the struct
            return facts if count else facts._replace(into_bytes=True)
        if kind in (Kind.STRUCT, Kind.UNION):
            return self._struct(stripped, order)
        return self._scalar(stripped, 0, order)

    def _scalar(self, index: int, bits: int, order: str) -> _Facts:
        kind, size = self.types.kind(index), self.types.size(index)
        if kind not in _SCALARS:
            # void, or a struct that is only declared: nothing has such a member
            return _UNKNOWN
        wide = frozenset([order or "native"]) if order != "any" and (bits or size > 1) else frozenset()
        padded = kind == Kind.FLOAT and size > 8
        return _Facts(not self._forbidden(index, bits), not padded, min(size, 2 * self.types.pointer_size) or 1,
                      min(_power(size), self.types.pointer_size) if size else 1, wide)

    def _forbidden(self, index: int, bits: int) -> str:
        """The rule that a scalar breaks, of those on values; "" for none."""
        types = self.types
        kind = types.kind(index)
        if kind == Kind.PTR:
            return "pointer"
        if kind == Kind.INT and types.is_bool(index):
            # of one bit, both values are good
            return "" if bits == 1 else "bool"
        if kind in (Kind.ENUM, Kind.ENUM64):
            return "" if self._all_numbers(index, bits or 8 * types.size(index)) else "bit-field" if bits else "enum"
        return "float" if kind == Kind.FLOAT and types.size(index) > 8 else ""

    def _all_numbers(self, index: int, width: int) -> bool:
        """Does an enum of so many bits have a name for every number?"""
        if width > 16:
            return False
        sign = 1 << 8 * self.types.size(index) - 1
        values = set(self.types.enumerators(index).values())
        negative = {(value ^ sign) - sign for value in values}
        signed = self.types.is_signed(index)
        # before pahole 1.24 nothing told which it is
        doubtful = not signed and any(value & sign for value in values)
        return (signed or values >= set(range(1 << width))) and \
            (not (signed or doubtful) or negative >= set(range(-(1 << width - 1), 1 << width - 1)))

    def _member(self, member: Member) -> _Facts:
        if not member.bits:
            return self._of(member.type)
        return self._scalar(self.types.strip(member.type)[0], member.bits, "")

    def _struct(self, index: int, order: str) -> _Facts:
        types = self.types
        ours = _OURS.fullmatch(types.name(index))
        if ours:
            return _Facts(True, True, 1, 1, frozenset([_WORDS[ours[1]]]))
        if self._hidden(index):
            return _UNKNOWN
        members = [(member, self._member(member)) for member in types.members(index)]
        facts = [fact for _, fact in members]
        orders = frozenset([order]) if order else frozenset().union(*(fact.orders for fact in facts))
        fields = 1 + sum(fact.fields for fact in facts)
        if fields > _MOST:
            raise Problem(f"{types.where}: BTF that contradicts itself: {types.spell(index)} has more than {_MOST} members in it")
        return _Facts(all(fact.from_bytes for fact in facts),
                      all(fact.into_bytes for fact in facts) and not any(True for _ in self.gaps(index)),
                      self._align(index, members), self._least(index, members), orders, fields)

    def _align(self, index: int, members: list[tuple[Member, _Facts]]) -> int:
        """At most this, where nothing is declared __aligned: what its members ask for, and where they lie allows."""
        most = max((fact.align if member.bits else min(fact.align, _power(member.bit // 8)) for member, fact in members), default=1)
        return min(most, _power(self.types.size(index)))

    def _least(self, index: int, members: list[tuple[Member, _Facts]]) -> int:
        """Not below this, where no __packed is hidden: one that shows itself leaves 1."""
        least = max((fact.least for _, fact in members), default=1)
        shown = self.types.size(index) % least or any(self._shows_packed(member, fact) for member, fact in members)
        return 1 if shown else least

    def _shows_packed(self, member: Member, fact: _Facts) -> bool:
        """Does it lie where it would not without __packed?"""
        if member.bits:
            width = 8 * self.types.size(member.type)
            return member.bit % width + member.bits > width
        return bool(member.bit // 8 % fact.least)

    def _hidden(self, index: int) -> str:
        """Why nothing can be said of a struct, "" where it can: its members are elsewhere, or are no members of this."""
        if self.types.is_name_only(index):
            return "its members are not in this file: --base FILE names the kernel's types"
        at, end, union = 0, 8 * self.types.size(index), self.types.kind(index) == Kind.UNION
        if union and end and not self.types.members(index):
            return "its members are not in this file: gcc leaves out those of a transparent union"
        for member in self._in_order(index):
            if member.bit < at or member.bit + self._width(member) > end:
                return "its members lie upon each other or behind its end: BTF has no offsets from 512 MiB on"
            at = 0 if union else member.bit + self._width(member)
        return ""

    def _in_order(self, index: int) -> list[Member]:
        """Members by where they lie."""
        return sorted(self.types.members(index), key=lambda member: (member.bit, self._width(member)))

    def _width(self, member: Member) -> int:
        return member.bits or 8 * self.types.size(member.type)

    def gaps(self, index: int) -> Iterator[Gap]:
        """What no member of a struct covers, or some member of a union does not; nested types are not looked into."""
        end, at, before = 8 * self.types.size(index), 0, None
        if self.types.kind(index) == Kind.UNION:
            widths = [(member, self._width(member)) for member in self.types.members(index)]
            if end and not any(width for _, width in widths):
                # bit-fields without a name are no members
                yield Gap("tail", None, 0, end)
            for member, width in widths:
                if 0 < width < end:
                    yield Gap("union", member, width, end - width)
            return
        for member in self._in_order(index):
            if member.bit > at:
                yield Gap("hole", before, at, member.bit - at)
            at, before = max(at, member.bit + self._width(member)), member
        if at < end:
            yield Gap("tail", before, at, end - at)

    # --- faults: field by field ---

    def faults(self, index: int) -> Iterator[Fault]:
        """All that stands in the way of `from` and `into`; of an array, of one element."""
        stripped, names = self.types.strip(index)
        facts = self._of(index)
        if facts.from_bytes and facts.into_bytes:
            return
        kind = self.types.kind(stripped)
        if kind == Kind.ARRAY:
            element, count = self.types.array(stripped)
            yield from (fault.moved("[]", 0) for fault in self.faults(element) if count or fault.of == "from")
        elif kind in (Kind.STRUCT, Kind.UNION):
            yield from self._struct_faults(stripped)
        else:
            yield from self._scalar_faults(stripped, 0)

    def _scalar_faults(self, index: int, bits: int) -> Iterator[Fault]:
        rule, width = self._forbidden(index, bits), bits or 8 * self.types.size(index)
        if self.types.kind(index) not in _SCALARS:
            yield from (Fault(of, "unknown", "", 0, 0, "no type that a member can have") for of in ("from", "into"))
        if rule:
            yield Fault("from", rule, "", 0, width, _VALUES[rule].format(name=self.types.spell(index)))
        if rule == "float":
            yield Fault("into", rule, "", 0, width, "long double: has padding")

    def _struct_faults(self, index: int) -> Iterator[Fault]:
        hidden = self._hidden(index)
        if hidden:
            yield from (Fault(of, "unknown", "", 0, 8 * self.types.size(index), hidden) for of in ("from", "into"))
            return
        for gap in self.gaps(index):
            yield Fault("into", gap.rule, self._word(gap.behind), gap.bit, gap.bits, _gap(gap.rule, gap.bits, self._word(gap.behind)))
        for member in self.types.members(index):
            for fault in self._member_faults(member):
                yield fault.moved(self._word(member), member.bit)

    def _member_faults(self, member: Member) -> Iterator[Fault]:
        if member.bits:
            yield from self._scalar_faults(self.types.strip(member.type)[0], member.bits)
        else:
            yield from self.faults(member.type)

    @staticmethod
    def _word(member: Member | None) -> str:
        return member.name if member else ""

    def leaves(self, index: int, names: tuple[str, ...] = (), path: str = "", bit: int = 0) -> Iterator[tuple[str, int, int, str]]:
        """(path, bit, bits, byte order) of the fields that are wider than a byte; of an array, of one element."""
        stripped, more = self.types.strip(index)
        names = (*names, *more)
        kind = self.types.kind(stripped)
        ours = _OURS.fullmatch(self.types.name(stripped)) if kind == Kind.STRUCT else None
        if ours:
            yield path, bit, 8 * self.types.size(stripped), _WORDS[ours[1]]
        elif kind == Kind.ARRAY:
            yield from self.leaves(self.types.array(stripped)[0], names, f"{path}[]", bit)
        elif kind in (Kind.STRUCT, Kind.UNION) and self._hidden(stripped):
            yield path, bit, 8 * self.types.size(stripped), "native"
        elif kind in (Kind.STRUCT, Kind.UNION):
            for member in self.types.members(stripped):
                inner = f"{path}.{member.name}".strip(".") if member.name else path
                if member.bits:
                    # not even a named order tells where its bits are
                    yield inner, bit + member.bit, member.bits, "native"
                else:
                    yield from self.leaves(member.type, (), inner, bit + member.bit)
        elif kind in _SCALARS and self.types.size(stripped) > 1:
            order = named_order(names) or "native"
            if order != "any":
                yield path, bit, 8 * self.types.size(stripped), order

    def _order_faults(self, index: int, said: str) -> Iterator[Fault]:
        for path, bit, bits, order in self.leaves(index):
            if order != said:
                what = f"{order}-endian" if order != "native" else "names no byte order"
                yield Fault("order", "order", path, bit, bits, f"{what}, beside {said}-endian fields")

    # --- the word ---

    def order(self, index: int) -> str:
        """big, little, native, bytes or mixed."""
        orders = self._of(index).orders
        return "bytes" if not orders else next(iter(orders)) if len(orders) == 1 else "mixed"

    def unaligned(self, index: int) -> str:
        """yes, likely, unknown or no."""
        size, facts = self.types.size(index), self._of(index)
        if size % 2:
            return "yes"
        padded = facts.align == 1 and any(gap.rule != "union" and not gap.bits % 8 for gap in self.gaps(index))
        if not size or facts.least > 1:
            return "no"
        return "unknown" if padded or facts.align > 1 else "likely"

    def verdict_of(self, index: int, name: str, faults: bool = True) -> Verdict:
        """The word on a type by number."""
        facts, order = self._of(index), self.order(index)
        found: list[Fault] = []
        if faults:
            found = list(self.faults(index))
            if order == "mixed":
                said = next((order for _, _, _, order in self.leaves(index) if order != "native"), "")
                found += self._order_faults(index, said)
            found.sort(key=lambda fault: fault.bit)
        return Verdict(name, self.types.size(index), facts.from_bytes, facts.into_bytes, self.unaligned(index), order,
                       tuple(found))

    def numbers(self, name: str) -> list[int]:
        """The types of a name: "struct foo", "foo" of any kind; one for each layout that it has."""
        structs = self.types.structs()
        found = [index for spelled in (name, f"struct {name}", f"union {name}") for index in structs.get(spelled, ())]
        kinds: dict[tuple[object, ...], int] = {}
        for index in found:
            kinds.setdefault(self.shape(index), index)
        return list(kinds.values())

    def shape(self, index: int) -> tuple[object, ...]:
        """What two definitions of one name have to share to be the same to us."""
        types = self.types
        return (types.kind(index), types.size(index),
                *((member.name, member.bit, member.bits, types.size(member.type), types.spell(member.type))
                  for member in types.members(index)))

    def verdict(self, name: str) -> Verdict:
        """The word on a struct by name; where there are several of that name, on the first; a Problem where there is none."""
        found = self.numbers(name)
        if not found:
            raise Problem(f"no struct or union '{name}' in {self.types.where}")
        return self.verdict_of(found[0], self.types.tag(found[0]) or name)

    def verdicts(self) -> Iterator[Verdict]:
        """The word on every struct and union with a name, without reasons."""
        for name, found in sorted(self.types.structs().items()):
            for index in dict.fromkeys(found):
                yield self.verdict_of(index, name, faults=False)


def named_order(names: tuple[str, ...]) -> str:
    """big, little or any, where one of these typedefs names a byte order, as sparse's types do."""
    for name in names:
        match = _ORDER.fullmatch(name)
        if match:
            return _WORDS[match[1]]
        if name in _CHECKSUMS:
            return "any"
    return ""


def _power(number: int) -> int:
    """The largest power of two that divides a number; of 0, any."""
    return number & -number or 1 << 30


_VALUES = {"pointer": "pointer: bytes are no address", "bool": "bool: only 0 and 1 are values",
           "enum": "{name}: not all numbers are values", "bit-field": "bit-field of {name}: not all numbers are values",
           "float": "long double: not all patterns are numbers"}


def amount(bits: int) -> str:
    """"3 bytes", "5 bits" """
    count, unit = (bits, "bit") if bits % 8 else (bits // 8, "byte")
    return f"{count} {unit}{'s' if count != 1 else ''}"


def _gap(rule: str, bits: int, before: str) -> str:
    if rule == "union":
        return f"uneven union: {before or 'a member without a name'} leaves {amount(bits)} unwritten"
    return f"{'tail padding' if rule == 'tail' else 'hole'}: {amount(bits)}"
