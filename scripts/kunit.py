#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run uplift's KUnit suites under the kernel's own kunit.py.

The kernel is a target's source package. It is never edited: the suites go into
a tree of hard links to it, with our kunit/ and modules/ linked in as
drivers/uplift and two lines added to copies of two files. kunit.py then
configures, builds and boots that tree inside the build root. Objects are kept
below build/kunit/, so that a run after a change of a suite takes seconds.

What counts is not kunit.py's exit status but the KTAP on the kernel's console:
every case that the sources declare must be there and must have passed, or be
skipped by itself. A complaint of the kernel's (kernel/complaints) fails the run.
"""

import argparse
import fnmatch
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from upliftlib.base import architectures, arguments, builds, changes, console, errors, ktap, paths, signals, targets	# noqa: E402
from upliftlib.generator import bodies as generator	# noqa: E402
from upliftlib.kernel import log as kernel_log	# noqa: E402
from upliftlib.lab import buildroot, fetch	# noqa: E402

Cases = dict[str, list[str]]	# {suite: cases}
ARCHES = ("um", "x86_64", "arm64")
LEAST = 90, 80	# per cent of a *_core.c's lines and branches, with --coverage


# --- what the sources declare -------------------------------------------------

def declared_cases(files: Iterable[Path]) -> Cases:
    """{suite: [case, ...]} of *_kunit.c files."""
    suites = {}
    for path in sorted(files):
        text = path.read_text()
        names = re.findall(r"struct kunit_suite \w+ = \{[^}]*?\.name = \"(\w+)\"",
                           text, re.S)
        cases = re.findall(r"^\s*KUNIT_CASE(?:_\w+)?\(\s*(\w+)", text, re.M)
        if len(names) != 1 or not cases or len(set(cases)) != len(cases):
            raise errors.Problem(f"{path}: expected one suite with cases of its own, "
                              f"found {len(names)} and {len(cases)}")
        suites[names[0]] = cases
    if not suites:
        raise errors.Problem("no suite is configured, so nothing to run")
    return suites


def configs(arch: str, debug: bool = False, coverage: bool = False) -> list[str]:
    """The configurations that make up a kernel, in the order in which they count."""
    return ([".kunitconfig", f"{arch}.config"] + (["debug.config"] if debug else [])
            + (["coverage.config"] if coverage else []))


def enabled(kunit_dir: Path | str, arch: str) -> list[Path]:
    """The *_kunit.c files that a kernel for arch is configured with."""
    text = "\n".join((Path(kunit_dir) / name).read_text() for name in configs(arch))
    names = re.findall(r"^CONFIG_UPLIFT_(\w+)_KUNIT_TEST=y$", text, re.M)
    return [Path(kunit_dir) / f"{name.lower()}_kunit.c" for name in names]


def filtered(suites: Cases, pattern: str | None) -> Cases:
    """The part of suites that kunit.filter_glob=pattern runs."""
    if not pattern:
        return suites
    suite_glob, _, case_glob = pattern.partition(".")
    chosen = {}
    for suite, cases in suites.items():
        if fnmatch.fnmatchcase(suite, suite_glob):
            cases = [c for c in cases if fnmatch.fnmatchcase(c, case_glob or "*")]
            if cases:
                chosen[suite] = cases
    if not chosen:
        raise errors.Problem(f"--filter {pattern}: matches no case; see --list", 2)
    return chosen


def seeded(kunit_dir: Path | str) -> list[str]:
    """Names of the suites that take a seed."""
    return [path.name.removesuffix("_kunit.c") for path in sorted(Path(kunit_dir).glob("*_kunit.c"))
            if re.search(r"^module_param\(seed\b", path.read_text(), re.M)]


def bodies() -> dict[str, str]:
    """{change whose bodies its suite has linked in: the function that they are made of}, from [kunit] of about.toml."""
    return {change.name: change.about["kunit"]["function"] for change in changes.load().values() if "kunit" in change.about}


# --- the tree ------------------------------------------------------------------

def fingerprint(tree: Path | str) -> tuple[int, str]:
    """(number of files, digest of every path, size, mode and time of change).

    Not of the contents: hashing 1.7 GB would take longer than the tests, and
    any write through a hard link shows in the time or the size.
    """
    digest = hashlib.sha256()
    count = 0
    stack = [os.fspath(tree)]
    skip = len(stack[0]) + 1
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                    continue
                st = entry.stat(follow_symlinks=False)
                count += 1
                digest.update(f"{entry.path[skip:]}\0{st.st_size} {st.st_mode} "
                              f"{st.st_mtime_ns}\n".encode())
    return count, digest.hexdigest()


def replace_text(path: Path, edit: Callable[[str], str]) -> None:
    """Rewrite path as edit(its text), leaving other links to it alone."""
    temp = path.with_name(path.name + ".uplift-new")
    temp.write_text(edit(path.read_text()))
    os.replace(temp, path)


def add_source_line(text: str) -> str:
    end = text.rstrip().rfind("endmenu")
    if end < 0:
        raise errors.Problem("drivers/Kconfig has no endmenu: not a kernel tree that "
                          "is known here")
    return text[:end] + 'source "drivers/uplift/kunit/Kconfig"\n\n' + text[end:]


def add_obj_line(text: str) -> str:
    return text.rstrip("\n") + "\nobj-$(CONFIG_KUNIT)\t\t+= uplift/kunit/\n"


def can_link(source: Path, directory: Path) -> bool:
    """Can a file have another name there? Not on another file system, nor across a bind mount of the same one."""
    probe = directory / f".link-{os.getpid()}"
    try:
        os.link(source, probe)
        probe.unlink()
        return True
    except OSError:
        return False


def make_tree(pristine: Path | str, tree: Path | str, top: Path | str) -> tuple[int, str]:
    """Make tree from pristine unless it is there; returns pristine's fingerprint.

    The tree appears under its name only when it is complete, and carries the
    fingerprint of what it was made from: another pristine tree makes another.
    """
    pristine, tree, top = Path(pristine), Path(tree), Path(top)
    if not (pristine / "tools/testing/kunit/kunit.py").is_file():
        raise errors.Problem(f"{pristine}: no kernel source with tools/testing/kunit")
    count, digest = fingerprint(pristine)
    stamp = tree / ".uplift-tree"
    wanted = f"{digest} {top}\n"
    if stamp.is_file() and stamp.read_text() == wanted:
        return count, digest

    tree.parent.mkdir(parents=True, exist_ok=True)
    link = can_link(pristine / "tools/testing/kunit/kunit.py", tree.parent)
    with console.doing(f"{'hard links to' if link else 'copy of'} {pristine}, {count} files"):
        with paths.fresh_dir(tree) as temp:
            subprocess.run(["cp", "-al" if link else "-a", "--", f"{pristine}/.", temp],
                           check=True)
            replace_text(temp / "drivers/Kconfig", add_source_line)
            replace_text(temp / "drivers/Makefile", add_obj_line)
            ours = temp / "drivers/uplift"
            ours.mkdir()
            for part in ("kunit", "modules"):
                (ours / part).symlink_to(top / part)
            (temp / stamp.name).write_text(wanted)
    return count, digest


# --- running -------------------------------------------------------------------

class Heartbeat:
    """Says every 20 s that a silent command still runs."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.beat, daemon=True)

    def beat(self) -> None:
        start = time.monotonic()
        while not self.over.wait(20):
            console.note(f"{self.what} goes on, {time.monotonic() - start:.0f} s")

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *exc: object) -> None:
        self.over.set()
        self.thread.join()


