# SPDX-License-Identifier: GPL-2.0-only
"""What is known of each CPU from /sys (and /proc), of this machine or as somebody else copied it.

A CPU's last level is the topmost that its cache/ shows and that holds data. Captures differ in what they hold: lscpu's
have masks where later kernels have lists, too; some lack cpu/possible. A list that is there is taken, else the mask, else
what it says is not known.
"""

import pathlib
import re

from . import facts, grouping, model, sched

MOST = 1 << 18		# bytes of a small file; /proc/cpuinfo and schedstat of many CPUs are larger than that, and cut


def small(path: pathlib.Path, most: int = MOST) -> str | None:
    """The text of a small file; None where there is none, or it does not answer."""
    try:
        # a pipe in a snapshot would never answer
        if not path.is_file():
            return None
        with open(path, "rb") as file:
            return file.read(most).decode(errors="replace")
    except OSError:
        return None


def _word(path: pathlib.Path) -> str | None:
    text = small(path)
    return None if text is None else model.plain(text.strip()[:32])


def _number(path: pathlib.Path) -> int | None:
    word = _word(path)
    return int(word) if word is not None and re.fullmatch(r"-?\d{1,18}", word) else None


def _kib(path: pathlib.Path) -> int | None:
    """"16384K" -> 16384."""
    match = re.fullmatch(r"(\d{1,15})([KMG]?)", _word(path) or "")
    return int(match[1]) * {"K": 1, "M": 1 << 10, "G": 1 << 20, "": 1}[match[2]] if match else None


def mask(text: str, where: str) -> frozenset[int]:
    """The numbers of a mask as the kernel prints it: "00000001,000000ff" -> {0 ... 7, 32}."""
    words = text.strip().split(",")
    if not all(re.fullmatch(r"[0-9a-fA-F]{1,8}", word) for word in words) or len(words) * 32 > model.MOST:
        raise model.Bad(f"{where}: a mask like 'ff,00000003' is wanted, not '{text.strip():.40}'")
    value = int("".join(word.rjust(8, "0") for word in words), 16)
    return frozenset(number for number, bit in enumerate(reversed(f"{value:b}")) if bit == "1")


def _cpus(path: pathlib.Path) -> frozenset[int] | None:
    """The CPUs of a list; None where there is no such file."""
    text = small(path)
    return None if text is None else facts.cpu_list(text, str(path))


def _either(directory: pathlib.Path, lists: tuple[str, ...], masks: tuple[str, ...]) -> frozenset[int] | None:
    """The CPUs of the first list that has any, else of the first mask that has; None where none has."""
    for name in lists:
        if found := _cpus(directory / name):
            return found
    for name in masks:
        if (text := small(directory / name)) and text.strip() and (found := mask(text, str(directory / name))):
            return found
    return None


# Of the machine.

def _numbered(base: pathlib.Path, name: str) -> dict[int, pathlib.Path]:
    return {int(path.name[len(name):]): path for path in base.glob(f"{name}[0-9]*")
            if re.fullmatch(r"\d{1,5}", path.name[len(name):])}


def _present(base: pathlib.Path) -> tuple[frozenset[int], frozenset[int]]:
    """(possible, online) CPUs. Old captures may have neither list; then what directories there are counts."""
    there = _numbered(base / "cpu", "cpu")
    online = _cpus(base / "cpu/online")
    if online is None and not there:
        raise model.Bad(f"no {base}/cpu/possible and no cpu0: is /sys mounted, is the snapshot whole?")
    if online is None:
        online = frozenset(cpu for cpu, path in there.items() if _number(path / "online") != 0)
    possible = _cpus(base / "cpu/possible")
    if possible is None:
        possible = _cpus(base / "cpu/present") or frozenset(there) | online
    if not online:
        raise model.Bad(f"{base}/cpu/online: no CPU is")
    if not online <= possible:
        raise model.Bad(f"{base}/cpu: online is '{model.list_of(online)}', possible '{model.list_of(possible)}'")
    if lost := online - set(there):
        raise model.Bad(f"{base}/cpu: CPU {min(lost)} is online, and there is no cpu{min(lost)}: is the snapshot whole?")
    return possible, online


def _memory(path: pathlib.Path) -> int | None:
    match = re.search(r"MemTotal:\s*(\d{1,15}) kB", small(path / "meminfo") or "")
    return int(match[1]) if match else None


# Of a CPU.

TYPES = {"Unified": "unified", "Data": "data", "Instruction": "instruction"}


