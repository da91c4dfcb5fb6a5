# SPDX-License-Identifier: GPL-2.0-only
"""The one form of a report, for `probe`, `bench` and the lab's guests. Its JSON is the Report below; everything that people
read is a rendering of it."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from ..base import changes, provenance
from . import stats

FORMAT = "uplift-dossier/1"
# In the order of tables; "batch" goes beyond upstream, "track" is of what only looks.
ARMS = ("off", "off_again", "null", "new", "batch", "track")
OFFS = ("off", "off_again")
CHANGED = ("new", "batch")

Samples = Mapping[str, Sequence[float]]		# {arm: [a figure per round]}


# What a change is on this kernel; in this notation, as "from" can be no member of a class.
# kind: one of changes.KINDS; from: module or btf; errno: with which the module refused
Verdict = TypedDict("Verdict", {"kind": str, "evidence": list[str], "from": str, "errno": NotRequired[str]})


class Test(TypedDict):
    """A test of a selftest."""
    name: str
    outcome: str			# pass, fail, skip, xfail, xpass
    reason: str


class Correctness(TypedDict):
    """What a change's tests found."""
    ok: bool
    summary: str
    problems: list[str]
    tests: list[Test]
    skipped: NotRequired[str | None]	# why, where nothing was run
    cpus: NotRequired[int]		# of the guest
    error: NotRequired[str]		# why they could not be run, which is no fault of the change


class Cost(TypedDict):
    """What an arm costs a call."""
    median: float
    low: float
    high: float
    claim: bool				# is it beyond noise?


class Operation(TypedDict):
    """What was measured of an operation, and what is concluded from that."""
    name: str
    unit: str				# ns or instructions
    rounds: int
    arms: dict[str, list[float]]	# every round
    summary: dict[str, stats.Interval]
    gains: dict[str, stats.Gain]	# of each changed arm against null
    redirect: Cost | None
    tracking: Cost | None


class Event(TypedDict):
    """How often something happened in an operation, where that was counted."""
    name: str
    operation: str
    arms: dict[str, int]


class Shown(TypedDict):
    """What is shown by a change that changes nothing."""
    name: str
    short: str				# as short as a column is
    text: str


class Later(TypedDict):
    """A commit of a repository that goes with a change."""
    kind: str				# prerequisite, fix, revert
    commit: str
    title: str
    state: str				# needed or present, or that the kernel's place in the repository is not known
    why: str


class History(TypedDict):
    """What a clone of the kernel's repository says of a change."""
    head: str				# of the clone
    base: str				# the kernel's place in it; "" where it is not known
    commits: list[Later]
    stable: list[str]			# branches and tags that have the change
    problem: NotRequired[str]		# why nothing could be found
    author: NotRequired[str]		# of the change, with address
    date: NotRequired[str]		# at which it was written
    tag: NotRequired[str]		# the first release that has it: v7.0-rc4
    distance: NotRequired[str]		# of the patch as applied from the commit


NO_HISTORY: History = {"head": "", "base": "", "commits": [], "stable": []}


class Abi(TypedDict):
    """What a change does to the kernel's ABI."""
    method: str				# how that was found
    files: list[str]			# that were looked at
    symbols: dict[str, list[str]]	# {exported symbol: its CRC before and after}
    layouts: list[str]			# structs that change
    problem: NotRequired[str]		# why it was not looked at


class Part(TypedDict):
    """A change's part of a report."""
    name: str
    title: str
    upstream: dict[str, Any]		# see base/changes.py
    patches: dict[str, str]		# {file: text}
    risk: list[str]
    by_hand: list[str]
    verdict: Verdict
    correctness: Correctness | None
    redirect: dict[str, str]		# function and method, where a function is redirected
    operations: list[Operation]
    arms: NotRequired[dict[str, str]]	# what arms beside ARMS are; these are shown, and not compared
    events: NotRequired[list[Event]]
    explains: NotRequired[dict[str, str]]	# what operations are whose names do not say
    shows: list[Shown]
    notes: list[str]
    history: NotRequired[History]
    abi: NotRequired[Abi]
    found: NotRequired[list[str]]	# where its functions stand in a workload: uplift find


class Report(TypedDict):
    """A report."""
    format: str
    created: str			# RFC 3339
    command: str
    reproduce: str
    machine: dict[str, Any]		# see host/machine.py; of a guest what evaluate.py says
    ok: bool
    problems: list[str]
    changes: list[Part]
    seconds: NotRequired[float]		# that it took
    uplift: NotRequired[dict[str, str]]	# version and commit; reports of before have none


def now() -> str:
    """The time, as RFC 3339 has it."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def new(machine: dict[str, Any], command: str, reproduce: str = "") -> Report:
    """A report with nothing in it yet."""
    return {"format": FORMAT, "created": now(), "command": command, "reproduce": reproduce or command,
            "machine": machine, "ok": True, "problems": [], "changes": [], "uplift": provenance.as_data()}


def entry(change: changes.Change, verdict: Verdict) -> Part:
    """A change's part, with what is known of it before anything is measured."""
    about = change.about
    return {"name": change.name, "title": change.title, "upstream": change.upstream(), "patches": change.patches(),
            "risk": about.get("risk", []), "by_hand": about.get("by_hand", []), "verdict": verdict,
            "correctness": None, "redirect": {}, "operations": [], "arms": {}, "events": [],
            "explains": about.get("explains", {}), "shows": [], "notes": []}


def without_stock_alone(part: Part) -> Part:
    """A part without operations of which the stock kernel alone was counted, unless that has the change itself."""
    if part["verdict"]["kind"] not in ("applicable", "native"):
        part["operations"] = [found for found in part["operations"] if found["gains"] or found["tracking"]]
    return part


def operation(name: str, samples: Samples, unit: str = "ns", calls: int = 1, void: str = "",
              more: Iterable[str] = ()) -> Operation:
    """What is concluded from an operation's samples; nothing where they are void, for that reason.

    @calls: of the redirected function in an operation
    @more: arms beside ARMS
    """
    exact = unit == "instructions"
    there = {arm: [float(value) for value in samples[arm]] for arm in (*ARMS, *more) if samples.get(arm)}
    found: Operation = {
        "name": name, "unit": unit, "rounds": min(map(len, there.values()), default=0), "arms": there,
        "summary": {arm: stats.summary(values, exact) for arm, values in there.items()}, "gains": {},
        "redirect": None, "tracking": None}
    if set(OFFS) <= set(there):
        _conclude(found, calls, void)
    return found


def _conclude(found: Operation, calls: int, void: str) -> None:
    """Gains and costs of an operation that has both offs."""
    arms = found["arms"]

    def compare(arm: str, base: str) -> stats.Gain:
        of = arms[arm], arms[base], arms["off"], arms["off_again"]
        return stats.compare_exact(*of) if found["unit"] == "instructions" else stats.compare(*of)

    if "null" in arms:
        found["gains"] = {arm: compare(arm, "null") for arm in CHANGED if arm in arms}
    if void:
        for gain in found["gains"].values():
            gain["claim"], gain["why"] = "none", void
        return
    if "null" in arms and calls:
        found["redirect"] = _cost(compare("off", "null"), calls)
    if "track" in arms:
        found["tracking"] = _cost(compare("off", "track"))


def _cost(compared: stats.Gain, calls: int = 1) -> Cost:
    """What an arm costs a call, beyond what comes without it."""
    saves = compared["saves"]
    return {"median": saves["median"] / calls, "low": saves["low"] / calls, "high": saves["high"] / calls,
            "claim": compared["claim"] != "none"}
