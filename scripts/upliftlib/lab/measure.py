# SPDX-License-Identifier: GPL-2.0-only
"""What an operation costs in every arm of a change, in guests that count instructions.

Programs whose modules offer arms run in turn in one boot, on one vCPU, with all these modules loaded; without the modules
the two arms "off" are left: the stock kernel. A change with a script of its own has a guest of its own. Another boot, with
a plugin of QEMU, counts how often the kernel opens user memory (stac, clac; on arm64, which stores there without, the stores),
fences and calls in an operation; on x86-64 its CPU model has SMAP, which the counting one has not.
"""

import collections
import dataclasses
import json
import pathlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..base import architectures, changes, errors, paths
from ..base.architectures import Architecture
from ..kernel import notes
from ..report import record
from . import buildroot, guest, plugins, verify

Rounds = dict[str, dict[str, list[float]]]	# {operation: {arm: [a figure per round]}}
Counts = dict[str, dict[str, dict[str, int]]]	# {operation: {arm: {what the plugin counts: how often}}}
ROUNDS = 2
MARKED = 200		# operations of each kind for the plugin
# The plugin's columns. An operation that has events writes to user memory, which the first of them shows.
COUNTED = {architectures.X86_64: ("stac", "clac", "lfence", "call"), architectures.ARM64: ("sttr", "ldtr", "csdb", "call")}
STOCK = ("brd", "ext4", "xfs")
PROGRAMS = ("/usr/sbin/mkfs.ext4", "/usr/sbin/mkfs.xfs")
DIRECT = ("/mnt/ext4/file", "/mnt/xfs/file")

# The file is written through the page cache, which must be empty again: a direct read of a file that has cached pages
# looks for dirty ones among them. Blocks of 4 KiB: mkfs would take smaller ones for a file system of this size.
FILES = r"""
modprobe brd rd_nr=2 rd_size=327680 && modprobe ext4 && modprobe xfs || exit
mkfs.ext4 -q -b 4096 /dev/ram0 && mkfs.xfs -q /dev/ram1 && mkdir -p /mnt/ext4 /mnt/xfs || exit
mount -t ext4 /dev/ram0 /mnt/ext4 && mount -t xfs /dev/ram1 /mnt/xfs || exit
for fs in ext4 xfs; do
	dd if=/dev/zero of=/mnt/$fs/file bs=1M count=32 conv=fsync 2>/dev/null || exit
done
sync
echo 1 >/proc/sys/vm/drop_caches
"""

LOAD = r"""
dir=/sys/kernel/debug/uplift
for module in uplift @MODULES@; do
	[ ! -e /modules/$module.ko ] || insmod /modules/$module.ko 2>>/out/refused
done
for change in @CHANGES@; do
	if [ -e $dir/$change/verdict ]; then
		cat $dir/$change/verdict >/out/verdict.$change
	else
		dmesg | sed -n "s/.*\] uplift_$change: //p" | tail -n 1 >/out/verdict.$change
	fi
done
"""

# what the boot put off is done by then; sleeping costs nothing, as an idle guest's clock jumps
SETTLE = "sleep 10\n"


@dataclasses.dataclass
class Found:
    """What was measured of a change."""
    verdict: str = ""		# as its module gave it; nothing where there is no module
    rounds: Rounds = dataclasses.field(default_factory=dict)
    counts: Counts = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Guest:
    """What a guest in which was measured says of itself."""
    kernel: str
    taint: int | None
    qemu: str
    accel: str
    build_id: str = ""


def alone(change: changes.Change) -> bool:
    """Is it measured in a guest of its own?"""
    how = change.measure()
    return how is not None and bool(how.script)


def together(wanted: Iterable[changes.Change]) -> list[changes.Change]:
    """Those that are measured in one guest, in the order in which they are: those that read files come after those that
    do not, and backports last."""
    found = [change for change in wanted if (how := change.measure()) and not how.script]
    return sorted(found, key=lambda change: (change.backport, _direct(change)))


def _direct(change: changes.Change) -> bool:
    """Does its program take files to read directly?"""
    how = change.measure()
    return how is not None and how.files == "direct"


def least(rounds: Rounds) -> dict[str, dict[str, float]]:
    """{operation: {arm: the least of its rounds}}"""
    return {operation: {arm: min(values) for arm, values in row.items()} for operation, row in rounds.items()}


