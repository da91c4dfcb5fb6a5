# SPDX-License-Identifier: GPL-2.0-only
"""Semantic patches: applied by spatch to a copy of a kernel's file, and held to the difference that they must make."""

from __future__ import annotations

import difflib
import pathlib
import subprocess
import tempfile
from collections.abc import Iterable

from ..base.errors import Problem
from .manifests import Counts, Patch


class Difference:
    """What a semantic patch has changed: in how many places, and lines removed and added in them all.

    Blank lines do not count, nor does white space in others. The count of lines is what tells two changes side by side,
    which are one place, from one change.
    """

    def __init__(self, before: str, after: str) -> None:
        # (as compared, as it is)
        sides = [[(" ".join(line.split()), line) for line in text.splitlines() if line.strip()]
                 for text in (before, after)]
        old, new = ([compared for compared, _ in side] for side in sides)
        matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
        changed = [codes for codes in matcher.get_opcodes() if codes[0] != "equal"]
        self.lines: list[str] = []		# as diff shows them
        for _, start, end, new_start, new_end in changed:
            self.lines += ["@@", *(f"-{line}" for _, line in sides[0][start:end]),
                           *(f"+{line}" for _, line in sides[1][new_start:new_end])]
        self.counts: Counts = {"places": len(changed), "removes": sum(codes[2] - codes[1] for codes in changed),
                       "adds": sum(codes[4] - codes[3] for codes in changed)}


def _counted(counts: Counts) -> str:
    """Counts in words."""
    lines = "line" if counts["removes"] == 1 else "lines"
    return (f"{counts['places']} place{'' if counts['places'] == 1 else 's'}, {counts['removes']} {lines} removed and "
            f"{counts['adds']} added")


def patched(text: str, cocci: pathlib.Path, expected: Counts, of: str) -> str:
    """text under a semantic patch, which must change exactly what is expected; `of` is where it is from."""
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory, "source.c")
        path.write_text(text, errors="surrogateescape")
        try:
            run = subprocess.run(["spatch", "--very-quiet", "--no-includes", "--sp-file", cocci, "--in-place", path],
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        except FileNotFoundError:
            raise Problem("no spatch here, which makes the changed bodies: apt-get install coccinelle") from None
        if run.returncode:
            raise Problem(f"{cocci}: spatch failed:\n{run.stdout.strip()}")
        result = path.read_text(errors="surrogateescape")
    found = Difference(text, result)
    wanted: Counts = {"places": expected["places"], "removes": expected["removes"], "adds": expected["adds"]}
    if not found.lines:
        raise Problem(f"{cocci} matches nowhere in {of}, and must make a difference of {_counted(wanted)}: the "
                      "function has another form there")
    if found.counts != wanted:
        raise Problem(f"{cocci} makes a difference of {_counted(found.counts)} in {of}, and must make one of "
                      f"{_counted(wanted)}: the function has another form there\n" + "\n".join(found.lines))
    return result


def one_of(text: str, change_dir: pathlib.Path, forms: Iterable[Patch], of: str) -> str:
    """text under the first semantic patch that makes the difference it must; where none does, what each says."""
    said = []
    for form in forms:
        try:
            return patched(text, change_dir / form["file"], form, of)
        except Problem as problem:
            said.append(str(problem))
    raise Problem("\n".join(said))
