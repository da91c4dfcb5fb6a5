# SPDX-License-Identifier: GPL-2.0-only
"""The dossier: what a report says, as blocks, and the blocks as text, Markdown and HTML.

A block is a tuple: ("title", text), ("head", text), ("text", text), ("facts", [(name, value)]), ("list", [text]),
("table", [head], [[cell]]), ("code", name, text), ("plot", function that gives an SVG).
"""

import html
import re
import textwrap

from ..base import changes
from ..host import machine
from . import plots, stats

WIDTH = 79
ARMS = {"off": "off", "off_again": "off again", "null": "null", "new": "new", "batch": "batch", "track": "tracking"}
UNITS = {"ns": "ns", "instructions": "instr."}
COSTS = {"redirect": "The redirect itself costs (null against off; a shipped change has none)",
         "tracking": "Tracking costs (against off; nothing is attached until it is on)"}


def number(value):
    """12345.678 -> '12,346'; with as many decimals as three digits take."""
    value = value + 0.0 if value else 0.0
    if value == int(value):
        return f"{value:,.0f}"
    # by what it would be rounded to: 999.98 is 1,000, and not 1000.0
    if abs(round(value, 1)) >= 1000:
        return f"{value:,.0f}"
    if abs(round(value, 2)) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def percent(value):
    """3.14159 -> '3.1%'; more decimals where there is nothing before them."""
    value = abs(value)
    return f"{value:.1f}%" if value >= 1 or not value else f"{value:.2f}%"


def claim(gain, unit):
    """What may be said of an arm against null."""
    if gain["claim"] == "none":
        return stats.NONE
    sign = 1 if gain["claim"] == "gain" else -1
    saves, part = gain["saves"], gain["percent"]
    word = "less" if sign > 0 else "MORE"
    if saves["low"] == saves["high"]:
        return f"{number(abs(saves['median']))} {unit} {word}, {percent(part['median'])}"
    low, high = sorted((sign * part["low"], sign * part["high"]))
    return (f"{number(abs(saves['median']))} {unit} {word}, {percent(part['median'])} (95%: {percent(low)} to "
            f"{percent(high)})")


def gains(part):
    """[(operation, arm, gain)] of a change."""
    return [(operation, arm, gain) for operation in part["operations"] for arm, gain in operation["gains"].items()]


def in_short(part):
    """What a change gains, in a cell: the arm new where there is one, best operation first."""
    found = [row for row in gains(part) if row[1] == "new"] or gains(part)
    if not found:
        return "nothing to gain: it shows" if part.get("shows") else "not measured"
    words = []
    for kind, word in (("loss", "MORE"), ("gain", "less")):
        rows = [row for row in found if row[2]["claim"] == kind]
        rows.sort(key=lambda row: -abs(row[2]["percent"]["median"]))
        if rows:
            of = f"{len(rows)} of {len(found)} operations" if len(found) > 1 else rows[0][0]["name"]
            words.append(f"{'up to ' if len(rows) > 1 else ''}{percent(rows[0][2]['percent']['median'])} {word} ({of}"
                         + (f"; {rows[0][1]})" if rows[0][1] != "new" else ")"))
    return "; ".join(words) or stats.NONE


def correct(part):
    """Were tests run, and what did they say?"""
    found = part.get("correctness")
    if not found:
        return "not run here"
    return f"{'passed' if found['ok'] else 'FAILED'}: {found['summary']}"


def _cell(found, unit):
    if found["low"] == found["high"]:
        return number(found["median"])
    return f"{number(found['median'])} [{number(found['low'])}, {number(found['high'])}]"


def _cost(operation, what):
    """What an arm costs, in words; None where that was not measured."""
    cost = operation.get(what)
    if not cost:
        return None
    unit = UNITS[operation["unit"]]
    if not cost["claim"]:
        return "not measurable"
    if cost["low"] == cost["high"]:
        return f"{number(cost['median'])} {unit} a call"
    return f"{number(cost['median'])} {unit} a call (95%: {number(cost['low'])} to {number(cost['high'])})"


def _upstream(part):
    known = part.get("upstream") or {}
    words = [f"Linux {known['linux']}"] if known.get("linux") else []
    words += [f'"{known["title"]}"'] if known.get("title") else []
    words += [known["author"]] if known.get("author") else []
    words += [f"commit {known['commit']}"] if known.get("commit") else ["commit id not recorded here"]
    return ", ".join(words)


