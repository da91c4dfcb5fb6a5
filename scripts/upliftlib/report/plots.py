# SPDX-License-Identifier: GPL-2.0-only
"""Plots as SVG: every round of every arm, and what is gained with its interval. Colours are the page's."""

import html
import math

LABELS = {"off": "off", "off_again": "off again", "null": "null", "new": "new", "batch": "batch",
          "track": "tracking"}
COLOURS = {"off": "off", "off_again": "off", "null": "null", "new": "new", "batch": "batch",
           "track": "batch"}
WIDTH, LEFT, RIGHT, ROW, TOP = 760, 180, 24, 26, 30


def ticks(low, high, count=6):
    """Round numbers that cover a range."""
    span = high - low or abs(high) or 1
    step = 10 ** math.floor(math.log10(span / count))
    step = next(step * by for by in (1, 2, 2.5, 5, 10) if span / (step * by) <= count)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _number(value):
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


class _Axis:
    def __init__(self, low, high):
        pad = (high - low) * 0.04 or abs(high) * 0.01 or 1
        self.low, self.high = low - pad, high + pad

    def x(self, value):
        """Where a value is."""
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - self.low) / (self.high - self.low)

    def draw(self, height, suffix=""):
        """Lines and numbers below."""
        for tick in ticks(self.low, self.high):
            x = self.x(tick)
            yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - 22}"/>'
            yield (f'<text class="soft" x="{x:.1f}" y="{height - 6}" text-anchor="middle">'
                   f"{_number(tick)}{suffix}</text>")


def _svg(title, height, parts):
    return (f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img"><title>{html.escape(title)}</title>'
            f'<text x="0" y="14">{html.escape(title)}</text>' + "".join(parts) + "</svg>")


def _bar(axis, y, found, colour, width=2):
    yield (f'<line x1="{axis.x(found["low"]):.1f}" x2="{axis.x(found["high"]):.1f}" y1="{y}" y2="{y}" '
           f'stroke="var(--{colour})" stroke-width="{width}"/>')
    x = axis.x(found["median"])
    yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8}" y2="{y + 8}" stroke="var(--{colour})" stroke-width="3"/>'


def rounds(operation):
    """Every round of an operation's arms as a dot, and the median with its interval. Far outliers are counted, not
    drawn: one of them would squeeze all the others into a line."""
    arms = [arm for arm in LABELS if arm in operation["arms"]]
    values = sorted(value for arm in arms for value in operation["arms"][arm])
    middle = values[len(values) // 4], values[3 * len(values) // 4]
    fence = 4 * (middle[1] - middle[0]) or middle[1] or 1
    shown = [value for value in values if middle[0] - fence <= value <= middle[1] + fence]
    axis = _Axis(min(shown), max(shown))
    height = TOP + ROW * len(arms) + 30
    parts = list(axis.draw(height))
    for row, arm in enumerate(arms):
        y = TOP + ROW * row + ROW // 2
        out = sum(not shown[0] <= value <= shown[-1] for value in operation["arms"][arm])
        label = LABELS[arm] + (f" (+{out} out)" if out else "")
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{label}</text>')
        last = max(len(operation["arms"][arm]) - 1, 1)
        for index, value in enumerate(operation["arms"][arm]):
            if shown[0] <= value <= shown[-1]:
                # spread over the row's height, so that equal ones do not hide each other
                parts.append(f'<circle cx="{axis.x(value):.1f}" cy="{y - 6 + 12 * index / last:.1f}" r="2" '
                             f'fill="var(--{COLOURS[arm]})" opacity="0.55"/>')
        parts += _bar(axis, y, operation["summary"][arm], COLOURS[arm])
    return _svg(f"{operation['name']}: {operation['unit']} per operation, every round", height, parts)


def forest(part):
    """What the arms of a change save against null, in per cent, with the interval; behind it, how the offs differ."""
    rows = [(operation, arm, gain) for operation in part["operations"] for arm, gain in operation["gains"].items()]
    noise, low, high = [], 0.0, 0.0
    for operation, _, gain in rows:
        # the same scale as the gain's own per cents
        base = operation["summary"]["null"]["median"] or 1
        wide = 100 * max(abs(gain["noise"]["low"]), abs(gain["noise"]["high"])) / base
        noise.append(wide)
        low, high = min(low, gain["percent"]["low"], -wide), max(high, gain["percent"]["high"], wide)
    axis = _Axis(low, high)
    height = TOP + ROW * len(rows) + 30
    parts = list(axis.draw(height, "%"))
    zero = axis.x(0)
    parts.append(f'<line x1="{zero:.1f}" x2="{zero:.1f}" y1="{TOP - 6}" y2="{height - 22}" stroke="var(--soft)"/>')
    for row, ((operation, arm, gain), wide) in enumerate(zip(rows, noise)):
        y = TOP + ROW * row + ROW // 2
        left, right = axis.x(-wide), axis.x(wide)
        parts.append(f'<rect x="{left:.1f}" width="{max(right - left, 0.5):.1f}" y="{y - 9}" height="18" '
                     'fill="var(--off)" opacity="0.25"/>')
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">'
                     f"{html.escape(operation['name'])}, {arm}</text>")
        parts += _bar(axis, y, gain["percent"], COLOURS[arm] if gain["claim"] != "none" else "off", 4)
    return _svg(f"{part['name']}: saved against null, per cent, 95% interval; grey: how far the two offs differ",
                height, parts)
