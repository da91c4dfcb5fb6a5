# SPDX-License-Identifier: GPL-2.0-only
"""The dossier: what a report says, as blocks, which blocks.py renders."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..base import changes
from ..kernel import taint
from . import blocks, plots, record, stats
from .blocks import Block

ARMS = {"off": "off", "off_again": "off again", "null": "null", "new": "new", "batch": "batch", "track": "tracking"}
UNITS = {"ns": "ns", "instructions": "instr."}
COSTS = {"redirect": "The redirect itself costs (null against off; a shipped change has none)",
         "tracking": "Tracking costs (against off; nothing is attached until it is on)"}
COUNTED = ("Instructions: counted by an emulator, exact and the same on any host; a second round has to confirm "
           "them. They are not time: emulation counts each byte of a string copy, and no cache miss.")
Gained = tuple[record.Operation, str, stats.Gain]


def number(value: float) -> str:
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


def percent(value: float) -> str:
    """3.14159 -> '3.1%'; more decimals where there is nothing before them."""
    value = abs(value)
    return f"{value:.1f}%" if value >= 1 or not value else f"{value:.2f}%"


def claim(gain: stats.Gain, unit: str) -> str:
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


def gains(part: record.Part) -> list[Gained]:
    """[(operation, arm, gain)] of a change."""
    return [(operation, arm, gain) for operation in part["operations"] for arm, gain in operation["gains"].items()]


def in_short(part: record.Part) -> str:
    """What a change gains, in a cell: the arm new where there is one, best operation first."""
    found = [row for row in gains(part) if row[1] == "new"] or gains(part)
    if not found:
        return "nothing to gain: it shows" if part.get("shows") else "not measured"
    words = [_best(found, "loss", "MORE"), _best(found, "gain", "less")]
    return "; ".join(word for word in words if word) or stats.NONE


def _best(found: list[Gained], kind: str, word: str) -> str:
    """The largest gain, or loss, and in how many of the operations there is one; '' where there is none."""
    rows = [row for row in found if row[2]["claim"] == kind]
    if not rows:
        return ""
    operation, arm, gain = max(rows, key=lambda row: abs(row[2]["percent"]["median"]))
    of = f"{len(rows)} of {len(found)} operations" if len(found) > 1 else operation["name"]
    return (f"{'up to ' if len(rows) > 1 else ''}{percent(gain['percent']['median'])} {word} ({of}"
            + (f"; {arm})" if arm != "new" else ")"))


def correct(part: record.Part) -> str:
    """Were tests run, and what did they say?"""
    found = part.get("correctness")
    if not found:
        return "not run here"
    if found["ok"] and found.get("skipped"):
        return f"skipped: {found['skipped']}"
    return (f"{'passed' if found['ok'] else 'FAILED'}: {found['summary']}"
            + (f"; {found['cpus']} CPUs" if "cpus" in found else ""))


def _cell(found: stats.Interval) -> str:
    if found["low"] == found["high"]:
        return number(found["median"])
    return f"{number(found['median'])} [{number(found['low'])}, {number(found['high'])}]"


def _cost(cost: record.Cost, unit: str) -> str:
    """What an arm costs, in words."""
    if not cost["claim"]:
        return "not measurable"
    if cost["low"] == cost["high"]:
        return f"{number(cost['median'])} {unit} a call"
    return f"{number(cost['median'])} {unit} a call (95%: {number(cost['low'])} to {number(cost['high'])})"


def _upstream(part: record.Part) -> str:
    known = part.get("upstream") or {}
    words = [f"Linux {known['linux']}"] if known.get("linux") else []
    words += [f'"{known["title"]}"'] if known.get("title") else []
    words += [known["author"]] if known.get("author") else []
    words += [f"commit {known['commit']}"] if known.get("commit") else ["commit id not recorded here"]
    return ", ".join(words)


def _sentence(words: str) -> str:
    """With a capital letter."""
    return words[0].upper() + words[1:]


def _change(part: record.Part) -> Iterator[Block]:
    """A change's section."""
    yield blocks.Head(f"{part['name']}: {part['title']}")
    yield blocks.Facts(list(_facts(part)))
    yield from _tests(part.get("correctness"))
    if part.get("shows"):
        yield blocks.Facts([(_sentence(item["name"]), item["text"]) for item in part["shows"]])
    yield from _figures(part)
    for note in part.get("notes", ()):
        yield blocks.Text(_sentence(note) + ".")
    if part["verdict"]["kind"] in ("applicable", "unknown") or part["operations"]:
        yield from _to_ship(part)