def _cache(path: pathlib.Path) -> facts.Cache | None:
    level, kind = _number(path / "level"), TYPES.get(_word(path / "type") or "")
    if not level or not 0 < level < 16 or kind is None:
        return None
    return facts.Cache(level, kind, _either(path, ("shared_cpu_list",), ("shared_cpu_map",)), _kib(path / "size") or None,
                       _number(path / "ways_of_associativity") or None, _number(path / "coherency_line_size") or None,
                       _word(path / "id") or None)


MADE = 1 << 40		# package numbers from here on are made of several


def _package(topology: pathlib.Path) -> int | None:
    """A package's number; on s390 sockets are numbered within books, and these within drawers."""
    number = _number(topology / "physical_package_id")
    book, drawer = _number(topology / "book_id"), _number(topology / "drawer_id")
    if number is None or number < 0 or book is None and drawer is None:
        return number
    return MADE + (max(drawer or 0, 0) << 20) + (max(book or 0, 0) << 10) + number


def _part_number(path: pathlib.Path) -> str:
    """What kind of core an arm64 CPU is: the part number of its MIDR."""
    word = _word(path / "regs/identification/midr_el1") or ""
    return f"part {(int(word, 16) >> 4) & 0xfff:#x}" if re.fullmatch(r"0x[0-9a-fA-F]{1,16}", word) else ""


def _fact(path: pathlib.Path, cpu: int, node: int | None, kinds: dict[int, str]) -> facts.Fact:
    topology = path / "topology"
    core = _either(topology, ("core_cpus_list", "thread_siblings_list"), ("core_cpus", "thread_siblings"))
    caches = [cache for index in sorted(path.glob("cache/index*")) if (cache := _cache(index)) is not None]
    return facts.Fact(caches=caches, package=_package(topology), node=node, die=_number(topology / "die_id"),
                      core=facts.with_cpu(core or frozenset(), cpu), kind=kinds.get(cpu) or _part_number(path),
                      capacity=_number(path / "cpu_capacity"))


# The kinds of cores that an x86 hybrid has are those of its counters.
HYBRID = {"cpu_core": "P-core", "cpu_atom": "E-core", "cpu_lowpower": "LP E-core"}


def _kinds(sys: pathlib.Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for name, kind in HYBRID.items():
        found |= dict.fromkeys(_cpus(sys / "devices" / name / "cpus") or (), kind)
    return found


def read(sys: pathlib.Path, kernel: str, root: pathlib.Path | None = None) -> facts.Facts:
    """The Facts of a /sys; and of the /proc and debugfs of the same machine below @root."""
    base = sys / "devices/system"
    possible, online = _present(base)
    found = facts.Facts(kernel, possible, online)
    nodes: dict[int, int] = {}
    for node, path in sorted(_numbered(base / "node", "node").items()):
        nodes |= dict.fromkeys(_either(path, ("cpulist",), ("cpumap",)) or (), node)
        if memory := _memory(path):
            found.memory_kib[node] = memory
    kinds = _kinds(sys)
    for cpu in sorted(online):
        found.cpu[cpu] = _fact(base / f"cpu/cpu{cpu}", cpu, nodes.get(cpu), kinds)
    _renumber(found)
    found.isolated = _cpus(base / "cpu/isolated") or frozenset()
    if root is not None:
        sched.view(found, small(root / "proc/schedstat", 64 << 20), sys / "kernel/debug/sched/domains")
    return found


def _renumber(found: facts.Facts) -> None:
    """Numbers that were made of several are 0, 1, 2 again."""
    made = sorted({fact.package for fact in found.cpu.values() if fact.package is not None and fact.package >= MADE})
    for fact in found.cpu.values():
        if fact.package in made:
            fact.package = made.index(fact.package)


def machine(sys: pathlib.Path, kernel: str, root: pathlib.Path | None = None) -> model.Machine:
    """The Machine of a /sys."""
    return grouping.machine(read(sys, kernel, root))


def compare(told: model.Machine, seen: model.Machine) -> list[str]:
    """How the module's domains differ from sysfs's, a line each."""
    if told.online != seen.online:
        return [f"online CPUs: uplift_llc has {model.list_of(told.online)}, sysfs {model.list_of(seen.online)}"]
    ours = {domain.online for domain in told.domains if domain.online}
    theirs = {domain.online for domain in seen.domains}
    if ours == theirs:
        return []
    return ["masks: uplift_llc has " + "; ".join(sorted(map(model.list_of, ours - theirs))) + ", sysfs "
            + "; ".join(sorted(map(model.list_of, theirs - ours)))]
