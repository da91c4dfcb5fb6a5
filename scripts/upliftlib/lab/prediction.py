# SPDX-License-Identifier: GPL-2.0-only
"""The inspector in guests. Is what it predicts what the scheduler does, where that has cache-aware scheduling? And snapshots
of guests. The command has the name of the change that the inspector shows, as `uplift lab` has it."""

import argparse
import collections
import dataclasses
import functools
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..base import changes, console, errors, parallel, paths, targets
from ..inspector import about, model, sched, source
from ..kernel import log
from . import buildroot, fetch, guest, kernels, kmod, testprograms, verify

Sample = tuple[float, model.Processes]		# at which ms, and what the module said then
Switches = dict[str, dict[str, list[float]]]	# "processes" or "threads", {arm: [instructions per switch, of each round]}
NAME = changes.inspector().name
MODULE = changes.inspector().module

# A guest has no Python: it sends what the inspector's `capture` would read, and the snapshot is made of it here.
CAPTURE = r"""
cd /sys/devices/system
grep -rs "" cpu/possible cpu/present cpu/online cpu/offline cpu/isolated cpu/smt cpu/cpu[0-9]*/online \
	cpu/cpu[0-9]*/topology cpu/cpu[0-9]*/cache cpu/cpu[0-9]*/cpu_capacity node/online node/possible node/node*/cpulist \
	node/node*/distance node/node*/meminfo >/out/system
cd /
grep -rs "" sys/kernel/debug/sched/domains sys/devices/cpu_*/cpus sys/hypervisor/type >/out/more
cat /proc/schedstat >/out/schedstat
mkdir /out/root /out/root/proc
cp /proc/cpuinfo /proc/cmdline /out/root/proc/
mkdir /out/@NAME@
cp /sys/kernel/debug/uplift/@NAME@/* /out/@NAME@/ 2>/dev/null
echo "$(uname -s) $(uname -r) $(uname -v) $(uname -m)" >/out/uname
/usr/bin/lscpu -J -C >/out/lscpu.json
""".replace("@NAME@", NAME)

LOAD = f"insmod /modules/uplift.ko && insmod /modules/{MODULE}.ko || exit\n"


def snapshot(result: guest.Result, directory: pathlib.Path | str) -> None:
    """Make a snapshot of what a guest that ran CAPTURE sent."""
    out = result.outdir
    with paths.fresh_dir(pathlib.Path(directory).absolute()) as temp:
        paths.write(temp / "format", source.FORMAT + "\n")
        for name in ("uname", "lscpu.json"):
            paths.write(temp / name, (out / name).read_text())
        _sent(out / "system", temp / "sys/devices/system", source.SYSTEM, "system/")
        _sent(out / "more", temp, source.MORE, "")
        paths.write(temp / "proc/schedstat", sched.trimmed((out / "schedstat").read_text()))
        paths.write(temp / "about", about.text(about.read(out / "root")))
        names: dict[str, str] = {}
        for name in source.FILES:
            if (out / NAME / name).is_file():
                paths.write(temp / NAME / name, source.anonymous(name, (out / NAME / name).read_text(), names))


def _sent(lines: pathlib.Path, to: pathlib.Path, patterns: Iterable[str], below: str) -> None:
    """Files of a tree that came as lines "NAME:TEXT": those that a snapshot has."""
    for line in lines.read_text().splitlines():
        name, _, text = line.partition(":")
        path = to / name
        if any(path.match(below + pattern) for pattern in patterns):
            paths.write(path, source.kept(path, (path.read_text() if path.exists() else "") + text + "\n"))


def capture(target: kernels.Target, kos: Sequence[pathlib.Path], topology: str, where: pathlib.Path | str, *,
            before: str = "", smp: int | None = None, module: bool = True, append: str = "", timeout: float = 300) -> None:
    """Boot a layout, and make a snapshot of it."""
    script = (LOAD if module else "") + before + CAPTURE
    result = guest.boot(target, script, kos=kos if module else (), programs=["/usr/bin/lscpu"], smp=smp,
                        topology=topology, append=append, timeout=timeout, thread="single", quiet=True,
                        name=f"{target.name}-{NAME}-{topology}")
    if not result.ok:
        raise errors.Problem(f"capturing {topology} on {target.name} failed: {result.problem()} ({result.console})")
    snapshot(result, where)


