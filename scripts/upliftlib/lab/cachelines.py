# SPDX-License-Identifier: GPL-2.0-only
"""`uplift lab cachelines`: which cache lines do two readers of a file, on two CPUs, share and write?

A plugin of QEMU (plugin/cachelines.c) records every load and store of two processes, each on a vCPU of its own, that
pread the whole list of filesystems again and again from files of their own. A line that one of them writes while the
other reads or writes it would travel between the caches of a real machine's CPUs. The kernel's own file and the node
that can be unloaded are looked at in the same way, so that the instrument is seen to see.
"""

import bisect
import collections
import dataclasses
import json

from ..base import console, errors, paths
from . import buildroot, commands, guest, kmod, plugins, testprograms

OUT = plugins.OUT
READS = 2000		# of each reader
# In how many of the reads must a line be touched to be part of reading? What the reading itself touches, it touches
# each time; lines of the timer tick were seen in up to 22% of the reads on a host that was busy five times over.
SHARE = 0.5

SCRIPT = """
insmod /modules/uplift.ko || exit 1
insmod /modules/uplift_fslist.ko 2>/dev/null || insmod /modules/uplift_fslist.ko native=1 || exit 1
bench="/selftests/fslist_bench --op pread_open_fd --readers 2 --ops {reads} --only-all --file"
$bench /proc/filesystems || exit
$bench /proc/filesystems_uncached || exit
$bench /proc/filesystems_cached || exit
rmmod uplift_fslist || exit
insmod /modules/uplift_fslist.ko permanent=1 2>/dev/null ||
    insmod /modules/uplift_fslist.ko permanent=1 native=1 || exit
$bench /proc/filesystems_cached || exit
read -r verdict </sys/kernel/debug/uplift/fslist/verdict
echo $verdict >/out/verdict
cat /proc/kallsyms >/out/kallsyms
"""
# What SCRIPT reads, in its order; is a shared written line expected there?
RUNS = (("/proc/filesystems", None), ("/proc/filesystems_uncached", True), ("/proc/filesystems_cached", True),
        ("/proc/filesystems_cached, permanent=1", False))


class Symbols:
    """Names for addresses, from a guest's /proc/kallsyms."""

    def __init__(self, lines):
        found = []
        for line in lines:
            address, kind, name, *module = line.split()
            if kind not in "aAU":
                found.append((int(address, 16), name + (f" {module[0]}" if module else ""), kind in "tTwWvV"))
        found.sort()
        self.at = [address for address, _, _ in found]
        self.found = found

    def name(self, address, code):
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
    touched: dict		# vCPU -> share of its reads
    written: dict		# vCPU -> share of its reads
    writers: list		# functions


def parse(lines):
    """{run: {vcpu: reads}}, {run: {line: {vcpu: {(kind, pc): (ops, vaddr)}}}} of the plugin's text."""
    ops, touched, whole = collections.defaultdict(dict), {}, False
    for text in lines:
        kind, *words = text.split()
        if kind == "ops":
            run, vcpu, count, lost = map(int, words)
            if lost:
                raise errors.Problem(f"the plugin ran out of memory for {lost} accesses of run {run}: fewer --reads")
            ops[run][vcpu] = count
        elif kind == "line":
            run, vcpu, line, access, pc, _, count, vaddr = words
            where = touched.setdefault(int(run), {}).setdefault(int(line, 16), {}).setdefault(int(vcpu), {})
            where[access, int(pc, 16)] = int(count), int(vaddr, 16)
        elif kind == "end":
            whole = True
    if not whole:
        raise errors.Problem("the plugin's record is cut off: did the guest crash?")
    return ops, touched


def _what(vaddr, symbols):
    if vaddr < 1 << 63:
        return "a program's memory"
    # the vmemmap, direct map and vmalloc ranges hold no symbols; images of kernel and modules do
    return symbols.name(vaddr, False) if vaddr >= 0xffffffff80000000 and symbols.name(vaddr, False) else "allocated"


