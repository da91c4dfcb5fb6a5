# SPDX-License-Identifier: GPL-2.0-only
"""uplift_land in guests: its tests in several layouts, and schedulers compared."""

import argparse
import functools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..base import console, errors, targets
from ..scheduler import tables
from . import buildroot, fetch, guest, hostcommands, kernels, schedprograms, testprograms, verify

# selftests/land.sh, in guests of 1, 2 and 4 caches, and of one CPU: (topology, vCPUs). A guest has a clock of its own
# instructions in the long form, where how long tasks wait is checked; the short form has one of two caches that has not,
# where turns end at any moment, and once more those tests that are about waiting. vCPUs take turns in all of them: of
# eight threads on a busy host one may not be run for seconds, and the watchdog takes that for the scheduler's fault.

LAYOUTS = {"llc2": ("llc2", 8), "llc1": ("llc1", 4), "llc4": ("llc4", 16), "smt": ("smt", 8), "one": ("llc1", 1)}
WAITING = ("load", "gathers", "storm", "bound", "fifo", "shares", "groups", "limits", "masked", "kernel_threads", "kernel_log")


def layout_test(target: kernels.Target, install: pathlib.Path, layout: str, form: str, env: dict[str, str] | None,
                only: list[str] | None, *, clock: bool = False, append: str = "", slow: int = 1) -> dict[str, Any]:
    """What land.sh found in a guest of a layout. @clock: the guest's is its instructions."""
    files, (topology, cpus) = schedprograms.carried(schedprograms.build(target)) | {"/selftests": install}, LAYOUTS[layout]
    environment = (env or {}) | ({"ONLY": " ".join(only)} if only else {}) | ({"REPEATABLE": "1"} if clock else {})
    result = guest.boot(cast(guest.Kernel, target), f"exec /selftests/land.sh {form}", files=files, topology=topology, smp=cpus,
                        env=environment, repeatable=clock, thread=None if clock else "single", append=append,
                        timeout=(900 if form == "short" else 3600) * slow, quiet=True,
                        name=f"{target.name}-land-{layout}" + "-clock" * clock)
    return verify.judge(result, cpus)


# `uplift sched` itself, typed in a guest that has Python.
COMMANDS = r"""
set -e
$UPLIFT sched load --yes -- --tolerance=3 --stall-ms=20000
$UPLIFT sched show
! $UPLIFT sched load --yes
/selftests/sched_load -t 600000 2x4 >/out/load &
load=$!
$UPLIFT sched trace /out/trace.json --seconds 0.5
kill $load
! wait $load
$UPLIFT sched show --json >/out/show.json
$UPLIFT sched unload
[ "$(cat /sys/kernel/sched_ext/state)" = disabled ]
! $UPLIFT sched show
! $UPLIFT sched unload
$UPLIFT sched compare --yes --length 100 --json 2x2 >/out/compare.json
[ "$(cat /sys/kernel/sched_ext/state)" = disabled ]
"""


def trace_problems(trace: Any) -> list[str]:
    """What of it is not Chrome's trace event format, as its document has it for the events that we write."""
    problems: list[str] = []
    named: set[object] = set()
    ends: dict[tuple[Any, Any], int] = {}
    if not isinstance(trace, dict) or not isinstance(trace.get("traceEvents"), list):
        return ["no object with a list of traceEvents"]
    if trace.get("displayTimeUnit") not in ("ms", "ns"):
        problems.append(f"displayTimeUnit is {trace.get('displayTimeUnit')!r}, not ms or ns")
    for event in trace["traceEvents"]:
        kind, where = event.get("ph"), (event.get("pid"), event.get("tid"))
        if kind == "M":
            # a process has no thread
            if event.get("name") not in ("process_name", "thread_name") or not isinstance(event["args"].get("name"), str):
                problems.append(f"metadata that is no name: {event}")
            named.add(where if event.get("name") == "thread_name" else where[0])
        elif kind == "X":
            times = event.get("ts"), event.get("dur")
            if not isinstance(event.get("name"), str) or not all(
                    isinstance(number, int) and number >= 0 for number in (*where, *times)):
                problems.append(f"a complete event lacks name, pid, tid, ts or dur: {event}")
                continue
            if times[0] < ends.get(where, 0):
                problems.append(f"two turns on one CPU at a time: {event}")
            ends[where] = sum(times)
        else:
            problems.append(f"an event of kind {kind!r}")
    problems += [f"{pid}, {tid} has no name" for pid, tid in ends if (pid, tid) not in named or pid not in named]
    return problems[:5]