# The change's script in every layout.

# Layout -> vCPUs (None: what it has), and whether hardware, ids and scheduler disagree there.
LAYOUTS = {
    "smt": (4, "none"), "llc4": (8, "none"), "llc1": (None, "none"), "llc2": (None, "none"),
    "uneven": (None, "none"), "nol3": (None, "none"), "numa": (None, "none"), "module": (None, "none"),
    "epyc": (None, "some"), "snc": (None, "some"),
}
# The short form boots three of them: one with SMT for all tests, one with wrong ids for what depends on the layout, and
# one in which the scheduler splits a cache.
SHORT = ("smt", "epyc", "snc")		# those of them that the machine of an architecture can have
# The long form has all tests in all layouts, with less of what does not depend on them in all but the first.
LESS = {"PROCESSES": "200", "SWITCHES": "50"}
EVERYWHERE = ["load", "domains", "lscpu", "parts", "unloaded", "kernel_log"]
AT_ONCE = 2	# guests, of one emulation thread each


def complained_by_itself(console: str) -> bool:
    """Did the kernel complain before any module of ours was there?"""
    return bool(log.complaints(console.partition("uplift: loading out-of-tree")[0]))


def layout_test(target: kernels.Target, kos: Sequence[pathlib.Path], install: pathlib.Path, layout: str, form: str,
                env: Mapping[str, str], only: Sequence[str] | None, append: str = "", slow: int = 1) -> dict[str, Any]:
    """What the script found in a guest of a layout."""
    smp, disagree = LAYOUTS[layout]
    _, cpus = guest.topology_args(layout, smp)
    topology = guest.TOPOLOGIES[layout]
    environment = {"DISAGREE": disagree, "DOMAINS": str(topology.domains), **env}
    environment |= {"ONLY": " ".join(only)} if only else {}

    def once() -> guest.Result:
        return guest.boot(target, f"exec /selftests/{NAME}.sh {form}", files={"/selftests": install}, kos=kos, smp=smp,
                          topology=layout, env=environment, programs=["/usr/bin/lscpu"], thread="single",
                          timeout=(300 if form == "short" else 1800) * slow, append=append,
                          name=f"{target.name}-{NAME}-{layout}", quiet=True)

    result = once()
    # On a busy host an emulated guest may get the speed of its clock wrong by a factor, and stall or warn then.
    if result.oops and complained_by_itself(result.console.read_text(errors="replace")):
        console.warn(f"{target.name}, {layout}: the kernel complained before a module was loaded; once more")
        result = once()
    return verify.judge(result, cpus)


# Where there is no debugfs the module says so, instead of showing nothing.
NO_DEBUGFS = f"""
insmod /modules/uplift.ko || exit
! insmod /modules/{MODULE}.ko 2>/dev/null && dmesg | grep -q "{MODULE}: unsupported: no debugfs"
"""


def no_debugfs_test(target: kernels.Target, kos: Sequence[pathlib.Path]) -> dict[str, Any]:
    """That the module refuses a kernel whose debugfs is off."""
    result = guest.boot(target, NO_DEBUGFS, kos=kos, smp=2, append="debugfs=off", thread="single",
                        name=f"{target.name}-{NAME}-no-debugfs", quiet=True)
    problems = [] if result.ok else [f"not refused as it should: {result.problem()} ({result.console})"]
    return {"ok": result.ok, "skipped": None, "problems": problems,
            "counts": {"pass": int(result.ok), "fail": int(not result.ok)}}