def shared(ops, touched, symbols, share=SHARE):
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
        writers = collections.Counter()
        vaddr = 0
        for seen in vcpus.values():
            for (kind, pc), (count, where) in seen.items():
                if kind == "w" and pc:
                    writers[symbols.name(pc, True) or f"{pc:#x}"] += count
                    vaddr = where
        most = max(writers.values())
        found.append(Line(address, _what(vaddr, symbols), touch, write,
                          [name for name, count in writers.most_common() if count * 10 >= most]))
    found.sort(key=lambda line: (-max(line.written.values()), line.address))
    return found, rest


def measure(target, reads=READS):
    """What each run shared, as a list of dictionaries ready for JSON."""
    buildroot.ensure("run")
    install = testprograms.build()
    kos = kmod.build(target)
    plugin = plugins.build("cachelines")
    qemu = guest.Qemu()
    if qemu.major < 10:
        raise errors.Problem(f"QEMU {qemu.version} is too old for this, 10 is wanted: scripts/uplift lab root")
    record = paths.ensure(OUT) / f"{target.name}.record"
    record.unlink(missing_ok=True)
    with console.doing(f"recording memory accesses of two readers on {target.release}") as doing:
        result = guest.boot(target, SCRIPT.replace("{reads}", str(reads)), files={"/selftests": install},
                            kos=list(kos.values()), smp=2, thread="multi", accel="tcg", qemu=qemu,
                            append="nokaslr cryptomgr.notests", plugins=[f"{plugin},out={record}"], timeout=400,
                            name=f"{target.name}-cachelines")
        if not result.ok:
            raise errors.Problem(f"{target.name}: {result.problem()} ({result.console})")
        doing.result = f"{reads} reads of each, {len(RUNS)} times"
    symbols = Symbols((result.outdir / "kallsyms").read_text().splitlines())
    with open(record) as file:
        ops, touched = parse(file)
    if len(ops) != len(RUNS) or any(set(run.values()) != {reads} or len(run) != 2 for run in ops.values()):
        raise errors.Problem(f"the plugin recorded {dict(ops)}, not {len(RUNS)} runs of two readers with {reads} reads each")
    native = (result.outdir / "verdict").read_text().strip() == "native"
    rows = []
    for run, (name, expected) in enumerate(RUNS, 1):
        lines, rest = shared(ops[run], touched[run], symbols)
        if expected is None:
            expected = not native
        rows.append({"file": name, "expected": expected, "lines": [dataclasses.asdict(line) for line in lines],
                     "rest": rest})
    record.unlink()
    return rows


def render(rows):
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


def _cachelines(args):
    target = commands.chosen(args)
    rows = measure(target, args.reads)
    if args.json:
        paths.write(args.json, json.dumps({"version": 1, "target": target.release, "reads": args.reads, "runs": rows},
                                          indent=1) + "\n")
    print(f"{target.release}, {args.reads} whole preads by each of two readers on two CPUs, files of their own\n")
    print(render(rows))
    code = errors.OK
    for row in rows:
        if bool(row["lines"]) != row["expected"]:
            print(f"FAIL {row['file']}: {'some' if row['expected'] else 'none'} expected")
            code = errors.FAIL
    return code


def register(commands_):
    """Add `uplift lab cachelines`."""
    parser = commands_.add_parser("cachelines", help="cache lines that two readers of the list share and write",
                                  description="Record, with a plugin of QEMU, the cache lines that two readers of the "
                                              "filesystem list share and write: none is expected with permanent=1.")
    commands.add_kernel_options(parser)
    parser.add_argument("--reads", type=int, default=READS, metavar="N", help=f"reads of each (default: {READS})")
    parser.add_argument("--json", metavar="FILE", help="write the lines there")
    parser.set_defaults(func=_cachelines)
