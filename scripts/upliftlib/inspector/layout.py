# SPDX-License-Identifier: GPL-2.0-only
"""What goes into which box: sockets, nodes, domains, cores; and what is said in words. Both pictures draw this."""

import collections
import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from . import model

FOUND = 50	# permille of its run time from which on a process is shown in a domain's box


FEW = 8		# boxes of a core each that are drawn one by one
MANY = 128	# CPUs from which on what is the same is drawn once
LINES = 60	# disagreements that are shown, unless all are asked for


@dataclasses.dataclass
class Resident:
    """A process in a domain's box: how much of it runs there, and whether that is where it is gathered.

    @parts: {part: permille}, where the domain has any; @part: that where it is gathered
    """
    process: model.Process
    permille: int
    preferred: bool
    parts: dict[str, int] = dataclasses.field(default_factory=dict)
    part: str | None = None


@dataclasses.dataclass
class Box:
    """A domain, or the CPUs of a node that are in none (@domain is None).

    @cores: the CPUs of each core
    @rows: the same by part: (its name, "" where there are none; the CPUs of each core)
    @units: the same once more, with cores that share a cache below the last level together: by part, (name, clusters)
    @marks: what is special about a CPU: (number of its kind, in words)
    @offline: those of them that are
    @like: boxes that are the same, and are not drawn
    """
    domain: model.Domain | None
    title: str
    cores: list[list[int]]
    offline: frozenset[int] = frozenset()
    warnings: list[str] = dataclasses.field(default_factory=list)
    residents: list[Resident] = dataclasses.field(default_factory=list)
    rows: list[tuple[str, list[list[int]]]] = dataclasses.field(default_factory=list)
    units: list[tuple[str, list[list[list[int]]]]] = dataclasses.field(default_factory=list)
    marks: dict[int, tuple[int, str]] = dataclasses.field(default_factory=dict)
    like: "list[Box]" = dataclasses.field(default_factory=list)

    @property
    def cpus(self) -> frozenset[int]:
        return frozenset(cpu for core in self.cores for cpu in core)

    @property
    def shape(self) -> tuple[object, ...]:
        """What is the same in boxes that look the same, but for numbers."""
        return (self.domain and self.domain.shape, tuple(map(len, self.cores)), len(self.offline),
                tuple(len(cores) for _, cores in self.rows), tuple(self.warnings))


@dataclasses.dataclass
class Group:
    """The boxes of one node of one socket (or of several, where a domain crosses).

    @like: groups that are the same, and are not drawn
    """
    title: str
    boxes: list[Box]
    like: "list[Group]" = dataclasses.field(default_factory=list)

    @property
    def cpus(self) -> frozenset[int]:
        return frozenset().union(*(one.cpus for box in self.boxes for one in (box, *box.like)))

    @property
    def domains(self) -> frozenset[int]:
        return frozenset(one.domain.number for box in self.boxes for one in (box, *box.like) if one.domain)

    @property
    def shape(self) -> tuple[object, ...]:
        return tuple((box.shape, len(box.like)) for box in self.boxes)


Place = tuple[frozenset[int], frozenset[int]]		# packages, nodes
Shaped = TypeVar("Shaped", Box, Group)


def count(number: int, what: str, plural: str | None = None) -> str:
    return f"{number} {what if number == 1 else plural or what + 's'}"


def _several(what: str, numbers: frozenset[int]) -> str:
    return f"{what}{'s' if len(numbers) > 1 else ''} {model.list_of(numbers)}" if numbers else ""


def _cores(machine: model.Machine, cpus: frozenset[int]) -> list[list[int]]:
    found: list[list[int]] = []
    seen: set[int] = set()
    for cpu in sorted(cpus):
        if cpu not in seen:
            core = sorted((machine.cores.get(cpu, frozenset()) & cpus) | {cpu})
            seen.update(core)
            found.append(core)
    return found


def _by_part(machine: model.Machine, domain: model.Domain) -> list[tuple[str, list[list[int]]]]:
    """The rows of a domain's box."""
    if not domain.parts:
        return [("", _cores(machine, domain.cpus))]
    rows = [(part.name, _cores(machine, part.cpus)) for part in domain.parts]
    offline = domain.cpus - domain.online
    return rows + ([("", _cores(machine, offline))] if offline else [])


