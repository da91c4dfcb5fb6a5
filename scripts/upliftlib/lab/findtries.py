# SPDX-License-Identifier: GPL-2.0-only
"""`uplift find --try N`: the first functions' own patches, made of the two trees, and what became of each."""

from __future__ import annotations

import argparse
import pathlib
from typing import Any

from ..base import console, errors, paths, targets
from ..find import ranking, show
from . import functiondiff, tries, trial
from .derived import Trees, Wanted
from .kernelcode import KernelCode

MOST_INLINED = 8


def wanted(row: ranking.Row, older: pathlib.Path, newer: pathlib.Path) -> Wanted:
    """A function's own text, and that of what it inlines and few others do: of its file, and of headers."""
    if row.gone or row.file != row.new_file:
        raise ValueError(row.obstacle or f"it has moved to {row.new_file}")
    bare = row.name.removeprefix("__x64_")
    names = [bare if row.new_name == row.name else f"{bare}={row.new_name}"]
    beside = []
    for name, place in list(row.places.items())[:MOST_INLINED]:
        if place == row.file and _in_both(older, newer, place, name):
            names.append(name)
        elif place.startswith(("include/", "arch/x86/include/", str(pathlib.PurePath(row.file).parent))) and _in_both(older, newer, place, name):
            beside.append((place, name))
    text = (newer / row.file).read_text(errors="replace")
    names.sort(key=lambda name: functiondiff.span(text, name.rpartition("=")[2]) or (0, 0))
    return Wanted(row.name, row.file, tuple(names), beside=tuple(beside))


def _in_both(older: pathlib.Path, newer: pathlib.Path, file: str, name: str) -> bool:
    """What only the newer has comes along when the compiler misses it."""
    try:
        here, there = ((tree / file).read_text(errors="replace") for tree in (older, newer))
    except OSError:
        return False
    return bool(functiondiff.span(here, name) and functiondiff.span(there, name))


def patch(row: ranking.Row, older: pathlib.Path, newer: pathlib.Path, out: pathlib.Path) -> pathlib.Path | None:
    """A function's patch in a file, for `uplift try`; None where none can be made."""
    try:
        label, text = Trees(str(older), str(newer)).patch(wanted(row, older, newer))
    except (ValueError, OSError):
        return None
    if not label:
        return None
    file = paths.ensure(out) / f"{row.name}.patch"
    paths.write(file, text)
    return file


def between(older: pathlib.Path, newer: pathlib.Path) -> list[pathlib.Path]:
    """The newer tree, and those of targets between the two that are here, the newest first."""
    known = list(targets.TABLE)
    if older.name not in known or newer.name not in known or {older.parent, newer.parent} != {paths.SRC.resolve()}:
        return [newer]
    names = known[known.index(older.name) + 1:known.index(newer.name)]
    return [newer, *(paths.SRC.resolve() / name for name in reversed(names) if (paths.SRC / name / "MAINTAINERS").exists())]


def _one(code: KernelCode, row: ranking.Row, found: ranking.Ranking, older: pathlib.Path, newer: pathlib.Path, only: str) -> dict[str, Any]:
    """All that differs first; where that needs what this kernel lacks, less of it, as kernels between the two have it."""
    outcomes = []
    for tree in between(older, newer):
        outcomes.append(_from(code, row, found, older, tree, only))
        if outcomes[-1]["outcome"] not in ("refused", "no patch"):
            return outcomes[-1]
    return outcomes[0]


def _from(code: KernelCode, row: ranking.Row, found: ranking.Ranking, older: pathlib.Path, newer: pathlib.Path, only: str) -> dict[str, Any]:
    try:
        what = wanted(row, older, newer)
    except (ValueError, OSError) as why:
        return {"patch": row.name, "from": "", "outcome": "no patch", "reason": str(why)}
    tried, outcome = tries.tried(code, Trees(str(older), str(newer)), what, only)
    outcome["from"] = newer.name
    if tried and tried.report:
        tried.report["changes"][0]["found"] = [show.place(found, row)]
        trial.show(argparse.Namespace(json=True), tried, tried.outcome)
    return outcome


def run(code: KernelCode, found: ranking.Ranking, older: pathlib.Path, newer: pathlib.Path, count: int, only: str) -> list[dict[str, Any]]:
    """A row for each of the first functions; one that fails does not end the others."""
    rows = []
    for rank, row in enumerate(found.rows[:count], 1):
        with console.doing(f"{rank} of {min(count, len(found.rows))}: {row.name}()") as doing:
            try:
                outcome = _one(code, row, found, older, newer, only)
            except errors.Problem as problem:
                outcome = {"patch": row.name, "from": newer.name, "outcome": "failed", "reason": str(problem).splitlines()[0]}
            doing.result = f"{outcome['outcome']}{': ' if outcome['reason'] else ''}{outcome['reason']}"
        rows.append(outcome | {"rank": rank, "share": round(row.share, 2)})
    return rows
