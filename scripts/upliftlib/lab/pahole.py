# SPDX-License-Identifier: GPL-2.0-only
"""What pahole prints, as data, and what of it `uplift layout` has otherwise: the reference for sizes, offsets and padding."""

import dataclasses
import re
from collections.abc import Iterator

from ..kernel.btf_types import Kind, Types
from ..layout.judge import Judge

_PLACE = re.compile(r"^(\t+| +)(.*?);?\s*/\*\s+(\d+)(?::\s*(\d+))?\s+(\d+)\s*\*/$")
_SIZE = re.compile(r"^\s*/\* size: (\d+),.*\*/$")
_HOLE = re.compile(r"^\t/\* XXX (\d+) bytes? hole, try to pack \*/$")
_PADDING = re.compile(r"^\t/\* padding: (\d+) \*/$")
_BITS = re.compile(r"^\t/\* (?:XXX \d+ bits hole|bit_padding|sum bitfield).*\*/$")
_OPEN = re.compile(r"^(struct|union) (\w+) \{$")
_ATTRIBUTE = re.compile(r"\s*__attribute__\(\(.*\)\)$")


@dataclasses.dataclass
class Block:
    """A struct or union: its fields as (name, bit, bits or bytes * 8), those inside of others without a name in order."""
    name: str
    size: int | None = None		# unions, and empty structs, have no line for it
    fields: list[tuple[str, int, int]] = dataclasses.field(default_factory=list)
    holes: list[int] = dataclasses.field(default_factory=list)	# bytes, of itself
    padding: int = 0
    bit_holes: bool = False


def blocks(text: str) -> Iterator[Block]:
    """All that pahole printed."""
    block = None
    for line in text.splitlines():
        opened = _OPEN.match(line)
        if opened:
            block = Block(f"{opened[1]} {opened[2]}")
        elif line.startswith("}") and block is not None:
            yield block
            block = None
        elif block is not None:
            _line(block, line)


def _line(block: Block, line: str) -> None:
    place, size, hole, padding = _PLACE.match(line), _SIZE.match(line), _HOLE.match(line), _PADDING.match(line)
    if place:
        name, width = _name(place[2])
        bit = 8 * int(place[3]) + int(place[4] or 0)
        block.fields.append((name, bit, width if width is not None else 8 * int(place[5])))
    elif size and line.startswith("\t/*"):
        block.size = int(size[1])
    elif hole:
        block.holes.append(int(hole[1]))
    elif padding:
        block.padding = int(padding[1])
    elif _BITS.match(line):
        block.bit_holes = True


def _name(text: str) -> tuple[str, int | None]:
    """The name in a declaration, and the width of a bit-field."""
    text = _ATTRIBUTE.sub("", text.rstrip("; \t"))
    if re.fullmatch(r"\}|(?:struct|union) \w+", text):
        return "", None		# a member without a name
    function = re.search(r"\(\*+\s*(?:const\s+|volatile\s+)*(\w*)(?:\[\d*\])*\)\s*\(", text) or re.search(r"\(\*+\s*(\w*)\)\[", text)
    if function:
        return function[1], None
    field = re.search(r"(\w+):(\d+)$", text)
    if field:
        return field[1], int(field[2])
    return re.sub(r"(?:\[\d*\])+$", "", text).rpartition(" ")[2].lstrip("*").rpartition("*")[2], None


# --- ours ---

def _fields(types: Types, index: int, base: int = 0) -> Iterator[tuple[str, int, int]]:
    """The fields of a struct as pahole prints them: where the body of a member's type stands, its fields first."""
    for member in types.members(index):
        inner, pointed = _body(types, member.type)
        if inner:
            yield from _fields(types, inner, 0 if pointed else base + member.bit)
        yield member.name, base + member.bit, member.bits or 8 * types.size(member.type)


def _body(types: Types, index: int) -> tuple[int, bool]:
    """The struct without a name, not even a typedef's, that a declaration has in it, 0 for none; is it behind a pointer?"""
    pointed = False
    while types.kind(index) in (Kind.ARRAY, Kind.PTR, Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG):
        pointed |= types.kind(index) == Kind.PTR
        index = types.array(index)[0] if types.kind(index) == Kind.ARRAY else types.ref(index)
    return (index if types.kind(index) in (Kind.STRUCT, Kind.UNION) and not types.name(index) else 0), pointed


def differences(types: Types, said: str) -> tuple[int, list[str]]:
    """(structs and unions compared, a line for each that pahole has otherwise, or that one of the two has not)"""
    judge, wrong, known = Judge(types), [], set()
    ours = {name: dict.fromkeys(found) for name, found in types.structs().items() if " " in name}
    for block in blocks(said):
        known.add(block.name)
        same = [index for index in ours.get(block.name, ()) if (block.size is None or block.size == types.size(index))
                and block.fields == list(_fields(types, index))]
        if not same:
            wrong.append(f"{block.name}: pahole has it otherwise: size {block.size}, {block.fields[:3]} ...")
        elif not any(_gaps(judge, index, block) for index in same):
            wrong.append(f"{block.name}: pahole has other holes: {block.holes}, padding {block.padding}")
    wrong += [f"{name}: pahole has none" for name in ours.keys() - known]
    return len(known), wrong


def _gaps(judge: Judge, index: int, block: Block) -> bool:
    """Are the holes the same? Bits that no bit-field has are counted by each in its own way."""
    types = judge.types
    if types.kind(index) == Kind.UNION or block.bit_holes or any(member.bits for member in types.members(index)):
        return True
    gaps = list(judge.gaps(index))
    return [gap.bits // 8 for gap in gaps if gap.rule == "hole"] == block.holes and \
        sum(gap.bits // 8 for gap in gaps if gap.rule == "tail") == block.padding
