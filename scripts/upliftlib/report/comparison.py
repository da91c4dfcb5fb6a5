# SPDX-License-Identifier: GPL-2.0-only
"""Several kernels side by side: what each change is on each of them, and what it gains there."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NotRequired, TypedDict

from ..base import changes
from . import blocks, decision, dossier, figures, reading, record, stats
from .blocks import Block

FORMAT = "uplift-matrix/1"
WIDE = 110		# columns that a table may take as text
LABELS = dossier.ARMS | {"off": "kernel"}
NONE = "-"		# what there is not
# Decisions, as short as a column is.
SHORT = {decision.WORTH_IT: "worth it", decision.NOT_WORTH_IT: "not worth it", decision.HARMFUL: "HARMFUL",
         decision.UNTOLD: "open", decision.NOTHING: "nothing"}


class Target(TypedDict):
    """A kernel: its report, or why there is none."""
    reference: NotRequired[bool]	# it has changes of its own
    release: NotRequired[str]
    version: NotRequired[str]
    report: NotRequired[record.Report]
    failed: NotRequired[str]
    skipped: NotRequired[str]


class Comparison(TypedDict):
    """Several of them."""
    format: str
    created: str
    reproduce: str
    ok: bool
    targets: dict[str, Target]


PerTarget = dict[str, record.Part]	# {target: a change's part of its report}


def new(reproduce: str) -> Comparison:
    """A matrix with nothing in it."""
    return {"format": FORMAT, "created": record.now(), "reproduce": reproduce, "ok": True, "targets": {}}


def of(found: list[Any]) -> Comparison:
    """Reports, and comparisons, side by side: each kernel by its release, and by number where there are several of it."""
    together = new(" ".join(["uplift report", *(f"REPORT-{number}" for number in range(1, len(found) + 1))]))
    for data in found:
        targets: dict[str, Target] = data["targets"] if data["format"] == FORMAT else {data["machine"]["release"]: {
            "report": data, "release": data["machine"]["release"], "version": data["machine"].get("version") or "not known"}}
        for name, target in targets.items():
            free = (f"{name} ({number})" if number > 1 else name for number in range(1, len(together["targets"]) + 2))
            together["targets"][next(one for one in free if one not in together["targets"])] = target
        together["ok"] = together["ok"] and data["ok"]
    together["created"] = min(data["created"] for data in found)
    return together


def check(data: Any) -> Comparison:
    """Is it whole? Raises ValueError."""
    if not isinstance(data.get("targets"), dict) or not data["targets"]:
        raise ValueError("a matrix without targets")
    for name, target in data["targets"].items():
        if not isinstance(target, dict) or len({"report", "failed", "skipped"} & set(target)) != 1:
            raise ValueError(f"targets.{name}: neither a report, nor why there is none")
        if "report" in target:
            target["report"] = reading.check(target["report"])
    for key, default in (("created", ""), ("reproduce", ""), ("ok", False)):
        data.setdefault(key, default)
    whole: Comparison = data
    return whole


def _reported(data: Comparison) -> Iterator[tuple[str, record.Part]]:
    """(target, part) of every report."""
    for name, target in data["targets"].items():
        for part in target["report"]["changes"] if "report" in target else ():
            yield name, part


def _parts(data: Comparison) -> dict[str, PerTarget]:
    """{change: {target: its part of the report}}, in the changes' order."""
    found: dict[str, PerTarget] = {}
    for name, part in _reported(data):
        found.setdefault(part["name"], {})[name] = part
    known = {name: index for index, name in enumerate(changes.load())}
    return {name: found[name] for name in sorted(found, key=lambda name: (known.get(name, 99), name))}


def _saved(operation: record.Operation, arm: str) -> str:
    """What an arm saves against null, as short as a column is."""
    gain = operation["gains"].get(arm)
    if not gain:
        return NONE
    if gain["claim"] == "none":
        return "none"
    words = figures.percent(gain["percent"]["median"])
    return words if gain["claim"] == "gain" else f"{words} MORE"


def _figure(operation: record.Operation, arm: str) -> str:
    found = operation["summary"].get(arm)
    return figures.number(found["median"]) if found else NONE


def _tracking(operation: record.Operation) -> str:
    cost = operation.get("tracking")
    if not cost:
        return NONE
    return figures.number(cost["median"]) if cost["claim"] else "unclear"


def _operation(data: Comparison, parts: PerTarget, name: str) -> Iterator[list[str]]:
    """The rows of one operation: each arm's figure, and what it saves."""
    per = {target: found for target, part in parts.items() for found in part["operations"] if found["name"] == name}
    there = list(per.values())

    def row(label: str, cell: Callable[[record.Operation], str]) -> list[str]:
        return [label] + [cell(per[target]) if target in per else NONE for target in data["targets"]]

    yield row(f"{name}, {figures.UNITS[there[0]['unit']]}", functools.partial(_figure, arm="off"))
    for arm, label in LABELS.items():
        if arm != "off" and any(arm in found["summary"] for found in there):
            yield row(f"  {label}", functools.partial(_figure, arm=arm))
    for arm in record.CHANGED:
        if any(arm in found["gains"] for found in there):
            yield row(f"  {arm} saves", functools.partial(_saved, arm=arm))
    if any(found.get("tracking") for found in there):
        yield row("  tracking costs", _tracking)


