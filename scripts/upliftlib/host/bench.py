# SPDX-License-Identifier: GPL-2.0-only
"""`uplift bench`: what does each change gain on the machine it stands on, beyond noise?

Every round takes every arm of an operation once, in an order of its own, on one CPU: off, off again, null, new, batch.
stats.py says when a difference is a gain. However it ends, arms are off and modules unloaded again afterwards.

about.toml's [bench] says how a change is measured:

    program     of selftests/bench
    arguments   of the program
    operation   the operation's name, from a sample's members: "{op} {ready}"
    arms        beside the two offs (null, new), set in the change's file arm by the program
    calls       of the redirected function in an operation, to tell what the redirect costs
    files       "direct": the program takes files to read directly
                or { arm = file }: there is no arm to set, arms are files, given by --file
    operations  with such files: { the program's --op = the operation's name }
"""

import argparse
import functools
import json
import os
import pathlib
import random
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..base import changes, console, errors, paths, prompt
from ..report import dossier, record, stats
from . import loader, machine, probe, programs, selftest, testfiles, undo, workloads


OFFS = ("off", "off_again")
Found = dict[str, dict[str, list[float]]]	# {operation: {arm: [a figure per round]}}


def pick_cpu(wanted: int | None = None) -> int:
    """The CPU to measure on: the last one that we may use, as the first has most of the interrupts."""
    there = sorted(os.sched_getaffinity(0))
    if wanted is None:
        return there[-1]
    if wanted not in there:
        raise errors.Problem(f"CPU {wanted} is not one that can be used here: {', '.join(map(str, there))}", errors.USAGE)
    return wanted


def order(arms: Iterable[str], round_: int, counting: bool) -> list[str]:
    """The arms of a round, in an order of its own: what comes first may pay for what the others find ready.

    Where instructions are counted the order is always the same, as another one would be another experiment.
    """
    arms = list(arms)
    if not counting:
        random.Random(f"{stats.SEED} {round_}").shuffle(arms)
    return arms


def figure(sample: Mapping[str, Any], counting: bool) -> float:
    """One number of a sample: of a batch of batches the median; the least when instructions are counted."""
    return float(sample["best" if counting else "median"])


def _collect(found: Found, name: str, arm: str, value: float) -> None:
    found.setdefault(name, {}).setdefault(arm, []).append(value)


def _arms(how: Mapping[str, Any], options: argparse.Namespace) -> list[str]:
    """A change's arms; of a placebo, what "new" stands for is null once more."""
    beside: Iterable[str] = ("null", "new") if options.placebo else how.get("arms", ("null", "new"))
    return [*OFFS, *beside]


def _by_arm(change: changes.Change, how: Mapping[str, Any], options: argparse.Namespace, extra: Sequence[object]) -> Found:
    """Samples of a change whose program sets the arms: {operation: {arm: [figure per round]}}."""
    program = programs.find(how["program"])
    found: Found = {}
    progress = console.Progress(change.name)
    for round_ in range(options.rounds):
        progress.show(f"round {round_ + 1} of {options.rounds}")
        arms = order(_arms(how, options), round_, options.counting)
        words = ["null" if arm == "new" and options.placebo else arm for arm in arms]
        argv = [program, *how.get("arguments", ()), "--rounds", 1, "--batches", options.batches,
                "--batch-size", options.batch_size, "--arms", " ".join(words), *extra]
        seen: dict[str, int] = {}
        for sample in programs.samples(argv, options.cpu, options.warnings):
            name, arm = how["operation"].format(**sample), sample["arm"]
            if options.placebo:
                arm = arms[seen.get(name, 0)]
                seen[name] = seen.get(name, 0) + 1
            _collect(found, name, arm, figure(sample, options.counting))
    return found


def _by_file(change: changes.Change, how: Mapping[str, Any], options: argparse.Namespace) -> Found:
    """Samples of a change whose arms are files."""
    program = programs.find(how["program"])
    found: Found = {}
    progress = console.Progress(change.name)
    for round_ in range(options.rounds):
        progress.show(f"round {round_ + 1} of {options.rounds}")
        for arm in order(how["files"], round_, options.counting):
            file = how["files"]["null" if arm == "new" and options.placebo else arm]
            for operation, name in how["operations"].items():
                argv = [program, "--file", file, "--op", operation, "--batches", options.batches,
                        "--batch-size", options.batch_size]
                for sample in programs.samples(argv, options.cpu, options.warnings):
                    _collect(found, name, arm, figure(sample, options.counting))
    return found