def _change(part):
    verdict = part["verdict"]
    kind = verdict["kind"]
    yield "head", f"{part['name']}: {part['title']}"
    yield "facts", [("Upstream", _upstream(part)),
                    ("Verdict", f"{kind} - {changes.VERDICTS.get(kind, 'not a verdict known here')}"
                     + (" (by the kernel's types; the module was not asked)" if verdict.get("from") == "btf" else "")),
                    *(("Evidence", line) for line in verdict["evidence"]),
                    ("Tests", correct(part))]
    for problem in (part.get("correctness") or {}).get("problems", ()):
        yield "text", f"FAILED: {problem}"
    tests = (part.get("correctness") or {}).get("tests", ())
    odd = [test for test in tests if test["outcome"] != "pass"]
    if tests:
        passed = [test["name"] for test in tests if test["outcome"] == "pass"]
        yield "list", ([f"passed: {', '.join(passed)}"] if passed else []) + [
            f"{test['outcome']} {test['name']}: {test['reason'] or 'no reason given'}" for test in odd]
    if part.get("shows"):
        yield "facts", [(item["name"][0].upper() + item["name"][1:], item["text"]) for item in part["shows"]]
    yield from _figures(part)
    for note in part.get("notes", ()):
        yield "text", note[0].upper() + note[1:] + "."
    if kind not in ("applicable", "unknown") and not part["operations"]:
        return		# nothing to ship
    for name, text in (part.get("patches") or {}).items():
        yield "code", name, text
    for head, key in (("Risk", "risk"), ("To check by hand", "by_hand")):
        if part.get(key):
            yield "text", f"{head}:"
            yield "list", part[key]


def _figures(part):
    operations = part["operations"]
    if not operations:
        return
    unit = UNITS[operations[0]["unit"]]
    exact = operations[0]["unit"] == "instructions"
    arms = [arm for arm in ARMS if any(arm in operation["summary"] for operation in operations)]
    yield "table", [f"{unit} per operation", *(ARMS[arm] for arm in arms)], [
        [operation["name"], *(_cell(operation["summary"][arm], unit) if arm in operation["summary"] else "-"
                              for arm in arms)] for operation in operations]
    if any(operation["gains"] for operation in operations):
        yield "table", ["against null", "", ""], [
            [f"{operation['name']}, {arm}", claim(gain, unit), gain["why"]] for operation, arm, gain in gains(part)]
    for what, says in COSTS.items():
        costs = [(operation["name"], _cost(operation, what)) for operation in operations if operation.get(what)]
        if costs:
            yield "text", f"{says}: " + "; ".join(f"{name}: {cost}" for name, cost in costs) + "."
    if not exact:
        for operation in operations:
            yield "plot", lambda operation=operation: plots.rounds(operation)
    if any(operation["gains"] for operation in operations):
        yield "plot", lambda: plots.forest(part)


def _machine(data):
    here = data["machine"]
    rows = [("Kernel", here["kernel"] or here["release"]), ("Package", here.get("version") or "not known"),
            ("Config", " ".join(f"{key.removeprefix('CONFIG_')}={value}" for key, value in here["config"].items())
             or "not known")]
    if here.get("cpu"):
        rows.append(("CPU", here["cpu"] + (f"; measured on CPU {here['pinned']}" if "pinned" in here else "")
                     + ("" if here.get("smap", True) else "; no SMAP")))
        siblings = f", siblings {here['siblings']}" if here.get("siblings") else ""
        rows.append(("Clock", f"governor {here.get('governor', 'not asked')}, turbo {here['turbo']}, "
                     f"SMT {here['smt']}, CPUs online {here['online']}{siblings}"))
    if here.get("hypervisor"):
        rows.append(("Guest", here["hypervisor"]))
    if here.get("mitigations"):
        rows.append(("Mitigations", "; ".join(f"{key}: {value}" for key, value in here["mitigations"].items())))
    if here.get("cmdline"):
        rows.append(("Booted with", here["cmdline"]))
    if here.get("lockdown"):
        rows.append(("Lockdown", here["lockdown"]))
    rows.append(("Taint", f"{machine.taint(here.get('taint'))}, after: {machine.taint(here.get('taint_after'))}"))
    rows += [("Measured", data["created"]), ("Again", data.get("reproduce") or data.get("command", ""))]
    return rows


