# SPDX-License-Identifier: GPL-2.0-only
"""A recording as one SVG file: of each process a band, whose colours are the places that it ran in."""

from . import model, record, svg, timeline

WIDE, HIGH = 900, 44		# of a band
COLORS = 8


def _columns(line: timeline.Line, end: float) -> list[dict[str, float]]:
    """Milliseconds by place, of as many columns as can be told apart."""
    number = max(1, min(WIDE // 2, len(line.moments)))
    found: list[dict[str, float]] = [{} for _ in range(number)]
    for moment in line.moments:
        column = found[min(int(moment.ms / end * number), number - 1) if end else 0]
        for place, ran in moment.ran.items():
            column[place] = column.get(place, 0.0) + ran
    return found


def _band(picture: svg.Picture, recording: record.Recording, line: timeline.Line, y: float, end: float) -> None:
    numbers = {place: at for at, place in enumerate((*recording.places, "none"))}
    columns = _columns(line, end)
    wide = WIDE / len(columns)
    picture.rect(20, y, WIDE, HIGH, "track", f"{line.name} {line.pid}", 0)
    for at, column in enumerate(columns):
        total, low = sum(column.values()), y + HIGH
        for place, ran in sorted(column.items(), key=lambda item: numbers[item[0]]):
            high = HIGH * ran / total if total else 0
            low -= high
            if high >= 0.5:
                picture.rect(20 + at * wide, low, wide, high, f"p{numbers[place] % COLORS}",
                             f"{at * end / len(columns) / 1000:.1f} s, {place}: {100 * ran / total:.0f}%", 0)
    for event in line.events:
        x = 20 + (WIDE * event.ms / end if end else 0)
        picture.rect(min(x, 20 + WIDE - 2), y - 4, 2, HIGH + 8, "mark", f"{event.ms / 1000:.1f} s: {event.words()}", 0)


def render(recording: record.Recording, every: bool = False) -> str:
    """The SVG's text."""
    picture = svg.Picture()
    end, found = timeline.end_of(recording), timeline.lines(recording)
    picture.text(20, 30, timeline.headline(recording), "head")
    y = 40
    for at, (name, cpus) in enumerate(list(recording.places.items())[:None if every else 16]):
        y += svg.LINE
        picture.rect(20, y - 9, 10, 10, f"p{at % COLORS}", radius=2)
        picture.text(36, y, f"{name}: CPUs {model.list_of(cpus)}", "dim")
    if not found:
        y += 30
        picture.text(20, y, timeline.NOTHING, "dim")
    most = len(found) if every else 20
    for line in found[:most]:
        y += 30
        picture.text(20, y, f"{line.name} {line.pid}: {timeline.told(line, end)}", "title")
        _band(picture, recording, line, y + 10, end)
        y += HIGH + 14
        for words in timeline.counts(line):
            y += svg.LINE
            picture.text(28, y, words, "dim")
    if len(found) > most:
        picture.text(20, y + 30, f"and {len(found) - most} processes more", "dim")
    return picture.render(f"Placement over time, {recording.kernel}", timeline.headline(recording))
