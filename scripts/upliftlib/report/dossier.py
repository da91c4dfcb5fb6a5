# SPDX-License-Identifier: GPL-2.0-only
"""The dossier: what a report says, as blocks, which blocks.py renders. First what to do about each change, then what that
rests on, and at the end where it comes from and how to do it again."""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..base import changes
from ..kernel import taint
from . import blocks, companions, decision, figures, plots, record, stats
from .blocks import Block
from .decision import gains
from .figures import UNITS, claim, number

ARMS = {"off": "off", "off_again": "off again", "null": "null", "new": "new", "batch": "batch", "track": "tracking"}
COSTS = {"redirect": "The redirect itself costs (null against off; a shipped change has none)",
         "tracking": "Tracking costs (against off; nothing is attached until it is on)"}
COUNTED = ("Instructions: counted by an emulator, exact and the same on any host; a second round has to confirm "
           "them. They are not time: emulation counts each byte of a string copy, and no cache miss.")


def correct(part: record.Part) -> str:
    """Were tests run, and what did they say?"""
    found = part.get("correctness")
    state = decision.tests(found)
    if not found:
        return "not run here"
    if state == decision.SKIPPED:
        return f"skipped: {found.get('skipped')}"
    if state == decision.ERROR:
        return f"ERROR: could not be run: {found.get('error') or found['summary']}"
    return f"{state}: {found['summary']}" + (f"; {found['cpus']} CPUs" if "cpus" in found else "")


def upstream(part: record.Part) -> str:
    """The change's commit, in a line."""
    known = part.get("upstream") or {}
    words = [f"Linux {known['linux']}"] if known.get("linux") else []
    words += [f'"{known["title"]}"'] if known.get("title") else []
    words += [str(known[key]) for key in ("author", "series") if known.get(key)]
    words += [f"commit {known['commit']}"] if known.get("commit") else ["commit id not recorded here"]
    return ", ".join(words)


def _sentence(words: str) -> str:
    """With a capital letter."""
    return words[0].upper() + words[1:]


def _change(part: record.Part, machine: Mapping[str, Any]) -> Iterator[Block]:
    """A change's section: an overview, and folded behind it what that rests on."""
    yield blocks.Head(f"{part['name']}: {part['title']}")
    yield from _bars(part)
    yield blocks.Facts([("Decision", decision.decide(part, dict(machine)).kind), *_facts(part, machine["release"])])
    if part.get("shows"):
        yield blocks.Facts([(_sentence(item["name"]), item["text"]) for item in part["shows"]])
    if part.get("found"):
        yield blocks.Text("Where this function stands in your workload:")
        yield blocks.Items(part["found"])
    for title, inside in (("Evidence and tests", _evidence(part)), ("All figures", _figures(part))):
        if whole := list(inside):
            yield blocks.Fold(title, whole)
    for note in part.get("notes", ()):
        yield blocks.Text(_sentence(note) + ".")
    if part["verdict"]["kind"] in ("applicable", "unknown") or part["operations"]:
        yield from _to_ship(part)


def _facts(part: record.Part, release: str) -> Iterator[tuple[str, str]]:
    verdict = part["verdict"]
    kind = verdict["kind"]
    yield "Upstream", upstream(part)
    yield "Verdict", (f"{kind} - {changes.VERDICTS.get(kind, 'not a verdict known here')}"
                      + (" (by the kernel's types; the module was not asked)" if verdict.get("from") == "btf" else ""))
    yield "Tests", correct(part)
    for line in companions.lines(part, release):
        yield "Goes with it", line
    yield "Looked up", companions.source(part, release)
    history = part.get("history")
    if history and history["stable"]:
        yield "Has it already", ", ".join(history["stable"])
    for line in _applied(part):
        yield "As applied", line
    yield from (("ABI", line) for line in abi(part))


def _applied(part: record.Part) -> Iterator[str]:
    """How far what was applied is from upstream's."""
    if differs := (part.get("upstream") or {}).get("differs"):
        yield str(differs)
    history = part.get("history")
    if history and history.get("distance"):
        yield history["distance"]


def abi(part: record.Part) -> Iterator[str]:
    """What the change does to the kernel's ABI; as it was applied here, and by upstream's commits where that is another thing."""
    yield from _applied_abi(part)
    for struct, words in decision.upstreams_abi(part).items():
        yield f"upstream's commits change {struct}: {words}"


def _applied_abi(part: record.Part) -> Iterator[str]:
    found = part.get("abi")
    if not found:
        yield "not looked at"
        return
    if found.get("problem"):
        yield f"not looked at: {found['problem']}"
        return
    changed = decision.crcs_that_change(part)
    for name in changed:
        before, after = found["symbols"][name]
        yield f"{name}: CRC {before or 'none'} before, {after or 'none'} after"
    if not changed:
        yield (f"no exported symbol changes ({len(found['symbols'])} of {', '.join(found['files'])}; {found['method']})"
               if found["symbols"] else f"no exported symbol changes: {', '.join(found['files'])} has none")
    yield from (f"layout: {line}" for line in found["layouts"])
    if not found["layouts"]:
        yield "no struct changes its layout"


