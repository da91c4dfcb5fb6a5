# SPDX-License-Identifier: GPL-2.0-only
"""A hot function's own patch: what of a newer tree it takes, and which trees it may be taken of."""

from __future__ import annotations

import pathlib

from ..base import paths, targets
from ..find import ranking
from . import functiondiff
from .derived import Wanted

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


def between(older: pathlib.Path, newer: pathlib.Path) -> list[pathlib.Path]:
    """The newer tree, and those of targets between the two that are here, the newest first."""
    known = list(targets.TABLE)
    if older.name not in known or newer.name not in known or {older.parent, newer.parent} != {paths.SRC.resolve()}:
        return [newer]
    names = known[known.index(older.name) + 1:known.index(newer.name)]
    return [newer, *(paths.SRC.resolve() / name for name in reversed(names) if (paths.SRC / name / "MAINTAINERS").exists())]