def version_of(tree: Path | str) -> tuple[int, int]:
    fields = dict(re.findall(r"^(VERSION|PATCHLEVEL) = (\d+)$",
                             (Path(tree) / "Makefile").read_text()[:400], re.M))
    return int(fields.get("VERSION", 0)), int(fields.get("PATCHLEVEL", 0))


def cross(arch: str) -> list[str]:
    """What kunit.py has to be told where the build root's compiler makes code of another architecture."""
    found = architectures.ALL.get(arch, architectures.X86_64)
    return [] if found.native else [f"--cross_compile={found.triplet}-"]


def kunit_argv(verb: str, args: argparse.Namespace, objdir: Path, tree: Path) -> list[str]:
    argv = ["python3", "-B", "tools/testing/kunit/kunit.py", verb,
            f"--build_dir={objdir}", f"--arch={args.arch}", *cross(args.arch)]
    top = Path("drivers/uplift/kunit")
    argv += [f"--kunitconfig={top / name}" for name in configs(args.arch, args.debug, args.coverage)]
    argv += [f"--kconfig_add=CONFIG_UPLIFT_{change.upper()}_KUNIT_TEST=n" for change in args.lacking]
    # UML has several CPUs from 7.2 on.
    smp_uml = args.arch == "um" and version_of(tree) >= (7, 2)
    if smp_uml and not args.coverage:	# CPUs that count at once would lose counts
        argv.append("--kconfig_add=CONFIG_SMP=y")
    if args.long:
        argv.append("--kconfig_add=CONFIG_UPLIFT_KUNIT_LONG=y")
    if args.coverage:
        # What UML's last link takes over, and nothing else has without LTO. libgcov and fs/seq_file.c both have a
        # mangle_path(), which in the former nobody calls.
        argv.append("--make_options=CC_FLAGS_LTO=--coverage -Wl,-z,muldefs")
    if verb == "build":
        argv.append(f"--jobs={args.jobs}")
    elif verb == "exec":
        argv.append(f"--timeout={args.timeout}")
        if args.arch != "um":
            argv += ["--qemu_args=-smp 2", "--kernel_args=panic=-1"]
        if smp_uml and not args.coverage:
            argv += ["--kernel_args=ncpus=2", "--kernel_args=seccomp=on"]
        if args.seed:
            argv += [f"--kernel_args=uplift_{name}_kunit.seed={args.seed}"
                     for name in seeded(paths.TOP / "kunit")]
        if args.filter:
            argv.append(args.filter)
    return argv