def _how(data):
    units = {operation["unit"] for part in data["changes"] for operation in part["operations"]}
    if "ns" in units:
        rounds = min(operation["rounds"] for part in data["changes"] for operation in part["operations"])
        yield (f"Nanoseconds: {rounds} rounds, each with every arm once, in an order of its own, on one CPU. Shown are "
               "medians and 95% bootstrap intervals of them; gains are medians of the differences within a round. "
               f"\"{stats.NONE}\" stands where the interval touches null, where off and off again, which are the same, "
               "differ by half of it or more, or where it is not beyond the interval in which those two differ.")
    if data["machine"].get("emulated"):
        yield "This machine is emulated: its times are those of the emulator, and not to be published."
    if "instructions" in units:
        yield ("Instructions: counted by an emulator, exact and the same on any host; a second round has to confirm "
               "them. They are not time: emulation counts each byte of a string copy, and no cache miss.")
    if units:
        yield ("off: the kernel as it is. null: its own code behind the hook, or in a node of the same making. new: "
               "the change. batch: beyond upstream. What a change gains is new against null.")


def blocks(data):
    """The whole dossier."""
    here = data["machine"]
    yield "title", f"uplift: upstream's fast-path changes on {here['release']}"
    yield "table", ["change", "verdict", "tests", "gain against null"], [
        [part["name"], part["verdict"]["kind"], correct(part).partition(":")[0], in_short(part)]
        for part in data["changes"]]
    for problem in data["problems"]:
        yield "text", f"PROBLEM: {problem}"
    for part in data["changes"]:
        yield from _change(part)
    yield "head", "The machine"
    yield "facts", _machine(data)
    about = list(_how(data))
    if about:
        yield "head", "How to read it"
        for paragraph in about:
            yield "text", paragraph


# A figure, with its interval; or what a gain is in a matrix.
_FIGURE = re.compile(r"-?[\d,.]+( \[.*\]|%( MORE)?)?")


def _numeric(head, rows):
    """Which columns hold figures, and stand to the right."""
    def figures(column):
        cells = [row[column] for row in rows]
        return all(_FIGURE.fullmatch(cell) or cell in ("-", "none", "unclear") for cell in cells) and any(
            _FIGURE.fullmatch(cell) for cell in cells)
    return [column > 0 and figures(column) for column in range(len(head))]


# As text, for a terminal or a mailing list.

def _wrap(text, first="", later=None):
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=first if later is None else later,
                         break_long_words=False, break_on_hyphens=False) or [first.rstrip()]


def _columns(head, rows, wide=WIDTH):
    """A table; turned round, a line per cell, where it is too wide."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    if sum(widths) + 2 * (len(widths) - 1) <= wide:
        right = _numeric(head, rows)
        for row in ([head] if any(head[1:]) else []) + rows:
            yield "  ".join(cell.rjust(width) if to_right else cell.ljust(width)
                            for cell, width, to_right in zip(row, widths, right)).rstrip()
        return
    width = max(len(name) for name in head[1:])
    if any(head[1:]):
        yield f"{head[0]}:"
    for row in rows:
        yield f"{row[0]}"
        for name, cell in zip(head[1:], row[1:]):
            if cell:
                yield from _wrap(cell, f"    {name:{width}} " if width else "    ", " " * (5 + width))


def as_text(parts, wide=WIDTH):
    """Blocks as text, 79 columns wide; tables may be wider."""
    lines = []
    for kind, *what in parts:
        if kind == "title":
            lines += _wrap(what[0])
        elif kind == "head":
            lines += ["", *_wrap(what[0]), "-" * min(len(what[0]), WIDTH)]
            continue
        elif kind == "text":
            lines += _wrap(what[0])
        elif kind == "facts":
            width = max(len(name) for name, _ in what[0]) + 1
            before = None
            for name, value in what[0]:
                label = f"{name}:" if name != before else ""
                lines += _wrap(value, f"{label:{width}} ", " " * (width + 1))
                before = name
        elif kind == "list":
            for item in what[0]:
                lines += _wrap(item, "- ", "  ")
        elif kind == "table":
            lines += _columns(*what, wide)
        elif kind == "code":
            lines += [f"{what[0]}:"] + [f"    {line}".rstrip() for line in what[1].splitlines()]
        else:
            continue
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


# As Markdown.

def _escape(value):
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", value)


def as_markdown(parts):
    """Blocks as Markdown."""
    lines = []
    for kind, *what in parts:
        if kind == "title":
            lines.append(f"# {_escape(what[0])}")
        elif kind == "head":
            lines.append(f"## {_escape(what[0])}")
        elif kind == "text":
            lines.append(_escape(what[0]))
        elif kind == "facts":
            lines += [f"- **{_escape(name)}**: {_escape(value)}" for name, value in what[0]]
        elif kind == "list":
            lines += [f"- {_escape(item)}" for item in what[0]]
        elif kind == "table":
            head, rows = what
            right = ["---:" if is_number else "---" for is_number in _numeric(head, rows)]
            for row in (head, right, *rows):
                cells = row if row is right else [_escape(cell) for cell in row]
                # what belongs to the row above it
                cells = [re.sub("^ +", lambda found: "&nbsp;" * len(found[0]), cells[0]), *cells[1:]]
                lines.append("| " + " | ".join(cells) + " |")
        elif kind == "code":
            lines += [f"`{what[0]}`:", "", "```", *what[1].rstrip("\n").splitlines(), "```"]
        else:
            continue
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


# As HTML: one file, no script, nothing from elsewhere.

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5b6570; --line: #d5dae0; --back: #fff; --block: #f5f7f9;
  --off: #7b8794; --null: #2f6fb5; --new: #1d7f4e; --batch: #9a5b00; --good: #1d7f4e; --bad: #b3261e; --note: #8a5a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #9aa6b2; --line: #3a434c; --back: #15191d;
  --block: #1e2429; --off: #94a1ae; --null: #6aa7ea; --new: #57c08a; --batch: #e0a24a; --good: #57c08a; --bad: #ff8a80;
  --note: #e0a24a; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; } .n { text-align: right; white-space: nowrap; } td.of { padding-left: 1.2rem; color: var(--soft); }
th:first-child, td:first-child { min-width: 8rem; } figure { margin: 1rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; } dt { color: var(--soft); }
dd { margin: 0; min-width: 0; } pre { background: var(--block); padding: .8rem; overflow-x: auto; font-size: 13px; }
.applicable, .passed, .less { color: var(--good); } .FAILED, .MORE, .PROBLEM { color: var(--bad); font-weight: 600; }
.unsupported, .unknown { color: var(--note); } .none { color: var(--soft); }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .soft { fill: var(--soft); } svg .axis { stroke: var(--line); }
@media print { body { max-width: none; } }
"""


