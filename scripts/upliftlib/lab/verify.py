# SPDX-License-Identifier: GPL-2.0-only
"""Is a change correct on a stock kernel? Its selftest in a guest, and what the script and the kernel said of it."""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..base import changes, errors, ktap
from ..report import record
from . import guest
from .guest.modules import StockModules

OUT_OF_TREE, UNSIGNED, LIVEPATCH, WARNED = 4096, 8192, 32768, 512	# bits of a kernel's taint
Echo = Callable[[str], None]


@dataclasses.dataclass
class Found:
    """What the guest of a change's tests found."""
    correctness: record.Correctness
    accel: str
    console: str				# a file
    verdict: record.Verdict | None = None	# and what a change that only looks shows
    shows: list[record.Shown] = dataclasses.field(default_factory=list)


def of_module(text: str) -> record.Verdict:
    """The verdict that a module has given, or logged when it refused: "KIND" and evidence, or "KIND: REASON"."""
    lines = text.strip().splitlines() or ["not built (no source for it)"]
    kind, _, rest = lines[0].partition(":")
    evidence = [line.strip() for line in [rest, *lines[1:]] if line.strip()]
    return {"kind": kind if kind in changes.KINDS else "unknown", "evidence": evidence or [lines[0]], "from": "module"}


def carried(target: guest.Kernel, names: Iterable[str]) -> list[str]:
    """Those of the stock modules that the target has."""
    there = StockModules(guest.modules_of(target), target.release).names()
    return [name for name in names if name in there]


def names_of(script: pathlib.Path) -> list[str]:
    """The names of a selftest's tests, in its order."""
    return " ".join(re.findall(r'^TESTS="(?:\$TESTS )?([^"]*)"', script.read_text(), re.MULTILINE)).split()


def _environment(tests: changes.Tests, install: pathlib.Path) -> dict[str, str]:
    """Variables for the script: those of about.toml, and which tests it runs."""
    if not tests.left_out and not tests.only:
        return dict(tests.env)
    names = names_of(install / tests.script)
    if not set(tests.only) | set(tests.left_out) <= set(names):
        unknown = sorted((set(tests.only) | set(tests.left_out)) - set(names))
        raise errors.Problem(f"{tests.script} has no test {' '.join(unknown)}, which an about.toml names")
    chosen = tests.only or [name for name in names if name not in tests.left_out]
    return {**tests.env, "ONLY": " ".join(chosen)}


def run(change: changes.Change, target: guest.Kernel, kos: Sequence[pathlib.Path], install: pathlib.Path,
        accel: str | None = None, echo: Echo | None = None) -> Found | None:
    """A change's tests as its about.toml has them; None where that has none, or what they test is not built."""
    tests, shows = change.tests(), change.shows()
    if tests is None or shows is not None and not any(path.stem == change.module for path in kos):
        return None
    first = change.text(shows.script) if shows else "#!/bin/sh\n"
    result = guest.boot(target, f"{first}exec /selftests/{tests.script} short", files={"/selftests": install}, kos=kos,
                        modules=carried(target, tests.modules), programs=tests.programs, smp=tests.cpus,
                        topology=tests.layout, env=_environment(tests, install), timeout=900, accel=accel, echo=echo,
                        thread="single" if tests.layout else None, quiet=True,
                        name=f"{target.name}-{pathlib.Path(tests.script).stem}")
    found = Found(of_report(judge(result, tests.cpus)), result.accel, str(result.console))
    if shows:
        _look(change, shows, result.outdir, found, guest.TOPOLOGIES[tests.layout].about if tests.layout else f"{tests.cpus} CPUs")
    return found


def _look(change: changes.Change, shows: changes.Shows, out: pathlib.Path, found: Found, about: str) -> None:
    """What the script before the tests left."""
    path = out / "verdict"
    found.verdict = of_module(path.read_text(errors="replace") if path.exists() else "")
    found.shows = change.python(shows.reads).shows(out, about)