def make_bodies(args: argparse.Namespace, objdir: Path, tree: Path) -> None:
    """Generate the bodies that suites link, from the tree and with the configuration that they are built in.

    Leaves in args.lacking the changes whose suite is left out, as this kernel is not in need of them. UML has no bodies.
    """
    wanted, args.lacking = {}, []
    chosen = [path.name for path in enabled(paths.TOP / "kunit", args.arch)]
    for name, function in bodies().items():
        if f"{name}_kunit.c" not in chosen:
            continue
        change = generator.Change(paths.TOP / "modules" / name)
        if generator.arms_for(change, (tree / change.manifest["source"]).read_text()):
            wanted[name] = function
        else:
            console.note(f"uplift_{name} is left out: this kernel does not need the change")
            args.lacking.append(name)
    if args.arch == "um" or not wanted:
        return
    words = " ".join([f"-C {tree} O={objdir} ARCH={args.arch}", *architectures.named(args.arch).make[1:]])
    if run_kunit("config", args, objdir, tree):
        raise errors.Problem(f"the kernel was not configured, see above; {objdir}")
    status, text = buildroot.output(["make", *words.split(), f"-j{args.jobs}", "modules_prepare"], cwd=tree)
    if status:
        raise errors.Problem("make modules_prepare failed: " + "\n".join(text.splitlines()[-10:]))
    for name, function in wanted.items():
        out = paths.ensure(objdir / "drivers/uplift/modules" / name / "gen")
        status, text = buildroot.output(
            ["python3", "-B", paths.TOP / "scripts/generate-bodies", "--change", paths.TOP / "modules" / name,
             "--ksrc", tree, "--kdir", objdir, "--make", words, "--function", function, "--out", out])
        if status:
            raise errors.Problem(f"no bodies for the suite uplift_{name}: {text.strip()}")


def run_kunit(verb: str, args: argparse.Namespace, objdir: Path, tree: Path, extra: Sequence[str] = ()) -> int:
    argv = kunit_argv(verb, args, objdir, tree)
    argv[4:4] = list(extra)
    # Where QEMU is looked for: in kunit/qemu, which has an accelerator of its own choice.
    env = {"PATH": f"{paths.TOP / 'kunit/qemu'}:/usr/sbin:/usr/bin:/sbin:/bin"}
    with Heartbeat(f"kunit.py {verb}"):
        return buildroot.run(argv, cwd=tree, env=env)