def abi_in_short(part: record.Part) -> str:
    """The same, as short as the first screen has it."""
    found = part.get("abi")
    if not found or found.get("problem"):
        return "" if decision.upstreams_abi(part) else "its ABI was not looked at"
    words = [] if decision.crcs_that_change(part) else ["no exported symbol changes"]	# else the decision says it
    count = len(found["layouts"])
    words += [f"{count} struct{'s' if count > 1 else ''} of its own {'are' if count > 1 else 'is'} defined otherwise"] if count else []
    return ", ".join(words)


def _evidence(part: record.Part) -> Iterator[Block]:
    """What the verdict rests on, what failed, and each test."""
    if part["verdict"]["evidence"]:
        yield blocks.Facts([("Evidence", line) for line in part["verdict"]["evidence"]])
    found = part.get("correctness")
    if not found:
        return
    word = "ERROR" if decision.tests(found) == decision.ERROR else "FAILED"
    for problem in found["problems"]:
        yield blocks.Text(f"{word}: {problem}")
    passed = [test["name"] for test in found["tests"] if test["outcome"] == "pass"]
    items = ([f"passed: {', '.join(passed)}"] if passed else []) + [
        f"{test['outcome']} {test['name']}: {test['reason'] or 'no reason given'}" for test in found["tests"]
        if test["outcome"] != "pass"]
    if items:
        yield blocks.Items(items)


def _to_ship(part: record.Part) -> Iterator[Block]:
    """The change itself, and what to think of before it is shipped."""
    patches = [blocks.Code(name, code) for name, code in (part.get("patches") or {}).items()]
    if patches:
        yield blocks.Fold("The patch as it was applied", patches)
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
    yield _table(f"{unit} per operation", [(found["name"], {arm: figures.cell(cell)
                                                            for arm, cell in found["summary"].items()})
                                           for found in operations])
    yield from _more(part, unit)
    if part.get("events"):
        yield _table("counted per operation", [(f"{event['name']}, {event['operation']}",
                                                {arm: number(count) for arm, count in event["arms"].items()})
                                               for event in part["events"]])
    yield from _claims(gains(part), unit)
    yield from _costs(operations, unit)
    for operation in operations:
        if operation["unit"] != "instructions":
            yield blocks.Plot(functools.partial(plots.rounds, operation))


def _claims(gained: list[figures.Gained], unit: str) -> Iterator[Block]:
    """What may be said of each arm; a column for reasons where there is one."""
    if not gained:
        return
    why = any(gain["why"] for *_, gain in gained)
    yield blocks.Table(["against null", "saves", *(["why no more is said"] if why else [])], [
        [f"{operation['name']}, {arm}", claim(gain, unit), *([gain["why"]] if why else [])]
        for operation, arm, gain in gained])


def _table(head: str, rows: list[tuple[str, dict[str, str]]]) -> Block:
    """A row for each operation, a column for each arm."""
    arms = [arm for arm in ARMS if any(arm in cells for _, cells in rows)]
    return blocks.Table([head, *(ARMS[arm] for arm in arms)], [[name, *(cells.get(arm, "-") for arm in arms)]
                                                               for name, cells in rows])


def _more(part: record.Part, unit: str) -> Iterator[Block]:
    """A row for each arm that other changes do not have, a column for each operation."""
    operations = part["operations"]
    rows = [[words, *(figures.cell(found["summary"][arm]) if arm in found["summary"] else "-" for found in operations)]
            for arm, words in (part.get("arms") or {}).items() if any(arm in found["summary"] for found in operations)]
    if rows:
        yield blocks.Table([f"{unit}, other arms", *(found["name"] for found in operations)], rows)


def _costs(operations: list[record.Operation], unit: str) -> Iterator[Block]:
    """What the redirect, or tracking, costs a call."""
    for key, says in COSTS.items():
        costs = [f"{found['name']}: {figures.cost(cost, unit)}" for found in operations
                 if (cost := found["redirect"] if key == "redirect" else found["tracking"])]
        if costs:
            yield blocks.Text(f"{says}: " + "; ".join(costs) + ".")


def _bars(part: record.Part) -> Iterator[Block]:
    """A bar for each arm of each operation."""
    found = gains(part)
    if not found:
        return
    exact = all(operation["unit"] == "instructions" for operation, *_ in found)
    unit = UNITS[found[0][0]["unit"]]
    yield blocks.Bars("saved against null, per cent of an operation" + ("" if exact else "; thin: the 95% interval"), [
        (f"{operation['name']}, {arm}", gain["percent"]["low"], gain["percent"]["median"], gain["percent"]["high"],
         claim(gain, unit), arm if gain["claim"] == "gain" else gain["claim"]) for operation, arm, gain in found])