def _facts(part: record.Part) -> Iterator[tuple[str, str]]:
    verdict = part["verdict"]
    kind = verdict["kind"]
    yield "Upstream", _upstream(part)
    yield "Verdict", (f"{kind} - {changes.VERDICTS.get(kind, 'not a verdict known here')}"
                      + (" (by the kernel's types; the module was not asked)" if verdict.get("from") == "btf" else ""))
    for line in verdict["evidence"]:
        yield "Evidence", line
    yield "Tests", correct(part)


def _tests(found: record.Correctness | None) -> Iterator[Block]:
    """What failed, and each test."""
    if not found:
        return
    for problem in found["problems"]:
        yield blocks.Text(f"FAILED: {problem}")
    passed = [test["name"] for test in found["tests"] if test["outcome"] == "pass"]
    items = ([f"passed: {', '.join(passed)}"] if passed else []) + [
        f"{test['outcome']} {test['name']}: {test['reason'] or 'no reason given'}" for test in found["tests"]
        if test["outcome"] != "pass"]
    if items:
        yield blocks.Items(items)


def _to_ship(part: record.Part) -> Iterator[Block]:
    """The change itself, and what to think of before it is shipped."""
    for name, code in (part.get("patches") or {}).items():
        yield blocks.Code(name, code)
    for head, items in (("Risk", part.get("risk")), ("To check by hand", part.get("by_hand"))):
        if items:
            yield blocks.Text(f"{head}:")
            yield blocks.Items(items)


def _figures(part: record.Part) -> Iterator[Block]:
    """What was measured, and what is concluded from that."""
    operations = part["operations"]
    if not operations:
        return
    unit = UNITS[operations[0]["unit"]]
    yield _table(f"{unit} per operation", [(found["name"], {arm: _cell(cell) for arm, cell in found["summary"].items()})
                                           for found in operations])
    yield from _more(part, unit)
    if part.get("events"):
        yield _table("counted per operation", [(f"{event['name']}, {event['operation']}",
                                                {arm: number(count) for arm, count in event["arms"].items()})
                                               for event in part["events"]])
    gained = gains(part)
    if gained:
        yield blocks.Table(["against null", "", ""], [[f"{operation['name']}, {arm}", claim(gain, unit), gain["why"]]
                                                      for operation, arm, gain in gained])
    yield from _costs(operations, unit)
    yield from _plots(part)


def _table(head: str, rows: list[tuple[str, dict[str, str]]]) -> Block:
    """A row for each operation, a column for each arm."""
    arms = [arm for arm in ARMS if any(arm in cells for _, cells in rows)]
    return blocks.Table([head, *(ARMS[arm] for arm in arms)], [[name, *(cells.get(arm, "-") for arm in arms)]
                                                               for name, cells in rows])


def _more(part: record.Part, unit: str) -> Iterator[Block]:
    """A row for each arm that other changes do not have, a column for each operation."""
    operations = part["operations"]
    rows = [[words, *(_cell(found["summary"][arm]) if arm in found["summary"] else "-" for found in operations)]
            for arm, words in (part.get("arms") or {}).items() if any(arm in found["summary"] for found in operations)]
    if rows:
        yield blocks.Table([f"{unit}, other arms", *(found["name"] for found in operations)], rows)


def _costs(operations: list[record.Operation], unit: str) -> Iterator[Block]:
    """What the redirect, or tracking, costs a call."""
    for key, says in COSTS.items():
        costs = [f"{found['name']}: {_cost(cost, unit)}" for found in operations
                 if (cost := found["redirect"] if key == "redirect" else found["tracking"])]
        if costs:
            yield blocks.Text(f"{says}: " + "; ".join(costs) + ".")