# --- what came out ---------------------------------------------------------------

def kernel_lines(log: str) -> Iterator[str]:
    """The lines of a console log without the prefix that printk may add."""
    prefix = re.compile(r"^.*?(?=KTAP version 1$)")
    width = 0
    for line in log.splitlines():
        line = line.rstrip("\r")
        if not width:
            found = prefix.match(line)
            width = found.end() if found else 0
        yield line[width:] if width and line[:1] == "[" else line


def ktap_of(log: str) -> str:
    """The KTAP of a run, from the console's log; '' where there is none."""
    lines = list(kernel_lines(log))
    begin = lines.index("KTAP version 1") if "KTAP version 1" in lines else len(lines)
    return "".join(line + "\n" for line in lines[begin:])


def cases_of(report: ktap.Report) -> dict[str, dict[str, ktap.Test]]:
    """{suite: {case: its result}}"""
    return {suite.name: {case.name: case for case in suite.children} for suite in report.tests}


def figures(report: ktap.Report) -> Iterator[str]:
    """What the cases said of themselves (kunit_info) and why any was skipped."""
    for cases in cases_of(report).values():
        for name, case in cases.items():
            yield from (note for note in case.notes if note.startswith(f"{name}: ") and "FAILED at" not in note)
            if case.outcome == "skip":
                yield f"{name}: skipped, {case.reason or 'no reason given'}"


def judge(expected: dict[str, list[str]], report: ktap.Report, log: str) -> tuple[int, int, list[str]]:
    """(cases passed, cases skipped, list of complaints)."""
    complaints = list(report.problems)
    seen = cases_of(report)
    outcomes: list[str] = []
    for suite, cases in expected.items():
        got = seen.pop(suite, None)
        if got is None:
            complaints.append(f"{suite}: the suite did not run ({len(cases)} cases expected)")
            continue
        complaints += [f"{suite}.{case}: absent" for case in cases if case not in got]
        outcomes += [got.pop(case).outcome for case in cases if case in got]
        complaints += [f"{suite}.{case}: ran, but no source declares it" for case in got]
    complaints += [f"{suite}: ran, but no source declares it" for suite in seen]
    complaints += [f"console: {line}" for line in kernel_log.complaints(log, stamped=False)][:10]
    return outcomes.count("pass"), outcomes.count("skip"), complaints


# --- coverage -------------------------------------------------------------------

def covered(reports: Iterable[Mapping[str, Any]], top: Path) -> dict[str, list[int]]:
    """{source: [lines, lines run, branches, branches taken]} from gcov's JSON, of our own .c files."""
    lines: dict[tuple[str, int], int] = {}
    branches: dict[tuple[str, int, int], int] = {}
    for report in reports:
        for file in report["files"]:
            path = os.path.normpath(os.path.join(report["current_working_directory"], file["file"]))
            name = path.partition("/drivers/uplift/")[2] or os.path.relpath(path, top)
            if not re.fullmatch(r"modules/.*\.c", name) or "/gen/" in name:
                continue
            for line in file["lines"]:
                key = name, line["line_number"]
                lines[key] = lines.get(key, 0) + line["count"]
                for number, branch in enumerate(line["branches"]):
                    branches[*key, number] = branches.get((*key, number), 0) + branch["count"]
    found: dict[str, list[int]] = {}
    ran = [(name, 0, count) for (name, _), count in lines.items()]
    for name, at, count in [*ran, *((name, 2, count) for (name, _, _), count in branches.items())]:
        row = found.setdefault(name, [0, 0, 0, 0])
        row[at] += 1
        row[at + 1] += bool(count)
    return found