def _machine(data: record.Report) -> Iterator[tuple[str, str]]:
    here = data["machine"]
    yield "Kernel", here["kernel"] or here["release"]
    yield "Package", here.get("version") or "not known"
    yield "Build id", here.get("build_id") or "not recorded"
    yield "Compiler", compiler(here["kernel"]) or "not known"
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
    yield "By", f"uplift {made_by(data)}"
    yield "Again", data.get("reproduce") or data.get("command", "")


def compiler(banner: str) -> str:
    """The compiler that a kernel's banner names."""
    found = figures.COMPILER.search(banner)
    return found[1].strip() if found else ""


def made_by(data: record.Report) -> str:
    """The version and commit that made a report."""
    known = data.get("uplift") or {}
    if not known.get("version"):
        return "of a version that did not record itself"
    return f"{known['version']}, commit {known.get('commit') or 'not known'}"


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
    yield (f"Worth it: a gain of {decision.WORTH:.0f}% of an operation or more, no loss of that size, and tests that passed "
           "here. Harmful: a test failed, or a loss of that size and no gain.")


def _id(part: record.Part) -> str:
    """The change's version and commit, as short as a column is."""
    known = part.get("upstream") or {}
    return " ".join((str(known.get("linux") or ""), companions.short(known.get("commit") or ""))).strip() or "-"


def _words(data: record.Report) -> Iterator[str]:
    """What the words of the first screen mean."""
    kinds = dict.fromkeys(part["verdict"]["kind"] for part in data["changes"])
    words = [f"{kind}: {changes.VERDICTS[kind]}." for kind in kinds if kind in changes.VERDICTS]
    if any(part["operations"] for part in data["changes"]):
        words.append("operation: what is measured, mostly one system call. \"instead of\": what the kernel's own code takes, "
                     "reached the same way as the change (null), so that the difference is the change's alone.")
    if words:
        yield " ".join(words)


def _in_a_line(parts: Iterable[record.Part], found: Mapping[str, decision.Decision]) -> str:
    """All decisions, each with its largest gain or loss: what a small screen has room for."""
    kinds: dict[str, list[str]] = {kind: [] for kind in decision.KINDS}
    for part in parts:
        largest = decision.largest(part)
        kinds[found[part["name"]].kind].append(part["name"] + (f" ({largest})" if largest else ""))
    return " ".join(f"{_sentence(kind)}: {', '.join(names)}." for kind, names in kinds.items() if names)


def _figures_are(sure: str) -> str:
    """Where all figures come from."""
    time = " (that is what uplift bench measures, on your hardware)" if sure.endswith("not time") else ""
    sure = sure.replace("exact counts", "exact counts of instructions")
    return f"All figures are {sure}{time}." if sure.startswith("exact") else f"All figures: {sure}."


def _decided(part: record.Part, found: decision.Decision, above: str) -> blocks.Decided:
    return blocks.Decided(found.kind, part["name"], part["title"], found.sentence,
                          list(_parts(part, found, found.sure == above)))


def _parts(part: record.Part, found: decision.Decision, said_above: bool) -> Iterator[tuple[str, str]]:
    """What a decision rests on, by the question that it answers."""
    yield "Gain" if found.sure else "Why", _sentence_end(found.said)
    if found.sure and not said_above:
        yield "On", _sentence_end(found.sure)
    if found.takes:
        yield "Ship" if found.kind == decision.WORTH_IT else "Takes", _sentence_end(found.takes)
    if found.tested:
        tested = re.sub("^(correctness is open: )?(its|the module's) tests ", "", found.tested)
        yield "Tests", _sentence_end("; ".join(filter(None, (tested, abi_in_short(part) if part.get("abi") else ""))))
    for words in found.more:
        yield "Note", _sentence_end(_sentence(words))


def _sentence_end(words: str) -> str:
    return words if words.endswith(".") else f"{words}."


def document(data: record.Report) -> Iterator[Block]:
    """The whole dossier."""
    here = data["machine"]
    yield blocks.Title(f"uplift: upstream's fast-path changes on {here['release']}")
    found = {part["name"]: decision.decide(part, here) for part in data["changes"]}
    if found:
        alike = {one.sure for one in found.values() if one.sure}
        above = alike.pop() if len(alike) == 1 else ""
        yield blocks.Text(_in_a_line(data["changes"], found) + (f" {_figures_are(above)}" if above else ""))
        yield blocks.Decisions([_decided(part, found[part["name"]], above) for part in data["changes"]])
    for problem in data["problems"]:
        yield blocks.Text(f"PROBLEM: {problem}")
    yield blocks.Table(["change", "decision", "verdict", "tests", "upstream"], [
        [part["name"], found[part["name"]].kind, part["verdict"]["kind"], correct(part).partition(":")[0], _id(part)]
        for part in data["changes"]])
    yield from map(blocks.Text, _words(data))
    for part in data["changes"]:
        yield from _change(part, here)
    yield blocks.Head("Where this comes from")
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
