# SPDX-License-Identifier: GPL-2.0-only
"""Patches made of two kernels' sources: functions of the older get the text that they have in the newer.

What such a text needs comes along, as it would in a commit: what the compiler misses is looked for in the newer file and
its headers, until it compiles or nothing more is found.
"""

from __future__ import annotations

import dataclasses
import pathlib
import random
import re
from collections.abc import Iterator

from ..base import architectures, errors, paths, targets
from ..generator import headers
from . import functiondiff

DRAWN_FROM = ("block", "fs", "kernel", "mm", "net")
BY_HAND = "by hand"
MOST_MISSING, MOST_BESIDE = 16, 6	# at once, and of headers: more is another series of commits

# What the compiler says of things that the later file has, or has otherwise.
_MISSES = re.compile(r"implicit declaration of function '(\w+)'|'(\w+)' undeclared|'struct (\w+)' has no member|"
                     r"too (?:many|few) arguments to function '(\w+)'|storage size of '(\w+)' isn't known|"
                     r"undefined type 'struct (\w+)'|(?:passing argument \d+|incompatible type for argument \d+) of '(\w+)'|"
                     r"unknown type name '(\w+)'")
_WHERE = re.compile(r"In function '(\w+)'")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Functions of a file that are to have a later kernel's text; those that neither kernel has are left out.

    names: of functions, and what else functiondiff.py takes
    leave: changes with one of these words are not of the patch that is meant
    take: if there are any, only changes with one of these words are
    when: what stands in the last function where this form of the patch is the one
    put: (what stands there, what is to): what the patch needs besides, or all of it where no kernel here has it
    beside: what comes along of headers
    """
    label: str
    file: str
    names: tuple[str, ...]
    leave: tuple[str, ...] = ()
    put: tuple[tuple[str, str], ...] = ()
    beside: tuple[tuple[str, str], ...] = ()
    take: tuple[str, ...] = ()
    when: str = ""


@dataclasses.dataclass(frozen=True)
class Missing:
    """What the compiler misses, and the function that it is missed in."""
    name: str
    where: str


def complaints(log: str) -> list[Missing]:
    """What a compiler's output says is missing, in its order."""
    found, where = [], ""
    for line in log.splitlines():
        if match := _WHERE.search(line):
            where = match[1]
        if " error: " in line and (match := _MISSES.search(line)):
            found.append(Missing(next(filter(None, match.groups())), where))
    return list(dict.fromkeys(found))