def _plots(part: record.Part) -> Iterator[Block]:
    """Every round, where rounds differ; and the gains."""
    for operation in part["operations"]:
        if operation["unit"] != "instructions":
            yield blocks.Plot(functools.partial(plots.rounds, operation))
    if any(operation["gains"] for operation in part["operations"]):
        yield blocks.Plot(functools.partial(plots.forest, part))


def _machine(data: record.Report) -> Iterator[tuple[str, str]]:
    here = data["machine"]
    yield "Kernel", here["kernel"] or here["release"]
    yield "Package", here.get("version") or "not known"
    yield "Config", " ".join(f"{key.removeprefix('CONFIG_')}={value}" for key, value in here["config"].items()) \
        or "not known"
    if here.get("cpu"):
        yield from _cpu(here)
    if here.get("mitigations"):
        yield "Mitigations", "; ".join(f"{key}: {value}" for key, value in here["mitigations"].items())
    for name, key in (("Guest", "hypervisor"), ("Booted with", "cmdline"), ("Lockdown", "lockdown")):
        if here.get(key):
            yield name, here[key]
    yield "Taint", f"{taint.words(here.get('taint'))}, after: {taint.words(here.get('taint_after'))}"
    yield "Measured", data["created"]
    yield "Again", data.get("reproduce") or data.get("command", "")


def _cpu(here: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "CPU", (here["cpu"] + (f"; measured on CPU {here['pinned']}" if "pinned" in here else "")
                  + ("" if here.get("smap", True) else "; no SMAP"))
    siblings = f", siblings {here['siblings']}" if here.get("siblings") else ""
    yield "Clock", (f"governor {here.get('governor', 'not asked')}, turbo {here['turbo']}, SMT {here['smt']}, "
                    f"CPUs online {here['online']}{siblings}")


def _how(data: record.Report) -> Iterator[str]:
    """How the figures are to be read."""
    operations = [operation for part in data["changes"] for operation in part["operations"]]
    units = {operation["unit"] for operation in operations}
    if "ns" in units:
        rounds = min(operation["rounds"] for operation in operations)
        yield (f"Nanoseconds: {rounds} rounds, each with every arm once, in an order of its own, on one CPU. Shown are "
               "medians and 95% bootstrap intervals of them; gains are medians of the differences within a round. "
               f"\"{stats.NONE}\" stands where the interval touches null, where off and off again, which are the same, "
               "differ by half of it or more, or where it is not beyond the interval in which those two differ.")
    if data["machine"].get("emulated"):
        yield "This machine is emulated: its times are those of the emulator, and not to be published."
    if "instructions" in units:
        yield COUNTED
    if units:
        yield ("off: the kernel as it is. null: its own code behind the hook, or in a node of the same making. new: "
               "the change. batch: beyond upstream. What a change gains is new against null.")


def document(data: record.Report) -> Iterator[Block]:
    """The whole dossier."""
    yield blocks.Title(f"uplift: upstream's fast-path changes on {data['machine']['release']}")
    yield blocks.Table(["change", "verdict", "tests", "gain against null"], [
        [part["name"], part["verdict"]["kind"], correct(part).partition(":")[0], in_short(part)]
        for part in data["changes"]])
    for problem in data["problems"]:
        yield blocks.Text(f"PROBLEM: {problem}")
    for part in data["changes"]:
        yield from _change(part)
    yield blocks.Head("The machine")
    yield blocks.Facts(list(_machine(data)))
    yield from how_to_read(_how(data))


def how_to_read(paragraphs: Iterable[str]) -> Iterator[Block]:
    """The section about reading the figures; nothing where there are none."""
    for index, paragraph in enumerate(paragraphs):
        if not index:
            yield blocks.Head("How to read it")
        yield blocks.Text(paragraph)


def text(data: record.Report) -> str:
    """The dossier as text."""
    return blocks.text(document(data))


def markdown(data: record.Report) -> str:
    """The dossier as Markdown."""
    return blocks.markdown(document(data))


def page(data: record.Report) -> str:
    """The dossier as HTML."""
    return blocks.page(document(data))