def _by_workload(change: changes.Change, options: argparse.Namespace, direct: Callable[[], list[pathlib.Path]],
                 notes: list[str]) -> Found:
    """Samples of what a change's workloads give in every arm, which are set here, or mounted."""
    found: Found = {}
    nodes = change.about["bench"].get("files")
    nodes = nodes if isinstance(nodes, dict) else None
    arms = list(nodes) if nodes else _arms(change.about["bench"], options)
    offered = loader.stats(change.name)
    arms = [arm for arm in arms if nodes or arm in OFFS or f"calls_{arm}" in offered]
    file = loader.UPLIFT / change.name / "arm"
    for load in workloads.of(change):
        why = load.lacks()
        if why:
            notes.append(f"workload {load.name} was not run: {why}")
            continue
        try:
            operations = list(load.operations(direct() if load.files else []))
        except errors.Skip as reason:
            notes.append(f"workload {load.name} was not run: {reason}")
            continue
        progress = console.Progress(f"{change.name}: {load.name}")
        for round_ in range(options.rounds):
            progress.show(f"round {round_ + 1} of {options.rounds}")
            for arm in order(arms, round_, False):
                really = "null" if arm == "new" and options.placebo else arm
                if not nodes:
                    undo.write(file, "off" if really in OFFS else really)
                for name, run_ in operations:
                    _collect(found, name, arm, run_(options.cpu, nodes[really] if nodes and really not in OFFS else None))
        if not nodes:
            undo.write(file, "off")
    return found


def _direct(part: record.Part, options: argparse.Namespace, back: undo.Undo) -> list[pathlib.Path]:
    """Files for direct reads."""
    if options.dir:
        return testfiles.in_directory(options.dir, back)
    why = testfiles.ramdisk_lacks()
    if why:
        raise errors.Skip(f"{part['name']}: {why}; give --dir DIR, on XFS or ext4")
    return testfiles.on_ramdisks(back)


def _shown(part: record.Part, change: changes.Change, arms: Iterable[str], before: Mapping[str, str]) -> list[str]:
    """Did the calls go where they were meant to? Else the arms were all the same thing."""
    after = loader.stats(change.name)
    part["redirect"] = {key: after[key] for key in ("function", "method") if key in after}
    silent = [arm for arm in arms
              if f"calls_{arm}" in after and after[f"calls_{arm}"] == before.get(f"calls_{arm}", "0")]
    return [f"{change.name}: no call went to the arm {arm}: {after.get('state', 'state unknown')}" for arm in silent]


def measure(change: changes.Change, part: record.Part, options: argparse.Namespace) -> list[str]:
    """Fill a change's part of the report; returns problems."""
    how = change.about["bench"]
    problems = []
    options.warnings = set()
    with undo.Undo() as back:
        loader.debugfs(back)
        loader.ensure(loader.CORE, back)
        loader.ensure(change.module, back)
        arm = loader.UPLIFT / change.name / "arm"
        if arm.exists():
            # an arm that was set before is set again
            back.add("write", arm, loader.read(arm, "off"))
        before = loader.stats(change.name)
        files_ = functools.cache(lambda: _direct(part, options, back))
        extra = files_() if how.get("files") == "direct" and not options.workloads else []
        if options.workloads:
            found = _by_workload(change, options, files_, part["notes"])
            if found and arm.exists():
                there = {arm for arms in found.values() for arm in arms} - set(OFFS)
                problems = _shown(part, change, ["null"] if options.placebo else sorted(there), before)
        elif isinstance(how.get("files"), dict):
            found = _by_file(change, how, options)
        else:
            found = _by_arm(change, how, options, extra)
            problems = _shown(part, change, ["null"] if options.placebo else _arms(how, options), before)
    if not back.ok:
        problems.append(f"{change.name}: not everything could be undone, see above")
    unit = "instructions" if options.counting else "ns"
    calls = 0 if options.workloads else how.get("calls", 0)
    part["operations"] = [record.operation(name, arms, unit, calls, void=void(options))
                          for name, arms in found.items()]
    part["notes"] += sorted(options.warnings)
    if options.counting:
        spread = [(name, arm) for name, arms in found.items() for arm, values in arms.items()
                  if not stats.agree(values)]
        if spread:
            part["notes"].append("another round did not confirm the counts of " + ", ".join(
                f"{name} ({arm})" for name, arm in spread))
    return problems


def void(options: argparse.Namespace) -> str:
    """Why no figure of this machine may be claimed; '' if there is no reason."""
    if not options.counting and (os.environ.get("UPLIFT_EMULATED") == "1" or machine.emulated()):
        return "emulated: time means nothing here"
    return ""


