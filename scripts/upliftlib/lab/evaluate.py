# SPDX-License-Identifier: GPL-2.0-only
"""`make run`: evaluate one stock kernel, from nothing to a report."""

import argparse
import concurrent.futures
import functools
import json
import os
import pathlib
import re
import shlex
import sys
import time
from collections.abc import Callable, Sequence, Mapping
from typing import Any

from ..base import architectures, changes, console, errors, parallel, paths, targets
from ..host import machine
from ..report import companions, dossier, history, record
from . import abi, buildroot, commands, guest, kernels, kmod, measure, testprograms, verify

ARMS = "arms"		# the job that measures many changes in one guest
Jobs = dict[str, Callable[[], Any]]


def evaluate(target: Any, accel: str | None = None, again: str = "") -> record.Report:
    """The report of one target.

    @again: what to type for it; a target is named by its name
    """
    started = time.monotonic()
    kos = list(kmod.build(target).values())
    tests = testprograms.build(target.arch)
    guest.emulated(target, accel)	# tries KVM if it has to, before the guests run at once
    buildroot.ensure("io")
    known = changes.load()
    progress = _Progress()
    with console.doing(f"evaluating {target.release} in guests (correctness, instruction counts)"):
        results = _all(_jobs(known, target, kos, tests, accel, progress), progress)
    report = _report(known, target, results, again or _make_run(target.name))
    report["seconds"] = round(time.monotonic() - started, 1)
    return report


class _Progress:
    """A line about jobs that run at once."""

    def __init__(self) -> None:
        self.line = console.Progress("guests")
        self.state: dict[str, str] = {}
        self.of: dict[str, str] = {}

    def show(self) -> None:
        """The line."""
        self.line.show(", ".join(f"{name} {state}" for name, state in self.state.items()))

    def watch(self, name: str, line: str) -> None:
        """A line of the console of a guest that runs a selftest."""
        plan = re.match(r"1\.\.(\d+)", line)
        if plan:
            self.of[name] = plan[1]
        result = re.match(r"(?:not )?ok (\d+) (?:- )?(\S+)", line)
        if result:
            self.state[name] = f"{result[1]} of {self.of.get(name, '?')} ({result[2]})"
        if line.startswith("not ok"):
            console.note(f"{name}: {line.strip()}")


def _jobs(known: Mapping[str, changes.Change], target: guest.Kernel, kos: Sequence[pathlib.Path], tests: pathlib.Path,
          accel: str | None, progress: _Progress) -> Jobs:
    """What each guest does, by a name for people, about longest first, so that none is left to run alone at the end: what
    boots two guests in turn, tests, then counts. The same script for several changes runs once."""
    there = {path.stem for path in kos}
    jobs: Jobs = {ARMS: functools.partial(measure.all_together, known.values(), target, kos, tests)}
    counts: Jobs = {}
    for change in known.values():
        how = change.tests()
        if how and _tested(change) not in jobs:
            name = _tested(change)
            jobs[name] = functools.partial(verify.run, change, target, kos, tests, accel,
                                           functools.partial(progress.watch, name))
        if measure.alone(change) and change.module in there:
            counts[_measured(change)] = functools.partial(measure.own, change, target, kos, tests)
    return jobs | counts


def _tested(change: changes.Change) -> str:
    """The name of the job that tests a change."""
    how = change.tests()
    return f"{how.script.removesuffix('.sh')} tests" if how else ""


def _measured(change: changes.Change) -> str:
    """The name of the job that measures a change that has a guest of its own."""
    return f"{change.name} counts"


def _all(jobs: Jobs, progress: _Progress) -> dict[str, Any]:
    """What the jobs give, as many at once as there are CPUs: a loaded host slows instruction counting down, but cannot
    change a count; more of them, and a guest of several CPUs stalls for so long that its kernel complains."""
    progress.state = dict.fromkeys(jobs, "to come")
    with parallel.pool(min(max(os.cpu_count() or 1, 2), 5)) as pool:
        futures = {name: pool.submit(job) for name, job in jobs.items()}
        left = set(futures)
        while left:
            concurrent.futures.wait([futures[name] for name in left], timeout=1,
                                    return_when=concurrent.futures.FIRST_COMPLETED)
            for name in sorted(left):
                if futures[name].done():
                    futures[name].result()	# one that failed ends the others
                    progress.state[name] = "done"
                elif futures[name].running() and progress.state[name] == "to come":
                    progress.state[name] = "under way"
            left = {name for name in left if not futures[name].done()}
            progress.show()
    return {name: future.result() for name, future in futures.items()}


def _make_run(name: str) -> str:
    """What to type to evaluate a target."""
    base, arch = architectures.split(name)
    return f"make run TARGET={base}" + ("" if arch.native else f" ARCH={arch.name}")