def commands_test(target: kernels.Target, install: pathlib.Path) -> dict[str, Any]:
    """That `uplift sched` does what it says."""
    result = hostcommands.boot(target, [], tests=install, topology="llc2", script=COMMANDS, more=schedprograms.carried(schedprograms.build(target)),
                       thread="single", name=f"{target.name}-sched-commands")
    problems = []
    if not result.ok:
        said = result.output.read_text(errors="replace").strip().splitlines() if result.output.exists() else []
        problems = [f"uplift sched: {result.problem()}" + (f": {said[-1]}" if said else "") + f" ({result.console})"]
    else:
        trace = json.loads((result.outdir / "trace.json").read_text())
        problems += [f"uplift sched trace: {problem}" for problem in trace_problems(trace)]
        shown = tables.checked(json.loads((result.outdir / "show.json").read_text()), "show")
        arms = {sample["arm"] for sample in json.loads((result.outdir / "compare.json").read_text())}
        if not any(event["ph"] == "X" and event["name"].startswith("sched_load") for event in trace["traceEvents"]):
            problems.append("uplift sched trace: the load is not in it")
        if len(shown["domains"]) != 2 or not sum(domain["runs"] for domain in shown["domains"]):
            problems.append("uplift sched show: not two domains in which something ran")
        if not {"eevdf", "land"} <= arms:
            problems.append(f"uplift sched compare: only {' '.join(arms)}")
    return {"ok": not problems, "skipped": None, "problems": problems,
            "counts": {"pass": int(not problems), "fail": int(bool(problems))}}


def layouts_test(target: kernels.Target, install: pathlib.Path, *, form: str = "short", env: dict[str, str] | None = None,
                 only: list[str] | None = None, append: str = "", slow: int = 1) -> dict[str, Any]:
    """land.sh in the layouts: one report of all, with a problem's layout in front of it."""
    schedprograms.supported(target)
    test = functools.partial(layout_test, target, install, form=form, env=env, append=append, slow=slow)
    if form == "long":
        rows = {layout: test(layout, only=only, clock=True) for layout in LAYOUTS}
    else:
        waiting = [name for name in WAITING if not only or name in only]
        rows = {"llc2": test("llc2", only=only)}
        if waiting:
            rows["llc2, clock"] = test("llc2", only=waiting, clock=True)
    if form == "long" and not only:
        rows["commands"] = commands_test(target, install)
    return verify.of_layouts(rows)


# Schedulers side by side, in a guest whose clock is its instructions: the same every time.

COMPARE = r"""
scx=/sys/kernel/sched_ext
cas=/sys/kernel/debug/sched/llc_balancing
load()
{
	for load in @LOADS@; do
		/selftests/sched_load -t @LENGTH@ $load >/out/$1.$load || exit
	done
}
up()
{
	for i in $(seq 600); do
		[ "$(cat $scx/state)" = enabled ] && return
		kill -0 $1 2>/dev/null || break
		sleep 0.1
	done
	cat /out/$2.said
	exit 1
}
scheduler()
{
	/sched/uplift_land --status /out/$1.status --gaps $2 >/out/$1.said 2>&1 &
	daemon=$!
	up $daemon $1
	load $1
	sleep 0.6
	kill $daemon
	wait $daemon || { cat /out/$1.said; exit 1; }
}
[ ! -e $cas ] || echo 0 >$cas/enabled || exit
for arm in @ARMS@; do
	case $arm in
	eevdf)	load eevdf ;;
	cas)	echo 1 >$cas/enabled && echo @TOLERANCE@ >$cas/aggr_tolerance || exit
		load cas
		echo 0 >$cas/enabled ;;
	land)	scheduler land "--tolerance @TOLERANCE@" ;;
	naive)	scheduler naive --naive ;;
	esac
done
[ "$(cat $scx/state)" = disabled ]
"""


