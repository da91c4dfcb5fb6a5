# SPDX-License-Identifier: GPL-2.0-only
"""A ranking as a picture: share of the work against the size of the difference; what can be tried is filled."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator

from .ranking import Ranking, Row

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 860, 520, 56, 48, 40, 150
NAMED = 20		# whose names are written
_STYLE = ("<style>text{font:12px system-ui,sans-serif;fill:#1c2024}.soft{fill:#59626c}.axis{stroke:#d5dae0}"
          ".can{fill:#1d7f4e;stroke:#1d7f4e}.no{fill:none;stroke:#7b8794;stroke-width:1.5}"
          "@media(prefers-color-scheme:dark){text{fill:#e4e8ec}.soft{fill:#a3afba}.axis{stroke:#3a434c}}</style>")


class _Scale:
    """Logarithmic, from the least to the most of some values."""

    def __init__(self, values: list[float], begin: float, end: float) -> None:
        self.low, self.high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        self.high += self.high == self.low
        self.begin, self.end = begin, end

    def at(self, value: float) -> float:
        return self.begin + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self) -> list[float]:
        return [10.0 ** power for power in range(self.low, self.high + 1)]


def _axes(x: _Scale, y: _Scale) -> Iterator[str]:
    for tick in x.ticks():
        yield f'<line class="axis" x1="{x.at(tick):.1f}" x2="{x.at(tick):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        yield f'<text class="soft" x="{x.at(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick:g}</text>'
    for tick in y.ticks():
        yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y.at(tick):.1f}" y2="{y.at(tick):.1f}"/>'
        yield f'<text class="soft" x="{LEFT - 6}" y="{y.at(tick) + 4:.1f}" text-anchor="end">{tick:g}%</text>'
    yield f'<text class="soft" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">tokens that differ</text>'


def _point(row: Row, x: float, y: float, named: bool) -> Iterator[str]:
    title = f"{row.name}(): {row.share:.1f}%, {row.tokens} tokens" + (f"; {row.no}" if row.no else "")
    yield f'<circle class="{"no" if row.no else "can"}" cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{html.escape(title)}</title></circle>'
    if named:
        yield f'<text x="{x + 8:.1f}" y="{y + 4:.1f}">{html.escape(row.name)}</text>'


def svg(ranking: Ranking) -> str:
    """All rows; the first ones with their names."""
    title = f"{ranking.profile.workload or ranking.profile.source}: share of the work, and how much differs in the newer kernel"
    begin = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">'
             f"<title>{html.escape(title)}</title>{_STYLE}<text x=\"{LEFT}\" y=\"16\">{html.escape(title)}</text>"
             f'<circle class="can" cx="{LEFT + 5}" cy="28" r="5"/><text class="soft" x="{LEFT + 16}" y="32">can be tried</text>'
             f'<circle class="no" cx="{LEFT + 115}" cy="28" r="5"/><text class="soft" x="{LEFT + 126}" y="32">cannot</text>')
    if not ranking.rows:
        return begin + "</svg>\n"
    x = _Scale([max(row.tokens, 1) for row in ranking.rows], LEFT, WIDTH - RIGHT)
    y = _Scale([row.share for row in ranking.rows], HEIGHT - BOTTOM, TOP)
    points = [part for rank, row in enumerate(ranking.rows) for part in _point(row, x.at(max(row.tokens, 1)), y.at(row.share), rank < NAMED)]
    return begin + "".join([*_axes(x, y), *points]) + "</svg>\n"