def gcov(objdir: Path, results: Path) -> list[dict[str, Any]]:
    """gcov's JSON reports of everything of ours that ran; the sources with counts go to results/coverage."""
    data = sorted((objdir / "drivers/uplift").rglob("*.gcda"))
    if not data:
        raise errors.Problem(f"the kernel left no counts in {objdir}/drivers/uplift: is it linked with --coverage?")
    out = paths.ensure(results / "coverage")
    status, text = buildroot.output(["gcov-14", "--branch-probabilities", "--hash-filenames", *data], cwd=out)
    if status:
        raise errors.Problem(f"gcov: {text.strip().splitlines()[-1]}")
    status, text = buildroot.output(["gcov-14", "--branch-probabilities", "--json-format", "--stdout", *data], cwd=out)
    reports = []
    for line in text.splitlines():
        try:
            reports.append(json.loads(line))
        except ValueError:
            continue
    if status or not reports:
        raise errors.Problem(f"gcov left no report: {text.strip()[-200:]}")
    return reports


def coverage(objdir: Path, results: Path) -> list[str]:
    """Print how much of the pure logic ran; complaints where it is too little of a *_core.c."""
    found = covered(gcov(objdir, results), paths.TOP)
    complaints = []
    cores = sorted(name for name in found if name.endswith("_core.c"))
    if not cores:
        complaints.append("coverage: no *_core.c was run")
    print(f"{'':32} {'lines':>15} {'branches':>15}")
    for name in cores + sorted(set(found) - set(cores)):
        row = found[name]
        shares = [100 * row[at + 1] / row[at] if row[at] else 100 for at in (0, 2)]
        print(f"{name:32} {row[1]:4}/{row[0]:4} {shares[0]:4.0f}% {row[3]:4}/{row[2]:4} {shares[1]:4.0f}%")
        for share, least, what in zip(shares, LEAST, ("lines", "branches")):
            if name in cores and share < least:
                complaints.append(f"coverage: {name}: {share:.1f}% of its {what} ran, {least}% at least are wanted")
    paths.write(results / "coverage.json", json.dumps(found, indent=1) + "\n")
    return complaints


# --- the command -------------------------------------------------------------------

