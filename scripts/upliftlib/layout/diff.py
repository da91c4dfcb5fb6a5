# SPDX-License-Identifier: GPL-2.0-only
"""What of two kernels' types changed size or place."""

import dataclasses
from collections.abc import Iterable, Iterator

from ..base.errors import Problem
from ..kernel.btf_types import Kind, Types

_DEEPEST = 100	# structs without a name inside of such
_MOST = 1 << 17	# members of members: no struct has as many


@dataclasses.dataclass(frozen=True)
class Field:
    """A member where it lies, those of members without a name among them; in bits."""
    name: str
    bit: int
    bits: int
    type: str
    holds: str = ""		# a word for its contents, where diff() was asked to compare them

    @property
    def memory(self) -> tuple[int, int, str]:
        """All that code which knows no names depends on."""
        return self.bit, self.bits, self.holds

    def place(self) -> str:
        """Offset and size: "12 4", of a bit-field "12:3 2 bits"."""
        if self.bit % 8 or self.bits % 8:
            return f"{self.bit // 8}:{self.bit % 8} {self.bits} bits"
        return f"{self.bit // 8} {self.bits // 8}"


@dataclasses.dataclass(frozen=True)
class Change:
    """A struct that is not what it was. old or new is None where there is none of that name."""
    name: str
    old_size: int | None
    new_size: int | None
    fields: tuple[tuple[Field | None, Field | None], ...]	# as it was, as it is: moved, resized, gone, new
    doubtful: bool		# the name has several definitions, and which became which is a guess

    @property
    def resized(self) -> bool:
        """Is it of another size?"""
        return self.old_size != self.new_size


@dataclasses.dataclass(frozen=True)
class Diff:
    """What diff() found, in the order of names."""
    changes: tuple[Change, ...]		# in both, and different
    gone: tuple[str, ...]
    new: tuple[str, ...]
    same: int
    missing: tuple[str, ...]		# names that were asked for, and are in neither

    def __bool__(self) -> bool:
        return bool(self.changes or self.gone or self.new)


@dataclasses.dataclass(frozen=True)
class _Layout:
    size: int
    fields: tuple[Field, ...]

    def same(self, other: "_Layout") -> bool:
        """Is everything where it was? A type of another name and the same size moves nothing."""
        return self.size == other.size and [(field.name, field.memory) for field in self.fields] == \
            [(field.name, field.memory) for field in other.fields]

    def distance(self, other: "_Layout") -> int:
        """Fields that one has and the other has not, to tell which of several definitions it became."""
        return len({(field.name, field.bits) for field in self.fields} ^ {(field.name, field.bits) for field in other.fields})


def fields(types: Types, index: int, contents: bool = False) -> Iterator[Field]:
    """The members of a struct; of a member whose type has no name of its own, the members of that. contents: see diff()."""
    for count, field in enumerate(_fields(types, index, 0, "", contents, 0)):
        if count >= _MOST:
            raise Problem(f"{types.where}: BTF that contradicts itself: {types.spell(index)} has more than {_MOST} members in it")
        yield field


def _fields(types: Types, index: int, bit: int, prefix: str, contents: bool, depth: int) -> Iterator[Field]:
    if depth > _DEEPEST:
        raise Problem(f"{types.where}: BTF that contradicts itself: {types.spell(index)} is made of itself")
    for member in types.members(index):
        bits = member.bits or 8 * types.size(member.type)
        inner, typedefs, brackets = _element(types, member.type)
        is_struct, named = types.kind(inner) in (Kind.STRUCT, Kind.UNION), types.name(inner) or typedefs
        name = prefix + member.name
        if member.name or not is_struct:
            yield Field(name, bit + member.bit, bits, types.spell(member.type), _holds(types, member.type) if contents else "")
        if is_struct and not (member.name and named):
            yield from _fields(types, inner, bit + member.bit, f"{name}{brackets}." if member.name else prefix, contents, depth + 1)