def compare(target: kernels.Target, install: pathlib.Path, loads: Sequence[str], arms: Sequence[str], *, length: int = 500,
            topology: str = "llc4", tolerance: int = 1,
            timeout: float = 580) -> tuple[list[dict[str, Any]], dict[str, tables.Status]]:
    """([{"arm", "load", ...} of sched_load], {arm: status of uplift_land}) of a guest."""
    script = COMPARE
    for key, value in (("LOADS", " ".join(loads)), ("ARMS", " ".join(arms)), ("LENGTH", length),
                       ("TOLERANCE", tolerance)):
        script = script.replace(f"@{key}@", str(value))
    result = guest.boot(target, script, files=schedprograms.carried(schedprograms.build(target)) | {"/selftests": install}, topology=topology,
                        repeatable=True, timeout=timeout, name=f"{target.name}-sched", quiet=True)
    if not result.ok:
        said = result.output.read_text(errors="replace").strip().splitlines() if result.output.exists() else []
        raise errors.Problem(f"comparing on {target.name} failed: {result.problem()}"
                          + (f": {said[-1]}" if said else "") + f" ({result.console})")
    samples = [{"arm": arm} | json.loads((result.outdir / f"{arm}.{load}").read_text())
               for arm in arms for load in loads]
    return samples, {arm: tables.checked(json.loads((result.outdir / f"{arm}.status").read_text()), arm)
                     for arm in arms if (result.outdir / f"{arm}.status").exists()}


def gaps(states: Mapping[str, tables.Status]) -> str:
    """A line about the time that CPUs were idle while tasks were ready: those that went up to user space, and all."""
    return "".join(f"{tables.ARMS.get(arm, arm)}: CPUs idle while tasks waited that went up: {state['gap_ns']:,} "
                   f"instructions, any task: {state['gap_any_ns']:,}; {state['stats']['passed_up']:,} tasks passed up, "
                   f"{state['stats']['wakes']:,} wakeups\n" for arm, state in states.items())


def _sched(args: argparse.Namespace) -> int:
    names = args.targets or list(targets.use("schedulers"))
    for name in names:
        targets.spec(name)
    loads = args.loads.split() if args.loads else list(tables.LOADS)
    guest.topology_args(args.topology)
    if args.length < 50 or not 0 <= args.tolerance <= 100:
        raise errors.Problem("--length 50 at least, --tolerance 0 to 100", errors.USAGE)
    buildroot.ensure("sched")
    report, done = {}, 0
    for name in names:
        try:
            target = fetch.fetch(name)
            schedprograms.supported(target)
            arms = ["eevdf"] + ["cas"] * (kernels.config_of(target).get("CONFIG_SCHED_CACHE") == "y") + ["land"]
            arms += ["naive"] * args.naive
            install = testprograms.build()
            with console.doing(f"comparing schedulers on {target.release}"):
                samples, states = compare(target, install, loads, arms, length=args.length, topology=args.topology,
                                          tolerance=args.tolerance, timeout=args.timeout)
        except errors.Skip as reason:
            console.warn(f"skipped: {reason}")
            continue
        done += 1
        report[name] = {"samples": samples, "states": states}
        if not args.json:
            print(f"{target.release}, {guest.TOPOLOGIES[args.topology].about}:")
            print(tables.comparison(samples, "instructions") + gaps(states), end="")
    if args.json:
        print(json.dumps(report, indent=1))
    return errors.OK if done else errors.SKIP


def register(commands: Any) -> None:
    """Add `uplift lab sched`."""
    parser = commands.add_parser(
        "sched", help="uplift_land, EEVDF and cache-aware scheduling in guests: where loads run",
        description="Run the loads of `uplift sched compare` in guests whose clock is their instructions, under each "
                    "scheduler: where they ran, how much they did, and how long tasks waited. The same every time.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="of those with sched_ext; default: " + " ".join(targets.use("schedulers")))
    parser.add_argument("--loads", metavar="LOADS", help="blanks between; default: " + " ".join(tables.LOADS))
    parser.add_argument("--length", type=int, default=500, metavar="MS", help="of a load, in the guest's time (500)")
    parser.add_argument("--topology", default="llc4", metavar="NAME", help="of the guest (llc4)")
    parser.add_argument("--tolerance", type=int, default=1, metavar="N", help="aggr_tolerance (1)")
    parser.add_argument("--naive", action="store_true",
                        help="also with a round trip to user space for every task, to see what avoiding it is worth")
    parser.add_argument("--timeout", type=float, default=3600, metavar="SECONDS", help="of a guest (3600)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(func=_sched)