def of_report(found: Mapping[str, Any]) -> record.Correctness:
    """What judge() found, as a report has it."""
    return {"ok": found["ok"], "skipped": found["skipped"], "summary": found["summary"],
            "problems": found["problems"], "tests": found["tests"], "cpus": found["cpus"]}


def part_of(found: Found, prefix: str) -> Found:
    """Of a script that tests several changes the tests of one, whose names begin with the prefix."""
    whole = found.correctness
    tests = [test | {"name": test["name"].removeprefix(prefix)} for test in whole["tests"]
             if test["name"].startswith(prefix) or test["name"] == "kernel_log"]
    counts = {word: sum(test["outcome"] == word for test in tests) for word in ("pass", "fail", "skip")}
    summary = (f"{len(tests)} tests: {counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped")
    # what is wrong with the whole is wrong with each
    return dataclasses.replace(found, correctness=whole | {"tests": tests, "summary": summary})


def judge(result: guest.Result, cpus: int, xfail: Sequence[str] = (), livepatch: bool = False,
          warned: bool = False) -> dict[str, Any]:
    """What a guest that ran a KTAP script is worth. The kernel's word counts more than the script's.

    @livepatch: the script loads uplift_livepatch.ko, which taints
    @warned: so does a warning of the kernel's that was excused
    """
    text = result.output.read_text(errors="replace") if result.output.exists() else ""
    if result.rc is None:
        result.show_end()
        # the console has what was printed until the end
        text = result.console.read_text(errors="replace")
    report = ktap.parse(text, xfail)
    problems = [*_problems(result, report.skipped_all), *report.problems, *_taint(result.taint, livepatch, warned)]
    return {
        "ok": not problems, "skipped": report.skipped_all, "summary": report.summary(), "counts": report.counts(),
        "problems": problems, "races": result.races, "taint": result.taint, "cpus": cpus, "accel": result.accel,
        "qemu": result.qemu,
        "tests": [{"name": test.name, "outcome": test.outcome,
                   "reason": test.reason or (test.notes[-1] if test.outcome == "skip" and test.notes else "")}
                  for test in report.tests],
        "console": str(result.console), "output": str(result.output), "seconds": round(result.seconds, 1)}


def _problems(result: guest.Result, skipped: str | None) -> list[str]:
    """What the guest says, beside the script's own tests."""
    problems = [f"the kernel complained: {line}" for line in result.oops]
    if result.rc is None:
        problems.insert(0, result.why)
    elif result.rc == 4 and skipped is None:
        problems.append("the script says that it was skipped, but not why")
    elif result.rc not in (0, 4):
        problems.append(f"the script ended with status {result.rc}")
    return problems


def _taint(taint: int | None, livepatch: bool, warned: bool) -> list[str]:
    """A line where the kernel is tainted by more than what our modules do to it."""
    allowed = OUT_OF_TREE | UNSIGNED | (LIVEPATCH if livepatch else 0) | (WARNED if warned else 0)
    if taint is None or not taint & ~allowed:
        return []
    return [f"the kernel is tainted {taint}: more than out of tree (4096) and unsigned (8192)"
            + (" and live-patched (32768)" if livepatch else "")]


def of_layouts(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What judge() found in several layouts of CPUs, {layout: found}, as one, with a problem's layout in front of it."""
    total: dict[str, int] = {}
    for row in rows.values():
        for kind, number in row["counts"].items():
            total[kind] = total.get(kind, 0) + number
    skips = [row["skipped"] for row in rows.values()]
    return {"ok": all(row["ok"] for row in rows.values()), "skipped": skips[0] if all(skips) else None,
            "problems": [f"{layout}: {problem}" for layout, row in rows.items() for problem in row["problems"]],
            "counts": total, "layouts": dict(rows),
            "summary": ", ".join(f"{number} {kind}" for kind, number in total.items() if number)
            + f" in {len(rows)} layouts"}
