# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab cachelines`: which cache lines do two readers of a file, on two CPUs, share and write?

A plugin of QEMU (plugin/cachelines.c) records every load and store of two processes, each on a vCPU of its own, that
read again and again from files of their own; which, and what is expected, says [cachelines] of a change's about.toml. A line
that one of them writes while the other reads or writes it would travel between the caches of a real machine's CPUs.
"""

import argparse
import bisect
import collections
import dataclasses
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..base import changes, console, errors, paths
from . import buildroot, commands, guest, kernels, kmod, plugins, testprograms, verify

OUT = plugins.OUT
READS = 2000		# of each reader
# In how many of the reads must a line be touched to be part of reading? What the reading itself touches, it touches
# each time; lines of the timer tick were seen in up to 22% of the reads on a host that was busy five times over.
SHARE = 0.5

Reads = dict[int, int]					# vCPU -> reads
Accesses = dict[tuple[str, int], tuple[int, int]]	# (r or w, address of the code, or 0 for all) -> (reads, address)
Touched = dict[int, dict[int, Accesses]]		# line -> vCPU -> what it did to it


class Symbols:
    """Names for addresses, from a guest's /proc/kallsyms."""

    def __init__(self, lines: Iterable[str]) -> None:
        found = []
        for line in lines:
            address, kind, name, *module = line.split()
            if kind not in "aAU":
                found.append((int(address, 16), name + (f" {module[0]}" if module else ""), kind in "tTwWvV"))
        found.sort()
        self.at = [address for address, _, _ in found]
        self.found = found

    def name(self, address: int, code: bool) -> str | None:
        """The symbol that holds the address, as a name and an offset; None where there is none near."""
        index = bisect.bisect_right(self.at, address) - 1
        # aliases of one address: the one of the kind that is asked for
        while index > 0 and self.found[index][2] != code and self.at[index - 1] == self.at[index]:
            index -= 1
        if index < 0 or address - self.at[index] > 1 << 16:
            return None
        return self.found[index][1] if code else f"{self.found[index][1]}+{address - self.at[index]:#x}"


@dataclasses.dataclass
class Line:
    """A line that one vCPU wrote and another touched, each of them often enough."""
    address: int		# physical
    what: str
    touched: dict[int, float]		# vCPU -> share of its reads
    written: dict[int, float]		# vCPU -> share of its reads
    writers: list[str]		# functions


def parse(lines: Iterable[str]) -> tuple[dict[int, Reads], dict[int, Touched]]:
    """{run: {vcpu: reads}}, {run: {line: {vcpu: {(kind, pc): (ops, vaddr)}}}} of the plugin's text."""
    ops: dict[int, Reads] = collections.defaultdict(dict)
    touched: dict[int, Touched] = {}
    whole = False
    for text in lines:
        kind, *words = text.split()
        if kind == "ops":
            run, vcpu, count, lost = map(int, words)
            if lost:
                raise errors.Problem(f"the plugin ran out of memory for {lost} accesses of run {run}: fewer --reads")
            ops[run][vcpu] = count
        elif kind == "line":
            of, cpu, line, access, pc, _, often, vaddr = words
            where = touched.setdefault(int(of), {}).setdefault(int(line, 16), {}).setdefault(int(cpu), {})
            where[access, int(pc, 16)] = int(often), int(vaddr, 16)
        elif kind == "end":
            whole = True
    if not whole:
        raise errors.Problem("the plugin's record is cut off: did the guest crash?")
    return ops, touched


def _what(vaddr: int, symbols: Symbols) -> str:
    if vaddr < 1 << 63:
        return "a program's memory"
    # the vmemmap, direct map and vmalloc ranges hold no symbols; images of kernel and modules do
    return (symbols.name(vaddr, False) if vaddr >= 0xffffffff80000000 else None) or "allocated"


def shared(ops: Reads, touched: Touched, symbols: Symbols, share: float = SHARE) -> tuple[list[Line], float]:
    """([Line], highest share below the limit) of one run."""
    found, rest = [], 0.0
    for address, vcpus in touched.items():
        if len(vcpus) < 2:
            continue
        touch = {vcpu: max((seen[kind, 0][0] for kind in "rw" if (kind, 0) in seen), default=0) / ops[vcpu]
                 for vcpu, seen in vcpus.items()}
        write = {vcpu: seen.get(("w", 0), (0, 0))[0] / ops[vcpu] for vcpu, seen in vcpus.items()}
        # the worst pair: one writes, another touches
        worst = max(min(write[writer], touch[other]) for writer in vcpus for other in vcpus if other != writer)
        if worst < share:
            rest = max(rest, worst)
            continue
        writers, vaddr = _writers(vcpus, symbols)
        found.append(Line(address, _what(vaddr, symbols), touch, write, writers))
    found.sort(key=lambda line: (-max(line.written.values()), line.address))
    return found, rest


