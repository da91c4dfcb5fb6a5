# SPDX-License-Identifier: GPL-2.0-only
"""Which of the kernel's structs a module depends on.

Those that its own types and functions, and the kernel's functions that it calls, have by value or by a pointer; and what
these have by value. What is reached through a pointer in one of them is not among them: BTF does not tell what code
follows. Of a module that has only DWARF it is all that its code had to know, its own structs among them.
"""

import pathlib
from collections.abc import Iterator

from ..kernel.btf_types import Kind, Types
from .source import Source, load


def used_by(path: pathlib.Path | str, base: "pathlib.Path | str | Types | None" = None) -> frozenset[str]:
    """The names of the kernel's structs, "struct foo", that a module depends on."""
    return depends(load(path, base))


def depends(module: Source) -> frozenset[str]:
    """The same, of a module that was loaded."""
    types = module.types
    if module.dwarf:
        return frozenset(types.structs())
    walk = _Walk(types)
    for index in module.own():
        walk.handled(index)
    if types.base is not None:
        for index in range(1, types.base.count):
            if types.kind(index) == Kind.FUNC and types.name(index) in module.undefined:
                walk.handled(index)
    return frozenset(walk.names())


class _Walk:
    """Collects what is embedded in types, and what they point to."""

    def __init__(self, types: Types) -> None:
        self._types = types
        self._embedded: set[int] = set()
        self._pointed: set[int] = set()

    def handled(self, index: int) -> None:
        """A type that code of the module has in its hands: it may follow its pointers."""
        types = self._types
        kind = types.kind(index)
        if kind in (Kind.FUNC, Kind.VAR):
            self.handled(types.ref(index))
        elif kind == Kind.FUNC_PROTO:
            for other in (types.ref(index), *(param for _, param in types.params(index))):
                self._value(other)
        elif kind in (Kind.STRUCT, Kind.UNION):
            self._value(index)

    def _value(self, index: int) -> None:
        """By value: a pointer in it is followed once."""
        for inner in self._inside(index):
            if self._types.kind(inner) == Kind.PTR:
                self._pointed.add(self._types.strip(self._types.ref(inner))[0])

    def _inside(self, index: int) -> Iterator[int]:
        """The types that a type has in it, itself first; each struct is gone into once."""
        types = self._types
        index = types.strip(index)[0]
        types.size(index)	# a Problem for an array of itself
        while types.kind(index) == Kind.ARRAY:
            index = types.strip(types.array(index)[0])[0]
        yield index
        if types.kind(index) in (Kind.STRUCT, Kind.UNION) and index not in self._embedded:
            self._embedded.add(index)
            for member in types.members(index):
                yield from self._inside(member.type)

    def names(self) -> Iterator[str]:
        """Of all that was found, and is the base's."""
        for index in self._pointed:
            for _ in self._inside(index):
                pass
        known = {number: name for name, numbers in self._types.structs().items() for number in numbers}
        for index in self._embedded:
            if index in known and (self._types.base is None or index < self._types.first):
                yield known[index]
