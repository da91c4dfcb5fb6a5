# SPDX-License-Identifier: GPL-2.0-only
"""The map as one SVG file: no script, no font, no picture from elsewhere; light and dark as the viewer is."""

from xml.sax.saxutils import escape, quoteattr

from . import layout, model

CELL, GAP, PAD = 30, 4, 10	# a CPU's square, between squares, inside of boxes
LINE = 15			# a line of text
CHAR, HEAD = 6.8, 8.7		# width of a character of the text, and of the headline, about
WIDTH = 1000			# of the picture, unless a box is wider
IN_BOX = 6			# processes in a domain's box
MOST = 40			# and in the table

STYLE = """
svg { font: 11px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; background: #fff; }
text { fill: #1c2330; } .dim { fill: #5b6575; } .title { font-weight: 600; }
.head { font-size: 14px; font-weight: 600; }
.group { fill: #f3f5f8; stroke: #c3cad5; } .domain { fill: #fff; stroke: #7d8797; }
.core { fill: #dfe7f3; } .cpu { fill: #b9cbe6; } .off { fill: none; stroke: #a5adba; stroke-dasharray: 3 2; }
.warn { fill: #b3261e; } .wrong { stroke: #b3261e; stroke-width: 2; }
.alone { fill: #fff; stroke: #a5adba; stroke-dasharray: 4 3; }
.track { fill: #e6e9ef; } .bar { fill: #9aa5b5; } .here { fill: #1a7f5a; } .other { fill: #c98a1b; }
@media (prefers-color-scheme: dark) {
svg { background: #14181f; } text { fill: #e3e7ee; } .dim { fill: #9aa4b4; }
.group { fill: #1b212b; stroke: #3a4454; } .domain, .alone { fill: #222935; }
.core { fill: #2b3648; } .cpu { fill: #3d5378; } .track { fill: #2c3440; } .bar { fill: #66738a; }
.warn { fill: #ff8a80; } .wrong { stroke: #ff8a80; } .here { fill: #35b483; } .other { fill: #e0a93f; }
}
""".strip()


class Picture:
    """SVG elements, and how far they reach."""

    def __init__(self):
        self.parts, self.width, self.height = [], 0, 0

    def _reach(self, x, y):
        self.width, self.height = max(self.width, x), max(self.height, y)

    def rect(self, x, y, width, height, kind, title="", radius=3):
        self._reach(x + width, y + height)
        body = f"><title>{escape(title)}</title></rect>" if title else "/>"
        self.parts.append(f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
                          f'rx="{radius}"{body}')

    def text(self, x, y, text, kind="", anchor="", title=""):
        self._reach(x + (0 if anchor else len(text) * (HEAD if kind == "head" else CHAR)), y + 4)
        words = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
        inner = (f"<title>{escape(title)}</title>" if title else "") + escape(text)
        self.parts.append(f'<text x="{x:g}" y="{y:g}"{words} xml:space="preserve">{inner}</text>')

    def render(self, title, about):
        width, height = self.width + 20, self.height + 20
        return "\n".join([
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label={quoteattr(title)}>',
            f"<title>{escape(title)}</title>", f"<desc>{escape(about)}</desc>", f"<style>{STYLE}</style>",
            *self.parts, "</svg>", ""])


def _clip(text, width):
    most = int(width / CHAR)
    return text if len(text) <= most else text[:max(1, most - 1)] + "…"


def _wide(core):
    return len(core) * CELL + (len(core) - 1) * 2