def layouts_test(target: kernels.Target, install: pathlib.Path, *, form: str = "short", env: dict[str, str] | None = None,
                 only: list[str] | None = None, append: str = "", slow: int = 1) -> dict[str, Any]:
    """The script in the layouts: one report of all, with a problem's layout in front of it."""
    kos = list(kmod.build(target).values())
    layouts = [layout for layout in (SHORT if form == "short" else LAYOUTS) if guest.has_layout(target, layout)]

    def wanted(layout: str) -> list[str] | None:
        if form == "long" or layout == layouts[0]:
            return only
        return [name for name in EVERYWHERE if not only or name in only]

    jobs = {layout: functools.partial(layout_test, target, kos, install, layout, form,
                                      (LESS if form == "long" and layout != layouts[0] else {}) | (env or {}),
                                      wanted(layout), append, slow)
            for layout in layouts if wanted(layout) != []}
    if form == "long" and not only:
        jobs["no debugfs"] = functools.partial(no_debugfs_test, target, kos)
    found = parallel.run(jobs, AT_ONCE)
    return verify.of_layouts({layout: found[layout] for layout in jobs})


# The predictor beside the scheduler: on kernels that have cache-aware scheduling both are known.

@dataclasses.dataclass(frozen=True)
class Workload:
    """Load for llc_load (@words), at a tolerance."""
    name: str
    about: str
    words: str
    tolerance: int = 1
    layout: str = "llc4"


WORKLOADS = (
    Workload("pipe", "pipe ping-pong, 2 threads", "1x2p"),
    Workload("2x2", "2 processes x 2 threads", "2x2"),
    Workload("3x3", "3 processes x 3 threads", "3x3"),
    Workload("2x6", "2 processes x 6 threads", "2x6"),
    Workload("2x6-3", "2 processes x 6 threads", "2x6", 3),
    Workload("snc", "2 processes x 3 threads, a cache on 2 nodes", "2x3", layout="snc"),
    Workload("small", "2 threads, 1 MiB each process", "-k 1024 2x2", layout="numa"),
    Workload("large", "2 threads, 24 MiB each process", "-k 24576 2x2", layout="numa"),
)
CPUS = 16		# in four caches of 16 MiB, in either layout
SETTLED = 100.0		# ms; what comes before is not counted
WANTED = 95.0		# percent of the samples in which both name the same domain, or none
CAS = targets.use("prediction")	# targets that have it

# In the layout with two nodes memory is scanned early and often, so that its footprint is known within the run.
VALIDATE = r"""
sched=/sys/kernel/debug/sched
[ "$(sed -n 's/.*"cas": "\([a-z]*\)".*/\1/p' /sys/kernel/debug/uplift/@NAME@/domains.json)" = on ] || exit 4
for knob in scan_delay_ms scan_period_min_ms; do
	[ ! -e $sched/numa_balancing/$knob ] || echo 20 >$sched/numa_balancing/$knob
done
echo 1 >/sys/kernel/debug/uplift/@NAME@/track || exit
run()
{
	echo $2 >$sched/llc_balancing/aggr_tolerance || exit
	echo $2 >/sys/module/uplift_@NAME@/parameters/llc_aggr_tolerance || exit
	for round in $(seq @ROUNDS@); do
		/selftests/llc_load -t @LENGTH@ -i @INTERVAL@ -o /out/$1.$round $3 >/out/$1.$round.load || exit
		# another phase of the tick for the next
		sleep 0.0$((round % 10))7
	done
}
"""


def samples(data: bytes) -> list[Sample]:
    """[(ms, Processes)] of what llc_load wrote."""
    found, at = [], 0
    while at < len(data):
        end = data.index(b"\n", at)
        mark, ms, size = data[at:end].split()
        text = data[end + 1:end + 1 + int(size)]
        if mark != b"@" or len(text) != int(size):
            raise errors.Problem(f"the samples end after {at} bytes")
        found.append((float(ms), model.processes(text.decode(errors="replace"), f"the sample at {float(ms):.0f} ms")))
        at = end + 1 + int(size)
    return found


