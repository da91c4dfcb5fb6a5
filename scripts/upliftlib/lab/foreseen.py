# SPDX-License-Identifier: GPL-2.0-only
"""What `uplift try` would refuse first, asked without a build: so that "can be tried" is not said of what does not compile.

A function's own patch is made as --try makes it, with what comes along, and given to the compiler, which reads it and makes no
code: half a second a file, with the host's gcc. A struct that would have another layout, and what too many inlines of headers use, are
told from the texts. What only the kernel's own build and image tell is left to the try.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import multiprocessing
import pathlib
import re
from collections.abc import Mapping

from ..find import cfile, ranking, unit
from ..generator import headers
from ..generator import patch as patches
from ..generator.objects import Refused
from . import ownpatch
from .derived import Trees, Wanted, complaints

MOST_ROUNDS, LESS_ROUNDS = 4, 2	# of looking for what the compiler misses: in the newer tree, in others
_ERROR = re.compile(r"^(\S+?):\d+:\d+: (?:fatal )?error: (.*)$", re.MULTILINE)
_STRUCT = re.compile(r"^(?:struct|union) (\w+) \{\n(.*?)^\}[^\n]*;$", re.MULTILINE | re.DOTALL)
_WHY = re.compile(r" \[-W[^\]]*\]$")


@dataclasses.dataclass(frozen=True)
class Form:
    """A function's patch. why: a try would refuse it; "" if nothing tells. wanted: None where no patch can be made

    asked: False where the compiler does not take the file as it is, so that it tells nothing of the patch
    """
    newer: pathlib.Path
    wanted: Wanted | None
    why: str = ""
    text: str = ""
    asked: bool = True


def judge(rows: list[ranking.Row], tree: unit.Tree, newer: pathlib.Path) -> dict[str, str]:
    """Put into rows why a try of them would be refused; the patches {function: text} of those that are not."""
    asked = [row for row in rows if not row.obstacle]
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        forms = list(pool.map(form, asked, [tree] * len(asked), [newer] * len(asked)))
    for row, found in zip(asked, forms):
        row.refusal = found.why
        row.lacks = row.lacks if found.why or not found.asked else []
    return {row.name: found.text for row, found in zip(asked, forms) if not found.why}


def form(row: ranking.Row, tree: unit.Tree, newer: pathlib.Path) -> Form:
    """All that differs first; where that needs what this kernel lacks, less of it, as kernels between the two have it."""
    asking = _Asking(row, tree)
    found = [asking.form(newer, MOST_ROUNDS)]
    for other in ownpatch.between(tree.source, newer)[1:]:
        if not found[-1].why:
            break
        found.append(asking.form(other, LESS_ROUNDS))
    return found[0] if found[-1].why else found[-1]


class _Asking:
    """Of one function. Several trees may have the same form of it: the compiler is asked once of a text."""

    def __init__(self, row: ranking.Row, tree: unit.Tree) -> None:
        self.row, self.tree = row, tree
        self._said: dict[str, str] = {}

    def form(self, newer: pathlib.Path, rounds: int) -> Form:
        trees = Trees(str(self.tree.source), str(newer))
        try:
            wanted: Wanted | None = ownpatch.wanted(self.row, self.tree.source, newer)
        except (ValueError, OSError) as why:
            return Form(newer, None, str(why))
        first: Form | None = None
        while wanted and rounds:
            found, said = self._of(trees, wanted, newer)
            if said and self._complaint({}):
                return dataclasses.replace(found, why="", asked=False)
            if not found.why:
                return found
            first, rounds = first or found, rounds - 1
            wanted = trees.with_missing(str(newer), wanted, complaints(said))
        assert first
        return first

    def _of(self, trees: Trees, wanted: Wanted, newer: pathlib.Path) -> tuple[Form, str]:
        """(a form of a patch, what the compiler says of it)"""
        try:
            label, text = trees.patch(wanted)
            if not label:
                return Form(newer, None, text), ""
            texts = patches.apply(patches.parse(text, wanted.label), lambda path: _read(self.tree.source / path))
            said = self._complaint(texts)
            if not said:
                _told_by_text(self.tree.source, texts)
        except (ValueError, OSError) as problem:
            return Form(newer, None, str(problem)), ""
        except (Refused, patches.Native) as refused:
            return Form(newer, wanted, str(refused)), ""
        return Form(newer, wanted, reason(said, wanted.file) if said else "", text), said

    def _complaint(self, texts: Mapping[str, str]) -> str:
        key = repr(sorted(texts.items()))
        if key not in self._said:
            self._said[key] = self.tree.complaint(self.row.file, texts)
        return self._said[key]


def _read(path: pathlib.Path) -> str | None:
    return path.read_text(errors="surrogateescape") if path.is_file() else None


def reason(said: str, file: str) -> str:
    """The compiler's first error, as a try words it."""
    if not (match := _ERROR.search(said)):
        return f"{file} does not compile with the patch"
    return f"{file} does not compile with the patch: {_WHY.sub('', match[2])}"


def _told_by_text(older: pathlib.Path, texts: Mapping[str, str]) -> None:
    """Refused for a struct with other members, and for what too many inlines of headers use."""
    for file, after in texts.items():
        before = _read(older / file) or ""
        if name := other_layout(before, after):
            raise Refused(f"the layout of {name} changes")
        if file.endswith(".h") and (names := headers.changed_names(before, after)):
            headers.followed(older, names)


def other_layout(before: str, after: str) -> str:
    """The first struct that both texts have with other members; "" if there is none."""
    was, now = (dict(_STRUCT.findall(cfile.STRIP.sub(" ", text))) for text in (before, after))
    return next((f"struct {name}" for name in was if name in now and was[name].split() != now[name].split()), "")