def rounds_of(how: changes.Measure, samples: Iterable[Mapping[str, Any]]) -> Rounds:
    """What a program printed, by operation and arm."""
    found: Rounds = {}
    for sample in samples:
        name = how.name(sample)
        if name is not None:
            found.setdefault(name, {}).setdefault(sample["arm"], []).append(sample[how.figure] / how.per)
    return found


def _left(result: guest.Result, name: str) -> str:
    """A file that a guest left in /out; '' where it did not."""
    path = result.outdir / name
    return path.read_text(errors="replace") if path.exists() else ""


def _samples(result: guest.Result, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _left(result, name).splitlines()]


def _whole(result: guest.Result, what: str, target: guest.Kernel) -> None:
    """A Problem where a guest did not get to its end."""
    if result.ok:
        return
    said = result.output.read_text(errors="replace").strip().splitlines() if result.output.exists() else []
    raise errors.Problem(f"{what} on {target.name} failed: {result.problem()}"
                         + (f": {said[-1]}" if result.rc and said else "") + f" ({result.console})")


def own(change: changes.Change, target: guest.Kernel, kos: Sequence[pathlib.Path], tests: pathlib.Path,
        timeout: int = 420) -> Found:
    """A change with a script of its own, which finds the programs that its selftest has."""
    how, needs = change.measure(), change.guest()
    assert how is not None
    if needs.packages:
        buildroot.ensure(needs.packages)
    result = guest.boot(target, change.text(how.script), files={"/selftests": tests}, kos=kos, icount=True,
                        modules=how.modules, programs=needs.programs, mem=needs.mem, timeout=timeout,
                        name=f"{target.name}-{change.name}-icount", quiet=True)
    _whole(result, f"measuring {change.name}", target)
    verdict = _left(result, "verdict")
    if not verdict:
        raise errors.Problem(f"measuring {change.name} on {target.name} gave no verdict ({result.console})")
    return Found(verdict, rounds_of(how, _samples(result, "bench")), notes=_left(result, "notes").splitlines())


def load(wanted: Sequence[changes.Change]) -> str:
    """sh that loads the modules of changes, and keeps their verdicts."""
    return LOAD.replace("@MODULES@", " ".join(change.module for change in wanted)).replace(
        "@CHANGES@", " ".join(change.name for change in wanted))


def _program(how: changes.Measure, *options: object) -> str:
    """A program's words, in a guest."""
    return shlex.join([f"/selftests/{how.program}", *how.arguments, *map(str, options)])


def script(wanted: Sequence[changes.Change], rounds: int) -> str:
    """sh that measures changes, one program after the other."""
    lines = [f"{_program(how, '--rounds', rounds, *(DIRECT if _direct(change) else ()))} >/out/bench.{change.name} || exit\n"
             for change in wanted if (how := change.measure())]
    return (FILES if any(map(_direct, wanted)) else "") + load(wanted) + SETTLE + "".join(lines) + "cat /proc/version >/out/version\ncat /sys/kernel/notes >/out/kernel.notes\n"


def measure(wanted: Sequence[changes.Change], target: guest.Kernel, kos: Sequence[pathlib.Path], tests: pathlib.Path,
            rounds: int = ROUNDS, timeout: int = 420) -> tuple[dict[str, Found], Guest]:
    """Changes that are measured in one guest: what was found of each."""
    buildroot.ensure("io")
    result = guest.boot(target, script(wanted, rounds), files={"/selftests": tests}, kos=kos, icount=True,
                        modules=STOCK, programs=PROGRAMS, mem="1500M", timeout=timeout, name=f"{target.name}-arms",
                        quiet=True)
    _whole(result, "measuring", target)
    found = {change.name: Found(_left(result, f"verdict.{change.name}").strip(),
                                rounds_of(how, _samples(result, f"bench.{change.name}")))
             for change in wanted if (how := change.measure())}
    return found, Guest(_left(result, "version").strip(), result.taint, result.qemu, result.accel, _build_id(result))


def _build_id(result: guest.Result) -> str:
    """The build id of the kernel that ran; '' where it has none."""
    path = result.outdir / "kernel.notes"
    return notes.build_id(path.read_bytes()).hex() if path.exists() else ""


