# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab selftests`: selftests/ on stock kernels, in guests."""

import functools
import json
import os
import pathlib
import re

from ..base import changes, console, errors, parallel, paths, targets
from . import buildroot, fetch, guest, kmod, prediction, schedulers, testprograms, verify

# What a guest needs to run a script of selftests/, beside the modules and selftests/ itself.
_IOMAP = {"modules": ["brd", "ext4", "xfs"], "mem": "2G",
          "programs": ["/usr/bin/fio", "/usr/sbin/mkfs.xfs", "/usr/sbin/mkfs.ext4"]}
SCRIPTS = {
    "fslist": {},
    "llc": {},
    "land": {},
    "abi": {},
    "lockdown": {"env": {"LOCKDOWN": "1"}},
    "refusals": {},
    "privilege": {},
    "fuzz": {},
    "epoll": {},
    "backports": {},
    "iomap": _IOMAP,
}
# Patterns of reports that are not held against us, as Python and awk have them.
# What the kernel itself says when memory fails it. Its own code that cannot arm a probe warns, and goes on without.
_NO_MEMORY = "vmalloc error: size|page allocation failure: order|Failed to arm kprobe-ftrace at .* [(]error -12[)]"
# 6.18's dl_server_timer() waits for the lock of the run queue, whose holder may start that timer meanwhile, and then
# forwards it; seen once in hours, on a host whose CPUs were all taken.
_DL_SERVER = "WARNING: .* at kernel/time/hrtimer[.]c:[0-9]+ hrtimer_forward"
CYCLED = ("core", "llc", "fslist", "epoll", "pipepoll", "iomap")	# modules that load and unload 10,000 times
# Those that are run when they are named only.
NAMED = {
    "refusals_no_debugfs": {"script": "refusals", "append": "debugfs=off",
                            "env": {"DEBUGFS": "off", "ONLY": "no_debugfs kernel_log"}},
    "refusals_no_mount": {"script": "refusals", "append": "debugfs=no-mount",
                          "env": {"DEBUGFS": "no-mount", "ONLY": "no_debugfs kernel_log"}},
    "fail": {"stripped": True, "mem": "2G", "excused": _NO_MEMORY, "env": {"TORTURE": "1"}},
    # Waiting for grace periods is most of a cycle, and of a switch.
    **{f"cycles_{module}": {"script": "cycles", "stripped": True, "arguments": True,
                            "append": "rcupdate.rcu_expedited=1", "env": {"ONLY": f"{module} unloaded kernel_log"}}
       for module in CYCLED},
    "switches": {"script": "cycles", "stripped": True, "arguments": True,
                 "env": {"ONLY": "switches unloaded kernel_log"}},
    "switches_iomap": _IOMAP | {"script": "iomap", "arguments": True, "append": "rcupdate.rcu_expedited=1",
                                "excused": _DL_SERVER,
                                "env": {"ONLY": "switch_xfs unloaded kernel_log", "SWITCHES": "10000"}},
    "storm": {"env": {"TORTURE": "1"}, "modules": ["brd", "ext4", "xfs", "minix", "bfs", "adfs", "qnx4"], "mem": "3G",
              "programs": ["/usr/bin/fio", "/usr/sbin/mkfs.xfs", "/usr/sbin/mkfs.ext4", "/usr/bin/stress-ng"]},
}
_LIVEPATCHED = ("iomap", "storm", "refusals", "fail")	# uplift_livepatch.ko, which they load, taints

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
                raise errors.Problem(f"{UPSTREAM} of {target.name} does not build:\n{text.rstrip()}")
            new.rename(program)
    return program


def tests_of(install, script):
    """The names of a script's tests, in its order."""
    needs = (SCRIPTS | NAMED)[script]
    if "ONLY" in needs.get("env", {}):	# a name for some tests of another
        return needs["env"]["ONLY"].split()
    text = (install / f"{needs.get('script', script)}.sh").read_text()
    return " ".join(re.findall(r'^TESTS="(?:\$TESTS )?([^"]*)"', text, re.MULTILINE)).split()


def chosen(only, install):
    """{script: names of tests, or None for all} of --only's words: SCRIPT, SCRIPT:TEST, or TEST where there is one."""
    if not (only or "").split():
        return dict.fromkeys(SCRIPTS)
    found = {}
    for word in only.split():
        script, colon, test = word.partition(":")
        if script in SCRIPTS | NAMED and not colon:
            found[script] = None
            continue
        having = [name for name in SCRIPTS | NAMED if (not colon or name == script)
                  and (test if colon else word) in tests_of(install, name)]
        if not having:
            raise errors.Problem(f"no test '{word}'; there are: " + "; ".join(
                f"{name}: {' '.join(tests_of(install, name))}" for name in SCRIPTS | NAMED), errors.USAGE)
        for name in having:
            if found.get(name, ()) is not None:
                found.setdefault(name, []).append(test if colon else word)
    return found


def excuses(script):
    """Are there warnings of the kernel's own that this script goes on after?"""
    return "excused" in (SCRIPTS | NAMED)[script]