def compared(runs: Iterable[tuple[Sequence[Sample], Iterable[int]]]) -> dict[str, Any]:
    """What the samples of a workload say, from [(samples, {pid})]: shares in percent, and what differed."""
    count: collections.Counter[str] = collections.Counter()
    reasons: collections.Counter[tuple[str | None, str | None]] = collections.Counter()
    differ: list[str] = []
    for number, (looks, pids) in enumerate(runs, 1):
        for ms, processes in looks:
            if ms < SETTLED:
                continue
            there = {item.pid: item for item in processes.list}
            for pid in sorted(pids):
                item = there.get(pid)
                count["samples"] += 1
                if item is None or item.scheduler is None or item.predicted is None:
                    count["missing"] += 1
                    differ.append(f"round {number}, {ms:.0f} ms, process {pid}: "
                                  + ("not listed" if item is None else "no prediction" if item.scheduler else "no word"
                                     " of the scheduler's"))
                    continue
                is_, told = item.scheduler, item.predicted
                if is_.where != told.where:
                    differ.append(f"round {number}, {ms:.0f} ms, process {pid}: scheduler {_word(is_)}, "
                                  f"predicted {_word(told)}")
                    continue
                count["same"] += 1
                if is_.preferred is not None:
                    count["gathered"] += 1
                    continue
                count["none"] += 1
                reasons[is_.reason, told.reason] += 1
                count["reason"] += is_.reason == told.reason
    return {"samples": count["samples"], "same": count["same"], "missing": count["missing"],
            "gathered": count["gathered"], "none": count["none"], "reason": count["reason"],
            "reasons": {f"{one} / {two}": number for (one, two), number in reasons.most_common()},
            "differ": differ}


def _word(verdict: model.Verdict) -> str | None:
    if verdict.part:
        return f"part {verdict.part}"
    return f"domain {verdict.preferred}" if verdict.preferred is not None else verdict.reason


def validate(target: kernels.Target, kos: Sequence[pathlib.Path], install: pathlib.Path, *,
             workloads: Sequence[Workload] = WORKLOADS, rounds: int = 1, length: int = 1000, interval: int = 20,
             timeout: float = 580) -> dict[str, dict[str, Any]]:
    """{workload: what compared() says}; the layouts' guests run at once."""
    def one(layout: str) -> dict[str, dict[str, Any]]:
        mine = [load for load in workloads if load.layout == layout]
        script = LOAD + VALIDATE + "".join(f"run {load.name} {load.tolerance} '{load.words}'\n" for load in mine)
        for key, value in (("NAME", NAME), ("ROUNDS", rounds), ("LENGTH", length), ("INTERVAL", interval)):
            script = script.replace(f"@{key}@", str(value))
        result = guest.boot(target, script, files={"/selftests": install}, kos=kos, smp=CPUS, topology=layout,
                            repeatable=True, timeout=timeout, name=f"{target.name}-cas-{layout}", quiet=True)
        if result.rc == 4:
            raise errors.Skip(f"{target.name}: cache-aware scheduling is not on in this kernel")
        if not result.ok:
            raise errors.Problem(f"the validation on {target.name} ({layout}) failed: {result.problem()} "
                              f"({result.console})")
        found = {}
        for load in mine:
            runs = []
            for number in range(1, rounds + 1):
                out = result.outdir / f"{load.name}.{number}"
                pids = {json.loads(line)["pid"] for line in out.with_name(out.name + ".load").read_text().splitlines()}
                runs.append((samples(out.read_bytes()), pids))
            found[load.name] = compared(runs)
        return found

    layouts = list(dict.fromkeys(load.layout for load in workloads))
    parts = parallel.run({layout: functools.partial(one, layout) for layout in layouts}, AT_ONCE).values()
    merged = {name: row for part in parts for name, row in part.items()}
    return {load.name: merged[load.name] for load in workloads}


def agrees(row: Mapping[str, Any]) -> bool:
    """Is that good enough: the same domain, or none for the same reason?"""
    enough = WANTED / 100
    return bool(row["samples"]) and row["same"] >= enough * row["samples"] and row["reason"] >= enough * row["none"]


def table(found: Mapping[str, Mapping[str, Any]], workloads: Sequence[Workload] = WORKLOADS) -> str:
    """Text for people."""
    out = [f"{'workload':44}{'tolerance':>10}{'samples':>9}{'same':>8}{'gathered':>10}{'none':>8}"
           "  reasons (scheduler / predicted)"]
    for load in workloads:
        row = found[load.name]
        total = row["samples"] or 1
        out.append(f"{load.about:44}{load.tolerance:>10}{row['samples']:>9}{100 * row['same'] / total:>7.1f}%"
                   f"{100 * row['gathered'] / total:>9.1f}%{100 * row['none'] / total:>7.1f}%  "
                   + ("; ".join(f"{key}: {number}" for key, number in row["reasons"].items()) or "-")
                   + ("" if agrees(row) else "  <- too few"))
    return "\n".join(out)


