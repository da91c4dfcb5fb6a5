# SPDX-License-Identifier: GPL-2.0-only
"""The map as one SVG file: no script, no font, no picture from elsewhere; light and dark as the viewer is."""

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from . import layout, model

CELL, GAP, PAD = 30, 4, 10	# a CPU's square, between squares, inside of boxes
LINE = 15			# a line of text
CHAR, HEAD = 6.8, 8.7		# width of a character of the text, and of the headline, about
WIDTH = 1000			# of the picture, unless a box is wider
Row = list[list[list[int]]]	# clusters of cores, side by side
IN_BOX = 6			# processes in a domain's box
MOST = 40			# and in the table

STYLE = """
svg { font: 11px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; background: #fff; }
text { fill: #1c2330; } .dim { fill: #5b6575; } .title { font-weight: 600; }
.head { font-size: 14px; font-weight: 600; }
.group { fill: #f3f5f8; stroke: #c3cad5; } .domain { fill: #fff; stroke: #7d8797; }
.core { fill: #dfe7f3; } .cpu { fill: #b9cbe6; } .k1 { fill: #bfe0cd; } .k2 { fill: #ead9b5; } .k3 { fill: #dcc8e6; }
.part { fill: #eef1f6; stroke: #7d8797; stroke-dasharray: 2 2; } .cluster { fill: none; stroke: #7d8797; }
.off { fill: none; stroke: #a5adba; stroke-dasharray: 3 2; }
.warn { fill: #b3261e; } .wrong { stroke: #b3261e; stroke-width: 2; }
.alone { fill: #fff; stroke: #a5adba; stroke-dasharray: 4 3; }
.track { fill: #e6e9ef; } .bar { fill: #9aa5b5; } .here { fill: #1a7f5a; } .other { fill: #c98a1b; }
.p0 { fill: #4477aa; } .p1 { fill: #ee6677; } .p2 { fill: #228833; } .p3 { fill: #ccbb44; } .p4 { fill: #66ccee; }
.p5 { fill: #aa3377; } .p6 { fill: #bb7733; } .p7 { fill: #888888; } .mark { fill: #1c2330; }
@media (prefers-color-scheme: dark) {
svg { background: #14181f; } text { fill: #e3e7ee; } .dim { fill: #9aa4b4; }
.group { fill: #1b212b; stroke: #3a4454; } .domain, .alone { fill: #222935; }
.core { fill: #2b3648; } .cpu { fill: #3d5378; } .k1 { fill: #2f5f47; } .k2 { fill: #665327; } .k3 { fill: #553a66; }
.part { fill: #1c222c; } .track { fill: #2c3440; } .bar { fill: #66738a; }
.mark { fill: #e3e7ee; } .warn { fill: #ff8a80; } .wrong { stroke: #ff8a80; } .here { fill: #35b483; } .other { fill: #e0a93f; }
}
""".strip()


