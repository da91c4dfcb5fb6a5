# SPDX-License-Identifier: GPL-2.0-only
"""`make run`: evaluate one stock kernel, from nothing to a report."""

import concurrent.futures
import json
import os
import re
import sys
import time


from ..base import console, errors, parallel, paths, targets
from ..report import dossier, record
from . import buildroot, caches, commands, guest, kernels, kmod, proclist, redirects, testprograms
import report	# noqa: E402

# What of a kernel's configuration decides whether and how the modules work, and what a read costs.
CONFIG = ("CONFIG_KPROBES", "CONFIG_KALLSYMS_ALL", "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
          "CONFIG_DYNAMIC_FTRACE_WITH_JMP", "CONFIG_LIVEPATCH", "CONFIG_DEBUG_INFO_BTF", "CONFIG_PREEMPT_RCU",
          "CONFIG_PREEMPT_DYNAMIC", "CONFIG_PREEMPT_LAZY", "CONFIG_HARDENED_USERCOPY", "CONFIG_X86_KERNEL_IBT",
          "CONFIG_MITIGATION_RETPOLINE", "CONFIG_RETPOLINE", "CONFIG_INIT_ON_ALLOC_DEFAULT_ON", "CONFIG_MEMCG")

# The correctness guest: enough to see a fault, few enough to wait for; `make selftests` has all of it. Left out are the
# tests of the control arm, which are the longest, and the one that wants a machine of its own.
SHORT = {"CHANGES": "20", "CYCLES": "2"}
LEFT_OUT = {"read_uncached", "list_changes_uncached", "permanent"}

def evaluate(target, accel=None):
    """The report's data for one target."""
    started = time.monotonic()
    kos = list(kmod.build(target).values())
    tests = testprograms.build()
    guest.emulated(target, accel)	# tries KVM if it has to, before the guests run at once
    buildroot.ensure("io")
    with console.doing(f"evaluating {target.release} in guests (correctness, instruction counts)"):
        correct, measured, equal, same, counted, shown = _all(target, kos, tests, accel)
    data = {
        "format": report.FORMAT, "change": "fslist", "created": record.now(),
        "target": {"name": target.name, "release": target.release, "version": target.version,
                   "kernel": measured["kernel"], "config": _config(target), "provenance": target.provenance},
        "verdict": measured.pop("verdict"), "correctness": correct, "measurement": measured,
        "reproduce": f"make run TARGET={target.name}" if target.name in targets.TABLE
        else "scripts/uplift lab evaluate --kernel BZIMAGE --modules DIR --kdir DIR",
        "sections": [*redirects.sections(counted, equal), caches.section(shown),
                     *redirects.of_backports(counted, same)],
        "ok": all(found["ok"] for found in (correct, equal, same, shown["correctness"]) if found),
    }
    data["seconds"] = round(time.monotonic() - started, 1)
    return data


def _all(target, kos, tests, accel):
    """All guests, as many at once as there are CPUs: a loaded host slows instruction counting down, but cannot change a
    count; more of them, and a guest of several CPUs stalls for so long that its kernel complains."""
    progress = console.Progress("guests")
    names = ("correctness", "counting", "epoll", "backports", "arms", "caches")
    state = dict.fromkeys(names, "to come")

    def watch_correctness(line):
        result = re.match(r"(?:not )?ok (\d+) (?:- )?(\S+)", line)
        plan = re.match(r"1\.\.(\d+)", line)
        if plan:
            state["of"] = plan[1]
        if result:
            state["correctness"] = f"{result[1]} of {state.get('of', '?')} ({result[2]})"
        if line.startswith("not ok"):
            console.note(f"correctness: {line.strip()}")
        shown()

    def watch_counting(line):
        if line.startswith(guest.UP):
            state["counting"] = "under way"
        shown()

    def shown():
        progress.show(", ".join(f"{key} {state[key]}" for key in state if key != "of"))

    with parallel.pool(min(max(os.cpu_count() or 1, 2), 5)) as pool:
        jobs = [pool.submit(proclist.correctness, target, kos, tests, smp=2, env=_short(tests), accel=accel,
                            echo=watch_correctness),
                pool.submit(proclist.measure, target, kos, tests, echo=watch_counting),
                pool.submit(redirects.correctness, target, kos, tests, accel),
                pool.submit(redirects.backports, target, kos, tests, accel),
                pool.submit(redirects.evaluate, target, kos, tests),
                pool.submit(caches.evaluate, target, kos, tests, accel)]
        left = dict(zip(jobs, names))
        while left:
            for job, name in left.items():
                if job.running() and state[name] == "to come":
                    state[name] = "under way"
            done, _ = concurrent.futures.wait(left, timeout=1, return_when=concurrent.futures.FIRST_COMPLETED)
            for job in done:
                job.result()	# one that failed ends the others
                state[left.pop(job)] = "done"
            shown()
        return [job.result() for job in jobs]


def _short(tests):
    """Variables for fslist.sh: what it runs by itself, without LEFT_OUT."""
    text = (tests / "fslist.sh").read_text()
    names = " ".join(re.findall(r'^TESTS="(?:\$TESTS )?([^"]*)"', text, re.MULTILINE)).split()
    if not LEFT_OUT < set(names):
        raise errors.Problem(f"fslist.sh does not have the tests that evaluating leaves out: {' '.join(sorted(LEFT_OUT))}")
    return SHORT | {"ONLY": " ".join(name for name in names if name not in LEFT_OUT)}


def _config(target):
    if not target.config:
        return {}
    values = kernels.config_of(target)
    found = {key: values.get(key, "n") for key in CONFIG}
    # the name changed in 6.9
    del found["CONFIG_RETPOLINE" if "CONFIG_MITIGATION_RETPOLINE" in values else "CONFIG_MITIGATION_RETPOLINE"]
    return found


def _evaluate(args):
    if args.target:
        targets.evaluated(args.target)
    commands.check(args)
    buildroot.ensure()
    if not (args.target or args.kernel):
        console.note(f"no TARGET given: taking {' or else '.join(targets.use('run')[:2])}")
    target = commands.chosen(args)
    console.note(f"target {target.name}: {target.release}")
    data = evaluate(target, args.accel)
    text = report.render(data)
    where = paths.ensure(paths.REPORT)
    paths.write(where / f"{target.release}.json", json.dumps(data, indent=1) + "\n")
    paths.write(where / f"{target.release}.txt", text)
    paths.write(where / f"{target.release}.html", dossier.page(record.check(data)))
    if args.json:
        print(json.dumps(data, indent=1))
    else:
        sys.stdout.write(text)
    console.note(f"this report: {where / target.release}.txt, .html and .json; for a list or KernelCI: "
             "scripts/uplift report")
    return errors.OK if data["ok"] else errors.FAIL


def register(commands_parser):
    """Add `uplift lab evaluate`."""
    parser = commands_parser.add_parser("evaluate", help="evaluate a kernel in guests: what `make run` does",
                                        description="Evaluate one stock kernel in guests and write a report. "
                                                    "Status 1: a correctness test failed; 4: no target to be had.")
    commands.add_kernel_options(parser)
    parser.add_argument("--accel", choices=("auto", "kvm", "tcg"), help="for the correctness guest (auto)")
    parser.add_argument("--json", action="store_true", help="print the data, not the text")
    parser.set_defaults(func=_evaluate)