def marked(wanted: Sequence[changes.Change]) -> str:
    """sh that runs the programs with markers between their operations, for the plugin."""
    return load(wanted) + "sleep 1\n" + "".join(
        f"{_program(how, '--marked', MARKED)} >/out/bench.{change.name} || exit\n"
        for change in wanted if (how := change.measure()) and how.events)


def count(wanted: Sequence[changes.Change], target: guest.Kernel, kos: Sequence[pathlib.Path], tests: pathlib.Path,
          timeout: int = 300) -> dict[str, Counts]:
    """{change: what the plugin counted}: the least of MARKED operations, of those that have events."""
    buildroot.ensure()
    plugin = plugins.build("insns")
    path = paths.ensure(plugins.OUT) / f"{target.name}.insns"
    path.unlink(missing_ok=True)
    # Without retpolines an indirect call is one call; with them it is two, and the second calls nothing.
    result = guest.boot(target, marked(wanted), files={"/selftests": tests}, kos=kos, smp=1,
                        accel="tcg", thread="single", append="nokaslr cryptomgr.notests mitigations=off",
                        plugins=[f"{plugin},out={path}"], timeout=timeout, name=f"{target.name}-insns", quiet=True)
    _whole(result, "counting events", target)
    runs = [(change.name, how.name(sample), sample) for change in wanted if (how := change.measure()) and how.events
            for sample in _samples(result, f"bench.{change.name}")]
    return counted(runs, path.read_text().splitlines(), target.name, guest.arch_of(target))


def counted(runs: Sequence[tuple[str, str | None, Mapping[str, Any]]], lines: Sequence[str],
            name: str, arch: Architecture = architectures.X86_64) -> dict[str, Counts]:
    """The runs that the programs say they did, (change, operation, sample), with what the plugin counted."""
    found = _recorded(lines)
    if not lines or lines[-1] != "end" or len(found) != len(runs):
        raise errors.Problem(f"{name}: the plugin counted {len(found)} whole runs, the programs did {len(runs)}")
    table: dict[str, Counts] = {}
    for number, (change, operation, run) in enumerate(runs, 1):
        if len(found[number]) != run["ops"]:
            raise errors.Problem(f"{name}: {len(found[number])} operations counted of {run['ops']}")
        counts = dict(zip(COUNTED[arch], (min(column) for column in zip(*found[number]))))
        if arch.native and counts["stac"] != counts["clac"] or not counts[COUNTED[arch][0]]:
            raise errors.Problem(f"{name}: stac and clac do not pair, or there are none: has the CPU model SMAP?"
                                 if arch.native else f"{name}: no store to user memory was counted")
        table.setdefault(change, {}).setdefault(operation or run["op"], {})[run["arm"]] = counts
    return table


def _recorded(lines: Sequence[str]) -> dict[int, list[list[int]]]:
    """{run: [counts of each operation]} of the plugin's text."""
    found = collections.defaultdict(list)
    for line in lines[:-1]:
        _, run, *counts = line.split()
        found[int(run)].append([int(value) for value in counts])
    return found


def all_together(wanted: Iterable[changes.Change], target: guest.Kernel, kos: Sequence[pathlib.Path], tests: pathlib.Path,
                 rounds: int = ROUNDS, always: bool = False) -> tuple[dict[str, Found], Guest]:
    """Changes that are measured in one guest, and their events in another; the latter only where one of them applies, or
    the kernel has it, unless `always`."""
    ours = together(wanted)
    found, where = measure(ours, target, kos, tests, rounds)
    if always or any(verify.of_module(one.verdict)["kind"] in ("applicable", "native") for one in found.values()):
        for name, counts in count(ours, target, kos, tests).items():
            found[name].counts = counts
    return found, where


def fill(part: record.Part, change: changes.Change, found: Found) -> None:
    """Put what was measured into a change's part of the report."""
    how = change.measure()
    assert how is not None
    part["operations"] = [record.operation(name, arms, "instructions", how.calls, more=how.arms)
                          for name, arms in found.rounds.items()]
    part["arms"] = dict(how.arms)
    part["events"] = [{"name": label, "operation": operation, "arms": {arm: counts[event] for arm, counts in row.items()}}
                      for operation, row in found.counts.items() for event, label in how.events.items()
                      if all(event in counts for counts in row.values())]
    part["notes"] += found.notes
    record.without_stock_alone(part)