def _writers(vcpus: Mapping[int, Accesses], symbols: Symbols) -> tuple[list[str], int]:
    """The functions that write to a line often, and the address that they use."""
    writers: collections.Counter[str] = collections.Counter()
    vaddr = 0
    for seen in vcpus.values():
        for (kind, pc), (count, where) in seen.items():
            if kind == "w" and pc:
                writers[symbols.name(pc, True) or f"{pc:#x}"] += count
                vaddr = where
    most = max(writers.values())
    return [name for name, count in writers.most_common() if count * 10 >= most], vaddr


def measure(change: changes.Change, target: kernels.Target, reads: int = READS) -> list[dict[str, Any]]:
    """What each run of a change's script shared, ready for JSON."""
    how = change.cachelines()
    assert how is not None
    buildroot.ensure("run")
    tests, kos = testprograms.build(target.arch), list(kmod.build(target).values())
    plugin = plugins.build("cachelines")
    path = paths.ensure(OUT) / f"{target.name}.record"
    path.unlink(missing_ok=True)
    script = change.text(how.script).replace("{reads}", str(reads)) + "cat /proc/kallsyms >/out/kallsyms\n"
    with console.doing(f"recording memory accesses of two readers on {target.release}") as doing:
        result = guest.boot(target, script, files={"/selftests": tests}, kos=kos, smp=2, thread="multi", accel="tcg",
                            qemu=_qemu(), append="nokaslr cryptomgr.notests", plugins=[f"{plugin},out={path}"],
                            timeout=400, name=f"{target.name}-cachelines")
        if not result.ok:
            raise errors.Problem(f"{target.name}: {result.problem()} ({result.console})")
        doing.result = f"{reads} reads of each, {len(how.runs)} times"
    rows = _rows(how, result.outdir, path, reads)
    path.unlink()
    return rows


def _qemu() -> guest.Qemu:
    qemu = guest.Qemu()
    if qemu.major < 10:
        raise errors.Problem(f"QEMU {qemu.version} is too old for this, 10 is wanted: scripts/uplift lab root")
    return qemu


def _rows(how: changes.CacheLines, out: pathlib.Path, path: pathlib.Path, reads: int) -> list[dict[str, Any]]:
    """What the plugin recorded of each run, beside what is expected of it."""
    symbols = Symbols((out / "kallsyms").read_text().splitlines())
    with open(path, encoding="utf-8") as file:
        ops, touched = parse(file)
    if len(ops) != len(how.runs) or any(set(run.values()) != {reads} or len(run) != 2 for run in ops.values()):
        raise errors.Problem(f"the plugin recorded {dict(ops)}, not {len(how.runs)} runs of two readers with {reads} "
                             "reads each")
    kind = verify.of_module((out / "verdict").read_text())["kind"]
    expected = {"always": True, "never": False, "lacking": kind != "native"}
    rows = []
    for number, run in enumerate(how.runs, 1):
        lines, rest = shared(ops[number], touched[number], symbols)
        rows.append({"file": run["name"], "expected": expected[run["shared"]],
                     "lines": [dataclasses.asdict(line) for line in lines], "rest": rest})
    return rows


def render(rows: Sequence[Mapping[str, Any]]) -> str:
    """Text for people."""
    out = []
    for row in rows:
        count = len(row["lines"])
        out.append(f"{row['file']}: {count or 'no'} cache line{'' if count == 1 else 's'} written by one reader and "
                   "touched by the other")
        for line in row["lines"]:
            written = ", ".join(f"CPU {vcpu} in {share:.0%}" for vcpu, share in sorted(line["written"].items()))
            out.append(f"    {line['address']:#x} {line['what']}: written by {written} of its reads")
            out.append(f"        by {', '.join(line['writers'])}")
        out.append(f"    any other such line: in at most {row['rest']:.1%} of the reads (interrupts)")
    return "\n".join(out)


def _cachelines(args: argparse.Namespace) -> int:
    target = commands.chosen(args)
    rows = [row for change in changes.load().values() if change.cachelines()
            for row in measure(change, target, args.reads)]
    if args.json:
        paths.write(args.json, json.dumps({"version": 1, "target": target.release, "reads": args.reads, "runs": rows},
                                          indent=1) + "\n")
    print(f"{target.release}, {args.reads} reads by each of two readers on two CPUs, files of their own\n")
    print(render(rows))
    wrong = [row for row in rows if bool(row["lines"]) != row["expected"]]
    for row in wrong:
        print(f"FAIL {row['file']}: {'some' if row['expected'] else 'none'} expected")
    return errors.FAIL if wrong else errors.OK


def register(commands_: Any) -> None:
    """Add `uplift lab cachelines`."""
    parser = commands_.add_parser("cachelines", help="cache lines that two readers of a file share and write",
                                  description="Record, with a plugin of QEMU, the cache lines that two readers share and "
                                              "write, of what a change's about.toml names ([cachelines]), and whether "
                                              "there are any where it expects none.")
    commands.add_kernel_options(parser)
    parser.add_argument("--reads", type=int, default=READS, metavar="N", help=f"reads of each (default: {READS})")
    parser.add_argument("--json", metavar="FILE", help="write the lines there")
    parser.set_defaults(func=_cachelines)
