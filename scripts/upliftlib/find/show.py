# SPDX-License-Identifier: GPL-2.0-only
"""A ranking as text, for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from .ranking import Ranking, Row

WIDE = 118
MOST_INLINED, MOST_COMMITS = 4, 5


def _differs(row: Row) -> str:
    return f"-{row.own[0]} +{row.own[1]}"


def head(ranking: Ranking) -> Iterator[str]:
    profile = ranking.profile
    of = f" of {profile.release}" if profile.release else ""
    yield f"{profile.workload or profile.source}{of}: {len(ranking.rows)} hot functions differ in the newer tree"
    yield (f"{ranking.differs:.0f}% of the kernel's {profile.unit} are in them, {ranking.same:.0f}% in functions that are the same, "
           f"{ranking.unknown:.0f}% in assembly and in functions whose source was not found")


def _row(rank: int, row: Row) -> Iterator[str]:
    file = row.file if row.file == row.new_file or row.gone else f"{row.file} -> {row.new_file}"
    yield f"{rank:3}  {row.share:5.1f}%  {_differs(row):>9}  {'no' if row.no else 'can':3}  {row.name}()  {file}"
    lines = [row.why]
    if row.places:
        shown = [f"{name}() -{row.inlined[name][0]} +{row.inlined[name][1]}" for name in list(row.places)[:MOST_INLINED]]
        lines.append(f"inlines {', '.join(shown)}{' ...' if len(row.places) > MOST_INLINED else ''}")
    if row.no:
        lines.append(f"cannot be tried{'' if row.obstacle else ' as a whole'}: {row.no}")
    elif row.needs:
        lines.append(f"comes along: {', '.join(row.needs[:6])}{' ...' if len(row.needs) > 6 else ''}")
    lines += row.commits[:MOST_COMMITS] + ([f"and {len(row.commits) - MOST_COMMITS} commits more"] if len(row.commits) > MOST_COMMITS else [])
    lines += [row.command] if row.command else []
    for line in lines:
        yield from ([f"{' ' * 29}{line}"] if line == row.command else
                    textwrap.wrap(line, WIDE, initial_indent=" " * 29, subsequent_indent=" " * 31))


def text(ranking: Ranking, top: int) -> str:
    """The first of them."""
    lines = [*head(ranking), "", "  #  share    differs  try  function"]
    for rank, row in enumerate(ranking.rows[:top], 1):
        lines += _row(rank, row)
    if len(ranking.rows) > top:
        lines.append(f"     {len(ranking.rows) - top} more: --top {len(ranking.rows)}")
    return "\n".join(lines)


def place(ranking: Ranking, row: Row) -> str:
    """Where a function stands in a workload, for a dossier."""
    rank = ranking.rows.index(row) + 1
    return f"{ranking.profile.workload or ranking.profile.source}: {row.name}() is {rank} of {len(ranking.rows)} hot functions that differ; {row.why}"