# What tracking costs: selftests/bench/llc_bench.c, one vCPU, counted instructions.

SWITCHES = 2	# in an operation
ALLOWED = 80	# instructions per switch that tracking may take
NOISE = 6	# of these: two rounds of one arm differ by up to 5 (7.1), elsewhere by less than 2
COST = LOAD + r"""
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
sleep 10
/selftests/llc_bench @EVENT@ @ROUNDS@ >/out/bench
"""


def switches(target: kernels.Target, kos: Sequence[pathlib.Path], install: pathlib.Path, rounds: int = 5, event: bool = True,
             timeout: float = 420) -> Switches:
    """{"processes" or "threads": {arm: [instructions per switch, of each round]}}; with what the event of tracefs costs"""
    script = COST.replace("@ROUNDS@", str(rounds)).replace("@EVENT@", "" if event else "--no-event")
    result = guest.boot(target, script, files={"/selftests": install}, kos=kos,
                        icount=True, timeout=timeout, name=f"{target.name}-{NAME}-cost", quiet=True)
    if not result.ok:
        raise errors.Problem(f"measuring on {target.name} failed: {result.problem()} ({result.console})")
    return by_arm([json.loads(line) for line in (result.outdir / "bench").read_text().splitlines()])


def by_arm(samples: Iterable[Mapping[str, Any]]) -> Switches:
    """What llc_bench wrote, by operation and arm: the batch in the middle, as now and then a switch takes a cheaper way."""
    table: Switches = {}
    for sample in samples:
        table.setdefault(sample["op"], {}).setdefault(sample["arm"], []).append(sample["median"] / SWITCHES)
    if not table or any({"off", "track", "off_again"} - set(row) for row in table.values()):
        raise errors.Problem("llc_bench did not measure all of off, track and off_again")
    return table


def costs(by_arm_: Switches) -> dict[str, dict[str, float]]:
    """{"processes" or "threads": {arm: instructions per switch}}; the least of the rounds."""
    return {name: {arm: min(values) for arm, values in row.items()} for name, row in by_arm_.items()}


def cheap(row: Mapping[str, float]) -> bool:
    """Does tracking cost no more than it may, and nothing once it is off?"""
    return row["track"] - row["off"] <= ALLOWED and abs(row["off_again"] - row["off"]) <= NOISE


def cost_table(table: Mapping[str, Mapping[str, float]]) -> str:
    """Text for people."""
    out = [f"{'instructions per switch':26}{'off':>10}{'tracking':>10}{'off again':>11}{'tracking costs':>16}"
           f"{'the event costs':>17}"]
    for name, row in table.items():
        event = f"{row['event'] - row['off']:.1f}" if "event" in row else "-"
        out.append(f"between {name:18}{row['off']:>10.1f}{row['track']:>10.1f}{row['off_again']:>11.1f}"
                   f"{row['track'] - row['off']:>16.1f}{event:>17}" + ("" if cheap(row) else "  <- too much"))
    return "\n".join(out)


def _cost(args: argparse.Namespace) -> int:
    names = [args.target or targets.use("cost")[0]]
    targets.spec(names[0])
    target = fetch.fetch(names[0])
    kos = list(kmod.build(target).values())
    install = testprograms.build(target.arch)
    with console.doing(f"counting what tracking costs on {target.release}"):
        table = costs(switches(target, kos, install, args.rounds or 5))
    if args.json:
        print(json.dumps(table, indent=1))
    else:
        print(f"{target.release}\n{cost_table(table)}")
    return errors.OK if all(cheap(row) for row in table.values()) else errors.FAIL


