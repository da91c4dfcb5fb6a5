# SPDX-License-Identifier: GPL-2.0-only
"""Plots as SVG: every round of every arm, and what is gained with its interval. Colours are the page's."""

import html
import math
from collections.abc import Iterable, Iterator, Sequence

from . import record, stats

LABELS = {"off": "off", "off_again": "off again", "null": "null", "new": "new", "batch": "batch",
          "track": "tracking"}
COLOURS = {"off": "off", "off_again": "off", "null": "null", "new": "new", "batch": "batch",
           "track": "batch"}
WIDTH, LEFT, RIGHT, ROW, TOP = 760, 180, 24, 26, 30


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round numbers that cover a range."""
    span = high - low or abs(high) or 1
    step = 10 ** math.floor(math.log10(span / count))
    step = next(step * by for by in (1, 2, 2.5, 5, 10) if span / (step * by) <= count)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


class _Axis:
    def __init__(self, low: float, high: float) -> None:
        pad = (high - low) * 0.04 or abs(high) * 0.01 or 1
        self.low, self.high = low - pad, high + pad

    def x(self, value: float) -> float:
        """Where a value is."""
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - self.low) / (self.high - self.low)

    def draw(self, height: int, suffix: str = "") -> Iterator[str]:
        """Lines and numbers below."""
        for tick in ticks(self.low, self.high):
            x = self.x(tick)
            yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 22}"/>'
            yield (f'<text class="soft" x="{x:.1f}" y="{height - 6}" text-anchor="middle">'
                   f"{_number(tick)}{suffix}</text>")


def _svg(title: str, height: int, parts: Iterable[str]) -> str:
    return (f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img"><title>{html.escape(title)}</title>'
            f'<text x="0" y="14">{html.escape(title)}</text>' + "".join(parts) + "</svg>")


def _bar(axis: _Axis, y: int, found: stats.Interval, colour: str, width: int = 2) -> Iterator[str]:
    yield (f'<line x1="{axis.x(found["low"]):.1f}" x2="{axis.x(found["high"]):.1f}" y1="{y}" y2="{y}" '
           f'stroke="var(--{colour})" stroke-width="{width}"/>')
    x = axis.x(found["median"])
    yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8}" y2="{y + 8}" stroke="var(--{colour})" stroke-width="3"/>'


class _Rows:
    """Where a plot's rows are, and what is drawn so far."""

    def __init__(self, axis: _Axis, count: int, suffix: str = "") -> None:
        self.axis = axis
        self.height = TOP + ROW * count + 30
        self.parts = list(axis.draw(self.height, suffix))

    @staticmethod
    def y(row: int) -> int:
        """The middle of a row."""
        return TOP + ROW * row + ROW // 2

    def label(self, row: int, text: str) -> None:
        """What stands in front of a row."""
        self.parts.append(f'<text x="{LEFT - 12}" y="{self.y(row) + 4}" text-anchor="end">{html.escape(text)}</text>')

    def svg(self, title: str) -> str:
        """The whole plot."""
        return _svg(title, self.height, self.parts)


def _without_outliers(values: Sequence[float]) -> list[float]:
    """Sorted values without those that are far from the middle half."""
    values = sorted(values)
    low, high = values[len(values) // 4], values[3 * len(values) // 4]
    fence = 4 * (high - low) or high or 1
    return [value for value in values if low - fence <= value <= high + fence]


def rounds(operation: record.Operation) -> str:
    """Every round of an operation's arms as a dot, and the median with its interval. Far outliers are counted, not
    drawn: one of them would squeeze all the others into a line."""
    arms = [arm for arm in LABELS if arm in operation["arms"]]
    shown = _without_outliers([value for arm in arms for value in operation["arms"][arm]])
    rows = _Rows(_Axis(shown[0], shown[-1]), len(arms))
    for row, arm in enumerate(arms):
        values = operation["arms"][arm]
        there = {index: value for index, value in enumerate(values) if shown[0] <= value <= shown[-1]}
        out = len(values) - len(there)
        rows.label(row, LABELS[arm] + (f" (+{out} out)" if out else ""))
        rows.parts += [_dot(rows, row, value, index / max(len(values) - 1, 1), COLOURS[arm])
                       for index, value in there.items()]
        rows.parts += _bar(rows.axis, rows.y(row), operation["summary"][arm], COLOURS[arm])
    return rows.svg(f"{operation['name']}: {operation['unit']} per operation, every round")


def _dot(rows: _Rows, row: int, value: float, part: float, colour: str) -> str:
    """A round; dots are spread over the row's height, so that equal ones do not hide each other."""
    return (f'<circle cx="{rows.axis.x(value):.1f}" cy="{rows.y(row) - 6 + 12 * part:.1f}" r="2" '
            f'fill="var(--{colour})" opacity="0.55"/>')