def _out(wanted: str | None, release: str) -> pathlib.Path:
    """Where the measurements are written: checked before measuring takes minutes."""
    out = pathlib.Path(wanted) if wanted else paths.REPORT / f"bench-{release}.json"
    try:
        paths.writable(out)
        return out
    except OSError as problem:
        if wanted:
            raise errors.Problem(f"--out: {errors.of_os(problem)}", errors.USAGE) from None
        out = pathlib.Path(tempfile.mkdtemp(prefix="uplift-")) / out.name
        console.warn(f"{errors.of_os(problem)}; the data will be in {out}")
        return out


def _keep(out: pathlib.Path, text: str) -> pathlib.Path:
    """Write the measurements, which took minutes, and say where they are: elsewhere where the disk is full meanwhile, and
    at last to standard error."""
    try:
        paths.write(out, text)
        return out
    except OSError as problem:
        console.error(f"{errors.of_os(problem)}: what was measured goes elsewhere")
    for place in dict.fromkeys((tempfile.gettempdir(), "/dev/shm", "/run")):
        try:
            other = pathlib.Path(tempfile.mkdtemp(prefix="uplift-", dir=place)) / pathlib.Path(out).name
            paths.write(other, text)
            return other
        except OSError:
            continue
    sys.stderr.write(text)
    return pathlib.Path("/dev/stderr")


def _plan(wanted: Sequence[changes.Change], options: argparse.Namespace) -> list[str]:
    """What will be done to this machine."""
    lines, _ = probe.plan(wanted)
    lines = [line.replace(", and unloads them again", ", switches arms, and unloads them again") for line in lines]
    if any(change.about.get("bench", {}).get("files") == "direct" for change in wanted):
        if options.dir:
            lines.append(f"A file of {testfiles.SIZE >> 20} MB is made in {options.dir} for the time of the run.")
        elif not testfiles.ramdisk_lacks():
            lines.append("RAM disks (brd) are made and mounted below /tmp for the time of the run; memory: 100 MB.")
    if options.tests:
        lines.append(f"The selftests in {options.tests} are run first; they load and unload the modules, too.")
    if options.workloads:
        loads = {load.name: load for change in wanted for load in workloads.of(change)}
        there = [load.name for load in loads.values() if not load.lacks()]
        lines.append(f"Workloads are run on CPU {options.cpu}, {options.rounds} rounds, minutes: "
                     + (", ".join(there) or "none, as their tools are not here") + ".")
    else:
        lines.append(f"CPU {options.cpu} is used under real-time priority, {options.rounds} rounds, minutes.")
    return lines


def _command(args: argparse.Namespace) -> str:
    """What to type to have the same again."""
    flags = [f"--{name}" for name in ("counting", "placebo", "workloads") if getattr(args, name)]
    values = [(f"--{name.replace('_', '-')}", getattr(args, name)) for name in ("rounds", "batches", "batch_size", "cpu")]
    places = [(f"--{name}", os.path.abspath(where)) for name in ("dir", "tests") if (where := getattr(args, name))]
    return shlex.join(["uplift", "bench", *args.changes, *flags,
                       *(str(word) for pair in (*values, *places) for word in pair)])


def run(wanted: Sequence[changes.Change], options: argparse.Namespace, data: record.Report) -> None:
    """Fill a report."""
    if void(options):
        data["machine"]["emulated"] = True
        console.warn("an emulated guest: the figures show that it works, and nothing else")
    types = probe.Types()
    for change in wanted:
        verdict = probe.ask_module(change, types)
        part = record.entry(change, verdict)
        if options.placebo:
            part["title"] = f"placebo, null against null: {part['title']}"
        data["changes"].append(part)
        if options.tests and verdict["from"] == "module":
            part["correctness"] = selftest.run(change, options.tests)
            if part["correctness"] and not part["correctness"]["ok"]:
                word = "could not be run" if part["correctness"].get("error") else "failed"
                data["problems"].append(f"{change.name}: its selftests {word}")
        if "bench" not in change.about:
            part["notes"].append("not measured: " + change.about.get("elsewhere", "its about.toml says no bench"))
            continue
        if options.workloads and not change.about.get("workloads"):
            part["notes"].append("not measured: its about.toml names no workload")
            continue
        if verdict["from"] != "module" or not _can(change, verdict):
            part["notes"].append(f"not measured: {verdict['kind']}")
            continue
        try:
            data["problems"] += measure(change, part, options)
        except errors.Skip as reason:
            part["notes"].append(f"not measured: {reason}")
            console.warn(str(reason))
        except (loader.Refused, FileNotFoundError) as problem:
            data["problems"].append(f"{change.name}: {problem}")
        except errors.Problem as problem:
            data["problems"].append(f"{change.name}: {problem}")
            console.error(str(problem))
    data["machine"]["taint_after"] = machine.tainted()
    data["ok"] = not data["problems"]