def _llc(args: argparse.Namespace) -> int:
    if args.cost:
        if args.topology or args.capture or args.only:
            raise errors.Problem("--cost takes a target, --rounds and --json only", errors.USAGE)
        buildroot.ensure()
        return _cost(args)
    if args.capture:
        return _capture(args)
    if args.topology:
        raise errors.Problem("--topology goes with --capture: the validation has its own", errors.USAGE)
    rounds = 1 if args.rounds is None else args.rounds
    if rounds < 1 or args.length < 200 or args.interval < 1:
        raise errors.Problem("--rounds 1, --length 200 and --interval 1 at least", errors.USAGE)
    names = [args.target] if args.target else list(CAS)
    for name in names:
        targets.spec(name)
    chosen = [load for load in WORKLOADS if not args.only or load.name in args.only.split()]
    if args.only and set(args.only.split()) - {load.name for load in WORKLOADS}:
        raise errors.Problem(f"no such workload in '{args.only}'; there are: "
                          + " ".join(load.name for load in WORKLOADS), errors.USAGE)
    buildroot.ensure()
    report, code, done = {}, errors.OK, 0
    for name in names:
        try:
            target = fetch.fetch(name)
            kos = list(kmod.build(target).values())
            install = testprograms.build(target.arch)
            with console.doing(f"predictor and scheduler on {target.release}"):
                found = report[name] = validate(target, kos, install, workloads=chosen, rounds=rounds,
                                                length=args.length, interval=args.interval)
        except errors.Skip as reason:
            console.warn(f"skipped: {reason}")
            continue
        done += 1
        if not args.json:
            print(f"{target.release}: does the prediction name the same domain as the scheduler, or none as it does?")
            print(table(found, chosen))
            for load in chosen:
                for line in found[load.name]["differ"][:args.differ]:
                    print(f"    {load.name}: {line}")
        if not all(agrees(row) for row in found.values()):
            code = errors.FAIL
    if args.json:
        print(json.dumps(report, indent=1))
    return code if done else errors.SKIP


def _capture(args: argparse.Namespace) -> int:
    path = pathlib.Path(args.capture)
    if not path.name.endswith(".tar.xz") or not path.absolute().parent.is_dir():
        raise errors.Problem(f"--capture takes the name of a file NAME.tar.xz, not '{path}'", errors.USAGE)
    topology = args.topology or "llc4"
    guest.topology_args(topology)
    buildroot.ensure()
    target = fetch.fetch(args.target) if args.target else fetch.best()
    kos = list(kmod.build(target).values())
    directory = paths.ensure(paths.BUILD / "prediction") / path.name.removesuffix(".tar.xz")
    capture(target, kos, topology, directory)
    source.pack(directory, path.absolute())
    print(f"captured {topology} on {target.release}: scripts/uplift {NAME} --from {path}")
    return errors.OK


def register(commands_parser: Any) -> None:
    """Add `uplift lab NAME`."""
    parser = commands_parser.add_parser(
        NAME, help="the inspector: is what it predicts what the scheduler does?",
        description="Run loads of a known shape on kernels that have cache-aware scheduling, with the predictor beside "
                    "the scheduler, and report the share of samples in which both name the same domain, or both none. "
                    f"Status 1 where that is below {WANTED:g}%, or the reasons differ. Guests are repeatable: the same "
                    "every time.")
    parser.add_argument("target", nargs="?", metavar="TARGET",
                        help=f"one of {', '.join(CAS)} (both); with --capture and --cost any")
    parser.add_argument("--only", metavar="NAMES", help="of the workloads " + " ".join(load.name for load in WORKLOADS))
    parser.add_argument("--rounds", type=int, metavar="N", help="runs of each (1; 5 with --cost)")
    parser.add_argument("--length", type=int, default=1000, metavar="MS", help="of a run, in the guest's time (1000)")
    parser.add_argument("--interval", type=int, default=20, metavar="MS", help="between samples (20)")
    parser.add_argument("--differ", type=int, default=0, metavar="N", help="show up to N samples that differ, of each")
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    parser.add_argument("--cost", action="store_true",
                        help="instead: count what tracking adds to a context switch "
                             f"({targets.use('cost')[0]}); status 1 above "
                             f"{ALLOWED} instructions")
    parser.add_argument("--capture", metavar="FILE.tar.xz", help=f"instead: make a snapshot of a guest (uplift {NAME} --from)")
    parser.add_argument("--topology", metavar="NAME", help="its layout (llc4)")
    parser.set_defaults(func=_llc)