def _coloured(cell):
    for word in ("applicable", "unsupported", "unknown", "passed", "FAILED", "PROBLEM", "MORE"):
        if re.search(rf"\b{word}\b", cell):
            return word
    if stats.NONE in cell:
        return "none"
    return "less" if re.search(r"% less|% \(95%", cell) else ""


def as_page(parts):
    """Blocks as one HTML file."""
    out = []
    esc = html.escape
    for kind, *what in parts:
        if kind == "title":
            title = what[0]
            out.append(f"<h1>{esc(what[0])}</h1>")
        elif kind == "head":
            out.append(f"<h2>{esc(what[0])}</h2>")
        elif kind == "text":
            out.append(f'<p class="{_coloured(what[0]) if re.match("PROBLEM|FAILED", what[0]) else ""}">'
                       f"{esc(what[0])}</p>")
        elif kind == "facts":
            rows, before = [], None
            for name, value in what[0]:
                shade = _coloured(value.partition(" ")[0].rstrip(":")) if name in ("Verdict", "Tests") else ""
                rows.append(f"<dt>{esc(name) if name != before else ''}</dt><dd class=\"{shade}\">{esc(value)}</dd>")
                before = name
            out.append(f"<dl>{''.join(rows)}</dl>")
        elif kind == "list":
            out.append("<ul>" + "".join(f"<li>{esc(item)}</li>" for item in what[0]) + "</ul>")
        elif kind == "table":
            head, rows = what
            numbers = _numeric(head, rows)
            cells = "".join(f"<th{' class=n' if is_number else ''}>{esc(cell)}</th>"
                            for cell, is_number in zip(head, numbers))
            body = "".join("<tr>" + "".join(
                f'<td class="{"n" if is_number else "of" if cell.startswith(" ") else _coloured(cell)}">{esc(cell)}</td>'
                for cell, is_number in zip(row, numbers)) + "</tr>" for row in rows)
            out.append(f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>')
        elif kind == "code":
            out.append(f"<p><code>{esc(what[0])}</code></p><pre>{esc(what[1])}</pre>")
        elif kind == "plot":
            out.append(f"<figure>{what[0]()}</figure>")
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{esc(title)}</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(out) + "\n</body></html>\n")


def text(data):
    """The dossier as text."""
    return as_text(blocks(data))


def markdown(data):
    """The dossier as Markdown."""
    return as_markdown(blocks(data))


def page(data):
    """The dossier as HTML."""
    return as_page(blocks(data))
