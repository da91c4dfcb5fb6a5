# SPDX-License-Identifier: GPL-2.0-only
"""The one form that reports are made from, whoever measured: `probe`, `bench`, or the lab's evaluation.

    {"format", "created", "command", "reproduce", "machine": {...}, "ok", "problems": [text], "changes": [{
        "name", "title", "upstream": {...}, "patches": {file: text}, "risk": [text], "by_hand": [text],
        "verdict": {"kind", "evidence": [text], "from": module | btf, "errno"},
        "correctness": None or {"ok", "summary", "problems", "tests": [{"name", "outcome", "reason"}]},
        "redirect": {"function", "method"} where a function is redirected,
        "operations": [{"name", "unit": ns | instructions, "rounds", "arms": {arm: [a sample per round]},
            "summary": {arm: {"median", "low", "high"}}, "gains": {arm: stats.compare()},
            "redirect", "tracking": {"median", "low", "high"} a call},
        "shows": [{"name", "short": as short as a column is, "text"}] of what only looks, and changes nothing,
        "notes": [text]}]}
"""

import datetime
import json
import os
import re

from ..base import changes, errors, paths
from . import stats


FORMAT = "uplift-dossier/1"
EVALUATION = "uplift-evaluation/1"
ARMS = ("off", "off_again", "null", "new", "batch", "track")


def now():
    """The time, as RFC 3339 has it."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def new(machine, command, reproduce=""):
    """A report with nothing in it yet."""
    return {"format": FORMAT, "created": now(), "command": command, "reproduce": reproduce or command,
            "machine": machine, "ok": True, "problems": [], "changes": []}


def entry(change, verdict):
    """A change's part, with what is known of it before anything is measured."""
    about = change.about
    return {"name": change.name, "title": change.title, "upstream": change.upstream(), "patches": change.patches(),
            "risk": about.get("risk", []), "by_hand": about.get("by_hand", []), "verdict": verdict,
            "correctness": None, "redirect": {}, "operations": [], "shows": [], "notes": []}


def operation(name, samples, unit="ns", calls=1, void=""):
    """What is concluded from an operation's samples, {arm: [a figure per round]}; nothing where they are void."""
    exact = unit == "instructions"
    there = {arm: [float(value) for value in samples[arm]] for arm in ARMS if samples.get(arm)}
    compare = stats.compare_exact if exact else stats.compare
    found = {"name": name, "unit": unit, "rounds": min(map(len, there.values()), default=0), "arms": there,
             "summary": {arm: stats.summary(values, exact) for arm, values in there.items()}, "gains": {},
             "redirect": None, "tracking": None}
    if not {"off", "off_again"} <= set(there):
        return found
    offs = there["off"], there["off_again"]
    for arm in ("new", "batch"):
        if arm in there and "null" in there:
            found["gains"][arm] = compare(there[arm], there["null"], *offs)
    for gain in found["gains"].values() if void else ():
        gain.update(claim="none", why=void)
    if "null" in there and calls and not void:
        found["redirect"] = _cost(compare(there["off"], there["null"], *offs), calls)
    if "track" in there and not void:
        found["tracking"] = _cost(compare(there["off"], there["track"], *offs))
    return found


def _cost(compared, calls=1):
    """What an arm costs a call, beyond what comes without it."""
    return {key: value / calls for key, value in compared["saves"].items()} | {"claim": compared["claim"] != "none"}


def _figures(section, calls):
    """Operations of an evaluation's section; one of before has the least of the rounds only."""
    rounds = section.get("rounds") or {name: {arm: [value] for arm, value in row.items()}
                                       for name, row in section.get("table", {}).items()}
    return [operation(name, arms, "instructions", calls) for name, arms in rounds.items()]