def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = arguments.Parser(
        prog="kunit.py", description="Run uplift's KUnit suites under the kernel's own "
        "kunit.py, from a target's source package.")
    parser.add_argument("--arch", choices=ARCHES, default="um",
                        help="um runs at native speed, x86_64 and arm64 in QEMU with two CPUs "
                        "(default: %(default)s)")
    parser.add_argument("--target", metavar="T",
                        help="whose source to use (default: the first that can be had of "
                        f"{', '.join(targets.use('run'))})")
    parser.add_argument("--ksrc", type=Path, metavar="DIR",
                        help="an unpacked kernel source to use instead; never written to")
    parser.add_argument("--debug", action="store_true",
                        help="with KASAN, lockdep, RCU and sleep checks and kmemleak; "
                        "implies --arch x86_64; builds for minutes")
    parser.add_argument("--coverage", action="store_true",
                        help="count which lines and branches ran, on um; fails where it is too "
                        f"few of a *_core.c: {LEAST[0]}%% of lines, {LEAST[1]}%% of branches")
    parser.add_argument("--long", action="store_true",
                        help="with --debug: repeat as often as without the checks; minutes more")
    parser.add_argument("--filter", metavar="GLOB", help="only these, as suite.case")
    parser.add_argument("--seed", type=int, metavar="N",
                        help="repeat the random script that printed this")
    parser.add_argument("--json", type=Path, metavar="FILE",
                        help="copy kunit.py's JSON there")
    parser.add_argument("--list", action="store_true", help="list the cases and stop")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N",
                        help="for make (default: %(default)s)")
    parser.add_argument("--timeout", type=int, default=540, metavar="SECONDS",
                        help="for the kernel under test (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.long and not args.debug:
        parser.error("--long is of a kernel with --debug; others repeat all")
    if args.debug and args.coverage:
        parser.error("--debug and --coverage are kernels of their own")
    if args.coverage and args.arch != "um":
        parser.error("--coverage is of a kernel on um")
    for option in ("jobs", "timeout"):
        if getattr(args, option) < 1:
            parser.error(f"--{option} is 1 or more, not {getattr(args, option)}")
    if args.ksrc and not (args.ksrc / "tools/testing/kunit/kunit.py").is_file():
        parser.error(f"--ksrc {args.ksrc}: no tools/testing/kunit/kunit.py there, so it is not a kernel's source")
    if args.debug:
        args.arch = "x86_64"
    if args.coverage:
        args.arch = "um"
        args.seed = args.seed or 1	# the same lines each time
    return args


def source_of(args: argparse.Namespace) -> tuple[Path, str]:
    """The kernel's source, which stays as it is, and a name for it."""
    if args.ksrc:
        return args.ksrc.resolve(), "own"
    fetched = fetch.fetch(args.target, {"source"}) if args.target else fetch.best({"source"})
    return fetched.part("ksrc"), fetched.name


def built(args: argparse.Namespace, objdir: Path, tree: Path) -> float:
    """Build the kernel; the seconds that it took."""
    start = time.monotonic()
    with builds.unbroken(objdir):
        make_bodies(args, objdir, tree)
        if run_kunit("build", args, objdir, tree):
            raise errors.Problem(f"the kernel did not build, see above; its objects are in {objdir}")
    return time.monotonic() - start


def executed(args: argparse.Namespace, objdir: Path, tree: Path, results: Path) -> tuple[str, float]:
    """Run the kernel, and keep what it left in `results`: (its console's text, the seconds that it took)"""
    start = time.monotonic()
    raw_json, log_path = objdir / "uplift.json", objdir / "test.log"
    for old in (raw_json, log_path, *objdir.rglob("drivers/uplift/**/*.gcda")):
        old.unlink(missing_ok=True)
    # Its exit status is not asked: it is 0 for some broken results.
    run_kunit("exec", args, objdir, tree, [f"--json={raw_json}"])
    ran = time.monotonic() - start
    log = log_path.read_text(errors="replace") if log_path.is_file() else ""
    paths.write(results / "console.log", log)
    paths.write(results / "kunit.ktap", ktap_of(log))
    if not raw_json.is_file():
        raise errors.Problem(f"kunit.py left no result; the console is in {results}/console.log")
    text = raw_json.read_text()
    paths.write(results / "kunit.json", text)	# for CI systems that take kunit.py's
    if args.json:
        paths.write(args.json, text)
    return log, ran


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    expected = filtered(declared_cases(enabled(paths.TOP / "kunit", args.arch)), args.filter)
    if args.list:
        for suite, cases in expected.items():
            print("\n".join(f"{suite}.{case}" for case in cases))
        return 0

    buildroot.need_root()
    pristine, name = source_of(args)
    buildroot.ensure("test", *([args.arch] if cross(args.arch) else []))
    tree = paths.KUNIT / f"{name}-tree"
    work = paths.KUNIT / f"{name}-{args.arch}{'-debug' if args.debug else ''}{'-coverage' if args.coverage else ''}"
    objdir, results = work / "obj", work / "results"

    with paths.lock(f"kunit-{name}-tree"):
        before = make_tree(pristine, tree, paths.TOP)
    with paths.lock(f"kunit-{work.name}"):
        paths.remove(results)
        paths.ensure(results)
        build_seconds = built(args, objdir, tree)
        for change in args.lacking:
            expected.pop(f"uplift_{change}", None)
        log, seconds = executed(args, objdir, tree, results)
        report = ktap.parse(ktap_of(log))
        passed, skipped, complaints = judge(expected, report, log)
        if args.coverage:
            complaints += coverage(objdir, results)
        if fingerprint(pristine) != before:
            complaints.append(f"{pristine}: changed while this ran; it has to stay pristine")

    for figure in figures(report):
        console.note(figure)
    for complaint in complaints:
        print(f"FAIL {complaint}")
    total = sum(len(cases) for cases in expected.values())
    print(f"kunit {name} {args.arch}{' debug' if args.debug else ''}{' coverage' if args.coverage else ''}: {passed} of {total} cases "
          f"passed, {skipped} skipped, {len(complaints)} complaints; built in {build_seconds:.0f} s, "
          f"ran in {seconds:.0f} s; results in {os.path.relpath(results)}")
    return 1 if complaints or not passed else 0


if __name__ == "__main__":
    signals.end_on_sigterm()
    signals.run_main(main)