def _again(args: argparse.Namespace, target: kernels.Target) -> str:
    """What to type to have the same again."""
    if not args.kernel:
        accel = f" --accel {args.accel}" if args.accel else ""
        return f"scripts/uplift lab evaluate {target.name}{accel}" if accel else _make_run(target.name)
    words = [word for name in ("kernel", "modules", "kdir", "ksrc", "accel") if (value := getattr(args, name))
             for word in (f"--{name}", str(value) if name == "accel" else str(pathlib.Path(value).resolve()))]
    return shlex.join(["scripts/uplift", "lab", "evaluate", *words])


def _report(known: Mapping[str, changes.Change], target: kernels.Target, results: Mapping[str, Any],
            again: str) -> record.Report:
    """The report that the jobs' results make."""
    measured, where = results[ARMS]
    tested = next((found for found in results.values() if isinstance(found, verify.Found)), None)
    report = record.new(_machine(target, where, tested.accel if tested else "not run"), again)
    for change in known.values():
        if change.measure() or change.tests():
            counts = measured.get(change.name) or results.get(_measured(change)) or measure.Found()
            part = _part(change, results.get(_tested(change)), counts)
            if target.ksrc:
                companions.with_source(part, target.release, target.ksrc)
            if part["verdict"]["kind"] == "applicable":
                part["abi"], diff = abi.of_change(change, target)
                part["patches"] |= diff
            report["changes"].append(part)
    report["ok"] = all(part["correctness"]["ok"] for part in report["changes"] if part["correctness"])
    return report


def _part(change: changes.Change, tested: verify.Found | None, counts: measure.Found) -> record.Part:
    """A change's part of the report."""
    how = change.tests()
    if tested and how and how.prefix:
        tested = verify.part_of(tested, how.prefix)
    part = record.entry(change, (tested and tested.verdict) or verify.of_module(counts.verdict))
    if tested:
        part["correctness"], part["shows"] = tested.correctness, tested.shows
        if not tested.correctness["ok"]:
            console.note(f"{change.name}: a test failed; the guest's console: {tested.console}")
    if change.measure():
        measure.fill(part, change, counts)
    return part


def _machine(target: kernels.Target, where: measure.Guest, accel: str) -> dict[str, Any]:
    """The kernel, and the guests that it ran in."""
    return {"release": target.release, "version": target.version, "kernel": where.kernel, "arch": target.arch.name,
            "config": machine.that_matters(kernels.config_of(target)), "taint": 0, "taint_after": where.taint,
            "hypervisor": f"QEMU {where.qemu}; correctness: {accel}; counts: {where.accel}", "build_id": where.build_id,
            "packages": target.provenance}


def _evaluate(args: argparse.Namespace) -> int:
    if args.target:
        targets.spec(args.target)
    commands.check(args)
    repository = history.Repository(args.git) if args.git is not None else None
    buildroot.ensure()
    if not (args.target or args.kernel):
        console.note(f"no TARGET given: taking {' or else '.join(targets.use('run')[:2])}")
    target = commands.chosen(args)
    console.note(f"target {target.name}: {target.release}")
    report = evaluate(target, args.accel, _again(args, target))
    if repository:
        for part in report["changes"]:
            part["history"] = history.look(part, repository, args.base, target.release)
    where = paths.ensure(paths.REPORT)
    forms = {"json": json.dumps(report, indent=1) + "\n", "txt": dossier.text(report), "html": dossier.page(report)}
    for suffix, text in forms.items():
        paths.write(where / f"{target.release}.{suffix}", text)
    sys.stdout.write(forms["json" if args.json else "txt"])
    console.note(f"this report: {where / target.release}.txt, .html and .json; for a list or KernelCI: "
                 "scripts/uplift report")
    return errors.OK if report["ok"] else errors.FAIL


def register(commands_parser: Any) -> None:
    """Add `uplift lab evaluate`."""
    parser = commands_parser.add_parser("evaluate", help="evaluate a kernel in guests: what `make run` does",
                                        description="Evaluate one stock kernel in guests and write a report. "
                                                    "Status 1: a correctness test failed; 4: no target to be had.")
    commands.add_kernel_options(parser)
    parser.add_argument("--accel", choices=("auto", "kvm", "tcg"), help="for the correctness guest (auto)")
    parser.add_argument("--git", metavar="DIR", help="a clone of the kernel's repository, for what goes with a change")
    parser.add_argument("--base", metavar="COMMIT", default="", help="where the kernel is in that clone")
    parser.add_argument("--json", action="store_true", help="print the data, not the text")
    parser.set_defaults(func=_evaluate)
