# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab selftests`: selftests/ on stock kernels, in guests.

What a guest needs to run a script, beside the modules and selftests/ itself, stands here for the scripts that are of no
change, and in modules/<change>/about.toml for selftests/<change>.sh: [guest], [tests], [torture] (base/changes.py).
"""

import argparse
import dataclasses
import functools
import importlib
import json
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any, cast

from ..base import changes, console, errors, parallel, paths, targets
from . import buildroot, fetch, guest, kernels, kmod, safetytries, testprograms, verify

Found = dict[str, Any]		# what a run found, see verify.judge()

# What the kernel itself says when memory fails it. Its own code that cannot arm a probe warns, and goes on without.
_NO_MEMORY = "vmalloc error: size|page allocation failure: order|Failed to arm kprobe-ftrace at .* [(]error -12[)]"
# Waiting for grace periods is most of a cycle.
_EXPEDITED = "rcupdate.rcu_expedited=1"
# Memory that nothing was written to has a pattern.
_FILLED = "init_on_alloc=0 init_on_free=0 slub_debug=P page_poison=1"
CORE = "core"
# {name: (kernel arguments, what is in force then)}. A CPU that returns need not be protected on is treated as one where they must.
_MITIGATIONS = {
    "stuff": ("retbleed=force,stuff spectre_v2=retpoline", "retbleed:Mitigation: Stuffing"),
    "off": ("mitigations=off", "spectre_v2:Vulnerable"),
}
_LAST = ("unloaded", "kernel_log")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Script(changes.Guest):
    """A script of selftests/, or some tests of one, and what its guest needs.

    @file: its name without .sh
    @change: that it tests, if it is of one
    @only: tests of it; all when there are none
    @form: is it told the form, short or long?
    @stripped: does it load modules again and again, so that what debuggers read would cost time?
    @tries: does it need the modules of safetytries.py?
    @if_there: modules of the kernel; those that it has are carried
    The rest: changes.Torture, and what every guest of a change's may need.
    """
    file: str
    change: str = ""
    only: tuple[str, ...] = ()
    form: bool = True
    stripped: bool = False
    tries: bool = False
    if_there: tuple[str, ...] = ()
    append: str = ""
    excused: str = ""


def _fields(table: changes.Guest | changes.Torture) -> dict[str, Any]:
    return {field.name: getattr(table, field.name) for field in dataclasses.fields(table)}


def _of(change: changes.Change) -> Script:
    """A change's script."""
    script = Script(file=change.name, change=change.name, **_fields(change.guest()))
    tests = change.tests()
    if not tests:
        return script
    return dataclasses.replace(script, if_there=tuple(tests.modules), programs=(*script.programs, *tests.programs))


def _of_changes() -> Iterator[tuple[str, Script]]:
    """Scripts of one change."""
    for change in changes.load().values():
        if (paths.TOP / f"selftests/{change.name}.sh").exists():
            yield change.name, _of(change)


# All that run when none is named.
SCRIPTS = dict(_of_changes()) | {
    "land": Script(file="land", layouts="schedulers"),
    "abi": Script(file="abi"),
    "lockdown": Script(file="lockdown", environment={"LOCKDOWN": "1"}),
    "refusals": Script(file="refusals", livepatch=True),
    "privilege": Script(file="privilege"),
    "fuzz": Script(file="fuzz"),
    "backports": Script(file="backports"),
    "safety": Script(file="safety", form=False, livepatch=True, tries=True, modules=("brd",)),
}


def _named() -> Iterator[tuple[str, Script]]:
    """Those that are run when they are named only."""
    for how, word in (("off", "no_debugfs"), ("no-mount", "no_mount")):
        yield f"refusals_{word}", Script(file="refusals", only=("no_debugfs", "kernel_log"), environment={"DEBUGFS": how},
                                         form=False, livepatch=True, append=f"debugfs={how}")
    for word, (append, mitigation) in _MITIGATIONS.items():
        yield f"mitigations_{word}", Script(file="mitigations", environment={"MITIGATION": mitigation}, append=append)
    yield "poison", Script(file="poison", form=False, append=_FILLED)
    yield "fail", Script(file="fail", environment={"TORTURE": "1"}, form=False, stripped=True, livepatch=True,
                         excused=_NO_MEMORY, mem="2G")
    for name in (CORE, *changes.load()):
        yield f"cycles_{name}", Script(file="cycles", only=(name, *_LAST), stripped=True, append=_EXPEDITED)
    yield "switches", Script(file="cycles", only=("switches", *_LAST), stripped=True)
    for change in changes.load().values():
        for name, run_ in change.torture().items():
            script = _of(change)
            yield name, dataclasses.replace(script, **_fields(run_) | {
                "environment": {**script.environment, **run_.environment}})
    yield "storm", Script(
        file="storm", environment={"TORTURE": "1"}, form=False, livepatch=True, packages="test", mem="3G",
        modules=("brd", "ext4", "xfs", "minix", "bfs", "adfs", "qnx4"),
        programs=("/usr/bin/fio", "/usr/sbin/mkfs.xfs", "/usr/sbin/mkfs.ext4", "/usr/bin/stress-ng"))