def residents(domain: model.Domain, processes: model.Processes | None) -> list[Resident]:
    """The processes of a domain's box, the busiest there first."""
    found = []
    for process in processes.list if processes else ():
        permille = process.share.get(domain.number, 0)
        preferred = process.verdict is not None and process.verdict.preferred == domain.number
        if permille >= FOUND or preferred:
            names = [part.name for part in domain.parts]
            found.append(Resident(process, permille, preferred,
                                  {name: process.parts[name] for name in names if name in process.parts},
                                  process.verdict.part if process.verdict and preferred else None))
    return sorted(found, key=lambda item: (-item.process.runtime_ns * item.permille, -item.permille, item.process.pid))


def groups(machine: model.Machine, processes: model.Processes | None = None) -> list[Group]:
    """The Groups of a machine, in the order of its sockets and nodes."""
    found: dict[Place, list[Box]] = {}
    for domain in machine.domains:
        rows = _by_part(machine, domain)
        box = Box(domain, f"domain {domain.number}: L{domain.level} {model.size_of(domain.size_kib)}",
                  [core for _, cores in rows for core in cores], domain.cpus - domain.online,
                  residents=residents(domain, processes), rows=rows)
        if domain.sched_cpus is not None and domain.sched_cpus != domain.online and not domain.parts:
            box.warnings.append(f"scheduler: {model.list_of(domain.sched_cpus) or 'none'}")
        if domain.disagreements and not box.warnings:
            box.warnings.append("see below")
        found.setdefault((domain.packages, domain.nodes), []).append(box)
    for key, box in _without(machine):
        found.setdefault(key, []).append(box)
    marks = _marks(machine)
    for box in (box for boxes in found.values() for box in boxes):
        box.units = [(name, _clusters(machine, cores)) for name, cores in box.rows]
        box.marks = {cpu: marks[cpu] for cpu in box.cpus if cpu in marks}
    out = []
    # what has no known place comes last
    for packages, nodes in sorted(found, key=lambda key: (not key[0], sorted(key[0]), not key[1], sorted(key[1]))):
        title = ", ".join(filter(None, (_several("socket", packages), _several("node", nodes)))) or "socket unknown"
        out.append(Group(title[0].upper() + title[1:] + _memory(machine, nodes), found[packages, nodes]))
    return out


def _clusters(machine: model.Machine, cores: list[list[int]]) -> list[list[list[int]]]:
    """Cores, those of a cluster together: a list of lists of cores."""
    found: dict[frozenset[int], list[list[int]]] = {}
    for core in cores:
        found.setdefault(machine.clusters.get(core[0]) or frozenset(core), []).append(core)
    return list(found.values())


def _marks(machine: model.Machine) -> dict[int, tuple[int, str]]:
    """By CPU: the number of its kind, from 0, and its kind and capacity in words; where there are several."""
    words = {cpu: of_core(machine, cpu) for cpu in machine.online if machine.kinds or machine.capacities}
    numbers = {kind: at for at, kind in enumerate(dict.fromkeys(words[cpu] for cpu in sorted(words)))}
    return {cpu: (numbers[kind], kind) for cpu, kind in words.items()}


def of_core(machine: model.Machine, cpu: int) -> str:
    """A CPU's kind and capacity."""
    words = [machine.kinds[cpu]] if machine.kinds.get(cpu) else []
    words += [f"capacity {machine.capacities[cpu]}"] if cpu in machine.capacities else []
    return ", ".join(words) or "not known"


def _memory(machine: model.Machine, nodes: Iterable[int]) -> str:
    known = sum(machine.memory_kib.get(node, 0) for node in nodes)
    return f" ({memory(known)})" if known else ""


def _without(machine: model.Machine) -> Iterator[tuple[Place, Box]]:
    """(place, Box) of the CPUs that are in no domain."""
    alone: dict[tuple[Place, bool], set[int]] = {}
    for cpu in machine.no_domain:
        place = machine.places.get(cpu, (None, None))
        packages, nodes = (frozenset() if number is None else frozenset({number}) for number in place)
        key = packages, nodes
        alone.setdefault((key, cpu in machine.unknown), set()).add(cpu)
    for (key, unknown), cpus in alone.items():
        cores = _cores(machine, frozenset(cpus))
        yield key, Box(None, "last-level cache not known" if unknown else "no last-level cache", cores,
                       frozenset(cpus) - machine.online, rows=[("", cores)])


def memory(kib: int) -> str:
    """16777216 -> "16 GiB"."""
    return f"{kib / (1 << 20):.3g} GiB" if kib >= 1 << 20 else model.size_of(kib)