def boot(target, kos, install, script, *, form="short", smp=2, env=None, accel=None, timeout=900, **how):
    """What a script other than fslist's found in a guest of the target. @how: more for guest.boot()."""
    needs = dict((SCRIPTS | NAMED)[script])
    env = needs.pop("env", {}) | (env or {})
    file = needs.pop("script", script)
    kos = kmod.stripped(kos) if needs.pop("stripped", False) else kos
    how["append"] = f"{how.get('append', '')} {needs.pop('append', '')}".strip()
    arguments = form if script in SCRIPTS or needs.pop("arguments", False) else ""
    files = {"/selftests": install}
    program = upstream_test(target) if script == "epoll" else None
    if program:
        files["/selftests/epoll_wakeup_test"] = program
    if "programs" in needs:
        buildroot.ensure("test" if script == "storm" else "io")
    excused = needs.get("excused")
    if excused:
        env = {"EXCUSED": excused} | env	# for the script, and for what reads its log below
    result = guest.boot(target, f"exec /selftests/{file}.sh {arguments}", files=files, kos=kos, smp=smp, env=env,
                        accel=accel, timeout=timeout, name=f"{target.name}-{script}", quiet=True, **needs, **how)
    return verify.judge(result, smp, livepatch=script in _LIVEPATCHED, warned=bool(excused))


def expected(name):
    """The verdict about the filesystem list on a target; "" where nothing is known of it."""
    return changes.load()["fslist"].expect.get(name, "")


def run(name, install, form="short", smp=2, env=None, script="fslist", only=None):
    """What a script found on a target, with counts of every result at the bottom of the KTAP."""
    return run_on(fetch.fetch(name), install, expected(name), form, smp, env, script, only)


def run_on(target, install, expect, form="short", smp=2, env=None, script="fslist", only=None, append="", slow=1):
    """The same on a Target.

    @expect: the verdict about the filesystem list
    @append: words for the kernel's command line
    @slow: so many times slower than a stock kernel; emulated on one thread then, where nothing is the emulator's fault
    """
    # uplift_land is no module, and wants none
    kos = list(kmod.build(target).values()) if script != "land" else []
    environment = (env or {}) | ({"ONLY": " ".join(only)} if only else {})
    timeout = (900 if form == "short" else 3600) * slow
    how = {"append": append, "thread": "single" if slow > 1 else None}
    where = "several layouts of CPUs" if script in ("llc", "land") else f"{smp} CPUs"
    with console.doing(f"selftests of {script} on {target.release}, {where}") as doing:
        if script == "fslist":
            environment = {"EXPECT": expect, "PERMANENT": "1"} | environment
            how["modules"] = verify.carried(target, changes.load()[script].tests().modules)
            found = boot(target, kos, install, script, form=form, smp=smp, env=environment, timeout=timeout, **how)
        elif script == "llc":
            found = prediction.layouts_test(target, kos, install, form=form, env=env, only=only, append=append, slow=slow)
        elif script == "land":
            found = schedulers.layouts_test(target, install, form=form, env=env, only=only)
        else:
            found = boot(target, kos, install, script, form=form, smp=smp, env=environment, timeout=timeout, **how)
        doing.result = found["summary"]
    return found


_KINDS = ("passed", "failed", "skipped")


def _one(name, install, script, args, only):
    """What one script found on one target, and a line about it."""
    parallel.check()
    try:
        found = run(name, install, args.form, args.smp, script=script, only=only)
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
    for problem in found["problems"]:
        print(f"FAIL {name} {script}: {problem}", flush=True)
    why = f" ({found['skipped']})" if found["skipped"] else ""
    print(f"{name} {script}: " + ", ".join(f"{row[kind]} {kind}" for kind in _KINDS) + why, flush=True)
    return found | row


def _target(name, install, args, scripts):
    """{script: what it found} on one target, one script after the other."""
    return {script: _one(name, install, script, args, only) for script, only in scripts.items()}


def _selftests(args):
    names = args.targets or list(targets.TABLE)
    for name in names:
        targets.spec(name)
    buildroot.need_root()
    scripts = chosen(args.only, paths.TOP / "selftests")
    if args.json:
        paths.writable(pathlib.Path(args.json))
    # Built once: what is copied into one guest must not be installed anew for another at the same time.
    install = testprograms.build()
    total = dict.fromkeys(_KINDS, 0)

    def ended(name, rows):
        row = {kind: sum(found[kind] for found in rows.values()) for kind in _KINDS}
        print(f"selftests {name}: " + ", ".join(f"{row[kind]} {kind}" for kind in _KINDS), flush=True)
        total.update({kind: total[kind] + row[kind] for kind in _KINDS})

    report = parallel.run({name: functools.partial(_target, name, install, args, scripts) for name in names}, args.jobs,
                         ended)
    if args.json:
        paths.write(args.json, json.dumps(report, indent=1) + "\n")
    print("selftests: " + ", ".join(f"{total[kind]} {kind}" for kind in _KINDS), flush=True)
    if total["failed"]:
        return errors.FAIL
    return errors.OK if total["passed"] else errors.SKIP


def register(commands):
    """Add `uplift lab selftests`."""
    parser = commands.add_parser("selftests", help="run selftests/ on stock kernels, in guests",
                                 description="Run selftests/ on stock kernels, in guests.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all when none is named")
    parser.add_argument("--form", choices=("short", "long"), default="short", help="how long (default: short)")
    parser.add_argument("--smp", type=guest.vcpus, default=min(os.cpu_count() or 1, 4), metavar="N",
                        help="CPUs of the guest (llc has layouts)")
    parallel.add_option(parser)
    parser.add_argument("--only", metavar="NAMES",
                        help=f"of these, blanks between: SCRIPT ({' '.join(SCRIPTS)}), SCRIPT:TEST, TEST")
    parser.add_argument("--json", metavar="FILE", help="write what was found there")
    parser.set_defaults(func=_selftests)
