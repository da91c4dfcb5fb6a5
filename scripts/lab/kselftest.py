# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab selftests`: selftests/ on stock kernels, in guests."""

import json
import os
import re

from . import buildroot, fetch, fslist, guest, kmod, llc, paths, say, sched, selftests, targets

# What a guest needs to run a script of selftests/, beside the modules and selftests/ itself.
SCRIPTS = {
    "fslist": {},
    "llc": {},
    "land": {},
    "abi": {},
    "lockdown": {"env": {"LOCKDOWN": "1"}},
    "epoll": {},
    "backports": {},
    "iomap": {"modules": ["brd", "ext4", "xfs"], "mem": "2G",
              "programs": ["/usr/bin/fio", "/usr/sbin/mkfs.xfs", "/usr/sbin/mkfs.ext4"]},
}

UPSTREAM = "tools/testing/selftests/filesystems/epoll/epoll_wakeup_test.c"


def upstream_test(target):
    """The kernel's own epoll_wakeup_test, built as it is in the target's source; None where there is no source."""
    if not target.ksrc or not (target.ksrc / UPSTREAM).exists():
        return None
    tree = target.ksrc.resolve()
    source = tree / UPSTREAM
    program = paths.ensure(paths.BUILD / "selftests" / "upstream" / target.name) / "epoll_wakeup_test"
    with paths.lock("selftests"):
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            new = program.with_suffix(".new")
            code, text = buildroot.output(["gcc-14", "-O2", "-w", "-static", f"-I{tree}/tools/testing/selftests",
                                           "-o", new, source, "-lpthread"], binds=[tree])
            if code:
                raise say.Problem(f"{UPSTREAM} of {target.name} does not build:\n{text.rstrip()}")
            new.rename(program)
    return program


def tests_of(install, script):
    """The names of a script's tests, in its order."""
    text = (install / f"{script}.sh").read_text()
    return " ".join(re.findall(r'^TESTS="(?:\$TESTS )?([^"]*)"', text, re.MULTILINE)).split()


def chosen(only, install):
    """{script: names of tests, or None for all} of --only's words: SCRIPT, SCRIPT:TEST, or TEST where there is one."""
    if not only:
        return dict.fromkeys(SCRIPTS)
    found = {}
    for word in only.split():
        script, colon, test = word.partition(":")
        if script in SCRIPTS and not colon:
            found[script] = None
            continue
        having = [name for name in SCRIPTS if (not colon or name == script)
                  and (test if colon else word) in tests_of(install, name)]
        if not having:
            raise say.Problem(f"no test '{word}'; there are: " + "; ".join(
                f"{name}: {' '.join(tests_of(install, name))}" for name in SCRIPTS), say.USAGE)
        for name in having:
            if found.get(name, ()) is not None:
                found.setdefault(name, []).append(test if colon else word)
    return found


def boot(target, kos, install, script, *, form="short", smp=2, env=None, accel=None, timeout=900):
    """What a script other than fslist's found in a guest of the target."""
    needs = SCRIPTS[script]
    files = {"/selftests": install}
    program = upstream_test(target) if script == "epoll" else None
    if program:
        files["/selftests/epoll_wakeup_test"] = program
    needs = {key: value for key, value in needs.items() if key != "env"}
    env = SCRIPTS[script].get("env", {}) | (env or {})
    if "programs" in needs:
        buildroot.ensure("io")
    result = guest.boot(target, f"exec /selftests/{script}.sh {form}", files=files, kos=kos, smp=smp, env=env,
                        accel=accel, timeout=timeout, name=f"{target.name}-{script}", quiet=True, **needs)
    return fslist.judge(result, smp, livepatch=script == "iomap")


def run(name, form="short", smp=2, env=None, script="fslist", only=None):
    """What a script found on a target, with counts of every result at the bottom of the KTAP."""
    target = fetch.fetch(name)
    kos = list(kmod.build(target).values())
    install = selftests.build()
    environment = (env or {}) | ({"ONLY": " ".join(only)} if only else {})
    timeout = 900 if form == "short" else 3600
    where = "several layouts of CPUs" if script in ("llc", "land") else f"{smp} CPUs"
    with say.doing(f"selftests of {script} on {target.release}, {where}") as doing:
        if script == "fslist":
            environment = {"EXPECT": targets.TABLE[name].expect, "PERMANENT": "1"} | environment
            found = fslist.correctness(target, kos, install, smp=smp, env=environment, form=form, timeout=timeout)
        elif script == "llc":
            found = llc.layouts_test(target, kos, install, form=form, env=env, only=only)
        elif script == "land":
            found = sched.layouts_test(target, install, form=form, env=env, only=only)
        else:
            found = boot(target, kos, install, script, form=form, smp=smp, env=environment, timeout=timeout)
        doing.result = found["summary"]
    return found


_KINDS = ("passed", "failed", "skipped")


def _one(name, script, args, only):
    """What one script found on one target, and a line about it."""
    try:
        found = run(name, args.form, args.smp, script=script, only=only)
    except say.Skip as reason:
        found = {"ok": True, "skipped": str(reason), "problems": [], "counts": {}}
    except say.Problem as problem:
        found = {"ok": False, "skipped": None, "problems": [str(problem)], "counts": {}}
    counts = found["counts"]
    row = {"passed": counts.get("pass", 0), "failed": counts.get("fail", 0),
           "skipped": counts.get("skip", 0) + bool(found["skipped"])}
    if not found["ok"] and not row["failed"]:
        row["failed"] = 1	# no test failed, and still something is wrong: a splat, a short stream
    for problem in found["problems"]:
        print(f"FAIL {name} {script}: {problem}", flush=True)
    why = f" ({found['skipped']})" if found["skipped"] else ""
    print(f"{name} {script}: " + ", ".join(f"{row[kind]} {kind}" for kind in _KINDS) + why, flush=True)
    return found | row


def _selftests(args):
    names = args.targets or list(targets.TABLE)
    for name in names:
        targets.spec(name)
    scripts = chosen(args.only, selftests.build())
    report = {}
    total = dict.fromkeys(_KINDS, 0)
    for name in names:
        rows = report[name] = {script: _one(name, script, args, scripts[script]) for script in scripts}
        row = {kind: sum(found[kind] for found in rows.values()) for kind in _KINDS}
        print(f"selftests {name}: " + ", ".join(f"{row[kind]} {kind}" for kind in _KINDS), flush=True)
        total = {kind: total[kind] + row[kind] for kind in _KINDS}
    if args.json:
        paths.write(args.json, json.dumps(report, indent=1) + "\n")
    if total["failed"]:
        return say.FAIL
    return say.OK if total["passed"] else say.SKIP


def register(commands):
    """Add `uplift lab selftests`."""
    parser = commands.add_parser("selftests", help="run selftests/ on stock kernels, in guests",
                                 description="Run selftests/ on stock kernels, in guests.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all when none is named")
    parser.add_argument("--form", choices=("short", "long"), default="short", help="how long (default: short)")
    parser.add_argument("--smp", type=int, default=min(os.cpu_count() or 1, 4), metavar="N", help="CPUs of the guest (llc has layouts)")
    parser.add_argument("--only", metavar="NAMES",
                        help=f"of these, blanks between: SCRIPT ({' '.join(SCRIPTS)}), SCRIPT:TEST, TEST")
    parser.add_argument("--json", metavar="FILE", help="write what was found there")
    parser.set_defaults(func=_selftests)