def _same(items: list[Shaped], least: Callable[[Shaped], int]) -> list[Shaped]:
    """Items with the same shape become one with the others in its @like, where there are @least(item) of them or more."""
    by_shape: dict[tuple[object, ...], list[Shaped]] = {}
    for item in items:
        by_shape.setdefault(item.shape, []).append(item)
    out = []
    for item in items:
        same = by_shape[item.shape]
        if len(same) < least(item):
            out.append(item)
        elif item is same[0]:
            out.append(dataclasses.replace(item, like=same[1:]))
    return out


def folded(machine: model.Machine, found: list[Group]) -> list[Group]:
    """The Groups with what is the same drawn once: caches of a core each, and on large machines all of it."""
    many = len(machine.possible) > MANY

    def least(box: Box) -> int:
        if box.domain and len(box.cores) == 1:
            return 2 if many else FEW + 1
        return 3 if many else len(machine.possible) + 1

    out = [dataclasses.replace(group, boxes=_same(group.boxes, least)) for group in found]
    return _same(out, lambda group: 2) if many else out


def same_boxes(box: Box) -> str:
    """A line for boxes that are the same."""
    boxes = [box, *box.like]
    cpus = model.list_of(frozenset().union(*(one.cpus for one in boxes)))
    if box.domain is None:
        return f"{box.title}: CPUs {cpus}"
    cores = len(box.cores)
    each = ("a core each" if cores == 1 else f"{count(len(box.cpus), 'CPU')} in {count(cores, 'core')} each")
    if len(box.rows) > 1:
        each += f", in {len(box.rows)} parts"
    return (f"domains {model.list_of(one.domain.number for one in boxes if one.domain)}: {len(boxes)} x L{box.domain.level} "
            f"{model.size_of(box.domain.size_kib)}, {each}: CPUs {cpus}" + "".join(f" ! {text}" for text in box.warnings))


def same_groups(group: Group) -> str:
    """A line for groups that are the same as one."""
    titles = [one.title for one in group.like]
    names = titles[0] if len(titles) == 1 else f"{titles[0]} to {titles[-1][0].lower() + titles[-1][1:]}"
    domains = frozenset().union(*(one.domains for one in group.like))
    cpus = model.list_of(frozenset().union(*(one.cpus for one in group.like)))
    what = f"domains {model.list_of(domains)}, " if domains else ""
    return f"{names}: {len(titles)} more of the same: {what}CPUs {cpus}"


def about(machine: model.Machine) -> list[str]:
    """What machine it is, and what it has below the last level, in lines."""
    words = [machine.about.model] if machine.about.model else []
    if machine.about.hypervisor:
        words.append("virtual" if machine.about.hypervisor == "yes" else f"virtual ({machine.about.hypervisor})")
    out = [", ".join(words)] if words else []
    if machine.about.command_line:
        out.append(f"command line: {machine.about.command_line}")
    last = {(domain.level, domain.type) for domain in machine.domains}
    below = [_kind(kind) for kind in machine.caches if (kind.level, kind.type) not in last]
    if below and machine.domains:
        out.append("below: " + ", ".join(below))
    if cores := _kinds(machine):
        out.append("cores: " + cores)
    return out


def _kind(kind: model.Kind) -> str:
    letter = {"data": "d", "instruction": "i"}.get(kind.type, "")
    return f"L{kind.level}{letter} {model.size_of(kind.size_kib)} x {kind.number}"


def _kinds(machine: model.Machine) -> str:
    """Kinds and capacities of cores, where there are several."""
    found: dict[tuple[int, str], set[int]] = {}
    for cpu, (number, words) in _marks(machine).items():
        found.setdefault((number, words), set()).add(cpu)
    return "; ".join(f"{words}: CPUs {model.list_of(cpus)}" for (_, words), cpus in sorted(found.items()))


def shapes(machine: model.Machine) -> list[str]:
    """How many last-level caches there are of each shape, a line each."""
    found = collections.Counter(domain.shape for domain in machine.domains)
    out = []
    for (level, kind, size, ways, line), number in found.items():
        words = [f"L{level} {kind}", model.size_of(size) + (" each" if number > 1 else "")]
        words += [f"{ways} ways"] if ways else []
        words += [f"lines of {line} bytes"] if line else []
        out.append(f"{count(number, 'domain')}: " + ", ".join(words))
    return out


