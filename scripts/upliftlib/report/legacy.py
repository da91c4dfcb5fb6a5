# SPDX-License-Identifier: GPL-2.0-only
"""Reports of before: `make run` left a form of its own, uplift-evaluation/1, of which parts were text for people. This is
the only place that reads such text. The oldest have no rounds, and do not say which change a section is about."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..base import changes
from . import record

FORMAT = "uplift-evaluation/1"
# What arms were called where they are files, and what they are now.
ARMS = {"stock": "loaded", "uncached": "null", "cached": "new"}
COLUMNS = {"off": "off", "off again": "off_again", "null": "null", "new": "new", "batch": "batch"}
LABEL, CELL = 22, 11		# widths in a section's table
NOT_WHOLE = (KeyError, TypeError, AttributeError, IndexError, ArithmeticError)


def report(data: Mapping[str, Any]) -> record.Report:
    """The report that an evaluation of before is; a ValueError says that it is not whole."""
    try:
        return _report(data)
    except NOT_WHOLE as problem:
        raise ValueError(f"an evaluation that is not whole: {type(problem).__name__}: {problem}") from None


def _report(data: Mapping[str, Any]) -> record.Report:
    known = changes.load()
    out = record.new(_machine(data), data["reproduce"])
    out["created"] = data.get("created") or out["created"]
    out["ok"] = data.get("ok", data["correctness"]["ok"])
    first = known[data.get("change") or next(iter(known))]
    out["changes"].append(_measured_by_files(first, data))
    for section in data.get("sections", ()):
        change = _change(section, known)
        if change:
            out["changes"].append(_section(change, section))
    return out


def _machine(data: Mapping[str, Any]) -> dict[str, Any]:
    target, measured, correct = data["target"], data["measurement"], data["correctness"]
    return {"release": target["release"], "version": target["version"], "kernel": target["kernel"], "arch": "x86_64",
            "config": target.get("config") or {}, "taint": 0, "taint_after": measured.get("taint"),
            "hypervisor": f"QEMU {measured['qemu']}; correctness: {correct['accel']}; counts: {measured['accel']}",
            "packages": target.get("provenance", [])}


def _correctness(found: Mapping[str, Any]) -> record.Correctness:
    out: record.Correctness = {"ok": found["ok"], "summary": found["summary"], "problems": found["problems"],
                               "tests": found["tests"], "skipped": found.get("skipped")}
    if "cpus" in found:
        out["cpus"] = found["cpus"]
    return out


def _measured_by_files(change: changes.Change, data: Mapping[str, Any]) -> record.Part:
    """The one change whose arms are files: all of an evaluation but its sections."""
    part = record.entry(change, _of_module(data["verdict"]["kind"], data["verdict"]["evidence"]))
    part["correctness"] = _correctness(data["correctness"])
    how = change.measure()
    measured = data["measurement"]
    part["arms"] = dict(how.arms) if how else {}
    for op, name in (how.operations if how else {}).items():
        rounds = {ARMS.get(arm, arm): found[op]["rounds"] for arm, found in measured.get("arms", {}).items()
                  if op in found}
        if rounds:
            part["operations"].append(record.operation(name, rounds, "instructions", 0, more=part["arms"]))
    if measured.get("arms") and "list" in measured:
        part["notes"].append(f"the list has {measured['list']['entries']} entries, {measured['list']['bytes']} bytes")
    return part


def _of_module(kind: str, evidence: Sequence[str]) -> record.Verdict:
    return {"kind": kind, "evidence": list(evidence), "from": "module"}


def _change(section: Mapping[str, Any], known: Mapping[str, changes.Change]) -> changes.Change | None:
    """The change that a section is about: it says so, or its title is that of the change, and what comes behind."""
    if section.get("change") in known:
        return known[section["change"]]
    title = str(section.get("title", ""))
    return next((change for change in known.values() if title == change.name or title.startswith(change.title)), None)


def _section(change: changes.Change, section: Mapping[str, Any]) -> record.Part:
    part = record.entry(change, _verdict(section))
    part["correctness"] = _correctness(section["correctness"]) if section.get("correctness") else _equality(
        section["lines"])
    part["operations"] = _operations(change, section)
    part["events"] = list(_events(section["lines"], [found["name"] for found in part["operations"]]))
    part["shows"] = section.get("shows", [])
    return record.without_stock_alone(part)


def _verdict(section: Mapping[str, Any]) -> record.Verdict:
    """A line "Verdict: KIND: REASON", and the evidence below it, further to the right."""
    head = [line for line in section["lines"] if line.startswith("Verdict: ")]
    words = head[0].removeprefix("Verdict: ") if head else section["verdict"]
    kind, _, rest = words.partition(": ")
    evidence = [rest] if rest else []
    for line in section["lines"][1:]:
        if not line.startswith("    "):
            break
        evidence.append(line.strip())
    return _of_module(kind if kind in changes.KINDS else "unknown", evidence or [words])


def _equality(lines: Sequence[str]) -> record.Correctness | None:
    """What the line "Equality:" says."""
    for line in lines:
        match = re.match(r"Equality: (passed|FAILED) - (.*)", line)
        if match:
            return {"ok": match[1] == "passed", "summary": match[2], "problems": [], "tests": []}
    return None


def _operations(change: changes.Change, section: Mapping[str, Any]) -> list[record.Operation]:
    """The rounds; of the oldest there is the least of them only."""
    how = change.measure()
    rounds = section.get("rounds") or {name: {arm: [value] for arm, value in row.items()}
                                       for name, row in section.get("table", {}).items()}
    return [record.operation(name, arms, "instructions", how.calls if how else 0) for name, arms in rounds.items()]


def _events(lines: Sequence[str], operations: Iterable[str]) -> Iterable[record.Event]:
    """The lines "calls, 16 ready" of a section's table, whose columns its first line names."""
    arms: list[str] = []
    for line in lines:
        if line.startswith("instructions per"):
            cells = [line[at:at + CELL].strip() for at in range(LABEL, len(line), CELL)]
            arms = [COLUMNS[cell] for cell in cells if cell in COLUMNS]
        match = re.match(r"(.+), (\d+) ready +\S", line)
        name = next((name for name in operations if match and name.split()[-1] == match[2]), None)
        if match and name:
            found = zip(arms, line.split()[-len(arms):], strict=True)
            yield {"name": match[1], "operation": name, "arms": {arm: int(cell) for arm, cell in found if cell != "-"}}