def of_evaluation(data):
    """The report that the lab's evaluation (`make run`) is."""
    target, measured, correct = data["target"], data["measurement"], data["correctness"]
    machine = {"release": target["release"], "version": target["version"], "kernel": target["kernel"],
               "arch": "x86_64", "config": target.get("config") or {}, "taint": 0, "taint_after": measured.get("taint"),
               "hypervisor": f"QEMU {measured['qemu']}; correctness: {correct['accel']}; counts: {measured['accel']}",
               "packages": target.get("provenance", [])}
    out = new(machine, data["reproduce"]) | {"created": data.get("created") or now()}
    out["ok"] = data.get("ok", correct["ok"])
    known = changes.load()

    fslist = entry(known["fslist"], data["verdict"] | {"from": "module"})
    fslist["correctness"] = {key: correct[key] for key in ("ok", "summary", "problems", "tests")}
    arms = {"off": "off", "off_again": "off_again", "uncached": "null", "cached": "new"}
    for operation_, label in known["fslist"].about["bench"]["operations"].items():
        rounds = {ours: measured["arms"][arm][operation_]["rounds"] for arm, ours in arms.items()
                  if operation_ in measured.get("arms", {}).get(arm, {})}
        if rounds:
            fslist["operations"].append(operation(label, rounds, "instructions", 0))
    out["changes"].append(fslist)

    for section in data.get("sections", ()):
        names = {"epoll_wait": "epoll", "read": "iomap"}
        name = section.get("change") or next((names[word] for word in names for operation_ in section.get("table", ())
                                              if operation_.startswith(word)), None)
        if name not in known:
            continue
        head = [line for line in section["lines"] if line.startswith("Verdict: ")]
        words = head[0].removeprefix("Verdict: ") if head else section["verdict"]
        kind, _, rest = words.partition(": ")
        evidence = [rest] if rest else []
        for line in section["lines"][1:]:
            if not line.startswith("    "):
                break
            evidence.append(line.strip())
        part = entry(known[name], {"kind": kind if kind in changes.KINDS else "unknown",
                                   "evidence": evidence or [words], "from": "module"})
        equal = section.get("correctness") or _equality(section["lines"])
        part["correctness"] = equal
        part["operations"] = _figures(section, known[name].about.get("bench", {}).get("calls", 0))
        part["shows"] = section.get("shows", [])
        if part["verdict"]["kind"] not in ("applicable", "native"):
            # the stock kernel alone was counted
            part["operations"] = [found for found in part["operations"] if found["gains"] or found["tracking"]]
        out["changes"].append(part)
    return out


def _equality(lines):
    """What a report of before says in its line "Equality:"."""
    for line in lines:
        match = re.match(r"Equality: (passed|FAILED) - (.*)", line)
        if match:
            return {"ok": match[1] == "passed", "summary": match[2], "problems": [], "tests": []}
    return None


def check(data):
    """A report read from somewhere: is it whole? Raises ValueError with what is wrong."""
    if not isinstance(data, dict) or "format" not in data:
        raise ValueError("no report of ours: it names no format")
    if data["format"] == EVALUATION:
        try:
            data = of_evaluation(data)
        except (KeyError, TypeError, AttributeError, IndexError, ArithmeticError) as problem:
            raise ValueError(f"an evaluation that is not whole: {type(problem).__name__}: {problem}") from None
    if data["format"] != FORMAT:
        raise ValueError(f"format '{data['format']}', this program reads {FORMAT} and {EVALUATION}")
    for key in ("created", "machine", "changes", "ok", "problems"):
        if key not in data:
            raise ValueError(f"'{key}' is missing")
    if not isinstance(data["machine"], dict) or not isinstance(data["changes"], list):
        raise ValueError("'machine' or 'changes' is of another kind than in a report")
    for part in data["changes"]:
        for key in ("name", "title", "verdict", "operations"):
            if not isinstance(part, dict) or key not in part:
                raise ValueError(f"a change without '{key}'")
    return data


def load(path, reads=check):
    """The report in a file; `reads` checks what is in it."""
    try:
        return reads(json.loads(paths.read(path)))
    except OSError as problem:
        raise errors.Problem(errors.of_os(problem), errors.USAGE) from None
    except RecursionError:
        raise errors.Problem(f"{os.path.relpath(path)}: no report of ours: nested too deeply", errors.USAGE) from None
    except (ValueError, KeyError) as problem:
        raise errors.Problem(f"{os.path.relpath(path)}: {problem}", errors.USAGE) from None