class Trees:
    """The target's source, and those of later kernels that are here."""

    def __init__(self, name: str, newer: str | None) -> None:
        known, base = list(targets.TABLE), architectures.split(name)[0]	# a source is of all architectures
        later = known[known.index(base) + 1:] if base in known else []
        self.older = paths.SRC / name
        self.newer = [other for other in ([newer] if newer else later) if (paths.SRC / other / "MAINTAINERS").exists()]
        if not self.newer:
            raise errors.Problem(f"no source of a kernel later than {name} is here: uplift lab fetch --source does it",
                                 errors.USAGE)

    def form(self, forms: list[Wanted]) -> Wanted:
        """Of several forms of a patch the first that is for this kernel's function; the last if none is."""
        return next((one for one in forms if self._suits(one)), forms[-1])

    def _suits(self, wanted: Wanted) -> bool:
        file = self.older / wanted.file
        text = file.read_text(errors="replace") if file.exists() else ""
        at = functiondiff.span(text, wanted.names[-1].partition("=")[0])
        return at is not None and wanted.when in text[slice(*at)]

    def patch(self, wanted: Wanted) -> tuple[str, str]:
        """(the later kernel, the patch): the first in which the functions are others. ("", why not) if in none."""
        why = "the same in " + " ".join(self.newer)
        for newer in self.newer:
            try:
                text = self.diff(newer, wanted)
            except (OSError, ValueError) as problem:
                why = f"{newer}: {problem.strerror if isinstance(problem, OSError) else problem}"
                continue
            if text:
                return newer, text
        return self._by_hand(wanted) if wanted.put else ("", why)

    def _by_hand(self, wanted: Wanted) -> tuple[str, str]:
        text = (self.older / wanted.file).read_text(errors="replace")
        try:
            return BY_HAND, functiondiff.unified(wanted.file, text, _with_put(text, wanted))
        except ValueError as why:
            return "", str(why)

    def diff(self, newer: str, wanted: Wanted) -> str:
        text = (paths.SRC / newer / wanted.file).read_text(errors="replace")
        names = [name for name in wanted.names if functiondiff.span(text, name.rpartition("=")[2])]
        if not names:
            raise ValueError(f"no function {wanted.names[-1]}() in {wanted.file}")
        before = (self.older / wanted.file).read_text(errors="replace")
        after = functiondiff.changed(before, text, names, wanted.leave, wanted.file.endswith(".h"), wanted.take)
        parts = [functiondiff.unified(wanted.file, before, after if after == before else _with_put(after, wanted))]
        for header in dict.fromkeys(header for header, _ in wanted.beside):
            more = self._sorted(newer, header, [name for path, name in wanted.beside if path == header])
            parts.append(functiondiff.diff(self.older, paths.SRC / newer, header, more))
        return "".join(parts)

    # ------------------------------------------------------------------ what comes along

    def with_missing(self, newer: str, wanted: Wanted, missing: list[Missing]) -> Wanted | None:
        """The same with more of the later kernel; None if it has nothing of what is missed."""
        more = wanted
        for one in missing if len(missing) <= MOST_MISSING else ():
            more = self.with_one(newer, more, one.name) or self._with_header(newer, more, one.name) or \
                (one.where and self.with_one(newer, more, one.where)) or more
        return more if more != wanted else None

    def with_one(self, newer: str, wanted: Wanted, name: str) -> Wanted | None:
        """The same with something more of the later file; None if it has no such thing, or the same."""
        older, later = ((tree / wanted.file).read_text(errors="replace") for tree in (self.older, paths.SRC / newer))
        for word in (name, f"define {name}", f"struct {name}", *_structs(later, wanted, name)):
            here, there = functiondiff.span(older, word), functiondiff.span(later, word)
            if word not in wanted.names and there and not (here and older[slice(*here)] == later[slice(*there)]):
                return dataclasses.replace(wanted, names=tuple(self._sorted(newer, wanted.file, [word, *wanted.names])))
        return None

    def _with_header(self, newer: str, wanted: Wanted, name: str) -> Wanted | None:
        """The same with what only a later header has: nothing that the older kernel has becomes another."""
        later = paths.SRC / newer
        if len(wanted.beside) >= MOST_BESIDE:
            return None
        near = str(pathlib.PurePath(wanted.file).parent)
        for header in headers.mention(later, {name}, "h", ("include/linux", "include/net", "arch/x86/include", near)):
            if not (self.older / header).exists() or header == wanted.file:
                continue
            older, text = ((tree / header).read_text(errors="replace") for tree in (self.older, later))
            for word in (name, f"define {name}", f"struct {name}"):
                if functiondiff.span(text, word) and not functiondiff.span(older, word) and (header, word) not in wanted.beside:
                    return dataclasses.replace(wanted, beside=(*wanted.beside, (header, word)))
        return None

    def _sorted(self, newer: str, file: str, names: list[str]) -> list[str]:
        """Names in the order in which the later file has them."""
        text = (paths.SRC / newer / file).read_text(errors="replace")
        return sorted(names, key=lambda name: functiondiff.span(text, name.rpartition("=")[2]) or (0, 0))

    # ------------------------------------------------------------------ drawn

    def drawn(self, count: int, seed: int, symbols: dict[str, list[int]]) -> list[Wanted]:
        """Functions at random of those that differ from the next kernel's and that the image has standing by itself."""
        found = sorted(self._differing(symbols))
        if count > len(found):
            raise errors.Problem(f"--draw: only {len(found)} functions differ", errors.USAGE)
        return [Wanted(f"{name}_{number}", file, (name,)) for number, (file, name) in
                enumerate(random.Random(seed).sample(found, count), 1)]

    def _differing(self, symbols: dict[str, list[int]]) -> Iterator[tuple[str, str]]:
        later = paths.SRC / self.newer[0]
        for directory in DRAWN_FROM:
            for path in sorted((self.older / directory).rglob("*.c")):
                file = str(path.relative_to(self.older))
                if not (later / file).exists():
                    continue
                before, after = path.read_text(errors="replace"), (later / file).read_text(errors="replace")
                if before == after:
                    continue
                for name in sorted(headers.functions_of(before) & symbols.keys()):
                    here, there = functiondiff.span(before, name), functiondiff.span(after, name)
                    if here and there and before[slice(*here)] != after[slice(*there)]:
                        yield file, name


def _with_put(text: str, wanted: Wanted) -> str:
    """A text with what a patch puts into its last function. ValueError if that is not as it was when this was written."""
    name = wanted.names[-1].partition("=")[0]
    for stands, instead in wanted.put:
        at = functiondiff.span(text, name)
        if not at or stands not in text[slice(*at)]:
            raise ValueError(f"{name} is otherwise here")
        text = text[:at[0]] + text[slice(*at)].replace(stands, instead) + text[at[1]:]
    return text


def _structs(text: str, wanted: Wanted, variable: str) -> list[str]:
    """The structs that variables of a name are of in the wanted functions."""
    bodies = "".join(text[slice(*found)] for name in wanted.names if (found := functiondiff.span(text, name)))
    return [f"struct {match[1]}" for match in re.finditer(rf"\bstruct (\w+) {re.escape(variable)}\b", bodies)]