def _shown(data: Comparison, parts: PerTarget) -> Iterator[list[str]]:
    """The rows of what a change shows, where it changes nothing."""
    cells = {(target, item["name"]): item["short"] for target, part in parts.items() for item in part.get("shows", ())}
    for name in dict.fromkeys(name for _, name in cells):
        yield [name] + [cells.get((target, name), NONE) for target in data["targets"]]


def _verdict(target: Target, part: record.Part | None) -> str:
    """What a change is on a target, or what stands there where that has no report."""
    if part:
        return part["verdict"]["kind"]
    return "FAILED" if "failed" in target else "skipped" if "skipped" in target else NONE


def _decision(target: Target, part: record.Part | None) -> str:
    """What to do about a change on a target."""
    return SHORT[decision.decide(part, target["report"]["machine"]).kind] if part else _verdict(target, None)


def _tests(target: Target) -> str:
    """What the tests of all changes came to."""
    if "report" not in target:
        return NONE
    parts = target["report"]["changes"]
    found = [part["correctness"] for part in parts if part.get("correctness")]
    if not found:
        return "not run"
    if not all(one["ok"] for one in found if one):
        return "FAILED"
    left = [part["name"] for part in parts if part["verdict"]["kind"] == "applicable" and
            decision.tests(part.get("correctness")) != decision.PASSED]
    return "passed" + (f", {len(left)} not run" if left else "")


def _problems(data: Comparison) -> Iterator[str]:
    """What is to be known of a target beside the table."""
    for name, target in data["targets"].items():
        if "failed" in target:
            yield f"FAILED: {name}: {target['failed']}"
        if "skipped" in target:
            yield f"Skipped: {name}: {target['skipped']}"
        if "report" in target:
            yield from (f"PROBLEM: {name}: {problem}" for problem in target["report"]["problems"])
    for name, part in _reported(data):
        correct = part.get("correctness")
        if correct and not correct["ok"]:
            yield f"FAILED: {name}, {part['name']}: {'; '.join(correct['problems'][:3]) or correct['summary']}"


def _takes(data: Comparison, per: PerTarget) -> dict[str, list[str]]:
    """{the commits that have to be shipped: the targets on which it is these}."""
    found: dict[str, list[str]] = {}
    for name, part in per.items():
        if words := decision.decide(part, data["targets"][name]["report"]["machine"]).takes:
            found.setdefault(words, []).append(name)
    return found


def _change(data: Comparison, change: str, per: PerTarget, columns: list[str]) -> Iterator[Block]:
    """A change on all targets."""
    yield blocks.Head(f"{change}: {next(iter(per.values()))['title']}")
    if takes := _takes(data, per):
        yield blocks.Facts([("To ship it", f"{', '.join(names)}: {words}") for words, names in takes.items()])
    shown = list(_shown(data, per))
    operations = list(dict.fromkeys(found["name"] for part in per.values() for found in part["operations"]))
    if shown:
        yield blocks.Table(["in a guest", *columns], shown)
    if operations:
        yield blocks.Table(["per operation", *columns], [row for name in operations
                                                         for row in _operation(data, per, name)])
    if not shown and not operations:
        yield blocks.Text("Nothing was measured.")


def _how(data: Comparison) -> Iterator[str]:
    """How the figures are to be read."""
    yield ("First line of an operation: the kernel as it is. null: its own code behind the hook, or in a node of the same "
           "making. new: the change. Savings are those against null; \"none\" stands for "
           f"{stats.NONE}, \"unclear\" where rounds do not agree, - for what there is not.")
    if any(found["unit"] == "instructions" for _, part in _reported(data) for found in part["operations"]):
        yield dossier.COUNTED


def document(data: Comparison) -> Iterator[Block]:
    """The matrix."""
    targets, parts = data["targets"], _parts(data)
    columns = [name + ("*" if target.get("reference") else "") for name, target in targets.items()]
    yield blocks.Title("uplift: upstream's fast-path changes on "
                       + (f"{len(targets)} kernels" if len(targets) != 1 else "one kernel"))
    yield blocks.Table(["decision", *columns], [
        [change, *(_decision(target, per.get(name)) for name, target in targets.items())] for change, per in parts.items()])
    yield blocks.Text("open: cannot be told here; nothing: nothing to do, the kernel has it or never had the problem.")
    yield blocks.Table(["verdict", *columns], [
        *([change, *(_verdict(target, per.get(name)) for name, target in targets.items())] for change, per in parts.items()),
        ["tests", *map(_tests, targets.values())]])
    if any(target.get("reference") for target in targets.values()):
        yield blocks.Text("* has changes of its own: the reference. What the others come to with a change, in the arm new, "
                          "is to be compared with this kernel as it is, in the first line of an operation.")
    for problem in _problems(data):
        yield blocks.Text(problem)
    for change, per in parts.items():
        yield from _change(data, change, per, columns)
    yield blocks.Head("The kernels")
    yield blocks.Facts([(name, f"{target['release']}, {target['version']}" if target.get("release") else "not had")
                        for name, target in targets.items()])
    yield from dossier.how_to_read(_how(data))
    yield blocks.Facts([("Measured", data["created"]), ("Again", data["reproduce"])])


def text(data: Comparison) -> str:
    """As text; as wide as its columns."""
    return blocks.text(document(data), WIDE)


def markdown(data: Comparison) -> str:
    """As Markdown."""
    return blocks.markdown(document(data))


def page(data: Comparison) -> str:
    """As HTML."""
    return blocks.page(document(data))