def _can(change: changes.Change, verdict: record.Verdict) -> bool:
    """Does the module load here? Where the kernel has the change some refuse, and some have more to offer."""
    return verdict["kind"] == "applicable" or (verdict["kind"] == "native" and "errno" not in verdict)


def _bench(args: argparse.Namespace) -> int:
    args.counting = args.counting or os.environ.get("UPLIFT_COUNTING") == "1"
    wanted = changes.chosen(args.changes)
    if args.rounds is None:
        args.rounds = 2 if args.counting else stats.ROUNDS
    if args.rounds < 1 or args.batches < 1 or args.batch_size < 1:
        raise errors.Problem("--rounds, --batches and --batch-size are numbers above 0", errors.USAGE)
    if os.geteuid():
        raise errors.Problem("bench loads modules and takes root: sudo uplift bench", errors.USAGE)
    if args.workloads and args.counting:
        raise errors.Problem("workloads take time, which a guest that counts instructions does not have", errors.USAGE)
    args.cpu = pick_cpu(args.cpu)
    if not loader.loaded(loader.CORE) and not loader.find(loader.CORE)[0]:
        raise errors.Skip(f"no {loader.CORE}.ko for {os.uname().release}; type: "
                       + probe.what_to_type(None, FileNotFoundError()))
    if args.tests and not os.path.isdir(args.tests):
        raise errors.Problem(f"--tests {args.tests}: no such directory", errors.USAGE)
    if args.dir and not os.path.isdir(args.dir):
        raise errors.Problem(f"--dir {args.dir}: no such directory", errors.USAGE)
    if args.rounds < stats.ROUNDS and not args.counting:
        console.warn(f"{args.rounds} rounds: figures, but no claim; it takes {stats.ROUNDS}")
    if not prompt.agreed(_plan(wanted, args), args.yes):
        raise errors.Problem("not agreed to; uplift bench --yes does not ask", errors.USAGE)
    command = _command(args)
    data = record.new(machine.describe(args.cpu), command)
    out = _out(args.out, data["machine"]["release"])
    try:
        run(wanted, args, data)
    except KeyboardInterrupt:
        data["problems"].append("stopped before its end")
        data["ok"] = False
        raise
    finally:
        out = _keep(out, json.dumps(data, indent=1) + "\n")
    print(json.dumps(data, indent=1) if args.json else dossier.text(data), end="" if not args.json else "\n")
    console.note(f"kept in {os.path.relpath(out)}; uplift report {os.path.relpath(out)} --html FILE has plots")
    if not any(part["operations"] for part in data["changes"]) and data["ok"]:
        return errors.SKIP
    return errors.OK if data["ok"] else errors.FAIL


def register(commands: Any) -> None:
    """Add `uplift bench`."""
    parser = commands.add_parser(
        "bench", help="what each change gains on the running kernel, beyond noise",
        description="Measure every change that applies, on the running kernel: all arms in turn, round by round, on "
                    "one CPU. Says what will be done to the machine, and asks once. Whatever ends it, arms are off and "
                    "modules unloaded again. Status 4: nothing could be measured here.")
    parser.add_argument("changes", nargs="*", metavar="CHANGE", help=changes.names())
    parser.add_argument("--rounds", type=int, metavar="N",
                        help=f"through all arms ({stats.ROUNDS}; fewer are not enough for a claim)")
    parser.add_argument("--batches", type=int, default=50, metavar="N", help="in a sample, whose median counts (50)")
    parser.add_argument("--batch-size", type=int, default=20, metavar="N", help="operations in a batch (20)")
    parser.add_argument("--cpu", type=int, metavar="N", help="measure on this CPU (the last one)")
    parser.add_argument("--dir", metavar="DIR", help="direct reads of a file there, not on a RAM disk")
    parser.add_argument("--counting", action="store_true",
                        help="a nanosecond is an instruction here (a guest that counts): 2 rounds, which have to agree")
    parser.add_argument("--tests", metavar="DIR",
                        help="first run the selftests that are installed there (make -C selftests install)")
    parser.add_argument("--workloads", action="store_true",
                        help="workloads that users know instead, of tools that are here: fio, perf bench, hackbench ...")
    parser.add_argument("--placebo", action="store_true",
                        help="take null for new: has to find no measurable gain, else do not trust this machine")
    parser.add_argument("--out", metavar="FILE", help="keep the data there (build/report/bench-RELEASE.json)")
    parser.add_argument("--yes", action="store_true", help="do not ask before loading")
    parser.add_argument("--json", action="store_true", help="print the data, not the text")
    parser.set_defaults(func=_bench)