class Picture:
    """SVG elements, and how far they reach."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.width, self.height = 0.0, 0.0

    def _reach(self, x: float, y: float) -> None:
        self.width, self.height = max(self.width, x), max(self.height, y)

    def rect(self, x: float, y: float, width: float, height: float, kind: str, title: str = "", radius: int = 3) -> None:
        self._reach(x + width, y + height)
        body = f"><title>{escape(title)}</title></rect>" if title else "/>"
        self.parts.append(f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
                          f'rx="{radius}"{body}')

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "", title: str = "") -> None:
        self._reach(x + (0 if anchor else len(text) * (HEAD if kind == "head" else CHAR)), y + 4)
        words = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
        inner = (f"<title>{escape(title)}</title>" if title else "") + escape(text)
        self.parts.append(f'<text x="{x:g}" y="{y:g}"{words} xml:space="preserve">{inner}</text>')

    def render(self, title: str, about: str) -> str:
        width, height = self.width + 20, self.height + 20
        return "\n".join([
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label={quoteattr(title)}>',
            f"<title>{escape(title)}</title>", f"<desc>{escape(about)}</desc>", f"<style>{STYLE}</style>",
            *self.parts, "</svg>", ""])


def _clip(text: str, width: float) -> str:
    most = int(width / CHAR)
    return text if len(text) <= most else text[:max(1, most - 1)] + "…"


def _wide(core: list[int]) -> int:
    return len(core) * CELL + (len(core) - 1) * 2 + 2 * GAP


def _of_cluster(cluster: list[list[int]]) -> int:
    return sum(_wide(core) + GAP for core in cluster) - GAP + (2 * GAP if len(cluster) > 1 else 0)


def _core_rows(box: layout.Box) -> list[tuple[str, list[Row]]]:
    """(part's name, rows of clusters) in about a square, at most 8 CPUs wide, or 16."""
    most = 8 if len(box.cores) <= 32 else 16
    across = max(1, most // max(len(core) for core in box.cores))
    return [(name, _rows_of(clusters, across)) for name, clusters in box.units]


def _rows_of(clusters: list[list[list[int]]], across: int) -> list[Row]:
    """Rows of clusters; one that is wider than a row is cut."""
    rows: list[Row] = []
    row: Row = []
    used = 0
    for cluster in clusters:
        for start in range(0, len(cluster), across):
            piece = cluster[start:start + across]
            if row and used + len(piece) > across:
                rows.append(row)
                row, used = [], 0
            row.append(piece)
            used += len(piece)
    return rows + [row]


ROW = CELL + 5 * GAP	# height of a row: a CPU, what is around its core and its cluster, and the space below
LABEL = 26		# width of a part's name


def _cores_size(box: layout.Box) -> tuple[float, float]:
    """(width, height) of a box's CPUs."""
    by_part = _core_rows(box)
    width = max(sum(_of_cluster(cluster) + GAP for cluster in row) - GAP for _, rows in by_part for row in rows)
    named = any(name for name, _ in by_part)
    return width + (LABEL + 2 * GAP if named else 0), sum(len(rows) * ROW + (2 * GAP if named else 0) for _, rows in by_part)


def _title(box: layout.Box) -> str:
    return f"{len(box.like) + 1} x {box.title}" if box.like else box.title


def _size(box: layout.Box, with_processes: bool) -> tuple[float, float]:
    """(width, height) of a box."""
    width, height = _cores_size(box)
    width = max(width, len(_title(box)) * CHAR + 8, 215 if with_processes else 0)
    height += LINE + 4 + len(box.warnings) * LINE
    if with_processes and box.residents:
        height += 4 + (min(len(box.residents), IN_BOX) + (len(box.residents) > IN_BOX)) * (LINE + 1)
    return width + 2 * PAD, height + 2 * PAD - GAP


def _about(domain: model.Domain) -> str:
    """All that is known of a domain, shown under the pointer."""
    words = [f"CPUs {model.list_of(domain.cpus)}", f"L{domain.level} {domain.type}", model.size_of(domain.size_kib)]
    words += [f"{domain.ways} ways"] if domain.ways else []
    words += [f"lines of {domain.line} bytes"] if domain.line else []
    words += [f"id of {key}: {value}" for key, value in domain.ids.items() if value is not None]
    words += [f"scheduler: {model.list_of(domain.sched_cpus)}"] if domain.sched_cpus is not None else []
    return "\n".join(words + domain.disagreements)


def _cpus(picture: Picture, box: layout.Box, x: float, y: float) -> float:
    """The CPUs of a box, part by part; returns where it goes on."""
    named = any(name for name, _ in box.units)
    for name, rows in _core_rows(box):
        high = len(rows) * ROW
        if name:
            cpus = model.list_of({cpu for row in rows for cluster in row for core in cluster for cpu in core})
            picture.rect(x, y, _cores_size(box)[0], high + GAP, "part", f"part {name}: CPUs {cpus}")
            picture.text(x + GAP, y + high / 2 + 4, name, "title")
        at = y + (GAP if named else 0)
        for row in rows:
            left = x + (LABEL + GAP if named else 0)
            for cluster in row:
                left += _cluster(picture, box, cluster, left, at) + GAP
            at += ROW
        y = at + (GAP if named else 0)
    return y


def _cluster(picture: Picture, box: layout.Box, cluster: list[list[int]], x: float, y: float) -> int:
    """Cores that share a cache below the last level; returns how wide they are."""
    wide = _of_cluster(cluster)
    if len(cluster) > 1:
        cpus = model.list_of({cpu for core in cluster for cpu in core})
        picture.rect(x, y, wide, CELL + 4 * GAP, "cluster", f"a cluster: CPUs {cpus}")
    at = x + (GAP if len(cluster) > 1 else 0)
    for core in cluster:
        if len(core) > 1:
            picture.rect(at, y + GAP, _wide(core), CELL + 2 * GAP, "core", f"a core: CPUs {', '.join(map(str, core))}")
        for number, cpu in enumerate(core):
            _cpu(picture, box, cpu, at + GAP + number * (CELL + 2), y + 2 * GAP)
        at += _wide(core) + GAP
    return wide


def _cpu(picture: Picture, box: layout.Box, cpu: int, x: float, y: float) -> None:
    off = cpu in box.offline
    number, words = box.marks.get(cpu, (0, ""))
    kind = "off" if off else f"cpu k{min(number, 3)}" if number else "cpu"
    picture.rect(x, y, CELL, CELL, kind, f"CPU {cpu}" + (", offline" if off else f", {words}" if words else ""))
    picture.text(x + CELL / 2, y + CELL / 2 + 4, str(cpu), "dim" if off else "", "middle")


def _resident(picture: Picture, item: layout.Resident, x: float, y: float, width: float) -> float:
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
    parts = "".join(f" {name} {permille / 10:.0f}%" for name, permille in item.parts.items() if permille)
    picture.text(x + room + 6, y + 11, _clip(f"{item.permille / 10:.0f}% {process.comm} {process.pid}"
                                             + (f" ◄ {item.part or ''}".rstrip() if item.preferred else "") + parts,
                                             width - room - 6), title=title)
    return y + LINE + 1


def _box(picture: Picture, box: layout.Box, x: float, y: float, width: float, height: float, with_processes: bool) -> None:
    domain = box.domain
    wrong = bool(box.warnings or domain and domain.disagreements)
    kind = "alone" if domain is None else "domain wrong" if wrong else "domain"
    picture.rect(x, y, width, height, kind, _about(domain) if domain else box.title, 5)
    at = y + PAD + 10
    picture.text(x + PAD, at, _title(box), "title")
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


def _group(picture: Picture, group: layout.Group, x: float, y: float, with_processes: bool) -> tuple[float, float]:
    """A node's boxes in rows; returns where it goes on."""
    sizes = [_size(box, with_processes) for box in group.boxes]
    row: list[tuple[layout.Box, float, float]] = []
    rows, used = [], 0.0
    for box, (width, height) in zip(group.boxes, sizes):
        if row and used + width > WIDTH - 2 * PAD:
            rows.append(row)
            row, used = [], 0
        row.append((box, width, height))
        used += width + 8
    rows.append(row)
    wide = max(sum(width + 8 for _, width, _ in row) for row in rows) - 8
    folded = [layout.same_boxes(box) for box in group.boxes if box.like]
    folded += [layout.same_groups(group)] if group.like else []
    high = sum(max(height for _, _, height in row) + 8 for row in rows) + LINE + 4 + len(folded) * LINE
    wide = max([wide, *(len(line) * CHAR for line in (group.title, *folded))])
    picture.rect(x, y, wide + 2 * PAD, high + PAD, "group", radius=6)
    picture.text(x + PAD, y + PAD + 10, group.title, "title")
    at = y + LINE + PAD + 4
    for row in rows:
        tall, left = max(height for _, _, height in row), x + PAD
        for box, width, _ in row:
            _box(picture, box, left, at, width, tall, with_processes)
            left += width + 8
        at += tall + 8
    for line in folded:
        picture.text(x + PAD, at + 10, line, "dim")
        at += LINE
    return wide + 2 * PAD, high + PAD


def _lines(picture: Picture, y: float, title: str, lines: Iterable[str], kind: str = "") -> float:
    y += 24
    picture.text(20, y, title, "title")
    for line in lines:
        y += LINE
        picture.text(28, y, line, kind)
    return y


def _processes(picture: Picture, y: float, processes: model.Processes, every: bool) -> float:
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
        at, room = float(columns[3]), 200
        picture.rect(at, y - 9, room, 11, "track", radius=2)
        chosen = process.verdict.where if process.verdict else None
        for domain, permille in sorted(process.places.items(), key=lambda item: (item[0] != chosen, -item[1], item[0])):
            wide = min(room * permille / 1000, columns[3] + room - at)
            if wide < 0.5:
                continue
            kind = "here" if domain == chosen else "bar"
            picture.rect(at, y - 9, max(wide - 1, 0.5), 11, kind,
                         f"{'part' if process.parts else 'domain'} {domain}: {permille / 10:g}%", 1)
            at += wide
        picture.text(columns[4], y, layout.shares(process))
        refused = process.verdict is not None and chosen is None
        if refused and process.verdict:
            picture.rect(columns[5] - 14, y - 8, 9, 9, "other", model.REASONS.get(process.verdict.reason or "", ""), 4)
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


def render(machine: model.Machine, processes: model.Processes | None = None, migrations: model.Migrations | None = None,
           every: bool = False) -> str:
    """The SVG's text."""
    picture = Picture()
    picture.text(20, 30, layout.headline(machine), "head")
    y = 48.0
    for line in (layout.CAS[machine.cas], *layout.shapes(machine), *layout.about(machine)):
        picture.text(20, y, line, "dim")
        y += LINE
    if not machine.domains and not machine.unknown:
        y = _lines(picture, y, f"No cache is known of any CPU: {model.list_of(machine.online)}", [])
        groups = []
    else:
        groups = layout.groups(machine, processes)
        groups = groups if every else layout.folded(machine, groups)
    inside = bool(processes and processes.list)
    x, tall, right = 20.0, 0.0, 0.0
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
    problems = layout.remarks(machine, every)
    if problems:
        y = _lines(picture, y, "Disagreements", problems, "warn")
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