NAMED = dict(_named())
EVERY = SCRIPTS | NAMED


def upstream_test(target: kernels.Target, name: str) -> pathlib.Path | None:
    """A test program of the target's source, built as it is there; None where there is no source of it."""
    if not target.ksrc or not (target.ksrc / name).exists():
        return None
    tree = target.ksrc.resolve()
    source = tree / name
    program = paths.ensure(paths.BUILD / "selftests" / "upstream" / target.name) / source.stem
    buildroot.ensure(*(["run"] if target.arch.native else ["run", target.arch.name]))
    with paths.lock("selftests"):
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            new = program.with_suffix(".new")
            code, text = buildroot.output([target.arch.tool("gcc-14"), "-O2", "-w", "-static", f"-I{tree}/tools/testing/selftests",
                                           "-o", new, source, "-lpthread"], binds=[tree])
            if code:
                raise errors.Problem(f"{name} of {target.name} does not build:\n{text.rstrip()}")
            new.rename(program)
    return program


def tests_of(install: pathlib.Path, name: str) -> list[str]:
    """The names of a script's tests, in its order."""
    script = EVERY[name]
    if script.only:	# a name for some tests of another
        return list(script.only)
    text = (install / f"{script.file}.sh").read_text()
    return " ".join(re.findall(r'^TESTS="(?:\$TESTS )?([^"]*)"', text, re.MULTILINE)).split()


def chosen(only: str | None, install: pathlib.Path) -> dict[str, list[str] | None]:
    """{script: names of tests, or None for all} of --only's words: SCRIPT, SCRIPT:TEST, or TEST where there is one."""
    if not (only or "").split():
        return dict.fromkeys(SCRIPTS)
    found: dict[str, list[str] | None] = {}
    for word in (only or "").split():
        script, colon, test = word.partition(":")
        if script in EVERY and not colon:
            found[script] = None
            continue
        having = [name for name in EVERY if (not colon or name == script)
                  and (test if colon else word) in tests_of(install, name)]
        if not having:
            raise errors.Problem(f"no test '{word}'; there are: " + "; ".join(
                f"{name}: {' '.join(tests_of(install, name))}" for name in EVERY), errors.USAGE)
        for name in having:
            tests = found.setdefault(name, [])
            if tests is not None:
                tests.append(test if colon else word)
    return found


def expected(change: str, target: str) -> str:
    """The verdict that a change has to get on a target; "" where nothing is known of it."""
    found = changes.load().get(change)
    return found.expected(target) if found else ""


def _environment(script: Script, name: str) -> dict[str, str]:
    """What a script finds in its environment. @name: of the target."""
    found = {**script.environment}
    if script.only:
        found["ONLY"] = " ".join(script.only)
    if script.excused:
        found["EXCUSED"] = script.excused	# for the script, and for what reads its log afterwards
    verdict = expected(script.change, name)
    return found | ({"EXPECT": verdict} if verdict else {})


def boot(target: kernels.Target, kos: list[pathlib.Path], install: pathlib.Path, name: str, *, form: str = "short",
         smp: int = 2, env: dict[str, str] | None = None, like: str | None = None, timeout: float = 900,
         **how: Any) -> Found:
    """What a script found in one guest of the target.

    @like: the target whose verdicts this kernel gets (its own name)
    @how: more for guest.boot()
    """
    script = EVERY[name]
    kos = [*kos, *safetytries.build(target)] if script.tries else kos
    kos = kmod.stripped(kos) if script.stripped else kos
    how["append"] = f"{how.get('append', '')} {script.append}".strip()
    files: dict[str, pathlib.Path] = {"/selftests": install}
    program = upstream_test(target, script.upstream) if script.upstream else None
    if program:
        files[f"/selftests/{program.name}"] = program
    if script.packages:
        buildroot.ensure(script.packages)
    kernel = cast(guest.Kernel, target)
    modules = (*script.modules, *(verify.carried(kernel, script.if_there) if script.if_there else ()))
    result = guest.boot(kernel, f"exec /selftests/{script.file}.sh {form if script.form else ''}", files=files, kos=kos,
                        modules=modules, programs=script.programs, mem=script.mem, smp=smp,
                        env=_environment(script, like or target.name) | (env or {}), timeout=timeout,
                        name=f"{target.name}-{name}", quiet=True, excused=script.excused or None, **how)
    return verify.judge(result, smp, livepatch=script.livepatch, warned=bool(script.excused))


def run(name: str, install: pathlib.Path, script: str, *, form: str = "short", smp: int = 2,
        only: list[str] | None = None) -> Found:
    """What a script found on a target, with counts of every result at the bottom of the KTAP."""
    return run_on(fetch.fetch(name), install, script, form=form, smp=smp, only=only)


