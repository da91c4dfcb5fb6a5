# SPDX-License-Identifier: GPL-2.0-only
"""The map as text: boxes of CPUs below their socket and node, as lstopo and likwid-topology draw them."""

from collections.abc import Sequence

from . import history, layout, model

MOST = 20	# processes, unless all are asked for
IN_BOX = 4	# of them in a domain's box
ASCII = str.maketrans("┌┐└┘─│◄…·", "++++-|<.-")


def _rows(box: layout.Box, room: int, width: int) -> list[str]:
    """The CPUs of a box: rows of as many cores, that fit; a part's begin with its name."""
    names = max(len(name) for name, _ in box.rows)
    lines = []
    for name, cores in box.rows:
        for number, row in enumerate(_row_of(box, cores, room - (names + 1 if names else 0), width)):
            lines.append(f"{'' if number else name:{names}} {row}" if names else row)
    return lines


def _row_of(box: layout.Box, cores: list[list[int]], room: int, width: int) -> list[str]:
    cells = []
    for core in cores:
        words = [f"({cpu})".rjust(width + 2) if cpu in box.offline else f"{cpu:>{width}}" for cpu in core]
        cells.append("[" + " ".join(words) + "]")
    fit = max(1, (room + 1) // (max(map(len, cells)) + 1))
    lines = -(-len(cells) // fit)
    across = -(-len(cells) // lines)
    return [" ".join(cells[start:start + across]) for start in range(0, len(cells), across)]


def _clip(text: str, room: int) -> str:
    return text if len(text) <= room else text[:room - 1] + "…"


def _residents(box: layout.Box) -> list[str]:
    lines = []
    for item in box.residents[:IN_BOX]:
        mark = f" ◄{f' {item.part}' if item.part else ''}" if item.preferred else ""
        parts = "".join(f" {name} {permille / 10:.0f}%" for name, permille in item.parts.items() if permille)
        lines.append(f"{item.permille / 10:3.0f}% {item.process.comm} {item.process.pid}{mark}"
                     + (f" ({parts.strip()})" if parts else ""))
    if len(box.residents) > IN_BOX:
        lines.append(f"     and {len(box.residents) - IN_BOX} more")
    return lines


def _drawn(box: layout.Box, room: int, width: int) -> list[str]:
    """The lines inside of a box."""
    lines = _rows(box, room, width)
    lines += [_clip(f"! {text}", room) for text in box.warnings]
    lines += [_clip(text, room) for text in _residents(box)]
    return lines


def _drawn_group(group: layout.Group, columns: int, width: int) -> list[str]:
    """A group: its boxes, and a line for each lot of boxes that are the same."""
    if not any(box.domain for box in group.boxes) and len(group.cpus) > MOST:
        return ["  " + layout.same_boxes(box) for box in group.boxes]
    out: list[str] = []
    row: list[layout.Box] = []
    for box in group.boxes:
        if not box.like:
            row.append(box)
            continue
        out += _beside(row, columns, width) if row else []
        out.append(f"  {layout.same_boxes(box)}")
        row = []
    return out + (_beside(row, columns, width) if row else [])


def _beside(boxes: list[layout.Box], columns: int, width: int) -> list[str]:
    """Boxes side by side, as many as fit."""
    room = max(20, min(columns - 6, 46))
    drawn = []
    for box in boxes:
        lines = _drawn(box, room, width)
        inner = max([len(box.title) + 1, *map(len, lines)])
        drawn.append((box.title, inner, lines))
    out: list[str] = []
    row: list[tuple[str, int, list[str]]] = []
    rows, used = [], 0
    for item in drawn:
        if row and used + item[1] + 5 > columns - 2:
            rows.append(row)
            row, used = [], 0
        row.append(item)
        used += item[1] + 5
    rows += [row] if row else []
    for row in rows:
        high = max(len(lines) for _, _, lines in row)
        out.append(" ".join(f"┌ {title} {'─' * (inner - len(title))}┐" for title, inner, _ in row))
        for number in range(high):
            out.append(" ".join(f"│ {(lines[number] if number < len(lines) else ''):{inner}} │"
                                for _, inner, lines in row))
        out.append(" ".join(f"└{'─' * (inner + 2)}┘" for _, inner, _ in row))
    return ["  " + line for line in out]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells, in columns; numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = [all(row[column].replace(".", "").isdigit() or row[column] == "-" for row in rows[1:])
             for column in range(len(rows[0]))]
    return ["  " + "  ".join(cell.rjust(width) if align else cell.ljust(width)
                             for cell, width, align in zip(row, widths, right)).rstrip() for row in rows]


def _history(shown: list[model.Process], before: history.History | None) -> list[str]:
    """What --watch remembers."""
    if before is None or before.rounds < 2:
        return []
    rows = [("PID", "LATELY", "GATHERING")] + [(str(item.pid), before.strip(item.pid), before.words(item.pid))
                                               for item in shown]
    return ["", f"The last {min(before.rounds, history.KEPT)} pictures (the last character of the domain or part that has 80%, "
            "* apart, . idle):"] + _table(rows)


def _processes(processes: model.Processes, every: bool, before: history.History | None = None) -> list[str]:
    shown, left = layout.busiest(processes, None if every else MOST)
    out = ["", f"Processes: {layout.about_processes(processes)}"]
    if not shown:
        return out + ["  none with several threads"]
    rows = [("PID", "NAME", "THREADS", "RUNS IN", "GATHERED IN", "RUNNING", "FOOTPRINT", "WAKEUPS", "MOVES")]
    for item in shown:
        verdict = item.verdict or model.Verdict()
        average = "-" if verdict.running_avg is None else f"{verdict.running_avg:.1f}"
        footprint = "-" if verdict.footprint_kib is None else model.size_of(verdict.footprint_kib)
        wakeups = "/".join(str(value) for value in item.wakeups.values()) or "-"
        moves = "/".join(str(value) for value in item.moves.values()) or "-"
        rows.append((str(item.pid), _clip(item.comm, 16), str(item.threads), layout.shares(item),
                     layout.verdict(item), average, footprint, wakeups, moves))
    out += _table(rows)
    if left:
        out.append(f"  and {left} more: --all")
    out.append("  wakeups: on the same CPU/within a domain/across; moves: within/across"
               + ("; ◄ in a box: gathered there" if any(item.verdict and item.verdict.preferred is not None
                                                        for item in shown) else ""))
    out += _history(shown, before)
    return out


def _migrations(found: model.Migrations) -> list[str]:
    if not found.tracking:
        return []
    out = ["", "Threads: wakeups on the same CPU {same_cpu}, within a domain {within}, across {across}; ".format(
        **found.wakeups) + "moves within {within}, across {across}".format(**found.moves)]
    pairs = sorted(((count, one, two) for one, row in enumerate(found.pairs) for two, count in enumerate(row)
                    if count and one != two), key=lambda item: (-item[0], item[1:]))
    for moves, one, two in pairs[:6]:
        out.append(f"  {moves:>7} from {found.domains[one]} to {found.domains[two]}")
    if len(pairs) > 6:
        out.append(f"  and {len(pairs) - 6} pairs of domains more")
    return out


def _map(machine: model.Machine, processes: model.Processes | None, columns: int, every: bool) -> list[str]:
    """The boxes."""
    if not machine.domains and not machine.unknown:
        return ["", f"No cache is known of any CPU: {model.list_of(machine.online)}"]
    found = layout.groups(machine, processes)
    out = []
    for group in found if every else layout.folded(machine, found):
        out += ["", group.title] + _drawn_group(group, columns, len(str(max(machine.online))))
        out += ["", layout.same_groups(group)] if group.like else []
    return out


def render(machine: model.Machine, processes: model.Processes | None = None, migrations: model.Migrations | None = None,
           columns: int = 100, every: bool = False, plain: bool = False, before: history.History | None = None) -> str:
    """All of it, as text that ends with a newline."""
    columns = max(40, columns)
    out = [layout.headline(machine), layout.CAS[machine.cas]]
    out += layout.shapes(machine)
    out += [_clip(line, max(columns, 100)) for line in layout.about(machine)]
    out += _map(machine, processes, columns, every)
    if rest := layout.offline(machine):
        out += ["", f"Offline: {model.list_of(rest)}"]
    if problems := layout.remarks(machine, every):
        out += ["", "Disagreements:"] + [f"  ! {line}" for line in problems]
    elif machine.domains and all(domain.sched_cpus is not None for domain in machine.domains):
        out += ["", "Hardware and scheduler agree."]
    if processes:
        out += _processes(processes, every, before)
    if migrations:
        out += _migrations(migrations)
    if machine.notes:
        out += [""] + [f"Note: {note}" for note in machine.notes]
    text = "\n".join(line.rstrip() for line in out) + "\n"
    # names of processes may hold anything that prints
    return text.translate(ASCII).encode("ascii", "replace").decode() if plain else text