def headline(machine: model.Machine) -> str:
    """What the machine has, in a line."""
    sockets = set().union(*(domain.packages for domain in machine.domains),
                          {place[0] for place in machine.places.values() if place[0] is not None})
    nodes = set().union(*(domain.nodes for domain in machine.domains),
                        {place[1] for place in machine.places.values() if place[1] is not None})
    words = [count(len(machine.online), "CPU")]
    if machine.possible - machine.online:
        words[0] += f" online of {len(machine.possible)}"
    if machine.smt is not None:
        words.append("SMT" if machine.smt else "no SMT")
    words += [count(len(sockets), "socket")] if sockets else []
    words += [count(len(nodes), "node")] if nodes else []
    words.append(count(len(machine.domains), "last-level cache"))
    return f"{machine.kernel}: " + ", ".join(words)


CAS = {"absent": "this kernel has no cache-aware scheduling",
       "off": "cache-aware scheduling: off",
       "on": "cache-aware scheduling: on",
       None: "cache-aware scheduling: not known without uplift_llc"}


def problems(machine: model.Machine) -> list[str]:
    """Every disagreement, in a line each."""
    out = []
    for domain in machine.domains:
        lines = list(domain.disagreements)
        if domain.sched_cpus is not None and domain.sched_cpus != domain.online and not lines:
            lines.append(f"the scheduler takes {model.list_of(domain.sched_cpus) or 'no CPU'} for it")
        out += [f"domain {domain.number} ({model.list_of(domain.cpus)}): {line}" for line in lines]
    out += machine.disagreements
    if machine.domains and (without := machine.no_domain - machine.unknown):
        out.append(f"CPUs without a last-level cache: {model.list_of(without)}")
    return out


def remarks(machine: model.Machine, every: bool = False) -> list[str]:
    """problems(), with the domains of which the same is said in one line, and no more lines than are read."""
    lines = problems(machine)
    if every or len(lines) <= FEW:
        return lines
    by_text: dict[str, list[tuple[int | None, str]]] = {}
    for line in lines:
        match = re.match(r"domain (\d+) \([^)]*\): (.*)", line)
        by_text.setdefault(match[2] if match else line, []).append((int(match[1]) if match else None, line))
    out = []
    for text, of in by_text.items():
        numbers = {number for number, _ in of if number is not None}
        out += [f"domains {model.list_of(numbers)}: {text}"] if len(numbers) > 2 else [line for _, line in of]
    return out if len(out) <= LINES else out[:LINES] + [f"and {len(out) - LINES} more: --all"]


def offline(machine: model.Machine) -> frozenset[int]:
    """Possible CPUs that no box shows."""
    return machine.possible - machine.online - frozenset().union(*(domain.cpus for domain in machine.domains))


def verdict(process: model.Process) -> str:
    """Where a process is gathered, in words."""
    def words(given: model.Verdict | None) -> str:
        if given is None:
            return "-"
        if given.preferred is None:
            return given.reason or "unknown"
        return f"part {given.part}" if given.part else f"domain {given.preferred}"
    if process.scheduler and process.predicted:
        one, two = words(process.scheduler), words(process.predicted)
        return one if one == two else f"{one} (predicted: {two})"
    return words(process.verdict)


def shares(process: model.Process, most: int = 3) -> str:
    """Where it runs, in words."""
    top = sorted(process.places.items(), key=lambda item: (-item[1], len(item[0]), item[0]))[:most]
    return " ".join(f"{place}:{round(permille / 10)}%" for place, permille in top if permille) or "-"


def about_processes(processes: model.Processes) -> str:
    """What the processes' columns stand on, in a line."""
    source = {"scheduler": "as the scheduler decided",
              "prediction": "predicted by the rules of cache-aware scheduling"}.get(processes.source, "not decided")
    words = [f"tracking {'on' if processes.tracking else 'off'}", f"gathering {source}"]
    if processes.tolerance is not None:
        words.append(f"tolerance {processes.tolerance}")
    if processes.epoch_ms is not None:
        words.append(f"epoch {processes.epoch_ms:g} ms")
    if processes.dropped:
        words.append(f"{processes.dropped} not tracked for want of room")
    return ", ".join(words)


def busiest(processes: model.Processes, most: int | None = None) -> tuple[list[model.Process], int]:
    """The processes, the busiest first; and how many were left out."""
    ordered = sorted(processes.list, key=lambda process: (-process.runtime_ns, process.pid))
    return (ordered, 0) if most is None else (ordered[:most], max(0, len(ordered) - most))