def _element(types: Types, index: int) -> tuple[int, tuple[str, ...], str]:
    """What an array is of, its typedefs, and "[]" for each dimension; the same of a type that is no array."""
    brackets = ""
    inner, typedefs = types.strip(index)
    while types.kind(inner) == Kind.ARRAY:
        inner, typedefs = types.strip(types.array(inner)[0])
        brackets += "[]"
    return inner, typedefs, brackets


def _holds(types: Types, index: int) -> str:
    """A type as far as memory shows it: integers of a size are alike, and so are pointers."""
    inner, typedefs = types.strip(index)
    kind = types.kind(inner)
    if kind == Kind.ARRAY:
        element, count = types.array(inner)
        return f"{_holds(types, element)}[{count}]"
    if kind in (Kind.STRUCT, Kind.UNION):
        return types.tag(inner) or (typedefs[-1] if typedefs else types.spell(inner))
    return {Kind.PTR: "pointer", Kind.FLOAT: "float"}.get(Kind(kind), "integer")


def diff(old: Types, new: Types, names: Iterable[str] | None = None, *, contents: bool = False) -> Diff:
    """What changed between two kernels: of all named structs and unions, or those of `names` ("struct foo" or "foo").

    contents: a field of the same place and size that holds something else, as a pointer for a number, is a change, too.
    """
    before, after = old.structs(), new.structs()
    missing: list[str] = []
    wanted = sorted(before.keys() | after.keys()) if names is None else list(_spelled(names, before.keys() | after.keys(), missing))
    changes, same = [], 0
    for name in wanted:
        if name in before and name in after:
            change = _compare(name, _layouts(old, before[name], contents), _layouts(new, after[name], contents))
            changes += [change] if change else []
            same += not change
    return Diff(tuple(changes), tuple(name for name in wanted if name not in after),
                tuple(name for name in wanted if name not in before), same, tuple(missing))


def _spelled(names: Iterable[str], known: set[str], missing: list[str]) -> Iterator[str]:
    for name in dict.fromkeys(names):
        found = [spelled for spelled in (name, f"struct {name}", f"union {name}") if spelled in known]
        if not found:
            missing.append(name)
        yield from found


def _layouts(types: Types, indexes: list[int], contents: bool) -> list[_Layout]:
    """The different ones of a name."""
    found: list[_Layout] = []
    for index in dict.fromkeys(indexes):
        layout = _Layout(types.size(index), tuple(fields(types, index, contents=contents)))
        if not any(layout.same(other) for other in found):
            found.append(layout)
    return found


def _compare(name: str, before: list[_Layout], after: list[_Layout]) -> Change | None:
    left = [one for one in before if not any(one.same(other) for other in after)]
    right = [one for one in after if not any(one.same(other) for other in before)]
    if not left or not right:
        # all of one side are in the other: one of several definitions came or went
        return None
    one, other = min(((one, other) for one in left for other in right), key=lambda pair: pair[0].distance(pair[1]))
    return Change(name, one.size, other.size, tuple(_moved(one, other)), len(before) > 1 or len(after) > 1)


def _moved(one: _Layout, other: _Layout) -> Iterator[tuple[Field | None, Field | None]]:
    """Pairs of what is not where it was, in the order of the new struct, then what is gone."""
    by_name = _named(one.fields)
    now = _named(other.fields)
    for key, field in now.items():
        was = by_name.get(key)
        if was is None or was.memory != field.memory:
            yield was, field
    for key, field in by_name.items():
        if key not in now:
            yield field, None


def _named(found: tuple[Field, ...]) -> dict[tuple[str, int], Field]:
    """By name, and which of that name: members without one, and those of a union's structs, may share it."""
    out: dict[tuple[str, int], Field] = {}
    for field in found:
        which = 0
        while (field.name, which) in out:
            which += 1
        out[field.name, which] = field
    return out