def run_on(target: kernels.Target, install: pathlib.Path, name: str, *, form: str = "short", smp: int = 2,
           env: dict[str, str] | None = None, only: list[str] | None = None, append: str = "", slow: int = 1,
           like: str | None = None) -> Found:
    """The same on a Target.

    @append: words for the kernel's command line
    @slow: so many times slower than a stock kernel; emulated on one thread then, where nothing is the emulator's fault
    @like: the target whose verdicts this kernel gets (its own name)
    """
    layouts = EVERY[name].layouts
    where = "several layouts of CPUs" if layouts else f"{smp} CPUs"
    with console.doing(f"selftests of {name} on {target.release}, {where}") as doing:
        if layouts:
            test = importlib.import_module(f".{layouts}", __package__).layouts_test
            found: Found = test(target, install, form=form, env=env, only=only, append=append, slow=slow)
        else:
            environment = (env or {}) | ({"ONLY": " ".join(only)} if only else {})
            found = boot(target, list(kmod.build(target).values()), install, name, form=form, smp=smp, env=environment,
                         like=like, timeout=(900 if form == "short" else 3600) * slow, append=append,
                         thread="single" if slow > 1 else None)
        doing.result = found["summary"]
    return found


_KINDS = ("passed", "failed", "skipped")


def _one(name: str, install: pathlib.Path, script: str, args: argparse.Namespace, only: list[str] | None) -> Found:
    """What one script found on one target, and a line about it."""
    parallel.check()
    try:
        found = run(name, install, script, form=args.form, smp=args.smp, only=only)
    except errors.Skip as reason:
        found = {"ok": True, "skipped": str(reason), "problems": [], "counts": {}}
    except errors.Problem as problem:
        parallel.check()		# it was ended, and is no failure
        found = {"ok": False, "skipped": None, "problems": [str(problem)], "counts": {}}
    counts = found["counts"]
    row = {"passed": counts.get("pass", 0), "failed": counts.get("fail", 0),
           "skipped": counts.get("skip", 0) + bool(found["skipped"])}
    if not found["ok"] and not row["failed"]:
        row["failed"] = 1	# no test failed, and still something is wrong: a splat, a short stream
    for line in found["problems"]:
        print(f"FAIL {name} {script}: {line}", flush=True)
    why = f" ({found['skipped']})" if found["skipped"] else ""
    print(f"{name} {script}: " + ", ".join(f"{row[kind]} {kind}" for kind in _KINDS) + why, flush=True)
    return found | row


def _target(name: str, install: pathlib.Path, args: argparse.Namespace,
            scripts: dict[str, list[str] | None]) -> dict[str, Found]:
    """{script: what it found} on one target, one script after the other."""
    return {script: _one(name, install, script, args, only) for script, only in scripts.items()}


def _selftests(args: argparse.Namespace) -> int:
    names = args.targets or list(targets.TABLE)
    for name in names:
        targets.spec(name)
    buildroot.need_root()
    scripts = chosen(args.only, paths.TOP / "selftests")
    if args.json:
        paths.writable(pathlib.Path(args.json))
    # Built once: what is copied into one guest must not be installed anew for another at the same time.
    installed = {arch: testprograms.build(arch) for arch in {targets.spec(name).arch for name in names}}
    total = dict.fromkeys(_KINDS, 0)

    def ended(name: str, rows: dict[str, Found]) -> None:
        row = {kind: sum(found[kind] for found in rows.values()) for kind in _KINDS}
        print(f"selftests {name}: " + ", ".join(f"{row[kind]} {kind}" for kind in _KINDS), flush=True)
        total.update({kind: total[kind] + row[kind] for kind in _KINDS})

    report = parallel.run({name: functools.partial(_target, name, installed[targets.spec(name).arch], args, scripts) for name in names}, args.jobs,
                         ended)
    if args.json:
        paths.write(args.json, json.dumps(report, indent=1) + "\n")
    print("selftests: " + ", ".join(f"{total[kind]} {kind}" for kind in _KINDS), flush=True)
    if total["failed"]:
        return errors.FAIL
    return errors.OK if total["passed"] else errors.SKIP


def register(commands: Any) -> None:
    """Add `uplift lab selftests`."""
    parser = commands.add_parser("selftests", help="run selftests/ on stock kernels, in guests",
                                 description="Run selftests/ on stock kernels, in guests.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all when none is named")
    parser.add_argument("--form", choices=("short", "long"), default="short", help="how long (default: short)")
    parser.add_argument("--smp", type=guest.vcpus, default=min(os.cpu_count() or 1, 4), metavar="N",
                        help="CPUs of the guest, where a script has no layouts of its own")
    parallel.add_option(parser)
    parser.add_argument("--only", metavar="NAMES",
                        help=f"of these, blanks between: SCRIPT ({' '.join(SCRIPTS)}), SCRIPT:TEST, TEST")
    parser.add_argument("--json", metavar="FILE", help="write what was found there")
    parser.set_defaults(func=_selftests)