def _core_rows(box):
    """Cores in rows of about a square, at most 8 wide."""
    most = 8 if len(box.cores) <= 32 else 16
    across = max(1, most // max(len(core) for core in box.cores))
    return [box.cores[start:start + across] for start in range(0, len(box.cores), across)]


def _size(box, with_processes):
    """(width, height) of a box."""
    rows = _core_rows(box)
    width = max(sum(_wide(core) + 2 * GAP for core in row) + GAP * (len(row) - 1) for row in rows)
    width = max(width, len(box.title) * CHAR + 8, 215 if with_processes else 0)
    height = LINE + 4 + len(rows) * (CELL + 2 * GAP + GAP) + len(box.warnings) * LINE
    if with_processes and box.residents:
        height += 4 + (min(len(box.residents), IN_BOX) + (len(box.residents) > IN_BOX)) * (LINE + 1)
    return width + 2 * PAD, height + 2 * PAD - GAP


def _about(domain):
    """All that is known of a domain, shown under the pointer."""
    words = [f"CPUs {model.list_of(domain.cpus)}", f"L{domain.level} {domain.type}", model.size_of(domain.size_kib)]
    words += [f"{domain.ways} ways"] if domain.ways else []
    words += [f"lines of {domain.line} bytes"] if domain.line else []
    words += [f"id of {key}: {value}" for key, value in domain.ids.items() if value is not None]
    words += [f"scheduler: {model.list_of(domain.sched_cpus)}"] if domain.sched_cpus is not None else []
    return "\n".join(words + domain.disagreements)


def _cpus(picture, box, x, y):
    """The cores of a box; returns where it goes on."""
    for row in _core_rows(box):
        at = x
        for core in row:
            wide = _wide(core) + 2 * GAP
            if len(core) > 1:
                picture.rect(at, y, wide, CELL + 2 * GAP, "core", f"a core: CPUs {', '.join(map(str, core))}")
            for number, cpu in enumerate(core):
                left, off = at + GAP + number * (CELL + 2), cpu in box.offline
                picture.rect(left, y + GAP, CELL, CELL, "off" if off else "cpu",
                             f"CPU {cpu}" + (", offline" if off else ""))
                picture.text(left + CELL / 2, y + GAP + CELL / 2 + 4, str(cpu), "dim" if off else "", "middle")
            at += wide + GAP
        y += CELL + 3 * GAP
    return y


def _resident(picture, item, x, y, width):
    """A process in a box: a bar as long as its share, and its name."""
    process = item.process
    kind = "here" if item.preferred else "bar"
    where = layout.verdict(process)
    title = (f"{process.comm}, process {process.pid}: {process.threads} threads, {item.permille / 10:g}% of its "
             f"run time here; gathered: {where}")
    room = 60
    picture.rect(x, y + 2, room, LINE - 4, "track", title, 2)
    if item.permille:
        picture.rect(x, y + 2, room * min(item.permille, 1000) / 1000, LINE - 4, kind, title, 2)
    picture.text(x + room + 6, y + 11, _clip(f"{item.permille / 10:.0f}% {process.comm} {process.pid}"
                                             + (" ◄" if item.preferred else ""), width - room - 6), title=title)
    return y + LINE + 1


def _box(picture, box, x, y, width, height, with_processes):
    domain = box.domain
    wrong = bool(box.warnings or domain and domain.disagreements)
    kind = "alone" if domain is None else "domain wrong" if wrong else "domain"
    picture.rect(x, y, width, height, kind, _about(domain) if domain else box.title, 5)
    at = y + PAD + 10
    picture.text(x + PAD, at, box.title, "title")
    at = _cpus(picture, box, x + PAD, at + 8)
    for text in box.warnings:
        picture.text(x + PAD, at + 10, _clip(f"! {text}", width - 2 * PAD), "warn")
        at += LINE
    if with_processes and box.residents:
        at += 4
        for item in box.residents[:IN_BOX]:
            at = _resident(picture, item, x + PAD, at, width - 2 * PAD)
        if len(box.residents) > IN_BOX:
            picture.text(x + PAD, at + 11, f"and {len(box.residents) - IN_BOX} more", "dim")


def _group(picture, group, x, y, with_processes):
    """A node's boxes in rows; returns where it goes on."""
    sizes = [_size(box, with_processes) for box in group.boxes]
    rows, row, used = [], [], 0
    for box, (width, height) in zip(group.boxes, sizes):
        if row and used + width > WIDTH - 2 * PAD:
            rows.append(row)
            row, used = [], 0
        row.append((box, width, height))
        used += width + 8
    rows.append(row)
    wide = max(sum(width + 8 for _, width, _ in row) for row in rows) - 8
    high = sum(max(height for _, _, height in row) + 8 for row in rows) + LINE + 4
    wide = max(wide, len(group.title) * CHAR)
    picture.rect(x, y, wide + 2 * PAD, high + PAD, "group", radius=6)
    picture.text(x + PAD, y + PAD + 10, group.title, "title")
    at = y + LINE + PAD + 4
    for row in rows:
        tall, left = max(height for _, _, height in row), x + PAD
        for box, width, _ in row:
            _box(picture, box, left, at, width, tall, with_processes)
            left += width + 8
        at += tall + 8
    return wide + 2 * PAD, high + PAD


def _lines(picture, y, title, lines, kind=""):
    y += 24
    picture.text(20, y, title, "title")
    for line in lines:
        y += LINE
        picture.text(28, y, line, kind)
    return y


def _processes(picture, y, processes, every):
    """The table: where each runs, a bar per process divided by domain, and where it is gathered."""
    shown, left = layout.busiest(processes, None if every else MOST)
    y = _lines(picture, y, f"Processes: {layout.about_processes(processes)}", [])
    if not shown:
        picture.text(28, y + LINE, "none with several threads", "dim")
        return y + LINE
    columns = (28, 92, 230, 292, 508, 700)
    y += LINE + 2
    for x, word in zip(columns, ("PID", "name", "threads", "runs in", "", "gathered in")):
        picture.text(x, y, word, "dim")
    for process in shown:
        y += LINE + 2
        for x, word in zip(columns, (str(process.pid), _clip(process.comm, 130), str(process.threads))):
            picture.text(x, y, word)
        at, room = columns[3], 200
        picture.rect(at, y - 9, room, 11, "track", radius=2)
        chosen = process.verdict.preferred if process.verdict else None
        for domain, permille in sorted(process.share.items(), key=lambda item: (item[0] != chosen, -item[1], item[0])):
            wide = min(room * permille / 1000, columns[3] + room - at)
            if wide < 0.5:
                continue
            kind = "here" if domain == chosen else "bar"
            picture.rect(at, y - 9, max(wide - 1, 0.5), 11, kind, f"domain {domain}: {permille / 10:g}%", 1)
            at += wide
        picture.text(columns[4], y, layout.shares(process))
        refused = process.verdict is not None and chosen is None
        if refused:
            picture.rect(columns[5] - 14, y - 8, 9, 9, "other", model.REASONS.get(process.verdict.reason, ""), 4)
        picture.text(columns[5], y, layout.verdict(process))
    if left:
        y += LINE + 2
        picture.text(28, y, f"and {left} more", "dim")
    y += LINE + 8
    for x, kind, word in ((28, "here", "where it is gathered"), (200, "bar", "elsewhere"),
                          (300, "other", "refused, and why")):
        picture.rect(x, y - 8, 9, 9, kind, radius=2)
        picture.text(x + 14, y, word, "dim")
    return y


def render(machine, processes=None, migrations=None, every=False):
    """The SVG's text."""
    picture = Picture()
    picture.text(20, 30, layout.headline(machine), "head")
    picture.text(20, 48, layout.CAS[machine.cas], "dim")
    groups = layout.groups(machine, processes)
    inside = bool(processes and processes.list)
    x, y, tall, right = 20, 64, 0, 0
    for group in groups:
        trial = Picture()
        wide, high = _group(trial, group, 0, 0, inside)
        if right and right + wide > WIDTH:	# groups stand side by side as far as they fit
            x, y, tall = 20, y + tall + 10, 0
        _group(picture, group, x, y, inside)
        x += wide + 10
        right, tall = x, max(tall, high)
    y += tall
    if rest := layout.offline(machine):
        y = _lines(picture, y, f"Offline: {model.list_of(rest)}", [])
    if problems := layout.problems(machine):
        y = _lines(picture, y, "Disagreements", problems[:60] + ([f"and {len(problems) - 60} more"]
                                                                 if len(problems) > 60 else []), "warn")
    if processes:
        y = _processes(picture, y, processes, every)
    if migrations and migrations.tracking:
        y = _lines(picture, y, "Threads", [
            "wakeups: {same_cpu} on the same CPU, {within} within a domain, {across} across".format(
                **migrations.wakeups),
            "moves: {within} within a domain, {across} across".format(**migrations.moves)])
    if machine.notes:
        y = _lines(picture, y, "Notes", machine.notes, "dim")
    about = " ".join([layout.CAS[machine.cas] + ".", *(line + "." for line in problems[:20])])
    return picture.render(f"Cache domains of {layout.headline(machine)}", about)
